//! Benefits against the agreement's terms, the other side's report, and the account.

use super::{Finding, FindingCode};
use crate::digest::StatementId;
use crate::record::accounts::Account;
use crate::record::{Chain, Record, Reported};
use crate::statement::kinds::agreement::Term;
use crate::statement::kinds::benefit::{Benefit, BenefitKind};
use crate::statement::words::PartyId;

pub(super) fn find(record: &Record, all: &mut Vec<Finding>) {
    for reported in &record.benefits {
        all.extend(confirmation(record, reported));
        if reported.benefit.confirms.is_some() {
            continue;
        }
        match reported.agreement.and_then(|at| record.agreements.get(at)) {
            Some(chain) => all.extend(against_terms(chain, reported)),
            None => all.push(Finding {
                code: FindingCode::BenefitWithoutAgreement,
                about: reported.id,
                with: Vec::new(),
                detail: format!(
                    "{} and {} have no agreement on record that it would be due under.",
                    reported.benefit.giver, reported.benefit.receiver
                ),
            }),
        }
    }
    for (place, chain) in record.agreements.iter().enumerate() {
        all.extend(overdrawn(record, Some(place)));
        all.extend(beyond_terms(record, place, chain));
    }
    all.extend(overdrawn(record, None));
}

/// What one side reports and the other confirms is the same.
fn confirmation(record: &Record, confirming: &Reported) -> Option<Finding> {
    let confirmed = confirming.benefit.confirms.as_ref()?;
    let confirmed = record.benefits.find(confirmed)?;
    let told = |benefit: &Benefit| Benefit {
        confirms: None,
        agreement: None,
        ..benefit.clone()
    };
    let (one, other) = (told(&confirmed.benefit), told(&confirming.benefit));
    let differ: Vec<&str> = [
        ("kind", one.kind != other.kind),
        ("item", one.item != other.item),
        ("count", one.count != other.count),
        ("amount", one.amount != other.amount),
        ("downloads", one.downloads != other.downloads),
        ("day", one.effective_on != other.effective_on),
    ]
    .into_iter()
    .filter_map(|(what, differs)| differs.then_some(what))
    .collect();
    (!differ.is_empty()).then(|| Finding {
        code: FindingCode::ConfirmationDiffers,
        about: confirming.id,
        with: vec![confirmed.id],
        detail: format!(
            "{} and {} report another {}.",
            confirmed.by,
            confirming.by,
            differ.join(", ")
        ),
    })
}

fn against_terms(chain: &Chain, reported: &Reported) -> Option<Finding> {
    let benefit = &reported.benefit;
    let finding = |code, detail: String| {
        Some(Finding {
            code,
            about: reported.id,
            with: vec![chain.first().id],
            detail,
        })
    };
    if !chain.ever.iter().any(|term| provides(term, benefit)) {
        let detail = format!(
            "The agreement has no term by which {} is due.",
            benefit.kind
        );
        return finding(FindingCode::OutsideTerms, detail);
    }
    chain
        .ever
        .iter()
        .find_map(|term| match (benefit.kind, term) {
            (BenefitKind::CreditRedeemed, Term::CreditPerDownload { usable_for, .. })
                if provides(term, benefit) && benefit.item.as_ref() != Some(usable_for) =>
            {
                let bought = benefit.item.as_ref();
                let bought = bought.map_or("what is not said".to_owned(), ToString::to_string);
                let detail = format!("The credit is for {usable_for} alone, and bought {bought}.");
                finding(FindingCode::CreditMisused, detail)
            }
            (BenefitKind::CreditAccrued, Term::CreditPerDownload { amount, .. })
                if provides(term, benefit) =>
            {
                let (downloads, accrued) = (benefit.downloads?, benefit.amount.as_ref()?);
                let due = u64::from(downloads).saturating_mul(amount.minor_units.into());
                let same =
                    accrued.currency == amount.currency && u64::from(accrued.minor_units) == due;
                let detail = format!("{downloads} downloads at {amount} are not {accrued}.");
                (!same).then(|| finding(FindingCode::CreditOffTerms, detail))?
            }
            _ => None,
        })
}

/// Whether a term is one by which such a benefit is due.
fn provides(term: &Term, benefit: &Benefit) -> bool {
    let between = |giver: &PartyId, receiver: &PartyId| {
        *giver == benefit.giver && *receiver == benefit.receiver
    };
    match (benefit.kind, term) {
        // What is given back needs no term.
        (BenefitKind::Returned, _) => true,
        (
            BenefitKind::CreditAccrued | BenefitKind::CreditRedeemed,
            Term::CreditPerDownload {
                giver, receiver, ..
            },
        ) => between(giver, receiver),
        (
            BenefitKind::Equipment,
            Term::Equipment {
                giver,
                receiver,
                item,
                ..
            },
        ) => between(giver, receiver) && benefit.item.as_ref().is_none_or(|given| given == item),
        (BenefitKind::Discount, Term::Discount { giver, .. })
        | (BenefitKind::Subsidy, Term::PublicSubsidy { giver, .. }) => *giver == benefit.giver,
        (
            BenefitKind::Discount,
            Term::StaffDiscount {
                giver, receiver, ..
            },
        ) => between(giver, receiver),
        _ => false,
    }
}

/// Equipment and subsidies add up to no more than the terms have.
fn beyond_terms(record: &Record, place: usize, chain: &Chain) -> Option<Finding> {
    let mut equipment = (0u64, 0u64);
    let mut subsidy = (0u64, 0u64);
    for term in &chain.ever {
        let (sum, added) = match term {
            Term::Equipment { count, .. } => (&mut equipment, *count),
            Term::PublicSubsidy { total, .. } => (&mut subsidy, total.minor_units),
            _ => continue,
        };
        sum.1 = sum.1.saturating_add(added.into());
    }
    for reported in record.benefits_under(Some(place)) {
        let benefit = &reported.benefit;
        if benefit.confirms.is_some() {
            continue;
        }
        let (sum, added) = match benefit.kind {
            BenefitKind::Equipment => (&mut equipment, benefit.count),
            BenefitKind::Subsidy => {
                let amount = benefit.amount.as_ref();
                (&mut subsidy, amount.map(|amount| amount.minor_units))
            }
            _ => continue,
        };
        sum.0 = sum.0.saturating_add(added.unwrap_or(0).into());
        let (given, agreed) = *sum;
        // Where there is no such term at all, each report is a finding of its own.
        if agreed > 0 && given > agreed {
            return Some(Finding {
                code: FindingCode::OutsideTerms,
                about: reported.id,
                with: vec![chain.first().id],
                detail: format!("With it, {given} were given where {agreed} were agreed."),
            });
        }
    }
    None
}

fn overdrawn(record: &Record, place: Option<usize>) -> Vec<Finding> {
    let kind_of = |id: &StatementId| Some(record.benefits.find(id)?.benefit.kind);
    let account = Account::of(record, place);
    let balances = account.balances();
    let found = account.overdrawn(kind_of).into_iter();
    found
        .map(|posting| {
            let unit = &posting.unit;
            let balance = balances.get(&(posting.from.clone(), unit.clone()));
            Finding {
                code: FindingCode::Overdrawn,
                about: posting.report,
                with: Vec::new(),
                detail: format!(
                    "{} gives {} that it never had; its balance is now {}.",
                    posting.from,
                    unit.quantity(posting.quantity.into()),
                    unit.quantity(balance.copied().unwrap_or(0))
                ),
            }
        })
        .collect()
}
