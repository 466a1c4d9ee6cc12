//! `/`, `/entries`, their style sheet and icon: the ledger for everyone who reads it without a program.

use std::time::Duration;

use askama::Template as _;
use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;

use super::overview::Overviewed;
use super::statements::Shown;
use super::vault::blocking;
use super::{ApiError, Path, Service, Shared};
use crate::ledger::Published;
use crate::ledger::window::Bounds;
use crate::statement::facts::FactsExt as _;
use crate::statement::sealed::SealDigest;
use crate::store::facts::JournalFacts;
use crate::web::entry::EntryPage;
use crate::web::page::Page;
use crate::web::{ICON, Overview, SHOWN, STYLE};

/// What the page is made of. A card needs the entries about it too, which are several as a rule.
const BOUNDS: Bounds = Bounds {
    entries: 2048,
    bytes: 8 << 20,
    agreements: 512,
    named: 2048,
    listed: SHOWN as u64,
};
/// How long the page waits for the query index, which follows the log a moment later.
const INDEX_PATIENCE: Duration = Duration::from_secs(2);

/// `GET /`.
pub async fn front(
    State(service): Shared,
    Extension(kept): Overviewed,
) -> Result<Response, ApiError> {
    let html = match service.ledger.published() {
        None => service.render(&Overview::default(), None)?.into(),
        Some(published) => {
            let size = published.checkpoint.size.as_u64();
            service.ledger.wait_indexed(size, INDEX_PATIENCE).await;
            let make = {
                let (service, published) = (service.clone(), published.clone());
                move || service.page(published).map(Bytes::from)
            };
            kept.page.get(&published, make).await?
        }
    };
    Ok(([(header::CACHE_CONTROL, "no-cache")], Html(html)).into_response())
}

/// `GET /entries/{id}`.
pub async fn entry(
    State(service): Shared,
    Extension(kept): Overviewed,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let shown = Shown::find(service.clone(), kept, &id).await?;
    let html = blocking(move || service.entry_page(&shown)).await?;
    Ok(([(header::CACHE_CONTROL, "no-cache")], Html(html)).into_response())
}

/// `GET /assets/whosaw.css`.
pub async fn style() -> impl IntoResponse {
    asset("text/css; charset=utf-8", STYLE)
}

/// `GET /assets/icon.svg`.
pub async fn icon() -> impl IntoResponse {
    asset("image/svg+xml", ICON)
}

fn asset(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, text)
}

impl Service {
    fn entry_page(&self, shown: &Shown) -> Result<String, ApiError> {
        let facts = JournalFacts(self.ledger.journal());
        let fact = |digest: &SealDigest| facts.digest(digest).ok().flatten();
        let erased = |digest: &SealDigest| fact(digest).is_some_and(|fact| fact.erased.is_some());
        let Shown { index, leaf, .. } = shown;
        let compared = (shown.findings.as_slice(), shown.findings_size);
        let page = EntryPage::of(self.ledger.origin(), *index, leaf, compared, &erased);
        let page = page.map_err(ApiError::internal)?;
        page.render().map_err(ApiError::internal)
    }

    fn page(&self, published: Published) -> Result<String, ApiError> {
        let window = self.ledger.window(&BOUNDS, published.at)?;
        // What the index has gone through was published by now: no figure goes beyond the checkpoint shown.
        let published = self.ledger.published().unwrap_or(published);
        let overview = Overview::of(&window).map_err(ApiError::internal)?;
        self.render(&overview, Some(&published))
    }

    fn render(
        &self,
        overview: &Overview,
        published: Option<&Published>,
    ) -> Result<String, ApiError> {
        let attachments = |digest: &SealDigest| self.published_attachment(digest);
        Page::of(overview, self.ledger.origin(), published, &attachments)
            .render()
            .map_err(ApiError::internal)
    }
}
