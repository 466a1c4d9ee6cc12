//! `benefit`: what one party gave another, as a giver or a receiver reports it.
//!
//! A report: admitted whatever it reports. That a credit was redeemed beyond its accrual is a
//! finding for monitors, not a refusal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::digest::StatementId;
use crate::statement::facts::{BenefitFact, Change, Fact, FactKey, Facts, FactsExt};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::words::{Day, Label, Money, PartyId, Role, codes};

/// A benefit given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Benefit {
    /// What kind of benefit.
    pub kind: BenefitKind,
    /// Who gave.
    pub giver: PartyId,
    /// Who received.
    pub receiver: PartyId,
    /// The other side's report of the same, which this one confirms: it counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirms: Option<StatementId>,
    /// The agreement statement that it is given under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<StatementId>,
    /// What was given or bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Label>,
    /// How many of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The amount in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// App downloads that the amount is reckoned by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloads: Option<u32>,
    /// The day it was given, at most the day after this is logged.
    pub effective_on: Day,
}

codes! {
    /// What kind of benefit.
    BenefitKind {
        CreditAccrued = "credit-accrued",
        CreditRedeemed = "credit-redeemed",
        Discount = "discount",
        Equipment = "equipment",
        /// Given back: the giver is who had received it.
        Returned = "returned",
        Subsidy = "subsidy",
    }
}

impl Kind for Benefit {
    const NAME: &'static str = "benefit";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let issuer = entry.issuer()?;
        if *issuer != self.giver && *issuer != self.receiver {
            return Err(wrong_author("the giver or the receiver").into());
        }
        if self.giver == self.receiver {
            return Err(
                Refusal::new(Reason::BadValue, "/receiver", "another than the giver").into(),
            );
        }
        entry.signed_by_party(issuer, &[Role::Admin, Role::Officer])?;
        entry.known_party("/giver", &self.giver)?;
        entry.known_party("/receiver", &self.receiver)?;
        if let Some(id) = &self.agreement {
            let (_, agreement) = entry.refer("/agreement", id, "agreement", F::agreement)?;
            if ![&self.giver, &self.receiver]
                .iter()
                .all(|p| agreement.parties.contains(p))
            {
                return Err(Refusal::new(
                    Reason::WrongReference,
                    "/agreement",
                    "that agreement is between others",
                )
                .into());
            }
        }
        if let Some(id) = &self.confirms {
            let (index, reported) = entry.refer("/confirms", id, "benefit", F::benefit)?;
            if reported.by == *issuer || reported.between != self.between() {
                let detail = format!("entry {index} is no report of the other side");
                return Err(Refusal::new(Reason::WrongReference, "/confirms", detail).into());
            }
        }
        entry.has_come("/effective_on", &self.effective_on)?;
        if self.count.is_none() && self.amount.is_none() {
            return Err(Refusal::new(
                Reason::MissingMember,
                "/count",
                "a count, an amount, or both",
            )
            .into());
        }
        let fact = BenefitFact {
            by: issuer.clone(),
            between: self.between(),
        };
        let key = FactKey::Benefit(entry.index);
        Ok(vec![(key, Fact::Benefit(fact))])
    }

    fn plain(&self, who: &str) -> String {
        let mut what = Vec::new();
        if let Some(count) = self.count {
            what.push(match &self.item {
                Some(item) => format!("{count} × {item}"),
                None => format!("{count} items"),
            });
        }
        if let Some(amount) = &self.amount {
            what.push(amount.to_string());
        }
        if let Some(downloads) = self.downloads {
            what.push(format!("for {downloads} app downloads"));
        }
        let verb = match self.confirms {
            None => "reports",
            Some(_) => "confirms",
        };
        format!(
            "{who} {verb}: {} from {} to {}: {} ({}).",
            self.kind,
            self.giver,
            self.receiver,
            what.join(", "),
            self.effective_on
        )
    }

    fn example() -> Self {
        Self {
            kind: BenefitKind::CreditAccrued,
            giver: "doorbell.example".parse().expect("a host name"),
            receiver: "lakelandgov.example".parse().expect("a host name"),
            confirms: None,
            agreement: None,
            item: None,
            count: None,
            amount: Some(Money {
                currency: "USD".parse().expect("a code"),
                minor_units: 12_000,
            }),
            downloads: Some(12),
            effective_on: "2019-02-01".parse().expect("a day"),
        }
    }
}

impl Benefit {
    /// Giver and receiver.
    fn between(&self) -> [PartyId; 2] {
        [self.giver.clone(), self.receiver.clone()]
    }
}
