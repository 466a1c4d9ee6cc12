//! The journal in a SQLite file: one connection that writes, and readers beside it.
//!
//! Every table grows at its end alone, so a commit touches few pages however long the log is. Which
//! row an id or a fact's key has last, an [`Index`] knows.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::checkpoints::Checkpoints;
use super::index::{Index, PARTITION, Table};
use super::{Database, Schema, integer, number};
use crate::digest::StatementId;
use crate::store::StoreError;
use crate::store::instance::Instance;
use crate::store::journal::{Commit, Head, Journal, JournalRead, check_advance};

pub(super) const SCHEMA: Schema = Schema {
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
        ) STRICT;",
        "
        CREATE TABLE partitions (
            part INTEGER PRIMARY KEY CHECK (part >= 0),         -- closed ones, from 0, without gaps
            filter BLOB NOT NULL                                -- over its keys
        ) STRICT;
        CREATE TABLE ids_in_partitions (
            part INTEGER NOT NULL CHECK (part >= 0),
            id BLOB NOT NULL CHECK (length(id) = 32),           -- SHA-256 of the statement's payload
            position INTEGER NOT NULL CHECK (position >= 0),    -- leaf index of the admitted entry
            PRIMARY KEY (part, id)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO ids_in_partitions SELECT 0, id, position FROM ids;
        DROP TABLE ids;
        ALTER TABLE ids_in_partitions RENAME TO ids;
        CREATE TABLE facts_in_partitions (
            part INTEGER NOT NULL CHECK (part >= 0),            -- the last one with a key counts
            key BLOB NOT NULL,                                  -- as the rules spell it
            value BLOB NOT NULL,                                -- as the rules spell it
            PRIMARY KEY (part, key)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO facts_in_partitions SELECT 0, key, value FROM facts;
        DROP TABLE facts;
        ALTER TABLE facts_in_partitions RENAME TO facts;",
        "
        CREATE TABLE ids_in_order (
            position INTEGER PRIMARY KEY CHECK (position >= 0), -- leaf index of an admitted entry
            id BLOB NOT NULL CHECK (length(id) = 32)            -- SHA-256 of the statement's payload
        ) STRICT;
        INSERT INTO ids_in_order SELECT position, id FROM ids ORDER BY position;
        DROP TABLE ids;
        ALTER TABLE ids_in_order RENAME TO ids;
        CREATE TABLE facts_in_order (
            number INTEGER PRIMARY KEY CHECK (number >= 0),     -- from 0, without gaps
            key BLOB NOT NULL,                                  -- as the rules spell it; the last counts
            value BLOB NOT NULL                                 -- as the rules spell it
        ) STRICT;
        INSERT INTO facts_in_order
            SELECT row_number() OVER (ORDER BY part, key) - 1, key, value FROM facts ORDER BY 1;
        DROP TABLE facts;
        ALTER TABLE facts_in_order RENAME TO facts;
        DROP TABLE partitions;
        CREATE TABLE filters (
            of INTEGER NOT NULL,                                -- whose keys: 'i' of ids, 'f' of facts
            part INTEGER NOT NULL CHECK (part >= 0),            -- from 0, without gaps
            filter BLOB NOT NULL,                               -- over the keys of its rows
            PRIMARY KEY (of, part)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE buckets (
            of INTEGER NOT NULL,                                -- whose keys, as above
            part INTEGER NOT NULL CHECK (part >= 0),
            bucket INTEGER NOT NULL CHECK (bucket >= 0),        -- first bits of the fingerprint
            places BLOB NOT NULL,                               -- fingerprints and rows, ascending
            PRIMARY KEY (of, part, bucket)
        ) STRICT, WITHOUT ROWID;",
        "
        -- Filters have another length from here on; the next commit writes them anew.
        DELETE FROM filters;
        DELETE FROM buckets;",
        "
        -- A bucket in a key's place in the tree left room for four to a page: many pages a look-up.
        CREATE TABLE buckets_by_number (
            number INTEGER PRIMARY KEY CHECK (number >= 0),     -- (2 * part + (1 for facts)) * 4096 + bucket
            places BLOB NOT NULL                                -- fingerprints and rows, ascending
        ) STRICT;
        INSERT OR IGNORE INTO buckets_by_number
            SELECT (2 * part + (of = 102)) * 4096 + bucket, places FROM buckets
            WHERE of IN (102, 105) ORDER BY 1;
        DROP TABLE buckets;
        ALTER TABLE buckets_by_number RENAME TO buckets;",
        "
        CREATE TABLE instance (
            only INTEGER PRIMARY KEY CHECK (only = 1),          -- the table has one row
            id TEXT NOT NULL,                                   -- 32 hexadecimal digits, public
            machine TEXT NOT NULL,                              -- a digest of the machine's id
            device TEXT NOT NULL,                               -- of the data folder, as stat has it
            inode TEXT NOT NULL                                 -- of the data folder, as stat has it
        ) STRICT;"],
};

const SIZE: &str = "SELECT coalesce(max(position) + 1, 0) FROM entries";
const FRONTIER: &str = "SELECT frontier FROM tree";
const HEAD: &str = "SELECT size, root, note FROM head";
const LEAF: &str = "SELECT leaf FROM entries WHERE position = ?1";
const LEAF_OF: &str =
    "SELECT leaf FROM ids JOIN entries USING (position) WHERE position = ?1 AND id = ?2";
const LEAVES: &str =
    "SELECT leaf FROM entries WHERE position >= ?1 AND position < ?2 ORDER BY position";

const ADD_ENTRY: &str = "INSERT INTO entries (position, leaf) VALUES (?1, ?2)";
const ADD_ID: &str = "INSERT INTO ids (position, id) VALUES (?1, ?2)";
const ADD_FACT: &str = "INSERT INTO facts (number, key, value) VALUES (?1, ?2, ?3)";
const SET_FRONTIER: &str = "INSERT INTO tree (only, frontier) VALUES (1, ?1)
    ON CONFLICT (only) DO UPDATE SET frontier = excluded.frontier";
const SET_HEAD: &str = "INSERT INTO head (only, size, root, note) VALUES (1, ?1, ?2, ?3)
    ON CONFLICT (only) DO UPDATE
    SET size = excluded.size, root = excluded.root, note = excluded.note";

const INSTANCE: &str = "SELECT id, machine, device, inode FROM instance";
const SET_INSTANCE: &str = "INSERT INTO instance (only, id, machine, device, inode)
    VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT (only) DO UPDATE
    SET id = excluded.id, machine = excluded.machine, device = excluded.device, inode = excluded.inode";

/// Bytes that a commit writes beside its rows: the last page of each table, and the head's.
const PAGES_A_COMMIT: usize = 8 * 4096;

/// Connections that a [`SqliteReader`] keeps open while nobody reads.
const IDLE_READERS: usize = 8;

/// Where ids and facts are.
#[derive(Debug)]
struct Keys {
    ids: Index,
    facts: Index,
}

impl Keys {
    fn new(partition: usize) -> Self {
        Self {
            ids: Index::new(Table::Ids, partition),
            facts: Index::new(Table::Facts, partition),
        }
    }

    /// Takes in what `connection` has and this does not.
    fn follow(&self, connection: &Connection) -> Result<(), StoreError> {
        self.ids.follow(connection)?;
        self.facts.follow(connection)
    }

    fn find(&self, connection: &Connection, id: &StatementId) -> Result<Option<u64>, StoreError> {
        let look = |row| value_at(connection, Table::Ids.value_at(), row, id.as_bytes());
        let position = self.ids.look_up(connection, id.as_bytes(), look)?;
        Ok(position.map(number))
    }

    fn find_leaf(
        &self,
        connection: &Connection,
        id: &StatementId,
    ) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        // One statement a row: each takes and gives back locks, which cost as much as the reads.
        let look = |row| {
            let leaf = value_at(connection, LEAF_OF, row, id.as_bytes())?;
            Ok(leaf.map(|leaf| (row, leaf)))
        };
        self.ids.look_up(connection, id.as_bytes(), look)
    }

    fn fact(&self, connection: &Connection, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let look = |row| value_at(connection, Table::Facts.value_at(), row, key);
        self.facts.look_up(connection, key, look)
    }

    /// Takes in a commit that is durable; `fact` is the number of its first.
    fn remember(&self, commit: &Commit, fact: u64) {
        let ids = commit.entries.iter().zip(commit.first..);
        let ids = ids.filter(|(entry, _)| entry.admitted);
        let id = |id: &StatementId| Table::Ids.fingerprint(id.as_bytes());
        self.ids
            .remember(ids.map(|(entry, row)| (row, id(&entry.id))));
        let facts = commit.facts.iter().zip(fact..);
        let facts = facts.map(|((key, _), row)| (row, Table::Facts.fingerprint(key)));
        self.facts.remember(facts);
    }
}

/// What stands in a row, if its key is this one.
pub(super) fn value_at<T: FromSql>(
    connection: &Connection,
    sql: &str,
    row: u64,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row((integer(row), key), |row| row.get(0));
    Ok(found.optional()?)
}

/// The journal, open for writing. Of two that are open, the one that did not write last reads what
/// was, and its commits are refused.
#[derive(Debug)]
pub struct SqliteJournal {
    connection: Database,
    keys: Arc<Keys>,
    path: PathBuf,
    checkpoints: Option<Checkpoints>,
}

impl SqliteJournal {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] and [`StoreError::Newer`] for a file that is not to be touched.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::cut_into(path, PARTITION)
    }

    /// With partitions of this length; one file's must always be the same.
    pub(super) fn cut_into(path: &Path, partition: usize) -> Result<Self, StoreError> {
        let connection = SCHEMA.open(path)?;
        let keys = Keys::new(partition);
        keys.follow(&connection)?;
        Ok(Self {
            connection,
            keys: Arc::new(keys),
            path: path.to_owned(),
            checkpoints: None,
        })
    }

    /// With partitions so small that a test sees many of them.
    #[cfg(test)]
    pub fn with_partitions_of(path: &Path, partition: usize) -> Self {
        Self::cut_into(path, partition).unwrap()
    }

    /// A journal for the time of one examination: what it holds need not survive a crash.
    ///
    /// # Errors
    /// As [`SqliteJournal::open`].
    pub fn scratch(path: &Path) -> Result<Self, StoreError> {
        let journal = Self::open(path)?;
        journal
            .connection
            .pragma_update(None, "synchronous", "OFF")?;
        Ok(journal)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn index(&self, table: Table) -> &Index {
        match table {
            Table::Ids => &self.keys.ids,
            Table::Facts => &self.keys.facts,
        }
    }

    /// A reader beside this writer. It finds an id or a fact once the commit that brought it has
    /// returned, which is a moment after its entries are there to be read.
    ///
    /// # Errors
    /// As [`SqliteReader::open`].
    pub fn reader(&self) -> Result<SqliteReader, StoreError> {
        SqliteReader::new(&self.path, self.keys.clone(), false)
    }

    /// Where the ledger was used last; none before it is used first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn instance(&self) -> Result<Option<Instance>, StoreError> {
        let read = |row: &rusqlite::Row<'_>| {
            let number = |column| {
                let text: String = row.get(column)?;
                Ok::<_, rusqlite::Error>(text.parse().unwrap_or(u64::MAX))
            };
            Ok(Instance {
                id: row.get(0)?,
                machine: row.get(1)?,
                device: number(2)?,
                inode: number(3)?,
            })
        };
        Ok(self.connection.query_row(INSTANCE, (), read).optional()?)
    }

    /// Keeps where the ledger is used, durably.
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_instance(&self, instance: &Instance) -> Result<(), StoreError> {
        let (device, inode) = (instance.device.to_string(), instance.inode.to_string());
        self.connection.execute(
            SET_INSTANCE,
            (&instance.id, &instance.machine, device, inode),
        )?;
        Ok(())
    }

    /// From now on copies the write-ahead log into the database on a thread of its own.
    ///
    /// # Errors
    /// If the file cannot be opened again.
    pub fn checkpoint_beside(&mut self) -> Result<(), StoreError> {
        self.connection
            .pragma_update(None, "wal_autocheckpoint", 0)?;
        self.checkpoints = Some(Checkpoints::start(SCHEMA.open(&self.path)?)?);
        Ok(())
    }
}

