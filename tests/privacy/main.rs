//! Privacy by construction, attacked: what undid other records that were meant to be anonymous is tried
//! on a year of traffic, of which the truth is known. Nobody may be found better than by guessing.
//!
//! Each attack is tried as well on the same year without the one protection that it is up against,
//! and has to find people there: a test that could not fail would show nothing.

mod attacks;
mod schemas;
mod town;

use std::sync::LazyLock;

use serde_json::json;

use attacks::{Outcome, entries_with_personal_data, learn, link, seconds};
use town::{Habits, Row, Year, live};

static YEAR: LazyLock<Year> = LazyLock::new(|| live(Habits::default()));

/// What an attack finds in the year, and in the year without a protection.
fn holds(what: &str, attack: impl Fn(&Year) -> Outcome, unprotected: &Year) {
    let (protected, control) = (attack(&YEAR), attack(unprotected));
    println!("{what}: {protected:.1?}; without protection: {control:.1?}");
    assert!(protected.is_guessing(), "{what}: {protected:?}");
    assert!(control.identifies(), "{what} cannot find: {control:?}");
}

/// 0 if two entries have the same value somewhere, else 1.
fn same(at: &'static str) -> impl Fn(&Row, &Row) -> f64 {
    move |one, other| f64::from(u8::from(one.body.pointer(at) != other.body.pointer(at)))
}

fn rfc3339(seconds: i64) -> String {
    whosaw::time::Time::from_unix(seconds).unwrap().to_string()
}

#[test]
fn the_year_is_worth_attacking() {
    let count = |name| YEAR.of_type(name).count();
    println!("{} entries", YEAR.log.len());
    assert!(count("commitment-batch") == 365 * 24);
    assert!(count("access-request") == 300);
    assert!(count("disclosure") > 1500);
    // Whatever happens to be refused, refusals are half as many as answers that anybody sees.
    let refusals: usize = YEAR
        .of_type("commitment-batch")
        .map(|row| row.secret.refusals)
        .sum();
    assert!(refusals > 1000, "{refusals}");
    for name in [
        "withdrawal",
        "collection",
        "custody-report",
        "legal-demand",
        "demand-response",
        "notice",
        "insider-access",
        "unsealing",
    ] {
        assert!(count(name) > 50, "{name}");
    }
    let linkable = link(&YEAR, |_, _| 0.0);
    assert!(linkable.there > 500.0, "{linkable:?}");
}

#[test]
fn one_time_keys_link_nothing() {
    let unprotected = YEAR.altered("disclosure", |row| {
        row.body["issuer_key"] = json!(row.secret.resident);
    });
    holds(
        "one-time keys",
        |year| link(year, same("/issuer_key")),
        &unprotected,
    );
}

#[test]
fn commitments_link_nothing() {
    let unprotected = YEAR.altered("disclosure", |row| {
        row.body["clips"][0]["commitment"] = json!(row.secret.clip);
    });
    let attack = |year: &Year| link(year, same("/clips/0/commitment"));
    holds("commitments", attack, &unprotected);
}

#[test]
fn headers_link_nothing() {
    let unprotected = YEAR.altered("disclosure", |row| {
        row.body["clips"][0]["header"] = json!(row.secret.clip);
    });
    holds(
        "headers",
        |year| link(year, same("/clips/0/header")),
        &unprotected,
    );
}

/// The digest of a note, were it its text's, would be the same wherever a resident tells the same.
#[test]
fn notes_link_nothing() {
    let unprotected = YEAR.altered("disclosure", |row| {
        row.body["note"] = json!(row.secret.resident);
    });
    holds("notes", |year| link(year, same("/note")), &unprotected);
}

#[test]
fn lengths_link_nothing() {
    let unprotected = YEAR.altered("disclosure", |row| {
        row.body["minutes"] = json!(row.secret.seconds);
    });
    holds("lengths", |year| link(year, same("/minutes")), &unprotected);
}

/// A clock that is off by so many seconds is off by as many the next time.
#[test]
fn exact_times_link_nothing() {
    let off = |row: &Row| seconds(&row.body["issued_at"]) - row.logged_at;
    let unprotected = YEAR.altered("disclosure", |row| {
        row.body["issued_at"] = json!(rfc3339(row.secret.said));
        row.logged_at = row.secret.received;
    });
    let attack = |year: &Year| link(year, |one, other| (off(one) - off(other)).abs() as f64);
    holds("clocks", attack, &unprotected);
}

/// Two tables, both without names, share the second in which something happened.
#[test]
fn a_resident_s_own_second_is_nowhere() {
    let attack = |year: &Year| {
        let known: std::collections::HashSet<i64> = YEAR
            .of_type("disclosure")
            .map(|row| row.secret.said)
            .collect();
        let joined = |row: &&Row| known.contains(&seconds(&row.body["issued_at"]));
        year.of_type("disclosure").filter(joined).count()
    };
    let unprotected = YEAR.altered("disclosure", |row| {
        row.body["issued_at"] = json!(rfc3339(row.secret.said));
    });
    let all = YEAR.of_type("disclosure").count();
    // One in 3600 says it on the hour.
    assert!(attack(&YEAR) <= 5, "{}", attack(&YEAR));
    assert_eq!(attack(&unprotected), all);
}

/// How long residents let a consent stand would be each one's own habit.
#[test]
fn expiries_link_nothing() {
    let unprotected = YEAR.altered("disclosure", |row| {
        row.body["expires"] = json!(row.secret.resident);
    });
    holds(
        "expiries",
        |year| link(year, same("/expires")),
        &unprotected,
    );
}

