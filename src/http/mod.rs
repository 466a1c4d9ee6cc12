//! The server's face: axum handlers over the ledger, the attachments and the vaults.
//!
//! Each file is one room of the API of `docs/PROTOCOL.md`, sections 8 and 9. Errors become problem
//! details in `problem`, once. Not here: what may stand in the log ([`crate::statement::rules`]).

mod answers;
mod attachments;
mod auth;
mod batches;
mod bulk;
mod bundles;
mod connection;
mod connections;
mod cors;
mod disclosures;
mod door;
mod etag;
mod forwarded;
mod health;
mod keys;
mod limits;
mod listen;
mod lists;
pub mod metrics;
mod overview;
mod page;
mod problem;
mod ranges;
mod short;
mod stall;
mod statements;
mod uploads;
mod vault;
mod waiting;
pub mod witness;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::future::RouteFuture;
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio_util::either::Either;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::ledger::Ledger;
use crate::statement::envelope::MAX_ENVELOPE;
use crate::store::clips::Clips;
use crate::store::files::Files;
use crate::store::space::Volume;
use crate::store::vaults::Vaults;
use crate::time::{Clock, Time};
use crate::wire::signature::Nonces;

pub use batches::{Batcher, Batching};
pub use bundles::Bundles;
pub use disclosures::UnderWay;
pub use door::{Door, Limits};
pub use forwarded::ClientField;
pub use keys::SigningKeys;
pub use listen::{Listening, MAX_CONNECTIONS, listen};
pub use lists::Lists;
pub use problem::ApiError;
pub use waiting::Waiting;

/// How long a submitter waits for the witnesses before it is told to ask later.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest gap between two pieces of a body.
const BODY_GAP: Duration = Duration::from_secs(10);
/// The longest that a small call may take.
const CALL_TIME: Duration = Duration::from_secs(30);
/// The longest that one part of a clip may take to arrive.
const UPLOAD_TIME: Duration = Duration::from_secs(3600);
/// The largest JSON body but for a statement's own limit.
const JSON_BODY: usize = 256 * 1024;

/// What the handlers share.
pub struct Service {
    pub ledger: Ledger,
    /// `attachments/<digest>` with `<digest>.opening`.
    pub attachments: Files,
    /// Those of them that no statement names yet.
    pub waiting: Waiting,
    /// `batches/<statement id>`.
    pub batches: Lists,
    pub clips: Clips,
    /// The volume of the data folder, but for the clips'.
    pub volume: Volume,
    pub vaults: Arc<Vaults>,
    pub disclosures: UnderWay,
    pub clock: Clock,
    /// The values of `Host` under which this server is reached; signed calls name one of them.
    pub authorities: Vec<String>,
    /// Sign refusals and commitment batches.
    pub keys: SigningKeys,
    pub batching: Batching,
    pub nonces: Mutex<Nonces>,
    pub door: Arc<Door>,
    pub bundles: Bundles,
    /// When the server was started.
    pub started: Time,
}

impl Service {
    /// Deletes what nobody needs any more.
    fn keep_house(&self) {
        for result in [
            self.sweep_attachments(),
            self.clips.sweep().map_err(ApiError::from),
            self.forget_unlogged(),
            self.forget_handed_over(),
            self.find_lost_lists(),
        ] {
            if let Err(error) = result {
                tracing::warn!(?error, "housekeeping was not finished");
            }
        }
    }
}

/// Which paths show what is public to scripts of other sites: all but vaults.
pub fn open_to_all_sites(path: &str) -> bool {
    cors::of_ledger(path)
}

/// A handler's access to what all share.
pub type Shared = axum::extract::State<Arc<Service>>;

/// The variable parts of an address; where they are not of their form, there is no such address.
struct Path<T>(T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        match path {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(_) => Err(ApiError::NotFound("no such address")),
        }
    }
}

/// The whole server: what is asked for most by the short way, everything else by the router.
#[derive(Clone)]
pub struct App {
    service: Arc<Service>,
    router: Router,
}

