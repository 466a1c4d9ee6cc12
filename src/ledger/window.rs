//! The end of the log, with what it rests on: enough to show it to people, at a cost that does not grow with
//! the log.
//!
//! A statement about another one comes after it. So the entries from some index on have all that the log says
//! about those of them that begin something: a request, a demand, a report. What they name and what came before
//! them (agreements, parties, limits) is looked up by id.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Ledger;
use crate::statement::facts::FactsExt as _;
use crate::statement::kinds::agreement::Agreement;
use crate::statement::kinds::benefit::Benefit;
use crate::statement::leaf::Leaf;
use crate::statement::words::PartyId;
use crate::statement::{Statement, parse_payload};
use crate::store::StoreError;
use crate::store::facts::JournalFacts;
use crate::store::journal::JournalRead;
use crate::store::sqlite::{Totals, WindowRows};
use crate::time::Time;

/// How much a window holds at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Entries of the end of the log that are not routine.
    pub entries: u64,
    /// Bytes of these entries; one more is read.
    pub bytes: usize,
    /// Statements of agreements before them.
    pub agreements: u64,
    /// Entries that are looked up by what others name.
    pub named: usize,
    /// Entries, routine or not, that are listed.
    pub listed: u64,
}

/// The end of a log.
#[derive(Debug)]
pub struct Window {
    /// How many entries the log has.
    pub size: u64,
    /// The index from which on all entries are here that are not routine; 0 if the whole log is.
    pub from: u64,
    /// The leaves of these entries and of those that they rest on, by index.
    pub entries: BTreeMap<u64, Vec<u8>>,
    /// The last leaves, routine or not.
    pub listed: BTreeMap<u64, Vec<u8>>,
    /// What the whole log comes to.
    pub totals: Totals,
}

impl Ledger {
    /// The window at the end of what the query index has gone through; totals at `now`.
    ///
    /// # Errors
    /// The journal's and the index's.
    pub fn window(&self, bounds: &Bounds, now: Time) -> Result<Window, StoreError> {
        let mut entries = bounds.entries;
        loop {
            let rows = self.queries.window(entries, bounds.agreements, now)?;
            match cut(&self.reader, rows, bounds)? {
                Cut::Window(window) => return Ok(window),
                // The index says what comes before fewer entries. Each turn asks for fewer.
                Cut::TooLarge { fit } => entries = fit,
            }
        }
    }
}

/// What came of cutting a window.
#[derive(Debug)]
enum Cut {
    Window(Window),
    /// So many of the last entries, fewer than were asked for, have the bytes of a window.
    TooLarge {
        fit: u64,
    },
}

/// Reads what `rows` name, and what that rests on.
fn cut(journal: &impl JournalRead, rows: WindowRows, bounds: &Bounds) -> Result<Cut, StoreError> {
    let mut entries = BTreeMap::new();
    let mut held = 0;
    for (index, fit) in rows.entries.iter().rev().zip(0..) {
        if held >= bounds.bytes {
            return Ok(Cut::TooLarge { fit });
        }
        if let Some(leaf) = journal.leaf(*index)? {
            held += leaf.len();
            entries.insert(*index, leaf);
        }
    }
    for index in &rows.before {
        if let Some(leaf) = journal.leaf(*index)? {
            entries.insert(*index, leaf);
        }
    }
    if rows.from > 0 {
        add_named(journal, &mut entries, bounds.named)?;
    }
    let first = rows.size.saturating_sub(bounds.listed);
    let listed = journal.leaves(first..rows.size)?;
    Ok(Cut::Window(Window {
        size: rows.size,
        from: rows.from,
        entries,
        listed: (first..).zip(listed).collect(),
        totals: rows.totals,
    }))
}

/// Adds the agreements and the parties that entries name, at most so many.
fn add_named(
    journal: &impl JournalRead,
    entries: &mut BTreeMap<u64, Vec<u8>>,
    most: usize,
) -> Result<(), StoreError> {
    let most = entries.len() + most;
    let mut due: Vec<u64> = entries.keys().copied().collect();
    let mut parties = BTreeSet::new();
    while let Some(index) = due.pop() {
        let Some(payload) = entries.get(&index).and_then(|leaf| payload(leaf)) else {
            continue;
        };
        if let Ok(value) = serde_json::from_slice(&payload) {
            collect_parties(&value, &mut parties);
        }
        let Some(before) = agreement_of(&payload) else {
            continue;
        };
        if let Some((index, leaf)) = journal.find_leaf(&before)?
            && entries.len() < most
            && entries.insert(index, leaf).is_none()
        {
            due.push(index);
        }
    }
    for party in parties {
        let fact = JournalFacts(journal).party(&party)?;
        let index = fact.map(|fact| fact.registered.as_u64());
        if let Some(index) = index.filter(|index| !entries.contains_key(index))
            && entries.len() < most
            && let Some(leaf) = journal.leaf(index)?
        {
            entries.insert(index, leaf);
        }
    }
    Ok(())
}

fn payload(leaf: &[u8]) -> Option<Vec<u8>> {
    Some(Leaf::parse(leaf).ok()?.envelope.payload)
}

/// The statement of an agreement that a statement continues or rests on.
fn agreement_of(payload: &[u8]) -> Option<crate::digest::StatementId> {
    match parse_payload(payload).ok()?.1 {
        Statement::Agreement(Agreement { previous, .. }) => previous,
        Statement::Benefit(Benefit { agreement, .. }) => agreement,
        Statement::AccessRequest(request) => Some(request.agreement),
        _ => None,
    }
}

/// Every text in a payload that can be the id of a party.
fn collect_parties(value: &Value, parties: &mut BTreeSet<PartyId>) {
    match value {
        Value::String(text) => parties.extend(text.parse::<PartyId>().ok()),
        Value::Array(values) => values.iter().for_each(|v| collect_parties(v, parties)),
        Value::Object(members) => members.values().for_each(|v| collect_parties(v, parties)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
