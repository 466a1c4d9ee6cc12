//! A report as JSON: each cell says what kind of value it holds.

use serde_json::{Map, Value, json};

use super::super::{Cell, Report, Row, Table};

/// The report as one JSON document. `entries` are places in the log of the checkpoint named.
pub fn json(report: &Report) -> Value {
    let basis = &report.basis;
    let sections = report.sections.iter().map(|section| {
        let tables = section.tables.iter().map(table);
        json!({
            "of": object(section.of.iter().map(|(name, cell)| (*name, cell))),
            "tables": tables.collect::<Vec<_>>(),
        })
    });
    json!({
        "report": report.name,
        "title": report.title,
        "checkpoint": { "origin": basis.origin, "size": basis.size, "root": basis.root },
        "at": basis.at,
        "begins": basis.begins,
        "forbidden": basis.forbidden,
        "notes": report.notes,
        "sections": sections.collect::<Vec<_>>(),
    })
}

fn table(table: &Table) -> Value {
    let rows = table.rows.iter().map(|row| self::row(table, row));
    json!({
        "table": table.name,
        "title": table.title,
        "columns": table.columns,
        "notes": table.notes,
        "rows": rows.collect::<Vec<_>>(),
    })
}

fn row(table: &Table, row: &Row) -> Value {
    let columns = table.columns.iter().copied();
    let mut members = object(columns.zip(&row.cells));
    members.insert("entries".to_owned(), json!(row.entries));
    Value::Object(members)
}

fn object<'a>(cells: impl Iterator<Item = (&'static str, &'a Cell)>) -> Map<String, Value> {
    cells
        .map(|(name, cell)| (name.to_owned(), cell.json()))
        .collect()
}
