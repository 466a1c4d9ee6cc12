//! The journal in memory: for a stranger who replays a log once and keeps nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use super::StoreError;
use super::journal::{Commit, Head, Journal, JournalRead, check_advance};
use crate::digest::StatementId;

/// A [`Journal`] that ends with the process.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    leaves: Vec<Vec<u8>>,
    ids: BTreeMap<StatementId, u64>,
    facts: BTreeMap<Vec<u8>, Vec<u8>>,
    frontier: Vec<u8>,
    head: Option<Head>,
}

impl JournalRead for MemoryJournal {
    fn size(&self) -> Result<u64, StoreError> {
        Ok(self.leaves.len() as u64)
    }

    fn find(&self, id: &StatementId) -> Result<Option<u64>, StoreError> {
        Ok(self.ids.get(id).copied())
    }

    fn find_leaf(&self, id: &StatementId) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let found = self.ids.get(id);
        Ok(found.map(|index| (*index, self.leaves[*index as usize].clone())))
    }

    fn fact(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.facts.get(key).cloned())
    }

    #[cfg(test)]
    fn facts(&self) -> Result<Vec<crate::store::journal::KeyedFact>, StoreError> {
        Ok(self.facts.clone().into_iter().collect())
    }

    fn frontier(&self) -> Result<Vec<u8>, StoreError> {
        Ok(self.frontier.clone())
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        Ok(self.head.clone())
    }

    fn leaf(&self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let index = usize::try_from(index).ok();
        Ok(index.and_then(|index| self.leaves.get(index)).cloned())
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
        let held = |index: u64| {
            usize::try_from(index).map_or(self.leaves.len(), |i| i.min(self.leaves.len()))
        };
        let leaves = self.leaves.get(held(range.start)..held(range.end));
        Ok(leaves.unwrap_or_default().to_vec())
    }
}

impl Journal for MemoryJournal {
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let (first, size) = (commit.first, self.size()?);
        if first != size {
            return Err(StoreError::NotNext { first, size });
        }
        let mut ids = BTreeMap::new();
        for (entry, index) in commit.entries.iter().zip(first..) {
            let id = entry.id;
            if !entry.admitted {
                continue;
            }
            if let Some(&index) = self.ids.get(&id).or_else(|| ids.get(&id)) {
                return Err(StoreError::Duplicate { id, index });
            }
            ids.insert(id, index);
        }
        self.ids.append(&mut ids);
        self.leaves
            .extend(commit.entries.iter().map(|entry| entry.leaf.clone()));
        self.facts.extend(commit.facts.iter().cloned());
        self.frontier.clone_from(&commit.frontier);
        Ok(())
    }

    fn advance(&mut self, from: Option<u64>, to: &Head) -> Result<(), StoreError> {
        check_advance(self.head.as_ref(), self.size()?, from, to)?;
        self.head = Some(to.clone());
        Ok(())
    }
}
