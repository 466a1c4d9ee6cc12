//! The walk through the entries: everything that follows from them, made again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::files::LogFolder;
use super::made::Maker;
use super::report::{Findings, LOST_BATCH, Mend};
use super::{Fsck, FsckError};
use crate::digest::StatementId;
use crate::ledger::queries::rows;
use crate::reader::replay;
use crate::seal::batch::Batch;
use crate::statement::Statement;
use crate::statement::facts::Pending;
use crate::statement::kinds::commitment_batch::CommitmentBatch;
use crate::statement::leaf::MAX_LEAF;
use crate::statement::refusal::Verdict;
use crate::store::StoreError;
use crate::store::facts::{CachedFacts, FactCache, encode};
use crate::store::files::{Access, Files};
use crate::store::journal::{Commit, Journal as _, JournalRead, NewEntry};
use crate::store::objects::Objects as _;
use crate::store::sqlite::{QueryReader, SqliteJournal};
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// Entries read and judged at once.
pub(super) const AT_ONCE: u64 = 4096;

/// A folder for what is derived, gone with this value.
pub(super) struct Scratch(
    PathBuf,
    #[expect(dead_code, reason = "removes the folder when it is dropped")] Option<TempDir>,
);

impl Scratch {
    /// One in `staging/` of the data folder, on its disk: it grows with the log. In the system's folder for
    /// temporary files, if that disk is read-only.
    pub fn new(data: &Path) -> Result<Self, FsckError> {
        let path = data.join("staging/fsck");
        // What an examination that was killed left.
        let _ = fs::remove_dir_all(&path);
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(Self(path, None)),
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {
                let folder = tempfile::Builder::new().prefix("whosaw-fsck-").tempdir();
                let elsewhere = std::env::temp_dir();
                let folder = folder.map_err(|source| FsckError::file((elsewhere, source)))?;
                Ok(Self(folder.path().to_owned(), Some(folder)))
            }
            Err(source) => Err(FsckError::file((path, source))),
        }
    }

    /// The journal that holds the derived ids and facts, without leaves.
    pub fn journal(&self) -> PathBuf {
        self.0.join("derived.db")
    }

    /// Where the indexes that the examined journal should have are made.
    pub fn index(&self) -> PathBuf {
        self.0.join("index.db")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Goes through the entries, compares files on the way, and leaves ids and facts in the scratch
/// journal. Ends at the first entry that is not there.
pub(super) struct Walk<'a, J> {
    pub fsck: &'a Fsck,
    pub journal: &'a J,
    pub derived: SqliteJournal,
    /// The query index, if there is one.
    pub queries: Option<&'a QueryReader>,
    /// Whether it says what the entries make.
    pub queries_hold: bool,
    pub maker: Maker,
    pub facts: FactCache,
    /// When the last admitted entry was logged.
    pub last: Option<Time>,
}

