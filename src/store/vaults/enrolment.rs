//! Enrolment codes, and the vaults they open.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{Clip, VaultError, VaultId, Vaults};
use crate::digest::Digest;
use crate::seal::recipient::{Recipient, RecipientError};
use crate::store::StoreError;
use crate::store::sqlite::{integer, number};
use crate::time::Time;

const ADD_CODE: &str = "INSERT INTO codes (sha256, quota_bytes, quota_clips, expires)
    VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
const CODE: &str = "SELECT quota_bytes, quota_clips, expires, vault FROM codes WHERE sha256 = ?1";
const USE_CODE: &str = "UPDATE codes SET vault = ?2 WHERE sha256 = ?1";
const ADD_VAULT: &str =
    "INSERT INTO vaults (id, key, quota_bytes, quota_clips) VALUES (?1, ?2, ?3, ?4)";
const VAULT_BY_KEY: &str = "SELECT vaults.id, key, quota_bytes, quota_clips,
    coalesce(sum(header_size + body_size + meta_size), 0), count(clips.id), notice_recipient
    FROM vaults LEFT JOIN clips ON clips.vault = vaults.id WHERE key = ?1 GROUP BY vaults.id";
const KEYS: &str = "SELECT key FROM vaults ORDER BY id";
const ADD_RECIPIENT: &str =
    "UPDATE vaults SET notice_recipient = ?2 WHERE id = ?1 AND notice_recipient IS NULL";
const KEY_OF: &str = "SELECT key FROM vaults WHERE id = ?1";

/// A vault and how full it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    pub id: VaultId,
    /// Ed25519 public key that signs the owner's calls.
    pub key: [u8; 32],
    /// Bytes that may be stored: headers, bodies and metadata together.
    pub quota_bytes: u64,
    /// Clips that may be stored.
    pub quota_clips: u64,
    /// Bytes stored.
    pub used_bytes: u64,
    /// Clips stored.
    pub clips: u64,
    /// Whom notices to its owner are sealed for, once its device has told.
    pub notice_recipient: Option<Recipient>,
}

impl Vault {
    /// Refuses a clip that the quota has no room for.
    pub fn check_room(&self, clip: &Clip) -> Result<(), VaultError> {
        let quota = self.quota_clips;
        if self.clips >= quota {
            return Err(VaultError::QuotaClips { quota });
        }
        let wanted = clip.stored_bytes();
        let left = self.quota_bytes.saturating_sub(self.used_bytes);
        if wanted > left {
            return Err(VaultError::QuotaBytes { wanted, left });
        }
        Ok(())
    }
}

struct Code {
    quota_bytes: i64,
    quota_clips: i64,
    expires: i64,
    vault: Option<[u8; 16]>,
}

impl Vaults {
    /// Issues a code that opens one vault until `expires`. The same code again is done already.
    pub fn add_code(
        &self,
        code_sha256: Digest,
        quota_bytes: u64,
        quota_clips: u64,
        expires: Time,
    ) -> Result<(), VaultError> {
        let terms = (integer(quota_bytes), integer(quota_clips), expires.unix());
        self.write(|tx| {
            let sha256 = code_sha256.as_bytes();
            tx.prepare_cached(ADD_CODE)?
                .execute((sha256, terms.0, terms.1, terms.2))?;
            let code = code(tx, &code_sha256)?.ok_or(VaultError::UnknownCode)?;
            if (code.quota_bytes, code.quota_clips, code.expires) == terms {
                Ok(())
            } else {
                Err(VaultError::CodeConflict)
            }
        })
    }

    /// Opens a vault for `vault_key` under the id `vault_id`: a fresh random one, or the one that this key
    /// had before this file was restored from a backup. If this key has used this code already, the answer
    /// is the vault of then, expired code or not.
    ///
    /// # Errors
    /// [`VaultError::UnknownCode`], [`VaultError::CodeExpired`], [`VaultError::CodeUsed`] by
    /// another key, [`VaultError::KeyEnrolled`] by another code, [`VaultError::VaultEnrolled`] for an id
    /// that is there.
    pub fn enrol(
        &self,
        code_sha256: Digest,
        vault_key: [u8; 32],
        vault_id: VaultId,
        now: Time,
    ) -> Result<Vault, VaultError> {
        self.write(|tx| {
            let code = code(tx, &code_sha256)?.ok_or(VaultError::UnknownCode)?;
            let vault = vault_by_key(tx, &vault_key)?;
            match (code.vault, vault) {
                (Some(used), Some(vault)) if used == *vault.id.as_bytes() => return Ok(vault),
                (Some(_), _) => return Err(VaultError::CodeUsed),
                (None, Some(_)) => return Err(VaultError::KeyEnrolled),
                (None, None) if now.unix() >= code.expires => return Err(VaultError::CodeExpired),
                (None, None) => {}
            }
            let id = vault_id.as_bytes();
            let taken = tx.prepare_cached(KEY_OF)?.exists((id,))?;
            if taken {
                return Err(VaultError::VaultEnrolled);
            }
            tx.prepare_cached(ADD_VAULT)?.execute((
                id,
                vault_key,
                code.quota_bytes,
                code.quota_clips,
            ))?;
            tx.prepare_cached(USE_CODE)?
                .execute((code_sha256.as_bytes(), id))?;
            vault_by_key(tx, &vault_key)?.ok_or(VaultError::UnknownVault)
        })
    }

