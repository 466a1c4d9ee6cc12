//! Own clips, and where their commitments are in the log.

use rusqlite::Row;

use super::{
    Anchor, Clip, State, anchor, anchor_columns, camera, camera_columns, integer, number, place,
    time,
};
use crate::digest::Digest;
use crate::seal::commitment::{CLIP_COMMITMENTS, Commitment, UPLOAD_SLOTS};
use crate::statement::scope::Scope;
use crate::store::StoreError;
use crate::wire::vault::HexId;

/// The columns that [`read`] takes, before a condition and an order.
macro_rules! clips {
    ($rest:literal) => {
        concat!(
            "SELECT number, id, camera, position, begins, ends, body_sha256, body_length, sha256, size, upload, stored,
                 why, given_up, to_enter
             FROM clips ",
            $rest
        )
    };
}

const ADD: &str = "INSERT INTO clips
    (id, camera, position, begins, ends, body_sha256, body_length, sha256, size, upload, stored, scanned)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, iif(?10 IS NULL, 0, (SELECT scanned FROM device)))";
const SCANNED: &str = "SELECT scanned FROM clips WHERE id = ?1";
const ADD_COMMITMENT: &str = "INSERT INTO commitments
    (clip, place, commitment, batch, batch_index, path) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
pub(super) const ALL: &str = clips!("ORDER BY number");
pub(super) const BY_ID: &str = clips!("WHERE id = ?1");
pub(super) const BY_NUMBER: &str = clips!("WHERE number = ?1");
pub(super) const BY_TIME: &str = clips!(
    "INDEXED BY clips_by_end WHERE ends > ?1 AND begins < ?2 AND NOT given_up ORDER BY number"
);
pub(super) const TO_STORE: &str = "SELECT id FROM clips WHERE NOT stored ORDER BY number";
const STORED: &str = "SELECT id FROM clips WHERE stored AND NOT given_up ORDER BY number";
pub(super) const SET_STORED: &str = "UPDATE clips SET stored = 1, why = NULL WHERE id = ?1";
pub(super) const TO_ENTER: &str = "SELECT id FROM clips WHERE to_enter ORDER BY number";
const ENTERED: &str = "UPDATE clips SET to_enter = 0 WHERE id = ?1";
pub(super) const WITHOUT_ANCHOR: &str = "SELECT id FROM clips
    WHERE number IN (SELECT clip FROM commitments WHERE batch IS NULL) AND stored AND NOT given_up
        AND NOT EXISTS (SELECT 1 FROM commitments WHERE clip = number AND batch IS NOT NULL)
    ORDER BY number";
const ENTER: &str =
    "UPDATE clips SET upload = ?2, to_enter = 1, scanned = (SELECT scanned FROM device)
    WHERE id = ?1 RETURNING number";
const SET_WHY: &str = "UPDATE clips SET why = ?2 WHERE id = ?1";
const GIVE_UP: &str = "UPDATE clips SET given_up = 1 WHERE id = ?1";
const UNFETCHED: &str = "SELECT clip FROM unfetched ORDER BY clip";
const ADD_UNFETCHED: &str = "INSERT INTO unfetched (clip) VALUES (?1) ON CONFLICT DO NOTHING";
const FETCHED: &str = "DELETE FROM unfetched WHERE clip = ?1";
const REMOVE: &str = "DELETE FROM clips WHERE id = ?1";
const RELEASE: &str = "UPDATE refusals SET carried_by = NULL, commitment = NULL
    WHERE carried_by = ?1 AND batch IS NULL";
pub(super) const COMMITMENTS: &str = "SELECT commitment, batch, batch_index, path
    FROM commitments WHERE clip = ?1 ORDER BY place";
pub(super) const WHOSE: &str = "SELECT clip, place FROM commitments WHERE commitment = ?1";
pub(super) const UNANCHORED: &str = "SELECT commitment FROM commitments WHERE batch IS NULL
    UNION ALL SELECT commitment FROM refusals WHERE batch IS NULL AND commitment IS NOT NULL";
pub(super) const ANCHOR: &str = "UPDATE commitments SET batch = ?2, batch_index = ?3, path = ?4
    WHERE commitment = ?1 AND batch IS NULL";
pub(super) const ANCHOR_REFUSAL: &str =
    "UPDATE refusals SET batch = ?2, batch_index = ?3, path = ?4
    WHERE commitment = ?1 AND batch IS NULL";

impl State {
    /// Keeps a new clip.
    ///
    /// # Errors
    /// SQLite's; also for a clip that is there already.
    pub fn add_clip(&self, clip: &Clip) -> Result<(), StoreError> {
        let (name, position) = camera_columns(&clip.camera);
        let upload = clip.upload.as_ref().map(set_columns);
        self.atomic(|| {
            let values = (
                clip.clip.as_bytes(),
                name,
                position,
                clip.from.unix(),
                clip.until.unix(),
                clip.body_digest.as_bytes(),
                integer(clip.body_length),
                clip.sha256.as_bytes(),
                integer(clip.size),
                upload,
                clip.stored,
            );
            self.change(ADD, values)?;
            let number = self.database.last_insert_rowid();
            let commitments = (0_i64..).zip(&clip.commitments);
            for ((place, commitment), anchor) in commitments.zip(&clip.anchors) {
                let (batch, index, path) = match anchor.as_ref().map(anchor_columns) {
                    Some((batch, index, path)) => (Some(batch), Some(index), Some(path)),
                    None => (None, None, None),
                };
                let values = (number, place, commitment.as_bytes(), batch, index, path);
                self.change(ADD_COMMITMENT, values)?;
            }
            Ok(())
        })
    }

