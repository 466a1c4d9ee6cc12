//! `whosaw resident`: what a resident does, and what they are told.

mod act;
mod show;

use std::path::PathBuf;

use super::Exit;
use crate::party::resident::Resident;
use crate::party::resident::enrol::Place;
use crate::party::resident::state::Camera;
use crate::statement::scope::Position;
use crate::statement::words::{DataKind, Jurisdiction, Label};
use crate::time::{Clock, Time};
use crate::wire::vault::HexId;

/// Keep clips that nobody sees without you, and see who did
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "A first day:\n  \
    whosaw resident init --home me --server https://ledger.example --trust log.policy \\\n    \
    --code-file code --jurisdiction US-FL --camera front=28.03950,-81.94980\n  \
    whosaw resident add door.mp4 --home me --camera front \\\n    \
    --from 2019-07-30T20:00:00Z --until 2019-07-30T20:10:00Z\n  \
    whosaw resident inbox --home me\n  \
    whosaw resident report --home me")]
pub enum Command {
    Init(Init),
    Restore(Restore),
    Enrol(Enrol),
    #[command(subcommand)]
    Camera(CameraCommand),
    Add(Add),
    Drop(DropArgs),
    Open(Open),
    Sync(Sync),
    Inbox(InboxArgs),
    Allow(Allow),
    Refuse(Refuse),
    Publish(Publish),
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
    #[arg(long, visible_alias = "policy", value_name = "FILE")]
    trust: PathBuf,
    /// ISO 3166 code of where the cameras are, such as US-FL
    #[arg(long, value_name = "CODE")]
    jurisdiction: Jurisdiction,
}

/// Begin: a new recovery phrase, and a vault for your clips
///
/// Prints the 24 words once. Write them on paper: they are all it takes to get everything back, and
/// all it takes to read everything. This device keeps them in DIR/phrase, in plain text: have the
/// folder on an encrypted disk. Get the trust file from somebody who has no reason to deceive
/// you, and compare the fingerprints that this prints. The code comes from the operator.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("enrolment").required(true)))]
#[command(after_help = "Example:\n  \
    whosaw resident init --home me --server https://ledger.example --trust log.policy \\\n    \
    --code-file code --jurisdiction US-FL --camera front=28.03950,-81.94980")]
pub struct Init {
    #[command(flatten)]
    beginning: Beginning,
    /// A file with the operator's enrolment code, which serves once; - is standard input
    #[arg(long, value_name = "FILE", group = "enrolment")]
    code_file: Option<PathBuf>,
    /// The code itself. Everybody on this machine can read it while this runs: rather --code-file
    #[arg(long, value_name = "CODE", group = "enrolment")]
    code: Option<String>,
    /// A camera's name and place: NAME=LATITUDE,LONGITUDE
    #[arg(long = "camera", value_name = "NAME=LAT,LON", value_parser = camera)]
    cameras: Vec<Camera>,
}

/// Begin again on a new device, from the recovery phrase alone
///
/// Reads the 24 words from standard input, fetches what the vault holds, and finds in the log what
/// you said. What only the old device had is not found: headers that waited to be handed over. If it is
/// interrupted, run it again: it goes on where it was.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example (type the words, then Ctrl-D):\n  \
    whosaw resident restore --home me --server https://ledger.example --trust log.policy \\\n    \
    --jurisdiction US-FL")]
pub struct Restore {
    #[command(flatten)]
    beginning: Beginning,
}

/// Open your vault again on a server that lost it
///
/// After a disaster a server may have an older backup, from before your vault was opened. Ask its operator
/// for a new code. The next sync completes your clips again, without uploading them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whosaw resident enrol --home me --code-file code")]
pub struct Enrol {
    #[command(flatten)]
    own: Own,
    /// A file with the operator's new enrolment code, which serves once; - is standard input
    #[arg(long, value_name = "FILE")]
    code_file: PathBuf,
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
/// The file is encrypted on this device, byte for byte, and stays as it is. A clip has at most 60 minutes, by the
/// file's own metadata where it has any: what you give is given whole. If the upload is
/// interrupted or refused, the clip is kept here, and `whosaw resident sync` goes on with it until the vault has
/// it or you give it up (`whosaw resident drop`). Eight commitments go along, whatever they stand
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
    /// Split a longer film into clips of about so many minutes, at key frames, without encoding it again. A
    /// signature over the whole file does not survive: keep the original, whose SHA-256 goes with each part. Needs
    /// ffmpeg
    #[arg(long, value_name = "MINUTES", num_args = 0..=1, require_equals = true, default_missing_value = "20",
        value_parser = clap::value_parser!(u32).range(1..=60))]
    split: Option<u32>,
}

