//! What a witness keeps of each log, beneath `logs/<hex SHA-256 of the origin>/`.
//!
//! `checkpoint` is the note cosigned last, whole, and `evidence/1`… are what its log contradicted
//! itself with. What a witness goes by and shows is in memory, and was durable before it got there: a
//! name in a folder may be seen before it is durable, and whoever fetched a cosignature that a power
//! cut then takes back could get another for a second history.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::digest::Digest;
use crate::store::StoreError;
use crate::store::files::{Access, Files};
use crate::store::objects::Objects as _;
use crate::tlog::checkpoint::{Checkpoint, Origin};
use crate::tlog::evidence::Evidence;
use crate::tlog::note::Note;

/// The most evidence files kept of one log: one convicts it, and disks are small.
pub const MAX_EVIDENCE_FILES: u8 = 4;

/// A checkpoint that was cosigned.
#[derive(Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// With the log's signatures and the witness's.
    pub note: Note,
    pub checkpoint: Checkpoint,
}

/// What is kept of one log.
pub struct Record {
    files: Files,
    folder: Digest,
    /// Checking and storing is one step: two requests from one size must not both pass.
    turn: Mutex<()>,
    last: RwLock<Option<Arc<Cosigned>>>,
}

/// The folder's name of a log.
pub fn folder_of(origin: &Origin) -> Digest {
    Digest::of(origin.as_str())
}

/// Opens what is kept below `root`: of every log ever cosigned, and of those `known` now.
///
/// # Errors
/// The store's; [`StoreError::Damaged`] for a checkpoint that is none.
pub fn open<'a>(
    root: &Path,
    known: impl Iterator<Item = &'a Origin>,
) -> Result<BTreeMap<Digest, Record>, StoreError> {
    let files = Files::open(&root.join("logs"), &root.join("staging"), Access::Public)?;
    let paths = files.list("")?;
    let past = paths.iter().filter_map(|path| {
        let folder = path.strip_suffix("/checkpoint")?;
        folder.parse::<Digest>().ok()
    });
    let folders = past.chain(known.map(folder_of));
    folders
        .map(|folder| Ok((folder, Record::open(&files, folder)?)))
        .collect()
}

impl Record {
    fn open(files: &Files, folder: Digest) -> Result<Self, StoreError> {
        let path = format!("{folder}/checkpoint");
        let last = match files.read(&path)? {
            None => None,
            Some(bytes) => {
                let last = read(&bytes, folder);
                let last =
                    last.map_err(|why| StoreError::Damaged(format!("logs/{path}: {why}")))?;
                // A process may have died between the move to this name and its syncing.
                files.replace(&path, &bytes)?;
                Some(Arc::new(last))
            }
        };
        Ok(Self {
            files: files.clone(),
            folder,
            turn: Mutex::default(),
            last: RwLock::new(last),
        })
    }

    /// The checkpoint cosigned last.
    pub fn last(&self) -> Option<Arc<Cosigned>> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    /// Puts what `cosign` makes of the checkpoint cosigned last in its place, durably. One call at a
    /// time. If the disk fails, the old one stands, though the new one may be found at the next start:
    /// nobody was told of it.
    ///
    /// # Errors
    /// Those of `cosign`, and the store's.
    pub fn advance<E: From<StoreError>>(
        &self,
        cosign: impl FnOnce(Option<&Cosigned>) -> Result<Cosigned, E>,
    ) -> Result<Arc<Cosigned>, E> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Arc::new(cosign(self.last().as_deref())?);
        let path = format!("{}/checkpoint", self.folder);
        self.files.replace(&path, &next.note.to_bytes())?;
        let mut last = self.last.write().unwrap_or_else(PoisonError::into_inner);
        *last = Some(next.clone());
        Ok(next)
    }

    /// Keeps evidence, unless it is kept already or there is enough; its number, if it is new.
    ///
    /// # Errors
    /// The store's.
    pub fn keep(&self, evidence: &Evidence) -> Result<Option<u8>, StoreError> {
        for number in 1..=MAX_EVIDENCE_FILES {
            let Some(kept) = self.evidence(number)? else {
                let path = self.evidence_path(number);
                self.files.create(&path, evidence.to_string().as_bytes())?;
                return Ok(Some(number));
            };
            let texts = |e: &Evidence| [e.earlier.text.clone(), e.later.text.clone()];
            if Evidence::parse(&kept).is_ok_and(|kept| texts(&kept) == texts(evidence)) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// An evidence file, by its number from 1.
    ///
    /// # Errors
    /// The store's.
    pub fn evidence(&self, number: u8) -> Result<Option<Vec<u8>>, StoreError> {
        self.files.read(&self.evidence_path(number))
    }

    /// How many evidence files there are.
    ///
    /// # Errors
    /// The store's.
    pub fn evidence_count(&self) -> Result<usize, StoreError> {
        let kept = self.files.list(&format!("{}/evidence", self.folder))?;
        Ok(kept.len())
    }

    fn evidence_path(&self, number: u8) -> String {
        format!("{}/evidence/{number}", self.folder)
    }
}

fn read(bytes: &[u8], folder: Digest) -> Result<Cosigned, String> {
    let note = Note::parse(bytes).map_err(|e| e.to_string())?;
    let checkpoint = Checkpoint::parse(&note.text).map_err(|e| e.to_string())?;
    if folder_of(&checkpoint.origin) != folder {
        return Err(format!("of the log {}", checkpoint.origin));
    }
    Ok(Cosigned { note, checkpoint })
}
