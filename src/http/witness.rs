//! A witness's calls ([tlog-witness](https://c2sp.org/tlog-witness)): `add-checkpoint` and
//! `sign-subtree`; the checkpoints cosigned last and the evidence against logs; and two pages for the
//! people who run it. Submission and monitoring prefix are one.
//!
//! Whatever is refused is told in one line of plain text, as the specification's clients expect.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::digest::Digest;
use crate::logging;
use crate::party::witness::{CosignError, LogState, Witness};
use crate::store::StoreError;
use crate::time::Clock;
use crate::tlog::witness::{MAX_REQUEST, SIZE_TYPE, WitnessRefusal};

type Shared = State<(Arc<Witness>, Clock)>;

/// The longest that a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
const TEXT: &str = "text/plain; charset=utf-8";

/// A witness's routes.
pub fn router(witness: Arc<Witness>, clock: Clock) -> Router {
    let header =
        |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .route("/", get(front))
        .route("/healthz", get(health))
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/sign-subtree", post(sign_subtree))
        .route("/{origin}/checkpoint", get(checkpoint))
        .route("/{origin}/evidence", get(first_evidence))
        .route("/{origin}/evidence/{number}", get(evidence))
        .fallback(|| async { Failure::NotFound })
        .method_not_allowed_fallback(|| async { Failure::Method })
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(header(header::CACHE_CONTROL, "no-cache"))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(CatchPanicLayer::new())
        .with_state((witness, clock))
}

/// Whatever is answered but success.
enum Failure {
    Cosign(CosignError),
    NotFound,
    Method,
    TooLarge,
    Slow,
    /// The connection broke while the body came.
    Broken,
    /// No file descriptor was left.
    Busy,
    Internal,
}

impl Failure {
    fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "a call failed");
        Self::Internal
    }
}

impl From<CosignError> for Failure {
    fn from(error: CosignError) -> Self {
        match error {
            CosignError::Store(error) => error.into(),
            error => Self::Cosign(error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_out_of_files() {
            tracing::warn!(%error, "a call is refused: no file descriptor is left");
            return Self::Busy;
        }
        Self::internal(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Cosign(CosignError::Refused(WitnessRefusal::Conflict(size))) => {
                let kind = [(header::CONTENT_TYPE, SIZE_TYPE)];
                return (StatusCode::CONFLICT, kind, format!("{size}\n")).into_response();
            }
            Self::Cosign(error) => {
                let status = match &error {
                    CosignError::Refused(refusal) => refusal.status(),
                    CosignError::NoSubtrees => 404,
                    CosignError::Clock => 503,
                    CosignError::Store(_) => 500,
                };
                let status = StatusCode::from_u16(status).expect("a status of HTTP");
                (status, error.to_string())
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not found".to_owned()),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "this address does not take this method".to_owned(),
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a body has at most {MAX_REQUEST} bytes"),
            ),
            Self::Slow => (
                StatusCode::REQUEST_TIMEOUT,
                "the body came too slowly".to_owned(),
            ),
            Self::Broken => (
                StatusCode::BAD_REQUEST,
                "the body did not arrive".to_owned(),
            ),
            Self::Busy => {
                let wait = [(header::RETRY_AFTER, "1")];
                let text = "no file descriptor is left: try again in a second\n";
                return (StatusCode::SERVICE_UNAVAILABLE, wait, text).into_response();
            }
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the witness failed: its own log says why".to_owned(),
            ),
        };
        (status, format!("{text}\n")).into_response()
    }
}

/// A whole body, which came in time.
struct Submitted(Bytes);

impl<S: Send + Sync> FromRequest<S> for Submitted {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        // Who announces too much is told at once.
        if request.body().size_hint().lower() > MAX_REQUEST as u64 {
            return Err(Failure::TooLarge);
        }
        let body = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, state));
        match body.await {
            Ok(Ok(bytes)) => Ok(Self(bytes)),
            Ok(Err(refused)) if refused.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Failure::TooLarge)
            }
            Ok(Err(_)) => Err(Failure::Broken),
            Err(_) => Err(Failure::Slow),
        }
    }
}

