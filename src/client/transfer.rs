//! Transfers that go on where they were interrupted: uploads in pieces by tus 1.0, downloads by ranges.
//!
//! An interruption is waited out a few times, each time longer, as long as it comes further; then the caller is told,
//! and the next call goes on from what the server has.

use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};

use super::base::CALL_TIME;
use super::vault::{Part, part_path};
use super::{Client, ClientError, MAX_JSON, OPENING, http_request, refusal, transfer_time};
use crate::wire::signature::{UPLOAD_LENGTH, UPLOAD_OFFSET};
use crate::wire::vault::HexId;

/// Bytes of a piece: in memory while it is sent, and sent again if it breaks off.
const PIECE: u64 = 8 << 20;
/// Interruptions in a row, without a byte between them, after which a transfer is given up.
const ATTEMPTS: u32 = 5;
/// How long the first interruption is waited out; each further one twice as long.
const PAUSE: Duration = Duration::from_millis(250);
const RESUMABLE: (&str, &str) = ("tus-resumable", "1.0.0");
const PIECE_TYPE: (&str, &str) = ("content-type", "application/offset+octet-stream");

/// How often a transfer was interrupted since it came further last.
#[derive(Default)]
struct Interruptions(u32);

impl Interruptions {
    /// Waits out an interruption.
    ///
    /// # Errors
    /// `error` itself if it is no interruption, or one too many.
    fn wait_out(&mut self, error: ClientError) -> Result<(), ClientError> {
        let passes = error.is_away() || error.is_other_offset();
        if !passes || self.0 >= ATTEMPTS {
            return Err(error);
        }
        std::thread::sleep(PAUSE * 2_u32.pow(self.0));
        self.0 += 1;
        Ok(())
    }

    fn came_further(&mut self) {
        self.0 = 0;
    }
}

impl Client {
    /// Stores a part of a clip, `length` bytes of `input` from its beginning on, from where an earlier call left off.
    /// `progress` is told how many bytes the server has.
    ///
    /// # Errors
    /// See [`ClientError`]; what the server has by then it keeps for a day.
    pub fn upload(
        &self,
        clip: HexId,
        part: Part,
        input: &mut (impl Read + Seek),
        length: u64,
        progress: &dyn Fn(u64),
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        let path = part_path(clip, part);
        let failed = |error: std::io::Error| ClientError::transport(&self.base.join(&path), error);
        let mut interruptions = Interruptions::default();
        let mut piece = Vec::new();
        loop {
            let mut offset = match self.begin_upload(&path, length, key) {
                Ok(offset) => offset,
                Err(error) => {
                    interruptions.wait_out(error)?;
                    continue;
                }
            };
            let interrupted = loop {
                progress(offset);
                if offset >= length {
                    return Ok(());
                }
                piece.clear();
                input.seek(SeekFrom::Start(offset)).map_err(failed)?;
                let count = PIECE.min(length - offset);
                let read = input.by_ref().take(count).read_to_end(&mut piece);
                if read.map_err(failed)? as u64 != count {
                    return Err(self.unexpected(&path, "the file to be sent has become shorter"));
                }
                match self.send_piece(&path, offset, &piece, key) {
                    Ok(()) => offset += count,
                    Err(error) => break error,
                }
                interruptions.came_further();
            };
            // What the server has now is asked anew.
            interruptions.wait_out(interrupted)?;
        }
    }

    /// Begins an upload, or finds it: how many bytes the server has.
    fn begin_upload(&self, path: &str, length: u64, key: &SigningKey) -> Result<u64, ClientError> {
        let text = length.to_string();
        let headers = [RESUMABLE, (UPLOAD_LENGTH, text.as_str())];
        let answer = self.signed("POST", path, &headers, &[], key, MAX_JSON)?;
        match answer.upload_offset {
            Some(offset) if offset <= length => Ok(offset),
            _ => Err(self.unexpected(path, "it does not say how far the upload is")),
        }
    }

    fn send_piece(
        &self,
        path: &str,
        offset: u64,
        piece: &[u8],
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        let text = offset.to_string();
        let headers = [RESUMABLE, PIECE_TYPE, (UPLOAD_OFFSET, text.as_str())];
        let answer = self.signed("PATCH", path, &headers, piece, key, MAX_JSON)?;
        match answer.upload_offset {
            Some(there) if there == offset + piece.len() as u64 => Ok(()),
            _ => Err(self.unexpected(path, "it does not say that the piece has arrived")),
        }
    }

    /// A `GET`, signed by `key` if there is one, whose answer of at most `most` bytes goes to `output`; its
    /// `Whosaw-Opening`. An interruption is waited out, and the rest asked for.
    ///
    /// # Errors
    /// [`ClientError::TooLarge`], before a byte is read; see [`ClientError`]; what was written by then
    /// is worthless.
    pub fn download(
        &self,
        path: &str,
        key: Option<&SigningKey>,
        most: u64,
        output: &mut impl Write,
    ) -> Result<Option<String>, ClientError> {
        let whole = |length: u64, url: &str| match length <= most {
            true => Ok(length),
            false => Err(ClientError::TooLarge {
                url: url.to_owned(),
                length,
                most,
            }),
        };
        self.fetch(path, key, output, whole)
    }

