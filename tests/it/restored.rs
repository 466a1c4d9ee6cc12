//! A server whose `vaults.db` is an older one: its residents' devices make good what it lost.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use serde_json::Value;
use whosaw::time::{Clock, Time};

use super::http::Call;
use super::ledger::{Ledger, Ran, done, until, whosaw};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
const FILM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/doorbell.mp4");

/// A ledger with an agency and a resident.
struct World {
    ledger: Ledger,
    agreement: String,
}

impl World {
    fn new() -> Self {
        let ledger = Ledger::start(|limits| limits.new_key_wait_minutes = 0);
        let agreement = ledger.settle().to_string();
        let world = Self { ledger, agreement };
        world.init();
        world
    }

    /// A file with a new code for a vault.
    fn code(&self) -> String {
        let code = self.ledger.file("code");
        std::fs::write(&code, self.ledger.enrol_code(64, 64)).unwrap();
        code
    }

    /// Opens the resident's vault.
    fn init(&self) {
        let code = self.code();
        let (url, trust) = (self.ledger.url(), self.ledger.file("operator/log.policy"));
        self.must(
            &[
                &[
                    "init",
                    "--server",
                    &url,
                    "--trust",
                    &trust,
                    "--code-file",
                    &code,
                ][..],
                &[
                    "--jurisdiction",
                    "US-FL",
                    "--camera",
                    "front=28.03950,-81.94980",
                ],
            ]
            .concat(),
        );
    }

    fn resident(&self, words: &[&str]) -> Ran {
        let home = self.ledger.file("me");
        whosaw(&[&["resident"], words, &["--home", &home]].concat())
    }

