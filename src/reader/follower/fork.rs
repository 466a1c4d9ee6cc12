//! What a reader has in hand when a log rewrote its past: evidence for everyone else.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{FollowError, Follower};
use crate::reader::source::{LogSource, Tiles};
use crate::store::journal::Journal;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::evidence::Evidence;
use crate::tlog::note::{Note, VerifierKey};

impl<J: Journal> Follower<J> {
    /// The checkpoint seen last and the one shown, with the nodes that set them against each other.
    ///
    /// `None` if the log withholds the nodes, or agrees with what it signed before: entries beyond the
    /// checkpoint seen last were verified, under one that was not kept.
    pub(super) fn evidence(
        &self,
        source: &dyn LogSource,
        shown: &Checkpoint,
        note: &[u8],
    ) -> Option<Box<Evidence>> {
        let (seen, seen_note) = self.checkpoint().ok()??;
        let seen = (seen, Note::parse(&seen_note).ok()?);
        let shown = (shown.clone(), Note::parse(note).ok()?);
        let evidence = Evidence::between(seen, shown, &Tiles(source)).ok()?;
        let logs = self.policy().logs().iter();
        let keys: Vec<VerifierKey> = logs.map(|log| log.key.clone()).collect();
        let holds = evidence.verify(&keys).is_ok();
        holds.then(|| Box::new(evidence))
    }
}

impl FollowError {
    /// Writes the evidence of a fork to `folder`, and names the file in the error. One file for each
    /// checkpoint that a log went against, however often it is asked again.
    #[must_use]
    pub fn keep_evidence(mut self, folder: &Path) -> Self {
        if let Self::Forked {
            at,
            evidence: Some(evidence),
            kept,
            ..
        } = &mut self
        {
            let path = folder.join(format!("fork-at-{at}.tlog-evidence"));
            match write(&path, folder, evidence) {
                Ok(()) => *kept = Some(path),
                Err(error) => {
                    let path = path.display();
                    tracing::error!(%path, %error, "the evidence of a fork was not written");
                }
            }
        }
        self
    }
}

fn write(path: &Path, folder: &Path, evidence: &Evidence) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    write!(file, "{evidence}")?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(failed.error),
        _ => Ok(()),
    }
}

/// The end of the error: where the evidence lies.
pub(super) fn told(kept: Option<&PathBuf>) -> String {
    kept.map_or_else(String::new, |path| {
        let path = path.display();
        format!(". The evidence is {path}: anyone can check it with `whosaw log evidence`")
    })
}
