//! One suite for every engine, then what only the engine on disk can fail at.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::store::memory::MemoryJournal;
use crate::store::sqlite::{SqliteJournal, SqliteReader};

fn id(n: u64) -> StatementId {
    StatementId::of_payload(&n.to_be_bytes())
}

fn head_at(size: u64) -> Head {
    let root = [size as u8; 32];
    let note = format!("ledger.example/log\n{size}\n").into_bytes();
    Head { size, root, note }
}

/// Admits the statements `ids` from index `first`; every leaf and fact tells its index.
fn commit(first: u64, ids: impl IntoIterator<Item = u64>) -> Commit {
    let entry = |(n, index)| NewEntry {
        id: id(n),
        leaf: format!("leaf {index}").into_bytes(),
        admitted: true,
    };
    let entries: Vec<_> = ids.into_iter().zip(first..).map(entry).collect();
    let size = first + entries.len() as u64;
    Commit {
        first,
        facts: vec![(b"size".to_vec(), size.to_be_bytes().to_vec())],
        frontier: format!("frontier {size}").into_bytes(),
        entries,
    }
}

fn an_empty_one_has_nothing(journal: &mut dyn Journal) {
    assert_eq!(journal.size().unwrap(), 0);
    assert_eq!(journal.find(&id(1)).unwrap(), None);
    assert_eq!(journal.fact(b"").unwrap(), None);
    assert!(journal.facts().unwrap().is_empty());
    assert!(journal.frontier().unwrap().is_empty());
    assert_eq!(journal.head().unwrap(), None);
    assert_eq!(journal.leaf(0).unwrap(), None);
    assert!(journal.leaves(0..u64::MAX).unwrap().is_empty());
}

fn commits_follow_each_other(journal: &mut dyn Journal) {
    journal.commit(&commit(0, 10..15)).unwrap();
    for first in [0, 4, 6, 1 << 40] {
        let refused = journal.commit(&commit(first, [99]));
        assert!(matches!(refused, Err(StoreError::NotNext { size: 5, .. })));
    }
    journal.commit(&commit(5, 20..23)).unwrap();
    journal.commit(&commit(8, [])).unwrap();
    assert_eq!(journal.size().unwrap(), 8);
    assert_eq!(journal.frontier().unwrap(), b"frontier 8");
    assert_eq!(journal.fact(b"size").unwrap().unwrap(), 8_u64.to_be_bytes());
    assert_eq!(journal.find(&id(14)).unwrap(), Some(4));
    let found = journal.find_leaf(&id(14)).unwrap();
    assert_eq!(found, Some((4, b"leaf 4".to_vec())));
    assert_eq!(journal.find_leaf(&id(99)).unwrap(), None);
    assert_eq!(journal.find(&id(20)).unwrap(), Some(5));
    assert_eq!(journal.find(&id(99)).unwrap(), None);
    assert_eq!(journal.leaf(7).unwrap().unwrap(), b"leaf 7");
    assert_eq!(journal.leaf(8).unwrap(), None);
    assert_eq!(journal.leaf(u64::MAX).unwrap(), None);
    let leaves = |range| journal.leaves(range).unwrap();
    assert_eq!(leaves(3..6), [b"leaf 3", b"leaf 4", b"leaf 5"]);
    assert_eq!(leaves(0..u64::MAX).len(), 8);
    assert_eq!(leaves(7..100), [b"leaf 7"]);
    #[expect(
        clippy::reversed_empty_ranges,
        reason = "a caller's mistake must not panic"
    )]
    let reversed = 6..3;
    assert!(leaves(reversed).is_empty());
    assert!(leaves(8..9).is_empty());
}

