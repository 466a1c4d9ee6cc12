//! The sequencer: the one thread that makes entries of statements, in the order that
//! [`Sequencer::round`] tells.
//!
//! A round takes what waits and makes it durable, integrated and signed; the
//! [`Publisher`](super::publisher) asks the witnesses and publishes beside it, so that a slow
//! witness holds up nothing but the checkpoint. Any failure to write is fatal: after it, what is
//! durable is known only by starting anew. Refusals are answers, not failures.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::clocks::Clocks;
use super::confirm::Confirm;
use super::metrics::{Metrics, timed};
use super::tiles::{LogEnd, LogFiles};
use super::{Genesis, LedgerError, Progress, Sequenced, Submission, SubmitError, logging_time};
use crate::digest::StatementId;
use crate::statement::Signed;
use crate::statement::facts::{
    Change, ClosedFact, Fact, FactKey, Facts as _, FactsExt as _, Pending, Whole,
};
use crate::statement::leaf::{Leaf, MAX_LEAF};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules;
use crate::store::facts::{CachedFacts, FactCache, JournalFacts, encode};
use crate::store::journal::{Commit, Head, Journal, JournalRead, NewEntry};
use crate::store::patiently;
use crate::time::{Clock, Time};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::{LogSigner, Note};
use crate::tlog::tile::{self, FULL};
use crate::tlog::tree::{LeafIndex, TreeSize};

/// Statements that one round takes at most.
const MAX_BATCH: usize = 1024;
/// How long after the last round the next begins at the earliest. Each writes some files and waits for
/// the disk several times, and later removes as many; what comes meanwhile shares them.
const APART: Duration = Duration::from_millis(10);

/// Statements whose judging panicked that are remembered at most. One that is forgotten panics again,
/// and is refused again.
const MAX_UNJUDGEABLE: usize = 4096;

pub(super) struct Sequencer<J> {
    journal: J,
    /// What the journal holds, where nearly every statement asks for it.
    facts: FactCache,
    log: LogFiles,
    signer: LogSigner,
    clock: Clock,
    /// The entries that the head covers; all of the journal's, between rounds.
    end: LogEnd,
    /// The last checkpoint signed; none before the first.
    head: Option<Head>,
    /// When the last entry was logged.
    last_logged_at: Option<Time>,
    /// The end, if the log was closed. The rules keep everything out after it; this tells others.
    closed: Option<Arc<ClosedFact>>,
    progress: watch::Sender<Progress>,
    /// Statements whose judging panicked: refused until a restart.
    unjudgeable: BTreeSet<StatementId>,
    pub metrics: Metrics,
    /// Asks the witnesses before heads are signed; none where a test plays the log alone.
    pub confirm: Option<Arc<Confirm>>,
    /// Says whether the witnesses confirm the clock; none where a test plays the log alone, and before
    /// the first entries.
    pub clocks: Option<Arc<Clocks>>,
    /// How long after the last round witnesses are asked before the next.
    pub quiet: Duration,
}

type Answer = oneshot::Sender<Result<Sequenced, SubmitError>>;

/// What the rules admitted in a round, not yet durable.
struct Admitted {
    logged_at: Time,
    commit: Commit,
    facts: Vec<(FactKey, Fact)>,
    waiting: Vec<Waiting>,
}

/// Who is answered once a round is durable.
struct Waiting {
    answer: Answer,
    index: LeafIndex,
    /// Whether it is a repetition.
    known: bool,
    _place: Box<dyn Send>,
}

