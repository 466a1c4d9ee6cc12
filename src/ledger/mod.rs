//! The write path of one log: statements in, witnessed checkpoints out.
//!
//! One thread, the `sequencer`, owns the journal and the log's key and does everything in order up
//! to the signed head; another, the `publisher`, has heads cosigned and published; a third, the
//! `indexer`, goes through what is published for what is asked other than by index and id; a fourth, the `pruner`,
//! removes partial tiles that nobody needs any more. [`Ledger`] is the handle that the rest of the server holds: it hands statements in and waits until they stand under
//! a published checkpoint; [`LogReads`] reads what is published. Not here: HTTP, attachments, vaults.

mod changes;
mod clocks;
mod confirm;
pub mod fsck;
mod intake;
mod metrics;
mod offsets;
mod pruner;
mod published;
mod publisher;
mod queries;
mod reads;
mod sequencer;
#[cfg(test)]
mod tests;
mod tiles;
pub mod window;
mod witnesses;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::digest::StatementId;
use crate::statement::facts::ClosedFact;
use crate::statement::leaf::Leaf;
use crate::statement::refusal::Refusal;
use crate::statement::words::Jurisdiction;
use crate::statement::{Signed, Statement};
use crate::store::StoreError;
use crate::store::files::Files;
use crate::store::instance::Instance;
use crate::store::sqlite::{QueryReader, SqliteJournal, SqliteReader};
use crate::time::{Clock, Monotonic, Time};
use crate::tlog::note::LogSigner;
use crate::tlog::policy::Policy;
use crate::tlog::tree::{LeafIndex, TreeSize};

use changes::Changes;
pub use clocks::ClockState;
use clocks::Clocks;
use confirm::Confirm;
pub use confirm::{
    Address, Confirmation, Heard, Inquiry, OwnHead, PolicyRefused, Unconfirmed, addresses,
};
pub use intake::Intake;
pub use metrics::Metrics;
use pruner::Pruner;
pub use published::Published;
use publisher::Publisher;
use queries::Indexer;
use sequencer::Sequencer;
pub use witnesses::Lack;
use witnesses::Witnesses;

pub use reads::LogReads;
pub use tiles::LogFiles;

/// Statements that may wait for the sequencer, unless an operator says otherwise: as many as one
/// round takes, so that nobody waits for more than two.
pub const QUEUE: usize = 1024;

/// How long nothing is signed until witnesses are asked before the next head.
pub const QUIET: Duration = Duration::from_secs(60);

/// The longest that a change of the policy waits for the new witnesses to confirm the clock, and how
/// often it looks.
const CLOCK_PATIENCE: Duration = Duration::from_secs(5);
const CLOCK_STEP: Duration = Duration::from_millis(10);

/// See [`Config::genesis`].
pub type Genesis = Box<dyn FnOnce() -> Result<Vec<Signed>, Box<dyn Error + Send + Sync>> + Send>;

/// What the write path needs to know.
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// `ledger.db`.
    pub journal: PathBuf,
    /// `queries.db`.
    pub queries: PathBuf,
    /// The folder served as `/log/`.
    pub log: Files,
    pub signer: LogSigner,
    /// The log and its witnesses.
    pub policy: Policy,
    pub clock: Clock,
    /// Shows when `clock` is set.
    pub monotonic: Monotonic,
    /// How often the checkpoint is cosigned anew when nothing is added.
    pub renew: Duration,
    /// How long a witness may take.
    pub witness_timeout: Duration,
    /// Witnesses, by their names in the policy, that need not confirm the head at the start.
    pub without: BTreeSet<String>,
    /// How long nothing is signed until witnesses are asked before the next head: another server with
    /// this log's key may have signed meanwhile.
    pub quiet: Duration,
    /// A second folder for the log's tiles and bundles, durable before a head is signed.
    pub tiles_copy: Option<Files>,
    /// The address under which the log is public, if it is asked whether another server is there.
    pub public_url: Option<String>,
    /// Statements that may wait for the sequencer, at least 1.
    pub queue: usize,
    /// Makes the statements that begin a new log: its operator's party and its limits. Called only if
    /// the log is empty, since it takes the operator's admin key.
    pub genesis: Genesis,
}

/// Where a statement stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequenced {
    pub index: LeafIndex,
    pub logged_at: Time,
    /// The entry's bytes.
    pub leaf: Vec<u8>,
    /// Whether it stood there before.
    pub known: bool,
}

