//! Courses of events that the rules permit, up to the last minute that they do.

use super::refused_signers::keys;
use crate::statement::facts::{DueSeals, FactsExt as _};
use crate::statement::kinds::agreement::{Agreement, Instrument};
use crate::statement::kinds::disclosure::Disclosure;
use crate::statement::kinds::limits::Limits;
use crate::statement::kinds::party::Party;
use crate::statement::kinds::withdrawal::Withdrawal;
use crate::statement::refusal::Reason;
use crate::statement::testing::*;
use crate::statement::words::{Day, PartyKind, Role};

/// The area that the limits in force allow.
fn area(world: &World) -> u32 {
    (0..4)
        .map(|n| 10u32.pow(n))
        .rfind(|area| {
            let mut world = world.clone();
            let mut request = world.ask();
            request.area_m2 = *area;
            world.log(request, agency_officer()).is_ok()
        })
        .unwrap_or_default()
}

fn limits_of(area_m2: u32, notice_days: u32) -> Limits {
    Limits {
        area_m2,
        notice_minutes: notice_days * 24 * 60,
        ..limits()
    }
}

/// A ledger whose first limits allow 1 m² and give a fortnight's notice.
fn small_ledger() -> World {
    let mut world = World::at(Stage::Operator);
    world.log(limits_of(1, 14), operator_admin()).unwrap();
    world
        .log(vendor(), registrars(VENDOR, &["vendor admin"]))
        .unwrap();
    world
        .log(agency(), registrars(AGENCY, &AGENCY_KEYS))
        .unwrap();
    world.pass(limits().new_key_wait_seconds());
    world.agreement = world.log(agreement(), agency_and_vendor()).unwrap();
    world
}

fn announce(world: &mut World, area_m2: u32, notice_days: u32) {
    let limits = limits_of(area_m2, notice_days);
    world.log(limits, operator_admin()).unwrap();
}

#[test]
fn limits_hold_after_the_longer_notice() {
    let mut world = small_ledger();
    announce(&mut world, 10, 0);
    world.pass(14 * DAY - MINUTE);
    assert_eq!(area(&world), 1);
    world.pass(MINUTE);
    assert_eq!(area(&world), 10);
    // Now no notice is due: it was given notice of.
    announce(&mut world, 100, 0);
    assert_eq!(area(&world), 100);
    announce(&mut world, 1000, 20);
    world.pass(20 * DAY - MINUTE);
    assert_eq!(area(&world), 100);
    world.pass(MINUTE);
    assert_eq!(area(&world), 1000);
}

#[test]
fn a_notice_announced_shortens_nothing_yet() {
    let mut world = small_ledger();
    announce(&mut world, 10, 0);
    world.pass(14 * DAY - MINUTE);
    announce(&mut world, 100, 0);
    world.pass(MINUTE);
    assert_eq!(area(&world), 10);
    world.pass(14 * DAY - 2 * MINUTE);
    assert_eq!(area(&world), 10);
    world.pass(MINUTE);
    assert_eq!(area(&world), 100);
}

#[test]
fn later_limits_replace_those_announced_for_later() {
    let mut world = small_ledger();
    announce(&mut world, 100, 40);
    announce(&mut world, 10, 20);
    world.pass(20 * DAY);
    assert_eq!(area(&world), 10);
    world.pass(40 * DAY);
    assert_eq!(area(&world), 10);
}

#[test]
fn limits_may_be_announced_without_end_but_few_wait() {
    let mut world = small_ledger();
    for day in 0..40 {
        // Of those for the same minute, the last counts.
        announce(&mut world, 10, 14);
        announce(&mut world, 100 + day, 14);
        world.pass(DAY);
    }
    let declared = world.facts.limits(&crate::statement::facts::Whole).unwrap();
    assert_eq!(declared.unwrap().len(), 15);
}

