//! The one pattern of requests that every device makes, whatever its owner sees, holds or decided:
//! the log, the commitments of every new batch, the vault's list of clips, the jurisdiction's whole bundle,
//! the log again, the messages of every new notice.
//!
//! What is done with them is done here. Only after a consent that its owner logged, and a
//! collection that the agency logged, does the device send more: the re-wrapped headers. Only to a server
//! that has lost something does it send that again.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::gate::{self, Fault};
use super::inbox::{self, Checkpoint, Held, Inbox};
use super::notices::Notices;
use super::state::{Anchor, Attack, Gift, GivenClip, KeptRefusal};
use super::{BUNDLE, Progress, Resident, ResidentError, again, decide, notices, upload};
use crate::client::ClientError;
use crate::digest::StatementId;
use crate::encoding::from_base64;
use crate::plain;
use crate::reader::follower::Entry;
use crate::seal::batch::Batch;
use crate::seal::commitment::{Commitment, decision_opening};
use crate::statement::facts::{BatchFact, FactsExt as _};
use crate::statement::key::PublicKey;
use crate::statement::kinds::disclosure::{Disclosure, short};
use crate::statement::{Author, Statement};
use crate::tlog::tree::LeafIndex;

/// Entries that are looked at before what was found in them is saved.
const SAVED_AT_ONCE: u64 = 8192;
/// Why an entry is forbidden, if that is not known more exactly.
const FORBIDDEN: &str = "`whosaw log verify` names the rule";

/// What a sync brought.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Synced {
    pub checkpoint: Checkpoint,
    pub new_entries: u64,
    /// Interrupted uploads that were finished, and clips that were completed again for a server that lost them.
    pub uploads: usize,
    /// Batches whose commitments were fetched and checked.
    pub batches: usize,
    /// Notices whose messages were fetched, checked and tried.
    pub notices: usize,
    /// Disclosures whose headers were handed over now.
    pub handed_over: Vec<StatementId>,
    pub attacks: Vec<Attack>,
    /// What the server withheld or got wrong, and what could not be done for now.
    pub warnings: Vec<String>,
    pub inbox: Inbox,
}

/// Follows the log, and does what is due. While a device is being restored, it also recognises the refusals that
/// the phrase made before this device knew them, and does not go on without a batch that may hold them.
///
/// # Errors
/// A log that deceives, first of all; nothing is handed over then.
pub fn sync(resident: &mut Resident, progress: Progress<'_>) -> Result<Synced, ResidentError> {
    let mut warnings = Vec::new();
    let uploads = upload::finish(resident, &|_, _| {}).unwrap_or_else(|error| {
        warnings.push(format!("an upload is not finished: {error}"));
        0
    });
    notices::tell_recipient(resident, &mut warnings);
    let since = resident.state.scanned;
    follow(resident, progress, &mut warnings)?;
    let known = resident.state.scanned;
    let batches = fetch_batches(resident, progress, &mut warnings)?;
    let again = again::complete(resident, &mut warnings);
    let not_looked = match resident.client.bundle(&resident.state.jurisdiction) {
        Ok(bundle) => {
            let held = Held {
                since: known,
                bundle,
            };
            let text = serde_json::to_vec(&held).expect("own values serialise");
            let path = resident.root.join(BUNDLE);
            super::state::replace(&path, &text).map_err(ResidentError::file(&path))?;
            None
        }
        Err(error) => {
            let why = format!("the bundle of all open requests: {error}");
            warnings.push(why.clone());
            Some(why)
        }
    };
    // Requests in the bundle may be younger than the copy: what it lacks now, the log lacks.
    follow(resident, &|_, _| {}, &mut warnings)?;
    let notices = notices::scan(resident)?;
    let now = resident.clock.now();
    close_requests(resident, now)?;
    let seen = resident.seen()?.ok_or(Fault::NoCheckpoint)?;
    let mut inbox = inbox::read(resident)?.unwrap_or_else(|| Inbox {
        checkpoint: Checkpoint::from(&seen),
        not_looked: None,
        requests: Vec::new(),
        false_requests: Vec::new(),
        notices: Notices::default(),
    });
    inbox.not_looked = not_looked.or(inbox.not_looked);
    for item in &inbox.requests {
        resident.state.remember(item.seen());
    }
    let handed_over = hand_over(resident, &mut warnings)?;
    resident.save()?;
    Ok(Synced {
        checkpoint: Checkpoint::from(&seen),
        new_entries: resident.state.scanned - since,
        uploads: uploads + again,
        batches,
        notices,
        handed_over,
        attacks: resident.state.attacks.clone(),
        warnings,
        inbox,
    })
}

