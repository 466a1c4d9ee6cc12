//! The log on standard error: what becomes of a server when nothing takes its lines.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::http::Call;
use super::ledger::{Ledger, OPEN, signed_benefit, until};

/// The ways in which standard error takes nothing.
pub fn broken() -> [(&'static str, Stdio); 3] {
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let (reader, mut full) = std::io::pipe().unwrap();
    let stalled = full.try_clone().unwrap();
    std::thread::spawn(move || {
        // Keeps the pipe full; the thread ends with the process of the test.
        let _reader = reader;
        while full.write_all(&[b' '; 4096]).is_ok() {}
    });
    let disk = File::options().write(true).open("/dev/full").unwrap();
    [
        ("a closed pipe", closed.into()),
        ("a full pipe", stalled.into()),
        ("a full disk", disk.into()),
    ]
}

/// Warnings that nothing takes are counted, and end nothing: the log goes on, and publishes when the
/// witness is back.
#[test]
fn no_log_line_ends_the_ledger() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let vendor = ledger.home("vendor");
    let options = [OPEN, &["--renew", "1"]].concat();
    for (what, errors) in broken() {
        ledger.terminate();
        ledger.take_server().ended();
        ledger.serve_logging_to(&options, errors);
        let listened = ledger.kill_witness(1);
        until("a lost line is counted", || {
            (ledger.figure("whosaw_log_lines_lost_total") > 0.0).then_some(())
        });
        ledger.start_witness(1, &listened);
        let answer = ledger.submit(&signed_benefit(&vendor).to_json());
        assert_eq!(answer.status, 201, "{what}: {answer:?}");
    }
    ledger.terminate();
    assert_eq!(ledger.take_server().ended().code(), Some(0));
    ledger.verify();
}

/// An answer that standard output does not take is an error of the command, and no panic.
#[test]
fn a_full_disk_under_standard_output_is_an_error() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let program = env!("CARGO_BIN_EXE_whosaw");
    let say = ["operator", "say", "--data", ".", "--server", "x"];
    let mut command = Command::new(program);
    let ran = command.args(say).stdout(full()).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(said.starts_with("error: standard output: "), "{said}");
    // Where standard error takes nothing either, the exit code still says it.
    let mut command = Command::new(program);
    let ran = command.args(say).stdout(full()).stderr(full()).status();
    assert_eq!(ran.unwrap().code(), Some(2));
    let mut command = Command::new(program);
    let ran = command
        .args(["log", "verify"])
        .args(["--log", "/nowhere", "--policy", "/nowhere"]);
    assert_eq!(ran.stderr(full()).status().unwrap().code(), Some(2));
}

/// A server that cannot print its address serves all the same, and its log names the address.
#[test]
fn a_server_starts_although_standard_output_takes_nothing() {
    let mut ledger = Ledger::start(|_| {});
    ledger.terminate();
    ledger.take_server().ended();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for (stdout, log) in [(Stdio::from(writer), None), (full.into(), Some("address"))] {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let errors = ledger.path("start.log");
        let mut server = Command::new(env!("CARGO_BIN_EXE_whosaw"))
            .args([
                "serve",
                "--data",
                &ledger.file("operator"),
                "--listen",
                &address,
            ])
            .args(["--log-format", "json"])
            .stdout(stdout)
            .stderr(File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        until("it answers", || {
            assert_eq!(server.try_wait().unwrap(), None, "it ended");
            let health = Call::new("GET", "/healthz", []).send(&address).ok()?;
            (health.status == 200).then_some(())
        });
        let pid = server.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        assert_eq!(server.wait().unwrap().code(), Some(0));
        let lines = std::fs::read_to_string(&errors).unwrap();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        assert!(
            lines.iter().all(|line| line["level"].is_string()),
            "{lines:?}"
        );
        let named = lines.iter().any(|line| line["address"] == address);
        assert_eq!(named, log.is_some(), "{lines:?}");
    }
}
