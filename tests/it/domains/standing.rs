//! Parties over time, by the operator's commands: registered by what their names show, asked again,
//! suspended, withdrawn.

use std::net::{SocketAddr, UdpSocket};

use serde_json::Value;
use whosaw::statement::envelope::Envelope;
use whosaw::statement::kinds::party::{CheckMethod, DomainCheck, Party};
use whosaw::statement::words::{Day, PartyKind, Role};
use whosaw::statement::{Author, Head, sign};
use whosaw::time::{Clock, Time};

use super::dns::{Answer, Dns};
use super::https::{Https, Page};
use crate::ledger::{AGENCY, Ledger, ORIGIN, Ran, VENDOR, done, whosaw};

const OPERATOR: &str = "ledger.example";

/// A ledger with an agency and a vendor that are not registered, and what answers for their names.
struct World {
    ledger: Ledger,
    dns: Dns,
    https: Https,
}

impl World {
    fn new() -> Self {
        let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
        for (kind, party) in [("agency", AGENCY), ("vendor", VENDOR)] {
            ledger.init(kind, kind, party);
        }
        let https = Https::start(&[AGENCY, VENDOR, OPERATOR]);
        std::fs::write(ledger.path("ca.pem"), &https.authority).unwrap();
        let dns = Dns::start();
        Self { ledger, dns, https }
    }

    /// Registers without asking anybody; the file.
    fn register(&self, kind: &str, options: &[&str]) -> String {
        let (home, file) = (
            self.ledger.file(kind),
            self.ledger.file("registration.dsse"),
        );
        let own = [kind, "register", "--home", &home, "-o", &file];
        done(&[&own, options].concat());
        file
    }

    /// Runs a command that asks host names.
    fn asking(&self, words: &[&str], resolver: SocketAddr) -> Ran {
        let (resolver, connect) = (resolver.to_string(), self.https.address.to_string());
        let ca = self.ledger.file("ca.pem");
        let asking = [
            "--resolver",
            &resolver,
            "--connect",
            &connect,
            "--ca",
            &ca,
            "--timeout",
            "2",
        ];
        whosaw(&[words, &asking].concat())
    }

    /// Runs a command of the operator's that asks host names.
    fn operator(&self, words: &[&str]) -> Ran {
        self.operator_by(words, self.dns.address)
    }

    fn operator_by(&self, words: &[&str], resolver: SocketAddr) -> Ran {
        let (data, url) = (self.ledger.file("operator"), self.ledger.url());
        let own = ["--data", &data, "--server", &url];
        self.asking(&[&["operator"], words, &own].concat(), resolver)
    }

    /// What the operator says of a party's standing.
    fn standing(&self, words: &[&str]) -> Ran {
        let (data, url) = (self.ledger.file("operator"), self.ledger.url());
        whosaw(&[&["operator"], words, &["--data", &data, "--server", &url]].concat())
    }

    /// Publishes what the party's own program says.
    fn publish(&self, kind: &str, party: &str) {
        let shown = self.record(kind, &[]);
        let records = shown["dns-txt"]["records"].as_array().unwrap().iter();
        let records = records.map(|record| record.as_str().unwrap().to_owned());
        self.dns.set(party, Answer::Records(records.collect()));
        let file = shown["well-known"]["file"].to_string();
        self.https.set(party, Page::file(&file));
    }

    fn record(&self, kind: &str, options: &[&str]) -> Value {
        let home = self.ledger.file(kind);
        let own = [kind, "domain-record", "--home", &home, "--json"];
        serde_json::from_str(&done(&[&own, options].concat())).unwrap()
    }

    fn monitor(&self, words: &[&str], resolver: SocketAddr) -> (Option<i32>, Vec<Value>) {
        let log = format!("{}/log", self.ledger.url());
        let trust = self.ledger.file("operator/log.policy");
        let own = [
            "log", "domains", "--log", &log, "--policy", &trust, "--json",
        ];
        let ran = self.asking(&[&own, words].concat(), resolver);
        let rows = serde_json::from_str(&ran.stdout);
        (
            ran.code,
            rows.unwrap_or_else(|e| panic!("{e}: {}", ran.stderr)),
        )
    }

