//! A journal's ids, facts and their indexes as they lie in its tables, for an examiner that derived
//! them again into a journal of its own.
//!
//! The journal in use believes its indexes; here nothing of them is believed.

use std::ops::Range;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, TransactionBehavior};

use super::index::{Index, PARTITION, Table};
use super::journal::{SCHEMA, SqliteJournal, value_at};
use super::{integer, number};
use crate::store::StoreError;
use crate::store::vaults::SCHEMA as VAULTS;

/// Faults that SQLite's own check names at most.
const FAULTS: i64 = 20;
/// Rows of a new index between two writings of what is past.
const AT_ONCE: u64 = 1 << 16;

const FILTER: &str = "SELECT 0, filter FROM filters WHERE of = ?1 AND part = ?2";
const BUCKETS: &str =
    "SELECT number, places FROM buckets WHERE number >= ?1 AND number < ?2 ORDER BY number";

/// What differs among the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFault {
    /// In a row with this key.
    Row {
        table: Table,
        key: Vec<u8>,
        what: &'static str,
    },
    /// In the index of a table.
    Index { table: Table, what: String },
}

/// What SQLite finds wrong with the file itself: pages, order of keys, constraints.
///
/// # Errors
/// If it cannot be opened as a journal of this program's version.
pub fn file_faults(journal: &Path) -> Result<Vec<String>, StoreError> {
    Ok(faults_in(&SCHEMA.open_read_only(journal)?))
}

/// As [`file_faults`], of a `vaults.db`. That it cannot be opened is a fault of it.
pub fn vaults_faults(vaults: &Path) -> Vec<String> {
    match VAULTS.open_read_only(vaults) {
        Ok(connection) => faults_in(&connection),
        // The next start of the server brings it to the last version.
        Err(StoreError::Older { .. }) => Vec::new(),
        Err(error) => vec![error.to_string()],
    }
}

fn faults_in(connection: &Connection) -> Vec<String> {
    let mut faults = Vec::new();
    let checked = connection.pragma(None, "integrity_check", FAULTS, |row| {
        faults.push(row.get::<_, String>(0)?);
        Ok(())
    });
    match checked {
        Ok(()) => faults.retain(|fault| fault != "ok"),
        // So damaged that the check itself ends.
        Err(error) => faults.push(error.to_string()),
    }
    faults
}

/// Tells how the ids and facts in `journal` differ from those in `derived`, and its indexes from
/// what its rows make. New indexes lie in `scratch` meanwhile, a file that is not there yet.
///
/// # Errors
/// If one of the two cannot be read.
pub fn compare_keys(
    journal: &Path,
    derived: &SqliteJournal,
    scratch: &Path,
    tell: &mut dyn FnMut(KeyFault),
) -> Result<(), StoreError> {
    compare(journal, derived, scratch, PARTITION, tell)
}

fn compare(
    journal: &Path,
    derived: &SqliteJournal,
    scratch: &Path,
    partition: usize,
    tell: &mut dyn FnMut(KeyFault),
) -> Result<(), StoreError> {
    let scratch = SCHEMA.open(scratch)?;
    scratch.pragma_update(None, "synchronous", "OFF")?;
    let kept = SCHEMA.open_read_only(journal)?;
    for table in [Table::Ids, Table::Facts] {
        let kept = Rows {
            table,
            rows: &kept,
            index: &new_index(&kept, table, partition, &scratch)?,
            index_in: &scratch,
        };
        let derived = Rows {
            table,
            rows: derived.connection(),
            index: derived.index(table),
            index_in: derived.connection(),
        };
        compare_rows(&kept, &derived, tell)?;
        compare_indexes(table, kept.rows, &scratch, tell)?;
    }
    Ok(())
}

/// Puts ids, facts and indexes of `derived` in place of those in `journal`, in one transaction.
/// Entries, tree and head stay as they are.
///
/// # Errors
/// If it cannot be done; nothing was changed then.
pub fn replace_keys(journal: &Path, derived: &Path) -> Result<(), StoreError> {
    let mut connection = SCHEMA.open(journal)?;
    let path = derived.to_string_lossy();
    connection.execute("ATTACH ?1 AS derived", (path.as_ref(),))?;
    let behavior = TransactionBehavior::Immediate;
    let transaction = connection.transaction_with_behavior(behavior)?;
    for (table, columns) in [
        ("ids", "position, id"),
        ("facts", "number, key, value"),
        ("filters", "of, part, filter"),
        ("buckets", "number, places"),
    ] {
        transaction.execute_batch(&format!(
            "DELETE FROM main.{table};
             INSERT INTO main.{table} ({columns}) SELECT {columns} FROM derived.{table};"
        ))?;
    }
    Ok(transaction.commit()?)
}

