//! `/livez`, `/readyz`, `/healthz`: whether the process lives, and whether the ledger does its work.
//!
//! Liveness and readiness are apart. Reads, proofs and vaults work while a witness is away or the disk
//! is nearly full, so a load balancer asks `/livez`, and `/readyz` is for an alarm. `/healthz` tells the
//! same as `/readyz` and always answers 200.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::{Service, Shared};
use crate::ledger::{Confirmation, Lack};
use crate::logging;
use crate::store::space::Volume;

/// What must not be so in a ledger that does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The log's key signed a checkpoint that this server's log does not lead to: nothing is sequenced.
    RolledBack,
    /// The witnesses have not confirmed the log since the start: nothing is sequenced yet.
    Unconfirmed,
    /// Too few witnesses have a clock that agrees with the server's: nothing is sequenced.
    ClockUnconfirmed,
    /// No checkpoint is public.
    Unpublished,
    /// The published checkpoint is older than three renewals, or than readers take: its quorum is gone.
    StaleCheckpoint,
    /// The clock shows a time before the last entry.
    ClockBehind,
    /// The last commitment batch was not logged.
    BatchesFail,
    /// A volume has less free than uploads must leave: they are refused.
    DiskLow,
}

impl Condition {
    /// Every condition, the one to name first where several hold first.
    pub const ALL: [Self; 8] = [
        Self::RolledBack,
        Self::Unconfirmed,
        Self::ClockUnconfirmed,
        Self::ClockBehind,
        Self::Unpublished,
        Self::StaleCheckpoint,
        Self::BatchesFail,
        Self::DiskLow,
    ];

    /// Its name in `/readyz` and in figures.
    pub fn code(self) -> &'static str {
        match self {
            Self::RolledBack => "rolled-back",
            Self::Unconfirmed => "unconfirmed",
            Self::ClockUnconfirmed => "clock-unconfirmed",
            Self::Unpublished => "unpublished",
            Self::StaleCheckpoint => "stale-checkpoint",
            Self::ClockBehind => "clock-behind",
            Self::BatchesFail => "batches-fail",
            Self::DiskLow => "disk-low",
        }
    }
}

/// `GET /livez`.
pub async fn live() -> Response {
    answer(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /readyz`.
pub async fn ready(State(service): Shared) -> Response {
    let report = service.health();
    let status = match report["ready"] == true {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    answer(status, &report)
}

/// `GET /healthz`.
pub async fn health(State(service): Shared) -> Response {
    answer(StatusCode::OK, &service.health())
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

impl Service {
    /// Why the condition holds now; `None` if it does not.
    pub(super) fn detail_of(&self, condition: Condition) -> Option<String> {
        let (ledger, now) = (&self.ledger, self.clock.now());
        match condition {
            Condition::RolledBack => match ledger.confirmation() {
                Confirmation::RolledBack(why) => Some(why),
                _ => None,
            },
            Condition::Unconfirmed => match ledger.confirmation() {
                Confirmation::Waiting(left) => {
                    let names: Vec<String> = left.into_iter().map(|(name, _)| name).collect();
                    Some(format!("waiting for {}", names.join(", ")))
                }
                _ => None,
            },
            // A closed log dates nothing any more.
            Condition::ClockUnconfirmed if ledger.closed().is_some() => None,
            Condition::ClockUnconfirmed => {
                let why = ledger.clock_state().fault()?;
                Some(format!("of the witnesses' clocks and this server's: {why}"))
            }
            Condition::Unpublished => {
                let unpublished = ledger.published().is_none();
                unpublished.then(|| "no quorum of the witnesses has cosigned yet".to_owned())
            }
            Condition::StaleCheckpoint => ledger.staleness(),
            Condition::ClockBehind => {
                let until = ledger.waits_for_clock(now)?;
                Some(format!(
                    "no statement is logged until the clock shows {until}"
                ))
            }
            Condition::BatchesFail => self.batching.failure(),
            Condition::DiskLow => {
                let low = self
                    .volumes()
                    .into_iter()
                    .find(|(_, volume)| volume.is_low());
                let (name, volume) = low?;
                let reserve = volume.reserve();
                Some(format!(
                    "less than {reserve} bytes are free for {name}: uploads get 507"
                ))
            }
        }
    }

    /// The volumes that uploads fill, by what is on them.
    pub(super) fn volumes(&self) -> [(&'static str, &Volume); 2] {
        [("data", &self.volume), ("clips", self.clips.volume())]
    }

    fn health(&self) -> Value {
        let ledger = &self.ledger;
        let check = |condition: Condition| match self.detail_of(condition) {
            None => json!({ "name": condition.code(), "ok": true }),
            Some(detail) => json!({ "name": condition.code(), "ok": false, "detail": detail }),
        };
        let checks: Vec<Value> = Condition::ALL.into_iter().map(check).collect();
        let failing = checks.iter().find(|check| check["ok"] == false);
        let (closed, published) = (ledger.closed(), ledger.published());
        let lacking = ledger.lacks_quorum();
        let status = match (failing, &closed) {
            (Some(check), _) => check["name"].clone(),
            (None, _) if lacking => json!("quorum-missing"),
            (None, Some(_)) => json!("closed"),
            (None, None) => json!("ok"),
        };
        let witness = |(name, said): &(String, Result<(), Lack>)| {
            let lack = said.as_ref().err();
            let said = lack.map_or_else(|| "cosigned".to_owned(), Lack::to_string);
            (name.clone(), json!(said))
        };
        let witnesses = published.iter().flat_map(|published| &published.witnesses);
        let witnesses: serde_json::Map<_, _> = witnesses.map(witness).collect();
        let clock = ledger.clock_state();
        let offsets = clock.offsets.into_iter();
        let offsets: serde_json::Map<_, _> = offsets.map(|(name, s)| (name, json!(s))).collect();
        let mut report = json!({
            "status": status,
            "ready": failing.is_none(),
            "checks": checks,
            "size": ledger.size(),
            "published": published.as_ref().map(|published| published.checkpoint.size),
            "published_at": published.as_ref().map(|published| published.at),
            "witnesses": witnesses,
            "clock": { "confirmed": clock.confirmed, "offsets": offsets },
            "log_lines_lost": logging::lost(),
        });
        match ledger.confirmation() {
            Confirmation::Confirmed => {}
            Confirmation::Waiting(left) => {
                let left = left.into_iter().map(|(name, why)| (name, json!(why)));
                report["unconfirmed"] = left.collect();
            }
            Confirmation::RolledBack(why) => report["rolled_back"] = json!(why),
        }
        if let Some(closed) = closed {
            report["closed"] = json!(*closed);
        }
        if let Some(until) = ledger.waits_for_clock(self.clock.now()) {
            report["waits_until"] = json!(until);
        }
        report
    }
}
