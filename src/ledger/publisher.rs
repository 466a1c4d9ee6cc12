//! The publisher: the thread that has heads cosigned and puts checkpoints in public.
//!
//! It takes the last head that the [`Sequencer`](super::sequencer) signed and passes over those
//! between, so witnesses that are slower than the log cost it nothing but checkpoints.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::changes::Changes;
use super::clocks::Clocks;
use super::confirm::Confirm;
use super::metrics::Metrics;
use super::reads::LogReads;
use super::sequencer::logged_at;
use super::tiles::{CHECKPOINT, LogFiles};
use super::witnesses::{Lack, Witnesses};
use super::{LedgerError, Progress, Published};
use crate::store::journal::JournalRead;
use crate::store::sqlite::SqliteReader;
use crate::time::Time;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::{LogSigner, Note};
use crate::tlog::policy::{Policy, counts_at};
use crate::tlog::prove;
use crate::tlog::tree::TreeSize;

/// How soon a checkpoint that the witnesses did not cosign is tried again, or witnesses are asked again
/// that do not confirm the clock.
const RETRY: Duration = Duration::from_secs(2);

pub(super) struct Publisher {
    pub log: LogFiles,
    pub witnesses: Witnesses,
    /// For the times of entries.
    pub journal: SqliteReader,
    pub clocks: Arc<Clocks>,
    /// How often an unchanged checkpoint is cosigned anew.
    pub renew: watch::Receiver<Duration>,
    pub progress: watch::Receiver<Progress>,
    pub publish: watch::Sender<Option<Published>>,
    pub metrics: Metrics,
    /// Asks witnesses that do not cosign which checkpoint they have; none where a test plays the log alone.
    pub confirm: Option<Arc<Confirm>>,
    pub changes: Changes,
}

impl Publisher {
    /// What was published before still is: proofs are given from the first moment on.
    ///
    /// # Errors
    /// The store's.
    pub fn resume(&self) -> Result<(), LedgerError> {
        self.metrics.introduce(self.witnesses.names());
        // If the witnesses were changed, the new ones are asked at once.
        if let Some(note) = self.log.read(CHECKPOINT)?
            && let Some(published) = self.witnesses.published(&note, self.clocks.now().wall)
        {
            let size = published.checkpoint.size;
            let counted = counted(&self.journal, size, published.at)?;
            let published = Published {
                counted,
                ..published
            };
            self.metrics.asked(&published.witnesses, published.at);
            self.publish.send_replace(Some(published));
        }
        Ok(())
    }

