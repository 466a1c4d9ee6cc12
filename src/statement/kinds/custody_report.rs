//! `custody-report`: what became of footage that an agency took or was given.
//!
//! A report: admitted whatever it reports. Custody of what was never collected is a finding, and
//! so is an agency that collected and says nothing within the limits' `custody_days`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::disclosure::short;
use crate::digest::StatementId;
use crate::statement::facts::{Change, Facts, FactsExt};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, HUNDRED_YEARS, wrong_author};
use crate::statement::words::{Day, PartyId, Role, codes};

/// One event in the life of footage at an agency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustodyReport {
    /// The `disclosure` by which it was given, or the `legal-demand` by which it was taken.
    pub about: StatementId,
    /// What happened to the footage.
    pub event: CustodyEvent,
    /// Which clip of the disclosure, from 0; absent for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<u32>,
    /// To whom it went; for `re-shared` alone, and always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_with: Option<Recipients>,
    /// The party it went to, if the log knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_with_party: Option<PartyId>,
    /// How long it is kept, at most 36525 days after this is logged; for `retained` alone, and always
    /// there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Day>,
    /// Why it is kept; for `retained` alone, and always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<RetentionBasis>,
    /// The day it happened, at most the day after this is logged.
    pub effective_on: Day,
}

codes! {
    /// What happened to footage.
    CustodyEvent {
        Copied = "copied",
        Deleted = "deleted",
        /// It was collected, and nothing came.
        NotReceived = "not-received",
        ReShared = "re-shared",
        Retained = "retained",
        /// What came does not open, or is not what its commitment says.
        Unreadable = "unreadable",
        Viewed = "viewed",
    }
}

codes! {
    /// Who was given footage.
    Recipients {
        Agency = "agency",
        Court = "court",
        Defence = "defence",
        FederalAgency = "federal-agency",
        Media = "media",
        Prosecutor = "prosecutor",
        Public = "public",
        Vendor = "vendor",
    }
}

codes! {
    /// Why footage is kept.
    RetentionBasis {
        CourtOrder = "court-order",
        Evidence = "evidence",
        /// Nothing but a rule of the agency's own.
        Policy = "policy",
        OpenCase = "open-case",
        Statute = "statute",
    }
}

impl Kind for CustodyReport {
    const NAME: &'static str = "custody-report";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let agency = entry.issuer()?;
        entry.signed_by_party(agency, &[Role::Admin, Role::Officer])?;
        let index = entry.reference("/about", &self.about)?;
        let taker = match entry.facts.disclosure(&index).map_err(Verdict::Facts)? {
            Some(disclosure) => entry.agency_of(&disclosure)?,
            None => {
                let demand = entry.facts.demand(&index).map_err(Verdict::Facts)?;
                demand.and_then(|demand| demand.agency)
            }
        };
        match taker {
            None => {
                let detail = format!("entry {index} gives nothing to an agency");
                return Err(Refusal::new(Reason::WrongReference, "/about", detail).into());
            }
            Some(taker) if taker != *agency => {
                return Err(wrong_author(format!("{taker}, who asked")).into());
            }
            Some(_) => {}
        }
        self.check_form()?;
        entry.has_come("/effective_on", &self.effective_on)?;
        if let Some(until) = &self.until {
            entry.within_days("/until", until, HUNDRED_YEARS)?;
        }
        if let Some(party) = &self.shared_with_party {
            entry.known_party("/shared_with_party", party)?;
        }
        Ok(Change::new())
    }

    fn plain(&self, who: &str) -> String {
        let what = match self.clip {
            None => format!("what {} gave", short(&self.about)),
            Some(clip) => format!("clip {clip} of {}", short(&self.about)),
        };
        let event = match (self.event, &self.until, self.basis, self.shared_with) {
            (CustodyEvent::ReShared, _, _, Some(with)) => match &self.shared_with_party {
                None => format!("given on to: {with}"),
                Some(party) => format!("given on to: {with}, {party}"),
            },
            (CustodyEvent::Retained, Some(until), Some(basis), _) => {
                format!("kept until {until}, because: {basis}")
            }
            (event, ..) => event.to_string(),
        };
        format!("{who} reports of {what}: {event} ({}).", self.effective_on)
    }

    fn example() -> Self {
        Self {
            about: StatementId::from_bytes([11; 32]),
            event: CustodyEvent::Retained,
            clip: None,
            shared_with: None,
            shared_with_party: None,
            until: Some("2020-07-31".parse().expect("a day")),
            basis: Some(RetentionBasis::OpenCase),
            effective_on: "2019-07-01".parse().expect("a day"),
        }
    }
}

impl CustodyReport {
    fn check_form(&self) -> Result<(), Refusal> {
        let (kept, shared) = (
            self.event == CustodyEvent::Retained,
            self.event == CustodyEvent::ReShared,
        );
        for (member, is_there, belongs) in [
            ("/until", self.until.is_some(), kept),
            ("/basis", self.basis.is_some(), kept),
            ("/shared_with", self.shared_with.is_some(), shared),
            (
                "/shared_with_party",
                self.shared_with_party.is_some() && !shared,
                false,
            ),
        ] {
            if is_there != belongs {
                let detail = format!("does not go with the event {}", self.event);
                return Err(Refusal::new(Reason::BadValue, member, detail));
            }
        }
        Ok(())
    }
}
