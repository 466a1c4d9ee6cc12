//! The clips of a vault, by id, sizes and digest.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::enrolment::vault;
use super::{ClipId, VaultError, VaultId, Vaults, batches};
use crate::digest::Digest;
use crate::seal::commitment::UPLOAD_SLOTS;
use crate::store::StoreError;
use crate::store::sqlite::{integer, number};

const ADD_CLIP: &str =
    "INSERT INTO clips (vault, id, header_size, body_size, meta_size, body_sha256)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const CLIP: &str = "SELECT id, header_size, body_size, meta_size, body_sha256 FROM clips
    WHERE vault = ?1 AND id = ?2";
const CLIPS: &str = "SELECT id, header_size, body_size, meta_size, body_sha256 FROM clips
    WHERE vault = ?1 ORDER BY id";
const ANY_CLIP: &str = "SELECT EXISTS (SELECT 1 FROM clips)";
const REMOVE_CLIP: &str = "DELETE FROM clips WHERE vault = ?1 AND id = ?2";

/// Clips beyond the quota that a vault may add between two batches: others are removed meanwhile.
const SPARE_CLIPS: u64 = 64;

/// A clip as the server sees it: ciphertext of these sizes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clip {
    pub header_size: u64,
    /// With the padding that is stored after it.
    pub body_size: u64,
    /// With its padding.
    pub meta_size: u64,
    /// SHA-256 of the body as stored, padding included.
    pub body_sha256: Digest,
}

impl Clip {
    /// What counts against the quota.
    pub fn stored_bytes(&self) -> u64 {
        self.header_size
            .saturating_add(self.body_size)
            .saturating_add(self.meta_size)
    }
}

impl Vaults {
    /// Whether any vault lists a clip.
    pub fn has_clips(&self) -> Result<bool, StoreError> {
        self.read(|db| db.prepare_cached(ANY_CLIP)?.query_row((), |row| row.get(0)))
    }

    /// Adds a clip whose objects are stored, and queues its commitments, in one transaction.
    ///
    /// The same clip again is done already; commitments that are new with it are queued then too,
    /// and known ones never twice.
    ///
    /// # Errors
    /// [`VaultError::UnknownVault`]; [`VaultError::ClipConflict`] for another clip under the same
    /// id; [`VaultError::QuotaBytes`], [`VaultError::QuotaClips`], and [`VaultError::QuotaCommitments`]:
    /// one vault alone does not fill a batch.
    pub fn add_clip(
        &self,
        vault_id: VaultId,
        clip_id: ClipId,
        clip: Clip,
        commitments: &[[u8; 32]],
    ) -> Result<(), VaultError> {
        self.add(vault_id, clip_id, clip, commitments, false)
    }

    /// As [`Vaults::add_clip`], for a clip that was complete before this file was restored from a backup: its
    /// commitments are held while a list is lost that may have them.
    ///
    /// # Errors
    /// Those of [`Vaults::add_clip`].
    pub fn add_clip_again(
        &self,
        vault_id: VaultId,
        clip_id: ClipId,
        clip: Clip,
        commitments: &[[u8; 32]],
    ) -> Result<(), VaultError> {
        self.add(vault_id, clip_id, clip, commitments, true)
    }

    fn add(
        &self,
        vault_id: VaultId,
        clip_id: ClipId,
        clip: Clip,
        commitments: &[[u8; 32]],
        again: bool,
    ) -> Result<(), VaultError> {
        let mut queued = self.queued();
        let before = queued.get(&vault_id).copied().unwrap_or(0);
        let more = self.write(|tx| {
            let vault = vault(tx, vault_id)?;
            match find(tx, vault_id, clip_id)? {
                Some(found) if found == clip => {}
                Some(_) => return Err(VaultError::ClipConflict),
                None => {
                    vault.check_room(&clip)?;
                    tx.prepare_cached(ADD_CLIP)?.execute((
                        vault_id.as_bytes(),
                        clip_id.as_bytes(),
                        integer(clip.header_size),
                        integer(clip.body_size),
                        integer(clip.meta_size),
                        clip.body_sha256.as_bytes(),
                    ))?;
                }
            }
            let more = batches::queue(tx, commitments)?;
            if again {
                batches::hold(tx, commitments)?;
            }
            let quota = vault.quota_clips.saturating_add(SPARE_CLIPS) * UPLOAD_SLOTS as u64;
            match before + more <= quota {
                true => Ok(more),
                false => Err(VaultError::QuotaCommitments { quota }),
            }
        })?;
        queued.insert(vault_id, before + more);
        Ok(())
    }

    /// A clip of a vault.
    pub fn clip(&self, vault_id: VaultId, clip_id: ClipId) -> Result<Option<Clip>, StoreError> {
        self.read(|db| find(db, vault_id, clip_id))
    }

    /// The clips of a vault, by ascending id.
    pub fn clips(&self, vault_id: VaultId) -> Result<Vec<(ClipId, Clip)>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(CLIPS)?;
            let clips = statement.query_map((vault_id.as_bytes(),), clip)?;
            clips.collect()
        })
    }

    /// Forgets a clip; false if there was none. Its commitments stay: they are, or will be, public.
    pub fn remove_clip(&self, vault_id: VaultId, clip_id: ClipId) -> Result<bool, VaultError> {
        self.write(|tx| {
            let mut statement = tx.prepare_cached(REMOVE_CLIP)?;
            Ok(statement.execute((vault_id.as_bytes(), clip_id.as_bytes()))? == 1)
        })
    }
}

pub(super) fn find(
    db: &Connection,
    vault_id: VaultId,
    clip_id: ClipId,
) -> rusqlite::Result<Option<Clip>> {
    let mut statement = db.prepare_cached(CLIP)?;
    let found = statement.query_row((vault_id.as_bytes(), clip_id.as_bytes()), clip);
    Ok(found.optional()?.map(|(_, clip)| clip))
}

fn clip(row: &Row<'_>) -> rusqlite::Result<(ClipId, Clip)> {
    let clip = Clip {
        header_size: number(row.get(1)?),
        body_size: number(row.get(2)?),
        meta_size: number(row.get(3)?),
        body_sha256: Digest::from_bytes(row.get(4)?),
    };
    Ok((ClipId::from_bytes(row.get(0)?), clip))
}
