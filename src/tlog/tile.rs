//! Tiles and entry bundles: how a log is cut into static files
//! ([tlog-tiles](https://c2sp.org/tlog-tiles)).

use super::hash::{EMPTY_ROOT, Hash, node_hash};
use super::prove::HashTiles;
use super::tree::TreeSize;
use crate::encoding;

/// Hashes of a full tile, and entries of a full bundle.
pub const FULL: u16 = 256;

/// A tile of hashes: `width` of them at `level`, beginning with number `index * 256`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// 0 to 7: a tile's hashes cover 256^level leaves each.
    pub level: u8,
    pub index: u64,
    /// 1 to 256.
    pub width: u16,
}

/// A bundle of entries, beginning with entry `index * 256`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryTile {
    pub index: u64,
    /// 1 to 256.
    pub width: u16,
}

/// Why a path or a file is none of a log's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    #[error("not the path of a tile or bundle")]
    Path,
    #[error("the file does not hold exactly the hashes or entries of its width")]
    Content,
}

/// Levels that a tree of at most 2⁶³ leaves has tiles at.
const LEVELS: u8 = 8;

impl Tile {
    /// The path below the log's prefix.
    pub fn path(&self) -> String {
        format!(
            "tile/{}/{}",
            self.level,
            number_path(self.index, self.width)
        )
    }

    /// Parses what [`Tile::path`] writes, and nothing else.
    ///
    /// # Errors
    /// [`TileError::Path`].
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let rest = path.strip_prefix("tile/").ok_or(TileError::Path)?;
        let (level, number) = rest.split_once('/').ok_or(TileError::Path)?;
        let (index, width) = parse_number(number)?;
        let level = match level.as_bytes() {
            [digit @ b'0'..=b'7'] => digit & 7,
            _ => return Err(TileError::Path),
        };
        Ok(Self {
            level,
            index,
            width,
        })
    }

    /// The first leaf it covers, and how many leaves each of its hashes covers; `None` past 2⁶³.
    fn span(&self) -> Option<(u64, u64)> {
        let unit = 1u64.checked_shl(8 * u32::from(self.level))?;
        Some((self.index.checked_mul(256)?.checked_mul(unit)?, unit))
    }

    /// Whether a tree of `size` has hashes for the whole tile.
    pub fn is_within(&self, size: TreeSize) -> bool {
        self.span().is_some_and(|(first, unit)| {
            unit.checked_mul(u64::from(self.width))
                .and_then(|leaves| first.checked_add(leaves))
                .is_some_and(|end| end <= size.as_u64())
        })
    }
}

impl EntryTile {
    /// The path below the log's prefix.
    pub fn path(&self) -> String {
        format!("tile/entries/{}", number_path(self.index, self.width))
    }

    /// Parses what [`EntryTile::path`] writes, and nothing else.
    ///
    /// # Errors
    /// [`TileError::Path`].
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let number = path.strip_prefix("tile/entries/").ok_or(TileError::Path)?;
        let (index, width) = parse_number(number)?;
        Ok(Self { index, width })
    }

    /// The index of its first entry.
    pub fn start(&self) -> u64 {
        self.index.saturating_mul(256)
    }

    /// Whether a log of `size` has all its entries.
    pub fn is_within(&self, size: TreeSize) -> bool {
        self.start().saturating_add(self.width.into()) <= size.as_u64()
    }
}

/// `1234067` → `x001/x234/067`, then `.p/<width>` unless full.
fn number_path(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < FULL {
        path.push_str(&format!(".p/{width}"));
    }
    path
}