    /// As [`Client::download`], for the first `wanted` bytes of a longer content.
    ///
    /// # Errors
    /// The same; [`ClientError::Unexpected`] if it is shorter.
    pub(super) fn download_first(
        &self,
        path: &str,
        key: &SigningKey,
        wanted: u64,
        output: &mut impl Write,
    ) -> Result<(), ClientError> {
        let enough = |length: u64, url: &str| match length >= wanted {
            true => Ok(wanted),
            false => {
                let why = format!("it has {length} of {wanted} bytes");
                Err(ClientError::unexpected(url, why))
            }
        };
        self.fetch(path, Some(key), output, enough).map(drop)
    }

    /// Writes as many bytes to `output` as `wanted` says of a content of some length.
    fn fetch(
        &self,
        path: &str,
        key: Option<&SigningKey>,
        output: &mut impl Write,
        wanted: impl Fn(u64, &str) -> Result<u64, ClientError>,
    ) -> Result<Option<String>, ClientError> {
        let mut interruptions = Interruptions::default();
        let url = self.base.join(path);
        // What has come: how much of how much, under which tag, with which opening.
        let mut known: Option<Known> = None;
        loop {
            let from = known.as_ref().map_or(0, |known| known.written);
            let asked = match self.ask(path, key, known.as_ref()) {
                Ok(asked) => asked,
                Err(error) => {
                    interruptions.wait_out(error)?;
                    continue;
                }
            };
            let count = wanted(asked.length, &url)?;
            let state = known.get_or_insert_with(|| Known {
                length: asked.length,
                etag: asked.etag.clone(),
                opening: asked.opening.clone(),
                written: 0,
            });
            if (asked.length, asked.first) != (state.length, from) {
                return Err(self.unexpected(path, "another content than that which began to come"));
            }
            let mut response = asked.response;
            let mut body = response.body_mut().as_reader().take(count - from);
            let mut writer = Counting {
                output,
                count: &mut state.written,
                failed: None,
            };
            let copied = std::io::copy(&mut body, &mut writer);
            if let Some(error) = writer.failed.take() {
                return Err(ClientError::transport(&url, error));
            }
            if state.written == count {
                return Ok(state.opening.clone());
            }
            if state.written > from {
                interruptions.came_further();
            }
            let why = match copied {
                Ok(_) => format!("it ended after {} of {count} bytes", state.written),
                Err(error) => error.to_string(),
            };
            let error = ClientError::transport(&url, why);
            // Without a tag, what comes next may belong to something else.
            if state.etag.is_none() {
                return Err(error);
            }
            interruptions.wait_out(error)?;
        }
    }

    /// Asks for a content, or for the rest of it.
    fn ask(
        &self,
        path: &str,
        key: Option<&SigningKey>,
        known: Option<&Known>,
    ) -> Result<Asked, ClientError> {
        let asked = self.ask_within(path, key, known, CALL_TIME)?;
        let time = transfer_time(asked.length);
        if time <= CALL_TIME {
            return Ok(asked);
        }
        // How long a call may take is said before it begins: once more, for a length that is known.
        drop(asked);
        self.ask_within(path, key, known, time)
    }

    fn ask_within(
        &self,
        path: &str,
        key: Option<&SigningKey>,
        known: Option<&Known>,
        time: Duration,
    ) -> Result<Asked, ClientError> {
        let range = known.map(|known| format!("bytes={}-", known.written));
        let mut headers = Vec::new();
        if let (Some(range), Some(etag)) = (&range, known.and_then(|known| known.etag.as_deref())) {
            headers.extend([("range", range.as_str()), ("if-range", etag)]);
        }
        let url = self.base.join(path);
        let digest = Sha256::digest([]).into();
        let request = || match key {
            Some(key) => self.signed_request("GET", path, &headers, &digest, key),
            None => http_request("GET", &url, &headers),
        };
        let mut response = self.begin(path, request, time)?;
        let text = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let told = match response.status().as_u16() {
            200 => text("content-length").and_then(|length| Some((0, length.parse().ok()?))),
            206 if known.is_some() => text("content-range").and_then(|range| part_of(&range)),
            _ => return Err(refusal(url, &mut response, MAX_JSON)),
        };
        let Some((first, length)) = told else {
            return Err(self.unexpected(path, "it does not say how many bytes come"));
        };
        Ok(Asked {
            first,
            length,
            etag: text("etag").filter(|etag| !etag.starts_with("W/")),
            opening: text(OPENING),
            response,
        })
    }
}

/// What is known of a content of which some bytes have come.
struct Known {
    /// Of the whole.
    length: u64,
    etag: Option<String>,
    opening: Option<String>,
    written: u64,
}

/// An answer whose body is yet to be read.
struct Asked {
    first: u64,
    /// Of the whole.
    length: u64,
    etag: Option<String>,
    opening: Option<String>,
    response: ureq::http::Response<ureq::Body>,
}

/// The first byte and the length of the whole, of `bytes FIRST-LAST/LENGTH`.
fn part_of(range: &str) -> Option<(u64, u64)> {
    let (range, length) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, length): (u64, u64, u64) = (
        first.parse().ok()?,
        last.parse().ok()?,
        length.parse().ok()?,
    );
    // The rest was asked for, and nothing less.
    (first <= last && last.checked_add(1) == Some(length)).then_some((first, length))
}

/// Counts what is written, and tells a failure to write from one to read.
struct Counting<'a, W> {
    output: &'a mut W,
    count: &'a mut u64,
    failed: Option<std::io::Error>,
}

impl<W: Write> Write for Counting<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.output.write_all(bytes) {
            Ok(()) => {
                *self.count += bytes.len() as u64;
                Ok(bytes.len())
            }
            Err(error) => {
                let told = std::io::Error::from(error.kind());
                self.failed = Some(error);
                Err(told)
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}
