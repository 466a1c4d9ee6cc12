//! The gate against a bad operator: a proxy between the resident's program and a real server lies in
//! every way there is, and each time the program refuses and says why. What it sent is searched for
//! anything that must never leave the device.

mod consents;
mod forgery;
mod interrupted;
mod notes;
mod notices;
mod proxy;
mod published;
mod restored;
mod sets;
mod support;
mod world;

use ed25519_dalek::SigningKey;
use whosaw::digest::StatementId;
use whosaw::seal::recipient::Recipient;
use whosaw::statement::envelope::Envelope;
use whosaw::statement::kinds::access_request::AccessRequest;
use whosaw::statement::kinds::collection::Collection;
use whosaw::statement::leaf::Leaf;
use whosaw::statement::sealed::{Opening, SealDigest};
use whosaw::statement::words::{Day, Role};
use whosaw::statement::{Author, Head, Statement, parse_payload, sign};
use whosaw::time::Time;

use forgery::leaf;
use proxy::Proxy;
use support::{Outcome, run};
use world::{Device, filmed, now, serve_log, world};

const FORBIDDEN: &str = "the log's rules forbid it";

/// The request as it stands in the real log.
fn request() -> AccessRequest {
    let wanted: StatementId = world().request.parse().unwrap();
    for leaf in world().leaves() {
        let payload = Leaf::parse(&leaf).unwrap().envelope.payload;
        if StatementId::of_payload(&payload) == wanted
            && let (_, Statement::AccessRequest(request)) = parse_payload(&payload).unwrap()
        {
            return request;
        }
    }
    panic!("the request is in the log");
}

/// Another request of the agency: everything that must be fresh is fresh.
fn another_request(n: u8) -> AccessRequest {
    let mut other = request();
    let identity = age::x25519::Identity::generate();
    other.recipient = Recipient::of(&identity);
    other.scope = SealDigest::from_bytes([n; 32]);
    other.message = None;
    other.sealed.case_number.digest = SealDigest::from_bytes([n + 1; 32]);
    other
}

fn agency_head() -> Head {
    Head {
        log: "ledger.example/log".to_owned(),
        issued_at: now().cut_to_minute(),
        author: Author::Issuer("lakelandgov.example".parse().unwrap()),
    }
}

fn by_officer(statement: impl Into<Statement>) -> Envelope {
    sign(
        &agency_head(),
        &statement.into(),
        &[&world().agency().key(Role::Officer).unwrap()],
    )
}

fn id_of(envelope: &Envelope) -> String {
    StatementId::of_payload(&envelope.payload).to_string()
}

/// A forged log that goes on from before the request with these envelopes.
fn forge(envelopes: &[Envelope]) -> forgery::Files {
    let mut leaves = world().leaves_before.clone();
    leaves.extend(
        envelopes
            .iter()
            .map(|envelope| leaf(envelope.clone(), now())),
    );
    world().forger().log(&leaves, now())
}

/// The device is shown a log with this one forbidden request: it is not shown as a request, and
/// cannot be allowed.
fn refuses_forbidden_request(envelope: &Envelope, why: &str) {
    let proxy = world().proxy();
    let device = world().device_before(&proxy);
    serve_log(&proxy, forge(std::slice::from_ref(envelope)));
    let inbox = device.run("inbox --json");
    let id = id_of(envelope);
    let json: serde_json::Value = serde_json::from_str(&inbox.out).unwrap();
    assert!(!json["requests"].to_string().contains(&id), "{json}");
    device.run(&format!("allow {id} --yes")).refused(why);
    nothing_secret_left(&device, &proxy);
}

