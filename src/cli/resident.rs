//! `whosaw resident`: what a resident does, and what they are told.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use zeroize::Zeroizing;

use super::Exit;
use super::output::confirm;
use super::party::{print_fingerprints, read_trust};
use crate::party::official::fingerprints;
use crate::party::resident::decide::{self, Offer, Said, Wish};
use crate::party::resident::enrol::{self, Place};
use crate::party::resident::gate::Fault;
use crate::party::resident::inbox::{self, Answer, Checkpoint, Inbox, Item};
use crate::party::resident::report::{self, Report};
use crate::party::resident::state::{Attack, Camera};
use crate::party::resident::sync::{self, Synced};
use crate::party::resident::upload::{self, Film};
use crate::party::resident::{Resident, ResidentError, decision_file};
use crate::seal::keys::Phrase;
use crate::statement::scope::Position;
use crate::statement::words::{DataKind, Jurisdiction, Label};
use crate::time::{Clock, Time};
use crate::wire::vault::HexId;

/// Keep clips that nobody sees without you, and see who did
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "A first day:\n  \
    whosaw resident init --home me --server https://ledger.example --trust log.policy \\\n    \
    --code CODE --jurisdiction US-FL --camera front=28.03950,-81.94980\n  \
    whosaw resident add door.mp4 --home me --camera front \\\n    \
    --from 2019-07-30T20:00:00Z --until 2019-07-30T20:10:00Z\n  \
    whosaw resident inbox --home me\n  \
    whosaw resident report --home me")]
pub enum Command {
    Init(Init),
    Restore(Restore),
    #[command(subcommand)]
    Camera(CameraCommand),
    Add(Add),
    Open(Open),
    Sync(Sync),
    Inbox(InboxArgs),
    Allow(Allow),
    Refuse(Refuse),
    Withdraw(Withdraw),
    Report(ReportArgs),
    CheckDecision(CheckDecision),
}

/// The resident's folder, and how answers are printed
#[derive(Debug, clap::Args)]
pub struct Own {
    /// The resident's folder
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Where a resident begins
#[derive(Debug, clap::Args)]
pub struct Beginning {
    #[command(flatten)]
    own: Own,
    /// The ledger's address
    #[arg(long, value_name = "URL")]
    server: String,
    /// The trust file: the log's key and its witnesses
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// ISO 3166 code of where the cameras are, such as US-FL
    #[arg(long, value_name = "CODE")]
    jurisdiction: Jurisdiction,
}

/// Begin: a new recovery phrase, and a vault for your clips
///
/// Prints the 24 words once. Write them on paper: they are all it takes to get everything back, and
/// all it takes to read everything. Get the trust file from somebody who has no reason to deceive
/// you, and compare the fingerprints that this prints. The code comes from the operator.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw resident init --home me --server https://ledger.example --trust log.policy \\\n    \
    --code CODE --jurisdiction US-FL --camera front=28.03950,-81.94980")]
pub struct Init {
    #[command(flatten)]
    beginning: Beginning,
    /// The operator's enrolment code; it serves once
    #[arg(long, value_name = "CODE")]
    code: String,
    /// A camera's name and place: NAME=LATITUDE,LONGITUDE
    #[arg(long = "camera", value_name = "NAME=LAT,LON", value_parser = camera)]
    cameras: Vec<Camera>,
}

/// Begin again on a new device, from the recovery phrase alone
///
/// Reads the 24 words from standard input, fetches what the vault holds, and finds in the log what
/// you said. What only the old device had is not found: headers that waited to be handed over.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example (type the words, then Ctrl-D):\n  \
    whosaw resident restore --home me --server https://ledger.example --trust log.policy \\\n    \
    --jurisdiction US-FL")]
pub struct Restore {
    #[command(flatten)]
    beginning: Beginning,
}

/// Your cameras
#[derive(Debug, clap::Subcommand)]
pub enum CameraCommand {
    Add(CameraAdd),
}

/// Add a camera, or tell that it has moved
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  whosaw resident camera add garage=28.03955,-81.94970 --home me"
)]
pub struct CameraAdd {
    /// Its name and place
    #[arg(value_name = "NAME=LAT,LON", value_parser = camera)]
    camera: Camera,
    #[command(flatten)]
    own: Own,
}

