//! Demands with their answers: both sides of what is compelled, held against each other.

use serde::Serialize;

use super::custody::Kept;
use super::{By, Record, later};
use crate::digest::StatementId;
use crate::statement::kinds::delay_order::DelayOrder;
use crate::statement::kinds::demand_response::{DemandResponse, Outcome};
use crate::statement::kinds::legal_demand::{LegalDemand, ProcessKind};
use crate::statement::kinds::notice::{Notice, NoticeState};
use crate::statement::words::{Band, Day, PartyId, RecordKind};
use crate::time::Time;

/// Days to answer where a demand names none.
const ANSWER_DAYS: i64 = 30;
/// Days to tell those concerned after something was given (Cal. Penal Code 1546.2 has notice at once,
/// and three court days in an emergency).
const NOTICE_DAYS: i64 = 7;

/// A legal demand, and what became of it.
#[derive(Debug)]
pub struct Demand {
    pub index: u64,
    pub by: By<LegalDemand>,
    pub responses: Vec<By<DemandResponse>>,
    pub notices: Vec<By<Notice>>,
    /// Orders that put off the notice, with the day of each.
    pub orders: Vec<(StatementId, Day)>,
    pub kept: Kept,
}

/// How the two sides of a demand stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    /// Both sides are on record and agree.
    Agrees,
    /// What was given goes beyond what was demanded.
    Disagrees,
    /// Nobody has answered, and it is too early to say that nobody will.
    Open,
    NoResponse,
    /// A response to a demand that no entry holds.
    NoDemand,
}

impl Match {
    /// Whether nothing is amiss.
    pub fn is_well(self) -> bool {
        matches!(self, Self::Agrees | Self::Open)
    }

    /// In two words.
    pub fn plain(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Disagrees => "disagrees",
            Self::Open => "open",
            Self::NoResponse => "no response",
            Self::NoDemand => "no demand",
        }
    }
}

impl Demand {
    fn what(&self) -> &LegalDemand {
        &self.by.what
    }

    /// The day by whose end it is to be answered.
    pub fn answer_by(&self) -> Day {
        let what = self.what();
        what.answer_by
            .clone()
            .unwrap_or_else(|| later(&what.served_on, ANSWER_DAYS))
    }

    /// How its two sides stand to each other at `now`.
    pub fn matched(&self, now: Time) -> Match {
        match () {
            // Nobody may tell what came of it.
            () if self.what().process == ProcessKind::NationalSecurity => Match::Open,
            () if self.responses.is_empty() && !self.answer_by().is_over(now) => Match::Open,
            () if self.responses.is_empty() => Match::NoResponse,
            () if self.responses.iter().any(|r| self.exceeds(&r.what)) => Match::Disagrees,
            () => Match::Agrees,
        }
    }

    /// Whether a response tells of more accounts or other records than were demanded.
    pub(super) fn exceeds(&self, response: &DemandResponse) -> bool {
        let demanded = self.what();
        let more = demanded
            .accounts
            .is_some_and(|most| response.accounts > most);
        let other = |kind: &RecordKind| !demanded.records.contains(kind);
        more || response.records.iter().any(other)
    }

    /// Something was given in answer.
    pub(super) fn given(&self) -> Option<&By<DemandResponse>> {
        let gave =
            |r: &&By<DemandResponse>| matches!(r.what.outcome, Outcome::Full | Outcome::Partial);
        self.responses.iter().find(gave)
    }

    /// Those concerned were told.
    pub fn told(&self) -> bool {
        let sent = |notice: &By<Notice>| notice.what.state == NoticeState::Sent;
        self.notices.iter().any(sent)
    }

    /// The day by whose end those concerned are to be told, if something was given.
    pub fn tell_by(&self) -> Option<Day> {
        let given = self.given()?;
        let at_once = later(&given.what.effective_on, NOTICE_DAYS);
        let notices = self.notices.iter().filter_map(|n| n.what.until.clone());
        let orders = self.orders.iter().map(|(_, day)| day.clone());
        notices.chain(orders).chain([at_once]).max()
    }

    /// A subpoena never reaches content (18 U.S.C. 2703; United States v. Warshak), and what is to
    /// be preserved is not to be given.
    pub(super) fn reaches_content(&self) -> bool {
        !matches!(
            self.what().process,
            ProcessKind::Subpoena | ProcessKind::Preservation
        )
    }
}

impl Record {
    pub(super) fn demand(&mut self, by: By<LegalDemand>, index: u64) {
        let demand = Demand {
            index,
            by,
            responses: Vec::new(),
            notices: Vec::new(),
            orders: Vec::new(),
            kept: Kept::default(),
        };
        self.demands.push(demand.by.id, demand);
    }

    pub(super) fn delay(&mut self, id: StatementId, order: &DelayOrder) {
        if let Some(sealed) = order.seal.and_then(|seal| self.seals.get_mut(&seal)) {
            sealed.open_by = order.until.clone();
        }
        let demand = order.demand.as_ref();
        if let Some(demand) = demand.and_then(|demand| self.demands.find_mut(demand)) {
            demand.orders.push((id, order.until.clone()));
        }
    }

    /// Both sides of everything compelled, one row a demand, then responses to none.
    pub fn reconciled(&self, now: Time) -> Vec<Reconciled> {
        let demands = self.demands.iter().map(|demand| {
            let what = demand.what();
            Reconciled {
                demand: Some(demand.by.id),
                responses: demand.responses.iter().map(|r| r.id).collect(),
                agency: what.agency.clone(),
                process: Some(what.process),
                served_on: Some(what.served_on.clone()),
                answer_by: Some(demand.answer_by()),
                outcomes: demand.responses.iter().map(|r| r.what.outcome).collect(),
                accounts_demanded: what.accounts,
                accounts_given: demand.responses.iter().map(|r| r.what.accounts).max(),
                verdict: demand.matched(now),
            }
        });
        let unasked = self.unasked.iter().map(|response| Reconciled {
            demand: None,
            responses: vec![response.id],
            agency: response.what.agency.clone(),
            process: None,
            served_on: None,
            answer_by: None,
            outcomes: vec![response.what.outcome],
            accounts_demanded: None,
            accounts_given: Some(response.what.accounts),
            verdict: Match::NoDemand,
        });
        demands.chain(unasked).collect()
    }
}

/// Both sides of one demand.
#[derive(Debug, Serialize)]
pub struct Reconciled {
    pub demand: Option<StatementId>,
    pub responses: Vec<StatementId>,
    pub agency: Option<PartyId>,
    pub process: Option<ProcessKind>,
    pub served_on: Option<Day>,
    pub answer_by: Option<Day>,
    pub outcomes: Vec<Outcome>,
    pub accounts_demanded: Option<Band>,
    pub accounts_given: Option<Band>,
    pub verdict: Match,
}
