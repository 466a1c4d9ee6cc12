//! What is told to everybody, end to end: a resident's clip, published, fetched, taken back; an
//! agency's bulletin, shown until it expires.

use std::io::Write as _;
use std::process::{Command, Stdio};

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use whosaw::digest::{Digest, StatementId};
use whosaw::party::resident::state::{Clip, State};
use whosaw::seal::FileKey;
use whosaw::seal::commitment::{Commitment, clip_opening};
use whosaw::seal::keys::{Phrase, Seed};
use whosaw::seal::recipient::Recipient;
use whosaw::seal::rewrap::{file_key, wrap};
use whosaw::statement::envelope::Envelope;
use whosaw::statement::kinds::disclosure::{Audience, DisclosedClip, Disclosure};
use whosaw::statement::kinds::withdrawal::Withdrawal;
use whosaw::statement::sealed::Opening;
use whosaw::statement::words::DataKind;
use whosaw::statement::{Author, Head, Statement, sign};
use whosaw::store::vaults::Vaults;
use whosaw::time::Clock;

use super::http::{Answer, Call};
use super::ledger::{AGENCY, Ledger, ORIGIN, Ran, until, whosaw};

const FILM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/doorbell.mp4");

struct World {
    ledger: Ledger,
    agreement: String,
    /// The resident's clip.
    clip: String,
}

impl World {
    /// A resident with an anchored clip, and an agency.
    fn new() -> Self {
        let ledger = Ledger::start(|limits| limits.new_key_wait_minutes = 0);
        let agreement = ledger.settle().to_string();
        let code = ledger.enrol_code(64, 8);
        ledger.resident("me", &ledger.url(), &code);
        let added = ledger.add_clip("me", FILM);
        let clip = added["clip"].as_str().unwrap().to_owned();
        let world = Self {
            ledger,
            agreement,
            clip,
        };
        until("anchored", || {
            (world.report("me")["clips"][0]["anchored"] == 4).then_some(())
        });
        world
    }

    fn resident(&self, home: &str, words: &[&str]) -> Ran {
        let home = self.ledger.file(home);
        whosaw(&[&["resident"], words, &["--home", &home]].concat())
    }

