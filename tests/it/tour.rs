//! The README's tour and the long one, command by command as they stand there.

use std::fs::DirEntry;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// What the test says otherwise than the README: nobody is there to answer, and ports may be taken.
fn script(tour: &str, [log, witness]: [u16; 2]) -> String {
    let blocks = tour.split("```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split_once("```").expect("the end of a block").0);
    let text = blocks.collect::<String>().replace("\\\n", " ");
    let mut script = "set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n".to_owned();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (command, remark) = line.split_once(" #").unwrap_or((line, ""));
        let mut command = command
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{log}"))
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{witness}"));
        for asks in [
            "operator approve",
            "countersign",
            "resident allow",
            "resident publish",
        ] {
            command = command.replace(asks, &format!("{asks} --yes"));
        }
        if command.starts_with("age ") {
            let checked = format!("{command}; cmp clip.mp4 examples/doorbell.mp4");
            command = format!("if command -v age; then {command}; fi").replace(&*command, &checked);
        } else if remark.contains("in a terminal of its own") {
            let port = if command.contains("witness") {
                witness
            } else {
                log
            };
            command = format!(
                "{command} --listen 127.0.0.1:{port} &\n\
                 for _ in {{1..300}}; do (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null && break; sleep 0.1; done"
            );
        } else if command.starts_with("whosaw resident add ") && !command.contains('|')
            || command.starts_with("CLIP=")
        {
            // People take longer than a batch of commitments does.
            command.push_str(
                "; for _ in {1..240}; do \
                 ! whosaw resident report --home ana --json | grep -q '\"anchored\": 4' || break; sleep 0.5; done",
            );
        } else if remark.contains("exits 1") {
            command = format!("code=0; {command} || code=$?; test $code = 1");
        }
        script.push_str(&format!("{command}\n"));
    }
    script
}

/// Plays a tour of more than `commands` commands; the folder in which it was played.
fn play(tour: &str, commands: usize) -> TempDir {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
    // Both held at once, or they might be the same.
    let ports = [free(), free()].map(|held| held.local_addr().unwrap().port());
    let script = script(tour, ports);
    assert!(script.matches("whosaw ").count() > commands, "{script}");

    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root.join("examples"), folder.path().join("examples")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_whosaw")).parent().unwrap();
    let path = std::env::join_paths(
        std::iter::once(program.to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let ran = Command::new("bash")
        .args(["-xc", &script])
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .output()
        .unwrap();
    let (out, err) = (ran.stdout, ran.stderr);
    assert!(
        ran.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&out),
        String::from_utf8_lossy(&err)
    );
    folder
}

fn text(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[test]
fn the_tour_can_be_followed_word_for_word() {
    let readme = text("README.md");
    let (_, tour) = readme.split_once("## A tour").expect("the tour");
    let (tour, _) = tour.split_once("## Where to read on").expect("its end");
    let folder = play(tour, 20);
    let evidence = std::fs::read_dir(folder.path().join("evidence")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let clip = std::fs::read(root.join("examples/doorbell.mp4")).unwrap();
    let is_clip = |entry: DirEntry| std::fs::read(entry.path()).is_ok_and(|bytes| bytes == clip);
    assert!(evidence.flatten().any(is_clip), "the agency has the clip");
}

#[test]
fn the_long_tour_can_be_followed_word_for_word() {
    let folder = play(&text("docs/TOUR.md"), 30);
    let fetched = std::fs::read_dir(folder.path().join("clips")).unwrap();
    assert!(fetched.count() > 0, "what was published is fetched");
}
