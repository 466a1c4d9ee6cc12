//! Every attack, refused with its own reason, over a log of real statements.

mod publish;

use super::super::ledger;
use super::*;
use crate::encoding::base64;
use crate::reader::follower::Entry;
use crate::statement::facts::FactsExt as _;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::agreement::EndReason;
use crate::statement::kinds::erasure::Erasure;
use crate::statement::kinds::key_change::{KeyChange, RevocationReason, RevokedKey};
use crate::statement::kinds::log_closed::ClosingReason;
use crate::statement::kinds::party_status::PartyStatus;
use crate::statement::kinds::request_closing::{ClosingOutcome, RequestClosing};
use crate::statement::kinds::withdrawal::Withdrawal;
use crate::statement::scope::{Position, Ring};
use crate::statement::sealed::AttachmentValue;
use crate::statement::testing::*;
use crate::statement::{Signed, Statement};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::cosignature::Cosigner;
use crate::tlog::hash::leaf_hash;
use crate::tlog::note::LogSigner;
use crate::tlog::policy::{MAX_AGE, MAX_AHEAD, PolicyLog, PolicyWitness};
use crate::wire::statements::BundledAttachment;

/// A square of about 200 × 200 m.
fn scope(now: Time) -> Scope {
    let at = |lat, lon| Position::new(lon, lat).unwrap();
    let (south, north, west, east) = (2_803_800, 2_803_980, -8_195_000, -8_194_800);
    let ring = vec![
        at(south, west),
        at(south, east),
        at(north, east),
        at(north, west),
        at(south, west),
    ];
    Scope {
        ring: Ring::new(ring).unwrap(),
        from: now.plus_seconds(-3 * HOUR),
        until: now.plus_seconds(-2 * HOUR),
    }
}

fn attachment(bytes: &[u8], media_type: &str, salt: u8) -> (SealDigest, BundledAttachment) {
    let value = AttachmentValue {
        sha256: Digest::of(bytes),
        size: bytes.len() as u64,
        media_type: media_type.parse().unwrap(),
    };
    let opening = Opening::attachment(&[salt; 16], &value).unwrap();
    let bundled = BundledAttachment {
        opening: opening.encode().to_owned(),
        data: base64(bytes),
    };
    (opening.digest(), bundled)
}

/// A log with a genuine request, and its attachments.
fn asked() -> (World, BundledRequest) {
    asked_with(|_| (), &[])
}

/// The same, altered before it is signed; with another message.
fn asked_with(alter: impl FnOnce(&mut AccessRequest), message: &[u8]) -> (World, BundledRequest) {
    let mut world = World::at(Stage::Batch);
    let geojson = scope(world.now).to_geojson();
    let (scope, bundled_scope) = attachment(geojson.as_bytes(), "application/geo+json", 1);
    let (message, bundled_message) = attachment(message, "text/plain", 2);
    let mut request = AccessRequest {
        scope,
        message: Some(message),
        ..world.ask()
    };
    alter(&mut request);
    world.request = world.log(request, agency_officer()).unwrap();
    let bundled = BundledRequest {
        id: world.request,
        attachments: vec![bundled_scope, bundled_message],
    };
    (world, bundled)
}

fn entry(world: &World, index: usize) -> Entry {
    let (logged_at, signed) = world.history[index].clone();
    Entry {
        index: LeafIndex::new(index as u64),
        logged_at,
        signed,
    }
}

fn claim_at(world: &World, index: usize) -> Claim {
    let mut claim = ledger::claim(&world.facts, &entry(world, index))
        .unwrap()
        .unwrap();
    claim.limits = Some(limits());
    claim
}

fn index_of(world: &World, id: &StatementId) -> usize {
    world
        .history
        .iter()
        .position(|(_, signed)| signed.id == *id)
        .unwrap()
}

fn claim(world: &World) -> Claim {
    claim_at(world, index_of(world, &world.request))
}

struct Log {
    signer: LogSigner,
    witness: Cosigner,
    policy: Policy,
}

fn log() -> Log {
    let signer = LogSigner::new(ORIGIN.parse().unwrap(), key("log"));
    let witness = Cosigner::new("witness.example".parse().unwrap(), key("witness"));
    let policy_log = PolicyLog {
        key: signer.verifier(),
        url: None,
    };
    let one = PolicyWitness {
        name: "w1".to_owned(),
        key: witness.verifier(),
        url: None,
    };
    let policy = Policy::of(vec![policy_log], vec![one], 1).unwrap();
    Log {
        signer,
        witness,
        policy,
    }
}

impl Log {
    /// A checkpoint of `size` entries with the root of one leaf.
    fn note(&self, size: u64, leaf: &[u8], cosigned_at: Option<Time>) -> Vec<u8> {
        let checkpoint = Checkpoint {
            origin: ORIGIN.parse().unwrap(),
            size: TreeSize::new(size),
            root: leaf_hash(leaf),
        };
        let mut note = checkpoint.sign(&self.signer);
        let cosignature = cosigned_at.map(|time| self.witness.cosign(&checkpoint, time));
        note.signatures.extend(cosignature);
        note.to_bytes()
    }

