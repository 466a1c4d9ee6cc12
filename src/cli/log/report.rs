//! `log report`: what the log says, in the tables that others publish.

use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::record::Read;
use super::{Exit, Log, print_json};
use crate::record::findings::{self, no_attachments};
use crate::record::report::{
    Basis, CardKind, Half, Ordinance, Period, Report, Year, annual, card, csv, csv_about, json,
    markdown, transparency,
};
use crate::statement::words::{PartyId, PartyKind};
use crate::store::{StoreError, own};

/// Report what the log says, in tables that anyone can compute again
///
/// Every figure is counted from the log's entries alone, as of its last witnessed checkpoint: whoever
/// reads the same checkpoint gets the same report. What the log holds in bands stays in bands; what
/// it cannot know is printed as "not in the log", with the reason. --cite names the entries that each
/// row rests on; JSON always does. docs/REPORTS.md defines each figure.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, clap::Subcommand)]
enum Kind {
    Transparency(Transparency),
    #[command(name = "oakland-9.64")]
    Oakland(Oakland),
    #[command(name = "san-francisco-19b")]
    SanFrancisco(SanFrancisco),
    Agency(Agency),
    Vendor(Vendor),
}

/// Legal demands received and disclosed, as in GitHub's transparency reports
///
/// Tables: requests_received_and_disclosed, requests_accounts_affected,
/// user_notifications_of_legal_request_disclosures_by_calendar_year_half,
/// national_security_letters_and_orders and cross_border_data_requests have the columns and types of
/// GitHub's files of these names; emergency_disclosures and voluntary_requests, which those lack, come
/// after them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw log report transparency --log https://ledger.example/log --policy log.policy\n  \
    whosaw log report transparency --log ./copy --policy log.policy --year 2025 --half 1 \\\n    \
    --format json\n  \
    whosaw log report transparency --log ./copy --policy log.policy --format csv -o tables")]
struct Transparency {
    /// Only this year; default: each since the log began, or in which something came in
    #[arg(long)]
    year: Option<Year>,
    /// Only this half of it: 1 or 2
    #[arg(long, requires = "year")]
    half: Option<Half>,
    /// Only demands that this party is to answer, and requests under its agreements
    #[arg(long, value_name = "PARTY")]
    party: Option<PartyId>,
    #[command(flatten)]
    print: Print,
}

/// Annual surveillance report, as Oakland Municipal Code 9.64.040 asks for
///
/// For each agency and year, the items A to K of the code (9.64.010), then tables of what was
/// acquired, with whom it was shared, what was given for it and what does not fit together.
/// Tables: items, acquired, shared_with, benefits, findings.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw log report oakland-9.64 --log https://ledger.example/log --policy log.policy\n  \
    whosaw log report oakland-9.64 --log ./copy --policy log.policy --year 2025 --cite")]
struct Oakland {
    #[command(flatten)]
    annual: Annual,
}

/// Annual surveillance report, as San Francisco Administrative Code 19B.6 asks for
///
/// For each agency and year, the items (1) to (10) of the code (19B.1), then the tables of
/// oakland-9.64: both cities' reports rest on the same figures.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw log report san-francisco-19b --log ./copy --policy log.policy --year 2025 \\\n    \
    --format csv --table items")]
struct SanFrancisco {
    #[command(flatten)]
    annual: Annual,
}

/// One agency: keys, standing, agreements, accounts, requests, demands, custody, seals, findings
///
/// Tables: party, standing, keys, agreements, agreement_history, terms, balances, benefits, requests,
/// demands, custody, seals, bulletins, annotations, findings.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw log report agency lakelandgov.example --log https://ledger.example/log \\\n    \
    --policy log.policy")]
struct Agency {
    #[command(flatten)]
    card: Card,
}

/// One vendor, or the operator: keys, standing, agreements, accounts, demands, staff access, findings
///
/// Tables: party, standing, keys, agreements, agreement_history, terms, balances, benefits, demands,
/// seals, insider_access, releases, annotations, findings.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw log report vendor doorbell.example --log https://ledger.example/log \\\n    \
    --policy log.policy --format json")]
struct Vendor {
    #[command(flatten)]
    card: Card,
}

#[derive(Debug, clap::Args)]
struct Annual {
    /// Only this year; default: each in which the agency did or was given something
    #[arg(long)]
    year: Option<Year>,
    /// Only this agency; default: each that did or was given something
    #[arg(long, value_name = "PARTY")]
    party: Option<PartyId>,
    #[command(flatten)]
    print: Print,
}

#[derive(Debug, clap::Args)]
struct Card {
    /// The party's id, its host name
    party: PartyId,
    #[command(flatten)]
    print: Print,
}

/// What is printed, and how
#[derive(Debug, clap::Args)]
struct Print {
    #[command(flatten)]
    log: Log,
    /// CSV holds one table: name it by --table, or write them all into a folder by --output
    #[arg(long, value_enum, default_value_t = Format::Md)]
    format: Format,
    /// Only this table; repeatable
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// Name in CSV and markdown the entries that each row rests on, for `log show '#INDEX'`
    #[arg(long)]
    cite: bool,
    /// Write into this folder: a file for each table of CSV with about.csv, else one file. Never over a
    /// file with other content
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Write over files of these names in the folder
    #[arg(long, requires = "output")]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One table
    Csv,
    /// All tables, with the checkpoint, the entries of each row and the kind of each value
    Json,
    /// GitHub-flavoured markdown
    Md,
}