    /// Publishes head after head until the sequencer is gone and its last head is public, or the
    /// witnesses do not cosign it.
    ///
    /// # Errors
    /// What stopped it.
    pub fn run(mut self) -> Result<(), LedgerError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|e| LedgerError::Inconsistent(format!("no timer to be had: {e}")))?;
        let mut policies = self.confirm.as_ref().map(|confirm| confirm.policies());
        let mut confirmed = self.clocks.subscribe();
        loop {
            let policy = policies.as_mut().and_then(|policies| {
                let policy = policies.borrow_and_update();
                (*policy != *self.witnesses.policy()).then(|| policy.clone())
            });
            if let Some(policy) = &policy {
                self.ask_witnesses_of(policy.clone());
            }
            let head = self.progress.borrow_and_update().head.clone();
            let mut again = match &head {
                Some(head) => self.publish(head)?,
                None => *self.renew.borrow_and_update(),
            };
            // Those of the old one confirm the clock until those of the new one were asked.
            if let Some(policy) = policy {
                self.clocks.change_policy(policy);
            }
            if !*confirmed.borrow_and_update() {
                again = again.min(RETRY);
            }
            let until = tokio::time::Instant::from_std(Instant::now() + again);
            let goes_on = runtime.block_on(async {
                loop {
                    tokio::select! {
                        changed = self.progress.changed() => match changed {
                            Ok(()) if self.progress.borrow_and_update().head == head => {}
                            Ok(()) => return true,
                            Err(_gone) => return false,
                        },
                        () = another(&mut policies) => return true,
                        Ok(()) = self.renew.changed() => return true,
                        // The clock was set, or the machine stood still: measured anew at once.
                        Ok(()) = confirmed.changed() => return true,
                        () = tokio::time::sleep_until(until) => return true,
                    }
                }
            });
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// From here on the witnesses of this policy are asked, and its quorum counts.
    fn ask_witnesses_of(&mut self, policy: Policy) {
        let witnesses = self.witnesses.of_policy(policy);
        // A name that has another key is another witness.
        let kept = |name: &str| self.witnesses.key(name) == witnesses.key(name);
        let gone = self.witnesses.names().filter(|name| !kept(name));
        self.metrics.forget(gone.clone());
        gone.for_each(|name| self.changes.forget(name));
        let new = witnesses.names().filter(|name| !kept(name));
        self.metrics.introduce(new);
        self.witnesses = witnesses;
    }

    /// Asks all witnesses at once and publishes if their quorum is met; when to ask again.
    ///
    /// # Errors
    /// The store's.
    pub fn publish(&mut self, head: &[u8]) -> Result<Duration, LedgerError> {
        if self
            .confirm
            .as_ref()
            .is_some_and(|confirm| confirm.is_rolled_back())
        {
            // No witness shall see a head that may be of a second history.
            return Ok(*self.renew.borrow_and_update());
        }
        let cosigned = self.witnesses.cosign(head, &self.log)?;
        let came = self.clocks.now();
        let quorum = cosigned.note.is_some();
        self.metrics.asked(&cosigned.witnesses, came.wall);
        if let Some(confirm) = &self.confirm
            && cosigned.witnesses.iter().any(is_absent)
        {
            confirm.look_beside();
        }
        self.metrics.shown(quorum);
        let changes = &mut self.changes;
        for change in changes.note(&cosigned.witnesses, quorum, Instant::now()) {
            change.log();
        }
        let Some((note, at)) = cosigned.note else {
            self.publish.send_modify(|published| {
                if let Some(published) = published {
                    published.witnesses = cosigned.witnesses;
                }
            });
            return Ok(RETRY);
        };
        // A crash before this leaves an older checkpoint in public; the next start publishes.
        self.log.publish(&note)?;
        let size = cosigned.checkpoint.size;
        let last = self.progress.borrow().last_logged_at;
        let counted = match last {
            Some(last) if !counts_at(at, last) => counted(&self.journal, size, at)?,
            _ => size,
        };
        self.publish.send_replace(Some(Published {
            checkpoint: cosigned.checkpoint,
            note: note.into(),
            at,
            came: Some(came),
            counted,
            witnesses: cosigned.witnesses,
        }));
        Ok(*self.renew.borrow_and_update())
    }
}

/// Waits for another policy.
async fn another(policies: &mut Option<watch::Receiver<Policy>>) {
    if let Some(policies) = policies
        && policies.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

fn is_absent((_, answer): &(String, Result<(), Lack>)) -> bool {
    matches!(answer, Err(Lack::Absent(_)))
}

/// How many of the first `size` entries a checkpoint of this time counts for. Times of logging never
/// decrease.
fn counted(journal: &impl JournalRead, size: TreeSize, at: Time) -> Result<TreeSize, LedgerError> {
    let (mut counts, mut does_not) = (0, size.as_u64());
    while counts < does_not {
        let middle = counts + (does_not - counts) / 2;
        match counts_at(at, logged_at(journal, middle)?) {
            true => counts = middle + 1,
            false => does_not = middle,
        }
    }
    Ok(TreeSize::new(counts))
}

/// What is in public is this log's: nothing may be signed beside it.
///
/// # Errors
/// [`LedgerError::Inconsistent`] if the log did not sign it, or if the tiles hold something else;
/// [`LedgerError::Old`] if the journal holds less.
pub(super) fn check_published(
    journal: &impl JournalRead,
    log: &LogReads,
    signer: &LogSigner,
) -> Result<(), LedgerError> {
    let Some(bytes) = log.checkpoint()? else {
        return Ok(());
    };
    let fault = |why: String| LedgerError::Inconsistent(format!("the published checkpoint {why}"));
    let foreign = |why: String| fault(format!("is not this log's: {why}"));
    let note = Note::parse(&bytes).map_err(|e| foreign(e.to_string()))?;
    let published = Checkpoint::parse(&note.text).map_err(|e| foreign(e.to_string()))?;
    let signed = published.is_signed(&note, [&signer.verifier()]);
    if !signed.map_err(|e| foreign(e.to_string()))? {
        return Err(foreign("its key did not sign it".to_owned()));
    }
    let (size, entries) = (published.size, journal.size()?);
    if size.as_u64() > entries {
        return Err(LedgerError::Old(format!(
            "the published checkpoint has {size} entries, and ledger.db {entries}: it is older than the log"
        )));
    }
    let root = prove::root(size, log).map_err(|e| fault(format!("lacks its tiles: {e}")))?;
    if root != published.root {
        return Err(fault(format!(
            "has another root than the tiles of size {size}"
        )));
    }
    Ok(())
}
