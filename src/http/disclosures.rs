//! `/vault/v1/disclosures/…`: consent, handing over, and collecting (PROTOCOL, section 9).
//!
//! The door rules around a `disclosure`: the vault holds the body whose opening is shown; a header or a note
//! is taken only after the agency's `collection`, or a disclosure to the public, stands in the
//! published log; it is given to that agency alone and deleted after a week, or given to everybody
//! until the disclosure expires or is withdrawn.
//!
//! A disclosure is recorded before it is logged, so that one that is logged can be handed over
//! whatever crashes. Only what the rules admit is recorded, and what the log refuses all the same is
//! deleted: whoever is refused leaves nothing here.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::attachments::OPENING;
use super::door::Turn;
use super::ranges::Content;
use super::vault::{blocking, clip_id};
use super::{ApiError, Path, Service, Shared};
use crate::digest::{Digest, StatementId};
use crate::ledger::Sequenced;
use crate::seal::commitment::{Commitment, committed_body};
use crate::seal::keys::public_identity;
use crate::seal::note;
use crate::seal::rewrap::{MAX_HEADER, file_key};
use crate::statement::facts::{DisclosureFact, FactsExt as _, RequestFact, Standing};
use crate::statement::kinds::disclosure::{Disclosure, short};
use crate::statement::leaf::Leaf;
use crate::statement::sealed::Opening;
use crate::statement::{Signed, Statement, parse_payload};
use crate::store::clips::{Part, Place, sha256};
use crate::store::facts::JournalFacts;
use crate::store::journal::JournalRead as _;
use crate::store::vaults::{self, ClipId, ShownClip, VaultId};
use crate::tlog::tree::LeafIndex;
use crate::wire::vault::{Disclose, ShownOpening};

const NOT_HANDED_OVER: ApiError = ApiError::NotFound(
    "not handed over yet: the resident's device does that when it has read the log",
);
const NO_LONGER_KEPT: ApiError = ApiError::Gone("it was handed over, and is no longer kept");
/// How long a header or a note handed over to an agency is kept, in seconds.
const KEPT: i64 = 7 * 86_400;
/// How long a record may wait for its disclosure to be logged, in seconds.
const UNLOGGED: i64 = 3600;
/// How long others may keep serving what was given to the public, in seconds: a withdrawal is
/// everywhere by then.
const CACHED: i64 = 300;

/// `POST /vault/v1/disclosures`.
pub async fn disclose(
    State(service): Shared,
    turn: Turn,
    request: Request,
) -> Result<Response, ApiError> {
    let answer = disclose_own(&service, turn, request).await;
    service.door.metrics().answered(&answer);
    answer
}

