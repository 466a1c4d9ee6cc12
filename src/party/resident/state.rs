//! The device's memory besides the phrase and the log: `resident.db`, a SQLite database.
//!
//! Each change is one durable transaction and costs the rows that it touches, however many clips there are; lists
//! are read by index. It holds places and times, so it is as private as the phrase. No other module has SQL of it.
//! The log's entries are read from the own copy of the log, not kept here.
//!
//! * [`State`]: the file, its transactions, the device and its cameras
//! * [`clips`](State::clip): clips and their commitments
//! * [`answers`](State::gift): refusals and disclosures
//! * [`requests`](State::open_requests): requests, batches and attacks found in the log
//! * [`notices`](State::notices): notices of legal demands

mod answers;
mod clips;
mod notices;
mod requests;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{OptionalExtension as _, Params, Row, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};

use super::decide::to_value;
use super::gate::Prepared;
use crate::digest::{Digest, StatementId};
use crate::seal::commitment::{Commitment, UPLOAD_SLOTS};
use crate::statement::envelope::Envelope;
use crate::statement::scope::{Position, Scope};
use crate::statement::words::{Jurisdiction, Label, PartyId};
use crate::store::sqlite::{Database, Schema, integer, number};
use crate::store::{StoreError, folder_of, sync_folder};
use crate::time::Time;
use crate::tlog::tree::LeafIndex;
use crate::wire::vault::HexId;

const SCHEMA: Schema = Schema {
    application_id: 0x7768_6f64, // "whod"
    migrations: &[
        include_str!("state/schema-1.sql"),
        include_str!("state/schema-2.sql"),
        include_str!("state/schema-3.sql"),
        include_str!("state/schema-4.sql"),
        include_str!("state/schema-5.sql"),
        include_str!("state/schema-6.sql"),
    ],
};

const BEGIN: &str = "INSERT INTO device
    (only, server, jurisdiction, vault, scanned, restoring, recipient_sent)
    VALUES (1, ?1, ?2, ?3, 0, ?4, 0)";
const DEVICE: &str = "SELECT server, jurisdiction, vault FROM device";
const SCANNED: &str = "SELECT scanned FROM device";
const SET_SCANNED: &str = "UPDATE device SET scanned = ?1 WHERE scanned <> ?1";
const RESTORING: &str = "SELECT restoring FROM device";
const RESTORED: &str = "UPDATE device SET restoring = 0";
const RECIPIENT_SENT: &str = "SELECT recipient_sent FROM device";
const SENT_RECIPIENT: &str = "UPDATE device SET recipient_sent = 1";
const CAMERAS: &str = "SELECT name, position FROM cameras ORDER BY number";
const ADD_CAMERA: &str =
    "INSERT INTO cameras (name, position) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const REMOVE_CAMERA: &str = "DELETE FROM cameras WHERE name = ?1";

/// What the device remembers, open for one process.
#[derive(Debug)]
pub struct State {
    database: Database,
    /// The server's address.
    pub server: String,
    pub jurisdiction: Jurisdiction,
    pub vault: HexId,
}

/// A new device.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// The server's address.
    pub server: String,
    pub jurisdiction: Jurisdiction,
    pub vault: HexId,
    pub cameras: Vec<Camera>,
    /// It is restored from its phrase, and [`State::end_restoring`] comes when everything is found.
    pub restoring: bool,
}

/// An own camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    pub name: Label,
    #[serde(with = "position_text")]
    pub position: Position,
}

/// An own clip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clip {
    pub clip: HexId,
    pub camera: Camera,
    pub from: Time,
    pub until: Time,
    /// SHA-256 of the body without its padding.
    pub body_digest: Digest,
    /// In bytes, without the padding.
    pub body_length: u64,
    /// SHA-256 and length in bytes of what was sealed.
    pub sha256: Digest,
    pub size: u64,
    /// The clip's own commitments, by the number in their salts' names: four, and four for each later set.
    pub commitments: Vec<Commitment>,
    /// The last set that it entered: the commitments of its upload, some of which are of refusals, or a later set. A
    /// restored device does not know the former.
    #[serde(skip)]
    pub upload: Option<[Commitment; UPLOAD_SLOTS]>,
    /// The vault has it.
    #[serde(skip)]
    pub stored: bool,
    /// Why it was not stored when that was tried last.
    #[serde(skip)]
    pub why: Option<String>,
    /// It is stored, and the server has not confirmed its last set.
    #[serde(skip)]
    pub to_enter: bool,
    /// Its owner gave it up after the server had lost it.
    #[serde(skip)]
    pub given_up: bool,
    /// Where each commitment stands, once it is known.
    pub anchors: Vec<Option<Anchor>>,
}