fn the_first_index_of_an_id_stays(journal: &mut dyn Journal) {
    journal.commit(&commit(0, [1, 2])).unwrap();
    let again = journal.commit(&commit(2, [3, 2])).unwrap_err();
    assert!(matches!(again, StoreError::Duplicate { id: i, index: 1 } if i == id(2)));
    let twice = journal.commit(&commit(2, [3, 3])).unwrap_err();
    assert!(matches!(twice, StoreError::Duplicate { id: i, index: 2 } if i == id(3)));
    assert_eq!(
        journal.size().unwrap(),
        2,
        "a refused commit changes nothing"
    );
    assert_eq!(journal.find(&id(3)).unwrap(), None);
    assert_eq!(journal.frontier().unwrap(), b"frontier 2");
    assert_eq!(journal.fact(b"size").unwrap().unwrap(), 2_u64.to_be_bytes());
}

fn forbidden_entries_have_no_id(journal: &mut dyn Journal) {
    let mut found = commit(0, [1, 1, 2]);
    found.entries[0].admitted = false;
    journal.commit(&found).unwrap();
    assert_eq!(journal.size().unwrap(), 3);
    assert_eq!(journal.find(&id(1)).unwrap(), Some(1));
    let mut later = commit(3, [1, 3]);
    later
        .entries
        .iter_mut()
        .for_each(|entry| entry.admitted = false);
    journal.commit(&later).unwrap();
    assert_eq!(journal.find(&id(1)).unwrap(), Some(1));
    assert_eq!(journal.find(&id(3)).unwrap(), None);
    assert_eq!(journal.leaf(4).unwrap().unwrap(), b"leaf 4");
}

fn the_last_value_of_a_fact_counts(journal: &mut dyn Journal) {
    let pair = |key: &[u8], value: &str| (key.to_vec(), value.as_bytes().to_vec());
    let mut first = commit(0, []);
    first.facts = vec![
        pair(b"k/2", "old"),
        pair(b"k/\xff\xff", "last"),
        pair(b"k/2", "two"),
        pair(b"k0", "after"),
        pair(b"", "none"),
        pair(b"k/1", "one"),
        pair(b"k/1/a", ""),
    ];
    journal.commit(&first).unwrap();
    let mut second = commit(0, []);
    second.facts = vec![pair(b"k/1", "changed")];
    journal.commit(&second).unwrap();
    let all = [
        pair(b"", "none"),
        pair(b"k/1", "changed"),
        pair(b"k/1/a", ""),
        pair(b"k/2", "two"),
        pair(b"k/\xff\xff", "last"),
        pair(b"k0", "after"),
    ];
    assert_eq!(journal.facts().unwrap(), all);
    for (key, value) in all {
        assert_eq!(journal.fact(&key).unwrap(), Some(value));
    }
    assert_eq!(journal.fact(b"k/3").unwrap(), None);
}

fn the_head_moves_by_compare_and_swap(journal: &mut dyn Journal) {
    journal.commit(&commit(0, 0..5)).unwrap();
    let beyond = journal.advance(None, &head_at(6));
    assert!(matches!(
        beyond,
        Err(StoreError::Beyond { head: 6, size: 5 })
    ));
    let early = journal.advance(Some(0), &head_at(2));
    assert!(matches!(
        early,
        Err(StoreError::Lost {
            expected: Some(0),
            found: None
        })
    ));
    journal.advance(None, &head_at(3)).unwrap();
    for from in [None, Some(2), Some(4)] {
        let lost = journal.advance(from, &head_at(4));
        assert!(matches!(lost, Err(StoreError::Lost { found: Some(3), .. })));
    }
    let back = journal.advance(Some(3), &head_at(2));
    assert!(matches!(
        back,
        Err(StoreError::Backwards { from: 3, to: 2 })
    ));
    let mut other = head_at(3);
    other.root = [9; 32];
    let split = journal.advance(Some(3), &other);
    assert!(matches!(split, Err(StoreError::SecondRoot { size: 3 })));
    assert_eq!(journal.head().unwrap(), Some(head_at(3)));
    let mut renewed = head_at(3);
    renewed.note = b"signed again".to_vec();
    journal.advance(Some(3), &renewed).unwrap();
    assert_eq!(journal.head().unwrap(), Some(renewed));
    journal.advance(Some(3), &head_at(5)).unwrap();
    assert_eq!(journal.head().unwrap(), Some(head_at(5)));
}

