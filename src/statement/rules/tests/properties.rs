//! Random sequences of statements by few speakers: valid, invalid, repeated, out of order.
//!
//! Nothing is signed here: the rules see which keys' signatures verified, not the signatures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use proptest::prelude::*;

use crate::digest::{Digest, StatementId};
use crate::statement::envelope::Envelope;
use crate::statement::facts::{Change, Fact, FactMap, Pending};
use crate::statement::key::PublicKey;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::agreement::{Agreement, EndReason, Status};
use crate::statement::kinds::annotation::Annotation;
use crate::statement::kinds::benefit::Benefit;
use crate::statement::kinds::bulletin::Bulletin;
use crate::statement::kinds::collection::Collection;
use crate::statement::kinds::custody_report::CustodyReport;
use crate::statement::kinds::delay_order::{DelayOrder, Delayed};
use crate::statement::kinds::demand_response::DemandResponse;
use crate::statement::kinds::disclosure::Audience;
use crate::statement::kinds::erasure::Erasure;
use crate::statement::kinds::insider_access::InsiderAccess;
use crate::statement::kinds::key_change::{KeyChange, RevocationReason, RevokedKey};
use crate::statement::kinds::limits::Limits;
use crate::statement::kinds::log_closed::{ClosingReason, LogClosed};
use crate::statement::kinds::notice::Notice;
use crate::statement::kinds::party::Party;
use crate::statement::kinds::party_status::{PartyStatus, StatusChange};
use crate::statement::kinds::release::Release;
use crate::statement::kinds::request_closing::{ClosingOutcome, RequestClosing};
use crate::statement::kinds::unsealing::Unsealing;
use crate::statement::kinds::withdrawal::Withdrawal;
use crate::statement::refusal::{Reason, Refusal};
use crate::statement::rules::judge;
use crate::statement::testing::*;
use crate::statement::words::{DataKind, Day, PartyKind, Role};
use crate::statement::{Author, Signed, Statement, payload};
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// What happens next; `pick` chooses among few variants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    what: What,
    pick: usize,
    /// Minutes since the last event.
    after: i64,
    fault: Fault,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Register,
    ChangeKeys,
    Declare,
    Agree,
    Ask,
    Anchor,
    Consent,
    Publish,
    Withdraw,
    Collect,
    Report,
    /// A party's standing changes, or a request ends.
    Stand,
    /// A seal is opened, put off, erased.
    Unseal,
    Compel,
    Say,
    Close,
    /// An admitted statement again, in the same bytes.
    Repeat,
}

/// How the signatures differ from what the author would give.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Missing,
    Surplus,
    Foreign,
}

pub(super) fn events() -> impl Strategy<Value = Vec<Event>> {
    use What::*;
    let what = prop::sample::select(vec![
        Register, ChangeKeys, ChangeKeys, Declare, Agree, Agree, Ask, Ask, Ask, Anchor, Consent,
        Consent, Consent, Publish, Publish, Withdraw, Withdraw, Collect, Collect, Report, Repeat,
        Close, Stand, Stand, Unseal, Unseal, Compel, Compel, Say, Say,
    ]);
    let after = prop_oneof![
        4 => Just(0_i64),
        2 => 0..90_i64,
        1 => 0..(5 * 24 * 60_i64),
        1 => Just(40 * 24 * 60_i64),
    ];
    let fault = prop_oneof![
        12 => Just(Fault::None),
        1 => Just(Fault::Missing),
        1 => Just(Fault::Surplus),
        1 => Just(Fault::Foreign),
    ];
    let event = (what, 0..4096_usize, after, fault).prop_map(|(what, pick, after, fault)| Event {
        what,
        pick,
        after,
        fault,
    });
    prop::collection::vec(event, 1..10)
}

/// How many courses begin where.
pub(super) const BEGINNINGS: usize = 9;

