//! The log's public files: tiles, entry bundles and the checkpoint, as C2SP tlog-tiles has them.

use std::sync::Arc;
use std::time::Duration;

use crate::store::objects::Objects;
use crate::store::{StoreError, patiently};
use crate::tlog::hash::{Hash, leaf_hash};
use crate::tlog::prove::HashTiles;
use crate::tlog::tile::{self, EntryTile, RightEdge, Tile};
use crate::tlog::tree::TreeSize;

/// The path of the checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// Entries before the end of a log whose partial tiles a crash may have left behind: far more than
/// the pruner ever lags.
const LEFT_BEHIND: u64 = 1 << 22;

/// The folder served as `/log/`, for the write path: a file descriptor that is missing is waited for.
#[derive(Clone)]
pub struct LogFiles(Arc<dyn Objects>, Option<Arc<dyn Objects>>);

impl LogFiles {
    /// The log's files in `files`.
    pub fn new(files: impl Objects + 'static) -> Self {
        Self(Arc::new(files), None)
    }

    /// As [`LogFiles::new`], with a second folder that tiles and bundles are written to as well, durably
    /// and before the head over them is signed.
    pub fn with_copy(files: impl Objects + 'static, copy: impl Objects + 'static) -> Self {
        Self(Arc::new(files), Some(Arc::new(copy)))
    }

    /// Writes into the second folder, if there is one, what it lacks of the log of `size`.
    ///
    /// # Errors
    /// The store's; a file that exists there with other bytes.
    pub(super) fn complete_copy(&self, size: TreeSize) -> Result<(), StoreError> {
        let Some(copy) = &self.1 else {
            return Ok(());
        };
        let tiles = tile::tiles(size).map(|tile| tile.path());
        let bundles = tile::entry_tiles(size).map(|bundle| bundle.path());
        for path in tiles.chain(bundles) {
            if copy.read(&path)?.is_none() {
                let damaged = || StoreError::Damaged(format!("log/{path}: missing"));
                copy.create(&path, &self.0.read(&path)?.ok_or_else(damaged)?)?;
            }
        }
        Ok(())
    }

    /// The bytes of a file by its path below `/log/`.
    ///
    /// # Errors
    /// The store's; a path that is none of a log's is no error, and nothing is there.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match path {
            CHECKPOINT => patiently(|| self.0.read(path)),
            _ if Tile::parse(path).is_ok() || EntryTile::parse(path).is_ok() => {
                patiently(|| self.0.read(path))
            }
            _ => Ok(None),
        }
    }

    /// Whether there is no file at all. Costs a look at every file if there are some.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(patiently(|| self.0.list(""))?.is_empty())
    }

    /// The entries of a bundle.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the file is missing or malformed.
    pub fn entries(&self, bundle: EntryTile) -> Result<Vec<Vec<u8>>, StoreError> {
        let path = bundle.path();
        let damaged = |why: String| StoreError::Damaged(format!("log/{path}: {why}"));
        let bytes = patiently(|| self.0.read(&path))?;
        let bytes = bytes.ok_or_else(|| damaged("missing".to_owned()))?;
        tile::decode_entries(&bytes, bundle.width).map_err(|e| damaged(e.to_string()))
    }

    /// Puts the checkpoint in public.
    ///
    /// # Errors
    /// The store's.
    pub fn publish(&self, note: &[u8]) -> Result<(), StoreError> {
        patiently(|| self.0.replace(CHECKPOINT, note))
    }

    /// Removes partial tiles and bundles whose full ones became part of the log between `old` and
    /// `new`: nobody needs them once a checkpoint of `new` is public. After each file the disk is left to
    /// others for up to `rest`.
    ///
    /// # Errors
    /// The store's.
    pub fn prune(&self, old: TreeSize, new: TreeSize, rest: Duration) -> Result<(), StoreError> {
        let full = tile::new_tiles(old, new)
            .filter(|tile| tile.width == tile::FULL)
            .map(|tile| tile.path());
        let bundles = tile::new_entry_tiles(old, new)
            .filter(|bundle| bundle.width == tile::FULL)
            .map(|bundle| bundle.path());
        for path in full.chain(bundles) {
            let partial = format!("{path}.p");
            patiently(|| self.0.remove_all(&partial, rest))?;
            if let Some(copy) = &self.1 {
                patiently(|| copy.remove_all(&partial, rest))?;
            }
        }
        Ok(())
    }

    /// From where to prune at a start: a crash between publishing and pruning leaves files behind.
    pub(super) fn prune_from(size: TreeSize) -> TreeSize {
        TreeSize::new(size.as_u64().saturating_sub(LEFT_BEHIND))
    }
}

impl HashTiles for LogFiles {
    type Error = StoreError;

