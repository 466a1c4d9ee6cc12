//! Word of a legal demand, from the paper to the device that it is for; and servers that keep it back,
//! swap it, replay it or blow it up.

use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::{Value, json};
use whosaw::digest::{Digest, StatementId};
use whosaw::encoding::{base64, from_base64};
use whosaw::party::home::Home;
use whosaw::party::resident::state::State;
use whosaw::statement::envelope::Envelope;
use whosaw::statement::kinds::erasure::Erasure;
use whosaw::statement::kinds::legal_demand::LegalDemand;
use whosaw::statement::kinds::notice::{Notice, NoticeState};
use whosaw::statement::leaf::Leaf;
use whosaw::statement::sealed::{AttachmentValue, Opening};
use whosaw::statement::words::{Day, Role};
use whosaw::statement::{Author, Head, Kind as _, Statement, parse_payload, sign};

use crate::forgery::leaf;
use crate::pattern;
use crate::proxy::Proxy;
use crate::support::{Outcome, command, run};
use crate::world::{Device, id, now, world};

/// What was done once, to the resident `resident`.
pub struct Told {
    demand: String,
    notice: String,
    clip: String,
}

fn operator(line: &str) -> String {
    let url = &world().url;
    let line = format!("operator {line} --data operator --server {url} --json");
    run(&world().root, &line)
}

/// What a device remembers, out of a copy: other tests copy its folder meanwhile.
fn state_of(home: &str) -> State {
    let copy = tempfile::NamedTempFile::new().unwrap();
    let original = world().root.join(home).join("resident.db");
    std::fs::copy(original, copy.path()).unwrap();
    State::open(copy.path()).unwrap()
}

/// A demand on paper, its answer, a delay, and then the notice.
pub fn told() -> &'static Told {
    static TOLD: OnceLock<Told> = OnceLock::new();
    TOLD.get_or_init(|| {
        let root = &world().root;
        let demand = id(&operator(
            "say legal-demand process=search-warrant source=paper agency=lakelandgov.example \
             jurisdiction=US-FL content=false records=clip-ciphertext,clip-metadata \
             accounts=1-5 served_on=today",
        ));
        operator(&format!(
            "say demand-response demand={demand} outcome=partial records=clip-ciphertext \
             accounts=1-5 clips=1-5 effective_on=today"
        ));
        let own = state_of("resident");
        let clip = own.clips().unwrap()[0].clip.to_string();
        let vault = own.vault;
        let until = Day::of(now().checked_add_seconds(30 * 86_400).unwrap());
        operator(&format!(
            "notify {demand} --vault {vault}:{clip} --delay-until {until} --ground jeopardy"
        ));
        let kept = root.join("operator/notices").join(&demand);
        let kept_text = std::fs::read_to_string(&kept).unwrap();
        assert_eq!(kept_text, format!("{vault}:{clip}\n"));

        // Put off: nobody is told anything, whoever it is about.
        let proxy = world().proxy();
        let device = world().device(&proxy);
        device.must("sync");
        let report = report(&device);
        assert_eq!(report["notices"]["received"], json!([]));
        assert_eq!(report["clips"][0]["nobody"], true);

        std::fs::write(root.join("letter.txt"), "A warrant reached us.\n").unwrap();
        let sent = operator(&format!("notify {demand} --message letter.txt"));
        let sent: Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(sent.as_array().unwrap().len(), 1);
        assert!(!kept.exists(), "told, and forgotten");
        Told {
            demand,
            notice: sent[0]["id"].as_str().unwrap().to_owned(),
            clip,
        }
    })
}

fn report(device: &Device) -> Value {
    let outcome = device.run("report --json --offline");
    serde_json::from_str(&outcome.out).unwrap_or_else(|_| panic!("{}", outcome.both()))
}

/// What the device says after it has synced.
fn synced(device: &Device) -> Value {
    let outcome = device.run("sync");
    assert_eq!(outcome.code, 0, "{}", outcome.both());
    report(device)
}

