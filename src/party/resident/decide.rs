//! A resident's answers: consent, refusal, and taking a consent back.
//!
//! A refusal is signed and kept, and nothing is sent: to everybody else it looks like silence. A
//! consent is logged, and hands over nothing by itself.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use serde::Serialize;
use serde_json::value::RawValue;

use super::gate::{self, Asked, Claim, Fault};
use super::inbox::{self, bundled};
use super::note::{self, Words};
use super::state::{self, Clip, Gift, GivenClip, KeptNote, KeptRefusal};
use super::{Resident, ResidentError, sync, upload};
use crate::client::ClientError;
use crate::digest::{Digest, StatementId};
use crate::party::answered;
use crate::seal::rewrap;
use crate::statement::envelope::Envelope;
use crate::statement::facts::{BatchFact, FactsExt as _};
use crate::statement::kinds::decision::{Answer, Decision};
use crate::statement::kinds::disclosure::{
    Audience, BESIDE_WINDOW, DisclosedClip, Disclosure, MAX_CLIPS,
};
use crate::statement::kinds::withdrawal::Withdrawal;
use crate::statement::refusal::Reason;
use crate::statement::rules::ISSUED_BEFORE;
use crate::statement::words::{DataKind, MinutesBand};
use crate::statement::{Author, Head, Statement, parse_payload, sign};
use crate::time::{SECS_PER_DAY, Time};
use crate::tlog::tree::LeafIndex;
use crate::wire::note::Note;
use crate::wire::statements::Logged;
use crate::wire::vault::{Disclose, HexId, ShownOpening};

/// How long after the deadline a consent may be collected, in seconds, unless the limits say less.
const OPEN_FOR: i64 = 7 * 86_400;
/// How long what was logged may lack its witnesses, and so be unseen, in seconds.
const UNSEEN: i64 = 86_400;
/// How often, and how long apart, the log is asked whether the witnesses have cosigned an answer.
const ASK: (u32, Duration) = (30, Duration::from_secs(2));

/// A consent as it would be given.
pub struct Offer {
    pub claim: Claim,
    pub asked: Asked,
    pub disclosure: Disclosure,
    pub clips: Vec<Clip>,
    /// What is told besides the video.
    pub note: Option<Note>,
    /// It was signed before, and may be on its way: it is sent as it was.
    envelope: Option<Envelope>,
    given: Vec<GivenClip>,
    kept_note: Option<KeptNote>,
    openings: Vec<ShownOpening>,
}

/// A disclosure that was signed before, and did not come into the log yet.
pub(super) struct Waiting {
    pub envelope: Envelope,
    pub disclosure: Disclosure,
    issued_at: Time,
}

impl Waiting {
    /// What a gift waits with; none if the log has it.
    pub fn of(gift: &Gift) -> Option<Self> {
        if gift.index.is_some() {
            return None;
        }
        let envelope = Envelope::parse(gift.envelope.to_string().as_bytes()).ok()?;
        match parse_payload(&envelope.payload).ok()? {
            (head, Statement::Disclosure(disclosure)) => Some(Self {
                issued_at: head.issued_at,
                envelope,
                disclosure,
            }),
            _ => None,
        }
    }

    /// Whether the log may still take it, or have taken it without showing it.
    fn may_be_logged(&self, now: Time) -> bool {
        now.seconds_since(self.issued_at) <= ISSUED_BEFORE + UNSEEN
    }
}

/// A clip as a disclosure gives it.
pub(super) struct Sealed {
    pub given: DisclosedClip,
    /// Its file key wrapped for the recipient.
    pub header: Vec<u8>,
    pub opening: ShownOpening,
    /// For the gate: what the rules keep of its batch, and whether its commitment is spent.
    pub batch: (Option<BatchFact>, bool),
}

/// What was logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    pub id: StatementId,
    /// Its place in the log; none while the witnesses have not cosigned it.
    pub index: Option<LeafIndex>,
}

/// What a resident wants to give.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Which clips; all that match, if none is named.
    pub clips: Vec<HexId>,
    /// Which kinds of data besides the video.
    pub gives: Vec<DataKind>,
    /// What to tell of them.
    pub words: Words,
}

/// The request that `text` names: its id, or the first digits of one near an own camera.
///
/// # Errors
/// If none or several begin like that.
pub fn resolve(resident: &Resident, text: &str) -> Result<StatementId, ResidentError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let seen = resident.state.requests()?.into_iter();
    let mut known: Vec<StatementId> = seen.map(|seen| seen.request).collect();
    for (index, _) in resident.state.open_requests()? {
        known.extend(resident.claim(index)?.map(|claim| claim.id));
    }
    known.retain(|id| id.to_string().starts_with(text));
    one_of(known, text, "request")
}

