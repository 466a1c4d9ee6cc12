//! Goes forward from an old, damaged or lost `ledger.db` to the last checkpoint that the log has signed.
//!
//! A log whose database is older than what it has signed must not sign before it has every entry that it
//! has signed: the next head would be a second history. So a recovery looks for the largest note signed by
//! the log's own key: in `ledger.db`, in `log/`, in mirrors and copies, and at the witnesses, published or
//! not. It verifies tiles from that note's root down, takes each entry from wherever it hashes to its
//! tile, replays all of them, and puts a new `ledger.db` in place of the old one, which is kept.
//!
//! Where a witness has cosigned more than there are entries for, nothing is signed: that log has ended
//! where it is published.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::derive::{AT_ONCE, Scratch};
use super::made::Place;
use super::repair::Aside;
use super::{Fsck, FsckError, Progress, Repaired};
use crate::ledger::confirm::{Heard, Inquiry, OwnHead, Unconfirmed, addresses};
use crate::ledger::tiles::CHECKPOINT;
use crate::reader::replay;
use crate::reader::source::{FolderSource, LogSource, Tiles};
use crate::statement::facts::Pending;
use crate::statement::refusal::Verdict;
use crate::store::StoreError;
use crate::store::facts::{CachedFacts, FactCache, encode};
use crate::store::instance::Instance;
use crate::store::journal::{Commit, Head, Journal as _, JournalRead as _, NewEntry};
use crate::store::sqlite::{SqliteJournal, SqliteReader, file_faults};
use crate::time::Time;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::hash::{Hash, leaf_hash};
use crate::tlog::note::LogSigner;
use crate::tlog::prove::HashTiles as _;
use crate::tlog::tile::{EntryTile, FULL, RightEdge, Tile, decode_entries, root_of_full};
use crate::tlog::tree::LeafIndex;

/// The longest that the witnesses are waited for together.
const PATIENCE: Duration = Duration::from_secs(30);

/// A place where the log's files can be read.
pub struct Copy {
    /// As the operator named it.
    pub name: String,
    pub source: Box<dyn LogSource>,
    /// A folder of the operator's: entries there that no note covers yet are the log's too.
    pub own: bool,
}

/// What a recovery is made with.
pub struct Recovery {
    /// Signs the head again: the checkpoint that it signed before.
    pub signer: LogSigner,
    /// Beside the folder's own `log/`.
    pub copies: Vec<Copy>,
    /// Witnesses, by their names in the policy, that need not be asked.
    pub without: BTreeSet<String>,
    /// How long a witness may take for an answer.
    pub timeout: Duration,
}

/// What came of a recovery.
pub enum Recovered {
    /// It cannot be done: why, in sentences. Nothing was changed.
    Refused(String),
    /// The entries, and what was done.
    Done {
        /// Entries that `ledger.db` had before; none if it could not be read.
        before: Option<u64>,
        /// Entries under the new head.
        signed: u64,
        /// Where the note of the new head was found.
        found: String,
        /// All entries: those beyond `signed` are signed by the next start.
        entries: u64,
        /// Entries taken from elsewhere than `ledger.db`, by the place they came from.
        taken: BTreeMap<String, u64>,
        /// The repair of everything that follows from the entries.
        repaired: Box<Repaired>,
    },
}

/// A checkpoint that the log's key signed, and where it was found.
struct Found {
    place: String,
    checkpoint: Checkpoint,
}

/// Nothing more can be done: why.
enum Stop {
    Refused(String),
    Failed(FsckError),
}

