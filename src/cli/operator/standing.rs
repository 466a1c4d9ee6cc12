//! `operator confirm`, `suspend`, `reinstate`, `withdraw`: what the operator says of a party's standing.

use anyhow::{Context as _, bail};

use super::Own;
use crate::cli::Exit;
use crate::cli::domains::{Asking, Place};
use crate::cli::output::{confirm as ask, tell};
use crate::cli::party::{SignOnly, Speaker as _, log};
use crate::statement::kinds::party::{CheckMethod, DomainCheck};
use crate::statement::kinds::party_status::{PartyStatus, StatusChange, StatusReason};
use crate::statement::words::{Day, PartyId, Role};
use crate::time::Clock;
use crate::watch::domains::{Checked, Verdict, check, read};

/// Look for a party's keys under its host name again, and log that they are there
///
/// Exits 1, and logs nothing, if the host name says otherwise; 2 if it could not be asked. What to do
/// then is yours to decide: `operator suspend PARTY --reason domain-lost` is one way. With --sign-only
/// no host name is asked: see by `whosaw log domains` that the keys are there, and sign on the same day.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw operator confirm lakelandgov.example --data ledger --server https://ledger.example")]
pub struct Confirm {
    /// The party
    party: PartyId,
    #[command(flatten)]
    own: Own,
    #[command(flatten)]
    sign_only: SignOnly,
    /// Where to look, or with --sign-only where you saw them; default: where they were seen last
    #[arg(long, value_enum, value_name = "METHOD")]
    check: Option<Place>,
    #[command(flatten)]
    asking: Asking,
}

/// Suspend a party: it asks for nothing and is given nothing until it is reinstated
#[derive(Debug, clap::Args)]
pub struct Suspend {
    #[command(flatten)]
    change: Change,
}

/// End a party's suspension
#[derive(Debug, clap::Args)]
pub struct Reinstate {
    #[command(flatten)]
    change: Change,
}

/// Withdraw a party for good
///
/// This cannot be undone, and its id is never registered again. What it owes, it still owes: a new
/// party of the same kind may succeed it (`register --succeeds`), and its overdue seals bar that one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw operator withdraw lakelandgov.example --reason keys-lost --data ledger \\\n    \
    --server https://ledger.example")]
pub struct Withdraw {
    #[command(flatten)]
    change: Change,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Which party, and why
#[derive(Debug, clap::Args)]
struct Change {
    /// The party
    party: PartyId,
    #[command(flatten)]
    own: Own,
    #[command(flatten)]
    sign_only: SignOnly,
    /// Why
    #[arg(long, value_enum)]
    reason: StatusReason,
}

/// The statement that a party's host name was checked again.
pub fn confirmation(party: &PartyId, check: DomainCheck) -> PartyStatus {
    PartyStatus {
        party: party.clone(),
        status: StatusChange::Confirmed,
        reason: None,
        domain_check: Some(check),
    }
}

/// Tells people what a host name says.
pub fn say_checked(party: &PartyId, method: CheckMethod, checked: &Checked, json: bool) {
    tell(&format!("{party}, {method}: {}", checked.detail), json);
    for key in &checked.missing {
        tell(&format!("  missing {key}"), json);
    }
}

/// Runs `operator confirm`.
///
/// # Errors
/// If the log does not know the party or its keys, the host name cannot be asked, or the ledger refuses.
pub fn confirm(args: &Confirm) -> anyhow::Result<Exit> {
    let party = &args.party;
    if args.sign_only.sign_only.is_some() {
        let Some(place) = args.check else {
            bail!("say where you saw the keys: --check dns-txt, or --check well-known");
        };
        let seen = DomainCheck {
            method: place.into(),
            checked_on: Day::of(Clock::system().now()),
        };
        let statement = confirmation(party, seen).into();
        return args
            .sign_only
            .finish_own(&args.own, &statement, Role::Admin);
    }
    let operator = args.own.open()?;
    let (follower, _) = operator.follow(&mut |_, _| {})?;
    let domains = read(&follower)?;
    let domain = domains.of(party);
    let domain = domain.with_context(|| format!("the log knows no {party}"))?;
    if domain.keys.is_empty() {
        bail!("{party} has no keys: there is nothing to look for");
    }
    let method = args.check.map_or(domain.check.method, CheckMethod::from);
    if method == CheckMethod::NotChecked {
        bail!("say where to look: --check dns-txt, or --check well-known");
    }
    let now = operator.clock().now();
    let checked = check(&args.asking.asker()?, party, domain, method, now);
    match checked.verdict {
        Verdict::NotAsked => bail!("nothing is confirmed: {}", checked.detail),
        _ => say_checked(party, method, &checked, args.own.json),
    }
    if checked.verdict == Verdict::Otherwise {
        tell("not confirmed", args.own.json);
        return Ok(Exit::No);
    }
    let seen = DomainCheck {
        method,
        checked_on: Day::of(now),
    };
    let statement = confirmation(party, seen).into();
    log(&operator, statement, Role::Admin, args.own.json)
}

/// Runs `operator suspend`.
///
/// # Errors
/// If the ledger refuses.
pub fn suspend(args: &Suspend) -> anyhow::Result<Exit> {
    args.change.log(StatusChange::Suspended)
}

/// Runs `operator reinstate`.
///
/// # Errors
/// If the ledger refuses.
pub fn reinstate(args: &Reinstate) -> anyhow::Result<Exit> {
    args.change.log(StatusChange::Reinstated)
}

/// Runs `operator withdraw`.
///
/// # Errors
/// If nobody can be asked, or the ledger refuses.
pub fn withdraw(args: &Withdraw) -> anyhow::Result<Exit> {
    let question = format!("Withdraw {} for good?", args.change.party);
    if !ask(&question, args.yes)? {
        println!("not withdrawn");
        return Ok(Exit::No);
    }
    args.change.log(StatusChange::Withdrawn)
}

impl Change {
    fn log(&self, status: StatusChange) -> anyhow::Result<Exit> {
        let statement = PartyStatus {
            party: self.party.clone(),
            status,
            reason: Some(self.reason),
            domain_check: None,
        };
        self.sign_only
            .finish_own(&self.own, &statement.into(), Role::Admin)
    }
}
