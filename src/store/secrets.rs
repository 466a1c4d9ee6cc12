//! The key files of a party, and what else concerns nobody: readable by their owner alone.
//!
//! What a file holds is its caller's matter. It is kept in buffers that are wiped, and never shown.

use std::fs::{DirBuilder, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::{StoreError, at, folder_of, own, sync_folder};

/// How the names of files begin that are not in their place yet.
pub(crate) const STAGED: &str = ".new-key-";

/// The place of a key file, which may not exist yet.
#[derive(Debug, Clone)]
pub struct SecretFile(PathBuf);

impl SecretFile {
    /// The key file at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes the file durably, with mode 0600, whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::KeyExists`] if there is a file already, whatever it holds.
    pub fn write_new(&self, secret: &[u8]) -> Result<(), StoreError> {
        let (path, folder) = (&self.0, folder_of(&self.0));
        match self.stage(secret)?.persist_noclobber(path) {
            Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => {
                Err(StoreError::KeyExists { path: path.clone() })
            }
            Err(failed) => Err(at(path)(failed.error)),
            Ok(_) => sync_folder(folder),
        }
    }

    /// As [`SecretFile::write_new`], in place of the file that is there.
    ///
    /// # Errors
    /// The disk's.
    pub fn replace(&self, secret: &[u8]) -> Result<(), StoreError> {
        let path = &self.0;
        let moved = self.stage(secret)?.persist(path);
        moved.map_err(|failed| at(path)(failed.error))?;
        sync_folder(folder_of(path))
    }

    fn stage(&self, secret: &[u8]) -> Result<NamedTempFile, StoreError> {
        let path = &self.0;
        let mut staged = tempfile::Builder::new()
            .prefix(STAGED)
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder_of(path))
            .map_err(at(path))?;
        staged.write_all(secret).map_err(at(path))?;
        staged.as_file().sync_all().map_err(at(path))?;
        Ok(staged)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`StoreError::KeyExposed`] if its group or others have any permission on it; those of [`own::open`].
    pub fn read(&self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let path = &self.0;
        let (mut file, metadata) = own::open_found(path)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(StoreError::KeyExposed { path: path.clone() });
        }
        // Of its full length from the start: a growing buffer leaves copies behind.
        let length = usize::try_from(metadata.len()).expect("a key fits in memory");
        let mut secret = Zeroizing::new(vec![0; length]);
        file.read_exact(&mut secret).map_err(at(path))?;
        Ok(secret)
    }
}

/// Makes a private folder (0700) and those above it that are missing; one that is there stays as it is.
///
/// # Errors
/// The disk's.
pub fn make_folder(path: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(at(path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_is_written_once_and_stays_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = SecretFile::at(folder.path().join("admin.key"));
        assert!(matches!(file.read(), Err(StoreError::Io { .. })));
        file.write_new(b"first").unwrap();
        let again = file.write_new(b"first");
        assert!(matches!(again, Err(StoreError::KeyExists { .. })));
        assert_eq!(file.read().unwrap().as_slice(), b"first");
        file.replace(b"second").unwrap();
        assert_eq!(file.read().unwrap().as_slice(), b"second");
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no remains"
        );
    }

    #[test]
    fn an_exposed_key_is_refused_with_its_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let file = SecretFile::at(folder.path().join("admin.key"));
        file.write_new(b"secret words").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            let error = file.read().unwrap_err();
            let remedy = format!("`chmod 600 {}`", file.path().display());
            assert!(error.to_string().contains(&remedy), "{mode:o}");
            assert!(!format!("{error:?}").contains("secret"));
        }
        fs::set_permissions(file.path(), Permissions::from_mode(0o400)).unwrap();
        assert_eq!(file.read().unwrap().as_slice(), b"secret words");
    }
}
