//! A log with a statement of every type, as bytes, for other people's software:
//! `tests/vectors/statements.jsonl`, described in `docs/PROTOCOL.md`.

use serde_json::{Value, json};

use crate::digest::{Digest, StatementId};
use crate::statement::envelope::Envelope;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::access_request::{AccessRequest, RequestKind};
use crate::statement::kinds::annotation::Annotation;
use crate::statement::kinds::benefit::Benefit;
use crate::statement::kinds::bulletin::Bulletin;
use crate::statement::kinds::custody_report::CustodyReport;
use crate::statement::kinds::decision::{Answer, Decision};
use crate::statement::kinds::delay_order::{DelayOrder, Delayed};
use crate::statement::kinds::demand_response::DemandResponse;
use crate::statement::kinds::disclosure::Audience;
use crate::statement::kinds::erasure::Erasure;
use crate::statement::kinds::insider_access::InsiderAccess;
use crate::statement::kinds::key_change::{KeyChange, RevocationReason, RevokedKey};
use crate::statement::kinds::notice::{Notice, NoticeState};
use crate::statement::kinds::party::{CheckMethod, DomainCheck};
use crate::statement::kinds::party_status::{PartyStatus, StatusChange};
use crate::statement::kinds::release::Release;
use crate::statement::kinds::request_closing::{ClosingOutcome, RequestClosing};
use crate::statement::kinds::unsealing::Unsealing;
use crate::statement::kinds::withdrawal::Withdrawal;
use crate::statement::leaf::Leaf;
use crate::statement::testing::*;
use crate::statement::words::{DataKind, Day, Role};
use crate::statement::{Author, Head, Statement, parse_payload, schema, sign};
use crate::tlog::hash::leaf_hash;
use crate::tlog::tree::LeafIndex;

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/vectors/statements.jsonl"
);

/// Every key that signs one of them.
const KEYS: [&str; 12] = [
    "agency admin",
    "agency new officer",
    "agency officer",
    "agency second officer",
    "agency service",
    "another resident",
    "court admin",
    "court clerk",
    "operator admin",
    "operator officer",
    "resident",
    "vendor admin",
];

/// The journey, then what it lacks of the types there are, all admitted; and an off-log decision.
pub(super) fn story() -> (World, Envelope) {
    let mut world = World::at(Stage::Collection).with_court();
    keys_and_deals(&mut world);
    let asked = generations(&mut world);
    let closing = RequestClosing {
        request: asked,
        outcome: ClosingOutcome::Answered,
    };
    world.log(closing, agency_officer()).unwrap();
    let refusal = Decision {
        request: world.request,
        decision: Answer::Denied,
    };
    let author = Author::OneTimeKey(public("another resident"));
    let decision = sign(
        &world.head(&author),
        &refusal.into(),
        &[&key("another resident")],
    );
    compelled(&mut world);
    remarks(&mut world);
    world.close();
    (world, decision)
}

fn keys_and_deals(world: &mut World) {
    let change = KeyChange {
        party: id(AGENCY),
        add: vec![new_key(
            "agency new officer",
            Role::Officer,
            Some("detective-6"),
        )],
        revoke: vec![RevokedKey {
            key: public("agency second officer"),
            reason: RevocationReason::HolderLeft,
        }],
    };
    let voice = agency_admin().signed_by(&["agency admin", "agency new officer"]);
    world.log(change, voice).unwrap();
    let status = PartyStatus {
        party: id(AGENCY),
        status: StatusChange::Confirmed,
        reason: None,
        domain_check: Some(DomainCheck {
            checked_on: Day::of(world.now),
            method: CheckMethod::DnsTxt,
        }),
    };
    world.log(status, operator_admin()).unwrap();
    let benefit = Benefit {
        agreement: Some(world.agreement),
        ..Benefit::example()
    };
    world.log(benefit, party(VENDOR, "vendor admin")).unwrap();
}

/// A request of each generation; the last is consented to, with a note, and the consent withdrawn.
fn generations(world: &mut World) -> StatementId {
    let kinds = [
        RequestKind::VideoRequest,
        RequestKind::RequestForAssistance,
        RequestKind::CommunityRequest,
    ];
    for (case, kind) in (1..).zip(kinds) {
        let request = AccessRequest {
            kind,
            investigation: format!("{case:032x}").parse().unwrap(),
            ..world.ask()
        };
        world.request = world.log(request, agency_officer()).unwrap();
    }
    let mut disclosure = world.consent(1);
    disclosure.gives = vec![DataKind::Time, DataKind::Video];
    disclosure.note = Some(Digest::of("a note"));
    let asked = world.history.len() - 1;
    disclosure.recipient = Audience::Agency(recipient(&format!("recipient {asked}")));
    let voice = resident("another resident");
    let disclosure = world.log(disclosure, voice.clone()).unwrap();
    world.log(Withdrawal { disclosure }, voice).unwrap();
    world.request
}

