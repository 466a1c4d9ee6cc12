//! The crash matrix: the write path fails at each of its durable steps, once with the step undone
//! and once with it done, and starts anew on what is left.
//!
//! After every failure the log must come to the same end as one that never failed: every
//! acknowledged entry where it was, no second history under any head that was ever signed, and the
//! same bytes in every file. The files are real; power cuts in the middle of a step are the
//! business of SQLite and of `store::files`, and of the tests that kill the real program.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::{oneshot, watch};

use super::tiles::{CHECKPOINT, LogEnd};
use super::*;
use crate::statement::testing::{ORIGIN, Stage, World, key, listed, operator_admin};
use crate::statement::words::PartyKind;
use crate::store::files::Access;
use crate::store::journal::{Commit, Head, Journal, JournalRead, KeyedFact};
use crate::store::objects::{Objects, Staged};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::hash::leaf_hash;
use crate::tlog::note::Note;
use crate::tlog::policy::PolicyLog;
use crate::tlog::tile::{EntryTile, Tile};
use crate::tlog::tree::Frontier;

/// What a failed step left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    /// Nothing.
    Undone,
    /// All of it: only the answer says otherwise.
    Done,
}

/// The step at which a run fails, counted from 0, and how.
type Fault = Option<(usize, Failed)>;

/// Counts the durable steps of a run, and lets one of them fail.
#[derive(Debug, Default)]
struct Fuse {
    fault: Fault,
    steps: AtomicUsize,
    names: Mutex<Vec<String>>,
    /// Every note that was signed or published, whether or not it became durable.
    notes: Mutex<Vec<Vec<u8>>>,
}

impl Fuse {
    fn of(fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            fault,
            ..Self::default()
        })
    }

    fn step(
        &self,
        name: impl Into<String>,
        act: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let number = self.steps.fetch_add(1, Ordering::Relaxed);
        self.names.lock().unwrap().push(name.into());
        let fails = self.fault.filter(|(step, _)| *step == number);
        if fails.is_none_or(|(_, how)| how == Failed::Done) {
            act()?;
        }
        match fails {
            None => Ok(()),
            Some(_) => Err(injected()),
        }
    }

    fn taken(&self) -> usize {
        self.steps.load(Ordering::Relaxed)
    }

    fn has_blown(&self) -> bool {
        self.fault.is_some_and(|(step, _)| step < self.taken())
    }

    fn see(&self, note: &[u8]) {
        self.notes.lock().unwrap().push(note.to_vec());
    }
}

fn injected() -> StoreError {
    StoreError::Io {
        path: "injected".into(),
        source: std::io::Error::other("injected"),
    }
}

/// A store whose durable steps the fuse counts.
struct Faulty<S> {
    store: S,
    fuse: Arc<Fuse>,
}

impl<J: JournalRead> JournalRead for Faulty<J> {
    fn size(&self) -> Result<u64, StoreError> {
        self.store.size()
    }

    fn find(&self, id: &StatementId) -> Result<Option<u64>, StoreError> {
        self.store.find(id)
    }

    fn find_leaf(&self, id: &StatementId) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.store.find_leaf(id)
    }

    fn fact(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.fact(key)
    }

    fn facts(&self) -> Result<Vec<KeyedFact>, StoreError> {
        self.store.facts()
    }

    fn frontier(&self) -> Result<Vec<u8>, StoreError> {
        self.store.frontier()
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.store.head()
    }

    fn leaf(&self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.leaf(index)
    }

    fn leaves(&self, range: std::ops::Range<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
        self.store.leaves(range)
    }
}

impl<J: Journal> Journal for Faulty<J> {
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let name = format!("commit from {}", commit.first);
        self.fuse.step(name, || self.store.commit(commit))
    }

    fn advance(&mut self, from: Option<u64>, to: &Head) -> Result<(), StoreError> {
        self.fuse.see(&to.note);
        let name = format!("head at {}", to.size);
        self.fuse.step(name, || self.store.advance(from, to))
    }
}

