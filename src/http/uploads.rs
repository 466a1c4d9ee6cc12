//! Parts of clips in pieces: [tus 1.0](https://tus.io/protocols/resumable-upload) with its extensions `creation` and
//! `expiration` (PROTOCOL, section 9).
//!
//! Each call is signed, a `PATCH` with the offset that its piece goes to. A piece counts when it has arrived whole
//! and has the digest that was signed: what breaks off in the midst of one leaves the upload where it was.

use std::time::{Duration, SystemTime};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::vault::{MAX_SMALL_PART, Sink, blocking, content_length, part_place, receive};
use super::{ApiError, Path, Shared, auth};
use crate::store::clips::Part;
use crate::store::vaults::{Upload, VaultError};
use crate::wire::signature::{UPLOAD_LENGTH, UPLOAD_OFFSET};

/// The version of tus that is spoken here.
pub const VERSION: &str = "1.0.0";
/// The field that says so.
pub const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
/// The media type of a piece.
const PIECE_TYPE: &str = "application/offset+octet-stream";

/// `OPTIONS /vault/v1/clips/{clip}/{part}`: what of tus is spoken.
pub async fn options() -> Response {
    let headers = [
        ("tus-version", VERSION),
        ("tus-extension", "creation,expiration"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// `POST /vault/v1/clips/{clip}/{part}`: begins an upload, or says how far it is.
pub async fn begin(
    State(service): Shared,
    Path((clip, part)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let (vault, caller) = service.callers_vault(&parts)?;
    check_version(&parts.headers)?;
    let place = part_place(vault.id, &clip, &part)?;
    let length = number(
        &parts.headers,
        UPLOAD_LENGTH,
        "the part's length in bytes, at least 1",
    )?;
    if place.part != Part::Body && length > MAX_SMALL_PART {
        return Err(ApiError::TooLarge {
            most: MAX_SMALL_PART,
        });
    }
    let body = axum::body::to_bytes(body, 0).await;
    caller.check_body(&body.map_err(|error| ApiError::unread(&error, 0))?)?;
    let path = parts.uri.path().to_owned();
    let (upload, known) = blocking(move || {
        let known = service.clips.upload(&place)?.is_some();
        if !known {
            service.check_open()?;
        }
        Ok((service.clips.begin_upload(place, length)?, known))
    })
    .await?;
    let status = if known {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let mut response = answer(status, &upload, None)?;
    let location = HeaderValue::try_from(path).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// `HEAD /vault/v1/clips/{clip}/{part}`: how far an upload is.
pub async fn offset(
    State(service): Shared,
    Path((clip, part)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let (vault, _) = service.callers_vault(&parts)?;
    let place = part_place(vault.id, &clip, &part)?;
    let found = blocking(move || Ok(service.clips.upload(&place)?)).await?;
    let (upload, left) = found.ok_or(VaultError::UnknownUpload)?;
    answer(StatusCode::OK, &upload, Some(left))
}

/// `PATCH /vault/v1/clips/{clip}/{part}`: a piece of a part.
pub async fn piece(
    State(service): Shared,
    Path((clip, part)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let (vault, caller) = service.callers_vault(&parts)?;
    check_version(&parts.headers)?;
    if auth::text(&parts.headers, header::CONTENT_TYPE.as_str()) != Some(PIECE_TYPE) {
        return Err(ApiError::MediaType(PIECE_TYPE));
    }
    let place = part_place(vault.id, &clip, &part)?;
    let offset = number(
        &parts.headers,
        UPLOAD_OFFSET,
        "the offset that the piece goes to",
    )?;
    let length = content_length(&parts)?;
    let _place = service.admit_body(&parts, &caller)?;
    let clips = service.clips.clone();
    let opened = blocking(move || Ok(Sink::Piece(clips.resume(place, offset, length)?))).await?;
    let (sink, digest) = receive(opened, body, length).await?;
    caller.check_digest(digest)?;
    let upload = blocking(move || match sink {
        Sink::Piece(piece) => Ok(piece.keep(length)?),
        _ => Err(ApiError::internal("a piece went elsewhere")),
    });
    answer(StatusCode::NO_CONTENT, &upload.await?, None)
}

fn answer(
    status: StatusCode,
    upload: &Upload,
    left: Option<Duration>,
) -> Result<Response, ApiError> {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(upload.arrived));
    headers.insert(UPLOAD_LENGTH, HeaderValue::from(upload.length));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if upload.arrived < upload.length {
        let left = left.unwrap_or(crate::store::clips::INCOMPLETE);
        let expires = httpdate::fmt_http_date(SystemTime::now() + left);
        let expires = HeaderValue::try_from(expires).map_err(ApiError::internal)?;
        headers.insert(EXPIRES, expires);
    }
    Ok(response)
}

fn check_version(headers: &HeaderMap) -> Result<(), ApiError> {
    match auth::text(headers, RESUMABLE.as_str()) {
        Some(VERSION) => Ok(()),
        _ => Err(ApiError::TusVersion),
    }
}

fn number(
    headers: &HeaderMap,
    name: &'static str,
    accepted: &'static str,
) -> Result<u64, ApiError> {
    let value = auth::text(headers, name);
    let digits = value.filter(|value| value.bytes().all(|b| b.is_ascii_digit()));
    let number = digits.and_then(|value| value.parse().ok());
    let least = u64::from(name == UPLOAD_LENGTH);
    number
        .filter(|n| *n >= least)
        .ok_or_else(|| ApiError::BadRequest {
            member: name,
            accepted: accepted.to_owned(),
        })
}
