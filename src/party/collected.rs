//! What an agency, or everybody, was handed over: fetched, checked against the log, and only then
//! opened.
//!
//! The server and the resident's device are believed nothing: the header must be the one that the
//! logged disclosure names, the opening that of its commitment, body and file key those of the
//! opening; the note the one that the disclosure names, with exactly the kinds that it gives. Not here: logging the collection. Spec: `docs/PROTOCOL.md`, section 9.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::agency::{Received, identity};
use super::official::{Official, OfficialError};
use crate::client::ClientError;
use crate::digest::Digest;
use crate::seal::clip::OpenError;
use crate::seal::commitment::{Mismatch, verify_clip};
use crate::seal::note::OpenNoteError;
use crate::seal::rewrap::HeaderError;
use crate::seal::{Identity, clip, note, rewrap};
use crate::statement::kinds::disclosure::{DisclosedClip, Disclosure};
use crate::statement::sealed::{Opening, OpeningError};
use crate::statement::words::Role;
use crate::wire::note::{Note, NoteError};

/// How many bytes are taken for a note: one of another size is kept as evidence.
const MOST_OF_NOTE: u64 = 64 << 10;

#[cfg(test)]
mod tests;

/// What came of fetching a clip.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Fetched {
    /// The age file, and the clip it holds.
    Opened { sealed: PathBuf, plain: PathBuf },
    /// It was fetched into this folder before, and is what it was.
    Kept { sealed: PathBuf },
    /// The collection does not stand under a witnessed checkpoint yet.
    NotWitnessed,
    /// The resident's device has not handed it over yet.
    NotHandedOver,
    /// It was handed over, and is no longer kept for fetching.
    Gone,
    /// The server would send more than is taken.
    TooLarge { bytes: u64 },
    /// It is not what was disclosed; the file is kept as evidence.
    Unreadable { sealed: PathBuf, why: String },
}

/// How a file fails to be the clip that was disclosed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it came without its opening")]
    NoOpening,
    #[error("what came as its opening is none: {0}")]
    Opening(OpeningError),
    #[error("it does not begin as an age file")]
    NotAge,
    #[error("its header is not the one that the disclosure names")]
    OtherHeader,
    #[error("its header does not open with the request's identity: {0}")]
    Header(HeaderError),
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    #[error("its body does not open with its file key")]
    Body,
}

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// This machine's fault, not the file's.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Fetches clip `n` of a collected disclosure into `folder`, checks and opens it: header and body of
/// at most `most` bytes.
///
/// # Errors
/// If this folder did not make the request, or the server or `folder` does not do as told.
pub fn fetch(
    agency: &Official,
    received: &Received,
    n: usize,
    most: u64,
    folder: &Path,
) -> Result<Fetched, OfficialError> {
    // The whole id: whoever writes statements can make two that begin alike.
    let name = format!("{}-{n}", received.id);
    let identity = identity(agency, &received.request)?;
    let key = agency.home().key(Role::Service)?;
    let path = format!("/vault/v1/disclosures/{}/clips/{n}", received.id);
    let clip = &received.statement.clips[n];
    receive(folder, &name, clip, &identity, |file| {
        agency.client().download(&path, Some(&key), most, file)
    })
}