/// Several at once are several steps here: a crash may leave some of them.
impl Objects for Faulty<Files> {
    fn create(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.fuse.step(path, || self.store.create(path, bytes))
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.fuse.see(bytes);
        self.fuse.step(path, || self.store.replace(path, bytes))
    }

    fn begin(&self) -> Result<Box<dyn Staged>, StoreError> {
        unreachable!("a log's files are small")
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(path)
    }

    fn remove(&self, path: &str) -> Result<(), StoreError> {
        let name = format!("remove {path}");
        self.fuse.step(name, || self.store.remove(path))
    }

    fn remove_all(&self, folder: &str, rest: Duration) -> Result<(), StoreError> {
        let name = format!("remove {folder}");
        self.fuse.step(name, || self.store.remove_all(folder, rest))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.store.list(folder)
    }
}

/// A journey's worth of statements, all admitted at the same time: more than a full tile.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut world = World::at(Stage::Limits);
    for n in 0..260 {
        let party = listed(&format!("p{n}.example"), PartyKind::Agency);
        world.log(party, operator_admin()).unwrap();
    }
    world
});

fn statements(range: std::ops::Range<usize>) -> Vec<Signed> {
    let history = &WORLD.history[range];
    history.iter().map(|(_, signed)| signed.clone()).collect()
}

fn signer() -> LogSigner {
    LogSigner::new(ORIGIN.parse().unwrap(), key("log"))
}

/// Where acknowledged statements stand.
type Acknowledged = BTreeMap<StatementId, LeafIndex>;

/// A log in a folder, that runs until a step fails.
struct Run<'a> {
    folder: &'a Path,
    fuse: Arc<Fuse>,
    acknowledged: Acknowledged,
}

impl Run<'_> {
    /// Opens the log, hands in a batch to each round, publishes after each.
    fn go(&mut self, rounds: &[Vec<Signed>]) -> Result<(), LedgerError> {
        let fuse = || self.fuse.clone();
        let journal = Faulty {
            store: SqliteJournal::open(&self.folder.join("ledger.db"))?,
            fuse: fuse(),
        };
        let reader = journal.store.reader()?;
        let log = LogFiles::new(Faulty {
            store: files(self.folder),
            fuse: fuse(),
        });
        let now = WORLD.now;
        let clock = Clock::from_fn(move || now);
        let (tell, progress) = watch::channel(Progress::default());
        let mut sequencer = Sequencer::open(journal, log.clone(), signer(), clock.clone(), tell)?;
        let nobody = PolicyLog {
            key: signer().verifier(),
            url: None,
        };
        let policy = Policy::of(vec![nobody], Vec::new(), 0).unwrap();
        let mut pruner = Pruner::new(log.clone(), progress.borrow().size);
        let clocks = Clocks::new(policy.clone(), clock, Monotonic::system());
        let mut publisher = Publisher {
            log,
            witnesses: Witnesses::new(policy, Duration::ZERO, clocks.clone()),
            journal: reader,
            clocks,
            renew: watch::channel(Duration::ZERO).1,
            progress: progress.clone(),
            publish: watch::channel(None).0,
            metrics: sequencer.metrics.clone(),
            confirm: None,
            changes: Changes::default(),
        };
        publisher.resume()?;
        let mut publish = |progress: &watch::Receiver<Progress>| {
            let head = progress.borrow().head.clone();
            if let Some(head) = head {
                publisher.publish(&head)?;
                pruner.prune(progress.borrow().size, || false)?;
            }
            Ok::<_, LedgerError>(())
        };
        publish(&progress)?;
        for round in rounds {
            let (batch, answers): (Vec<_>, Vec<_>) = round
                .iter()
                .map(|signed| Submission::new(signed.clone(), ()))
                .unzip();
            let done = sequencer.round(batch);
            for (signed, answer) in round.iter().zip(answers) {
                self.take(signed, answer, done.is_ok());
            }
            done?;
            publish(&progress)?;
        }
        Ok(())
    }

    /// Holds an answer against the ones before it.
    fn take(&mut self, signed: &Signed, mut answer: oneshot::Receiver<Answer>, done: bool) {
        let Ok(answer) = answer.try_recv() else {
            assert!(!done, "{} has no answer", signed.id);
            return;
        };
        let sequenced = answer.unwrap();
        let before = self.acknowledged.insert(signed.id, sequenced.index);
        if let Some(before) = before {
            assert_eq!((before, true), (sequenced.index, sequenced.known));
        }
    }
}