/// The own disclosure that `text` names: by its id or the request's, or the first digits of either.
///
/// # Errors
/// If none or several begin like that.
pub fn resolve_given(resident: &Resident, text: &str) -> Result<StatementId, ResidentError> {
    let ids = |gift: &Gift| [Some(gift.disclosure), gift.request];
    let begins = |gift: &Gift| {
        let mut named = ids(gift).into_iter().flatten();
        named.any(|id| id.to_string().starts_with(text))
    };
    let gifts = resident.state.gifts()?.into_iter();
    let named = gifts.filter(begins).map(|gift| gift.disclosure).collect();
    one_of(named, text, "consent")
}

fn one_of(
    mut named: Vec<StatementId>,
    text: &str,
    what: &str,
) -> Result<StatementId, ResidentError> {
    named.sort_unstable();
    named.dedup();
    match named.as_slice() {
        [one] if text.len() >= 6 => Ok(*one),
        [] => asked(format!(
            "no {what} that this device knows begins with `{text}`"
        )),
        _ => asked(format!("`{text}` may be several {what}s: give more digits")),
    }
}

/// Makes the consent that the resident wishes for, and lets it through the gate.
///
/// # Errors
/// [`ResidentError::Fault`]: each reason not to consent.
pub fn prepare(
    resident: &Resident,
    request: &StatementId,
    wish: &Wish,
) -> Result<Offer, ResidentError> {
    let gift = resident.state.gifts_for(request)?.into_iter().next();
    if let Some(gift) = gift.as_ref().filter(|gift| gift.index.is_some()) {
        let id = gift.disclosure;
        return asked(format!(
            "you have answered this request already, by {id}: one answer each"
        ));
    }
    let claim = resident.claim_of(request)?;
    let held = inbox::held(resident)?;
    let bundled = held
        .as_ref()
        .and_then(|held| bundled(&held.bundle, request));
    let asked_for = inbox::judge(&claim, bundled)?;
    let now = resident.clock.now();
    let waiting = |gift: Gift| {
        let waiting = Waiting::of(&gift).filter(|w| w.may_be_logged(now))?;
        Some((gift, waiting))
    };
    if let Some((gift, waiting)) = gift.and_then(waiting) {
        return unfinished(resident, claim, asked_for, &gift, waiting, wish);
    }
    let clips = choose(resident, &asked_for, &wish.clips)?;
    let days = claim
        .limits
        .as_ref()
        .map_or(0, |limits| limits.retention_days);
    let mut offer = Offer {
        disclosure: Disclosure {
            request: Some(*request),
            clips: Vec::new(),
            gives: gives(&wish.gives),
            minutes: Some(minutes(&clips)),
            note: None,
            recipient: Audience::Agency(claim.body.recipient),
            expires: expires(claim.body.deadline, days, now)?,
        },
        claim,
        asked: asked_for,
        clips,
        note: None,
        envelope: None,
        given: Vec::new(),
        kept_note: None,
        openings: Vec::new(),
    };
    let told = offer.disclosure.told();
    if !told.is_empty() || !wish.words.is_empty() {
        let note = wish.words.note(&told, &offer.clips)?;
        let recipient = offer.disclosure.recipient.recipient();
        let kept = note::prepare(&note, &told, offer.clips.len(), &recipient)?;
        offer.disclosure.note = Some(Digest::of(&kept.file));
        (offer.note, offer.kept_note) = (Some(note), Some(kept));
    }
    let mut batches = Vec::new();
    for clip in &offer.clips {
        let sealed = seal(resident, clip, offer.disclosure.recipient)?;
        batches.push(sealed.batch);
        offer.openings.push(sealed.opening);
        offer.disclosure.clips.push(sealed.given);
        offer.given.push(GivenClip {
            clip: Some(clip.clip),
            header: Some(sealed.header),
        });
    }
    check(resident, &offer, &batches)?;
    Ok(offer)
}

fn check(
    resident: &Resident,
    offer: &Offer,
    batches: &[(Option<BatchFact>, bool)],
) -> Result<(), ResidentError> {
    let seen = resident.seen()?;
    let now = resident.now(seen.as_ref());
    let prepared = state::prepared(&offer.given, offer.kept_note.as_ref());
    let prepared = prepared.ok_or(Fault::Header)?;
    Ok(gate::check_consent(
        &offer.claim,
        &offer.disclosure,
        batches,
        &prepared,
        &now,
    )?)
}