fn parse_number(text: &str) -> Result<(u64, u16), TileError> {
    let (number, width) = match text.split_once(".p/") {
        None => (text, FULL),
        Some((number, width)) => (number, width.parse().map_err(|_| TileError::Path)?),
    };
    let mut index = 0u64;
    for group in number.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TileError::Path);
        }
        let group: u64 = digits.parse().map_err(|_| TileError::Path)?;
        index = index
            .checked_mul(1000)
            .and_then(|index| index.checked_add(group))
            .ok_or(TileError::Path)?;
    }
    // No tree has more than 2⁶³ leaves, so no tile number times 256 overflows.
    if index > i64::MAX as u64 / 256 || !(1..=FULL).contains(&width) {
        return Err(TileError::Path);
    }
    // One path for one tile: the groups, the prefixes and the width as they would be written.
    if number_path(index, width) == text {
        Ok((index, width))
    } else {
        Err(TileError::Path)
    }
}

/// The hash tiles of a tree of `size`, full ones and those of its right edge, by level.
pub fn tiles(size: TreeSize) -> impl Iterator<Item = Tile> {
    new_tiles(TreeSize::new(0), size)
}

/// The hash tiles that a tree of `new` has and one of `old` has not.
pub fn new_tiles(old: TreeSize, new: TreeSize) -> impl Iterator<Item = Tile> {
    (0..LEVELS).flat_map(move |level| {
        let shift = 8 * u32::from(level);
        let (old, new) = (old.as_u64() >> shift, new.as_u64() >> shift);
        numbers(old, new).map(move |(index, width)| Tile {
            level,
            index,
            width,
        })
    })
}

/// The entry bundles of a log of `size`.
pub fn entry_tiles(size: TreeSize) -> impl Iterator<Item = EntryTile> {
    new_entry_tiles(TreeSize::new(0), size)
}

/// The entry bundles that a log of `new` has and one of `old` has not.
pub fn new_entry_tiles(old: TreeSize, new: TreeSize) -> impl Iterator<Item = EntryTile> {
    numbers(old.as_u64(), new.as_u64()).map(|(index, width)| EntryTile { index, width })
}

/// Numbers and widths of the tiles that change as a row of hashes grows from `old` to `new`.
fn numbers(old: u64, new: u64) -> impl Iterator<Item = (u64, u16)> {
    let last = if old == new {
        old / 256
    } else {
        new.div_ceil(256)
    };
    (old / 256..last).map(move |index| {
        let width = new
            .saturating_sub(index.saturating_mul(256))
            .min(FULL.into());
        (index, u16::try_from(width).expect("at most 256"))
    })
}

/// The bytes of a hash tile.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The hashes of a tile of `width`.
///
/// # Errors
/// [`TileError::Content`] unless there are exactly as many.
pub fn decode_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    if bytes.len() != usize::from(width) * 32 {
        return Err(TileError::Content);
    }
    let hash = |chunk: &[u8]| Hash::from_bytes(encoding::exact(chunk).expect("32 bytes"));
    Ok(bytes.chunks_exact(32).map(hash).collect())
}

/// The bytes of an entry bundle. Each entry has at most 65,535 bytes.
pub fn encode_entries(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        push_entry(&mut bytes, entry);
    }
    bytes
}

/// Adds an entry of at most 65,535 bytes to the bytes of a bundle.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) {
    let length = u16::try_from(entry.len()).expect("a leaf has at most 65,535 bytes");
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
}

/// The entries of a bundle of `width`.
///
/// # Errors
/// [`TileError::Content`] unless there are exactly as many and nothing is left over.
pub fn decode_entries(mut bytes: &[u8], width: u16) -> Result<Vec<Vec<u8>>, TileError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    // No more than are asked for: a file of zeros would be millions of empty entries.
    for _ in 0..width {
        let (length, rest) = bytes.split_first_chunk().ok_or(TileError::Content)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(TileError::Content)?;
        entries.push(entry.to_vec());
        bytes = rest;
    }
    if bytes.is_empty() {
        Ok(entries)
    } else {
        Err(TileError::Content)
    }
}

/// A growing tree as its writer sees it: the hashes of the last tile at each level.
#[derive(Debug, Clone, Default)]
pub struct RightEdge {
    size: u64,
    /// By level: the row's hashes since its last full tile.
    rows: Vec<Vec<Hash>>,
    /// Full tiles not taken yet.
    full: Vec<(Tile, Vec<u8>)>,
    /// The size when tiles were taken last.
    taken: u64,
}

