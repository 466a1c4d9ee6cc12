//! A table as CSV (RFC 4180).

use super::super::{Cell, Report};

/// The tables of this name in all sections, as one: what tells the sections apart stands before its
/// columns. With `cite`, a last column has the entries that each row rests on.
pub fn csv(report: &Report, table: &str, cite: bool) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let mut wrote_head = false;
    for section in &report.sections {
        let mut tables = section.tables.iter();
        let Some(table) = tables.find(|known| known.name == table) else {
            continue;
        };
        if !wrote_head {
            let mut head: Vec<&str> = section.of.iter().map(|(name, _)| *name).collect();
            head.extend(&table.columns);
            head.extend(cite.then_some("entries"));
            writer.write_record(head).expect("rows of one length");
            wrote_head = true;
        }
        for row in &table.rows {
            let of = section.of.iter().map(|(_, cell)| field(cell));
            let mut fields: Vec<String> = of.chain(row.cells.iter().map(field)).collect();
            fields.extend(cite.then(|| row.cites(" ")));
            writer.write_record(fields).expect("rows of one length");
        }
    }
    text(writer)
}

/// What the report rests on, and what readers must know of it, as rows of two.
pub fn csv_about(report: &Report) -> String {
    let basis = &report.basis;
    let begins = basis.begins.map_or(String::new(), |time| time.to_string());
    let figures = [
        ("report", report.name.to_owned()),
        ("title", report.title.clone()),
        ("log", basis.origin.clone()),
        ("entries", basis.size.to_string()),
        ("root", basis.root.clone()),
        ("at", basis.at.to_string()),
        ("begins", begins),
        ("forbidden", basis.forbidden.to_string()),
    ];
    let report_notes = report.notes.iter().map(|note| ("note", note.clone()));
    let tables = report.sections.iter().flat_map(|section| &section.tables);
    let notes = tables.flat_map(|table| table.notes.iter().map(|note| (table.name, *note)));
    let mut known = Vec::new();
    for (table, note) in notes {
        let note = (table, note.to_owned());
        if !known.contains(&note) {
            known.push(note);
        }
    }
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let head = ("figure", "value".to_owned());
    let all = [head].into_iter().chain(figures);
    for (figure, value) in all.chain(report_notes).chain(known) {
        let fields = [figure, &guarded(&value)];
        writer.write_record(fields).expect("rows of one length");
    }
    text(writer)
}

fn text(writer: ::csv::Writer<Vec<u8>>) -> String {
    let bytes = writer.into_inner().expect("a vector takes all");
    String::from_utf8(bytes).expect("made of texts")
}

fn field(cell: &Cell) -> String {
    match cell {
        // What was reckoned here may be negative; a text that begins so is somebody's.
        Cell::Balance(_) | Cell::Money(..) => cell.text(),
        _ => guarded(&cell.text()),
    }
}

/// A text that no spreadsheet takes for a formula
/// ([OWASP](https://owasp.org/www-community/attacks/CSV_Injection)).
fn guarded(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
