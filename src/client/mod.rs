//! The typed HTTP client of every party's program, over the API of `docs/PROTOCOL.md`.
//!
//! It carries bytes and signs calls; it trusts no answer. What an answer is worth is for its reader
//! to check: entries by the log ([`crate::reader`]), attachments by their digests, proofs by policy.

pub mod base;
mod bulk;
pub mod domain;
pub mod file;
pub mod patience;
mod transfer;
pub mod vault;
pub mod witness;

use std::time::Duration;

use ed25519_dalek::SigningKey;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::digest::StatementId;
use crate::encoding::printable;
use crate::statement::envelope::Envelope;
use crate::statement::sealed::{Opening, SealDigest};
use crate::statement::words::Jurisdiction;
use crate::time::{Clock, Time};
use crate::wire::problem::Problem;
use crate::wire::signature::{self, RequestTarget, UPLOAD_OFFSET, UploadField};
use crate::wire::statements::{Bundle, BundledRequest, Logged};
use base::BaseUrl;
use patience::{is_problem, patiently};

#[cfg(test)]
mod tests;

/// The largest JSON answer that is read, in bytes.
const MAX_JSON: u64 = 4 << 20;
/// The largest bundle that is read, in bytes.
const MAX_BUNDLE: u64 = 256 << 20;
/// The largest answer with a notice's messages that is read, in bytes: 16 messages, their openings,
/// and room to spare.
const MAX_NOTICE: u64 = 128 << 10;
/// The largest attachment that is read, in bytes.
const MAX_ATTACHMENT: u64 = 16 << 20;
/// The header that carries an opening.
pub const OPENING: &str = "Whosaw-Opening";

/// Asks a server to say whether it takes a large body before that is sent: a refusal would else meet
/// a sender that is still writing, and be lost.
const EXPECT: (&str, &str) = ("expect", "100-continue");
/// Bodies from this size on are asked about, in bytes.
const LARGE: usize = 64 << 10;

/// The slowest line that a transfer waits for, in bytes a second.
const SLOWEST: u64 = 50_000;

/// The longest that a transfer of `length` bytes may take.
fn transfer_time(length: u64) -> Duration {
    Duration::from_secs(60 + length / SLOWEST)
}

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server said why.
    #[error("{0}")]
    Problem(Box<Problem>),
    #[error("{url} cannot be reached: {why}; is the server running, and is this its address?")]
    Transport {
        url: String,
        why: String,
        /// That of a proxy's answer in the server's place.
        status: Option<u16>,
    },
    #[error("{url} would send {length} bytes, where at most {most} are taken")]
    TooLarge { url: String, length: u64, most: u64 },
    #[error("{url} answered what this program does not understand: {why}")]
    Unexpected { url: String, why: String },
}

impl ClientError {
    /// What came, or did not, may be told in a stranger's words: they are made printable here.
    fn transport(url: &str, why: impl ToString) -> Self {
        Self::Transport {
            url: url.to_owned(),
            why: printable(&why.to_string()),
            status: None,
        }
    }

    fn unexpected(url: &str, why: impl ToString) -> Self {
        Self::Unexpected {
            url: url.to_owned(),
            why: printable(&why.to_string()),
        }
    }

    /// Whether the server has another number of bytes of an upload than the call says.
    pub(crate) fn is_other_offset(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.kind == "/problems/upload-offset")
    }

    /// The HTTP status of a problem that the server told.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            _ => None,
        }
    }
}

impl ClientError {
    /// Whether the server could not be asked now, or asked for more patience than there is: the next call would
    /// most likely fail too.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Problem(problem) => is_away(problem.status),
            Self::Transport { .. } => true,
            Self::TooLarge { .. } | Self::Unexpected { .. } => false,
        }
    }

    /// Whether the server asked for more patience than there is, whatever the call is.
    pub fn asks_for_patience(&self) -> bool {
        let status = match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Transport { status, .. } => *status,
            Self::TooLarge { .. } | Self::Unexpected { .. } => None,
        };
        matches!(status, Some(429 | 503))
    }

    /// Whether the server says that a part of the clip is missing there.
    pub(crate) fn is_incomplete_clip(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.kind == "/problems/incomplete-clip")
    }
}

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Whether the call was sent again after a `429` or `503`.
    pub repeated: bool,
    /// The `Upload-Offset` header.
    pub upload_offset: Option<u64>,
    pub body: Vec<u8>,
}

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    base: BaseUrl,
    agent: ureq::Agent,
    clock: Clock,
}

impl Client {
    /// A client of the server at `base`.
    pub fn new(base: BaseUrl, clock: Clock) -> Self {
        Self {
            agent: base::agent(),
            base,
            clock,
        }
    }

