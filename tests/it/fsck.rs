//! Damage to a ledger's data, done by hand: found and named, refused at a start where it must be, and
//! mended or not.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;
use whosaw::party::operator::Operator;
use whosaw::statement::Signed;
use whosaw::statement::kinds::Kind as _;
use whosaw::statement::kinds::party::Party;
use whosaw::statement::sign;
use whosaw::statement::words::Role;
use whosaw::store::vaults::Vaults;
use whosaw::time::Clock;

use super::ledger::{Ledger, Ran, done, head_of, whosaw};

/// More than one full bundle.
const ENTRIES: usize = 300;

/// A ledger's data after a clean stop; cases damage copies of it.
static SOUND: LazyLock<Ledger> = LazyLock::new(|| {
    let ledger = Ledger::without_witnesses(|_| {});
    let operator = Operator::open(&ledger.path("operator")).unwrap();
    let config = operator.unwitnessed_ledger(Clock::system(), Duration::from_secs(60));
    let (running, threads) = whosaw::ledger::Ledger::start(config.unwrap()).unwrap();
    let key = operator.home().key(Role::Admin).unwrap();
    let listed = |number: usize| {
        let party = Party {
            party: format!("agency-{number}.example").parse().unwrap(),
            keys: Vec::new(),
            ..Party::example()
        };
        let envelope = sign(&head_of("ledger.example"), &party.into(), &[&key]);
        Signed::from_envelope(envelope).unwrap()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut submitted = tokio::task::JoinSet::new();
        for signed in (0..ENTRIES).map(listed) {
            let running = running.clone();
            submitted.spawn(async move { running.submit(signed, ()).await.unwrap().index });
        }
        let last = submitted.join_all().await.into_iter().max().unwrap();
        running.wait_published(last, Duration::from_secs(30)).await;
    });
    drop(running);
    threads.join().unwrap();
    // Partial files of sizes in between, which no two runs have alike.
    done(&[
        "log",
        "fsck",
        "--repair",
        "--data",
        &ledger.file("operator"),
    ]);
    ledger
});

/// A copy of the sound ledger's data.
struct Data(TempDir);

impl Data {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copied = std::process::Command::new("cp")
            .args(["-a", &SOUND.file("operator")])
            .arg(folder.path())
            .status();
        assert!(copied.unwrap().success());
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        let path = self.0.path().join("operator").join(name);
        path.to_str().unwrap().to_owned()
    }

    fn sql(&self, statements: &str) {
        let connection = Connection::open(self.path("ledger.db")).unwrap();
        connection.execute_batch(statements).unwrap();
    }

    fn alter(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(name)).unwrap();
        change(&mut bytes);
        fs::write(self.path(name), bytes).unwrap();
    }

    fn fsck(&self, options: &[&str]) -> Ran {
        let data = self.path("");
        whosaw(&[&["log", "fsck", "--data", &data], options].concat())
    }

    /// Codes and places of what is found.
    fn findings(&self) -> Vec<(String, String)> {
        let ran = self.fsck(&["--json"]);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let findings = report["findings"].as_array();
        let findings = findings.unwrap_or_else(|| panic!("{}{}", ran.stdout, ran.stderr));
        assert_eq!(ran.code, Some(i32::from(!findings.is_empty())));
        let text = |finding: &Value, member: &str| finding[member].as_str().unwrap().to_owned();
        let pair = |finding| (text(finding, "code"), text(finding, "place"));
        findings.iter().map(pair).collect()
    }

    /// Starts the server, which must refuse; what it says.
    fn refused_start(&self) -> String {
        let data = self.path("");
        let serve = ["serve", "--unwitnessed", "--listen", "127.0.0.1:0"];
        let ran = whosaw(&[&serve[..], &["--data", &data]].concat());
        assert_ne!(ran.code, Some(0));
        ran.stderr
    }

    /// All files but those that an examination leaves no trace in, with their bytes.
    fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let mut folders = vec![self.0.path().to_owned()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.to_str().unwrap().to_owned();
                match path.is_dir() {
                    true => folders.push(path),
                    // Who reads, and who holds the lock, is no part of the data.
                    false if name.ends_with("-shm") || name.ends_with("-wal") => {}
                    false if name.ends_with("/lock") => {}
                    false => files.push((name, fs::read(&path).unwrap())),
                }
            }
        }
        files.sort();
        files
    }

    /// Names of files that are not as they were.
    fn changed_since(&self, before: &[(String, Vec<u8>)]) -> Vec<String> {
        let now = self.contents();
        let new = now.iter().filter(|file| !before.contains(file));
        let gone = before.iter().filter(|file| !now.contains(file));
        new.chain(gone).map(|(name, _)| name.clone()).collect()
    }
}

