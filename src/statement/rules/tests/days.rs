//! Days and limits at their bounds: the last value that is admitted, and the first that is refused.

use crate::digest::StatementId;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::access_request::AccessRequest;
use crate::statement::kinds::agreement::{Agreement, Status};
use crate::statement::kinds::benefit::Benefit;
use crate::statement::kinds::bulletin::Bulletin;
use crate::statement::kinds::custody_report::CustodyReport;
use crate::statement::kinds::delay_order::DelayOrder;
use crate::statement::kinds::demand_response::DemandResponse;
use crate::statement::kinds::insider_access::InsiderAccess;
use crate::statement::kinds::key_change::KeyChange;
use crate::statement::kinds::legal_demand::{DemandSeals, LegalDemand};
use crate::statement::kinds::limits::Limits;
use crate::statement::refusal::{Reason, Refusal};
use crate::statement::rules::seals::SealedField;
use crate::statement::testing::*;
use crate::statement::words::{Day, Role};

type Log = fn(&mut World, Day) -> Result<StatementId, Refusal>;

/// Each member with a bound of its own: how many days after the entry's it reaches.
const DAYS: [(&str, i64, Log); 10] = [
    ("/served_on", 1, |w, day| {
        w.log(
            LegalDemand {
                served_on: day,
                ..w.demand()
            },
            agency_officer(),
        )
    }),
    ("/answer_by", 3653, |w, day| {
        w.log(
            LegalDemand {
                answer_by: Some(day),
                ..w.demand()
            },
            agency_officer(),
        )
    }),
    ("/until", 3653, |w, day| {
        w.log(
            LegalDemand {
                until: Some(day),
                ..w.demand()
            },
            agency_officer(),
        )
    }),
    ("/until", 36_525, |w, day| {
        let kept = CustodyReport {
            about: w.disclosure,
            until: Some(day),
            ..CustodyReport::example()
        };
        w.log(kept, agency_officer())
    }),
    ("/effective_on", 1, |w, day| {
        let kept = CustodyReport {
            about: w.disclosure,
            effective_on: day,
            ..CustodyReport::example()
        };
        w.log(kept, agency_officer())
    }),
    ("/effective_on", 1, |w, day| {
        let benefit = Benefit {
            agreement: Some(w.agreement),
            effective_on: day,
            ..Benefit::example()
        };
        w.log(benefit, party(VENDOR, "vendor admin"))
    }),
    ("/effective_on", 1, |w, day| {
        let alone = DemandResponse {
            demand: None,
            agency: Some(id(AGENCY)),
            effective_on: day,
            ..DemandResponse::example()
        };
        w.log(alone, operator_officer())
    }),
    ("/effective_on", 1, |w, day| {
        w.log(
            InsiderAccess {
                effective_on: day,
                ..InsiderAccess::example()
            },
            operator_officer(),
        )
    }),
    ("/effective_on", 1, |w, day| {
        w.log(
            Agreement {
                effective_on: Some(day),
                ..agreement()
            },
            agency_and_vendor(),
        )
    }),
    ("/effective_on", 3653, |w, day| {
        let later = Agreement {
            status: Status::Proposed,
            effective_on: Some(day),
            ..agreement()
        };
        w.log(later, agency_and_vendor())
    }),
];

#[test]
fn days_are_admitted_up_to_their_bound_and_refused_beyond_it() {
    let world = World::at(Stage::Collection);
    let on = |days| Day::of(world.now).checked_add_days(days).unwrap();
    for (i, (member, most, log)) in DAYS.into_iter().enumerate() {
        for beyond in [on(most + 1), Day::last()] {
            let refused = log(&mut world.clone(), beyond).unwrap_err();
            let found = (refused.reason, refused.member.as_str());
            assert_eq!(found, (Reason::BadValue, member), "{i}: {refused}");
        }
        let logged = log(&mut world.clone(), on(most));
        assert!(logged.is_ok(), "{i}: {logged:?}");
    }
}

/// The statement that once broke a ledger for good.
#[test]
fn a_demand_served_in_december_9999_is_refused() {
    let mut world = World::at(Stage::Agency);
    for served_on in ["9999-12-15", "9999-12-31", "9998-12-31"] {
        let head = world.head(&agency_officer().author);
        let text = crate::statement::payload(&head, &world.demand().into());
        let text = String::from_utf8(text).unwrap();
        let today = format!("\"served_on\":\"{}\"", Day::of(world.now));
        let text = text.replace(&today, &format!("\"served_on\":\"{served_on}\""));
        let refused = world
            .log_payload(text.into(), &agency_officer().keys)
            .unwrap_err();
        assert_eq!(
            (refused.reason, refused.member.as_str()),
            (Reason::BadValue, "/served_on")
        );
    }
}

