//! `/metrics` in the OpenMetrics text format, which Prometheus reads.
//!
//! Figures say how many and how long, never who. Even so they are on a listener of their own, for
//! the operator alone: whoever may watch counts move from second to second, and sees a network
//! address next to them elsewhere, learns when a resident's call was refused, or that one was made.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::door::Limit;
use super::{ApiError, Service, Shared};
use crate::logging;
use crate::memory;
use crate::time::Time;

/// The media type of OpenMetrics.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labelled = Family<[(&'static str, String); 1], Counter>;

/// What the server counts since its start.
#[derive(Debug, Default)]
pub struct Metrics {
    admitted: Counter,
    refused: Labelled,
    limited: Labelled,
    /// Connections open now.
    pub(super) connections: Gauge,
}

impl Metrics {
    /// Counts a statement by its answer.
    pub(super) fn answered<T>(&self, answer: &Result<T, ApiError>) {
        match answer {
            Ok(_) => self.admitted.inc(),
            Err(error) => {
                // Codes of problems are the program's own words: there is a bounded number.
                let kind = error.problem().kind;
                let reason = kind.rsplit('/').next().unwrap_or_default().to_owned();
                self.refused.get_or_create(&[("reason", reason)]).inc()
            }
        };
    }

    /// Counts somebody who has come to a limit.
    pub(super) fn limited(&self, limit: Limit) {
        let limit = limit.code().to_owned();
        self.limited.get_or_create(&[("limit", limit)]).inc();
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "statements_admitted",
            "Statements answered with success, known ones too",
            self.admitted.clone(),
        );
        registry.register(
            "statements_refused",
            "Statements answered with a problem, by its code",
            self.refused.clone(),
        );
        registry.register(
            "limited",
            "Callers who came to a limit, by its code",
            self.limited.clone(),
        );
        registry.register(
            "connections",
            "Connections open now",
            self.connections.clone(),
        );
    }
}

/// The routes of the operator's own listener.
pub fn router(service: std::sync::Arc<Service>) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .fallback(super::problem::no_such_page)
        .with_state(service)
}

/// `GET /metrics`.
async fn show(State(service): Shared) -> Result<Response, ApiError> {
    let mut text = String::new();
    encode(&mut text, &service.registry()).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}

impl Service {
    /// All that is counted, and what is so at this moment.
    fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("whosaw");
        self.door.metrics().register(&mut registry);
        self.ledger.metrics().register(&mut registry);
        let lost = Counter::<u64>::default();
        lost.inc_by(logging::lost());
        registry.register(
            "log_lines_lost",
            "Lines of the program's log that standard error did not take",
            lost,
        );
        registry.register(
            "batches_logged",
            "Commitment batches that were logged",
            self.batching.logged.clone(),
        );
        registry.register(
            "batches_failed",
            "Attempts at a commitment batch that logged none",
            self.batching.failed.clone(),
        );
        registry.register(
            "batch_failing",
            "Whether the last attempt at a commitment batch logged none",
            gauge(i64::from(self.batching.is_failing())),
        );
        registry.register_with_unit(
            "last_batch_timestamp",
            "When the last commitment batch was logged, cut to the minute; 0: never",
            Unit::Seconds,
            gauge(self.last_batch().map_or(0, Time::unix)),
        );
        let ledger = &self.ledger;
        let count = |n: u64| gauge(i64::try_from(n).unwrap_or(i64::MAX));
        let mut now = |name: &str, help: &str, value| registry.register(name, help, value);
        now(
            "queue_length",
            "Statements that wait for the sequencer",
            count(ledger.queued() as u64),
        );
        now(
            "log_size",
            "Entries that are durable",
            count(ledger.size().as_u64()),
        );
        if let Some(published) = ledger.published() {
            let size = published.checkpoint.size.as_u64();
            now(
                "published_size",
                "Entries under the published checkpoint",
                count(size),
            );
            // A moment and not an age: it stays true however late it is read.
            registry.register_with_unit(
                "published_timestamp",
                "When the published checkpoint was cosigned, since 1970",
                Unit::Seconds,
                gauge(published.at.unix()),
            );
        }
        if let Some(allocated) = memory::allocated() {
            for (name, help, bytes) in [
                ("allocated", "Bytes allocated and not freed", allocated.now),
                (
                    "allocated_peak",
                    "The most bytes that were allocated at once",
                    allocated.peak,
                ),
            ] {
                registry.register_with_unit(name, help, Unit::Bytes, count(bytes as u64));
            }
        }
        let clock = self.clock.now();
        let wait = ledger.waits_for_clock(clock);
        registry.register_with_unit(
            "clock_wait",
            "How long the clock must be waited for until entries are logged again",
            Unit::Seconds,
            gauge(wait.map_or(0, |until| until.seconds_since(clock))),
        );
        registry
    }
}

fn gauge(value: i64) -> Gauge {
    let gauge = Gauge::<i64>::default();
    gauge.set(value);
    gauge
}
