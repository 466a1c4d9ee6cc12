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

/// Appends standard base64 with padding to a text.
pub fn push_base64(text: &mut String, bytes: impl AsRef<[u8]>) {
    STANDARD.encode_string(bytes, text);
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

/// Whether a character steers a terminal, or turns what is written into what is not: controls, those
/// of writing directions, and what has no width.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A name with a character that people cannot see, and that makes it look like another name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {name} has the hidden character {}: write it without", code_point(.character))]
pub struct HiddenCharacter {
    /// With its hidden characters escaped.
    name: String,
    character: char,
}

/// A character as people look it up.
fn code_point(c: &char) -> String {
    format!("U+{:04X}", u32::from(*c))
}

/// Refuses a name with a hidden character. It is for names that somebody makes now: those in other people's
/// files and keys are read as they are, and shown by [`printable`].
///
/// # Errors
/// [`HiddenCharacter`], with the first one.
pub fn check_visible(name: &str) -> Result<(), HiddenCharacter> {
    match name.chars().find(|c| is_hidden(*c)) {
        None => Ok(()),
        Some(character) => Err(HiddenCharacter {
            name: printable(name),
            character,
        }),
    }
}

/// A text with its hidden characters escaped: what strangers wrote must not steer a terminal.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match is_hidden(c) {
            true => printable.extend(c.escape_default()),
            false => printable.push(c),
        }
    }
    printable
}

/// A text of several lines without its hidden characters.
pub fn printable_lines(text: &str) -> String {
    let shown = |c: &char| *c == '\n' || !is_hidden(*c);
    text.chars().filter(shown).collect()
}

/// What serde says is wrong with JSON: it names strangers' members and values as they wrote them.
pub fn json_error(error: &serde_json::Error) -> String {
    printable(&error.to_string())
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
    fn what_strangers_write_steers_no_terminal() {
        let written = "a\u{1b}[2J\r\u{9b}\u{202e}\u{2066}\u{61c}\u{200b}\u{feff}\u{e0041}\nb é 猫";
        let shown = printable(written);
        assert!(!shown.contains(is_hidden), "{shown:?}");
        assert!(
            shown.starts_with("a\\u{1b}[2J\\r\\u{9b}\\u{202e}"),
            "{shown}"
        );
        assert!(shown.ends_with("\\nb é 猫"), "{shown}");
        assert_eq!(printable_lines(written), "a[2J\nb é 猫");
    }

    #[test]
    fn a_name_with_a_hidden_character_is_refused_and_the_character_named() {
        assert_eq!(check_visible("redaktion-süd.example"), Ok(()));
        for (name, says) in [
            (
                "north\u{202e}",
                "north\\u{202e} has the hidden character U+202E",
            ),
            ("no\u{200b}rth", "U+200B"),
            ("\u{9b}north", "U+009B"),
        ] {
            let refused = check_visible(name).unwrap_err().to_string();
            assert!(refused.contains(says), "{refused}");
            assert!(!refused.contains(is_hidden), "{refused:?}");
        }
    }

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
