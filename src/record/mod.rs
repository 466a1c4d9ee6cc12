//! What the entries of a log say together: agreements with all that was given under them, requests
//! with what became of them, demands with their answers, seals with their days.
//!
//! [`Record`] reads admitted entries in order, each once; [`findings`] holds what it has read against
//! itself. Pure: no I/O, and no clock but the one handed in. Anyone who replays the log comes to the
//! same. Not here: what may stand in the log ([`crate::statement::rules`]), and how it is shown.

pub mod accounts;
mod agreements;
mod by_id;
pub mod compelled;
mod custody;
pub mod domains;
pub mod findings;
mod parties;
pub mod report;
mod seals;

use std::collections::{BTreeMap, HashMap};

pub use agreements::{Chain, Reported, Step};
pub use compelled::Demand;
pub use custody::{Collected, Given, PublicState};
pub use parties::{HeldKey, Known};
pub use seals::Sealed;

use by_id::ById;

use crate::digest::StatementId;
use crate::statement::kinds::access_request::AccessRequest;
use crate::statement::kinds::annotation::Annotation;
use crate::statement::kinds::bulletin::Bulletin;
use crate::statement::kinds::demand_response::DemandResponse;
use crate::statement::kinds::erasure::Erasure;
use crate::statement::kinds::insider_access::InsiderAccess;
use crate::statement::kinds::limits::Limits;
use crate::statement::kinds::release::Release;
use crate::statement::kinds::request_closing::ClosingOutcome;
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Day, PartyId, PartyKind};
use crate::statement::{Author, Statement};
use crate::time::Time;

/// An admitted entry.
#[derive(Debug)]
pub struct Said {
    pub index: u64,
    pub id: StatementId,
    pub logged_at: Time,
    pub author: Author,
    pub statement: Statement,
}

/// What the entries of a log say together. Memory grows with agreements, requests, demands, seals and
/// disclosures, not with routine entries.
#[derive(Debug, Default)]
pub struct Record {
    parties: BTreeMap<PartyId, Known>,
    /// The party of entry 0.
    operator: Option<PartyId>,
    /// Where the statements that this record remembers stand, and who said them.
    places: HashMap<StatementId, Place>,
    /// When entry 0 was logged.
    began: Option<Time>,
    /// Each with the time from which it holds, ascending.
    limits: Vec<(Time, Limits)>,
    /// Each by every statement of it.
    agreements: ById<Chain>,
    benefits: ById<Reported>,
    requests: ById<Asked>,
    given: HashMap<StatementId, Given>,
    /// Disclosures to the public.
    published: Vec<StatementId>,
    seals: BTreeMap<SealDigest, Sealed>,
    demands: ById<Demand>,
    /// Responses to demands that no entry holds.
    unasked: Vec<By<DemandResponse>>,
    /// Messages of notices, with the notice that each belongs to.
    messages: BTreeMap<SealDigest, StatementId>,
    /// Erasures of them: the notice, and the erasure.
    destroyed: Vec<(StatementId, By<Erasure>)>,
    bulletins: Vec<Told>,
    annotations: Vec<By<Annotation>>,
    insiders: Vec<By<InsiderAccess>>,
    releases: Vec<By<Release>>,
}

/// Where a statement stands, and who said it.
#[derive(Debug)]
struct Place {
    index: u64,
    logged_at: Time,
    author: Author,
}

/// A statement of one author.
#[derive(Debug)]
pub struct By<T> {
    pub id: StatementId,
    pub logged_at: Time,
    pub author: Author,
    pub what: T,
}

impl<T> By<T> {
    fn new(id: StatementId, logged_at: Time, author: Author, what: T) -> Self {
        Self {
            id,
            logged_at,
            author,
            what,
        }
    }
}

/// A bulletin.
#[derive(Debug)]
pub struct Told {
    pub index: u64,
    pub by: By<Bulletin>,
}

/// A request, and what became of it.
#[derive(Debug)]
pub struct Asked {
    pub id: StatementId,
    pub index: u64,
    pub logged_at: Time,
    pub agency: Author,
    pub request: AccessRequest,
    /// The disclosures for it.
    pub given: Vec<StatementId>,
    pub withdrawn: u64,
    pub collected: u64,
    /// Closed before its deadline.
    pub closed: Option<By<ClosingOutcome>>,
}

/// The record of a log in memory.
#[cfg(test)]
fn of(world: &crate::statement::testing::World) -> Record {
    let mut record = Record::default();
    for (index, (logged_at, signed)) in world.history.iter().enumerate() {
        record.read(Said {
            index: index as u64,
            id: signed.id,
            logged_at: *logged_at,
            author: signed.head.author.clone(),
            statement: signed.statement.clone(),
        });
    }
    record
}

