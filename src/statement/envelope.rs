//! DSSE v1 envelopes: the exact bytes that were signed, and who signed them.
//!
//! Spec: <https://github.com/secure-systems-lab/dsse>, narrowed by `docs/PROTOCOL.md`: exactly
//! three members, canonical base64, `keyid` is the public key itself, signatures in ascending order
//! of `keyid`, each verified strictly. Whether a signer *may* say it is the rules' business.

use std::collections::BTreeSet;

use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

use super::key::PublicKey;
use super::refusal::{Reason, Refusal};
use crate::encoding;

/// The payload type of every statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.whosaw.statement+json";
/// The largest payload, in bytes.
pub const MAX_PAYLOAD: usize = 32 * 1024;
/// The largest envelope, in bytes: what fits into a leaf beside its time.
pub const MAX_ENVELOPE: usize = 65_535 - 64;

/// An envelope whose shape is right; [`Envelope::verify`] says whether its signatures are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub payload: Vec<u8>,
    /// Ascending by key; never empty once parsed.
    pub signatures: Vec<(PublicKey, [u8; 64])>,
}

// Members in alphabetical order: serialised as they stand, this is the RFC 8785 form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: String,
    sig: String,
}

impl Envelope {
    /// Signs `payload` with each of `keys`.
    pub fn sign(payload: Vec<u8>, keys: &[&SigningKey]) -> Self {
        let mut envelope = Self {
            payload,
            signatures: Vec::new(),
        };
        for key in keys {
            envelope.add_signature(key);
        }
        envelope
    }

    /// Adds `key`'s signature, or does nothing if it is there.
    pub fn add_signature(&mut self, key: &SigningKey) {
        let public = PublicKey::from(key);
        if let Err(place) = self.signatures.binary_search_by(|(k, _)| k.cmp(&public)) {
            let signature = key.sign(&signed_bytes(&self.payload)).to_bytes();
            self.signatures.insert(place, (public, signature));
        }
    }

