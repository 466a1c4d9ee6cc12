//! Files that grow over several calls, and over restarts of the server, until they are whole.
//!
//! They lie in the staging folder under names that a start does not sweep away. What of their bytes counts is for
//! the caller to remember: after a crash a file may hold more.

use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use tempfile::TempPath;

use super::{Files, folder_of, is_absence, same_content, sync_if_there};
use crate::store::objects::is_segment;
use crate::store::{StoreError, at, sync_folder};

/// What the names of such files begin with.
const PREFIX: &str = "growing-";

impl Files {
    /// The file that grows under `name`, made if it is missing; its name is durable.
    pub fn grow(&self, name: &str) -> Result<File, StoreError> {
        let path = self.growing_path(name)?;
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(&path).map_err(at(&path))?;
        sync_folder(&self.0.staging)?;
        Ok(file)
    }

    /// The file that grows under `name`, if there is one, to go on with.
    pub fn grown(&self, name: &str) -> Result<Option<(File, Metadata)>, StoreError> {
        let path = self.growing_path(name)?;
        let opened = File::options().read(true).write(true).open(&path);
        match opened.and_then(|file| Ok((file.metadata()?, file))) {
            Ok((metadata, file)) => Ok(Some((file, metadata))),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(at(&path)(error)),
        }
    }

    /// Makes the file that grew under `name` the object at `path`, durably, as
    /// [`Objects::create`](crate::store::objects::Objects::create) does.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if other bytes are there; any error leaves the file where it grew.
    pub fn finish(&self, name: &str, path: &str) -> Result<(), StoreError> {
        let (source, target) = (self.growing_path(name)?, self.0.locate(path)?);
        let mut file = File::open(&source).map_err(at(&source))?;
        file.set_permissions(self.0.access.file())
            .and_then(|()| file.sync_all())
            .map_err(at(&source))?;
        let folder = folder_of(&target);
        let mut durable = self.0.durable();
        self.0.ensure_folder(&mut durable, folder)?;
        let moving = TempPath::try_from_path(&source).map_err(at(&source))?;
        let moved = moving.persist_noclobber(&target);
        drop(durable);
        if let Err(failed) = moved {
            // It is no temporary file that goes with a value.
            failed
                .path
                .keep()
                .map_err(|failed| at(&source)(failed.error))?;
            if failed.error.kind() != ErrorKind::AlreadyExists {
                return Err(at(&target)(failed.error));
            }
            if !same_content(&mut file, &target).map_err(at(&target))? {
                let path = path.to_owned();
                return Err(StoreError::Conflict { path });
            }
            self.forget_growing(name)?;
        }
        // If the folder is gone, it was moved as a whole, and whoever did that made it durable.
        sync_if_there(folder)
    }

    /// Removes the file that grows under `name`; no error if there is none.
    pub fn forget_growing(&self, name: &str) -> Result<(), StoreError> {
        let path = self.growing_path(name)?;
        match fs::remove_file(&path) {
            Err(error) if !is_absence(&error) => Err(at(&path)(error)),
            _ => Ok(()),
        }
    }

    /// The names of all files that grow.
    pub fn growing(&self) -> Result<Vec<String>, StoreError> {
        let staging = &self.0.staging;
        let mut names = Vec::new();
        for entry in fs::read_dir(staging).map_err(at(staging))? {
            let name = entry.map_err(at(staging))?.file_name();
            names.extend(
                name.to_str()
                    .and_then(|n| Some(n.strip_prefix(PREFIX)?.to_owned())),
            );
        }
        Ok(names)
    }

    fn growing_path(&self, name: &str) -> Result<PathBuf, StoreError> {
        match is_segment(name) {
            true => Ok(self.0.staging.join(format!("{PREFIX}{name}"))),
            false => Err(StoreError::BadPath {
                path: name.to_owned(),
            }),
        }
    }
}
