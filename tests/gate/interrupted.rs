//! `resident add`, ended by `kill -9` wherever it is: nothing is wrong afterwards, and what it began is finished.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use rustix::fs::{CWD, FileType, Mode};
use rustix::process::{Pid, Signal, kill_process};
use whosaw::party::resident::state::Clip;

use crate::proxy::{Proxy, Response};
use crate::support::{Outcome, command, run};
use crate::world::{Device, filmed, world};

pub const FILM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/doorbell.mp4");

/// A new resident behind a proxy, without clips.
pub fn resident(home: &str, proxy: &Proxy) -> Device {
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

/// The command that adds a film to a device.
pub fn add(device: &Device, film: &str) -> std::process::Command {
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
    let clips = || {
        std::fs::read_dir(device.path.join("clips"))
            .unwrap()
            .count()
    };
    assert_eq!(clips(), 1, "it had begun");
    let staged = device.path.join(".new-key-abc");
    std::fs::write(&staged, "half a bundle").unwrap();
    device.must("sync");
    assert_eq!(device.state().clips().unwrap(), []);
    assert!(
        clips() == 0 && !staged.exists(),
        "no half of a clip is left"
    );
    assert!(device.must("report").contains("you have no clips"));
}

/// A problem in place of an answer.
pub fn problem(mut response: Response, status: u16, code: &str, member: Option<&str>) -> Response {
    response.status = status;
    response.headers = vec![(
        "content-type".to_owned(),
        "application/problem+json".to_owned(),
    )];
    let problem = serde_json::json!({
        "type": format!("/problems/{code}"), "title": "No", "status": status, "detail": "", "member": member,
    });
    response.body = problem.to_string().into_bytes();
    response
}

/// Once a clip was called kept, no answer of the server discards it, and it does not hold up the others.
#[test]
fn a_clip_that_was_called_kept_is_kept_whatever_the_server_answers() {
    let proxy = world().proxy();
    let device = resident("refused-later", &proxy);
    proxy.cut_off(Some("/vault/v1/clips/"));
    for _ in 0..2 {
        let added = Outcome::of(add(&device, FILM).output().unwrap());
        added.refused("sealed and kept here");
    }
    proxy.cut_off(None);
    let waiting = || device.state().clips_to_store().unwrap();
    let first = waiting()[0];
    let path = format!("/vault/v1/clips/{first}");
    for status in [507, 400, 403, 409, 413, 422] {
        let path = path.clone();
        proxy.lie(
            move |request, response| match request.path.starts_with(&path) {
                true => problem(response, status, "some-reason", None),
                false => response,
            },
        );
        let synced = device.run("sync");
        assert_eq!(synced.code, 2, "{}", synced.both());
        synced.refused(&format!("clip {first} is kept here, and not stored yet"));
        assert_eq!(waiting(), [first], "the other one is stored");
        assert!(device.path.join(format!("clips/{first}/body")).exists());
    }
    proxy.lie(|_, response| response);
    device.must("sync");
    assert_eq!(waiting(), []);
    device.must(&format!("open {first} -o refused-later.mp4"));
}

/// `add` keeps what it has sealed whatever the server answers. Its owner alone gives it up, after being shown the file.
#[test]
fn a_clip_is_given_up_by_its_owner_alone() {
    let proxy = world().proxy();
    let device = resident("no-room", &proxy);
    let waiting = || device.state().clips_to_store().unwrap();
    let answers = [
        (413, "too-large"),
        (507, "quota"),
        (507, "insufficient-storage"),
        (409, "log-closed"),
        (409, "other-content"),
        (404, "not-found"),
        (422, "some-reason"),
    ];
    for (n, (status, code)) in (1..).zip(answers) {
        proxy.lie(
            move |request, response| match request.path.starts_with("/vault/v1/clips/") {
                true => problem(response, status, code, None),
                false => response,
            },
        );
        let added = Outcome::of(add(&device, FILM).output().unwrap());
        assert_eq!(added.code, 2, "{}", added.both());
        added.refused("sealed and kept here");
        added.refused("`whosaw resident drop");
        assert_eq!(waiting().len(), n, "{code}");
    }
    let report = device.run("report");
    let kept = report
        .out
        .matches("kept on this device alone, and not stored");
    assert_eq!(kept.count(), answers.len(), "{}", report.both());

    let clip = waiting()[0];
    let folder = device.path.join(format!("clips/{clip}"));
    let bytes = std::fs::metadata(folder.join("body")).unwrap().len();
    let asked = device.run(&format!("drop {clip}"));
    assert_eq!(asked.code, 2, "{}", asked.both());
    for says in [
        &format!("clips/{clip}/body"),
        &format!("{bytes} bytes"),
        "--yes",
    ] {
        asked.refused(says);
    }
    assert!(waiting().contains(&clip) && folder.exists());
    device.must(&format!("drop {clip} --yes"));
    assert!(!waiting().contains(&clip) && !folder.exists());
    device
        .run(&format!("drop {clip} --yes"))
        .refused("there is no clip");

    proxy.lie(|_, response| response);
    let other = waiting()[0];
    let synced = device.must("sync");
    let finished = format!("{} interrupted uploads finished", answers.len() - 1);
    assert!(synced.contains(&finished), "{synced}");
    device
        .run(&format!("drop {other} --yes"))
        .refused("the vault has clip");
    assert_eq!(device.state().clips().unwrap().len(), answers.len() - 1);
}

/// An upload that breaks off each time, while the server answers other calls, holds up no other.
#[test]
fn an_upload_that_breaks_off_holds_up_no_other() {
    let proxy = world().proxy();
    let device = resident("breaks-off", &proxy);
    proxy.cut_off(Some("/vault/v1/clips/"));
    for _ in 0..3 {
        add(&device, FILM).output().unwrap();
    }
    let waiting = || device.state().clips_to_store().unwrap();
    let first = waiting()[0];
    let path: &str = Box::leak(format!("/vault/v1/clips/{first}").into_boxed_str());
    proxy.cut_off(Some(path));
    let synced = device.run("sync");
    assert_eq!(synced.code, 2, "{}", synced.both());
    synced.refused(&format!("clip {first} is kept here, and not stored yet"));
    assert_eq!(waiting(), [first], "the others are stored");

    // A server that answers nothing is not asked for each.
    proxy.cut_off(Some("/vault/v1/clips/"));
    for _ in 0..2 {
        add(&device, FILM).output().unwrap();
    }
    proxy.cut_off(Some("/"));
    let before = proxy.calls().len();
    device.run("sync").refused("cannot be read");
    let calls = &proxy.calls()[before..];
    let uploads = calls.iter().filter(|call| call.contains("/clips/"));
    assert_eq!(uploads.count(), 1, "{calls:?}");
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
