//! A journal's ids, facts and filters as they lie in its tables, for an examiner that derived them
//! again into a journal of its own.
//!
//! The journal in use believes its partitions and filters; here nothing of them is believed.

use std::cmp::Ordering;
use std::path::Path;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Rows, TransactionBehavior};

use super::filter::{Filter, Fingerprint};
use super::journal::{CLOSED, KEYS_OF, SCHEMA};
use crate::store::StoreError;

/// Faults that SQLite's own check names at most.
const FAULTS: i64 = 20;

/// What differs in a table of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFault {
    pub table: Table,
    /// The key; empty if it is the table that is at fault.
    pub key: Vec<u8>,
    pub what: String,
}

/// A table of keys, or the filters over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Ids,
    Facts,
    Filters,
}

impl Table {
    /// Its name, and the column of its keys and of its values.
    const fn columns(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Ids => ("ids", "id", "position"),
            Self::Facts => ("facts", "key", "value"),
            Self::Filters => ("partitions", "part", "filter"),
        }
    }
}

/// What SQLite finds wrong with the file itself: pages, order of keys, constraints.
///
/// # Errors
/// If it cannot be opened as a journal of this program's version.
pub fn file_faults(journal: &Path) -> Result<Vec<String>, StoreError> {
    let connection = SCHEMA.open_read_only(journal)?;
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
    Ok(faults)
}

/// Tells how the ids, facts and filters in `journal` differ from those in `derived`. Reads both in
/// the order of their keys, so memory does not grow with them. Partitions may be cut elsewhere.
///
/// # Errors
/// If one of the two cannot be read.
pub fn compare_keys(
    journal: &Path,
    derived: &Path,
    tell: &mut dyn FnMut(KeyFault),
) -> Result<(), StoreError> {
    let kept = SCHEMA.open_read_only(journal)?;
    let derived = SCHEMA.open_read_only(derived)?;
    compare::<i64>(&kept, &derived, Table::Ids, tell)?;
    compare::<Vec<u8>>(&kept, &derived, Table::Facts, tell)?;
    compare_filters(&kept, tell)
}

/// Puts ids, facts, partitions and filters of `derived` in place of those in `journal`, in one
/// transaction. Entries, tree and head stay as they are.
///
/// # Errors
/// If it cannot be done; nothing was changed then.
pub fn replace_keys(journal: &Path, derived: &Path) -> Result<(), StoreError> {
    let mut connection = SCHEMA.open(journal)?;
    let path = derived.to_string_lossy();
    connection.execute("ATTACH ?1 AS derived", (path.as_ref(),))?;
    let behavior = TransactionBehavior::Immediate;
    let transaction = connection.transaction_with_behavior(behavior)?;
    for table in [Table::Filters, Table::Ids, Table::Facts] {
        let (name, key, value) = table.columns();
        let columns = match table {
            Table::Filters => format!("{key}, {value}"),
            Table::Ids | Table::Facts => format!("part, {key}, {value}"),
        };
        transaction.execute_batch(&format!(
            "DELETE FROM main.{name};
             INSERT INTO main.{name} ({columns}) SELECT {columns} FROM derived.{name};"
        ))?;
    }
    Ok(transaction.commit()?)
}

/// A key, its value in the last partition that has it, and the partitions that have it.
struct Row<T> {
    key: Vec<u8>,
    value: T,
    parts: Vec<i64>,
}

/// All keys of a table in ascending order, each once.
struct Keys<'a, T> {
    rows: Rows<'a>,
    next: Option<(Vec<u8>, i64, T)>,
}

impl<'a, T: FromSql> Keys<'a, T> {
    fn new(rows: Rows<'a>) -> Result<Self, StoreError> {
        let mut keys = Self { rows, next: None };
        keys.next = keys.read()?;
        Ok(keys)
    }

    fn read(&mut self) -> Result<Option<(Vec<u8>, i64, T)>, StoreError> {
        let row = self.rows.next()?;
        let read = row.map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        Ok(read.transpose().map_err(|e: rusqlite::Error| e)?)
    }

    fn next(&mut self) -> Result<Option<Row<T>>, StoreError> {
        let Some((key, part, value)) = self.next.take() else {
            return Ok(None);
        };
        let (mut last, mut parts) = ((part, value), vec![part]);
        loop {
            self.next = self.read()?;
            match self.next.take() {
                Some((other, part, value)) if other == key => {
                    parts.push(part);
                    if part > last.0 {
                        last = (part, value);
                    }
                }
                next => {
                    self.next = next;
                    let value = last.1;
                    return Ok(Some(Row { key, value, parts }));
                }
            }
        }
    }
}

