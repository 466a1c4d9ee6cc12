//! `agreement`: what a vendor or the operator and an agency agreed, or that they agreed nothing.
//!
//! A chain of statements: proposed → in-force | declined, in-force ⇄ suspended, → terminated;
//! `previous` names the last of the chain. What binds is signed by all parties; declining,
//! suspending and ending need one of them, or an agency could be held to a deal it wants to leave.
//! What is in force changes by differences, so that nobody need compare two texts to see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::digest::StatementId;
use crate::statement::Author;
use crate::statement::facts::{AgreementFact, Change, Fact, FactKey, Facts, FactsExt};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, TEN_YEARS, wrong_author};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{
    Day, Label, Money, PartyId, RecordKind, Role, ascending, codes, listed,
};
use crate::tlog::tree::LeafIndex;

/// The most terms of an agreement.
const MAX_TERMS: usize = 64;

/// An agreement, or the next step of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// The form of the agreement.
    pub instrument: Instrument,
    /// Where it stands from here on.
    pub status: Status,
    /// The last statement of this chain so far; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<StatementId>,
    /// The instrument itself, an attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<SealDigest>,
    /// All terms, at most 64: where it is proposed, and where it comes into force. Empty for `none`,
    /// for an amendment, and where it is declined, suspended, resumed or ended.
    pub terms: Vec<Term>,
    /// What changes in an agreement that is in force or resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amendment: Option<Amendment>,
    /// The parties declare that there are no side agreements.
    pub complete: bool,
    /// The day it took effect in life, if that was earlier; at most the day after it is logged. Where
    /// it is proposed, the day it is to take effect, at most 3653 days on.
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

/// What one party owes another. Parties named are parties to the agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Term {
    /// Credit for each download of an app in the receiver's area.
    CreditPerDownload {
        /// Who gives.
        giver: PartyId,
        /// Who receives.
        receiver: PartyId,
        /// For each download.
        amount: Money,
        /// What alone the credit buys.
        usable_for: Label,
    },
    /// Data that one party lets another have.
    DataAccess {
        /// Who gives.
        giver: PartyId,
        /// Who receives.
        receiver: PartyId,
        /// 1 to 7, ascending.
        records: Vec<RecordKind>,
        /// Whether only by legal process.
        by_process_only: bool,
    },
    /// What a party says it does not answer for.
    Disclaimer {
        /// The party.
        party: PartyId,
        /// What it is about.
        about: Label,
    },
    /// A lower price for others than the parties, such as residents.
    Discount {
        /// Who gives.
        giver: PartyId,
        /// For whom it is, such as `residents`.
        beneficiary: Label,
        /// The product.
        product: Label,
        /// Off the price of each.
        amount: Money,
        /// How many at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u32>,
    },
    /// Things given.
    Equipment {
        /// Who gives.
        giver: PartyId,
        /// Who receives.
        receiver: PartyId,
        /// What is given.
        item: Label,
        /// How many.
        count: u32,
        /// What they are worth in all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Money>,
    },
    /// A party deals with no competitor.
    Exclusivity {
        /// The party bound.
        bound: PartyId,
        /// The product.
        product: Label,
    },
    /// What a party must not tell.
    Confidentiality {
        /// The party bound.
        bound: PartyId,
        /// What it is about.
        about: Label,
    },
    /// Access to a portal, a map, a feed.
    PortalAccess {
        /// Who gives.
        giver: PartyId,
        /// Who receives.
        receiver: PartyId,
        /// What it opens.
        portal: Label,
    },
    /// A party promotes a product or an app.
    Promotion {
        /// The party bound.
        bound: PartyId,
        /// The product.
        product: Label,
    },
    /// Public money for a product.
    PublicSubsidy {
        /// Who gives.
        giver: PartyId,
        /// For whom it is, such as `residents`.
        beneficiary: Label,
        /// The product.
        product: Label,
        /// Off the price of each.
        each: Money,
        /// At most, in all.
        total: Money,
    },
    /// A party says nothing in public before another has agreed to the text.
    PublicityApproval {
        /// The party bound.
        bound: PartyId,
        /// Who has to agree to the text.
        approver: PartyId,
    },
    /// A person whom a party appoints.
    Role {
        /// The party.
        party: PartyId,
        /// What the person is to do.
        role: Label,
        /// Whether the other party makes it a condition.
        required: bool,
    },
    /// A lower price for a party's own staff.
    StaffDiscount {
        /// Who gives.
        giver: PartyId,
        /// Who receives.
        receiver: PartyId,
        /// The product.
        product: Label,
        /// Off the price, in percent.
        percent: u8,
    },
    /// A party is trained by another.
    Training {
        /// Who gives.
        giver: PartyId,
        /// Who receives.
        receiver: PartyId,
        /// In what.
        subject: Label,
    },
}