    /// The verdict on the agency, and how many keys are missing and pending; and the exit code.
    fn agency(&self) -> (Option<i32>, String, usize, usize) {
        let (code, rows) = self.monitor(&["--party", AGENCY], self.dns.address);
        let count = |name: &str| rows[0][name].as_array().unwrap().len();
        let verdict = rows[0]["verdict"].as_str().unwrap().to_owned();
        (code, verdict, count("missing"), count("pending"))
    }

    fn last(&self) -> Value {
        let shown = format!("#{}", self.ledger.size() - 1);
        let (log, trust) = (
            self.ledger.file("operator/log"),
            self.ledger.file("operator/log.policy"),
        );
        let shown = done(&[
            "log", "show", &shown, "--log", &log, "--policy", &trust, "--json",
        ]);
        serde_json::from_str::<Value>(&shown).unwrap()["payload"].clone()
    }
}

/// An address at which nobody answers.
fn nowhere() -> (UdpSocket, SocketAddr) {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    (silent, address)
}

fn today() -> String {
    Day::of(Clock::system().now()).to_string()
}

#[test]
fn a_claimed_name_is_signed_for_only_if_it_shows_the_keys() {
    let world = World::new();
    let file = world.register("agency", &["--domain-check", "dns-txt"]);
    let size = world.ledger.size();
    let approve = ["approve", &file, "--yes"];
    let refused = |ran: Ran, code: i32, says: &str| {
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, Some(code), "{said}");
        assert!(said.contains(says), "{says}: {said}");
        assert_eq!(world.ledger.size(), size, "nothing was logged");
    };
    refused(world.operator(&approve), 1, "names no key");
    let (_silent, silent) = nowhere();
    refused(world.operator_by(&approve, silent), 2, "no answer in time");
    // Somebody else's keys under the agency's name: it is somebody else who registers.
    let shown = world.record("vendor", &[]);
    let record = shown["dns-txt"]["records"][0].as_str().unwrap().to_owned();
    world.dns.set(AGENCY, Answer::Records(vec![record]));
    refused(world.operator(&approve), 1, "0 of 3 keys are published");
    refused(world.operator(&approve), 1, "missing ed25519:");
    // The file would do, if it had been claimed; what is claimed is not waived, and both must hold.
    world.https.set(
        AGENCY,
        Page::file(&world.record("agency", &[])["well-known"]["file"].to_string()),
    );
    let elsewhere = [&approve[..], &["--check", "well-known"]].concat();
    refused(world.operator(&elsewhere), 1, "0 of 3 keys are published");
    let waived = [&approve[..], &["--check", "not-checked"]].concat();
    refused(
        world.operator(&waived),
        2,
        "possible values: dns-txt, well-known",
    );

    world.publish("agency", AGENCY);
    let approved = world.operator(&approve);
    assert_eq!(approved.code, Some(0), "{}", approved.stderr);
    assert!(
        approved.stdout.contains("3 of 3 keys are published"),
        "{}",
        approved.stdout
    );
    assert_eq!(world.ledger.size(), size + 1);
    let check = &world.last()["domain_check"];
    assert_eq!(
        (&check["method"], &check["checked_on"]),
        (&"dns-txt".into(), &today().into())
    );
    world.ledger.verify();
}

