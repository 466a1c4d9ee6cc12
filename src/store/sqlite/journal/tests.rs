use rusqlite::StatementStatus;

use super::*;
use crate::store::journal::{KeyedFact, NewEntry};

/// Commits one entry, whose leaf is its index, and one fact.
fn add(journal: &mut SqliteJournal, index: u64, id: StatementId, fact: KeyedFact) {
    let entry = NewEntry {
        id,
        leaf: index.to_be_bytes().to_vec(),
        admitted: true,
    };
    let commit = Commit {
        first: index,
        entries: vec![entry],
        facts: vec![fact],
        frontier: Vec::new(),
    };
    journal.commit(&commit).unwrap();
}

/// As the second schema had it: keys in partitions, of which the last one counts.
#[test]
fn keys_of_older_schemas_are_brought_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let id = |n: u8| StatementId::of_payload(&[n]);
    let old = Schema {
        application_id: SCHEMA.application_id,
        migrations: &SCHEMA.migrations[..2],
    };
    let connection = old.open(&path).unwrap();
    for (n, part) in [(0, 0), (1, 0), (2, 1)] {
        let add = "INSERT INTO entries VALUES (?1, x'00')";
        connection.execute(add, (n,)).unwrap();
        let add = "INSERT INTO ids VALUES (?1, ?2, ?3)";
        connection
            .execute(add, (part, id(n).as_bytes(), n))
            .unwrap();
        let add = "INSERT INTO facts VALUES (?1, ?2, ?3)";
        connection.execute(add, (part, [n], [n])).unwrap();
    }
    let later = "INSERT INTO facts VALUES (1, x'00', x'07')";
    connection.execute(later, ()).unwrap();
    connection
        .execute("INSERT INTO partitions VALUES (0, x'00')", ())
        .unwrap();
    drop(connection);
    let mut journal = SqliteJournal::open(&path).unwrap();
    for n in 0..3 {
        assert_eq!(journal.find(&id(n)).unwrap(), Some(u64::from(n)));
    }
    let facts = [(vec![0], vec![7]), (vec![1], vec![1]), (vec![2], vec![2])];
    assert_eq!(journal.facts().unwrap(), facts);
    for (key, value) in facts {
        assert_eq!(journal.fact(&key).unwrap(), Some(value));
    }
    add(&mut journal, 3, id(3), (vec![1], vec![8]));
    assert_eq!(journal.find(&id(3)).unwrap(), Some(3));
    assert_eq!(journal.fact(&[1]).unwrap(), Some(vec![8]));
}

/// As the fourth schema had them: buckets by whose keys they hold, partition and number.
#[test]
fn buckets_of_the_schema_before_are_brought_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let id = |n: u64| StatementId::of_payload(&n.to_be_bytes());
    let mut journal = SqliteJournal::with_partitions_of(&path, 3);
    for n in 0..12_u64 {
        let fact = (n.to_be_bytes().to_vec(), vec![n as u8]);
        add(&mut journal, n, id(n), fact);
    }
    drop(journal);
    let back = "
        CREATE TABLE older (
            of INTEGER NOT NULL, part INTEGER NOT NULL, bucket INTEGER NOT NULL,
            places BLOB NOT NULL, PRIMARY KEY (of, part, bucket)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO older SELECT
            CASE number / 4096 % 2 WHEN 0 THEN 105 ELSE 102 END, number / 8192, number % 4096, places
            FROM buckets;
        DROP TABLE buckets;
        ALTER TABLE older RENAME TO buckets;
        DROP TABLE instance;
        PRAGMA user_version = 4;";
    Connection::open(&path)
        .unwrap()
        .execute_batch(back)
        .unwrap();
    let journal = SqliteJournal::with_partitions_of(&path, 3);
    assert!(journal.keys.ids.written() > 2 && journal.keys.facts.written() > 2);
    for n in 0..12_u64 {
        let leaf = n.to_be_bytes().to_vec();
        assert_eq!(journal.find(&id(n)).unwrap(), Some(n));
        assert_eq!(journal.find_leaf(&id(n)).unwrap(), Some((n, leaf)));
        let fact = journal.fact(&n.to_be_bytes()).unwrap();
        assert_eq!(fact, Some(vec![n as u8]));
    }
}

/// To plan it takes far longer than to run it.
#[test]
fn a_query_is_planned_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let id = |n: u64| StatementId::of_payload(&n.to_be_bytes());
    let mut journal = SqliteJournal::open(&path).unwrap();
    for n in 0..9 {
        add(&mut journal, n, id(n), (vec![1], vec![2]));
        assert!(journal.find_leaf(&id(n)).unwrap().is_some());
    }
    let statement = journal.connection.prepare_cached(LEAF_OF).unwrap();
    assert_eq!(statement.get_status(StatementStatus::Run), 9);
    assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
}