/// Seal a clip, and store it
///
/// The file is encrypted on this device, byte for byte, and stays as it is. If the upload is
/// interrupted, `whosaw resident sync` finishes it. Eight commitments go along, whatever they stand
/// for, so that nobody can tell a refusal from a clip.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw resident add door.mp4 --home me --camera front \\\n    \
    --from 2019-07-30T20:00:00Z --until 2019-07-30T20:10:00Z --thumbnail door.jpg")]
pub struct Add {
    /// The clip
    file: PathBuf,
    #[command(flatten)]
    own: Own,
    /// Which camera filmed it
    #[arg(long, value_name = "NAME")]
    camera: Label,
    /// When it begins (UTC)
    #[arg(long, value_name = "TIME")]
    from: Time,
    /// When it ends (UTC)
    #[arg(long, value_name = "TIME")]
    until: Time,
    /// A small picture of it (JPEG, at most 256 KiB), sealed too
    #[arg(long, value_name = "FILE")]
    thumbnail: Option<PathBuf>,
}

/// Fetch one of your clips from the vault, and open it
///
/// The server sees which clip you fetch. Fetching just the clip that somebody asks about tells the
/// operator that it interests you: keep the originals, and watch those.
#[derive(Debug, clap::Args)]
pub struct Open {
    /// The clip's id
    clip: HexId,
    #[command(flatten)]
    own: Own,
    /// Where to write it; never over a file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Follow the log, and do what is due
///
/// Sends the same requests whatever you decided. Hands over the keys of clips that you gave, once
/// the agency's collection stands in the log. Run it every hour, from a timer.
#[derive(Debug, clap::Args)]
pub struct Sync {
    #[command(flatten)]
    own: Own,
}

/// See who asks for footage from your cameras
#[derive(Debug, clap::Args)]
pub struct InboxArgs {
    #[command(flatten)]
    own: Own,
    /// Ask nobody: show what this device knows
    #[arg(long)]
    offline: bool,
}

/// Consent to a request
///
/// Shows what is given to whom, and asks. The consent is logged in public, under a key that serves
/// this once; the clip's key is handed over by a later `sync`, after the agency has logged that it
/// takes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw resident allow 3f9a0c21d4e7 --home me --gives video,time")]
pub struct Allow {
    /// The request: its id, or the first digits
    request: String,
    #[command(flatten)]
    own: Own,
    /// A clip to give; default: all that match
    #[arg(long = "clip", value_name = "ID")]
    clips: Vec<HexId>,
    /// Kinds of data to give; default: video and time, as far as asked for
    #[arg(long, value_enum, value_delimiter = ',')]
    gives: Vec<DataKind>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Refuse a request, and keep the proof that you did
///
/// Nothing is sent. To everybody else a refusal looks like silence; its commitment goes with one of
/// your next clips, and then you can prove that you refused, to whom you like.
#[derive(Debug, clap::Args)]
pub struct Refuse {
    /// The request: its id, or the first digits
    request: String,
    #[command(flatten)]
    own: Own,
}

/// Take a consent back, before it is collected
#[derive(Debug, clap::Args)]
pub struct Withdraw {
    /// The request or the disclosure: its id, or the first digits
    request: String,
    #[command(flatten)]
    own: Own,
}

/// See who saw your footage
///
/// Exits 1 if somebody used what is yours alone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  whosaw resident report --home me --proofs proofs\n  \
    whosaw log check proofs/entry-12.tlog-proof --policy log.policy"
)]
pub struct ReportArgs {
    #[command(flatten)]
    own: Own,
    /// Write a proof for every line, and for every anchored refusal
    #[arg(long, value_name = "DIR")]
    proofs: Option<PathBuf>,
    /// Ask nobody: show what this device knows
    #[arg(long)]
    offline: bool,
}