    /// A partial tile is pruned once nobody needs it, and its hashes are the first of the full one.
    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, StoreError> {
        let damaged = |why: &str| StoreError::Damaged(format!("log/{}: {why}", tile.path()));
        let full = Tile {
            width: tile::FULL,
            ..tile
        };
        let found = match patiently(|| self.0.read(&tile.path()))? {
            Some(bytes) => Some((bytes, tile.width)),
            None => patiently(|| self.0.read(&full.path()))?.map(|bytes| (bytes, full.width)),
        };
        let (bytes, width) = found.ok_or_else(|| damaged("missing"))?;
        let hashes = tile::decode_hashes(&bytes, width);
        let mut hashes = hashes.map_err(|_| damaged("not of its width"))?;
        hashes.truncate(tile.width.into());
        Ok(hashes)
    }
}

/// The growing end of a log: what its last tiles and its last bundle hold.
pub(super) struct LogEnd {
    edge: RightEdge,
    /// Entries of the bundle that is not full yet, encoded.
    bundle: Vec<u8>,
}

impl LogEnd {
    /// The end of an empty log.
    pub fn new() -> Self {
        Self {
            edge: RightEdge::new(),
            bundle: Vec::new(),
        }
    }

    /// The end of the log of `size`: hashes from its tiles, and `last` the leaves since its last
    /// full bundle.
    ///
    /// # Errors
    /// A tile that is missing or of another width; leaves that the tiles do not hash.
    pub fn open(size: TreeSize, files: &LogFiles, last: &[Vec<u8>]) -> Result<Self, StoreError> {
        let edge = RightEdge::from_tiles(size, files)?;
        let hashes = last.iter().map(|leaf| leaf_hash(leaf));
        if !hashes.eq(edge.last_tile().iter().copied()) {
            let why = format!("the last tile of size {size} is not of the journal's entries");
            return Err(StoreError::Damaged(why));
        }
        Ok(Self {
            edge,
            bundle: tile::encode_entries(last),
        })
    }

    /// The number of entries.
    pub fn size(&self) -> TreeSize {
        self.edge.size()
    }

    /// The root over them.
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    /// Takes entries in; the files that a log with them has and one without does not.
    pub fn append(&mut self, leaves: &[impl AsRef<[u8]>]) -> Vec<(String, Vec<u8>)> {
        let old = self.size();
        let mut files = Vec::new();
        let mut width = (old.as_u64() % u64::from(tile::FULL)) as u16;
        let mut index = old.as_u64() / u64::from(tile::FULL);
        for leaf in leaves {
            self.edge.append(leaf_hash(leaf.as_ref()));
            tile::push_entry(&mut self.bundle, leaf.as_ref());
            width += 1;
            if width == tile::FULL {
                let bytes = std::mem::take(&mut self.bundle);
                files.push((EntryTile { index, width }.path(), bytes));
                (index, width) = (index + 1, 0);
            }
        }
        if width > 0 && !leaves.is_empty() {
            files.push((EntryTile { index, width }.path(), self.bundle.clone()));
        }
        let tiles = self.edge.take_new_tiles();
        files.extend(tiles.into_iter().map(|(tile, bytes)| (tile.path(), bytes)));
        files
    }
}

impl LogFiles {
    /// Makes files durable, each created once.
    ///
    /// # Errors
    /// A file that exists with other bytes: another writer, or a second history.
    pub(super) fn create(&self, files: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        patiently(|| self.0.create_all(files))?;
        match &self.1 {
            None => Ok(()),
            Some(copy) => patiently(|| copy.create_all(files)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::files::{Access, Files};
    use crate::tlog::prove;
    use crate::tlog::tree::verify_consistency;

    /// A slow witness asks for what it lacks after the tiles that it needs were pruned.
    #[test]
    fn a_pruned_tile_is_read_from_the_full_one() {
        let folder = tempfile::tempdir().unwrap();
        let (root, staging) = (folder.path().join("log"), folder.path().join("staging"));
        let log = LogFiles::new(Files::open(&root, &staging, Access::Public).unwrap());
        let mut end = LogEnd::new();
        let mut grow = |leaves: std::ops::Range<u32>| {
            let leaves: Vec<_> = leaves.map(u32::to_le_bytes).collect();
            log.create(&end.append(&leaves)).unwrap();
            (end.size(), end.root())
        };
        let (old, old_root) = grow(0..100);
        let (new, new_root) = grow(100..250);
        let (later, _) = grow(250..260);
        log.prune(new, later, Duration::ZERO).unwrap();
        let partial = root.join("tile/0/000.p");
        assert!(!partial.exists());
        let proof = prove::consistency_proof(old, new, &log).unwrap();
        let checked = verify_consistency(old, &old_root, new, &new_root, &proof);
        assert_eq!(checked, Ok(()));
        let cut = |width| {
            log.tile(Tile {
                level: 0,
                index: 0,
                width,
            })
        };
        assert_eq!(cut(100).unwrap(), cut(256).unwrap()[..100]);
        assert!(matches!(
            log.tile(Tile {
                level: 0,
                index: 1,
                width: 5
            }),
            Err(StoreError::Damaged(_))
        ));
    }
}
