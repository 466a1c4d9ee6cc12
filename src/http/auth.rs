//! Signed calls: RFC 9421 signatures by vault keys and by parties' service keys.

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

use super::{ApiError, Service};
use crate::statement::facts::{FactsExt as _, PartyFact};
use crate::statement::key::PublicKey;
use crate::statement::words::{PartyId, Role};
use crate::wire::signature::{
    self, RequestTarget, SignatureHeaders, UPLOAD_LENGTH, UPLOAD_OFFSET, UploadField, Verified,
};

/// A call whose signature verifies; its body must still have the digest that was signed.
pub struct Caller {
    pub key: PublicKey,
    pub content_digest: [u8; 32],
    verified: Verified,
}

impl Service {
    /// Verifies the signature of a call.
    pub fn caller(&self, parts: &Parts) -> Result<Caller, ApiError> {
        let authority = text(&parts.headers, header::HOST.as_str()).unwrap_or_default();
        if !self.authorities.iter().any(|own| own == authority) {
            return Err(ApiError::BadRequest {
                member: "Host",
                accepted: format!("this server is {}", self.authorities.join(", ")),
            });
        }
        let target = RequestTarget {
            method: parts.method.as_str(),
            authority,
            path: parts.uri.path(),
            query: parts.uri.query(),
            upload: upload_field(&parts.headers)?,
        };
        let headers = SignatureHeaders {
            content_digest: text(&parts.headers, "content-digest")
                .unwrap_or_default()
                .to_owned(),
            signature_input: text(&parts.headers, "signature-input")
                .unwrap_or_default()
                .to_owned(),
            signature: text(&parts.headers, "signature")
                .unwrap_or_default()
                .to_owned(),
        };
        let now = self.clock.now();
        let verified = signature::verify(&target, &headers, now)?;
        Ok(Caller {
            key: verified.key,
            content_digest: verified.content_digest,
            verified,
        })
    }

    /// Refuses a call that was made before. Asked once the key is known to be somebody's: strangers'
    /// keys are without number, and none is remembered.
    pub(super) fn accept_once(&self, caller: &Caller) -> Result<(), ApiError> {
        let nonces = self.nonces.lock();
        let mut nonces = nonces.unwrap_or_else(std::sync::PoisonError::into_inner);
        if nonces.accept(&caller.verified, self.clock.now()) {
            Ok(())
        } else {
            Err(ApiError::Signature(signature::SignatureError::Replayed))
        }
    }

    /// The party whose live service key signed a call.
    pub fn calling_party(&self, caller: &Caller) -> Result<(PartyId, PartyFact), ApiError> {
        let facts = crate::store::facts::JournalFacts(self.ledger.journal());
        let refuse = || ApiError::Forbidden("a live service key of a registered party");
        let key = facts.key(&caller.key)?.ok_or_else(refuse)?;
        let live = key.revoked.is_none()
            && key.role == Some(Role::Service)
            && key.usable_from <= self.clock.now();
        let party = key.party.filter(|_| live).ok_or_else(refuse)?;
        let fact = facts.party(&party)?.ok_or_else(refuse)?;
        self.accept_once(caller)?;
        Ok((party, fact))
    }
}

impl Caller {
    /// Refuses a body other than the one that was signed.
    pub fn check_body(&self, body: &Bytes) -> Result<(), ApiError> {
        self.check_digest(Sha256::digest(body).into())
    }

    /// Refuses a body with another digest than the one that was signed.
    pub fn check_digest(&self, digest: [u8; 32]) -> Result<(), ApiError> {
        if digest == self.content_digest {
            Ok(())
        } else {
            Err(ApiError::BadRequest {
                member: "Content-Digest",
                accepted: "the SHA-256 of the body".to_owned(),
            })
        }
    }
}

/// The field of an upload in pieces, which its call's signature covers.
fn upload_field(headers: &HeaderMap) -> Result<Option<UploadField<'_>>, ApiError> {
    let refused = || ApiError::BadRequest {
        member: UPLOAD_OFFSET,
        accepted: "Upload-Offset or Upload-Length, once".to_owned(),
    };
    let mut found = None;
    for name in [UPLOAD_LENGTH, UPLOAD_OFFSET] {
        if headers.contains_key(name) {
            let value = text(headers, name).ok_or_else(refused)?;
            if found.replace(UploadField { name, value }).is_some() {
                return Err(refused());
            }
        }
    }
    Ok(found)
}

/// A header's value, if it is there once and is text.
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}
