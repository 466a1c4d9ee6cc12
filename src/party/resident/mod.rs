//! A resident's own program: keeps clips sealed, follows the log, decides, and tells who saw.
//!
//! The folder: `phrase` (the 24 words), `log.policy` (whom the device believes), `follower.db` (its
//! own verified copy of the log), `bundle.json` (the last bundle), `resident.db` ([`state`]),
//! `clips/<id>/` (sealed header and metadata; the body until it is uploaded).
//!
//! * [`enrol`]: beginning, and beginning again from the phrase
//! * [`upload`]: sealing clips and storing them; [`film`]: how long they are, and splitting what is too long
//! * [`sync`]: the one pattern of requests that every device makes, whatever its owner decided
//! * [`again`]: what a server lost that was restored from a backup
//! * [`kept`]: clips that the vault does not have, and giving one up
//! * [`gate`]: every check that stands between a clip and whoever asks for it; pure
//! * [`inbox`], [`decide`]: what is asked, and the answers
//! * [`note`]: what is told besides the video
//! * [`publish`]: a clip for everybody
//! * [`notices`]: who told that a legal demand was about this resident
//! * [`report`]: who saw, with proofs; [`decision_file`]: a refusal, proved to a stranger
//! * [`ledger`]: what the device's own copy of the log says
//!
//! Spec: `docs/PROTOCOL.md`, sections 6, 7 and 9.

pub mod again;
pub mod decide;
pub mod decision_file;
pub mod enrol;
pub mod film;
pub mod gate;
pub mod inbox;
pub mod kept;
pub mod ledger;
pub mod note;
pub mod notices;
pub mod publish;
pub mod report;
pub mod state;
pub mod sync;
pub mod upload;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;

use crate::client::base::{BaseUrl, BaseUrlError};
use crate::client::{Client, ClientError};
use crate::seal::clip::OpenError;
use crate::seal::keys::{Phrase, PhraseError, Seed};
use crate::seal::rewrap::HeaderError;
use crate::statement::kinds::disclosure::Disclosure;
use crate::store::lock::DataLock;
use crate::store::secrets::{STAGED, SecretFile};
use crate::store::{StoreError, own};
use crate::time::{Clock, Time};
use crate::tlog::policy::{Policy, PolicyError};
use crate::wire::note::NoteError;
use crate::wire::vault::HexId;
use gate::{Fault, Now, Seen};
use ledger::{Ledger, LedgerError};
use state::State;

const PHRASE: &str = "phrase";
const POLICY: &str = "log.policy";
const STATE: &str = "resident.db";
/// The state of a program before this one.
const OLD_STATE: &str = "resident.json";
const BUNDLE: &str = "bundle.json";
const FOLLOWER: &str = "follower.db";
const CLIPS: &str = "clips";