    fn seen(&self, size: usize, cosigned_at: Time) -> Seen {
        Seen {
            size: TreeSize::new(size as u64),
            note: self.note(size as u64, b"", Some(cosigned_at)),
            cosigned_at,
            witnesses: vec!["w1".to_owned()],
            closed: None,
        }
    }

    fn now<'a>(&'a self, seen: &'a Seen, time: Time) -> Now<'a> {
        Now {
            time,
            policy: &self.policy,
            seen: Some(seen),
        }
    }
}

#[test]
fn what_the_witnesses_said_too_long_ago_does_not_count() {
    let (log, then) = (log(), "2019-07-31T14:00:00Z".parse::<Time>().unwrap());
    let seen = log.seen(5, then);
    let at = |seconds| {
        log.now(&seen, then.plus_seconds(seconds))
            .check_fresh()
            .map(|_| ())
    };
    assert_eq!(at(0), Ok(()));
    assert_eq!(at(MAX_AGE), Ok(()));
    assert_eq!(at(-MAX_AHEAD), Ok(()));
    assert!(matches!(at(MAX_AGE + 1), Err(Fault::Stale(_))));
    assert!(matches!(at(-MAX_AHEAD - 1), Err(Fault::Stale(_))));
    // A witness was dropped.
    let dropped = Seen {
        note: log.note(5, b"", None),
        ..seen.clone()
    };
    let checked = log.now(&dropped, then).check_fresh();
    assert!(matches!(checked, Err(Fault::Stale(_))));
    let forged = Seen {
        note: b"no checkpoint".to_vec(),
        ..seen.clone()
    };
    let checked = log.now(&forged, then).check_fresh();
    assert!(matches!(checked, Err(Fault::Checkpoint(_))));
    let none = Now {
        seen: None,
        ..log.now(&seen, then)
    };
    assert_eq!(none.check_fresh(), Err(Fault::NoCheckpoint));
}

#[test]
fn a_genuine_request_shows_what_it_asks() {
    let (world, bundled) = asked_with(|_| (), "We look for a burglar.\nThank you.".as_bytes());
    let claim = claim(&world);
    assert_eq!(check_request(&claim), Ok(()));
    let asked = check_attachments(&claim, Some(&bundled)).unwrap();
    assert_eq!(asked.scope, scope(world.now));
    assert_eq!(asked.message.unwrap(), "We look for a burglar.\nThank you.");
}

#[test]
fn a_message_cannot_paint_over_what_the_device_says() {
    let (world, bundled) = asked_with(|_| (), "a\u{1b}[2Jb\u{202e}c\r\u{7f}d".as_bytes());
    let asked = check_attachments(&claim(&world), Some(&bundled)).unwrap();
    assert_eq!(asked.message.unwrap(), "a[2Jbcd");
    for bad in [&[0xff, 0xfe][..], &[b'a'; MAX_MESSAGE + 1]] {
        let (world, bundled) = asked_with(|_| (), bad);
        let checked = check_attachments(&claim(&world), Some(&bundled));
        assert!(matches!(checked, Err(Fault::Unreadable("message", _))));
    }
}

#[test]
fn what_is_too_long_is_not_the_servers_to_give() {
    let (world, mut bundled) = asked_with(|_| (), &[b'a'; MAX_MESSAGE + 1]);
    bundled.attachments[1].data = String::new();
    let checked = check_attachments(&claim(&world), Some(&bundled));
    assert!(matches!(checked, Err(Fault::Unreadable("message", _))));
    // No more than one byte less is left out with that excuse.
    let (world, mut bundled) = asked_with(|_| (), &[b'a'; MAX_MESSAGE]);
    assert!(check_attachments(&claim(&world), Some(&bundled)).is_ok());
    bundled.attachments[1].data = String::new();
    let checked = check_attachments(&claim(&world), Some(&bundled));
    assert_eq!(checked, Err(Fault::Swapped("message")));
}

#[test]
fn a_bundle_lacks_only_what_nobody_can_answer() {
    let (world, _) = asked();
    let claim = claim(&world);
    assert_eq!(check_bundled(&claim), Ok(()));
    for standing in [Some(Standing::Suspended), Some(Standing::Withdrawn), None] {
        let other = Claim {
            standing,
            ..claim.clone()
        };
        let fault = Fault::NotInStanding(claim.agency.clone());
        assert_eq!(check_bundled(&other), Err(fault));
    }
    let mut closed = claim;
    let at = LeafIndex::new(99);
    closed.fact.as_mut().unwrap().closed = Some(at);
    assert_eq!(check_bundled(&closed), Err(Fault::ClosedEarly(at)));
}

#[test]
fn what_the_rules_forbid_is_shown_as_false() {
    let (world, _) = asked();
    let forbidden = Claim {
        forbidden: Some("too-many-open: …".to_owned()),
        ..claim(&world)
    };
    let fault = check_request(&forbidden).unwrap_err();
    assert_eq!(fault, Fault::Forbidden("too-many-open: …".to_owned()));
    let unknown = Claim {
        fact: None,
        ..claim(&world)
    };
    assert!(matches!(check_request(&unknown), Err(Fault::Forbidden(_))));
}