/// Searches all that the device sent for the seed, the file keys, re-wrapped headers and thumbnails,
/// in every encoding that a program might use.
fn nothing_secret_left(device: &Device, proxy: &Proxy) {
    let sent = proxy.sent();
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    let phrase = std::fs::read_to_string(device.path.join("phrase")).unwrap();
    secrets.push(phrase.trim().as_bytes().to_vec());
    let phrase: whosaw::seal::keys::Phrase = phrase.parse().unwrap();
    let seed = phrase.seed();
    let identity = seed.identity();
    use age::secrecy::ExposeSecret as _;
    secrets.push(identity.to_string().expose_secret().as_bytes().to_vec());
    secrets.push(seed.vault_key().to_bytes().to_vec());
    for clip in std::fs::read_dir(device.path.join("clips")).unwrap() {
        let header = std::fs::read(clip.unwrap().path().join("header")).unwrap();
        let key = whosaw::seal::rewrap::file_key(&header, &identity).unwrap();
        secrets.push(key.expose_secret().to_vec());
    }
    secrets.push(
        std::fs::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/examples/doorbell.jpg"
        ))
        .unwrap()[..64]
            .to_vec(),
    );
    secrets.push(
        std::fs::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/examples/doorbell.mp4"
        ))
        .unwrap()[..64]
            .to_vec(),
    );
    // Re-wrapped headers and notes that wait for their collection.
    for gift in device.state().gifts().unwrap() {
        // What another test's copy of this device gave came out of the log: its headers are there.
        let headers = gift.clips.into_iter().map(|clip| clip.header);
        secrets.extend(headers.flatten());
        secrets.extend(
            gift.note
                .into_iter()
                .flat_map(|note| [note.text, note.file]),
        );
    }
    assert!(secrets.len() >= 6);
    for secret in secrets {
        assert!(!holds(&sent, &secret), "a secret left the device");
    }
}

/// Whether `bytes` hold a secret in any encoding that a program might use.
fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    let base64 = whosaw::encoding::base64(secret);
    let spellings = [
        secret.to_vec(),
        whosaw::encoding::hex(secret).into_bytes(),
        base64.trim_end_matches('=').as_bytes().to_vec(),
        whosaw::encoding::base64url(secret).into_bytes(),
    ];
    let found = |spelling: &Vec<u8>| bytes.windows(spelling.len()).any(|w| w == *spelling);
    spellings.iter().any(found)
}

#[test]
fn a_request_withheld_from_the_log_is_refused() {
    let proxy = world().proxy();
    let device = world().device_before(&proxy);
    // The bundle shows the request; the log, honestly signed and cosigned, does not have it.
    serve_log(&proxy, world().forger().log(&world().leaves_before, now()));
    let inbox: serde_json::Value = serde_json::from_str(&device.must("inbox --json")).unwrap();
    assert_eq!(inbox["requests"], serde_json::json!([]));
    device
        .run(&format!("allow {} --yes", world().request))
        .refused("no such request");
    nothing_secret_left(&device, &proxy);
}

/// The owner hears of a request before the device does: that accuses nobody.
#[test]
fn a_request_that_the_copy_does_not_have_yet_accuses_nobody() {
    let proxy = world().proxy();
    let device = world().device_before(&proxy);
    let refuse = format!("refuse {}", world().request);
    let early = device.run(&refuse);
    assert!(!early.both().contains("went around"), "{}", early.both());
    early.refused("has no such request: run `whosaw resident sync`, then ask again");
    device.must("sync");
    device.must(&refuse);
}

#[test]
fn a_log_that_goes_back_is_refused() {
    let proxy = world().proxy();
    let device = world().device(&proxy);
    serve_log(&proxy, world().forger().log(&world().leaves_before, now()));
    device.run("sync").refused("went back");
    device
        .run(&format!("allow {} --yes", world().request))
        .refused("went back");
    nothing_secret_left(&device, &proxy);
}

#[test]
fn a_log_with_another_history_is_refused() {
    let stranger = SigningKey::from_bytes(&[77; 32]);
    for more in [0, 5] {
        let proxy = world().proxy();
        let device = world().device(&proxy);
        let known = world().leaves().len();
        device.must("sync");
        // Whatever was added since, two entries that the device knows have changed places.
        let mut leaves = world().leaves();
        leaves.swap(known - 2, known - 1);
        let filler = sign(&agency_head(), &another_request(90).into(), &[&stranger]);
        leaves.extend((0..more).map(|_| leaf(filler.clone(), now())));
        serve_log(&proxy, world().forger().log(&leaves, now()));
        let refused = device.run("sync");
        refused.refused("rewrote its past");
        nothing_secret_left(&device, &proxy);
        convicted(&device, &refused);
    }
}

