//! `/api/v1/statements`, `/api/v1/proofs`, `/schemas`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest as _, FromRequestParts as _, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::door::Turn;
use super::overview::{Kept, Overviewed, findings_about};
use super::vault::blocking;
use super::{ApiError, JSON_BODY, PATIENCE, Path, Service, Shared, bulk};
use crate::digest::StatementId;
use crate::ledger::{Found, Published, Sequenced};
use crate::record::findings::Finding;
use crate::statement::envelope::MAX_ENVELOPE;
use crate::statement::leaf::Leaf;
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::sealed::SealDigest;
use crate::statement::words::Role;
use crate::statement::{Signed, Statement, rules};
use crate::store::facts::JournalFacts;
use crate::store::journal::JournalRead as _;
use crate::tlog::proof::TlogProof;
use crate::tlog::tree::LeafIndex;
use crate::wire::signature::{self, SignatureHeaders};
use crate::wire::statements::{Entry, Logged};

/// Room for what an answer has beside its proof and the backslashes in it.
const ANSWER: usize = 512;

/// Every type's schema as it is served. They never change, and take milliseconds to make.
static SCHEMAS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let all = crate::statement::schema::all().into_iter();
    all.map(|(name, schema)| (name.to_owned(), schema.to_string()))
        .collect()
});

/// Attachments that are looked for without another thread.
const FEW_ATTACHMENTS: usize = 4;

/// `POST /api/v1/statements`.
pub async fn submit(State(service): Shared, request: Request) -> Response {
    if bulk::is_bulk(request.headers()) {
        return bulk::submit(service, request).await;
    }
    let (mut parts, body) = request.into_parts();
    let turn = match Turn::from_request_parts(&mut parts, &service).await {
        Ok(turn) => turn,
        Err(error) => return error.into_response(),
    };
    let body = Bytes::from_request(Request::from_parts(parts, body), &service).await;
    let answer = match body.map_err(|rejection| unread(&rejection)) {
        Ok(body) => admit(&service, &body, turn).await,
        Err(error) => Err(error),
    };
    service.door.metrics().answered(&answer);
    match answer {
        Ok(response) => response,
        Err(error) => sign_refusal(&service, error).await,
    }
}

/// Why a body was not read to its end.
fn unread(rejection: &BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large().into();
    }
    ApiError::unread(rejection, MAX_ENVELOPE)
}

/// Why an envelope of too many bytes is not read.
pub(super) fn too_large() -> Refusal {
    let detail = format!("an envelope has at most {MAX_ENVELOPE} bytes");
    Refusal::new(Reason::TooLarge, "", detail)
}

async fn admit(service: &Arc<Service>, body: &[u8], turn: Turn) -> Result<Response, ApiError> {
    let signed = service.read_statement(body)?;
    let named = signed.statement.attachments().len();
    let signed = match named {
        0 => signed,
        // Small files, which lie in memory: another thread costs more.
        1..=FEW_ATTACHMENTS => service.check_attachments(&signed).map(|()| signed)?,
        _ => {
            let service = service.clone();
            let check = move || service.check_attachments(&signed).map(|()| signed);
            blocking(check).await?
        }
    };
    let id = signed.id;
    let sequenced = match (named, &signed.statement) {
        (0, Statement::Erasure(_)) | (1.., _) => {
            // Goes on if the client hangs up: what is logged is done.
            let logging = log_and_settle(service.clone(), signed, turn);
            tokio::spawn(logging).await.map_err(ApiError::internal)??
        }
        (0, _) => service.take_turn(signed, turn).await?,
    };
    service.answer(id, sequenced).await
}

/// Logs a statement, and does with attachments what it says as soon as it is durable: those that it
/// names wait no longer, and what it erases is destroyed.
async fn log_and_settle(
    service: Arc<Service>,
    signed: Signed,
    turn: Turn,
) -> Result<Sequenced, ApiError> {
    let settling = Settling::of(&signed.statement);
    let sequenced = service.take_turn(signed, turn).await?;
    settling.settle(&service).await?;
    Ok(sequenced)
}

/// What is done with attachments as soon as a statement is durable.
#[derive(Debug)]
pub(super) struct Settling {
    /// They wait for their statement no longer.
    named: Vec<SealDigest>,
    /// It is destroyed.
    erased: Option<SealDigest>,
}

impl Settling {
    /// What a statement asks for.
    pub fn of(statement: &Statement) -> Self {
        let named = statement.attachments().into_iter();
        Self {
            named: named.map(|(_, digest)| digest).collect(),
            erased: match statement {
                Statement::Erasure(erasure) => Some(erasure.digest),
                _ => None,
            },
        }
    }

