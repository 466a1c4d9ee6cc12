//! One step of a replay: what an entry says, and whether the rules admit it there.
//!
//! Verifying code: it judges with the rules that the server admits with, from the bytes of the log
//! alone. A forbidden entry changes no state and is a finding.

use crate::digest::StatementId;
use crate::statement::Signed;
use crate::statement::facts::{Change, Facts};
use crate::statement::leaf::Leaf;
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// An entry whose bytes and signatures were read; not yet judged.
#[derive(Debug)]
pub struct ReadEntry {
    pub logged_at: Option<Time>,
    pub signed: Result<Signed, Refusal>,
}

/// Reads a leaf and verifies its signatures: all that needs no earlier entry.
pub fn read(leaf: &[u8]) -> ReadEntry {
    match Leaf::parse(leaf) {
        Err(refusal) => ReadEntry {
            logged_at: None,
            signed: Err(refusal),
        },
        Ok(leaf) => ReadEntry {
            logged_at: Some(leaf.logged_at),
            signed: Signed::from_envelope(leaf.envelope),
        },
    }
}

/// Reads many leaves on all cores.
pub fn read_all(leaves: &[Vec<u8>]) -> Vec<ReadEntry> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = leaves.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = leaves
            .chunks(share)
            .map(|chunk| {
                scope.spawn(move || chunk.iter().map(|leaf| read(leaf)).collect::<Vec<_>>())
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("reading does not panic"))
            .collect()
    })
}

/// An entry judged: the statement and what it changes, or why the rules forbid it here.
pub type Judged = Result<(StatementId, Change), Refusal>;

/// Judges the entry at `index`, where the entry before it was logged at `last`.
///
/// # Errors
/// The facts' own.
pub fn judge<F: Facts>(
    entry: &ReadEntry,
    origin: &str,
    index: LeafIndex,
    last: Option<Time>,
    facts: &F,
) -> Result<Judged, F::Error> {
    let refused = |refusal| Ok(Err(refusal));
    let signed = match &entry.signed {
        Ok(signed) => signed,
        Err(refusal) => return refused(refusal.clone()),
    };
    let logged_at = entry.logged_at.expect("what was read has a time");
    if last.is_some_and(|last| logged_at < last) {
        return refused(Refusal::new(
            Reason::WrongTime,
            "/logged_at",
            "times of logging never decrease",
        ));
    }
    match rules::judge(signed, origin, index, logged_at, facts) {
        Ok(change) => Ok(Ok((signed.id, change))),
        Err(Verdict::Refused(refusal)) => refused(refusal),
        Err(Verdict::Facts(error)) => Err(error),
    }
}
