//! What the log knows of an agency's year, by what ordinances ask about.

mod tables;

use std::collections::BTreeSet;

use super::super::parts::{offence, recipient, unit_cells};
use super::super::transparency::{affected, cites, discloses};
use super::super::{Cell, Period, Range, Record, Row, Tally, Why, giving, speaks};
use crate::digest::StatementId;
use crate::record::accounts::{Account, Posting, Unit};
use crate::record::compelled::Demand;
use crate::record::custody::Given;
use crate::record::findings::Finding;
use crate::record::{Asked, By};
use crate::statement::kinds::agreement::{Instrument, Status};
use crate::statement::kinds::annotation::Remark;
use crate::statement::kinds::custody_report::{CustodyEvent, CustodyReport};
use crate::statement::kinds::key_change::RevocationReason;
use crate::statement::kinds::request_closing::ClosingOutcome;
use crate::statement::words::PartyId;

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Group {
    Use,
    Sharing,
    Sources,
    Places,
    Complaints,
    Adequacy,
    Violations,
    Breaches,
    Effectiveness,
    RecordsRequests,
    Costs,
    Modifications,
    Products,
}

/// An agency's year.
pub(super) struct Figures<'a> {
    pub record: &'a Record,
    pub agency: &'a PartyId,
    pub period: Period,
    /// All of the log.
    pub findings: &'a [Finding],
}

/// Figures in the making.
struct Sheet<'a> {
    record: &'a Record,
    rows: Vec<Row>,
}

impl Sheet<'_> {
    /// A figure, of some part of it, with its answer and what it rests on.
    fn add(&mut self, figure: &str, of: &str, answer: impl Into<Cell>, cites: &[StatementId]) {
        let of = (!of.is_empty()).then_some(of);
        let cells = [figure.into(), of.into(), answer.into()];
        self.rows.push(self.record.row(cells, cites));
    }

    fn unknown(&mut self, figure: &str, why: Why) {
        self.add(figure, "", why, &[]);
    }

    /// One figure for each name.
    fn tally(&mut self, figure: &str, tally: Tally) {
        for (name, ids) in tally.0 {
            self.add(figure, &name, ids.len(), &ids);
        }
    }
}

impl<'a> Figures<'a> {
    /// The figures of a group, each `[figure, of, answer]`.
    pub fn of(&self, group: Group) -> Vec<Row> {
        let mut sheet = Sheet {
            record: self.record,
            rows: Vec::new(),
        };
        match group {
            Group::Use => self.usage(&mut sheet),
            Group::Sharing => self.sharing(&mut sheet),
            Group::Sources => self.sources(&mut sheet),
            Group::Places => self.places(&mut sheet),
            Group::Complaints => self.complaints(&mut sheet),
            Group::Adequacy => {
                sheet.unknown("Whether the use policy is adequate", Why::Judgement);
                sheet.unknown("Race of each person subject to it", Why::Personal);
            }
            Group::Violations => self.violated(&mut sheet),
            Group::Breaches => self.breaches(&mut sheet),
            Group::Effectiveness => self.effectiveness(&mut sheet),
            Group::RecordsRequests => {
                sheet.unknown("Public records requests", Why::RecordsRequests);
                sheet.unknown("Response rate", Why::RecordsRequests);
            }
            Group::Costs => self.costs(&mut sheet),
            Group::Modifications => self.modifications(&mut sheet),
            Group::Products => self.products(&mut sheet),
        }
        sheet.rows
    }

