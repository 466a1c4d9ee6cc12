//! Signed notes: a text and signature lines by named keys
//! ([signed-note](https://c2sp.org/signed-note)).

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use super::checkpoint::Origin;
use crate::encoding;
use crate::statement::key::{KeyError, PublicKey};

/// The largest note that is read, in bytes.
pub const MAX_NOTE: usize = 1 << 20;
/// The most signature lines that are read.
pub const MAX_SIGNATURES: usize = 100;

const ED25519: u8 = 0x01;
const COSIGNATURE: u8 = 0x04;

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
        let end = note
            .rfind("\n\n")
            .ok_or(NoteError::Form("no empty line before signatures"))?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        if text == "\n" {
            return Err(NoteError::Form("no text"));
        }
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError::Form("no line feed at the end"))?;
        Ok(Self {
            text: text.to_owned(),
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
            .filter(|s| s.name == key.name && s.key_id == key.id())
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

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The text of a note: a log's own signature.
    Ed25519,
    /// A checkpoint and the time of cosigning ([`super::cosignature`]).
    Cosignature,
}

impl KeyKind {
    fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => ED25519,
            Self::Cosignature => COSIGNATURE,
        }
    }
}

/// A named public key, written `<name>+<key id>+<base64>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    pub name: KeyName,
    pub kind: KeyKind,
    pub key: PublicKey,
}

impl VerifierKey {
    /// The first four bytes of SHA-256 over name, kind and key.
    pub fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(self.name.as_str())
            .chain_update([b'\n', self.kind.byte()])
            .chain_update(self.key.to_bytes())
            .finalize();
        *digest.first_chunk().expect("32 bytes")
    }

    /// Verifies a log's own signature over a note's text.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`].
    pub fn verify(&self, text: &str, signature: &NoteSignature) -> Result<(), NoteError> {
        let holds = self.kind == KeyKind::Ed25519
            && encoding::exact(&signature.signature)
                .is_ok_and(|signature| self.key.verifies(text.as_bytes(), &signature));
        if holds {
            Ok(())
        } else {
            Err(NoteError::BadSignature(self.name.clone()))
        }
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
        let kind = match *kind {
            ED25519 => KeyKind::Ed25519,
            COSIGNATURE => KeyKind::Cosignature,
            _ => {
                return Err(NoteError::Key(
                    "of a kind other than Ed25519 (1) and Ed25519 cosignatures (4)",
                ));
            }
        };
        let key =
            encoding::exact(key).map_err(|_| NoteError::Key("an Ed25519 key has 32 bytes"))?;
        let key = Self {
            name: name.parse()?,
            kind,
            key: PublicKey::from_bytes(key).map_err(NoteError::Point)?,
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
        let encoded = [&[self.kind.byte()][..], &self.key.to_bytes()].concat();
        write!(
            f,
            "{}+{}+{}",
            self.name,
            encoding::hex(self.id()),
            encoding::base64(encoded)
        )
    }
}

/// A log's own key; its name is the log's origin.
pub struct LogSigner {
    origin: Origin,
    key: SigningKey,
}

impl LogSigner {
    /// The signer of the log with this origin.
    pub fn new(origin: Origin, key: SigningKey) -> Self {
        Self { origin, key }
    }

    /// The log's origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What verifies its signatures.
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey {
            name: self.origin.to_key_name(),
            kind: KeyKind::Ed25519,
            key: PublicKey::from(&self.key),
        }
    }

    /// Signs a note's text.
    pub fn sign(&self, text: &str) -> NoteSignature {
        let verifier = self.verifier();
        NoteSignature {
            key_id: verifier.id(),
            name: verifier.name,
            signature: self.key.sign(text.as_bytes()).to_bytes().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests;
