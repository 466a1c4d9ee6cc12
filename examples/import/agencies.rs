//! A list of agencies as `listed` parties.
//!
//! The list tells no host names and no keys, so none are entered: an agency's id is its name in the list
//! under a name that is no host. Where the state is missing it is read from the agency's own name if
//! that names just one; else the agency is entered for the country.

use std::collections::BTreeSet;
use std::fs::File;

use whosaw::party::official::Official;
use whosaw::statement::facts::FactsExt as _;
use whosaw::statement::kinds::party::{CheckMethod, DomainCheck, Party};
use whosaw::statement::sign;
use whosaw::statement::words::{Day, Jurisdiction, Name, PartyId, PartyKind, Role};

use super::sending::{Sent, send_all};
use super::{Args, Report, names};

/// Imports the list.
///
/// # Errors
/// If the file, the folder or the ledger cannot be used.
pub fn import(
    rows: &mut csv::Reader<File>,
    operator: &Official,
    args: &Args,
) -> anyhow::Result<Report> {
    let (follower, _) = operator.follow(&mut |_, _| {})?;
    let mut report = Report::default();
    let mut seen = BTreeSet::new();
    let mut new: Vec<(u64, Party)> = Vec::new();
    let columns = rows.headers()?.clone();
    for row in rows.records() {
        report.rows += 1;
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                report.bad(error.position().map_or(0, csv::Position::line), &error);
                continue;
            }
        };
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |name: &str| {
            let at = columns.iter().position(|column| column == name);
            at.and_then(|at| row.get(at)).unwrap_or("").trim()
        };
        let party = match listed(cell("id"), cell("name"), cell("state"), &mut report) {
            Ok(party) => party,
            Err(why) => {
                report.bad(line, why);
                continue;
            }
        };
        if !seen.insert(party.party.clone()) {
            report.bad(line, format!("{} stands in the list twice", party.party));
        } else if follower.facts().party(&party.party)?.is_some() {
            report.known += 1;
        } else {
            new.push((line, party));
        }
    }
    log(operator, new, args, &mut report)?;
    Ok(report)
}

/// Logs parties that the operator lists, unless it is a dry run.
///
/// # Errors
/// If the ledger cannot be reached.
pub fn log(
    operator: &Official,
    new: Vec<(u64, Party)>,
    args: &Args,
    report: &mut Report,
) -> anyhow::Result<()> {
    if args.dry_run {
        report.logged += new.len();
        return Ok(());
    }
    let key = operator.home().key(Role::Admin)?;
    let (lines, parties): (Vec<u64>, Vec<Party>) = new.into_iter().unzip();
    let envelopes: Vec<_> = parties
        .into_iter()
        .map(|party| sign(&operator.own_head(), &party.into(), &[&key]))
        .collect();
    for (line, sent) in lines.into_iter().zip(send_all(operator, &envelopes)?) {
        match sent {
            Sent::Logged => report.logged += 1,
            Sent::Refused(why) => report.bad(line, why),
        }
    }
    Ok(())
}

/// A party without keys.
pub fn party(id: &str, name: &str, kind: PartyKind, jurisdiction: &str) -> Result<Party, String> {
    let id: PartyId = id.parse().map_err(|_| format!("{id:?} makes no id"))?;
    let name: Name = name.parse().map_err(|_| format!("{name:?} is no name"))?;
    let jurisdiction: Jurisdiction = jurisdiction
        .parse()
        .map_err(|_| format!("{jurisdiction:?} is no jurisdiction"))?;
    Ok(Party {
        party: id,
        kind,
        name,
        jurisdiction,
        keys: Vec::new(),
        domain_check: DomainCheck {
            method: CheckMethod::NotChecked,
            checked_on: Day::of(whosaw::time::Clock::system().now()),
        },
        succeeds: None,
    })
}

fn listed(id: &str, name: &str, state: &str, report: &mut Report) -> Result<Party, String> {
    let state = match state {
        "" => match named_state(name) {
            Some(state) => {
                report.note("agencies whose state was read from their name");
                state
            }
            None => {
                report.note("agencies entered for the country, their state unknown");
                ""
            }
        },
        state if STATES.iter().any(|(code, _)| *code == state) => state,
        state => return Err(format!("{state:?} is no state")),
    };
    let jurisdiction = match state {
        "" => "US".to_owned(),
        state => format!("US-{state}"),
    };
    let entered = names::entered(name);
    if entered != name {
        report.note("names with signs that the log does not hold, written without them");
    }
    party(
        &names::id(id, ""),
        &entered,
        PartyKind::Agency,
        &jurisdiction,
    )
}

/// The one state that a name names, by its code or in full.
fn named_state(name: &str) -> Option<&'static str> {
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let names = |(code, full): &&(&str, &str)| words.contains(code) || name.contains(full);
    let found: Vec<_> = STATES.iter().filter(names).collect();
    match found.as_slice() {
        [(code, _)] => Some(code),
        // West Virginia has Virginia in it.
        [(a, one), (b, other)] if one.contains(other) || other.contains(one) => {
            Some(if one.len() > other.len() { a } else { b })
        }
        _ => None,
    }
}

#[rustfmt::skip]
const STATES: &[(&str, &str)] = &[
    ("AL", "Alabama"), ("AK", "Alaska"), ("AZ", "Arizona"), ("AR", "Arkansas"), ("CA", "California"),
    ("CO", "Colorado"), ("CT", "Connecticut"), ("DE", "Delaware"), ("DC", "District of Columbia"),
    ("FL", "Florida"), ("GA", "Georgia"), ("HI", "Hawaii"), ("ID", "Idaho"), ("IL", "Illinois"),
    ("IN", "Indiana"), ("IA", "Iowa"), ("KS", "Kansas"), ("KY", "Kentucky"), ("LA", "Louisiana"),
    ("ME", "Maine"), ("MD", "Maryland"), ("MA", "Massachusetts"), ("MI", "Michigan"),
    ("MN", "Minnesota"), ("MS", "Mississippi"), ("MO", "Missouri"), ("MT", "Montana"),
    ("NE", "Nebraska"), ("NV", "Nevada"), ("NH", "New Hampshire"), ("NJ", "New Jersey"),
    ("NM", "New Mexico"), ("NY", "New York"), ("NC", "North Carolina"), ("ND", "North Dakota"),
    ("OH", "Ohio"), ("OK", "Oklahoma"), ("OR", "Oregon"), ("PA", "Pennsylvania"), ("PR", "Puerto Rico"),
    ("RI", "Rhode Island"), ("SC", "South Carolina"), ("SD", "South Dakota"), ("TN", "Tennessee"),
    ("TX", "Texas"), ("UT", "Utah"), ("VT", "Vermont"), ("VA", "Virginia"), ("WA", "Washington"),
    ("WV", "West Virginia"), ("WI", "Wisconsin"), ("WY", "Wyoming"),
];
