//! `/bundles/{jurisdiction}`: the attachments of all open requests, the same for every device.

use axum::Json;
use axum::extract::State;

use super::{ApiError, Path, Service, Shared};
use crate::digest::StatementId;
use crate::encoding;
use crate::statement::facts::{Fact, FactKey};
use crate::statement::leaf::Leaf;
use crate::statement::words::Jurisdiction;
use crate::statement::{Statement, parse_payload};
use crate::store::journal::JournalRead as _;
use crate::wire::statements::{Bundle, BundledAttachment, BundledRequest};

/// `GET /bundles/{jurisdiction}`.
pub async fn read(
    State(service): Shared,
    Path(jurisdiction): Path<String>,
) -> Result<Json<Bundle>, ApiError> {
    let jurisdiction: Jurisdiction = jurisdiction.parse().map_err(|_| ApiError::BadRequest {
        member: "jurisdiction",
        accepted: "an ISO 3166 code such as US-FL".to_owned(),
    })?;
    let bundle = tokio::task::spawn_blocking(move || service.bundle(jurisdiction));
    bundle.await.map_err(ApiError::internal)?.map(Json)
}

impl Service {
    fn bundle(&self, jurisdiction: Jurisdiction) -> Result<Bundle, ApiError> {
        let mut requests = Vec::new();
        for index in self.open_requests()? {
            let leaf = self.ledger.journal().leaf(index)?;
            let leaf = leaf.ok_or_else(|| ApiError::internal("a request's entry is missing"))?;
            let envelope = Leaf::parse(&leaf).map_err(ApiError::internal)?.envelope;
            let id = StatementId::of_payload(&envelope.payload);
            let (_, statement) = parse_payload(&envelope.payload).map_err(ApiError::internal)?;
            if matches!(&statement, Statement::AccessRequest(r) if r.jurisdiction == jurisdiction) {
                let attachments = self.bundled_attachments(&statement)?;
                requests.push(BundledRequest { id, attachments });
            }
        }
        Ok(Bundle {
            jurisdiction,
            requests,
        })
    }

    /// Indices of published requests whose deadline has not passed, ascending.
    fn open_requests(&self) -> Result<Vec<u64>, ApiError> {
        let now = self.clock.now();
        let published = self
            .ledger
            .published()
            .map_or(0, |p| p.checkpoint.size.as_u64());
        let mut open = Vec::new();
        for (key, fact) in self
            .ledger
            .journal()
            .facts_with_prefix(&[FactKey::REQUEST])?
        {
            let index = key
                .get(1..)
                .and_then(|bytes| bytes.try_into().ok())
                .map(u64::from_be_bytes);
            let index = index.ok_or_else(|| ApiError::internal("a request's key is damaged"))?;
            let fact = serde_json::from_slice(&fact).map_err(ApiError::internal)?;
            if let Fact::Request(request) = fact
                && request.deadline > now
                && index < published
            {
                open.push(index);
            }
        }
        Ok(open)
    }

    fn bundled_attachments(
        &self,
        statement: &Statement,
    ) -> Result<Vec<BundledAttachment>, ApiError> {
        let mut attachments = Vec::new();
        for (_, digest) in statement.attachments() {
            // An erased one is missing here, and the device says so.
            if let Some((opening, bytes)) = self.attachment(&digest)? {
                attachments.push(BundledAttachment {
                    opening: opening.encode().to_owned(),
                    data: encoding::base64(bytes),
                });
            }
        }
        Ok(attachments)
    }
}
