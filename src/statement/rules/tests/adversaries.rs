//! Whoever means to get around the rules: at the edges of time, by other people's names, by what
//! comes between.

use crate::digest::StatementId;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::access_request::AccessRequest;
use crate::statement::kinds::agreement::Agreement;
use crate::statement::kinds::annotation::Annotation;
use crate::statement::kinds::delay_order::{DelayOrder, Delayed};
use crate::statement::kinds::demand_response::DemandResponse;
use crate::statement::kinds::disclosure::Audience;
use crate::statement::kinds::erasure::{Erasure, ErasureBasis};
use crate::statement::kinds::insider_access::InsiderAccess;
use crate::statement::kinds::key_change::{KeyChange, RevocationReason, RevokedKey};
use crate::statement::kinds::legal_demand::{LegalDemand, NationalBand};
use crate::statement::kinds::limits::Limits;
use crate::statement::kinds::notice::Notice;
use crate::statement::kinds::party::Party;
use crate::statement::kinds::party_status::{PartyStatus, StatusChange, StatusReason};
use crate::statement::kinds::unsealing::Unsealing;
use crate::statement::refusal::{Reason, Refusal};
use crate::statement::rules::seals::SUCCESSIONS;
use crate::statement::testing::*;
use crate::statement::words::{Day, DelayGround, PartyKind, RecordKind, Role};

const OTHER: &str = "polk.example";

#[track_caller]
fn refused(attempt: Result<StatementId, Refusal>, reason: Reason, member: &str) {
    let refusal = attempt.expect_err("refused");
    assert_eq!(
        (refusal.reason, refusal.member.as_str()),
        (reason, member),
        "{refusal}"
    );
}

fn status(party: &str, status: StatusChange) -> PartyStatus {
    PartyStatus {
        party: id(party),
        status,
        reason: Some(StatusReason::RulesBroken),
        domain_check: None,
    }
}

/// A name that lives as long as the test, as voices want it.
fn name(text: String) -> &'static str {
    text.leak()
}

/// An agency with one admin and one officer key, registered and ready.
fn join(world: &mut World, agency: &str, succeeds: Option<&str>) -> Result<StatementId, Refusal> {
    let keys = [
        name(format!("{agency} admin")),
        name(format!("{agency} officer")),
    ];
    let party = Party {
        keys: vec![
            new_key(keys[0], Role::Admin, None),
            new_key(keys[1], Role::Officer, Some("detective-9")),
        ],
        succeeds: succeeds.map(id),
        ..listed(agency, PartyKind::Agency)
    };
    let done = world.log(party, registrars(agency, &keys))?;
    world.pass(limits().new_key_wait_seconds());
    Ok(done)
}

/// An agency's request under an agreement of its own with the vendor.
fn ask_as(world: &mut World, agency: &str) -> Result<StatementId, Refusal> {
    world.pass(MINUTE);
    let admin = name(format!("{agency} admin"));
    let voice = together(&[agency, VENDOR], &[admin, "vendor admin"]);
    let plain = agreement();
    let agreement = world.log(
        Agreement {
            effective_on: None,
            ..plain
        },
        voice,
    )?;
    let request = AccessRequest {
        agreement,
        ..world.ask()
    };
    world.log(request, party(agency, name(format!("{agency} officer"))))
}

#[test]
fn time_ends_where_it_is_said_to() {
    let world = World::at(Stage::Request);
    let deadline = world.now.plus_seconds(2 * DAY);
    for (at, counts) in [(deadline.plus_seconds(-MINUTE), true), (deadline, false)] {
        let mut world = world.clone();
        let consent = world.consent(0);
        world.now = at;
        let answer = world.log(consent, resident("resident"));
        match counts {
            true => drop(answer.unwrap()),
            false => refused(answer, Reason::RequestClosed, "/request"),
        }
    }
    let world = World::at(Stage::Disclosure);
    let expires = world.now.cut_to_hour().plus_seconds(3 * DAY);
    for (at, open) in [(expires.plus_seconds(-MINUTE), true), (expires, false)] {
        let mut world = world.clone();
        world.now = at;
        let taken = world.log(world.collect(), agency_officer());
        match open {
            true => drop(taken.unwrap()),
            false => refused(taken, Reason::Expired, "/disclosure"),
        }
    }
}

