//! `log domains`: whether the parties' host names still show their keys.

use std::io;

use anyhow::bail;
use serde_json::{Value, json};

use super::{Exit, Log, Progress, print_json};
use crate::cli::domains::Asking;
use crate::record::domains::Domain;
use crate::statement::facts::Standing;
use crate::statement::words::PartyId;
use crate::time::Clock;
use crate::watch::domains::{Checked, Verdict, check_all, read};

/// Ask the parties' host names whether they still show the parties' keys
///
/// A row for each party that may act: those whose host name the log says was checked are asked again the
/// same way, for every key that is not revoked. A key that was added less than a day ago may be
/// missing. Exits 1 if a name says otherwise; 2 if some could not be asked, and no other says
/// otherwise. A name that shows the keys tells who controls the name, not who that is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw log domains --log https://ledger.example/log --policy log.policy\n  \
    whosaw log domains --log ./copy --policy log.policy --party lakelandgov.example --json")]
pub struct Domains {
    #[command(flatten)]
    log: Log,
    /// Only this party; repeatable
    #[arg(long, value_name = "ID")]
    party: Vec<PartyId>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asking: Asking,
}

/// Runs `domains`.
///
/// # Errors
/// If the log or the trust file cannot be read, or names could not be asked.
pub fn run(args: &Domains, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let copy = args.log.read()?;
    let domains = read(&copy.follower)?;
    for party in &args.party {
        if domains.of(party).is_none() {
            bail!("the log knows no {party}");
        }
    }
    let live: Vec<(&PartyId, &Domain)> = domains
        .all()
        .filter(|(party, domain)| match args.party.is_empty() {
            true => domain.standing == Standing::Live,
            false => args.party.contains(party),
        })
        .collect();
    let claimed = live.iter().filter(|(_, domain)| domain.is_claimed());
    let claimed: Vec<(&PartyId, &Domain)> = claimed.copied().collect();
    let bar = Progress::of("asking", "names");
    let checked = check_all(
        &args.asking.asker()?,
        &claimed,
        Clock::system().now(),
        &|done| bar.set(done as u64, claimed.len() as u64),
    );
    drop(bar);
    let mut answers = checked.iter();
    let rows: Vec<Row<'_>> = live
        .into_iter()
        .map(|(party, domain)| Row {
            party,
            domain,
            checked: domain.is_claimed().then(|| answers.next()).flatten(),
        })
        .collect();
    if args.json {
        let shown: Vec<Value> = rows.iter().map(Row::json).collect();
        print_json(out, &shown)?;
    } else {
        rows.iter().try_for_each(|row| row.say(out))?;
    }
    let count = |verdict| checked.iter().filter(|one| one.verdict == verdict).count();
    let (otherwise, unasked) = (count(Verdict::Otherwise), count(Verdict::NotAsked));
    if !args.json {
        let (asked, others) = (checked.len(), rows.len() - checked.len());
        match asked {
            0 => writeln!(
                out,
                "nobody was asked: no party claims that its host name shows its keys"
            )?,
            _ => writeln!(
                out,
                "{otherwise} of {asked} say otherwise; not asked: {others}"
            )?,
        }
    }
    match (otherwise, unasked) {
        (0, 0) => Ok(Exit::Yes),
        (0, _) => bail!("{unasked} could not be asked"),
        _ => Ok(Exit::No),
    }
}

struct Row<'a> {
    party: &'a PartyId,
    domain: &'a Domain,
    /// None if the log does not say that the name was checked, or the party does not act.
    checked: Option<&'a Checked>,
}

impl Row<'_> {
    fn verdict(&self) -> &'static str {
        match self.checked.map(|checked| checked.verdict) {
            Some(Verdict::Holds) => "holds",
            Some(Verdict::Otherwise) => "otherwise",
            Some(Verdict::NotAsked) => "not-asked",
            None if self.domain.standing == Standing::Live => "not-checked",
            None => self.domain.standing.code(),
        }
    }

    fn say(&self, out: &mut impl io::Write) -> io::Result<()> {
        let (party, verdict) = (self.party.as_str(), self.verdict());
        let Some(checked) = self.checked else {
            return writeln!(out, "{party:<32} {verdict}");
        };
        let check = &self.domain.check;
        let (method, day) = (check.method.code(), &check.checked_on);
        let detail = &checked.detail;
        writeln!(
            out,
            "{party:<32} {verdict:<11} {method:<10} seen {day}  {detail}"
        )?;
        for key in &checked.missing {
            writeln!(out, "  missing {key}")?;
        }
        for key in &self.domain.fleeting {
            writeln!(
                out,
                "  came and went within a day, never to be seen there: {key}"
            )?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        json!({
            "party": self.party,
            "kind": self.domain.kind,
            "verdict": self.verdict(),
            "method": self.domain.check.method,
            "checked_on": self.domain.check.checked_on,
            "detail": self.checked.map(|checked| &checked.detail),
            "missing": self.checked.map_or(&[][..], |checked| &checked.missing),
            "fleeting": self.domain.fleeting,
            "pending": self.checked.map_or(&[][..], |checked| &checked.pending),
        })
    }
}
