//! A ledger in operation: its keys change while it runs, and signals.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use whosaw::statement::key::PublicKey;
use whosaw::statement::words::Role;

use super::http::{Answer, Call};
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

/// `/readyz` as it is answered: its status, and the names of the checks that do not hold.
fn readiness(ledger: &Ledger) -> (u16, Vec<String>) {
    let answer = get(ledger, "/readyz");
    let health = answer.json();
    let failing = health["checks"].as_array().unwrap().iter();
    let failing = failing.filter(|check| check["ok"] == false);
    let name = |check: &Value| check["name"].as_str().unwrap().to_owned();
    let failing: Vec<String> = failing.map(name).collect();
    assert_eq!(health["ready"], failing.is_empty(), "{health}");
    (answer.status, failing)
}

fn get(ledger: &Ledger, path: &str) -> Answer {
    ledger.send(&Call::new("GET", path, []))
}

/// With its witnesses dead the ledger is alive, and serves what is there; it is not ready once the
/// checkpoint is older than three renewals. Each change is one line of the log.
#[test]
fn liveness_and_readiness_are_apart() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.terminate();
    ledger.take_server().ended();
    ledger.serve_with(&[OPEN, &["--renew", "1"]].concat());
    let ready = |ledger: &Ledger| (readiness(ledger).0 == 200).then_some(());
    until("ready", || ready(&ledger));
    assert_eq!(ledger.figure("whosaw_ready"), 1.0);
    let listened = [0, 1].map(|place| ledger.kill_witness(place));
    let failing = until("not ready", || {
        let (status, failing) = readiness(&ledger);
        (status == 503).then_some(failing)
    });
    assert_eq!(failing, ["stale-checkpoint"]);
    for path in [
        "/livez",
        "/healthz",
        "/",
        "/log/checkpoint",
        "/api/v1/findings",
    ] {
        assert_eq!(get(&ledger, path).status, 200, "{path}");
    }
    assert_eq!(get(&ledger, "/livez").json()["status"], "ok");
    assert_eq!(
        get(&ledger, "/healthz").json()["status"],
        "stale-checkpoint"
    );
    assert_eq!(ledger.figure("whosaw_ready"), 0.0);
    let stale = r#"whosaw_condition{condition="stale-checkpoint"}"#;
    assert_eq!(ledger.figure(stale), 1.0);
    until("it was tried again and again", || {
        let tried = ledger.figure("whosaw_checkpoints_without_quorum_total");
        (tried >= 3.0).then_some(())
    });
    for (place, listened) in listened.iter().enumerate() {
        ledger.start_witness(place, listened);
    }
    until("ready again", || ready(&ledger));
    ledger.terminate();
    assert!(ledger.take_server().ended().success());
    let log = fs::read_to_string(ledger.path("serve.log")).unwrap();
    for line in [
        "witness north is away: cannot be reached",
        "witness south is away: cannot be reached",
        "no checkpoint is published",
        "witness north is back",
        "witness south is back",
        "checkpoints are published again",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}: {log}");
    }
}

/// The names of figures in a text: words that begin with `whosaw_` or `process_`.
fn figures_named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_figure = |word: &&str| word.starts_with("whosaw_") || word.starts_with("process_");
    words.filter(is_figure).map(str::to_owned).collect()
}

/// What alerts, dashboard and handbook name exists from the start, and the handbook names all there is.
#[test]
fn figures_that_are_named_exist_from_the_start() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    let address = ledger.metrics_address();
    let metrics = Call::new("GET", "/metrics", []).send(&address).unwrap();
    let metrics = String::from_utf8(metrics.body).unwrap();
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    let samples: BTreeSet<&str> = samples.filter_map(|l| l.split(['{', ' ']).next()).collect();
    // A histogram is named by itself too.
    let families = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let histograms = families.filter_map(|line| line.strip_suffix(" histogram"));
    let known: BTreeSet<&str> = samples.iter().copied().chain(histograms).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let (_, handbook) = text("docs/OPERATIONS.md")
        .split_once("## Figures")
        .map(own)
        .unwrap();
    let handbook = handbook
        .split("## What is never logged")
        .next()
        .unwrap()
        .to_owned();
    let dashboard = text("contrib/grafana/dashboard.json");
    for (what, text) in [
        ("alerts", text("contrib/prometheus/alerts.yml")),
        ("their tests", text("contrib/prometheus/alerts-test.yml")),
        ("dashboard", dashboard.clone()),
        ("handbook", handbook.clone()),
    ] {
        let named = figures_named(&text);
        assert!(named.len() > 10, "{what}: {named:?}");
        let unknown: Vec<_> = named
            .iter()
            .filter(|name| !known.contains(&***name))
            .collect();
        assert_eq!(unknown, Vec::<&String>::new(), "{what}");
    }
    let named = figures_named(&handbook);
    let whole = |name: &str| {
        let mut of = ["_bucket", "_count", "_sum"].iter();
        let of = of.find_map(|ending| name.strip_suffix(ending));
        named.contains(of.unwrap_or(name)) || named.contains(name)
    };
    // A debug build counts what it allocates; no operator runs one.
    let missing = samples
        .iter()
        .filter(|name| !name.starts_with("whosaw_allocated"));
    let missing: Vec<_> = missing.filter(|name| !whole(name)).collect();
    assert_eq!(missing, Vec::<&&str>::new(), "the handbook lacks them");

    // Labels whose values are known from the start have all of them.
    for series in [
        r#"whosaw_statements_refused_total{reason="log-closed"} 0"#,
        r#"whosaw_limited_total{limit="party-limit"} 0"#,
        r#"whosaw_http_responses_total{route="clips",class="5xx"} 0"#,
        r#"whosaw_condition{condition="clock-behind"} 0"#,
    ] {
        assert!(metrics.lines().any(|line| line == series), "{series}");
    }
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|p| p["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "an id twice");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        let asks = |target: &Value| target["expr"].as_str().is_some_and(|e| !e.is_empty());
        assert!(targets.iter().all(asks), "{panel}");
    }
}

fn own((before, after): (&str, &str)) -> (String, String) {
    (before.to_owned(), after.to_owned())
}
