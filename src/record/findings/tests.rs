//! Each kind of finding: a course of statements that the rules admit and that gives it, and next to it
//! one that does not.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::record::accounts::{Account, Unit};
use crate::record::compelled::Match;
use crate::record::of as record;
use crate::statement::Statement;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::agreement::{Agreement, Amendment, Term};
use crate::statement::kinds::annotation::Annotation;
use crate::statement::kinds::benefit::{Benefit, BenefitKind};
use crate::statement::kinds::custody_report::{CustodyEvent, CustodyReport};
use crate::statement::kinds::delay_order::{DelayOrder, Delayed};
use crate::statement::kinds::demand_response::{DemandResponse, Outcome};
use crate::statement::kinds::disclosure::{Audience, Disclosure};
use crate::statement::kinds::erasure::{Erasure, ErasureBasis};
use crate::statement::kinds::insider_access::InsiderAccess;
use crate::statement::kinds::legal_demand::{LegalDemand, ProcessKind};
use crate::statement::kinds::notice::{Notice, NoticeState};
use crate::statement::kinds::unsealing::Unsealing;
use crate::statement::sealed::Opening;
use crate::statement::testing::*;
use crate::statement::words::{Band, Currency, Day, MinutesBand, Money, RecordKind};

mod others;

fn found(world: &World) -> Vec<Finding> {
    findings(&record(world), world.now, &no_attachments)
}

/// The codes found, each with the place in the log of what it is about.
fn codes(world: &World) -> Vec<(FindingCode, usize)> {
    let place = |id: &StatementId| {
        let mut history = world.history.iter();
        history.position(|(_, signed)| signed.id == *id).unwrap()
    };
    found(world)
        .iter()
        .map(|finding| (finding.code, place(&finding.about)))
        .collect()
}

fn usd(minor_units: u32) -> Option<Money> {
    let currency = "USD".parse().unwrap();
    Some(Money {
        currency,
        minor_units,
    })
}

fn label(text: &str) -> Option<crate::statement::words::Label> {
    Some(text.parse().unwrap())
}

/// 10 dollars a download, for cameras alone, and 15 cameras: agreed the day it is logged.
fn agreed() -> World {
    let mut world = World::at(Stage::Agency);
    let (giver, receiver) = (id(VENDOR), id(AGENCY));
    let terms = vec![
        Term::CreditPerDownload {
            giver: giver.clone(),
            receiver: receiver.clone(),
            amount: usd(1000).unwrap(),
            usable_for: "doorbell-camera".parse().unwrap(),
        },
        Term::Equipment {
            giver,
            receiver,
            item: "doorbell-camera".parse().unwrap(),
            count: 15,
            value: None,
        },
    ];
    let agreement = Agreement {
        terms,
        ..agreement()
    };
    world.agreement = world.log(agreement, agency_and_vendor()).unwrap();
    world
}

fn benefit(world: &World, kind: BenefitKind) -> Benefit {
    Benefit {
        kind,
        giver: id(VENDOR),
        receiver: id(AGENCY),
        confirms: None,
        agreement: Some(world.agreement),
        item: None,
        count: None,
        amount: None,
        downloads: None,
        effective_on: Day::of(world.now),
    }
}

fn accrued(world: &World, downloads: u32, cents: u32) -> Benefit {
    Benefit {
        amount: usd(cents),
        downloads: Some(downloads),
        ..benefit(world, BenefitKind::CreditAccrued)
    }
}

fn redeemed(world: &World, cents: u32, item: &str) -> Benefit {
    Benefit {
        amount: usd(cents),
        item: label(item),
        count: Some(1),
        ..benefit(world, BenefitKind::CreditRedeemed)
    }
}

fn cameras(world: &World, count: u32) -> Benefit {
    Benefit {
        item: label("doorbell-camera"),
        count: Some(count),
        ..benefit(world, BenefitKind::Equipment)
    }
}

