//! The query index follows the log: the thread that goes through what is published, apart from the
//! write path, and fills what [`Ledger::open_requests`](super::Ledger::open_requests) and
//! [`Ledger::window`](super::Ledger::window) ask.

use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use super::{LedgerError, Published};
use crate::digest::StatementId;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::access_request::AccessRequest;
use crate::statement::kinds::agreement::{Agreement, Instrument, Status};
use crate::statement::kinds::commitment_batch::CommitmentBatch;
use crate::statement::kinds::decision::Decision;
use crate::statement::leaf::Leaf;
use crate::statement::{Statement, parse_payload};
use crate::store::StoreError;
use crate::store::journal::JournalRead;
use crate::store::sqlite::{AgreementRow, Queries, RequestRow, SqliteReader, ToldRow};

/// Entries gone through in one transaction.
const AT_ONCE: u64 = 1024;
/// How long it rests after each time: what was published meanwhile is one transaction.
const REST: Duration = Duration::from_millis(100);
/// How soon it is tried again after a failure: the log goes on without it.
const RETRY: Duration = Duration::from_secs(5);

/// Opens the index, and tells how many entries it has gone through.
///
/// # Errors
/// [`LedgerError::Inconsistent`] if it cannot be read, or has gone through more than there are.
pub(super) fn open(path: &Path, journal: &impl JournalRead) -> Result<(Queries, u64), LedgerError> {
    let fault = |why: String| LedgerError::Inconsistent(format!("{}: {why}", path.display()));
    let queries = Queries::open(path).map_err(|e| fault(e.to_string()))?;
    let known = queries.size().map_err(|e| fault(e.to_string()))?;
    match journal.size()? {
        size if known > size => Err(fault(format!(
            "knows {known} entries, of which {size} are there"
        ))),
        _ => Ok((queries, known)),
    }
}

pub(super) struct Indexer {
    pub queries: Queries,
    pub journal: SqliteReader,
    pub published: watch::Receiver<Option<Published>>,
    /// How many entries the index has.
    pub followed: watch::Sender<u64>,
}

impl Indexer {
    /// Follows until the publisher is gone.
    ///
    /// # Errors
    /// None: what fails is said and tried again.
    pub fn run(mut self) -> Result<(), LedgerError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|e| LedgerError::Inconsistent(format!("no timer to be had: {e}")))?;
        loop {
            let size = self.size();
            let followed = self.follow(size);
            if let Err(error) = &followed {
                tracing::warn!(%error, "the query index lags behind");
            }
            let rest = if followed.is_ok() { REST } else { RETRY };
            let gone = runtime.block_on(async {
                if followed.is_ok() && self.published.changed().await.is_err() {
                    return true;
                }
                // Only the publisher's end cuts a rest short.
                let ended = async { while self.published.changed().await.is_ok() {} };
                tokio::time::timeout(rest, ended).await.is_ok()
            });
            if gone {
                // What came during the last rest; more is followed at the next start.
                let size = self.size();
                if let Err(error) = self.follow_once(size) {
                    tracing::warn!(%error, "the query index lags behind");
                }
                return Ok(());
            }
        }
    }

    /// How many entries are published.
    fn size(&mut self) -> u64 {
        let published = self.published.borrow_and_update();
        published.as_ref().map_or(0, |p| p.checkpoint.size.as_u64())
    }

    /// Goes through what is published, unless the publisher goes away meanwhile.
    fn follow(&mut self, size: u64) -> Result<(), StoreError> {
        while self.queries.size()? < size && self.published.has_changed().is_ok() {
            self.follow_once(size)?;
        }
        Ok(())
    }

    /// Goes through the next entries up to `size`, in one transaction.
    fn follow_once(&mut self, size: u64) -> Result<(), StoreError> {
        let followed = self.queries.size()?;
        if followed >= size {
            return Ok(());
        }
        let end = size.min(followed + AT_ONCE);
        let leaves = self.journal.leaves(followed..end)?;
        let rows = rows(&leaves, followed);
        self.queries.follow(end, &rows)?;
        self.followed.send_replace(end);
        Ok(())
    }
}

/// What the index holds of entries, the first of which is at `first`.
pub(super) fn rows(leaves: &[Vec<u8>], first: u64) -> Vec<ToldRow> {
    let row = |(leaf, position): (&Vec<u8>, u64)| {
        let payload = Leaf::parse(leaf).ok()?.envelope.payload;
        // To find the type costs much less than to read a statement, and of most no more is kept.
        let kind = kind(&payload)?;
        if [CommitmentBatch::NAME, Decision::NAME].contains(&kind) {
            return None;
        }
        let mut row = ToldRow {
            position,
            kind,
            request: None,
            agreement: None,
        };
        if ![AccessRequest::NAME, Agreement::NAME].contains(&kind) {
            return Some(row);
        }
        match parse_payload(&payload).ok()?.1 {
            Statement::AccessRequest(request) => {
                row.request = Some(RequestRow {
                    position,
                    jurisdiction: request.jurisdiction,
                    deadline: request.deadline,
                });
            }
            Statement::Agreement(agreement) => {
                let ends = agreement.reason.is_some();
                row.agreement = Some(AgreementRow {
                    id: StatementId::of_payload(&payload),
                    previous: agreement.previous,
                    in_force: agreement.status == Status::InForce,
                    none: (!ends).then_some(agreement.instrument == Instrument::None),
                });
            }
            _ => {}
        }
        Some(row)
    };
    leaves.iter().zip(first..).filter_map(row).collect()
}

/// The type that a payload names.
fn kind(payload: &[u8]) -> Option<&'static str> {
    #[derive(serde::Deserialize)]
    struct Typed<'a> {
        #[serde(borrow, rename = "type")]
        kind: std::borrow::Cow<'a, str>,
    }
    let typed: Typed<'_> = serde_json::from_slice(payload).ok()?;
    Statement::NAMES
        .iter()
        .copied()
        .find(|name| *name == typed.kind)
}

#[cfg(test)]
mod tests;
