//! The ledger rules: whether an entry may follow the entries before it.
//!
//! One pure function, [`judge`]: the server admits with it, and every auditor replays it from
//! entry 0. Its only clock is the entry's own `logged_at`. What each type asks for stands beside
//! the type, in [`super::kinds`]. Not here: the door rules that bind the server alone.

use std::collections::BTreeSet;

use super::facts::{
    Change, ClosedFact, DemandFact, DisclosureFact, Facts, FactsExt, PartyFact, Standing, Whole,
};
use super::key::PublicKey;
use super::kinds::legal_demand::ProcessKind;
use super::kinds::limits::Limits;
use super::refusal::{Reason, Refusal, Verdict};
use super::words::{Day, PartyId, PartyKind, Role};
use super::{Author, Signed};
use crate::digest::StatementId;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// How long before its logging a statement may be issued, in seconds.
pub const ISSUED_BEFORE: i64 = 7 * 86_400;
/// How far a signer's clock may be ahead, in seconds.
const ISSUED_AFTER: i64 = 5 * 60;

/// How far a demand or a proposal may look ahead, in days: ten years.
pub const TEN_YEARS: u32 = 3653;
/// How far a retention may reach, in days: a hundred years.
pub const HUNDRED_YEARS: u32 = 36_525;

/// A statement before its judges: what it says, where it would stand, and what is known.
pub struct Entry<'a, F> {
    pub signed: &'a Signed,
    pub index: LeafIndex,
    /// UTC, cut to the minute; the only clock.
    pub logged_at: Time,
    pub facts: &'a F,
}

/// Judges the statement that would become entry `index`, logged at `logged_at`, in the log with
/// this `origin`.
///
/// # Errors
/// [`Verdict::Refused`] with the reason, or [`Verdict::Facts`] if the facts cannot be read.
pub fn judge<F: Facts>(
    signed: &Signed,
    origin: &str,
    index: LeafIndex,
    logged_at: Time,
    facts: &F,
) -> Result<Change, Verdict<F::Error>> {
    let entry = Entry {
        signed,
        index,
        logged_at,
        facts,
    };
    if signed.head.log != origin {
        return Err(Refusal::new(Reason::WrongLog, "/log", format!("this log is {origin}")).into());
    }
    entry.check_open()?;
    entry.check_time()?;
    entry.check_genesis()?;
    entry.check_new()?;
    signed.statement.judge(&entry)
}

impl<'a, F: Facts> Entry<'a, F> {
    fn check_time(&self) -> Result<(), Refusal> {
        let issued_at = self.signed.head.issued_at;
        let (cut, unit) = match self.signed.head.author {
            Author::OneTimeKey(_) => (issued_at.cut_to_hour(), "hour"),
            _ => (issued_at.cut_to_minute(), "minute"),
        };
        let refuse = |detail| Err(Refusal::new(Reason::WrongTime, "/issued_at", detail));
        if cut != issued_at {
            return refuse(format!("cut the time to the {unit}: {cut}"));
        }
        let age = self.logged_at.seconds_since(issued_at);
        if !(-ISSUED_AFTER..=ISSUED_BEFORE).contains(&age) {
            return refuse(format!(
                "logged at {}: issued at most 7 days earlier and 5 minutes later",
                self.logged_at
            ));
        }
        Ok(())
    }

