//! Beginning as a resident, and beginning again from the phrase alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::{Zeroize as _, Zeroizing};

use super::state::{Beginning, Camera, Clip, State};
use super::upload::{self, Metadata};
use super::{
    CLIPS, FOLLOWER, PHRASE, POLICY, Progress, Resident, ResidentError, STATE, has_resident,
    notices, read_phrase, read_policy, sync,
};
use crate::client::Client;
use crate::client::base::BaseUrl;
use crate::client::vault::Part;
use crate::digest::Digest;
use crate::plain;
use crate::random;
use crate::seal::clip::{METADATA_BLOCK, open_bytes};
use crate::seal::commitment::CLIP_COMMITMENTS;
use crate::seal::keys::Phrase;
use crate::seal::rewrap::MAX_HEADER;
use crate::statement::words::Jurisdiction;
use crate::store::secrets::{SecretFile, make_folder};
use crate::time::Clock;
use crate::wire::vault::{HexId, StoredClip};

/// Where a resident begins.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The folder.
    pub home: &'a Path,
    /// The server's address.
    pub server: &'a str,
    /// The trust file.
    pub trust: &'a Path,
    pub jurisdiction: Jurisdiction,
}

/// Makes a resident with a new phrase, and enrols the vault with the operator's code.
///
/// May be called again after a failure: the phrase stays the same.
///
/// # Errors
/// [`ResidentError::Exists`], a refused trust file or address, and the server's refusals.
pub fn init(
    place: &Place<'_>,
    code: &str,
    cameras: Vec<Camera>,
    clock: Clock,
) -> Result<(Resident, Phrase), ResidentError> {
    let client = prepare(place, &clock)?;
    let file = SecretFile::at(place.home.join(PHRASE));
    if !file.path().exists() {
        let mut entropy: [u8; 32] = random::bytes();
        let phrase = Phrase::from_entropy(&entropy);
        entropy.zeroize();
        file.write_new(written(&phrase).as_bytes())?;
    }
    let phrase = read_phrase(place.home)?;
    let enrolled = client.enrol(code, None, &phrase.seed().vault_key())?;
    let server = client.base().as_str().to_owned();
    let beginning = Beginning {
        server,
        jurisdiction: place.jurisdiction.clone(),
        vault: enrolled.vault,
        cameras,
        restoring: false,
    };
    State::create(&place.home.join(STATE), &beginning)?;
    let resident = Resident::open(place.home, clock)?;
    // What fails here is done by the next sync.
    notices::tell_recipient(&resident, &mut Vec::new())?;
    Ok((resident, phrase))
}

/// What a restored device found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    pub clips: usize,
    /// Clips whose metadata or header the server does not give, or is not what this phrase sealed, each with the
    /// reason: each later sync tries them again.
    pub damaged: Vec<String>,
    pub commitments_anchored: usize,
    pub refusals: usize,
    pub disclosures: usize,
    /// Notices of legal demands.
    pub notices: usize,
    /// Disclosures that wait for a header which only the lost device had.
    pub not_to_be_handed_over: usize,
    /// Those of the sync, see [`sync::Synced`].
    pub warnings: Vec<String>,
}

/// Makes the folder of a resident again from the phrase: the vault has the clips, and the log has the
/// statements. What was found is kept: after an interruption the same call goes on where it was.
///
/// # Errors
/// [`ResidentError::NoVault`], and those of [`sync::sync`].
pub fn restore(
    place: &Place<'_>,
    phrase: &Phrase,
    clock: Clock,
    progress: Progress<'_>,
) -> Result<(Resident, Found), ResidentError> {
    let begun = begun(place, phrase, &clock)?;
    let client = match begun {
        true => check(place, &clock)?,
        false => prepare(place, &clock)?,
    };
    let key = phrase.seed().vault_key();
    let vault = client.vault(&key)?.ok_or(ResidentError::NoVault)?;
    let server = client.base().as_str().to_owned();
    if !begun {
        let file = SecretFile::at(place.home.join(PHRASE));
        match file.path().exists() {
            true if *written(&read_phrase(place.home)?) != *written(phrase) => {
                return Err(ResidentError::Exists(place.home.to_owned()));
            }
            true => {}
            false => file.write_new(written(phrase).as_bytes())?,
        }
        let beginning = Beginning {
            server,
            jurisdiction: place.jurisdiction.clone(),
            vault: vault.vault,
            cameras: Vec::new(),
            restoring: true,
        };
        State::create(&place.home.join(STATE), &beginning)?;
    }
    let mut resident = Resident::open_unfinished(place.home, clock)?;
    if resident.state.vault != vault.vault {
        return Err(ResidentError::Exists(place.home.to_owned()));
    }
    let damaged = fetch_clips(&resident, &vault.clips, progress)?;
    let synced = sync::sync(&mut resident, progress)?;
    let state = &resident.state;
    state.end_restoring()?;
    let clips = state.clips()?;
    let anchors = clips.iter().flat_map(|clip| &clip.anchors);
    let found = Found {
        clips: clips.len(),
        damaged,
        commitments_anchored: anchors.flatten().count(),
        refusals: state.refusals()?.len(),
        disclosures: state.gifts()?.len(),
        notices: state.notices()?.len(),
        not_to_be_handed_over: sync::unmet(&resident)?,
        warnings: synced.warnings,
    };
    Ok((resident, found))
}

