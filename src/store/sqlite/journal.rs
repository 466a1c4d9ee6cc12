//! The journal in a SQLite file: one connection that writes, and readers beside it.
//!
//! Ids and facts are found by keys that are mostly random, and a B-tree of ten million random keys
//! writes a page for each. So they lie in partitions: the open one takes new keys until it is full,
//! closed ones change no more. A fact changed later stands in a later partition and counts; a
//! [`Filter`] for each partition spares nearly every look-up of what is not there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::filter::{Filter, Fingerprint, PARTITION};
use super::{Schema, integer, number};
use crate::digest::StatementId;
use crate::store::StoreError;
use crate::store::journal::{Commit, Head, Journal, JournalRead, KeyedFact, check_advance};

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
        ALTER TABLE facts_in_partitions RENAME TO facts;"],
};

const SIZE: &str = "SELECT coalesce(max(position) + 1, 0) FROM entries";
const FIND: &str = "SELECT position FROM ids WHERE part = ?1 AND id = ?2";
const FACT: &str = "SELECT value FROM facts WHERE part = ?1 AND key = ?2";
const FACTS_FROM: &str = "SELECT key, value FROM facts WHERE part = ?1 AND key >= ?2 ORDER BY key";
const FRONTIER: &str = "SELECT frontier FROM tree";
const HEAD: &str = "SELECT size, root, note FROM head";
const LEAF: &str = "SELECT leaf FROM entries WHERE position = ?1";
const LEAVES: &str =
    "SELECT leaf FROM entries WHERE position >= ?1 AND position < ?2 ORDER BY position";
pub(super) const CLOSED: &str = "SELECT count(*) FROM partitions";
const FILTERS_FROM: &str = "SELECT filter FROM partitions WHERE part >= ?1 ORDER BY part";
pub(super) const KEYS_OF: &str = "SELECT 'i', id FROM ids WHERE part = ?1
    UNION ALL SELECT 'f', key FROM facts WHERE part = ?1";

const ADD_ENTRY: &str = "INSERT INTO entries (position, leaf) VALUES (?1, ?2)";
const ADD_ID: &str =
    "INSERT INTO ids (part, id, position) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const SET_FACT: &str = "INSERT INTO facts (part, key, value) VALUES (?1, ?2, ?3)
    ON CONFLICT (part, key) DO UPDATE SET value = excluded.value";
const CLOSE: &str = "INSERT INTO partitions (part, filter) VALUES (?1, ?2)";
const SET_FRONTIER: &str = "INSERT INTO tree (only, frontier) VALUES (1, ?1)
    ON CONFLICT (only) DO UPDATE SET frontier = excluded.frontier";
const SET_HEAD: &str = "INSERT INTO head (only, size, root, note) VALUES (1, ?1, ?2, ?3)
    ON CONFLICT (only) DO UPDATE
    SET size = excluded.size, root = excluded.root, note = excluded.note";

/// Connections that a [`SqliteReader`] keeps open while nobody reads.
const IDLE_READERS: usize = 8;
/// Page cache of the writing connection, in KiB (negative, as SQLite has it).
const WRITER_CACHE: i64 = -32 << 10;
/// How often the log of writes is brought into the database beside the writer.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(200);
/// Pages in the log of writes (64 MiB) at which the writer lets it begin anew.
const LONG_LOG: i64 = 16 << 10;

/// Filters of the closed partitions; a journal and its readers share them.
#[derive(Debug, Default)]
struct Closed(RwLock<Arc<Vec<Filter>>>);

impl Closed {
    fn filters(&self) -> Arc<Vec<Filter>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes in the filter of `part`, unless somebody has.
    fn add(&self, part: usize, filter: Filter) {
        let mut filters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if filters.len() == part {
            Arc::make_mut(&mut filters).push(filter);
        }
    }

