//! `/vault/v1/…`: residents' vaults (PROTOCOL, section 9).
//!
//! The server sees ciphertext, padded sizes and random ids. What belongs to another key is "not
//! found". Vault ids and keys are never logged.

use std::time::{Duration, SystemTime};

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
use super::{ApiError, JSON_BODY, Path, Service, Shared};
use crate::digest::Digest;
use crate::random;
use crate::seal::commitment::UPLOAD_SLOTS;
use crate::store::objects::{Objects as _, Staged};
use crate::store::vaults::{Clip, ClipId, Vault, VaultId};
use crate::wire::vault as wire;

/// The parts of a clip.
const PARTS: [&str; 3] = ["header", "body", "metadata"];
/// The largest header and metadata, in bytes; the quota bounds the body.
const MAX_SMALL_PART: u64 = 1 << 20;
/// How long the parts of a clip may wait to be completed.
const INCOMPLETE: Duration = Duration::from_secs(86_400);

/// `POST /vault/v1/enrol`.
pub async fn enrol(State(service): Shared, request: Request) -> Result<Response, ApiError> {
    let (caller, body) = service.signed_json::<wire::Enrol>(request).await?;
    let key = caller.key.to_bytes();
    let known = service.vaults.vault_by_key(key)?.is_some();
    if !known {
        service.check_open()?;
    }
    let vault = service.vaults.enrol(
        Digest::of(&body.code),
        key,
        VaultId::from_bytes(random::bytes()),
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
    let path = part_path(vault.id, clip_id(&clip)?, &part)?;
    let length = content_length(&parts)?;
    if part != "body" && length > MAX_SMALL_PART {
        return Err(ApiError::TooLarge {
            most: MAX_SMALL_PART,
        });
    }
    let known = service.clips.file(&path)?.is_some();
    if !known {
        service.check_open()?;
    }
    let stored = service.stored_bytes(vault.id)?;
    if !known && stored.saturating_add(length) > vault.quota_bytes {
        let left = vault.quota_bytes.saturating_sub(stored);
        return Err(ApiError::Quota(format!(
            "{length} bytes, and the quota leaves {left}"
        )));
    }
    let (staged, digest) = receive(&service, body, length).await?;
    caller.check_digest(digest)?;
    blocking(move || Ok(staged.commit(&path)?)).await?;
    Ok(if known {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    })
}

/// `GET /vault/v1/clips/{clip}/{part}`.
pub async fn part(
    State(service): Shared,
    Path((clip, part)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let (vault, _) = service.callers_vault(&parts)?;
    let path = part_path(vault.id, clip_id(&clip)?, &part)?;
    let file = service.clips.file(&path)?;
    let file = file.ok_or(ApiError::NotFound("no such part in this vault"))?;
    let length = file.metadata().map_err(ApiError::internal)?.len();
    let stream = tokio_util::io::ReaderStream::new(tokio::fs::File::from_std(file));
    Ok((
        [
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::CONTENT_LENGTH, length.to_string()),
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ],
        Body::from_stream(stream),
    )
        .into_response())
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
    if body.commitments.len() != UPLOAD_SLOTS || !ascending {
        return Err(ApiError::BadRequest {
            member: "/commitments",
            accepted: format!("{UPLOAD_SLOTS} commitments, ascending, each once"),
        });
    }
    let known = service
        .vaults
        .clips(vault.id)?
        .iter()
        .any(|(id, _)| *id == clip);
    // Its commitments would come into no batch any more.
    if !known {
        service.check_open()?;
    }
    let size = |part| {
        let file = service.clips.file(&part_path(vault.id, clip, part)?)?;
        let file = file.ok_or_else(|| {
            ApiError::Conflict("incomplete-clip", format!("upload its {part} first"))
        })?;
        Ok::<_, ApiError>(file.metadata().map_err(ApiError::internal)?.len())
    };
    let (header_size, body_size, meta_size) = (size("header")?, size("body")?, size("metadata")?);
    let commitments: Vec<[u8; 32]> = body.commitments.iter().map(|c| *c.as_bytes()).collect();
    let path = part_path(vault.id, clip, "body")?;
    let stored = Clip {
        header_size,
        body_size,
        meta_size,
        body_sha256: service.hash_object(path, body_size).await?,
    };
    service
        .vaults
        .add_clip(vault.id, clip, stored, &commitments)?;
    Ok(if known {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    })
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
    // The row first: a clip that is listed has its parts.
    service.vaults.remove_clip(vault.id, clip)?;
    for part in PARTS {
        service.clips.remove(&part_path(vault.id, clip, part)?)?;
    }
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
        let body = axum::body::to_bytes(body, most).await;
        let body = body.map_err(|error| ApiError::unread(&error, most))?;
        caller.check_body(&body)?;
        Ok((caller, body))
    }

    /// The vault of the key that signed a call, and the call's signature, whose body is checked later.
    fn callers_vault(&self, parts: &Parts) -> Result<(Vault, Caller), ApiError> {
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

    /// Bytes on disk of a vault, of clips not completed too.
    fn stored_bytes(&self, vault: VaultId) -> Result<u64, ApiError> {
        let mut total = 0;
        for path in self.clips.list(&vault.to_string())? {
            if let Some(file) = self.clips.file(&path)? {
                total += file.metadata().map_err(ApiError::internal)?.len();
            }
        }
        Ok(total)
    }

    /// SHA-256 of the first `length` bytes of a stored object.
    pub(super) async fn hash_object(&self, path: String, length: u64) -> Result<Digest, ApiError> {
        let clips = self.clips.clone();
        blocking(move || {
            use std::io::Read as _;
            let file = clips
                .file(&path)?
                .ok_or(ApiError::NotFound("no such clip"))?;
            let mut hasher = Sha256::new();
            let mut file = std::io::BufReader::with_capacity(1 << 16, file.take(length));
            let copied = std::io::copy(&mut file, &mut Hashing(&mut hasher));
            if copied.map_err(ApiError::internal)? != length {
                return Err(ApiError::BadRequest {
                    member: "body_length",
                    accepted: "at most the stored length".to_owned(),
                });
            }
            Ok(Digest::from_bytes(hasher.finalize().into()))
        })
        .await
    }

    /// Deletes parts of clips that were never completed.
    pub(super) fn sweep_clips(&self) -> Result<(), ApiError> {
        for path in self.clips.list("")? {
            let mut names = path.split('/');
            let id = |name: Option<&str>| name.and_then(|n| n.parse::<wire::HexId>().ok());
            let (Some(vault), Some(clip)) = (id(names.next()), id(names.next())) else {
                continue;
            };
            let vault = VaultId::from_bytes(*vault.as_bytes());
            let clip = ClipId::from_bytes(*clip.as_bytes());
            if self.vaults.clips(vault)?.iter().any(|(id, _)| *id == clip) {
                continue;
            }
            if let Some(file) = self.clips.file(&path)? {
                let modified = file.metadata().and_then(|m| m.modified());
                let age = SystemTime::now().duration_since(modified.map_err(ApiError::internal)?);
                if age.is_ok_and(|age| age > INCOMPLETE) {
                    self.clips.remove(&path)?;
                }
            }
        }
        Ok(())
    }
}

struct Hashing<'a>(&'a mut Sha256);

impl std::io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
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

/// Writes a body of exactly `length` bytes to a staged object; its SHA-256.
async fn receive(
    service: &Service,
    mut body: Body,
    length: u64,
) -> Result<(Box<dyn Staged>, [u8; 32]), ApiError> {
    let mut staged = service.clips.begin()?;
    let (chunks, mut received) = mpsc::channel::<Bytes>(8);
    let writer = tokio::task::spawn_blocking(move || {
        let mut hasher = Sha256::new();
        while let Some(chunk) = received.blocking_recv() {
            hasher.update(&chunk);
            staged.write_all(&chunk).map_err(ApiError::internal)?;
        }
        Ok::<_, ApiError>((staged, hasher.finalize().into()))
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

fn content_length(parts: &Parts) -> Result<u64, ApiError> {
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

/// Where a part of a clip lies.
pub(super) fn part_path(vault: VaultId, clip: ClipId, part: &str) -> Result<String, ApiError> {
    if PARTS.contains(&part) {
        Ok(format!("{vault}/{clip}/{part}"))
    } else {
        Err(ApiError::NotFound(
            "a clip has a header, a body and metadata",
        ))
    }
}
