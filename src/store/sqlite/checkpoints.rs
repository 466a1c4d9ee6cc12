//! Copies SQLite's write-ahead log into the database on a thread of its own: when the writer does it, as
//! SQLite does by itself, some commits take a hundred times as long. The thread copies after every few
//! megabytes, and a minute after a commit at the latest, so that the database file alone is never much
//! older than the log.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Database;

use crate::store::{StoreError, at};

/// How often it is looked whether there is enough to do.
const EVERY: Duration = Duration::from_millis(200);
/// Bytes committed that are enough: each time syncs the database, which holds up the writer's own.
const ENOUGH: u64 = 4 << 20;
/// The longest that a commit is in the write-ahead log alone.
const AGE: Duration = Duration::from_secs(60);
/// Bytes in the log of writes at which the writer lets it begin anew.
const LONG_LOG: i64 = 64 << 20;

/// The thread that does it, until this is dropped.
#[derive(Debug)]
pub struct Checkpoints {
    long: Arc<AtomicBool>,
    /// Bytes committed since the last time, more or less.
    committed: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    end: Option<mpsc::Sender<()>>,
}

impl Checkpoints {
    /// Begins, over a connection of its own.
    pub fn start(connection: Database) -> Result<Self, StoreError> {
        Self::start_with(connection, AGE)
    }

    fn start_with(connection: Database, age: Duration) -> Result<Self, StoreError> {
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let (end, ended) = mpsc::channel::<()>();
        let (long, committed) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (is_long, waits): (_, Arc<AtomicU64>) = (long.clone(), Arc::clone(&committed));
        let work = move || {
            let mut last = Instant::now();
            while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(EVERY) {
                let bytes = waits.load(Ordering::Relaxed);
                if bytes == 0 || bytes < ENOUGH && last.elapsed() < age {
                    continue;
                }
                waits.store(0, Ordering::Relaxed);
                last = Instant::now();
                match checkpoint(&connection) {
                    Ok(pages) if pages * page > LONG_LOG => is_long.store(true, Ordering::Relaxed),
                    Ok(_) => {}
                    // Nothing is lost: the log of writes grows until the next time.
                    Err(error) => tracing::warn!(%error, "the log of writes was not checkpointed"),
                }
            }
        };
        let thread = std::thread::Builder::new().name("checkpoints".into());
        Ok(Self {
            long,
            committed,
            thread: Some(thread.spawn(work).map_err(at(Path::new("a thread")))?),
            end: Some(end),
        })
    }

    /// Counts a commit of so many bytes.
    pub fn committed(&self, bytes: usize) {
        self.committed.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Lets the log of writes begin anew, by its `writer`, once it is long and the thread has worked
    /// through most of it: while commits go on, that thread alone never reaches its end.
    pub(super) fn rewind(&self, writer: &Connection) -> Result<(), StoreError> {
        let long = self.long.load(Ordering::Relaxed) && self.long.swap(false, Ordering::Relaxed);
        if long {
            checkpoint(writer)?;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::Schema;

    const ONE: Schema = Schema {
        application_id: 79,
        migrations: &["CREATE TABLE a (x INTEGER) STRICT"],
    };

    /// What a copy of the database file alone holds.
    fn copied(path: &Path) -> Option<i64> {
        let copy = path.with_extension("copy");
        std::fs::copy(path, &copy).unwrap();
        let connection = Connection::open(&copy).unwrap();
        let count = connection.query_row("SELECT count(*) FROM a", (), |row| row.get(0));
        count.ok()
    }

    #[test]
    fn a_small_commit_is_in_the_database_file_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = ONE.open(&path).unwrap();
        let beside = ONE.open(&path).unwrap();
        let beside = Checkpoints::start_with(beside, Duration::from_millis(1)).unwrap();
        writer.execute("INSERT INTO a VALUES (7)", ()).unwrap();
        assert_ne!(copied(&path), Some(1), "it is in the write-ahead log alone");
        beside.committed(1);
        let since = Instant::now();
        while copied(&path) != Some(1) {
            assert!(since.elapsed() < Duration::from_secs(60));
            std::thread::sleep(EVERY);
        }
    }

    #[test]
    fn the_database_file_is_whole_after_its_writer_though_readers_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = ONE.open(&path).unwrap();
        let reader = ONE.open_read_only(&path).unwrap();
        writer.execute("INSERT INTO a VALUES (7)", ()).unwrap();
        drop(writer);
        assert_eq!(copied(&path), Some(1));
        drop(reader);
    }
}