/// `PUT /vault/v1/disclosures/{id}/headers/{n}`.
pub async fn hand_over(
    State(service): Shared,
    Path((id, n)): Path<(String, usize)>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (caller, header) = service.signed_body(request, MAX_HEADER).await?;
    let vault = service.vault_of(&caller)?;
    let missing = || ApiError::NotFound("no such disclosure of this vault");
    let logged = service.logged_disclosure(&id)?;
    let recorded = service.vaults.disclosure(logged.id)?.ok_or_else(missing)?;
    if recorded.vault_id != vault.id {
        return Err(missing());
    }
    match logged.request {
        Some(_) => logged.check_collected(&service)?,
        None => logged.check_to_publish(&service)?,
    }
    let clip = logged.statement.clips.get(n).ok_or_else(missing)?;
    if Digest::of(&header) != clip.header {
        return Err(bad("body", "the header whose SHA-256 the disclosure names"));
    }
    if logged.request.is_none() && file_key(&header, &public_identity()).is_err() {
        return Err(bad("body", "a header that everybody can open"));
    }
    service
        .vaults
        .hand_over(logged.id, n, &header, service.clock.now())?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /vault/v1/disclosures/{id}/note`.
pub async fn hand_over_note(
    State(service): Shared,
    Path(id): Path<String>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (caller, file) = service.signed_body(request, note::SIZE).await?;
    let vault = service.vault_of(&caller)?;
    let missing = || ApiError::NotFound("no such disclosure of this vault, or it has no note");
    let logged = service.logged_disclosure(&id)?;
    let recorded = service.vaults.disclosure(logged.id)?.ok_or_else(missing)?;
    let named = logged.statement.note.ok_or_else(missing)?;
    if recorded.vault_id != vault.id {
        return Err(missing());
    }
    logged.check_collected(&service)?;
    if !note::has_form(&file) || Digest::of(&file) != named {
        let accepted = "the note whose SHA-256 the disclosure names, of the one size and form";
        return Err(bad("body", accepted));
    }
    let now = service.clock.now();
    service.vaults.hand_over_note(logged.id, &file, now)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /vault/v1/disclosures/{id}/note`.
pub async fn collect_note(
    State(service): Shared,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let logged = service.disclosure_for(&parts, &id)?;
    let handed_over = service.vaults.handed_over_note(logged.id)?;
    let handed_over = handed_over.ok_or(NOT_HANDED_OVER)?;
    let file = handed_over.ok_or(NO_LONGER_KEPT)?;
    let headers = [
        (header::CONTENT_TYPE, "application/age"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, file).into_response())
}

/// `GET /vault/v1/disclosures/{id}/clips/{n}`.
pub async fn collect(
    State(service): Shared,
    Path((id, n)): Path<(String, usize)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let logged = service.disclosure_for(&parts, &id)?;
    let caching = "no-store".to_owned();
    let clip = service.sealed_clip(logged.id, n, caching, &parts.headers);
    clip.await
}

/// `GET /published/{id}`: what a resident gave to everybody. Nobody is asked who they are.
pub async fn published(
    State(service): Shared,
    Path(id): Path<String>,
    request: HeaderMap,
) -> Result<Response, ApiError> {
    let logged = service.logged_disclosure(&id)?;
    if logged.request.is_some() {
        return Err(ApiError::NotFound("no such disclosure to the public"));
    }
    let seconds = logged.check_public(&service)?.min(CACHED);
    let caching = format!("public, max-age={seconds}");
    let clip = service.sealed_clip(logged.id, 0, caching, &request);
    let mut answer = clip.await?;
    let name = format!("attachment; filename=\"{}.age\"", short(&logged.id));
    let name = HeaderValue::from_str(&name).map_err(ApiError::internal)?;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(answer)
}

/// A disclosure as it stands in the published log.
struct LoggedDisclosure {
    id: StatementId,
    statement: Disclosure,
    fact: DisclosureFact,
    /// None if it gives to the public.
    request: Option<RequestFact>,
}

impl LoggedDisclosure {
    /// Refuses unless the collection stands under the published checkpoint.
    fn check_collected(&self, service: &Service) -> Result<(), ApiError> {
        let published = service.ledger.published();
        let seen = self
            .fact
            .collected
            .is_some_and(|at| published.is_some_and(|published| published.covers(at)));
        if seen {
            return Ok(());
        }
        Err(ApiError::Conflict(
            "not-collected",
            "nothing is handed over before the agency's collection stands in the log".to_owned(),
        ))
    }

    /// Refuses unless the clip is to be public now; for how many seconds it still is.
    fn check_public(&self, service: &Service) -> Result<i64, ApiError> {
        if self.fact.withdrawn.is_some() {
            return Err(ApiError::Gone("the resident has taken it back"));
        }
        match self.fact.expires.seconds_since(service.clock.now()) {
            left @ 1.. => Ok(left),
            _ => Err(ApiError::Gone("it was public until it expired")),
        }
    }

    /// As [`LoggedDisclosure::check_public`]; and in a log that takes withdrawals.
    fn check_to_publish(&self, service: &Service) -> Result<(), ApiError> {
        service.check_open()?;
        self.check_public(service).map(drop)
    }
}

/// Disclosures that are being recorded, logged or forgotten: each by one call at a time, so that what
/// one records no other deletes.
#[derive(Default)]
pub struct UnderWay(Mutex<HashSet<StatementId>>);

impl UnderWay {
    fn ids(&self) -> MutexGuard<'_, HashSet<StatementId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one way of this disclosure; `None` while another call has it.
    fn begin(&self, id: StatementId) -> Option<Way<'_>> {
        self.ids().insert(id).then_some(Way { all: self, id })
    }
}

/// A disclosure's way, free again when this is dropped.
struct Way<'a> {
    all: &'a UnderWay,
    id: StatementId,
}