/// Check somebody's proof that a request was refused
#[derive(Debug, clap::Args)]
pub struct CheckDecision {
    /// The file that `whosaw resident report --proofs` wrote
    file: PathBuf,
    /// Your own trust file
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

fn camera(text: &str) -> Result<Camera, String> {
    let form = || "NAME=LATITUDE,LONGITUDE, such as front=28.03950,-81.94980".to_owned();
    let (name, place) = text.split_once('=').ok_or_else(form)?;
    Ok(Camera {
        name: name.parse().map_err(|e| format!("{name}: {e}"))?,
        position: place
            .parse::<Position>()
            .map_err(|e| format!("{place}: {e}"))?,
    })
}

/// Runs the command.
///
/// # Errors
/// Those of the command.
pub fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Init(args) => init(args),
        Command::Restore(args) => restore(args),
        Command::Camera(CameraCommand::Add(args)) => add_camera(args),
        Command::Add(args) => add(args),
        Command::Open(args) => open(args),
        Command::Sync(args) => sync(args),
        Command::Inbox(args) => show_inbox(args),
        Command::Allow(args) => allow(args),
        Command::Refuse(args) => refuse(args),
        Command::Withdraw(args) => withdraw(args),
        Command::Report(args) => show_report(args),
        Command::CheckDecision(args) => check_decision(args),
    }
}

impl Own {
    fn resident(&self) -> anyhow::Result<Resident> {
        Ok(Resident::open(&self.home, Clock::system())?)
    }
}

impl Beginning {
    fn place(&self) -> Place<'_> {
        Place {
            home: &self.own.home,
            server: &self.server,
            trust: &self.trust,
            jurisdiction: self.jurisdiction.clone(),
        }
    }
}

fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A bar on a terminal, and nothing elsewhere.
fn with_bar<T>(what: &'static str, work: impl FnOnce(&dyn Fn(u64, u64)) -> T) -> T {
    let bar = if std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{prefix} {bar:30} {percent}% {eta}");
        ProgressBar::new(0)
            .with_prefix(what)
            .with_style(style.expect("a template without unknown keys"))
    } else {
        ProgressBar::hidden()
    };
    let done = work(&|done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    done
}

fn init(args: &Init) -> anyhow::Result<Exit> {
    let place = args.beginning.place();
    let (resident, phrase) =
        enrol::init(&place, &args.code, args.cameras.clone(), Clock::system())?;
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
         nobody can reset it, the operator neither.\n",
        own.home.display()
    );
    print_fingerprints(&policy);
    println!("vault ready; cameras: {}", args.cameras.len());
    Ok(Exit::Yes)
}

fn print_phrase(phrase: &Phrase) {
    let words: Vec<&str> = phrase.words().collect();
    for row in 0..6 {
        let row: Vec<String> = (0..4)
            .map(|column| row + column * 6)
            .map(|at| format!("{:>4}. {:<9}", at + 1, words[at]))
            .collect();
        println!("{}", Zeroizing::new(row.concat()).trim_end());
    }
}

fn restore(args: &Restore) -> anyhow::Result<Exit> {
    let own = &args.beginning.own;
    if std::io::stdin().is_terminal() {
        eprintln!("Type the 24 words, then Ctrl-D:");
    }
    let mut text = Zeroizing::new(String::with_capacity(1024));
    std::io::stdin().take(4096).read_to_string(&mut text)?;
    let phrase: Phrase = text.parse().context("the recovery phrase")?;
    let place = args.beginning.place();
    let (_, found) = with_bar("reading the log", |progress| {
        enrol::restore(&place, &phrase, Clock::system(), progress)
    })?;
    if own.json {
        print_json(&found)?;
    } else {
        let (policy, _) = read_trust(&args.beginning.trust)?;
        print_fingerprints(&policy);
        println!("found:");
        println!(
            "  {} clips, {} commitments in the log",
            found.clips, found.commitments_anchored
        );
        println!(
            "  {} refusals, {} consents",
            found.refusals, found.disclosures
        );
        if found.not_to_be_handed_over > 0 {
            println!(
                "  {} consents need a key that only the lost device had: if it did not hand it over, \
                 nobody can",
                found.not_to_be_handed_over
            );
        }
        for damaged in &found.damaged {
            println!("  NOT what you sealed: clip {damaged}");
        }
    }
    Ok(if found.damaged.is_empty() {
        Exit::Yes
    } else {
        Exit::No
    })
}

fn add_camera(args: &CameraAdd) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    let cameras = &mut resident.state.cameras;
    cameras.retain(|camera| camera.name != args.camera.name);
    cameras.push(args.camera.clone());
    resident.save()?;
    if args.own.json {
        print_json(&resident.state.cameras)?;
    } else {
        println!("camera {} at {}", args.camera.name, args.camera.position);
    }
    Ok(Exit::Yes)
}