    fn check_genesis(&self) -> Result<(), Refusal> {
        let expected = match self.index.as_u64() {
            0 => "party",
            1 => "limits",
            _ => return Ok(()),
        };
        if self.signed.statement.name() == expected {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::NotGenesis,
            "/type",
            format!("entry {} of a log is a `{expected}`", self.index),
        ))
    }

    /// Nothing follows the entry that closes a log.
    fn check_open(&self) -> Result<(), Verdict<F::Error>> {
        match self.facts.closed(&Whole).map_err(Verdict::Facts)? {
            None => Ok(()),
            Some(closed) => Err(log_closed(&closed).into()),
        }
    }

    /// The time `seconds` after this entry's, which bounds or follows from `member`.
    ///
    /// # Errors
    /// [`Reason::OutsideLimits`] if the calendar ends before it.
    pub fn time_after(&self, member: &str, seconds: i64) -> Result<Time, Refusal> {
        let time = self.logged_at.checked_add_seconds(seconds);
        time.ok_or_else(|| beyond_calendar(member))
    }

    /// The day `days` after this entry's, which bounds or follows from `member`.
    ///
    /// # Errors
    /// [`Reason::OutsideLimits`] if the calendar ends before it.
    pub fn day_after(&self, member: &str, days: u32) -> Result<Day, Refusal> {
        let day = Day::of(self.logged_at).checked_add_days(days.into());
        day.ok_or_else(|| beyond_calendar(member))
    }

    /// Refuses a report of what has not come: a day after the UTC day that follows this entry's.
    pub fn has_come(&self, member: &str, day: &Day) -> Result<(), Refusal> {
        self.within_days(member, day, 1)
    }

    /// Refuses a day that is more than `days` after this entry's.
    pub fn within_days(&self, member: &str, day: &Day, days: u32) -> Result<(), Refusal> {
        let latest = Day::of(self.logged_at).checked_add_days(days.into());
        // Where the calendar ends first, no day that can be written is later.
        match latest.filter(|latest| day > latest) {
            None => Ok(()),
            Some(latest) => {
                let detail = format!("logged now, {latest} at the latest");
                Err(Refusal::new(Reason::BadValue, member, detail))
            }
        }
    }

    /// The statement's id.
    pub fn id(&self) -> StatementId {
        self.signed.id
    }

    /// A statement stands once: said again, it would undo what came since.
    fn check_new(&self) -> Result<(), Verdict<F::Error>> {
        match self.facts.find(&self.signed.id).map_err(Verdict::Facts)? {
            None => Ok(()),
            Some(index) => {
                Err(Refusal::new(Reason::AlreadyLogged, "", format!("it is entry {index}")).into())
            }
        }
    }

    /// The issuer, if one party speaks.
    pub fn issuer(&self) -> Result<&'a PartyId, Refusal> {
        match &self.signed.head.author {
            Author::Issuer(party) => Ok(party),
            _ => Err(wrong_author("one party speaks here: name it in issuer")),
        }
    }

    /// The one-time key, if a resident speaks.
    pub fn one_time_key(&self) -> Result<PublicKey, Refusal> {
        match &self.signed.head.author {
            Author::OneTimeKey(key) => Ok(*key),
            _ => Err(wrong_author(
                "a resident speaks here: name a one-time key in issuer_key",
            )),
        }
    }

    /// The operator; entry 0 names it.
    pub fn operator(&self) -> Result<PartyId, Verdict<F::Error>> {
        let operator = self.facts.operator(&Whole).map_err(Verdict::Facts)?;
        operator.ok_or_else(|| {
            Refusal::new(Reason::NotGenesis, "", "the log has no operator yet").into()
        })
    }

    /// The limits in force at this entry, and the index of the statement that declared them.
    pub fn limits(&self) -> Result<(LeafIndex, Limits), Verdict<F::Error>> {
        let declared = self.facts.limits(&Whole).map_err(Verdict::Facts)?;
        declared
            .unwrap_or_default()
            .into_iter()
            .rfind(|declared| declared.effective_from <= self.logged_at)
            .map(|declared| (declared.index, declared.limits))
            .ok_or_else(|| Refusal::new(Reason::NotGenesis, "", "the log has no limits yet").into())
    }

    /// The index of an earlier statement, referred to by `member`.
    pub fn reference(
        &self,
        member: &str,
        id: &StatementId,
    ) -> Result<LeafIndex, Verdict<F::Error>> {
        let index = self.facts.find(id).map_err(Verdict::Facts)?;
        index.ok_or_else(|| {
            Refusal::new(
                Reason::UnknownReference,
                member,
                format!("no statement {id} stands in this log"),
            )
            .into()
        })
    }

    /// What `look_up` knows of an earlier statement, which must be of the type that has such facts.
    pub fn refer<T>(
        &self,
        member: &str,
        id: &StatementId,
        expected: &str,
        look_up: impl Fn(&F, &LeafIndex) -> Result<Option<T>, F::Error>,
    ) -> Result<(LeafIndex, T), Verdict<F::Error>> {
        let index = self.reference(member, id)?;
        match look_up(self.facts, &index).map_err(Verdict::Facts)? {
            Some(fact) => Ok((index, fact)),
            None => Err(Refusal::new(
                Reason::WrongReference,
                member,
                format!("entry {index} is no {expected}"),
            )
            .into()),
        }
    }

    /// A demand of which it may be told what came of it: of national security, nothing may.
    pub fn told_demand(
        &self,
        member: &str,
        id: &StatementId,
    ) -> Result<(LeafIndex, DemandFact), Verdict<F::Error>> {
        let (index, fact) = self.refer(member, id, "legal-demand", F::demand)?;
        if fact.kind == ProcessKind::NationalSecurity {
            let detail = format!("entry {index} is told in a band of 250, and no more of it");
            return Err(Refusal::new(Reason::WrongReference, member, detail).into());
        }
        Ok((index, fact))
    }

    /// Refuses a key that was ever seen before, in any role.
    pub fn unseen_key(&self, member: &str, key: &PublicKey) -> Result<(), Verdict<F::Error>> {
        match self.facts.key(key).map_err(Verdict::Facts)? {
            None => Ok(()),
            Some(_) => Err(Refusal::new(
                Reason::KeySeenBefore,
                member,
                "this key has been seen in this log: make a new one",
            )
            .into()),
        }
    }

    /// A party that the log knows, whatever became of it.
    pub fn known_party(
        &self,
        member: &str,
        party: &PartyId,
    ) -> Result<PartyFact, Verdict<F::Error>> {
        match self.facts.party(party).map_err(Verdict::Facts)? {
            Some(fact) => Ok(fact),
            None => Err(Refusal::new(
                Reason::UnknownParty,
                member,
                format!("{party} is not registered in this log"),
            )
            .into()),
        }
    }

    /// A party that may act: registered with keys, and neither suspended nor withdrawn.
    pub fn in_standing(
        &self,
        member: &str,
        party: &PartyId,
    ) -> Result<PartyFact, Verdict<F::Error>> {
        let fact = self.known_party(member, party)?;
        match fact.standing {
            Standing::Live => Ok(fact),
            other => {
                let detail = format!("{party} is {}", other.code());
                Err(Refusal::new(Reason::PartySuspended, member, detail).into())
            }
        }
    }

    /// Whether a party is registered as a vendor.
    pub fn is_vendor(&self, party: &PartyId) -> Result<bool, Verdict<F::Error>> {
        let fact = self.facts.party(party).map_err(Verdict::Facts)?;
        Ok(fact.is_some_and(|fact| fact.kind == PartyKind::Vendor))
    }

    /// The agency that a disclosure gives to; none if it gives to the public.
    pub fn agency_of(
        &self,
        disclosure: &DisclosureFact,
    ) -> Result<Option<PartyId>, Verdict<F::Error>> {
        let Some(request) = &disclosure.request else {
            return Ok(None);
        };
        let request = self.facts.request(request).map_err(Verdict::Facts)?;
        Ok(request.map(|request| request.agency))
    }

    /// The signatures, to be claimed one by one; [`Signatures::none_besides`] ends it.
    pub fn signatures(&self) -> Signatures<'_, 'a, F> {
        Signatures {
            entry: self,
            unclaimed: self.signed.signers.clone(),
        }
    }

    /// Requires exactly one signature: by a live key of `party` with one of `roles`.
    pub fn signed_by_party(
        &self,
        party: &PartyId,
        roles: &[Role],
    ) -> Result<PublicKey, Verdict<F::Error>> {
        let mut signatures = self.signatures();
        let key = signatures.party(party, roles)?;
        signatures.none_besides()?;
        Ok(key)
    }

    /// Requires exactly one signature: by a live key of the operator with one of `roles`; the
    /// operator.
    pub fn signed_by_operator(&self, roles: &[Role]) -> Result<PartyId, Verdict<F::Error>> {
        let operator = self.operator()?;
        if *self.issuer()? != operator {
            return Err(wrong_author(format!("the operator, {operator}")).into());
        }
        self.signed_by_party(&operator, roles)?;
        Ok(operator)
    }

    /// Requires exactly one signature: by the statement's one-time key.
    pub fn signed_by_one_time_key(&self) -> Result<PublicKey, Verdict<F::Error>> {
        let key = self.one_time_key()?;
        let mut signatures = self.signatures();
        signatures.key(&key)?;
        signatures.none_besides()?;
        Ok(key)
    }
}