impl Drop for Way<'_> {
    fn drop(&mut self) {
        self.all.ids().remove(&self.id);
    }
}

async fn disclose_own(
    service: &Arc<Service>,
    turn: Turn,
    request: Request,
) -> Result<Response, ApiError> {
    let (caller, body) = service.signed_json::<Disclose>(request).await?;
    let vault = service.vault_of(&caller)?;
    let signed = Signed::read(body.statement.get().as_bytes())?;
    let Statement::Disclosure(disclosure) = &signed.statement else {
        return Err(bad("/statement", "a disclosure"));
    };
    service.check_open_to(&signed)?;
    let clips = service
        .check_openings(vault.id, disclosure, &body.openings)
        .await?;
    let shown = vaults::Disclosure {
        vault_id: vault.id,
        clips,
        until: disclosure.request.is_none().then_some(disclosure.expires),
    };
    service.judge_now(&signed)?;
    let id = signed.id;
    // Goes on if the client hangs up: what is recorded is logged or deleted.
    let logging = tokio::spawn(record_and_log(service.clone(), signed, shown, turn));
    let sequenced = logging.await.map_err(ApiError::internal)??;
    service.answer(id, sequenced).await
}

/// Records what a disclosure shows, durably before it is logged; if it is not, nothing stays.
async fn record_and_log(
    service: Arc<Service>,
    signed: Signed,
    shown: vaults::Disclosure,
    turn: Turn,
) -> Result<Sequenced, ApiError> {
    let id = signed.id;
    let _way = service.disclosures.begin(id).ok_or(ApiError::Busy)?;
    let now = service.clock.now();
    service.vaults.record_disclosure(id, &shown, now)?;
    let sequenced = service.take_turn(signed, turn).await;
    if sequenced.is_err() && service.ledger.journal().find(&id)?.is_none() {
        service.vaults.forget_unlogged(id)?;
    }
    sequenced
}

impl Service {
    /// The collected disclosure for the agency that makes this call.
    fn disclosure_for(&self, call: &Parts, id: &str) -> Result<LoggedDisclosure, ApiError> {
        let caller = self.caller(call)?;
        let (party, fact) = self.calling_party(&caller)?;
        let logged = self.logged_disclosure(id)?;
        let asked = |request: &RequestFact| request.agency == party;
        if !logged.request.as_ref().is_some_and(asked) || fact.standing != Standing::Live {
            return Err(ApiError::Forbidden(
                "the agency that asked, in good standing",
            ));
        }
        logged.check_collected(self)?;
        Ok(logged)
    }

    fn logged_disclosure(&self, id: &str) -> Result<LoggedDisclosure, ApiError> {
        let missing = || ApiError::NotFound("no such disclosure in this log");
        let id = super::statements::statement_id(id)?;
        let (index, _) = self.ledger.find_published(&id)?.ok_or_else(missing)?;
        let facts = JournalFacts(self.ledger.journal());
        let fact = facts.disclosure(&index)?.ok_or_else(missing)?;
        let request = match &fact.request {
            Some(request) => Some(facts.request(request)?.ok_or_else(missing)?),
            None => None,
        };
        let leaf = self
            .ledger
            .journal()
            .leaf(index.as_u64())?
            .ok_or_else(missing)?;
        let leaf = Leaf::parse(&leaf).map_err(ApiError::internal)?;
        let (_, statement) = parse_payload(&leaf.envelope.payload).map_err(ApiError::internal)?;
        match statement {
            Statement::Disclosure(statement) => Ok(LoggedDisclosure {
                id,
                statement,
                fact,
                request,
            }),
            _ => Err(missing()),
        }
    }

