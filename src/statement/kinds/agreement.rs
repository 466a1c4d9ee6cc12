//! `agreement`: what a vendor or the operator and an agency agreed, or that they agreed nothing.
//!
//! A chain of statements: proposed → in-force | declined, in-force ⇄ suspended, → terminated;
//! `previous` names the last of the chain. What binds is signed by all parties; declining,
//! suspending and ending need one of them, or an agency could be held to a deal it wants to leave.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::access_request::unseen_digests;
use crate::digest::StatementId;
use crate::statement::Author;
use crate::statement::facts::{AgreementFact, Change, Fact, FactKey, Facts, FactsExt};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Day, Label, Money, PartyId, Role, codes};
use crate::tlog::tree::LeafIndex;

/// An agreement, or the next step of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    pub instrument: Instrument,
    pub status: Status,
    /// The last statement of this chain so far; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<StatementId>,
    /// The instrument itself, an attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<SealDigest>,
    /// At most 64. Empty for `none`, and where one party declines, suspends or ends.
    pub terms: Vec<Term>,
    /// The parties declare that there are no side agreements.
    pub complete: bool,
    /// When it took effect in life, if that was earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_on: Option<Day>,
    /// Why it was declined, suspended or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
}

codes! {
    /// The form of an agreement.
    Instrument {
        Contract = "contract",
        MemorandumOfUnderstanding = "memorandum-of-understanding",
        /// The parties declare that there is no agreement between them.
        None = "none",
        OnlineForm = "online-form",
    }
}

codes! {
    /// Where an agreement stands.
    Status {
        Declined = "declined",
        InForce = "in-force",
        Proposed = "proposed",
        Suspended = "suspended",
        Terminated = "terminated",
    }
}

codes! {
    /// Why an agreement was declined, suspended or ended.
    EndReason {
        Breach = "breach",
        CouncilVote = "council-vote",
        Expired = "expired",
        LegalReview = "legal-review",
        PolicyChange = "policy-change",
        WillNotPromoteABrand = "will-not-promote-a-brand",
    }
}

/// What one party owes another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Term {
    /// Things given.
    Equipment {
        giver: PartyId,
        receiver: PartyId,
        item: Label,
        count: u32,
    },
    /// Credit for each download of an app in the receiver's area.
    CreditPerDownload {
        giver: PartyId,
        receiver: PartyId,
        amount: Money,
        /// What alone the credit buys.
        usable_for: Label,
    },
    /// A person whom a party appoints.
    Role { party: PartyId, role: Label },
    /// What a party must not tell.
    Confidentiality { bound: PartyId, about: Label },
    /// A party promotes a product or an app.
    Promotion { bound: PartyId, product: Label },
}

impl Term {
    fn parties(&self) -> Vec<&PartyId> {
        match self {
            Self::Equipment {
                giver, receiver, ..
            }
            | Self::CreditPerDownload {
                giver, receiver, ..
            } => vec![giver, receiver],
            Self::Role { party, .. } => vec![party],
            Self::Confidentiality { bound, .. } | Self::Promotion { bound, .. } => vec![bound],
        }
    }

    /// The term in plain words.
    pub fn plain(&self) -> String {
        match self {
            Self::Equipment {
                giver,
                receiver,
                item,
                count,
            } => {
                format!("{giver} gives {receiver} {count} × {item}")
            }
            Self::CreditPerDownload {
                giver,
                receiver,
                amount,
                usable_for,
            } => format!(
                "{giver} credits {receiver} {amount} for each download of its app, usable only for {usable_for}"
            ),
            Self::Role { party, role } => format!("{party} appoints a {role}"),
            Self::Confidentiality { bound, about } => {
                format!("{bound} keeps secret: {about}")
            }
            Self::Promotion { bound, product } => format!("{bound} promotes {product}"),
        }
    }
}

impl Status {
    /// Whether a chain may go from `self` to `next`.
    fn may_become(self, next: Self) -> bool {
        use Status::*;
        matches!(
            (self, next),
            (Proposed, Proposed | InForce | Declined)
                | (InForce, InForce | Suspended | Terminated)
                | (Suspended, InForce | Terminated)
        )
    }

    /// Whether one party alone may declare it.
    fn is_one_sided(self) -> bool {
        matches!(self, Self::Declined | Self::Suspended | Self::Terminated)
    }
}