/// The refusal names a file by which the log is convicted before anyone who has its key.
fn convicted(device: &Device, refused: &Outcome) {
    let mut kept = std::fs::read_dir(&device.path).unwrap();
    let kept = kept.find_map(|entry| {
        let path = entry.unwrap().path();
        (path.extension()? == "tlog-evidence").then_some(path)
    });
    let path = kept.expect("evidence is kept").display().to_string();
    let name = path.rsplit('/').next().unwrap();
    assert!(refused.both().contains(name), "{}", refused.both());
    let said = run(
        &world().root,
        &format!("log evidence {path} --policy operator/log.policy"),
    );
    assert!(said.contains("ledger.example/log"), "{said}");
}

#[test]
fn a_stale_checkpoint_is_refused() {
    let proxy = world().proxy();
    let device = world().device(&proxy);
    let old = now().checked_add_seconds(-2 * 3600).unwrap();
    serve_log(&proxy, world().forger().log(&world().leaves(), old));
    device.run("sync").refused("quorum is missing");
    nothing_secret_left(&device, &proxy);
}

#[test]
fn a_checkpoint_without_a_witness_is_refused() {
    let proxy = world().proxy();
    let device = world().device(&proxy);
    proxy.lie(|request, mut response| {
        if request.path == "/log/checkpoint" {
            let note = String::from_utf8(response.body).unwrap();
            let kept = note
                .split_inclusive('\n')
                .filter(|line| !line.contains("university"));
            response.body = kept.collect::<String>().into_bytes();
        }
        response
    });
    device.run("sync").refused("university has not cosigned");
    nothing_secret_left(&device, &proxy);
}

#[test]
fn altered_entries_are_refused() {
    let proxy = world().proxy();
    let device = world().device_before(&proxy);
    let real = request().recipient.to_string();
    let foreign = Recipient::of(&age::x25519::Identity::generate()).to_string();
    // The payload is base64 in the leaf: the recipient is swapped there.
    proxy.lie(move |request, mut response| {
        if request.path.starts_with("/log/tile/entries/") && response.status == 200 {
            let width = request
                .path
                .split(".p/")
                .nth(1)
                .map_or(256, |w| w.parse().unwrap());
            let entries = whosaw::tlog::tile::decode_entries(&response.body, width).unwrap();
            let altered: Vec<Vec<u8>> = entries
                .into_iter()
                .map(|entry| {
                    let mut parsed = Leaf::parse(&entry).unwrap();
                    let payload = String::from_utf8(parsed.envelope.payload).unwrap();
                    parsed.envelope.payload = payload.replace(&real, &foreign).into_bytes();
                    parsed.to_bytes()
                })
                .collect();
            response.body = whosaw::tlog::tile::encode_entries(&altered);
        }
        response
    });
    device.run("sync").refused("files are damaged");
    nothing_secret_left(&device, &proxy);
}

#[test]
fn a_request_under_a_swapped_agency_key_is_refused() {
    let stranger = SigningKey::from_bytes(&[78; 32]);
    refuses_forbidden_request(
        &sign(&agency_head(), &another_request(10).into(), &[&stranger]),
        FORBIDDEN,
    );
}

#[test]
fn a_request_with_a_swapped_recipient_is_refused() {
    let genuine = by_officer(another_request(12));
    let payload = String::from_utf8(genuine.payload.clone()).unwrap();
    let (_, statement) = parse_payload(&genuine.payload).unwrap();
    let Statement::AccessRequest(request) = statement else {
        panic!("a request");
    };
    let foreign = Recipient::of(&age::x25519::Identity::generate());
    let payload = payload.replace(&request.recipient.to_string(), &foreign.to_string());
    let swapped = Envelope {
        payload: payload.into_bytes(),
        ..genuine
    };
    refuses_forbidden_request(&swapped, "no such request");
}

