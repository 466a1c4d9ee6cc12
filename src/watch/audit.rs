//! The audit of a log: everything that a stranger can check, from entry 0.
//!
//! Entries are hashed and the tree is built anew; every tile must be the one so built; every
//! signature is verified strictly; the rules are replayed. A folder is checked file by file, so that
//! no bit of it can change unnoticed. Verifying code: it shares nothing with the writer but the specs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::reader::follower::MAX_AGE;
use crate::reader::replay;
use crate::reader::source::{LogSource, SourceError};
use crate::statement::facts::FactMap;
use crate::time::Time;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::hash::{Hash, leaf_hash};
use crate::tlog::policy::{Policy, PolicyError};
use crate::tlog::tile::{self, EntryTile, RightEdge, Tile};
use crate::tlog::tree::{LeafIndex, TreeSize};

/// Bundles that are read and replayed at once.
const BUNDLES: usize = 16;

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable code: one of this module's, or that of a [`Refusal`](crate::statement::refusal::Refusal).
    pub code: String,
    /// A file of the log, or `entry <index>`.
    pub place: String,
    pub detail: String,
}

/// What an audit saw.
#[derive(Debug, Serialize)]
pub struct Audit {
    pub origin: String,
    /// Entries under the checkpoint.
    pub size: u64,
    /// The root, in base64.
    pub root: String,
    /// Each witness that cosigned the checkpoint, and when.
    pub cosignatures: std::collections::BTreeMap<String, Time>,
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
    #[error("{}: {source}", path.display())]
    Folder {
        path: std::path::PathBuf,
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
    let oldest = now.map(|now| now.plus_seconds(-MAX_AGE));
    let newest = now.map(|now| now.plus_seconds(300));
    let mut auditor = Auditor::default();
    // Stale cosignatures are worth telling apart from missing ones: the entries are checked anyway.
    let witnessed = match policy.verify(&note, oldest, newest) {
        Ok(witnessed) => witnessed,
        Err(fault) => {
            auditor.find("checkpoint", "checkpoint", &fault);
            match policy.verify(&note, None, None) {
                Ok(witnessed) => witnessed,
                Err(_) => return Ok(auditor.without_log()),
            }
        }
    };
    let checkpoint = witnessed.checkpoint;
    auditor.entries(source, &checkpoint, progress)?;
    auditor.tiles(source, checkpoint.size)?;
    if let Some(folder) = folder {
        auditor.folder(folder, checkpoint.size)?;
    }
    Ok(Audit {
        origin: checkpoint.origin.to_string(),
        size: checkpoint.size.as_u64(),
        root: checkpoint.root.to_string(),
        cosignatures: witnessed.cosignatures,
        findings: auditor.findings,
    })
}

#[derive(Default)]
struct Auditor {
    findings: Vec<Finding>,
    facts: FactMap,
    last: Option<Time>,
    /// Every tile of the tree that the entries make, with its bytes.
    tree: std::collections::BTreeMap<Tile, Vec<u8>>,
}

impl Auditor {
    fn find(&mut self, code: &str, place: impl ToString, detail: impl ToString) {
        self.findings.push(Finding {
            code: code.to_owned(),
            place: place.to_string(),
            detail: detail.to_string(),
        });
    }

    /// Without a checkpoint that counts there is no log to compare anything with.
    fn without_log(self) -> Audit {
        Audit {
            origin: String::new(),
            size: 0,
            root: String::new(),
            cosignatures: std::collections::BTreeMap::new(),
            findings: self.findings,
        }
    }

    /// Reads all entries, builds the tree and replays the rules.
    fn entries(
        &mut self,
        source: &dyn LogSource,
        checkpoint: &Checkpoint,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), AuditError> {
        let mut edge = RightEdge::new();
        let bundles: Vec<EntryTile> = tile::entry_tiles(checkpoint.size).collect();
        for some in bundles.chunks(BUNDLES) {
            let mut leaves = Vec::new();
            for bundle in some {
                match source.entries(*bundle) {
                    Ok(entries) => leaves.extend(entries),
                    Err(error @ SourceError::Unreadable { .. }) => return Err(error.into()),
                    Err(error) => {
                        // Nothing after it can be hashed or judged.
                        self.find("missing-file", bundle.path(), error);
                        return Ok(());
                    }
                }
            }
            for leaf in &leaves {
                edge.append(leaf_hash(leaf));
            }
            self.tree.extend(edge.take_new_tiles());
            let first = edge.size().as_u64() - leaves.len() as u64;
            self.replay(checkpoint, first, &leaves);
            progress(edge.size().as_u64(), checkpoint.size.as_u64());
        }
        // Tiles that were partial between chunks are not those of this size.
        let size = checkpoint.size;
        let own: BTreeSet<Tile> = tile::tiles(size).collect();
        self.tree.retain(|tile, _| own.contains(tile));
        if edge.root() != checkpoint.root {
            let detail = "the entries do not hash to the checkpoint's root";
            self.find("wrong-root", "checkpoint", detail);
        }
        Ok(())
    }

