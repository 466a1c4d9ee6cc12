//! Evidence that an entry was logged with a time that had not come (`logged-ahead`, PROTOCOL section 3).
//!
//! A `.tlog-proof` whose checkpoint was cosigned so long before the entry's `logged_at` that these
//! cosignatures alone make a quorum. It needs no server and no other file. It rests on the clocks of
//! those witnesses, and on nobody else's.

use std::collections::BTreeMap;

use crate::statement::leaf::Leaf;
use crate::statement::refusal::Refusal;
use crate::time::Time;
use crate::tlog::checkpoint::Origin;
use crate::tlog::policy::{Policy, PolicyError};
use crate::tlog::proof::{TlogProof, TlogProofError};
use crate::tlog::tree::LeafIndex;

/// Why a proof is no such evidence.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AheadError {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Proof(#[from] TlogProofError),
    #[error("it does not carry its entry")]
    NoEntry,
    #[error(
        "it proves that entry {0} stands in the log, and the entry has no time of logging: {1}"
    )]
    NoTime(LeafIndex, Refusal),
    #[error(
        "it proves that entry {index} stands in the log, logged at {logged_at}; no quorum had cosigned it more \
         than 5 minutes before that"
    )]
    NotAhead { index: LeafIndex, logged_at: Time },
}

/// An entry that was logged ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    pub origin: Origin,
    pub index: LeafIndex,
    pub logged_at: Time,
    /// When the witnesses cosigned the checkpoint that covers it, by their names in the policy.
    pub cosigned: BTreeMap<String, Time>,
}

/// What a proof file shows of its entry's time, by the policy of whoever checks it.
///
/// # Errors
/// [`AheadError`]: each way to prove nothing is told apart.
pub fn judge(bytes: &[u8], policy: &Policy) -> Result<Ahead, AheadError> {
    policy.check_independent()?;
    let proof = TlogProof::parse(bytes)?;
    let leaf = proof.extra.as_deref().ok_or(AheadError::NoEntry)?;
    let witnessed = proof.verify(leaf, policy, None, None)?;
    let index = proof.index;
    let parsed = Leaf::parse(leaf).map_err(|refusal| AheadError::NoTime(index, refusal))?;
    let logged_at = parsed.logged_at;
    if !witnessed.shows_ahead(logged_at) {
        return Err(AheadError::NotAhead { index, logged_at });
    }
    Ok(Ahead {
        origin: witnessed.checkpoint.origin,
        index,
        logged_at,
        cosigned: witnessed.cosignatures,
    })
}
