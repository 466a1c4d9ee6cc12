//! This server's clocks, and whether the witnesses confirm the time of day.
//!
//! The threads that ask witnesses measure their offsets here; the sequencer asks before each round. The
//! decision is [`Offsets`]'.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::offsets::Offsets;
use crate::time::{Clock, Moment, Monotonic, Time};
use crate::tlog::note::VerifierKey;
use crate::tlog::policy::Policy;

/// Whether the witnesses confirm the server's clock, and by how far theirs are from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockState {
    /// Whether witnesses that agree with the server's clock make a quorum.
    pub confirmed: bool,
    /// Each witness of the policy, and by how many seconds its clock is ahead of the server's; `None`
    /// until it has answered.
    pub offsets: Vec<(String, Option<i64>)>,
}

/// Shared by the threads of a log.
pub(super) struct Clocks {
    clock: Clock,
    monotonic: Monotonic,
    offsets: Mutex<Offsets>,
    /// What [`Clocks::check`] found last.
    confirmed: watch::Sender<bool>,
}

impl Clocks {
    /// Nothing is measured yet of the witnesses of `policy`.
    pub fn new(policy: Policy, clock: Clock, monotonic: Monotonic) -> Arc<Self> {
        let (offsets, now) = (Offsets::new(policy), moment(&clock, &monotonic));
        Arc::new(Self {
            // A quorum of `none` confirms any.
            confirmed: watch::channel(offsets.confirm(now)).0,
            offsets: Mutex::new(offsets),
            clock,
            monotonic,
        })
    }

    /// What both clocks show.
    pub fn now(&self) -> Moment {
        moment(&self.clock, &self.monotonic)
    }

    /// What both clocks show, where the time of day was read as `wall` just before.
    pub fn at(&self, wall: Time) -> Moment {
        let ran = self.monotonic.now();
        Moment { wall, ran }
    }

    /// Takes down that a cosignature of this time by this key of a witness, which holds, `came`.
    pub fn measure(&self, key: &VerifierKey, cosigned: Time, came: Moment) {
        self.lock().measure(key, cosigned, came);
        self.check();
    }

    /// From here on the witnesses of this policy count.
    pub fn change_policy(&self, policy: Policy) {
        self.lock().change_policy(policy);
        self.check();
    }

    /// Whether the time of day is confirmed now; tells it to those who wait for it.
    pub fn check(&self) -> bool {
        self.check_at(self.now())
    }

    /// As [`Clocks::check`], at a moment that the caller has read.
    pub fn check_at(&self, now: Moment) -> bool {
        let offsets = self.lock();
        let confirmed = offsets.confirm(now);
        let changed = self.confirmed.send_if_modified(|last| {
            let changed = *last != confirmed;
            *last = confirmed;
            changed
        });
        if changed && !confirmed {
            let why = plain(offsets.at(now));
            tracing::error!(
                "nothing is sequenced, since too few witnesses confirm this server's clock: {why}"
            );
        } else if changed {
            tracing::info!("the witnesses confirm this server's clock");
        }
        confirmed
    }

    /// Follows what [`Clocks::check`] finds.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.confirmed.subscribe()
    }

    /// For people and programs that look at the server.
    pub fn state(&self) -> ClockState {
        let now = self.now();
        let confirmed = self.check_at(now);
        let offsets = self.lock();
        let offsets = offsets
            .at(now)
            .map(|(name, offset)| (name.to_owned(), offset));
        ClockState {
            confirmed,
            offsets: offsets.collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Offsets> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClockState {
    /// What is wrong, for people; none while the clock is confirmed.
    pub fn fault(&self) -> Option<String> {
        let offsets = self.offsets.iter();
        (!self.confirmed).then(|| plain(offsets.map(|(name, offset)| (name.as_str(), *offset))))
    }
}

fn moment(clock: &Clock, monotonic: &Monotonic) -> Moment {
    Moment {
        wall: clock.now(),
        ran: monotonic.now(),
    }
}

/// `north is 3000 s behind it, south has not answered yet`, of witnesses' clocks and this server's.
fn plain<'a>(offsets: impl Iterator<Item = (&'a str, Option<i64>)>) -> String {
    let one = |(witness, offset): (&str, Option<i64>)| match offset {
        None => format!("{witness} has not answered yet"),
        Some(0) => format!("{witness} agrees"),
        Some(offset) => format!("{witness} is {} it", apart(offset)),
    };
    offsets.map(one).collect::<Vec<_>>().join(", ")
}

/// `3000 s behind`, of a clock that is so many seconds ahead.
pub(super) fn apart(offset: i64) -> String {
    let seconds = offset.unsigned_abs();
    match offset < 0 {
        true => format!("{seconds} s behind"),
        false => format!("{seconds} s ahead of"),
    }
}
