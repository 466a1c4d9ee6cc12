//! What vendors and agencies agree on, and what was given for it.

mod amount;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::{Own, Speaker as _, log};
use crate::cli::Exit;
use crate::cli::files::opening_path;
use crate::cli::output::say_written;
use crate::cli::written::Written;
use crate::digest::StatementId;
use crate::party::official::media_type;
use crate::statement::kinds::agreement::{Agreement, EndReason, Instrument, Status, Term};
use crate::statement::kinds::benefit::{Benefit, BenefitKind};
use crate::statement::words::{Currency, Day, Label, Money, PartyId, Role};
use crate::statement::{Statement, sign};
use amount::Amount;

/// What those who deal with each other can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Agreement(NewAgreement),
    EndAgreement(EndAgreement),
    Benefit(NewBenefit),
}

/// Write and sign an agreement with another party, for it to countersign
///
/// Uploads the document, signs, and writes FILE; nothing is logged until all parties have signed
/// (`whosaw countersign`) and somebody submits it (`whosaw submit`). With a document, FILE.opening is
/// written too: whoever countersigns needs both, and the document.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw vendor agreement --home vendor --with lakelandgov.example --terms terms.json \\\n    \
    --document memorandum.txt --sign-only -o agreement.dsse")]
pub struct NewAgreement {
    #[command(flatten)]
    own: Own,
    /// The other party
    #[arg(long, value_name = "ID")]
    with: PartyId,
    /// A file with the terms, a JSON array (see schemas/agreement.json)
    #[arg(long, value_name = "FILE")]
    terms: Option<PathBuf>,
    /// A file with what changes in an agreement in force: {"add": [terms], "remove": [terms]}
    #[arg(
        long,
        value_name = "FILE",
        requires = "previous",
        conflicts_with = "terms"
    )]
    amendment: Option<PathBuf>,
    /// The form of the agreement; `none` declares that there is none
    #[arg(long, value_enum, default_value = "memorandum-of-understanding")]
    instrument: Instrument,
    /// Where it stands
    #[arg(long, value_enum, default_value = "in-force")]
    status: Status,
    /// The agreement's last statement so far
    #[arg(long, value_name = "ID")]
    previous: Option<StatementId>,
    /// The document itself (.txt, .pdf, .png, .jpg)
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// Do not declare that there are no side agreements
    #[arg(long)]
    side_agreements: bool,
    /// The day it took effect; with `--status proposed`, the day it is to take effect
    #[arg(long, value_name = "DAY")]
    effective_on: Option<Day>,
    /// Only sign and write the file (agreements need all parties: there is no other way)
    #[arg(long, required = true)]
    sign_only: bool,
    /// Where to write the signed agreement
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Decline, suspend or end an agreement; one party alone may do so
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw agency end-agreement ID --home lakeland --reason will-not-promote-a-brand")]
pub struct EndAgreement {
    /// The agreement's last statement
    agreement: StatementId,
    #[command(flatten)]
    own: Own,
    /// What becomes of it
    #[arg(long, value_enum, default_value = "terminated")]
    status: Ending,
    /// Why
    #[arg(long, value_enum)]
    reason: EndReason,
}

/// What one party alone may do to an agreement.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Ending {
    Declined,
    Suspended,
    Terminated,
}

impl From<Ending> for Status {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Declined => Self::Declined,
            Ending::Suspended => Self::Suspended,
            Ending::Terminated => Self::Terminated,
        }
    }
}

/// Report what was given under an agreement
///
/// One of the two reports it, under its own name; the log keeps what either says.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw vendor benefit --home vendor --kind equipment --giver doorbell.example \\\n    \
    --receiver lakelandgov.example --agreement ID --item doorbell-camera --count 15\n  \
    whosaw vendor benefit --home vendor --kind credit-accrued --giver doorbell.example \\\n    \
    --receiver lakelandgov.example --agreement ID --amount 120.00 --currency USD --downloads 12")]
