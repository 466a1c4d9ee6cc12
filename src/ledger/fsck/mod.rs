//! `fsck`: derives everything that a log consists of again from the journal's entries, and compares.
//!
//! Entries are parsed, their signatures verified and the rules replayed from entry 0; the ids and
//! facts that come of it are compared with those that the journal keeps, the tiles and bundles with
//! the files, the roots with the signed head and the published checkpoint. Facts are derived into a
//! journal on disk, and entries are read in pieces, so memory does not grow with the log.
//!
//! What is derived can be rebuilt ([`Fsck::repair`]); entries, head, keys and cosignatures cannot,
//! and are never touched.

mod checkpoints;
mod derive;
mod files;
mod made;
mod recover;
mod repair;
mod report;

use std::io;
use std::path::PathBuf;

use crate::encoding::hex;
use crate::store::StoreError;
use crate::store::facts::FactCache;
use crate::store::journal::JournalRead as _;
use crate::store::sqlite::{
    KeyFault, QueryReader, SqliteJournal, SqliteReader, Table, compare_keys, file_faults,
    vaults_faults,
};
use crate::tlog::checkpoint::Origin;
use crate::tlog::hash::{EMPTY_ROOT, Hash};
use crate::tlog::note::VerifierKey;
use crate::tlog::policy::Policy;

use checkpoints::Signed;
use derive::{Scratch, Walk};
use files::LogFolder;
use made::Maker;
pub use recover::{Copy, Recovered, Recovery};
pub use repair::Repaired;
use report::Findings;
pub use report::{Finding, Mend, Report, State};

/// The data folder of a log that no server runs on: whoever examines it holds its lock.
pub struct Fsck {
    /// The operator's data folder.
    pub data: PathBuf,
    /// The log's own keys; the first is its Ed25519 key.
    pub keys: Vec<VerifierKey>,
    pub origin: Origin,
    /// The log and its witnesses.
    pub policy: Policy,
    /// Folders with copies of `batches/`. A restore takes a list that is missing from the first that has it.
    pub lists: Vec<PathBuf>,
}

/// It could not be looked at, or not be repaired.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

impl FsckError {
    fn file((path, source): (PathBuf, io::Error)) -> Self {
        Self::File { path, source }
    }
}

/// The query index's file in the data folder.
const QUERIES: &str = "queries.db";

/// What the operator knows of vaults, in the data folder.
const VAULTS: &str = "vaults.db";

/// Told how many entries of how many are done.
type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// An examination, and what a repair goes on from.
struct Examined {
    report: Report,
    log: LogFolder,
    /// Ids, facts or their indexes are not those of the scratch journal.
    keys_differ: bool,
    /// The query index is not what the entries make.
    queries_differ: bool,
    scratch: Scratch,
}

impl Fsck {
    /// Examines everything and changes nothing.
    ///
    /// # Errors
    /// [`FsckError`] if it could not look.
    pub fn check(&self, progress: Progress<'_>) -> Result<Report, FsckError> {
        Ok(self.examine(progress)?.report)
    }

    fn journal(&self) -> PathBuf {
        self.data.join("ledger.db")
    }

    fn queries(&self) -> PathBuf {
        self.data.join(QUERIES)
    }

    fn log(&self) -> PathBuf {
        self.data.join("log")
    }

