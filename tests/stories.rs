//! The stories of `examples/stories`, played as their readers would: by bash, each on a ledger of its own.

use std::path::Path;
use std::process::Command;

/// Plays a story to its end; the log must hold then, and the story have said all of `expected`, in order.
fn play(name: &str, expected: &[&str]) {
    let story = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/stories/{name}.sh"));
    let mut bash = Command::new("bash");
    bash.arg(story).env("WHOSAW", env!("CARGO_BIN_EXE_whosaw"));
    let output = bash.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    let mut rest = said.as_str();
    for text in expected.iter().chain(&["all holds"]) {
        match rest.split_once(text) {
            Some((_, after)) => rest = after,
            None => panic!("{text:?} is missing, or comes too early:\n{said}\n{errors}"),
        }
    }
}

#[test]
fn lakeland() {
    let found = [
        "agency-is-paid",
        "kept-secret",
        "published-late",
        "disputed",
    ];
    let told = [
        "15 × doorbell-camera",
        "disputes",
        "returned",
        "will-not-promote-a-brand",
    ];
    let back = ["lakelandgov.example 0 × doorbell camera"];
    play("lakeland", &[&told[..], &found, &back].concat());
}

#[test]
fn gwinnett() {
    let told = ["worth 15920 USD", "confirms: equipment", "gets-equipment"];
    play(
        "gwinnett",
        &[&told[..], &["gwinnett.example 80 × doorbell camera"]].concat(),
    );
}

#[test]
fn boca_raton() {
    let told = [
        "keeps secret: program-terms",
        "no more bocaraton.example keeps secret",
    ];
    play("boca-raton", &[&told[..], &["nothing was found"]].concat());
}

#[test]
fn arcadia() {
    let account = [
        "25000 USD: arcadia.example to doorbell.example",
        "arcadia.example 0 USD",
    ];
    play(
        "arcadia",
        &[
            &["public-money", "public-money"],
            &account[..],
            &account[..],
        ]
        .concat(),
    );
}

#[test]
fn rolling_meadows() {
    let told = [
        "479 minutes",
        "ana decides",
        "opened",
        "opened",
        "collected by rollingmeadows.example",
    ];
    play("rolling-meadows", &told);
}

#[test]
fn hamilton() {
    let told = [
        "179 minutes",
        "viewed",
        "599 minutes",
        "enters a demand (search-warrant)",
        "a court puts off telling",
        "tells nobody of demand",
        "opens the sealed field",
        "## Hamilton Police Department (hamilton.example), ",
        "| Refusals |  | *not in the log: ",
        "| Legal demands by process | search-warrant | 1 | ",
        "| Clips disclosed by legal process |  | 11 to 50 | ",
        "Residents had been asked 2 times before, with 1 disclosed",
        "1 finding",
    ];
    play("hamilton", &told);
}
