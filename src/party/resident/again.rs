//! What a server lost that was restored from a backup, sent again: whose a vault is, that clips were
//! completed, and which clips a disclosure in the log is about.
//!
//! A clip that is completed again brings the same eight commitments, so that whoever compares the two
//! calls cannot tell a clip's own from those of decisions; and none once a batch in the log has them. Its
//! parts are still on the server, which put them aside. Where the list of a batch is lost that may have them, the clip
//! enters further commitments in a set of their own.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::value::RawValue;

use super::gate::{Fault, Given};
use super::state::{Clip, Gift};
use super::{Resident, ResidentError, decide, sync, upload};
use crate::plain;
use crate::seal::commitment::Commitment;
use crate::tlog::tree::LeafIndex;
use crate::wire::vault::{Disclose, HexId};

/// Opens the vault again under its id, with a new code, on a server that does not know it any more.
///
/// # Errors
/// The server's refusals; [`ResidentError::Asked`] if it knows the vault.
pub fn enrol(resident: &Resident, code: &str) -> Result<(), ResidentError> {
    let (client, key) = (&resident.client, resident.seed.vault_key());
    if client.vault(&key)?.is_some() {
        return decide::asked("the server knows this vault: its code is not needed".to_owned());
    }
    client.enrol(code, Some(resident.state.vault), &key)?;
    Ok(client.put_notice_recipient(resident.seed.notice_key().recipient(), &key)?)
}

/// What was made good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct MadeGood {
    /// Clips that were completed again.
    pub completed: usize,
    /// Clips that entered further commitments.
    pub entered: usize,
}

/// Completes the clips that the vault does not list any more. Has each clip enter further commitments whose first may be
/// in one of the `lost` batches: the device cannot tell, and the same ones in two batches would be seen to be of one
/// clip.
///
/// # Errors
/// The database's, and the log's copy's.
pub(super) fn complete(
    resident: &Resident,
    lost: &BTreeSet<LeafIndex>,
    warnings: &mut Vec<String>,
) -> Result<MadeGood, ResidentError> {
    let mut good = MadeGood::default();
    let listed: HashSet<HexId> = match resident.client.vault(&resident.seed.vault_key()) {
        Ok(Some(vault)) => vault.clips.iter().map(|stored| stored.clip).collect(),
        Ok(None) => {
            warnings.push(
                "the server does not know this vault any more: ask its operator for a code, and run \
                 `whosaw resident enrol`"
                    .to_owned(),
            );
            return Ok(good);
        }
        Err(error) => {
            warnings.push(format!("the clips of the vault: {error}"));
            return Ok(good);
        }
    };
    let state = &resident.state;
    let seen = resident.seen()?;
    let due = Due {
        lost,
        unread: unread(resident, lost)?,
        is_closed: seen.is_some_and(|seen| seen.closed.is_some()),
        reread: Cell::new(false),
    };
    let not_anchored: HashSet<HexId> = state.clips_without_anchor()?.into_iter().collect();
    let to_enter: HashSet<HexId> = state.clips_to_enter()?.into_iter().collect();
    let mut todo = state.stored_clips()?;
    todo.retain(|id| !listed.contains(id) || not_anchored.contains(id) || to_enter.contains(id));
    let (count, mut waiting) = (todo.len(), BTreeMap::<LeafIndex, Vec<HexId>>::new());
    for (place, id) in todo.into_iter().enumerate() {
        match make_good(resident, id, listed.contains(&id), &due) {
            Ok((done, waits_for)) => {
                good.completed += done.completed;
                good.entered += done.entered;
                if let Some(batch) = waits_for {
                    waiting.entry(batch).or_default().push(id);
                }
            }
            Err(ResidentError::Client(error)) if error.is_incomplete_clip() => {
                warnings.push(format!(
                    "the server has lost clip {id}: if you have the film, add it again; \
                     `whosaw resident drop {id}` ends this warning"
                ));
            }
            Err(ResidentError::Client(error)) if resident.is_server_away(&error) => {
                let left = plain::count(count - place, "clip");
                warnings.push(format!("{left} not looked after in the vault: {error}"));
                break;
            }
            Err(error @ (ResidentError::Store(_) | ResidentError::Ledger(_))) => return Err(error),
            Err(error) => warnings.push(format!("clip {id} in the vault: {error}")),
        }
    }
    warnings.extend(waiting.into_iter().map(waits_for));
    Ok(good)
}

/// The batches of the log whose lists this device does not have.
struct Due<'a> {
    /// The server does not have them either.
    lost: &'a BTreeSet<LeafIndex>,
    /// Batches whose lists the server did not return in this synchronisation; the next one asks again.
    unread: BTreeSet<LeafIndex>,
    /// The log takes no batch any more.
    is_closed: bool,
    /// All batches are to be read again.
    reread: Cell<bool>,
}

