//! Signatures of HTTP messages (RFC 9421), narrowed to one form.
//!
//! Which components a signature covers, in which order, and which parameters it has are fixed. The
//! order of the parameters is the signer's (RFC 9421, section 2.3): libraries differ in it. Fields
//! are accepted in the one serialisation of their values alone, which has no room for duplicates.
//! Keys that sign messages sign nothing else.

use std::collections::{BTreeSet, HashMap};

use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};
use sfv::{BareItem, Dictionary, FieldType as _, InnerList, ListEntry, Parser};
use sha2::{Digest as _, Sha256};

use crate::encoding;
use crate::statement::key::PublicKey;
use crate::time::Time;

/// How long a signed call is good for, in seconds.
const LIFETIME: i64 = 60;
/// The longest that a call may be good for, in seconds.
const MAX_LIFETIME: i64 = 120;
/// How far a caller's clock may be ahead, in seconds.
const MAX_AHEAD: i64 = 30;
/// Nonces of one key remembered at once: some 80 calls a second.
const MAX_NONCES: usize = 10_000;

const LABEL: &str = "whosaw";
const TAG: &str = "whosaw-v1";
const REQUEST: &[&str] = &["@method", "@authority", "@path", "@query", "content-digest"];
/// The fields of uploads in pieces (tus 1.0): a call that has one covers it, too, after the others.
pub const UPLOAD_LENGTH: &str = "upload-length";
pub const UPLOAD_OFFSET: &str = "upload-offset";
const RESPONSE: &[&str] = &["@status", "content-digest", "content-type"];

/// Why a message's signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the call is not signed: it carries Content-Digest, Signature-Input and Signature")]
    Missing,
    #[error("Content-Digest is `sha-256=:…:`, once")]
    ContentDigest,
    #[error(
        "Signature-Input has one member, `whosaw`, with the components, in order, and the parameters that the protocol fixes"
    )]
    Input,
    #[error("Signature has one member, `whosaw`, of 64 bytes")]
    Signature,
    #[error("keyid is a canonical, strong key: ed25519:…")]
    Key,
    #[error("the call expires more than 120 seconds after it was created, or before")]
    Lifetime,
    #[error("the call was created in the future: check the clock")]
    TooEarly,
    #[error("the call has expired: check the clock, and sign it again")]
    Expired,
    #[error("the call was made before: sign it again with a new nonce")]
    Replayed,
    #[error("the signature does not verify over this message")]
    Mismatch,
    #[error("the body is not the one that was signed")]
    Body,
}

/// What a request is sent to.
#[derive(Debug, Clone, Copy)]
pub struct RequestTarget<'a> {
    pub method: &'a str,
    /// Host and, unless it is the scheme's own, port.
    pub authority: &'a str,
    pub path: &'a str,
    /// Without the question mark.
    pub query: Option<&'a str>,
    /// Of a call that begins an upload in pieces, or goes on with one.
    pub upload: Option<UploadField<'a>>,
}

/// The field that says how long an upload is, or where its piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadField<'a> {
    /// [`UPLOAD_LENGTH`] or [`UPLOAD_OFFSET`].
    pub name: &'static str,
    pub value: &'a str,
}

impl<'a> UploadField<'a> {
    /// The one among a call's header fields, whose names are in lower case.
    pub fn among(headers: &[(&str, &'a str)]) -> Option<Self> {
        headers.iter().find_map(|(name, value)| {
            let name = [UPLOAD_LENGTH, UPLOAD_OFFSET]
                .into_iter()
                .find(|n| n == name)?;
            Some(Self { name, value })
        })
    }
}

/// The three header fields of a signed message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureHeaders {
    pub content_digest: String,
    pub signature_input: String,
    pub signature: String,
}

/// A call whose signature verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub key: PublicKey,
    pub nonce: [u8; 16],
    pub expires: Time,
    /// SHA-256 that the body must have.
    pub content_digest: [u8; 32],
}

struct Parameters {
    created: i64,
    /// Responses have none.
    expires: Option<i64>,
    nonce: [u8; 16],
    key: PublicKey,
}

impl Parameters {
    /// The value of `Signature-Input` after its label; the last line of the signature base.
    fn to_text(&self, components: &[&str]) -> String {
        let quoted: Vec<String> = components.iter().map(|c| format!("\"{c}\"")).collect();
        let expires = self
            .expires
            .map_or(String::new(), |at| format!(";expires={at}"));
        format!(
            "({});created={}{expires};nonce=\"{}\";keyid=\"{}\";alg=\"ed25519\";tag=\"{TAG}\"",
            quoted.join(" "),
            self.created,
            encoding::base64url(self.nonce),
            self.key
        )
    }