impl<E: Into<FsckError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Fsck {
    /// Goes forward to the largest note signed by the log's key.
    ///
    /// # Errors
    /// [`FsckError`] if something could not be read or written; a recovery may be begun again.
    pub fn recover(
        &self,
        recovery: &Recovery,
        now: Time,
        progress: Progress<'_>,
    ) -> Result<Recovered, FsckError> {
        match self.try_recover(recovery, now, progress) {
            Ok(recovered) => Ok(recovered),
            Err(Stop::Refused(why)) => Ok(Recovered::Refused(why)),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn try_recover(
        &self,
        recovery: &Recovery,
        now: Time,
        progress: Progress<'_>,
    ) -> Result<Recovered, Stop> {
        let inquiry = Inquiry::new(self.origin.clone(), self.keys.clone(), recovery.timeout);
        let own = Copy {
            name: "log/".to_owned(),
            source: Box::new(FolderSource::new(self.log())),
            own: true,
        };
        let copies: Vec<&Copy> = std::iter::once(&own).chain(&recovery.copies).collect();
        // SQLite reads a damaged file as far as it can, and each entry is verified by its hash.
        let journal = match self.journal().is_file() {
            true => match SqliteReader::open(&self.journal()) {
                // It is not damaged: a newer program goes on from it, with what this one cannot read.
                Err(error @ StoreError::Newer { .. }) => return Err(error.into()),
                opened => opened.ok(),
            },
            false => None,
        };
        let found = self.notes(&inquiry, recovery, &copies, journal.as_ref());
        let Some(last) = found.iter().max_by_key(|found| found.checkpoint.size) else {
            return Err(Stop::Refused(format!(
                "no checkpoint signed by the key of {} was found in ledger.db, in log/, in the copies named \
                 by --from, or at a witness",
                self.origin
            )));
        };
        self.ask_witnesses(&inquiry, recovery, last)?;
        let target = &last.checkpoint;
        let before = journal.as_ref().and_then(|journal| journal.size().ok());
        let mut entries = Entries {
            journal: journal.as_ref(),
            tiles: VerifiedTiles::new(target, &copies)?,
            copies: &copies,
            taken: BTreeMap::new(),
        };
        let scratch = Scratch::new(&self.data)?;
        let path = scratch.journal();
        let mut replayed = Replayed::new(self, SqliteJournal::open(&path)?, &found);
        let size = target.size.as_u64();
        progress(0, size);
        for first in (0..size).step_by(AT_ONCE as usize) {
            let end = size.min(first + AT_ONCE);
            let leaves = entries.read(first, end)?;
            replayed.add(first, leaves).map_err(|(index, why)| match why {
                Verdict::Refused(refusal) => Stop::Refused(format!(
                    "entry {index} is signed by the log and refused by the rules of this program: {refusal}"
                )),
                Verdict::Facts(error) => error.into(),
            })?;
            progress(end, size);
        }
        replayed.check_all(&found)?;
        // What was durable in log/ beyond the note is logged too: its submitters were answered.
        let committed = journal.as_ref().filter(|_| before > Some(size));
        let extended = self.extend(&mut replayed, committed, &copies)?;
        let taken = entries.taken;
        let unchanged = taken.is_empty() && before == Some(extended);
        let sound = unchanged
            && file_faults(&self.journal())?.is_empty()
            && self.has_head(journal.as_ref(), target);
        drop(journal);
        let instance = kept_instance(&self.journal());
        if sound {
            drop(replayed);
        } else {
            let note = target.sign(&recovery.signer).to_bytes();
            let head = Head {
                size,
                root: *target.root.as_bytes(),
                note,
            };
            replayed.journal.advance(None, &head)?;
            // Where it was used last stays: in another place `operator adopt` asks whether it may go on.
            if let Some(instance) = instance {
                replayed.journal.set_instance(&instance)?;
            }
            drop(replayed);
            self.put_in_place(&path, now)?;
        }
        self.put_aside_beyond(extended, now)?;
        // Its folder makes room for the repair's.
        drop(scratch);
        Ok(Recovered::Done {
            before,
            signed: size,
            found: last.place.clone(),
            entries: extended,
            taken,
            repaired: Box::new(self.repair_restored(now, progress)?),
        })
    }

    /// Every checkpoint that the log's own key signed, wherever one is shown.
    fn notes(
        &self,
        inquiry: &Inquiry,
        recovery: &Recovery,
        copies: &[&Copy],
        journal: Option<&SqliteReader>,
    ) -> Vec<Found> {
        let head = journal.and_then(|journal| journal.head().ok().flatten());
        let head = head.and_then(|head| inquiry.signed(&head.note));
        let head = head.map(|checkpoint| ("ledger.db".to_owned(), checkpoint));
        let shown = copies.iter().filter_map(|copy| {
            let note = copy.source.read(CHECKPOINT).ok().flatten()?;
            Some((copy.name.clone(), inquiry.signed(&note)?))
        });
        let witnessed = addresses(&self.policy, &recovery.without);
        let witnessed = witnessed.into_iter().filter_map(|address| {
            let place = format!("witness {}", address.names.join(", "));
            Some((place, inquiry.shown(&address.url)?))
        });
        let all = head.into_iter().chain(shown).chain(witnessed);
        all.map(|(place, checkpoint)| Found { place, checkpoint })
            .collect()
    }

    /// Refuses to sign where a witness has cosigned more than was found, or too few could be asked.
    fn ask_witnesses(
        &self,
        inquiry: &Inquiry,
        recovery: &Recovery,
        last: &Found,
    ) -> Result<(), Stop> {
        let head = OwnHead {
            checkpoint: last.checkpoint.clone(),
            note: Some(last.checkpoint.sign(&recovery.signer).to_bytes().into()),
        };
        let mut left = Unconfirmed::of(&self.policy, &recovery.without);
        let inquiry = inquiry.clone();
        let ask = move |url: &str| inquiry.probe(url, &head, true);
        // Each is asked: one that has cosigned more decides, however many others confirm.
        left.ask_all(ask, PATIENCE, |_| false);
        let mut reasons = left.reasons().into_iter();
        let list = |why: &mut String, reasons: &mut dyn Iterator<Item = (String, String)>| {
            for (name, reason) in reasons {
                why.push_str(&format!("\n  {name} {reason}"));
            }
        };
        if left.any(|heard| matches!(heard, Heard::Claims(_))) {
            let mut why = format!(
                "the largest checkpoint found has {} entries ({}), and a witness has cosigned more. If there \
                 are more entries in no copy of this log, it has ended where it is published, and nothing may \
                 be signed for it; name other copies by --from. A witness that lies is left out by --without \
                 NAME",
                last.checkpoint.size, last.place
            );
            list(&mut why, &mut reasons);
            return Err(Stop::Refused(why));
        }
        if !left.is_enough(&self.policy) {
            let mut why = "too few witnesses could be asked for the last size that they cosigned: try again, \
                           or leave one out that is gone for good by --without NAME"
                .to_owned();
            list(&mut why, &mut reasons);
            return Err(Stop::Refused(why));
        }
        Ok(())
    }

    fn has_head(&self, journal: Option<&SqliteReader>, target: &Checkpoint) -> bool {
        let head = journal.and_then(|journal| journal.head().ok().flatten());
        head.is_some_and(|head| {
            head.size == target.size.as_u64()
                && head.root == *target.root.as_bytes()
                && super::checkpoints::check_head(&head, self).is_ok()
        })
    }

    /// Takes in entries that the old journal and the operator's own folders have beyond the last note, as far as each follows
    /// the one before and the rules admit it; the number of all entries.
    fn extend(
        &self,
        replayed: &mut Replayed<'_>,
        journal: Option<&SqliteReader>,
        copies: &[&Copy],
    ) -> Result<u64, Stop> {
        let own: Vec<&&Copy> = copies.iter().filter(|copy| copy.own).collect();
        loop {
            let size = replayed.edge.size().as_u64();
            // Entries that are committed and not signed yet.
            let committed = journal.map(|journal| journal.leaves(size..size + AT_ONCE));
            let mut more = committed.and_then(Result::ok).unwrap_or_default();
            for copy in &own {
                let leaves = beyond(copy, size, replayed.edge.last_tile());
                if leaves.len() > more.len() {
                    more = leaves;
                }
            }
            if more.is_empty() {
                return Ok(size);
            }
            for leaf in more {
                let index = replayed.edge.size().as_u64();
                match replayed.add(index, vec![leaf]) {
                    Ok(()) => {}
                    Err((_, Verdict::Refused(_))) => return Ok(index),
                    Err((_, Verdict::Facts(error))) => return Err(error.into()),
                }
            }
        }
    }

    /// Repairs what is derived. Lists of batches that no copy has are no reason to begin the restore again.
    fn repair_restored(&self, now: Time, progress: Progress<'_>) -> Result<Repaired, FsckError> {
        let mut repaired = self.repair(now, progress)?;
        if let Repaired::Done { before, after, .. } = &mut repaired {
            before.note_lost_batches();
            after.note_lost_batches();
        }
        Ok(repaired)
    }

    /// Puts the new journal at `path` in place of `ledger.db`, which goes to `damaged/`.
    fn put_in_place(&self, path: &Path, now: Time) -> Result<(), FsckError> {
        let aside = Aside::new(&self.data, now);
        let journal = self.journal();
        // A write-ahead log that stayed would be replayed into the new file.
        for beside in ["ledger.db-wal", "ledger.db-shm"] {
            aside.take(&self.data, beside)?;
        }
        let file = |source| FsckError::file((journal.clone(), source));
        if journal.exists() {
            aside.keep(&self.data, "ledger.db")?;
        }
        File::open(path)
            .and_then(|new| new.sync_all())
            .map_err(file)?;
        fs::rename(path, &journal).map_err(file)?;
        File::open(&self.data)
            .and_then(|folder| folder.sync_all())
            .map_err(file)
    }

    /// Moves files of `log/` aside that hold more than the log of `size`.
    fn put_aside_beyond(&self, size: u64, now: Time) -> Result<(), FsckError> {
        if !self.log().exists() {
            return Ok(());
        }
        let aside = Aside::new(&self.data, now);
        for found in crate::watch::folder::files(&self.log()).map_err(FsckError::file)? {
            let beyond = |(place, width): (Place, u16)| width > place.width_at(size);
            if Place::parse(&found.path).is_some_and(beyond) {
                aside.take(&self.data, &super::files::log_path(&found.path))?;
            }
        }
        Ok(())
    }
}

/// Where the old database was used last, if it can be read.
fn kept_instance(journal: &Path) -> Option<Instance> {
    // Opening would make an empty one.
    let there = journal.is_file();
    there
        .then(|| SqliteJournal::open(journal).ok()?.instance().ok()?)
        .flatten()
}

/// The entries that a folder has in the bundle after `size`, beyond those under `last`, the hashes of the
/// bundle's entries before.
fn beyond(copy: &Copy, size: u64, last: &[Hash]) -> Vec<Vec<u8>> {
    let (index, held) = (size / u64::from(FULL), last.len());
    for width in (held as u16 + 1..=FULL).rev() {
        let bundle = EntryTile { index, width };
        let Ok(Some(bytes)) = copy.source.read(&bundle.path()) else {
            continue;
        };
        let Ok(mut leaves) = decode_entries(&bytes, width) else {
            continue;
        };
        let same = leaves.iter().map(|leaf| leaf_hash(leaf)).take(held);
        if same.eq(last.iter().copied()) {
            return leaves.split_off(held);
        }
    }
    Vec::new()
}

/// Tiles of several copies, each verified by the hash over it in the tile above, and those of the right
/// edge by the root.
struct VerifiedTiles<'a> {
    size: u64,
    copies: &'a [&'a Copy],
    /// Hashes of the right edge's partial tiles, by level.
    edge: BTreeMap<u8, Vec<Hash>>,
    /// Full tiles above the leaves, by level and index.
    kept: HashMap<(u8, u64), Arc<Vec<Hash>>>,
}

