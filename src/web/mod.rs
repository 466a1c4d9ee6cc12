//! The public page of a ledger: what its log says, gathered and put in plain words.
//!
//! [`Record`] reads entries in order, each once; [`page::Page`] is what the page shows of it under a
//! checkpoint. Nothing here verifies: entries come from the ledger's own journal, and the page tells
//! its readers how to check for themselves. Not here: HTTP ([`crate::http`]).

mod findings;
pub mod page;
mod words;

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::digest::StatementId;
use crate::statement::kinds::access_request::AccessRequest;
use crate::statement::kinds::agreement::{Agreement, EndReason, Instrument, Status, Term};
use crate::statement::kinds::benefit::Benefit;
use crate::statement::kinds::log_closed::LogClosed;
use crate::statement::leaf::Leaf;
use crate::statement::refusal::Refusal;
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Day, Name, PartyId, PartyKind};
use crate::statement::{Author, Statement, parse_payload};
use crate::time::Time;

/// The style sheet of the page.
pub const STYLE: &str = include_str!("templates/whosaw.css");
/// Entries and requests that the page shows at most, the latest.
pub const SHOWN: usize = 200;

/// What the entries of a log say, as far as the page tells it.
#[derive(Debug, Default)]
pub struct Record {
    size: u64,
    parties: BTreeMap<PartyId, (Name, PartyKind)>,
    agreements: Vec<Chain>,
    /// Every statement of an agreement, and its place in `agreements`.
    agreement_of: HashMap<StatementId, usize>,
    /// Reports of benefits that name no agreement.
    benefits: Vec<Benefit>,
    requests: Vec<Asked>,
    request_of: HashMap<StatementId, usize>,
    /// Every disclosure, and the place of its request in `requests`.
    answered: HashMap<StatementId, usize>,
    latest: VecDeque<Row>,
    /// When the log was closed, and how.
    closed: Option<(Time, LogClosed)>,
}

/// An agreement from its first statement to its last.
#[derive(Debug)]
struct Chain {
    parties: Vec<PartyId>,
    status: Status,
    instrument: Instrument,
    terms: Vec<Term>,
    complete: bool,
    document: Option<SealDigest>,
    effective_on: Option<Day>,
    /// Ascending, never empty.
    steps: Vec<Step>,
    benefits: Vec<Benefit>,
}

#[derive(Debug)]
struct Step {
    id: StatementId,
    index: u64,
    logged_at: Time,
    status: Status,
    reason: Option<EndReason>,
    author: Author,
}

/// A request, and what became of it.
#[derive(Debug)]
struct Asked {
    id: StatementId,
    index: u64,
    logged_at: Time,
    agency: Author,
    request: AccessRequest,
    disclosures: u64,
    withdrawn: u64,
    collected: u64,
}

/// An entry.
#[derive(Debug)]
struct Row {
    index: u64,
    id: StatementId,
    logged_at: Time,
    plain: String,
    /// Made by the clock rather than by anyone's decision.
    routine: bool,
}

