//! Entries whose time of logging the witnesses contradict (PROTOCOL section 3).
//!
//! An operator writes `logged_at`, and the rules count waits and expiries by it. A follower holds it
//! against the witnesses' times at each update. What it finds changes no replay: other readers, who
//! looked later, cannot find it. So it is kept beside the copy, before the checkpoint is taken over.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{FollowError, Follower};
use crate::store::StoreError;
use crate::store::journal::Journal;
use crate::time::Time;
use crate::tlog::note::Note;
use crate::tlog::policy::{Policy, WitnessedCheckpoint};
use crate::tlog::tree::{LeafIndex, TreeSize};

/// Entries beyond the last checkpoint that are read at once.
const READ: u64 = 1024;

/// How the witnesses contradict an entry's time of logging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `logged-ahead`: a quorum had cosigned it more than 5 minutes before that time.
    Ahead,
    /// `logged-behind`: a checkpoint without it is more than 15 minutes younger than that time.
    Behind,
}

impl Mark {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Ahead => "logged-ahead",
            Self::Behind => "logged-behind",
        }
    }
}

/// Entries that were marked, all in one way. Forbidden entries among them change nothing anyway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    pub mark: Mark,
    pub entries: Range<u64>,
    /// The file that shows it, where there is a folder for such files.
    pub file: Option<PathBuf>,
}

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.entries.start, self.entries.end.saturating_sub(1));
        let why = match self.mark {
            Mark::Ahead => "the witnesses had cosigned them more than 5 minutes before",
            Mark::Behind => "a checkpoint without them is more than 15 minutes younger",
        };
        let code = self.mark.code();
        write!(
            f,
            "the times of logging of entries {first} to {last} are false ({code}): {why}"
        )?;
        match &self.file {
            Some(file) => write!(f, "; {} shows it", file.display()),
            None => Ok(()),
        }
    }
}

/// The marks of a copy, and where what shows them is kept.
#[derive(Debug, Default)]
pub(super) struct Marks {
    folder: Option<PathBuf>,
    marked: Vec<Marked>,
}

/// Holds the times of new entries against the checkpoint that covers them and the one that does not.
/// Times of logging never decrease, so that those ahead are the last entries, those behind the first.
pub(super) struct Times<'a> {
    shown: &'a WitnessedCheckpoint,
    seen: Option<WitnessedCheckpoint>,
    from: u64,
    first_ahead: Option<u64>,
    last_behind: Option<u64>,
}

impl<'a> Times<'a> {
    /// Of entries from `from` on, under `shown`; `seen` covers those before.
    pub fn new(
        shown: &'a WitnessedCheckpoint,
        seen: Option<WitnessedCheckpoint>,
        from: u64,
    ) -> Self {
        Self {
            shown,
            seen,
            from,
            first_ahead: None,
            last_behind: None,
        }
    }

    /// Takes in an admitted entry, in ascending order.
    pub fn look(&mut self, index: LeafIndex, logged_at: Time) {
        let index = index.as_u64();
        if self.first_ahead.is_none() && self.shown.shows_ahead(logged_at) {
            self.first_ahead = Some(index);
        }
        let seen = self.seen.as_ref();
        if seen.is_some_and(|seen| seen.shows_behind(logged_at)) {
            self.last_behind = Some(index);
        }
    }
}

impl<J: Journal> Follower<J> {
    /// Keeps marks, and what shows them, as files in `folder`; reads those that are there.
    ///
    /// # Errors
    /// The folder's.
    pub fn keeping_marks(mut self, folder: &Path) -> Result<Self, FollowError> {
        self.marks = Marks {
            folder: Some(folder.to_owned()),
            marked: read(folder).map_err(fault(folder))?,
        };
        Ok(self)
    }

    /// How the witnesses contradict the time of logging of the entry at `index`, as far as this copy
    /// was there to see it.
    pub fn mark(&self, index: LeafIndex) -> Option<Mark> {
        let index = index.as_u64();
        let marked = self.marks.marked.iter();
        let mut of_entry = marked.filter(|marked| marked.entries.contains(&index));
        of_entry.next().map(|marked| marked.mark)
    }

