//! `whosaw agency`: what an agency does.

mod collect;
mod minutes;

pub use collect::say_fetched;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::Exit;
use super::output::{read_line, say_act};
use super::party::{self, Own, Speaker as _};
use crate::digest::StatementId;
use crate::party::agency::{Measures, Received, identity_text, inbox, keep_identity};
use crate::party::seals;
use crate::plain::count;
use crate::seal::Identity;
use crate::seal::recipient::Recipient;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::access_request::{
    AccessRequest, MAX_MESSAGE, RequestKind, SealedFields,
};
use crate::statement::rules::seals::SealedField;
use crate::statement::scope::{MAX_SCOPE, Scope};
use crate::statement::words::{
    DataKind, Day, Investigation, Jurisdiction, Offence, PartyKind, Role, listed,
};
use crate::statement::{Statement, sign};
use crate::store::secrets::SecretFile;
use crate::time::Time;
use crate::{encoding, random};
use minutes::Minutes;

/// Speak for an agency: agreements, requests for footage, and collecting it
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    #[command(flatten)]
    Party(party::Command),
    #[command(flatten)]
    Deal(party::deals::Command),
    Request(Request),
    Inbox(Inbox),
    Collect(collect::Collect),
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
    --from 2019-07-30T21:00:00Z --until 2019-07-30T23:00:00Z \\\n    \
    --case-number-file case-number.txt --seal-days 90 --deadline-in 2d --asks time")]
pub struct Request {
    #[command(flatten)]
    own: Own,
    /// Which kind of request: each has bounds of its own (see docs/PROTOCOL.md)
    #[arg(long, value_enum, default_value = "voluntary")]
    kind: RequestKind,
    /// The agreement in force, or the declaration of none: its last statement
    #[arg(long, value_name = "ID")]
    agreement: StatementId,
    /// The case's random id, 32 hexadecimal digits; default: a new one
    #[arg(long, value_name = "HEX")]
    investigation: Option<Investigation>,
    /// Where, and from when to when (GeoJSON; see docs/PROTOCOL.md)
    #[arg(long, value_name = "FILE")]
    scope: PathBuf,
    /// From when footage is asked for, instead of what the scope's file says: whole minutes in UTC,
    /// such as 2019-07-30T21:00:00Z
    #[arg(long, value_name = "TIME", requires = "until")]
    from: Option<Time>,
    /// Until when
    #[arg(long, value_name = "TIME", requires = "from")]
    until: Option<Time>,
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
    /// The day by whose end the case number is opened
    #[arg(long, value_name = "DAY", conflicts_with = "seal_days")]
    open_by: Option<Day>,
    /// How long residents have to answer: minutes, or 2h, or 3d
    #[arg(long, value_name = "SPAN", default_value = "3d")]
    deadline_in: Minutes,
    /// Until when residents can answer, such as 2019-08-02T12:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "deadline_in")]
    deadline: Option<Time>,
    /// Kinds of data asked for besides the video
    #[arg(long, value_enum, value_delimiter = ',', default_value = "time")]
    asks: Vec<DataKind>,
    /// Where the request applies; default: the agency's own jurisdiction
    #[arg(long, value_name = "CODE")]
    jurisdiction: Option<Jurisdiction>,
    /// The area to tell the log, in square metres, if more than the scope's bounding box
    #[arg(long, value_name = "N")]
    area_m2: Option<u32>,
}

/// See who consented to your requests
#[derive(Debug, clap::Args)]
pub struct Inbox {
    #[command(flatten)]
    own: Own,
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
        Command::Deal(command) => party::deals::run(command),
        Command::Request(args) => request(args),
        Command::Inbox(args) => show_inbox(args),
        Command::Collect(args) => collect::run(args),
        Command::ExportIdentity(args) => export_identity(args),
    }
}