/// Give up a clip that the vault does not have
///
/// A clip that the vault does not take is kept on this device: every `sync` tries it again, and exits 2. This shows
/// it with the file and its size, asks, and deletes it: there may be no other copy. A clip that the server lost, or that
/// a restore could not fetch, is not asked for any more; what the log says of it stays in the report.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw resident drop 9f2c51d8a04be7360c5d1f8e2b7a4c96 --home me")]
pub struct DropArgs {
    /// The clip's id
    clip: HexId,
    #[command(flatten)]
    own: Own,
    /// Do not ask
    #[arg(long)]
    yes: bool,
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
/// the agency's collection stands in the log. Run it every hour, from a timer. Exits 1 if somebody used
/// what is yours alone, and 2 if something could not be done, such as an upload: the warnings say what.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whosaw resident sync --home me")]
pub struct Sync {
    #[command(flatten)]
    own: Own,
}

/// See who asks for footage from your cameras
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whosaw resident inbox --home me")]
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
/// takes it. What you give besides the video goes in one note that the agency alone can open, handed
/// over with the key.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw resident allow 3f9a0c21d4e7 --home me --gives time\n  \
    whosaw resident allow 3f9a0c21d4e7 --home me --gives contact,time --note note.json\n\n\
    note.json: {\"contact\":\"+1 863 555 0142\"}")]
pub struct Allow {
    /// The request: its id, or the first digits
    request: String,
    #[command(flatten)]
    own: Own,
    /// A clip to give; default: all that match
    #[arg(long = "clip", value_name = "ID")]
    clips: Vec<HexId>,
    /// Kinds of data to give besides the video, as far as they are asked for
    #[arg(long, value_enum, value_delimiter = ',')]
    gives: Vec<DataKind>,
    /// A JSON file with what to tell: `contact`, `name`, `place`, `time`; - is standard input. Place and
    /// time are those of the clips if it does not say. On a terminal you are asked for what is missing
    #[arg(long, value_name = "FILE")]
    note: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Refuse a request, and keep the proof that you did
///
/// Nothing is sent. To everybody else a refusal looks like silence; its commitment goes with one of
/// your next clips, and then you can prove that you refused, to whom you like.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whosaw resident refuse 3f9a0c21d4e7 --home me")]
pub struct Refuse {
    /// The request: its id, or the first digits
    request: String,
    #[command(flatten)]
    own: Own,
}

/// Give clips to everybody
///
/// Each clip gets an entry of its own in the log, under a key that serves this once and tells nobody
/// who you are; from then on anybody can fetch and open it. The file is published byte for byte as
/// you added it: whoever watches it may know the place, a face, a voice, or the camera's number in
/// it. Clips published at one time are guessed to be one person's. `withdraw` ends the publishing,
/// not the copies.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw resident publish 9f2c51d8a04be7360c5d1f8e2b7a4c96 --home me")]
pub struct Publish {
    /// The clips' ids
    #[arg(required = true)]
    clips: Vec<HexId>,
    #[command(flatten)]
    own: Own,
    /// How long it is served (UTC, cut to the hour); default: 30 days, as for most
    #[arg(long, value_name = "TIME")]
    until: Option<Time>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Take a consent back before it is collected, or end a publication
///
/// What was public is not served any more. Copies that were made of it stay where they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whosaw resident withdraw 3f9a0c21d4e7 --home me")]
pub struct Withdraw {
    /// The request or the disclosure: its id, or the first digits
    #[arg(value_name = "REQUEST|DISCLOSURE")]
    given: String,
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
    #[arg(long, visible_alias = "policy", value_name = "FILE")]
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
        Command::Init(args) => act::init(args),
        Command::Restore(args) => act::restore(args),
        Command::Enrol(args) => act::enrol(args),
        Command::Camera(CameraCommand::Add(args)) => act::add_camera(args),
        Command::Add(args) => act::add(args),
        Command::Drop(args) => act::give_up(args),
        Command::Open(args) => act::open(args),
        Command::Sync(args) => act::sync(args),
        Command::Inbox(args) => act::show_inbox(args),
        Command::Allow(args) => act::allow(args),
        Command::Refuse(args) => act::refuse(args),
        Command::Publish(args) => act::publish(args),
        Command::Withdraw(args) => act::withdraw(args),
        Command::Report(args) => act::show_report(args),
        Command::CheckDecision(args) => act::check_decision(args),
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
