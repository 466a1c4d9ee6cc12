//! A ledger in operation: its keys change while it runs, and signals.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use whosaw::statement::key::PublicKey;
use whosaw::statement::words::Role;

use super::http::Answer;
use super::ledger::{Ledger, OPEN, Server, done, signed_benefit, until, whosaw};

/// Sends a signal such as `HUP`.
fn signal(server: &Server, name: &str) {
    let pid = server.pid().to_string();
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &pid])
        .status();
    assert!(sent.unwrap().success());
}

fn key_file(ledger: &Ledger, name: &str) -> PathBuf {
    ledger.path("operator/keys").join(format!("{name}.key"))
}

/// The operator's key of a role as it lies in its folder.
fn own_key(ledger: &Ledger, role: Role) -> PublicKey {
    PublicKey::from(&ledger.home("operator").key(role).unwrap())
}

/// What the server answers to a statement that the rules refuse.
fn refusal(ledger: &Ledger) -> Answer {
    let mut benefit = super::ledger::benefit();
    benefit.giver = benefit.receiver.clone();
    let key = ledger.home("vendor").key(Role::Officer).unwrap();
    let head = super::ledger::head_of(super::ledger::VENDOR);
    let envelope = whosaw::statement::sign(&head, &benefit.into(), &[&key]);
    let answer = ledger.submit(&envelope.to_json());
    assert_ne!(answer.problem().1, "no problem", "{answer:?}");
    answer
}

/// Runs a command of the operator's against its running server.
fn operator(ledger: &Ledger, words: &[&str]) -> String {
    let (data, url) = (ledger.file("operator"), ledger.url());
    done(&[&["operator"], words, &["--data", &data, "--server", &url]].concat())
}

/// `keys/admin.key` may be kept elsewhere once the log has begun.
#[test]
fn a_server_needs_the_admin_key_to_begin_a_log_and_never_again() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 2);
    ledger.settle();
    ledger.terminate();
    assert!(ledger.take_server().ended().success());
    let admin = key_file(&ledger, "admin");
    let kept = fs::read(&admin).unwrap();
    fs::remove_file(&admin).unwrap();
    ledger.serve();
    let vendor = ledger.home("vendor");
    assert_eq!(
        ledger.submit(&signed_benefit(&vendor).to_json()).status,
        201
    );
    assert_eq!(refusal(&ledger).signer(), own_key(&ledger, Role::Service));
    until("a batch is logged", || {
        (ledger.figure("whosaw_batches_logged_total") > 0.0).then_some(())
    });
    ledger.examine();

    // A log that has not begun needs it.
    let fresh = Ledger::without_witnesses(|_| {});
    fs::remove_file(key_file(&fresh, "admin")).unwrap();
    let data = fresh.file("operator");
    let begin = [
        "serve",
        "--data",
        &data,
        "--listen",
        "127.0.0.1:0",
        "--unwitnessed",
    ];
    let refused = whosaw(&begin);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("admin.key"), "{}", refused.stderr);
    fs::write(key_file(&fresh, "admin"), kept).unwrap();
}

/// No restart: the next refusal is signed by the new service key, the next batch by the new officer key.
#[test]
fn rotated_keys_sign_without_a_restart() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 2);
    ledger.settle();
    let before = own_key(&ledger, Role::Service);
    assert_eq!(refusal(&ledger).signer(), before);
    operator(&ledger, &["rotate-key", "service"]);
    let after = own_key(&ledger, Role::Service);
    assert_ne!(after, before);
    assert_eq!(refusal(&ledger).signer(), after);
    operator(&ledger, &["rotate-key", "officer"]);
    let logged = ledger.figure("whosaw_batches_logged_total");
    until("two more batches are logged", || {
        (ledger.figure("whosaw_batches_logged_total") >= logged + 2.0).then_some(())
    });
    assert_eq!(ledger.figure("whosaw_batch_failing"), 0.0);
}

/// A key that ends without another: batches fail, which the figures and the log say once, and refusals
/// are not signed by it. With a key that the log accepts both go on.
#[test]
fn keys_that_ended_sign_nothing_and_new_ones_are_found() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 2);
    ledger.settle();
    for (role, reason) in [(Role::Officer, "lost"), (Role::Service, "lost")] {
        let key = own_key(&ledger, role).to_string();
        operator(&ledger, &["revoke-key", &key, "--reason", reason]);
    }
    until("batches fail", || {
        (ledger.figure("whosaw_batch_failing") == 1.0).then_some(())
    });
    let failed = ledger.figure("whosaw_batches_failed_total");
    until("it is tried again", || {
        (ledger.figure("whosaw_batches_failed_total") > failed).then_some(())
    });
    assert_eq!(refusal(&ledger).header("signature"), "");
    let log = fs::read_to_string(ledger.path("serve.log")).unwrap();
    let said = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(said("a batch was not logged"), 1, "{log}");
    assert_eq!(said("no key of the operator may sign"), 2, "{log}");

    for role in [Role::Officer, Role::Service] {
        let file = ledger.file(&format!("{role}.new"));
        let mut add = vec!["add-key", role.code(), "-o", &file];
        if role == Role::Officer {
            add.extend(["--label", "server-2"]);
        }
        operator(&ledger, &add);
        fs::rename(&file, key_file(&ledger, role.code())).unwrap();
    }
    signal(ledger.server(), "HUP");
    until("batches are logged", || {
        (ledger.figure("whosaw_batch_failing") == 0.0).then_some(())
    });
    let signer = until("refusals are signed", || {
        let answer = refusal(&ledger);
        (!answer.header("signature").is_empty()).then(|| answer.signer())
    });
    assert_eq!(signer, own_key(&ledger, Role::Service));
    ledger.verify();
}

/// SIGTERM waits for a body that is on its way; a second one does not. What was acknowledged is there.
#[test]
fn a_second_signal_ends_a_server_at_once() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let envelope = signed_benefit(&ledger.home("vendor"));
    assert_eq!(ledger.submit(&envelope.to_json()).status, 201);
    let mut slow = TcpStream::connect(ledger.authority()).unwrap();
    let head = "POST /api/v1/statements HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).unwrap();
    until("the body is waited for", || {
        (ledger.figure("whosaw_connections") >= 1.0).then_some(())
    });
    signal(ledger.server(), "TERM");
    until("it is ending", || {
        let log = fs::read_to_string(ledger.path("serve.log")).unwrap();
        log.contains("ending: SIGTERM").then_some(())
    });
    let server = ledger.take_server();
    signal(&server, "TERM");
    assert_eq!(server.ended().code(), Some(128 + 15));
    drop(slow);
    ledger.serve_with(OPEN);
    assert_eq!(ledger.submit(&envelope.to_json()).status, 200);
}
