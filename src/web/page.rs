//! What the page shows, as texts: the template only arranges it, and escapes all of it.

use askama::Template;

use super::findings::{self, Finding};
use super::words::{self, Moment};
use super::{Asked, Chain, Record, SHOWN};
use crate::ledger::Published;
use crate::statement::kinds::agreement::{Instrument, Status, Term};
use crate::statement::kinds::benefit::Benefit;
use crate::statement::kinds::log_closed::LogClosed;
use crate::statement::words::PartyId;
use crate::statement::{Author, Statement};
use crate::time::Time;
use crate::tlog::note::Note;

/// The bytes of a cosignature: a time and an Ed25519 signature (C2SP tlog-cosignature).
const COSIGNATURE: usize = 8 + 64;

/// The page.
#[derive(Debug, Template)]
#[template(path = "page.html", config = "src/web/askama.toml")]
pub struct Page {
    /// The log's origin: its address without scheme.
    pub origin: String,
    /// None before the witnesses' first quorum.
    pub checkpoint: Option<CheckpointView>,
    /// The end, if the log was closed.
    pub closed: Option<ClosedView>,
    /// Those that stand now first, then the latest.
    pub agreements: Vec<AgreementView>,
    /// Reported under no agreement.
    pub benefits: Vec<BenefitView>,
    /// The latest first.
    pub requests: Vec<RequestView>,
    pub figures: Figures,
    /// The latest first.
    pub entries: Vec<EntryView>,
    /// Statement types, each with a schema.
    pub kinds: &'static [&'static str],
}

/// The ledger in numbers.
#[derive(Debug, PartialEq, Eq)]
pub struct Figures {
    pub entries: String,
    pub agreements_in_force: String,
    pub requests: String,
    pub requests_open: String,
    pub disclosures: String,
    pub earlier_requests: Option<String>,
}

#[derive(Debug)]
pub struct CheckpointView {
    pub size: String,
    pub at: Moment,
    pub root: String,
    /// Who cosigned, and when.
    pub cosigned: Vec<(String, Moment)>,
    /// Witnesses that did not.
    pub missing: Vec<String>,
}

#[derive(Debug)]
pub struct ClosedView {
    pub at: Moment,
    pub why: &'static str,
    /// The origin of the log in which things go on.
    pub successor: Option<String>,
}

#[derive(Debug)]
pub struct PartyView {
    pub id: String,
    pub name: String,
    pub what: &'static str,
}

