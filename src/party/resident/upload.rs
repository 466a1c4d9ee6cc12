//! Sealing clips, and storing what is sealed.
//!
//! What is needed to finish is on the disk before the first byte is sent: an upload that was
//! interrupted goes on at the next sync, with the same bytes and the same commitments.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::film::{self, PartOf};
use super::state::{Camera, Clip};
use super::{Progress, Resident, ResidentError};
use crate::client::vault::Part;
use crate::digest::{Digest, StatementId};
use crate::encoding::{self, json_error};
use crate::plain;
use crate::random;
use crate::seal::clip::{self, SealedClip};
use crate::seal::commitment::{
    CLIP_COMMITMENTS, Commitment, DECISION_SLOTS, MAX_CLIP_COMMITMENTS, UPLOAD_SLOTS, clip_opening,
    decision_opening, upload_slots,
};
use crate::seal::padding::padme;
use crate::seal::recipient::Recipient;
use crate::statement::sealed::Opening;
use crate::statement::words::Label;
use crate::store::secrets::SecretFile;
use crate::store::{StoreError, folder_of, sync_folder};
use crate::time::Time;
use crate::wire::vault::HexId;

/// The largest thumbnail, in bytes.
pub const MAX_THUMBNAIL: usize = 256 << 10;

/// What is sealed beside a clip, for its owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    pub clip: HexId,
    pub camera: Camera,
    pub from: Time,
    pub until: Time,
    /// SHA-256 of the sealed header, so that a server cannot exchange it.
    pub header: Digest,
    /// SHA-256 and length in bytes of the body without its padding.
    pub body_digest: Digest,
    pub body_length: u64,
    /// SHA-256 and length in bytes of what was sealed.
    pub sha256: Digest,
    pub size: u64,
    /// The longer film that it was cut from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<PartOf>,
    /// A JPEG picture in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

impl Metadata {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(plain: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(plain)
            .map_err(|error| format!("its metadata: {}", json_error(&error)))
    }
}

/// A film to be kept.
#[derive(Debug, Clone)]
pub struct Film<'a> {
    pub file: &'a Path,
    pub camera: &'a Label,
    pub from: Time,
    pub until: Time,
    /// A JPEG file.
    pub thumbnail: Option<&'a Path>,
    /// The longer film that it was cut from.
    pub part_of: Option<PartOf>,
}

/// Seals a film and stores it. Once it is sealed it is kept, whatever the server answers, until it is stored or its
/// owner gives it up ([`super::kept`]).
///
/// # Errors
/// Those of the files; [`ResidentError::NotStored`] if the clip is kept, and [`finish`] goes on with it.
pub fn add(
    resident: &mut Resident,
    film: &Film<'_>,
    progress: Progress<'_>,
) -> Result<HexId, ResidentError> {
    let mut cameras = resident.state.cameras()?.into_iter();
    let camera = cameras.find(|c| c.name == *film.camera);
    let camera = camera.ok_or_else(|| ResidentError::NoCamera(film.camera.to_string()))?;
    if film.until <= film.from {
        return Err(ResidentError::Backwards);
    }
    film::check(film)?;
    let (clip, own) = seal(resident, film, camera, progress)?;
    let id = clip.clip;
    remember(resident, clip, own)?;
    match store(resident, id, progress) {
        Ok(()) => Ok(id),
        Err(why) => Err(ResidentError::NotStored {
            clip: id,
            why: Box::new(why),
        }),
    }
}

