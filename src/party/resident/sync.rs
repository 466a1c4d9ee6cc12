//! The one pattern of requests that every device makes, whatever its owner sees, holds or decided:
//! the log, the commitments of every new batch, the vault's list of clips, the jurisdiction's whole bundle,
//! the log again, the messages of every new notice.
//!
//! What is done with them is done here. Only after a consent that its owner logged, and a
//! collection that the agency logged, does the device send more: the re-wrapped headers. Only to a server
//! that has lost something does it send that again.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::gate::{self, Fault, Prepared};
use super::inbox::{self, Checkpoint, Held, Inbox};
use super::notices::Notices;
use super::state::{Anchor, Attack, Carried, Gift, GivenClip, KeptRefusal, MaybeRefused, State};
use super::{BUNDLE, Progress, Resident, ResidentError, again, decide, enrol, notices, upload};
use crate::client::ClientError;
use crate::digest::StatementId;
use crate::plain;
use crate::reader::follower::{Entry, Portion};
use crate::seal::batch::Batch;
use crate::seal::commitment::Commitment;
use crate::statement::facts::{BatchFact, FactsExt as _};
use crate::statement::key::PublicKey;
use crate::statement::kinds::disclosure::{Disclosure, short};
use crate::statement::{Author, Statement};
use crate::store::StoreError;
use crate::store::secrets::SecretFile;
use crate::time::SECS_PER_DAY;
use crate::tlog::tree::LeafIndex;
use crate::wire::vault::HexId;

/// Entries that are looked at before what was found in them is saved.
const SAVED_AT_ONCE: u64 = 8192;
/// How long before a batch the deadline of a request may have passed whose refusal it has, in seconds: it goes with the
/// next clip that is added.
const REFUSED_BEFORE: i64 = 30 * SECS_PER_DAY;
/// Why an entry is forbidden, if that is not known more exactly.
const FORBIDDEN: &str = "`whosaw log verify` names the rule";