/// The index that the rows of a table make; what of it belongs on disk goes into `scratch`.
fn new_index(
    kept: &Connection,
    table: Table,
    partition: usize,
    scratch: &Connection,
) -> Result<Index, StoreError> {
    let index = Index::new(table, partition);
    let mut statement = kept.prepare(table.rows_from())?;
    let mut rows = statement.query((0,))?;
    let mut unwritten = 0;
    while let Some(row) = rows.next()? {
        let key = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        index.remember([(number(row.get(0)?), table.fingerprint(key))]);
        unwritten += 1;
        if unwritten == AT_ONCE {
            index.take_over(index.write_past(scratch)?);
            unwritten = 0;
        }
    }
    index.take_over(index.write_past(scratch)?);
    Ok(index)
}

/// The rows of a table, and an index over them that holds.
struct Rows<'a> {
    table: Table,
    rows: &'a Connection,
    index: &'a Index,
    index_in: &'a Connection,
}

impl Rows<'_> {
    /// Number and value of the last row with this key.
    fn last(&self, key: &[u8]) -> Result<Option<(u64, Value)>, StoreError> {
        self.index.look_up(self.index_in, key, |row| {
            let value = value_at(self.rows, self.table.value_at(), row, key)?;
            Ok(value.map(|value| (row, value)))
        })
    }

    /// Shows each row's number and key.
    fn each(
        &self,
        mut show: impl FnMut(u64, Vec<u8>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.rows.prepare(self.table.rows_from())?;
        let mut rows = statement.query((0,))?;
        while let Some(row) = rows.next()? {
            show(number(row.get(0)?), row.get(1)?)?;
        }
        Ok(())
    }
}

/// Of keys that came more than once, the last row counts; ids come once.
fn compare_rows(
    kept: &Rows<'_>,
    derived: &Rows<'_>,
    tell: &mut dyn FnMut(KeyFault),
) -> Result<(), StoreError> {
    let table = kept.table;
    let mut fault = |key, what| tell(KeyFault::Row { table, key, what });
    kept.each(|row, key| {
        let (last, value) = kept.last(&key)?.expect("the row that is shown");
        if last != row {
            if table == Table::Ids {
                fault(key, "there more than once");
            }
            return Ok(());
        }
        match derived.last(&key)? {
            None => fault(key, "no entry makes it"),
            Some((_, made)) if made != value => fault(key, "not what the entries make of it"),
            Some(_) => {}
        }
        Ok(())
    })?;
    derived.each(|row, key| {
        let is_last = derived.last(&key)?.is_some_and(|(last, _)| last == row);
        if is_last && kept.last(&key)?.is_none() {
            fault(key, "missing");
        }
        Ok(())
    })
}