/// Stores every clip whose upload was interrupted; how many were stored. Each clip that the server refuses, or whose
/// upload breaks off while the server answers other calls, is kept, is a warning, and does not hold up the others.
///
/// # Errors
/// The database's.
pub fn finish(resident: &mut Resident, warnings: &mut Vec<String>) -> Result<usize, StoreError> {
    let waiting = resident.state.clips_to_store()?;
    let (count, mut stored) = (waiting.len(), 0);
    for (place, clip) in waiting.into_iter().enumerate() {
        let error = match store(resident, clip, &|_, _| {}) {
            Ok(()) => {
                stored += 1;
                continue;
            }
            Err(error) => error,
        };
        if let ResidentError::Client(error) = &error
            && resident.is_server_away(error)
        {
            // The next call would fail in the same way.
            let left = plain::count(count - place, "upload");
            warnings.push(format!("{left} not finished: {error}"));
            break;
        }
        warnings.push(format!(
            "clip {clip} is kept here, and not stored yet: {error}; if that does not change, \
             `whosaw resident drop {clip}` gives it up"
        ));
    }
    Ok(stored)
}

/// The commitments that a clip enters first.
///
/// # Errors
/// If its header does not open.
pub fn commitments(
    resident: &Resident,
    clip: HexId,
    body_digest: &Digest,
) -> Result<Vec<Commitment>, ResidentError> {
    let opening = |i| opening(resident, clip, body_digest, i);
    (0..CLIP_COMMITMENTS)
        .map(|i| Ok(Commitment::of(&opening(i)?)))
        .collect()
}

/// The next set of a stored clip, with its own four: further commitments of the clip, and fillers. Each device of one
/// phrase makes the same, and it carries no decision, so that no commitment of it is in another set. None if the clip
/// has entered as many as a clip may.
///
/// # Errors
/// If its header does not open.
pub(super) fn next_set(resident: &Resident, clip: &Clip) -> Result<Option<NextSet>, ResidentError> {
    let first = clip.commitments.len();
    if first + CLIP_COMMITMENTS > MAX_CLIP_COMMITMENTS {
        return Ok(None);
    }
    let key = resident.file_key(clip.clip)?;
    let own: [Commitment; CLIP_COMMITMENTS] = std::array::from_fn(|i| {
        let salt = resident.seed.clip_salt(&clip.body_digest, first + i);
        Commitment::of(&clip_opening(&salt, &clip.body_digest, &key))
    });
    let mut fillers = (first..).map(|i| resident.seed.filler(clip.clip.as_bytes(), i));
    let filler = || *fillers.next().expect("as many as it takes").as_bytes();
    Ok(Some(NextSet {
        set: upload_slots(own, &[], filler),
        own,
    }))
}

/// The clip with this commitment of a later set, which another device of the phrase entered: a device that is restored
/// knows the first sets alone. Keeps the sets up to that one.
///
/// # Errors
/// Those of the files and the database.
pub(super) fn find_later(
    resident: &Resident,
    commitment: &Commitment,
) -> Result<Option<HexId>, ResidentError> {
    let state = &resident.state;
    if !state.restoring()? {
        return Ok(None);
    }
    for clip in state.clips()? {
        let (mut with_more, mut sets) = (clip.clone(), Vec::new());
        while let Some(next) = next_set(resident, &with_more)? {
            with_more.commitments.extend(next.own);
            let is_it = next.own.contains(commitment);
            sets.push(next);
            if is_it {
                let mut known = clip;
                for next in sets {
                    state.enter_more(&known, &next.own, &next.set)?;
                    known.commitments.extend(next.own);
                }
                state.set_entered(known.clip)?;
                return Ok(Some(known.clip));
            }
        }
    }
    Ok(None)
}

/// See [`next_set`].
pub(super) struct NextSet {
    pub own: [Commitment; CLIP_COMMITMENTS],
    pub set: [Commitment; UPLOAD_SLOTS],
}

/// The opening of the clip's commitment `i`.
///
/// # Errors
/// If its header does not open.
pub fn opening(
    resident: &Resident,
    clip: HexId,
    body_digest: &Digest,
    i: usize,
) -> Result<Opening, ResidentError> {
    let salt = resident.seed.clip_salt(body_digest, i);
    Ok(clip_opening(&salt, body_digest, &resident.file_key(clip)?))
}

/// The commitment to this resident's refusal of a request, which the upload of `clip` carries.
pub(super) fn decision_commitment(
    resident: &Resident,
    request: &StatementId,
    clip: HexId,
) -> Commitment {
    let salt = resident.seed.decision_salt(request, clip.as_bytes());
    Commitment::of(&decision_opening(&salt, request))
}

