//! log.policy changes while the server runs: which witnesses it asks, and when it refuses to.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use whosaw::party::operator::Operator;
use whosaw::tlog::policy::{Policy, PolicyWitness};

use super::http::Call;
use super::ledger::{Ledger, OPEN, Server, done, figure, proven, signed_benefit};

/// A witness that is none of the ledger's own.
struct Other {
    server: Server,
    line: PolicyWitness,
}

fn other(ledger: &Ledger, name: &str) -> Other {
    let data = ledger.file(name);
    let host = format!("{name}.example");
    let vkeys = done(&["witness", "init", "--data", &data, "--name", &host]);
    let server = serve(ledger, name);
    let line = PolicyWitness {
        name: name.to_owned(),
        key: vkeys.lines().next().unwrap().parse().unwrap(),
        url: Some(format!("http://{}", server.authority)),
    };
    Other { server, line }
}

fn serve(ledger: &Ledger, name: &str) -> Server {
    let (data, vkey) = (ledger.file(name), ledger.file("operator/log.vkey"));
    let listen = "127.0.0.1:0";
    let args = [
        "witness", "serve", "--data", &data, "--log", &vkey, "--listen", listen,
    ];
    Server::start_with(&args, Stdio::null())
}

/// Writes an operator's log.policy, which names the log's address from then on.
fn set(ledger: &Ledger, witnesses: &[&PolicyWitness], quorum: usize) {
    let operator = Operator::open(&ledger.path("operator")).unwrap();
    let witnesses = witnesses.iter().map(|line| (*line).clone()).collect();
    let mut logs = operator.home().policy().unwrap().logs().to_vec();
    for log in &mut logs {
        log.url = Some("https://ledger.example/log".to_owned());
    }
    let policy = Policy::of(logs, witnesses, quorum).unwrap();
    operator.set_policy(&policy).unwrap();
}

const TAKEN: &str = "these witnesses are asked now";
const REFUSED: &str = "the one before stays in force";

fn health(ledger: &Ledger) -> Value {
    ledger.send(&Call::new("GET", "/healthz", [])).json()
}

/// Submits a statement, which is proven under the policy on the disk.
fn submit(ledger: &Ledger) {
    let envelope = signed_benefit(&ledger.home("vendor"));
    let answer = ledger.submit(&envelope.to_json());
    proven(&answer, &ledger.policy(), &envelope);
}

#[test]
fn a_witness_is_replaced_and_moved_without_a_restart() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let north = ledger.policy().witnesses()[0].clone();
    let mut west = other(&ledger, "west");
    ledger.kill_witness(1);

    set(&ledger, &[&north, &west.line], 2);
    let said = ledger.reload(TAKEN);
    assert!(said.contains("north west"), "{said}");
    submit(&ledger);
    let now = health(&ledger);
    assert_eq!(now["status"], "ok", "{now}");
    assert_eq!(now["witnesses"]["west"], "cosigned", "{now}");
    assert!(now["witnesses"]["south"].is_null(), "{now}");
    let metrics = Call::new("GET", "/metrics", []).send(&ledger.metrics_address());
    let metrics = String::from_utf8(metrics.unwrap().body).unwrap();
    let missing = |name: &str| {
        figure(
            &metrics,
            &format!("whosaw_witness_missing{{witness=\"{name}\"}}"),
        )
    };
    assert_eq!(missing("west"), Some(0.0), "{metrics}");
    assert_eq!(missing("south"), None, "{metrics}");

    // The same witness at another address.
    west.server.kill();
    west.server = serve(&ledger, "west");
    west.line.url = Some(format!("http://{}", west.server.authority));
    set(&ledger, &[&north, &west.line], 2);
    ledger.reload(TAKEN);
    submit(&ledger);
    assert_eq!(health(&ledger)["status"], "ok");

    // While the log grows, a witness may have cosigned more than the server had when it asked.
    let east = other(&ledger, "east");
    set(&ledger, &[&north, &west.line, &east.line], 2);
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !end.load(Ordering::Relaxed) {
                    submit(&ledger);
                }
            });
        }
        ledger.reload(TAKEN);
        end.store(true, Ordering::Relaxed);
    });
    submit(&ledger);
    assert_eq!(health(&ledger)["witnesses"].as_object().unwrap().len(), 3);
    ledger.examine();
}

/// What is refused changes nothing: the log goes on with the witnesses that it had.
#[test]
fn a_policy_that_the_log_may_not_have_is_refused() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let path = ledger.path("operator/log.policy");
    let good = fs::read(&path).unwrap();
    let west = other(&ledger, "west");
    let silent = west.line.clone();
    west.server.kill();
    let elsewhere = Ledger::without_witnesses(|_| {});
    let north = ledger.policy().witnesses()[0].clone();
    let check = |says: &str| {
        let said = ledger.reload(REFUSED);
        assert!(said.contains(says), "{said}");
        fs::write(&path, &good).unwrap();
        submit(&ledger);
    };
    // Its quorum could have cosigned what this server has not.
    set(&ledger, &[&silent], 1);
    check("too few of its witnesses confirm");
    // The same of one that cannot be asked.
    let unreachable = PolicyWitness {
        url: None,
        ..north.clone()
    };
    let east = other(&ledger, "east");
    set(&ledger, &[&unreachable, &east.line], 1);
    check("north: has no URL");
    // No quorum would be left to date an entry: an address with a slip of the pen.
    let south = ledger.policy().witnesses()[1].clone();
    set(&ledger, &[&north, &south, &silent], 3);
    check("make no quorum");
    set(&ledger, &[], 0);
    check("quorum is `none`");
    set(&elsewhere, &[&north], 1);
    fs::copy(elsewhere.path("operator/log.policy"), &path).unwrap();
    check("does not name the keys");
    fs::write(&path, "log\n").unwrap();
    check("line 1");
    assert_eq!(health(&ledger)["witnesses"].as_object().unwrap().len(), 2);
    ledger.examine();
}

/// A server that waits at its start for witnesses that are gone goes on with others.
#[test]
fn a_start_that_waits_goes_on_under_another_policy() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    ledger.terminate();
    assert!(ledger.take_server().ended().success());
    for place in [0, 1] {
        ledger.kill_witness(place);
    }
    ledger.serve_with(OPEN);
    let vendor = ledger.home("vendor");
    let refused = ledger.submit(&signed_benefit(&vendor).to_json());
    assert_eq!(refused.problem().1, "unconfirmed");
    let west = other(&ledger, "west");
    set(&ledger, &[&west.line], 1);
    ledger.reload(TAKEN);
    submit(&ledger);
    drop(west);
}
