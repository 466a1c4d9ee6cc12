//! Whom a file key may be wrapped for: native age recipients, `age1…`
//! ([age, section "X25519"](https://c2sp.org/age#the-x25519-recipient-type)).
//!
//! Recipients come out of the log, so a stranger chooses them. The age library panics when it
//! wraps for a point of low order; such points, and second spellings, are refused here. So is the
//! recipient of [`public_identity`](super::keys::public_identity), which is nobody in particular:
//! what is for everybody says so in another way.

use std::fmt;
use std::str::FromStr;

use age::x25519;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::seal::Identity;

const HRP: Hrp = Hrp::parse_unchecked("age");
/// What a low-order point's canonical encodings are: of the orders 1, 2, 4 and 8, on the curve and
/// on its twist (RFC 7748, section 7).
const LOW_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    little_endian(1),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    // p - 1
    {
        let mut point = [0xff; 32];
        (point[0], point[31]) = (0xec, 0x7f);
        point
    },
];

/// The X25519 point of [`super::keys::public_identity`].
const PUBLIC: [u8; 32] = [
    0x72, 0xf4, 0x9d, 0xf4, 0xcd, 0x7c, 0xc5, 0x59, 0x0f, 0xa2, 0xf5, 0xd5, 0xaf, 0x95, 0x4b, 0x34,
    0x7a, 0x0f, 0x83, 0x64, 0x45, 0x9c, 0x6c, 0xf3, 0x61, 0x24, 0x3c, 0x38, 0xa5, 0x9f, 0x2c, 0x63,
];

const fn little_endian(number: u8) -> [u8; 32] {
    let mut point = [0; 32];
    point[0] = number;
    point
}

/// Why a text is no recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    #[error("not a native age recipient (`age1…`, lower case)")]
    Text,
    #[error("not the canonical encoding of its X25519 point")]
    NotCanonical,
    #[error("an X25519 point of low order: everybody could open what is wrapped for it")]
    LowOrder,
    #[error("the recipient whose identity is public: everybody could open what is wrapped for it")]
    Public,
}

/// A native age X25519 recipient that is safe to wrap for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient([u8; 32]);

impl Recipient {
    /// The recipient of what is for everybody.
    pub const PUBLIC: Self = Self(PUBLIC);

    /// The recipient whose files `identity` opens.
    pub fn of(identity: &Identity) -> Self {
        // A clamped scalar times the base point is never of low order.
        let text = identity.to_public().to_string();
        Self::read(&text).expect("age writes the one spelling")
    }

    pub(super) fn to_age(self) -> x25519::Recipient {
        self.to_string()
            .parse()
            .expect("age reads its own spelling")
    }
}

impl Recipient {
    fn read(text: &str) -> Result<Self, RecipientError> {
        let parsed = CheckedHrpstring::new::<Bech32>(text).map_err(|_| RecipientError::Text)?;
        let mut point = [0; 32];
        let mut bytes = parsed.byte_iter();
        if bytes.len() != point.len() {
            return Err(RecipientError::Text);
        }
        point.fill_with(|| bytes.next().unwrap_or_default());
        let recipient = Self(point);
        // Upper case, another prefix and loose trailing bits are other spellings.
        if recipient.to_string() != text {
            return Err(RecipientError::Text);
        }
        if !is_canonical(&point) {
            return Err(RecipientError::NotCanonical);
        }
        if LOW_ORDER.contains(&point) {
            return Err(RecipientError::LowOrder);
        }
        Ok(recipient)
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        match Self::read(text)? {
            Self::PUBLIC => Err(RecipientError::Public),
            recipient => Ok(recipient),
        }
    }
}

/// Whether the little-endian number is below 2²⁵⁵ − 19.
fn is_canonical(point: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = point;
    *high < 0x7f || (*high == 0x7f && (*low < 0xed || middle.iter().any(|b| *b != 0xff)))
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32, _>(f, HRP, &self.0).map_err(|_| fmt::Error)
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
    use crate::encoding::{base64, exact};
    use crate::seal::keys;
    use age::Identity as _;
    use age_core::format::Stanza;
    use proptest::prelude::*;

    fn text_of(point: [u8; 32]) -> String {
        Recipient(point).to_string()
    }

    /// What age makes of a stanza with the point as its share: an invalid header if the key
    /// agreement yields zero, a stanza for somebody else otherwise.
    fn is_low_order_to_age(point: &[u8; 32]) -> bool {
        let probe = Stanza {
            tag: "X25519".into(),
            args: vec![base64(point).trim_end_matches('=').into()],
            body: vec![0; 32],
        };
        keys::identity_from(&[1; 32])
            .unwrap_stanza(&probe)
            .is_some()
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
            serde_json::from_value::<Recipient>(serde_json::to_value(recipient).unwrap()).unwrap(),
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
        for point in LOW_ORDER {
            assert!(is_low_order_to_age(&point));
        }
    }

    proptest! {
        #[test]
        fn age_reads_what_is_read_and_nothing_else_of_its_points(point: [u8; 32]) {
            let text = text_of(point);
            match text.parse::<Recipient>() {
                Ok(recipient) => {
                    prop_assert!(!is_low_order_to_age(&point));
                    prop_assert_eq!(recipient.to_age().to_string(), text);
                }
                Err(error) => prop_assert_eq!(error, RecipientError::NotCanonical),
            }
        }
    }

    #[test]
    fn what_everybody_can_open_is_no_recipient_by_name() {
        let public = Recipient::of(&keys::public_identity());
        assert_eq!(public, Recipient::PUBLIC);
        let text = public.to_string();
        assert_eq!(text.parse::<Recipient>(), Err(RecipientError::Public));
        assert_eq!(public.to_age().to_string(), text);
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
