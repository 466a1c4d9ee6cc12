//! The whole key schedule: one recovery phrase, and every secret that follows from it.
//!
//! The phrase is 24 words of [BIP-39](https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki),
//! its seed the 64 bytes of that specification with an empty passphrase. A secret is
//! HKDF-SHA256 (RFC 5869) of the seed, without salt, with `whosaw/v1/` and its name as info:
//!
//! | name | 32 bytes become |
//! |---|---|
//! | `age` | the age X25519 identity that opens the owner's clips |
//! | `vault` | the Ed25519 key that signs the calls to the vault |
//! | `request/<statement id>` | the one-time Ed25519 key that answers this request |
//! | `salt/<body digest>/<i>` | the salt of the clip's commitment `i`, from 0 |
//! | `decision/<statement id>/<clip id>` | the salt of the commitment to a refusal of this request, carried by the upload of this clip |
//! | `filler/<clip id>/<i>` | filler `i` of a set in which the clip enters further commitments |
//! | `public/<commitment>` | the one-time Ed25519 key that publishes a clip by this commitment |
//! | `notice` | the age X25519 identity that opens notices to the owner |
//!
//! Names never change their meaning; a new use takes a new name.

use std::fmt;
use std::str::FromStr;

use age_core::secrecy::ExposeSecret as _;
use bech32::{Bech32, Hrp};
use bip39::{Language, Mnemonic};
use ed25519_dalek::SigningKey;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::digest::{Digest, StatementId};
use crate::encoding;
use crate::seal::commitment::Commitment;
use crate::seal::notice::NoticeKey;
use crate::seal::{FileKey, Identity};

/// Why a text is no recovery phrase. Never holds a word of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    #[error("{found} words, where a recovery phrase has 24")]
    WordCount { found: usize },
    #[error("word {position} is not in the BIP-39 English list")]
    UnknownWord {
        /// Counted from 1.
        position: usize,
    },
    #[error("the words do not fit together: one is wrong, or two have changed places")]
    Checksum,
}

/// A recovery phrase: 24 words from the BIP-39 English list.
pub struct Phrase(Mnemonic);

impl Phrase {
    const WORDS: usize = 24;

    /// The phrase that writes 256 random bits.
    pub fn from_entropy(entropy: &[u8; 32]) -> Self {
        Self(Mnemonic::from_entropy(entropy).expect("256 bits make 24 words"))
    }

    /// Its words, in order.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.words()
    }

    /// The seed it stands for.
    pub fn seed(&self) -> Seed {
        Seed(Zeroizing::new(self.0.to_seed_normalized("")))
    }
}

impl FromStr for Phrase {
    type Err = PhraseError;

    /// Reads a typed phrase; letter case and white space do not matter.
    fn from_str(text: &str) -> Result<Self, PhraseError> {
        let found = text.split_whitespace().count();
        if found != Self::WORDS {
            return Err(PhraseError::WordCount { found });
        }
        let lower = Zeroizing::new(text.to_ascii_lowercase());
        Mnemonic::parse_in_normalized(Language::English, &lower)
            .map(Self)
            .map_err(|error| match error {
                bip39::Error::UnknownWord(index) => PhraseError::UnknownWord {
                    position: index.saturating_add(1),
                },
                _ => PhraseError::Checksum,
            })
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(…)")
    }
}

/// The BIP-39 seed of a resident: 64 bytes, from which every secret derives.
pub struct Seed(Zeroizing<[u8; 64]>);

impl Seed {
    /// The identity that opens this resident's clips and metadata.
    pub fn identity(&self) -> Identity {
        identity_from(&self.derive("age"))
    }

    /// The key that signs calls to the vault, and no statement.
    pub fn vault_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.derive("vault"))
    }

    /// The one-time key that signs this resident's answers to `request`.
    pub fn request_key(&self, request: &StatementId) -> SigningKey {
        SigningKey::from_bytes(&self.derive(&format!("request/{request}")))
    }

    /// The one-time key that publishes a clip by this commitment of its. A commitment is disclosed
    /// once, so that the key signs one disclosure, and the log alone tells which keys to try.
    pub fn public_key(&self, commitment: &Commitment) -> SigningKey {
        SigningKey::from_bytes(&self.derive(&format!("public/{commitment}")))
    }

    /// The salt of commitment `i` to the clip with this body.
    pub fn clip_salt(&self, body: &Digest, i: usize) -> Zeroizing<[u8; 32]> {
        self.derive(&format!("salt/{body}/{i}"))
    }

    /// The salt of the commitment to a refusal of `request` that the upload of `clip` carries. Each clip has an id of
    /// its own, so that two uploads never carry one commitment, whatever devices have this seed.
    pub fn decision_salt(&self, request: &StatementId, clip: &[u8; 16]) -> Zeroizing<[u8; 32]> {
        self.derive(&format!("decision/{request}/{}", encoding::hex(clip)))
    }

    /// Filler `i` of a set in which `clip` enters further commitments: it looks as random as they do, and each device
    /// with this seed makes the same.
    pub fn filler(&self, clip: &[u8; 16], i: usize) -> Commitment {
        let filler = self.derive(&format!("filler/{}/{i}", encoding::hex(clip)));
        Commitment::from_bytes(*filler)
    }

    /// What opens notices to this resident, and nothing else: the operator knows its recipient.
    pub fn notice_key(&self) -> NoticeKey {
        NoticeKey::new(self.derive("notice"))
    }

    fn derive(&self, name: &str) -> Zeroizing<[u8; 32]> {
        expand(&*self.0, &format!("whosaw/v1/{name}"))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// The identity that everybody has: what is sealed for it is for everybody. Its scalar is the
/// SHA-256 of the text `whosaw/v1/public`.
pub fn public_identity() -> Identity {
    identity_from(Digest::of("whosaw/v1/public").as_bytes())
}

/// What a clip's commitment holds of its file key: age payloads do not commit to their key.
pub(super) fn clip_key(file_key: &FileKey) -> Zeroizing<[u8; 32]> {
    expand(file_key.expose_secret(), "whosaw/v1/clip-key")
}

/// The key of an age header's MAC ([age, section "Header MAC"](https://c2sp.org/age#header-mac)).
pub(super) fn header_mac_key(file_key: &FileKey) -> Zeroizing<[u8; 32]> {
    expand(file_key.expose_secret(), "header")
}

/// The age identity with this X25519 scalar; the library reads identities as text only.
pub(super) fn identity_from(scalar: &[u8; 32]) -> Identity {
    const PREFIX: Hrp = Hrp::parse_unchecked("age-secret-key-");
    let text = bech32::encode_upper::<Bech32>(PREFIX, scalar).expect("short enough for bech32");
    Zeroizing::new(text)
        .parse()
        .expect("32 bytes under this prefix are an identity")
}

/// HKDF-SHA256 without salt, 32 bytes long.
fn expand(secret: &[u8], info: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret)
        .expand(info.as_bytes(), &mut *key)
        .expect("32 bytes are within HKDF's reach");
    key
}

#[cfg(test)]
mod tests;
