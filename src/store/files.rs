//! Objects as files beneath a folder, durable when a call returns.
//!
//! A file is written in a staging folder, synced, and moved to its name without overwriting; then
//! the folder that holds the name is synced, and so is the parent of every folder made for it. A
//! crash leaves the whole file or none, and at worst something in the staging folder, which is
//! emptied at the next start. The staging folder belongs to one engine and lies on the root's file
//! system, but outside the root if that is served as it is.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Read, Seek as _, Write};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tempfile::NamedTempFile;

use super::objects::{Objects, Staged, check_path, is_segment};
use super::{StoreError, at, folder_of, own, sync_folder};

mod growing;
#[cfg(test)]
mod tests;

const STAGED_PREFIX: &str = "staged-";
/// Threads that write several files at once.
const WRITERS: usize = 4;
/// Who is no older need not be renewed; far less than anybody sweeps.
const YOUNG: Duration = Duration::from_secs(60);
/// Files that one thread writes sooner than another is started.
const FEW: usize = 2;

/// Who may read the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everyone: files 0644, folders 0755.
    Public,
    /// The owner of the process: files 0600, folders 0700.
    Private,
}

impl Access {
    fn file(self) -> Permissions {
        Permissions::from_mode(match self {
            Self::Public => 0o644,
            Self::Private => 0o600,
        })
    }

    fn folder(self) -> Permissions {
        Permissions::from_mode(match self {
            Self::Public => 0o755,
            Self::Private => 0o700,
        })
    }
}

/// [`Objects`] as files. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Files(Arc<Store>);

#[derive(Debug)]
struct Store {
    root: PathBuf,
    staging: PathBuf,
    access: Access,
    /// Folders below the root whose names are known to be durable. Found in place is not enough:
    /// a process may have died between making a folder and syncing its parent.
    durable: Mutex<HashSet<PathBuf>>,
}

impl Files {
    /// Opens the store, makes the two folders if they are missing, and empties `staging`.
    ///
    /// # Errors
    /// [`StoreError::TwoFileSystems`] if files could not be moved from one to the other.
    pub fn open(root: &Path, staging: &Path, access: Access) -> Result<Self, StoreError> {
        make_folders(root, access)?;
        make_folders(staging, Access::Private)?;
        let device = |path| fs::metadata(path).map(|m| m.dev()).map_err(at(path));
        if device(root)? != device(staging)? {
            return Err(StoreError::TwoFileSystems {
                root: root.to_owned(),
                staging: staging.to_owned(),
            });
        }
        empty(staging)?;
        Ok(Self(Arc::new(Store {
            root: root.to_owned(),
            staging: staging.to_owned(),
            access,
            durable: Mutex::default(),
        })))
    }

    /// The object's file, for reading parts of it; `None` if there is no such object.
    pub fn file(&self, path: &str) -> Result<Option<File>, StoreError> {
        Ok(self.open_file(path)?.map(|(file, _)| file))
    }

    /// The object's file, made as young as one that was created within a minute; `None` if there is no
    /// such object.
    pub fn renew(&self, path: &str) -> Result<Option<File>, StoreError> {
        // Not while `remove_older` looks at it: what is renewed stays.
        let _turn = self.0.durable();
        let file = self.file(path)?;
        if let Some(file) = &file {
            let modified = file.metadata().and_then(|found| found.modified());
            let now = SystemTime::now();
            // Each change is one more block for the next `fsync` to write.
            let renewed = modified.and_then(|modified| match now.duration_since(modified) {
                Ok(age) if age < YOUNG => Ok(()),
                _ => file.set_modified(now),
            });
            renewed.map_err(at(&self.0.root.join(path)))?;
        }
        Ok(file)
    }

    /// Makes the name of an object durable that was found in place.
    pub fn settle(&self, path: &str) -> Result<(), StoreError> {
        let target = self.0.locate(path)?;
        let folder = folder_of(&target);
        self.0.ensure_folder(&mut self.0.durable(), folder)?;
        sync_folder(folder)
    }

    /// Removes the object durably if it was created and renewed longer ago than `age`; whether it is
    /// gone.
    pub fn remove_older(&self, path: &str, age: Duration) -> Result<bool, StoreError> {
        let mut durable = self.0.durable();
        let Some(file) = self.file(path)? else {
            return Ok(true);
        };
        let modified = file.metadata().and_then(|found| found.modified());
        let modified = modified.map_err(at(&self.0.root.join(path)))?;
        let old = SystemTime::now().duration_since(modified);
        let old = old.is_ok_and(|old| old > age);
        if old {
            self.0.remove(&mut durable, path)?;
        }
        Ok(old)
    }

