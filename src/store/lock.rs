//! One process to one data folder.
//!
//! The lock is the operating system's, on the file `lock`: it ends with the process, however that
//! ends, so there is nothing to clean up after a crash.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::{StoreError, at, own};

/// Holds a data folder for as long as it lives.
#[derive(Debug)]
pub struct DataLock(#[expect(dead_code, reason = "closing the file ends the lock")] File);

impl DataLock {
    /// Takes the folder, which must exist, to write in it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if somebody has it; [`StoreError::Io`] on a read-only disk.
    pub fn acquire(folder: &Path) -> Result<Self, StoreError> {
        own::check_kind(&folder.join("lock"))?;
        Self::lock(folder, Self::open(folder))
    }

    /// Takes the folder to read in it alone: on a read-only disk too.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if somebody has it.
    pub fn acquire_to_read(folder: &Path) -> Result<Self, StoreError> {
        own::check_kind(&folder.join("lock"))?;
        let file = match Self::open(folder) {
            // The lock itself needs no writing, and where there is no file, the folder can be locked.
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {
                File::open(folder.join("lock")).or_else(|_| File::open(folder))
            }
            opened => opened,
        };
        Self::lock(folder, file)
    }

    fn open(folder: &Path) -> io::Result<File> {
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false);
        options.open(folder.join("lock"))
    }

    fn lock(folder: &Path, file: io::Result<File>) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let file = file.map_err(at(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
                path: folder.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = DataLock::acquire(folder.path()).unwrap();
        let second = DataLock::acquire(folder.path()).unwrap_err();
        assert!(matches!(second, StoreError::Locked { .. }));
        assert!(second.to_string().starts_with("another process works on"));
        drop(held);
        DataLock::acquire(folder.path()).unwrap();
        let missing = DataLock::acquire(&folder.path().join("missing"));
        assert!(matches!(missing, Err(StoreError::Io { .. })));
    }
}
