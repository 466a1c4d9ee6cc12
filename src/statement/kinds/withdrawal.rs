//! `withdrawal`: a resident takes a disclosure back, by the same one-time key.
//!
//! Possible until the collection is logged; the order in the log decides the race. What was given to
//! the public is not served from then on; the copies that were made stay where they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::digest::StatementId;
use crate::statement::facts::{Change, Fact, FactKey, Facts, FactsExt};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::Entry;

/// A disclosure taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// The `disclosure` taken back, by the key that signed it.
    pub disclosure: StatementId,
}

impl Kind for Withdrawal {
    const NAME: &'static str = "withdrawal";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let key = entry.signed_by_one_time_key()?;
        let (index, mut disclosure) =
            entry.refer("/disclosure", &self.disclosure, "disclosure", F::disclosure)?;
        if disclosure.key != key {
            return Err(Refusal::new(
                Reason::WrongAuthor,
                "/issuer_key",
                "the key that signed the disclosure",
            )
            .into());
        }
        if disclosure.withdrawn.is_some() {
            return Err(
                Refusal::new(Reason::Withdrawn, "/disclosure", "it is withdrawn already").into(),
            );
        }
        if disclosure.collected.is_some() {
            return Err(Refusal::new(
                Reason::AlreadyCollected,
                "/disclosure",
                "the collection was logged first",
            )
            .into());
        }
        disclosure.withdrawn = Some(entry.index);
        Ok(vec![(
            FactKey::Disclosure(index),
            Fact::Disclosure(disclosure),
        )])
    }

    fn plain(&self, _who: &str) -> String {
        format!(
            "The resident takes disclosure {} back.",
            super::disclosure::short(&self.disclosure)
        )
    }

    fn example() -> Self {
        Self {
            disclosure: StatementId::from_bytes([10; 32]),
        }
    }
}
