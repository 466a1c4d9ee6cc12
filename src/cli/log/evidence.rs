//! `whosaw log evidence`: whether a file proves that a log signed two histories, or a time that had not come.

mod ahead;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::{Exit, print_json, read_policy};
use crate::encoding::printable;
use crate::time::Time;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::cosignature;
use crate::tlog::evidence::{Contradiction, Evidence, EvidenceError};
use crate::tlog::hash::Hash;
use crate::tlog::note::{Note, VerifierKey};
use crate::tlog::policy::PolicyWitness;
use crate::tlog::tree::TreeSize;

/// Check a file that is said to prove that a log signed two histories, or dated an entry ahead
///
/// A witness or a reader that catches a log at it keeps such a file: a .tlog-evidence of two histories
/// rests on the log's own key alone; a .tlog-proof of an entry that was logged with a time that had not
/// come rests on the witnesses' clocks, and needs the trust file. Neither needs a network or a server.
/// Exits 0 when it proves it, 1 when it proves nothing, 2 when it could not be read.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("keys").required(true),
    after_help = "Examples:\n  \
    whosaw log evidence fork-at-300.tlog-evidence --policy log.policy\n  \
    whosaw log evidence logged-ahead-12-to-14.tlog-proof --policy log.policy\n  \
    whosaw log evidence evidence --log-key log.vkey --json"
)]
pub struct Args {
    /// The evidence file: .tlog-evidence or .tlog-proof
    file: PathBuf,
    /// The log's key: a vkey, or a file with one; repeatable, for a log with a key of each kind
    #[arg(long, value_name = "VKEY|FILE", group = "keys")]
    log_key: Vec<String>,
    /// The trust file: the log's key, and its witnesses, of whom is told what they had cosigned
    #[arg(long, visible_alias = "trust", value_name = "FILE", group = "keys")]
    policy: Option<PathBuf>,
    /// Print what is proved as one JSON document
    #[arg(long)]
    json: bool,
}

/// What the file is checked with.
struct Trust {
    /// Keys of logs.
    keys: Vec<VerifierKey>,
    /// They may have said when they saw a checkpoint. The evidence does not rest on it.
    witnesses: Vec<PolicyWitness>,
}

impl Args {
    fn trust(&self) -> anyhow::Result<Trust> {
        if let Some(path) = &self.policy {
            let policy = read_policy(path)?;
            return Ok(Trust {
                keys: policy.logs().iter().map(|log| log.key.clone()).collect(),
                witnesses: policy.witnesses().to_vec(),
            });
        }
        let keys: anyhow::Result<_> = self.log_key.iter().map(|key| read_key(key)).collect();
        Ok(Trust {
            keys: keys?,
            witnesses: Vec::new(),
        })
    }
}

/// Whatever is no vkey is a file's name.
fn read_key(given: &str) -> anyhow::Result<VerifierKey> {
    if let Ok(key) = given.parse() {
        return Ok(key);
    }
    let text = std::fs::read_to_string(given)
        .with_context(|| format!("{given} is neither a vkey nor a file with one"))?;
    text.trim_end().parse().with_context(|| given.to_owned())
}

/// Runs the command.
///
/// # Errors
/// If a file cannot be read, or a key is none.
pub fn run(args: &Args, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let bytes = std::fs::read(&args.file).with_context(|| args.file.display().to_string())?;
    if ahead::is_proof(&bytes) {
        let path = args.policy.as_ref();
        let path =
            path.context("a .tlog-proof is checked by the witnesses' times: give --policy")?;
        let holds = ahead::run(&bytes, &read_policy(path)?, args.json, out)?;
        return Ok(if holds { Exit::Yes } else { Exit::No });
    }
    let trust = args.trust()?;
    let proved = judge(&bytes, &trust);
    if args.json {
        print_json(out, &to_json(&proved))?;
    } else {
        tell(out, &proved)?;
    }
    Ok(match proved {
        Ok(_) => Exit::Yes,
        Err(_) => Exit::No,
    })
}