#[test]
fn a_request_that_was_never_admitted_has_no_standing() {
    // The operator writes an entry into its log that nobody with a right to it signed.
    let (world, _) = asked();
    let mut head = world.history[index_of(&world, &world.request)]
        .1
        .head
        .clone();
    head.issued_at = head.issued_at.plus_seconds(MINUTE);
    let forged = crate::statement::sign(&head, &world.ask().into(), &[&key("operator officer")]);
    let forged = Entry {
        index: world.next(),
        logged_at: world.now,
        signed: Signed::read(&forged.to_json()).unwrap(),
    };
    let claim = ledger::claim(&world.facts, &forged).unwrap().unwrap();
    assert_eq!(claim.fact, None);
    assert!(matches!(check_request(&claim), Err(Fault::Forbidden(_))));
}

#[test]
fn a_key_that_is_not_the_agencys_own_live_officer_key_is_refused() {
    let (world, _) = asked();
    let genuine = claim(&world);
    let [signer] = &genuine.signers[..] else {
        panic!("one signs")
    };
    let with = |alter: &dyn Fn(&mut KeyFact)| {
        let mut signer = signer.clone();
        alter(&mut signer);
        check_request(&Claim {
            signers: vec![signer],
            ..genuine.clone()
        })
    };
    let agency_key = Err(Fault::AgencyKey(id(AGENCY)));
    let index = genuine.index;
    assert_eq!(with(&|_| ()), Ok(()));
    assert_eq!(with(&|key| key.party = Some(id(VENDOR))), agency_key);
    assert_eq!(with(&|key| key.party = None), agency_key);
    assert_eq!(with(&|key| key.role = Some(Role::Admin)), agency_key);
    assert_eq!(with(&|key| key.added = index), agency_key);
    assert_eq!(
        with(&|key| key.usable_from = world.now.plus_seconds(1)),
        agency_key
    );
    assert_eq!(with(&|key| key.revoked = Some(index)), agency_key);
    // What comes later does not change what was said before.
    let later = LeafIndex::new(index.as_u64() + 1);
    assert_eq!(with(&|key| key.revoked = Some(later)), Ok(()));
    for signers in [vec![], vec![signer.clone(), signer.clone()]] {
        let claim = Claim {
            signers,
            ..genuine.clone()
        };
        assert_eq!(check_request(&claim), agency_key);
    }
}

#[test]
fn a_key_revoked_after_the_request_leaves_it_genuine() {
    let (mut world, _) = asked();
    let change = KeyChange {
        party: id(AGENCY),
        add: Vec::new(),
        revoke: vec![RevokedKey {
            key: public("agency officer"),
            reason: RevocationReason::HolderLeft,
        }],
    };
    world.log(change, agency_admin()).unwrap();
    let claim = claim(&world);
    assert!(claim.signers[0].revoked.is_some());
    assert_eq!(check_request(&claim), Ok(()));
}

#[test]
fn without_an_agreement_nobody_asks() {
    let (world, _) = asked();
    let genuine = claim(&world);
    let with = |alter: &dyn Fn(&mut AgreementFact)| {
        let mut claim = genuine.clone();
        alter(claim.agreement.as_mut().unwrap());
        check_request(&claim)
    };
    let none = Err(Fault::NoAgreement(id(AGENCY)));
    assert_eq!(with(&|a| a.status = Status::Proposed), none);
    assert_eq!(with(&|a| a.status = Status::Terminated), none);
    assert_eq!(
        with(&|a| a.parties = vec![id(VENDOR), id("other.example")]),
        none
    );
    assert_eq!(
        with(&|a| a.parties = vec![id(AGENCY), id("other.example")]),
        none
    );
    assert_eq!(with(&|a| a.parties = vec![id(AGENCY)]), none);
    let bare = Claim {
        agreement: None,
        ..genuine.clone()
    };
    assert_eq!(check_request(&bare), none);
    let lawless = Claim {
        limits: None,
        ..genuine
    };
    assert_eq!(check_request(&lawless), none);
}

#[test]
fn an_agreement_that_ended_later_does_not_undo_the_request() {
    let (mut world, _) = asked();
    let ended = crate::statement::kinds::agreement::Agreement {
        status: Status::Terminated,
        previous: Some(world.agreement),
        reason: Some(EndReason::CouncilVote),
        document: None,
        ..agreement()
    };
    world.log(ended, agency_admin()).unwrap();
    assert_eq!(check_request(&claim(&world)), Ok(()));
}

#[test]
fn what_is_outside_the_limits_is_refused() {
    let (world, _) = asked();
    let genuine = claim(&world);
    let with = |alter: &dyn Fn(&mut Limits)| {
        let mut claim = genuine.clone();
        alter(claim.limits.as_mut().unwrap());
        check_request(&claim)
    };
    let body = &genuine.body;
    let fault = |found, alter: &dyn Fn(&mut Limits)| match with(alter) {
        Err(Fault::OutsideLimits { found: f, most, .. }) => {
            assert_eq!((f, most), (found, found - 1))
        }
        other => panic!("{other:?}"),
    };
    let (area, window, age) = (body.area_m2, body.window_minutes, body.footage_age_days);
    fault(area, &|limits| limits.area_m2 = area - 1);
    fault(window, &|limits| limits.window_minutes = window - 1);
    fault(age, &|limits| limits.footage_age_days = age - 1);
}

