//! Public keys as statements name them: `ed25519:<base64url>`, and the two checks every key passes.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::encoding;

/// An Ed25519 public key: canonically encoded and of large order, or it is not one of these.
///
/// Compared and sorted as its text, which is what a `keyid` is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

/// Characters of a key in a sentence: 72 bits.
const SHORT: usize = 12;

/// Decoded keys that each thread remembers: few keys sign most statements, and decoding one costs a
/// tenth of a verification.
const REMEMBERED: usize = 128;

thread_local! {
    static DECODED: RefCell<Vec<Option<VerifyingKey>>> = const { RefCell::new(Vec::new()) };
}

/// The point that `bytes` encode, if they are an acceptable key.
fn decode(bytes: &[u8; 32]) -> Result<VerifyingKey, KeyError> {
    DECODED.with_borrow_mut(|decoded| {
        decoded.resize(REMEMBERED, None);
        let [first, ..] = bytes;
        let slot = decoded.get_mut(usize::from(*first) % REMEMBERED);
        match &slot {
            Some(Some(key)) if key.as_bytes() == bytes => return Ok(*key),
            _ => {}
        }
        let key = decode_anew(bytes)?;
        if let Some(slot) = slot {
            *slot = Some(key);
        }
        Ok(key)
    })
}

fn decode_anew(bytes: &[u8; 32]) -> Result<VerifyingKey, KeyError> {
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotCanonical)?;
    // `from_bytes` takes any y; a second spelling of x = 0 is of small order.
    if !is_reduced(bytes) {
        return Err(KeyError::NotCanonical);
    }
    if key.is_weak() {
        return Err(KeyError::Weak);
    }
    Ok(key)
}

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
        decode(&bytes)?;
        Ok(Self(bytes))
    }

    /// The 32 bytes of RFC 8032.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// As people read it: as much of its text as tells keys apart.
    pub fn short(self) -> String {
        let text: String = encoding::base64url(self.0).chars().take(SHORT).collect();
        format!("{}{text}", Self::PREFIX)
    }

    /// Whether `signature` (64 bytes) over `message` satisfies the equation without cofactor, and
    /// neither the key nor R is of small order: [`VerifyingKey::verify_strict`], which would decode R
    /// to learn the last.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        let satisfied = |key: VerifyingKey| key.verify(message, &signature).is_ok();
        !is_of_small_order(signature.r_bytes()) && decode(&self.0).is_ok_and(satisfied)
    }
}

/// Whether these bytes encode a point of small order. Another encoding than the canonical one never
/// satisfies the equation, whose other side is encoded canonically.
fn is_of_small_order(r: &[u8; 32]) -> bool {
    /// The y of the eight: 1, −1, 0 (twice), and those of order 8 (twice each), little-endian.
    const YS: [[u8; 32]; 5] = [
        [
            0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00,
        ],
        [
            0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0x7f,
        ],
        [0; 32],
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut y = *r;
    y[31] &= 0x7f;
    YS.contains(&y)
}

impl From<&ed25519_dalek::SigningKey> for PublicKey {
    fn from(key: &ed25519_dalek::SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        if self == other {
            return std::cmp::Ordering::Equal;
        }
        let digits = |key: &Self| encoding::base64url_digits(&key.0);
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
        write!(f, "{}{}", Self::PREFIX, encoding::base64url(self.0))
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
    use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
    use curve25519_dalek::{EdwardsPoint, Scalar};
    use ed25519_dalek::Signer as _;
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha512};

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

    /// A signature over `message` by the key `a`B + `torsion`, with R of small order, for which the
    /// equation without cofactor holds.
    fn with_small_r(
        a: Scalar,
        torsion: EdwardsPoint,
        r: EdwardsPoint,
    ) -> (PublicKey, u8, [u8; 64]) {
        let key = (&a * ED25519_BASEPOINT_TABLE + torsion)
            .compress()
            .to_bytes();
        let r_bytes = r.compress().to_bytes();
        let challenge = |message: u8| {
            let hash = Sha512::new().chain_update(r_bytes).chain_update(key);
            Scalar::from_hash(hash.chain_update([message]))
        };
        // sB − kA = −k·torsion, which is every multiple of the torsion for some message.
        let holds = |message: &u8| -(challenge(*message) * torsion) == r;
        let message = (0..=255).find(holds).expect("one of 256");
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r_bytes);
        signature[32..].copy_from_slice((challenge(message) * a).as_bytes());
        (PublicKey::from_bytes(key).unwrap(), message, signature)
    }

    #[test]
    fn no_point_of_small_order_is_taken_for_r() {
        let a = Scalar::from(1_234_567_u32);
        for r in EIGHT_TORSION {
            assert!(is_of_small_order(&r.compress().to_bytes()));
            let (key, message, signature) = with_small_r(a, EIGHT_TORSION[1], r);
            let other = VerifyingKey::from_bytes(&key.to_bytes()).unwrap();
            let parsed = Signature::from_bytes(&signature);
            assert!(
                other.verify(&[message], &parsed).is_ok(),
                "the equation holds"
            );
            assert!(other.verify_strict(&[message], &parsed).is_err());
            assert!(!key.verifies(&[message], &signature));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]
        #[test]
        fn strictly_as_the_library_verifies(
            seed: [u8; 32], message: Vec<u8>, place in 0..64_usize, change in prop_oneof![Just(0), any::<u8>()], r in 0..16_usize,
        ) {
            let signer = ed25519_dalek::SigningKey::from_bytes(&seed);
            let mut signature = signer.sign(&message).to_bytes();
            signature[place] ^= change;
            if let Some(small) = EIGHT_TORSION.get(r) {
                signature[..32].copy_from_slice(&small.compress().to_bytes());
            }
            let strictly = signer.verifying_key().verify_strict(&message, &Signature::from_bytes(&signature));
            let found = PublicKey::from(&signer).verifies(&message, &signature);
            prop_assert_eq!(found, strictly.is_ok());
            prop_assert_eq!(found, change == 0 && r >= 8);
        }

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
