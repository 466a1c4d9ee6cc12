//! Findings in terms alone, and what is none: another agency's number, limits that never held, what may
//! not be told.

use super::*;
use crate::record::Said;
use crate::statement::kinds::legal_demand::NationalBand;
use crate::statement::kinds::limits::Limits;
use crate::statement::words::PartyId;

/// The codes found in an agreement with one term.
fn in_term(term: Term) -> Vec<FindingCode> {
    let mut world = World::at(Stage::Agency);
    let agreement = Agreement {
        terms: vec![term],
        ..agreement()
    };
    world.log(agreement, agency_and_vendor()).unwrap();
    found(&world).iter().map(|finding| finding.code).collect()
}

/// Each term as it binds or serves the agency, and as it does the vendor.
#[test]
fn terms_are_found_by_whom_they_bind() {
    use FindingCode::*;
    let word = |text: &str| label(text).unwrap();
    type Make<'a> = &'a dyn Fn(PartyId, PartyId) -> Term;
    let cases: [(Make<'_>, Option<FindingCode>, Option<FindingCode>); 9] = [
        (
            &|bound, _| Term::Promotion {
                bound,
                product: word("app"),
            },
            Some(AgencyPromotes),
            None,
        ),
        (
            &|bound, approver| Term::PublicityApproval { bound, approver },
            Some(PublicityApproval),
            None,
        ),
        (
            &|bound, _| Term::Exclusivity {
                bound,
                product: word("doorbell"),
            },
            Some(Exclusive),
            None,
        ),
        (
            &|bound, _| Term::Confidentiality {
                bound,
                about: word("terms"),
            },
            Some(KeptSecret),
            Some(KeptSecret),
        ),
        (
            &|receiver, giver| Term::CreditPerDownload {
                giver,
                receiver,
                amount: usd(1000).unwrap(),
                usable_for: word("camera"),
            },
            Some(AgencyIsPaid),
            Some(PaidPerDownload),
        ),
        (
            &|receiver, giver| Term::DataAccess {
                giver,
                receiver,
                records: vec![RecordKind::Account],
                by_process_only: false,
            },
            Some(DataWithoutProcess),
            None,
        ),
        (
            &|receiver, giver| Term::DataAccess {
                giver,
                receiver,
                records: vec![RecordKind::Account],
                by_process_only: true,
            },
            None,
            None,
        ),
        (
            &|receiver, giver| Term::StaffDiscount {
                giver,
                receiver,
                product: word("camera"),
                percent: 50,
            },
            Some(StaffDiscount),
            None,
        ),
        (
            &|giver, _| Term::PublicSubsidy {
                giver,
                beneficiary: word("residents"),
                product: word("camera"),
                each: usd(10_000).unwrap(),
                total: usd(2_500_000).unwrap(),
            },
            Some(PublicMoney),
            Some(PublicMoney),
        ),
    ];
    for (n, (term, of_agency, of_vendor)) in cases.into_iter().enumerate() {
        let (agency, vendor) = (id(AGENCY), id(VENDOR));
        let found = in_term(term(agency.clone(), vendor.clone()));
        assert_eq!(found, Vec::from_iter(of_agency), "{n}");
        assert_eq!(
            in_term(term(vendor, agency)),
            Vec::from_iter(of_vendor),
            "{n}"
        );
    }
}

#[test]
fn what_is_left_open_or_told_late_is_found() {
    use FindingCode::{PublishedLate, SideAgreements};
    let of = |complete, days: i64| {
        let mut world = World::at(Stage::Agency);
        let agreement = Agreement {
            complete,
            effective_on: Some(Day::of(world.now.plus_seconds(-days * DAY))),
            ..agreement()
        };
        world.log(agreement, agency_and_vendor()).unwrap();
        codes(&world)
    };
    assert_eq!(of(true, 30), []);
    assert_eq!(of(true, 31), [(PublishedLate, 4)]);
    assert_eq!(of(false, 30), [(SideAgreements, 4)]);
}

/// Another agency that gives the same investigation has its own case, and its own number.
#[test]
fn another_agency_s_number_is_no_contradiction() {
    let mut world = World::at(Stage::Batch);
    let (_, first) = ask(&mut world, "2019-001234");
    let mut published = vec![unseal(&mut world, &first, first.encode())];
    let mut other = record(&world);
    let sealed = Opening::new(&[9; 16], "case_number", &"B-77".into()).unwrap();
    let mut request = world.ask();
    request.sealed.case_number.digest = sealed.digest();
    let opening = attached("the other opening");
    published.push((opening, sealed.encode().as_bytes().to_vec()));
    let said = |n: u8, party: &str, statement: Statement| Said {
        index: 90 + u64::from(n),
        id: StatementId::from_bytes([n; 32]),
        logged_at: world.now,
        author: crate::statement::Author::Issuer(id(party)),
        statement,
    };
    let unsealing = Unsealing {
        seal: sealed.digest(),
        opening,
    };
    let read = |digest: &SealDigest| {
        let mut all = published.iter();
        all.find(|(known, _)| known == digest)
            .map(|(_, bytes)| bytes.clone())
    };
    let differ = |record: &Record| {
        let found = findings(record, world.now, &read);
        found
            .iter()
            .any(|f| f.code == FindingCode::CaseNumbersDiffer)
    };
    other.read(said(1, "polk.example", request.clone().into()));
    other.read(said(2, "polk.example", unsealing.clone().into()));
    assert!(!differ(&other));
    let mut same = record(&world);
    same.read(said(1, AGENCY, request.into()));
    same.read(said(2, AGENCY, unsealing.into()));
    assert!(differ(&same));
}

/// Limits that were announced, and replaced before their day.
#[test]
fn limits_that_never_held_find_nothing() {
    let mut world = World::at(Stage::Disclosure);
    let announced = |custody_days, notice_minutes| Limits {
        custody_days,
        notice_minutes,
        ..limits()
    };
    world
        .log(announced(1, 20 * 24 * 60), operator_admin())
        .unwrap();
    world.log(announced(60, 0), operator_admin()).unwrap();
    world.log(world.collect(), agency_officer()).unwrap();
    let record = record(&world);
    let in_a_month = world.now.plus_seconds(30 * DAY);
    assert_eq!(record.limits_at(in_a_month).unwrap().custody_days, 60);
}

#[test]
fn what_came_of_national_security_is_nobody_s_omission() {
    let mut world = World::at(Stage::Agency);
    let demand = world.national(NationalBand::Below250);
    world.log(demand, operator_officer()).unwrap();
    world.pass(90 * DAY);
    assert_eq!(codes(&world), []);
}
