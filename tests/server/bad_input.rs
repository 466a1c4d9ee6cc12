//! Every bad input gets a problem with a stable type and the member at fault, and changes nothing.

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use whosaw::client::Client;
use whosaw::client::base::BaseUrl;
use whosaw::digest::{Digest, StatementId};
use whosaw::encoding;
use whosaw::statement::envelope::{Envelope, PAYLOAD_TYPE};
use whosaw::statement::kinds::Kind as _;
use whosaw::statement::kinds::agreement::{Agreement, Instrument, Status};
use whosaw::statement::kinds::collection::Collection;
use whosaw::statement::kinds::disclosure::Disclosure;
use whosaw::statement::sealed::{AttachmentValue, Opening};
use whosaw::statement::words::Role;
use whosaw::statement::{Author, Statement, canonical, sign};
use whosaw::time::Clock;
use whosaw::wire::signature::{SignatureHeaders, verify_response};

use crate::ledger::{Answer, Ledger};
use crate::support::run;

/// What is sent, and what comes back.
struct Case {
    name: &'static str,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    member: &'static str,
}

/// The table, as rows of (name, body, status, type, member).
fn cases(rows: Vec<(&'static str, Vec<u8>, u16, &'static str, &'static str)>) -> Vec<Case> {
    let case = |(name, body, status, code, member)| Case {
        name,
        body,
        status,
        code,
        member,
    };
    rows.into_iter().map(case).collect()
}

/// Signs any bytes as a payload.
fn seal(payload: Vec<u8>, keys: &[&SigningKey]) -> Vec<u8> {
    Envelope::sign(payload, keys).to_json()
}

#[test]
fn every_bad_input_is_refused_and_changes_nothing() {
    let ledger = Ledger::serving();
    let officer = ledger.key(Role::Officer);
    let (admin, service) = (ledger.key(Role::Admin), ledger.key(Role::Service));
    let stranger = SigningKey::from_bytes(&[9; 32]);

    let good = ledger.signed(ledger.benefit(1));
    let payload = Envelope::parse(&good).unwrap().payload;
    let envelope: Value = serde_json::from_slice(&good).unwrap();
    // The envelope with one change, and the payload with one change, signed anew.
    let enveloped = |change: &dyn Fn(&mut Value)| {
        let mut altered = envelope.clone();
        change(&mut altered);
        serde_json::to_vec(&altered).unwrap()
    };
    let said = |change: &dyn Fn(&mut Value)| {
        let mut altered: Value = serde_json::from_slice(&payload).unwrap();
        change(&mut altered);
        seal(canonical::to_vec(&altered), &[&officer])
    };
    let raw = |payload: &str| seal(payload.as_bytes().to_vec(), &[&officer]);
    let text = String::from_utf8(payload.clone()).unwrap();
    let by = |statement: Statement, keys: &[&SigningKey]| {
        sign(&ledger.head(), &statement, keys).to_json()
    };
    let agreement = |previous| Agreement {
        instrument: Instrument::Contract,
        status: Status::InForce,
        previous,
        document: None,
        terms: Vec::new(),
        complete: true,
        effective_on: None,
        reason: None,
    };
    let joint = |statement: Agreement, keys: &[&SigningKey]| {
        let parties = ["doorbell.example", "operator.example"].map(|p| p.parse().unwrap());
        let head = whosaw::statement::Head {
            author: Author::Parties(parties.into()),
            ..ledger.head()
        };
        sign(&head, &statement.into(), keys).to_json()
    };
    let listed = run(
        &ledger.root,
        "log list --json --log operator/log --policy operator/log.policy",
    );
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let first: StatementId = serde_json::from_value(listed[0]["id"].clone()).unwrap();

    // The point of order one signs for anybody; p + 1 is a second spelling of a point.
    let mut weak = [0u8; 32];
    weak[0] = 1;
    let mut second_spelling = [0xff; 32];
    (second_spelling[0], second_spelling[31]) = (0xee, 0x7f);
    let keyid = |bytes: [u8; 32]| json!(format!("ed25519:{}", encoding::base64url(bytes)));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));

    let rows = cases(vec![
        ("nothing", vec![], 400, "not-json", ""),
        (
            "truncated",
            good[..good.len() / 2].to_vec(),
            400,
            "not-json",
            "/payload",
        ),
        ("no JSON", b"hello".to_vec(), 400, "not-json", ""),
        (
            "trailing bytes",
            [&good[..], b"x"].concat(),
            400,
            "not-json",
            "",
        ),
        ("too large", vec![b' '; 70_000], 413, "too-large", ""),
        (
            "payload too large",
            raw(&"1".repeat(33_000)),
            413,
            "too-large",
            "/payload",
        ),
        ("not UTF-8", vec![0xff; 100], 400, "not-json", ""),
        (
            "deep nesting",
            deep.clone().into_bytes(),
            400,
            "bad-value",
            "/0",
        ),
        (
            "deep nesting in the payload",
            raw(&deep),
            400,
            "not-json",
            "",
        ),
        (
            "surplus member",
            enveloped(&|e| e["surplus"] = json!(1)),
            400,
            "unknown-member",
            "/surplus",
        ),
        (
            "surplus member of a signature",
            enveloped(&|e| e["signatures"][0]["x"] = json!(1)),
            400,
            "unknown-member",
            "/signatures/0/x",
        ),
        (
            "missing member",
            enveloped(&|e| {
                e.as_object_mut().unwrap().remove("payload");
            }),
            400,
            "missing-member",
            "/payload",
        ),
        (
            "doubled member",
            format!(
                "{{\"payload\":\"\",{}",
                &String::from_utf8(good.clone()).unwrap()[1..]
            )
            .into_bytes(),
            400,
            "bad-value",
            "",
        ),
        (
            "another payload type",
            enveloped(&|e| e["payloadType"] = json!("text/plain")),
            400,
            "wrong-payload-type",
            "/payloadType",
        ),
        (
            "payload not base64",
            enveloped(&|e| e["payload"] = json!("e30")),
            400,
            "bad-value",
            "/payload",
        ),
        (
            "no signature",
            enveloped(&|e| e["signatures"] = json!([])),
            401,
            "missing-signature",
            "/signatures",
        ),
        (
            "signature of another length",
            enveloped(&|e| e["signatures"][0]["sig"] = json!("AAAA")),
            400,
            "bad-value",
            "/signatures/0/sig",
        ),
        (
            "altered after signing",
            enveloped(&|e| {
                e["payload"] = json!(encoding::base64(text.replace("2019-02-01", "2019-02-02")))
            }),
            401,
            "bad-signature",
            "/signatures/0/sig",
        ),
        (
            "weak key",
            enveloped(&|e| e["signatures"][0]["keyid"] = keyid(weak)),
            401,
            "bad-key",
            "/signatures/0/keyid",
        ),
        (
            "second spelling of a key",
            enveloped(&|e| e["signatures"][0]["keyid"] = keyid(second_spelling)),
            401,
            "bad-key",
            "/signatures/0/keyid",
        ),
        (
            "S not reduced",
            enveloped(&|e| {
                e["signatures"][0]["sig"] = json!(unreduced(&e["signatures"][0]["sig"]))
            }),
            401,
            "bad-signature",
            "/signatures/0/sig",
        ),
        (
            "good for a batch check alone",
            cofactored(&payload),
            401,
            "bad-signature",
            "/signatures/0/sig",
        ),
        (
            "the same key twice",
            enveloped(&|e| {
                let s = e["signatures"][0].clone();
                e["signatures"].as_array_mut().unwrap().push(s);
            }),
            401,
            "signature-order",
            "/signatures/1/keyid",
        ),
        (
            "a stranger's signature",
            seal(payload.clone(), &[&stranger]),
            401,
            "missing-signature",
            "/signatures",
        ),
        (
            "a stranger's beside",
            seal(payload.clone(), &[&officer, &stranger]),
            401,
            "surplus-signature",
            "/signatures",
        ),
        (
            "a key of another role",
            seal(payload.clone(), &[&service]),
            401,
            "key-not-live",
            "/signatures",
        ),
        (
            "payload with white space",
            raw(&text.replace("\":", "\": ")),
            400,
            "not-canonical",
            "",
        ),
        (
            "payload member twice",
            raw(&text.replace("{\"count\":1", "{\"count\":1,\"count\":1")),
            400,
            "not-canonical",
            "",
        ),
        (
            "payload out of order",
            raw(&format!(
                "{{\"version\":1,{}",
                &text[1..].replace(",\"version\":1", "")
            )),
            400,
            "not-canonical",
            "",
        ),
        (
            "a fraction",
            raw(&text.replace("\"count\":1", "\"count\":1.5")),
            400,
            "bad-value",
            "/count",
        ),
        (
            "a number too large",
            raw(&text.replace("\"count\":1", "\"count\":9007199254740993")),
            400,
            "bad-value",
            "/count",
        ),
        (
            "an explicit null",
            said(&|p| p["item"] = Value::Null),
            400,
            "not-canonical",
            "",
        ),
        (
            "unknown member",
            said(&|p| p["surplus"] = json!(1)),
            400,
            "unknown-member",
            "/surplus",
        ),
        (
            "unknown type",
            said(&|p| p["type"] = json!("gift")),
            400,
            "unknown-type",
            "/type",
        ),
        (
            "unknown version",
            said(&|p| p["version"] = json!(2)),
            400,
            "unknown-type",
            "/type",
        ),
        (
            "another ledger's",
            said(&|p| p["log"] = json!("other.example/log")),
            400,
            "wrong-log",
            "/log",
        ),
        (
            "a day that is none",
            said(&|p| p["effective_on"] = json!("2019-02-30")),
            400,
            "bad-value",
            "/effective_on",
        ),
        (
            "prose for a label",
            said(&|p| p["item"] = json!("A Camera!")),
            400,
            "bad-value",
            "/item",
        ),
        (
            "issued to the second",
            said(&|p| p["issued_at"] = json!("2026-01-01T00:00:01Z")),
            400,
            "wrong-time",
            "/issued_at",
        ),
        (
            "issued long ago",
            said(&|p| p["issued_at"] = json!("2019-01-01T00:00:00Z")),
            400,
            "wrong-time",
            "/issued_at",
        ),
        (
            "nobody speaks",
            said(&|p| {
                p.as_object_mut().unwrap().remove("issuer");
            }),
            401,
            "wrong-author",
            "",
        ),
        (
            "another party's",
            said(&|p| p["issuer"] = json!("operator.example")),
            401,
            "missing-signature",
            "/signatures",
        ),
        (
            "an unknown party's",
            said(&|p| {
                p["issuer"] = json!("nobody.example");
                p["giver"] = json!("nobody.example");
            }),
            422,
            "unknown-party",
            "/issuer",
        ),
        (
            "to oneself",
            said(&|p| p["receiver"] = json!("doorbell.example")),
            400,
            "bad-value",
            "/receiver",
        ),
        (
            "reference to nothing",
            said(&|p| p["agreement"] = json!("00".repeat(32))),
            422,
            "unknown-reference",
            "/agreement",
        ),
        (
            "reference to another type",
            said(&|p| p["agreement"] = json!(first)),
            422,
            "wrong-reference",
            "/agreement",
        ),
        (
            "signed by one of two",
            joint(agreement(None), &[&admin]),
            401,
            "missing-signature",
            "/signatures",
        ),
        (
            "collected out of nothing",
            by(
                Collection {
                    disclosure: first,
                    label: "officer-1".parse().unwrap(),
                }
                .into(),
                &[&officer],
            ),
            422,
            "wrong-reference",
            "/disclosure",
        ),
        (
            "a batch by another than the operator",
            by(
                whosaw::statement::kinds::commitment_batch::CommitmentBatch::example().into(),
                &[&officer],
            ),
            401,
            "wrong-author",
            "/issuer",
        ),
        (
            "a request by no agency",
            by(
                whosaw::statement::kinds::access_request::AccessRequest::example().into(),
                &[&officer],
            ),
            422,
            "attachment-missing",
            "/scope",
        ),
        (
            "a decision",
            by(
                whosaw::statement::kinds::decision::Decision::example().into(),
                &[&officer],
            ),
            400,
            "unknown-type",
            "/type",
        ),
        (
            "a disclosure at the wrong door",
            by(Disclosure::example().into(), &[&officer]),
            400,
            "bad-request",
            "/payload/type",
        ),
    ]);

    let files = |ledger: &Ledger| {
        let mut count = 0;
        for folder in ["attachments", "clips"] {
            count += std::fs::read_dir(ledger.root.join("operator").join(folder))
                .unwrap()
                .count();
        }
        count
    };
    let before = files(&ledger);
    let mut wrong = Vec::new();
    for case in rows {
        let answer = ledger.post("/api/v1/statements", &case.body);
        wrong.extend(differs(&answer, &case));
        if case.code != "bad-request" && case.status != 413 {
            signed_by_operator(&ledger, &answer);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(files(&ledger), before);
    let listed = run(
        &ledger.root,
        "log list --json --log operator/log --policy operator/log.policy",
    );
    assert!(!listed.contains("\"benefit\""), "nothing of it was logged");

    // The good one is still good, and again it is the same.
    let logged = ledger.post("/api/v1/statements", &good);
    assert_eq!(logged.status, 201);
    let again = ledger.post("/api/v1/statements", &good);
    assert_eq!(again.status, 200);
    assert_eq!(logged.json()["index"], again.json()["index"]);
    assert_eq!(
        seal(payload, &[&officer]),
        good,
        "signatures are deterministic"
    );
}

/// What differs from the table.
fn differs(answer: &Answer, case: &Case) -> Option<String> {
    let said = String::from_utf8_lossy(&answer.body);
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let fine = answer.status == case.status
        && answer.header("content-type") == "application/problem+json"
        && problem["type"] == format!("/problems/{}", case.code)
        && problem["status"] == case.status
        && problem["member"].as_str().unwrap_or_default() == case.member
        && problem["title"]
            .as_str()
            .is_some_and(|title| !title.is_empty());
    (!fine).then(|| format!("{}: {} {said}", case.name, answer.status))
}

/// A refused statement's problem is signed by the operator's service key.
fn signed_by_operator(ledger: &Ledger, answer: &Answer) {
    let header = |name| answer.header(name).to_owned();
    let headers = SignatureHeaders {
        content_digest: header("content-digest"),
        signature_input: header("signature-input"),
        signature: header("signature"),
    };
    let key = verify_response(
        answer.status,
        "application/problem+json",
        &headers,
        &answer.body,
    );
    let operator = whosaw::party::home::Home::open(&ledger.root.join("operator")).unwrap();
    let service = (&operator.key(Role::Service).unwrap()).into();
    assert_eq!(key, Ok(service));
}

/// The same signature with the group's order added to S: the equation holds, and RFC 8032 refuses it.
fn unreduced(signature: &Value) -> String {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = encoding::from_base64(signature.as_str().unwrap()).unwrap();
    let mut carry = 0u16;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    encoding::base64(bytes)
}

/// An envelope by a new key whose signature satisfies the equation with cofactor only.
fn cofactored(payload: &[u8]) -> Vec<u8> {
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use curve25519_dalek::scalar::Scalar;
    use sha2::{Digest as _, Sha512};
    let key = SigningKey::from_bytes(&[11; 32]);
    let secret = Scalar::from_bytes_mod_order(key.to_scalar_bytes());
    let nonce = Scalar::from_bytes_mod_order([5; 32]);
    let message = [
        format!(
            "DSSEv1 {} {PAYLOAD_TYPE} {} ",
            PAYLOAD_TYPE.len(),
            payload.len()
        )
        .as_bytes(),
        payload,
    ]
    .concat();
    let r = (ED25519_BASEPOINT_POINT * nonce + EIGHT_TORSION[1])
        .compress()
        .to_bytes();
    let hash = Sha512::new()
        .chain_update(r)
        .chain_update(key.verifying_key().to_bytes())
        .chain_update(&message)
        .finalize();
    let s = nonce + Scalar::from_bytes_mod_order_wide(&hash.into()) * secret;
    // The honest signature of the same key has another R: this is none that it would make.
    assert_ne!(key.sign(&message).to_bytes()[..32], r);
    let keyid = format!(
        "ed25519:{}",
        encoding::base64url(key.verifying_key().to_bytes())
    );
    let signature = encoding::base64([r, s.to_bytes()].concat());
    json!({ "payload": encoding::base64(payload), "payloadType": PAYLOAD_TYPE,
            "signatures": [{ "keyid": keyid, "sig": signature }] })
    .to_string()
    .into_bytes()
}

#[test]
fn bad_calls_are_refused_and_store_nothing() {
    let ledger = Ledger::serving();
    let client = Client::new(BaseUrl::parse(&ledger.url()).unwrap(), Clock::system());
    let service = ledger.key(Role::Service);
    let stranger = SigningKey::from_bytes(&[9; 32]);
    let status = |result: Result<_, whosaw::client::ClientError>| match result {
        Ok(whosaw::client::Answer { status, .. }) => status,
        Err(error) => error.status().unwrap_or_else(|| panic!("{error}")),
    };
    let call = |method: &str, path: &str, body: &[u8], key: &SigningKey| {
        status(client.signed(method, path, &[], body, key, 1 << 20))
    };
    // Unsigned, unknown, malformed.
    assert_eq!(ledger.get("/vault/v1/vault").status, 401);
    assert_eq!(
        ledger.post("/vault/v1/enrol", br#"{"code":"x"}"#).status,
        401
    );
    assert_eq!(call("GET", "/vault/v1/vault", b"", &stranger), 404);
    assert_eq!(
        call("POST", "/vault/v1/enrol", br#"{"code":"x"}"#, &stranger),
        404
    );
    assert_eq!(
        call(
            "POST",
            "/vault/v1/enrol",
            br#"{"code":"x","more":1}"#,
            &stranger
        ),
        400
    );

    let code = run(
        &ledger.root,
        "operator enrol-code --data operator --mebibytes 1 --clips 1",
    );
    let enrol = json!({ "code": code.trim() }).to_string();
    assert_eq!(
        call("POST", "/vault/v1/enrol", enrol.as_bytes(), &stranger),
        201
    );
    assert_eq!(
        call("POST", "/vault/v1/enrol", enrol.as_bytes(), &stranger),
        200
    );
    assert_eq!(
        call(
            "POST",
            "/vault/v1/enrol",
            enrol.as_bytes(),
            &SigningKey::from_bytes(&[10; 32])
        ),
        409
    );

    let clip = format!("/vault/v1/clips/{}", "ab".repeat(16));
    assert_eq!(
        call(
            "PUT",
            &format!("{clip}/body"),
            &vec![0; (1 << 20) + 1],
            &stranger
        ),
        507
    );
    assert_eq!(
        call("PUT", &format!("{clip}/surprise"), b"x", &stranger),
        404
    );
    assert_eq!(call("PUT", "/vault/v1/clips/AB/body", b"x", &stranger), 400);
    assert_eq!(
        call(
            "PUT",
            "/vault/v1/clips/..%2f..%2fkeys/body",
            b"x",
            &stranger
        ),
        400
    );
    let commitments = |n: u8| {
        let all: Vec<Digest> = (0..n).map(|n| Digest::from_bytes([n; 32])).collect();
        json!({ "commitments": all }).to_string().into_bytes()
    };
    assert_eq!(
        call("POST", &clip, &commitments(8), &stranger),
        409,
        "no parts yet"
    );
    for part in ["header", "body", "metadata"] {
        assert_eq!(
            call("PUT", &format!("{clip}/{part}"), b"bytes", &stranger),
            201
        );
        assert_eq!(
            call("PUT", &format!("{clip}/{part}"), b"bytes", &stranger),
            200
        );
        assert_eq!(
            call("PUT", &format!("{clip}/{part}"), b"other", &stranger),
            409
        );
        assert_eq!(
            call("GET", &format!("{clip}/{part}"), b"", &service),
            404,
            "another's"
        );
    }
    for n in [0, 7, 9] {
        assert_eq!(call("POST", &clip, &commitments(n), &stranger), 400);
    }
    assert_eq!(call("POST", &clip, &commitments(8), &stranger), 201);

    // Attachments: only a party's service key, only what the opening says.
    let bytes = b"a document".to_vec();
    let value = AttachmentValue {
        sha256: Digest::of(&bytes),
        size: bytes.len() as u64,
        media_type: "text/plain".parse().unwrap(),
    };
    let opening = Opening::attachment(&[1; 16], &value).unwrap();
    let path = format!("/attachments/{}", opening.digest());
    let put = |path: &str, opening: &str, body: &[u8], key: &SigningKey| {
        status(client.signed(
            "PUT",
            path,
            &[("whosaw-opening", opening)],
            body,
            key,
            1 << 20,
        ))
    };
    assert_eq!(put(&path, opening.encode(), &bytes, &stranger), 403);
    assert_eq!(put(&path, opening.encode(), b"another", &service), 400);
    assert_eq!(put(&path, "nonsense", &bytes, &service), 400);
    let other = Opening::attachment(&[2; 16], &value).unwrap();
    assert_eq!(put(&path, other.encode(), &bytes, &service), 400);
    let page = AttachmentValue {
        media_type: "text/html".parse().unwrap(),
        ..value
    };
    let page = Opening::attachment(&[1; 16], &page).unwrap();
    assert_eq!(
        put(
            &format!("/attachments/{}", page.digest()),
            page.encode(),
            &bytes,
            &service
        ),
        400
    );
    assert_eq!(put(&path, opening.encode(), &bytes, &service), 201);
    assert_eq!(ledger.get(&path).status, 404, "no statement names it yet");

    // Nothing of the log's folder but the log.
    for path in [
        "/log/../ledger.db",
        "/log/%2e%2e/ledger.db",
        "/log/tile/0/x000/000",
        "/nowhere",
        "/log/",
    ] {
        assert_eq!(ledger.get(path).status, 404, "{path}");
    }
    assert_eq!(ledger.post("/log/checkpoint", b"").status, 405);
}
