//! `/attachments/{digest}`: documents that statements name, stored beside the log.
//!
//! Uploaded before their statement, by a party; kept only if a statement names them. They are
//! strangers' bytes: served as downloads, in a sandbox, never sniffed.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::door::Limit;
use super::ranges::Content;
use super::waiting::Full;
use super::{ApiError, Path, Service, Shared, auth};
use crate::digest::Digest;
use crate::seal::notice;
use crate::statement::facts::{DigestFact, FactsExt as _};
use crate::statement::kinds::access_request::MAX_MESSAGE;
use crate::statement::refusal::{Reason, Refusal};
use crate::statement::scope::{MAX_SCOPE, Scope};
use crate::statement::sealed::{AttachmentValue, Opening, SealDigest};
use crate::statement::words::PartyId;
use crate::statement::{Signed, Statement};
use crate::store::facts::JournalFacts;
use crate::store::journal::JournalRead as _;
use crate::store::objects::Objects as _;

/// The largest attachment, in bytes.
pub const MAX_ATTACHMENT: usize = 16 << 20;
/// The largest opening of a sealed field that is published, in bytes: what one seals is a number or a
/// name.
const MAX_OPENING: usize = 64 << 10;
/// The header that carries an attachment's opening.
pub const OPENING: HeaderName = HeaderName::from_static("whosaw-opening");
/// How long an attachment may wait for its statement.
const WAITING: Duration = Duration::from_secs(3600);
/// The media type of a request's scope.
pub const SCOPE_TYPE: &str = "application/geo+json";
/// What may be attached.
const MEDIA_TYPES: [&str; 6] = [
    "application/age",
    SCOPE_TYPE,
    "application/pdf",
    "image/jpeg",
    "image/png",
    "text/plain",
];

/// `PUT /attachments/{digest}`.
pub async fn put(
    State(service): Shared,
    Path(digest): Path<String>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (parts, body) = request.into_parts();
    let caller = service.caller(&parts)?;
    let (party, _) = service.calling_party(&caller)?;
    let _places = service.door.attach(&party)?;
    service.check_open()?;
    let opening = auth::text(&parts.headers, OPENING.as_str()).unwrap_or_default();
    let opening = Opening::parse(opening).map_err(|e| bad_opening(e.to_string()))?;
    let value = opening
        .as_attachment()
        .map_err(|e| bad_opening(e.to_string()))?;
    if opening.digest().to_string() != digest {
        return Err(bad_opening("the opening whose digest is in the path"));
    }
    if !MEDIA_TYPES.contains(&value.media_type.as_str()) {
        return Err(bad_opening(format!(
            "a type among {}",
            MEDIA_TYPES.join(", ")
        )));
    }
    if let Some(fact) = JournalFacts(service.ledger.journal()).digest(&opening.digest())? {
        check_not_erased(&fact)?;
    }
    let body = axum::body::to_bytes(body, MAX_ATTACHMENT).await;
    let body = body.map_err(|error| ApiError::unread(&error, MAX_ATTACHMENT))?;
    caller.check_body(&body)?;
    if Digest::of(&body) != value.sha256 || body.len() as u64 != value.size {
        return Err(bad_opening("the size and SHA-256 of the body"));
    }
    service.store_attachment(&party, &opening, &body)
}

fn bad_opening(accepted: impl Into<String>) -> ApiError {
    ApiError::BadRequest {
        member: "Whosaw-Opening",
        accepted: accepted.into(),
    }
}

/// `GET /attachments/{digest}`.
pub async fn read(
    State(service): Shared,
    Path(digest): Path<String>,
    request: HeaderMap,
) -> Result<Response, ApiError> {
    let missing = || ApiError::NotFound("no statement of this log names such an attachment");
    let digest: SealDigest = digest.parse().map_err(|_| missing())?;
    let facts = JournalFacts(service.ledger.journal());
    check_not_erased(&facts.digest(&digest)?.ok_or_else(missing)?)?;
    let (opening, file) = service.attachment_file(&digest)?.ok_or_else(missing)?;
    let length = file.metadata().map_err(ApiError::internal)?.len();
    let value = opening.as_attachment().map_err(ApiError::internal)?;
    let media_type = match value.media_type.as_str() {
        "text/plain" => "text/plain; charset=utf-8",
        other => other,
    };
    let text = |text: &str| HeaderValue::from_str(text).map_err(ApiError::internal);
    let headers = [
        (OPENING, text(opening.encode())?),
        (header::CONTENT_TYPE, text(media_type)?),
        (header::CONTENT_DISPOSITION, text("attachment")?),
        (header::CONTENT_SECURITY_POLICY, text("sandbox")?),
        (header::CACHE_CONTROL, text("public, max-age=3600")?),
    ];
    let content = Content {
        // Its opening holds the SHA-256 of its bytes.
        etag: digest.to_string(),
        start: Bytes::new(),
        file,
        file_length: length,
    };
    Ok((headers, content.answer(&request).await?).into_response())
}

