//! A log of any size without the work of one: opaque entries, put into journal and tiles as the
//! write path leaves them, but unsigned, unjudged, and of the entry bundles only the last. Enough to
//! start a server on and to prove entries; no auditor would take it.

use std::path::Path;

use whosaw::digest::{Digest, StatementId};
use whosaw::statement::leaf::Leaf;
use whosaw::store::journal::{Commit, Head, Journal as _, JournalRead as _, NewEntry};
use whosaw::store::sqlite::SqliteJournal;
use whosaw::time::Clock;
use whosaw::tlog::checkpoint::Checkpoint;
use whosaw::tlog::hash::leaf_hash;
use whosaw::tlog::tile::{self, RightEdge};
use whosaw::tlog::tree::TreeSize;

use super::workload::Workload;

/// Entries to a transaction.
const BATCH: u64 = 1 << 16;

/// The id of the entry at `index`.
pub fn id(index: u64) -> StatementId {
    StatementId::from_bytes(*Digest::of(index.to_le_bytes()).as_bytes())
}

/// The bytes of the entry at `index`, but for the last one.
pub fn leaf(index: u64, length: usize) -> Vec<u8> {
    let mut leaf = index.to_le_bytes().to_vec();
    leaf.resize(length, b' ');
    leaf
}

/// Makes `entries` entries of `length` bytes the log of a new operator; its signed checkpoint.
pub fn fill(workload: &Workload, entries: u64, length: usize) -> Checkpoint {
    let root = workload.operator.home().root();
    let mut journal = SqliteJournal::open(&root.join("ledger.db")).expect("a new journal");
    let mut edge = RightEdge::new();
    for first in (0..entries).step_by(BATCH as usize) {
        let end = (first + BATCH).min(entries);
        let new = |index| NewEntry {
            id: id(index),
            leaf: if index == entries - 1 {
                last(workload)
            } else {
                leaf(index, length)
            },
            admitted: true,
        };
        let entries: Vec<_> = (first..end).map(new).collect();
        for entry in &entries {
            edge.append(leaf_hash(&entry.leaf));
        }
        write_tiles(&mut edge, &root.join("log"));
        let commit = Commit {
            first,
            entries,
            facts: Vec::new(),
            frontier: Vec::new(),
        };
        journal.commit(&commit).expect("room for entries");
        if (first / BATCH).is_multiple_of(16) {
            eprintln!("{end} entries");
        }
    }
    write_last_bundle(&journal, entries, &root.join("log"));
    let signer = workload.operator.signer().expect("its keys");
    let checkpoint = Checkpoint {
        origin: signer.origin().clone(),
        size: edge.size(),
        root: edge.root(),
    };
    let head = Head {
        size: entries,
        root: *checkpoint.root.as_bytes(),
        note: checkpoint.sign(&signer).to_bytes(),
    };
    journal.advance(None, &head).expect("a first head");
    checkpoint
}

/// The last entry is read at a start, for its time.
fn last(workload: &Workload) -> Vec<u8> {
    Leaf {
        logged_at: Clock::system().now().cut_to_minute(),
        envelope: workload.statement(8).envelope,
    }
    .to_bytes()
}

/// Writes tiles without waiting for the disk.
fn write_tiles(edge: &mut RightEdge, log: &Path) {
    for (tile, bytes) in edge.take_new_tiles() {
        write(&log.join(tile.path()), &bytes);
    }
}

/// Writes the bundle that a start compares with the journal.
fn write_last_bundle(journal: &SqliteJournal, entries: u64, log: &Path) {
    let (before, size) = (TreeSize::new(entries - 1), TreeSize::new(entries));
    for bundle in tile::new_entry_tiles(before, size) {
        let leaves = journal.leaves(entries - u64::from(bundle.width)..entries);
        let bytes = tile::encode_entries(&leaves.expect("the last entries"));
        write(&log.join(bundle.path()), &bytes);
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, bytes).expect("room for files");
}
