//! Statements said on the command line, and what the log's record makes of them: findings, both sides
//! of what is compelled, accounts.

use serde_json::Value;

use whosaw::statement::words::Day;
use whosaw::time::Clock;

use super::http::Call;
use super::ledger::{AGENCY, Ledger, Ran, VENDOR, done, whosaw};

const COURT: &str = "court.example";

/// A ledger with a vendor, an agency, their agreement, a court and a watchdog.
struct World {
    ledger: Ledger,
    agreement: String,
}

impl World {
    fn new() -> Self {
        // No batch comes between: the log grows by what these tests say, or not at all.
        let ledger = Ledger::start(|limits| {
            limits.new_key_wait_minutes = 0;
            limits.batch_seconds = 86_400;
        });
        let agreement = ledger.settle().to_string();
        ledger.register("court", "court", COURT);
        ledger.register("watchdog", "watchdog", "watchdog.example");
        Self { ledger, agreement }
    }

    /// Says something as the party in a folder; the statement's id.
    fn say(&self, who: &str, words: &[&str]) -> String {
        let home = self.ledger.file(who);
        let said = done(&[&[who, "say", "--home", &home, "--json"], words].concat());
        let said: Value = serde_json::from_str(&said).unwrap();
        said["id"].as_str().unwrap().to_owned()
    }

    fn operator_says(&self, words: &[&str]) -> String {
        let (data, url) = (self.ledger.file("operator"), self.ledger.url());
        let own = [
            "operator", "say", "--data", &data, "--server", &url, "--json",
        ];
        let said: Value = serde_json::from_str(&done(&[&own, words].concat())).unwrap();
        said["id"].as_str().unwrap().to_owned()
    }

    fn log(&self, command: &[&str]) -> Ran {
        let log = format!("{}/log", self.ledger.url());
        let trust = self.ledger.file("operator/log.policy");
        whosaw(&[&["log"], command, &["--log", &log, "--policy", &trust]].concat())
    }

    fn findings(&self) -> Vec<(String, String)> {
        let found = self.log(&["findings", "--json"]);
        let found: Value = serde_json::from_str(&found.stdout).unwrap();
        let found = found.as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        found
            .map(|finding| (text(&finding["code"]), text(&finding["about"])))
            .collect()
    }

    fn get(&self, path: String) -> Value {
        let answer = self.ledger.send(&Call::new("GET", path, Vec::new()));
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_slice(&answer.body).unwrap()
    }
}

fn in_days(days: i64) -> String {
    Day::of(
        Clock::system()
            .now()
            .checked_add_seconds(days * 86_400)
            .unwrap(),
    )
    .to_string()
}

