//! The end of a log, clocks that are wrong, and panics, as the one thread that writes it sees them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::ledger::Answer as Answered;
use crate::ledger::offsets::tests::{key as witness_key, policy};
use crate::reader::replay;
use crate::statement::facts::FactMap;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::log_closed::LogClosed;
use crate::statement::testing::{ORIGIN, Stage, World, key, listed, operator_admin};
use crate::statement::words::PartyKind;
use crate::statement::{self, sign};
use crate::store::StoreError;
use crate::store::files::{Access, Files};
use crate::store::journal::{JournalRead, KeyedFact};
use crate::store::sqlite::SqliteJournal;
use crate::time::Monotonic;

type Opened = (Sequencer<SqliteJournal>, watch::Receiver<Progress>);

/// The log in a folder, opened as at a start.
fn open(folder: &std::path::Path, now: Time) -> Opened {
    let (log, staging) = (folder.join("log"), folder.join("staging"));
    let files = Files::open(&log, &staging, Access::Public).unwrap();
    let journal = SqliteJournal::open(&folder.join("ledger.db")).unwrap();
    let signer = LogSigner::new(ORIGIN.parse().unwrap(), key("log"));
    let (tell, progress) = watch::channel(Progress::default());
    let clock = Clock::from_fn(move || now);
    let sequencer = Sequencer::open(journal, LogFiles::new(files), signer, clock, tell);
    (sequencer.unwrap(), progress)
}

/// One round of these statements, and the answer to each: an index, or the reason of a refusal.
fn round(
    sequencer: &mut Sequencer<SqliteJournal>,
    statements: &[&Signed],
) -> Vec<Result<u64, Reason>> {
    let answers = answers(sequencer, statements).into_iter();
    let read = |answer: Answered| match answer {
        Ok(sequenced) => Ok(sequenced.index.as_u64()),
        Err(SubmitError::Refused(refusal)) => Err(refusal.reason),
        Err(error) => panic!("{error}"),
    };
    answers.map(read).collect()
}

/// One round of these statements, and the answer to each.
fn answers(sequencer: &mut Sequencer<SqliteJournal>, statements: &[&Signed]) -> Vec<Answered> {
    let submissions = statements.iter().map(|signed| (*signed).clone());
    let (batch, answers): (Vec<_>, Vec<_>) = submissions
        .map(|signed| Submission::new(signed, ()))
        .unzip();
    sequencer.round(batch).unwrap();
    let read = |mut answer: oneshot::Receiver<Answered>| answer.try_recv().unwrap();
    answers.into_iter().map(read).collect()
}

/// A log that a clock put 400 days ahead, once the clock is right: nothing is added but its end, which gets
/// the last entry's time.
#[test]
fn a_clock_that_is_behind_logs_nothing_but_the_end() {
    let mut world = World::at(Stage::Limits);
    let party = |n| listed(&format!("p{n}.example"), PartyKind::Agency);
    for n in 0..2 {
        world.log(party(n), operator_admin()).unwrap();
    }
    let ahead = world.now;
    // How long before the last entry's time the end is issued.
    let week = rules::ISSUED_BEFORE;
    for (earlier, admitted) in [(0, true), (week, true), (week + 60, false)] {
        let folder = tempfile::tempdir().unwrap();
        let (mut sequencer, _) = open(folder.path(), ahead);
        let statements: Vec<&Signed> = world.history.iter().map(|(_, signed)| signed).collect();
        let [genesis, limits, first, second] = statements[..] else {
            panic!("four statements")
        };
        round(&mut sequencer, &[genesis, limits, first]);
        drop(sequencer);
        let voice = operator_admin();
        let head = statement::Head {
            issued_at: ahead.cut_to_minute().plus_seconds(-earlier),
            ..world.head(&voice.author)
        };
        let keys: Vec<_> = voice.keys.iter().map(|name| key(name)).collect();
        let keys: Vec<_> = keys.iter().collect();
        let close = sign(&head, &LogClosed::example().into(), &keys);
        let close = &Signed::from_envelope(close).unwrap();

        let right = ahead.plus_seconds(-400 * 86_400);
        let (mut sequencer, progress) = open(folder.path(), right);
        let said = answers(&mut sequencer, &[second, close, second, first]);
        let behind = |answer: &Answered| matches!(answer, Err(SubmitError::ClockBehind));
        assert!(behind(&said[0]) && behind(&said[2]), "{said:?}");
        assert!(matches!(&said[3], Ok(first) if first.known), "{said:?}");
        if !admitted {
            assert!(
                matches!(&said[1], Err(SubmitError::Refused(why)) if why.reason == Reason::WrongTime),
                "{said:?}"
            );
            continue;
        }
        let end = said[1].as_ref().unwrap();
        assert_eq!(
            (end.index.as_u64(), end.logged_at),
            (3, ahead.cut_to_minute())
        );
        let leaf = Leaf::parse(&end.leaf).unwrap();
        assert_eq!(leaf.logged_at, ahead.cut_to_minute());
        let closed = progress.borrow().closed.clone().expect("closed");
        assert_eq!(closed.logged_at, ahead.cut_to_minute());
        // An auditor admits all of it.
        let (mut facts, mut last) = (FactMap::default(), None);
        for (leaf, index) in sequencer.journal.leaves(0..10).unwrap().iter().zip(0..) {
            let index = LeafIndex::new(index);
            let entry = replay::judge(replay::read(leaf), ORIGIN, index, last, &facts).unwrap();
            last = Some(entry.logged_at);
            facts.apply(entry.id, index, entry.change);
        }
        assert!(facts.closed(&Whole).unwrap().is_some());
    }
}

