//! `bulletin`: an agency tells the people of a place something, signed, dated and expiring.
//!
//! It has no member by which it could ask for footage: who wants that says so in an
//! `access-request`, under its rules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::statement::facts::{Change, Facts};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, outside_limits, wrong_author};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Jurisdiction, PartyKind, Role, codes};
use crate::time::{SECS_PER_DAY, Time};

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulletin {
    /// What it is about.
    pub about: Alert,
    /// Whom it is for (ISO 3166).
    pub jurisdiction: Jurisdiction,
    /// An attachment of type `text/plain`.
    pub text: SealDigest,
    /// Not shown from then on; cut to the hour, and within the limits' `bulletin_days`.
    #[schemars(schema_with = "crate::time::to_the_hour")]
    pub expires: Time,
}

codes! {
    /// What an alert is about.
    Alert {
        AllClear = "all-clear",
        Crime = "crime",
        Hazard = "hazard",
        MissingPerson = "missing-person",
        Prevention = "prevention",
        Traffic = "traffic",
        Weather = "weather",
    }
}

impl Kind for Bulletin {
    const NAME: &'static str = "bulletin";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let agency = entry.issuer()?;
        entry.signed_by_party(agency, &[Role::Officer])?;
        if entry.in_standing("/issuer", agency)?.kind != PartyKind::Agency {
            return Err(wrong_author("an agency").into());
        }
        if self.expires != self.expires.cut_to_hour() || self.expires <= entry.logged_at {
            let detail = "a time to come, cut to the hour";
            return Err(Refusal::new(Reason::BadValue, "/expires", detail).into());
        }
        let days = entry.limits()?.1.bulletin_days;
        let latest = entry.time_after("/expires", i64::from(days).saturating_mul(SECS_PER_DAY))?;
        if self.expires > latest {
            return Err(outside_limits("/expires", self.expires, latest).into());
        }
        entry.enter_attachments(self.attachments())
    }

    fn plain(&self, who: &str) -> String {
        let (place, about, until) = (&self.jurisdiction, self.about, self.expires);
        format!("{who} tells the people of {place} something ({about}), until {until}.")
    }

    fn attachments(&self) -> Vec<(String, SealDigest)> {
        vec![("/text".to_owned(), self.text)]
    }

    fn example() -> Self {
        Self {
            about: Alert::MissingPerson,
            jurisdiction: "US-FL".parse().expect("a code"),
            text: SealDigest::from_bytes([14; 32]),
            expires: "2019-08-03T14:00:00Z".parse().expect("a time"),
        }
    }
}