/// Why a statement was not sequenced.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("too many statements wait: try again in a moment")]
    Busy,
    #[error("the clock shows a time before the last entry: waiting for it")]
    ClockBehind,
    #[error("the witnesses have not confirmed this log's head since the server started")]
    Unconfirmed,
    #[error("too few witnesses have a clock that agrees with this server's")]
    ClockUnconfirmed,
    #[error("this server has an old copy of its log: nothing is sequenced")]
    RolledBack,
    /// The rules panicked on it: a fault of this program.
    #[error("judging this statement failed inside the server: it is refused until a restart")]
    Unjudgeable,
    #[error("the ledger has stopped")]
    Stopped,
}

/// An entry under the published checkpoint.
#[derive(Debug, Clone)]
pub struct Found {
    pub index: LeafIndex,
    /// The entry's bytes.
    pub leaf: Vec<u8>,
    pub published: Published,
}

/// How far the sequencer has come.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// Entries, all durable and integrated.
    size: TreeSize,
    last_logged_at: Option<Time>,
    /// The end, if the log was closed.
    closed: Option<Arc<ClosedFact>>,
    /// The checkpoint over them with the log's own signatures.
    head: Option<Arc<[u8]>>,
}

struct Submission {
    signed: Box<Signed>,
    answer: oneshot::Sender<Answer>,
    /// What its submitter holds until the answer, however soon that one goes away.
    place: Box<dyn Send>,
}

type Answer = Result<Sequenced, SubmitError>;

impl Submission {
    fn new(signed: Signed, place: impl Send + 'static) -> (Self, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let submission = Self {
            signed: Box::new(signed),
            answer,
            place: Box::new(place),
        };
        (submission, answered)
    }
}

/// Room for one statement in the sequencer's queue. Statements are sequenced in the order in which
/// they are handed in.
pub struct Room<'a>(mpsc::Permit<'a, Submission>);

impl Room<'_> {
    /// Hands a statement in. `place` is dropped once it is durable or refused, even if nobody waits
    /// for the answer any more.
    pub fn hand_in(self, signed: Signed, place: impl Send + 'static) -> HandedIn {
        let (submission, answered) = Submission::new(signed, place);
        self.0.send(submission);
        HandedIn(answered)
    }
}

/// A statement that waits for the sequencer.
pub struct HandedIn(oneshot::Receiver<Answer>);

impl HandedIn {
    /// Returns once the statement is durable and integrated, or refused.
    ///
    /// # Errors
    /// See [`SubmitError`]; nothing was logged then.
    pub async fn sequenced(self) -> Result<Sequenced, SubmitError> {
        self.0.await.unwrap_or(Err(SubmitError::Stopped))
    }
}

/// A running log.
#[derive(Clone)]
pub struct Ledger {
    queue: mpsc::Sender<Submission>,
    published: watch::Receiver<Option<Published>>,
    progress: watch::Receiver<Progress>,
    reader: SqliteReader,
    queries: QueryReader,
    /// How many entries the query index has.
    followed: watch::Receiver<u64>,
    log: Arc<LogReads>,
    origin: Arc<str>,
    renew: Arc<watch::Sender<Duration>>,
    metrics: Metrics,
    confirmation: watch::Receiver<Confirmation>,
    confirm: Arc<Confirm>,
    clocks: Arc<Clocks>,
    clock_confirmed: watch::Receiver<bool>,
    instance: Arc<str>,
}

/// The threads behind a [`Ledger`].
pub struct Running {
    sequencer: JoinHandle<Result<(), LedgerError>>,
    publisher: JoinHandle<Result<(), LedgerError>>,
    indexer: JoinHandle<Result<(), LedgerError>>,
    pruner: JoinHandle<Result<(), LedgerError>>,
}

impl Running {
    /// Waits until what was accepted is finished, after every [`Ledger`] is dropped.
    ///
    /// # Errors
    /// What stopped it before that.
    pub fn join(self) -> Result<(), LedgerError> {
        let sequenced = joined("sequencer", self.sequencer);
        let published = joined("publisher", self.publisher);
        let indexed = joined("indexer", self.indexer);
        let pruned = joined("pruner", self.pruner);
        sequenced.and(published).and(indexed).and(pruned)
    }

