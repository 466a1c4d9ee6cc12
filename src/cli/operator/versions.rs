//! `operator versions`: whether this program can open a data folder.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Exit;
use crate::party::operator::Operator;
use crate::store::sqlite::{SchemaVersion, schema_versions};

/// Show the schemas of the data folder's databases, and whether this program knows them
///
/// Run it with the program that you are going to install, before you stop the one that runs: it changes
/// nothing. Exits 1 if a database has a schema that only a newer program knows, or is damaged, or if the log
/// has begun and ledger.db is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whosaw operator versions --data ledger")]
pub struct Versions {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `versions`.
///
/// # Errors
/// If a database cannot be read, or is another program's.
pub fn run(args: &Versions) -> anyhow::Result<Exit> {
    let operator = Operator::open(&args.data)?;
    let versions = schema_versions(operator.home().root())?;
    let has_log = operator.has_log_files();
    let program = env!("CARGO_PKG_VERSION");
    if args.json {
        let row =
            |v: &SchemaVersion| json!({ "file": v.file, "schema": v.found, "known": v.known });
        let databases: Vec<_> = versions.iter().map(row).collect();
        let answer = json!({ "program": program, "databases": databases });
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        println!("whosaw {program}");
        for SchemaVersion { file, found, known } in &versions {
            let Some(found) = found else {
                println!("{file:<12} {}", if has_log { MISSING } else { NOT_BEGUN });
                continue;
            };
            let state = match found.cmp(known) {
                _ if *found < 1 => ": damaged, since no program writes such a schema".to_owned(),
                std::cmp::Ordering::Less => {
                    format!(": the next `whosaw serve` brings it to {known}")
                }
                std::cmp::Ordering::Equal => String::new(),
                std::cmp::Ordering::Greater => {
                    format!(": newer than {known}, the last one that this program knows")
                }
            };
            println!("{file:<12} schema {found}{state}");
        }
    }
    let is_refused = |v: &SchemaVersion| match v.found {
        Some(found) => !(1..=v.known).contains(&found),
        None => has_log,
    };
    Ok(match versions.iter().any(is_refused) {
        true => Exit::No,
        false => Exit::Yes,
    })
}

/// Of a ledger.db that is not there.
const MISSING: &str = "missing: put its backup in place, then `whosaw operator restore`, which also makes it of a \
                       copy of the log";
const NOT_BEGUN: &str = "not there yet: the first `whosaw serve` makes it";
