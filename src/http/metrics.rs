//! `/metrics` in the OpenMetrics text format, which Prometheus reads.
//!
//! Figures say how many and how long, never who. Even so they are on a listener of their own, for
//! the operator alone: whoever may watch counts move from second to second, and sees a network
//! address next to them elsewhere, learns when a resident's call was refused, or that one was made.

use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::answers::Answers;
use super::door::Limit;
use super::health::Condition;
use super::vault::blocking;
use super::{ApiError, Service, Shared, problem};
use crate::logging;
use crate::memory;
use crate::time::Time;

/// The media type of OpenMetrics.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labelled = Family<[(&'static str, String); 1], Counter>;

/// What the server counts since its start.
#[derive(Debug)]
pub struct Metrics {
    admitted: Counter,
    refused: Labelled,
    limited: Labelled,
    pub(super) answers: Answers,
    /// Connections open now.
    pub(super) connections: Gauge,
    /// Connections that may be open at once.
    pub(super) connections_limit: Gauge,
}

impl Default for Metrics {
    /// Nothing is counted yet, and every series is there: an alarm on one that is absent would never
    /// come.
    fn default() -> Self {
        let (refused, limited) = (Labelled::default(), Labelled::default());
        for code in problem::codes() {
            let _ = refused.get_or_create(&[("reason", code.to_owned())]);
        }
        for limit in Limit::ALL {
            let _ = limited.get_or_create(&[("limit", limit.code().to_owned())]);
        }
        Self {
            admitted: Counter::default(),
            refused,
            limited,
            answers: Answers::default(),
            connections: Gauge::default(),
            connections_limit: Gauge::default(),
        }
    }
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
        registry.register(
            "connections_limit",
            "Connections that may be open at once",
            self.connections_limit.clone(),
        );
        self.answers.register(registry);
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
    let text = blocking(move || service.figures()).await?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}

impl Service {
    /// Every figure, as OpenMetrics text.
    fn figures(&self) -> Result<String, ApiError> {
        let mut own = Registry::with_prefix("whosaw");
        self.door.metrics().register(&mut own);
        self.ledger.metrics().register(&mut own);
        self.register_log(&mut own);
        self.register_batches(&mut own)?;
        self.register_health(&mut own);
        self.register_clock(&mut own);
        self.register_disks(&mut own);
        self.register_program(&mut own);
        let mut process = Registry::with_prefix("process");
        self.register_process(&mut process);
        let mut text = String::new();
        for registry in [&own, &process] {
            encode_registry(&mut text, registry).map_err(ApiError::internal)?;
        }
        encode_eof(&mut text).map_err(ApiError::internal)?;
        Ok(text)
    }

    fn register_log(&self, registry: &mut Registry) {
        let ledger = &self.ledger;
        let published = ledger.published();
        let size = published.as_ref().map(|p| p.checkpoint.size.as_u64());
        for (name, help, value) in [
            (
                "queue_length",
                "Statements that wait for the sequencer",
                ledger.queued() as u64,
            ),
            (
                "queue_limit",
                "Statements that may wait for the sequencer at once",
                ledger.queue_limit() as u64,
            ),
            (
                "log_size",
                "Entries that are durable",
                ledger.size().as_u64(),
            ),
            (
                "published_size",
                "Entries under the published checkpoint; 0: none is published",
                size.unwrap_or(0),
            ),
        ] {
            registry.register(name, help, gauge(value));
        }
        let clock = self.clock.now();
        let wait = ledger.waits_for_clock(clock);
        for (name, help, value) in [
            // A moment and not an age: it stays true however late it is read.
            (
                "published_timestamp",
                "When a quorum cosigned the published checkpoint, since 1970; 0: none is published",
                published.map_or(0, |published| {
                    // By this server's clock, which may be minutes from the witnesses'.
                    let came = published.came.map(|came| came.wall);
                    came.unwrap_or(published.at).unix()
                }),
            ),
            (
                "renew",
                "How often an unchanged checkpoint is cosigned anew",
                i64::try_from(ledger.renew().as_secs()).unwrap_or(i64::MAX),
            ),
            (
                "clock_wait",
                "How long the clock must be waited for until entries are logged again",
                wait.map_or(0, |until| until.seconds_since(clock)),
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, signed(value));
        }
    }

