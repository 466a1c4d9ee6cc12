//! Parts that arrive in pieces, over several calls and restarts: one writer a part, and each piece whole or not at all.
//!
//! Room is taken for the whole part when its upload begins. The row in [`Vaults`](crate::store::vaults::Vaults) says
//! how many bytes count; it moves when a piece is durable. An upload that nobody has gone on with for a day is given up.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write};
use std::time::{Duration, SystemTime};

use super::{Clips, INCOMPLETE, MAX_WAITING, Part, Place, failed, lock};
use crate::store::space::TakenSpace;
use crate::store::vaults::{Upload, UploadKey, VaultError};

/// A piece of a part that is being received; nobody else writes the part meanwhile. Dropped, it leaves the upload as
/// it was.
pub struct Piece {
    clips: Clips,
    turn: Turn,
    file: File,
    upload: Upload,
    /// Room on the disk for the piece.
    _space: TakenSpace,
}

/// The turn to write a part; somebody else's when this is dropped.
struct Turn {
    clips: Clips,
    place: Place,
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.clips.0.writing).remove(&self.place);
    }
}

impl Clips {
    /// Begins an upload of `length` bytes, at least 1, or finds the one that has begun; how far it is.
    ///
    /// # Errors
    /// [`VaultError::UploadLength`] for another length; [`VaultError::UploadBusy`]; those of [`Clips::reserve`].
    pub fn begin_upload(&self, place: Place, length: u64) -> Result<Upload, VaultError> {
        let turn = self.turn(place)?;
        if let Some(upload) = self.find_upload(&turn)? {
            return match upload.length == length {
                true => Ok(upload),
                false => Err(VaultError::UploadLength {
                    length: upload.length,
                }),
            };
        }
        let room = self.room(place.vault);
        let mut locked = lock(&room);
        let (parts, bytes) = self.taken(place.vault, &mut locked)?;
        if parts >= MAX_WAITING {
            return Err(VaultError::Waiting { most: MAX_WAITING });
        }
        self.check_quota(place.vault, bytes, length)?;
        // Refused at once if it could not end; each piece takes its own room while it is written.
        drop(self.0.volume.take(length)?);
        // The file first: what has a row has a file.
        let file = self.0.files.grow(&name(&place))?;
        file.set_len(0).map_err(failed)?;
        self.0.vaults.begin_upload(key(&place), length)
    }

    /// How far an upload is, and in how long it is given up if nobody goes on with it; a part that is stored is as far
    /// as it can be. `None` if there is neither.
    pub fn upload(&self, place: &Place) -> Result<Option<(Upload, Duration)>, VaultError> {
        if let Some(length) = self.bytes(place)? {
            let arrived = length;
            return Ok(Some((Upload { length, arrived }, INCOMPLETE)));
        }
        let Some(upload) = self.0.vaults.upload(key(place))? else {
            return Ok(None);
        };
        let Some((_, found)) = self.0.files.grown(&name(place))? else {
            return Ok(None);
        };
        let age = found.modified().map_err(failed)?.elapsed();
        let left = INCOMPLETE.saturating_sub(age.unwrap_or_default());
        let arrived = if found.len() < upload.arrived {
            0
        } else {
            upload.arrived
        };
        Ok(Some((Upload { arrived, ..upload }, left)))
    }

    /// Goes on with an upload at `offset`, by a piece of at most `count` bytes.
    ///
    /// # Errors
    /// [`StoreError::NearlyFull`](crate::store::StoreError::NearlyFull) as [`Clips::reserve`];
    /// [`VaultError::UnknownUpload`]; [`VaultError::UploadOffset`] if it is not there;
    /// [`VaultError::UploadLength`] if it would become too long; [`VaultError::UploadBusy`] while another call writes it.
    pub fn resume(&self, place: Place, offset: u64, count: u64) -> Result<Piece, VaultError> {
        let turn = self.turn(place)?;
        let upload = self.find_upload(&turn)?.ok_or(VaultError::UnknownUpload)?;
        if upload.arrived != offset {
            return Err(VaultError::UploadOffset {
                arrived: upload.arrived,
            });
        }
        if count > upload.length - offset {
            return Err(VaultError::UploadLength {
                length: upload.length,
            });
        }
        let space = self.0.volume.take(count)?;
        // Nothing is missing of a part that is stored.
        let grown = self.0.files.grown(&name(&place))?;
        let (mut file, _) = grown.ok_or(VaultError::UnknownUpload)?;
        // A crash, or a piece that broke off, may have left more than counts.
        let cut = file.set_len(offset);
        cut.and_then(|()| file.seek(SeekFrom::Start(offset)))
            .map_err(failed)?;
        Ok(Piece {
            clips: self.clone(),
            turn,
            file,
            upload,
            _space: space,
        })
    }