static STAGES: LazyLock<Vec<World>> = LazyLock::new(|| {
    let mut stages: Vec<World> = [
        Stage::Empty,
        Stage::Limits,
        Stage::Agency,
        Stage::Batch,
        Stage::Request,
        Stage::Disclosure,
        Stage::Disclosure,
        Stage::Collection,
    ]
    .map(World::at)
    .into();
    let mut full = World::at(Stage::Disclosure).with_court();
    let (watchdog, voice) = watchdog();
    full.log(watchdog, voice).unwrap();
    full.pass(limits().new_key_wait_seconds());
    stages.push(full);
    assert_eq!(stages.len(), BEGINNINGS);
    stages
});

const WATCHDOG: &str = "watchdog.example";

fn watchdog() -> (Party, Voice) {
    let watchdog = Party {
        keys: vec![new_key("watchdog admin", Role::Admin, None)],
        ..listed(WATCHDOG, PartyKind::Watchdog)
    };
    (watchdog, registrars(WATCHDOG, &["watchdog admin"]))
}

const RESIDENTS: [&str; 4] = ["resident", "another", "third", "agency service"];
const OFFICERS: [&str; 3] = ["agency officer", "agency second officer", "new 0"];

/// One of `all`, by the lowest digits of `pick`, which are then used up.
fn choose<T: Clone>(pick: &mut usize, all: &[T]) -> T {
    let chosen = all[*pick % all.len()].clone();
    *pick /= all.len();
    chosen
}

fn given_kinds() -> [Vec<DataKind>; 3] {
    [
        vec![DataKind::Video],
        vec![DataKind::Video],
        vec![DataKind::Time, DataKind::Video],
    ]
}

/// What is said in `world`, and by whom.
fn say(world: &World, ids: &[StatementId], event: Event) -> Option<(Statement, Voice)> {
    let pick = &mut { event.pick };
    Some(match event.what {
        What::Register => match choose(pick, &[0, 1, 2, 3, 4]) {
            0 => (operator().into(), operator_founding()),
            1 => (vendor().into(), registrars(VENDOR, &["vendor admin"])),
            2 => (
                court().into(),
                registrars(COURT, &["court admin", "court clerk"]),
            ),
            3 => {
                let (party, voice) = watchdog();
                (party.into(), voice)
            }
            _ => (agency().into(), registrars(AGENCY, &AGENCY_KEYS)),
        },
        What::ChangeKeys => change_keys(pick),
        What::Declare => {
            let limits = Limits {
                open_requests: choose(pick, &[1, 3]),
                notice_minutes: choose(pick, &[0, 60, 20 * 24 * 60]),
                decision_minutes: choose(pick, &[0, 60]),
                ..limits()
            };
            (limits.into(), operator_admin())
        }
        What::Agree => agree(pick, ids),
        What::Ask => {
            let mut request = world.ask();
            request.agreement = choose(pick, &[world.agreement, last(ids)]);
            let recipients = [request.recipient, recipient("recipient 6")];
            request.recipient = choose(pick, &recipients);
            request.scope = choose(pick, &[request.scope, attached("scope 6")]);
            request.window_minutes = choose(pick, &[120, 720]);
            let days = [world.now, world.now.plus_seconds(30 * DAY)].map(Day::of);
            request.sealed.case_number.open_by = choose(pick, &days);
            (request.into(), party(AGENCY, choose(pick, &OFFICERS)))
        }
        What::Anchor => (batch().into(), operator_officer()),
        What::Consent => {
            let mut disclosure = world.consent(choose(pick, &[0, 1]));
            let clip = world.clip(choose(pick, &[0, 2, 3]));
            disclosure.clips.push(clip);
            let request = choose(pick, &[world.request, world.request, last(ids)]);
            disclosure.request = Some(request);
            let days = choose(pick, &[1, 3]);
            disclosure.expires = world.now.cut_to_hour().plus_seconds(days * DAY);
            disclosure.gives = choose(pick, &given_kinds());
            let told = disclosure.gives.len() > 1;
            let noted = choose(pick, &[told, told, told, !told]);
            disclosure.note = noted.then(|| Digest::of("a note"));
            (disclosure.into(), resident(choose(pick, &RESIDENTS)))
        }
        What::Publish => {
            let mut disclosure = world.publish(choose(pick, &[0, 4, 5]));
            disclosure.request = choose(pick, &[None, None, Some(world.request)]);
            disclosure.gives = choose(pick, &given_kinds());
            disclosure
                .clips
                .extend(choose(pick, &[None, None, Some(6)]).map(|at| world.clip(at)));
            (disclosure.into(), resident(choose(pick, &RESIDENTS)))
        }
        What::Withdraw => {
            let disclosure = choose(pick, &[world.disclosure, last(ids)]);
            let voice = resident(choose(pick, &RESIDENTS));
            (Withdrawal { disclosure }.into(), voice)
        }
        What::Collect => {
            let collection = Collection {
                disclosure: choose(pick, &[world.disclosure, last(ids)]),
                label: choose(pick, &LABELS).parse().unwrap(),
            };
            (collection.into(), party(AGENCY, choose(pick, &OFFICERS)))
        }
        What::Report => {
            let confirms = choose(pick, &[None, Some(last(ids))]);
            let benefit = Benefit {
                confirms,
                ..Benefit::example()
            };
            let vendor = party(VENDOR, "vendor admin");
            (benefit.into(), choose(pick, &[vendor, agency_officer()]))
        }
        What::Stand => stand(world, pick, ids),
        What::Unseal => unseal(world, pick),
        What::Compel => compel(world, pick, ids),
        What::Say => tell(world, pick, ids),
        What::Close => {
            let closed = LogClosed {
                successor: None,
                reason: choose(pick, &[ClosingReason::Discontinued, ClosingReason::Moved]),
            };
            (closed.into(), operator_admin())
        }
        What::Repeat => return None,
    })
}

