//! How old a checkpoint may be: a log that stands still may hide what was added since.

use crate::time::Time;
use crate::tlog::policy::{Policy, PolicyError, WitnessedCheckpoint};

/// The oldest cosignature that counts, in seconds.
pub const MAX_AGE: i64 = 3600;
/// How far a witness's clock may be ahead, in seconds.
const MAX_AHEAD: i64 = 300;

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
    let witnessed = policy.verify(note, None, None)?;
    let stale = now.and_then(|now| {
        let (oldest, newest) = (now.plus_seconds(-MAX_AGE), now.plus_seconds(MAX_AHEAD));
        policy.verify(note, Some(oldest), Some(newest)).err()
    });
    Ok(Seen { witnessed, stale })
}
