//! `whosaw operator`: makes a ledger and looks after it.

mod approve;
mod aside;
mod notify;
pub mod recover;
mod standing;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::domains::DomainRecord;
use super::keys;
use super::output::{Output, say_logged};
use super::party::Speaker;
use super::say::{self, Opening, Say, Unseal};
use super::{Exit, party};
use crate::digest::Digest;
use crate::party::home::Profile;
use crate::party::official::Official;
use crate::party::operator::Operator;
use crate::statement::kinds::limits::Limits;
use crate::statement::kinds::log_closed::{ClosingReason, LogClosed, Successor};
use crate::statement::kinds::party::CheckMethod;
use crate::statement::words::{Jurisdiction, Label, Name, PartyId, PartyKind, Role};
use crate::statement::{Statement, sign};
use crate::store::vaults::Vaults;
use crate::time::{Clock, SECS_PER_DAY};
use crate::tlog::checkpoint::Origin;
use crate::tlog::note::{KeyName, NoteKey, VerifierKey};
use crate::tlog::policy::PolicyWitness;
use crate::{encoding, random};

/// How often a close asks again for the witnesses' word; the server waits some seconds each time.
const COSIGNING_ROUNDS: usize = 30;

/// Make a ledger and look after it
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Init(Init),
    AddWitness(AddWitness),
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
    Restore(recover::Restore),
    Adopt(recover::Adopt),
    #[command(subcommand)]
    ClipsAside(aside::Command),
    Close(Close),
}

/// Where the operator's folder and ledger are, and how answers are printed
#[derive(Debug, clap::Args)]
pub struct Own {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The ledger's address
    #[arg(long, value_name = "URL")]
    server: String,
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
            Some(&self.server),
            Clock::system(),
        )?)
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

/// Name a witness in the trust file; restart `whosaw serve` afterwards
///
/// Everyone who reads the log needs the new DIR/log.policy. A checkpoint is published only when the
/// quorum has cosigned it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw operator add-witness --data ledger --name newsroom \\\n    \
    --vkey \"$(head -n 1 newsroom.vkeys)\" --url https://witness.newsroom.example")]
pub struct AddWitness {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// A short name for the policy
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What `whosaw witness init` printed; repeatable, for a witness with a key of each kind
    #[arg(long, value_name = "VKEY", required = true)]
    vkey: Vec<VerifierKey>,
    /// The witness's address
    #[arg(long, value_name = "URL")]
    url: String,
    /// How many of the witnesses make a quorum; default: all
    #[arg(long, value_name = "N")]
    quorum: Option<usize>,
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
}

/// Close the log for good: nothing can be added to it any more
///
/// This cannot be undone. The ledger refuses every later statement, and every reader says that the
/// log was closed; what stands in it can be read and proved for as long as somebody serves it.
/// Clips that were collected before are still handed over. Let a batch period pass first, so that
/// the last clips are anchored.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw operator close --data ledger --server https://ledger.example --reason discontinued\n  \
    whosaw operator close --data ledger --server https://ledger.example --reason moved \\\n    \
    --successor next.example/log --successor-vkey \"$(cat next/log.vkey)\"")]
