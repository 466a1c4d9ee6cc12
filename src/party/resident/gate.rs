//! The gate: every check that stands between a clip and whoever asks for it.
//!
//! Pure. What it is told comes from the device's own verified copy of the log ([`super::ledger`]),
//! from bytes whose digests stand there, and from a clock; no answer of a server is among it. The
//! log's rules have judged every entry before; what this device would act on is judged here once
//! more, so that a fault of the replay opens nothing. Spec: `docs/PROTOCOL.md`, section 7.

pub mod notice;
mod publish;

pub use publish::{check_publication, check_publish};

use std::collections::BTreeSet;

use crate::client::attachment_matches;
use crate::digest::{Digest, StatementId};
use crate::encoding::{from_base64, printable_lines};
use crate::reader::follower::Mark;
use crate::seal::batch;
use crate::seal::commitment::Commitment;
use crate::seal::note;
use crate::statement::facts::{
    AgreementFact, BatchFact, ClosedFact, DisclosureFact, KeyFact, RequestFact, Standing,
};
use crate::statement::key::PublicKey;
use crate::statement::kinds::access_request::{AccessRequest, MAX_MESSAGE};
use crate::statement::kinds::agreement::Status;
use crate::statement::kinds::disclosure::{Audience, Disclosure};
use crate::statement::kinds::limits::Limits;
use crate::statement::leaf::Leaf;
use crate::statement::scope::{MAX_SCOPE, Scope, ScopeError};
use crate::statement::sealed::{Opening, SealDigest};
use crate::statement::words::{DataKind, Label, PartyId, Role};
use crate::time::Time;
use crate::tlog::policy::{Policy, PolicyError, counts_at, fresh_at};
use crate::tlog::proof::{TlogProof, TlogProofError};
use crate::tlog::tree::{LeafIndex, TreeSize};
use crate::wire::statements::BundledRequest;

/// The last checkpoint that the device has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub size: TreeSize,
    /// The checkpoint with its cosignatures.
    pub note: Vec<u8>,
    /// The checkpoint's time, by its witnesses ([`WitnessedCheckpoint::time`](crate::tlog::policy::WitnessedCheckpoint::time)).
    pub cosigned_at: Time,
    /// Who cosigned, by their names in the trust file.
    pub witnesses: Vec<String>,
    /// The end, if the log was closed: nothing counts that comes after.
    pub closed: Option<ClosedFact>,
}

impl Seen {
    /// Whether the checkpoint counts for an entry logged at this time (PROTOCOL section 3).
    ///
    /// # Errors
    /// [`Fault::NotYet`]: it is as if the quorum were missing.
    pub fn check_counts_for(&self, logged_at: Time) -> Result<(), Fault> {
        match counts_at(self.cosigned_at, logged_at) {
            true => Ok(()),
            false => Err(Fault::NotYet(logged_at)),
        }
    }
}

/// What time it is, and what the device knows then.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    pub time: Time,
    pub policy: &'a Policy,
    pub seen: Option<&'a Seen>,
}

impl<'a> Now<'a> {
    /// Whether the device knows what the log says *now*: the policy's quorum has cosigned its
    /// checkpoint within the last hour.
    pub fn check_fresh(&self) -> Result<&'a Seen, Fault> {
        let seen = self.seen.ok_or(Fault::NoCheckpoint)?;
        match self.policy.verify_fresh(&seen.note, self.time) {
            Ok(_) => Ok(seen),
            Err(PolicyError::QuorumMissing(why)) => Err(Fault::Stale(why)),
            Err(error) => Err(Fault::Checkpoint(error)),
        }
    }
}

/// What the own copy of the log says of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub id: StatementId,
    pub index: LeafIndex,
    pub logged_at: Time,
    pub issued_at: Time,
    pub agency: PartyId,
    pub body: AccessRequest,
    /// Why the log's rules forbid it, if they do.
    pub forbidden: Option<String>,
    /// What the rules keep of it.
    pub fact: Option<RequestFact>,
    /// Whether the agency may act now.
    pub standing: Option<Standing>,
    /// Attachments of it that were destroyed.
    pub erased: BTreeSet<SealDigest>,
    /// Where its recipient was first seen.
    pub recipient_seen: Option<LeafIndex>,
    /// The keys that signed it.
    pub signers: Vec<KeyFact>,
    pub agreement: Option<AgreementFact>,
    pub operator: Option<PartyId>,
    /// The limits by which the rules judged it.
    pub limits: Option<Limits>,
    /// An entry that it rests on whose time of logging the witnesses contradict.
    pub marked: Option<(LeafIndex, Mark)>,
}