/// What an amendment changes. A term is removed as it stands in force, word for word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amendment {
    /// Terms that hold from here on: 64 in force at most.
    pub add: Vec<Term>,
    /// Terms that hold no more, word for word as they stand in force.
    pub remove: Vec<Term>,
}

impl Amendment {
    /// The terms in force after it.
    ///
    /// # Errors
    /// The place among those removed of one that is not in force.
    pub fn apply(&self, mut terms: Vec<Term>) -> Result<Vec<Term>, usize> {
        for (i, removed) in self.remove.iter().enumerate() {
            let at = terms.iter().position(|term| term == removed).ok_or(i)?;
            terms.remove(at);
        }
        terms.extend(self.add.iter().cloned());
        Ok(terms)
    }
}

impl Term {
    fn parties(&self) -> Vec<&PartyId> {
        match self {
            Self::CreditPerDownload {
                giver, receiver, ..
            }
            | Self::DataAccess {
                giver, receiver, ..
            }
            | Self::Equipment {
                giver, receiver, ..
            }
            | Self::PortalAccess {
                giver, receiver, ..
            }
            | Self::StaffDiscount {
                giver, receiver, ..
            }
            | Self::Training {
                giver, receiver, ..
            } => vec![giver, receiver],
            Self::Discount { giver, .. } | Self::PublicSubsidy { giver, .. } => vec![giver],
            Self::Disclaimer { party, .. } | Self::Role { party, .. } => vec![party],
            Self::PublicityApproval { bound, approver } => vec![bound, approver],
            Self::Confidentiality { bound, .. }
            | Self::Exclusivity { bound, .. }
            | Self::Promotion { bound, .. } => vec![bound],
        }
    }

    fn check(&self, member: &str) -> Result<(), Refusal> {
        match self {
            Self::DataAccess { records, .. } => {
                ascending(&format!("{member}/records"), records, 1..=7)
            }
            Self::StaffDiscount { percent, .. } if !(1..=100).contains(percent) => {
                let member = format!("{member}/percent");
                Err(Refusal::new(Reason::BadValue, member, "1 to 100"))
            }
            _ => Ok(()),
        }
    }

    /// The term in plain words.
    pub fn plain(&self) -> String {
        match self {
            Self::CreditPerDownload {
                giver,
                receiver,
                amount,
                usable_for,
            } => format!(
                "{giver} credits {receiver} {amount} for each download of its app, usable only for {usable_for}"
            ),
            Self::DataAccess {
                giver,
                receiver,
                records,
                by_process_only,
            } => {
                let how = match by_process_only {
                    true => "by legal process only",
                    false => "without legal process",
                };
                format!("{giver} lets {receiver} have {}, {how}", listed(records))
            }
            Self::Disclaimer { party, about } => format!("{party} does not answer for {about}"),
            Self::Discount {
                giver,
                beneficiary,
                product,
                amount,
                count,
            } => {
                let most = count.map_or(String::new(), |count| format!(", at most {count} times"));
                format!("{giver} gives {beneficiary} {amount} off each {product}{most}")
            }
            Self::Equipment {
                giver,
                receiver,
                item,
                count,
                value,
            } => {
                let worth = value
                    .as_ref()
                    .map_or(String::new(), |v| format!(", worth {v}"));
                format!("{giver} gives {receiver} {count} × {item}{worth}")
            }
            Self::Exclusivity { bound, product } => {
                format!("{bound} deals with no competitor of {product}")
            }
            Self::Confidentiality { bound, about } => format!("{bound} keeps secret: {about}"),
            Self::PortalAccess {
                giver,
                receiver,
                portal,
            } => {
                format!("{giver} lets {receiver} into {portal}")
            }
            Self::Promotion { bound, product } => format!("{bound} promotes {product}"),
            Self::PublicSubsidy {
                giver,
                beneficiary,
                product,
                each,
                total,
            } => format!("{giver} pays {beneficiary} {each} for each {product}, {total} in all"),
            Self::PublicityApproval { bound, approver } => {
                format!("{bound} says nothing in public that {approver} has not approved")
            }
            Self::Role {
                party,
                role,
                required,
            } => {
                let how = if *required { ", as a condition" } else { "" };
                format!("{party} appoints its {role}{how}")
            }
            Self::StaffDiscount {
                giver,
                receiver,
                product,
                percent,
            } => {
                format!("{giver} gives the staff of {receiver} {percent} % off {product}")
            }
            Self::Training {
                giver,
                receiver,
                subject,
            } => {
                format!("{giver} trains {receiver} in {subject}")
            }
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
        let before = previous.as_ref().map(|(_, fact)| fact.status);
        self.check_form(before)?;
        self.check_day(entry)?;
        let parties = self.check_author(entry, previous.as_ref().map(|(_, fact)| fact))?;
        let first = self.check_succession(entry, previous.as_ref(), &parties)?;
        self.check_terms(&parties)?;
        let mut change = entry.enter_attachments(self.attachments())?;
        if let Some(terms) = self.terms_from_here(entry, first, before)? {
            change.push((FactKey::Terms(first), Fact::Terms(terms)));
        }
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
        if let Some(Amendment { add, remove }) = &self.amendment {
            let added = add
                .iter()
                .map(|term| format!("; from now on {}", term.plain()));
            let removed = remove
                .iter()
                .map(|term| format!("; no more {}", term.plain()));
            text.extend(added.chain(removed));
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
                    value: None,
                },
                Term::Confidentiality {
                    bound: agency,
                    about: "program-terms".parse().expect("a label"),
                },
            ],
            amendment: None,
            complete: true,
            effective_on: Some("2018-12-13".parse().expect("a day")),
            reason: None,
        }
    }
}