/// Nothing is dated by a clock that the witnesses do not confirm; what is logged is still answered, and
/// the end of a closed log too.
#[test]
fn a_clock_that_is_not_confirmed_dates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::at(Stage::Limits);
    for n in 0..2 {
        let party = listed(&format!("p{n}.example"), PartyKind::Agency);
        world.log(party, operator_admin()).unwrap();
    }
    world.close();
    let statements: Vec<&Signed> = world.history.iter().map(|(_, signed)| signed).collect();
    let (mut sequencer, progress) = open(folder.path(), world.now);
    round(&mut sequencer, &statements[..2]);
    let now = world.now;
    let monotonic = Monotonic::from_fn(|| Duration::ZERO);
    let clocks = Clocks::new(policy(1, 1), Clock::from_fn(move || now), monotonic);
    sequencer.clocks = Some(clocks.clone());
    let refused = |sequencer: &mut _| {
        let said = answers(sequencer, &[statements[2], statements[1], statements[4]]);
        for answer in [&said[0], &said[2]] {
            assert!(
                matches!(answer, Err(SubmitError::ClockUnconfirmed)),
                "{said:?}"
            );
        }
        assert!(matches!(&said[1], Ok(known) if known.known), "{said:?}");
        assert_eq!(progress.borrow().size, TreeSize::new(2));
    };
    refused(&mut sequencer);
    for offset in [-301, 301] {
        clocks.measure(&witness_key(0), now.plus_seconds(offset), clocks.now());
        refused(&mut sequencer);
    }
    clocks.measure(&witness_key(0), now.plus_seconds(-300), clocks.now());
    assert_eq!(round(&mut sequencer, &statements[2..3]), [Ok(2)]);
    assert_eq!(round(&mut sequencer, &statements[4..]), [Ok(3)]);
    clocks.measure(&witness_key(0), now.plus_seconds(-3000), clocks.now());
    let after = round(&mut sequencer, &[statements[3], statements[4]]);
    assert_eq!(after, [Err(Reason::LogClosed), Ok(3)]);
}

#[test]
fn nothing_lands_after_the_end_in_its_own_batch_or_a_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::at(Stage::Limits);
    let mut open_world = world.clone();
    for n in 0..3 {
        let party = listed(&format!("p{n}.example"), PartyKind::Agency);
        open_world.log(party, operator_admin()).unwrap();
    }
    let [genesis, limits, first, second, third] = open_world.history.as_slice() else {
        panic!("five statements")
    };
    world.close();
    let close = &world.history[2].1;

    let (mut sequencer, progress) = open(folder.path(), world.now);
    let batch = [&genesis.1, &limits.1, &first.1, close, &second.1, close];
    let answers = round(&mut sequencer, &batch);
    let after = Err(Reason::LogClosed);
    assert_eq!(answers, [Ok(0), Ok(1), Ok(2), Ok(3), after, Ok(3)]);
    let closed = progress.borrow().closed.clone().expect("closed");
    assert_eq!(closed.index, LeafIndex::new(3));
    let head = progress.borrow().head.clone();

    // Later, and after a start anew: what stands there is told its place, the rest is refused.
    let answers = round(&mut sequencer, &[&third.1, &first.1]);
    assert_eq!(answers, [after, Ok(2)]);
    drop(sequencer);
    let (mut sequencer, progress) = open(folder.path(), world.now);
    assert_eq!(progress.borrow().closed.as_deref(), Some(&*closed));
    assert_eq!(round(&mut sequencer, &[&third.1, close]), [after, Ok(3)]);
    assert_eq!(progress.borrow().head, head, "the final checkpoint stays");

    // An auditor sees the same end.
    let mut facts = FactMap::default();
    let leaves = sequencer.journal.leaves(0..10).unwrap();
    assert_eq!(leaves.len(), 4);
    for (leaf, index) in leaves.iter().zip(0..) {
        let index = LeafIndex::new(index);
        let entry = replay::judge(replay::read(leaf), ORIGIN, index, None, &facts).unwrap();
        facts.apply(entry.id, index, entry.change);
    }
    assert_eq!(facts.closed(&Whole), Ok(Some((*closed).clone())));
}