/// What a request asks, from attachments that are the very ones in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub scope: Scope,
    pub message: Option<String>,
}

/// Why the device does not do, or does not believe, something.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    #[error("this device has seen no checkpoint of the log yet: run `whosaw resident sync`")]
    NoCheckpoint,
    #[error(
        "the witnesses have not spoken within the last hour, so what happened since may be kept \
         from this device: {0}"
    )]
    Stale(String),
    #[error("the checkpoint does not count: {0}")]
    Checkpoint(PolicyError),

    #[error("the public log holds no such request: whoever shows it to you went around the log")]
    NotLogged,
    #[error("the log's rules forbid it, though it stands there: {0}")]
    Forbidden(String),
    #[error(
        "entry {0} has a time of logging that had not come: the witnesses had cosigned it more than 5 minutes \
         before. Nothing is released for it"
    )]
    LoggedAhead(LeafIndex),
    #[error(
        "entry {0} has a time of logging more than 15 minutes before a checkpoint that was without it. Nothing \
         is released for it"
    )]
    LoggedBehind(LeafIndex),
    #[error(
        "it has the time of logging {0}, which the witnesses' times have not reached: their quorum is missing \
         for it"
    )]
    NotYet(Time),
    #[error("it is not signed by a key that {0} had registered and that was in use then")]
    AgencyKey(PartyId),
    #[error("no agreement, and no declaration of none, was in force for {0}")]
    NoAgreement(PartyId),
    #[error("{member} is {found}, where this ledger allows at most {most}")]
    OutsideLimits {
        member: &'static str,
        found: u32,
        most: u32,
    },
    #[error("the key that clips would be sealed for is not the one in the log")]
    RecipientSwapped,
    #[error("{0}")]
    LogClosed(Box<ClosedFact>),
    #[error("answers counted until {0}")]
    Closed(Time),
    #[error("its agency takes no more answers since entry {0}")]
    ClosedEarly(LeafIndex),
    #[error("{0} may not act in this log now")]
    NotInStanding(PartyId),

    #[error("the server withholds its {0}, which every device is to get")]
    Withheld(&'static str),
    #[error("the server gives another {0} than the one fixed in the log")]
    Swapped(&'static str),
    #[error("its {0} cannot be read: {1}")]
    Unreadable(&'static str, String),
    #[error("it asks for more than the public log was told: {0}")]
    ScopeTooLarge(ScopeError),

    #[error("it is about a demand that does not stand in the log")]
    NoDemand,
    #[error("{0} may not send notices of this demand")]
    WrongSender(PartyId),
    #[error("it speaks of another demand: it was written for another notice")]
    OtherDemand,
    #[error("it tells another {0} than the log")]
    Contradicts(&'static str),

    #[error("your clip's commitment stands in no batch of the log yet: wait for the next one")]
    NotAnchored,
    #[error("each of the clip's four commitments has been used: it cannot be given once more")]
    Spent,
    #[error("it gives {0}, which was not asked for")]
    NotAsked(DataKind),
    #[error("it gives no video, which every consent gives")]
    WithoutVideo,
    #[error("its note {0}")]
    Note(&'static str),
    #[error("it would tell who you are: to the public goes one clip, and nothing but its video")]
    TellsWho,
    #[error("the header to hand over is not the one that the disclosure in the log names")]
    Header,

    #[error("your consent does not stand in this device's verified copy of the log")]
    DisclosureNotLogged,
    #[error("it was answered under another key than this request's own")]
    ForeignKey,
    #[error("nobody has logged a collection yet: nothing is handed over before")]
    NotCollected,
    #[error("you took it back")]
    Withdrawn,
    #[error("it expired on {0}, before it was collected")]
    Expired(Time),
    #[error("it was to be public until {0}")]
    Over(Time),
    #[error("it was collected by {0}, who had not asked")]
    WrongCollector(PartyId),

    #[error("the server answered with a proof that does not hold: {0}")]
    Proof(TlogProofError),
    #[error("the server answered with a proof of something else")]
    ProofOfAnother,
}

impl Fault {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCheckpoint => "no-checkpoint",
            Self::Stale(_) => "stale",
            Self::Checkpoint(_) => "checkpoint",
            Self::NotLogged => "not-logged",
            Self::Forbidden(_) => "forbidden",
            Self::LoggedAhead(_) => "logged-ahead",
            Self::LoggedBehind(_) => "logged-behind",
            Self::NotYet(_) => "not-yet",
            Self::AgencyKey(_) => "agency-key",
            Self::NoAgreement(_) => "no-agreement",
            Self::OutsideLimits { .. } => "outside-limits",
            Self::RecipientSwapped => "recipient-swapped",
            Self::LogClosed(_) => "log-closed",
            Self::Closed(_) => "closed",
            Self::ClosedEarly(_) => "closed-early",
            Self::NotInStanding(_) => "not-in-standing",
            Self::Withheld(_) => "withheld",
            Self::Swapped(_) => "swapped",
            Self::Unreadable(..) => "unreadable",
            Self::ScopeTooLarge(_) => "scope-too-large",
            Self::NoDemand => "no-demand",
            Self::WrongSender(_) => "wrong-sender",
            Self::OtherDemand => "other-demand",
            Self::Contradicts(_) => "contradicts",
            Self::NotAnchored => "not-anchored",
            Self::Spent => "spent",
            Self::NotAsked(_) => "not-asked",
            Self::WithoutVideo => "without-video",
            Self::Note(_) => "note",
            Self::TellsWho => "tells-who",
            Self::Header => "header",
            Self::DisclosureNotLogged => "disclosure-not-logged",
            Self::ForeignKey => "foreign-key",
            Self::NotCollected => "not-collected",
            Self::Withdrawn => "withdrawn",
            Self::Expired(_) => "expired",
            Self::Over(_) => "over",
            Self::WrongCollector(_) => "wrong-collector",
            Self::Proof(_) => "proof",
            Self::ProofOfAnother => "proof-of-another",
        }
    }
}

/// Whether a request may be shown as genuine, as far as the log tells.
pub fn check_request(claim: &Claim) -> Result<(), Fault> {
    let agency = || claim.agency.clone();
    let fact = match (&claim.fact, &claim.forbidden) {
        (Some(fact), None) => fact,
        (_, why) => return Err(Fault::Forbidden(why.clone().unwrap_or_default())),
    };
    check_mark(claim.marked)?;
    let [signer] = claim.signers.as_slice() else {
        return Err(Fault::AgencyKey(agency()));
    };
    let (index, logged_at) = (claim.index, claim.logged_at);
    let live = live(signer, &claim.agency, &[Role::Officer], index, logged_at);
    if fact.agency != claim.agency || !live {
        return Err(Fault::AgencyKey(agency()));
    }
    if fact.recipient != claim.body.recipient || claim.recipient_seen != Some(claim.index) {
        return Err(Fault::RecipientSwapped);
    }
    let limits = claim.limits.as_ref();
    let limits = limits.ok_or_else(|| Fault::NoAgreement(agency()))?;
    check_agreement(claim, limits)?;
    check_limits(&claim.body, limits)
}

/// Nothing is released for an entry whose time of logging the witnesses contradict: waits and expiries
/// were counted by it.
fn check_mark(marked: Option<(LeafIndex, Mark)>) -> Result<(), Fault> {
    match marked {
        None => Ok(()),
        Some((index, Mark::Ahead)) => Err(Fault::LoggedAhead(index)),
        Some((index, Mark::Behind)) => Err(Fault::LoggedBehind(index)),
    }
}

/// Whether a key was one of the party's, of one of these roles, where an entry stands.
fn live(
    signer: &KeyFact,
    party: &PartyId,
    roles: &[Role],
    index: LeafIndex,
    logged_at: Time,
) -> bool {
    signer.party.as_ref() == Some(party)
        && signer.role.is_some_and(|role| roles.contains(&role))
        && signer.added < index
        && signer.usable_from <= logged_at
        && signer.revoked.is_none_or(|at| at > index)
}

fn check_agreement(claim: &Claim, limits: &Limits) -> Result<(), Fault> {
    let binding = claim.agreement.as_ref().filter(|agreement| {
        let opens = |party: &PartyId| {
            claim.operator.as_ref() == Some(party) || limits.vendors.contains(party)
        };
        agreement.status == Status::InForce
            && agreement.parties.contains(&claim.agency)
            && agreement.parties.iter().any(opens)
    });
    match binding {
        Some(_) => Ok(()),
        None => Err(Fault::NoAgreement(claim.agency.clone())),
    }
}

fn check_limits(body: &AccessRequest, limits: &Limits) -> Result<(), Fault> {
    let bounds = [
        ("the area (m²)", body.area_m2, limits.area_m2),
        (
            "the window (minutes)",
            body.window_minutes,
            limits.window_minutes,
        ),
        (
            "the age of the footage (days)",
            body.footage_age_days,
            limits.footage_age_days,
        ),
    ];
    for (member, found, most) in bounds {
        if found > most {
            return Err(Fault::OutsideLimits {
                member,
                found,
                most,
            });
        }
    }
    Ok(())
}

/// What a request asks, from the attachments that the server gave with it.
pub fn check_attachments(claim: &Claim, bundled: Option<&BundledRequest>) -> Result<Asked, Fault> {
    let bundled = bundled.ok_or(Fault::Withheld("scope"))?;
    let fixed: Vec<&SealDigest> = [&claim.body.scope]
        .into_iter()
        .chain(&claim.body.message)
        .collect();
    let find = |what, most, digest| attachment(bundled, &fixed, what, most, digest);
    let scope = find("scope", MAX_SCOPE, &claim.body.scope)?;
    let scope = Scope::parse(&scope).map_err(|e| Fault::Unreadable("scope", e.to_string()))?;
    let fits = scope.fits(&claim.body, claim.issued_at);
    fits.map_err(Fault::ScopeTooLarge)?;
    let message = match &claim.body.message {
        None => None,
        Some(digest) if claim.erased.contains(digest) => None,
        Some(digest) => Some(readable(find("message", MAX_MESSAGE, digest)?)?),
    };
    Ok(Asked { scope, message })
}

/// Why a bundle need not have what this request asks: it cannot be answered, so nobody is shown it.
pub fn check_bundled(claim: &Claim) -> Result<(), Fault> {
    if let Some(at) = claim.fact.as_ref().and_then(|fact| fact.closed) {
        return Err(Fault::ClosedEarly(at));
    }
    check_standing(claim)
}

/// The bytes behind `digest`, one of those `fixed` in the request; at most so many.
fn attachment(
    bundled: &BundledRequest,
    fixed: &[&SealDigest],
    what: &'static str,
    most: usize,
    digest: &SealDigest,
) -> Result<Vec<u8>, Fault> {
    let mut fault = Fault::Withheld(what);
    let too_long = |opening: &Opening| {
        let value = opening.as_attachment();
        opening.digest() == *digest && value.is_ok_and(|value| value.size > most as u64)
    };
    for given in &bundled.attachments {
        let opening = Opening::parse(&given.opening).ok();
        let stands_for = opening.as_ref().map(Opening::digest);
        // The log itself says so, and the server need not give it.
        if opening.as_ref().is_some_and(too_long) {
            let why = format!("longer than {} KiB", most >> 10);
            return Err(Fault::Unreadable(what, why));
        }
        if let (Some(opening), Ok(bytes)) = (&opening, from_base64(&given.data))
            && attachment_matches(opening, digest, &bytes)
        {
            return Ok(bytes);
        }
        // Other bytes under this digest, or under one that the request does not name.
        if stands_for.is_none_or(|other| other == *digest || !fixed.contains(&&other)) {
            fault = Fault::Swapped(what);
        }
    }
    Err(fault)
}

/// Text for a terminal: nothing in it can paint over what the device says.
fn readable(bytes: Vec<u8>) -> Result<String, Fault> {
    let fault = |why: &str| Fault::Unreadable("message", why.to_owned());
    let text = String::from_utf8(bytes).map_err(|_| fault("not UTF-8"))?;
    Ok(printable_lines(&text))
}

/// What an own disclosure hands over.
#[derive(Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The re-wrapped header of each clip, in the disclosure's order.
    pub headers: Vec<Vec<u8>>,
    /// The note, an age file, if more than the video is given.
    pub note: Option<Vec<u8>>,
}

/// Whether this consent, not signed yet, gives what was asked to whom it was asked for, names nothing
/// that is not an own commitment in a batch of the log, and nothing but what is prepared.
///
/// `batches` has, for each clip, what the rules keep of its batch, and whether its commitment
/// stands in a disclosure already.
pub fn check_consent(
    claim: &Claim,
    disclosure: &Disclosure,
    batches: &[(Option<BatchFact>, bool)],
    prepared: &Prepared,
    now: &Now<'_>,
) -> Result<(), Fault> {
    check_log_open(now.seen)?;
    let seen = now.check_fresh()?;
    check_request(claim)?;
    seen.check_counts_for(claim.logged_at)?;
    if now.time >= claim.body.deadline {
        return Err(Fault::Closed(claim.body.deadline));
    }
    let fact = claim.fact.as_ref().ok_or(Fault::NotLogged)?;
    if let Some(at) = fact.closed {
        return Err(Fault::ClosedEarly(at));
    }
    check_standing(claim)?;
    let recipient = Audience::Agency(fact.recipient);
    if disclosure.request != Some(claim.id) || disclosure.recipient != recipient {
        return Err(Fault::RecipientSwapped);
    }
    if let Some(kind) = disclosure
        .gives
        .iter()
        .find(|kind| !claim.body.asks.contains(kind))
    {
        return Err(Fault::NotAsked(*kind));
    }
    check_prepared(disclosure, prepared)?;
    check_clips(disclosure, batches)
}

/// Nothing is answered after the end.
fn check_log_open(seen: Option<&Seen>) -> Result<(), Fault> {
    match seen.and_then(|seen| seen.closed.as_ref()) {
        None => Ok(()),
        Some(closed) => Err(Fault::LogClosed(Box::new(closed.clone()))),
    }
}

fn check_clips(
    disclosure: &Disclosure,
    batches: &[(Option<BatchFact>, bool)],
) -> Result<(), Fault> {
    if disclosure.clips.len() != batches.len() {
        return Err(Fault::NotAnchored);
    }
    for (clip, (batch, spent)) in disclosure.clips.iter().zip(batches) {
        if *spent {
            return Err(Fault::Spent);
        }
        let batch = batch.as_ref().ok_or(Fault::NotAnchored)?;
        let (size, index) = (batch.size.into(), clip.index.into());
        batch::verify(&batch.root, size, index, &clip.commitment, &clip.path)
            .map_err(|_| Fault::NotAnchored)?;
    }
    Ok(())
}

fn check_standing(claim: &Claim) -> Result<(), Fault> {
    match claim.standing {
        Some(Standing::Live) => Ok(()),
        _ => Err(Fault::NotInStanding(claim.agency.clone())),
    }
}

/// Whether `proof`, a server's answer, shows that the statement stands in the log now; where.
pub fn check_logged(
    proof: &[u8],
    statement: &StatementId,
    policy: &Policy,
    now: Time,
) -> Result<LeafIndex, Fault> {
    let proof = TlogProof::parse(proof).map_err(Fault::Proof)?;
    let leaf = proof.extra.as_deref().ok_or(Fault::ProofOfAnother)?;
    let parsed = Leaf::parse(leaf).map_err(|_| Fault::ProofOfAnother)?;
    if StatementId::of_payload(&parsed.envelope.payload) != *statement {
        return Err(Fault::ProofOfAnother);
    }
    let (oldest, newest) = fresh_at(now);
    let verified = proof.verify(leaf, policy, oldest, newest);
    let counts = verified
        .map_err(Fault::Proof)?
        .check_counts_for(parsed.logged_at);
    counts.map_err(|error| Fault::Proof(error.into()))?;
    Ok(proof.index)
}

/// What the own copy of the log says of an own consent.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    pub index: LeafIndex,
    pub logged_at: Time,
    /// It or its collection, if the witnesses contradict the time of logging.
    pub marked: Option<(LeafIndex, Mark)>,
    pub body: Disclosure,
    pub fact: Option<DisclosureFact>,
    pub collection: Option<Taking>,
}

