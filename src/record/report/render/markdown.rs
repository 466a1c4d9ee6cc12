//! A report as GitHub-flavoured markdown.

use std::fmt::Write as _;

use super::super::{Cell, Report, Row, Table, Why};

/// The report as a page. With `cite`, each row ends with the entries that it rests on.
pub fn markdown(report: &Report, cite: bool) -> String {
    let mut page = format!("# {}\n\n", escaped(&report.title));
    let basis = &report.basis;
    let (origin, size, root, at) = (&basis.origin, basis.size, &basis.root, basis.at);
    let _ = writeln!(
        page,
        "Recomputed from the first {size} entries of {} (root `{root}`), as of {at}.",
        code(origin),
    );
    for note in &report.notes {
        let _ = write!(page, "\n{note}\n");
    }
    for section in &report.sections {
        let mut hashes = "##".to_owned();
        if let Some(heading) = &section.heading {
            let _ = write!(page, "\n{hashes} {}\n", escaped(heading));
            hashes.push('#');
        }
        let (empty, tables): (Vec<&Table>, Vec<&Table>) = section
            .tables
            .iter()
            .partition(|table| table.rows.is_empty());
        for table in tables {
            let _ = write!(page, "\n{hashes} {}\n", table.title);
            body(table, &hashes, cite, &mut page);
            for note in &table.notes {
                let _ = write!(page, "\n*{note}*\n");
            }
        }
        if !empty.is_empty() {
            let _ = write!(page, "\n{hashes} Nothing on record\n\n");
            for table in empty {
                let _ = writeln!(page, "* {}", table.title);
            }
        }
    }
    page
}

fn body(table: &Table, hashes: &str, cite: bool, page: &mut String) {
    fn key<'a>(table: &Table, row: &'a Row) -> impl Iterator<Item = &'a Cell> {
        row.cells.iter().take(table.grouped)
    }
    for rows in table
        .rows
        .chunk_by(|one, other| key(table, one).eq(key(table, other)))
    {
        if let (Some(first), true) = (rows.first(), table.grouped > 0) {
            let texts: Vec<String> = key(table, first)
                .map(|cell| escaped(&cell.text()))
                .collect();
            let _ = write!(page, "\n{hashes}# {}\n", texts.join(". "));
        }
        Grid::of(table, rows).write(cite, page);
    }
}

/// Rows of a table under one head.
struct Grid<'a> {
    table: &'a Table,
    rows: &'a [Row],
    /// Columns with a value, each with its place and its name.
    columns: Vec<(usize, &'static str)>,
    /// Reasons that several cells have: they stand once, below.
    reasons: Vec<Why>,
}

impl<'a> Grid<'a> {
    fn of(table: &'a Table, rows: &'a [Row]) -> Self {
        let filled = |at: usize| {
            rows.iter()
                .any(|row| row.cells.get(at) != Some(&Cell::Blank))
        };
        let columns = table.columns.iter().copied().enumerate();
        let columns = columns.skip(table.grouped).filter(|(at, _)| filled(*at));
        let columns = columns.collect();
        let (mut once, mut reasons) = (Vec::new(), Vec::new());
        for cell in rows.iter().flat_map(|row| &row.cells) {
            match cell {
                Cell::NotCollected(why) if reasons.contains(why) => {}
                Cell::NotCollected(why) if once.contains(why) => reasons.push(*why),
                Cell::NotCollected(why) => once.push(*why),
                _ => {}
            }
        }
        Self {
            table,
            rows,
            columns,
            reasons,
        }
    }

    fn write(&self, cite: bool, page: &mut String) {
        let columns = self.columns.iter();
        let head = columns.map(|(_, name)| name.replace('_', " "));
        let rule = self.columns.iter().map(|(at, _)| self.rule(*at).to_owned());
        page.push('\n');
        line(head.chain(cite.then(|| "entries".to_owned())), page);
        line(rule.chain(cite.then(|| "---".to_owned())), page);
        for row in self.rows {
            let cells = self.columns.iter().filter_map(|(at, _)| row.cells.get(*at));
            let cells = cells.map(|cell| self.cell(cell));
            line(cells.chain(cite.then(|| row.cites(", "))), page);
        }
        for (n, why) in self.reasons.iter().enumerate() {
            let why = escaped(why.sentence());
            let _ = write!(page, "\n{} Not in the log: {why}.\n", raised(n));
        }
    }

    /// Figures to the right, unless words stand among them.
    fn rule(&self, at: usize) -> &'static str {
        let mut column = self.rows.iter().filter_map(|row| row.cells.get(at));
        let words = |cell: &Cell| match cell {
            Cell::NotCollected(_) => self.table.grouped > 0,
            Cell::Blank => false,
            cell => !cell.is_figure(),
        };
        match column.any(words) {
            true => "---",
            false => "---:",
        }
    }

    fn cell(&self, cell: &Cell) -> String {
        match cell {
            Cell::NotCollected(why) => match self.reasons.iter().position(|known| known == why) {
                Some(n) => format!("*not in the log* {}", raised(n)),
                None => format!("*{}*", escaped(&cell.text())),
            },
            Cell::Sealed(_) => format!("*{}*", escaped(&cell.text())),
            Cell::Code(text) => code(text),
            Cell::Entry(index) => format!("#{index}"),
            Cell::Count(n) => grouped(*n),
            cell => escaped(&cell.text()),
        }
    }
}

fn code(text: &str) -> String {
    match text.contains(['`', '|']) {
        true => escaped(text),
        false => format!("`{text}`"),
    }
}

fn line(cells: impl Iterator<Item = String>, page: &mut String) {
    let cells: Vec<String> = cells.collect();
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

/// The mark of a reason, from 0.
fn raised(n: usize) -> char {
    *['¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸']
        .get(n)
        .unwrap_or(&'⁹')
}

/// A number with its thousands apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    let places = (0..digits.len()).rev();
    for (digit, place) in digits.chars().zip(places) {
        text.push(digit);
        if place > 0 && place.is_multiple_of(3) {
            text.push(',');
        }
    }
    text
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
