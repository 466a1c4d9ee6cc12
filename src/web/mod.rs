//! The public pages of a ledger: what its log says, gathered and put in plain words.
//!
//! [`Overview`] reads entries in order, each once; [`page::Page`] is what the page shows of it under a
//! checkpoint; [`entry::EntryPage`] is one entry's, [`problem::ProblemPage`] a problem's. Nothing here
//! verifies: entries come from the ledger's own journal, and the pages tell their readers how to check
//! for themselves. Not here: HTTP ([`crate::http`]).

pub mod entry;
pub mod page;
pub mod problem;
mod words;

use std::collections::VecDeque;

use crate::digest::StatementId;
use crate::record::{Record, Said};
use crate::statement::kinds::log_closed::LogClosed;
use crate::statement::leaf::Leaf;
use crate::statement::refusal::Refusal;
use crate::statement::{Statement, parse_payload};
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

    /// Reads the next entry.
    ///
    /// # Errors
    /// If the leaf is not of the form that every log's leaves have.
    pub fn add(&mut self, leaf: &[u8]) -> Result<(), Refusal> {
        let leaf = Leaf::parse(leaf)?;
        let (head, statement) = parse_payload(&leaf.envelope.payload)?;
        let id = StatementId::of_payload(&leaf.envelope.payload);
        if self.latest.len() == SHOWN {
            self.latest.pop_front();
        }
        self.latest.push_back(Row {
            index: self.size,
            id,
            logged_at: leaf.logged_at,
            plain: statement.plain(&head.author.to_string()),
            routine: matches!(statement, Statement::CommitmentBatch(_)),
        });
        if let Statement::LogClosed(closed) = &statement {
            self.closed = Some((leaf.logged_at, closed.clone()));
        }
        self.record.read(Said {
            index: self.size,
            id,
            logged_at: leaf.logged_at,
            author: head.author,
            statement,
        });
        self.size += 1;
        Ok(())
    }
}
