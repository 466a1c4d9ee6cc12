//! The port `Objects`: named bytes that are written once.
//!
//! Tiles, attachments and the parts of clips never change, so a second write of the same bytes is
//! done already, and one of other bytes is a fault that nobody may paper over. The checkpoint is
//! the exception, and has [`Objects::replace`].
//!
//! A path is segments of `[A-Za-z0-9._-]` parted by `/`, none of which begins with a dot: one
//! spelling for one object, on any file system, and no way out of the root.

use std::io::Write;
use std::time::Duration;

use super::StoreError;

/// Longest segment of a path, in bytes: what file systems allow.
const MAX_SEGMENT: usize = 255;
/// Longest path, in bytes.
const MAX_PATH: usize = 1024;

/// A store of objects by path.
pub trait Objects: Send + Sync {
    /// Makes the object durable, unless it is there already with the same bytes.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it is there with others.
    fn create(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// As [`Objects::create`] for each of several, in any order. Durable together: an error leaves
    /// some of them created.
    fn create_all(&self, objects: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        objects
            .iter()
            .try_for_each(|(path, bytes)| self.create(path, bytes))
    }

    /// Makes the object durable in place of what was there: whoever reads sees one or the other.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Begins an object too large for memory.
    fn begin(&self) -> Result<Box<dyn Staged>, StoreError>;

    /// The object's bytes; `None` if there is no such object.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Removes the object durably; no error if it is not there.
    fn remove(&self, path: &str) -> Result<(), StoreError>;

    /// Removes all objects beneath `folder`, and leaves the disk to others after each for as long as it
    /// took, but no longer than `rest`. After a crash some may be back.
    fn remove_all(&self, folder: &str, rest: Duration) -> Result<(), StoreError>;

    /// The paths of all objects beneath `folder` (all there are, if it is empty), sorted.
    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError>;
}

/// An object being written, not yet to be seen. Dropped, it leaves nothing.
pub trait Staged: Write + Send {
    /// As [`Objects::create`], with the bytes written so far.
    fn commit(self: Box<Self>, path: &str) -> Result<(), StoreError>;
}

/// Whether `name` may be a segment of a path.
pub(super) fn is_segment(name: &str) -> bool {
    (1..=MAX_SEGMENT).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Refuses what is no path.
pub(super) fn check_path(path: &str) -> Result<(), StoreError> {
    if path.len() <= MAX_PATH && path.split('/').all(is_segment) {
        Ok(())
    } else {
        // Strangers send paths: an error does not repeat a long one.
        let path = path.chars().take(100).collect();
        Err(StoreError::BadPath { path })
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_have_one_form() {
        let long = "a".repeat(255);
        let longest = [long.as_str(); 4].join("/");
        for good in ["checkpoint", "tile/0/x001/234.p/5", "a..b", &long, &longest] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(256);
        let too_many = "a/".repeat(512) + "aa";
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/.",
            ".hidden",
            "a/.staging/b",
            "a b",
            "a\\b",
            "a\0b",
            "ä",
            "a\n",
            "%2e",
            &too_long,
            &too_many,
        ] {
            assert!(
                matches!(check_path(bad), Err(StoreError::BadPath { .. })),
                "{bad:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8192))]
        #[test]
        fn no_path_leaves_its_root(path in "[a./\\\\\\-\0]{0,12}") {
            let parts: Vec<_> = Path::new(&path).components().collect();
            let plain = parts.iter().all(|part| matches!(part, Component::Normal(_)));
            if check_path(&path).is_ok() {
                prop_assert!(plain && !parts.is_empty());
                prop_assert_eq!(parts.len(), path.split('/').count());
            }
        }
    }
}