/// One query for all keys in their order: SQLite merges the partitions, each of which is in order.
fn sorted_keys(connection: &Connection, table: Table) -> Result<String, StoreError> {
    let (name, key, value) = table.columns();
    let mut next = connection.prepare(&format!("SELECT min(part) FROM {name} WHERE part > ?1"))?;
    let (mut arms, mut last) = (Vec::new(), -1);
    while let Some(part) = next.query_row((last,), |row| row.get::<_, Option<i64>>(0))? {
        arms.push(format!(
            "SELECT {key}, part, {value} FROM {name} WHERE part = {part}"
        ));
        last = part;
    }
    if arms.is_empty() {
        arms.push(format!("SELECT {key}, part, {value} FROM {name}"));
    }
    Ok(format!("{} ORDER BY 1", arms.join(" UNION ALL ")))
}

fn compare<T: FromSql + PartialEq>(
    kept: &Connection,
    derived: &Connection,
    table: Table,
    tell: &mut dyn FnMut(KeyFault),
) -> Result<(), StoreError> {
    let open: i64 = kept.query_row(CLOSED, (), |row| row.get(0))?;
    let mut statement = kept.prepare(&sorted_keys(kept, table)?)?;
    let mut kept = Keys::<T>::new(statement.query(())?)?;
    let mut statement = derived.prepare(&sorted_keys(derived, table)?)?;
    let mut derived = Keys::<T>::new(statement.query(())?)?;
    let mut fault = |key: Vec<u8>, what: &str| {
        let what = what.to_owned();
        tell(KeyFault { table, key, what });
    };
    let (mut one, mut other) = (kept.next()?, derived.next()?);
    loop {
        let order = match (&one, &other) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => one.key.cmp(&other.key),
        };
        let found = match order {
            Ordering::Greater => None,
            _ => std::mem::replace(&mut one, kept.next()?),
        };
        let made = match order {
            Ordering::Less => None,
            _ => std::mem::replace(&mut other, derived.next()?),
        };
        match (found, made) {
            (Some(found), None) => fault(found.key, "no entry makes it"),
            (None, Some(made)) => fault(made.key, "missing"),
            (Some(found), Some(made)) if found.value != made.value => {
                fault(found.key, "not what the entries make of it");
            }
            (Some(found), Some(_)) if found.parts.iter().any(|part| *part > open) => {
                fault(found.key, "in a partition that there is not");
            }
            (Some(found), Some(_)) if table == Table::Ids && found.parts.len() > 1 => {
                fault(found.key, "there more than once");
            }
            _ => {}
        }
    }
}

