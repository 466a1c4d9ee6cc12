//! How old a checkpoint may be: a log that stands still may hide what was added since.

use crate::time::Time;
use crate::tlog::policy::{Policy, PolicyError, WitnessedCheckpoint};

/// A checkpoint that satisfies a policy at some time.
#[derive(Debug)]
pub struct Seen {
    pub witnessed: WitnessedCheckpoint,
    /// Why it does not satisfy the policy now, if its cosignatures are too old or ahead.
    pub stale: Option<PolicyError>,
}

/// Verifies a checkpoint, and how fresh it is at `now`; without a time, freshness is not asked for.
///
/// # Errors
/// [`PolicyError`] for a checkpoint that would not count at any time.
pub fn verify(policy: &Policy, note: &[u8], now: Option<Time>) -> Result<Seen, PolicyError> {
    let fresh = now.map(|now| policy.verify_fresh(note, now));
    match fresh {
        Some(Ok(witnessed)) => Ok(Seen {
            witnessed,
            stale: None,
        }),
        Some(Err(stale)) => Ok(Seen {
            witnessed: policy.verify(note, None, None)?,
            stale: Some(stale),
        }),
        None => Ok(Seen {
            witnessed: policy.verify(note, None, None)?,
            stale: None,
        }),
    }
}
