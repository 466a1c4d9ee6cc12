//! Sealed fields over time: entered with a day, opened, put off, erased; and whom an overdue one bars.
//!
//! The ledger knows digests and days alone. Whether an opening fits its field is seen by whoever
//! reads it: a misopening is a finding. Counts by day, not a list: a list that is read for each
//! request would grow with every request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, outside_limits};
use crate::statement::facts::{
    Change, DigestFact, DueSeals, Fact, FactKey, Facts, FactsExt, SealFact,
};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Day, PartyId};
use crate::time::SECS_PER_DAY;

/// How long after its day an unopened seal bars new requests, in seconds.
const GRACE: i64 = 7 * SECS_PER_DAY;
/// The most parties, one succeeding another, whose seals one answers for.
pub const SUCCESSIONS: usize = 16;

/// A sealed field: its digest now, its opening by the end of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedField {
    /// The digest of the opening, an SD-JWT disclosure (RFC 9901).
    pub digest: SealDigest,
    /// Due at the end of this day, UTC.
    pub open_by: Day,
}

impl<F: Facts> Entry<'_, F> {
    /// Enters the digests of a statement's attachments, each new to the log.
    pub fn enter_attachments(
        &self,
        attachments: Vec<(String, SealDigest)>,
    ) -> Result<Change, Verdict<F::Error>> {
        let mut change = Change::new();
        for (member, digest) in attachments {
            self.enter_digest(&mut change, member, digest, None)?;
        }
        Ok(change)
    }

    /// Enters a field that `party` seals, beside what else the statement changes.
    pub fn enter_seal(
        &self,
        change: &mut Change,
        member: &str,
        field: &SealedField,
        party: &PartyId,
    ) -> Result<(), Verdict<F::Error>> {
        let open_by = &field.open_by;
        let at = format!("{member}/open_by");
        if open_by.is_over(self.logged_at) {
            return Err(Refusal::new(Reason::BadValue, at, "a day to come").into());
        }
        let latest = self.day_after(&at, self.limits()?.1.seal_days)?;
        if *open_by > latest {
            return Err(outside_limits(&at, open_by, latest).into());
        }
        let seal = SealFact {
            party: party.clone(),
            open_by: open_by.clone(),
            opened: None,
            lifted: false,
        };
        self.enter_digest(change, format!("{member}/digest"), field.digest, Some(seal))?;
        let mut due = self.due_seals(party)?;
        count_in(&mut due, open_by);
        change.push((FactKey::Seals(party.clone()), Fact::Seals(due)));
        Ok(())
    }

    /// A digest stands once in a log: who saw its opening there would know what it hides here.
    fn enter_digest(
        &self,
        change: &mut Change,
        member: String,
        digest: SealDigest,
        seal: Option<SealFact>,
    ) -> Result<(), Verdict<F::Error>> {
        let key = FactKey::Digest(digest);
        let seen = self.facts.digest(&digest).map_err(Verdict::Facts)?;
        if seen.is_some() || change.iter().any(|(other, _)| *other == key) {
            let detail = "a digest stands once in a log: draw a new salt";
            return Err(Refusal::new(Reason::DigestSeenBefore, member, detail).into());
        }
        let fact = DigestFact {
            entry: self.index,
            seal,
            erased: None,
        };
        change.push((key, Fact::Digest(fact)));
        Ok(())
    }

    /// A digest that stands in the log.
    pub fn known_digest(
        &self,
        member: &str,
        digest: &SealDigest,
    ) -> Result<DigestFact, Verdict<F::Error>> {
        let fact = self.facts.digest(digest).map_err(Verdict::Facts)?;
        fact.ok_or_else(|| {
            let detail = "no statement in this log has that digest";
            Refusal::new(Reason::UnknownReference, member, detail).into()
        })
    }

    /// A sealed field that is not opened. One that was erased may still be opened by whoever has
    /// kept the opening.
    pub fn closed_seal(
        &self,
        member: &str,
        digest: &SealDigest,
    ) -> Result<(DigestFact, SealFact), Verdict<F::Error>> {
        let refuse = |reason, detail: String| Err(Refusal::new(reason, member, detail).into());
        let fact = self.known_digest(member, digest)?;
        match fact.seal.clone() {
            None => refuse(
                Reason::WrongReference,
                format!("it is an attachment of entry {}", fact.entry),
            ),
            Some(SealFact {
                opened: Some(at), ..
            }) => refuse(Reason::AlreadyOpened, format!("opened by entry {at}")),
            Some(seal) => Ok((fact, seal)),
        }
    }

    /// What is known of a sealed field from here on.
    pub fn change_seal(
        &self,
        digest: SealDigest,
        before: &SealFact,
        after: DigestFact,
    ) -> Result<Change, Verdict<F::Error>> {
        let party = &before.party;
        let mut due = self.due_seals(party)?;
        if let Some(day) = before.due() {
            count_out(&mut due, day);
        }
        if let Some(day) = after.seal.as_ref().and_then(SealFact::due) {
            count_in(&mut due, day);
        }
        Ok(vec![
            (FactKey::Seals(party.clone()), Fact::Seals(due)),
            (FactKey::Digest(digest), Fact::Digest(after)),
        ])
    }

    /// The fields that a party has sealed and not opened, ascending by day.
    fn due_seals(&self, party: &PartyId) -> Result<Vec<DueSeals>, Verdict<F::Error>> {
        let due = self.facts.seals(party).map_err(Verdict::Facts)?;
        Ok(due.unwrap_or_default())
    }

    /// Refuses a party that has left a seal unopened for long, or has taken over from one that did.
    pub fn no_seal_overdue(&self, party: &PartyId) -> Result<(), Verdict<F::Error>> {
        let before = self.predecessors(party)?;
        for who in std::iter::once(party).chain(&before) {
            let due = self.due_seals(who)?;
            let overdue = |due: &&DueSeals| {
                self.logged_at.seconds_since(due.open_by.start()) > SECS_PER_DAY + GRACE
            };
            if let Some(due) = due.first().filter(overdue) {
                let (count, day) = (due.count, &due.open_by);
                let detail = format!("{count} of {who} due on {day}: unseal what is overdue first");
                return Err(Refusal::new(Reason::SealOverdue, "", detail).into());
            }
        }
        Ok(())
    }

    /// The parties that a party has taken over from, one from another, the last one first.
    pub fn predecessors(&self, party: &PartyId) -> Result<Vec<PartyId>, Verdict<F::Error>> {
        let mut all = Vec::new();
        let mut party = party.clone();
        while all.len() < SUCCESSIONS {
            let fact = self.facts.party(&party).map_err(Verdict::Facts)?;
            let Some(before) = fact.and_then(|fact| fact.succeeds) else {
                break;
            };
            all.push(before.clone());
            party = before;
        }
        Ok(all)
    }
}

fn count_in(due: &mut Vec<DueSeals>, day: &Day) {
    let at = due.partition_point(|due| due.open_by < *day);
    match due.get_mut(at) {
        Some(due) if due.open_by == *day => due.count = due.count.saturating_add(1),
        _ => due.insert(
            at,
            DueSeals {
                open_by: day.clone(),
                count: 1,
            },
        ),
    }
}

fn count_out(due: &mut Vec<DueSeals>, day: &Day) {
    if let Some(due) = due.iter_mut().find(|due| due.open_by == *day) {
        due.count = due.count.saturating_sub(1);
    }
    due.retain(|due| due.count > 0);
}