#[test]
fn what_is_said_is_held_against_what_others_say() {
    let world = World::new();
    let number = world.ledger.path("number.txt");
    std::fs::write(&number, "SW-2026-0042\n").unwrap();
    let agency = format!("agency={AGENCY}");
    let subpoena = world.say(
        "agency",
        &[
            "legal-demand",
            "process=subpoena",
            "source=signed",
            &agency,
            "jurisdiction=US-FL",
            "content=false",
            "records=account,clip-metadata",
            "accounts=1-5",
            "served_on=today",
            "--seal",
            &format!("reference={}", number.display()),
            "--open-by",
            &in_days(30),
        ],
    );
    assert_eq!(world.findings(), []);
    let until = format!("until={}", in_days(60));
    let about = format!("demand={subpoena}");
    let order = ["delay-order", "delays=notice", &about, &until];
    world.say(
        "court",
        &[&order[..], &["grounds=jeopardy,safety"]].concat(),
    );
    let response = |demand: &str| {
        world.operator_says(&[
            "demand-response",
            demand,
            "outcome=full",
            "records=account,clip-content",
            "accounts=6-10",
            "clips=1-5",
            "effective_on=today",
        ])
    };
    response(&about);
    let alone = response(&agency);
    let mail = world.ledger.path("mail.txt");
    std::fs::write(&mail, "roles are needed").unwrap();
    let evidence = format!("attachments=@{}", mail.display());
    let about = format!("about={}", world.agreement);
    world.say(
        "watchdog",
        &["annotation", &about, "remark=dispute", &evidence],
    );
    let found = |code: &str, about: &str| (code.to_owned(), about.to_owned());
    assert_eq!(
        world.findings(),
        [
            found("counts-disagree", &subpoena),
            found("content-without-warrant", &subpoena),
            found("response-without-demand", &alone),
            found("disputed", &world.agreement),
        ]
    );

    let both = world.log(&["reconcile"]);
    assert_eq!(both.code, Some(1), "{}", both.stdout);
    for text in [
        "disagrees",
        "no demand",
        "1-5 demanded, 6-10 given",
        "2 of 2 do not agree",
    ] {
        assert!(both.stdout.contains(text), "{text}: {}", both.stdout);
    }
    let shown = world.log(&["show", &world.agreement]).stdout;
    assert!(shown.contains("finding     It is disputed."), "{shown}");
    let entry = world.get(format!("/api/v1/statements/{}", world.agreement));
    assert_eq!(entry["findings"][0]["code"], "disputed");
    let own = Call::new("GET", format!("/entries/{}", world.agreement), Vec::new());
    let own = String::from_utf8(world.ledger.send(&own).body).unwrap();
    assert!(own.contains("<strong>It is disputed.</strong>"), "{own}");
    let all = world.get("/api/v1/findings".to_owned());
    assert_eq!(all["findings"].as_array().unwrap().len(), 4);
    assert_eq!(all["size"], world.ledger.size());
    let page = world
        .ledger
        .send(&Call::new("GET", "/".to_owned(), Vec::new()));
    let page = String::from_utf8(page.body).unwrap();
    for text in [
        "More was given than was demanded",
        "An answer to no demand on record",
    ] {
        assert!(page.contains(text), "{text}");
    }

    let unseal = |id: &str| {
        let home = world.ledger.file("agency");
        whosaw(&["agency", "unseal", id, "--home", &home])
    };
    let opened = unseal(&subpoena);
    assert_eq!(opened.code, Some(0), "{}", opened.stderr);
    let again = unseal(&subpoena);
    assert_eq!(again.code, Some(2));
    assert!(
        again.stderr.contains("nothing is sealed any more"),
        "{}",
        again.stderr
    );
    assert_eq!(world.findings().len(), 4, "opened as it was sealed");
    world.ledger.verify();
}

#[test]
fn accounts_are_kept_and_overdrawn() {
    let world = World::new();
    let benefit = |kind: &str, giver: &str, receiver: &str, rest: &[&str]| {
        let under = format!("agreement={}", world.agreement);
        let (kind, giver) = (format!("kind={kind}"), format!("giver={giver}"));
        let receiver = format!("receiver={receiver}");
        let words = [
            "benefit",
            &kind,
            &giver,
            &receiver,
            &under,
            "effective_on=today",
        ];
        world.say("vendor", &[&words[..], rest].concat())
    };
    let usd = |cents: u32| format!(r#"amount={{"currency":"USD","minor_units":{cents}}}"#);
    let cameras = ["item=doorbell-camera", "count=15"];
    benefit("equipment", VENDOR, AGENCY, &cameras);
    benefit(
        "credit-accrued",
        VENDOR,
        AGENCY,
        &["downloads=12", &usd(12_000)],
    );
    benefit("returned", AGENCY, VENDOR, &cameras);
    let redeemed = benefit("credit-redeemed", VENDOR, AGENCY, &[&usd(12_001)]);
    let accounts = world.log(&["accounts"]).stdout;
    let lines: Vec<&str> = accounts.lines().map(str::trim).collect();
    let balances = lines.iter().position(|line| *line == "balances").unwrap();
    let balances: Vec<String> = lines[balances + 1..]
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        balances,
        [
            format!("{VENDOR} 0.01 USD of credit"),
            format!("{VENDOR} 0 × doorbell camera"),
            format!("{AGENCY} −0.01 USD of credit"),
            format!("{AGENCY} 0 × doorbell camera"),
        ]
    );
    let overdrawn = world.log(&["findings", "--code", "overdrawn", "--json"]);
    let overdrawn: Value = serde_json::from_str(&overdrawn.stdout).unwrap();
    assert_eq!(overdrawn[0]["about"], redeemed);
}

