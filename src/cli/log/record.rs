//! What the log's entries say together: `findings`, `reconcile`, `accounts`.

use std::io;

use anyhow::Context as _;
use clap::ValueEnum as _;
use serde_json::{Value, json};

use super::{Copy, Exit, Log, print_json};
use crate::digest::StatementId;
use crate::plain::count;
use crate::record::accounts::Account;
use crate::record::compelled::Reconciled;
use crate::record::findings::{self, Finding, FindingCode};
use crate::record::{Record, Said};
use crate::statement::sealed::SealDigest;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// List what does not fit together in the log's statements
///
/// Reports are recorded whatever they report; what they give away is worked out here, from the log
/// and from the openings of sealed fields that the ledger still has. Of a folder, what rests on
/// openings is not found. Time is the witnesses'. The codes stand in docs/PROTOCOL.md. Exits 0
/// whether or not there are any: what does not fit together may be honest.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw log findings --log https://ledger.example/log --policy log.policy\n  \
    whosaw log findings --log ./copy --policy log.policy --code no-response --code seal-overdue\n  \
    whosaw log findings --log ./copy --policy log.policy --about '#12' --json\n  \
    whosaw log findings --codes")]
pub struct Findings {
    #[command(flatten)]
    log: Option<Log>,
    /// Only those about this statement: its id, 8 or more digits of it, or #INDEX
    #[arg(long, value_name = "STATEMENT")]
    about: Option<String>,
    /// Only those of this code; repeatable
    #[arg(long, value_name = "CODE", value_enum, hide_possible_values = true)]
    code: Vec<FindingCode>,
    /// Print the codes there are, and what each says; needs no log
    #[arg(long, exclusive = true)]
    codes: bool,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Hold demands against responses: both sides of everything compelled
///
/// One row a demand, and one for each response to a demand that no entry holds. Exits 1 if a demand
/// was not answered in time, an answer has no demand, or more was given than was demanded.
#[derive(Debug, clap::Args)]
pub struct Reconcile {
    #[command(flatten)]
    log: Log,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Show what was given under each agreement, and what each party has of it
///
/// A double-entry account an agreement: what one party has more, another has less.
#[derive(Debug, clap::Args)]
pub struct Accounts {
    #[command(flatten)]
    log: Log,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// A copy of the log with its record.
pub(super) struct Read {
    pub copy: Copy,
    pub record: Record,
    /// The witnesses' time.
    pub now: Time,
}

impl Read {
    pub fn of(log: &Log) -> anyhow::Result<Self> {
        Self::from_copy(log.read()?)
    }

    fn from_copy(copy: Copy) -> anyhow::Result<Self> {
        let mut record = Record::default();
        for entry in copy.follower.entries(LeafIndex::new(0))? {
            record.read(Said {
                index: entry.index.as_u64(),
                id: entry.signed.id,
                logged_at: entry.logged_at,
                author: entry.signed.head.author,
                statement: entry.signed.statement,
            });
        }
        let witnessed = copy.follower.witnessed()?;
        let now = witnessed.and_then(|witnessed| witnessed.time());
        let now = now.context("no witness vouches for a time")?;
        Ok(Self { copy, record, now })
    }

    fn findings(&self, log: &Log) -> anyhow::Result<Vec<Finding>> {
        let client = log.client()?;
        // One that was erased, or is no longer served, is as one that nobody has.
        let attachment = |digest: &SealDigest| {
            let found = client.as_ref()?.attachment(digest);
            found.ok().flatten().map(|(_, bytes)| bytes)
        };
        Ok(findings::findings(&self.record, self.now, &attachment))
    }