type Member = fn(&mut Limits) -> &mut u32;

const LIMITS: [(&str, u32, Member); 13] = [
    ("/window_minutes", 52_560_000, |l| &mut l.window_minutes),
    ("/footage_age_days", 36_500, |l| &mut l.footage_age_days),
    ("/total_minutes", 52_560_000, |l| &mut l.total_minutes),
    ("/deadline_minutes", 52_560_000, |l| &mut l.deadline_minutes),
    ("/decision_minutes", 52_560_000, |l| &mut l.decision_minutes),
    ("/seal_days", 36_500, |l| &mut l.seal_days),
    ("/delay_days", 36_500, |l| &mut l.delay_days),
    ("/bulletin_days", 36_500, |l| &mut l.bulletin_days),
    ("/batch_seconds", 3_153_600_000, |l| &mut l.batch_seconds),
    ("/new_key_wait_minutes", 52_560_000, |l| {
        &mut l.new_key_wait_minutes
    }),
    ("/custody_days", 36_500, |l| &mut l.custody_days),
    ("/retention_days", 36_500, |l| &mut l.retention_days),
    ("/notice_minutes", 52_560_000, |l| &mut l.notice_minutes),
];

#[test]
fn limits_are_admitted_up_to_their_bound_and_refused_beyond_it() {
    let world = World::at(Stage::Collection);
    for (member, most, at) in LIMITS {
        let with = |value| {
            let mut limits = limits();
            *at(&mut limits) = value;
            world.clone().log(limits, operator_admin())
        };
        for beyond in [most + 1, u32::MAX] {
            let refused = with(beyond).unwrap_err();
            let found = (refused.reason, refused.member.as_str());
            assert_eq!(found, (Reason::BadValue, member), "{beyond}: {refused}");
        }
        assert!(with(most).is_ok(), "{member}");
    }
}

/// On the last day of the calendar, whatever leads beyond it is refused, and the rest is admitted.
#[test]
fn what_leads_beyond_the_calendar_is_refused() {
    let mut world = World::at(Stage::Agreement);
    let (ask, demand) = (world.ask(), world.demand());
    world.now = "9998-12-31T10:00:00Z".parse().unwrap();
    let today = Day::last();
    let late = "9998-12-31T23:00:00Z".parse().unwrap();
    let admin = new_key("another admin", Role::Admin, None);
    let sealed = SealedField {
        digest: attached("seal"),
        open_by: today.clone(),
    };
    let refused = |world: &World, log: &dyn Fn(&mut World) -> Result<StatementId, Refusal>| {
        let refused = log(&mut world.clone()).unwrap_err();
        (refused.reason, refused.member)
    };
    let beyond = |member: &str| (Reason::OutsideLimits, member.to_owned());
    let plain = LegalDemand {
        served_on: today.clone(),
        answer_by: Some(today.clone()),
        until: Some(today.clone()),
        sealed: None,
        ..demand
    };
    assert_eq!(
        refused(&world, &|w| w.log(
            AccessRequest {
                deadline: late,
                ..ask.clone()
            },
            agency_officer()
        )),
        beyond("/deadline")
    );
    assert_eq!(
        refused(&world, &|w| w.log(
            Bulletin {
                expires: late,
                ..Bulletin::example()
            },
            agency_officer()
        )),
        beyond("/expires")
    );
    assert_eq!(
        refused(&world, &|w| w.log(limits(), operator_admin())),
        beyond("/notice_minutes")
    );
    let change = KeyChange {
        party: id(AGENCY),
        add: vec![admin],
        revoke: Vec::new(),
    };
    let voice = agency_admin().signed_by(&["agency admin", "another admin"]);
    assert_eq!(
        refused(&world, &|w| w.log(change.clone(), voice.clone())),
        beyond("/add")
    );
    let voice = registrars(COURT, &["court admin", "court clerk"]);
    assert_eq!(
        refused(&world, &|w| w.log(court(), voice.clone())),
        beyond("/keys")
    );
    let order = DelayOrder {
        until: today,
        document: Some(attached("paper")),
        ..DelayOrder::example()
    };
    assert_eq!(
        refused(&world, &|w| w.log(order.clone(), operator_officer())),
        beyond("/until")
    );
    let seals = Some(DemandSeals { reference: sealed });
    let sealing = LegalDemand {
        sealed: seals,
        ..plain.clone()
    };
    assert_eq!(
        refused(&world, &|w| w.log(sealing.clone(), agency_officer())),
        beyond("/sealed/reference/open_by")
    );
    world.log(plain, agency_officer()).unwrap();
}