#[test]
fn a_request_without_an_agreement_is_refused() {
    let mut request = another_request(14);
    let first = Leaf::parse(&world().leaves_before[0]).unwrap();
    request.agreement = StatementId::of_payload(&first.envelope.payload);
    refuses_forbidden_request(&by_officer(request), FORBIDDEN);
}

#[test]
fn a_request_outside_the_limits_is_refused() {
    let mut request = another_request(16);
    request.window_minutes = 10_000;
    refuses_forbidden_request(&by_officer(request), FORBIDDEN);
}

/// The operator's clock is 20 days ahead, so that a new key's wait and a notice are over at once.
#[test]
fn a_request_whose_time_had_not_come_is_shown_as_false() {
    let proxy = world().proxy();
    let device = world().device_before(&proxy);
    let later = |time: Time, seconds| time.checked_add_seconds(seconds).unwrap();
    let then = later(now(), 20 * 86_400).cut_to_minute();
    let mut request = another_request(20);
    request.deadline = later(then, 3600);
    request.sealed.case_number.open_by = Day::of(later(then, 86_400));
    let head = Head {
        issued_at: then,
        ..agency_head()
    };
    let key = world().agency().key(Role::Officer).unwrap();
    let envelope = sign(&head, &request.into(), &[&key]);
    let id = id_of(&envelope);
    let mut leaves = world().leaves_before.clone();
    leaves.push(leaf(envelope, then));
    serve_log(&proxy, world().forger().log(&leaves, now()));
    let said = device.run("sync").both();
    assert!(said.contains("logged-ahead"), "{said}");
    let inbox = device.run("inbox --json");
    let json: serde_json::Value = serde_json::from_str(&inbox.out).unwrap();
    assert!(!json["requests"].to_string().contains(&id), "{json}");
    let shown = json["false_requests"].as_array().unwrap();
    let shown = shown.iter().find(|shown| shown["request"] == id.as_str());
    assert_eq!(shown.expect("it is shown as false")["code"], "logged-ahead");
    // Another look at the same entries does not make them genuine.
    serve_log(&proxy, world().forger().log(&leaves, now()));
    device.must("sync");
    device
        .run(&format!("allow {id} --yes"))
        .refused("had not come");
    nothing_secret_left(&device, &proxy);

    let index = leaves.len() - 1;
    let file = format!("logged-ahead-{index}-to-{index}.tlog-proof");
    let file = device.path.join(file).display().to_string();
    let check = format!("log evidence {file} --policy operator/log.policy");
    let proved = run(&world().root, &check);
    assert!(proved.contains("had not come"), "{proved}");
    let check = format!("log check {file} --policy operator/log.policy");
    let checked = Outcome::of(support::command(&world().root, &check).output().unwrap());
    assert_eq!(checked.code, 1, "{}", checked.both());
    let server = proxy.url();
    let honest =
        format!("log proof #1 --log {server}/log --policy operator/log.policy -o 1.tlog-proof");
    proxy.lie(|_, response| response);
    run(&world().root, &honest);
    let check = "log evidence 1.tlog-proof --policy operator/log.policy";
    let nothing = Outcome::of(support::command(&world().root, check).output().unwrap());
    assert_eq!(nothing.code, 1, "{}", nothing.both());
    let check = "log evidence 1.tlog-proof --log-key operator/log.vkey";
    let nothing = Outcome::of(support::command(&world().root, check).output().unwrap());
    assert_eq!(nothing.code, 2, "{}", nothing.both());
}

