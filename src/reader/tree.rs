//! The hash tiles of a verified copy's tree, out of its own leaves.
//!
//! Kept in memory, 32 bytes an entry, so that only the first proof hashes the whole copy: a reader
//! proves many entries at once, and needs no server for it.

use std::collections::BTreeMap;

use crate::store::StoreError;
use crate::store::journal::JournalRead;
use crate::tlog::hash::{Hash, leaf_hash};
use crate::tlog::prove::HashTiles;
use crate::tlog::tile::{self, RightEdge, Tile};
use crate::tlog::tree::TreeSize;

/// Leaves that are read at once.
const READ: u64 = 1024;

/// A tree that grows with its journal.
#[derive(Default)]
pub struct Tree {
    edge: RightEdge,
    /// Every full tile, and the partial ones of the sizes that it stopped at.
    tiles: BTreeMap<Tile, Vec<u8>>,
}

impl Tree {
    /// Takes in the leaves of `journal` up to `size`.
    ///
    /// # Errors
    /// The journal's, and [`StoreError::Damaged`] if it has fewer leaves.
    pub fn grow(&mut self, journal: &impl JournalRead, size: TreeSize) -> Result<(), StoreError> {
        while self.edge.size() < size {
            let from = self.edge.size().as_u64();
            let to = size.as_u64().min(from.saturating_add(READ));
            let leaves = journal.leaves(from..to)?;
            if leaves.is_empty() {
                return Err(StoreError::Damaged(format!("entry {from} is missing")));
            }
            for leaf in leaves {
                self.edge.append(leaf_hash(&leaf));
            }
        }
        self.tiles.extend(self.edge.take_new_tiles());
        Ok(())
    }
}

impl HashTiles for Tree {
    type Error = StoreError;

    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, StoreError> {
        let bytes = self.tiles.get(&tile);
        let hashes = bytes.and_then(|bytes| tile::decode_hashes(bytes, tile.width).ok());
        hashes
            .ok_or_else(|| StoreError::Damaged(format!("no {}: the copy is shorter", tile.path())))
    }
}
