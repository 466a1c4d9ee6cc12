//! A refusal, proved to a stranger who has nothing but a trust file.
//!
//! The file shows the signed `decision`, the opening of its commitment, the commitment's place in a
//! batch, and the proof that the batch stands in the log. Whoever holds it learns one thing: that
//! this request was refused by then. Who refused, it does not tell.

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, StatementId};
use crate::encoding::json_error;
use crate::seal::batch;
use crate::seal::commitment::{Commitment, is_decision};
use crate::statement::envelope::Envelope;
use crate::statement::leaf::Leaf;
use crate::statement::sealed::Opening;
use crate::statement::{Author, Signed, Statement, parse_payload};
use crate::time::Time;
use crate::tlog::policy::Policy;
use crate::tlog::proof::{TlogProof, TlogProofError};
use crate::tlog::tree::LeafIndex;

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 4 << 20;

/// An anchored refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionFile {
    /// The signed `decision`.
    pub envelope: serde_json::Value,
    /// The opening of the commitment in base64url.
    pub opening: String,
    pub commitment: Commitment,
    /// The `commitment-batch` that it stands in, its place there, and the path to the root.
    pub batch: StatementId,
    pub index: u32,
    pub path: Vec<Digest>,
    /// The `.tlog-proof` of the batch.
    pub proof: String,
}

/// What a file proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proved {
    /// The request that was refused.
    pub request: StatementId,
    /// By then.
    pub logged_at: Time,
    pub log: String,
    pub batch_index: LeafIndex,
    /// Who cosigned the checkpoint, and when.
    pub cosignatures: Vec<(String, Time)>,
}

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionFault {
    #[error("it is no file of a decision: {0}")]
    Form(String),
    #[error("the signed decision: {0}")]
    Decision(String),
    #[error("the opening is not that of a refusal of this request under this commitment")]
    Opening,
    #[error("the proof does not hold: {0}")]
    Proof(#[from] TlogProofError),
    #[error("the proof is not of the batch that the file names")]
    OtherEntry,
    #[error("the decision is for the log {0}, the proof of another")]
    OtherLog(String),
    #[error("the commitment is not in the batch: {0}")]
    Batch(#[from] batch::InclusionError),
}

/// Checks a file as a stranger would.
///
/// # Errors
/// [`DecisionFault`].
pub fn check(bytes: &[u8], policy: &Policy) -> Result<Proved, DecisionFault> {
    let form = |why: String| DecisionFault::Form(why);
    if bytes.len() > MAX_FILE {
        return Err(form("larger than 4 MiB".to_owned()));
    }
    let file: DecisionFile = serde_json::from_slice(bytes).map_err(|e| form(json_error(&e)))?;
    let (request, log) = decision(&file)?;
    let opening = Opening::parse(&file.opening).map_err(|_| DecisionFault::Opening)?;
    if !is_decision(&file.commitment, &opening, &request) {
        return Err(DecisionFault::Opening);
    }
    let proof = TlogProof::parse(file.proof.as_bytes())?;
    let leaf = proof.extra.clone().ok_or(DecisionFault::OtherEntry)?;
    let witnessed = proof.verify(&leaf, policy, None, None)?;
    let leaf = Leaf::parse(&leaf).map_err(|_| DecisionFault::OtherEntry)?;
    let counts = witnessed.check_counts_for(leaf.logged_at);
    counts.map_err(TlogProofError::from)?;
    let payload = &leaf.envelope.payload;
    let (_, statement) = parse_payload(payload).map_err(|_| DecisionFault::OtherEntry)?;
    let Statement::CommitmentBatch(batch) = statement else {
        return Err(DecisionFault::OtherEntry);
    };
    if StatementId::of_payload(payload) != file.batch {
        return Err(DecisionFault::OtherEntry);
    }
    if witnessed.checkpoint.origin.as_str() != log {
        return Err(DecisionFault::OtherLog(log));
    }
    let (size, index) = (batch.size.into(), file.index.into());
    batch::verify(&batch.root, size, index, &file.commitment, &file.path)?;
    Ok(Proved {
        request,
        logged_at: leaf.logged_at,
        log,
        batch_index: proof.index,
        cosignatures: witnessed.cosignatures.into_iter().collect(),
    })
}

/// The request that the signed decision refuses, and the log it is for.
fn decision(file: &DecisionFile) -> Result<(StatementId, String), DecisionFault> {
    let fault = |why: String| DecisionFault::Decision(why);
    let json = file.envelope.to_string();
    let envelope = Envelope::parse(json.as_bytes()).map_err(|e| fault(e.to_string()))?;
    let signed = Signed::from_envelope(envelope).map_err(|e| fault(e.to_string()))?;
    let signers: Vec<_> = signed.signers.into_iter().collect();
    match (signed.statement, signed.head.author) {
        (Statement::Decision(decision), Author::OneTimeKey(key)) if signers == [key] => {
            Ok((decision.request, signed.head.log))
        }
        _ => Err(fault(
            "not signed by one one-time key, or no decision".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests;
