//! What the log is asked for other than by index and id, in a file beside the journal.
//!
//! Its rows follow from the entries and from nothing else. It is filled apart from the write path
//! and may lag behind it; lost or damaged, it is removed and made anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::checkpoints::Checkpoints;
use super::{Database, Schema, integer, number};
use crate::digest::StatementId;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::access_request::AccessRequest;
use crate::statement::kinds::agreement::Agreement;
use crate::statement::kinds::disclosure::Disclosure;
use crate::statement::kinds::limits::Limits;
use crate::statement::words::Jurisdiction;
use crate::store::StoreError;
use crate::time::Time;

pub(super) const SCHEMA: Schema = Schema {
    application_id: 0x7768_6f71, // "whoq"
    migrations: &["
        CREATE TABLE followed (
            only INTEGER PRIMARY KEY CHECK (only = 1),          -- the table has one row
            size INTEGER NOT NULL CHECK (size >= 0)             -- entries that were gone through
        ) STRICT;
        CREATE TABLE requests (
            position INTEGER PRIMARY KEY CHECK (position >= 0), -- leaf index of the access request
            jurisdiction TEXT NOT NULL,                         -- where it asks, as ISO 3166 has it
            deadline INTEGER NOT NULL                           -- seconds since 1970
        ) STRICT;
        CREATE INDEX open_requests ON requests (jurisdiction, deadline);",
        // What the entries before brought is followed again.
        "
        CREATE TABLE told (
            position INTEGER PRIMARY KEY CHECK (position >= 0), -- leaf index of an entry that is not routine
            kind TEXT NOT NULL                                  -- its statement's type
        ) STRICT;
        CREATE INDEX told_by_kind ON told (kind, position);
        CREATE TABLE counts (
            kind TEXT PRIMARY KEY,                              -- a statement's type
            told INTEGER NOT NULL                               -- its rows in told
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE agreements (
            last BLOB PRIMARY KEY,                              -- id of the last statement of an agreement
            in_force INTEGER NOT NULL CHECK (in_force IN (0, 1)),
            none INTEGER NOT NULL CHECK (none IN (0, 1))        -- it declares that there is none
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX agreements_in_force ON agreements (last) WHERE in_force = 1 AND none = 0;
        CREATE INDEX requests_by_deadline ON requests (deadline);
        DELETE FROM requests;
        DELETE FROM followed;"],
};

const SIZE: &str = "SELECT coalesce(max(size), 0) FROM followed";
const SET_SIZE: &str = "INSERT INTO followed (only, size) VALUES (1, ?1)
    ON CONFLICT (only) DO UPDATE SET size = excluded.size";
const ADD: &str = "INSERT INTO requests (position, jurisdiction, deadline) VALUES (?1, ?2, ?3)";
const OPEN: &str = "SELECT position FROM requests
    WHERE jurisdiction = ?1 AND deadline > ?2 ORDER BY position";
const REQUESTS: &str = "SELECT position, jurisdiction, deadline FROM requests
    WHERE position >= ?1 AND position < ?2 ORDER BY position";

const TELL: &str = "INSERT INTO told (position, kind) VALUES (?1, ?2)";
const COUNT: &str = "INSERT INTO counts (kind, told) VALUES (?1, ?2)
    ON CONFLICT (kind) DO UPDATE SET told = told + excluded.told";
const CONTINUE: &str = "DELETE FROM agreements WHERE last = ?1 RETURNING none";
const AGREE: &str = "INSERT INTO agreements (last, in_force, none) VALUES (?1, ?2, ?3)";
const FIRST_OF_LATEST: &str = "SELECT position FROM told ORDER BY position DESC LIMIT 1 OFFSET ?1";
const TOLD: &str = "SELECT position FROM told WHERE position >= ?1 ORDER BY position";
const TOLD_BEFORE: &str = "SELECT position FROM told WHERE kind = ?1 AND position < ?2
    ORDER BY position DESC LIMIT ?3";
const TOLD_BETWEEN: &str = "SELECT position, kind FROM told
    WHERE position >= ?1 AND position < ?2 ORDER BY position";
const COUNTED: &str = "SELECT coalesce(max(told), 0) FROM counts WHERE kind = ?1";
const OPEN_OF_ALL: &str = "SELECT count(*) FROM requests WHERE deadline > ?1";
const IN_FORCE: &str = "SELECT count(*) FROM agreements WHERE in_force = 1 AND none = 0";
const MISCOUNTED: &str = "SELECT count(*) FROM
    (SELECT kind, count(*) AS told FROM told GROUP BY kind EXCEPT SELECT kind, told FROM counts)";

/// An entry that is not routine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldRow {
    /// Its leaf index.
    pub position: u64,
    /// Its statement's type.
    pub kind: &'static str,
    pub request: Option<RequestRow>,
    pub agreement: Option<AgreementRow>,
}

/// A statement of an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementRow {
    pub id: StatementId,
    /// The statement that it continues.
    pub previous: Option<StatementId>,
    pub in_force: bool,
    /// Whether it declares that there is no agreement; `None` if that stays as it was.
    pub none: Option<bool>,
}

/// What a log comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    pub agreements_in_force: u64,
    pub requests: u64,
    pub requests_open: u64,
    pub disclosures: u64,
}

