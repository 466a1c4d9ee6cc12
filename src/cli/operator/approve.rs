//! `operator approve`: a party's registration, checked, countersigned and logged.

use std::path::PathBuf;

use anyhow::bail;

use super::Own;
use super::standing::{confirmation, say_checked};
use crate::cli::Exit;
use crate::cli::domains::{Asking, Place};
use crate::cli::files::add_signature;
use crate::cli::output::{acted, read_envelope, say_logged, say_written, tell};
use crate::cli::party::{SignOnly, Speaker as _, admin_key_elsewhere, plain_own, submit_own};
use crate::party::official::{Official, logged_json};
use crate::record::domains::Domains;
use crate::statement::envelope::Envelope;
use crate::statement::facts::{FactsExt as _, KeyFact};
use crate::statement::kinds::party::{CheckMethod, DomainCheck, Party};
use crate::statement::words::{Day, Role};
use crate::statement::{Head, Statement, parse_payload};
use crate::time::Time;
use crate::watch::domains::{Verdict, check};

/// What is to be done with a registration that was signed on a machine without network.
const NEXT: &str = "`whosaw operator approve` looks at the host name and logs it, within 7 days";

/// Clocks of others may be so much ahead, in seconds.
const AHEAD: i64 = 300;

/// Countersign a party's registration, and log it
///
/// A registration that says where its keys are published is signed only when they are seen there. With
/// --check they are looked for there in any case. What is seen on another day, or elsewhere, than the
/// registration says is logged as a confirmation after it. Exits 1, and signs nothing, if the host
/// name says otherwise; 2 if it could not be asked. Where admin.key is on a machine without network, sign
/// there with --sign-only, and run this again on the file that it wrote, where the ledger can be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw operator approve lakeland.dsse --data ledger --server https://ledger.example \\\n    \
    --check dns-txt")]
pub struct Approve {
    /// The registration that the party signed
    file: PathBuf,
    #[command(flatten)]
    own: Own,
    #[command(flatten)]
    sign_only: SignOnly,
    /// Look for the party's keys under its host name
    #[arg(long, value_enum, value_name = "METHOD", conflicts_with = "sign_only")]
    check: Option<Place>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    asking: Asking,
}

/// Runs `operator approve`.
///
/// # Errors
/// If the file or the keys cannot be read, the host name cannot be asked, or the ledger refuses.
pub fn run(args: &Approve) -> anyhow::Result<Exit> {
    let mut envelope = read_envelope(&args.file)?;
    envelope.verify()?;
    let (head, statement) = parse_payload(&envelope.payload)?;
    let Statement::Party(party) = &statement else {
        bail!("{} is no registration", args.file.display());
    };
    if let Some(file) = &args.sign_only.sign_only {
        let home = args.own.signatory()?;
        if !add_signature(&mut envelope, home.home(), args.yes, args.own.json)? {
            return Ok(not_approved(args));
        }
        say_written(file, &envelope, NEXT, args.own.json)?;
        return Ok(Exit::Yes);
    }
    let operator = args.own.open()?;
    let signed = is_signed(&operator, &envelope, party)?;
    let Some(seen) = look(args, &head, party, operator.clock().now())? else {
        return Ok(not_approved(args));
    };
    if !signed {
        let added = add_signature(&mut envelope, operator.home(), args.yes, args.own.json);
        if !added.map_err(|e| admin_key_elsewhere(&operator, e))? {
            return Ok(not_approved(args));
        }
    }
    log(&operator, &envelope, seen, signed, args.own.json)
}

fn not_approved(args: &Approve) -> Exit {
    tell("not approved", args.own.json);
    Exit::No
}

/// Whether an admin key of the operator has signed the registration already, on another machine.
fn is_signed(operator: &Official, envelope: &Envelope, party: &Party) -> anyhow::Result<bool> {
    let signers = envelope.signatures.iter().map(|(key, _)| key);
    let mut others = signers.filter(|key| party.keys.iter().all(|new| new.key != **key));
    let Some(key) = others.next() else {
        return Ok(false);
    };
    let (follower, _) = operator.follow(&mut |_, _| {})?;
    let own = &operator.profile().party;
    let is_admin =
        |fact: &KeyFact| fact.party.as_ref() == Some(own) && fact.role == Some(Role::Admin);
    let fact = follower.facts().key(key)?.filter(is_admin);
    match fact.map(|fact| fact.revoked) {
        Some(None) => Ok(true),
        Some(Some(entry)) => bail!(
            "{key} has signed this registration too, and was an admin key of {own} until entry {entry} revoked it. \
             Sign the registration with the key that has replaced it: run `whosaw operator approve --sign-only` where \
             that key is, on the file that {} made",
            party.party
        ),
        None => {
            bail!(
                "{key} has signed this registration too, and the log has no such admin key of {own}"
            )
        }
    }
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
            _ => say_checked(&party.party, method, &checked, args.own.json),
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

/// Logs the registration, and what was seen beside it: if the admin key `is_elsewhere`, that is left to a
/// person. The answer is no if this command has signed what the log had already, and nothing else.
fn log(
    operator: &Official,
    envelope: &Envelope,
    seen: Seen,
    is_elsewhere: bool,
    json: bool,
) -> anyhow::Result<Exit> {
    let logged = operator.submit(envelope)?;
    if !json {
        say_logged(&logged, "approved", false)?;
    }
    let mut exit = match logged.known && !is_elsewhere {
        true => Exit::No,
        false => Exit::Yes,
    };
    let mut shown = logged_json(&logged);
    match seen.0 {
        None => {}
        Some(statement) if is_elsewhere => {
            let what = plain_own(operator, &statement);
            let next = format!("not logged: {what} `whosaw operator confirm --sign-only` signs it");
            tell(&next, json);
        }
        Some(statement) => {
            let confirmed = submit_own(operator, &statement, Role::Admin)?;
            shown["confirmation"] = logged_json(&confirmed);
            if !json {
                say_logged(&confirmed, &plain_own(operator, &statement), false)?;
            }
            exit = acted(&confirmed, json);
        }
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&shown)?);
    }
    Ok(exit)
}
