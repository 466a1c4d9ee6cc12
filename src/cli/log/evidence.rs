//! `whosaw log evidence`: whether a file proves that a log signed two histories.

use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::{Exit, print_json, read_policy};
use crate::tlog::evidence::{Contradiction, Evidence, EvidenceError};
use crate::tlog::hash::Hash;
use crate::tlog::note::VerifierKey;

/// Check a file that is said to prove that a log signed two histories
///
/// A witness or a reader that catches a log at it keeps such a file. It needs no network, no server
/// and nobody's word but the log's own key. Exits 0 when it proves it, 1 when it proves nothing.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("keys").required(true),
    after_help = "Examples:\n  \
    whosaw log evidence fork-at-300.tlog-evidence --policy log.policy\n  \
    whosaw log evidence evidence --log-key log.vkey --json"
)]
pub struct Args {
    /// The evidence file
    file: PathBuf,
    /// The log's key: a vkey, or a file with one; repeatable, for a log with a key of each kind
    #[arg(long, value_name = "VKEY|FILE", group = "keys")]
    log_key: Vec<String>,
    /// The trust file: the log's key
    #[arg(long, value_name = "FILE", group = "keys")]
    policy: Option<PathBuf>,
    /// Print what is proved as one JSON document
    #[arg(long)]
    json: bool,
}

impl Args {
    fn keys(&self) -> anyhow::Result<Vec<VerifierKey>> {
        if let Some(path) = &self.policy {
            let policy = read_policy(path)?;
            return Ok(policy.logs().iter().map(|log| log.key.clone()).collect());
        }
        self.log_key.iter().map(|key| read_key(key)).collect()
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
    let keys = args.keys()?;
    let bytes = std::fs::read(&args.file).with_context(|| args.file.display().to_string())?;
    let proved = Evidence::parse(&bytes).and_then(|evidence| evidence.verify(&keys));
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

fn tell(out: &mut impl io::Write, proved: &Result<Contradiction, EvidenceError>) -> io::Result<()> {
    let proved = match proved {
        Ok(proved) => proved,
        Err(error) => return writeln!(out, "it proves nothing: {error}"),
    };
    let (earlier, later) = (&proved.earlier, &proved.later);
    writeln!(
        out,
        "it holds: the log {} signed two histories",
        earlier.origin
    )?;
    writeln!(
        out,
        "  one of {} entries, with the root {}",
        earlier.size, earlier.root
    )?;
    writeln!(
        out,
        "  one of {} entries, with the root {}",
        later.size, later.root
    )?;
    if earlier.size < later.size {
        let (size, root) = (earlier.size, &proved.rewritten);
        writeln!(out, "    whose first {size} entries have the root {root}")?;
    }
    writeln!(
        out,
        "  both bear the log's own signature: whoever holds its key showed some readers one history \
         and others another"
    )
}

fn to_json(proved: &Result<Contradiction, EvidenceError>) -> serde_json::Value {
    let proved = match proved {
        Ok(proved) => proved,
        Err(error) => return json!({ "holds": false, "why": error.to_string() }),
    };
    let (earlier, later) = (&proved.earlier, &proved.later);
    let root = |hash: &Hash| hash.to_string();
    json!({
        "holds": true,
        "origin": earlier.origin.as_str(),
        "earlier": { "size": earlier.size, "root": root(&earlier.root) },
        "later": {
            "size": later.size,
            "root": root(&later.root),
            "root_at_earlier_size": root(&proved.rewritten),
        },
    })
}
