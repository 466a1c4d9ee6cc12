//! Proofs and roots out of a log's tiles, for those who serve them.
//!
//! A tree is walked in blocks: sixteen neighbours of one row, where row `r` has the roots over
//! 16^r leaves each. A proof takes one block of each row. Every other row is written in the log's
//! tiles as it is; those between have to be hashed, so a server keeps them ([`Blocks`]).
//!
//! Spec: [tlog-tiles](https://c2sp.org/tlog-tiles), RFC 6962 section 2.1. Nobody verifies with this.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::hash::{EMPTY_ROOT, Hash, node_hash};
use super::tile::{FULL, Tile};
use super::tree::{LeafIndex, TreeSize};

/// Nodes of a full block.
const WIDTH: u64 = 16;
/// `WIDTH` as a power of two.
const HEIGHT: u32 = 4;

/// Whoever holds a log's tiles.
pub trait HashTiles {
    type Error;

    /// The hashes of a tile: exactly `tile.width` of them.
    ///
    /// # Errors
    /// If the tile is missing, unreadable or of another width.
    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, Self::Error>;

    /// The hashes of a tile from `range.start` to before `range.end`, which is at most its width.
    ///
    /// # Errors
    /// Those of [`HashTiles::tile`].
    fn part(&self, tile: Tile, range: Range<usize>) -> Result<Vec<Hash>, Self::Error> {
        let hashes = self.tile(tile)?.into_iter();
        Ok(hashes.take(range.end).skip(range.start).collect())
    }
}

/// A block of a tree: nodes `16 * index` and after, of the row of roots over `16^row` leaves each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block {
    pub row: u8,
    pub index: u64,
}

/// The nodes of a block and the tree over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtree {
    /// How many nodes: 16, or as many as there are. Where leaves are left over at the end of the
    /// row, the root over them is the last.
    width: usize,
    /// The nodes, their parents, and so on up to the root.
    hashes: Arc<[Hash]>,
}

impl Subtree {
    /// A last node without a sibling goes up as it is.
    fn over(nodes: Vec<Hash>) -> Self {
        let width = nodes.len();
        let (mut hashes, mut row) = (nodes.clone(), nodes);
        while row.len() > 1 {
            let (pairs, alone) = row.as_chunks();
            let parents = pairs.iter().map(|[left, right]| node_hash(left, right));
            row = parents.chain(alone.iter().copied()).collect();
            hashes.extend_from_slice(&row);
        }
        let hashes = hashes.into();
        Self { width, hashes }
    }

    /// The nodes, their parents, and so on up to the root.
    fn rows(&self) -> impl Iterator<Item = &[Hash]> {
        let (mut rest, mut width) = (&*self.hashes, self.width);
        std::iter::from_fn(move || {
            let (row, above) = rest.split_at_checked(width).filter(|_| !rest.is_empty())?;
            (rest, width) = (above, width.div_ceil(2));
            Some(row)
        })
    }

    fn root(&self) -> Hash {
        *self.hashes.last().expect("no block is empty")
    }

    /// What it takes in memory, in bytes.
    pub fn size(&self) -> usize {
        size_of_val(&*self.hashes)
    }
}

/// Whoever holds a tree's blocks, or can make them with [`fold`].
pub trait Blocks {
    type Error;

    /// A block in the tree of `size`, and the tree over it.
    ///
    /// # Errors
    /// If it can neither be read nor made.
    fn block(&self, block: Block, size: TreeSize) -> Result<Subtree, Self::Error>;
}

impl Block {
    /// How far it sees into a tree of `size`: leaves behind its end change nothing in it, so that
    /// this and the block's place say what is in it.
    pub fn sight(&self, size: TreeSize) -> TreeSize {
        let shift = self.shift().saturating_add(HEIGHT);
        let end = u128::from(self.index.saturating_add(1)) << shift;
        u64::try_from(end).map_or(size, |end| size.min(TreeSize::new(end)))
    }

    /// Whether a tree of `size` has all of the block's nodes in full.
    pub fn is_full(&self, size: TreeSize) -> bool {
        (size.as_u64() >> self.shift()) >= self.index.saturating_add(1).saturating_mul(WIDTH)
    }

    /// The leaves that each node covers, as a power of two.
    fn shift(&self) -> u32 {
        HEIGHT.saturating_mul(self.row.into())
    }
}

