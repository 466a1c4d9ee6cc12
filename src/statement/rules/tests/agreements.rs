//! Which step of an agreement may follow which, and who may take it.

use crate::statement::kinds::agreement::Status::{self, *};
use crate::statement::kinds::agreement::{Agreement, Amendment, EndReason, Term};
use crate::statement::refusal::Reason;
use crate::statement::testing::*;

const ALL: [Status; 5] = [Proposed, InForce, Declined, Suspended, Terminated];

/// As `docs/PROTOCOL.md` has it: proposed → in-force | declined, in-force ⇄ suspended, →
/// terminated. A proposal may be put anew, and what is in force changed by all parties.
const STEPS: [(Status, &[Status]); 5] = [
    (Proposed, &[Proposed, InForce, Declined]),
    (InForce, &[InForce, Suspended, Terminated]),
    (Suspended, &[InForce, Terminated]),
    (Declined, &[]),
    (Terminated, &[]),
];

fn ends(status: Status) -> bool {
    matches!(status, Declined | Suspended | Terminated)
}

/// The step from `before`: what is in force must change to stay so.
fn step(world: &World, before: Status, status: Status) -> Agreement {
    let amends = (before, status) == (InForce, InForce);
    let add = vec![Term::Promotion {
        bound: id(AGENCY),
        product: "doorbell-camera".parse().unwrap(),
    }];
    Agreement {
        amendment: amends.then(|| Amendment {
            add,
            remove: Vec::new(),
        }),
        status,
        previous: Some(world.agreement),
        reason: ends(status).then_some(EndReason::PolicyChange),
        ..agreement()
    }
}

/// A world whose agreement stands at `status`.
fn standing(status: Status) -> World {
    let mut world = World::at(Stage::Agency);
    let begins_as = match status {
        Proposed | Declined => Proposed,
        _ => InForce,
    };
    let first = Agreement {
        status: begins_as,
        ..agreement()
    };
    world.agreement = world.log(first, agency_and_vendor()).unwrap();
    if status != begins_as {
        world.agreement = world
            .log(step(&world, begins_as, status), agency_and_vendor())
            .unwrap();
    }
    world
}

#[test]
fn agreements_begin_as_proposed_or_in_force() {
    for status in ALL {
        let mut world = World::at(Stage::Agency);
        let first = Agreement {
            previous: None,
            ..step(&world, Proposed, status)
        };
        let logged = world.log(first, agency_and_vendor());
        match status {
            Proposed | InForce => assert!(logged.is_ok(), "{status}"),
            _ => assert_eq!(logged.unwrap_err().reason, Reason::NotInSuccession),
        }
    }
}

#[test]
fn every_step_is_allowed_or_refused_as_the_protocol_says() {
    for (from, allowed) in STEPS {
        for to in ALL {
            let mut world = standing(from);
            world.pass(MINUTE);
            let logged = world.log(step(&world, from, to), agency_and_vendor());
            match allowed.contains(&to) {
                true => assert!(logged.is_ok(), "{from} to {to}"),
                false => assert_eq!(
                    logged.map_err(|refusal| (refusal.reason, refusal.member)),
                    Err((Reason::NotInSuccession, "/status".to_owned())),
                    "{from} to {to}"
                ),
            }
        }
    }
}

#[test]
fn either_party_alone_may_decline_suspend_and_end_and_nothing_else() {
    for (from, allowed) in STEPS {
        for to in allowed.iter().copied() {
            for voice in [agency_admin(), party(VENDOR, "vendor admin")] {
                let mut world = standing(from);
                world.pass(MINUTE);
                let logged = world.log(step(&world, from, to), voice);
                match ends(to) {
                    true => assert!(logged.is_ok(), "{from} to {to}"),
                    false => assert_eq!(logged.unwrap_err().reason, Reason::WrongAuthor),
                }
            }
        }
    }
}

#[test]
fn only_the_last_step_of_a_chain_is_continued() {
    let mut world = World::at(Stage::Agreement);
    let first = world.agreement;
    world.agreement = world
        .log(step(&world, InForce, InForce), agency_and_vendor())
        .unwrap();
    let second = world.agreement;
    for (previous, allowed) in [(first, false), (second, true)] {
        let next = Agreement {
            previous: Some(previous),
            ..step(&world, InForce, Suspended)
        };
        assert_eq!(world.log(next, agency_admin()).is_ok(), allowed);
    }
}

/// An ended agreement said again, in the same bytes, would begin a chain of its own.
#[test]
fn an_ended_agreement_does_not_come_back() {
    let mut world = World::at(Stage::Agreement);
    let (_, begun) = world.history[4].clone();
    world
        .log(step(&world, InForce, Terminated), agency_admin())
        .unwrap();
    assert_eq!(
        world.log_signed(begun).unwrap_err().reason,
        Reason::AlreadyLogged
    );
    let refusal = world.log(world.ask(), agency_officer()).unwrap_err();
    assert_eq!(refusal.reason, Reason::NoAgreement);
}
