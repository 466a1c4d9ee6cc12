//! Reports of logs built by hand, with every figure known; and figures counted twice.

mod annual;
mod cards;
mod properties;
mod public;
mod texts;

use super::*;
use crate::record::findings::{findings, no_attachments};
use crate::record::of;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::access_request::AccessRequest;
use crate::statement::kinds::annotation::Annotation;
use crate::statement::kinds::benefit::{Benefit, BenefitKind};
use crate::statement::kinds::collection::Collection;
use crate::statement::kinds::custody_report::{CustodyEvent, CustodyReport, Recipients};
use crate::statement::kinds::delay_order::{DelayOrder, Delayed};
use crate::statement::kinds::insider_access::InsiderAccess;
use crate::statement::kinds::legal_demand::{
    DemandSource, EmergencyGround, NationalBand, ProcessKind,
};
use crate::statement::kinds::notice::{Notice, NoticeState};
use crate::statement::kinds::party::Party;
use crate::statement::kinds::party_status::PartyStatus;
use crate::statement::kinds::request_closing::{ClosingOutcome, RequestClosing};
use crate::statement::testing::*;
use crate::statement::words::{Band, PartyKind, RecordKind};

fn basis(world: &World) -> Basis {
    Basis {
        origin: ORIGIN.to_owned(),
        size: world.history.len() as u64,
        root: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
        at: world.now,
        begins: of(world).began(),
        forbidden: 0,
    }
}

fn year(text: &str) -> Option<Period> {
    Some(text.parse::<Year>().unwrap().into())
}

fn transparent(world: &World, period: Option<Period>) -> Report {
    transparency(&of(world), basis(world), period, None)
}

fn yearly(world: &World, ordinance: Ordinance) -> Report {
    let record = of(world);
    let found = findings(&record, world.now, &no_attachments);
    annual(&record, &found, basis(world), ordinance, None, None)
}

fn carded(world: &World, kind: CardKind, party: &str) -> Option<Report> {
    let record = of(world);
    let found = findings(&record, world.now, &no_attachments);
    card(&record, &found, basis(world), kind, &id(party))
}

fn paper(world: &World, process: ProcessKind) -> LegalDemand {
    let emergency = process == ProcessKind::Emergency;
    LegalDemand {
        process,
        source: DemandSource::Paper,
        investigation: None,
        content: false,
        records: vec![RecordKind::Account],
        delay: Vec::new(),
        answer_by: None,
        sealed: None,
        emergency: emergency.then_some(EmergencyGround::DangerOfDeath),
        ..world.demand()
    }
}

fn answer(world: &World, demand: StatementId, outcome: Outcome, accounts: Band) -> DemandResponse {
    let gives = matches!(outcome, Outcome::Full | Outcome::Partial);
    DemandResponse {
        demand: Some(demand),
        outcome,
        records: gives.then_some(RecordKind::Account).into_iter().collect(),
        accounts,
        clips: if gives { Band::UpTo50 } else { Band::None },
        effective_on: Day::of(world.now),
        ..DemandResponse::example()
    }
}

/// The agency gave on what a resident gave it.
fn re_shared(world: &World, with: Recipients) -> CustodyReport {
    CustodyReport {
        about: world.disclosure,
        event: CustodyEvent::ReShared,
        shared_with: Some(with),
        until: None,
        basis: None,
        effective_on: Day::of(world.now),
        ..CustodyReport::example()
    }
}

/// A journey's collection, watched by everybody.
fn followed() -> World {
    let mut world = World::at(Stage::Collection);
    let shared = re_shared(&world, Recipients::FederalAgency);
    let viewed = CustodyReport {
        event: CustodyEvent::Viewed,
        shared_with: None,
        ..shared.clone()
    };
    let shared_with_vendor = CustodyReport {
        shared_with_party: Some(id(VENDOR)),
        ..re_shared(&world, Recipients::Vendor)
    };
    // 9, 10, 11.
    for report in [viewed, shared, shared_with_vendor] {
        world.log(report, agency_officer()).unwrap();
    }
    let dispute = Annotation {
        about: world.request,
        ..Annotation::example()
    };
    let cameras = Benefit {
        kind: BenefitKind::Equipment,
        giver: id(VENDOR),
        receiver: id(AGENCY),
        confirms: None,
        agreement: None,
        item: Some("doorbell-camera".parse().unwrap()),
        count: Some(15),
        amount: None,
        downloads: None,
        effective_on: Day::of(world.now),
    };
    let closing = RequestClosing {
        request: world.request,
        outcome: ClosingOutcome::Answered,
    };
    // 12, 13, 14, 15, 16 with 17.
    world.log(dispute, party(VENDOR, "vendor admin")).unwrap();
    world.log(cameras, agency_officer()).unwrap();
    world.log(closing, agency_officer()).unwrap();
    world
        .log(InsiderAccess::example(), operator_officer())
        .unwrap();
    let warrant = LegalDemand {
        answer_by: None,
        sealed: None,
        ..world.demand()
    };
    let warrant = world.log(warrant, agency_officer()).unwrap();
    let given = answer(&world, warrant, Outcome::Partial, Band::UpTo5);
    world.log(given, operator_officer()).unwrap();
    world
}
