//! What a witness is asked and what it answers ([tlog-witness](https://c2sp.org/tlog-witness)),
//! without storage or HTTP: those keep what [`judge`] is told and send what it says.

use std::fmt;

use super::checkpoint::Checkpoint;
use super::hash::{EMPTY_ROOT, Hash};
use super::note::{Note, VerifierKey};
use super::tree::{TreeSize, verify_consistency};

/// The largest request that a witness reads, in bytes.
pub const MAX_REQUEST: usize = 16 << 10;
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
    #[error("the log {0} is not known here")]
    UnknownLog(String),
    #[error("no valid signature by the log's key")]
    NoSignature,
    #[error("the last size cosigned is {0}")]
    Conflict(TreeSize),
    #[error("the checkpoint does not extend the one cosigned last")]
    Inconsistent,
}

impl WitnessRefusal {
    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::UnknownLog(_) => 404,
            Self::NoSignature => 403,
            Self::Conflict(_) => 409,
            Self::Inconsistent => 422,
        }
    }
}

impl AddCheckpoint {
    /// Parses a request's body.
    ///
    /// # Errors
    /// [`WitnessRefusal::Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, WitnessRefusal> {
        let fault = WitnessRefusal::Malformed;
        if body.len() > MAX_REQUEST {
            return Err(fault("larger than 16 KiB"));
        }
        let text = std::str::from_utf8(body).map_err(|_| fault("not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or(fault("no empty line"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(|size| size.parse().ok());
        let old = old.ok_or(fault("the first line is `old <size>`"))?;
        let proof: Result<Vec<Hash>, _> = lines.take(MAX_HASHES + 1).map(str::parse).collect();
        let proof = proof.map_err(|_| fault("hashes are 32 bytes in base64"))?;
        if proof.len() > MAX_HASHES {
            return Err(fault("more than 63 hashes"));
        }
        Ok(Self {
            old,
            proof,
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

/// The checkpoint of a request, once it is known to be signed by a log the witness knows.
///
/// # Errors
/// [`WitnessRefusal::Malformed`], [`WitnessRefusal::UnknownLog`], [`WitnessRefusal::NoSignature`].
pub fn authenticate(
    request: &AddCheckpoint,
    logs: &[VerifierKey],
) -> Result<(Note, Checkpoint), WitnessRefusal> {
    let fault = WitnessRefusal::Malformed;
    let note = Note::parse(&request.note).map_err(|_| fault("no signed note"))?;
    let origin = note.text.split('\n').next().unwrap_or_default();
    let keys: Vec<&VerifierKey> = logs
        .iter()
        .filter(|log| log.name.as_str() == origin)
        .collect();
    if keys.is_empty() {
        let origin = origin.chars().take(255).collect();
        return Err(WitnessRefusal::UnknownLog(origin));
    }
    let checkpoint = Checkpoint::parse(&note.text).map_err(|_| fault("no checkpoint"))?;
    match checkpoint.is_signed(&note, keys) {
        Ok(true) => Ok((note, checkpoint)),
        Ok(false) | Err(_) => Err(WitnessRefusal::NoSignature),
    }
}

/// Whether the witness may cosign `checkpoint`, where `last` is the one it cosigned last.
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
    if request.old != last_size {
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