/// What is written of an index is what its rows make. The last partitions may lack theirs: an index
/// is written some time after its last row.
fn compare_indexes(
    table: Table,
    kept: &Connection,
    made: &Connection,
    tell: &mut dyn FnMut(KeyFault),
) -> Result<(), StoreError> {
    let parts = |connection: &Connection| -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(part) + 1, 0) FROM filters WHERE of = ?1";
        Ok(number(connection.query_row(
            sql,
            (table.tag(),),
            |row| row.get(0),
        )?))
    };
    let (found, possible) = (parts(kept)?, parts(made)?);
    let mut fault = |what| tell(KeyFault::Index { table, what });
    if found > possible {
        fault(format!(
            "{found} partitions, where there are rows for {possible}"
        ));
    }
    for part in 0..found.min(possible) {
        let Range { start, end } = table.buckets(part);
        let filter = ("filter", FILTER, [i64::from(table.tag()), integer(part)]);
        let places = ("places", BUCKETS, [integer(start), integer(end)]);
        for (what, sql, of) in [filter, places] {
            let rows = |connection: &Connection| -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
                let mut statement = connection.prepare_cached(sql)?;
                let rows = statement.query_map(of, |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(rows.collect::<Result<_, _>>()?)
            };
            if rows(kept)? != rows(made)? {
                fault(format!(
                    "partition {part}: not the {what} that its rows make"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::StatementId;
    use crate::store::journal::{Commit, Journal as _, JournalRead as _, NewEntry};

    fn id(n: u64) -> StatementId {
        StatementId::of_payload(&n.to_be_bytes())
    }

    const PARTITION: usize = 7;

    /// 20 entries, `at_once` to a commit, each with a fact of its own and one that all change.
    fn fill(path: &Path, at_once: u64) -> SqliteJournal {
        let mut journal = SqliteJournal::with_partitions_of(path, PARTITION);
        for first in (0..20_u64).step_by(at_once as usize) {
            let some = first..first + at_once;
            let own = |n: u64| {
                (
                    [b"own".as_slice(), &n.to_be_bytes()].concat(),
                    b"mine".to_vec(),
                )
            };
            let mut facts: Vec<_> = some.clone().map(own).collect();
            facts.push((b"all".to_vec(), (some.end - 1).to_be_bytes().to_vec()));
            let entry = |n| NewEntry {
                id: id(n),
                leaf: b"leaf".to_vec(),
                admitted: true,
            };
            let commit = Commit {
                first,
                entries: some.map(entry).collect(),
                facts,
                frontier: Vec::new(),
            };
            journal.commit(&commit).unwrap();
        }
        journal
    }

    struct Case {
        folder: tempfile::TempDir,
        derived: SqliteJournal,
    }

    impl Case {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fill(&folder.path().join("kept.db"), 4);
            let derived = fill(&folder.path().join("derived.db"), 5);
            Self { folder, derived }
        }

        fn kept(&self) -> std::path::PathBuf {
            self.folder.path().join("kept.db")
        }

        fn damage(&self, sql: &str) {
            let connection = Connection::open(self.kept()).unwrap();
            assert!(connection.execute(sql, ()).unwrap() > 0, "{sql}");
        }

        fn faults(&self) -> Vec<KeyFault> {
            let mut faults = Vec::new();
            let scratch = tempfile::tempdir().unwrap();
            let scratch = scratch.path().join("scratch.db");
            let tell = &mut |fault| faults.push(fault);
            compare(&self.kept(), &self.derived, &scratch, PARTITION, tell).unwrap();
            faults
        }
    }

    #[test]
    fn each_fault_is_told_and_mended() {
        let own = |n: u64| [b"own".as_slice(), &n.to_be_bytes()].concat();
        let row = |table, key: &[u8], what| KeyFault::Row {
            table,
            key: key.to_vec(),
            what,
        };
        let missing = "missing";
        let not_so = "not what the entries make of it";
        let (of, id7, id19) = (Table::Ids, id(7), id(19));
        let damages = [
            (
                "DELETE FROM ids WHERE position = 7",
                row(of, id7.as_bytes(), missing),
            ),
            (
                "INSERT INTO ids VALUES (99, zeroblob(32))",
                row(of, &[0; 32], "no entry makes it"),
            ),
            (
                "UPDATE ids SET position = 77 WHERE position = 7",
                row(of, id7.as_bytes(), not_so),
            ),
            (
                "INSERT INTO ids SELECT 77, id FROM ids WHERE position = 19",
                row(of, id19.as_bytes(), "there more than once"),
            ),
            (
                "DELETE FROM facts WHERE number = 3",
                row(Table::Facts, &own(3), missing),
            ),
            (
                "UPDATE facts SET value = x'00' WHERE number = 3",
                row(Table::Facts, &own(3), not_so),
            ),
            (
                "DELETE FROM facts WHERE number = 24",
                row(Table::Facts, b"all", not_so),
            ),
            (
                "UPDATE buckets SET places = zeroblob(12) WHERE number / 4096 = 2",
                KeyFault::Index {
                    table: of,
                    what: "partition 1: not the places that its rows make".to_owned(),
                },
            ),
            (
                "UPDATE filters SET filter = zeroblob(64) WHERE of = 102 AND part = 0",
                KeyFault::Index {
                    table: Table::Facts,
                    what: "partition 0: not the filter that its rows make".to_owned(),
                },
            ),
            (
                "INSERT INTO filters SELECT of, 9, filter FROM filters WHERE of = 105 AND part = 0",
                KeyFault::Index {
                    table: of,
                    what: "10 partitions, where there are rows for 2".to_owned(),
                },
            ),
        ];
        for (sql, fault) in damages {
            let case = Case::new();
            assert_eq!(case.faults(), []);
            case.damage(sql);
            let found = case.faults();
            assert!(found.contains(&fault), "{sql}: {found:?}");
            replace_keys(&case.kept(), &case.folder.path().join("derived.db")).unwrap();
            assert_eq!(case.faults(), [], "{sql}");
            assert_eq!(file_faults(&case.kept()).unwrap(), Vec::<String>::new());
            let journal = SqliteJournal::with_partitions_of(&case.kept(), PARTITION);
            assert_eq!(journal.size().unwrap(), 20);
            assert_eq!(journal.find(&id(7)).unwrap(), Some(7));
            assert_eq!(journal.fact(b"all").unwrap().unwrap(), 19_u64.to_be_bytes());
        }
    }

    #[test]
    fn an_index_that_is_not_written_yet_is_no_fault() {
        let case = Case::new();
        case.damage("DELETE FROM filters WHERE of = 102 AND part = 1");
        case.damage("DELETE FROM buckets WHERE number / 4096 = 3");
        assert_eq!(case.faults(), []);
    }
}