impl<J: JournalRead> Walk<'_, J> {
    /// Whether every entry was there and admitted: only then are ids and facts those of the log.
    pub fn run(
        &mut self,
        log: &mut LogFolder,
        findings: &mut Findings,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<bool, FsckError> {
        let size = self.journal.size()?;
        let mut admitted = true;
        progress(0, size);
        for first in (0..size).step_by(AT_ONCE as usize) {
            let end = size.min(first + AT_ONCE);
            let leaves = self.journal.leaves(first..end)?;
            if leaves.len() as u64 != end - first {
                let place = format!("ledger.db entries {first} to {}", end - 1);
                findings.unsound("missing-entry", place, "not all of them are there");
                return Ok(false);
            }
            if let Some(long) = leaves.iter().position(|leaf| leaf.len() > MAX_LEAF) {
                let place = format!("ledger.db entry {}", first + long as u64);
                findings.unsound("too-large", place, "longer than an entry may be");
                return Ok(false);
            }
            for made in self.maker.push(&leaves) {
                log.compare(&made, findings)?;
            }
            admitted &= self.replay(first, &leaves, findings)?;
            self.queries_hold &= self.compare_queries(first, &leaves).unwrap_or(false);
            progress(end, size);
        }
        Ok(admitted)
    }

    /// Whether the query index has of these entries what they make; it may end before them.
    fn compare_queries(&self, first: u64, leaves: &[Vec<u8>]) -> Result<bool, StoreError> {
        let Some(queries) = self.queries else {
            return Ok(true);
        };
        let end = queries.size()?.min(first + leaves.len() as u64);
        let mut made = rows(leaves, first);
        made.retain(|row| row.position < end);
        let told = made.iter().map(|row| (row.position, row.kind.to_owned()));
        let requests = made.iter().filter_map(|row| row.request.as_ref());
        let requests = requests.map(|row| {
            (
                row.position,
                row.jurisdiction.to_string(),
                row.deadline.unix(),
            )
        });
        Ok(told.eq(queries.told(first, end)?) && requests.eq(queries.requests(first, end)?))
    }

    /// Judges the entries from `first` on, and keeps what they change.
    fn replay(
        &mut self,
        first: u64,
        leaves: &[Vec<u8>],
        findings: &mut Findings,
    ) -> Result<bool, FsckError> {
        let origin = self.fsck.origin.as_str();
        let facts = CachedFacts {
            journal: &self.derived,
            cache: &self.facts,
        };
        let mut pending = Pending::new(&facts);
        let mut entries = Vec::with_capacity(leaves.len());
        let mut all = true;
        for (entry, index) in replay::read_all(leaves).into_iter().zip(first..) {
            let batch = match entry.as_ref().map(|entry| &entry.signed.statement) {
                Ok(Statement::CommitmentBatch(batch)) => Some(batch.clone()),
                _ => None,
            };
            let index = LeafIndex::new(index);
            match replay::judge(entry, origin, index, self.last, &pending) {
                Ok(admitted) => {
                    if let Some(batch) = batch {
                        self.check_batch(&admitted.id, &batch, findings)?;
                    }
                    self.last = Some(admitted.logged_at);
                    entries.push(new_entry(admitted.id, true));
                    pending.apply(admitted.id, index, admitted.change);
                }
                Err(Verdict::Refused(refusal)) => {
                    let place = format!("ledger.db entry {index}");
                    findings.unsound(refusal.reason.code(), place, refusal);
                    entries.push(new_entry(StatementId::of_payload(b""), false));
                    all = false;
                }
                Err(Verdict::Facts(error)) => return Err(error.into()),
            }
        }
        let facts = pending.into_facts();
        self.derived.commit(&Commit {
            first,
            entries,
            facts: encode(&facts),
            frontier: Vec::new(),
        })?;
        self.facts.update(&facts);
        Ok(all)
    }

    /// The list beside the log is the one whose root the statement names.
    fn check_batch(
        &self,
        id: &StatementId,
        batch: &CommitmentBatch,
        findings: &mut Findings,
    ) -> Result<(), FsckError> {
        let place = format!("batches/{id}");
        let path = self.fsck.data.join(&place);
        match fs::read(&path) {
            Ok(list) if is_batch(&list, batch) => {}
            Ok(_) => {
                let detail = "not the commitments whose root is in the log";
                findings.add("batch", &place, detail, Mend::Backup);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if !self.take_list(id, batch)? {
                    let detail = "not there: residents cannot show that theirs were entered";
                    findings.add(LOST_BATCH, &place, detail, Mend::Backup);
                }
            }
            Err(source) => return Err(FsckError::file((path, source))),
        }
        Ok(())
    }

    /// Copies a list that is missing from the first folder of a restore that has it; false if none has.
    fn take_list(&self, id: &StatementId, batch: &CommitmentBatch) -> Result<bool, FsckError> {
        let name = id.to_string();
        let lists = self.fsck.lists.iter();
        let mut found = lists.filter_map(|folder| fs::read(folder.join(&name)).ok());
        let Some(list) = found.find(|list| is_batch(list, batch)) else {
            return Ok(false);
        };
        let data = &self.fsck.data;
        let staging = data.join("staging/batches");
        Files::open(&data.join("batches"), &staging, Access::Public)?.create(&name, &list)?;
        Ok(true)
    }
}

/// The id of an entry that was not admitted is never looked at.
fn new_entry(id: StatementId, admitted: bool) -> NewEntry {
    let leaf = Vec::new();
    NewEntry { id, leaf, admitted }
}

fn is_batch(list: &[u8], batch: &CommitmentBatch) -> bool {
    Batch::from_list(list, batch.size, &batch.root).is_ok()
}