#[test]
fn new_keys_wait_to_the_minute() {
    let mut world = World::at(Stage::Agency);
    // The stage has waited as long as it takes.
    assert!(world.clone().log(agreement(), agency_and_vendor()).is_ok());
    let change = keys(
        &[
            new_key("new admin", Role::Admin, None),
            new_key("new officer", Role::Officer, Some("detective-6")),
        ],
        &[],
    );
    let voice = agency_admin().signed_by(&["agency admin", "new admin", "new officer"]);
    world.log(change, voice).unwrap();
    world.agreement = world.log(agreement(), agency_and_vendor()).unwrap();
    // An officer of an agency long known need not wait.
    let asked = world.log(world.ask(), party(AGENCY, "new officer"));
    assert!(asked.is_ok());
    world.pass(limits().new_key_wait_seconds());
    let revoked = world.log(keys(&[], &["agency admin"]), party(AGENCY, "new admin"));
    assert!(revoked.is_ok());
}

#[test]
fn a_key_may_end_itself_while_another_stays() {
    let mut world = World::at(Stage::Agency);
    let change = keys(&[new_key("new", Role::Admin, None)], &["agency admin"]);
    let voice = agency_admin().signed_by(&["agency admin", "new"]);
    assert!(world.log(change, voice).is_ok());
}

#[test]
fn the_operator_ends_even_the_last_admin_key() {
    let mut world = World::at(Stage::Agency);
    world
        .log(keys(&[], &["agency admin"]), operator_admin())
        .unwrap();
    let refusal = world.log(agreement(), agency_and_vendor()).unwrap_err();
    assert_eq!(refusal.reason, Reason::KeyNotLive);
    let agency = world.facts.party(&id(AGENCY)).unwrap().unwrap();
    assert_eq!(agency.admin_keys, 0);
}

#[test]
fn a_key_revoked_later_leaves_the_past_alone() {
    let mut world = World::at(Stage::Disclosure);
    world
        .log(keys(&[], &["agency officer"]), operator_admin())
        .unwrap();
    let mut collection = world.collect();
    collection.label = LABELS[1].parse().unwrap();
    let taken = world.log(collection, party(AGENCY, "agency second officer"));
    assert!(taken.is_ok());
}

#[test]
fn the_declaration_of_no_agreement_opens_the_ledger() {
    for (other, key) in [(OPERATOR, "operator admin"), (VENDOR, "vendor admin")] {
        let mut world = World::at(Stage::Agency);
        let none = Agreement {
            instrument: Instrument::None,
            ..agreement()
        };
        let voice = together(&[AGENCY, other], &["agency admin", key]);
        world.agreement = world.log(none, voice).unwrap();
        assert!(world.log(world.ask(), agency_officer()).is_ok());
    }
}

/// The limits may name, by mistake, an agency among the vendors: it is not its own other party.
#[test]
fn an_agency_named_as_a_vendor_still_needs_another_party() {
    let mut world = World::at(Stage::Operator);
    let vendors = vec![id(VENDOR), id(AGENCY)];
    world
        .log(
            Limits {
                vendors,
                ..limits()
            },
            operator_admin(),
        )
        .unwrap();
    world
        .log(agency(), registrars(AGENCY, &AGENCY_KEYS))
        .unwrap();
    let watchdog = Party {
        keys: vec![new_key("watchdog admin", Role::Admin, None)],
        ..listed("watchdog.example", PartyKind::Watchdog)
    };
    let voice = registrars("watchdog.example", &["watchdog admin"]);
    world.log(watchdog, voice).unwrap();
    world.pass(limits().new_key_wait_seconds());
    let voice = together(
        &[AGENCY, "watchdog.example"],
        &["agency admin", "watchdog admin"],
    );
    world.agreement = world.log(agreement(), voice).unwrap();
    let refusal = world.log(world.ask(), agency_officer()).unwrap_err();
    assert_eq!(refusal.reason, Reason::NoAgreement);
}

