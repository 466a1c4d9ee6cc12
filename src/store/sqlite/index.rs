//! Where the last row of a key is, in a table that only grows.
//!
//! Keys are mostly random, and a B-tree of millions of random keys writes a page for each. So rows
//! come at the end of their table alone, and the place of a key is kept in memory while it is young.
//! Row numbers are cut into partitions of one length; of each that is past, an index is written
//! once: a [`Filter`] over its keys, and their places in buckets by fingerprint. It follows from
//! the rows alone, so an examiner can make it again.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::Connection;

use super::filter::{Filter, Fingerprint};
use super::{integer, number};
use crate::store::StoreError;

/// Rows to a partition.
pub(super) const PARTITION: usize = 1 << 20;
/// Buckets of a partition, by the first bits of the fingerprint; a full one has some 3 KiB.
const BUCKET_BITS: u32 = 12;
/// Bytes of a place in a bucket: half the fingerprint, and the number of the row in its partition.
const PLACE: usize = 12;

/// A table with keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Ids,
    Facts,
}

impl Table {
    /// Parts the fingerprints of the two, and tells their indexes apart on disk.
    pub(super) const fn tag(self) -> u8 {
        match self {
            Self::Ids => b'i',
            Self::Facts => b'f',
        }
    }

    /// Numbers and keys from a number on, in order.
    pub(super) const fn rows_from(self) -> &'static str {
        match self {
            Self::Ids => "SELECT position, id FROM ids WHERE position >= ?1 ORDER BY position",
            Self::Facts => "SELECT number, key FROM facts WHERE number >= ?1 ORDER BY number",
        }
    }

    /// The value of a row, if its key is this one.
    pub(super) const fn value_at(self) -> &'static str {
        match self {
            Self::Ids => "SELECT position FROM ids WHERE position = ?1 AND id = ?2",
            Self::Facts => "SELECT value FROM facts WHERE number = ?1 AND key = ?2",
        }
    }

    pub(super) fn fingerprint(self, key: &[u8]) -> Fingerprint {
        Fingerprint::of(self.tag(), key)
    }

    /// The rows of a partition's buckets.
    pub(super) fn buckets(self, part: u64) -> Range<u64> {
        let run = part * 2 + u64::from(self == Self::Facts);
        run << BUCKET_BITS..(run + 1) << BUCKET_BITS
    }
}

const FILTERS_FROM: &str =
    "SELECT part, filter FROM filters WHERE of = ?1 AND part >= ?2 ORDER BY part";
const BUCKET: &str = "SELECT places FROM buckets WHERE number = ?1";
const ADD_FILTER: &str = "INSERT INTO filters (of, part, filter) VALUES (?1, ?2, ?3)";
const ADD_BUCKET: &str = "INSERT INTO buckets (number, places) VALUES (?1, ?2)";

/// The index of a table. A writer and its readers share it.
#[derive(Debug)]
pub(super) struct Index {
    table: Table,
    /// Rows to a partition.
    partition: usize,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Filters of the partitions whose index is written, from the first on.
    written: Vec<Filter>,
    /// Those after them that are past.
    past: Vec<Young>,
    /// The one that takes new rows.
    open: Young,
    /// Number of the next row.
    next: u64,
}

/// The last row of each key of a partition, counted from its first.
type Young = HashMap<Fingerprint, u32>;