/// Keeps what is small of a clip in its folder.
pub(super) fn keep(folder: &Path, header: &[u8], metadata: &[u8]) -> Result<(), ResidentError> {
    fs::create_dir_all(folder).map_err(ResidentError::file(folder))?;
    for (name, bytes) in [("header", header), ("metadata", metadata)] {
        let path = folder.join(name);
        SecretFile::at(path).replace(bytes)?;
    }
    // A row of the database names the folder.
    Ok(sync_folder(folder_of(folder))?)
}

fn seal(
    resident: &Resident,
    film: &Film<'_>,
    camera: Camera,
    progress: Progress<'_>,
) -> Result<(Clip, [Commitment; CLIP_COMMITMENTS]), ResidentError> {
    let thumbnail = film.thumbnail.map(thumbnail).transpose()?;
    let id = HexId::from_bytes(random::bytes());
    let folder = resident.clip_folder(id);
    fs::create_dir_all(&folder).map_err(ResidentError::file(&folder))?;
    let recipient = Recipient::of(&resident.seed.identity());

    let input = File::open(film.file).map_err(ResidentError::file(film.file))?;
    let total = input
        .metadata()
        .map_err(ResidentError::file(film.file))?
        .len();
    let mut input = Metered::new(input, total, progress);
    let path = folder.join("body");
    let sealed = seal_body(&mut input, &recipient, &path).map_err(ResidentError::file(&path))?;

    let own: [Commitment; CLIP_COMMITMENTS] = std::array::from_fn(|i| {
        let salt = resident.seed.clip_salt(&sealed.body_digest, i);
        Commitment::of(&clip_opening(&salt, &sealed.body_digest, &sealed.file_key))
    });
    let clip = Clip {
        clip: id,
        camera,
        from: film.from,
        until: film.until,
        body_digest: sealed.body_digest,
        body_length: sealed.body_length,
        sha256: Digest::from_bytes(input.digest.finalize().into()),
        size: input.done,
        commitments: own.to_vec(),
        upload: None,
        stored: false,
        why: None,
        to_enter: false,
        given_up: false,
        anchors: vec![None; CLIP_COMMITMENTS],
    };
    let metadata = Metadata {
        clip: id,
        camera: clip.camera.clone(),
        from: clip.from,
        until: clip.until,
        header: Digest::of(&sealed.header),
        body_digest: clip.body_digest,
        body_length: clip.body_length,
        sha256: clip.sha256,
        size: clip.size,
        part_of: film.part_of,
        thumbnail: thumbnail.map(encoding::base64),
    };
    let metadata = serde_json::to_vec(&metadata).expect("own metadata serialises");
    keep(
        &folder,
        &sealed.header,
        &clip::seal_bytes(metadata, &recipient),
    )?;
    Ok((clip, own))
}

/// Seals into the file that is stored: the body, then random bytes up to its padded length.
fn seal_body(input: impl Read, recipient: &Recipient, path: &Path) -> io::Result<SealedClip> {
    let mut file = File::create(path)?;
    let sealed = clip::seal(input, recipient, io::BufWriter::new(&file))?;
    let mut missing = padme(sealed.body_length) - sealed.body_length;
    while missing > 0 {
        let noise: [u8; 4096] = random::bytes();
        let part = missing.min(noise.len() as u64);
        file.write_all(&noise[..part as usize])?;
        missing -= part;
    }
    file.sync_all()?;
    Ok(sealed)
}

fn thumbnail(path: &Path) -> Result<Vec<u8>, ResidentError> {
    let bytes = fs::read(path).map_err(ResidentError::file(path))?;
    let is_jpeg = bytes.starts_with(&[0xff, 0xd8, 0xff]);
    if is_jpeg && bytes.len() <= MAX_THUMBNAIL {
        return Ok(bytes);
    }
    Err(ResidentError::file(path)(
        "a thumbnail is a JPEG file of at most 256 KiB",
    ))
}