fn last(ids: &[StatementId]) -> StatementId {
    ids.last()
        .copied()
        .unwrap_or(StatementId::from_bytes([0; 32]))
}

fn stand(world: &World, pick: &mut usize, ids: &[StatementId]) -> (Statement, Voice) {
    use StatusChange::*;
    if choose(pick, &[true, false]) {
        let status = choose(pick, &[Suspended, Reinstated, Confirmed, Withdrawn]);
        let party = choose(pick, &[AGENCY, VENDOR]);
        let statement = PartyStatus {
            party: id(party),
            ..super::refused_access::status(status)
        };
        return (statement.into(), operator_admin());
    }
    let closing = RequestClosing {
        request: choose(pick, &[world.request, last(ids)]),
        outcome: choose(pick, &[ClosingOutcome::Answered, ClosingOutcome::Withdrawn]),
    };
    (closing.into(), agency_officer())
}

fn unseal(world: &World, pick: &mut usize) -> (Statement, Voice) {
    let what = choose(pick, &[0, 1, 2]);
    let n = choose(pick, &[6, world.history.len().max(1) - 1]);
    let seal = attached(&format!("case number {n}"));
    let digest = choose(pick, &[seal, attached("scope 6")]);
    match what {
        0 => {
            let unsealing = Unsealing {
                seal: digest,
                opening: attached(&format!("opening {n}")),
            };
            (
                unsealing.into(),
                choose(pick, &[agency_officer(), operator_officer()]),
            )
        }
        1 => {
            let days = choose(pick, &[40, 90]);
            let order = DelayOrder {
                seal: Some(digest),
                until: Day::of(world.now.plus_seconds(days * DAY)),
                document: Some(attached(&format!("order {}", world.history.len()))),
                ..DelayOrder::example()
            };
            (order.into(), operator_officer())
        }
        _ => {
            let erasure = Erasure {
                digest,
                ..Erasure::example()
            };
            (erasure.into(), operator_admin())
        }
    }
}

