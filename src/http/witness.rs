//! A witness's two calls: `add-checkpoint`, and the checkpoint cosigned last.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::party::witness::{CosignError, Witness};
use crate::time::Clock;
use crate::tlog::witness::{MAX_REQUEST, SIZE_TYPE, WitnessRefusal};

type Shared = State<(Arc<Witness>, Clock)>;

/// The longest that a call may take.
const CALL_TIME: Duration = Duration::from_secs(10);

/// A witness's routes.
pub fn router(witness: Arc<Witness>, clock: Clock) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin}/checkpoint", get(checkpoint))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            CALL_TIME,
        ))
        .layer(CatchPanicLayer::new())
        .with_state((witness, clock))
}

async fn add_checkpoint(State((witness, clock)): Shared, body: Bytes) -> Response {
    // It waits for the disk.
    let cosigned =
        tokio::task::spawn_blocking(move || witness.add_checkpoint(&body, clock.now())).await;
    let refusal = match cosigned {
        Ok(Ok(signature)) => return signature.to_string().into_response(),
        Ok(Err(CosignError::Refused(refusal))) => refusal,
        Ok(Err(CosignError::Store(error))) => {
            tracing::error!(%error, "nothing was cosigned");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Err(error) => {
            tracing::error!(%error, "nothing was cosigned");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let status = StatusCode::from_u16(refusal.status()).expect("a status of the spec");
    match refusal {
        WitnessRefusal::Conflict(size) => (
            status,
            [(header::CONTENT_TYPE, SIZE_TYPE)],
            format!("{size}\n"),
        )
            .into_response(),
        refusal => (status, format!("{refusal}\n")).into_response(),
    }
}

async fn checkpoint(State((witness, _)): Shared, Path(origin): Path<String>) -> Response {
    let Ok(digest) = origin.parse() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match witness.last_note(&digest) {
        Ok(Some(note)) => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(%error, "a checkpoint was not read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