#[test]
fn a_statement_s_age_has_two_ends() {
    let world = World::at(Stage::Request);
    for (before, accepted) in [
        (-5 * MINUTE, true),
        (-6 * MINUTE, false),
        (7 * DAY, true),
        (7 * DAY + MINUTE, false),
    ] {
        let mut world = world.clone();
        let issued_at = world.now.plus_seconds(-before);
        let said = world.log_with(InsiderAccess::example(), operator_officer(), |head| {
            head.issued_at = issued_at
        });
        match accepted {
            true => drop(said.unwrap()),
            false => refused(said, Reason::WrongTime, "/issued_at"),
        }
    }
}

#[test]
fn a_key_waits_to_the_minute_and_ends_at_once() {
    let mut world = World::at(Stage::Agency);
    let add = KeyChange {
        party: id(AGENCY),
        add: vec![new_key("second admin", Role::Admin, None)],
        revoke: Vec::new(),
    };
    let voice = agency_admin().signed_by(&["agency admin", "second admin"]);
    world.log(add, voice).unwrap();
    let revoke = |key: &str| KeyChange {
        party: id(AGENCY),
        add: Vec::new(),
        revoke: vec![RevokedKey {
            key: public(key),
            reason: RevocationReason::Lost,
        }],
    };
    let second = party(AGENCY, "second admin");
    world.pass(limits().new_key_wait_seconds() - MINUTE);
    refused(
        world.log(revoke("agency officer"), second.clone()),
        Reason::KeyNotLive,
        "/signatures",
    );
    world.pass(MINUTE);
    world.log(revoke("agency admin"), second).unwrap();
    // In the very same minute.
    refused(
        world.log(revoke("agency officer"), agency_admin()),
        Reason::KeyNotLive,
        "/signatures",
    );
}

#[test]
fn a_key_is_not_added_and_revoked_in_one_breath() {
    let mut world = World::at(Stage::Agency);
    let change = KeyChange {
        party: id(AGENCY),
        add: vec![new_key("fresh", Role::Officer, None)],
        revoke: vec![RevokedKey {
            key: public("fresh"),
            reason: RevocationReason::Lost,
        }],
    };
    let voice = agency_admin().signed_by(&["agency admin", "fresh"]);
    refused(
        world.log(change, voice),
        Reason::WrongReference,
        "/revoke/0/key",
    );
    let twice = KeyChange {
        party: id(AGENCY),
        add: vec![new_key("fresh", Role::Officer, None); 2],
        revoke: Vec::new(),
    };
    let voice = agency_admin().signed_by(&["agency admin", "fresh"]);
    assert!(world.log(twice, voice).is_err());
}

#[test]
fn nobody_agrees_with_itself() {
    let mut world = World::at(Stage::Agency);
    let alone = together(&[AGENCY, AGENCY], &["agency admin"]);
    refused(world.log(agreement(), alone), Reason::BadValue, "/parties");
    // One key for both.
    let borrowed = together(&[AGENCY, VENDOR], &["agency admin"]);
    refused(
        world.log(agreement(), borrowed),
        Reason::MissingSignature,
        "/signatures",
    );
}

#[test]
fn who_is_suspended_opens_nothing_for_others() {
    let mut world = World::at(Stage::Batch);
    world
        .log(status(VENDOR, StatusChange::Suspended), operator_admin())
        .unwrap();
    refused(
        world.log(world.ask(), agency_officer()),
        Reason::PartySuspended,
        "/agreement",
    );
    world
        .log(status(VENDOR, StatusChange::Reinstated), operator_admin())
        .unwrap();
    world.log(world.ask(), agency_officer()).unwrap();
}