/// Keeps a sealed clip, with the eight commitments of its upload; refusals among them are marked as carried by it. The
/// eight are sent for this clip alone, together, as often as it takes: two sets that shared some would show which of
/// them are refusals.
fn remember(
    resident: &Resident,
    mut clip: Clip,
    own: [Commitment; CLIP_COMMITMENTS],
) -> Result<(), StoreError> {
    let (state, id) = (&resident.state, clip.clip);
    let commit = |request: &StatementId| decision_commitment(resident, request, id);
    state.atomic(|| {
        let decisions = state.carry_refusals(id, DECISION_SLOTS, commit)?;
        let slots = upload_slots(own, &decisions, random::bytes);
        clip.upload = Some(slots);
        state.add_clip(&clip)
    })
}

/// Uploads the parts and completes the clip. Every step may be done twice. Keeps the reason if it fails.
fn store(resident: &mut Resident, id: HexId, progress: Progress<'_>) -> Result<(), ResidentError> {
    if let Err(error) = send(resident, id, progress) {
        resident.state.set_why(id, &error.to_string())?;
        return Err(error);
    }
    resident.state.set_stored(id)?;
    let body = resident.clip_folder(id).join("body");
    fs::remove_file(&body).map_err(ResidentError::file(&body))
}

fn send(resident: &Resident, id: HexId, progress: Progress<'_>) -> Result<(), ResidentError> {
    let Some(slots) = resident.state.clip(id)?.and_then(|clip| clip.to_store()) else {
        return Ok(());
    };
    send_small(resident, id)?;
    let (client, key) = (&resident.client, resident.seed.vault_key());
    let path = resident.clip_folder(id).join("body");
    let mut file = File::open(&path).map_err(ResidentError::file(&path))?;
    let found = file.metadata().map_err(ResidentError::file(&path))?;
    let length = found.len();
    let arrived = |bytes| progress(bytes, length);
    client.upload(id, Part::Body, &mut file, length, &arrived, &key)?;
    Ok(client.complete(id, &slots, &key)?)
}

/// Uploads the two small parts of a clip, which the device keeps.
pub(super) fn send_small(resident: &Resident, id: HexId) -> Result<(), ResidentError> {
    let folder = resident.clip_folder(id);
    for part in [Part::Header, Part::Metadata] {
        let path = folder.join(part.name());
        let bytes = fs::read(&path).map_err(ResidentError::file(&path))?;
        let key = resident.seed.vault_key();
        resident.client.put_part(id, part, &bytes, &key)?;
    }
    Ok(())
}

/// The longer film that a clip was cut from, if it was.
///
/// # Errors
/// If the clip's metadata does not open.
pub fn part_of(resident: &Resident, id: HexId) -> Result<Option<PartOf>, ResidentError> {
    let path = resident.clip_folder(id).join("metadata");
    let sealed = fs::read(&path).map_err(ResidentError::file(&path))?;
    let plain = clip::open_bytes(&sealed, &resident.seed.identity());
    let plain = plain.map_err(|why| ResidentError::Open { clip: id, why })?;
    let metadata = Metadata::parse(&plain).map_err(ResidentError::file(&path))?;
    Ok(metadata.part_of)
}

/// Opens an own clip, fetched from the vault, into `output`, which must be fresh.
///
/// # Errors
/// A body other than the one sealed; what was written is then useless.
pub fn open(resident: &Resident, id: HexId, output: &mut impl Write) -> Result<(), ResidentError> {
    let asked = || ResidentError::Asked(format!("there is no clip {id}"));
    let clip = resident.state.clip(id)?.ok_or_else(asked)?;
    let header = resident.clip_header(id)?;
    let fault = ResidentError::file(&resident.root);
    let mut body = tempfile::tempfile_in(&resident.root).map_err(fault)?;
    let key = resident.seed.vault_key();
    resident
        .client
        .body(id, clip.body_length, &mut body, &key)?;
    let fail = |why| ResidentError::Open { clip: id, why };
    body.rewind().map_err(|error| fail(error.into()))?;
    let mut plain = clip::open(&header, body, &resident.seed.identity()).map_err(fail)?;
    io::copy(&mut plain, output).map_err(|error| fail(error.into()))?;
    Ok(())
}