/// The consent that was signed before. The log may have it already, under the one key that this
/// request has, and its headers are here alone: another in its place would lose them.
fn unfinished(
    resident: &Resident,
    claim: Claim,
    asked_for: Asked,
    gift: &Gift,
    waiting: Waiting,
    wish: &Wish,
) -> Result<Offer, ResidentError> {
    let Waiting {
        envelope,
        disclosure,
        ..
    } = waiting;
    let other_kinds = !wish.gives.is_empty() && gives(&wish.gives) != disclosure.gives;
    let other_clips = wish.clips.len() > gift.clips.len()
        || wish.clips.iter().any(|clip| !gift.gives(*clip))
        || (!wish.clips.is_empty() && gift.clips.iter().any(|given| !named(wish, given)));
    if other_clips || other_kinds {
        return asked(
            "a consent of yours to this request is on its way, and gives something else: say neither \
             --clip nor --gives, and it is sent again"
                .to_owned(),
        );
    }
    let facts = resident.ledger.facts();
    let (mut clips, mut openings, mut batches) = (Vec::new(), Vec::new(), Vec::new());
    for given in &disclosure.clips {
        let own = resident.state.clip_of(&given.commitment)?;
        let Some((clip, i)) = own else {
            return asked(
                "a consent of yours to this request is on its way, and gives a clip that this \
                 device does not have any more"
                    .to_owned(),
            );
        };
        let spent = facts.commitment(&given.commitment)?.is_some();
        let batch = resident.ledger.find(&given.batch)?;
        let batch = facts.batch(&batch.ok_or(Fault::NotAnchored)?)?;
        batches.push((batch, spent));
        openings.push(shown(resident, &clip, i)?);
        clips.push(clip);
    }
    let told = disclosure.told();
    let note = match &gift.note {
        Some(kept) => Some(Note::parse(&kept.text, &told, clips.len())?),
        None => None,
    };
    if !wish.words.is_empty() && note != Some(wish.words.note(&told, &clips)?) {
        return asked(
            "a consent of yours to this request is on its way, and its note tells something else: leave \
             --note out, and it is sent again"
                .to_owned(),
        );
    }
    let offer = Offer {
        claim,
        asked: asked_for,
        disclosure,
        clips,
        note,
        envelope: Some(envelope),
        given: gift.clips.clone(),
        kept_note: gift.note.clone(),
        openings,
    };
    check(resident, &offer, &batches)?;
    Ok(offer)
}

fn named(wish: &Wish, given: &GivenClip) -> bool {
    given.clip.is_some_and(|clip| wish.clips.contains(&clip))
}

/// The clips to give: those named, or all that match.
fn choose(
    resident: &Resident,
    asked_for: &Asked,
    named: &[HexId],
) -> Result<Vec<Clip>, ResidentError> {
    let matching = resident.state.clips_in(&asked_for.scope)?;
    let strange = |id: &&HexId| !matching.iter().any(|clip| clip.clip == **id);
    if let Some(id) = named.iter().find(strange) {
        return asked(format!(
            "clip {id} is none of yours from where and when they ask"
        ));
    }
    let far = |clip: &&Clip| clip.minutes_beyond(&asked_for.scope) > BESIDE_WINDOW;
    if let (true, Some(clip)) = (named.is_empty(), matching.iter().find(far)) {
        return asked(format!(
            "clip {} reaches {} minutes beyond the window that they ask about, from {} until {}: name each clip \
             to give with --clip",
            clip.clip,
            clip.minutes_beyond(&asked_for.scope),
            asked_for.scope.from,
            asked_for.scope.until
        ));
    }
    let wanted = |clip: &Clip| named.is_empty() || named.contains(&clip.clip);
    let chosen: Vec<Clip> = matching.into_iter().filter(wanted).collect();
    match chosen.len() {
        0 => asked("you have no clip from where and when they ask".to_owned()),
        1..=MAX_CLIPS => Ok(chosen),
        n => asked(format!(
            "{n} clips match, and one answer gives at most {MAX_CLIPS}: choose with --clip"
        )),
    }
}

/// The video, and the kinds that are named.
fn gives(named: &[DataKind]) -> Vec<DataKind> {
    let mut gives = [&[DataKind::Video][..], named].concat();
    gives.sort_unstable();
    gives.dedup();
    gives
}

/// How long clips are together; each counts its begun minutes.
fn minutes(clips: &[Clip]) -> MinutesBand {
    MinutesBand::of(clips.iter().map(Clip::minutes).sum())
}

