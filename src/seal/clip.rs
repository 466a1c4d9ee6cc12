//! Sealing and opening clips and their metadata.
//!
//! `header ‖ body` of a sealed clip is a standard [age v1](https://c2sp.org/age) file that any age
//! program opens. `body` is the payload: a nonce of 16 bytes, then ChaCha20-Poly1305 chunks of
//! 64 KiB. What is sealed is never re-encoded, so that a camera's own signatures survive.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::iter;

use age::{Decryptor, EncryptError, Encryptor};
use age_core::format::Stanza;
use age_core::secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::seal::FileKey;
use crate::seal::padding::{pad, unpad};
use crate::seal::recipient::Recipient;
use crate::seal::rewrap::{self, HeaderError, MAX_HEADER};

/// Metadata is padded to multiples of this many bytes before it is sealed.
pub const METADATA_BLOCK: usize = 4096;

/// What is kept of a clip besides the body already written.
pub struct SealedClip {
    pub header: Vec<u8>,
    /// The SHA-256 of the body.
    pub body_digest: Digest,
    /// The body's length in bytes, before it is padded for storing.
    pub body_length: u64,
    pub file_key: FileKey,
}

/// Why something sealed did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("header: {0}")]
    Header(#[from] HeaderError),
    #[error("body: {0}")]
    Body(#[from] io::Error),
    #[error("the metadata is not padded as metadata is")]
    Padding,
}

/// Seals `input` for `recipient`, writing the body as it goes.
///
/// # Errors
/// Those of `input` and `body`; what was written to `body` until then is useless.
pub fn seal(
    mut input: impl Read,
    recipient: &Recipient,
    body: impl Write,
) -> io::Result<SealedClip> {
    let capture = Capture {
        recipient,
        file_key: RefCell::default(),
    };
    let encryptor =
        Encryptor::with_recipients(iter::once(&capture as _)).map_err(io::Error::other)?;
    let file_key = capture.file_key.take();
    let mut writer = encryptor.wrap_output(Splitter::new(body))?;
    io::copy(&mut input, &mut writer)?;
    let mut split = writer.finish()?;
    split.body.flush()?;
    Ok(SealedClip {
        header: split.header,
        body_digest: Digest::from_bytes(split.digest.finalize().into()),
        body_length: split.length,
        file_key: file_key.expect("the encryptor wraps its file key once"),
    })
}

/// Opens a clip: checks the header at once, and each chunk of `body` as it is read.
///
/// `body` must end where the body ends: stored padding is the caller's to cut off.
///
/// # Errors
/// A damaged or truncated body is an error of reading, after which nothing read may be trusted to
/// be the whole.
pub fn open<'a, R: Read + 'a>(
    header: &'a [u8],
    body: R,
    identity: &dyn age::Identity,
) -> Result<impl Read + use<'a, R>, OpenError> {
    let known = Known(rewrap::file_key(header, identity)?);
    Decryptor::new_buffered(header.chain(BufReader::new(body)))
        .and_then(|decryptor| decryptor.decrypt(iter::once(&known as _)))
        .map_err(|error| match error {
            age::DecryptError::Io(error) => OpenError::Body(error),
            _ => OpenError::Header(HeaderError::Malformed),
        })
}

/// Reads the header off the front of `header ‖ body` and leaves `input` at the body.
///
/// The header is not checked yet.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if no header ends within [`MAX_HEADER`] bytes.
pub fn read_header(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    loop {
        let start = header.len();
        let room = MAX_HEADER.saturating_sub(header.len()) as u64;
        if input.by_ref().take(room).read_until(b'\n', &mut header)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "no age header at the beginning",
            ));
        }
        if header.get(start..).is_some_and(rewrap::is_last_line) {
            return Ok(header);
        }
    }
}

/// Seals metadata, padded to whole [`METADATA_BLOCK`]s, as one age file.
pub fn seal_bytes(plain: Vec<u8>, recipient: &Recipient) -> Vec<u8> {
    age::encrypt(&recipient.to_age(), &pad(plain, METADATA_BLOCK))
        .expect("a recipient wraps every file key, and memory takes every write")
}

/// Opens what [`seal_bytes`] sealed.
pub fn open_bytes(mut sealed: &[u8], identity: &dyn age::Identity) -> Result<Vec<u8>, OpenError> {
    let header = read_header(&mut sealed).map_err(|_| HeaderError::Malformed)?;
    let mut padded = Vec::new();
    open(&header, sealed, identity)?.read_to_end(&mut padded)?;
    unpad(padded).ok_or(OpenError::Padding)
}

/// A recipient that keeps the file key which the age library drew.
struct Capture<'a> {
    recipient: &'a Recipient,
    file_key: RefCell<Option<FileKey>>,
}

impl age::Recipient for Capture<'_> {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        *self.file_key.borrow_mut() = Some(copy(file_key));
        self.recipient.to_age().wrap_file_key(file_key)
    }
}

/// An identity that knows the file key already.
struct Known(FileKey);

impl age::Identity for Known {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        Some(Ok(copy(&self.0)))
    }
}

fn copy(file_key: &FileKey) -> FileKey {
    FileKey::init_with_mut(|copy| copy.copy_from_slice(file_key.expose_secret()))
}

/// Takes an age file apart as it is written: the header aside, the body on.
struct Splitter<W> {
    header: Vec<u8>,
    /// Where the header's current line begins; `None` once the header has ended.
    line: Option<usize>,
    digest: Sha256,
    length: u64,
    body: W,
}

impl<W> Splitter<W> {
    fn new(body: W) -> Self {
        Self {
            header: Vec::new(),
            line: Some(0),
            digest: Sha256::new(),
            length: 0,
            body,
        }
    }

    /// Keeps what of `bytes` belongs to the header, and returns the rest.
    fn take_header<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        while let Some(start) = self.line
            && !bytes.is_empty()
        {
            let mut parts = bytes.split_inclusive(|byte| *byte == b'\n');
            let line = parts.next().unwrap_or_default();
            self.header.extend_from_slice(line);
            bytes = bytes.get(line.len()..).unwrap_or_default();
            if line.ends_with(b"\n") {
                let ended = self.header.get(start..).is_some_and(rewrap::is_last_line);
                self.line = (!ended).then_some(self.header.len());
            }
        }
        bytes
    }
}

impl<W: Write> Write for Splitter<W> {
    /// Writes all of `bytes`: the age library does not retry a short write.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let body = self.take_header(bytes);
        self.body.write_all(body)?;
        self.digest.update(body);
        self.length = self.length.saturating_add(body.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.body.flush()
    }
}

#[cfg(test)]
mod tests;