impl Kind for Agreement {
    const NAME: &'static str = "agreement";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let previous = match &self.previous {
            None => None,
            Some(id) => Some(entry.refer("/previous", id, "agreement", F::agreement)?),
        };
        self.check_form()?;
        let parties = self.check_author(entry, previous.as_ref().map(|(_, fact)| fact))?;
        let first = self.check_succession(entry, previous.as_ref(), &parties)?;
        for (i, term) in self.terms.iter().enumerate() {
            if let Some(stranger) = term.parties().into_iter().find(|p| !parties.contains(p)) {
                return Err(Refusal::new(
                    Reason::BadValue,
                    format!("/terms/{i}"),
                    format!("{stranger} is no party to this agreement"),
                )
                .into());
            }
        }
        let mut change = unseen_digests(entry, self.attachments())?;
        change.extend([
            (
                FactKey::Agreement(entry.index),
                Fact::Agreement(AgreementFact {
                    first,
                    parties,
                    status: self.status,
                }),
            ),
            (
                FactKey::AgreementHead(first),
                Fact::AgreementHead(entry.index),
            ),
        ]);
        Ok(change)
    }

    fn plain(&self, who: &str) -> String {
        if self.instrument == Instrument::None && self.status == Status::InForce {
            return format!("{who} declare that there is no agreement between them.");
        }
        let what = match self.instrument {
            Instrument::Contract => "a contract",
            Instrument::MemorandumOfUnderstanding => "a memorandum of understanding",
            Instrument::OnlineForm => "an online form",
            Instrument::None => "the declaration that there is none",
        };
        let mut text = format!("{who}: agreement ({what}) {}", self.status);
        if let Some(reason) = self.reason {
            text.push_str(&format!(", because: {reason}"));
        }
        if !self.terms.is_empty() {
            let terms: Vec<String> = self.terms.iter().map(Term::plain).collect();
            text.push_str(&format!("; {}", terms.join("; ")));
        }
        if !self.complete {
            text.push_str("; side agreements are NOT ruled out");
        }
        text.push('.');
        text
    }

    fn attachments(&self) -> Vec<(String, SealDigest)> {
        self.document
            .into_iter()
            .map(|d| ("/document".to_owned(), d))
            .collect()
    }

    fn example() -> Self {
        let vendor: PartyId = "doorbell.example".parse().expect("a host name");
        let agency: PartyId = "lakelandgov.example".parse().expect("a host name");
        Self {
            instrument: Instrument::MemorandumOfUnderstanding,
            status: Status::InForce,
            previous: None,
            document: None,
            terms: vec![
                Term::Equipment {
                    giver: vendor.clone(),
                    receiver: agency.clone(),
                    item: "doorbell-camera".parse().expect("a label"),
                    count: 15,
                },
                Term::Confidentiality {
                    bound: agency,
                    about: "program-terms".parse().expect("a label"),
                },
            ],
            complete: true,
            effective_on: Some("2018-12-13".parse().expect("a day")),
            reason: None,
        }
    }
}

impl Agreement {
    fn check_form(&self) -> Result<(), Refusal> {
        let refuse = |member, detail| Err(Refusal::new(Reason::BadValue, member, detail));
        if self.terms.len() > 64 {
            return refuse("/terms", "at most 64 terms");
        }
        let bare = self.instrument == Instrument::None || self.status.is_one_sided();
        if bare && !self.terms.is_empty() {
            return refuse("/terms", "no terms stand in this step");
        }
        if self.status.is_one_sided() != self.reason.is_some() {
            return refuse(
                "/reason",
                "where an agreement is declined, suspended or ended, and only there",
            );
        }
        Ok(())
    }

    /// Who signs, by status; the parties to the agreement.
    fn check_author<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        previous: Option<&AgreementFact>,
    ) -> Result<Vec<PartyId>, Verdict<F::Error>> {
        match (&entry.signed.head.author, previous) {
            (Author::Parties(parties), _) => {
                let mut signatures = entry.signatures();
                for party in parties {
                    signatures.party(party, &[Role::Admin])?;
                }
                signatures.none_besides()?;
                Ok(parties.clone())
            }
            (Author::Issuer(party), Some(previous)) if self.status.is_one_sided() => {
                if !previous.parties.contains(party) {
                    return Err(wrong_author("a party to the agreement").into());
                }
                entry.signed_by_party(party, &[Role::Admin])?;
                Ok(previous.parties.clone())
            }
            _ => Err(Refusal::new(
                Reason::WrongAuthor,
                "/parties",
                "all parties speak; one of them may decline, suspend or end",
            )
            .into()),
        }
    }

    /// Whether the chain may take this step; the index of its first statement.
    fn check_succession<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        previous: Option<&(LeafIndex, AgreementFact)>,
        parties: &[PartyId],
    ) -> Result<LeafIndex, Verdict<F::Error>> {
        let refuse = |member, detail: String| {
            Err(Refusal::new(Reason::NotInSuccession, member, detail).into())
        };
        let Some((index, previous)) = previous else {
            return match self.status {
                Status::Proposed | Status::InForce => Ok(entry.index),
                status => refuse("/status", format!("no agreement begins as {status}")),
            };
        };
        if previous.parties != parties {
            return Err(Refusal::new(
                Reason::WrongReference,
                "/previous",
                "that agreement is between others",
            )
            .into());
        }
        let head = entry
            .facts
            .agreement_head(&previous.first)
            .map_err(Verdict::Facts)?;
        if head != Some(*index) {
            return refuse(
                "/previous",
                "another statement of this agreement came between".to_owned(),
            );
        }
        if !previous.status.may_become(self.status) {
            return refuse(
                "/status",
                format!(
                    "an agreement that is {} cannot become {}",
                    previous.status, self.status
                ),
            );
        }
        Ok(previous.first)
    }
}
