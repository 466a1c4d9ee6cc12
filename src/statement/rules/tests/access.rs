//! Standing, seals and compelled access in courses that the rules permit.

use super::refused_access::{
    case_seal, closing, delay_opening, erasure, status, suspend, withdraw,
};
use crate::statement::facts::{DueSeals, FactsExt as _, Standing};
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::access_request::RequestKind;
use crate::statement::kinds::agreement::{Agreement, Amendment, EndReason, Status, Term};
use crate::statement::kinds::annotation::Annotation;
use crate::statement::kinds::benefit::Benefit;
use crate::statement::kinds::bulletin::Bulletin;
use crate::statement::kinds::custody_report::CustodyReport;
use crate::statement::kinds::delay_order::{DelayOrder, Delayed};
use crate::statement::kinds::demand_response::DemandResponse;
use crate::statement::kinds::erasure::{Erasure, ErasureBasis};
use crate::statement::kinds::insider_access::InsiderAccess;
use crate::statement::kinds::legal_demand::{DemandSource, LegalDemand, ProcessKind};
use crate::statement::kinds::notice::Notice;
use crate::statement::kinds::party::Party;
use crate::statement::kinds::party_status::{PartyStatus, StatusChange};
use crate::statement::kinds::release::Release;
use crate::statement::kinds::request_closing::ClosingOutcome;
use crate::statement::kinds::unsealing::Unsealing;
use crate::statement::refusal::Reason;
use crate::statement::testing::*;
use crate::statement::words::{DataKind, Day, PartyKind, Role};
use crate::tlog::tree::LeafIndex;

fn due(world: &World) -> Vec<DueSeals> {
    world.facts.seals(&id(AGENCY)).unwrap().unwrap_or_default()
}

fn standing(world: &World) -> Standing {
    world.facts.party(&id(AGENCY)).unwrap().unwrap().standing
}

#[test]
fn a_suspended_agency_still_answers_for_what_it_took_and_comes_back() {
    let mut world = World::at(Stage::Collection);
    suspend(&mut world);
    let report = CustodyReport {
        about: world.disclosure,
        ..CustodyReport::example()
    };
    world.log(report, agency_officer()).unwrap();
    world.log(case_seal(), agency_officer()).unwrap();
    let ended = Agreement {
        status: Status::Terminated,
        previous: Some(world.agreement),
        reason: Some(EndReason::Breach),
        ..agreement()
    };
    world.clone().log(ended, agency_admin()).unwrap();
    let revoked = super::refused_signers::keys(&[], &["agency second officer"]);
    world.log(revoked, agency_admin()).unwrap();
    world
        .log(status(StatusChange::Reinstated), operator_admin())
        .unwrap();
    assert_eq!(standing(&world), Standing::Live);
    world.log(world.ask(), agency_officer()).unwrap();
}

#[test]
fn a_confirmation_changes_nothing() {
    let mut world = World::at(Stage::Agency);
    let before = world.facts.party(&id(AGENCY)).unwrap();
    world
        .log(status(StatusChange::Confirmed), operator_admin())
        .unwrap();
    assert_eq!(world.facts.party(&id(AGENCY)).unwrap(), before);
}

#[test]
fn a_lost_agency_succeeds_itself_under_a_new_id() {
    let mut world = World::at(Stage::Agency);
    withdraw(&mut world);
    let successor = Party {
        keys: vec![new_key("new admin", Role::Admin, None)],
        succeeds: Some(id(AGENCY)),
        ..listed("lakeland2.example", PartyKind::Agency)
    };
    let voice = registrars("lakeland2.example", &["new admin"]);
    world.log(successor, voice).unwrap();
    let before = world.facts.party(&id(AGENCY)).unwrap().unwrap();
    assert_eq!(before.succeeded_by, Some(id("lakeland2.example")));
    let after = world.facts.party(&id("lakeland2.example")).unwrap();
    assert_eq!(after.unwrap().succeeds, Some(id(AGENCY)));
}

#[test]
fn a_successor_opens_its_predecessors_seals() {
    let mut world = World::at(Stage::Request);
    withdraw(&mut world);
    let successor = Party {
        keys: vec![new_key("new admin", Role::Admin, None)],
        succeeds: Some(id(AGENCY)),
        ..listed("lakeland2.example", PartyKind::Agency)
    };
    let voice = registrars("lakeland2.example", &["new admin"]);
    world.log(successor, voice).unwrap();
    world.pass(limits().new_key_wait_seconds());
    let voice = party("lakeland2.example", "new admin");
    world.log(case_seal(), voice).unwrap();
    assert!(due(&world).is_empty());
}

#[test]
fn a_listed_agency_registers_later() {
    let mut world = World::at(Stage::Vendor);
    world
        .log(listed(AGENCY, PartyKind::Agency), operator_admin())
        .unwrap();
    assert_eq!(standing(&world), Standing::Listed);
    world
        .log(status(StatusChange::Confirmed), operator_admin())
        .unwrap();
    let voice = registrars(AGENCY, &AGENCY_KEYS);
    world.log(agency(), voice).unwrap();
    assert_eq!(standing(&world), Standing::Live);
}

