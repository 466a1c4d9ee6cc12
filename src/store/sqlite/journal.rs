//! The journal in a SQLite file: one connection that writes, and readers beside it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::{Schema, integer, number};
use crate::digest::StatementId;
use crate::store::StoreError;
use crate::store::journal::{Commit, Head, Journal, JournalRead, KeyedFact, check_advance};

const SCHEMA: Schema = Schema {
    application_id: 0x7768_6f6a, // "whoj"
    migrations: &["
        CREATE TABLE entries (
            position INTEGER PRIMARY KEY CHECK (position >= 0), -- leaf index, from 0, without gaps
            leaf BLOB NOT NULL                                  -- the leaf's bytes
        ) STRICT;
        CREATE TABLE ids (
            id BLOB PRIMARY KEY CHECK (length(id) = 32),        -- SHA-256 of the statement's payload
            position INTEGER NOT NULL CHECK (position >= 0)     -- leaf index of the admitted entry
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE facts (
            key BLOB PRIMARY KEY,                               -- as the rules spell it
            value BLOB NOT NULL                                 -- as the rules spell it
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE tree (
            only INTEGER PRIMARY KEY CHECK (only = 1),          -- the table has one row
            frontier BLOB NOT NULL                              -- state of the tree after all entries
        ) STRICT;
        CREATE TABLE head (
            only INTEGER PRIMARY KEY CHECK (only = 1),          -- the table has one row
            size INTEGER NOT NULL CHECK (size >= 0),            -- entries under the head
            root BLOB NOT NULL CHECK (length(root) = 32),       -- RFC 6962 root over them
            note BLOB NOT NULL                                  -- checkpoint signed by the log alone
        ) STRICT;"],
};

const SIZE: &str = "SELECT coalesce(max(position) + 1, 0) FROM entries";
const FIND: &str = "SELECT position FROM ids WHERE id = ?1";
const FACT: &str = "SELECT value FROM facts WHERE key = ?1";
const FACTS_FROM: &str = "SELECT key, value FROM facts WHERE key >= ?1 ORDER BY key";
const FRONTIER: &str = "SELECT frontier FROM tree";
const HEAD: &str = "SELECT size, root, note FROM head";
const LEAF: &str = "SELECT leaf FROM entries WHERE position = ?1";
const LEAVES: &str =
    "SELECT leaf FROM entries WHERE position >= ?1 AND position < ?2 ORDER BY position";

const ADD_ENTRY: &str = "INSERT INTO entries (position, leaf) VALUES (?1, ?2)";
const ADD_ID: &str = "INSERT INTO ids (id, position) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const SET_FACT: &str = "INSERT INTO facts (key, value) VALUES (?1, ?2)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const SET_FRONTIER: &str = "INSERT INTO tree (only, frontier) VALUES (1, ?1)
    ON CONFLICT (only) DO UPDATE SET frontier = excluded.frontier";
const SET_HEAD: &str = "INSERT INTO head (only, size, root, note) VALUES (1, ?1, ?2, ?3)
    ON CONFLICT (only) DO UPDATE
    SET size = excluded.size, root = excluded.root, note = excluded.note";

/// Connections that a [`SqliteReader`] keeps open while nobody reads.
const IDLE_READERS: usize = 8;

/// The journal, open for writing.
#[derive(Debug)]
pub struct SqliteJournal(Connection);

impl SqliteJournal {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] and [`StoreError::Newer`] for a file that is not to be touched.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        SCHEMA.open(path).map(Self)
    }

    fn begin(&mut self) -> Result<Transaction<'_>, StoreError> {
        let behavior = TransactionBehavior::Immediate;
        Ok(self.0.transaction_with_behavior(behavior)?)
    }
}

impl Journal for SqliteJournal {
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        let (first, size) = (commit.first, size(&transaction)?);
        if first != size {
            return Err(StoreError::NotNext { first, size });
        }
        add_entries(&transaction, commit)?;
        let mut set_fact = transaction.prepare_cached(SET_FACT)?;
        for fact in &commit.facts {
            set_fact.execute((&fact.0, &fact.1))?;
        }
        drop(set_fact);
        transaction
            .prepare_cached(SET_FRONTIER)?
            .execute((&commit.frontier,))?;
        Ok(transaction.commit()?)
    }

    fn advance(&mut self, from: Option<u64>, to: &Head) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        check_advance(head(&transaction)?.as_ref(), size(&transaction)?, from, to)?;
        transaction
            .prepare_cached(SET_HEAD)?
            .execute((integer(to.size), to.root, &to.note))?;
        Ok(transaction.commit()?)
    }
}