#[test]
fn another_recipient_than_the_logs_is_refused() {
    let (world, _) = asked();
    let genuine = claim(&world);
    let mut swapped = genuine.clone();
    swapped.body.recipient = recipient("somebody else");
    assert_eq!(check_request(&swapped), Err(Fault::RecipientSwapped));
    let reused = Claim {
        recipient_seen: Some(LeafIndex::new(1)),
        ..genuine
    };
    assert_eq!(check_request(&reused), Err(Fault::RecipientSwapped));
}

#[test]
fn attachments_are_the_very_ones_in_the_log() {
    let (world, bundled) = asked();
    let claim = claim(&world);
    let check = |attachments: Vec<BundledAttachment>| {
        let id = bundled.id;
        check_attachments(&claim, Some(&BundledRequest { id, attachments })).map(drop)
    };
    let [scope, message] = &bundled.attachments[..] else {
        panic!("two")
    };
    assert_eq!(
        check_attachments(&claim, None).unwrap_err(),
        Fault::Withheld("scope")
    );
    assert_eq!(check(vec![]), Err(Fault::Withheld("scope")));
    assert_eq!(check(vec![message.clone()]), Err(Fault::Withheld("scope")));
    assert_eq!(check(vec![scope.clone()]), Err(Fault::Withheld("message")));
    assert_eq!(check(vec![message.clone(), scope.clone()]), Ok(()));
    let altered = BundledAttachment {
        data: base64(b"{}"),
        ..scope.clone()
    };
    assert_eq!(
        check(vec![altered, message.clone()]),
        Err(Fault::Swapped("scope"))
    );
    let (_, other) = attachment(b"another", "text/plain", 3);
    assert_eq!(
        check(vec![scope.clone(), other]),
        Err(Fault::Swapped("message"))
    );
    let nonsense = BundledAttachment {
        opening: "?".to_owned(),
        data: "?".to_owned(),
    };
    assert_eq!(check(vec![nonsense]), Err(Fault::Swapped("scope")));
}

#[test]
fn a_scope_that_asks_for_more_than_the_log_was_told_is_false() {
    let found = scope("2019-07-31T14:00:00Z".parse().unwrap())
        .ring
        .bounding_area_m2() as u32;
    let (world, bundled) = asked_with(|request| request.area_m2 = found - 1, &[]);
    let checked = check_attachments(&claim(&world), Some(&bundled));
    let area = ScopeError::Area {
        found: found.into(),
        said: found - 1,
    };
    assert_eq!(checked.unwrap_err(), Fault::ScopeTooLarge(area));
    let (world, bundled) = asked_with(|request| request.window_minutes = 59, &[]);
    let checked = check_attachments(&claim(&world), Some(&bundled));
    let minutes = ScopeError::Minutes {
        found: 60,
        said: 59,
    };
    assert_eq!(checked.unwrap_err(), Fault::ScopeTooLarge(minutes));
    let (scope, nonsense) = attachment(b"{}", "application/geo+json", 9);
    let (world, mut bundled) = asked_with(|request| request.scope = scope, &[]);
    bundled.attachments[0] = nonsense;
    let checked = check_attachments(&claim(&world), Some(&bundled));
    assert!(matches!(checked, Err(Fault::Unreadable("scope", _))));
}

fn batch_fact() -> BatchFact {
    BatchFact {
        root: BATCH.root(),
        size: 64,
    }
}

/// These headers, and no note.
fn prepared(headers: &[&[u8]]) -> Prepared {
    Prepared {
        headers: headers.iter().map(|header| header.to_vec()).collect(),
        note: None,
    }
}

/// The consent that an honest device would give in this world.
fn consent(world: &World) -> Disclosure {
    Disclosure {
        recipient: Audience::Agency(claim(world).body.recipient),
        ..world.consent(7)
    }
}

