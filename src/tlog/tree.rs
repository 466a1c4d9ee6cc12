//! Merkle trees as readers see them: sizes, indices, roots, and whether a proof holds (RFC 6962,
//! RFC 9162 section 2.1).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hash::{EMPTY_ROOT, Hash, node_hash};

/// The text is no decimal number without leading zeros that fits 63 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number without leading zeros")]
pub struct NumberError;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[derive(Serialize, Deserialize, JsonSchema)]
        pub struct $name(u64);

        impl $name {
            /// From a number.
            pub const fn new(n: u64) -> Self {
                Self(n)
            }

            /// As a number.
            pub const fn as_u64(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NumberError;

            fn from_str(text: &str) -> Result<Self, NumberError> {
                let canonical = text.bytes().all(|b| b.is_ascii_digit())
                    && (text == "0" || !text.starts_with('0'));
                match text.parse::<u64>() {
                    Ok(n) if canonical && n <= i64::MAX as u64 => Ok(Self(n)),
                    _ => Err(NumberError),
                }
            }
        }
    };
}

number! {
    /// The place of a leaf in a log, from 0.
    LeafIndex
}

number! {
    /// The number of leaves of a tree.
    TreeSize
}

/// A proof that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("entry {index} is not in a tree of {size} entries")]
    OutOfRange { index: u64, size: u64 },
    #[error("a tree of {new} entries cannot extend one of {old}")]
    Shrinks { old: u64, new: u64 },
    #[error("the proof has {found} hashes, where {expected} belong")]
    Length { found: usize, expected: usize },
    #[error("the proof leads to another root")]
    Root,
}

/// The state of a growing tree: the roots of its perfect subtrees, largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// As many as `size` has one-bits.
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// From its size and nodes; `None` if they do not belong together.
    pub fn from_nodes(size: TreeSize, nodes: Vec<Hash>) -> Option<Self> {
        let size = size.as_u64();
        (nodes.len() == size.count_ones() as usize).then_some(Self { size, nodes })
    }

    /// The roots of the perfect subtrees, largest first.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// The number of leaves.
    pub fn size(&self) -> TreeSize {
        TreeSize(self.size)
    }

    /// Adds the hash of the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.nodes.pop().expect("one node for each one-bit");
            node = node_hash(&left, &node);
        }
        self.nodes.push(node);
        self.size = self.size.saturating_add(1);
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut nodes = self.nodes.iter().rev();
        let Some(last) = nodes.next() else {
            return EMPTY_ROOT;
        };
        nodes.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// Checks that `leaf` is entry `index` of the tree with this size and root.
///
/// # Errors
/// [`ProofError`], saying why the proof does not hold.
pub fn verify_inclusion(
    index: LeafIndex,
    size: TreeSize,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    let (index, size) = (index.0, size.0);
    if index >= size {
        return Err(ProofError::OutOfRange { index, size });
    }
    let (inner, border) = path_shape(index, size);
    check_length(proof, inner.saturating_add(border))?;
    let (inner_proof, border_proof) = proof.split_at(inner);
    let mut node = *leaf;
    for (level, sibling) in inner_proof.iter().enumerate() {
        node = if (index >> level) & 1 == 0 {
            node_hash(&node, sibling)
        } else {
            node_hash(sibling, &node)
        };
    }
    for left in border_proof {
        node = node_hash(left, &node);
    }
    if node == *root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// How many hashes of an inclusion path lie below, and how many beside, the right border of the tree.
/// `index` is below `size`.
fn path_shape(index: u64, size: u64) -> (usize, usize) {
    let apart = index ^ size.saturating_sub(1);
    let inner = u64::BITS.saturating_sub(apart.leading_zeros()) as usize;
    let border = if inner < 64 {
        (index >> inner).count_ones()
    } else {
        0
    };
    (inner, border as usize)
}

fn check_length(proof: &[Hash], expected: usize) -> Result<(), ProofError> {
    let found = proof.len();
    if found == expected {
        Ok(())
    } else {
        Err(ProofError::Length { found, expected })
    }
}

/// Checks that the tree `new` extends the tree `old`.
///
/// # Errors
/// [`ProofError`], saying why the proof does not hold.
pub fn verify_consistency(
    old: TreeSize,
    old_root: &Hash,
    new: TreeSize,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let (old, new) = (old.0, new.0);
    if old > new {
        return Err(ProofError::Shrinks { old, new });
    }
    if old == new || old == 0 {
        check_length(proof, 0)?;
        let same = if old == new {
            old_root == new_root
        } else {
            *old_root == EMPTY_ROOT
        };
        return if same { Ok(()) } else { Err(ProofError::Root) };
    }
    // The old tree's last perfect subtree: its root begins both paths. It is the first hash of the
    // proof, unless the old tree is one perfect subtree, whose root is known.
    let roots = if old.is_power_of_two() {
        fold(old, new, *old_root, proof)
    } else {
        consistency_roots(TreeSize(old), TreeSize(new), proof)
    };
    match roots? {
        (old_found, new_found) if old_found == *old_root && new_found == *new_root => Ok(()),
        _ => Err(ProofError::Root),
    }
}

/// What the nodes of a consistency path hash to: the root over the first `old` leaves, and the root
/// over all `new`.
///
/// A path is a consistency proof that never leaves its first hash out: the root of the old tree's last
/// perfect subtree. Nodes that hash to the root of a tree are nodes of that tree, so whoever knows the
/// new root to be right knows the old one.
///
/// # Errors
/// [`ProofError::Shrinks`] unless `0 < old < new`; [`ProofError::Length`].
pub fn consistency_roots(
    old: TreeSize,
    new: TreeSize,
    path: &[Hash],
) -> Result<(Hash, Hash), ProofError> {
    let (old, new) = (old.0, new.0);
    if old == 0 || old >= new {
        return Err(ProofError::Shrinks { old, new });
    }
    match path.split_first() {
        Some((first, rest)) => fold(old, new, *first, rest),
        None => Err(ProofError::Length {
            found: 0,
            expected: 1,
        }),
    }
}

/// Both roots, from the root of the old tree's last perfect subtree and the hashes above it.
fn fold(old: u64, new: u64, first: Hash, rest: &[Hash]) -> Result<(Hash, Hash), ProofError> {
    let shift = old.trailing_zeros() as usize;
    let last = old.saturating_sub(1);
    let (inner, border) = path_shape(last, new);
    // The old tree's last leaf and the new one's are apart above the old tree's last perfect subtree.
    let inner = inner.saturating_sub(shift);
    check_length(rest, inner.saturating_add(border))?;
    let (inner_proof, border_proof) = rest.split_at(inner);
    let index = last >> shift;
    let (mut old_node, mut new_node) = (first, first);
    for (level, sibling) in inner_proof.iter().enumerate() {
        if (index >> level) & 1 == 0 {
            new_node = node_hash(&new_node, sibling);
        } else {
            old_node = node_hash(sibling, &old_node);
            new_node = node_hash(sibling, &new_node);
        }
    }
    for left in border_proof {
        old_node = node_hash(left, &old_node);
        new_node = node_hash(left, &new_node);
    }
    Ok((old_node, new_node))
}

#[cfg(test)]
mod tests;
