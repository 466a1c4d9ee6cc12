//! A log as its operator could forge it: any entries, signed with the log's real key, and cosigned
//! with the witnesses' real keys at any time. What the operator alone cannot do, it may do here too.

use std::collections::BTreeMap;
use std::path::Path;

use whosaw::party::home::{key_path, read_key};
use whosaw::reader::source::{FolderSource, LogSource as _};
use whosaw::statement::envelope::Envelope;
use whosaw::statement::leaf::Leaf;
use whosaw::time::Time;
use whosaw::tlog::checkpoint::Checkpoint;
use whosaw::tlog::cosignature::Cosigner;
use whosaw::tlog::hash::leaf_hash;
use whosaw::tlog::note::LogSigner;
use whosaw::tlog::tile::{self, RightEdge};
use whosaw::tlog::tree::TreeSize;

/// The witnesses' names, which are their folders' too.
pub const WITNESSES: [&str; 2] = ["newsroom", "university"];

/// The keys that sign a log's checkpoints.
pub struct Forger {
    signer: LogSigner,
    witnesses: Vec<Cosigner>,
}

/// The files of a forged log, by path below `/log/`.
pub type Files = BTreeMap<String, Vec<u8>>;

impl Forger {
    /// Takes the keys of a ledger whose parties' folders lie in `root`.
    pub fn of(root: &Path) -> Self {
        let origin = "ledger.example/log".parse().unwrap();
        let signer = LogSigner::new(
            origin,
            read_key(&key_path(&root.join("operator"), "log")).unwrap(),
        );
        let witness = |name: &str| {
            let key = read_key(&key_path(&root.join(name), "witness")).unwrap();
            Cosigner::new(format!("{name}.example").parse().unwrap(), key)
        };
        Self {
            signer,
            witnesses: WITNESSES.map(witness).into(),
        }
    }

    /// A checkpoint over these leaves, cosigned at `time`.
    pub fn checkpoint(&self, leaves: &[Vec<u8>], time: Time) -> Vec<u8> {
        let mut edge = RightEdge::new();
        leaves.iter().for_each(|leaf| edge.append(leaf_hash(leaf)));
        let checkpoint = Checkpoint {
            origin: self.signer.origin().clone(),
            size: edge.size(),
            root: edge.root(),
        };
        let mut note = checkpoint.sign(&self.signer);
        note.signatures.extend(
            self.witnesses
                .iter()
                .map(|witness| witness.cosign(&checkpoint, time)),
        );
        note.to_bytes()
    }

    /// All files of a log of these leaves, cosigned at `time`.
    pub fn log(&self, leaves: &[Vec<u8>], time: Time) -> Files {
        let size = TreeSize::new(leaves.len() as u64);
        let mut edge = RightEdge::new();
        leaves.iter().for_each(|leaf| edge.append(leaf_hash(leaf)));
        let mut files = Files::from([("checkpoint".to_owned(), self.checkpoint(leaves, time))]);
        files.extend(
            edge.take_new_tiles()
                .into_iter()
                .map(|(tile, bytes)| (tile.path(), bytes)),
        );
        for bundle in tile::entry_tiles(size) {
            let start = usize::try_from(bundle.start()).unwrap();
            let entries = &leaves[start..start + usize::from(bundle.width)];
            files.insert(bundle.path(), tile::encode_entries(entries));
        }
        files
    }
}

/// The leaves of the log in a folder, under its checkpoint.
pub fn leaves(log: &Path) -> Vec<Vec<u8>> {
    let source = FolderSource::new(log);
    let note = whosaw::tlog::note::Note::parse(&source.checkpoint().unwrap()).unwrap();
    let size = Checkpoint::parse(&note.text).unwrap().size;
    let mut leaves = Vec::new();
    for bundle in tile::entry_tiles(size) {
        leaves.extend(source.entries(bundle).unwrap());
    }
    leaves
}

/// A leaf that holds this envelope, logged at `time`.
pub fn leaf(envelope: Envelope, time: Time) -> Vec<u8> {
    Leaf {
        logged_at: time.cut_to_minute(),
        envelope,
    }
    .to_bytes()
}