/// Runs the command.
///
/// # Errors
/// If the log or the trust file cannot be read, the log does not know the party, or the report has no
/// such table.
pub fn run(args: &Args, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let (report, print) = match &args.kind {
        Kind::Transparency(args) => (transparent(args)?, &args.print),
        Kind::Oakland(args) => yearly(&args.annual, Ordinance::Oakland)?,
        Kind::SanFrancisco(args) => yearly(&args.annual, Ordinance::SanFrancisco)?,
        Kind::Agency(args) => carded(&args.card, CardKind::Agency)?,
        Kind::Vendor(args) => carded(&args.card, CardKind::Vendor)?,
    };
    print.report(report, out)?;
    Ok(Exit::Yes)
}

fn transparent(args: &Transparency) -> anyhow::Result<Report> {
    let read = Read::of(&args.print.log)?;
    if let Some(party) = &args.party {
        known(&read, party)?;
    }
    let half = args.half;
    let period = args.year.map(|year| Period { year, half });
    let basis = basis(&read)?;
    Ok(transparency(
        &read.record,
        basis,
        period,
        args.party.as_ref(),
    ))
}

fn yearly(args: &Annual, ordinance: Ordinance) -> anyhow::Result<(Report, &Print)> {
    let read = Read::of(&args.print.log)?;
    if let Some(party) = &args.party {
        let kind = known(&read, party)?;
        if kind != PartyKind::Agency {
            bail!("{party} is no agency in this log, but of the kind {kind}");
        }
    }
    let (record, basis) = (&read.record, basis(&read)?);
    let findings = findings::findings(record, read.now, &no_attachments);
    let (year, party) = (args.year, args.party.as_ref());
    let report = annual(record, &findings, basis, ordinance, year, party);
    Ok((report, &args.print))
}

fn carded(args: &Card, kind: CardKind) -> anyhow::Result<(Report, &Print)> {
    let read = Read::of(&args.print.log)?;
    let is = known(&read, &args.party)?;
    let (record, basis) = (&read.record, basis(&read)?);
    let findings = findings::findings(record, read.now, &no_attachments);
    let card = card(record, &findings, basis, kind, &args.party).with_context(|| {
        format!(
            "{} is of the kind {is}: there is no such card of it",
            args.party
        )
    })?;
    Ok((card, &args.print))
}

fn known(read: &Read, party: &PartyId) -> anyhow::Result<PartyKind> {
    let kind = read.record.kind(party);
    kind.with_context(|| format!("this log knows no party {party}"))
}

fn basis(read: &Read) -> anyhow::Result<Basis> {
    let checkpoint = read.copy.follower.checkpoint()?;
    let (checkpoint, _) = checkpoint.context("the log has no checkpoint")?;
    Ok(Basis {
        origin: checkpoint.origin.to_string(),
        size: checkpoint.size.as_u64(),
        root: checkpoint.root.to_string(),
        at: read.now,
        begins: read.record.began(),
        forbidden: read.copy.forbidden.len() as u64,
    })
}

impl Print {
    fn report(&self, mut report: Report, out: &mut impl io::Write) -> anyhow::Result<()> {
        let tables = report.tables();
        let unknown = self
            .table
            .iter()
            .find(|name| !tables.contains(&name.as_str()));
        if let Some(unknown) = unknown {
            // A report of nobody has no table at all; that is no fault of the name.
            if !tables.is_empty() {
                bail!("no table {unknown}; there are {}", tables.join(", "));
            }
        }
        if !self.table.is_empty() {
            report.retain(&self.table);
        }
        match &self.output {
            None => self.print(&report, out),
            Some(folder) => self.write(&report, folder, out),
        }
    }

    fn print(&self, report: &Report, out: &mut impl io::Write) -> anyhow::Result<()> {
        match self.format {
            Format::Json => print_json(out, &json(report)),
            Format::Md => Ok(out.write_all(markdown(report, self.cite).as_bytes())?),
            Format::Csv => match report.tables()[..] {
                [] => Ok(()),
                [table] => Ok(out.write_all(csv(report, table, self.cite).as_bytes())?),
                ref tables => bail!(
                    "CSV holds one table: name one by --table ({}), or a folder by --output",
                    tables.join(", ")
                ),
            },
        }
    }

    fn write(
        &self,
        report: &Report,
        folder: &Path,
        out: &mut impl io::Write,
    ) -> anyhow::Result<()> {
        let files = match self.format {
            Format::Json => {
                let text = serde_json::to_string_pretty(&json(report))? + "\n";
                vec![(format!("{}.json", report.name), text)]
            }
            Format::Md => vec![(format!("{}.md", report.name), markdown(report, self.cite))],
            Format::Csv => {
                let table = |table: &str| (format!("{table}.csv"), csv(report, table, self.cite));
                let mut files: Vec<_> = report.tables().into_iter().map(table).collect();
                files.push(("about.csv".to_owned(), csv_about(report)));
                files
            }
        };
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let path = |name: &str| folder.join(name);
        for (name, text) in files.iter().filter(|_| !self.force) {
            check_free(&path(name), text)?;
        }
        for (name, text) in &files {
            let path = path(name);
            fs::write(&path, text).with_context(|| path.display().to_string())?;
            writeln!(out, "{}", path.display())?;
        }
        Ok(())
    }
}

/// Whether `text` may be written to `path`: there is no file, or one with this text.
fn check_free(path: &Path, text: &str) -> anyhow::Result<()> {
    let context = || path.display().to_string();
    let mut found = match own::open(path) {
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    found.read_to_end(&mut bytes).with_context(context)?;
    if bytes != text.as_bytes() {
        bail!(
            "{} is there with other content: say --force to write over it, or name another folder",
            path.display()
        );
    }
    Ok(())
}
