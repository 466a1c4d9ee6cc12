//! What the published log says together, kept in step with it: for the page, and for the findings
//! beside each statement.
//!
//! `GET /api/v1/findings` is here too. Readers who believe nobody compute all of it themselves, with
//! `whosaw log findings`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

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
const A_FEW: u64 = 4 * PORTION;
/// What takes longer to make than this is not made anew for each checkpoint.
const DEAR: Duration = Duration::from_millis(100);
/// Of all time, so much goes to making it at most: one part in so many.
const SHARE: u32 = 10;

/// The overview, so that each entry is read once, and what was made of it last.
#[derive(Default)]
pub struct Kept(Mutex<Last>);

/// Handlers' access to it.
pub type Overviewed = Extension<Arc<Kept>>;

#[derive(Default)]
pub struct Last {
    pub overview: Overview,
    pub page: Made<String>,
    found: Made<Arc<Found>>,
}

/// Something made of the overview under a checkpoint.
pub struct Made<T> {
    made: Option<T>,
    /// The checkpoint's note.
    under: Option<Arc<[u8]>>,
    at: Instant,
    took: Duration,
}

impl<T> Default for Made<T> {
    fn default() -> Self {
        Self {
            made: None,
            under: None,
            at: Instant::now(),
            took: Duration::ZERO,
        }
    }
}

impl<T: Clone> Made<T> {
    /// It, if it is as new as it need be: made under the checkpoint, or so dear that it is not made
    /// for each one.
    pub fn as_it_is(&self, published: &Published) -> Option<T> {
        let same = |note: &Arc<[u8]>| Arc::ptr_eq(note, &published.note);
        let resting = self.took > DEAR && self.at.elapsed() < self.took * SHARE;
        (resting || self.under.as_ref().is_some_and(same))
            .then(|| self.made.clone())
            .flatten()
    }

    /// Makes it under the checkpoint.
    pub fn make<E>(
        &mut self,
        published: &Published,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let since = Instant::now();
        let made = make()?;
        self.made = Some(made.clone());
        self.under = Some(published.note.clone());
        self.at = Instant::now();
        self.took = since.elapsed();
        Ok(made)
    }
}

#[derive(Default)]
struct Found {
    all: Vec<Finding>,
    about: HashMap<StatementId, Vec<usize>>,
    /// How many entries they rest on.
    size: u64,
    /// The answer with all of them.
    json: Bytes,
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

    /// The findings, after reading no more than `most` entries: those of before, as long as that
    /// is not enough.
    fn found(
        &mut self,
        service: &Service,
        published: &Published,
        most: u64,
    ) -> Result<Arc<Found>, ApiError> {
        if let Some(found) = self.found.as_it_is(published) {
            return Ok(found);
        }
        self.catch_up(service, published, most)?;
        let overview = &self.overview;
        if overview.size() < published.checkpoint.size.as_u64() {
            return Ok(self.found.made.clone().unwrap_or_default());
        }
        self.found.make(published, || {
            let attachments = |digest: &SealDigest| service.published_attachment(digest);
            let all = findings(overview.record(), published.at, &attachments);
            let mut about: HashMap<StatementId, Vec<usize>> = HashMap::new();
            for (place, finding) in all.iter().enumerate() {
                about.entry(finding.about).or_default().push(place);
            }
            let answer = Findings {
                size: overview.size(),
                at: Some(published.at),
                findings: all,
            };
            let json = serde_json::to_vec(&answer).map_err(ApiError::internal)?;
            Ok(Arc::new(Found {
                all: answer.findings,
                about,
                size: answer.size,
                json: json.into(),
            }))
        })
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
        let found = last.found(self, &published, A_FEW)?;
        let places = found.about.get(id).into_iter().flatten();
        let about = places.map(|place| found.all[*place].clone()).collect();
        Ok((about, found.size))
    }

    fn all_findings(&self, kept: &Kept) -> Result<Bytes, ApiError> {
        let mut last = kept.lock();
        match self.ledger.published() {
            Some(published) => Ok(last.found(self, &published, u64::MAX)?.json.clone()),
            None => {
                let none = serde_json::to_vec(&Findings::default());
                Ok(none.map_err(ApiError::internal)?.into())
            }
        }
    }
}

/// `GET /api/v1/findings`.
pub async fn findings_of_all(
    State(service): Shared,
    Extension(kept): Overviewed,
) -> Result<impl IntoResponse, ApiError> {
    let found = tokio::task::spawn_blocking(move || service.all_findings(&kept));
    let json = found.await.map_err(ApiError::internal)??;
    Ok(([(header::CONTENT_TYPE, "application/json")], json))
}
