//! Whether a log takes new statements now, and if not, why: in one word for all who watch a server.

use std::fmt;

use super::{Confirmation, Ledger};
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// Whether a log takes new statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intake {
    /// It sequences them.
    Open,
    /// The log's key signed a checkpoint that this server's log does not lead to.
    RolledBack,
    /// The log's last statement is at this index.
    Closed(LeafIndex),
    /// The witnesses have not confirmed the head since the start.
    WaitsForWitnesses,
    /// Witnesses whose clocks agree with the server's make no quorum.
    ClockUnconfirmed,
    /// The clock shows a time before the last entry, which has this time.
    WaitsForClock(Time),
}

/// What a server does, for people.
impl fmt::Display for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("statements are logged"),
            Self::RolledBack => {
                f.write_str("rolled back: this server has an old copy of its log, and logs nothing")
            }
            Self::Closed(index) => write!(f, "the log is closed, by entry {index}"),
            Self::WaitsForWitnesses => f.write_str(
                "nothing is logged: too few witnesses have confirmed the head of the log since the start",
            ),
            Self::ClockUnconfirmed => f.write_str(
                "nothing is logged: too few witnesses have a clock that agrees with this server's",
            ),
            Self::WaitsForClock(until) => write!(
                f,
                "nothing is logged until the clock shows {until}, the time of the last entry"
            ),
        }
    }
}

impl Ledger {
    /// Whether statements are taken, as the clock shows `now`. Looks at the clocks of the witnesses too, so
    /// that a clock that was set is noticed although nobody submits anything.
    pub fn intake(&self, now: Time) -> Intake {
        let confirmation = self.confirmation();
        let clock_confirmed = self.clocks.check();
        match (confirmation, self.closed()) {
            (Confirmation::RolledBack(_), _) => Intake::RolledBack,
            (_, Some(closed)) => Intake::Closed(closed.index),
            (Confirmation::Waiting(_), None) => Intake::WaitsForWitnesses,
            (Confirmation::Confirmed, None) if !clock_confirmed => Intake::ClockUnconfirmed,
            (Confirmation::Confirmed, None) => match self.waits_for_clock(now) {
                Some(until) => Intake::WaitsForClock(until),
                None => Intake::Open,
            },
        }
    }
}