/// Why a resident's program could not do as told.
#[derive(Debug, thiserror::Error)]
pub enum ResidentError {
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("{} holds a resident already: name another folder with --home", .0.display())]
    Exists(PathBuf),
    #[error("{} holds no resident: begin with `whosaw resident init`", .0.display())]
    Missing(PathBuf),
    #[error(
        "{root} is of an older program, which kept resident.json: run `whosaw resident restore` with another --home \
         and the words in {root}/phrase",
        root = .0.display()
    )]
    Older(PathBuf),
    #[error(
        "{} is not restored yet: run `whosaw resident restore` again, with the same phrase; it goes on where \
         it was",
        .0.display()
    )]
    Unfinished(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("the trust file names {0} logs, where it is to name one")]
    Logs(usize),
    #[error(transparent)]
    Address(#[from] BaseUrlError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(
        "this server has no vault for this phrase: is it the right server, and the right phrase?"
    )]
    NoVault,
    #[error("there is no camera `{0}`: add it with `whosaw resident camera add {0}=LAT,LON`")]
    NoCamera(String),
    #[error("the clip ends before it begins")]
    Backwards,
    #[error(
        "clip {clip} is sealed and kept here, and not stored yet ({why}): `whosaw resident sync` \
         goes on with it, and `whosaw resident drop {clip}` gives it up"
    )]
    NotStored { clip: HexId, why: Box<Self> },
    #[error(
        "this device's copy of the log, of {0}, has no such request: run `whosaw resident sync`, then ask again"
    )]
    NotInCopy(Time),
    #[error("{0}")]
    Asked(String),
    #[error(
        "{} is {minutes} minutes long, and a clip has at most {}, so that nobody gets far more than they ask \
         for: add it in parts with --split",
        path.display(),
        film::MAX_MINUTES
    )]
    TooLong { path: PathBuf, minutes: u64 },
    #[error(
        "{} is {measured} minutes long by its own metadata, and --from and --until are {said} apart: correct them",
        path.display()
    )]
    Longer {
        path: PathBuf,
        measured: u64,
        said: u64,
    },
    #[error(
        "--split needs ffmpeg, which is in no folder of PATH: install it, or split the film yourself without \
         encoding it again"
    )]
    NoFfmpeg,
    #[error("ffmpeg did not split {}: {why}", path.display())]
    Split { path: PathBuf, why: String },
    #[error(
        "{done} of {of} parts are added, and no other: {why}. Adding the film again adds these twice"
    )]
    Halfway {
        done: usize,
        of: u32,
        why: Box<Self>,
    },
    #[error("the note: {0}")]
    Note(#[from] NoteError),
    #[error("clip {clip}: {why}")]
    Open { clip: HexId, why: OpenError },
}

impl ResidentError {
    fn file<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |error| Self::File {
            path,
            why: error.to_string(),
        }
    }
}

/// How far something is: done, of all.
pub type Progress<'a> = &'a dyn Fn(u64, u64);

/// A resident's folder, opened; nobody else works on it meanwhile.
pub struct Resident {
    root: PathBuf,
    seed: Seed,
    policy: Policy,
    clock: Clock,
    client: Client,
    ledger: Ledger,
    /// What the device remembers.
    pub state: State,
    _lock: DataLock,
}

impl Resident {
    /// Opens a folder.
    ///
    /// # Errors
    /// [`ResidentError::Missing`] if there is no resident in it, [`ResidentError::Unfinished`] if its restoring
    /// was interrupted.
    pub fn open(root: &Path, clock: Clock) -> Result<Self, ResidentError> {
        let resident = Self::open_unfinished(root, clock)?;
        match resident.state.restoring()? {
            true => Err(ResidentError::Unfinished(root.to_owned())),
            false => Ok(resident),
        }
    }