    /// The filters of all partitions that are closed as `connection` sees it.
    fn load(&self, connection: &Connection) -> Result<Arc<Vec<Filter>>, StoreError> {
        let mut count = connection.prepare_cached(CLOSED)?;
        let count = number(count.query_row((), |row| row.get(0))?) as usize;
        let known = self.filters();
        if known.len() >= count {
            return Ok(known);
        }
        let mut missing = connection.prepare_cached(FILTERS_FROM)?;
        let mut rows = missing.query((integer(known.len() as u64),))?;
        let mut part = known.len();
        while let Some(row) = rows.next()? {
            let filter = Filter::from_bytes(row.get_ref(0)?.as_blob().unwrap_or_default());
            let damaged =
                || StoreError::Damaged(format!("the filter of partition {part} is damaged"));
            self.add(part, filter.ok_or_else(damaged)?);
            part += 1;
        }
        Ok(self.filters())
    }
}

/// Where a key may stand.
struct Partitions<'a> {
    closed: Arc<Vec<Filter>>,
    /// The open partition's filter, if it is known; else that partition is always looked into.
    open: Option<&'a Filter>,
}

impl Partitions<'_> {
    /// The partition that takes new keys.
    fn open_part(&self) -> i64 {
        self.closed.len() as i64
    }

    /// The partitions in which the key may stand, the last first.
    fn of(&self, key: Fingerprint) -> impl Iterator<Item = i64> {
        let open = self.open.is_none_or(|filter| filter.may_hold(key));
        let closed = self.closed.iter().enumerate().rev();
        let closed = closed.filter(move |(_, filter)| filter.may_hold(key));
        let open = open.then_some(self.open_part());
        open.into_iter().chain(closed.map(|(part, _)| part as i64))
    }

    /// What stands under `key` in the last partition that has it.
    fn look_up<T: rusqlite::types::FromSql>(
        &self,
        connection: &Connection,
        sql: &str,
        tag: u8,
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        let mut statement = None;
        for part in self.of(Fingerprint::of(tag, key)) {
            let statement = match &mut statement {
                Some(statement) => statement,
                none => none.insert(connection.prepare_cached(sql)?),
            };
            let found = statement.query_row((part, key), |row| row.get(0));
            if let Some(found) = found.optional()? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find(&self, connection: &Connection, id: &StatementId) -> Result<Option<u64>, StoreError> {
        let position = self.look_up(connection, FIND, ID, id.as_bytes())?;
        Ok(position.map(number))
    }

    fn fact(&self, connection: &Connection, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.look_up(connection, FACT, FACT_TAG, key)
    }

    fn facts_with_prefix(
        &self,
        connection: &Connection,
        prefix: &[u8],
    ) -> Result<Vec<KeyedFact>, StoreError> {
        let mut found = BTreeMap::new();
        let mut statement = connection.prepare_cached(FACTS_FROM)?;
        for part in 0..=self.open_part() {
            let mut rows = statement.query((part, prefix))?;
            // Rows come one by one: nothing past the first foreign key is read.
            while let Some(row) = rows.next()? {
                let key: Vec<u8> = row.get(0)?;
                if !key.starts_with(prefix) {
                    break;
                }
                found.insert(key, row.get(1)?);
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// Tags that part the fingerprints of ids from those of facts.
const ID: u8 = b'i';
const FACT_TAG: u8 = b'f';

/// The journal, open for writing. Of two that are open, the one that did not write last reads what
/// was, and its commits are refused.
#[derive(Debug)]
pub struct SqliteJournal {
    connection: Connection,
    closed: Arc<Closed>,
    /// The open partition's keys.
    open: Filter,
    /// How many they are.
    keys: usize,
    /// How many it takes.
    partition: usize,
    path: PathBuf,
    checkpoints: Option<Checkpoints>,
}

impl SqliteJournal {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] and [`StoreError::Newer`] for a file that is not to be touched.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = SCHEMA.open(path)?;
        connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
        let closed = Arc::new(Closed::default());
        let part = closed.load(&connection)?.len() as u64;
        let (mut open, mut keys) = (Filter::new(), 0);
        let mut statement = connection.prepare_cached(KEYS_OF)?;
        let mut rows = statement.query((integer(part),))?;
        while let Some(row) = rows.next()? {
            let tag = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?[0];
            let key = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            open.insert(Fingerprint::of(tag, key));
            keys += 1;
        }
        drop(rows);
        drop(statement);
        Ok(Self {
            connection,
            closed,
            open,
            keys,
            partition: PARTITION,
            path: path.to_owned(),
            checkpoints: None,
        })
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

    /// With partitions so small that a test sees many of them.
    #[cfg(test)]
    pub fn with_partitions_of(self, partition: usize) -> Self {
        Self { partition, ..self }
    }

    /// A reader beside this writer.
    ///
    /// # Errors
    /// As [`SqliteReader::open`].
    pub fn reader(&self) -> Result<SqliteReader, StoreError> {
        SqliteReader::new(&self.path, self.closed.clone())
    }

    /// From now on brings the log of writes into the database on a thread of its own: done by the
    /// writer, as SQLite does it by itself, a commit now and then takes a hundred times as long.
    ///
    /// # Errors
    /// If the file cannot be opened again.
    pub fn checkpoint_beside(&mut self) -> Result<(), StoreError> {
        self.connection
            .pragma_update(None, "wal_autocheckpoint", 0)?;
        self.checkpoints = Some(Checkpoints::start(SCHEMA.open(&self.path)?)?);
        Ok(())
    }

    fn partitions(&self) -> Partitions<'_> {
        Partitions {
            closed: self.closed.filters(),
            open: Some(&self.open),
        }
    }

    /// Lets the log of writes begin anew once it is long and the thread beside has worked through
    /// most of it: while commits go on, that thread alone never reaches its end.
    fn rewind_log(&self) -> Result<(), StoreError> {
        let long = self
            .checkpoints
            .as_ref()
            .is_some_and(Checkpoints::take_long);
        if long {
            checkpoint(&self.connection)?;
        }
        Ok(())
    }
}

impl Journal for SqliteJournal {
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let closed = self.closed.filters();
        let closing = self.keys >= self.partition;
        let partitions = Partitions {
            open: Some(&self.open),
            closed,
        };
        let part = partitions.open_part() + i64::from(closing);
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let (first, size) = (commit.first, size(&transaction)?);
        if first != size {
            return Err(StoreError::NotNext { first, size });
        }
        if closing {
            let filter = self.open.to_bytes();
            transaction
                .prepare_cached(CLOSE)?
                .execute((part - 1, filter))?;
        }
        add_entries(&transaction, &partitions, part, commit)?;
        let mut set_fact = transaction.prepare_cached(SET_FACT)?;
        for (key, value) in &commit.facts {
            set_fact.execute((part, key, value))?;
        }
        drop(set_fact);
        transaction
            .prepare_cached(SET_FRONTIER)?
            .execute((&commit.frontier,))?;
        transaction.commit()?;
        if closing {
            let full = std::mem::replace(&mut self.open, Filter::new());
            self.closed.add(part as usize - 1, full);
            self.keys = 0;
        }
        self.remember(commit);
        self.rewind_log()
    }

    fn advance(&mut self, from: Option<u64>, to: &Head) -> Result<(), StoreError> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        check_advance(head(&transaction)?.as_ref(), size(&transaction)?, from, to)?;
        transaction
            .prepare_cached(SET_HEAD)?
            .execute((integer(to.size), to.root, &to.note))?;
        Ok(transaction.commit()?)
    }
}

impl SqliteJournal {
    /// Takes the keys of what was committed into the open partition's filter.
    fn remember(&mut self, commit: &Commit) {
        let admitted = commit.entries.iter().filter(|entry| entry.admitted);
        let ids = admitted.map(|entry| Fingerprint::of(ID, entry.id.as_bytes()));
        let facts = commit
            .facts
            .iter()
            .map(|(key, _)| Fingerprint::of(FACT_TAG, key));
        for key in ids.chain(facts) {
            if !self.open.may_hold(key) {
                self.open.insert(key);
                self.keys += 1;
            }
        }
    }
}

fn add_entries(
    transaction: &Transaction<'_>,
    partitions: &Partitions<'_>,
    part: i64,
    commit: &Commit,
) -> Result<(), StoreError> {
    let mut add_entry = transaction.prepare_cached(ADD_ENTRY)?;
    let mut add_id = transaction.prepare_cached(ADD_ID)?;
    let mut find = transaction.prepare_cached(FIND)?;
    for (entry, index) in commit.entries.iter().zip(commit.first..) {
        add_entry.execute((integer(index), &entry.leaf))?;
        let id = entry.id;
        if !entry.admitted {
            continue;
        }
        if let Some(index) = partitions.find(transaction, &id)? {
            return Err(StoreError::Duplicate { id, index });
        }
        if add_id.execute((part, id.as_bytes(), integer(index)))? == 0 {
            let index = number(find.query_row((part, id.as_bytes()), |row| row.get(0))?);
            return Err(StoreError::Duplicate { id, index });
        }
    }
    Ok(())
}

/// The thread that brings the log of writes into the database, until this is dropped.
#[derive(Debug)]
struct Checkpoints {
    long: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    end: Option<mpsc::Sender<()>>,
}

impl Checkpoints {
    fn start(connection: Connection) -> Result<Self, StoreError> {
        let (end, ended) = mpsc::channel::<()>();
        let long = Arc::new(AtomicBool::new(false));
        let is_long = long.clone();
        let work = move || {
            while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(CHECKPOINT_EVERY) {
                match checkpoint(&connection) {
                    Ok(pages) if pages > LONG_LOG => is_long.store(true, Ordering::Relaxed),
                    Ok(_) => {}
                    // Nothing is lost: the log of writes grows until the next time.
                    Err(error) => tracing::warn!(%error, "the log of writes was not checkpointed"),
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("checkpoints".into())
            .spawn(work);
        Ok(Self {
            long,
            thread: Some(thread.map_err(super::at(Path::new("a thread")))?),
            end: Some(end),
        })
    }

    fn take_long(&self) -> bool {
        self.long.load(Ordering::Relaxed) && self.long.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Brings what is committed into the database as far as no reader stands in the way; pages in the
/// log of writes.
fn checkpoint(connection: &Connection) -> Result<i64, StoreError> {
    let pages = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| row.get(1));
    Ok(pages?)
}

/// Reads the journal beside its writer, from any thread; clones share their connections.
#[derive(Debug, Clone)]
pub struct SqliteReader(Arc<Readers>);

#[derive(Debug)]
struct Readers {
    path: PathBuf,
    closed: Arc<Closed>,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteReader {
    /// Opens a journal that a [`SqliteJournal`] has opened before.
    ///
    /// # Errors
    /// [`StoreError::Older`] if that was an older program, and as [`SqliteJournal::open`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::new(path, Arc::default())
    }

    fn new(path: &Path, closed: Arc<Closed>) -> Result<Self, StoreError> {
        let first = SCHEMA.open_read_only(path)?;
        Ok(Self(Arc::new(Readers {
            path: path.to_owned(),
            closed,
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

    fn lend_keys<T>(
        &self,
        read: impl FnOnce(&Connection, &Partitions<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError>;
}

impl Lend for SqliteJournal {
    fn lend<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        read(&self.connection)
    }

    fn lend_keys<T>(
        &self,
        read: impl FnOnce(&Connection, &Partitions<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        read(&self.connection, &self.partitions())
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

    fn lend_keys<T>(
        &self,
        read: impl FnOnce(&Connection, &Partitions<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.lend(|connection| {
            let closed = self.0.closed.load(connection)?;
            read(connection, &Partitions { closed, open: None })
        })
    }
}

impl<L: Lend> JournalRead for L {
    fn size(&self) -> Result<u64, StoreError> {
        self.lend(size)
    }

    fn find(&self, id: &StatementId) -> Result<Option<u64>, StoreError> {
        self.lend_keys(|connection, partitions| partitions.find(connection, id))
    }

    fn fact(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.lend_keys(|connection, partitions| partitions.fact(connection, key))
    }

    fn facts_with_prefix(&self, prefix: &[u8]) -> Result<Vec<KeyedFact>, StoreError> {
        self.lend_keys(|connection, partitions| partitions.facts_with_prefix(connection, prefix))
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
