//! The tree over the commitments of one period, as a `commitment-batch` statement names it.
//!
//! The Merkle tree of RFC 9162, section 2.1, over 32-byte commitments in ascending order, none
//! twice, filled with random ones to a power of two of at least [`MIN_SIZE`]: neither place nor
//! number tells whose a commitment is, or how many were entered. In a tree of such a size every
//! path has the same length.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::seal::commitment::Commitment;

/// The fewest commitments in a batch.
pub const MIN_SIZE: u64 = 64;

/// One period's commitments and the tree over them.
pub struct Batch {
    commitments: Vec<Commitment>,
    /// The tree's nodes, leaves first, each level half as long as the one before it.
    levels: Vec<Vec<Digest>>,
}

impl Batch {
    /// The batch of `commitments`, completed by `random`, which yields 32 fresh random bytes.
    ///
    /// The commitments of a batch make the same batch again, and draw nothing.
    pub fn new(
        commitments: impl IntoIterator<Item = Commitment>,
        mut random: impl FnMut() -> [u8; 32],
    ) -> Self {
        let mut sorted: BTreeSet<_> = commitments.into_iter().collect();
        let size = sorted.len().next_power_of_two().max(MIN_SIZE as usize);
        while sorted.len() < size {
            sorted.insert(Commitment::from_bytes(random()));
        }
        let commitments: Vec<_> = sorted.into_iter().collect();
        let levels = levels(&commitments);
        Self {
            commitments,
            levels,
        }
    }

    /// The batch of the commitments in `list`, 32 bytes each, if they are the `size` ones that hash to `root`.
    ///
    /// # Errors
    /// [`ListError`] says what is wrong with the list.
    pub fn from_list(list: &[u8], size: u32, root: &Digest) -> Result<Self, ListError> {
        let (commitments, rest) = list.as_chunks::<32>();
        let count = commitments.len() as u64;
        let is_full = count == u64::from(size) && count >= MIN_SIZE && count.is_power_of_two();
        if !rest.is_empty() || !is_full || !commitments.is_sorted_by(|a, b| a < b) {
            return Err(ListError::Form);
        }
        let commitments = commitments.iter().map(|c| Commitment::from_bytes(*c));
        let batch = Self::new(commitments, || unreachable!("it is full"));
        match batch.root() == *root {
            true => Ok(batch),
            false => Err(ListError::Root),
        }
    }

    /// The commitments in ascending order, random ones among them.
    pub fn commitments(&self) -> &[Commitment] {
        &self.commitments
    }

    /// How many commitments there are: a power of two, at least [`MIN_SIZE`].
    pub fn size(&self) -> u64 {
        self.commitments.len() as u64
    }

    /// The tree's root.
    pub fn root(&self) -> Digest {
        let top = self.levels.last().and_then(|level| level.first());
        *top.expect("a tree of at least MIN_SIZE leaves has a root")
    }

    /// Where `commitment` stands, counted from 0.
    pub fn index(&self, commitment: &Commitment) -> Option<u64> {
        let found = self.commitments.binary_search(commitment);
        found.ok().map(|index| index as u64)
    }

    /// The inclusion path of the commitment at `index`, from its sibling upwards; `None` beyond
    /// the end.
    pub fn path(&self, index: u64) -> Option<Vec<Digest>> {
        if index >= self.size() {
            return None;
        }
        let index = usize::try_from(index).ok()?;
        let (_, below_root) = self.levels.split_last()?;
        let below_root = below_root.iter().enumerate();
        below_root
            .map(|(height, nodes)| nodes.get((index >> height) ^ 1).copied())
            .collect()
    }
}

fn levels(commitments: &[Commitment]) -> Vec<Vec<Digest>> {
    let leaves = commitments.iter().map(leaf_hash).collect();
    std::iter::successors(Some(leaves), |below: &Vec<Digest>| {
        let (pairs, _) = below.as_chunks();
        (below.len() > 1).then(|| pairs.iter().map(|[l, r]| node_hash(l, r)).collect())
    })
    .collect()
}

/// Why bytes are not the list of a batch's commitments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("these are not its commitments: 32 bytes each, ascending, as many as the log says")]
    Form,
    #[error("these are other commitments than those that the log has the root of")]
    Root,
}

/// Why a commitment is not shown to be in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    #[error("a batch of {0}: not a power of two, or below {MIN_SIZE}")]
    Size(u64),
    #[error("index {index} in a batch of {size}")]
    Index { index: u64, size: u64 },
    #[error("a path of {found} digests, where {expected} are expected")]
    PathLength { found: usize, expected: usize },
    #[error("the path does not lead to the batch's root")]
    Root,
}

/// Checks that `commitment` stands at `index` in the batch of `size` with this root.
pub fn verify(
    root: &Digest,
    size: u64,
    index: u64,
    commitment: &Commitment,
    path: &[Digest],
) -> Result<(), InclusionError> {
    if size < MIN_SIZE || !size.is_power_of_two() {
        return Err(InclusionError::Size(size));
    }
    if index >= size {
        return Err(InclusionError::Index { index, size });
    }
    let expected = size.ilog2() as usize;
    if path.len() != expected {
        return Err(InclusionError::PathLength {
            found: path.len(),
            expected,
        });
    }
    let mut node = leaf_hash(commitment);
    for (height, sibling) in path.iter().enumerate() {
        let is_right_child = (index >> height) & 1 == 1;
        node = if is_right_child {
            node_hash(sibling, &node)
        } else {
            node_hash(&node, sibling)
        };
    }
    (node == *root).then_some(()).ok_or(InclusionError::Root)
}