    /// A statement as people name it.
    fn place(&self, id: &StatementId) -> anyhow::Result<String> {
        let index = self.copy.follower.find(id)?;
        Ok(index.map_or_else(|| id.to_string(), |index| format!("#{index}")))
    }
}

/// Runs `findings`.
///
/// # Errors
/// If the log or the trust file cannot be read.
pub fn findings(args: &Findings, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    if args.codes {
        for code in FindingCode::value_variants() {
            writeln!(out, "{:<27} {}", code.code(), code.title())?;
        }
        return Ok(Exit::Yes);
    }
    let log = args.log.as_ref();
    let log = log.context("say which log: --log URL|DIR --policy FILE")?;
    let read = Read::of(log)?;
    let mut found = read.findings(log)?;
    if let Some(name) = &args.about {
        let about = read.copy.find(name)?.signed.id;
        found.retain(|finding| finding.about == about);
    }
    if !args.code.is_empty() {
        found.retain(|finding| args.code.contains(&finding.code));
    }
    if args.json {
        print_json(out, &found)?;
        return Ok(Exit::Yes);
    }
    for finding in &found {
        let (code, place) = (finding.code.code(), read.place(&finding.about)?);
        writeln!(out, "{place:<6} {code:<27} {}", finding.detail)?;
    }
    match found.len() {
        0 => writeln!(out, "nothing was found, as of {}", read.now)?,
        n => writeln!(out, "{}, as of {}", count(n, "finding"), read.now)?,
    }
    if log.folder().is_some() {
        writeln!(out, "of a folder: openings of sealed fields were not read")?;
    }
    Ok(Exit::Yes)
}

/// The findings about a statement of a copy, where it stands there.
///
/// # Errors
/// The copy's.
pub(super) fn about(log: &Log, copy: Copy, id: &StatementId) -> anyhow::Result<Vec<Finding>> {
    let mut found = Read::from_copy(copy)?.findings(log)?;
    found.retain(|finding| finding.about == *id);
    Ok(found)
}

/// Runs `reconcile`.
///
/// # Errors
/// If the log or the trust file cannot be read.
pub fn reconcile(args: &Reconcile, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let read = Read::of(&args.log)?;
    let rows = read.record.reconciled(read.now);
    let bad = rows.iter().filter(|row| !row.verdict.is_well()).count();
    if args.json {
        print_json(out, &rows)?;
    } else {
        for row in &rows {
            say_row(&read, row, out)?;
        }
        let n = rows.len();
        writeln!(out, "{bad} of {n} do not agree, as of {}", read.now)?;
    }
    Ok(if bad == 0 { Exit::Yes } else { Exit::No })
}

fn say_row(read: &Read, row: &Reconciled, out: &mut impl io::Write) -> anyhow::Result<()> {
    let place = match row.demand.as_ref().or(row.responses.first()) {
        Some(id) => read.place(id)?,
        None => String::new(),
    };
    let process = row.process.map_or("no demand", |process| process.code());
    let agency = row.agency.as_ref();
    let agency = agency.map_or("not told".to_owned(), ToString::to_string);
    let outcomes = row.outcomes.iter().map(ToString::to_string);
    let outcomes: Vec<String> = outcomes.collect();
    let answer = match (outcomes.is_empty(), &row.answer_by) {
        (true, Some(day)) => format!("due {day}"),
        _ => outcomes.join(", "),
    };
    let band = |band: Option<crate::statement::words::Band>| {
        band.map_or("not told".to_owned(), |band| band.to_string())
    };
    let accounts = match row.outcomes.is_empty() {
        true => format!("{} demanded", band(row.accounts_demanded)),
        false => format!(
            "{} demanded, {} given",
            band(row.accounts_demanded),
            band(row.accounts_given)
        ),
    };
    let verdict = row.verdict.plain();
    writeln!(
        out,
        "{place:<6} {verdict:<12} {process:<18} {agency:<28} {answer:<16} accounts: {accounts}"
    )?;
    Ok(())
}

/// Runs `accounts`.
///
/// # Errors
/// If the log or the trust file cannot be read.
pub fn accounts(args: &Accounts, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let read = Read::of(&args.log)?;
    let places = (0..read.record.agreements().len()).map(Some).chain([None]);
    let mut shown = Vec::new();
    let mut empty = true;
    for place in places {
        let account = Account::of(&read.record, place);
        if account.postings.is_empty() {
            continue;
        }
        empty = false;
        match args.json {
            true => shown.push(account_json(&read, place, &account)),
            false => say_account(&read, place, &account, out)?,
        }
    }
    if args.json {
        print_json(out, &shown)?;
    } else if empty {
        writeln!(out, "nothing that was given is on record")?;
    }
    Ok(Exit::Yes)
}

fn account_json(read: &Read, place: Option<usize>, account: &Account) -> Value {
    let chain = place.and_then(|place| read.record.agreements().get(place));
    let agreement = chain.map(|chain| chain.first().id);
    let balances = account.balances().into_iter();
    let balances: Vec<Value> = balances
        .map(|((party, unit), n)| json!({ "party": party, "unit": unit, "balance": n }))
        .collect();
    json!({ "agreement": agreement, "postings": account.postings, "balances": balances })
}

fn say_account(
    read: &Read,
    place: Option<usize>,
    account: &Account,
    out: &mut impl io::Write,
) -> anyhow::Result<()> {
    match place.and_then(|place| read.record.agreements().get(place)) {
        None => writeln!(out, "under no agreement")?,
        Some(chain) => {
            let parties: Vec<&str> = chain.parties.iter().map(|party| party.as_str()).collect();
            let place = read.place(&chain.first().id)?;
            writeln!(out, "agreement {place}: {}", parties.join(" and "))?;
        }
    }
    for posting in &account.postings {
        let report = read.place(&posting.report)?;
        let (on, n) = (&posting.on, posting.unit.quantity(posting.quantity.into()));
        let (from, to) = (&posting.from, &posting.to);
        writeln!(out, "  {on}  {report:<6} {n}: {from} to {to}")?;
    }
    writeln!(out, "  balances")?;
    for ((party, unit), n) in account.balances() {
        writeln!(out, "    {party:<28} {}", unit.quantity(n))?;
    }
    Ok(())
}
