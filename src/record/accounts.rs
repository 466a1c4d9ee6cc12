//! The double-entry account of an agreement: what went from whom to whom, and what each has now.
//!
//! Every posting takes from one party what it brings to another, so the balances of a unit add up to
//! nothing. Credit is what a party may still buy for; goods are counted out and back. A report that
//! confirms another side's is not posted again.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Record, Reported};
use crate::digest::StatementId;
use crate::statement::kinds::benefit::{Benefit, BenefitKind};
use crate::statement::words::{Currency, Day, Label, PartyId};

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Credit in minor units of a currency.
    Credit(Currency),
    /// Money in minor units of a currency.
    Money(Currency),
    /// Things of a kind; none where the report does not name it.
    Goods(Option<Label>),
}

impl Unit {
    /// So much of it, as people say it.
    pub fn quantity(&self, n: i64) -> String {
        let sign = if n < 0 { "−" } else { "" };
        let n = n.unsigned_abs();
        match self {
            Self::Credit(currency) => format!("{sign}{} of credit", currency.amount(n)),
            Self::Money(currency) => format!("{sign}{}", currency.amount(n)),
            Self::Goods(item) => {
                let item = item.as_ref().map_or("item", Label::as_str);
                format!("{sign}{n} × {}", item.replace(['-', '_'], " "))
            }
        }
    }
}

/// One movement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Posting {
    /// The report that it stands in.
    pub report: StatementId,
    pub on: Day,
    pub from: PartyId,
    pub to: PartyId,
    pub unit: Unit,
    /// Minor units of money or credit, or pieces.
    pub quantity: u32,
}

/// Balances by party and unit.
pub type Balances = BTreeMap<(PartyId, Unit), i64>;

/// The account of an agreement.
#[derive(Debug, Default)]
pub struct Account {
    /// By day, and by place in the log within one.
    pub postings: Vec<Posting>,
}

impl Account {
    /// The account of the agreement at a place among [`Record::agreements`]; of `None`, of all that was
    /// given under none.
    pub fn of(record: &Record, agreement: Option<usize>) -> Self {
        let reports = record.benefits_under(agreement);
        let mut postings: Vec<Posting> = reports.flat_map(postings).collect();
        postings.sort_by(|a, b| a.on.cmp(&b.on));
        Self { postings }
    }

    /// What each party has of each unit. Those of one unit add up to nothing.
    pub fn balances(&self) -> Balances {
        let mut balances = Balances::new();
        for posting in &self.postings {
            post(&mut balances, posting);
        }
        balances
    }

    /// The postings by which a party gave more than it ever had of what it was to have first: credit
    /// beyond what accrued, or more goods back than came.
    pub(super) fn overdrawn(
        &self,
        kinds: impl Fn(&StatementId) -> Option<BenefitKind>,
    ) -> Vec<&Posting> {
        let mut balances = Balances::new();
        let mut overdrawn = Vec::new();
        for posting in &self.postings {
            post(&mut balances, posting);
            let owed = matches!(
                (kinds(&posting.report), &posting.unit),
                (Some(BenefitKind::CreditRedeemed), Unit::Credit(_))
                    | (Some(BenefitKind::Returned), Unit::Goods(_))
            );
            let key = (posting.from.clone(), posting.unit.clone());
            if owed && balances.get(&key).is_some_and(|balance| *balance < 0) {
                overdrawn.push(posting);
            }
        }
        overdrawn
    }
}

fn post(balances: &mut Balances, posting: &Posting) {
    let quantity = i64::from(posting.quantity);
    let changes = [
        (&posting.from, quantity.saturating_neg()),
        (&posting.to, quantity),
    ];
    for (party, change) in changes {
        let balance = balances.entry((party.clone(), posting.unit.clone()));
        let balance = balance.or_default();
        *balance = balance.saturating_add(change);
    }
}

/// What a report moves.
fn postings(reported: &Reported) -> Vec<Posting> {
    let benefit = &reported.benefit;
    if benefit.confirms.is_some() {
        return Vec::new();
    }
    let move_it = |from: &PartyId, to: &PartyId, unit: Unit, quantity: u32| Posting {
        report: reported.id,
        on: benefit.effective_on.clone(),
        from: from.clone(),
        to: to.clone(),
        unit,
        quantity,
    };
    let (giver, receiver) = (&benefit.giver, &benefit.receiver);
    let amount = |unit: fn(Currency) -> Unit| {
        let amount = benefit.amount.as_ref()?;
        Some((unit(amount.currency.clone()), amount.minor_units))
    };
    let mut moved = Vec::new();
    match benefit.kind {
        BenefitKind::CreditAccrued => {
            let credit = amount(Unit::Credit);
            moved.extend(credit.map(|(unit, n)| move_it(giver, receiver, unit, n)));
        }
        // Goods for credit: one goes this way, the other that.
        BenefitKind::CreditRedeemed => {
            let credit = amount(Unit::Credit);
            moved.extend(credit.map(|(unit, n)| move_it(receiver, giver, unit, n)));
            moved.extend(goods(benefit).map(|(unit, n)| move_it(giver, receiver, unit, n)));
        }
        BenefitKind::Equipment | BenefitKind::Returned => {
            moved.extend(goods(benefit).map(|(unit, n)| move_it(giver, receiver, unit, n)));
        }
        BenefitKind::Discount | BenefitKind::Subsidy => {
            let money = amount(Unit::Money);
            moved.extend(money.map(|(unit, n)| move_it(giver, receiver, unit, n)));
        }
    }
    moved
}

fn goods(benefit: &Benefit) -> Option<(Unit, u32)> {
    Some((Unit::Goods(benefit.item.clone()), benefit.count?))
}
