use std::collections::BTreeMap;

use super::*;
use crate::ledger::Lack;
use crate::ledger::window::Window;
use crate::record::findings::no_attachments;
use crate::statement::Signed;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::agreement::{Agreement, EndReason};
use crate::statement::kinds::benefit::BenefitKind;
use crate::statement::kinds::bulletin::Bulletin;
use crate::statement::kinds::disclosure::{Audience, Disclosure};
use crate::statement::kinds::party::Party;
use crate::statement::kinds::withdrawal::Withdrawal;
use crate::statement::leaf::Leaf;
use crate::statement::testing::{
    AGENCY, AGENCY_KEYS, ORIGIN, Stage, VENDOR, World, agency, agency_admin, agency_and_vendor,
    agency_officer, attached, id, key, registrars, resident, vendor,
};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::cosignature::Cosigner;
use crate::tlog::hash::leaf_hash;
use crate::tlog::note::LogSigner;
use crate::tlog::tree::TreeSize;

fn overview(history: &[(Time, Signed)]) -> Overview {
    let mut overview = Overview::default();
    for (logged_at, signed) in history {
        let leaf = Leaf {
            logged_at: *logged_at,
            envelope: signed.envelope.clone(),
        };
        overview.add(&leaf.to_bytes()).unwrap();
    }
    overview
}

fn published(world: &World) -> Published {
    let signer = LogSigner::new(ORIGIN.parse().unwrap(), key("log"));
    let checkpoint = Checkpoint {
        origin: ORIGIN.parse().unwrap(),
        size: TreeSize::new(world.history.len() as u64),
        root: leaf_hash(b"root"),
    };
    let mut note = checkpoint.sign(&signer);
    for name in ["library.example", "press.example"] {
        let cosigner = Cosigner::new(name.parse().unwrap(), key(name));
        let cosignature = cosigner.cosign(&checkpoint, world.now);
        note.signatures.push(cosignature);
    }
    Published {
        counted: checkpoint.size,
        checkpoint,
        note: note.to_bytes().into(),
        at: world.now.cut_to_minute(),
        came: None,
        witnesses: vec![
            ("library".to_owned(), Ok(())),
            (
                "university".to_owned(),
                Err(Lack::Absent("it did not answer".to_owned())),
            ),
        ],
    }
}

fn page_of(overview: &Overview, published: Option<&Published>) -> Page {
    Page::of(overview, ORIGIN, published, &no_attachments)
}

fn page(world: &World) -> Page {
    page_of(&overview(&world.history), Some(&published(world)))
}

/// The agreement of the Lakeland story.
fn lakeland() -> Agreement {
    let terms = include_str!("../../../examples/lakeland/terms.json");
    Agreement {
        terms: serde_json::from_str(terms).unwrap(),
        complete: false,
        effective_on: Some("2018-12-13".parse().unwrap()),
        ..Agreement::example()
    }
}

/// A course with everything that the page tells apart.
fn story() -> World {
    let mut world = World::at(Stage::Limits);
    let party = Party {
        name: "Doorbell, Inc.".parse().unwrap(),
        ..vendor()
    };
    world
        .log(party, registrars(VENDOR, &["vendor admin"]))
        .unwrap();
    let party = Party {
        name: "D'Arcy & Sons Police".parse().unwrap(),
        ..agency()
    };
    world.log(party, registrars(AGENCY, &AGENCY_KEYS)).unwrap();
    world.pass(4 * 86_400);
    let mut agreed = Agreement {
        document: None,
        ..lakeland()
    };
    world.agreement = world.log(agreed.clone(), agency_and_vendor()).unwrap();
    for (agreement, kind, count) in [
        (Some(world.agreement), BenefitKind::Equipment, Some(15)),
        (Some(world.agreement), BenefitKind::CreditAccrued, None),
        (None, BenefitKind::CreditRedeemed, None),
    ] {
        let benefit = Benefit {
            agreement,
            kind,
            count,
            item: count.map(|_| "doorbell-camera".parse().unwrap()),
            ..Benefit::example()
        };
        let officer = agency_officer();
        world.log(benefit, officer).unwrap();
    }
    let batch = crate::statement::testing::batch();
    let officer = crate::statement::testing::operator_officer();
    world.batch = world.log(batch, officer).unwrap();
    let request = world.ask();
    let recipient = request.recipient;
    world.request = world.log(request, agency_officer()).unwrap();
    for (n, name) in ["one", "two", "three"].into_iter().enumerate() {
        let consent = Disclosure {
            recipient: Audience::Agency(recipient),
            ..world.consent(n.try_into().unwrap())
        };
        world.disclosure = world.log(consent, resident(name)).unwrap();
        if n == 0 {
            let disclosure = world.disclosure;
            let voice = resident(name);
            world.log(Withdrawal { disclosure }, voice).unwrap();
        }
    }
    world.log(world.collect(), agency_officer()).unwrap();
    world.pass(3 * 86_400);
    world.log(world.ask(), agency_officer()).unwrap();
    agreed.terms.clear();
    agreed.status = Status::Terminated;
    agreed.reason = Some(EndReason::CouncilVote);
    agreed.previous = Some(world.agreement);
    let ended = Agreement {
        effective_on: None,
        ..agreed
    };
    world.log(ended, agency_admin()).unwrap();
    world
}