fn add(args: &Add) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    let film = Film {
        file: &args.file,
        camera: &args.camera,
        from: args.from,
        until: args.until,
        thumbnail: args.thumbnail.as_deref(),
    };
    let clip = with_bar("sealing", |progress| {
        upload::add(&mut resident, &film, progress)
    })?;
    if args.own.json {
        print_json(&resident.state.clip(clip))?;
    } else {
        println!("sealed and stored: clip {clip}");
        println!("its commitments go into the log with the next batch");
    }
    Ok(Exit::Yes)
}

fn open(args: &Open) -> anyhow::Result<Exit> {
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
    Ok(Exit::Yes)
}

fn synced(resident: &mut Resident) -> Result<Synced, ResidentError> {
    with_bar("reading the log", |progress| sync::sync(resident, progress))
}

fn sync(args: &Sync) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    let synced = synced(&mut resident)?;
    if args.own.json {
        print_json(&synced)?;
        return Ok(alarm(&synced.attacks));
    }
    print_checkpoint(&synced.checkpoint);
    println!(
        "{} new entries, {} batches checked",
        synced.new_entries, synced.batches
    );
    if synced.uploads > 0 {
        println!("{} interrupted uploads finished", synced.uploads);
    }
    for id in &synced.handed_over {
        println!("handed over: disclosure {id}");
    }
    let (open, lies) = (
        synced.inbox.requests.len(),
        synced.inbox.false_requests.len(),
    );
    println!("{open} requests near your cameras, {lies} shown as false");
    print_warnings(&synced.warnings);
    print_attacks(&synced.attacks);
    Ok(alarm(&synced.attacks))
}

fn print_checkpoint(checkpoint: &Checkpoint) {
    println!(
        "the log, {} entries, vouched for by {} at {}",
        checkpoint.size,
        checkpoint.witnesses.join(", "),
        checkpoint.cosigned_at
    );
}