impl<'a> VerifiedTiles<'a> {
    fn new(target: &Checkpoint, copies: &'a [&'a Copy]) -> Result<Self, Stop> {
        let size = target.size;
        let edge = copies.iter().find_map(|copy| {
            let tiles = Tiles(copy.source.as_ref());
            let edge = RightEdge::from_tiles(size, &tiles).ok()?;
            (edge.root() == target.root).then_some(edge)
        });
        let Some(edge) = edge else {
            return Err(Stop::Refused(format!(
                "this log's key has signed a checkpoint of {size} entries, and no copy of the log that was \
                 named has the tiles that hash to its root: name another one by --from. If there is none, the \
                 log has ended where it is published, and nothing may be signed for it"
            )));
        };
        Ok(Self {
            size: size.as_u64(),
            copies,
            edge: (0..)
                .zip(edge.rows())
                .map(|(level, row)| (level, row.to_vec()))
                .collect(),
            kept: HashMap::new(),
        })
    }

    /// The hashes of a tile as wide as it is at the target's size. `made` is another candidate for it.
    fn hashes(
        &mut self,
        level: u8,
        index: u64,
        made: &dyn Fn() -> Option<Vec<Hash>>,
    ) -> Result<Arc<Vec<Hash>>, Stop> {
        let place = Place {
            level: Some(level),
            index,
        };
        if place.width_at(self.size) < FULL {
            let edge = self.edge.get(&level).cloned().unwrap_or_default();
            return Ok(Arc::new(edge));
        }
        if let Some(kept) = self.kept.get(&(level, index)) {
            return Ok(kept.clone());
        }
        let above = self.hashes(level + 1, index / u64::from(FULL), &|| None)?;
        let expected = above.get((index % u64::from(FULL)) as usize).copied();
        let tile = Tile {
            level,
            index,
            width: FULL,
        };
        let shown = self
            .copies
            .iter()
            .filter_map(|copy| Tiles(copy.source.as_ref()).tile(tile).ok());
        let holds = |hashes: &Vec<Hash>| expected.is_some() && root_of_full(hashes) == expected;
        let Some(hashes) = shown.chain(made()).find(holds) else {
            return Err(Stop::Refused(format!(
                "no copy of this log has {} as the signed root wants it: name another one by --from",
                tile.path()
            )));
        };
        let hashes = Arc::new(hashes);
        // Tiles of leaves are used once, in order.
        if level > 0 {
            self.kept.insert((level, index), hashes.clone());
        }
        Ok(hashes)
    }
}

