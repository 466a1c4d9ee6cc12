//! `erasure`: the bytes of an attachment, or what opens a sealed field, are destroyed.
//!
//! The digest stays, so every proof still holds. An erased seal is due at once, and can be opened
//! still by whoever kept its opening: destroying it is no way out, unless a court ordered it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::digest::StatementId;
use crate::statement::Author;
use crate::statement::facts::{Change, DigestFact, Fact, FactKey, Facts, FactsExt, SealFact};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Day, PartyId, Role, codes};

/// Something destroyed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Erasure {
    /// The digest of the attachment or of the sealed field.
    pub digest: SealDigest,
    /// The legal basis.
    pub basis: ErasureBasis,
    /// A court's `legal-demand` that orders it; for `court-order` alone, and always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<StatementId>,
}

codes! {
    /// On what legal basis.
    ErasureBasis {
        CourtOrder = "court-order",
        /// Somebody's right to erasure (such as GDPR, article 17).
        DataSubject = "data-subject",
        RetentionEnded = "retention-ended",
        Unlawful = "unlawful",
    }
}

impl Kind for Erasure {
    const NAME: &'static str = "erasure";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let fact = entry.known_digest("/digest", &self.digest)?;
        self.check_author(entry, &fact)?;
        if let Some(at) = fact.erased {
            let detail = format!("erased by entry {at}");
            return Err(Refusal::new(Reason::Erased, "/digest", detail).into());
        }
        if let Some(at) = fact.seal.as_ref().and_then(|seal| seal.opened) {
            let detail =
                format!("entry {at} opened it: erase the attachment that holds the opening");
            return Err(Refusal::new(Reason::WrongReference, "/digest", detail).into());
        }
        let ordered = self.check_order(entry)?;
        let erased = DigestFact {
            erased: Some(entry.index),
            ..fact.clone()
        };
        match fact.seal {
            Some(seal) => {
                let after = SealFact {
                    open_by: seal.open_by.clone().min(Day::of(entry.logged_at)),
                    lifted: ordered,
                    ..seal.clone()
                };
                let erased = DigestFact {
                    seal: Some(after),
                    ..erased
                };
                entry.change_seal(self.digest, &seal, erased)
            }
            None => Ok(vec![(FactKey::Digest(self.digest), Fact::Digest(erased))]),
        }
    }

    fn plain(&self, who: &str) -> String {
        format!(
            "{who} destroyed what stands behind {}, because: {}.",
            self.digest, self.basis
        )
    }

    fn example() -> Self {
        Self {
            digest: SealDigest::from_bytes([3; 32]),
            basis: ErasureBasis::DataSubject,
            order: None,
        }
    }
}

impl Erasure {
    /// The operator alone; for the document of an agreement, all its parties too.
    fn check_author<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        fact: &DigestFact,
    ) -> Result<(), Verdict<F::Error>> {
        let operator = entry.operator()?;
        let agreement = entry.facts.agreement(&fact.entry).map_err(Verdict::Facts)?;
        let mut speakers: Vec<PartyId> = agreement.map_or(Vec::new(), |fact| fact.parties);
        speakers.push(operator.clone());
        speakers.sort_unstable();
        speakers.dedup();
        let expected = match speakers.len() {
            1 => Author::Issuer(operator.clone()),
            _ => Author::Parties(speakers.clone()),
        };
        if entry.signed.head.author != expected {
            let names: Vec<&str> = speakers.iter().map(PartyId::as_str).collect();
            return Err(wrong_author(names.join(" and ")).into());
        }
        let mut signatures = entry.signatures();
        for party in &speakers {
            signatures.party(party, &[Role::Admin])?;
        }
        Ok(signatures.none_besides()?)
    }

    /// Whether a court ordered it.
    fn check_order<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<bool, Verdict<F::Error>> {
        let by_order = self.basis == ErasureBasis::CourtOrder;
        match &self.order {
            None if by_order => {
                let detail = "the court's order as it stands in the log";
                Err(Refusal::new(Reason::MissingMember, "/order", detail).into())
            }
            None => Ok(false),
            Some(_) if !by_order => {
                let detail = "for the basis court-order alone";
                Err(Refusal::new(Reason::BadValue, "/order", detail).into())
            }
            Some(order) => {
                let (index, demand) = entry.refer("/order", order, "legal-demand", F::demand)?;
                if demand.by_court {
                    return Ok(true);
                }
                let detail = format!("entry {index} is not a court's own");
                Err(Refusal::new(Reason::WrongReference, "/order", detail).into())
            }
        }
    }
}
