//! Refusals, and disclosures to agencies and the public.

use rusqlite::Row;
use serde_json::Value;

use super::{
    Carried, Gift, GivenClip, KeptNote, KeptRefusal, State, anchor, anchor_columns, damaged,
    integer, leaf_index, statement_id, time,
};
use crate::digest::StatementId;
use crate::seal::commitment::Commitment;
use crate::store::StoreError;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;
use crate::wire::vault::HexId;

const REFUSALS: &str = "SELECT request, envelope, carried_by, commitment, batch, batch_index, path
    FROM refusals ORDER BY number";
const REFUSED: &str = "SELECT EXISTS (SELECT 1 FROM refusals WHERE request = ?1)";
const ADD_REFUSAL: &str = "INSERT INTO refusals
    (request, envelope, carried_by, commitment, batch, batch_index, path)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const REMOVE_UNSENT: &str = "DELETE FROM refusals WHERE request = ?1 AND carried_by IS NULL";
pub(super) const TO_CARRY: &str =
    "SELECT number, request FROM refusals WHERE carried_by IS NULL ORDER BY number LIMIT ?1";
const CARRY: &str = "UPDATE refusals SET carried_by = ?2, commitment = ?3 WHERE number = ?1";

/// The columns that [`read`] takes, before a condition and an order.
macro_rules! gifts {
    ($rest:literal) => {
        concat!(
            "SELECT number, disclosure, request, envelope, log_index, handed_over, note_text, note
             FROM gifts ",
            $rest,
            " ORDER BY number"
        )
    };
}

const GIFTS: &str = gifts!("");
const GIFT: &str = gifts!("WHERE disclosure = ?1");
const GIFTS_FOR: &str = gifts!("WHERE request = ?1");
pub(super) const GIFTS_OF: &str =
    gifts!("WHERE number IN (SELECT gift FROM given_clips WHERE clip = ?1)");
pub(super) const TO_HAND_OVER: &str = gifts!("WHERE log_index IS NOT NULL AND handed_over IS NULL");
const GIVEN: &str = "SELECT clip, header FROM given_clips WHERE gift = ?1 ORDER BY place";
const ADD_GIFT: &str =
    "INSERT INTO gifts (disclosure, request, envelope, log_index, handed_over, note_text, note)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const ADD_GIVEN: &str =
    "INSERT INTO given_clips (gift, place, clip, header) VALUES (?1, ?2, ?3, ?4)";
const REMOVE_GIFT: &str = "DELETE FROM gifts WHERE disclosure = ?1";
const LOGGED: &str = "UPDATE gifts SET log_index = ?2 WHERE disclosure = ?1";
const HANDED_OVER: &str = "UPDATE gifts SET handed_over = ?2 WHERE disclosure = ?1";
const DROP_NOTE: &str = "UPDATE gifts SET note_text = NULL, note = NULL
    WHERE disclosure = ?1 AND note IS NOT NULL";
const DROP_HEADERS: &str = "UPDATE given_clips SET header = NULL
    WHERE gift = (SELECT number FROM gifts WHERE disclosure = ?1) AND header IS NOT NULL";

impl State {
    /// All refusals, in the order of refusing.
    ///
    /// # Errors
    /// SQLite's.
    pub fn refusals(&self) -> Result<Vec<KeptRefusal>, StoreError> {
        self.list(REFUSALS, (), |row| {
            let carried = match row.get::<_, Option<_>>(2)?.map(HexId::from_bytes) {
                None => None,
                Some(clip) => Some(Carried {
                    clip,
                    commitment: row.get(3).map(Commitment::from_bytes)?,
                    anchor: anchor(row, 4)?,
                }),
            };
            Ok(KeptRefusal {
                request: statement_id(row, 0)?,
                envelope: json(row, 1)?,
                carried,
            })
        })
    }

    /// Whether this request was refused.
    ///
    /// # Errors
    /// SQLite's.
    pub fn has_refused(&self, request: &StatementId) -> Result<bool, StoreError> {
        self.get(REFUSED, (request.as_bytes(),), |row| row.get(0))
    }

