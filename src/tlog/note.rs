//! Signed notes: a text and signature lines by named keys
//! ([signed-note](https://c2sp.org/signed-note)).

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sha2::{Digest as _, Sha256};

use super::checkpoint::{Checkpoint, Origin};
use super::cosignature::Cosigner;
use super::mldsa::{self, MlDsaPublicKey, MlDsaSecretKey};
use crate::encoding;
use crate::statement::key::{KeyError, PublicKey};

/// The largest note that is read, in bytes.
pub const MAX_NOTE: usize = 1 << 20;
/// The most signature lines that are read.
pub const MAX_SIGNATURES: usize = 100;

const ED25519: u8 = 0x01;
const ED25519_COSIGNATURE: u8 = 0x04;
const ML_DSA_44_COSIGNATURE: u8 = 0x06;

/// Why bytes are no note, or a text no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("not a signed note: {0}")]
    Form(&'static str),
    #[error("not a verifier key: {0}")]
    Key(&'static str),
    #[error("the verifier key's point is refused: {0}")]
    Point(KeyError),
    #[error("the signature of {0} does not verify")]
    BadSignature(KeyName),
    #[error("the cosignature of {0} claims no time between the years 0001 and 9998")]
    NoTime(KeyName),
}

/// The name of a key: no spaces, no `+`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let fine = !text.is_empty()
            && text.len() <= 255
            && !text
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || c == '+');
        if fine {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoteError::Key(
                "a name has 1 to 255 bytes, no spaces, no `+`",
            ))
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    pub name: KeyName,
    pub key_id: [u8; 4],
    /// What follows the key id: a signature, or a time and a signature.
    pub signature: Vec<u8>,
}

/// A text with signatures, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// With its last line feed.
    pub text: String,
    pub signatures: Vec<NoteSignature>,
}

impl Note {
    /// Parses a note.
    ///
    /// # Errors
    /// [`NoteError::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::Form("larger than 1 MiB"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Form("not UTF-8"))?;
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Form("control characters"));
        }
        let (text, lines) = note
            .rsplit_once("\n\n")
            .ok_or(NoteError::Form("no empty line before signatures"))?;
        if text.is_empty() {
            return Err(NoteError::Form("no text"));
        }
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError::Form("no line feed at the end"))?;
        Ok(Self {
            text: format!("{text}\n"),
            signatures: parse_signatures(lines)?,
        })
    }

    /// The note as it is served.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut note = format!("{}\n", self.text);
        for signature in &self.signatures {
            note.push_str(&signature.to_string());
        }
        note.into_bytes()
    }

    /// The signatures that claim to be by `key`.
    pub fn signatures_by<'a>(
        &'a self,
        key: &'a VerifierKey,
    ) -> impl Iterator<Item = &'a NoteSignature> {
        self.signatures
            .iter()
            .filter(|line| key.is_claimed_by(line))
    }
}

/// Parses signature lines, without the last line feed.
///
/// # Errors
/// [`NoteError::Form`].
pub fn parse_signatures(lines: &str) -> Result<Vec<NoteSignature>, NoteError> {
    let signatures: Vec<NoteSignature> = lines
        .split('\n')
        .take(MAX_SIGNATURES + 1)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    if signatures.len() > MAX_SIGNATURES {
        return Err(NoteError::Form("more than 100 signatures"));
    }
    Ok(signatures)
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        let rest = line
            .strip_prefix("\u{2014} ")
            .ok_or(NoteError::Form("a signature line begins with an em dash"))?;
        let (name, encoded) = rest.split_once(' ').ok_or(NoteError::Form(
            "a signature line has a name and a signature",
        ))?;
        let bytes = encoding::from_base64(encoded)
            .map_err(|_| NoteError::Form("a signature is standard base64"))?;
        let (key_id, signature) = bytes
            .split_first_chunk()
            .filter(|(_, signature)| !signature.is_empty())
            .ok_or(NoteError::Form("a signature is longer than its key id"))?;
        Ok(Self {
            name: name
                .parse()
                .map_err(|_| NoteError::Form("a key name that cannot be"))?,
            key_id: *key_id,
            signature: signature.to_vec(),
        })
    }
}