#[test]
fn each_kind_of_request_reaches_its_bounds() {
    for (kind, area, minutes, asks) in [
        (RequestKind::VideoRequest, 1_295_000, 720, DataKind::Place),
        (
            RequestKind::RequestForAssistance,
            64_750,
            15,
            DataKind::Contact,
        ),
        (RequestKind::CommunityRequest, 1, 1, DataKind::Name),
        (RequestKind::Voluntary, 1, 1, DataKind::Name),
    ] {
        let mut world = World::at(Stage::Agreement);
        let mut request = world.ask();
        request.kind = kind;
        (request.area_m2, request.window_minutes) = (area, minutes);
        (request.footage_age_days, request.asks) = (45, vec![asks, DataKind::Video]);
        world.log(request, agency_officer()).unwrap();
    }
}

#[test]
fn a_closed_request_makes_room_and_what_was_given_is_still_collected() {
    let mut world = World::at(Stage::Disclosure);
    for _ in 0..2 {
        world.log(world.ask(), agency_officer()).unwrap();
    }
    let full = world.clone().log(world.ask(), agency_officer());
    assert_eq!(full.unwrap_err().reason, Reason::TooManyOpen);
    world
        .log(closing(&world, ClosingOutcome::Answered), agency_officer())
        .unwrap();
    world.log(world.ask(), agency_officer()).unwrap();
    world.log(world.collect(), agency_officer()).unwrap();
}

#[test]
fn an_opened_seal_bars_nobody_and_an_unopened_one_does() {
    let mut world = World::at(Stage::Request);
    let mut barred = world.clone();
    barred.pass(40 * DAY);
    let refusal = barred.log(barred.ask(), agency_officer()).unwrap_err();
    assert_eq!(refusal.reason, Reason::SealOverdue);
    // Opened late, it bars no more.
    barred.log(case_seal(), agency_officer()).unwrap();
    barred.log(barred.ask(), agency_officer()).unwrap();
    world.log(case_seal(), operator_officer()).unwrap();
    assert!(due(&world).is_empty());
    world.pass(40 * DAY);
    world.log(world.ask(), agency_officer()).unwrap();
}

#[test]
fn a_court_puts_an_opening_off_again_and_again() {
    let mut world = World::at(Stage::Request).with_court();
    for days in [80, 90, 90] {
        let order = delay_opening(&world, days);
        let until = order.until.clone();
        world.log(order, clerk()).unwrap();
        assert_eq!(
            due(&world),
            [DueSeals {
                open_by: until,
                count: 1
            }]
        );
        world.pass(89 * DAY);
    }
    world.log(world.ask(), agency_officer()).unwrap();
}

#[test]
fn the_operator_enters_a_courts_paper() {
    let mut world = World::at(Stage::Request);
    let demand = world.log(world.demand(), agency_officer()).unwrap();
    let order = DelayOrder {
        document: Some(attached("order")),
        ..delay_opening(&world, 40)
    };
    world.log(order, operator_officer()).unwrap();
    let order = DelayOrder {
        delays: Delayed::Notice,
        seal: None,
        demand: Some(demand),
        document: Some(attached("second order")),
        ..delay_opening(&world, 40)
    };
    let until = order.until.clone();
    world.log(order, operator_officer()).unwrap();
    let fact = world.facts.demand(&LeafIndex::new(7)).unwrap().unwrap();
    assert_eq!(fact.notice_after, Some(until));
}

#[test]
fn an_erased_seal_is_due_at_once_unless_a_court_ordered_it() {
    let mut world = World::at(Stage::Request).with_court();
    let mut ordered = world.clone();
    world
        .log(erasure("case number 6"), operator_admin())
        .unwrap();
    let today = Day::of(world.now);
    assert_eq!(due(&world)[0].open_by, today);
    world.now = today.end().plus_seconds(7 * DAY + MINUTE);
    let refusal = world.log(world.ask(), agency_officer()).unwrap_err();
    assert_eq!(refusal.reason, Reason::SealOverdue);
    // Whoever kept the opening can open it still.
    world.log(case_seal(), agency_officer()).unwrap();
    world.log(world.ask(), agency_officer()).unwrap();

    let order = LegalDemand {
        process: ProcessKind::CourtOrder,
        ..ordered.demand()
    };
    let order = ordered.log(order, clerk()).unwrap();
    let erasure = Erasure {
        basis: ErasureBasis::CourtOrder,
        order: Some(order),
        ..erasure("case number 6")
    };
    ordered.log(erasure, operator_admin()).unwrap();
    assert!(due(&ordered).is_empty());
    ordered.log(case_seal(), agency_officer()).unwrap();
    assert!(due(&ordered).is_empty());
}

