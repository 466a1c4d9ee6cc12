//! `/log/…`: the log's own files, as they lie on disk.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::{ApiError, Path, Shared};

/// `GET /log/{path}`.
pub async fn read(State(service): Shared, Path(path): Path<String>) -> Result<Response, ApiError> {
    let bytes = service
        .ledger
        .log()
        .read(&path)?
        .ok_or(ApiError::NotFound("no such file in this log"))?;
    let (media_type, caching) = match path.as_str() {
        "checkpoint" => ("text/plain; charset=utf-8", "no-cache"),
        _ => (
            "application/octet-stream",
            "public, max-age=31536000, immutable",
        ),
    };
    Ok((
        [
            (header::CONTENT_TYPE, media_type),
            (header::CACHE_CONTROL, caching),
        ],
        bytes,
    )
        .into_response())
}
