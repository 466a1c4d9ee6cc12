//! What strangers send: each fault gets its own answer, a problem that names the member, and the log
//! stays as it was.

use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use whosaw::digest::{Digest, StatementId};
use whosaw::encoding::{base64, base64url};
use whosaw::party::agency::NewRequest;
use whosaw::party::home::Home;
use whosaw::statement::canonical;
use whosaw::statement::envelope::{Envelope, MAX_ENVELOPE, MAX_PAYLOAD, PAYLOAD_TYPE};
use whosaw::statement::key::PublicKey;
use whosaw::statement::kinds::Kind as _;
use whosaw::statement::kinds::access_request::{AccessRequest, SealedField, SealedFields};
use whosaw::statement::kinds::agreement::Agreement;
use whosaw::statement::kinds::collection::Collection;
use whosaw::statement::kinds::disclosure::Disclosure;
use whosaw::statement::kinds::key_change::KeyChange;
use whosaw::statement::kinds::party::NewKey;
use whosaw::statement::scope::Scope;
use whosaw::statement::sealed::{AttachmentValue, Opening, SealDigest};
use whosaw::statement::words::{Day, Role};
use whosaw::statement::{Author, Head, Statement, payload, sign};
use whosaw::time::{Clock, Time};

use super::http::{Answer, Call};
use super::ledger::{
    AGENCY, Ledger, ORIGIN, VENDOR, benefit, head_of, proven, signed_benefit, submission,
};

/// A ledger with parties, from which valid statements and calls are made, to be spoiled.
struct World {
    ledger: Ledger,
    vendor: Home,
    agency: Home,
    agreement: StatementId,
}

impl World {
    fn new() -> Self {
        // No batch comes between: the log grows by what these tests send, or not at all.
        let ledger = Ledger::start(|limits| limits.batch_seconds = 86_400);
        let agreement = ledger.settle();
        Self {
            vendor: ledger.home("vendor"),
            agency: ledger.home("agency"),
            agreement,
            ledger,
        }
    }

    /// A valid envelope with its JSON changed.
    fn envelope(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut envelope = serde_json::from_slice(&signed_benefit(&self.vendor).to_json()).unwrap();
        change(&mut envelope);
        serde_json::to_vec(&envelope).unwrap()
    }

    /// A payload with its members changed, canonical and signed by the vendor's officer.
    fn payload(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let statement: Statement = benefit().into();
        let mut members = serde_json::from_slice(&payload(&head_of(VENDOR), &statement)).unwrap();
        change(&mut members);
        self.bytes(canonical::to_vec(&members))
    }

    /// A payload with its text changed, signed by the vendor's officer.
    fn text(&self, change: impl FnOnce(String) -> String) -> Vec<u8> {
        let bytes = payload(&head_of(VENDOR), &benefit().into());
        let text = String::from_utf8(bytes).unwrap();
        let changed = change(text.clone());
        assert_ne!(changed, text, "a change that changes something");
        self.bytes(changed.into_bytes())
    }

    /// Any bytes as a payload, signed by the vendor's officer.
    fn bytes(&self, payload: Vec<u8>) -> Vec<u8> {
        Envelope::sign(payload, &[&officer(&self.vendor)]).to_json()
    }

    /// A benefit signed by these keys.
    fn benefit_by(&self, keys: &[&SigningKey]) -> Vec<u8> {
        sign(&head_of(VENDOR), &benefit().into(), keys).to_json()
    }

    /// An attachment, uploaded.
    fn attach(&self, bytes: &[u8], media_type: &str) -> SealDigest {
        let upload = Upload::of(bytes, media_type);
        let answer = upload
            .call()
            .signed(&service(&self.agency), self.ledger.authority());
        assert_eq!(self.ledger.send(&answer).status, 201);
        upload.opening.digest()
    }

    /// A request of the agency that would be admitted, with its scope uploaded.
    fn good_request(&self) -> AccessRequest {
        self.request_with_scope(&geojson(SQUARE, &window(-60, -30)), "application/geo+json")
    }