#[test]
fn the_one_whom_a_demand_is_about_is_told_and_nobody_else_can_tell() {
    let told = told();
    let proxies = [world().proxy(), world().proxy()];
    let own = world().device(&proxies[0]);
    let other = world().other_device(&proxies[1]);
    let (mine, others) = (synced(&own), synced(&other));

    let received = &mine["notices"]["received"];
    assert_eq!(received.as_array().unwrap().len(), 1, "{mine}");
    let received = &received[0];
    for (member, value) in [
        ("notice", json!(told.notice)),
        ("demand", json!(told.demand)),
        ("process", json!("search-warrant")),
        ("agency", json!("lakelandgov.example")),
        ("records", json!(["clip-ciphertext"])),
        ("clips", json!([told.clip])),
        ("text", json!("A warrant reached us.")),
    ] {
        assert_eq!(received[member], value, "{member}");
    }
    let history = received["history"].as_array().unwrap();
    let texts: Vec<&str> = history
        .iter()
        .map(|e| e["text"].as_str().unwrap())
        .collect();
    for (text, begins) in texts.iter().zip([
        "operator.example enters a demand",
        "operator.example answers demand",
        "operator.example tells nobody of demand",
        "operator.example tells those whom demand",
    ]) {
        assert!(text.starts_with(begins), "{texts:?}");
    }
    assert_eq!(texts.len(), 4);
    assert!(texts[3].ends_with("at most 16."), "{texts:?}");
    let clip = &mine["clips"][0];
    assert_eq!(clip["nobody"], false);
    assert_eq!(
        clip["lines"].as_array().unwrap().last().unwrap()["what"],
        "told"
    );
    let shown = own.must("report --offline --proofs proofs");
    assert!(
        shown.contains("NOTICE  operator.example tells you"),
        "{shown}"
    );
    // A proof for the demand, the answer, the delay, and the notice.
    for event in history {
        let index = &event["index"];
        let check =
            format!("log check proofs/entry-{index}.tlog-proof --policy operator/log.policy");
        run(&world().root, &check);
    }

    // Another resident is told nothing, and nothing on the wire tells the two apart.
    assert_eq!(others["notices"]["received"], json!([]));
    assert_eq!(others["notices"]["unread"], json!([]));
    assert_eq!(others["clips"][0]["nobody"], true);
    let notices = |proxy: &Proxy| {
        let calls = proxy.calls_with_sizes().into_iter();
        calls
            .filter(|(call, _)| call.contains("notices"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        notices(&proxies[0]),
        [(format!("GET /notices/{}", told.notice), 0)]
    );
    assert_eq!(notices(&proxies[0]), notices(&proxies[1]));
    assert_eq!(pattern(&proxies[0]), pattern(&proxies[1]));
    // Nor the next time, when one of them has something to show.
    synced(&own);
    synced(&other);
    assert_eq!(pattern(&proxies[0]), pattern(&proxies[1]));
    assert_eq!(notices(&proxies[0]).len(), 1);
}

#[test]
fn a_new_device_finds_old_notices_by_the_phrase_alone() {
    let told = told();
    let phrase = std::fs::File::open(world().root.join("resident/phrase")).unwrap();
    let line = format!(
        "resident restore --home restored --server {} --trust operator/log.policy \
         --jurisdiction US-FL --json",
        world().url
    );
    let mut restore = command(&world().root, &line);
    let outcome = Outcome::of(restore.stdin(Stdio::from(phrase)).output().unwrap());
    assert_eq!(outcome.code, 0, "{}", outcome.both());
    let found: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(found["notices"], 1);
    let restored = Device {
        home: "restored".to_owned(),
        path: world().root.join("restored"),
    };
    let report = report(&restored);
    assert_eq!(report["notices"]["received"][0]["notice"], told.notice);
    assert_eq!(report["notices"]["received"][0]["clips"][0], told.clip);
}

/// What a server does to the answer with a notice's messages, and what every device says then.
fn unread(lie: impl Fn(&mut Value) + Send + Clone + 'static, why: &str) {
    told();
    let proxies = [world().proxy(), world().proxy()];
    let devices = [
        world().device(&proxies[0]),
        world().other_device(&proxies[1]),
    ];
    for (proxy, device) in proxies.iter().zip(&devices) {
        let lie = lie.clone();
        proxy.lie(move |request, mut response| {
            if request.path.starts_with("/notices/") {
                let mut answer = serde_json::from_slice(&response.body).unwrap();
                lie(&mut answer);
                response.body = answer.to_string().into_bytes();
            }
            response
        });
        let report = synced(device);
        let unread = &report["notices"]["unread"][0];
        let told = unread["why"].as_str().unwrap_or_else(|| panic!("{report}"));
        assert!(told.contains(why), "{told}");
        assert_eq!(report["clips"][0]["nobody"], false, "nobody can say so");
        let shown = device.must("report --offline");
        assert!(shown.contains("UNREAD"), "{shown}");
        assert!(!shown.contains("seen by nobody"), "{shown}");
    }
    // It is asked for until it is given.
    for (proxy, device) in proxies.iter().zip(&devices) {
        proxy.lie(|_, response| response);
        let report = synced(device);
        assert_eq!(report["notices"]["unread"], json!([]));
    }
    assert_eq!(pattern(&proxies[0]), pattern(&proxies[1]));
}

#[test]
fn a_notice_that_is_withheld_is_missed_by_everybody() {
    // Each time all but one, so that it is the owner's for certain once.
    unread(
        |answer| *answer["attachments"].as_array_mut().unwrap() = Vec::new(),
        "withholds its message",
    );
    unread(
        |answer| drop(answer["attachments"].as_array_mut().unwrap().pop()),
        "withholds its message",
    );
}

#[test]
fn a_message_that_is_swapped_is_noticed_by_everybody() {
    unread(
        |answer| {
            let data = answer["attachments"][1]["data"].clone();
            answer["attachments"][0]["data"] = data;
        },
        "another message than the one fixed in the log",
    );
}

#[test]
fn a_notice_that_is_blown_up_is_not_read() {
    unread(
        |answer| answer["attachments"][0]["data"] = json!("A".repeat(1 << 20)),
        "body",
    );
}

#[test]
fn a_notice_that_is_not_there_is_unread() {
    told();
    let proxy = world().proxy();
    let device = world().device(&proxy);
    proxy.lie(|request, mut response| {
        if request.path.starts_with("/notices/") {
            response.status = 404;
        }
        response
    });
    let report = synced(&device);
    assert_eq!(report["notices"]["unread"].as_array().unwrap().len(), 1);
    assert_eq!(report["clips"][0]["nobody"], false);
}

/// The message in the log that the resident's key opens.
fn own_message() -> Vec<u8> {
    let phrase = std::fs::read_to_string(world().root.join("resident/phrase")).unwrap();
    let phrase: whosaw::seal::keys::Phrase = phrase.parse().unwrap();
    let key = phrase.seed().notice_key();
    let get = ureq::get(format!("{}/notices/{}", world().url, told().notice)).call();
    let answer: Value =
        serde_json::from_str(&get.unwrap().body_mut().read_to_string().unwrap()).unwrap();
    let messages = answer["attachments"].as_array().unwrap().iter();
    let mut messages = messages.map(|a| from_base64(a["data"].as_str().unwrap()).unwrap());
    messages.find(|bytes| key.is_for(bytes)).unwrap()
}

fn head(party: &str) -> Head {
    Head {
        log: "ledger.example/log".to_owned(),
        issued_at: now().cut_to_minute(),
        author: Author::Issuer(party.parse().unwrap()),
    }
}

fn home(folder: &str) -> Home {
    Home::open(&world().root.join(folder)).unwrap()
}

/// A notice about a demand with a message of somebody's own in it, by whoever's officer.
fn forged(demand: &str, message: &[u8], party: &str, folder: &str) -> (Envelope, Value) {
    let value = AttachmentValue {
        sha256: Digest::of(message),
        size: message.len() as u64,
        media_type: "application/age".parse().unwrap(),
    };
    let opening = Opening::attachment(&whosaw::random::bytes::<16>(), &value).unwrap();
    let notice = Notice {
        demand: demand.parse().unwrap(),
        state: NoticeState::Sent,
        messages: vec![opening.digest()],
        until: None,
        grounds: Vec::new(),
    };
    let key = home(folder).key(Role::Officer).unwrap();
    let envelope = sign(&head(party), &notice.into(), &[&key]);
    let answer = json!({
        "id": StatementId::of_payload(&envelope.payload),
        "attachments": [{ "opening": opening.encode(), "data": base64(message) }],
    });
    (envelope, answer)
}

/// The operator goes on with these entries, one of which is a notice, and serves its messages.
fn goes_on_with(envelopes: Vec<Envelope>, answer: Value) -> (Device, Proxy) {
    let proxy = world().proxy();
    let device = world().device(&proxy);
    go_on(&proxy, &continued(envelopes), answer);
    (device, proxy)
}

/// The leaves of the real log, and these entries.
fn continued(envelopes: Vec<Envelope>) -> Vec<Vec<u8>> {
    let mut leaves = world().leaves();
    leaves.extend(envelopes.into_iter().map(|envelope| leaf(envelope, now())));
    leaves
}

/// What is behind `proxy` has a log of these leaves, and serves this of a notice among them.
fn go_on(proxy: &Proxy, leaves: &[Vec<u8>], answer: Value) {
    let files = world().forger().log(leaves, now());
    let path = format!("/notices/{}", answer["id"].as_str().unwrap());
    proxy.lie(move |request, mut response| {
        if let Some(path) = request.path.strip_prefix("/log/") {
            response.status = if files.contains_key(path) { 200 } else { 404 };
            response.body = files.get(path).cloned().unwrap_or_default();
        } else if request.path == path {
            response.status = 200;
            response.body = answer.to_string().into_bytes();
        }
        response
    });
}

/// What the device says of a notice with which the operator goes on.
fn shown_as_false(envelopes: Vec<Envelope>, answer: Value) -> Value {
    let (device, _proxy) = goes_on_with(envelopes, answer);
    let report = synced(&device);
    // The real one beside it is shown all the same.
    assert_eq!(report["notices"]["received"].as_array().unwrap().len(), 1);
    let lies = report["notices"]["false_notices"].as_array().unwrap();
    assert_eq!(lies.len(), 1, "{report}");
    let shown = device.must("report --offline");
    assert!(shown.contains("FALSE  notice"), "{shown}");
    lies[0].clone()
}

#[test]
fn a_message_replayed_from_another_notice_is_shown_as_false() {
    let told = told();
    let Statement::LegalDemand(real) = logged(&told.demand) else {
        panic!("a demand");
    };
    let other = LegalDemand {
        accounts: None,
        ..real
    };
    let key = home("operator").key(Role::Officer).unwrap();
    let demand = sign(&head("operator.example"), &other.into(), &[&key]);
    let about = StatementId::of_payload(&demand.payload).to_string();
    let (notice, answer) = forged(&about, &own_message(), "operator.example", "operator");
    let lie = shown_as_false(vec![demand, notice], answer);
    assert_eq!(lie["code"], "other-demand", "{lie}");
}

/// A message that only its owner's device can tell to be broken: it asks no more than the others do.
#[test]
fn a_message_that_does_not_open_shows_nobody_whom_it_is_for() {
    let told = told();
    let message = own_message();
    let (mut body, mut mac) = (message.clone(), message.clone());
    let after_header = message.len() / 2;
    body[after_header..].copy_from_slice(&vec![7; message.len() - after_header]);
    mac[140] = if mac[140] == b'A' { b'B' } else { b'A' };
    for broken in [body, mac] {
        let (notice, answer) = forged(&told.demand, &broken, "operator.example", "operator");
        let proxies = [world().proxy(), world().proxy()];
        let own = world().device(&proxies[0]);
        let other = world().other_device(&proxies[1]);
        let leaves = continued(vec![notice]);
        for proxy in &proxies {
            go_on(proxy, &leaves, answer.clone());
        }
        let (mut mine, mut others) = (Value::Null, Value::Null);
        for _ in 0..3 {
            (mine, others) = (synced(&own), synced(&other));
        }
        assert_eq!(pattern(&proxies[0]), pattern(&proxies[1]));
        let asked = format!("GET /notices/{}", answer["id"].as_str().unwrap());
        for proxy in &proxies {
            let calls = proxy.calls().into_iter();
            assert_eq!(calls.filter(|call| *call == asked).count(), 1);
        }
        let lies = mine["notices"]["false_notices"].as_array().unwrap();
        assert_eq!(lies.len(), 1, "{mine}");
        assert_eq!(lies[0]["code"], "unreadable");
        assert_eq!(mine["clips"][0]["nobody"], false);
        assert_eq!(others["notices"]["false_notices"], json!([]));
        assert_eq!(others["clips"][0]["nobody"], true);
        for report in [&mine, &others] {
            assert_eq!(report["notices"]["unread"], json!([]));
        }
    }
}

#[test]
fn a_notice_of_no_demand_is_shown_as_false() {
    told();
    let nowhere = "ab".repeat(32);
    let (notice, answer) = forged(&nowhere, &own_message(), "operator.example", "operator");
    let lie = shown_as_false(vec![notice.clone()], answer.clone());
    assert_eq!(lie["code"], "forbidden", "{lie}");
    assert!(lie["why"].as_str().unwrap().contains("unknown-reference"));
    // Nobody waits for messages of what counts for nothing.
    let withheld = json!({ "id": answer["id"], "attachments": [] });
    let (device, _proxy) = goes_on_with(vec![notice], withheld);
    assert_eq!(synced(&device)["notices"]["unread"], json!([]));
}

#[test]
fn a_notice_by_somebody_else_is_shown_as_false() {
    let told = told();
    let (notice, answer) = forged(&told.demand, &own_message(), "doorbell.example", "vendor");
    let lie = shown_as_false(vec![notice], answer);
    assert_eq!(lie["code"], "forbidden", "{lie}");
    assert_eq!(lie["by"], "doorbell.example");
    assert!(lie["why"].as_str().unwrap().contains("wrong-author"));
}

/// A statement of the real log.
fn logged(id: &str) -> Statement {
    let payloads = world().leaves().into_iter();
    let mut payloads = payloads.map(|leaf| Leaf::parse(&leaf).unwrap().envelope.payload);
    let of = |payload: &Vec<u8>| StatementId::of_payload(payload).to_string() == id;
    let payload = payloads.find(of).expect("it is in the log");
    parse_payload(&payload).unwrap().1
}

/// What was destroyed in public is not kept back in secret, nor asked for again; whom it was for
/// nobody can tell.
#[test]
fn what_was_erased_before_it_was_tried_stays_unread() {
    let told = told();
    let (notice, answer) = forged(&told.demand, &own_message(), "operator.example", "operator");
    let opening = answer["attachments"][0]["opening"].as_str().unwrap();
    let erasure = Erasure {
        digest: Opening::parse(opening).unwrap().digest(),
        ..Erasure::example()
    };
    let key = home("operator").key(Role::Admin).unwrap();
    let erasure = sign(&head("operator.example"), &erasure.into(), &[&key]);
    let gone = json!({ "id": answer["id"], "attachments": [] });
    let asked = |proxy: &Proxy| {
        let call = format!("GET /notices/{}", answer["id"].as_str().unwrap());
        proxy.calls().into_iter().filter(|c| *c == call).count()
    };
    let before = continued(vec![notice]);
    let mut after = before.clone();
    after.push(leaf(erasure, now()));
    // Withheld first, and then destroyed.
    let proxies = [world().proxy(), world().proxy()];
    let own = world().device(&proxies[0]);
    let other = world().other_device(&proxies[1]);
    for (device, proxy) in [&own, &other].into_iter().zip(&proxies) {
        go_on(proxy, &before, gone.clone());
        let report = synced(device);
        let unread = report["notices"]["unread"].as_array().unwrap().clone();
        assert_eq!(unread.len(), 1);
        assert!(unread[0]["why"].as_str().unwrap().contains("withholds"));
        go_on(proxy, &after, gone.clone());
        synced(device);
        let report = synced(device);
        let unread = report["notices"]["unread"].as_array().unwrap();
        assert_eq!(unread.len(), 1, "{report}");
        let why = unread[0]["why"].as_str().unwrap();
        assert!(
            why.contains("destroyed before this device could try it"),
            "{why}"
        );
        assert_eq!(report["clips"][0]["nobody"], false);
        let shown = device.must("report --offline --proofs erased-proofs");
        assert!(!shown.contains("seen by nobody"), "{shown}");
        let proof = format!("erased-proofs/entry-{}.tlog-proof", unread[0]["erased"]);
        assert!(world().root.join(proof).exists());
        assert_eq!(asked(proxy), 2, "not again");
    }
    assert_eq!(pattern(&proxies[0]), pattern(&proxies[1]));
    // What this device has tried is no loss.
    let proxy = world().proxy();
    let device = world().other_device(&proxy);
    go_on(&proxy, &before, answer.clone());
    synced(&device);
    go_on(&proxy, &after, gone);
    let report = synced(&device);
    assert_eq!(report["notices"]["unread"], json!([]));
    assert_eq!(report["clips"][0]["nobody"], true);
}

/// Those who cannot be told are named, and nothing is logged.
#[test]
fn nobody_is_told_half() {
    let told = told();
    let url = &world().url;
    let notify = |line: &str| {
        let line = format!("operator notify {line} --data operator --server {url}");
        Outcome::of(command(&world().root, &line).output().unwrap())
    };
    let demand = &told.demand;
    let notices = || {
        let leaves = world().leaves().into_iter();
        let notice = |leaf: &Vec<u8>| {
            let payload = Leaf::parse(leaf).unwrap().envelope.payload;
            matches!(parse_payload(&payload), Ok((_, Statement::Notice(_))))
        };
        leaves.filter(notice).count()
    };
    let before = notices();
    let nowhere = "ab".repeat(32);
    let (vault, stranger) = (state_of("resident").vault, "cd".repeat(16));
    std::fs::write(world().root.join("long.txt"), "x".repeat(801)).unwrap();
    std::fs::write(
        world().root.join("served.txt"),
        format!("{vault}\n{stranger}\n"),
    )
    .unwrap();
    for (line, why) in [
        (demand.clone(), "nobody is named"),
        (
            format!("{nowhere} --vault {vault}"),
            "no legal demand in this log",
        ),
        (
            format!("{demand} --vaults-file served.txt"),
            "there is no vault",
        ),
        (
            format!("{demand} --vault {vault}:{stranger}"),
            "has no clip",
        ),
        (
            format!("{demand} --vault {vault} --message long.txt"),
            "801 bytes",
        ),
        (format!("{demand} --vault x"), "write VAULT"),
        (format!("{demand} --delay-until 2099-01-01"), "--ground"),
    ] {
        let outcome = notify(&line);
        assert_eq!(outcome.code, 2, "{line}: {}", outcome.both());
        outcome.refused(why);
    }
    assert_eq!(notices(), before);
    // The vault is found by its code, too, and by nothing else.
    let listed = run(&world().root, "operator vaults --data operator --json");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let row = |row: &&Value| row["vault"] == vault.to_string();
    let row = listed.as_array().unwrap().iter().find(row).unwrap();
    assert_eq!(row["can_be_told"], true);
    let code = run(&world().root, "operator enrol-code --data operator");
    std::fs::write(world().root.join("code.txt"), code).unwrap();
    let found = run(
        &world().root,
        "operator vaults --data operator --code-file code.txt",
    );
    assert_eq!(found, "none\n");
}

/// A digest of the messages stands in the log for one notice alone: the rules refuse a second one.
#[test]
fn a_message_of_another_notice_is_refused_by_the_rules() {
    let told = told();
    let Statement::Notice(first) = logged(&told.notice) else {
        panic!("a notice");
    };
    assert_eq!(first.messages.len(), 16);
    let again = Notice {
        messages: vec![first.messages[0]],
        ..first
    };
    let key = home("operator").key(Role::Officer).unwrap();
    let envelope = sign(&head("operator.example"), &again.into(), &[&key]);
    std::fs::write(world().root.join("again.dsse"), envelope.to_json()).unwrap();
    let url = &world().url;
    let line = format!("submit again.dsse --server {url} --trust operator/log.policy");
    let outcome = Outcome::of(command(&world().root, &line).output().unwrap());
    outcome.refused("digest-seen-before");
}