    /// Whether there is such a folder.
    pub fn has_folder(&self, folder: &str) -> Result<bool, StoreError> {
        let path = self.0.locate(folder)?;
        match fs::metadata(&path) {
            Ok(found) => Ok(found.is_dir()),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(at(&path)(error)),
        }
    }

    /// Moves the objects of the folder `from`, which has no folders in it, durably: all at once if there
    /// is no folder `to`, else those that it lacks, and removes the others. No error if there is no folder
    /// `from`.
    pub fn move_folder(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let (source, target) = (self.0.locate(from)?, self.0.locate(to)?);
        let mut durable = self.0.durable();
        if !source.is_dir() {
            return Ok(());
        }
        let parent = folder_of(&target);
        self.0.ensure_folder(&mut durable, parent)?;
        if target.is_dir() {
            merge(&source, &target)?;
        } else {
            fs::rename(&source, &target).map_err(at(&source))?;
        }
        durable.retain(|known| !known.starts_with(&source));
        let left = self.0.remove_empty(&mut durable, &source);
        drop(durable);
        sync_if_there(parent)?;
        sync_if_there(left)
    }

    /// The object's file and its length.
    fn open_file(&self, path: &str) -> Result<Option<(File, u64)>, StoreError> {
        look();
        let path = self.0.locate(path)?;
        match own::open_found(&path) {
            Err(StoreError::Io { source, .. }) if is_absence(&source) => Ok(None),
            Err(StoreError::NotRegular { .. }) if path.is_dir() => Ok(None),
            opened => opened.map(|(file, found)| Some((file, found.len()))),
        }
    }

    fn stage(&self) -> Result<StagedFile, StoreError> {
        let staging = &self.0.staging;
        let mut builder = tempfile::Builder::new();
        // The library's own error hides the system's: whether descriptors are missing would not be known.
        let mut fault = None;
        let file = builder.prefix(STAGED_PREFIX).make_in(staging, |path| {
            let mut options = File::options();
            let opened = options.read(true).write(true).create_new(true).mode(0o600);
            opened
                .open(path)
                .inspect_err(|error| fault = error.raw_os_error())
        });
        let file = file.map_err(|error| fault.map_or(error, io::Error::from_raw_os_error));
        Ok(StagedFile {
            file: file.map_err(at(staging))?,
            store: self.0.clone(),
        })
    }

    fn stage_whole(&self, bytes: &[u8]) -> Result<StagedFile, StoreError> {
        let mut staged = self.stage()?;
        staged.write_all(bytes).map_err(at(&self.0.staging))?;
        Ok(staged)
    }
}

impl Objects for Files {
    fn create(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.stage_whole(bytes)?.create(path)
    }

    /// The disk does most of the waiting, and several at once wait little longer than one.
    fn create_all(&self, objects: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        let stage = |(path, bytes): &(String, Vec<u8>)| {
            let staged = self.stage_whole(bytes)?;
            let target = self.0.locate(path)?;
            self.0.seal(&staged.file, &target)?;
            Ok((path.clone(), staged))
        };
        let staged = at_once(objects, stage)?;
        let mut folders = BTreeSet::new();
        for (path, staged) in staged {
            folders.insert(folder_of(&self.0.locate(&path)?).to_owned());
            staged.link(&path)?;
        }
        let folders: Vec<_> = folders.into_iter().collect();
        at_once(&folders, |folder| sync_folder(folder)).map(drop)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.stage_whole(bytes)?.replace(path)
    }

    fn begin(&self) -> Result<Box<dyn Staged>, StoreError> {
        Ok(Box::new(self.stage()?))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some((mut file, length)) = self.open_file(path)? else {
            return Ok(None);
        };
        // A file is written whole before it has its name, and never grows: one call reads it.
        let mut bytes = vec![0; usize::try_from(length).expect("a file that fits in memory")];
        file.read_exact(&mut bytes)
            .map_err(|error| at(&self.0.root.join(path))(error))?;
        Ok(Some(bytes))
    }

    fn remove(&self, path: &str) -> Result<(), StoreError> {
        self.0.remove(&mut self.0.durable(), path)
    }

