//! `resident add`, ended by `kill -9` wherever it is: nothing is wrong afterwards, and what it began is finished.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use rustix::fs::{CWD, FileType, Mode};
use rustix::process::{Pid, Signal, kill_process};
use whosaw::party::resident::state::Clip;

use crate::proxy::Proxy;
use crate::support::{command, run};
use crate::world::{Device, filmed, world};

const FILM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/doorbell.mp4");

/// A new resident behind a proxy, without clips.
fn resident(home: &str, proxy: &Proxy) -> Device {
    let root = &world().root;
    let code = run(root, "operator enrol-code --data operator");
    std::fs::write(root.join(format!("{home}.code")), code).unwrap();
    run(
        root,
        &format!(
            "resident init --home {home} --server {} --trust operator/log.policy --code-file {home}.code \
             --jurisdiction US-FL --camera front=28.03950,-81.94980",
            proxy.url()
        ),
    );
    Device {
        home: home.to_owned(),
        path: root.join(home),
    }
}

fn add(device: &Device, film: &str) -> std::process::Command {
    let from = filmed(3600);
    let until = from.checked_add_seconds(60).unwrap();
    let home = &device.home;
    let line =
        format!("resident add {film} --home {home} --camera front --from {from} --until {until}");
    command(&world().root, &line)
}

/// Adds a film and kills the program when the server has answered its call `n`, before it gets the answer; false
/// if it makes no such call.
fn add_killed_at(device: &Device, proxy: &Proxy, n: usize) -> bool {
    let (process, calls) = (Arc::new(AtomicI32::new(0)), AtomicUsize::new(0));
    let adding = process.clone();
    proxy.lie(move |_, response| {
        if calls.fetch_add(1, Ordering::SeqCst) == n {
            let pid = loop {
                if let Some(pid) = Pid::from_raw(adding.load(Ordering::SeqCst)) {
                    break pid;
                }
            };
            kill_process(pid, Signal::KILL).unwrap();
        }
        response
    });
    let mut child = add(device, FILM).spawn().unwrap();
    process.store(i32::try_from(child.id()).unwrap(), Ordering::SeqCst);
    let ended = child.wait().unwrap();
    proxy.lie(|_, response| response);
    assert!(ended.success() || ended.signal() == Some(9), "{ended}");
    !ended.success()
}

#[test]
fn an_add_killed_at_any_call_is_finished_by_the_next_sync() {
    let proxy = world().proxy();
    let device = resident("killed", &proxy);
    let mut killed = 0;
    while add_killed_at(&device, &proxy, killed) {
        killed += 1;
        let waiting = device.state().clips_to_store().unwrap();
        assert_eq!(waiting.len(), 1, "it was kept before the first call");
        device.must("sync");
        assert_eq!(device.state().clips_to_store().unwrap(), []);
        assert_eq!(device.state().clips().unwrap().len(), killed);
    }
    assert!(killed >= 4, "header, metadata, body and commitments");
    let clips = device.state().clips().unwrap();
    assert_eq!(clips.len(), killed + 1);
    for Clip { clip, .. } in clips {
        assert!(!device.path.join(format!("clips/{clip}/body")).exists());
        let output = format!("{clip}.mp4");
        device.must(&format!("open {clip} -o {output}"));
        let opened = std::fs::read(world().root.join(output)).unwrap();
        assert!(opened == std::fs::read(FILM).unwrap());
    }
}

#[test]
fn an_add_killed_while_it_seals_leaves_no_clip() {
    let proxy = world().proxy();
    let device = resident("killed-early", &proxy);
    let film = world().root.join("slow-film");
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(CWD, &film, FileType::Fifo, mode, 0).unwrap();
    let mut child = add(&device, "slow-film").spawn().unwrap();
    // Opens once the program reads.
    let mut writer = File::options().write(true).open(&film).unwrap();
    writer.write_all(&[7; 200_000]).unwrap();
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    device.must("sync");
    assert_eq!(device.state().clips().unwrap(), []);
    assert!(device.must("report").contains("you have no clips"));
}

/// The folder of a program that kept `resident.json` is not taken for an empty one.
#[test]
fn a_folder_of_an_older_program_is_refused_with_its_remedy() {
    let proxy = world().proxy();
    let device = resident("older", &proxy);
    let state = |name: &str| device.path.join(name);
    std::fs::rename(state("resident.db"), state("resident.json")).unwrap();
    let init = format!(
        "init --server {} --trust operator/log.policy --code x --jurisdiction US-FL",
        proxy.url()
    );
    for line in ["sync", &init] {
        device.run(line).refused(
            "run `whosaw resident restore` with another --home and the words in older/phrase",
        );
    }
    assert!(!state("resident.db").exists());
}
