//! What is compelled: unanswered, answered beyond what was demanded, not told of.

use super::{Finding, FindingCode};
use crate::digest::StatementId;
use crate::record::compelled::Match;
use crate::record::{Demand, Record};
use crate::statement::kinds::erasure::ErasureBasis;
use crate::statement::kinds::notice::NoticeState;
use crate::statement::words::RecordKind;
use crate::time::Time;

pub(super) fn find(record: &Record, now: Time, all: &mut Vec<Finding>) {
    for demand in &record.demands {
        let found = [
            unanswered(demand, now),
            beyond(demand),
            without_warrant(demand),
            untold(demand, now),
            put_off(demand),
            escalated(record, demand),
        ];
        all.extend(found.into_iter().flatten());
    }
    for (notice, erasure) in &record.destroyed {
        if erasure.what.basis == ErasureBasis::CourtOrder {
            continue;
        }
        all.push(Finding {
            code: FindingCode::NoticeErased,
            about: *notice,
            with: vec![erasure.id],
            detail: format!(
                "Whom it was for may never read it; the ground given: {}.",
                erasure.what.basis
            ),
        });
    }
    for response in &record.unasked {
        all.push(Finding {
            code: FindingCode::ResponseWithoutDemand,
            about: response.id,
            with: Vec::new(),
            detail: match &response.what.agency {
                Some(agency) => format!(
                    "{} answered {agency}, which enters no demand.",
                    response.author
                ),
                None => format!("{} does not say whom it answered.", response.author),
            },
        });
    }
}

fn about(demand: &Demand, code: FindingCode, with: Vec<StatementId>, detail: String) -> Finding {
    Finding {
        code,
        about: demand.by.id,
        with,
        detail,
    }
}

fn unanswered(demand: &Demand, now: Time) -> Option<Finding> {
    (demand.matched(now) == Match::NoResponse).then(|| {
        let detail = format!("It was to be answered by {}.", demand.answer_by());
        about(demand, FindingCode::NoResponse, Vec::new(), detail)
    })
}

fn beyond(demand: &Demand) -> Option<Finding> {
    let response = demand.responses.iter().find(|r| demand.exceeds(&r.what))?;
    let most = demand.by.what.accounts;
    let detail = match most.filter(|most| response.what.accounts > *most) {
        Some(most) => format!(
            "{most} accounts were demanded, and records of {} given.",
            response.what.accounts
        ),
        None => "Kinds of records were given that were not demanded.".to_owned(),
    };
    Some(about(
        demand,
        FindingCode::CountsDisagree,
        vec![response.id],
        detail,
    ))
}

fn without_warrant(demand: &Demand) -> Option<Finding> {
    if demand.reaches_content() {
        return None;
    }
    let process = demand.by.what.process;
    let content = |kinds: &[RecordKind]| kinds.contains(&RecordKind::ClipContent);
    let gave = demand.responses.iter().find(|r| content(&r.what.records));
    let detail = match gave {
        Some(_) => format!("A {process} brought what cameras saw."),
        None if demand.by.what.content => format!("A {process} demands what cameras saw."),
        None => return None,
    };
    let with = gave.map(|response| response.id).into_iter().collect();
    Some(about(
        demand,
        FindingCode::ContentWithoutWarrant,
        with,
        detail,
    ))
}

fn untold(demand: &Demand, now: Time) -> Option<Finding> {
    let by = demand.tell_by()?;
    (!demand.told() && by.is_over(now)).then(|| {
        let detail = format!("Those whom it is about were to be told by {by}.");
        about(demand, FindingCode::NoticeOverdue, Vec::new(), detail)
    })
}

/// A notice was put off beyond what any court has ordered.
fn put_off(demand: &Demand) -> Option<Finding> {
    let ordered = demand.orders.iter().map(|(_, day)| day).max();
    let beyond = demand.notices.iter().find(|notice| {
        notice.what.state == NoticeState::Delayed && notice.what.until.as_ref() > ordered
    })?;
    let detail = match ordered {
        None => "No court’s order to wait stands in the log.".to_owned(),
        Some(day) => format!("The court’s order ends on {day}."),
    };
    Some(about(
        demand,
        FindingCode::DelayWithoutOrder,
        vec![beyond.id],
        detail,
    ))
}

/// Residents were asked first in the same investigation.
fn escalated(record: &Record, demand: &Demand) -> Option<Finding> {
    let investigation = demand.by.what.investigation.as_ref()?;
    let asked: Vec<_> = record
        .requests
        .iter()
        .filter(|asked| asked.request.investigation == *investigation && asked.index < demand.index)
        .collect();
    let given: usize = asked.iter().map(|asked| asked.given.len()).sum();
    (!asked.is_empty()).then(|| {
        let with = asked.iter().map(|asked| asked.id).collect();
        let detail = format!(
            "Residents had been asked {} before, with {given} disclosed.",
            match asked.len() {
                1 => "once".to_owned(),
                n => format!("{n} times"),
            }
        );
        about(demand, FindingCode::Escalated, with, detail)
    })
}
