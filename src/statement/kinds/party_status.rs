//! `party-status`: the operator confirms, suspends, reinstates or withdraws a party.
//!
//! A party that is not in standing asks for nothing, takes nothing and binds itself to nothing; what
//! it owes it still reports, and its seals stay due. A withdrawn one may be succeeded under a new id.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::party::DomainCheck;
use crate::statement::facts::{Change, Fact, FactKey, Facts, Standing};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::Entry;
use crate::statement::words::{PartyId, Role, codes};

/// What the operator says of a party's standing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartyStatus {
    /// The party whose standing it is.
    pub party: PartyId,
    /// What becomes of it.
    pub status: StatusChange,
    /// Why; not for `confirmed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<StatusReason>,
    /// The host name checked again; always for `confirmed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_check: Option<DomainCheck>,
}

codes! {
    /// What becomes of a party.
    StatusChange {
        /// It stands as before; its host name was checked again.
        Confirmed = "confirmed",
        /// A suspension ends.
        Reinstated = "reinstated",
        /// Until it is reinstated.
        Suspended = "suspended",
        /// For good.
        Withdrawn = "withdrawn",
    }
}

codes! {
    /// Why a party's standing changes.
    StatusReason {
        CourtOrder = "court-order",
        Dissolved = "dissolved",
        DomainLost = "domain-lost",
        KeysCompromised = "keys-compromised",
        KeysLost = "keys-lost",
        OwnWish = "own-wish",
        Resolved = "resolved",
        RulesBroken = "rules-broken",
    }
}

impl Kind for PartyStatus {
    const NAME: &'static str = "party-status";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let operator = entry.signed_by_operator(&[Role::Admin])?;
        if self.party == operator {
            let detail = "another party than the operator";
            return Err(Refusal::new(Reason::BadValue, "/party", detail).into());
        }
        let mut party = entry.known_party("/party", &self.party)?;
        self.check_form()?;
        party.standing = match (party.standing, self.status) {
            (Standing::Live | Standing::Listed, StatusChange::Confirmed) => {
                return Ok(Change::new());
            }
            (Standing::Suspended, StatusChange::Reinstated) => Standing::Live,
            (Standing::Live, StatusChange::Suspended) => Standing::Suspended,
            (Standing::Live | Standing::Suspended, StatusChange::Withdrawn) => Standing::Withdrawn,
            (standing, status) => {
                let detail = format!("a party that is {} is not {status}", standing.code());
                return Err(Refusal::new(Reason::AlreadySo, "/status", detail).into());
            }
        };
        Ok(vec![(
            FactKey::Party(self.party.clone()),
            Fact::Party(party),
        )])
    }

    fn plain(&self, who: &str) -> String {
        let does = match self.status {
            StatusChange::Confirmed => "confirms",
            StatusChange::Reinstated => "reinstates",
            StatusChange::Suspended => "suspends",
            StatusChange::Withdrawn => "withdraws",
        };
        let mut text = format!("{who} {does} {}", self.party);
        if let Some(reason) = self.reason {
            text.push_str(&format!(", because: {reason}"));
        }
        if let Some(check) = &self.domain_check {
            text.push_str(&format!(
                "; {} on {}",
                check.method.plain(),
                check.checked_on
            ));
        }
        text.push('.');
        text
    }

    fn example() -> Self {
        Self {
            party: "lakelandgov.example".parse().expect("a host name"),
            status: StatusChange::Suspended,
            reason: Some(StatusReason::DomainLost),
            domain_check: None,
        }
    }
}

impl PartyStatus {
    fn check_form(&self) -> Result<(), Refusal> {
        let refuse = |member, detail| Err(Refusal::new(Reason::BadValue, member, detail));
        let confirms = self.status == StatusChange::Confirmed;
        if self.reason.is_some() == confirms {
            return refuse("/reason", "for every change, and not where nothing changes");
        }
        if confirms && self.domain_check.is_none() {
            return refuse("/domain_check", "a confirmation says how it was checked");
        }
        Ok(())
    }
}
