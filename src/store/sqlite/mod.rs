//! Opening SQLite files: who owns them, how durable they are, and their migrations.
//!
//! Every file carries an application id, so that no program mistakes another's, and in
//! `user_version` the number of migrations it has been through. Commits are durable when they
//! return (WAL with `synchronous = FULL`). Only the owner of the process may read the files.

mod checkpoints;
mod examine;
mod filter;
mod index;
mod journal;
mod queries;

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{StoreError, at, folder_of, own, sync_folder};

pub(super) use checkpoints::Checkpoints;
pub use examine::{KeyFault, compare_keys, file_faults, replace_keys, vaults_faults};
pub use index::Table;
pub use journal::{SqliteJournal, SqliteReader};
pub use queries::{AgreementRow, Queries, QueryReader, RequestRow, ToldRow, Totals, WindowRows};

/// How long a statement waits for another connection's lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Prepared statements kept by a connection: more than any schema here has.
const STATEMENTS_KEPT: usize = 64;

/// Settings of a connection that writes. What is deleted is also overwritten.
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON;
    PRAGMA trusted_schema = OFF;";

/// Copies the write-ahead log into the database and empties it; answers whether a reader prevented that.
pub(super) const EMPTY_WAL: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// Endings of the files of a database.
pub(super) const SIDES: [&str; 3] = ["", "-wal", "-shm"];

const TABLES: &str = "SELECT count(*) FROM sqlite_schema";

/// What a file of ours holds.
pub(crate) struct Schema {
    /// Marks the file as of this kind (`PRAGMA application_id`).
    pub(crate) application_id: i32,
    /// SQL texts; number `n` brings a file from version `n` to `n + 1`. Never changed once shipped.
    pub(crate) migrations: &'static [&'static str],
}

impl Schema {
    fn version(&self) -> i64 {
        self.migrations.len() as i64
    }

    /// Opens the file for writing, creates it if it is missing, and brings it to the last version.
    pub(crate) fn open(&self, path: &Path) -> Result<Database, StoreError> {
        self.try_open(path).map_err(|error| error.of(path))
    }

    fn try_open(&self, path: &Path) -> Result<Database, StoreError> {
        check_kinds(path)?;
        create_private(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = connect(path, flags)?;
        self.check(&connection, path)?;
        make_private(path)?;
        connection.query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))?;
        connection.execute_batch(SETTINGS)?;
        while self.migrate_once(&mut connection)? {}
        Ok(Database(connection))
    }

    /// Opens the file for reading; it must be at the last version.
    pub(super) fn open_read_only(&self, path: &Path) -> Result<Connection, StoreError> {
        let opened = connect_read_only(path).and_then(|connection| {
            let found = self.check(&connection, path)?;
            Ok((connection, found))
        });
        let (connection, found) = opened.map_err(|error| error.of(path))?;
        match found {
            found if found == self.version() => Ok(connection),
            found => Err(StoreError::Older {
                path: path.to_owned(),
                found,
                known: self.version(),
            }),
        }
    }

    /// The version of a file that is there, which may be newer than the last one. Nothing is changed.
    fn found(&self, path: &Path) -> Result<i64, StoreError> {
        let found = connect_read_only(path).and_then(|connection| self.check(&connection, path));
        match found {
            Err(StoreError::Newer { found, .. }) => Ok(found),
            found => found.map_err(|error| error.of(path)),
        }
    }

    /// Refuses what is not ours, before anything is written into it. Returns its version.
    fn check(&self, connection: &Connection, path: &Path) -> Result<i64, StoreError> {
        let foreign = || StoreError::Foreign {
            path: path.to_owned(),
        };
        let tables: i64 = match connection.query_row(TABLES, (), |row| row.get(0)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                return Err(foreign());
            }
            tables => tables?,
        };
        let application_id = pragma(connection, "application_id")?;
        let found = pragma(connection, "user_version")?;
        let fresh = (application_id, found, tables) == (0, 0, 0);
        if !fresh && application_id != i64::from(self.application_id) {
            return Err(foreign());
        }
        if found > self.version() {
            return Err(StoreError::Newer {
                path: path.to_owned(),
                found,
                known: self.version(),
            });
        }
        Ok(found)
    }

    /// Does the next migration in a transaction of its own; false if there is none.
    fn migrate_once(&self, connection: &mut Connection) -> Result<bool, StoreError> {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = pragma(&step, "user_version")?;
        let next = usize::try_from(version)
            .ok()
            .and_then(|version| self.migrations.get(version));
        let Some(migration) = next else {
            return Ok(false);
        };
        step.execute_batch(migration)?;
        step.pragma_update(None, "application_id", self.application_id)?;
        step.pragma_update(None, "user_version", version + 1)?;
        step.commit()?;
        Ok(true)
    }
}

