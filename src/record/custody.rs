//! What became of footage that was given or taken.

use super::{By, Record, later};
use crate::digest::StatementId;
use crate::statement::Author;
use crate::statement::kinds::custody_report::{CustodyEvent, CustodyReport};
use crate::statement::kinds::disclosure::Disclosure;
use crate::statement::words::{DataKind, Day, MinutesBand, codes};
use crate::time::Time;

/// A disclosure.
#[derive(Debug)]
pub struct Given {
    pub id: StatementId,
    /// None if it was given to the public.
    pub request: Option<StatementId>,
    pub index: u64,
    pub logged_at: Time,
    /// How many clips it names.
    pub clips: u64,
    /// Not to be collected, or not public any more, from then on.
    pub expires: Time,
    /// Kinds of data given.
    pub gives: Vec<DataKind>,
    /// How long the clips are together; none if it was given to the public.
    pub minutes: Option<MinutesBand>,
    /// The `withdrawal`, and when it was logged.
    pub withdrawn: Option<(StatementId, Time)>,
    pub collected: Option<Collected>,
    pub kept: Kept,
}

/// A disclosure that was collected.
#[derive(Debug)]
pub struct Collected {
    pub id: StatementId,
    pub logged_at: Time,
    pub by: Author,
    /// The day by whose end the agency is to have answered for it.
    pub answer_by: Day,
}

/// What reports say of footage.
#[derive(Debug, Default)]
pub struct Kept {
    /// Reports, in the order of the log.
    pub reports: Vec<By<CustodyReport>>,
    /// Reports that nothing usable came.
    pub failed: Vec<StatementId>,
    /// The report of how long it is kept, and until when; none once it was deleted.
    pub until: Option<(StatementId, Day)>,
}

impl Given {
    pub(super) fn new(
        id: StatementId,
        index: u64,
        logged_at: Time,
        disclosure: &Disclosure,
    ) -> Self {
        Self {
            id,
            request: disclosure.request,
            index,
            logged_at,
            clips: disclosure.clips.len() as u64,
            expires: disclosure.expires,
            gives: disclosure.gives.clone(),
            minutes: disclosure.minutes,
            withdrawn: None,
            collected: None,
            kept: Kept::default(),
        }
    }

    /// Whether it is to be had at `now`, if it was given to the public.
    pub fn state(&self, now: Time) -> PublicState {
        match self.withdrawn {
            Some(_) => PublicState::Withdrawn,
            None if self.expires <= now => PublicState::Expired,
            None => PublicState::Public,
        }
    }
}

codes! {
    /// What became of a disclosure to the public.
    PublicState {
        Expired = "expired",
        Public = "public",
        Withdrawn = "withdrawn",
    }
}

impl Kept {
    fn report(&mut self, by: By<CustodyReport>) {
        let (id, report) = (by.id, &by.what);
        match (report.event, &report.until) {
            (CustodyEvent::Retained, Some(until)) => self.until = Some((id, until.clone())),
            // Of one clip only, the others are still kept.
            (CustodyEvent::Deleted, _) if report.clip.is_none() => self.until = None,
            (CustodyEvent::NotReceived | CustodyEvent::Unreadable, _) => self.failed.push(id),
            _ => {}
        }
        self.reports.push(by);
    }
}

impl Record {
    pub(super) fn collect(
        &mut self,
        disclosure: &StatementId,
        id: StatementId,
        logged_at: Time,
        by: Author,
    ) {
        let limits = self.limits_at(logged_at);
        let days = limits.map_or(0, |limits| limits.custody_days);
        let answer_by = later(&Day::of(logged_at), days.into());
        if let Some(given) = self.given.get_mut(disclosure) {
            given.collected = Some(Collected {
                id,
                logged_at,
                by,
                answer_by,
            });
        }
    }

    pub(super) fn custody(&mut self, by: By<CustodyReport>) {
        if let Some(given) = self.given.get_mut(&by.what.about) {
            given.kept.report(by);
        } else if let Some(demand) = self.demands.find_mut(&by.what.about) {
            demand.kept.report(by);
        }
    }
}