#[test]
fn who_takes_over_answers_for_all_before_it() {
    let mut world = World::at(Stage::Request);
    let seal = attached("case number 6");
    world
        .log(status(AGENCY, StatusChange::Withdrawn), operator_admin())
        .unwrap();
    refused(
        join(&mut world, AGENCY, Some(AGENCY)),
        Reason::PartyExists,
        "/party",
    );
    refused(
        join(&mut world, OTHER, Some(OTHER)),
        Reason::UnknownParty,
        "/succeeds",
    );
    join(&mut world, OTHER, Some(AGENCY)).unwrap();
    world
        .log(status(OTHER, StatusChange::Withdrawn), operator_admin())
        .unwrap();
    join(&mut world, "third.example", Some(OTHER)).unwrap();
    world.pass(60 * DAY);
    refused(ask_as(&mut world, "third.example"), Reason::SealOverdue, "");
    // A stranger does not open it, whatever it has taken over elsewhere.
    join(&mut world, "stranger.example", None).unwrap();
    let open = || Unsealing {
        seal,
        opening: attached("opening"),
    };
    let stranger = party("stranger.example", "stranger.example officer");
    refused(world.log(open(), stranger), Reason::WrongAuthor, "/issuer");
    world
        .log(open(), party("third.example", "third.example officer"))
        .unwrap();
    ask_as(&mut world, "third.example").unwrap();
}

#[test]
fn no_row_of_successors_is_long_enough_to_be_free() {
    let mut world = World::at(Stage::Request);
    let mut last = AGENCY.to_owned();
    for n in 0..SUCCESSIONS {
        world
            .log(status(&last, StatusChange::Withdrawn), operator_admin())
            .unwrap();
        let next = format!("agency-{n}.example");
        join(&mut world, &next, Some(&last)).unwrap();
        last = next;
    }
    world.pass(60 * DAY);
    refused(ask_as(&mut world, &last), Reason::SealOverdue, "");
    world
        .log(status(&last, StatusChange::Withdrawn), operator_admin())
        .unwrap();
    refused(
        join(&mut world, OTHER, Some(&last)),
        Reason::OutsideLimits,
        "/succeeds",
    );
}

#[test]
fn a_listed_party_is_nobody_s_to_take() {
    let mut world = World::at(Stage::Request);
    world
        .log(listed(OTHER, PartyKind::Agency), operator_admin())
        .unwrap();
    world
        .log(status(AGENCY, StatusChange::Withdrawn), operator_admin())
        .unwrap();
    // What a listed party took over, it would have forgotten when it registers.
    let heir = Party {
        succeeds: Some(id(AGENCY)),
        ..listed("heir.example", PartyKind::Agency)
    };
    refused(
        world.log(heir, operator_admin()),
        Reason::BadValue,
        "/succeeds",
    );
    let party_of = |key: &'static str, kind| Party {
        keys: vec![new_key(key, Role::Admin, None)],
        ..listed(OTHER, kind)
    };
    let taken = || party_of("thief", PartyKind::Agency);
    refused(
        world.log(taken(), party(OTHER, "thief")),
        Reason::WrongAuthor,
        "/parties",
    );
    refused(
        world.log(
            taken(),
            together(&[OTHER, VENDOR], &["thief", "vendor admin"]),
        ),
        Reason::WrongAuthor,
        "/parties",
    );
    refused(
        world.log(taken(), together(&[OTHER, OPERATOR], &["thief"])),
        Reason::MissingSignature,
        "/signatures",
    );
    let other_kind = world.log(
        party_of("thief", PartyKind::Court),
        registrars(OTHER, &["thief"]),
    );
    refused(other_kind, Reason::BadValue, "/kind");
    let seen = world.log(
        party_of("vendor admin", PartyKind::Agency),
        registrars(OTHER, &["vendor admin"]),
    );
    refused(seen, Reason::KeySeenBefore, "/keys/0/key");
    join(&mut world, OTHER, None).unwrap();
    refused(
        world.log(taken(), registrars(OTHER, &["thief"])),
        Reason::PartyExists,
        "/party",
    );
}

