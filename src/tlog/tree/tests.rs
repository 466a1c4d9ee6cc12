use std::collections::HashMap;
use std::convert::Infallible;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use tlog_tiles::tlog;

use super::*;
use crate::tlog::hash::leaf_hash;
use crate::tlog::prove::{self, HashTiles};
use crate::tlog::tile::{RightEdge, Tile, decode_hashes};

type Oracle = MemoryBackedTree<sha2::Sha256, Vec<u8>>;

fn leaf(n: u64) -> Vec<u8> {
    format!("entry {n}").into_bytes()
}

/// A log's tiles in memory, as its writer writes them.
struct Tiles(HashMap<Tile, Vec<u8>>);

impl HashTiles for Tiles {
    type Error = Infallible;

    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, Infallible> {
        let bytes = self
            .0
            .get(&tile)
            .unwrap_or_else(|| panic!("no log of this size has {tile:?}"));
        Ok(decode_hashes(bytes, tile.width).unwrap())
    }
}

struct Log {
    edge: RightEdge,
    tiles: Tiles,
    oracle: Oracle,
    frontiers: Vec<Frontier>,
}

impl Log {
    /// A log of `size` entries that was written one entry at a time: it has every partial tile.
    fn of(size: u64) -> Self {
        let mut log = Self {
            edge: RightEdge::new(),
            tiles: Tiles(HashMap::new()),
            oracle: Oracle::new(),
            frontiers: vec![Frontier::new()],
        };
        for n in 0..size {
            let mut frontier = log.frontiers.last().unwrap().clone();
            frontier.push(leaf_hash(&leaf(n)));
            log.frontiers.push(frontier);
            log.edge.append(leaf_hash(&leaf(n)));
            log.tiles.0.extend(log.edge.take_new_tiles());
            log.oracle.push(leaf(n));
        }
        log
    }

    fn root(&self, size: u64) -> Hash {
        self.frontiers[size as usize].root()
    }

    fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        let size = TreeSize::new(size);
        let Ok(proof) = prove::inclusion_proof(LeafIndex::new(index), size, &self.tiles);
        proof
    }

    fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        let (old, new) = (TreeSize::new(old), TreeSize::new(new));
        let Ok(proof) = prove::consistency_proof(old, new, &self.tiles);
        proof
    }
}

fn theirs(proof: &[Hash]) -> Vec<tlog::Hash> {
    proof
        .iter()
        .map(|hash| tlog::Hash(*hash.as_bytes()))
        .collect()
}

#[test]
fn small_trees_are_those_of_two_other_programs() {
    let log = Log::of(0);
    assert_eq!(log.edge.root(), EMPTY_ROOT);
    assert_eq!(log.frontiers[0].root(), EMPTY_ROOT);
    for size in 1..=70u64 {
        let log = Log::of(size);
        let root = log.root(size);
        assert_eq!(root, log.edge.root());
        let Ok(from_tiles) = prove::root(TreeSize::new(size), &log.tiles);
        assert_eq!(root, from_tiles);
        assert_eq!(root.as_bytes()[..], log.oracle.root().as_bytes()[..]);
        for index in 0..size {
            let proof = log.inclusion(index, size);
            let own = log.oracle.prove_inclusion(index as usize);
            let bytes: Vec<u8> = proof.iter().flat_map(|hash| *hash.as_bytes()).collect();
            assert_eq!(bytes, own.as_bytes(), "entry {index} of {size}");
            let hash = leaf_hash(&leaf(index));
            let (i, n) = (LeafIndex::new(index), TreeSize::new(size));
            assert_eq!(verify_inclusion(i, n, &hash, &proof, &root), Ok(()));
            let theirs = theirs(&proof);
            let root = tlog::Hash(*root.as_bytes());
            tlog::check_record(&theirs, size, root, index, tlog::Hash(*hash.as_bytes())).unwrap();
        }
        for old in 0..=size {
            let proof = log.consistency(old, size);
            let (old_root, roots) = (log.root(old), (TreeSize::new(old), TreeSize::new(size)));
            assert_eq!(
                verify_consistency(roots.0, &old_root, roots.1, &root, &proof),
                Ok(())
            );
            if old > 0 {
                let (old_root, root) = (
                    tlog::Hash(*old_root.as_bytes()),
                    tlog::Hash(*root.as_bytes()),
                );
                tlog::check_tree(&theirs(&proof), size, root, old, old_root).unwrap();
            }
        }
    }
}

