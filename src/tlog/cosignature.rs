//! Cosignatures: a witness saw this checkpoint at this time, as an extension of all before it
//! ([tlog-cosignature](https://c2sp.org/tlog-cosignature)).

use ed25519_dalek::{Signer as _, SigningKey};

use super::note::{KeyKind, KeyName, NoteError, NoteSignature, VerifierKey};
use crate::encoding;
use crate::statement::key::PublicKey;
use crate::time::Time;

/// A witness's key.
pub struct Cosigner {
    name: KeyName,
    key: SigningKey,
}

impl Cosigner {
    /// The cosigner of this name. A key serves one name: the signature does not commit to it.
    pub fn new(name: KeyName, key: SigningKey) -> Self {
        Self { name, key }
    }

    /// What verifies its cosignatures.
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey {
            name: self.name.clone(),
            kind: KeyKind::Cosignature,
            key: PublicKey::from(&self.key),
        }
    }

    /// Cosigns the text of a checkpoint, seen at `time` (later than 1970).
    pub fn cosign(&self, text: &str, time: Time) -> NoteSignature {
        let verifier = self.verifier();
        let seconds = u64::try_from(time.unix()).expect("later than 1970");
        let signature = self.key.sign(message(text, seconds).as_bytes());
        NoteSignature {
            key_id: verifier.id(),
            name: verifier.name,
            signature: [&seconds.to_be_bytes()[..], &signature.to_bytes()].concat(),
        }
    }
}

fn message(text: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

/// Verifies a cosignature over the text of a checkpoint; the time at which it was made.
///
/// # Errors
/// [`NoteError::BadSignature`], for a time of 0 too: it would claim no freshness.
pub fn verify(key: &VerifierKey, text: &str, signature: &NoteSignature) -> Result<Time, NoteError> {
    let checked = || {
        let (seconds, signature) = signature.signature.split_first_chunk()?;
        let seconds = u64::from_be_bytes(*seconds);
        let time = Time::from_unix(i64::try_from(seconds).ok()?)?;
        let signature = encoding::exact(signature).ok()?;
        let holds = key.kind == KeyKind::Cosignature
            && seconds > 0
            && key
                .key
                .verifies(message(text, seconds).as_bytes(), &signature);
        holds.then_some(time)
    };
    checked().ok_or_else(|| NoteError::BadSignature(key.name.clone()))
}