/// Makes one clip good. Answers with the batch, too, whose list must be read before the clip can be given.
fn make_good(
    resident: &Resident,
    id: HexId,
    is_listed: bool,
    due: &Due<'_>,
) -> Result<(MadeGood, Option<LeafIndex>), ResidentError> {
    let mut done = MadeGood::default();
    let Some(mut clip) = resident.state.clip(id)? else {
        return Ok((done, None));
    };
    let is_done = due.is_closed || clip.is_anchored();
    let since = LeafIndex::new(resident.state.scanned_before(id)?);
    let may_be_in = |batches: &BTreeSet<LeafIndex>| batches.range(since..).next().copied();
    let mut waits = None;
    if !is_done {
        let (lost, unread) = (may_be_in(due.lost), may_be_in(&due.unread));
        // A set that a restored device does not know may be in no batch, and never come into one.
        let is_unknown = clip.upload.is_none() && !is_listed && unread.is_none();
        if lost.is_some() || is_unknown {
            match enter_more(resident, &clip, due)? {
                Some(with_more) => clip = with_more,
                None => waits = lost,
            }
        } else {
            waits = unread;
        }
    }
    if !is_listed {
        // Without commitments where the ones before may be in a batch. Those of a clip that the server does not list
        // it takes for old ones.
        let old = !is_done && waits.is_none() && !clip.to_enter;
        let set = clip.upload.filter(|_| old).map(Vec::from);
        complete_one(resident, id, &set.unwrap_or_default())?;
        done.completed = 1;
    }
    if clip.to_enter
        && let Some(set) = &clip.upload
    {
        if !due.is_closed {
            complete_one(resident, id, set)?;
            done.entered = 1;
        }
        resident.state.set_entered(id)?;
    }
    Ok((done, waits))
}

/// Has a clip enter further commitments; `None` if it has as many as it may.
fn enter_more(
    resident: &Resident,
    clip: &Clip,
    due: &Due<'_>,
) -> Result<Option<Clip>, ResidentError> {
    let Some(next) = upload::next_set(resident, clip)? else {
        return Ok(None);
    };
    // Another device of this phrase may have entered the same, and a batch that was read has them. First, so that a crash
    // forgets nothing.
    if !due.reread.replace(true) {
        sync::read_batches_again(resident)?;
    }
    let state = &resident.state;
    state.enter_more(clip, &next.own, &next.set)?;
    Ok(state.clip(clip.clip)?)
}

/// The entries of the batches whose lists were not read, but for those that are lost.
fn unread(
    resident: &Resident,
    lost: &BTreeSet<LeafIndex>,
) -> Result<BTreeSet<LeafIndex>, ResidentError> {
    let mut unread = BTreeSet::new();
    for batch in resident.state.batches_due()? {
        unread.extend(resident.ledger.find(&batch)?);
    }
    Ok(&unread - lost)
}

fn waits_for((batch, clips): (LeafIndex, Vec<HexId>)) -> String {
    const NAMED: usize = 4;
    let named: Vec<String> = clips.iter().take(NAMED).map(HexId::to_string).collect();
    let more = match clips.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "{} cannot be given until the list of the batch in entry {batch} is read: {}{more}",
        plain::count(clips.len(), "clip"),
        named.join(", ")
    )
}

/// Completes a clip with these commitments. If a part is missing, sends again the two small ones, which this device
/// has.
fn complete_one(resident: &Resident, id: HexId, slots: &[Commitment]) -> Result<(), ResidentError> {
    let (client, key) = (&resident.client, resident.seed.vault_key());
    match client.complete(id, slots, &key) {
        Err(error) if error.is_incomplete_clip() => {
            upload::send_small(resident, id)?;
            Ok(client.complete(id, slots, &key)?)
        }
        completed => Ok(completed?),
    }
}

/// Posts a disclosure that the own copy of the log has, with its openings.
///
/// # Errors
/// The server's, and those of a clip that this device does not have.
pub(super) fn disclose(
    resident: &Resident,
    gift: &Gift,
    given: &Given,
) -> Result<(), ResidentError> {
    let opening = |commitment: &Commitment| {
        let own = resident.state.clip_of(commitment)?;
        let (clip, i) = own.ok_or(Fault::NotAnchored)?;
        decide::shown(resident, &clip, i)
    };
    let openings = given
        .body
        .clips
        .iter()
        .map(|clip| opening(&clip.commitment));
    let body = Disclose {
        statement: RawValue::from_string(gift.envelope.to_string()).expect("a value is JSON"),
        openings: openings.collect::<Result<_, _>>()?,
    };
    let key = resident.seed.vault_key();
    resident.client.disclose(&body, &key)?;
    Ok(())
}