/// The line, with its line feed.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id[..], &self.signature].concat();
        writeln!(f, "\u{2014} {} {}", self.name, encoding::base64(bytes))
    }
}

/// A public key and what it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoteKey {
    /// Signs the text of a note: a log's own signature.
    Ed25519(PublicKey),
    /// Signs a checkpoint and the time of cosigning ([`super::cosignature`]).
    Ed25519Cosignature(PublicKey),
    /// Signs a range of a log's entries, and perhaps the time of cosigning.
    MlDsa44Cosignature(MlDsaPublicKey),
}

impl NoteKey {
    /// The signature type of the specification, in front of the key in its encodings.
    fn kind(&self) -> u8 {
        match self {
            Self::Ed25519(_) => ED25519,
            Self::Ed25519Cosignature(_) => ED25519_COSIGNATURE,
            Self::MlDsa44Cosignature(_) => ML_DSA_44_COSIGNATURE,
        }
    }

    fn from_kind(kind: u8, key: &[u8]) -> Result<Self, NoteError> {
        let ed25519 = || {
            let key =
                encoding::exact(key).map_err(|_| NoteError::Key("an Ed25519 key has 32 bytes"))?;
            PublicKey::from_bytes(key).map_err(NoteError::Point)
        };
        match kind {
            ED25519 => Ok(Self::Ed25519(ed25519()?)),
            ED25519_COSIGNATURE => Ok(Self::Ed25519Cosignature(ed25519()?)),
            ML_DSA_44_COSIGNATURE => {
                let key = key
                    .try_into()
                    .map_err(|_| NoteError::Key("an ML-DSA-44 key has 1,312 bytes"))?;
                Ok(Self::MlDsa44Cosignature(MlDsaPublicKey::from_bytes(key)))
            }
            _ => Err(NoteError::Key(
                "of a kind other than Ed25519 (1), Ed25519 cosignatures (4) and ML-DSA-44 \
                 cosignatures (6)",
            )),
        }
    }

    /// The key alone: two kinds may wrap the same one.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) | Self::Ed25519Cosignature(key) => key.to_bytes().to_vec(),
            Self::MlDsa44Cosignature(key) => key.to_bytes().to_vec(),
        }
    }

    /// Bytes of a signature line after the key id.
    pub fn signature_length(&self) -> usize {
        match self {
            Self::Ed25519(_) => 64,
            Self::Ed25519Cosignature(_) => 8 + 64,
            Self::MlDsa44Cosignature(_) => 8 + mldsa::SIGNATURE,
        }
    }
}

/// A named public key, written `<name>+<key id>+<base64>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    pub name: KeyName,
    pub key: NoteKey,
}

impl VerifierKey {
    /// The first four bytes of SHA-256 over name, kind and key.
    pub fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(self.name.as_str())
            .chain_update([b'\n', self.key.kind()])
            .chain_update(self.key.to_bytes())
            .finalize();
        *digest.first_chunk().expect("32 bytes")
    }

    /// What people compare: the key as it is written, or in place of an ML-DSA-44 one, whose text
    /// has 1,800 characters, the SHA-256 of that text.
    pub fn fingerprint(&self) -> String {
        let text = self.to_string();
        match self.key {
            NoteKey::MlDsa44Cosignature(_) => {
                let digest = encoding::hex(Sha256::digest(text));
                let id = encoding::hex(self.id());
                format!("{}+{id} (ML-DSA-44, SHA-256 {digest})", self.name)
            }
            _ => text,
        }
    }

    /// Whether a signature line claims to be by this key: has its name and id.
    pub fn is_claimed_by(&self, line: &NoteSignature) -> bool {
        line.name == self.name && line.key_id == self.id()
    }

    /// Whether both wrap the same key, whatever its name and kind.
    pub fn wraps_key_of(&self, other: &Self) -> bool {
        self.key.to_bytes() == other.key.to_bytes()
    }

    /// Verifies an Ed25519 signature over a note's text.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`], from keys of other kinds too.
    pub fn verify(&self, text: &str, signature: &NoteSignature) -> Result<(), NoteError> {
        match (&self.key, encoding::exact(&signature.signature)) {
            (NoteKey::Ed25519(key), Ok(bytes)) if key.verifies(text.as_bytes(), &bytes) => Ok(()),
            _ => Err(NoteError::BadSignature(self.name.clone())),
        }
    }
}

