//! Clips for everybody: what a lying operator cannot make of them, and that nothing in them tells
//! whose they are.

use std::collections::BTreeSet;

use serde_json::Value;
use whosaw::statement::leaf::Leaf;
use whosaw::statement::{Statement, parse_payload};

use crate::proxy::Proxy;
use crate::support::{Outcome, command};
use crate::world::{Device, filmed, now, serve_log, world};

impl Device {
    fn clip(&self, n: usize) -> String {
        self.state().clips().unwrap()[n].clip.to_string()
    }

    /// Publishes its clip `n`; the disclosure's id.
    fn publish(&self, n: usize) -> String {
        let done = self.must(&format!("publish {} --yes --json", self.clip(n)));
        let done: Value = serde_json::from_str(&done).unwrap();
        assert_eq!(done[0]["handed_over"], true, "{done}");
        done[0]["id"].as_str().unwrap().to_owned()
    }
}

fn headers_sent(proxy: &Proxy) -> usize {
    let calls = proxy.calls();
    calls
        .iter()
        .filter(|call| call.contains("/headers/"))
        .count()
}

/// Runs `whosaw log …` on the log behind a proxy.
fn log_through(proxy: &Proxy, line: &str) -> Outcome {
    let line = format!(
        "log {line} --log {}/log --policy operator/log.policy",
        proxy.url()
    );
    Outcome::of(command(&world().root, &line).output().unwrap())
}

#[test]
fn nothing_is_public_before_the_log_shows_it() {
    let proxy = world().proxy();
    let device = world().device_of("withheld", &proxy);
    // The disclosure is taken, and every log that the device reads is without it.
    serve_log(&proxy, world().forger().log(&world().leaves(), now()));
    let withheld = device.run(&format!("publish {} --yes", device.clip(0)));
    withheld.refused("not handed over");
    assert_eq!(headers_sent(&proxy), 0, "{}", withheld.both());

    // The entry is there, and gives to somebody else.
    let foreign = crate::request().recipient.to_string();
    proxy.lie(move |request, mut response| {
        if request.path.starts_with("/log/tile/entries/") && response.status == 200 {
            let width = request.path.split(".p/").nth(1);
            let width = width.map_or(256, |width| width.parse().unwrap());
            let entries = whosaw::tlog::tile::decode_entries(&response.body, width).unwrap();
            let altered: Vec<Vec<u8>> = entries
                .into_iter()
                .map(|entry| {
                    let mut leaf = Leaf::parse(&entry).unwrap();
                    let payload = String::from_utf8(leaf.envelope.payload).unwrap();
                    let swapped = payload.replace("\"public\"", &format!("\"{foreign}\""));
                    leaf.envelope.payload = swapped.into_bytes();
                    leaf.to_bytes()
                })
                .collect();
            response.body = whosaw::tlog::tile::encode_entries(&altered);
        }
        response
    });
    device.run("sync").refused("files are damaged");
    assert_eq!(headers_sent(&proxy), 0);
    crate::nothing_secret_left(&device, &proxy);

    proxy.lie(|_, response| response);
    device.must("sync");
    assert_eq!(headers_sent(&proxy), 1);

    let id = device.state().gifts().unwrap()[0].disclosure;
    another_clip_is_unreadable(&proxy, &id.to_string());
}

/// What was signed and did not arrive is sent again as it was: two of one key would tell more than one.
#[test]
fn a_publication_that_did_not_arrive_is_sent_as_it_was() {
    let proxy = world().proxy();
    let device = world().device_of("cut-off", &proxy);
    proxy.cut_off(Some("/vault/v1/disclosures"));
    let publish = format!("publish {} --yes", device.clip(0));
    device.run(&publish).refused("cannot be reached");
    let signed = device.state().gifts().unwrap()[0].disclosure;
    device.run(&publish).refused("cannot be reached");
    assert_eq!(device.state().gifts().unwrap().len(), 1);
    device.must("sync");
    assert_eq!(headers_sent(&proxy), 0);
    proxy.cut_off(None);
    assert_eq!(device.publish(0), signed.to_string());
    assert_eq!(headers_sent(&proxy), 1);
}

