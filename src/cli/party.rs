//! Commands that vendors and agencies have in common.

mod amount;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::Exit;
use crate::client::base::BaseUrl;
use crate::digest::StatementId;
use crate::party::home::{Home, Profile};
use crate::party::official::{Official, fingerprints, media_type};
use crate::statement::facts::{FactsExt as _, Whole};
use crate::statement::kinds::agreement::{Agreement, EndReason, Instrument, Status, Term};
use crate::statement::kinds::benefit::{Benefit, BenefitKind};
use crate::statement::kinds::party::{CheckMethod, DomainCheck, Party};
use crate::statement::words::{
    Currency, Day, Jurisdiction, Label, Money, Name, PartyId, PartyKind, Role,
};
use crate::statement::{Statement, sign};
use crate::time::Clock;
use crate::tlog::policy::Policy;
use crate::wire::statements::Logged;

use super::files::opening_path;
use super::output::{say_logged, say_written};
use amount::Amount;

/// What vendors and agencies can do alike.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Init(Init),
    Register(Register),
    Agreement(NewAgreement),
    EndAgreement(EndAgreement),
    Benefit(NewBenefit),
}

/// Where the party lives, and how answers are printed
#[derive(Debug, clap::Args)]
pub struct Own {
    /// The party's folder, with its keys
    #[arg(long, value_name = "DIR")]
    pub home: PathBuf,
    /// The ledger's address, if another than at `init`
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

impl Own {
    /// The party.
    ///
    /// # Errors
    /// If its folder, trust file or server is not acceptable.
    pub fn open(&self) -> anyhow::Result<Official> {
        Ok(Official::open(
            &self.home,
            self.server.as_deref(),
            Clock::system(),
        )?)
    }
}

/// Make the party's folder and keys
///
/// The trust file (log.policy) comes from the operator or, better, from somebody who has no reason
/// to deceive you: compare the fingerprints that this prints. The keys stay in the folder.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// The new folder
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// The party's host name: its id, for life
    #[arg(long, value_name = "ID")]
    party: PartyId,
    /// The party's public name
    #[arg(long, value_name = "NAME")]
    name: Name,
    /// ISO 3166 code of where it is, such as US-FL
    #[arg(long, value_name = "CODE")]
    jurisdiction: Jurisdiction,
    /// The ledger's address
    #[arg(long, value_name = "URL")]
    server: String,
    /// The trust file: the log's key and its witnesses
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// The pseudonym under which the officer key signs
    #[arg(long, value_name = "LABEL", default_value = "officer-1")]
    officer_label: Label,
}

/// Write and sign the party's registration, for the operator to approve
///
/// Sign-only: nothing is sent. The operator checks who you are, countersigns with `whosaw operator
/// approve FILE`, and submits it.
#[derive(Debug, clap::Args)]
pub struct Register {
    #[command(flatten)]
    own: Own,
    /// Where to write the signed registration
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// How the operator checks that the host name is yours
    #[arg(long, value_enum, default_value = "not-checked")]
    domain_check: CheckMethod,
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
    /// The day on which it took effect in life
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
    /// declined, suspended or terminated
    #[arg(long, value_enum, default_value = "terminated")]
    status: Status,
    /// Why
    #[arg(long, value_enum)]
    reason: EndReason,
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

/// Runs the command for a party of this kind.
///
/// # Errors
/// If a file, the server or the log is not acceptable.
pub fn run(command: &Command, kind: PartyKind) -> anyhow::Result<Exit> {
    match command {
        Command::Init(args) => init(args, kind),
        Command::Register(args) => register(args),
        Command::Agreement(args) => agreement(args),
        Command::EndAgreement(args) => end_agreement(args),
        Command::Benefit(args) => benefit(args),
    }
}

/// Reads a trust file that binds the operator; prints its fingerprints.
///
/// # Errors
/// If it is no policy of one log, or its quorum is the operator's own.
pub fn read_trust(path: &Path) -> anyhow::Result<(Policy, String)> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let policy = Policy::parse(&text).with_context(|| path.display().to_string())?;
    policy
        .check_independent()
        .with_context(|| path.display().to_string())?;
    if let n @ (0 | 2..) = policy.origins().len() {
        bail!("{} names {n} logs, where one is expected", path.display());
    }
    Ok((policy, text))
}