impl Record {
    /// How many entries it has read.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads the next entry.
    ///
    /// # Errors
    /// If the leaf is not of the form that every log's leaves have.
    pub fn add(&mut self, leaf: &[u8]) -> Result<(), Refusal> {
        let leaf = Leaf::parse(leaf)?;
        let (head, statement) = parse_payload(&leaf.envelope.payload)?;
        let id = StatementId::of_payload(&leaf.envelope.payload);
        if self.latest.len() == SHOWN {
            self.latest.pop_front();
        }
        self.latest.push_back(Row {
            index: self.size,
            id,
            logged_at: leaf.logged_at,
            plain: statement.plain(&head.author.to_string()),
            routine: matches!(statement, Statement::CommitmentBatch(_)),
        });
        match statement {
            Statement::Party(party) => {
                self.parties.insert(party.party, (party.name, party.kind));
            }
            Statement::Agreement(agreement) => {
                let step = Step {
                    id,
                    index: self.size,
                    logged_at: leaf.logged_at,
                    status: agreement.status,
                    reason: agreement.reason,
                    author: head.author,
                };
                self.agreement(step, agreement);
            }
            Statement::Benefit(benefit) => {
                let chain = benefit
                    .agreement
                    .and_then(|id| self.agreement_of.get(&id).copied());
                match chain {
                    Some(at) => self.agreements[at].benefits.push(benefit),
                    None => self.benefits.push(benefit),
                }
            }
            Statement::AccessRequest(request) => {
                self.request_of.insert(id, self.requests.len());
                self.requests.push(Asked {
                    id,
                    index: self.size,
                    logged_at: leaf.logged_at,
                    agency: head.author,
                    request,
                    disclosures: 0,
                    withdrawn: 0,
                    collected: 0,
                });
            }
            Statement::Disclosure(disclosure) => {
                if let Some(&at) = self.request_of.get(&disclosure.request) {
                    self.answered.insert(id, at);
                    self.requests[at].disclosures += 1;
                }
            }
            Statement::Withdrawal(withdrawal) => {
                if let Some(&at) = self.answered.get(&withdrawal.disclosure) {
                    self.requests[at].withdrawn += 1;
                }
            }
            Statement::Collection(collection) => {
                if let Some(&at) = self.answered.get(&collection.disclosure) {
                    self.requests[at].collected += 1;
                }
            }
            Statement::LogClosed(closed) => self.closed = Some((leaf.logged_at, closed)),
            Statement::KeyChange(_)
            | Statement::Limits(_)
            | Statement::CommitmentBatch(_)
            | Statement::Decision(_)
            | Statement::PartyStatus(_)
            | Statement::RequestClosing(_)
            | Statement::CustodyReport(_)
            | Statement::LegalDemand(_)
            | Statement::DelayOrder(_)
            | Statement::DemandResponse(_)
            | Statement::Notice(_)
            | Statement::InsiderAccess(_)
            | Statement::Unsealing(_)
            | Statement::Bulletin(_)
            | Statement::Annotation(_)
            | Statement::Erasure(_)
            | Statement::Release(_) => {}
        }
        self.size += 1;
        Ok(())
    }

    fn agreement(&mut self, step: Step, agreement: Agreement) {
        let previous = agreement
            .previous
            .and_then(|id| self.agreement_of.get(&id).copied());
        let at = previous.unwrap_or(self.agreements.len());
        self.agreement_of.insert(step.id, at);
        let Some(chain) = self.agreements.get_mut(at) else {
            self.agreements.push(Chain {
                parties: match &step.author {
                    Author::Parties(parties) => parties.clone(),
                    Author::Issuer(party) => vec![party.clone()],
                    Author::OneTimeKey(_) => Vec::new(),
                },
                status: agreement.status,
                instrument: agreement.instrument,
                terms: agreement.terms,
                complete: agreement.complete,
                document: agreement.document,
                effective_on: agreement.effective_on,
                steps: vec![step],
                benefits: Vec::new(),
            });
            return;
        };
        // A step that declines, suspends or ends carries no terms: what was agreed still shows.
        if agreement.reason.is_none() {
            chain.instrument = agreement.instrument;
            match &agreement.amendment {
                // What the rules would refuse to amend stays as it was.
                Some(amendment) => {
                    let amended = amendment.apply(chain.terms.clone());
                    chain.terms = amended.unwrap_or(std::mem::take(&mut chain.terms));
                }
                None if chain.status == Status::Suspended => {}
                None => chain.terms = agreement.terms,
            }
            chain.complete = agreement.complete;
            chain.effective_on = agreement.effective_on.or(chain.effective_on.take());
        }
        chain.status = agreement.status;
        chain.document = agreement.document.or(chain.document);
        chain.steps.push(step);
    }

    /// A party's public name, or its host name if it was never entered.
    fn name(&self, party: &PartyId) -> String {
        self.parties
            .get(party)
            .map_or_else(|| party.to_string(), |(name, _)| name.to_string())
    }

    fn is_agency(&self, party: &PartyId) -> bool {
        matches!(self.parties.get(party), Some((_, PartyKind::Agency)))
    }
}
