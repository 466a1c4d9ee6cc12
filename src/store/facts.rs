//! The rules' facts, kept in a journal: keys as bytes, values as JSON.

use std::cell::RefCell;
use std::collections::BTreeMap;

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

/// The few facts that nearly every statement asks for, read once.
///
/// For the one writer of a journal: [`FactCache::update`] must hear of every commit.
#[derive(Debug, Default)]
pub struct FactCache(RefCell<BTreeMap<FactKey, Option<Fact>>>);

/// Facts held in memory; beyond that all are forgotten and read anew.
const CACHED: usize = 1 << 14;

impl FactCache {
    fn holds(key: &FactKey) -> bool {
        use FactKey::{Agreement, AgreementHead, Closed, Key, LastBatch, Limits, Operator, Party};
        matches!(
            key,
            Operator(_)
                | Limits(_)
                | Party(_)
                | Key(_)
                | Agreement(_)
                | AgreementHead(_)
                | LastBatch(_)
                | Closed(_)
        )
    }

    /// Keys that nothing is known of are many, and asked for once; that a log is not closed is asked
    /// for each time.
    fn holds_absence(key: &FactKey) -> bool {
        matches!(key, FactKey::Closed(_))
    }

    /// Takes over what was committed.
    pub fn update<'a>(&self, facts: impl IntoIterator<Item = (&'a FactKey, &'a Fact)>) {
        let mut cache = self.0.borrow_mut();
        for (key, fact) in facts {
            if let Some(known) = cache.get_mut(key) {
                *known = Some(fact.clone());
            }
        }
    }
}

/// [`JournalFacts`] with a [`FactCache`] before it.
pub struct CachedFacts<'a, J: ?Sized> {
    pub journal: &'a J,
    pub cache: &'a FactCache,
}

impl<J: JournalRead + ?Sized> Facts for CachedFacts<'_, J> {
    type Error = StoreError;

    fn fact(&self, key: &FactKey) -> Result<Option<Fact>, StoreError> {
        if let Some(fact) = self.cache.0.borrow().get(key) {
            return Ok(fact.clone());
        }
        let fact = JournalFacts(self.journal).fact(key)?;
        if FactCache::holds(key) && (fact.is_some() || FactCache::holds_absence(key)) {
            let mut cache = self.cache.0.borrow_mut();
            if cache.len() >= CACHED {
                cache.clear();
            }
            cache.insert(key.clone(), fact.clone());
        }
        Ok(fact)
    }

    fn find(&self, id: &StatementId) -> Result<Option<LeafIndex>, StoreError> {
        JournalFacts(self.journal).find(id)
    }
}

/// Facts as a journal stores them.
pub fn encode<'a>(
    facts: impl IntoIterator<Item = (&'a FactKey, &'a Fact)>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    facts
        .into_iter()
        .map(|(key, fact)| {
            let value = serde_json::to_vec(&fact).expect("facts have string keys");
            (key.to_bytes(), value)
        })
        .collect()
}