    /// Does it.
    pub async fn settle(self, service: &Arc<Service>) -> Result<(), ApiError> {
        for digest in &self.named {
            service.waiting.ended(digest);
        }
        if let Some(digest) = self.erased {
            let service = service.clone();
            blocking(move || service.erase(&digest)).await?;
        }
        Ok(())
    }
}

impl Service {
    /// Reads an envelope whose statement this call may log, and verifies its signatures.
    pub(super) fn read_statement(&self, json: &[u8]) -> Result<Signed, ApiError> {
        let signed = Signed::read(json)?;
        if matches!(signed.statement, Statement::Disclosure(_)) {
            return Err(ApiError::BadRequest {
                member: "/payload/type",
                accepted: "a disclosure is logged by POST /vault/v1/disclosures".to_owned(),
            });
        }
        self.check_open_to(&signed)?;
        Ok(signed)
    }

    /// Refuses what would be kept for a log that takes nothing any more.
    pub(super) fn check_open(&self) -> Result<(), ApiError> {
        match self.ledger.closed() {
            None => Ok(()),
            Some(closed) => Err(rules::log_closed(&closed).into()),
        }
    }

    /// As [`Service::check_open`], but for a statement that stands in the log: it is told its place.
    /// The rules say the same; asked first, so that a missing attachment is not what is complained of.
    pub(super) fn check_open_to(&self, signed: &Signed) -> Result<(), ApiError> {
        let closed = self.check_open();
        if closed.is_err() && self.ledger.journal().find(&signed.id)?.is_some() {
            return Ok(());
        }
        closed
    }

    /// Refuses what the rules refuse as the log stands now, before anything of it is kept or looked for.
    /// The sequencer judges again, and has the last word.
    pub(super) fn judge_now(&self, signed: &Signed) -> Result<(), ApiError> {
        let journal = self.ledger.journal();
        if journal.find(&signed.id)?.is_some() {
            return Ok(());
        }
        self.ledger.check_confirmed()?;
        let now = self.clock.now();
        let logged_at = self.ledger.logging_time(&signed.statement, now)?;
        let (origin, facts) = (self.ledger.origin(), JournalFacts(journal));
        let next = LeafIndex::new(self.ledger.size().as_u64());
        match rules::judge(signed, origin, next, logged_at, &facts) {
            Ok(_) => Ok(()),
            Err(Verdict::Refused(refusal)) => Err(refusal.into()),
            Err(Verdict::Facts(error)) => Err(error.into()),
        }
    }

    /// The answer about a statement that is logged, once it is published.
    pub(super) async fn answer(
        &self,
        id: StatementId,
        sequenced: Sequenced,
    ) -> Result<Response, ApiError> {
        let published = self.ledger.wait_published(sequenced.index, PATIENCE).await;
        let proof = match &published {
            Some(published) => Some(self.prove(sequenced.index, sequenced.leaf, published)?),
            None => None,
        };
        let status = match (&proof, sequenced.known) {
            (None, _) => StatusCode::ACCEPTED,
            (Some(_), true) => StatusCode::OK,
            (Some(_), false) => StatusCode::CREATED,
        };
        let logged = Logged {
            id,
            index: sequenced.index,
            logged_at: sequenced.logged_at,
            proof,
            known: sequenced.known,
        };
        let mut body = Vec::with_capacity(ANSWER + logged.proof.as_ref().map_or(0, String::len));
        serde_json::to_writer(&mut body, &logged).map_err(ApiError::internal)?;
        let json = [(header::CONTENT_TYPE, "application/json")];
        Ok((status, json, body).into_response())
    }

    /// The proof that the entry at `index` stands under a published checkpoint.
    pub(super) fn prove(
        &self,
        index: LeafIndex,
        leaf: Vec<u8>,
        published: &Published,
    ) -> Result<String, ApiError> {
        let log = self.ledger.log();
        let hashes = log.inclusion_proof(index, published.checkpoint.size)?;
        let proof = TlogProof {
            extra: Some(leaf),
            index,
            hashes,
            checkpoint: published.note.to_vec(),
        };
        Ok(proof.to_text())
    }

    pub(super) fn leaf(&self, index: LeafIndex) -> Result<Vec<u8>, ApiError> {
        self.ledger
            .journal()
            .leaf(index.as_u64())?
            .ok_or_else(|| ApiError::internal(format!("entry {index} is missing")))
    }
}

/// Signs what tells a submitter that its statement was refused.
async fn sign_refusal(service: &Service, error: ApiError) -> Response {
    if !matches!(error, ApiError::Refused(Refusal { .. })) {
        return error.into_response();
    }
    let response = error.into_response();
    let (mut parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, JSON_BODY).await else {
        return ApiError::internal("a problem without a body").into_response();
    };
    let Some(headers) = service.sign_problem(parts.status.as_u16(), &body) else {
        return Response::from_parts(parts, body.into());
    };
    for (name, value) in [
        ("content-digest", headers.content_digest),
        ("signature-input", headers.signature_input),
        ("signature", headers.signature),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            parts.headers.insert(HeaderName::from_static(name), value);
        }
    }
    Response::from_parts(parts, body.into())
}

