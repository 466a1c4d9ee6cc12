//! What the operator knows of residents' vaults, in a SQLite file of its own.
//!
//! A vault is a random id, a public key that signs its owner's calls, whom notices to its owner are
//! sealed for, a quota, and clips by padded size: no names, no addresses, no times of upload. The clips themselves are
//! [`Objects`](super::objects::Objects). Beside them lie the commitments on their way into the log
//! ([`Vaults::seal_batch`]) and what residents have shown and handed over
//! ([`Vaults::record_disclosure`], [`Vaults::hand_over`], [`Vaults::hand_over_note`]). Which calls are allowed, and whether an
//! opening fits its commitment, is for the callers to judge.

mod batches;
mod clips;
mod disclosures;
mod enrolment;
#[cfg(test)]
mod tests;
mod uploads;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::StoreError;
use super::sqlite::{Checkpoints, Database, Schema};
use crate::encoding;

pub use batches::PreparedBatch;
pub use clips::Clip;
pub use disclosures::{Disclosure, HandedOver, ShownClip};
pub use enrolment::Vault;
pub use uploads::{Upload, UploadKey};

/// Declares a newtype over 16 random bytes, written as 32 hexadecimal digits, never in `Debug`.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From its 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&encoding::hex(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

random_id! {
    /// The id of a vault, drawn by the server. It is in no log and in no log file.
    VaultId
}

random_id! {
    /// The id of a clip within its vault, drawn by the device.
    ClipId
}

/// Why a vault did not do as told. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("no such enrolment code")]
    UnknownCode,
    #[error("this enrolment code has expired")]
    CodeExpired,
    #[error("this enrolment code has been used")]
    CodeUsed,
    #[error("this enrolment code exists with other terms")]
    CodeConflict,
    #[error("this key has a vault already")]
    KeyEnrolled,
    #[error("another key has this vault")]
    VaultEnrolled,
    #[error("no such vault")]
    UnknownVault,
    #[error("this vault has another notice recipient, and keeps it")]
    RecipientConflict,
    #[error("no such clip in this vault")]
    UnknownClip,
    #[error("another clip is stored under this id")]
    ClipConflict,
    #[error("the clip takes {wanted} bytes, and the quota leaves {left}")]
    QuotaBytes { wanted: u64, left: u64 },
    #[error("the quota of {quota} clips is used up")]
    QuotaClips { quota: u64 },
    #[error("the quota allows {quota} commitments until the next batch")]
    QuotaCommitments { quota: u64 },
    #[error("{most} parts wait for their clips to be completed: complete some, or delete them")]
    Waiting { most: usize },
    #[error("no upload of this part is under way")]
    UnknownUpload,
    #[error("the upload has {length} bytes, and no other number")]
    UploadLength { length: u64 },
    #[error("the upload goes on at {arrived}")]
    UploadOffset { arrived: u64 },
    #[error("another call writes this part now")]
    UploadBusy,
    #[error("the server does not have its {0}: upload the parts of a clip before it is completed")]
    MissingPart(&'static str),
    #[error("the clip was never complete: name its commitments")]
    NoCommitments,
    #[error("another batch is prepared and not yet logged")]
    BatchPending,
    #[error("this batch is not the prepared one")]
    NoSuchBatch,
    #[error("no such disclosure, or it has no such clip")]
    UnknownDisclosure,
    #[error("this disclosure was recorded with other clips")]
    DisclosureConflict,
    #[error("another one was handed over")]
    HandedOverConflict,
    #[error("it was handed over, and has been deleted since")]
    HandedOverForgotten,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for VaultError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::from(error).into()
    }
}

pub(super) const SCHEMA: Schema = Schema {
    application_id: 0x7768_6f76, // "whov"
    migrations: &[
        include_str!("vaults/schema-1.sql"),
        include_str!("vaults/schema-2.sql"),
        include_str!("vaults/schema-3.sql"),
        include_str!("vaults/schema-4.sql"),
        include_str!("vaults/schema-5.sql"),
        include_str!("vaults/schema-6.sql"),
        include_str!("vaults/schema-7.sql"),
    ],
};

/// The vaults' database. Calls from several threads take turns.
#[derive(Debug)]
pub struct Vaults {
    connection: Mutex<Database>,
    /// Copies the write-ahead log into the file every minute, if [`Vaults::checkpoint_beside`] began it.
    checkpoints: Option<Checkpoints>,
    /// Commitments that each vault has queued since the last batch.
    queued: Mutex<HashMap<VaultId, u64>>,
    /// Whether the log of writes may hold headers that are forgotten.
    remains: AtomicBool,
}

impl Vaults {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] and [`StoreError::Newer`] for a file that is not to be touched.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            connection: Mutex::new(SCHEMA.open(path)?),
            checkpoints: None,
            queued: Mutex::default(),
            // Who wrote it before may have died, or been held up.
            remains: AtomicBool::new(true),
        })
    }

    /// As [`Vaults::open`], of a file that must be there: an empty one would list nothing of what the
    /// server has.
    ///
    /// # Errors
    /// [`StoreError::Missing`], and those of [`Vaults::open`].
    pub fn open_existing(path: &Path) -> Result<Self, StoreError> {
        match path.try_exists() {
            Ok(true) => Self::open(path),
            Ok(false) => Err(StoreError::Missing {
                path: path.to_owned(),
            }),
            Err(source) => Err(super::at(path)(source)),
        }
    }

    /// From now on copies the write-ahead log into the database file at `path` on a thread of its own.
    ///
    /// # Errors
    /// If the file cannot be opened again.
    pub fn checkpoint_beside(&mut self, path: &Path) -> Result<(), StoreError> {
        self.checkpoints = Some(Checkpoints::start(SCHEMA.open(path)?)?);
        Ok(())
    }

    /// A panic elsewhere rolled its transaction back: the connection is sound.
    fn connection(&self) -> MutexGuard<'_, Database> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn queued(&self) -> MutexGuard<'_, HashMap<VaultId, u64>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = self.connection();
        read(&connection).map_err(|error| StoreError::from(error).in_database(&connection))
    }

    /// Runs `write` in one durable transaction, which an error undoes.
    fn write<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let mut connection = self.connection();
        let transact = |connection: &mut Connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = write(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        let result = transact(&mut connection).map_err(|error| match error {
            VaultError::Store(error) => error.in_database(&connection).into(),
            error => error,
        })?;
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.committed(1);
        }
        Ok(result)
    }
}
