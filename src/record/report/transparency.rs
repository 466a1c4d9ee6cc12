//! The tables of GitHub's transparency reports, which are the field's machine-readable ones, of what
//! the log holds: the same names, columns and types as far as they map, and what they lack beside
//! them.

use std::collections::BTreeSet;

use clap::ValueEnum as _;

use super::countries::country;
use super::{
    Basis, Cell, Period, Range, Report, Section, Table, Why, Year, covered, covers, giving, speaks,
};
use crate::digest::StatementId;
use crate::record::{Asked, By, Demand, Record};
use crate::statement::kinds::access_request::RequestKind;
use crate::statement::kinds::demand_response::DemandResponse;
use crate::statement::kinds::legal_demand::{EmergencyGround, ProcessKind};
use crate::statement::words::{Day, PartyId};

/// Types of requests by the process that they are of.
const TYPES: [(&str, ProcessKind); 6] = [
    (
        "criminal or government agency subpoena",
        ProcessKind::Subpoena,
    ),
    ("criminal court order", ProcessKind::CourtOrder),
    ("criminal search warrant", ProcessKind::SearchWarrant),
    ("cross-border request", ProcessKind::Foreign),
    ("exigent circumstances", ProcessKind::Emergency),
    ("preservation request", ProcessKind::Preservation),
];

/// The transparency report of everybody who is to answer demands in this log, or of one of them.
///
/// Without a `period`, of each year in which something came in.
pub fn transparency(
    record: &Record,
    basis: Basis,
    period: Option<Period>,
    upon: Option<&PartyId>,
) -> Report {
    let view = View { record, upon };
    let (periods, halves) = match period {
        None => {
            let days = view.days();
            let year = |day: &Day| Year::of(day).into();
            let halves = covered(&basis, &days, Period::half_of);
            (covered(&basis, &days, year), halves)
        }
        Some(period) if period.half.is_some() => (vec![period], vec![period]),
        Some(period) => {
            let mut halves = period.year.halves().to_vec();
            halves.retain(|half| half.has_begun(basis.at));
            (vec![period], halves)
        }
    };
    // By the year, such tables have no halves.
    let yearly = |table: Table| match period.and_then(|period| period.half) {
        None => table.without("half"),
        Some(_) => table,
    };
    let tables = vec![
        yearly(view.received(&periods)),
        yearly(view.accounts(&periods)),
        view.notifications(&halves),
        view.national(&halves),
        yearly(view.foreign(&periods)),
        view.emergencies(&halves),
        view.voluntary(&halves),
    ];
    let whose = upon.map_or("all who are to answer".to_owned(), |upon| record.name(upon));
    Report {
        name: "transparency",
        title: format!("Transparency report: {whose}"),
        notes: covers(&basis, periods),
        basis,
        sections: vec![Section {
            heading: None,
            of: Vec::new(),
            tables,
        }],
    }
}

/// Year and half as cells; blank for a whole year.
fn when(period: Period) -> [Cell; 2] {
    let half = period.half.map(super::Half::number);
    [period.year.to_string().into(), half.into()]
}

struct View<'a> {
    record: &'a Record,
    upon: Option<&'a PartyId>,
}

