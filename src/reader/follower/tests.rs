//! Honest logs are followed in any course of updates; each way to deceive has its error, and changes
//! nothing.

use proptest::prelude::*;

use super::*;
use crate::reader::ahead;
use crate::reader::testing::leaf as leaf_of;
use crate::reader::testing::{
    LEAVES, Shown, WITNESSES, closed, now, policies_of_one_key, policy, policy_of,
};
use crate::statement::envelope::Envelope;
use crate::statement::facts::FactMap;
use crate::statement::leaf::Leaf;
use crate::statement::refusal::Reason;
use crate::statement::testing::{ORIGIN, Stage, World, key, listed, operator_admin};
use crate::statement::words::PartyKind;
use crate::store::journal::JournalRead as _;
use crate::store::memory::MemoryJournal;
use crate::store::sqlite::SqliteJournal;
use crate::tlog::note::Note;

type Copy = Follower<MemoryJournal>;

fn empty() -> Copy {
    Follower::open(MemoryJournal::default(), policy()).unwrap()
}

fn update(copy: &mut Follower<impl Journal>, shown: &Shown) -> Result<Update, FollowError> {
    copy.update(shown, now(), &mut |done, of| assert!(done <= of))
}

fn at(size: usize) -> Copy {
    let mut copy = empty();
    update(&mut copy, &Shown::new(&LEAVES[..size], &[])).unwrap();
    copy
}

/// All that a copy holds.
fn state(copy: &Copy) -> impl PartialEq + std::fmt::Debug + use<> {
    let journal = &copy.journal;
    let facts = journal.facts().unwrap();
    let leaves = journal.leaves(0..u64::MAX).unwrap();
    (
        journal.head().unwrap(),
        leaves,
        facts,
        journal.frontier().unwrap(),
    )
}

/// `leaves` with the one at `index` replaced by another that the rules admit there or not.
fn rewritten(leaves: &[Vec<u8>], index: usize) -> Vec<Vec<u8>> {
    let mut leaves = leaves.to_vec();
    leaves[index] = LEAVES[index + 1].clone();
    leaves
}

fn flip(shown: &mut Shown, path: &str) {
    let bytes = shown.0.get_mut(path).unwrap();
    bytes[10] ^= 1;
}

#[test]
fn a_log_is_followed_in_any_steps_to_the_same_copy() {
    let whole = at(600);
    assert_eq!(whole.journal.size().unwrap(), 600);
    for (step, sizes) in [
        (1, vec![600]),
        (1, vec![9, 9, 300, 512, 600]),
        (50_000, vec![256, 600]),
    ] {
        let mut copy = empty();
        copy.step = step;
        let mut from = 0;
        for size in sizes {
            let done = update(&mut copy, &Shown::new(&LEAVES[..size], &[])).unwrap();
            assert_eq!((done.from.as_u64(), done.to.as_u64()), (from, size as u64));
            assert_eq!(done.findings, []);
            from = size as u64;
        }
        assert_eq!(state(&copy), state(&whole));
    }
}

/// A long log is never in memory as a whole: neither while it is fetched, nor while the copy is looked at.
#[test]
fn what_is_held_of_a_log_does_not_grow_with_it() {
    let whole: usize = LEAVES.iter().map(Vec::len).sum();
    let bundle = |at: usize| LEAVES[at..].iter().take(256).map(Vec::len).sum::<usize>();
    let largest = [0, 256, 512].map(bundle).into_iter().max().unwrap();
    let mut copy = empty();
    copy.step = 1000;
    let done = update(&mut copy, &Shown::new(&LEAVES, &[])).unwrap();
    assert!(done.most_held <= 1000 + largest && done.most_held < whole / 2);

    let (mut next, mut seen) = (0, Vec::new());
    loop {
        let portion = copy.portion(next).unwrap();
        assert!(portion.held <= largest);
        if portion.end == next {
            break;
        }
        next = portion.end;
        seen.extend(portion.entries.iter().map(|entry| entry.index.as_u64()));
        assert_eq!(portion.forbidden, []);
    }
    assert_eq!(seen, (0..600).collect::<Vec<_>>());
}

