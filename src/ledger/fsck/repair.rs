//! Rebuilds what follows from sound entries; everything that was damaged is moved aside, not removed.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::derive::AT_ONCE;
use super::files::LogFolder;
use super::made::{Made, Maker};
use super::report::Report;
use super::{Fsck, FsckError, Progress, QUERIES};
use crate::ledger::tiles::LogFiles;
use crate::store::files::{Access, Files};
use crate::store::journal::JournalRead as _;
use crate::store::objects::Objects as _;
use crate::store::sqlite::{SqliteReader, replace_keys};
use crate::time::Time;
use crate::tlog::prove;
use crate::tlog::tree::TreeSize;

/// What came of a repair.
pub enum Repaired {
    /// Entries, head or published checkpoint do not hold: nothing was changed.
    Refused {
        report: Box<Report>,
        /// Whether the tiles in `log/` still hash to the head's root: then its bundles hold the
        /// entries that were signed.
        tiles_hold: bool,
    },
    /// What was found before, what was done, and what an examination finds after it.
    Done {
        before: Box<Report>,
        done: Vec<String>,
        after: Box<Report>,
    },
}

impl Fsck {
    /// Examines everything, rebuilds what may be rebuilt, and examines again. What was damaged is
    /// moved into `damaged/` under a name made of `now`.
    ///
    /// # Errors
    /// [`FsckError`]; what was done until then stands, and a repair may be begun again.
    pub fn repair(&self, now: Time, progress: Progress<'_>) -> Result<Repaired, FsckError> {
        let examined = self.examine(progress)?;
        let before = examined.report;
        if before.unsound {
            let tiles_hold = self.tiles_hold(&before);
            let report = Box::new(before);
            return Ok(Repaired::Refused { report, tiles_hold });
        }
        let mut done = Vec::new();
        if examined.keys_differ {
            replace_keys(&self.journal(), &examined.scratch.journal())?;
            done.push("ids, facts and indexes of ledger.db made of its entries".to_owned());
        }
        let aside = Aside::new(&self.data, now);
        if examined.queries_differ && aside.take(&self.data, QUERIES)? {
            // What was not checkpointed yet belongs to the file that was moved.
            for beside in ["-wal", "-shm"] {
                aside.take(&self.data, &format!("{QUERIES}{beside}"))?;
            }
            let aside = &aside.name;
            done.push(format!(
                "{QUERIES} moved to {aside}; `whosaw serve` makes it anew"
            ));
        }
        self.mend_files(&examined.log, &aside, &mut done)?;
        // Its scratch folder makes room for the next one's.
        drop(examined.scratch);
        let after = self.check(progress)?;
        Ok(Repaired::Done {
            before: Box::new(before),
            done,
            after: Box::new(after),
        })
    }

    /// Whether the tiles hash to the root that the log signed.
    fn tiles_hold(&self, report: &Report) -> bool {
        let Some(head) = &report.head else {
            return false;
        };
        let Ok(files) = self.open_files() else {
            return false;
        };
        let root = prove::root(TreeSize::new(head.size), &LogFiles::new(files));
        root.is_ok_and(|root| root.to_string() == head.root)
    }

    fn open_files(&self) -> Result<Files, FsckError> {
        let staging = self.data.join("staging/log");
        Ok(Files::open(&self.log(), &staging, Access::Public)?)
    }

    /// Moves aside what is damaged or stray, makes anew what readers need, and removes what nobody
    /// does.
    fn mend_files(
        &self,
        log: &LogFolder,
        aside: &Aside,
        done: &mut Vec<String>,
    ) -> Result<(), FsckError> {
        let files = self.open_files()?;
        for path in &log.mend {
            if aside.take(&self.data, &super::files::log_path(path))? {
                done.push(format!("log/{path} moved to {}", aside.name));
            }
        }
        if !log.mend.is_empty() {
            let mut make = |made: &Made| -> Result<(), FsckError> {
                for width in log.needed_widths(made.place) {
                    let path = made.place.path(width);
                    if let Some(bytes) = made.of_width(width).filter(|_| log.mend.contains(&path)) {
                        files.create(&path, bytes)?;
                        done.push(format!("log/{path} made of the entries"));
                    }
                }
                Ok(())
            };
            self.make_all(&mut make)?;
        }
        for path in &log.left_over {
            files.remove(path)?;
        }
        if !log.left_over.is_empty() {
            let count = log.left_over.len();
            done.push(format!("{count} partial files that nobody needs removed"));
        }
        Ok(())
    }

    /// Makes every tile and bundle of the entries, one after the other.
    fn make_all(
        &self,
        take: &mut dyn FnMut(&Made) -> Result<(), FsckError>,
    ) -> Result<(), FsckError> {
        let journal = SqliteReader::open(&self.journal())?;
        let size = journal.size()?;
        let mut maker = Maker::new([]);
        for first in (0..size).step_by(AT_ONCE as usize) {
            let leaves = journal.leaves(first..size.min(first + AT_ONCE))?;
            maker.push(&leaves).iter().try_for_each(&mut *take)?;
        }
        maker.finish().try_for_each(|made| take(&made))
    }
}

/// Where damaged files go.
pub(super) struct Aside {
    folder: PathBuf,
    /// From the data folder.
    name: String,
}

impl Aside {
    pub fn new(data: &Path, now: Time) -> Self {
        let time = now.to_string().replace(':', "-");
        let names = std::iter::once(format!("damaged/{time}"))
            .chain((2..).map(|n| format!("damaged/{time}.{n}")));
        // Two repairs in one second do not mix.
        let mut free = names.filter(|name| !data.join(name).exists());
        let name = free.next().expect("the names do not end");
        Self {
            folder: data.join(&name),
            name,
        }
    }

    /// Gives a file a second name there, durably: it stays where it is until another takes its place.
    pub fn keep(&self, data: &Path, path: &str) -> Result<(), FsckError> {
        let (from, to) = (data.join(path), self.folder.join(path));
        let folder = to.parent().expect("below the data folder");
        let kept = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .and_then(|()| fs::hard_link(&from, &to))
            .and_then(|()| sync_up(folder, data));
        kept.map_err(|source| FsckError::file((from.clone(), source)))
    }

    /// Moves a file there, durably; false if there is none.
    pub fn take(&self, data: &Path, path: &str) -> Result<bool, FsckError> {
        let (from, to) = (data.join(path), self.folder.join(path));
        if fs::symlink_metadata(&from).is_err() {
            return Ok(false);
        }
        let folder = to.parent().expect("below the data folder");
        let moved = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .and_then(|()| fs::rename(&from, &to))
            .and_then(|()| sync_up(folder, data))
            .and_then(|()| File::open(from.parent().expect("in log/"))?.sync_all());
        moved.map_err(|source| FsckError::file((from.clone(), source)))?;
        Ok(true)
    }
}

/// Makes the names from `folder` up to `root` durable.
fn sync_up(folder: &Path, root: &Path) -> io::Result<()> {
    for folder in folder
        .ancestors()
        .take_while(|folder| folder.starts_with(root))
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
