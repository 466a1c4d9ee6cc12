//! Films that are longer than a clip may be: refused, or split by ffmpeg, which a script plays here. The real one is
//! in `tests/installed-programs.sh`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;
use whosaw::digest::Digest;

use super::ledger::{Ledger, Ran};

/// What the script's parts say.
const PARTS: usize = 3;

struct World {
    ledger: Ledger,
}

impl World {
    fn new() -> Self {
        let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
        ledger.resident("me", &ledger.url(), &ledger.enrol_code(64, 8));
        fs::create_dir(ledger.path("bin")).unwrap();
        fs::write(ledger.path("film.mp4"), "a film of an hour").unwrap();
        Self { ledger }
    }

    /// Puts a script in the place of ffmpeg.
    fn ffmpeg(&self, script: &str) {
        let path = self.ledger.path("bin/ffmpeg");
        let args = self.ledger.file("args");
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >{args}\n{script}");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Adds an hour of film with these words besides, and no ffmpeg but the script's in reach.
    fn add(&self, words: &[&str]) -> Ran {
        self.run(
            &[
                &[
                    "add",
                    &self.ledger.file("film.mp4"),
                    "--camera",
                    "front",
                    "--from",
                    "2019-07-30T20:00:00Z",
                    "--until",
                    "2019-07-30T21:00:01Z",
                    "--json",
                ],
                words,
            ]
            .concat(),
        )
    }

    fn run(&self, words: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whosaw"));
        command.arg("resident").args(words);
        command.args(["--home", &self.ledger.file("me")]);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.ledger.file("bin")));
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The clips that the device has.
    fn clips(&self) -> Vec<Value> {
        let report = self.run(&["report", "--json"]);
        let report: Value = serde_json::from_str(&report.stdout).unwrap();
        report["clips"].as_array().unwrap().clone()
    }

    /// Files of the device in which nothing may be left of a film.
    fn left_behind(&self) -> Vec<String> {
        let names = fs::read_dir(self.ledger.path("me")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".new-")).collect()
    }
}

#[test]
fn a_film_that_is_too_long_is_split_and_its_parts_name_the_original() {
    let world = World::new();
    let whole = world.add(&[]);
    assert_eq!(whole.code, Some(2));
    assert!(whole.stderr.contains("--split"), "{}", whole.stderr);
    world.ffmpeg(&format!(
        "for n in $(seq 0 {}); do\n\
         printf 'part %s' $n >00000$n.mp4\n\
         echo \"00000$n.mp4,$((n * 1200)).5,$((n * 1200 + 1200)).5\" >>parts.csv\n\
         done\n",
        PARTS - 1
    ));
    let added = world.add(&["--split"]);
    assert_eq!(added.code, Some(0), "{}{}", added.stdout, added.stderr);
    let added: Value = serde_json::from_str(&added.stdout).unwrap();
    let film = fs::read(world.ledger.path("film.mp4")).unwrap();
    let sha256 = Digest::of(&film).to_string();
    assert_eq!(added["original"]["sha256"], sha256.as_str());
    let clips = added["clips"].as_array().unwrap();
    let times: Vec<_> = clips
        .iter()
        .map(|clip| [&clip["from"], &clip["until"]].map(|time| time.as_str().unwrap()))
        .collect();
    let expected = [
        ["2019-07-30T20:00:00Z", "2019-07-30T20:20:00Z"],
        ["2019-07-30T20:20:00Z", "2019-07-30T20:40:00Z"],
        ["2019-07-30T20:40:00Z", "2019-07-30T21:00:00Z"],
    ];
    assert_eq!(times, expected);
    // The streams as they are, cut at key frames.
    let args = fs::read_to_string(world.ledger.path("args")).unwrap();
    assert!(args.contains("\n-c\ncopy\n"), "{args}");
    assert!(args.contains("\n-segment_time\n1200\n"), "{args}");
    assert!(!args.contains("break_non_keyframes"), "{args}");

    assert_eq!(world.left_behind(), Vec::<String>::new());
    let out = world.ledger.file("second.mp4");
    let second = clips[1]["clip"].as_str().unwrap();
    let opened = world.run(&["open", second, "-o", &out]);
    assert_eq!(fs::read(&out).unwrap(), b"part 1");
    for told in ["part 2 of 3", sha256.as_str(), "signature"] {
        assert!(opened.stdout.contains(told), "{told}: {}", opened.stdout);
    }
}

#[test]
fn what_ffmpeg_cannot_do_is_said_and_leaves_nothing() {
    let world = World::new();
    // Nothing else in reach has this name.
    let path = format!("{}:{}", world.ledger.file("bin"), world.ledger.file("none"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_whosaw"));
    command.args(["resident", "add", &world.ledger.file("film.mp4")]);
    command.args(["--home", &world.ledger.file("me"), "--camera", "front"]);
    command.args(["--from", "2019-07-30T20:00:00Z"]);
    command.args(["--until", "2019-07-30T22:00:00Z", "--split"]);
    let missing = command.env("PATH", path).output().unwrap();
    let said = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(2), "{said}");
    assert!(said.contains("needs ffmpeg"), "{said}");

    for (script, why) in [
        (
            "echo 'moov atom not found' >&2; exit 1",
            "moov atom not found",
        ),
        ("echo secret >000000.mp4; kill -9 $$", "did not split"),
        ("true", "parts.csv"),
        ("echo '../x,0,1' >parts.csv", "list of parts"),
    ] {
        world.ffmpeg(script);
        let refused = world.add(&["--split"]);
        assert_eq!(refused.code, Some(2), "{script}: {}", refused.stdout);
        assert!(refused.stderr.contains(why), "{script}: {}", refused.stderr);
        assert_eq!(world.left_behind(), Vec::<String>::new(), "{script}");
    }
    assert_eq!(world.clips(), Vec::<Value>::new());
}

/// Parts are plaintext. What a program that was killed left of them goes when the next one begins.
#[test]
fn parts_of_a_split_that_was_killed_are_removed() {
    let world = World::new();
    let left = world.ledger.path("me/.new-key-killed");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("000000.mp4"), "a film").unwrap();
    assert_eq!(world.left_behind().len(), 1);
    assert_eq!(world.clips(), Vec::<Value>::new());
    assert_eq!(world.left_behind(), Vec::<String>::new());
}

#[test]
fn a_film_that_is_short_enough_stays_as_it_is() {
    let world = World::new();
    world.ffmpeg("exit 1");
    let film = world.ledger.file("film.mp4");
    let added = world.run(&[
        "add",
        &film,
        "--camera",
        "front",
        "--from",
        "2019-07-30T20:00:00Z",
        "--until",
        "2019-07-30T21:00:00Z",
        "--split=60",
        "--json",
    ]);
    assert_eq!(added.code, Some(0), "{}{}", added.stdout, added.stderr);
    let added: Value = serde_json::from_str(&added.stdout).unwrap();
    assert_eq!(added["original"], Value::Null);
    assert_eq!(added["clips"].as_array().unwrap().len(), 1);
    let film = Digest::of(fs::read(&film).unwrap());
    assert_eq!(added["clips"][0]["sha256"], film.to_string());
}