#[test]
fn a_story_is_told() {
    let world = story();
    let page = page(&world);
    let [agreement] = page.agreements.as_slice() else {
        panic!("one agreement, in two statements");
    };
    assert_eq!(agreement.status, "Ended");
    assert_eq!(agreement.steps.len(), 2);
    assert_eq!(agreement.terms.len(), 9, "what was agreed still shows");
    assert_eq!(agreement.benefits.len(), 2);
    assert_eq!(
        agreement.benefits[0].what,
        "15 × doorbell camera, 120 USD, for 12 app downloads"
    );
    assert_eq!(page.benefits.len(), 1);
    let titles: Vec<&str> = agreement.findings.iter().map(|f| f.title).collect();
    assert_eq!(
        titles,
        [
            "The police receive equipment",
            "The police are paid for each app download",
            "The police promote a product",
            "The program is kept secret",
            "Side agreements are not ruled out",
            "It was made public late",
        ]
    );
    let ended = agreement.ended.as_deref();
    assert_eq!(
        ended,
        Some("D'Arcy & Sons Police ended it because the council voted so.")
    );

    let [second, first] = page.requests.as_slice() else {
        panic!("two requests");
    };
    assert!(second.open && !first.open);
    assert_eq!(
        [&first.disclosures, &first.withdrawn, &first.collected],
        ["3", "1", "1"]
    );
    assert_eq!(second.disclosures, "0");
    assert_eq!(first.offence, "burglary");
    assert_eq!(page.figures.requests_open, "1");
    assert_eq!(page.figures.agreements_in_force, "0");

    let checkpoint = page.checkpoint.as_ref().unwrap();
    let cosigned: BTreeMap<_, _> = checkpoint.cosigned.iter().cloned().collect();
    assert_eq!(cosigned.len(), 2, "the log's own signature is no witness's");
    assert_eq!(cosigned["press.example"], Moment::from(world.now));
    assert_eq!(checkpoint.missing, ["university"]);
    assert_eq!(page.entries.len(), world.history.len());
    assert_eq!(page.entries[0].index, world.history.len() as u64 - 1);

    let html = page.render().unwrap();
    assert!(
        html.contains("whosaw log verify --log https://ledger.example/log --policy log.policy")
    );
    assert!(html.contains("Nobody knows how many residents refused"));
    assert!(html.contains("D&#39;Arcy &#38; Sons Police"));
    assert!(!html.contains("D'Arcy"));
}

#[test]
fn a_plain_agreement_has_no_findings() {
    let mut world = World::at(Stage::Agency);
    let plain = Agreement {
        terms: Vec::new(),
        effective_on: None,
        ..Agreement::example()
    };
    world.log(plain, agency_and_vendor()).unwrap();
    let page = page(&world);
    assert_eq!(page.agreements[0].findings, []);
    assert!(page.agreements[0].in_force);
    assert_eq!(page.figures.agreements_in_force, "1");
}

