//! Cards of parties.

use super::*;

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
        2019-07-01,support-17,storage-console,maintenance,\"clip-ciphertext, clip-metadata\",11 to 50,15\n"
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
