//! What the entries make: tiles and bundles as far as they are filled, and roots on the way.

use std::collections::BTreeMap;

use crate::tlog::hash::{Hash, leaf_hash};
use crate::tlog::tile::{self, EntryTile, FULL, RightEdge, Tile};
use crate::tlog::tree::TreeSize;

/// Which tile or bundle: `level` is none for bundles of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub level: Option<u8>,
    pub index: u64,
}

impl Place {
    /// The place and the width that a path names.
    pub fn parse(path: &str) -> Option<(Self, u16)> {
        let tile = Tile::parse(path).map(|t| (Some(t.level), t.index, t.width));
        let found = tile.or_else(|_| EntryTile::parse(path).map(|b| (None, b.index, b.width)));
        let (level, index, width) = found.ok()?;
        Some((Self { level, index }, width))
    }

    /// The path at this width, below `/log/`.
    pub fn path(self, width: u16) -> String {
        let index = self.index;
        match self.level {
            Some(level) => Tile {
                level,
                index,
                width,
            }
            .path(),
            None => EntryTile { index, width }.path(),
        }
    }

    /// How wide it is in a log of `size`; 0 if that has none of it.
    pub fn width_at(self, size: u64) -> u16 {
        let row = size >> (8 * u32::from(self.level.unwrap_or(0)));
        let width = row.saturating_sub(self.index.saturating_mul(u64::from(FULL)));
        width.min(u64::from(FULL)) as u16
    }
}

/// A tile or bundle, full or as far as the entries fill it. It begins with every narrower one.
pub(super) struct Made {
    pub place: Place,
    bytes: Vec<u8>,
    /// Where each hash or entry ends.
    ends: Vec<usize>,
}

impl Made {
    fn tile(tile: Tile, bytes: Vec<u8>) -> Self {
        Self {
            place: Place {
                level: Some(tile.level),
                index: tile.index,
            },
            ends: (1..=usize::from(tile.width)).map(|n| n * 32).collect(),
            bytes,
        }
    }

    /// 1 to 256.
    pub fn width(&self) -> u16 {
        self.ends.len() as u16
    }

    /// The bytes of the file of this width; none if the entries do not fill it.
    pub fn of_width(&self, width: u16) -> Option<&[u8]> {
        let end = self.ends.get(usize::from(width).checked_sub(1)?)?;
        self.bytes.get(..*end)
    }
}

/// Makes them of entries, one by one. Holds what is not full yet.
pub(super) struct Maker {
    edge: RightEdge,
    /// By level, what was partial when it was looked at last.
    partial: BTreeMap<u8, Made>,
    bundle: Made,
    /// Sizes at which the root is asked for, and the roots found.
    roots: BTreeMap<u64, Option<Hash>>,
}

impl Maker {
    pub fn new(sizes: impl IntoIterator<Item = u64>) -> Self {
        let edge = RightEdge::new();
        let roots = sizes.into_iter().map(|size| match size {
            0 => (0, Some(edge.root())),
            _ => (size, None),
        });
        Self {
            roots: roots.collect(),
            partial: BTreeMap::new(),
            bundle: empty_bundle(0),
            edge,
        }
    }

    /// The number of entries taken in.
    pub fn size(&self) -> TreeSize {
        self.edge.size()
    }

    /// The root over them.
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    /// The root at one of the sizes asked for; none if there were fewer entries.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        self.roots.get(&size).copied().flatten()
    }

    /// Takes in entries, none longer than a leaf may be; what they filled.
    pub fn push(&mut self, leaves: &[Vec<u8>]) -> Vec<Made> {
        let mut full = Vec::new();
        for leaf in leaves {
            self.edge.append(leaf_hash(leaf));
            tile::push_entry(&mut self.bundle.bytes, leaf);
            self.bundle.ends.push(self.bundle.bytes.len());
            if self.bundle.width() == FULL {
                let next = empty_bundle(self.bundle.place.index + 1);
                full.push(std::mem::replace(&mut self.bundle, next));
            }
            if let Some(root) = self.roots.get_mut(&self.edge.size().as_u64()) {
                *root = Some(self.edge.root());
            }
        }
        for (tile, bytes) in self.edge.take_new_tiles() {
            let made = Made::tile(tile, bytes);
            match tile.width {
                FULL => {
                    self.partial.remove(&tile.level);
                    full.push(made);
                }
                _ => drop(self.partial.insert(tile.level, made)),
            }
        }
        full
    }

    /// What the last entries began and did not fill.
    pub fn finish(self) -> impl Iterator<Item = Made> {
        let bundle = (self.bundle.width() > 0).then_some(self.bundle);
        self.partial.into_values().chain(bundle)
    }
}

fn empty_bundle(index: u64) -> Made {
    Made {
        place: Place { level: None, index },
        bytes: Vec::new(),
        ends: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against what the log's writer makes of the same entries in other steps.
    #[test]
    fn what_is_made_is_what_the_log_has_at_every_size() {
        let leaves: Vec<Vec<u8>> = (0..66_000_u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let sizes = [0, 1, 255, 256, 257, 5_000, 65_536, 65_537, 66_000];
        let mut maker = Maker::new(sizes);
        let mut made: Vec<Made> = leaves
            .chunks(1000)
            .flat_map(|some| maker.push(some))
            .collect();
        for size in sizes {
            let mut edge = RightEdge::new();
            leaves[..size as usize]
                .iter()
                .for_each(|leaf| edge.append(leaf_hash(leaf)));
            assert_eq!(maker.root_at(size), Some(edge.root()));
        }
        assert_eq!(maker.root_at(77), None);
        made.extend(maker.finish());
        let made: BTreeMap<Place, Made> = made.into_iter().map(|made| (made.place, made)).collect();
        for size in sizes {
            let mut edge = RightEdge::new();
            leaves[..size as usize]
                .iter()
                .for_each(|leaf| edge.append(leaf_hash(leaf)));
            let mut tiles = 0;
            for (tile, bytes) in edge.take_new_tiles() {
                let (place, width) = Place::parse(&tile.path()).unwrap();
                assert_eq!(
                    (place.path(width), place.width_at(size)),
                    (tile.path(), width)
                );
                assert_eq!(made[&place].of_width(width), Some(bytes.as_slice()));
                tiles += 1;
            }
            for bundle in tile::entry_tiles(TreeSize::new(size)) {
                let (place, width) = Place::parse(&bundle.path()).unwrap();
                assert_eq!(
                    (place.path(width), place.width_at(size)),
                    (bundle.path(), width)
                );
                let (start, end) = (
                    bundle.start() as usize,
                    bundle.start() as usize + usize::from(width),
                );
                let bytes = tile::encode_entries(&leaves[start..end]);
                assert_eq!(made[&place].of_width(width), Some(bytes.as_slice()));
                tiles += 1;
            }
            let has = made.keys().filter(|place| place.width_at(size) > 0).count();
            assert_eq!(has, tiles, "of size {size}");
        }
        assert!(made.values().all(|made| made.of_width(0).is_none()));
        assert!(
            made.values()
                .all(|made| made.of_width(made.width() + 1).is_none())
        );
    }
}