    fn must(&self, words: &[&str]) -> String {
        let ran = self.resident(words);
        assert_eq!(ran.code, Some(0), "{words:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Adds a film of so many hours ago; the clip's id.
    fn add(&self, hours: i64) -> String {
        let (from, until) = (hours_ago(hours), hours_ago(hours).checked_add_seconds(60));
        let (from, until) = (from.to_string(), until.unwrap().to_string());
        let film = ["add", FILM, "--camera", "front", "--json"];
        let added = self.must(&[&film[..], &["--from", &from, "--until", &until]].concat());
        let added: Value = serde_json::from_str(&added).unwrap();
        added["clip"].as_str().unwrap().to_owned()
    }

    fn anchored(&self, clip: &str) {
        until("anchored", || {
            let report: Value = serde_json::from_str(&self.must(&["report", "--json"])).unwrap();
            let clips = report["clips"].as_array().unwrap();
            let found = clips.iter().find(|found| found["clip"] == clip)?;
            (found["anchored"] == 4).then_some(())
        });
    }

    /// Asks for what was filmed two hours ago, and has the resident allow it.
    fn allowed(&self) -> String {
        let case = self.ledger.file("case");
        std::fs::write(&case, "2019-1").unwrap();
        let scope = format!("{EXAMPLES}/lakeland/scope.geojson");
        let (from, until) = (hours_ago(3).to_string(), hours_ago(1).to_string());
        let asked = self.agency(&[
            "request",
            "--agreement",
            &self.agreement,
            "--offence",
            "220",
            "--scope",
            &scope,
            "--from",
            &from,
            "--until",
            &until,
            "--case-number-file",
            &case,
            "--json",
        ]);
        assert_eq!(asked.code, Some(0), "{}{}", asked.stdout, asked.stderr);
        let asked: Value = serde_json::from_str(&asked.stdout).unwrap();
        self.must(&["inbox"]);
        let said = self.must(&["allow", asked["id"].as_str().unwrap(), "--yes", "--json"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        said["id"].as_str().unwrap().to_owned()
    }

    fn agency(&self, words: &[&str]) -> Ran {
        let (home, url) = (self.ledger.file("agency"), self.ledger.url());
        whosaw(&[&["agency"], words, &["--home", &home, "--server", &url]].concat())
    }

    /// Collects all that may be collected.
    fn collect(&self) -> Ran {
        self.agency(&["collect", "--out", &self.ledger.file("evidence")])
    }

    fn stop(&mut self) -> String {
        let authority = self.ledger.authority().to_owned();
        self.ledger.terminate();
        assert_eq!(self.ledger.take_server().ended().code(), Some(0));
        authority
    }

    /// Commitments that are in no logged batch, as `vaults.db` in this file has them.
    fn waiting(&self, file: &str) -> i64 {
        let database = Connection::open(self.ledger.path(file)).unwrap();
        let count = "SELECT count(*) FROM commitments WHERE state < 2";
        database.query_row(count, [], |row| row.get(0)).unwrap()
    }

    /// No commitment is in two batches of the log; how many there are.
    fn logged_once(&self) -> usize {
        let mut commitments = BTreeSet::new();
        for batch in files(&self.ledger.path("operator/batches")) {
            // One that was prepared at a stop may not be in the log.
            let id = batch.file_name().unwrap().to_str().unwrap();
            let call = Call::new("GET", format!("/batches/{id}"), []);
            let read = self.ledger.send(&call);
            for commitment in read.body.chunks(32).filter(|_| read.status == 200) {
                let is_new = commitments.insert(commitment.to_vec());
                assert!(is_new, "it is logged twice");
            }
        }
        commitments.len()
    }

    /// The clips that are put aside.
    fn aside(&self) -> BTreeSet<String> {
        let data = self.ledger.file("operator");
        let listed = done(&["operator", "clips-aside", "list", "--data", &data, "--json"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let clips = listed["clips"].as_array().unwrap().iter();
        clips
            .map(|found| found["clip"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn hours_ago(hours: i64) -> Time {
    let now = Clock::system().now();
    now.checked_add_seconds(-3600 * hours)
        .unwrap()
        .cut_to_minute()
}

/// All files beneath a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// Copies `vaults.db` as OPERATIONS says, while the server runs.
fn back_up(ledger: &Ledger) {
    let database = Connection::open(ledger.path("operator/vaults.db")).unwrap();
    let backup = ledger.path("backup.db");
    let _ = std::fs::remove_file(&backup);
    let copied = database.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]);
    copied.unwrap();
}

/// Puts the backup in place of the newer one.
fn put_back(ledger: &Ledger) {
    for name in ["vaults.db-wal", "vaults.db-shm"] {
        let _ = std::fs::remove_file(ledger.path("operator").join(name));
    }
    let newer = ledger.path("operator/vaults.db");
    std::fs::copy(ledger.path("backup.db"), newer).unwrap();
}

/// A backup of `vaults.db`, then more clips, one of them given to an agency, then the backup in its place:
/// nothing is deleted, the device completes its clips again and shows what it gave, the agency opens it, and
/// no commitment is logged twice.
#[test]
fn devices_make_good_what_an_older_database_lost() {
    let mut world = World::new();
    // The backup has commitments in it that wait, and are logged later.
    let before = loop {
        let clip = world.add(10);
        back_up(&world.ledger);
        if world.waiting("backup.db") > 0 {
            break clip;
        }
    };
    world.anchored(&before);
    let given = world.add(2);
    world.anchored(&given);
    let disclosure = world.allowed();
    let collected = world.collect();
    assert_eq!(collected.code, Some(1), "the key is with the resident");
    // The last clip's commitments are in no batch.
    let mut since = BTreeSet::from([given]);
    let (authority, last) = loop {
        let clip = world.add(20);
        since.insert(clip.clone());
        let authority = world.stop();
        if world.waiting("operator/vaults.db") > 0 {
            break (authority, clip);
        }
        world.ledger.serve_at(&authority);
    };
    put_back(&world.ledger);
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 86_400);
    for file in files(&world.ledger.path("operator/clips")) {
        let file = std::fs::File::open(file).unwrap();
        file.set_modified(two_days_ago).unwrap();
    }
    assert_eq!(world.aside(), since);

    // Housekeeping comes before the first batch.
    world.ledger.serve_at(&authority);
    until("house is kept", || (world.ledger.size() > 0).then_some(()));
    let before_sync = world.collect();
    assert_eq!(before_sync.code, Some(1), "{}", before_sync.stdout);
    let synced: Value = serde_json::from_str(&world.must(&["sync", "--json"])).unwrap();
    assert_eq!(synced["warnings"], serde_json::json!([]), "{synced}");
    assert_eq!(synced["completed_again"], since.len(), "{synced}");
    assert_eq!(synced["uploads"], 0, "{synced}");
    assert_eq!(
        synced["handed_over"],
        serde_json::json!([disclosure]),
        "{synced}"
    );
    assert_eq!(world.aside(), BTreeSet::new());

    let collected = world.collect();
    assert_eq!(
        collected.code,
        Some(0),
        "{}{}",
        collected.stdout,
        collected.stderr
    );
    let film = std::fs::read(FILM).unwrap();
    let evidence = files(&world.ledger.path("evidence"));
    let opened = evidence
        .iter()
        .filter(|file| std::fs::read(file).unwrap() == film);
    assert_eq!(opened.count(), 1, "{evidence:?}");
    world.anchored(&last);
    let commitments = world.logged_once();
    assert!(commitments >= 128, "{commitments}");
    let again: Value = serde_json::from_str(&world.must(&["sync", "--json"])).unwrap();
    assert_eq!(
        (&again["completed_again"], &again["handed_over"]),
        (&0.into(), &serde_json::json!([]))
    );
    world.ledger.examine();
}

/// A person removes what no device asked for again: with the server stopped, and after a question.
#[test]
fn what_is_put_aside_is_removed_by_a_person_alone() {
    let mut world = World::new();
    let (kept, gone) = (world.add(10), world.add(2));
    let data = world.ledger.file("operator");
    let remove = |words: &[&str]| {
        whosaw(
            &[
                &["operator", "clips-aside", "remove", "--data", &data],
                words,
            ]
            .concat(),
        )
    };
    let running = remove(&["--all", "--yes"]);
    assert_eq!(running.code, Some(2), "{}", running.stderr);
    world.stop();
    let none = remove(&["--all", "--json"]);
    assert_eq!(
        (none.code, none.stdout.trim()),
        (Some(0), r#"{"bytes":0,"removed":0}"#)
    );
    let database = Connection::open(world.ledger.path("operator/vaults.db")).unwrap();
    assert_eq!(database.execute("DELETE FROM clips", []).unwrap(), 2);
    drop(database);
    assert_eq!(world.aside(), BTreeSet::from([kept.clone(), gone.clone()]));
    let listed = done(&["operator", "clips-aside", "list", "--data", &data]);
    let line = listed.lines().find(|line| line.contains(&gone)).unwrap();
    let name = line.split_whitespace().next().unwrap();
    let unasked = remove(&[name]);
    assert_eq!(unasked.code, Some(2), "{}", unasked.stdout);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    let removed = remove(&[name, "--yes"]);
    assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    assert!(
        removed.stdout.starts_with("removed 1 clip, "),
        "{}",
        removed.stdout
    );
    let twice = remove(&[name, "--yes"]);
    assert_eq!(twice.code, Some(2), "{}", twice.stdout);
    assert!(
        twice.stderr.contains("nothing was removed"),
        "{}",
        twice.stderr
    );
    assert_eq!(world.aside(), BTreeSet::from([kept]));
}

/// Clips that a wrong database or a wrong folder does not show are not taken for clips that are aside, or for
/// none: nothing is listed, deleted or made.
#[test]
fn clips_are_put_aside_by_the_own_database_and_in_the_own_folder_alone() {
    let mut world = World::new();
    let clip = world.add(2);
    world.stop();
    let data = world.ledger.file("operator");
    let refused = |more: &[&str], says: &str| {
        let commands: [&[&str]; 2] = [&["list"], &["remove", "--all", "--yes"]];
        for command in commands {
            let own = ["operator", "clips-aside"];
            let ran = whosaw(&[&own, command, &["--data", &data], more].concat());
            assert_eq!(ran.code, Some(2), "{command:?}: {}", ran.stdout);
            assert!(ran.stderr.contains(says), "{command:?}: {}", ran.stderr);
        }
    };
    let volume = world.ledger.path("volume");
    std::fs::create_dir_all(volume.join("clips/waiting")).unwrap();
    let (right, wrong) = (
        world.ledger.file("volume"),
        world.ledger.file("volume/clips"),
    );
    refused(&["--clips", &right], "vaults.db lists clips");
    refused(&["--clips", &wrong], "there is no folder");
    let serve = ["serve", "--data", &data, "--listen", "127.0.0.1:0"];
    let ran = whosaw(&[&serve[..], &["--clips", &right]].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("vaults.db lists clips"),
        "{}",
        ran.stderr
    );

    let database = world.ledger.path("operator/vaults.db");
    let lost = world.ledger.path("lost.db");
    std::fs::rename(&database, &lost).unwrap();
    refused(&[], "put its backup in place");
    let vaults = ["operator", "vaults", "--data", &data];
    let code = ["operator", "enrol-code", "--data", &data];
    for command in [vaults, code] {
        let ran = whosaw(&command);
        assert_eq!(ran.code, Some(2), "{command:?}: {}", ran.stdout);
        let says = "put its backup in place";
        assert!(ran.stderr.contains(says), "{command:?}: {}", ran.stderr);
    }
    assert!(!database.exists());
    std::fs::rename(&lost, &database).unwrap();
    assert_eq!(world.aside(), BTreeSet::new());
    let clips = files(&world.ledger.path("operator/clips"));
    assert!(
        clips
            .iter()
            .any(|file| file.to_string_lossy().contains(&clip))
    );
}

/// A vault that was opened since the backup, or of which there is no backup, is opened again under its id, and its clips are found.
#[test]
fn a_vault_that_the_database_forgot_is_opened_again() {
    let mut world = World::new();
    back_up(&world.ledger);
    std::fs::remove_dir_all(world.ledger.path("me")).unwrap();
    world.init();
    let clip = world.add(2);
    world.anchored(&clip);
    let code = world.code();
    let known = world.resident(&["enrol", "--code-file", &code]);
    assert_eq!(known.code, Some(2), "{}", known.stdout);
    assert!(
        known.stderr.contains("knows this vault"),
        "{}",
        known.stderr
    );
    let lose: [&dyn Fn(&Ledger); 2] = [&put_back, &|ledger| {
        std::fs::remove_file(ledger.path("operator/vaults.db")).unwrap();
    }];
    let out = world.ledger.file("opened.mp4");
    for lose in lose {
        let authority = world.stop();
        lose(&world.ledger);
        world.ledger.serve_at(&authority);
        let data = world.ledger.file("operator");
        let listed = done(&["operator", "clips-aside", "list", "--data", &data]);
        assert!(listed.contains("vault unknown"), "{listed}");
        let lost = world.resident(&["sync", "--json"]);
        assert_eq!(lost.code, Some(2), "{}", lost.stderr);
        assert!(
            lost.stdout.contains("whosaw resident enrol"),
            "{}",
            lost.stdout
        );
        let code = world.code();
        world.must(&["enrol", "--code-file", &code]);
        let synced = world.must(&["sync", "--json"]);
        let synced: Value = serde_json::from_str(&synced).unwrap();
        assert_eq!(synced["completed_again"], 1, "{synced}");
        assert_eq!(synced["warnings"], serde_json::json!([]), "{synced}");
        assert!(!world.aside().contains(&clip));
        world.must(&["open", &clip, "--output", &out]);
        assert!(std::fs::read(&out).unwrap() == std::fs::read(FILM).unwrap());
        std::fs::remove_file(&out).unwrap();
    }
}

/// A list that is lost is looked for at each start and while the server runs, until it is found. Until then nothing
/// is logged that may be in it; nothing is logged twice.
#[test]
fn a_lost_list_is_looked_for_until_it_is_found() {
    let mut world = World::new();
    // The backup has commitments that wait, in no batch that was prepared: of such a one it would have the list.
    loop {
        world.add(10);
        back_up(&world.ledger);
        let database = Connection::open(world.ledger.path("backup.db")).unwrap();
        let prepared = "SELECT count(*) FROM prepared_batch";
        let prepared: i64 = database.query_row(prepared, [], |row| row.get(0)).unwrap();
        if world.waiting("backup.db") > 0 && prepared == 0 {
            break;
        }
    }
    let held = waiting_in(&world.ledger.path("backup.db"));
    until("its batch is logged", || {
        let logged = waiting_in(&world.ledger.path("operator/vaults.db"));
        logged.is_disjoint(&held).then_some(())
    });
    let authority = world.stop();
    put_back(&world.ledger);
    let (batches, lost) = (
        world.ledger.path("operator/batches"),
        world.ledger.path("lost"),
    );
    std::fs::create_dir(&lost).unwrap();
    let mut moved = Vec::new();
    for list in files(&batches) {
        let bytes = std::fs::read(&list).unwrap();
        if bytes.chunks(32).any(|one| held.contains(one)) {
            let to = lost.join(list.file_name().unwrap());
            std::fs::rename(&list, &to).unwrap();
            moved.push((to, list));
        }
    }
    assert!(!moved.is_empty());
    let figure = |ledger: &Ledger| ledger.figure("whosaw_batch_lists_lost");
    let count = moved.len() as f64;

    // Further batches do not pass it, nor does another start.
    for starts in 1..=2 {
        world.ledger.serve_at(&authority);
        assert_eq!(figure(&world.ledger), count);
        let before = world.ledger.figure("whosaw_batches_logged_total");
        world.add(20);
        until("two more batches", || {
            let logged = world.ledger.figure("whosaw_batches_logged_total");
            (logged >= before + 2.0).then_some(())
        });
        let waiting = waiting_in(&world.ledger.path("operator/vaults.db"));
        assert!(waiting.is_superset(&held), "they may be in the lost list");
        assert_eq!(figure(&world.ledger), count);
        world.stop();
        let log = std::fs::read_to_string(world.ledger.path("serve.log")).unwrap();
        let named = log.matches("the list of this batch's commitments is lost");
        assert_eq!(named.count(), starts * moved.len(), "once a start: {log}");
    }

    world.ledger.serve_at(&authority);
    for (from, to) in moved {
        std::fs::rename(from, to).unwrap();
    }
    until("found", || (figure(&world.ledger) == 0.0).then_some(()));
    let waiting = waiting_in(&world.ledger.path("operator/vaults.db"));
    assert!(waiting.is_disjoint(&held));
    world.logged_once();
    world.ledger.examine();
}

/// The commitments in this `vaults.db` that it knows in no logged batch.
fn waiting_in(file: &Path) -> BTreeSet<Vec<u8>> {
    let database = Connection::open(file).unwrap();
    let select = "SELECT commitment FROM commitments WHERE state < 2";
    let mut found = database.prepare(select).unwrap();
    let found = found.query_map([], |row| row.get(0)).unwrap();
    found.map(Result::unwrap).collect()
}