/// How a file fails to be the note of a disclosure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableNote {
    #[error("it is not the note that the disclosure names")]
    OtherNote,
    #[error(transparent)]
    Open(#[from] OpenNoteError),
    #[error("what it says is no note of this disclosure: {0}")]
    Text(#[from] NoteError),
}

/// Fetches the note of a collected disclosure into `folder`, checks and opens it; what it tells, if it is there.
///
/// # Errors
/// If this folder did not make the request, or the server or `folder` does not do as told.
pub fn fetch_note(
    agency: &Official,
    received: &Received,
    folder: &Path,
) -> Result<(Fetched, Option<Note>), OfficialError> {
    let identity = identity(agency, &received.request)?;
    let key = agency.home().key(Role::Service)?;
    let path = format!("/vault/v1/disclosures/{}/note", received.id);
    let name = format!("{}-note", received.id);
    receive_note(folder, &name, &received.statement, &identity, |file| {
        agency
            .client()
            .download(&path, Some(&key), MOST_OF_NOTE, file)
    })
}

/// As [`receive`], for a note.
fn receive_note(
    folder: &Path,
    name: &str,
    disclosure: &Disclosure,
    identity: &Identity,
    download: impl FnOnce(&mut File) -> Result<Option<String>, ClientError>,
) -> Result<(Fetched, Option<Note>), OfficialError> {
    let sealed = folder.join(format!("{name}.age"));
    let local = |e: io::Error| OfficialError::file(folder, e);
    if let Some(file) = read_note(&sealed).map_err(local)?
        && let Ok((_, note)) = open_note(&file, disclosure, identity)
    {
        return Ok((Fetched::Kept { sealed }, Some(note)));
    }
    let mut staged = stage(folder)?;
    if let Err(error) = download(staged.as_file_mut()) {
        return Ok((not_fetched(error)?, None));
    }
    let file = read_note(staged.path()).map_err(local)?;
    match open_note(&file.unwrap_or_default(), disclosure, identity) {
        Ok((text, note)) => {
            let mut plain = stage(folder)?;
            plain.write_all(&text).map_err(local)?;
            let opened = folder.join(format!("{name}.json"));
            keep(plain, &opened)?;
            // Last: where it lies, the note was checked and opened.
            keep(staged, &sealed)?;
            let plain = opened;
            Ok((Fetched::Opened { sealed, plain }, Some(note)))
        }
        Err(why) => {
            let sealed = folder.join(format!("{name}.unreadable"));
            keep(staged, &sealed)?;
            let why = why.to_string();
            Ok((Fetched::Unreadable { sealed, why }, None))
        }
    }
}

/// A file as far as a note reaches, and a byte more; `None` if it is not there.
fn read_note(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::with_capacity(note::SIZE + 1);
    file.take(note::SIZE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Opens `file`, if it is the note that the disclosure names, of exactly the kinds that it gives: its text, and
/// what that tells.
///
/// # Errors
/// [`UnreadableNote`], each fault told apart.
pub fn open_note(
    file: &[u8],
    disclosure: &Disclosure,
    identity: &Identity,
) -> Result<(Zeroizing<Vec<u8>>, Note), UnreadableNote> {
    if disclosure.note != Some(Digest::of(file)) {
        return Err(UnreadableNote::OtherNote);
    }
    let text = note::open(file, identity)?;
    let note = Note::parse(&text, &disclosure.told(), disclosure.clips.len())?;
    Ok((text, note))
}

/// What an error of a download says of what was to be fetched.
///
/// # Errors
/// Those that say nothing of it.
fn not_fetched(error: ClientError) -> Result<Fetched, OfficialError> {
    if let ClientError::TooLarge { length: bytes, .. } = error {
        return Ok(Fetched::TooLarge { bytes });
    }
    match error.status() {
        Some(404) => Ok(Fetched::NotHandedOver),
        Some(409) => Ok(Fetched::NotWitnessed),
        Some(410) => Ok(Fetched::Gone),
        _ => Err(error.into()),
    }
}

/// Downloads a disclosed clip into `folder` under `name`, checks and opens it. `download` writes
/// header ‖ body, and answers with what came as the opening.
///
/// # Errors
/// If the server or `folder` does not do as told.
pub(super) fn receive(
    folder: &Path,
    name: &str,
    clip: &DisclosedClip,
    identity: &Identity,
    download: impl FnOnce(&mut File) -> Result<Option<String>, ClientError>,
) -> Result<Fetched, OfficialError> {
    let sealed = folder.join(format!("{name}.age"));
    let local = |e: io::Error| OfficialError::file(folder, e);
    if holds(&sealed, clip, identity).map_err(local)? {
        return Ok(Fetched::Kept { sealed });
    }
    let mut staged = stage(folder)?;
    let opening = match download(staged.as_file_mut()) {
        Ok(opening) => opening,
        Err(error) => return not_fetched(error),
    };
    let mut plain = stage(folder)?;
    match check_and_open(&staged, opening.as_deref(), clip, identity, &mut plain) {
        Ok(()) => {}
        Err(ClipError::Unreadable(why)) => {
            let sealed = folder.join(format!("{name}.unreadable"));
            keep(staged, &sealed)?;
            let why = why.to_string();
            return Ok(Fetched::Unreadable { sealed, why });
        }
        Err(ClipError::Io(error)) => return Err(local(error)),
    }
    let ending = ending(plain.as_file_mut()).map_err(local)?;
    let opened = folder.join(format!("{name}.{ending}"));
    keep(plain, &opened)?;
    // Last: where it lies, the clip was checked and opened.
    keep(staged, &sealed)?;
    Ok(Fetched::Opened {
        sealed,
        plain: opened,
    })
}

/// Whether a file is the disclosed clip, as far as that shows without its opening: it has the header
/// that the log names, and what follows opens by it.
fn holds(sealed: &Path, clip: &DisclosedClip, identity: &Identity) -> io::Result<bool> {
    let read = || File::open(sealed).map(BufReader::new);
    let kept = match read() {
        Ok(mut kept) => read_header(&mut kept),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let opened = kept.and_then(|header| match Digest::of(&header) == clip.header {
        true => open(read()?, identity, &mut io::sink()),
        false => Err(Unreadable::OtherHeader.into()),
    });
    match opened {
        Ok(()) => Ok(true),
        Err(ClipError::Unreadable(_)) => Ok(false),
        Err(ClipError::Io(error)) => Err(error),
    }
}

fn stage(folder: &Path) -> Result<NamedTempFile, OfficialError> {
    NamedTempFile::new_in(folder).map_err(|e| OfficialError::file(folder, e))
}

fn keep(staged: NamedTempFile, path: &Path) -> Result<(), OfficialError> {
    let synced = staged.as_file().sync_all();
    let kept = synced.and_then(|()| staged.persist(path).map(drop).map_err(|e| e.error));
    kept.map_err(|e| OfficialError::file(path, e))
}

fn check_and_open(
    sealed: &NamedTempFile,
    opening: Option<&str>,
    clip: &DisclosedClip,
    identity: &Identity,
    plain: &mut NamedTempFile,
) -> Result<(), ClipError> {
    let read = || File::open(sealed.path()).map(BufReader::new);
    check(&mut read()?, opening, clip, identity)?;
    open(read()?, identity, plain.as_file_mut())
}

/// Checks that `file`, header ‖ body, is the clip that was disclosed.
///
/// # Errors
/// [`Unreadable`], each fault told apart; those of reading.
pub fn check(
    file: &mut impl BufRead,
    opening: Option<&str>,
    clip: &DisclosedClip,
    identity: &Identity,
) -> Result<(), ClipError> {
    let opening = opening.ok_or(Unreadable::NoOpening)?;
    let opening = Opening::parse(opening).map_err(Unreadable::Opening)?;
    let header = read_header(file)?;
    if Digest::of(&header) != clip.header {
        return Err(Unreadable::OtherHeader.into());
    }
    let file_key = rewrap::file_key(&header, identity).map_err(Unreadable::Header)?;
    let mut hasher = Sha256::new();
    copy(file, |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    let body = Digest::from_bytes(hasher.finalize().into());
    verify_clip(&clip.commitment, &opening, &body, &file_key).map_err(Unreadable::from)?;
    Ok(())
}

/// Decrypts `file` into `plain`. What was written is the clip only if all of it was.
///
/// # Errors
/// [`Unreadable`] if the file is damaged; those of reading and writing.
pub fn open(
    mut file: impl BufRead,
    identity: &Identity,
    plain: &mut impl Write,
) -> Result<(), ClipError> {
    let header = read_header(&mut file)?;
    let mut opened = clip::open(&header, file, identity).map_err(|error| match error {
        OpenError::Header(error) => Unreadable::Header(error).into(),
        OpenError::Body(error) => damaged(error, Unreadable::Body),
        OpenError::Padding => Unreadable::Body.into(),
    })?;
    copy(&mut opened, |bytes| plain.write_all(bytes))?;
    Ok(plain.flush()?)
}

fn read_header(file: &mut impl BufRead) -> Result<Vec<u8>, ClipError> {
    clip::read_header(file).map_err(|error| damaged(error, Unreadable::NotAge))
}

/// Reads to the end. Faults of reading may be the file's; those of `write` are this machine's.
fn copy(
    from: &mut impl Read,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), ClipError> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => write(&buffer[..n])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(damaged(error, Unreadable::Body)),
        }
    }
}

/// An error of reading: damage, or this machine's.
fn damaged(error: io::Error, damage: Unreadable) -> ClipError {
    match error.kind() {
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => damage.into(),
        _ => error.into(),
    }
}

/// How to name what a clip turned out to be: the log tells no media types.
fn ending(plain: &mut (impl Read + io::Seek)) -> io::Result<&'static str> {
    let mut start = Vec::new();
    plain.seek(SeekFrom::Start(0))?;
    plain.take(8).read_to_end(&mut start)?;
    Ok(match start.get(4..8) {
        Some(b"ftyp") => "mp4",
        _ => "clip",
    })
}
