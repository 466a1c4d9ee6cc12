//! The short way: the log's own files under `/log/`, and proofs.
//!
//! Mirrors and devices read all of the former, and whoever submits asks for the latter, so they do not
//! pass the router and its layers: nothing is waited for and there is no body to bound. An address here
//! has one spelling, for files that of tlog-tiles; nothing is decoded.

use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

use super::{ApiError, Service, etag, statements};
use crate::ledger::Ledger;

/// Where proofs are, by the id of the statement.
const PROOFS: &str = "/api/v1/proofs/";

/// Answers what goes the short way.
pub fn answer<B>(service: &Service, request: &Request<B>) -> Option<Response> {
    let path = request.uri().path();
    let found = match (path.strip_prefix("/log/"), path.strip_prefix(PROOFS)) {
        (None, None) => return None,
        // The body of an answer to HEAD is measured and not sent.
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            Err(ApiError::NoSuchMethod)
        }
        (Some(path), _) => file(&service.ledger, path),
        (None, Some(id)) => statements::proof(service, id),
    };
    let mut response = found.unwrap_or_else(ApiError::into_response);
    let etag = response.headers().get(header::ETAG);
    if etag.is_some_and(|etag| etag::is_known(request.headers(), etag)) {
        response = etag::unchanged(response);
    }
    let refused = response.status() == StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    if refused {
        // RFC 9110, section 15.5.6: the router does so for what it routes.
        headers.insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    Some(response)
}

fn file(ledger: &Ledger, path: &str) -> Result<Response, ApiError> {
    let (bytes, media_type, caching) = if path == "checkpoint" {
        let bytes = match ledger.published_note() {
            Some(note) => Some(Bytes::from_owner(note)),
            // Published before this start, and not yet cosigned by the witnesses of today.
            None => ledger.log().checkpoint()?,
        };
        (bytes, "text/plain; charset=utf-8", "no-cache")
    } else {
        let immutable = "public, max-age=31536000, immutable";
        let bytes = ledger.log().file(path)?;
        (bytes, "application/octet-stream", immutable)
    };
    let bytes = bytes.ok_or(ApiError::NotFound("no such file in this log"))?;
    // What never changes needs none: nobody asks for it again.
    let etag = (path == "checkpoint").then(|| etag::of(&bytes));
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.extend(etag.map(|etag| (header::ETAG, etag)));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response)
}