    /// Whether one of them has stopped: the log goes on no more.
    pub fn is_finished(&self) -> bool {
        let Self {
            sequencer,
            publisher,
            indexer,
            pruner,
        } = self;
        [sequencer, publisher, indexer, pruner]
            .iter()
            .any(|thread| thread.is_finished())
    }
}

/// Why a log does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}; nothing was changed: examine it with `whosaw log fsck`")]
    Inconsistent(String),
    #[error(
        "{0}; nothing was changed: go forward to the last checkpoint by `whosaw operator restore`"
    )]
    Old(String),
    #[error("the log's first statements are refused: {0}")]
    Genesis(Refusal),
    #[error("the log's first statements were not made: {0}")]
    GenesisKeys(Box<dyn Error + Send + Sync>),
    #[error("this data has no log yet: `whosaw operator init` makes one")]
    NoGenesis,
    #[error("an admitted entry is refused by the rules: {0}")]
    Rules(Refusal),
    #[error(
        "the data folder was moved, copied or restored since it was used last ({0}): if no other server runs with \
         this log's key, take it over by `whosaw operator adopt`"
    )]
    Moved(String),
    #[error(
        "{0} answers as another server of this log: stop that one for good, then take this folder over by \
         `whosaw operator adopt`"
    )]
    Elsewhere(String),
    #[error(
        "witness {0}: its log goes on where it is published; restore it by `whosaw operator restore`"
    )]
    RolledBack(String),
    /// A fault of this program.
    #[error(
        "the {0} panicked: the log above says where; what is durable is found by starting again"
    )]
    Panicked(&'static str),
}

impl Ledger {
    /// Opens the log, finishes what a crash left, and starts the sequencer.
    ///
    /// # Errors
    /// Any inconsistency between journal, tiles and head refuses to start.
    pub fn start(config: Config) -> Result<(Self, Running), LedgerError> {
        let (queue, submissions) = mpsc::channel(config.queue);
        let (publish, published) = watch::channel(None);
        let (tell, progress) = watch::channel(Progress::default());
        let reads = Arc::new(LogReads::new(config.log.clone()));
        let log = match config.tiles_copy {
            None => LogFiles::new(config.log),
            Some(copy) => LogFiles::with_copy(config.log, copy),
        };
        let origin = config.signer.origin().as_str().into();
        let mut journal = SqliteJournal::open(&config.journal)?;
        journal.checkpoint_beside()?;
        publisher::check_published(&journal, &reads, &config.signer)?;
        let reader = journal.reader()?;
        let (queries, known) = queries::open(&config.queries, &journal)?;
        let instance = own_instance(&journal, &config.data, &log, &config.signer)?;
        if let Some(url) = &config.public_url
            && let Some(other) = confirm::instance_at(url, config.witness_timeout)
            && other != instance.id
        {
            return Err(LedgerError::Elsewhere(url.clone()));
        }
        let (index, followed) = watch::channel(known);
        let indexer = Indexer {
            queries,
            journal: reader.clone(),
            published: published.clone(),
            followed: index,
        };
        let (signer, clock) = (config.signer, config.clock);
        let keys = std::iter::once(signer.verifier()).chain(signer.ml_dsa_44_verifier());
        let inquiry = Inquiry::new(
            signer.origin().clone(),
            keys.collect(),
            config.witness_timeout,
        );
        let mut sequencer = Sequencer::open(journal, log.clone(), signer, clock.clone(), tell)?;
        let confirm = Confirm::new(
            inquiry,
            config.policy.clone(),
            config.without,
            log.clone(),
            progress.clone(),
            config.witness_timeout,
        );
        let confirmation = confirm.subscribe();
        let begun = progress.borrow().clone();
        log.complete_copy(begun.size)?;
        if begun.size == TreeSize::new(0)
            && let Some(why) = confirm.look_before_genesis()
        {
            return Err(LedgerError::RolledBack(why));
        }
        if begun.size == TreeSize::new(0) || begun.closed.is_some() {
            confirm.pass();
        }
        // The first entries have no head before them that witnesses could cosign.
        sequencer.begin(config.genesis)?;
        let clocks = Clocks::new(config.policy.clone(), clock, config.monotonic);
        sequencer.confirm = Some(confirm.clone());
        sequencer.clocks = Some(clocks.clone());
        sequencer.quiet = config.quiet;
        let metrics = sequencer.metrics.clone();
        let (renew, renewals) = watch::channel(config.renew);
        let publisher = Publisher {
            log: log.clone(),
            witnesses: Witnesses::new(config.policy, config.witness_timeout, clocks.clone()),
            journal: reader.clone(),
            clocks: clocks.clone(),
            renew: renewals,
            progress: progress.clone(),
            publish,
            metrics: metrics.clone(),
            confirm: Some(confirm.clone()),
            changes: Changes::default(),
        };
        let pruner = Pruner::new(log, progress.borrow().size);
        let pruned = published.clone();
        publisher.resume()?;
        let running = Running {
            sequencer: spawn("sequencer", move || sequencer.run(submissions))?,
            publisher: spawn("publisher", move || publisher.run())?,
            indexer: spawn("indexer", move || indexer.run())?,
            pruner: spawn("pruner", move || pruner.run(pruned))?,
        };
        let ledger = Self {
            queue,
            published,
            progress,
            reader,
            queries: QueryReader::new(config.queries),
            followed,
            log: reads,
            origin,
            renew: renew.into(),
            metrics,
            confirmation,
            confirm,
            clock_confirmed: clocks.subscribe(),
            clocks,
            instance: instance.id.into(),
        };
        Ok((ledger, running))
    }