/// A journal that panics where a fact about a party of this name is read.
struct Trap {
    journal: SqliteJournal,
    armed: Arc<AtomicBool>,
}

const TRAP: &str = "trap.example";

impl JournalRead for Trap {
    fn size(&self) -> Result<u64, StoreError> {
        self.journal.size()
    }

    fn find(&self, id: &StatementId) -> Result<Option<u64>, StoreError> {
        self.journal.find(id)
    }

    fn find_leaf(&self, id: &StatementId) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.journal.find_leaf(id)
    }

    fn fact(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let trapped = key.windows(TRAP.len()).any(|part| part == TRAP.as_bytes());
        assert!(!trapped || !self.armed.load(Ordering::Relaxed), "injected");
        self.journal.fact(key)
    }

    fn facts(&self) -> Result<Vec<KeyedFact>, StoreError> {
        self.journal.facts()
    }

    fn frontier(&self) -> Result<Vec<u8>, StoreError> {
        self.journal.frontier()
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.journal.head()
    }

    fn leaf(&self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.journal.leaf(index)
    }

    fn leaves(&self, range: std::ops::Range<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
        self.journal.leaves(range)
    }
}

impl Journal for Trap {
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        self.journal.commit(commit)
    }

    fn advance(&mut self, from: Option<u64>, to: &Head) -> Result<(), StoreError> {
        self.journal.advance(from, to)
    }
}

#[test]
fn a_panic_while_judging_refuses_that_statement_until_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::at(Stage::Limits);
    for party in ["p0.example", TRAP, "p1.example"] {
        let party = listed(party, PartyKind::Agency);
        world.log(party, operator_admin()).unwrap();
    }
    let armed = Arc::new(AtomicBool::new(true));
    let open = || {
        let (log, staging) = (folder.path().join("log"), folder.path().join("staging"));
        let files = Files::open(&log, &staging, Access::Public).unwrap();
        let journal = Trap {
            journal: SqliteJournal::open(&folder.path().join("ledger.db")).unwrap(),
            armed: armed.clone(),
        };
        let signer = LogSigner::new(ORIGIN.parse().unwrap(), key("log"));
        let (tell, _) = watch::channel(Progress::default());
        let now = world.now;
        let clock = Clock::from_fn(move || now);
        Sequencer::open(journal, LogFiles::new(files), signer, clock, tell).unwrap()
    };
    let submit = |sequencer: &mut Sequencer<Trap>, which: &[usize]| -> Vec<Option<u64>> {
        let statements = which.iter().map(|at| world.history[*at].1.clone());
        let (batch, answers): (Vec<_>, Vec<_>) =
            statements.map(|signed| Submission::new(signed, ())).unzip();
        sequencer.round(batch).unwrap();
        let index = |mut answer: oneshot::Receiver<Answered>| match answer.try_recv().unwrap() {
            Ok(sequenced) => Some(sequenced.index.as_u64()),
            Err(SubmitError::Unjudgeable) => None,
            Err(error) => panic!("{error}"),
        };
        answers.into_iter().map(index).collect()
    };
    let mut sequencer = open();
    // Those beside it in the same round are admitted.
    let first = submit(&mut sequencer, &[0, 1, 2, 3, 4]);
    assert_eq!(first, [Some(0), Some(1), Some(2), None, Some(3)]);
    armed.store(false, Ordering::Relaxed);
    assert_eq!(
        submit(&mut sequencer, &[3, 4]),
        [None, Some(3)],
        "it is remembered"
    );
    drop(sequencer);
    assert_eq!(submit(&mut open(), &[3]), [Some(4)], "until a restart");
}
