//! Reading the log's public files, and proofs out of them, fast and within bounded memory.
//!
//! A tile or bundle never changes under its name, so what was read may be kept; the checkpoint
//! changes, and is no business of this file. Kept are whole files that are asked for often, and the
//! blocks of the tree ([`Blocks`]), but of leaf hashes only those near the end: the others are most
//! of the tree and cost nothing but a read of 512 bytes, so they are left to the kernel's page cache. Both caches are
//! bounded by bytes and keep what is asked for again rather than what was asked for last.
//!
//! Files are read where the call is made, on an async worker too: what lies in the page cache takes
//! a few microseconds, less than handing the work to another thread and back.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::store::StoreError;
use crate::store::files::Files;
use crate::store::objects::Objects as _;
use crate::tlog::hash::Hash;
use crate::tlog::prove::{self, Block, Blocks, HashTiles, Subtree};
use crate::tlog::tile::{self, EntryTile, Tile};
use crate::tlog::tree::{LeafIndex, TreeSize};

/// Bytes of files that are kept: some eight thousand full tiles.
const FILES_KEPT: u64 = 64 << 20;
/// Bytes of blocks that are kept: all but the leaf hashes of a log of twelve million entries.
const BLOCKS_KEPT: u64 = 64 << 20;
/// How far from the end leaf hashes are kept too: proofs of new entries are what is asked for most.
const RECENT: u64 = 1 << 14;
/// What a kept thing costs beside its own bytes: key, counters, slots of the cache's tables.
const OVERHEAD: u64 = 128;
/// What the tables are laid out for at first; they grow.
const FIRST_ITEMS: usize = 1024;

/// The log's files as they are asked for.
pub struct LogReads {
    files: Files,
    /// By path below `/log/`. Only paths of files that exist come in.
    whole: Cache<Box<str>, Bytes, OfFile>,
    /// By place and by how much of the tree the block has seen.
    blocks: Cache<(Block, TreeSize), Subtree, OfBlock>,
}

#[derive(Clone)]
struct OfFile;

impl Weighter<Box<str>, Bytes> for OfFile {
    fn weight(&self, path: &Box<str>, bytes: &Bytes) -> u64 {
        OVERHEAD + (path.len() + bytes.len()) as u64
    }
}

#[derive(Clone)]
struct OfBlock;

impl Weighter<(Block, TreeSize), Subtree> for OfBlock {
    fn weight(&self, _: &(Block, TreeSize), subtree: &Subtree) -> u64 {
        OVERHEAD + subtree.size() as u64
    }
}

impl LogReads {
    /// Reads the log whose files are `files`.
    pub fn new(files: Files) -> Self {
        Self::keeping(files, FILES_KEPT, BLOCKS_KEPT)
    }

    /// Keeps at most so many bytes of files and of blocks.
    fn keeping(files: Files, of_files: u64, of_blocks: u64) -> Self {
        Self {
            files,
            whole: Cache::with_weighter(FIRST_ITEMS, of_files, OfFile),
            blocks: Cache::with_weighter(FIRST_ITEMS, of_blocks, OfBlock),
        }
    }

    /// The bytes of a tile or bundle by its path below `/log/`; `None` if there is none of this
    /// path, which is not remembered: it may come.
    ///
    /// # Errors
    /// The store's.
    pub fn file(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        if let Some(kept) = self.whole.get(path) {
            return Ok(Some(kept));
        }
        if Tile::parse(path).is_err() && EntryTile::parse(path).is_err() {
            return Ok(None);
        }
        let Some(bytes) = self.files.read(path)? else {
            return Ok(None);
        };
        let bytes = Bytes::from(bytes);
        self.whole.insert(path.into(), bytes.clone());
        Ok(Some(bytes))
    }

    /// The checkpoint's file, which another start of the server may have left.
    ///
    /// # Errors
    /// The store's.
    pub fn checkpoint(&self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.files.read(super::tiles::CHECKPOINT)?.map(Bytes::from))
    }

    /// The hashes that show that the entry at `index` stands in the tree of `size`, whose tiles are
    /// written.
    ///
    /// # Errors
    /// A tile that is missing or of another width.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn inclusion_proof(
        &self,
        index: LeafIndex,
        size: TreeSize,
    ) -> Result<Vec<Hash>, StoreError> {
        prove::inclusion_proof_in(index, size, self)
    }
}

impl Blocks for LogReads {
    type Error = StoreError;

    fn block(&self, block: Block, size: TreeSize) -> Result<Subtree, StoreError> {
        let recent = block.sight(size).as_u64() + RECENT >= size.as_u64();
        if block.row == 0 && block.is_full(size) && !recent {
            return prove::fold(block, size, self, self);
        }
        let key = (block, block.sight(size));
        if let Some(kept) = self.blocks.get(&key) {
            return Ok(kept);
        }
        let subtree = prove::fold(block, size, self, self)?;
        self.blocks.insert(key, subtree.clone());
        Ok(subtree)
    }
}

impl HashTiles for LogReads {
    type Error = StoreError;

    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, StoreError> {
        self.part(tile, 0..tile.width.into())
    }

    /// A partial tile is gone once nobody needs it, and its hashes are the first of the full one.
    fn part(&self, tile: Tile, range: Range<usize>) -> Result<Vec<Hash>, StoreError> {
        let width = tile::FULL;
        let damaged = |why: &str| StoreError::Damaged(format!("log/{}: {why}", tile.path()));
        let file = match self.files.file(&tile.path())? {
            None if tile.width < width => self.files.file(&Tile { width, ..tile }.path())?,
            found => found,
        };
        let file = file.ok_or_else(|| damaged("missing"))?;
        let mut bytes = vec![0; range.len() * size_of::<Hash>()];
        let read = file.read_exact_at(&mut bytes, (range.start * size_of::<Hash>()) as u64);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("not of its width"),
            _ => damaged(&error.to_string()),
        })?;
        // The range is not longer than a tile.
        tile::decode_hashes(&bytes, range.len() as u16).map_err(|_| damaged("not of its width"))
    }
}

#[cfg(test)]
mod tests;