impl Service {
    /// Signs a problem as the answer of this status, whose body it is; `None` rather than by a key
    /// that the log has revoked.
    pub(super) fn sign_problem(&self, status: u16, body: &[u8]) -> Option<SignatureHeaders> {
        let now = self.clock.now();
        let key = self.keys.current(Role::Service, &self.ledger, now)?;
        Some(signature::sign_response(
            status,
            crate::wire::problem::MEDIA_TYPE,
            crate::digest::Digest::of(body).as_bytes(),
            &key,
            now,
            crate::random::bytes(),
        ))
    }
}

/// A published entry, and what does not fit together about it.
pub(super) struct Shown {
    pub id: StatementId,
    pub index: LeafIndex,
    pub leaf: Leaf,
    pub findings: Vec<Finding>,
    /// How many entries the findings rest on.
    pub findings_size: u64,
}

impl Shown {
    /// Looks up the entry of the statement whose id stands in the path.
    pub async fn find(service: Arc<Service>, kept: Arc<Kept>, id: &str) -> Result<Self, ApiError> {
        let (id, Found { index, leaf, .. }) = published(&service, id)?;
        let (findings, findings_size) = findings_about(service, kept, id).await?;
        Ok(Self {
            id,
            index,
            leaf: Leaf::parse(&leaf).map_err(ApiError::internal)?,
            findings,
            findings_size,
        })
    }
}

/// `GET /api/v1/statements/{id}`.
pub async fn show(
    State(service): Shared,
    Extension(kept): Overviewed,
    Path(id): Path<String>,
) -> Result<Json<Entry>, ApiError> {
    let shown = Shown::find(service, kept, &id).await?;
    let envelope = &shown.leaf.envelope;
    let signed = crate::statement::parse_payload(&envelope.payload);
    let (head, statement) = signed.map_err(ApiError::internal)?;
    let envelope = serde_json::from_slice(&envelope.to_json());
    Ok(Json(Entry {
        id: shown.id,
        index: shown.index,
        logged_at: shown.leaf.logged_at,
        statement: envelope.map_err(ApiError::internal)?,
        plain: statement.plain(&head.author.to_string()),
        findings: shown.findings,
        findings_size: shown.findings_size,
    }))
}

/// `GET /api/v1/proofs/{id}`.
pub fn proof(service: &Service, id: &str) -> Result<Response, ApiError> {
    let (id, found) = match published(service, id) {
        Ok(found) => found,
        Err(ApiError::NotFound(_)) if waits(service, id)? => {
            return Ok((StatusCode::ACCEPTED, "the witnesses' quorum is missing\n").into_response());
        }
        Err(error) => return Err(error),
    };
    let proof = service.prove(found.index, found.leaf, &found.published)?;
    let name = format!("attachment; filename=\"{id}.tlog-proof\"");
    Ok((
        [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
            (header::CONTENT_DISPOSITION, name),
        ],
        proof,
    )
        .into_response())
}

/// The published entry of the statement whose id stands in the path.
fn published(service: &Service, id: &str) -> Result<(StatementId, Found), ApiError> {
    let id = statement_id(id)?;
    let found = service.ledger.find_published_leaf(&id)?;
    let found = found.ok_or(ApiError::NotFound("no such statement in this log"))?;
    Ok((id, found))
}

fn waits(service: &Service, id: &str) -> Result<bool, ApiError> {
    Ok(service.ledger.journal().find(&statement_id(id)?)?.is_some())
}

/// An id as it stands in a path.
pub(super) fn statement_id(text: &str) -> Result<StatementId, ApiError> {
    text.parse().map_err(|_| ApiError::BadRequest {
        member: "id",
        accepted: "64 lower-case hexadecimal digits".to_owned(),
    })
}

/// `GET /schemas/{type}.json`.
pub async fn schema(Path(file): Path<String>) -> Result<Response, ApiError> {
    let missing = ApiError::NotFound("no such schema");
    let name = file
        .strip_suffix(".json")
        .ok_or(ApiError::NotFound("no such schema"))?;
    let schema = SCHEMAS.get(name).ok_or(missing)?;
    Ok((
        [(header::CONTENT_TYPE, "application/schema+json")],
        Bytes::from_static(schema.as_bytes()),
    )
        .into_response())
}

/// `GET /api/v1/instance`: tells this server from one that runs on a copy of its data.
pub async fn instance(State(service): Shared) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "instance": service.ledger.instance() }))
}
