//! `/batches/{id}`, and the task that makes batches: once a period, empty or not.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use ed25519_dalek::SigningKey;
use prometheus_client::metrics::counter::Counter;

use super::{ApiError, Path, Service, Shared};
use crate::ledger::SubmitError;
use crate::random;
use crate::seal::batch::Batch;
use crate::seal::commitment::Commitment;
use crate::statement::facts::{FactsExt as _, Whole};
use crate::statement::kinds::commitment_batch::{CommitmentBatch, SIZES};
use crate::statement::refusal::Reason;
use crate::statement::words::{PartyId, Role};
use crate::statement::{Author, Head, Signed, sign};
use crate::store::facts::JournalFacts;
use crate::store::vaults::PreparedBatch;
use crate::time::Time;

/// `GET /batches/{id}`.
pub async fn read(State(service): Shared, Path(id): Path<String>) -> Result<Response, ApiError> {
    let missing = || ApiError::NotFound("no such batch in this log");
    let id = super::statements::statement_id(&id)?;
    service.ledger.find_published(&id)?.ok_or_else(missing)?;
    let bytes = service.batches.read(id)?.ok_or_else(missing)?;
    Ok((
        [
            (header::CONTENT_TYPE, "application/octet-stream"),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
        bytes,
    )
        .into_response())
}

/// The longest between two times of housekeeping.
const HOUSEKEEPING: Duration = Duration::from_secs(600);
/// How soon a batch that was not logged is tried again, unless its period is shorter.
const RETRY: Duration = Duration::from_secs(30);
/// The shortest wait after a batch that came too soon.
const SHORTEST: Duration = Duration::from_secs(1);

/// How the making of batches fares.
#[derive(Debug, Default)]
pub struct Batching {
    pub(super) logged: Counter,
    pub(super) failed: Counter,
    /// Why the last one was not logged.
    failing: Mutex<Option<Failure>>,
}

/// Why a batch was not logged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    /// A problem's code.
    code: String,
    detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail.is_empty() {
            true => f.write_str(&self.code),
            false => write!(f, "{}: {}", self.code, self.detail),
        }
    }
}

impl Failure {
    fn new(error: &ApiError) -> Self {
        let problem = error.problem();
        let code = problem.kind.rsplit('/').next().unwrap_or_default();
        Self {
            code: code.to_owned(),
            detail: problem.detail,
        }
    }
}

impl Batching {
    /// Why the last batch was not logged, if it was not.
    pub fn failure(&self) -> Option<String> {
        let failure = self.lock();
        failure.as_ref().map(|failure| failure.to_string())
    }

    /// Takes down what came of a batch, and logs what changed.
    fn note(&self, failure: Option<Failure>) {
        match &failure {
            None => self.logged.inc(),
            Some(_) => self.failed.inc(),
        };
        let mut last = self.lock();
        match (&*last, &failure) {
            (Some(_), None) => tracing::info!("batches are logged again"),
            (before, Some(Failure { code, detail }))
                if before.as_ref().is_none_or(|before| before.code != *code) =>
            {
                tracing::error!(code, detail, "a batch was not logged: commitments wait");
            }
            _ => {}
        }
        *last = failure;
    }

    /// The log is closed: no batch is due any more, so none fails.
    fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes commitment batches for a running service.
pub struct Batcher {
    service: Arc<Service>,
    operator: PartyId,
    /// The vaults' database is up to the log.
    recalled: bool,
}

impl Batcher {
    /// Brings the vaults' database up to the log. Call it before residents can reach the service: a commitment that
    /// comes later is taken for one that no batch in the log has. Blocks.
    pub fn new(service: Arc<Service>, operator: PartyId) -> Self {
        let recalled = service.recall_batches().is_ok();
        Self {
            service,
            operator,
            recalled,
        }
    }

    /// Makes a batch each period, and keeps house at least as often, until cancelled.
    pub async fn run(self) {
        let mut left = self.until_due();
        let mut recalled = self.recalled;
        loop {
            while !left.is_zero() {
                self.keep_house().await;
                let rest = left.min(HOUSEKEEPING);
                tokio::time::sleep(rest).await;
                left -= rest;
            }
            recalled = recalled || self.recall().await;
            left = match recalled {
                true => self.turn().await,
                false => RETRY,
            };
        }
    }

    /// Brings the vaults' database up to the log: whether it worked.
    async fn recall(&self) -> bool {
        let service = self.service.clone();
        let recalled = tokio::task::spawn_blocking(move || service.recall_batches()).await;
        match recalled {
            Ok(Ok(())) => true,
            Ok(Err(_)) | Err(_) => {
                tracing::error!("the log was not searched for batches: commitments wait");
                false
            }
        }
    }

