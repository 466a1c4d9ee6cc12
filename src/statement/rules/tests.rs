//! The rules over small ledgers: every reason to refuse, courses of events, random sequences.

mod access;
mod adversaries;
mod agreements;
mod courses;
mod days;
mod live;
mod properties;
mod refused_access;
mod refused_forms;
mod refused_publications;
mod refused_requests;
mod refused_signers;
mod refused_statements;
mod vectors;

use crate::statement::leaf::Leaf;
use crate::statement::refusal::{Class, Reason};
use crate::statement::testing::{Stage, World, resident};

/// Declares tests in which a ledger at a stage of the journey refuses an attempt, with the reason
/// and the member at fault; `GIVEN` lists the reasons.
macro_rules! refusals {
    ($($name:ident: $reason:ident $member:literal, at $stage:ident: |$world:ident| $attempt:expr;)*) => {
        pub(super) const GIVEN: &[Reason] = &[$(Reason::$reason,)*];

        $(#[test]
        fn $name() {
            let mut world = World::at(Stage::$stage);
            let $world = &mut world;
            let attempt: Result<StatementId, Refusal> = $attempt;
            let refusal = attempt.expect_err("refused");
            assert_eq!(
                (refusal.reason, refusal.member.as_str()),
                (Reason::$reason, $member),
                "{refusal}"
            );
        })*
    };
}

use refusals;

#[test]
fn every_reason_is_given() {
    let given = [
        refused_access::GIVEN,
        refused_forms::GIVEN,
        refused_publications::GIVEN,
        refused_requests::GIVEN,
        refused_signers::GIVEN,
        refused_statements::GIVEN,
    ]
    .concat();
    let ledger_rules = Reason::ALL.iter().filter(|r| r.class() != Class::Door);
    let never: Vec<_> = ledger_rules.filter(|r| !given.contains(r)).collect();
    assert_eq!(never, Vec::<&Reason>::new());
}

/// What the fuzzers judge: `WHOSAW_BLESS=1 cargo test the_fuzzers_journey_is_fresh` writes it anew.
#[test]
fn the_fuzzers_journey_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/src/known/journey.jsonl");
    let mut journey = String::new();
    let mut world = World::at(Stage::Collection);
    world.log(world.publish(1), resident("publisher")).unwrap();
    for (logged_at, signed) in world.history {
        let envelope = signed.envelope;
        let leaf = Leaf {
            logged_at,
            envelope,
        }
        .to_bytes();
        journey.push_str(std::str::from_utf8(&leaf).unwrap());
        journey.push('\n');
    }
    if std::env::var_os("WHOSAW_BLESS").is_some() {
        std::fs::write(path, &journey).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), journey, "stale");
}