impl<J: Journal> Sequencer<J> {
    /// Opens the log and brings it to where a crash cannot be told from a clean stop.
    ///
    /// # Errors
    /// [`LedgerError::Inconsistent`] if journal, head and tiles do not agree.
    pub fn open(
        journal: J,
        log: LogFiles,
        signer: LogSigner,
        clock: Clock,
        progress: watch::Sender<Progress>,
    ) -> Result<Self, LedgerError> {
        let head = journal.head()?;
        let end = match &head {
            None => LogEnd::new(),
            Some(head) => open_end(&journal, &log, &signer, head)?,
        };
        let last_logged_at = match journal.size()?.checked_sub(1) {
            None => None,
            Some(last) => Some(parse_logged_at(&leaf(&journal, last)?)?),
        };
        let closed = JournalFacts(&journal).closed(&Whole)?.map(Arc::new);
        let mut sequencer = Self {
            journal,
            closed,
            facts: FactCache::default(),
            log,
            signer,
            clock,
            end,
            head,
            last_logged_at,
            progress,
            unjudgeable: BTreeSet::new(),
            metrics: Metrics::default(),
            confirm: None,
            clocks: None,
            quiet: super::QUIET,
        };
        // A crash after the commit left entries that no head covers yet.
        sequencer.integrate_left()?;
        sequencer.tell();
        Ok(sequencer)
    }

    /// Logs the first two statements of a new log.
    ///
    /// # Errors
    /// If there are none, or the rules refuse them.
    pub fn begin(&mut self, genesis: Genesis) -> Result<(), LedgerError> {
        if self.end.size() > TreeSize::new(0) {
            return Ok(());
        }
        let genesis = genesis().map_err(LedgerError::GenesisKeys)?;
        if genesis.is_empty() {
            return Err(LedgerError::NoGenesis);
        }
        let (submissions, answers): (Vec<_>, Vec<_>) = genesis
            .into_iter()
            .map(|signed| Submission::new(signed, ()))
            .unzip();
        self.round(submissions)?;
        for mut answer in answers {
            if let Ok(Err(SubmitError::Refused(refusal))) = answer.try_recv() {
                return Err(LedgerError::Genesis(refusal));
            }
        }
        Ok(())
    }

    /// Takes rounds until every handle is dropped and the queue is empty.
    ///
    /// # Errors
    /// What stopped it.
    pub fn run(mut self, mut queue: mpsc::Receiver<Submission>) -> Result<(), LedgerError> {
        if let Some(confirm) = &self.confirm
            && !confirm.settle(|| queue.is_closed())
        {
            return Ok(());
        }
        let mut earliest = Instant::now();
        let mut last_round = Instant::now();
        loop {
            let mut batch = Vec::new();
            if queue.blocking_recv_many(&mut batch, MAX_BATCH) == 0 {
                return Ok(());
            }
            if let Some(confirm) = &self.confirm {
                if last_round.elapsed() >= self.quiet {
                    confirm.look();
                }
                if confirm.is_rolled_back() {
                    refuse(batch);
                    continue;
                }
            }
            last_round = Instant::now();
            std::thread::sleep(earliest.saturating_duration_since(Instant::now()));
            earliest = Instant::now() + APART;
            let more = std::iter::from_fn(|| queue.try_recv().ok());
            batch.extend(more.take(MAX_BATCH - batch.len()));
            let rounds = self.metrics.rounds.clone();
            if let Err(error) = timed(&rounds, || self.round(batch)) {
                tracing::error!(%error, "the sequencer stops");
                return Err(error);
            }
        }
    }

    /// The write path. Beside each step: what a crash right after it leaves, and who mends it.
    ///
    /// # Errors
    /// Any that a step has; the log must be opened anew then.
    pub fn round(&mut self, batch: Vec<Submission>) -> Result<(), LedgerError> {
        // Admit: judged in order, each over those before it. Nothing is durable; nobody was told.
        let admitted = self.admit(batch)?;
        if !admitted.commit.entries.is_empty() {
            // Commit: entries, ids and facts in one durable transaction. Entries that no head
            // covers: `open` integrates them.
            timed(&self.metrics.commits, || {
                patiently(|| self.journal.commit(&admitted.commit))
            })?;
            self.last_logged_at = Some(admitted.logged_at);
            // Tiles, durable and create-only. `open` makes them again, with the same bytes.
            let files = self.end.append(&admitted.leaves());
            timed(&self.metrics.tiles, || self.log.create(&files))?;
            // Sign, and move the head by compare-and-swap. The signature is in no hands but ours
            // until the head is durable, so there is never a second one over other entries.
            self.sign_and_advance()?;
        }
        self.note_end(&admitted);
        // Cosign, publish, release who waits: beside this thread, in `Publisher::publish`, for the
        // last head alone.
        self.tell();
        // The entries are durable and can never move: submitters learn their index, and wait for
        // the checkpoint. A crash loses answers only; who asks again is told the same.
        self.conclude(admitted)
    }

