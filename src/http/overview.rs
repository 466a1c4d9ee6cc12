//! What the published log says together, kept in step with it: for the page, and for the findings
//! beside each statement.
//!
//! `GET /api/v1/findings` is here too. Readers who believe nobody compute all of it themselves, with
//! `whosaw log findings`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::{Extension, Json};

use super::{ApiError, Service, Shared};
use crate::digest::StatementId;
use crate::ledger::Published;
use crate::record::findings::{Finding, findings};
use crate::statement::sealed::SealDigest;
use crate::store::journal::JournalRead as _;
use crate::store::objects::Objects as _;
use crate::web::Overview;
use crate::wire::statements::Findings;

/// Entries that are read from the journal at once.
const PORTION: u64 = 1024;
/// Entries that the answer about one statement waits for, at most.
pub const A_FEW: u64 = 4 * PORTION;

/// The overview, so that each entry is read once, and what was made of it last.
#[derive(Default)]
pub struct Kept(Mutex<Last>);

/// Handlers' access to it.
pub type Overviewed = Extension<Arc<Kept>>;

#[derive(Default)]
pub struct Last {
    pub overview: Overview,
    /// The checkpoint's note, and the page under it.
    pub page: Option<(Arc<[u8]>, String)>,
    /// The checkpoint's note, and the findings under it, in their order and by statement.
    found: Option<(Arc<[u8]>, Arc<Found>)>,
}

#[derive(Default)]
struct Found {
    all: Vec<Finding>,
    about: HashMap<StatementId, Vec<usize>>,
}

impl Kept {
    /// Alone with it: the overview never runs ahead of the checkpoint that is shown.
    pub fn lock(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Last {
    /// Reads entries up to `published`, but no more than `most`.
    pub fn catch_up(
        &mut self,
        service: &Service,
        published: &Published,
        most: u64,
    ) -> Result<(), ApiError> {
        let overview = &mut self.overview;
        let size = published.checkpoint.size.as_u64();
        let size = size.min(overview.size().saturating_add(most));
        while overview.size() < size {
            let portion = overview.size()..size.min(overview.size() + PORTION);
            let leaves = service.ledger.journal().leaves(portion)?;
            if leaves.is_empty() {
                let missing = format!("entry {} is missing", overview.size());
                return Err(ApiError::internal(missing));
            }
            for leaf in leaves {
                overview.add(&leaf).map_err(ApiError::internal)?;
            }
        }
        Ok(())
    }

    fn found(&mut self, service: &Service, published: &Published) -> Arc<Found> {
        if let Some((note, found)) = &self.found
            && Arc::ptr_eq(note, &published.note)
        {
            return found.clone();
        }
        let attachments = |digest: &SealDigest| service.published_attachment(digest);
        let all = findings(self.overview.record(), published.at, &attachments);
        let mut about: HashMap<StatementId, Vec<usize>> = HashMap::new();
        for (place, finding) in all.iter().enumerate() {
            about.entry(finding.about).or_default().push(place);
        }
        let found = Arc::new(Found { all, about });
        // What was found on the way to the checkpoint is not what is found under it.
        if self.overview.size() == published.checkpoint.size.as_u64() {
            self.found = Some((published.note.clone(), found.clone()));
        }
        found
    }
}

impl Service {
    /// An attachment's bytes. One that was erased, or cannot be read now, is as one that nobody has.
    pub(super) fn published_attachment(&self, digest: &SealDigest) -> Option<Vec<u8>> {
        let found = self.attachments.read(&digest.to_string());
        found.ok().flatten()
    }

    /// The findings about one statement, and how many entries they rest on. The first to ask about a
    /// long log does not wait for all of it.
    pub(super) fn findings_about(
        &self,
        kept: &Kept,
        id: &StatementId,
    ) -> Result<(Vec<Finding>, u64), ApiError> {
        let mut last = kept.lock();
        let Some(published) = self.ledger.published() else {
            return Ok((Vec::new(), 0));
        };
        last.catch_up(self, &published, A_FEW)?;
        let found = last.found(self, &published);
        let places = found.about.get(id).into_iter().flatten();
        let about = places.map(|place| found.all[*place].clone()).collect();
        Ok((about, last.overview.size()))
    }

    fn all_findings(&self, kept: &Kept) -> Result<Findings, ApiError> {
        let mut last = kept.lock();
        let Some(published) = self.ledger.published() else {
            return Ok(Findings::default());
        };
        last.catch_up(self, &published, u64::MAX)?;
        Ok(Findings {
            size: last.overview.size(),
            at: Some(published.at),
            findings: last.found(self, &published).all.clone(),
        })
    }
}

/// `GET /api/v1/findings`.
pub async fn findings_of_all(
    State(service): Shared,
    Extension(kept): Overviewed,
) -> Result<Json<Findings>, ApiError> {
    let found = tokio::task::spawn_blocking(move || service.all_findings(&kept));
    Ok(Json(found.await.map_err(ApiError::internal)??))
}
