//! Whose clock is wrong, where a checkpoint does not look fresh.
//!
//! A log that hides what is new looks as one does to a machine whose clock is ahead. The ledger's own word about the
//! time decides nothing, since its operator could have readers set their clocks back until an old checkpoint looks
//! fresh. So the witnesses of the trust file are asked at their own addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::thread;
use std::time::Instant;

use crate::client::witness::{OwnCheckpoint, WitnessClient};
use crate::time::Time;
use crate::tlog::note::VerifierKey;
use crate::tlog::policy::{MAX_AHEAD, Policy, PolicyError, PolicyWitness};

/// What the clocks of witnesses say about this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockJudgement {
    /// Witnesses whose clocks agree with it make a quorum.
    Right,
    /// Witnesses that agree on another time make a quorum: it is so many seconds ahead of them (behind, if negative).
    Wrong(i64),
    /// Neither: too few could be asked.
    Unknown,
}

impl fmt::Display for ClockJudgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Right => f.write_str("the clocks of its witnesses agree with this machine's"),
            Self::Wrong(ahead) => {
                let seconds = ahead.unsigned_abs();
                let how = match *ahead > 0 {
                    true => "ahead of",
                    false => "behind",
                };
                write!(
                    f,
                    "this machine's clock is {seconds} s {how} those of the log's witnesses"
                )
            }
            Self::Unknown => f.write_str(
                "whether this machine's clock is right is unknown: too few of the log's witnesses could be asked",
            ),
        }
    }
}

/// Why a checkpoint does not count at this machine's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    pub fault: PolicyError,
    pub clock: ClockJudgement,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, clock } = self;
        match clock {
            ClockJudgement::Wrong(_) => write!(
                f,
                "how new the log is cannot be judged: {clock}; set the clock by a time service, and try again"
            ),
            _ => write!(
                f,
                "the ledger shows nothing that witnesses saw within the last hour: it stands still, or hides \
                 what is new; {clock}: {fault}"
            ),
        }
    }
}

/// Judges this machine's clock, which shows `now`, where the checkpoint of `note` is not fresh: by the cosignatures
/// on it, or else by the witnesses of `policy`, asked at once. Waits for their answers.
pub fn judge(policy: &Policy, note: &[u8], now: Time) -> ClockJudgement {
    let since = Instant::now();
    // A quorum has cosigned it at a time that has not come here.
    let newest = now.checked_add_seconds(MAX_AHEAD);
    let later = newest.and_then(|newest| newest.checked_add_seconds(1));
    let later = later.and_then(|later| policy.verify(note, Some(later), None).ok()?.time());
    if let Some(later) = later {
        return ClockJudgement::Wrong(now.seconds_since(later));
    }
    let log: Vec<&VerifierKey> = policy.logs().iter().map(|log| &log.key).collect();
    let Some(shown) = OwnCheckpoint::of(note, &log) else {
        return ClockJudgement::Unknown;
    };
    let mut addresses: BTreeMap<&str, Vec<&PolicyWitness>> = BTreeMap::new();
    for witness in policy.witnesses() {
        if let Some(url) = &witness.url {
            addresses.entry(url).or_default().push(witness);
        }
    }
    let offset = |url: &str, witnesses: &[&PolicyWitness]| {
        let keys: Vec<&VerifierKey> = witnesses.iter().map(|witness| &witness.key).collect();
        let time = WitnessClient::new(url).ok()?.time(&shown, &log, &keys)?;
        let passed = i64::try_from(since.elapsed().as_secs()).ok()?;
        Some(time.seconds_since(now.checked_add_seconds(passed)?))
    };
    let offset = &offset;
    let offsets = thread::scope(|scope| {
        let asked = addresses.iter().map(|(url, witnesses)| {
            let asked = scope.spawn(move || offset(url, witnesses));
            (witnesses, asked)
        });
        // All are asked before the first answer is waited for.
        let asked: Vec<_> = asked.collect();
        let answered = asked.into_iter().flat_map(|(witnesses, asked)| {
            let offset = asked.join().ok().flatten();
            let names = witnesses.iter().map(|witness| witness.name.as_str());
            names.filter_map(move |name| Some((name, offset?)))
        });
        answered.collect::<Vec<_>>()
    });
    judge_by(policy, &offsets)
}

/// Judges by how many seconds the clocks of witnesses, by their names in the policy, are ahead of this machine's.
fn judge_by(policy: &Policy, offsets: &[(&str, i64)]) -> ClockJudgement {
    let quorum = |counts: &dyn Fn(i64) -> bool| {
        let those = offsets.iter().filter(|(_, offset)| counts(*offset));
        let names: BTreeSet<&str> = those.clone().map(|(name, _)| *name).collect();
        // The nearest of them to this machine's clock.
        let nearest = those
            .map(|(_, offset)| *offset)
            .min_by_key(|offset| offset.unsigned_abs());
        nearest.filter(|_| policy.quorum_met(&names))
    };
    if quorum(&|offset| offset.unsigned_abs() <= MAX_AHEAD.unsigned_abs()).is_some() {
        return ClockJudgement::Right;
    }
    let ahead = quorum(&|offset| offset > MAX_AHEAD);
    let other = ahead.or_else(|| quorum(&|offset| offset < MAX_AHEAD.saturating_neg()));
    match other {
        Some(offset) => ClockJudgement::Wrong(offset.saturating_neg()),
        None => ClockJudgement::Unknown,
    }
}

#[cfg(test)]
mod tests;