/// Two clips' places in a batch are neighbours if they came one after the other.
#[test]
fn places_in_a_batch_link_nothing() {
    let attack = |year: &Year| {
        link(year, |one, other| {
            let (one, other) = (&one.body["clips"][0], &other.body["clips"][0]);
            match one["batch"] == other["batch"] {
                true => one["index"]
                    .as_i64()
                    .unwrap()
                    .abs_diff(other["index"].as_i64().unwrap()) as f64,
                false => f64::INFINITY,
            }
        })
    };
    let mut arrived = std::collections::HashMap::new();
    for row in YEAR.of_type("commitment-batch") {
        for (i, commitment) in row.secret.arrived.iter().enumerate() {
            arrived.insert(commitment.to_string(), i);
        }
    }
    let unprotected = YEAR.altered("disclosure", |row| {
        let clip = &mut row.body["clips"][0];
        clip["index"] = json!(arrived[clip["commitment"].as_str().unwrap()]);
    });
    holds("places in batches", attack, &unprotected);
}

/// An age recipient that an officer used again would tie requests together that have nothing in common.
#[test]
fn recipients_link_nothing() {
    let used = |year: &Year| {
        let rows = year.of_type("access-request");
        let used: std::collections::HashSet<String> =
            rows.map(|row| row.body["recipient"].to_string()).collect();
        used.len()
    };
    let unprotected = YEAR.altered("access-request", |row| {
        row.body["recipient"] = json!([row.body["issuer"], row.secret.officer]);
    });
    assert_eq!(used(&YEAR), YEAR.of_type("access-request").count());
    assert!(used(&unprotected) <= 12);
}

fn size(row: &Row) -> String {
    format!("{} {}", row.body["size"], row.list.len())
}

/// The year with batches as long as what came, and what `more` comes for each.
fn unpadded(more: impl Fn(&Row) -> usize) -> Year {
    YEAR.altered("commitment-batch", |row| {
        let size = 8 * row.secret.uploads + more(row);
        row.body["size"] = json!(size);
        row.list = row
            .list
            .iter()
            .take(size)
            .cloned()
            .collect::<Vec<_>>()
            .into();
    })
}

/// Whether one household in the town stored a clip in this hour, or nobody.
#[test]
fn sizes_of_batches_tell_of_no_household() {
    let attack = |year: &Year| {
        let quiet = year
            .of_type("commitment-batch")
            .filter(|row| row.secret.uploads <= 1);
        learn(quiet, size, |row| row.secret.uploads == 1)
    };
    holds("sizes of batches", attack, &unpadded(|_| 0));
}

/// Whether somebody refused in this hour.
#[test]
fn a_refusal_is_silence() {
    let refused = |row: &Row| row.secret.refusals > 0;
    let attack = |year: &Year| learn(year.of_type("commitment-batch"), size, refused);
    // Were each refusal sent when it is made, its commitment would make the batch longer.
    holds("refusals", attack, &unpadded(|row| row.secret.refusals));
    let first = |row: &Row| format!("{}", row.list[0].as_bytes()[0] >> 2);
    let values = learn(YEAR.of_type("commitment-batch"), first, refused);
    assert!(values.is_guessing(), "{values:?}");
}

/// A demand about one household is not told from one about five.
#[test]
fn small_counts_tell_of_no_household() {
    for (name, one_of_a_few) in [
        ("demand-response", 1..=5),
        ("legal-demand", 1..=5),
        ("insider-access", 1..=4),
    ] {
        let attack = |year: &Year| {
            let few = year
                .of_type(name)
                .filter(|row| one_of_a_few.contains(&row.secret.accounts));
            learn(
                few,
                |row| row.body["accounts"].to_string(),
                |row| row.secret.accounts == 1,
            )
        };
        let unprotected = YEAR.altered(name, |row| {
            row.body["accounts"] = json!(row.secret.accounts)
        });
        holds(name, attack, &unprotected);
    }
}

#[test]
fn no_entry_holds_anything_personal() {
    assert_eq!(entries_with_personal_data(&YEAR), 0);
    let person = YEAR.personal[4].clone();
    let unprotected = YEAR.altered("access-request", |row| {
        row.body["note"] = json!(format!("as told by {person} on the phone"));
    });
    assert_eq!(
        entries_with_personal_data(&unprotected),
        YEAR.of_type("access-request").count()
    );
}

/// What no rule and no program hides: `docs/THREATS.md` says so, and this is how well it can be seen.
/// If one of these is not found any more, the page is out of date.
#[test]
fn what_the_log_tells_of_people_all_the_same() {
    let by_time = |year: &Year| {
        link(year, |one, other| {
            (one.logged_at - other.logged_at).abs() as f64
        })
    };
    assert!(by_time(&YEAR).is_guessing(), "{:?}", by_time(&YEAR));
    let sittings = live(Habits {
        sittings: true,
        quarter: true,
        ..Habits::default()
    });
    println!("answers given in one sitting: {:.1?}", by_time(&sittings));
    assert!(by_time(&sittings).identifies());

    let by_batch = |year: &Year| link(year, same("/clips/0/batch"));
    println!("prompt uploads: {:.1?}", by_batch(&YEAR));
    let late = live(Habits {
        late_uploads: true,
        quarter: true,
        ..Habits::default()
    });
    println!(
        "clips stored alone in their hour, given twice: {:.1?}",
        by_batch(&late)
    );
    assert!(by_batch(&late).identifies());

    let told = YEAR.of_type("notice");
    let messages = |row: &Row| row.body["messages"].as_array().unwrap().len().to_string();
    let told = learn(told, messages, |row| row.secret.accounts == 1);
    println!("people told by a notice: {told:.1?}");
    assert!(told.identifies());
}