impl Journal for SqliteJournal {
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let done = self.try_commit(commit);
        done.map_err(|error| error.in_database(&self.connection))
    }

    fn advance(&mut self, from: Option<u64>, to: &Head) -> Result<(), StoreError> {
        let done = self.try_advance(from, to);
        done.map_err(|error| error.in_database(&self.connection))
    }
}

impl SqliteJournal {
    fn try_commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let (first, size) = (commit.first, size(&transaction)?);
        if first != size {
            return Err(StoreError::NotNext { first, size });
        }
        add_entries(&transaction, &self.keys, commit)?;
        let fact = self.keys.facts.next();
        let mut add_fact = transaction.prepare_cached(ADD_FACT)?;
        for ((key, value), number) in commit.facts.iter().zip(fact..) {
            add_fact.execute((integer(number), key, value))?;
        }
        drop(add_fact);
        transaction
            .prepare_cached(SET_FRONTIER)?
            .execute((&commit.frontier,))?;
        let ids = self.keys.ids.write_past(&transaction)?;
        let facts = self.keys.facts.write_past(&transaction)?;
        transaction.commit()?;
        self.keys.ids.take_over(ids);
        self.keys.facts.take_over(facts);
        self.keys.remember(commit, fact);
        if let Some(checkpoints) = &self.checkpoints {
            let leaves: usize = commit.entries.iter().map(|entry| entry.leaf.len()).sum();
            let facts: usize = commit.facts.iter().map(|(_, value)| value.len()).sum();
            checkpoints.committed(PAGES_A_COMMIT + leaves + facts);
            checkpoints.rewind(&self.connection)?;
        }
        Ok(())
    }

    fn try_advance(&mut self, from: Option<u64>, to: &Head) -> Result<(), StoreError> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        check_advance(head(&transaction)?.as_ref(), size(&transaction)?, from, to)?;
        transaction
            .prepare_cached(SET_HEAD)?
            .execute((integer(to.size), to.root, &to.note))?;
        Ok(transaction.commit()?)
    }
}