    /// Hands a statement in; returns once it is durable and integrated, or refused. `place` is
    /// dropped then, even if nobody waits for the answer any more.
    ///
    /// # Errors
    /// See [`SubmitError`]; nothing was logged then.
    pub async fn submit(
        &self,
        signed: Signed,
        place: impl Send + 'static,
    ) -> Result<Sequenced, SubmitError> {
        if let Err(error) = self.check_confirmed() {
            return self.known(&signed.id)?.ok_or(error);
        }
        self.room()?.hand_in(signed, place).sequenced().await
    }

    /// Room for one statement in the sequencer's queue.
    ///
    /// # Errors
    /// [`SubmitError::Busy`] or [`SubmitError::Stopped`], and those of [`Ledger::check_confirmed`].
    pub fn room(&self) -> Result<Room<'_>, SubmitError> {
        self.check_confirmed()?;
        self.queue.try_reserve().map(Room).map_err(|e| match e {
            mpsc::error::TrySendError::Full(()) => SubmitError::Busy,
            mpsc::error::TrySendError::Closed(()) => SubmitError::Stopped,
        })
    }

    /// A statement that is durable, found without the sequencer.
    fn known(&self, id: &StatementId) -> Result<Option<Sequenced>, SubmitError> {
        use crate::store::journal::JournalRead as _;
        let found = self.reader.find_leaf(id).map_err(|error| {
            tracing::error!(%error, "the journal cannot be read");
            SubmitError::Stopped
        })?;
        Ok(found.and_then(|(index, leaf)| {
            let logged_at = Leaf::parse(&leaf).ok()?.logged_at;
            Some(Sequenced {
                index: LeafIndex::new(index),
                logged_at,
                leaf,
                known: true,
            })
        }))
    }

    /// Waits until statements may be sequenced, or it is known that none will be; false if that takes
    /// longer than `patience`.
    pub async fn wait_confirmed(&self, patience: Duration) -> bool {
        let mut confirmation = self.confirmation.clone();
        let mut clock = self.clock_confirmed.clone();
        let settled = async {
            let settled = confirmation.wait_for(|now| !matches!(now, Confirmation::Waiting(_)));
            let no_more = match settled.await.as_deref() {
                Ok(Confirmation::Confirmed) => self.closed().is_some(),
                Ok(_) => true,
                Err(_) => return false,
            };
            no_more || clock.wait_for(|confirmed| *confirmed).await.is_ok()
        };
        tokio::time::timeout(patience, settled).await == Ok(true)
    }

    /// Waits until the entry at `index` stands under a published checkpoint; `None` if that takes
    /// longer than `patience`.
    pub async fn wait_published(&self, index: LeafIndex, patience: Duration) -> Option<Published> {
        let mut published = self.published.clone();
        let covered = published.wait_for(|p| p.as_ref().is_some_and(|p| p.covers(index)));
        match tokio::time::timeout(patience, covered).await {
            Ok(Ok(published)) => published.clone(),
            _ => None,
        }
    }

    /// The id of this server's data, which tells it from a copy's.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The policy in force: the witnesses that are asked, and the quorum that publishes.
    pub fn policy(&self) -> Policy {
        self.confirm.policies().borrow().clone()
    }

    /// Puts a policy in the place of the one in force. Waits for the network.
    ///
    /// # Errors
    /// [`PolicyRefused`] if too few of its witnesses have confirmed this log's head; the old one stays.
    pub fn change_policy(&self, policy: Policy) -> Result<(), PolicyRefused> {
        self.confirm.change_policy(policy)?;
        // The publisher asks its witnesses now, and they may be the first to confirm the clock.
        let until = Instant::now() + CLOCK_PATIENCE;
        while !self.clocks.check() && Instant::now() < until {
            std::thread::sleep(CLOCK_STEP);
        }
        Ok(())
    }

    /// Whether statements may be sequenced.
    pub fn confirmation(&self) -> Confirmation {
        self.confirmation.borrow().clone()
    }

    /// Refuses what would be kept for a log that sequences nothing now.
    ///
    /// # Errors
    /// [`SubmitError::Unconfirmed`], [`SubmitError::RolledBack`] and [`SubmitError::ClockUnconfirmed`].
    pub fn check_confirmed(&self) -> Result<(), SubmitError> {
        match &*self.confirmation.borrow() {
            Confirmation::Confirmed => {}
            Confirmation::Waiting(_) => return Err(SubmitError::Unconfirmed),
            Confirmation::RolledBack(_) => return Err(SubmitError::RolledBack),
        }
        // What was found last is enough here: the sequencer looks at the clocks in each round.
        let confirmed = *self.clock_confirmed.borrow() || self.clocks.check();
        match confirmed || self.closed().is_some() {
            true => Ok(()),
            false => Err(SubmitError::ClockUnconfirmed),
        }
    }

    /// Whether the witnesses confirm the server's clock, and by how far theirs are from it.
    pub fn clock_state(&self) -> ClockState {
        self.clocks.state()
    }

    /// The number of entries that are durable.
    pub fn size(&self) -> TreeSize {
        self.progress.borrow().size
    }

    /// Statements that wait for the sequencer.
    pub fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Statements that may wait for the sequencer at once.
    pub fn queue_limit(&self) -> usize {
        self.queue.max_capacity()
    }

    /// How often the checkpoint is cosigned anew when nothing is added.
    pub fn renew(&self) -> Duration {
        *self.renew.borrow()
    }

    /// Has the checkpoint cosigned anew now, and then this often when nothing is added.
    pub fn set_renew(&self, renew: Duration) {
        self.renew.send_replace(renew);
    }

    /// Why the published checkpoint is too old, if it is: see [`Published::staleness`].
    pub fn staleness(&self) -> Option<String> {
        self.published()?.staleness(self.renew(), self.clocks.now())
    }

    /// Whether the last checkpoint that was shown to the witnesses got no quorum.
    pub fn lacks_quorum(&self) -> bool {
        self.metrics.lacks_quorum()
    }

    /// What the write path measures of itself.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Until when the clock must be waited for, as it shows `now`: times of logging never decrease. A
    /// closed log waits for nothing.
    pub fn waits_for_clock(&self, now: Time) -> Option<Time> {
        let progress = self.progress.borrow();
        let last = progress.last_logged_at.filter(|last| now < *last);
        last.filter(|_| progress.closed.is_none())
    }

    /// When a statement would be logged, as the clock shows `now`.
    ///
    /// # Errors
    /// [`SubmitError::ClockBehind`].
    pub fn logging_time(&self, statement: &Statement, now: Time) -> Result<Time, SubmitError> {
        let last = self.progress.borrow().last_logged_at;
        logging_time(statement, now, last).ok_or(SubmitError::ClockBehind)
    }

    /// The end, if the log was closed: it is durable, and may wait for the witnesses yet.
    pub fn closed(&self) -> Option<Arc<ClosedFact>> {
        self.progress.borrow().closed.clone()
    }

    /// The checkpoint published last.
    pub fn published(&self) -> Option<Published> {
        self.published.borrow().clone()
    }

    /// The note of the checkpoint published last.
    pub fn published_note(&self) -> Option<Arc<[u8]>> {
        self.published.borrow().as_ref().map(|p| p.note.clone())
    }

    /// The index of a statement, if it stands under the published checkpoint.
    ///
    /// # Errors
    /// The journal's.
    pub fn find_published(
        &self,
        id: &StatementId,
    ) -> Result<Option<(LeafIndex, Published)>, StoreError> {
        use crate::store::journal::JournalRead as _;
        let index = self.reader.find(id)?.map(LeafIndex::new);
        let published = self.published();
        Ok(index
            .zip(published)
            .filter(|(index, published)| published.covers(*index)))
    }

    /// Indices of a jurisdiction's published requests whose deadline is after `now`, ascending; `None`
    /// if the index of them lags behind by more than `patience`.
    ///
    /// # Errors
    /// The index's.
    pub async fn open_requests(
        &self,
        of: &Jurisdiction,
        now: Time,
        patience: Duration,
    ) -> Result<Option<Vec<LeafIndex>>, StoreError> {
        let size = self.published().map_or(0, |p| p.checkpoint.size.as_u64());
        let mut followed = self.followed.clone();
        let caught_up = followed.wait_for(|followed| *followed >= size);
        let Ok(Ok(_)) = tokio::time::timeout(patience, caught_up).await else {
            return Ok(None);
        };
        let open = self.queries.open_requests(of, now)?;
        Ok(Some(open.into_iter().map(LeafIndex::new).collect()))
    }

    /// Waits until the query index has gone through `size` entries, for `patience` at most.
    pub async fn wait_indexed(&self, size: u64, patience: Duration) {
        let mut followed = self.followed.clone();
        let caught_up = followed.wait_for(|followed| *followed >= size);
        let _ = tokio::time::timeout(patience, caught_up).await;
    }

    /// As [`Ledger::find_published`], with the entry's bytes.
    ///
    /// # Errors
    /// The journal's.
    pub fn find_published_leaf(&self, id: &StatementId) -> Result<Option<Found>, StoreError> {
        use crate::store::journal::JournalRead as _;
        let Some((index, leaf)) = self.reader.find_leaf(id)? else {
            return Ok(None);
        };
        let index = LeafIndex::new(index);
        let published = self.published();
        let covering = published.filter(|published| published.covers(index));
        Ok(covering.map(|published| Found {
            index,
            leaf,
            published,
        }))
    }

    /// The journal, for reading beside the sequencer.
    pub fn journal(&self) -> &SqliteReader {
        &self.reader
    }

    /// What is served as `/log/`, and proofs out of it.
    pub fn log(&self) -> &LogReads {
        &self.log
    }

    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// When a statement would be logged after an entry of the time `last`, as the clock shows `now`: times of