    fn register_batches(&self, registry: &mut Registry) -> Result<(), ApiError> {
        let batching = &self.batching;
        registry.register(
            "batches_logged",
            "Commitment batches that were logged",
            batching.logged.clone(),
        );
        registry.register(
            "batches_failed",
            "Attempts at a commitment batch that logged none",
            batching.failed.clone(),
        );
        registry.register(
            "batch_failing",
            "Whether the last attempt at a commitment batch logged none",
            gauge(u64::from(batching.failure().is_some())),
        );
        registry.register(
            "commitments_waiting",
            "Commitments that are in no logged batch yet",
            gauge(self.vaults.waiting_commitments()?),
        );
        registry.register(
            "batch_lists_lost",
            "Batches in the log whose lists of commitments are lost",
            gauge(self.vaults.lost_lists()?.len() as u64),
        );
        registry.register_with_unit(
            "last_batch_timestamp",
            "When the last commitment batch was logged, cut to the minute, since 1970; 0: never",
            Unit::Seconds,
            signed(self.last_batch().map_or(0, Time::unix)),
        );
        Ok(())
    }

    fn register_health(&self, registry: &mut Registry) {
        let conditions = Family::<[(&'static str, &'static str); 1], Gauge>::default();
        let mut ready = true;
        for condition in Condition::ALL {
            let holds = self.detail_of(condition).is_some();
            ready &= !holds;
            let of = [("condition", condition.code())];
            conditions.get_or_create(&of).set(i64::from(holds));
        }
        registry.register(
            "condition",
            "Whether a condition holds that must not: see /readyz",
            conditions,
        );
        registry.register(
            "ready",
            "Whether no such condition holds",
            gauge(ready.into()),
        );
    }

    fn register_clock(&self, registry: &mut Registry) {
        let state = self.ledger.clock_state();
        let offsets = Family::<[(&'static str, String); 1], Gauge<f64, AtomicU64>>::default();
        for (witness, offset) in state.offsets {
            let seconds = offset.map_or(f64::NAN, |seconds| seconds as f64);
            offsets.get_or_create(&[("witness", witness)]).set(seconds);
        }
        registry.register(
            "clock_confirmed",
            "Whether witnesses whose clocks agree with the server's make a quorum",
            gauge(state.confirmed.into()),
        );
        registry.register_with_unit(
            "witness_clock_offset",
            "How far the witness's clock is ahead of the server's; NaN until it has answered",
            Unit::Seconds,
            offsets,
        );
    }

    fn register_disks(&self, registry: &mut Registry) {
        let figure = || Family::<[(&'static str, &'static str); 1], Gauge>::default();
        let (free, size, reserve) = (figure(), figure(), figure());
        for (name, volume) in self.volumes() {
            let of = [("volume", name)];
            let space = volume.space().ok();
            for (figure, bytes) in [
                (&free, space.map_or(0, |space| space.free)),
                (&size, space.map_or(0, |space| space.size)),
                (&reserve, volume.reserve()),
            ] {
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                figure.get_or_create(&of).set(bytes);
            }
        }
        for (name, help, figure) in [
            ("disk_free", "Free on the volume of this name", free),
            ("disk_size", "The size of the volume", size),
            ("disk_reserve", "What uploads must leave free", reserve),
        ] {
            registry.register_with_unit(name, help, Unit::Bytes, figure);
        }
    }

    fn register_program(&self, registry: &mut Registry) {
        let lost = Counter::<u64>::default();
        lost.inc_by(logging::lost());
        registry.register(
            "log_lines_lost",
            "Lines of the program's log that standard error did not take",
            lost,
        );
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Which program this is", build);
        if let Some(allocated) = memory::allocated() {
            for (name, help, bytes) in [
                ("allocated", "Bytes allocated and not freed", allocated.now),
                (
                    "allocated_peak",
                    "The most bytes that were allocated at once",
                    allocated.peak,
                ),
            ] {
                registry.register_with_unit(name, help, Unit::Bytes, gauge(bytes as u64));
            }
        }
    }

    /// What every program tells of itself, under the usual names.
    fn register_process(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "start_time",
            "When the server was started, since 1970",
            Unit::Seconds,
            signed(self.started.unix()),
        );
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        registry.register("open_fds", "Open file descriptors", gauge(open as u64));
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        registry.register(
            "max_fds",
            "File descriptors that may be open at once",
            gauge(most.unwrap_or(u64::MAX)),
        );
    }
}

fn gauge(value: u64) -> Gauge {
    signed(i64::try_from(value).unwrap_or(i64::MAX))
}

fn signed(value: i64) -> Gauge {
    let gauge = Gauge::<i64>::default();
    gauge.set(value);
    gauge
}
