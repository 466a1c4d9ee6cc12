//! Two cities' annual reports.

use super::*;

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
G|Staff access at the operator or a vendor||1|15
G|Staff access by reason|maintenance|1|15
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
