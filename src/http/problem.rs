//! Errors as the API tells them: mapped to RFC 9457 problem details here, and nowhere else.

use std::error::Error;
use std::time::Duration;

use askama::Template as _;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use http_body_util::LengthLimitError;
use tower_http::timeout::TimeoutError;

use super::door::Limit;
use super::{Path, Shared};
use crate::ledger::SubmitError;
use crate::seal::commitment::UPLOAD_SLOTS;
use crate::statement::refusal::{Class, Reason, Refusal};
use crate::store::StoreError;
use crate::store::vaults::VaultError;
use crate::web::problem::ProblemPage;
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
    /// More lines than one call may bring.
    TooManyLines {
        most: usize,
    },
    NotFound(&'static str),
    NoSuchMethod,
    /// A range that begins after the end of what has so many bytes.
    Unsatisfiable {
        length: u64,
    },
    /// Not the version of tus that is spoken here.
    TusVersion,
    /// A body of another media type than this.
    MediaType(&'static str),
    /// No request of HTTP, and the status that hyper has for it.
    Unparsed(u16),
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
    /// The witnesses have not confirmed the log's head since the start.
    Unconfirmed,
    /// Too few witnesses have a clock that agrees with the server's.
    ClockUnconfirmed,
    /// The witnesses have proved the log's head to be old.
    RolledBack,
    /// The rules panicked on the statement.
    Unjudgeable,
    /// Uploads leave the rest of the disk to the log.
    NearlyFull,
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

    /// How many seconds to wait before the same is tried again, if that may help: never none, since
    /// who asks again at once comes too early.
    pub(super) fn retry_after(&self) -> Option<u64> {
        let wait = match self {
            Self::TooMany { wait, .. } => *wait,
            Self::Busy | Self::ClockBehind => Duration::from_secs(1),
            Self::Unconfirmed | Self::ClockUnconfirmed => Duration::from_secs(5),
            Self::RolledBack => Duration::from_secs(600),
            _ => return None,
        };
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Some(seconds.max(1))
    }

    /// The problem to tell.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Refused(refusal) => refused(refusal),
            Self::BadRequest { member, accepted } => Problem {
                member: Some((*member).to_owned()),
                accepted: Some(accepted.clone()),
                ..of_call("bad-request", "")
            },
            Self::TooLarge { most } => Problem {
                accepted: Some(format!("at most {most} bytes")),
                ..of_call("too-large", "")
            },
            Self::TooManyLines { most } => Problem {
                accepted: Some(format!("at most {most} lines")),
                ..of_call("too-large", "")
            },
            Self::NotFound(what) => of_call("not-found", what),
            Self::NoSuchMethod => of_call("no-such-method", ""),
            Self::Unparsed(414 | 431) => Problem {
                accepted: Some("a head of at most 65,536 bytes and 100 fields".to_owned()),
                ..of_call("large-head", "")
            },
            Self::Unparsed(_) => of_call("not-http", ""),
            Self::TusVersion => Problem {
                member: Some("Tus-Resumable".to_owned()),
                accepted: Some(super::uploads::VERSION.to_owned()),
                ..of_call("tus-version", "")
            },
            Self::MediaType(accepted) => Problem {
                member: Some("Content-Type".to_owned()),
                accepted: Some((*accepted).to_owned()),
                ..of_call("media-type", "")
            },
            Self::Unsatisfiable { length } => Problem {
                member: Some("Range".to_owned()),
                accepted: Some(format!("a range of {length} bytes")),
                ..of_call("no-such-range", "")
            },
            Self::Signature(error) => of_call("call-signature", &error.to_string()),
            Self::Forbidden(why) => of_call("forbidden", why),
            Self::Conflict(code, detail) => of_call(code, detail),
            Self::Gone(what) => of_call("gone", what),
            Self::TooSlow => of_call(
                "too-slow",
                "it may have been carried out: ask, or send the same again",
            ),
            Self::TooMany { limit, .. } => {
                let detail = "wait as long as Retry-After says";
                plain(429, limit.code(), limit.title(), detail)
            }
            Self::Busy => of_call("busy", "wait as long as Retry-After says"),
            Self::ClockBehind => of_call("clock-behind", "it is waited out: try again later"),
            Self::Unconfirmed => of_call(
                "unconfirmed",
                "the server has started and waits for the log's witnesses: try again later",
            ),
            Self::ClockUnconfirmed => of_call(
                "clock-unconfirmed",
                "the clocks of too few of the log's witnesses agree with the server's: try again later",
            ),
            Self::RolledBack => of_call(
                "rolled-back",
                "its operator restores the newer log first; what was answered before stays logged",
            ),
            Self::Unjudgeable => of_call(
                "unjudgeable",
                "nothing was logged; the statement is refused until the operator restarts the server",
            ),
            Self::Quota(detail) => of_call("quota", detail),
            Self::NearlyFull => of_call(
                "insufficient-storage",
                "no upload is taken until the operator has made room; everything else goes on",
            ),
            Self::Internal => of_call("internal", "the operator's log says why"),
        }
    }
}

