//! Commands that vendors, agencies, courts and watchdogs have in common.

pub mod deals;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::Exit;
use super::domains::DomainRecord;
use super::keys;
use super::output::{say_act, say_written};
use super::say::{self, Opening, Say, Unseal};
use super::written::Written;
use crate::client::base::BaseUrl;
use crate::encoding::printable;
use crate::party::home::{Home, Profile, key_path};
use crate::party::official::{Official, Signatory, fingerprints};
use crate::statement::envelope::Envelope;
use crate::statement::facts::{FactsExt as _, Whole};
use crate::statement::kinds::party::{CheckMethod, DomainCheck, Party};
use crate::statement::words::{Day, Jurisdiction, Label, Name, PartyId, PartyKind, Role};
use crate::statement::{Statement, sign};
use crate::time::Clock;
use crate::tlog::policy::Policy;
use crate::wire::statements::Logged;

/// What every party can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Init(Init),
    Register(Register),
    Say(Say<Own>),
    Unseal(Unseal<Own>),
    Opening(Opening<Own>),
    DomainRecord(DomainRecord<Own>),
    #[command(flatten)]
    Keys(keys::Command<Own>),
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

/// Who speaks, as a command line names it.
pub trait Speaker: clap::Args + std::fmt::Debug {
    /// A command of such a party, and how it names its folder, for examples.
    const EXAMPLE: (&str, &str);

    /// Examples for `--help`, with the party's own words for `PARTY` and `FOLDER`.
    fn examples(text: &str) -> String {
        let (party, folder) = Self::EXAMPLE;
        text.replace("PARTY", party).replace("FOLDER", folder)
    }

    /// The party, with its keys and its server.
    ///
    /// # Errors
    /// If its folder, trust file or server is not acceptable.
    fn open(&self) -> anyhow::Result<Official>;

    /// The party with its keys, and without its server.
    ///
    /// # Errors
    /// If its folder or trust file is not acceptable.
    fn signatory(&self) -> anyhow::Result<Signatory>;

    /// Whether answers are printed as JSON.
    fn json(&self) -> bool;
}

impl Speaker for Own {
    const EXAMPLE: (&str, &str) = ("whosaw agency", "--home lakeland");

    fn open(&self) -> anyhow::Result<Official> {
        Ok(Official::open(
            &self.home,
            self.server.as_deref(),
            Clock::system(),
        )?)
    }

    fn signatory(&self) -> anyhow::Result<Signatory> {
        Ok(Signatory::open(&self.home, Clock::system())?)
    }

    fn json(&self) -> bool {
        self.json
    }
}

/// Signing on a machine that cannot reach the ledger
#[derive(Debug, clap::Args)]
pub struct SignOnly {
    /// Send nothing: write the signed statement to FILE, for `whosaw submit FILE` on any machine within 7
    /// days. The ledger is not needed then
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pub sign_only: Option<PathBuf>,
}

impl SignOnly {
    /// Logs the statement that `sign` makes, or writes it to the file that was named for it, and says so. The
    /// text that `sign` returns is printed once it is logged. The answer is no if the log had it already.
    ///
    /// # Errors
    /// If it cannot be signed or written, or the ledger refuses.
    pub fn finish<S: Speaker>(
        &self,
        speaker: &S,
        sign: impl FnOnce(&Signatory) -> anyhow::Result<(Envelope, String)>,
    ) -> anyhow::Result<Exit> {
        match &self.sign_only {
            Some(file) => {
                Written::Envelope.check(file)?;
                let (envelope, _) = sign(&speaker.signatory()?)?;
                say_written(file, &envelope, SUBMIT, speaker.json())?;
                Ok(Exit::Yes)
            }
            None => {
                let party = speaker.open()?;
                let (envelope, plain) = sign(&party).map_err(|e| admin_key_elsewhere(&party, e))?;
                say_act(&party.submit(&envelope)?, &plain, speaker.json())
            }
        }
    }