/// Each closed partition's filter is the one that its keys make.
fn compare_filters(kept: &Connection, tell: &mut dyn FnMut(KeyFault)) -> Result<(), StoreError> {
    let mut fault = |what: String| {
        let (table, key) = (Table::Filters, Vec::new());
        tell(KeyFault { table, key, what });
    };
    let mut filters = kept.prepare("SELECT part, filter FROM partitions ORDER BY part")?;
    let mut rows = filters.query(())?;
    let mut keys = kept.prepare(KEYS_OF)?;
    let mut expected = 0;
    while let Some(row) = rows.next()? {
        let part: i64 = row.get(0)?;
        if part != expected {
            fault(format!("the filter of partition {expected} is missing"));
        }
        expected = part + 1;
        let mut made = Filter::new();
        let mut keys = keys.query((part,))?;
        while let Some(key) = keys.next()? {
            let tag = key.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?[0];
            let key = key.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            made.insert(Fingerprint::of(tag, key));
        }
        let found = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        if found != made.to_bytes() {
            fault(format!(
                "partition {part}: not the filter that its keys make"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::StatementId;
    use crate::store::journal::{Commit, Journal as _, JournalRead as _, NewEntry};
    use crate::store::sqlite::SqliteJournal;

    fn id(n: u64) -> StatementId {
        StatementId::of_payload(&n.to_be_bytes())
    }

    /// 20 entries, each with a fact of its own and one that all change.
    fn fill(path: &Path, partition: usize) {
        let mut journal = SqliteJournal::open(path)
            .unwrap()
            .with_partitions_of(partition);
        for first in 0..20_u64 {
            let value = first.to_be_bytes().to_vec();
            let commit = Commit {
                first,
                entries: vec![NewEntry {
                    id: id(first),
                    leaf: b"leaf".to_vec(),
                    admitted: true,
                }],
                facts: vec![
                    (b"all".to_vec(), value.clone()),
                    ([b"own".as_slice(), &value].concat(), value),
                ],
                frontier: Vec::new(),
            };
            journal.commit(&commit).unwrap();
        }
    }

    fn faults(journal: &Path, derived: &Path) -> Vec<(Table, String)> {
        let mut faults = Vec::new();
        compare_keys(journal, derived, &mut |f| faults.push((f.table, f.what))).unwrap();
        faults
    }

    #[test]
    fn keys_are_the_same_however_partitions_are_cut_and_each_fault_is_told_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, derived) = (
            folder.path().join("kept.db"),
            folder.path().join("derived.db"),
        );
        fill(&derived, 9);
        let own = |n: u64| [b"own".as_slice(), &n.to_be_bytes()].concat();
        let damages: [(&str, Vec<u8>, Table, &str); 7] = [
            (
                "DELETE FROM ids WHERE id = ?1",
                id(7).as_bytes().to_vec(),
                Table::Ids,
                "missing",
            ),
            (
                "INSERT INTO ids VALUES (1, ?1, 3)",
                id(99).as_bytes().to_vec(),
                Table::Ids,
                "no entry makes it",
            ),
            (
                "UPDATE ids SET position = 5 WHERE id = ?1",
                id(7).as_bytes().to_vec(),
                Table::Ids,
                "not what the entries make of it",
            ),
            (
                "DELETE FROM facts WHERE key = ?1",
                own(3),
                Table::Facts,
                "missing",
            ),
            (
                "UPDATE facts SET value = x'00' WHERE key = ?1",
                own(3),
                Table::Facts,
                "not what the entries make of it",
            ),
            (
                "UPDATE facts SET part = 77 WHERE key = ?1",
                own(19),
                Table::Facts,
                "in a partition that there is not",
            ),
            (
                "INSERT INTO ids SELECT 0, id, position FROM ids WHERE id = ?1",
                id(19).as_bytes().to_vec(),
                Table::Ids,
                "there more than once",
            ),
        ];
        fill(&kept, 4);
        assert_eq!(faults(&kept, &derived), []);
        for (sql, key, table, what) in damages {
            let connection = Connection::open(&kept).unwrap();
            assert_eq!(connection.execute(sql, (key,)).unwrap(), 1, "{sql}");
            drop(connection);
            let found = faults(&kept, &derived);
            assert!(
                found.contains(&(table, what.to_owned())),
                "{sql}: {found:?}"
            );
            replace_keys(&kept, &derived).unwrap();
            assert_eq!(faults(&kept, &derived), [], "{sql}");
        }
        let journal = SqliteJournal::open(&kept).unwrap();
        assert_eq!(journal.size().unwrap(), 20);
        assert_eq!(journal.find(&id(7)).unwrap(), Some(7));
        assert_eq!(journal.fact(b"all").unwrap().unwrap(), 19_u64.to_be_bytes());
    }

    #[test]
    fn a_filter_that_lost_a_bit_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.db");
        fill(&path, 4);
        let connection = Connection::open(&path).unwrap();
        let mut filter: Vec<u8> = connection
            .query_row("SELECT filter FROM partitions WHERE part = 1", (), |row| {
                row.get(0)
            })
            .unwrap();
        let byte = filter.iter().position(|byte| *byte != 0).unwrap();
        filter[byte] &= filter[byte] - 1;
        let set = "UPDATE partitions SET filter = ?1 WHERE part = 1";
        connection.execute(set, (filter,)).unwrap();
        let what = "partition 1: not the filter that its keys make".to_owned();
        assert_eq!(faults(&path, &path), [(Table::Filters, what)]);
        connection
            .execute("DELETE FROM partitions WHERE part = 1", ())
            .unwrap();
        let what = "the filter of partition 1 is missing".to_owned();
        assert!(faults(&path, &path).contains(&(Table::Filters, what)));
        assert_eq!(file_faults(&path).unwrap(), Vec::<String>::new());
    }
}
