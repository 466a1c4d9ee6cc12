//! Figures counted a second time, straight from the entries.

use proptest::prelude::*;

use super::*;
use crate::statement::Statement;

/// Says something of the kind `n`, with numbers that `at` picks. What the rules refuse is not in the
/// log, and not in its reports.
fn say(world: &mut World, n: u8, at: u8) {
    const PROCESSES: [ProcessKind; 5] = [
        ProcessKind::Subpoena,
        ProcessKind::SearchWarrant,
        ProcessKind::CourtOrder,
        ProcessKind::Foreign,
        ProcessKind::Emergency,
    ];
    const OUTCOMES: [Outcome; 4] = [
        Outcome::Full,
        Outcome::Partial,
        Outcome::None,
        Outcome::Rejected,
    ];
    const BANDS: [Band; 4] = [Band::UpTo5, Band::UpTo10, Band::UpTo50, Band::Over1000];
    const RESIDENTS: [&str; 4] = ["one", "two", "three", "four"];
    let pick = usize::from(at);
    let one_of = |ids: Vec<StatementId>| ids.get(pick % ids.len().max(1)).copied();
    match n {
        0 => world.pass(i64::from(at) * DAY),
        1 => {
            let request = AccessRequest {
                investigation: format!("{at:02x}").repeat(16).parse().unwrap(),
                window_minutes: u32::from(at) + 1,
                ..world.ask()
            };
            let _ = world.log(request, agency_officer());
        }
        2 => {
            let consent = world.consent(u32::from(at) % 64);
            let _ = world.log(consent, resident(RESIDENTS[pick % 4]));
        }
        3 => {
            let given = ids(world, |s| matches!(s, Statement::Disclosure(_)));
            let collection = Collection {
                disclosure: one_of(given).unwrap(),
                ..world.collect()
            };
            let _ = world.log(collection, agency_officer());
        }
        4 => {
            let demand = paper(world, PROCESSES[pick % 5]);
            let _ = world.log(demand, operator_officer());
        }
        5 => {
            let demands = ids(world, |s| matches!(s, Statement::LegalDemand(_)));
            let (outcome, band) = match OUTCOMES[pick % 4] {
                gives @ (Outcome::Full | Outcome::Partial) => (gives, BANDS[pick / 4 % 4]),
                other => (other, Band::None),
            };
            if let Some(demand) = one_of(demands) {
                let given = answer(world, demand, outcome, band);
                let _ = world.log(given, operator_officer());
            }
        }
        _ => {
            let report = re_shared(world, Recipients::Prosecutor);
            let _ = world.log(report, agency_officer());
        }
    }
}

fn ids(world: &World, is: fn(&Statement) -> bool) -> Vec<StatementId> {
    let all = world.history.iter();
    all.filter(|(_, signed)| is(&signed.statement))
        .map(|(_, signed)| signed.id)
        .collect()
}

/// The rows of a table in all sections.
fn rows<'a>(report: &'a Report, table: &'a str) -> impl Iterator<Item = (&'a Table, &'a Row)> {
    let tables = report.sections.iter().flat_map(|section| &section.tables);
    tables
        .filter(move |known| known.name == table)
        .flat_map(|table| table.rows.iter().map(move |row| (table, row)))
}

fn count(cell: &Cell) -> u64 {
    match cell {
        Cell::Count(n) => *n,
        _ => 0,
    }
}

/// The sum of a column's counts.
fn total(report: &Report, table: &str, column: &str) -> u64 {
    let sum = rows(report, table).map(|(table, row)| {
        let at = table.columns.iter().position(|known| *known == column);
        count(&row.cells[at.expect("there is such a column")])
    });
    sum.sum()
}

/// The sum of a figure's counts over all agencies and years; each rests on statements of its own.
fn figure(report: &Report, name: &str) -> u64 {
    let items = rows(report, "items").map(|(_, row)| row);
    let named = items.filter(|row| row.cells[2] == Cell::from(name));
    named.map(|row| count(&row.cells[4])).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn totals_are_what_the_entries_say(
        steps in prop::collection::vec((0u8..7, any::<u8>()), 0..60),
    ) {
        let mut world = World::at(Stage::Disclosure);
        for (n, at) in steps {
            say(&mut world, n, at);
        }
        let number = |is: fn(&Statement) -> bool| ids(&world, is).len() as u64;
        let requests = number(|s| matches!(s, Statement::AccessRequest(_)));
        let disclosures = number(|s| matches!(s, Statement::Disclosure(_)));
        let collections = number(|s| matches!(s, Statement::Collection(_)));
        let demands = number(|s| matches!(s, Statement::LegalDemand(_)));
        let shared = number(|s| matches!(s, Statement::CustodyReport(_)));
        let statements = || world.history.iter().map(|(_, signed)| &signed.statement);
        let minutes = statements().map(|s| match s {
            Statement::AccessRequest(request) => u64::from(request.window_minutes),
            _ => 0,
        });
        let minutes: u64 = minutes.sum();
        let gave = statements().filter_map(|s| match s {
            Statement::DemandResponse(r) if !r.records.is_empty() => r.demand,
            _ => None,
        });
        let gave: Vec<StatementId> = gave.collect();
        let answered = BTreeSet::from_iter(&gave).len() as u64;

        let public = transparent(&world, None);
        let told = "user_notifications_of_legal_request_disclosures_by_calendar_year_half";
        for (table, column, expected) in [
            ("requests_received_and_disclosed", "count_requests_received", demands),
            ("requests_received_and_disclosed", "count_disclosed", answered),
            (told, "count", answered),
            ("voluntary_requests", "count_requests", requests),
            ("voluntary_requests", "minutes_asked", minutes),
            ("voluntary_requests", "count_disclosures", disclosures),
            ("voluntary_requests", "count_collected", collections),
        ] {
            prop_assert_eq!(total(&public, table, column), expected, "{} {}", table, column);
        }
        for ordinance in [Ordinance::Oakland, Ordinance::SanFrancisco] {
            let annual = yearly(&world, ordinance);
            for (name, expected) in [
                ("Requests to residents", requests),
                ("Requests by kind", requests),
                ("Requests by offence", requests),
                ("Requests in", requests),
                ("Minutes of footage asked for", minutes),
                ("Disclosures by residents", disclosures),
                ("Disclosures collected", collections),
                ("Legal demands", demands),
                ("Legal demands by process", demands),
                ("Times data was given on", shared),
                ("Times data was given on to", shared),
            ] {
                prop_assert_eq!(figure(&annual, name), expected, "{}", name);
            }
            let acquired = rows(&annual, "acquired").count() as u64;
            prop_assert_eq!(acquired, collections + gave.len() as u64);
            prop_assert_eq!(rows(&annual, "shared_with").count() as u64, shared);
        }
        let card = carded(&world, CardKind::Agency, AGENCY).unwrap();
        prop_assert_eq!(rows(&card, "requests").count() as u64, requests);
        prop_assert_eq!(rows(&card, "demands").count() as u64, demands);
        for row in [&public, &card].iter().flat_map(|r| &r.sections[0].tables).flat_map(|t| &t.rows) {
            prop_assert!(row.entries.is_sorted_by(|one, other| one < other));
            prop_assert!(row.entries.last().is_none_or(|last| *last < public.basis.size));
        }
        prop_assert_eq!(json(&public), json(&transparent(&world, None)));
    }
}