    /// Makes a batch if the log takes one; how long until the next turn.
    async fn turn(&self) -> Duration {
        let (service, period) = (&self.service, self.period());
        if service.ledger.closed().is_some() {
            service.batching.end();
            return period;
        }
        let now = service.clock.now();
        let failure = match service.keys.current(Role::Officer, &service.ledger, now) {
            None => Failure {
                code: "no-signing-key".to_owned(),
                detail: "the log accepts no officer key of the operator's folder".to_owned(),
            },
            Some(key) => match self.batch(&key).await {
                Ok(()) => {
                    service.batching.note(None);
                    return period;
                }
                // The limits in force changed, or the last one is from this very minute.
                Err(ApiError::Refused(refusal)) if refusal.reason == Reason::TooSoon => {
                    return self.until_due().max(SHORTEST);
                }
                Err(error) => Failure::new(&error),
            },
        };
        service.batching.note(Some(failure));
        period.min(RETRY)
    }

    async fn keep_house(&self) {
        let service = self.service.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || service.keep_house()).await {
            tracing::error!(%error, "housekeeping ended");
        }
    }

    /// The period that the limits in force declare; a minute, if none are.
    fn period(&self) -> Duration {
        let facts = JournalFacts(self.service.ledger.journal());
        let now = self.service.clock.now();
        let declared = facts.limits(&Whole).ok().flatten().unwrap_or_default();
        let limits = declared.iter().rfind(|d| d.effective_from <= now);
        let seconds = limits.map_or(60, |limits| limits.limits.batch_seconds);
        Duration::from_secs(seconds.into())
    }

    /// How long until a period has passed since the last batch, whenever the server was started.
    fn until_due(&self) -> Duration {
        let period = self.period();
        let Some(last) = self.service.last_batch() else {
            return period;
        };
        let passed = self.service.clock.now().seconds_since(last).max(0);
        period.saturating_sub(Duration::from_secs(passed.unsigned_abs()))
    }

    /// Logs what was prepared before a crash, or what has come since.
    async fn batch(&self, key: &SigningKey) -> Result<(), ApiError> {
        if let Some(prepared) = self.service.vaults.prepared_batch()? {
            match self.submit(&prepared).await {
                // Its key was revoked meanwhile, for example: what it held waits again.
                Err(ApiError::Refused(refusal)) if refusal.reason != Reason::TooSoon => {
                    tracing::info!(%refusal, "a batch is made again");
                }
                done => return done,
            }
        }
        let prepared = self.prepare(key)?;
        self.submit(&prepared).await
    }

    async fn submit(&self, prepared: &PreparedBatch) -> Result<(), ApiError> {
        let vaults = &self.service.vaults;
        let signed = Signed::read(&prepared.statement)?;
        match self.service.ledger.submit(signed, ()).await {
            Ok(logged) => Ok(vaults.batch_logged(prepared.id, logged.index.as_u64() + 1)?),
            Err(SubmitError::Refused(refusal)) => {
                vaults.batch_refused(prepared.id)?;
                self.service.batches.remove(prepared.id)?;
                Err(refusal.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A signed batch of all that waits, durable with its list before it is submitted.
    fn prepare(&self, key: &SigningKey) -> Result<PreparedBatch, ApiError> {
        let vaults = &self.service.vaults;
        let commitments = vaults.pending_commitments(*SIZES.end())?;
        let commitments = commitments.into_iter().map(Commitment::from_bytes);
        let batch = Batch::new(commitments, random::bytes);
        let size = u32::try_from(batch.size()).map_err(ApiError::internal)?;
        let head = Head {
            log: self.service.ledger.origin().to_owned(),
            issued_at: self.service.clock.now().cut_to_minute(),
            author: Author::Issuer(self.operator.clone()),
        };
        let statement = CommitmentBatch {
            root: batch.root(),
            size,
        };
        let envelope = sign(&head, &statement.into(), &[key]);
        let signed = Signed::from_envelope(envelope)?;
        let list: Vec<[u8; 32]> = batch.commitments().iter().map(|c| *c.as_bytes()).collect();
        let prepared = PreparedBatch {
            id: signed.id,
            statement: signed.envelope.to_json(),
            commitments: list,
        };
        self.service
            .batches
            .create(signed.id, &prepared.commitments.concat())?;
        vaults.seal_batch(&prepared)?;
        Ok(prepared)
    }
}

impl Service {
    /// When the last commitment batch was logged, cut to the minute.
    pub(super) fn last_batch(&self) -> Option<Time> {
        let facts = JournalFacts(self.ledger.journal());
        facts.last_batch(&Whole).ok().flatten()
    }
}
