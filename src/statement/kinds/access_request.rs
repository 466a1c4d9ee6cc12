//! `access-request`: an agency asks the residents of an area for footage.
//!
//! The public part says how much is asked (area, window, age), for which offence, in which case, by
//! when, and for whom a clip's key would be wrapped: an age recipient for this request alone. Where
//! exactly and from when to when stands in the `scope` attachment; the case number is sealed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::agreement::Status;
use super::limits::Limits;
use crate::digest::StatementId;
use crate::seal::recipient::Recipient;
use crate::statement::facts::{
    AgreementFact, Case, CaseFact, Change, DueSeals, Fact, FactKey, Facts, FactsExt, RequestFact,
};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, outside_limits, wrong_author};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{
    DataKind, Day, Investigation, Jurisdiction, Offence, PartyId, PartyKind, Role, codes,
};
use crate::time::Time;

/// How long after its day an unopened seal bars new requests, in seconds.
const SEAL_GRACE: i64 = 7 * 86_400;

/// A request for footage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessRequest {
    pub kind: RequestKind,
    /// The agreement statement in force, or the declaration that there is none.
    pub agreement: StatementId,
    pub investigation: Investigation,
    pub jurisdiction: Jurisdiction,
    /// The area asked about, in square metres: at least the scope's bounding box.
    pub area_m2: u32,
    /// The length of the window asked about, in minutes.
    pub window_minutes: u32,
    /// The age of the oldest footage asked for, in days, when the request is issued.
    pub footage_age_days: u32,
    pub offence: Offence,
    /// Answers count until then; cut to the minute.
    pub deadline: Time,
    /// Kinds of data asked for: ascending, each once.
    pub asks: Vec<DataKind>,
    /// Attachment of type `application/geo+json`: where, and from when to when.
    pub scope: SealDigest,
    /// Attachment of type `text/plain`: what the agency tells residents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<SealDigest>,
    pub recipient: Recipient,
    pub sealed: SealedFields,
}

/// The fields of a request that are opened later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedFields {
    pub case_number: SealedField,
}

/// A sealed field: its digest now, its opening by the end of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedField {
    pub digest: SealDigest,
    /// Due at the end of this day, UTC.
    pub open_by: Day,
}

codes! {
    /// Which kind of request.
    RequestKind {
        /// Residents are asked, and answer as they like.
        Voluntary = "voluntary",
    }
}

impl Kind for AccessRequest {
    const NAME: &'static str = "access-request";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let agency = entry.issuer()?;
        entry.signed_by_party(agency, &[Role::Officer])?;
        let party = entry.facts.party(agency).map_err(Verdict::Facts)?;
        if party.is_none_or(|party| party.kind != PartyKind::Agency) {
            return Err(wrong_author("an agency").into());
        }
        let (limits_index, limits) = entry.limits()?;
        self.check_agreement(entry, agency, &limits)?;
        self.check_limits(entry.logged_at, &limits)?;
        let case = self.check_case(entry, agency, &limits)?;
        let seals = self.check_seals(entry, agency)?;
        if entry
            .facts
            .recipient(&self.recipient)
            .map_err(Verdict::Facts)?
            .is_some()
        {
            return Err(Refusal::new(
                Reason::KeySeenBefore,
                "/recipient",
                "an age recipient serves one request: make a new one",
            )
            .into());
        }