/// A connection that writes. When it is dropped, the write-ahead log is copied into the database, also
/// where readers keep theirs open: after a clean stop the database file alone holds every commit.
#[derive(Debug)]
pub(crate) struct Database(Connection);

impl Deref for Database {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Database {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A connection that a panic left within a transaction can do no checkpoint; SQLite recovers it.
        let truncated = self.0.query_row(EMPTY_WAL, (), |row| row.get::<_, bool>(0));
        match truncated {
            Ok(false) => {}
            Ok(true) => tracing::warn!("a reader kept the write-ahead log from being copied"),
            Err(error) => tracing::warn!(%error, "the write-ahead log was not copied"),
        }
    }
}

const LEDGER: &str = "ledger.db";

/// The databases of a data folder, by the names of their files.
const DATABASES: [(&str, &Schema); 4] = [
    (LEDGER, &journal::SCHEMA),
    ("vaults.db", &super::vaults::SCHEMA),
    ("queries.db", &queries::SCHEMA),
    ("follower.db", &journal::SCHEMA),
];

/// The version of a database's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The name of its file.
    pub file: &'static str,
    /// Of the file, if there is one.
    pub found: Option<i64>,
    /// The last one that this program knows.
    pub known: i64,
}

/// The schemas of the databases that are in a data folder, and of `ledger.db` also if it is missing. Nothing is
/// changed, and a server may run.
///
/// # Errors
/// If a database cannot be read, or is another program's.
pub fn schema_versions(folder: &Path) -> Result<Vec<SchemaVersion>, StoreError> {
    let read = |(file, schema): (&'static str, &Schema)| {
        let path = folder.join(file);
        let found = match path.try_exists().map_err(at(&path))? {
            true => Some(schema.found(&path)?),
            false if file == LEDGER => None,
            false => return Ok(None),
        };
        Ok(Some(SchemaVersion {
            file,
            found,
            known: schema.version(),
        }))
    };
    DATABASES
        .into_iter()
        .map(read)
        .filter_map(Result::transpose)
        .collect()
}

/// SQLite gives its side files the mode of the main one.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => {
            made.map_err(at(path))?;
            sync_folder(folder_of(path))
        }
    }
}

/// Takes from others what they may do with a database that was put back with another mode, and with its side
/// files.
fn make_private(path: &Path) -> Result<(), StoreError> {
    for side in SIDES {
        let file = beside(path, side);
        let mode = match fs::metadata(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            found => found.map_err(at(&file))?.permissions().mode(),
        };
        if mode & 0o077 != 0 {
            fs::set_permissions(&file, Permissions::from_mode(0o600)).map_err(at(&file))?;
        }
    }
    Ok(())
}

/// Whether the file system of `path` takes no writes.
fn is_on_read_only_disk(path: &Path) -> bool {
    let opened = fs::OpenOptions::new().write(true).open(path);
    opened.is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem)
}