fn add_entries(
    transaction: &Transaction<'_>,
    keys: &Keys,
    commit: &Commit,
) -> Result<(), StoreError> {
    let mut add_entry = transaction.prepare_cached(ADD_ENTRY)?;
    let mut add_id = transaction.prepare_cached(ADD_ID)?;
    let mut new = HashMap::with_capacity(commit.entries.len());
    for (entry, index) in commit.entries.iter().zip(commit.first..) {
        add_entry.execute((integer(index), &entry.leaf))?;
        if !entry.admitted {
            continue;
        }
        let id = entry.id;
        let known = match new.insert(id, index) {
            None => keys.find(transaction, &id)?,
            known => known,
        };
        if let Some(index) = known {
            return Err(StoreError::Duplicate { id, index });
        }
        add_id.execute((integer(index), id.as_bytes()))?;
    }
    Ok(())
}

/// Reads the journal beside its writer, from any thread; clones share their connections.
#[derive(Debug, Clone)]
pub struct SqliteReader(Arc<Readers>);

#[derive(Debug)]
struct Readers {
    path: PathBuf,
    keys: Arc<Keys>,
    /// Nobody tells of commits: each look-up of a key looks for them first.
    alone: bool,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteReader {
    /// Opens a journal that a [`SqliteJournal`] has opened before.
    ///
    /// # Errors
    /// [`StoreError::Older`] if that was an older program, and as [`SqliteJournal::open`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::new(path, Arc::new(Keys::new(PARTITION)), true)
    }

