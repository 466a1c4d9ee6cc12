//! Whom a file key may be wrapped for: native age recipients, `age1…`
//! ([age, section "X25519"](https://c2sp.org/age#the-x25519-recipient-type)).
//!
//! Recipients come out of the log, so a stranger chooses them. The age library panics when it
//! wraps for a point of low order; such points, and second spellings, are refused here.

use std::fmt;
use std::str::FromStr;

use age::Identity as _;
use age::x25519;
use age_core::format::Stanza;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::encoding::{base64, exact};
use crate::seal::{Identity, keys};

/// Why a text is no recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    #[error("not a native age recipient (`age1…`, lower case)")]
    Text,
    #[error("not the canonical encoding of its X25519 point")]
    NotCanonical,
    #[error("an X25519 point of low order: everybody could open what is wrapped for it")]
    LowOrder,
}

/// A native age X25519 recipient that is safe to wrap for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Recipient(x25519::Recipient);

impl Recipient {
    /// The recipient whose files `identity` opens.
    pub fn of(identity: &Identity) -> Self {
        // A clamped scalar times the base point is never of low order.
        Self(identity.to_public())
    }

    pub(super) fn as_age(&self) -> &x25519::Recipient {
        &self.0
    }
}

impl Ord for Recipient {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.to_string().cmp(&other.to_string())
    }
}

impl PartialOrd for Recipient {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        let recipient: x25519::Recipient = text.parse().map_err(|_| RecipientError::Text)?;
        if recipient.to_string() != text {
            return Err(RecipientError::Text);
        }
        let (_, point) = bech32::decode(text).map_err(|_| RecipientError::Text)?;
        let point: [u8; 32] = exact(&point).map_err(|_| RecipientError::Text)?;
        if !is_canonical(&point) {
            return Err(RecipientError::NotCanonical);
        }
        if is_low_order(&point) {
            return Err(RecipientError::LowOrder);
        }
        Ok(Self(recipient))
    }
}

/// Whether the little-endian number is below 2²⁵⁵ − 19.
fn is_canonical(point: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = point;
    *high < 0x7f || (*high == 0x7f && (*low < 0xed || middle.iter().any(|b| *b != 0xff)))
}

/// Whether a key agreement with the point yields zero, whatever the other key.
///
/// The age library tells by what it makes of a stanza with the point as its share: an invalid
/// header if the agreement yields zero, a stanza for somebody else otherwise.
fn is_low_order(point: &[u8; 32]) -> bool {
    let probe = Stanza {
        tag: "X25519".into(),
        args: vec![base64(point).trim_end_matches('=').into()],
        body: vec![0; 32],
    };
    keys::identity_from(&[1; 32])
        .unwrap_stanza(&probe)
        .is_some()
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

crate::encoding::serde_as_text!(Recipient);

impl JsonSchema for Recipient {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Recipient".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^age1[02-9ac-hj-np-z]{58}$",
            "description": "A native age X25519 recipient."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bech32::{Bech32, Hrp};

    fn text_of(point: [u8; 32]) -> String {
        bech32::encode_lower::<Bech32>(Hrp::parse("age").unwrap(), &point).unwrap()
    }

    fn error_of(point: &str) -> Option<RecipientError> {
        let point = exact(&crate::encoding::from_hex(point).unwrap()).unwrap();
        text_of(point).parse::<Recipient>().err()
    }

    #[test]
    fn one_spelling_is_read() {
        let text = Recipient::of(&Identity::generate()).to_string();
        let recipient: Recipient = text.parse().unwrap();
        assert_eq!(recipient.to_string(), text);
        assert_eq!(
            serde_json::from_value::<Recipient>(serde_json::to_value(&recipient).unwrap()).unwrap(),
            recipient
        );
        for other in [text.to_uppercase(), format!("{text} "), String::new()] {
            assert_eq!(other.parse::<Recipient>(), Err(RecipientError::Text));
        }
    }

    /// The points of small order on the curve and its twist (RFC 7748, section 6.1, wants the
    /// agreement with them refused).
    #[test]
    fn points_of_low_order_are_refused() {
        for point in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            assert_eq!(error_of(point), Some(RecipientError::LowOrder), "{point}");
        }
    }

    #[test]
    fn second_encodings_of_a_point_are_refused() {
        for point in [
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0900000000000000000000000000000000000000000000000000000000000080",
        ] {
            assert_eq!(
                error_of(point),
                Some(RecipientError::NotCanonical),
                "{point}"
            );
        }
        let base = "0900000000000000000000000000000000000000000000000000000000000000";
        assert_eq!(error_of(base), None);
    }
}