fn check_not_erased(fact: &DigestFact) -> Result<(), ApiError> {
    match fact.erased {
        None => Ok(()),
        Some(_) => Err(ApiError::Gone("erased; the log says on which ground")),
    }
}

impl Service {
    fn store_attachment(
        &self,
        party: &PartyId,
        opening: &Opening,
        body: &Bytes,
    ) -> Result<StatusCode, ApiError> {
        let digest = opening.digest();
        let path = digest.to_string();
        // Old ones are being swept, perhaps: what is renewed, or made anew, stays.
        let has_opening = self.attachments.renew(&opening_path(&path))?.is_some();
        let has_bytes = self.attachments.renew(&path)?.is_some();
        if has_opening && has_bytes {
            self.attachments.settle(&path)?;
            return Ok(StatusCode::OK);
        }
        let bytes = (opening.encode().len() + body.len()) as u64;
        let room = self.waiting.reserve(party, digest, bytes);
        let room = room.map_err(|full| match full {
            Full::All => ApiError::Busy,
            Full::Party => self.door.refuse(Limit::WaitingAttachments, WAITING),
        })?;
        let _space = self.volume.take(bytes)?;
        // The opening first: what is there under the digest itself is complete.
        self.attachments
            .create(&opening_path(&path), opening.encode().as_bytes())?;
        self.attachments.create(&path, body)?;
        room.keep();
        Ok(StatusCode::CREATED)
    }

    /// An attachment's opening, and the file of its bytes, if they are stored. None of them is read.
    pub(super) fn attachment_file(
        &self,
        digest: &SealDigest,
    ) -> Result<Option<(Opening, File)>, ApiError> {
        let digest = digest.to_string();
        let opening = self.attachments.read(&opening_path(&digest))?;
        let Some((opening, file)) = opening.zip(self.attachments.file(&digest)?) else {
            return Ok(None);
        };
        let opening = String::from_utf8(opening).map_err(ApiError::internal)?;
        let opening = Opening::parse(&opening).map_err(ApiError::internal)?;
        Ok(Some((opening, file)))
    }

    /// The door rules about attachments: the bytes are here, and a scope fits its request.
    ///
    /// Who has no key here is told what the rules say first: a stranger's statement opens no file.
    pub(super) fn check_attachments(&self, signed: &Signed) -> Result<(), ApiError> {
        let checked = self.check_each(signed, signed.statement.attachments());
        // What stands in the log already may have been erased since.
        if checked.is_err() && self.ledger.journal().find(&signed.id)?.is_some() {
            return Ok(());
        }
        checked
    }

    fn check_each(
        &self,
        signed: &Signed,
        attachments: Vec<(String, SealDigest)>,
    ) -> Result<(), ApiError> {
        let facts = JournalFacts(self.ledger.journal());
        let mut known = false;
        for (key, _) in &signed.envelope.signatures {
            known |= facts.key(key)?.is_some();
        }
        if !known {
            self.foresee(signed)?;
        }
        let mut named = BTreeSet::new();
        let twice = attachments.iter().find(|(_, digest)| !named.insert(digest));
        if let Some((member, _)) = twice {
            let detail = "a digest stands once in a log: draw a new salt";
            return Err(Refusal::new(Reason::DigestSeenBefore, member.clone(), detail).into());
        }
        for (member, digest) in attachments {
            self.check_attachment(signed, member, &digest)?;
        }
        Ok(())
    }

    /// As [`Service::judge_now`], but what is referred to may wait for the sequencer itself.
    fn foresee(&self, signed: &Signed) -> Result<(), ApiError> {
        match self.judge_now(signed) {
            Err(ApiError::Refused(refusal)) if refusal.reason == Reason::UnknownReference => Ok(()),
            judged => judged,
        }
    }

    fn check_attachment(
        &self,
        signed: &Signed,
        member: String,
        digest: &SealDigest,
    ) -> Result<(), ApiError> {
        // It waits no longer than the statement that names it now.
        let path = digest.to_string();
        self.attachments.renew(&opening_path(&path))?;
        self.attachments.renew(&path)?;
        let Some((opening, _)) = self.attachment_file(digest)? else {
            let detail = format!("upload it first: PUT /attachments/{digest}");
            return Err(Refusal::new(Reason::AttachmentMissing, member, detail).into());
        };
        let value = opening.as_attachment().map_err(ApiError::internal)?;
        check_form(&signed.statement, &member, &value)?;
        // Large ones are never read: `check_form` bounds these two.
        let check = match &signed.statement {
            Statement::AccessRequest(_) if member == "/scope" => check_scope,
            Statement::Unsealing(_) => check_opening,
            _ => return Ok(()),
        };
        let bytes = self.attachments.read(&digest.to_string())?;
        let bytes = bytes.ok_or_else(|| ApiError::internal("an attachment went away"))?;
        Ok(check(signed, member, &bytes)?)
    }

