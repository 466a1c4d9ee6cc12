//! What a party asked for and took, and what it keeps sealed.

use super::Of;
use crate::record::compelled::Match;
use crate::record::report::parts::{offence, offences};
use crate::record::report::transparency::{affected, cites};
use crate::record::report::{Cell, Row, Table, giving, speaks};
use crate::record::{Asked, Demand, Sealed};
use crate::statement::kinds::custody_report::CustodyReport;
use crate::statement::words::listed;

impl<'a> Of<'a> {
    pub(super) fn asked(&self) -> impl Iterator<Item = &'a Asked> {
        let party = self.party;
        let all = self.record.requests.iter();
        all.filter(move |asked| speaks(&asked.agency, party))
    }

    pub(super) fn requests(&self) -> Table {
        let rows = self.asked().map(|asked| {
            let request = &asked.request;
            let given: Vec<_> = self.record.given_for(&asked.id).collect();
            let clips: u64 = given.iter().map(|given| given.clips).sum();
            let state = match &asked.closed {
                Some(closed) => closed.what.code(),
                None if request.deadline > self.now => "open",
                None => "over",
            };
            let cells = [
                asked.logged_at.into(),
                request.kind.code().into(),
                offence(&request.offence).into(),
                request.jurisdiction.to_string().into(),
                request.window_minutes.into(),
                request.area_m2.into(),
                state.into(),
                given.len().into(),
                clips.into(),
                asked.collected.into(),
                asked.withdrawn.into(),
                self.case_number(asked),
            ];
            let given = given.iter().map(|given| given.id);
            let closed = asked.closed.as_ref().map(|closed| closed.id);
            let cites = [asked.id].into_iter().chain(given).chain(closed);
            self.record.row(cells, &cites.collect::<Vec<_>>())
        });
        Table::new(
            "requests",
            "Requests to residents",
            [
                "logged_at",
                "kind",
                "offence",
                "jurisdiction",
                "minutes",
                "area_m2",
                "state",
                "disclosures",
                "clips",
                "collected",
                "withdrawn",
                "case_number",
            ],
            rows.collect(),
        )
    }

    fn case_number(&self, asked: &Asked) -> Cell {
        match self.record.sealed(&asked.request.sealed.case_number.digest) {
            None => Cell::Blank,
            Some(sealed) => match self.seal_state(sealed) {
                State::Opened => "public".into(),
                State::Erased => "destroyed".into(),
                State::Sealed(until) => Cell::Sealed(until),
            },
        }
    }

    /// Demands of it, or upon it.
    pub(super) fn demanded(&self) -> impl Iterator<Item = &'a Demand> {
        let (record, party) = (self.record, self.party);
        record.demands.iter().filter(move |demand| {
            let what = &demand.by.what;
            what.agency.as_ref() == Some(party) || record.upon(what) == Some(party)
        })
    }

    pub(super) fn demands(&self) -> Table {
        let mut rows: Vec<Row> = self
            .demanded()
            .map(|demand| {
                let what = &demand.by.what;
                let outcomes: Vec<_> = demand.responses.iter().map(|r| r.what.outcome).collect();
                let gave = demand.given().is_some();
                let told = match (gave, demand.told(), demand.tell_by()) {
                    (_, true, _) => "yes".to_owned(),
                    (true, false, Some(day)) => format!("due {day}"),
                    _ => String::new(),
                };
                let upon = self.record.upon(what);
                let cells = [
                    (&what.served_on).into(),
                    match (what.received, what.process) {
                        (Some(band), process) => format!("{process}, {band}").into(),
                        (None, process) => process.code().into(),
                    },
                    what.agency
                        .as_ref()
                        .map(|party| self.record.name(party))
                        .into(),
                    upon.map(|party| self.record.name(party)).into(),
                    offences(&what.offences).into(),
                    if what.content { "yes" } else { "no" }.into(),
                    (!outcomes.is_empty()).then(|| listed(&outcomes)).into(),
                    match gave {
                        true => Cell::Band(affected(demand)),
                        false => Cell::Blank,
                    },
                    (!told.is_empty()).then_some(told).into(),
                    demand.matched(self.now).plain().into(),
                ];
                self.record.row(cells, &cites(&[demand]))
            })
            .collect();
        let unasked = giving(&self.record.unasked).filter(|response| {
            speaks(&response.author, self.party)
                || response.what.agency.as_ref() == Some(self.party)
        });
        rows.extend(unasked.map(|response| {
            let what = &response.what;
            let cells = [
                (&what.effective_on).into(),
                "no demand on record".into(),
                what.agency
                    .as_ref()
                    .map(|party| self.record.name(party))
                    .into(),
                self.by(&response.author).into(),
                Cell::Blank,
                Cell::Blank,
                what.outcome.code().into(),
                Cell::Band(what.accounts.into()),
                Cell::Blank,
                Match::NoDemand.plain().into(),
            ];
            self.record.row(cells, &[response.id])
        }));
        Table::new(
            "demands",
            "Legal demands, with both sides held against each other",
            [
                "served_on",
                "process",
                "agency",
                "upon",
                "offence",
                "content_demanded",
                "outcome",
                "accounts",
                "those_concerned_told",
                "two_sides",
            ],
            rows,
        )
    }

    pub(super) fn custody(&self) -> Table {
        let reports = self.record.custody_reports();
        let rows = reports
            .filter(|by| speaks(&by.author, self.party))
            .map(|by| {
                let CustodyReport {
                    about,
                    event,
                    clip,
                    shared_with,
                    shared_with_party,
                    until,
                    basis,
                    effective_on,
                } = &by.what;
                let cells = [
                    effective_on.into(),
                    event.code().into(),
                    self.record.entry(about),
                    clip.map_or("all".into(), Cell::from),
                    shared_with.map(|with| with.code()).into(),
                    shared_with_party
                        .as_ref()
                        .map(|party| self.record.name(party))
                        .into(),
                    until.as_ref().into(),
                    basis.map(|basis| basis.code()).into(),
                ];
                self.record.row(cells, &[by.id, *about])
            });
        Table::new(
            "custody",
            "What it says of footage that it took",
            [
                "day",
                "event",
                "about_entry",
                "clip",
                "shared_with",
                "recipient_name",
                "kept_until",
                "basis",
            ],
            rows.collect(),
        )
    }

    pub(super) fn sealed(&self) -> impl Iterator<Item = &'a Sealed> {
        let party = self.party;
        let all = self.record.seals.values();
        all.filter(move |sealed| speaks(&sealed.author, party))
    }

    fn seal_state(&self, sealed: &Sealed) -> State {
        match (&sealed.opened, &sealed.erased) {
            (Some(_), _) => State::Opened,
            (None, Some(_)) => State::Erased,
            (None, None) if sealed.is_overdue(self.now) => {
                State::Sealed(format!("overdue since {}", sealed.open_by))
            }
            (None, None) => State::Sealed(format!("until {}", sealed.open_by)),
        }
    }

    pub(super) fn seals(&self) -> Table {
        let mut all: Vec<&Sealed> = self.sealed().collect();
        all.sort_by_key(|sealed| self.record.index(&sealed.statement));
        let rows = all.into_iter().map(|sealed| {
            let state = match self.seal_state(sealed) {
                State::Opened => "opened".into(),
                State::Erased => "what opens it was destroyed".into(),
                State::Sealed(until) => Cell::Sealed(until),
            };
            let cells = [
                self.record.entry(&sealed.statement),
                sealed.name.replace('_', " ").into(),
                (&sealed.open_by).into(),
                state,
            ];
            let opened = sealed.opened.as_ref().map(|(id, _)| *id);
            let erased = sealed.erased.as_ref().map(|(id, _)| *id);
            let cites = [sealed.statement].into_iter().chain(opened).chain(erased);
            self.record.row(cells, &cites.collect::<Vec<_>>())
        });
        Table::new(
            "seals",
            "Sealed fields",
            ["entry", "field", "due", "state"],
            rows.collect(),
        )
    }
}

/// What became of a sealed field.
enum State {
    Opened,
    Erased,
    /// Until when, or since when it is overdue.
    Sealed(String),
}