#[test]
fn a_log_is_followed_by_either_of_its_keys() {
    let [ed25519, ml_dsa] = policies_of_one_key();
    for policy in [ed25519, ml_dsa] {
        let mut copy = Follower::open(MemoryJournal::default(), policy.clone()).unwrap();
        update(&mut copy, &Shown::new(&LEAVES[..9], &[])).unwrap();
        assert_eq!(
            copy.witnessed().unwrap().unwrap().checkpoint.size.as_u64(),
            9
        );
        // The key known here is missing: the other says nothing to this reader.
        let mut unsigned = Shown::new(&LEAVES[..12], &[]);
        let mut note = Note::parse(&unsigned.0["checkpoint"]).unwrap();
        let known = &policy.logs()[0].key;
        note.signatures.retain(|line| !known.is_claimed_by(line));
        unsigned.put("checkpoint", note.to_bytes());
        assert!(update(&mut copy, &unsigned).is_err());
    }
}

#[test]
fn a_copy_on_disk_answers_out_of_itself() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(&folder.path().join("copy.db")).unwrap();
    let mut copy = Follower::open(journal, policy()).unwrap();
    for size in [5, 300, 600] {
        update(&mut copy, &Shown::new(&LEAVES[..size], &[])).unwrap();
        for index in [0, 4, size - 1].map(|i| LeafIndex::new(i as u64)) {
            let proof = TlogProof::parse(copy.proof(index).unwrap().to_text().as_bytes()).unwrap();
            let leaf = proof.extra.as_deref().unwrap();
            assert_eq!(leaf, LEAVES[index.as_u64() as usize]);
            let witnessed = proof
                .verify(leaf, &policy(), Some(now()), Some(now()))
                .unwrap();
            assert_eq!(witnessed.checkpoint.size.as_u64(), size as u64);
        }
        let beyond = LeafIndex::new(size as u64);
        assert!(matches!(copy.proof(beyond), Err(FollowError::NoEntry(i)) if i == beyond));
    }
    let entries = copy.entries(LeafIndex::new(590)).unwrap();
    assert_eq!(entries.len(), 10);
    assert_eq!(
        copy.find(&entries[3].signed.id).unwrap(),
        Some(LeafIndex::new(593))
    );
    assert_eq!(
        entries[3].signed,
        replay::read(&LEAVES[593]).unwrap().signed
    );
    assert_eq!(copy.witnessed().unwrap().unwrap().time(), Some(now()));
}

#[test]
fn the_facts_are_those_of_a_replay_in_memory() {
    let copy = at(20);
    let mut facts = FactMap::default();
    let mut keys = Vec::new();
    for (leaf, index) in LEAVES[..20].iter().zip(0..) {
        let entry = replay::read(leaf);
        let index = LeafIndex::new(index);
        let admitted = replay::judge(entry, ORIGIN, index, None, &facts).unwrap();
        keys.extend(admitted.change.iter().map(|(key, _)| key.clone()));
        facts.apply(admitted.id, index, admitted.change);
    }
    assert!(keys.len() > 20);
    for key in keys {
        assert_eq!(copy.facts().fact(&key).unwrap(), facts.fact(&key).unwrap());
    }
}

/// Shows `shown` to a copy of 300 entries: it must fail and change nothing.
#[track_caller]
fn refused(shown: &Shown) -> FollowError {
    let mut copy = at(300);
    let before = state(&copy);
    let error = update(&mut copy, shown).unwrap_err();
    assert_eq!(state(&copy), before, "{error}");
    update(&mut copy, &Shown::new(&LEAVES[..301], &[])).unwrap();
    error
}

macro_rules! assert_refused {
    ($shown:expr, $pattern:pat $(if $guard:expr)?) => {{
        let error = refused(&$shown);
        assert!(matches!(error, $pattern $(if $guard)?), "{error:?}");
    }};
}

#[test]
fn a_log_that_goes_back_or_rewrites_its_past_is_told_apart() {
    let back = Shown::new(&LEAVES[..299], &[]);
    assert_refused!(back, FollowError::RolledBack { shown, seen }
        if (shown.as_u64(), seen.as_u64()) == (299, 300));
    for size in [300, 301, 600] {
        for index in [0, 256, 299] {
            let fork = Shown::new(&rewritten(&LEAVES[..size], index), &[]);
            let note = fork.0["checkpoint"].clone();
            assert_refused!(fork, FollowError::Forked { at, ref shown, .. }
                if at.as_u64() == 300 && *shown == note);
            let FollowError::Forked { evidence, .. } = refused(&fork) else {
                panic!("a fork");
            };
            let keys = policy()
                .logs()
                .iter()
                .map(|log| log.key.clone())
                .collect::<Vec<_>>();
            let proved = evidence.unwrap().verify(&keys).unwrap();
            assert_eq!(proved.earlier.size.as_u64(), 300);
            assert_eq!(proved.later, fork.checkpoint_shown());
        }
    }
    // Its rewritten part is later than what was seen: no fork of this copy.
    let other = Shown::new(&rewritten(&LEAVES[..400], 300), &[]);
    assert_eq!(update(&mut at(300), &other).unwrap().findings.len(), 1);
}

