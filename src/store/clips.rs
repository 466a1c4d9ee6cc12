//! The clips of residents' vaults on the disk: their parts as [`Files`], their rows in [`Vaults`], and
//! the room that they take.
//!
//! Parts are uploaded one by one, then their clip is completed. What arrives, and what waits to be
//! completed, takes of the quota as what is complete does: room is reserved before the first byte. A
//! part that waits is removed when it is old; whoever counts on it makes it young first. Calls block.
//! Not here: who may make them.
//!
//! The folder of a part shows whether its clip was ever completed, whatever the database knows:
//!
//! * `waiting/<vault>/<clip>/<part>`: it was not. [`Clips::sweep`] walks this folder alone, so its cost
//!   grows with the parts that wait, and deletes what is older than [`INCOMPLETE`].
//! * `<vault>/<clip>/<part>`: it was. [`Clips::complete`] moves the clip's folder here, durably, before
//!   its row is committed; [`Clips::remove`] moves it back before it deletes the row. Nothing else is
//!   deleted here: where the row is missing, the database may be an older one, restored from a backup.
//!   Such a clip is put aside ([`aside`]) until its device completes it again or a person removes it.
//!
//! A clip that the database lists is never deleted as waiting: a sweep moves its parts to their place.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::files::Files;
use super::objects::{Objects as _, Staged};
use super::space::{TakenSpace, Volume};
use super::vaults::{Clip, ClipId, VaultError, VaultId, Vaults};
use super::{StoreError, at};
use crate::digest::Digest;
use crate::encoding;

pub mod aside;
#[cfg(test)]
mod tests;
mod uploads;

pub use uploads::Piece;

/// The folder of the parts of clips that are not complete.
pub const WAITING: &str = "waiting";
/// How long the parts of a clip may wait to be completed.
pub const INCOMPLETE: Duration = Duration::from_secs(86_400);
/// The most parts of a vault that arrive or wait at once, those of 64 clips: empty ones take room too.
const MAX_WAITING: usize = 64 * Part::ALL.len();

/// A part of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    Header,
    Body,
    Metadata,
}

impl Part {
    /// The parts that make a clip.
    pub const ALL: [Self; 3] = [Self::Header, Self::Body, Self::Metadata];

    /// Its name in paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Body => "body",
            Self::Metadata => "metadata",
        }
    }

    /// The part of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}

/// A part of a vault's clip; `Display` is its path once the clip is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    pub vault: VaultId,
    pub clip: ClipId,
    pub part: Part,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.vault, self.clip, self.part.name())
    }
}

impl Place {
    /// Its path until the clip is complete.
    fn waiting(&self) -> String {
        format!("{WAITING}/{self}")
    }

    /// The part that this path is of, without the folder [`WAITING`].
    fn parse(path: &str) -> Option<Self> {
        let mut names = path.split('/');
        let mut id = || encoding::exact(&encoding::from_hex(names.next()?).ok()?).ok();
        let (vault, clip) = (VaultId::from_bytes(id()?), ClipId::from_bytes(id()?));
        let part = Part::named(names.next()?)?;
        Some(Self { vault, clip, part })
    }
}

/// The folder of a complete clip.
fn folder(vault: VaultId, clip: ClipId) -> String {
    format!("{vault}/{clip}")
}

/// The folder of a clip that is not complete.
fn waiting_folder(vault: VaultId, clip: ClipId) -> String {
    format!("{WAITING}/{vault}/{clip}")
}

/// The clips of all vaults. Clones are the same store.
#[derive(Clone)]
pub struct Clips(Arc<Store>);

struct Store {
    files: Files,
    vaults: Arc<Vaults>,
    /// Where the files are.
    volume: Volume,
    rooms: Mutex<HashMap<VaultId, Arc<Mutex<Room>>>>,
    /// Parts that grow and are written now.
    writing: Mutex<HashSet<Place>>,
}

/// What takes room in a vault beside the clips that are complete. Whoever changes the parts or the
/// rows of a vault, other than by adding a part, has this locked.
#[derive(Default)]
struct Room {
    /// Parts whose clip is not complete, in bytes; none until they are counted.
    waiting: Option<Waiting>,
    /// Parts that arrive, and the bytes reserved for them.
    arriving: usize,
    reserved: u64,
}