macro_rules! on_every_engine {
    ($($test:ident)*) => {
        mod memory {
            $(#[test] fn $test() {
                super::$test(&mut super::MemoryJournal::default());
            })*
        }
        mod sqlite {
            $(#[test] fn $test() {
                let folder = tempfile::tempdir().unwrap();
                super::$test(&mut super::open(&folder));
            })*
        }
        mod sqlite_in_small_partitions {
            $(#[test] fn $test() {
                let folder = tempfile::tempdir().unwrap();
                super::$test(&mut super::in_partitions(&folder, 2));
            })*
        }
    };
}

on_every_engine! {
    an_empty_one_has_nothing
    commits_follow_each_other
    the_first_index_of_an_id_stays
    forbidden_entries_have_no_id
    the_last_value_of_a_fact_counts
    the_head_moves_by_compare_and_swap
}

fn open(folder: &TempDir) -> SqliteJournal {
    SqliteJournal::open(&folder.path().join("journal.db")).unwrap()
}

fn in_partitions(folder: &TempDir, partition: usize) -> SqliteJournal {
    SqliteJournal::with_partitions_of(&folder.path().join("journal.db"), partition)
}

/// Everything that can be read, as text.
fn contents(journal: &impl JournalRead) -> String {
    let ids: Vec<_> = (0..12).map(|n| journal.find(&id(n)).unwrap()).collect();
    format!(
        "{} {ids:?} {:?} {:?} {:?} {:?}",
        journal.size().unwrap(),
        journal.leaves(0..u64::MAX).unwrap(),
        journal.facts().unwrap(),
        journal.frontier().unwrap(),
        journal.head().unwrap(),
    )
}

#[derive(Debug, Clone)]
enum Step {
    Commit {
        ahead: i8,
        ids: Vec<(u64, bool)>,
        fact: (u8, u8),
    },
    Advance {
        from: Option<u64>,
        to: u64,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let ids = prop::collection::vec((0..12_u64, prop::bool::weighted(0.7)), 0..4);
    prop_oneof![
        6 => (prop_oneof![9 => Just(0), 1 => -1..2_i8], ids, any::<(u8, u8)>())
            .prop_map(|(ahead, ids, fact)| Step::Commit { ahead, ids, fact }),
        3 => (prop::option::weighted(0.8, 0..8_u64), 0..12_u64)
            .prop_map(|(from, to)| Step::Advance { from, to }),
        1 => Just(Step::Reopen),
    ]
}

fn apply(journal: &mut impl Journal, step: &Step) -> Result<(), String> {
    let done = match step {
        Step::Commit { ahead, ids, fact } => {
            let size = journal.size().unwrap();
            let first = size.saturating_add_signed(i64::from(*ahead));
            let mut commit = commit(first, ids.iter().map(|id| id.0));
            for (entry, (_, admitted)) in commit.entries.iter_mut().zip(ids) {
                entry.admitted = *admitted;
            }
            commit.facts.push((vec![fact.0], vec![fact.1]));
            journal.commit(&commit)
        }
        // Half the time from where the head is, or nothing would ever move.
        Step::Advance { from, to } => {
            let found = journal.head().unwrap().map(|head| head.size);
            let from = if to % 2 == 0 { found } else { *from };
            journal.advance(from, &head_at(*to))
        }
        Step::Reopen => Ok(()),
    };
    done.map_err(|error| error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn engines_cannot_be_told_apart(steps in prop::collection::vec(step(), 0..32)) {
        let folder = tempfile::tempdir().unwrap();
        let open = || in_partitions(&folder, 5);
        let (mut memory, mut sqlite) = (MemoryJournal::default(), open());
        for step in &steps {
            prop_assert_eq!(apply(&mut memory, step), apply(&mut sqlite, step));
            if let Step::Reopen = step {
                drop(sqlite);
                sqlite = open();
            }
        }
        prop_assert_eq!(contents(&memory), contents(&sqlite));
        let alone = SqliteReader::with_partitions_of(&folder.path().join("journal.db"), 5);
        for reader in [sqlite.reader().unwrap(), alone] {
            prop_assert_eq!(contents(&memory), contents(&reader));
        }
    }
}

#[test]
fn readers_follow_the_writer_from_any_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    assert!(
        SqliteReader::open(&path).is_err(),
        "a reader creates nothing"
    );
    assert!(!path.exists());
    let mut journal = in_partitions(&folder, 7);
    journal.checkpoint_beside().unwrap();
    let alone = SqliteReader::with_partitions_of(&path, 7);
    let readers = [alone.clone(), journal.reader().unwrap(), alone];
    let committed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for reader in readers.clone() {
            let committed = &committed;
            scope.spawn(move || {
                let mut size = 0;
                while size < 40 {
                    let found = committed.load(Ordering::SeqCst);
                    let now = reader.size().unwrap();
                    assert!(now >= size && now.is_multiple_of(2), "half a commit seen");
                    assert!((0..found).all(|n| reader.find(&id(n)).unwrap() == Some(n)));
                    assert_eq!(reader.leaves(0..now).unwrap().len() as u64, now);
                    size = now;
                }
            });
        }
        for first in (0..40).step_by(2) {
            journal.commit(&commit(first, first..first + 2)).unwrap();
            committed.store(first + 2, Ordering::SeqCst);
        }
    });
    journal.advance(None, &head_at(40)).unwrap();
    for reader in readers {
        assert_eq!(contents(&reader), contents(&journal));
    }
}

