//! `/` and its style sheet: the ledger for everyone who reads it without a program.

use std::sync::{Arc, Mutex, PoisonError};

use askama::Template as _;
use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use super::{ApiError, Service, Shared};
use crate::ledger::Published;
use crate::statement::sealed::SealDigest;
use crate::store::journal::JournalRead as _;
use crate::store::objects::Objects as _;
use crate::web::page::Page;
use crate::web::{Overview, STYLE};

/// Entries that are read from the journal at once.
const PORTION: u64 = 1024;

/// What the page was made of last, so that each entry is read once and each checkpoint told once.
#[derive(Default)]
pub struct Kept(Mutex<Last>);

#[derive(Default)]
struct Last {
    overview: Overview,
    /// The checkpoint's note, and the page under it.
    page: Option<(Arc<[u8]>, String)>,
}

/// `GET /`.
pub async fn front(
    State(service): Shared,
    Extension(kept): Extension<Arc<Kept>>,
) -> Result<Response, ApiError> {
    let html = tokio::task::spawn_blocking(move || service.page(&kept))
        .await
        .map_err(ApiError::internal)??;
    Ok(([(header::CACHE_CONTROL, "no-cache")], Html(html)).into_response())
}

/// `GET /assets/whosaw.css`.
pub async fn style() -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, "text/css; charset=utf-8"),
            (header::CACHE_CONTROL, "public, max-age=300"),
        ],
        STYLE,
    )
}

impl Service {
    fn page(&self, kept: &Kept) -> Result<String, ApiError> {
        let mut kept = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Last { overview, page } = &mut *kept;
        // Read under the lock: the record never runs ahead of the checkpoint that is shown.
        let Some(published) = self.ledger.published() else {
            return self.render(overview, None);
        };
        if let Some((note, html)) = page
            && Arc::ptr_eq(note, &published.note)
        {
            return Ok(html.clone());
        }
        let size = published.checkpoint.size.as_u64();
        while overview.size() < size {
            let portion = overview.size()..size.min(overview.size() + PORTION);
            let leaves = self.ledger.journal().leaves(portion)?;
            if leaves.is_empty() {
                return Err(ApiError::internal(format!(
                    "entry {} is missing",
                    overview.size()
                )));
            }
            for leaf in leaves {
                overview.add(&leaf).map_err(ApiError::internal)?;
            }
        }
        let html = self.render(overview, Some(&published))?;
        *page = Some((published.note, html.clone()));
        Ok(html)
    }

    fn render(
        &self,
        overview: &Overview,
        published: Option<&Published>,
    ) -> Result<String, ApiError> {
        // One that was erased, or cannot be read now, is as one that nobody has.
        let attachments = |digest: &SealDigest| {
            let found = self.attachments.read(&digest.to_string());
            found.ok().flatten()
        };
        Page::of(overview, self.ledger.origin(), published, &attachments)
            .render()
            .map_err(ApiError::internal)
    }
}
