//! `ETag` and `304` (RFC 9110, sections 8.8.3 and 13.1.2): what has not changed is not sent again.
//!
//! A tag is the SHA-256 of the bytes, so it says what it seems to: two answers with one tag are the same. Files that
//! never change at their address have none; nobody asks for them twice.

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::encoding;

/// The largest body that is tagged, in bytes: it is in memory anyway.
const LARGEST: u64 = 1 << 20;

/// The tag of these bytes, in its quotes.
pub fn of(bytes: &[u8]) -> HeaderValue {
    let digest = encoding::hex(&Sha256::digest(bytes)[..16]);
    HeaderValue::try_from(format!("\"{digest}\"")).expect("hexadecimal digits in quotes")
}

/// Whether a request already has what this tag names.
pub fn is_known(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let known = request.get_all(header::IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|value| value.split(',')).map(str::trim);
    // The weak comparison, which this field asks for.
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/").as_bytes() == etag.as_bytes())
}

/// Tells that nothing has changed since, with the fields of the whole answer that go with that.
pub fn unchanged(mut response: Response) -> Response {
    *response.body_mut() = Body::empty();
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::CONTENT_TYPE);
    response
}

/// Tags what is read and is in memory.
pub async fn tag(request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let known: HeaderMap = {
        let known = request.headers().get_all(header::IF_NONE_MATCH).iter();
        known
            .map(|value| (header::IF_NONE_MATCH, value.clone()))
            .collect()
    };
    let response = next.run(request).await;
    let length = response.body().size_hint().exact();
    let tagged = response.headers().contains_key(header::ETAG);
    if response.status() != StatusCode::OK || tagged || length.is_none_or(|n| n > LARGEST) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, LARGEST as usize).await else {
        return super::ApiError::internal("a body in memory ended").into_response();
    };
    let etag = of(&bytes);
    let mut response = Response::from_parts(parts, bytes.into());
    let is_known = is_known(&known, &etag);
    response.headers_mut().insert(header::ETAG, etag);
    if is_known {
        unchanged(response)
    } else {
        response
    }
}
