//! Whatever stands in a cell, CSV has the same fields and markdown the same cells.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn report(cells: Vec<Vec<Cell>>) -> Report {
    let rows = cells.into_iter().map(|cells| Row {
        cells,
        entries: vec![3, 12],
    });
    let mut table = Table::new("table", "A table", ["one", "another"], Vec::new());
    table.rows = rows.collect();
    Report {
        name: "test",
        title: "A | report".to_owned(),
        basis: basis(&World::at(Stage::Operator)),
        notes: Vec::new(),
        sections: vec![Section {
            heading: Some("Somebody | somewhere".to_owned()),
            of: vec![("who", "Smith, \"Bob\"".into())],
            tables: vec![table],
        }],
    }
}

/// The fields of each row of a table in CSV, without its head.
fn fields(report: &Report) -> Vec<Vec<String>> {
    let table = csv(report, "table", true);
    let mut reader = ::csv::Reader::from_reader(table.as_bytes());
    let rows = reader.records().map(Result::unwrap);
    rows.map(|row| row.iter().map(str::to_owned).collect())
        .collect()
}

/// The cells of each row of a table in markdown, unescaped as GitHub does.
fn cells(page: &str) -> Vec<Vec<String>> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| {
        let (mut cells, mut cell) = (Vec::new(), String::new());
        let mut chars = row[2..].chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => cell.extend(chars.next()),
                '|' => cells.push(std::mem::take(&mut cell).trim().to_owned()),
                c => cell.push(c),
            }
        }
        cells
    })
    .collect()
}

#[test]
fn texts_that_are_formulas_elsewhere_are_texts() {
    for text in ["=1+1", "+1", "-Police", "@here", "\tx", "\r=x"] {
        let rows = fields(&report(vec![vec![text.into(), "b".into()]]));
        assert_eq!(rows[0][1], format!("'{text}"));
    }
    let owed = vec![
        Cell::Balance(-3),
        Cell::Money(-1050, "USD".parse().unwrap()),
    ];
    assert_eq!(
        csv(&report(vec![owed]), "table", true),
        "who,one,another,entries\n\"Smith, \"\"Bob\"\"\",-3,-10.50 USD,3 12\n",
        "numbers that are reckoned here stay numbers"
    );
}

