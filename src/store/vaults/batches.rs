//! Commitments on their way into the log.
//!
//! A commitment waits, then is in the prepared batch, then is logged. The batch is written down
//! before its statement is submitted: after a crash the same statement is submitted again, and the
//! log answers with the first index, so that no commitment is lost or logged twice. A file that was
//! restored from a backup learns the batches that the log has got since ([`Vaults::recall_batch`]). If the list of
//! such a batch is lost, the commitments that waited may be in it: they are held until it is found
//! ([`Vaults::lose_list`]), so that none is logged twice.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction};

use super::{VaultError, Vaults};
use crate::digest::StatementId;
use crate::store::StoreError;
use crate::store::sqlite::{integer, number};

const QUEUE: &str =
    "INSERT INTO commitments (commitment, state) VALUES (?1, 0) ON CONFLICT DO NOTHING";
/// Which of too many it is, is nobody's to choose.
const WAITING: &str = "SELECT commitment FROM commitments
    WHERE state = 0 AND commitment NOT IN (SELECT commitment FROM held_commitments)
    ORDER BY random() LIMIT ?1";
const UNLOGGED: &str = "SELECT count(*) FROM commitments WHERE state < 2";
const TAKE: &str = "UPDATE commitments SET state = 1 WHERE commitment = ?1 AND state = 0";
const LOGGED: &str = "UPDATE commitments SET state = 2 WHERE state = 1";
const RETURN: &str = "UPDATE commitments SET state = 0 WHERE state = 1";
const PREPARE: &str =
    "INSERT INTO prepared_batch (only, id, statement, commitments) VALUES (1, ?1, ?2, ?3)";
const PREPARED: &str = "SELECT id, statement, commitments FROM prepared_batch";
const RECALL: &str = "INSERT INTO commitments (commitment, state) VALUES (?1, 2)
    ON CONFLICT DO UPDATE SET state = 2";
const LOSE: &str =
    "INSERT INTO lost_lists (batch, log_index) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const LOST: &str = "SELECT batch, log_index FROM lost_lists ORDER BY log_index";
const FOUND: &str = "DELETE FROM lost_lists WHERE batch = ?1";
const HOLD_ALL: &str = "INSERT OR IGNORE INTO held_commitments (commitment)
    SELECT commitment FROM commitments WHERE state < 2";
const HOLD: &str = "INSERT OR IGNORE INTO held_commitments (commitment)
    SELECT commitment FROM commitments WHERE commitment = ?1 AND state < 2 AND EXISTS (SELECT 1 FROM lost_lists)";
const LET_GO: &str = "DELETE FROM held_commitments WHERE commitment = ?1";
const LET_ALL_GO: &str = "DELETE FROM held_commitments WHERE NOT EXISTS (SELECT 1 FROM lost_lists)";
const SEEN: &str = "SELECT size FROM batches_seen";
const SEE: &str = "INSERT INTO batches_seen (only, size) VALUES (1, ?1)
    ON CONFLICT DO UPDATE SET size = max(size, ?1)";
const END: &str = "DELETE FROM prepared_batch";

/// A batch that is to be submitted, as often as it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedBatch {
    /// Id of the statement.
    pub id: StatementId,
    /// The signed statement, as it is submitted.
    pub statement: Vec<u8>,
    /// The leaves of the batch in their order, those that only fill it up included.
    pub commitments: Vec<[u8; 32]>,
}

impl Vaults {
    /// The commitments that are in no batch yet, ascending: as many as a batch takes, the others when
    /// their turn comes.
    pub fn pending_commitments(&self, most: u32) -> Result<Vec<[u8; 32]>, StoreError> {
        let mut waiting: Vec<[u8; 32]> = self.read(|db| {
            let mut statement = db.prepare_cached(WAITING)?;
            let waiting = statement.query_map((most,), |row| row.get(0))?;
            waiting.collect()
        })?;
        waiting.sort_unstable();
        Ok(waiting)
    }

    /// How many commitments are in no logged batch yet.
    pub fn waiting_commitments(&self) -> Result<u64, StoreError> {
        let count: i64 = self.read(|db| {
            let mut count = db.prepare_cached(UNLOGGED)?;
            count.query_row((), |row| row.get(0))
        })?;
        Ok(count.unsigned_abs())
    }

    /// Writes a batch down before it is submitted. The same batch again is done already.
    ///
    /// # Errors
    /// [`VaultError::BatchPending`] while another one is not logged.
    pub fn seal_batch(&self, batch: &PreparedBatch) -> Result<(), VaultError> {
        self.write(|tx| {
            match prepared(tx)? {
                Some(found) if found == *batch => return Ok(()),
                Some(_) => return Err(VaultError::BatchPending),
                None => {}
            }
            let mut take = tx.prepare_cached(TAKE)?;
            for commitment in &batch.commitments {
                take.execute((commitment,))?;
            }
            let leaves = batch.commitments.as_flattened();
            tx.prepare_cached(PREPARE)?
                .execute((batch.id.as_bytes(), &batch.statement, leaves))?;
            Ok(())
        })?;
        self.queued().clear();
        Ok(())
    }

    /// The batch that was prepared and, as far as is known here, is not logged.
    pub fn prepared_batch(&self) -> Result<Option<PreparedBatch>, StoreError> {
        self.read(prepared)
    }