fn request(args: &Request) -> anyhow::Result<Exit> {
    let agency = args.own.open()?;
    let mut scope_bytes =
        std::fs::read(&args.scope).with_context(|| args.scope.display().to_string())?;
    check_length(&args.scope, &scope_bytes, MAX_SCOPE)?;
    let mut scope = Scope::parse(&scope_bytes).with_context(|| args.scope.display().to_string())?;
    if let (Some(from), Some(until)) = (args.from, args.until) {
        scope = scope.with_window(from, until)?;
        scope_bytes = scope.to_geojson().into_bytes();
    }
    let head = agency.own_head();
    let least = Measures::of(&scope, head.issued_at)?;
    let area_m2 = args.area_m2.unwrap_or(least.area_m2);
    if area_m2 < least.area_m2 {
        bail!(
            "the scope's bounding box has {} m², more than {area_m2}: residents' devices would show \
             the request as false",
            least.area_m2
        );
    }
    let now = agency.clock().now();
    let deadline = args
        .deadline
        .or_else(|| now.checked_add_seconds(args.deadline_in.seconds()))
        .context("--deadline-in: reaches beyond 9998-12-31")?;
    if deadline <= now {
        bail!("the deadline {deadline} has passed: nobody could answer");
    }
    let case_number = read_line(&args.case_number_file, "the case number")?;
    let identity = Identity::generate();
    let case_number = seals::seal(&agency, "case_number", &case_number)?;
    let message = match &args.message {
        None => None,
        Some(path) => {
            let text = std::fs::read(path).with_context(|| path.display().to_string())?;
            check_length(path, &text, MAX_MESSAGE)?;
            Some(agency.attach(&text, "text/plain")?.digest())
        }
    };
    let mut asks = [&[DataKind::Video][..], &args.asks].concat();
    asks.sort_unstable();
    asks.dedup();
    let statement: Statement = AccessRequest {
        kind: args.kind,
        agreement: args.agreement,
        investigation: args.investigation.clone().unwrap_or_else(new_investigation),
        jurisdiction: args
            .jurisdiction
            .clone()
            .unwrap_or_else(|| agency.profile().jurisdiction.clone()),
        area_m2,
        window_minutes: least.window_minutes,
        footage_age_days: least.footage_age_days,
        offence: args.offence.clone(),
        deadline: deadline.cut_to_minute(),
        asks,
        scope: agency
            .attach(&scope_bytes, "application/geo+json")?
            .digest(),
        message,
        recipient: Recipient::of(&identity),
        sealed: SealedFields {
            case_number: SealedField {
                digest: case_number,
                open_by: args
                    .open_by
                    .clone()
                    .or_else(|| Day::of(now).checked_add_days(args.seal_days))
                    .context("--seal-days: reaches beyond 9998-12-31")?,
            },
        },
    }
    .into();
    let envelope = sign(&head, &statement, &[&agency.home().key(Role::Officer)?]);
    let id = StatementId::of_payload(&envelope.payload);
    keep_identity(&agency, &id, &identity)?;
    let logged = agency.submit(&envelope)?;
    let plain = statement.plain(&head.author.to_string());
    say_act(&logged, &plain, args.own.json)
}

/// Longer ones the server does not take, and residents' devices do not read.
fn check_length(path: &std::path::Path, bytes: &[u8], most: usize) -> anyhow::Result<()> {
    if bytes.len() > most {
        let length = bytes.len();
        bail!(
            "{}: {length} bytes, and at most {most} are read",
            path.display()
        );
    }
    Ok(())
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
                    "clips": r.statement.clips.len(), "minutes": r.statement.minutes,
                    "gives": r.statement.gives })
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
                "  disclosure {}  {}, {} minutes, {}: {}, until {}",
                received.id,
                count(received.statement.clips.len(), "clip"),
                received.statement.minutes.map_or("", |band| band.code()),
                listed(&received.statement.gives),
                received.state(now),
                received.fact.expires
            );
        }
    }
    Ok(Exit::Yes)
}

fn export_identity(args: &ExportIdentity) -> anyhow::Result<Exit> {
    let agency = args.own.open()?;
    let text = identity_text(&agency, &args.request)?;
    let line = zeroize::Zeroizing::new(format!("{}\n", text.as_str()));
    SecretFile::at(&args.output).write_new(line.as_bytes())?;
    println!("wrote {}", args.output.display());
    Ok(Exit::Yes)
}