fn sent_back(world: &World, count: u32) -> Benefit {
    Benefit {
        giver: id(AGENCY),
        receiver: id(VENDOR),
        kind: BenefitKind::Returned,
        ..cameras(world, count)
    }
}

#[test]
fn terms_are_told_whatever_is_reported() {
    use FindingCode::{AgencyIsPaid, GetsEquipment};
    assert_eq!(codes(&agreed()), [(AgencyIsPaid, 4), (GetsEquipment, 4)]);
    assert_eq!(codes(&World::at(Stage::Agreement)), []);
}

/// What comes after the findings on the terms.
fn more(world: &World) -> Vec<(FindingCode, usize)> {
    codes(world).split_off(2)
}

#[test]
fn benefits_as_agreed_are_no_findings_and_add_up() {
    let mut world = agreed();
    for report in [
        cameras(&world, 15),
        accrued(&world, 12, 12_000),
        redeemed(&world, 10_000, "doorbell-camera"),
        sent_back(&world, 16),
    ] {
        world.log(report, agency_officer()).unwrap();
    }
    assert_eq!(more(&world), []);
    let record = record(&world);
    let balances = Account::of(&record, Some(0)).balances();
    let credit = Unit::Credit("USD".parse().unwrap());
    let goods = Unit::Goods(label("doorbell-camera"));
    let expected = BTreeMap::from([
        ((id(AGENCY), credit.clone()), 2_000),
        ((id(VENDOR), credit), -2_000),
        ((id(AGENCY), goods.clone()), 0),
        ((id(VENDOR), goods), 0),
    ]);
    assert_eq!(balances, expected);
}

#[test]
fn benefits_beside_what_was_agreed() {
    use FindingCode::{
        BenefitWithoutAgreement, CreditMisused, CreditOffTerms, OutsideTerms, Overdrawn,
    };
    let report = |make: fn(&World) -> Benefit| {
        let mut world = agreed();
        world
            .log(accrued(&world, 12, 12_000), agency_officer())
            .unwrap();
        world.log(make(&world), agency_officer()).unwrap();
        more(&world)
    };
    assert_eq!(
        report(|w| redeemed(w, 12_001, "doorbell-camera")),
        [(Overdrawn, 6)]
    );
    assert_eq!(report(|w| redeemed(w, 100, "desk")), [(CreditMisused, 6)]);
    assert_eq!(report(|w| accrued(w, 3, 2_999)), [(CreditOffTerms, 6)]);
    assert_eq!(report(|w| cameras(w, 16)), [(OutsideTerms, 6)]);
    assert_eq!(report(|w| sent_back(w, 1)), [(Overdrawn, 6)]);
    let subsidy = |w: &World| Benefit {
        amount: usd(1),
        ..benefit(w, BenefitKind::Subsidy)
    };
    assert_eq!(report(subsidy), [(OutsideTerms, 6)]);
    let alone = |w: &World| Benefit {
        agreement: None,
        ..cameras(w, 1)
    };
    assert_eq!(report(alone), [(BenefitWithoutAgreement, 6)]);
}

#[test]
fn what_was_agreed_before_an_amendment_was_agreed() {
    let mut world = agreed();
    let was = agreement();
    let Statement::Agreement(first) = &world.history[4].1.statement else {
        panic!("an agreement");
    };
    let amended = Agreement {
        previous: Some(world.agreement),
        amendment: Some(Amendment {
            add: Vec::new(),
            remove: first.terms.clone(),
        }),
        ..was
    };
    world.log(amended, agency_and_vendor()).unwrap();
    world.log(cameras(&world, 15), agency_officer()).unwrap();
    assert_eq!(codes(&world), []);
}

#[test]
fn the_other_side_confirms_the_same_or_not() {
    let mut world = agreed();
    let report = cameras(&world, 15);
    let reported = world.log(report.clone(), agency_officer()).unwrap();
    let vendor_officer = || party(VENDOR, "vendor admin");
    let confirming = |count| Benefit {
        confirms: Some(reported),
        count: Some(count),
        ..report.clone()
    };
    world.log(confirming(15), vendor_officer()).unwrap();
    assert_eq!(more(&world), [], "posted once");
    world.log(confirming(14), vendor_officer()).unwrap();
    assert_eq!(more(&world), [(FindingCode::ConfirmationDiffers, 7)]);
    assert!(found(&world)[2].detail.contains("another count"));
}