crate::encoding::serde_as_text!(VerifierKey);

impl JsonSchema for VerifierKey {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "VerifierKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[^+\\s]{1,255}\\+[0-9a-f]{8}\\+[A-Za-z0-9+/]+={0,2}$",
            "maxLength": 4096,
            "description": "A key as C2SP signed-note writes it: name, key id and key."
        })
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // Base64 may hold a `+`: split only twice.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NoteError::Key("not of the form name+id+key"));
        };
        let bytes = encoding::from_base64(encoded)
            .map_err(|_| NoteError::Key("the key is standard base64"))?;
        let (kind, key) = bytes.split_first().ok_or(NoteError::Key("no key"))?;
        let key = Self {
            name: name.parse()?,
            key: NoteKey::from_kind(*kind, key)?,
        };
        if encoding::hex(key.id()) == id {
            Ok(key)
        } else {
            Err(NoteError::Key(
                "the key id is not that of this name and key",
            ))
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = [&[self.key.kind()][..], &self.key.to_bytes()].concat();
        write!(
            f,
            "{}+{}+{}",
            self.name,
            encoding::hex(self.id()),
            encoding::base64(encoded)
        )
    }
}

/// A log's own keys; their name is the log's origin.
///
/// Ed25519 is what every reader of tiled logs understands; ML-DSA-44 holds out against a quantum
/// computer. A log has the first, and should have both.
pub struct LogSigner {
    origin: Origin,
    key: SigningKey,
    ml_dsa_44: Option<Cosigner>,
}

impl LogSigner {
    /// The signer of the log with this origin, by Ed25519 alone.
    pub fn new(origin: Origin, key: SigningKey) -> Self {
        Self {
            origin,
            key,
            ml_dsa_44: None,
        }
    }

    /// Signs by ML-DSA-44, too.
    #[must_use]
    pub fn with_ml_dsa_44(mut self, key: MlDsaSecretKey) -> Self {
        self.ml_dsa_44 = Some(Cosigner::ml_dsa_44(self.origin.to_key_name(), key));
        self
    }

    /// The log's origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What verifies its Ed25519 signatures.
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey {
            name: self.origin.to_key_name(),
            key: NoteKey::Ed25519(PublicKey::from(&self.key)),
        }
    }

    /// What verifies its ML-DSA-44 signatures, if it makes any.
    pub fn ml_dsa_44_verifier(&self) -> Option<VerifierKey> {
        self.ml_dsa_44.as_ref().map(Cosigner::verifier)
    }

    /// Signs a note's text by Ed25519.
    pub fn sign(&self, text: &str) -> NoteSignature {
        let verifier = self.verifier();
        NoteSignature {
            key_id: verifier.id(),
            name: verifier.name,
            signature: self.key.sign(text.as_bytes()).to_bytes().to_vec(),
        }
    }

    /// Signs a checkpoint with every key.
    ///
    /// The ML-DSA-44 signature bears no time: how fresh a checkpoint is, its witnesses say, who
    /// cosign the same one again and again. So one tree has one signed note, also after a crash.
    pub fn sign_checkpoint(&self, checkpoint: &Checkpoint) -> Vec<NoteSignature> {
        let by_ml_dsa = |cosigner: &Cosigner| cosigner.sign_subtree(&checkpoint.into());
        let mut signatures = vec![self.sign(&checkpoint.body())];
        signatures.extend(self.ml_dsa_44.as_ref().and_then(by_ml_dsa));
        signatures
    }
}

#[cfg(test)]
mod tests;
