//! Agreements, benefits and limits that the rules do not permit. (Successions: `agreements`.)

use super::refusals;
use crate::digest::StatementId;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::agreement::{
    Agreement, Amendment, EndReason, Instrument, Status, Term,
};
use crate::statement::kinds::benefit::Benefit;
use crate::statement::kinds::limits::Limits;
use crate::statement::kinds::log_closed::{ClosingReason, LogClosed, Successor};
use crate::statement::kinds::party::Party;
use crate::statement::refusal::{Reason, Refusal};
use crate::statement::testing::*;
use crate::statement::words::{PartyKind, Role};
use crate::tlog::note::NoteKey;

fn end(world: &World, status: Status) -> Agreement {
    Agreement {
        status,
        previous: Some(world.agreement),
        reason: Some(EndReason::CouncilVote),
        ..agreement()
    }
}

fn succeeded(alter: impl FnOnce(&mut Successor)) -> LogClosed {
    let mut closed = LogClosed::example();
    closed.successor.as_mut().map(alter);
    closed
}

fn amend(world: &mut World, add: &[Term], remove: &[Term]) -> Result<StatementId, Refusal> {
    let amended = Agreement {
        previous: Some(world.agreement),
        amendment: Some(Amendment {
            add: add.to_vec(),
            remove: remove.to_vec(),
        }),
        ..agreement()
    };
    world.log(amended, agency_and_vendor())
}

fn promotion(bound: &str) -> Term {
    Term::Promotion {
        bound: id(bound),
        product: "doorbell-camera".parse().unwrap(),
    }
}