    /// As [`SqliteJournal::with_partitions_of`].
    #[cfg(test)]
    pub fn with_partitions_of(path: &Path, partition: usize) -> Self {
        Self::new(path, Arc::new(Keys::new(partition)), true).unwrap()
    }

    fn new(path: &Path, keys: Arc<Keys>, alone: bool) -> Result<Self, StoreError> {
        let first = SCHEMA.open_read_only(path)?;
        Ok(Self(Arc::new(Readers {
            path: path.to_owned(),
            keys,
            alone,
            idle: Mutex::new(vec![first]),
        })))
    }
}

/// Whatever can lend a connection for the time of a read, and knows where keys may stand.
trait Lend {
    fn lend<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError>;

    /// With where keys are, as up to date as the connection.
    fn lend_keys<T>(
        &self,
        read: impl FnOnce(&Connection, &Keys) -> Result<T, StoreError>,
    ) -> Result<T, StoreError>;
}

impl Lend for SqliteJournal {
    fn lend<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        read(&self.connection).map_err(|error| error.in_database(&self.connection))
    }

    fn lend_keys<T>(
        &self,
        read: impl FnOnce(&Connection, &Keys) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.lend(|connection| read(connection, &self.keys))
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
        let result = read(&connection).map_err(|error| error.in_database(&connection));
        let mut idle = idle();
        if result.is_ok() && idle.len() < IDLE_READERS {
            idle.push(connection);
        }
        result
    }

    fn lend_keys<T>(
        &self,
        read: impl FnOnce(&Connection, &Keys) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.lend(|connection| {
            if self.0.alone {
                self.0.keys.follow(connection)?;
            }
            read(connection, &self.0.keys)
        })
    }
}

impl<L: Lend> JournalRead for L {
    fn size(&self) -> Result<u64, StoreError> {
        self.lend(size)
    }

    fn find(&self, id: &StatementId) -> Result<Option<u64>, StoreError> {
        self.lend_keys(|connection, keys| keys.find(connection, id))
    }

    fn find_leaf(&self, id: &StatementId) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.lend_keys(|connection, keys| keys.find_leaf(connection, id))
    }

    fn fact(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.lend_keys(|connection, keys| keys.fact(connection, key))
    }

    #[cfg(test)]
    fn facts(&self) -> Result<Vec<crate::store::journal::KeyedFact>, StoreError> {
        self.lend(|connection| {
            let last = "SELECT key, max(number), value FROM facts GROUP BY key ORDER BY key";
            let mut statement = connection.prepare(last)?;
            let facts = statement.query_map((), |row| Ok((row.get(0)?, row.get(2)?)))?;
            Ok(facts.collect::<Result<_, _>>()?)
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
        self.lend(|connection| leaf(connection, index))
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

fn leaf(connection: &Connection, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let mut statement = connection.prepare_cached(LEAF)?;
    let leaf = statement.query_row((integer(index),), |row| row.get(0));
    Ok(leaf.optional()?)
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

#[cfg(test)]
mod tests;