/// Brings the copy up to date and looks at what is new.
pub(super) fn follow(
    resident: &mut Resident,
    progress: Progress<'_>,
    warnings: &mut Vec<String>,
) -> Result<(), ResidentError> {
    let (server, now) = (resident.client.base().clone(), resident.clock.now());
    let update = resident.ledger.follow(&server, now, progress)?;
    warnings.extend(update.marked.iter().map(ToString::to_string));
    let why: BTreeMap<LeafIndex, String> = update
        .findings
        .into_iter()
        .map(|(index, refusal)| (index, refusal.to_string()))
        .collect();
    scan(resident, &why)
}

/// Looks at the entries of the copy that have not been looked at, in portions: after an interruption it goes on
/// with the next. `why` has the rules' reasons for the forbidden entries of the last update.
fn scan(resident: &mut Resident, why: &BTreeMap<LeafIndex, String>) -> Result<(), ResidentError> {
    let mut next = resident.state.scanned;
    let mut saved = next;
    loop {
        let portion = resident.ledger.portion(next)?;
        for index in portion.forbidden {
            let Some(entry) = resident.ledger.entry(index)? else {
                continue;
            };
            // The reason for an entry of an update that was interrupted is not known any more.
            let why = why.get(&index);
            let why = why.cloned().unwrap_or_else(|| FORBIDDEN.to_owned());
            if asks_here(resident, &entry) {
                resident.state.forbidden.push((index, why.clone()));
                resident.state.open.push(index);
            }
            notices::note(resident, &entry, Some(why));
        }
        for entry in &portion.entries {
            look_at(resident, entry);
        }
        let ended = portion.end == next;
        next = portion.end;
        resident.state.scanned = next;
        if ended || next - saved >= SAVED_AT_ONCE {
            resident.save()?;
            saved = next;
        }
        if ended {
            return Ok(());
        }
    }
}

fn look_at(resident: &mut Resident, entry: &Entry) {
    notices::note(resident, entry, None);
    if asks_here(resident, entry) {
        if resident.state.restoring {
            resident.state.maybe_refused.push(entry.signed.id);
        }
        resident.state.open.push(entry.index);
    }
    match &entry.signed.statement {
        Statement::CommitmentBatch(_) => resident.state.batches_due.push(entry.signed.id),
        Statement::Disclosure(disclosure) => recognise(resident, entry, disclosure),
        _ => {}
    }
}

fn asks_here(resident: &Resident, entry: &Entry) -> bool {
    match &entry.signed.statement {
        Statement::AccessRequest(request) => request.jurisdiction == resident.state.jurisdiction,
        _ => false,
    }
}

/// Recognises an own disclosure by its one-time key, and the use of an own commitment by another.
fn recognise(resident: &mut Resident, entry: &Entry, disclosure: &Disclosure) {
    let own_key = resident.own_key(disclosure);
    let author = match &entry.signed.head.author {
        Author::OneTimeKey(key) => Some(key),
        _ => None,
    };
    if author == Some(&own_key) {
        adopt(resident, entry, disclosure);
        return;
    }
    for clip in &disclosure.clips {
        let one = BTreeSet::from([clip.commitment]);
        let Some((own, _)) = resident.state.clip_of(&clip.commitment) else {
            continue;
        };
        let own = own.clip;
        if let Err(fault) = gate::check_own_commitments(disclosure, author, &own_key, &one) {
            resident.state.attacks.push(Attack {
                index: entry.index,
                disclosure: entry.signed.id,
                clip: own,
                why: format!("somebody else consented in your name: {fault}"),
            });
        }
    }
}