pub struct NewBenefit {
    #[command(flatten)]
    own: Own,
    /// What kind of benefit
    #[arg(long, value_enum)]
    kind: BenefitKind,
    /// Who gave
    #[arg(long, value_name = "ID")]
    giver: PartyId,
    /// Who received
    #[arg(long, value_name = "ID")]
    receiver: PartyId,
    /// The other side's report of the same, which this one confirms
    #[arg(long, value_name = "ID")]
    confirms: Option<StatementId>,
    /// The agreement statement it was given under
    #[arg(long, value_name = "ID")]
    agreement: Option<StatementId>,
    /// What was given
    #[arg(long, value_name = "LABEL")]
    item: Option<Label>,
    /// How many
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// The amount in all, such as 120.00
    #[arg(long, value_name = "AMOUNT", requires = "currency", group = "sum")]
    amount: Option<Amount>,
    /// The amount in all, in minor units (cents)
    #[arg(long, value_name = "N", requires = "currency", group = "sum")]
    minor_units: Option<u32>,
    /// ISO 4217 code of the amount
    #[arg(long, value_name = "CODE", requires = "sum")]
    currency: Option<Currency>,
    /// App downloads that the amount is reckoned by
    #[arg(long, value_name = "N")]
    downloads: Option<u32>,
    /// The day; default: today
    #[arg(long, value_name = "DAY")]
    effective_on: Option<Day>,
}

/// Runs the command.
///
/// # Errors
/// If a file, the server or the log is not acceptable.
pub fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Agreement(args) => agreement(args),
        Command::EndAgreement(args) => end_agreement(args),
        Command::Benefit(args) => benefit(args),
    }
}

fn agreement(args: &NewAgreement) -> anyhow::Result<Exit> {
    Written::Envelope.check(&args.output)?;
    let party = args.own.open()?;
    let terms: Option<Vec<Term>> = args.terms.as_deref().map(read_json).transpose()?;
    let terms = terms.unwrap_or_default();
    let amendment = args.amendment.as_deref().map(read_json).transpose()?;
    let document = match &args.document {
        None => None,
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
            let beside = opening_path(&args.output);
            Written::Opening.check(&beside)?;
            let opening = party.attach(&bytes, media_type(path)?)?;
            Written::Opening.write(&beside, format!("{}\n", opening.encode()))?;
            Some(opening.digest())
        }
    };
    let statement: Statement = Agreement {
        instrument: args.instrument,
        status: args.status,
        previous: args.previous,
        document,
        terms,
        amendment,
        complete: !args.side_agreements,
        effective_on: args.effective_on.clone(),
        reason: None,
    }
    .into();
    let head = party.joint_head(&args.with);
    let envelope = sign(&head, &statement, &[&party.home().key(Role::Admin)?]);
    let next = format!("{} countersigns it", args.with);
    say_written(&args.output, &envelope, &next, args.own.json)?;
    Ok(Exit::Yes)
}

/// A structure in a file.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn end_agreement(args: &EndAgreement) -> anyhow::Result<Exit> {
    let party = args.own.open()?;
    let (follower, _) = party.follow(&mut |_, _| {})?;
    let index = follower.find(&args.agreement)?;
    let entry = match index {
        Some(index) => follower.entry(index)?,
        None => None,
    };
    let Some(Statement::Agreement(previous)) = entry.map(|entry| entry.signed.statement) else {
        bail!("{} is no agreement of this log", args.agreement);
    };
    let statement = Agreement {
        instrument: previous.instrument,
        status: args.status.into(),
        previous: Some(args.agreement),
        document: None,
        terms: Vec::new(),
        amendment: None,
        complete: previous.complete,
        effective_on: None,
        reason: Some(args.reason),
    };
    log(&party, statement.into(), Role::Admin, args.own.json)
}

fn benefit(args: &NewBenefit) -> anyhow::Result<Exit> {
    let party = args.own.open()?;
    let amount = match (&args.amount, args.minor_units, args.currency.clone()) {
        (Some(amount), _, Some(currency)) => Some(amount.of(currency)?),
        (None, Some(minor_units), Some(currency)) => Some(Money {
            currency,
            minor_units,
        }),
        _ => None,
    };
    let statement = Benefit {
        kind: args.kind,
        giver: args.giver.clone(),
        receiver: args.receiver.clone(),
        confirms: args.confirms,
        agreement: args.agreement,
        item: args.item.clone(),
        count: args.count,
        amount,
        downloads: args.downloads,
        effective_on: args
            .effective_on
            .clone()
            .unwrap_or_else(|| Day::of(party.clock().now())),
    };
    log(&party, statement.into(), Role::Officer, args.own.json)
}
