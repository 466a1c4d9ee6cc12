//! `/bundles/{jurisdiction}`: the attachments of all open requests, and `/notices/{id}`: the messages
//! of a notice; the same for every device.
//!
//! What a bundle has is listed once for each published checkpoint and shared by all who ask; the
//! bytes are read while they are sent, a piece at a time. No agency can fill it: each has its share.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::Semaphore;
use tokio_util::io::ReaderStream;

use super::attachments::MAX_ATTACHMENT;
use super::ranges::PIECE;
use super::vault::blocking;
use super::{ApiError, PATIENCE, Path, Service, Shared};
use crate::digest::StatementId;
use crate::encoding;
use crate::ledger::Published;
use crate::statement::facts::{FactsExt as _, RequestFact, Standing};
use crate::statement::kinds::access_request::MAX_MESSAGE;
use crate::statement::leaf::Leaf;
use crate::statement::scope::MAX_SCOPE;
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Jurisdiction, PartyId};
use crate::statement::{Statement, parse_payload};
use crate::store::facts::JournalFacts;
use crate::store::journal::JournalRead as _;
use crate::store::objects::Objects as _;
use crate::tlog::tree::LeafIndex;
use crate::wire::statements::{BundledAttachment, BundledRequest};

/// The largest bundle, in bytes of JSON: less than devices read.
const MAX_BUNDLE: u64 = 192 << 20;
/// What the requests of one agency may take of it: who asks more hides itself, and nobody else.
const MAX_SHARE: u64 = 32 << 20;
/// Bytes of JSON around the openings and data of one request, at most.
const AROUND: u64 = 256;
/// Bundles that are read from disk at once.
const READING: usize = 4;

/// `GET /bundles/{jurisdiction}`.
pub async fn read(
    State(service): Shared,
    Path(jurisdiction): Path<String>,
) -> Result<Response, ApiError> {
    let jurisdiction: Jurisdiction = jurisdiction.parse().map_err(|_| ApiError::BadRequest {
        member: "jurisdiction",
        accepted: "an ISO 3166 code such as US-FL".to_owned(),
    })?;
    let contents = service.bundle(&jurisdiction).await?;
    let (reader, writer) = tokio::io::duplex(PIECE);
    tokio::spawn(async move {
        // A reader that goes away is no fault of ours; one that gets less sees JSON without an end.
        let _ = service.write_bundle(&jurisdiction, contents, writer).await;
    });
    let pieces = Body::from_stream(ReaderStream::with_capacity(reader, PIECE));
    Ok(([(header::CONTENT_TYPE, "application/json")], pieces).into_response())
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
        service.bundled(&Listed {
            id,
            attachments: attachments(&statement),
        })
    };
    blocking(read).await.map(Json)
}

/// The contents of bundles, as they were listed last.
pub struct Bundles {
    lists: Mutex<Lists>,
    /// Who reads attachments from disk.
    reading: Arc<Semaphore>,
}

impl Default for Bundles {
    fn default() -> Self {
        Self {
            lists: Mutex::default(),
            reading: Arc::new(Semaphore::new(READING)),
        }
    }
}

#[derive(Default)]
struct Lists {
    /// Of jurisdictions in which something is asked, under the checkpoint with this note.
    kept: HashMap<Jurisdiction, (Arc<[u8]>, Arc<Contents>)>,
    /// Agencies that are not in standing, and how many entries there were when that was seen: what
    /// devices are to know first.
    out: HashMap<PartyId, u64>,
}

/// What a bundle has.
#[derive(Default)]
pub(super) struct Contents {
    /// Ascending by index.
    requests: Vec<Listed>,
    /// Bytes of JSON, in all and by agency.
    size: u64,
    shares: BTreeMap<PartyId, u64>,
}

struct Listed {
    id: StatementId,
    /// Each with how many bytes of it are given at most: of a larger one, the opening alone.
    attachments: Vec<(SealDigest, usize)>,
}

