//! A ledger after a clean stop, after a backup, and in a copied folder.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use whosaw::digest::Digest;
use whosaw::ledger::{Confirmation, SubmitError};
use whosaw::party::operator::Operator;
use whosaw::statement::Signed;
use whosaw::time::Clock;

use super::http::Call;
use super::ledger::{Ledger, ORIGIN, done, signed_benefit, whosaw};

const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds.
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Copies `ledger.db` as OPERATIONS says, while the server runs.
fn back_up(ledger: &Ledger, to: &str) {
    let connection = Connection::open(ledger.path("operator/ledger.db")).unwrap();
    connection
        .execute("VACUUM INTO ?1", [ledger.file(to)])
        .unwrap();
}

/// Puts a backup of `ledger.db` in place of the newer one.
fn put_back(ledger: &Ledger, from: &str) {
    for name in [
        "ledger.db-wal",
        "ledger.db-shm",
        "queries.db",
        "queries.db-wal",
        "queries.db-shm",
    ] {
        let _ = fs::remove_file(ledger.path("operator").join(name));
    }
    fs::copy(ledger.path(from), ledger.path("operator/ledger.db")).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status();
    assert!(copied.unwrap().success());
}

fn stop(ledger: &mut Ledger) {
    ledger.terminate();
    assert_eq!(ledger.take_server().ended().code(), Some(0));
}

fn health(ledger: &Ledger) -> Value {
    ledger.send(&Call::new("GET", "/healthz", [])).json()
}

/// Logs so many statements; the log's size afterwards.
fn log_more(ledger: &Ledger, count: usize) -> u64 {
    let vendor = ledger.home("vendor");
    for _ in 0..count {
        let answer = ledger.submit(&signed_benefit(&vendor).to_json());
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    ledger.size()
}

/// A witness's evidence against the log.
fn evidence(url: &str) -> u16 {
    let path = format!("/{}/evidence", Digest::of(ORIGIN));
    let authority = url.strip_prefix("http://").unwrap_or(url);
    Call::new("GET", path, []).send(authority).unwrap().status
}

/// Operators copy `ledger.db` of a stopped server. Every commit must be in that file.
#[test]
fn after_a_clean_stop_each_database_file_is_whole() {
    let mut ledger = Ledger::start(|_| {});
    ledger.settle();
    let size = ledger.size();
    stop(&mut ledger);
    for name in ["ledger.db", "vaults.db", "queries.db"] {
        let path = ledger.path("operator").join(name);
        for beside in ["-wal", "-shm"] {
            let beside = format!("{}{beside}", path.display());
            let length = fs::metadata(&beside).map_or(0, |file| file.len());
            assert!(
                beside.ends_with("-shm") || length == 0,
                "{beside}: {length}"
            );
            let _ = fs::remove_file(beside);
        }
    }
    let data = ledger.file("operator");
    let said = done(&["log", "fsck", "--data", &data]);
    assert!(said.contains("entries: clean"), "{said}");
    ledger.serve();
    assert!(ledger.size() >= size);
}

/// A backup, more entries, the backup put back, with all that was published since lost too: the server
/// signs nothing, no witness gets evidence, and with a copy of the tiles the log goes on where it was.
#[test]
fn a_restored_backup_goes_forward_and_convicts_nobody() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let witnesses = [ledger.witness_authority(0), ledger.witness_authority(1)];
    stop(&mut ledger);
    let copy = ledger.file("tiles");
    ledger.serve_with(&[super::ledger::OPEN, &["--tiles-copy", &copy]].concat());
    log_more(&ledger, 1);
    back_up(&ledger, "backup.db");
    copy_folder(&ledger.path("operator/log"), &ledger.path("backup-log"));
    let size = log_more(&ledger, 4);
    stop(&mut ledger);
    put_back(&ledger, "backup.db");
    fs::remove_dir_all(ledger.path("operator/log")).unwrap();
    fs::rename(ledger.path("backup-log"), ledger.path("operator/log")).unwrap();

    ledger.serve();
    wait_until("the witnesses' notes are found", || {
        health(&ledger)["status"] == "rolled-back"
    });
    let statement = signed_benefit(&ledger.home("vendor"));
    let refused = ledger.submit(&statement.to_json());
    assert_eq!(
        (refused.problem().0, &*refused.problem().1),
        (503, "rolled-back")
    );
    let page = ledger.send(&Call::new("GET", "/", []));
    assert_eq!(page.status, 200, "reads go on");
    stop(&mut ledger);
    assert_eq!(witnesses.each_ref().map(|w| evidence(w)), [404, 404]);

    let data = ledger.file("operator");
    let restore = ["operator", "restore", "--data", &data];
    let without = whosaw(&restore);
    assert_eq!(
        without.code,
        Some(1),
        "{}{}",
        without.stdout,
        without.stderr
    );
    assert!(
        without.stdout.contains("nothing was changed"),
        "{}",
        without.stdout
    );
    assert!(without.stdout.contains("--from"), "{}", without.stdout);
    let said = done(&[&restore[..], &["--from", &copy]].concat());
    assert!(said.contains(&format!("has {size} entries")), "{said}");
    assert!(said.contains(&format!("4 entries from {copy}")), "{said}");
    assert!(said.contains("entries: clean"), "{said}");
    ledger.serve();
    assert_eq!(log_more(&ledger, 1), size + 1);
    ledger.verify();
    assert_eq!(witnesses.each_ref().map(|w| evidence(w)), [404, 404]);
    // Again, there is nothing to do.
    stop(&mut ledger);
    let said = done(&restore);
    assert!(!said.contains(" entries from "), "{said}");
}

