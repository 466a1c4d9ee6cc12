//! Reports of logs built by hand, with every figure known; and figures counted twice.

mod properties;
mod texts;

use super::*;
use crate::record::findings::{findings, no_attachments};
use crate::record::of;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::access_request::AccessRequest;
use crate::statement::kinds::annotation::Annotation;
use crate::statement::kinds::benefit::{Benefit, BenefitKind};
use crate::statement::kinds::collection::Collection;
use crate::statement::kinds::custody_report::{CustodyEvent, CustodyReport, Recipients};
use crate::statement::kinds::delay_order::{DelayOrder, Delayed};
use crate::statement::kinds::insider_access::InsiderAccess;
use crate::statement::kinds::legal_demand::{
    DemandSource, EmergencyGround, NationalBand, ProcessKind,
};
use crate::statement::kinds::notice::{Notice, NoticeState};
use crate::statement::kinds::party::Party;
use crate::statement::kinds::party_status::PartyStatus;
use crate::statement::kinds::request_closing::{ClosingOutcome, RequestClosing};
use crate::statement::testing::*;
use crate::statement::words::{Band, PartyKind, RecordKind};

fn basis(world: &World) -> Basis {
    Basis {
        origin: ORIGIN.to_owned(),
        size: world.history.len() as u64,
        root: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
        at: world.now,
        begins: of(world).began(),
        forbidden: 0,
    }
}

fn year(text: &str) -> Option<Period> {
    Some(text.parse::<Year>().unwrap().into())
}

fn transparent(world: &World, period: Option<Period>) -> Report {
    transparency(&of(world), basis(world), period, None)
}

fn yearly(world: &World, ordinance: Ordinance) -> Report {
    let record = of(world);
    let found = findings(&record, world.now, &no_attachments);
    annual(&record, &found, basis(world), ordinance, None, None)
}

fn carded(world: &World, kind: CardKind, party: &str) -> Option<Report> {
    let record = of(world);
    let found = findings(&record, world.now, &no_attachments);
    card(&record, &found, basis(world), kind, &id(party))
}

fn paper(world: &World, process: ProcessKind) -> LegalDemand {
    let emergency = process == ProcessKind::Emergency;
    LegalDemand {
        process,
        source: DemandSource::Paper,
        investigation: None,
        content: false,
        records: vec![RecordKind::Account],
        delay: Vec::new(),
        answer_by: None,
        sealed: None,
        emergency: emergency.then_some(EmergencyGround::DangerOfDeath),
        ..world.demand()
    }
}

fn national(world: &World, band: NationalBand) -> LegalDemand {
    LegalDemand {
        agency: None,
        offences: Vec::new(),
        accounts: None,
        received: Some(band),
        ..paper(world, ProcessKind::NationalSecurity)
    }
}

fn answer(world: &World, demand: StatementId, outcome: Outcome, accounts: Band) -> DemandResponse {
    let gives = matches!(outcome, Outcome::Full | Outcome::Partial);
    DemandResponse {
        demand: Some(demand),
        outcome,
        records: gives.then_some(RecordKind::Account).into_iter().collect(),
        accounts,
        clips: if gives { Band::UpTo50 } else { Band::None },
        effective_on: Day::of(world.now),
        ..DemandResponse::example()
    }
}