#[test]
fn a_scope_larger_than_the_log_was_told_is_refused() {
    let proxy = world().proxy();
    let device = world().device_before(&proxy);
    let mut small = another_request(18);
    let bytes = std::fs::read(world().root.join("scope.geojson")).unwrap();
    let value = whosaw::statement::sealed::AttachmentValue {
        sha256: whosaw::digest::Digest::of(&bytes),
        size: bytes.len() as u64,
        media_type: "application/geo+json".parse().unwrap(),
    };
    let opening = Opening::attachment(&[5; 16], &value).unwrap();
    small.scope = opening.digest();
    small.area_m2 /= 2;
    let envelope = by_officer(small);
    let id = id_of(&envelope);
    let files = forge(&[envelope]);
    let bundle = serde_json::json!({ "jurisdiction": "US-FL", "requests": [{ "id": id, "attachments": [
        { "opening": opening.encode(), "data": whosaw::encoding::base64(&bytes) }] }] });
    proxy.lie(move |request, mut response| {
        if let Some(path) = request.path.strip_prefix("/log/") {
            response.status = if files.contains_key(path) { 200 } else { 404 };
            response.body = files.get(path).cloned().unwrap_or_default();
        } else if request.path.starts_with("/bundles/") {
            response.body = bundle.to_string().into_bytes();
        }
        response
    });
    let inbox = device.run("inbox --json");
    let json: serde_json::Value = serde_json::from_str(&inbox.out).unwrap();
    assert!(!json["requests"].to_string().contains(&id), "{json}");
    assert!(json["false_requests"].to_string().contains(&id), "{json}");
    device
        .run(&format!("allow {id} --yes"))
        .refused("more than the public log was told");
    nothing_secret_left(&device, &proxy);
}

/// Whoever keeps the bundle back, or blows it up, does not make the device say that nobody asks.
#[test]
fn a_device_that_gets_no_bundle_says_that_it_could_not_look() {
    let proxy = world().proxy();
    let device = world().device_before(&proxy);
    proxy.cut_off(Some("/bundles/"));
    for line in ["inbox", "inbox --offline"] {
        let inbox = device.run(line);
        assert_eq!(inbox.code, 2, "{}", inbox.both());
        assert!(
            inbox.out.contains("could NOT be looked at"),
            "{}",
            inbox.out
        );
        assert!(!inbox.out.contains("nobody asks"), "{}", inbox.out);
        let inbox = device.run(&format!("{line} --json"));
        assert_eq!(inbox.code, 2, "{}", inbox.both());
        let json: serde_json::Value = serde_json::from_str(&inbox.out).unwrap();
        assert!(json["not_looked"].is_string(), "{json}");
    }
    let synced = device.run("sync");
    assert_eq!(synced.code, 2, "{}", synced.both());
    assert!(synced.out.contains("there may be others"), "{}", synced.out);
    proxy.cut_off(None);
    let inbox = device.must("inbox");
    assert!(inbox.contains(&world().request[..12]), "{inbox}");
}

#[test]
fn no_header_leaves_before_the_collection() {
    let proxy = world().proxy();
    let device = world().device(&proxy);
    device.must(&format!("allow {} --yes", world().request));
    device.must("sync");
    let headers_sent = || {
        proxy
            .calls()
            .iter()
            .filter(|call| call.contains("/headers/"))
            .count()
    };
    assert_eq!(headers_sent(), 0);

    // The operator logs a collection that the agency did not sign, and one by another key.
    let leaves = world().leaves();
    let disclosure = leaves
        .iter()
        .map(|leaf| Leaf::parse(leaf).unwrap().envelope)
        .find(|e| matches!(parse_payload(&e.payload), Ok((_, Statement::Disclosure(_)))))
        .expect("the disclosure is logged");
    let collection = Collection {
        disclosure: StatementId::of_payload(&disclosure.payload),
        label: "detective-4".parse().unwrap(),
    };
    let stranger = SigningKey::from_bytes(&[79; 32]);
    let forged = sign(&agency_head(), &collection.into(), &[&stranger]);
    let mut forged_leaves = leaves;
    forged_leaves.push(leaf(forged, now()));
    serve_log(&proxy, world().forger().log(&forged_leaves, now()));
    device.run("sync");
    assert_eq!(headers_sent(), 0);
    nothing_secret_left(&device, &proxy);
}

#[test]
fn an_own_commitment_under_a_foreign_key_is_an_attack() {
    use whosaw::statement::kinds::disclosure::Audience;
    // Given to an agency in the resident's name, or to everybody.
    let asked = Some(world().request.parse().unwrap());
    consents_in_anothers_name(asked, Audience::Agency(request().recipient));
    consents_in_anothers_name(None, Audience::Public);
}