/// One witness cosigned what was never published: going forward to the published checkpoint alone would
/// make a second history.
#[test]
fn a_restore_goes_beyond_what_is_published() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    back_up(&ledger, "backup.db");
    let published = log_more(&ledger, 2);
    let listened = ledger.kill_witness(1);
    let unproven = signed_benefit(&ledger.home("vendor"));
    assert_eq!(ledger.submit(&unproven.to_json()).status, 202);
    assert_eq!(ledger.size(), published, "one witness makes no quorum");
    stop(&mut ledger);
    put_back(&ledger, "backup.db");
    let started = ledger.try_serve(&[], &[]);
    assert!(started.is_none(), "log/ has more than ledger.db");
    let data = ledger.file("operator");
    let said = done(&["operator", "restore", "--data", &data]);
    assert!(
        said.contains(&format!("has {} entries (witness north)", published + 1)),
        "{said}"
    );
    ledger.start_witness(1, &listened);
    ledger.serve();
    assert_eq!(log_more(&ledger, 1), published + 2);
    let again = ledger.submit(&unproven.to_json());
    assert_eq!(again.status, 200, "what was accepted is logged");
    ledger.verify();
}

/// Entries that a witness has cosigned are nowhere to be found: nothing is signed.
#[test]
fn a_log_whose_entries_are_lost_has_ended() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    back_up(&ledger, "backup.db");
    copy_folder(&ledger.path("operator/log"), &ledger.path("backup-log"));
    log_more(&ledger, 1);
    stop(&mut ledger);
    put_back(&ledger, "backup.db");
    fs::remove_dir_all(ledger.path("operator/log")).unwrap();
    fs::rename(ledger.path("backup-log"), ledger.path("operator/log")).unwrap();
    let before = fs::read(ledger.path("operator/ledger.db")).unwrap();
    let data = ledger.file("operator");
    for command in [
        &["operator", "restore", "--data", &data][..],
        &[
            "log",
            "fsck",
            "--repair",
            "--data",
            &data,
            "--from",
            &ledger.file("operator/log"),
        ],
    ] {
        let ran = whosaw(command);
        assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("nothing was changed"), "{}", ran.stdout);
    }
    assert_eq!(fs::read(ledger.path("operator/ledger.db")).unwrap(), before);
}

