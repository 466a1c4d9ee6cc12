use super::*;
use crate::record::findings::FindingCode;
use crate::statement::testing::{Stage, World};

/// The pages of all entries, of which the first three have been compared with each other.
fn pages(world: &World, findings: &[Finding], erased: bool) -> Vec<EntryPage> {
    let history = world.history.iter().zip(0..);
    let pages = history.map(|((logged_at, signed), index)| {
        let leaf = Leaf {
            logged_at: *logged_at,
            envelope: signed.envelope.clone(),
        };
        let (index, compared) = (LeafIndex::new(index), (findings, 3));
        EntryPage::of("ledger.example/log", index, &leaf, compared, &|_| erased).unwrap()
    });
    pages.collect()
}

/// What was signed stands on the page whole: read back, it has the statement's id.
#[test]
fn every_entry_has_a_page_that_says_all_of_it() {
    let world = World::at(Stage::Collection);
    for page in pages(&world, &[], false) {
        let payload: serde_json::Value = serde_json::from_str(&page.payload).unwrap();
        let canonical = serde_json_canonicalizer::to_vec(&payload).unwrap();
        assert_eq!(StatementId::of_payload(&canonical).to_string(), page.id);
        let html = page.render().unwrap();
        for text in [&page.id, page.kind, &format!("Entry {}", page.index)]
            .into_iter()
            .chain(page.keys.iter().map(String::as_str))
        {
            assert!(html.contains(text), "{text}: {html}");
        }
        let compared = page.index.as_u64() < 3;
        let said = ["first 3 entries: it fits them", "Not yet compared"].map(|t| html.contains(t));
        assert_eq!(said, [compared, !compared], "{html}");
        for id in ["main", "about-title", "signed-title", "check-title"] {
            assert_eq!(html.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
        }
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
    let html = pages(&world, &[finding], false)[1].render().unwrap();
    assert!(html.contains("What does not fit"));
    assert!(
        !html.contains("<b>") && html.contains("&#38; more"),
        "{html}"
    );
    assert!(
        html.contains("Compared with the first 3 entries."),
        "{html}"
    );
}

#[test]
fn what_was_erased_is_no_link() {
    let world = World::at(Stage::Request);
    for erased in [false, true] {
        let page = pages(&world, &[], erased).pop().unwrap();
        let html = page.render().unwrap();
        assert!(!page.attachments.is_empty());
        for (member, digest, _) in &page.attachments {
            let linked = html.contains(&format!("href=\"/attachments/{digest}\""));
            let told = html.contains(&format!("<code>{member}</code>, erased"));
            assert_eq!((linked, told), (!erased, erased), "{html}");
        }
    }
}