/// What calls are answered besides refusals of statements and limits: status, code, title.
const OF_CALLS: [(u16, &str, &str); 27] = [
    (400, "bad-request", "The call is not of the form required"),
    (400, "not-http", "This is no request of HTTP/1.1"),
    (
        401,
        "call-signature",
        "The call's signature is missing or not acceptable",
    ),
    (403, "forbidden", "This key may not do this"),
    (404, "not-found", "There is no such thing here"),
    (
        405,
        "no-such-method",
        "This address does not take this method",
    ),
    (408, "too-slow", "The call was not finished in time"),
    (409, "incomplete-clip", "A part of the clip is missing"),
    (409, "other-content", "Something else is stored there"),
    (
        409,
        "not-collected",
        "The agency's collection does not stand in the log yet",
    ),
    (
        409,
        "vault-conflict",
        "This conflicts with what the vault has",
    ),
    (409, "upload-offset", "The upload goes on elsewhere"),
    (410, "gone", "It was here, and has been deleted"),
    (412, "tus-version", "This version of tus is not spoken here"),
    (413, "too-large", "The body is too large"),
    (415, "media-type", "The body is of another media type"),
    (
        416,
        "no-such-range",
        "There are fewer bytes than the range says",
    ),
    (431, "large-head", "The head of the request is too large"),
    (500, "internal", "The server failed"),
    (
        500,
        "unjudgeable",
        "The server failed while it judged this statement",
    ),
    (503, "busy", "Too much waits already"),
    (503, "clock-behind", "The server's clock is behind the log"),
    (
        503,
        "unconfirmed",
        "The witnesses have not confirmed the log yet",
    ),
    (
        503,
        "clock-unconfirmed",
        "The witnesses do not confirm the server's clock",
    ),
    (503, "rolled-back", "The server has an old copy of its log"),
    (507, "quota", "The vault's quota does not hold this"),
    (
        507,
        "insufficient-storage",
        "The disk of the server is nearly full",
    ),
];

/// `GET /problems/{code}`: what a problem's type means.
pub async fn explain(
    State(service): Shared,
    Path(code): Path<String>,
) -> Result<Html<String>, ApiError> {
    let (status, code, title, advice) =
        explained(&code).ok_or(ApiError::NotFound("no such problem"))?;
    let origin = service.ledger.origin();
    let page = ProblemPage {
        origin,
        status,
        code,
        title,
        advice,
    };
    Ok(Html(page.render().map_err(ApiError::internal)?))
}

/// The status, code and title of a problem, and what whoever got it may do.
fn explained(code: &str) -> Option<(u16, &'static str, &'static str, &'static str)> {
    if let Some(reason) = Reason::of_code(code) {
        let class = of_class(reason.class());
        return Some((status(reason), reason.code(), reason.title(), class));
    }
    let limits = Limit::ALL.iter();
    let limits = limits.map(|limit| (429, limit.code(), limit.title()));
    let mut all = OF_CALLS.into_iter().chain(limits);
    let (status, code, title) = all.find(|(_, known, _)| *known == code)?;
    Some((status, code, title, of_status(status)))
}

fn of_class(class: Class) -> &'static str {
    match class {
        Class::Form => {
            "What was sent is no statement, and nothing was logged: the program that made it is at fault."
        }
        Class::Signature => {
            "Nothing was logged. The signatures are not those that the statement needs: look at whose keys sign, and whether the log has them."
        }
        Class::Rule => {
            "Nothing was logged. The statement is well formed, and the rules of the log do not permit it; auditors replay the same rules."
        }
        Class::Door => {
            "Nothing was logged. What the statement names is missing here, or does not fit it: mend that, and send the same statement again."
        }
        Class::Conflict => {
            "Nothing was logged. The statement comes after something that stands in the log already: look that up first."
        }
    }
}

fn of_status(status: u16) -> &'static str {
    match status {
        401 | 403 => "Nothing was done. The key, or what it signed, is not what this call needs.",
        408 => "The call may have been carried out all the same: ask, or send the same again.",
        410 => "It does not come back.",
        429 | 503 => {
            "Nothing was done. Wait as long as the answer’s Retry-After says, and send the same again."
        }
        507 => {
            "Nothing was stored. The operator has to make room: send the same again in some hours."
        }
        500 => "The fault is the server’s. Its operator’s log says why.",
        _ => "Nothing was done, and the same, sent again, gets the same answer.",
    }
}

