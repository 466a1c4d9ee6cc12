//! `whosaw operator`: makes a ledger and looks after it.

mod approve;
mod aside;
mod close;
mod notify;
pub mod recover;
mod standing;
mod versions;
mod witnesses;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::domains::DomainRecord;
use super::keys;
use super::output::Output;
use super::party::{SignOnly, Speaker};
use super::say::{self, Opening, Say, Unseal};
use super::{Exit, party};
use crate::digest::Digest;
use crate::party::home::Profile;
use crate::party::official::{Official, Signatory};
use crate::party::operator::Operator;
use crate::statement::kinds::limits::Limits;
use crate::statement::kinds::party::CheckMethod;
use crate::statement::words::{Jurisdiction, Label, Name, PartyId, PartyKind, Role};
use crate::store::vaults::Vaults;
use crate::time::{Clock, SECS_PER_DAY};
use crate::tlog::checkpoint::Origin;
use crate::{encoding, random};

/// Make a ledger and look after it
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Init(Init),
    Genesis(Genesis),
    AddWitness(witnesses::AddWitness),
    RemoveWitness(witnesses::RemoveWitness),
    EnrolCode(EnrolCode),
    Vaults(notify::Vaults),
    Notify(notify::Notify),
    Limits(NewLimits),
    Approve(approve::Approve),
    Confirm(standing::Confirm),
    Suspend(standing::Suspend),
    Reinstate(standing::Reinstate),
    Withdraw(standing::Withdraw),
    DomainRecord(DomainRecord<Own>),
    Say(Say<Own>),
    Unseal(Unseal<Own>),
    Opening(Opening<Own>),
    #[command(flatten)]
    Keys(keys::Command<Own>),
    Versions(versions::Versions),
    Restore(recover::Restore),
    Adopt(recover::Adopt),
    #[command(subcommand)]
    ClipsAside(aside::Command),
    Close(close::Close),
}

/// Where the operator's folder and ledger are, and how answers are printed
#[derive(Debug, clap::Args)]
pub struct Own {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The ledger's address
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

impl Speaker for Own {
    const EXAMPLE: (&str, &str) = (
        "whosaw operator",
        "--data ledger --server https://ledger.example",
    );

    fn open(&self) -> anyhow::Result<Official> {
        Ok(Official::open(
            &self.data,
            self.server.as_deref(),
            Clock::system(),
        )?)
    }

    fn signatory(&self) -> anyhow::Result<Signatory> {
        Ok(Signatory::open(&self.data, Clock::system())?)
    }

    fn json(&self) -> bool {
        self.json
    }
}

/// Make the folder of a new ledger: its keys, its trust file, its first limits
///
/// The origin names the log for life: the address it will be read at, without scheme. Next, add
/// independent witnesses with `operator add-witness`, then run `whosaw serve`. Its first start logs
/// the limits in DIR/limits.json; until then that file may be edited.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw operator init --data operator --origin ledger.example/log --party operator.example \\\n    \
    --name 'Ledger Operator' --jurisdiction US-FL --vendor doorbell.example\n  \
    whosaw operator init --data trial --origin trial.example/log --party operator.example \\\n    \
    --name 'A trial' --jurisdiction US-FL --limits examples/limits-trial.json")]
pub struct Init {
    /// The new data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The log's name for life, such as ledger.example/log
    #[arg(long, value_name = "ORIGIN")]
    origin: Origin,
    /// The operator's host name
    #[arg(long, value_name = "ID")]
    party: PartyId,
    /// The operator's public name
    #[arg(long, value_name = "NAME")]
    name: Name,
    /// ISO 3166 code of where it is
    #[arg(long, value_name = "CODE")]
    jurisdiction: Jurisdiction,
    /// A file with the first limits (see schemas/limits.json); default: half a square mile, 12
    /// hours, 45 days
    #[arg(long, value_name = "FILE")]
    limits: Option<PathBuf>,
    /// A vendor whose agreement with an agency lets that agency ask for footage; repeatable, and
    /// added to those in the limits
    #[arg(long = "vendor", value_name = "ID")]
    vendors: Vec<PartyId>,
    /// Where you publish your keys (see `operator domain-record`): nobody but monitors checks it
    #[arg(long, value_enum, value_name = "METHOD")]
    domain_check: Option<CheckMethod>,
}

/// Sign the log's first two entries, so that the server can begin the log without admin.key
///
/// Writes DIR/genesis.jsonl: who runs the log, and the limits in DIR/limits.json. The first `whosaw serve`
/// logs them, within 7 days, and refuses them if limits.json was changed since: run this again then. Keep what
/// this prints: `whosaw operator keys` and `whosaw log show '#0'` have to show the same once the log has begun.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whosaw operator genesis --data ledger")]
pub struct Genesis {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Print a code with which one resident gets a vault
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw operator enrol-code --data ledger --mebibytes 4096 --days 7")]
pub struct EnrolCode {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What the vault holds, in mebibytes
    #[arg(long, value_name = "N", default_value = "2048", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    mebibytes: u64,
    /// How many clips the vault holds
    #[arg(long, value_name = "N", default_value = "10000")]
    clips: u64,
    /// How long the code is good for, in days
    #[arg(long, value_name = "N", default_value = "14", value_parser = clap::value_parser!(i64).range(1..=365))]
    days: i64,
}

/// Declare other limits; they hold after the notice period
///
/// The notice is the longer of the one in force and the new one. Until then, the limits in force
/// hold; `whosaw log list` shows what was declared.
#[derive(Debug, clap::Args)]
pub struct NewLimits {
    /// The limits (see schemas/limits.json)
    file: PathBuf,
    #[command(flatten)]
    own: Own,
    #[command(flatten)]
    sign_only: SignOnly,
}

/// Runs the command.
///
/// # Errors
/// If the folder cannot be read or written, or the ledger refuses.
pub fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Init(args) => init(args),
        Command::Genesis(args) => {
            let kept = Operator::open(&args.data)?.keep_genesis(&Clock::system())?;
            println!(
                "wrote {}: the first `whosaw serve` logs it, within 7 days; no admin.key is needed for that",
                kept.path.display()
            );
            println!("admin key  {}", kept.admin);
            println!("entry 0    {}", kept.first);
            Ok(Exit::Yes)
        }
        Command::AddWitness(args) => witnesses::add(args),
        Command::RemoveWitness(args) => witnesses::remove(args),
        Command::EnrolCode(args) => enrol_code(args),
        Command::Vaults(args) => notify::vaults(args),
        Command::Notify(args) => notify::notify(args),
        Command::Limits(args) => {
            let limits = read_limits(&args.file)?;
            args.sign_only
                .finish_own(&args.own, &limits.into(), Role::Admin)
        }
        Command::Approve(args) => approve::run(args),
        Command::Confirm(args) => standing::confirm(args),
        Command::Suspend(args) => standing::suspend(args),
        Command::Reinstate(args) => standing::reinstate(args),
        Command::Withdraw(args) => standing::withdraw(args),
        Command::DomainRecord(args) => args.run(),
        Command::Say(args) => say::say(args),
        Command::Unseal(args) => say::unseal(args),
        Command::Opening(args) => say::opening(args),
        Command::Keys(command) => keys::run(command),
        Command::Versions(args) => versions::run(args),
        Command::Restore(args) => recover::restore(args),
        Command::Adopt(args) => recover::adopt(args),
        Command::ClipsAside(command) => aside::run(command),
        Command::Close(args) => close::run(args),
    }
}

