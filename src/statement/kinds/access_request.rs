//! `access-request`: an agency asks the residents of an area for footage.
//!
//! The public part says how much is asked (area, window, age), for which offence, in which case, by
//! when, and for whom a clip's key would be wrapped: an age recipient for this request alone. Where
//! exactly and from when to when stands in the `scope` attachment; the case number is sealed.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::agreement::Status;
use super::limits::Limits;
use crate::digest::StatementId;
use crate::seal::recipient::Recipient;
use crate::statement::facts::{
    AgreementFact, Case, CaseFact, Change, Fact, FactKey, Facts, FactsExt, RequestFact,
};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::seals::SealedField;
use crate::statement::rules::{Entry, outside_limits, wrong_author};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{
    DataKind, Investigation, Jurisdiction, Offence, PartyId, PartyKind, Role, ascending, codes,
    listed,
};
use crate::time::Time;

/// The longest message to residents, in bytes.
pub const MAX_MESSAGE: usize = 16 << 10;

/// A request for footage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessRequest {
    /// Which kind of request this is: each has bounds of its own.
    pub kind: RequestKind,
    /// The agreement statement in force, or the declaration that there is none.
    pub agreement: StatementId,
    /// The case, the same in all requests and demands about it.
    pub investigation: Investigation,
    /// Where residents are asked (ISO 3166).
    pub jurisdiction: Jurisdiction,
    /// The area asked about, in square metres: at least the scope's bounding box.
    pub area_m2: u32,
    /// The length of the window asked about, in minutes.
    pub window_minutes: u32,
    /// The age of the oldest footage asked for, in days, when the request is issued.
    pub footage_age_days: u32,
    /// The offence investigated (NIBRS; sensitive ones as groups).
    pub offence: Offence,
    /// Answers count until then; cut to the minute.
    #[schemars(schema_with = "crate::time::to_the_minute")]
    pub deadline: Time,
    /// Kinds of data asked for: ascending, each once, `video` among them.
    #[schemars(extend("contains" = {"const": "video"}))]
    pub asks: Vec<DataKind>,
    /// Attachment of type `application/geo+json`: where, and from when to when.
    pub scope: SealDigest,
    /// Attachment of type `text/plain`: what the agency tells residents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<SealDigest>,
    /// For whom the keys of clips are wrapped: an age recipient for this request alone.
    pub recipient: Recipient,
    /// Fields that are opened later.
    pub sealed: SealedFields,
}

/// The fields of a request that are opened later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedFields {
    /// The agency's own number of the case; named `case_number` in its opening.
    pub case_number: SealedField,
}

codes! {
    /// Which kind of request: the three that were in life, one after another, and this protocol's.
    RequestKind {
        /// Since 2025: an investigation's code, a date and time frame, an area on a map.
        CommunityRequest = "community-request",
        /// 2021 to 2024: public; 15 minutes to 12 hours, 0.025 to 0.5 square miles, two for an
        /// incident, with a contact.
        RequestForAssistance = "request-for-assistance",
        /// 2018 to 2021: private; at most 12 hours within 45 days, within half a square mile.
        VideoRequest = "video-request",
        /// Residents are asked, and answer as they like, within the limits alone.
        Voluntary = "voluntary",
    }
}

/// What a kind of request may ask for, whatever the limits allow beyond it.
struct Bounds {
    area_m2: RangeInclusive<u32>,
    window_minutes: RangeInclusive<u32>,
    footage_age_days: u32,
    /// Requests for one investigation, ever.
    requests: u32,
    /// What an agency learns from a consent.
    learns: &'static [DataKind],
    /// Whether residents are told more than the public part: whom to ask, and why.
    message: bool,
}

impl RequestKind {
    fn bounds(self) -> Bounds {
        use DataKind::{Contact, Name, Place, Time, Video};
        /// Half a square mile.
        const HALF_MI2: u32 = 1_295_000;
        let any = Bounds {
            area_m2: 1..=u32::MAX,
            window_minutes: 1..=u32::MAX,
            footage_age_days: u32::MAX,
            requests: u32::MAX,
            learns: &[Contact, Name, Place, Time, Video],
            message: false,
        };
        match self {
            Self::Voluntary => any,
            Self::VideoRequest => Bounds {
                area_m2: 1..=HALF_MI2,
                window_minutes: 1..=720,
                footage_age_days: 45,
                learns: &[Contact, Place, Time, Video],
                ..any
            },
            Self::RequestForAssistance => Bounds {
                area_m2: 64_750..=HALF_MI2,
                window_minutes: 15..=720,
                requests: 2,
                learns: &[Contact, Place, Time, Video],
                message: true,
                ..any
            },
            Self::CommunityRequest => Bounds {
                learns: &[Contact, Name, Time, Video],
                ..any
            },
        }
    }
}