#[test]
fn what_cannot_be_said_is_told() {
    let world = World::new();
    let home = world.ledger.file("agency");
    let say = |words: &[&str]| {
        let ran = whosaw(&[&["agency", "say", "--home", &home], words].concat());
        (ran.code, format!("{}{}", ran.stdout, ran.stderr))
    };
    let size = world.ledger.size();
    for (words, code, told) in [
        (&["rumour", "x=1"][..], 2, "there is no type \"rumour\""),
        (&["bulletin", "about"], 2, "write NAME=VALUE"),
        (
            &["bulletin", "asks=video"],
            2,
            "there is no member \"asks\"",
        ),
        (&["bulletin", "about=rumour"], 2, "about"),
        (&["bulletin", "text=@nowhere.txt"], 2, "nowhere.txt"),
        (&["legal-demand", "content=perhaps"], 2, "content=perhaps"),
        (&["unsealing", "seal=x", "opening=y"], 2, "base64url"),
        (&["bulletin"], 0, "* about"),
        (&[], 0, "custody-report"),
    ] {
        let (ended, said) = say(words);
        assert_eq!(ended, Some(code), "{words:?}: {said}");
        assert!(said.contains(told), "{words:?}: {said}");
    }
    let dry = [
        "insider-access",
        "staff=a",
        "system=b",
        "reason=unauthorised",
        "records=account",
        "accounts=1-5",
        "effective_on=today",
        "--dry-run",
    ];
    let (ended, said) = say(&dry);
    assert_eq!(ended, Some(0), "{said}");
    assert!(said.contains(r#""type":"insider-access""#), "{said}");
    assert_eq!(world.ledger.size(), size, "nothing was logged");
}

/// An opening goes to whom it is given, and to nobody else; who has it needs nobody's word.
#[test]
fn an_opening_is_handed_to_one_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let number = world.ledger.path("number.txt");
    let demand = |text: &str| {
        std::fs::write(&number, text).unwrap();
        world.say(
            "agency",
            &[
                "legal-demand",
                "process=subpoena",
                "source=signed",
                &format!("agency={AGENCY}"),
                "jurisdiction=US-FL",
                "content=false",
                "records=account",
                "served_on=today",
                "--seal",
                &format!("reference={}", number.display()),
                "--open-by",
                &in_days(30),
            ],
        )
    };
    let (first, second) = (demand("SW-2026-0042\n"), demand("SW-2026-0043\n"));
    let size = world.ledger.size();
    let file = world.ledger.file("reference.opening");
    let home = world.ledger.file("agency");
    let export = |id: &str, more: &[&str]| {
        let command = ["agency", "opening", id, "--home", &home, "-o", &file];
        whosaw(&[&command, more].concat())
    };
    for (id, more, told) in [
        (
            &first,
            &["--field", "case_number"][..],
            "--field: reference",
        ),
        (&world.agreement, &[], "it has none"),
        (&"ab".repeat(32), &[], "does not stand in the log"),
    ] {
        let ran = export(id, more);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    let ran = export(&first, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stdout.contains("SW-2026"), "{}", ran.stdout);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(export(&first, &[]).code, Some(2), "never over a file");

    let check = |id: &str| world.log(&["opening", &file, id]);
    let holds = check(&first);
    assert_eq!(holds.code, Some(0), "{}", holds.stderr);
    for text in [
        "it holds: reference is SW-2026-0042",
        &format!("sealed by {AGENCY}"),
        "not opened in the log; due by",
    ] {
        assert!(holds.stdout.contains(text), "{text}: {}", holds.stdout);
    }
    let other = check(&second);
    assert_eq!(other.code, Some(1), "{}", other.stderr);
    assert!(other.stdout.contains("opens nothing"), "{}", other.stdout);
    assert!(other.stdout.contains("its digest stands in entry"));
    assert_eq!(check(&world.agreement).code, Some(1));
    assert_eq!(world.ledger.size(), size, "nothing was published");

    // Who mails it may add the end of a line; who alters it has nothing.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n")).unwrap();
    assert_eq!(check(&first).code, Some(0));
    std::fs::write(&file, text.replacen(text.chars().next().unwrap(), "X", 1)).unwrap();
    let altered = check(&first);
    assert_eq!(altered.code, Some(1), "{}", altered.stderr);
    std::fs::write(&file, "SW-2026-0042").unwrap();
    let none = world.log(&["opening", &file, &first, "--json"]);
    assert_eq!(none.code, Some(1));
    let none: Value = serde_json::from_str(&none.stdout).unwrap();
    assert_eq!(
        (&none["opens"], &none["why"]),
        (&Value::from(false), &"is no opening".into())
    );

    // Published, it is the same.
    std::fs::write(&file, &text).unwrap();
    assert_eq!(
        whosaw(&["agency", "unseal", &first, "--home", &home]).code,
        Some(0)
    );
    let opened = check(&first);
    assert!(
        opened.stdout.contains("opened for all by entry"),
        "{}",
        opened.stdout
    );
    world.ledger.verify();
}
