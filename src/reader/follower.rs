//! A follower: a verified copy of one log that never goes back.
//!
//! It reads every entry from the log's files, checks them against a checkpoint that extends the last
//! one seen and that a fresh quorum of witnesses has cosigned, and replays the rules. What it then
//! says about the log (facts, entries, proofs) needs nobody's word. The journal is trusted: it lies
//! on the reader's own machine, and holds only what was verified.

use std::cell::RefCell;
use std::path::PathBuf;

use super::clock::{self, ClockJudgement, Stale};
use super::freshness;
use super::replay::{self, Admitted, Logged};
use super::source::{LogSource, SourceError, Tiles};
use super::tree::Tree;
use crate::digest::StatementId;
use crate::statement::facts::{ClosedFact, Facts as _, FactsExt as _, Pending, Whole};
use crate::statement::refusal::{Refusal, Verdict};
use crate::statement::{Signed, Statement};
use crate::store::StoreError;
use crate::store::facts::{JournalFacts, encode};
use crate::store::journal::{Commit, Head, Journal, NewEntry};
use crate::time::Time;
use crate::tlog::checkpoint::{Checkpoint, Origin};
use crate::tlog::evidence::Evidence;
use crate::tlog::hash::leaf_hash;
use crate::tlog::note::Note;
use crate::tlog::policy::{Policy, PolicyError, WitnessedCheckpoint};
use crate::tlog::proof::TlogProof;
use crate::tlog::prove::{self, HashTiles as _};
use crate::tlog::tile::{self, Tile};
use crate::tlog::tree::{Frontier, LeafIndex, TreeSize, verify_consistency};

mod fork;
mod marks;
#[cfg(test)]
mod tests;

pub use marks::{Mark, Marked};
use marks::{Marks, Times};

/// Bytes of entries that are held before they are committed; one bundle (at most 16 MiB) is added. Reading and
/// judging them takes several times as much.
const STEP: usize = 8 << 20;
/// Entries of the copy that are read at once, as many as a bundle has: at most 16 MiB.
const PORTION: u64 = 256;

/// Why a log is not believed. What was believed before stands.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error("the trust file is refused: {0}")]
    Policy(PolicyError),
    #[error("the ledger's checkpoint does not count: {0}")]
    Checkpoint(PolicyError),
    #[error("{0}")]
    Stale(Box<Stale>),
    #[error(
        "the ledger went back: it shows {shown} entries, and {seen} were seen before: somebody takes \
         entries away"
    )]
    RolledBack { shown: TreeSize, seen: TreeSize },
    #[error(
        "the ledger rewrote its past: the {at} entries seen before are not the first {at} it shows \
         now. Keep this folder and what the ledger shows; tell the witnesses{}",
        fork::told(kept.as_ref())
    )]
    Forked {
        at: TreeSize,
        /// The signed checkpoint of the other history.
        shown: Vec<u8>,
        /// What proves the fork to others, as far as it can be had.
        evidence: Option<Box<Evidence>>,
        /// Where the evidence was written ([`FollowError::keep_evidence`]).
        kept: Option<PathBuf>,
    },
    #[error(
        "the ledger's files are damaged: they do not make the tree that its checkpoint stands for"
    )]
    Damaged,
    #[error("this copy is of the log {0}: another log needs another folder")]
    OtherLog(Origin),
    #[error("the ledger's files cannot be read: {0}")]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no entry {0} stands under a checkpoint that was seen")]
    NoEntry(LeafIndex),
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
    /// New entries whose time of logging the witnesses contradict.
    pub marked: Vec<Marked>,
    /// The largest number of bytes of entries that were held at once.
    pub most_held: usize,
}

/// Some consecutive entries of the verified copy.
#[derive(Debug)]
pub struct Portion {
    /// The admitted ones, in order.
    pub entries: Vec<Entry>,
    /// Those that the rules forbid.
    pub forbidden: Vec<LeafIndex>,
    /// The index after the last of them.
    pub end: u64,
    /// Their bytes.
    pub held: usize,
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
    /// Grown when a proof is asked for.
    tree: RefCell<Tree>,
    step: usize,
    marks: Marks,
}