#[test]
fn an_agreements_document_is_erased_by_all_its_parties_and_the_operator() {
    let mut world = World::at(Stage::Agency);
    let agreement = Agreement {
        document: Some(attached("contract")),
        ..agreement()
    };
    world.log(agreement, agency_and_vendor()).unwrap();
    let all = together(
        &[AGENCY, VENDOR, OPERATOR],
        &["agency admin", "vendor admin", "operator admin"],
    );
    world.log(erasure("contract"), all).unwrap();
    let fact = world.facts.digest(&attached("contract")).unwrap();
    assert!(fact.unwrap().erased.is_some());
}

#[test]
fn what_is_compelled_is_entered_by_every_side() {
    let mut world = World::at(Stage::Agency).with_court();
    let demand = world.log(world.demand(), agency_officer()).unwrap();
    for (source, voice) in [
        (DemandSource::Signed, clerk()),
        (DemandSource::Paper, operator_officer()),
        (DemandSource::Register, operator_admin()),
    ] {
        let demand = LegalDemand {
            source,
            ..world.demand()
        };
        world.log(demand, voice).unwrap();
    }
    let upon_vendor = LegalDemand {
        upon: Some(id(VENDOR)),
        ..world.demand()
    };
    let upon_vendor = world.log(upon_vendor, agency_officer()).unwrap();
    let response = |demand| DemandResponse {
        demand,
        ..DemandResponse::example()
    };
    world
        .log(response(Some(demand)), operator_officer())
        .unwrap();
    world
        .log(response(Some(upon_vendor)), party(VENDOR, "vendor admin"))
        .unwrap();
    world
        .log(response(None), party(VENDOR, "vendor admin"))
        .unwrap();
    let notice = Notice {
        demand,
        ..Notice::example()
    };
    world.log(notice, operator_officer()).unwrap();
    let custody = CustodyReport {
        about: demand,
        ..CustodyReport::example()
    };
    world.log(custody, agency_officer()).unwrap();
}

#[test]
fn reports_are_admitted_from_all_who_may_speak() {
    let mut world = World::at(Stage::Agreement);
    let about = world.agreement;
    let dispute = Annotation {
        about,
        ..Annotation::example()
    };
    world.log(dispute, agency_officer()).unwrap();
    world
        .log(InsiderAccess::example(), operator_officer())
        .unwrap();
    world
        .log(InsiderAccess::example(), party(VENDOR, "vendor admin"))
        .unwrap();
    world.log(Release::example(), operator_admin()).unwrap();
    let alert = Bulletin {
        expires: world.now.cut_to_hour().plus_seconds(30 * DAY),
        ..Bulletin::example()
    };
    world.log(alert, agency_officer()).unwrap();
    let suspended = PartyStatus {
        party: id(VENDOR),
        ..status(StatusChange::Suspended)
    };
    world.log(suspended, operator_admin()).unwrap();
}

#[test]
fn terms_in_force_follow_from_the_differences() {
    let term = |product: &str| Term::Promotion {
        bound: id(AGENCY),
        product: product.parse().unwrap(),
    };
    let mut world = World::at(Stage::Agency);
    let first = Agreement {
        terms: vec![term("app"), term("camera")],
        ..agreement()
    };
    let first_index = world.next();
    world.agreement = world.log(first, agency_and_vendor()).unwrap();
    let amended = Agreement {
        previous: Some(world.agreement),
        amendment: Some(Amendment {
            add: vec![term("map")],
            remove: vec![term("app")],
        }),
        ..agreement()
    };
    world.agreement = world.log(amended.clone(), agency_and_vendor()).unwrap();
    let in_force = |world: &World| world.facts.terms(&first_index).unwrap().unwrap();
    assert_eq!(in_force(&world), [term("camera"), term("map")]);
    // What is not in force cannot be removed.
    let again = Agreement {
        previous: Some(world.agreement),
        ..amended
    };
    let refusal = world.log(again, agency_and_vendor()).unwrap_err();
    assert_eq!(refusal.member, "/amendment/remove/0");
    for (status, left) in [
        (Status::Suspended, 2),
        (Status::InForce, 2),
        (Status::Terminated, 0),
    ] {
        let ends = status != Status::InForce;
        let step = Agreement {
            status,
            previous: Some(world.agreement),
            reason: ends.then_some(EndReason::LegalReview),
            ..agreement()
        };
        world.agreement = world.log(step, agency_and_vendor()).unwrap();
        assert_eq!(in_force(&world).len(), left);
    }
}

#[test]
fn one_side_confirms_what_the_other_reports() {
    let mut world = World::at(Stage::Agency);
    let reported = world
        .log(Benefit::example(), party(VENDOR, "vendor admin"))
        .unwrap();
    let confirms = Benefit {
        confirms: Some(reported),
        ..Benefit::example()
    };
    let own = world.log(confirms.clone(), party(VENDOR, "vendor admin"));
    assert_eq!(own.unwrap_err().reason, Reason::WrongReference);
    world.log(confirms, agency_officer()).unwrap();
}

/// What the opening of a seal is published by names the very seal.
#[test]
fn an_unsealing_names_seal_and_opening() {
    let plain = Unsealing::example().plain("lakelandgov.example");
    assert!(
        plain.contains(&Unsealing::example().seal.to_string()),
        "{plain}"
    );
}