fn adopt(resident: &mut Resident, entry: &Entry, disclosure: &Disclosure) {
    let (state, id) = (&mut resident.state, entry.signed.id);
    if let Some(known) = state.gifts.iter_mut().find(|gift| gift.disclosure == id) {
        known.index = Some(entry.index);
        return;
    }
    let clip = |commitment| state.clip_of(commitment).map(|(clip, _)| clip.clip);
    let clips = disclosure.clips.iter().map(|given| GivenClip {
        clip: clip(&given.commitment),
        header: None,
    });
    let request = disclosure.request;
    let gift = Gift {
        disclosure: id,
        request,
        envelope: decide::to_value(&entry.signed.envelope),
        clips: clips.collect(),
        index: Some(entry.index),
        handed_over: None,
    };
    // A key speaks once: what this device had prepared for the request, or with the commitment, never
    // went into the log.
    state.gifts.retain(|other| match request {
        Some(_) => other.request != request,
        None => !other.publishes_of(&gift),
    });
    state.gifts.push(gift);
}

/// Fetches the commitments of every batch that is new, checks them against the log, and finds the
/// own among them. What was found in one batch is kept before the next is fetched.
fn fetch_batches(
    resident: &mut Resident,
    progress: Progress<'_>,
    warnings: &mut Vec<String>,
) -> Result<usize, ResidentError> {
    let candidates = resident.state.maybe_refused.iter();
    let candidates: Vec<_> = candidates
        .map(|request| (*request, decision_commitment(resident, request)))
        .collect();
    let due = resident.state.batches_due.clone();
    let (count, mut done) = (due.len() as u64, 0);
    for (place, id) in (0..).zip(due) {
        progress(place, count);
        match fetch_batch(resident, &id)? {
            Fetched::Batch(batch) => {
                find_own(resident, id, &batch, &candidates);
                done += 1;
            }
            Fetched::None => {}
            Fetched::Wrong(why) => {
                warnings.push(format!("batch {}: {why}", short(&id)));
                continue;
            }
            Fetched::Away(error) if resident.state.restoring => return Err(error.into()),
            Fetched::Away(error) => {
                // The next call would fail in the same way.
                let left = plain::count(count - place, "batch");
                warnings.push(format!("{left}: {error}"));
                break;
            }
        }
        resident.state.batches_due.retain(|due| *due != id);
        resident.save()?;
    }
    if resident.state.batches_due.is_empty() {
        resident.state.maybe_refused.clear();
    }
    resident.save()?;
    Ok(done)
}

/// What came of a batch that is due.
enum Fetched {
    Batch(Batch),
    /// The log holds no such batch.
    None,
    /// The server gives something else, or does not have it.
    Wrong(String),
    /// The server gives nothing for now.
    Away(ClientError),
}

fn fetch_batch(resident: &Resident, id: &StatementId) -> Result<Fetched, ResidentError> {
    let Some(index) = resident.ledger.find(id)? else {
        return Ok(Fetched::None);
    };
    let Some(fact) = resident.ledger.facts().batch(&index)? else {
        return Ok(Fetched::None);
    };
    Ok(match resident.client.batch(id, fact.size) {
        Ok(bytes) => match read_batch(&bytes, &fact) {
            Ok(batch) => Fetched::Batch(batch),
            Err(why) => Fetched::Wrong(why),
        },
        Err(error) if error.is_away() => Fetched::Away(error),
        Err(error) => Fetched::Wrong(error.to_string()),
    })
}

/// The commitments of a batch, if they are those that the log has the root of.
fn read_batch(bytes: &[u8], fact: &BatchFact) -> Result<Batch, String> {
    let (each, rest) = bytes.as_chunks::<32>();
    let commitments: Vec<_> = each
        .iter()
        .map(|bytes| Commitment::from_bytes(*bytes))
        .collect();
    let ascending = commitments.windows(2).all(|pair| pair[0] < pair[1]);
    if !rest.is_empty() || !ascending || commitments.len() as u64 != u64::from(fact.size) {
        return Err("the server gives something else than its commitments".to_owned());
    }
    let batch = Batch::new(commitments, || {
        unreachable!("rules: sizes are powers of two from 64")
    });
    if batch.root() != fact.root {
        return Err("the server gives other commitments than those in the log".to_owned());
    }
    Ok(batch)
}