/// A demand, or what follows the one logged last.
fn compel(world: &World, pick: &mut usize, ids: &[StatementId]) -> (Statement, Voice) {
    let demand = last(ids);
    match choose(pick, &[0, 1, 2, 3]) {
        0 => (
            world.demand().into(),
            choose(pick, &[agency_officer(), clerk()]),
        ),
        1 => {
            let response = DemandResponse {
                demand: choose(pick, &[Some(demand), None]),
                ..DemandResponse::example()
            };
            (response.into(), operator_officer())
        }
        2 => {
            let notice = Notice {
                demand,
                ..Notice::example()
            };
            (notice.into(), operator_officer())
        }
        _ => {
            let order = DelayOrder {
                delays: Delayed::Notice,
                seal: None,
                demand: Some(demand),
                until: Day::of(world.now.plus_seconds(20 * DAY)),
                document: Some(attached(&format!("order {}", world.history.len()))),
                ..DelayOrder::example()
            };
            (order.into(), choose(pick, &[operator_officer(), clerk()]))
        }
    }
}

fn tell(world: &World, pick: &mut usize, ids: &[StatementId]) -> (Statement, Voice) {
    match choose(pick, &[0, 1, 2, 3, 4]) {
        0 => {
            let report = CustodyReport {
                about: choose(pick, &[world.disclosure, last(ids)]),
                ..CustodyReport::example()
            };
            (report.into(), agency_officer())
        }
        1 => (InsiderAccess::example().into(), operator_officer()),
        2 => {
            let bulletin = Bulletin {
                text: attached(&format!("alert {}", world.history.len())),
                expires: world.now.cut_to_hour().plus_seconds(DAY),
                ..Bulletin::example()
            };
            (bulletin.into(), agency_officer())
        }
        3 => {
            let remark = Annotation {
                about: last(ids),
                attachments: vec![attached(&format!("remark {}", world.history.len()))],
                ..Annotation::example()
            };
            let watchdog = party(WATCHDOG, "watchdog admin");
            let voices = [party(VENDOR, "vendor admin"), watchdog];
            (remark.into(), choose(pick, &voices))
        }
        _ => (Release::example().into(), operator_admin()),
    }
}

fn change_keys(pick: &mut usize) -> (Statement, Voice) {
    let added = choose(pick, &["", "new 0", "new 1", "resident"]);
    let revoked = choose(pick, &["", "agency officer", "agency admin", "new 1"]);
    let role = choose(pick, &[Role::Officer, Role::Admin]);
    let change = KeyChange {
        party: id(AGENCY),
        add: Vec::from_iter((!added.is_empty()).then(|| new_key(added, role, Some(LABELS[0])))),
        revoke: Vec::from_iter((!revoked.is_empty()).then(|| RevokedKey {
            key: public(revoked),
            reason: RevocationReason::Lost,
        })),
    };
    let voice = match choose(pick, &[true, false]) {
        true if added.is_empty() => agency_admin(),
        true => agency_admin().signed_by(&["agency admin", added]),
        false => operator_admin(),
    };
    (change.into(), voice)
}

fn agree(pick: &mut usize, ids: &[StatementId]) -> (Statement, Voice) {
    use Status::*;
    let status = choose(pick, &[InForce, Suspended, Terminated, Proposed, Declined]);
    let previous = choose(pick, &[None, ids.get(4).copied(), ids.last().copied()]);
    let agreement = Agreement {
        status,
        previous,
        reason: (!matches!(status, InForce | Proposed)).then_some(EndReason::Breach),
        ..agreement()
    };
    let voice = match choose(pick, &[true, false]) {
        true => agency_and_vendor(),
        false => agency_admin(),
    };
    (agreement.into(), voice)
}

fn unsigned(world: &World, statement: Statement, voice: &Voice, fault: Fault) -> Signed {
    let head = world.head(&voice.author);
    let payload = payload(&head, &statement);
    let mut keys = voice.keys.clone();
    match fault {
        Fault::None => {}
        Fault::Missing => drop(keys.pop()),
        Fault::Surplus => keys.push("agency service"),
        Fault::Foreign => keys = vec!["vendor admin"],
    }
    Signed {
        id: StatementId::of_payload(&payload),
        head,
        statement,
        signers: keys.into_iter().map(public).collect(),
        envelope: Envelope {
            payload,
            signatures: Vec::new(),
        },
    }
}

