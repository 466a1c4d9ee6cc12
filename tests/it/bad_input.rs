//! What strangers send: each fault gets its own answer, a problem that names the member, and the log
//! stays as it was.

mod bundles;
mod calls;
mod seals;
mod statements;

use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use whosaw::digest::{Digest, StatementId};
use whosaw::encoding::{base64, base64url};
use whosaw::party::home::Home;
use whosaw::seal::Identity;
use whosaw::seal::recipient::Recipient;
use whosaw::statement::canonical;
use whosaw::statement::envelope::{Envelope, MAX_ENVELOPE, MAX_PAYLOAD, PAYLOAD_TYPE};
use whosaw::statement::key::PublicKey;
use whosaw::statement::kinds::Kind as _;
use whosaw::statement::kinds::access_request::{AccessRequest, MAX_MESSAGE, SealedFields};
use whosaw::statement::kinds::agreement::Agreement;
use whosaw::statement::kinds::collection::Collection;
use whosaw::statement::kinds::disclosure::Disclosure;
use whosaw::statement::kinds::key_change::KeyChange;
use whosaw::statement::kinds::notice::{Notice, NoticeState};
use whosaw::statement::kinds::party::NewKey;
use whosaw::statement::rules::seals::SealedField;
use whosaw::statement::scope::Scope;
use whosaw::statement::sealed::{AttachmentValue, Opening, SealDigest};
use whosaw::statement::words::{Day, Role};
use whosaw::statement::{Author, Head, Statement, payload, sign};
use whosaw::time::{Clock, Time};
use whosaw::wire::signature;

use super::bulk;
use super::http::{Answer, Call};
use super::ledger::{AGENCY, Ledger, ORIGIN, VENDOR, benefit, head_of, proven, signed_benefit};

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
        let case_number = seals::case_number();
        AccessRequest {
            agreement: self.agreement,
            investigation: whosaw::encoding::hex(whosaw::random::bytes::<16>())
                .parse()
                .unwrap(),
            area_m2: 1_000_000,
            window_minutes: 60,
            footage_age_days: 1,
            deadline: now.checked_add_seconds(3600).unwrap().cut_to_minute(),
            scope: self.attach(scope.as_bytes(), media_type),
            message: None,
            recipient: Recipient::of(&Identity::generate()),
            sealed: SealedFields {
                case_number: SealedField {
                    digest: case_number.digest(),
                    open_by: Day::of(now.checked_add_seconds(30 * 86_400).unwrap()),
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

    /// A notice with this for a message.
    fn notice(&self, message: &[u8], media_type: &str) -> Vec<u8> {
        let notice = Notice {
            state: NoticeState::Sent,
            messages: vec![self.attach(message, media_type)],
            until: None,
            grounds: Vec::new(),
            ..Notice::example()
        };
        sign(&head_of(AGENCY), &notice.into(), &[&officer(&self.agency)]).to_json()
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
    let at = |minutes: i64| now.checked_add_seconds(minutes * 60).unwrap();
    format!(r#"{{"from":"{}","until":"{}"}}"#, at(from), at(until))
}

/// A benefit under the key A = aB + T, where T has order eight: its signature satisfies eight times
/// the equation, as a batch checks it, and not the equation.
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

fn minutes_from_now(minutes: i64) -> Time {
    Clock::system()
        .now()
        .cut_to_minute()
        .checked_add_seconds(minutes * 60)
        .unwrap()
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
    use statements::{OF_FORM, OF_RULES, OF_SCOPES, OF_SIGNATURES};
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

/// Many in one call: each bad one is answered as alone, and stops no good one.
#[test]
fn statements_that_are_refused_among_many() {
    let world = World::new();
    let operator = PublicKey::from(&service(&world.ledger.home("operator")));
    use statements::{OF_FORM, OF_RULES, OF_SCOPES, OF_SIGNATURES};
    let (mut lines, mut expected) = (Vec::new(), Vec::new());
    for table in [OF_FORM, OF_SIGNATURES, OF_RULES, OF_SCOPES] {
        for (name, body, status, code, member) in table {
            let body = body(&world);
            // Some bodies are no line.
            if body.trim_ascii().is_empty() || body.contains(&b'\n') {
                continue;
            }
            lines.push(body);
            let said = (*status, (*code).to_owned(), Some((*member).to_owned()));
            expected.push((*name, said));
            lines.push(signed_benefit(&world.vendor).to_json());
            expected.push(("a good one", (201, String::new(), None)));
        }
    }
    assert!(lines.len() > 100, "most are lines");
    let size = world.ledger.size();
    let good = (lines.len() / 2) as u64;
    let answers = bulk::answers(&world.ledger.send(&bulk::call(&lines)));
    assert_eq!(answers.len(), lines.len());
    for ((answer, (name, said)), line) in answers.iter().zip(&expected).zip(1_u64..) {
        assert_eq!(answer.line, line, "{name}");
        assert_eq!(bulk::said(answer), *said, "{name}: {answer:?}");
        if let Some(problem) = &answer.problem {
            let headers = answer.signed.as_ref().expect("a refusal is signed");
            let body = canonical::to_vec(problem);
            let media_type = whosaw::wire::problem::MEDIA_TYPE;
            let signer = signature::verify_response(answer.status, media_type, headers, &body);
            assert_eq!(signer, Ok(operator), "{name}");
        }
    }
    assert_eq!(world.ledger.size(), size + good);
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
