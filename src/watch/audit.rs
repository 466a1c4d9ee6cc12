//! The audit of a log: everything that a stranger can check, from entry 0.
//!
//! Entries are hashed and the tree is built anew; every tile must be the one so built; every
//! signature is verified strictly; the rules are replayed. A folder is checked file by file, so that
//! no bit of it can change unnoticed. Verifying code: it shares nothing with the writer but the
//! specs. It holds about 33 bytes an entry, and the facts of the rules.
//!
//! Codes of findings, beside those of [`Reason`](crate::statement::refusal::Reason) for entries:
//! `checkpoint`, `quorum-missing`, `logged-ahead`, `stale`, `unknown-signature`, `wrong-root`, `wrong-tile`,
//! `wrong-bundle`, `missing-file`, `stray-file`, `beyond-checkpoint`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::folder;
use crate::encoding;
use crate::reader::clock::{self, ClockJudgement};
use crate::reader::freshness::{self, Seen};
use crate::reader::replay::{self, Reading};
use crate::reader::source::{LogSource, SourceError, read_either};
use crate::statement::facts::{ClosedFact, FactMap, FactsExt as _, Whole};
use crate::statement::refusal::Verdict;
use crate::time::Time;
use crate::tlog::hash::{Hash, leaf_hash};
use crate::tlog::note::{Note, VerifierKey};
use crate::tlog::policy::{Policy, PolicyError, WitnessedCheckpoint};
use crate::tlog::tile::{self, EntryTile, FULL, RightEdge, Tile};
use crate::tlog::tree::{LeafIndex, TreeSize};

#[cfg(test)]
mod tests;

/// Bundles that are read and replayed at once.
const BUNDLES: usize = 16;
/// Chunks that are read and verified at once: while one waits for its slowest thread, the other goes on.
const AHEAD: usize = 2;

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable code.
    pub code: String,
    /// A file of the log, or `entry <index>`.
    pub place: String,
    pub detail: String,
}

/// What an audit saw.
#[derive(Debug, Serialize)]
pub struct Audit {
    /// The log's name; none if no checkpoint was signed by a log that the trust file names.
    pub origin: Option<String>,
    /// Entries under the checkpoint.
    pub size: u64,
    /// The root, in base64.
    pub root: String,
    /// Each witness that cosigned the checkpoint, and when.
    pub cosignatures: BTreeMap<String, Time>,
    /// Signatures on the checkpoint by keys that the trust file does not name: nobody checked them.
    pub unchecked: Vec<String>,
    /// The end, if the log was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedFact>,
    /// By how many seconds this machine's clock is ahead of the witnesses' (behind, if negative), where it is wrong:
    /// how fresh the checkpoint is was not judged then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ahead_seconds: Option<i64>,
    /// What does not hold; empty if all does.
    pub findings: Vec<Finding>,
}

/// There was nothing to look at, or no way to look.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("the trust file is refused: {0}")]
    Policy(PolicyError),
    #[error(
        "the log has grown while it was read, and has dropped partial files since: verify it again"
    )]
    Grew,
    #[error("{}: {source}", path.display())]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Audits the log at `source`. With `now`, cosignatures must be fresh. With `folder`, every file in
