//! What is promised about a clip, or a decision, before anyone asks.
//!
//! A commitment is the digest of an SD-JWT disclosure (RFC 9901, [`Opening`]) and looks random to
//! everybody without the opening, so that clips, decisions and filling cannot be told apart. age
//! payloads do not commit to their key: a body can be made that opens to two films under two
//! keys. A clip's opening therefore names the body *and* its key.

use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::digest::{Digest, StatementId, hex32};
use crate::seal::{FileKey, keys};
use crate::statement::sealed::Opening;

/// How many commitments, each with a salt of its own, a device enters for one clip.
pub const CLIP_COMMITMENTS: usize = 4;

/// The most commitments of one clip, where it enters further ones since a list is lost that may have the first.
pub const MAX_CLIP_COMMITMENTS: usize = 4 * CLIP_COMMITMENTS;

/// How many commitments every upload carries.
pub const UPLOAD_SLOTS: usize = 8;

/// How many decisions one upload can carry.
pub const DECISION_SLOTS: usize = UPLOAD_SLOTS - CLIP_COMMITMENTS;

/// The longest text of a clip's opening that a vault keeps, in bytes: the canonical one has 271.
pub const MAX_CLIP_OPENING: usize = 512;

const CLIP: &str = "clip";
const DECISION: &str = "decision";
const FITS: &str = "32 bytes are salt enough, and the value is short";

hex32! {
    /// The digest of an opening that is not shown yet.
    Commitment
}

impl Commitment {
    /// The commitment that `opening` opens.
    pub fn of(opening: &Opening) -> Self {
        Self::from_bytes(*opening.digest().as_bytes())
    }
}

/// How an opening, a body and a file key fail to be the clip that was committed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the opening is not the one committed to")]
    Commitment,
    #[error("the opening is not of a clip")]
    NotAClip,
    #[error("the body is not the one committed to")]
    Body,
    #[error("the file key is not the one committed to")]
    Key,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClipValue {
    body: Digest,
    key: Digest,
}

/// The opening `[salt,"clip",{"body":…,"key":…}]` of a clip.
pub fn clip_opening(salt: &[u8; 32], body_digest: &Digest, file_key: &FileKey) -> Opening {
    let key = Digest::from_bytes(*keys::clip_key(file_key));
    Opening::new(salt, CLIP, &json!({ "body": body_digest, "key": key })).expect(FITS)
}

/// The opening `[salt,"decision",<statement id>]` of the decision about a request.
pub fn decision_opening(salt: &[u8; 32], request: &StatementId) -> Opening {
    Opening::new(salt, DECISION, &json!(request)).expect(FITS)
}

/// The SHA-256 of the body that a clip's opening names; `None` if it is no clip's, or longer than
/// [`MAX_CLIP_OPENING`].
pub fn committed_body(opening: &Opening) -> Option<Digest> {
    if opening.encode().len() > MAX_CLIP_OPENING || opening.name() != CLIP {
        return None;
    }
    opening.object::<ClipValue>().map(|clip| clip.body)
}

/// Checks that `commitment`, in the log, is to the clip with this body and this file key.
pub fn verify_clip(
    commitment: &Commitment,
    opening: &Opening,
    body_digest: &Digest,
    file_key: &FileKey,
) -> Result<(), Mismatch> {
    if opening.digest().as_bytes() != commitment.as_bytes() {
        return Err(Mismatch::Commitment);
    }
    if opening.name() != CLIP {
        return Err(Mismatch::NotAClip);
    }
    let committed: ClipValue = opening.object().ok_or(Mismatch::NotAClip)?;
    if committed.body != *body_digest {
        return Err(Mismatch::Body);
    }
    let same_key = committed.key.as_bytes().ct_eq(&*keys::clip_key(file_key));
    if !bool::from(same_key) {
        return Err(Mismatch::Key);
    }
    Ok(())
}

/// Whether `commitment`, in the log, is to the decision about `request`.
pub fn is_decision(commitment: &Commitment, opening: &Opening, request: &StatementId) -> bool {
    opening.digest().as_bytes() == commitment.as_bytes()
        && opening.name() == DECISION
        && opening.value().as_str().and_then(|id| id.parse().ok()) == Some(*request)
}

/// The commitments that go with one clip's upload: the clip's, up to [`DECISION_SLOTS`] of
/// `decisions`, and random ones for the rest, in ascending order.
///
/// Their number and order say nothing. Decisions beyond the first [`DECISION_SLOTS`] are not
/// among them; the caller keeps those for its next clip. `random` yields 32 fresh random bytes.
pub fn upload_slots(
    clip: [Commitment; CLIP_COMMITMENTS],
    decisions: &[Commitment],
    mut random: impl FnMut() -> [u8; 32],
) -> [Commitment; UPLOAD_SLOTS] {
    let decisions = decisions.iter().take(DECISION_SLOTS);
    let mut given = clip.iter().chain(decisions).copied();
    let mut slots = std::array::from_fn(|_| {
        given
            .next()
            .unwrap_or_else(|| Commitment::from_bytes(random()))
    });
    slots.sort_unstable();
    slots
}

#[cfg(test)]
mod tests;
