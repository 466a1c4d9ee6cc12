//! `keys`, `rotate-key`, `add-key`, `revoke-key`: a party's keys over time.

use std::path::PathBuf;

use serde_json::json;

use super::Exit;
use super::output::{confirm, tell};
use super::party::{SignOnly, Speaker};
use super::written::check_apart;
use crate::party::keys::{self, Known, Own, Rotation};
use crate::statement::key::PublicKey;
use crate::statement::kinds::key_change::{RevocationReason, RevokedKey};
use crate::statement::words::{Label, Role};
use crate::time::Time;

/// What can be done with a party's keys
#[derive(Debug, clap::Subcommand)]
pub enum Command<S: Speaker> {
    Keys(Keys<S>),
    RotateKey(RotateKey<S>),
    AddKey(AddKey<S>),
    RevokeKey(RevokeKey<S>),
}

/// List the party's keys as the log has them
#[derive(Debug, clap::Args)]
pub struct Keys<S: Speaker> {
    #[command(flatten)]
    speaker: S,
    /// Do not read the log: the keys in this folder alone
    #[arg(long)]
    offline: bool,
}

/// Replace a key of this folder by a new one
///
/// The new key is added and the old one revoked by one statement. An admin key has to wait first, as
/// the ledger's limits say: the first call adds it, and the same call after that time ends the old one.
/// The old key is kept in the folder. Stopped in between, the same call goes on. A server reads its
/// keys when it starts: an operator starts `whosaw serve` again.
#[derive(Debug, clap::Args)]
pub struct RotateKey<S: Speaker> {
    /// Which key
    #[arg(value_enum)]
    role: Role,
    #[command(flatten)]
    speaker: S,
    /// The pseudonym under which a new officer key signs; default: that of `init`
    #[arg(long, value_name = "LABEL")]
    label: Option<Label>,
    /// Why the old one ends
    #[arg(long, value_enum, default_value = "superseded")]
    reason: RevocationReason,
}

/// Add a key for somebody else's folder, such as another officer's
///
/// The key is drawn here and written to FILE (mode 0600): hand it over safely, for keys/ROLE.key in a
/// folder without the other keys, and delete it here.
#[derive(Debug, clap::Args)]
#[command(after_help = S::examples("Example:\n  \
    PARTY add-key officer FOLDER --label detective-7 -o detective-7.key"))]
pub struct AddKey<S: Speaker> {
    /// What it may sign
    #[arg(value_enum)]
    role: Role,
    #[command(flatten)]
    speaker: S,
    #[command(flatten)]
    sign_only: SignOnly,
    /// The pseudonym under which it signs; for officers
    #[arg(long, value_name = "LABEL", required_if_eq("role", "officer"))]
    label: Option<Label>,
    /// Where to write the key
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// End a key: nothing that it signs counts from here on
///
/// This cannot be undone.
#[derive(Debug, clap::Args)]
pub struct RevokeKey<S: Speaker> {
    /// The key, as `keys` lists it
    #[arg(value_name = "KEY")]
    key: PublicKey,
    #[command(flatten)]
    speaker: S,
    #[command(flatten)]
    sign_only: SignOnly,
    /// Why
    #[arg(long, value_enum)]
    reason: RevocationReason,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
///
/// # Errors
/// If a key cannot be read or kept, or the ledger refuses.
pub fn run<S: Speaker>(command: &Command<S>) -> anyhow::Result<Exit> {
    match command {
        Command::Keys(args) => list(args),
        Command::RotateKey(args) => rotate(args),
        Command::AddKey(args) => args.sign_only.finish(&args.speaker, |party| {
            if let Some(file) = &args.sign_only.sign_only {
                check_apart(file, &args.output)?;
            }
            let label = args.label.clone();
            let (envelope, key) = keys::add_for_another(party, args.role, label, &args.output)?;
            let file = args.output.display();
            let plain = format!("{key} may sign as {}; it lies in {file}", args.role);
            Ok((envelope, plain))
        }),
        Command::RevokeKey(args) => revoke(args),
    }
}

fn revoke<S: Speaker>(args: &RevokeKey<S>) -> anyhow::Result<Exit> {
    let question = format!("Revoke the key {} ({}) for good?", args.key, args.reason);
    if !confirm(&question, args.yes)? {
        tell("nothing was revoked", args.speaker.json());
        return Ok(Exit::No);
    }
    args.sign_only.finish(&args.speaker, |party| {
        let revoked = RevokedKey {
            key: args.key,
            reason: args.reason,
        };
        let plain = format!("{} is revoked", args.key);
        Ok((keys::end(party, revoked)?, plain))
    })
}

/// Lists the keys of the folder, without what only the log knows.
fn list_offline<S: Speaker>(args: &Keys<S>) -> anyhow::Result<Exit> {
    let own = keys::own(args.speaker.signatory()?.home())?;
    if args.speaker.json() {
        let row = |own: &Own| json!({ "key": own.key, "role": own.role, "file": own.file });
        let rows: Vec<_> = own.iter().map(row).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(Exit::Yes);
    }
    for Own { key, role, file } in &own {
        println!("{key}  {:<8} {file}", role.code());
    }
    Ok(Exit::Yes)
}

fn list<S: Speaker>(args: &Keys<S>) -> anyhow::Result<Exit> {
    if args.offline {
        return list_offline(args);
    }
    let party = args.speaker.open()?;
    let (follower, _) = party.follow(&mut |_, _| {})?;
    let known = keys::known(&party, &follower)?;
    let now = party.clock().now();
    if args.speaker.json() {
        let row = |known: &Known| {
            json!({ "key": known.key, "role": known.fact.role, "label": known.fact.label,
                    "added": known.fact.added, "usable_from": known.fact.usable_from,
                    "revoked": known.fact.revoked, "file": known.file })
        };
        let rows: Vec<_> = known.iter().map(row).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(Exit::Yes);
    }
    for known in &known {
        let role = known.fact.role.map_or("", Role::code);
        let label = known.fact.label.as_ref().map_or("", Label::as_str);
        let file = known.file.as_deref().unwrap_or("not in this folder");
        let state = state(known, now);
        println!("{}  {role:<8} {label:<14} {state:<30} {file}", known.key);
    }
    Ok(Exit::Yes)
}

fn state(known: &Known, now: Time) -> String {
    match known.fact.revoked {
        Some(entry) => format!("revoked by entry {entry}"),
        None if known.fact.usable_from > now => format!("waits until {}", known.fact.usable_from),
        None => "signs".to_owned(),
    }
}

fn rotate<S: Speaker>(args: &RotateKey<S>) -> anyhow::Result<Exit> {
    let party = args.speaker.open()?;
    let rotation = keys::rotate(&party, args.role, args.label.clone(), args.reason)?;
    let (key, until) = match rotation {
        Rotation::Done(key) => (key, None),
        Rotation::Waits { key, until } => (key, Some(until)),
    };
    if args.speaker.json() {
        let answer = json!({ "key": key, "role": args.role, "waits_until": until });
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(Exit::Yes);
    }
    match until {
        None => println!("{key} signs from now on; the old key is revoked"),
        Some(until) => println!(
            "{key} is added and waits until {until}; the old key signs until you run this again \
             after that"
        ),
    }
    Ok(Exit::Yes)
}