fn print_warnings(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

fn print_attacks(attacks: &[Attack]) {
    for attack in attacks {
        println!(
            "ATTACK on clip {} (entry {}): {}.\n  Whoever did this has access to the operator's \
             machines. Keep the proof (`report --proofs`), and tell a watchdog.",
            attack.clip, attack.index, attack.why
        );
    }
}

fn alarm(attacks: &[Attack]) -> Exit {
    if attacks.is_empty() {
        Exit::Yes
    } else {
        Exit::No
    }
}

fn show_inbox(args: &InboxArgs) -> anyhow::Result<Exit> {
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
    Ok(Exit::Yes)
}

fn print_inbox(inbox: &Inbox) {
    print_checkpoint(&inbox.checkpoint);
    if inbox.requests.is_empty() {
        println!("nobody asks for footage from your cameras");
    }
    for item in &inbox.requests {
        println!();
        print_item(item);
    }
    for lie in &inbox.false_requests {
        let who = lie
            .agency
            .as_ref()
            .map_or("unknown", |agency| agency.as_str());
        println!(
            "\nFALSE  request {} in the name of {who}\n  {}",
            short(&lie.request),
            lie.why
        );
    }
}

fn print_item(item: &Item) {
    let asks: Vec<&str> = item.asks.iter().map(|kind| kind.code()).collect();
    println!("request {}  (entry {})", short(&item.request), item.index);
    println!(
        "  {} ({}) asks you for {}",
        item.agency_name,
        item.agency,
        asks.join(", ")
    );
    println!(
        "  filmed from {} until {}, within {} m²",
        item.from, item.until, item.area_m2
    );
    println!(
        "  offence {} (NIBRS); the case number is sealed until {}",
        item.offence, item.sealed_until
    );
    let between: Vec<&str> = item
        .agreement
        .between
        .iter()
        .map(|party| party.as_str())
        .collect();
    println!(
        "  on the ground of: {} between {}",
        item.agreement.instrument,
        between.join(" and ")
    );
    for remark in &item.agreement.remarks {
        println!("    note: {remark}");
    }
    if let Some(message) = &item.message {
        println!("  it says:");
        for line in message.lines() {
            println!("    | {line}");
        }
    }
    let cameras: Vec<&str> = item.cameras.iter().map(Label::as_str).collect();
    println!("  your cameras there: {}", cameras.join(", "));
    for clip in &item.clips {
        println!("  your clip: {clip}");
    }
    match item.answer {
        Answer::None => println!(
            "  until {}: `allow {1}` or `refuse {1}`; you owe no answer",
            item.deadline,
            short(&item.request)
        ),
        Answer::Refused => println!("  you refused"),
        Answer::Consented => println!("  you consented"),
    }
}

fn short(id: &crate::digest::StatementId) -> String {
    id.to_string()[..12].to_owned()
}

fn allow(args: &Allow) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    let synced = synced(&mut resident)?;
    print_warnings(&synced.warnings);
    let request = decide::resolve(&resident, &args.request)?;
    let wish = Wish {
        clips: args.clips.clone(),
        gives: args.gives.clone(),
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

/// What the gate does not let through is a no, with its reason.
fn refused(fault: &Fault, json: bool) -> anyhow::Result<Exit> {
    if json {
        print_json(&serde_json::json!({ "code": fault.code(), "why": fault.to_string() }))?;
    } else {
        println!("no: {fault} [{}]", fault.code());
    }
    Ok(Exit::No)
}

fn print_offer(offer: &Offer) {
    let gives: Vec<&str> = offer
        .disclosure
        .gives
        .iter()
        .map(|kind| kind.code())
        .collect();
    println!(
        "To {}, for request {}:",
        offer.claim.agency,
        short(&offer.claim.id)
    );
    for clip in &offer.clips {
        println!(
            "  clip {} of {}, {} until {}",
            clip.clip, clip.camera.name, clip.from, clip.until
        );
    }
    println!("  {}", gives.join(", "));
    println!("  sealed for {} alone", offer.disclosure.recipient);
    println!("  to be collected before {}", offer.disclosure.expires);
    println!(
        "The consent is public, under a key that serves this once. Once the agency has collected, \
         it has the clip\nfor good; until then you can take it back."
    );
}

fn print_said(said: &Said, what: &str, json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(said);
    }
    match said.index {
        Some(index) => println!("{what}: entry {index}, proof verified"),
        None => println!("{what}, but the witnesses have not cosigned it yet: run `sync` later"),
    }
    println!("id {}", said.id);
    Ok(())
}

fn refuse(args: &Refuse) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    let request = decide::resolve(&resident, &args.request)?;
    decide::refuse(&mut resident, &request)?;
    if args.own.json {
        print_json(&serde_json::json!({ "request": request, "decision": "denied" }))?;
    } else {
        println!("refused: request {}; nothing was sent", short(&request));
        println!("the commitment goes with one of your next clips; then you can prove it");
    }
    Ok(Exit::Yes)
}

fn withdraw(args: &Withdraw) -> anyhow::Result<Exit> {
    let mut resident = args.own.resident()?;
    synced(&mut resident)?;
    let request = decide::resolve(&resident, &args.request)?;
    let said = decide::withdraw(&mut resident, &request)?;
    print_said(&said, "taken back", args.own.json)?;
    Ok(Exit::Yes)
}

fn show_report(args: &ReportArgs) -> anyhow::Result<Exit> {
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

fn print_report(report: &Report) {
    print_attacks(&report.attacks);
    let checkpoint = &report.checkpoint;
    for clip in &report.clips {
        println!(
            "clip {}  {}, {} until {}",
            clip.clip, clip.camera, clip.from, clip.until
        );
        for line in &clip.lines {
            match line.index {
                Some(index) => println!("  {}  (entry {index})", line.text),
                None => println!("  {}", line.text),
            }
        }
        if clip.nobody {
            println!(
                "  seen by nobody, up to {} entries, vouched for by {} at {}",
                checkpoint.size,
                checkpoint.witnesses.join(", "),
                checkpoint.cosigned_at
            );
        }
    }
    if report.clips.is_empty() {
        println!("you have no clips");
    }
    for decision in &report.decisions {
        println!("request {}  {}", short(&decision.request), decision.text);
    }
}

fn check_decision(args: &CheckDecision) -> anyhow::Result<Exit> {
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
        println!("  the log as of {time} is vouched for by {witness}");
    }
    println!(
        "It does not say who refused. That the log's rules allow that entry, `whosaw log verify` says."
    );
    Ok(Exit::Yes)
}