    /// All clips, in the order of adding.
    ///
    /// # Errors
    /// SQLite's.
    pub fn clips(&self) -> Result<Vec<Clip>, StoreError> {
        let clips = self.list(ALL, (), read)?;
        clips.into_iter().map(|found| self.whole(found)).collect()
    }

    /// An own clip.
    ///
    /// # Errors
    /// SQLite's.
    pub fn clip(&self, id: HexId) -> Result<Option<Clip>, StoreError> {
        let found = self.find(BY_ID, (id.as_bytes(),), read)?;
        found.map(|found| self.whole(found)).transpose()
    }

    /// The clip with this commitment, and which of its commitments it is.
    ///
    /// # Errors
    /// SQLite's.
    pub fn clip_of(&self, commitment: &Commitment) -> Result<Option<(Clip, usize)>, StoreError> {
        let whose = self.find(WHOSE, (commitment.as_bytes(),), |row| {
            Ok((row.get::<_, i64>(0)?, place(row, 1)?))
        })?;
        let Some((clip, place)) = whose else {
            return Ok(None);
        };
        let found = self.get(BY_NUMBER, (clip,), read)?;
        Ok(Some((self.whole(found)?, place)))
    }

    /// The clips filmed, at least in part, where and when a scope asks, in the order of adding. Looks at the index
    /// of the clips that ended after the scope begins, and reads those among them that it overlaps.
    ///
    /// # Errors
    /// SQLite's.
    pub fn clips_in(&self, scope: &Scope) -> Result<Vec<Clip>, StoreError> {
        let window = (scope.from.unix(), scope.until.unix());
        let mut found = self.list(BY_TIME, window, read)?;
        found.retain(|(_, clip)| clip.matches(scope));
        found.into_iter().map(|found| self.whole(found)).collect()
    }

    /// How many entries of the log had been looked at when the clip was added: none of these is a batch with its
    /// commitments. 0 for one that was restored.
    ///
    /// # Errors
    /// SQLite's; also for a clip that is not there.
    pub fn scanned_before(&self, id: HexId) -> Result<u64, StoreError> {
        self.get(SCANNED, (id.as_bytes(),), |row| row.get(0).map(number))
    }

    /// The clips whose upload is under way, in the order of adding.
    ///
    /// # Errors
    /// SQLite's.
    pub fn clips_to_store(&self) -> Result<Vec<HexId>, StoreError> {
        self.list(TO_STORE, (), |row| row.get(0).map(HexId::from_bytes))
    }

    /// The clips that the vault has, in the order of adding, but for those given up.
    ///
    /// # Errors
    /// SQLite's.
    pub fn stored_clips(&self) -> Result<Vec<HexId>, StoreError> {
        self.list(STORED, (), |row| row.get(0).map(HexId::from_bytes))
    }

    /// The clips that the vault has and of which no commitment's batch is known, in the order of adding.
    ///
    /// # Errors
    /// SQLite's.
    pub fn clips_without_anchor(&self) -> Result<Vec<HexId>, StoreError> {
        self.list(WITHOUT_ANCHOR, (), |row| row.get(0).map(HexId::from_bytes))
    }

    /// The clips whose last set the server has not confirmed, in the order of adding.
    ///
    /// # Errors
    /// SQLite's.
    pub fn clips_to_enter(&self) -> Result<Vec<HexId>, StoreError> {
        self.list(TO_ENTER, (), |row| row.get(0).map(HexId::from_bytes))
    }

    /// Keeps a later set of a stored clip, which has these further commitments of it: none of the batches that were
    /// looked at has them. Refusals that its set before carried, and that no batch is known to have, go with the next
    /// clip.
    ///
    /// # Errors
    /// SQLite's.
    pub fn enter_more(
        &self,
        clip: &Clip,
        more: &[Commitment; CLIP_COMMITMENTS],
        set: &[Commitment; UPLOAD_SLOTS],
    ) -> Result<(), StoreError> {
        self.atomic(|| {
            let id = clip.clip.as_bytes();
            let number: i64 = self.get(ENTER, (id, set_columns(set)), |row| row.get(0))?;
            for (place, commitment) in (clip.commitments.len()..).zip(more) {
                let place = integer(place as u64);
                let (batch, path) = (None::<&[u8]>, None::<&[u8]>);
                let values = (
                    number,
                    place,
                    commitment.as_bytes(),
                    batch,
                    None::<u32>,
                    path,
                );
                self.change(ADD_COMMITMENT, values)?;
            }
            self.change(RELEASE, (id,)).map(drop)
        })
    }

