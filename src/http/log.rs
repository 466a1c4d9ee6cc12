//! `/log/…`: the log's own files.
//!
//! Mirrors and devices read all of them, so they do not pass the router and its layers: nothing is
//! waited for and there is no body to bound. An address here has one spelling, that of tlog-tiles;
//! nothing is decoded.

use axum::http::{HeaderValue, Method, Request, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

use super::ApiError;
use crate::ledger::Ledger;

/// The path below `/log/` that a request asks for, if it does.
pub fn requested<B>(request: &Request<B>) -> Option<&str> {
    request.uri().path().strip_prefix("/log/")
}

/// Answers a request for `path` below `/log/`.
pub fn answer(ledger: &Ledger, method: &Method, path: &str) -> Response {
    let found = match *method {
        // The body of an answer to HEAD is measured and not sent.
        Method::GET | Method::HEAD => find(ledger, path),
        _ => Err(ApiError::NoSuchMethod),
    };
    let mut response = found.unwrap_or_else(ApiError::into_response);
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn find(ledger: &Ledger, path: &str) -> Result<Response, ApiError> {
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
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response)
}
