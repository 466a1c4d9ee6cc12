//! What several reports say in the same words.

use super::{Cell, Record, Row, Table};
use crate::record::accounts::Unit;
use crate::record::findings::Finding;
use crate::statement::kinds::custody_report::CustodyReport;
use crate::statement::words::{Label, Offence};

/// An offence by its code and name.
pub(super) fn offence(offence: &Offence) -> String {
    format!("{offence} {}", offence.name())
}

/// Several, if there is any.
pub(super) fn offences(offences: &[Offence]) -> Option<String> {
    let all: Vec<String> = offences.iter().map(offence).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// To whom footage went.
pub(super) fn recipient(report: &CustodyReport) -> String {
    let with = report.shared_with.map_or("", |with| with.code());
    match &report.shared_with_party {
        Some(party) => format!("{with}: {party}"),
        None => with.to_owned(),
    }
}

/// What is counted, and how much of it.
pub(super) fn unit_cells(unit: &Unit, quantity: i64) -> (String, Cell) {
    match unit {
        Unit::Credit(currency) => ("credit".to_owned(), Cell::Money(quantity, currency.clone())),
        Unit::Money(currency) => ("money".to_owned(), Cell::Money(quantity, currency.clone())),
        Unit::Goods(item) => {
            let item = item.as_ref().map_or("item", Label::as_str);
            (item.to_owned(), Cell::Balance(quantity))
        }
    }
}

/// A finding: what is found, about which entry.
pub(super) fn finding_row(record: &Record, finding: &Finding) -> Row {
    let cells = [
        finding.code.code().into(),
        finding.code.title().into(),
        record.entry(&finding.about),
        finding.detail.as_str().into(),
    ];
    let cites = [&[finding.about], &finding.with[..]].concat();
    record.row(cells, &cites)
}

/// What readers must know of findings.
pub(super) const ABOUT_FINDINGS: &str = "As of the checkpoint. A finding accuses nobody. What rests on openings of \
    sealed fields is not here: `log findings` has it.";

pub(super) fn findings_table(rows: Vec<Row>) -> Table {
    Table::new(
        "findings",
        "What does not fit together",
        ["code", "finding", "about_entry", "detail"],
        rows,
    )
}