/// One log for the random tests; it reaches into the second level of tiles.
fn large() -> &'static Log {
    static LOG: std::sync::OnceLock<Log> = std::sync::OnceLock::new();
    LOG.get_or_init(|| Log::of(1500))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn inclusion_holds_for_its_entry_alone(
        (size, index) in (1u64..=1500).prop_flat_map(|size| (Just(size), 0..size)),
        other in 0u64..1500, at in any::<prop::sample::Index>(), flip in 0usize..32, change in 0..4,
    ) {
        let log = large();
        let (root, hash) = (log.root(size), leaf_hash(&leaf(index)));
        let proof = log.inclusion(index, size);
        let check = |index, size, hash: &Hash, proof: &[Hash], root: &Hash| {
            verify_inclusion(LeafIndex::new(index), TreeSize::new(size), hash, proof, root)
        };
        prop_assert_eq!(check(index, size, &hash, &proof, &root), Ok(()));
        if other != index {
            prop_assert!(check(index, size, &leaf_hash(&leaf(other)), &proof, &root).is_err());
            prop_assert!(check(other, size, &hash, &proof, &root).is_err());
            prop_assert!(check(index, size, &hash, &proof, &log.root(other)).is_err() || other == size);
        }
        let mut altered = proof.clone();
        match change {
            0 => altered.push(hash),
            1 => drop(altered.pop()),
            2 => altered.reverse(),
            _ if !altered.is_empty() => {
                let at = at.index(altered.len());
                let mut bytes = *altered[at].as_bytes();
                bytes[flip] ^= 1;
                altered[at] = Hash::from_bytes(bytes);
            }
            _ => {}
        }
        if altered != proof {
            prop_assert!(check(index, size, &hash, &altered, &root).is_err());
        }
    }

    #[test]
    fn consistency_holds_for_its_trees_alone(
        (new, old) in (0u64..=1500).prop_flat_map(|new| (Just(new), 0..=new)),
        other in 0u64..=1500, at in any::<prop::sample::Index>(), change in 0..3,
    ) {
        let log = large();
        let check = |old, old_root: &Hash, new, new_root: &Hash, proof: &[Hash]| {
            verify_consistency(TreeSize::new(old), old_root, TreeSize::new(new), new_root, proof)
        };
        let (old_root, new_root) = (log.root(old), log.root(new));
        let proof = log.consistency(old, new);
        prop_assert_eq!(check(old, &old_root, new, &new_root, &proof), Ok(()));
        if log.root(other) != old_root {
            prop_assert!(check(old, &log.root(other), new, &new_root, &proof).is_err());
        }
        if log.root(other) != new_root && old > 0 {
            prop_assert!(check(old, &old_root, new, &log.root(other), &proof).is_err());
        }
        let mut altered = proof.clone();
        match change {
            0 => altered.push(old_root),
            1 => drop(altered.pop()),
            _ if !altered.is_empty() => {
                let at = at.index(altered.len());
                altered[at] = leaf_hash(altered[at].as_bytes());
            }
            _ => {}
        }
        if altered != proof {
            prop_assert!(check(old, &old_root, new, &new_root, &altered).is_err());
        }
    }

    #[test]
    fn no_numbers_make_it_panic(
        index: u64, size: u64, old: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        let proof: Vec<Hash> = hashes.into_iter().map(Hash::from_bytes).collect();
        let root = EMPTY_ROOT;
        let _ = verify_inclusion(LeafIndex::new(index), TreeSize::new(size), &root, &proof, &root);
        let _ = verify_consistency(TreeSize::new(old), &root, TreeSize::new(size), &root, &proof);
    }
}

#[test]
fn numbers_have_one_spelling() {
    assert_eq!("0".parse(), Ok(TreeSize::new(0)));
    assert_eq!(
        "9223372036854775807".parse(),
        Ok(TreeSize::new(i64::MAX as u64))
    );
    for other in [
        "",
        "00",
        "01",
        "+1",
        "-1",
        " 1",
        "1 ",
        "0x1",
        "9223372036854775808",
        "99999999999999999999",
    ] {
        assert_eq!(other.parse::<TreeSize>(), Err(NumberError), "{other:?}");
    }
}
