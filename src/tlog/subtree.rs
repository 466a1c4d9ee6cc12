//! Subtrees: ranges of a log's entries that a witness signs apart, so that proofs are shorter.
//!
//! The request of `sign-subtree` ([tlog-witness](https://c2sp.org/tlog-witness)) and the check of its
//! subtree consistency proof (draft-ietf-plants-merkle-tree-certs-03, sections 4.1 and 4.4). What is
//! signed is [`super::cosignature`]'s affair.

use std::fmt;

use super::checkpoint::Checkpoint;
use super::cosignature::Subtree;
use super::hash::{Hash, node_hash};
use super::note::{Note, VerifierKey};
use super::tree::{ProofError, TreeSize};
use super::witness::{WitnessRefusal, checkpoint_of, head_and_note, parse_hashes};

/// `POST <prefix>/sign-subtree`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignSubtree {
    /// The index of the first entry.
    pub start: u64,
    /// The index after the last entry.
    pub end: u64,
    pub hash: Hash,
    /// From the subtree to the checkpoint.
    pub proof: Vec<Hash>,
    /// A checkpoint that the witness has cosigned.
    pub note: Note,
    pub checkpoint: Checkpoint,
}

impl SignSubtree {
    /// Parses a request's body.
    ///
    /// # Errors
    /// [`WitnessRefusal`] of status 400, for a range too that no tree of the checkpoint's size has.
    pub fn parse(body: &[u8]) -> Result<Self, WitnessRefusal> {
        let fault = WitnessRefusal::Malformed;
        let (head, note) = head_and_note(body)?;
        let mut lines = head.split('\n');
        let range = lines.next().and_then(|line| line.strip_prefix("subtree "));
        let range = range.and_then(|range| range.split_once(' '));
        let number = |text: &str| text.parse().map(TreeSize::as_u64).ok();
        let range = range.and_then(|(start, end)| Some((number(start)?, number(end)?)));
        let (start, end) = range.ok_or(fault("the first line is `subtree <start> <end>`"))?;
        let hash = lines.next().and_then(|line| line.parse().ok());
        let hash = hash.ok_or(fault("the second line is the subtree's hash in base64"))?;
        let proof = parse_hashes(lines)?;
        let (note, checkpoint) = checkpoint_of(note.as_bytes())?;
        if !is_subtree(start, end) || end > checkpoint.size.as_u64() {
            return Err(fault("the checkpoint's tree has no such subtree"));
        }
        Ok(Self {
            start,
            end,
            hash,
            proof,
            note,
            checkpoint,
        })
    }

    /// What the request asks to be signed.
    pub fn subtree(&self) -> Subtree<'_> {
        Subtree {
            origin: &self.checkpoint.origin,
            start: self.start,
            end: self.end,
            hash: self.hash,
        }
    }

    /// Whether a witness that signs with `own` keys may sign the subtree: it has cosigned the
    /// checkpoint, and the checkpoint's tree has the subtree.
    ///
    /// # Errors
    /// [`WitnessRefusal::NotCosigned`], [`WitnessRefusal::NoSubtree`].
    pub fn judge(&self, own: &[VerifierKey]) -> Result<(), WitnessRefusal> {
        // A line of its own without a time is a cosignature of a whole tree as any other.
        match self.checkpoint.is_cosigned(&self.note, own) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(WitnessRefusal::NotCosigned),
        }
        let Checkpoint { size, root, .. } = &self.checkpoint;
        verify_subtree_consistency(&self.subtree(), *size, root, &self.proof)
            .map_err(|_| WitnessRefusal::NoSubtree)
    }
}

/// The request's body.
impl fmt::Display for SignSubtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "subtree {} {}\n{}", self.start, self.end, self.hash)?;
        for hash in &self.proof {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", String::from_utf8_lossy(&self.note.to_bytes()))
    }
}

/// Whether some tree has the subtree `start..end`: it begins at a multiple of the power of two that
/// covers it. Numbers are those of entries, below 2^63.
fn is_subtree(start: u64, end: u64) -> bool {
    let width = end.saturating_sub(start).checked_next_power_of_two();
    start < end && width.is_some_and(|width| start.is_multiple_of(width))
}

/// Checks that the tree with this size and root has the subtree.
///
/// # Errors
/// [`ProofError`], saying why the proof does not hold.
pub fn verify_subtree_consistency(
    subtree: &Subtree<'_>,
    size: TreeSize,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let (start, end, size) = (subtree.start, subtree.end, size.as_u64());
    if !is_subtree(start, end) || end > size {
        let index = end.saturating_sub(1);
        return Err(ProofError::OutOfRange { index, size });
    }
    // The nodes of one level on the way up: of the subtree's first entry, of its last one, and of the
    // tree's last one.
    let (mut first, mut last, mut right) = (start, end.saturating_sub(1), size.saturating_sub(1));
    let up = |first: &mut u64, last: &mut u64, right: &mut u64| {
        (*first, *last, *right) = (*first >> 1, *last >> 1, *right >> 1);
    };
    // Up to the subtree's last part that is a node of the tree: all of the subtree, or its last
    // perfect one.
    while first < last && (last == right || last & 1 == 1) {
        up(&mut first, &mut last, &mut right);
    }
    let length = ProofError::Length {
        found: proof.len(),
        expected: usize::from(first < last),
    };
    let (mut node, rest) = match proof.split_first() {
        _ if first == last => (subtree.hash, proof),
        Some((node, rest)) => (*node, rest),
        None => return Err(length),
    };
    let mut inside = node;
    for sibling in rest {
        if right == 0 {
            return Err(length);
        }
        if last & 1 == 1 || last == right {
            // A left sibling below the subtree's root is a part of the subtree.
            if first < last {
                inside = node_hash(sibling, &inside);
            }
            node = node_hash(sibling, &node);
            while last & 1 == 0 && last > 0 {
                up(&mut first, &mut last, &mut right);
            }
        } else {
            node = node_hash(&node, sibling);
        }
        up(&mut first, &mut last, &mut right);
    }
    if right != 0 {
        return Err(length);
    }
    if inside == subtree.hash && node == *root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

#[cfg(test)]
mod tests;
