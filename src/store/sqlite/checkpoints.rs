//! Brings SQLite's log of writes into the database beside the writer: done by the writer, as SQLite
//! does it by itself, a commit now and then takes a hundred times as long.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use crate::store::{StoreError, at};

/// How often it is looked whether there is enough to do.
const EVERY: Duration = Duration::from_millis(200);
/// Bytes committed that are enough: each time syncs the database, which holds up the writer's own.
const ENOUGH: u64 = 4 << 20;
/// Bytes in the log of writes at which the writer lets it begin anew.
const LONG_LOG: i64 = 64 << 20;

/// The thread that does it, until this is dropped.
#[derive(Debug)]
pub(super) struct Checkpoints {
    long: Arc<AtomicBool>,
    /// Bytes committed since the last time, more or less.
    committed: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    end: Option<mpsc::Sender<()>>,
}

impl Checkpoints {
    /// Begins, over a connection of its own.
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let (end, ended) = mpsc::channel::<()>();
        let (long, committed) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (is_long, waits): (_, Arc<AtomicU64>) = (long.clone(), Arc::clone(&committed));
        let work = move || {
            while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(EVERY) {
                if waits.load(Ordering::Relaxed) < ENOUGH {
                    continue;
                }
                waits.store(0, Ordering::Relaxed);
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

    /// Hears of a commit of so many bytes.
    pub(super) fn committed(&self, bytes: usize) {
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
