//! The program's own commands under a server that has them wait.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::http::Call;
use super::ledger::{Ledger, done, signed_benefit, until};

const FILM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/doorbell.mp4");

/// Calls until the server takes no more of them.
fn exhaust(ledger: &Ledger) {
    let since = Instant::now();
    while ledger.send(&Call::new("GET", "/healthz", [])).status != 429 {
        assert!(since.elapsed() < Duration::from_secs(60), "never too many");
    }
}

#[test]
fn own_commands_wait_as_long_as_the_server_asks_them_to() {
    let mut ledger = Ledger::start(|_| {});
    ledger.settle();
    let code = ledger.enrol_code(64, 8);
    ledger.take_server().kill();
    ledger.serve_with(&["--rate=1"]);
    let (url, trust, home) = (
        ledger.url(),
        ledger.file("operator/log.policy"),
        ledger.file("me"),
    );
    let log = format!("{url}/log");
    // Reads without a signature, statements, and signed calls with bodies.
    exhaust(&ledger);
    let verified = done(&["log", "verify", "--log", &log, "--policy", &trust]);
    assert!(verified.contains("all holds"), "{verified}");
    exhaust(&ledger);
    ledger.resident("me", &url, &code);
    exhaust(&ledger);
    ledger.add_clip("me", FILM);
    exhaust(&ledger);
    done(&["resident", "sync", "--home", &home]);
}

/// A command that waits says so once on standard error, and for what and how long; its answer is JSON alone.
#[test]
fn a_command_that_waits_says_for_what() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let vendor = ledger.home("vendor");
    let listened = ledger.kill_witness(1);
    ledger.set_ahead(-3000);
    ledger.start_witness(1, &listened);
    until("the server's clock is not confirmed", || {
        let answer = ledger.submit(&signed_benefit(&vendor).to_json());
        (answer.status == 503).then_some(())
    });
    let (file, said) = (ledger.file("benefit.dsse"), ledger.path("said"));
    fs::write(&file, signed_benefit(&vendor).to_json()).unwrap();
    let (url, trust) = (ledger.url(), ledger.file("operator/log.policy"));
    let mut waits = Command::new(env!("CARGO_BIN_EXE_whosaw"));
    waits.args([
        "submit", &file, "--server", &url, "--trust", &trust, "--json",
    ]);
    waits
        .stdout(Stdio::piped())
        .stderr(File::create(&said).unwrap());
    let waits = waits.spawn().unwrap();
    let said = || fs::read_to_string(&said).unwrap();
    until("it says that it waits", || {
        said().ends_with('\n').then_some(())
    });

    ledger.kill_witness(1);
    ledger.set_ahead(0);
    ledger.start_witness(1, &listened);
    let ended = waits.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", said());
    let answer: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert!(answer["index"].is_u64(), "{answer}");
    let said = said();
    assert!(
        said.starts_with("waiting for the server, at most 150 s: "),
        "{said}"
    );
    assert!(
        said.ends_with("[503 /problems/clock-unconfirmed]\n"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// Whoever verifies a log asks for all of its files, and is not treated as one who calls as often.
#[test]
fn the_logs_files_are_not_charged_like_calls() {
    let mut ledger = Ledger::start(|_| {});
    ledger.settle();
    ledger.take_server().kill();
    ledger.serve_with(&["--rate=1"]);
    let get = |path: &str| ledger.send(&Call::new("GET", path, [])).status;
    let size = ledger.size();
    exhaust(&ledger);
    for _ in 0..50 {
        assert_eq!(get(&format!("/log/tile/entries/000.p/{size}")), 200);
        assert_eq!(get(&format!("/log/tile/0/000.p/{size}")), 200);
    }
    let since = Instant::now();
    while get("/log/checkpoint") != 429 {
        assert!(since.elapsed() < Duration::from_secs(60));
    }
}
