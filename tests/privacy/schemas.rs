//! The schemas of all statement types: no room for prose, for seconds, or for counts of people.

use serde_json::Value;
use whosaw::statement::schema;

/// Integers, each with the reason why it is no count of people, or is one that may be told.
const INTEGERS: &[(&str, &str)] = &[
    ("access-request/area_m2", "an area"),
    ("access-request/footage_age_days", "days"),
    ("access-request/window_minutes", "minutes"),
    ("agreement/$defs/Money/minor_units", "money"),
    (
        "agreement/$defs/Term/count",
        "things agreed upon between parties",
    ),
    ("agreement/$defs/Term/percent", "a price"),
    ("benefit/$defs/Money/minor_units", "money"),
    ("benefit/count", "things that a party gave"),
    (
        "benefit/downloads",
        "app downloads in an agency's area, for which it is paid: many, and no household's",
    ),
    (
        "commitment-batch/size",
        "commitments, random ones among them: a power of two",
    ),
    ("custody-report/clip", "which clip of a disclosure"),
    (
        "disclosure/$defs/DisclosedClip/index",
        "a place among random commitments",
    ),
    ("legal-demand/area_m2", "an area"),
    ("limits/area_m2", "a limit"),
    ("limits/batch_seconds", "a limit"),
    ("limits/bulletin_days", "a limit"),
    ("limits/custody_days", "a limit"),
    ("limits/deadline_minutes", "a limit"),
    ("limits/decision_minutes", "a limit"),
    ("limits/delay_days", "a limit"),
    ("limits/footage_age_days", "a limit"),
    ("limits/new_key_wait_minutes", "a limit"),
    ("limits/notice_minutes", "a limit"),
    ("limits/open_requests", "a limit"),
    ("limits/retention_days", "a limit"),
    ("limits/rules", "a version"),
    ("limits/seal_days", "a limit"),
    ("limits/total_minutes", "a limit"),
    ("limits/window_minutes", "a limit"),
    ("release/$defs/Artifact/size", "bytes of a program"),
];

/// Lists that have an entry for a person, or that say nothing of how many there are.
const LISTS: &[(&str, &str)] = &[
    (
        "notice/messages",
        "an age file for a person each, and others that nobody can open: see docs/THREATS.md",
    ),
    ("disclosure/clips", "clips of one resident, who chose them"),
];

/// Every member of a schema with its place: type, definitions and variants on the way.
fn members<'a>(place: &str, schema: &'a Value, all: &mut Vec<(String, &'a Value)>) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("properties", Value::Object(own)) => {
                        for (name, member) in own {
                            let place = format!("{place}/{name}");
                            all.push((place.clone(), member));
                            members(&place, member, all);
                        }
                    }
                    ("$defs", Value::Object(own)) => {
                        for (name, definition) in own {
                            let place = format!("{place}/$defs/{name}");
                            all.push((place.clone(), definition));
                            members(&place, definition, all);
                        }
                    }
                    _ => members(place, value, all),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(place, item, all)),
        _ => {}
    }
}

fn all() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, schema) in schema::all() {
        let mut found = Vec::new();
        members(name, &schema, &mut found);
        all.extend(
            found
                .into_iter()
                .map(|(place, member)| (place, member.clone())),
        );
    }
    assert!(all.len() > 300);
    all
}

fn is_member(place: &str) -> bool {
    let parents: Vec<&str> = place.split('/').collect();
    parents[parents.len() - 2] != "$defs"
}

/// The longest text that a pattern lets through, if it says.
fn longest(pattern: &str) -> bool {
    let anchored = pattern.starts_with('^') && pattern.ends_with('$');
    let mut in_class = false;
    let mut before = ' ';
    let open = pattern.chars().any(|c| {
        let unescaped = before != '\\';
        before = c;
        match c {
            '[' if unescaped => in_class = true,
            ']' if unescaped => in_class = false,
            '*' | '+' if unescaped && !in_class => return true,
            _ => {}
        }
        false
    });
    anchored && !open && !pattern.contains(",}")
}

#[test]
fn every_member_is_described() {
    let undescribed: Vec<String> = all()
        .into_iter()
        .filter(|(place, member)| {
            is_member(place) && member["description"].as_str().is_none_or(|d| d.len() < 6)
        })
        .map(|(place, _)| place)
        .collect();
    assert_eq!(undescribed, Vec::<String>::new());
}

#[test]
fn no_text_is_free() {
    for (place, member) in all() {
        if member["type"] != "string"
            || member.get("enum").is_some()
            || member.get("const").is_some()
        {
            continue;
        }
        let pattern = member["pattern"]
            .as_str()
            .unwrap_or_else(|| panic!("{place} is any text"));
        let bounded = member["maxLength"].is_u64() || longest(pattern);
        assert!(bounded, "{place} may be of any length: {pattern}");
        let pattern = pattern.replace("\\s", "");
        let spaces = pattern.contains(' ') || pattern.contains("\\p{L}");
        assert!(
            !spaces || place.ends_with("/$defs/Name"),
            "{place} may hold a sentence: {pattern}"
        );
    }
    assert!(!longest("^a+$") && !longest("^a*$") && !longest("^a{2,}$") && longest("^[a+]{1,64}$"));
}

#[test]
fn no_member_has_seconds() {
    let mut times = 0;
    for (place, member) in all() {
        let pattern = member["pattern"].as_str().unwrap_or_default();
        if member["format"] == "date-time" || pattern.contains("T[") || place.ends_with("_at") {
            times += 1;
            assert!(pattern.ends_with(":00Z$"), "{place}: {pattern}");
        }
    }
    assert!(times > 25, "{times}");
}

#[test]
fn no_member_counts_people() {
    let numbers: Vec<String> = all()
        .into_iter()
        .filter(|(_, member)| member["type"] == "integer" || member["type"] == "number")
        .map(|(place, _)| place)
        .collect();
    let mut known: Vec<&str> = INTEGERS.iter().map(|(place, _)| *place).collect();
    let mut found: Vec<&str> = numbers.iter().map(String::as_str).collect();
    found.sort_unstable();
    found.dedup();
    known.sort_unstable();
    assert_eq!(
        found, known,
        "say why it is no count of people, or make it a band"
    );
    for (place, _) in LISTS {
        assert!(all().iter().any(|(found, _)| found == place), "no {place}");
    }
}
