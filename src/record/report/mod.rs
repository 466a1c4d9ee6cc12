//! Reports: what a log's entries say, as the tables that transparency reports, ordinances and
//! newspapers have. Anyone who replays the log comes to the same ones.
//!
//! Pure: of a [`Record`], the time, and nothing else; what rests on openings of sealed fields is not
//! in them. Each row names the entries that it rests on. What the log cannot know is said to be
//! unknown, and why ([`Why`]); what it holds in bands stays in bands ([`Range`]). Definitions of all
//! figures: `docs/REPORTS.md`.

mod annual;
mod card;
mod cell;
mod countries;
mod parts;
mod period;
mod render;
mod transparency;
mod why;

use std::collections::{BTreeMap, BTreeSet};

pub use annual::{Ordinance, annual};
pub use card::{CardKind, card};
pub use cell::{Cell, Range};
pub use period::{Half, HalfError, Period, Year, YearError};
pub use render::{csv, csv_about, grouped, json, markdown};
pub use transparency::transparency;
pub use why::Why;

use super::{By, Record, Reported};
use crate::digest::StatementId;
use crate::statement::Author;
use crate::statement::kinds::custody_report::CustodyReport;
use crate::statement::kinds::demand_response::{DemandResponse, Outcome};
use crate::statement::kinds::legal_demand::LegalDemand;
use crate::statement::words::{Day, PartyId};
use crate::time::Time;

/// What a report rests on: a checkpoint, and what it says of time.
#[derive(Debug, Clone)]
pub struct Basis {
    pub origin: String,
    /// Entries under the checkpoint.
    pub size: u64,
    /// The root hash, as checkpoints write it.
    pub root: String,
    /// The checkpoint's time, by its witnesses.
    pub at: Time,
    /// When entry 0 was logged.
    pub begins: Option<Time>,
    /// Entries that the rules forbid, and which count for nothing.
    pub forbidden: u64,
}

/// A report.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its kind, such as `transparency`.
    pub name: &'static str,
    pub title: String,
    pub basis: Basis,
    /// What readers must know about all of it.
    pub notes: Vec<String>,
    pub sections: Vec<Section>,
}

/// A part of a report, with the same tables as the others.
#[derive(Debug, Clone)]
pub struct Section {
    /// For people; none where a report has one section.
    pub heading: Option<String>,
    /// What it is about: names and values. Empty where a report has one section.
    pub of: Vec<(&'static str, Cell)>,
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Such as `requests_received_and_disclosed`.
    pub name: &'static str,
    pub title: &'static str,
    pub columns: Vec<&'static str>,
    /// So many of its first columns are the same for rows that belong together.
    pub grouped: usize,
    pub rows: Vec<Row>,
    pub notes: Vec<&'static str>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// As many as the table has columns.
    pub cells: Vec<Cell>,
    /// Places in the log of the statements that it rests on, ascending.
    pub entries: Vec<u64>,
}

impl Report {
    /// The names of its tables.
    pub fn tables(&self) -> Vec<&'static str> {
        let tables = self.sections.iter().flat_map(|section| &section.tables);
        let mut names: Vec<&'static str> = Vec::new();
        for table in tables {
            if !names.contains(&table.name) {
                names.push(table.name);
            }
        }
        names
    }

    /// Leaves only tables of these names.
    pub fn retain(&mut self, names: &[String]) {
        for section in &mut self.sections {
            section
                .tables
                .retain(|table| names.iter().any(|name| name == table.name));
        }
    }
}

