//! The program's own commands under a server that lets one address make one call a second.

use std::time::{Duration, Instant};

use super::http::Call;
use super::ledger::{Ledger, done};

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
