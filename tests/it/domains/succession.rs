//! A party that has lost its keys, and the one that succeeds it.

use serde_json::Value;
use whosaw::time::Clock;

use crate::ledger::{AGENCY, Ledger, Ran, VENDOR};

/// An agency that has lost its keys comes back under a new id: weeks pass, by the real programs.
#[test]
fn a_lost_agency_comes_back_and_owes_what_it_owed() {
    const SUCCESSOR: &str = "police.lakelandgov.example";
    let mut ledger = Ledger::start(|limits| {
        limits.batch_seconds = 3600;
        limits.new_key_wait_minutes = 24 * 60;
    });
    ledger.register("vendor", "vendor", VENDOR);
    ledger.register("agency", "agency", AGENCY);
    let run = |ledger: &Ledger, words: &[&str]| {
        ledger.run(&[words, &["--server", &ledger.url()]].concat())
    };
    let ok = |ran: Ran| {
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        ran.stdout
    };
    let agree = |ledger: &Ledger, folder: &str, party: &str| {
        let (vendor, home) = (ledger.file("vendor"), ledger.file(folder));
        let file = ledger.file("agreement.dsse");
        let offer = [
            "vendor",
            "agreement",
            "--home",
            &vendor,
            "--with",
            party,
            "--sign-only",
            "-o",
            &file,
        ];
        ok(run(ledger, &offer));
        ok(ledger.run(&["countersign", &file, "--home", &home, "--yes"]));
        let trust = ledger.file("operator/log.policy");
        run(ledger, &["submit", &file, "--trust", &trust, "--json"])
    };
    let id = |said: String| {
        let said: Value = serde_json::from_str(&said).unwrap();
        said["id"].as_str().unwrap().to_owned()
    };
    let scope = ledger.file("scope.geojson");
    let case = ledger.file("case.txt");
    std::fs::write(&case, "2026-0042\n").unwrap();
    let ask = |ledger: &Ledger, folder: &str, agreement: &str| {
        // The window lies on the ledger's day.
        let days = if folder == "agency" { 2 } else { 16 };
        let hours = |n: i64| {
            Clock::system()
                .now()
                .checked_add_seconds(days * 86_400 - n * 3600)
                .unwrap()
        };
        let ring =
            "[[-81.95,28.03],[-81.949,28.03],[-81.949,28.031],[-81.95,28.031],[-81.95,28.03]]";
        let text = format!(
            r#"{{"type":"Feature","geometry":{{"type":"Polygon","coordinates":[{ring}]}},"properties":{{"from":"{}","until":"{}"}}}}"#,
            hours(30),
            hours(28)
        );
        std::fs::write(&scope, text).unwrap();
        let home = ledger.file(folder);
        let what = [
            "--scope",
            &scope,
            "--offence",
            "220",
            "--case-number-file",
            &case,
            "--seal-days",
            "0",
            "--json",
        ];
        run(
            ledger,
            &[
                &[
                    "agency",
                    "request",
                    "--home",
                    &home,
                    "--agreement",
                    agreement,
                ],
                &what[..],
            ]
            .concat(),
        )
    };

    ledger.pass_days(2);
    let agreement = id(ok(agree(&ledger, "agency", AGENCY)));
    let request = id(ok(ask(&ledger, "agency", &agreement)));

    // Its keys are gone. Nobody succeeds it before the operator has said so, and then one, of its kind.
    ledger.pass_days(14);
    ledger.init("agency", "successor", SUCCESSOR);
    ledger.init("court", "court", "court.example");
    let data = ledger.file("operator");
    let register = |ledger: &Ledger, kind: &str, folder: &str| {
        let (home, file) = (ledger.file(folder), ledger.file("succession.dsse"));
        ok(run(
            ledger,
            &[
                kind,
                "register",
                "--home",
                &home,
                "--succeeds",
                AGENCY,
                "-o",
                &file,
            ],
        ));
        run(
            ledger,
            &["operator", "approve", &file, "--data", &data, "--yes"],
        )
    };
    let early = register(&ledger, "agency", "successor");
    assert_eq!(early.code, Some(1));
    assert!(
        early.stderr.contains("the operator withdraws it first"),
        "{}",
        early.stderr
    );
    ok(run(
        &ledger,
        &[
            "operator",
            "withdraw",
            AGENCY,
            "--reason",
            "keys-lost",
            "--data",
            &data,
            "--yes",
        ],
    ));
    let of_another_kind = register(&ledger, "court", "court");
    assert!(
        of_another_kind.stderr.contains("wrong-reference"),
        "{}",
        of_another_kind.stderr
    );
    let said = ok(register(&ledger, "agency", "successor"));
    assert!(said.contains(&format!("it succeeds {AGENCY}")), "{said}");

    // It waits like any other, and then is barred by what its predecessor did not open.
    let waits = agree(&ledger, "successor", SUCCESSOR);
    assert!(waits.stderr.contains("key-not-live"), "{}", waits.stderr);
    ledger.pass_days(16);
    let agreement = id(ok(agree(&ledger, "successor", SUCCESSOR)));
    let barred = ask(&ledger, "successor", &agreement);
    assert_eq!(barred.code, Some(1), "{}", barred.stdout);
    assert!(barred.stderr.contains("seal-overdue"), "{}", barred.stderr);
    let (old, new) = (ledger.path("agency/seals"), ledger.path("successor/seals"));
    std::fs::create_dir_all(&new).unwrap();
    for opening in std::fs::read_dir(old).unwrap().flatten() {
        std::fs::copy(opening.path(), new.join(opening.file_name())).unwrap();
    }
    let home = ledger.file("successor");
    ok(run(
        &ledger,
        &["agency", "unseal", &request, "--home", &home],
    ));
    ok(ask(&ledger, "successor", &agreement));
    let (log, trust) = (
        ledger.file("operator/log"),
        ledger.file("operator/log.policy"),
    );
    let holds = ok(ledger.run(&["log", "verify", "--log", &log, "--policy", &trust]));
    assert!(holds.contains("all holds"), "{holds}");
}