/// A request whose case number is this.
fn ask(world: &mut World, number: &str) -> (StatementId, Opening) {
    let salt = [world.history.len() as u8; 16];
    let opening = Opening::new(&salt, "case_number", &number.into()).unwrap();
    let mut request = world.ask();
    request.sealed.case_number.digest = opening.digest();
    (world.log(request, agency_officer()).unwrap(), opening)
}

/// Unseals with these bytes, which are to be found where `attachments` are.
fn unseal(world: &mut World, seal: &Opening, published: &str) -> (SealDigest, Vec<u8>) {
    let attachment = attached(&format!("opening {}", world.history.len()));
    let unsealing = Unsealing {
        seal: seal.digest(),
        opening: attachment,
    };
    world.log(unsealing, agency_officer()).unwrap();
    (attachment, published.as_bytes().to_vec())
}

fn codes_with(world: &World, attachments: &[(SealDigest, Vec<u8>)]) -> Vec<FindingCode> {
    let read = |digest: &SealDigest| {
        let mut all = attachments.iter();
        all.find(|(known, _)| known == digest)
            .map(|(_, bytes)| bytes.clone())
    };
    let found = findings(&record(world), world.now, &read);
    found.iter().map(|finding| finding.code).collect()
}

#[test]
fn case_numbers_of_one_case_are_the_same() {
    let mut world = World::at(Stage::Batch);
    let (_, first) = ask(&mut world, "2019-001234");
    world.pass(3 * DAY);
    let (_, second) = ask(&mut world, "2019-001234");
    world.pass(3 * DAY);
    let (third, other) = ask(&mut world, "2019-009999");
    let mut published = vec![
        unseal(&mut world, &first, first.encode()),
        unseal(&mut world, &second, second.encode()),
    ];
    assert_eq!(codes_with(&world, &published), []);
    published.push(unseal(&mut world, &other, other.encode()));
    assert_eq!(
        codes_with(&world, &published),
        [FindingCode::CaseNumbersDiffer]
    );
    let read = |digest: &SealDigest| {
        let mut all = published.iter();
        all.find(|(known, _)| known == digest)
            .map(|(_, bytes)| bytes.clone())
    };
    let finding = &findings(&record(&world), world.now, &read)[0];
    assert_eq!(finding.about, third);
    assert!(!finding.detail.contains("2019"), "numbers may be erased");
    assert_eq!(codes(&world), [], "without openings nothing rests on them");
}

#[test]
fn what_does_not_open_is_misopened() {
    let mut world = World::at(Stage::Batch);
    let (_, sealed) = ask(&mut world, "2019-001234");
    let other = Opening::new(&[7; 16], "case_number", &"2019-001234".into()).unwrap();
    for published in ["", "2019-001234", other.encode(), "\u{fffd}"] {
        let mut world = world.clone();
        let attachment = unseal(&mut world, &sealed, published);
        assert_eq!(
            codes_with(&world, &[attachment]),
            [FindingCode::Misopened],
            "{published:?}"
        );
    }
    // Sealed under another name, or with nothing in it.
    for (name, value) in [
        ("reference", "2019-001234".into()),
        ("case_number", " ".into()),
        ("case_number", serde_json::Value::from(7)),
    ] {
        let mut world = World::at(Stage::Batch);
        let sealed = Opening::new(&[8; 16], name, &value).unwrap();
        let mut request = world.ask();
        request.sealed.case_number.digest = sealed.digest();
        world.log(request, agency_officer()).unwrap();
        let attachment = unseal(&mut world, &sealed, sealed.encode());
        assert_eq!(codes_with(&world, &[attachment]), [FindingCode::Misopened]);
    }
}