/// A logged collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taking {
    pub index: LeafIndex,
    pub logged_at: Time,
    pub by: PartyId,
    /// The agency's own word for who took it.
    pub label: Label,
}

/// Whether the re-wrapped headers and the note may be handed over now.
pub fn check_hand_over<'a>(
    claim: &Claim,
    given: &'a Given,
    own_key: &PublicKey,
    prepared: &Prepared,
    now: &Now<'_>,
) -> Result<&'a Taking, Fault> {
    let seen = now.check_fresh()?;
    check_request(claim)?;
    check_mark(given.marked)?;
    seen.check_counts_for(claim.logged_at)?;
    seen.check_counts_for(given.logged_at)?;
    check_standing(claim)?;
    if let Some(RequestFact {
        withdrawn: true,
        closed: Some(at),
        ..
    }) = claim.fact
    {
        return Err(Fault::ClosedEarly(at));
    }
    let fact = given.fact.as_ref().ok_or(Fault::DisclosureNotLogged)?;
    if fact.request != Some(claim.index) || given.body.request != Some(claim.id) {
        return Err(Fault::DisclosureNotLogged);
    }
    if fact.key != *own_key {
        return Err(Fault::ForeignKey);
    }
    if given.body.recipient != Audience::Agency(claim.body.recipient) {
        return Err(Fault::RecipientSwapped);
    }
    let taking = match (&given.collection, fact.withdrawn) {
        (Some(taking), None) => taking,
        (Some(taking), Some(withdrawn)) if withdrawn > taking.index => taking,
        (_, Some(_)) => return Err(Fault::Withdrawn),
        (None, None) => return Err(Fault::NotCollected),
    };
    if fact.collected != Some(taking.index) || taking.index.as_u64() >= seen.size.as_u64() {
        return Err(Fault::NotCollected);
    }
    // The rules admit nothing after the end, a collection least of all.
    if let Some(closed) = &seen.closed
        && taking.index > closed.index
    {
        return Err(Fault::LogClosed(Box::new(closed.clone())));
    }
    seen.check_counts_for(taking.logged_at)?;
    if taking.by != claim.agency {
        return Err(Fault::WrongCollector(taking.by.clone()));
    }
    if taking.logged_at >= given.body.expires {
        return Err(Fault::Expired(given.body.expires));
    }
    check_prepared(&given.body, prepared)?;
    Ok(taking)
}