/// Until when a consent may be collected: the same for all who consent in an hour, whoever they are.
///
/// # Errors
/// [`ResidentError`] if the calendar ends before any such time.
pub fn expires(deadline: Time, retention_days: u32, now: Time) -> Result<Time, ResidentError> {
    let wanted = deadline.checked_add_seconds(OPEN_FOR);
    let latest = latest_end(now, retention_days);
    match wanted.into_iter().chain(latest).min() {
        Some(until) => Ok(until.cut_to_hour()),
        None => asked("the calendar ends before a consent would".to_owned()),
    }
}

/// The latest end that the limits allow, an hour less than theirs: a disclosure is logged later
/// than now, never earlier.
pub(super) fn latest_end(now: Time, retention_days: u32) -> Option<Time> {
    now.checked_add_seconds(i64::from(retention_days) * SECS_PER_DAY - 3600)
}

/// A fresh commitment of the clip with its opening, and its file key wrapped for the recipient.
pub(super) fn seal(
    resident: &Resident,
    clip: &Clip,
    audience: Audience,
) -> Result<Sealed, ResidentError> {
    let facts = resident.ledger.facts();
    let mut fault = Fault::NotAnchored;
    for (i, (commitment, anchor)) in clip.commitments.iter().zip(&clip.anchors).enumerate() {
        let (commitment, Some(anchor)) = (*commitment, anchor) else {
            continue;
        };
        let spent = facts.commitment(&commitment)?.is_some();
        if spent {
            fault = Fault::Spent;
            continue;
        }
        let batch = resident.ledger.find(&anchor.batch)?;
        let batch = facts.batch(&batch.ok_or(Fault::NotAnchored)?)?;
        let header = rewrap::wrap(&resident.file_key(clip.clip)?, &audience.recipient());
        let given = DisclosedClip {
            commitment,
            batch: anchor.batch,
            index: anchor.index,
            path: anchor.path.clone(),
            header: Digest::of(&header),
        };
        return Ok(Sealed {
            given,
            header,
            opening: shown(resident, clip, i)?,
            batch: (batch, spent),
        });
    }
    Err(fault.into())
}

/// The opening of the clip's commitment `i`, as the server is shown it.
pub(super) fn shown(
    resident: &Resident,
    clip: &Clip,
    i: usize,
) -> Result<ShownOpening, ResidentError> {
    let opening = upload::opening(resident, clip.clip, &clip.body_digest, i)?;
    Ok(ShownOpening {
        clip: clip.clip,
        opening: opening.encode().to_owned(),
        body_length: clip.body_length,
    })
}

/// Logs a consent. It is written down before it is sent, and sent again as it was until the log has
/// it, or cannot take it any more.
///
/// # Errors
/// The server's refusals, and a proof that does not hold.
pub fn consent(resident: &mut Resident, offer: Offer) -> Result<Said, ResidentError> {
    let request = offer.claim.id;
    let envelope = match offer.envelope {
        Some(envelope) => envelope,
        None => {
            let key = resident.one_time_key(&offer.disclosure);
            resident.sign_once(&key, offer.disclosure.into())
        }
    };
    let now = resident.clock.now();
    let state = &resident.state;
    let gift = Gift {
        note: offer.kept_note,
        ..Gift::new(Some(request), &envelope, offer.given)
    };
    state.atomic(|| {
        for earlier in state.gifts_for(&request)? {
            // The log will never take it, so it makes room; any other keeps its headers.
            if Waiting::of(&earlier).is_none_or(|w| !w.may_be_logged(now)) {
                state.remove_gift(&earlier.disclosure)?;
            }
        }
        state.remove_unsent_refusal(&request)?;
        state.put_gift(&gift)
    })?;
    disclose(resident, &envelope, offer.openings)
}

/// Logs a disclosure that is kept.
pub(super) fn disclose(
    resident: &mut Resident,
    envelope: &Envelope,
    openings: Vec<ShownOpening>,
) -> Result<Said, ResidentError> {
    let id = StatementId::of_payload(&envelope.payload);
    let body = Disclose {
        statement: raw(envelope),
        openings,
    };
    match resident.client.disclose(&body, &resident.seed.vault_key()) {
        Ok(logged) => settle(resident, id, &logged),
        Err(error) => {
            if is_refusal(&error) {
                resident.state.remove_gift(&id)?;
            }
            Err(error.into())
        }
    }
}