#[test]
fn what_is_seen_elsewhere_is_logged_beside_the_registration() {
    let world = World::new();
    world.publish("vendor", VENDOR);
    let file = world.register("vendor", &[]);
    let size = world.ledger.size();
    let approve = ["approve", &file, "--yes", "--json", "--check", "well-known"];
    let approved = world.operator(&approve);
    assert_eq!(approved.code, Some(0), "{}", approved.stderr);
    let said: Value = serde_json::from_str(&approved.stdout).unwrap();
    assert_eq!(
        (&said["index"], &said["confirmation"]["index"]),
        (&size.into(), &(size + 1).into())
    );
    let status = world.last();
    assert_eq!(
        (&status["status"], &status["party"]),
        (&"confirmed".into(), &VENDOR.into())
    );
    assert_eq!(status["domain_check"]["method"], "well-known");
    let (code, rows) = world.monitor(&[], world.dns.address);
    assert_eq!(code, Some(0));
    let told = |row: &Value| {
        (
            row["party"].clone(),
            row["verdict"].clone(),
            row["method"].clone(),
        )
    };
    assert_eq!(
        rows.iter().map(told).collect::<Vec<_>>(),
        [
            (VENDOR.into(), "holds".into(), "well-known".into()),
            (OPERATOR.into(), "not-checked".into(), "not-checked".into()),
        ]
    );

    // An agreement is no registration, and a day to come, or before the registration, is no day.
    let home = world.ledger.home("agency");
    let now = Clock::system().now();
    let registration = |made: Time, on: Time| {
        let statement = Party {
            party: AGENCY.parse().unwrap(),
            kind: PartyKind::Agency,
            keys: home.new_keys().unwrap(),
            domain_check: DomainCheck {
                checked_on: Day::of(on),
                method: CheckMethod::DnsTxt,
            },
            ..whosaw::statement::kinds::Kind::example()
        };
        let author = Author::Parties(vec![AGENCY.parse().unwrap(), OPERATOR.parse().unwrap()]);
        let head = Head {
            log: ORIGIN.to_owned(),
            issued_at: made.cut_to_minute(),
            author,
        };
        let keys = [Role::Admin, Role::Officer, Role::Service].map(|role| home.key(role).unwrap());
        let envelope = sign(&head, &statement.into(), &keys.each_ref());
        std::fs::write(world.ledger.path("other.dsse"), envelope.to_json()).unwrap();
        world.operator(&["approve", &world.ledger.file("other.dsse"), "--yes"])
    };
    world.publish("agency", AGENCY);
    let day = 86_400;
    for on in [
        now.checked_add_seconds(-day).unwrap(),
        now.checked_add_seconds(day).unwrap(),
    ] {
        let ran = registration(now, on);
        assert_eq!(ran.code, Some(2), "{}", ran.stdout);
        assert!(ran.stderr.contains("was checked on"), "{}", ran.stderr);
    }
    // Made the day before and seen today: both days stand in the log.
    let size = world.ledger.size();
    let ran = registration(
        now.checked_add_seconds(-day).unwrap(),
        now.checked_add_seconds(-day).unwrap(),
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(world.ledger.size(), size + 2);
    assert_eq!(world.last()["domain_check"]["checked_on"], today());
    world.ledger.verify();
}

#[test]
fn monitors_and_the_operator_ask_again() {
    let world = World::new();
    world.publish("agency", AGENCY);
    let file = world.register("agency", &["--domain-check", "dns-txt"]);
    assert_eq!(world.operator(&["approve", &file, "--yes"]).code, Some(0));
    let told =
        |code, verdict: &str, missing, pending| (Some(code), verdict.to_owned(), missing, pending);
    assert_eq!(world.agency(), told(0, "holds", 0, 0));

    // A new key may be missing for a day; the one that it replaced is no longer asked for.
    let home = world.ledger.file("agency");
    let before = world.record("agency", &[]);
    done(&["agency", "rotate-key", "officer", "--home", &home]);
    assert_eq!(world.agency(), told(0, "holds", 0, 1));
    world.publish("agency", AGENCY);
    assert_eq!(world.agency(), told(0, "holds", 0, 0));
    let after = world.record("agency", &[]);
    assert_ne!(before, after);
    assert_eq!(
        after,
        world.record("agency", &["--offline"]),
        "it has them all"
    );

    // A key that is in another folder is the party's all the same.
    let other = world.ledger.file("other.key");
    let add = [
        "agency", "add-key", "officer", "--label", "x", "-o", &other, "--home", &home,
    ];
    done(&add);
    let keys = |record: Value| record["keys"].as_array().unwrap().len();
    assert_eq!(keys(world.record("agency", &[])), 4);
    assert_eq!(keys(world.record("agency", &["--offline"])), 3);
    world.publish("agency", AGENCY);

    let confirm = ["confirm", AGENCY];
    let confirmed = world.operator(&confirm);
    assert_eq!(confirmed.code, Some(0), "{}", confirmed.stderr);
    assert!(
        confirmed.stdout.contains("4 of 4 keys are published"),
        "{}",
        confirmed.stdout
    );
    assert_eq!(world.last()["domain_check"]["method"], "dns-txt");
    let by_file = world.operator(&[&confirm[..], &["--check", "well-known"]].concat());
    assert_eq!(by_file.code, Some(0), "{}", by_file.stderr);
    assert_eq!(world.last()["domain_check"]["method"], "well-known");
    world
        .https
        .set(AGENCY, Page::file(r#"{"keys":[],"whosaw":1}"#));
    let size = world.ledger.size();
    assert_eq!(world.agency(), told(1, "otherwise", 0, 0));
    let refused = world.operator(&confirm);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.stdout.contains("not confirmed"),
        "{}",
        refused.stdout
    );
    world
        .https
        .set(AGENCY, Page::Of("503 Away", String::new(), Vec::new()));
    assert_eq!(world.agency(), told(2, "not-asked", 0, 0));
    let unasked = world.operator(&confirm);
    assert_eq!(unasked.code, Some(2), "{}", unasked.stdout);
    for (party, says) in [
        (OPERATOR, "say where to look"),
        ("who.example", "knows no who.example"),
    ] {
        let ran = world.operator(&["confirm", party]);
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    assert_eq!(world.ledger.size(), size, "nothing was logged");

    // Who does not act is not asked.
    let change = |words: &[&str]| {
        let ran = world.standing(words);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    };
    change(&["suspend", AGENCY, "--reason", "domain-lost"]);
    assert_eq!(world.agency(), told(0, "suspended", 0, 0));
    change(&["reinstate", AGENCY, "--reason", "resolved"]);
    assert_eq!(world.agency(), told(2, "not-asked", 0, 0));
    let unasked = world.standing(&["withdraw", AGENCY, "--reason", "own-wish"]);
    assert_eq!(unasked.code, Some(2));
    assert!(unasked.stderr.contains("for good"), "{}", unasked.stderr);
    change(&["withdraw", AGENCY, "--reason", "own-wish", "--yes"]);
    assert_eq!(world.agency(), told(0, "withdrawn", 0, 0));
    let twice = world.standing(&["suspend", AGENCY, "--reason", "rules-broken"]);
    assert!(twice.stderr.contains("already-so"), "{}", twice.stderr);
    world.ledger.verify();
}

/// One that says otherwise outweighs one that says nothing.
#[test]
fn one_name_that_says_otherwise_is_enough() {
    let world = World::new();
    for (kind, party, method) in [
        ("agency", AGENCY, "dns-txt"),
        ("vendor", VENDOR, "well-known"),
    ] {
        world.publish(kind, party);
        let file = world.register(kind, &["--domain-check", method]);
        assert_eq!(world.operator(&["approve", &file, "--yes"]).code, Some(0));
    }
    let (_silent, silent) = nowhere();
    let verdicts = |resolver| {
        let (code, rows) = world.monitor(&[], resolver);
        let verdict = |row: &Value| row["verdict"].as_str().unwrap().to_owned();
        (
            code.unwrap(),
            rows.iter().map(verdict).collect::<Vec<_>>().join(" "),
        )
    };
    let told = |code, verdicts: &str| (code, verdicts.to_owned());
    assert_eq!(
        verdicts(world.dns.address),
        told(0, "holds holds not-checked")
    );
    assert_eq!(verdicts(silent), told(2, "holds not-asked not-checked"));
    world
        .https
        .set(VENDOR, Page::Of("404 Gone", String::new(), Vec::new()));
    assert_eq!(verdicts(silent), told(1, "otherwise not-asked not-checked"));
}

/// The operator's own program would not have signed this; its keys can.
#[test]
fn an_operator_that_did_not_look_is_found_out() {
    let world = World::new();
    let file = world.register("agency", &["--domain-check", "well-known"]);
    let data = world.ledger.file("operator");
    let by_hand = whosaw(&["countersign", &file, "--home", &data, "--yes"]);
    assert_eq!(by_hand.code, Some(2));
    assert!(
        by_hand.stderr.contains("operator approve"),
        "{}",
        by_hand.stderr
    );
    let bytes = std::fs::read(&file).unwrap();
    let mut envelope = Envelope::parse(&bytes).unwrap();
    envelope.add_signature(&world.ledger.home("operator").key(Role::Admin).unwrap());
    assert_eq!(world.ledger.submit(&envelope.to_json()).status, 201);
    world.ledger.verify();
    assert_eq!(world.agency(), (Some(1), "otherwise".to_owned(), 0, 0));
    world.https.set(
        AGENCY,
        Page::file(&world.record("vendor", &[])["well-known"]["file"].to_string()),
    );
    assert_eq!(world.agency(), (Some(1), "otherwise".to_owned(), 3, 0));
}