type Waiting = HashMap<(ClipId, Part), u64>;

impl Clips {
    /// The clips whose parts are `files` on `volume`.
    pub fn new(files: Files, vaults: Arc<Vaults>, volume: Volume) -> Self {
        Self(Arc::new(Store {
            files,
            vaults,
            volume,
            rooms: Mutex::default(),
            writing: Mutex::default(),
        }))
    }

    /// The file of a part; `None` if there is none.
    pub fn file(&self, place: &Place) -> Result<Option<File>, StoreError> {
        // In this order: a part that is moved meanwhile, since its clip is completed, is found.
        match self.0.files.file(&place.waiting())? {
            Some(file) => Ok(Some(file)),
            None => self.0.files.file(&place.to_string()),
        }
    }

    /// The file of a part that is stored already: young again, and durable.
    pub fn known(&self, place: &Place) -> Result<Option<File>, StoreError> {
        for path in [place.waiting(), place.to_string()] {
            if let Some(file) = self.0.files.renew(&path)? {
                // Its writer may have died before its name was durable.
                self.0.files.settle(&path)?;
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// The volume of the parts.
    pub fn volume(&self) -> &Volume {
        &self.0.volume
    }

    /// Lets a part of `length` bytes in, which has its room until it is dropped.
    ///
    /// # Errors
    /// [`StoreError::NearlyFull`] if the volume would keep less than its reserve;
    /// [`VaultError::UnknownVault`]; [`VaultError::QuotaBytes`], and [`VaultError::Waiting`] for too
    /// many parts of clips that are not complete.
    pub fn reserve(&self, place: Place, length: u64) -> Result<Arriving, VaultError> {
        let room = self.room(place.vault);
        let mut locked = lock(&room);
        let (parts, bytes) = self.taken(place.vault, &mut locked)?;
        if parts >= MAX_WAITING {
            return Err(VaultError::Waiting { most: MAX_WAITING });
        }
        self.check_quota(place.vault, bytes, length)?;
        let space = self.0.volume.take(length)?;
        locked.arriving += 1;
        locked.reserved += length;
        drop(locked);
        let reserved = Reserved { room, length };
        Ok(Arriving {
            staged: self.0.files.begin()?,
            clips: self.clone(),
            place,
            reserved,
            space,
        })
    }

    /// Completes a clip whose parts are stored; its commitments join the next batch. The same again is
    /// done already. A clip that is put aside may be completed without commitments: a batch in the log has
    /// them.
    ///
    /// # Errors
    /// [`VaultError::MissingPart`], also for one that is removed meanwhile;
    /// [`VaultError::NoCommitments`] for a clip that was never complete; those of [`Vaults::add_clip`].
    pub fn complete(
        &self,
        vault: VaultId,
        clip: ClipId,
        commitments: &[[u8; 32]],
    ) -> Result<(), VaultError> {
        // What is listed was hashed once, and never changes: who says it again costs no reading.
        let room = self.room(vault);
        let locked = lock(&room);
        if let Some(listed) = self.0.vaults.clip(vault, clip)? {
            return self.0.vaults.add_clip(vault, clip, listed, commitments);
        }
        drop(locked);
        let open = |part: Part| {
            let file = self.known(&Place { vault, clip, part })?;
            let file = file.ok_or(VaultError::MissingPart(part.name()))?;
            let found = file.metadata().map_err(failed)?;
            Ok::<_, VaultError>((part, file, found))
        };
        let parts = [
            open(Part::Header)?,
            open(Part::Body)?,
            open(Part::Metadata)?,
        ];
        let [header_size, body_size, meta_size] = parts.each_ref().map(|(.., found)| found.len());
        let digest = sha256(&parts[1].1, body_size).map_err(failed)?;
        let stored = Clip {
            header_size,
            body_size,
            meta_size,
            body_sha256: digest.ok_or(VaultError::MissingPart(Part::Body.name()))?,
        };
        let mut locked = lock(&room);
        // Hashing took its time: they are there still, and a clip that is listed has its parts.
        for (part, _, found) in parts {
            if !self.is_there(&Place { vault, clip, part }, &found)? {
                return Err(VaultError::MissingPart(part.name()));
            }
        }
        let (waits, stays) = (waiting_folder(vault, clip), folder(vault, clip));
        let is_aside = self.0.files.has_folder(&stays)?;
        if commitments.is_empty() && !is_aside {
            return Err(VaultError::NoCommitments);
        }
        // Durable before the row: without it, the folder shows that the clip was complete.
        self.0.files.move_folder(&waits, &stays)?;
        let vaults = &self.0.vaults;
        let added = match is_aside {
            true => vaults.add_clip_again(vault, clip, stored, commitments),
            false => vaults.add_clip(vault, clip, stored, commitments),
        };
        if added.is_err() && !is_aside {
            self.0.files.move_folder(&stays, &waits)?;
        }
        added?;
        if let Some(waiting) = &mut locked.waiting {
            waiting.retain(|(of, _), _| *of != clip);
        }
        Ok(())
    }

    /// Deletes a clip, complete or not.
    pub fn remove(&self, vault: VaultId, clip: ClipId) -> Result<(), VaultError> {
        let room = self.room(vault);
        let mut locked = lock(&room);
        // The row goes between: a clip that is listed has its parts, and after a crash a sweep deletes
        // those of one that is not.
        let waits = waiting_folder(vault, clip);
        self.0.files.move_folder(&folder(vault, clip), &waits)?;
        self.0.vaults.remove_clip(vault, clip)?;
        for part in Part::ALL {
            let place = Place { vault, clip, part };
            self.0.files.remove(&place.waiting())?;
            self.give_up(&place)?;
            if let Some(waiting) = &mut locked.waiting {
                waiting.remove(&(clip, part));
            }
        }
        Ok(())
    }

    /// Deletes parts of clips that were not completed within a day.
    pub fn sweep(&self) -> Result<(), VaultError> {
        self.sweep_uploads()?;
        for place in self.waiting_parts(WAITING)? {
            let (vault, clip) = (place.vault, place.clip);
            let room = self.room(vault);
            let mut locked = lock(&room);
            if self.0.vaults.clip(vault, clip)?.is_some() {
                // Its removal was interrupted, or `clips/` is an older one.
                let (waits, stays) = (waiting_folder(vault, clip), folder(vault, clip));
                self.0.files.move_folder(&waits, &stays)?;
            } else if !self.0.files.remove_older(&place.waiting(), INCOMPLETE)? {
                continue;
            }
            if let Some(waiting) = &mut locked.waiting {
                waiting.remove(&(clip, place.part));
            }
        }
        Ok(())
    }

    fn room(&self, vault: VaultId) -> Arc<Mutex<Room>> {
        lock(&self.0.rooms).entry(vault).or_default().clone()
    }

    /// Parts and bytes that arrive or wait.
    fn taken(&self, vault: VaultId, room: &mut Room) -> Result<(usize, u64), StoreError> {
        let waiting = match &room.waiting {
            Some(waiting) => waiting,
            None => room.waiting.insert(self.count_waiting(vault)?),
        };
        let bytes: u64 = waiting.values().sum();
        let (uploads, grow) = self.0.vaults.uploads_of(vault)?;
        let parts = waiting.len() + room.arriving + uploads as usize;
        Ok((parts, bytes + room.reserved + grow))
    }

    /// Refuses `wanted` bytes if the quota does not leave them beside `taken`.
    fn check_quota(&self, vault: VaultId, taken: u64, wanted: u64) -> Result<(), VaultError> {
        let vault = self.0.vaults.vault(vault)?;
        let vault = vault.ok_or(VaultError::UnknownVault)?;
        let taken = taken.saturating_add(vault.used_bytes);
        let left = vault.quota_bytes.saturating_sub(taken);
        match wanted <= left {
            true => Ok(()),
            false => Err(VaultError::QuotaBytes { wanted, left }),
        }
    }

    /// The stored parts of a vault's clips that are not complete.
    fn count_waiting(&self, vault: VaultId) -> Result<Waiting, StoreError> {
        let mut waiting = Waiting::new();
        for place in self.waiting_parts(&format!("{WAITING}/{vault}"))? {
            if let Some(bytes) = self.bytes(&place)? {
                waiting.insert((place.clip, place.part), bytes);
            }
        }
        Ok(waiting)
    }

    /// The parts beneath a folder that is [`WAITING`], or in it.
    fn waiting_parts(&self, folder: &str) -> Result<Vec<Place>, StoreError> {
        let paths = self.0.files.list(folder)?;
        let parse = |path: &String| Place::parse(path.strip_prefix(WAITING)?.strip_prefix('/')?);
        Ok(paths.iter().filter_map(parse).collect())
    }

    /// The path at which a part is stored now: with its clip, if that was ever complete.
    fn path(&self, place: &Place) -> Result<String, StoreError> {
        let was_complete = self.0.files.has_folder(&folder(place.vault, place.clip))?;
        Ok(match was_complete {
            true => place.to_string(),
            false => place.waiting(),
        })
    }

    /// Counts a part that was stored; its clip may be completed or removed by now.
    ///
    /// # Errors
    /// [`VaultError::UploadBusy`] if it was completed: the part there stays, and may be another.
    fn count_stored(&self, room: &mut Room, place: &Place) -> Result<(), VaultError> {
        let Some(file) = self.0.files.file(&place.waiting())? else {
            return Ok(());
        };
        let (vault, clip) = (place.vault, place.clip);
        if self.0.files.has_folder(&folder(vault, clip))? {
            let (waits, stays) = (waiting_folder(vault, clip), folder(vault, clip));
            self.0.files.move_folder(&waits, &stays)?;
            return Err(VaultError::UploadBusy);
        }
        if let Some(waiting) = &mut room.waiting {
            let bytes = file.metadata().map_err(failed)?.len();
            waiting.insert((clip, place.part), bytes);
        }
        Ok(())
    }

    /// How many bytes a part has, if it is there.
    fn bytes(&self, place: &Place) -> Result<Option<u64>, StoreError> {
        let file = self.file(place)?;
        let length = |file: File| file.metadata().map(|found| found.len());
        file.map(length).transpose().map_err(failed)
    }

    /// Whether the part is that very file.
    fn is_there(&self, place: &Place, found: &Metadata) -> Result<bool, StoreError> {
        let Some(file) = self.file(place)? else {
            return Ok(false);
        };
        let now = file.metadata().map_err(failed)?;
        Ok((now.dev(), now.ino()) == (found.dev(), found.ino()))
    }
}

/// A part that is being received. Dropped, it leaves nothing and frees its room, in this order.
pub struct Arriving {
    staged: Box<dyn Staged>,
    clips: Clips,
    place: Place,
    reserved: Reserved,
    space: TakenSpace,
}

impl Arriving {
    /// Stores what was written, durably.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if other bytes are there; [`VaultError::QuotaBytes`] if its room is
    /// gone; [`VaultError::UploadBusy`] if its clip was completed meanwhile.
    pub fn commit(self) -> Result<(), VaultError> {
        let Self {
            staged,
            clips,
            place,
            reserved,
            space: _space,
        } = self;
        let mut locked = lock(&reserved.room);
        let (_, taken) = clips.taken(place.vault, &mut locked)?;
        clips.check_quota(place.vault, taken, 0)?;
        drop(locked);
        // The disk is not waited for with the room locked; the bytes are still reserved.
        staged.commit(&clips.path(&place)?)?;
        clips.count_stored(&mut lock(&reserved.room), &place)
    }
}

impl Write for Arriving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.staged.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.staged.flush()
    }
}

/// Room that is kept for a part.
struct Reserved {
    room: Arc<Mutex<Room>>,
    length: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut room = lock(&self.room);
        room.arriving -= 1;
        room.reserved -= self.length;
    }
}

/// SHA-256 of a file's first `length` bytes; `None` if it has fewer.
pub fn sha256(file: &File, length: u64) -> io::Result<Option<Digest>> {
    let mut hasher = Sha256::new();
    let mut file = file.take(length);
    let (mut buffer, mut read) = (vec![0; 1 << 16], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&buffer[..n]);
                read += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((read == length).then(|| Digest::from_bytes(hasher.finalize().into())))
}

/// Counts are changed whole: a panic elsewhere leaves them sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Its path would tell whose clip it is.
fn failed(error: io::Error) -> StoreError {
    at("clips".as_ref())(error)
}
