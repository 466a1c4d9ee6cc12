use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::store::files::Access;
use crate::tlog::hash::leaf_hash;
use crate::tlog::tile::RightEdge;
use crate::tlog::tree::verify_inclusion;

/// A log's folder. Its files are written without waiting for the disk.
struct Log {
    folder: TempDir,
    edge: RightEdge,
}

impl Log {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            edge: RightEdge::new(),
        }
    }

    fn reads(&self) -> LogReads {
        self.keeping(FILES_KEPT, BLOCKS_KEPT)
    }

    fn keeping(&self, of_files: u64, of_blocks: u64) -> LogReads {
        let (root, staging) = (self.root(), self.folder.path().join("staging"));
        let files = Files::open(&root, &staging, Access::Public).unwrap();
        LogReads::keeping(files, of_files, of_blocks)
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("log")
    }

    fn grow(&mut self, size: u64) {
        for n in self.edge.size().as_u64()..size {
            self.edge.append(leaf(n));
        }
        for (tile, bytes) in self.edge.take_new_tiles() {
            write(&self.root().join(tile.path()), &bytes);
        }
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn leaf(n: u64) -> Hash {
    leaf_hash(&n.to_le_bytes())
}

/// Blocks that are never kept.
struct Anew<'a>(&'a LogReads);

impl Blocks for Anew<'_> {
    type Error = StoreError;

    fn block(&self, block: Block, size: TreeSize) -> Result<Subtree, StoreError> {
        prove::fold(block, size, self.0, self)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However a log grew, whatever was asked before, and whether much is kept or next to nothing.
    #[test]
    fn what_is_kept_proves_what_the_tiles_prove(
        steps in prop::collection::vec((1u64..700, prop::collection::vec(any::<(u64, usize)>(), 1..20)), 1..8),
        small in any::<bool>(),
    ) {
        let mut log = Log::new();
        let reads = if small { log.keeping(0, 4096) } else { log.reads() };
        let mut trees: Vec<(TreeSize, Hash)> = Vec::new();
        for (growth, questions) in steps {
            log.grow(log.edge.size().as_u64() + growth);
            trees.push((log.edge.size(), log.edge.root()));
            for (index, tree) in questions {
                // Older trees, too: a proof may be asked for while the log grows.
                let (size, root) = trees[tree % trees.len()];
                let index = LeafIndex::new(index % size.as_u64());
                let proof = reads.inclusion_proof(index, size).unwrap();
                let anew = prove::inclusion_proof_in(index, size, &Anew(&reads)).unwrap();
                prop_assert_eq!(&proof, &anew);
                let hash = leaf(index.as_u64());
                prop_assert_eq!(verify_inclusion(index, size, &hash, &proof, &root), Ok(()));
            }
        }
    }
}

/// Three levels of tiles, the last of them begun: each row's right edge is proven.
#[test]
fn a_log_of_70000_is_proven() {
    let mut log = Log::new();
    log.grow(70_000);
    let (size, root, reads) = (log.edge.size(), log.edge.root(), log.reads());
    let edges = [0, 4095, 4096, 65_535, 65_536, 69_887, 69_888, 69_999];
    for index in edges.into_iter().chain((0..70_000).step_by(997)) {
        let at = LeafIndex::new(index);
        let proof = reads.inclusion_proof(at, size).unwrap();
        assert_eq!(
            verify_inclusion(at, size, &leaf(index), &proof, &root),
            Ok(())
        );
    }
}

#[test]
fn a_full_tile_serves_for_a_narrower_one_and_never_the_other_way_round() {
    let mut log = Log::new();
    log.grow(250);
    let reads = log.reads();
    let (index, narrow) = (LeafIndex::new(3), TreeSize::new(250));
    let proof = reads.inclusion_proof(index, narrow).unwrap();
    let lacking = reads.inclusion_proof(index, TreeSize::new(251));
    assert!(
        matches!(lacking, Err(StoreError::Damaged(_))),
        "{lacking:?}"
    );
    log.grow(256);
    std::fs::remove_dir_all(log.root().join("tile/0/000.p")).unwrap();
    assert_eq!(log.reads().inclusion_proof(index, narrow).unwrap(), proof);
    assert_eq!(reads.inclusion_proof(index, narrow).unwrap(), proof);
    let full = reads.inclusion_proof(index, TreeSize::new(256)).unwrap();
    let root = log.edge.root();
    let hash = leaf(3);
    assert_eq!(
        verify_inclusion(index, TreeSize::new(256), &hash, &full, &root),
        Ok(())
    );
}

#[test]
fn a_tile_that_was_cut_short_proves_nothing() {
    let mut log = Log::new();
    log.grow(300);
    write(&log.root().join("tile/0/000"), &[0; 32 * 200]);
    let reads = log.reads();
    let proof = reads.inclusion_proof(LeafIndex::new(290), TreeSize::new(300));
    assert!(proof.is_ok(), "{proof:?}: its right edge has all it needs");
    let proof = reads.inclusion_proof(LeafIndex::new(210), TreeSize::new(300));
    assert!(matches!(proof, Err(StoreError::Damaged(_))), "{proof:?}");
}

#[test]
fn only_tiles_and_bundles_are_read_and_only_what_is_there_is_kept() {
    let log = Log::new();
    let reads = log.reads();
    write(&log.folder.path().join("secret"), b"secret");
    write(&log.root().join("checkpoint"), b"note");
    write(&log.root().join("tile/0/000.p/256"), b"no name");
    for path in [
        "",
        "checkpoint",
        "../secret",
        "tile/../../secret",
        "/tile/0/000",
        "tile/0",
        "tile/0/000.p",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/8/000",
        "tile/00/000",
    ] {
        assert_eq!(reads.file(path).unwrap(), None, "{path}");
    }
    for path in ["tile/0/000.p/5", "tile/0/000", "tile/entries/000"] {
        assert_eq!(reads.file(path).unwrap(), None, "{path}");
        write(&log.root().join(path), path.as_bytes());
        for _ in 0..2 {
            assert_eq!(reads.file(path).unwrap().unwrap(), path);
        }
    }
    assert_eq!(reads.whole.len(), 3);
    assert_eq!(reads.checkpoint().unwrap().unwrap(), &b"note"[..]);
}

#[test]
fn what_is_kept_is_bounded_by_its_bytes() {
    let mut log = Log::new();
    log.grow(40 * 256);
    let (of_files, of_blocks) = (128 << 10, 16 << 10);
    let reads = log.keeping(of_files, of_blocks);
    for n in 0..40 {
        let path = format!("tile/0/{n:03}");
        assert_eq!(reads.file(&path).unwrap().unwrap().len(), 8192);
        reads
            .inclusion_proof(LeafIndex::new(n * 256), log.edge.size())
            .unwrap();
    }
    for (weight, most) in [
        (reads.whole.weight(), of_files),
        (reads.blocks.weight(), of_blocks),
    ] {
        assert!((1..=most).contains(&weight), "{weight} of {most}");
    }
}