async fn add_checkpoint(
    State((witness, clock)): Shared,
    Submitted(body): Submitted,
) -> Result<String, Failure> {
    // It waits for the disk. It is finished even if the client goes away.
    let call = move || witness.add_checkpoint(&body, clock.now());
    let lines = tokio::task::spawn_blocking(call).await;
    let lines = lines.map_err(Failure::internal)??;
    Ok(lines.iter().map(ToString::to_string).collect())
}

async fn sign_subtree(
    State((witness, _)): Shared,
    Submitted(body): Submitted,
) -> Result<String, Failure> {
    let line = tokio::task::spawn_blocking(move || witness.sign_subtree(&body)).await;
    Ok(line.map_err(Failure::internal)??.to_string())
}

fn text(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, TEXT)], bytes).into_response()
}

async fn checkpoint(
    State((witness, _)): Shared,
    origin: Result<Path<Digest>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(origin) = origin.map_err(|_| Failure::NotFound)?;
    let last = witness.last(&origin).ok_or(Failure::NotFound)?;
    Ok(text(last.note.to_bytes()))
}

async fn first_evidence(
    State((witness, _)): Shared,
    origin: Result<Path<Digest>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(origin) = origin.map_err(|_| Failure::NotFound)?;
    read_evidence(&witness, &origin, 1)
}

async fn evidence(
    State((witness, _)): Shared,
    path: Result<Path<(Digest, u8)>, PathRejection>,
) -> Result<Response, Failure> {
    let Path((origin, number)) = path.map_err(|_| Failure::NotFound)?;
    read_evidence(&witness, &origin, number)
}

fn read_evidence(witness: &Witness, origin: &Digest, number: u8) -> Result<Response, Failure> {
    let evidence = witness.evidence(origin, number)?;
    evidence.map(text).ok_or(Failure::NotFound)
}

/// `GET /`: who this is and what it has seen, for people.
async fn front(State((witness, _)): Shared) -> Result<Response, Failure> {
    let mut page = format!("{} witnesses transparency logs.\n\n", witness.name());
    page.push_str("Its keys:\n");
    for key in witness.verifiers() {
        let _ = writeln!(page, "  {key}");
    }
    page.push_str("\nIts logs, with the number of entries cosigned last:\n");
    for log in witness.logs()? {
        let _ = writeln!(page, "  {}", line(&log));
    }
    Ok(text(page.into_bytes()))
}

fn line(log: &LogState) -> String {
    let path = Digest::of(log.origin.as_str());
    let mut line = format!("{}  ", log.origin);
    match &log.last {
        None => line.push_str("not cosigned yet"),
        Some((checkpoint, at)) => {
            let _ = write!(line, "{} entries", checkpoint.size);
            if let Some(at) = at {
                let _ = write!(line, ", at {at}");
            }
        }
    }
    if !log.known {
        line.push_str(", no longer cosigned");
    }
    if log.last.is_some() {
        let _ = write!(line, "\n    /{path}/checkpoint");
    }
    if log.evidence > 0 {
        let _ = write!(line, "\n    IT SIGNED TWO HISTORIES: /{path}/evidence");
    }
    line
}

/// `GET /healthz`: the same for programs.
async fn health(State((witness, _)): Shared) -> Result<Response, Failure> {
    let log = |log: LogState| {
        let (checkpoint, at) = log.last.unzip();
        json!({
            "origin": log.origin.as_str(),
            "size": checkpoint.map(|checkpoint| checkpoint.size),
            "cosigned_at": at.flatten(),
            "evidence": log.evidence,
            "known": log.known,
        })
    };
    let logs: Vec<_> = witness.logs()?.into_iter().map(log).collect();
    let body = json!({
        "status": "ok",
        "name": witness.name().as_str(),
        "logs": logs,
        "log_lines_lost": logging::lost(),
    });
    Ok(Json(body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_without_a_file_descriptor_asks_to_be_asked_again() {
        let failed = |errno: rustix::io::Errno| {
            let path = "state".into();
            let source = errno.into();
            Failure::from(CosignError::Store(StoreError::Io { path, source })).into_response()
        };
        let full = failed(rustix::io::Errno::MFILE);
        assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(full.headers()[header::RETRY_AFTER], "1");
        let broken = failed(rustix::io::Errno::IO);
        assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