/// Whether the folder is one that this phrase began to restore.
fn begun(place: &Place<'_>, phrase: &Phrase, clock: &Clock) -> Result<bool, ResidentError> {
    if !has_resident(place.home)? {
        return Ok(false);
    }
    let resident = Resident::open_unfinished(place.home, clock.clone())?;
    let same = *written(&read_phrase(place.home)?) == *written(phrase);
    match resident.state.restoring()? && same {
        true => Ok(true),
        false => Err(ResidentError::Exists(place.home.to_owned())),
    }
}

/// Fetches the clips that the device does not have yet; those that it could not fetch, or that this phrase did not
/// seal, each with the reason. A later sync tries these again.
fn fetch_clips(
    resident: &Resident,
    stored: &[StoredClip],
    progress: Progress<'_>,
) -> Result<Vec<String>, ResidentError> {
    let (mut damaged, mut keeping) = (Vec::new(), Keeping::new(resident));
    let count = stored.len() as u64;
    for (done, stored) in (0..).zip(stored) {
        progress(done, count);
        if resident.state.clip(stored.clip)?.is_some() {
            continue;
        }
        match fetch(resident, stored.clip)? {
            Ok(clip) => keeping.keep(&clip)?,
            Err(why) => {
                resident.state.add_unfetched(stored.clip)?;
                damaged.push(format!("{}: {why}", stored.clip));
            }
        }
    }
    Ok(damaged)
}

