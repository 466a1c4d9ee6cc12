//! What each command does.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use super::show::*;
use super::{
    Add, Allow, CameraAdd, CheckDecision, DropArgs, Enrol, InboxArgs, Init, Open, Publish, Refuse,
    ReportArgs, Restore, Sync, Withdraw,
};
use crate::cli::Exit;
use crate::cli::output::{ask, confirm, read_line, read_text};
use crate::cli::party::{print_fingerprints, read_trust};
use crate::encoding::printable;
use crate::party::official::fingerprints;
use crate::party::resident::decide::{self, Wish};
use crate::party::resident::note::Words;
use crate::party::resident::state::{Attack, Clip};
use crate::party::resident::sync::{self, Synced};
use crate::party::resident::upload::{self, Film};
use crate::party::resident::{
    Resident, ResidentError, again, decision_file, enrol, film, inbox, kept, publish, report,
};
use crate::plain::count;
use crate::seal::keys::Phrase;
use crate::statement::kinds::disclosure::short;
use crate::time::Clock;

pub(super) fn init(args: &Init) -> anyhow::Result<Exit> {
    let place = args.beginning.place();
    let code = match (&args.code_file, &args.code) {
        (Some(path), _) => read_line(path, "an enrolment code")?,
        (None, code) => code.clone().unwrap_or_default(),
    };
    let (resident, phrase) = enrol::init(&place, &code, args.cameras.clone(), Clock::system())?;
    let own = &args.beginning.own;
    let (policy, _) = read_trust(&args.beginning.trust)?;
    if own.json {
        // Words on a terminal are for people; a program finds them in the folder.
        let prints: Vec<_> = fingerprints(&policy)
            .into_iter()
            .map(|(of, key)| [of, key])
            .collect();
        print_json(&serde_json::json!({
            "vault": resident.state.vault,
            "log": resident.origin(),
            "fingerprints": prints,
            "phrase_file": own.home.join("phrase"),
        }))?;
        return Ok(Exit::Yes);
    }
    println!("Your recovery phrase:\n");
    print_phrase(&phrase);
    println!(
        "\nWrite it on paper, now: it is not shown again. Whoever has it can read all your clips, and\n\
         answer in your name. Without it, and without the folder {}, all is lost:\n\
         nobody can reset it, the operator neither.\n\
         This device needs the words: they lie in {}, in plain text. Keep that file on an\n\
         encrypted disk and out of backups, and delete it when you give the device away.\n",
        own.home.display(),
        own.home.join("phrase").display()
    );
    print_fingerprints(&policy);
    println!("vault ready; cameras: {}", args.cameras.len());
    Ok(Exit::Yes)
}

pub(super) fn enrol(args: &Enrol) -> anyhow::Result<Exit> {
    let resident = args.own.resident()?;
    again::enrol(&resident, &read_line(&args.code_file, "an enrolment code")?)?;
    match args.own.json {
        true => print_json(&serde_json::json!({ "vault": resident.state.vault }))?,
        false => println!("the vault is open again: `whosaw resident sync` goes on"),
    }
    Ok(Exit::Yes)
}

pub(super) fn restore(args: &Restore) -> anyhow::Result<Exit> {
    let own = &args.beginning.own;
    if std::io::stdin().is_terminal() {
        eprintln!("Type the 24 words, then Ctrl-D:");
    }
    let mut text = Zeroizing::new(String::with_capacity(1024));
    std::io::stdin().take(4096).read_to_string(&mut text)?;
    let phrase: Phrase = text.parse().context("the recovery phrase")?;
    let place = args.beginning.place();
    let (_, found) = with_bar("restoring", |progress| {
        enrol::restore(&place, &phrase, Clock::system(), progress)
    })?;
    if own.json {
        print_json(&found)?;
    } else {
        let (policy, _) = read_trust(&args.beginning.trust)?;
        print_fingerprints(&policy);
        println!("found:");
        println!(
            "  {}, {} in the log",
            count(found.clips, "clip"),
            count(found.commitments_anchored, "commitment")
        );
        println!(
            "  {}, {}, {} of legal demands",
            count(found.refusals, "refusal"),
            count(found.disclosures, "consent"),
            count(found.notices, "notice")
        );
        if found.not_to_be_handed_over > 0 {
            println!(
                "  {} consents need a key that only the lost device had: if it did not hand it over, \
                 nobody can",
                found.not_to_be_handed_over
            );
        }
        for damaged in &found.damaged {
            println!("  damaged: clip {damaged}");
        }
    }
    print_warnings(&found.warnings);
    ended(found.damaged.is_empty(), &found.warnings)
}

