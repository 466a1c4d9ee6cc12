//! Which reads scripts of any site may make (the Fetch standard's CORS protocol).
//!
//! What is public is public to a page of another site too: it may verify the log in a browser. Nothing here goes
//! by cookies, so `*` gives away no one's rights. Signed calls are no business of other sites' scripts.

use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// Whether what is read at a path is open to scripts of other sites.
pub type Open = fn(&str) -> bool;

/// The methods that read.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");
/// The fields that a script may send beside those that all may.
const ACCEPTED: HeaderValue = HeaderValue::from_static("If-None-Match, If-Range, Range");
/// The fields of an answer that a script may see beside those that all may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Accept-Ranges, Content-Digest, Content-Range, ETag, Retry-After, Signature, Signature-Input, Whosaw-Opening",
);
/// How long a browser keeps the answer to a preflight: what most keep at most.
const A_DAY: HeaderValue = HeaderValue::from_static("86400");

/// What the ledger shows to everybody: all but vaults.
pub fn of_ledger(path: &str) -> bool {
    !path.starts_with("/vault/")
}

/// Nothing is open.
pub fn none(_: &str) -> bool {
    false
}

/// Answers a browser that asks whether a script may make a call; `None` for every other request, and for calls that
/// are no open reads.
pub fn preflight<B>(request: &Request<B>, open: Open) -> Option<Response> {
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
    let reads = asked.is_some_and(|asked| asked == "GET" || asked == "HEAD");
    if request.method() != Method::OPTIONS || !reads || !open(request.uri().path()) {
        return None;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    allow(headers);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ACCEPTED);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, A_DAY);
    Some(response)
}

/// Whether the answer to a request is shown to scripts of other sites.
pub fn is_open<B>(request: &Request<B>, open: Open) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && open(request.uri().path())
}

/// Shows an answer to scripts of other sites.
pub fn show(headers: &mut HeaderMap) {
    allow(headers);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

fn allow(headers: &mut HeaderMap) {
    let all = HeaderValue::from_static("*");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, all);
}