/// Whether a log has so many of a kind that none is remembered.
fn is_routine(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::CommitmentBatch(_) | Statement::Decision(_)
    )
}

impl Record {
    /// Reads the next admitted entry.
    pub fn read(&mut self, said: Said) {
        for (name, field) in said.statement.sealed() {
            self.seal(&said, name, field);
        }
        self.began.get_or_insert(said.logged_at);
        if !is_routine(&said.statement) {
            let place = Place {
                index: said.index,
                logged_at: said.logged_at,
                author: said.author.clone(),
            };
            self.places.insert(said.id, place);
        }
        let Said {
            index,
            id,
            logged_at,
            author,
            statement,
        } = said;
        match statement {
            Statement::Party(party) => self.enter(By::new(id, logged_at, author, party)),
            Statement::KeyChange(change) => self.change_keys(id, logged_at, change),
            Statement::PartyStatus(status) => {
                if let Some(known) = self.parties.get_mut(&status.party) {
                    known.standings.push(By::new(id, logged_at, author, status));
                }
            }
            Statement::Limits(limits) => self.declare(logged_at, limits),
            Statement::Agreement(agreement) => {
                let step = Step {
                    id,
                    index,
                    logged_at,
                    status: agreement.status,
                    reason: agreement.reason,
                    author,
                };
                self.agreement(step, agreement);
            }
            Statement::Benefit(benefit) => self.benefit(id, author, benefit),
            Statement::AccessRequest(request) => {
                let asked = Asked {
                    id,
                    index,
                    logged_at,
                    agency: author,
                    request,
                    given: Vec::new(),
                    withdrawn: 0,
                    collected: 0,
                    closed: None,
                };
                self.requests.push(id, asked);
            }
            Statement::RequestClosing(closing) => {
                if let Some(asked) = self.requests.find_mut(&closing.request) {
                    asked.closed = Some(By::new(id, logged_at, author, closing.outcome));
                }
            }
            Statement::Disclosure(disclosure) => {
                let given = Given::new(id, index, logged_at, &disclosure);
                match &disclosure.request {
                    None => self.published.push(id),
                    Some(request) => {
                        if let Some(asked) = self.requests.find_mut(request) {
                            asked.given.push(id);
                        }
                    }
                }
                self.given.insert(id, given);
            }
            Statement::Withdrawal(withdrawal) => {
                if let Some(asked) = self.asked_for(&withdrawal.disclosure) {
                    asked.withdrawn = asked.withdrawn.saturating_add(1);
                }
                if let Some(given) = self.given.get_mut(&withdrawal.disclosure) {
                    given.withdrawn = Some((id, logged_at));
                }
            }
            Statement::Collection(collection) => {
                if let Some(asked) = self.asked_for(&collection.disclosure) {
                    asked.collected = asked.collected.saturating_add(1);
                }
                self.collect(&collection.disclosure, id, logged_at, author);
            }
            Statement::CustodyReport(report) => {
                self.custody(By::new(id, logged_at, author, report));
            }
            Statement::LegalDemand(demand) => {
                self.demand(By::new(id, logged_at, author, demand), index)
            }
            Statement::DelayOrder(order) => self.delay(id, &order),
            Statement::DemandResponse(response) => {
                let demand = response.demand.as_ref();
                let demand = demand.and_then(|demand| self.demands.find_mut(demand));
                let responses = match demand {
                    Some(demand) => &mut demand.responses,
                    None => &mut self.unasked,
                };
                responses.push(By::new(id, logged_at, author, response));
            }
            Statement::Notice(notice) => {
                let messages = notice.messages.iter();
                self.messages.extend(messages.map(|digest| (*digest, id)));
                if let Some(demand) = self.demands.find_mut(&notice.demand) {
                    demand.notices.push(By::new(id, logged_at, author, notice));
                }
            }
            Statement::InsiderAccess(access) => {
                self.insiders.push(By::new(id, logged_at, author, access))
            }
            Statement::Unsealing(unsealing) => {
                if let Some(sealed) = self.seals.get_mut(&unsealing.seal) {
                    sealed.opened = Some((id, unsealing.opening));
                }
            }
            Statement::Erasure(erasure) => {
                if let Some(sealed) = self.seals.get_mut(&erasure.digest) {
                    sealed.erased = Some((id, erasure.basis));
                }
                if let Some(notice) = self.messages.get(&erasure.digest) {
                    let erasure = By::new(id, logged_at, author, erasure);
                    self.destroyed.push((*notice, erasure));
                }
            }
            Statement::Bulletin(bulletin) => self.bulletins.push(Told {
                index,
                by: By::new(id, logged_at, author, bulletin),
            }),
            Statement::Annotation(annotation) => self
                .annotations
                .push(By::new(id, logged_at, author, annotation)),
            Statement::Release(release) => {
                self.releases.push(By::new(id, logged_at, author, release));
            }
            Statement::CommitmentBatch(_) | Statement::Decision(_) | Statement::LogClosed(_) => {}
        }
    }