        let mut change = self.check_digests(entry)?;
        change.extend([
            (
                FactKey::Request(entry.index),
                Fact::Request(RequestFact {
                    agency: agency.clone(),
                    recipient: self.recipient,
                    deadline: self.deadline,
                    limits: limits_index,
                }),
            ),
            (
                FactKey::Recipient(self.recipient),
                Fact::Recipient(entry.index),
            ),
            (FactKey::Case(self.case(agency)), Fact::Case(case)),
            (FactKey::Seals(agency.clone()), Fact::Seals(seals)),
        ]);
        Ok(change)
    }

    fn plain(&self, who: &str) -> String {
        let asks: Vec<&str> = self.asks.iter().map(|kind| kind.code()).collect();
        format!(
            "{who} asks residents in {} for {} of at most {} minutes within {} m², offence {}, to be \
             answered by {}. The case number is sealed until {}.",
            self.jurisdiction,
            asks.join(", "),
            self.window_minutes,
            self.area_m2,
            self.offence,
            self.deadline,
            self.sealed.case_number.open_by
        )
    }

    fn attachments(&self) -> Vec<(String, SealDigest)> {
        let mut all = vec![("/scope".to_owned(), self.scope)];
        all.extend(self.message.map(|digest| ("/message".to_owned(), digest)));
        all
    }

    fn example() -> Self {
        Self {
            kind: RequestKind::Voluntary,
            agreement: StatementId::from_bytes([1; 32]),
            investigation: "0f".repeat(16).parse().expect("32 digits"),
            jurisdiction: "US-FL".parse().expect("a code"),
            area_m2: 250_000,
            window_minutes: 120,
            footage_age_days: 2,
            offence: "220".parse().expect("a code"),
            deadline: "2019-08-07T14:00:00Z".parse().expect("a time"),
            asks: vec![DataKind::Time, DataKind::Video],
            scope: SealDigest::from_bytes([2; 32]),
            message: Some(SealDigest::from_bytes([3; 32])),
            recipient: "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
                .parse()
                .expect("a recipient"),
            sealed: SealedFields {
                case_number: SealedField {
                    digest: SealDigest::from_bytes([4; 32]),
                    open_by: "2019-10-29".parse().expect("a day"),
                },
            },
        }
    }
}

impl AccessRequest {
    fn case(&self, agency: &PartyId) -> Case {
        Case {
            agency: agency.clone(),
            investigation: self.investigation.clone(),
        }
    }

