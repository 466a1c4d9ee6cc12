//! The server as an operator expects it: one at a time, a clean end, slow senders cut off.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::ledger::Ledger;
use crate::support::{Outcome, command, run};

fn outcome(ledger: &Ledger, line: &str) -> Outcome {
    Outcome::of(command(&ledger.root, line).output().unwrap())
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let mut ledger = Ledger::new();
    ledger.serve();
    let second = outcome(&ledger, "serve --data operator --listen 127.0.0.1:0");
    assert_eq!(second.code, 2);
    assert!(
        second.err.contains("another process works on"),
        "{}",
        second.err
    );
    let other = outcome(
        &ledger,
        "serve --data operator --listen 127.0.0.1:0 --origin other.example/log",
    );
    assert!(
        other.err.contains("ledger.example/log, for life"),
        "{}",
        other.err
    );
    let open = outcome(&ledger, "serve --data operator --listen 0.0.0.0:0");
    assert!(open.err.contains("--behind-tls"), "{}", open.err);
}

#[test]
fn a_ledger_without_witnesses_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    run(
        folder.path(),
        "operator init --data operator --origin ledger.example/log --party operator.example --name Operator --jurisdiction US-FL",
    );
    let serve = command(folder.path(), "serve --data operator --listen 127.0.0.1:0")
        .output()
        .unwrap();
    let said = String::from_utf8(serve.stderr).unwrap();
    assert_eq!(serve.status.code(), Some(2));
    assert!(said.contains("quorum is `none`"), "{said}");
    for key in ["admin", "officer", "service", "log"] {
        let path = folder.path().join(format!("operator/keys/{key}.key"));
        assert_eq!(
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let admin = folder.path().join("operator/keys/admin.key");
    std::fs::set_permissions(&admin, std::fs::Permissions::from_mode(0o644)).unwrap();
    let policy = folder.path().join("operator/log.policy");
    let text = std::fs::read_to_string(&policy).unwrap();
    assert!(text.contains("quorum none"));
}

#[test]
fn what_was_accepted_is_finished_on_sigterm() {
    let mut ledger = Ledger::serving();
    let accepted = std::thread::scope(|scope| {
        let shared = &ledger;
        let senders: Vec<_> = (0..4u32)
            .map(|sender| {
                scope.spawn(move || {
                    let mut accepted = Vec::new();
                    for n in 1.. {
                        let body = shared.signed(shared.benefit(sender * 100_000 + n));
                        match shared.try_post("/api/v1/statements", &body) {
                            Ok(answer) if answer.status == 201 => {
                                accepted.push(answer.json()["id"].as_str().unwrap().to_owned());
                            }
                            _ => return accepted,
                        }
                    }
                    accepted
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        let pid = shared.server_id().to_string();
        assert!(
            std::process::Command::new("kill")
                .arg(pid)
                .status()
                .unwrap()
                .success()
        );
        senders
            .into_iter()
            .flat_map(|sender| sender.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(ledger.wait().success());
    assert!(!accepted.is_empty());
    let listed = run(
        &ledger.root,
        "log list --json --log operator/log --policy operator/log.policy",
    );
    for id in accepted {
        assert!(listed.contains(&id), "{id} was accepted");
    }
}

#[test]
fn slow_senders_are_cut_off() {
    let mut ledger = Ledger::new();
    ledger.serve();
    let started = Instant::now();
    let mut slow = TcpStream::connect(&ledger.address).unwrap();
    slow.write_all(b"POST /api/v1/statements HTTP/1.1\r\nHost: a\r\n")
        .unwrap();
    let mut stalled = TcpStream::connect(&ledger.address).unwrap();
    stalled
        .write_all(b"POST /api/v1/statements HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        .unwrap();
    for stream in [&mut slow, &mut stalled] {
        stream
            .set_read_timeout(Some(Duration::from_secs(25)))
            .unwrap();
        let mut answer = Vec::new();
        // An answer or none: the connection ends.
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1 2"));
    }
    assert!(
        started.elapsed() < Duration::from_secs(25),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        ledger.get("/healthz").status,
        200,
        "others are served meanwhile"
    );
}

#[test]
fn without_its_quorum_the_log_waits_and_resumes_by_itself() {
    let mut ledger = Ledger::serving();
    ledger.stop_a_witness();
    let answer = ledger.post("/api/v1/statements", &ledger.signed(ledger.benefit(1)));
    assert_eq!(answer.status, 202);
    let logged = answer.json();
    assert!(logged.get("proof").is_none());
    let proof = format!("/api/v1/proofs/{}", logged["id"].as_str().unwrap());
    assert_eq!(ledger.get(&proof).status, 202);
    ledger.start_the_witness();
    let until = Instant::now() + Duration::from_secs(20);
    while ledger.get(&proof).status != 200 {
        assert!(Instant::now() < until, "publishing resumes by itself");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(ledger.get("/healthz").json()["status"], "ok");
}

#[test]
fn the_operator_declares_other_limits() {
    let ledger = Ledger::serving();
    let limits = std::fs::read_to_string(ledger.root.join("limits.json")).unwrap();
    let wider = limits.replace("\"window_minutes\":720", "\"window_minutes\":900");
    assert_ne!(wider, limits);
    std::fs::write(ledger.root.join("wider.json"), wider).unwrap();
    let line = format!(
        "operator limits wider.json --data operator --server {}",
        ledger.url()
    );
    let said = run(&ledger.root, &line);
    assert!(
        said.contains("900 minutes") && said.contains("proof verified"),
        "{said}"
    );
}
