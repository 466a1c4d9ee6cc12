//! `whosaw agency`: what an agency does.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::Exit;
use super::output::say_logged;
use super::party::{self, Own};
use crate::digest::StatementId;
use crate::party::agency::{Fetched, NewRequest, Received, fetch, identity_text, inbox};
use crate::party::official::Official;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::access_request::{
    AccessRequest, RequestKind, SealedField, SealedFields,
};
use crate::statement::kinds::collection::Collection;
use crate::statement::scope::Scope;
use crate::statement::words::{
    DataKind, Day, Investigation, Jurisdiction, Offence, PartyKind, Role,
};
use crate::statement::{Statement, sign};
use crate::store::secrets::SecretFile;
use crate::time::Time;
use crate::{encoding, random};

/// Speak for an agency: agreements, requests for footage, and collecting it
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    #[command(flatten)]
    Party(party::Command),
    Request(Request),
    Inbox(Inbox),
    Collect(Collect),
    ExportIdentity(ExportIdentity),
}

/// Ask the residents of an area for footage
///
/// What is logged in public: area, length of the window, age of the footage, offence, deadline, your
/// name. Where exactly and when stands in the scope, an attachment; the case number is sealed until
/// the day you name. Residents' devices compare the scope with the public part.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw agency request --home lakeland --agreement ID --scope scope.geojson --offence 220 \\\n    \
    --case-number 2019-001234 --seal-days 90 --deadline-in 1440 --asks time,video")]
pub struct Request {
    #[command(flatten)]
    own: Own,
    /// The agreement in force, or the declaration of none: its last statement
    #[arg(long, value_name = "ID")]
    agreement: StatementId,
    /// The case's random id, 32 hexadecimal digits; default: a new one
    #[arg(long, value_name = "HEX")]
    investigation: Option<Investigation>,
    /// Where, and from when to when (GeoJSON; see docs/PROTOCOL.md)
    #[arg(long, value_name = "FILE")]
    scope: PathBuf,
    /// What you tell residents (.txt)
    #[arg(long, value_name = "FILE")]
    message: Option<PathBuf>,
    /// NIBRS code of the offence
    #[arg(long, value_name = "CODE")]
    offence: Offence,
    /// A file with the case number; `-` reads it from standard input. It is sealed
    #[arg(long, value_name = "FILE")]
    case_number_file: PathBuf,
    /// How many days the case number stays sealed
    #[arg(long, value_name = "N", default_value = "30", value_parser = clap::value_parser!(i64).range(0..=3650))]
    seal_days: i64,
    /// How many minutes residents have to answer
    #[arg(long, value_name = "N", default_value = "4320", value_parser = clap::value_parser!(i64).range(1..=525_600))]
    deadline_in: i64,
    /// Kinds of data asked for
    #[arg(long, value_enum, value_delimiter = ',', default_value = "time,video")]
    asks: Vec<DataKind>,
    /// Where the request applies; default: the agency's own jurisdiction
    #[arg(long, value_name = "CODE")]
    jurisdiction: Option<Jurisdiction>,
}

/// See who consented to your requests
#[derive(Debug, clap::Args)]
pub struct Inbox {
    #[command(flatten)]
    own: Own,
}

/// Log that a disclosure is being taken, then fetch and open what the resident hands over
///
/// The collection is logged first; only then does the resident's device hand over the key. Run it
/// again, or with --wait, until the clips are there. Exits 1 while some are not.
#[derive(Debug, clap::Args)]
pub struct Collect {
    /// The disclosures; default: all that are open or collected and not fetched yet
    disclosures: Vec<StatementId>,
    #[command(flatten)]
    own: Own,
    /// Where the clips go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Wait for the residents' devices
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    wait: u64,
}

