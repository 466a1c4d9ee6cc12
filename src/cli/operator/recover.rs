//! `whosaw operator restore` and `whosaw operator adopt`: a ledger after a disaster, or in another place.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::names_origin;
use crate::cli::Exit;
use crate::cli::fsck::{exit, print_repaired, repaired_json};
use crate::cli::log::{Progress, print_json};
use crate::cli::output::Output;
use crate::encoding::printable;
use crate::ledger::fsck::{Copy, Recovered, Recovery, Repaired};
use crate::party::operator::Operator;
use crate::reader::source;
use crate::store::lock::DataLock;
use crate::time::Clock;

/// How long a witness may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Restore a ledger after a disaster: go forward from an old ledger.db to the last signed checkpoint
///
/// Run it after you have put back a backup, or where ledger.db is damaged or lost, with the server
/// stopped. It looks for the largest checkpoint that the log's key signed: in ledger.db, in DIR/log, in
/// each copy named by --from, and at the witnesses, published or not. It takes every entry under it from
/// wherever it is found, verifies all of them against the signed root, replays the rules, and writes a new
/// ledger.db; the old one is moved to DIR/damaged. Commitment lists that are missing in DIR/batches are taken
/// from a folder of --from; those that no copy has are a note. If a witness has cosigned more entries than
/// are found, it changes nothing and says so. Exits 0 when the ledger is whole, 1 when it cannot be restored, 2 when
/// something could not be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw operator restore --data ledger --from /mnt/second-disk/tiles\n  \
    whosaw operator restore --data ledger --from https://mirror.example/ledger")]
pub struct Restore {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    from: From,
    /// Print what was done as one JSON document
    #[arg(long)]
    json: bool,
}

/// Where entries are looked for, and who is asked
#[derive(Debug, clap::Args)]
pub struct From {
    /// A copy of the log, beside DIR/log: an address, or a folder such as that of `serve --tiles-copy`;
    /// repeatable
    #[arg(long, value_name = "LOG|DIR")]
    pub from: Vec<String>,
    /// Leave out this witness, by its name in log.policy: it is gone for good, or it lies about what it
    /// has cosigned; repeatable
    #[arg(long, value_name = "NAME")]
    pub without: Vec<String>,
}

/// Take over a ledger whose folder was moved or copied, so that `whosaw serve` starts there
///
/// `whosaw serve` refuses a folder that is on another machine or device, or has another inode, than when
/// it was used last: another server may go on with the same log. Stop that one for good, then adopt this
/// folder. The witnesses are asked first, and you are asked for the log's origin. Exits 0 when the folder
/// is adopted, 1 when a witness has cosigned more than the folder has or you do not agree, 2 when too few
/// witnesses could be asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whosaw operator adopt --data ledger")]
pub struct Adopt {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Do not ask this witness, by its name in log.policy; repeatable
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// Do not ask me: no other server runs with this log's key
    #[arg(long)]
    yes: bool,
}

/// Refuses names that are none of a witness in the policy: a typing error would leave nothing out.
pub fn check_names(operator: &Operator, names: &[String]) -> anyhow::Result<BTreeSet<String>> {
    let policy = operator.home().policy()?;
    let known: Vec<&str> = policy.witnesses().iter().map(|w| w.name.as_str()).collect();
    for name in names {
        if !known.contains(&name.as_str()) {
            bail!(
                "log.policy has no witness {name:?}; it has {}",
                known.join(", ")
            );
        }
    }
    Ok(names.iter().cloned().collect())
}

impl From {
    /// What a recovery of this operator's ledger is made with.
    pub fn recovery(&self, operator: &Operator) -> anyhow::Result<Recovery> {
        let copy = |name: &String| {
            let source = source::open(name)?;
            // One that cannot be reached is not one that has nothing.
            source
                .read("checkpoint")
                .with_context(|| format!("--from {name}"))?;
            Ok::<_, anyhow::Error>(Copy {
                source,
                own: Path::new(name).is_dir(),
                name: name.clone(),
            })
        };
        for name in &self.from {
            if !name.contains("://") && !Path::new(name).is_dir() {
                bail!(
                    "there is no folder {name}: begin an address with https://, or with http:// on this machine"
                );
            }
        }
        Ok(Recovery {
            signer: operator.signer()?,
            copies: self.from.iter().map(copy).collect::<Result<_, _>>()?,
            without: check_names(operator, &self.without)?,
            timeout: TIMEOUT,
        })
    }
}

