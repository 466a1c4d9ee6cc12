//! `decision`: a resident's refusal, signed and kept on the own device. It is never logged.
//!
//! Its commitment joins those of the next clips, so its maker can prove that it was made by then,
//! and nobody can tell it from a clip.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::digest::StatementId;
use crate::statement::facts::{Change, Facts};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::Entry;
use crate::statement::words::codes;

/// What a resident decided on a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The `access-request` decided on.
    pub request: StatementId,
    /// What was decided.
    pub decision: Answer,
}

codes! {
    /// The answer; consent is a `disclosure`.
    Answer {
        Denied = "denied",
    }
}

impl Kind for Decision {
    const NAME: &'static str = "decision";

    fn judge<F: Facts>(&self, _entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        Err(Refusal::new(
            Reason::UnknownType,
            "/type",
            "decisions stay on their maker's device: the log never holds one",
        )
        .into())
    }

    fn plain(&self, _who: &str) -> String {
        format!(
            "The resident denies request {}.",
            super::disclosure::short(&self.request)
        )
    }

    fn example() -> Self {
        Self {
            request: StatementId::from_bytes([12; 32]),
            decision: Answer::Denied,
        }
    }
}