impl Contents {
    /// Lists a request, if there is room for it.
    fn add(&mut self, agency: PartyId, request: Listed, size: u64) {
        let share = self.shares.entry(agency).or_default();
        if *share + size <= MAX_SHARE && self.size + size <= MAX_BUNDLE {
            *share += size;
            self.size += size;
            self.requests.push(request);
        }
    }
}

impl Lists {
    /// Whether nobody can answer a request any more, and devices that know the checkpoint know that.
    fn is_over(
        &mut self,
        service: &Service,
        request: &RequestFact,
        published: &Published,
    ) -> Result<bool, ApiError> {
        if request.closed.is_some_and(|at| published.covers(at)) {
            return Ok(true);
        }
        let journal = service.ledger.journal();
        let agency = JournalFacts(journal).party(&request.agency)?;
        if agency.is_some_and(|agency| agency.standing == Standing::Live) {
            self.out.remove(&request.agency);
            return Ok(false);
        }
        let size = journal.size()?;
        let known = *self.out.entry(request.agency.clone()).or_insert(size);
        Ok(published.checkpoint.size.as_u64() >= known)
    }
}

impl Service {
    /// What the bundle has under the published checkpoint.
    async fn bundle(
        self: &Arc<Self>,
        jurisdiction: &Jurisdiction,
    ) -> Result<Arc<Contents>, ApiError> {
        let published = self.ledger.published();
        let open = self
            .ledger
            .open_requests(jurisdiction, self.clock.now(), PATIENCE)
            .await?
            .ok_or(ApiError::Busy)?;
        let (service, jurisdiction) = (self.clone(), jurisdiction.clone());
        blocking(move || service.listed(jurisdiction, published.as_ref(), &open)).await
    }

    /// Lists it, unless that was done under this checkpoint; one at a time, for all who ask.
    fn listed(
        &self,
        jurisdiction: Jurisdiction,
        published: Option<&Published>,
        open: &[LeafIndex],
    ) -> Result<Arc<Contents>, ApiError> {
        let mut lists = self
            .bundles
            .lists
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let (Some(published), Some((under, kept))) = (published, lists.kept.get(&jurisdiction))
            && Arc::ptr_eq(under, &published.note)
        {
            return Ok(kept.clone());
        }
        let facts = JournalFacts(self.ledger.journal());
        let mut contents = Contents::default();
        for index in open {
            let Some(request) = facts.request(index)? else {
                continue;
            };
            if let Some(published) = published
                && lists.is_over(self, &request, published)?
            {
                continue;
            }
            let payload = Leaf::parse(&self.leaf(*index)?)
                .map_err(ApiError::internal)?
                .envelope
                .payload;
            let (_, statement) = parse_payload(&payload).map_err(ApiError::internal)?;
            let listed = Listed {
                id: StatementId::of_payload(&payload),
                attachments: attachments(&statement),
            };
            let size = self.bundled_size(&listed)?;
            contents.add(request.agency, listed, size);
        }
        let contents = Arc::new(contents);
        match published {
            // Anybody may ask for any code: where nothing is asked, nothing is kept.
            Some(published) if !contents.requests.is_empty() => {
                let kept = (published.note.clone(), contents.clone());
                lists.kept.insert(jurisdiction, kept);
            }
            _ => drop(lists.kept.remove(&jurisdiction)),
        }
        Ok(contents)
    }

