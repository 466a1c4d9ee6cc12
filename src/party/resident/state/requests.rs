//! What the device found in the log: requests, batches to fetch, and attacks.

use rusqlite::Row;

use super::{
    Attack, MaybeRefused, SeenRequest, State, integer, leaf_index, statement_id, text, time,
};
use crate::digest::StatementId;
use crate::store::StoreError;
use crate::tlog::tree::LeafIndex;
use crate::wire::vault::HexId;

const OPEN: &str = "SELECT log_index, forbidden FROM open_requests ORDER BY log_index";
const WHY: &str = "SELECT forbidden FROM open_requests WHERE log_index = ?1";
const ADD_OPEN: &str = "INSERT INTO open_requests (log_index, forbidden) VALUES (?1, ?2)";
const CLOSE: &str = "DELETE FROM open_requests WHERE log_index = ?1";

/// The columns that [`read`] takes, before a condition.
macro_rules! requests {
    ($rest:literal) => {
        concat!(
            "SELECT number, request, log_index, agency, deadline FROM seen_requests ",
            $rest,
            " ORDER BY number"
        )
    };
}

const SEEN: &str = requests!("");
const SEEN_ONE: &str = requests!("WHERE request = ?1");
pub(super) const SEEN_ABOUT: &str =
    requests!("WHERE number IN (SELECT request FROM asked_clips WHERE clip = ?1)");
const SEE: &str = "INSERT INTO seen_requests (request, log_index, agency, deadline)
    VALUES (?1, ?2, ?3, ?4) ON CONFLICT (request) DO UPDATE SET log_index = ?2, agency = ?3, deadline = ?4
    RETURNING number";
const ASKED: &str = "SELECT clip FROM asked_clips WHERE request = ?1 ORDER BY clip";
const FORGET_ASKED: &str = "DELETE FROM asked_clips WHERE request = ?1";
const ADD_ASKED: &str = "INSERT INTO asked_clips (request, clip) VALUES (?1, ?2)";
const ATTACKS: &str = "SELECT log_index, disclosure, clip, why FROM attacks ORDER BY number";
pub(super) const ATTACKED: &str = "SELECT EXISTS (SELECT 1 FROM attacks WHERE clip = ?1)";
const ADD_ATTACK: &str =
    "INSERT INTO attacks (log_index, disclosure, clip, why) VALUES (?1, ?2, ?3, ?4)";
const BATCHES_DUE: &str = "SELECT batch FROM batches_due ORDER BY number";
const ADD_BATCH_DUE: &str = "INSERT INTO batches_due (batch) VALUES (?1) ON CONFLICT DO NOTHING";
const BATCH_DONE: &str = "DELETE FROM batches_due WHERE batch = ?1";
const MAYBE_REFUSED: &str =
    "SELECT request, log_index, deadline FROM maybe_refused ORDER BY log_index";
const ADD_MAYBE_REFUSED: &str =
    "INSERT INTO maybe_refused (request, log_index, deadline) VALUES (?1, ?2, ?3)";
const FORGET_MAYBE_REFUSED: &str = "DELETE FROM maybe_refused";