    /// As [`Resident::open`], for the program that restores it.
    fn open_unfinished(root: &Path, clock: Clock) -> Result<Self, ResidentError> {
        match own::check_home(root) {
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Err(ResidentError::Missing(root.to_owned()));
            }
            checked => checked?,
        }
        if !has_resident(root)? {
            return Err(ResidentError::Missing(root.to_owned()));
        }
        let lock = DataLock::acquire(root)?;
        let state = State::open(&root.join(STATE))?;
        remove_unfinished(root, &state)?;
        let policy = trusted(&own::read_text(&root.join(POLICY))?)?;
        let client = Client::new(BaseUrl::parse(&state.server)?, clock.clone());
        Ok(Self {
            root: root.to_owned(),
            seed: read_phrase(root)?.seed(),
            ledger: Ledger::open(&root.join(FOLLOWER), policy.clone())?,
            policy,
            clock,
            client,
            state,
            _lock: lock,
        })
    }

    /// The log's origin, to which every own statement is bound.
    pub fn origin(&self) -> String {
        self.policy.logs()[0].key.name.as_str().to_owned()
    }

    /// The checkpoint up to which the own copy of the log goes.
    ///
    /// # Errors
    /// If the copy cannot be read.
    pub fn seen(&self) -> Result<Option<Seen>, ResidentError> {
        Ok(self.ledger.seen()?)
    }

    fn now<'a>(&'a self, seen: Option<&'a Seen>) -> Now<'a> {
        Now {
            time: self.clock.now(),
            policy: &self.policy,
            seen,
        }
    }

    /// Whether an error is of the server and not of the one call: it asks for patience, or it answers no other call
    /// either.
    fn is_server_away(&self, error: &ClientError) -> bool {
        error.asks_for_patience() || (error.is_away() && !self.client.answers())
    }

    fn clip_folder(&self, clip: HexId) -> PathBuf {
        self.root.join(CLIPS).join(clip.to_string())
    }

    /// The own sealed header of a clip.
    fn clip_header(&self, clip: HexId) -> Result<Vec<u8>, ResidentError> {
        let path = self.clip_folder(clip).join("header");
        std::fs::read(&path).map_err(ResidentError::file(&path))
    }

    /// The one-time key that signs this disclosure, if it is this resident's.
    fn one_time_key(&self, disclosure: &Disclosure) -> SigningKey {
        match &disclosure.request {
            Some(request) => self.seed.request_key(request),
            None => {
                let clip = disclosure.clips.first();
                let clip = clip.expect("the rules and the gate want one");
                self.seed.public_key(&clip.commitment)
            }
        }
    }

    /// The file key of an own clip.
    fn file_key(&self, clip: HexId) -> Result<crate::seal::FileKey, ResidentError> {
        let header = self.clip_header(clip)?;
        let opened = crate::seal::rewrap::file_key(&header, &self.seed.identity());
        opened.map_err(|why: HeaderError| ResidentError::Open {
            clip,
            why: why.into(),
        })
    }
}

/// Whether a resident lives in the folder.
///
/// # Errors
/// [`ResidentError::Older`] if an older program's does.
fn has_resident(root: &Path) -> Result<bool, ResidentError> {
    let found = root.join(STATE).exists();
    match !found && root.join(OLD_STATE).exists() {
        true => Err(ResidentError::Older(root.to_owned())),
        false => Ok(found),
    }
}

/// Removes what a program began and did not finish before it was killed: clips that were not sealed whole and that no
/// row names, and files that were not put in their place. The caller holds the lock.
fn remove_unfinished(root: &Path, state: &State) -> Result<(), ResidentError> {
    let clips = root.join(CLIPS);
    for entry in std::fs::read_dir(&clips).map_err(ResidentError::file(&clips))? {
        let path = entry.map_err(ResidentError::file(&clips))?.path();
        // It is written last, so most folders need no look into the database.
        if path.join("metadata").exists() {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let id: Option<HexId> = name.and_then(|name| name.parse().ok());
        if let Some(id) = id
            && state.clip(id)?.is_none()
        {
            std::fs::remove_dir_all(&path).map_err(ResidentError::file(&path))?;
        }
    }
    for entry in std::fs::read_dir(root).map_err(ResidentError::file(root))? {
        let path = entry.map_err(ResidentError::file(root))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(STAGED)) {
            let removed = match path.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
            removed.map_err(ResidentError::file(&path))?;
        }
    }
    Ok(())
}

fn read_phrase(root: &Path) -> Result<Phrase, ResidentError> {
    let path = root.join(PHRASE);
    let bytes = SecretFile::at(&path).read()?;
    let text = std::str::from_utf8(&bytes).map_err(ResidentError::file(&path))?;
    Ok(text.parse()?)
}

/// Reads a trust file, and refuses one that trusts the operator alone, or more than one log.
fn read_policy(path: &Path) -> Result<Policy, ResidentError> {
    let text = std::fs::read_to_string(path).map_err(ResidentError::file(path))?;
    trusted(&text)
}

fn trusted(text: &str) -> Result<Policy, ResidentError> {
    let policy = Policy::parse(text)?;
    policy.check_independent()?;
    match policy.origins().len() {
        1 => Ok(policy),
        n => Err(ResidentError::Logs(n)),
    }
}
