//! Evidence that a log signed two histories: a file that anyone with the log's key can check.
//!
//! A log that keeps its word signs, of each size, one root, and every tree it signs begins with each
//! smaller one. Evidence is two of its signed checkpoints that cannot both be true. It needs no
//! server, no witness, and nobody's word:
//!
//! * of one size, with two roots; or
//! * of two sizes, with the nodes of a consistency path (RFC 6962 section 2.1.2, the first hash always
//!   stated). The nodes hash to the later root, so they are nodes of the later tree; and what they
//!   hash to for the earlier size is not the earlier root. So the later tree does not begin with the
//!   earlier one.
//!
//! Two checkpoints of two sizes alone prove nothing: one tree may extend the other, and only nodes of
//! the later tree tell. Nor does a consistency proof that leads to neither root: anybody can make one.
//!
//! The file, UTF-8, every line ended by U+000A:
//!
//! ```text
//! whosaw/tlog-evidence/v1
//! <hash>                     standard base64; none for two of one size, nor from size 0
//! …
//!
//! <checkpoint>               a signed note: the smaller, or either one of two of one size
//!
//! <checkpoint>
//! ```
//!
//! Signature lines by other keys, such as cosignatures, may be in the notes and prove nothing here.

use std::fmt;

use super::checkpoint::{Checkpoint, CheckpointError, Origin};
use super::hash::{EMPTY_ROOT, Hash};
use super::note::{Note, NoteError, VerifierKey};
use super::prove::{self, HashTiles};
use super::tree::{ProofError, TreeSize, consistency_roots};

const FIRST_LINE: &str = "whosaw/tlog-evidence/v1";
/// No tree is higher; the path's first hash comes on top.
const MAX_HASHES: usize = 64;
/// The largest file that is read, in bytes.
pub const MAX_EVIDENCE: usize = 2 << 20;

/// Why a file is no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    #[error("not an evidence file: {0}")]
    Form(&'static str),
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("the checkpoints are of two logs, {0} and {1}")]
    TwoLogs(Origin, Origin),
    #[error("it is about the log {0}, and the key given is another's")]
    OtherLog(Origin),
    #[error("the checkpoint of {0} entries bears no signature of the log by the key given")]
    Unsigned(TreeSize),
    #[error("the hashes do not belong between these checkpoints: {0}")]
    Path(ProofError),
    #[error("the hashes do not lead to the later checkpoint's root: they prove nothing about it")]
    OtherTree,
    #[error("the checkpoints do not contradict each other")]
    NoContradiction,
}

/// Two signed checkpoints of a log and what sets them against each other; not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The consistency path from the earlier to the later; empty for two of one size, and from none.
    pub path: Vec<Hash>,
    pub earlier: Note,
    /// Of the same size as the earlier, or larger.
    pub later: Note,
}

/// What evidence proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    pub earlier: Checkpoint,
    pub later: Checkpoint,
    /// The root over as many entries as the earlier checkpoint has, in the later one's tree.
    pub rewritten: Hash,
}

impl Evidence {
    /// Sets two checkpoints of one size against each other. Whether that proves anything,
    /// [`Evidence::verify`] tells.
    pub fn of_one_size(one: Note, other: Note) -> Self {
        Self {
            path: Vec::new(),
            earlier: one,
            later: other,
        }
    }

    /// Sets two checkpoints against each other, by the tiles of the larger one's tree. Whether that
    /// proves anything, [`Evidence::verify`] tells.
    ///
    /// # Errors
    /// Those of `tiles`, which are read for two sizes alone.
    pub fn between<T: HashTiles>(
        one: (Checkpoint, Note),
        other: (Checkpoint, Note),
        tiles: &T,
    ) -> Result<Self, T::Error> {
        let ((earlier, earlier_note), (later, later_note)) = if one.0.size <= other.0.size {
            (one, other)
        } else {
            (other, one)
        };
        let path = if TreeSize::new(0) < earlier.size && earlier.size < later.size {
            prove::consistency_path(earlier.size, later.size, tiles)?
        } else {
            Vec::new()
        };
        Ok(Self {
            path,
            earlier: earlier_note,
            later: later_note,
        })
    }

