//! Footage at agencies: as much as was asked for, answered for, kept no longer than said, and really
//! collected.

use super::{Finding, FindingCode};
use crate::digest::StatementId;
use crate::record::custody::Kept;
use crate::record::{Given, Record};
use crate::statement::kinds::disclosure::BESIDE_WINDOW;
use crate::time::Time;

pub(super) fn find(record: &Record, now: Time, all: &mut Vec<Finding>) {
    let mut given: Vec<&Given> = record.given.values().collect();
    given.sort_by_key(|given| (given.logged_at, given.id));
    for given in given {
        all.extend(length(record, given));
        all.extend(answered(given, now));
        kept(&given.kept, given.id, now, all);
    }
    for demand in &record.demands {
        kept(&demand.kept, demand.by.id, now, all);
    }
}

/// More film than a request's window has, and [`BESIDE_WINDOW`] for each clip.
fn length(record: &Record, given: &Given) -> Option<Finding> {
    let asked = record.requests.find(&given.request?)?;
    let (band, window) = (given.minutes?, asked.request.window_minutes);
    let beside = given.clips.saturating_mul(BESIDE_WINDOW);
    let most = u64::from(window).saturating_add(beside);
    (u64::from(band.least()) > most).then(|| Finding {
        code: FindingCode::MoreThanAsked,
        about: given.id,
        with: vec![asked.id],
        detail: format!(
            "The clips have {band} minutes, where {window} were asked for. {BESIDE_WINDOW} more are \
             usual for each clip."
        ),
    })
}

fn answered(given: &Given, now: Time) -> Option<Finding> {
    let reports = &given.kept.reports;
    let (code, about, with, detail) = match (&given.collected, reports.first()) {
        (None, Some(first)) => (
            FindingCode::CustodyWithoutCollection,
            first.id,
            vec![given.id],
            "The disclosure was never collected, as far as the log knows.".to_owned(),
        ),
        (Some(collected), None) if collected.answer_by.is_over(now) => (
            FindingCode::CustodyOverdue,
            collected.id,
            vec![given.id],
            format!(
                "{} was to say by {} what became of it.",
                collected.by, collected.answer_by
            ),
        ),
        _ => return None,
    };
    Some(Finding {
        code,
        about,
        with,
        detail,
    })
}

fn kept(kept: &Kept, about: StatementId, now: Time, all: &mut Vec<Finding>) {
    if let Some((report, until)) = &kept.until
        && until.is_over(now)
    {
        all.push(Finding {
            code: FindingCode::RetentionOver,
            about: *report,
            with: vec![about],
            detail: format!(
                "It was to be kept until {until}, and nobody says that it was deleted."
            ),
        });
    }
    for report in &kept.failed {
        all.push(Finding {
            code: FindingCode::DeliveryFailed,
            about,
            with: vec![*report],
            detail: "Whoever took it reports that nothing came, or nothing that opens.".to_owned(),
        });
    }
}