/// The signed entries, each from wherever it hashes to its tile.
struct Entries<'a> {
    journal: Option<&'a SqliteReader>,
    tiles: VerifiedTiles<'a>,
    copies: &'a [&'a Copy],
    taken: BTreeMap<String, u64>,
}

impl Entries<'_> {
    /// The leaves from `first`, the start of a bundle, to before `end`.
    fn read(&mut self, first: u64, end: u64) -> Result<Vec<Vec<u8>>, Stop> {
        let mut leaves = Vec::new();
        for start in (first..end).step_by(usize::from(FULL)) {
            let width = (end - start).min(u64::from(FULL)) as u16;
            let index = start / u64::from(FULL);
            leaves.extend(self.bundle(EntryTile { index, width })?);
        }
        Ok(leaves)
    }

    fn bundle(&mut self, bundle: EntryTile) -> Result<Vec<Vec<u8>>, Stop> {
        let start = bundle.start();
        let range = start..start + u64::from(bundle.width);
        let kept = self.journal.and_then(|journal| journal.leaves(range).ok());
        let kept = kept.unwrap_or_default();
        let made = || {
            let hashes: Vec<Hash> = kept.iter().map(|leaf| leaf_hash(leaf)).collect();
            (hashes.len() == usize::from(FULL)).then_some(hashes)
        };
        let hashes = self.tiles.hashes(0, bundle.index, &made)?;
        let mut leaves: Vec<Option<Vec<u8>>> = vec![None; hashes.len()];
        take(&mut leaves, kept, &hashes);
        for copy in self.copies {
            if leaves.iter().all(Option::is_some) {
                break;
            }
            let Ok(shown) = copy.source.entries(bundle) else {
                continue;
            };
            let taken = take(&mut leaves, shown, &hashes);
            if taken > 0 {
                *self.taken.entry(copy.name.clone()).or_default() += taken;
            }
        }
        let missing = leaves.iter().position(Option::is_none);
        match missing {
            None => Ok(leaves.into_iter().flatten().collect()),
            Some(place) => Err(Stop::Refused(format!(
                "entry {} is signed, and no copy of this log has it: name another one by --from. If there is \
                 none, the log has ended where it is published, and nothing may be signed for it",
                start + place as u64
            ))),
        }
    }
}