/// Refuses a request: signed, kept on this device, and sent to nobody. Its commitment goes with
/// one of the next clips, where nobody can tell it from a clip's.
///
/// # Errors
/// If the request is not in the own copy of the log, or was consented to.
pub fn refuse(resident: &Resident, request: &StatementId) -> Result<(), ResidentError> {
    resident.claim_of(request)?;
    if !resident.state.gifts_for(request)?.is_empty() {
        return asked(
            "you have consented to this request: take it back with `withdraw`".to_owned(),
        );
    }
    if resident.state.has_refused(request)? {
        return Ok(());
    }
    let refusal = KeptRefusal {
        request: *request,
        envelope: to_value(&decision(resident, request)),
        carried: None,
    };
    Ok(resident.state.add_refusal(&refusal)?)
}

/// The signed refusal of a request.
pub(super) fn decision(resident: &Resident, request: &StatementId) -> Envelope {
    let decision = Decision {
        request: *request,
        decision: Answer::Denied,
    };
    let key = resident.seed.request_key(request);
    resident.sign_once(&key, decision.into())
}

/// Takes an own disclosure back, if nobody has collected it yet. The log's order decides that. What
/// was public is not served any more; copies of it stay where they are.
///
/// # Errors
/// The server's refusals, and a proof that does not hold.
pub fn withdraw(resident: &mut Resident, disclosure: &StatementId) -> Result<Said, ResidentError> {
    let Some(gift) = resident.state.gift(disclosure)? else {
        return asked("you have not consented to this".to_owned());
    };
    let index = gift.index.ok_or(Fault::DisclosureNotLogged)?;
    let given = resident
        .ledger
        .given(index)?
        .ok_or(Fault::DisclosureNotLogged)?;
    if let Some(taking) = given.collection {
        return asked(format!(
            "{} has collected it: nothing can be taken back",
            taking.by
        ));
    }
    if given.fact.is_some_and(|fact| fact.withdrawn.is_some()) {
        return Err(Fault::Withdrawn.into());
    }
    let withdrawal = Withdrawal {
        disclosure: gift.disclosure,
    };
    let key = resident.one_time_key(&given.body);
    let envelope = resident.sign_once(&key, withdrawal.into());
    let logged = resident.client.submit(&envelope)?;
    let id = StatementId::of_payload(&envelope.payload);
    let said = settle(resident, id, &logged)?;
    resident.state.drop_prepared(disclosure)?;
    Ok(said)
}

/// Believes that a statement stands in the log once its proof says so, or the log itself.
fn settle(
    resident: &mut Resident,
    id: StatementId,
    logged: &Logged,
) -> Result<Said, ResidentError> {
    if let Some(proof) = &logged.proof {
        let now = resident.clock.now();
        let index = gate::check_logged(proof.as_bytes(), &id, &resident.policy, now)?;
        answered::note(id, Some(index), true);
        resident.state.set_logged(&id, index)?;
        return Ok(Said {
            id,
            index: Some(index),
        });
    }
    answered::note(id, None, false);
    for _ in 0..ASK.0 {
        std::thread::sleep(ASK.1);
        sync::follow(resident, &|_, _| {}, &mut Vec::new())?;
        if let Some(index) = resident.ledger.find(&id)? {
            return Ok(Said {
                id,
                index: Some(index),
            });
        }
    }
    Ok(Said { id, index: None })
}

/// Whether the rules refused the statement: no answer to the call alone says that the log lacks it.
fn is_refusal(error: &ClientError) -> bool {
    let ClientError::Problem(problem) = error else {
        return false;
    };
    let refused = |reason| reason != Reason::AlreadyLogged;
    matches!(problem.status, 400 | 409 | 422) && problem.refusal().is_some_and(refused)
}

pub(super) fn asked<T>(why: String) -> Result<T, ResidentError> {
    Err(ResidentError::Asked(why))
}

/// An envelope as it is kept.
pub(super) fn to_value(envelope: &Envelope) -> serde_json::Value {
    serde_json::from_slice(&envelope.to_json()).expect("an envelope is JSON")
}

fn raw(envelope: &Envelope) -> Box<RawValue> {
    let json = String::from_utf8(envelope.to_json()).expect("JSON is UTF-8");
    RawValue::from_string(json).expect("an envelope is JSON")
}

impl Resident {
    /// Signs with a one-time key.
    pub(super) fn sign_once(&self, key: &SigningKey, statement: Statement) -> Envelope {
        let head = one_time_head(self.origin(), key, self.clock.now());
        sign(&head, &statement, &[key])
    }
}

/// The common members of what a resident says under the one-time key of a request: of the time,
/// the hour alone.
pub fn one_time_head(log: String, key: &SigningKey, now: Time) -> Head {
    Head {
        log,
        issued_at: now.cut_to_hour(),
        author: Author::OneTimeKey(key.into()),
    }
}
