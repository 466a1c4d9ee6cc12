//! Which statements this process has learnt to be logged, for whoever watches it: a program whose own answer
//! cannot be written says at least by id what it has done.

use std::sync::OnceLock;

use crate::digest::StatementId;
use crate::tlog::tree::LeafIndex;

/// A statement that the ledger has answered to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    pub id: StatementId,
    /// Its entry; `None` where the ledger has taken it and shows no checkpoint over it yet.
    pub index: Option<LeafIndex>,
    /// Whether a proof says so that holds.
    pub is_proven: bool,
}

static OBSERVER: OnceLock<fn(Answered)> = OnceLock::new();

/// Has `observer` called for each such statement of this process. The first observer stays.
pub fn observe(observer: fn(Answered)) {
    let _ = OBSERVER.set(observer);
}

/// Lets the observer know.
pub(super) fn note(id: StatementId, index: Option<LeafIndex>, is_proven: bool) {
    if let Some(observer) = OBSERVER.get() {
        observer(Answered {
            id,
            index,
            is_proven,
        });
    }
}