/// Makes a block out of tiles, and the root over leaves left over out of the block below it.
///
/// # Errors
/// Those of `tiles` and `below`.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "a block is of a tree of at most 2⁶³ leaves, and leaves are left over only above row 0"
)]
pub fn fold<T, B>(block: Block, size: TreeSize, tiles: &T, below: &B) -> Result<Subtree, T::Error>
where
    T: HashTiles,
    B: Blocks<Error = T::Error>,
{
    let Block { row, index } = block;
    let first = index * WIDTH;
    let whole = size.as_u64() >> block.shift();
    let count = whole.saturating_sub(first).min(WIDTH) as usize;
    let level = row / 2;
    let mut nodes = match (count, row % 2) {
        (0, _) => Vec::new(),
        (_, 0) => {
            let tile = tile_at(level, first / u64::from(FULL), size);
            let from = (first % u64::from(FULL)) as usize;
            tiles.part(tile, from..from + count)?
        }
        _ => {
            let hashes = tiles.part(tile_at(level, index, size), 0..count * WIDTH as usize)?;
            let roots = hashes.chunks_exact(WIDTH as usize);
            roots
                .map(|nodes| Subtree::over(nodes.to_vec()).root())
                .collect()
        }
    };
    let left_over = whole << block.shift() < size.as_u64();
    if left_over && (first..first + WIDTH).contains(&whole) {
        let rest = Block {
            row: row - 1,
            index: whole,
        };
        nodes.push(below.block(rest, size)?.root());
    }
    Ok(Subtree::over(nodes))
}

/// A tile as wide as a tree of `size` has it.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "callers name tiles that begin within the row"
)]
fn tile_at(level: u8, index: u64, size: TreeSize) -> Tile {
    let row = size.as_u64() >> (8 * u32::from(level));
    let width = (row - index * u64::from(FULL)).min(u64::from(FULL)) as u16;
    Tile {
        level,
        index,
        width,
    }
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
    inclusion_proof_in(index, size, &OfTiles::new(tiles))
}

/// [`inclusion_proof`] for those who keep blocks.
///
/// # Errors
/// Those of `blocks`.
///
/// # Panics
/// If there is no such entry.
pub fn inclusion_proof_in<B: Blocks>(
    index: LeafIndex,
    size: TreeSize,
    blocks: &B,
) -> Result<Vec<Hash>, B::Error> {
    assert!(
        index.as_u64() < size.as_u64(),
        "the caller checked the index"
    );
    let mut proof = Vec::with_capacity(64);
    climb(index.as_u64(), 0, size, blocks, &mut proof)?;
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
/// `old` is at least 1.
fn nodes<T: HashTiles>(
    old: TreeSize,
    new: TreeSize,
    tiles: &T,
    with_first: bool,
) -> Result<Vec<Hash>, T::Error> {
    // From the old tree's last perfect subtree upwards.
    let height = old.as_u64().trailing_zeros();
    let position = old.as_u64().saturating_sub(1) >> height;
    let mut proof = Vec::new();
    let subtree = climb(position, height, new, &OfTiles::new(tiles), &mut proof)?;
    if with_first {
        proof.insert(0, subtree);
    }
    Ok(proof)
}

/// The root of the tree of `size`.
///
/// # Errors
/// Those of `tiles`.
pub fn root<T: HashTiles>(size: TreeSize, tiles: &T) -> Result<Hash, T::Error> {
    if size.as_u64() == 0 {
        return Ok(EMPTY_ROOT);
    }
    let mut top = Block { row: 0, index: 0 };
    while size > top.sight(size) {
        top.row = top.row.saturating_add(1);
    }
    Ok(OfTiles::new(tiles).block(top, size)?.root())
}

/// Pushes the siblings on the way from the node at `position` among the roots over `2^height` leaves
/// up to the root of the tree of `size`; returns the node itself.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "`skipped` is below HEIGHT, and a tree has fewer than 17 rows of blocks"
)]
fn climb<B: Blocks>(
    position: u64,
    height: u32,
    size: TreeSize,
    blocks: &B,
    proof: &mut Vec<Hash>,
) -> Result<Hash, B::Error> {
    let skipped = height % HEIGHT;
    let mut block = Block {
        row: (height / HEIGHT) as u8,
        index: position >> (HEIGHT - skipped),
    };
    let mut at = (position % (WIDTH >> skipped)) as usize;
    let (mut below, mut node) = (skipped as usize, None);
    loop {
        let subtree = blocks.block(block, size)?;
        for row in subtree.rows().skip(below) {
            node = node.or(row.get(at).copied());
            proof.extend(row.get(at ^ 1));
            at /= 2;
        }
        if block.sight(size) == size && block.index == 0 {
            return Ok(node.expect("a block has every node below the tree's size"));
        }
        (below, at) = (0, (block.index % WIDTH) as usize);
        block = Block {
            row: block.row + 1,
            index: block.index / WIDTH,
        };
    }
}

/// The blocks of one proof, each made once.
struct OfTiles<'a, T> {
    tiles: &'a T,
    made: RefCell<HashMap<Block, Subtree>>,
}

impl<'a, T> OfTiles<'a, T> {
    fn new(tiles: &'a T) -> Self {
        Self {
            tiles,
            made: RefCell::default(),
        }
    }
}

impl<T: HashTiles> Blocks for OfTiles<'_, T> {
    type Error = T::Error;

    fn block(&self, block: Block, size: TreeSize) -> Result<Subtree, T::Error> {
        if let Some(made) = self.made.borrow().get(&block) {
            return Ok(made.clone());
        }
        let subtree = fold(block, size, self.tiles, self)?;
        self.made.borrow_mut().insert(block, subtree.clone());
        Ok(subtree)
    }
}