    /// Destroys what an erasure in the log says is destroyed.
    pub(super) fn erase(&self, digest: &SealDigest) -> Result<(), ApiError> {
        let path = digest.to_string();
        // Housekeeping goes on with one that is interrupted.
        self.waiting.found(*digest, 0);
        self.attachments.remove(&opening_path(&path))?;
        self.attachments.remove(&path)?;
        self.waiting.ended(digest);
        Ok(())
    }

    /// Deletes attachments that waited too long for their statement, and what a crash left of those
    /// that are erased. The first call looks at all, and tells [`Service::waiting`] what it sees; later ones
    /// look at what waits.
    pub(super) fn sweep_attachments(&self) -> Result<(), ApiError> {
        let facts = JournalFacts(self.ledger.journal());
        let digests = match self.waiting.is_filled() {
            true => self.waiting.stored(),
            false => {
                let paths = self.attachments.list("")?;
                let digest = |path: &String| {
                    let name = path.strip_suffix(OPENING_SUFFIX).unwrap_or(path);
                    name.parse().ok()
                };
                paths.iter().filter_map(digest).collect()
            }
        };
        for digest in digests {
            match facts.digest(&digest)? {
                Some(fact) if fact.erased.is_some() => self.erase(&digest)?,
                Some(_) => self.waiting.ended(&digest),
                // What a statement has come to name since was renewed before it was logged.
                None => self.sweep_attachment(&digest)?,
            }
        }
        self.waiting.set_filled();
        Ok(())
    }

    fn sweep_attachment(&self, digest: &SealDigest) -> Result<(), ApiError> {
        let path = digest.to_string();
        let bytes_gone = self.attachments.remove_older(&path, WAITING)?;
        let opening_gone = self
            .attachments
            .remove_older(&opening_path(&path), WAITING)?;
        if bytes_gone && opening_gone {
            self.waiting.ended(digest);
        } else {
            let file = self.attachments.file(&path)?;
            let found = file.map(|file| file.metadata()).transpose();
            let length = found.map_err(ApiError::internal)?.map_or(0, |f| f.len());
            self.waiting.found(*digest, length);
        }
        Ok(())
    }
}

const OPENING_SUFFIX: &str = ".opening";

fn opening_path(digest: &str) -> String {
    format!("{digest}{OPENING_SUFFIX}")
}

/// What is told of an attachment's bytes without reading them: their type, and how many there are.
fn check_form(statement: &Statement, member: &str, value: &AttachmentValue) -> Result<(), Refusal> {
    let (reason, media_type, most) = match (statement, member) {
        (Statement::AccessRequest(_), "/scope") => (Reason::ScopeMismatch, SCOPE_TYPE, MAX_SCOPE),
        (Statement::AccessRequest(_), _) => (Reason::ScopeMismatch, "text/plain", MAX_MESSAGE),
        (Statement::Unsealing(_), _) => (Reason::OpeningMismatch, "text/plain", MAX_OPENING),
        (Statement::Notice(_), _) => return check_message(member, value),
        _ => return Ok(()),
    };
    if value.media_type.as_str() == media_type && value.size <= most as u64 {
        return Ok(());
    }
    let detail = format!("{media_type} of at most {most} bytes");
    Err(Refusal::new(reason, member, detail))
}

/// Messages of notices look alike: a size would tell whom one is for, and devices try no other.
fn check_message(member: &str, value: &AttachmentValue) -> Result<(), Refusal> {
    if value.media_type.as_str() == "application/age" && value.size == notice::SIZE as u64 {
        return Ok(());
    }
    let detail = format!("application/age of {} bytes, one stanza", notice::SIZE);
    Err(Refusal::new(Reason::NoticeMismatch, member, detail))
}

/// What an unsealing publishes is a text whose SHA-256 is the seal. Whether it fits the field is for
/// readers to see.
fn check_opening(signed: &Signed, member: String, bytes: &[u8]) -> Result<(), Refusal> {
    let Statement::Unsealing(unsealing) = &signed.statement else {
        return Ok(());
    };
    if Digest::of(bytes).as_bytes() == unsealing.seal.as_bytes() {
        return Ok(());
    }
    let detail = "text/plain: the opening, exactly as it was sealed";
    Err(Refusal::new(Reason::OpeningMismatch, member, detail))
}

/// A request's scope says what its public part admits to.
fn check_scope(signed: &Signed, member: String, bytes: &[u8]) -> Result<(), Refusal> {
    let Statement::AccessRequest(request) = &signed.statement else {
        return Ok(());
    };
    let refuse = |detail: String| Refusal::new(Reason::ScopeMismatch, member, detail);
    let scope = match Scope::parse(bytes) {
        Ok(scope) => scope,
        Err(error) => return Err(refuse(error.to_string())),
    };
    let fits = scope.fits(request, signed.head.issued_at);
    fits.map_err(|error| refuse(error.to_string()))
}
