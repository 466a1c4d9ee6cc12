//! What residents have shown to the server, and the headers and notes they handed over.
//!
//! These are deleted soon after, or when what a header opens is no longer public: what stays is that
//! there was one, and when.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction};

use super::{ClipId, VaultError, VaultId, Vaults, clips};
use crate::digest::StatementId;
use crate::store::StoreError;
use crate::store::sqlite::{BUSY_TIMEOUT, EMPTY_WAL, integer, number};
use crate::time::Time;

const ADD_DISCLOSURE: &str = "INSERT INTO disclosures (id, vault, until) VALUES (?1, ?2, ?3)";
const ADD_SHOWN: &str = "INSERT INTO shown_clips (disclosure, n, clip, opening, body_length)
    VALUES (?1, ?2, ?3, ?4, ?5)";
const ADD_UNLOGGED: &str = "INSERT INTO unlogged (disclosure, since) VALUES (?1, ?2)";
const UNLOGGED: &str = "SELECT disclosure FROM unlogged WHERE since < ?1 ORDER BY disclosure";
const SETTLE: &str = "DELETE FROM unlogged WHERE disclosure = ?1";
const REMOVE_SHOWN: &str = "DELETE FROM shown_clips WHERE disclosure = ?1";
const REMOVE_DISCLOSURE: &str = "DELETE FROM disclosures WHERE id = ?1";
const VAULT_OF: &str = "SELECT vault, until FROM disclosures WHERE id = ?1";
const SHOWN: &str = "SELECT clip, opening, body_length FROM shown_clips
    WHERE disclosure = ?1 ORDER BY n";
const PLACE: &str = "SELECT clip, opening, body_length, vault, at, forgotten, header
    FROM shown_clips JOIN disclosures ON disclosures.id = disclosure
    LEFT JOIN handed_over USING (disclosure, n)
    WHERE disclosure = ?1 AND n = ?2";
const HAND_OVER: &str = "INSERT INTO handed_over (disclosure, n, at, forgotten, header)
    VALUES (?1, ?2, ?3, 0, ?4)";
const NOTE: &str = "SELECT forgotten, note FROM notes WHERE disclosure = ?1";
const HAND_OVER_NOTE: &str =
    "INSERT INTO notes (disclosure, at, forgotten, note) VALUES (?1, ?2, 0, ?3)";
const FORGET_OLD_NOTES: &str = "UPDATE notes SET note = zeroblob(length(note)), forgotten = 1
    WHERE forgotten = 0 AND at < ?1";
const FORGET_NOTE: &str = "UPDATE notes SET note = zeroblob(length(note)), forgotten = 1
    WHERE forgotten = 0 AND disclosure = ?1";
const PUBLIC: &str = "SELECT disclosures.id FROM handed_over
    JOIN disclosures ON disclosures.id = disclosure WHERE forgotten = 0 AND until IS NOT NULL";
const FORGET_GIVEN: &str = "UPDATE handed_over SET header = zeroblob(length(header)), forgotten = 1
    WHERE forgotten = 0 AND at < ?1
    AND disclosure IN (SELECT id FROM disclosures WHERE until IS NULL)";
const FORGET: &str = "UPDATE handed_over SET header = zeroblob(length(header)), forgotten = 1
    WHERE forgotten = 0 AND disclosure = ?1";

/// A clip that a disclosure names, as its owner has shown it to the server.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownClip {
    pub clip_id: ClipId,
    /// The SD-JWT disclosure that opens the clip's commitment.
    pub opening: String,
    /// Bytes of the body without the padding stored after it.
    pub body_length: u64,
}

impl fmt::Debug for ShownClip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownClip(…)")
    }
}

/// A disclosure's clips, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosure {
    pub vault_id: VaultId,
    pub clips: Vec<ShownClip>,
    /// Until when it gives to the public; none if it gives to an agency.
    pub until: Option<Time>,
}

/// A clip that was handed over under a disclosure.
#[derive(Clone, PartialEq, Eq)]
pub struct HandedOver {
    pub vault_id: VaultId,
    pub clip: ShownClip,
    /// The re-wrapped age header; none once it is forgotten.
    pub header: Option<Vec<u8>>,
    /// When it was handed over.
    pub at: Time,
}

impl fmt::Debug for HandedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandedOver(at {}, …)", self.at)
    }
}

/// A clip that was shown, in this vault, and what became of it.
type Place = (ShownClip, VaultId, Option<(Time, Option<Vec<u8>>)>);

