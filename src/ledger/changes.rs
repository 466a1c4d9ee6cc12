//! What of the publisher's rounds is worth a line of the log: changes, not states.
//!
//! A witness that is away is asked every few seconds for as long as it takes; its operator learns that
//! it went, why, and that it is back.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::witnesses::Lack;

/// A witness that lacks while the others make a quorum is away after this time: on a busy log, slower
/// ones lack in single rounds.
const AWAY: Duration = Duration::from_secs(30);

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Away {
        witness: String,
        why: String,
    },
    /// Its clock does not agree with this server's, by this many seconds.
    Apart {
        witness: String,
        offset: i64,
    },
    Back {
        witness: String,
    },
    QuorumMissing,
    QuorumBack,
}

impl Change {
    /// Writes the line.
    pub fn log(&self) {
        match self {
            Self::Away { .. } | Self::Apart { .. } | Self::QuorumMissing => {
                tracing::warn!("{self}")
            }
            Self::Back { .. } | Self::QuorumBack => tracing::info!("{self}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away { witness, why } => write!(f, "witness {witness} is away: {why}"),
            Self::Apart { witness, offset } => {
                write!(f, "witness {witness} is left out: {}", Lack::Clock(*offset))
            }
            Self::Back { witness } => write!(f, "witness {witness} is back"),
            Self::QuorumMissing => {
                f.write_str("no checkpoint is published: too few witnesses cosign it")
            }
            Self::QuorumBack => f.write_str("checkpoints are published again"),
        }
    }
}

/// What is known from the rounds before.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Witnesses that lack.
    lacking: BTreeMap<String, Lacking>,
    quorum_missing: bool,
}

#[derive(Debug)]
struct Lacking {
    since: Instant,
    /// Whether it was reported as away since.
    away: bool,
    /// Whether its clock was reported since.
    apart: bool,
}

impl Lacking {
    fn is_reported(&self) -> bool {
        self.away || self.apart
    }
}

impl Changes {
    /// The witness of this name is asked no more.
    pub fn forget(&mut self, witness: &str) {
        self.lacking.remove(witness);
    }

    /// Takes down a round: what each witness answered, and whether there was a quorum.
    pub fn note(
        &mut self,
        witnesses: &[(String, Result<(), Lack>)],
        quorum: bool,
        now: Instant,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for (witness, answer) in witnesses {
            let Err(why) = answer else {
                if self
                    .lacking
                    .remove(witness)
                    .is_some_and(|lacking| lacking.is_reported())
                {
                    changes.push(Change::Back {
                        witness: witness.clone(),
                    });
                }
                continue;
            };
            let lacking = self.lacking.entry(witness.clone()).or_insert(Lacking {
                since: now,
                away: false,
                apart: false,
            });
            let lasts = now.saturating_duration_since(lacking.since) >= AWAY;
            let witness = witness.clone();
            match why {
                Lack::Absent(why) if !lacking.away && (lasts || !quorum) => {
                    lacking.away = true;
                    let why = why.clone();
                    changes.push(Change::Away { witness, why });
                }
                Lack::Clock(offset) if !lacking.apart => {
                    lacking.apart = true;
                    let offset = *offset;
                    changes.push(Change::Apart { witness, offset });
                }
                _ => {}
            }
        }
        match (self.quorum_missing, quorum) {
            (false, false) => changes.push(Change::QuorumMissing),
            (true, true) => changes.push(Change::QuorumBack),
            _ => {}
        }
        self.quorum_missing = !quorum;
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(north: bool, south: bool) -> Vec<(String, Result<(), Lack>)> {
        let answer = |name: &str, there: bool| {
            let silent = || Lack::Absent("silent".to_owned());
            let answer = there.then_some(()).ok_or_else(silent);
            (name.to_owned(), answer)
        };
        vec![answer("north", north), answer("south", south)]
    }

    fn away(witness: &str) -> Change {
        Change::Away {
            witness: witness.to_owned(),
            why: "silent".to_owned(),
        }
    }

    fn back(witness: &str) -> Change {
        Change::Back {
            witness: witness.to_owned(),
        }
    }

    #[test]
    fn each_change_is_one_line_however_often_it_is_tried() {
        let (mut changes, start) = (Changes::default(), Instant::now());
        let mut note = |answers: &[_], quorum, seconds| {
            changes.note(answers, quorum, start + Duration::from_secs(seconds))
        };
        assert_eq!(note(&answers(true, true), true, 0), []);
        let lost = note(&answers(true, false), false, 1);
        assert_eq!(lost, [away("south"), Change::QuorumMissing]);
        for seconds in 2..200 {
            assert_eq!(note(&answers(true, false), false, seconds), []);
        }
        assert_eq!(note(&answers(false, false), false, 200), [away("north")]);
        let found = note(&answers(true, true), true, 201);
        assert_eq!(found, [back("north"), back("south"), Change::QuorumBack]);
        assert_eq!(note(&answers(true, true), true, 202), []);
    }

    /// Another clock is no matter of a single round.
    #[test]
    fn a_witness_of_another_time_is_named_at_once_and_once() {
        let (mut changes, start) = (Changes::default(), Instant::now());
        let apart = |offset| vec![("south".to_owned(), Err(Lack::Clock(offset)))];
        let mut note = |answers: &[_], seconds| {
            changes.note(answers, true, start + Duration::from_secs(seconds))
        };
        let expected = Change::Apart {
            witness: "south".to_owned(),
            offset: -3000,
        };
        assert!(expected.to_string().contains("3000 s behind"), "{expected}");
        assert_eq!(note(&apart(-3000), 0), [expected]);
        for seconds in 1..100 {
            assert_eq!(note(&apart(-3000 - seconds), seconds as u64), []);
        }
        assert_eq!(note(&answers(true, true), 100), [back("south")]);
    }

    #[test]
    fn a_slow_witness_is_away_when_it_lacks_for_long() {
        let (mut changes, start) = (Changes::default(), Instant::now());
        let mut note = |south, seconds| {
            changes.note(
                &answers(true, south),
                true,
                start + Duration::from_secs(seconds),
            )
        };
        // Late in every other round.
        for seconds in 0..100 {
            assert_eq!(note(seconds % 2 == 0, seconds), []);
        }
        assert_eq!(note(false, 100), []);
        assert_eq!(note(false, 128), []);
        assert_eq!(note(false, 129), [away("south")]);
        assert_eq!(note(false, 300), []);
        assert_eq!(note(true, 301), [back("south")]);
    }
}