    fn request_with_scope(&self, scope: &str, media_type: &str) -> AccessRequest {
        let now = Clock::system().now();
        let sealed = NewRequest::draw("2019-001234").unwrap();
        AccessRequest {
            agreement: self.agreement,
            investigation: whosaw::encoding::hex(whosaw::random::bytes::<16>())
                .parse()
                .unwrap(),
            area_m2: 1_000_000,
            window_minutes: 60,
            footage_age_days: 1,
            deadline: now.plus_seconds(3600).cut_to_minute(),
            scope: self.attach(scope.as_bytes(), media_type),
            message: None,
            recipient: sealed.recipient.clone(),
            sealed: SealedFields {
                case_number: SealedField {
                    digest: sealed.case_number.digest(),
                    open_by: Day::of(now.plus_seconds(30 * 86_400)),
                },
            },
            ..AccessRequest::example()
        }
    }

    /// A request with a change, signed by the agency's officer.
    fn request(&self, change: impl FnOnce(&mut AccessRequest)) -> Vec<u8> {
        let mut request = self.good_request();
        change(&mut request);
        sign(&head_of(AGENCY), &request.into(), &[&officer(&self.agency)]).to_json()
    }

    /// A request with this scope.
    fn scoped(&self, ring: &str, properties: &str) -> Vec<u8> {
        self.attached(&geojson(ring, properties), "application/geo+json")
    }

    fn attached(&self, scope: &str, media_type: &str) -> Vec<u8> {
        let request = self.request_with_scope(scope, media_type);
        sign(&head_of(AGENCY), &request.into(), &[&officer(&self.agency)]).to_json()
    }

    /// A disclosure that would be well formed, by a key used once.
    fn disclosure(&self) -> Vec<u8> {
        let key = stranger();
        let head = Head {
            log: ORIGIN.to_owned(),
            issued_at: Clock::system().now().cut_to_hour(),
            author: Author::OneTimeKey(PublicKey::from(&key)),
        };
        sign(&head, &Disclosure::example().into(), &[&key]).to_json()
    }
}

fn officer(home: &Home) -> SigningKey {
    home.key(Role::Officer).unwrap()
}

fn service(home: &Home) -> SigningKey {
    home.key(Role::Service).unwrap()
}

fn stranger() -> SigningKey {
    SigningKey::from_bytes(&whosaw::random::bytes())
}

/// A square of about 100 metres.
const SQUARE: &str = "[[0.0,0.0],[0.001,0.0],[0.001,0.001],[0.0,0.001],[0.0,0.0]]";

fn geojson(ring: &str, properties: &str) -> String {
    format!(
        r#"{{"type":"Feature","geometry":{{"type":"Polygon","coordinates":[{ring}]}},"properties":{properties}}}"#
    )
}

/// A window between two times in minutes from now.
fn window(from: i64, until: i64) -> String {
    let now = Clock::system().now().cut_to_minute();
    let at = |minutes: i64| now.plus_seconds(minutes * 60);
    format!(r#"{{"from":"{}","until":"{}"}}"#, at(from), at(until))
}

/// A key that everybody who can add points knows how to sign for only with cofactor: A = aB + T,
/// where T has order eight. The signature holds for the equation times eight, and not for the
/// equation.
fn cofactored() -> Vec<u8> {
    let bytes = payload(&head_of(VENDOR), &benefit().into());
    let head = format!(
        "DSSEv1 {} {PAYLOAD_TYPE} {} ",
        PAYLOAD_TYPE.len(),
        bytes.len()
    );
    let message = [head.as_bytes(), &bytes].concat();
    let secret = Scalar::from(0x5eed_u64);
    let key: EdwardsPoint = ED25519_BASEPOINT_TABLE * &secret + EIGHT_TORSION[1];
    let crafted = (1_u64..).map(Scalar::from).find_map(|nonce| {
        let r: EdwardsPoint = ED25519_BASEPOINT_TABLE * &nonce;
        let hash = Sha512::new()
            .chain_update(r.compress().as_bytes())
            .chain_update(key.compress().as_bytes())
            .chain_update(&message);
        let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let s = nonce + challenge * secret;
        let rest = ED25519_BASEPOINT_TABLE * &s - r - challenge * key;
        assert!(rest.mul_by_cofactor().is_identity());
        (!rest.is_identity()).then_some((r, s))
    });
    let (r, s) = crafted.unwrap();
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r.compress().as_bytes());
    signature[32..].copy_from_slice(s.as_bytes());
    let key = PublicKey::from_bytes(key.compress().to_bytes()).unwrap();
    Envelope {
        payload: bytes,
        signatures: vec![(key, signature)],
    }
    .to_json()
}

/// An attachment and its opening.
struct Upload {
    opening: Opening,
    bytes: Vec<u8>,
}

