//! The port `Journal`: the entries of one log, in order, with what must be as durable as they are.
//!
//! A commit holds entries, the ids under which they are found, the facts that the rules keep, and
//! the state of the tree, so that a crash never parts them. The head is moved apart from that, by
//! compare-and-swap: of two processes that both believe to be the log, one loses and stops.
//! Leaves, keys and values are opaque here; tiles are [`Objects`](super::objects::Objects).

use std::ops::Range;

use super::StoreError;
use crate::digest::StatementId;

#[cfg(test)]
mod tests;

/// How far the log has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Entries under it.
    pub size: u64,
    /// Root of the tree over them (RFC 6962).
    pub root: [u8; 32],
    /// The checkpoint with the log's own signatures, not yet cosigned.
    pub note: Vec<u8>,
}

/// An entry to be committed.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Id of its statement.
    pub id: StatementId,
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// False for an entry that the rules forbid and a follower found in somebody's log: it has an
    /// index, but its id leads nowhere.
    pub admitted: bool,
}

/// The key and the value of a fact.
pub type KeyedFact = (Vec<u8>, Vec<u8>);

/// What becomes durable at once, or not at all.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Index of the first entry: the number of entries already committed.
    pub first: u64,
    /// The entries, in order.
    pub entries: Vec<NewEntry>,
    /// Facts set or changed.
    pub facts: Vec<KeyedFact>,
    /// State of the tree after these entries.
    pub frontier: Vec<u8>,
}

/// Reads a journal. Each call sees whole commits only.
pub trait JournalRead {
    /// The number of entries committed.
    fn size(&self) -> Result<u64, StoreError>;

    /// The index of the admitted statement with this id.
    fn find(&self, id: &StatementId) -> Result<Option<u64>, StoreError>;

    /// The index of the admitted statement with this id, and its leaf.
    fn find_leaf(&self, id: &StatementId) -> Result<Option<(u64, Vec<u8>)>, StoreError>;

    /// The fact under this key.
    fn fact(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// All facts, in ascending order of keys.
    #[cfg(test)]
    fn facts(&self) -> Result<Vec<KeyedFact>, StoreError>;

    /// The frontier of the last commit; empty before the first.
    fn frontier(&self) -> Result<Vec<u8>, StoreError>;

    /// The head; none before it first advances.
    fn head(&self) -> Result<Option<Head>, StoreError>;

    /// The leaf at `index`.
    fn leaf(&self, index: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// The leaves of `range`, as far as they are committed.
    fn leaves(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, StoreError>;
}

/// Reads and writes a journal.
pub trait Journal: JournalRead + Send {
    /// Makes `commit` durable in one transaction.
    ///
    /// # Errors
    /// [`StoreError::NotNext`] if it does not begin where the journal ends,
    /// [`StoreError::Duplicate`] if an admitted id is entered already: the first index stays.
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError>;

    /// Moves the head from the size `from` to `to`, durably.
    ///
    /// # Errors
    /// [`StoreError::Lost`] if the head is not at `from`; [`StoreError::Backwards`],
    /// [`StoreError::SecondRoot`] and [`StoreError::Beyond`] for a head that may not follow.
    fn advance(&mut self, from: Option<u64>, to: &Head) -> Result<(), StoreError>;
}

/// Whether `to` may replace `head`, where `size` entries are committed.
pub(super) fn check_advance(
    head: Option<&Head>,
    size: u64,
    from: Option<u64>,
    to: &Head,
) -> Result<(), StoreError> {
    let found = head.map(|head| head.size);
    if found != from {
        let expected = from;
        return Err(StoreError::Lost { expected, found });
    }
    if to.size > size {
        let head = to.size;
        return Err(StoreError::Beyond { head, size });
    }
    match head {
        Some(head) if to.size < head.size => Err(StoreError::Backwards {
            from: head.size,
            to: to.size,
        }),
        Some(head) if to.size == head.size && to.root != head.root => {
            Err(StoreError::SecondRoot { size: to.size })
        }
        _ => Ok(()),
    }
}
