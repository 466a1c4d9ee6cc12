//! The rules' facts, kept in a journal: keys as bytes, values as JSON.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

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

/// What nearly every statement asks for, read once: a few facts, and where the statements lie that
/// others name.
///
/// For the one writer of a journal: [`FactCache::update`] must hear of every commit.
#[derive(Debug, Default)]
pub struct FactCache {
    facts: RefCell<HashMap<FactKey, Option<Fact>>>,
    /// An entry never moves; that there is none may change with every commit and is not kept.
    found: RefCell<HashMap<StatementId, LeafIndex>>,
}

/// Facts and places held in memory; beyond as many of either, all of them are forgotten and read
/// anew.
const CACHED: usize = 1 << 14;

fn keep<K: Eq + Hash, V>(cache: &RefCell<HashMap<K, V>>, key: K, value: V) {
    let mut cache = cache.borrow_mut();
    if cache.len() >= CACHED {
        cache.clear();
    }
    cache.insert(key, value);
}

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
        let mut cache = self.facts.borrow_mut();
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
        if let Some(fact) = self.cache.facts.borrow().get(key) {
            return Ok(fact.clone());
        }
        let fact = JournalFacts(self.journal).fact(key)?;
        if FactCache::holds(key) && (fact.is_some() || FactCache::holds_absence(key)) {
            keep(&self.cache.facts, key.clone(), fact.clone());
        }
        Ok(fact)
    }

    fn find(&self, id: &StatementId) -> Result<Option<LeafIndex>, StoreError> {
        if let Some(index) = self.cache.found.borrow().get(id) {
            return Ok(Some(*index));
        }
        let found = JournalFacts(self.journal).find(id)?;
        if let Some(index) = found {
            keep(&self.cache.found, *id, index);
        }
        Ok(found)
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