/// A judged statement: where and when it would stand, and the verdict.
pub(super) struct Judged {
    pub signed: Signed,
    pub index: LeafIndex,
    pub logged_at: Time,
    pub verdict: Result<Change, Refusal>,
    /// The facts before it.
    before: FactMap,
}

/// Plays `events` after the journey up to a stage.
pub(super) fn play(stage: usize, events: &[Event]) -> (World, Vec<Judged>) {
    let mut world = STAGES[stage].clone();
    let mut judged = Vec::new();
    let mut ids: Vec<StatementId> = world.history.iter().map(|(_, signed)| signed.id).collect();
    for event in events {
        world.pass(event.after * MINUTE);
        let signed = match say(&world, &ids, *event) {
            Some((statement, voice)) => unsigned(&world, statement, &voice, event.fault),
            None if world.history.is_empty() => continue,
            None => world.history[event.pick % world.history.len()].1.clone(),
        };
        let verdict = world.judge(&signed);
        judged.push(Judged {
            signed: signed.clone(),
            index: world.next(),
            logged_at: world.now,
            verdict: verdict.clone(),
            before: world.facts.clone(),
        });
        if let Ok(id) = world.log_signed(signed) {
            ids.push(id);
        }
    }
    (world, judged)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// So refused statements change nothing, and an auditor who sees only the log agrees.
    #[test]
    fn the_admitted_ones_alone_make_the_same_facts(stage in 0..BEGINNINGS, events in events()) {
        let (world, _) = play(stage, &events);
        let mut replayed = FactMap::default();
        for (i, (logged_at, signed)) in world.history.iter().enumerate() {
            let index = LeafIndex::new(i as u64);
            let change = refusal_only(judge(signed, ORIGIN, index, *logged_at, &replayed));
            replayed.apply(signed.id, index, change.expect("admitted before"));
        }
        prop_assert_eq!(replayed, world.facts);
    }

    /// Judging each statement in every batch that it could stand in, whichever statement the batch
    /// began with, covers every split of the sequence.
    #[test]
    fn how_statements_are_batched_does_not_matter(stage in 0..BEGINNINGS, events in events()) {
        let (world, judged) = play(stage, &events);
        for (start, first) in judged.iter().enumerate() {
            let mut batch = Pending::new(&first.before);
            let mut after = first.before.clone();
            let mut last = None;
            for judged in &judged[start..] {
                let Judged { signed, index, logged_at, verdict, .. } = judged;
                let again = refusal_only(judge(signed, ORIGIN, *index, *logged_at, &batch));
                prop_assert_eq!(&again, verdict);
                if let Ok(change) = again {
                    batch.apply(signed.id, *index, change);
                    after.apply(signed.id, *index, Change::new());
                    last = Some((signed.id, *index));
                }
            }
            if let Some((id, index)) = last {
                after.apply(id, index, batch.into_facts().into_iter().collect());
            }
            prop_assert_eq!(&after, &world.facts);
        }
    }

    #[test]
    fn no_admitted_course_breaks_a_promise(stage in 0..BEGINNINGS, events in events()) {
        promises(&play(stage, &events).0.history)?;
    }

    /// Whatever of an admitted course is admitted when it arrives in another order: nothing is
    /// forbidden that came in by the back door.
    #[test]
    fn no_order_of_arrival_breaks_a_promise(
        stage in 0..BEGINNINGS,
        events in events(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
    ) {
        let (world, _) = play(stage, &events);
        promises(&rearranged(&world.history, &order).history)?;
    }

    /// The same of a log with a statement of every type.
    #[test]
    fn no_order_of_a_whole_story_breaks_a_promise(
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
    ) {
        static STORY: LazyLock<World> = LazyLock::new(|| super::vectors::story().0);
        promises(&rearranged(&STORY.history, &order).history)?;
    }
}

/// What is admitted of a history if its statements arrive in another order, at the same times: each
/// two of `order` change places.
fn rearranged(history: &[(Time, Signed)], order: &[prop::sample::Index]) -> World {
    let mut world = World::at(Stage::Empty);
    let mut arriving: Vec<&Signed> = history.iter().map(|(_, signed)| signed).collect();
    for pair in order.chunks_exact(2) {
        let count = arriving.len();
        if count > 0 {
            arriving.swap(pair[0].index(count), pair[1].index(count));
        }
    }
    // What was too early may come again.
    let again = arriving.clone();
    let last = history.last().map(|(time, _)| *time);
    let times = history
        .iter()
        .map(|(time, _)| *time)
        .chain(std::iter::repeat_n(last.unwrap_or(world.now), again.len()));
    for (time, signed) in times.zip(arriving.into_iter().chain(again)) {
        world.now = time;
        let _ = world.log_signed(signed.clone());
    }
    world
}

/// What the rules promise of any log, told from the admitted statements alone, without the rules' own
/// facts.
fn promises(history: &[(Time, Signed)]) -> Result<(), TestCaseError> {
    let mut once = BTreeSet::new();
    let mut ended = BTreeSet::new();
    let mut withdrawn_requests = BTreeSet::new();
    let mut closed_requests = BTreeSet::new();
    let mut asked_by = BTreeMap::new();
    let mut idle = BTreeSet::new();
    let mut revoked = BTreeSet::<PublicKey>::new();
    for (i, (_, signed)) in history.iter().enumerate() {
        let mut first_time = |what: String| once.insert(what);
        if i + 1 < history.len() {
            prop_assert!(!matches!(signed.statement, Statement::LogClosed(_)));
        }
        prop_assert!(first_time(signed.id.to_string()));
        prop_assert!(signed.signers.is_disjoint(&revoked));
        prop_assert_eq!(
            i == 0,
            matches!(&signed.statement, Statement::Party(p) if p.party == id(OPERATOR))
        );
        match &signed.statement {
            Statement::Party(Party { party, keys, .. }) => {
                prop_assert!(first_time(party.to_string()));
                for new in keys {
                    prop_assert!(first_time(new.key.to_string()));
                    prop_assert!(signed.signers.contains(&new.key));
                }
            }
            Statement::KeyChange(change) => {
                for new in &change.add {
                    prop_assert!(first_time(new.key.to_string()));
                    prop_assert!(signed.signers.contains(&new.key));
                }
                revoked.extend(change.revoke.iter().map(|revoked| revoked.key));
            }
            Statement::PartyStatus(PartyStatus { party, status, .. }) => match status {
                StatusChange::Suspended | StatusChange::Withdrawn => {
                    idle.insert(party.clone());
                }
                StatusChange::Reinstated => {
                    idle.remove(party);
                }
                StatusChange::Confirmed => {}
            },
            Statement::RequestClosing(RequestClosing { request, outcome }) => {
                prop_assert!(closed_requests.insert(*request), "closed twice");
                if *outcome == ClosingOutcome::Withdrawn {
                    withdrawn_requests.insert(*request);
                }
            }
            Statement::Unsealing(unsealing) => {
                let opens = ["opens ", &unsealing.seal.to_string()].concat();
                prop_assert!(first_time(opens));
            }
            Statement::Erasure(erasure) => {
                let erases = ["erases ", &erasure.digest.to_string()].concat();
                prop_assert!(first_time(erases));
            }
            Statement::AccessRequest(request) => {
                prop_assert!(!idle.contains(&id(AGENCY)), "a suspended agency asks");
                prop_assert!(first_time(request.recipient.to_string()));
                prop_assert!(first_time(request.scope.to_string()));
            }
            Statement::Disclosure(disclosure) => {
                let Author::OneTimeKey(key) = signed.head.author else {
                    return Err(TestCaseError::fail("a party discloses"));
                };
                prop_assert!(first_time(key.to_string()));
                match &disclosure.request {
                    Some(request) => {
                        prop_assert!(!closed_requests.contains(request), "consent too late");
                        asked_by.insert(signed.id, *request);
                    }
                    None => {
                        prop_assert_eq!(disclosure.recipient, Audience::Public);
                        prop_assert_eq!(disclosure.clips.len(), 1, "tied to one another");
                        prop_assert_eq!(&disclosure.gives, &[DataKind::Video]);
                        prop_assert_eq!(disclosure.minutes, None);
                    }
                }
                prop_assert!(disclosure.gives.contains(&DataKind::Video));
                prop_assert_eq!(disclosure.note.is_some(), disclosure.gives.len() > 1);
                for clip in &disclosure.clips {
                    prop_assert!(first_time(clip.commitment.to_string()));
                }
            }
            Statement::Withdrawal(Withdrawal { disclosure })
            | Statement::Collection(Collection { disclosure, .. }) => {
                prop_assert!(ended.insert(*disclosure), "withdrawn or collected twice");
                if matches!(signed.statement, Statement::Collection(_)) {
                    prop_assert!(!idle.contains(&id(AGENCY)), "a suspended agency collects");
                    let asked_by = asked_by.get(disclosure);
                    prop_assert!(asked_by.is_some(), "taken from the public");
                    prop_assert!(asked_by.is_none_or(|by| !withdrawn_requests.contains(by)));
                }
            }
            Statement::CustodyReport(report) => {
                let public = |(_, other): &(Time, Signed)| {
                    other.id == report.about
                        && matches!(&other.statement, Statement::Disclosure(d) if d.request.is_none())
                };
                prop_assert!(!history.iter().any(public), "custody of what is public");
            }
            _ => {}
        }
    }
    let text = |signed: &Signed| String::from_utf8(signed.envelope.payload.clone()).unwrap();
    for (i, (_, signed)) in history.iter().enumerate() {
        let said = text(signed);
        let later = history[i..]
            .iter()
            .find(|(_, later)| said.contains(&later.id.to_string()));
        prop_assert!(later.is_none(), "it speaks of what is still to come");
    }
    Ok(())
}

/// The sequences are worth something only if they reach much. On the way: facts and their keys
/// survive being stored.
#[test]
fn random_sequences_reach_every_type_and_many_reasons() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut admitted, mut reasons) = (BTreeSet::new(), BTreeSet::new());
    let mut published = 0;
    let mut spoke = BTreeSet::new();
    let mut stored = BTreeMap::new();
    for case in 0..2000 {
        let events = events().new_tree(&mut runner).unwrap().current();
        for judged in play(case % BEGINNINGS, &events).1 {
            match judged.verdict {
                Ok(change) => {
                    admitted.insert(judged.signed.statement.name());
                    let statement = &judged.signed.statement;
                    published += u32::from(
                        matches!(statement, Statement::Disclosure(d) if d.request.is_none()),
                    );
                    spoke.insert(judged.signed.head.author.to_string());
                    for (key, fact) in change {
                        let json = serde_json::to_vec(&fact).unwrap();
                        assert_eq!(serde_json::from_slice::<Fact>(&json).unwrap(), fact);
                        let bytes = key.to_bytes();
                        assert_eq!(*stored.entry(bytes).or_insert(key.clone()), key);
                    }
                }
                Err(refusal) => drop(reasons.insert(refusal.reason)),
            }
        }
    }
    let never: BTreeSet<_> = Statement::NAMES.iter().copied().collect();
    let never: Vec<_> = never.difference(&admitted).collect();
    assert_eq!(never, [&"decision"]);
    assert!(reasons.len() >= 20, "{reasons:?}");
    assert!(
        published > 20 && reasons.contains(&Reason::TellsWho),
        "{published} {reasons:?}"
    );
    for who in [AGENCY, COURT, OPERATOR, VENDOR, WATCHDOG, "A resident"] {
        assert!(spoke.contains(who), "{who} never speaks: {spoke:?}");
    }
}
