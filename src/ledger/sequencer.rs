//! The sequencer: the one thread that makes entries of statements, in an order told by [`Sequencer::round`].
//!
//! A round takes what waits and brings it, as one batch, all the way to a published checkpoint. Any
//! failure to write is fatal: after it, what is durable is known only by starting anew. Refusals
//! are answers, not failures.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::tiles::LogFiles;
use super::witnesses::Witnesses;
use super::{Config, LedgerError, Published, Sequenced, Submission, SubmitError};
use crate::statement::Signed;
use crate::statement::facts::Pending;
use crate::statement::leaf::{Leaf, MAX_LEAF};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules;
use crate::store::facts::{JournalFacts, encode};
use crate::store::journal::{Commit, Head, Journal as _, JournalRead as _, NewEntry};
use crate::store::sqlite::SqliteJournal;
use crate::time::{Clock, Time};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::hash::leaf_hash;
use crate::tlog::note::LogSigner;
use crate::tlog::tile::RightEdge;
use crate::tlog::tree::{LeafIndex, TreeSize};

/// Statements that one round takes at most.
const MAX_BATCH: usize = 1024;
/// How long a round waits for company once a statement has come.
const GATHER: Duration = Duration::from_millis(5);
/// How soon a checkpoint that the witnesses did not cosign is tried again.
const RETRY: Duration = Duration::from_secs(2);

pub(super) struct Sequencer {
    journal: SqliteJournal,
    log: LogFiles,
    signer: LogSigner,
    witnesses: Witnesses,
    clock: Clock,
    renew: Duration,
    /// The tree over all entries that the head covers.
    edge: RightEdge,
    /// When the last entry was logged.
    last_logged_at: Option<Time>,
    publish: watch::Sender<Option<Published>>,
    /// Partial tiles of full ones are gone up to this size.
    pruned: TreeSize,
    /// When the witnesses are asked next although nothing was added.
    next_cosigning: Instant,
}

type Answer = oneshot::Sender<Result<Sequenced, SubmitError>>;

/// What the rules admitted in a round, not yet durable.
#[derive(Default)]
struct Admitted {
    entries: Vec<NewEntry>,
    facts: Vec<(Vec<u8>, Vec<u8>)>,
    waiting: Vec<(Answer, Sequenced)>,
}

impl Sequencer {
    /// Opens the log and brings it to where a crash cannot be told from a clean stop.
    pub fn open(
        config: Config,
        publish: watch::Sender<Option<Published>>,
    ) -> Result<Self, LedgerError> {
        let journal = SqliteJournal::open(&config.journal)?;
        let log = LogFiles::new(config.log);
        let head = journal.head()?;
        let edge = match &head {
            None => RightEdge::new(),
            Some(head) => log.right_edge(TreeSize::new(head.size))?,
        };
        if let Some(head) = &head
            && edge.root().as_bytes() != &head.root
        {
            return Err(LedgerError::Inconsistent(format!(
                "the tiles do not hash to the head's root at size {}",
                head.size
            )));
        }
        let last_logged_at = match journal.size()?.checked_sub(1) {
            None => None,
            Some(last) => Some(logged_at(&journal, last)?),
        };
        let mut sequencer = Self {
            journal,
            log,
            witnesses: Witnesses::new(config.policy, config.witness_timeout),
            signer: config.signer,
            clock: config.clock,
            renew: config.renew,
            edge,
            last_logged_at,
            publish,
            pruned: TreeSize::new(0),
            next_cosigning: Instant::now(),
        };
        sequencer.begin(config.genesis)?;
        // A crash after the commit left entries that no head covers yet.
        sequencer.integrate_and_sign()?;
        Ok(sequencer)
    }

    /// Logs the first two statements of a new log.
    fn begin(&mut self, genesis: Vec<Signed>) -> Result<(), LedgerError> {
        if self.journal.size()? > 0 {
            return Ok(());
        }
        if genesis.is_empty() {
            return Err(LedgerError::NoGenesis);
        }
        let now = self.clock.now().cut_to_minute();
        let mut answers = Vec::new();
        let submissions = genesis.into_iter().map(|signed| {
            let (answer, answered) = oneshot::channel();
            answers.push(answered);
            Submission {
                signed: Box::new(signed),
                answer,
            }
        });
        let submissions = submissions.collect();
        let admitted = self.admit(submissions, now)?;
        for mut answer in answers {
            if let Ok(Err(SubmitError::Refused(refusal))) = answer.try_recv() {
                return Err(LedgerError::Genesis(refusal));
            }
        }
        self.commit(&admitted)
    }