fn add_entries(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), StoreError> {
    let mut add_entry = transaction.prepare_cached(ADD_ENTRY)?;
    let mut add_id = transaction.prepare_cached(ADD_ID)?;
    for (entry, index) in commit.entries.iter().zip(commit.first..) {
        add_entry.execute((integer(index), &entry.leaf))?;
        let id = entry.id;
        if entry.admitted && add_id.execute((id.as_bytes(), integer(index)))? == 0 {
            let index = find(transaction, &id)?.expect("it stood in the way");
            return Err(StoreError::Duplicate { id, index });
        }
    }
    Ok(())
}

/// Reads the journal beside its writer, from any thread; clones share their connections.
#[derive(Debug, Clone)]
pub struct SqliteReader(Arc<Readers>);

#[derive(Debug)]
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteReader {
    /// Opens a journal that a [`SqliteJournal`] has opened before.
    ///
    /// # Errors
    /// [`StoreError::Older`] if that was an older program, and as [`SqliteJournal::open`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let first = SCHEMA.open_read_only(path)?;
        Ok(Self(Arc::new(Readers {
            path: path.to_owned(),
            idle: Mutex::new(vec![first]),
        })))
    }
}

/// Whatever can lend a connection for the time of a read.
trait Lend {
    fn lend<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError>;
}

impl Lend for SqliteJournal {
    fn lend<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        read(&self.0)
    }
}

impl Lend for SqliteReader {
    fn lend<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = || self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let connection = match waiting {
            Some(connection) => connection,
            None => SCHEMA.open_read_only(&self.0.path)?,
        };
        let result = read(&connection);
        let mut idle = idle();
        if result.is_ok() && idle.len() < IDLE_READERS {
            idle.push(connection);
        }
        result
    }
}

impl<L: Lend> JournalRead for L {
    fn size(&self) -> Result<u64, StoreError> {
        self.lend(size)
    }

    fn find(&self, id: &StatementId) -> Result<Option<u64>, StoreError> {
        self.lend(|connection| find(connection, id))
    }

    fn fact(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.lend(|connection| {
            let mut statement = connection.prepare_cached(FACT)?;
            Ok(statement.query_row((key,), |row| row.get(0)).optional()?)
        })
    }

    fn facts_with_prefix(&self, prefix: &[u8]) -> Result<Vec<KeyedFact>, StoreError> {
        self.lend(|connection| {
            let mut statement = connection.prepare_cached(FACTS_FROM)?;
            let facts = statement.query_map((prefix,), |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?))
            })?;
            // Rows come one by one: nothing past the first foreign key is read.
            let within = facts.take_while(|fact| {
                let key = fact.as_ref().map(|fact| &fact.0);
                key.map_or(true, |key| key.starts_with(prefix))
            });
            Ok(within.collect::<Result<_, _>>()?)
        })
    }

    fn frontier(&self) -> Result<Vec<u8>, StoreError> {
        self.lend(|connection| {
            let mut statement = connection.prepare_cached(FRONTIER)?;
            let frontier = statement.query_row((), |row| row.get(0)).optional()?;
            Ok(frontier.unwrap_or_default())
        })
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.lend(head)
    }

    fn leaf(&self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.lend(|connection| {
            let mut statement = connection.prepare_cached(LEAF)?;
            let leaf = statement.query_row((integer(index),), |row| row.get(0));
            Ok(leaf.optional()?)
        })
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
        self.lend(|connection| {
            let mut statement = connection.prepare_cached(LEAVES)?;
            let bounds = (integer(range.start), integer(range.end));
            let leaves = statement.query_map(bounds, |row| row.get(0))?;
            Ok(leaves.collect::<Result<_, _>>()?)
        })
    }
}

fn size(connection: &Connection) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(SIZE)?;
    Ok(number(statement.query_row((), |row| row.get(0))?))
}

fn find(connection: &Connection, id: &StatementId) -> Result<Option<u64>, StoreError> {
    let mut statement = connection.prepare_cached(FIND)?;
    let position = statement.query_row((id.as_bytes(),), |row| row.get(0));
    Ok(position.optional()?.map(number))
}

fn head(connection: &Connection) -> Result<Option<Head>, StoreError> {
    let mut statement = connection.prepare_cached(HEAD)?;
    let head = statement.query_row((), |row| {
        Ok(Head {
            size: number(row.get(0)?),
            root: row.get(1)?,
            note: row.get(2)?,
        })
    });
    Ok(head.optional()?)
}
