//! A ledger after a clean stop, after a backup, and in a copied folder.

use std::fs;

use super::ledger::{Ledger, done};

/// Operators copy `ledger.db` of a stopped server. Every commit must be in that file.
#[test]
fn after_a_clean_stop_each_database_file_is_whole() {
    let mut ledger = Ledger::start(|_| {});
    ledger.settle();
    let size = ledger.size();
    ledger.terminate();
    assert_eq!(ledger.take_server().ended().code(), Some(0));
    for name in ["ledger.db", "vaults.db", "queries.db"] {
        let path = ledger.path("operator").join(name);
        for beside in ["-wal", "-shm"] {
            let beside = format!("{}{beside}", path.display());
            let length = fs::metadata(&beside).map_or(0, |file| file.len());
            assert!(
                beside.ends_with("-shm") || length == 0,
                "{beside}: {length}"
            );
            let _ = fs::remove_file(beside);
        }
    }
    let data = ledger.file("operator");
    let said = done(&["log", "fsck", "--data", &data]);
    assert!(said.contains("entries: clean"), "{said}");
    ledger.serve();
    assert!(ledger.size() >= size);
}
