//! `commitment-batch`: the operator anchors what residents committed to since the last one.
//!
//! Logged once a batch period, empty or not: an RFC 9162 root over 32-byte commitments in ascending
//! order, filled with random ones to a power of two ≥ 64. The commitments themselves are public
//! bytes beside the log, so that no device need ask for its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::digest::Digest;
use crate::statement::facts::{BatchFact, Change, Fact, FactKey, Facts, FactsExt, Whole};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::words::Role;

/// The smallest and the largest batch.
pub const SIZES: std::ops::RangeInclusive<u32> = 64..=1 << 20;

/// A batch of commitments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitmentBatch {
    /// The Merkle tree hash (RFC 9162) over the commitments.
    pub root: Digest,
    /// How many there are, with the random ones: a power of two from 64 to 2²⁰.
    pub size: u32,
}

impl Kind for CommitmentBatch {
    const NAME: &'static str = "commitment-batch";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let operator = entry.operator()?;
        if *entry.issuer()? != operator {
            return Err(wrong_author(format!("the operator, {operator}")).into());
        }
        entry.signed_by_party(&operator, &[Role::Officer])?;
        if !SIZES.contains(&self.size) || !self.size.is_power_of_two() {
            return Err(Refusal::new(
                Reason::BadValue,
                "/size",
                "a power of two from 64 to 1048576",
            )
            .into());
        }
        // Times of logging are cut to the minute: shorter periods cannot be told apart here.
        let period = i64::from((entry.limits()?.1.batch_seconds / 60).saturating_mul(60));
        let last = entry.facts.last_batch(&Whole).map_err(Verdict::Facts)?;
        if let Some(last) = last
            && entry.logged_at.seconds_since(last) < period
        {
            return Err(Refusal::new(
                Reason::TooSoon,
                "",
                format!("the last batch was logged at {last}"),
            )
            .into());
        }
        Ok(vec![
            (
                FactKey::Batch(entry.index),
                Fact::Batch(BatchFact {
                    root: self.root,
                    size: self.size,
                }),
            ),
            (FactKey::LastBatch(Whole), Fact::LastBatch(entry.logged_at)),
        ])
    }

    fn plain(&self, who: &str) -> String {
        format!(
            "{who} anchors {} commitments, random ones among them.",
            self.size
        )
    }

    fn example() -> Self {
        Self {
            root: Digest::from_bytes([5; 32]),
            size: 64,
        }
    }
}
