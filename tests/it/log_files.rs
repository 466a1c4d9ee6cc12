//! The log's files over HTTP: what lies on the disk, with its length, and not a byte else.

use super::http::{Answer, Call};
use super::ledger::Ledger;

fn ask(ledger: &Ledger, method: &'static str, path: &str) -> Answer {
    ledger.send(&Call::new(method, format!("/log/{path}"), []))
}

#[test]
fn files_are_served_as_they_lie() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 86_400);
    ledger.settle();
    let size = ledger.size();
    let files = [
        ("checkpoint".to_owned(), "text/plain; charset=utf-8"),
        (format!("tile/0/000.p/{size}"), "application/octet-stream"),
        (
            format!("tile/entries/000.p/{size}"),
            "application/octet-stream",
        ),
    ];
    for (path, media_type) in &files {
        let file = std::fs::read(ledger.path("operator/log").join(path)).unwrap();
        // Twice: read from the disk, and from memory.
        for _ in 0..2 {
            let answer = ask(&ledger, "GET", path);
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.body, file, "{path}");
            let head = ask(&ledger, "HEAD", path);
            assert_eq!(head.status, 200, "{path}");
            assert!(head.body.is_empty(), "{path}");
            for answer in [&answer, &head] {
                assert_eq!(answer.header("content-length"), file.len().to_string());
                assert_eq!(answer.header("content-type"), *media_type);
                assert_eq!(answer.header("x-content-type-options"), "nosniff");
                let immutable = answer.header("cache-control").contains("immutable");
                assert_eq!(immutable, path != "checkpoint");
            }
        }
    }
}

/// What is not there is not remembered, and what was there is not taken for what is there now.
#[test]
fn a_growing_log_is_served_as_it_grows() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 86_400);
    let old = ledger.size();
    let narrow = ask(&ledger, "GET", &format!("tile/0/000.p/{old}"));
    let wide = format!("tile/0/000.p/{}", old + 1);
    assert_eq!(ask(&ledger, "GET", &wide).status, 404);
    ledger.register("vendor", "vendor", "doorbell.example");
    assert!(ledger.size() > old);
    let wide = ask(&ledger, "GET", &wide);
    assert_eq!(wide.status, 200);
    assert_eq!(wide.body.len() as u64, (old + 1) * 32);
    assert!(wide.body.starts_with(&narrow.body));
}
