//! `delay-order`: a court puts off the day of an opening, or of telling those concerned.
//!
//! Signed by the court, or entered by the operator with the paper attached. Each order moves a day
//! by at most the limits' `delay_days`, counted from its logging, and it may be renewed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::disclosure::short;
use crate::digest::StatementId;
use crate::statement::facts::{Change, DigestFact, Fact, FactKey, Facts, SealFact};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, outside_limits, wrong_author};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Day, DelayGround, PartyKind, Role, ascending, codes, listed};

/// A court's order to wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayOrder {
    /// What waits.
    pub delays: Delayed,
    /// The digest of the sealed field; for `opening` alone, and always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealDigest>,
    /// The `legal-demand` that people are not told of; for `notice` alone, and always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<StatementId>,
    /// The new day.
    pub until: Day,
    /// 1 to 5, ascending.
    pub grounds: Vec<DelayGround>,
    /// The paper, an attachment; always there if the operator speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<SealDigest>,
}

codes! {
    /// What waits.
    Delayed {
        /// That those concerned are told of a demand.
        Notice = "notice",
        /// That a sealed field is opened.
        Opening = "opening",
    }
}

impl Kind for DelayOrder {
    const NAME: &'static str = "delay-order";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        self.check_author(entry)?;
        self.check_form()?;
        let latest = entry.day_after("/until", entry.limits()?.1.delay_days)?;
        if self.until > latest {
            return Err(outside_limits("/until", &self.until, latest).into());
        }
        if self.until.is_over(entry.logged_at) {
            return Err(Refusal::new(Reason::BadValue, "/until", "a day to come").into());
        }
        let mut change = entry.enter_attachments(self.attachments())?;
        if let Some(seal) = &self.seal {
            change.extend(self.delay_opening(entry, *seal)?);
        }
        if let Some(demand) = &self.demand {
            let (index, mut fact) = entry.told_demand("/demand", demand)?;
            self.check_later(fact.notice_after.as_ref())?;
            fact.notice_after = Some(self.until.clone());
            change.push((FactKey::Demand(index), Fact::Demand(fact)));
        }
        Ok(change)
    }

    fn plain(&self, who: &str) -> String {
        let what = match (&self.seal, &self.demand) {
            (Some(seal), _) => format!("the opening of {seal}"),
            (None, Some(demand)) => format!("telling those whom demand {} is about", short(demand)),
            (None, None) => "nothing".to_owned(),
        };
        let (until, grounds) = (&self.until, listed(&self.grounds));
        format!("{who}: a court puts off {what} until {until}, because: {grounds}.")
    }

    fn attachments(&self) -> Vec<(String, SealDigest)> {
        let document = self.document.into_iter();
        document
            .map(|digest| ("/document".to_owned(), digest))
            .collect()
    }

    fn example() -> Self {
        Self {
            delays: Delayed::Opening,
            seal: Some(SealDigest::from_bytes([4; 32])),
            demand: None,
            until: "2019-12-31".parse().expect("a day"),
            grounds: vec![DelayGround::Flight, DelayGround::Jeopardy],
            document: None,
        }
    }
}

impl DelayOrder {
    fn check_author<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<(), Verdict<F::Error>> {
        let issuer = entry.issuer()?;
        entry.signed_by_party(issuer, &[Role::Admin, Role::Officer])?;
        if *issuer == entry.operator()? {
            return match self.document {
                Some(_) => Ok(()),
                None => {
                    let detail = "the operator attaches the court's paper";
                    Err(Refusal::new(Reason::MissingMember, "/document", detail).into())
                }
            };
        }
        match entry.in_standing("/issuer", issuer)?.kind {
            PartyKind::Court => Ok(()),
            _ => Err(wrong_author("a court, or the operator").into()),
        }
    }

    fn check_form(&self) -> Result<(), Refusal> {
        ascending("/grounds", &self.grounds, 1..=5)?;
        let opening = self.delays == Delayed::Opening;
        for (member, is_there, belongs) in [
            ("/seal", self.seal.is_some(), opening),
            ("/demand", self.demand.is_some(), !opening),
        ] {
            if is_there != belongs {
                let detail = "seal for an opening, demand for a notice";
                return Err(Refusal::new(Reason::BadValue, member, detail));
            }
        }
        Ok(())
    }

    fn check_later(&self, before: Option<&Day>) -> Result<(), Refusal> {
        match before.filter(|before| self.until <= **before) {
            None => Ok(()),
            Some(before) => {
                let detail = format!("later than {before}");
                Err(Refusal::new(Reason::BadValue, "/until", detail))
            }
        }
    }

    fn delay_opening<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        digest: SealDigest,
    ) -> Result<Change, Verdict<F::Error>> {
        let (fact, seal) = entry.closed_seal("/seal", &digest)?;
        // It is due at once: to put it off now would make its erasure a way out.
        if let Some(at) = fact.erased {
            let detail = format!("erased by entry {at}");
            return Err(Refusal::new(Reason::Erased, "/seal", detail).into());
        }
        self.check_later(Some(&seal.open_by))?;
        let later = SealFact {
            open_by: self.until.clone(),
            ..seal.clone()
        };
        let after = DigestFact {
            seal: Some(later),
            ..fact
        };
        entry.change_seal(digest, &seal, after)
    }
}