#[test]
fn an_attachment_belongs_to_one_statement() {
    let mut world = World::at(Stage::Disclosure);
    let shared = Annotation {
        attachments: vec![attached("scope 6")],
        ..Annotation::example()
    };
    let about = Annotation {
        about: world.request,
        ..shared
    };
    let remark = world.log(about, party(VENDOR, "vendor admin"));
    refused(remark, Reason::DigestSeenBefore, "/attachments/0");
    // Nor is one erased twice, or opened as if it were a seal.
    let erasure = Erasure {
        digest: attached("scope 6"),
        ..Erasure::example()
    };
    world.log(erasure.clone(), operator_admin()).unwrap();
    let again = Erasure {
        basis: ErasureBasis::Unlawful,
        ..erasure
    };
    refused(
        world.log(again, operator_admin()),
        Reason::Erased,
        "/digest",
    );
    let opened = Unsealing {
        seal: attached("scope 6"),
        opening: attached("x"),
    };
    refused(
        world.log(opened, agency_officer()),
        Reason::WrongReference,
        "/seal",
    );
}

#[test]
fn a_seal_is_opened_by_who_made_it() {
    let mut world = World::at(Stage::Request).with_court();
    join(&mut world, OTHER, None).unwrap();
    for voice in [
        clerk(),
        party(VENDOR, "vendor admin"),
        party(OTHER, "polk.example officer"),
    ] {
        let unsealing = Unsealing {
            seal: attached("case number 6"),
            opening: attached("opening"),
        };
        refused(world.log(unsealing, voice), Reason::WrongAuthor, "/issuer");
    }
}

#[test]
fn orders_to_wait_go_on_by_steps_alone() {
    let mut world = World::at(Stage::Request).with_court();
    let order = |world: &World, days| DelayOrder {
        seal: Some(attached("case number 6")),
        until: Day::of(world.now.plus_seconds(days * DAY)),
        ..DelayOrder::example()
    };
    let most = i64::from(limits().delay_days);
    refused(
        world.log(order(&world, most + 1), clerk()),
        Reason::OutsideLimits,
        "/until",
    );
    world.log(order(&world, most), clerk()).unwrap();
    // A second one on the same day moves nothing.
    refused(
        world.log(order(&world, most), clerk()),
        Reason::AlreadyLogged,
        "",
    );
    let other = DelayOrder {
        grounds: vec![DelayGround::Safety],
        ..order(&world, most)
    };
    refused(world.log(other, clerk()), Reason::BadValue, "/until");
    world.pass(DAY);
    world.log(order(&world, most), clerk()).unwrap();
    // What opens it is destroyed: it is due, and no paper puts that off.
    let erasure = Erasure {
        digest: attached("case number 6"),
        ..Erasure::example()
    };
    world.log(erasure, operator_admin()).unwrap();
    world.pass(DAY);
    refused(
        world.log(order(&world, most), clerk()),
        Reason::Erased,
        "/seal",
    );
    world.pass(8 * DAY);
    refused(
        world.log(world.ask(), agency_officer()),
        Reason::SealOverdue,
        "",
    );
}

#[test]
fn a_seal_bars_after_its_grace_and_not_before() {
    let mut world = World::at(Stage::Request);
    let due = Day::of(world.now.plus_seconds(30 * DAY));
    world.now = due.end().plus_seconds(7 * DAY);
    let mut later = world.clone();
    world.log(world.ask(), agency_officer()).unwrap();
    later.pass(MINUTE);
    refused(
        later.log(later.ask(), agency_officer()),
        Reason::SealOverdue,
        "",
    );
}

#[test]
fn a_court_in_no_standing_orders_nothing() {
    let mut world = World::at(Stage::Request).with_court();
    let order = |world: &World| LegalDemand {
        sealed: None,
        ..world.demand()
    };
    let live = world.log(order(&world), clerk()).unwrap();
    world
        .log(status(COURT, StatusChange::Suspended), operator_admin())
        .unwrap();
    world.pass(MINUTE);
    let idle = world.log(order(&world), clerk()).unwrap();
    let erasure = |order| Erasure {
        digest: attached("case number 6"),
        basis: ErasureBasis::CourtOrder,
        order: Some(order),
    };
    refused(
        world.log(erasure(idle), operator_admin()),
        Reason::WrongReference,
        "/order",
    );
    world.log(erasure(live), operator_admin()).unwrap();
}