    /// Keeps a refusal.
    ///
    /// # Errors
    /// SQLite's; also if the request was refused before.
    pub fn add_refusal(&self, refusal: &KeptRefusal) -> Result<(), StoreError> {
        let carried = refusal.carried.as_ref();
        let (batch, index, path) = match refusal.anchor().map(anchor_columns) {
            Some((batch, index, path)) => (Some(batch), Some(index), Some(path)),
            None => (None, None, None),
        };
        let values = (
            refusal.request.as_bytes(),
            refusal.envelope.to_string(),
            carried.map(|carried| carried.clip.as_bytes()),
            carried.map(|carried| carried.commitment.as_bytes()),
            batch,
            index,
            path,
        );
        self.change(ADD_REFUSAL, values).map(drop)
    }

    /// Forgets a refusal whose commitment was not sent: it is as if it had not been made.
    ///
    /// # Errors
    /// SQLite's.
    pub fn remove_unsent_refusal(&self, request: &StatementId) -> Result<(), StoreError> {
        self.change(REMOVE_UNSENT, (request.as_bytes(),)).map(drop)
    }

    /// Notes that the upload of `clip` carries the oldest refusals that wait, at most so many; answers with their
    /// commitments, which `commit` makes for this clip.
    ///
    /// # Errors
    /// SQLite's.
    pub fn carry_refusals(
        &self,
        clip: HexId,
        most: usize,
        commit: impl Fn(&StatementId) -> Commitment,
    ) -> Result<Vec<Commitment>, StoreError> {
        self.atomic(|| {
            let waiting: Vec<(i64, StatementId)> =
                self.list(TO_CARRY, (integer(most as u64),), |row| {
                    Ok((row.get(0)?, statement_id(row, 1)?))
                })?;
            let carry = |(number, request): (i64, StatementId)| {
                let commitment = commit(&request);
                self.change(CARRY, (number, clip.as_bytes(), commitment.as_bytes()))?;
                Ok(commitment)
            };
            waiting.into_iter().map(carry).collect()
        })
    }

    /// All disclosures, in the order of giving.
    ///
    /// # Errors
    /// SQLite's.
    pub fn gifts(&self) -> Result<Vec<Gift>, StoreError> {
        self.gifts_where(GIFTS, ())
    }

    /// An own disclosure.
    ///
    /// # Errors
    /// SQLite's.
    pub fn gift(&self, disclosure: &StatementId) -> Result<Option<Gift>, StoreError> {
        let found = self.gifts_where(GIFT, (disclosure.as_bytes(),))?;
        Ok(found.into_iter().next())
    }

    /// The disclosures for a request: one, and before it those that never came into the log.
    ///
    /// # Errors
    /// SQLite's.
    pub fn gifts_for(&self, request: &StatementId) -> Result<Vec<Gift>, StoreError> {
        self.gifts_where(GIFTS_FOR, (request.as_bytes(),))
    }

    /// The disclosures that give a clip.
    ///
    /// # Errors
    /// SQLite's.
    pub fn gifts_of(&self, clip: HexId) -> Result<Vec<Gift>, StoreError> {
        self.gifts_where(GIFTS_OF, (clip.as_bytes(),))
    }

    /// The disclosures that give a clip to the public, or are about to.
    ///
    /// # Errors
    /// SQLite's.
    pub fn published(&self, clip: HexId) -> Result<Vec<Gift>, StoreError> {
        let mut gifts = self.gifts_of(clip)?;
        gifts.retain(|gift| gift.request.is_none());
        Ok(gifts)
    }

    /// The disclosures in the log whose headers were not all handed over.
    ///
    /// # Errors
    /// SQLite's.
    pub fn gifts_to_hand_over(&self) -> Result<Vec<Gift>, StoreError> {
        self.gifts_where(TO_HAND_OVER, ())
    }

