//! What the log is asked for other than by index and id, in a file beside the journal.
//!
//! Its rows follow from the entries and from nothing else. It is filled apart from the write path
//! and may lag behind it; lost or damaged, it is removed and made anew.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use super::checkpoints::Checkpoints;
use super::{Database, Schema, integer, number};
use crate::statement::words::Jurisdiction;
use crate::store::StoreError;
use crate::time::Time;

const SCHEMA: Schema = Schema {
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
        CREATE INDEX open_requests ON requests (jurisdiction, deadline);"],
};

const SIZE: &str = "SELECT coalesce(max(size), 0) FROM followed";
const SET_SIZE: &str = "INSERT INTO followed (only, size) VALUES (1, ?1)
    ON CONFLICT (only) DO UPDATE SET size = excluded.size";
const ADD: &str = "INSERT INTO requests (position, jurisdiction, deadline) VALUES (?1, ?2, ?3)";
const OPEN: &str = "SELECT position FROM requests
    WHERE jurisdiction = ?1 AND deadline > ?2 ORDER BY position";
const REQUESTS: &str = "SELECT position, jurisdiction, deadline FROM requests
    WHERE position >= ?1 AND position < ?2 ORDER BY position";

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
        size(&self.connection)
    }

    /// Takes in what the entries up to `size` brought.
    ///
    /// # Errors
    /// SQLite's; nothing was taken in then.
    pub fn follow(&mut self, size: u64, requests: &[RequestRow]) -> Result<(), StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut add = transaction.prepare_cached(ADD)?;
        for row in requests {
            let jurisdiction = row.jurisdiction.to_string();
            add.execute((integer(row.position), jurisdiction, row.deadline.unix()))?;
        }
        drop(add);
        transaction
            .prepare_cached(SET_SIZE)?
            .execute((integer(size),))?;
        transaction.commit()?;
        self.checkpoints.committed(1);
        Ok(())
    }
}

/// Reads the file beside whoever follows the log.
#[derive(Debug, Clone)]
pub struct QueryReader(PathBuf);

impl QueryReader {
    /// Of a file that [`Queries::open`] has opened before.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Leaf indices of the requests of a jurisdiction whose deadline is after `now`, ascending.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open_requests(&self, of: &Jurisdiction, now: Time) -> Result<Vec<u64>, StoreError> {
        let connection = SCHEMA.open_read_only(&self.0)?;
        let mut statement = connection.prepare(OPEN)?;
        let rows = statement.query_map((of.to_string(), now.unix()), |row| row.get(0))?;
        Ok(rows.map(|row| row.map(number)).collect::<Result<_, _>>()?)
    }

    /// Entries that were gone through.
    ///
    /// # Errors
    /// SQLite's.
    pub fn size(&self) -> Result<u64, StoreError> {
        size(&SCHEMA.open_read_only(&self.0)?)
    }

    /// The requests among the entries from `first` to before `end`, as they stand in the file.
    ///
    /// # Errors
    /// SQLite's.
    pub fn requests(&self, first: u64, end: u64) -> Result<Vec<(u64, String, i64)>, StoreError> {
        let connection = SCHEMA.open_read_only(&self.0)?;
        let mut statement = connection.prepare(REQUESTS)?;
        let rows = statement.query_map((integer(first), integer(end)), |row| {
            Ok((number(row.get(0)?), row.get(1)?, row.get(2)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn size(connection: &Connection) -> Result<u64, StoreError> {
    Ok(number(connection.query_row(SIZE, (), |row| row.get(0))?))
}