refusals! {
    a_term_that_binds_a_stranger: BadValue "/terms/1", at Agency: |w|
        w.log(Agreement { terms: vec![promotion(AGENCY), promotion(OPERATOR)], ..agreement() }, agency_and_vendor());
    too_many_terms: BadValue "/terms", at Agency: |w|
        w.log(Agreement { terms: vec![promotion(AGENCY); 65], ..agreement() }, agency_and_vendor());
    terms_of_no_agreement: BadValue "/terms", at Agency: |w|
        w.log(Agreement { instrument: Instrument::None, terms: vec![promotion(AGENCY)], ..agreement() }, agency_and_vendor());
    terms_at_the_end: BadValue "/terms", at Agreement: |w|
        w.log(Agreement { terms: vec![promotion(AGENCY)], ..end(w, Status::Terminated) }, agency_admin());
    ended_without_a_reason: BadValue "/reason", at Agreement: |w|
        w.log(Agreement { reason: None, ..end(w, Status::Terminated) }, agency_admin());
    begun_with_a_reason_to_end: BadValue "/reason", at Agency: |w|
        w.log(Agreement { reason: Some(EndReason::Breach), ..agreement() }, agency_and_vendor());
    an_agreement_by_one_party: WrongAuthor "/parties", at Agency: |w| w.log(agreement(), agency_admin());
    resumed_by_one_party: WrongAuthor "/parties", at Agreement: |w| {
        w.agreement = w.log(end(w, Status::Suspended), agency_admin()).unwrap();
        w.log(Agreement { previous: Some(w.agreement), ..agreement() }, agency_admin())
    };
    ended_by_a_stranger: WrongAuthor "/issuer", at Agreement: |w| w.log(end(w, Status::Terminated), operator_admin());
    ended_by_an_officer: KeyNotLive "/signatures", at Agreement: |w| w.log(end(w, Status::Terminated), agency_officer());
    ended_by_a_resident: WrongAuthor "/parties", at Agreement: |w| w.log(end(w, Status::Terminated), resident("resident"));
    nothing_ended: WrongAuthor "/parties", at Agreement: |w|
        w.log(Agreement { previous: None, ..end(w, Status::Terminated) }, agency_admin());
    begun_as_terminated: NotInSuccession "/status", at Agency: |w|
        w.log(Agreement { previous: None, ..end(w, Status::Terminated) }, agency_and_vendor());
    continued_after_another_step: NotInSuccession "/previous", at Agreement: |w| {
        w.log(end(w, Status::Suspended), agency_admin()).unwrap();
        w.log(end(w, Status::Terminated), party(VENDOR, "vendor admin"))
    };
    continued_after_its_end: NotInSuccession "/status", at Agreement: |w| {
        w.agreement = w.log(end(w, Status::Terminated), agency_admin()).unwrap();
        w.log(Agreement { previous: Some(w.agreement), ..agreement() }, agency_and_vendor())
    };
    continued_by_others: WrongReference "/previous", at Agreement: |w|
        w.log(
            Agreement { previous: Some(w.agreement), ..end(w, Status::Suspended) },
            together(&[AGENCY, OPERATOR], &["agency admin", "operator admin"]),
        );
    continuing_nothing: UnknownReference "/previous", at Agency: |w|
        w.log(end(w, Status::Terminated), agency_admin());
    continuing_a_batch: WrongReference "/previous", at Batch: |w| {
        w.agreement = w.batch;
        w.log(end(w, Status::Terminated), agency_admin())
    };

    a_benefit_to_oneself: BadValue "/receiver", at Agency: |w|
        w.log(Benefit { giver: id(AGENCY), ..Benefit::example() }, agency_admin());
    a_benefit_under_no_agreement: UnknownReference "/agreement", at Agency: |w|
        w.log(Benefit { agreement: Some(w.agreement), ..Benefit::example() }, agency_admin());
    a_benefit_under_the_agreement_of_others: WrongReference "/agreement", at Agreement: |w|
        w.log(
            Benefit { agreement: Some(w.agreement), giver: id(OPERATOR), ..Benefit::example() },
            agency_admin(),
        );

    other_rules: BadValue "/rules", at Limits: |w| w.log(Limits { rules: 2, ..limits() }, operator_admin());
    no_batches: BadValue "/batch_seconds", at Limits: |w| w.log(Limits { batch_seconds: 0, ..limits() }, operator_admin());
    vendors_out_of_order: BadValue "/vendors", at Limits: |w|
        w.log(Limits { vendors: vec![id(VENDOR), id("camera.example")], ..limits() }, operator_admin());
    too_many_features: BadValue "/features", at Limits: |w| {
        let features = ('a'..='q').map(|c| c.to_string().parse().unwrap()).collect();
        w.log(Limits { features, ..limits() }, operator_admin())
    };
    too_many_limits_announced: OutsideLimits "", at Limits: |w| {
        for _ in 0..16 {
            w.pass(MINUTE);
            w.log(limits(), operator_admin()).unwrap();
        }
        w.pass(MINUTE);
        w.log(limits(), operator_admin())
    };

    anything_after_the_end: LogClosed "", at Disclosure: |w| {
        w.close();
        w.log(w.collect(), agency_officer())
    };
    a_second_end: LogClosed "", at Limits: |w| {
        w.close();
        w.log(LogClosed { reason: ClosingReason::Ordered, ..LogClosed::example() }, operator_admin())
    };
    the_end_said_again: LogClosed "", at Limits: |w| {
        w.close();
        w.log(LogClosed::example(), operator_admin())
    };
    closed_by_an_agency: WrongAuthor "/issuer", at Agency: |w| w.log(LogClosed::example(), agency_admin());
    closed_by_an_everyday_key: KeyNotLive "/signatures", at Limits: |w|
        w.log(LogClosed::example(), operator_officer());
    closed_before_it_began: NotGenesis "/type", at Operator: |w| w.log(LogClosed::example(), operator_admin());
    moved_nowhere: BadValue "/successor", at Limits: |w|
        w.log(LogClosed { successor: None, ..LogClosed::example() }, operator_admin());
    succeeded_by_itself: BadValue "/successor/origin", at Limits: |w|
        w.log(succeeded(|s| s.origin = ORIGIN.parse().unwrap()), operator_admin());
    succeeded_by_a_log_without_keys: BadValue "/successor/vkeys", at Limits: |w|
        w.log(succeeded(|s| s.vkeys.clear()), operator_admin());
    a_successors_key_of_another_name: BadValue "/successor/vkeys/0", at Limits: |w|
        w.log(succeeded(|s| s.vkeys[0].name = "other.example/log".parse().unwrap()), operator_admin());
    a_successors_key_that_is_a_witnesss: BadValue "/successor/vkeys/0", at Limits: |w|
        w.log(succeeded(|s| s.vkeys[0].key = NoteKey::Ed25519Cosignature(public("witness"))), operator_admin());
    a_successors_key_twice: BadValue "/successor/vkeys/1", at Limits: |w|
        w.log(succeeded(|s| s.vkeys.push(s.vkeys[0].clone())), operator_admin());

    a_listed_party_registered_a_third_time: PartyExists "/party", at Limits: |w| {
        w.log(listed(VENDOR, PartyKind::Vendor), operator_admin()).unwrap();
        w.log(vendor(), registrars(VENDOR, &["vendor admin"])).unwrap();
        let again = Party { keys: vec![new_key("new admin", Role::Admin, None)], ..vendor() };
        w.log(again, registrars(VENDOR, &["new admin"]))
    };
    full_terms_for_what_is_in_force: BadValue "/terms", at Agreement: |w|
        w.log(Agreement { terms: vec![promotion(AGENCY)], previous: Some(w.agreement), ..agreement() }, agency_and_vendor());
    in_force_again_unchanged: BadValue "/amendment", at Agreement: |w|
        w.log(Agreement { previous: Some(w.agreement), ..agreement() }, agency_and_vendor());
    amended_by_nothing: BadValue "/amendment", at Agreement: |w| amend(w, &[], &[]);
    amended_before_it_began: BadValue "/amendment", at Agency: |w|
        w.log(Agreement { amendment: Some(Amendment { add: vec![promotion(AGENCY)], remove: Vec::new() }), ..agreement() }, agency_and_vendor());
    amended_by_what_was_never_in_force: BadValue "/amendment/remove/0", at Agreement: |w| amend(w, &[], &[promotion(AGENCY)]);
    amended_against_a_stranger: BadValue "/amendment/add/0", at Agreement: |w| amend(w, &[promotion(OPERATOR)], &[]);
    amended_beyond_measure: BadValue "/terms", at Agreement: |w| amend(w, &vec![promotion(AGENCY); 65], &[]);
    a_discount_of_more_than_all: BadValue "/terms/0/percent", at Agency: |w| {
        let term = Term::StaffDiscount { giver: id(VENDOR), receiver: id(AGENCY), product: "doorbell-camera".parse().unwrap(), percent: 101 };
        w.log(Agreement { terms: vec![term], ..agreement() }, agency_and_vendor())
    };
    access_to_no_data: BadValue "/terms/0/records", at Agency: |w| {
        let term = Term::DataAccess { giver: id(VENDOR), receiver: id(AGENCY), records: Vec::new(), by_process_only: true };
        w.log(Agreement { terms: vec![term], ..agreement() }, agency_and_vendor())
    };
    confirming_another_deal: WrongReference "/confirms", at Agreement: |w| {
        let gift = w.log(Benefit::example(), party(VENDOR, "vendor admin")).unwrap();
        let back = Benefit { confirms: Some(gift), giver: id(AGENCY), receiver: id(VENDOR), ..Benefit::example() };
        w.log(back, agency_officer())
    };
    too_many_keys_at_once: BadValue "/keys", at Limits: |w|
        w.log(Party { keys: vec![vendor().keys[0].clone(); 17], ..vendor() }, registrars(VENDOR, &["vendor admin"]));
}
