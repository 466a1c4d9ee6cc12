//! Transparency tables.

use super::*;

/// A year of demands upon the operator: a warrant answered twice, whose notice a court puts off; a
/// subpoena, answered, with people told; another with nothing to give; an emergency; two demands from
/// abroad; bands of national security; an answer to a demand that nobody entered; and records that
/// were kept, not given.
fn compelled() -> World {
    let mut world = World::at(Stage::Agency).with_court();
    let said = |world: &mut World, process, outcomes: &[(Outcome, Band)]| {
        world.pass(MINUTE);
        let demand = paper(world, process);
        let demand = world.log(demand, operator_officer()).unwrap();
        for (outcome, accounts) in outcomes {
            let given = answer(world, demand, *outcome, *accounts);
            world.log(given, operator_officer()).unwrap();
        }
        demand
    };
    // 5, with 6 and 7.
    let warrant = said(
        &mut world,
        ProcessKind::SearchWarrant,
        &[
            (Outcome::Partial, Band::UpTo5),
            (Outcome::Full, Band::UpTo10),
        ],
    );
    let order = DelayOrder {
        delays: Delayed::Notice,
        seal: None,
        demand: Some(warrant),
        until: Day::of(world.now.plus_seconds(60 * DAY)),
        ..DelayOrder::example()
    };
    world.log(order, clerk()).unwrap();
    // 9, with 10 and 11.
    let subpoena = said(
        &mut world,
        ProcessKind::Subpoena,
        &[(Outcome::Full, Band::UpTo5)],
    );
    let told = Notice {
        demand: subpoena,
        state: NoticeState::Sent,
        until: None,
        grounds: Vec::new(),
        messages: vec![attached("notice")],
    };
    world.log(told, operator_officer()).unwrap();
    // 12 and 13, 14 and 15.
    said(
        &mut world,
        ProcessKind::Subpoena,
        &[(Outcome::None, Band::None)],
    );
    said(
        &mut world,
        ProcessKind::Emergency,
        &[(Outcome::Full, Band::UpTo5)],
    );
    // 16 and 17.
    for place in ["DE-BY", "DE"] {
        let demand = LegalDemand {
            jurisdiction: place.parse().unwrap(),
            ..paper(&world, ProcessKind::Foreign)
        };
        world.log(demand, operator_officer()).unwrap();
    }
    // 18 and 19.
    for band in [NationalBand::Below250, NationalBand::Below500] {
        let demand = world.national(band);
        world.log(demand, operator_officer()).unwrap();
    }
    // 20 and 21, 22.
    let alone = DemandResponse {
        demand: None,
        agency: Some(id(AGENCY)),
        ..answer(&world, warrant, Outcome::Full, Band::UpTo5)
    };
    world.log(alone, operator_officer()).unwrap();
    said(
        &mut world,
        ProcessKind::Preservation,
        &[(Outcome::Full, Band::UpTo250)],
    );
    world
}

#[test]
fn demands_come_out_as_in_transparency_reports() {
    let report = transparent(&compelled(), year("2019"));
    let received = "\
year,type,count_requests_received,count_disclosed,entries
2019,criminal or government agency subpoena,2,1,9 10 11 12 13
2019,criminal court order,0,0,
2019,criminal search warrant,1,1,5 6 7 8
2019,cross-border request,2,0,16 17
2019,exigent circumstances,1,1,14 15
2019,preservation request,1,1,21 22
2019,civil subpoena,\"not in the log: a demand names an agency, and no private party\",\
\"not in the log: a demand names an agency, and no private party\",
2019,no request on record,not in the log: which agency or court demanded stands in no entry,1,20
";
    assert_eq!(
        csv(&report, "requests_received_and_disclosed", true),
        received
    );
    // At least 6 of the warrant, whose two answers may be about the same; 1 of each of the others.
    let accounts = "year,count_accounts_affected,entries\n2019,8 to 25,5 6 7 8 9 10 11 14 15\n";
    assert_eq!(csv(&report, "requests_accounts_affected", true), accounts);
    let told = "\
year,half,type,count,entries
2019,2,notification,1,9 10 11
2019,2,exigent circumstances,1,14 15
2019,2,gag order,1,5 6 7 8
2019,2,delayed without a court's order,0,
2019,2,nothing on record,0,
";
    let name = "user_notifications_of_legal_request_disclosures_by_calendar_year_half";
    // The first half was over before the log began, but it is part of what was asked for.
    let (head, rest) = told.split_at(told.find('\n').unwrap() + 1);
    let first = rest.replace(",2,", ",1,");
    let none = |row: &str| {
        let columns: Vec<&str> = row.split(',').collect();
        format!("{},0,\n", columns[..3].join(","))
    };
    let first: String = first.lines().map(none).collect();
    assert_eq!(csv(&report, name, true), format!("{head}{rest}{first}"));
    let national = "\
year,month_range,type,count
2019,Jul-Dec,National security letters and orders received,250-748
2019,Jul-Dec,Affected accounts,not in the log: no statement tells what came of demands of national security
2019,Jan-Jun,National security letters and orders received,\
not in the log: nobody entered a band for this half; that says nothing of how many there were
2019,Jan-Jun,Affected accounts,not in the log: no statement tells what came of demands of national security
";
    let table = csv(&report, "national_security_letters_and_orders", false);
    assert_eq!(table, national);
    let foreign = "year,government,government_iso2_code,count\n2019,Germany,DE,2\n";
    assert_eq!(csv(&report, "cross_border_data_requests", false), foreign);
    let emergencies = "\
year,half,ground,count_requests_received,count_disclosed,count_told
2019,2,danger-of-death,1,1,0
2019,2,danger-of-serious-injury,0,0,0
2019,1,danger-of-death,0,0,0
2019,1,danger-of-serious-injury,0,0,0
";
    assert_eq!(csv(&report, "emergency_disclosures", false), emergencies);
}