    /// The folder is moved out of sight at once, and its files go one by one, so that no writer waits
    /// for all of them.
    fn remove_all(&self, folder: &str, rest: Duration) -> Result<(), StoreError> {
        let (path, staging) = (self.0.locate(folder)?, &self.0.staging);
        if !path.is_dir() {
            return Ok(());
        }
        let mut builder = tempfile::Builder::new();
        let grave = builder.prefix(STAGED_PREFIX).tempdir_in(staging);
        let grave = grave.map_err(at(staging))?;
        let mut durable = self.0.durable();
        durable.retain(|known| !known.starts_with(&path));
        let moved = fs::rename(&path, grave.path());
        drop(durable);
        match moved {
            Err(error) if !is_absence(&error) => return Err(at(&path)(error)),
            _ => {}
        }
        remove_in_turns(grave.path(), rest)?;
        grave.close().map_err(at(staging))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        if folder.is_empty() {
            walk(&self.0.root, "", &mut found)?;
        } else {
            walk(&self.0.locate(folder)?, &format!("{folder}/"), &mut found)?;
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// A file in the staging folder, gone with this value unless it is moved out.
struct StagedFile {
    file: NamedTempFile,
    store: Arc<Store>,
}

impl StagedFile {
    fn create(self, path: &str) -> Result<(), StoreError> {
        let target = self.store.locate(path)?;
        self.store.seal(&self.file, &target)?;
        self.link(path)?;
        // Also for a file found in place: its writer may have died before this. If the folder is gone,
        // so is the object: somebody removed it since.
        sync_if_there(folder_of(&target))
    }

    /// Gives a sealed file its name; the name is durable once its folder is synced.
    fn link(self, path: &str) -> Result<(), StoreError> {
        let store = self.store;
        let target = store.locate(path)?;
        let mut durable = store.durable();
        store.ensure_folder(&mut durable, folder_of(&target))?;
        let moved = self.file.persist_noclobber(&target);
        drop(durable);
        if let Err(mut failed) = moved {
            if failed.error.kind() != ErrorKind::AlreadyExists {
                return Err(at(&target)(failed.error));
            }
            if !same_content(failed.file.as_file_mut(), &target).map_err(at(&target))? {
                let path = path.to_owned();
                return Err(StoreError::Conflict { path });
            }
        }
        Ok(())
    }

    fn replace(self, path: &str) -> Result<(), StoreError> {
        let store = self.store;
        let target = store.locate(path)?;
        store.seal(&self.file, &target)?;
        let mut durable = store.durable();
        store.ensure_folder(&mut durable, folder_of(&target))?;
        let moved = self.file.persist(&target);
        drop(durable);
        moved.map_err(|failed| at(&target)(failed.error))?;
        sync_folder(folder_of(&target))
    }
}

impl Staged for StagedFile {
    fn commit(self: Box<Self>, path: &str) -> Result<(), StoreError> {
        self.create(path)
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Store {
    fn locate(&self, path: &str) -> Result<PathBuf, StoreError> {
        check_path(path)?;
        Ok(self.root.join(path))
    }

    /// Held while a file is moved to its name, so that its folder is not removed as empty.
    fn durable(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the content and mode of a staged file final and durable.
    fn seal(&self, staged: &NamedTempFile, target: &Path) -> Result<(), StoreError> {
        let file = staged.as_file();
        file.set_permissions(self.access.file())
            .and_then(|()| file.sync_all())
            .map_err(at(target))
    }

    fn remove(&self, durable: &mut HashSet<PathBuf>, path: &str) -> Result<(), StoreError> {
        let path = self.locate(path)?;
        match fs::remove_file(&path) {
            Err(error) if !is_absence(&error) => return Err(at(&path)(error)),
            _ => {}
        }
        // Absence: a file stands where the path has a folder, so there was no object.
        sync_if_there(self.remove_empty(durable, folder_of(&path)))
    }

    /// Removes the folder and those above it that are empty; the first that is not.
    fn remove_empty<'a>(&self, durable: &mut HashSet<PathBuf>, folder: &'a Path) -> &'a Path {
        // Only empty folders can be removed; and an earlier attempt may have died half way.
        let mut folder = folder;
        while folder != self.root {
            match fs::remove_dir(folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => break,
                _ => durable.remove(folder),
            };
            folder = folder_of(folder);
        }
        folder
    }

    fn ensure_folder(
        &self,
        durable: &mut HashSet<PathBuf>,
        folder: &Path,
    ) -> Result<(), StoreError> {
        if folder == self.root || durable.contains(folder) {
            return Ok(());
        }
        self.ensure_folder(durable, folder_of(folder))?;
        make_folder(folder, self.access)?;
        durable.insert(folder.to_owned());
        Ok(())
    }
}

/// Does `work` for each item, on a few threads if there are several; the first error ends it.
fn at_once<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, StoreError> + Sync,
) -> Result<Vec<R>, StoreError> {
    let share = items.len().div_ceil(WRITERS).max(FEW);
    let (own, others) = items.split_at(share.min(items.len()));
    let some = |items: &[T]| items.iter().map(&work).collect::<Result<Vec<_>, _>>();
    std::thread::scope(|scope| {
        let some = &some;
        let spawn = |items| scope.spawn(move || some(items));
        let threads: Vec<_> = others.chunks(share).map(spawn).collect();
        let mut done = some(own)?;
        for thread in threads {
            done.extend(thread.join().expect("writing does not panic")?);
        }
        Ok(done)
    })
}

/// Makes the folder and those above it that are missing.
fn make_folders(folder: &Path, access: Access) -> Result<(), StoreError> {
    let parent = folder_of(folder);
    if !parent.exists() {
        make_folders(parent, access)?;
    }
    make_folder(folder, access)
}

/// Makes the folder, unless it is there, and its name durable in any case.
fn make_folder(folder: &Path, access: Access) -> Result<(), StoreError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made
            .and_then(|()| fs::set_permissions(folder, access.folder()))
            .map_err(at(folder))?,
    }
    sync_folder(folder_of(folder))
}

/// Removes all that a folder holds, in turns with others who want the disk: where freed blocks are
/// discarded at once, each file is a millisecond or two in which nobody's `fsync` ends.
fn remove_in_turns(folder: &Path, rest: Duration) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if path.is_dir() {
            remove_in_turns(&path, rest)?;
            fs::remove_dir(&path).map_err(at(&path))?;
        } else {
            let since = Instant::now();
            fs::remove_file(&path).map_err(at(&path))?;
            std::thread::sleep(since.elapsed().min(rest));
        }
    }
    Ok(())
}