#[test]
fn a_consent_gives_what_was_asked_to_whom_it_was_asked_for() {
    let (world, _) = asked();
    let (log, claim) = (log(), claim(&world));
    let seen = log.seen(world.history.len(), world.now);
    let genuine = consent(&world);
    let at = |time, disclosure: &Disclosure, fact: Option<BatchFact>, spent| {
        let now = log.now(&seen, time);
        check_consent(
            &claim,
            disclosure,
            &[(fact, spent)],
            &prepared(&[b"header"]),
            &now,
        )
    };
    let check = |disclosure: &Disclosure| at(world.now, disclosure, Some(batch_fact()), false);
    assert_eq!(check(&genuine), Ok(()));
    let with = |alter: &dyn Fn(&mut Disclosure)| {
        let mut disclosure = genuine.clone();
        alter(&mut disclosure);
        check(&disclosure)
    };
    let swapped = Err(Fault::RecipientSwapped);
    let other = Audience::Agency(recipient("somebody else"));
    assert_eq!(with(&|d| d.recipient = other), swapped);
    assert_eq!(with(&|d| d.recipient = Audience::Public), swapped);
    assert_eq!(with(&|d| d.request = Some(world.agreement)), swapped);
    assert_eq!(with(&|d| d.request = None), swapped);
    let unasked = Err(Fault::NotAsked(DataKind::Contact));
    assert_eq!(
        with(&|d| d.gives = vec![DataKind::Contact, DataKind::Video]),
        unasked
    );
    let without_video = Err(Fault::WithoutVideo);
    assert_eq!(with(&|d| d.gives = vec![DataKind::Time]), without_video);
    assert_eq!(with(&|d| d.gives.clear()), without_video);
    assert_eq!(
        with(&|d| d.clips[0].header = Digest::of("another")),
        Err(Fault::Header)
    );
    assert_eq!(with(&|d| d.clips[0].index += 1), Err(Fault::NotAnchored));
    assert_eq!(with(&|d| d.clips.clear()), Err(Fault::Header));
    assert_eq!(
        at(world.now, &genuine, None, false),
        Err(Fault::NotAnchored)
    );
    assert_eq!(
        at(world.now, &genuine, Some(batch_fact()), true),
        Err(Fault::Spent)
    );
}

#[test]
fn a_consent_needs_fresh_knowledge_and_an_open_genuine_request() {
    let (world, _) = asked();
    let (log, claim) = (log(), claim(&world));
    let genuine = consent(&world);
    let (batches, ready) = ([(Some(batch_fact()), false)], prepared(&[b"header"]));
    let seen = log.seen(world.history.len(), world.now);
    let late = world.now.plus_seconds(MAX_AGE + 1);
    let stale = check_consent(&claim, &genuine, &batches, &ready, &log.now(&seen, late));
    assert!(matches!(stale, Err(Fault::Stale(_))));
    let deadline = claim.body.deadline;
    let seen = log.seen(world.history.len(), deadline);
    let closed = check_consent(
        &claim,
        &genuine,
        &batches,
        &ready,
        &log.now(&seen, deadline),
    );
    assert_eq!(closed, Err(Fault::Closed(deadline)));
    let lie = Claim {
        agreement: None,
        ..claim
    };
    let seen = log.seen(world.history.len(), world.now);
    let lied = check_consent(&lie, &genuine, &batches, &ready, &log.now(&seen, world.now));
    assert_eq!(lied, Err(Fault::NoAgreement(id(AGENCY))));
}

#[test]
fn an_agency_that_may_not_act_or_has_closed_its_request_is_given_nothing() {
    let (mut world, _) = asked();
    let log = log();
    let check = |world: &World| {
        let seen = log.seen(world.history.len(), world.now);
        let batches = [(Some(batch_fact()), false)];
        let now = log.now(&seen, world.now);
        check_consent(
            &claim(world),
            &consent(world),
            &batches,
            &prepared(&[b"header"]),
            &now,
        )
    };
    let mut suspended = world.clone();
    suspended
        .log(PartyStatus::example(), operator_admin())
        .unwrap();
    assert_eq!(check(&suspended), Err(Fault::NotInStanding(id(AGENCY))));
    let at = world.next();
    let closing = RequestClosing {
        request: world.request,
        outcome: ClosingOutcome::Answered,
    };
    world.log(closing, agency_officer()).unwrap();
    assert_eq!(check(&world), Err(Fault::ClosedEarly(at)));
}

/// What came after the collection counts as long as nothing is handed over.
#[test]
fn a_suspension_or_a_withdrawn_request_stops_the_hand_over() {
    let mut world = consented();
    world.log(world.collect(), agency_officer()).unwrap();
    let ready = prepared(&[b"header"]);
    let mut suspended = world.clone();
    suspended
        .log(PartyStatus::example(), operator_admin())
        .unwrap();
    let handed_over = hand_over(&suspended, &given(&suspended), &ready);
    assert_eq!(handed_over, Err(Fault::NotInStanding(id(AGENCY))));
    let at = world.next();
    let closing = |outcome| RequestClosing {
        request: world.request,
        outcome,
    };
    let mut answered = world.clone();
    answered
        .log(closing(ClosingOutcome::Answered), agency_officer())
        .unwrap();
    assert!(hand_over(&answered, &given(&answered), &ready).is_ok());
    let withdrawn = closing(ClosingOutcome::Withdrawn);
    world.log(withdrawn, agency_officer()).unwrap();
    let handed_over = hand_over(&world, &given(&world), &ready);
    assert_eq!(handed_over, Err(Fault::ClosedEarly(at)));
}

#[test]
fn a_message_that_was_erased_is_not_withheld() {
    let (mut world, mut bundled) = asked();
    bundled.attachments.truncate(1);
    let withheld = check_attachments(&claim(&world), Some(&bundled));
    assert_eq!(withheld.unwrap_err(), Fault::Withheld("message"));
    let erasure = Erasure {
        digest: claim(&world).body.message.unwrap(),
        ..Erasure::example()
    };
    world.log(erasure, operator_admin()).unwrap();
    let asked = check_attachments(&claim(&world), Some(&bundled)).unwrap();
    assert_eq!(asked.message, None);
}

