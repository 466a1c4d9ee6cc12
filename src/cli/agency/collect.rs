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
use crate::encoding::printable;
use crate::party::agency::{Received, inbox, is_own};
use crate::party::collected::{Fetched, fetch, fetch_note};
use crate::party::official::{Official, OfficialError, logged_json};
use crate::statement::kinds::collection::Collection;
use crate::statement::words::Role;
use crate::wire::note::Note;

/// Log that a disclosure is being taken, then fetch and open what the resident hands over
///
/// The collection is logged first; only then does the resident's device hand over the key. Run it
/// again, or with --wait, until the clips are there, and the note with what is given besides. Exits 1
/// while some are not.
///
/// Every clip and note is checked against the log before it is opened. What is not the one that was
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

/// What came of a note.
#[derive(Serialize)]
struct FetchedNote {
    disclosure: StatementId,
    #[serde(flatten)]
    fetched: Fetched,
    /// What it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<Note>,
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
    let most = u64::from(args.max_size) << 20;
    let (mut clips, mut notes) = (Vec::new(), Vec::new());
    for received in &wanted {
        for n in 0..received.statement.clips.len() {
            let fetch = || fetch(&agency, received, n, most, &args.out).map(|clip| (clip, ()));
            let clip = Clip {
                disclosure: received.id,
                clip: n,
                fetched: fetch_until(until, fetch)?.0,
            };
            if !json {
                let name = format!("{} clip {n}", &clip.disclosure.to_string()[..12]);
                say_fetched(&name, &clip.fetched, &mut Output::lock())?;
            }
            clips.push(clip);
        }
        if received.statement.note.is_some() {
            let fetch = || fetch_note(&agency, received, &args.out);
            let (fetched, note) = fetch_until(until, fetch)?;
            if !json {
                let name = format!("{} note", &received.id.to_string()[..12]);
                say_fetched(&name, &fetched, &mut Output::lock())?;
                say_note(note.as_ref(), &mut Output::lock())?;
            }
            notes.push(FetchedNote {
                disclosure: received.id,
                fetched,
                note,
            });
        }
    }
    if json {
        let answer =
            serde_json::json!({ "collections": collections, "clips": clips, "notes": notes });
        println!("{}", serde_json::to_string_pretty(&answer)?);
    }
    // What can no longer be had is no reason to run again, unless it was asked for by name.
    let named = !args.disclosures.is_empty();
    let done = |fetched: &Fetched| match fetched {
        Fetched::Opened { .. } | Fetched::Kept { .. } => true,
        Fetched::Gone => !named,
        _ => false,
    };
    let clips = clips.iter().map(|clip| &clip.fetched);
    let mut all = clips.chain(notes.iter().map(|note| &note.fetched));
    Ok(match all.all(done) {
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

/// Fetches a clip or a note, waiting for it as long as told.
fn fetch_until<T>(
    until: Instant,
    fetch: impl Fn() -> Result<(Fetched, T), OfficialError>,
) -> anyhow::Result<(Fetched, T)> {
    loop {
        let fetched = fetch()?;
        let waits = matches!(fetched.0, Fetched::NotWitnessed | Fetched::NotHandedOver);
        if !waits || Instant::now() >= until {
            return Ok(fetched);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Shows what a note tells: a resident wrote it, so it does not steer the terminal.
fn say_note(note: Option<&Note>, out: &mut impl io::Write) -> io::Result<()> {
    for (kind, texts) in note.into_iter().flat_map(Note::texts) {
        for text in texts {
            writeln!(out, "  {kind}: {}", printable(text))?;
        }
    }
    Ok(())
}

/// Tells what came of fetching the clip or the note with this name.
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
            "{name}: not fetched: {bytes} bytes would come, more than is taken (of a clip: --max-size)"
        ),
        Fetched::Unreadable { sealed, why } => writeln!(
            out,
            "{name}: unreadable: {why}; kept as {}",
            sealed.display()
        ),
    }
}