fn of_call(code: &str, detail: &str) -> Problem {
    let known = OF_CALLS.iter().find(|(_, known, _)| *known == code);
    let (status, code, title) = known.expect("one of the above");
    plain(*status, code, title, detail)
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
    Problem {
        member: Some(refusal.member.clone()),
        ..plain(
            status(refusal.reason),
            refusal.reason.code(),
            refusal.reason.title(),
            &refusal.detail,
        )
    }
}

/// The status that tells a refusal.
fn status(reason: Reason) -> u16 {
    match (reason, reason.class()) {
        (Reason::TooLarge, _) => 413,
        (_, Class::Form) => 400,
        (_, Class::Signature) => 401,
        (_, Class::Rule | Class::Door) => 422,
        (_, Class::Conflict) => 409,
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
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Self::Unsatisfiable { length } = &self
            && let Ok(range) = HeaderValue::try_from(format!("bytes */{length}"))
        {
            headers.insert(header::CONTENT_RANGE, range);
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
            SubmitError::Unconfirmed => Self::Unconfirmed,
            SubmitError::ClockUnconfirmed => Self::ClockUnconfirmed,
            SubmitError::RolledBack => Self::RolledBack,
            SubmitError::Unjudgeable => Self::Unjudgeable,
            SubmitError::Stopped => Self::internal(error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::other_content(),
            StoreError::NearlyFull => Self::NearlyFull,
            StoreError::BadPath { .. } => Self::NotFound("no such object"),
            error if error.is_out_of_files() => Self::Busy,
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
            VaultError::HandedOverForgotten => {
                Self::Gone("it was handed over, and is no longer kept")
            }
            VaultError::QuotaBytes { .. }
            | VaultError::QuotaClips { .. }
            | VaultError::QuotaCommitments { .. }
            | VaultError::Waiting { .. } => Self::Quota(detail),
            VaultError::UnknownUpload => Self::NotFound("no such upload in this vault"),
            VaultError::UploadOffset { .. } => Self::Conflict("upload-offset", detail),
            VaultError::UploadBusy => Self::Busy,
            VaultError::NoCommitments => Self::BadRequest {
                member: "/commitments",
                accepted: format!("{UPLOAD_SLOTS} commitments: the clip was never complete"),
            },
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

/// The answer to a call whose handler panicked: the panic ends that call alone.
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // The panic itself is in the log, with its place.
    ApiError::Internal.into_response()
}

/// Every code that a problem can have.
pub fn codes() -> impl Iterator<Item = &'static str> {
    let reasons = Reason::ALL.iter().map(|reason| reason.code());
    let limits = Limit::ALL.iter().map(|limit| limit.code());
    reasons
        .chain(limits)
        .chain(OF_CALLS.iter().map(|(_, code, _)| *code))
}

/// Whatever is not routed.
pub async fn no_such_page() -> ApiError {
    ApiError::NotFound("no such address")
}

/// A routed address with another method.
pub async fn no_such_method() -> ApiError {
    ApiError::NoSuchMethod
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_handler_is_a_problem_of_that_call() {
        let panics = || async { panic!("injected") as () };
        let fine = || async { "fine" };
        let mut router = axum::Router::new()
            .route("/panics", axum::routing::get(panics))
            .route("/fine", axum::routing::get(fine))
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked));
        for (path, status, media_type) in [
            ("/panics", 500, MEDIA_TYPE),
            ("/fine", 200, "text/plain; charset=utf-8"),
        ] {
            let call = axum::http::Request::get(path).body(axum::body::Body::empty());
            let answer = tower::Service::call(&mut router, call.unwrap()).await;
            let answer = answer.unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()[header::CONTENT_TYPE], media_type);
        }
    }

    #[test]
    fn every_problem_is_explained_as_it_is_told() {
        let vault = [VaultError::UnknownCode, VaultError::MissingPart("body")];
        let mut told: Vec<ApiError> = vault.into_iter().map(ApiError::from).collect();
        told.extend(
            Reason::ALL
                .iter()
                .map(|reason| Refusal::new(*reason, "", "").into()),
        );
        told.extend(Limit::ALL.iter().map(|limit| ApiError::TooMany {
            limit: *limit,
            wait: Duration::ZERO,
        }));
        for problem in told.iter().map(ApiError::problem) {
            let code = problem.kind.strip_prefix("/problems/").unwrap();
            let (status, same, title, advice) = explained(code).unwrap();
            assert_eq!(
                (status, same, title),
                (problem.status, code, &*problem.title)
            );
            assert!(advice.ends_with('.'));
        }
        let reasons = Reason::ALL.iter().map(|reason| reason.code());
        let limits = Limit::ALL.iter().map(|limit| limit.code());
        let calls = OF_CALLS.iter().map(|(_, code, _)| *code);
        let all: Vec<_> = reasons.chain(limits).chain(calls).collect();
        // One code is both a statement's and a call's.
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len() - 1);
        assert_eq!(explained("none"), None);
    }
}