    /// The upload of the part whose turn it is, finished if only that was missing, or begun again if its file is lost.
    fn find_upload(&self, turn: &Turn) -> Result<Option<Upload>, VaultError> {
        let place = &turn.place;
        if let Some(length) = self.bytes(place)? {
            self.known(place)?;
            self.give_up(place)?;
            let arrived = length;
            return Ok(Some(Upload { length, arrived }));
        }
        let Some(upload) = self.0.vaults.upload(key(place))? else {
            return Ok(None);
        };
        let file = self.0.files.grow(&name(place))?;
        let found = file.metadata().map_err(failed)?.len();
        if found < upload.arrived {
            self.0
                .vaults
                .advance_upload(key(place), upload.arrived, 0)?;
            return Ok(Some(Upload {
                arrived: 0,
                ..upload
            }));
        }
        if upload.arrived == upload.length {
            self.finish_upload(turn)?;
        }
        Ok(Some(upload))
    }

    /// Makes a part of an upload that has all its bytes.
    fn finish_upload(&self, turn: &Turn) -> Result<(), VaultError> {
        let place = &turn.place;
        self.0.files.finish(&name(place), &self.path(place)?)?;
        let room = self.room(place.vault);
        let mut locked = lock(&room);
        self.0.vaults.end_upload(key(place))?;
        self.count_stored(&mut locked, place)
    }

    /// Forgets the upload of a part, if there is one.
    pub(super) fn give_up(&self, place: &Place) -> Result<(), VaultError> {
        self.0.vaults.end_upload(key(place))?;
        Ok(self.0.files.forget_growing(&name(place))?)
    }

    /// Gives up uploads that nobody has gone on with for a day, and removes what a crash left of others.
    pub(super) fn sweep_uploads(&self) -> Result<(), VaultError> {
        let rows = self.0.vaults.uploads()?.into_iter().filter_map(place_of);
        let files = self.0.files.growing()?;
        let files = files.iter().filter_map(|name| parse(name));
        let places: HashSet<Place> = rows.chain(files).collect();
        for place in places {
            // Somebody writes it now, or waits for it to be durable.
            let Ok(_turn) = self.turn(place) else {
                continue;
            };
            let old = match self.0.files.grown(&name(&place))? {
                Some((_, found)) => {
                    let modified = found.modified().map_err(failed)?;
                    let age = SystemTime::now().duration_since(modified);
                    age.is_ok_and(|age| age > INCOMPLETE)
                }
                None => true,
            };
            if old {
                self.give_up(&place)?;
            }
        }
        Ok(())
    }

    fn turn(&self, place: Place) -> Result<Turn, VaultError> {
        match lock(&self.0.writing).insert(place) {
            true => Ok(Turn {
                clips: self.clone(),
                place,
            }),
            false => Err(VaultError::UploadBusy),
        }
    }
}

impl Piece {
    /// Keeps the bytes that were written, `count` of them, durably; how far the upload is then. A part that is whole
    /// is stored.
    ///
    /// # Errors
    /// [`VaultError::UnknownUpload`] if it was given up meanwhile.
    pub fn keep(self, count: u64) -> Result<Upload, VaultError> {
        self.file.sync_all().map_err(failed)?;
        let (clips, place) = (&self.clips, &self.turn.place);
        let arrived = self.upload.arrived + count;
        let upload = Upload {
            arrived,
            ..self.upload
        };
        clips
            .0
            .vaults
            .advance_upload(key(place), self.upload.arrived, arrived)?;
        if arrived == upload.length {
            clips.finish_upload(&self.turn)?;
        }
        Ok(upload)
    }
}

impl Write for Piece {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The name under which a part grows.
fn name(place: &Place) -> String {
    format!("{}.{}.{}", place.vault, place.clip, place.part.name())
}

/// The part that grows under this name.
fn parse(name: &str) -> Option<Place> {
    Place::parse(&name.replace('.', "/"))
}

fn key(place: &Place) -> UploadKey {
    (place.vault, place.clip, place.part as u8)
}

fn place_of((vault, clip, part): UploadKey) -> Option<Place> {
    let part = *Part::ALL.get(usize::from(part))?;
    Some(Place { vault, clip, part })
}
