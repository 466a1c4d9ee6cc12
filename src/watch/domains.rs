//! Asks the host names of parties whether they still show the parties' keys.
//!
//! The operator asks before it signs, and anybody asks again: what the log says of a check is that
//! somebody says it was made.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::client::domain::{Asker, Said};
use crate::reader::follower::Follower;
use crate::record::domains::{Compared, Domain, Domains};
use crate::statement::key::PublicKey;
use crate::statement::kinds::party::CheckMethod;
use crate::statement::words::PartyId;
use crate::store::StoreError;
use crate::store::journal::Journal;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// How many names are asked at once.
const AT_ONCE: usize = 8;

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every key that should be is published.
    Holds,
    /// The name says otherwise.
    Otherwise,
    /// It says nothing: it could not be asked.
    NotAsked,
}

/// What came of asking one host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub verdict: Verdict,
    /// In plain words.
    pub detail: String,
    /// Keys that should be published and are not.
    pub missing: Vec<PublicKey>,
    /// Keys added lately that are not published yet.
    pub pending: Vec<PublicKey>,
}

/// What the entries of a verified copy say of all parties' host names.
///
/// # Errors
/// The copy's.
pub fn read<J: Journal>(follower: &Follower<J>) -> Result<Domains, StoreError> {
    let mut domains = Domains::default();
    for entry in follower.entries(LeafIndex::new(0))? {
        domains.read(entry.logged_at, &entry.signed.statement);
    }
    Ok(domains)
}

/// Asks a party's host name one way.
pub fn check(
    asker: &Asker,
    party: &PartyId,
    domain: &Domain,
    method: CheckMethod,
    now: Time,
) -> Checked {
    let told = |verdict, detail: String| Checked {
        verdict,
        detail,
        missing: Vec::new(),
        pending: Vec::new(),
    };
    let published = match asker.ask(party, method) {
        Ok(Said::Keys(published)) => published,
        Ok(Said::Otherwise(why)) => return told(Verdict::Otherwise, why),
        Err(unasked) => return told(Verdict::NotAsked, unasked.to_string()),
    };
    let Compared { missing, pending } = domain.compare(&published, now);
    let all = domain.keys.len();
    let unseen = missing.len().saturating_add(pending.len());
    let shown = all.saturating_sub(unseen);
    let mut detail = format!("{shown} of {all} keys are published");
    if !pending.is_empty() {
        detail.push_str(&format!(", {} lately added and not yet", pending.len()));
    }
    let verdict = match missing.is_empty() {
        true => Verdict::Holds,
        false => Verdict::Otherwise,
    };
    Checked {
        missing,
        pending,
        ..told(verdict, detail)
    }
}

/// Asks many host names, some at once, each the way that the log says; in their order. `progress` is
/// told how many have answered.
pub fn check_all(
    asker: &Asker,
    parties: &[(&PartyId, &Domain)],
    now: Time,
    progress: &(dyn Fn(usize) + Sync),
) -> Vec<Checked> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let checked = Mutex::new(vec![None; parties.len()]);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(parties.len()) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some((party, domain)) = parties.get(place) else {
                        return;
                    };
                    let one = check(asker, party, domain, domain.check.method, now);
                    if let Ok(mut checked) = checked.lock()
                        && let Some(slot) = checked.get_mut(place)
                    {
                        *slot = Some(one);
                    }
                    progress(done.fetch_add(1, Ordering::Relaxed).saturating_add(1));
                }
            });
        }
    });
    let checked = checked.into_inner().expect("nobody panics with it");
    checked.into_iter().flatten().collect()
}