/// Write the age identity of a request, for stock `age -d -i FILE`
#[derive(Debug, clap::Args)]
pub struct ExportIdentity {
    /// The request
    request: StatementId,
    #[command(flatten)]
    own: Own,
    /// Where to write it (mode 0600)
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Those of the command.
pub fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Party(command) => party::run(command, PartyKind::Agency),
        Command::Request(args) => request(args),
        Command::Inbox(args) => show_inbox(args),
        Command::Collect(args) => collect(args),
        Command::ExportIdentity(args) => export_identity(args),
    }
}

fn request(args: &Request) -> anyhow::Result<Exit> {
    let agency = args.own.open()?;
    let scope_bytes =
        std::fs::read(&args.scope).with_context(|| args.scope.display().to_string())?;
    let scope = Scope::parse(&scope_bytes).with_context(|| args.scope.display().to_string())?;
    let head = agency.own_head();
    let age = head.issued_at.seconds_since(scope.from);
    if age < 0 || scope.until > head.issued_at {
        bail!(
            "the scope's window ends at {}, which is still to come",
            scope.until
        );
    }
    let case_number = read_line(&args.case_number_file)?;
    let new = NewRequest::draw(&case_number)?;
    let message = match &args.message {
        None => None,
        Some(path) => {
            let text = std::fs::read(path).with_context(|| path.display().to_string())?;
            Some(agency.attach(&text, "text/plain")?)
        }
    };
    let mut asks = args.asks.clone();
    asks.sort();
    asks.dedup();
    let now = agency.clock().now();
    let statement: Statement = AccessRequest {
        kind: RequestKind::Voluntary,
        agreement: args.agreement,
        investigation: args.investigation.clone().unwrap_or_else(new_investigation),
        jurisdiction: args
            .jurisdiction
            .clone()
            .unwrap_or_else(|| agency.profile().jurisdiction.clone()),
        area_m2: u32::try_from(scope.ring.bounding_area_m2()).context("the area is too large")?,
        window_minutes: u32::try_from(scope.window_minutes()).context("the window is too long")?,
        footage_age_days: u32::try_from((age as u64).div_ceil(86_400).max(1))?,
        offence: args.offence.clone(),
        deadline: now.plus_seconds(args.deadline_in * 60).cut_to_minute(),
        asks,
        scope: agency.attach(&scope_bytes, "application/geo+json")?,
        message,
        recipient: new.recipient.clone(),
        sealed: SealedFields {
            case_number: SealedField {
                digest: new.case_number.digest(),
                open_by: Day::of(now.plus_seconds(args.seal_days * 86_400)),
            },
        },
    }
    .into();
    let envelope = sign(&head, &statement, &[&agency.home().key(Role::Officer)?]);
    new.keep(&agency, &StatementId::of_payload(&envelope.payload))?;
    let logged = agency.submit(&envelope)?;
    say_logged(
        &logged,
        &statement.plain(&head.author.to_string()),
        args.own.json,
    )?;
    Ok(Exit::Yes)
}

fn read_line(path: &std::path::Path) -> anyhow::Result<String> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(path).with_context(|| path.display().to_string())?
    };
    let line = text.trim();
    if line.is_empty() || line.contains('\n') {
        bail!("the case number is one line");
    }
    Ok(line.to_owned())
}

fn new_investigation() -> Investigation {
    encoding::hex(random::bytes::<16>())
        .parse()
        .expect("32 hexadecimal digits")
}