    fn replay(&mut self, checkpoint: &Checkpoint, first: u64, leaves: &[Vec<u8>]) {
        for (read, index) in replay::read_all(leaves).into_iter().zip(first..) {
            let index = LeafIndex::new(index);
            let origin = checkpoint.origin.as_str();
            let Ok(judged) = replay::judge(&read, origin, index, self.last, &self.facts);
            match judged {
                Ok((id, change)) => self.facts.apply(id, index, change),
                Err(refusal) => {
                    let code = refusal.reason.code();
                    self.find(code, format!("entry {index}"), refusal);
                }
            }
            self.last = self.last.max(read.logged_at);
        }
    }

    /// Every tile of the log's size is there and is the one that the entries make.
    fn tiles(&mut self, source: &dyn LogSource, size: TreeSize) -> Result<(), AuditError> {
        for tile in tile::tiles(size) {
            let path = tile.path();
            let Some(expected) = self.tree.get(&tile).cloned() else {
                continue;
            };
            match source.read(&path)? {
                Some(bytes) if bytes == expected => {}
                Some(_) => self.find("wrong-tile", path, "not the hashes that the entries make"),
                None => self.find("missing-file", path, "a tile of this size"),
            }
        }
        Ok(())
    }

    /// Every file in the folder is the log's, older partial ones too.
    fn folder(&mut self, folder: &Path, size: TreeSize) -> Result<(), AuditError> {
        for path in files(folder)? {
            match path.as_str() {
                "checkpoint" => {}
                _ => match (Tile::parse(&path), EntryTile::parse(&path)) {
                    (Ok(tile), _) => self.tile_file(folder, &path, tile, size)?,
                    (_, Ok(bundle)) => self.bundle_file(folder, &path, bundle, size)?,
                    _ => self.find("stray-file", path, "no file of a log"),
                },
            }
        }
        Ok(())
    }

    fn tile_file(
        &mut self,
        folder: &Path,
        path: &str,
        tile: Tile,
        size: TreeSize,
    ) -> Result<(), AuditError> {
        if !tile.is_within(size) {
            self.find("beyond-checkpoint", path, BEYOND);
            return Ok(());
        }
        // The tile of this log that begins with the same hashes.
        let of_size = self
            .tree
            .range(tile..)
            .next()
            .filter(|(t, _)| (t.level, t.index) == (tile.level, tile.index));
        let expected = of_size.map(|(_, bytes)| bytes[..usize::from(tile.width) * 32].to_vec());
        if expected.is_some_and(|expected| !matches_file(folder, path, &expected)) {
            self.find("wrong-tile", path, "not the hashes that the entries make");
        }
        Ok(())
    }

    fn bundle_file(
        &mut self,
        folder: &Path,
        path: &str,
        bundle: EntryTile,
        size: TreeSize,
    ) -> Result<(), AuditError> {
        if !bundle.is_within(size) {
            self.find("beyond-checkpoint", path, BEYOND);
            return Ok(());
        }
        let bytes = read(&folder.join(path))?;
        let Ok(entries) = tile::decode_entries(&bytes, bundle.width) else {
            self.find("wrong-bundle", path, "not as many entries as its name says");
            return Ok(());
        };
        let hashes: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let row = Tile {
            level: 0,
            index: bundle.index,
            width: bundle.width,
        };
        let of_size = self
            .tree
            .range(row..)
            .next()
            .filter(|(t, _)| (t.level, t.index) == (0, bundle.index));
        let same =
            of_size.is_none_or(|(_, bytes)| bytes.starts_with(&tile::encode_hashes(&hashes)));
        if !same {
            self.find("wrong-bundle", path, "not the entries of this log");
        }
        Ok(())
    }
}

const BEYOND: &str = "holds more than the checkpoint does; a server that was stopped between writing \
                      and publishing leaves such files until it starts again";

fn matches_file(folder: &Path, path: &str, expected: &[u8]) -> bool {
    fs::read(folder.join(path)).is_ok_and(|bytes| bytes == expected)
}

fn read(path: &Path) -> Result<Vec<u8>, AuditError> {
    fs::read(path).map_err(|source| AuditError::Folder {
        path: path.to_owned(),
        source,
    })
}

/// Every file below a folder, by its path from there, sorted; links are files that do not belong.
fn files(folder: &Path) -> Result<Vec<String>, AuditError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        let fault = |source| AuditError::Folder {
            path: at.clone(),
            source,
        };
        for entry in fs::read_dir(&at).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            if entry.file_type().map_err(fault)?.is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path();
                let below = path.strip_prefix(folder).expect("found below it");
                found.push(below.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}