impl Clip {
    /// What its upload is to be completed with, if that is not done.
    pub(super) fn to_store(&self) -> Option<[Commitment; UPLOAD_SLOTS]> {
        self.upload.filter(|_| !self.stored)
    }

    /// Whether the batch of one of its commitments is known, so that it can be given.
    pub fn is_anchored(&self) -> bool {
        self.anchors.iter().any(Option::is_some)
    }

    /// How long it is, in minutes; a begun one counts.
    pub fn minutes(&self) -> u64 {
        seconds_between(self.from, self.until).div_ceil(60)
    }

    /// How much of it is outside a scope's window, in minutes; a begun one counts.
    pub fn minutes_beyond(&self, scope: &Scope) -> u64 {
        let within = seconds_between(self.from.max(scope.from), self.until.min(scope.until));
        let whole = seconds_between(self.from, self.until);
        whole.saturating_sub(within).div_ceil(60)
    }

    /// Whether it was filmed, at least in part, where and when a scope asks.
    pub fn matches(&self, scope: &Scope) -> bool {
        scope.ring.contains(self.camera.position)
            && self.from < scope.until
            && scope.from < self.until
    }
}

/// Seconds between two times; 0 if the second is not later.
fn seconds_between(from: Time, until: Time) -> u64 {
    u64::try_from(until.seconds_since(from)).unwrap_or_default()
}

/// A place in a batch, with the path to its root.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Anchor {
    pub batch: StatementId,
    pub index: u32,
    pub path: Vec<Digest>,
}

/// A request that was judged genuine and asks about an own camera.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenRequest {
    pub request: StatementId,
    pub index: LeafIndex,
    pub agency: PartyId,
    pub deadline: Time,
    pub clips: Vec<HexId>,
}

/// A refusal: signed, kept, and known to nobody else.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptRefusal {
    pub request: StatementId,
    /// The signed `decision`.
    pub envelope: serde_json::Value,
    /// None until the upload of a clip carries it.
    pub carried: Option<Carried>,
}

impl KeptRefusal {
    /// Where its commitment stands, once that is known.
    pub fn anchor(&self) -> Option<&Anchor> {
        self.carried.as_ref()?.anchor.as_ref()
    }
}

/// The commitment to a refusal, which the upload of a clip carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    pub clip: HexId,
    pub commitment: Commitment,
    /// Where it stands, once that is known.
    pub anchor: Option<Anchor>,
}

/// A request that a lost device may have refused.
#[derive(Debug, Clone, PartialEq)]
pub struct MaybeRefused {
    pub request: StatementId,
    pub index: LeafIndex,
    pub deadline: Time,
}

/// An own `disclosure`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gift {
    pub disclosure: StatementId,
    /// None for what is given to the public.
    pub request: Option<StatementId>,
    /// The signed `disclosure`.
    pub envelope: serde_json::Value,
    pub clips: Vec<GivenClip>,
    /// Until it is handed over; none if the video alone is given, and on a device restored from its phrase.
    pub note: Option<KeptNote>,
    /// Its place in the own verified copy of the log.
    pub index: Option<LeafIndex>,
    /// When this device handed all headers over.
    pub handed_over: Option<Time>,
}

impl Gift {
    /// A disclosure that is not logged yet.
    pub(super) fn new(
        request: Option<StatementId>,
        envelope: &Envelope,
        clips: Vec<GivenClip>,
    ) -> Self {
        Self {
            disclosure: StatementId::of_payload(&envelope.payload),
            request,
            envelope: to_value(envelope),
            clips,
            note: None,
            index: None,
            handed_over: None,
        }
    }

    /// What it hands over; `None` if this device does not have all headers.
    pub fn prepared(&self) -> Option<Prepared> {
        prepared(&self.clips, self.note.as_ref())
    }

    /// Whether this device does not have all headers: it handed them over, or never had them.
    pub fn lacks_headers(&self) -> bool {
        self.clips.iter().any(|clip| clip.header.is_none())
    }

    /// Whether a clip is among those given.
    pub fn gives(&self, clip: HexId) -> bool {
        self.clips.iter().any(|given| given.clip == Some(clip))
    }
}

