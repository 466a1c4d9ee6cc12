//! The annual surveillance reports of two cities' ordinances, for every agency and year.
//!
//! Each ordinance lists what a report includes; each of its items is answered by the same groups of
//! figures ([`figures`]), so that two cities' reports agree.

mod figures;

use std::collections::BTreeSet;

use super::{Basis, Cell, Period, Record, Report, Row, Section, Table, Year, covers};
use crate::record::findings::Finding;
use crate::statement::words::{Day, PartyId, PartyKind};
use figures::{Figures, Group};

/// Whose report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordinance {
    /// Oakland Municipal Code, 9.64.010 and 9.64.040.
    Oakland,
    /// San Francisco Administrative Code, 19B.1 and 19B.6.
    SanFrancisco,
}

/// An item of an ordinance: its letter or number, what it asks for, and what answers it.
type Item = (&'static str, &'static str, &'static [Group]);

const OAKLAND: &[Item] = &[
    (
        "A",
        "How it was used, and the type and quantity of data gathered",
        &[Group::Use],
    ),
    (
        "B",
        "How often data was shared with whom, of which type, under which legal standard, and why",
        &[Group::Sharing],
    ),
    (
        "C",
        "What hardware was installed upon, and what data sources software was applied to",
        &[Group::Sources],
    ),
    (
        "D",
        "Where it was deployed, by police area",
        &[Group::Places],
    ),
    (
        "E",
        "Complaints and concerns, and whether the use policy protects civil rights",
        &[Group::Complaints, Group::Adequacy],
    ),
    (
        "F",
        "Internal audits, violations, and actions taken in response",
        &[Group::Violations],
    ),
    (
        "G",
        "Breaches and other unauthorised access",
        &[Group::Breaches],
    ),
    (
        "H",
        "Whether it has been effective, with crime statistics",
        &[Group::Effectiveness],
    ),
    (
        "I",
        "Public records requests, and response rates",
        &[Group::RecordsRequests],
    ),
    (
        "J",
        "Total annual costs, and the source of funding for the coming year",
        &[Group::Costs],
    ),
    (
        "K",
        "Requested modifications to the use policy, and why",
        &[Group::Modifications],
    ),
];

const SAN_FRANCISCO: &[Item] = &[
    ("1", "How it was used", &[Group::Use, Group::Places]),
    (
        "2",
        "How often data was shared with whom, of which type, under which legal standard, and why",
        &[Group::Sharing],
    ),
    (
        "3",
        "Complaints and concerns from the public",
        &[Group::Complaints],
    ),
    (
        "4",
        "Internal audits, violations, and actions taken in response",
        &[Group::Violations, Group::Breaches],
    ),
    (
        "5",
        "Whether it has been effective, with crime statistics",
        &[Group::Effectiveness],
    ),
    (
        "6",
        "Public Records Act requests",
        &[Group::RecordsRequests],
    ),
    (
        "7",
        "Total annual costs, and the source of funding for the coming year",
        &[Group::Costs],
    ),
    (
        "8",
        "Requested modifications to the policy, and why",
        &[Group::Modifications],
    ),
    (
        "9",
        "What hardware was installed upon, and what data sources software was applied to",
        &[Group::Sources],
    ),
    (
        "10",
        "Products and services acquired, with models, and who provides them",
        &[Group::Products],
    ),
];

impl Ordinance {
    fn items(self) -> &'static [Item] {
        match self {
            Self::Oakland => OAKLAND,
            Self::SanFrancisco => SAN_FRANCISCO,
        }
    }

    /// The name of its report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oakland => "oakland-9.64",
            Self::SanFrancisco => "san-francisco-19b",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Oakland => "Annual surveillance report, Oakland Municipal Code 9.64.040",
            Self::SanFrancisco => {
                "Annual surveillance report, San Francisco Administrative Code 19B.6"
            }
        }
    }
}

