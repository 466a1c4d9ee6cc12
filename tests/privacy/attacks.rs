//! What attackers do with a public log, each by what it has to go by.
//!
//! Two ways in: to *link* two answers as one person's, and to *learn* from a part of the year what a
//! sign in the log means, and read it in the rest.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::town::{Dice, Row, Year};

/// How an attack went, and how guessing would have.
#[derive(Debug)]
pub struct Outcome {
    /// Right answers.
    pub found: f64,
    /// Right answers that there were to find.
    pub there: f64,
    /// Right answers to be expected of whoever guesses, and their standard deviation.
    pub guessed: f64,
    pub deviation: f64,
}

impl Outcome {
    /// Within four standard deviations of guessing: one run in 30,000 is not, by chance.
    pub fn is_guessing(&self) -> bool {
        self.found <= self.guessed + 4.0 * self.deviation + 1.0
    }

    /// Most of what there is, and far beyond chance.
    pub fn identifies(&self) -> bool {
        self.found >= 0.6 * self.there && self.found > self.guessed + 6.0 * self.deviation
    }
}

/// Takes, for each disclosure, the one for the *other* request about the same incident that lies
/// nearest by `distance` for the same resident's. That both are about one place and hour is public, so
/// guessing is to take any of these.
pub fn link(year: &Year, distance: impl Fn(&Row, &Row) -> f64) -> Outcome {
    let given: Vec<&Row> = year.of_type("disclosure").collect();
    let mut by_place: BTreeMap<usize, Vec<&Row>> = BTreeMap::new();
    for row in &given {
        by_place.entry(row.scene).or_default().push(row);
    }
    let mut dice = Dice(1);
    let mut outcome = Outcome {
        found: 0.0,
        there: 0.0,
        guessed: 0.0,
        deviation: 0.0,
    };
    let mut variance = 0.0;
    for row in given {
        let other = |found: &&&Row| found.body["request"] != row.body["request"];
        let others: Vec<&&Row> = by_place[&row.scene].iter().filter(other).collect();
        let same = |other: &Row| other.secret.resident == row.secret.resident;
        let right = others.iter().filter(|other| same(other)).count() as f64;
        if others.is_empty() {
            continue;
        }
        let chance = right / others.len() as f64;
        outcome.there += right;
        outcome.guessed += chance;
        variance += chance * (1.0 - chance);
        let near: Vec<f64> = others.iter().map(|other| distance(row, other)).collect();
        let least = near.iter().copied().fold(f64::INFINITY, f64::min);
        let nearest: Vec<usize> = (0..near.len()).filter(|i| near[*i] <= least).collect();
        let taken = others[nearest[dice.below(nearest.len())]];
        outcome.found += f64::from(u8::from(same(taken)));
    }
    outcome.deviation = variance.sqrt();
    outcome
}

/// Learns from every other case what `sign` goes with `truth`, and reads it in the rest. Guessing is
/// to say what is so most often.
pub fn learn<'a>(
    cases: impl Iterator<Item = &'a Row>,
    sign: impl Fn(&Row) -> String,
    truth: impl Fn(&Row) -> bool,
) -> Outcome {
    let cases: Vec<(String, bool)> = cases.map(|row| (sign(row), truth(row))).collect();
    let mut seen: HashMap<&str, (usize, usize)> = HashMap::new();
    let mut often = (0, 0);
    for (sign, is_so) in cases.iter().step_by(2) {
        for count in [seen.entry(sign).or_default(), &mut often] {
            match is_so {
                true => count.0 += 1,
                false => count.1 += 1,
            }
        }
    }
    let rest: Vec<_> = cases.iter().skip(1).step_by(2).collect();
    let most = often.0 > often.1;
    let right = |(sign, is_so): &&&(String, bool)| {
        let said = seen.get(sign.as_str()).map_or(most, |(yes, no)| yes > no);
        said == *is_so
    };
    let n = rest.len() as f64;
    let guessed = rest.iter().filter(|(_, is_so)| *is_so == most).count() as f64;
    Outcome {
        found: rest.iter().filter(right).count() as f64,
        there: n,
        guessed,
        deviation: (guessed * (1.0 - guessed / n)).sqrt(),
    }
}

/// Every text in a value.
pub fn texts<'a>(value: &'a Value, all: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => all.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(members) => members.values().for_each(|member| texts(member, all)),
        _ => {}
    }
}

/// How many entries hold something personal.
pub fn entries_with_personal_data(year: &Year) -> usize {
    let words: Vec<String> = year
        .personal
        .iter()
        .map(|word| word.to_lowercase())
        .collect();
    let holds = |row: &&Row| {
        let mut all = Vec::new();
        texts(&row.body, &mut all);
        // Digests and keys have no words in them.
        all.retain(|text| text.len() < 43 || text.contains(' '));
        let text = all.join("\n").to_lowercase();
        words.iter().any(|word| text.contains(word))
    };
    year.log.iter().filter(holds).count()
}

/// How far apart two times are, in seconds.
pub fn seconds(value: &Value) -> i64 {
    let time: whosaw::time::Time = value.as_str().unwrap().parse().unwrap();
    time.unix()
}