/// What a disclosure of these clips hands over; `None` if a header is missing.
pub(super) fn prepared(clips: &[GivenClip], note: Option<&KeptNote>) -> Option<Prepared> {
    let headers = clips.iter().map(|clip| clip.header.clone());
    Some(Prepared {
        headers: headers.collect::<Option<_>>()?,
        note: note.map(|note| note.file.clone()),
    })
}

/// The note of a disclosure.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptNote {
    /// What it tells, as it was sealed: this device cannot open the file.
    pub text: Vec<u8>,
    /// The age file for the recipient. Nobody can make the same again.
    pub file: Vec<u8>,
}

impl std::fmt::Debug for KeptNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptNote(…)")
    }
}

/// A clip of a disclosure.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenClip {
    /// None if this device does not have the clip any more.
    pub clip: Option<HexId>,
    /// The re-wrapped header until it is handed over. A device restored from its phrase has none: nobody can
    /// make the same header again.
    pub header: Option<Vec<u8>>,
}

/// Somebody used what is this resident's alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attack {
    pub index: LeafIndex,
    pub disclosure: StatementId,
    pub clip: HexId,
    pub why: String,
}

impl State {
    /// Makes the file at `path`, which must not exist. It appears there whole, with its one row of the device.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(path: &Path, beginning: &Beginning) -> Result<(), StoreError> {
        let folder = folder_of(path);
        let fault = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        let mut staging = tempfile::Builder::new();
        let staging = staging.prefix(".new-").tempdir_in(folder).map_err(fault)?;
        let staged = staging.path().join("resident.db");
        let database = SCHEMA.open(&staged)?;
        let Beginning {
            server,
            jurisdiction,
            vault,
            cameras,
            restoring,
        } = beginning;
        let transaction = database.unchecked_transaction()?;
        let device = (
            server,
            jurisdiction.to_string(),
            vault.as_bytes(),
            restoring,
        );
        transaction.execute(BEGIN, device)?;
        for camera in cameras {
            transaction.execute(ADD_CAMERA, camera_columns(camera))?;
        }
        transaction.commit()?;
        // Closed, it is one file.
        drop(database);
        fs::rename(&staged, path).map_err(fault)?;
        sync_folder(folder)
    }

    /// Opens the file at `path`, which [`State::create`] made, and brings it to this program's schema.
    ///
    /// # Errors
    /// If it is missing or damaged, another program's, or a newer program's.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let missing = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        fs::metadata(path).map_err(missing)?;
        let database = SCHEMA.open(path)?;
        let device = database.query_row(DEVICE, (), |row| {
            Ok((row.get(0)?, text(row, 1)?, HexId::from_bytes(row.get(2)?)))
        });
        let device = device.map_err(|error| StoreError::from(error).in_database(&database));
        let (server, jurisdiction, vault) = device?;
        Ok(Self {
            database,
            server,
            jurisdiction,
            vault,
        })
    }

    /// Does `work` in one durable transaction, which an error undoes. Within another one's `work` it is part of
    /// that transaction: pass its error on.
    ///
    /// # Errors
    /// Those of `work`, and SQLite's.
    pub fn atomic<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if !self.database.is_autocommit() {
            return work();
        }
        let begun = Transaction::new_unchecked(&self.database, TransactionBehavior::Immediate);
        let transaction = self.named(begun)?;
        let done = work()?;
        self.named(transaction.commit())?;
        Ok(done)
    }

    /// How many entries of the own copy of the log have been looked at.
    ///
    /// # Errors
    /// SQLite's.
    pub fn scanned(&self) -> Result<u64, StoreError> {
        self.get(SCANNED, (), |row| row.get(0).map(number))
    }

    /// Notes that so many entries have been looked at.
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_scanned(&self, entries: u64) -> Result<(), StoreError> {
        self.change(SET_SCANNED, (integer(entries),)).map(drop)
    }

    /// Whether the device is being restored from its phrase, and not everything has been found yet.
    ///
    /// # Errors
    /// SQLite's.
    pub fn restoring(&self) -> Result<bool, StoreError> {
        self.get(RESTORING, (), |row| row.get(0))
    }

    /// Notes that everything has been found.
    ///
    /// # Errors
    /// SQLite's.
    pub fn end_restoring(&self) -> Result<(), StoreError> {
        self.change(RESTORED, ()).map(drop)
    }

    /// Whether the operator knows whom notices are sealed for.
    ///
    /// # Errors
    /// SQLite's.
    pub fn recipient_sent(&self) -> Result<bool, StoreError> {
        self.get(RECIPIENT_SENT, (), |row| row.get(0))
    }

    /// Notes that the operator knows whom notices are sealed for.
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_recipient_sent(&self) -> Result<(), StoreError> {
        self.change(SENT_RECIPIENT, ()).map(drop)
    }

    /// The cameras, in the order of adding. A restored device may know several places of one that has moved.
    ///
    /// # Errors
    /// SQLite's.
    pub fn cameras(&self) -> Result<Vec<Camera>, StoreError> {
        self.list(CAMERAS, (), |row| camera(row, 0))
    }

    /// Keeps a camera, unless it is known at this place.
    ///
    /// # Errors
    /// SQLite's.
    pub fn add_camera(&self, camera: &Camera) -> Result<(), StoreError> {
        self.change(ADD_CAMERA, camera_columns(camera)).map(drop)
    }

    /// Keeps a camera at this place alone.
    ///
    /// # Errors
    /// SQLite's.
    pub fn move_camera(&self, camera: &Camera) -> Result<(), StoreError> {
        self.atomic(|| {
            self.change(REMOVE_CAMERA, (camera.name.as_str(),))?;
            self.add_camera(camera)
        })
    }

    /// Runs a statement; how many rows it changed.
    fn change(&self, sql: &str, values: impl Params) -> Result<usize, StoreError> {
        let prepared = self.database.prepare_cached(sql);
        self.named(prepared.and_then(|mut statement| statement.execute(values)))
    }

    /// The row that a query answers with.
    fn get<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let prepared = self.database.prepare_cached(sql);
        self.named(prepared.and_then(|mut query| query.query_row(values, read)))
    }

    /// The row that a query answers with, if there is one.
    fn find<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let prepared = self.database.prepare_cached(sql);
        self.named(prepared.and_then(|mut query| query.query_row(values, read).optional()))
    }

    /// The rows that a query answers with.
    fn list<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let prepared = self.database.prepare_cached(sql);
        self.named(prepared.and_then(|mut query| query.query_map(values, read)?.collect()))
    }

    /// What was done in the database. A fault names its file.
    fn named<T>(&self, done: rusqlite::Result<T>) -> Result<T, StoreError> {
        done.map_err(|error| StoreError::from(error).in_database(&self.database))
    }
}

