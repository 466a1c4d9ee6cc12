//! The log's public files: tiles, entry bundles and the checkpoint, as C2SP tlog-tiles has them.

use crate::store::StoreError;
use crate::store::files::Files;
use crate::store::objects::Objects as _;
use crate::tlog::hash::Hash;
use crate::tlog::prove::HashTiles;
use crate::tlog::tile::{self, EntryTile, RightEdge, Tile};
use crate::tlog::tree::TreeSize;

/// The path of the checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";

/// The folder served as `/log/`.
#[derive(Debug, Clone)]
pub struct LogFiles(Files);

impl LogFiles {
    /// The log's files in `files`.
    pub fn new(files: Files) -> Self {
        Self(files)
    }

    /// The bytes of a file by its path below `/log/`.
    ///
    /// # Errors
    /// The store's; a path that is none of a log's is no error, and nothing is there.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match path {
            CHECKPOINT => self.0.read(path),
            _ if Tile::parse(path).is_ok() || EntryTile::parse(path).is_ok() => self.0.read(path),
            _ => Ok(None),
        }
    }

    /// The right edge of the tree of `size`, from its tiles.
    ///
    /// # Errors
    /// A tile that is missing or of another width.
    pub fn right_edge(&self, size: TreeSize) -> Result<RightEdge, StoreError> {
        RightEdge::from_tiles(size, self)
    }

    /// Writes what the entries `leaves` add to a log of size `old`: entry bundles and tiles, each
    /// created once and durable. `edge` covers them already.
    ///
    /// # Errors
    /// A file that exists with other bytes: another writer, or a second history.
    pub fn write(
        &self,
        old: TreeSize,
        leaves: &[Vec<u8>],
        edge: &mut RightEdge,
    ) -> Result<(), StoreError> {
        let new = edge.size();
        for bundle in tile::new_entry_tiles(old, new) {
            // A bundle may begin before `old`: what was written of it is read again.
            let start = bundle.start();
            let mut entries = Vec::new();
            if start < old.as_u64() {
                let known = EntryTile {
                    index: bundle.index,
                    width: (old.as_u64() - start) as u16,
                };
                entries = self.entries(known)?;
            }
            let from = start.max(old.as_u64()) - old.as_u64();
            let to = start + u64::from(bundle.width) - old.as_u64();
            entries.extend_from_slice(&leaves[from as usize..to as usize]);
            self.0
                .create(&bundle.path(), &tile::encode_entries(&entries))?;
        }
        for (tile, bytes) in edge.take_new_tiles() {
            self.0.create(&tile.path(), &bytes)?;
        }
        Ok(())
    }

    /// The entries of a bundle.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the file is missing or malformed.
    pub fn entries(&self, bundle: EntryTile) -> Result<Vec<Vec<u8>>, StoreError> {
        let path = bundle.path();
        let damaged = |why: String| StoreError::Damaged(format!("log/{path}: {why}"));
        let bytes = self
            .0
            .read(&path)?
            .ok_or_else(|| damaged("missing".to_owned()))?;
        tile::decode_entries(&bytes, bundle.width).map_err(|e| damaged(e.to_string()))
    }

    /// Puts the checkpoint in public.
    ///
    /// # Errors
    /// The store's.
    pub fn publish(&self, note: &[u8]) -> Result<(), StoreError> {
        self.0.replace(CHECKPOINT, note)
    }
}

impl LogFiles {
    /// Removes partial tiles and bundles whose full ones exist, behind a log of `size`.
    ///
    /// # Errors
    /// The store's.
    pub fn prune(&self, old: TreeSize, new: TreeSize) -> Result<(), StoreError> {
        let full = tile::new_tiles(old, new)
            .filter(|tile| tile.width == tile::FULL)
            .map(|tile| tile.path());
        let bundles = tile::new_entry_tiles(old, new)
            .filter(|bundle| bundle.width == tile::FULL)
            .map(|bundle| bundle.path());
        for path in full.chain(bundles) {
            for partial in self.0.list(&format!("{path}.p"))? {
                self.0.remove(&partial)?;
            }
        }
        Ok(())
    }
}

impl HashTiles for LogFiles {
    type Error = StoreError;

    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, StoreError> {
        let path = tile.path();
        let damaged = |why: &str| StoreError::Damaged(format!("log/{path}: {why}"));
        let bytes = self.0.read(&path)?.ok_or_else(|| damaged("missing"))?;
        tile::decode_hashes(&bytes, tile.width).map_err(|_| damaged("not of its width"))
    }
}