    /// Reads `Signature-Input`; with its text after the label, which is what was signed.
    fn parse<'a>(
        input: &'a str,
        components: &[&str],
        expires: bool,
    ) -> Result<(Self, &'a str), SignatureError> {
        let fault = || SignatureError::Input;
        let dictionary: Dictionary = Parser::new(input).parse().map_err(|_| fault())?;
        // Parsing keeps the last of two duplicates: writing it back shows them.
        if dictionary.len() != 1 || dictionary.serialize().as_deref() != Some(input) {
            return Err(fault());
        }
        let Some(ListEntry::InnerList(list)) = dictionary.get(LABEL) else {
            return Err(fault());
        };
        let (_, text) = input.split_once('=').ok_or_else(fault)?;
        let integer = |name: &str| match list.params.get(name) {
            Some(BareItem::Integer(n)) => Some(i64::from(*n)),
            _ => None,
        };
        let string = |name: &str| match list.params.get(name) {
            Some(BareItem::String(s)) => Some(s.as_str()),
            _ => None,
        };
        let as_fixed = covers(list, components)
            && list.params.len() == if expires { 6 } else { 5 }
            && integer("expires").is_some() == expires
            && string("alg") == Some("ed25519")
            && string("tag") == Some(TAG);
        if !as_fixed {
            return Err(fault());
        }
        let nonce = string("nonce").and_then(|nonce| encoding::from_base64url(nonce).ok());
        let nonce = nonce.and_then(|nonce| encoding::exact(&nonce).ok());
        let parameters = Self {
            created: integer("created").ok_or_else(fault)?,
            expires: integer("expires"),
            nonce: nonce.ok_or_else(fault)?,
            key: string("keyid")
                .ok_or_else(fault)?
                .parse()
                .map_err(|_| SignatureError::Key)?,
        };
        Ok((parameters, text))
    }
}

/// Whether a signature covers these components, in this order, without parameters of their own.
fn covers(list: &InnerList, components: &[&str]) -> bool {
    list.items.len() == components.len()
        && list.items.iter().zip(components).all(|(item, component)| {
            let name = match &item.bare_item {
                BareItem::String(name) => name.as_str(),
                _ => return false,
            };
            item.params.is_empty() && name == *component
        })
}

/// The text that is signed (RFC 9421, section 2.5).
fn signature_base(components: &[(&str, String)], parameters: &str) -> String {
    let mut base = String::new();
    for (name, value) in components {
        base.push_str(&format!("\"{name}\": {value}\n"));
    }
    base.push_str(&format!("\"@signature-params\": {parameters}"));
    base
}

fn request_components(target: &RequestTarget<'_>, digest: &str) -> Vec<(&'static str, String)> {
    let values = [
        target.method.to_owned(),
        target.authority.to_ascii_lowercase(),
        target.path.to_owned(),
        format!("?{}", target.query.unwrap_or_default()),
        digest.to_owned(),
    ];
    let upload = target
        .upload
        .map(|field| (field.name, field.value.to_owned()));
    REQUEST.iter().copied().zip(values).chain(upload).collect()
}

/// The names of the components that a call's signature covers.
fn names<'a>(components: &[(&'a str, String)]) -> Vec<&'a str> {
    components.iter().map(|(name, _)| *name).collect()
}

fn response_components(status: u16, media_type: &str, digest: &str) -> Vec<(&'static str, String)> {
    let values = [status.to_string(), digest.to_owned(), media_type.to_owned()];
    RESPONSE.iter().copied().zip(values).collect()
}

fn digest_header(digest: &[u8; 32]) -> String {
    format!("sha-256=:{}:", encoding::base64(digest))
}

fn parse_digest(header: &str) -> Result<[u8; 32], SignatureError> {
    let encoded = header
        .strip_prefix("sha-256=:")
        .and_then(|rest| rest.strip_suffix(':'));
    encoded
        .and_then(|encoded| encoding::from_base64(encoded).ok())
        .and_then(|bytes| encoding::exact(&bytes).ok())
        .ok_or(SignatureError::ContentDigest)
}

fn headers(
    components: &[(&str, String)],
    parameters: &str,
    digest: &[u8; 32],
    key: &SigningKey,
) -> SignatureHeaders {
    let signature = key.sign(signature_base(components, parameters).as_bytes());
    SignatureHeaders {
        content_digest: digest_header(digest),
        signature_input: format!("{LABEL}={parameters}"),
        signature: format!("{LABEL}=:{}:", encoding::base64(signature.to_bytes())),
    }
}