fn files(folder: &Path) -> Files {
    Files::open(&folder.join("log"), &folder.join("staging"), Access::Public).unwrap()
}

/// Everything that a log's folder holds.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    leaves: Vec<Vec<u8>>,
    facts: Vec<KeyedFact>,
    head: Option<Head>,
    checkpoint: Option<Vec<u8>>,
}

/// Derives everything again from the entries and compares; what the folder holds.
fn check(folder: &Path, notes: &[Vec<u8>], acknowledged: &Acknowledged) -> Held {
    let journal = SqliteJournal::open(&folder.join("ledger.db")).unwrap();
    let leaves = journal.leaves(0..journal.size().unwrap()).unwrap();
    for (id, index) in acknowledged {
        assert_eq!(journal.find(id).unwrap(), Some(index.as_u64()));
    }
    let mut frontier = Frontier::new();
    let mut roots = vec![frontier.root()];
    for leaf in &leaves {
        frontier.push(leaf_hash(leaf));
        roots.push(frontier.root());
    }
    // Every note that anybody may have seen is of one history.
    for note in notes {
        let note = Note::parse(note).unwrap();
        let signed = Checkpoint::parse(&note.text).unwrap();
        assert_eq!(roots[signed.size.as_u64() as usize], signed.root);
    }
    check_files(&files(folder), &leaves);
    Held {
        leaves,
        facts: journal.facts().unwrap(),
        head: journal.head().unwrap(),
        checkpoint: files(folder).read(CHECKPOINT).unwrap(),
    }
}

/// Every file that the log of these entries has is there, and every file that is there is of it.
fn check_files(files: &Files, leaves: &[Vec<u8>]) {
    let derived: BTreeMap<_, _> = LogEnd::new().append(leaves).into_iter().collect();
    for (path, bytes) in &derived {
        assert_eq!(files.read(path).unwrap().as_ref(), Some(bytes), "{path}");
    }
    // A partial file is the beginning of the widest one in its place.
    let place = |path: &str| {
        path.split_once(".p/")
            .map_or(path, |(place, _)| place)
            .to_owned()
    };
    let widest: BTreeMap<_, _> = derived.iter().map(|(path, b)| (place(path), b)).collect();
    for path in files.list("").unwrap() {
        if path == CHECKPOINT {
            continue;
        }
        let known = Tile::parse(&path).is_ok() || EntryTile::parse(&path).is_ok();
        assert!(known, "{path} is no file of a log");
        let bytes = files.read(&path).unwrap().unwrap();
        assert!(widest[&place(&path)].starts_with(&bytes), "{path}");
    }
}

/// A log that every run begins with: a copy of its folder.
fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    let done = std::process::Command::new("cp")
        .arg("-a")
        .arg(from.join("."))
        .arg(to.path())
        .status();
    assert!(done.unwrap().success());
    to
}

/// A clean run over `base`; how many steps it took, and what it came to.
fn clean(base: &Path, rounds: &[Vec<Signed>]) -> (usize, Held) {
    let folder = copy(base);
    let fuse = Fuse::of(None);
    let mut run = Run {
        folder: folder.path(),
        fuse: fuse.clone(),
        acknowledged: Acknowledged::new(),
    };
    run.go(rounds).unwrap();
    let held = check(
        folder.path(),
        &fuse.notes.lock().unwrap(),
        &run.acknowledged,
    );
    (fuse.taken(), held)
}

