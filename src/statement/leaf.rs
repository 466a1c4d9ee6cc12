//! Leaves of the log: an envelope and the minute at which it was sequenced.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::Envelope;
use super::refusal::{Reason, Refusal};
use crate::time::Time;

/// The largest leaf, in bytes: entries are length-prefixed with 16 bits.
pub const MAX_LEAF: usize = 65_535;

/// The bytes of a time.
const TIME: usize = "2019-07-31T14:05:00Z".len();

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// UTC, cut to the minute.
    pub logged_at: Time,
    pub envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    logged_at: Time,
    #[serde(borrow)]
    statement: &'a RawValue,
}

#[derive(Serialize)]
struct Written<'a> {
    logged_at: Time,
    statement: &'a RawValue,
}

impl Leaf {
    /// The RFC 8785 bytes of the leaf.
    pub fn to_bytes(&self) -> Vec<u8> {
        let envelope = String::from_utf8(self.envelope.to_json()).expect("JSON is UTF-8");
        let statement = RawValue::from_string(envelope).expect("an envelope is JSON");
        serde_json::to_vec(&Written {
            logged_at: self.logged_at,
            statement: &statement,
        })
        .expect("strings serialise")
    }

    /// Reads what [`Leaf::to_bytes`] writes, or nothing.
    fn read_canonical(bytes: &[u8]) -> Option<Self> {
        let (time, rest) = bytes
            .strip_prefix(b"{\"logged_at\":\"")?
            .split_at_checked(TIME)?;
        let statement = rest.strip_prefix(b"\",\"statement\":")?;
        let logged_at: Time = std::str::from_utf8(time).ok()?.parse().ok()?;
        let envelope = Envelope::read_canonical(statement.strip_suffix(b"}")?)?;
        (logged_at == logged_at.cut_to_minute()).then_some(Self {
            logged_at,
            envelope,
        })
    }

    /// Parses a leaf; only its canonical bytes are accepted.
    ///
    /// # Errors
    /// A [`Refusal`] of class `Form`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_LEAF {
            return Err(Refusal::new(
                Reason::TooLarge,
                "",
                "a leaf has at most 65,535 bytes",
            ));
        }
        if let Some(leaf) = Self::read_canonical(bytes) {
            return Ok(leaf);
        }
        let wire: Wire<'_> = serde_json::from_slice(bytes)
            .map_err(|e| Refusal::new(Reason::NotJson, "", e.to_string()))?;
        if wire.logged_at != wire.logged_at.cut_to_minute() {
            return Err(Refusal::new(
                Reason::WrongTime,
                "/logged_at",
                "the time of logging is cut to the minute",
            ));
        }
        let leaf = Self {
            logged_at: wire.logged_at,
            envelope: Envelope::parse(wire.statement.get().as_bytes())?,
        };
        if leaf.to_bytes() != bytes {
            return Err(Refusal::new(
                Reason::NotCanonical,
                "",
                "the leaf differs from its RFC 8785 form",
            ));
        }
        Ok(leaf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::canonical;
    use crate::statement::envelope::{MAX_ENVELOPE, MAX_PAYLOAD};
    use crate::statement::testing::{Stage, World, key};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn leaf() -> Leaf {
        let world = World::at(Stage::Operator);
        Leaf {
            logged_at: world.now,
            envelope: world.history[0].1.envelope.clone(),
        }
    }

    fn reason(text: &str) -> Reason {
        Leaf::parse(text.as_bytes()).unwrap_err().reason
    }

    #[test]
    fn leaves_of_a_journey_are_canonical_and_read_back() {
        for (logged_at, signed) in World::at(Stage::Collection).history {
            let envelope = signed.envelope;
            let leaf = Leaf {
                logged_at,
                envelope,
            };
            let bytes = leaf.to_bytes();
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(canonical::to_vec(&value), bytes);
            assert_eq!(Leaf::parse(&bytes), Ok(leaf));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let text = String::from_utf8(leaf().to_bytes()).unwrap();
        for other in [
            text.replacen(':', ": ", 1),
            format!("{text}\n"),
            text.replacen("\"statement\":{", "\"statement\": {", 1),
            text.replacen("\"signatures\":[", "\"signatures\":[ ", 1),
            text.replacen("\"payloadType\":\"a", "\"payloadType\":\"\\u0061", 1),
        ] {
            assert_ne!(other, text);
            assert_eq!(reason(&other), Reason::NotCanonical, "{other}");
        }
        let value: Value = serde_json::from_str(&text).unwrap();
        let (time, statement) = (&value["logged_at"], &value["statement"]);
        for other in [
            format!("{{\"statement\":{statement},\"logged_at\":{time}}}"),
            json!([time, statement]).to_string(),
        ] {
            assert_eq!(reason(&other), Reason::NotCanonical, "{other}");
        }
        for other in [
            "".to_owned(),
            "{}".to_owned(),
            text.replacen('{', "{\"index\":0,", 1),
            text.replacen('{', "{\"logged_at\":\"2019-07-01T10:00:00Z\",", 1),
            text.replacen(":00Z", ":00+00:00", 1),
            format!("{text}{text}"),
            "{\"logged_at\":".repeat(4000),
        ] {
            assert_eq!(reason(&other), Reason::NotJson, "{other}");
        }
    }

    #[test]
    fn the_time_of_logging_is_cut_to_the_minute() {
        let mut leaf = leaf();
        leaf.logged_at = leaf.logged_at.plus_seconds(1);
        let refusal = Leaf::parse(&leaf.to_bytes()).unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.member.as_str()),
            (Reason::WrongTime, "/logged_at")
        );
    }

    #[test]
    fn every_envelope_fits_into_a_leaf() {
        let keys: Vec<_> = (0..160).map(|n| key(&n.to_string())).collect();
        let mut envelope =
            Envelope::sign(vec![b'x'; MAX_PAYLOAD], &keys.iter().collect::<Vec<_>>());
        while Envelope::parse(&envelope.to_json()).is_err() {
            envelope.signatures.pop();
        }
        assert!(envelope.to_json().len() > MAX_ENVELOPE - 200);
        let leaf = Leaf { envelope, ..leaf() };
        let overhead = leaf.to_bytes().len() - leaf.envelope.to_json().len();
        assert!(MAX_ENVELOPE + overhead <= MAX_LEAF);
        assert_eq!(Leaf::parse(&leaf.to_bytes()), Ok(leaf));
        assert_eq!(reason(&" ".repeat(MAX_LEAF + 1)), Reason::TooLarge);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_byte_altered_is_another_leaf_or_none(
            at in any::<prop::sample::Index>(), flip in 1..=u8::MAX,
        ) {
            let mut bytes = leaf_bytes();
            let place = at.index(bytes.len());
            bytes[place] ^= flip;
            if let Ok(other) = Leaf::parse(&bytes) {
                prop_assert_eq!(other.to_bytes(), bytes);
            }
        }
    }

    fn leaf_bytes() -> Vec<u8> {
        static BYTES: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| leaf().to_bytes());
        BYTES.clone()
    }
}
