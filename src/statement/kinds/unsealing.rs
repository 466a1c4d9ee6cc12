//! `unsealing`: a sealed field is opened.
//!
//! The opening is published as an attachment, so that it can be erased and the log still proves.
//! Whether it fits the field is for readers to see: one that does not is *misopened*, a finding.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::statement::facts::{Change, DigestFact, Facts, SealFact};
use crate::statement::refusal::Verdict;
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{PartyId, Role};

/// The opening of a sealed field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unsealing {
    /// The digest of the sealed field.
    pub seal: SealDigest,
    /// An attachment of type `text/plain`: the opening, whose SHA-256 the digest is.
    pub opening: SealDigest,
}

impl Kind for Unsealing {
    const NAME: &'static str = "unsealing";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let issuer = entry.issuer()?;
        entry.signed_by_party(issuer, &[Role::Admin, Role::Officer])?;
        let (fact, seal) = entry.closed_seal("/seal", &self.seal)?;
        if *issuer != entry.operator()? && !answers_for(entry, issuer, &seal.party)? {
            let detail = format!("{}, its successor, or the operator", seal.party);
            return Err(wrong_author(detail).into());
        }
        let mut change = entry.enter_attachments(self.attachments())?;
        let after = DigestFact {
            seal: Some(SealFact {
                opened: Some(entry.index),
                ..seal.clone()
            }),
            ..fact
        };
        change.extend(entry.change_seal(self.seal, &seal, after)?);
        Ok(change)
    }

    fn plain(&self, who: &str) -> String {
        format!("{who} opens the sealed field {}.", self.seal)
    }

    fn attachments(&self) -> Vec<(String, SealDigest)> {
        vec![("/opening".to_owned(), self.opening)]
    }

    fn example() -> Self {
        Self {
            seal: SealDigest::from_bytes([4; 32]),
            opening: SealDigest::from_bytes([13; 32]),
        }
    }
}

/// Whether `issuer` is `party`, or has taken over from it, if by way of others.
fn answers_for<F: Facts>(
    entry: &Entry<'_, F>,
    issuer: &PartyId,
    party: &PartyId,
) -> Result<bool, Verdict<F::Error>> {
    Ok(issuer == party || entry.predecessors(issuer)?.contains(party))
}
