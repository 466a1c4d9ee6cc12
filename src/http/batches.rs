//! `/batches/{id}`, and the task that makes batches: once a period, empty or not.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use ed25519_dalek::SigningKey;

use super::{ApiError, Path, Service, Shared};
use crate::ledger::SubmitError;
use crate::random;
use crate::seal::batch::Batch;
use crate::seal::commitment::Commitment;
use crate::statement::facts::{FactsExt as _, Whole};
use crate::statement::kinds::commitment_batch::{CommitmentBatch, SIZES};
use crate::statement::refusal::Reason;
use crate::statement::words::PartyId;
use crate::statement::{Author, Head, Signed, sign};
use crate::store::facts::JournalFacts;
use crate::store::objects::Objects as _;
use crate::store::vaults::PreparedBatch;

/// `GET /batches/{id}`.
pub async fn read(State(service): Shared, Path(id): Path<String>) -> Result<Response, ApiError> {
    let missing = || ApiError::NotFound("no such batch in this log");
    let id = super::statements::statement_id(&id)?;
    service.ledger.find_published(&id)?.ok_or_else(missing)?;
    let bytes = service.batches.read(&id.to_string())?.ok_or_else(missing)?;
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

/// Makes commitment batches for a running service.
pub struct Batcher {
    pub service: Arc<Service>,
    /// The operator's officer key.
    pub key: SigningKey,
    pub operator: PartyId,
}

impl Batcher {
    /// Makes a batch each period, and keeps house at least as often, until cancelled.
    pub async fn run(self) {
        loop {
            let mut left = self.period().unwrap_or(Duration::from_secs(60));
            while !left.is_zero() {
                self.keep_house().await;
                let rest = left.min(HOUSEKEEPING);
                tokio::time::sleep(rest).await;
                left -= rest;
            }
            if self.service.ledger.closed().is_some() {
                continue;
            }
            match self.batch().await {
                Ok(()) => {}
                // The limits in force changed, or the last one is from this very minute.
                Err(ApiError::Refused(refusal)) if refusal.reason == Reason::TooSoon => {
                    tracing::info!(%refusal, "no batch this time");
                }
                Err(ApiError::Refused(refusal)) => tracing::warn!(%refusal, "no batch this time"),
                Err(error) => tracing::warn!(?error, "no batch this time"),
            }
        }
    }

    async fn keep_house(&self) {
        let service = self.service.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || service.keep_house()).await {
            tracing::error!(%error, "housekeeping ended");
        }
    }

    /// The period that the limits in force declare.
    fn period(&self) -> Option<Duration> {
        let facts = JournalFacts(self.service.ledger.journal());
        let now = self.service.clock.now();
        let declared = facts.limits(&Whole).ok()??;
        let limits = declared.iter().rfind(|d| d.effective_from <= now)?;
        Some(Duration::from_secs(limits.limits.batch_seconds.into()))
    }

    /// Logs what was prepared before a crash, or what has come since.
    async fn batch(&self) -> Result<(), ApiError> {
        let vaults = &self.service.vaults;
        let prepared = match vaults.prepared_batch()? {
            Some(prepared) => prepared,
            None => self.prepare()?,
        };
        let signed = Signed::read(&prepared.statement)?;
        match self.service.ledger.submit(signed, ()).await {
            Ok(_) => Ok(vaults.batch_logged(prepared.id)?),
            Err(SubmitError::Refused(refusal)) => {
                vaults.batch_refused(prepared.id)?;
                self.service.batches.remove(&prepared.id.to_string())?;
                Err(refusal.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A signed batch of all that waits, durable with its list before it is submitted.
    fn prepare(&self) -> Result<PreparedBatch, ApiError> {
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
        let envelope = sign(&head, &statement.into(), &[&self.key]);
        let signed = Signed::from_envelope(envelope)?;
        let list: Vec<[u8; 32]> = batch.commitments().iter().map(|c| *c.as_bytes()).collect();
        let prepared = PreparedBatch {
            id: signed.id,
            statement: signed.envelope.to_json(),
            commitments: list,
        };
        self.service
            .batches
            .create(&signed.id.to_string(), &prepared.commitments.concat())?;
        vaults.seal_batch(&prepared)?;
        Ok(prepared)
    }
}
