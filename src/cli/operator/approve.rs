//! `operator approve`: a party's registration, checked, countersigned and logged.

use std::path::PathBuf;

use anyhow::bail;

use super::standing::{confirmation, say_checked};
use crate::cli::Exit;
use crate::cli::domains::{Asking, Place};
use crate::cli::files::add_signature;
use crate::cli::output::{read_envelope, say_logged, tell};
use crate::cli::party::{plain_own, submit_own};
use crate::party::official::{Official, logged_json};
use crate::record::domains::Domains;
use crate::statement::envelope::Envelope;
use crate::statement::kinds::party::{CheckMethod, DomainCheck, Party};
use crate::statement::words::{Day, Role};
use crate::statement::{Head, Statement, parse_payload};
use crate::time::{Clock, Time};
use crate::watch::domains::{Verdict, check};

/// Clocks of others may be so much ahead, in seconds.
const AHEAD: i64 = 300;

/// Countersign a party's registration, and log it
///
/// A registration that says where its keys are published is signed only when they are seen there. With
/// --check they are looked for there in any case. What is seen on another day, or elsewhere, than the
/// registration says is logged as a confirmation after it. Exits 1, and signs nothing, if the host
/// name says otherwise; 2 if it could not be asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw operator approve lakeland.dsse --data ledger --server https://ledger.example \\\n    \
    --check dns-txt")]
pub struct Approve {
    /// The registration that the party signed
    file: PathBuf,
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The ledger's address
    #[arg(long, value_name = "URL")]
    server: String,
    /// Look for the party's keys under its host name
    #[arg(long, value_enum, value_name = "METHOD")]
    check: Option<Place>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asking: Asking,
}

/// Runs `operator approve`.
///
/// # Errors
/// If the file or the keys cannot be read, the host name cannot be asked, or the ledger refuses.
pub fn run(args: &Approve) -> anyhow::Result<Exit> {
    let operator = Official::open(&args.data, Some(&args.server), Clock::system())?;
    let mut envelope = read_envelope(&args.file)?;
    envelope.verify()?;
    let (head, statement) = parse_payload(&envelope.payload)?;
    let seen = match &statement {
        Statement::Party(party) => match look(args, &head, party, operator.clock().now())? {
            Some(seen) => seen,
            None => {
                tell("not approved", args.json);
                return Ok(Exit::No);
            }
        },
        _ => bail!("{} is no registration", args.file.display()),
    };
    if !add_signature(&mut envelope, operator.home(), args.yes, args.json)? {
        tell("not approved", args.json);
        return Ok(Exit::No);
    }
    log(&operator, &envelope, seen, args.json)?;
    Ok(Exit::Yes)
}

/// What was seen under the party's host name that the registration does not say itself.
struct Seen(Option<Statement>);

/// Looks where the registration says, and where the operator says; nothing if the name says otherwise.
fn look(args: &Approve, head: &Head, party: &Party, now: Time) -> anyhow::Result<Option<Seen>> {
    let claim = &party.domain_check;
    let claims = claim.method != CheckMethod::NotChecked;
    let asked = args.check.map_or(claim.method, CheckMethod::from);
    if asked == CheckMethod::NotChecked {
        return Ok(Some(Seen(None)));
    }
    if claims {
        check_day(claim, head, now)?;
    }
    let mut domains = Domains::default();
    domains.read(now, &party.clone().into());
    let domain = domains.of(&party.party).expect("it was read");
    let asker = args.asking.asker()?;
    let mut methods = vec![asked];
    if claims && claim.method != asked {
        methods.push(claim.method);
    }
    for method in methods {
        let checked = check(&asker, &party.party, domain, method, now);
        match checked.verdict {
            Verdict::NotAsked => bail!("nothing is signed: {}", checked.detail),
            _ => say_checked(&party.party, method, &checked, args.json),
        }
        if checked.verdict == Verdict::Otherwise {
            return Ok(None);
        }
    }
    let seen = DomainCheck {
        method: asked,
        checked_on: Day::of(now),
    };
    let more = (seen != *claim).then(|| confirmation(&party.party, seen).into());
    Ok(Some(Seen(more)))
}

/// The day that a registration names is none before it was made, and none to come.
fn check_day(claim: &DomainCheck, head: &Head, now: Time) -> anyhow::Result<()> {
    let made = Day::of(head.issued_at);
    let latest = now.checked_add_seconds(AHEAD).map(Day::of);
    if claim.checked_on < made || latest.is_some_and(|latest| claim.checked_on > latest) {
        bail!(
            "the registration was made on {made} and says that its host name was checked on {}",
            claim.checked_on
        );
    }
    Ok(())
}

fn log(operator: &Official, envelope: &Envelope, seen: Seen, json: bool) -> anyhow::Result<()> {
    let logged = operator.submit(envelope)?;
    if !json {
        say_logged(&logged, "approved", false)?;
    }
    let mut shown = logged_json(&logged);
    if let Seen(Some(statement)) = seen {
        let confirmed = submit_own(operator, &statement, Role::Admin)?;
        shown["confirmation"] = logged_json(&confirmed);
        if !json {
            say_logged(&confirmed, &plain_own(operator, &statement), false)?;
        }
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&shown)?);
    }
    Ok(())
}
