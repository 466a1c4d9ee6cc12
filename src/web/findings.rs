//! What is odd in an agreement: plain-language findings, computed from its terms alone.

use super::{Chain, Record, words};
use crate::statement::kinds::agreement::{Status, Term};
use crate::statement::words::Day;

/// Days after which an agreement counts as made public late.
const LATE_DAYS: i64 = 30;

/// Something that a reader would want to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub title: &'static str,
    pub detail: String,
}

/// The findings on one agreement, those of its terms first.
pub(super) fn of(record: &Record, chain: &Chain) -> Vec<Finding> {
    let mut findings: Vec<Finding> = chain
        .terms
        .iter()
        .filter_map(|term| on_term(record, term))
        .collect();
    if !chain.complete {
        findings.push(Finding {
            title: "Side agreements are not ruled out",
            detail: "The parties have not declared that this is all they agreed.".to_owned(),
        });
    }
    findings.extend(late(chain));
    findings.extend(ending(record, chain));
    findings
}

fn on_term(record: &Record, term: &Term) -> Option<Finding> {
    let name = |party| record.name(party);
    let (title, detail) = match term {
        Term::Equipment {
            giver,
            receiver,
            item,
            count,
            value,
        } if record.is_agency(receiver) => (
            "The police receive equipment",
            format!(
                "{} gives {} {count} × {}{}. A gift may bind an agency to its giver.",
                name(giver),
                name(receiver),
                words::label(item),
                value
                    .as_ref()
                    .map_or(String::new(), |v| format!(", worth {v}"))
            ),
        ),
        Term::CreditPerDownload {
            giver,
            receiver,
            amount,
            usable_for,
        } if record.is_agency(receiver) => (
            "The police are paid for each app download",
            format!(
                "{} earns {amount} in credit from {} whenever a resident downloads the app, to be \
                 spent on {} alone: the more people it persuades, the more it gets.",
                name(receiver),
                name(giver),
                words::label(usable_for)
            ),
        ),
        Term::CreditPerDownload {
            giver,
            receiver,
            amount,
            ..
        } => (
            "Payment for each app download",
            format!(
                "{} credits {} {amount} per download.",
                name(giver),
                name(receiver)
            ),
        ),
        Term::Confidentiality { bound, about } => (
            "The program is kept secret",
            format!(
                "{} must not tell the public about: {}.",
                name(bound),
                words::label(about)
            ),
        ),
        Term::Promotion { bound, product } if record.is_agency(bound) => (
            "The police promote a product",
            format!(
                "{} has to promote {} to the people it serves.",
                name(bound),
                words::label(product)
            ),
        ),
        Term::PublicityApproval { bound, approver } if record.is_agency(bound) => (
            "The police ask before they speak",
            format!(
                "{} says nothing in public about it that {} has not approved.",
                name(bound),
                name(approver)
            ),
        ),
        Term::PublicSubsidy {
            giver,
            beneficiary,
            product,
            total,
            ..
        } => (
            "Public money pays for it",
            format!(
                "{} pays {} up to {total} for {}.",
                name(giver),
                words::label(beneficiary),
                words::label(product)
            ),
        ),
        Term::StaffDiscount {
            giver,
            receiver,
            product,
            percent,
        } if record.is_agency(receiver) => (
            "Police staff buy cheaper",
            format!(
                "{} gives the staff of {} {percent} % off {}.",
                name(giver),
                name(receiver),
                words::label(product)
            ),
        ),
        Term::Exclusivity { bound, product } if record.is_agency(bound) => (
            "The police deal with one vendor alone",
            format!(
                "{} deals with no competitor of {}.",
                name(bound),
                words::label(product)
            ),
        ),
        Term::DataAccess {
            giver,
            receiver,
            by_process_only: false,
            ..
        } if record.is_agency(receiver) => (
            "The police get data without legal process",
            format!(
                "{} lets {} have data that no court was asked for.",
                name(giver),
                name(receiver)
            ),
        ),
        Term::DataAccess { .. }
        | Term::Disclaimer { .. }
        | Term::Discount { .. }
        | Term::Equipment { .. }
        | Term::Exclusivity { .. }
        | Term::PortalAccess { .. }
        | Term::Promotion { .. }
        | Term::PublicityApproval { .. }
        | Term::Role { .. }
        | Term::StaffDiscount { .. }
        | Term::Training { .. } => return None,
    };
    Some(Finding { title, detail })
}

fn late(chain: &Chain) -> Option<Finding> {
    let effective_on = chain.effective_on.as_ref()?;
    let logged_at = chain.steps.first()?.logged_at;
    let days = Day::of(logged_at)
        .start()
        .seconds_since(effective_on.start())
        / 86_400;
    (days > LATE_DAYS).then(|| Finding {
        title: "It was made public late",
        detail: format!(
            "It took effect {} days before anyone could read it here.",
            words::grouped(days.unsigned_abs())
        ),
    })
}

fn ending(record: &Record, chain: &Chain) -> Option<Finding> {
    let last = chain.steps.last()?;
    let reason = words::end_reason(last.reason?);
    let (title, verb) = match last.status {
        Status::Declined => ("It was declined", "declined"),
        Status::Suspended => ("It is suspended", "suspended"),
        Status::Terminated => ("It was ended", "ended"),
        Status::InForce | Status::Proposed => return None,
    };
    let who = match &last.author {
        crate::statement::Author::Issuer(party) => record.name(party),
        _ => "The parties together".to_owned(),
    };
    Some(Finding {
        title,
        detail: format!("{who} {verb} it because {reason}."),
    })
}
