//! Requests, disclosures and collections that the rules do not permit.

use super::refusals;
use crate::digest::{Digest, StatementId};
use crate::seal::commitment::Commitment;
use crate::statement::kinds::access_request::{AccessRequest, SealedFields};
use crate::statement::kinds::agreement::{Agreement, EndReason, Status};
use crate::statement::kinds::collection::Collection;
use crate::statement::kinds::commitment_batch::CommitmentBatch;
use crate::statement::kinds::disclosure::{Audience, DisclosedClip, Disclosure};
use crate::statement::kinds::party::Party;
use crate::statement::kinds::withdrawal::Withdrawal;
use crate::statement::refusal::{Reason, Refusal};
use crate::statement::rules::seals::SealedField;
use crate::statement::testing::*;
use crate::statement::words::{DataKind, Day, PartyKind, Role};
use crate::time::Time;

fn ask(world: &mut World, alter: impl FnOnce(&mut AccessRequest)) -> Result<StatementId, Refusal> {
    let mut request = world.ask();
    alter(&mut request);
    world.log(request, agency_officer())
}

/// The journey's agreement takes a step with `status`.
fn step(world: &mut World, status: Status) -> Result<StatementId, Refusal> {
    let one_sided = !matches!(status, Status::InForce | Status::Proposed);
    let step = Agreement {
        status,
        previous: Some(world.agreement),
        reason: one_sided.then_some(EndReason::Breach),
        ..agreement()
    };
    world.log(step, agency_and_vendor())
}

fn consent(world: &mut World, alter: impl FnOnce(&mut Disclosure)) -> Result<StatementId, Refusal> {
    let mut disclosure = world.consent(0);
    alter(&mut disclosure);
    world.log(disclosure, resident("another resident"))
}

/// Gives these kinds, with a note.
fn tell(disclosure: &mut Disclosure, gives: Vec<DataKind>) {
    (disclosure.gives, disclosure.note) = (gives, Some(Digest::of("a note")));
}

fn withdraw(world: &mut World) -> Result<StatementId, Refusal> {
    let withdrawal = Withdrawal {
        disclosure: world.disclosure,
    };
    world.log(withdrawal, resident("resident"))
}

fn sealed_until(time: Time) -> SealedFields {
    SealedFields {
        case_number: SealedField {
            digest: attached(&format!("case number until {time}")),
            open_by: Day::of(time),
        },
    }
}