    /// Keeps whom notices to the owner of a vault are sealed for. It never changes: it follows from
    /// the owner's phrase, as the vault's key does. Whether it is new.
    ///
    /// # Errors
    /// [`VaultError::UnknownVault`], [`VaultError::RecipientConflict`].
    pub fn set_notice_recipient(
        &self,
        id: VaultId,
        recipient: &Recipient,
    ) -> Result<bool, VaultError> {
        self.write(|tx| {
            let known = vault(tx, id)?.notice_recipient;
            if known.is_some_and(|known| known != *recipient) {
                return Err(VaultError::RecipientConflict);
            }
            tx.prepare_cached(ADD_RECIPIENT)?
                .execute((id.as_bytes(), recipient.to_string()))?;
            Ok(known.is_none())
        })
    }

    /// All vaults, by id.
    pub fn vaults(&self) -> Result<Vec<Vault>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(KEYS)?;
            let keys = statement.query_map((), |row| row.get::<_, [u8; 32]>(0))?;
            let vaults = keys.map(|key| vault_by_key(db, &key?));
            vaults.filter_map(Result::transpose).collect()
        })
    }

    /// The vault with this id, if there is one.
    pub fn vault(&self, id: VaultId) -> Result<Option<Vault>, VaultError> {
        match vault(&self.connection(), id) {
            Err(VaultError::UnknownVault) => Ok(None),
            found => found.map(Some),
        }
    }

    /// The vault that an enrolment code opened, if it has been used.
    ///
    /// # Errors
    /// [`VaultError::UnknownCode`].
    pub fn vault_of_code(&self, code_sha256: &Digest) -> Result<Option<Vault>, VaultError> {
        let db = self.connection();
        let code = code(&db, code_sha256)?.ok_or(VaultError::UnknownCode)?;
        let opened = code.vault.map(VaultId::from_bytes);
        opened.map(|id| vault(&db, id)).transpose()
    }

    /// The vault whose owner's calls are signed by `key`.
    pub fn vault_by_key(&self, key: [u8; 32]) -> Result<Option<Vault>, StoreError> {
        self.read(|db| vault_by_key(db, &key))
    }
}

/// The vault with this id, and how full it is.
pub(super) fn vault(db: &Connection, id: VaultId) -> Result<Vault, VaultError> {
    let mut statement = db.prepare_cached(KEY_OF)?;
    let key = statement.query_row((id.as_bytes(),), |row| row.get(0));
    let key: [u8; 32] = key.optional()?.ok_or(VaultError::UnknownVault)?;
    vault_by_key(db, &key)?.ok_or(VaultError::UnknownVault)
}

fn vault_by_key(db: &Connection, key: &[u8; 32]) -> rusqlite::Result<Option<Vault>> {
    let mut statement = db.prepare_cached(VAULT_BY_KEY)?;
    let vault = |row: &Row<'_>| {
        Ok(Vault {
            id: VaultId::from_bytes(row.get(0)?),
            key: row.get(1)?,
            quota_bytes: number(row.get(2)?),
            quota_clips: number(row.get(3)?),
            used_bytes: number(row.get(4)?),
            clips: number(row.get(5)?),
            notice_recipient: recipient(row.get(6)?)?,
        })
    };
    statement.query_row((key,), vault).optional()
}

fn recipient(text: Option<String>) -> rusqlite::Result<Option<Recipient>> {
    let parsed = text.map(|text| text.parse()).transpose();
    parsed.map_err(|error: RecipientError| {
        rusqlite::Error::FromSqlConversionFailure(6, Type::Text, Box::new(error))
    })
}

fn code(db: &Connection, sha256: &Digest) -> rusqlite::Result<Option<Code>> {
    let mut statement = db.prepare_cached(CODE)?;
    let code = |row: &Row<'_>| {
        Ok(Code {
            quota_bytes: row.get(0)?,
            quota_clips: row.get(1)?,
            expires: row.get(2)?,
            vault: row.get(3)?,
        })
    };
    statement.query_row((sha256.as_bytes(),), code).optional()
}
