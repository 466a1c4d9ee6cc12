//! `demand-response`: what whoever was served with a legal demand gave.
//!
//! A report. A response may stand for a demand that nobody entered: that is what a reconciliation
//! of both sides is to find, so it is a finding, not a refusal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::disclosure::short;
use crate::digest::StatementId;
use crate::statement::facts::{Change, Fact, FactKey, Facts};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::words::{Band, Day, PartyId, RecordKind, Role, ascending, codes, listed};

/// An answer to a legal demand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DemandResponse {
    /// The demand answered; absent if it stands in no entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<StatementId>,
    /// Who was answered, where no entry says who demanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agency: Option<PartyId>,
    /// What the demand brought.
    pub outcome: Outcome,
    /// Kinds of records given: at most 7, ascending; none unless `full` or `partial`.
    pub records: Vec<RecordKind>,
    /// Accounts about which something was given.
    pub accounts: Band,
    /// Clips given.
    pub clips: Band,
    /// The day it was given or refused, at most the day after this is logged.
    pub effective_on: Day,
}

codes! {
    /// What a demand brought.
    Outcome {
        /// It was taken to a court.
        Challenged = "challenged",
        Full = "full",
        /// There was nothing to give.
        None = "none",
        Partial = "partial",
        Rejected = "rejected",
        /// By whoever demanded.
        Withdrawn = "withdrawn",
    }
}

impl Kind for DemandResponse {
    const NAME: &'static str = "demand-response";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let issuer = entry.issuer()?;
        entry.signed_by_party(issuer, &[Role::Admin, Role::Officer])?;
        self.check_form()?;
        entry.has_come("/effective_on", &self.effective_on)?;
        if let Some(agency) = &self.agency {
            entry.known_party("/agency", agency)?;
        }
        let operator = entry.operator()?;
        let Some(demand) = &self.demand else {
            let vendor = entry.is_vendor(issuer)?;
            return match *issuer == operator || vendor {
                true => Ok(Change::new()),
                false => Err(wrong_author("the operator or a vendor").into()),
            };
        };
        let (index, mut fact) = entry.told_demand("/demand", demand)?;
        if *issuer != operator && *issuer != fact.upon {
            return Err(wrong_author(format!("{}, or the operator", fact.upon)).into());
        }
        fact.response = Some(entry.index);
        Ok(vec![(FactKey::Demand(index), Fact::Demand(fact))])
    }

    fn plain(&self, who: &str) -> String {
        let to = match (&self.demand, &self.agency) {
            (Some(demand), _) => format!("demand {}", short(demand)),
            (None, Some(agency)) => format!("a demand of {agency} that stands nowhere"),
            (None, None) => "a demand that stands nowhere".to_owned(),
        };
        let mut text = format!("{who} answers {to}: {}", self.outcome);
        if !self.records.is_empty() {
            let (accounts, clips) = (self.accounts, self.clips);
            let records = listed(&self.records);
            text.push_str(&format!(
                ", {records} of {accounts} accounts, {clips} clips"
            ));
        }
        format!("{text} ({}).", self.effective_on)
    }

    fn example() -> Self {
        Self {
            demand: Some(StatementId::from_bytes([12; 32])),
            agency: None,
            outcome: Outcome::Partial,
            records: vec![RecordKind::ClipCiphertext, RecordKind::ClipMetadata],
            accounts: Band::UpTo5,
            clips: Band::UpTo50,
            effective_on: "2019-07-01".parse().expect("a day"),
        }
    }
}

impl DemandResponse {
    fn check_form(&self) -> Result<(), Refusal> {
        let refuse = |member, detail| Err(Refusal::new(Reason::BadValue, member, detail));
        ascending("/records", &self.records, 0..=7)?;
        let gives = matches!(self.outcome, Outcome::Full | Outcome::Partial);
        if gives == self.records.is_empty() {
            return refuse("/records", "what was given, if something was");
        }
        if !gives && (self.accounts, self.clips) != (Band::None, Band::None) {
            return refuse("/accounts", "0 where nothing was given");
        }
        if self.demand.is_some() && self.agency.is_some() {
            return refuse("/agency", "the demand says who");
        }
        Ok(())
    }
}