#[test]
fn seals_have_their_day() {
    let mut world = World::at(Stage::Request).with_court();
    let seal = attached("case number 6");
    world.pass(26 * DAY);
    assert_eq!(codes(&world), []);
    let mut put_off = world.clone();
    let order = DelayOrder {
        seal: Some(seal),
        until: Day::of(put_off.now.plus_seconds(60 * DAY)),
        ..DelayOrder::example()
    };
    put_off.log(order, clerk()).unwrap();
    world.pass(2 * DAY);
    put_off.pass(59 * DAY);
    assert_eq!(codes(&world), [(FindingCode::SealOverdue, 6)]);
    assert_eq!(codes(&put_off), []);
    put_off.pass(2 * DAY);
    assert_eq!(codes(&put_off), [(FindingCode::SealOverdue, 6)]);

    let erasure = |basis, order| Erasure {
        digest: seal,
        basis,
        order,
    };
    let mut destroyed = world.clone();
    let erased = erasure(ErasureBasis::RetentionEnded, None);
    destroyed.log(erased, operator_admin()).unwrap();
    assert_eq!(codes(&destroyed), [(FindingCode::SealErased, 6)]);
    let opened = Unsealing {
        seal,
        opening: attached("opening"),
    };
    destroyed.log(opened, agency_officer()).unwrap();
    assert_eq!(codes(&destroyed), [], "somebody had kept it");
}

fn report(world: &World, event: CustodyEvent, until: Option<Day>) -> CustodyReport {
    CustodyReport {
        about: world.disclosure,
        event,
        basis: CustodyReport::example().basis.filter(|_| until.is_some()),
        until,
        ..CustodyReport::example()
    }
}

#[test]
fn agencies_answer_for_what_they_took() {
    let mut world = World::at(Stage::Collection);
    let days = i64::from(limits().custody_days);
    world.pass(days * DAY);
    assert_eq!(codes(&world), []);
    world.pass(DAY);
    let overdue = |world: &World| {
        let mut codes = codes(world);
        codes.retain(|(code, _)| *code != FindingCode::SealOverdue);
        codes
    };
    assert_eq!(overdue(&world), [(FindingCode::CustodyOverdue, 8)]);
    let until = Day::of(world.now.plus_seconds(DAY));
    let kept = report(&world, CustodyEvent::Retained, Some(until));
    world.log(kept, agency_officer()).unwrap();
    assert_eq!(overdue(&world), []);
    world.pass(3 * DAY);
    assert_eq!(overdue(&world), [(FindingCode::RetentionOver, 9)]);
    let deleted = report(&world, CustodyEvent::Deleted, None);
    world.log(deleted, agency_officer()).unwrap();
    assert_eq!(overdue(&world), []);
    let nothing = report(&world, CustodyEvent::Unreadable, None);
    world.log(nothing, agency_officer()).unwrap();
    assert_eq!(overdue(&world), [(FindingCode::DeliveryFailed, 7)]);
}

/// The journey's request has a window of 120 minutes: 150 are usual for one clip, and 180 for two.
#[test]
fn more_film_than_the_window_and_half_an_hour_a_clip_is_found() {
    for (window, clips, band, expected) in [
        (120, 1, MinutesBand::UpTo240, false),
        (120, 1, MinutesBand::UpTo720, true),
        (31, 1, MinutesBand::UpTo240, false),
        (30, 1, MinutesBand::UpTo240, true),
        (30, 2, MinutesBand::UpTo240, false),
        (210, 1, MinutesBand::UpTo720, true),
        (211, 1, MinutesBand::UpTo720, false),
        (720, 1, MinutesBand::Over720, false),
        (1, 16, MinutesBand::UpTo720, false),
        (1, 16, MinutesBand::Over720, true),
    ] {
        let mut world = World::at(Stage::Batch);
        let mut request = world.ask();
        request.window_minutes = window;
        let recipient = Audience::Agency(request.recipient);
        world.request = world.log(request, agency_officer()).unwrap();
        let consent = Disclosure {
            clips: (0..clips).map(|n| world.clip(n)).collect(),
            minutes: Some(band),
            recipient,
            ..world.consent(0)
        };
        world.log(consent, resident("resident")).unwrap();
        let found = match expected {
            true => vec![(FindingCode::MoreThanAsked, 7)],
            false => vec![],
        };
        assert_eq!(codes(&world), found, "{window} {clips} {band}");
    }
}

