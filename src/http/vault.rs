//! `/vault/v1/…`: residents' vaults (PROTOCOL, section 9).
//!
//! The server sees ciphertext, padded sizes and random ids. What belongs to another key is "not
//! found". Vault ids and keys are never logged.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::auth::Caller;
use super::door::Client;
use super::limits::Place;
use super::ranges::Content;
use super::{ApiError, JSON_BODY, Path, Service, Shared};
use crate::digest::Digest;
use crate::random;
use crate::seal::commitment::UPLOAD_SLOTS;
use crate::statement::facts::FactsExt as _;
use crate::statement::key::PublicKey;
use crate::store::clips::{Arriving, Part, Piece, Place as PartPlace, sha256};
use crate::store::facts::JournalFacts;
use crate::store::vaults::{Clip, ClipId, Vault, VaultId};
use crate::wire::vault as wire;

/// The largest header and metadata, in bytes; the quota bounds the body.
pub(super) const MAX_SMALL_PART: u64 = 1 << 20;

/// `POST /vault/v1/enrol`.
pub async fn enrol(State(service): Shared, request: Request) -> Result<Response, ApiError> {
    let (caller, body) = service.signed_json::<wire::Enrol>(request).await?;
    let key = caller.key.to_bytes();
    let known = service.vaults.vault_by_key(key)?.is_some();
    if !known {
        service.check_open()?;
    }
    let id = body.vault.map(|id| *id.as_bytes());
    let vault = service.vaults.enrol(
        Digest::of(&body.code),
        key,
        VaultId::from_bytes(id.unwrap_or_else(random::bytes)),
        service.clock.now(),
    )?;
    let status = if known {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let enrolled = wire::Enrolled {
        vault: wire::HexId::from_bytes(*vault.id.as_bytes()),
        quota_bytes: vault.quota_bytes,
        quota_clips: vault.quota_clips,
    };
    Ok((status, Json(enrolled)).into_response())
}

/// `PUT /vault/v1/notice-recipient`.
pub async fn put_notice_recipient(
    State(service): Shared,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (caller, body) = service
        .signed_json::<wire::NoticeRecipient>(request)
        .await?;
    let vault = service.vault_of(&caller)?;
    let new = service
        .vaults
        .set_notice_recipient(vault.id, &body.recipient)?;
    Ok(if new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    })
}

/// `GET /vault/v1/vault`.
pub async fn describe(
    State(service): Shared,
    request: Request,
) -> Result<Json<wire::Vault>, ApiError> {
    let (parts, _) = request.into_parts();
    let (vault, _) = service.callers_vault(&parts)?;
    let stored = |(id, clip): (ClipId, Clip)| wire::StoredClip {
        clip: wire::HexId::from_bytes(*id.as_bytes()),
        header_size: clip.header_size,
        body_size: clip.body_size,
        metadata_size: clip.meta_size,
    };
    let clips = service.vaults.clips(vault.id)?;
    Ok(Json(wire::Vault {
        vault: wire::HexId::from_bytes(*vault.id.as_bytes()),
        quota_bytes: vault.quota_bytes,
        used_bytes: vault.used_bytes,
        quota_clips: vault.quota_clips,
        clips: clips.into_iter().map(stored).collect(),
    }))
}

/// `PUT /vault/v1/clips/{clip}/{part}`.
pub async fn put_part(
    State(service): Shared,
    Path((clip, part)): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (parts, body) = request.into_parts();
    let (vault, caller) = service.callers_vault(&parts)?;
    let place = part_place(vault.id, &clip, &part)?;
    let length = content_length(&parts)?;
    if place.part != Part::Body && length > MAX_SMALL_PART {
        return Err(ApiError::TooLarge {
            most: MAX_SMALL_PART,
        });
    }
    let _place = service.admit_body(&parts, &caller)?;
    let sink = blocking(move || match service.clips.known(&place)? {
        Some(file) => Ok(Sink::Known(file)),
        None => {
            service.check_open()?;
            Ok(Sink::New(service.clips.reserve(place, length)?))
        }
    });
    let (sink, digest) = receive(sink.await?, body, length).await?;
    caller.check_digest(digest)?;
    blocking(move || sink.keep(digest)).await
}

