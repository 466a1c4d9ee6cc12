//! `log opening`: which field of which statement an opening opens, and what it says.

use std::io::{self, Read as _};
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::{Copy, Exit, Log, print_json};
use crate::encoding::printable;
use crate::reader::follower::Entry;
use crate::statement::facts::FactsExt as _;
use crate::statement::sealed::{MAX_OPENING, Misopened, SealDigest, open_field};

/// Check an opening that somebody gave you: which sealed field it opens, and what it says
///
/// Sealed fields stand in the log as digests. Whoever sealed one can hand its opening to you alone
/// (`whosaw agency opening`); with it and the log you need nobody's word. The server is not told
/// which statement you ask about. Exits 0 when it opens a field of the statement, 1 when it does not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw log opening case-number.opening '#12' --log ./copy-of-the-log --policy log.policy")]
pub struct Args {
    /// The opening, an SD-JWT disclosure
    file: PathBuf,
    /// The statement: its id, the id's first 8 or more digits, or #INDEX
    #[arg(value_name = "ID")]
    statement: String,
    #[command(flatten)]
    log: Log,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If the log or the file cannot be read, or there is no such statement.
pub(super) fn run(args: &Args, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let context = || args.file.display().to_string();
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&args.file).with_context(context)?;
    file.take(MAX_OPENING as u64 + 2)
        .read_to_end(&mut bytes)
        .with_context(context)?;
    // The end of a line that a mail program or an editor added.
    let text = bytes.trim_ascii_end();
    let copy = args.log.read()?;
    let entry = copy.find(&args.statement)?;
    let (name, value) = match opens(&entry, text) {
        Ok(opened) => opened,
        Err((field, why)) => {
            let elsewhere = elsewhere(&copy, &entry, text)?;
            if args.json {
                let no = json!({ "opens": false, "field": field, "why": why.to_string() });
                print_json(out, &no)?;
                return Ok(Exit::No);
            }
            match field {
                Some(field) => writeln!(out, "misopened: what opens its {field} {why}")?,
                None => writeln!(out, "it opens nothing in {}: it {why}", entry.signed.id)?,
            }
            if let Some(index) = elsewhere {
                writeln!(out, "  its digest stands in entry {index}")?;
            }
            return Ok(Exit::No);
        }
    };
    let fields = entry.signed.statement.sealed();
    let field = fields.iter().find(|(other, _)| *other == name);
    let (_, field) = field.expect("it was found among them");
    let fact = copy.follower.facts().digest(&field.digest)?;
    let published = fact.and_then(|fact| fact.seal?.opened);
    if args.json {
        let yes = json!({
            "opens": true, "field": name, "value": value, "statement": entry.signed.id,
            "index": entry.index, "author": entry.signed.head.author.to_string(),
            "open_by": field.open_by, "published": published,
        });
        print_json(out, &yes)?;
        return Ok(Exit::Yes);
    }
    writeln!(out, "it holds: {name} is {}", printable(&value))?;
    writeln!(
        out,
        "  sealed by {} in entry {}: {}",
        entry.signed.head.author,
        entry.index,
        super::plain(&entry.signed)
    )?;
    match published {
        Some(at) => writeln!(out, "  opened for all by entry {at}")?,
        None => writeln!(out, "  not opened in the log; due by {}", field.open_by)?,
    }
    writeln!(out, "That it is true, it does not say.")?;
    Ok(Exit::Yes)
}

/// The field of an entry that a text opens, and its value; or which field it misopens, and why.
fn opens(
    entry: &Entry,
    text: &[u8],
) -> Result<(&'static str, String), (Option<&'static str>, Misopened)> {
    let mut failed = (None, Misopened::OtherDigest);
    for (name, field) in entry.signed.statement.sealed() {
        match open_field(text, &field.digest, name) {
            Ok(value) => return Ok((name, value)),
            // With its digest, and yet not what was promised.
            Err(why @ (Misopened::OtherName | Misopened::NoValue)) => failed = (Some(name), why),
            Err(why) if SealDigest::of(text) == field.digest => failed = (Some(name), why),
            Err(why) if failed.0.is_none() => failed.1 = why,
            Err(_) => {}
        }
    }
    Err(failed)
}

/// The other entry in which the digest of a text stands.
fn elsewhere(
    copy: &Copy,
    entry: &Entry,
    text: &[u8],
) -> anyhow::Result<Option<crate::tlog::tree::LeafIndex>> {
    let fact = copy.follower.facts().digest(&SealDigest::of(text))?;
    let at = fact.map(|fact| fact.entry);
    Ok(at.filter(|at| *at != entry.index))
}