#[test]
fn custody_of_what_was_never_collected() {
    let mut world = World::at(Stage::Disclosure);
    let viewed = report(&world, CustodyEvent::Viewed, None);
    world.log(viewed, agency_officer()).unwrap();
    assert_eq!(codes(&world), [(FindingCode::CustodyWithoutCollection, 8)]);
}

/// A warrant of the agency for content, of 1 to 5 accounts.
fn demanded() -> (World, StatementId) {
    let mut world = World::at(Stage::Agency);
    let demand = warrant(&world);
    let demand = world.log(demand, agency_officer()).unwrap();
    (world, demand)
}

fn warrant(world: &World) -> LegalDemand {
    LegalDemand {
        answer_by: None,
        sealed: None,
        ..world.demand()
    }
}

fn response(world: &World, demand: StatementId) -> DemandResponse {
    DemandResponse {
        demand: Some(demand),
        records: vec![RecordKind::ClipContent],
        effective_on: Day::of(world.now),
        ..DemandResponse::example()
    }
}

#[test]
fn a_demand_is_answered_by_its_day() {
    let (mut world, demand) = demanded();
    world.pass(30 * DAY);
    let verdict = |world: &World| record(world).reconciled(world.now)[0].verdict;
    assert_eq!((codes(&world), verdict(&world)), (vec![], Match::Open));
    world.pass(DAY);
    assert_eq!(codes(&world), [(FindingCode::NoResponse, 4)]);
    assert_eq!(verdict(&world), Match::NoResponse);
    let nothing = DemandResponse {
        outcome: Outcome::None,
        records: Vec::new(),
        accounts: Band::None,
        clips: Band::None,
        ..response(&world, demand)
    };
    world.log(nothing, operator_officer()).unwrap();
    assert_eq!((codes(&world), verdict(&world)), (vec![], Match::Agrees));

    let mut sooner = World::at(Stage::Agency);
    let by = Day::of(sooner.now.plus_seconds(DAY));
    let warrant = LegalDemand {
        answer_by: Some(by),
        ..warrant(&sooner)
    };
    sooner.log(warrant, agency_officer()).unwrap();
    sooner.pass(2 * DAY);
    assert_eq!(codes(&sooner), [(FindingCode::NoResponse, 4)]);
}

#[test]
fn nothing_is_given_beyond_what_was_demanded() {
    for (accounts, kind, disagrees) in [
        (Band::UpTo5, RecordKind::ClipContent, false),
        (Band::UpTo10, RecordKind::ClipContent, true),
        (Band::UpTo5, RecordKind::Payment, true),
    ] {
        let (mut world, demand) = demanded();
        let given = DemandResponse {
            accounts,
            records: vec![kind],
            ..response(&world, demand)
        };
        world.log(given, operator_officer()).unwrap();
        let expected = disagrees.then_some((FindingCode::CountsDisagree, 4));
        assert_eq!(codes(&world), Vec::from_iter(expected));
        let row = &record(&world).reconciled(world.now)[0];
        assert_eq!(row.verdict == Match::Disagrees, disagrees);
    }
}

#[test]
fn a_response_to_no_demand() {
    let mut world = World::at(Stage::Agency);
    let alone = DemandResponse {
        demand: None,
        agency: Some(id(AGENCY)),
        ..DemandResponse::example()
    };
    world.log(alone, operator_officer()).unwrap();
    assert_eq!(codes(&world), [(FindingCode::ResponseWithoutDemand, 4)]);
    let rows = record(&world).reconciled(world.now);
    assert_eq!(rows[0].verdict, Match::NoDemand);
}