fn compelled(world: &mut World) {
    let report = CustodyReport {
        about: world.disclosure,
        effective_on: Day::of(world.now),
        ..CustodyReport::example()
    };
    world.log(report, agency_officer()).unwrap();
    let demand = world.log(world.demand(), agency_officer()).unwrap();
    let order = DelayOrder {
        delays: Delayed::Notice,
        seal: None,
        demand: Some(demand),
        until: Day::of(world.now.plus_seconds(80 * DAY)),
        ..DelayOrder::example()
    };
    world.log(order, clerk()).unwrap();
    let response = DemandResponse {
        demand: Some(demand),
        effective_on: Day::of(world.now),
        ..DemandResponse::example()
    };
    world.log(response, operator_officer()).unwrap();
    let notice = Notice {
        demand,
        state: NoticeState::Sent,
        messages: vec![attached("to an owner")],
        until: None,
        grounds: Vec::new(),
    };
    world.log(notice, operator_officer()).unwrap();
    let access = InsiderAccess {
        effective_on: Day::of(world.now),
        ..InsiderAccess::example()
    };
    world.log(access, operator_officer()).unwrap();
}

fn remarks(world: &mut World) {
    let unsealing = Unsealing {
        seal: attached("case number 6"),
        opening: attached("the case number's opening"),
    };
    world.log(unsealing, agency_officer()).unwrap();
    let bulletin = Bulletin {
        text: attached("an alert"),
        expires: world.now.cut_to_hour().plus_seconds(DAY),
        ..Bulletin::example()
    };
    world.log(bulletin, agency_officer()).unwrap();
    let annotation = Annotation {
        about: world.agreement,
        attachments: vec![attached("a remark")],
        ..Annotation::example()
    };
    world
        .log(annotation, party(VENDOR, "vendor admin"))
        .unwrap();
    let erasure = Erasure {
        digest: attached("message 6"),
        ..Erasure::example()
    };
    world.log(erasure, operator_admin()).unwrap();
    world.log(Release::example(), operator_admin()).unwrap();
}

/// What a vector tells of an envelope, beside its place in the log.
fn told(envelope: &Envelope) -> Value {
    let payload = std::str::from_utf8(&envelope.payload).unwrap();
    let named = |key| KEYS.into_iter().find(|name| public(name) == key).unwrap();
    let keys: Vec<&str> = envelope
        .signatures
        .iter()
        .map(|(key, _)| named(*key))
        .collect();
    json!({
        "type": serde_json::from_str::<Value>(payload).unwrap()["type"],
        "keys": keys,
        "payload": payload,
        "id": StatementId::of_payload(&envelope.payload),
        "envelope": serde_json::from_slice::<Value>(&envelope.to_json()).unwrap(),
    })
}

fn vectors() -> Vec<Value> {
    let (world, decision) = story();
    let mut all: Vec<Value> = Vec::new();
    for (index, (logged_at, signed)) in world.history.into_iter().enumerate() {
        let mut vector = told(&signed.envelope);
        let envelope = signed.envelope;
        let leaf = Leaf {
            logged_at,
            envelope,
        }
        .to_bytes();
        vector["index"] = json!(index);
        vector["leaf_hash"] = json!(hex::encode(leaf_hash(&leaf).as_bytes()));
        vector["leaf"] = json!(String::from_utf8(leaf).unwrap());
        all.push(vector);
    }
    all.push(told(&decision));
    all
}

/// `WHOSAW_BLESS=1 cargo test vectors_are_fresh` writes them anew.
#[test]
fn vectors_are_fresh() {
    let lines = vectors();
    let types: Vec<&str> = lines.iter().map(|v| v["type"].as_str().unwrap()).collect();
    let never: Vec<_> = Statement::NAMES
        .iter()
        .filter(|n| !types.contains(n))
        .collect();
    assert_eq!(never, Vec::<&&str>::new());
    let text: String = lines.iter().map(|vector| format!("{vector}\n")).collect();
    if std::env::var_os("WHOSAW_BLESS").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(FILE).unwrap() == text,
        "{FILE} is stale"
    );
}