impl<'a> View<'a> {
    fn demands(&self) -> impl Iterator<Item = &'a Demand> {
        let (record, upon) = (self.record, self.upon);
        let all = record.demands.iter();
        all.filter(move |demand| upon.is_none() || record.upon(&demand.by.what) == upon)
    }

    fn served(&self, period: Period) -> impl Iterator<Item = &'a Demand> {
        let all = self.demands();
        all.filter(move |demand| period.contains(&demand.by.what.served_on))
    }

    /// Demands by when something was given for them first.
    fn disclosed(&self, period: Period) -> impl Iterator<Item = &'a Demand> {
        self.demands().filter(move |demand| {
            let first = giving(&demand.responses)
                .map(|r| &r.what.effective_on)
                .min();
            first.is_some_and(|day| period.contains(day))
        })
    }

    /// What was given for demands that no entry holds.
    fn unasked(&self) -> impl Iterator<Item = &'a By<DemandResponse>> {
        let upon = self.upon;
        let all = giving(&self.record.unasked);
        all.filter(move |r| upon.is_none_or(|upon| speaks(&r.author, upon)))
    }

    /// Requests to residents; of one party, those under its agreements.
    fn asked(&self) -> impl Iterator<Item = &'a Asked> {
        let (record, upon) = (self.record, self.upon);
        record.requests.iter().filter(move |asked| {
            let chain = record.agreements.find(&asked.request.agreement);
            upon.is_none_or(|upon| chain.is_some_and(|chain| chain.parties.contains(upon)))
        })
    }

    /// Days on which something came in or was given.
    fn days(&self) -> BTreeSet<Day> {
        let served = self.demands().map(|demand| &demand.by.what.served_on);
        let responses = self.demands().flat_map(|demand| giving(&demand.responses));
        let given = responses
            .chain(self.unasked())
            .map(|r| &r.what.effective_on);
        let asked = self.asked().map(|asked| Day::of(asked.logged_at));
        served.chain(given).cloned().chain(asked).collect()
    }

    fn received(&self, periods: &[Period]) -> Table {
        let mut rows = Vec::new();
        for period in periods {
            let [year, half] = when(*period);
            let mut push = |name: &str, received: Cell, disclosed: Cell, cites: &[StatementId]| {
                let cells = [year.clone(), half.clone(), name.into(), received, disclosed];
                rows.push(self.record.row(cells, cites));
            };
            for (name, process) in TYPES {
                let all = self.served(*period);
                let all: Vec<&Demand> = all.filter(|d| d.by.what.process == process).collect();
                let disclosed = all.iter().filter(|d| d.given().is_some()).count();
                push(name, all.len().into(), disclosed.into(), &cites(&all));
            }
            push("civil subpoena", Why::Civil.into(), Why::Civil.into(), &[]);
            let unasked = self.unasked();
            let unasked = unasked.filter(|r| period.contains(&r.what.effective_on));
            let unasked: Vec<StatementId> = unasked.map(|r| r.id).collect();
            let none = "no request on record";
            push(none, Why::WhoAsked.into(), unasked.len().into(), &unasked);
        }
        Table::new(
            "requests_received_and_disclosed",
            "Legal demands received and disclosed",
            [
                "year",
                "half",
                "type",
                "count_requests_received",
                "count_disclosed",
            ],
            rows,
        )
        .noting(&[
            "Received: by the day served. Disclosed: those of them that were answered in full or in part by now; \
             of preservation requests, where something was kept, not given.",
            "Of demands with no response on record nobody has told yet what was given: `log reconcile` lists them.",
            "Demands of national security are in bands of 250, in their own table.",
        ])
    }

    fn accounts(&self, periods: &[Period]) -> Table {
        let row = |period: &Period| {
            let all = self.served(*period);
            let all: Vec<&Demand> = all.filter(|d| discloses(d)).collect();
            let accounts = all.iter().map(|demand| affected(demand)).sum();
            let [year, half] = when(*period);
            let cells = [year, half, Cell::Band(accounts)];
            self.record.row(cells, &cites(&all))
        };
        Table::new(
            "requests_accounts_affected",
            "Accounts affected",
            ["year", "half", "count_accounts_affected"],
            periods.iter().map(row).collect(),
        )
        .noting(&[
            "The log has bands: the sum of the least and of the most that each demand's responses tell of. An \
             account that two demands concern counts twice, as in such reports elsewhere; responses to one demand \
             may be about the same accounts.",
        ])
    }

    fn notifications(&self, halves: &[Period]) -> Table {
        let mut rows = Vec::new();
        for half in halves {
            let all: Vec<&Demand> = self.disclosed(*half).filter(|d| discloses(d)).collect();
            for name in NOTIFIED {
                let all = all.iter().copied();
                let all: Vec<&Demand> = all.filter(|demand| notified(demand) == name).collect();
                let [year, half] = when(*half);
                let cells = [year, half, name.into(), all.len().into()];
                rows.push(self.record.row(cells, &cites(&all)));
            }
        }
        Table::new(
            "user_notifications_of_legal_request_disclosures_by_calendar_year_half",
            "Whether those concerned were told",
            ["year", "half", "type", "count"],
            rows,
        )
        .noting(&[
            "Demands by the half in which something was first given, each once: told; else an emergency; else put \
             off by a court's order; else put off with no court's order on record; else nothing on record.",
        ])
    }

    fn national(&self, halves: &[Period]) -> Table {
        let mut rows = Vec::new();
        for half in halves {
            let all = self.served(*half);
            let all = all.filter(|d| d.by.what.process == ProcessKind::NationalSecurity);
            let all: Vec<&Demand> = all.collect();
            let received = all.iter().filter_map(|d| d.by.what.received);
            let received: Range = received.map(Range::from).sum();
            let months = half.half.map(super::Half::months);
            let received = match all.as_slice() {
                [] => Cell::from(Why::NationalDemands),
                _ => Cell::NationalBand(received),
            };
            for (name, count) in [
                ("National security letters and orders received", received),
                ("Affected accounts", Why::NationalAccounts.into()),
            ] {
                let year = half.year.to_string().into();
                let cells = [year, months.into(), name.into(), count];
                rows.push(self.record.row(cells, &cites(&all)));
            }
        }
        Table::new(
            "national_security_letters_and_orders",
            "National security",
            ["year", "month_range", "type", "count"],
            rows,
        )
        .noting(&[
            "Bands of 250 are all that may be told. Several statements in one half add up to the sum of their least \
             and of their most.",
        ])
    }

    fn foreign(&self, periods: &[Period]) -> Table {
        let mut rows = Vec::new();
        for period in periods {
            let all = self.served(*period);
            let all: Vec<&Demand> = all
                .filter(|d| d.by.what.process == ProcessKind::Foreign)
                .collect();
            let countries: BTreeSet<(&str, &str)> = all
                .iter()
                .map(|d| country(&d.by.what.jurisdiction))
                .collect();
            for (code, name) in countries {
                let from = |d: &&Demand| country(&d.by.what.jurisdiction).0 == code;
                let some: Vec<&Demand> = all.iter().copied().filter(from).collect();
                let [year, half] = when(*period);
                let cells = [year, half, name.into(), code.into(), some.len().into()];
                rows.push(self.record.row(cells, &cites(&some)));
            }
        }
        Table::new(
            "cross_border_data_requests",
            "Demands from other countries",
            [
                "year",
                "half",
                "government",
                "government_iso2_code",
                "count",
            ],
            rows,
        )
    }

    fn emergencies(&self, halves: &[Period]) -> Table {
        let mut rows = Vec::new();
        for half in halves {
            for ground in EmergencyGround::value_variants() {
                let all = self.served(*half);
                let all: Vec<&Demand> = all
                    .filter(|d| d.by.what.emergency == Some(*ground))
                    .collect();
                let disclosed = all.iter().filter(|d| d.given().is_some()).count();
                let told = all.iter().filter(|d| d.told()).count();
                let [year, half] = when(*half);
                let cells = [
                    year,
                    half,
                    ground.code().into(),
                    all.len().into(),
                    disclosed.into(),
                    told.into(),
                ];
                rows.push(self.record.row(cells, &cites(&all)));
            }
        }
        Table::new(
            "emergency_disclosures",
            "Emergencies, where the holder decides in good faith and no court is asked",
            [
                "year",
                "half",
                "ground",
                "count_requests_received",
                "count_disclosed",
                "count_told",
            ],
            rows,
        )
    }

    fn voluntary(&self, halves: &[Period]) -> Table {
        let mut rows = Vec::new();
        for half in halves {
            for kind in RequestKind::value_variants() {
                let all = self.asked();
                let all = all.filter(|a| half.has(a.logged_at) && a.request.kind == *kind);
                let all: Vec<_> = all.collect();
                let given = all.iter().flat_map(|a| self.record.given_for(&a.id));
                let given: Vec<_> = given.collect();
                let minutes = all.iter().map(|a| u64::from(a.request.window_minutes));
                let collected = given.iter().filter(|g| g.collected.is_some()).count();
                let clips: u64 = given.iter().map(|g| g.clips).sum();
                let ids = all.iter().map(|a| a.id).chain(given.iter().map(|g| g.id));
                let [year, half] = when(*half);
                let cells = [
                    year,
                    half,
                    kind.code().into(),
                    all.len().into(),
                    minutes.sum::<u64>().into(),
                    given.len().into(),
                    clips.into(),
                    collected.into(),
                    Why::Refusals.into(),
                ];
                rows.push(self.record.row(cells, &ids.collect::<Vec<_>>()));
            }
        }
        Table::new(
            "voluntary_requests",
            "Requests to residents, without legal process",
            [
                "year",
                "half",
                "kind",
                "count_requests",
                "minutes_asked",
                "count_disclosures",
                "count_clips",
                "count_collected",
                "count_refused",
            ],
            rows,
        )
        .noting(&["By the half in which the request was logged; what was given for it by now."])
    }
}