/// A year of demands upon the operator: a warrant answered twice, whose notice a court puts off; a
/// subpoena, answered, with people told; another with nothing to give; an emergency; two demands from
/// abroad; bands of national security; and an answer to a demand that nobody entered.
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
        let demand = national(&world, band);
        world.log(demand, operator_officer()).unwrap();
    }
    // 20.
    let alone = DemandResponse {
        demand: None,
        agency: Some(id(AGENCY)),
        ..answer(&world, warrant, Outcome::Full, Band::UpTo5)
    };
    world.log(alone, operator_officer()).unwrap();
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
2019,preservation request,0,0,
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
2019,Jul-Dec,Affected accounts,not in the log: nobody responded to a demand of national security in this half
2019,Jan-Jun,National security letters and orders received,\
not in the log: nobody entered a band for this half; that says nothing of how many there were
2019,Jan-Jun,Affected accounts,not in the log: nobody responded to a demand of national security in this half
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
fn accounts_of_national_security_are_in_bands_of_250() {
    let mut world = World::at(Stage::Agency);
    let demand = national(&world, NationalBand::From1000);
    let demand = world.log(demand, operator_officer()).unwrap();
    let given = answer(&world, demand, Outcome::Full, Band::UpTo5);
    world.log(given, operator_officer()).unwrap();
    let half = Period {
        year: "2019".parse().unwrap(),
        half: Some(Half::Second),
    };
    let report = transparent(&world, Some(half));
    assert_eq!(
        csv(&report, "national_security_letters_and_orders", false),
        "year,month_range,type,count\n\
        2019,Jul-Dec,National security letters and orders received,1000 or more\n\
        2019,Jul-Dec,Affected accounts,0-249\n"
    );
    assert_eq!(
        csv(&report, "requests_accounts_affected", false),
        "year,half,count_accounts_affected\n2019,2,0\n",
        "nothing finer than its band is told of it anywhere"
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

/// The agency gave on what a resident gave it.
fn re_shared(world: &World, with: Recipients) -> CustodyReport {
    CustodyReport {
        about: world.disclosure,
        event: CustodyEvent::ReShared,
        shared_with: Some(with),
        until: None,
        basis: None,
        effective_on: Day::of(world.now),
        ..CustodyReport::example()
    }
}

/// A journey's collection, watched by everybody.
fn followed() -> World {
    let mut world = World::at(Stage::Collection);
    let shared = re_shared(&world, Recipients::FederalAgency);
    let viewed = CustodyReport {
        event: CustodyEvent::Viewed,
        shared_with: None,
        ..shared.clone()
    };
    let shared_with_vendor = CustodyReport {
        shared_with_party: Some(id(VENDOR)),
        ..re_shared(&world, Recipients::Vendor)
    };
    // 9, 10, 11.
    for report in [viewed, shared, shared_with_vendor] {
        world.log(report, agency_officer()).unwrap();
    }
    let dispute = Annotation {
        about: world.request,
        ..Annotation::example()
    };
    let cameras = Benefit {
        kind: BenefitKind::Equipment,
        giver: id(VENDOR),
        receiver: id(AGENCY),
        confirms: None,
        agreement: None,
        item: Some("doorbell-camera".parse().unwrap()),
        count: Some(15),
        amount: None,
        downloads: None,
        effective_on: Day::of(world.now),
    };
    let closing = RequestClosing {
        request: world.request,
        outcome: ClosingOutcome::Answered,
    };
    // 12, 13, 14, 15, 16 with 17.
    world.log(dispute, party(VENDOR, "vendor admin")).unwrap();
    world.log(cameras, agency_officer()).unwrap();
    world.log(closing, agency_officer()).unwrap();
    world
        .log(InsiderAccess::example(), operator_officer())
        .unwrap();
    let warrant = LegalDemand {
        answer_by: None,
        sealed: None,
        ..world.demand()
    };
    let warrant = world.log(warrant, agency_officer()).unwrap();
    let given = answer(&world, warrant, Outcome::Partial, Band::UpTo5);
    world.log(given, operator_officer()).unwrap();
    world
}

#[test]
fn an_annual_report_says_what_the_log_knows_and_what_it_cannot() {
    let report = yearly(&followed(), Ordinance::Oakland);
    assert_eq!(report.sections.len(), 1, "one agency, one year");
    let items = csv(&report, "items", true);
    let mut reader = ::csv::Reader::from_reader(items.as_bytes());
    let head = "agency,name,year,item,asks,figure,of,answer,entries";
    assert_eq!(
        reader
            .headers()
            .unwrap()
            .iter()
            .collect::<Vec<_>>()
            .join(","),
        head
    );
    let rows: Vec<String> = reader
        .records()
        .map(|row| {
            let row = row.unwrap();
            let name = Party::example().name.to_string();
            assert_eq!([&row[0], &row[1], &row[2]], [AGENCY, &name, "2019"]);
            let cells: Vec<&str> = [3, 5, 6, 7, 8].map(|at| &row[at]).to_vec();
            cells.join("|")
        })
        .collect();
    let expected = "\
A|Requests to residents||1|6
A|Requests by kind|voluntary|1|6
A|Requests by offence|220 burglary|1|6
A|Investigations with requests||1|6
A|Minutes of footage asked for||120|6
A|Area asked about, all requests (m²)||250000|6
A|Area asked about, largest request (m²)||250000|6
A|Residents asked||not in the log: devices find requests by themselves, and nobody learns whose camera is near|
A|Disclosures by residents||1|7
A|Disclosures with data of a type|video|1|7
A|Clips disclosed by residents||1|7
A|Disclosures withdrawn||0|
A|Disclosures collected||1|8
A|Refusals||not in the log: a refusal stays on its owner's device, and looks like silence|
A|Legal demands||1|16 17
A|Legal demands by process|search-warrant|1|16
A|Responses with records of a type|account|1|17
A|Accounts disclosed by legal process||1 to 5|16 17
A|Clips disclosed by legal process||11 to 50|16 17
A|Reports that footage was viewed||1|9
A|Reports that footage was copied||0|
A|Reports that footage is kept||0|
A|Reports that footage was deleted||0|
A|Bulletins||0|
B|Times data was given on||2|10 11
B|Times data was given on to|federal-agency|1|10
B|Times data was given on to|vendor: doorbell.example|1|11
B|Sharing of which the agency reports nothing||not in the log: no custody report tells of it|
B|Justification in words||not in the log: statements hold codes and no prose; offence and legal standard stand beside each sharing|
B|Requests whose case number is public||0|
B|Requests whose case number is sealed||1|6
C|What cameras are installed upon||not in the log: the log holds no camera and no vault|
C|Data sources||clips that residents store, and records that their holders keep|
D|Requests in|US-FL|1|6
D|Requests by police area||not in the log: a request names a state or a country; its map is an attachment|
E|Disputes by other parties||1|12
E|Corrections by other parties||0|
E|Claims by other parties||0|
E|Complaints by the community||not in the log: complaints are made to the agency; a party to the log annotates a statement|
E|Whether the use policy is adequate||not in the log: whether a policy is adequate is for people to judge|
E|Race of each person subject to it||not in the log: statements hold nothing of any person|
F|Findings||4|6 13 16
F|Findings by code|benefit-without-agreement|1|13
F|Findings by code|counts-disagree|1|16
F|Findings by code|disputed|1|6
F|Findings by code|escalated|1|16
F|Internal audits, and actions taken||not in the log: an agency's own audits are no statements; what anybody can audit is in the findings|
G|Staff of the operator or a vendor looked at what is stored||1|15
G|Staff of the operator or a vendor looked at what is stored|maintenance|1|15
G|Keys of the agency revoked as compromised||0|
G|Breaches at the agency||not in the log: what happens on an agency's own systems is no statement|
H|Requests for which somebody gave something||1|6
H|Requests for which nobody gave anything||0|
H|Requests closed as answered||1|6
H|Requests withdrawn||0|
H|Reports that nothing usable came||0|
H|What footage led to, and crime statistics||not in the log: no statement tells what footage led to, and none holds crime statistics|
I|Public records requests||not in the log: public records requests are made to the agency|
I|Response rate||not in the log: public records requests are made to the agency|
J|Total annual costs, with personnel||not in the log: what an agency spends stands in its budget; agreements and benefits are below|
J|Source of funding for the coming year||not in the log: budgets are no statements|
J|Received|doorbell-camera|15|13
K|Statements on agreements|in-force|1|4
K|Requested modifications to the policy||not in the log: an agency's policy is no statement; agreements and their amendments are|
";
    assert_eq!(rows.join("\n") + "\n", expected);
    let acquired = "\
agency,name,year,legal_standard,day,types_of_data,offence,clips,accounts,entries
lakelandgov.example,NAME,2019,voluntary consent,2019-07-04,video,220 burglary,1,,6 7 8
lakelandgov.example,NAME,2019,search-warrant,2019-07-04,account,35A drug offence,11 to 50,1 to 5,16 17
";
    let name = Party::example().name.to_string();
    let acquired = acquired.replace("NAME", &name);
    assert_eq!(csv(&report, "acquired", true), acquired);
    let shared = "\
agency,name,year,day,recipient,recipient_name,types_of_data,legal_standard,justification,entries
lakelandgov.example,NAME,2019,2019-07-04,federal-agency,,video,voluntary consent,220 burglary,6 7 10
lakelandgov.example,NAME,2019,2019-07-04,vendor,NAME,video,voluntary consent,220 burglary,6 7 11
";
    assert_eq!(
        csv(&report, "shared_with", true),
        shared.replace("NAME", &name)
    );
}

#[test]
fn both_cities_reports_rest_on_the_same_figures() {
    let world = followed();
    let figures = |ordinance| {
        let report = yearly(&world, ordinance);
        let rows = report.sections[0].tables[0].rows.iter();
        rows.map(|row| (row.cells[2..].to_vec(), row.entries.clone()))
            .collect::<Vec<_>>()
    };
    let oakland = figures(Ordinance::Oakland);
    let san_francisco = figures(Ordinance::SanFrancisco);
    let only = |cells: &Cell| matches!(cells, Cell::Text(text) if text.starts_with("Agreement with") || text == "Equipment received" || text.starts_with("Manufacturers"));
    for figure in &san_francisco {
        assert!(oakland.contains(figure) || only(&figure.0[0]), "{figure:?}");
    }
    let left_out: Vec<_> = oakland
        .iter()
        .filter(|figure| !san_francisco.contains(figure))
        .map(|(cells, _)| cells[0].text())
        .collect();
    assert_eq!(
        left_out,
        [
            "Whether the use policy is adequate",
            "Race of each person subject to it"
        ],
        "its code does not ask for them"
    );
}

#[test]
fn an_agencys_card() {
    let mut world = followed();
    let suspended = PartyStatus::example();
    world.log(suspended, operator_admin()).unwrap();
    let report = carded(&world, CardKind::Agency, AGENCY).unwrap();
    assert_eq!(
        report.title,
        "Lakeland Police Department (lakelandgov.example)"
    );
    let what = csv(&report, "party", true);
    assert_eq!(
        what,
        "figure,answer,entries\n\
        Party id,lakelandgov.example,3\n\
        Name,Lakeland Police Department,3\n\
        Kind,agency,3\n\
        Jurisdiction,US-FL,3\n\
        In the log since,2019-07-01T10:00:00Z,3\n\
        Standing,suspended,18\n\
        Host name,its host name checked by a file it serves,3\n\
        Host name looked at,2018-12-13,3\n\
        Requests to residents,1,6\n\
        Legal demands,1,16\n\
        Seals overdue,0,\n"
    );
    let standing = csv(&report, "standing", false);
    assert!(standing.contains("suspended,domain-lost"), "{standing}");
    let keys = csv(&report, "keys", false);
    assert_eq!(keys.lines().count(), 1 + AGENCY_KEYS.len());
    assert!(
        keys.contains("officer,detective-4,2019-07-01T10:00:00Z,,,ed25519:"),
        "{keys}"
    );
    assert_eq!(
        csv(&report, "requests", true),
        "logged_at,kind,offence,jurisdiction,minutes,area_m2,state,disclosures,clips,collected,withdrawn,\
        case_number,entries\n\
        2019-07-04T10:00:00Z,voluntary,220 burglary,US-FL,120,250000,answered,1,1,1,0,\
        sealed: until 2019-08-03,6 7 14\n"
    );
    assert_eq!(
        csv(&report, "demands", true),
        "served_on,process,agency,upon,offence,content_demanded,outcome,accounts,those_concerned_told,two_sides,\
        entries\n\
        2019-07-04,search-warrant,Lakeland Police Department,Lakeland Police Department,35A drug offence,yes,partial,\
        1 to 5,due 2019-07-11,disagrees,16 17\n"
    );
    assert_eq!(
        csv(&report, "balances", true),
        "agreement,party,what,balance,entries\n\
        none,Lakeland Police Department,doorbell-camera,-15,13\n\
        none,Lakeland Police Department,doorbell-camera,15,13\n"
    );
    assert_eq!(
        csv(&report, "custody", false),
        "day,event,about_entry,clip,shared_with,recipient_name,kept_until,basis\n\
        2019-07-04,viewed,7,all,,,,\n\
        2019-07-04,re-shared,7,all,federal-agency,,,\n\
        2019-07-04,re-shared,7,all,vendor,Lakeland Police Department,,\n"
    );
    assert_eq!(
        csv(&report, "seals", true),
        "entry,field,due,state,entries\n\
        6,case number,2019-08-03,sealed: until 2019-08-03,6\n"
    );
    world.pass(32 * DAY);
    let report = carded(&world, CardKind::Agency, AGENCY).unwrap();
    let seals = csv(&report, "seals", false);
    assert!(
        seals.contains("sealed: overdue since 2019-08-03"),
        "{seals}"
    );
    let what = csv(&report, "party", true);
    assert!(what.contains("Seals overdue,1,6\n"), "{what}");
    let found = csv(&report, "findings", true);
    assert!(
        found.contains("seal-overdue,It should have been opened,6,"),
        "{found}"
    );
}

#[test]
fn a_vendors_card_and_an_operators() {
    let world = followed();
    assert!(
        carded(&world, CardKind::Vendor, AGENCY).is_none(),
        "an agency has another"
    );
    assert!(carded(&world, CardKind::Agency, VENDOR).is_none());
    assert!(carded(&world, CardKind::Vendor, "nobody.example").is_none());
    let vendor = carded(&world, CardKind::Vendor, VENDOR).unwrap();
    assert_eq!(
        csv(&vendor, "agreements", true),
        "agreement,with,instrument,status,effective_on,logged_at,terms,side_agreements,entries\n\
        4,Lakeland Police Department,contract,in-force,,2019-07-04T10:00:00Z,0,ruled out,4\n"
    );
    assert_eq!(
        csv(&vendor, "benefits", true),
        "agreement,day,from,to,what,quantity,entries\n\
        none,2019-07-04,Lakeland Police Department,Lakeland Police Department,doorbell-camera,15,13\n"
    );
    let operator = carded(&world, CardKind::Vendor, OPERATOR).unwrap();
    assert_eq!(
        csv(&operator, "insider_access", true),
        "day,staff,system,reason,types_of_data,accounts,entries\n\
        2019-08-05,support-17,storage-console,maintenance,\"clip-ciphertext, clip-metadata\",11 to 50,15\n"
    );
    let demands = csv(&operator, "demands", true);
    assert!(
        demands.ends_with(",16 17\n"),
        "demands are upon it: {demands}"
    );
    assert_eq!(csv(&vendor, "demands", false).lines().count(), 1);
}

/// The names of parties are as they gave them, and no name of another's row.
#[test]
fn a_party_that_was_listed_and_then_registers_is_one() {
    let mut world = World::at(Stage::Vendor);
    world
        .log(listed(AGENCY, PartyKind::Agency), operator_admin())
        .unwrap();
    let listed = carded(&world, CardKind::Agency, AGENCY).unwrap();
    let standing = |report: &Report| {
        let table = csv(report, "party", true);
        let row = table
            .lines()
            .find(|line| line.starts_with("Standing"))
            .unwrap();
        row.to_owned()
    };
    assert_eq!(standing(&listed), "Standing,listed,");
    world.pass(DAY);
    world
        .log(agency(), registrars(AGENCY, &AGENCY_KEYS))
        .unwrap();
    let registered = carded(&world, CardKind::Agency, AGENCY).unwrap();
    assert_eq!(standing(&registered), "Standing,live,");
    let what = csv(&registered, "party", true);
    assert!(
        what.contains("In the log since,2019-07-01T10:00:00Z,3\n"),
        "{what}"
    );
    assert_eq!(csv(&registered, "keys", true).matches(",4\n").count(), 4);
}