    fn report(&self, home: &str) -> Value {
        let ran = self.resident(home, &["report", "--json"]);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr))
    }

    /// What a report says became of the first clip.
    fn became(&self, home: &str) -> (bool, Vec<String>) {
        let clip = self.report(home)["clips"][0].clone();
        let lines = clip["lines"].as_array().unwrap().iter();
        let lines = lines.map(|line| line["what"].as_str().unwrap().to_owned());
        (clip["nobody"].as_bool().unwrap(), lines.collect())
    }

    /// Publishes the clip; the disclosure's id.
    fn publish(&self) -> String {
        let ran = self.resident("me", &["publish", &self.clip, "--yes", "--json"]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        let said: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(said[0]["handed_over"], true, "{said}");
        said[0]["id"].as_str().unwrap().to_owned()
    }

    fn log(&self, words: &[&str]) -> Ran {
        let log = format!("{}/log", self.ledger.url());
        let trust = self.ledger.file("operator/log.policy");
        whosaw(&[&["log"], words, &["--log", &log, "--policy", &trust]].concat())
    }

    fn get(&self, path: &str) -> Answer {
        self.ledger.send(&Call::new("GET", path, Vec::new()))
    }

    fn page(&self) -> String {
        String::from_utf8(self.get("/").body).unwrap()
    }

    /// The state of each publication, as everybody is told.
    fn published(&self) -> Vec<String> {
        let listed = self.log(&["published", "--json"]).stdout;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let states = listed.as_array().unwrap().iter();
        states
            .map(|row| row["state"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The resident's folder again, from the phrase alone.
    fn restore(&self, home: &str) {
        let words = std::fs::read(self.ledger.path("me/phrase")).unwrap();
        let (url, trust) = (self.ledger.url(), self.ledger.file("operator/log.policy"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_whosaw"))
            .args([
                "resident",
                "restore",
                "--home",
                &self.ledger.file(home),
                "--server",
                &url,
            ])
            .args(["--trust", &trust, "--jurisdiction", "US-FL"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&words).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn a_clip_goes_to_everybody_and_is_taken_back() {
    let world = World::new();
    let asked = world.resident("me", &["publish", &world.clip]);
    assert_ne!(asked.code, Some(0), "nobody said yes");
    for text in ["For everybody", "no copy", "The film may"] {
        assert!(asked.stdout.contains(text), "{text}: {}", asked.stdout);
    }
    assert_eq!(world.published(), Vec::<String>::new());

    let id = world.publish();
    let path = format!("/published/{id}");
    let answer = world.get(&path);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    assert_eq!(answer.header("content-type"), "application/age");
    assert!(
        answer
            .body
            .starts_with(b"age-encryption.org/v1\n-> X25519 ")
    );
    // The vault's owner and the log's readers ask for the same thing in the same way.
    let signed = format!("/vault/v1/disclosures/{id}/clips/0");
    assert_eq!(world.get(&signed).status, 401);

    let out = world.ledger.file("clips");
    let fetched = world.log(&["fetch", &id[..12], "--out", &out]);
    assert_eq!(
        fetched.code,
        Some(0),
        "{}{}",
        fetched.stdout,
        fetched.stderr
    );
    let clip = format!("clips/{id}.mp4");
    assert_eq!(
        std::fs::read(world.ledger.path(&clip)).unwrap(),
        std::fs::read(FILM).unwrap()
    );
    let sealed = std::fs::read(world.ledger.path(&format!("clips/{id}.age")));
    assert_eq!(sealed.unwrap(), answer.body);

    assert_eq!(world.published(), ["public"]);
    let shown = world.log(&["show", &id]).stdout;
    assert!(
        shown.starts_with("A resident gives a clip to everybody: video, until "),
        "{shown}"
    );
    let page = world.page();
    assert!(page.contains(&format!("href=\"{path}\"")));
    assert!(
        page.contains("AGE-SECRET-KEY-1JTSZYGLELMAPPV4HGCLS55KCQ8YMW6CP2FD6QTU0ZA4FRE73TW9QEPKUPN")
    );
    assert_eq!(
        world.became("me"),
        (
            false,
            vec!["published".to_owned(), "handed-over".to_owned()]
        )
    );
    let twice = world.resident("me", &["publish", &world.clip, "--yes"]);
    assert!(twice.stderr.contains("is public until"), "{}", twice.stderr);
    // No agency takes it.
    let home = world.ledger.file("agency");
    let collect = whosaw(&["agency", "collect", &id, "--home", &home, "--out", &out]);
    assert!(
        collect.stderr.contains("no disclosure for a request"),
        "{}",
        collect.stderr
    );

    world.restore("again");
    assert_eq!(world.became("again"), (false, vec!["published".to_owned()]));
    let back = world.resident("again", &["withdraw", &id[..12]]);
    assert_eq!(back.code, Some(0), "{}", back.stderr);
    assert!(
        back.stdout.contains("nobody can call copies back"),
        "{}",
        back.stdout
    );
    let gone = world.get(&path);
    assert_eq!(gone.problem().0, 410);
    assert_eq!(gone.header("cache-control"), "no-store");
    let elsewhere = world.ledger.file("later");
    let fetch = world.log(&["fetch", &id, "--out", &elsewhere]);
    assert_eq!(fetch.code, Some(1), "{}", fetch.stderr);
    assert!(fetch.stdout.contains("took it back"), "{}", fetch.stdout);
    let anyway = world.log(&["fetch", &id, "--anyway", "--out", &elsewhere]);
    assert_eq!(anyway.code, Some(1), "{}", anyway.stderr);
    let told = "served no more";
    assert!(anyway.stdout.contains(told), "{}", anyway.stdout);
    assert!(!anyway.stdout.contains("SERVED"), "{}", anyway.stdout);
    assert_eq!(world.published(), ["withdrawn"]);
    assert!(world.page().contains("Taken back"));
    let (_, lines) = world.became("me");
    assert_eq!(lines, ["published", "withdrawn", "handed-over"]);

    // Once more, by another commitment and another key.
    let again = world.publish();
    let payload = |id: &str| {
        let shown = world.log(&["show", id, "--json"]).stdout;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        shown["payload"].clone()
    };
    let (first, second) = (payload(&id), payload(&again));
    for member in ["/issuer_key", "/clips/0/commitment", "/clips/0/header"] {
        assert_ne!(first.pointer(member), second.pointer(member), "{member}");
    }
    assert_eq!(world.get(&format!("/published/{again}")).status, 200);
    assert_eq!(world.published(), ["withdrawn", "public"]);
    world.ledger.verify();
}

#[test]
fn what_is_not_public_is_not_served() {
    let world = World::new();
    for (words, told) in [
        (
            ["--until", "2099-01-01T00:00:00Z"],
            "lets a clip be public until",
        ),
        (["--until", "2019-01-01T00:00:00Z"], "to be public until"),
    ] {
        let publish = ["publish", world.clip.as_str(), "--yes"];
        let refused = world.resident("me", &[&publish[..], &words].concat());
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert_ne!(refused.code, Some(0), "{words:?}");
        assert!(said.contains(told), "{words:?}: {said}");
    }
    assert_eq!(world.published(), Vec::<String>::new());
    let id = world.publish();
    let strange = [
        (format!("/published/{}", "ab".repeat(32)), 404),
        (format!("/published/{}", world.agreement), 404),
        ("/published/ab".to_owned(), 400),
        ("/published/%ff".to_owned(), 404),
        (format!("/published/{id}/clips/0"), 404),
    ];
    for (path, status) in strange {
        assert_eq!(world.get(&path).status, status, "{path}");
    }
    for method in ["PUT", "POST", "DELETE"] {
        let call = Call::new(method, format!("/published/{id}"), Vec::new());
        assert_eq!(world.ledger.send(&call).status, 405);
    }
    // The resident's own deletion ends it too.
    let seed: Phrase = std::fs::read_to_string(world.ledger.path("me/phrase"))
        .unwrap()
        .parse()
        .unwrap();
    let path = format!("/vault/v1/clips/{}", world.clip);
    let delete = Call::new("DELETE", path, Vec::new());
    let delete = delete.signed(&seed.seed().vault_key(), world.ledger.authority());
    assert_eq!(world.ledger.send(&delete).status, 204);
    assert_eq!(world.get(&format!("/published/{id}")).status, 410);
}

/// A resident at the door itself, past their own program.
struct Owner {
    seed: Seed,
    clip: Clip,
    key: FileKey,
}

impl Owner {
    fn of(world: &World) -> Self {
        let home = world.ledger.path("me");
        let read = |name: &str| std::fs::read(home.join(name)).unwrap();
        let phrase: Phrase = String::from_utf8(read("phrase")).unwrap().parse().unwrap();
        let seed = phrase.seed();
        let state = State::open(&home.join("resident.db")).unwrap();
        let header = read(&format!("clips/{}/header", world.clip));
        Self {
            key: file_key(&header, &seed.identity()).unwrap(),
            clip: state.clips().unwrap().remove(0),
            seed,
        }
    }

    /// A disclosure to everybody by commitment `i`, with this header.
    fn disclosure(&self, i: usize, header: &[u8]) -> Disclosure {
        let anchor = self.clip.anchors[i].clone().unwrap();
        let given = DisclosedClip {
            commitment: self.clip.commitments[i],
            batch: anchor.batch,
            index: anchor.index,
            path: anchor.path,
            header: Digest::of(header),
        };
        Disclosure {
            request: None,
            clips: vec![given],
            gives: vec![DataKind::Video],
            minutes: None,
            note: None,
            recipient: Audience::Public,
            expires: Clock::system()
                .now()
                .checked_add_seconds(7200)
                .unwrap()
                .cut_to_hour(),
        }
    }

    fn opening(&self, i: usize) -> Opening {
        let body = &self.clip.body_digest;
        clip_opening(&self.seed.clip_salt(body, i), body, &self.key)
    }

    /// Asks for a disclosure to be logged; its id, and what the server said.
    fn disclose(
        &self,
        world: &World,
        disclosure: Disclosure,
        key: &SigningKey,
        opening: &Opening,
    ) -> (StatementId, Answer) {
        let envelope = signed_once(key, disclosure.into());
        let shown = json!({
            "clip": world.clip, "opening": opening.encode(), "body_length": self.clip.body_length,
        });
        let statement: Value = serde_json::from_slice(&envelope.to_json()).unwrap();
        let body = json!({ "statement": statement, "openings": [shown] }).to_string();
        let answer = self.call(world, "POST", "/vault/v1/disclosures", body.as_bytes());
        (StatementId::of_payload(&envelope.payload), answer)
    }

    fn call(&self, world: &World, method: &'static str, path: &str, body: &[u8]) -> Answer {
        let call = Call::new(method, path, body);
        let call = call.signed(&self.seed.vault_key(), world.ledger.authority());
        world.ledger.send(&call)
    }
}

/// A header that not everybody could open is no publication; one that came too late is none either.
#[test]
fn what_not_everybody_can_open_is_not_taken() {
    let world = World::new();
    let owner = Owner::of(&world);
    let (seed, key) = (&owner.seed, &owner.key);
    let publish = |i: usize, header: &[u8]| {
        let disclosure = owner.disclosure(i, header);
        let one_time = seed.public_key(&disclosure.clips[0].commitment);
        let opening = owner.opening(i);
        let (id, answer) = owner.disclose(&world, disclosure, &one_time, &opening);
        assert_eq!(answer.status, 201);
        (id, one_time)
    };
    let hand_over = |id: &StatementId, header: &[u8]| {
        let path = format!("/vault/v1/disclosures/{id}/headers/0");
        owner.call(&world, "PUT", &path, header).status
    };
    let own = wrap(key, &Recipient::of(&seed.identity()));
    let (id, _) = publish(0, &own);
    assert_eq!(hand_over(&id, &own), 400);
    assert_eq!(world.get(&format!("/published/{id}")).status, 404);

    let header = wrap(key, &Recipient::PUBLIC);
    let (id, _) = publish(1, &header);
    assert_eq!(hand_over(&id, &own), 400, "not the one that is named");
    assert_eq!(hand_over(&id, &header), 204);
    assert_eq!(world.get(&format!("/published/{id}")).status, 200);

    let header = wrap(key, &Recipient::PUBLIC);
    let (disclosure, one_time) = publish(2, &header);
    let back = signed_once(&one_time, Withdrawal { disclosure }.into());
    assert_eq!(world.ledger.submit(&back.to_json()).status, 201);
    assert_eq!(hand_over(&disclosure, &header), 410);
    world.ledger.verify();
}

/// The rules and the log judge before anything stays: no quota bounds what refusals would leave.
#[test]
fn a_refused_disclosure_leaves_nothing() {
    let world = World::new();
    let owner = Owner::of(&world);
    let header = wrap(&owner.key, &Recipient::PUBLIC);
    let one_time = || SigningKey::from_bytes(&whosaw::random::bytes());
    let file = world.ledger.path("operator/vaults.db");
    let mut refused = Vec::new();

    for n in 0..8 {
        // Genuine, and in no batch: a commitment of this very moment.
        let salt = whosaw::random::bytes();
        let opening = clip_opening(&salt, &owner.clip.body_digest, &owner.key);
        let mut disclosure = owner.disclosure(0, &header);
        disclosure.clips[0].commitment = Commitment::of(&opening);
        let (id, answer) = owner.disclose(&world, disclosure, &one_time(), &opening);
        let expected = (422, "commitment-not-in-batch".to_owned());
        let said = answer.problem();
        assert_eq!((said.0, said.1), expected, "{n}");
        refused.push(id);

        // As long as openings of other things may be.
        let value = json!({ "body": owner.clip.body_digest, "key": owner.clip.body_digest, "more": "x".repeat(40_000) });
        let opening = Opening::new(&salt, "clip", &value).unwrap();
        let mut disclosure = owner.disclosure(0, &header);
        disclosure.clips[0].commitment = Commitment::of(&opening);
        let (id, answer) = owner.disclose(&world, disclosure, &one_time(), &opening);
        let said = answer.problem();
        assert_eq!((said.0, said.2.as_deref()), (400, Some("/openings")), "{n}");
        refused.push(id);
    }

    // One commitment in many hands at once: one disclosure is logged.
    let opening = owner.opening(1);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let one = || {
            let disclosure = owner.disclosure(1, &header);
            owner.disclose(&world, disclosure, &one_time(), &opening)
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let logged: Vec<_> = answers.iter().filter(|(_, a)| a.status == 201).collect();
    assert_eq!(logged.len(), 1, "{answers:?}");
    let (logged, lost) = (logged[0].0, answers.iter().map(|(id, _)| *id));
    refused.extend(lost.filter(|id| *id != logged));

    let vaults = Vaults::open(&file).unwrap();
    for id in refused {
        assert_eq!(vaults.disclosure(id).unwrap(), None);
    }
    assert!(vaults.disclosure(logged).unwrap().is_some());
    let ever = Clock::system().now().checked_add_seconds(60).unwrap();
    assert_eq!(vaults.unlogged_disclosures(ever).unwrap(), [logged]);
    world.ledger.verify();
}

fn signed_once(key: &SigningKey, statement: Statement) -> Envelope {
    let head = Head {
        log: ORIGIN.to_owned(),
        issued_at: Clock::system().now().cut_to_hour(),
        author: Author::OneTimeKey(key.into()),
    };
    sign(&head, &statement, &[key])
}

/// From the command line to the page, and over: a bulletin asks for nothing.
#[test]
fn a_bulletin_is_shown_until_it_expires() {
    let world = World::new();
    let text = world.ledger.path("bulletin.txt");
    std::fs::write(&text, "A child is missing since noon.\n").unwrap();
    let home = world.ledger.file("agency");
    let until = Clock::system()
        .now()
        .checked_add_seconds(7200)
        .unwrap()
        .cut_to_hour();
    let text = format!("text=@{}", text.display());
    let expires = format!("expires={until}");
    let say = |more: &[&str]| {
        let words = [
            "agency",
            "say",
            "bulletin",
            "about=missing-person",
            "jurisdiction=US-FL",
            &text,
            &expires,
            "--home",
            &home,
            "--json",
        ];
        whosaw(&[&words, more].concat())
    };
    let asks = say(&["asks=video"]);
    assert!(
        asks.stderr.contains("there is no member \"asks\""),
        "{}",
        asks.stderr
    );
    let said = say(&[]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let said: Value = serde_json::from_str(&said.stdout).unwrap();
    let id = said["id"].as_str().unwrap();

    let shown = world.log(&["show", id]).stdout;
    let plain =
        format!("{AGENCY} tells the people of US-FL something (missing-person), until {until}.");
    assert!(shown.starts_with(&plain), "{shown}");
    assert!(shown.contains(&format!("expires     {until}\n")), "{shown}");
    let entry = world.get(&format!("/api/v1/statements/{id}")).json();
    let payload = entry["statement"]["payload"].as_str().unwrap();
    let payload = whosaw::encoding::from_base64(payload).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    let digest = payload["text"].as_str().unwrap();
    let page = world.page();
    assert!(page.contains("missing person</h3>"), "{page}");
    assert!(page.contains(&format!("<a href=\"/attachments/{digest}\">What it says")));
    let read = world.get(&format!("/attachments/{digest}"));
    assert_eq!(read.body, b"A child is missing since noon.\n");
    let own = format!("/entries/{id}");
    assert!(page.contains(&format!("<a href=\"{own}\">The bulletin")));
    let own = world.get(&own);
    assert_eq!(
        (own.status, own.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    let own = String::from_utf8(own.body).unwrap();
    for text in [
        plain.as_str(),
        &format!("href=\"/attachments/{digest}\""),
        &format!("href=\"/api/v1/proofs/{id}\""),
    ] {
        assert!(own.contains(text), "{text}: {own}");
    }
    for none in ["/entries/0", &format!("/entries/{digest}")] {
        assert!(matches!(world.get(none).status, 400 | 404), "{none}");
    }
}