/// The log says that it was taken back, and the server goes on: whoever asks is told, and has nothing.
#[test]
fn what_was_taken_back_and_is_served_is_noticed() {
    let proxy = world().proxy();
    let device = world().device_of("sorry", &proxy);
    let id = device.publish(0);
    let path = format!("/published/{id}");
    let (headers, body) = get(&proxy, &path);
    let fetch = |more: &str| log_through(&proxy, &format!("fetch {id} --out sorry-clips {more}"));
    device.must(&format!("withdraw {id}"));
    proxy.lie(move |request, mut response| {
        if request.path == path {
            response.status = 200;
            response.headers = headers.clone();
            response.body = body.clone();
        }
        response
    });
    let calls = || {
        proxy
            .calls()
            .iter()
            .filter(|c| c.contains("/published/"))
            .count()
    };
    let before = calls();
    let outcome = fetch("");
    assert_eq!(outcome.code, 1, "{}", outcome.both());
    assert!(outcome.out.contains("took it back on"), "{}", outcome.out);
    assert!(!world().root.join("sorry-clips").exists());
    assert_eq!(calls(), before, "nothing was asked for");
    let told: Value = serde_json::from_str(&fetch("--json").out).unwrap();
    assert!(told["over"].as_str().unwrap().contains("took it back"));
    assert_eq!(told["clip"], Value::Null);

    // As evidence, on demand; never as a yes.
    let outcome = fetch("--anyway");
    assert_eq!(outcome.code, 1, "{}", outcome.both());
    let told = outcome.out.contains("SERVED ALL THE SAME");
    assert!(told, "{}", outcome.out);
    let film = world().root.join(format!("sorry-clips/{id}.mp4"));
    assert!(film.exists());
}

fn another_clip_is_unreadable(proxy: &Proxy, id: &str) {
    proxy.lie(|request, mut response| {
        if request.path.starts_with("/published/") {
            *response.body.last_mut().unwrap() ^= 1;
        }
        response
    });
    let fetch = format!("fetch {id} --out public");
    log_through(proxy, &fetch).refused("unreadable");
    proxy.lie(|_, response| response);
    let fetched = log_through(proxy, &fetch);
    assert_eq!(fetched.code, 0, "{}", fetched.both());
}

/// An answer's head and body, as they came.
fn get(proxy: &Proxy, path: &str) -> (Vec<(String, String)>, Vec<u8>) {
    let response = ureq::get(format!("{}{path}", proxy.url())).call().unwrap();
    let headers = response.headers().iter();
    let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = headers.map(|(name, value)| (name.to_string(), text(value)));
    let headers = headers.collect();
    (headers, response.into_body().read_to_vec().unwrap())
}

/// The leaf of a statement in the real log.
fn leaf_of(id: &str) -> Vec<u8> {
    let is = |leaf: &Vec<u8>| {
        let payload = Leaf::parse(leaf).unwrap().envelope.payload;
        whosaw::digest::StatementId::of_payload(&payload).to_string() == id
    };
    world().leaves().into_iter().find(is).expect("it is logged")
}

fn payload_of(id: &str) -> Value {
    let payload = Leaf::parse(&leaf_of(id)).unwrap().envelope.payload;
    assert!(matches!(
        parse_payload(&payload),
        Ok((_, Statement::Disclosure(_)))
    ));
    serde_json::from_slice(&payload).unwrap()
}

/// A value with what it says left out: digits and letters by their number, numbers as such.
fn shape(value: &Value) -> Value {
    let random = |text: &str| text.len() > 30;
    match value {
        Value::String(text) if random(text) => Value::from(text.len()),
        Value::Number(_) => Value::from("a number"),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), shape(member)))
            .collect(),
        other => other.clone(),
    }
}

/// All texts of a value that are no code and no time.
fn texts(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() > 30 => drop(all.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(members) => members.values().for_each(|member| texts(member, all)),
        _ => {}
    }
}

fn seed_of(device: &Device) -> whosaw::seal::keys::Seed {
    let phrase = std::fs::read_to_string(device.path.join("phrase")).unwrap();
    let phrase: whosaw::seal::keys::Phrase = phrase.parse().unwrap();
    phrase.seed()
}

/// What would tell whose a publication is, as bytes; for eyes other than the operator's.
fn tells_who(device: &Device) -> Vec<(&'static str, Vec<u8>)> {
    use age::secrecy::ExposeSecret as _;
    let state = device.state();
    let phrase = std::fs::read_to_string(device.path.join("phrase")).unwrap();
    let seed = seed_of(device);
    let identity = seed.identity();
    let secret = identity.to_string();
    let place = state.cameras().unwrap()[0].position;
    let mut telling = vec![
        ("the phrase", phrase.trim().as_bytes().to_vec()),
        ("the identity", secret.expose_secret().as_bytes().to_vec()),
        (
            "the age recipient",
            identity.to_public().to_string().into_bytes(),
        ),
        ("the camera's place", place.to_string().into_bytes()),
        ("the secret vault key", seed.vault_key().to_bytes().to_vec()),
    ];
    for clip in state.clips().unwrap() {
        let name = clip.camera.name.to_string();
        telling.push(("the camera's name", name.into_bytes()));
        telling.push(("a time of filming", clip.from.to_string().into_bytes()));
    }
    telling
}

