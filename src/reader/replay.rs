//! One step of a replay: what an entry says, and whether the rules admit it there.
//!
//! Verifying code: it judges with the rules that the server admits with, from the bytes of the log
//! alone. A forbidden entry changes no state, the time of the last entry included, and is a finding.

use std::thread::{Scope, ScopedJoinHandle};

use crate::digest::StatementId;
use crate::statement::facts::{Change, Facts};
use crate::statement::leaf::Leaf;
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::{Signed, parse_payload, rules};
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// What a leaf holds; not judged.
#[derive(Debug)]
pub struct Logged {
    pub logged_at: Time,
    pub signed: Signed,
}

/// Reads a leaf and verifies its signatures: all that needs no earlier entry.
///
/// # Errors
/// A refusal of class `Form` or `Signature`.
pub fn read(leaf: &[u8]) -> Result<Logged, Refusal> {
    let leaf = Leaf::parse(leaf)?;
    Ok(Logged {
        logged_at: leaf.logged_at,
        signed: Signed::from_envelope(leaf.envelope)?,
    })
}

/// Reads a leaf whose signatures were verified before.
///
/// # Errors
/// A refusal of class `Form`.
pub fn read_again(leaf: &[u8]) -> Result<Logged, Refusal> {
    let Leaf {
        logged_at,
        envelope,
    } = Leaf::parse(leaf)?;
    let (head, statement) = parse_payload(&envelope.payload)?;
    Ok(Logged {
        logged_at,
        signed: Signed {
            id: StatementId::of_payload(&envelope.payload),
            head,
            statement,
            signers: envelope.signatures.iter().map(|(key, _)| *key).collect(),
            envelope,
        },
    })
}

/// Leaves that threads are reading, as [`read`] does, on all cores: verifying signatures is what a
/// replay's time goes to.
pub struct Reading<'scope>(Vec<ScopedJoinHandle<'scope, Vec<Result<Logged, Refusal>>>>);

impl<'scope> Reading<'scope> {
    /// Begins to read `leaves`.
    pub fn start(scope: &'scope Scope<'scope, '_>, mut leaves: Vec<Vec<u8>>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = leaves.len().div_ceil(cores).max(1);
        let mut threads = Vec::with_capacity(cores);
        while !leaves.is_empty() {
            let rest = leaves.split_off(share.min(leaves.len()));
            let some = std::mem::replace(&mut leaves, rest);
            threads.push(scope.spawn(move || some.iter().map(|leaf| read(leaf)).collect()));
        }
        Self(threads)
    }

    /// What they hold, in their order.
    pub fn finish(self) -> impl Iterator<Item = Result<Logged, Refusal>> {
        let join = |thread: ScopedJoinHandle<'_, Vec<_>>| thread.join().expect("no panic");
        self.0.into_iter().flat_map(join)
    }
}

/// What all of `leaves` hold.
pub fn read_all(leaves: &[Vec<u8>]) -> Vec<Result<Logged, Refusal>> {
    std::thread::scope(|scope| Reading::start(scope, leaves.to_vec()).finish().collect())
}

/// An entry that the rules admit.
#[derive(Debug)]
pub struct Admitted {
    pub id: StatementId,
    pub logged_at: Time,
    pub change: Change,
}

/// Judges the entry at `index`, where the last entry admitted was logged at `last`.
///
/// # Errors
/// [`Verdict::Refused`] if the rules forbid it there, or the facts' own.
pub fn judge<F: Facts>(
    entry: Result<Logged, Refusal>,
    origin: &str,
    index: LeafIndex,
    last: Option<Time>,
    facts: &F,
) -> Result<Admitted, Verdict<F::Error>> {
    let Logged { logged_at, signed } = entry?;
    if let Some(last) = last.filter(|last| logged_at < *last) {
        let detail = format!("times of logging never decrease: an earlier entry has {last}");
        return Err(Refusal::new(Reason::WrongTime, "/logged_at", detail).into());
    }
    Ok(Admitted {
        id: signed.id,
        logged_at,
        change: rules::judge(&signed, origin, index, logged_at, facts)?,
    })
}