/// The log after a consent; the header is that of [`World::clip`].
fn consented() -> World {
    let (mut world, _) = asked();
    world.disclosure = world.log(consent(&world), resident("resident")).unwrap();
    world
}

fn given(world: &World) -> Given {
    let at = index_of(world, &world.disclosure);
    let index = LeafIndex::new(at as u64);
    let Statement::Disclosure(body) = world.history[at].1.statement.clone() else {
        panic!("a disclosure")
    };
    let fact = world.facts.disclosure(&index).unwrap();
    let collection = fact.as_ref().and_then(|fact| fact.collected).map(|index| {
        let (logged_at, signed) = &world.history[index.as_u64() as usize];
        let Statement::Collection(collection) = &signed.statement else {
            panic!("a collection")
        };
        Taking {
            index,
            logged_at: *logged_at,
            by: signed.head.author.to_string().parse().unwrap(),
            label: collection.label.clone(),
        }
    });
    Given {
        index,
        logged_at: world.history[at].0,
        marked: None,
        body,
        fact,
        collection,
    }
}

fn hand_over(world: &World, given: &Given, ready: &Prepared) -> Result<LeafIndex, Fault> {
    let log = log();
    let seen = log.seen(world.history.len(), world.now);
    let now = log.now(&seen, world.now);
    let taking = check_hand_over(&claim(world), given, &public("resident"), ready, &now);
    taking.map(|taking| taking.index)
}

#[test]
fn nothing_is_handed_over_before_the_collection_stands_in_the_log() {
    let mut world = consented();
    let ready = prepared(&[b"header"]);
    assert_eq!(
        hand_over(&world, &given(&world), &ready),
        Err(Fault::NotCollected)
    );
    let at = world.next();
    world.log(world.collect(), agency_officer()).unwrap();
    let given = given(&world);
    assert_eq!(hand_over(&world, &given, &ready), Ok(at));

    let (log, claim) = (log(), claim(&world));
    let seen = log.seen(world.history.len() - 1, world.now);
    let own = public("resident");
    let early = check_hand_over(&claim, &given, &own, &ready, &log.now(&seen, world.now));
    assert_eq!(early, Err(Fault::NotCollected));
    let seen = log.seen(world.history.len(), world.now);
    let late = world.now.plus_seconds(MAX_AGE + 1);
    let stale = check_hand_over(&claim, &given, &own, &ready, &log.now(&seen, late));
    assert!(matches!(stale, Err(Fault::Stale(_))));
}

/// Whatever rests on an entry that the witnesses contradict is neither genuine nor released, and what their
/// times have not reached waits.
#[test]
fn what_was_logged_at_a_false_time_releases_nothing() {
    let mut world = consented();
    world.log(world.collect(), agency_officer()).unwrap();
    let (ready, given) = (prepared(&[b"header"]), given(&world));
    let (log, genuine) = (log(), claim(&world));
    let seen = log.seen(world.history.len(), world.now);
    let now = log.now(&seen, world.now);
    let release = |claim: &Claim, given: &Given| {
        let checked = check_hand_over(claim, given, &public("resident"), &ready, &now);
        checked.map(|_| ())
    };
    assert_eq!(release(&genuine, &given), Ok(()));
    let at = genuine.index;
    for (mark, fault) in [
        (Mark::Ahead, Fault::LoggedAhead(at)),
        (Mark::Behind, Fault::LoggedBehind(at)),
    ] {
        let marked = Some((at, mark));
        let claim = Claim {
            marked,
            ..genuine.clone()
        };
        assert_eq!(check_request(&claim), Err(fault.clone()));
        assert_eq!(release(&claim, &given), Err(fault.clone()));
        let given = Given {
            marked,
            ..given.clone()
        };
        assert_eq!(release(&genuine, &given), Err(fault));
    }
    // The witnesses' clocks are five minutes and a second behind one of the three.
    let later = world.now.plus_seconds(MAX_AHEAD + 1);
    let not_yet = Err(Fault::NotYet(later));
    let request = Claim {
        logged_at: later,
        ..genuine.clone()
    };
    assert_eq!(release(&request, &given), not_yet);
    let consent = Given {
        logged_at: later,
        ..given.clone()
    };
    assert_eq!(release(&genuine, &consent), not_yet);
    let mut collection = given.clone();
    collection.collection.as_mut().unwrap().logged_at = later;
    assert_eq!(release(&genuine, &collection), not_yet);
    let answered = check_consent(
        &request,
        &self::consent(&world),
        &[(Some(batch_fact()), false)],
        &prepared(&[b"header"]),
        &now,
    );
    assert_eq!(answered, not_yet);
}