fn connect_read_only(path: &Path) -> Result<Connection, StoreError> {
    check_kinds(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match is_on_read_only_disk(path) {
        true => connect_immutable(path, flags),
        false => connect(path, flags),
    }
}

/// Opens a file that cannot change: a write-ahead log is not read then, so there must be none.
fn connect_immutable(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    if fs::metadata(beside(path, "-wal")).is_ok_and(|wal| wal.len() > 0) {
        return Err(StoreError::Unread {
            path: path.to_owned(),
        });
    }
    let absolute = std::path::absolute(path).map_err(at(path))?;
    let uri = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
            char::from(*byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    let uri: String = absolute.as_os_str().as_bytes().iter().map(uri).collect();
    let uri = format!("file://{uri}?immutable=1");
    connect(Path::new(&uri), flags | OpenFlags::SQLITE_OPEN_URI)
}

/// SQLite would wait for a pipe in the place of a database or of a file beside it.
fn check_kinds(path: &Path) -> Result<(), StoreError> {
    for side in SIDES {
        own::check_kind(&beside(path, side))?;
    }
    Ok(())
}

/// The file of a database with this ending: the database itself has none.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push(ending);
    file.into()
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Else a query whose planner looked at what is bound is planned anew for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}

/// A number as SQLite holds it. Its integers end at 2⁶³ − 1, which no index or size here reaches.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from SQLite; the schemas hold each of them at 0 or above.
pub(crate) fn number(integer: i64) -> u64 {
    u64::try_from(integer).expect("checked by the schema")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Schema = Schema {
        application_id: 77,
        migrations: &["CREATE TABLE a (x INTEGER) STRICT"],
    };
    const TWO: Schema = Schema {
        application_id: 77,
        migrations: &[
            "CREATE TABLE a (x INTEGER) STRICT",
            "INSERT INTO a VALUES (7); CREATE TABLE b (y INTEGER) STRICT",
        ],
    };

    #[test]
    fn migrations_run_once_each_and_only_forwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        ONE.open(&path).unwrap();
        let old = TWO.open_read_only(&path).unwrap_err();
        assert!(matches!(
            old,
            StoreError::Older {
                found: 1,
                known: 2,
                ..
            }
        ));
        for _ in 0..2 {
            let connection = TWO.open(&path).unwrap();
            let count = connection.query_row("SELECT count(*) FROM a", (), |row| row.get(0));
            assert_eq!(count, Ok(1_i64));
        }
        TWO.open_read_only(&path).unwrap();
        let newer = ONE.open(&path).unwrap_err();
        assert!(matches!(
            newer,
            StoreError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ));
        assert!(newer.to_string().ends_with("use a newer program"));
        assert!(ONE.open_read_only(&path).is_err());
    }

    #[test]
    fn a_failed_migration_leaves_no_trace() {
        const BROKEN: Schema = Schema {
            application_id: 77,
            migrations: &[
                "CREATE TABLE a (x INTEGER) STRICT",
                "CREATE TABLE b (y INTEGER) STRICT; INSERT INTO nowhere VALUES (1)",
            ],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        assert!(matches!(
            BROKEN.open(&path),
            Err(StoreError::Database { .. })
        ));
        let connection = ONE.open(&path).unwrap();
        assert_eq!(
            connection.query_row(TABLES, (), |row| row.get(0)),
            Ok(1_i64)
        );
    }

    #[test]
    fn strangers_files_are_refused_and_left_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text");
        fs::write(
            &text,
            "this is a letter, not a database, of more than a page".repeat(100),
        )
        .unwrap();
        let other = folder.path().join("other.db");
        let unmarked = folder.path().join("unmarked.db");
        Schema {
            application_id: 78,
            ..ONE
        }
        .open(&other)
        .unwrap();
        let connection = Connection::open(&unmarked).unwrap();
        connection.execute_batch("CREATE TABLE a (x)").unwrap();
        drop(connection);
        for path in [text, other, unmarked] {
            let before = fs::read(&path).unwrap();
            assert!(
                matches!(ONE.open(&path), Err(StoreError::Foreign { .. })),
                "{path:?}"
            );
            assert_eq!(fs::read(&path).unwrap(), before);
        }
    }

    #[test]
    fn a_file_that_was_put_back_readable_to_all_is_made_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let first = ONE.open(&path).unwrap();
        first.execute("INSERT INTO a VALUES (1)", ()).unwrap();
        let files = || fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
        assert_eq!(files().count(), 3);
        for file in files() {
            fs::set_permissions(file.path(), Permissions::from_mode(0o644)).unwrap();
        }
        let _second = ONE.open(&path).unwrap();
        for file in files() {
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file:?}");
        }
    }

    #[test]
    fn files_are_private_and_commits_durable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = ONE.open(&path).unwrap();
        for file in fs::read_dir(folder.path()).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let journal_mode = connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
        assert_eq!(journal_mode, Ok("wal".to_owned()));
        assert_eq!(pragma(&connection, "synchronous").unwrap(), 2);
        let reader = ONE.open_read_only(&path).unwrap();
        assert!(reader.execute("INSERT INTO a VALUES (1)", ()).is_err());
    }
}
