//! What the page shows, as texts: the template only arranges it, and escapes all of it.

mod told;

use std::collections::HashMap;

use age_core::secrecy::ExposeSecret as _;
use askama::Template;

pub use told::{BulletinView, PublicationView};

use super::words::{self, Moment};
use super::{Overview, SHOWN};
use crate::digest::StatementId;
use crate::ledger::Published;
use crate::record::accounts::Account;
use crate::record::findings::{Attachments, Finding, FindingCode, findings};
use crate::record::{Asked, Chain, Demand, Record, Reported, Sealed};
use crate::seal::keys::public_identity;
use crate::statement::kinds::agreement::{Instrument, Status, Term};
use crate::statement::kinds::benefit::Benefit;
use crate::statement::kinds::log_closed::LogClosed;
use crate::statement::words::{Day, PartyId};
use crate::statement::{Author, Statement};
use crate::store::sqlite::Totals;
use crate::time::Time;
use crate::tlog::note::Note;

/// The bytes of a cosignature: a time and an Ed25519 signature (C2SP tlog-cosignature).
const COSIGNATURE: usize = 8 + 64;

/// Findings that compare a statement with others from any part of the log: where entries are left out, they may be
/// wrong or say too little.
const WIDE: [FindingCode; 4] = [
    FindingCode::CaseNumbersDiffer,
    FindingCode::Escalated,
    FindingCode::OutsideTerms,
    FindingCode::Overdrawn,
];

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
    /// The latest first.
    pub demands: Vec<DemandView>,
    /// Given by residents to everybody; the latest first.
    pub publications: Vec<PublicationView>,
    /// The identity that opens what was given to everybody.
    pub public_identity: String,
    /// The latest first.
    pub bulletins: Vec<BulletinView>,
    /// About statements that have no card of their own.
    pub findings: Vec<FindingView>,
    pub figures: Figures,
    /// The first entry that is shown for its own sake, if the page does not show the whole log.
    pub from: Option<String>,
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingView {
    pub title: &'static str,
    pub detail: String,
    /// The statement that it is about.
    pub about: String,
}

#[derive(Debug)]
pub struct DemandView {
    pub index: u64,
    pub id: String,
    pub agency: String,
    pub process: String,
    pub jurisdiction: String,
    pub served_on: Moment,
    pub demands: String,
    pub accounts: Option<String>,
    /// What it brought, one line a response.
    pub answers: Vec<String>,
    pub answer_by: Moment,
    pub notice: String,
    pub findings: Vec<FindingView>,
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
    pub findings: Vec<FindingView>,
    /// How it came to an end, or to rest.
    pub ended: Option<String>,
    pub benefits: Vec<BenefitView>,
    /// What each party has of it all.
    pub balances: Vec<(String, String)>,
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
    pub case_number: CaseNumber,
    pub findings: Vec<FindingView>,
    pub scope: String,
    pub message: Option<String>,
    pub disclosures: String,
    pub withdrawn: String,
    pub collected: String,
}