/// What was collected before the end is handed over; nothing else is, whatever a replay made of it.
#[test]
fn nothing_that_came_after_the_end_opens_a_clip() {
    let mut world = consented();
    world.log(world.collect(), agency_officer()).unwrap();
    let (log, claim, given) = (log(), claim(&world), given(&world));
    let taken = given.collection.clone().unwrap();
    let ready = prepared(&[b"header"]);
    let closed_at = |index: u64| ClosedFact {
        index: LeafIndex::new(index),
        logged_at: world.now,
        reason: ClosingReason::Discontinued,
        successor: None,
    };
    let handed_over = |end: u64| {
        let mut seen = log.seen(world.history.len() + 1, world.now);
        seen.closed = Some(closed_at(end));
        let now = log.now(&seen, world.now);
        check_hand_over(&claim, &given, &public("resident"), &ready, &now).cloned()
    };
    let at = taken.index.as_u64();
    assert_eq!(handed_over(at + 1), Ok(taken));
    assert!(matches!(handed_over(at - 1), Err(Fault::LogClosed(_))));

    let mut seen = log.seen(world.history.len(), world.now);
    seen.closed = Some(closed_at(at + 1));
    let now = log.now(&seen, world.now);
    let consent = check_consent(
        &claim,
        &consent(&world),
        &[(Some(batch_fact()), false)],
        &prepared(&[b"header"]),
        &now,
    );
    assert!(matches!(consent, Err(Fault::LogClosed(_))));
}

#[test]
fn what_was_taken_back_first_is_not_handed_over() {
    let mut world = consented();
    let disclosure = world.disclosure;
    world
        .log(Withdrawal { disclosure }, resident("resident"))
        .unwrap();
    let ready = prepared(&[b"header"]);
    let withdrawn = given(&world);
    assert_eq!(hand_over(&world, &withdrawn, &ready), Err(Fault::Withdrawn));
    // Even if the rules were wrong, and let a collection follow.
    let index = world.next();
    let followed = Given {
        collection: Some(Taking {
            index,
            logged_at: world.now,
            by: id(AGENCY),
            label: LABELS[0].parse().unwrap(),
        }),
        fact: withdrawn.fact.clone().map(|fact| DisclosureFact {
            collected: Some(index),
            ..fact
        }),
        ..withdrawn
    };
    assert_eq!(hand_over(&world, &followed, &ready), Err(Fault::Withdrawn));
}

#[test]
fn a_hand_over_is_of_the_own_consent_to_the_agency_that_asked() {
    let mut world = consented();
    world.log(world.collect(), agency_officer()).unwrap();
    let genuine = given(&world);
    let ready = prepared(&[b"header"]);
    let with = |alter: &dyn Fn(&mut Given)| {
        let mut given = genuine.clone();
        alter(&mut given);
        hand_over(&world, &given, &ready)
    };
    let fact = |given: &mut Given| given.fact.clone().unwrap();
    let not_logged = Err(Fault::DisclosureNotLogged);
    assert_eq!(with(&|g| g.fact = None), not_logged);
    assert_eq!(
        with(&|g| g.body.request = Some(world.agreement)),
        not_logged
    );
    let other_request = |g: &mut Given| {
        let request = Some(LeafIndex::new(0));
        g.fact = Some(DisclosureFact { request, ..fact(g) });
    };
    assert_eq!(with(&other_request), not_logged);
    let other_key = |g: &mut Given| {
        let key = public("somebody");
        g.fact = Some(DisclosureFact { key, ..fact(g) });
    };
    assert_eq!(with(&other_key), Err(Fault::ForeignKey));
    let other = Audience::Agency(recipient("somebody else"));
    let swapped = |g: &mut Given| g.body.recipient = other;
    assert_eq!(with(&swapped), Err(Fault::RecipientSwapped));
    let other_taker = |g: &mut Given| g.collection.as_mut().unwrap().by = id(VENDOR);
    assert_eq!(with(&other_taker), Err(Fault::WrongCollector(id(VENDOR))));
    let expires = genuine.collection.clone().unwrap().logged_at;
    assert_eq!(
        with(&|g| g.body.expires = expires),
        Err(Fault::Expired(expires))
    );
    let others: [&[&[u8]]; 3] = [&[], &[b"another"], &[b"header", b"header"]];
    for headers in others {
        let ready = prepared(headers);
        assert_eq!(hand_over(&world, &genuine, &ready), Err(Fault::Header));
    }
}

/// The one consent, and what is prepared for it, with a note that tells the time.
fn consent_with_note(world: &World) -> (Disclosure, Prepared) {
    let mut disclosure = consent(world);
    let text = br#"{"time":["at nine"]}"#.to_vec();
    let file = note::seal(text, &disclosure.recipient.recipient()).unwrap();
    disclosure.gives = vec![DataKind::Time, DataKind::Video];
    disclosure.note = Some(Digest::of(&file));
    let prepared = Prepared {
        note: Some(file),
        ..prepared(&[b"header"])
    };
    (disclosure, prepared)
}

