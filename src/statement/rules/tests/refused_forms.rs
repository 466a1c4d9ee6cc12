//! Statements that are none, are not bound to this log, or come at the wrong time.

use serde_json::{Value, json};

use super::refusals;
use crate::digest::{Digest, StatementId};
use crate::encoding::base64;
use crate::statement::canonical;
use crate::statement::envelope::{Envelope, MAX_PAYLOAD};
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::agreement::Agreement;
use crate::statement::kinds::benefit::Benefit;
use crate::statement::kinds::collection::Collection;
use crate::statement::kinds::decision::Decision;
use crate::statement::kinds::party::Party;
use crate::statement::refusal::{Reason, Refusal};
use crate::statement::testing::*;
use crate::statement::words::PartyKind;
use crate::statement::{Signed, Statement, sign};

/// A commitment batch with its payload altered before it is signed.
fn altered(world: &mut World, alter: impl FnOnce(&mut Value)) -> Result<StatementId, Refusal> {
    let head = world.head(&operator_officer().author);
    let mut value = serde_json::from_slice(&sign(&head, &batch().into(), &[]).payload).unwrap();
    alter(&mut value);
    world.log_payload(canonical::to_vec(&value), &["operator officer"])
}

/// A commitment batch with its envelope altered after it is signed.
fn resealed(world: &mut World, alter: impl FnOnce(&mut Value)) -> Result<StatementId, Refusal> {
    let head = world.head(&operator_officer().author);
    let envelope = sign(&head, &batch().into(), &[&key("operator officer")]);
    let mut value = serde_json::from_slice(&envelope.to_json()).unwrap();
    alter(&mut value);
    world.log_signed(Signed::read(&serde_json::to_vec(&value).unwrap())?)
}

fn read(bytes: &[u8]) -> Result<StatementId, Refusal> {
    Signed::read(bytes).map(|signed| signed.id)
}