fn show_inbox(args: &Inbox) -> anyhow::Result<Exit> {
    let agency = args.own.open()?;
    let (follower, _) = agency.follow(&mut |_, _| {})?;
    let asked = inbox(&follower, &agency.profile().party)?;
    let now = agency.clock().now();
    if args.own.json {
        let received = |r: &Received| {
            json!({ "id": r.id, "index": r.index, "logged_at": r.logged_at, "state": r.state(now),
                    "clips": r.statement.clips.len(), "gives": r.statement.gives })
        };
        let requests: Vec<_> = asked
            .iter()
            .map(|a| {
                json!({ "id": a.id, "deadline": a.statement.deadline,
                        "received": a.received.iter().map(received).collect::<Vec<_>>() })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&requests)?);
        return Ok(Exit::Yes);
    }
    if asked.is_empty() {
        println!("no requests yet");
    }
    for request in &asked {
        let line = request.statement.plain(agency.profile().party.as_str());
        println!("{}  {line}", &request.id.to_string()[..12]);
        if request.received.is_empty() {
            println!("  nobody has consented (nobody can tell refusals from silence)");
        }
        for received in &request.received {
            println!(
                "  disclosure {}  {} clip(s), {}, until {}",
                received.id,
                received.statement.clips.len(),
                received.state(now),
                received.fact.expires
            );
        }
    }
    Ok(Exit::Yes)
}

fn collect(args: &Collect) -> anyhow::Result<Exit> {
    let agency = args.own.open()?;
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let wanted = wanted(&agency, args)?;
    if wanted.is_empty() {
        println!("nothing to collect");
        return Ok(Exit::Yes);
    }
    for received in wanted.iter().filter(|r| r.fact.collected.is_none()) {
        let statement = Collection {
            disclosure: received.id,
            label: agency.profile().officer_label.clone(),
        };
        party::log(&agency, statement.into(), Role::Officer, args.own.json)?;
    }
    let until = Instant::now() + Duration::from_secs(args.wait);
    let mut complete = true;
    for received in &wanted {
        for n in 0..received.statement.clips.len() {
            complete &= fetch_one(&agency, received, n, args, until)?;
        }
    }
    Ok(if complete { Exit::Yes } else { Exit::No })
}

/// The disclosures that the user names, or all that can be taken.
fn wanted(agency: &Official, args: &Collect) -> anyhow::Result<Vec<Received>> {
    let (follower, _) = agency.follow(&mut |_, _| {})?;
    let asked = inbox(&follower, &agency.profile().party)?;
    let received = asked.into_iter().flat_map(|asked| asked.received);
    let now: Time = agency.clock().now();
    if args.disclosures.is_empty() {
        let takeable = |r: &Received| matches!(r.state(now), "open" | "collected");
        return Ok(received.filter(takeable).collect());
    }
    let received: Vec<Received> = received
        .filter(|r| args.disclosures.contains(&r.id))
        .collect();
    for id in &args.disclosures {
        if !received.iter().any(|r| r.id == *id) {
            bail!("{id} is no disclosure for a request of this agency: see `whosaw agency inbox`");
        }
    }
    Ok(received)
}

/// Fetches a clip, waiting for it as long as told; whether it is there.
fn fetch_one(
    agency: &Official,
    received: &Received,
    n: usize,
    args: &Collect,
    until: Instant,
) -> anyhow::Result<bool> {
    loop {
        match fetch(agency, received, n, &args.out)? {
            Fetched::Clip { sealed, plain } => {
                println!("fetched {}", sealed.display());
                println!("opened  {}", plain.display());
                return Ok(true);
            }
            Fetched::Unreadable { sealed, why } => {
                println!("unreadable: {why}; kept as {}", sealed.display());
                return Ok(false);
            }
            Fetched::NotYet if Instant::now() < until => {
                std::thread::sleep(Duration::from_secs(1));
            }
            Fetched::NotYet => {
                println!(
                    "{} clip {n}: not handed over yet; the resident's device does that when it \
                     sees the collection. Run this again",
                    &received.id.to_string()[..12]
                );
                return Ok(false);
            }
        }
    }
}

fn export_identity(args: &ExportIdentity) -> anyhow::Result<Exit> {
    let agency = args.own.open()?;
    let text = identity_text(&agency, &args.request)?;
    let line = zeroize::Zeroizing::new(format!("{}\n", text.as_str()));
    SecretFile::at(&args.output).write_new(line.as_bytes())?;
    println!("wrote {}", args.output.display());
    Ok(Exit::Yes)
}