    /// The server's address.
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Submits a statement; `None` for its proof while the witnesses' quorum is missing. It is `known` if it was
    /// in the log before this call, whose own attempts after a `429` or `503` do not count.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with the reason for a refusal.
    pub fn submit(&self, envelope: &Envelope) -> Result<Logged, ClientError> {
        let path = "/api/v1/statements";
        let body = envelope.to_json();
        let request = || {
            let headers = [("content-type", "application/json")];
            http_request("POST", &self.base.join(path), &headers)
        };
        let answer = self.run(("POST", path), request, &body, MAX_JSON)?;
        let logged: Logged = self.json(path, &answer.body)?;
        // An attempt that was put off by whoever answered may have reached the log all the same.
        let known = logged.known && !answer.repeated;
        Ok(Logged { known, ..logged })
    }

    /// The `.tlog-proof` of a statement; `None` while the witnesses' quorum is missing.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn proof(&self, id: &StatementId) -> Result<Option<Vec<u8>>, ClientError> {
        let answer = self.get(&format!("/api/v1/proofs/{id}"), MAX_JSON)?;
        Ok((answer.status == 200).then_some(answer.body))
    }

    /// Until when the server waits for its clock, because the log's last entry is dated ahead of it; `None`
    /// if it does not wait.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn waits_until(&self) -> Result<Option<Time>, ClientError> {
        #[derive(serde::Deserialize)]
        struct Health {
            waits_until: Option<Time>,
        }
        let path = "/healthz";
        let health: Health = self.json(path, &self.get(path, MAX_JSON)?.body)?;
        Ok(health.waits_until)
    }

    /// Whether the server answers at all.
    pub fn answers(&self) -> bool {
        match self.get("/livez", MAX_JSON) {
            Ok(_) => true,
            Err(error) => !error.is_away(),
        }
    }

    /// Uploads an attachment, signed by a party's service key.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn put_attachment(
        &self,
        opening: &Opening,
        bytes: &[u8],
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        let path = format!("/attachments/{}", opening.digest());
        let headers = [(OPENING, opening.encode())];
        self.signed("PUT", &path, &headers, bytes, key, MAX_JSON)?;
        Ok(())
    }

    /// An attachment with its opening, checked against its digest; `None` if it is not there.
    ///
    /// # Errors
    /// [`ClientError::Unexpected`] if the bytes are not those that the digest stands for.
    pub fn attachment(
        &self,
        digest: &SealDigest,
    ) -> Result<Option<(Opening, Vec<u8>)>, ClientError> {
        let path = format!("/attachments/{digest}");
        let mut bytes = Vec::new();
        let opening = match self.download(&path, None, MAX_ATTACHMENT, &mut bytes) {
            Ok(opening) => opening,
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let opening = opening.and_then(|text| Opening::parse(&text).ok());
        let genuine = opening.filter(|opening| attachment_matches(opening, digest, &bytes));
        match genuine {
            Some(opening) => Ok(Some((opening, bytes))),
            None => Err(self.unexpected(&path, "bytes other than the digest stands for")),
        }
    }

    /// All open requests' attachments in a jurisdiction.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn bundle(&self, jurisdiction: &Jurisdiction) -> Result<Bundle, ClientError> {
        let path = format!("/bundles/{jurisdiction}");
        let answer = self.get(&path, MAX_BUNDLE)?;
        self.json(&path, &answer.body)
    }

    /// The messages of a notice.
    ///
    /// # Errors
    /// See [`ClientError`]; also for more bytes than its messages can have.
    pub fn notice(&self, id: &StatementId) -> Result<BundledRequest, ClientError> {
        let path = format!("/notices/{id}");
        let answer = self.get(&path, MAX_NOTICE)?;
        self.json(&path, &answer.body)
    }

    /// The commitments of a batch, 32 bytes each; `size` of them.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn batch(&self, id: &StatementId, size: u32) -> Result<Vec<u8>, ClientError> {
        let answer = self.get(&format!("/batches/{id}"), u64::from(size) * 32)?;
        Ok(answer.body)
    }

    /// An unsigned `GET`; at most `limit` bytes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn get(&self, path: &str, limit: u64) -> Result<Answer, ClientError> {
        let request = || http_request("GET", &self.base.join(path), &[]);
        self.run(("GET", path), request, &[], limit)
    }

    /// A call signed by `key`; an answer of at most `limit` bytes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn signed(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        key: &SigningKey,
        limit: u64,
    ) -> Result<Answer, ClientError> {
        let digest = Sha256::digest(body).into();
        let mut headers = headers.to_vec();
        if body.len() >= LARGE {
            headers.push(EXPECT);
        }
        let request = || self.signed_request(method, path, &headers, &digest, key);
        self.run((method, path), request, body, limit)
    }

    /// A request signed by `key`, for a body with this SHA-256.
    fn signed_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        digest: &[u8; 32],
        key: &SigningKey,
    ) -> ureq::http::request::Builder {
        let (path_only, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let target = RequestTarget {
            method,
            authority: self.base.authority(),
            path: path_only,
            query,
            upload: UploadField::among(headers),
        };
        let signed = signature::sign(
            &target,
            digest,
            key,
            self.clock.now(),
            crate::random::bytes(),
        );
        http_request(method, &self.base.join(path), headers)
            .header("content-digest", signed.content_digest)
            .header("signature-input", signed.signature_input)
            .header("signature", signed.signature)
    }

    /// The answer to a request without a body that takes at most `time`, its body yet to be read.
    /// `request` is made anew for each attempt.
    fn begin(
        &self,
        path: &str,
        request: impl Fn() -> ureq::http::request::Builder,
        time: Duration,
    ) -> Result<ureq::http::Response<ureq::Body>, ClientError> {
        let begun = patiently(|| {
            let request = request().body(()).expect("own headers are well formed");
            let request = self.agent.configure_request(request);
            self.agent.run(request.timeout_global(Some(time)).build())
        });
        begun.map_err(|error| ClientError::transport(&self.base.join(path), error))
    }

    /// The answer to `request`, which is made anew for each attempt.
    fn run(
        &self,
        (method, path): (&str, &str),
        request: impl Fn() -> ureq::http::request::Builder,
        body: &[u8],
        limit: u64,
    ) -> Result<Answer, ClientError> {
        const FORM: &str = "own headers are well formed";
        let mut attempts = 0_u32;
        let sent = patiently(|| {
            attempts += 1;
            match method {
                "POST" | "PUT" | "PATCH" => self.agent.run(request().body(body).expect(FORM)),
                _ => self.agent.run(request().body(()).expect(FORM)),
            }
        });
        let answer = self.answer(path, sent, limit)?;
        Ok(Answer {
            repeated: attempts > 1,
            ..answer
        })
    }

    /// A successful answer of at most `limit` bytes.
    fn answer(
        &self,
        path: &str,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
        limit: u64,
    ) -> Result<Answer, ClientError> {
        let url = self.base.join(path);
        let transport = |error: ureq::Error| ClientError::transport(&url, error);
        let mut response = sent.map_err(transport)?;
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            return Err(refusal(url, &mut response, limit));
        }
        let offset = response.headers().get(UPLOAD_OFFSET);
        let upload_offset = offset.and_then(|offset| offset.to_str().ok()?.parse().ok());
        let body = response.body_mut().with_config().limit(limit).read_to_vec();
        let body = body.map_err(transport)?;
        Ok(Answer {
            status,
            repeated: false,
            upload_offset,
            body,
        })
    }

    fn json<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|e| self.unexpected(path, e))
    }

    fn unexpected(&self, path: &str, why: impl ToString) -> ClientError {
        ClientError::unexpected(&self.base.join(path), why)
    }
}