/// Fails at `faults` one after another, each in a start of its own, then goes on without, with
/// `after`.
fn crash(
    base: &Path,
    rounds: &[Vec<Signed>],
    faults: &[(usize, Failed)],
    after: &[Vec<Signed>],
) -> Held {
    let folder = copy(base);
    let mut acknowledged = Acknowledged::new();
    let mut notes = Vec::new();
    for fault in faults.iter().copied().map(Some).chain([None]) {
        let fuse = Fuse::of(fault);
        let mut run = Run {
            folder: folder.path(),
            fuse: fuse.clone(),
            acknowledged: std::mem::take(&mut acknowledged),
        };
        let ended = run.go(if fault.is_some() { rounds } else { after });
        acknowledged = run.acknowledged;
        notes.append(&mut fuse.notes.lock().unwrap());
        let step = fuse.names.lock().unwrap().last().cloned();
        if fuse.has_blown() {
            let (taken, failed) = (fuse.taken(), fault.map(|(step, _)| step + 1));
            assert_eq!(Some(taken), failed, "nothing is written after a failure");
            let Err(LedgerError::Store(error)) = ended else {
                panic!("{step:?} failed, and the log went on: {ended:?}");
            };
            assert!(error.to_string().contains("injected"), "{step:?}: {error}");
        } else {
            ended.unwrap_or_else(|e| panic!("after {faults:?}, last at {step:?}: {e}"));
        }
    }
    check(folder.path(), &notes, &acknowledged)
}

/// Two logs to crash: a new one, and one about to fill a tile.
fn logs() -> Vec<(TempDir, Vec<Vec<Signed>>)> {
    let empty = tempfile::tempdir().unwrap();
    let filled = tempfile::tempdir().unwrap();
    let mut run = Run {
        folder: filled.path(),
        fuse: Fuse::of(None),
        acknowledged: Acknowledged::new(),
    };
    run.go(&[statements(0..253)]).unwrap();
    let rounds = |ranges: &[std::ops::Range<usize>]| {
        ranges.iter().cloned().map(statements).collect::<Vec<_>>()
    };
    vec![
        (empty, rounds(&[0..2, 2..3, 3..5])),
        // Repetitions too: they are answered without a step.
        (filled, rounds(&[253..254, 250..258, 258..259])),
    ]
}

#[test]
fn a_log_that_failed_at_any_step_comes_to_the_same_end() {
    for (base, rounds) in logs() {
        let (steps, expected) = clean(base.path(), &rounds);
        assert!(steps > 3 * 4, "{steps}");
        for step in 0..steps {
            for how in [Failed::Undone, Failed::Done] {
                let held = crash(base.path(), &rounds, &[(step, how)], &rounds);
                assert!(held == expected, "after step {step} failed, {how:?}");
            }
        }
    }
}

/// The start that mends a failure fails itself.
#[test]
fn a_log_whose_recovery_fails_comes_to_the_same_end() {
    /// More steps than a recovery takes.
    const RECOVERY: usize = 6;
    for (base, rounds) in logs() {
        let (steps, expected) = clean(base.path(), &rounds);
        for first in 0..steps {
            let second = (first + 1) % RECOVERY;
            for how in [
                [Failed::Undone, Failed::Done],
                [Failed::Done, Failed::Undone],
            ] {
                let faults = [(first, how[0]), (second, how[1])];
                let held = crash(base.path(), &rounds, &faults, &rounds);
                assert!(held == expected, "after {faults:?}");
            }
        }
    }
}