/// Runs `restore`.
///
/// # Errors
/// If a server runs on the folder, or something cannot be read or written.
pub fn restore(args: &Restore) -> anyhow::Result<Exit> {
    run(&args.data, &args.from, args.json, &mut Output::lock())
}

/// Goes forward in the folder `data`, and prints what was done.
///
/// # Errors
/// As [`restore`].
pub fn run(data: &Path, from: &From, json: bool, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let operator = Operator::open(data)?;
    let recovery = from.recovery(&operator)?;
    let mut fsck = operator.fsck()?;
    let copies = from.from.iter().map(Path::new);
    fsck.lists = copies.map(|copy| copy.join("batches")).collect();
    let _lock = DataLock::acquire(data)?;
    let bar = Progress::new("restoring");
    let mut progress = |done, of| bar.set(done, of);
    let recovered = fsck.recover(&recovery, Clock::system().now(), &mut progress)?;
    drop(bar);
    match recovered {
        Recovered::Refused(why) => {
            match json {
                true => print_json(out, &json!({ "refused": why }))?,
                false => writeln!(out, "{why}\nnothing was changed")?,
            }
            Ok(Exit::No)
        }
        Recovered::Done {
            before,
            signed,
            found,
            entries,
            taken,
            repaired,
        } => {
            if json {
                let value = json!({
                    "entries_before": before,
                    "signed": signed,
                    "found": found,
                    "entries": entries,
                    "taken": taken,
                    "repair": repaired_json(&repaired),
                });
                print_json(out, &value)?;
            } else {
                let had = before.map_or("none that could be read".to_owned(), |n| n.to_string());
                writeln!(
                    out,
                    "the last checkpoint signed by the log has {signed} entries ({found})"
                )?;
                writeln!(out, "ledger.db had {had}, and has {entries}")?;
                for (place, count) in &taken {
                    writeln!(out, "  {count} entries from {place}")?;
                }
                print_repaired(out, &repaired)?;
            }
            if !json && !operator.is_at_home()? {
                writeln!(
                    out,
                    "next      whosaw operator adopt: the folder is not where the ledger was used last"
                )?;
            }
            Ok(match &*repaired {
                Repaired::Refused { .. } => Exit::No,
                Repaired::Done { after, .. } => exit(after),
            })
        }
    }
}

/// Runs `adopt`.
///
/// # Errors
/// If a server runs on the folder, or something cannot be read or written, or too few witnesses answer.
pub fn adopt(args: &Adopt) -> anyhow::Result<Exit> {
    let operator = Operator::open(&args.data)?;
    if !operator.has_begun() {
        bail!(
            "{} has no ledger.db: put its backup in place, or `whosaw operator restore` makes it of a copy \
             of the log",
            args.data.display()
        );
    }
    let without = check_names(&operator, &args.without)?;
    let _lock = DataLock::acquire(&args.data)?;
    let asked = operator.ask_witnesses(&without, TIMEOUT)?;
    if let Some(why) = asked.proof() {
        println!("{}", printable(&why));
        println!("this folder has an old copy of the log: restore it by `whosaw operator restore`");
        return Ok(Exit::No);
    }
    if !asked.is_enough(&operator.home().policy()?) {
        for (name, why) in asked.reasons() {
            println!("{} {why}", printable(&name));
        }
        bail!(
            "too few witnesses have confirmed that this folder has the whole log: try again, or leave one \
             out that is gone for good by --without NAME"
        );
    }
    if !args.yes {
        println!(
            "The witnesses have cosigned nothing beyond this folder. Two servers with one log's key make two \
             histories: stop the other one for good."
        );
        if !names_origin(
            operator.origin(),
            "This lets `whosaw serve` go on with the log here.",
            "adopting a folder may end a log",
        )? {
            println!("nothing was changed");
            return Ok(Exit::No);
        }
    }
    operator.adopt()?;
    println!("adopted: `whosaw serve` starts here");
    Ok(Exit::Yes)
}