#[test]
fn gifts_from_the_police_are_not_gifts_to_the_police() {
    let mut world = World::at(Stage::Agency);
    let mut other = Agreement {
        effective_on: None,
        ..Agreement::example()
    };
    other.terms = vec![Term::Equipment {
        giver: id(AGENCY),
        receiver: id(VENDOR),
        item: "desk".parse().unwrap(),
        count: 1,
        value: None,
    }];
    world.log(other, agency_and_vendor()).unwrap();
    assert_eq!(page(&world).agreements[0].findings, []);
}

#[test]
fn everything_is_escaped() {
    const HOSTILE: &str = "<script>alert(1)</script>\"'&";
    let mut page = page(&story());
    let clean = page.render().unwrap().matches('<').count();
    page.origin = HOSTILE.to_owned();
    page.agreements[0].parties[0].name = HOSTILE.to_owned();
    page.agreements[0].terms[0] = HOSTILE.to_owned();
    page.agreements[0].findings[0].detail = HOSTILE.to_owned();
    page.agreements[0].benefits[0].what = HOSTILE.to_owned();
    page.agreements[0].document = Some(HOSTILE.to_owned());
    page.requests[0].agency = HOSTILE.to_owned();
    page.requests[0].id = HOSTILE.to_owned();
    page.entries[0].plain = HOSTILE.to_owned();
    page.checkpoint.as_mut().unwrap().cosigned[0].0 = HOSTILE.to_owned();
    page.checkpoint.as_mut().unwrap().missing[0] = HOSTILE.to_owned();
    let html = page.render().unwrap();
    assert!(!html.contains("<script") && !html.contains(HOSTILE));
    let document_link = 2;
    assert_eq!(html.matches('<').count(), clean + document_link);
}

