//! Cosignatures: a witness saw this checkpoint at this time, as an extension of all before it
//! ([tlog-cosignature](https://c2sp.org/tlog-cosignature)).
//!
//! Two kinds. Ed25519 signs the text of a checkpoint. ML-DSA-44 signs a statement about a range of a
//! log's entries, of which a checkpoint is the range from the first on; it may leave the time out,
//! and then says nothing about freshness. Such statements do not cover extension lines, which a
//! [`Checkpoint`] never has.

use ed25519_dalek::{Signer as _, SigningKey};

use super::checkpoint::{Checkpoint, Origin};
use super::hash::Hash;
use super::mldsa::MlDsaSecretKey;
use super::note::{KeyName, NoteError, NoteKey, NoteSignature, VerifierKey};
use crate::encoding;
use crate::statement::key::PublicKey;
use crate::time::Time;

/// A range of a log's entries and the root over them: what ML-DSA-44 cosignatures are about.
///
/// Whether a tree can have such a subtree is the caller's to check; the signature does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subtree<'a> {
    pub origin: &'a Origin,
    /// The index of the first entry.
    pub start: u64,
    /// The index after the last entry.
    pub end: u64,
    pub hash: Hash,
}

impl<'a> From<&'a Checkpoint> for Subtree<'a> {
    fn from(checkpoint: &'a Checkpoint) -> Self {
        Self {
            origin: &checkpoint.origin,
            start: 0,
            end: checkpoint.size.as_u64(),
            hash: checkpoint.root,
        }
    }
}

/// A witness's key, of one kind or the other.
pub struct Cosigner {
    name: KeyName,
    key: CosignerKey,
}

enum CosignerKey {
    Ed25519(SigningKey),
    MlDsa44(MlDsaSecretKey),
}

impl Cosigner {
    /// The Ed25519 cosigner of this name. A key serves one name: the signature does not commit to
    /// it.
    pub fn new(name: KeyName, key: SigningKey) -> Self {
        let key = CosignerKey::Ed25519(key);
        Self { name, key }
    }

    /// The ML-DSA-44 cosigner of this name.
    pub fn ml_dsa_44(name: KeyName, key: MlDsaSecretKey) -> Self {
        let key = CosignerKey::MlDsa44(key);
        Self { name, key }
    }

    /// What verifies its cosignatures.
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey {
            name: self.name.clone(),
            key: match &self.key {
                CosignerKey::Ed25519(key) => NoteKey::Ed25519Cosignature(PublicKey::from(key)),
                CosignerKey::MlDsa44(key) => NoteKey::MlDsa44Cosignature(key.public_key()),
            },
        }
    }

    /// Cosigns a checkpoint, seen at `time` (later than 1970).
    pub fn cosign(&self, checkpoint: &Checkpoint, time: Time) -> NoteSignature {
        let seconds = u64::try_from(time.unix()).expect("later than 1970");
        self.cosign_at(checkpoint, seconds)
    }

    /// Cosigns a checkpoint, with any number of seconds as its time.
    pub(crate) fn cosign_at(&self, checkpoint: &Checkpoint, seconds: u64) -> NoteSignature {
        match &self.key {
            CosignerKey::Ed25519(key) => {
                let signature = key.sign(text_message(checkpoint, seconds).as_bytes());
                self.line(seconds, &signature.to_bytes())
            }
            CosignerKey::MlDsa44(key) => {
                let message = subtree_message(&self.name, seconds, &checkpoint.into());
                self.line(seconds, &key.sign(&message))
            }
        }
    }

    /// Cosigns a subtree (or a whole tree) without a time, and so without a word on freshness;
    /// `None` from an Ed25519 key, which cannot.
    pub fn sign_subtree(&self, subtree: &Subtree<'_>) -> Option<NoteSignature> {
        match &self.key {
            CosignerKey::Ed25519(_) => None,
            CosignerKey::MlDsa44(key) => {
                let message = subtree_message(&self.name, 0, subtree);
                Some(self.line(0, &key.sign(&message)))
            }
        }
    }

    /// The spec's `timestamped_signature`.
    fn line(&self, seconds: u64, signature: &[u8]) -> NoteSignature {
        let verifier = self.verifier();
        NoteSignature {
            key_id: verifier.id(),
            name: verifier.name,
            signature: [&seconds.to_be_bytes()[..], signature].concat(),
        }
    }
}