/// `ledger.db` is gone, or one bit of an entry is another: it is made of the log's own files, which hash to
/// the signed root.
#[test]
fn a_lost_or_damaged_database_is_made_of_the_log() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let size = log_more(&ledger, 2);
    stop(&mut ledger);
    let (data, log) = (ledger.file("operator"), ledger.file("operator/log"));
    let path = ledger.path("operator/ledger.db");
    let repair = ["log", "fsck", "--repair", "--data", &data, "--from", &log];
    let damages: [&dyn Fn(); 3] = [
        &|| {
            let connection = Connection::open(&path).unwrap();
            let flip = "UPDATE entries SET leaf = CAST(substr(leaf, 1, 99) || x'00' || substr(leaf, 101) \
                        AS BLOB) WHERE position = 3";
            assert_eq!(connection.execute(flip, []).unwrap(), 1);
        },
        &|| fs::remove_file(&path).unwrap(),
        &|| {
            let mut bytes = fs::read(&path).unwrap();
            for byte in &mut bytes[4096..8192] {
                *byte = 0x55;
            }
            fs::write(&path, bytes).unwrap();
        },
    ];
    for damage in damages {
        damage();
        let unmended = whosaw(&["log", "fsck", "--repair", "--data", &data]);
        assert_ne!(unmended.code, Some(0), "{}", unmended.stdout);
        let said = done(&repair);
        assert!(said.contains(&format!("{size} entries: clean")), "{said}");
    }
    done(&["operator", "adopt", "--data", &data, "--yes"]);
    ledger.serve();
    assert_eq!(log_more(&ledger, 1), size + 1);
    ledger.verify();
}

/// Two servers with one log's key: the copy is not started before somebody says that the other one is gone,
/// and a public address that answers as another one is believed before that.
#[test]
fn a_copied_folder_signs_nothing_beside_the_living_one() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let living = ledger.file("operator");
    stop(&mut ledger);
    copy_folder(&ledger.path("operator"), &ledger.path("copy"));
    ledger.serve();
    let copy = ledger.file("copy");
    let serve = |more: &[&str]| {
        let own = ["serve", "--data", &copy, "--listen", "127.0.0.1:0"];
        whosaw(&[&own[..], more].concat())
    };
    let refused = serve(&[]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("operator adopt"),
        "{}",
        refused.stderr
    );
    let adopt = ["operator", "adopt", "--data", &copy];
    let unasked = whosaw(&adopt);
    assert_eq!(unasked.code, Some(2), "{}", unasked.stdout);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);

    // The living one goes on: the copy is old, and the witnesses say so.
    let size = log_more(&ledger, 1);
    let old = whosaw(&[&adopt[..], &["--yes"]].concat());
    assert_eq!(old.code, Some(1), "{}{}", old.stdout, old.stderr);
    assert!(old.stdout.contains("operator restore"), "{}", old.stdout);
    let said = done(&[
        "operator",
        "restore",
        "--data",
        &copy,
        "--from",
        &ledger.file("operator/log"),
    ]);
    assert!(said.contains("entries: clean"), "{said}");
    assert!(said.contains("whosaw operator adopt"), "{said}");
    // Nothing shows the two apart but the public address, which answers as the other one.
    done(&[&adopt[..], &["--yes"]].concat());
    let url = ledger.url();
    let refused = serve(&["--public-url", &url]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("answers as another server"),
        "{}",
        refused.stderr
    );
    assert_eq!(evidence(&ledger.witness_authority(0)), 404);

    // Moved for good, it goes on.
    stop(&mut ledger);
    fs::rename(&living, ledger.path("gone")).unwrap();
    copy_folder(&ledger.path("copy"), Path::new(&living));
    done(&["operator", "adopt", "--data", &living, "--yes"]);
    ledger.serve();
    // The copied log/ still shows the checkpoint from before: the restored one is published after the start.
    assert_eq!(log_more(&ledger, 1), size + 1);
    ledger.verify();
}