#[test]
fn a_subpoena_does_not_reach_content() {
    for (process, found) in [
        (ProcessKind::Subpoena, true),
        (ProcessKind::Preservation, true),
        (ProcessKind::SearchWarrant, false),
        (ProcessKind::CourtOrder, false),
    ] {
        let mut world = World::at(Stage::Agency);
        let demand = LegalDemand {
            process,
            content: false,
            ..warrant(&world)
        };
        let asks = LegalDemand {
            content: true,
            ..demand.clone()
        };
        let mut asked = world.clone();
        asked.log(asks, agency_officer()).unwrap();
        let expected = found.then_some((FindingCode::ContentWithoutWarrant, 4));
        assert_eq!(codes(&asked), Vec::from_iter(expected), "{process}");
        let demand = world.log(demand, agency_officer()).unwrap();
        assert_eq!(codes(&world), []);
        let given = response(&world, demand);
        world.log(given, operator_officer()).unwrap();
        assert_eq!(codes(&world), Vec::from_iter(expected), "{process}");
    }
}

#[test]
fn those_concerned_are_told_in_time_or_a_court_has_them_wait() {
    let (mut world, demand) = demanded();
    let given = response(&world, demand);
    world.log(given, operator_officer()).unwrap();
    let world = world.with_court();
    let notice = |world: &World, days: i64| Notice {
        demand,
        until: Some(Day::of(world.now.plus_seconds(days * DAY))),
        ..Notice::example()
    };
    let mut untold = world.clone();
    untold.pass(8 * DAY);
    assert_eq!(codes(&untold), [(FindingCode::NoticeOverdue, 4)]);
    let sent = Notice {
        state: NoticeState::Sent,
        until: None,
        grounds: Vec::new(),
        messages: vec![attached("notice")],
        demand,
    };
    let sent = untold.log(sent, operator_officer()).unwrap();
    assert_eq!(codes(&untold), []);
    let erasure = Erasure {
        digest: attached("notice"),
        basis: ErasureBasis::RetentionEnded,
        order: None,
    };
    let erasure = untold.log(erasure, operator_admin()).unwrap();
    let [finding] = &found(&untold)[..] else {
        panic!("{:?}", found(&untold));
    };
    assert_eq!(finding.code, FindingCode::NoticeErased);
    assert_eq!((finding.about, &finding.with[..]), (sent, &[erasure][..]));

    let mut alone = world.clone();
    alone.log(notice(&alone, 60), operator_officer()).unwrap();
    assert_eq!(codes(&alone), [(FindingCode::DelayWithoutOrder, 4)]);
    let mut ordered = world.clone();
    let order = DelayOrder {
        delays: Delayed::Notice,
        seal: None,
        demand: Some(demand),
        until: Day::of(ordered.now.plus_seconds(60 * DAY)),
        ..DelayOrder::example()
    };
    ordered.log(order, clerk()).unwrap();
    ordered
        .log(notice(&ordered, 60), operator_officer())
        .unwrap();
    assert_eq!(codes(&ordered), []);
    ordered
        .log(notice(&ordered, 61), operator_officer())
        .unwrap();
    assert_eq!(codes(&ordered), [(FindingCode::DelayWithoutOrder, 4)]);
    ordered.pass(62 * DAY);
    assert_eq!(codes(&ordered)[0], (FindingCode::NoticeOverdue, 4));
}

#[test]
fn asked_first_then_compelled() {
    let mut world = World::at(Stage::Disclosure);
    let investigation = world.ask().investigation;
    let other = LegalDemand {
        investigation: Some("ab".repeat(16).parse().unwrap()),
        ..warrant(&world)
    };
    world.log(other, agency_officer()).unwrap();
    assert_eq!(codes(&world), []);
    let same = LegalDemand {
        investigation: Some(investigation),
        ..warrant(&world)
    };
    world.log(same, agency_officer()).unwrap();
    assert_eq!(codes(&world), [(FindingCode::Escalated, 9)]);
    let finding = &found(&world)[0];
    assert_eq!(finding.with, [world.request]);
    assert_eq!(
        finding.detail,
        "Residents had been asked once before, with 1 disclosed."
    );
}