impl RightEdge {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of the tree of `size`, from its tiles.
    ///
    /// # Errors
    /// Those of `tiles`.
    pub fn from_tiles<T: HashTiles>(size: TreeSize, tiles: &T) -> Result<Self, T::Error> {
        let mut edge = Self {
            size: size.as_u64(),
            taken: size.as_u64(),
            ..Self::default()
        };
        for level in 0..LEVELS {
            let row = size.as_u64() >> (8 * u32::from(level));
            if row == 0 {
                break;
            }
            let width = (row % 256) as u16;
            let tile = Tile {
                level,
                index: row / 256,
                width,
            };
            edge.rows.push(match width {
                0 => Vec::new(),
                _ => tiles.tile(tile)?,
            });
        }
        Ok(edge)
    }

    /// The number of leaves.
    pub fn size(&self) -> TreeSize {
        TreeSize::new(self.size)
    }

    /// The hashes of each row since its last full tile, by level.
    pub fn rows(&self) -> &[Vec<Hash>] {
        &self.rows
    }

    /// The hashes of the last tile of leaves, as far as it is filled.
    pub fn last_tile(&self) -> &[Hash] {
        self.rows.first().map_or(&[], Vec::as_slice)
    }

    /// Adds the hash of the next leaf.
    pub fn append(&mut self, leaf: Hash) {
        self.size = self.size.saturating_add(1);
        let mut hash = leaf;
        for level in 0..LEVELS {
            let Some(row) = self.rows.get_mut(usize::from(level)) else {
                self.rows.push(vec![hash]);
                return;
            };
            row.push(hash);
            if row.len() < usize::from(FULL) {
                return;
            }
            let hashes = std::mem::take(row);
            let above = u32::from(level).saturating_add(1).saturating_mul(8);
            let index = (self.size >> above).saturating_sub(1);
            let tile = Tile {
                level,
                index,
                width: FULL,
            };
            self.full.push((tile, encode_hashes(&hashes)));
            hash = perfect_root(hashes);
        }
    }

    /// The tiles that are new since they were taken last, full and partial, with their bytes.
    pub fn take_new_tiles(&mut self) -> Vec<(Tile, Vec<u8>)> {
        let mut tiles = std::mem::take(&mut self.full);
        for (level, hashes) in (0..).zip(&self.rows) {
            let shift = 8 * u32::from(level);
            let row = self.size >> shift;
            if hashes.is_empty() || row == self.taken >> shift {
                continue;
            }
            let width = u16::try_from(hashes.len()).expect("fewer than 256");
            let tile = Tile {
                level,
                index: row / 256,
                width,
            };
            tiles.push((tile, encode_hashes(hashes)));
        }
        self.taken = self.size;
        tiles
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        // Each row covers what the rows above do not: fold the perfect subtrees from the right.
        let mut right: Option<Hash> = None;
        for row in &self.rows {
            let mut rest = row.as_slice();
            while !rest.is_empty() {
                let width = 1 << rest.len().trailing_zeros();
                let (before, perfect) = rest.split_at(rest.len().saturating_sub(width));
                let left = perfect_root(perfect.to_vec());
                right = Some(match right {
                    None => left,
                    Some(right) => node_hash(&left, &right),
                });
                rest = before;
            }
        }
        right.unwrap_or(EMPTY_ROOT)
    }
}

/// The root over the hashes of a full tile; `None` unless there are as many.
pub fn root_of_full(hashes: &[Hash]) -> Option<Hash> {
    (hashes.len() == usize::from(FULL)).then(|| perfect_root(hashes.to_vec()))
}

/// The root over hashes whose number is a power of two.
fn perfect_root(mut hashes: Vec<Hash>) -> Hash {
    while hashes.len() > 1 {
        let (pairs, _) = hashes.as_chunks();
        hashes = pairs.iter().map(|[l, r]| node_hash(l, r)).collect();
    }
    hashes.first().copied().unwrap_or(EMPTY_ROOT)
}

#[cfg(test)]
mod tests;