/// As [`tells_who`], and what the operator alone knows.
fn tells_whose(device: &Device) -> Vec<(&'static str, Vec<u8>)> {
    let state = device.state();
    let vault_key = seed_of(device).vault_key().verifying_key();
    let mut telling = tells_who(device);
    telling.push(("the vault's key", vault_key.to_bytes().to_vec()));
    telling.push(("the vault's id", state.vault.as_bytes().to_vec()));
    for clip in state.clips().unwrap() {
        telling.push(("a clip's id in the vault", clip.clip.as_bytes().to_vec()));
    }
    telling
}

fn holds_none(telling: &[(&'static str, Vec<u8>)], bytes: &[u8], place: &str) {
    for (what, secret) in telling {
        assert!(!crate::holds(bytes, secret), "{what} in {place}");
    }
}

/// Whatever one's publications have in common, others' have too; and nothing that was sent, logged or
/// served says who made them.
#[test]
fn nothing_tells_who_published() {
    let proxy = world().proxy();
    let own = world().device_of("publisher", &proxy);
    let film = filmed(600);
    let until = film.checked_add_seconds(30).unwrap();
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/doorbell.mp4");
    own.must(&format!(
        "add {clip} --camera front --from {film} --until {until}"
    ));
    // Its commitments come into the log with the next batch.
    let mut anchored = None;
    for _ in 0..240 {
        std::thread::sleep(std::time::Duration::from_millis(500));
        own.must("sync");
        anchored = own.state().clips().unwrap()[1].anchors[0].clone();
        if anchored.is_some() {
            break;
        }
    }
    assert!(anchored.is_some(), "no batch came");
    let others_proxy = world().proxy();
    let other = world().device_of("neighbour", &others_proxy);
    let calls_of = |device: &Device, proxy: &Proxy, n| {
        let before = crate::pattern(proxy).len();
        let id = device.publish(n);
        (id, crate::pattern(proxy).split_off(before))
    };
    let made = [
        calls_of(&own, &proxy, 0),
        calls_of(&own, &proxy, 1),
        calls_of(&other, &others_proxy, 0),
    ];
    let calls: Vec<Vec<&String>> = made
        .iter()
        // How often a log is asked for what is new depends on who else writes to it.
        .map(|(_, calls)| calls.iter().filter(|c| !c.contains("/log/")).collect())
        .collect();
    assert_eq!(calls[0], calls[1], "by one resident");
    assert_eq!(calls[0], calls[2], "by two");
    let ids = made.map(|(id, _)| id);

    for (device, proxy) in [(&own, &proxy), (&other, &others_proxy)] {
        holds_none(&tells_who(device), &proxy.sent(), "what the device sent");
    }
    // The log, and what is served beside it, in the order of `ids`.
    let mut shapes = Vec::new();
    let mut said = Vec::new();
    for id in &ids {
        let (mut headers, body) = get(&proxy, &format!("/published/{id}"));
        let mut told = BTreeSet::new();
        let opening = headers.iter().find(|(name, _)| name == "whosaw-opening");
        told.insert(opening.expect("it comes with its opening").1.clone());
        let payload = payload_of(id);
        texts(&payload, &mut told);
        said.push(told);
        let leaf = leaf_of(id);
        let head = format!("{headers:?}");
        for device in [&own, &other] {
            let telling = tells_whose(device);
            holds_none(&telling, &leaf, "the log");
            holds_none(&telling, payload.to_string().as_bytes(), "the statement");
            holds_none(&telling, head.as_bytes(), "the answer's head");
            // The film itself is random to look at, but for its header.
            holds_none(&telling, &body[..1024], "the served clip");
            let (_, entry) = get(&proxy, &format!("/api/v1/statements/{id}"));
            holds_none(&telling, &entry, "the entry");
        }
        // Random in every answer, of one length: the rest is the same for all.
        for (name, value) in &mut headers {
            let random = ["date", "whosaw-opening", "content-disposition", "etag"];
            if random.contains(&name.as_str()) {
                *value = value.len().to_string();
            }
        }
        let lines = body.split_inclusive(|byte| *byte == b'\n');
        let lines: Vec<usize> = lines.take(4).map(<[u8]>::len).collect();
        let mut payload = shape(&payload);
        // Cut to the hour: the same for all who publish within it.
        for member in ["issued_at", "expires"] {
            let time = payload[member].take();
            assert!(time.as_str().unwrap().ends_with(":00:00Z"), "{time}");
        }
        shapes.push((payload, headers, lines, body.len()));
    }
    assert_eq!(shapes[0], shapes[1], "by one resident");
    assert_eq!(shapes[0], shapes[2], "by two");
    let [first, second, others] = said.as_slice() else {
        panic!("three")
    };
    let in_common: Vec<&String> = first.intersection(second).collect();
    let with_all: Vec<&String> = in_common
        .iter()
        .filter(|text| !others.contains(**text))
        .copied()
        .collect();
    assert_eq!(with_all, Vec::<&String>::new(), "ties two together");
}