impl Index {
    /// Of an empty table, cut into partitions of this length.
    pub(super) fn new(table: Table, partition: usize) -> Self {
        let state = RwLock::default();
        Self {
            table,
            partition,
            state,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of the row after the last.
    pub(super) fn next(&self) -> u64 {
        let state = self.read();
        state
            .next
            .max((state.written.len() * self.partition) as u64)
    }

    /// How many partitions are looked up on disk.
    #[cfg(test)]
    pub(super) fn written(&self) -> usize {
        self.read().written.len()
    }

    /// Takes in rows, ascending by number, that are durable.
    pub(super) fn remember(&self, rows: impl IntoIterator<Item = (u64, Fingerprint)>) {
        let mut state = self.write();
        for (row, key) in rows {
            self.insert(&mut state, row, key);
        }
    }

    fn insert(&self, state: &mut State, row: u64, key: Fingerprint) {
        let length = self.partition as u64;
        while (state.written.len() + state.past.len()) as u64 != row / length {
            let past = std::mem::take(&mut state.open);
            state.past.push(past);
        }
        state.open.insert(key, (row % length) as u32);
        state.next = row + 1;
    }

    /// Takes in what the table and its index have and this does not.
    ///
    /// # Errors
    /// A damaged filter; SQLite's.
    pub(super) fn follow(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut state = self.write();
        let state = &mut *state;
        let tag = self.table.tag();
        let mut filters = connection.prepare_cached(FILTERS_FROM)?;
        let mut rows = filters.query((tag, state.written.len() as i64))?;
        while let Some(row) = rows.next()? {
            let part = state.written.len();
            let filter = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let filter = Filter::from_bytes(self.partition, filter);
            let filter = filter.filter(|_| row.get(0) == Ok(part as i64));
            let damaged = || StoreError::Damaged(format!("the filter of partition {part}"));
            state.written.push(filter.ok_or_else(damaged)?);
            match state.past.is_empty() {
                true => state.open.clear(),
                false => drop(state.past.remove(0)),
            }
        }
        let first = (state.written.len() * self.partition) as u64;
        let mut statement = connection.prepare_cached(self.table.rows_from())?;
        let mut rows = statement.query((integer(state.next.max(first)),))?;
        while let Some(row) = rows.next()? {
            let key = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let key = self.table.fingerprint(key);
            self.insert(state, number(row.get(0)?), key);
        }
        Ok(())
    }

    /// Shows `look` the rows that may be the key's, the last first, until it finds something.
    ///
    /// # Errors
    /// SQLite's; those of `look`.
    pub(super) fn look_up<T>(
        &self,
        connection: &Connection,
        key: &[u8],
        mut look: impl FnMut(u64) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let key = self.table.fingerprint(key);
        let (young, older) = {
            let state = self.read();
            let parts = state.past.iter().chain([&state.open]).rev();
            let mut young = parts.zip((0..=state.past.len()).rev());
            let young = young.find_map(|(part, n)| {
                let row = part.get(&key)?;
                Some(((state.written.len() + n) * self.partition) as u64 + u64::from(*row))
            });
            let filters = state.written.iter().enumerate().rev();
            let older = filters.filter(|(_, filter)| filter.may_hold(key));
            (young, older.map(|(part, _)| part).collect::<Vec<_>>())
        };
        if let Some(row) = young
            && let Some(found) = look(row)?
        {
            return Ok(Some(found));
        }
        for part in older {
            let found = self.look_in(connection, part, key, &mut look)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Shows `look` the rows of a written partition whose fingerprints begin as this one, the last
    /// first. What it reads it reads while the bucket is open: locks are taken once for both.
    fn look_in<T>(
        &self,
        connection: &Connection,
        part: usize,
        key: Fingerprint,
        mut look: impl FnMut(u64) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let first = (part * self.partition) as u64;
        let mut statement = connection.prepare_cached(BUCKET)?;
        let mut bucket = statement.query((self.bucket(part as u64, key),))?;
        let Some(bucket) = bucket.next()? else {
            return Ok(None);
        };
        let places = bucket
            .get_ref(0)?
            .as_blob()
            .map_err(rusqlite::Error::from)?;
        let (places, _) = places.as_chunks();
        let places = places.iter().rev().map(decode_place);
        let mut of_key = places.filter(|(short, _)| *short == key.short());
        of_key
            .find_map(|(_, row)| look(first + u64::from(row)).transpose())
            .transpose()
    }

    /// Writes the indexes of the partitions that are past. Once they are durable, [`Written`] goes
    /// to [`Index::take_over`].
    ///
    /// # Errors
    /// SQLite's.
    pub(super) fn write_past(&self, connection: &Connection) -> Result<Written, StoreError> {
        let state = self.read();
        let mut filters = Vec::with_capacity(state.past.len());
        for (young, part) in state.past.iter().zip(state.written.len() as u64..) {
            let mut filter = Filter::new(self.partition);
            let mut keys: Vec<_> = young.iter().map(|(key, row)| (*key, *row)).collect();
            keys.sort_unstable();
            let mut add = connection.prepare_cached(ADD_BUCKET)?;
            let bucket = |(key, _): &(Fingerprint, u32)| self.bucket(part, *key);
            for keys in keys.chunk_by(|a, b| bucket(a) == bucket(b)) {
                let mut places = Vec::with_capacity(keys.len() * PLACE);
                for &(key, row) in keys {
                    filter.insert(key);
                    places.extend(key.short().to_be_bytes());
                    places.extend(row.to_be_bytes());
                }
                add.execute((bucket(&keys[0]), places))?;
            }
            let mut add = connection.prepare_cached(ADD_FILTER)?;
            add.execute((self.table.tag(), integer(part), filter.to_bytes()))?;
            filters.push(filter);
        }
        Ok(Written(filters))
    }

    /// The row of the bucket where a partition has a key's place.
    fn bucket(&self, part: u64, key: Fingerprint) -> i64 {
        let within = key.short() >> (u64::BITS - BUCKET_BITS);
        integer(self.table.buckets(part).start + within)
    }

    /// From now on reads from disk what was written.
    pub(super) fn take_over(&self, written: Written) {
        if !written.0.is_empty() {
            let mut state = self.write();
            state.past.drain(..written.0.len());
            state.written.extend(written.0);
        }
    }
}

/// Filters of partitions whose indexes were written.
#[must_use]
pub(super) struct Written(Vec<Filter>);

fn decode_place(place: &[u8; PLACE]) -> (u64, u32) {
    let (short, row) = place.split_at(8);
    let short = u64::from_be_bytes(short.try_into().expect("8 bytes"));
    (short, u32::from_be_bytes(row.try_into().expect("4 bytes")))
}