    /// Takes rounds until every handle is dropped and the queue is empty.
    pub fn run(mut self, mut queue: mpsc::Receiver<Submission>) -> Result<(), LedgerError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|e| LedgerError::Inconsistent(format!("no timer to be had: {e}")))?;
        loop {
            let patience = self
                .next_cosigning
                .saturating_duration_since(Instant::now());
            let mut batch = Vec::new();
            let received = runtime.block_on(async {
                tokio::time::timeout(patience, queue.recv_many(&mut batch, MAX_BATCH)).await
            });
            match received {
                Ok(0) => return Ok(()),
                Ok(_) => {
                    std::thread::sleep(GATHER);
                    while batch.len() < MAX_BATCH
                        && let Ok(more) = queue.try_recv()
                    {
                        batch.push(more);
                    }
                }
                Err(_elapsed) => {}
            }
            if let Err(error) = self.round(batch) {
                tracing::error!(%error, "the sequencer stops");
                return Err(error);
            }
        }
    }

    /// The write path. Beside each step: what a crash right after it leaves, and who mends it.
    fn round(&mut self, batch: Vec<Submission>) -> Result<(), LedgerError> {
        // Judged in order, each over those before it. Nothing is durable; nobody was told.
        let now = self.clock.now().cut_to_minute();
        let admitted = self.admit(batch, now)?;
        // One durable transaction. Entries that no head covers: `open` integrates them.
        self.commit(&admitted)?;
        // Tiles, then the log's signature, then the head. A crash between leaves tiles that the
        // next start writes again with the same bytes; a signature never leaves before the head
        // that covers it is durable, so a second one over other entries cannot come to be.
        let note = self.integrate_and_sign()?;
        // From here on the entries are durable and can never move: submitters may be told.
        for (answer, sequenced) in admitted.waiting {
            let _ = answer.send(Ok(sequenced));
        }
        // Cosignatures, then the public file. A crash leaves an older checkpoint in public: the
        // next round, or the next start's first, publishes.
        if !admitted.entries.is_empty() || Instant::now() >= self.next_cosigning {
            self.cosign_and_publish(&note)?;
        }
        Ok(())
    }

    /// Judges each statement over the facts of all before it; answers refusals and repetitions.
    fn admit(&self, batch: Vec<Submission>, now: Time) -> Result<Admitted, LedgerError> {
        let mut admitted = Admitted::default();
        if batch.is_empty() {
            return Ok(admitted);
        }
        let behind = self.last_logged_at.is_some_and(|last| now < last);
        let facts = JournalFacts(&self.journal);
        let mut pending = Pending::new(&facts);
        let mut next = self.journal.size()?;
        for Submission { signed, answer } in batch {
            let index = LeafIndex::new(next);
            match self.judge(&signed, index, now, &pending)? {
                Judged::Known(sequenced) => admitted.waiting.push((answer, sequenced)),
                Judged::Refused(refusal) => {
                    let _ = answer.send(Err(SubmitError::Refused(refusal)));
                }
                // Times of logging never decrease: a clock set back is waited out.
                Judged::Admitted(..) if behind => {
                    let _ = answer.send(Err(SubmitError::ClockBehind));
                }
                Judged::Admitted(leaf, change) => {
                    pending.apply(signed.id, index, change);
                    admitted.entries.push(NewEntry {
                        id: signed.id,
                        leaf,
                        admitted: true,
                    });
                    let sequenced = Sequenced {
                        index,
                        logged_at: now,
                        known: false,
                    };
                    admitted.waiting.push((answer, sequenced));
                    next += 1;
                }
            }
        }
        admitted.facts = encode(pending.into_facts());
        Ok(admitted)
    }

    fn judge(
        &self,
        signed: &Signed,
        index: LeafIndex,
        now: Time,
        facts: &Pending<'_, JournalFacts<'_, SqliteJournal>>,
    ) -> Result<Judged, LedgerError> {
        use crate::statement::facts::Facts as _;
        if let Some(index) = facts.find(&signed.id)? {
            // One of this very batch has no leaf in the journal yet.
            let logged_at = match self.journal.leaf(index.as_u64())? {
                Some(leaf) => parse_logged_at(&leaf)?,
                None => now,
            };
            return Ok(Judged::Known(Sequenced {
                index,
                logged_at,
                known: true,
            }));
        }
        let change = match rules::judge(signed, self.signer.origin().as_str(), index, now, facts) {
            Ok(change) => change,
            Err(Verdict::Refused(refusal)) => return Ok(Judged::Refused(refusal)),
            Err(Verdict::Facts(error)) => return Err(error.into()),
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

    /// Makes entries, ids and facts durable at once.
    fn commit(&mut self, admitted: &Admitted) -> Result<(), LedgerError> {
        if admitted.entries.is_empty() {
            return Ok(());
        }
        let first = self.journal.size()?;
        self.journal.commit(&Commit {
            first,
            entries: admitted.entries.clone(),
            facts: admitted.facts.clone(),
            // The tree's state lies in the tiles; they are checked against the head at start.
            frontier: Vec::new(),
        })?;
        self.last_logged_at = Some(parse_logged_at(
            &admitted.entries.last().expect("not empty").leaf,
        )?);
        Ok(())
    }

    /// Writes the tiles of entries that the head does not cover yet, and moves the head over them;
    /// the log's signed checkpoint.
    fn integrate_and_sign(&mut self) -> Result<Vec<u8>, LedgerError> {
        let head = self.journal.head()?;
        let covered = head.as_ref().map_or(0, |head| head.size);
        let size = self.journal.size()?;
        if let Some(head) = head
            && head.size == size
        {
            return Ok(head.note);
        }
        let leaves = self.journal.leaves(covered..size)?;
        for leaf in &leaves {
            self.edge.append(leaf_hash(leaf));
        }
        self.log
            .write(TreeSize::new(covered), &leaves, &mut self.edge)?;
        let checkpoint = Checkpoint {
            origin: self.signer.origin().clone(),
            size: TreeSize::new(size),
            root: self.edge.root(),
        };
        let note = checkpoint.sign(&self.signer).to_bytes();
        let head = Head {
            size,
            root: *checkpoint.root.as_bytes(),
            note: note.clone(),
        };
        self.journal
            .advance((covered > 0).then_some(covered), &head)?;
        Ok(note)
    }

    /// Asks all witnesses at once and publishes if their quorum is met.
    fn cosign_and_publish(&mut self, note: &[u8]) -> Result<(), LedgerError> {
        let now = self.clock.now();
        let cosigned = self.witnesses.cosign(note, &self.log, now)?;
        let Some(note) = cosigned.note else {
            self.next_cosigning = Instant::now() + RETRY;
            for (name, result) in &cosigned.witnesses {
                if let Err(why) = result {
                    tracing::warn!(witness = %name, %why, "no cosignature");
                }
            }
            self.publish.send_modify(|published| {
                if let Some(published) = published {
                    published.witnesses = cosigned.witnesses;
                }
            });
            return Ok(());
        };
        self.log.publish(&note)?;
        self.next_cosigning = Instant::now() + self.renew;
        self.publish.send_replace(Some(Published {
            checkpoint: cosigned.checkpoint,
            note: note.into(),
            at: now,
            witnesses: cosigned.witnesses,
        }));
        // Nobody needs the partial tiles of what is full now: the new checkpoint is public.
        let size = self.edge.size();
        self.log.prune(self.pruned, size)?;
        self.pruned = size;
        Ok(())
    }
}

enum Judged {
    Known(Sequenced),
    Refused(Refusal),
    Admitted(Vec<u8>, crate::statement::facts::Change),
}

fn logged_at(journal: &SqliteJournal, index: u64) -> Result<Time, LedgerError> {
    let leaf = journal.leaf(index)?.ok_or_else(|| {
        LedgerError::Inconsistent(format!("entry {index} is missing from the journal"))
    })?;
    parse_logged_at(&leaf)
}

fn parse_logged_at(leaf: &[u8]) -> Result<Time, LedgerError> {
    Leaf::parse(leaf)
        .map(|leaf| leaf.logged_at)
        .map_err(|e| LedgerError::Inconsistent(format!("a leaf of the journal is damaged: {e}")))
}
