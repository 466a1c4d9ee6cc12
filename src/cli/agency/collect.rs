//! `whosaw agency collect`: the log first, then the clips.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::cli::Exit;
use crate::cli::output::{Output, say_logged};
use crate::cli::party::{Own, Speaker as _, plain_own, submit_own};
use crate::digest::StatementId;
use crate::party::agency::{Received, inbox, is_own};
use crate::party::collected::{Fetched, fetch};
use crate::party::official::{Official, logged_json};
use crate::statement::kinds::collection::Collection;
use crate::statement::words::Role;

/// Log that a disclosure is being taken, then fetch and open what the resident hands over
///
/// The collection is logged first; only then does the resident's device hand over the key. Run it
/// again, or with --wait, until the clips are there. Exits 1 while some are not.
///
/// Every clip is checked against the log before it is opened. What is not the clip that was
/// disclosed is kept as DIR/….unreadable. Clips that lie in DIR unharmed are not fetched again.
/// Handed-over clips can be fetched for a week.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw agency collect --home lakeland --out evidence --wait 600")]
pub struct Collect {
    /// The disclosures; default: all for requests made from this folder that can be taken
    disclosures: Vec<StatementId>,
    #[command(flatten)]
    own: Own,
    /// Where the clips go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The largest clip that is fetched, in MiB
    #[arg(long, value_name = "MIB", default_value = "4096")]
    max_size: u32,
    /// Wait for the residents' devices
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    wait: u64,
}

/// What came of one clip.
#[derive(Serialize)]
struct Clip {
    disclosure: StatementId,
    clip: usize,
    #[serde(flatten)]
    fetched: Fetched,
}

/// Runs the command.
///
/// # Errors
/// If the log, the server or a folder is not acceptable.
pub fn run(args: &Collect) -> anyhow::Result<Exit> {
    let agency = args.own.open()?;
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let wanted = wanted(&agency, args)?;
    let json = args.own.json;
    if wanted.is_empty() && !json {
        println!("nothing to collect");
    }
    let mut collections = Vec::new();
    for received in wanted.iter().filter(|r| r.fact.collected.is_none()) {
        let statement = Collection {
            disclosure: received.id,
            label: agency.profile().officer_label.clone(),
        }
        .into();
        let logged = submit_own(&agency, &statement, Role::Officer)?;
        if !json {
            say_logged(&logged, &plain_own(&agency, &statement), false)?;
        }
        collections.push(logged_json(&logged));
    }
    let until = Instant::now() + Duration::from_secs(args.wait);
    let mut clips = Vec::new();
    for received in &wanted {
        for n in 0..received.statement.clips.len() {
            let clip = Clip {
                disclosure: received.id,
                clip: n,
                fetched: fetch_until(&agency, received, n, args, until)?,
            };
            if !json {
                let name = format!("{} clip {n}", &clip.disclosure.to_string()[..12]);
                say_fetched(&name, &clip.fetched, &mut Output::lock())?;
            }
            clips.push(clip);
        }
    }
    if json {
        let answer = serde_json::json!({ "collections": collections, "clips": clips });
        println!("{}", serde_json::to_string_pretty(&answer)?);
    }
    // What can no longer be had is no reason to run again, unless it was asked for by name.
    let named = !args.disclosures.is_empty();
    let done = |clip: &Clip| match clip.fetched {
        Fetched::Opened { .. } | Fetched::Kept { .. } => true,
        Fetched::Gone => !named,
        _ => false,
    };
    Ok(match clips.iter().all(done) {
        true => Exit::Yes,
        false => Exit::No,
    })
}

/// The disclosures that the user names, or all that can be taken: only those that this folder's
/// identities open, for a collection in the log cannot be undone.
fn wanted(agency: &Official, args: &Collect) -> anyhow::Result<Vec<Received>> {
    let (follower, _) = agency.follow(&mut |_, _| {})?;
    let asked = inbox(&follower, &agency.profile().party)?;
    let received = asked.into_iter().flat_map(|asked| asked.received);
    if args.disclosures.is_empty() {
        let now = agency.clock().now();
        let takeable = |r: &Received| {
            matches!(r.state(now), "open" | "collected") && is_own(agency, &r.request)
        };
        return Ok(received.filter(takeable).collect());
    }
    let received: Vec<Received> = received
        .filter(|r| args.disclosures.contains(&r.id))
        .collect();
    for id in &args.disclosures {
        let Some(received) = received.iter().find(|r| r.id == *id) else {
            bail!("{id} is no disclosure for a request of this agency: see `whosaw agency inbox`");
        };
        if !is_own(agency, &received.request) {
            bail!(
                "{id} is for a request that was made from another folder, where the identity lies \
                 that opens it: collect it there"
            );
        }
    }
    Ok(received)
}

/// Fetches a clip, waiting for it as long as told.
fn fetch_until(
    agency: &Official,
    received: &Received,
    n: usize,
    args: &Collect,
    until: Instant,
) -> anyhow::Result<Fetched> {
    loop {
        let fetched = fetch(
            agency,
            received,
            n,
            u64::from(args.max_size) << 20,
            &args.out,
        )?;
        let waits = matches!(fetched, Fetched::NotWitnessed | Fetched::NotHandedOver);
        if !waits || Instant::now() >= until {
            return Ok(fetched);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Tells what came of fetching the clip with this name.
pub fn say_fetched(name: &str, fetched: &Fetched, out: &mut impl io::Write) -> io::Result<()> {
    match fetched {
        Fetched::Opened { sealed, plain } => {
            writeln!(out, "fetched {}", sealed.display())?;
            writeln!(out, "opened  {}", plain.display())
        }
        Fetched::Kept { sealed } => writeln!(out, "{name}: here already, {}", sealed.display()),
        Fetched::NotWitnessed => writeln!(
            out,
            "{name}: the witnesses have not cosigned the collection yet. Run this again"
        ),
        Fetched::NotHandedOver => writeln!(
            out,
            "{name}: not handed over yet; the resident's device does that when it sees the \
             collection. Run this again. If that was days ago, the server was restored from a backup: \
             ask again"
        ),
        Fetched::Gone => writeln!(
            out,
            "{name}: no longer there; what is handed over is kept for a week, unless the resident \
             deletes the clip"
        ),
        Fetched::TooLarge { bytes } => writeln!(
            out,
            "{name}: not fetched: {bytes} bytes would come; --max-size says how many are taken"
        ),
        Fetched::Unreadable { sealed, why } => writeln!(
            out,
            "{name}: unreadable: {why}; kept as {}",
            sealed.display()
        ),
    }
}
