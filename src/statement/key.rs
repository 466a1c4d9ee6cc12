//! Public keys as statements name them: `ed25519:<base64url>`, and the two checks every key passes.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, VerifyingKey};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::encoding;

/// An Ed25519 public key: canonically encoded and of large order, or it is not one of these.
///
/// Compared and sorted as its text, which is what a `keyid` is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(VerifyingKey);

/// Whether the 255 bits of y, little-endian and without the sign of x, are below 2²⁵⁵ − 19.
fn is_reduced(bytes: &[u8; 32]) -> bool {
    bytes[0] < 0xed || bytes[1..31].iter().any(|byte| *byte != 0xff) || bytes[31] & 0x7f != 0x7f
}

/// The text or bytes are no acceptable public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("not of the form ed25519:<32 bytes in base64url without padding>")]
    Form,
    #[error("not a point of the curve, or not its canonical encoding")]
    NotCanonical,
    #[error("a point of small order: anyone could sign for it")]
    Weak,
}

impl PublicKey {
    const PREFIX: &'static str = "ed25519:";

    /// From the 32 bytes of RFC 8032.
    ///
    /// # Errors
    /// A point off the curve, one of the non-canonical encodings, or one of small order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotCanonical)?;
        // `from_bytes` takes any y; a second spelling of x = 0 is of small order.
        if !is_reduced(&bytes) {
            return Err(KeyError::NotCanonical);
        }
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        Ok(Self(key))
    }

    /// The 32 bytes of RFC 8032.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Whether `signature` (64 bytes) over `message` satisfies the equation without cofactor.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0
            .verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    }
}

impl From<&ed25519_dalek::SigningKey> for PublicKey {
    fn from(key: &ed25519_dalek::SigningKey) -> Self {
        Self(key.verifying_key())
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let digits = |key: &Self| encoding::base64url_digits(key.0.as_bytes());
        digits(self).cmp(&digits(other))
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}",
            Self::PREFIX,
            encoding::base64url(self.0.to_bytes())
        )
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(Self::PREFIX).ok_or(KeyError::Form)?;
        let bytes = encoding::from_base64url(encoded).map_err(|_| KeyError::Form)?;
        Self::from_bytes(encoding::exact(&bytes).map_err(|_| KeyError::Form)?)
    }
}

crate::encoding::serde_as_text!(PublicKey);

impl JsonSchema for PublicKey {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PublicKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^ed25519:[A-Za-z0-9_-]{43}$",
            "description": "An Ed25519 public key, base64url without padding."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn weak_and_non_canonical_keys_are_refused() {
        let key = PublicKey::from(&ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
        assert_eq!(key.to_string().parse(), Ok(key));

        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(identity), Err(KeyError::Weak));
        // y = p + 1, the identity written a second way: `is_weak` alone would be the only guard.
        let mut non_canonical = [0xff; 32];
        non_canonical[0] = 0xee;
        non_canonical[31] = 0x7f;
        assert_eq!(
            PublicKey::from_bytes(non_canonical),
            Err(KeyError::NotCanonical)
        );
        // y = p + k for every k that a 255-bit number leaves room for: never accepted.
        for k in 0..19u8 {
            let mut bytes = [0xff; 32];
            bytes[0] = 0xed + k;
            for sign in [0x7f, 0xff] {
                bytes[31] = sign;
                assert!(PublicKey::from_bytes(bytes).is_err(), "p + {k}");
            }
        }
        for (first, reduced) in [(0xec, true), (0xed, false)] {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (first, 0x7f);
            assert_eq!(is_reduced(&bytes), reduced, "{first:x}");
            bytes[17] = 0xfe;
            assert!(is_reduced(&bytes));
        }
        assert_eq!("ed25519:AA".parse::<PublicKey>(), Err(KeyError::Form));
        assert_eq!("AA".parse::<PublicKey>(), Err(KeyError::Form));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]
        #[test]
        fn what_is_reduced_is_its_own_compression(mut bytes: [u8; 32], small in any::<bool>()) {
            // Every other one close below 2²⁵⁵, where random bytes never come.
            if small {
                bytes[1..31].fill(0xff);
                bytes[31] |= 0x7f;
            }
            let point = curve25519_dalek::edwards::CompressedEdwardsY(bytes).decompress();
            let negative_zero = bytes[31] >> 7 == 1 && point.is_some_and(|p| p.is_small_order());
            if let Some(point) = point.filter(|_| !negative_zero) {
                prop_assert_eq!(is_reduced(&bytes), point.compress().to_bytes() == bytes);
            }
        }

        #[test]
        fn keys_are_sorted_as_their_texts(seeds: [[u8; 32]; 2]) {
            let [a, b] = seeds.map(|s| PublicKey::from(&ed25519_dalek::SigningKey::from_bytes(&s)));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