    fn asked(&self) -> impl Iterator<Item = &'a Asked> {
        let (agency, period) = (self.agency, self.period);
        let all = self.record.requests.iter();
        all.filter(move |asked| speaks(&asked.agency, agency) && period.has(asked.logged_at))
    }

    /// What residents ever gave this agency.
    fn given(&self) -> impl Iterator<Item = (&'a Asked, &'a Given)> {
        let agency = self.agency;
        let all = self.record.disclosures();
        all.filter(move |(asked, _)| speaks(&asked.agency, agency))
    }

    fn demands(&self) -> impl Iterator<Item = &'a Demand> {
        let (agency, period) = (self.agency, self.period);
        let all = self.record.demands.iter();
        let mine = move |demand: &&Demand| demand.by.what.agency.as_ref() == Some(agency);
        all.filter(mine)
            .filter(move |demand| period.contains(&demand.by.what.served_on))
    }

    fn custody(&self, event: CustodyEvent) -> impl Iterator<Item = &'a By<CustodyReport>> {
        let (agency, period) = (self.agency, self.period);
        let all = self.record.custody_reports();
        all.filter(move |by| {
            let what = &by.what;
            speaks(&by.author, agency) && what.event == event && period.contains(&what.effective_on)
        })
    }

    /// Findings about this agency's statements of this year.
    fn found(&self) -> impl Iterator<Item = &'a Finding> {
        let (record, agency, period) = (self.record, self.agency, self.period);
        self.findings.iter().filter(move |finding| {
            let about = &finding.about;
            let logged_at = record.logged_at(about);
            record.concerns(about, agency) && logged_at.is_some_and(|time| period.has(time))
        })
    }

    /// What was moved from or to this agency this year, with the place of its agreement.
    fn postings(&self) -> Vec<(Option<usize>, Posting)> {
        let chains = self.record.agreements.iter().enumerate();
        let ours = chains.filter(|(_, chain)| chain.parties.contains(self.agency));
        let places = ours.map(|(place, _)| Some(place)).chain([None]);
        let mut all = Vec::new();
        for place in places {
            let postings = Account::of(self.record, place).postings.into_iter();
            let mine = postings.filter(|posting| {
                let ours = posting.from == *self.agency || posting.to == *self.agency;
                ours && self.period.contains(&posting.on)
            });
            all.extend(mine.map(|posting| (place, posting)));
        }
        all.sort_by(|(_, a), (_, b)| a.on.cmp(&b.on));
        all
    }

    fn usage(&self, sheet: &mut Sheet<'_>) {
        let asked: Vec<&Asked> = self.asked().collect();
        let ids: Vec<StatementId> = asked.iter().map(|asked| asked.id).collect();
        sheet.add("Requests to residents", "", asked.len(), &ids);
        let (mut kinds, mut by_offence) = (Tally::default(), Tally::default());
        for asked in &asked {
            kinds.count(asked.request.kind, asked.id);
            by_offence.count(offence(&asked.request.offence), asked.id);
        }
        sheet.tally("Requests by kind", kinds);
        sheet.tally("Requests by offence", by_offence);
        let cases: BTreeSet<_> = asked.iter().map(|a| &a.request.investigation).collect();
        sheet.add("Investigations with requests", "", cases.len(), &ids);
        let minutes = asked.iter().map(|a| u64::from(a.request.window_minutes));
        sheet.add(
            "Minutes of footage asked for",
            "",
            minutes.sum::<u64>(),
            &ids,
        );
        let area = asked.iter().map(|a| u64::from(a.request.area_m2));
        sheet.add(
            "Area asked about, all requests (m²)",
            "",
            area.sum::<u64>(),
            &ids,
        );
        if let Some(largest) = asked.iter().max_by_key(|a| a.request.area_m2) {
            let area = largest.request.area_m2;
            sheet.add(
                "Area asked about, largest request (m²)",
                "",
                area,
                &[largest.id],
            );
        }
        sheet.unknown("Residents asked", Why::WhoIsAsked);

        let given = self.given();
        let given: Vec<&Given> = given
            .map(|(_, given)| given)
            .filter(|given| self.period.has(given.logged_at))
            .collect();
        let ids: Vec<StatementId> = given.iter().map(|given| given.id).collect();
        sheet.add("Disclosures by residents", "", given.len(), &ids);
        let mut kinds = Tally::default();
        for given in &given {
            for kind in &given.gives {
                kinds.count(kind, given.id);
            }
        }
        sheet.tally("Disclosures with data of a type", kinds);
        let clips = given.iter().map(|given| given.clips);
        sheet.add("Clips disclosed by residents", "", clips.sum::<u64>(), &ids);
        let withdrawn = self.given().filter_map(|(_, given)| given.withdrawn);
        let withdrawn = withdrawn.filter(|(_, time)| self.period.has(*time));
        let withdrawn: Vec<StatementId> = withdrawn.map(|(id, _)| id).collect();
        sheet.add("Disclosures withdrawn", "", withdrawn.len(), &withdrawn);
        let taken: Vec<StatementId> = self.collected().map(|(_, _, id)| id).collect();
        sheet.add("Disclosures collected", "", taken.len(), &taken);
        sheet.unknown("Refusals", Why::Refusals);

        let demands: Vec<&Demand> = self.demands().collect();
        sheet.add("Legal demands", "", demands.len(), &cites(&demands));
        let (mut processes, mut records) = (Tally::default(), Tally::default());
        for demand in &demands {
            processes.count(demand.by.what.process, demand.by.id);
            if !discloses(demand) {
                continue;
            }
            for response in giving(&demand.responses) {
                for kind in &response.what.records {
                    records.count(kind, response.id);
                }
            }
        }
        sheet.tally("Legal demands by process", processes);
        sheet.tally("Responses with records of a type", records);
        let answered: Vec<&Demand> = demands
            .into_iter()
            .filter(|demand| discloses(demand))
            .collect();
        let ids = cites(&answered);
        let accounts = answered.iter().map(|demand| affected(demand)).sum();
        sheet.add(
            "Accounts disclosed by legal process",
            "",
            Cell::Band(accounts),
            &ids,
        );
        let clips = answered.iter().map(|demand| {
            let clips = giving(&demand.responses).map(|r| Range::from(r.what.clips));
            Range::union(clips)
        });
        sheet.add(
            "Clips disclosed by legal process",
            "",
            Cell::Band(clips.sum()),
            &ids,
        );

        for (figure, event) in [
            ("Reports that footage was viewed", CustodyEvent::Viewed),
            ("Reports that footage was copied", CustodyEvent::Copied),
            ("Reports that footage is kept", CustodyEvent::Retained),
            ("Reports that footage was deleted", CustodyEvent::Deleted),
        ] {
            let ids: Vec<StatementId> = self.custody(event).map(|by| by.id).collect();
            sheet.add(figure, "", ids.len(), &ids);
        }
        let bulletins = self.record.bulletins.iter().map(|told| &told.by);
        let bulletins = bulletins.filter(|by| speaks(&by.author, self.agency));
        let bulletins: Vec<StatementId> = bulletins
            .filter(|by| self.period.has(by.logged_at))
            .map(|by| by.id)
            .collect();
        sheet.add("Bulletins", "", bulletins.len(), &bulletins);
    }

    /// Disclosures that were collected this year, with the collection.
    fn collected(&self) -> impl Iterator<Item = (&'a Asked, &'a Given, StatementId)> {
        let period = self.period;
        self.given().filter_map(move |(asked, given)| {
            let collected = given.collected.as_ref()?;
            period
                .has(collected.logged_at)
                .then_some((asked, given, collected.id))
        })
    }

    fn sharing(&self, sheet: &mut Sheet<'_>) {
        let shared: Vec<_> = self.custody(CustodyEvent::ReShared).collect();
        let ids: Vec<StatementId> = shared.iter().map(|by| by.id).collect();
        sheet.add("Times data was given on", "", shared.len(), &ids);
        let mut to = Tally::default();
        for by in shared {
            to.count(recipient(&by.what), by.id);
        }
        sheet.tally("Times data was given on to", to);
        sheet.unknown(
            "Sharing of which the agency reports nothing",
            Why::Unreported,
        );
        sheet.unknown("Justification in words", Why::Prose);
        let (opened, closed): (Vec<&Asked>, Vec<&Asked>) = self.asked().partition(|asked| {
            let sealed = self.record.sealed(&asked.request.sealed.case_number.digest);
            sealed.is_some_and(|sealed| sealed.opened.is_some())
        });
        let ids = |asked: &[&Asked]| asked.iter().map(|asked| asked.id).collect::<Vec<_>>();
        let (opened, closed) = (ids(&opened), ids(&closed));
        sheet.add(
            "Requests whose case number is public",
            "",
            opened.len(),
            &opened,
        );
        sheet.add(
            "Requests whose case number is sealed",
            "",
            closed.len(),
            &closed,
        );
    }

    fn sources(&self, sheet: &mut Sheet<'_>) {
        sheet.unknown("What cameras are installed upon", Why::Hardware);
        sheet.add(
            "Data sources",
            "",
            "clips that residents store, and records that their holders keep",
            &[],
        );
    }

    fn places(&self, sheet: &mut Sheet<'_>) {
        let mut places = Tally::default();
        for asked in self.asked() {
            places.count(&asked.request.jurisdiction, asked.id);
        }
        sheet.tally("Requests in", places);
        sheet.unknown("Requests by police area", Why::Places);
    }

    fn complaints(&self, sheet: &mut Sheet<'_>) {
        for (figure, remark) in [
            ("Disputes by other parties", Remark::Dispute),
            ("Corrections by other parties", Remark::Correction),
            ("Claims by other parties", Remark::Claim),
        ] {
            let all = self.record.annotations.iter();
            let ids: Vec<StatementId> = all
                .filter(|by| by.what.remark == remark && self.period.has(by.logged_at))
                .filter(|by| !speaks(&by.author, self.agency))
                .filter(|by| self.record.concerns(&by.what.about, self.agency))
                .map(|by| by.id)
                .collect();
            sheet.add(figure, "", ids.len(), &ids);
        }
        sheet.unknown("Complaints by the community", Why::Complaints);
    }

    fn violated(&self, sheet: &mut Sheet<'_>) {
        let mut codes = Tally::default();
        let mut all = Vec::new();
        for finding in self.found() {
            codes.count(finding.code.code(), finding.about);
            all.push(finding.about);
        }
        sheet.add("Findings", "", all.len(), &all);
        sheet.tally("Findings by code", codes);
        let known = self.record.known(self.agency);
        let standings = known.into_iter().flat_map(|known| &known.standings);
        let mut changes = Tally::default();
        for by in standings.filter(|by| self.period.has(by.logged_at)) {
            changes.count(by.what.status, by.id);
        }
        sheet.tally("What the operator said of its standing", changes);
        sheet.unknown("Internal audits, and actions taken", Why::InternalAudits);
    }

    fn breaches(&self, sheet: &mut Sheet<'_>) {
        let mut reasons = Tally::default();
        let all = self.record.insiders.iter();
        for by in all.filter(|by| self.period.contains(&by.what.effective_on)) {
            reasons.count(by.what.reason, by.id);
        }
        let staff = reasons.0.values().flatten();
        let staff: Vec<StatementId> = staff.copied().collect();
        let figure = "Staff access at the operator or a vendor";
        sheet.add(figure, "", staff.len(), &staff);
        sheet.tally("Staff access by reason", reasons);
        let known = self.record.known(self.agency);
        let revoked = known.into_iter().flat_map(|known| &known.keys);
        let lost = revoked
            .filter_map(|key| key.revoked)
            .filter(|(_, time, reason)| {
                *reason == RevocationReason::Compromised && self.period.has(*time)
            });
        let lost: Vec<StatementId> = lost.map(|(id, ..)| id).collect();
        sheet.add(
            "Keys of the agency revoked as compromised",
            "",
            lost.len(),
            &lost,
        );
        sheet.unknown("Breaches at the agency", Why::Breaches);
    }

    fn effectiveness(&self, sheet: &mut Sheet<'_>) {
        let asked: Vec<&Asked> = self.asked().collect();
        let count = |figure: &str, is: &dyn Fn(&Asked) -> bool, sheet: &mut Sheet<'_>| {
            let ids = asked.iter().filter(|asked| is(asked)).map(|asked| asked.id);
            let ids: Vec<StatementId> = ids.collect();
            sheet.add(figure, "", ids.len(), &ids);
        };
        count(
            "Requests for which somebody gave something",
            &|a| !a.given.is_empty(),
            sheet,
        );
        count(
            "Requests for which nobody gave anything",
            &|a| a.given.is_empty(),
            sheet,
        );
        let closed = |asked: &Asked, outcome| {
            asked
                .closed
                .as_ref()
                .is_some_and(|closed| closed.what == outcome)
        };
        count(
            "Requests closed as answered",
            &|a| closed(a, ClosingOutcome::Answered),
            sheet,
        );
        count(
            "Requests withdrawn",
            &|a| closed(a, ClosingOutcome::Withdrawn),
            sheet,
        );
        let failed = [CustodyEvent::NotReceived, CustodyEvent::Unreadable];
        let failed = failed.into_iter().flat_map(|event| self.custody(event));
        let failed: Vec<StatementId> = failed.map(|by| by.id).collect();
        sheet.add(
            "Reports that nothing usable came",
            "",
            failed.len(),
            &failed,
        );
        sheet.unknown("What footage led to, and crime statistics", Why::Outcomes);
    }

    fn costs(&self, sheet: &mut Sheet<'_>) {
        sheet.unknown("Total annual costs, with personnel", Why::Costs);
        sheet.unknown("Source of funding for the coming year", Why::Funding);
        let mut totals: Vec<(&str, Unit, i64, Vec<StatementId>)> = Vec::new();
        for (_, posting) in self.postings() {
            let figure = match posting.to == *self.agency {
                true => "Received",
                false => "Given",
            };
            let quantity = i64::from(posting.quantity);
            let same = |(known, unit, ..): &&mut (&str, Unit, i64, Vec<StatementId>)| {
                *known == figure && *unit == posting.unit
            };
            match totals.iter_mut().find(same) {
                Some((_, _, total, ids)) => {
                    *total = total.saturating_add(quantity);
                    ids.push(posting.report);
                }
                None => totals.push((figure, posting.unit, quantity, vec![posting.report])),
            }
        }
        for (figure, unit, total, ids) in totals {
            let (what, quantity) = unit_cells(&unit, total);
            sheet.add(figure, &what, quantity, &ids);
        }
    }

    fn modifications(&self, sheet: &mut Sheet<'_>) {
        let mut steps = Tally::default();
        for chain in &self.record.agreements {
            if chain.parties.contains(self.agency) {
                let all = chain.steps.iter();
                for step in all.filter(|step| self.period.has(step.logged_at)) {
                    steps.count(step.status, step.id);
                }
            }
        }
        sheet.tally("Statements on agreements", steps);
        sheet.unknown("Requested modifications to the policy", Why::Policy);
    }

    fn products(&self, sheet: &mut Sheet<'_>) {
        for chain in &self.record.agreements {
            let began = !self.period.last_day().is_over(chain.first().logged_at);
            let deals = chain.instrument != Instrument::None && chain.status != Status::Declined;
            if !chain.parties.contains(self.agency) || !began || !deals {
                continue;
            }
            let others = chain.parties.iter().filter(|party| *party != self.agency);
            let others: Vec<String> = others.map(|party| self.record.name(party)).collect();
            let ids: Vec<StatementId> = chain.steps.iter().map(|step| step.id).collect();
            let status = chain.status.code();
            sheet.add("Agreement with", &others.join(", "), status, &ids);
        }
        for (_, posting) in self.postings() {
            if let (Unit::Goods(_), true) = (&posting.unit, posting.to == *self.agency) {
                let (what, quantity) = unit_cells(&posting.unit, posting.quantity.into());
                sheet.add("Equipment received", &what, quantity, &[posting.report]);
            }
        }
        sheet.unknown("Manufacturers and model numbers", Why::Models);
    }
}