#[test]
fn disputes_and_staff_without_a_reason() {
    let mut world = World::at(Stage::Request);
    let dispute = Annotation {
        about: world.request,
        ..Annotation::example()
    };
    world.log(dispute, party(VENDOR, "vendor admin")).unwrap();
    let looked = InsiderAccess::example();
    world.log(looked.clone(), operator_officer()).unwrap();
    assert_eq!(codes(&world), [(FindingCode::Disputed, 6)]);
    let unauthorised = InsiderAccess {
        reason: AccessReason::Unauthorised,
        ..looked
    };
    world.log(unauthorised, operator_officer()).unwrap();
    assert_eq!(codes(&world)[1..], [(FindingCode::UnauthorisedAccess, 9)]);
}

#[test]
fn a_declared_limit_holds_from_its_day() {
    let mut world = World::at(Stage::Disclosure);
    let mut stricter = limits();
    stricter.custody_days = 1;
    world.log(stricter, operator_admin()).unwrap();
    world.log(world.collect(), agency_officer()).unwrap();
    world.pass(2 * DAY);
    assert_eq!(codes(&world), [], "collected before it held");
}

proptest! {
    /// Whatever is reported: every unit adds up to nothing, and what is recomputed is the same.
    #[test]
    fn accounts_add_up(reports in prop::collection::vec(
        (0u8..6, any::<bool>(), 1u32..50_000, prop::option::of(0usize..3), 0i64..40), 0..30,
    )) {
        let mut world = agreed();
        for (kind, from_agency, n, item, ago) in reports {
            let kind = [
                BenefitKind::CreditAccrued, BenefitKind::CreditRedeemed, BenefitKind::Discount,
                BenefitKind::Equipment, BenefitKind::Returned, BenefitKind::Subsidy,
            ][usize::from(kind)];
            let (giver, receiver) = match from_agency {
                true => (id(AGENCY), id(VENDOR)),
                false => (id(VENDOR), id(AGENCY)),
            };
            let report = Benefit {
                giver,
                receiver,
                item: item.and_then(|at| label(["desk", "doorbell-camera", "lamp"][at])),
                count: Some(n % 20 + 1),
                amount: usd(n),
                effective_on: Day::of(world.now.plus_seconds(-ago * DAY)),
                ..benefit(&world, kind)
            };
            world.log(report, agency_officer()).unwrap();
        }
        let one = record(&world);
        let balances = Account::of(&one, Some(0)).balances();
        let mut sums: BTreeMap<&Unit, i64> = BTreeMap::new();
        for ((_, unit), balance) in &balances {
            *sums.entry(unit).or_default() += balance;
        }
        prop_assert!(sums.values().all(|sum| *sum == 0), "{:?}", balances);
        let again = record(&world);
        prop_assert_eq!(
            findings(&one, world.now, &no_attachments),
            findings(&again, world.now, &no_attachments)
        );
        // Credit that nobody had is told of.
        let usd: Currency = "USD".parse().unwrap();
        let owes = balances.get(&(id(AGENCY), Unit::Credit(usd)));
        let redeemed_by_agency = findings(&one, world.now, &no_attachments)
            .iter()
            .any(|finding| finding.code == FindingCode::Overdrawn);
        let spent = world.history.iter().any(|(_, signed)| matches!(
            &signed.statement, Statement::Benefit(b)
                if b.kind == BenefitKind::CreditRedeemed && b.receiver == id(AGENCY)
        ));
        if owes.is_some_and(|owes| *owes < 0) && spent
            && !world.history.iter().any(|(_, signed)| matches!(
                &signed.statement, Statement::Benefit(b)
                    if b.kind == BenefitKind::CreditAccrued && b.giver == id(AGENCY)
            ))
        {
            prop_assert!(redeemed_by_agency);
        }
    }
}
