use super::*;
use crate::record::findings::FindingCode;
use crate::statement::testing::{Stage, World};

fn pages(world: &World, findings: &[Finding]) -> Vec<EntryPage> {
    let history = world.history.iter().zip(0..);
    let page = |((logged_at, signed), index): (&(_, crate::statement::Signed), u64)| {
        let leaf = Leaf {
            logged_at: *logged_at,
            envelope: signed.envelope.clone(),
        };
        EntryPage::of("ledger.example/log", LeafIndex::new(index), &leaf, findings).unwrap()
    };
    history.map(page).collect()
}

/// What was signed stands on the page whole: read back, it has the statement's id.
#[test]
fn every_entry_has_a_page_that_says_all_of_it() {
    let world = World::at(Stage::Collection);
    for page in pages(&world, &[]) {
        let payload: serde_json::Value = serde_json::from_str(&page.payload).unwrap();
        let canonical = serde_json_canonicalizer::to_vec(&payload).unwrap();
        assert_eq!(StatementId::of_payload(&canonical).to_string(), page.id);
        assert!(!page.keys.is_empty());
        let html = page.render().unwrap();
        for text in [&page.id, page.kind, &format!("Entry {}", page.index)] {
            assert!(html.contains(text), "{text}: {html}");
        }
        let (ids, unique) = (html.matches(" id=\"").count(), |id: &str| {
            html.matches(&format!(" id=\"{id}\"")).count() == 1
        });
        assert!(
            ids == 4
                && ["main", "about-title", "signed-title", "check-title"]
                    .into_iter()
                    .all(unique)
        );
    }
}

#[test]
fn what_does_not_fit_is_said_and_escaped() {
    let world = World::at(Stage::Limits);
    let finding = Finding {
        code: FindingCode::Disputed,
        about: StatementId::of_payload(b"this"),
        with: Vec::new(),
        detail: "<b>bold</b> & more".to_owned(),
    };
    let page = pages(&world, &[finding]).pop().unwrap();
    let html = page.render().unwrap();
    assert!(html.contains("What does not fit"));
    assert!(
        !html.contains("<b>") && html.contains("&amp;") || html.contains("&#38;"),
        "{html}"
    );
}
