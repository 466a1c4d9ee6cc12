//! `whosaw log compare`: whether what a log showed to two readers can both be true.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use super::{Exit, read_policy};
use crate::reader::source::{self, Tiles};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::evidence::{Contradiction, Evidence, EvidenceError};
use crate::tlog::note::{Note, VerifierKey};
use crate::tlog::proof::TlogProof;

/// Compare what a log showed to two readers, or to a reader and a witness
///
/// Each file is a checkpoint, as a log or a witness serves it, or a .tlog-proof file. Of two sizes,
/// the log's tiles tell whether the larger tree begins with the smaller one; they may come from
/// anyone who has a copy of what was shown with the larger checkpoint. Exits 0 when the checkpoints
/// agree, 1 when they do not and the evidence is written, 2 when it could not be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw log compare mine.checkpoint yours.checkpoint --policy log.policy\n  \
    whosaw log compare 12.tlog-proof yours.checkpoint --policy log.policy --log ./your-copy")]
pub struct Args {
    /// One checkpoint
    one: PathBuf,
    /// The other
    other: PathBuf,
    /// The trust file: the log's key
    #[arg(long, visible_alias = "trust", value_name = "FILE")]
    policy: PathBuf,
    /// The log: an address or a folder; needed for checkpoints of two sizes
    #[arg(long, value_name = "URL|DIR")]
    log: Option<String>,
    /// Where to write the evidence; default: fork-at-SIZE.tlog-evidence, here
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// If a file is no checkpoint signed by the log, or the log does not show the larger one's tree.
pub fn run(args: &Args, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let policy = read_policy(&args.policy)?;
    let keys: Vec<VerifierKey> = policy.logs().iter().map(|log| log.key.clone()).collect();
    let one = read(&args.one)?;
    let other = read(&args.other)?;
    let evidence = set_against(args, one, other)?;
    match evidence.verify(&keys) {
        Ok(contradiction) => {
            let path = keep(args, &contradiction, &evidence)?;
            let (earlier, later) = (&contradiction.earlier, &contradiction.later);
            writeln!(
                out,
                "the log {} signed two histories, one of {} entries and another of {}\n  \
                 the evidence is {}: anyone can check it with `whosaw log evidence`",
                earlier.origin,
                earlier.size,
                later.size,
                path.display()
            )?;
            Ok(Exit::No)
        }
        Err(EvidenceError::NoContradiction) => {
            let size = |note: &Note| Checkpoint::parse(&note.text).map(|c| c.size);
            let (earlier, later) = (size(&evidence.earlier)?, size(&evidence.later)?);
            writeln!(
                out,
                "they agree: the tree of {later} entries begins with the tree of {earlier}"
            )?;
            Ok(Exit::Yes)
        }
        Err(EvidenceError::OtherTree) => Err(anyhow!(
            "the log given shows another tree than the larger checkpoint's: ask whoever has that \
             checkpoint for a copy of its log"
        )),
        Err(error) => Err(error.into()),
    }
}

/// The note of a checkpoint, or the one at the end of a proof file.
fn read(path: &Path) -> anyhow::Result<(Checkpoint, Note)> {
    let parsed = || {
        let bytes = std::fs::read(path)?;
        let bytes = TlogProof::parse(&bytes).map_or(bytes, |proof| proof.checkpoint);
        let note = Note::parse(&bytes)?;
        anyhow::Ok((Checkpoint::parse(&note.text)?, note))
    };
    parsed().with_context(|| path.display().to_string())
}

fn set_against(
    args: &Args,
    one: (Checkpoint, Note),
    other: (Checkpoint, Note),
) -> anyhow::Result<Evidence> {
    if one.0.origin != other.0.origin {
        bail!(EvidenceError::TwoLogs(one.0.origin, other.0.origin));
    }
    if one.0.size == other.0.size {
        return Ok(Evidence::of_one_size(one.1, other.1));
    }
    let log = args.log.as_ref();
    let log = log.context("they are of two sizes: say by --log where the larger one's log is")?;
    let source = source::open(log)?;
    let evidence = Evidence::between(one, other, &Tiles(source.as_ref()));
    evidence.with_context(|| log.clone())
}

/// Writes the evidence where nothing is yet.
fn keep(
    args: &Args,
    contradiction: &Contradiction,
    evidence: &Evidence,
) -> anyhow::Result<PathBuf> {
    let size = contradiction.earlier.size;
    let own = || PathBuf::from(format!("fork-at-{size}.tlog-evidence"));
    let path = args.output.clone().unwrap_or_else(own);
    let write = || write!(File::create_new(&path)?, "{evidence}");
    write().with_context(|| path.display().to_string())?;
    Ok(path)
}