/// Prints what people compare before they believe a trust file.
pub fn print_fingerprints(policy: &Policy) {
    println!("compare these with what others have:");
    for (what, key) in fingerprints(policy) {
        println!("  {what:<22} {key}");
    }
}

fn init(args: &Init, kind: PartyKind) -> anyhow::Result<Exit> {
    BaseUrl::parse(&args.server)?;
    let (policy, text) = read_trust(&args.trust)?;
    let profile = Profile {
        party: args.party.clone(),
        kind,
        name: args.name.clone(),
        jurisdiction: args.jurisdiction.clone(),
        officer_label: args.officer_label.clone(),
        server: Some(args.server.clone()),
    };
    let home = Home::create(&args.home, profile)?;
    home.write("log.policy", &text)?;
    println!("made {} ({kind}) in {}", args.party, args.home.display());
    for key in home.new_keys()? {
        println!("  {:<22} {}", format!("key {}", key.role), key.key);
    }
    print_fingerprints(&policy);
    println!(
        "next: whosaw {kind} register --home {} -o registration.dsse",
        args.home.display()
    );
    Ok(Exit::Yes)
}

fn register(args: &Register) -> anyhow::Result<Exit> {
    let party = args.own.open()?;
    let (follower, _) = party.follow(&mut |_, _| {})?;
    let operator = follower.facts().operator(&Whole)?;
    let operator = operator.context("the log names no operator")?;
    let profile = party.profile().clone();
    let head = party.joint_head(&operator);
    let statement = Party {
        party: profile.party,
        kind: profile.kind,
        name: profile.name,
        jurisdiction: profile.jurisdiction,
        keys: party.home().new_keys()?,
        domain_check: DomainCheck {
            method: args.domain_check,
            checked_on: Day::of(party.clock().now()),
        },
        succeeds: None,
    };
    let keys = [Role::Admin, Role::Officer, Role::Service];
    let keys: Result<Vec<_>, _> = keys
        .into_iter()
        .map(|role| party.home().key(role))
        .collect();
    let keys = keys?;
    let envelope = sign(&head, &statement.into(), &keys.iter().collect::<Vec<_>>());
    let next = format!("give it to {operator} to approve");
    say_written(&args.output, &envelope, &next, args.own.json)?;
    Ok(Exit::Yes)
}

fn agreement(args: &NewAgreement) -> anyhow::Result<Exit> {
    let party = args.own.open()?;
    let terms: Option<Vec<Term>> = args.terms.as_deref().map(read_json).transpose()?;
    let terms = terms.unwrap_or_default();
    let amendment = args.amendment.as_deref().map(read_json).transpose()?;
    let document = match &args.document {
        None => None,
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
            let opening = party.attach(&bytes, media_type(path)?)?;
            let beside = opening_path(&args.output);
            std::fs::write(&beside, format!("{}\n", opening.encode()))
                .with_context(|| beside.display().to_string())?;
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
        status: args.status,
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

/// Signs a statement of the party alone, logs it, and says so.
///
/// # Errors
/// Those of [`submit_own`].
pub fn log(party: &Official, statement: Statement, role: Role, json: bool) -> anyhow::Result<Exit> {
    let logged = submit_own(party, &statement, role)?;
    say_logged(&logged, &plain_own(party, &statement), json)?;
    Ok(Exit::Yes)
}

/// Signs a statement of the party alone and logs it.
///
/// # Errors
/// The server's refusal, or a proof that does not hold.
pub fn submit_own(party: &Official, statement: &Statement, role: Role) -> anyhow::Result<Logged> {
    let envelope = sign(&party.own_head(), statement, &[&party.home().key(role)?]);
    Ok(party.submit(&envelope)?)
}

/// What a statement of the party alone says.
pub fn plain_own(party: &Official, statement: &Statement) -> String {
    statement.plain(party.profile().party.as_str())
}
