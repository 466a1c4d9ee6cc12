//! What a window holds does not grow with the log, and has what its entries rest on.

use std::path::Path;

use super::*;
use crate::ledger::queries;
use crate::reader::follower::Follower;
use crate::reader::testing::{LEAVES, Shown, now, policy};
use crate::statement::testing::{AGENCY, VENDOR};
use crate::store::sqlite::{Queries, QueryReader, SqliteJournal, SqliteReader};

/// A copy of the log's first `size` entries, and the index of them.
fn log(folder: &Path, size: usize) -> (SqliteReader, QueryReader) {
    let journal = SqliteJournal::open(&folder.join("ledger.db")).unwrap();
    let reader = journal.reader().unwrap();
    let mut follower = Follower::open(journal, policy()).unwrap();
    let shown = Shown::new(&LEAVES[..size], &[]);
    follower.update(&shown, now(), &mut |_, _| {}).unwrap();
    let path = folder.join("queries.db");
    let mut queries = Queries::open(&path).unwrap();
    // In two turns, as the indexer does.
    for (from, to) in [(0, size / 2), (size / 2, size)] {
        let rows = queries::rows(&LEAVES[from..to], from as u64);
        queries.follow(to as u64, &rows).unwrap();
    }
    (reader, QueryReader::new(path))
}

fn window_of(journal: &SqliteReader, rows: WindowRows, bounds: &Bounds) -> Window {
    match cut(journal, rows, bounds).unwrap() {
        Cut::Window(window) => window,
        Cut::TooLarge { .. } => panic!("it fits"),
    }
}

fn bounds(entries: u64) -> Bounds {
    Bounds {
        entries,
        bytes: usize::MAX,
        agreements: 10,
        named: 10,
        listed: 20,
    }
}

#[test]
fn a_window_is_as_large_as_its_bounds_however_long_the_log_is() {
    for size in [300, 600] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, queries) = log(folder.path(), size);
        let rows = queries.window(50, 10, now()).unwrap();
        let window = window_of(&journal, rows, &bounds(50));
        assert_eq!(window.size, size as u64);
        assert_eq!(window.from, size as u64 - 50);
        assert_eq!(window.listed.len(), 20);
        // The entries, the agreement with its steps, the limits, and the parties that are named.
        assert!(
            window.entries.len() <= 50 + 10 + 10 + 10,
            "{}",
            window.entries.len()
        );
        let latest = window.entries.range(window.from..).count();
        assert_eq!(latest, 50);
        for (index, leaf) in window.entries.iter().chain(&window.listed) {
            assert_eq!(leaf, &LEAVES[*index as usize]);
        }
        let told = queries.told(0, size as u64).unwrap();
        assert!(queries.counts_hold().unwrap() && told.len() > size / 2);
    }
}

/// Large entries take the place of many small ones; what comes before them is known all the same.
#[test]
fn a_window_is_bounded_by_bytes_too() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, queries) = log(folder.path(), 600);
    let few = Bounds {
        bytes: LEAVES[599].len() + 1,
        ..bounds(50)
    };
    let cut_at = |entries| {
        let rows = queries.window(entries, 10, now()).unwrap();
        cut(&journal, rows, &few).unwrap()
    };
    assert!(matches!(cut_at(50), Cut::TooLarge { fit: 2 }));
    let Cut::Window(window) = cut_at(2) else {
        panic!("two fit");
    };
    assert_eq!(window.from, 598);
    assert_eq!(window.entries.range(598..).count(), 2);
    assert!(window.entries.range(..598).count() > 0);
}

#[test]
fn a_log_that_fits_is_there_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, queries) = log(folder.path(), 40);
    let rows = queries.window(100, 10, now()).unwrap();
    let told = queries.told(0, 40).unwrap();
    let window = window_of(&journal, rows, &bounds(100));
    assert_eq!(window.from, 0);
    let indices: Vec<u64> = window.entries.keys().copied().collect();
    let kept: Vec<u64> = told.iter().map(|(index, _)| *index).collect();
    assert_eq!(indices, kept);
}

/// A request in the window brings its agreement, and the parties that it is between.
#[test]
fn what_entries_rest_on_comes_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, queries) = log(folder.path(), 600);
    let told = queries.told(0, 600).unwrap();
    let of = |kind: &str| told.iter().find(|(_, told)| told == kind).unwrap().0;
    let (agreement, request) = (of("agreement"), of("access-request"));
    assert!(agreement < request);
    let after = told.iter().filter(|(index, _)| *index >= request).count() as u64;
    let rows = queries.window(after, 0, now()).unwrap();
    assert!(rows.from <= request && rows.entries[0] == request);
    let wide = Bounds {
        named: 1000,
        ..bounds(after)
    };
    let window = window_of(&journal, rows, &wide);
    assert!(window.entries.contains_key(&agreement));
    for party in [AGENCY, VENDOR] {
        let fact = JournalFacts(&journal).party(&party.parse().unwrap());
        let registered = fact.unwrap().unwrap().registered.as_u64();
        assert!(window.entries.contains_key(&registered), "{party}");
    }
    assert_eq!(
        (window.totals.requests, window.totals.agreements_in_force),
        (1, 1)
    );
}