    /// Notes that the prepared batch is in the log, which has `size` entries up to it: its commitments are
    /// done.
    ///
    /// # Errors
    /// [`VaultError::NoSuchBatch`] if `id` is not the prepared one.
    pub fn batch_logged(&self, id: StatementId, size: u64) -> Result<(), VaultError> {
        self.end_batch(id, LOGGED, Some(size))
    }

    /// How many entries of the log were looked at for batches: this file knows those among them.
    pub fn batches_seen(&self) -> Result<u64, StoreError> {
        let seen: Option<i64> = self.read(|db| {
            let mut seen = db.prepare_cached(SEEN)?;
            seen.query_row((), |row| row.get(0)).optional()
        })?;
        Ok(seen.map_or(0, number))
    }

    /// Notes that entries of the log up to `size` were looked at.
    pub fn see_batches(&self, size: u64) -> Result<(), VaultError> {
        self.write(|tx| {
            tx.prepare_cached(SEE)?.execute((integer(size),))?;
            Ok(())
        })
    }

    /// Notes that the log has a batch with these commitments: none of them is queued any more.
    pub fn recall_batch(&self, commitments: &[[u8; 32]]) -> Result<(), VaultError> {
        self.write(|tx| Ok(recall(tx, commitments)?))
    }

    /// Notes that the log has, at entry `index`, a batch whose list nobody has: the commitments that wait now are
    /// held. False if that was noted before.
    pub fn lose_list(&self, batch: StatementId, index: u64) -> Result<bool, VaultError> {
        self.write(|tx| {
            let values = (batch.as_bytes(), integer(index));
            let is_new = tx.prepare_cached(LOSE)?.execute(values)? > 0;
            if is_new {
                tx.prepare_cached(HOLD_ALL)?.execute(())?;
            }
            Ok(is_new)
        })
    }

    /// The batches whose lists nobody has, each with its entry, in the order of the log.
    pub fn lost_lists(&self) -> Result<Vec<(StatementId, u64)>, StoreError> {
        self.read(|db| {
            let mut lost = db.prepare_cached(LOST)?;
            let lost = lost.query_map((), |row| {
                let batch = row.get(0).map(StatementId::from_bytes)?;
                Ok((batch, row.get(1).map(number)?))
            })?;
            lost.collect()
        })
    }

    /// Notes that the list of a batch was found, and has these commitments. Once no list is lost, the commitments
    /// that were held and are in none of the lists join the next batch.
    pub fn find_list(
        &self,
        batch: StatementId,
        commitments: &[[u8; 32]],
    ) -> Result<(), VaultError> {
        self.write(|tx| {
            recall(tx, commitments)?;
            tx.prepare_cached(FOUND)?.execute((batch.as_bytes(),))?;
            tx.prepare_cached(LET_ALL_GO)?.execute(())?;
            Ok(())
        })
    }

    /// Gives the prepared batch up, which the log refused for good (it lay here for too long):
    /// its commitments wait again.
    ///
    /// # Errors
    /// [`VaultError::NoSuchBatch`] if `id` is not the prepared one.
    pub fn batch_refused(&self, id: StatementId) -> Result<(), VaultError> {
        self.end_batch(id, RETURN, None)
    }

    fn end_batch(
        &self,
        id: StatementId,
        move_commitments: &str,
        seen: Option<u64>,
    ) -> Result<(), VaultError> {
        self.write(|tx| {
            if prepared(tx)?.is_none_or(|batch| batch.id != id) {
                return Err(VaultError::NoSuchBatch);
            }
            tx.prepare_cached(move_commitments)?.execute(())?;
            tx.prepare_cached(END)?.execute(())?;
            if let Some(size) = seen {
                tx.prepare_cached(SEE)?.execute((integer(size),))?;
            }
            Ok(())
        })
    }
}

/// Queues the commitments that were never queued before; how many.
pub(super) fn queue(tx: &Transaction<'_>, commitments: &[[u8; 32]]) -> rusqlite::Result<u64> {
    let mut queue = tx.prepare_cached(QUEUE)?;
    let mut queued = 0;
    for commitment in commitments {
        queued += queue.execute((commitment,))? as u64;
    }
    Ok(queued)
}

/// Holds commitments that wait, if a list is lost.
pub(super) fn hold(tx: &Transaction<'_>, commitments: &[[u8; 32]]) -> rusqlite::Result<()> {
    let mut hold = tx.prepare_cached(HOLD)?;
    for commitment in commitments {
        hold.execute((commitment,))?;
    }
    Ok(())
}

fn recall(tx: &Transaction<'_>, commitments: &[[u8; 32]]) -> rusqlite::Result<()> {
    let (mut recall, mut let_go) = (tx.prepare_cached(RECALL)?, tx.prepare_cached(LET_GO)?);
    for commitment in commitments {
        recall.execute((commitment,))?;
        let_go.execute((commitment,))?;
    }
    Ok(())
}

fn prepared(db: &Connection) -> rusqlite::Result<Option<PreparedBatch>> {
    let mut statement = db.prepare_cached(PREPARED)?;
    let batch = |row: &Row<'_>| {
        let leaves: Vec<u8> = row.get(2)?;
        Ok(PreparedBatch {
            id: StatementId::from_bytes(row.get(0)?),
            statement: row.get(1)?,
            commitments: leaves.as_chunks().0.to_vec(),
        })
    };
    statement.query_row((), batch).optional()
}