/// A history that anybody can replay from the file alone.
#[test]
fn vectors_are_a_log_that_the_rules_admit() {
    let mut world = World::at(Stage::Empty);
    for line in std::fs::read_to_string(FILE).unwrap().lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let Some(leaf) = vector["leaf"].as_str() else {
            continue;
        };
        let leaf = Leaf::parse(leaf.as_bytes()).unwrap();
        world.now = leaf.logged_at;
        assert_eq!(
            world.next(),
            LeafIndex::new(vector["index"].as_u64().unwrap())
        );
        let signed = crate::statement::Signed::from_envelope(leaf.envelope).unwrap();
        world.log_signed(signed).unwrap();
    }
    assert!(world.history.len() > 25);
}

/// Each member in turn: left out, of another JSON type, too long, out of its range, and something
/// beside it; each with its place.
fn variants(value: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let others = |value: &Value| match value {
        Value::String(text) => vec![
            Value::Null,
            json!(7),
            json!([text]),
            json!(format!("{text}; and what they said of it")),
            json!(""),
        ],
        Value::Number(_) => vec![
            Value::Null,
            json!("7"),
            json!(-1),
            json!(1.5),
            json!(1_u64 << 60),
        ],
        Value::Bool(_) => vec![Value::Null, json!(1), json!("true")],
        Value::Array(_) => vec![Value::Null, json!({}), json!("x"), json!([null])],
        _ => vec![Value::Null, json!([]), json!("x")],
    };
    match value {
        Value::Object(members) => {
            let mut more = members.clone();
            more.insert("surplus".to_owned(), json!(1));
            all.push(("/surplus".to_owned(), Value::Object(more)));
            for (name, member) in members {
                let within = variants(member).into_iter();
                let whole = others(member).into_iter().map(|o| (String::new(), o));
                for (place, other) in within.chain(whole) {
                    let mut altered = members.clone();
                    altered.insert(name.clone(), other);
                    all.push((format!("/{name}{place}"), Value::Object(altered)));
                }
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                for (place, other) in variants(item) {
                    let mut altered = items.clone();
                    altered[i] = other;
                    all.push((format!("/{i}{place}"), Value::Array(altered)));
                }
            }
        }
        _ => {}
    }
    all
}

/// What a schema refuses, the parser refuses too, but for what the rules refuse: times that are not
/// cut, and other logs.
#[test]
fn vectors_fit_their_schemas_and_no_variant_does() {
    let schemas: std::collections::BTreeMap<_, _> = schema::all().into_iter().collect();
    let mut tried = 0;
    for vector in vectors() {
        let name = vector["type"].as_str().unwrap();
        let schema = &schemas[name];
        let validator = jsonschema::draft202012::new(schema).unwrap();
        let payload: Value = serde_json::from_str(vector["payload"].as_str().unwrap()).unwrap();
        if let Err(error) = validator.validate(&payload) {
            panic!("{name}: {error}");
        }
        let parses = |value: &Value| parse_payload(&crate::statement::canonical::to_vec(value));
        assert!(parses(&payload).is_ok());
        for (place, altered) in variants(&payload) {
            tried += 1;
            assert!(!validator.is_valid(&altered), "{name}{place}: {altered}");
            // Any text names a log; that it is this one is the rules' business.
            let refused = parses(&altered).is_err() || place == "/log";
            assert!(refused, "{name}{place}: {altered}");
        }
        for required in schema["required"].as_array().unwrap() {
            let mut altered = payload.clone();
            altered
                .as_object_mut()
                .unwrap()
                .remove(required.as_str().unwrap());
            assert!(!validator.is_valid(&altered), "{name} without {required}");
            assert!(parses(&altered).is_err(), "{name} without {required}");
        }
        let mut exact = payload.clone();
        exact["issued_at"] = json!("2019-07-31T14:05:07Z");
        assert!(!validator.is_valid(&exact), "{name} to the second");
        let (head, _): (Head, _) = parses(&payload).unwrap();
        exact["issued_at"] = json!("2019-07-31T14:05:00Z");
        let by_resident = matches!(head.author, Author::OneTimeKey(_));
        assert_eq!(
            validator.is_valid(&exact),
            !by_resident,
            "{name} to the minute"
        );
    }
    assert!(tried > 1000, "{tried}");
}
