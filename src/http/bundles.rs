//! `/bundles/{jurisdiction}`: the attachments of all open requests, and `/notices/{id}`: the messages
//! of a notice; the same for every device.

use axum::Json;
use axum::extract::State;

use super::{ApiError, PATIENCE, Path, Service, Shared};
use crate::digest::StatementId;
use crate::encoding;
use crate::statement::facts::FactsExt as _;
use crate::statement::leaf::Leaf;
use crate::statement::words::Jurisdiction;
use crate::statement::{Statement, parse_payload};
use crate::store::facts::JournalFacts;
use crate::tlog::tree::LeafIndex;
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
    let open = service
        .ledger
        .open_requests(&jurisdiction, service.clock.now(), PATIENCE)
        .await?
        .ok_or(ApiError::Busy)?;
    let bundle = tokio::task::spawn_blocking(move || service.bundle(jurisdiction, &open));
    bundle.await.map_err(ApiError::internal)?.map(Json)
}

/// `GET /notices/{id}`.
pub async fn notice(
    State(service): Shared,
    Path(id): Path<String>,
) -> Result<Json<BundledRequest>, ApiError> {
    let missing = || ApiError::NotFound("no such notice in this log");
    let id = super::statements::statement_id(&id)?;
    let (index, _) = service.ledger.find_published(&id)?.ok_or_else(missing)?;
    let read = move || {
        let leaf = Leaf::parse(&service.leaf(index)?).map_err(ApiError::internal)?;
        let (_, statement) = parse_payload(&leaf.envelope.payload).map_err(ApiError::internal)?;
        if !matches!(statement, Statement::Notice(_)) {
            return Err(missing());
        }
        let attachments = service.bundled_attachments(&statement)?;
        Ok(BundledRequest { id, attachments })
    };
    super::vault::blocking(read).await.map(Json)
}

impl Service {
    fn bundle(&self, jurisdiction: Jurisdiction, open: &[LeafIndex]) -> Result<Bundle, ApiError> {
        let mut requests = Vec::with_capacity(open.len());
        for index in open {
            let envelope = Leaf::parse(&self.leaf(*index)?)
                .map_err(ApiError::internal)?
                .envelope;
            let id = StatementId::of_payload(&envelope.payload);
            let (_, statement) = parse_payload(&envelope.payload).map_err(ApiError::internal)?;
            let attachments = self.bundled_attachments(&statement)?;
            requests.push(BundledRequest { id, attachments });
        }
        Ok(Bundle {
            jurisdiction,
            requests,
        })
    }

    fn bundled_attachments(
        &self,
        statement: &Statement,
    ) -> Result<Vec<BundledAttachment>, ApiError> {
        let facts = JournalFacts(self.ledger.journal());
        let mut attachments = Vec::new();
        for (_, digest) in statement.attachments() {
            // An erased one is missing here, whether its bytes are gone yet or not, and the device
            // says so.
            if facts
                .digest(&digest)?
                .is_some_and(|fact| fact.erased.is_some())
            {
                continue;
            }
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
