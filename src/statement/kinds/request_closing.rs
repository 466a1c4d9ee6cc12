//! `request-closing`: an agency takes no more answers to its request.
//!
//! `answered`: it has what it needs, and still collects what was given. `withdrawn`: it should not
//! have asked, or need not any more: what was given and not collected stays where it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::disclosure::short;
use crate::digest::StatementId;
use crate::statement::facts::{Change, Fact, FactKey, Facts, FactsExt};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::words::{Role, codes};

/// The end of a request before its deadline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestClosing {
    /// The agency's own `access-request`.
    pub request: StatementId,
    /// What becomes of what was given for it.
    pub outcome: ClosingOutcome,
}

codes! {
    /// Why a request is closed.
    ClosingOutcome {
        /// What was given is still collected.
        Answered = "answered",
        /// Nothing is collected any more.
        Withdrawn = "withdrawn",
    }
}

impl Kind for RequestClosing {
    const NAME: &'static str = "request-closing";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let agency = entry.issuer()?;
        entry.signed_by_party(agency, &[Role::Officer])?;
        let (index, mut request) =
            entry.refer("/request", &self.request, "access-request", F::request)?;
        if request.agency != *agency {
            return Err(wrong_author("the agency that asked").into());
        }
        if let Some(at) = request.closed {
            let detail = format!("entry {at} closed it");
            return Err(Refusal::new(Reason::RequestClosed, "/request", detail).into());
        }
        request.closed = Some(entry.index);
        request.withdrawn = self.outcome == ClosingOutcome::Withdrawn;
        let mut change = Vec::new();
        let case = request.case();
        if let Some(mut fact) = entry.facts.case(&case).map_err(Verdict::Facts)? {
            // It is not open any more; the minutes it asked for were asked for.
            let open = &mut fact.open_until;
            if let Some(at) = open.iter().position(|until| *until == request.deadline) {
                open.remove(at);
            }
            change.push((FactKey::Case(case), Fact::Case(fact)));
        }
        change.push((FactKey::Request(index), Fact::Request(request)));
        Ok(change)
    }

    fn plain(&self, who: &str) -> String {
        let request = short(&self.request);
        match self.outcome {
            ClosingOutcome::Answered => {
                format!("{who} takes no more answers to request {request}.")
            }
            ClosingOutcome::Withdrawn => {
                format!("{who} withdraws request {request}, and collects nothing more for it.")
            }
        }
    }

    fn example() -> Self {
        Self {
            request: StatementId::from_bytes([6; 32]),
            outcome: ClosingOutcome::Answered,
        }
    }
}
