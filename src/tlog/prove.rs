//! Proofs and roots out of a log's tiles, for those who serve them.
//!
//! Spec: [tlog-tiles](https://c2sp.org/tlog-tiles), RFC 6962 section 2.1. Nobody verifies with this.

use std::cell::RefCell;
use std::collections::HashMap;

use super::hash::{EMPTY_ROOT, Hash, node_hash};
use super::tile::{FULL, Tile, perfect_root};
use super::tree::{LeafIndex, TreeSize};

/// Whoever holds a log's tiles.
pub trait HashTiles {
    type Error;

    /// The hashes of a tile: exactly `tile.width` of them.
    ///
    /// # Errors
    /// If the tile is missing, unreadable or of another width.
    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, Self::Error>;
}

/// The hashes from the sibling of entry `index` to the child of the root of the tree of `size`.
///
/// # Errors
/// Those of `tiles`.
///
/// # Panics
/// If there is no such entry.
pub fn inclusion_proof<T: HashTiles>(
    index: LeafIndex,
    size: TreeSize,
    tiles: &T,
) -> Result<Vec<Hash>, T::Error> {
    assert!(
        index.as_u64() < size.as_u64(),
        "the caller checked the index"
    );
    let reader = Reader::new(size, tiles);
    let (mut start, mut end) = (0, size.as_u64());
    let mut proof = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index.as_u64() < middle {
            proof.push(reader.range(middle, end)?);
            end = middle;
        } else {
            proof.push(reader.range(start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The hashes that show that the tree of `new` extends the tree of `old`.
///
/// # Errors
/// Those of `tiles`.
///
/// # Panics
/// If `old` is larger than `new`.
pub fn consistency_proof<T: HashTiles>(
    old: TreeSize,
    new: TreeSize,
    tiles: &T,
) -> Result<Vec<Hash>, T::Error> {
    assert!(old <= new, "the caller checked the sizes");
    if old == new || old.as_u64() == 0 {
        return Ok(Vec::new());
    }
    // Whoever has the root of an old tree that is one perfect subtree has the path's first hash.
    nodes(old, new, tiles, !old.as_u64().is_power_of_two())
}

/// A consistency proof with its first hash always in it, from which anyone computes both roots
/// ([`consistency_roots`](super::tree::consistency_roots)).
///
/// # Errors
/// Those of `tiles`.
///
/// # Panics
/// Unless `0 < old < new`.
pub fn consistency_path<T: HashTiles>(
    old: TreeSize,
    new: TreeSize,
    tiles: &T,
) -> Result<Vec<Hash>, T::Error> {
    assert!(
        old < new && old.as_u64() > 0,
        "the caller checked the sizes"
    );
    nodes(old, new, tiles, true)
}

/// The siblings from the old tree's last perfect subtree up, after its own root if it is wanted.
fn nodes<T: HashTiles>(
    old: TreeSize,
    new: TreeSize,
    tiles: &T,
    with_first: bool,
) -> Result<Vec<Hash>, T::Error> {
    let reader = Reader::new(new, tiles);
    let (mut start, mut end) = (0, new.as_u64());
    let mut proof = Vec::new();
    while end > old.as_u64() {
        let middle = start + split(end - start);
        if old.as_u64() <= middle {
            proof.push(reader.range(middle, end)?);
            end = middle;
        } else {
            proof.push(reader.range(start, middle)?);
            start = middle;
        }
    }
    if with_first {
        proof.push(reader.range(start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root of the tree of `size`.
///
/// # Errors
/// Those of `tiles`.
pub fn root<T: HashTiles>(size: TreeSize, tiles: &T) -> Result<Hash, T::Error> {
    match size.as_u64() {
        0 => Ok(EMPTY_ROOT),
        size_ => Reader::new(size, tiles).range(0, size_),
    }
}

/// The largest power of two smaller than `width` (> 1).
fn split(width: u64) -> u64 {
    1 << (63 - (width - 1).leading_zeros())
}

struct Reader<'a, T> {
    size: u64,
    tiles: &'a T,
    read: RefCell<HashMap<Tile, Vec<Hash>>>,
}

impl<'a, T: HashTiles> Reader<'a, T> {
    fn new(size: TreeSize, tiles: &'a T) -> Self {
        Self {
            size: size.as_u64(),
            tiles,
            read: RefCell::default(),
        }
    }

    /// The root over the leaves `start..end`, which begin at a multiple of the power of two that
    /// covers them.
    fn range(&self, start: u64, end: u64) -> Result<Hash, T::Error> {
        let width = end - start;
        if width.is_power_of_two() {
            return self.perfect(start, width.trailing_zeros());
        }
        let middle = start + split(width);
        let left = self.perfect(start, (middle - start).trailing_zeros())?;
        Ok(node_hash(&left, &self.range(middle, end)?))
    }

    /// The root over `2^height` leaves from `start`: out of the one tile that has them all.
    fn perfect(&self, start: u64, height: u32) -> Result<Hash, T::Error> {
        let level = (height / 8) as u8;
        let shift = 8 * u32::from(level);
        let (first, count) = (start >> shift, 1usize << (height - shift));
        let index = first / 256;
        let row = self.size >> shift;
        let width = (row - index * 256).min(u64::from(FULL)) as u16;
        let tile = Tile {
            level,
            index,
            width,
        };
        let mut read = self.read.borrow_mut();
        let hashes = match read.entry(tile) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(empty) => {
                empty.insert(self.tiles.tile(tile)?)
            }
        };
        let at = (first % 256) as usize;
        Ok(perfect_root(hashes[at..at + count].to_vec()))
    }
}
