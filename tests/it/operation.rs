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
use super::ledger::{Ledger, OPEN, Ran, Server, done, signed_benefit, until, whosaw};

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
        operator(&ledger, &["revoke-key", &key, "--reason", reason, "--yes"]);
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
    // A key that is revoked while a batch is signed is a reason of its own; each reason is told once.
    assert_eq!(said("code=\"no-signing-key\""), 1, "{log}");
    assert!(said("a batch was not logged") <= 2, "{log}");
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

/// A batch that failed is no reason against a closed log, which owes none; and none is counted as logged.
#[test]
fn a_closed_log_is_ready_after_a_batch_that_failed() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 2);
    let key = own_key(&ledger, Role::Officer).to_string();
    operator(&ledger, &["revoke-key", &key, "--reason", "lost", "--yes"]);
    until("batches fail", || {
        (readiness(&ledger) == (503, vec!["batches-fail".to_owned()])).then_some(())
    });
    let logged = ledger.figure("whosaw_batches_logged_total");
    operator(&ledger, &["close", "--reason", "discontinued", "--yes"]);
    until("the closed log is ready", || {
        (readiness(&ledger).0 == 200).then_some(())
    });
    assert_eq!(get(&ledger, "/healthz").json()["status"], "closed");
    assert_eq!(ledger.figure("whosaw_batch_failing"), 0.0);
    assert_eq!(ledger.figure("whosaw_batches_logged_total"), logged);
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

const FILM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/seal/clip.rs");

/// A resident's device, in the folder `name`.
fn resident(ledger: &Ledger, name: &str) {
    let (code, home) = (ledger.file("code"), ledger.file(name));
    fs::write(&code, ledger.enrol_code(64, 10)).unwrap();
    let (url, trust) = (ledger.url(), ledger.file("operator/log.policy"));
    let init = [
        "resident", "init", "--home", &home, "--server", &url, "--trust", &trust,
    ];
    let who = ["--code-file", &code, "--jurisdiction", "US-FL"];
    done(&[&init[..], &who, &["--camera", "front=28.03950,-81.94980"]].concat());
}

/// Seals a clip and uploads it.
fn add_clip(ledger: &Ledger, name: &str) -> Ran {
    let time = |minutes: &str| format!("2026-01-01T10:{minutes}:00Z");
    let (home, from, until) = (ledger.file(name), time("00"), time("01"));
    let times = ["--from", &from, "--until", &until];
    let add = [
        "resident", "add", FILM, "--home", &home, "--camera", "front",
    ];
    whosaw(&[&add[..], &times].concat())
}

/// Where uploads would leave less than the reserve they get 507 and the operator an alarm; statements,
/// batches and reads go on.
#[test]
fn a_full_disk_refuses_uploads_and_not_the_log() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 2);
    ledger.settle();
    ledger.terminate();
    ledger.take_server().ended();
    // More than any disk has.
    ledger.serve_with(&[OPEN, &["--min-free", "1000000000000000000"]].concat());
    resident(&ledger, "full");
    let refused = add_clip(&ledger, "full");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("nearly full"), "{}", refused.stderr);
    let vendor = ledger.home("vendor");
    let (status, _) = super::pressure::upload(&ledger, &vendor, b"a contract", "text/plain");
    assert_eq!(status, 507);
    assert_eq!(readiness(&ledger), (503, vec!["disk-low".to_owned()]));
    let low = r#"whosaw_condition{condition="disk-low"}"#;
    assert_eq!(ledger.figure(low), 1.0);
    let free = ledger.figure(r#"whosaw_disk_free_bytes{volume="clips"}"#);
    assert!(0.0 < free && free < 1e18, "{free}");
    assert_eq!(
        ledger.submit(&signed_benefit(&vendor).to_json()).status,
        201
    );
    let logged = ledger.figure("whosaw_batches_logged_total");
    until("a batch is logged", || {
        (ledger.figure("whosaw_batches_logged_total") > logged).then_some(())
    });
    assert_eq!(get(&ledger, "/").status, 200);

    // With room again, uploads are taken.
    ledger.terminate();
    ledger.take_server().ended();
    ledger.serve_with(&[OPEN, &["--min-free", "0"]].concat());
    let (status, _) = super::pressure::upload(&ledger, &vendor, b"a contract", "text/plain");
    assert_eq!(status, 201);
    resident(&ledger, "room");
    let added = add_clip(&ledger, "room");
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    assert!(readiness(&ledger).1.is_empty());
}

/// Files below a folder.
fn files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return usize::from(folder.is_file());
    };
    entries.map(|entry| files(&entry.unwrap().path())).sum()
}

/// `--clips` names a folder on another volume, which has its own staging; a server does not start
/// beside vaults whose clips are not there.
#[test]
fn clips_lie_on_another_volume() {
    let mut ledger = Ledger::start(|_| {});
    ledger.terminate();
    ledger.take_server().ended();
    // Another file system, where the machine has one at hand.
    let memory = Path::new("/dev/shm");
    let volume = tempfile::tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let folder = volume.path().to_str().unwrap().to_owned();
    let elsewhere = [OPEN, &["--min-free", "0", "--clips", &folder]].concat();
    ledger.serve_with(&elsewhere);
    resident(&ledger, "me");
    let added = add_clip(&ledger, "me");
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let clips = volume.path().join("clips");
    assert_eq!(files(&clips), 3);
    assert_eq!(files(&ledger.path("operator/clips")), 0);
    assert!(volume.path().join("staging").is_dir());
    // Two servers do not share a folder: each would empty the other's staging.
    let other = Ledger::without_witnesses(|_| {});
    let shared = ["--unwitnessed", "--clips", &folder];
    assert!(other.try_serve(&[], &shared).is_none());

    ledger.terminate();
    ledger.take_server().ended();
    let refused = |ledger: &Ledger, options: &[&str]| {
        assert!(ledger.try_serve(&[], options).is_none());
        let log = fs::read_to_string(ledger.path("serve.log")).unwrap();
        assert!(log.contains("vaults.db lists clips"), "{log}");
        fs::write(ledger.path("serve.log"), "").unwrap();
    };
    refused(&ledger, OPEN);
    let unmounted = volume.path().join("unmounted");
    fs::rename(&clips, &unmounted).unwrap();
    refused(&ledger, &elsewhere);
    fs::rename(&unmounted, &clips).unwrap();
    ledger.serve_with(&elsewhere);
    assert_eq!(files(&clips), 3);
}
