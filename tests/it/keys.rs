//! A party's keys over time, by the commands.

use std::fs;

use serde_json::Value;
use whosaw::statement::sign;
use whosaw::statement::words::Role;

use super::ledger::{Ledger, VENDOR, benefit, done, head_of, signed_benefit, whosaw};

/// A ledger where new keys need not wait, with a vendor and an agency.
fn ledger() -> Ledger {
    // A log that is verified while it runs must not grow meanwhile.
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    ledger
}

/// Runs a command of the vendor's.
fn vendor(ledger: &Ledger, words: &[&str]) -> String {
    done(&[&["vendor"], words, &["--home", &ledger.file("vendor")]].concat())
}

/// The vendor's keys as the log has them: role, state and file of each.
fn listed(ledger: &Ledger) -> Vec<(String, bool, Option<String>)> {
    let keys = vendor(ledger, &["keys", "--json"]);
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let row = |key: &Value| {
        let role = key["role"].as_str().unwrap().to_owned();
        let file = key["file"].as_str().map(str::to_owned);
        (role, key["revoked"].is_null(), file)
    };
    keys.as_array().unwrap().iter().map(row).collect()
}

fn status(ledger: &Ledger, signed: &whosaw::statement::envelope::Envelope) -> u16 {
    ledger.submit(&signed.to_json()).status
}

#[test]
fn a_rotated_key_signs_and_the_old_one_does_not() {
    let ledger = ledger();
    let old = ledger.home("vendor");
    let by_old = old.key(Role::Officer).unwrap();
    assert_eq!(status(&ledger, &signed_benefit(&old)), 201);
    vendor(&ledger, &["rotate-key", "officer", "--label", "sales-2"]);
    assert_eq!(
        status(&ledger, &signed_benefit(&ledger.home("vendor"))),
        201
    );
    let late = sign(&head_of(VENDOR), &benefit().into(), &[&by_old]);
    assert_eq!(status(&ledger, &late), 401);
    let keys = listed(&ledger);
    let officers: Vec<_> = keys.iter().filter(|(role, ..)| role == "officer").collect();
    assert_eq!(officers.len(), 2);
    assert!(!officers[0].1 && officers[1].1, "{officers:?}");
    assert!(
        officers[0]
            .2
            .as_deref()
            .unwrap()
            .starts_with("officer.revoked-")
    );
    assert_eq!(officers[1].2.as_deref(), Some("officer.key"));
    ledger.verify();
}

/// A stop after the log took the new key, before the folder has it in its place.
#[test]
fn a_rotation_that_was_stopped_goes_on() {
    let ledger = ledger();
    let keys = ledger.path("vendor/keys");
    let before = fs::read(keys.join("service.key")).unwrap();
    vendor(&ledger, &["rotate-key", "service"]);
    let size = ledger.size();
    let new = keys.join("service.key");
    fs::rename(&new, keys.join("service.next.key")).unwrap();
    fs::write(&new, before).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&new, mode).unwrap();
    for file in fs::read_dir(&keys).unwrap().flatten() {
        if file.file_name().to_str().unwrap().contains("revoked") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    vendor(&ledger, &["rotate-key", "service"]);
    assert_eq!(ledger.size(), size, "nothing was logged twice");
    let mine = listed(&ledger);
    let live: Vec<_> = mine
        .iter()
        .filter(|(role, live, _)| role == "service" && *live)
        .collect();
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].2.as_deref(), Some("service.key"));
    assert!(!keys.join("service.next.key").exists());
}

#[test]
fn an_admin_key_waits_and_then_takes_over() {
    let ledger = ledger();
    vendor(&ledger, &["rotate-key", "admin"]);
    let admins = |ledger: &Ledger| {
        let mut keys = listed(ledger);
        keys.retain(|(role, ..)| role == "admin");
        keys
    };
    let taken: Vec<bool> = admins(&ledger).iter().map(|(_, live, _)| *live).collect();
    assert_eq!(taken, [false, true]);

    // Days to wait: the old key stays, and asked again nothing is logged twice. The operator's first
    // keys need no waiting.
    let waiting = Ledger::start(|limits| limits.new_key_wait_minutes = 2 * 24 * 60);
    let (data, url) = (waiting.file("operator"), waiting.url());
    let rotate = [
        "operator",
        "rotate-key",
        "admin",
        "--data",
        &data,
        "--server",
        &url,
    ];
    let said = done(&rotate);
    assert!(said.contains("waits until"), "{said}");
    let size = waiting.size();
    assert_eq!(done(&rotate), said);
    assert_eq!(waiting.size(), size);
    let listed = done(&["operator", "keys", "--data", &data, "--server", &url]);
    let waits = listed
        .lines()
        .find(|line| line.contains("waits until"))
        .unwrap();
    assert!(waits.ends_with("admin.next.key"), "{listed}");
}

#[test]
fn keys_are_added_for_others_and_end() {
    let ledger = ledger();
    let file = ledger.file("sales-7.key");
    vendor(
        &ledger,
        &["add-key", "officer", "--label", "sales-7", "-o", &file],
    );
    let other = ledger.path("other");
    fs::create_dir_all(other.join("keys")).unwrap();
    for name in ["party.json", "log.policy"] {
        fs::copy(ledger.path("vendor").join(name), other.join(name)).unwrap();
    }
    fs::rename(&file, other.join("keys/officer.key")).unwrap();
    let officer = ledger.home("other");
    assert_eq!(status(&ledger, &signed_benefit(&officer)), 201);
    let keys: Value = serde_json::from_str(&vendor(&ledger, &["keys", "--json"])).unwrap();
    let added = &keys.as_array().unwrap()[3];
    assert_eq!(
        (&added["label"], &added["file"]),
        (&"sales-7".into(), &Value::Null)
    );
    let key = added["key"].as_str().unwrap();
    let home = ledger.file("vendor");
    let revoke = ["vendor", "revoke-key", key, "--home", &home, "--reason"];
    let unasked = whosaw(&[&revoke[..], &["holder-left"]].concat());
    assert_eq!(unasked.code, Some(2), "{}", unasked.stdout);
    for says in [key, "for good", "--yes"] {
        assert!(unasked.stderr.contains(says), "{}", unasked.stderr);
    }
    assert_eq!(status(&ledger, &signed_benefit(&officer)), 201);
    done(&[&revoke[..], &["holder-left", "--yes"]].concat());
    assert_eq!(status(&ledger, &signed_benefit(&officer)), 401);
    let again = whosaw(&[&revoke[..], &["lost", "--yes"]].concat());
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    ledger.verify();
}
