//! What is odd in the terms of an agreement, by itself.

use super::{Finding, FindingCode};
use crate::record::{Chain, Record};
use crate::statement::kinds::agreement::Term;
use crate::statement::words::{Day, Label};

/// Days after which an agreement counts as made public late.
const LATE_DAYS: i64 = 30;

pub(super) fn find(record: &Record, all: &mut Vec<Finding>) {
    for chain in &record.agreements {
        let on_terms = chain.terms.iter().filter_map(|term| on_term(record, term));
        let side = (!chain.complete).then(|| {
            let detail = "The parties have not declared that this is all they agreed.".to_owned();
            (FindingCode::SideAgreements, detail)
        });
        let found = on_terms.chain(side).chain(late(chain));
        all.extend(found.map(|(code, detail)| Finding {
            code,
            about: chain.first().id,
            with: Vec::new(),
            detail,
        }));
    }
}

fn on_term(record: &Record, term: &Term) -> Option<(FindingCode, String)> {
    let name = |party| record.name(party);
    Some(match term {
        Term::Equipment {
            giver,
            receiver,
            item,
            count,
            value,
        } if record.is_agency(receiver) => (
            FindingCode::GetsEquipment,
            format!(
                "{} gives {} {count} × {}{}. A gift may bind an agency to its giver.",
                name(giver),
                name(receiver),
                label(item),
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
            FindingCode::AgencyIsPaid,
            format!(
                "{} earns {amount} in credit from {} whenever a resident downloads the app, to be \
                 spent on {} alone: the more people it persuades, the more it gets.",
                name(receiver),
                name(giver),
                label(usable_for)
            ),
        ),
        Term::CreditPerDownload {
            giver,
            receiver,
            amount,
            ..
        } => (
            FindingCode::PaidPerDownload,
            format!(
                "{} credits {} {amount} per download.",
                name(giver),
                name(receiver)
            ),
        ),
        Term::Confidentiality { bound, about } => (
            FindingCode::KeptSecret,
            format!(
                "{} must not tell the public about: {}.",
                name(bound),
                label(about)
            ),
        ),
        Term::Promotion { bound, product } if record.is_agency(bound) => (
            FindingCode::AgencyPromotes,
            format!(
                "{} has to promote {} to the people it serves.",
                name(bound),
                label(product)
            ),
        ),
        Term::PublicityApproval { bound, approver } if record.is_agency(bound) => (
            FindingCode::PublicityApproval,
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
            FindingCode::PublicMoney,
            format!(
                "{} pays {} up to {total} for {}.",
                name(giver),
                label(beneficiary),
                label(product)
            ),
        ),
        Term::StaffDiscount {
            giver,
            receiver,
            product,
            percent,
        } if record.is_agency(receiver) => (
            FindingCode::StaffDiscount,
            format!(
                "{} gives the staff of {} {percent} % off {}.",
                name(giver),
                name(receiver),
                label(product)
            ),
        ),
        Term::Exclusivity { bound, product } if record.is_agency(bound) => (
            FindingCode::Exclusive,
            format!(
                "{} deals with no competitor of {}.",
                name(bound),
                label(product)
            ),
        ),
        Term::DataAccess {
            giver,
            receiver,
            by_process_only: false,
            ..
        } if record.is_agency(receiver) => (
            FindingCode::DataWithoutProcess,
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
    })
}

fn late(chain: &Chain) -> Option<(FindingCode, String)> {
    let effective_on = chain.effective_on.as_ref()?;
    let logged_at = chain.first().logged_at;
    let days = Day::of(logged_at)
        .start()
        .seconds_since(effective_on.start())
        / 86_400;
    (days > LATE_DAYS).then(|| {
        let detail = format!("It took effect {days} days before anyone could read it here.");
        (FindingCode::PublishedLate, detail)
    })
}

/// A label with its words apart.
fn label(label: &Label) -> String {
    label.as_str().replace(['-', '_'], " ")
}
