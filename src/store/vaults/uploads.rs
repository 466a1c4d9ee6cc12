//! Parts of clips that arrive in pieces: how long they will be, and how far they are.

use rusqlite::{OptionalExtension as _, Row};

use super::enrolment::vault;
use super::{ClipId, VaultError, VaultId, Vaults};
use crate::store::StoreError;
use crate::store::sqlite::{integer, number};

const BEGIN: &str =
    "INSERT INTO uploads (vault, clip, part, length, arrived) VALUES (?1, ?2, ?3, ?4, 0)";
const UPLOAD: &str =
    "SELECT length, arrived FROM uploads WHERE vault = ?1 AND clip = ?2 AND part = ?3";
const ADVANCE: &str = "UPDATE uploads SET arrived = ?5
    WHERE vault = ?1 AND clip = ?2 AND part = ?3 AND arrived = ?4";
const END: &str = "DELETE FROM uploads WHERE vault = ?1 AND clip = ?2 AND part = ?3";
const TAKEN: &str = "SELECT count(*), coalesce(sum(length), 0) FROM uploads WHERE vault = ?1";
const ALL: &str = "SELECT vault, clip, part FROM uploads";

/// An upload, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    pub length: u64,
    /// What is durable, from the beginning on.
    pub arrived: u64,
}

/// Which upload: a vault, a clip, and the part's number in the database.
pub type UploadKey = (VaultId, ClipId, u8);

impl Vaults {
    /// Notes that a part of this length, at least 1, will arrive in pieces.
    ///
    /// # Errors
    /// [`VaultError::UnknownVault`]; [`VaultError::UploadLength`] if one of another length has begun. The same again
    /// is done already.
    pub fn begin_upload(
        &self,
        (of, clip, part): UploadKey,
        length: u64,
    ) -> Result<Upload, VaultError> {
        self.write(|tx| {
            vault(tx, of)?;
            let key = (of.as_bytes(), clip.as_bytes(), part);
            let mut known = tx.prepare_cached(UPLOAD)?;
            match known.query_row(key, upload).optional()? {
                Some(known) if known.length == length => return Ok(known),
                Some(known) => {
                    return Err(VaultError::UploadLength {
                        length: known.length,
                    });
                }
                None => {}
            }
            let (vault, clip, part) = key;
            tx.prepare_cached(BEGIN)?
                .execute((vault, clip, part, integer(length)))?;
            Ok(Upload { length, arrived: 0 })
        })
    }

    /// How far an upload is; `None` if there is none.
    pub fn upload(&self, (of, clip, part): UploadKey) -> Result<Option<Upload>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(UPLOAD)?;
            let key = (of.as_bytes(), clip.as_bytes(), part);
            statement.query_row(key, upload).optional()
        })
    }

    /// Moves the end of what is durable from `from` to `to`.
    ///
    /// # Errors
    /// [`VaultError::UnknownUpload`] if there is none that is as far.
    pub fn advance_upload(&self, key: UploadKey, from: u64, to: u64) -> Result<(), VaultError> {
        let (of, clip, part) = key;
        self.write(|tx| {
            let (of, clip, from, to) = (of.as_bytes(), clip.as_bytes(), integer(from), integer(to));
            let changed = tx
                .prepare_cached(ADVANCE)?
                .execute((of, clip, part, from, to))?;
            if changed == 1 {
                Ok(())
            } else {
                Err(VaultError::UnknownUpload)
            }
        })
    }

    /// Forgets an upload, which is whole or given up.
    pub fn end_upload(&self, (of, clip, part): UploadKey) -> Result<(), VaultError> {
        self.write(|tx| {
            let key = (of.as_bytes(), clip.as_bytes(), part);
            tx.prepare_cached(END)?.execute(key)?;
            Ok(())
        })
    }

    /// How many uploads of a vault are under way, and the bytes that they will have.
    pub fn uploads_of(&self, vault: VaultId) -> Result<(u64, u64), StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(TAKEN)?;
            statement.query_row((vault.as_bytes(),), |row| {
                Ok((number(row.get(0)?), number(row.get(1)?)))
            })
        })
    }

    /// All uploads under way.
    pub fn uploads(&self) -> Result<Vec<UploadKey>, StoreError> {
        self.read(|db| {
            let key = |row: &Row<'_>| {
                let (vault, clip) = (row.get(0)?, row.get(1)?);
                Ok((
                    VaultId::from_bytes(vault),
                    ClipId::from_bytes(clip),
                    row.get(2)?,
                ))
            };
            db.prepare_cached(ALL)?.query_map((), key)?.collect()
        })
    }
}

fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    Ok(Upload {
        length: number(row.get(0)?),
        arrived: number(row.get(1)?),
    })
}
