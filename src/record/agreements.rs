//! Agreements from their first statement to their last, and what was reported under them.

use nonempty::NonEmpty;

use super::Record;
use crate::digest::StatementId;
use crate::statement::Author;
use crate::statement::kinds::agreement::{Agreement, EndReason, Instrument, Status, Term};
use crate::statement::kinds::benefit::Benefit;
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Day, PartyId};
use crate::time::Time;

/// An agreement from its first statement to its last.
#[derive(Debug)]
pub struct Chain {
    pub parties: Vec<PartyId>,
    pub status: Status,
    pub instrument: Instrument,
    /// Those that stand now, or stood at its end.
    pub terms: Vec<Term>,
    /// All that ever stood: a report may tell of what was agreed before an amendment.
    pub ever: Vec<Term>,
    pub complete: bool,
    pub document: Option<SealDigest>,
    pub effective_on: Option<Day>,
    /// Ascending.
    pub steps: NonEmpty<Step>,
}

/// A statement of an agreement.
#[derive(Debug)]
pub struct Step {
    pub id: StatementId,
    pub index: u64,
    pub logged_at: Time,
    pub status: Status,
    pub reason: Option<EndReason>,
    pub author: Author,
}

/// A benefit, as somebody reported it.
#[derive(Debug)]
pub struct Reported {
    pub id: StatementId,
    pub by: Author,
    pub benefit: Benefit,
    /// The place of its agreement.
    pub agreement: Option<usize>,
}

impl Chain {
    /// The statement that begins it.
    pub fn first(&self) -> &Step {
        self.steps.first()
    }

    /// The statement that says now where it stands.
    pub fn last(&self) -> &Step {
        self.steps.last()
    }

    fn bring(&mut self, terms: Vec<Term>) {
        for term in &terms {
            if !self.ever.contains(term) {
                self.ever.push(term.clone());
            }
        }
        self.terms = terms;
    }
}

impl Record {
    pub(super) fn agreement(&mut self, step: Step, agreement: Agreement) {
        let previous = agreement.previous.as_ref();
        let continued = previous.and_then(|previous| self.agreements.extend(previous, step.id));
        let Some(chain) = continued else {
            let chain = Chain {
                parties: match &step.author {
                    Author::Parties(parties) => parties.clone(),
                    Author::Issuer(party) => vec![party.clone()],
                    Author::OneTimeKey(_) => Vec::new(),
                },
                status: agreement.status,
                instrument: agreement.instrument,
                ever: agreement.terms.clone(),
                terms: agreement.terms,
                complete: agreement.complete,
                document: agreement.document,
                effective_on: agreement.effective_on,
                steps: NonEmpty::new(step),
            };
            self.agreements.push(chain.first().id, chain);
            return;
        };
        // A step that declines, suspends or ends carries no terms: what was agreed still shows.
        if agreement.reason.is_none() {
            chain.instrument = agreement.instrument;
            match &agreement.amendment {
                // What the rules would refuse to amend stays as it was.
                Some(amendment) => {
                    if let Ok(amended) = amendment.apply(chain.terms.clone()) {
                        chain.bring(amended);
                    }
                }
                None if chain.status == Status::Suspended => {}
                None => chain.bring(agreement.terms),
            }
            chain.complete = agreement.complete;
            chain.effective_on = agreement.effective_on.or(chain.effective_on.take());
        }
        chain.status = agreement.status;
        chain.document = agreement.document.or(chain.document);
        chain.steps.push(step);
    }

    pub(super) fn benefit(&mut self, id: StatementId, by: Author, benefit: Benefit) {
        let agreement = benefit.agreement.as_ref();
        let agreement = agreement.and_then(|id| self.agreements.place(id));
        let reported = Reported {
            id,
            by,
            benefit,
            agreement,
        };
        self.benefits.push(id, reported);
    }
}
