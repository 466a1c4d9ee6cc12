//! The index against a look at every entry.

use super::*;
use crate::statement::sign;
use crate::statement::testing::{Stage, World, agency_officer, key};
use crate::statement::words::Jurisdiction;
use crate::store::journal::{Commit, Journal as _, NewEntry};
use crate::store::sqlite::{QueryReader, SqliteJournal};
use crate::time::Time;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::hash::EMPTY_ROOT;
use crate::tlog::tree::TreeSize;

/// The journey's entries, and after them requests that differ in place and deadline.
fn world() -> (World, Vec<Vec<u8>>) {
    let world = World::at(Stage::Collection);
    let entries = world.history.iter().cloned();
    let mut envelopes: Vec<_> = entries.map(|(_, signed)| signed.envelope).collect();
    for n in 0..40 {
        let mut request = world.ask();
        request.deadline = world.now.cut_to_minute().plus_seconds((n - 20) * 60);
        request.jurisdiction = ["US-FL", "US-MA"][n as usize % 2].parse().unwrap();
        let head = world.head(&agency_officer().author);
        envelopes.push(sign(&head, &request.into(), &[&key("agency officer")]));
    }
    let leaf = |envelope| Leaf {
        logged_at: world.now.cut_to_minute(),
        envelope,
    };
    let leaves = envelopes
        .into_iter()
        .map(|envelope| leaf(envelope).to_bytes());
    (world.clone(), leaves.collect())
}

fn commit(journal: &mut SqliteJournal, first: u64, leaves: &[Vec<u8>]) {
    let entry = |leaf: &Vec<u8>| NewEntry {
        id: StatementId::of_payload(leaf),
        leaf: leaf.clone(),
        admitted: true,
    };
    let commit = Commit {
        first,
        entries: leaves.iter().map(entry).collect(),
        facts: Vec::new(),
        frontier: Vec::new(),
    };
    journal.commit(&commit).unwrap();
}

/// What the index should say, by reading everything.
fn open_among(leaves: &[Vec<u8>], of: &Jurisdiction, now: Time) -> Vec<u64> {
    let is_open = |(_, leaf): &(u64, &Vec<u8>)| {
        let (_, statement) = parse_payload(&Leaf::parse(leaf).unwrap().envelope.payload).unwrap();
        matches!(statement, Statement::AccessRequest(r) if r.jurisdiction == *of && r.deadline > now)
    };
    let leaves = (0..).zip(leaves).filter(is_open);
    leaves.map(|(index, _)| index).collect()
}

#[test]
fn it_follows_what_is_published_across_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queries.db");
    let mut journal = SqliteJournal::open(&folder.path().join("ledger.db")).unwrap();
    let (world, leaves) = world();
    let mut committed = 0;
    let last = leaves.len() as u64;
    for (size, published) in [(5, 3), (20, 20), (20, 20), (last, 33), (last, last)] {
        if size > committed {
            commit(
                &mut journal,
                committed,
                &leaves[committed as usize..size as usize],
            );
            committed = size;
        }
        let (queries, known) = open(&path, &journal).unwrap();
        let (followed, follows) = watch::channel(known);
        let at = Published {
            checkpoint: Checkpoint {
                origin: crate::statement::testing::ORIGIN.parse().unwrap(),
                size: TreeSize::new(published),
                root: EMPTY_ROOT,
            },
            note: Vec::new().into(),
            at: world.now,
            came: None,
            counted: TreeSize::new(published),
            witnesses: Vec::new(),
        };
        let (publish, published_now) = watch::channel(Some(at));
        let indexer = Indexer {
            queries,
            journal: journal.reader().unwrap(),
            published: published_now,
            followed,
        };
        let thread = std::thread::spawn(move || indexer.run());
        while *follows.borrow() < published {
            std::thread::yield_now();
        }
        drop(publish);
        thread.join().unwrap().unwrap();
        assert_eq!(*follows.borrow(), published);
        let reader = QueryReader::new(path.clone());
        for of in ["US-FL", "US-MA", "DE"] {
            let of: Jurisdiction = of.parse().unwrap();
            for minutes in [-30, -20, -3, 0, 7, 19, 20] {
                let now = world.now.cut_to_minute().plus_seconds(minutes * 60);
                assert_eq!(
                    reader.open_requests(&of, now).unwrap(),
                    open_among(&leaves[..published as usize], &of, now)
                );
            }
        }
    }
}

#[test]
fn one_that_knows_more_than_there_is_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queries.db");
    let journal = SqliteJournal::open(&folder.path().join("ledger.db")).unwrap();
    Queries::open(&path).unwrap().follow(1, &[]).unwrap();
    let refused = open(&path, &journal).unwrap_err();
    assert!(refused.to_string().contains("whosaw log fsck"), "{refused}");
}

/// A log that is taken over without an index is gone through for a long time: the end does not wait.
#[test]
fn it_ends_with_the_publisher_however_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(&folder.path().join("ledger.db")).unwrap();
    let (_, leaves) = world();
    commit(&mut journal, 0, &leaves);
    let (queries, known) = open(&folder.path().join("queries.db"), &journal).unwrap();
    let (publish, published) = watch::channel(None);
    let (followed, follows) = watch::channel(known);
    drop(publish);
    let mut indexer = Indexer {
        queries,
        journal: journal.reader().unwrap(),
        published,
        followed,
    };
    indexer.follow(leaves.len() as u64).unwrap();
    assert_eq!(*follows.borrow(), 0);
}