pub struct Close {
    #[command(flatten)]
    own: Own,
    /// Why; `moved` needs a successor
    #[arg(long, value_enum)]
    reason: ClosingReason,
    /// The origin of the log in which things go on
    #[arg(long, value_name = "ORIGIN", requires = "successor_vkey")]
    successor: Option<Origin>,
    /// A key of that log, from its log.vkey or log.ml-dsa-44.vkey; repeatable
    #[arg(long, value_name = "VKEY", requires = "successor")]
    successor_vkey: Vec<VerifierKey>,
    /// Do not ask: close it
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
///
/// # Errors
/// If the folder cannot be read or written, or the ledger refuses.
pub fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Init(args) => init(args),
        Command::AddWitness(args) => add_witness(args),
        Command::EnrolCode(args) => enrol_code(args),
        Command::Vaults(args) => notify::vaults(args),
        Command::Notify(args) => notify::notify(args),
        Command::Limits(args) => {
            let limits = read_limits(&args.file)?;
            party::log(&args.own.open()?, limits.into(), Role::Admin, args.own.json)
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
        Command::Restore(args) => recover::restore(args),
        Command::Adopt(args) => recover::adopt(args),
        Command::ClipsAside(command) => aside::run(command),
        Command::Close(args) => close(args),
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

fn add_witness(args: &AddWitness) -> anyhow::Result<Exit> {
    let operator = Operator::open(&args.data)?;
    crate::client::base::BaseUrl::parse(&args.url)?;
    let mut witnesses = operator.home().policy()?.witnesses().to_vec();
    witnesses.extend(lines(args)?);
    let names: BTreeSet<&KeyName> = witnesses.iter().map(|w| &w.key.name).collect();
    let count = names.len();
    let quorum = args.quorum.unwrap_or(count);
    if !(1..=count).contains(&quorum) {
        bail!("a quorum of {quorum} among {count} witnesses cannot be");
    }
    let policy = operator.set_witnesses(witnesses, quorum)?;
    policy.check_independent()?;
    println!(
        "wrote {}: a checkpoint needs {quorum} of {count} witnesses",
        operator.home().policy_path().display()
    );
    party::print_fingerprints(&policy);
    Ok(Exit::Yes)
}

/// A line of the policy for each of a witness's keys.
fn lines(args: &AddWitness) -> anyhow::Result<Vec<PolicyWitness>> {
    let name = &args.vkey[0].name;
    if let Some(other) = args.vkey.iter().find(|key| key.name != *name) {
        bail!(
            "{name} and {} are two witnesses: add one after the other",
            other.name
        );
    }
    let line = |key: &VerifierKey| PolicyWitness {
        name: match key.key {
            NoteKey::MlDsa44Cosignature(_) if args.vkey.len() > 1 => {
                format!("{}-ml-dsa-44", args.name)
            }
            _ => args.name.clone(),
        },
        key: key.clone(),
        url: Some(args.url.clone()),
    };
    Ok(args.vkey.iter().map(line).collect())
}

fn enrol_code(args: &EnrolCode) -> anyhow::Result<Exit> {
    let operator = Operator::open(&args.data)?;
    let vaults = Vaults::open(&operator.home().root().join("vaults.db"))?;
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

fn close(args: &Close) -> anyhow::Result<Exit> {
    let origin = Operator::open(&args.own.data)?.origin().clone();
    let operator = args.own.open()?;
    if !args.yes
        && !names_origin(
            &origin,
            "This closes the log for good.",
            "closing a log cannot be undone",
        )?
    {
        println!("nothing was closed");
        return Ok(Exit::No);
    }
    let successor = args.successor.clone().map(|origin| Successor {
        origin,
        vkeys: args.successor_vkey.clone(),
    });
    let statement: Statement = LogClosed {
        reason: args.reason,
        successor,
    }
    .into();
    let key = operator.home().key(Role::Admin)?;
    let envelope = sign(&operator.own_head(), &statement, &[&key]);
    let mut logged = operator.submit(&envelope)?;
    // Asked again, the server waits for the witnesses anew, and says where the statement stands.
    for _ in 0..COSIGNING_ROUNDS {
        if logged.proof.is_some() {
            break;
        }
        eprintln!("the log is closed; waiting for the witnesses to cosign its final checkpoint");
        logged = operator.submit(&envelope)?;
    }
    say_logged(
        &logged,
        &party::plain_own(&operator, &statement),
        args.own.json,
    )?;
    if !args.own.json && logged.proof.is_some() {
        println!("the witnesses have cosigned the final checkpoint: {origin} is closed");
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::home::{new_key, new_ml_dsa_key};
    use crate::tlog::cosignature::Cosigner;

    #[test]
    fn a_witness_of_two_keys_has_two_lines() {
        let name = |name: &str| name.parse::<KeyName>().unwrap();
        let ed25519 = |host: &str| Cosigner::new(name(host), new_key()).verifier();
        let ml_dsa = |host: &str| Cosigner::ml_dsa_44(name(host), new_ml_dsa_key()).verifier();
        let names = |vkey: Vec<VerifierKey>| {
            let args = AddWitness {
                data: PathBuf::new(),
                name: "w".to_owned(),
                vkey,
                url: "https://w.example".to_owned(),
                quorum: None,
            };
            let lines = lines(&args);
            lines.map(|lines| lines.into_iter().map(|line| line.name).collect::<Vec<_>>())
        };
        assert_eq!(names(vec![ed25519("w.example")]).unwrap(), ["w"]);
        assert_eq!(names(vec![ml_dsa("w.example")]).unwrap(), ["w"]);
        let both = vec![ed25519("w.example"), ml_dsa("w.example")];
        assert_eq!(names(both).unwrap(), ["w", "w-ml-dsa-44"]);
        let two = vec![ed25519("w.example"), ml_dsa("x.example")];
        assert!(names(two).is_err());
    }
}