impl Upload {
    fn of(bytes: &[u8], media_type: &str) -> Self {
        let value = AttachmentValue {
            sha256: Digest::of(bytes),
            size: bytes.len() as u64,
            media_type: media_type.parse().unwrap(),
        };
        Self {
            opening: Opening::attachment(&whosaw::random::bytes::<16>(), &value).unwrap(),
            bytes: bytes.to_vec(),
        }
    }

    fn call(&self) -> Call {
        let path = format!("/attachments/{}", self.opening.digest());
        Call::new("PUT", path, self.bytes.clone()).with("whosaw-opening", self.opening.encode())
    }
}

/// Name, body, and the answer: status, code and member.
type Bad = (
    &'static str,
    fn(&World) -> Vec<u8>,
    u16,
    &'static str,
    &'static str,
);

const OF_FORM: &[Bad] = &[
    ("nothing", |_| Vec::new(), 400, "not-json", ""),
    (
        "no JSON",
        |_| b"GET / HTTP/1.1".to_vec(),
        400,
        "not-json",
        "",
    ),
    ("no UTF-8", |_| vec![0xff; 100], 400, "not-json", ""),
    ("null", |_| b"null".to_vec(), 400, "bad-value", ""),
    (
        "half an envelope",
        |w| {
            let b = w.envelope(|_| {});
            b[..b.len() / 2].to_vec()
        },
        400,
        "not-json",
        "/payload",
    ),
    (
        "all but the last byte",
        |w| {
            let b = w.envelope(|_| {});
            b[..b.len() - 1].to_vec()
        },
        400,
        "not-json",
        "",
    ),
    (
        "two envelopes",
        |w| w.envelope(|_| {}).repeat(2),
        400,
        "not-json",
        "",
    ),
    (
        "a byte more than an envelope has",
        |w| {
            let mut b = w.envelope(|_| {});
            b.resize(MAX_ENVELOPE + 1, b' ');
            b
        },
        413,
        "too-large",
        "",
    ),
    ("a megabyte", |_| vec![b' '; 1 << 20], 413, "too-large", ""),
    (
        "a large payload",
        |w| w.bytes(vec![b' '; MAX_PAYLOAD + 1]),
        413,
        "too-large",
        "/payload",
    ),
    (
        "an array for the envelope",
        |w| {
            let mut a = Value::Null;
            w.envelope(|e| a = json!([e["payload"], e["payloadType"], e["signatures"]]));
            a.to_string().into_bytes()
        },
        400,
        "not-canonical",
        "",
    ),
    (
        "a surplus member",
        |w| w.envelope(|e| e["url"] = json!(1)),
        400,
        "unknown-member",
        "/url",
    ),
    (
        "a surplus member of a signature",
        |w| w.envelope(|e| e["signatures"][0]["cert"] = json!("x")),
        400,
        "unknown-member",
        "/signatures/0/cert",
    ),
    (
        "no payload",
        |w| {
            w.envelope(|e| {
                e.as_object_mut().unwrap().remove("payload");
            })
        },
        400,
        "missing-member",
        "/payload",
    ),
    (
        "a member of the envelope twice",
        |w| {
            String::from_utf8(w.envelope(|_| {}))
                .unwrap()
                .replacen('{', "{\"payload\":\"e30=\",", 1)
                .into_bytes()
        },
        400,
        "bad-value",
        "",
    ),
    (
        "a payload that is no base64",
        |w| w.envelope(|e| e["payload"] = json!("{}")),
        400,
        "bad-value",
        "/payload",
    ),
    (
        "a payload without padding",
        |w| w.envelope(|e| e["payload"] = json!("e30")),
        400,
        "bad-value",
        "/payload",
    ),
    (
        "another payload type",
        |w| w.envelope(|e| e["payloadType"] = json!("application/json")),
        400,
        "wrong-payload-type",
        "/payloadType",
    ),
    (
        "deep nesting around",
        |_| b"[".repeat(60_000),
        400,
        "bad-value",
        "/0",
    ),
    (
        "deep nesting in a member",
        |_| br#"{"a":"#.repeat(10_000),
        400,
        "unknown-member",
        "/a",
    ),
    (
        "deep nesting in the payload",
        |w| w.bytes(b"[".repeat(30_000)),
        400,
        "not-json",
        "",
    ),
    (
        "deep nesting of objects in the payload",
        |w| w.bytes([br#"{"a":"#.repeat(5000), b"1".to_vec(), b"}".repeat(5000)].concat()),
        400,
        "not-json",
        "",
    ),
    (
        "a payload that is no object",
        |w| w.bytes(b"[]".to_vec()),
        400,
        "not-json",
        "",
    ),
    (
        "an empty payload",
        |w| w.bytes(Vec::new()),
        400,
        "not-json",
        "",
    ),
    (
        "a surplus member of the payload",
        |w| w.payload(|p| p["note"] = json!("x")),
        400,
        "unknown-member",
        "/note",
    ),
    (
        "a surplus member within",
        |w| w.payload(|p| p["amount"]["note"] = json!("x")),
        400,
        "unknown-member",
        "/amount/note",
    ),
    (
        "a member missing",
        |w| {
            w.payload(|p| {
                p.as_object_mut().unwrap().remove("giver");
            })
        },
        400,
        "missing-member",
        "/giver",
    ),
    (
        "null for an absent member",
        |w| w.payload(|p| p["item"] = Value::Null),
        400,
        "not-canonical",
        "",
    ),
    (
        "an array for a structure",
        |w| w.payload(|p| p["amount"] = json!(["USD", 1])),
        400,
        "not-canonical",
        "",
    ),
    (
        "white space in the payload",
        |w| w.text(|t| t.replacen(':', ": ", 1)),
        400,
        "not-canonical",
        "",
    ),
    (
        "white space after the payload",
        |w| w.text(|t| t + "\n"),
        400,
        "not-canonical",
        "",
    ),
    (
        "members in another order",
        |w| {
            w.text(|t| {
                let n = t.find(",\"version\":1").unwrap();
                format!("{{\"version\":1,{}{}", &t[1..n], &t[n + 12..])
            })
        },
        400,
        "not-canonical",
        "",
    ),
    (
        "an escape that need not be",
        |w| w.text(|t| t.replacen("benefit", "\\u0062enefit", 1)),
        400,
        "not-canonical",
        "",
    ),
    (
        "a member twice, alike",
        |w| w.text(|t| t.replacen("\"version\":1", "\"version\":1,\"version\":1", 1)),
        400,
        "not-canonical",
        "",
    ),
    (
        "a member twice, differing",
        |w| w.text(|t| t.replacen("\"count\":", "\"count\":1,\"count\":", 1)),
        400,
        "not-canonical",
        "",
    ),
    (
        "a member twice within",
        |w| w.text(|t| t.replacen("\"currency\":", "\"currency\":\"EUR\",\"currency\":", 1)),
        400,
        "not-canonical",
        "",
    ),
    (
        "a fraction",
        |w| w.text(|t| t.replacen("\"downloads\":12", "\"downloads\":12.5", 1)),
        400,
        "bad-value",
        "/downloads",
    ),
    (
        "an integer that floats do not hold",
        |w| w.text(|t| t.replacen("\"downloads\":12", "\"downloads\":9007199254740993", 1)),
        400,
        "bad-value",
        "/downloads",
    ),
    (
        "a count below zero",
        |w| w.payload(|p| p["count"] = json!(-1)),
        400,
        "bad-value",
        "/count",
    ),
    (
        "prose in a label",
        |w| w.payload(|p| p["item"] = json!("Jane Doe, 4 Elm St")),
        400,
        "bad-value",
        "/item",
    ),
    (
        "a day that is none",
        |w| w.payload(|p| p["effective_on"] = json!("2019-02-30")),
        400,
        "bad-value",
        "/effective_on",
    ),
    (
        "an unknown type",
        |w| w.payload(|p| p["type"] = json!("gift")),
        400,
        "unknown-type",
        "/type",
    ),
    (
        "an unknown version",
        |w| w.payload(|p| p["version"] = json!(2)),
        400,
        "unknown-type",
        "/type",
    ),
    (
        "two authors",
        |w| w.payload(|p| p["issuer_key"] = json!(PublicKey::from(&stranger()))),
        401,
        "wrong-author",
        "",
    ),
    (
        "no author",
        |w| {
            w.payload(|p| {
                p.as_object_mut().unwrap().remove("issuer");
            })
        },
        401,
        "wrong-author",
        "",
    ),
    (
        "another ledger's statement",
        |w| w.payload(|p| p["log"] = json!("other.example/log")),
        400,
        "wrong-log",
        "/log",
    ),
    (
        "a time with seconds",
        |w| {
            w.payload(|p| {
                p["issued_at"] = json!(Clock::system().now().cut_to_minute().plus_seconds(1))
            })
        },
        400,
        "wrong-time",
        "/issued_at",
    ),
    (
        "a time eight days ago",
        |w| w.payload(|p| p["issued_at"] = json!(minutes_from_now(-8 * 1440))),
        400,
        "wrong-time",
        "/issued_at",
    ),
    (
        "a time to come",
        |w| w.payload(|p| p["issued_at"] = json!(minutes_from_now(10))),
        400,
        "wrong-time",
        "/issued_at",
    ),
    (
        "a time in another zone",
        |w| w.payload(|p| p["issued_at"] = json!("2019-07-31T14:04:00+00:00")),
        400,
        "bad-value",
        "/issued_at",
    ),
];

const OF_SIGNATURES: &[Bad] = &[
    (
        "no signature",
        |w| w.envelope(|e| e["signatures"] = json!([])),
        401,
        "missing-signature",
        "/signatures",
    ),
    (
        "zeros for a signature",
        |w| w.envelope(|e| e["signatures"][0]["sig"] = json!(base64([0; 64]))),
        401,
        "bad-signature",
        "/signatures/0/sig",
    ),
    (
        "a short signature",
        |w| w.envelope(|e| e["signatures"][0]["sig"] = json!(base64([0; 63]))),
        400,
        "bad-value",
        "/signatures/0/sig",
    ),
    (
        "the signature of another payload",
        |w| {
            let mut other = Value::Null;
            w.envelope(|e| other = e["signatures"].clone());
            w.envelope(|e| e["signatures"] = other)
        },
        401,
        "bad-signature",
        "/signatures/0/sig",
    ),
    (
        "the signature under another key's name",
        |w| w.envelope(|e| e["signatures"][0]["keyid"] = json!(PublicKey::from(&stranger()))),
        401,
        "bad-signature",
        "/signatures/0/sig",
    ),
    (
        "a signature that only a check with cofactor takes",
        |_| cofactored(),
        401,
        "bad-signature",
        "/signatures/0/sig",
    ),
    (
        "a weak key",
        |w| {
            w.envelope(|e| {
                e["signatures"][0]["keyid"] = json!(named(EIGHT_TORSION[1].compress().to_bytes()))
            })
        },
        401,
        "bad-key",
        "/signatures/0/keyid",
    ),
    (
        "the identity for a key",
        |w| {
            w.envelope(|e| {
                e["signatures"][0]["keyid"] = json!(named(EIGHT_TORSION[0].compress().to_bytes()))
            })
        },
        401,
        "bad-key",
        "/signatures/0/keyid",
    ),
    (
        "a second encoding of a key",
        |w| {
            w.envelope(|e| {
                let mut y = [0xff; 32];
                (y[0], y[31]) = (0xee, 0x7f);
                e["signatures"][0]["keyid"] = json!(named(y));
            })
        },
        401,
        "bad-key",
        "/signatures/0/keyid",
    ),
    (
        "a key in another form",
        |w| w.envelope(|e| e["signatures"][0]["keyid"] = json!("officer-1")),
        401,
        "bad-key",
        "/signatures/0/keyid",
    ),
    (
        "a signature twice",
        |w| {
            w.envelope(|e| {
                let s = e["signatures"][0].clone();
                e["signatures"] = json!([s, s]);
            })
        },
        401,
        "signature-order",
        "/signatures/1/keyid",
    ),
    (
        "a stranger's signature alone",
        |w| w.benefit_by(&[&stranger()]),
        401,
        "missing-signature",
        "/signatures",
    ),
    (
        "a stranger's signature besides",
        |w| w.benefit_by(&[&officer(&w.vendor), &stranger()]),
        401,
        "surplus-signature",
        "/signatures",
    ),
    (
        "a service key's signature",
        |w| w.benefit_by(&[&service(&w.vendor)]),
        401,
        "key-not-live",
        "/signatures",
    ),
    (
        "another party's signature",
        |w| w.benefit_by(&[&officer(&w.agency)]),
        401,
        "missing-signature",
        "/signatures",
    ),
    (
        "an unknown party",
        |w| w.payload(|p| p["issuer"] = json!("nobody.example")),
        401,
        "wrong-author",
        "/issuer",
    ),
    (
        "an agreement that one party signed",
        |w| {
            let head = Head {
                author: Author::Parties(vec![VENDOR.parse().unwrap(), AGENCY.parse().unwrap()]),
                ..head_of(VENDOR)
            };
            let keys = [&w.vendor.key(Role::Admin).unwrap()];
            sign(&head, &Agreement::example().into(), &keys).to_json()
        },
        401,
        "missing-signature",
        "/signatures",
    ),
    (
        "a weak key to be added",
        |w| added_key(w, named(EIGHT_TORSION[1].compress().to_bytes())),
        400,
        "bad-value",
        "/add/0/key",
    ),
    (
        "a key that was seen before",
        |w| added_key(w, PublicKey::from(&officer(&w.agency)).to_string()),
        409,
        "key-seen-before",
        "/add/0/key",
    ),
];

const OF_RULES: &[Bad] = &[
    (
        "an agreement that is nowhere",
        |w| w.payload(|p| p["agreement"] = json!("ab".repeat(32))),
        422,
        "unknown-reference",
        "/agreement",
    ),
    (
        "an agreement that is a benefit",
        |w| {
            let envelope = signed_benefit(&w.vendor);
            assert_eq!(w.ledger.submit(&envelope.to_json()).status, 201);
            let id = StatementId::of_payload(&envelope.payload);
            w.payload(|p| p["agreement"] = json!(id))
        },
        422,
        "wrong-reference",
        "/agreement",
    ),
    (
        "an id in capitals",
        |w| w.payload(|p| p["agreement"] = json!("AB".repeat(32))),
        400,
        "bad-value",
        "/agreement",
    ),
    (
        "a party that is not registered",
        |w| w.payload(|p| p["receiver"] = json!("nobody.example")),
        422,
        "unknown-party",
        "/receiver",
    ),
    (
        "a gift to oneself",
        |w| w.payload(|p| p["receiver"] = json!(VENDOR)),
        400,
        "bad-value",
        "/receiver",
    ),
    (
        "a gift between others",
        |w| w.payload(|p| p["giver"] = json!("ledger.example")),
        401,
        "wrong-author",
        "/issuer",
    ),
    (
        "a request under no agreement",
        |w| w.request(|r| r.agreement = StatementId::from_bytes([7; 32])),
        422,
        "unknown-reference",
        "/agreement",
    ),
    (
        "a request for nothing",
        |w| w.request(|r| r.asks.clear()),
        400,
        "bad-value",
        "/asks",
    ),
    (
        "a request for no time",
        |w| w.request(|r| r.window_minutes = 0),
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a request for too large an area",
        |w| w.request(|r| r.area_m2 = u32::MAX),
        422,
        "outside-limits",
        "/area_m2",
    ),
    (
        "a request for too long a window",
        |w| w.request(|r| r.window_minutes = 721),
        422,
        "outside-limits",
        "/window_minutes",
    ),
    (
        "a deadline that has passed",
        |w| w.request(|r| r.deadline = minutes_from_now(-60)),
        422,
        "outside-limits",
        "/deadline",
    ),
    (
        "a deadline far away",
        |w| w.request(|r| r.deadline = minutes_from_now(20_160 + 10)),
        422,
        "outside-limits",
        "/deadline",
    ),
    (
        "a deadline with seconds",
        |w| w.request(|r| r.deadline = r.deadline.plus_seconds(1)),
        400,
        "bad-value",
        "/deadline",
    ),
    (
        "a seal that was due",
        |w| w.request(|r| r.sealed.case_number.open_by = "2019-07-31".parse().unwrap()),
        400,
        "bad-value",
        "/sealed/case_number/open_by",
    ),
    (
        "a seal for years",
        |w| w.request(|r| r.sealed.case_number.open_by = Day::of(minutes_from_now(1440 * 1000))),
        422,
        "outside-limits",
        "/sealed/case_number/open_by",
    ),
    (
        "kinds of data twice",
        |w| w.request(|r| r.asks = vec![r.asks[0], r.asks[0]]),
        400,
        "bad-value",
        "/asks",
    ),
    (
        "one digest for two things",
        |w| w.request(|r| r.sealed.case_number.digest = r.scope),
        409,
        "digest-seen-before",
        "/sealed/case_number/digest",
    ),
    (
        "a vendor's request",
        |w| {
            sign(
                &head_of(VENDOR),
                &w.good_request().into(),
                &[&officer(&w.vendor)],
            )
            .to_json()
        },
        401,
        "wrong-author",
        "/issuer",
    ),
    (
        "a collection of nothing",
        |w| {
            let collection = Collection {
                disclosure: StatementId::from_bytes([7; 32]),
                label: "officer-1".parse().unwrap(),
            };
            sign(&head_of(AGENCY), &collection.into(), &[&officer(&w.agency)]).to_json()
        },
        422,
        "unknown-reference",
        "/disclosure",
    ),
    (
        "a collection of an agreement",
        |w| {
            let collection = Collection {
                disclosure: w.agreement,
                label: "officer-1".parse().unwrap(),
            };
            sign(&head_of(AGENCY), &collection.into(), &[&officer(&w.agency)]).to_json()
        },
        422,
        "wrong-reference",
        "/disclosure",
    ),
];

const OF_SCOPES: &[Bad] = &[
    (
        "no scope uploaded",
        |w| w.request(|r| r.scope = SealDigest::from_bytes([7; 32])),
        422,
        "attachment-missing",
        "/scope",
    ),
    (
        "no message uploaded",
        |w| w.request(|r| r.message = Some(SealDigest::from_bytes([7; 32]))),
        422,
        "attachment-missing",
        "/message",
    ),
    (
        "a scope of another media type",
        |w| w.attached(&geojson(SQUARE, &window(-60, -30)), "text/plain"),
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a message of another media type",
        |w| w.request(|r| r.message = Some(w.attach(b"%PDF", "application/pdf"))),
        422,
        "scope-mismatch",
        "/message",
    ),
    (
        "a scope that is no JSON",
        |w| w.attached("here", "application/geo+json"),
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a deep scope",
        |w| w.attached(&"[".repeat(16_000), "application/geo+json"),
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a scope with a surplus member",
        |w| {
            w.attached(
                &geojson(SQUARE, &window(-60, -30)).replacen('{', r#"{"id":1,"#, 1),
                "application/geo+json",
            )
        },
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "an open ring",
        |w| {
            w.scoped(
                "[[0.0,0.0],[0.001,0.0],[0.001,0.001],[0.0,0.001]]",
                &window(-60, -30),
            )
        },
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a ring that crosses itself",
        |w| {
            w.scoped(
                "[[0.0,0.0],[0.001,0.001],[0.001,0.0],[0.0,0.001],[0.0,0.0]]",
                &window(-60, -30),
            )
        },
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a ring without area",
        |w| {
            w.scoped(
                "[[0.0,0.0],[0.001,0.0],[0.002,0.0],[0.0,0.0]]",
                &window(-60, -30),
            )
        },
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a ring at a pole",
        |w| {
            w.scoped(
                "[[0.0,89.0],[0.001,89.0],[0.001,89.001],[0.0,89.0]]",
                &window(-60, -30),
            )
        },
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a ring around the world",
        |w| {
            w.scoped(
                "[[-180,-80],[180,-80],[180,80],[-180,80],[-180,-80]]",
                &window(-60, -30),
            )
        },
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a ring of a continent",
        |w| {
            w.scoped(
                "[[-80,20],[60,20],[60,70],[-80,70],[-80,20]]",
                &window(-60, -30),
            )
        },
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a ring beyond the Earth",
        |w| w.scoped("[[1e300,0],[1e301,0],[0,1],[1e300,0]]", &window(-60, -30)),
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a ring larger than was said",
        |w| {
            w.scoped(
                "[[0.0,0.0],[0.02,0.0],[0.02,0.02],[0.0,0.02],[0.0,0.0]]",
                &window(-60, -30),
            )
        },
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a ring with a hole",
        |w| w.scoped(&format!("{SQUARE},{SQUARE}"), &window(-60, -30)),
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "six decimals",
        |w| w.scoped(&SQUARE.replace("0.001", "0.000999"), &window(-60, -30)),
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a window that ends before it begins",
        |w| w.scoped(SQUARE, &window(-30, -60)),
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a window of nothing",
        |w| w.scoped(SQUARE, &window(-30, -30)),
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a window to come",
        |w| w.scoped(SQUARE, &window(-30, 10)),
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a window longer than was said",
        |w| w.scoped(SQUARE, &window(-120, -30)),
        422,
        "scope-mismatch",
        "/scope",
    ),
    (
        "a window older than was said",
        |w| w.scoped(SQUARE, &window(-2000, -1990)),
        422,
        "scope-mismatch",
        "/scope",
    ),
];

fn minutes_from_now(minutes: i64) -> Time {
    Clock::system()
        .now()
        .cut_to_minute()
        .plus_seconds(minutes * 60)
}

fn named(key: [u8; 32]) -> String {
    format!("ed25519:{}", base64url(key))
}

/// A key change of the vendor's that adds this key, signed by the admin alone.
fn added_key(world: &World, key: String) -> Vec<u8> {
    let new = NewKey {
        key: PublicKey::from(&stranger()),
        role: Role::Service,
        label: None,
    };
    let change = KeyChange {
        party: VENDOR.parse().unwrap(),
        add: vec![new],
        revoke: Vec::new(),
    };
    let statement: Statement = change.into();
    let mut members: Value =
        serde_json::from_slice(&payload(&head_of(VENDOR), &statement)).unwrap();
    members["add"][0]["key"] = json!(key);
    let admin = world.vendor.key(Role::Admin).unwrap();
    Envelope::sign(canonical::to_vec(&members), &[&admin]).to_json()
}

#[test]
fn statements_that_are_refused() {
    let world = World::new();
    let operator = PublicKey::from(&service(&world.ledger.home("operator")));
    let mut faults = Vec::new();
    for table in [OF_FORM, OF_SIGNATURES, OF_RULES, OF_SCOPES] {
        for (name, body, status, code, member) in table {
            let body = body(&world);
            let size = world.ledger.size();
            let answer = world.ledger.submit(&body);
            let said = (*status, (*code).to_owned(), Some((*member).to_owned()));
            if answer.problem() != said {
                let text = String::from_utf8_lossy(&answer.body);
                faults.push(format!("{name}: {said:?} expected, and {text}"));
            } else {
                assert_eq!(answer.signer(), operator, "{name}");
            }
            assert_eq!(world.ledger.size(), size, "{name}");
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let sent_elsewhere = world.ledger.submit(&world.disclosure());
    let member = Some("/payload/type".to_owned());
    assert_eq!(
        sent_elsewhere.problem(),
        (400, "bad-request".to_owned(), member)
    );
    world.ledger.verify();
}

/// What the tables spoil is good: unspoiled, it is taken; sent again, it stands where it stood.
#[test]
fn what_is_taken_is_taken_once() {
    let world = World::new();
    let policy = world.ledger.policy();
    let scope = Scope::parse(geojson(SQUARE, &window(-60, -30)).as_bytes()).unwrap();
    assert_eq!(scope.window_minutes(), 30);
    let mut request = world.good_request();
    request.message = Some(world.attach(b"Please look", "text/plain"));
    let head = head_of(AGENCY);
    let key = officer(&world.agency);
    for envelope in [
        signed_benefit(&world.vendor),
        sign(&head, &request.clone().into(), &[&key]),
    ] {
        let size = world.ledger.size();
        let answer = world.ledger.submit(&envelope.to_json());
        assert_eq!(answer.status, 201, "{answer:?}");
        let first = proven(&answer, &policy, &envelope);
        assert_eq!(first.index.as_u64(), size);
        // The same statement in another spelling of its envelope is the same.
        let spaced = format!(" {} ", String::from_utf8(envelope.to_json()).unwrap());
        for body in [envelope.to_json(), spaced.into_bytes()] {
            let again = world.ledger.submit(&body);
            assert_eq!(again.status, 200, "{again:?}");
            let again = proven(&again, &policy, &envelope);
            assert_eq!(
                (again.index, again.logged_at),
                (first.index, first.logged_at)
            );
        }
        assert_eq!(world.ledger.size(), size + 1);
    }
    // What stands once in a log is not taken again in another statement.
    request.investigation = "0f".repeat(16).parse().unwrap();
    let mut same_scope = world.good_request();
    same_scope.scope = request.scope;
    let size = world.ledger.size();
    for (request, code, member) in [
        (request, "key-seen-before", "/recipient"),
        (same_scope, "digest-seen-before", "/scope"),
    ] {
        let answer = world
            .ledger
            .submit(&sign(&head, &request.into(), &[&key]).to_json());
        let said = (409, code.to_owned(), Some(member.to_owned()));
        assert_eq!(answer.problem(), said);
    }
    assert_eq!(world.ledger.size(), size);
    world.ledger.verify();
}
