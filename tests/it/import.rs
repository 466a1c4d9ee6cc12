//! Public records brought in by `examples/import`: every trap of the real files in a few made-up rows.

use std::path::PathBuf;

use serde_json::Value;

use super::ledger::{Ledger, Ran, whosaw};

#[path = "../../examples/import/names.rs"]
mod names;

const AGENCIES: &str = "\
id,name,city,state,type,lat,lon
lakeland-fl-pd,Lakeland FL PD,Lakeland,FL,pd,1,2
orange-ca-pd,Orange CA PD,Orange,CA,pd,1,2
bellevue-id-marshals-office,Bellevue ID Marshal's Office,,,other,1,2
west-virginia-fusion,West Virginia Fusion Center (Main),,,other,1,2
fedex-air-carrier-pd,FedEx Air Carrier PD,,,other,1,2
broken-xx-pd,Broken XX PD,Broken,XX,pd,1,2
orange-ca-pd,Orange CA PD,Orange,CA,pd,1,2
";

const HEADING: &str = "Agency Name:,County of Court,Warrant Number,Submitted,Primary Nature,\
Crime of Violence Options,Secondary Nature,Order Served on,Business Name,Start Date for Info,\
End Date for Info,Grounds for Issuance,Reasons for Delay (if any),Emergency?\n";

fn register() -> String {
    let mut rows = vec![
        // Two spellings of an agency that is listed, one with a number to seal.
        "Orange PD,Orange,SW-123,01/27/2020 - 15:45,Homicide,,,Business,Google LLC,\"Mon, 2020-01-27\",\"Mon, 2020-04-27\",x,lead to flight from prosecution,No",
        "Orange Police Dept.,Orange,SW-124,01/28/2020 - 09:00,\"Narcotics\nOther\",,,Device Only,,\"Mon, 2020-01-27\",,x, ,Yes",
        // The register tells the same of two warrants.
        "Yolo County DA,Yolo,,03/05/2020 - 09:58,Theft/Fraud,,,Business,\"AT&T, Sprint\",,,x,,No",
        "Yolo County DA,Yolo,,03/05/2020 - 10:58,Theft/Fraud,,,Business,\"AT&T, Sprint\",,,x,,No",
        // The county's sheriff, said so or not, and no number.
        "Yolo Sheriff,Yolo,N/A,03/05/2020 - 09:58,Burglary,,,Business,Ring,,,x,\"lead to flight from prosecution\nlead to intimidation of potential witnesses\",No",
        "YOLO COUNTY SHERIFF'S OFFICE,Yolo,,03/06/2020 - 09:58,Burglary,,,Business,Ring Inc,,,x,,No",
    ];
    // Left out: no time, a period that ends before it begins, no agency, a ground that nobody knows.
    rows.extend([
        "Orange PD,Orange,1,Monday,Homicide,,,Device Only,,,,x,,No",
        "Orange PD,Orange,1,01/27/2020 - 15:45,Homicide,,,Device Only,,\"Mon, 2020-04-27\",\"Mon, 2020-01-27\",x,,No",
        ",Orange,1,01/27/2020 - 15:45,Homicide,,,Device Only,,,,x,,No",
        "Orange PD,Orange,1,01/27/2020 - 15:45,Homicide,,,Device Only,,,,x,because,No",
    ]);
    format!("{HEADING}{}\n", rows.join("\n"))
}

