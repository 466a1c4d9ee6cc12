//! What a server lost that was restored from a backup, sent again: whose a vault is, that clips were
//! completed, and which clips a disclosure in the log is about.
//!
//! A clip that is completed again brings the same eight commitments, so that whoever compares the two
//! calls cannot tell a clip's own from those of decisions; and none once a batch in the log has them. Its
//! parts are still on the server, which put them aside.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::gate::{Fault, Given};
use super::state::{Clip, Gift};
use super::{Resident, ResidentError, decide, upload};
use crate::plain;
use crate::seal::commitment::Commitment;
use crate::store::StoreError;
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

/// Completes the clips that the vault does not list any more; how many.
///
/// # Errors
/// The database's.
pub(super) fn complete(
    resident: &Resident,
    warnings: &mut Vec<String>,
) -> Result<usize, StoreError> {
    let key = resident.seed.vault_key();
    let listed: HashSet<HexId> = match resident.client.vault(&key) {
        Ok(Some(vault)) => vault.clips.iter().map(|stored| stored.clip).collect(),
        Ok(None) => {
            warnings.push(
                "the server does not know this vault any more: ask its operator for a code, and run \
                 `whosaw resident enrol`"
                    .to_owned(),
            );
            return Ok(0);
        }
        Err(error) => {
            warnings.push(format!("the clips of the vault: {error}"));
            return Ok(0);
        }
    };
    let mut missing = resident.state.stored_clips()?;
    missing.retain(|clip| !listed.contains(clip));
    let (count, mut done) = (missing.len(), 0);
    for (place, id) in missing.into_iter().enumerate() {
        let Some(clip) = resident.state.clip(id)? else {
            continue;
        };
        let slots = match slots(resident, &clip) {
            Ok(slots) => slots,
            Err(why) => {
                warnings.push(why);
                continue;
            }
        };
        match complete_one(resident, id, &slots) {
            Ok(()) => done += 1,
            Err(ResidentError::Client(error)) if error.is_incomplete_clip() => {
                warnings.push(format!(
                    "the server has lost clip {id}: if you have the film, add it again; \
                     `whosaw resident drop {id}` ends this warning"
                ));
            }
            Err(ResidentError::Client(error)) if resident.is_server_away(&error) => {
                let left = plain::count(count - place, "clip");
                warnings.push(format!("{left} not in the vault any more: {error}"));
                break;
            }
            Err(error) => {
                warnings.push(format!("clip {id} is not in the vault any more: {error}"));
            }
        }
    }
    Ok(done)
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

/// The commitments to complete a clip with again: the same, unless a batch in the log has them, or the log
/// is closed and takes no batch.
///
/// # Errors
/// Why that is not known.
fn slots(resident: &Resident, clip: &Clip) -> Result<Vec<Commitment>, String> {
    let seen = resident.seen().map_err(|error| error.to_string())?;
    let is_closed = seen.is_some_and(|seen| seen.closed.is_some());
    if is_closed || clip.anchors.iter().any(Option::is_some) {
        return Ok(Vec::new());
    }
    let id = clip.clip;
    if may_be_in_a_batch(resident, id).map_err(|error| error.to_string())? {
        return Err(format!(
            "clip {id} is not in the vault any more, and is completed again once all batches that were logged \
             after it was added are read; if the server has lost one of them, add the film again"
        ));
    }
    let slots = clip.upload.map(Vec::from);
    slots.ok_or_else(|| {
        format!(
            "clip {id} is not in the vault any more, and this device does not have its commitments"
        )
    })
}

/// Whether a batch that is due may have the clip's commitments: one that was logged after the clip was added.
fn may_be_in_a_batch(resident: &Resident, clip: HexId) -> Result<bool, ResidentError> {
    let since = resident.state.scanned_before(clip)?;
    for batch in resident.state.batches_due()? {
        let index = resident.ledger.find(&batch)?;
        if index.is_some_and(|index| index.as_u64() >= since) {
            return Ok(true);
        }
    }
    Ok(false)
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