impl Agreement {
    /// What begins later is public at once, as a proposal with its day.
    fn check_day<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<(), Refusal> {
        let (member, Some(day)) = ("/effective_on", &self.effective_on) else {
            return Ok(());
        };
        if self.status == Status::Proposed {
            return entry.within_days(member, day, TEN_YEARS);
        }
        entry.has_come(member, day).map_err(|refusal| Refusal {
            detail: format!(
                "{}: log what begins later as proposed now, with its day",
                refusal.detail
            ),
            ..refusal
        })
    }

    fn check_form(&self, before: Option<Status>) -> Result<(), Refusal> {
        let refuse = |member, detail| Err(Refusal::new(Reason::BadValue, member, detail));
        let goes_on = matches!(before, Some(Status::InForce | Status::Suspended));
        let none = self.instrument == Instrument::None;
        if !self.terms.is_empty() && (none || self.status.is_one_sided()) {
            return refuse("/terms", "no terms stand in this step");
        }
        if !self.terms.is_empty() && goes_on {
            return refuse("/terms", "what is in force is amended: say what changes");
        }
        let amends = goes_on && self.status == Status::InForce && !none;
        match &self.amendment {
            Some(_) if !amends => refuse("/amendment", "for an agreement in force or resumed"),
            Some(amendment) if amendment.add.is_empty() && amendment.remove.is_empty() => {
                refuse("/amendment", "nothing changes")
            }
            None if amends && before == Some(Status::InForce) => {
                refuse("/amendment", "it is in force already: say what changes")
            }
            _ if self.status.is_one_sided() != self.reason.is_some() => refuse(
                "/reason",
                "where an agreement is declined, suspended or ended, and only there",
            ),
            _ => Ok(()),
        }
    }

    /// Every term binds parties to the agreement, and none but them.
    fn check_terms(&self, parties: &[PartyId]) -> Result<(), Refusal> {
        let added = self.amendment.iter().flat_map(|amendment| &amendment.add);
        let full = self
            .terms
            .iter()
            .enumerate()
            .map(|(i, term)| (format!("/terms/{i}"), term));
        let added = added
            .enumerate()
            .map(|(i, term)| (format!("/amendment/add/{i}"), term));
        for (member, term) in full.chain(added) {
            if let Some(stranger) = term.parties().into_iter().find(|p| !parties.contains(p)) {
                let detail = format!("{stranger} is no party to this agreement");
                return Err(Refusal::new(Reason::BadValue, member, detail));
            }
            term.check(&member)?;
        }
        Ok(())
    }

    /// The terms in force once this step is taken, if they are others than before.
    fn terms_from_here<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        first: LeafIndex,
        before: Option<Status>,
    ) -> Result<Option<Vec<Term>>, Verdict<F::Error>> {
        let refuse = |member: String, detail: &str| {
            Err(Refusal::new(Reason::BadValue, member, detail).into())
        };
        let terms = match (self.status, &self.amendment) {
            (Status::InForce, Some(amendment)) => {
                let terms = entry.facts.terms(&first).map_err(Verdict::Facts)?;
                match amendment.apply(terms.unwrap_or_default()) {
                    Ok(terms) => terms,
                    Err(i) => {
                        let member = format!("/amendment/remove/{i}");
                        return refuse(member, "no such term is in force");
                    }
                }
            }
            (Status::InForce, None) if before == Some(Status::Suspended) => return Ok(None),
            (Status::InForce, None) => self.terms.clone(),
            (Status::Terminated, _) => Vec::new(),
            (Status::Proposed | Status::Declined | Status::Suspended, _) => {
                return match self.terms.len() <= MAX_TERMS {
                    true => Ok(None),
                    false => refuse("/terms".to_owned(), "at most 64 terms"),
                };
            }
        };
        if terms.len() > MAX_TERMS {
            return refuse("/terms".to_owned(), "at most 64 terms");
        }
        Ok(Some(terms))
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
                    if !self.status.is_one_sided() {
                        entry.in_standing("/parties", party)?;
                    }
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