#[test]
fn a_checkpoint_counts_only_with_a_fresh_quorum_of_known_witnesses() {
    let shown = Shown::new(&LEAVES[..310], &[]);
    let time = |seconds| now().plus_seconds(seconds);
    let cosigned = |witnesses: &[&str], seconds| shown.clone().cosigned(witnesses, time(seconds));
    assert_refused!(cosigned(&WITNESSES, -3601), FollowError::Stale(_));
    assert_refused!(cosigned(&WITNESSES, 301), FollowError::Stale(_));
    for fine in [-3600, 0, 300] {
        update(&mut at(300), &cosigned(&WITNESSES[1..], fine)).unwrap();
    }
    for too_few in [&WITNESSES[..1], &["stranger", "library"]] {
        assert_refused!(
            cosigned(too_few, 0),
            FollowError::Checkpoint(PolicyError::QuorumMissing(_))
        );
    }
    let mut forged = shown.clone();
    flip(&mut forged, "checkpoint");
    assert_refused!(forged, FollowError::Checkpoint(_));
    let mut foreign = shown.clone();
    let origin = "other.example/log".parse().unwrap();
    let checkpoint = Checkpoint {
        origin,
        ..shown.checkpoint_shown()
    };
    foreign.sign(&checkpoint, &WITNESSES, now());
    assert_refused!(foreign, FollowError::Checkpoint(PolicyError::OtherLog(_)));
    // An archive may be old, and is refused for everything else.
    let old = cosigned(&WITNESSES, -1_000_000);
    at(300).update_from_archive(&old, &mut |_, _| ()).unwrap();
    let back = Shown::new(&LEAVES[..200], &[]);
    let back = at(300).update_from_archive(&back, &mut |_, _| ());
    assert!(matches!(back, Err(FollowError::RolledBack { .. })));
}

#[test]
fn damage_is_no_fork() {
    let shown = Shown::new(&LEAVES[..600], &[]);
    let bundle = "tile/entries/002.p/88";
    let mut damaged = shown.clone();
    flip(&mut damaged, bundle);
    assert_refused!(damaged, FollowError::Damaged);
    // Nor is it one when the hashes are damaged too, wherever that is.
    for path in ["tile/0/000", "tile/0/001", "tile/0/002.p/88"] {
        let mut both = damaged.clone();
        flip(&mut both, path);
        assert_refused!(both, FollowError::Damaged);
        damaged.0.remove(path);
        assert_refused!(damaged, FollowError::Source(SourceError::Missing(ref p)) if p == path);
        damaged.put(path, shown.0[path].clone());
    }
    let mut short = shown.clone();
    short.0.get_mut(bundle).unwrap().pop();
    assert_refused!(short, FollowError::Source(SourceError::Malformed(_)));
    let mut missing = shown.clone();
    missing.0.remove(bundle);
    assert_refused!(missing, FollowError::Source(SourceError::Missing(_)));
    assert_refused!(
        Shown::default(),
        FollowError::Source(SourceError::Missing(_))
    );
}

#[test]
fn partial_files_that_are_gone_are_read_from_the_full_ones() {
    let mut shown = Shown::new(&LEAVES[..300], &[]);
    let grown = Shown::new(&LEAVES[..512], &[]);
    shown.0.retain(|path, _| !path.contains(".p/"));
    for (path, bytes) in &grown.0 {
        shown.0.entry(path.clone()).or_insert(bytes.clone());
    }
    assert_eq!(update(&mut empty(), &shown).unwrap().to.as_u64(), 300);
}

