//! Sealed fields: overdue, destroyed, opened wrongly, opened to different numbers.

use std::collections::BTreeMap;

use super::{Attachments, Finding, FindingCode};
use crate::digest::StatementId;
use crate::record::{Record, Sealed};
use crate::statement::kinds::erasure::ErasureBasis;
use crate::statement::sealed::open_field;
use crate::statement::words::Investigation;
use crate::time::Time;

pub(super) fn find(
    record: &Record,
    now: Time,
    attachments: Attachments<'_>,
    all: &mut Vec<Finding>,
) {
    // Another agency's case has another number, whatever id it gives.
    let mut numbers: BTreeMap<(String, &Investigation), Vec<(StatementId, String)>> =
        BTreeMap::new();
    for (digest, sealed) in &record.seals {
        all.extend(waiting(sealed, now));
        let Some((unsealing, attachment)) = &sealed.opened else {
            continue;
        };
        let Some(bytes) = attachments(attachment) else {
            continue;
        };
        match open_field(&bytes, digest, sealed.name) {
            Ok(value) => {
                if sealed.name == "case_number"
                    && let Some(investigation) = &sealed.investigation
                {
                    let case = (sealed.author.to_string(), investigation);
                    let opened = numbers.entry(case).or_default();
                    opened.push((sealed.statement, value));
                }
            }
            Err(why) => all.push(Finding {
                code: FindingCode::Misopened,
                about: sealed.statement,
                with: vec![*unsealing],
                detail: format!("What was published for its {} {why}.", sealed.name),
            }),
        }
    }
    for opened in numbers.values() {
        all.extend(differing(record, opened));
    }
}

fn waiting(sealed: &Sealed, now: Time) -> Option<Finding> {
    let finding = |code, with, detail: String| {
        Some(Finding {
            code,
            about: sealed.statement,
            with,
            detail,
        })
    };
    let (name, day) = (sealed.name, &sealed.open_by);
    match &sealed.erased {
        _ if sealed.opened.is_some() => None,
        Some((_, ErasureBasis::CourtOrder)) => None,
        Some((erasure, basis)) => {
            let detail = format!("Its {name} cannot be read any more; the ground given: {basis}.");
            finding(FindingCode::SealErased, vec![*erasure], detail)
        }
        None if sealed.is_overdue(now) => {
            let detail = format!("{} was to open its {name} by {day}.", sealed.author);
            finding(FindingCode::SealOverdue, Vec::new(), detail)
        }
        None => None,
    }
}

/// The statements of one investigation whose case number is not that of the earliest.
fn differing(record: &Record, opened: &[(StatementId, String)]) -> Vec<Finding> {
    let place = |id: &StatementId| record.requests.place(id).unwrap_or(usize::MAX);
    let mut opened: Vec<_> = opened.iter().collect();
    opened.sort_by_key(|(id, _)| place(id));
    let Some(((first, number), rest)) = opened.split_first().map(|(first, rest)| (*first, rest))
    else {
        return Vec::new();
    };
    let others = rest.iter().filter(|(_, other)| other != number);
    others
        .map(|(id, _)| Finding {
            code: FindingCode::CaseNumbersDiffer,
            about: *id,
            with: vec![*first],
            detail: "Both name the same investigation, and were opened to two case numbers."
                .to_owned(),
        })
        .collect()
}
