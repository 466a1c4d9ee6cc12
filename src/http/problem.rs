//! Errors as the API tells them: mapped to RFC 9457 problem details here, and nowhere else.

use std::error::Error;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use tower_http::timeout::TimeoutError;

use super::door::Limit;
use crate::ledger::SubmitError;
use crate::statement::refusal::{Class, Reason, Refusal};
use crate::store::StoreError;
use crate::store::vaults::VaultError;
use crate::wire::problem::{MEDIA_TYPE, Problem};
use crate::wire::signature::SignatureError;

/// Everything that an API call can answer but success.
#[derive(Debug)]
pub enum ApiError {
    Refused(Refusal),
    /// A body or path that is not of the form required: the member at fault, and what is accepted.
    BadRequest {
        member: &'static str,
        accepted: String,
    },
    TooLarge {
        most: u64,
    },
    NotFound(&'static str),
    NoSuchMethod,
    /// The call's own signature.
    Signature(SignatureError),
    /// The signature is fine, and the key may not do this.
    Forbidden(&'static str),
    Conflict(&'static str, String),
    Gone(&'static str),
    /// Neither the call nor its answer was finished in time.
    TooSlow,
    /// A limit of the door, and how long until it lets the caller in again.
    TooMany {
        limit: Limit,
        wait: Duration,
    },
    Busy,
    ClockBehind,
    Quota(String),
    /// Ours: logged with its cause, told without it.
    Internal,
}

impl ApiError {
    /// A failure of this server; `cause` goes to the operator's log alone.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a call failed");
        Self::Internal
    }

    /// Why a body was not read to its end; `most` is what its reader takes, in bytes.
    pub fn unread(error: &(dyn Error + 'static), most: usize) -> Self {
        let causes = || std::iter::successors(Some(error), |cause: &&'_ _| Error::source(*cause));
        if causes().any(|cause| cause.is::<LengthLimitError>()) {
            return Self::TooLarge { most: most as u64 };
        }
        if causes().any(|cause| cause.is::<TimeoutError>()) {
            return Self::TooSlow;
        }
        Self::BadRequest {
            member: "body",
            accepted: "as many bytes as Content-Length says".to_owned(),
        }
    }

    /// Other bytes than those sent are stored under their name.
    pub fn other_content() -> Self {
        Self::Conflict("other-content", "other bytes are stored there".to_owned())
    }

    /// How long to wait before the same is tried again, if that may help.
    fn wait(&self) -> Option<Duration> {
        match self {
            Self::TooMany { wait, .. } => Some(*wait),
            Self::Busy | Self::ClockBehind => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The problem to tell.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Refused(refusal) => refused(refusal),
            Self::BadRequest { member, accepted } => Problem {
                member: Some((*member).to_owned()),
                accepted: Some(accepted.clone()),
                ..plain(
                    400,
                    "bad-request",
                    "The call is not of the form required",
                    "",
                )
            },
            Self::TooLarge { most } => Problem {
                accepted: Some(format!("at most {most} bytes")),
                ..plain(413, "too-large", "The body is too large", "")
            },
            Self::NotFound(what) => plain(404, "not-found", "There is no such thing here", what),
            Self::NoSuchMethod => plain(
                405,
                "no-such-method",
                "This address does not take this method",
                "",
            ),
            Self::Signature(error) => plain(
                401,
                "call-signature",
                "The call's signature is missing or not acceptable",
                &error.to_string(),
            ),
            Self::Forbidden(why) => plain(403, "forbidden", "This key may not do this", why),
            Self::Conflict(code, detail) => {
                plain(409, code, "This conflicts with what is there", detail)
            }
            Self::Gone(what) => plain(410, "gone", "It was here, and has been deleted", what),
            Self::TooSlow => plain(
                408,
                "too-slow",
                "The call was not finished in time",
                "it may have been carried out: ask, or send the same again",
            ),
            Self::TooMany { limit, .. } => plain(
                429,
                limit.code(),
                limit.title(),
                "wait as long as Retry-After says",
            ),
            Self::Busy => plain(
                503,
                "busy",
                "Too much waits already",
                "wait as long as Retry-After says",
            ),
            Self::ClockBehind => plain(
                503,
                "clock-behind",
                "The server's clock is behind the log",
                "it is waited out: try again later",
            ),
            Self::Quota(detail) => {
                plain(507, "quota", "The vault's quota does not hold this", detail)
            }
            Self::Internal => plain(
                500,
                "internal",
                "The server failed",
                "the operator's log says why",
            ),
        }
    }
}

fn plain(status: u16, code: &str, title: &str, detail: &str) -> Problem {
    Problem {
        kind: format!("/problems/{code}"),
        title: title.to_owned(),
        status,
        detail: detail.to_owned(),
        member: None,
        accepted: None,
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let status = match (refusal.reason, refusal.reason.class()) {
        (Reason::TooLarge, _) => 413,
        (_, Class::Form) => 400,
        (_, Class::Signature) => 401,
        (_, Class::Rule | Class::Door) => 422,
        (_, Class::Conflict) => 409,
    };
    Problem {
        member: Some(refusal.member.clone()),
        ..plain(
            status,
            refusal.reason.code(),
            refusal.reason.title(),
            &refusal.detail,
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        let status = StatusCode::from_u16(problem.status).expect("one of the above");
        let mut response = (status, Json(&problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.wait() {
            // Whole seconds, and never none: who asks again at once comes too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        if problem.status == 408 {
            // What is left of the request is not waited for.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => Self::Refused(refusal),
            SubmitError::Busy => Self::Busy,
            SubmitError::ClockBehind => Self::ClockBehind,
            SubmitError::Stopped => Self::internal(error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::other_content(),
            StoreError::BadPath { .. } => Self::NotFound("no such object"),
            error => Self::internal(error),
        }
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        let detail = error.to_string();
        match error {
            VaultError::Store(error) => error.into(),
            VaultError::UnknownCode => Self::NotFound("no such enrolment code"),
            VaultError::UnknownVault => Self::NotFound("no vault of this key"),
            VaultError::UnknownClip => Self::NotFound("no such clip in this vault"),
            VaultError::UnknownDisclosure => Self::NotFound("no such disclosure or clip"),
            VaultError::HeaderForgotten => Self::Gone("it was handed over, and is no longer kept"),
            VaultError::QuotaBytes { .. }
            | VaultError::QuotaClips { .. }
            | VaultError::QuotaCommitments { .. }
            | VaultError::Waiting { .. } => Self::Quota(detail),
            VaultError::MissingPart(_) => Self::Conflict("incomplete-clip", detail),
            _ => Self::Conflict("vault-conflict", detail),
        }
    }
}

impl From<SignatureError> for ApiError {
    fn from(error: SignatureError) -> Self {
        Self::Signature(error)
    }
}

/// Whatever is not routed.
pub async fn no_such_page() -> ApiError {
    ApiError::NotFound("no such address")
}

/// A routed address with another method.
pub async fn no_such_method() -> ApiError {
    ApiError::NoSuchMethod
}