    /// Keeps a disclosure, in place of the one with its id.
    ///
    /// # Errors
    /// SQLite's.
    pub fn put_gift(&self, gift: &Gift) -> Result<(), StoreError> {
        self.atomic(|| {
            self.remove_gift(&gift.disclosure)?;
            let values = (
                gift.disclosure.as_bytes(),
                gift.request.as_ref().map(StatementId::as_bytes),
                gift.envelope.to_string(),
                gift.index.map(|index| integer(index.as_u64())),
                gift.handed_over.map(Time::unix),
                gift.note.as_ref().map(|note| &note.text),
                gift.note.as_ref().map(|note| &note.file),
            );
            self.change(ADD_GIFT, values)?;
            let number = self.database.last_insert_rowid();
            for (place, given) in (0_i64..).zip(&gift.clips) {
                let clip = given.clip.as_ref().map(HexId::as_bytes);
                self.change(ADD_GIVEN, (number, place, clip, &given.header))?;
            }
            Ok(())
        })
    }

    /// Forgets a disclosure.
    ///
    /// # Errors
    /// SQLite's.
    pub fn remove_gift(&self, disclosure: &StatementId) -> Result<(), StoreError> {
        self.change(REMOVE_GIFT, (disclosure.as_bytes(),)).map(drop)
    }

    /// Notes the entry of a disclosure; whether it is an own one.
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_logged(
        &self,
        disclosure: &StatementId,
        index: LeafIndex,
    ) -> Result<bool, StoreError> {
        let values = (disclosure.as_bytes(), integer(index.as_u64()));
        Ok(self.change(LOGGED, values)? > 0)
    }

    /// Notes that all headers and the note of a disclosure were handed over, and forgets them.
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_handed_over(&self, disclosure: &StatementId, at: Time) -> Result<(), StoreError> {
        self.atomic(|| {
            self.change(HANDED_OVER, (disclosure.as_bytes(), at.unix()))?;
            self.drop_prepared(disclosure)
        })
    }

    /// Destroys the headers and the note of a disclosure: nobody can make the same again.
    ///
    /// # Errors
    /// SQLite's.
    pub fn drop_prepared(&self, disclosure: &StatementId) -> Result<(), StoreError> {
        self.atomic(|| {
            self.change(DROP_HEADERS, (disclosure.as_bytes(),))?;
            self.change(DROP_NOTE, (disclosure.as_bytes(),)).map(drop)
        })
    }

    fn gifts_where(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<Gift>, StoreError> {
        let mut gifts = Vec::new();
        for (number, mut gift) in self.list(sql, values, read)? {
            gift.clips = self.list(GIVEN, (number,), |row| {
                Ok(GivenClip {
                    clip: row.get::<_, Option<_>>(0)?.map(HexId::from_bytes),
                    header: row.get(1)?,
                })
            })?;
            gifts.push(gift);
        }
        Ok(gifts)
    }
}

/// A row of [`gifts!`], without its clips.
fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Gift)> {
    let index: Option<i64> = row.get(4)?;
    let handed_over: Option<i64> = row.get(5)?;
    let note_text: Option<Vec<u8>> = row.get(6)?;
    let gift = Gift {
        disclosure: statement_id(row, 1)?,
        request: row.get::<_, Option<_>>(2)?.map(StatementId::from_bytes),
        envelope: json(row, 3)?,
        clips: Vec::new(),
        note: match note_text {
            Some(text) => Some(KeptNote {
                text,
                file: row.get(7)?,
            }),
            None => None,
        },
        index: index.map(|_| leaf_index(row, 4)).transpose()?,
        handed_over: handed_over.map(|_| time(row, 5)).transpose()?,
    };
    Ok((row.get(0)?, gift))
}

/// A signed statement.
fn json(row: &Row<'_>, column: usize) -> rusqlite::Result<Value> {
    let text = row.get_ref(column)?.as_str().map_err(damaged(column))?;
    serde_json::from_str(text)
        .map_err(|error| damaged(column)(rusqlite::types::FromSqlError::other(error)))
}