fn find_own(
    resident: &mut Resident,
    id: StatementId,
    batch: &Batch,
    candidates: &[(StatementId, Commitment)],
) {
    let anchor = |commitment: &Commitment| {
        let index = batch.index(commitment)?;
        Some(Anchor {
            batch: id,
            index: u32::try_from(index).ok()?,
            path: batch.path(index)?,
        })
    };
    for (request, commitment) in candidates {
        let known = resident
            .state
            .refusals
            .iter()
            .any(|r| r.request == *request);
        if let Some(anchor) = anchor(commitment).filter(|_| !known) {
            resident.state.refusals.push(KeptRefusal {
                request: *request,
                envelope: decide::to_value(&decide::decision(resident, request)),
                commitment: *commitment,
                carried_by: None,
                anchor: Some(anchor),
            });
        }
    }
    let clips = resident
        .state
        .clips
        .iter()
        .flat_map(|clip| clip.commitments);
    let refusals = resident
        .state
        .refusals
        .iter()
        .map(|refusal| refusal.commitment);
    let own: Vec<Commitment> = clips.chain(refusals).collect();
    for commitment in own {
        if let Some(anchor) = anchor(&commitment) {
            resident.state.anchor(&commitment, &anchor);
        }
    }
}

/// The commitment to this resident's refusal of a request.
pub(super) fn decision_commitment(resident: &Resident, request: &StatementId) -> Commitment {
    let salt = resident.seed.decision_salt(request);
    Commitment::of(&decision_opening(&salt, request))
}

/// Forgets requests whose deadline has passed, unless they are remembered for the report, and those
/// that their agency has closed.
fn close_requests(resident: &mut Resident, now: crate::time::Time) -> Result<(), ResidentError> {
    let mut open = Vec::new();
    for index in &resident.state.open {
        if resident.claim(*index)?.is_some_and(|claim| {
            let closed = claim.fact.is_some_and(|fact| fact.closed.is_some());
            claim.body.deadline > now && !closed
        }) {
            open.push(*index);
        }
    }
    resident
        .state
        .forbidden
        .retain(|(index, _)| open.contains(index));
    resident.state.open = open;
    Ok(())
}

/// Hands over what was consented to and collected, or is public; what was.
pub(super) fn hand_over(
    resident: &mut Resident,
    warnings: &mut Vec<String>,
) -> Result<Vec<StatementId>, ResidentError> {
    let due = |gift: &&Gift| gift.index.is_some() && gift.handed_over.is_none();
    let due: Vec<Gift> = resident.state.gifts.iter().filter(due).cloned().collect();
    let mut done = Vec::new();
    for gift in due {
        let Some(headers) = headers(&gift) else {
            continue;
        };
        match hand_over_one(resident, &gift, &headers) {
            Ok(()) => {
                let now = resident.clock.now();
                for known in &mut resident.state.gifts {
                    if known.disclosure == gift.disclosure {
                        known.handed_over = Some(now);
                        known.clips.iter_mut().for_each(|clip| clip.header = None);
                    }
                }
                resident.save()?;
                done.push(gift.disclosure);
            }
            Err(ResidentError::Fault(
                Fault::NotCollected | Fault::Withdrawn | Fault::Expired(_) | Fault::Over(_),
            )) => {}
            Err(error) => {
                let id = &gift.disclosure.to_string()[..12];
                warnings.push(format!("disclosure {id} is not handed over: {error}"));
            }
        }
    }
    Ok(done)
}