impl Vaults {
    /// Records which clips a disclosure is about, which is not logged yet. The same record again is
    /// done already.
    ///
    /// # Errors
    /// [`VaultError::UnknownClip`] if the vault lacks one of them,
    /// [`VaultError::DisclosureConflict`] if there is another record.
    pub fn record_disclosure(
        &self,
        id: StatementId,
        disclosure: &Disclosure,
        now: Time,
    ) -> Result<(), VaultError> {
        let vault_id = disclosure.vault_id;
        self.write(|tx| {
            match find(tx, id)? {
                Some(found) if found == *disclosure => return Ok(()),
                Some(_) => return Err(VaultError::DisclosureConflict),
                None => {}
            }
            let until = disclosure.until.map(Time::unix);
            let row = (id.as_bytes(), vault_id.as_bytes(), until);
            tx.prepare_cached(ADD_DISCLOSURE)?.execute(row)?;
            tx.prepare_cached(ADD_UNLOGGED)?
                .execute((id.as_bytes(), now.unix()))?;
            let mut add_shown = tx.prepare_cached(ADD_SHOWN)?;
            for (shown, n) in disclosure.clips.iter().zip(0..) {
                if clips::find(tx, vault_id, shown.clip_id)?.is_none() {
                    return Err(VaultError::UnknownClip);
                }
                add_shown.execute((
                    id.as_bytes(),
                    integer(n),
                    shown.clip_id.as_bytes(),
                    &shown.opening,
                    integer(shown.body_length),
                ))?;
            }
            Ok(())
        })
    }

    /// Disclosures recorded before `before` that are not known to be logged, by id.
    pub fn unlogged_disclosures(&self, before: Time) -> Result<Vec<StatementId>, StoreError> {
        self.read(|db| {
            let mut unlogged = db.prepare_cached(UNLOGGED)?;
            let id = |row: &Row<'_>| row.get(0).map(StatementId::from_bytes);
            let ids = unlogged.query_map((before.unix(),), id)?;
            ids.collect()
        })
    }

    /// Notes that a disclosure stands in the log: its record stays for good.
    pub fn disclosure_logged(&self, id: StatementId) -> Result<(), VaultError> {
        self.write(|tx| {
            tx.prepare_cached(SETTLE)?.execute((id.as_bytes(),))?;
            Ok(())
        })
    }

    /// Deletes the record of a disclosure that is not logged; one that is known to be stays.
    pub fn forget_unlogged(&self, id: StatementId) -> Result<(), VaultError> {
        self.write(|tx| {
            if tx.prepare_cached(SETTLE)?.execute((id.as_bytes(),))? == 1 {
                for remove in [REMOVE_SHOWN, REMOVE_DISCLOSURE] {
                    tx.prepare_cached(remove)?.execute((id.as_bytes(),))?;
                }
            }
            Ok(())
        })
    }

    /// What was recorded of a disclosure.
    pub fn disclosure(&self, id: StatementId) -> Result<Option<Disclosure>, StoreError> {
        self.read(|db| find(db, id))
    }

    /// Keeps the re-wrapped header of the disclosure's clip `n`, counted from 0. The same header
    /// again is done already.
    ///
    /// # Errors
    /// [`VaultError::UnknownDisclosure`]; [`VaultError::HandedOverConflict`] if there is another
    /// header; [`VaultError::HandedOverForgotten`] if there was one.
    pub fn hand_over(
        &self,
        disclosure: StatementId,
        n: usize,
        header: &[u8],
        now: Time,
    ) -> Result<(), VaultError> {
        self.write(|tx| {
            let (.., done) = place(tx, disclosure, n)?.ok_or(VaultError::UnknownDisclosure)?;
            match done {
                None => {
                    let row = (disclosure.as_bytes(), integer(n as u64), now.unix(), header);
                    tx.prepare_cached(HAND_OVER)?.execute(row)?;
                    Ok(())
                }
                Some((_, None)) => Err(VaultError::HandedOverForgotten),
                Some((_, Some(found))) if found == header => Ok(()),
                Some(_) => Err(VaultError::HandedOverConflict),
            }
        })
    }

    /// The disclosure's clip `n`, counted from 0, if it was handed over.
    pub fn handed_over(
        &self,
        disclosure: StatementId,
        n: usize,
    ) -> Result<Option<HandedOver>, StoreError> {
        let place = self.read(|db| place(db, disclosure, n))?;
        Ok(place.and_then(|(clip, vault_id, done)| {
            let (at, header) = done?;
            Some(HandedOver {
                vault_id,
                clip,
                header,
                at,
            })
        }))
    }

    /// Keeps the note of a disclosure. The same note again is done already.
    ///
    /// # Errors
    /// [`VaultError::UnknownDisclosure`]; [`VaultError::HandedOverConflict`] if there is another note;
    /// [`VaultError::HandedOverForgotten`] if there was one.
    pub fn hand_over_note(
        &self,
        disclosure: StatementId,
        note: &[u8],
        now: Time,
    ) -> Result<(), VaultError> {
        self.write(|tx| {
            if find(tx, disclosure)?.is_none() {
                return Err(VaultError::UnknownDisclosure);
            }
            match handed_over_note(tx, disclosure)? {
                None => {
                    let row = (disclosure.as_bytes(), now.unix(), note);
                    tx.prepare_cached(HAND_OVER_NOTE)?.execute(row)?;
                    Ok(())
                }
                Some(None) => Err(VaultError::HandedOverForgotten),
                Some(Some(found)) if found == note => Ok(()),
                Some(Some(_)) => Err(VaultError::HandedOverConflict),
            }
        })
    }