/// What Ed25519 signs.
fn text_message(checkpoint: &Checkpoint, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{}", checkpoint.body())
}

/// What ML-DSA-44 signs: the spec's `cosigned_message`.
fn subtree_message(cosigner: &KeyName, seconds: u64, subtree: &Subtree<'_>) -> Vec<u8> {
    let mut message = b"subtree/v1\n\0".to_vec();
    push_name(&mut message, cosigner.as_str());
    message.extend(seconds.to_be_bytes());
    push_name(&mut message, subtree.origin.as_str());
    message.extend(subtree.start.to_be_bytes());
    message.extend(subtree.end.to_be_bytes());
    message.extend(subtree.hash.as_bytes());
    message
}

fn push_name(message: &mut Vec<u8>, name: &str) {
    message.push(u8::try_from(name.len()).expect("a key name has at most 255 bytes"));
    message.extend(name.as_bytes());
}

/// Verifies a cosignature of either kind over a checkpoint; the time at which it was made.
///
/// # Errors
/// [`NoteError::BadSignature`], or [`NoteError::NoTime`] for a valid signature that claims no time,
/// or one outside the years 0001 to 9998.
pub fn verify(
    key: &VerifierKey,
    checkpoint: &Checkpoint,
    signature: &NoteSignature,
) -> Result<Time, NoteError> {
    let time = match &key.key {
        NoteKey::Ed25519(_) => return Err(bad(key)),
        NoteKey::Ed25519Cosignature(public) => {
            verify_text(public, checkpoint, signature).ok_or_else(|| bad(key))?
        }
        NoteKey::MlDsa44Cosignature(_) => verify_subtree(key, &checkpoint.into(), signature)?,
    };
    time.ok_or_else(|| NoteError::NoTime(key.name.clone()))
}

/// The time of a valid signature, if it claims one that can be written; `None` for an invalid one.
fn verify_text(
    key: &PublicKey,
    checkpoint: &Checkpoint,
    line: &NoteSignature,
) -> Option<Option<Time>> {
    let (seconds, signature) = split(line)?;
    let signature = encoding::exact(signature).ok()?;
    let message = text_message(checkpoint, seconds);
    let holds = key.verifies(message.as_bytes(), &signature);
    holds.then(|| claimed_time(seconds))
}

/// Verifies an ML-DSA-44 cosignature over a subtree; the time at which it was made, if it claims one
/// that can be written. Only subtrees that begin with the first entry may claim a time.
///
/// # Errors
/// [`NoteError::BadSignature`], from keys of other kinds too.
pub fn verify_subtree(
    key: &VerifierKey,
    subtree: &Subtree<'_>,
    signature: &NoteSignature,
) -> Result<Option<Time>, NoteError> {
    let checked = || {
        let NoteKey::MlDsa44Cosignature(public) = &key.key else {
            return None;
        };
        let (seconds, signature) = split(signature)?;
        let message = subtree_message(&key.name, seconds, subtree);
        let holds = (subtree.start == 0 || seconds == 0) && public.verifies(&message, signature);
        holds.then(|| claimed_time(seconds))
    };
    checked().ok_or_else(|| bad(key))
}

fn split(line: &NoteSignature) -> Option<(u64, &[u8])> {
    let (seconds, signature) = line.signature.split_first_chunk()?;
    Some((u64::from_be_bytes(*seconds), signature))
}

/// The time that a signature claims in seconds since 1970: `None` for 0, which claims none, and for
/// what lies outside the years 0001 to 9998.
fn claimed_time(seconds: u64) -> Option<Time> {
    let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds != 0);
    seconds.and_then(Time::from_unix)
}

fn bad(key: &VerifierKey) -> NoteError {
    NoteError::BadSignature(key.name.clone())
}

#[cfg(test)]
mod tests;