/// The verified signatures of an entry that no requirement has claimed yet.
pub struct Signatures<'e, 'a, F> {
    entry: &'e Entry<'a, F>,
    unclaimed: BTreeSet<PublicKey>,
}

impl<F: Facts> Signatures<'_, '_, F> {
    /// Claims the signature of `key` itself.
    pub fn key(&mut self, key: &PublicKey) -> Result<(), Refusal> {
        if self.unclaimed.remove(key) {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::MissingSignature,
            "/signatures",
            format!("{key} signs this too"),
        ))
    }

    /// Claims one signature by a live key of `party` with one of `roles`; the key.
    pub fn party(
        &mut self,
        party: &PartyId,
        roles: &[Role],
    ) -> Result<PublicKey, Verdict<F::Error>> {
        let member = match self.entry.signed.head.author {
            Author::Parties(_) => "/parties",
            _ => "/issuer",
        };
        self.entry.known_party(member, party)?;
        let mut not_live = None;
        for key in self.unclaimed.clone() {
            let fact = self.entry.facts.key(&key).map_err(Verdict::Facts)?;
            let Some(fact) = fact.filter(|fact| fact.party.as_ref() == Some(party)) else {
                continue;
            };
            let fault = if fact.revoked.is_some() {
                "is revoked".to_owned()
            } else if fact.usable_from > self.entry.logged_at {
                format!("waits until {}", fact.usable_from)
            } else if !fact.role.is_some_and(|role| roles.contains(&role)) {
                format!("is not of the role {}", names(roles))
            } else {
                self.unclaimed.remove(&key);
                return Ok(key);
            };
            not_live = Some((key, fault));
        }
        Err(match not_live {
            Some((key, fault)) => Refusal::new(
                Reason::KeyNotLive,
                "/signatures",
                format!("{key} of {party} {fault}"),
            ),
            None => Refusal::new(
                Reason::MissingSignature,
                "/signatures",
                format!("signed by a live {} key of {party}", names(roles)),
            ),
        }
        .into())
    }

    /// Refuses signatures that nothing asked for.
    pub fn none_besides(self) -> Result<(), Refusal> {
        match self.unclaimed.first() {
            None => Ok(()),
            Some(key) => Err(Refusal::new(
                Reason::SurplusSignature,
                "/signatures",
                format!("{key} need not sign this: leave its signature out"),
            )),
        }
    }
}

fn names(roles: &[Role]) -> String {
    roles
        .iter()
        .map(|role| role.code())
        .collect::<Vec<_>>()
        .join(" or ")
}

/// The refusal of whatever comes after the end.
pub fn log_closed(closed: &ClosedFact) -> Refusal {
    Refusal::new(Reason::LogClosed, "", closed.to_string())
}

/// A refusal of the statement's author.
pub fn wrong_author(detail: impl Into<String>) -> Refusal {
    Refusal::new(Reason::WrongAuthor, "/issuer", detail)
}

/// A refusal of what would reach beyond the last day that can be written.
fn beyond_calendar(member: &str) -> Refusal {
    let detail = "reaches beyond 9998-12-31, where the calendar of statements ends";
    Refusal::new(Reason::OutsideLimits, member, detail)
}

/// A refusal for a value beyond the limits in force.
pub fn outside_limits(
    member: &str,
    found: impl std::fmt::Display,
    most: impl std::fmt::Display,
) -> Refusal {
    Refusal::new(
        Reason::OutsideLimits,
        member,
        format!("{found}, where the limits in force allow at most {most}"),
    )
}

pub mod seals;
#[cfg(test)]
mod tests;