#[test]
fn each_kind_of_value_is_told_apart_everywhere() {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let range = Range::from(Band::UpTo5);
    let refusals = "not in the log: a refusal stays on its owner's device, and looks like silence";
    let sealed = "sealed: until 2019-08-03";
    for (cell, in_csv, in_markdown, in_json) in [
        (
            Cell::Count(12_345),
            "12345",
            "12,345",
            r#"{"state":"value","value":12345}"#,
        ),
        (
            Cell::Band(range),
            "1 to 5",
            "1 to 5",
            r#"{"state":"banded","at_least":1,"at_most":5}"#,
        ),
        (
            Cell::Band(Band::Over1000.into()),
            "1001 or more",
            "1001 or more",
            r#"{"state":"banded","at_least":1001}"#,
        ),
        (
            Cell::NationalBand(NationalBand::Below250.into()),
            "0-249",
            "0-249",
            r#"{"state":"banded","at_least":0,"at_most":249}"#,
        ),
        (
            Why::Refusals.into(),
            refusals,
            &format!("*{refusals}*"),
            r#"{"state":"not-collected","why":"a refusal stays on its owner's device, and looks like silence"}"#,
        ),
        (
            Cell::Sealed("until 2019-08-03".to_owned()),
            sealed,
            &format!("*{sealed}*"),
            r#"{"state":"sealed","until":"until 2019-08-03"}"#,
        ),
        (Cell::Entry(4), "4", "#4", r#"{"state":"value","value":4}"#),
    ] {
        let report = report(vec![vec![cell, "b".into()]]);
        assert_eq!(fields(&report)[0][1], in_csv);
        let page = markdown(&report, true);
        let row = format!("\n| {in_markdown} | b | 3, 12 |\n");
        assert!(page.contains(&row), "{page}");
        let value = super::json(&report);
        let row = &value["sections"][0]["tables"][0]["rows"][0];
        assert_eq!(row["one"], json(in_json));
        assert_eq!(row["entries"], json("[3, 12]"));
    }
    let blank = report(vec![vec![Cell::Blank, "b".into()]]);
    assert_eq!(fields(&blank)[0][1], "");
    let page = markdown(&blank, false);
    assert!(!page.contains("| one |"), "nobody says anything: {page}");
}

#[test]
fn reasons_that_repeat_stand_once() {
    let rows = [Why::Refusals, Why::Places, Why::Refusals];
    let rows = rows.map(|why| vec!["x".into(), why.into()]);
    let page = markdown(&report(rows.to_vec()), false);
    assert_eq!(page.matches("*not in the log* ¹ |").count(), 2, "{page}");
    assert_eq!(page.matches(Why::Refusals.sentence()).count(), 1);
    let reason = format!("\n¹ Not in the log: {}.\n", Why::Refusals.sentence());
    assert!(page.contains(&reason), "{page}");
    let inline = format!("*not in the log: {}*", Why::Places.sentence());
    assert!(page.contains(&inline), "{page}");
}

#[test]
fn reports_say_what_they_rest_on() {
    let report = report(Vec::new());
    let value = super::json(&report);
    let root = &report.basis.root;
    assert_eq!(
        value["checkpoint"],
        serde_json::json!({ "origin": ORIGIN, "size": 1, "root": root })
    );
    assert_eq!(value["at"], serde_json::json!(report.basis.at));
    assert_eq!(value["begins"], "2019-07-01T10:00:00Z");
    let about = csv_about(&report);
    assert!(about.contains("entries,1\n"), "{about}");
    assert!(about.contains(&format!("root,{root}\n")), "{about}");
    let page = markdown(&report, false);
    assert!(page.contains(&format!("(root `{root}`)")), "{page}");
    assert!(page.contains("Nothing on record\n\n* A table\n"), "{page}");
}

#[test]
fn ranges_add_up_and_overlap() {
    let of = |bands: &[Band]| {
        let bands = bands.iter();
        bands.map(|band| Range::from(*band)).collect::<Vec<_>>()
    };
    let two = of(&[Band::UpTo5, Band::UpTo50]);
    let sum: Range = two.iter().copied().sum();
    assert_eq!((sum.at_least, sum.at_most), (12, Some(55)));
    let union = Range::union(two.into_iter());
    assert_eq!((union.at_least, union.at_most), (11, Some(55)));
    let open: Range = of(&[Band::UpTo5, Band::Over1000]).into_iter().sum();
    assert_eq!((open.at_least, open.at_most), (1002, None));
    let none: Range = std::iter::empty().sum();
    assert_eq!(Cell::Band(none).text(), "0");
}

#[test]
fn years_have_two_halves() {
    let year: Year = "2019".parse().unwrap();
    let [second, first] = year.halves();
    let day = |text: &str| text.parse::<Day>().unwrap();
    assert_eq!(first.first_day(), day("2019-01-01"));
    assert_eq!(second.first_day(), Day::of(first.last_day().end()));
    assert_eq!(second.last_day(), day("2019-12-31"));
    for (text, half) in [("2019-06-30", first), ("2019-07-01", second)] {
        assert_eq!(Period::half_of(&day(text)), half);
        assert!(Period::from(year).contains(&day(text)));
    }
    for bad in ["", "19", "0000", "+019", "20190", "２０１９"] {
        assert!(bad.parse::<Year>().is_err(), "{bad}");
    }
    assert!("3".parse::<Half>().is_err());
}

proptest! {
    #[test]
    fn no_text_breaks_a_table(
        one in any::<String>(), another in "[|\\\\\"',=\n\r`<>&_*a-z ]{0,12}",
    ) {
        let nasty = report(vec![vec![one.as_str().into(), another.as_str().into(), ]]);
        let rows = fields(&nasty);
        prop_assert_eq!(rows.len(), 1);
        prop_assert_eq!(rows[0].len(), 4);
        for (at, text) in [(1, &one), (2, &another)] {
            let read = &rows[0][at];
            prop_assert!(read == text || read.strip_prefix('\'') == Some(text));
            prop_assert!(!read.starts_with(['=', '+', '-', '@']));
        }
        let page = markdown(&nasty, true);
        let plain = |text: &str| {
            let chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
            chars.collect::<String>().trim().to_owned()
        };
        let rows = cells(&page);
        prop_assert_eq!(rows.len(), 3, "{}", page);
        let mut expected = vec![plain(&one), plain(&another)];
        // A column in which nobody says anything is a column still: this is a text.
        expected.push("3, 12".to_owned());
        prop_assert_eq!(&rows[2], &expected);
        prop_assert_eq!(page.lines().next(), Some("# A \\| report"));
    }
}