/// What is at the end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRows {
    /// Entries that were gone through.
    pub size: u64,
    /// All of `entries` are at this index or after it; 0 if no other entry is told.
    pub from: u64,
    /// The latest entries that are not routine, ascending.
    pub entries: Vec<u64>,
    /// Statements of agreements and limits before them.
    pub before: Vec<u64>,
    pub totals: Totals,
}

/// Declarations of limits before the window: those of some years.
const LIMITS: u64 = 64;

/// An access request, as far as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Its leaf index.
    pub position: u64,
    pub jurisdiction: Jurisdiction,
    pub deadline: Time,
}

/// The file, open for writing: for the one who follows the log.
#[derive(Debug)]
pub struct Queries {
    connection: Database,
    checkpoints: Checkpoints,
}

impl Queries {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] and [`StoreError::Newer`] for a file that is not to be touched.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = SCHEMA.open(path)?;
        // What a power cut takes is followed again.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let checkpoints = Checkpoints::start(SCHEMA.open(path)?)?;
        Ok(Self {
            connection,
            checkpoints,
        })
    }

    /// Entries that were gone through.
    ///
    /// # Errors
    /// SQLite's.
    pub fn size(&self) -> Result<u64, StoreError> {
        size(&self.connection).map_err(|error| error.in_database(&self.connection))
    }

    /// Takes in what the entries up to `size` brought.
    ///
    /// # Errors
    /// SQLite's; nothing was taken in then.
    pub fn follow(&mut self, size: u64, rows: &[ToldRow]) -> Result<(), StoreError> {
        let followed = self.try_follow(size, rows);
        followed.map_err(|error| error.in_database(&self.connection))
    }

    fn try_follow(&mut self, size: u64, rows: &[ToldRow]) -> Result<(), StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut counts = BTreeMap::new();
        for row in rows {
            let position = integer(row.position);
            transaction
                .prepare_cached(TELL)?
                .execute((position, row.kind))?;
            *counts.entry(row.kind).or_insert(0_u64) += 1;
            if let Some(request) = &row.request {
                let jurisdiction = request.jurisdiction.to_string();
                let values = (position, jurisdiction, request.deadline.unix());
                transaction.prepare_cached(ADD)?.execute(values)?;
            }
            if let Some(agreement) = &row.agreement {
                agree(&transaction, agreement)?;
            }
        }
        for (kind, told) in counts {
            let values = (kind, integer(told));
            transaction.prepare_cached(COUNT)?.execute(values)?;
        }
        transaction
            .prepare_cached(SET_SIZE)?
            .execute((integer(size),))?;
        transaction.commit()?;
        self.checkpoints.committed(1);
        Ok(())
    }
}

/// Puts a statement of an agreement in the place of the one that it continues.
fn agree(transaction: &Transaction<'_>, row: &AgreementRow) -> Result<(), StoreError> {
    let mut none_before = None;
    if let Some(previous) = &row.previous {
        let mut forget = transaction.prepare_cached(CONTINUE)?;
        none_before = forget
            .query_row((previous.as_bytes(),), |row| row.get(0))
            .optional()?;
    }
    let none = row.none.or(none_before).unwrap_or(false);
    let values = (row.id.as_bytes(), row.in_force, none);
    transaction.prepare_cached(AGREE)?.execute(values)?;
    Ok(())
}

/// Reads the file beside whoever follows the log.
#[derive(Debug, Clone)]
pub struct QueryReader(PathBuf);

