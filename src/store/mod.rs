//! Where a server keeps what it must not lose, on one machine.
//!
//! Narrow ports and their engines, all synchronous:
//!
//! * [`journal`]: entries, ids, facts and the head of a log; engines [`sqlite`] and [`memory`].
//! * [`objects`]: create-only files (tiles, attachments, clips); engine [`files`].
//! * [`vaults`]: what the operator knows of residents' vaults, in a database of its own.
//! * [`secrets`]: a party's key files. [`own`]: who may write and read in a folder of keys. [`lock`]: one process to
//!   one data folder.
//!
//! Nothing here judges a statement, hashes a tree, or reads a clock: whoever calls brings the time.
//! What a method reports as done is on the disk: it survives a crash of the machine.

pub mod clips;
pub mod facts;
pub mod files;
pub mod instance;
pub mod journal;
pub mod lock;
pub mod memory;
pub mod objects;
pub mod own;
pub mod secrets;
pub mod space;
pub mod sqlite;
pub mod vaults;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use rustix::io::Errno;

use crate::digest::StatementId;

/// Why a store did not do as told. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the database failed: {0}{advice}", advice = remedy(.0))]
    Sqlite(#[from] rusqlite::Error),
    #[error("{}: {source}{advice}", path.display(), advice = remedy(source))]
    Database {
        path: PathBuf,
        source: rusqlite::Error,
    },

    #[error("{} is another program's file: move it away or name another", path.display())]
    Foreign { path: PathBuf },
    #[error(
        "{} has schema {found}, and this program knows none after {known}: use a newer program",
        path.display()
    )]
    Newer {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error("{} has schema {found}, not yet brought to {known}: `whosaw serve` does so at its start", path.display())]
    Older {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error(
        "{} is on a read-only disk, and its write-ahead log, of a server that did not stop cleanly, can be \
         read on a writable one only: examine a copy",
        path.display()
    )]
    Unread { path: PathBuf },
    #[error("there is no {}: put its backup in place first", path.display())]
    Missing { path: PathBuf },
    #[error("another process works on {}: stop it first", path.display())]
    Locked { path: PathBuf },

    #[error("entries from {first} do not follow the {size} that are there")]
    NotNext { first: u64, size: u64 },
    #[error("statement {id} is already entry {index}")]
    Duplicate { id: StatementId, index: u64 },
    #[error("another process moved the head: expected size {expected:?}, found {found:?}")]
    Lost {
        expected: Option<u64>,
        found: Option<u64>,
    },
    #[error("the head is at size {from} and never goes back to {to}")]
    Backwards { from: u64, to: u64 },
    #[error("a second root for the head's size {size}")]
    SecondRoot { size: u64 },
    #[error("a head of size {head}, where only {size} entries are committed")]
    Beyond { head: u64, size: u64 },

    #[error("`{path}` is no object's path: segments of [A-Za-z0-9._-], none begins with a dot")]
    BadPath { path: String },
    #[error("`{path}` is already there with other content")]
    Conflict { path: String },
    #[error("{} and {} are not on one file system", root.display(), staging.display())]
    TwoFileSystems { root: PathBuf, staging: PathBuf },

    #[error("the disk is nearly full, and uploads leave the rest to the log")]
    NearlyFull,

    #[error("{} is already there, and a key is never overwritten", path.display())]
    KeyExists { path: PathBuf },
    /// What is stored cannot have been written by this program.
    #[error("{0}")]
    Damaged(String),
    #[error("others than its owner may use the secret {0}: run `chmod 600 {0}`", path.display())]
    KeyExposed { path: PathBuf },
    #[error(
        "others than its owner may write in the folder {0}, and could replace keys and data: run `chmod go-w {0}`",
        path.display()
    )]
    FolderExposed { path: PathBuf },
    #[error(
        "others than its owner may write the file {0}, and could replace what it says: run `chmod go-w {0}`",
        path.display()
    )]
    FileExposed { path: PathBuf },
    #[error(
        "{} belongs to the user with the number {owner}, who could replace what it says: give it to the owner of \
         its folder by `chown`",
        path.display()
    )]
    FileOfAnother { path: PathBuf, owner: u32 },
    #[error("{}: this is not a regular file, and no other kind is read", path.display())]
    NotRegular { path: PathBuf },
    #[error(
        "{} belongs to the user with the number {owner}, who could not read what another writes in it: run this as \
         that user, as with `runuser -u NAME -- whosaw …`",
        path.display()
    )]
    FolderOfAnother { path: PathBuf, owner: u32 },
}

impl StoreError {
    /// Whether there was no file descriptor left, of this process or of the machine. Nothing was changed that
    /// cannot be done again.
    pub fn is_out_of_files(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_out_of_files(source),
            // SQLite does not say why it could not open a file.
            Self::Sqlite(error) | Self::Database { source: error, .. }
                if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) =>
            {
                let opened = std::fs::File::open("/dev/null");
                opened.is_err_and(|error| is_out_of_files(&error))
            }
            _ => false,
        }
    }
}

impl StoreError {
    /// Names the file of a fault that SQLite reports without it.
    fn of(self, path: &Path) -> Self {
        match self {
            Self::Sqlite(source) => Self::Database {
                path: path.to_owned(),
                source,
            },
            other => other,
        }
    }

    /// As [`StoreError::of`], of the file that this connection has open.
    pub(crate) fn in_database(self, connection: &Connection) -> Self {
        match connection.path() {
            Some(path) => self.of(Path::new(path)),
            None => self,
        }
    }
}

/// What a person can do about a fault that SQLite names only.
fn remedy(error: &rusqlite::Error) -> &'static str {
    if matches!(error, rusqlite::Error::QueryReturnedNoRows) {
        return DAMAGED;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => DAMAGED,
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => ": the disk is full, or it fails",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            ": this user may not write it, or not in its folder"
        }
        _ => "",
    }
}

const DAMAGED: &str = ": the file is damaged. Put its backup in place with the program stopped; \
                       `whosaw operator restore` makes ledger.db of a copy of the log";

fn is_out_of_files(error: &io::Error) -> bool {
    let full = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    full.contains(&error.raw_os_error())
}

/// How soon is tried again what lacked a file descriptor.
const RETRY: Duration = Duration::from_millis(50);

/// Does `work`, again and again while there is no file descriptor for it: connections and other programs give
/// theirs back. Blocks.
///
/// # Errors
/// Every other one of `work`.
pub(crate) fn patiently<T>(
    mut work: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut waits = false;
    loop {
        match work() {
            Err(error) if error.is_out_of_files() => {
                if !waits {
                    tracing::warn!(%error, "waiting for a file descriptor");
                }
                waits = true;
                std::thread::sleep(RETRY);
            }
            done => {
                if waits {
                    tracing::info!("there are file descriptors again");
                }
                return done;
            }
        }
    }
}

/// Names the path at which a file operation failed.
fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path, source }
}

/// The folder that holds `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the names in a folder durable: a file's own fsync does not cover its name.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(at(folder))
}