/// How those concerned by a disclosure came to know, or did not.
const TOLD: &str = "notification";
const EXIGENT: &str = "exigent circumstances";
const ORDERED: &str = "gag order";
const DELAYED: &str = "delayed without a court's order";
const NOTHING: &str = "nothing on record";
const NOTIFIED: [&str; 5] = [TOLD, EXIGENT, ORDERED, DELAYED, NOTHING];

/// One of [`NOTIFIED`].
fn notified(demand: &Demand) -> &'static str {
    match () {
        () if demand.told() => TOLD,
        () if demand.by.what.process == ProcessKind::Emergency => EXIGENT,
        () if !demand.orders.is_empty() => ORDERED,
        () if !demand.notices.is_empty() => DELAYED,
        () => NOTHING,
    }
}

/// Whether something was given for a demand: not kept only, nor told in bands of 250.
pub(super) fn discloses(demand: &Demand) -> bool {
    let process = demand.by.what.process;
    let told_elsewhere = matches!(
        process,
        ProcessKind::Preservation | ProcessKind::NationalSecurity
    );
    demand.given().is_some() && !told_elsewhere
}

/// How many accounts something was given about: its responses may be about the same ones.
pub(super) fn affected(demand: &Demand) -> Range {
    let accounts = giving(&demand.responses).map(|r| Range::from(r.what.accounts));
    Range::union(accounts)
}

/// Demands with all that a figure about them rests on.
pub(super) fn cites(demands: &[&Demand]) -> Vec<StatementId> {
    let one = |demand: &&Demand| {
        let responses = demand.responses.iter().map(|by| by.id);
        let notices = demand.notices.iter().map(|by| by.id);
        let orders = demand.orders.iter().map(|(id, _)| *id);
        let all = [demand.by.id].into_iter();
        all.chain(responses)
            .chain(notices)
            .chain(orders)
            .collect::<Vec<_>>()
    };
    demands.iter().flat_map(one).collect()
}