/// The end of what a timer runs, so that its owner hears of warnings: they end the command with an error.
fn ended(is_well: bool, warnings: &[String]) -> anyhow::Result<Exit> {
    if !is_well {
        return Ok(Exit::No);
    }
    if !warnings.is_empty() {
        bail!(
            "not everything could be done: {}",
            count(warnings.len(), "warning")
        );
    }
    Ok(Exit::Yes)
}

pub(super) fn add_camera(args: &CameraAdd) -> anyhow::Result<Exit> {
    let state = args.own.resident()?.state;
    state.move_camera(&args.camera)?;
    if args.own.json {
        print_json(&state.cameras()?)?;
    } else {
        println!("camera {} at {}", args.camera.name, args.camera.position);
    }
    Ok(Exit::Yes)
}

pub(super) fn add(args: &Add) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    let film = Film {
        file: &args.file,
        camera: &args.camera,
        from: args.from,
        until: args.until,
        thumbnail: args.thumbnail.as_deref(),
        part_of: None,
    };
    if let Some(minutes) = args.split {
        return add_in_parts(&mut resident, &film, minutes, args.own.json);
    }
    let clip = with_bar("sealing", |progress| {
        upload::add(&mut resident, &film, progress)
    })?;
    if args.own.json {
        print_json(&resident.state.clip(clip)?)?;
    } else {
        println!("sealed and stored: clip {clip}");
        println!("its commitments go into the log with the next batch");
    }
    Ok(Exit::Yes)
}

pub(super) fn give_up(args: &DropArgs) -> anyhow::Result<Exit> {
    let resident = args.own.resident()?;
    let found = kept::find(&resident, args.clip)?;
    if !args.own.json {
        print_kept(&found);
    }
    if !confirm("Give it up, for good?", args.yes)? {
        println!("nothing was given up");
        return Ok(Exit::No);
    }
    let left = kept::give_up(&resident, &found)?;
    match args.own.json {
        true => print_json(&found)?,
        false => println!("given up: clip {}", args.clip),
    }
    print_warnings(left.as_slice());
    Ok(Exit::Yes)
}

fn add_in_parts(
    resident: &mut Resident,
    film: &Film<'_>,
    minutes: u32,
    json: bool,
) -> anyhow::Result<Exit> {
    let parts = with_bar("sealing", |progress| {
        film::add_in_parts(resident, film, minutes, progress)
    })?;
    let clips: Result<Vec<_>, _> = parts
        .clips
        .iter()
        .map(|clip| resident.state.clip(*clip))
        .collect();
    let clips: Vec<Clip> = clips?.into_iter().flatten().collect();
    if json {
        print_json(&serde_json::json!({
            "original": parts.original, "clips": clips, "not_stored": parts.not_stored,
        }))?;
    } else {
        print_parts(&parts, &clips);
    }
    print_warnings(&parts.not_stored);
    ended(true, &parts.not_stored)
}

pub(super) fn open(args: &Open) -> anyhow::Result<Exit> {
    let resident = args.own.resident()?;
    if args.output.exists() {
        bail!("{} is there already", args.output.display());
    }
    let folder = match args.output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let context = || args.output.display().to_string();
    // Whole and verified, or not there at all.
    let mut staged = tempfile::NamedTempFile::new_in(folder).with_context(context)?;
    upload::open(&resident, args.clip, &mut staged)?;
    staged.flush()?;
    staged
        .persist_noclobber(&args.output)
        .with_context(context)?;
    println!("{}", args.output.display());
    if let Some(part_of) = upload::part_of(&resident, args.clip)? {
        let original = part_of.original;
        println!(
            "part {} of {} of a film of {} bytes with SHA-256 {}: a signature over the whole film is not in it",
            part_of.part, part_of.of, original.size, original.sha256
        );
    }
    Ok(Exit::Yes)
}

