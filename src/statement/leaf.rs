//! Leaves of the log: an envelope and the minute at which it was sequenced.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::Envelope;
use super::refusal::{Reason, Refusal};
use crate::time::Time;

/// The largest leaf, in bytes: entries are length-prefixed with 16 bits.
pub const MAX_LEAF: usize = 65_535;

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
