//! The tables beside an ordinance's items: one row for each thing that a figure counts.

use std::collections::BTreeSet;

use super::Figures;
use crate::digest::StatementId;
use crate::record::report::parts::{
    ABOUT_FINDINGS, finding_row, findings_table, offence, offences, unit_cells,
};
use crate::record::report::transparency::discloses;
use crate::record::report::{Cell, Table, giving};
use crate::statement::kinds::custody_report::CustodyEvent;
use crate::statement::words::{Day, listed};

impl Figures<'_> {
    /// How the agency came by data: by which legal standard, of which types, for which offences.
    pub fn acquired(&self) -> Table {
        let mut rows = Vec::new();
        for (asked, given, collection) in self.collected() {
            let cells = [
                "voluntary consent".into(),
                self.record
                    .logged_at(&collection)
                    .map(|time| Day::of(time).to_string())
                    .into(),
                listed(&given.gives).into(),
                offence(&asked.request.offence).into(),
                Cell::Count(given.clips),
                Cell::Blank,
            ];
            let cites = [asked.id, given.id, collection];
            rows.push(self.record.row(cells, &cites));
        }
        for demand in self.demands().filter(|demand| discloses(demand)) {
            for response in giving(&demand.responses) {
                let what = &demand.by.what;
                let cells = [
                    what.process.code().into(),
                    (&response.what.effective_on).into(),
                    listed(&response.what.records).into(),
                    offences(&what.offences).into(),
                    Cell::Band(response.what.clips.into()),
                    Cell::Band(response.what.accounts.into()),
                ];
                let cites = [demand.by.id, response.id];
                rows.push(self.record.row(cells, &cites));
            }
        }
        Table::new(
            "acquired",
            "Data that the agency acquired",
            [
                "legal_standard",
                "day",
                "types_of_data",
                "offence",
                "clips",
                "accounts",
            ],
            rows,
        )
    }

    /// To whom the agency gave it on.
    pub fn shared_with(&self) -> Table {
        let mut rows = Vec::new();
        for by in self.custody(CustodyEvent::ReShared) {
            let (mut cites, [legal, types, offence]) = self.came_by(&by.what.about);
            let cells = [
                (&by.what.effective_on).into(),
                by.what.shared_with.map(|with| with.code()).into(),
                by.what
                    .shared_with_party
                    .as_ref()
                    .map(|party| self.record.name(party))
                    .into(),
                types,
                legal,
                offence,
            ];
            cites.push(by.id);
            rows.push(self.record.row(cells, &cites));
        }
        Table::new(
            "shared_with",
            "With whom the agency shared it",
            ["day", "recipient", "recipient_name", "types_of_data", "legal_standard", "justification"],
            rows,
        )
        .noting(&[
            "As the agency's custody reports say. The legal standard is the one by which the agency came by the data; \
             the justification is the offence investigated.",
        ])
    }

    /// What footage rests on: statements, the legal standard, types of data, offences.
    fn came_by(&self, about: &StatementId) -> (Vec<StatementId>, [Cell; 3]) {
        let record = self.record;
        let given = record.given.get(about);
        let asked = given.and_then(|given| record.requests.find(given.request.as_ref()?));
        if let (Some(given), Some(asked)) = (given, asked) {
            let types = listed(&given.gives).into();
            let offence = offence(&asked.request.offence).into();
            return (
                vec![asked.id, given.id],
                ["voluntary consent".into(), types, offence],
            );
        }
        let Some(demand) = record.demands.find(about) else {
            return (vec![*about], [Cell::Blank, Cell::Blank, Cell::Blank]);
        };
        let what = &demand.by.what;
        let types = giving(&demand.responses).flat_map(|r| &r.what.records);
        let types: BTreeSet<_> = types.copied().collect();
        let types: Vec<_> = types.into_iter().collect();
        let types = (!types.is_empty()).then(|| listed(&types));
        let offences = offences(&what.offences);
        let cells = [what.process.code().into(), types.into(), offences.into()];
        (vec![demand.by.id], cells)
    }

    /// What the agency received and gave.
    pub fn benefits(&self) -> Table {
        let rows = self.postings().into_iter().map(|(place, posting)| {
            let (what, quantity) = unit_cells(&posting.unit, posting.quantity.into());
            let chain = place.and_then(|place| self.record.agreements.get(place));
            let agreement = chain.map(|chain| chain.first().id);
            let cells = [
                (&posting.on).into(),
                self.record.name(&posting.from).into(),
                self.record.name(&posting.to).into(),
                what.into(),
                quantity,
                match agreement {
                    Some(_) => "yes".into(),
                    None => "no".into(),
                },
            ];
            let cites: Vec<StatementId> = agreement.into_iter().chain([posting.report]).collect();
            self.record.row(cells, &cites)
        });
        Table::new(
            "benefits",
            "What was given, as the two sides report it",
            [
                "day",
                "from",
                "to",
                "what",
                "quantity",
                "under_an_agreement",
            ],
            rows.collect(),
        )
    }

    /// What does not fit together in the agency's statements.
    pub fn violations(&self) -> Table {
        let rows = self
            .found()
            .map(|finding| finding_row(self.record, finding));
        let by_year = "About statements logged in the year.";
        findings_table(rows.collect()).noting(&[by_year, ABOUT_FINDINGS])
    }
}