refusals! {
    nowhere: BadValue "/area_m2", at Agreement: |w| ask(w, |r| r.area_m2 = 0);
    an_area_too_large: OutsideLimits "/area_m2", at Agreement: |w| ask(w, |r| r.area_m2 = 1_295_001);
    no_window: BadValue "/window_minutes", at Agreement: |w| ask(w, |r| r.window_minutes = 0);
    a_window_too_long: OutsideLimits "/window_minutes", at Agreement: |w| ask(w, |r| r.window_minutes = 721);
    footage_too_old: OutsideLimits "/footage_age_days", at Agreement: |w| ask(w, |r| r.footage_age_days = 46);
    asking_for_nothing: BadValue "/asks", at Agreement: |w| ask(w, |r| r.asks.clear());
    asking_twice_for_one_kind: BadValue "/asks", at Agreement: |w| ask(w, |r| r.asks = vec![DataKind::Video; 2]);
    asking_out_of_order: BadValue "/asks", at Agreement: |w| ask(w, |r| r.asks.reverse());
    asking_without_the_video: BadValue "/asks", at Agreement: |w| ask(w, |r| r.asks = vec![DataKind::Time]);
    a_deadline_to_the_second: BadValue "/deadline", at Agreement: |w| ask(w, |r| r.deadline = r.deadline.plus_seconds(1));
    too_little_time_to_answer: OutsideLimits "/deadline", at Agreement: |w| {
        let deadline = w.now.plus_seconds(DAY - MINUTE);
        ask(w, |r| r.deadline = deadline)
    };
    a_deadline_passed: OutsideLimits "/deadline", at Agreement: |w| {
        let deadline = w.now;
        ask(w, |r| r.deadline = deadline)
    };
    too_much_time_to_answer: OutsideLimits "/deadline", at Agreement: |w| {
        let deadline = w.now.plus_seconds(14 * DAY + MINUTE);
        ask(w, |r| r.deadline = deadline)
    };
    sealed_until_yesterday: BadValue "/sealed/case_number/open_by", at Agreement: |w| {
        let yesterday = w.now.plus_seconds(-DAY);
        ask(w, |r| r.sealed = sealed_until(yesterday))
    };
    sealed_too_long: OutsideLimits "/sealed/case_number/open_by", at Agreement: |w| {
        let late = w.now.plus_seconds(91 * DAY);
        ask(w, |r| r.sealed = sealed_until(late))
    };

    an_agreement_nobody_made: UnknownReference "/agreement", at Agency: |w| w.log(w.ask(), agency_officer());
    a_batch_for_an_agreement: WrongReference "/agreement", at Batch: |w| {
        w.agreement = w.batch;
        w.log(w.ask(), agency_officer())
    };
    an_agreement_proposed: NoAgreement "/agreement", at Agency: |w| {
        w.agreement = w.log(Agreement { status: Status::Proposed, ..agreement() }, agency_and_vendor()).unwrap();
        w.log(w.ask(), agency_officer())
    };
    an_agreement_suspended: NoAgreement "/agreement", at Agreement: |w| {
        w.agreement = step(w, Status::Suspended).unwrap();
        w.log(w.ask(), agency_officer())
    };
    an_agreement_terminated: NoAgreement "/agreement", at Agreement: |w| {
        w.agreement = step(w, Status::Terminated).unwrap();
        w.log(w.ask(), agency_officer())
    };
    an_agreement_that_moved_on: NoAgreement "/agreement", at Agreement: |w| {
        step(w, Status::Suspended).unwrap();
        w.log(w.ask(), agency_officer())
    };
    the_agreement_of_others: NoAgreement "/agreement", at Agency: |w| {
        let voice = together(&[OPERATOR, VENDOR], &["operator admin", "vendor admin"]);
        w.agreement = w.log(agreement(), voice).unwrap();
        w.log(w.ask(), agency_officer())
    };
    an_agreement_with_a_vendor_that_no_limits_name: NoAgreement "/agreement", at Agency: |w| {
        let other = Party {
            keys: vec![new_key("other admin", Role::Admin, None)],
            ..listed("camera.example", PartyKind::Vendor)
        };
        w.log(other, registrars("camera.example", &["other admin"])).unwrap();
        w.pass(limits().new_key_wait_seconds());
        w.agreement = w.log(agreement(), together(&[AGENCY, "camera.example"], &["agency admin", "other admin"])).unwrap();
        w.log(w.ask(), agency_officer())
    };
    too_many_at_once: TooManyOpen "/investigation", at Agreement: |w| {
        for _ in 0..limits().open_requests {
            w.log(w.ask(), agency_officer()).unwrap();
        }
        w.log(w.ask(), agency_officer())
    };
    too_many_minutes_in_all: OutsideLimits "/window_minutes", at Agreement: |w| {
        for _ in 0..3 {
            ask(w, |r| r.window_minutes = 720).unwrap();
        }
        w.pass(2 * DAY);
        ask(w, |r| r.window_minutes = 1)
    };
    a_seal_long_overdue: SealOverdue "", at Agreement: |w| {
        let today = w.now;
        ask(w, |r| r.sealed = sealed_until(today)).unwrap();
        w.log(w.ask(), agency_officer()).unwrap();
        w.now = Day::of(today).end().plus_seconds(7 * DAY + MINUTE);
        w.log(w.ask(), agency_officer())
    };
    a_recipient_used_before: KeySeenBefore "/recipient", at Request: |w|
        ask(w, |r| r.recipient = recipient("recipient 6"));
    a_scope_used_before: DigestSeenBefore "/scope", at Request: |w| ask(w, |r| r.scope = attached("scope 6"));
    a_scope_that_is_the_message: DigestSeenBefore "/message", at Request: |w| ask(w, |r| r.message = Some(r.scope));
    a_case_number_sealed_before: DigestSeenBefore "/sealed/case_number/digest", at Request: |w|
        ask(w, |r| r.sealed.case_number.digest = attached("case number 6"));
    a_document_that_was_a_scope: DigestSeenBefore "/document", at Request: |w|
        w.log(Agreement { document: Some(attached("scope 6")), ..agreement() }, agency_and_vendor());

    a_batch_too_soon: TooSoon "", at Batch: |w| {
        w.pass(HOUR - MINUTE);
        w.log(batch(), operator_officer())
    };
    a_batch_of_65: BadValue "/size", at Limits: |w| w.log(CommitmentBatch { size: 65, ..batch() }, operator_officer());
    a_batch_of_32: BadValue "/size", at Limits: |w| w.log(CommitmentBatch { size: 32, ..batch() }, operator_officer());
    a_batch_of_two_million: BadValue "/size", at Limits: |w|
        w.log(CommitmentBatch { size: 1 << 21, ..batch() }, operator_officer());

    an_answer_to_nothing: UnknownReference "/request", at Batch: |w| consent(w, |_| ());
    an_answer_to_a_batch: WrongReference "/request", at Request: |w| {
        w.request = w.batch;
        consent(w, |_| ())
    };
    an_answer_too_late: RequestClosed "/request", at Request: |w| {
        w.pass(2 * DAY);
        consent(w, |_| ())
    };
    another_recipient: RecipientMismatch "/recipient", at Request: |w| consent(w, |d| d.recipient = Audience::Agency(recipient("attacker")));
    no_clips: BadValue "/clips", at Request: |w| consent(w, |d| d.clips.clear());
    seventeen_clips: BadValue "/clips", at Request: |w| {
        let clips = (0..17).map(|n| w.clip(n)).collect();
        consent(w, |d| d.clips = clips)
    };
    giving_nothing: BadValue "/gives", at Request: |w| consent(w, |d| d.gives.clear());
    giving_twice: BadValue "/gives", at Request: |w| consent(w, |d| d.gives = vec![DataKind::Video; 2]);
    giving_without_the_video: BadValue "/gives", at Request: |w| consent(w, |d| tell(d, vec![DataKind::Contact]));
    telling_without_a_note: MissingMember "/note", at Request: |w| consent(w, |d| {
        tell(d, vec![DataKind::Contact, DataKind::Video]);
        d.note = None;
    });
    a_note_that_tells_nothing: BadValue "/note", at Request: |w| consent(w, |d| tell(d, vec![DataKind::Video]));
    giving_no_number_of_minutes: MissingMember "/minutes", at Request: |w| consent(w, |d| d.minutes = None);
    an_expiry_to_the_minute: BadValue "/expires", at Request: |w|
        consent(w, |d| d.expires = d.expires.plus_seconds(MINUTE));
    an_expiry_passed: BadValue "/expires", at Request: |w| {
        let now = w.now;
        consent(w, |d| d.expires = now)
    };
    an_expiry_too_late: OutsideLimits "/expires", at Request: |w| {
        let late = w.now.plus_seconds(180 * DAY + HOUR);
        consent(w, |d| d.expires = late)
    };
    a_batch_nobody_made: UnknownReference "/clips/0/batch", at Request: |w|
        consent(w, |d| d.clips[0].batch = StatementId::from_bytes([9; 32]));
    a_request_for_a_batch: WrongReference "/clips/1/batch", at Request: |w| {
        let clip = DisclosedClip { batch: w.request, ..w.clip(1) };
        consent(w, |d| d.clips.push(clip))
    };
    a_commitment_of_nobody: CommitmentNotInBatch "/clips/0/path", at Request: |w|
        consent(w, |d| d.clips[0].commitment = Commitment::from_bytes([99; 32]));
    a_commitment_elsewhere: CommitmentNotInBatch "/clips/0/path", at Request: |w| consent(w, |d| d.clips[0].index = 1);
    a_commitment_past_the_end: CommitmentNotInBatch "/clips/0/path", at Request: |w| consent(w, |d| d.clips[0].index = 64);
    a_path_altered: CommitmentNotInBatch "/clips/0/path", at Request: |w|
        consent(w, |d| d.clips[0].path[5] = Digest::of("another"));
    a_path_too_short: CommitmentNotInBatch "/clips/0/path", at Request: |w|
        consent(w, |d| d.clips[0].path.truncate(5));
    a_path_too_long: CommitmentNotInBatch "/clips/0/path", at Request: |w|
        consent(w, |d| d.clips[0].path.push(Digest::of("one more")));
    a_commitment_disclosed_before: CommitmentSpent "/clips/0/commitment", at Disclosure: |w| consent(w, |_| ());
    a_commitment_disclosed_and_withdrawn: CommitmentSpent "/clips/0/commitment", at Disclosure: |w| {
        withdraw(w).unwrap();
        consent(w, |_| ())
    };
    a_commitment_of_an_equal_batch: CommitmentSpent "/clips/0/commitment", at Disclosure: |w| {
        w.pass(HOUR);
        w.batch = w.log(batch(), operator_officer()).unwrap();
        consent(w, |_| ())
    };
    a_commitment_twice_at_once: CommitmentSpent "/clips/1/commitment", at Request: |w|
        consent(w, |d| d.clips.push(d.clips[0].clone()));

    withdrawn_twice: Withdrawn "/disclosure", at Disclosure: |w| {
        withdraw(w).unwrap();
        w.pass(HOUR);
        withdraw(w)
    };
    collected_after_the_withdrawal: Withdrawn "/disclosure", at Disclosure: |w| {
        withdraw(w).unwrap();
        w.log(w.collect(), agency_officer())
    };
    withdrawn_after_the_collection: AlreadyCollected "/disclosure", at Collection: |w| withdraw(w);
    collected_twice: AlreadyCollected "/disclosure", at Collection: |w| {
        let again = Collection { label: LABELS[1].parse().unwrap(), ..w.collect() };
        w.log(again, party(AGENCY, "agency second officer"))
    };
    collected_too_late: Expired "/disclosure", at Disclosure: |w| {
        w.now = w.consent(0).expires;
        w.log(w.collect(), agency_officer())
    };
    collected_of_a_request: WrongReference "/disclosure", at Request: |w| {
        w.disclosure = w.request;
        w.log(w.collect(), agency_officer())
    };
    a_request_withdrawn: WrongReference "/disclosure", at Request: |w| {
        w.disclosure = w.request;
        withdraw(w)
    };
}