impl Table {
    fn new<const N: usize>(
        name: &'static str,
        title: &'static str,
        columns: [&'static str; N],
        rows: Vec<Row>,
    ) -> Self {
        debug_assert!(rows.iter().all(|row| row.cells.len() == N), "{name}");
        Self {
            name,
            title,
            columns: columns.to_vec(),
            grouped: 0,
            rows,
            notes: Vec::new(),
        }
    }

    fn without(mut self, column: &str) -> Self {
        if let Some(at) = self.columns.iter().position(|known| *known == column) {
            self.columns.remove(at);
            for row in &mut self.rows {
                row.cells.remove(at);
            }
        }
        self
    }

    fn noting(mut self, notes: &[&'static str]) -> Self {
        self.notes.extend(notes);
        self
    }
}

impl Row {
    /// The entries, apart by `between`.
    fn cites(&self, between: &str) -> String {
        let entries = self.entries.iter().map(u64::to_string);
        entries.collect::<Vec<_>>().join(between)
    }
}

/// Counts statements under a name: the name, and those counted.
#[derive(Debug, Default)]
struct Tally(BTreeMap<String, Vec<StatementId>>);

impl Tally {
    fn count(&mut self, name: impl ToString, id: StatementId) {
        self.0.entry(name.to_string()).or_default().push(id);
    }
}

impl Record {
    fn row<const N: usize>(&self, cells: [Cell; N], cites: &[StatementId]) -> Row {
        let entries = cites.iter().filter_map(|id| self.index(id));
        let entries: BTreeSet<u64> = entries.collect();
        Row {
            cells: cells.to_vec(),
            entries: entries.into_iter().collect(),
        }
    }

    fn entry(&self, id: &StatementId) -> Cell {
        self.index(id).map_or(Cell::Blank, Cell::Entry)
    }

    /// Whether a statement is a party's: it signed it, is a party to what it tells of, or is who
    /// asked for what it gives.
    fn concerns(&self, id: &StatementId, party: &PartyId) -> bool {
        let Some(place) = self.places.get(id) else {
            return false;
        };
        if speaks(&place.author, party) {
            return true;
        }
        if let Some(chain) = self.agreements.find(id) {
            return chain.parties.contains(party);
        }
        if let Some(Reported { benefit, .. }) = self.benefits.find(id) {
            return benefit.giver == *party || benefit.receiver == *party;
        }
        if let Some(demand) = self.demands.find(id) {
            return demand.by.what.agency.as_ref() == Some(party)
                || self.upon(&demand.by.what) == Some(party);
        }
        if let Some(given) = self.given.get(id) {
            let request = given.request.as_ref();
            let asked = request.and_then(|request| self.requests.find(request));
            return asked.is_some_and(|asked| speaks(&asked.agency, party));
        }
        let mut unasked = self.unasked.iter();
        unasked.any(|response| response.id == *id && response.what.agency.as_ref() == Some(party))
    }

    /// Who is to answer a demand.
    fn upon<'a>(&'a self, demand: &'a LegalDemand) -> Option<&'a PartyId> {
        demand.upon.as_ref().or(self.operator())
    }

    /// Disclosures, in the order of the log.
    fn disclosures(&self) -> impl Iterator<Item = (&super::Asked, &super::Given)> {
        let all = self.requests.iter();
        all.flat_map(|asked| self.given_for(&asked.id).map(move |given| (asked, given)))
    }

    /// Custody reports: of what was given, in the order of the log, then of what was demanded.
    fn custody_reports(&self) -> impl Iterator<Item = &By<CustodyReport>> {
        let given = self.disclosures().map(|(_, given)| &given.kept);
        let taken = self.demands.iter().map(|demand| &demand.kept);
        given.chain(taken).flat_map(|kept| &kept.reports)
    }

    /// When a statement was logged.
    fn logged_at(&self, id: &StatementId) -> Option<Time> {
        self.places.get(id).map(|place| place.logged_at)
    }
}

/// Whether a party is, or is among, the authors.
fn speaks(author: &Author, party: &PartyId) -> bool {
    match author {
        Author::Issuer(issuer) => issuer == party,
        Author::Parties(parties) => parties.contains(party),
        Author::OneTimeKey(_) => false,
    }
}

/// Responses that gave something.
fn giving(responses: &[By<DemandResponse>]) -> impl Iterator<Item = &By<DemandResponse>> {
    let gave = |r: &&By<DemandResponse>| matches!(r.what.outcome, Outcome::Full | Outcome::Partial);
    responses.iter().filter(gave)
}

/// Periods that a report without one covers, the later ones first: years (or halves) of the days in
/// which something was done, and all since the log began.
fn covered(basis: &Basis, days: &BTreeSet<Day>, of: fn(&Day) -> Period) -> Vec<Period> {
    let begins = basis.begins.unwrap_or(basis.at);
    let years = Year::of(&Day::of(begins)).to(Year::of(&Day::of(basis.at)));
    let halves = years.flat_map(Year::halves);
    let since = halves.filter(|half| !half.last_day().is_over(begins) && half.has_begun(basis.at));
    let since = since.map(|half| of(&half.first_day()));
    let all: BTreeSet<Period> = days.iter().map(of).chain(since).collect();
    all.into_iter().rev().collect()
}

/// What readers must know of a time that a report covers.
fn covers(basis: &Basis, periods: impl IntoIterator<Item = Period>) -> Vec<String> {
    let mut notes = Vec::new();
    for period in periods {
        let last = period.last_day();
        let first = period.first_day();
        if !last.is_over(basis.at) {
            notes.push(format!("{period} is not over: more may come."));
        }
        if let Some(begins) = basis.begins.filter(|begins| first.is_over(*begins)) {
            let begins = Day::of(begins);
            notes.push(format!(
                "The log begins on {begins}: what came earlier in {period} is in it as far as somebody entered it since."
            ));
        }
    }
    if basis.forbidden > 0 {
        let n = basis.forbidden;
        notes.push(format!(
            "The rules forbid {n} of the entries; they count for nothing (`log verify` names them)."
        ));
    }
    notes
}

#[cfg(test)]
mod tests;