    fn examine(&self, progress: Progress<'_>) -> Result<Examined, FsckError> {
        let path = self.journal();
        // Opening would make an empty one, or say less.
        std::fs::metadata(&path).map_err(|source| FsckError::file((path.clone(), source)))?;
        let mut findings = Findings::default();
        for fault in file_faults(&path)? {
            findings.unsound("database", "ledger.db", fault);
        }
        let vaults = self.data.join(VAULTS);
        if vaults.is_file() {
            for fault in vaults_faults(&vaults) {
                findings.add("database", VAULTS, fault, Mend::Backup);
            }
        }
        let scratch = Scratch::new(&self.data)?;
        if findings.is_unsound() {
            return Ok(self.unreadable(findings, scratch));
        }
        let journal = SqliteReader::open(&path)?;
        let signed = Signed::read(self, &journal, &mut findings)?;
        let mut log = LogFolder::list(&self.log(), &signed, &mut findings)?;
        let queries = self.queries();
        let queries = queries.is_file().then(|| QueryReader::new(queries));
        let mut walk = Walk {
            fsck: self,
            journal: &journal,
            queries: queries.as_ref(),
            queries_hold: true,
            derived: SqliteJournal::scratch(&scratch.journal())?,
            maker: Maker::new(signed.sizes()),
            facts: FactCache::default(),
            last: None,
        };
        let whole = walk.run(&mut log, &mut findings, progress)?;
        let Walk {
            maker,
            derived,
            queries_hold,
            ..
        } = walk;
        let known = queries.as_ref().map_or(Ok(0), QueryReader::size);
        let counted = queries.as_ref().map_or(Ok(true), QueryReader::counts_hold);
        let counted = counted.unwrap_or(false);
        let queries_differ =
            !queries_hold || !counted || known.is_err() || known? > journal.size()?;
        if queries_differ {
            let detail = "not what the entries make";
            findings.add("query-index", QUERIES, detail, Mend::Repair);
        }
        signed.compare(|size| maker.root_at(size), &mut findings);
        let (size, root) = (maker.size().as_u64(), maker.root());
        for made in maker.finish() {
            log.compare(&made, &mut findings)?;
        }
        log.finish(&mut findings);
        let mut keys_differ = false;
        if whole {
            compare_keys(&path, &derived, &scratch.index(), &mut |fault| {
                keys_differ = true;
                add_key_fault(fault, &mut findings);
            })?;
        }
        let notes = notes(&signed, size, &log);
        let report = self.report(findings, State::new(size, root), Some(&signed), notes);
        Ok(Examined {
            report,
            log,
            keys_differ,
            queries_differ,
            scratch,
        })
    }

    /// Of a database that SQLite itself finds damaged, nothing more is read.
    fn unreadable(&self, findings: Findings, scratch: Scratch) -> Examined {
        let entries = State::new(0, EMPTY_ROOT);
        Examined {
            report: self.report(findings, entries, None, Vec::new()),
            log: LogFolder::default(),
            keys_differ: false,
            queries_differ: false,
            scratch,
        }
    }

    fn report(
        &self,
        findings: Findings,
        entries: State,
        signed: Option<&Signed>,
        notes: Vec<String>,
    ) -> Report {
        let unsound = findings.is_unsound();
        let (findings, more) = findings.finish();
        let head = signed.and_then(|signed| signed.head.as_ref());
        let published = signed.and_then(|signed| signed.published.as_ref());
        Report {
            origin: self.origin.to_string(),
            entries,
            head: head.map(|head| State::new(head.size, Hash::from_bytes(head.root))),
            published: published.map(|p| State::new(p.size.as_u64(), p.root)),
            notes,
            findings,
            more,
            unsound,
        }
    }
}

/// What a crash leaves in order, and who goes on with it.
fn notes(signed: &Signed, size: u64, log: &LogFolder) -> Vec<String> {
    let mut notes = Vec::new();
    let head = signed.head.as_ref().map_or(0, |head| head.size);
    if head < size {
        let left = size - head;
        notes.push(format!(
            "{left} committed entries are not signed yet: `whosaw serve` does it"
        ));
    }
    if signed.published.is_none() && !signed.foreign && head > 0 {
        notes.push("nothing is published yet: `whosaw serve` does it".to_owned());
    }
    if !log.left_over.is_empty() {
        notes.push(format!(
            "{} partial files in log/ are needed no more: --repair removes them",
            log.left_over.len()
        ));
    }
    notes
}

fn add_key_fault(fault: KeyFault, findings: &mut Findings) {
    let (table, key, what) = match fault {
        KeyFault::Row { table, key, what } => (table, key, what),
        KeyFault::Index { table, what } => {
            let place = match table {
                Table::Ids => "ledger.db index of ids",
                Table::Facts => "ledger.db index of facts",
            };
            return findings.add("index", place, what, Mend::Repair);
        }
    };
    let (code, place) = match (table, key.split_first()) {
        (Table::Ids, _) => ("id", format!("ledger.db id {}", hex(&key))),
        // As the rules spell it: a letter for its kind, then what it is about.
        (Table::Facts, Some((kind, about))) => {
            let kind = char::from(*kind);
            ("fact", format!("ledger.db fact {kind} {}", hex(about)))
        }
        (Table::Facts, None) => ("fact", "ledger.db fact without a key".to_owned()),
    };
    findings.add(code, place, what, Mend::Repair);
}