/// The state of a request's sealed case number.
#[derive(Debug)]
pub struct CaseNumber {
    /// Such as `sealed until`.
    pub state: &'static str,
    pub day: Moment,
    /// The opening, an attachment.
    pub opening: Option<String>,
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
    /// The page of an overview that ends where `published` does. `attachments` are those that the
    /// ledger still has.
    pub fn of(
        overview: &Overview,
        origin: &str,
        published: Option<&Published>,
        attachments: Attachments<'_>,
    ) -> Self {
        let record = overview.record();
        // The page says nothing that it does not date: what is open or overdue is so at the checkpoint.
        let now = published.map(|published| published.at);
        let found = now.map(|now| findings(record, now, attachments));
        let mut found = found.unwrap_or_default();
        if overview.is_partial() {
            found.retain(|finding| !WIDE.contains(&finding.code));
        }
        let mut found = ByStatement::of(found);
        // After the end nothing can be answered.
        let open_at = now.filter(|_| overview.closed.is_none());
        let requests = record.requests().iter().rev().take(SHOWN);
        let demands = record.demands().iter().rev().take(SHOWN);
        let mut agreements: Vec<(usize, &Chain)> =
            record.agreements().iter().enumerate().rev().collect();
        agreements.sort_by_key(|(_, chain)| chain.status != Status::InForce);
        Self {
            origin: origin.to_owned(),
            checkpoint: published.map(CheckpointView::of),
            closed: overview.closed.as_ref().map(ClosedView::of),
            agreements: agreements
                .into_iter()
                .map(|(place, chain)| {
                    let mut view = AgreementView::of(record, place, chain, &mut found);
                    if overview.is_partial() {
                        // Of an account that began before, this is no balance.
                        view.balances.clear();
                    }
                    view
                })
                .collect(),
            benefits: benefits(record, record.benefits_under(None)),
            requests: requests
                .map(|asked| RequestView::of(record, asked, open_at, &mut found))
                .collect(),
            demands: demands
                .map(|demand| DemandView::of(record, demand, &mut found))
                .collect(),
            publications: record
                .published()
                .rev()
                .take(SHOWN)
                .map(|given| PublicationView::of(given, now))
                .collect(),
            public_identity: public_identity().to_string().expose_secret().to_owned(),
            bulletins: record
                .bulletins()
                .iter()
                .rev()
                .take(SHOWN)
                .map(|told| BulletinView::of(record, told, now))
                .collect(),
            findings: found.rest(),
            figures: Figures::of(overview, open_at),
            from: overview.is_partial().then(|| words::grouped(overview.from)),
            entries: overview
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

impl From<&Finding> for FindingView {
    fn from(finding: &Finding) -> Self {
        Self {
            title: finding.code.title(),
            detail: finding.detail.clone(),
            about: finding.about.to_string(),
        }
    }
}

/// Findings that no card has taken yet, each with its place among all.
struct ByStatement(HashMap<StatementId, Vec<(usize, FindingView)>>);

impl ByStatement {
    fn of(all: Vec<Finding>) -> Self {
        let mut by: HashMap<StatementId, Vec<_>> = HashMap::new();
        for (place, finding) in all.into_iter().enumerate() {
            let view = FindingView::from(&finding);
            by.entry(finding.about).or_default().push((place, view));
        }
        Self(by)
    }

    /// Takes those about the statements of a card.
    fn take(&mut self, statements: impl IntoIterator<Item = StatementId>) -> Vec<FindingView> {
        let ids = statements.into_iter();
        let mut taken: Vec<_> = ids.filter_map(|id| self.0.remove(&id)).flatten().collect();
        taken.sort_by_key(|(place, _)| *place);
        taken.into_iter().map(|(_, finding)| finding).collect()
    }

    fn rest(mut self) -> Vec<FindingView> {
        let ids: Vec<StatementId> = self.0.keys().copied().collect();
        self.take(ids)
    }
}

impl Figures {
    fn of(overview: &Overview, now: Option<Time>) -> Self {
        let record = overview.record();
        let in_force = |chain: &&Chain| {
            chain.status == Status::InForce && chain.instrument != Instrument::None
        };
        let requests = record.requests();
        let open = requests.iter().filter(|asked| is_open(asked, now)).count();
        let given: usize = requests.iter().map(|asked| asked.given.len()).sum();
        let mut totals = overview.totals.clone().unwrap_or_else(|| Totals {
            agreements_in_force: record.agreements().iter().filter(in_force).count() as u64,
            requests: requests.len() as u64,
            requests_open: open as u64,
            disclosures: given.saturating_add(record.published().count()) as u64,
        });
        if now.is_none() {
            totals.requests_open = 0;
        }
        let shown = requests.len().min(SHOWN) as u64;
        let earlier = totals.requests.saturating_sub(shown);
        Self {
            entries: words::grouped(overview.size()),
            agreements_in_force: words::grouped(totals.agreements_in_force),
            requests: words::grouped(totals.requests),
            requests_open: words::grouped(totals.requests_open),
            disclosures: words::grouped(totals.disclosures),
            earlier_requests: (earlier > 0).then(|| words::grouped(earlier)),
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
        let kind = record.kind(party);
        Self {
            id: party.to_string(),
            name: record.name(party),
            what: kind.map_or("not entered", words::party_kind),
        }
    }
}

impl AgreementView {
    fn of(record: &Record, place: usize, chain: &Chain, found: &mut ByStatement) -> Self {
        let parties = &chain.parties;
        let reports = record.benefits_under(Some(place));
        let statements = chain.steps.iter().map(|step| step.id);
        Self {
            index: chain.first().index,
            parties: parties.iter().map(|p| PartyView::of(record, p)).collect(),
            status: words::status(chain.status),
            in_force: chain.status == Status::InForce,
            none: chain.instrument == Instrument::None,
            instrument: words::instrument(chain.instrument),
            effective_on: chain.effective_on.as_ref().map(Moment::from),
            document: chain.document.map(|digest| digest.to_string()),
            terms: chain.terms.iter().map(Term::plain).collect(),
            findings: found.take(statements.chain(reports.map(|reported| reported.id))),
            ended: ended(record, chain),
            benefits: benefits(record, record.benefits_under(Some(place))),
            balances: balances(record, place),
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

fn ended(record: &Record, chain: &Chain) -> Option<String> {
    let last = chain.last();
    let reason = words::end_reason(last.reason?);
    let verb = match last.status {
        Status::Declined => "declined",
        Status::Suspended => "suspended",
        Status::Terminated => "ended",
        Status::InForce | Status::Proposed => return None,
    };
    let who = match &last.author {
        Author::Issuer(party) => record.name(party),
        _ => "The parties together".to_owned(),
    };
    Some(format!("{who} {verb} it because {reason}."))
}

/// What those who were given something have of it now; that others have as much less goes unsaid.
fn balances(record: &Record, place: usize) -> Vec<(String, String)> {
    let balances = Account::of(record, Some(place)).balances();
    let has = balances
        .into_iter()
        .filter(|((party, _), n)| *n != 0 && (*n > 0 || record.is_agency(party)));
    has.map(|((party, unit), n)| (record.name(&party), unit.quantity(n)))
        .collect()
}

fn benefits<'a>(record: &Record, reports: impl Iterator<Item = &'a Reported>) -> Vec<BenefitView> {
    reports
        .map(|reported| &reported.benefit)
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
    fn of(record: &Record, asked: &Asked, now: Option<Time>, found: &mut ByStatement) -> Self {
        let request = &asked.request;
        let given = record.given_for(&asked.id).flat_map(|given| {
            let collected = given.collected.as_ref().map(|collected| collected.id);
            let reports = given.kept.reports.iter().map(|report| report.id);
            reports.chain([given.id]).chain(collected)
        });
        let code = request.offence.as_str();
        let asks: Vec<&str> = request.asks.iter().map(|k| words::data_kind(*k)).collect();
        Self {
            index: asked.index,
            id: asked.id.to_string(),
            agency: record.author(&asked.agency),
            agency_id: asked.agency.to_string(),
            jurisdiction: request.jurisdiction.to_string(),
            logged_at: asked.logged_at.into(),
            open: is_open(asked, now),
            offence: request.offence.name().to_owned(),
            offence_code: code.to_owned(),
            asks: asks.join(", "),
            window: words::duration(request.window_minutes),
            age: words::count(request.footage_age_days.into(), "day"),
            area: words::area(request.area_m2),
            deadline: request.deadline.into(),
            case_number: CaseNumber::of(
                record.sealed(&request.sealed.case_number.digest),
                &request.sealed.case_number.open_by,
            ),
            findings: found.take(std::iter::once(asked.id).chain(given)),
            scope: request.scope.to_string(),
            message: request.message.map(|digest| digest.to_string()),
            disclosures: words::grouped(asked.given.len() as u64),
            withdrawn: words::grouped(asked.withdrawn),
            collected: words::grouped(asked.collected),
        }
    }
}

impl CaseNumber {
    fn of(sealed: Option<&Sealed>, first: &Day) -> Self {
        let day = sealed.map_or(first, |sealed| &sealed.open_by).into();
        let state = match sealed {
            Some(sealed) if sealed.opened.is_some() => "opened, due",
            Some(sealed) if sealed.erased.is_some() => "destroyed, was due",
            _ => "sealed until",
        };
        let opened = sealed.and_then(|sealed| sealed.opened.as_ref());
        Self {
            state,
            day,
            opening: opened.map(|(_, opening)| opening.to_string()),
        }
    }
}

impl DemandView {
    fn of(record: &Record, demand: &Demand, found: &mut ByStatement) -> Self {
        let what = &demand.by.what;
        let answers = demand.responses.iter().map(|response| {
            let (outcome, response) = (words::outcome(response.what.outcome), &response.what);
            let records = words::codes(&response.records);
            match records.is_empty() {
                true => outcome.to_owned(),
                false => format!("{outcome}: {records}, of {} accounts", response.accounts),
            }
        });
        let statements = demand.responses.iter().map(|response| response.id);
        Self {
            index: demand.index,
            id: demand.by.id.to_string(),
            agency: match &what.agency {
                Some(agency) => record.name(agency),
                None => "not told".to_owned(),
            },
            process: words::codes(&[what.process]),
            jurisdiction: what.jurisdiction.to_string(),
            served_on: (&what.served_on).into(),
            demands: match what.records.is_empty() {
                true => "not told".to_owned(),
                false => words::codes(&what.records),
            },
            accounts: what.accounts.map(|accounts| accounts.to_string()),
            answers: answers.collect(),
            answer_by: (&demand.answer_by()).into(),
            notice: match (demand.told(), demand.tell_by()) {
                (true, _) => "they were told".to_owned(),
                (false, Some(by)) => format!("to be told by {}", Moment::from(&by).text),
                (false, None) => "nothing was given yet".to_owned(),
            },
            findings: found.take(std::iter::once(demand.by.id).chain(statements)),
        }
    }
}

#[cfg(test)]
mod tests;