/// What a file proves, and which witnesses had seen which of the two checkpoints.
struct Proved {
    contradiction: Contradiction,
    earlier_seen: BTreeMap<String, Time>,
    later_seen: BTreeMap<String, Time>,
}

fn judge(bytes: &[u8], trust: &Trust) -> Result<Proved, EvidenceError> {
    let evidence = Evidence::parse(bytes)?;
    let contradiction = evidence.verify(&trust.keys)?;
    let (earlier, later) = (&contradiction.earlier, &contradiction.later);
    Ok(Proved {
        earlier_seen: seen(&evidence.earlier, earlier, &trust.witnesses),
        later_seen: seen(&evidence.later, later, &trust.witnesses),
        contradiction,
    })
}

/// Which witnesses cosigned, and when; lines that do not hold are nobody's.
fn seen(
    note: &Note,
    checkpoint: &Checkpoint,
    witnesses: &[PolicyWitness],
) -> BTreeMap<String, Time> {
    let cosigned = witnesses.iter().filter_map(|witness| {
        let key = &witness.key;
        let mut lines = note.signatures_by(key);
        let time = lines.find_map(|line| cosignature::verify(key, checkpoint, line).ok())?;
        Some((printable(&witness.name), time))
    });
    cosigned.collect()
}

fn tell(out: &mut impl io::Write, proved: &Result<Proved, EvidenceError>) -> io::Result<()> {
    let proved = match proved {
        Ok(proved) => proved,
        Err(error) => return writeln!(out, "it proves nothing: {error}"),
    };
    let Contradiction {
        earlier,
        later,
        rewritten,
    } = &proved.contradiction;
    writeln!(
        out,
        "it holds: the log {} signed two histories",
        earlier.origin
    )?;
    let root_then = (earlier.size < later.size).then_some((earlier.size, rewritten));
    tell_one(out, "one", earlier, None, &proved.earlier_seen)?;
    tell_one(out, "another", later, root_then, &proved.later_seen)?;
    let both = proved.earlier_seen.keys();
    let both = both.filter(|name| proved.later_seen.contains_key(*name));
    let both: Vec<&str> = both.map(String::as_str).collect();
    if !both.is_empty() {
        let names = both.join(" and ");
        writeln!(out, "  {names} cosigned both, which no witness may")?;
    }
    writeln!(
        out,
        "Both bear the log's own signature, and no log that only grows can have both. Whoever holds \
         its key\nshowed some readers one history and others another, or rewrote what it had shown."
    )
}

fn tell_one(
    out: &mut impl io::Write,
    which: &str,
    checkpoint: &Checkpoint,
    root_then: Option<(TreeSize, &Hash)>,
    seen: &BTreeMap<String, Time>,
) -> io::Result<()> {
    let (size, root) = (checkpoint.size, &checkpoint.root);
    writeln!(out, "  {which} of {size} entries, with the root {root}")?;
    if let Some((size, root)) = root_then {
        writeln!(out, "    whose first {size} have the root {root}")?;
    }
    for (witness, time) in seen {
        writeln!(out, "    cosigned by {witness} at {time}")?;
    }
    Ok(())
}

fn to_json(proved: &Result<Proved, EvidenceError>) -> serde_json::Value {
    let proved = match proved {
        Ok(proved) => proved,
        Err(error) => {
            return json!({ "holds": false, "kind": "two-histories", "why": error.to_string() });
        }
    };
    let Contradiction {
        earlier,
        later,
        rewritten,
    } = &proved.contradiction;
    json!({
        "holds": true,
        "kind": "two-histories",
        "origin": earlier.origin.as_str(),
        "earlier": {
            "size": earlier.size,
            "root": earlier.root.to_string(),
            "cosigned": proved.earlier_seen,
        },
        "later": {
            "size": later.size,
            "root": later.root.to_string(),
            "root_at_earlier_size": rewritten.to_string(),
            "cosigned": proved.later_seen,
        },
    })
}