    /// The note of a disclosure, if it was handed over: none within, once it is forgotten.
    pub fn handed_over_note(
        &self,
        disclosure: StatementId,
    ) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        self.read(|db| handed_over_note(db, disclosure))
    }

    /// Disclosures to the public whose headers are kept.
    pub fn public_disclosures(&self) -> Result<Vec<StatementId>, StoreError> {
        self.read(|db| {
            let mut public = db.prepare_cached(PUBLIC)?;
            let ids = public.query_map((), |row| row.get(0).map(StatementId::from_bytes))?;
            ids.collect()
        })
    }

    /// Deletes the headers and notes handed over to agencies before `before`, and counts them. That they had
    /// been there stays known. Called again and again, it also removes what another process that was
    /// reading made earlier calls leave in the log of writes.
    pub fn forget_handed_over(&self, before: Time) -> Result<usize, VaultError> {
        self.forget_where(|tx| {
            let headers = tx.prepare_cached(FORGET_GIVEN)?.execute((before.unix(),))?;
            let notes = tx
                .prepare_cached(FORGET_OLD_NOTES)?
                .execute((before.unix(),))?;
            Ok(headers.saturating_add(notes))
        })
    }

    /// Deletes the headers and the note of one disclosure, and counts them.
    pub fn forget_disclosed(&self, disclosure: StatementId) -> Result<usize, VaultError> {
        self.forget_where(|tx| {
            let id = (disclosure.as_bytes(),);
            let headers = tx.prepare_cached(FORGET)?.execute(id)?;
            let notes = tx.prepare_cached(FORGET_NOTE)?.execute(id)?;
            Ok(headers.saturating_add(notes))
        })
    }

    fn forget_where(
        &self,
        forget: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<usize>,
    ) -> Result<usize, VaultError> {
        let forgotten = self.write(|tx| Ok(forget(tx)?))?;
        if forgotten > 0 {
            self.remains.store(true, Ordering::Relaxed);
        }
        self.remove_remains()?;
        Ok(forgotten)
    }

    /// Empties the log of writes, which holds what is forgotten until then. Whoever reads is not
    /// waited for: the next call tries again.
    fn remove_remains(&self) -> Result<(), StoreError> {
        if !self.remains.load(Ordering::Relaxed) {
            return Ok(());
        }
        let held_up: bool = self.read(|db| {
            db.busy_timeout(Duration::ZERO)?;
            let held_up = db.query_row(EMPTY_WAL, (), |row| row.get(0));
            db.busy_timeout(BUSY_TIMEOUT)?;
            held_up
        })?;
        self.remains.store(held_up, Ordering::Relaxed);
        Ok(())
    }
}

fn find(db: &Connection, id: StatementId) -> rusqlite::Result<Option<Disclosure>> {
    let mut vault_of = db.prepare_cached(VAULT_OF)?;
    let vault = vault_of.query_row((id.as_bytes(),), |row| Ok((row.get(0)?, row.get(1)?)));
    let Some((vault, until)): Option<(_, Option<i64>)> = vault.optional()? else {
        return Ok(None);
    };
    let mut shown = db.prepare_cached(SHOWN)?;
    let clips = shown.query_map((id.as_bytes(),), shown_clip)?;
    Ok(Some(Disclosure {
        vault_id: VaultId::from_bytes(vault),
        clips: clips.collect::<Result<_, _>>()?,
        until: until.and_then(Time::from_unix),
    }))
}

fn place(db: &Connection, disclosure: StatementId, n: usize) -> rusqlite::Result<Option<Place>> {
    let mut statement = db.prepare_cached(PLACE)?;
    let place = |row: &Row<'_>| {
        let vault = VaultId::from_bytes(row.get(3)?);
        let done = match row.get::<_, Option<i64>>(4)?.and_then(Time::from_unix) {
            Some(at) if row.get(5)? => Some((at, None)),
            Some(at) => Some((at, Some(row.get(6)?))),
            None => None,
        };
        Ok((shown_clip(row)?, vault, done))
    };
    let row = (disclosure.as_bytes(), integer(n as u64));
    statement.query_row(row, place).optional()
}

/// A note that was handed over, if it was: none within, once it is forgotten.
fn handed_over_note(
    db: &Connection,
    disclosure: StatementId,
) -> rusqlite::Result<Option<Option<Vec<u8>>>> {
    let mut statement = db.prepare_cached(NOTE)?;
    let note = |row: &Row<'_>| match row.get(0)? {
        true => Ok(None),
        false => row.get(1).map(Some),
    };
    statement
        .query_row((disclosure.as_bytes(),), note)
        .optional()
}

fn shown_clip(row: &Row<'_>) -> rusqlite::Result<ShownClip> {
    Ok(ShownClip {
        clip_id: ClipId::from_bytes(row.get(0)?),
        opening: row.get(1)?,
        body_length: number(row.get(2)?),
    })
}
