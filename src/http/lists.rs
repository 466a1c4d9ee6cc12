//! The lists of the batches' commitments: `batches/` and its copy, and those that are lost.
//!
//! A list is what residents need to show that a commitment is in a batch, and what a server with an older `vaults.db`
//! needs to log no commitment twice. One that is lost is looked for again at each start and whenever house is kept.

use super::{ApiError, Service};
use crate::digest::StatementId;
use crate::seal::batch::Batch;
use crate::statement::facts::{BatchFact, FactsExt as _};
use crate::statement::leaf::Leaf;
use crate::store::StoreError;
use crate::store::facts::JournalFacts;
use crate::store::files::Files;
use crate::store::journal::JournalRead as _;
use crate::store::objects::Objects as _;
use crate::tlog::tree::LeafIndex;

/// The lists, each under its statement's id.
pub struct Lists {
    own: Files,
    copy: Option<Files>,
}

impl Lists {
    /// The lists in `own`. `copy` gets those that it lacks.
    ///
    /// # Errors
    /// The store's; a list that `copy` has with other bytes.
    pub fn new(own: Files, copy: Option<Files>) -> Result<Self, StoreError> {
        let lists = Self { own, copy };
        let Some(copy) = &lists.copy else {
            return Ok(lists);
        };
        for name in lists.own.list("")? {
            if name.parse::<StatementId>().is_ok()
                && copy.file(&name)?.is_none()
                && let Some(list) = lists.own.read(&name)?
            {
                copy.create(&name, &list)?;
            }
        }
        Ok(lists)
    }

    /// A list as it is in the first place that has it.
    pub(super) fn read(&self, id: StatementId) -> Result<Option<Vec<u8>>, StoreError> {
        for files in self.places() {
            if let Some(list) = files.read(&id.to_string())? {
                return Ok(Some(list));
            }
        }
        Ok(None)
    }

    /// The list of a batch that the log has, if a place has it whole; it is in both when this returns.
    fn find(&self, id: StatementId, fact: &BatchFact) -> Result<Option<Vec<u8>>, StoreError> {
        for files in self.places() {
            if let Some(list) = files.read(&id.to_string())?
                && is_whole(&list, fact)
            {
                self.put_back(id, &list)?;
                return Ok(Some(list));
            }
        }
        Ok(None)
    }

    /// Puts a list where it is missing or damaged.
    fn put_back(&self, id: StatementId, list: &[u8]) -> Result<(), StoreError> {
        for files in self.places() {
            if files.read(&id.to_string())?.as_deref() != Some(list) {
                files.replace(&id.to_string(), list)?;
            }
        }
        Ok(())
    }

    /// Durable in both places when it returns.
    pub(super) fn create(&self, id: StatementId, list: &[u8]) -> Result<(), StoreError> {
        let mut places = self.copy.iter().chain([&self.own]);
        places.try_for_each(|files| files.create(&id.to_string(), list))
    }

    pub(super) fn remove(&self, id: StatementId) -> Result<(), StoreError> {
        let mut places = self.copy.iter().chain([&self.own]);
        places.try_for_each(|files| files.remove(&id.to_string()))
    }

    fn places(&self) -> impl Iterator<Item = &Files> {
        [&self.own].into_iter().chain(&self.copy)
    }
}

fn is_whole(list: &[u8], fact: &BatchFact) -> bool {
    Batch::from_list(list, fact.size, &fact.root).is_ok()
}

impl Service {
    /// Finds the batches in the log that the vaults' database does not know, since it was restored from a
    /// backup: what they have is never logged twice. Looks for lists that were lost before, and logs which are.
    pub(super) fn recall_batches(&self) -> Result<(), ApiError> {
        let size = self.ledger.size().as_u64();
        for index in self.vaults.batches_seen()?..size {
            let Some((id, fact)) = self.batch_at(index)? else {
                continue;
            };
            match self.find_list(id, &fact)? {
                Some(list) => self.vaults.recall_batch(list.as_chunks().0)?,
                None => {
                    self.vaults.lose_list(id, index)?;
                }
            }
        }
        self.vaults.see_batches(size)?;
        self.find_lost_lists()?;
        for (id, index) in self.vaults.lost_lists()? {
            tracing::error!(
                %id,
                index,
                "the list of this batch's commitments is lost: put its file back into batches/; commitments that \
                 waited when it was lost are held until then"
            );
        }
        Ok(())
    }

    /// Looks again for the lists that are lost.
    pub(super) fn find_lost_lists(&self) -> Result<(), ApiError> {
        for (id, index) in self.vaults.lost_lists()? {
            if let Some((_, fact)) = self.batch_at(index)?
                && let Some(list) = self.find_list(id, &fact)?
            {
                self.vaults.find_list(id, list.as_chunks().0)?;
                tracing::info!(%id, index, "the list of this batch's commitments was found again");
            }
        }
        Ok(())
    }

    /// The list of a batch, from a folder or from the batch that was prepared last.
    fn find_list(&self, id: StatementId, fact: &BatchFact) -> Result<Option<Vec<u8>>, ApiError> {
        if let Some(list) = self.batches.find(id, fact)? {
            return Ok(Some(list));
        }
        let prepared = self.vaults.prepared_batch()?.filter(|batch| batch.id == id);
        let Some(list) = prepared.map(|batch| batch.commitments.concat()) else {
            return Ok(None);
        };
        self.batches.put_back(id, &list)?;
        Ok(Some(list))
    }

    /// The batch at an entry of the log, if it is one.
    fn batch_at(&self, index: u64) -> Result<Option<(StatementId, BatchFact)>, ApiError> {
        let journal = self.ledger.journal();
        let fact = JournalFacts(journal).batch(&LeafIndex::new(index))?;
        let Some((fact, leaf)) = fact.zip(journal.leaf(index)?) else {
            return Ok(None);
        };
        let leaf = Leaf::parse(&leaf).map_err(ApiError::internal)?;
        let id = StatementId::of_payload(&leaf.envelope.payload);
        Ok(Some((id, fact)))
    }
}