fn synced(resident: &mut Resident) -> Result<Synced, ResidentError> {
    with_bar("syncing", |progress| sync::sync(resident, progress))
}

pub(super) fn sync(args: &Sync) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    let synced = synced(&mut resident)?;
    if args.own.json {
        print_json(&synced)?;
        return ended(synced.attacks.is_empty(), &synced.warnings);
    }
    print_checkpoint(&synced.checkpoint);
    println!(
        "{}, {} checked",
        count(synced.new_entries, "new entry"),
        count(synced.batches, "batch")
    );
    if synced.uploads > 0 {
        println!("{} finished", count(synced.uploads, "interrupted upload"));
    }
    if synced.completed_again > 0 {
        let clips = count(synced.completed_again, "clip");
        println!("{clips} completed again: the server had lost that they were complete");
    }
    if synced.entered_again > 0 {
        let clips = count(synced.entered_again, "clip");
        println!(
            "{clips} entered again, with other commitments: the list of a batch is lost that may have the first"
        );
    }
    if synced.fetched > 0 {
        let clips = count(synced.fetched, "clip");
        println!("{clips} fetched that could not be fetched when this device was restored");
    }
    for id in &synced.handed_over {
        println!("handed over: disclosure {id}");
    }
    let (open, lies) = (
        synced.inbox.requests.len(),
        synced.inbox.false_requests.len(),
    );
    let open = count(open, "request");
    println!("{open} near your cameras, {lies} shown as false");
    if synced.inbox.not_looked.is_some() {
        println!("NOTE: not all requests could be looked at: there may be others");
    }
    print_notices(&synced.inbox.notices);
    print_warnings(&synced.warnings);
    print_attacks(&synced.attacks);
    ended(synced.attacks.is_empty(), &synced.warnings)
}

fn alarm(attacks: &[Attack]) -> Exit {
    if attacks.is_empty() {
        Exit::Yes
    } else {
        Exit::No
    }
}

pub(super) fn show_inbox(args: &InboxArgs) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    let inbox = if args.offline {
        inbox::read(&resident)?.context("nothing is known yet: run it without --offline")?
    } else {
        let synced = synced(&mut resident)?;
        print_warnings(&synced.warnings);
        synced.inbox
    };
    if args.own.json {
        print_json(&inbox)?;
    } else {
        print_inbox(&inbox);
    }
    // Nobody may take this for "nobody asks", no script either.
    if let Some(why) = inbox.not_looked {
        bail!("not all requests could be looked at: {why}");
    }
    Ok(Exit::Yes)
}

pub(super) fn allow(args: &Allow) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    let synced = synced(&mut resident)?;
    print_warnings(&synced.warnings);
    let request = decide::resolve(&resident, &args.request)?;
    let wish = Wish {
        clips: args.clips.clone(),
        gives: args.gives.clone(),
        words: words(args)?,
    };
    let offer = match decide::prepare(&resident, &request, &wish) {
        Err(ResidentError::Fault(fault)) => return refused(&fault, args.own.json),
        offer => offer?,
    };
    if !args.own.json {
        print_offer(&offer);
    }
    if !confirm("Give this?", args.yes)? {
        println!("nothing was given");
        return Ok(Exit::No);
    }
    let said = decide::consent(&mut resident, offer)?;
    print_said(&said, "you consented", args.own.json)?;
    Ok(Exit::Yes)
}

/// What the owner tells: from the file, and from the terminal what only they can say.
fn words(args: &Allow) -> anyhow::Result<Words> {
    let mut words = match &args.note {
        Some(path) => Words::parse(&read_text(path)?)
            .map_err(anyhow::Error::msg)
            .with_context(|| path.display().to_string())?,
        None => Words::default(),
    };
    let asks = !args.yes && std::io::stdin().is_terminal();
    for kind in words.missing(&args.gives).into_iter().filter(|_| asks) {
        words.put(kind, ask(&format!("What to tell as your {kind}:"))?);
    }
    Ok(words)
}