fn check(
    components: &[(&str, String)],
    parameters: &str,
    key: &PublicKey,
    signature: &str,
) -> Result<(), SignatureError> {
    let encoded = signature
        .strip_prefix(LABEL)
        .and_then(|rest| rest.strip_prefix("=:"))
        .and_then(|rest| rest.strip_suffix(':'));
    let signature = encoded
        .and_then(|encoded| encoding::from_base64(encoded).ok())
        .and_then(|bytes| encoding::exact(&bytes).ok())
        .ok_or(SignatureError::Signature)?;
    let base = signature_base(components, parameters);
    if key.verifies(base.as_bytes(), &signature) {
        Ok(())
    } else {
        Err(SignatureError::Mismatch)
    }
}

/// Signs a call whose body has this SHA-256.
pub fn sign(
    target: &RequestTarget<'_>,
    content_digest: &[u8; 32],
    key: &SigningKey,
    now: Time,
    nonce: [u8; 16],
) -> SignatureHeaders {
    let parameters = Parameters {
        created: now.unix(),
        expires: Some(now.unix().saturating_add(LIFETIME)),
        nonce,
        key: PublicKey::from(key),
    };
    let components = request_components(target, &digest_header(content_digest));
    headers(
        &components,
        &parameters.to_text(&names(&components)),
        content_digest,
        key,
    )
}

/// Verifies a call's signature. The body must still be compared with the digest given back, and
/// the nonce be [accepted](Nonces::accept).
///
/// # Errors
/// [`SignatureError`]: each fault is told apart.
pub fn verify(
    target: &RequestTarget<'_>,
    headers: &SignatureHeaders,
    now: Time,
) -> Result<Verified, SignatureError> {
    if headers.signature_input.is_empty() || headers.signature.is_empty() {
        return Err(SignatureError::Missing);
    }
    let content_digest = parse_digest(&headers.content_digest)?;
    let components = request_components(target, &headers.content_digest);
    let (parameters, text) =
        Parameters::parse(&headers.signature_input, &names(&components), true)?;
    let expires = parameters.expires.ok_or(SignatureError::Input)?;
    if !(1..=MAX_LIFETIME).contains(&expires.saturating_sub(parameters.created)) {
        return Err(SignatureError::Lifetime);
    }
    if parameters.created > now.unix().saturating_add(MAX_AHEAD) {
        return Err(SignatureError::TooEarly);
    }
    if expires < now.unix() {
        return Err(SignatureError::Expired);
    }
    check(&components, text, &parameters.key, &headers.signature)?;
    Ok(Verified {
        key: parameters.key,
        nonce: parameters.nonce,
        expires: Time::from_unix(expires).ok_or(SignatureError::Lifetime)?,
        content_digest,
    })
}

/// Signs a response whose body has this SHA-256.
pub fn sign_response(
    status: u16,
    content_type: &str,
    content_digest: &[u8; 32],
    key: &SigningKey,
    now: Time,
    nonce: [u8; 16],
) -> SignatureHeaders {
    let parameters = Parameters {
        created: now.unix(),
        expires: None,
        nonce,
        key: PublicKey::from(key),
    };
    let components = response_components(status, content_type, &digest_header(content_digest));
    headers(
        &components,
        &parameters.to_text(RESPONSE),
        content_digest,
        key,
    )
}

/// Verifies a response's signature; the key that made it. Whether that key is the operator's is
/// for the log to say.
///
/// # Errors
/// [`SignatureError`]: each fault is told apart.
pub fn verify_response(
    status: u16,
    content_type: &str,
    headers: &SignatureHeaders,
    body: &[u8],
) -> Result<PublicKey, SignatureError> {
    if headers.signature_input.is_empty() || headers.signature.is_empty() {
        return Err(SignatureError::Missing);
    }
    if parse_digest(&headers.content_digest)? != <[u8; 32]>::from(Sha256::digest(body)) {
        return Err(SignatureError::Body);
    }
    let (parameters, text) = Parameters::parse(&headers.signature_input, RESPONSE, false)?;
    let components = response_components(status, content_type, &headers.content_digest);
    check(&components, text, &parameters.key, &headers.signature)?;
    Ok(parameters.key)
}

/// The nonces of calls that have not expired: each is good once.
///
/// Ask only about keys that may call at all: a stranger can make any number of keys.
#[derive(Debug, Default)]
pub struct Nonces(HashMap<[u8; 32], BTreeSet<(Time, [u8; 16])>>);

impl Nonces {
    /// Whether the call is new; it is not from then on.
    ///
    /// Where too many calls of a key are remembered already, none is new: to forget one would be to
    /// let it in again.
    pub fn accept(&mut self, verified: &Verified, now: Time) -> bool {
        let calls = self.0.entry(verified.key.to_bytes()).or_default();
        while calls.first().is_some_and(|(expires, _)| *expires < now) {
            calls.pop_first();
        }
        calls.len() < MAX_NONCES && calls.insert((verified.expires, verified.nonce))
    }
}

#[cfg(test)]
mod tests;
