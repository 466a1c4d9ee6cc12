//! The gate before everybody: nobody asks, so that what is checked is what would be told, and that
//! the log has it.

use super::{Fault, Given, Now, Prepared, check_clips, check_log_open, check_mark, check_prepared};
use crate::statement::facts::BatchFact;
use crate::statement::key::PublicKey;
use crate::statement::kinds::disclosure::{Audience, Disclosure};
use crate::statement::words::DataKind;

/// Whether this disclosure to the public, not signed yet, ties itself to nobody, and names nothing
/// that is not an own commitment in a batch of the log. `batches` as for
/// [`check_consent`](super::check_consent).
pub fn check_publish(
    disclosure: &Disclosure,
    batches: &[(Option<BatchFact>, bool)],
    now: &Now<'_>,
) -> Result<(), Fault> {
    check_log_open(now.seen)?;
    now.check_fresh()?;
    check_public(disclosure)?;
    if disclosure.expires <= now.time {
        return Err(Fault::Over(disclosure.expires));
    }
    check_clips(disclosure, batches)
}

/// Whether the re-wrapped header of an own disclosure to the public may be handed over now.
pub fn check_publication(
    given: &Given,
    own_key: &PublicKey,
    prepared: &Prepared,
    now: &Now<'_>,
) -> Result<(), Fault> {
    let seen = now.check_fresh()?;
    // It could not be taken back any more.
    check_log_open(Some(seen))?;
    let fact = given.fact.as_ref().ok_or(Fault::DisclosureNotLogged)?;
    if fact.request.is_some() || given.index.as_u64() >= seen.size.as_u64() {
        return Err(Fault::DisclosureNotLogged);
    }
    if fact.key != *own_key {
        return Err(Fault::ForeignKey);
    }
    check_mark(given.marked)?;
    seen.check_counts_for(given.logged_at)?;
    check_public(&given.body)?;
    if fact.withdrawn.is_some() {
        return Err(Fault::Withdrawn);
    }
    if now.time >= given.body.expires {
        return Err(Fault::Over(given.body.expires));
    }
    check_prepared(&given.body, prepared)
}

fn check_public(disclosure: &Disclosure) -> Result<(), Fault> {
    if disclosure.recipient != Audience::Public || disclosure.request.is_some() {
        return Err(Fault::RecipientSwapped);
    }
    let told = disclosure.note.is_some() || disclosure.minutes.is_some();
    if disclosure.clips.len() != 1 || disclosure.gives != [DataKind::Video] || told {
        return Err(Fault::TellsWho);
    }
    Ok(())
}