/// Whether `bytes` and `opening` are those of the attachment with this digest.
pub fn attachment_matches(opening: &Opening, digest: &SealDigest, bytes: &[u8]) -> bool {
    opening.digest() == *digest
        && opening.as_attachment().is_ok_and(|value| {
            value.size == bytes.len() as u64 && value.sha256 == crate::digest::Digest::of(bytes)
        })
}

/// Whether a status says that the server, or a proxy in its place, did not get to the call.
pub(crate) fn is_away(status: u16) -> bool {
    matches!(status, 408 | 429 | 502 | 503 | 504)
}

/// What an answer that is no success says.
fn refusal(
    url: String,
    response: &mut ureq::http::Response<ureq::Body>,
    limit: u64,
) -> ClientError {
    let is_problem = is_problem(response.headers());
    let body = response.body_mut().with_config().limit(limit).read_to_vec();
    let problem = body.ok().filter(|_| is_problem);
    match problem.and_then(|body| serde_json::from_slice(&body).ok()) {
        Some(problem) => ClientError::Problem(Box::new(problem)),
        None => {
            let status = response.status().as_u16();
            let why = format!("status {status}");
            // A proxy's answer in the server's place.
            match is_away(status) {
                true => ClientError::Transport {
                    url,
                    why,
                    status: Some(status),
                },
                false => ClientError::unexpected(&url, why),
            }
        }
    }
}

fn http_request(method: &str, url: &str, headers: &[(&str, &str)]) -> ureq::http::request::Builder {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
}
