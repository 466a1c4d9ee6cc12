//! Clips that are put aside: their folder shows that they were complete, and the database does not list
//! them.
//!
//! A server with an older `vaults.db` finds the clips completed since in this state. They take room on the
//! disk and of no quota. Their device completes them again; the server deletes none by itself.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::folder;
use crate::encoding;
use crate::store::files::Files;
use crate::store::objects::Objects as _;
use crate::store::vaults::{ClipId, VaultId, Vaults};
use crate::store::{StoreError, at};

/// A clip that is put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsideClip {
    pub vault: VaultId,
    pub clip: ClipId,
    /// What its files take, in bytes.
    pub bytes: u64,
    /// When its youngest file was stored, or its device asked for it last.
    pub since: SystemTime,
}

/// The clips in `root`, the folder of all clips, that `vaults` does not list, by vault. Only reads: a
/// server may run meanwhile, and a clip that it completes at this moment may be among them.
///
/// # Errors
/// If a folder or the database cannot be read.
pub fn list(root: &Path, vaults: &Vaults) -> Result<Vec<AsideClip>, StoreError> {
    let mut aside = Vec::new();
    for entry in entries(root)? {
        let Some(vault) = id(&entry.file_name()).map(VaultId::from_bytes) else {
            continue;
        };
        for entry in entries(&entry.path())? {
            let Some(clip) = id(&entry.file_name()).map(ClipId::from_bytes) else {
                continue;
            };
            if vaults.clip(vault, clip)?.is_none() {
                let (bytes, since) = measure(&entry.path())?;
                aside.push(AsideClip {
                    vault,
                    clip,
                    bytes,
                    since,
                });
            }
        }
    }
    aside.sort_unstable_by_key(|found| (found.vault, found.clip));
    Ok(aside)
}

/// Deletes a clip that is put aside. Nobody else may work on `files` and `vaults` meanwhile. False, and
/// nothing is deleted, if it is none.
///
/// # Errors
/// If a file cannot be removed, or the database cannot be read.
pub fn remove(
    files: &Files,
    vaults: &Vaults,
    vault: VaultId,
    clip: ClipId,
) -> Result<bool, StoreError> {
    let folder = folder(vault, clip);
    if vaults.clip(vault, clip)?.is_some() || !files.has_folder(&folder)? {
        return Ok(false);
    }
    files.remove_all(&folder, Duration::ZERO)?;
    Ok(true)
}

/// What a folder holds; nothing, if there is none.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
    match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        found => found.and_then(Iterator::collect).map_err(at(folder)),
    }
}

/// The bytes of a folder's files, and when the youngest was modified.
fn measure(folder: &Path) -> Result<(u64, SystemTime), StoreError> {
    let (mut bytes, mut youngest) = (0, SystemTime::UNIX_EPOCH);
    for entry in entries(folder)? {
        let path = entry.path();
        let found = entry.metadata().map_err(at(&path))?;
        bytes += found.len();
        youngest = youngest.max(found.modified().map_err(at(&path))?);
    }
    Ok((bytes, youngest))
}

/// The id that is a folder's name.
fn id(name: &OsStr) -> Option<[u8; 16]> {
    encoding::exact(&encoding::from_hex(name.to_str()?).ok()?).ok()
}