/// A reader that hashes and counts what it reads.
struct Metered<'a, R> {
    inner: R,
    digest: Sha256,
    done: u64,
    total: u64,
    progress: Progress<'a>,
}

impl<'a, R> Metered<'a, R> {
    fn new(inner: R, total: u64, progress: Progress<'a>) -> Self {
        Self {
            inner,
            digest: Sha256::new(),
            done: 0,
            total,
            progress,
        }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        self.done += read as u64;
        (self.progress)(self.done, self.total);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Identity;
    use crate::seal::clip::{open as open_clip, open_bytes, seal_bytes};

    #[test]
    fn a_stored_body_opens_once_its_padding_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::generate();
        let path = folder.path().join("body");
        let film: Vec<u8> = (0..200_001_u32).map(|i| (i % 251) as u8).collect();
        let total = film.len() as u64;
        let told = std::cell::Cell::new((0, 0));
        let progress = |done, total| told.set((done, total));
        let mut input = Metered::new(&film[..], total, &progress);
        let sealed = seal_body(&mut input, &Recipient::of(&identity), &path).unwrap();
        assert_eq!(told.get(), (total, total));
        assert_eq!(
            Digest::from_bytes(input.digest.finalize().into()),
            Digest::of(&film)
        );

        let stored = fs::read(&path).unwrap();
        assert_eq!(stored.len() as u64, padme(sealed.body_length));
        let (body, padding) = stored.split_at(sealed.body_length as usize);
        assert!(padding.iter().any(|byte| *byte != 0));
        assert_eq!(Digest::of(body), sealed.body_digest);
        let mut plain = Vec::new();
        let mut opened = open_clip(&sealed.header, body, &identity).unwrap();
        opened.read_to_end(&mut plain).unwrap();
        assert!(plain == film);
    }

    #[test]
    fn metadata_hides_its_length_and_reads_back() {
        let identity = Identity::generate();
        let metadata = |thumbnail: Option<String>| Metadata {
            clip: HexId::from_bytes([1; 16]),
            camera: Camera {
                name: "front".parse().unwrap(),
                position: "28.03950,-81.94980".parse().unwrap(),
            },
            from: "2019-07-30T20:00:00Z".parse().unwrap(),
            until: "2019-07-30T20:10:00Z".parse().unwrap(),
            header: Digest::of("header"),
            body_digest: Digest::of("body"),
            body_length: 4,
            sha256: Digest::of("film"),
            size: 4,
            part_of: None,
            thumbnail,
        };
        let seal = |thumbnail| {
            let plain = serde_json::to_vec(&metadata(thumbnail)).unwrap();
            seal_bytes(plain, &Recipient::of(&identity))
        };
        let (bare, pictured) = (seal(None), seal(Some("/9j/".repeat(99))));
        // age greases the header by a random length: what follows it tells.
        let body = |sealed: &[u8]| {
            let mut rest = sealed;
            crate::seal::clip::read_header(&mut rest).unwrap();
            rest.len()
        };
        assert_eq!(body(&bare), body(&pictured));
        let plain = open_bytes(&bare, &identity).unwrap();
        assert_eq!(Metadata::parse(&plain), Ok(metadata(None)));
        assert!(Metadata::parse(b"{}").is_err());
    }

    #[test]
    fn a_thumbnail_is_a_small_jpeg() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture");
        for (bytes, fine) in [
            (vec![0xff, 0xd8, 0xff, 0xe0], true),
            (b"\x89PNG".to_vec(), false),
            (
                [vec![0xff, 0xd8, 0xff], vec![0; MAX_THUMBNAIL]].concat(),
                false,
            ),
        ] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(thumbnail(&path).is_ok(), fine);
        }
    }
}