    /// Judges each statement over the facts of all before it; answers refusals and repetitions.
    fn admit(&mut self, batch: Vec<Submission>) -> Result<Admitted, LedgerError> {
        let now = self.clock.now();
        let confirmed = self.is_confirmed(now);
        let facts = CachedFacts {
            journal: &self.journal,
            cache: &self.facts,
        };
        let mut pending = Pending::new(&facts);
        let first = self.end.size().as_u64();
        let mut unjudgeable = Vec::new();
        let (mut entries, mut waiting) = (Vec::with_capacity(batch.len()), Vec::new());
        for Submission {
            signed,
            answer,
            place,
        } in batch
        {
            let index = LeafIndex::new(first + entries.len() as u64);
            let judged = match pending.find(&signed.id)? {
                Some(index) => Judged::Known(index),
                None if !confirmed => Judged::NotNow(SubmitError::ClockUnconfirmed),
                None => self.judge(&signed, index, now, &pending)?,
            };
            match judged {
                Judged::Known(index) => waiting.push(Waiting {
                    answer,
                    index,
                    known: true,
                    _place: place,
                }),
                Judged::NotNow(error) => {
                    let _ = answer.send(Err(error));
                }
                Judged::Refused(refusal) => {
                    let _ = answer.send(Err(SubmitError::Refused(refusal)));
                }
                Judged::Unjudgeable => {
                    unjudgeable.push(signed.id);
                    let _ = answer.send(Err(SubmitError::Unjudgeable));
                }
                Judged::Admitted(leaf, change) => {
                    pending.apply(signed.id, index, change);
                    entries.push(NewEntry {
                        id: signed.id,
                        leaf,
                        admitted: true,
                    });
                    waiting.push(Waiting {
                        answer,
                        index,
                        known: false,
                        _place: place,
                    });
                }
            }
        }
        let facts: Vec<_> = pending.into_facts().into_iter().collect();
        self.unjudgeable.extend(unjudgeable);
        while self.unjudgeable.len() > MAX_UNJUDGEABLE {
            self.unjudgeable.pop_first();
        }
        let commit = Commit {
            first,
            entries,
            facts: encode(facts.iter().map(|(key, fact)| (key, fact))),
            // The tree's state lies in the tiles; they are checked against the head at start.
            frontier: Vec::new(),
        };
        let now = now.cut_to_minute();
        Ok(Admitted {
            // While the clock is behind, nothing but the end is admitted, at the last entry's time.
            logged_at: self.last_logged_at.map_or(now, |last| last.max(now)),
            commit,
            facts,
            waiting,
        })
    }

    /// Whether the witnesses confirm the clock, as it shows `now`.
    fn is_confirmed(&self, now: Time) -> bool {
        // The monotonic clock is read after the other: a halt in between makes them part, and refuses.
        let confirms = |clocks: &Arc<Clocks>| clocks.check_at(clocks.at(now));
        self.closed.is_some() || self.clocks.as_ref().is_none_or(confirms)
    }