/// The heads of the files that GitHub publishes.
#[test]
fn columns_are_those_of_the_fields_own_files() {
    let report = transparent(&compelled(), year("2019"));
    for (table, columns) in [
        (
            "cross_border_data_requests",
            "year,government,government_iso2_code,count",
        ),
        (
            "national_security_letters_and_orders",
            "year,month_range,type,count",
        ),
        ("requests_accounts_affected", "year,count_accounts_affected"),
        (
            "requests_received_and_disclosed",
            "year,type,count_requests_received,count_disclosed",
        ),
        (
            "user_notifications_of_legal_request_disclosures_by_calendar_year_half",
            "year,half,type,count",
        ),
    ] {
        assert_eq!(csv(&report, table, false).lines().next(), Some(columns));
    }
}

#[test]
fn of_national_security_a_band_is_told_and_nothing_finer() {
    let mut world = World::at(Stage::Agency);
    let demand = world.national(NationalBand::From1000);
    let demand = world.log(demand, operator_officer()).unwrap();
    let given = answer(&world, demand, Outcome::Full, Band::UpTo5);
    assert!(world.log(given, operator_officer()).is_err());
    let half = Period {
        year: "2019".parse().unwrap(),
        half: Some(Half::Second),
    };
    let report = transparent(&world, Some(half));
    assert_eq!(
        csv(&report, "national_security_letters_and_orders", false),
        "year,month_range,type,count\n\
        2019,Jul-Dec,National security letters and orders received,1000 or more\n\
        2019,Jul-Dec,Affected accounts,not in the log: no statement tells what came of demands of national security\n"
    );
    assert_eq!(
        csv(&report, "requests_accounts_affected", false),
        "year,half,count_accounts_affected\n2019,2,0\n",
        "nothing of it anywhere else"
    );
}

#[test]
fn a_report_covers_what_was_asked_for_or_all_that_the_log_saw() {
    let mut world = compelled();
    let years = |report: &Report| {
        let table = csv(report, "requests_accounts_affected", false);
        let rows = table.lines().skip(1).map(|row| row[..4].to_owned());
        rows.collect::<Vec<_>>()
    };
    assert_eq!(years(&transparent(&world, None)), ["2019"]);
    world.pass(800 * DAY);
    let old = LegalDemand {
        served_on: "2014-03-01".parse().unwrap(),
        ..paper(&world, ProcessKind::Subpoena)
    };
    world.log(old, operator_officer()).unwrap();
    let all = transparent(&world, None);
    assert_eq!(years(&all), ["2021", "2020", "2019", "2014"]);
    assert_eq!(
        all.notes,
        [
            "2021 is not over: more may come.",
            "The log begins on 2019-07-01: what came earlier in 2019 is in it as far as somebody entered it since.",
            "The log begins on 2019-07-01: what came earlier in 2014 is in it as far as somebody entered it since.",
        ]
    );
    let halves = csv(&all, "emergency_disclosures", false);
    let halves: BTreeSet<&str> = halves.lines().skip(1).map(|row| &row[..6]).collect();
    assert_eq!(
        Vec::from_iter(halves),
        ["2014,1", "2019,2", "2020,1", "2020,2", "2021,1", "2021,2"]
    );
    let of_vendor = transparency(&of(&world), basis(&world), None, Some(&id(VENDOR)));
    let received = csv(&of_vendor, "requests_received_and_disclosed", false);
    assert!(!received.contains("warrant,1"), "{received}");
}