fn camera(row: &Row<'_>, column: usize) -> rusqlite::Result<Camera> {
    Ok(Camera {
        name: text(row, column)?,
        position: text(row, column + 1)?,
    })
}

fn camera_columns(camera: &Camera) -> (&str, String) {
    (camera.name.as_str(), camera.position.to_string())
}

fn statement_id(row: &Row<'_>, column: usize) -> rusqlite::Result<StatementId> {
    row.get(column).map(StatementId::from_bytes)
}

fn leaf_index(row: &Row<'_>, column: usize) -> rusqlite::Result<LeafIndex> {
    let index = row.get(column).map(number)?;
    Ok(LeafIndex::new(index))
}

/// A place among few, from 0.
fn place(row: &Row<'_>, column: usize) -> rusqlite::Result<usize> {
    let place = row.get(column)?;
    usize::try_from(place).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, place))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Time> {
    let seconds = row.get(column)?;
    Time::from_unix(seconds).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, seconds))
}

/// The batch, index and path from `column` on; `None` if they are NULL.
fn anchor(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Anchor>> {
    let Some(batch) = row.get(column)? else {
        return Ok(None);
    };
    let path: Vec<u8> = row.get(column + 2)?;
    let (hashes, _) = path.as_chunks();
    Ok(Some(Anchor {
        batch: StatementId::from_bytes(batch),
        index: row.get(column + 1)?,
        path: hashes.iter().copied().map(Digest::from_bytes).collect(),
    }))
}

fn anchor_columns(anchor: &Anchor) -> (&[u8; 32], u32, Vec<u8>) {
    let path = anchor.path.iter().flat_map(Digest::as_bytes);
    (
        anchor.batch.as_bytes(),
        anchor.index,
        path.copied().collect(),
    )
}

/// A column of text, read by its type.
fn text<T: FromStr<Err: Display>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str().map_err(damaged(column))?;
    text.parse()
        .map_err(|error: T::Err| damaged(column)(FromSqlError::Other(error.to_string().into())))
}

fn damaged(column: usize) -> impl FnOnce(FromSqlError) -> rusqlite::Error {
    move |error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

mod position_text {
    use super::Position;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(place: &Position, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(place)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Position, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