    /// Notes that the server has confirmed the clip's last set.
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_entered(&self, id: HexId) -> Result<(), StoreError> {
        self.change(ENTERED, (id.as_bytes(),)).map(drop)
    }

    /// Notes that the vault has the clip.
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_stored(&self, id: HexId) -> Result<(), StoreError> {
        self.change(SET_STORED, (id.as_bytes(),)).map(drop)
    }

    /// Keeps why the clip was not stored.
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_why(&self, id: HexId, why: &str) -> Result<(), StoreError> {
        self.change(SET_WHY, (id.as_bytes(), why)).map(drop)
    }

    /// Notes that the owner gave up a clip that the server lost.
    ///
    /// # Errors
    /// SQLite's.
    pub fn give_up(&self, id: HexId) -> Result<(), StoreError> {
        self.change(GIVE_UP, (id.as_bytes(),)).map(drop)
    }

    /// Clips that the vault lists and that could not be fetched when the device was restored.
    ///
    /// # Errors
    /// SQLite's.
    pub fn unfetched(&self) -> Result<Vec<HexId>, StoreError> {
        self.list(UNFETCHED, (), |row| row.get(0).map(HexId::from_bytes))
    }

    /// Keeps such a clip.
    ///
    /// # Errors
    /// SQLite's.
    pub fn add_unfetched(&self, id: HexId) -> Result<(), StoreError> {
        self.change(ADD_UNFETCHED, (id.as_bytes(),)).map(drop)
    }

    /// Forgets such a clip: it was fetched, or its owner gave it up. False if it is none.
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_fetched(&self, id: HexId) -> Result<bool, StoreError> {
        Ok(self.change(FETCHED, (id.as_bytes(),))? > 0)
    }

    /// Forgets a clip. Refusals that its upload was to carry, and that no batch is known to have, go with the next clip,
    /// under other commitments.
    ///
    /// # Errors
    /// SQLite's.
    pub fn remove_clip(&self, id: HexId) -> Result<(), StoreError> {
        self.atomic(|| {
            self.change(REMOVE, (id.as_bytes(),))?;
            self.change(RELEASE, (id.as_bytes(),)).map(drop)
        })
    }

    /// Own commitments, of clips and refusals, whose batch is not known.
    ///
    /// # Errors
    /// SQLite's.
    pub fn unanchored(&self) -> Result<Vec<Commitment>, StoreError> {
        self.list(UNANCHORED, (), |row| row.get(0).map(Commitment::from_bytes))
    }

    /// Notes the batch of a commitment, if it is an own one and its batch is not known.
    ///
    /// # Errors
    /// SQLite's.
    pub fn anchor(&self, commitment: &Commitment, anchor: &Anchor) -> Result<(), StoreError> {
        self.atomic(|| {
            for sql in [ANCHOR, ANCHOR_REFUSAL] {
                let (batch, index, path) = anchor_columns(anchor);
                self.change(sql, (commitment.as_bytes(), batch, index, path))?;
            }
            Ok(())
        })
    }

    /// Adds its commitments to what [`read`] found.
    fn whole(&self, (number, mut clip): (i64, Clip)) -> Result<Clip, StoreError> {
        let commitments = self.list(COMMITMENTS, (number,), |row| {
            let commitment = Commitment::from_bytes(row.get(0)?);
            Ok((commitment, anchor(row, 1)?))
        })?;
        // In the order of their places, which begin with 0.
        for (commitment, anchor) in commitments {
            clip.commitments.push(commitment);
            clip.anchors.push(anchor);
        }
        Ok(clip)
    }
}

/// A row of [`clips!`], without its commitments.
fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Clip)> {
    let upload: Option<Vec<u8>> = row.get(10)?;
    let clip = Clip {
        clip: row.get(1).map(HexId::from_bytes)?,
        camera: camera(row, 2)?,
        from: time(row, 4)?,
        until: time(row, 5)?,
        body_digest: row.get(6).map(Digest::from_bytes)?,
        body_length: row.get(7).map(number)?,
        sha256: row.get(8).map(Digest::from_bytes)?,
        size: row.get(9).map(number)?,
        commitments: Vec::new(),
        upload: upload.and_then(|slots| slots_of(&slots)),
        stored: row.get(11)?,
        why: row.get(12)?,
        given_up: row.get(13)?,
        to_enter: row.get(14)?,
        anchors: Vec::new(),
    };
    Ok((row.get(0)?, clip))
}

fn set_columns(set: &[Commitment; UPLOAD_SLOTS]) -> Vec<u8> {
    let bytes = set.iter().flat_map(Commitment::as_bytes);
    bytes.copied().collect()
}

fn slots_of(bytes: &[u8]) -> Option<[Commitment; UPLOAD_SLOTS]> {
    let (slots, _) = bytes.as_chunks();
    let slots: [[u8; 32]; UPLOAD_SLOTS] = slots.try_into().ok()?;
    Some(slots.map(Commitment::from_bytes))
}
