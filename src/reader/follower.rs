//! A follower: a verified copy of one log that never goes back.
//!
//! It reads every entry from the log's files, checks them against a checkpoint that extends the last
//! one seen and that a fresh quorum of witnesses has cosigned, and replays the rules. What it then
//! says about the log (facts, entries, proofs) needs nobody's word.

use crate::digest::StatementId;
use crate::statement::Signed;
use crate::statement::facts::{Facts as _, Pending};
use crate::statement::leaf::Leaf;
use crate::statement::refusal::Refusal;
use crate::store::StoreError;
use crate::store::facts::{JournalFacts, encode};
use crate::store::journal::{Commit, Head, Journal, NewEntry};
use crate::time::Time;
use crate::tlog::checkpoint::{Checkpoint, Origin};
use crate::tlog::hash::{Hash, leaf_hash};
use crate::tlog::policy::{Policy, PolicyError, WitnessedCheckpoint};
use crate::tlog::proof::TlogProof;
use crate::tlog::prove::{self, HashTiles};
use crate::tlog::tile::{self, Tile};
use crate::tlog::tree::{Frontier, LeafIndex, TreeSize, verify_consistency};

use super::replay;
use super::source::{LogSource, SourceError, Tiles};

/// The oldest cosignature that counts, in seconds.
pub const MAX_AGE: i64 = 3600;
/// How far a witness's clock may be ahead, in seconds.
const MAX_AHEAD: i64 = 300;
/// Entries that are replayed and committed at once.
const CHUNK: usize = 4096;

/// Why a log is not believed. What was believed before stands.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error("the trust file is refused: {0}")]
    Policy(PolicyError),
    #[error("the ledger's checkpoint does not count: {0}")]
    Checkpoint(PolicyError),
    #[error(
        "the ledger went back: it shows {shown} entries, and {seen} were seen before; somebody \
         takes entries away"
    )]
    RolledBack { shown: TreeSize, seen: TreeSize },
    #[error(
        "the ledger shows another history than before (at {at} entries); keep this folder, it \
         holds the proof, and tell the witnesses"
    )]
    Forked { at: TreeSize },
    #[error("the entries shown are not those that the checkpoint stands for")]
    Damaged,
    #[error("this copy is of the log {0}: another log needs another folder")]
    OtherLog(Origin),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an update brought.
#[derive(Debug)]
pub struct Update {
    /// Entries known before.
    pub from: TreeSize,
    /// Entries known now.
    pub to: TreeSize,
    /// Entries that the rules forbid: they stand in the log and change nothing.
    pub findings: Vec<(LeafIndex, Refusal)>,
}

/// An entry of the verified copy.
#[derive(Debug)]
pub struct Entry {
    pub index: LeafIndex,
    pub logged_at: Time,
    pub signed: Signed,
}

/// A verified copy of a log, in a journal.
pub struct Follower<J> {
    journal: J,
    policy: Policy,
}

impl<J: Journal> Follower<J> {
    /// The copy in `journal`, of the log that `policy` names.
    ///
    /// # Errors
    /// [`FollowError::Policy`] for a quorum that does not bind the operator.
    pub fn open(journal: J, policy: Policy) -> Result<Self, FollowError> {
        policy.check_independent().map_err(FollowError::Policy)?;
        Ok(Self { journal, policy })
    }