    /// [`SignOnly::finish`] for a statement of the speaker alone.
    ///
    /// # Errors
    /// As there.
    pub fn finish_own<S: Speaker>(
        &self,
        speaker: &S,
        statement: &Statement,
        role: Role,
    ) -> anyhow::Result<Exit> {
        self.finish(speaker, |party| {
            Ok((
                party.sign_own(statement, role)?,
                plain_own(party, statement),
            ))
        })
    }
}

/// What to do where a statement could not be signed for want of the admin key.
pub fn admin_key_elsewhere(party: &Signatory, error: anyhow::Error) -> anyhow::Error {
    match key_path(party.home().root(), Role::Admin.code()).exists() {
        true => error,
        false => error.context(
            "this folder has no keys/admin.key: sign with --sign-only FILE where it is kept, without --server",
        ),
    }
}

/// What is to be done with a statement that was signed and not sent.
const SUBMIT: &str = "`whosaw submit` logs it, from any machine, within 7 days";

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
    #[arg(long, visible_alias = "policy", value_name = "FILE")]
    trust: PathBuf,
    /// The pseudonym under which the officer key signs
    #[arg(long, value_name = "LABEL", default_value = "officer-1")]
    officer_label: Label,
}

/// Write and sign the party's registration, for the operator to approve
///
/// Sign-only: nothing is sent. The operator checks who you are, countersigns with `whosaw operator
/// approve FILE`, and submits it. If you publish your keys under your host name, do that first
/// (`domain-record` prints what) and say how: the operator signs only what it sees there.
#[derive(Debug, clap::Args)]
pub struct Register {
    #[command(flatten)]
    own: Own,
    /// Where to write the signed registration
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Where you have published your keys, for the operator to see that the host name is yours
    #[arg(long, value_enum, value_name = "METHOD", default_value = "not-checked")]
    domain_check: CheckMethod,
    /// The party that this one takes over from, keys lost: the operator has withdrawn it
    #[arg(long, value_name = "ID")]
    succeeds: Option<PartyId>,
}

/// Runs the command for a party of this kind.
///
/// # Errors
/// If a file, the server or the log is not acceptable.
pub fn run(command: &Command, kind: PartyKind) -> anyhow::Result<Exit> {
    match command {
        Command::Init(args) => init(args, kind),
        Command::Register(args) => register(args),
        Command::Say(args) => say::say(args),
        Command::Unseal(args) => say::unseal(args),
        Command::Opening(args) => say::opening(args),
        Command::DomainRecord(args) => args.run(),
        Command::Keys(command) => keys::run(command),
    }
}

/// Reads a trust file that binds the operator; prints its fingerprints.
///
/// # Errors
/// If it is no policy of one log, or its quorum is the operator's own.
pub fn read_trust(path: &Path) -> anyhow::Result<(Policy, String)> {
    let file = || format!("trust file {}", path.display());
    let text = std::fs::read_to_string(path).with_context(file)?;
    let policy = Policy::parse(&text).with_context(file)?;
    policy.check_independent().with_context(file)?;
    if let n @ (0 | 2..) = policy.origins().len() {
        bail!("{} names {n} logs, where one is expected", file());
    }
    Ok((policy, text))
}

/// Prints what people compare before they believe a trust file.
pub fn print_fingerprints(policy: &Policy) {
    println!("compare these with what others have:");
    for (what, key) in fingerprints(policy) {
        println!("  {:<22} {}", printable(&what), printable(&key));
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
        domain_check: None,
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
        succeeds: args.succeeds.clone(),
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

/// Signs a statement of the party alone, logs it, and says so.
///
/// # Errors
/// Those of [`submit_own`].
pub fn log(party: &Official, statement: Statement, role: Role, json: bool) -> anyhow::Result<Exit> {
    let logged = submit_own(party, &statement, role)?;
    say_act(&logged, &plain_own(party, &statement), json)
}

/// Signs a statement of the party alone and logs it.
///
/// # Errors
/// The server's refusal, or a proof that does not hold.
pub fn submit_own(party: &Official, statement: &Statement, role: Role) -> anyhow::Result<Logged> {
    Ok(party.submit(&party.sign_own(statement, role)?)?)
}

/// What a statement of the party alone says.
pub fn plain_own(party: &Signatory, statement: &Statement) -> String {
    statement.plain(party.profile().party.as_str())
}