    fn judge(
        &self,
        signed: &Signed,
        index: LeafIndex,
        now: Time,
        facts: &Pending<'_, CachedFacts<'_, J>>,
    ) -> Result<Judged, LedgerError> {
        // Rules that compare times would refuse by an earlier time what they admit a moment later.
        let Some(now) = logging_time(&signed.statement, now, self.last_logged_at) else {
            return Ok(Judged::NotNow(SubmitError::ClockBehind));
        };
        if self.unjudgeable.contains(&signed.id) {
            return Ok(Judged::Unjudgeable);
        }
        let origin = self.signer.origin().as_str();
        // The rules change nothing: `facts` are changed by what they return, after they returned it.
        let judged = catch_unwind(AssertUnwindSafe(|| {
            rules::judge(signed, origin, index, now, facts)
        }));
        let change = match judged {
            Ok(Ok(change)) => change,
            Ok(Err(Verdict::Refused(refusal))) => return Ok(Judged::Refused(refusal)),
            Ok(Err(Verdict::Facts(error))) => return Err(error.into()),
            Err(_panic) => {
                let (id, kind) = (signed.id, signed.statement.name());
                tracing::error!(%id, kind, "judging a statement panicked: refused until a restart");
                return Ok(Judged::Unjudgeable);
            }
        };
        let leaf = Leaf {
            logged_at: now,
            envelope: signed.envelope.clone(),
        }
        .to_bytes();
        if leaf.len() > MAX_LEAF {
            let detail = "the entry would be larger than 65,535 bytes";
            return Ok(Judged::Refused(Refusal::new(Reason::TooLarge, "", detail)));
        }
        Ok(Judged::Admitted(leaf, change))
    }

    /// Integrates what is committed and not signed, a bounded number of entries at a time.
    fn integrate_left(&mut self) -> Result<(), LedgerError> {
        let size = self.journal.size()?;
        while self.end.size().as_u64() < size {
            let first = self.end.size().as_u64();
            let leaves = self.journal.leaves(first..first + MAX_BATCH as u64)?;
            let files = self.end.append(&leaves);
            self.log.create(&files)?;
        }
        if self.head.as_ref().map_or(0, |head| head.size) < size {
            self.sign_and_advance()?;
        }
        Ok(())
    }

    /// Signs the checkpoint of all that is integrated, and moves the head over it.
    fn sign_and_advance(&mut self) -> Result<(), LedgerError> {
        let checkpoint = Checkpoint {
            origin: self.signer.origin().clone(),
            size: self.end.size(),
            root: self.end.root(),
        };
        let head = Head {
            size: checkpoint.size.as_u64(),
            root: *checkpoint.root.as_bytes(),
            note: checkpoint.sign(&self.signer).to_bytes(),
        };
        let from = self.head.as_ref().map(|head| head.size);
        patiently(|| self.journal.advance(from, &head))?;
        self.head = Some(head);
        Ok(())
    }

    /// Learns from a durable round that the log is closed.
    fn note_end(&mut self, admitted: &Admitted) {
        for (_, fact) in &admitted.facts {
            if let Fact::Closed(closed) = fact {
                tracing::info!(%closed, "nothing is admitted any more");
                self.closed = Some(Arc::new(closed.clone()));
            }
        }
    }

    /// Answers whoever waits in a round that is durable.
    fn conclude(&mut self, admitted: Admitted) -> Result<(), LedgerError> {
        self.facts
            .update(admitted.facts.iter().map(|(key, fact)| (key, fact)));
        let Commit { first, entries, .. } = admitted.commit;
        for Waiting {
            answer,
            index,
            known,
            ..
        } in admitted.waiting
        {
            let place = index.as_u64().checked_sub(first);
            let (leaf, logged_at) = match place.and_then(|place| entries.get(place as usize)) {
                Some(entry) => (entry.leaf.clone(), admitted.logged_at),
                None => {
                    let leaf = leaf(&self.journal, index.as_u64())?;
                    let logged_at = parse_logged_at(&leaf)?;
                    (leaf, logged_at)
                }
            };
            let _ = answer.send(Ok(Sequenced {
                index,
                logged_at,
                leaf,
                known,
            }));
        }
        Ok(())
    }

    /// Says how far the log has come.
    fn tell(&self) {
        self.progress.send_replace(Progress {
            size: self.end.size(),
            last_logged_at: self.last_logged_at,
            closed: self.closed.clone(),
            head: self.head.as_ref().map(|head| head.note.as_slice().into()),
        });
    }
}

/// Answers a batch that is not sequenced, because the log is rolled back.
fn refuse(batch: Vec<Submission>) {
    for submission in batch {
        let _ = submission.answer.send(Err(SubmitError::RolledBack));
    }
}

impl Admitted {
    fn leaves(&self) -> Vec<&[u8]> {
        let entries = self.commit.entries.iter();
        entries.map(|entry| entry.leaf.as_slice()).collect()
    }
}

