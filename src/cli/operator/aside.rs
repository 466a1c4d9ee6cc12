//! `operator clips-aside`: clips that `vaults.db` does not know, since it is an older one.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::output::{Output, confirm};
use crate::cli::serve::{check_clips, clips_folders};
use crate::party::operator::Operator;
use crate::plain::count;
use crate::store::clips::aside::{self, AsideClip};
use crate::store::files::{Access, Files};
use crate::store::lock::DataLock;
use crate::store::vaults::{ClipId, VaultId, Vaults};
use crate::time::Time;
use crate::wire::vault::HexId;

/// List or remove clips that were complete and that vaults.db does not know
///
/// With a vaults.db from a backup, clips completed since are put aside: they stay on the disk, count
/// against no quota, and the server deletes none of them. A device completes its own again at its next
/// sync.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    List(List),
    Remove(Remove),
}

/// Where the clips are, and how answers are printed
#[derive(Debug, clap::Args)]
struct Own {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The folder that `whosaw serve --clips` names; default: DIR
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

impl Own {
    /// The database, and the folders of clips that belong to it. A wrong one of either would show as clips
    /// that are put aside, or as none.
    fn open(&self, root: &Path) -> anyhow::Result<(Vaults, [PathBuf; 2])> {
        let vaults = Vaults::open_existing(&root.join("vaults.db"))?;
        let folders = clips_folders(root, self.clips.as_deref())?;
        let folder = &folders[0];
        if !folder.is_dir() {
            bail!(
                "there is no folder {}: name by --clips what `whosaw serve --clips` names",
                folder.display()
            );
        }
        check_clips(folder, &vaults)?;
        Ok((vaults, folders))
    }
}

/// List the clips that are put aside; a server may run meanwhile
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whosaw operator clips-aside list --data ledger")]
pub struct List {
    #[command(flatten)]
    own: Own,
}

/// Delete clips that are put aside, for good; the server must be stopped
///
/// A clip whose device has not synced since the restore is lost by that: nobody else has its body.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw operator clips-aside remove --data ledger \\\n    \
    0f0e0d0c0b0a09080706050403020100:00112233445566778899aabbccddeeff")]
pub struct Remove {
    /// Which, as `list` prints them
    #[arg(value_name = "VAULT:CLIP", required_unless_present = "all", value_parser = parse)]
    clips_aside: Vec<(VaultId, ClipId)>,
    /// All of them
    #[arg(long, conflicts_with = "clips_aside")]
    all: bool,
    #[command(flatten)]
    own: Own,
    /// Do not ask: delete them
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
///
/// # Errors
/// If the folders or the database cannot be read, a server runs, or a clip named is not put aside.
pub fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::List(args) => list(&args.own),
        Command::Remove(args) => remove(args),
    }
}

fn list(own: &Own) -> anyhow::Result<Exit> {
    let root = Operator::open(&own.data)?.home().root().to_owned();
    let (vaults, [folder, _]) = own.open(&root)?;
    let aside = aside::list(&folder, &vaults)?;
    if own.json {
        let clips: Vec<Value> = aside
            .iter()
            .map(|found| json_of(found, &vaults))
            .collect::<Result<_, _>>()?;
        writeln!(Output::lock(), "{}", json!({ "clips": clips }))?;
        return Ok(Exit::Yes);
    }
    let mut out = Output::lock();
    for found in &aside {
        let (bytes, since) = (found.bytes, time(found)?);
        write!(
            out,
            "{}:{}  {bytes} bytes  {since}",
            found.vault, found.clip
        )?;
        match vaults.vault(found.vault)? {
            Some(_) => writeln!(out)?,
            None => writeln!(out, "  vault unknown")?,
        }
    }
    let bytes: u64 = aside.iter().map(|found| found.bytes).sum();
    let clips = count(aside.len() as u64, "clip");
    writeln!(out, "{clips} put aside, {bytes} bytes")?;
    Ok(Exit::Yes)
}

fn remove(args: &Remove) -> anyhow::Result<Exit> {
    let root = Operator::open(&args.own.data)?.home().root().to_owned();
    let _lock = DataLock::acquire(&root)?;
    let (vaults, [folder, staging]) = args.own.open(&root)?;
    let mut chosen = aside::list(&folder, &vaults)?;
    if !args.all {
        let is_aside = |id: &(VaultId, ClipId)| chosen.iter().any(|c| (c.vault, c.clip) == *id);
        if let Some((vault, clip)) = args.clips_aside.iter().find(|id| !is_aside(id)) {
            bail!("{vault}:{clip} is no clip that is put aside: nothing was removed");
        }
        chosen.retain(|found| args.clips_aside.contains(&(found.vault, found.clip)));
    }
    let bytes: u64 = chosen.iter().map(|found| found.bytes).sum();
    let clips = count(chosen.len() as u64, "clip");
    let question = format!("This deletes {clips}, {bytes} bytes, for good. Go on?");
    if !chosen.is_empty() && !confirm(&question, args.yes)? {
        println!("nothing was removed");
        return Ok(Exit::No);
    }
    let files = Files::open(&folder, &staging, Access::Private)?;
    for found in &chosen {
        aside::remove(&files, &vaults, found.vault, found.clip)?;
    }
    match args.own.json {
        true => println!("{}", json!({ "removed": chosen.len(), "bytes": bytes })),
        false => println!("removed {clips}, {bytes} bytes"),
    }
    Ok(Exit::Yes)
}

fn json_of(found: &AsideClip, vaults: &Vaults) -> anyhow::Result<Value> {
    Ok(json!({
        "vault": found.vault.to_string(),
        "clip": found.clip.to_string(),
        "bytes": found.bytes,
        "since": time(found)?.to_string(),
        "vault_known": vaults.vault(found.vault)?.is_some(),
    }))
}

fn time(found: &AsideClip) -> anyhow::Result<Time> {
    let since = found.since.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(since.as_secs().try_into()?).context("a file has a time that cannot be written")
}

fn parse(text: &str) -> Result<(VaultId, ClipId), String> {
    let id = |text: &str| text.parse::<HexId>().map_err(|error| error.to_string());
    let (vault, clip) = text
        .split_once(':')
        .ok_or("VAULT:CLIP, as `list` prints it")?;
    Ok((
        VaultId::from_bytes(*id(vault)?.as_bytes()),
        ClipId::from_bytes(*id(clip)?.as_bytes()),
    ))
}