fn consents_in_anothers_name(
    request: Option<StatementId>,
    recipient: whosaw::statement::kinds::disclosure::Audience,
) {
    use whosaw::statement::kinds::disclosure::{DisclosedClip, Disclosure};
    use whosaw::statement::words::{DataKind, MinutesBand};
    let proxy = world().proxy();
    let device = world().device(&proxy);
    let clip = device.state().clips().unwrap().remove(0);
    let anchor = clip.anchors[0].clone().unwrap();
    // The operator knows which commitments came with which upload, and where they stand.
    let stranger = SigningKey::from_bytes(&[80; 32]);
    let forged = Disclosure {
        request,
        clips: vec![DisclosedClip {
            commitment: clip.commitments[0],
            batch: anchor.batch,
            index: anchor.index,
            path: anchor.path,
            header: whosaw::digest::Digest::of("a header of its own"),
        }],
        gives: vec![DataKind::Video],
        minutes: request.map(|_| MinutesBand::UpTo15),
        note: None,
        recipient,
        expires: now().checked_add_seconds(7200).unwrap().cut_to_hour(),
    };
    let head = Head {
        issued_at: now().cut_to_hour(),
        author: Author::OneTimeKey((&stranger).into()),
        ..agency_head()
    };
    let mut leaves = world().leaves();
    leaves.push(leaf(sign(&head, &forged.into(), &[&stranger]), now()));
    serve_log(&proxy, world().forger().log(&leaves, now()));
    device.run("sync").refused("in your name");
    device.run("report --offline").refused("in your name");
    nothing_secret_left(&device, &proxy);
}

#[test]
fn another_clip_than_was_committed_is_unreadable() {
    let proxy = world().proxy();
    let device = world().third_device(&proxy);
    device.must(&format!("allow {} --yes", world().request));
    let inbox = world().agency_through(&proxy, "inbox --json");
    let inbox: serde_json::Value = serde_json::from_str(&inbox.out).unwrap();
    let disclosure = device.state().gifts().unwrap()[0].disclosure.to_string();
    assert!(inbox.to_string().contains(&disclosure), "{inbox}");

    let collect = format!("collect {disclosure} --out evidence");
    let outcome = world().agency_through(&proxy, &collect);
    assert_eq!(outcome.code, 1, "not handed over yet: {}", outcome.both());
    device.must("sync");
    proxy.lie(|request, mut response| {
        if request.path.starts_with("/vault/v1/disclosures/") {
            *response.body.last_mut().unwrap() ^= 1;
        }
        response
    });
    world()
        .agency_through(&proxy, &collect)
        .refused("unreadable");
    proxy.lie(|_, response| response);
    let outcome = world().agency_through(&proxy, &collect);
    assert_eq!(outcome.code, 0, "{}", outcome.both());
    let clip = world().root.join(format!("evidence/{disclosure}-0.mp4"));
    let original = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/doorbell.mp4");
    assert_eq!(
        std::fs::read(clip).unwrap(),
        std::fs::read(original).unwrap()
    );
}

/// Whatever a server writes where a program reads JSON, nothing of it steers a terminal.
#[test]
fn no_answer_commands_a_terminal() {
    let proxy = world().proxy();
    let device = world().device(&proxy);
    notices::told();
    let hostile = r#"{"\u001b[2J\u009b1m\u202e\u2066\u200b":1,"id":"\u001b]0;x\u0007"}"#;
    let problem = r#"{"type":"\u202e","title":"\u001b[2J","status":409,"detail":"\u2066\u009b"}"#;
    let lines = [
        "sync",
        "sync --json",
        "inbox",
        "inbox --json",
        "report --offline",
        "report --offline --json",
    ];
    let publish = "publish 00000000000000000000000000000000 --yes";
    for (beginning, status, body) in [
        ("/bundles/", 200, hostile),
        ("/notices/", 200, hostile),
        ("/bundles/", 409, problem),
        ("/notices/", 409, problem),
        ("/batches/", 409, problem),
        ("/vault/", 409, problem),
        ("/log/checkpoint", 200, hostile),
    ] {
        proxy.lie(move |request, mut response| {
            if request.path.starts_with(beginning) {
                let media_type = whosaw::wire::problem::MEDIA_TYPE.to_owned();
                response.headers = vec![("content-type".to_owned(), media_type)];
                response.status = status;
                response.body = body.as_bytes().to_vec();
            }
            response
        });
        for line in lines.into_iter().chain([publish]) {
            let outcome = device.run(line);
            let hidden = |c: char| c != '\n' && whosaw::encoding::is_hidden(c);
            let shown = outcome.both();
            assert!(!shown.contains(hidden), "{beginning} {line}: {shown:?}");
        }
    }
}