#[test]
fn of_two_writers_one_loses() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (open(&folder), open(&folder));
    one.commit(&commit(0, [1])).unwrap();
    let late = two.commit(&commit(0, [2]));
    assert!(matches!(
        late,
        Err(StoreError::NotNext { first: 0, size: 1 })
    ));
    one.advance(None, &head_at(1)).unwrap();
    let late = two.advance(None, &head_at(1));
    assert!(matches!(
        late,
        Err(StoreError::Lost {
            expected: None,
            found: Some(1)
        })
    ));
}

/// Copies the files of a journal as a crash of the machine would leave them, with only the first
/// `wal` bytes of the log of writes on the disk.
fn crash(from: &Path, to: &Path, wal: usize) {
    fs::copy(from.join("journal.db"), to.join("journal.db")).unwrap();
    let log = fs::read(from.join("journal.db-wal")).unwrap();
    fs::write(to.join("journal.db-wal"), &log[..wal.min(log.len())]).unwrap();
    let _ = fs::remove_file(to.join("journal.db-shm"));
}

#[test]
fn a_crash_leaves_whole_commits() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let mut journal = open(&folder);
    let mut states = vec![contents(&journal)];
    let mut durable = Vec::new();
    for n in 0..6 {
        if n % 2 == 0 {
            journal.commit(&commit(n, [n, n + 1])).unwrap();
        } else {
            let from = journal.head().unwrap().map(|head| head.size);
            journal.advance(from, &head_at(n + 1)).unwrap();
        }
        states.push(contents(&journal));
        let wal = fs::metadata(folder.path().join("journal.db-wal")).unwrap();
        durable.push(wal.len() as usize);
    }
    let after = tempfile::tempdir().unwrap();
    for wal in (0..=*durable.last().unwrap())
        .step_by(1021)
        .chain(durable.clone())
    {
        crash(folder.path(), after.path(), wal);
        let survived = durable.iter().filter(|&&end| end <= wal).count();
        assert_eq!(contents(&open(&after)), states[survived], "{wal} bytes");
    }
}

#[test]
fn a_newer_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let path = folder.path().join("journal.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "user_version", 1000)
        .unwrap();
    drop(connection);
    let newer = |error| matches!(error, StoreError::Newer { found: 1000, .. });
    assert!(newer(SqliteJournal::open(&path).unwrap_err()));
    assert!(newer(SqliteReader::open(&path).unwrap_err()));
}
