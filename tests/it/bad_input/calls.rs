//! The faults of calls: uploads, vaults, addresses.

use std::collections::BTreeSet;

use super::*;

/// A world with a resident's vault for one clip, complete, and 1 MiB.
struct Vaults {
    world: World,
    resident: SigningKey,
    code: String,
}

impl Vaults {
    fn new() -> Self {
        let world = World::new();
        let vaults = Self {
            resident: stranger(),
            code: world.ledger.enrol_code(1, 1),
            world,
        };
        let code = json!({ "code": vaults.code }).to_string();
        let done = |call: Call, status| assert_eq!(vaults.send(&call).status, status);
        done(vaults.own("POST", "/vault/v1/enrol", code.as_bytes()), 201);
        for clip in [CLIP, OTHER_CLIP] {
            for part in ["header", "body", "metadata"] {
                let path = format!("/vault/v1/clips/{clip}/{part}");
                done(vaults.own("PUT", &path, part.as_bytes()), 201);
            }
        }
        done(vaults.completion(CLIP, &eight()), 201);
        vaults
    }

    fn authority(&self) -> &str {
        self.world.ledger.authority()
    }

    fn send(&self, call: &Call) -> Answer {
        self.world.ledger.send(call)
    }

    /// A call signed by the resident.
    fn own(&self, method: &'static str, path: &str, body: &[u8]) -> Call {
        Call::new(method, path, body).signed(&self.resident, self.authority())
    }

    fn completion(&self, clip: &str, commitments: &[String]) -> Call {
        let body = json!({ "commitments": commitments }).to_string();
        self.own("POST", &format!("/vault/v1/clips/{clip}"), body.as_bytes())
    }

    /// An upload signed by the agency's service key.
    fn upload(&self, upload: &Upload) -> Call {
        self.by_agency(upload.call())
    }

    fn by_agency(&self, call: Call) -> Call {
        call.signed(&service(&self.world.agency), self.authority())
    }

    fn recipient(&self, recipient: &str) -> Call {
        let body = json!({ "recipient": recipient }).to_string();
        self.own("PUT", "/vault/v1/notice-recipient", body.as_bytes())
    }

    fn disclosing(&self, statement: Vec<u8>, openings: Value) -> Call {
        let statement: Value = serde_json::from_slice(&statement).unwrap();
        let body = json!({ "statement": statement, "openings": openings }).to_string();
        self.own("POST", "/vault/v1/disclosures", body.as_bytes())
    }
}

const CLIP: &str = "00112233445566778899aabbccddeeff";
const OTHER_CLIP: &str = "ff112233445566778899aabbccddeeff";
const RECIPIENT: &str = "age1q5ec39hspz5gjf6y0sg4rwvzr04hfn2ayq6kwrnh4eluecwnj47q0vycuf";
const OTHER_RECIPIENT: &str = "age1mt9hrdmauvd2dlgqqr4mlaq9q2gpwa02al8f4h99zkl7h9eru97scpnuxs";

/// The recipient with a point of order 1.
fn low_order() -> String {
    let hrp = bech32::Hrp::parse_unchecked("age");
    bech32::encode::<bech32::Bech32>(hrp, &[0; 32]).unwrap()
}

const VAULT: &str = "/vault/v1/vault";

/// Eight ascending commitments.
fn eight() -> Vec<String> {
    (0..8).map(|n| format!("{n:064x}")).collect()
}

fn text() -> Upload {
    Upload::of(b"a document", "text/plain")
}

fn seconds_from_now(seconds: i64) -> Time {
    Clock::system().now().checked_add_seconds(seconds).unwrap()
}

