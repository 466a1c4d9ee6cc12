//! Messages of notices: age files of one size, each of which one owner alone can open.
//!
//! Whom a message is for stands nowhere, so every device tries every message. A message is a
//! standard [age v1](https://c2sp.org/age) file with exactly one X25519 stanza, and therefore of one
//! layout: a device looks for its share at fixed places, and a miss costs one key agreement and one
//! authentication of 32 bytes; what follows the header is not touched. What was found to be one's
//! own is opened by the age library, which checks everything anew.

use age_core::primitives::{aead_decrypt, hkdf};
use curve25519_dalek::MontgomeryPoint;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::seal::Identity;
use crate::seal::clip::OpenError;
use crate::seal::keys::identity_from;
use crate::seal::one_size::{self, Stanza};
use crate::seal::recipient::Recipient;

/// The longest text of a message, in bytes, before it is padded.
pub const MAX_PLAIN: usize = PADDED - 1;
/// The length of every message, in bytes.
pub const SIZE: usize = one_size::size(PADDED);

const PADDED: usize = 2048;
const STANZA_LABEL: &[u8] = b"age-encryption.org/v1/X25519";
const FILE_KEY: usize = 16;

/// A text that no message has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes, where a notice has room for {MAX_PLAIN}")]
pub struct TooLong(pub usize);

/// Seals a text for one owner; [`SIZE`] bytes, whatever the text.
///
/// # Errors
/// [`TooLong`] beyond [`MAX_PLAIN`] bytes.
pub fn seal(plain: Vec<u8>, recipient: &Recipient) -> Result<Vec<u8>, TooLong> {
    if plain.len() > MAX_PLAIN {
        return Err(TooLong(plain.len()));
    }
    Ok(one_size::seal(plain, PADDED, recipient))
}

/// What opens an owner's notices.
pub struct NoticeKey {
    scalar: Zeroizing<[u8; 32]>,
    /// The recipient's point: half of what each trial's key is bound to, worked out once.
    point: [u8; 32],
    identity: Identity,
}

impl NoticeKey {
    pub(super) fn new(scalar: Zeroizing<[u8; 32]>) -> Self {
        Self {
            point: MontgomeryPoint::mul_base_clamped(*scalar).to_bytes(),
            identity: identity_from(&scalar),
            scalar,
        }
    }

    /// Whom the operator seals notices for.
    pub fn recipient(&self) -> Recipient {
        Recipient::of(&self.identity)
    }

    /// Whether this key opens a message. Reads its header alone.
    pub fn is_for(&self, message: &[u8]) -> bool {
        self.unwrap(message).is_some()
    }

    /// The text of a message; `None` if it is for somebody else.
    ///
    /// # Errors
    /// If it is for this key and does not open, or is not padded as notices are.
    pub fn open(&self, message: &[u8]) -> Option<Result<Vec<u8>, OpenError>> {
        self.unwrap(message)?;
        Some(one_size::open(message, &self.identity).map(|plain| plain.to_vec()))
    }

    /// The wrapped key of a message, if it is wrapped for this one
    /// ([age, section "X25519"](https://c2sp.org/age#the-x25519-recipient-type)).
    fn unwrap(&self, message: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let Stanza { share, wrapped } = one_size::stanza(message)?;
        let agreed = Zeroizing::new(MontgomeryPoint(share).mul_clamped(*self.scalar).to_bytes());
        // A share of low order would make a message for everybody.
        if bool::from(agreed.ct_eq(&[0; 32])) {
            return None;
        }
        let mut salt = [0; 64];
        salt[..32].copy_from_slice(&share);
        salt[32..].copy_from_slice(&self.point);
        let key = Zeroizing::new(hkdf(&salt, STANZA_LABEL, &*agreed));
        let file_key = aead_decrypt(&key, FILE_KEY, &wrapped).ok()?;
        Some(Zeroizing::new(file_key))
    }
}

impl std::fmt::Debug for NoticeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NoticeKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encoding::base64;
    use crate::seal::one_size::HEADER;
    use crate::seal::padding::unpad;
    use crate::seal::rewrap::file_key;

    fn key(byte: u8) -> NoticeKey {
        NoticeKey::new(Zeroizing::new([byte; 32]))
    }

    fn sealed_for(key: &NoticeKey, text: &str) -> Vec<u8> {
        seal(text.as_bytes().to_vec(), &key.recipient()).unwrap()
    }

    #[test]
    fn its_owner_opens_it_and_nobody_else() {
        let (own, other) = (key(1), key(2));
        for text in ["", "told", &"x".repeat(MAX_PLAIN)] {
            let message = sealed_for(&own, text);
            assert_eq!(message.len(), SIZE, "one size");
            assert_eq!(own.open(&message).unwrap().unwrap(), text.as_bytes());
            assert!(own.is_for(&message) && !other.is_for(&message));
            assert!(other.open(&message).is_none());
            // It is a standard file: the age library opens it whole.
            let padded = age::decrypt(&own.identity, &message).unwrap();
            assert_eq!(unpad(padded).unwrap(), text.as_bytes());
        }
        let long = seal(vec![b'x'; MAX_PLAIN + 1], &own.recipient());
        assert_eq!(long, Err(TooLong(MAX_PLAIN + 1)));
    }

    #[test]
    fn what_was_altered_does_not_open() {
        let own = key(1);
        let message = sealed_for(&own, "told");
        for at in 0..message.len() {
            let mut altered = message.clone();
            altered[at] ^= 1;
            assert!(!matches!(own.open(&altered), Some(Ok(_))), "byte {at}");
        }
        for length in [0, HEADER - 1, HEADER, SIZE - 1] {
            assert!(!matches!(own.open(&message[..length]), Some(Ok(_))));
        }
        let longer = [&message[..], &[0]].concat();
        assert!(!matches!(own.open(&longer), Some(Ok(_))));
    }

    #[test]
    fn a_message_for_everybody_is_for_nobody() {
        // With a share of order 1 the agreed secret is zero for every key.
        let own = key(1);
        let mut salt = [0; 64];
        salt[32..].copy_from_slice(&own.point);
        let wrapping = hkdf(&salt, STANZA_LABEL, &[0; 32]);
        let wrapped = age_core::primitives::aead_encrypt(&wrapping, &[7; FILE_KEY]);
        let text = |bytes: &[u8]| base64(bytes).trim_end_matches('=').to_owned();
        let header = format!(
            "age-encryption.org/v1\n-> X25519 {}\n{}\n--- {}\n",
            text(&[0; 32]),
            text(&wrapped),
            text(&[0; 32])
        );
        assert_eq!(header.len(), HEADER);
        assert!(!own.is_for(header.as_bytes()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The trial and the age library agree on whose a header is.
        #[test]
        fn the_age_library_agrees(own: [u8; 32], other: [u8; 32], text: Vec<u8>) {
            let own = NoticeKey::new(Zeroizing::new(own));
            let other = NoticeKey::new(Zeroizing::new(other));
            for sealed_for in [&own, &other] {
                let message = seal(text.clone(), &sealed_for.recipient()).unwrap();
                for trying in [&own, &other] {
                    let age = file_key(&message[..HEADER], &trying.identity).is_ok();
                    prop_assert_eq!(trying.is_for(&message), age);
                }
            }
        }

        #[test]
        fn nothing_panics(bytes: Vec<u8>, at in 0..HEADER, byte: u8) {
            prop_assert!(key(1).open(&bytes).is_none());
            let mut message = sealed_for(&key(1), "told");
            message[at] = byte;
            let _ = key(1).open(&message);
        }
    }
}
