//! The rules' facts, kept in a journal: keys as bytes, values as JSON.

use crate::digest::StatementId;
use crate::statement::facts::{Fact, FactKey, Facts};
use crate::store::StoreError;
use crate::store::journal::JournalRead;
use crate::tlog::tree::LeafIndex;

/// [`Facts`] over any journal.
pub struct JournalFacts<'a, J: ?Sized>(pub &'a J);

impl<J: JournalRead + ?Sized> Facts for JournalFacts<'_, J> {
    type Error = StoreError;

    fn fact(&self, key: &FactKey) -> Result<Option<Fact>, StoreError> {
        let Some(bytes) = self.0.fact(&key.to_bytes())? else {
            return Ok(None);
        };
        let fact = serde_json::from_slice(&bytes)
            .map_err(|e| StoreError::Damaged(format!("the fact {key:?} cannot be read: {e}")))?;
        Ok(Some(fact))
    }

    fn find(&self, id: &StatementId) -> Result<Option<LeafIndex>, StoreError> {
        Ok(self.0.find(id)?.map(LeafIndex::new))
    }
}

/// Facts as a journal stores them.
pub fn encode(facts: impl IntoIterator<Item = (FactKey, Fact)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    facts
        .into_iter()
        .map(|(key, fact)| {
            let value = serde_json::to_vec(&fact).expect("facts have string keys");
            (key.to_bytes(), value)
        })
        .collect()
}