/// Damages a copy; the finding must be `code` at `place`, and repair must mend it.
fn mended(code: &str, place: &str, damage: impl FnOnce(&Data)) {
    let data = Data::new();
    damage(&data);
    let found = data.findings();
    let wanted = (code.to_owned(), place.to_owned());
    assert!(found.contains(&wanted), "{found:?}");
    let ran = data.fsck(&["--repair"]);
    assert_eq!(ran.code, Some(0), "{place}: {}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("--repair mends it"), "{}", ran.stdout);
    assert_eq!(data.findings(), []);
    assert_sound_log(&data);
}

/// Damages a copy; the finding must be `code` at `place`, and repair must refuse and change nothing.
fn beyond_repair(code: &str, place: &str, damage: impl FnOnce(&Data)) {
    let data = Data::new();
    damage(&data);
    let found = data.findings();
    let wanted = |(c, p): &(String, String)| c == code && p.starts_with(place);
    assert!(found.iter().any(wanted), "{found:?}");
    let before = data.contents();
    let ran = data.fsck(&["--repair"]);
    assert_eq!(ran.code, Some(1), "{place}: {}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("restore ledger.db from a backup"));
    assert_eq!(data.changed_since(&before), Vec::<String>::new(), "{place}");
}

/// The log's public files are byte for byte those of the sound one, but for partial files of sizes in
/// between, which nobody needs.
fn assert_sound_log(data: &Data) {
    let sound = SOUND.file("operator/log");
    let differs = std::process::Command::new("diff")
        .args(["-r", &sound, &data.path("log")])
        .output()
        .unwrap();
    let said = String::from_utf8(differs.stdout).unwrap();
    let lacks = format!("Only in {sound}/");
    let in_between = |line: &&str| line.starts_with(&lacks) && line.contains(".p: ");
    let faults: Vec<&str> = said.lines().filter(|line| !in_between(line)).collect();
    assert_eq!(faults, Vec::<&str>::new());
}

#[test]
fn a_sound_log_is_clean_and_stays_as_it_is() {
    let data = Data::new();
    let before = data.contents();
    let ran = data.fsck(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    let clean = format!("ledger.example/log, {} entries: clean", ENTRIES + 2);
    assert!(ran.stdout.contains(&clean), "{}", ran.stdout);
    assert!(done(&["log", "fsck", "--data", &data.path(""), "--repair"]).contains("clean"));
    assert_eq!(data.changed_since(&before), Vec::<String>::new());
}

/// A snapshot is examined where it is mounted, without a byte written there.
#[test]
#[ignore = "needs root"]
fn a_read_only_mount_is_examined() {
    let data = Data::new();
    let folder = data.path("");
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && \
                  ! touch \"$1/x\" 2>/dev/null && shift && exec \"$@\"";
    let examine = |more: &[&str]| {
        let mut command = std::process::Command::new("unshare");
        command.args([
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            &folder,
        ]);
        command.args([
            env!("CARGO_BIN_EXE_whosaw"),
            "log",
            "fsck",
            "--data",
            &folder,
        ]);
        let output = command.args(more).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let before = data.contents();
    let (code, said, errors) = examine(&[]);
    assert_eq!(code, Some(0), "{said}{errors}");
    assert!(said.contains("entries: clean"), "{said}");
    data.alter("log/tile/0/000", |bytes| bytes[4000] ^= 1);
    assert_eq!(examine(&[]).0, Some(1));
    assert_eq!(examine(&["--repair"]).0, Some(2), "nothing can be written");
    data.alter("log/tile/0/000", |bytes| bytes[4000] ^= 1);
    assert_eq!(data.changed_since(&before), Vec::<String>::new());

    // What a crash left in the write-ahead log is not passed over.
    let writer = Connection::open(data.path("ledger.db")).unwrap();
    writer
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE more (x);")
        .unwrap();
    assert!(fs::metadata(data.path("ledger.db-wal")).unwrap().len() > 0);
    let (code, _, errors) = examine(&[]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("examine a copy"), "{errors}");
    drop(writer);
}

#[test]
fn files_of_the_log_are_made_again() {
    let partial = "log/tile/entries/001.p/46";
    for path in ["log/tile/0/000", "log/tile/entries/000", partial] {
        mended("missing-file", path, |data| {
            fs::remove_file(data.path(path)).unwrap();
        });
    }
    mended("wrong-tile", "log/tile/0/000", |data| {
        data.alter("log/tile/0/000", |bytes| bytes[4000] ^= 1);
    });
    mended("wrong-tile", "log/tile/0/001.p/46", |data| {
        data.alter("log/tile/0/001.p/46", |bytes| bytes.truncate(100));
    });
    mended("wrong-bundle", partial, |data| {
        data.alter(partial, |bytes| bytes.push(0));
    });
    mended("stray-file", "log/tile/0/notes.txt", |data| {
        fs::write(data.path("log/tile/0/notes.txt"), "stray").unwrap();
    });
    mended("missing-file", "log/tile/1/000.p/1", |data| {
        fs::remove_dir_all(data.path("log/tile")).unwrap();
    });
}

#[test]
fn a_damaged_end_is_not_served() {
    for path in ["log/tile/entries/001.p/46", "log/tile/0/001.p/46"] {
        let data = Data::new();
        data.alter(path, |bytes| bytes[10] ^= 1);
        let said = data.refused_start();
        assert!(said.contains("log fsck"), "{said}");
        fs::remove_file(data.path(path)).unwrap();
        assert!(data.refused_start().contains("log fsck"));
    }
}

#[test]
fn what_was_damaged_is_kept_aside() {
    let data = Data::new();
    data.alter("log/tile/0/000", |bytes| bytes[0] ^= 1);
    let damaged = fs::read(data.path("log/tile/0/000")).unwrap();
    assert_eq!(data.fsck(&["--repair"]).code, Some(0));
    let aside = fs::read_dir(data.path("damaged")).unwrap().next().unwrap();
    let kept = aside.unwrap().path().join("log/tile/0/000");
    assert_eq!(fs::read(kept).unwrap(), damaged);
}

#[test]
fn ids_and_facts_are_made_again() {
    let some_id = "(SELECT id FROM ids ORDER BY id LIMIT 1)";
    for damage in [
        format!("DELETE FROM ids WHERE id = {some_id}"),
        format!("UPDATE ids SET position = 700 WHERE id = {some_id}"),
        "INSERT INTO ids VALUES (700, zeroblob(32))".to_owned(),
        "DELETE FROM facts".to_owned(),
        "UPDATE facts SET value = x'00'".to_owned(),
    ] {
        let data = Data::new();
        data.sql(&damage);
        let found = data.findings();
        let of_keys = |(code, place): &(String, String)| {
            ["id", "fact", "index"].contains(&code.as_str()) && place.starts_with("ledger.db ")
        };
        assert!(!found.is_empty() && found.iter().all(of_keys), "{found:?}");
        assert_eq!(data.fsck(&["--repair"]).code, Some(0), "{damage}");
        assert_eq!(data.findings(), [], "{damage}");
        assert_sound_log(&data);
    }
}

#[test]
fn entries_and_heads_are_never_made_up() {
    let last = ENTRIES + 1;
    beyond_repair("bad-signature", "ledger.db entry 100", |data| {
        let connection = Connection::open(data.path("ledger.db")).unwrap();
        let leaf: Vec<u8> = connection
            .query_row("SELECT leaf FROM entries WHERE position = 100", (), |row| {
                row.get(0)
            })
            .unwrap();
        // A digit of the signature, near the end of the leaf.
        let mut text = String::from_utf8(leaf).unwrap();
        let place = text.rfind("\"sig\":\"").unwrap() + 20;
        let other = if text.as_bytes()[place] == b'A' {
            "B"
        } else {
            "A"
        };
        text.replace_range(place..=place, other);
        let altered = connection.execute(
            "UPDATE entries SET leaf = ?1 WHERE position = 100",
            (text.into_bytes(),),
        );
        assert_eq!(altered.unwrap(), 1);
    });
    beyond_repair("missing-entry", "ledger.db entries", |data| {
        data.sql("DELETE FROM entries WHERE position = 5");
    });
    beyond_repair("head", "ledger.db head", |data| {
        data.sql(&format!("DELETE FROM entries WHERE position = {last}"));
    });
    beyond_repair("head", "ledger.db head", |data| {
        data.sql("UPDATE head SET root = zeroblob(32)");
    });
    beyond_repair("beyond-head", "log/checkpoint", |data| {
        data.sql("DELETE FROM head");
    });
}

#[test]
fn a_checkpoint_that_the_log_did_not_sign_is_moved_aside() {
    let data = Data::new();
    data.alter("log/checkpoint", |bytes| {
        let place = bytes.len() - 10;
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
    });
    let found = data.findings();
    assert_eq!(
        found,
        [("checkpoint".to_owned(), "log/checkpoint".to_owned())]
    );
    assert_eq!(data.fsck(&["--repair"]).code, Some(0));
    // The next start publishes the head again.
    assert!(!Path::new(&data.path("log/checkpoint")).exists());
    assert_eq!(data.findings(), []);
}

#[test]
fn a_query_index_that_says_something_else_is_made_anew() {
    type Damage<'a> = &'a dyn Fn(&str);
    let sql = |path: &str, sql| Connection::open(path).unwrap().execute_batch(sql).unwrap();
    let cases: [Damage<'_>; 4] = [
        &|path| sql(path, "INSERT INTO requests VALUES (5, 'US-FL', 0)"),
        &|path| sql(path, "UPDATE followed SET size = 9999"),
        &|path| sql(path, "DROP TABLE requests"),
        &|path| {
            fs::write(
                path,
                "no database at all, but a text of some length".repeat(99),
            )
            .unwrap()
        },
    ];
    for damage in cases {
        let data = Data::new();
        damage(&data.path("queries.db"));
        let found = ("query-index".to_owned(), "queries.db".to_owned());
        assert_eq!(data.findings(), [found]);
        assert_eq!(data.fsck(&["--repair"]).code, Some(0));
        assert_eq!(data.findings(), []);
        assert!(!Path::new(&data.path("queries.db")).exists());
        assert_sound_log(&data);
    }
}

#[test]
fn no_server_starts_on_what_does_not_agree() {
    type Damage<'a> = &'a dyn Fn(&Data);
    let cases: [(&str, Damage<'_>); 5] = [
        ("a tile of the right edge is missing", &|data| {
            fs::remove_file(data.path("log/tile/0/001.p/46")).unwrap();
        }),
        ("a tile of the right edge is altered", &|data| {
            data.alter("log/tile/1/000.p/1", |bytes| bytes[3] ^= 1);
        }),
        ("a partial tile is altered", &|data| {
            data.alter("log/tile/0/001.p/46", |bytes| bytes[3] ^= 1);
        }),
        ("the head has another root", &|data| {
            data.sql("UPDATE head SET root = zeroblob(32)");
        }),
        ("the query index knows more than there is", &|data| {
            let connection = Connection::open(data.path("queries.db")).unwrap();
            connection
                .execute("UPDATE followed SET size = 9999", ())
                .unwrap();
        }),
    ];
    for (what, damage) in cases {
        let data = Data::new();
        damage(&data);
        let said = data.refused_start();
        assert!(said.contains("whosaw log fsck"), "{what}: {said}");
    }
}

/// A backup that was put back, or nothing: the log is longer elsewhere, and a repair goes on from here.
#[test]
fn an_old_database_is_not_served_and_the_restore_is_named() {
    type Damage<'a> = &'a dyn Fn(&Data);
    let cases: [(&str, Damage<'_>); 4] = [
        ("the head covers more than there is", &|data| {
            data.sql("DELETE FROM entries WHERE position > 290");
        }),
        ("the database has nothing", &|data| {
            data.sql("DELETE FROM entries; DELETE FROM head; DELETE FROM ids; DELETE FROM facts");
        }),
        ("the database is not there", &|data| {
            for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
                let _ = fs::remove_file(data.path(name));
            }
        }),
        ("there is only the database", &|data| {
            fs::remove_dir_all(data.path("log")).unwrap();
        }),
    ];
    for (what, damage) in cases {
        let data = Data::new();
        damage(&data);
        let said = data.refused_start();
        assert!(said.contains("whosaw operator restore"), "{what}: {said}");
        assert!(!said.contains("log fsck"), "{what}: {said}");
    }
}

/// A damaged `vaults.db` is found, which the server reads page by page as it needs them; no repair touches it.
#[test]
fn a_damaged_database_of_vaults_is_found() {
    let data = Data::new();
    drop(Vaults::open(Path::new(&data.path("vaults.db"))).unwrap());
    assert_eq!(data.findings(), []);
    // The first page has the names of the tables.
    data.alter("vaults.db", |bytes| bytes[4096..].fill(0x55));
    let wanted = ("database".to_owned(), "vaults.db".to_owned());
    assert!(data.findings().contains(&wanted));
    let before = data.contents();
    let ran = data.fsck(&["--repair"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(data.changed_since(&before), Vec::<String>::new());
    let ran = whosaw(&["operator", "vaults", "--data", &data.path("")]);
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    for says in [&data.path("vaults.db"), "Put its backup in place"] {
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
}

#[test]
fn a_newer_schema_is_left_alone() {
    let data = Data::new();
    data.sql("PRAGMA user_version = 99");
    for said in [data.refused_start(), data.fsck(&[]).stderr] {
        assert!(said.contains("newer"), "{said}");
    }
    assert_eq!(data.fsck(&["--repair"]).code, Some(2));
}

#[test]
fn what_is_not_there_is_not_made() {
    let data = Data::new();
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = fs::remove_file(data.path(name));
    }
    let ran = data.fsck(&["--repair"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert!(ran.stderr.contains("ledger.db"), "{}", ran.stderr);
    assert!(!Path::new(&data.path("ledger.db")).exists());
}

#[test]
fn a_running_ledger_is_not_examined() {
    let mut ledger = Ledger::without_witnesses(|_| {});
    ledger.serve_with(&["--unwitnessed"]);
    let ran = whosaw(&["log", "fsck", "--data", &ledger.file("operator")]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("stop it first"), "{}", ran.stderr);
}

#[test]
fn a_repair_that_was_killed_is_begun_again() {
    let data = Data::new();
    fs::remove_dir_all(data.path("log/tile")).unwrap();
    data.sql("DELETE FROM facts");
    for millis in (0..400).step_by(40) {
        let mut repair = std::process::Command::new(env!("CARGO_BIN_EXE_whosaw"))
            .args(["log", "fsck", "--repair", "--data", &data.path("")])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(millis));
        let _ = repair.kill();
        repair.wait().unwrap();
    }
    assert_eq!(data.fsck(&["--repair"]).code, Some(0));
    assert_eq!(data.findings(), []);
    assert_sound_log(&data);
}
