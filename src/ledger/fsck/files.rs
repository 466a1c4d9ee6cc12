//! The log's folder, file by file, against what the entries make.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::FsckError;
use super::checkpoints::Signed;
use super::made::{Made, Place};
use super::report::{Findings, Mend};
use crate::ledger::tiles::CHECKPOINT;
use crate::tlog::tile::FULL;
use crate::watch::folder;

/// What lies in the folder, and what must.
#[derive(Default)]
pub(super) struct LogFolder {
    root: PathBuf,
    /// Sizes whose tiles and bundles, partial ones too, readers need: the head's and the published.
    needed: Vec<u64>,
    /// Entries that are published: partial files of what they fill are left over.
    published: u64,
    /// Widths found that were not compared yet.
    found: BTreeMap<Place, BTreeSet<u16>>,
    /// Files below the folder that repair mends or moves aside.
    pub mend: BTreeSet<String>,
    /// Correct partial files that nobody needs.
    pub left_over: BTreeSet<String>,
}

impl LogFolder {
    /// Lists the folder; strays are found at once.
    pub fn list(root: &Path, signed: &Signed, findings: &mut Findings) -> Result<Self, FsckError> {
        let mut log = Self {
            root: root.to_owned(),
            needed: signed.sizes(),
            published: signed.published_size().unwrap_or(0),
            ..Self::default()
        };
        if signed.foreign {
            log.mend.insert(CHECKPOINT.to_owned());
        }
        if !root.exists() {
            return Ok(log);
        }
        for file in folder::files(root).map_err(FsckError::file)? {
            match Place::parse(&file.path) {
                Some((place, width)) if file.regular => {
                    log.found.entry(place).or_default().insert(width);
                }
                None if file.regular && file.path == CHECKPOINT => {}
                _ => {
                    let detail = "no file that a log has";
                    findings.add("stray-file", log_path(&file.path), detail, Mend::Repair);
                    log.mend.insert(file.path);
                }
            }
        }
        Ok(log)
    }

    /// Compares every file of a tile or bundle with what the entries make.
    pub fn compare(&mut self, made: &Made, findings: &mut Findings) -> Result<(), FsckError> {
        let place = made.place;
        let found = self.found.remove(&place).unwrap_or_default();
        let needed = self.needed_widths(place);
        for &width in found.union(&needed) {
            let path = place.path(width);
            if !found.contains(&width) {
                findings.add("missing-file", log_path(&path), "not there", Mend::Repair);
                self.mend.insert(path);
                continue;
            }
            let Some(expected) = made.of_width(width) else {
                findings.unsound("beyond-journal", log_path(&path), BEYOND);
                continue;
            };
            let bytes = folder::read(&self.root.join(&path)).map_err(FsckError::file)?;
            if bytes != expected {
                let code = match place.level {
                    Some(_) => "wrong-tile",
                    None => "wrong-bundle",
                };
                findings.add(
                    code,
                    log_path(&path),
                    difference(&bytes, expected),
                    Mend::Repair,
                );
                self.mend.insert(path);
            } else if width < FULL && place.width_at(self.published) == FULL {
                self.left_over.insert(path);
            }
        }
        Ok(())
    }

    /// The widths at which a place must have a file.
    pub fn needed_widths(&self, place: Place) -> BTreeSet<u16> {
        let widths = self.needed.iter().map(|size| place.width_at(*size));
        widths.filter(|width| *width > 0).collect()
    }

    /// What no entry fills.
    pub fn finish(&mut self, findings: &mut Findings) {
        for (place, widths) in std::mem::take(&mut self.found) {
            for width in widths {
                let path = log_path(&place.path(width));
                findings.unsound("beyond-journal", path, BEYOND);
            }
        }
    }
}

const BEYOND: &str = "holds more entries than ledger.db does: is that an old copy?";

fn difference(found: &[u8], expected: &[u8]) -> String {
    if found.len() < expected.len() && expected.starts_with(found) {
        return format!("cut off after {} of {} bytes", found.len(), expected.len());
    }
    let same = found.iter().zip(expected).take_while(|(a, b)| a == b);
    format!(
        "not what the entries make: differs from byte {}",
        same.count()
    )
}

/// A file of the log from the data folder.
pub(super) fn log_path(path: &str) -> String {
    format!("log/{path}")
}