/// it must be the log's. `progress` is told how many entries of how many are done.
///
/// # Errors
/// [`AuditError`] if it could not look; what it saw is in the [`Audit`].
pub fn audit(
    source: &dyn LogSource,
    policy: &Policy,
    now: Option<Time>,
    folder: Option<&Path>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Audit, AuditError> {
    policy.check_independent().map_err(AuditError::Policy)?;
    let note = source.checkpoint()?;
    let mut auditor = Auditor::default();
    let witnessed = auditor.checkpoint(policy, &note, now);
    let unchecked = auditor.other_signatures(policy, &note, folder.is_some());
    if let Some(witnessed) = &witnessed {
        let checkpoint = &witnessed.checkpoint;
        auditor.entries(source, witnessed, progress)?;
        auditor.judge_times(witnessed);
        auditor.forgive_age(checkpoint.size);
        if let Some(now) = now {
            auditor.judge_clock(|| clock::judge(policy, &note, now));
        }
        auditor.tiles(source, checkpoint.size)?;
        if let Some(folder) = folder {
            let written = auditor.folder(folder, checkpoint.size)?;
            auditor.beyond(source, policy, written)?;
        } else {
            auditor.check_growth(source, policy, checkpoint.size)?;
        }
    }
    let checkpoint = witnessed.as_ref().map(|w| &w.checkpoint);
    Ok(Audit {
        origin: checkpoint.map(|c| c.origin.to_string()),
        size: checkpoint.map_or(0, |c| c.size.as_u64()),
        root: checkpoint.map_or(String::new(), |c| c.root.to_string()),
        cosignatures: witnessed.map(|w| w.cosignatures).unwrap_or_default(),
        unchecked,
        closed: auditor.closed(),
        clock_ahead_seconds: auditor.clock_ahead,
        findings: auditor.findings,
    })
}

#[derive(Default)]
struct Auditor {
    findings: Vec<Finding>,
    facts: FactMap,
    /// When the last admitted entry was logged.
    last: Option<Time>,
    /// The first admitted entry for which the checkpoint does not count, and when it was logged. Times
    /// of logging never decrease, so it counts for none after it.
    first_ahead: Option<(LeafIndex, Time)>,
    /// The tiles of the tree that the entries make, with their bytes.
    tree: BTreeMap<Tile, Vec<u8>>,
    /// [`Audit::clock_ahead_seconds`].
    clock_ahead: Option<i64>,
}

impl Auditor {
    fn find(&mut self, code: &str, place: impl ToString, detail: impl ToString) {
        self.findings.push(Finding {
            code: code.to_owned(),
            place: encoding::printable(&place.to_string()),
            detail: encoding::printable(&detail.to_string()),
        });
    }

    /// The checkpoint to compare the entries with: also one that does not count, as long as the log
    /// itself signed it.
    fn checkpoint(
        &mut self,
        policy: &Policy,
        note: &[u8],
        now: Option<Time>,
    ) -> Option<WitnessedCheckpoint> {
        match freshness::verify(policy, note, now) {
            Ok(Seen { witnessed, stale }) => {
                if let Some(stale) = stale {
                    self.find(STALE, "checkpoint", stale);
                }
                Some(witnessed)
            }
            Err(fault) => {
                let code = match fault {
                    PolicyError::QuorumMissing(_) => "quorum-missing",
                    _ => "checkpoint",
                };
                self.find(code, "checkpoint", fault);
                signed_by_log(policy, note)
            }
        }
    }

    fn closed(&self) -> Option<ClosedFact> {
        let Ok(closed) = self.facts.closed(&Whole);
        closed
    }

    /// The last word of a log does not age: what could come after it counts for nothing.
    fn forgive_age(&mut self, size: TreeSize) {
        let is_last =
            |closed: ClosedFact| closed.index.as_u64().checked_add(1) == Some(size.as_u64());
        if self.closed().is_some_and(is_last) {
            self.findings.retain(|finding| finding.code != STALE);
        }
    }

    /// A checkpoint that is not fresh is the log's fault only if this machine's clock is right.
    fn judge_clock(&mut self, judge: impl FnOnce() -> ClockJudgement) {
        let is_stale = |finding: &Finding| finding.code == STALE;
        if !self.findings.iter().any(is_stale) {
            return;
        }
        match judge() {
            ClockJudgement::Wrong(ahead) => {
                self.findings.retain(|finding| !is_stale(finding));
                self.clock_ahead = Some(ahead);
            }
            judgement => {
                for finding in self.findings.iter_mut().filter(|finding| is_stale(finding)) {
                    finding.detail = format!("{}; {judgement}", finding.detail);
                }
            }
        }
    }

    /// The names on signatures that the policy's keys did not verify. In a folder, one that is
    /// nearly a known key's is a finding: an altered bit makes a signature a stranger's.
    fn other_signatures(&mut self, policy: &Policy, note: &[u8], strict: bool) -> Vec<String> {
        let Ok(note) = Note::parse(note) else {
            return Vec::new();
        };
        let logs = policy.logs().iter().map(|log| &log.key);
        let witnesses = policy.witnesses().iter().map(|witness| &witness.key);
        let known: Vec<&VerifierKey> = logs.chain(witnesses).collect();
        let mut unchecked = Vec::new();
        for line in &note.signatures {
            let same_name = |key: &VerifierKey| key.name == line.name;
            let same_id = |key: &VerifierKey| key.id() == line.key_id;
            if known.iter().any(|key| same_name(key) && same_id(key)) {
                continue;
            }
            let alike = |key: &VerifierKey| line.signature.len() == key.key.signature_length();
            let nearly = |key: &&VerifierKey| same_id(key) || same_name(key) && alike(key);
            if strict && known.iter().any(nearly) {
                let detail = format!(
                    "the signature by {} is nearly one of a key that the trust file names: it was \
                     altered, or made with another key",
                    line.name
                );
                self.find("unknown-signature", "checkpoint", detail);
            }
            unchecked.push(line.name.to_string());
        }
        unchecked
    }

    /// Reads all entries, builds the tree and replays the rules.
    fn entries(
        &mut self,
        source: &dyn LogSource,
        witnessed: &WitnessedCheckpoint,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), AuditError> {
        let checkpoint = &witnessed.checkpoint;
        let bundles: Vec<EntryTile> = tile::entry_tiles(checkpoint.size).collect();
        let edge = thread::scope(|scope| {
            let mut edge = RightEdge::new();
            let mut replay = |auditor: &mut Self, (first, reading): (u64, Reading<'_>)| {
                let done = auditor.replay(witnessed, first, reading);
                progress(done, checkpoint.size.as_u64());
            };
            // Chunks are read and verified while the one before them is judged.
            let mut under_way = VecDeque::new();
            for some in bundles.chunks(BUNDLES) {
                let mut leaves = Vec::new();
                let whole = self.read(source, some, &mut leaves)?;
                let first = edge.size().as_u64();
                for leaf in &leaves {
                    edge.append(leaf_hash(leaf));
                }
                self.tree.extend(edge.take_new_tiles());
                under_way.push_back((first, Reading::start(scope, leaves)));
                if under_way.len() > AHEAD {
                    under_way.drain(..1).for_each(|chunk| replay(self, chunk));
                }
                if !whole {
                    break;
                }
            }
            for chunk in under_way {
                replay(self, chunk);
            }
            Ok::<_, AuditError>(edge)
        })?;
        // Tiles that were partial between chunks are not those of this size.
        let own: BTreeSet<Tile> = tile::tiles(edge.size()).collect();
        self.tree.retain(|tile, _| own.contains(tile));
        if edge.size() == checkpoint.size && edge.root() != checkpoint.root {
            let detail = "the entries do not hash to the checkpoint's root";
            self.find("wrong-root", "checkpoint", detail);
        }
        Ok(())
    }

    /// Reads bundles up to the first that cannot be had: nothing after it can be hashed or judged.
    /// Whether all could.
    fn read(
        &mut self,
        source: &dyn LogSource,
        bundles: &[EntryTile],
        leaves: &mut Vec<Vec<u8>>,
    ) -> Result<bool, AuditError> {
        for bundle in bundles {
            let code = match source.entries(*bundle) {
                Ok(entries) => {
                    leaves.extend(entries);
                    continue;
                }
                Err(SourceError::Missing(_)) => MISSING,
                Err(SourceError::Malformed(_)) => "wrong-bundle",
                Err(error) => return Err(error.into()),
            };
            let detail = "without these entries, none from here on can be checked";
            self.find(code, bundle.path(), detail);
            return Ok(false);
        }
        Ok(true)
    }

    /// Judges entries from `first` on; where they end.
    fn replay(&mut self, witnessed: &WitnessedCheckpoint, first: u64, reading: Reading<'_>) -> u64 {
        let mut next = first;
        for entry in reading.finish() {
            let index = LeafIndex::new(next);
            next = next.saturating_add(1);
            let origin = witnessed.checkpoint.origin.as_str();
            match replay::judge(entry, origin, index, self.last, &self.facts) {
                Ok(admitted) => {
                    self.facts.apply(admitted.id, index, admitted.change);
                    let logged_at = admitted.logged_at;
                    self.last = Some(logged_at);
                    if self.first_ahead.is_none() && witnessed.check_counts_for(logged_at).is_err()
                    {
                        self.first_ahead = Some((index, logged_at));
                    }
                }
                Err(Verdict::Refused(refusal)) => {
                    let code = refusal.reason.code();
                    self.find(code, format!("entry {index}"), refusal);
                }
                Err(Verdict::Facts(never)) => match never {},
            }
        }
        next
    }

    /// The checkpoint counts for no entry whose time of logging is more than 5 minutes after it.
    fn judge_times(&mut self, witnessed: &WitnessedCheckpoint) {
        if let Some((index, logged_at)) = self.first_ahead
            && let Err(fault) = witnessed.check_counts_for(logged_at)
        {
            let code = match witnessed.shows_ahead(logged_at) {
                true => "logged-ahead",
                false => "quorum-missing",
            };
            self.find(
                code,
                format!("entry {index}"),
                format!("and those after it: {fault}"),
            );
        }
    }

    /// Every tile of the log's size is there and is the one that the entries make.
    fn tiles(&mut self, source: &dyn LogSource, size: TreeSize) -> Result<(), AuditError> {
        for tile in tile::tiles(size) {
            let path = tile.path();
            let full = Tile {
                width: FULL,
                ..tile
            };
            let found = match read_either(source, path.clone(), full.path()) {
                Ok((read, bytes)) if read == path => Some(bytes),
                // A log that has grown since keeps the full tile alone.
                Ok((_, bytes)) => Some(bytes.into_iter().take(tile_length(tile)).collect()),
                Err(SourceError::Missing(_)) => None,
                Err(SourceError::Malformed(_)) => Some(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            match (found, self.tree.get(&tile)) {
                (None, _) => self.find(MISSING, path, "a tile of this size"),
                (Some(found), Some(made)) if found != *made => {
                    self.find("wrong-tile", path, OTHER_HASHES);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A file that was missing says nothing where the log has grown meanwhile: it drops partial files then.
    fn check_growth(
        &self,
        source: &dyn LogSource,
        policy: &Policy,
        size: TreeSize,
    ) -> Result<(), AuditError> {
        let is_missing = |finding: &Finding| finding.code == MISSING;
        if !self.findings.iter().any(is_missing) {
            return Ok(());
        }
        let now = signed_by_log(policy, &source.checkpoint()?);
        match now.is_some_and(|now| now.checkpoint.size > size) {
            true => Err(AuditError::Grew),
            false => Ok(()),
        }
    }

    /// Every file in the folder is the log's, older partial ones too. Those that hold more than the
    /// checkpoint does.
    fn folder(&mut self, folder: &Path, size: TreeSize) -> Result<Vec<String>, AuditError> {
        let fault = |(path, source)| AuditError::Folder { path, source };
        let mut beyond = Vec::new();
        for file in folder::files(folder).map_err(fault)? {
            let path = file.path.as_str();
            let read = || match folder::read(&folder.join(path)) {
                // A server at work in there removes what it needs no more.
                Err((_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                read => read.map(Some).map_err(fault),
            };
            match (Tile::parse(path), EntryTile::parse(path)) {
                _ if !file.regular => self.find("stray-file", path, "a link, or no file at all"),
                _ if path == "checkpoint" => {}
                (Ok(tile), _) if tile.is_within(size) => {
                    read()?.iter().for_each(|bytes| self.tile_file(tile, bytes));
                }
                (_, Ok(bundle)) if bundle.is_within(size) => {
                    read()?
                        .iter()
                        .for_each(|bytes| self.bundle_file(bundle, bytes));
                }
                (Ok(_), _) | (_, Ok(_)) => beyond.push(file.path),
                _ => self.find("stray-file", path, "no file of a log"),
            }
        }
        Ok(beyond)
    }

    /// A server at work in the folder publishes in a moment what it has written: a fault is only what
    /// stays unpublished.
    fn beyond(
        &mut self,
        source: &dyn LogSource,
        policy: &Policy,
        mut written: Vec<String>,
    ) -> Result<(), AuditError> {
        for _ in 0..LOOKS {
            if written.is_empty() {
                break;
            }
            thread::sleep(LOOK);
            if let Some(published) = signed_by_log(policy, &source.checkpoint()?) {
                let size = published.checkpoint.size;
                let tile = |path: &str| Tile::parse(path).is_ok_and(|tile| tile.is_within(size));
                let bundle =
                    |path: &str| EntryTile::parse(path).is_ok_and(|bundle| bundle.is_within(size));
                written.retain(|path| !tile(path) && !bundle(path));
            }
        }
        for path in written {
            self.find("beyond-checkpoint", path, BEYOND);
        }
        Ok(())
    }

    /// A tile of an earlier size begins the tile of this size.
    fn tile_file(&mut self, tile: Tile, bytes: &[u8]) {
        let differs = |made: &[u8]| made.get(..tile_length(tile)) != Some(bytes);
        // Those of this size are compared already.
        if !self.tree.contains_key(&tile) && self.made(tile).is_some_and(differs) {
            self.find("wrong-tile", tile.path(), OTHER_HASHES);
        }
    }

    fn bundle_file(&mut self, bundle: EntryTile, bytes: &[u8]) {
        let Ok(entries) = tile::decode_entries(bytes, bundle.width) else {
            let detail = "not as many entries as its name says";
            return self.find("wrong-bundle", bundle.path(), detail);
        };
        let hashes: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let row = Tile {
            level: 0,
            index: bundle.index,
            width: bundle.width,
        };
        let hashes = tile::encode_hashes(&hashes);
        if self
            .made(row)
            .is_some_and(|made| !made.starts_with(&hashes))
        {
            self.find("wrong-bundle", bundle.path(), "not the entries of this log");
        }
    }

    /// The hashes, out of the entries, of the tile that `tile` is or begins; none if the entries
    /// that it is made of could not be read.
    fn made(&self, tile: Tile) -> Option<&[u8]> {
        let (made, bytes) = self.tree.range(tile..).next()?;
        ((made.level, made.index) == (tile.level, tile.index)).then_some(bytes)
    }
}

/// A checkpoint that the log itself signed, whoever cosigned it.
fn signed_by_log(policy: &Policy, note: &[u8]) -> Option<WitnessedCheckpoint> {
    let logs_alone = Policy::of(policy.logs().to_vec(), Vec::new(), 0).ok()?;
    logs_alone.verify(note, None, None).ok()
}

/// How often, and how long apart, it is looked whether a server publishes what it has written.
const LOOKS: u32 = 50;
const LOOK: Duration = Duration::from_millis(100);

const STALE: &str = "stale";
const MISSING: &str = "missing-file";
const OTHER_HASHES: &str = "not the hashes that the entries make";
const BEYOND: &str = "holds more than the checkpoint does; a server that was stopped between writing \
                      and publishing leaves such files until it starts again";

fn tile_length(tile: Tile) -> usize {
    usize::from(tile.width) * 32
}