#[derive(Debug)]
pub struct AgreementView {
    pub index: u64,
    pub parties: Vec<PartyView>,
    pub status: &'static str,
    pub in_force: bool,
    /// The declaration that there is none.
    pub none: bool,
    pub instrument: &'static str,
    pub effective_on: Option<Moment>,
    pub document: Option<String>,
    pub terms: Vec<String>,
    pub findings: Vec<Finding>,
    pub benefits: Vec<BenefitView>,
    /// Each step's status, its time of logging and the statement's id.
    pub steps: Vec<(&'static str, Moment, String)>,
}

#[derive(Debug)]
pub struct BenefitView {
    pub what: String,
    pub kind: String,
    pub giver: String,
    pub receiver: String,
    pub on: Moment,
}

#[derive(Debug)]
pub struct RequestView {
    pub index: u64,
    pub id: String,
    pub agency: String,
    pub agency_id: String,
    pub jurisdiction: String,
    pub logged_at: Moment,
    pub open: bool,
    pub offence: String,
    pub offence_code: String,
    pub asks: String,
    pub window: String,
    pub age: String,
    pub area: String,
    pub deadline: Moment,
    pub sealed_until: Moment,
    pub scope: String,
    pub message: Option<String>,
    pub disclosures: String,
    pub withdrawn: String,
    pub collected: String,
}

#[derive(Debug)]
pub struct EntryView {
    pub index: u64,
    pub id: String,
    pub logged_at: Moment,
    pub plain: String,
    pub routine: bool,
}

impl Page {
    /// The page of a record that ends where `published` does.
    pub fn of(record: &Record, origin: &str, published: Option<&Published>) -> Self {
        let mut agreements: Vec<&Chain> = record.agreements.iter().rev().collect();
        agreements.sort_by_key(|chain| chain.status != Status::InForce);
        // "Open" means open at the checkpoint: the page says nothing that it does not date.
        // After the end nothing can be answered.
        let now = published.map(|published| published.at);
        let now = now.filter(|_| record.closed.is_none());
        let shown = record.requests.iter().rev().take(SHOWN);
        Self {
            origin: origin.to_owned(),
            checkpoint: published.map(CheckpointView::of),
            closed: record.closed.as_ref().map(ClosedView::of),
            agreements: agreements
                .into_iter()
                .map(|chain| AgreementView::of(record, chain))
                .collect(),
            benefits: benefits(record, &record.benefits),
            requests: shown
                .map(|asked| RequestView::of(record, asked, now))
                .collect(),
            figures: Figures::of(record, now),
            entries: record
                .latest
                .iter()
                .rev()
                .map(|row| EntryView {
                    index: row.index,
                    id: row.id.to_string(),
                    logged_at: row.logged_at.into(),
                    plain: row.plain.clone(),
                    routine: row.routine,
                })
                .collect(),
            kinds: Statement::NAMES,
        }
    }
}

impl Figures {
    fn of(record: &Record, now: Option<Time>) -> Self {
        let number = |n: usize| words::grouped(n as u64);
        let in_force = |chain: &&Chain| {
            chain.status == Status::InForce && chain.instrument != Instrument::None
        };
        let requests = &record.requests;
        Self {
            entries: words::grouped(record.size),
            agreements_in_force: number(record.agreements.iter().filter(in_force).count()),
            requests: number(requests.len()),
            requests_open: number(requests.iter().filter(|asked| is_open(asked, now)).count()),
            disclosures: words::grouped(requests.iter().map(|asked| asked.disclosures).sum()),
            earlier_requests: requests
                .len()
                .checked_sub(SHOWN)
                .filter(|n| *n > 0)
                .map(number),
        }
    }
}

fn is_open(asked: &Asked, now: Option<Time>) -> bool {
    now.is_some_and(|now| now < asked.request.deadline)
}

impl CheckpointView {
    fn of(published: &Published) -> Self {
        let signatures = Note::parse(&published.note).map_or_else(|_| Vec::new(), |n| n.signatures);
        let cosigned = signatures.iter().filter_map(|signature| {
            let seconds = signature.signature.first_chunk()?;
            let seconds = i64::try_from(u64::from_be_bytes(*seconds)).ok()?;
            let time = Time::from_unix(seconds)?;
            (signature.signature.len() == COSIGNATURE)
                .then(|| (signature.name.to_string(), time.into()))
        });
        let missing = published.witnesses.iter().filter(|(_, last)| last.is_err());
        Self {
            size: words::grouped(published.checkpoint.size.as_u64()),
            at: published.at.into(),
            root: published.checkpoint.root.to_string(),
            cosigned: cosigned.collect(),
            missing: missing.map(|(name, _)| name.clone()).collect(),
        }
    }
}

impl ClosedView {
    fn of((at, closed): &(Time, LogClosed)) -> Self {
        let successor = closed.successor.as_ref();
        Self {
            at: (*at).into(),
            why: closed.reason.plain(),
            successor: successor.map(|successor| successor.origin.to_string()),
        }
    }
}

impl PartyView {
    fn of(record: &Record, party: &PartyId) -> Self {
        let kind = record.parties.get(party).map(|(_, kind)| *kind);
        Self {
            id: party.to_string(),
            name: record.name(party),
            what: kind.map_or("not entered", words::party_kind),
        }
    }
}

impl AgreementView {
    fn of(record: &Record, chain: &Chain) -> Self {
        let parties = &chain.parties;
        Self {
            index: chain.steps[0].index,
            parties: parties.iter().map(|p| PartyView::of(record, p)).collect(),
            status: words::status(chain.status),
            in_force: chain.status == Status::InForce,
            none: chain.instrument == Instrument::None,
            instrument: words::instrument(chain.instrument),
            effective_on: chain.effective_on.as_ref().map(Moment::from),
            document: chain.document.map(|digest| digest.to_string()),
            terms: chain.terms.iter().map(Term::plain).collect(),
            findings: findings::of(record, chain),
            benefits: benefits(record, &chain.benefits),
            steps: chain
                .steps
                .iter()
                .map(|step| {
                    (
                        words::status(step.status),
                        step.logged_at.into(),
                        step.id.to_string(),
                    )
                })
                .collect(),
        }
    }
}

fn benefits(record: &Record, benefits: &[Benefit]) -> Vec<BenefitView> {
    benefits
        .iter()
        .map(|benefit| BenefitView {
            what: what_was_given(benefit),
            kind: benefit.kind.code().replace('-', " "),
            giver: record.name(&benefit.giver),
            receiver: record.name(&benefit.receiver),
            on: (&benefit.effective_on).into(),
        })
        .collect()
}

fn what_was_given(benefit: &Benefit) -> String {
    let item = benefit.item.as_ref().map(words::label);
    let mut what = match (benefit.count, item) {
        (Some(n), Some(item)) => vec![format!("{n} × {item}")],
        (Some(n), None) => vec![words::count(n.into(), "item")],
        (None, Some(item)) => vec![item],
        (None, None) => Vec::new(),
    };
    what.extend(benefit.amount.as_ref().map(ToString::to_string));
    let downloads = |n| format!("for {}", words::count(n, "app download"));
    what.extend(benefit.downloads.map(|n| downloads(n.into())));
    what.join(", ")
}

impl RequestView {
    fn of(record: &Record, asked: &Asked, now: Option<Time>) -> Self {
        let request = &asked.request;
        let code = request.offence.as_str();
        let asks: Vec<&str> = request.asks.iter().map(|k| words::data_kind(*k)).collect();
        Self {
            index: asked.index,
            id: asked.id.to_string(),
            agency: match &asked.agency {
                Author::Issuer(party) => record.name(party),
                other => other.to_string(),
            },
            agency_id: asked.agency.to_string(),
            jurisdiction: request.jurisdiction.to_string(),
            logged_at: asked.logged_at.into(),
            open: is_open(asked, now),
            offence: words::offence(code).unwrap_or("offence").to_owned(),
            offence_code: code.to_owned(),
            asks: asks.join(", "),
            window: words::duration(request.window_minutes),
            age: words::count(request.footage_age_days.into(), "day"),
            area: words::area(request.area_m2),
            deadline: request.deadline.into(),
            sealed_until: (&request.sealed.case_number.open_by).into(),
            scope: request.scope.to_string(),
            message: request.message.map(|digest| digest.to_string()),
            disclosures: words::grouped(asked.disclosures),
            withdrawn: words::grouped(asked.withdrawn),
            collected: words::grouped(asked.collected),
        }
    }
}

#[cfg(test)]
mod tests;