/// Runs the example, which `cargo test` builds.
fn import(ledger: &Ledger, what: &str, csv: &str, options: &[&str]) -> (Option<i32>, Value) {
    let folder = std::env::current_exe().unwrap();
    let program: PathBuf = folder.ancestors().nth(2).unwrap().join("examples/import");
    assert!(program.exists(), "build it: cargo build --example import");
    let file = ledger.path(&format!("{what}.csv"));
    std::fs::write(&file, csv).unwrap();
    let mut command = std::process::Command::new(program);
    command.arg(what).arg(&file).args(options);
    command.args([
        "--data",
        &ledger.file("operator"),
        "--server",
        &ledger.url(),
        "--json",
    ]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report = serde_json::from_str(&text);
    let report = report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

fn lines(report: &Value) -> Vec<u64> {
    let bad = report["bad"].as_array().unwrap().iter();
    bad.map(|row| row["line"].as_u64().unwrap()).collect()
}

/// The payloads of the log's statements of a type.
fn logged(ledger: &Ledger, kind: &str) -> Vec<Value> {
    let (log, trust) = (
        ledger.file("operator/log"),
        ledger.file("operator/log.policy"),
    );
    let Ran { stdout, stderr, .. } =
        whosaw(&["log", "list", "--log", &log, "--policy", &trust, "--json"]);
    let rows: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
    let payloads = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["payload"].clone());
    payloads.filter(|payload| payload["type"] == kind).collect()
}

#[test]
fn records_come_in_once_and_bad_rows_not_at_all() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    let size = ledger.size();
    let (code, dry) = import(&ledger, "agencies", AGENCIES, &["--dry-run"]);
    assert_eq!((code, &dry["logged"]), (Some(1), &5.into()), "{dry}");
    assert_eq!(ledger.size(), size, "a dry run sends nothing");

    let (code, report) = import(&ledger, "agencies", AGENCIES, &[]);
    assert_eq!((code, &report["logged"]), (Some(1), &5.into()), "{report}");
    assert_eq!(lines(&report), [7, 8]);
    let listed = logged(&ledger, "party");
    let of = |id: &str| {
        let id = format!("{id}.listed.invalid");
        let found = listed.iter().find(|party| party["party"] == id.as_str());
        found.unwrap_or_else(|| panic!("{id}"))
    };
    assert_eq!(of("lakeland-fl-pd")["jurisdiction"], "US-FL");
    assert_eq!(of("bellevue-id-marshals-office")["jurisdiction"], "US-ID");
    assert_eq!(of("west-virginia-fusion")["jurisdiction"], "US-WV");
    assert_eq!(
        of("west-virginia-fusion")["name"],
        "West Virginia Fusion Center, Main"
    );
    assert_eq!(of("fedex-air-carrier-pd")["jurisdiction"], "US");
    assert!(
        listed[1..]
            .iter()
            .all(|party| party["keys"] == Value::Array(Vec::new()))
    );

    let (code, report) = import(&ledger, "ewarrants", &register(), &[]);
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(
        lines(&report),
        [10, 11, 12, 13],
        "two cells of two lines before"
    );
    assert_eq!(report["notes"]["statements of type legal-demand"], 6);
    assert_eq!(report["notes"]["statements of type notice"], 2);
    assert_eq!(report["notes"]["references missing"], 3);
    assert_eq!(report["notes"]["references that are no number"], 1);
    let demands = logged(&ledger, "legal-demand");
    let by = |agency: &str| {
        let agency = format!("{agency}.listed.invalid");
        let all = demands
            .iter()
            .filter(|demand| demand["agency"] == agency.as_str());
        all.collect::<Vec<_>>()
    };
    let orange = by("orange-ca-pd");
    assert_eq!(orange.len(), 2, "both spellings are the listed agency");
    let sealed = orange
        .iter()
        .find(|demand| demand["delay"][0] == "flight")
        .unwrap();
    assert!(sealed["sealed"]["reference"]["digest"].is_string());
    assert_eq!(sealed["upon"], "google.listed.invalid");
    assert_eq!(sealed["offences"], serde_json::json!(["09A"]));
    assert_eq!(sealed["until"], "2020-04-27");
    assert_eq!(by("yolo-sheriff.ca").len(), 2);
    assert_eq!(
        by("yolo-district-attorney.ca").len(),
        2,
        "two rows, two statements"
    );
    let notices = logged(&ledger, "notice");
    assert_eq!(notices.len(), 2, "one for each row with grounds for delay");
    let late = notices
        .iter()
        .find(|notice| notice["grounds"][0] == "flight");
    assert_eq!(late.unwrap()["state"], "delayed");
    let untils: Vec<&Value> = notices.iter().map(|notice| &notice["until"]).collect();
    assert!(
        untils.contains(&&"2020-04-26".into()),
        "90 days: {untils:?}"
    );
    let text = serde_json::to_string(&demands).unwrap();
    assert!(!text.contains("SW-12"), "numbers are sealed or not told");

    let size = ledger.size();
    for (what, csv, known) in [
        ("agencies", AGENCIES.to_owned(), 5),
        ("ewarrants", register(), 6),
    ] {
        let (_, again) = import(&ledger, what, &csv, &[]);
        let counts = (&again["logged"], &again["known"]);
        assert_eq!(counts, (&0.into(), &known.into()), "{what}");
    }
    assert_eq!(ledger.size(), size, "importing twice changes nothing");
    ledger.verify();
}