fn hand_over_one(
    resident: &Resident,
    gift: &Gift,
    headers: &[Vec<u8>],
) -> Result<(), ResidentError> {
    let missing = || ResidentError::Fault(Fault::DisclosureNotLogged);
    let index = resident
        .ledger
        .find(&gift.disclosure)?
        .ok_or_else(missing)?;
    let given = resident.ledger.given(index)?.ok_or_else(missing)?;
    let seen = resident.seen()?;
    let now = resident.now(seen.as_ref());
    let own_key = resident.own_key(&given.body);
    match &gift.request {
        None => gate::check_publication(&given, &own_key, headers, &now)?,
        Some(request) => {
            let claim = resident.claim_of(request)?;
            gate::check_hand_over(&claim, &given, &own_key, headers, &now)?;
        }
    }
    let (client, key) = (&resident.client, resident.seed.vault_key());
    for (n, header) in headers.iter().enumerate() {
        match client.hand_over(&gift.disclosure, n, header, &key) {
            // The log has it: the server has lost what it is about.
            Err(error) if error.status() == Some(404) => {
                again::disclose(resident, gift, &given)?;
                client.hand_over(&gift.disclosure, n, header, &key)?;
            }
            handed_over => handed_over?,
        }
    }
    Ok(())
}

/// The headers that wait to be handed over, if this device has them all.
fn headers(gift: &Gift) -> Option<Vec<Vec<u8>>> {
    let header = |clip: &GivenClip| from_base64(clip.header.as_ref()?).ok();
    gift.clips.iter().map(header).collect()
}

/// Disclosures that may still be collected, and whose headers this device does not have.
pub(super) fn unmet(resident: &Resident) -> Result<usize, ResidentError> {
    let mut unmet = 0;
    for gift in &resident.state.gifts {
        let given = match gift.index {
            Some(index) => resident.ledger.given(index)?,
            None => None,
        };
        let open = given
            .and_then(|given| given.fact)
            .is_some_and(|f| f.withdrawn.is_none());
        unmet += usize::from(open && gift.handed_over.is_none() && headers(gift).is_none());
    }
    Ok(unmet)
}

impl Resident {
    /// The one-time key that signs this disclosure, if it is this resident's.
    pub(super) fn own_key(&self, disclosure: &Disclosure) -> PublicKey {
        PublicKey::from(&self.one_time_key(disclosure))
    }

    /// What the own copy says of the request at `index`.
    pub(super) fn claim(&self, index: LeafIndex) -> Result<Option<gate::Claim>, ResidentError> {
        let forbidden = self.state.forbidden.iter().find(|(at, _)| *at == index);
        Ok(self
            .ledger
            .claim(index, forbidden.map(|(_, why)| why.clone()))?)
    }

    /// What the own copy says of a request.
    pub(super) fn claim_of(&self, request: &StatementId) -> Result<gate::Claim, ResidentError> {
        if let Some(index) = self.ledger.find(request)? {
            return Ok(self.claim(index)?.ok_or(Fault::NotLogged)?);
        }
        // What the rules forbid has a place in the log and no id: it is told apart from nothing.
        for (index, _) in &self.state.forbidden {
            if let Some(claim) = self.claim(*index)?
                && claim.id == *request
            {
                return Ok(claim);
            }
        }
        Err(Fault::NotLogged.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::testing::BATCH;

    #[test]
    fn a_batch_is_believed_only_if_the_log_has_its_root() {
        let bytes: Vec<u8> = BATCH
            .commitments()
            .iter()
            .flat_map(|c| *c.as_bytes())
            .collect();
        let fact = BatchFact {
            root: BATCH.root(),
            size: 64,
        };
        assert_eq!(read_batch(&bytes, &fact).unwrap().root(), BATCH.root());
        let mut altered = bytes.clone();
        *altered.last_mut().unwrap() ^= 1;
        let mut swapped = bytes.clone();
        swapped.rotate_left(32);
        let short = bytes[..32 * 32].to_vec();
        let twice = [&bytes[..32], &bytes[..32 * 63]].concat();
        for other in [
            altered,
            swapped,
            short,
            twice,
            bytes[1..].to_vec(),
            Vec::new(),
        ] {
            assert!(read_batch(&other, &fact).is_err());
        }
    }
}
