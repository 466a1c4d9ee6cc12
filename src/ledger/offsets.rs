//! How far the clocks of the witnesses are from this server's (PROTOCOL section 3, *The server's clock*).
//!
//! An operator's clock dates every entry, and the rules count waits, notices and expiries by it. The
//! witnesses are the clocks that nobody can set who can set this one. So a witness's cosignature is
//! compared with the time of day at which it came, and statements are sequenced only while the witnesses
//! that are within [`MOST`] seconds make a quorum.
//!
//! An offset is known of the moment of an answer. It is carried on by the monotonic clock: a witness that
//! is away keeps the offset that it had, and where this server's clock is set meanwhile, all offsets move.
//!
//! What is measured is a little less than the true offset. A cosignature's time is cut to the second, and
//! is made before the answer comes. So a witness seems to be slower than it is, by up to a second and the
//! time that the answer took. This errs on the side of the log: a clock that is ahead is found out at
//! [`MOST`] seconds or before, and whatever it dates within them counts for readers, who allow as many. A
//! clock that is behind may be so by the time of one answer more, where readers allow 15 minutes.
//!
//! Pure: no clock, no network. Not here: whether a cosignature holds.

use std::collections::BTreeSet;

use crate::time::{Moment, Time};
use crate::tlog::note::VerifierKey;
use crate::tlog::policy::{MAX_AHEAD, Policy};

/// The furthest that the clock of a witness may be from this server's for the two to agree, in seconds:
/// what readers allow an entry to be ahead of the cosignatures that count for it.
pub const MOST: i64 = MAX_AHEAD;

/// Whether a clock that is so many seconds ahead of this server's (behind, if negative) agrees with it.
pub fn agrees(offset: i64) -> bool {
    (-MOST..=MOST).contains(&offset)
}

/// By how many seconds a cosignature's time is ahead of the time of day at which it came.
pub fn offset(cosigned: Time, came: Moment) -> i64 {
    cosigned.seconds_since(came.wall)
}

/// The offset of a key's clock at the moment at which it was measured.
#[derive(Debug, Clone)]
struct Measured {
    key: VerifierKey,
    offset: i64,
    at: Moment,
}

impl Measured {
    fn carried_to(&self, now: Moment) -> i64 {
        self.offset.saturating_sub(now.set_since(self.at))
    }
}

/// The offsets of a policy's witnesses, as far as they have answered.
#[derive(Debug)]
pub struct Offsets {
    policy: Policy,
    /// One for each key: another policy may give a witness's name to another key, whose clock is another one.
    measured: Vec<Measured>,
}

impl Offsets {
    /// None is known yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            measured: Vec::new(),
        }
    }

    /// From here on the witnesses of this policy count. What was measured of their keys before goes on.
    pub fn change_policy(&mut self, policy: Policy) {
        let witnesses = policy.witnesses();
        self.measured
            .retain(|measured| witnesses.iter().any(|witness| witness.key == measured.key));
        self.policy = policy;
    }

    /// Takes down that a cosignature made at `cosigned` by this key `came`. It must hold. The last one of a
    /// key counts.
    pub fn measure(&mut self, key: &VerifierKey, cosigned: Time, came: Moment) {
        self.measured.retain(|measured| measured.key != *key);
        self.measured.push(Measured {
            key: key.clone(),
            offset: offset(cosigned, came),
            at: came,
        });
    }

    /// Each witness of the policy by its name, and by how many seconds its clock is ahead of this
    /// server's `now`; `None` until its key has cosigned.
    pub fn at(&self, now: Moment) -> impl Iterator<Item = (&str, Option<i64>)> {
        let witnesses = self.policy.witnesses().iter();
        witnesses.map(move |witness| {
            let mut measured = self.measured.iter();
            let measured = measured.find(|measured| measured.key == witness.key);
            let offset = measured.map(|measured| measured.carried_to(now));
            (witness.name.as_str(), offset)
        })
    }

    /// Whether the witnesses whose clocks agree with this server's `now` make a quorum.
    pub fn confirm(&self, now: Moment) -> bool {
        let agreeing = self
            .at(now)
            .filter(|(_, offset)| offset.is_some_and(agrees));
        let agreeing: BTreeSet<&str> = agreeing.map(|(witness, _)| witness).collect();
        self.policy.quorum_met(&agreeing)
    }
}

#[cfg(test)]
pub(super) mod tests;
