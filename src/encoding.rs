//! Strict text encodings: one text for one value, anything else is refused.
//!
//! Signed and hashed formats must not have two spellings of the same bytes. Standard base64 comes
//! padded (DSSE, C2SP notes), base64url unpadded (keys, SD-JWT), hexadecimal in lower case.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Why a text is not the one encoding of any value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    #[error("not padded standard base64 in its canonical form")]
    Base64,
    #[error("not unpadded base64url in its canonical form")]
    Base64Url,
    #[error("not lower-case hexadecimal")]
    Hex,
    #[error("{found} bytes, where {expected} are expected")]
    Length { found: usize, expected: usize },
}

/// Encodes as standard base64 with padding (RFC 4648, section 4).
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Decodes standard base64; missing padding and loose trailing bits are refused.
pub fn from_base64(text: &str) -> Result<Vec<u8>, EncodingError> {
    STANDARD.decode(text).map_err(|_| EncodingError::Base64)
}

/// Encodes as base64url without padding (RFC 4648, section 5).
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The digits of [`base64url`] of 32 bytes, where an allocation is too much.
pub fn base64url_digits(bytes: &[u8; 32]) -> [u8; 43] {
    let mut digits = [0; 43];
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut digits);
    assert_eq!(written, Ok(digits.len()), "32 bytes are 43 digits");
    digits
}

/// Decodes base64url; padding and loose trailing bits are refused.
pub fn from_base64url(text: &str) -> Result<Vec<u8>, EncodingError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| EncodingError::Base64Url)
}

/// A text with its control characters escaped: what strangers wrote must not steer a terminal.
pub fn printable(text: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Encodes as lower-case hexadecimal.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    ::hex::encode(bytes)
}

/// Decodes lower-case hexadecimal; upper case is refused.
pub fn from_hex(text: &str) -> Result<Vec<u8>, EncodingError> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(EncodingError::Hex);
    }
    ::hex::decode(text).map_err(|_| EncodingError::Hex)
}

/// Takes exactly `N` bytes.
pub fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], EncodingError> {
    bytes.try_into().map_err(|_| EncodingError::Length {
        found: bytes.len(),
        expected: N,
    })
}

/// Reads and writes a type with serde as its text: what `Display` writes and `FromStr` reads.
macro_rules! serde_as_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text =
                    <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use serde_as_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_spelling() {
        assert_eq!(from_base64("AQ=="), Ok(vec![1]));
        for other in ["AQ", "AR==", "AQ==\n", "AQ=", "_w=="] {
            assert_eq!(from_base64(other), Err(EncodingError::Base64), "{other:?}");
        }
        assert_eq!(from_base64url("_w"), Ok(vec![255]));
        for other in ["_w==", "_x", "/w"] {
            assert_eq!(
                from_base64url(other),
                Err(EncodingError::Base64Url),
                "{other:?}"
            );
        }
        assert_eq!(from_hex("0a"), Ok(vec![10]));
        for other in ["0A", "0", "0g"] {
            assert_eq!(from_hex(other), Err(EncodingError::Hex), "{other:?}");
        }
    }
}
