//! The checkpoint in public, and how old it is.

use std::sync::Arc;
use std::time::Duration;

use super::witnesses::Lack;
use crate::time::{Moment, Time};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::policy::MAX_AGE;
use crate::tlog::tree::{LeafIndex, TreeSize};

/// A published checkpoint that is older than this many renewals is stale.
const STALE_RENEWALS: u32 = 3;

/// A published checkpoint, and what its witnesses are doing.
#[derive(Debug, Clone)]
pub struct Published {
    pub checkpoint: Checkpoint,
    /// The signed note as served.
    pub note: Arc<[u8]>,
    /// The checkpoint's time, by its witnesses (PROTOCOL section 3).
    pub at: Time,
    /// What this server's clocks showed when a quorum had answered; `None` if that was before the start.
    pub came: Option<Moment>,
    /// How many entries it counts for: all, unless a wrong clock put the last ones ahead of its time.
    pub counted: TreeSize,
    /// Each witness of the policy, and why its cosignature was not published when it was asked last.
    pub witnesses: Vec<(String, Result<(), Lack>)>,
}

impl Published {
    /// Whether the entry at `index` stands under it, and it counts for that entry.
    pub fn covers(&self, index: LeafIndex) -> bool {
        index.as_u64() < self.counted.as_u64()
    }

    /// How long ago a quorum cosigned it. The clocks of witnesses may be minutes from this
    /// server's, so that only what this server measured itself is as exact as a renewal.
    pub fn age(&self, now: Moment) -> Duration {
        match self.came {
            Some(came) => now.ran.saturating_sub(came.ran),
            None => seconds(now.wall.seconds_since(self.at)),
        }
    }

    /// Why it is too old, where it is cosigned again after each `renew`: its quorum is gone. That is so after
    /// three renewals, and in any case from when readers refuse it as stale.
    pub fn staleness(&self, renew: Duration, now: Moment) -> Option<String> {
        let (age, at) = (self.age(now), self.at);
        if age > renew.saturating_mul(STALE_RENEWALS) {
            let age = age.as_secs();
            return Some(format!("a quorum cosigned it {age} s ago, at {at}"));
        }
        let age = now.wall.seconds_since(at);
        (age > MAX_AGE)
            .then(|| format!("its time is {at}, {age} s ago: readers refuse it after {MAX_AGE} s"))
    }
}

fn seconds(of: i64) -> Duration {
    Duration::from_secs(of.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::hash::EMPTY_ROOT;

    /// Published when a quorum of witnesses answered whose clocks are `ahead` of this server's; `None`: before
    /// the start.
    fn published(ahead: Option<i64>) -> Published {
        let start = moment(0, Duration::ZERO);
        Published {
            checkpoint: Checkpoint {
                origin: "ledger.example/log".parse().unwrap(),
                size: TreeSize::new(0),
                root: EMPTY_ROOT,
            },
            note: Vec::new().into(),
            at: start.wall.plus_seconds(ahead.unwrap_or(0)),
            came: ahead.map(|_| start),
            counted: TreeSize::new(0),
            witnesses: Vec::new(),
        }
    }

    /// So many seconds of the day, and so long of the machine's running.
    fn moment(wall: i64, ran: Duration) -> Moment {
        let start: Time = "2019-07-31T14:05:00Z".parse().unwrap();
        Moment {
            wall: start.plus_seconds(wall),
            ran: Duration::from_secs(1_000_000) + ran,
        }
    }

    fn is_stale(published: &Published, renew: u64, wall: i64, ran: Duration) -> bool {
        let renew = Duration::from_secs(renew);
        published.staleness(renew, moment(wall, ran)).is_some()
    }

    /// Wherever in the five minutes that they may be off the clocks of the witnesses are, and however this
    /// server's is set.
    #[test]
    fn a_checkpoint_is_stale_after_three_renewals() {
        let millis = Duration::from_millis;
        for (ahead, set) in [(0, 0), (-300, 0), (300, 0), (0, -3000), (0, 2000)] {
            let published = published(Some(ahead));
            for renew in [1_u64, 60, 300] {
                let bound = 3 * renew * 1000;
                for (after, stale) in [(0, false), (bound, false), (bound + 1, true)] {
                    let wall = i64::try_from(after / 1000).unwrap() + set;
                    let found = is_stale(&published, renew, wall, millis(after));
                    assert_eq!(found, stale, "{ahead} {set} {renew} {after}");
                }
            }
        }
    }

    /// With long renewals readers refuse it before: an hour after its time.
    #[test]
    fn a_checkpoint_that_readers_refuse_is_stale() {
        for ahead in [0, -300, 300] {
            let published = published(Some(ahead));
            let hour = 3600 + ahead;
            let ran = |wall: i64| Duration::from_secs(wall.unsigned_abs());
            assert!(!is_stale(&published, 1800, hour, ran(hour)));
            assert!(is_stale(&published, 1800, hour + 1, ran(hour + 1)));
        }
        // The machine stood still, and with it the time that ran.
        assert!(is_stale(&published(Some(0)), 300, 7200, Duration::ZERO));
    }

    /// What was published before the start has no other time than its witnesses'.
    #[test]
    fn a_checkpoint_of_before_the_start_has_its_own_time() {
        let published = published(None);
        for (after, stale) in [(-5, false), (900, false), (901, true)] {
            assert_eq!(is_stale(&published, 300, after, Duration::ZERO), stale);
        }
    }
}
