//! Checkpoints: a log's origin, size and root, as the text of a note
//! ([tlog-checkpoint](https://c2sp.org/tlog-checkpoint)).
//!
//! No extension lines: nobody could audit them, and other signatures would not cover them.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::cosignature;
use super::hash::Hash;
use super::note::{KeyName, LogSigner, Note, NoteError, NoteKey, NoteSignature, VerifierKey};
use super::tree::TreeSize;

/// A log's name for life: its prefix without scheme and last slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(KeyName);

/// Why a text is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint: {0}")]
pub struct CheckpointError(&'static str);

impl Origin {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name of the log's key.
    pub fn to_key_name(&self) -> KeyName {
        self.0.clone()
    }

    /// The host in it: what stands before the first slash or colon.
    pub fn host(&self) -> &str {
        self.as_str().split(['/', ':']).next().unwrap_or_default()
    }
}

impl From<KeyName> for Origin {
    fn from(name: KeyName) -> Self {
        Self(name)
    }
}

crate::encoding::serde_as_text!(Origin);

impl JsonSchema for Origin {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Origin".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[^+\\s]{0,254}[^+\\s/]$",
            "description": "A log's name for life, such as ledger.example/log."
        })
    }
}

impl FromStr for Origin {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        match text.parse() {
            Ok(name) if !text.ends_with('/') && !text.contains("://") => Ok(Self(name)),
            _ => Err(CheckpointError(
                "an origin is a prefix without scheme and last slash, such as ledger.example/log",
            )),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: Origin,
    pub size: TreeSize,
    pub root: Hash,
}

impl Checkpoint {
    /// Parses the text of a note.
    ///
    /// # Errors
    /// Anything but the three lines, in their one spelling.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text
            .strip_suffix('\n')
            .ok_or(CheckpointError("no line feed at the end"))?
            .split('\n');
        let mut line = |what| lines.next().ok_or(CheckpointError(what));
        let checkpoint = Self {
            origin: line("no origin")?.parse()?,
            size: line("no size")?
                .parse()
                .map_err(|_| CheckpointError("the size is a decimal number"))?,
            root: line("no root")?
                .parse()
                .map_err(|_| CheckpointError("the root is 32 bytes in standard base64"))?,
        };
        match lines.next() {
            None => Ok(checkpoint),
            Some(_) => Err(CheckpointError("extension lines are not accepted")),
        }
    }

    /// The text to sign.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// The checkpoint with the log's own signatures.
    pub fn sign(&self, signer: &LogSigner) -> Note {
        Note {
            text: self.body(),
            signatures: signer.sign_checkpoint(self),
        }
    }

    /// Whether any of `keys`, those of its log, signed this checkpoint, which is the text of `note`.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] if a line by one of the keys does not verify, whatever others do.
    pub fn is_signed<'k>(
        &self,
        note: &Note,
        keys: impl IntoIterator<Item = &'k VerifierKey>,
    ) -> Result<bool, NoteError> {
        let mut signed = false;
        for key in keys {
            for signature in note.signatures_by(key) {
                self.verify_by_log(key, signature)?;
                signed = true;
            }
        }
        Ok(signed)
    }

    /// Whether any of `keys`, those of one cosigner, cosigned this checkpoint, at whatever time or at
    /// none.
    ///
    /// # Errors
    /// As [`Checkpoint::is_signed`].
    pub fn is_cosigned<'k>(
        &self,
        note: &Note,
        keys: impl IntoIterator<Item = &'k VerifierKey>,
    ) -> Result<bool, NoteError> {
        let mut cosigned = false;
        for key in keys {
            for line in note.signatures_by(key) {
                match cosignature::verify(key, self, line) {
                    Ok(_) | Err(NoteError::NoTime(_)) => cosigned = true,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(cosigned)
    }

    /// A log's own signature: over the text, or over the whole tree, with or without a time.
    fn verify_by_log(&self, key: &VerifierKey, line: &NoteSignature) -> Result<(), NoteError> {
        match key.key {
            NoteKey::MlDsa44Cosignature(_) => {
                cosignature::verify_subtree(key, &self.into(), line).map(drop)
            }
            _ => key.verify(&self.body(), line),
        }
    }
}