/// Both checks of the gate: before the consent is signed, and before anything is handed over.
#[test]
fn a_note_is_the_one_that_is_named_and_of_the_one_form() {
    let (mut world, _) = asked();
    let (genuine, ready) = consent_with_note(&world);
    let mut logged = world.clone();
    logged.disclosure = logged.log(genuine.clone(), resident("resident")).unwrap();
    let uncollected = hand_over(&logged, &given(&logged), &ready);
    assert_eq!(uncollected, Err(Fault::NotCollected));
    world = logged.clone();
    world.log(world.collect(), agency_officer()).unwrap();
    let log = log();
    let seen = log.seen(world.history.len(), world.now);
    let now = log.now(&seen, world.now);
    let (claim, given) = (claim(&world), given(&world));
    let check = |disclosure: &Disclosure, prepared: &Prepared| {
        let batches = [(Some(batch_fact()), false)];
        let consent = check_consent(&claim, disclosure, &batches, prepared, &now);
        let given = Given {
            body: disclosure.clone(),
            ..given.clone()
        };
        let handed_over =
            check_hand_over(&claim, &given, &public("resident"), prepared, &now).map(drop);
        assert_eq!(consent, handed_over);
        consent
    };
    assert_eq!(check(&genuine, &ready), Ok(()));

    let refused = |disclosure: &Disclosure, file: Option<Vec<u8>>| {
        let prepared = Prepared {
            note: file,
            ..ready.clone()
        };
        let checked = check(disclosure, &prepared);
        assert!(matches!(checked, Err(Fault::Note(_))), "{checked:?}");
    };
    let file = ready.note.clone().unwrap();
    refused(&genuine, None);
    let another = note::seal(b"{}".to_vec(), &genuine.recipient.recipient()).unwrap();
    refused(&genuine, Some(another));
    // Named, and of another size or form.
    for other in [
        file[..file.len() - 1].to_vec(),
        [&file[..], &[0]].concat(),
        vec![0; file.len()],
    ] {
        let named = Disclosure {
            note: Some(Digest::of(&other)),
            ..genuine.clone()
        };
        refused(&named, Some(other));
    }
    // More kinds than a note is for, and none.
    let unnamed = Disclosure {
        note: None,
        ..genuine.clone()
    };
    refused(&unnamed, Some(file.clone()));
    refused(&unnamed, None);
    let video = Disclosure {
        gives: vec![DataKind::Video],
        ..genuine.clone()
    };
    refused(&video, Some(file.clone()));
    let bare = Disclosure {
        note: None,
        ..video
    };
    refused(&bare, Some(file));
}

#[test]
fn an_own_commitment_under_a_foreign_key_is_an_attack() {
    let world = World::at(Stage::Request);
    let disclosure = world.consent(7);
    let own: BTreeSet<_> = [disclosure.clips[0].commitment].into();
    let (mine, foreign) = (public("resident"), public("somebody"));
    let check = |author, own| check_own_commitments(&disclosure, author, &mine, own);
    assert_eq!(check(Some(&mine), &own), Ok(()));
    assert_eq!(check(Some(&foreign), &own), Err(Fault::ForeignKey));
    assert_eq!(check(None, &own), Err(Fault::ForeignKey));
    assert_eq!(check(Some(&foreign), &BTreeSet::new()), Ok(()));
}

/// A proof of the last statement of `world`, as the only leaf of a log.
fn proof_of(log: &Log, world: &World, cosigned_at: Option<Time>) -> (StatementId, TlogProof) {
    let (logged_at, signed) = world.history.last().unwrap();
    let leaf = Leaf {
        logged_at: *logged_at,
        envelope: signed.envelope.clone(),
    };
    let leaf = leaf.to_bytes();
    let proof = TlogProof {
        index: LeafIndex::new(0),
        hashes: Vec::new(),
        checkpoint: log.note(1, &leaf, cosigned_at),
        extra: Some(leaf),
    };
    (signed.id, proof)
}

#[test]
fn an_answer_counts_only_with_a_fresh_proof_of_this_very_statement() {
    let (world, log) = (consented(), log());
    let (id, genuine) = proof_of(&log, &world, Some(world.now));
    let check = |proof: &TlogProof, id: &StatementId, time| {
        check_logged(proof.to_text().as_bytes(), id, &log.policy, time)
    };
    assert_eq!(check(&genuine, &id, world.now), Ok(LeafIndex::new(0)));
    assert_eq!(
        check(&genuine, &world.request, world.now),
        Err(Fault::ProofOfAnother)
    );
    let late = world.now.plus_seconds(MAX_AGE + 1);
    assert!(matches!(check(&genuine, &id, late), Err(Fault::Proof(_))));
    let bare = TlogProof {
        extra: None,
        ..genuine.clone()
    };
    assert_eq!(check(&bare, &id, world.now), Err(Fault::ProofOfAnother));
    let (_, dropped) = proof_of(&log, &world, None);
    assert!(matches!(
        check(&dropped, &id, world.now),
        Err(Fault::Proof(_))
    ));
    // The leaf is right, and the checkpoint is of another tree.
    let elsewhere = TlogProof {
        checkpoint: log.note(1, b"another leaf", Some(world.now)),
        ..genuine.clone()
    };
    assert!(matches!(
        check(&elsewhere, &id, world.now),
        Err(Fault::Proof(_))
    ));
    let nonsense = check_logged(b"200 OK", &id, &log.policy, world.now);
    assert!(matches!(nonsense, Err(Fault::Proof(_))));
}
