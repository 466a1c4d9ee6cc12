//! The log on standard error: what becomes of a server when nothing takes its lines.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use whosaw::digest::StatementId;

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

/// A command whose answer cannot be written says on standard error what it has put into the log: alone, as one of
/// many, and as a party's own command.
#[test]
fn what_was_logged_is_told_although_the_answer_cannot_be_written() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let vendor = ledger.home("vendor");
    let (url, trust) = (ledger.url(), ledger.file("operator/log.policy"));
    let server = ["--server", &url, "--trust", &trust];
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let (one, many) = (ledger.file("one.dsse"), ledger.file("many.jsonl"));
    let home = ledger.file("vendor");
    let say = [
        "vendor",
        "say",
        "--home",
        &home,
        "benefit",
        "kind=equipment",
    ];
    let about = [
        "giver=doorbell.example",
        "receiver=lakelandgov.example",
        "effective_on=today",
    ];
    let ways: [(&dyn Fn() -> Stdio, &str); 2] = [(&full, "count=7"), (&closed, "count=8")];
    for (stdout, count) in ways {
        let envelopes: Vec<_> = (0..3).map(|_| signed_benefit(&vendor)).collect();
        let ids = envelopes
            .iter()
            .map(|one| StatementId::of_payload(&one.payload));
        let ids: Vec<StatementId> = ids.collect();
        std::fs::write(&one, envelopes[0].to_json()).unwrap();
        let lines = envelopes[1..].iter().map(|envelope| envelope.to_json());
        std::fs::write(&many, lines.collect::<Vec<_>>().join(&b'\n')).unwrap();
        let submit = |file| [&["submit", file], &server[..]].concat();
        for (command, ids) in [(submit(&one), &ids[..1]), (submit(&many), &ids[1..])] {
            let mut whosaw = Command::new(env!("CARGO_BIN_EXE_whosaw"));
            let ran = whosaw.args(&command).stdout(stdout()).output().unwrap();
            let said = String::from_utf8(ran.stderr).unwrap();
            assert_eq!(ran.status.code(), Some(2), "{said}");
            assert!(said.starts_with("error: standard output: "), "{said}");
            for id in ids {
                let lines = said
                    .lines()
                    .filter(|line| line.starts_with("in the log as entry "));
                let told = lines
                    .filter(|line| line.ends_with(&format!(": {id}")))
                    .count();
                assert_eq!(told, 1, "{id}: {said}");
            }
        }
        let size = ledger.size();
        let mut whosaw = Command::new(env!("CARGO_BIN_EXE_whosaw"));
        whosaw
            .args(say)
            .args(about)
            .args(["item=doorbell-camera", count]);
        let ran = whosaw.stdout(stdout()).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(2), "{said}");
        assert!(
            said.contains(&format!("in the log as entry {size}: ")),
            "{said}"
        );
    }
    // A command that reads alone has nothing else to say.
    let log = format!("{url}/log");
    let list = ["log", "list", "--log", &log, "--policy", &trust];
    for stdout in [full(), closed()] {
        let mut whosaw = Command::new(env!("CARGO_BIN_EXE_whosaw"));
        let ran = whosaw.args(list).stdout(stdout).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(
            (ran.status.code(), said.lines().count()),
            (Some(2), 1),
            "{said}"
        );
    }
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
    for stdout in [Stdio::from(writer), full.into()] {
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
        assert!(named, "{lines:?}");
    }
}

/// std's macros panic where nothing takes what they print, and nothing would say what was logged: whatever a command
/// prints goes through `cli::output`, whose macros of the same names shadow them in `cli` alone.
#[test]
fn nothing_is_printed_but_by_output() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let output = source.join("cli/output.rs");
    let (mut folders, mut seen) = (vec![source.clone()], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let in_cli = path.starts_with(source.join("cli"));
            for line in text.lines().filter(|_| path != output) {
                let code = line.split("//").next().unwrap_or_default();
                let macros = ["print!(", "println!(", "dbg!("];
                let by_macro = macros.iter().any(|name| code.contains(name));
                let qualified = code.contains("std::print") || code.contains("std::eprint");
                let direct = code.contains("stdout()") && !code.contains("is_terminal()");
                seen += usize::from(by_macro);
                let printed = by_macro && !in_cli || qualified || direct;
                assert!(!printed, "{}: {line}", path.display());
            }
        }
    }
    assert!(seen > 100, "the commands print");
}
