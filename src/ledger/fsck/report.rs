//! What an examination says.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::encoding;
use crate::plain;
use crate::tlog::hash::Hash;

/// Findings of one code that are listed; the others are counted.
const LISTED: u64 = 50;

/// The code of a commitment list that is not there.
pub(super) const LOST_BATCH: &str = "lost-batch";

/// What can be done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mend {
    /// `--repair` mends it.
    Repair,
    /// The next `whosaw serve` mends it.
    Serve,
    /// Only what a backup has.
    Backup,
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable code.
    pub code: &'static str,
    /// A file of the data folder, and what in it.
    pub place: String,
    pub detail: String,
    pub mend: Mend,
}

/// A number of entries and the root over them, in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    pub size: u64,
    pub root: String,
}

impl State {
    pub(super) fn new(size: u64, root: Hash) -> Self {
        let root = root.to_string();
        Self { size, root }
    }
}

/// What was seen.
#[derive(Debug, Serialize)]
pub struct Report {
    pub origin: String,
    /// The journal's entries, as far as they can be read and hashed.
    pub entries: State,
    /// What the log has signed; none of a log that was never served.
    pub head: Option<State>,
    /// The checkpoint in public, if the log signed it.
    pub published: Option<State>,
    /// What is in order and not yet done.
    pub notes: Vec<String>,
    /// What does not hold; empty if all does.
    pub findings: Vec<Finding>,
    /// Findings beyond those listed, by code.
    pub more: BTreeMap<&'static str, u64>,
    /// Entries, head or published checkpoint do not hold: over them nothing can be rebuilt.
    pub unsound: bool,
}

impl Report {
    /// Whether all holds.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Takes commitment lists that are missing as a note: after a restore nothing else can be done about
    /// those that no copy has.
    pub(super) fn note_lost_batches(&mut self) {
        let (lost, left) = std::mem::take(&mut self.findings)
            .into_iter()
            .partition::<Vec<_>, _>(|finding| finding.code == LOST_BATCH);
        self.findings = left;
        let more = self.more.remove(LOST_BATCH).unwrap_or_default();
        if let Some(first) = lost.first() {
            let lists = plain::count(lost.len() as u64 + more, "commitment list");
            self.notes.push(format!(
                "{lists} not there, {} first: without them residents cannot show that their commitments were \
                 entered. If there is another copy of batches/, put them back from it",
                first.place
            ));
        }
    }
}

/// Findings as they come, of each code no more than anybody reads.
#[derive(Default)]
pub(super) struct Findings {
    listed: Vec<Finding>,
    counts: BTreeMap<&'static str, u64>,
    unsound: bool,
}

impl Findings {
    pub fn add(
        &mut self,
        code: &'static str,
        place: impl AsRef<str>,
        detail: impl ToString,
        mend: Mend,
    ) {
        let count = self.counts.entry(code).or_default();
        *count += 1;
        if *count <= LISTED {
            self.listed.push(Finding {
                code,
                place: encoding::printable(place.as_ref()),
                detail: encoding::printable(&detail.to_string()),
                mend,
            });
        }
    }

    /// A fault of entries, head or published checkpoint.
    pub fn unsound(&mut self, code: &'static str, place: impl AsRef<str>, detail: impl ToString) {
        self.unsound = true;
        self.add(code, place, detail, Mend::Backup);
    }

    /// Whether one of them is a fault of what all else is derived from.
    pub fn is_unsound(&self) -> bool {
        self.unsound
    }

    /// The findings and, by code, how many more there are.
    pub fn finish(mut self) -> (Vec<Finding>, BTreeMap<&'static str, u64>) {
        if self.unsound {
            for finding in &mut self.listed {
                finding.mend = Mend::Backup;
            }
        }
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(LISTED);
            *count > 0
        });
        (self.listed, self.counts)
    }
}
