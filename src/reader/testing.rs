//! Logs as somebody shows them, for tests: files in memory, made from real entries by real keys.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::source::{LogSource, SourceError};
use crate::statement::Signed;
use crate::statement::leaf::Leaf;
use crate::statement::testing::{
    self as statements, ORIGIN, Stage, World, agency_officer, listed, operator_admin,
};
use crate::statement::words::PartyKind;
use crate::time::Time;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::cosignature::Cosigner;
use crate::tlog::hash::leaf_hash;
use crate::tlog::mldsa::MlDsaSecretKey;
use crate::tlog::note::{LogSigner, VerifierKey};
use crate::tlog::policy::{Policy, PolicyLog, PolicyWitness};
use crate::tlog::tile::{self, RightEdge};
use crate::tlog::tree::TreeSize;

pub(crate) const WITNESSES: [&str; 3] = ["library", "newsroom", "university"];

/// When tests look at a log.
pub(crate) fn now() -> Time {
    "2019-08-01T12:00:00Z".parse().unwrap()
}

fn log_signer(origin: &str) -> LogSigner {
    LogSigner::new(origin.parse().unwrap(), statements::key("log"))
        .with_ml_dsa_44(MlDsaSecretKey::from_seed(&[1; 32]))
}

fn cosigner(witness: &str) -> Cosigner {
    let name = format!("{witness}.example/witness").parse().unwrap();
    Cosigner::new(name, statements::key(witness))
}

/// The log by its Ed25519 and its ML-DSA-44 key.
fn log_keys() -> [VerifierKey; 2] {
    let signer = log_signer(ORIGIN);
    [signer.verifier(), signer.ml_dsa_44_verifier().unwrap()]
}

/// The log, and any two of these witnesses.
pub(crate) fn policy_of(witnesses: &[&str]) -> Policy {
    policy_of_keys(log_keys().into(), witnesses)
}

/// The policies that name one of the log's keys.
pub(crate) fn policies_of_one_key() -> [Policy; 2] {
    log_keys().map(|key| policy_of_keys(vec![key], &WITNESSES))
}

fn policy_of_keys(log: Vec<VerifierKey>, witnesses: &[&str]) -> Policy {
    let log = log.into_iter().map(|key| PolicyLog { key, url: None });
    let witness = |name: &&str| PolicyWitness {
        name: (*name).to_owned(),
        key: cosigner(name).verifier(),
        url: None,
    };
    Policy::of(log.collect(), witnesses.iter().map(witness).collect(), 2).unwrap()
}

pub(crate) fn policy() -> Policy {
    static POLICY: LazyLock<Policy> = LazyLock::new(|| policy_of(&WITNESSES));
    POLICY.clone()
}

/// 600 leaves that the rules admit: the journey, then listed parties.
pub(crate) static LEAVES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut world = World::at(Stage::Collection);
    for n in world.history.len()..600 {
        let party = listed(&format!("p{n}.example"), PartyKind::Agency);
        world.log(party, operator_admin()).unwrap();
    }
    world.history.iter().map(leaf).collect()
});

/// An entry as a leaf.
pub(crate) fn leaf((logged_at, signed): &(Time, Signed)) -> Vec<u8> {
    Leaf {
        logged_at: *logged_at,
        envelope: signed.envelope.clone(),
    }
    .to_bytes()
}

/// The leaves of a log that ends with a consent and a close, and the collection that a lying
/// operator appends to it: one that the rules would admit, had the log not been closed.
pub(crate) fn closed() -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut world = World::at(Stage::Disclosure);
    let mut open = world.clone();
    open.log(open.collect(), agency_officer()).unwrap();
    world.close();
    let leaves = world.history.iter().map(leaf).collect();
    (leaves, leaf(open.history.last().unwrap()))
}

/// A log's files by path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown(pub BTreeMap<String, Vec<u8>>);

impl Shown {
    /// A log of `leaves` that was published at each of `sizes`, and lately at all of them.
    pub fn new(leaves: &[Vec<u8>], sizes: &[usize]) -> Self {
        let mut shown = Self::default();
        let mut edge = RightEdge::new();
        for size in sizes.iter().copied().chain([leaves.len()]) {
            let old = edge.size();
            for leaf in &leaves[old.as_u64() as usize..size] {
                edge.append(leaf_hash(leaf));
            }
            for bundle in tile::new_entry_tiles(old, edge.size()) {
                let start = bundle.start() as usize;
                let entries = &leaves[start..start + usize::from(bundle.width)];
                shown.put(&bundle.path(), tile::encode_entries(entries));
            }
            for (tile, bytes) in edge.take_new_tiles() {
                shown.put(&tile.path(), bytes);
            }
        }
        let checkpoint = Checkpoint {
            origin: ORIGIN.parse().unwrap(),
            size: TreeSize::new(leaves.len() as u64),
            root: edge.root(),
        };
        shown.sign(&checkpoint, &WITNESSES, now());
        shown
    }

    pub fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.0.insert(path.to_owned(), bytes);
    }

    /// Puts up a checkpoint, signed by the log and cosigned by `witnesses` at `time`.
    pub fn sign(&mut self, checkpoint: &Checkpoint, witnesses: &[&str], time: Time) {
        let mut note = checkpoint.sign(&log_signer(checkpoint.origin.as_str()));
        for witness in witnesses {
            let line = cosigner(witness).cosign(checkpoint, time);
            note.signatures.push(line);
        }
        self.put("checkpoint", note.to_bytes());
    }

    /// The same checkpoint, cosigned otherwise.
    pub fn cosigned(mut self, witnesses: &[&str], time: Time) -> Self {
        self.sign(&self.checkpoint_shown(), witnesses, time);
        self
    }

    pub fn checkpoint_shown(&self) -> Checkpoint {
        let witnessed = policy().verify(&self.0["checkpoint"], None, None);
        witnessed.unwrap().checkpoint
    }
}

impl LogSource for Shown {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.0.get(path).cloned())
    }
}