/// `GET /vault/v1/clips/{clip}/{part}`.
pub async fn part(
    State(service): Shared,
    Path((clip, part)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let (vault, _) = service.callers_vault(&parts)?;
    let file = service.clips.file(&part_place(vault.id, &clip, &part)?)?;
    let file = file.ok_or(ApiError::NotFound("no such part in this vault"))?;
    let found = file.metadata().map_err(ApiError::internal)?;
    let content = Content {
        // A part never changes; one that was removed and sent again is another file.
        etag: format!("{:x}-{:x}", found.ino(), found.len()),
        start: Bytes::new(),
        file,
        file_length: found.len(),
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, content.answer(&parts.headers).await?).into_response())
}

/// `POST /vault/v1/clips/{clip}`.
pub async fn complete(
    State(service): Shared,
    Path(clip): Path<String>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (caller, body) = service.signed_json::<wire::Complete>(request).await?;
    let vault = service.vault_of(&caller)?;
    let clip = clip_id(&clip)?;
    let ascending = body.commitments.windows(2).all(|w| w[0] < w[1]);
    if !matches!(body.commitments.len(), 0 | UPLOAD_SLOTS) || !ascending {
        return Err(ApiError::BadRequest {
            member: "/commitments",
            accepted: format!("{UPLOAD_SLOTS} commitments, ascending, each once"),
        });
    }
    let commitments: Vec<[u8; 32]> = body.commitments.iter().map(|c| *c.as_bytes()).collect();
    blocking(move || {
        let known = service.vaults.clip(vault.id, clip)?.is_some();
        // Its commitments would come into no batch any more.
        if !known && !commitments.is_empty() {
            service.check_open()?;
        }
        service.clips.complete(vault.id, clip, &commitments)?;
        Ok(if known {
            StatusCode::OK
        } else {
            StatusCode::CREATED
        })
    })
    .await
}

/// `DELETE /vault/v1/clips/{clip}`.
pub async fn remove(
    State(service): Shared,
    Path(clip): Path<String>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (parts, _) = request.into_parts();
    let (vault, _) = service.callers_vault(&parts)?;
    let clip = clip_id(&clip)?;
    blocking(move || Ok(service.clips.remove(vault.id, clip)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Service {
    /// A signed call's JSON body, and who signed it.
    pub(super) async fn signed_json<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<(Caller, T), ApiError> {
        let (caller, body) = self.signed_body(request, JSON_BODY).await?;
        // An array would be read as the members in their order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(ApiError::BadRequest {
                member: "body",
                accepted: "a JSON object".to_owned(),
            });
        }
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = T::deserialize(&mut json).and_then(|value| json.end().map(|()| value));
        match value {
            Ok(value) => Ok((caller, value)),
            Err(error) => Err(ApiError::BadRequest {
                member: "body",
                accepted: error.to_string(),
            }),
        }
    }

    /// A signed call's body of at most `most` bytes, and who signed it.
    pub(super) async fn signed_body(
        &self,
        request: Request,
        most: usize,
    ) -> Result<(Caller, Bytes), ApiError> {
        let (parts, body) = request.into_parts();
        let caller = self.caller(&parts)?;
        let _place = self.admit_body(&parts, &caller)?;
        let body = axum::body::to_bytes(body, most).await;
        let body = body.map_err(|error| ApiError::unread(&error, most))?;
        caller.check_body(&body)?;
        Ok((caller, body))
    }

    /// A place for a body on its way: among those of its key, or, if nobody knows that, of its address.
    pub(super) fn admit_body(&self, parts: &Parts, caller: &Caller) -> Result<BodyPlace, ApiError> {
        let facts = JournalFacts(self.ledger.journal());
        let known = self.vaults.vault_by_key(caller.key.to_bytes())?.is_some()
            || facts.key(&caller.key)?.is_some();
        if known {
            return Ok(BodyPlace::Key(self.door.take_body(&caller.key)?));
        }
        let client = parts.extensions.get::<Client>();
        let client = client.ok_or_else(|| ApiError::internal("a request from nowhere"))?;
        Ok(BodyPlace::Stranger(self.door.take_strangers_body(client)?))
    }

    /// The vault of the key that signed a call, and the call's signature, whose body is checked later.
    pub(super) fn callers_vault(&self, parts: &Parts) -> Result<(Vault, Caller), ApiError> {
        let caller = self.caller(parts)?;
        Ok((self.vault_of(&caller)?, caller))
    }

    /// The vault of the key that signed a call.
    pub(super) fn vault_of(&self, caller: &Caller) -> Result<Vault, ApiError> {
        let vault = self.vaults.vault_by_key(caller.key.to_bytes())?;
        let vault = vault.ok_or(ApiError::NotFound("no vault of this key"))?;
        self.accept_once(caller)?;
        Ok(vault)
    }
}