fn leaf_hash(commitment: &Commitment) -> Digest {
    let hash = Sha256::new_with_prefix([0]).chain_update(commitment.as_bytes());
    Digest::from_bytes(hash.finalize().into())
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let hash = Sha256::new_with_prefix([1]).chain_update(left.as_bytes());
    Digest::from_bytes(hash.chain_update(right.as_bytes()).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ct_merkle::InclusionProof;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;

    /// Distinct values that look random, from a seed.
    fn stream(seed: u64) -> impl FnMut() -> [u8; 32] {
        let mut counter = 0_u64;
        move || {
            counter += 1;
            *Digest::of(format!("{seed}/{counter}")).as_bytes()
        }
    }

    fn batch_of(count: usize, seed: u64) -> (Vec<Commitment>, Batch) {
        let mut own = stream(seed);
        let entered: Vec<_> = (0..count).map(|_| Commitment::from_bytes(own())).collect();
        let batch = Batch::new(entered.iter().copied(), stream(!seed));
        (entered, batch)
    }

    fn oracle(batch: &Batch) -> MemoryBackedTree<Sha256, [u8; 32]> {
        let mut tree = MemoryBackedTree::new();
        for commitment in batch.commitments() {
            tree.push(*commitment.as_bytes());
        }
        tree
    }

    #[test]
    fn sizes_are_powers_of_two_from_64() {
        for (count, size) in [
            (0, 64),
            (1, 64),
            (64, 64),
            (65, 128),
            (128, 128),
            (129, 256),
        ] {
            let (entered, batch) = batch_of(count, 7);
            assert_eq!(batch.size(), size, "{count}");
            assert!(batch.commitments().is_sorted_by(|a, b| a < b));
            assert!(entered.iter().all(|c| batch.index(c).is_some()));
        }
    }

    #[test]
    fn doubles_are_entered_once_and_a_batch_makes_itself() {
        let (entered, batch) = batch_of(40, 1);
        let doubled = entered.iter().chain(&entered).copied();
        assert_eq!(Batch::new(doubled, stream(!1)).root(), batch.root());
        let again = Batch::new(batch.commitments().to_vec(), || unreachable!("complete"));
        assert_eq!(again.root(), batch.root());
        assert_eq!(batch.path(batch.size()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_entered_commitment_is_shown_to_be_there(count in 1_usize..140, pick: prop::sample::Index, seed: u64) {
            let (entered, batch) = batch_of(count, seed);
            let commitment = pick.get(&entered);
            let index = batch.index(commitment).unwrap();
            let path = batch.path(index).unwrap();
            prop_assert_eq!(verify(&batch.root(), batch.size(), index, commitment, &path), Ok(()));
        }

        #[test]
        fn whatever_is_altered_is_refused(pick: prop::sample::Index, flip: prop::sample::Index, seed: u64) {
            let (_, batch) = batch_of(80, seed);
            let (root, size) = (batch.root(), batch.size());
            let commitment = *pick.get(batch.commitments());
            let index = batch.index(&commitment).unwrap();
            let path = batch.path(index).unwrap();
            let flipped = |bytes: &[u8; 32]| {
                let (mut bytes, bit) = (*bytes, flip.index(256));
                bytes[bit / 8] ^= 1 << (bit % 8);
                bytes
            };

            let other = Commitment::from_bytes(flipped(commitment.as_bytes()));
            prop_assert_eq!(verify(&root, size, index, &other, &path), Err(InclusionError::Root));
            let other = Digest::from_bytes(flipped(root.as_bytes()));
            prop_assert_eq!(verify(&other, size, index, &commitment, &path), Err(InclusionError::Root));
            let mut other = path.clone();
            let at = flip.index(path.len());
            other[at] = Digest::from_bytes(flipped(path[at].as_bytes()));
            prop_assert_eq!(verify(&root, size, index, &commitment, &other), Err(InclusionError::Root));
            let other = index ^ (1 << at);
            prop_assert_eq!(verify(&root, size, other, &commitment, &path), Err(InclusionError::Root));

            let size_error = |size| verify(&root, size, index, &commitment, &path);
            prop_assert_eq!(size_error(32), Err(InclusionError::Size(32)));
            prop_assert_eq!(size_error(100), Err(InclusionError::Size(100)));
            prop_assert_eq!(size_error(256), Err(InclusionError::PathLength { found: 7, expected: 8 }));
            prop_assert_eq!(
                verify(&root, size, size, &commitment, &path),
                Err(InclusionError::Index { index: size, size })
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn another_implementation_agrees(count in 0_usize..140, pick: prop::sample::Index, seed: u64) {
            let (_, batch) = batch_of(count, seed);
            let tree = oracle(&batch);
            let roots = (tree.root(), batch.root());
            prop_assert_eq!(&roots.0.as_bytes()[..], roots.1.as_bytes());

            let index = pick.index(batch.commitments().len());
            let commitment = batch.commitments()[index];
            let theirs = tree.prove_inclusion(index);
            let ours: Vec<u8> = batch
                .path(index as u64)
                .unwrap()
                .iter()
                .flat_map(|digest| *digest.as_bytes())
                .collect();
            prop_assert_eq!(theirs.as_bytes(), &ours[..]);
            let ours = InclusionProof::from_bytes(ours);
            prop_assert!(tree.root().verify_inclusion(commitment.as_bytes(), index as u64, &ours).is_ok());
            let theirs: Vec<_> = theirs
                .as_bytes()
                .chunks(32)
                .map(|digest| Digest::from_bytes(digest.try_into().unwrap()))
                .collect();
            prop_assert_eq!(verify(&batch.root(), batch.size(), index as u64, &commitment, &theirs), Ok(()));
        }
    }
}