    /// The door rule: each opening opens its commitment, and names a body that the vault holds.
    async fn check_openings(
        &self,
        vault: VaultId,
        disclosure: &Disclosure,
        openings: &[ShownOpening],
    ) -> Result<Vec<ShownClip>, ApiError> {
        if openings.len() != disclosure.clips.len() {
            return Err(bad("/openings", "one for each clip of the statement"));
        }
        let mut shown = Vec::new();
        for (opening, clip) in openings.iter().zip(&disclosure.clips) {
            let parsed = Opening::parse(&opening.opening).ok();
            let parsed = parsed.filter(|o| Commitment::of(o) == clip.commitment);
            let body = parsed.as_ref().and_then(committed_body);
            let body = body.ok_or_else(|| {
                bad(
                    "/openings",
                    "the opening of the commitment: body, key and nothing besides, 512 bytes at most",
                )
            })?;
            let clip_id = clip_id(&opening.clip.to_string())?;
            let stored = self.body_digest(vault, clip_id, opening.body_length);
            if stored.await? != body {
                return Err(bad("/openings", "the opening of a clip in this vault"));
            }
            shown.push(ShownClip {
                clip_id,
                opening: opening.opening.clone(),
                body_length: opening.body_length,
            });
        }
        Ok(shown)
    }

    /// SHA-256 of the first `length` bytes of a clip's body.
    async fn body_digest(
        &self,
        vault: VaultId,
        clip: ClipId,
        length: u64,
    ) -> Result<Digest, ApiError> {
        let clips = self.clips.clone();
        blocking(move || {
            let part = Part::Body;
            let file = clips.file(&Place { vault, clip, part })?;
            let file = file.ok_or(ApiError::NotFound("no such clip"))?;
            let digest = sha256(&file, length).map_err(ApiError::internal)?;
            digest.ok_or_else(|| bad("body_length", "at most the stored length"))
        })
        .await
    }

    /// Header ‖ body of a disclosure's clip that was handed over, as an age file.
    async fn sealed_clip(
        &self,
        id: StatementId,
        n: usize,
        caching: String,
        request: &HeaderMap,
    ) -> Result<Response, ApiError> {
        let handed_over = self.vaults.handed_over(id, n)?;
        let handed_over = handed_over.ok_or(NOT_HANDED_OVER)?;
        let header_bytes = handed_over.header.ok_or(NO_LONGER_KEPT)?;
        let clip = handed_over.clip;
        let file = self.clips.file(&Place {
            vault: handed_over.vault_id,
            clip: clip.clip_id,
            part: Part::Body,
        })?;
        let file = file.ok_or(ApiError::Gone("the resident has deleted this clip"))?;
        let content = Content {
            // The header is made for one disclosure, and the log commits to the body under it.
            etag: Digest::of(&header_bytes).to_string(),
            start: header_bytes.into(),
            file,
            file_length: clip.body_length,
        };
        let text = |text: &str| HeaderValue::from_str(text).map_err(ApiError::internal);
        let headers = [
            (OPENING, text(&clip.opening)?),
            (header::CONTENT_TYPE, text("application/age")?),
            (header::CACHE_CONTROL, text(&caching)?),
        ];
        Ok((headers, content.answer(request).await?).into_response())
    }

    /// Deletes what was recorded for disclosures that were not logged within an hour: a crash came
    /// between.
    pub(super) fn forget_unlogged(&self) -> Result<(), ApiError> {
        let Some(before) = self.clock.now().checked_add_seconds(-UNLOGGED) else {
            return Ok(());
        };
        for id in self.vaults.unlogged_disclosures(before)? {
            let Some(_way) = self.disclosures.begin(id) else {
                continue;
            };
            match self.ledger.journal().find(&id)? {
                Some(_) => self.vaults.disclosure_logged(id)?,
                None => self.vaults.forget_unlogged(id)?,
            }
        }
        Ok(())
    }

    /// Deletes headers and notes handed over to agencies more than a week ago, and the headers of what is no
    /// longer public.
    pub(super) fn forget_handed_over(&self) -> Result<(), ApiError> {
        let now = self.clock.now();
        if let Some(before) = now.checked_add_seconds(-KEPT) {
            self.vaults.forget_handed_over(before)?;
        }
        let facts = JournalFacts(self.ledger.journal());
        for id in self.vaults.public_disclosures()? {
            let fact = match self.ledger.journal().find(&id)? {
                Some(index) => facts.disclosure(&LeafIndex::new(index))?,
                None => None,
            };
            let over = |fact: DisclosureFact| fact.withdrawn.is_some() || fact.expires <= now;
            if fact.is_some_and(over) {
                self.vaults.forget_disclosed(id)?;
            }
        }
        Ok(())
    }
}

fn bad(member: &'static str, accepted: &str) -> ApiError {
    ApiError::BadRequest {
        member,
        accepted: accepted.to_owned(),
    }
}