    async fn write_bundle(
        self: Arc<Self>,
        jurisdiction: &Jurisdiction,
        contents: Arc<Contents>,
        mut to: DuplexStream,
    ) -> Result<(), ApiError> {
        let gone = |_| ApiError::Gone("the reader went away");
        let head = format!(r#"{{"jurisdiction":"{jurisdiction}","requests":["#);
        to.write_all(head.as_bytes()).await.map_err(gone)?;
        let (mut piece, mut next) = (Vec::with_capacity(2 * PIECE), 0);
        while next < contents.requests.len() {
            // However many ask, few read at once: each that does takes a thread, and memory there.
            let permit = self.bundles.reading.clone().acquire_owned().await;
            let permit = permit.map_err(ApiError::internal)?;
            let (service, contents) = (self.clone(), contents.clone());
            let read = move || {
                let _permit = permit;
                piece.clear();
                next = service.read_piece(&contents, next, &mut piece)?;
                Ok((piece, next))
            };
            (piece, next) = blocking(read).await?;
            to.write_all(&piece).await.map_err(gone)?;
        }
        to.write_all(b"]}").await.map_err(gone)
    }

    /// Adds some requests from `next` on to `piece`, as JSON; which one comes then.
    fn read_piece(
        &self,
        contents: &Contents,
        mut next: usize,
        piece: &mut Vec<u8>,
    ) -> Result<usize, ApiError> {
        while piece.len() < PIECE
            && let Some(listed) = contents.requests.get(next)
        {
            if next > 0 {
                piece.push(b',');
            }
            let bundled = self.bundled(listed)?;
            serde_json::to_writer(&mut *piece, &bundled).map_err(ApiError::internal)?;
            next += 1;
        }
        Ok(next)
    }

    fn bundled(&self, listed: &Listed) -> Result<BundledRequest, ApiError> {
        let mut attachments = Vec::new();
        for (digest, most) in &listed.attachments {
            let Some((opening, size)) = self.attachment_size(digest)? else {
                continue;
            };
            let bytes = match size <= *most as u64 {
                true => self.attachments.read(&digest.to_string())?,
                false => Some(Vec::new()),
            };
            attachments.extend(bytes.map(|bytes| BundledAttachment {
                opening,
                data: encoding::base64(bytes),
            }));
        }
        Ok(BundledRequest {
            id: listed.id,
            attachments,
        })
    }

    /// How long a request is in a bundle, in bytes of JSON.
    fn bundled_size(&self, listed: &Listed) -> Result<u64, ApiError> {
        let mut bytes = AROUND;
        for (digest, most) in &listed.attachments {
            if let Some((opening, size)) = self.attachment_size(digest)? {
                let given = if size <= *most as u64 { size } else { 0 };
                bytes += opening.len() as u64 + 4 * given.div_ceil(3);
            }
        }
        Ok(bytes)
    }

    /// An attachment's opening, and how many bytes it has, if they are stored. An erased one is missing
    /// here, whether its bytes are gone yet or not, and the device says so.
    fn attachment_size(&self, digest: &SealDigest) -> Result<Option<(String, u64)>, ApiError> {
        let fact = JournalFacts(self.ledger.journal()).digest(digest)?;
        if fact.is_some_and(|fact| fact.erased.is_some()) {
            return Ok(None);
        }
        let Some((opening, file)) = self.attachment_file(digest)? else {
            return Ok(None);
        };
        let size = file.metadata().map_err(ApiError::internal)?.len();
        Ok(Some((opening.encode().to_owned(), size)))
    }
}

/// The attachments of a statement, each with how many bytes of it are given at most.
fn attachments(statement: &Statement) -> Vec<(SealDigest, usize)> {
    let most = |member: &str| match (statement, member) {
        (Statement::AccessRequest(_), "/scope") => MAX_SCOPE,
        (Statement::AccessRequest(_), _) => MAX_MESSAGE,
        _ => MAX_ATTACHMENT,
    };
    let all = statement.attachments().into_iter();
    all.map(|(member, digest)| (digest, most(&member)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agency with the largest requests there are, and one with an ordinary one.
    #[test]
    fn no_agency_takes_more_than_its_share() {
        let mut contents = Contents::default();
        let listed = |n: u8| Listed {
            id: StatementId::from_bytes([n; 32]),
            attachments: Vec::new(),
        };
        let agency = |n: u64| format!("agency{n}.example").parse::<PartyId>().unwrap();
        let large = 1 << 20;
        for _ in 0..100 {
            contents.add(agency(0), listed(0), large);
        }
        contents.add(agency(1), listed(1), 2000);
        assert_eq!(contents.requests.len(), 33);
        assert_eq!(contents.shares[&agency(0)], MAX_SHARE);
        assert_eq!(contents.shares[&agency(1)], 2000);
        for n in 2..100 {
            contents.add(agency(n), listed(2), MAX_SHARE);
        }
        assert_eq!(contents.size, 5 * MAX_SHARE + 2000);
    }
}
