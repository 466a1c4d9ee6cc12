//! A server and its auditors over the same random sequences: the facts in SQLite behind their cache,
//! with what a batch has changed before it is committed, and the log's own bytes read again.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::properties::{BEGINNINGS, events, play};
use crate::reader::replay;
use crate::statement::Signed;
use crate::statement::envelope::Envelope;
use crate::statement::facts::{Fact, FactKey, FactMap, Facts, Pending};
use crate::statement::leaf::Leaf;
use crate::statement::refusal::{Refusal, Verdict};
use crate::statement::rules::judge;
use crate::statement::testing::{ORIGIN, World};
use crate::store::StoreError;
use crate::store::facts::{CachedFacts, FactCache, JournalFacts, encode};
use crate::store::journal::{Commit, Journal as _, JournalRead as _, NewEntry};
use crate::store::sqlite::SqliteJournal;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// A statement on its way in, and the server's own time.
struct Arrival {
    logged_at: Time,
    signed: Signed,
}

/// The leaf of a statement whose signatures nobody looks at.
fn leaf(arrival: &Arrival) -> Vec<u8> {
    let signers = arrival.signed.signers.iter();
    let envelope = Envelope {
        payload: arrival.signed.envelope.payload.clone(),
        signatures: signers.map(|key| (*key, [0; 64])).collect(),
    };
    let logged_at = arrival.logged_at;
    Leaf {
        logged_at,
        envelope,
    }
    .to_bytes()
}

/// The refusal, where the store does not fail.
fn verdict<T>(judged: Result<T, Verdict<StoreError>>) -> Result<T, Refusal> {
    judged.map_err(|verdict| match verdict {
        Verdict::Refused(refusal) => refusal,
        Verdict::Facts(error) => panic!("{error}"),
    })
}

/// Judges a batch as the sequencer does, and commits what is admitted; each verdict.
fn admit(
    journal: &mut SqliteJournal,
    cache: &FactCache,
    batch: &[Arrival],
) -> Vec<Result<(), Refusal>> {
    let first = journal.size().unwrap();
    let (mut entries, mut verdicts) = (Vec::new(), Vec::new());
    let facts: Vec<(FactKey, Fact)> = {
        let stored = CachedFacts {
            journal: &*journal,
            cache,
        };
        let mut pending = Pending::new(&stored);
        for arrival in batch {
            let index = LeafIndex::new(first + entries.len() as u64);
            let judged = judge(&arrival.signed, ORIGIN, index, arrival.logged_at, &pending);
            verdicts.push(verdict(judged).map(|change| {
                pending.apply(arrival.signed.id, index, change);
                entries.push(NewEntry {
                    id: arrival.signed.id,
                    leaf: leaf(arrival),
                    admitted: true,
                });
            }));
        }
        pending.into_facts().into_iter().collect()
    };
    let commit = Commit {
        first,
        entries,
        facts: encode(facts.iter().map(|(key, fact)| (key, fact))),
        frontier: Vec::new(),
    };
    journal.commit(&commit).unwrap();
    cache.update(facts.iter().map(|(key, fact)| (key, fact)));
    verdicts
}

/// Everything that reaches the log of `world`, refused or not, in order.
fn arrivals(world: &World, judged: Vec<super::properties::Judged>) -> Vec<(Arrival, bool)> {
    let before = world.history.len() - judged.iter().filter(|j| j.verdict.is_ok()).count();
    let began = world.history[..before].iter().map(|(logged_at, signed)| {
        let (logged_at, signed) = (*logged_at, signed.clone());
        (Arrival { logged_at, signed }, true)
    });
    let came = judged.into_iter().map(|judged| {
        let (logged_at, signed) = (judged.logged_at, judged.signed);
        (Arrival { logged_at, signed }, judged.verdict.is_ok())
    });
    began.chain(came).collect()
}

/// The facts of a log, from its bytes alone.
fn audited(leaves: &[Vec<u8>]) -> (FactMap, BTreeMap<FactKey, Fact>) {
    let (mut facts, mut all, mut last) = (FactMap::default(), BTreeMap::new(), None);
    for (i, leaf) in leaves.iter().enumerate() {
        let index = LeafIndex::new(i as u64);
        let entry = replay::judge(replay::read_again(leaf), ORIGIN, index, last, &facts);
        let admitted = entry.unwrap_or_else(|forbidden| panic!("entry {i}: {forbidden:?}"));
        last = Some(admitted.logged_at);
        all.extend(admitted.change.clone());
        facts.apply(admitted.id, index, admitted.change);
    }
    (facts, all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn server_and_auditor_agree_however_batched_and_restarted(
        stage in 0..BEGINNINGS,
        events in events(),
        batches in prop::collection::vec((1..6_usize, any::<bool>()), 1..8),
    ) {
        let (world, judged) = play(stage, &events);
        let mut waiting = arrivals(&world, judged);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let mut journal = SqliteJournal::open(&path).unwrap();
        let mut cache = FactCache::default();
        for (count, restarts) in batches.iter().cycle() {
            if waiting.is_empty() {
                break;
            }
            let rest = waiting.split_off((*count).min(waiting.len()));
            let (batch, expected): (Vec<_>, Vec<_>) = std::mem::replace(&mut waiting, rest).into_iter().unzip();
            let verdicts = admit(&mut journal, &cache, &batch);
            let admitted: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
            prop_assert_eq!(admitted, expected);
            if *restarts {
                drop(journal);
                journal = SqliteJournal::open(&path).unwrap();
                cache = FactCache::default();
            }
        }
        let size = journal.size().unwrap();
        prop_assert_eq!(size, world.history.len() as u64);
        let leaves = journal.leaves(0..size).unwrap();
        let (facts, all) = audited(&leaves);
        prop_assert_eq!(&facts, &world.facts);
        // From entry 0 alone, the very bytes that the live server keeps.
        let mut told = encode(all.iter());
        told.sort();
        prop_assert_eq!(told, journal.facts().unwrap());
        for (_, signed) in &world.history {
            let stored = JournalFacts(&journal);
            prop_assert_eq!(stored.find(&signed.id).unwrap(), facts.find(&signed.id).unwrap());
        }
    }
}