#[test]
fn of_national_security_there_is_a_band_and_no_more() {
    let mut world = World::at(Stage::Agency);
    let national = world.national(NationalBand::Below250);
    let day = Day::of(world.now);
    for telling in [
        LegalDemand {
            content: true,
            records: vec![RecordKind::ClipContent],
            ..national.clone()
        },
        LegalDemand {
            records: vec![RecordKind::Account],
            ..national.clone()
        },
        LegalDemand {
            delay: vec![DelayGround::Flight],
            ..national.clone()
        },
        LegalDemand {
            answer_by: Some(day),
            ..national.clone()
        },
        LegalDemand {
            area_m2: Some(1),
            ..national.clone()
        },
    ] {
        refused(
            world.log(telling, operator_officer()),
            Reason::BadValue,
            "/received",
        );
    }
    let demand = world.log(national, operator_officer()).unwrap();
    let response = DemandResponse {
        demand: Some(demand),
        ..DemandResponse::example()
    };
    refused(
        world.log(response, operator_officer()),
        Reason::WrongReference,
        "/demand",
    );
    let notice = Notice {
        demand,
        ..Notice::example()
    };
    refused(
        world.log(notice, operator_officer()),
        Reason::WrongReference,
        "/demand",
    );
    let access = InsiderAccess {
        demand: Some(demand),
        ..InsiderAccess::example()
    };
    refused(
        world.log(access, operator_officer()),
        Reason::WrongReference,
        "/demand",
    );
    let order = DelayOrder {
        delays: Delayed::Notice,
        seal: None,
        demand: Some(demand),
        until: Day::of(world.now.plus_seconds(30 * DAY)),
        document: Some(attached("an order")),
        ..DelayOrder::example()
    };
    refused(
        world.log(order, operator_officer()),
        Reason::WrongReference,
        "/demand",
    );
}

#[test]
fn one_agency_does_not_use_up_what_another_may_ask() {
    let mut world = World::at(Stage::Request);
    join(&mut world, OTHER, None).unwrap();
    // Three are open at most: the other agency gives the same investigation, and has its own three.
    for _ in 0..3 {
        ask_as(&mut world, OTHER).unwrap();
    }
    refused(
        ask_as(&mut world, OTHER),
        Reason::TooManyOpen,
        "/investigation",
    );
    world.log(world.ask(), agency_officer()).unwrap();
}

#[test]
fn new_limits_bind_what_comes_after_them() {
    let mut world = World::at(Stage::Batch);
    let tight = Limits {
        open_requests: 1,
        retention_days: 2,
        area_m2: 1,
        notice_minutes: 0,
        ..limits()
    };
    world.log(tight, operator_admin()).unwrap();
    world.pass(i64::from(limits().notice_minutes) * MINUTE - MINUTE);
    world.request = world.log(world.ask(), agency_officer()).unwrap();
    let given = world.history.len() - 1;
    world.pass(MINUTE);
    // The open request goes on; its answers are bounded by what holds now.
    let mut consent = world.consent(0);
    consent.recipient = Audience::Agency(recipient(&format!("recipient {given}")));
    refused(
        world.log(consent.clone(), resident("resident")),
        Reason::OutsideLimits,
        "/expires",
    );
    consent.expires = world.now.cut_to_hour().plus_seconds(DAY);
    world.log(consent, resident("resident")).unwrap();
    let small = AccessRequest {
        area_m2: 1,
        ..world.ask()
    };
    refused(
        world.log(world.ask(), agency_officer()),
        Reason::OutsideLimits,
        "/area_m2",
    );
    refused(
        world.log(small, agency_officer()),
        Reason::TooManyOpen,
        "/investigation",
    );
}
