//! ML-DSA-44 keys and signatures as notes carry them ([FIPS 204](https://doi.org/10.6028/NIST.FIPS.204)).
//!
//! Bytes in and out, with the empty context; what is signed is [`super::cosignature`]'s affair. Signing
//! is the deterministic variant: one message has one signature, and nothing here needs randomness.

use std::fmt;
use std::sync::Arc;

use ml_dsa::{MlDsa44, Seed, Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::encoding;

/// Bytes of a public key.
pub const PUBLIC_KEY: usize = 1312;
/// Bytes of a signature.
pub const SIGNATURE: usize = 2420;

/// A public key, expanded once for all verifications (20 KiB; clones share it).
#[derive(Clone, PartialEq)]
pub struct MlDsaPublicKey(Arc<VerifyingKey<MlDsa44>>);

impl Eq for MlDsaPublicKey {}

impl MlDsaPublicKey {
    /// From the encoding of FIPS 204, of which every one is a key.
    pub fn from_bytes(bytes: &[u8; PUBLIC_KEY]) -> Self {
        Self(Arc::new(VerifyingKey::decode(bytes.into())))
    }

    /// The encoding of FIPS 204.
    pub fn to_bytes(&self) -> [u8; PUBLIC_KEY] {
        self.0.encode().0
    }

    /// Whether `signature` is one over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::try_from(signature)
            .is_ok_and(|signature| self.0.verify_with_context(message, &[], &signature))
    }
}

impl fmt::Debug for MlDsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.to_bytes();
        write!(f, "MlDsaPublicKey({}…)", encoding::hex(&bytes[..8]))
    }
}

/// A secret key; wiped when dropped, and never shown.
pub struct MlDsaSecretKey(SigningKey<MlDsa44>);

impl MlDsaSecretKey {
    /// From the seed that is the key's one stored form.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_seed(<&Seed>::from(seed)))
    }

    /// The seed.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.as_seed().0)
    }

    /// What verifies its signatures.
    pub fn public_key(&self) -> MlDsaPublicKey {
        let key: &VerifyingKey<MlDsa44> = self.0.as_ref();
        MlDsaPublicKey(Arc::new(key.clone()))
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        self.0.sign(message).encode().0
    }
}
