//! Names of agencies as registers write them: which spellings are one agency, and its id.
//!
//! Two spellings are one where they differ in case, punctuation, plurals of `sheriff`, abbreviations, and
//! the words `office` and `department`. Whether it is a police department, a sheriff or a district
//! attorney is never dropped: a city's police and a county's sheriff stay two.

use sha2::{Digest as _, Sha256};

/// What ids of agencies end in that told nobody a host name: reserved for what is no host (RFC 6761),
/// so that none is given that somebody could own.
const NO_HOST: &str = "listed.invalid";

/// What all spellings of a name have in common: lower-case words in order.
pub fn key(name: &str) -> String {
    let lower = name.to_lowercase().replace(['\'', '’', '.'], "");
    let spaced: String = lower
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' })
        .collect();
    let mut words: Vec<String> = Vec::new();
    for word in spaced.split_whitespace() {
        match spelt_out(word) {
            [] => words.push(word.to_owned()),
            full => words.extend(full.iter().map(|word| (*word).to_owned())),
        }
    }
    // "City of X Police" is "X Police".
    if words.len() > 2 && words[0] == "city" && words[1] == "of" {
        words.drain(..2);
    }
    let kind = |word: &String| matches!(word.as_str(), "sheriff" | "attorney" | "police");
    if words.iter().any(kind) {
        words.retain(|word| !matches!(word.as_str(), "office" | "department" | "the"));
    }
    // Sheriffs and district attorneys are the county's, said or not.
    let county = |word: &String| matches!(word.as_str(), "sheriff" | "attorney");
    if words.iter().any(county) {
        words.retain(|word| word != "county");
    }
    words.dedup();
    words.join(" ")
}

/// The words that an abbreviation or a slip of the pen stands for; none for any other word.
fn spelt_out(word: &str) -> &'static [&'static str] {
    match word {
        "sheriffs" | "sheriff" | "sherriff" | "sheriifs" | "shertiffs" => &["sheriff"],
        "so" => &["sheriff", "office"],
        "pd" => &["police", "department"],
        "dept" | "departement" | "departmant" | "deparment" | "depatment" | "departent" | "dep" => {
            &["department"]
        }
        "co" => &["county"],
        "da" | "das" => &["district", "attorney", "office"],
        "attorneys" => &["attorney"],
        "chp" => &["california", "highway", "patrol"],
        "lapd" => &["los", "angeles", "police", "department"],
        "lasd" => &["los", "angeles", "county", "sheriff", "department"],
        "sfpd" => &["san", "francisco", "police", "department"],
        "sbsd" => &["san", "bernardino", "county", "sheriff", "department"],
        "doj" => &["department", "of", "justice"],
        "csu" => &["california", "state", "university"],
        "univ" => &["university"],
        "calif" | "ca" => &["california"],
        "and" | "&" => &["and"],
        _ => &[],
    }
}

/// A name as the log can hold it: brackets as commas, slashes as hyphens, one kind of apostrophe.
pub fn entered(name: &str) -> String {
    let mut entered = String::new();
    for c in name.chars() {
        match c {
            '(' | '[' => entered.push_str(", "),
            ')' | ']' => {}
            '/' | ':' | '_' | '–' => entered.push('-'),
            // The last is what a cut of U+2019 to a byte leaves.
            '’' | '`' | '\u{19}' => entered.push('\''),
            c if c.is_alphanumeric() || " .,'&-".contains(c) => entered.push(c),
            _ => entered.push(' '),
        }
    }
    let words: Vec<&str> = entered.split_whitespace().collect();
    words.join(" ").replace(" ,", ",")
}

/// A stable id for what is known by a text alone.
pub fn id(text: &str, place: &str) -> String {
    let lower = text.to_lowercase();
    let parts: Vec<&str> = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect();
    let mut label = parts.join("-");
    if label.len() > 63 {
        let digest = Sha256::digest(&label);
        let end = format!(
            "-{:02x}{:02x}{:02x}{:02x}",
            digest[0], digest[1], digest[2], digest[3]
        );
        label.truncate(63 - end.len());
        let cut = label.trim_end_matches('-').len();
        label.truncate(cut);
        label.push_str(&end);
    }
    match place {
        "" => format!("{label}.{NO_HOST}"),
        place => format!("{label}.{place}.{NO_HOST}"),
    }
}