/// Fetches the clips that a restore could not fetch; how many it got.
///
/// # Errors
/// Those of the files and the database.
pub(super) fn fetch_rest(
    resident: &Resident,
    warnings: &mut Vec<String>,
) -> Result<usize, ResidentError> {
    // While the device is restored that was tried a moment ago.
    if resident.state.restoring()? {
        return Ok(0);
    }
    let missing = resident.state.unfetched()?;
    let (count, mut done) = (missing.len(), 0);
    let mut keeping = Keeping::new(resident);
    for (place, id) in missing.into_iter().enumerate() {
        match fetch(resident, id) {
            Ok(Ok(clip)) => {
                keeping.keep(&clip)?;
                done += 1;
            }
            Ok(Err(why)) => warnings.push(format!(
                "clip {id} is in the vault and not on this device: {why}; `whosaw resident drop {id}` ends this warning"
            )),
            Err(ResidentError::Client(error)) => {
                let left = plain::count(count - place, "clip");
                warnings.push(format!("{left} in the vault and not on this device: {error}"));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Keeps clips that are fetched.
struct Keeping<'a> {
    resident: &'a Resident,
    reread: bool,
}

impl<'a> Keeping<'a> {
    fn new(resident: &'a Resident) -> Self {
        Self {
            resident,
            reread: false,
        }
    }

    /// Keeps one. Batches that were read before may have its commitments.
    fn keep(&mut self, clip: &Clip) -> Result<(), ResidentError> {
        // First, so that a crash forgets nothing.
        if !self.reread {
            sync::read_batches_again(self.resident)?;
            self.reread = true;
        }
        let state = &self.resident.state;
        state.atomic(|| {
            state.add_camera(&clip.camera)?;
            state.add_clip(clip)?;
            Ok(state.set_fetched(clip.clip).map(drop)?)
        })
    }
}

/// Fetches what is small of a clip, and checks that it is what this phrase sealed; else the reason, which is of this
/// clip alone.
///
/// # Errors
/// If the server does not answer, and those of the files.
fn fetch(resident: &Resident, id: HexId) -> Result<Result<Clip, String>, ResidentError> {
    let key = resident.seed.vault_key();
    let most = MAX_HEADER as u64;
    let part = |part: Part, most| match resident.client.part(id, part, most, &key) {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(error) if matches!(error.status(), Some(404 | 410)) => {
            Ok(Err(format!("the server has lost its {}", part.name())))
        }
        Err(error) if resident.is_server_away(&error) => Err(error),
        Err(error) => Ok(Err(format!(
            "the server does not give its {}: {error}",
            part.name()
        ))),
    };
    let header = match part(Part::Header, most)? {
        Ok(header) => header,
        Err(why) => return Ok(Err(why)),
    };
    let most = (upload::MAX_THUMBNAIL + 64 * METADATA_BLOCK) as u64 * 2;
    let sealed = match part(Part::Metadata, most)? {
        Ok(sealed) => sealed,
        Err(why) => return Ok(Err(why)),
    };
    let opened = open_bytes(&sealed, &resident.seed.identity()).map_err(|e| e.to_string());
    let metadata = opened.and_then(|plain| Metadata::parse(&plain));
    let metadata = match metadata {
        Ok(metadata) if metadata.clip != id => {
            return Ok(Err("the server gave another clip's metadata".to_owned()));
        }
        Ok(metadata) if metadata.header != Digest::of(&header) => {
            return Ok(Err(
                "the server gave another header than the one sealed".to_owned()
            ));
        }
        Ok(metadata) => metadata,
        Err(why) => return Ok(Err(why)),
    };
    upload::keep(&resident.clip_folder(id), &header, &sealed)?;
    let commitments = match upload::commitments(resident, id, &metadata.body_digest) {
        Ok(commitments) => commitments,
        Err(error @ ResidentError::Open { .. }) => return Ok(Err(error.to_string())),
        Err(error) => return Err(error),
    };
    Ok(Ok(Clip {
        clip: id,
        camera: metadata.camera,
        from: metadata.from,
        until: metadata.until,
        body_digest: metadata.body_digest,
        body_length: metadata.body_length,
        sha256: metadata.sha256,
        size: metadata.size,
        commitments,
        upload: None,
        stored: true,
        why: None,
        to_enter: false,
        given_up: false,
        anchors: vec![None; CLIP_COMMITMENTS],
    }))
}

/// Checks what is given; a client of the server.
fn check(place: &Place<'_>, clock: &Clock) -> Result<Client, ResidentError> {
    let client = Client::new(BaseUrl::parse(place.server)?, clock.clone());
    read_policy(place.trust)?;
    Ok(client)
}

/// Checks what is given, and makes the folder with the trust file in it.
fn prepare(place: &Place<'_>, clock: &Clock) -> Result<Client, ResidentError> {
    let home = place.home;
    if has_resident(home)? {
        return Err(ResidentError::Exists(home.to_owned()));
    }
    let client = check(place, clock)?;
    make_folder(&home.join(CLIPS))?;
    fs::set_permissions(home, Permissions::from_mode(0o700)).map_err(ResidentError::file(home))?;
    // A follower's file without a state is left from an attempt that failed.
    let _ = fs::remove_file(home.join(FOLLOWER));
    let text = fs::read(place.trust).map_err(ResidentError::file(place.trust))?;
    let path = home.join(POLICY);
    SecretFile::at(path).replace(&text)?;
    Ok(client)
}

fn written(phrase: &Phrase) -> Zeroizing<String> {
    let words: Vec<&str> = phrase.words().collect();
    Zeroizing::new(words.join(" ") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_for_a_trust_file_that_trusts_the_operator_alone() {
        let folder = tempfile::tempdir().unwrap();
        let trust = folder.path().join("trust");
        let key = crate::tlog::note::LogSigner::new(
            "ledger.example/log".parse().unwrap(),
            ed25519_dalek::SigningKey::from_bytes(&[1; 32]),
        );
        fs::write(&trust, format!("log {}\nquorum none\n", key.verifier())).unwrap();
        let place = Place {
            home: &folder.path().join("home"),
            server: "http://127.0.0.1:1",
            trust: &trust,
            jurisdiction: "US-FL".parse().unwrap(),
        };
        let made = init(&place, "code", Vec::new(), Clock::system());
        assert!(matches!(made, Err(ResidentError::Policy(_))));
        let plain = Place {
            server: "http://ledger.example",
            ..place.clone()
        };
        let made = init(&plain, "code", Vec::new(), Clock::system());
        assert!(matches!(made, Err(ResidentError::Address(_))));
        assert!(!place.home.exists());
    }

    #[test]
    fn the_written_phrase_reads_back() {
        let phrase = Phrase::from_entropy(&[7; 32]);
        let again: Phrase = written(&phrase).parse().unwrap();
        assert_eq!(written(&again), written(&phrase));
    }
}