/// Arguments are everybody's to read: the code comes by a file, or by standard input.
#[test]
fn an_enrolment_code_need_not_be_an_argument() {
    let root = &world().root;
    let init = |more: &str, input: &str| {
        std::fs::write(root.join("typed"), input).unwrap();
        let line = format!(
            "resident init --home by-input --server {} --trust operator/log.policy \
             --jurisdiction US-FL {more}",
            world().url
        );
        let typed = std::fs::File::open(root.join("typed")).unwrap();
        let mut command = support::command(root, &line);
        Outcome::of(command.stdin(typed).output().unwrap())
    };
    let code = run(root, "operator enrol-code --data operator");
    init("", &code).refused("--code-file");
    init("--code-file -", "").refused("an enrolment code is one line");
    init("--code-file - --code x", &code).refused("cannot be used with");
    let begun = init("--code-file -", &code);
    assert_eq!(begun.code, 0, "{}", begun.both());
}

#[test]
fn a_refusal_sends_nothing() {
    let proxy = world().proxy();
    let device = world().device(&proxy);
    device.must(&format!("refuse {}", world().request));
    assert_eq!(proxy.calls(), Vec::<String>::new());
    nothing_secret_left(&device, &proxy);
}

/// The calls of a run of the program and the sizes of their bodies, with ids left out: what a server
/// can tell runs apart by.
fn pattern(proxy: &Proxy) -> Vec<String> {
    let hex = |part: &str| part.len() >= 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let plain = |(call, size): (String, usize)| {
        let parts = call
            .split('/')
            .map(|part| if hex(part) { "ID" } else { part });
        let call = parts.collect::<Vec<_>>().join("/");
        // age itself greases headers by a random length; metadata is padded inside.
        let size = if call.ends_with("/header") || call.ends_with("/metadata") {
            0
        } else {
            size
        };
        format!("{call} {size}")
    };
    // Tiles, batches and notices that others' entries brought meanwhile are not of this device's
    // doing.
    let own = |call: &String| {
        !["tile", "batches", "notices"]
            .iter()
            .any(|what| call.contains(what))
    };
    proxy
        .calls_with_sizes()
        .into_iter()
        .map(plain)
        .filter(own)
        .collect()
}

/// Two runs that differ only in yes, no or silence differ by the disclosure alone.
#[test]
fn refusal_and_silence_look_alike() {
    let [silence, no, yes] = ["", "refuse", "allow --yes"].map(|answer| {
        let proxy = world().proxy();
        let device = world().other_device(&proxy);
        device.must("sync");
        if !answer.is_empty() {
            device.must(&format!("{answer} {}", world().request));
        }
        let film = filmed(60);
        let until = film.checked_add_seconds(30).unwrap();
        let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/porch.mp4");
        device.must(&format!(
            "add {clip} --camera front --from {film} --until {until}"
        ));
        device.must("sync");
        nothing_secret_left(&device, &proxy);
        pattern(&proxy)
    });
    assert_eq!(silence, no);
    let (disclosures, rest): (Vec<String>, Vec<String>) = yes
        .into_iter()
        .partition(|call| call.contains("disclosures"));
    assert_eq!(disclosures.len(), 1, "{disclosures:?}");
    assert!(rest.len() >= silence.len());
    let beyond: Vec<&String> = rest.iter().filter(|call| !silence.contains(call)).collect();
    assert_eq!(beyond, Vec::<&String>::new());
}