#[test]
fn requests_reach_the_limits_and_not_past_them() {
    let mut world = World::at(Stage::Agreement);
    for deadline in [DAY, 2 * DAY, 14 * DAY] {
        let mut request = world.ask();
        request.area_m2 = limits().area_m2;
        request.window_minutes = limits().window_minutes;
        request.footage_age_days = limits().footage_age_days;
        request.deadline = world.now.plus_seconds(deadline);
        request.sealed.case_number.open_by = Day::of(world.now.plus_seconds(90 * DAY));
        world.log(request, agency_officer()).unwrap();
    }
    // All 2160 minutes are used; another investigation has its own.
    let mut request = world.ask();
    request.investigation = "ab".repeat(16).parse().unwrap();
    world.log(request, agency_officer()).unwrap();
}

#[test]
fn a_request_past_its_deadline_is_open_no_more() {
    let mut world = World::at(Stage::Agreement);
    for _ in 0..3 {
        world.log(world.ask(), agency_officer()).unwrap();
    }
    world.pass(2 * DAY - MINUTE);
    let refusal = world.log(world.ask(), agency_officer()).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooManyOpen);
    world.pass(MINUTE);
    assert!(world.log(world.ask(), agency_officer()).is_ok());
}

#[test]
fn seals_bar_requests_after_seven_days_and_are_counted_by_day() {
    let mut world = World::at(Stage::Agreement);
    let today = Day::of(world.now);
    for investigation in ["aa", "bb", "cc"] {
        let mut request = world.ask();
        request.investigation = investigation.repeat(16).parse().unwrap();
        request.sealed.case_number.open_by = today.clone();
        world.log(request, agency_officer()).unwrap();
    }
    world.now = today.end().plus_seconds(7 * DAY);
    let request = world.ask();
    let later = request.sealed.case_number.open_by.clone();
    world.log(request, agency_officer()).unwrap();
    assert_eq!(
        world.facts.seals(&id(AGENCY)).unwrap().unwrap(),
        [(today, 3), (later, 1)].map(|(open_by, count)| DueSeals { open_by, count })
    );
    world.pass(MINUTE);
    let refusal = world.log(world.ask(), agency_officer()).unwrap_err();
    assert_eq!(refusal.reason, Reason::SealOverdue);
}

#[test]
fn batches_come_once_a_period() {
    let mut world = World::at(Stage::Batch);
    world.pass(HOUR);
    assert!(world.log(batch(), operator_officer()).is_ok());
}

#[test]
fn a_disclosure_is_collected_until_it_expires() {
    let mut world = World::at(Stage::Disclosure);
    world.now = world.consent(0).expires.plus_seconds(-MINUTE);
    assert!(world.log(world.collect(), agency_officer()).is_ok());
}

#[test]
fn consent_is_given_until_the_deadline_for_sixteen_clips() {
    let mut world = World::at(Stage::Request);
    world.pass(2 * DAY - MINUTE);
    let all = Disclosure {
        clips: (0..16).map(|n| world.clip(n)).collect(),
        expires: world.now.plus_seconds(180 * DAY).cut_to_hour(),
        ..world.consent(0)
    };
    assert!(world.log(all, resident("resident")).is_ok());
    // Another resident, another commitment, the same request.
    assert!(world.log(world.consent(16), resident("another")).is_ok());
}

#[test]
fn the_order_in_the_log_decides_between_withdrawal_and_collection() {
    for withdrawn_first in [true, false] {
        let mut world = World::at(Stage::Disclosure);
        let disclosure = world.disclosure;
        let withdraw =
            |world: &mut World| world.log(Withdrawal { disclosure }, resident("resident"));
        let collect = |world: &mut World| world.log(world.collect(), agency_officer());
        let (first, second) = match withdrawn_first {
            true => (withdraw(&mut world), collect(&mut world)),
            false => (collect(&mut world), withdraw(&mut world)),
        };
        assert!(first.is_ok());
        let expected = match withdrawn_first {
            true => Reason::Withdrawn,
            false => Reason::AlreadyCollected,
        };
        assert_eq!(second.unwrap_err().reason, expected);
    }
}