impl App {
    /// Serves what `service` has.
    pub fn new(service: Arc<Service>) -> Self {
        let router = router(service.clone());
        Self { service, router }
    }
}

impl tower::Service<Request<Incoming>> for App {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // As the router, which is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let short = || short::answer(&self.service, &request);
        let answered = catch_unwind(AssertUnwindSafe(short));
        match answered.unwrap_or_else(|panic| Some(problem::panicked(panic))) {
            Some(answer) => Either::Left(ready(Ok(answer))),
            None => Either::Right(self.router.call(request)),
        }
    }
}

/// Answers with a problem what is not answered in `time`.
async fn within(time: Duration, request: axum::extract::Request, next: Next) -> Response {
    let answered = tokio::time::timeout(time, next.run(request)).await;
    answered.unwrap_or_else(|_| ApiError::TooSlow.into_response())
}

/// All routes but those of the short way.
fn router(service: Arc<Service>) -> Router {
    let uploads = Router::new()
        .route(
            "/vault/v1/clips/{clip}/{part}",
            put(vault::put_part)
                .get(vault::part)
                .post(uploads::begin)
                .head(uploads::offset)
                .patch(uploads::piece)
                .options(uploads::options),
        )
        .layer(SetResponseHeaderLayer::overriding(
            uploads::RESUMABLE,
            HeaderValue::from_static(uploads::VERSION),
        ))
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(|request, next| within(UPLOAD_TIME, request, next)));
    let attachments = Router::new()
        .route(
            "/attachments/{digest}",
            put(attachments::put).get(attachments::read),
        )
        .layer(DefaultBodyLimit::max(attachments::MAX_ATTACHMENT));
    let calls = Router::new()
        .route("/", get(page::front))
        .route("/entries/{id}", get(page::entry))
        .route("/problems/{code}", get(problem::explain))
        .route("/assets/whosaw.css", get(page::style))
        .route("/assets/icon.svg", get(page::icon))
        .route(
            "/api/v1/statements",
            post(statements::submit).layer(DefaultBodyLimit::max(MAX_ENVELOPE)),
        )
        .route("/api/v1/statements/{id}", get(statements::show))
        .route("/api/v1/findings", get(overview::findings_of_all))
        .route("/schemas/{file}", get(statements::schema))
        .route("/api/v1/instance", get(statements::instance))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/healthz", get(health::health))
        .route("/batches/{id}", get(batches::read))
        .route("/bundles/{jurisdiction}", get(bundles::read))
        .route("/published/{id}", get(disclosures::published))
        .route("/notices/{id}", get(bundles::notice))
        .route("/vault/v1/enrol", post(vault::enrol))
        .route("/vault/v1/vault", get(vault::describe))
        .route(
            "/vault/v1/notice-recipient",
            put(vault::put_notice_recipient),
        )
        .route(
            "/vault/v1/clips/{clip}",
            post(vault::complete).delete(vault::remove),
        )
        .route("/vault/v1/disclosures", post(disclosures::disclose))
        .route(
            "/vault/v1/disclosures/{id}/headers/{n}",
            put(disclosures::hand_over),
        )
        .route(
            "/vault/v1/disclosures/{id}/note",
            put(disclosures::hand_over_note).get(disclosures::collect_note),
        )
        .route(
            "/vault/v1/disclosures/{id}/clips/{n}",
            get(disclosures::collect),
        )
        .layer(DefaultBodyLimit::max(JSON_BODY))
        .layer(Extension(Arc::new(overview::Kept::default())))
        .merge(attachments)
        .layer(from_fn(etag::tag))
        .layer(from_fn(|request, next| within(CALL_TIME, request, next)));
    let header =
        |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .merge(calls)
        .merge(uploads)
        .fallback(problem::no_such_page)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(RequestBodyTimeoutLayer::new(BODY_GAP))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        .with_state(service)
}
