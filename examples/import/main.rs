//! Brings public records of police agencies and of search warrants into a ledger.
//!
//! `agencies` enters a list of agencies as `listed` parties: known to exist, without keys, so that
//! others can speak about them. `ewarrants` enters a register of electronic search warrants as legal
//! demands. Run by the operator, who signs as the one that took them over. Nothing is invented, rows that
//! do not fit are reported with their line and left out whole, and importing twice changes nothing.

mod agencies;
mod ewarrants;
mod names;
mod sending;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use serde::Serialize;
use whosaw::party::official::Official;
use whosaw::time::Clock;

/// Bring public records into a ledger
#[derive(Parser)]
#[command(
    after_help = "Exit codes: 0 all rows are in; 1 some were left out; 2 it could not be done.\n\n\
    Examples:\n  \
    cargo run --release --example import -- agencies us-agencies.csv --data ledger --server URL\n  \
    cargo run --release --example import -- ewarrants register.csv --data ledger --server URL --dry-run"
)]
struct Args {
    /// What the file is
    #[arg(value_enum)]
    what: What,
    /// The records (CSV with a heading line)
    file: PathBuf,
    /// The operator's data folder; what an import must remember is kept there too
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The ledger's address
    #[arg(long, value_name = "URL")]
    server: String,
    /// Read and resolve everything, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    /// Columns `id`, `name`, `state`: agencies of the United States
    Agencies,
    /// California's register of electronic search warrants
    Ewarrants,
}

/// What came of an import.
#[derive(Debug, Default, Serialize)]
struct Report {
    rows: usize,
    /// Statements logged now.
    logged: usize,
    /// Rows that were in before.
    known: usize,
    /// Rows left out whole.
    bad: Vec<BadRow>,
    /// What readers should know of the rest: counts by what they count.
    notes: std::collections::BTreeMap<String, usize>,
    /// Names that were taken for one, by the one: its spellings.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    spellings: std::collections::BTreeMap<String, std::collections::BTreeSet<String>>,
}

/// A row that was left out.
#[derive(Debug, Serialize)]
struct BadRow {
    /// The line that it begins on, from 1.
    line: u64,
    why: String,
}

impl Report {
    fn bad(&mut self, line: u64, why: impl ToString) {
        let why = why.to_string();
        self.bad.push(BadRow { line, why });
    }

    fn note(&mut self, what: &str) {
        *self.notes.entry(what.to_owned()).or_default() += 1;
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(report) if report.bad.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> anyhow::Result<Report> {
    let operator = Official::open(&args.data, Some(&args.server), Clock::system())?;
    let mut reader = csv::Reader::from_path(&args.file);
    let rows = reader.as_mut().map_err(|e| anyhow::anyhow!("{e}"));
    let rows = rows.with_context(|| args.file.display().to_string())?;
    let report = match args.what {
        What::Agencies => agencies::import(rows, &operator, args)?,
        What::Ewarrants => ewarrants::import(rows, &operator, args)?,
    };
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => print(&report, args.dry_run),
    }
    Ok(report)
}

fn print(report: &Report, dry_run: bool) {
    for row in &report.bad {
        println!("line {}: left out: {}", row.line, row.why);
    }
    for (name, spellings) in &report.spellings {
        if spellings.len() > 1 {
            let spellings: Vec<&str> = spellings.iter().map(String::as_str).collect();
            println!("{name}: {}", spellings.join(" | "));
        }
    }
    for (what, count) in &report.notes {
        println!("{count:>6} {what}");
    }
    let verb = if dry_run { "would be logged" } else { "logged" };
    println!("{:>6} rows read", report.rows);
    println!("{:>6} statements {verb}", report.logged);
    println!("{:>6} known already", report.known);
    println!("{:>6} left out", report.bad.len());
}
