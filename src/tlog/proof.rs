//! Proof files: that an entry stands in a log, for anyone with the log's policy
//! ([tlog-proof](https://c2sp.org/tlog-proof)).

use super::hash::{Hash, leaf_hash};
use super::policy::{Policy, PolicyError, WitnessedCheckpoint};
use super::tree::{LeafIndex, ProofError, verify_inclusion};
use crate::encoding;
use crate::time::Time;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Bytes that its fixed words and the index take at most.
const ROOM: usize = 64;
/// No tree is higher.
const MAX_HASHES: usize = 63;
/// Digits of a hash in base64.
const HASH: usize = 44;
/// The largest proof file that is read, in bytes.
const MAX_PROOF: usize = 2 << 20;

/// Why a file is no proof, or proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    #[error("not a tlog-proof: {0}")]
    Form(&'static str),
    #[error("the proof's checkpoint does not count: {0}")]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Inclusion(#[from] ProofError),
}

/// A proof that an entry stands under a checkpoint; not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Whatever its maker added: here the leaf. To be trusted only after it checks out.
    pub extra: Option<Vec<u8>>,
    pub index: LeafIndex,
    pub hashes: Vec<Hash>,
    /// The note, with its cosignatures.
    pub checkpoint: Vec<u8>,
}

impl TlogProof {
    /// Parses a proof file.
    ///
    /// # Errors
    /// [`TlogProofError::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        let form = TlogProofError::Form;
        if bytes.len() > MAX_PROOF {
            return Err(form("larger than 2 MiB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| form("not UTF-8"))?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(form("no empty line"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(form("the first line is c2sp.org/tlog-proof@v1"));
        }
        let mut line = lines.next().ok_or(form("no index"))?;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            extra = Some(encoding::from_base64(encoded).map_err(|_| form("extra is base64"))?);
            line = lines.next().ok_or(form("no index"))?;
        }
        let index = line
            .strip_prefix("index ")
            .and_then(|index| index.parse().ok());
        let index = index.ok_or(form("the index is a decimal number"))?;
        let hashes: Result<Vec<Hash>, _> = lines.take(MAX_HASHES + 1).map(str::parse).collect();
        let hashes = hashes.map_err(|_| form("hashes are 32 bytes in base64"))?;
        if hashes.len() > MAX_HASHES {
            return Err(form("more than 63 hashes"));
        }
        Ok(Self {
            extra,
            index,
            hashes,
            checkpoint: checkpoint.as_bytes().to_vec(),
        })
    }

    /// The proof as a file.
    pub fn to_text(&self) -> String {
        let extra = self.extra.as_ref().map_or(0, Vec::len).saturating_mul(2);
        let hashes = self.hashes.len().saturating_mul(1 + HASH);
        let parts = [ROOM, extra, hashes, self.checkpoint.len()].into_iter();
        let mut text = String::with_capacity(parts.fold(0, usize::saturating_add));
        text.extend([FIRST_LINE, "\n"]);
        if let Some(extra) = &self.extra {
            text.push_str("extra ");
            encoding::push_base64(&mut text, extra);
            text.push('\n');
        }
        text.extend(["index ", &self.index.to_string(), "\n"]);
        for hash in &self.hashes {
            encoding::push_base64(&mut text, hash.as_bytes());
            text.push('\n');
        }
        // A checkpoint is text; anything else would not have been verified.
        text.extend(["\n", &String::from_utf8_lossy(&self.checkpoint)]);
        text
    }

    /// Checks that `leaf` stands at the proof's index, under a checkpoint that satisfies `policy`
    /// (see [`Policy::verify`] for the times).
    ///
    /// # Errors
    /// [`TlogProofError::Policy`] or [`TlogProofError::Inclusion`].
    pub fn verify(
        &self,
        leaf: &[u8],
        policy: &Policy,
        oldest: Option<Time>,
        newest: Option<Time>,
    ) -> Result<WitnessedCheckpoint, TlogProofError> {
        let witnessed = policy.verify(&self.checkpoint, oldest, newest)?;
        let checkpoint = &witnessed.checkpoint;
        let leaf = leaf_hash(leaf);
        verify_inclusion(
            self.index,
            checkpoint.size,
            &leaf,
            &self.hashes,
            &checkpoint.root,
        )?;
        Ok(witnessed)
    }
}