refusals! {
    an_envelope_past_a_leaf: TooLarge "", at Limits: |_w| read(&[b' '; 65_472]);
    a_payload_past_its_limit: TooLarge "/payload", at Limits: |w|
        w.log_payload(vec![b' '; MAX_PAYLOAD + 1], &["operator officer"]);
    no_json_at_all: NotJson "", at Limits: |_w| read(b"{");
    a_payload_of_prose: NotJson "", at Limits: |w|
        w.log_payload(b"we ask for footage".to_vec(), &["operator officer"]);
    a_payload_that_is_an_array: NotJson "", at Limits: |w|
        w.log_payload(b"[]".to_vec(), &["operator officer"]);
    a_payload_in_loose_spelling: NotCanonical "", at Limits: |w|
        w.log_payload(b"{ }".to_vec(), &["operator officer"]);
    an_absent_member_as_null: NotCanonical "", at Limits: |w| altered(w, |v| v["issuer_key"] = Value::Null);
    a_surplus_member: UnknownMember "/surplus", at Limits: |w| altered(w, |v| v["surplus"] = json!(1));
    a_surplus_member_of_the_envelope: UnknownMember "/surplus", at Limits: |w|
        resealed(w, |v| v["surplus"] = json!(1));
    a_surplus_member_further_in: UnknownMember "/signatures/0/alg~1v", at Limits: |w|
        resealed(w, |v| v["signatures"][0]["alg/v"] = json!(1));
    a_missing_member: MissingMember "/size", at Limits: |w|
        altered(w, |v| drop(v.as_object_mut().unwrap().remove("size")));
    a_missing_common_member: MissingMember "/log", at Limits: |w|
        altered(w, |v| drop(v.as_object_mut().unwrap().remove("log")));
    a_missing_member_of_the_envelope: MissingMember "/signatures", at Limits: |w|
        resealed(w, |v| drop(v.as_object_mut().unwrap().remove("signatures")));
    a_benefit_of_nothing: MissingMember "/count", at Agreement: |w|
        w.log(Benefit { amount: None, ..Benefit::example() }, party(VENDOR, "vendor admin"));
    a_value_of_another_form: BadValue "/root", at Limits: |w| altered(w, |v| v["root"] = json!("00"));
    a_fraction: BadValue "/size", at Limits: |w| altered(w, |v| v["size"] = json!(64.5));
    a_number_past_53_bits: BadValue "/size", at Limits: |w| altered(w, |v| v["size"] = json!(1u64 << 53));
    a_negative_number: BadValue "/size", at Limits: |w| altered(w, |v| v["size"] = json!(-64));
    one_party_as_several: BadValue "/parties", at Limits: |w| altered(w, |v| {
        v.as_object_mut().unwrap().remove("issuer");
        v["parties"] = json!([OPERATOR]);
    });
    parties_out_of_order: BadValue "/parties", at Limits: |w| altered(w, |v| {
        v.as_object_mut().unwrap().remove("issuer");
        v["parties"] = json!([OPERATOR, AGENCY]);
    });
    two_authors: WrongAuthor "", at Limits: |w| altered(w, |v| v["issuer_key"] = json!(public("resident")));
    no_author: WrongAuthor "", at Limits: |w|
        altered(w, |v| drop(v.as_object_mut().unwrap().remove("issuer")));
    an_unknown_type: UnknownType "/type", at Limits: |w| altered(w, |v| v["type"] = json!("visit"));
    another_version: UnknownType "/type", at Limits: |w| altered(w, |v| v["version"] = json!(2));
    a_decision_in_the_log: UnknownType "/type", at Request: |w|
        w.log(Decision { request: w.request, ..Decision::example() }, resident("resident"));
    another_payload_type: WrongPayloadType "/payloadType", at Limits: |w|
        resealed(w, |v| v["payloadType"] = json!("application/json"));

    bound_to_another_log: WrongLog "/log", at Limits: |w|
        w.log_with(batch(), operator_officer(), |head| head.log.push('2'));
    issued_at_a_second: WrongTime "/issued_at", at Limits: |w|
        w.log_with(batch(), operator_officer(), |head| head.issued_at = head.issued_at.plus_seconds(1));
    issued_too_long_ago: WrongTime "/issued_at", at Limits: |w|
        w.log_with(batch(), operator_officer(), |head| head.issued_at = head.issued_at.plus_seconds(-7 * DAY - MINUTE));
    issued_in_the_future: WrongTime "/issued_at", at Limits: |w|
        w.log_with(batch(), operator_officer(), |head| head.issued_at = head.issued_at.plus_seconds(6 * MINUTE));
    issued_by_a_resident_at_a_minute: WrongTime "/issued_at", at Request: |w|
        w.log_with(w.consent(0), resident("resident"), |head| head.issued_at = head.issued_at.plus_seconds(-MINUTE));
    issued_by_a_resident_too_long_ago: WrongTime "/issued_at", at Request: |w|
        w.log_with(w.consent(0), resident("resident"), |head| head.issued_at = head.issued_at.plus_seconds(-7 * DAY - HOUR));
    issued_by_a_resident_in_the_future: WrongTime "/issued_at", at Request: |w|
        w.log_with(w.consent(0), resident("resident"), |head| head.issued_at = head.issued_at.plus_seconds(HOUR));

    altered_after_signing: BadSignature "/signatures/0/sig", at Limits: |w|
        resealed(w, |v| v["signatures"][0]["sig"] = json!(base64([1; 64])));
    signed_by_no_key: BadKey "/signatures/0/keyid", at Limits: |w|
        resealed(w, |v| v["signatures"][0]["keyid"] = json!("operator"));
    signed_twice_by_one_key: SignatureOrder "/signatures/1/keyid", at Limits: |w| resealed(w, |v| {
        let first = v["signatures"][0].clone();
        v["signatures"].as_array_mut().unwrap().push(first);
    });
    signed_by_nobody: MissingSignature "/signatures", at Limits: |w| w.log(batch(), operator_officer().signed_by(&[]));

    a_log_that_begins_with_limits: NotGenesis "/type", at Empty: |w| w.log(limits(), operator_admin());
    a_log_that_goes_on_without_limits: NotGenesis "/type", at Operator: |w| w.log(vendor(), registrars(VENDOR, &["vendor admin"]));
    a_second_beginning: BadValue "/kind", at Limits: |w| {
        let other = Party { kind: PartyKind::Operator, ..vendor() };
        w.log(other, registrars(VENDOR, &["vendor admin"]))
    };
    a_beginning_by_an_agency: BadValue "/kind", at Empty: |w|
        w.log(agency(), agency_admin().signed_by(&AGENCY_KEYS));
    the_same_again: AlreadyLogged "", at Agreement: |w| {
        let again = w.history[4].1.clone();
        w.log_signed(again)
    };
    the_same_again_under_another_of_its_keys: AlreadyLogged "", at Disclosure: |w| {
        let taken = w.log(w.collect(), agency_officer()).map(|_| w.history.len() - 1).unwrap();
        let payload = w.history[taken].1.envelope.payload.clone();
        w.log_payload(payload, &["agency second officer"])
    };
    collected_of_nothing: UnknownReference "/disclosure", at Request: |w|
        w.log(Collection { disclosure: StatementId::from_bytes(*Digest::of("x").as_bytes()), ..w.collect() }, agency_officer());
}

/// Why a request is refused whose payload's JSON was altered as text.
fn respelt(from: &str, to: &str) -> Refusal {
    let mut world = World::at(Stage::Agreement);
    let voice = agency_officer();
    let payload = sign(&world.head(&voice.author), &world.ask().into(), &[]).payload;
    let text = String::from_utf8(payload).unwrap();
    let other = text.replacen(from, to, 1);
    assert_ne!(other, text);
    let logged = world.log_payload(other.into_bytes(), &voice.keys);
    logged.expect_err("refused")
}

/// Why a statement is refused in whose payload one value was replaced.
fn replaced(statement: Statement, voice: &Voice, pointer: &str, value: Value) -> Refusal {
    let mut world = World::at(Stage::Agreement);
    let payload = sign(&world.head(&voice.author), &statement, &[]).payload;
    let mut payload: Value = serde_json::from_slice(&payload).unwrap();
    let (object, member) = pointer.rsplit_once('/').unwrap();
    match payload.pointer_mut(object).unwrap() {
        Value::Object(members) => drop(members.insert(member.to_owned(), value)),
        array => array[member.parse::<usize>().unwrap()] = value,
    }
    let logged = world.log_payload(canonical::to_vec(&payload), &voice.keys);
    logged.expect_err("refused")
}

