//! `insider-access`: somebody of the staff looked at what the service holds.
//!
//! A report by whoever employs them. Staff have pseudonymous labels, the same for each person, so
//! that a pattern shows without a name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::digest::StatementId;
use crate::statement::facts::{Change, Facts};
use crate::statement::refusal::Verdict;
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::words::{Band, Day, Label, RecordKind, Role, ascending, codes, listed};

/// Access by staff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InsiderAccess {
    /// Who: a pseudonym of the employer's choosing.
    pub staff: Label,
    /// Through which system.
    pub system: Label,
    /// Why they looked.
    pub reason: AccessReason,
    /// Kinds of records seen: 1 to 7, ascending.
    pub records: Vec<RecordKind>,
    /// Of how many accounts.
    pub accounts: Band,
    /// The legal demand that it was done for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<StatementId>,
    /// The day they looked, at most the day after this is logged.
    pub effective_on: Day,
}

codes! {
    /// Why staff looked.
    AccessReason {
        AbuseReport = "abuse-report",
        LegalDemand = "legal-demand",
        Maintenance = "maintenance",
        SecurityIncident = "security-incident",
        SupportCase = "support-case",
        /// It had no reason.
        Unauthorised = "unauthorised",
    }
}

impl Kind for InsiderAccess {
    const NAME: &'static str = "insider-access";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let issuer = entry.issuer()?;
        entry.signed_by_party(issuer, &[Role::Admin, Role::Officer])?;
        if *issuer != entry.operator()? && !entry.is_vendor(issuer)? {
            return Err(wrong_author("the operator or a vendor").into());
        }
        ascending("/records", &self.records, 1..=7)?;
        entry.has_come("/effective_on", &self.effective_on)?;
        if let Some(demand) = &self.demand {
            entry.told_demand("/demand", demand)?;
        }
        Ok(Change::new())
    }

    fn plain(&self, who: &str) -> String {
        format!(
            "{who} reports: its staff {} saw {} of {} accounts by {}, because: {} ({}).",
            self.staff,
            listed(&self.records),
            self.accounts,
            self.system,
            self.reason,
            self.effective_on
        )
    }

    fn example() -> Self {
        Self {
            staff: "support-17".parse().expect("a label"),
            system: "storage-console".parse().expect("a label"),
            reason: AccessReason::Maintenance,
            records: vec![RecordKind::ClipCiphertext, RecordKind::ClipMetadata],
            accounts: Band::UpTo50,
            demand: None,
            effective_on: "2019-07-01".parse().expect("a day"),
        }
    }
}