    /// A party's public name, or its host name if it was never entered.
    pub fn name(&self, party: &PartyId) -> String {
        self.known(party)
            .map_or_else(|| party.to_string(), |known| known.party().name.to_string())
    }

    /// The public name of the party that speaks, or what stands in its place.
    pub fn author(&self, author: &Author) -> String {
        match author {
            Author::Issuer(party) => self.name(party),
            other => other.to_string(),
        }
    }

    /// What a party is, if it was entered.
    pub fn kind(&self, party: &PartyId) -> Option<PartyKind> {
        self.known(party).map(|known| known.party().kind)
    }

    /// Agreements, in the order of their first statements.
    pub fn agreements(&self) -> &[Chain] {
        &self.agreements
    }

    /// All reports of benefits under the agreement at a place, or under none.
    pub fn benefits_under(&self, agreement: Option<usize>) -> impl Iterator<Item = &Reported> {
        let all = self.benefits.iter();
        all.filter(move |reported| reported.agreement == agreement)
    }

    /// Requests, in the order of the log.
    pub fn requests(&self) -> &[Asked] {
        &self.requests
    }

    /// What was given for a request, in the order of the log.
    pub fn given_for(&self, request: &StatementId) -> impl Iterator<Item = &Given> {
        let asked = self.requests.find(request).into_iter();
        let ids = asked.flat_map(|asked| &asked.given);
        ids.filter_map(|id| self.given.get(id))
    }

    /// What was given to the public, in the order of the log.
    pub fn published(&self) -> impl DoubleEndedIterator<Item = &Given> {
        self.published.iter().filter_map(|id| self.given.get(id))
    }

    /// Agencies' bulletins, in the order of the log.
    pub fn bulletins(&self) -> &[Told] {
        &self.bulletins
    }

    /// Demands, in the order of the log.
    pub fn demands(&self) -> &[Demand] {
        &self.demands
    }

    /// Responses to demands that no entry holds.
    pub fn unasked(&self) -> &[By<DemandResponse>] {
        &self.unasked
    }

    /// The state of a sealed field.
    pub fn sealed(&self, digest: &SealDigest) -> Option<&Sealed> {
        self.seals.get(digest)
    }

    /// When the log's first entry was logged.
    pub fn began(&self) -> Option<Time> {
        self.began
    }

    /// Where a statement stands in the log, if this record remembers it.
    pub fn index(&self, id: &StatementId) -> Option<u64> {
        self.places.get(id).map(|place| place.index)
    }

    /// Whether a party is an agency.
    pub fn is_agency(&self, party: &PartyId) -> bool {
        self.kind(party) == Some(PartyKind::Agency)
    }

    fn asked_for(&mut self, disclosure: &StatementId) -> Option<&mut Asked> {
        let request = self.given.get(disclosure)?.request?;
        self.requests.find_mut(&request)
    }

    fn declare(&mut self, logged_at: Time, limits: Limits) {
        let notice = |limits: &Limits| i64::from(limits.notice_minutes).saturating_mul(60);
        let from = match self.limits_at(logged_at) {
            None => Some(logged_at),
            Some(before) => logged_at.checked_add_seconds(notice(before).max(notice(&limits))),
        };
        // The rules refuse limits that would hold only after the end of the calendar.
        let Some(from) = from else {
            return;
        };
        // As the rules have it: what is declared later replaces what was announced for then or later.
        self.limits.retain(|(announced, _)| *announced < from);
        self.limits.push((from, limits));
    }

    fn limits_at(&self, time: Time) -> Option<&Limits> {
        let mut latest_first = self.limits.iter().rev();
        latest_first
            .find(|(from, _)| *from <= time)
            .map(|(_, limits)| limits)
    }
}

/// The day `days` after `day`; the last day of the calendar if it ends before. No time of a log
/// comes after that day, so what is due by then is never late.
fn later(day: &Day, days: i64) -> Day {
    day.checked_add_days(days).unwrap_or_else(Day::last)
}