/// The copy was adopted while the other server was idle. It asks the witnesses before it signs.
#[test]
fn a_server_that_was_quiet_asks_before_it_signs() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    stop(&mut ledger);
    copy_folder(&ledger.path("operator"), &ledger.path("copy"));
    done(&["operator", "adopt", "--data", &ledger.file("copy"), "--yes"]);
    ledger.serve();
    let operator = Operator::open(&ledger.path("copy")).unwrap();
    let mut config = operator
        .ledger(Clock::system(), Duration::from_secs(600))
        .unwrap();
    config.quiet = Duration::ZERO;
    let (beside, threads) = whosaw::ledger::Ledger::start(config).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert!(runtime.block_on(beside.wait_confirmed(PATIENCE)));
    assert_eq!(beside.confirmation(), Confirmation::Confirmed);
    log_more(&ledger, 1);
    let statement = signed_benefit(&ledger.home("vendor"));
    let signed = Signed::from_envelope(statement).unwrap();
    let refused = runtime.block_on(beside.submit(signed, ()));
    assert!(
        matches!(refused, Err(SubmitError::RolledBack)),
        "{refused:?}"
    );
    drop(beside);
    threads.join().unwrap();
    log_more(&ledger, 1);
    assert_eq!(evidence(&ledger.witness_authority(0)), 404);
    ledger.verify();
}

/// A witness that cosigned nothing and says that it has cosigned a million: it blocks a start until the
/// operator leaves it out, and it stops no ledger that runs.
#[test]
fn a_witness_that_lies_about_its_size_stops_no_ledger() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    stop(&mut ledger);
    ledger.one_is_a_quorum();
    let listened = ledger.kill_witness(1);
    let liar = TcpListener::bind(&listened).unwrap();
    std::thread::spawn(move || {
        for stream in liar.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut some = [0; 65_536];
            let _ = stream.read(&mut some);
            let says: &[u8] = match some.starts_with(b"GET") {
                true => b"HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                false => {
                    b"HTTP/1.1 409 X\r\nContent-Length: 8\r\nConnection: close\r\n\r\n1000000\n"
                }
            };
            let _ = stream.write_all(says);
        }
    });
    ledger.serve();
    wait_until("the liar is named", || {
        let claims = &health(&ledger)["unconfirmed"]["south"];
        claims.as_str().is_some_and(|why| why.contains("1000000"))
    });
    let statement = signed_benefit(&ledger.home("vendor"));
    let refused = ledger.submit(&statement.to_json());
    assert_eq!(
        (refused.problem().0, &*refused.problem().1),
        (503, "unconfirmed")
    );
    assert!(refused.header("retry-after").parse::<u64>().is_ok());
    stop(&mut ledger);
    let unknown = ledger.try_serve(&[], &["--without", "nobody"]);
    assert!(unknown.is_none());
    ledger.serve_with(&[super::ledger::OPEN, &["--without", "south"]].concat());
    let accepted = |ledger: &Ledger| {
        let statement = signed_benefit(&ledger.home("vendor"));
        ledger.submit(&statement.to_json()).status
    };
    wait_until("it sequences", || accepted(&ledger) == 201);
    assert_eq!(accepted(&ledger), 201, "and goes on");
    assert_ne!(health(&ledger)["status"], "rolled-back");
}

/// Both witnesses make the quorum: one confirms the head, and both must confirm the clock. Where one alone
/// would be a quorum, both must confirm the head.
#[test]
fn one_witness_is_down_at_a_restart() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    stop(&mut ledger);
    let listened = ledger.kill_witness(1);
    ledger.serve();
    let accepted = |ledger: &Ledger| {
        let statement = signed_benefit(&ledger.home("vendor"));
        ledger.submit(&statement.to_json()).status
    };
    wait_until("the head is confirmed, and the clock is not", || {
        let health = health(&ledger);
        health["status"] == "clock-unconfirmed" && health["unconfirmed"].is_null()
    });
    let offsets = &health(&ledger)["clock"]["offsets"];
    assert!(
        offsets["north"].is_i64() && offsets["south"].is_null(),
        "{offsets}"
    );
    assert_eq!(accepted(&ledger), 503);
    stop(&mut ledger);

    ledger.one_is_a_quorum();
    ledger.serve();
    wait_until("the absent one is waited for", || {
        let left = &health(&ledger)["unconfirmed"];
        left["south"].is_string() && left["north"].is_null()
    });
    assert_eq!(accepted(&ledger), 503);
    ledger.start_witness(1, &listened);
    wait_until("it sequences", || accepted(&ledger) == 201);
}
