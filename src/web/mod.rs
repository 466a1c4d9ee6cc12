//! The public pages of a ledger: what its log says, gathered and put in plain words.
//!
//! [`Overview`] reads entries in order, each once, or a [`Window`] at the end of a long log; [`page::Page`] is what the page shows of it under a
//! checkpoint; [`entry::EntryPage`] is one entry's, [`problem::ProblemPage`] a problem's. Nothing here
//! verifies: entries come from the ledger's own journal, and the pages tell their readers how to check
//! for themselves. Not here: HTTP ([`crate::http`]).

pub mod entry;
pub mod page;
pub mod problem;
mod words;

use std::collections::VecDeque;

use crate::digest::StatementId;
use crate::ledger::window::Window;
use crate::record::{Record, Said};
use crate::statement::kinds::demand_response::DemandResponse;
use crate::statement::kinds::log_closed::LogClosed;
use crate::statement::leaf::Leaf;
use crate::statement::refusal::Refusal;
use crate::statement::{Statement, parse_payload};
use crate::store::sqlite::Totals;
use crate::time::Time;

/// The style sheet of the pages.
pub const STYLE: &str = include_str!("templates/whosaw.css");
/// What browsers show beside the page's title.
pub const ICON: &str = include_str!("templates/icon.svg");
/// Entries and requests that the page shows at most, the latest.
pub const SHOWN: usize = 200;

/// What the page is made of.
#[derive(Debug, Default)]
pub struct Overview {
    size: u64,
    record: Record,
    latest: VecDeque<Row>,
    /// When the log was closed, and how.
    closed: Option<(Time, LogClosed)>,
    /// The first entry that was read and not looked up: those before are told as far as these rest on them.
    from: u64,
    /// What the whole log comes to, if not all of it was read.
    totals: Option<Totals>,
}

/// An entry.
#[derive(Debug)]
struct Row {
    index: u64,
    id: StatementId,
    logged_at: Time,
    plain: String,
    /// Made by the clock rather than by anyone's decision.
    routine: bool,
}

impl Overview {
    /// How many entries it has read.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What the entries say together.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What the end of a log says.
    ///
    /// # Errors
    /// If a leaf is not of the form that every log's leaves have.
    pub fn of(window: &Window) -> Result<Self, Refusal> {
        let mut overview = Self {
            size: window.size,
            from: window.from,
            totals: Some(window.totals.clone()),
            ..Self::default()
        };
        for (index, leaf) in &window.entries {
            overview.read(Entry::of(*index, leaf)?);
        }
        for (index, leaf) in &window.listed {
            overview.list(&Entry::of(*index, leaf)?);
        }
        Ok(overview)
    }

    /// Whether entries were left out.
    pub fn is_partial(&self) -> bool {
        self.from > 0
    }

    /// Reads the next entry.
    ///
    /// # Errors
    /// If the leaf is not of the form that every log's leaves have.
    pub fn add(&mut self, leaf: &[u8]) -> Result<(), Refusal> {
        let entry = Entry::of(self.size, leaf)?;
        self.list(&entry);
        self.read(entry);
        self.size = self.size.saturating_add(1);
        Ok(())
    }

    fn list(&mut self, entry: &Entry) {
        if self.latest.len() == SHOWN {
            self.latest.pop_front();
        }
        self.latest.push_back(Row {
            index: entry.index,
            id: entry.id,
            logged_at: entry.logged_at,
            plain: entry.statement.plain(&entry.author.to_string()),
            routine: matches!(entry.statement, Statement::CommitmentBatch(_)),
        });
    }

    fn read(&mut self, entry: Entry) {
        match &entry.statement {
            Statement::LogClosed(closed) => {
                self.closed = Some((entry.logged_at, closed.clone()));
            }
            // The demand is in the log, and was left out: the answer is not one to nothing.
            Statement::DemandResponse(DemandResponse {
                demand: Some(demand),
                ..
            }) if self.is_partial() && self.record.index(demand).is_none() => return,
            _ => {}
        }
        self.record.read(entry);
    }
}

/// An entry that is read.
type Entry = Said;

impl Entry {
    fn of(index: u64, leaf: &[u8]) -> Result<Self, Refusal> {
        let leaf = Leaf::parse(leaf)?;
        let (head, statement) = parse_payload(&leaf.envelope.payload)?;
        Ok(Self {
            index,
            id: StatementId::of_payload(&leaf.envelope.payload),
            logged_at: leaf.logged_at,
            author: head.author,
            statement,
        })
    }
}