/// Every kind of entry that the rules forbid, between ones that they admit.
fn with_forbidden_entries() -> (Vec<Vec<u8>>, Vec<(u64, &'static str)>) {
    let leaf = |index: usize| Leaf::parse(&LEAVES[index]).unwrap();
    let unsigned = Leaf {
        logged_at: "2031-01-01T00:00:00Z".parse().unwrap(),
        envelope: Envelope::sign(leaf(20).envelope.payload, &[&key("stranger")]),
    };
    let mut forged = leaf(20);
    forged.envelope.signatures[0].1[5] ^= 1;
    let mut early = leaf(20);
    early.logged_at = leaf(2).logged_at.plus_seconds(-60);
    let mut leaves = LEAVES[..20].to_vec();
    leaves.extend([
        b"no JSON".to_vec(),
        LEAVES[13].clone(),
        unsigned.to_bytes(),
        forged.to_bytes(),
        early.to_bytes(),
    ]);
    leaves.extend_from_slice(&LEAVES[20..30]);
    let codes = [
        "not-json",
        "already-logged",
        "wrong-time",
        "bad-signature",
        "wrong-time",
    ];
    (leaves, (20..).zip(codes).collect())
}

#[test]
fn forbidden_entries_are_findings_and_change_nothing() {
    let (leaves, expected) = with_forbidden_entries();
    let codes = |update: Update| -> Vec<(u64, &'static str)> {
        let finding =
            |(index, refusal): &(LeafIndex, Refusal)| (index.as_u64(), refusal.reason.code());
        update.findings.iter().map(finding).collect()
    };
    let mut at_once = empty();
    let found = update(&mut at_once, &Shown::new(&leaves, &[])).unwrap();
    assert_eq!(codes(found), expected);
    assert_eq!(at_once.entries(LeafIndex::new(0)).unwrap().len(), 30);
    assert!(at_once.entry(LeafIndex::new(21)).unwrap().is_none());
    let honest = at(30).journal.facts().unwrap();
    let keys = |facts: Vec<(Vec<u8>, Vec<u8>)>| facts.into_iter().map(|(key, _)| key);
    assert!(keys(at_once.journal.facts().unwrap()).eq(keys(honest)));
    // They stand in the log all the same.
    let proof = at_once.proof(LeafIndex::new(20)).unwrap();
    assert!(proof.verify(b"no JSON", &policy(), None, None).is_ok());

    // The verdicts do not depend on when the reader looked.
    let mut one_by_one = empty();
    let mut found = Vec::new();
    for size in 1..=leaves.len() {
        found.extend(codes(
            update(&mut one_by_one, &Shown::new(&leaves[..size], &[])).unwrap(),
        ));
    }
    assert_eq!(found, expected);
    assert_eq!(state(&one_by_one), state(&at_once));
}

#[test]
fn what_a_crash_left_beyond_the_head_counts_as_seen() {
    let mut copy = at(300);
    let shown = Shown::new(&LEAVES[..500], &[]);
    let note = &shown.0["checkpoint"];
    let witnessed = policy().verify(note, None, None).unwrap();
    let mut times = Times::new(&witnessed, None, 0);
    let checkpoint = shown.checkpoint_shown();
    let taken = copy.take_entries(&shown, &checkpoint, note, &mut times, &mut |_, _| ());
    assert_eq!(taken.unwrap().0, []);
    let head = |copy: &Copy| copy.checkpoint().unwrap().unwrap().0.size.as_u64();
    assert_eq!((head(&copy), copy.journal.size().unwrap()), (300, 500));

    let back = update(&mut copy, &Shown::new(&LEAVES[..400], &[])).unwrap_err();
    assert!(matches!(back, FollowError::RolledBack { seen, .. } if seen.as_u64() == 500));
    for size in [500, 600] {
        let fork = Shown::new(&rewritten(&LEAVES[..size], 450), &[]);
        let fork = update(&mut copy, &fork).unwrap_err();
        // Its signed checkpoint of 300 entries stands: what it went against was signed by none kept.
        assert!(
            matches!(fork, FollowError::Forked { at, evidence: None, .. } if at.as_u64() == 500)
        );
    }
    assert_eq!(head(&copy), 300);
    update(&mut copy, &shown).unwrap();
    assert_eq!(head(&copy), 500);
    assert_eq!(state(&copy), state(&at(500)));
}

#[test]
fn a_trust_file_binds_the_operator_and_may_change() {
    let alone = policy()
        .to_string()
        .replace("quorum witnesses", "quorum none");
    let alone = Policy::parse(&alone).unwrap();
    let refused = Follower::open(MemoryJournal::default(), alone);
    assert!(matches!(
        refused,
        Err(FollowError::Policy(PolicyError::NoWitnesses))
    ));

    // A witness left, another came: the old checkpoint satisfies nobody now, the new one does.
    let witnesses = ["museum", "archive"];
    let mut copy = Follower::open(at(300).journal, policy_of(&witnesses)).unwrap();
    assert!(copy.witnessed().is_err());
    let shown = Shown::new(&LEAVES[..310], &[]).cosigned(&witnesses, now());
    assert_eq!(update(&mut copy, &shown).unwrap().from.as_u64(), 300);
    assert!(copy.witnessed().unwrap().is_some());
}

#[test]
fn what_stands_after_the_end_changes_nothing_and_is_found() {
    let (leaves, appended) = closed();
    let end = LeafIndex::new(leaves.len() as u64 - 1);
    let mut copy = empty();
    let update_at_end = update(&mut copy, &Shown::new(&leaves, &[])).unwrap();
    assert_eq!(update_at_end.findings, []);
    let known = copy.closed().unwrap().expect("closed");
    assert_eq!(known.index, end);

    let lie = [leaves.clone(), vec![appended]].concat();
    let done = update(&mut copy, &Shown::new(&lie, &[])).unwrap();
    let found: Vec<_> = done
        .findings
        .iter()
        .map(|(at, r)| (*at, r.reason))
        .collect();
    assert_eq!(
        found,
        [(LeafIndex::new(lie.len() as u64 - 1), Reason::LogClosed)]
    );
    assert_eq!(copy.closed().unwrap(), Some(known));
    // The consent in it was never collected: the gate stays shut.
    let consent = LeafIndex::new(end.as_u64() - 1);
    let fact = copy.facts().disclosure(&consent).unwrap();
    assert_eq!(fact.expect("a disclosure").collected, None);
}

#[test]
fn the_last_word_of_a_closed_log_does_not_age() {
    let (leaves, appended) = closed();
    let old = |leaves: &[Vec<u8>]| {
        Shown::new(leaves, &[]).cosigned(&WITNESSES, now().plus_seconds(-30 * 86_400))
    };
    let mut copy = empty();
    let open = update(&mut copy, &old(&leaves[..leaves.len() - 1])).unwrap_err();
    assert!(matches!(open, FollowError::Stale(_)));
    update(&mut copy, &old(&leaves)).unwrap();
    assert!(copy.closed().unwrap().is_some());

    // Whoever appends to it is asked how old that is.
    let lie = [leaves.clone(), vec![appended]].concat();
    let stale = update(&mut copy, &old(&lie)).unwrap_err();
    assert!(matches!(stale, FollowError::Stale(_)));
    // A statement that the rules forbid closes nothing.
    let mut without_operator = leaves;
    without_operator[0] = b"{}".to_vec();
    let stale = update(&mut empty(), &old(&without_operator)).unwrap_err();
    assert!(matches!(stale, FollowError::Stale(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    /// Whatever the entries are, and wherever the updates and steps fall.
    #[test]
    fn every_entry_of_a_copy_can_be_proved(
        sizes in proptest::collection::btree_set(1..700_usize, 1..4),
        step in 1..20_000_usize, index in any::<prop::sample::Index>(),
    ) {
        let leaves: Vec<Vec<u8>> = (0..700_u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let mut copy = empty();
        copy.step = step;
        for size in sizes {
            let done = update(&mut copy, &Shown::new(&leaves[..size], &[])).unwrap();
            prop_assert_eq!(copy.journal.leaves(0..700).unwrap(), &leaves[..size]);
            prop_assert_eq!(done.findings.len() as u64, done.to.as_u64() - done.from.as_u64());
            let index = index.index(size);
            let proof = copy.proof(LeafIndex::new(index as u64)).unwrap();
            prop_assert!(proof.verify(&leaves[index], &policy(), None, None).is_ok());
        }
    }
}

#[test]
fn the_evidence_of_a_fork_is_written_once_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for size in [400, 500] {
        let fork = Shown::new(&rewritten(&LEAVES[..size], 7), &[]);
        let error = refused(&fork).keep_evidence(folder.path());
        let path = folder.path().join("fork-at-300.tlog-evidence");
        let said = error.to_string();
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        written.push(std::fs::read(path).unwrap());
    }
    assert_eq!(written[0], written[1], "the first stays");
    let keys = [policy().logs()[0].key.clone()];
    let evidence = Evidence::parse(&written[0]).unwrap();
    assert_eq!(evidence.verify(&keys).unwrap().later.size.as_u64(), 400);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // Nowhere to write: the error is told all the same.
    let fork = Shown::new(&rewritten(&LEAVES[..400], 7), &[]);
    let error = refused(&fork).keep_evidence(&folder.path().join("nowhere"));
    assert!(!error.to_string().contains("evidence"), "{error}");
}

/// Leaves of an honest log, and the same log as it goes on with a clock that is `seconds` ahead.
fn with_clock_ahead(seconds: i64) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Time) {
    let mut world = World::at(Stage::Collection);
    let honest: Vec<_> = world.history.iter().map(leaf_of).collect();
    let now = world.now;
    world.pass(seconds);
    for n in 0..3 {
        let party = listed(&format!("late{n}.example"), PartyKind::Agency);
        world.log(party, operator_admin()).unwrap();
    }
    (honest, world.history.iter().map(leaf_of).collect(), now)
}

fn kept(folder: &std::path::Path) -> Follower<SqliteJournal> {
    let journal = SqliteJournal::open(&folder.join("copy.db")).unwrap();
    let copy = Follower::open(journal, policy()).unwrap();
    copy.keeping_marks(folder).unwrap()
}

fn follow<J: Journal>(copy: &mut Follower<J>, shown: &Shown, now: Time) -> Update {
    copy.update(shown, now, &mut |_, _| {}).unwrap()
}

/// A clock 20 days ahead: seen when it happens, kept as evidence, and never forgotten; the replay is that
/// of anybody.
#[test]
fn a_time_that_had_not_come_is_marked_for_good_and_proved() {
    let folder = tempfile::tempdir().unwrap();
    let (honest, ahead, now) = with_clock_ahead(20 * 86_400);
    let (first, end) = (honest.len() as u64, ahead.len() as u64);
    let mut copy = kept(folder.path());
    let update = follow(
        &mut copy,
        &Shown::new(&honest, &[]).cosigned(&WITNESSES, now),
        now,
    );
    assert_eq!(update.marked, []);
    let shown = Shown::new(&ahead, &[]).cosigned(&WITNESSES, now);
    let update = follow(&mut copy, &shown, now);
    let [marked] = &update.marked[..] else {
        panic!("{:?}", update.marked)
    };
    assert_eq!(
        (marked.mark, marked.entries.clone()),
        (Mark::Ahead, first..end)
    );
    assert_eq!(update.findings, [], "it is no finding");

    // The file convinces anybody with the trust file, and is the same for nobody else's entry.
    let file = std::fs::read(marked.file.as_ref().unwrap()).unwrap();
    let proved = ahead::judge(&file, &policy()).unwrap();
    assert_eq!((proved.index.as_u64(), proved.cosigned.len()), (first, 3));
    let honest_proof = copy.proof(LeafIndex::new(first - 1)).unwrap().to_text();
    let nothing = ahead::judge(honest_proof.as_bytes(), &policy());
    assert!(matches!(nothing, Err(ahead::AheadError::NotAhead { .. })));

    // Twenty days later the time has come, and the mark stays: on disk, too.
    let later = now.plus_seconds(20 * 86_400);
    follow(&mut copy, &shown.clone().cosigned(&WITNESSES, later), later);
    drop(copy);
    let copy = kept(folder.path());
    let marks = |copy: &Follower<SqliteJournal>| {
        let marks = (0..end).map(|index| copy.mark(LeafIndex::new(index)));
        marks.collect::<Vec<_>>()
    };
    let expected = |index| (index >= first).then_some(Mark::Ahead);
    assert_eq!(marks(&copy), (0..end).map(expected).collect::<Vec<_>>());

    // Who comes now cannot see it, and has the same facts.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut new = kept(elsewhere.path());
    let update = follow(&mut new, &shown.cosigned(&WITNESSES, later), later);
    assert_eq!(update.marked, []);
    assert_eq!(new.journal.facts().unwrap(), copy.journal.facts().unwrap());
}

/// A frozen clock: an entry that a checkpoint is without does not say that it is much older than that.
#[test]
fn a_time_that_was_over_is_marked() {
    let (honest, behind, then) = with_clock_ahead(0);
    let (first, end) = (honest.len() as u64, behind.len() as u64);
    for (seen_at, marks) in [
        (then, false),
        (then.plus_seconds(900), false),
        (then.plus_seconds(901), true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = kept(folder.path());
        follow(
            &mut copy,
            &Shown::new(&honest, &[]).cosigned(&WITNESSES, then),
            then,
        );
        // The checkpoint is renewed, and nothing is added.
        let renewed = Shown::new(&honest, &[]).cosigned(&WITNESSES, seen_at);
        follow(&mut copy, &renewed, seen_at);
        let now = seen_at.plus_seconds(60);
        let shown = Shown::new(&behind, &[]).cosigned(&WITNESSES, now);
        let update = follow(&mut copy, &shown, now);
        let expected = marks.then_some((Mark::Behind, first..end));
        let found = update.marked.iter().map(|m| (m.mark, m.entries.clone()));
        assert_eq!(
            found.collect::<Vec<_>>(),
            expected.into_iter().collect::<Vec<_>>()
        );
        let files = std::fs::read_dir(folder.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let kept = names
            .filter(|name| name.starts_with("logged-behind-"))
            .count();
        assert_eq!(kept, if marks { 2 } else { 0 }, "proof and checkpoint");
    }
}

/// A break in the middle of an update, and portions, lose no mark; days without looking make none.
#[test]
fn marks_do_not_depend_on_how_a_log_was_read() {
    let (honest, ahead, now) = with_clock_ahead(86_400);
    let (first, end) = (honest.len() as u64, ahead.len() as u64);
    let shown = Shown::new(&ahead, &[]).cosigned(&WITNESSES, now);
    let mut copy = empty();
    copy.step = 1;
    follow(
        &mut copy,
        &Shown::new(&honest[..5], &[]).cosigned(&WITNESSES, now),
        now,
    );
    // Its entries are verified and taken, and then the head cannot be advanced.
    let tree = {
        let mut tree = copy.frontier().unwrap();
        ahead[5..]
            .iter()
            .for_each(|leaf| tree.push(leaf_hash(leaf)));
        tree
    };
    let witnessed = policy().verify(&shown.0["checkpoint"], None, None).unwrap();
    let mut times = Times::new(&witnessed, None, 5);
    let origin = ORIGIN.parse().unwrap();
    let left = ahead[5..].to_vec();
    copy.commit(&origin, left, &tree, &mut times, &mut Vec::new())
        .unwrap();
    let update = follow(&mut copy, &shown, now);
    let found: Vec<_> = update
        .marked
        .iter()
        .map(|m| (m.mark, m.entries.clone()))
        .collect();
    assert_eq!(found, [(Mark::Ahead, first..end)]);

    // Three weeks away: nothing is older than what was seen then.
    let mut copy = empty();
    follow(
        &mut copy,
        &Shown::new(&honest[..5], &[]).cosigned(&WITNESSES, now),
        now,
    );
    let later = now.plus_seconds(21 * 86_400);
    let update = follow(
        &mut copy,
        &Shown::new(&ahead, &[]).cosigned(&WITNESSES, later),
        later,
    );
    assert_eq!(update.marked, []);
}

/// One of two witnesses is 50 minutes slow: where both are needed the checkpoint is as old as the slower says,
/// and nobody is accused.
#[test]
fn a_slow_witness_marks_nothing() {
    let (_, leaves, now) = with_clock_ahead(0);
    let mut shown = Shown::new(&leaves, &[]).cosigned(&WITNESSES[..1], now);
    let slow = Shown::new(&leaves, &[]).cosigned(&WITNESSES[1..2], now.plus_seconds(-3000));
    let mut note = Note::parse(&shown.0["checkpoint"]).unwrap();
    let other = Note::parse(&slow.0["checkpoint"]).unwrap();
    note.signatures
        .push(other.signatures.last().unwrap().clone());
    shown.put("checkpoint", note.to_bytes());
    let mut copy = empty();
    assert_eq!(follow(&mut copy, &shown, now).marked, []);
    let witnessed = copy.witnessed().unwrap().unwrap();
    assert_eq!(witnessed.time(), Some(now.plus_seconds(-3000)));
    assert!(witnessed.check_counts_for(now).is_err(), "not yet");
}