/// Name, call, and the answer: status, code and member.
type Bad = (
    &'static str,
    fn(&Vaults) -> Call,
    u16,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const OF_UPLOADS: &[Bad] = &[
    ("an unsigned upload", |_| text().call(), 401, "call-signature", ""),
    ("a stranger's upload", |v| text().call().signed(&stranger(), v.authority()), 403, "forbidden", ""),
    ("a resident's upload", |v| text().call().signed(&v.resident, v.authority()), 403, "forbidden", ""),
    ("an officer's upload", |v| text().call().signed(&officer(&v.world.agency), v.authority()), 403, "forbidden", ""),
    ("another body than was signed", |v| Call { body: b"A document".to_vec(), ..v.upload(&text()) }, 400, "bad-request", "Content-Digest"),
    ("another address than was signed", |v| Call { path: text().call().path, ..v.upload(&text()) }, 401, "call-signature", ""),
    ("no opening", |v| v.by_agency(Call { headers: vec![], ..text().call() }), 400, "bad-request", "Whosaw-Opening"),
    ("an opening that is none", |v| v.by_agency(text().call().with("whosaw-opening", "WyJhIl0")), 400, "bad-request", "Whosaw-Opening"),
    ("the opening of another", |v| v.by_agency(text().call().with("whosaw-opening", text().opening.encode())), 400, "bad-request", "Whosaw-Opening"),
    ("bytes that the opening does not name", |v| v.upload(&Upload { bytes: b"A document".to_vec(), ..text() }), 400, "bad-request", "Whosaw-Opening"),
    ("a web page", |v| v.upload(&Upload::of(b"<script>", "text/html")), 400, "bad-request", "Whosaw-Opening"),
    ("16 MiB and a byte", |v| v.upload(&Upload { bytes: vec![0; (16 << 20) + 1], ..text() }), 413, "too-large", ""),
];

#[rustfmt::skip]
const OF_SIGNED_CALLS: &[Bad] = &[
    ("an unsigned call", |_| Call::new("GET", VAULT, []), 401, "call-signature", ""),
    ("a call without its digest", |v| v.own("GET", VAULT, b"").with("content-digest", ""), 401, "call-signature", ""),
    ("a call with another signature", |v| v.own("GET", VAULT, b"").with("signature", v.own("GET", VAULT, b"").headers[2].1.clone()), 401, "call-signature", ""),
    ("an expired call", |v| Call::new("GET", VAULT, []).signed_at(&v.resident, v.authority(), seconds_from_now(-300)), 401, "call-signature", ""),
    ("a call from the future", |v| Call::new("GET", VAULT, []).signed_at(&v.resident, v.authority(), seconds_from_now(300)), 401, "call-signature", ""),
    ("a call meant for another server", |v| Call::new("GET", VAULT, []).signed(&v.resident, "ledger.example"), 401, "call-signature", ""),
    ("a call that names another server", |v| Call::new("GET", VAULT, []).signed(&v.resident, "ledger.example").with("host", "ledger.example"), 400, "bad-request", "Host"),
    ("a query that was not signed", |v| Call { path: format!("{VAULT}?all"), ..v.own("GET", VAULT, b"") }, 401, "call-signature", ""),
    ("a method that was not signed", |v| Call { method: "DELETE", path: format!("/vault/v1/clips/{CLIP}"), ..v.own("GET", &format!("/vault/v1/clips/{CLIP}"), b"") }, 401, "call-signature", ""),
    ("a stranger's call", |v| Call::new("GET", VAULT, []).signed(&stranger(), v.authority()), 404, "not-found", ""),
    ("a stranger's look at a clip", |v| Call::new("GET", format!("/vault/v1/clips/{CLIP}/body"), []).signed(&stranger(), v.authority()), 404, "not-found", ""),
    ("a stranger's deletion", |v| Call::new("DELETE", format!("/vault/v1/clips/{CLIP}"), []).signed(&stranger(), v.authority()), 404, "not-found", ""),
    ("a wrong code", |v| Call::new("POST", "/vault/v1/enrol", r#"{"code":"0"}"#).signed(&stranger(), v.authority()), 404, "not-found", ""),
    ("a code that another has used", |v| Call::new("POST", "/vault/v1/enrol", json!({ "code": v.code }).to_string()).signed(&stranger(), v.authority()), 409, "vault-conflict", ""),
    ("an unsigned code", |v| Call::new("POST", "/vault/v1/enrol", json!({ "code": v.code }).to_string()), 401, "call-signature", ""),
    ("a code with something besides", |v| v.own("POST", "/vault/v1/enrol", br#"{"code":"0","name":"J"}"#), 400, "bad-request", "body"),
    ("a code that is no text", |v| v.own("POST", "/vault/v1/enrol", br#"{"code":0}"#), 400, "bad-request", "body"),
    ("nothing for a code", |v| v.own("POST", "/vault/v1/enrol", b""), 400, "bad-request", "body"),
    ("a recipient that is none", |v| v.recipient("age1x"), 400, "bad-request", "body"),
    ("a recipient in capitals", |v| v.recipient(&RECIPIENT.to_uppercase()), 400, "bad-request", "body"),
    ("a recipient that everybody can open for", |v| v.recipient(&low_order()), 400, "bad-request", "body"),
    ("a stranger's recipient", |v| v.recipient(RECIPIENT).signed(&stranger(), v.authority()), 404, "not-found", ""),
    ("another recipient than before", |v| { assert!([200, 201].contains(&v.send(&v.recipient(RECIPIENT)).status)); v.recipient(OTHER_RECIPIENT) }, 409, "vault-conflict", ""),
    ("a large body for a code", |v| v.own("POST", "/vault/v1/enrol", &[b' '; 300 << 10]), 413, "too-large", ""),
];

#[rustfmt::skip]
const OF_CLIPS: &[Bad] = &[
    ("a short clip id", |v| v.own("PUT", "/vault/v1/clips/0011/body", b"x"), 400, "bad-request", "clip"),
    ("a clip id in capitals", |v| v.own("PUT", &format!("/vault/v1/clips/{}/body", CLIP.to_uppercase()), b"x"), 400, "bad-request", "clip"),
    ("a way out for a clip id", |v| v.own("PUT", "/vault/v1/clips/..%2f..%2fkeys/body", b"x"), 400, "bad-request", "clip"),
    ("a clip id that is no text", |v| v.own("PUT", "/vault/v1/clips/%ff/body", b"x"), 404, "not-found", ""),
    ("a part that clips do not have", |v| v.own("PUT", &format!("/vault/v1/clips/{CLIP}/thumbnail"), b"x"), 404, "not-found", ""),
    ("other bytes in a part", |v| v.own("PUT", &format!("/vault/v1/clips/{CLIP}/body"), b"Body"), 409, "other-content", ""),
    ("a part of a clip that is not there", |v| v.own("GET", &format!("/vault/v1/clips/{}/body", "ab".repeat(16)), b""), 404, "not-found", ""),
    ("a body of no told length", |v| v.own("PUT", &format!("/vault/v1/clips/{CLIP}/body"), b"0\r\n\r\n").with("transfer-encoding", "chunked"), 400, "bad-request", "Content-Length"),
    ("a body longer than told", |v| v.own("PUT", &format!("/vault/v1/clips/{}/body", "ab".repeat(16)), b"body").with("content-length", "3"), 400, "bad-request", "Content-Digest"),
    ("a body shorter than told", |v| v.own("PUT", &format!("/vault/v1/clips/{}/body", "ab".repeat(16)), b"body").with("content-length", "5"), 408, "too-slow", ""),
    ("another body than was signed", |v| Call { body: b"BODY".to_vec(), ..v.own("PUT", &format!("/vault/v1/clips/{}/body", "ab".repeat(16)), b"body") }, 400, "bad-request", "Content-Digest"),
    ("a large header", |v| v.own("PUT", &format!("/vault/v1/clips/{}/header", "ab".repeat(16)), &[0; (1 << 20) + 1]), 413, "too-large", ""),
    ("more bytes than the quota", |v| v.own("PUT", &format!("/vault/v1/clips/{}/body", "ab".repeat(16)), &[0; 1 << 20]), 507, "quota", ""),
    ("more bytes than there are", |v| v.own("PUT", &format!("/vault/v1/clips/{}/body", "ab".repeat(16)), b"").with("content-length", "9223372036854775807"), 507, "quota", ""),
    ("more clips than the quota", |v| v.completion(OTHER_CLIP, &eight()), 507, "quota", ""),
    ("no commitments for a clip that was never complete", |v| v.completion(OTHER_CLIP, &[]), 400, "bad-request", "/commitments"),
    ("a clip without its parts", |v| v.completion(&"ab".repeat(16), &eight()), 409, "incomplete-clip", ""),
    ("seven commitments", |v| v.completion(CLIP, &eight()[1..]), 400, "bad-request", "/commitments"),
    ("nine commitments", |v| v.completion(CLIP, &[eight(), vec!["ff".repeat(32)]].concat()), 400, "bad-request", "/commitments"),
    ("commitments that descend", |v| v.completion(CLIP, &eight().into_iter().rev().collect::<Vec<_>>()), 400, "bad-request", "/commitments"),
    ("a commitment twice", |v| v.completion(CLIP, &[&eight()[..7], &eight()[6..7]].concat()), 400, "bad-request", "/commitments"),
    ("a commitment in capitals", |v| v.completion(CLIP, &[&eight()[..7], &["AB".repeat(32)]].concat()), 400, "bad-request", "body"),
    ("something beside commitments", |v| v.own("POST", &format!("/vault/v1/clips/{CLIP}"), br#"{"commitments":[],"camera":"porch"}"#), 400, "bad-request", "body"),
    ("a disclosure that is a benefit", |v| v.disclosing(v.world.envelope(|_| {}), json!([])), 400, "bad-request", "/statement"),
    ("a disclosure without openings", |v| v.disclosing(v.world.disclosure(), json!([])), 400, "bad-request", "/openings"),
    ("a disclosure with an opening that is none", |v| v.disclosing(v.world.disclosure(), json!([{ "clip": CLIP, "opening": "e30", "body_length": 4 }])), 400, "bad-request", "/openings"),
    ("a stranger's disclosure", |v| { let own = v.disclosing(v.world.disclosure(), json!([])); own.signed(&stranger(), v.authority()) }, 404, "not-found", ""),
    ("a header for no disclosure", |v| v.own("PUT", &format!("/vault/v1/disclosures/{}/headers/0", "ab".repeat(32)), b"x"), 404, "not-found", ""),
    ("a header at no place", |v| v.own("PUT", &format!("/vault/v1/disclosures/{}/headers/first", "ab".repeat(32)), b"x"), 404, "not-found", ""),
    ("a disclosure's id that is none", |v| v.own("PUT", "/vault/v1/disclosures/1/headers/0", b"x"), 400, "bad-request", "id"),
    ("a note for no disclosure", |v| v.own("PUT", &format!("/vault/v1/disclosures/{}/note", "ab".repeat(32)), b"x"), 404, "not-found", ""),
    ("a note that is too long", |v| v.own("PUT", &format!("/vault/v1/disclosures/{}/note", "ab".repeat(32)), &[b'x'; 4297]), 413, "too-large", ""),
    ("a resident's collection of a note", |v| v.own("GET", &format!("/vault/v1/disclosures/{}/note", "ab".repeat(32)), b""), 403, "forbidden", ""),
    ("a collection of no note", |v| v.by_agency(Call::new("GET", format!("/vault/v1/disclosures/{}/note", "ab".repeat(32)), [])), 404, "not-found", ""),
    ("a resident's collection", |v| v.own("GET", &format!("/vault/v1/disclosures/{}/clips/0", "ab".repeat(32)), b""), 403, "forbidden", ""),
    ("a collection of nothing", |v| v.by_agency(Call::new("GET", format!("/vault/v1/disclosures/{}/clips/0", "ab".repeat(32)), [])), 404, "not-found", ""),
];

#[rustfmt::skip]
const OF_ADDRESSES: &[Bad] = &[
    ("no such address", |_| Call::new("GET", "/admin", []), 404, "not-found", ""),
    ("no such method", |_| Call::new("DELETE", "/api/v1/statements", []), 405, "no-such-method", ""),
    ("an id that is none", |_| Call::new("GET", "/api/v1/statements/1", []), 400, "bad-request", "id"),
    ("an id that is no text", |_| Call::new("GET", "/api/v1/proofs/%ff", []), 400, "bad-request", "id"),
    ("an id of nothing", |_| Call::new("GET", format!("/api/v1/proofs/{}", "ab".repeat(32)), []), 404, "not-found", ""),
    ("a jurisdiction that is none", |_| Call::new("GET", "/bundles/florida", []), 400, "bad-request", "jurisdiction"),
    ("no such schema", |_| Call::new("GET", "/schemas/gift.json", []), 404, "not-found", ""),
    ("no such notice", |_| Call::new("GET", format!("/notices/{}", "ab".repeat(32)), []), 404, "not-found", ""),
    ("a notice that is an agreement", |v| Call::new("GET", format!("/notices/{}", v.world.agreement), []), 404, "not-found", ""),
    ("a notice's id that is none", |_| Call::new("GET", "/notices/1", []), 400, "bad-request", "id"),
    ("no such batch", |_| Call::new("GET", format!("/batches/{}", "ab".repeat(32)), []), 404, "not-found", ""),
    ("an attachment that no statement names", |v| { let upload = text(); assert_eq!(v.send(&v.upload(&upload)).status, 201); Call::new("GET", upload.call().path, []) }, 404, "not-found", ""),
    ("a way out of the log", |_| Call::new("GET", "/log/../keys/log.key", []), 404, "not-found", ""),
    ("a way out of the log, escaped", |_| Call::new("GET", "/log/%2e%2e/keys/log.key", []), 404, "not-found", ""),
    ("a way out of the log, escaped whole", |_| Call::new("GET", "/log/..%2fkeys%2flog.key", []), 404, "not-found", ""),
    ("a way out of a tile", |_| Call::new("GET", "/log/tile/0/../../../keys/log.key", []), 404, "not-found", ""),
    ("a tile of no level", |_| Call::new("GET", "/log/tile/8/000", []), 404, "not-found", ""),
    ("a tile that is not full yet", |_| Call::new("GET", "/log/tile/0/000", []), 404, "not-found", ""),
    ("a tile in another spelling", |_| Call::new("GET", "/log/tile/0/%30%30%30", []), 404, "not-found", ""),
    ("no file of the log's", |_| Call::new("GET", "/log/", []), 404, "not-found", ""),
    ("the log and no file", |_| Call::new("GET", "/log", []), 404, "not-found", ""),
    ("a file put into the log", |_| Call::new("PUT", "/log/tile/0/000", []), 405, "no-such-method", ""),
    ("a second spelling in the log", |_| Call::new("GET", "/log//checkpoint", []), 404, "not-found", ""),
];

#[test]
fn calls_that_are_refused() {
    let vaults = Vaults::new();
    let size = vaults.world.ledger.size();
    let stored = vaults.send(&vaults.own("GET", VAULT, b"")).json();
    let (mut faults, mut codes) = (Vec::new(), BTreeSet::new());
    for table in [OF_UPLOADS, OF_SIGNED_CALLS, OF_CLIPS, OF_ADDRESSES] {
        for (name, call, status, code, member) in table {
            let answer = vaults.send(&call(&vaults));
            let member = (!member.is_empty()).then(|| (*member).to_owned());
            let said = (*status, (*code).to_owned(), member);
            codes.insert(*code);
            if answer.problem() != said {
                let text = String::from_utf8_lossy(&answer.body);
                let status = answer.status;
                faults.push(format!("{name}: {said:?} expected, and {status} {text}"));
            }
            assert_eq!(vaults.world.ledger.size(), size, "{name}");
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(vaults.send(&vaults.own("GET", VAULT, b"")).json(), stored);
    for code in codes {
        let page = vaults.send(&Call::new("GET", format!("/problems/{code}"), []));
        let text = String::from_utf8(page.body).unwrap();
        assert!(
            text.contains(&format!("<code>/problems/{code}</code>")),
            "{code}: {text}"
        );
    }
    let none = vaults.send(&Call::new("GET", "/problems/none", []));
    assert_eq!(none.problem(), (404, "not-found".to_owned(), None));
}

/// A signed call is good once.
#[test]
fn a_call_is_made_once() {
    let vaults = Vaults::new();
    let call = vaults.own("GET", VAULT, b"");
    assert_eq!(vaults.send(&call).status, 200);
    for _ in 0..2 {
        let replayed = vaults.send(&call).problem();
        assert_eq!(replayed, (401, "call-signature".to_owned(), None));
    }
    assert_eq!(vaults.send(&vaults.own("GET", VAULT, b"")).status, 200);
}

/// Uploads that come at once have one quota together.
#[test]
fn uploads_at_once_keep_to_the_quota() {
    let vaults = Vaults::new();
    let put = |n: u8| {
        let path = format!("/vault/v1/clips/{}/body", format!("{n:02x}").repeat(16));
        vaults.send(&vaults.own("PUT", &path, &[n; 300 << 10]))
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let put = &put;
        let threads: Vec<_> = (0..12).map(|n| scope.spawn(move || put(n))).collect();
        let answers = threads.into_iter().map(|thread| thread.join().unwrap());
        answers.map(|answer| answer.status).collect()
    });
    let stored = statuses.iter().filter(|status| **status == 201).count();
    assert!((1..=3).contains(&stored), "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 507].contains(status)));
    // What was stored is known, and no second room is asked for it.
    let known = statuses.iter().position(|status| *status == 201).unwrap() as u8;
    let path = format!("/vault/v1/clips/{}/body", format!("{known:02x}").repeat(16));
    for _ in 0..4 {
        let again = vaults.send(&vaults.own("PUT", &path, &[known; 300 << 10]));
        assert_eq!(again.status, 200);
    }
    let other = vaults.send(&vaults.own("PUT", &path, &[99; 300 << 10]));
    assert_eq!(other.problem().0, 409);
}

#[test]
fn who_uses_another_method_is_told_which_there_are() {
    let world = World::new();
    for (path, allowed) in [
        ("/log/checkpoint", "GET,HEAD"),
        ("/schemas/party.json", "GET,HEAD"),
        ("/api/v1/statements", "POST"),
    ] {
        let answer = world.ledger.send(&Call::new("DELETE", path, []));
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("allow"), allowed, "{path}");
    }
    let schema = Call::new("GET", "/schemas/party.json", []);
    let (first, again) = (world.ledger.send(&schema), world.ledger.send(&schema));
    assert_eq!(first.status, 200);
    assert_eq!(first.header("content-type"), "application/schema+json");
    assert_eq!(first.body, again.body);
}
