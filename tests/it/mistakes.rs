//! Mistakes of people at a terminal: a wrong file name, an act twice, a file too many.

use std::fs;
use std::path::Path;

use ed25519_dalek::SigningKey;
use whosaw::statement::key::PublicKey;
use whosaw::statement::sign;
use whosaw::statement::words::Role;

use super::ledger::{AGENCY, Ledger, Ran, VENDOR, done, head_of, signed_benefit, until, whosaw};

/// What is wrong must be refused, and must say so.
fn refused(args: &[&str], says: &str) -> Ran {
    let ran = whosaw(args);
    assert_eq!(ran.code, Some(2), "{args:?}\n{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    ran
}

#[test]
fn no_output_takes_the_place_of_a_key() {
    let ledger = Ledger::unserved(|_| {});
    let data = ledger.file("operator");
    let key = ledger.file("operator/keys/admin.key");
    let before = fs::read(&key).unwrap();
    let sign = [
        "operator",
        "suspend",
        AGENCY,
        "--reason",
        "rules-broken",
        "--data",
        &data,
        "--sign-only",
        &key,
    ];
    refused(&sign, "is no signed statement");
    let name = ledger.policy().witnesses()[0].name.clone();
    let witness = [
        "operator",
        "remove-witness",
        "--data",
        &data,
        "--name",
        &name,
        "-o",
        &key,
    ];
    refused(&witness, "is no trust file");
    let add = [
        "operator", "add-key", "officer", "--label", "second", "--data", &data,
    ];
    let both = ledger.file("both");
    let other = ledger.file("./both");
    refused(
        &[&add[..], &["-o", &both, "--sign-only", &other]].concat(),
        "two files",
    );
    assert!(!Path::new(&both).exists(), "a key was drawn for nothing");
    refused(
        &[&add[..], &["-o", &both, "--sign-only", &key]].concat(),
        "is no signed statement",
    );
    assert!(!Path::new(&both).exists(), "a key was drawn for nothing");
    assert_eq!(fs::read(&key).unwrap(), before);
}

#[test]
fn an_output_takes_the_place_of_an_older_one() {
    let ledger = Ledger::unserved(|_| {});
    let (data, file) = (ledger.file("operator"), ledger.file("suspend.dsse"));
    fs::write(&file, "").unwrap();
    let sign = |reason: &str| {
        done(&[
            "operator",
            "suspend",
            AGENCY,
            "--reason",
            reason,
            "--data",
            &data,
            "--sign-only",
            &file,
        ]);
        fs::read(&file).unwrap()
    };
    assert_ne!(sign("rules-broken"), sign("domain-lost"));
}

/// A close that was forgotten among other files ends no log: nobody reaches the server, which is not there.
#[test]
fn a_log_is_not_closed_by_a_file_too_many() {
    let ledger = Ledger::unserved(|_| {});
    let (data, trust) = (ledger.file("operator"), ledger.file("operator/log.policy"));
    let (suspend, close) = (ledger.file("suspend.dsse"), ledger.file("close.dsse"));
    let signed = |words: &[&str], file: &str| {
        done(
            &[
                &["operator"],
                words,
                &["--data", &data, "--sign-only", file],
            ]
            .concat(),
        );
    };
    signed(&["suspend", AGENCY, "--reason", "rules-broken"], &suspend);
    signed(&["close", "--reason", "discontinued", "--yes"], &close);
    let server = ["--server", "http://127.0.0.1:1", "--trust", &trust];
    for files in [&[&close[..]][..], &[&suspend, &close]] {
        let submit = [&["submit"], files, &server].concat();
        let ran = refused(&submit, "closes the log for good");
        assert!(!ran.stderr.contains("127.0.0.1"), "{}", ran.stderr);
        refused(&[&submit[..], &["--yes"]].concat(), "127.0.0.1");
    }
}

#[test]
fn a_database_without_a_schema_is_damaged() {
    let ledger = Ledger::unserved(|_| {});
    fs::write(ledger.path("operator/ledger.db"), "").unwrap();
    let ran = whosaw(&["operator", "versions", "--data", &ledger.file("operator")]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("schema 0: damaged"), "{}", ran.stdout);
}

#[test]
fn what_is_in_the_log_already_is_not_told_as_logged() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let file = ledger.file("benefit.dsse");
    fs::write(&file, signed_benefit(&ledger.home("vendor")).to_json()).unwrap();
    let (url, trust) = (ledger.url(), ledger.file("operator/log.policy"));
    let submit = ["submit", &file, "--server", &url, "--trust", &trust];
    assert!(done(&submit).contains("logged as entry"));
    let again = done(&submit);
    assert!(again.contains("nothing new was logged"), "{again}");
    assert!(!again.contains("minute"), "{again}");
    let again = done(&[&submit[..], &["--json"]].concat());
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["known"], true, "{again}");
}