/// logging never decrease, so an earlier clock is waited for. The end is not: a log that a wrong clock
/// has put far ahead would be without one until then.
fn logging_time(statement: &Statement, now: Time, last: Option<Time>) -> Option<Time> {
    let now = now.cut_to_minute();
    match last.filter(|last| now < *last) {
        None => Some(now),
        last => last.filter(|_| matches!(statement, Statement::LogClosed(_))),
    }
}

/// Where the log is, if it is where it was used last; a new log is where it is begun.
fn own_instance(
    journal: &SqliteJournal,
    data: &Path,
    log: &LogFiles,
    signer: &LogSigner,
) -> Result<Instance, LedgerError> {
    use crate::store::journal::JournalRead as _;
    let here = Instance::here(data)?;
    if journal.size()? == 0 {
        journal.set_instance(&here)?;
        return Ok(here);
    }
    let kept = journal.instance()?;
    let moved = match &kept {
        Some(kept) => kept.moved(&here),
        // It was restored, and its old file could not be read.
        None => Some("ledger.db does not say where it was used".to_owned()),
    };
    match (kept, moved) {
        (Some(kept), None) => Ok(kept),
        (_, how) => {
            // A log that does not agree with itself is not adopted, but examined.
            sequencer::check(journal, log, signer)?;
            Err(LedgerError::Moved(how.unwrap_or_default()))
        }
    }
}

fn joined(
    name: &'static str,
    thread: JoinHandle<Result<(), LedgerError>>,
) -> Result<(), LedgerError> {
    let ended = thread.join();
    ended.unwrap_or_else(|_panic| Err(LedgerError::Panicked(name)))
}

fn spawn(
    name: &str,
    work: impl FnOnce() -> Result<(), LedgerError> + Send + 'static,
) -> Result<JoinHandle<Result<(), LedgerError>>, LedgerError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    let none = |e| LedgerError::Inconsistent(format!("no thread to be had: {e}"));
    thread.spawn(work).map_err(none)
}