    /// An agreement (or the declaration of none) between the agency and the operator, or a vendor
    /// that the limits name, is in force, and this is the last word on it.
    fn check_agreement<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        agency: &PartyId,
        limits: &Limits,
    ) -> Result<(), Verdict<F::Error>> {
        let refuse =
            |detail: String| Err(Refusal::new(Reason::NoAgreement, "/agreement", detail).into());
        let (
            index,
            AgreementFact {
                first,
                parties,
                status,
            },
        ) = entry.refer("/agreement", &self.agreement, "agreement", F::agreement)?;
        let operator = entry.operator()?;
        if !parties.contains(agency)
            || !parties
                .iter()
                .any(|p| p != agency && (*p == operator || limits.vendors.contains(p)))
        {
            return refuse(format!(
                "an agreement of {agency} with the operator or a vendor that the limits name"
            ));
        }
        if status != Status::InForce {
            return refuse(format!("that agreement is {status}"));
        }
        if entry.facts.agreement_head(&first).map_err(Verdict::Facts)? != Some(index) {
            return refuse("a later statement of that agreement stands in the log".to_owned());
        }
        Ok(())
    }

    fn check_limits(&self, logged_at: Time, limits: &Limits) -> Result<(), Refusal> {
        for (member, found, most) in [
            ("/area_m2", self.area_m2, limits.area_m2),
            (
                "/window_minutes",
                self.window_minutes,
                limits.window_minutes,
            ),
            (
                "/footage_age_days",
                self.footage_age_days,
                limits.footage_age_days,
            ),
        ] {
            if found == 0 {
                return Err(Refusal::new(Reason::BadValue, member, "more than nothing"));
            }
            if found > most {
                return Err(outside_limits(member, found, most));
            }
        }
        if self.asks.is_empty() || self.asks.windows(2).any(|w| w[0] >= w[1]) {
            return Err(Refusal::new(
                Reason::BadValue,
                "/asks",
                "at least one kind, ascending, each once",
            ));
        }
        if self.deadline != self.deadline.cut_to_minute() {
            return Err(Refusal::new(
                Reason::BadValue,
                "/deadline",
                "cut the time to the minute",
            ));
        }
        let soonest = logged_at.plus_seconds(i64::from(limits.decision_minutes) * 60);
        let latest = logged_at.plus_seconds(i64::from(limits.deadline_minutes) * 60);
        if self.deadline <= logged_at || self.deadline < soonest || self.deadline > latest {
            return Err(Refusal::new(
                Reason::OutsideLimits,
                "/deadline",
                format!("logged now, the limits in force allow {soonest} to {latest}"),
            ));
        }
        let open_by = &self.sealed.case_number.open_by;
        let latest = Day::of(logged_at.plus_seconds(i64::from(limits.seal_days) * 86_400));
        if open_by.end() <= logged_at {
            return Err(Refusal::new(
                Reason::BadValue,
                "/sealed/case_number/open_by",
                "a day to come",
            ));
        }
        if *open_by > latest {
            return Err(outside_limits(
                "/sealed/case_number/open_by",
                open_by,
                latest,
            ));
        }
        Ok(())
    }

    /// The case after this request, within what one investigation may ask for.
    fn check_case<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        agency: &PartyId,
        limits: &Limits,
    ) -> Result<CaseFact, Verdict<F::Error>> {
        let case = entry
            .facts
            .case(&self.case(agency))
            .map_err(Verdict::Facts)?;
        let mut case = case.unwrap_or_default();
        case.open_until
            .retain(|deadline| *deadline > entry.logged_at);
        if case.open_until.len() >= limits.open_requests as usize {
            return Err(Refusal::new(
                Reason::TooManyOpen,
                "/investigation",
                format!(
                    "{} requests of this investigation are open",
                    case.open_until.len()
                ),
            )
            .into());
        }
        let total = case.total_minutes.saturating_add(self.window_minutes);
        if total > limits.total_minutes {
            return Err(outside_limits(
                "/window_minutes",
                format!("{total} in all"),
                limits.total_minutes,
            )
            .into());
        }
        case.open_until.push(self.deadline);
        case.total_minutes = total;
        Ok(case)
    }

    /// The agency's seals after this request; none may be long overdue.
    fn check_seals<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        agency: &PartyId,
    ) -> Result<Vec<DueSeals>, Verdict<F::Error>> {
        let seals = entry.facts.seals(agency).map_err(Verdict::Facts)?;
        let mut seals = seals.unwrap_or_default();
        if let Some(overdue) = seals
            .first()
            .filter(|due| due.open_by.end().plus_seconds(SEAL_GRACE) < entry.logged_at)
        {
            return Err(Refusal::new(
                Reason::SealOverdue,
                "",
                format!(
                    "{} due on {}: unseal what is overdue first",
                    overdue.count, overdue.open_by
                ),
            )
            .into());
        }
        let open_by = self.sealed.case_number.open_by.clone();
        match seals.binary_search_by(|due| due.open_by.cmp(&open_by)) {
            Ok(at) => seals[at].count = seals[at].count.saturating_add(1),
            Err(at) => seals.insert(at, DueSeals { open_by, count: 1 }),
        }
        Ok(seals)
    }

    /// A digest stands once in the log.
    fn check_digests<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let mut digests = self.attachments();
        digests.push((
            "/sealed/case_number/digest".to_owned(),
            self.sealed.case_number.digest,
        ));
        unseen_digests(entry, digests)
    }
}

/// Refuses digests that stand in the log, or twice in this statement; enters the others.
pub(super) fn unseen_digests<F: Facts>(
    entry: &Entry<'_, F>,
    digests: Vec<(String, SealDigest)>,
) -> Result<Change, Verdict<F::Error>> {
    let mut change = Change::new();
    for (member, digest) in digests {
        let key = FactKey::Digest(digest);
        let seen = entry
            .facts
            .digest(&digest)
            .map_err(Verdict::Facts)?
            .is_some();
        if seen || change.iter().any(|(other, _)| *other == key) {
            return Err(Refusal::new(
                Reason::DigestSeenBefore,
                member,
                "a digest stands once in a log: draw a new salt",
            )
            .into());
        }
        change.push((key, Fact::Digest(entry.index)));
    }
    Ok(change)
}
