//! What the write path measures of itself, for its operator.

use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::witnesses::Lack;
use crate::time::Time;

/// The witness that a figure is about, by its name in the policy.
type OfWitness = [(&'static str, String); 1];

/// Counted since start; clones share what they count.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Rounds of the sequencer, whole.
    pub(super) rounds: Histogram,
    /// Durable transactions of entries, ids and facts.
    pub(super) commits: Histogram,
    /// Writing tiles durably.
    pub(super) tiles: Histogram,
    cosigned: Family<OfWitness, Gauge>,
    missing: Family<OfWitness, Gauge>,
    /// Checkpoints that were shown to the witnesses and got no quorum.
    unpublished: Counter,
    /// Whether the last one did not.
    lacks_quorum: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        // From half a millisecond, which no disk undercuts, to 16 seconds, which none should need.
        let seconds = || Histogram::new(exponential_buckets(0.000_5, 2.0, 16));
        Self {
            rounds: seconds(),
            commits: seconds(),
            tiles: seconds(),
            cosigned: Family::default(),
            missing: Family::default(),
            unpublished: Counter::default(),
            lacks_quorum: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Makes the series of each witness, which lacks until it has answered.
    pub(super) fn introduce<'a>(&self, witnesses: impl Iterator<Item = &'a str>) {
        for name in witnesses {
            let of = [("witness", name.to_owned())];
            self.missing.get_or_create(&of).set(1);
            self.cosigned.get_or_create(&of).set(0);
        }
    }

    /// Removes the series of witnesses that are asked no more.
    pub(super) fn forget<'a>(&self, witnesses: impl Iterator<Item = &'a str>) {
        for name in witnesses {
            let of = [("witness", name.to_owned())];
            self.missing.remove(&of);
            self.cosigned.remove(&of);
        }
    }

    /// Takes down whether a checkpoint that was shown to the witnesses got its quorum.
    pub(super) fn shown(&self, quorum: bool) {
        if !quorum {
            self.unpublished.inc();
        }
        self.lacks_quorum.set(i64::from(!quorum));
    }

    pub(super) fn lacks_quorum(&self) -> bool {
        self.lacks_quorum.get() != 0
    }

    /// Takes down what each witness answered at `now`.
    pub(super) fn asked(&self, witnesses: &[(String, Result<(), Lack>)], now: Time) {
        for (name, answer) in witnesses {
            let of = [("witness", name.clone())];
            let missing = i64::from(answer.is_err());
            self.missing.get_or_create(&of).set(missing);
            if answer.is_ok() {
                self.cosigned.get_or_create(&of).set(now.unix());
            }
        }
    }

    /// Registers all of them.
    pub fn register(&self, registry: &mut Registry) {
        for (name, help, histogram) in [
            ("round_duration", "Rounds of the sequencer", &self.rounds),
            (
                "commit_duration",
                "Durable transactions of entries, ids and facts",
                &self.commits,
            ),
            (
                "tiles_duration",
                "Writing the tiles of a round durably",
                &self.tiles,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        registry.register(
            "checkpoints_without_quorum",
            "Times that a checkpoint was shown to the witnesses and got no quorum",
            self.unpublished.clone(),
        );
        registry.register(
            "quorum_missing",
            "Whether the checkpoint shown to the witnesses last got no quorum",
            self.lacks_quorum.clone(),
        );
        registry.register(
            "witness_missing",
            "Whether the witness's cosignature was not published when it was asked last",
            self.missing.clone(),
        );
        registry.register_with_unit(
            "witness_cosigned_timestamp",
            "When the witness cosigned last, since 1970",
            Unit::Seconds,
            self.cosigned.clone(),
        );
    }
}

/// Does `work` and observes how long it took.
pub(super) fn timed<T>(histogram: &Histogram, work: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let done = work();
    histogram.observe(since.elapsed().as_secs_f64());
    done
}
