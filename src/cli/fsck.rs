//! `whosaw log fsck`: the operator's own look at a ledger's data.

use std::io;
use std::path::PathBuf;

use anyhow::bail;
use serde_json::json;

use super::Exit;
use super::log::{Progress, print_json};
use super::operator::recover::{self, From};
use crate::ledger::fsck::{Finding, Mend, Repaired, Report, State};
use crate::party::operator::Operator;
use crate::store::lock::DataLock;
use crate::time::Clock;

/// Check a ledger's data folder: everything derived again from the entries, and compared
///
/// For the operator, with the server stopped. Parses every entry, verifies its signatures, replays the
/// rules from entry 0, and compares what comes of it with ids and facts in ledger.db, with every file
/// in log/, with the signed head and with the published checkpoint. Exits 0 when all holds, 1 when
/// something does not, 2 when it could not look.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw log fsck --data operator\n  \
    whosaw log fsck --data operator --repair\n  \
    whosaw log fsck --data operator --repair --from operator/log")]
pub struct Fsck {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Rebuild what follows from the entries: tiles, bundles, ids, facts. What was damaged is moved to
    /// DIR/damaged. Entries, the signed head, keys and cosignatures are never touched
    #[arg(long)]
    repair: bool,
    // Where ledger.db itself is damaged, old or lost: as `whosaw operator restore`.
    #[command(flatten)]
    from: From,
    /// Print what was seen, and the findings, as one JSON document
    #[arg(long)]
    json: bool,
}

/// What the entries are not, if repair is refused.
const UNSOUND: &str = "the entries are not those that were signed: say --from LOG|DIR with a copy of the \
                       log, or restore ledger.db from a backup; nothing was changed";

/// Runs the command.
///
/// # Errors
/// If a server runs on the folder, or it cannot be read.
pub fn run(args: &Fsck, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    if args.from.from.is_empty() && !args.from.without.is_empty() {
        bail!("--without says whom not to ask, and only --from asks");
    }
    if !args.from.from.is_empty() {
        if !args.repair {
            bail!("--from changes ledger.db: say --repair with it");
        }
        return recover::run(&args.data, &args.from, args.json, out);
    }
    let fsck = Operator::open(&args.data)?.fsck()?;
    let _lock = DataLock::acquire_to_read(&args.data)?;
    let bar = Progress::new("examining");
    let mut progress = |done, of| bar.set(done, of);
    if !args.repair {
        let report = fsck.check(&mut progress)?;
        drop(bar);
        match args.json {
            true => print_json(out, &report)?,
            false => print(out, &report)?,
        }
        return Ok(exit(&report));
    }
    let repaired = fsck.repair(Clock::system().now(), &mut progress)?;
    drop(bar);
    match args.json {
        true => print_json(out, &repaired_json(&repaired))?,
        false => print_repaired(out, &repaired)?,
    }
    Ok(match &repaired {
        Repaired::Refused { .. } => Exit::No,
        Repaired::Done { after, .. } => exit(after),
    })
}

/// What came of a repair, for programs.
pub fn repaired_json(repaired: &Repaired) -> serde_json::Value {
    match repaired {
        Repaired::Refused { report, tiles_hold } => json!({
            "refused": UNSOUND, "report": report, "log_files_hold": tiles_hold,
        }),
        Repaired::Done {
            before,
            done,
            after,
        } => json!({"before": before, "done": done, "after": after}),
    }
}

/// What came of a repair, for people.
pub fn print_repaired(out: &mut impl io::Write, repaired: &Repaired) -> io::Result<()> {
    match repaired {
        Repaired::Refused { report, tiles_hold } => {
            print(out, report)?;
            print_refusal(out, report, *tiles_hold)
        }
        Repaired::Done {
            before,
            done,
            after,
        } => {
            print_findings(out, before, &after.findings)?;
            for what in done {
                writeln!(out, "repaired  {what}")?;
            }
            print(out, after)
        }
    }
}

/// Whether all holds.
pub fn exit(report: &Report) -> Exit {
    match report.is_clean() {
        true => Exit::Yes,
        false => Exit::No,
    }
}

/// Prints what was found, but for what is printed with the `later` findings.
fn print_findings(out: &mut impl io::Write, report: &Report, later: &[Finding]) -> io::Result<()> {
    for finding in &report.findings {
        if later.contains(finding) {
            continue;
        }
        let (code, place, detail) = (finding.code, &finding.place, &finding.detail);
        let mend = match finding.mend {
            Mend::Repair => "--repair mends it",
            Mend::Serve => "`whosaw serve` mends it",
            Mend::Backup => "--repair cannot mend it",
        };
        writeln!(out, "finding  {code}  {place}  {detail}; {mend}")?;
    }
    for (code, count) in &report.more {
        writeln!(out, "finding  {code}  and {count} more of these")?;
    }
    Ok(())
}

fn print(out: &mut impl io::Write, report: &Report) -> io::Result<()> {
    print_findings(out, report, &[])?;
    for note in &report.notes {
        writeln!(out, "note  {note}")?;
    }
    let State { size, root } = &report.entries;
    let clean = match report.is_clean() {
        true => "clean",
        false => "not clean",
    };
    writeln!(out, "{}, {size} entries: {clean}", report.origin)?;
    writeln!(out, "  root {root}")?;
    let states = [("signed", &report.head), ("published", &report.published)];
    for (what, state) in states {
        if let Some(State { size, .. }) = state {
            writeln!(out, "  {what} up to size {size}")?;
        }
    }
    Ok(())
}

/// What an operator needs to find the right backup.
fn print_refusal(out: &mut impl io::Write, report: &Report, tiles_hold: bool) -> io::Result<()> {
    writeln!(out, "{UNSOUND}")?;
    let states = [
        ("signed head", &report.head),
        ("published", &report.published),
    ];
    for (what, state) in states {
        match state {
            Some(State { size, root }) => writeln!(out, "  {what}: size {size}, root {root}")?,
            None => writeln!(out, "  {what}: none")?,
        }
    }
    if tiles_hold {
        writeln!(
            out,
            "  the tiles in log/ do hash to the signed head's root: keep them, and compare a backup \
             with their bundles"
        )?;
    }
    Ok(())
}