/// Whether what is prepared is what the disclosure names: these headers, and a note if, and only if, more
/// than the video is given.
fn check_prepared(disclosure: &Disclosure, prepared: &Prepared) -> Result<(), Fault> {
    if !disclosure.gives.contains(&DataKind::Video) {
        return Err(Fault::WithoutVideo);
    }
    let named = disclosure.clips.iter().map(|clip| clip.header);
    if !named.eq(prepared.headers.iter().map(Digest::of)) {
        return Err(Fault::Header);
    }
    match (
        disclosure.told().is_empty(),
        disclosure.note,
        &prepared.note,
    ) {
        (true, None, None) => Ok(()),
        (true, ..) => Err(Fault::Note("tells what the disclosure does not give")),
        (false, None, _) | (false, _, None) => {
            Err(Fault::Note("is missing, and more than the video is given"))
        }
        (false, Some(_), Some(file)) if !note::has_form(file) => {
            Err(Fault::Note("is not an age file of the size that all have"))
        }
        (false, Some(named), Some(file)) if Digest::of(file) != named => {
            Err(Fault::Note("is not the one that the disclosure names"))
        }
        (false, ..) => Ok(()),
    }
}

/// Whether a disclosure in the log uses own commitments under a key that is not this resident's.
pub fn check_own_commitments(
    disclosure: &Disclosure,
    author: Option<&PublicKey>,
    own_key: &PublicKey,
    own: &BTreeSet<Commitment>,
) -> Result<(), Fault> {
    let used = disclosure
        .clips
        .iter()
        .any(|clip| own.contains(&clip.commitment));
    if used && author != Some(own_key) {
        return Err(Fault::ForeignKey);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
