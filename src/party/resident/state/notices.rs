//! Notices of legal demands: those to be fetched, and the messages that were for this resident.

use super::{State, integer, leaf_index, place, statement_id};
use crate::party::resident::notices::{DueNotice, Found, KeptNotice, LostMessage};
use crate::store::StoreError;
use crate::tlog::tree::LeafIndex;

const COMPELLED: &str = "SELECT log_index FROM compelled ORDER BY log_index";
const ADD_COMPELLED: &str = "INSERT INTO compelled (log_index) VALUES (?1)";
const DUE: &str = "SELECT log_index, notice, forbidden, why FROM notices_due ORDER BY log_index";
const ADD_DUE: &str = "INSERT INTO notices_due (log_index, notice, forbidden) VALUES (?1, ?2, ?3)";
const SET_WHY: &str = "UPDATE notices_due SET why = ?2 WHERE log_index = ?1 AND why IS NOT ?2";
const DONE: &str = "DELETE FROM notices_due WHERE log_index = ?1";
const TRIED: &str = "SELECT message FROM tried_messages WHERE log_index = ?1 ORDER BY message";
const ADD_TRIED: &str =
    "INSERT INTO tried_messages (log_index, message) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const NOTICES: &str = "SELECT log_index, message, forbidden, plain, broken FROM notices
    ORDER BY log_index, message";
const KEEP: &str = "INSERT INTO notices (log_index, message, forbidden, plain, broken)
    VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
const LOST: &str =
    "SELECT notice, log_index, message, erased FROM lost_messages ORDER BY log_index, message";
const LOSE: &str = "INSERT INTO lost_messages (notice, log_index, message, erased)
    VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";

impl State {
    /// Entries of notices, answers to demands, and orders to wait: what a notice is held against.
    ///
    /// # Errors
    /// SQLite's.
    pub fn compelled(&self) -> Result<Vec<LeafIndex>, StoreError> {
        self.list(COMPELLED, (), |row| leaf_index(row, 0))
    }

    /// Keeps such an entry.
    ///
    /// # Errors
    /// SQLite's.
    pub fn add_compelled(&self, index: LeafIndex) -> Result<(), StoreError> {
        self.change(ADD_COMPELLED, (integer(index.as_u64()),))
            .map(drop)
    }

    /// Notices in the log whose messages have not all been tried yet.
    ///
    /// # Errors
    /// SQLite's.
    pub fn notices_due(&self) -> Result<Vec<DueNotice>, StoreError> {
        let mut due = self.list(DUE, (), |row| {
            Ok(DueNotice {
                index: leaf_index(row, 0)?,
                notice: statement_id(row, 1)?,
                forbidden: row.get(2)?,
                why: row.get(3)?,
                tried: Vec::new(),
            })
        })?;
        for due in &mut due {
            let index = integer(due.index.as_u64());
            due.tried = self.list(TRIED, (index,), |row| place(row, 0))?;
        }
        Ok(due)
    }

    /// Keeps a notice whose messages are to be tried.
    ///
    /// # Errors
    /// SQLite's.
    pub fn add_notice_due(&self, due: &DueNotice) -> Result<(), StoreError> {
        let index = integer(due.index.as_u64());
        let values = (index, due.notice.as_bytes(), &due.forbidden);
        self.change(ADD_DUE, values).map(drop)
    }

    /// Keeps what was tried of a notice that stays due, and why it does.
    ///
    /// # Errors
    /// SQLite's.
    pub fn put_off_notice(&self, due: &DueNotice) -> Result<(), StoreError> {
        let index = integer(due.index.as_u64());
        self.atomic(|| {
            self.change(SET_WHY, (index, &due.why))?;
            for message in &due.tried {
                self.change(ADD_TRIED, (index, integer(*message as u64)))?;
            }
            Ok(())
        })
    }

    /// Notes that all messages of the notice at `index` were tried, or never will be.
    ///
    /// # Errors
    /// SQLite's.
    pub fn notice_done(&self, index: LeafIndex) -> Result<(), StoreError> {
        self.change(DONE, (integer(index.as_u64()),)).map(drop)
    }

    /// Messages for this resident, by the own key.
    ///
    /// # Errors
    /// SQLite's.
    pub fn notices(&self) -> Result<Vec<KeptNotice>, StoreError> {
        self.list(NOTICES, (), |row| {
            Ok(KeptNotice {
                index: leaf_index(row, 0)?,
                n: place(row, 1)?,
                forbidden: row.get(2)?,
                found: match row.get(3)? {
                    Some(plain) => Found::Plain(plain),
                    None => Found::Broken(row.get(4)?),
                },
            })
        })
    }

    /// Keeps a message for this resident, unless it is known.
    ///
    /// # Errors
    /// SQLite's.
    pub fn keep_notice(&self, kept: &KeptNotice) -> Result<(), StoreError> {
        let (plain, broken) = match &kept.found {
            Found::Plain(plain) => (Some(plain), None),
            Found::Broken(why) => (None, Some(why)),
        };
        let (index, n) = (integer(kept.index.as_u64()), integer(kept.n as u64));
        self.change(KEEP, (index, n, &kept.forbidden, plain, broken))
            .map(drop)
    }

    /// Messages of notices that were destroyed before this device could try them.
    ///
    /// # Errors
    /// SQLite's.
    pub fn lost_messages(&self) -> Result<Vec<LostMessage>, StoreError> {
        self.list(LOST, (), |row| {
            Ok(LostMessage {
                notice: statement_id(row, 0)?,
                index: leaf_index(row, 1)?,
                n: place(row, 2)?,
                erased: leaf_index(row, 3)?,
            })
        })
    }

    /// Keeps a message that was destroyed before this device could try it, unless it is known.
    ///
    /// # Errors
    /// SQLite's.
    pub fn lose_message(&self, lost: &LostMessage) -> Result<(), StoreError> {
        let values = (
            lost.notice.as_bytes(),
            integer(lost.index.as_u64()),
            integer(lost.n as u64),
            integer(lost.erased.as_u64()),
        );
        self.change(LOSE, values).map(drop)
    }
}
