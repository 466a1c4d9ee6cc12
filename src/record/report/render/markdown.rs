//! A report as GitHub-flavoured markdown.

use std::fmt::Write as _;

use super::super::{Cell, Report, Row, Table};

/// The report as a page. With `cite`, each row ends with the entries that it rests on.
pub fn markdown(report: &Report, cite: bool) -> String {
    let mut page = format!("# {}\n\n", escaped(&report.title));
    let basis = &report.basis;
    let (origin, size, root, at) = (&basis.origin, basis.size, &basis.root, basis.at);
    let _ = writeln!(
        page,
        "Recomputed from the first {size} entries of `{origin}` (root `{root}`), as of {at}.",
    );
    for note in &report.notes {
        let _ = write!(page, "\n{}\n", escaped(note));
    }
    for section in &report.sections {
        let deeper = usize::from(!section.of.is_empty());
        if deeper == 1 {
            let of = section.of.iter().map(|(_, cell)| escaped(&cell.text()));
            let _ = write!(page, "\n## {}\n", of.collect::<Vec<_>>().join(", "));
        }
        for table in &section.tables {
            let _ = write!(page, "\n##{} {}\n", "#".repeat(deeper), table.title);
            body(table, deeper, cite, &mut page);
            for note in &table.notes {
                let _ = write!(page, "\n*{}*\n", escaped(note));
            }
        }
    }
    page
}

fn body(table: &Table, deeper: usize, cite: bool, page: &mut String) {
    if table.rows.is_empty() {
        page.push_str("\nNothing is on record.\n");
        return;
    }
    let key = |row: &Row| row.cells[..table.grouped].to_vec();
    for rows in table.rows.chunk_by(|one, other| key(one) == key(other)) {
        if table.grouped > 0 {
            let texts = key(&rows[0])
                .iter()
                .map(|cell| escaped(&cell.text()))
                .collect::<Vec<_>>();
            let _ = write!(page, "\n###{} {}\n", "#".repeat(deeper), texts.join(" "));
        }
        grid(table, rows, cite, page);
    }
}

fn grid(table: &Table, rows: &[Row], cite: bool, page: &mut String) {
    // A column in which nobody says anything tells nothing here.
    let shown: Vec<usize> = (table.grouped..table.columns.len())
        .filter(|at| rows.iter().any(|row| row.cells[*at] != Cell::Blank))
        .collect();
    let line = |cells: Vec<String>, page: &mut String| {
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    };
    page.push('\n');
    let mut head: Vec<String> = shown
        .iter()
        .map(|at| table.columns[*at].replace('_', " "))
        .collect();
    head.extend(cite.then(|| "entries".to_owned()));
    line(head, page);
    let mut rule: Vec<String> = shown
        .iter()
        .map(|at| {
            let mut column = rows.iter().map(|row| &row.cells[*at]);
            match column.any(Cell::is_figure) {
                true => "---:".to_owned(),
                false => "---".to_owned(),
            }
        })
        .collect();
    rule.extend(cite.then(|| "---".to_owned()));
    line(rule, page);
    for row in rows {
        let cells = shown.iter().map(|at| cell(&row.cells[*at]));
        let mut cells: Vec<String> = cells.collect();
        cells.extend(cite.then(|| row.cites(", ")));
        line(cells, page);
    }
}

fn cell(cell: &Cell) -> String {
    let text = escaped(&cell.text());
    match cell {
        Cell::NotCollected(_) | Cell::Sealed(_) => format!("*{text}*"),
        _ => text,
    }
}

/// A text in which nothing is markup, nor ends its cell.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '~' | '&' | '$' => {
                escaped.extend(['\\', c]);
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    // A host name is not to become a link.
    escaped.replace("www.", "www\\.")
}