/// The place of a body on its way; free again when this is dropped.
#[expect(dead_code, reason = "dropping it frees the place")]
pub(super) enum BodyPlace {
    Key(Option<Place<PublicKey>>),
    Stranger(Option<Place<Client>>),
}

/// Where a part goes that is being received.
pub(super) enum Sink {
    /// It is stored already: what comes is compared.
    Known(File),
    New(Arriving),
    /// A piece of a part.
    Piece(Piece),
}

impl Sink {
    /// Stores what was received, whose SHA-256 is `digest`.
    fn keep(self, digest: [u8; 32]) -> Result<StatusCode, ApiError> {
        let stored = match self {
            Self::New(arriving) => {
                arriving.commit()?;
                return Ok(StatusCode::CREATED);
            }
            Self::Piece(_) => return Err(ApiError::internal("a piece is kept by its call")),
            Self::Known(stored) => stored,
        };
        let length = stored.metadata().map_err(ApiError::internal)?.len();
        let stored = sha256(&stored, length).map_err(ApiError::internal)?;
        if stored != Some(Digest::from_bytes(digest)) {
            return Err(ApiError::other_content());
        }
        Ok(StatusCode::OK)
    }
}

/// Runs what blocks on a thread made for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(ApiError::internal)?
}

/// Takes a body of exactly `length` bytes; its SHA-256.
pub(super) async fn receive(
    mut sink: Sink,
    mut body: Body,
    length: u64,
) -> Result<(Sink, [u8; 32]), ApiError> {
    let (chunks, mut received) = mpsc::channel::<Bytes>(8);
    let writer = tokio::task::spawn_blocking(move || {
        let mut hasher = Sha256::new();
        while let Some(chunk) = received.blocking_recv() {
            hasher.update(&chunk);
            match &mut sink {
                Sink::New(arriving) => arriving.write_all(&chunk),
                Sink::Piece(piece) => piece.write_all(&chunk),
                Sink::Known(_) => Ok(()),
            }
            .map_err(ApiError::internal)?;
        }
        Ok::<_, ApiError>((sink, hasher.finalize().into()))
    });
    let mut arrived = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiError::unread(&error, 0))?;
        let Ok(chunk) = frame.into_data() else {
            return Err(cut_short());
        };
        arrived += chunk.len() as u64;
        if arrived > length {
            return Err(ApiError::TooLarge { most: length });
        }
        if chunks.send(chunk).await.is_err() {
            break;
        }
    }
    drop(chunks);
    let written = writer.await.map_err(ApiError::internal)??;
    if arrived == length {
        Ok(written)
    } else {
        Err(cut_short())
    }
}

fn cut_short() -> ApiError {
    ApiError::BadRequest {
        member: "body",
        accepted: "as many bytes as Content-Length says".to_owned(),
    }
}

pub(super) fn content_length(parts: &Parts) -> Result<u64, ApiError> {
    super::auth::text(&parts.headers, header::CONTENT_LENGTH.as_str())
        .and_then(|length| length.parse().ok())
        .ok_or_else(|| ApiError::BadRequest {
            member: "Content-Length",
            accepted: "the body's length in bytes".to_owned(),
        })
}

/// A clip's id as it stands in a path.
pub(super) fn clip_id(text: &str) -> Result<ClipId, ApiError> {
    let id: wire::HexId = text.parse().map_err(|_| ApiError::BadRequest {
        member: "clip",
        accepted: "32 lower-case hexadecimal digits".to_owned(),
    })?;
    Ok(ClipId::from_bytes(*id.as_bytes()))
}

/// Where a part of a clip lies, by the names in a path.
pub(super) fn part_place(vault: VaultId, clip: &str, part: &str) -> Result<PartPlace, ApiError> {
    let clip = clip_id(clip)?;
    let part = Part::named(part).ok_or(ApiError::NotFound(
        "a clip has a header, a body and metadata",
    ))?;
    Ok(PartPlace { vault, clip, part })
}