#[test]
fn an_empty_ledger_has_a_page() {
    let page = page_of(&Overview::default(), None);
    let html = page.render().unwrap();
    for text in [
        "No agreement is on record",
        "No request is on record",
        "No checkpoint is published yet",
        "The log has no entries yet",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert!(!html.contains("<table"));
    assert_eq!(page.figures.entries, "0");
}

#[test]
fn only_the_latest_entries_are_kept() {
    let world = World::at(Stage::Limits);
    let (logged_at, signed) = &world.history[1];
    let again = vec![(*logged_at, signed.clone()); SHOWN + 3];
    let page = page_of(&overview(&again), None);
    assert_eq!(page.entries.len(), SHOWN);
    assert_eq!(page.entries[0].index, SHOWN as u64 + 2);
    assert_eq!(page.entries[SHOWN - 1].index, 3);
    assert_eq!(page.figures.entries, "203");
}

/// A page of the log's end shows of its requests what a page of the whole log shows, and finds nothing against
/// anybody that the entries left out would explain.
#[test]
fn a_page_of_the_end_says_nothing_else_than_one_of_the_whole() {
    let world = story();
    let whole = overview(&world.history);
    let leaf = |index: usize| {
        let (logged_at, signed) = &world.history[index];
        let leaf = Leaf {
            logged_at: *logged_at,
            envelope: signed.envelope.clone(),
        };
        (index as u64, leaf.to_bytes())
    };
    let size = world.history.len();
    let all = page(&world);
    let totals = |page: &Page| {
        let figures = &page.figures;
        [&figures.entries, &figures.requests, &figures.disclosures].map(String::clone)
    };
    let from = whole.record().requests()[0].index;
    for from in [from, from + 1] {
        let needed = |index: &usize| {
            let statement = &world.history[*index].1.statement;
            *index as u64 >= from
                || matches!(
                    statement,
                    Statement::Agreement(_) | Statement::Party(_) | Statement::Limits(_)
                )
        };
        let window = Window {
            size: size as u64,
            from,
            entries: (0..size).filter(needed).map(leaf).collect(),
            listed: (0..size).map(leaf).collect(),
            totals: Totals {
                agreements_in_force: 0,
                requests: 2,
                requests_open: 0,
                disclosures: 3,
            },
        };
        let end = Overview::of(&window).unwrap();
        let page = page_of(&end, Some(&published(&world)));
        assert_eq!(totals(&page), totals(&all));
        let shown = page.requests.len();
        assert_eq!(
            format!("{:?}", page.requests),
            format!("{:?}", &all.requests[..shown])
        );
        assert_eq!(page.figures.earlier_requests.is_some(), shown < 2);
        assert_eq!(format!("{:?}", page.entries), format!("{:?}", all.entries));
        assert!(page.from.is_some() && all.from.is_none());
        let html = page.render().unwrap();
        assert!(html.contains("The figures count the whole log"));
        let accused = |page: &Page| -> Vec<String> {
            let cards = page.agreements.iter().flat_map(|card| &card.findings);
            let cards = cards.chain(page.requests.iter().flat_map(|card| &card.findings));
            let found = cards.chain(&page.findings);
            found.map(|finding| format!("{finding:?}")).collect()
        };
        let of_all = accused(&all);
        assert!(accused(&page).iter().all(|found| of_all.contains(found)));
        assert!(!accused(&page).is_empty());
    }
}

#[test]
fn headings_descend_one_by_one_and_every_link_target_is_there() {
    let html = page(&story()).render().unwrap();
    let mut last = 0;
    for piece in html.split("<h").skip(1) {
        if let Some(level) = piece.chars().next().and_then(|c| c.to_digit(10)) {
            assert!(level <= last + 1, "h{level} after h{last}");
            last = level;
        }
    }
    for piece in html.split("href=\"#").skip(1) {
        let target = piece.split('"').next().unwrap();
        assert!(html.contains(&format!("id=\"{target}\"")), "{target}");
    }
}

#[test]
fn the_page_of_a_closed_log_says_so_first() {
    let mut world = World::at(Stage::Request);
    assert!(
        !page(&world)
            .render()
            .unwrap()
            .contains("This log is closed")
    );
    assert_eq!(page(&world).figures.requests_open, "1");
    world.close();
    let page = page(&world);
    assert_eq!(
        page.figures.requests_open, "0",
        "nobody can answer any more"
    );
    let html = page.render().unwrap();
    let banner = html.find("This log is closed").expect("a banner");
    assert!(banner < html.find("<section").unwrap());
    assert!(html.contains("next.example/log"));
}

#[test]
fn what_everybody_is_told_has_its_time() {
    let mut world = World::at(Stage::Batch);
    let now = world.now.cut_to_hour();
    for (n, days) in [1, 3, 5].into_iter().enumerate() {
        let bulletin = Bulletin {
            text: attached(&format!("alert {n}")),
            expires: now.plus_seconds(days * 86_400),
            ..Bulletin::example()
        };
        world.log(bulletin, agency_officer()).unwrap();
        let publication = Disclosure {
            expires: now.plus_seconds(days * 86_400),
            ..world.publish(n as u32)
        };
        let key = ["one", "two", "three"][n];
        let disclosure = world.log(publication, resident(key)).unwrap();
        if n == 2 {
            let back = Withdrawal { disclosure };
            world.log(back, resident(key)).unwrap();
        }
    }
    world.pass(2 * 86_400);
    let page = page(&world);
    let states: Vec<_> = page
        .publications
        .iter()
        .map(|p| (p.state, p.open))
        .collect();
    assert_eq!(
        states,
        [("Taken back", false), ("Public", true), ("Over", false)]
    );
    let texts = page.bulletins.iter().map(|bulletin| bulletin.text.clone());
    let text = |n| Some(attached(&format!("alert {n}")).to_string());
    assert_eq!(texts.collect::<Vec<_>>(), [text(2), text(1), None]);
    assert_eq!(page.figures.disclosures, "3");
    let html = page.render().unwrap();
    for (shown, times) in [
        (">Current</p>", 2),
        (">Expired</p>", 1),
        ("href=\"/published/", 1),
        (&attached("alert 0").to_string(), 0),
        ("missing person</h3>", 3),
    ] {
        assert_eq!(html.matches(shown).count(), times, "{shown}");
    }
    // Nothing counts before the witnesses have spoken.
    let early = page_of(&overview(&world.history), None);
    assert!(early.publications.iter().all(|p| !p.open));
    assert!(
        early
            .bulletins
            .iter()
            .all(|bulletin| bulletin.text.is_none())
    );
}