/// Who had no answer does not ask again, and others come first: nothing of what failed stands in
/// their way.
#[test]
fn a_log_that_failed_goes_on_with_others() {
    for (base, rounds) in logs() {
        let (steps, _) = clean(base.path(), &rounds);
        // The first two statements of a log are what they are.
        let genesis = rounds[0].len() == 2;
        let mut others = if genesis {
            vec![statements(0..2)]
        } else {
            Vec::new()
        };
        others.push(statements(259..262));
        for step in 0..steps {
            for how in [Failed::Undone, Failed::Done] {
                let held = crash(base.path(), &rounds, &[(step, how)], &others);
                let leaves: usize = others.iter().map(Vec::len).sum();
                assert!(held.leaves.len() >= leaves);
            }
        }
    }
}

/// A panic in any thread of the write path ends the ledger, with an error that names the thread.
#[test]
fn a_panic_in_any_thread_ends_the_ledger() {
    let names = ["sequencer", "publisher", "indexer", "pruner"];
    for panics in names {
        // The others go on until they are told to end, as threads do whose handles are not dropped.
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let ends = Arc::new(Mutex::new(ends));
        let thread = |name: &'static str| {
            let ends = ends.clone();
            let work = move || {
                assert!(name != panics, "injected");
                let _ = ends.lock().unwrap().recv();
                Ok(())
            };
            spawn(name, work).unwrap()
        };
        let running = Running {
            sequencer: thread("sequencer"),
            publisher: thread("publisher"),
            indexer: thread("indexer"),
            pruner: thread("pruner"),
        };
        let patience = Instant::now() + Duration::from_secs(60);
        while !running.is_finished() {
            assert!(Instant::now() < patience, "{panics} has ended");
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(end);
        let ended = running.join();
        assert!(
            matches!(ended, Err(LedgerError::Panicked(name)) if name == panics),
            "{ended:?}"
        );
    }
}

/// A clock that steps back, while the log runs and at a start, adds nothing and loses nothing.
#[test]
fn a_clock_that_steps_back_is_waited_out() {
    let folder = tempfile::tempdir().unwrap();
    let shown = Arc::new(AtomicI64::new(WORLD.now.unix()));
    let clock = {
        let shown = shown.clone();
        Clock::from_fn(move || Time::from_unix(shown.load(Ordering::Relaxed)).unwrap())
    };
    let open = || {
        let journal = SqliteJournal::open(&folder.path().join("ledger.db")).unwrap();
        let log = LogFiles::new(files(folder.path()));
        let (tell, progress) = watch::channel(Progress::default());
        let opened = Sequencer::open(journal, log, signer(), clock.clone(), tell).unwrap();
        (opened, progress)
    };
    let submit = |sequencer: &mut Sequencer<SqliteJournal>, statement: usize| {
        let [signed] = statements(statement..statement + 1).try_into().unwrap();
        let (submission, mut answer) = Submission::new(signed, ());
        sequencer.round(vec![submission]).unwrap();
        answer.try_recv().unwrap()
    };
    let (mut sequencer, _) = open();
    for statement in 0..3 {
        submit(&mut sequencer, statement).unwrap();
    }
    shown.fetch_sub(3600, Ordering::Relaxed);
    for _ in 0..2 {
        let behind = submit(&mut sequencer, 3);
        assert!(
            matches!(behind, Err(SubmitError::ClockBehind)),
            "{behind:?}"
        );
        let known = submit(&mut sequencer, 2).unwrap();
        assert_eq!((known.index.as_u64(), known.known), (2, true));
        let (opened, progress) = open();
        sequencer = opened;
        let progress = progress.borrow();
        assert_eq!(progress.size, TreeSize::new(3));
        assert_eq!(progress.last_logged_at, Some(WORLD.now.cut_to_minute()));
    }
    shown.fetch_add(3600, Ordering::Relaxed);
    let now = submit(&mut sequencer, 3).unwrap();
    assert_eq!((now.index.as_u64(), now.known), (3, false));
    check(folder.path(), &[], &Acknowledged::new());
}