#[test]
fn loose_json_is_not_canonical() {
    let area = "\"area_m2\":250000,";
    for (from, to) in [
        (area, "\"area_m2\": 250000,"),
        (area, "\"area_m2\":250000,\"area_m2\":250000,"),
        (area, "\"area_m2\":1,\"area_m2\":250000,"),
        (area, "\"area_m\\u0032\":250000,"),
        ("{\"digest\":", "{\"digest\":\"\",\"digest\":"),
        ("\"version\":1,", "\"version\":1,\"version\":1,"),
        ("\"window_minutes\":120}", "\"window_minutes\":120}\n"),
        (
            "\"type\":\"access-request\",\"version\":1,",
            "\"version\":1,\"type\":\"access-request\",",
        ),
    ] {
        let refusal = respelt(from, to);
        assert_eq!(refusal.reason, Reason::NotCanonical, "{to}: {refusal}");
    }
    for number in ["250000.0", "2.5e5", "-0", "9007199254740993", "1e999"] {
        let refusal = respelt("250000", number);
        assert!(
            matches!(refusal.reason, Reason::BadValue | Reason::NotJson),
            "{number}: {refusal}"
        );
    }
}

#[test]
fn structures_as_arrays_and_absent_members_as_null_are_not_canonical() {
    let ask = World::at(Stage::Agreement).ask();
    let case = &ask.sealed.case_number;
    let in_arrays = [
        ("/sealed", json!([case])),
        ("/sealed/case_number", json!([case.digest, case.open_by])),
    ];
    for (pointer, value) in in_arrays {
        let refusal = replaced(ask.clone().into(), &agency_officer(), pointer, value);
        assert_eq!(refusal.reason, Reason::NotCanonical, "{pointer}: {refusal}");
    }
    let voice = agency_and_vendor();
    for (pointer, value) in [
        ("/previous", Value::Null),
        ("/document", Value::Null),
        ("/issuer", Value::Null),
        ("/terms/0", json!(["promotion", AGENCY, "camera"])),
        (
            "/terms/0",
            json!(["promotion", {"bound": AGENCY, "product": "camera"}]),
        ),
    ] {
        let refusal = replaced(Agreement::example().into(), &voice, pointer, value);
        assert!(
            matches!(refusal.reason, Reason::NotCanonical | Reason::BadValue),
            "{pointer}: {refusal}"
        );
    }
    let surplus = json!({"kind": "promotion", "bound": AGENCY, "product": "camera", "fee": 1});
    let refusal = replaced(Agreement::example().into(), &voice, "/terms/0", surplus);
    assert_eq!(
        (refusal.reason, refusal.member.as_str()),
        (Reason::UnknownMember, "/terms/0/fee")
    );
}

#[test]
fn deep_json_is_refused() {
    let depth = MAX_PAYLOAD / 16;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let mut world = World::at(Stage::Limits);
        let logged = world.log_payload(nested.into_bytes(), &["operator officer"]);
        assert_eq!(logged.unwrap_err().reason, Reason::NotJson);
    }
}

/// An entry that breaks the rules changes nothing: a log whose entry 0 or 1 was refused never begins.
#[test]
fn nothing_later_begins_a_log() {
    let mut world = World::at(Stage::Operator);
    let founding = world.history[0].clone();
    let mut limits_late = world.clone();
    limits_late.history.push(founding.clone());
    let refusal = limits_late.log(limits(), operator_admin()).unwrap_err();
    assert_eq!(refusal.reason, Reason::NotGenesis);

    world = World::at(Stage::Empty);
    world.history = vec![founding.clone(), founding];
    let refusal = world.log(operator(), operator_founding()).unwrap_err();
    assert_eq!(refusal.reason, Reason::NotGenesis);
}

#[test]
fn clocks_may_differ_a_little() {
    for (seconds, age) in [(-7 * DAY, "7 days"), (5 * MINUTE, "5 minutes ahead")] {
        let mut world = World::at(Stage::Agreement);
        let logged = world.log_with(batch(), operator_officer(), |head| {
            head.issued_at = head.issued_at.plus_seconds(seconds);
        });
        assert!(logged.is_ok(), "{age}");
    }
    // A resident whose hour begins within the five minutes.
    let mut world = World::at(Stage::Request);
    world.pass(55 * MINUTE);
    let hour_to_come = world.now.plus_seconds(5 * MINUTE);
    let logged = world.log_with(world.consent(0), resident("resident"), |head| {
        head.issued_at = hour_to_come;
    });
    assert!(logged.is_ok());
}

#[test]
fn an_envelope_is_logged_as_it_was_signed() {
    let world = World::at(Stage::Collection);
    for (_, signed) in &world.history {
        assert_eq!(
            Envelope::parse(&signed.envelope.to_json()),
            Ok(signed.envelope.clone())
        );
    }
}