impl Kind for AccessRequest {
    const NAME: &'static str = "access-request";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let agency = entry.issuer()?;
        entry.signed_by_party(agency, &[Role::Officer])?;
        if entry.in_standing("/issuer", agency)?.kind != PartyKind::Agency {
            return Err(wrong_author("an agency").into());
        }
        let (limits_index, limits) = entry.limits()?;
        self.check_agreement(entry, agency, &limits)?;
        self.check_kind()?;
        self.check_limits(entry, &limits)?;
        let case = self.check_case(entry, agency, &limits)?;
        entry.no_seal_overdue(agency)?;
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

        let mut change = entry.enter_attachments(self.attachments())?;
        let case_number = &self.sealed.case_number;
        entry.enter_seal(&mut change, "/sealed/case_number", case_number, agency)?;
        change.extend([
            (
                FactKey::Request(entry.index),
                Fact::Request(RequestFact {
                    agency: agency.clone(),
                    recipient: self.recipient,
                    deadline: self.deadline,
                    limits: limits_index,
                    investigation: self.investigation.clone(),
                    closed: None,
                    withdrawn: false,
                }),
            ),
            (
                FactKey::Recipient(self.recipient),
                Fact::Recipient(entry.index),
            ),
            (FactKey::Case(self.case(agency)), Fact::Case(case)),
        ]);
        Ok(change)
    }

    fn plain(&self, who: &str) -> String {
        format!(
            "{who} asks residents in {} for {} of at most {} minutes within {} m², offence {}, to be \
             answered by {}. The case number is sealed until {}.",
            self.jurisdiction,
            listed(&self.asks),
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

    fn sealed(&self) -> Vec<(&'static str, &SealedField)> {
        vec![("case_number", &self.sealed.case_number)]
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
        let opens = |p: &&PartyId| *p != agency && (**p == operator || limits.vendors.contains(p));
        let with: Vec<&PartyId> = parties.iter().filter(opens).collect();
        if !parties.contains(agency) || with.is_empty() {
            let vendors: Vec<&str> = limits.vendors.iter().map(PartyId::as_str).collect();
            return refuse(format!(
                "name an agreement of {agency} with {operator} or a vendor that the ledger's limits \
                 list: {}",
                match vendors.as_slice() {
                    [] => "they list none; the operator adds one by `operator limits`".to_owned(),
                    listed => listed.join(", "),
                }
            ));
        }
        for other in with {
            entry.in_standing("/agreement", other)?;
        }
        if status != Status::InForce {
            return refuse(format!("that agreement is {status}"));
        }
        if entry.facts.agreement_head(&first).map_err(Verdict::Facts)? != Some(index) {
            return refuse("a later statement of that agreement stands in the log".to_owned());
        }
        Ok(())
    }

    /// Within what this kind of request was in life.
    fn check_kind(&self) -> Result<(), Refusal> {
        let bounds = self.kind.bounds();
        let refuse = |member, detail: String| {
            let detail = format!("a {} {detail}", self.kind);
            Err(Refusal::new(Reason::OutsideKind, member, detail))
        };
        for (member, found, range) in [
            ("/area_m2", self.area_m2, &bounds.area_m2),
            (
                "/window_minutes",
                self.window_minutes,
                &bounds.window_minutes,
            ),
            (
                "/footage_age_days",
                self.footage_age_days,
                &(0..=bounds.footage_age_days),
            ),
        ] {
            if found > *range.end() {
                return refuse(member, format!("has at most {}", range.end()));
            }
            if found != 0 && found < *range.start() {
                return refuse(member, format!("has at least {}", range.start()));
            }
        }
        if let Some(other) = self.asks.iter().find(|kind| !bounds.learns.contains(kind)) {
            return refuse("/asks", format!("brings no {other}"));
        }
        if bounds.message && self.message.is_none() {
            return refuse("/message", "tells residents whom to ask".to_owned());
        }
        Ok(())
    }

    fn check_limits<F: Facts>(&self, entry: &Entry<'_, F>, limits: &Limits) -> Result<(), Refusal> {
        let logged_at = entry.logged_at;
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
        ascending("/asks", &self.asks, 1..=5)?;
        if !self.asks.contains(&DataKind::Video) {
            return Err(Refusal::new(
                Reason::BadValue,
                "/asks",
                "`video`, which is always asked for, and kinds besides it",
            ));
        }
        if self.deadline != self.deadline.cut_to_minute() {
            return Err(Refusal::new(
                Reason::BadValue,
                "/deadline",
                "cut the time to the minute",
            ));
        }
        let after = |minutes| entry.time_after("/deadline", i64::from(minutes).saturating_mul(60));
        let soonest = after(limits.decision_minutes)?;
        let latest = after(limits.deadline_minutes)?;
        if self.deadline <= logged_at || self.deadline < soonest || self.deadline > latest {
            return Err(Refusal::new(
                Reason::OutsideLimits,
                "/deadline",
                format!("logged now, the limits in force allow {soonest} to {latest}"),
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
        let most = self.kind.bounds().requests;
        if case.requests >= most {
            let (kind, detail) = (self.kind, "an investigation");
            let detail = format!("at most {most} of the kind {kind} for {detail}");
            return Err(Refusal::new(Reason::OutsideKind, "/investigation", detail).into());
        }
        case.requests = case.requests.saturating_add(1);
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
}