    /// The trust file.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Verifies what is new, and takes it over; all of it or nothing.
    ///
    /// # Errors
    /// [`FollowError`], one variant for each way in which a log deceives.
    pub fn update(
        &mut self,
        source: &dyn LogSource,
        now: Time,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Update, FollowError> {
        let note = source.checkpoint()?;
        let (oldest, newest) = (now.plus_seconds(-MAX_AGE), now.plus_seconds(MAX_AHEAD));
        let witnessed = self.policy.verify(&note, Some(oldest), Some(newest));
        let checkpoint = witnessed.map_err(FollowError::Checkpoint)?.checkpoint;
        let seen = self.checkpoint()?.map(|(checkpoint, _)| checkpoint);
        self.check_against(seen.as_ref(), &checkpoint)?;

        let from = seen.as_ref().map_or(TreeSize::new(0), |seen| seen.size);
        let to = checkpoint.size;
        // A crash after some commits and before the head moved: those entries were verified.
        let committed = TreeSize::new(self.journal.size()?);
        let leaves = self.fetch(source, committed, &checkpoint, progress)?;
        let findings = self.replay(&checkpoint.origin, &leaves)?;
        let head = Head {
            size: to.as_u64(),
            root: *checkpoint.root.as_bytes(),
            note,
        };
        self.journal
            .advance(seen.map(|seen| seen.size.as_u64()), &head)?;
        Ok(Update { from, to, findings })
    }

    /// The new checkpoint extends the old one, as far as sizes and roots tell.
    fn check_against(
        &self,
        seen: Option<&Checkpoint>,
        new: &Checkpoint,
    ) -> Result<(), FollowError> {
        let Some(seen) = seen else {
            return Ok(());
        };
        if seen.origin != new.origin {
            return Err(FollowError::OtherLog(seen.origin.clone()));
        }
        if new.size < seen.size {
            return Err(FollowError::RolledBack {
                shown: new.size,
                seen: seen.size,
            });
        }
        if new.size == seen.size && new.root != seen.root {
            return Err(FollowError::Forked { at: new.size });
        }
        Ok(())
    }

    /// The leaves from `from` to the checkpoint, once they hash to its root together with the copy.
    ///
    /// Holds them in memory: an update is what came since the last one.
    fn fetch(
        &self,
        source: &dyn LogSource,
        from: TreeSize,
        checkpoint: &Checkpoint,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<Vec<u8>>, FollowError> {
        let to = checkpoint.size;
        let mut frontier = self.frontier()?;
        if from > to {
            // Entries were committed under a checkpoint whose head was not: it was larger.
            return Err(FollowError::RolledBack {
                shown: to,
                seen: from,
            });
        }
        let known = frontier.clone();
        let mut leaves = Vec::new();
        for bundle in tile::new_entry_tiles(from, to) {
            let entries = source.entries(bundle)?;
            let skip = from.as_u64().saturating_sub(bundle.start());
            for leaf in entries
                .into_iter()
                .skip(usize::try_from(skip).expect("less than 256"))
            {
                frontier.push(leaf_hash(&leaf));
                leaves.push(leaf);
            }
            progress(leaves.len() as u64, to.as_u64() - from.as_u64());
        }
        if frontier.root() == checkpoint.root {
            return Ok(leaves);
        }
        Err(self.explain(source, &known, checkpoint)?)
    }

    /// Why entries do not hash to the checkpoint's root: another history, or damage on the way.
    fn explain(
        &self,
        source: &dyn LogSource,
        known: &Frontier,
        new: &Checkpoint,
    ) -> Result<FollowError, FollowError> {
        let old = known.size();
        let proof = prove::consistency_proof(old, new.size, &Tiles(source))?;
        let root = known.root();
        Ok(
            match verify_consistency(old, &root, new.size, &new.root, &proof) {
                Ok(()) => FollowError::Damaged,
                Err(_) => FollowError::Forked { at: old },
            },
        )
    }

    fn replay(
        &mut self,
        origin: &Origin,
        leaves: &[Vec<u8>],
    ) -> Result<Vec<(LeafIndex, Refusal)>, FollowError> {
        let mut findings = Vec::new();
        for chunk in leaves.chunks(CHUNK) {
            self.replay_chunk(origin, chunk, &mut findings)?;
        }
        Ok(findings)
    }

    fn replay_chunk(
        &mut self,
        origin: &Origin,
        leaves: &[Vec<u8>],
        findings: &mut Vec<(LeafIndex, Refusal)>,
    ) -> Result<(), FollowError> {
        let first = self.journal.size()?;
        let mut frontier = self.frontier()?;
        let mut last = match first.checked_sub(1) {
            None => None,
            Some(last) => self.logged_at(last)?,
        };
        let facts = JournalFacts(&self.journal);
        let mut pending = Pending::new(&facts);
        let mut entries = Vec::with_capacity(leaves.len());
        for ((leaf, read), index) in leaves.iter().zip(replay::read_all(leaves)).zip(first..) {
            let index = LeafIndex::new(index);
            let judged = replay::judge(&read, origin.as_str(), index, last, &pending)?;
            let (id, admitted) = match judged {
                Ok((id, change)) => {
                    pending.apply(id, index, change);
                    (id, true)
                }
                Err(refusal) => {
                    findings.push((index, refusal));
                    (StatementId::of_payload(leaf), false)
                }
            };
            last = last.max(read.logged_at);
            frontier.push(leaf_hash(leaf));
            entries.push(NewEntry {
                id,
                leaf: leaf.clone(),
                admitted,
            });
        }
        let facts = encode(pending.into_facts());
        let frontier = encode_frontier(&frontier);
        Ok(self.journal.commit(&Commit {
            first,
            entries,
            facts,
            frontier,
        })?)
    }

    fn logged_at(&self, index: u64) -> Result<Option<Time>, FollowError> {
        let leaf = self.journal.leaf(index)?;
        Ok(leaf
            .and_then(|leaf| Leaf::parse(&leaf).ok())
            .map(|leaf| leaf.logged_at))
    }

    fn frontier(&self) -> Result<Frontier, FollowError> {
        let size = TreeSize::new(self.journal.size()?);
        let bytes = self.journal.frontier()?;
        let nodes = tile::decode_hashes(&bytes, size.as_u64().count_ones() as u16).ok();
        nodes
            .and_then(|nodes| Frontier::from_nodes(size, nodes))
            .ok_or_else(|| {
                StoreError::Damaged("the copy's tree is damaged: start anew".into()).into()
            })
    }

    /// The checkpoint seen last, with its note.
    ///
    /// # Errors
    /// The journal's.
    pub fn checkpoint(&self) -> Result<Option<(Checkpoint, Vec<u8>)>, FollowError> {
        let Some(head) = self.journal.head()? else {
            return Ok(None);
        };
        let verified = self.policy.verify(&head.note, None, None);
        let witnessed = verified.map_err(FollowError::Checkpoint)?;
        Ok(Some((witnessed.checkpoint, head.note)))
    }

    /// The checkpoint seen last, with the times of its cosignatures.
    ///
    /// # Errors
    /// The journal's.
    pub fn witnessed(&self) -> Result<Option<WitnessedCheckpoint>, FollowError> {
        let Some(head) = self.journal.head()? else {
            return Ok(None);
        };
        let verified = self.policy.verify(&head.note, None, None);
        Ok(Some(verified.map_err(FollowError::Checkpoint)?))
    }

    /// The facts that the entries established.
    pub fn facts(&self) -> JournalFacts<'_, J> {
        JournalFacts(&self.journal)
    }

    /// The index of an admitted statement.
    ///
    /// # Errors
    /// The journal's.
    pub fn find(&self, id: &StatementId) -> Result<Option<LeafIndex>, StoreError> {
        self.facts().find(id)
    }

    /// The admitted entry at `index`; `None` for one that is forbidden or not there.
    ///
    /// # Errors
    /// The journal's.
    pub fn entry(&self, index: LeafIndex) -> Result<Option<Entry>, StoreError> {
        let Some(leaf) = self.journal.leaf(index.as_u64())? else {
            return Ok(None);
        };
        self.admitted(index, &leaf)
    }

    fn admitted(&self, index: LeafIndex, leaf: &[u8]) -> Result<Option<Entry>, StoreError> {
        let read = replay::read(leaf);
        let (Some(logged_at), Ok(signed)) = (read.logged_at, read.signed) else {
            return Ok(None);
        };
        let admitted = self.find(&signed.id)? == Some(index);
        Ok(admitted.then_some(Entry {
            index,
            logged_at,
            signed,
        }))
    }

    /// All admitted entries from `from` on, in order.
    ///
    /// # Errors
    /// The journal's.
    pub fn entries(&self, from: LeafIndex) -> Result<Vec<Entry>, StoreError> {
        let size = self.journal.size()?;
        let leaves = self.journal.leaves(from.as_u64()..size)?;
        let mut entries = Vec::new();
        for (leaf, index) in leaves.iter().zip(from.as_u64()..) {
            entries.extend(self.admitted(LeafIndex::new(index), leaf)?);
        }
        Ok(entries)
    }

    /// The proof that an entry stands under the checkpoint seen last, out of this copy alone.
    ///
    /// # Errors
    /// The journal's, or [`FollowError::Source`] if there is no such entry under the checkpoint.
    pub fn proof(&self, index: LeafIndex) -> Result<TlogProof, FollowError> {
        let missing = || SourceError::Missing(format!("entry {index} under a checkpoint"));
        let (checkpoint, note) = self.checkpoint()?.ok_or_else(missing)?;
        if index.as_u64() >= checkpoint.size.as_u64() {
            return Err(missing().into());
        }
        let leaf = self.journal.leaf(index.as_u64())?.ok_or_else(missing)?;
        let hashes = prove::inclusion_proof(index, checkpoint.size, &Leaves(&self.journal))?;
        Ok(TlogProof {
            extra: Some(leaf),
            index,
            hashes,
            checkpoint: note,
        })
    }
}

fn encode_frontier(frontier: &Frontier) -> Vec<u8> {
    tile::encode_hashes(frontier.nodes())
}

/// Hash tiles out of a journal's leaves: each is hashed when it is asked for.
struct Leaves<'a, J>(&'a J);

impl<J: Journal> HashTiles for Leaves<'_, J> {
    type Error = StoreError;

    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, StoreError> {
        let each = 1u64 << (8 * u32::from(tile.level));
        let start = tile.index * 256 * each;
        (0..u64::from(tile.width))
            .map(|n| {
                let range = start + n * each..start + (n + 1) * each;
                let mut tree = Frontier::new();
                for leaf in self.0.leaves(range)? {
                    tree.push(leaf_hash(&leaf));
                }
                Ok(tree.root())
            })
            .collect()
    }
}