/// A stop after a statement was made and kept, before it was sent: it is sent as it is.
#[test]
fn a_row_never_becomes_two_statements() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    import(&ledger, "ewarrants", &register(), &["--dry-run"]);
    let folder = ledger.path("operator/imports/ewarrants");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    import(&ledger, "ewarrants", &register(), &[]);
    let before = logged(&ledger, "legal-demand");

    // The same rows on another ledger of the same operator, as far as the importer can tell.
    let other = Ledger::start(|limits| limits.batch_seconds = 3600);
    let kept = other.path("operator/imports");
    std::fs::create_dir_all(&kept).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(&folder)
        .arg(&kept)
        .status();
    assert!(copied.unwrap().success());
    let (_, report) = import(&other, "ewarrants", &register(), &[]);
    // Signed by another operator's key, so refused, and made anew by the next run.
    assert_eq!(lines(&report).len(), 10, "{report}");
    assert_eq!(
        std::fs::read_dir(kept.join("ewarrants")).unwrap().count(),
        0
    );
    let (_, report) = import(&other, "ewarrants", &register(), &[]);
    assert_eq!(
        report["logged"],
        before.len() + 2,
        "and two notices: {report}"
    );
}

#[test]
fn spellings_of_one_agency_are_one_and_two_agencies_two() {
    for spellings in [
        &[
            "Riverside County Sheriff",
            "Riverside County Sheriff's Deparment",
            "Riverside Sheriff Dept.",
        ][..],
        &[
            "Stockton PD",
            "City of Stockton PD",
            "STOCKTON POLICE DEPARTMENT",
        ],
        &[
            "Los Gatos Monte Sereno Police Department",
            "Los Gatos-Monte Sereno Police Dept",
        ],
        &[
            "San Bernardino County Sheriff’s Department",
            "San Bernardino County Sheriff's Department",
        ],
        &["Tuolumne County S.O.", "Tuolumne County Sheriff's Office"],
        &[
            "CHP",
            "California Highway Patrol",
            "CALIFORNIA HIGHWAY PATROL",
        ],
    ] {
        let keys: std::collections::BTreeSet<_> =
            spellings.iter().map(|name| names::key(name)).collect();
        assert_eq!(keys.len(), 1, "{keys:?}");
    }
    for (one, other) in [
        (
            "Sacramento Police Department",
            "Sacramento County Sheriff's Office",
        ),
        (
            "Orange County District Attorney",
            "Orange County Sheriff's Department",
        ),
        (
            "Los Gatos Police Department",
            "Los Gatos Monte Sereno Police Department",
        ),
        ("LASD", "LASD Major Crimes Bureau"),
    ] {
        assert_ne!(names::key(one), names::key(other));
    }
    let long = names::id(&"very long name of an agency ".repeat(9), "ca");
    assert!(long.split('.').all(|label| label.len() <= 63), "{long}");
    assert_ne!(
        long,
        names::id(&"very long name of an agency ".repeat(8), "ca")
    );
    assert_eq!(names::entered("Argo (IL) [Main]/2"), "Argo, IL, Main-2");
    assert_eq!(
        names::entered("Prosecutor\u{19}s Office"),
        "Prosecutor's Office"
    );
}