/// Fills places that are empty with leaves that hash to what their places want; how many.
fn take(leaves: &mut [Option<Vec<u8>>], from: Vec<Vec<u8>>, hashes: &[Hash]) -> u64 {
    let mut taken = 0;
    for ((place, leaf), hash) in leaves.iter_mut().zip(from).zip(hashes) {
        if place.is_none() && leaf_hash(&leaf) == *hash {
            *place = Some(leaf);
            taken += 1;
        }
    }
    taken
}

/// A new journal, filled by replaying entries.
struct Replayed<'a> {
    fsck: &'a Fsck,
    journal: SqliteJournal,
    facts: FactCache,
    edge: RightEdge,
    /// Roots at the sizes of the notes that were found, as they are passed.
    roots: BTreeMap<u64, Option<Hash>>,
    last: Option<Time>,
}

impl<'a> Replayed<'a> {
    fn new(fsck: &'a Fsck, journal: SqliteJournal, found: &[Found]) -> Self {
        let sizes = found.iter().map(|found| found.checkpoint.size.as_u64());
        Self {
            fsck,
            journal,
            facts: FactCache::default(),
            edge: RightEdge::new(),
            roots: sizes.map(|size| (size, None)).collect(),
            last: None,
        }
    }

    /// Judges and commits the leaves from `first` on; nothing of them if one is refused.
    fn add(
        &mut self,
        first: u64,
        leaves: Vec<Vec<u8>>,
    ) -> Result<(), (u64, Verdict<crate::store::StoreError>)> {
        let facts = CachedFacts {
            journal: &self.journal,
            cache: &self.facts,
        };
        let mut pending = Pending::new(&facts);
        let mut entries = Vec::with_capacity(leaves.len());
        let mut last = self.last;
        let read = replay::read_all(&leaves);
        for ((entry, leaf), index) in read.into_iter().zip(&leaves).zip(first..) {
            let at = LeafIndex::new(index);
            let admitted = replay::judge(entry, self.fsck.origin.as_str(), at, last, &pending);
            let admitted = admitted.map_err(|why| (index, why))?;
            last = Some(admitted.logged_at);
            entries.push(NewEntry {
                id: admitted.id,
                leaf: leaf.clone(),
                admitted: true,
            });
            pending.apply(admitted.id, at, admitted.change);
        }
        let facts = pending.into_facts();
        let commit = Commit {
            first,
            entries,
            facts: encode(&facts),
            frontier: Vec::new(),
        };
        let committed = self.journal.commit(&commit);
        committed.map_err(|error| (first, Verdict::Facts(error)))?;
        self.facts.update(&facts);
        self.last = last;
        for leaf in &leaves {
            self.edge.append(leaf_hash(leaf));
            if let Some(root) = self.roots.get_mut(&self.edge.size().as_u64()) {
                *root = Some(self.edge.root());
            }
        }
        drop(self.edge.take_new_tiles());
        Ok(())
    }

    /// Refuses where a note that the log signed is of another history.
    fn check_all(&self, found: &[Found]) -> Result<(), Stop> {
        for Found { place, checkpoint } in found {
            let size = checkpoint.size.as_u64();
            if size > 0 && self.roots.get(&size) != Some(&Some(checkpoint.root)) {
                return Err(Stop::Refused(format!(
                    "{place} has a checkpoint of {size} entries, signed by this log's key, that the largest \
                     one does not lead to: the log has signed two histories"
                )));
            }
        }
        Ok(())
    }
}