    /// Parses the JSON of an envelope.
    ///
    /// # Errors
    /// [`Reason::TooLarge`], [`Reason::NotJson`], [`Reason::NotCanonical`],
    /// [`Reason::UnknownMember`], [`Reason::MissingMember`], [`Reason::WrongPayloadType`],
    /// [`Reason::BadValue`], [`Reason::BadKey`], [`Reason::SignatureOrder`] or
    /// [`Reason::MissingSignature`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        match Self::read_canonical(bytes) {
            Some(envelope) => Ok(envelope),
            None => Self::parse_any(bytes),
        }
    }

    /// Reads what [`Envelope::to_json`] writes, or nothing: the way of nearly every envelope. What
    /// it does not take, for whatever reason, [`Envelope::parse_any`] takes or explains.
    pub(super) fn read_canonical(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (payload, mut rest) = text.strip_prefix("{\"payload\":\"")?.split_once('"')?;
        rest = rest
            .strip_prefix(",\"payloadType\":\"")?
            .strip_prefix(PAYLOAD_TYPE)?
            .strip_prefix("\",\"signatures\":[")?;
        let mut signatures: Vec<(PublicKey, [u8; 64])> = Vec::new();
        loop {
            let (keyid, after) = rest.strip_prefix("{\"keyid\":\"")?.split_once('"')?;
            let (sig, after) = after.strip_prefix(",\"sig\":\"")?.split_once('"')?;
            let key = keyid.parse().ok()?;
            if signatures.last().is_some_and(|(last, _)| *last >= key) {
                return None;
            }
            let sig = encoding::from_base64(sig).ok()?;
            signatures.push((key, encoding::exact(&sig).ok()?));
            rest = after.strip_prefix('}')?;
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None if rest == "]}" => break,
                None => return None,
            }
        }
        let payload = encoding::from_base64(payload).ok()?;
        (bytes.len() <= MAX_ENVELOPE && payload.len() <= MAX_PAYLOAD).then_some(Self {
            payload,
            signatures,
        })
    }

    /// Parses JSON in any spelling.
    fn parse_any(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(too_large("", bytes.len(), MAX_ENVELOPE));
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let wire: Wire = serde_path_to_error::deserialize(&mut json).map_err(super::form_fault)?;
        json.end()
            .map_err(|e| Refusal::new(Reason::NotJson, "", e.to_string()))?;
        // serde also reads an array for a struct: a second spelling.
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        if serde_json::to_value(&wire).ok() != Some(value) {
            return Err(Refusal::new(
                Reason::NotCanonical,
                "",
                "write structures as objects with named members",
            ));
        }
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(Refusal::new(
                Reason::WrongPayloadType,
                "/payloadType",
                format!("expected {PAYLOAD_TYPE}"),
            ));
        }
        let payload = encoding::from_base64(&wire.payload)
            .map_err(|e| Refusal::new(Reason::BadValue, "/payload", e.to_string()))?;
        if payload.len() > MAX_PAYLOAD {
            return Err(too_large("/payload", payload.len(), MAX_PAYLOAD));
        }
        let signatures = wire
            .signatures
            .iter()
            .enumerate()
            .map(|(i, signature)| parse_signature(i, signature))
            .collect::<Result<Vec<_>, _>>()?;
        if signatures.is_empty() {
            return Err(Refusal::new(
                Reason::MissingSignature,
                "/signatures",
                "no signature",
            ));
        }
        if let Some(i) = signatures
            .array_windows()
            .position(|[(one, _), (next, _)]| one >= next)
        {
            return Err(Refusal::new(
                Reason::SignatureOrder,
                format!("/signatures/{}/keyid", i.saturating_add(1)),
                "sort signatures by keyid, each key once",
            ));
        }
        Ok(Self {
            payload,
            signatures,
        })
    }

    /// The canonical JSON of the envelope.
    pub fn to_json(&self) -> Vec<u8> {
        let wire = Wire {
            payload: encoding::base64(&self.payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: self
                .signatures
                .iter()
                .map(|(key, signature)| WireSignature {
                    keyid: key.to_string(),
                    sig: encoding::base64(signature),
                })
                .collect(),
        };
        serde_json::to_vec(&wire).expect("strings serialise")
    }

    /// Verifies every signature, strictly and one by one: a batch check accepts more.
    ///
    /// # Errors
    /// [`Reason::BadSignature`], naming the first that fails.
    pub fn verify(&self) -> Result<BTreeSet<PublicKey>, Refusal> {
        let message = signed_bytes(&self.payload);
        for (i, (key, signature)) in self.signatures.iter().enumerate() {
            if !key.verifies(&message, signature) {
                return Err(Refusal::new(
                    Reason::BadSignature,
                    format!("/signatures/{i}/sig"),
                    format!("the signature by {key} does not verify over this payload"),
                ));
            }
        }
        Ok(self.signatures.iter().map(|(key, _)| *key).collect())
    }
}

fn parse_signature(i: usize, wire: &WireSignature) -> Result<(PublicKey, [u8; 64]), Refusal> {
    let key = wire.keyid.parse().map_err(|e: super::key::KeyError| {
        Refusal::new(
            Reason::BadKey,
            format!("/signatures/{i}/keyid"),
            e.to_string(),
        )
    })?;
    let signature = encoding::from_base64(&wire.sig)
        .and_then(|bytes| encoding::exact(&bytes))
        .map_err(|e| {
            Refusal::new(
                Reason::BadValue,
                format!("/signatures/{i}/sig"),
                e.to_string(),
            )
        })?;
    Ok((key, signature))
}

fn too_large(member: &str, found: usize, most: usize) -> Refusal {
    Refusal::new(
        Reason::TooLarge,
        member,
        format!("{found} bytes, where at most {most} are allowed"),
    )
}

/// DSSE's pre-authentication encoding of a statement's payload: what is signed.
pub fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    pae(PAYLOAD_TYPE, payload)
}

fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    message.extend_from_slice(payload);
    message
}

#[cfg(test)]
mod tests;