/// What a sync brought.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Synced {
    pub checkpoint: Checkpoint,
    pub new_entries: u64,
    /// Interrupted uploads that were finished.
    pub uploads: usize,
    /// Clips that were completed again for a server that had lost them.
    pub completed_again: usize,
    /// Clips that entered further commitments, since a list is lost that may have the first.
    pub entered_again: usize,
    /// Clips that a restore could not fetch, and that were fetched now.
    pub fetched: usize,
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
/// the phrase made before this device knew them, and does not go on without a server that answers.
///
/// # Errors
/// A log that deceives, first of all; nothing is handed over then.
pub fn sync(resident: &mut Resident, progress: Progress<'_>) -> Result<Synced, ResidentError> {
    let mut warnings = Vec::new();
    let uploads = upload::finish(resident, &mut warnings)?;
    notices::tell_recipient(resident, &mut warnings)?;
    let since = resident.state.scanned()?;
    follow(resident, progress, &mut warnings)?;
    let known = resident.state.scanned()?;
    let fetched = enrol::fetch_rest(resident, &mut warnings)?;
    let (batches, lost) = fetch_batches(resident, progress, &mut warnings)?;
    let again = again::complete(resident, &lost, &mut warnings)?;
    let not_looked = match resident.client.bundle(&resident.state.jurisdiction) {
        Ok(bundle) => {
            let held = Held {
                since: known,
                bundle,
            };
            let text = serde_json::to_vec(&held).expect("own values serialise");
            let path = resident.root.join(BUNDLE);
            SecretFile::at(path).replace(&text)?;
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
    resident.state.atomic(|| {
        let mut seen = inbox.requests.iter().map(inbox::Item::seen);
        seen.try_for_each(|seen| resident.state.remember(&seen))
    })?;
    let handed_over = hand_over(resident, &mut warnings)?;
    Ok(Synced {
        checkpoint: Checkpoint::from(&seen),
        new_entries: resident.state.scanned()? - since,
        uploads,
        completed_again: again.completed,
        entered_again: again.entered,
        fetched,
        batches,
        notices,
        handed_over,
        attacks: resident.state.attacks()?,
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
fn scan(resident: &Resident, why: &BTreeMap<LeafIndex, String>) -> Result<(), ResidentError> {
    let scan_some = || {
        let since = resident.state.scanned()?;
        let mut next = since;
        loop {
            let portion = resident.ledger.portion(next)?;
            let (ended, end) = (portion.end == next, portion.end);
            look_at_all(resident, portion, why)?;
            next = end;
            if ended || next - since >= SAVED_AT_ONCE {
                resident.state.set_scanned(next)?;
                return Ok::<_, ResidentError>(ended);
            }
        }
    };
    while !resident.state.atomic(scan_some)? {}
    Ok(())
}

fn look_at_all(
    resident: &Resident,
    portion: Portion,
    why: &BTreeMap<LeafIndex, String>,
) -> Result<(), ResidentError> {
    for index in portion.forbidden {
        let Some(entry) = resident.ledger.entry(index)? else {
            continue;
        };
        // The reason for an entry of an update that was interrupted is not known any more.
        let why = why.get(&index).map_or(FORBIDDEN, String::as_str);
        if asks_here(resident, &entry) {
            resident.state.open_request(index, Some(why))?;
        }
        notices::note(resident, &entry, Some(why))?;
    }
    portion
        .entries
        .iter()
        .try_for_each(|entry| look_at(resident, entry))
}

fn look_at(resident: &Resident, entry: &Entry) -> Result<(), ResidentError> {
    let state = &resident.state;
    notices::note(resident, entry, None)?;
    if asks_here(resident, entry) {
        if state.restoring()?
            && let Statement::AccessRequest(request) = &entry.signed.statement
        {
            state.add_maybe_refused(&MaybeRefused {
                request: entry.signed.id,
                index: entry.index,
                deadline: request.deadline,
            })?;
        }
        state.open_request(entry.index, None)?;
    }
    match &entry.signed.statement {
        Statement::CommitmentBatch(_) => state.add_batch_due(&entry.signed.id)?,
        Statement::Disclosure(disclosure) => recognise(resident, entry, disclosure)?,
        _ => {}
    }
    Ok(())
}

fn asks_here(resident: &Resident, entry: &Entry) -> bool {
    match &entry.signed.statement {
        Statement::AccessRequest(request) => request.jurisdiction == resident.state.jurisdiction,
        _ => false,
    }
}

/// Recognises an own disclosure by its one-time key, and the use of an own commitment by another.
fn recognise(
    resident: &Resident,
    entry: &Entry,
    disclosure: &Disclosure,
) -> Result<(), ResidentError> {
    let own_key = resident.own_key(disclosure);
    let author = match &entry.signed.head.author {
        Author::OneTimeKey(key) => Some(key),
        _ => None,
    };
    if author == Some(&own_key) {
        return adopt(resident, entry, disclosure);
    }
    for clip in &disclosure.clips {
        let one = BTreeSet::from([clip.commitment]);
        let Some((own, _)) = resident.state.clip_of(&clip.commitment)? else {
            continue;
        };
        if let Err(fault) = gate::check_own_commitments(disclosure, author, &own_key, &one) {
            resident.state.add_attack(&Attack {
                index: entry.index,
                disclosure: entry.signed.id,
                clip: own.clip,
                why: format!("somebody else consented in your name: {fault}"),
            })?;
        }
    }
    Ok(())
}

fn adopt(resident: &Resident, entry: &Entry, disclosure: &Disclosure) -> Result<(), ResidentError> {
    let state = &resident.state;
    if state.set_logged(&entry.signed.id, entry.index)? {
        return Ok(());
    }
    let given = disclosure.clips.iter().map(|given| {
        let clip = match state.clip_of(&given.commitment)? {
            Some((clip, _)) => Some(clip.clip),
            None => upload::find_later(resident, &given.commitment)?,
        };
        Ok(GivenClip { clip, header: None })
    });
    let clips = given.collect::<Result<Vec<_>, ResidentError>>()?;
    let gift = Gift {
        index: Some(entry.index),
        ..Gift::new(disclosure.request, &entry.signed.envelope, clips)
    };
    // A key speaks once: what this device had prepared for the request, or with the commitment, never
    // went into the log.
    let mut others = match &gift.request {
        Some(request) => state.gifts_for(request)?,
        None => Vec::new(),
    };
    if gift.request.is_none() {
        for clip in gift.clips.iter().filter_map(|given| given.clip) {
            others.extend(state.published(clip)?);
        }
        others.retain(|other| other.index.is_none());
    }
    for other in others {
        state.remove_gift(&other.disclosure)?;
    }
    Ok(state.put_gift(&gift)?)
}

/// Fetches the commitments of every batch that is new, checks them against the log, and finds the
/// own among them. What was found in one batch is kept before the next is fetched. Answers with how many, and with
/// the entries of those whose list the server does not have, or has otherwise than the log.
fn fetch_batches(
    resident: &mut Resident,
    progress: Progress<'_>,
    warnings: &mut Vec<String>,
) -> Result<(usize, BTreeSet<LeafIndex>), ResidentError> {
    let mut lost = BTreeSet::new();
    let candidates = resident.state.maybe_refused()?;
    let mut unanchored: BTreeSet<_> = resident.state.unanchored()?.into_iter().collect();
    let due = resident.state.batches_due()?;
    let (count, mut done) = (due.len() as u64, 0);
    for (place, id) in (0..).zip(due) {
        progress(place, count);
        match fetch_batch(resident, &id)? {
            Fetched::Batch(batch, entry) => {
                resident.state.atomic(|| {
                    let own = find_own(&resident.state, id, &batch, &mut unanchored)?;
                    find_refusals(resident, &entry, &batch, &own, &candidates)?;
                    resident.state.batch_done(&id)
                })?;
                done += 1;
            }
            Fetched::None => resident.state.batch_done(&id)?,
            Fetched::Wrong(why, index) => {
                lost.insert(index);
                warnings.push(format!("batch {}: {why}", short(&id)));
            }
            Fetched::Away(error) if !resident.is_server_away(&error) => {
                warnings.push(format!("batch {}: {error}", short(&id)));
            }
            Fetched::Away(error) if resident.state.restoring()? => return Err(error.into()),
            Fetched::Away(error) => {
                // The next call would fail in the same way.
                let left = plain::count(count - place, "batch");
                warnings.push(format!("{left}: {error}"));
                break;
            }
        }
    }
    let state = &resident.state;
    if !candidates.is_empty() && state.batches_due()?.is_empty() && state.unfetched()?.is_empty() {
        state.forget_maybe_refused()?;
    }
    Ok((done, lost))
}

/// Notes that all batches that were looked at are to be read again: they may have commitments that this device did not
/// know, of a clip that was restored, or that another device entered.
pub(super) fn read_batches_again(resident: &Resident) -> Result<(), ResidentError> {
    resident.state.atomic(|| {
        for index in (0..resident.state.scanned()?).map(LeafIndex::new) {
            if resident.ledger.facts().batch(&index)?.is_some()
                && let Some(entry) = resident.ledger.entry(index)?
            {
                resident.state.add_batch_due(&entry.signed.id)?;
            }
        }
        Ok(())
    })
}

/// What came of a batch that is due.
enum Fetched {
    Batch(Batch, Box<Entry>),
    /// The log holds no such batch.
    None,
    /// The server gives something else, or does not have it.
    Wrong(String, LeafIndex),
    /// The server gives nothing for now.
    Away(ClientError),
}

fn fetch_batch(resident: &Resident, id: &StatementId) -> Result<Fetched, ResidentError> {
    let Some(index) = resident.ledger.find(id)? else {
        return Ok(Fetched::None);
    };
    let fact = resident.ledger.facts().batch(&index)?;
    let Some((fact, entry)) = fact.zip(resident.ledger.entry(index)?) else {
        return Ok(Fetched::None);
    };
    Ok(match resident.client.batch(id, fact.size) {
        Ok(bytes) => match read_batch(&bytes, &fact) {
            Ok(batch) => Fetched::Batch(batch, Box::new(entry)),
            Err(why) => Fetched::Wrong(why, index),
        },
        Err(error) if error.is_away() => Fetched::Away(error),
        Err(error) => Fetched::Wrong(error.to_string(), index),
    })
}

/// The commitments of a batch, if they are those that the log has the root of.
fn read_batch(bytes: &[u8], fact: &BatchFact) -> Result<Batch, String> {
    Batch::from_list(bytes, fact.size, &fact.root)
        .map_err(|why| format!("the server's list: {why}"))
}

/// Notes which own commitments are in a batch, and takes them out of those that are `unanchored`. Answers with the
/// clips that have some of them.
fn find_own(
    state: &State,
    id: StatementId,
    batch: &Batch,
    unanchored: &mut BTreeSet<Commitment>,
) -> Result<BTreeSet<HexId>, StoreError> {
    let mut clips = BTreeSet::new();
    for commitment in batch.commitments() {
        if unanchored.remove(commitment)
            && let Some(anchor) = anchor_in(batch, id, commitment)
        {
            state.anchor(commitment, &anchor)?;
            let own = state.clip_of(commitment)?;
            clips.extend(own.map(|(clip, _)| clip.clip));
        }
    }
    Ok(clips)
}

/// Recognises refusals in a batch that a lost device made: the salt of each names the clip that carried it, which is one
/// of `own` in the same batch. Tries the requests that were open when the batch was logged, and those whose deadline
/// had passed a while before.
fn find_refusals(
    resident: &Resident,
    entry: &Entry,
    batch: &Batch,
    own: &BTreeSet<HexId>,
    candidates: &[MaybeRefused],
) -> Result<(), StoreError> {
    let state = &resident.state;
    let was_asked = |maybe: &&MaybeRefused| {
        let over = entry.logged_at.seconds_since(maybe.deadline);
        maybe.index < entry.index && over <= REFUSED_BEFORE
    };
    for maybe in candidates.iter().filter(was_asked) {
        let request = &maybe.request;
        for clip in own {
            let commitment = upload::decision_commitment(resident, request, *clip);
            if let Some(anchor) = anchor_in(batch, entry.signed.id, &commitment)
                && !state.has_refused(request)?
            {
                state.add_refusal(&KeptRefusal {
                    request: *request,
                    envelope: decide::to_value(&decide::decision(resident, request)),
                    carried: Some(Carried {
                        clip: *clip,
                        commitment,
                        anchor: Some(anchor),
                    }),
                })?;
            }
        }
    }
    Ok(())
}

/// A commitment's place in a batch.
fn anchor_in(batch: &Batch, id: StatementId, commitment: &Commitment) -> Option<Anchor> {
    let index = batch.index(commitment)?;
    Some(Anchor {
        batch: id,
        index: u32::try_from(index).ok()?,
        path: batch.path(index)?,
    })
}

/// Forgets requests whose deadline has passed, unless they are remembered for the report, and those
/// that their agency has closed.
fn close_requests(resident: &Resident, now: crate::time::Time) -> Result<(), ResidentError> {
    resident.state.atomic(|| {
        for (index, _) in resident.state.open_requests()? {
            let open = resident.claim(index)?.is_some_and(|claim| {
                let closed = claim.fact.is_some_and(|fact| fact.closed.is_some());
                claim.body.deadline > now && !closed
            });
            if !open {
                resident.state.close_request(index)?;
            }
        }
        Ok(())
    })
}

/// Hands over what was consented to and collected, or is public; what was.
pub(super) fn hand_over(
    resident: &mut Resident,
    warnings: &mut Vec<String>,
) -> Result<Vec<StatementId>, ResidentError> {
    let mut done = Vec::new();
    for gift in resident.state.gifts_to_hand_over()? {
        let Some(prepared) = gift.prepared() else {
            continue;
        };
        match hand_over_one(resident, &gift, &prepared) {
            Ok(()) => {
                let now = resident.clock.now();
                resident.state.set_handed_over(&gift.disclosure, now)?;
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
    prepared: &Prepared,
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
        None => gate::check_publication(&given, &own_key, prepared, &now)?,
        Some(request) => {
            let claim = resident.claim_of(request)?;
            gate::check_hand_over(&claim, &given, &own_key, prepared, &now)?;
        }
    }
    let (client, key) = (&resident.client, resident.seed.vault_key());
    let send = |put: &dyn Fn() -> Result<(), ClientError>| match put() {
        // The log has it: the server has lost what it is about.
        Err(error) if error.status() == Some(404) => {
            again::disclose(resident, gift, &given)?;
            Ok(put()?)
        }
        done => Ok::<_, ResidentError>(done?),
    };
    for (n, header) in prepared.headers.iter().enumerate() {
        send(&|| client.hand_over(&gift.disclosure, n, header, &key))?;
    }
    if let Some(note) = &prepared.note {
        send(&|| client.hand_over_note(&gift.disclosure, note, &key))?;
    }
    Ok(())
}

/// Disclosures that may still be collected, and whose headers this device does not have.
pub(super) fn unmet(resident: &Resident) -> Result<usize, ResidentError> {
    let mut unmet = 0;
    for gift in resident.state.gifts()? {
        let given = match gift.index {
            Some(index) => resident.ledger.given(index)?,
            None => None,
        };
        let open = given
            .and_then(|given| given.fact)
            .is_some_and(|f| f.withdrawn.is_none());
        unmet += usize::from(open && gift.handed_over.is_none() && gift.lacks_headers());
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
        let forbidden = self.state.why_forbidden(index)?;
        Ok(self.ledger.claim(index, forbidden)?)
    }

    /// What the own copy says of a request.
    pub(super) fn claim_of(&self, request: &StatementId) -> Result<gate::Claim, ResidentError> {
        if let Some(index) = self.ledger.find(request)?
            && let Some(claim) = self.claim(index)?
        {
            return Ok(claim);
        }
        // What the rules forbid has a place in the log and no id: it is told apart from nothing.
        for (index, forbidden) in self.state.open_requests()? {
            if forbidden.is_some()
                && let Some(claim) = self.claim(index)?
                && claim.id == *request
            {
                return Ok(claim);
            }
        }
        let seen = self.seen()?.ok_or(Fault::NoCheckpoint)?;
        Err(ResidentError::NotInCopy(seen.cosigned_at))
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