/// Moves the files of a folder to another that lacks them, durably, and removes the others.
fn merge(source: &Path, target: &Path) -> Result<(), StoreError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(source).map_err(at(source))? {
        paths.push(entry.map_err(at(source))?.path());
    }
    for path in &paths {
        let name = path.file_name().expect("an entry of a folder has a name");
        match fs::hard_link(path, target.join(name)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(at(path)(error)),
            _ => {}
        }
    }
    sync_folder(target)?;
    paths
        .iter()
        .try_for_each(|path| fs::remove_file(path).map_err(at(path)))
}

fn sync_if_there(folder: &Path) -> Result<(), StoreError> {
    match sync_folder(folder) {
        Err(StoreError::Io { source, .. }) if is_absence(&source) => Ok(()),
        synced => synced,
    }
}

/// Removes what a crash left in the staging folder.
fn empty(staging: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(staging).map_err(at(staging))? {
        let entry = entry.map_err(at(staging))?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|n| n.starts_with(STAGED_PREFIX)) {
            let path = entry.path();
            match entry.file_type().map_err(at(&path))?.is_dir() {
                true => fs::remove_dir_all(&path).map_err(at(&path))?,
                false => fs::remove_file(&path).map_err(at(&path))?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
thread_local! {
    /// Objects that were opened and folders that were listed, by this thread.
    pub static LOOKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts an object that is opened, or a folder that is listed.
fn look() {
    #[cfg(test)]
    LOOKS.with(|looks| looks.set(looks.get() + 1));
}

/// Collects the objects in `folder`, whose own path is `prefix`. What no path can name is none.
fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) -> Result<(), StoreError> {
    look();
    let entries = match fs::read_dir(folder) {
        Err(error) if is_absence(&error) => return Ok(()),
        entries => entries.map_err(at(folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(at(folder))?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_segment(name)) else {
            continue;
        };
        let kind = entry.file_type().map_err(at(folder))?;
        if kind.is_dir() {
            walk(&entry.path(), &format!("{prefix}{name}/"), found)?;
        } else if kind.is_file() {
            found.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

/// Whether the error says that there is no file of this name.
fn is_absence(error: &io::Error) -> bool {
    use ErrorKind::{IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory)
}

fn same_content(staged: &mut File, target: &Path) -> io::Result<bool> {
    let mut found = File::open(target)?;
    let metadata = found.metadata()?;
    if !metadata.is_file() || metadata.len() != staged.metadata()?.len() {
        return Ok(false);
    }
    staged.rewind()?;
    let (mut ours, mut theirs) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let length = staged.read(&mut ours)?;
        if length == 0 {
            return Ok(true);
        }
        found.read_exact(&mut theirs[..length])?;
        if ours[..length] != theirs[..length] {
            return Ok(false);
        }
    }
}