/// The annual report of one agency, or of each that asked for or was given something; of one year, or
/// of each in which it did.
pub fn annual(
    record: &Record,
    findings: &[Finding],
    basis: Basis,
    ordinance: Ordinance,
    year: Option<Year>,
    agency: Option<&PartyId>,
) -> Report {
    let mut sections = Vec::new();
    let mut periods = BTreeSet::new();
    let agencies = record.parties.keys();
    let agencies = agencies.filter(|party| record.kind(party) == Some(PartyKind::Agency));
    for party in agencies.filter(|party| agency.is_none_or(|agency| agency == *party)) {
        let active = years(record, party);
        let covered: Vec<Year> = match year {
            None => active.into_iter().collect(),
            // Who is asked for is answered for, nothing or not.
            Some(year) if agency.is_some() || active.contains(&year) => vec![year],
            Some(_) => Vec::new(),
        };
        for year in covered {
            let period = Period::from(year);
            periods.insert(period);
            let figures = Figures {
                record,
                agency: party,
                period,
                findings,
            };
            sections.push(section(&figures, ordinance));
        }
    }
    let mut notes = covers(&basis, periods);
    if sections.is_empty() {
        notes.push("No agency did or was given anything in this time.".to_owned());
    }
    notes.push(
        "The technology is private cameras, whose owners are asked for footage or made to give it. \
         What the log cannot know, the agency must add."
            .to_owned(),
    );
    Report {
        name: ordinance.name(),
        title: ordinance.title().to_owned(),
        basis,
        notes,
        sections,
    }
}

/// Years in which an agency asked for, was given, reported or received something.
fn years(record: &Record, agency: &PartyId) -> BTreeSet<Year> {
    let mut days: BTreeSet<Day> = BTreeSet::new();
    let mine = |author: &_| super::speaks(author, agency);
    let asked = record.requests.iter().filter(|asked| mine(&asked.agency));
    days.extend(asked.map(|asked| Day::of(asked.logged_at)));
    for (_, given) in record
        .disclosures()
        .filter(|(asked, _)| mine(&asked.agency))
    {
        days.insert(Day::of(given.logged_at));
        days.extend(given.collected.iter().map(|c| Day::of(c.logged_at)));
    }
    for demand in &record.demands {
        if demand.by.what.agency.as_ref() == Some(agency) {
            days.insert(demand.by.what.served_on.clone());
            days.extend(demand.responses.iter().map(|r| r.what.effective_on.clone()));
        }
    }
    let reports = record.custody_reports().filter(|by| mine(&by.author));
    days.extend(reports.map(|by| by.what.effective_on.clone()));
    for reported in &record.benefits {
        let benefit = &reported.benefit;
        if benefit.giver == *agency || benefit.receiver == *agency {
            days.insert(benefit.effective_on.clone());
        }
    }
    for chain in &record.agreements {
        if chain.parties.contains(agency) {
            days.extend(chain.steps.iter().map(|step| Day::of(step.logged_at)));
        }
    }
    days.iter().map(Year::of).collect()
}

fn section(figures: &Figures<'_>, ordinance: Ordinance) -> Section {
    let mut rows = Vec::new();
    for (item, asks, groups) in ordinance.items() {
        for group in *groups {
            for figure in figures.of(*group) {
                let mut cells: Vec<Cell> = vec![(*item).into(), (*asks).into()];
                cells.extend(figure.cells);
                let entries = figure.entries;
                rows.push(Row { cells, entries });
            }
        }
    }
    let mut items = Table::new(
        "items",
        "What the ordinance asks for",
        ["item", "asks", "figure", "of", "answer"],
        Vec::new(),
    );
    items.rows = rows;
    items.grouped = 2;
    let (agency, year) = (figures.agency, figures.period.year);
    let name = figures.record.name(agency);
    Section {
        heading: Some(format!("{name} ({agency}), {year}")),
        of: vec![
            ("agency", agency.to_string().into()),
            ("name", name.into()),
            ("year", year.to_string().into()),
        ],
        tables: vec![
            items,
            figures.acquired(),
            figures.shared_with(),
            figures.benefits(),
            figures.violations(),
        ],
    }
}
