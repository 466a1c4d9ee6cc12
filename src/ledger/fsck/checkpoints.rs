//! The signed head and the published checkpoint.

use super::report::{Findings, Mend};
use super::{Fsck, FsckError};
use crate::ledger::tiles::CHECKPOINT;
use crate::store::journal::{Head, JournalRead};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::cosignature;
use crate::tlog::hash::Hash;
use crate::tlog::note::{Note, NoteError, NoteSignature};
use crate::watch::folder;

const HEAD: &str = "ledger.db head";
const PUBLISHED: &str = "log/checkpoint";

/// What the log has signed and what is in public, as far as the log's own signature vouches for it.
pub(super) struct Signed {
    pub head: Option<Head>,
    pub published: Option<Checkpoint>,
    /// The file in public is none that this log signed.
    pub foreign: bool,
}

impl Signed {
    /// Sizes whose roots and files matter.
    pub fn sizes(&self) -> Vec<u64> {
        let head = self.head.as_ref().map(|head| head.size);
        head.into_iter().chain(self.published_size()).collect()
    }

    pub fn published_size(&self) -> Option<u64> {
        self.published.as_ref().map(|p| p.size.as_u64())
    }

    /// Reads both, and checks what needs no entries.
    pub fn read(
        fsck: &Fsck,
        journal: &impl JournalRead,
        findings: &mut Findings,
    ) -> Result<Self, FsckError> {
        let (head, entries) = (journal.head()?, journal.size()?);
        if let Some(head) = &head {
            if let Err(why) = check_head(head, fsck) {
                findings.unsound("head", HEAD, why);
            }
            if head.size > entries {
                let why = format!("covers {} entries, of which {entries} are there", head.size);
                findings.unsound("head", HEAD, why);
            }
        }
        let (published, foreign) = read_published(fsck, findings)?;
        if let Some(published) = published.as_ref().map(|p| p.size.as_u64()) {
            let signed = head.as_ref().map_or(0, |head| head.size);
            if published > signed {
                let why = format!(
                    "has {published} entries, and the head {signed}: an old copy of ledger.db?"
                );
                findings.unsound("beyond-head", PUBLISHED, why);
            }
        }
        Ok(Self {
            head,
            published,
            foreign,
        })
    }

    /// Compares both with the roots that the entries make; none where there are fewer entries.
    pub fn compare(&self, root_at: impl Fn(u64) -> Option<Hash>, findings: &mut Findings) {
        let head = self
            .head
            .as_ref()
            .map(|head| (head.size, Hash::from_bytes(head.root)));
        let published = self.published.as_ref().map(|p| (p.size.as_u64(), p.root));
        for (place, signed) in [(HEAD, head), (PUBLISHED, published)] {
            let Some((size, signed)) = signed else {
                continue;
            };
            if let Some(made) = root_at(size).filter(|made| *made != signed) {
                let why = format!("signed is {signed} over {size} entries, which hash to {made}");
                findings.unsound("wrong-root", place, why);
            }
        }
    }
}

/// The head is what the log's own keys signed, as the log writes it.
pub(super) fn check_head(head: &Head, fsck: &Fsck) -> Result<(), String> {
    let (note, checkpoint) = own_note(&head.note, fsck)?;
    let of_note = (checkpoint.size.as_u64(), checkpoint.root.as_bytes());
    if of_note != (head.size, &head.root) {
        return Err(format!(
            "its note is of size {} and root {}",
            checkpoint.size, checkpoint.root
        ));
    }
    match note.signatures.iter().all(|line| is_by_log(line, fsck)) {
        true => Ok(()),
        false => Err("signed by others than the log".to_owned()),
    }
}

/// A checkpoint that all of the log's keys signed, in its one spelling.
fn own_note(bytes: &[u8], fsck: &Fsck) -> Result<(Note, Checkpoint), String> {
    let note = Note::parse(bytes).map_err(|e| e.to_string())?;
    let checkpoint = Checkpoint::parse(&note.text).map_err(|e| e.to_string())?;
    for key in &fsck.keys {
        if checkpoint.origin.to_key_name() != key.name {
            return Err(format!("a checkpoint of {}", checkpoint.origin));
        }
        if !checkpoint
            .is_signed(&note, [key])
            .map_err(|e| e.to_string())?
        {
            return Err(format!("not signed by the log's key {}", key.fingerprint()));
        }
    }
    if note.to_bytes() != bytes || checkpoint.body() != note.text {
        return Err("not spelled as a log writes it".to_owned());
    }
    Ok((note, checkpoint))
}

fn is_by_log(line: &NoteSignature, fsck: &Fsck) -> bool {
    fsck.keys.iter().any(|key| key.is_claimed_by(line))
}

/// The checkpoint in public if the log signed it; and whether there is a file that it did not.
fn read_published(
    fsck: &Fsck,
    findings: &mut Findings,
) -> Result<(Option<Checkpoint>, bool), FsckError> {
    let path = fsck.log().join(CHECKPOINT);
    if !path.is_file() {
        return Ok((None, false));
    }
    let bytes = folder::read(&path).map_err(FsckError::file)?;
    match own_note(&bytes, fsck) {
        Ok((note, checkpoint)) => {
            if let Err(why) = check_cosignatures(&bytes, &note, &checkpoint, fsck) {
                findings.add("checkpoint", PUBLISHED, why, Mend::Serve);
            }
            Ok((Some(checkpoint), false))
        }
        Err(why) => {
            findings.add("checkpoint", PUBLISHED, why, Mend::Repair);
            Ok((None, true))
        }
    }
}

/// The quorum is met, and every line is by a known key and verifies.
fn check_cosignatures(
    bytes: &[u8],
    note: &Note,
    checkpoint: &Checkpoint,
    fsck: &Fsck,
) -> Result<(), String> {
    let lines = note.signatures.iter();
    for line in lines.filter(|line| !is_by_log(line, fsck)) {
        let mut witnesses = fsck.policy.witnesses().iter();
        let witness = witnesses.find(|witness| witness.key.is_claimed_by(line));
        let witness = witness.ok_or_else(|| {
            format!(
                "signed by {}, with a key that log.policy does not name: altered, or the witnesses \
                 were changed",
                line.name
            )
        })?;
        match cosignature::verify(&witness.key, checkpoint, line) {
            Ok(_) | Err(NoteError::NoTime(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    let verified = fsck.policy.verify(bytes, None, None);
    verified.map(drop).map_err(|e| e.to_string())
}