    /// Looks at entries that a broken update left beyond the last checkpoint.
    pub(super) fn look_at_left(&self, times: &mut Times<'_>) -> Result<(), StoreError> {
        let mut next = times.from;
        loop {
            let leaves = self.journal.leaves(next..next.saturating_add(READ))?;
            if leaves.is_empty() {
                return Ok(());
            }
            for (leaf, index) in leaves.iter().zip(next..) {
                if let Some(entry) = self.admitted(LeafIndex::new(index), leaf)? {
                    times.look(entry.index, entry.logged_at);
                }
            }
            next = next.saturating_add(leaves.len() as u64);
        }
    }

    /// Marks what the times of an update show, durably, before its checkpoint is taken over.
    pub(super) fn mark_new(
        &mut self,
        times: &Times<'_>,
        note: &[u8],
    ) -> Result<Vec<Marked>, FollowError> {
        let size = times.shown.checkpoint.size;
        let mut found = Vec::new();
        if let Some(first) = times.first_ahead {
            let entries = first..size.as_u64();
            found.push(self.keep(Mark::Ahead, entries, first, size, note)?);
        }
        if let Some(last) = times.last_behind {
            let entries = times.from..last.saturating_add(1);
            found.push(self.keep(Mark::Behind, entries, last, size, note)?);
        }
        for marked in &found {
            if !self.marks.marked.contains(marked) {
                self.marks.marked.push(marked.clone());
            }
        }
        Ok(found)
    }

    /// Writes the proof of the entry at `index`, which shows the mark of `entries`.
    fn keep(
        &self,
        mark: Mark,
        entries: Range<u64>,
        index: u64,
        size: TreeSize,
        note: &[u8],
    ) -> Result<Marked, FollowError> {
        let Some(folder) = &self.marks.folder else {
            let file = None;
            return Ok(Marked {
                mark,
                entries,
                file,
            });
        };
        let proof =
            self.proof_under(LeafIndex::new(index), size, known_lines(note, &self.policy))?;
        let path = folder.join(name(mark, &entries));
        if mark == Mark::Behind
            && let Some((_, seen)) = self.checkpoint()?
        {
            let path = path.with_extension("checkpoint");
            write(&path, folder, &known_lines(&seen, &self.policy)).map_err(fault(&path))?;
        }
        write(&path, folder, proof.to_text().as_bytes()).map_err(fault(&path))?;
        Ok(Marked {
            mark,
            entries,
            file: Some(path),
        })
    }
}

/// A note without the lines of keys that the policy does not name: anybody could add those.
fn known_lines(note: &[u8], policy: &Policy) -> Vec<u8> {
    let Ok(mut known) = Note::parse(note) else {
        return note.to_vec();
    };
    let logs = policy.logs().iter().map(|log| &log.key);
    let keys = policy.witnesses().iter().map(|witness| &witness.key);
    let keys: Vec<_> = logs.chain(keys).collect();
    known
        .signatures
        .retain(|line| keys.iter().any(|key| key.is_claimed_by(line)));
    known.to_bytes()
}

/// `logged-ahead-10-to-12.tlog-proof`, the last entry named too.
fn name(mark: Mark, entries: &Range<u64>) -> String {
    let (first, last) = (entries.start, entries.end.saturating_sub(1));
    format!("{}-{first}-to-{last}.tlog-proof", mark.code())
}

fn parse_name(text: &str) -> Option<(Mark, Range<u64>)> {
    let rest = text.strip_suffix(".tlog-proof")?;
    [Mark::Ahead, Mark::Behind].into_iter().find_map(|mark| {
        let rest = rest.strip_prefix(mark.code())?.strip_prefix('-')?;
        let (first, last) = rest.split_once("-to-")?;
        let end = last.parse::<u64>().ok()?.checked_add(1)?;
        Some((mark, first.parse().ok()?..end))
    })
}

fn read(folder: &Path) -> io::Result<Vec<Marked>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut marked = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if let Some((mark, entries)) = name.to_str().and_then(parse_name) {
            marked.push(Marked {
                mark,
                entries,
                file: Some(entry.path()),
            });
        }
    }
    Ok(marked)
}

/// Durable under its name, or not there.
fn write(path: &Path, folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    fs::File::open(folder)?.sync_all()
}

fn fault(path: &Path) -> impl Fn(io::Error) -> FollowError + use<> {
    let path = path.to_owned();
    move |source| {
        let path = path.clone();
        StoreError::Io { path, source }.into()
    }
}
