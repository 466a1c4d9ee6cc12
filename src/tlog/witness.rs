//! What a witness is asked and what it answers ([tlog-witness](https://c2sp.org/tlog-witness)),
//! without storage or HTTP: those keep what [`judge`] is told and send what it says.
//!
//! A checkpoint with extension lines is malformed here: an ML-DSA-44 cosignature does not cover them,
//! and a witness must not seem to say one thing with one key and more with the other.

use std::fmt;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::hash::{EMPTY_ROOT, Hash};
use super::note::{Note, NoteError, VerifierKey};
use super::tree::{TreeSize, verify_consistency};

/// The largest request that a witness reads, in bytes: 63 hashes, and a note with sixteen ML-DSA-44
/// lines of about 3.3 kB, with room to spare.
pub const MAX_REQUEST: usize = 64 << 10;
/// No consistency proof is longer.
const MAX_HASHES: usize = 63;
/// The content type of a conflict's body.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// `POST <prefix>/add-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the witness cosigned last, as the log believes.
    pub old: TreeSize,
    /// From `old` to the checkpoint's size.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub note: Vec<u8>,
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessRefusal {
    #[error("malformed: {0}")]
    Malformed(&'static str),
    #[error("malformed: {0}")]
    Note(#[from] NoteError),
    #[error("malformed: {0}")]
    Checkpoint(#[from] CheckpointError),
    #[error("the log {0} is not known here")]
    UnknownLog(String),
    #[error("no valid signature by the log's key")]
    NoSignature,
    #[error("the last size cosigned is {0}")]
    Conflict(TreeSize),
    #[error("the checkpoint does not extend the one cosigned last")]
    Inconsistent,
    #[error("no valid cosignature by this witness")]
    NotCosigned,
    #[error("the checkpoint's tree has no such subtree by this proof")]
    NoSubtree,
}

impl WitnessRefusal {
    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Note(_) | Self::Checkpoint(_) => 400,
            Self::UnknownLog(_) => 404,
            Self::NoSignature | Self::NotCosigned => 403,
            Self::Conflict(_) => 409,
            Self::Inconsistent | Self::NoSubtree => 422,
        }
    }
}

/// What is asked, and the signed note after the empty line.
pub(super) fn head_and_note(body: &[u8]) -> Result<(&str, &str), WitnessRefusal> {
    let fault = WitnessRefusal::Malformed;
    if body.len() > MAX_REQUEST {
        return Err(fault("larger than 64 KiB"));
    }
    let text = std::str::from_utf8(body).map_err(|_| fault("not UTF-8"))?;
    text.split_once("\n\n").ok_or(fault("no empty line"))
}

impl AddCheckpoint {
    /// Parses a request's body.
    ///
    /// # Errors
    /// [`WitnessRefusal::Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, WitnessRefusal> {
        let fault = WitnessRefusal::Malformed;
        let (head, note) = head_and_note(body)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(|size| size.parse().ok());
        let old = old.ok_or(fault("the first line is `old <size>`"))?;
        Ok(Self {
            old,
            proof: parse_hashes(lines)?,
            note: note.as_bytes().to_vec(),
        })
    }
}

/// The request's body.
impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", String::from_utf8_lossy(&self.note))
    }
}

/// The hashes of a request's remaining lines.
pub(super) fn parse_hashes<'a>(
    lines: impl Iterator<Item = &'a str>,
) -> Result<Vec<Hash>, WitnessRefusal> {
    let fault = WitnessRefusal::Malformed;
    let hashes: Result<Vec<Hash>, _> = lines.take(MAX_HASHES + 1).map(str::parse).collect();
    let hashes = hashes.map_err(|_| fault("hashes are 32 bytes in base64"))?;
    if hashes.len() > MAX_HASHES {
        return Err(fault("more than 63 hashes"));
    }
    Ok(hashes)
}

/// The checkpoint of a request, whoever signed it.
pub(super) fn checkpoint_of(note: &[u8]) -> Result<(Note, Checkpoint), WitnessRefusal> {
    let note = Note::parse(note)?;
    let checkpoint = Checkpoint::parse(&note.text)?;
    Ok((note, checkpoint))
}

/// The checkpoint of a request, once it is known to be signed by a log the witness knows; the note has
/// lost every line but those that were verified.
///
/// # Errors
/// [`WitnessRefusal::Note`], [`WitnessRefusal::UnknownLog`], [`WitnessRefusal::Checkpoint`],
/// [`WitnessRefusal::NoSignature`].
pub fn authenticate(
    request: &AddCheckpoint,
    logs: &[VerifierKey],
) -> Result<(Note, Checkpoint), WitnessRefusal> {
    let mut note = Note::parse(&request.note)?;
    // Before all else: what other logs put into their checkpoints is no concern of this witness.
    let origin = note.text.split('\n').next().unwrap_or_default();
    let keys = logs.iter().filter(|log| log.name.as_str() == origin);
    let keys: Vec<&VerifierKey> = keys.collect();
    let Some(name) = keys.first().map(|key| &key.name) else {
        let origin = origin.chars().take(255).collect();
        return Err(WitnessRefusal::UnknownLog(origin));
    };
    let checkpoint = Checkpoint::parse(&note.text)?;
    if !matches!(checkpoint.is_signed(&note, keys.iter().copied()), Ok(true)) {
        return Err(WitnessRefusal::NoSignature);
    }
    // What others put there may be anything, even a false line by this witness.
    let ids: Vec<[u8; 4]> = keys.iter().map(|key| key.id()).collect();
    note.signatures
        .retain(|line| line.name == *name && ids.contains(&line.key_id));
    Ok((note, checkpoint))
}

/// Whether the witness may cosign `checkpoint`, where `last` is the one it cosigned last. In the order
/// of the specification.
///
/// # Errors
/// [`WitnessRefusal::Malformed`], [`WitnessRefusal::Conflict`], [`WitnessRefusal::Inconsistent`].
pub fn judge(
    request: &AddCheckpoint,
    checkpoint: &Checkpoint,
    last: Option<&Checkpoint>,
) -> Result<(), WitnessRefusal> {
    if request.old > checkpoint.size {
        return Err(WitnessRefusal::Malformed(
            "old is larger than the checkpoint",
        ));
    }
    let (last_size, last_root) = match last {
        Some(last) => (last.size, last.root),
        None => (TreeSize::new(0), EMPTY_ROOT),
    };
    // The specification's answer to equal sizes with other roots, too: the client then knows the size at
    // which the log has a second history, though no proof could show it.
    let other_root =
        last.is_some_and(|last| last.size == checkpoint.size && last.root != checkpoint.root);
    if request.old != last_size || other_root {
        return Err(WitnessRefusal::Conflict(last_size));
    }
    verify_consistency(
        last_size,
        &last_root,
        checkpoint.size,
        &checkpoint.root,
        &request.proof,
    )
    .map_err(|_| WitnessRefusal::Inconsistent)
}

#[cfg(test)]
mod tests;