/// The same act in the same minute is one statement: the second one did not become an entry.
#[test]
fn the_answer_to_an_act_twice_in_a_minute_is_no() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let (home, url) = (ledger.file("vendor"), ledger.url());
    let mut count = 0;
    let mut act_twice = |more: &[&str]| {
        count += 1;
        let count = count.to_string();
        let who = ["vendor", "benefit", "--home", &home, "--server", &url];
        let what = ["--giver", VENDOR, "--receiver", AGENCY, "--count", &count];
        let act = [&who[..], &what, &["--kind", "equipment"], more].concat();
        done(&act);
        let size = ledger.size();
        let twice = whosaw(&act);
        // Another minute may have begun between the two.
        (ledger.size() == size).then_some(twice)
    };
    let twice = until("done twice in a minute", || act_twice(&[]));
    assert_eq!(twice.code, Some(1), "{}{}", twice.stdout, twice.stderr);
    for says in ["in the log already as entry", "in the next minute"] {
        assert!(twice.stdout.contains(says), "{}", twice.stdout);
    }
    let twice = until("done twice in a minute", || act_twice(&["--json"]));
    assert_eq!(twice.code, Some(1), "{}{}", twice.stdout, twice.stderr);
    let logged: serde_json::Value = serde_json::from_str(&twice.stdout).unwrap();
    assert_eq!(logged["known"], true, "{logged}");
    assert!(
        twice.stderr.contains("in the next minute"),
        "{}",
        twice.stderr
    );
}

/// Whichever command the ledger refuses: the answer is no, and as JSON it is the problem.
#[test]
fn a_refusal_by_the_ledger_is_the_answer_no() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let (data, url, trust) = (
        ledger.file("operator"),
        ledger.url(),
        ledger.file("operator/log.policy"),
    );
    let file = ledger.file("benefit.dsse");
    let mut benefit = super::ledger::benefit();
    benefit.giver = benefit.receiver.clone();
    let key = ledger.home("vendor").key(Role::Officer).unwrap();
    let refused = sign(&head_of(VENDOR), &benefit.into(), &[&key]);
    fs::write(&file, refused.to_json()).unwrap();
    let stranger = PublicKey::from(&SigningKey::from_bytes(&[7; 32])).to_string();
    let own = ["--data", &data, "--server", &url];
    let to = ["--server", &url, "--trust", &trust];
    let commands: [(&[&str], &[&str], &str); 4] = [
        (&["submit", &file], &to, "wrong-author"),
        (
            &[
                "operator",
                "suspend",
                "who.example",
                "--reason",
                "rules-broken",
            ],
            &own,
            "unknown-party",
        ),
        (
            &[
                "operator",
                "revoke-key",
                &stranger,
                "--reason",
                "lost",
                "--yes",
            ],
            &own,
            "wrong-reference",
        ),
        (
            &["operator", "close", "--reason", "moved", "--yes"],
            &own,
            "bad-value",
        ),
    ];
    let size = ledger.size();
    for (command, more, code) in commands {
        let ran = whosaw(&[command, more].concat());
        assert_eq!(
            ran.code,
            Some(1),
            "{command:?}: {}{}",
            ran.stdout,
            ran.stderr
        );
        let kind = format!("/problems/{code}");
        let says = ran.stderr.starts_with("refused: ") && ran.stderr.contains(&kind);
        assert!(says, "{command:?}: {}", ran.stderr);
        let ran = whosaw(&[command, more, &["--json"]].concat());
        assert_eq!(
            ran.code,
            Some(1),
            "{command:?}: {}{}",
            ran.stdout,
            ran.stderr
        );
        let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(answer["problem"]["type"], kind, "{command:?}: {answer}");
    }
    assert_eq!(ledger.size(), size);
}

/// An operator who has lost ledger.db is told so, and nothing is made in its place.
#[test]
fn a_folder_without_ledger_db_is_not_adopted() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.terminate();
    assert!(ledger.take_server().ended().success());
    let data = ledger.file("operator");
    let kept = ledger.path("ledger.db");
    fs::rename(ledger.path("operator/ledger.db"), &kept).unwrap();
    for side in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = fs::remove_file(ledger.path("operator").join(side));
    }
    let adopt = ["operator", "adopt", "--data", &data, "--yes"];
    let ran = refused(&adopt, "has no ledger.db");
    assert!(ran.stderr.contains("operator restore"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    assert!(!ledger.path("operator/ledger.db").exists());
    let ran = whosaw(&["operator", "versions", "--data", &data]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("ledger.db    missing"),
        "{}",
        ran.stdout
    );
    // Before a log begins there is none to miss.
    let fresh = Ledger::without_witnesses(|_| {});
    let data = fresh.file("operator");
    let said = done(&["operator", "versions", "--data", &data]);
    assert!(said.contains("ledger.db    not there yet"), "{said}");
    refused(
        &["operator", "adopt", "--data", &data, "--yes"],
        "has no ledger.db",
    );
    // The file that was put back is adopted.
    fs::rename(&kept, ledger.path("operator/ledger.db")).unwrap();
    done(&adopt);
}