fn read_limits(path: &Path) -> anyhow::Result<Limits> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn init(args: &Init) -> anyhow::Result<Exit> {
    let mut limits = match &args.limits {
        None => Limits::first(),
        Some(path) => read_limits(path)?,
    };
    limits.vendors.extend(args.vendors.iter().cloned());
    limits.vendors.sort();
    limits.vendors.dedup();
    let profile = Profile {
        party: args.party.clone(),
        kind: PartyKind::Operator,
        name: args.name.clone(),
        jurisdiction: args.jurisdiction.clone(),
        officer_label: "server".parse::<Label>().expect("a label"),
        domain_check: args.domain_check,
        server: None,
    };
    let operator = Operator::init(&args.data, profile, args.origin.clone(), &limits)?;
    println!(
        "made the ledger {} in {}",
        operator.origin(),
        args.data.display()
    );
    let signer = operator.signer()?;
    for key in std::iter::once(signer.verifier()).chain(signer.ml_dsa_44_verifier()) {
        println!("its key  {}", key.fingerprint());
    }
    let vendors: Vec<&str> = limits.vendors.iter().map(PartyId::as_str).collect();
    match vendors.as_slice() {
        [] => println!("vendors  none: an agency needs an agreement with you to ask for footage"),
        listed => println!("vendors  {}", listed.join(", ")),
    }
    println!(
        "limits   {}: edit it before the first `serve`; later ones need notice",
        operator.limits_path().display()
    );
    println!("next     whosaw operator add-witness, twice or more; then whosaw serve");
    Ok(Exit::Yes)
}

fn enrol_code(args: &EnrolCode) -> anyhow::Result<Exit> {
    let operator = Operator::open(&args.data)?;
    let path = operator.home().root().join("vaults.db");
    // Before the log begins there is none to lose.
    let vaults = match operator.has_begun() {
        true => Vaults::open_existing(&path)?,
        false => Vaults::open(&path)?,
    };
    let code = encoding::hex(random::bytes::<16>());
    let expires = args
        .days
        .checked_mul(SECS_PER_DAY)
        .and_then(|seconds| Clock::system().now().checked_add_seconds(seconds))
        .context("--days: reaches beyond 9998-12-31")?;
    vaults.add_code(Digest::of(&code), args.mebibytes << 20, args.clips, expires)?;
    println!("{code}");
    Ok(Exit::Yes)
}

/// Whether the person at the terminal types the log's origin, after `what` would happen.
fn names_origin(origin: &Origin, what: &str, danger: &str) -> anyhow::Result<bool> {
    use std::io::{IsTerminal as _, Write as _};
    if !std::io::stdin().is_terminal() {
        bail!("{danger}, and nobody is there to ask: say --yes");
    }
    print!("{what} Type its origin ({origin}) to go on: ");
    Output::lock().flush()?;
    let mut typed = String::new();
    std::io::stdin().read_line(&mut typed)?;
    Ok(typed.trim() == origin.as_str())
}