impl QueryReader {
    /// Of a file that [`Queries::open`] has opened before.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Opens the file and reads it. A fault names it.
    fn read<T>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = SCHEMA.open_read_only(&self.0)?;
        read(&mut connection).map_err(|error| error.of(&self.0))
    }

    /// Leaf indices of the requests of a jurisdiction whose deadline is after `now`, ascending.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open_requests(&self, of: &Jurisdiction, now: Time) -> Result<Vec<u64>, StoreError> {
        let values = (of.to_string(), now.unix());
        self.read(|connection| positions(connection, OPEN, values))
    }

    /// The latest `most` entries that are not routine, and at most so many statements of agreements before them;
    /// totals at `now`. All of it at one moment.
    ///
    /// # Errors
    /// SQLite's.
    pub fn window(&self, most: u64, agreements: u64, now: Time) -> Result<WindowRows, StoreError> {
        self.read(|connection| window(&connection.transaction()?, most, agreements, now))
    }
    /// Entries that were gone through.
    ///
    /// # Errors
    /// SQLite's.
    pub fn size(&self) -> Result<u64, StoreError> {
        self.read(|connection| size(connection))
    }

    /// The entries from `first` to before `end` that are not routine, with their types.
    ///
    /// # Errors
    /// SQLite's.
    pub fn told(&self, first: u64, end: u64) -> Result<Vec<(u64, String)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare(TOLD_BETWEEN)?;
            let rows = statement.query_map((integer(first), integer(end)), |row| {
                Ok((number(row.get(0)?), row.get(1)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Whether the counts are those of the rows.
    ///
    /// # Errors
    /// SQLite's.
    pub fn counts_hold(&self) -> Result<bool, StoreError> {
        self.read(|connection| {
            let miscounted: i64 = connection.query_row(MISCOUNTED, (), |row| row.get(0))?;
            Ok(miscounted == 0)
        })
    }

    /// The requests among the entries from `first` to before `end`, as they stand in the file.
    ///
    /// # Errors
    /// SQLite's.
    pub fn requests(&self, first: u64, end: u64) -> Result<Vec<(u64, String, i64)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare(REQUESTS)?;
            let rows = statement.query_map((integer(first), integer(end)), |row| {
                Ok((number(row.get(0)?), row.get(1)?, row.get(2)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

fn window(
    at_once: &Transaction<'_>,
    most: u64,
    agreements: u64,
    now: Time,
) -> Result<WindowRows, StoreError> {
    let from = at_once
        .query_row(FIRST_OF_LATEST, (integer(most),), |row| row.get(0))
        .optional()?;
    // The one before them is not among them.
    let from = from.map_or(0, |position| number(position) + 1);
    let entries = positions(at_once, TOLD, (integer(from),))?;
    let mut before = Vec::new();
    for (kind, most) in [(Agreement::NAME, agreements), (Limits::NAME, LIMITS)] {
        let values = (kind, integer(from), integer(most));
        before.extend(positions(at_once, TOLD_BEFORE, values)?);
    }
    let count = |sql, value: &dyn rusqlite::ToSql| {
        let count = at_once.query_row(sql, [value], |row| row.get(0));
        count.map(number)
    };
    let in_force = at_once.query_row(IN_FORCE, (), |row| row.get(0))?;
    Ok(WindowRows {
        size: size(at_once)?,
        from,
        entries,
        before,
        totals: Totals {
            agreements_in_force: number(in_force),
            requests: count(COUNTED, &AccessRequest::NAME)?,
            requests_open: count(OPEN_OF_ALL, &now.unix())?,
            disclosures: count(COUNTED, &Disclosure::NAME)?,
        },
    })
}

fn positions(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<u64>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(values, |row| row.get(0))?;
    Ok(rows.map(|row| row.map(number)).collect::<Result<_, _>>()?)
}

fn size(connection: &Connection) -> Result<u64, StoreError> {
    Ok(number(connection.query_row(SIZE, (), |row| row.get(0))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever reads of a fault knows which file to put back or to remove.
    #[test]
    fn a_fault_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.db");
        let mut queries = Queries::open(&path).unwrap();
        let reader = QueryReader::new(path.clone());
        let other = Connection::open(&path).unwrap();
        for table in ["followed", "requests", "told", "counts", "agreements"] {
            other.execute_batch(&format!("DROP TABLE {table}")).unwrap();
        }
        let now = Time::from_unix(0).unwrap();
        let faults = [
            queries.size().unwrap_err(),
            queries.follow(1, &[]).unwrap_err(),
            reader.size().unwrap_err(),
            reader
                .open_requests(&"US-FL".parse().unwrap(), now)
                .unwrap_err(),
            reader.window(1, 1, now).unwrap_err(),
            reader.told(0, 1).unwrap_err(),
            reader.counts_hold().unwrap_err(),
            reader.requests(0, 1).unwrap_err(),
        ];
        for fault in faults.map(|fault| fault.to_string()) {
            assert!(fault.starts_with(path.to_str().unwrap()), "{fault}");
        }
    }
}