impl<J: Journal> Follower<J> {
    /// The copy in `journal`, of the log that `policy` names.
    ///
    /// # Errors
    /// [`FollowError::Policy`] for a quorum that does not bind the operator.
    pub fn open(journal: J, policy: Policy) -> Result<Self, FollowError> {
        policy.check_independent().map_err(FollowError::Policy)?;
        Ok(Self {
            journal,
            policy,
            tree: RefCell::default(),
            step: STEP,
            marks: Marks::default(),
        })
    }

    /// The trust file.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Verifies what is new and takes it over. `progress` is told how many new entries of how many
    /// were read.
    ///
    /// # Errors
    /// [`FollowError`], one variant for each way in which a log deceives. The checkpoint seen last
    /// stays; of a long update, entries stay that are proved to be the first of those shown.
    pub fn update(
        &mut self,
        source: &dyn LogSource,
        now: Time,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Update, FollowError> {
        self.take(source, Some(now), progress)
    }

    /// As [`Follower::update`], from files that somebody kept: their cosignatures may be of any age.
    ///
    /// # Errors
    /// As [`Follower::update`], but for [`FollowError::Stale`].
    pub fn update_from_archive(
        &mut self,
        source: &dyn LogSource,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Update, FollowError> {
        self.take(source, None, progress)
    }

    fn take(
        &mut self,
        source: &dyn LogSource,
        now: Option<Time>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Update, FollowError> {
        let note = source.checkpoint()?;
        let fresh = freshness::verify(&self.policy, &note, now).map_err(FollowError::Checkpoint)?;
        let witnessed = fresh.witnessed;
        let shown = witnessed.checkpoint.clone();
        let mut stale = fresh.stale;
        if let Some(stale) = stale.take_if(|_| !may_be_final(source, &shown)) {
            return Err(self.stale(stale, &note, now));
        }
        let (seen, seen_note) = self.checkpoint()?.unzip();
        self.check_against(source, seen.as_ref(), &shown, &note)?;

        let from = seen.as_ref().map_or(0, |seen| seen.size.as_u64());
        // A trust file that was changed since may no longer take it for witnessed.
        let seen_then = seen_note.and_then(|note| self.policy.verify(&note, None, None).ok());
        let mut times = Times::new(&witnessed, seen_then, from);
        self.look_at_left(&mut times)?;
        let (findings, most_held) =
            self.take_entries(source, &shown, &note, &mut times, progress)?;
        // The last word of a log does not age: what could come after it counts for nothing.
        if let Some(stale) = stale
            && self.closed()?.is_none()
        {
            return Err(self.stale(stale, &note, now));
        }
        let head = Head {
            size: shown.size.as_u64(),
            root: *shown.root.as_bytes(),
            note,
        };
        let marked = self.mark_new(&times, &head.note)?;
        let from = seen.as_ref().map(|seen| seen.size);
        self.journal.advance(from.map(TreeSize::as_u64), &head)?;
        Ok(Update {
            from: from.unwrap_or_default(),
            to: shown.size,
            findings,
            marked,
            most_held,
        })
    }

    /// The error of a checkpoint that is not fresh at `now`.
    fn stale(&self, fault: PolicyError, note: &[u8], now: Option<Time>) -> FollowError {
        let clock = now.map(|now| clock::judge(&self.policy, note, now));
        let clock = clock.unwrap_or(ClockJudgement::Unknown);
        FollowError::Stale(Box::new(Stale { fault, clock }))
    }

    /// The checkpoint shown follows what was seen, as far as sizes and roots tell.
    fn check_against(
        &self,
        source: &dyn LogSource,
        seen: Option<&Checkpoint>,
        shown: &Checkpoint,
        note: &[u8],
    ) -> Result<(), FollowError> {
        if let Some(seen) = seen {
            if seen.origin != shown.origin {
                return Err(FollowError::OtherLog(seen.origin.clone()));
            }
            if seen.size == shown.size && seen.root != shown.root {
                return Err(self.forked(seen.size, source, shown, note));
            }
        }
        // A crash may leave entries beyond the head: they were verified, and count as seen.
        let seen = TreeSize::new(self.journal.size()?);
        if shown.size < seen {
            let shown = shown.size;
            return Err(FollowError::RolledBack { shown, seen });
        }
        Ok(())
    }

    /// Commits the entries up to the checkpoint in steps, each only when it is proved that what is
    /// then held is what the checkpoint's tree begins with; the forbidden ones, and how many bytes were held.
    fn take_entries(
        &mut self,
        source: &dyn LogSource,
        shown: &Checkpoint,
        note: &[u8],
        times: &mut Times<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Vec<(LeafIndex, Refusal)>, usize), FollowError> {
        let first = self.journal.size()?;
        let (mut findings, mut most_held) = (Vec::new(), 0);
        loop {
            let mut tree = self.frontier()?;
            let leaves = self.fetch(source, &mut tree, shown.size, |done| {
                let all = shown.size.as_u64().saturating_sub(first);
                progress(done.saturating_sub(first), all);
            })?;
            most_held = most_held.max(leaves.iter().map(Vec::len).sum());
            if !is_prefix(source, &tree, shown)? {
                return Err(self.explain(source, shown, note)?);
            }
            if !leaves.is_empty() {
                self.commit(&shown.origin, leaves, &tree, times, &mut findings)?;
            }
            if tree.size() == shown.size {
                return Ok((findings, most_held));
            }
        }
    }

    /// The next leaves, about a step of them, hashed into `tree`.
    fn fetch(
        &self,
        source: &dyn LogSource,
        tree: &mut Frontier,
        to: TreeSize,
        mut progress: impl FnMut(u64),
    ) -> Result<Vec<Vec<u8>>, FollowError> {
        let mut leaves = Vec::new();
        let mut held = 0;
        for bundle in tile::new_entry_tiles(tree.size(), to) {
            let known = tree.size().as_u64().saturating_sub(bundle.start()) as usize;
            for leaf in source.entries(bundle)?.into_iter().skip(known) {
                tree.push(leaf_hash(&leaf));
                held = leaf.len().saturating_add(held);
                leaves.push(leaf);
            }
            progress(tree.size().as_u64());
            if held >= self.step {
                break;
            }
        }
        Ok(leaves)
    }

    /// Why files do not make the tree of a checkpoint: another history, or damage.
    ///
    /// A fork is said only if the log's own hashes show it: it is an accusation.
    fn explain(
        &self,
        source: &dyn LogSource,
        shown: &Checkpoint,
        note: &[u8],
    ) -> Result<FollowError, FollowError> {
        let known = self.frontier()?;
        let mut tree = Frontier::new();
        let mut root_then = tree.root();
        for bundle in tile::entry_tiles(shown.size) {
            let row = Tile {
                level: 0,
                index: bundle.index,
                width: bundle.width,
            };
            for leaf in Tiles(source).tile(row)? {
                tree.push(leaf);
                if tree.size() == known.size() {
                    root_then = tree.root();
                }
            }
        }
        if tree.root() == shown.root && root_then != known.root() {
            return Ok(self.forked(known.size(), source, shown, note));
        }
        Ok(FollowError::Damaged)
    }

    fn forked(
        &self,
        at: TreeSize,
        source: &dyn LogSource,
        shown: &Checkpoint,
        note: &[u8],
    ) -> FollowError {
        FollowError::Forked {
            at,
            evidence: self.evidence(source, shown, note),
            shown: note.to_vec(),
            kept: None,
        }
    }

    /// Replays `leaves` and commits them; `tree` has their hashes already.
    fn commit(
        &mut self,
        origin: &Origin,
        leaves: Vec<Vec<u8>>,
        tree: &Frontier,
        times: &mut Times<'_>,
        findings: &mut Vec<(LeafIndex, Refusal)>,
    ) -> Result<(), FollowError> {
        let first = self.journal.size()?;
        let mut last = self.last_admitted()?;
        let facts = JournalFacts(&self.journal);
        let mut pending = Pending::new(&facts);
        let mut entries = Vec::with_capacity(leaves.len());
        let read = replay::read_all(&leaves);
        for ((leaf, entry), index) in leaves.into_iter().zip(read).zip(first..) {
            let index = LeafIndex::new(index);
            let verdict = replay::judge(entry, origin.as_str(), index, last, &pending);
            let admitted = match verdict {
                Ok(Admitted {
                    id,
                    logged_at,
                    change,
                }) => {
                    pending.apply(id, index, change);
                    last = Some(logged_at);
                    times.look(index, logged_at);
                    Some(id)
                }
                Err(Verdict::Refused(refusal)) => {
                    findings.push((index, refusal));
                    None
                }
                Err(Verdict::Facts(error)) => return Err(error.into()),
            };
            entries.push(NewEntry {
                // The id of a forbidden entry leads nowhere.
                id: admitted.unwrap_or_else(|| StatementId::of_payload(&leaf)),
                admitted: admitted.is_some(),
                leaf,
            });
        }
        let facts = encode(&pending.into_facts());
        Ok(self.journal.commit(&Commit {
            first,
            entries,
            facts,
            frontier: tile::encode_hashes(tree.nodes()),
        })?)
    }

    /// When the last admitted entry was logged.
    fn last_admitted(&self) -> Result<Option<Time>, StoreError> {
        for index in (0..self.journal.size()?).rev() {
            if let Some(entry) = self.entry(LeafIndex::new(index))? {
                return Ok(Some(entry.logged_at));
            }
        }
        Ok(None)
    }

    fn frontier(&self) -> Result<Frontier, StoreError> {
        let size = TreeSize::new(self.journal.size()?);
        let bytes = self.journal.frontier()?;
        let nodes = tile::decode_hashes(&bytes, size.as_u64().count_ones() as u16).ok();
        let frontier = nodes.and_then(|nodes| Frontier::from_nodes(size, nodes));
        frontier.ok_or_else(|| damaged("tree"))
    }

    /// The checkpoint seen last, with its note.
    ///
    /// # Errors
    /// The journal's.
    pub fn checkpoint(&self) -> Result<Option<(Checkpoint, Vec<u8>)>, StoreError> {
        let Some(head) = self.journal.head()? else {
            return Ok(None);
        };
        // It was verified when it was taken over, by the trust file of that time.
        let text = Note::parse(&head.note).map(|note| note.text).ok();
        let checkpoint = text.and_then(|text| Checkpoint::parse(&text).ok());
        let checkpoint = checkpoint.ok_or_else(|| damaged("checkpoint"))?;
        Ok(Some((checkpoint, head.note)))
    }

    /// The checkpoint seen last, with the times of its cosignatures.
    ///
    /// # Errors
    /// The journal's; [`FollowError::Checkpoint`] if the trust file has changed since, and no longer
    /// takes that checkpoint for witnessed.
    pub fn witnessed(&self) -> Result<Option<WitnessedCheckpoint>, FollowError> {
        let Some((_, note)) = self.checkpoint()? else {
            return Ok(None);
        };
        let verified = self.policy.verify(&note, None, None);
        Ok(Some(verified.map_err(FollowError::Checkpoint)?))
    }

    /// The facts that the entries established.
    pub fn facts(&self) -> JournalFacts<'_, J> {
        JournalFacts(&self.journal)
    }

    /// The end, if the log was closed.
    ///
    /// # Errors
    /// The journal's.
    pub fn closed(&self) -> Result<Option<ClosedFact>, StoreError> {
        self.facts().closed(&Whole)
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
        match self.journal.leaf(index.as_u64())? {
            Some(leaf) => self.admitted(index, &leaf),
            None => Ok(None),
        }
    }

    fn admitted(&self, index: LeafIndex, leaf: &[u8]) -> Result<Option<Entry>, StoreError> {
        let Ok(Logged { logged_at, signed }) = replay::read_again(leaf) else {
            return Ok(None);
        };
        let admitted = self.find(&signed.id)? == Some(index);
        Ok(admitted.then_some(Entry {
            index,
            logged_at,
            signed,
        }))
    }

    /// The next entries of the copy from `from` on, at most 256; none at its end.
    ///
    /// # Errors
    /// The journal's.
    pub fn portion(&self, from: u64) -> Result<Portion, StoreError> {
        let end = self.journal.size()?.min(from.saturating_add(PORTION));
        let leaves = self.journal.leaves(from..end.max(from))?;
        let mut portion = Portion {
            entries: Vec::with_capacity(leaves.len()),
            forbidden: Vec::new(),
            end: from.saturating_add(leaves.len() as u64),
            held: leaves.iter().map(Vec::len).sum(),
        };
        for (leaf, index) in leaves.iter().zip(from..) {
            let index = LeafIndex::new(index);
            match self.admitted(index, leaf)? {
                Some(entry) => portion.entries.push(entry),
                None => portion.forbidden.push(index),
            }
        }
        Ok(portion)
    }

    /// All admitted entries from `from` on, in order. For logs that fit into memory.
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

    /// The proof that an entry stands under the checkpoint seen last, out of this copy alone. The
    /// first proof hashes the whole copy, later ones what was added since.
    ///
    /// # Errors
    /// The journal's, or [`FollowError::NoEntry`].
    pub fn proof(&self, index: LeafIndex) -> Result<TlogProof, FollowError> {
        let checkpoint = self.checkpoint()?;
        let covering = checkpoint.filter(|(c, _)| index.as_u64() < c.size.as_u64());
        let (Checkpoint { size, .. }, note) = covering.ok_or(FollowError::NoEntry(index))?;
        self.proof_under(index, size, note)
    }

    fn proof_under(
        &self,
        index: LeafIndex,
        size: TreeSize,
        note: Vec<u8>,
    ) -> Result<TlogProof, FollowError> {
        let leaf = self.journal.leaf(index.as_u64())?;
        let mut tree = self.tree.borrow_mut();
        tree.grow(&self.journal, size)?;
        Ok(TlogProof {
            extra: Some(leaf.ok_or_else(|| damaged("list of entries"))?),
            index,
            hashes: prove::inclusion_proof(index, size, &*tree)?,
            checkpoint: note,
        })
    }
}

/// Whether the last entry under `shown` closes the log, as far as it can be told without a replay.
fn may_be_final(source: &dyn LogSource, shown: &Checkpoint) -> bool {
    let last = tile::entry_tiles(shown.size).last();
    let entries = last.and_then(|bundle| source.entries(bundle).ok());
    let last = entries.and_then(|entries| entries.into_iter().last());
    let said = last.and_then(|leaf| replay::read_again(&leaf).ok());
    said.is_some_and(|logged| matches!(logged.signed.statement, Statement::LogClosed(_)))
}

/// Whether the tree that `shown` stands for begins with `tree`.
fn is_prefix(
    source: &dyn LogSource,
    tree: &Frontier,
    shown: &Checkpoint,
) -> Result<bool, SourceError> {
    let (size, root) = (tree.size(), tree.root());
    if size == shown.size {
        return Ok(root == shown.root);
    }
    let proof = prove::consistency_proof(size, shown.size, &Tiles(source))?;
    Ok(verify_consistency(size, &root, shown.size, &shown.root, &proof).is_ok())
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!(
        "the copy's {what} is damaged: delete the copy and read anew"
    ))
}
