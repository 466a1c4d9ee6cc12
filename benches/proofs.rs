//! Inclusion proofs out of the tiles of a log of ten million entries, uniformly random, by two
//! threads: what the library does for `GET /api/v1/proofs/{id}`, without journal and HTTP.
//!
//! `cargo bench --bench proofs [-- ENTRIES]`. The tiles (320 MB) lie in a temporary folder and, as
//! they were just written, in the page cache; the caches of the reader are empty at first.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use whosaw::ledger::LogReads;
use whosaw::store::files::{Access, Files};
use whosaw::tlog::hash::{Hash, leaf_hash};
use whosaw::tlog::tile::RightEdge;
use whosaw::tlog::tree::{LeafIndex, TreeSize, verify_inclusion};

/// Proofs a second that two threads must reach.
const LIMIT: f64 = 50_000.0;
const THREADS: u64 = 2;
const SECONDS: u32 = 8;
/// Every so many proofs, one is verified.
const VERIFIED: u64 = 1024;

fn main() {
    // Cargo passes options of its own.
    let entries = std::env::args().find_map(|argument| argument.parse().ok());
    let size = TreeSize::new(entries.unwrap_or(10_000_000));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let since = Instant::now();
    let root = build(size, &folder.path().join("log"));
    println!(
        "{size} entries: tiles built in {:.1} s",
        since.elapsed().as_secs_f64()
    );
    let (log, staging) = (folder.path().join("log"), folder.path().join("staging"));
    let files = Files::open(&log, &staging, Access::Public).expect("the folders just made");
    let reads = LogReads::new(files);

    let (proofs, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut last = 0.0;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (reads, proofs, stop, root) = (&reads, &proofs, &stop, &root);
            scope.spawn(move || prove(reads, size, root, thread, proofs, stop));
        }
        for second in 1..=SECONDS {
            let (since, before) = (Instant::now(), proofs.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_secs(1));
            let made = proofs.load(Ordering::Relaxed) - before;
            last = made as f64 / since.elapsed().as_secs_f64();
            println!("second {second}: {last:>9.0} proofs/s");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let reached = if last >= LIMIT { "reached" } else { "missed" };
    println!("limit {LIMIT:.0} proofs/s with {THREADS} threads: {reached}");
}

/// Proves random entries until told to stop.
fn prove(
    reads: &LogReads,
    size: TreeSize,
    root: &Hash,
    seed: u64,
    proofs: &AtomicU64,
    stop: &AtomicBool,
) {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // xorshift64: any spread over the whole log will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let index = LeafIndex::new(state % size.as_u64());
        let proof = reads.inclusion_proof(index, size).expect("tiles are whole");
        proofs.fetch_add(1, Ordering::Relaxed);
        if n % VERIFIED == 0 {
            let hash = leaf(index.as_u64());
            verify_inclusion(index, size, &hash, &proof, root).expect("a true proof");
        }
    }
}

/// Writes the tiles of a tree of `size`, without waiting for the disk; its root.
fn build(size: TreeSize, log: &Path) -> Hash {
    let mut edge = RightEdge::new();
    for n in 0..size.as_u64() {
        edge.append(leaf(n));
        if (n + 1) % 65_536 == 0 || n + 1 == size.as_u64() {
            for (tile, bytes) in edge.take_new_tiles() {
                let path = log.join(tile.path());
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                std::fs::write(path, bytes).expect("room for tiles");
            }
        }
    }
    edge.root()
}

fn leaf(n: u64) -> Hash {
    leaf_hash(&n.to_le_bytes())
}