pub(super) fn refuse(args: &Refuse) -> anyhow::Result<Exit> {
    let resident = args.own.resident()?;
    let request = decide::resolve(&resident, &args.request)?;
    decide::refuse(&resident, &request)?;
    if args.own.json {
        print_json(&serde_json::json!({ "request": request, "decision": "denied" }))?;
    } else {
        println!("refused: request {}; nothing was sent", short(&request));
        println!("the commitment goes with one of your next clips; then you can prove it");
    }
    Ok(Exit::Yes)
}

pub(super) fn withdraw(args: &Withdraw) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    synced(&mut resident)?;
    let id = decide::resolve_given(&resident, &args.given)?;
    let gift = resident.state.gift(&id)?;
    let was_public = gift.is_some_and(|gift| gift.request.is_none());
    let said = decide::withdraw(&mut resident, &id)?;
    print_said(&said, "taken back", args.own.json)?;
    if was_public && !args.own.json {
        println!(
            "The server gives it out no more. Who has fetched it keeps it: nobody can call copies back."
        );
    }
    Ok(Exit::Yes)
}

pub(super) fn publish(args: &Publish) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    let synced = synced(&mut resident)?;
    print_warnings(&synced.warnings);
    let wish = publish::Wish { until: args.until };
    let mut clips = args.clips.clone();
    clips.sort_unstable();
    clips.dedup();
    let mut offers = Vec::new();
    for clip in &clips {
        match publish::prepare(&resident, *clip, &wish) {
            Err(ResidentError::Fault(fault)) => return refused(&fault, args.own.json),
            offer => offers.push(offer?),
        }
    }
    if !args.own.json {
        print_publication(&offers);
    }
    if !confirm("Publish this, for everybody and for good?", args.yes)? {
        println!("nothing was published");
        return Ok(Exit::No);
    }
    let mut done = Vec::new();
    for offer in offers {
        let published = publish::publish(&mut resident, offer)?;
        print_warnings(&published.warnings);
        if !args.own.json {
            print_published(&resident.state.server, &published)?;
        }
        done.push(published);
    }
    if args.own.json {
        print_json(&done)?;
    }
    Ok(match done.iter().all(|published| published.handed_over) {
        true => Exit::Yes,
        false => Exit::No,
    })
}

pub(super) fn show_report(args: &ReportArgs) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    if !args.offline {
        print_warnings(&synced(&mut resident)?.warnings);
    }
    let report = report::report(&resident)?;
    let proofs = match &args.proofs {
        Some(folder) => report::write_proofs(&resident, &report, folder)?,
        None => Vec::new(),
    };
    if args.own.json {
        print_json(&report)?;
    } else {
        print_report(&report);
        for path in &proofs {
            println!("proof: {}", path.display());
        }
    }
    Ok(alarm(&report.attacks))
}

pub(super) fn check_decision(args: &CheckDecision) -> anyhow::Result<Exit> {
    let (policy, _) = read_trust(&args.trust)?;
    let context = || args.file.display().to_string();
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&args.file).with_context(context)?;
    let most = decision_file::MAX_FILE as u64 + 1;
    file.take(most)
        .read_to_end(&mut bytes)
        .with_context(context)?;
    let proved = match decision_file::check(&bytes, &policy) {
        Ok(proved) => proved,
        Err(fault) => {
            println!("it proves nothing: {fault}");
            return Ok(Exit::No);
        }
    };
    if args.json {
        print_json(&proved)?;
        return Ok(Exit::Yes);
    }
    println!("it holds: somebody refused request {}", proved.request);
    println!(
        "  the refusal existed by {} (to the minute)",
        proved.logged_at
    );
    println!(
        "  its commitment stands in entry {} of {}",
        proved.batch_index, proved.log
    );
    for (witness, time) in &proved.cosignatures {
        let witness = printable(witness);
        println!("  the log as of {time} is vouched for by {witness}");
    }
    println!(
        "It does not say who refused. That the log's rules allow that entry, `whosaw log verify` says."
    );
    Ok(Exit::Yes)
}
