//! `collection`: an agency takes what a disclosure gives; logged before anything is handed over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::digest::StatementId;
use crate::statement::facts::{Change, Fact, FactKey, Facts, FactsExt};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::words::{Label, Role};

/// A disclosure being taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// The `disclosure` that is taken.
    pub disclosure: StatementId,
    /// Who takes it: the signing officer's label.
    pub label: Label,
}

impl Kind for Collection {
    const NAME: &'static str = "collection";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let agency = entry.issuer()?;
        let officer = entry.signed_by_party(agency, &[Role::Officer])?;
        let (index, mut disclosure) =
            entry.refer("/disclosure", &self.disclosure, "disclosure", F::disclosure)?;
        let Some(request) = &disclosure.request else {
            let detail = "it gives to the public: nothing is collected, whoever likes fetches it";
            return Err(Refusal::new(Reason::WrongReference, "/disclosure", detail).into());
        };
        let request = entry
            .facts
            .request(request)
            .map_err(Verdict::Facts)?
            .expect("a disclosure is admitted for a request");
        if request.agency != *agency {
            return Err(wrong_author("the agency that asked").into());
        }
        let key = entry.facts.key(&officer).map_err(Verdict::Facts)?;
        if key.and_then(|key| key.label).as_ref() != Some(&self.label) {
            return Err(Refusal::new(
                Reason::BadValue,
                "/label",
                "the label under which the signing key was registered",
            )
            .into());
        }
        entry.in_standing("/issuer", agency)?;
        let refuse =
            |reason, detail: String| Err(Refusal::new(reason, "/disclosure", detail).into());
        if let (true, Some(at)) = (request.withdrawn, request.closed) {
            return refuse(
                Reason::RequestClosed,
                format!("entry {at} withdrew the request"),
            );
        }
        if let Some(at) = disclosure.withdrawn {
            return refuse(Reason::Withdrawn, format!("withdrawn by entry {at}"));
        }
        if let Some(at) = disclosure.collected {
            return refuse(Reason::AlreadyCollected, format!("collected by entry {at}"));
        }
        if entry.logged_at >= disclosure.expires {
            return refuse(
                Reason::Expired,
                format!("it was open until {}", disclosure.expires),
            );
        }
        disclosure.collected = Some(entry.index);
        Ok(vec![(
            FactKey::Disclosure(index),
            Fact::Disclosure(disclosure),
        )])
    }

    fn plain(&self, who: &str) -> String {
        format!(
            "{who} collects disclosure {} (label {}).",
            super::disclosure::short(&self.disclosure),
            self.label
        )
    }

    fn example() -> Self {
        Self {
            disclosure: StatementId::from_bytes([11; 32]),
            label: "detective-4".parse().expect("a label"),
        }
    }
}