impl State {
    /// Requests of the jurisdiction that may still be open, by their entries; the reason of those that are in the
    /// log against its rules.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open_requests(&self) -> Result<Vec<(LeafIndex, Option<String>)>, StoreError> {
        self.list(OPEN, (), |row| Ok((leaf_index(row, 0)?, row.get(1)?)))
    }

    /// Why the log's rules forbid the open request at `index`, if they do.
    ///
    /// # Errors
    /// SQLite's.
    pub fn why_forbidden(&self, index: LeafIndex) -> Result<Option<String>, StoreError> {
        let found = self.find(WHY, (integer(index.as_u64()),), |row| row.get(0))?;
        Ok(found.flatten())
    }

    /// Keeps the request at `index` as open.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open_request(
        &self,
        index: LeafIndex,
        forbidden: Option<&str>,
    ) -> Result<(), StoreError> {
        let values = (integer(index.as_u64()), forbidden);
        self.change(ADD_OPEN, values).map(drop)
    }

    /// Forgets the request at `index`.
    ///
    /// # Errors
    /// SQLite's.
    pub fn close_request(&self, index: LeafIndex) -> Result<(), StoreError> {
        self.change(CLOSE, (integer(index.as_u64()),)).map(drop)
    }

    /// Requests near an own camera, in the order of seeing.
    ///
    /// # Errors
    /// SQLite's.
    pub fn requests(&self) -> Result<Vec<SeenRequest>, StoreError> {
        self.requests_where(SEEN, ())
    }

    /// Requests that asked about a clip.
    ///
    /// # Errors
    /// SQLite's.
    pub fn requests_about(&self, clip: HexId) -> Result<Vec<SeenRequest>, StoreError> {
        self.requests_where(SEEN_ABOUT, (clip.as_bytes(),))
    }

    /// Keeps a request near an own camera, with what it asks about now. Writes nothing if all of it is known.
    ///
    /// # Errors
    /// SQLite's.
    pub fn remember(&self, seen: &SeenRequest) -> Result<(), StoreError> {
        let mut seen = seen.clone();
        seen.clips.sort_unstable();
        let known = self.requests_where(SEEN_ONE, (seen.request.as_bytes(),))?;
        if known.first() == Some(&seen) {
            return Ok(());
        }
        self.atomic(|| {
            let values = (
                seen.request.as_bytes(),
                integer(seen.index.as_u64()),
                seen.agency.as_str(),
                seen.deadline.unix(),
            );
            let number: i64 = self.get(SEE, values, |row| row.get(0))?;
            self.change(FORGET_ASKED, (number,))?;
            for clip in &seen.clips {
                self.change(ADD_ASKED, (number, clip.as_bytes()))?;
            }
            Ok(())
        })
    }

    /// Uses of own commitments by somebody else, in the order of the log.
    ///
    /// # Errors
    /// SQLite's.
    pub fn attacks(&self) -> Result<Vec<Attack>, StoreError> {
        self.list(ATTACKS, (), |row| {
            Ok(Attack {
                index: leaf_index(row, 0)?,
                disclosure: statement_id(row, 1)?,
                clip: row.get(2).map(HexId::from_bytes)?,
                why: row.get(3)?,
            })
        })
    }

    /// Whether somebody else used a commitment of this clip.
    ///
    /// # Errors
    /// SQLite's.
    pub fn is_attacked(&self, clip: HexId) -> Result<bool, StoreError> {
        self.get(ATTACKED, (clip.as_bytes(),), |row| row.get(0))
    }

    /// Keeps an attack.
    ///
    /// # Errors
    /// SQLite's.
    pub fn add_attack(&self, attack: &Attack) -> Result<(), StoreError> {
        let values = (
            integer(attack.index.as_u64()),
            attack.disclosure.as_bytes(),
            attack.clip.as_bytes(),
            &attack.why,
        );
        self.change(ADD_ATTACK, values).map(drop)
    }

    /// Batches in the log whose commitments have not been fetched yet, in the log's order.
    ///
    /// # Errors
    /// SQLite's.
    pub fn batches_due(&self) -> Result<Vec<StatementId>, StoreError> {
        self.list(BATCHES_DUE, (), |row| statement_id(row, 0))
    }

    /// Keeps a batch to be fetched, unless it is kept.
    ///
    /// # Errors
    /// SQLite's.
    pub fn add_batch_due(&self, batch: &StatementId) -> Result<(), StoreError> {
        self.change(ADD_BATCH_DUE, (batch.as_bytes(),)).map(drop)
    }

    /// Notes that the commitments of a batch were fetched.
    ///
    /// # Errors
    /// SQLite's.
    pub fn batch_done(&self, batch: &StatementId) -> Result<(), StoreError> {
        self.change(BATCH_DONE, (batch.as_bytes(),)).map(drop)
    }

    /// Requests that a lost device may have refused: batches that are due may hold the refusals.
    ///
    /// # Errors
    /// SQLite's.
    pub fn maybe_refused(&self) -> Result<Vec<MaybeRefused>, StoreError> {
        self.list(MAYBE_REFUSED, (), |row| {
            Ok(MaybeRefused {
                request: statement_id(row, 0)?,
                index: leaf_index(row, 1)?,
                deadline: time(row, 2)?,
            })
        })
    }

    /// Keeps a request that a lost device may have refused.
    ///
    /// # Errors
    /// SQLite's.
    pub fn add_maybe_refused(&self, request: &MaybeRefused) -> Result<(), StoreError> {
        let index = integer(request.index.as_u64());
        let values = (request.request.as_bytes(), index, request.deadline.unix());
        self.change(ADD_MAYBE_REFUSED, values).map(drop)
    }

    /// Forgets all requests that a lost device may have refused.
    ///
    /// # Errors
    /// SQLite's.
    pub fn forget_maybe_refused(&self) -> Result<(), StoreError> {
        self.change(FORGET_MAYBE_REFUSED, ()).map(drop)
    }

    fn requests_where(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<SeenRequest>, StoreError> {
        let mut requests = Vec::new();
        for (number, mut request) in self.list(sql, values, read)? {
            let clips = self.list(ASKED, (number,), |row| row.get(0).map(HexId::from_bytes));
            request.clips = clips?;
            requests.push(request);
        }
        Ok(requests)
    }
}

/// A row of [`requests!`], without the clips that it asks about.
fn read(row: &Row<'_>) -> rusqlite::Result<(i64, SeenRequest)> {
    let request = SeenRequest {
        request: statement_id(row, 1)?,
        index: leaf_index(row, 2)?,
        agency: text(row, 3)?,
        deadline: time(row, 4)?,
        clips: Vec::new(),
    };
    Ok((row.get(0)?, request))
}