enum Judged {
    Known(LeafIndex),
    /// It was not looked at, because of a clock.
    NotNow(SubmitError),
    Refused(Refusal),
    /// The rules panicked on it, now or before.
    Unjudgeable,
    Admitted(Vec<u8>, Change),
}

/// The bundle that ends a log of `size` must hold the journal's entries.
fn check_last_bundle(journal: &impl Journal, log: &LogFiles, size: u64) -> Result<(), LedgerError> {
    let before = TreeSize::new(size.saturating_sub(1));
    let Some(last) = tile::new_entry_tiles(before, TreeSize::new(size)).last() else {
        return Ok(());
    };
    let entries = journal.leaves(size - u64::from(last.width)..size)?;
    match log.read(&last.path())? {
        Some(bytes) if bytes == tile::encode_entries(&entries) => Ok(()),
        None if log.is_empty()? => Err(LedgerError::Old(format!(
            "ledger.db has {size} entries, and log/ has no file: the log may be longer where it is published"
        ))),
        _ => Err(LedgerError::Inconsistent(format!(
            "log/{} is missing or does not hold the journal's entries",
            last.path()
        ))),
    }
}

/// Refuses where journal, head and tiles do not agree; signs and writes nothing.
///
/// # Errors
/// [`LedgerError::Inconsistent`]; [`LedgerError::Old`] where all files of the log are gone.
pub(super) fn check(
    journal: &impl Journal,
    log: &LogFiles,
    signer: &LogSigner,
) -> Result<(), LedgerError> {
    match journal.head()? {
        None => Ok(()),
        Some(head) => open_end(journal, log, signer, &head).map(drop),
    }
}

/// The end of the log that `head` covers, where journal, head and tiles agree.
fn open_end(
    journal: &impl Journal,
    log: &LogFiles,
    signer: &LogSigner,
    head: &Head,
) -> Result<LogEnd, LedgerError> {
    let fault = |why: String| LedgerError::Inconsistent(why);
    let size = journal.size()?;
    if head.size > size {
        return Err(fault(format!(
            "the head covers {} entries, and the journal has {size}",
            head.size
        )));
    }
    let note = Note::parse(&head.note).map_err(|e| fault(format!("the head: {e}")))?;
    let signed = Checkpoint::parse(&note.text).map_err(|e| fault(format!("the head: {e}")))?;
    let of_head = (signed.size.as_u64(), signed.root.as_bytes()) == (head.size, &head.root);
    if !of_head || &signed.origin != signer.origin() {
        return Err(fault(format!(
            "the head's checkpoint is of {} at size {}",
            signed.origin, signed.size
        )));
    }
    check_last_bundle(journal, log, head.size)?;
    let full = head.size - head.size % u64::from(FULL);
    let last = journal.leaves(full..head.size)?;
    let end = LogEnd::open(signed.size, log, &last).map_err(|e| fault(e.to_string()))?;
    if end.root() != signed.root {
        return Err(fault(format!(
            "the tiles do not hash to the head's root at size {}",
            head.size
        )));
    }
    Ok(end)
}

fn leaf(journal: &impl JournalRead, index: u64) -> Result<Vec<u8>, LedgerError> {
    journal.leaf(index)?.ok_or_else(|| {
        LedgerError::Inconsistent(format!("entry {index} is missing from the journal"))
    })
}

/// When the entry at `index` was logged.
///
/// # Errors
/// The journal's, and [`LedgerError::Inconsistent`] if there is no such entry.
pub(super) fn logged_at(journal: &impl JournalRead, index: u64) -> Result<Time, LedgerError> {
    parse_logged_at(&leaf(journal, index)?)
}

fn parse_logged_at(leaf: &[u8]) -> Result<Time, LedgerError> {
    Leaf::parse(leaf)
        .map(|leaf| leaf.logged_at)
        .map_err(|e| LedgerError::Inconsistent(format!("a leaf of the journal is damaged: {e}")))
}

#[cfg(test)]
mod tests;