    /// Parses a file.
    ///
    /// # Errors
    /// [`EvidenceError::Form`], [`EvidenceError::Note`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let form = EvidenceError::Form;
        if bytes.len() > MAX_EVIDENCE {
            return Err(form("larger than 2 MiB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| form("not UTF-8"))?;
        let parts: Vec<&str> = text.splitn(6, "\n\n").collect();
        // A checkpoint has no empty line but the one before its signatures.
        let [head, text_1, lines_1, text_2, lines_2] = parts[..] else {
            return Err(form("it has a head and two signed checkpoints"));
        };
        let mut head = head.split('\n');
        if head.next() != Some(FIRST_LINE) {
            return Err(form("the first line is whosaw/tlog-evidence/v1"));
        }
        let path: Result<Vec<Hash>, _> = head.take(MAX_HASHES + 1).map(str::parse).collect();
        let path = path.map_err(|_| form("hashes are 32 bytes in base64"))?;
        if path.len() > MAX_HASHES {
            return Err(form("more than 64 hashes"));
        }
        Ok(Self {
            path,
            earlier: Note::parse(format!("{text_1}\n\n{lines_1}\n").as_bytes())?,
            later: Note::parse(format!("{text_2}\n\n{lines_2}").as_bytes())?,
        })
    }

    /// Checks that a log with one of `keys` signed both checkpoints, and that they cannot both be
    /// true.
    ///
    /// # Errors
    /// [`EvidenceError`]: each way to prove nothing is told apart.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Contradiction, EvidenceError> {
        let earlier = Checkpoint::parse(&self.earlier.text)?;
        let later = Checkpoint::parse(&self.later.text)?;
        if earlier.origin != later.origin {
            return Err(EvidenceError::TwoLogs(earlier.origin, later.origin));
        }
        let name = earlier.origin.to_key_name();
        let keys: Vec<&VerifierKey> = keys.iter().filter(|key| key.name == name).collect();
        if keys.is_empty() {
            return Err(EvidenceError::OtherLog(earlier.origin));
        }
        for (checkpoint, note) in [(&earlier, &self.earlier), (&later, &self.later)] {
            if !checkpoint.is_signed(note, keys.iter().copied())? {
                return Err(EvidenceError::Unsigned(checkpoint.size));
            }
        }
        let rewritten = self.rewritten(&earlier, &later)?;
        if rewritten == earlier.root {
            return Err(EvidenceError::NoContradiction);
        }
        Ok(Contradiction {
            earlier,
            later,
            rewritten,
        })
    }

    /// The root over the earlier checkpoint's entries, in the later one's tree.
    fn rewritten(&self, earlier: &Checkpoint, later: &Checkpoint) -> Result<Hash, EvidenceError> {
        // Neither needs hashes: every tree begins with the empty one.
        let known = match earlier.size.as_u64() {
            _ if earlier.size == later.size => Some(later.root),
            0 => Some(EMPTY_ROOT),
            _ => None,
        };
        if let Some(root) = known {
            return match self.path.len() {
                0 => Ok(root),
                found => Err(EvidenceError::Path(ProofError::Length {
                    found,
                    expected: 0,
                })),
            };
        }
        let roots = consistency_roots(earlier.size, later.size, &self.path);
        match roots.map_err(EvidenceError::Path)? {
            (rewritten, root) if root == later.root => Ok(rewritten),
            _ => Err(EvidenceError::OtherTree),
        }
    }
}

/// The file.
impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        for hash in &self.path {
            writeln!(f, "{hash}")?;
        }
        for note in [&self.earlier, &self.later] {
            write!(f, "\n{}", String::from_utf8_lossy(&note.to_bytes()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
