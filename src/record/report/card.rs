//! A card of one party: what it is, and all that the log has of it, as of the checkpoint.

use super::parts::{ABOUT_FINDINGS, finding_row, findings_table, offence, offences, unit_cells};
use super::transparency::{affected, cites};
use super::{Basis, Cell, Record, Report, Row, Section, Table, covers, giving, speaks};
use crate::digest::StatementId;
use crate::record::accounts::Account;
use crate::record::findings::Finding;
use crate::record::{Asked, Demand, Known, Sealed};
use crate::statement::Author;
use crate::statement::kinds::agreement::Instrument;
use crate::statement::kinds::custody_report::CustodyReport;
use crate::statement::words::{Day, PartyId, PartyKind, listed};
use crate::time::Time;

/// Whose card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardKind {
    Agency,
    /// A vendor's, or the operator's.
    Vendor,
}

impl CardKind {
    /// Whether it is a card for such a party.
    pub fn is_for(self, kind: PartyKind) -> bool {
        match self {
            Self::Agency => kind == PartyKind::Agency,
            Self::Vendor => matches!(kind, PartyKind::Vendor | PartyKind::Operator),
        }
    }
}

/// The card of a party, or nothing if the log does not know it or it is of another kind.
pub fn card(
    record: &Record,
    findings: &[Finding],
    basis: Basis,
    kind: CardKind,
    party: &PartyId,
) -> Option<Report> {
    let known = record.known(party)?;
    if !kind.is_for(known.party().kind) {
        return None;
    }
    let of = Of {
        record,
        party,
        known,
        now: basis.at,
    };
    let mut tables = vec![
        of.party(),
        of.standing(),
        of.keys(),
        of.agreements(),
        of.agreement_history(),
        of.terms(),
        of.balances(),
        of.benefits(),
    ];
    match kind {
        CardKind::Agency => tables.extend([
            of.requests(),
            of.demands(),
            of.custody(),
            of.seals(),
            of.bulletins(),
        ]),
        CardKind::Vendor => tables.extend([of.demands(), of.seals(), of.insiders(), of.releases()]),
    }
    let found = findings.iter();
    let found = found.filter(|finding| record.concerns(&finding.about, party));
    let rows = found.map(|finding| finding_row(record, finding)).collect();
    tables.extend([
        of.annotations(),
        findings_table(rows).noting(&[ABOUT_FINDINGS]),
    ]);
    let name = match kind {
        CardKind::Agency => "agency",
        CardKind::Vendor => "vendor",
    };
    Some(Report {
        name,
        title: format!("{} ({party})", known.party().name),
        notes: covers(&basis, []),
        basis,
        sections: vec![Section {
            heading: None,
            of: Vec::new(),
            tables,
        }],
    })
}

struct Of<'a> {
    record: &'a Record,
    party: &'a PartyId,
    known: &'a Known,
    now: Time,
}

impl<'a> Of<'a> {
    fn names<'b>(&self, parties: impl Iterator<Item = &'b PartyId>) -> String {
        let names: Vec<String> = parties.map(|party| self.record.name(party)).collect();
        names.join(", ")
    }

    fn by(&self, author: &Author) -> String {
        match author {
            Author::Issuer(party) => self.record.name(party),
            Author::Parties(parties) => self.names(parties.iter()),
            Author::OneTimeKey(_) => author.to_string(),
        }
    }

    fn party(&self) -> Table {
        let party = self.known.party();
        let entered: Vec<StatementId> = self.known.entered.iter().map(|by| by.id).collect();
        let changes = self.known.standings.iter();
        let checks = changes.filter_map(|by| Some((by.id, by.what.domain_check.as_ref()?)));
        let last = self.known.entered.last().expect("never empty");
        let (checked, check) = checks.last().unwrap_or((last.id, &party.domain_check));
        let standings: Vec<StatementId> = self.known.standings.iter().map(|by| by.id).collect();
        let requests: Vec<StatementId> = self.asked().map(|asked| asked.id).collect();
        let demands: Vec<StatementId> = self.demanded().map(|demand| demand.by.id).collect();
        let overdue: Vec<StatementId> = self
            .sealed()
            .filter(|sealed| sealed.is_overdue(self.now))
            .map(|sealed| sealed.statement)
            .collect();
        let first = self.known.entered[0].logged_at;
        let rows: Vec<(&str, Cell, &[StatementId])> = vec![
            ("Party id", self.party.to_string().into(), &entered),
            ("Name", party.name.to_string().into(), &entered),
            ("Kind", party.kind.code().into(), &entered),
            (
                "Jurisdiction",
                party.jurisdiction.to_string().into(),
                &entered,
            ),
            ("In the log since", first.into(), &entered[..1]),
            ("Standing", self.known.standing().code().into(), &standings),
            (
                "Host name",
                check.method.plain().into(),
                std::slice::from_ref(&checked),
            ),
            (
                "Host name looked at",
                (&check.checked_on).into(),
                std::slice::from_ref(&checked),
            ),
            (
                "Succeeds",
                party.succeeds.as_ref().map(ToString::to_string).into(),
                &entered,
            ),
            (
                "Succeeded by",
                self.known
                    .succeeded_by
                    .as_ref()
                    .map(ToString::to_string)
                    .into(),
                &[],
            ),
            ("Requests to residents", requests.len().into(), &requests),
            ("Legal demands", demands.len().into(), &demands),
            ("Seals overdue", overdue.len().into(), &overdue),
        ];
        let rows = rows
            .into_iter()
            .filter(|(_, value, _)| *value != Cell::Blank);
        let rows = rows.map(|(what, value, cites)| self.record.row([what.into(), value], cites));
        Table::new("party", "What it is", ["figure", "answer"], rows.collect())
    }

    fn standing(&self) -> Table {
        let rows = self.known.standings.iter().map(|by| {
            let check = by.what.domain_check.as_ref();
            let cells = [
                by.logged_at.into(),
                by.what.status.code().into(),
                by.what.reason.map(|reason| reason.code()).into(),
                check.map(|check| check.method.code()).into(),
                check.map(|check| &check.checked_on).into(),
            ];
            self.record.row(cells, &[by.id])
        });
        Table::new(
            "standing",
            "What the operator said of it since",
            [
                "logged_at",
                "status",
                "reason",
                "host_name_checked_by",
                "checked_on",
            ],
            rows.collect(),
        )
    }

    fn keys(&self) -> Table {
        let rows = self.known.keys.iter().map(|held| {
            let revoked = held.revoked.as_ref();
            let cells = [
                held.key.role.code().into(),
                held.key.label.as_ref().map(ToString::to_string).into(),
                held.added.1.into(),
                revoked.map(|(_, time, _)| *time).into(),
                revoked.map(|(.., reason)| reason.code()).into(),
                Cell::Code(held.key.key.to_string()),
            ];
            let cites = revoked
                .map(|(id, ..)| *id)
                .into_iter()
                .chain([held.added.0]);
            self.record.row(cells, &cites.collect::<Vec<_>>())
        });
        Table::new(
            "keys",
            "Keys",
            ["role", "label", "added_at", "revoked_at", "reason", "key"],
            rows.collect(),
        )
    }

    /// Agreements with their places.
    fn chains(&self) -> impl Iterator<Item = (usize, &'a crate::record::Chain)> {
        let party = self.party;
        let all = self.record.agreements.iter().enumerate();
        all.filter(move |(_, chain)| chain.parties.contains(party))
    }

    /// An agreement by the entry that began it.
    fn number(&self, chain: &crate::record::Chain) -> Cell {
        Cell::Entry(chain.steps[0].index)
    }

    fn agreements(&self) -> Table {
        let rows = self.chains().map(|(_, chain)| {
            let others = chain.parties.iter().filter(|party| *party != self.party);
            let complete = match chain.complete {
                true => "ruled out",
                false => "not ruled out",
            };
            let instrument = match chain.instrument {
                Instrument::None => "declared that there is none",
                other => other.code(),
            };
            let cells = [
                self.number(chain),
                self.names(others).into(),
                instrument.into(),
                chain.status.code().into(),
                chain.effective_on.as_ref().into(),
                chain.steps[0].logged_at.into(),
                chain.terms.len().into(),
                complete.into(),
            ];
            let ids: Vec<StatementId> = chain.steps.iter().map(|step| step.id).collect();
            self.record.row(cells, &ids)
        });
        Table::new(
            "agreements",
            "Agreements",
            [
                "agreement",
                "with",
                "instrument",
                "status",
                "effective_on",
                "logged_at",
                "terms",
                "side_agreements",
            ],
            rows.collect(),
        )
        .noting(&["An agreement is named by the entry that began it."])
    }

    fn agreement_history(&self) -> Table {
        let rows = self.chains().flat_map(|(_, chain)| {
            chain.steps.iter().map(|step| {
                let cells = [
                    self.number(chain),
                    step.logged_at.into(),
                    step.status.code().into(),
                    step.reason.map(|reason| reason.code()).into(),
                    self.by(&step.author).into(),
                ];
                self.record.row(cells, &[step.id])
            })
        });
        Table::new(
            "agreement_history",
            "What became of them",
            ["agreement", "logged_at", "status", "reason", "signed_by"],
            rows.collect(),
        )
    }

    fn terms(&self) -> Table {
        let rows = self.chains().flat_map(|(_, chain)| {
            let ids: Vec<StatementId> = chain.steps.iter().map(|step| step.id).collect();
            chain.ever.iter().map(move |term| {
                let stands = match chain.terms.contains(term) {
                    true => "to the last",
                    false => "removed",
                };
                let cells = [self.number(chain), term.plain().into(), stands.into()];
                self.record.row(cells, &ids)
            })
        });
        Table::new(
            "terms",
            "Terms, every one that ever stood",
            ["agreement", "term", "stood"],
            rows.collect(),
        )
    }

    /// Accounts of its agreements, and of none where it gave or received something.
    fn accounts(&self) -> Vec<(Cell, Vec<StatementId>, Account)> {
        let mut all: Vec<(Cell, Vec<StatementId>, Account)> = Vec::new();
        for (place, chain) in self.chains() {
            let account = Account::of(self.record, Some(place));
            all.push((self.number(chain), vec![chain.steps[0].id], account));
        }
        let mut alone = Account::of(self.record, None);
        let ours = |party: &PartyId| party == self.party;
        alone.postings.retain(|p| ours(&p.from) || ours(&p.to));
        all.push(("none".into(), Vec::new(), alone));
        all.retain(|(.., account)| !account.postings.is_empty());
        all
    }

    fn balances(&self) -> Table {
        let mut rows = Vec::new();
        for (agreement, cites, account) in self.accounts() {
            let postings = account.postings.iter().map(|posting| posting.report);
            let cites: Vec<StatementId> = cites.into_iter().chain(postings).collect();
            for ((party, unit), balance) in account.balances() {
                let (what, balance) = unit_cells(&unit, balance);
                let cells = [
                    agreement.clone(),
                    self.record.name(&party).into(),
                    what.into(),
                    balance,
                ];
                rows.push(self.record.row(cells, &cites));
            }
        }
        Table::new(
            "balances",
            "What each party has of it now",
            ["agreement", "party", "what", "balance"],
            rows,
        )
    }

    fn benefits(&self) -> Table {
        let mut rows = Vec::new();
        for (agreement, cites, account) in self.accounts() {
            for posting in &account.postings {
                let (what, quantity) = unit_cells(&posting.unit, posting.quantity.into());
                let cells = [
                    agreement.clone(),
                    (&posting.on).into(),
                    self.record.name(&posting.from).into(),
                    self.record.name(&posting.to).into(),
                    what.into(),
                    quantity,
                ];
                let cites = [&cites[..], &[posting.report]].concat();
                rows.push(self.record.row(cells, &cites));
            }
        }
        Table::new(
            "benefits",
            "What was given, as the two sides report it",
            ["agreement", "day", "from", "to", "what", "quantity"],
            rows,
        )
    }

    fn asked(&self) -> impl Iterator<Item = &'a Asked> {
        let party = self.party;
        let all = self.record.requests.iter();
        all.filter(move |asked| speaks(&asked.agency, party))
    }

    fn requests(&self) -> Table {
        let rows = self.asked().map(|asked| {
            let request = &asked.request;
            let given: Vec<_> = self.record.given_for(&asked.id).collect();
            let clips: u64 = given.iter().map(|given| given.clips).sum();
            let state = match &asked.closed {
                Some(closed) => closed.what.code(),
                None if request.deadline > self.now => "open",
                None => "over",
            };
            let cells = [
                asked.logged_at.into(),
                request.kind.code().into(),
                offence(&request.offence).into(),
                request.jurisdiction.to_string().into(),
                request.window_minutes.into(),
                request.area_m2.into(),
                state.into(),
                given.len().into(),
                clips.into(),
                asked.collected.into(),
                asked.withdrawn.into(),
                self.case_number(asked),
            ];
            let given = given.iter().map(|given| given.id);
            let closed = asked.closed.as_ref().map(|closed| closed.id);
            let cites = [asked.id].into_iter().chain(given).chain(closed);
            self.record.row(cells, &cites.collect::<Vec<_>>())
        });
        Table::new(
            "requests",
            "Requests to residents",
            [
                "logged_at",
                "kind",
                "offence",
                "jurisdiction",
                "minutes",
                "area_m2",
                "state",
                "disclosures",
                "clips",
                "collected",
                "withdrawn",
                "case_number",
            ],
            rows.collect(),
        )
    }

    fn case_number(&self, asked: &Asked) -> Cell {
        match self.record.sealed(&asked.request.sealed.case_number.digest) {
            None => Cell::Blank,
            Some(sealed) => match self.seal_state(sealed) {
                State::Opened => "public".into(),
                State::Erased => "destroyed".into(),
                State::Sealed(until) => Cell::Sealed(until),
            },
        }
    }

    /// Demands of it, or upon it.
    fn demanded(&self) -> impl Iterator<Item = &'a Demand> {
        let (record, party) = (self.record, self.party);
        record.demands.iter().filter(move |demand| {
            let what = &demand.by.what;
            what.agency.as_ref() == Some(party) || record.upon(what) == Some(party)
        })
    }

    fn demands(&self) -> Table {
        let mut rows: Vec<Row> = self
            .demanded()
            .map(|demand| {
                let what = &demand.by.what;
                let outcomes: Vec<_> = demand.responses.iter().map(|r| r.what.outcome).collect();
                let gave = demand.given().is_some();
                let told = match (gave, demand.told(), demand.tell_by()) {
                    (_, true, _) => "yes".to_owned(),
                    (true, false, Some(day)) => format!("due {day}"),
                    _ => String::new(),
                };
                let upon = self.record.upon(what);
                let cells = [
                    (&what.served_on).into(),
                    match (what.received, what.process) {
                        (Some(band), process) => format!("{process}, {band}").into(),
                        (None, process) => process.code().into(),
                    },
                    what.agency
                        .as_ref()
                        .map(|party| self.record.name(party))
                        .into(),
                    upon.map(|party| self.record.name(party)).into(),
                    offences(&what.offences).into(),
                    what.content.then_some("yes").unwrap_or("no").into(),
                    (!outcomes.is_empty()).then(|| listed(&outcomes)).into(),
                    match gave {
                        true => Cell::Band(affected(demand)),
                        false => Cell::Blank,
                    },
                    (!told.is_empty()).then_some(told).into(),
                    demand.matched(self.now).plain().into(),
                ];
                self.record.row(cells, &cites(&[demand]))
            })
            .collect();
        let unasked = giving(&self.record.unasked).filter(|response| {
            speaks(&response.author, self.party)
                || response.what.agency.as_ref() == Some(self.party)
        });
        rows.extend(unasked.map(|response| {
            let what = &response.what;
            let cells = [
                (&what.effective_on).into(),
                "no demand on record".into(),
                what.agency
                    .as_ref()
                    .map(|party| self.record.name(party))
                    .into(),
                self.by(&response.author).into(),
                Cell::Blank,
                Cell::Blank,
                what.outcome.code().into(),
                Cell::Band(what.accounts.into()),
                Cell::Blank,
                crate::record::compelled::Match::NoDemand.plain().into(),
            ];
            self.record.row(cells, &[response.id])
        }));
        Table::new(
            "demands",
            "Legal demands, with both sides held against each other",
            [
                "served_on",
                "process",
                "agency",
                "upon",
                "offence",
                "content_demanded",
                "outcome",
                "accounts",
                "those_concerned_told",
                "two_sides",
            ],
            rows,
        )
    }

    fn custody(&self) -> Table {
        let reports = self.record.custody_reports();
        let rows = reports
            .filter(|by| speaks(&by.author, self.party))
            .map(|by| {
                let CustodyReport {
                    about,
                    event,
                    clip,
                    shared_with,
                    shared_with_party,
                    until,
                    basis,
                    effective_on,
                } = &by.what;
                let cells = [
                    effective_on.into(),
                    event.code().into(),
                    self.record.entry(about),
                    clip.map_or("all".into(), Cell::from),
                    shared_with.map(|with| with.code()).into(),
                    shared_with_party
                        .as_ref()
                        .map(|party| self.record.name(party))
                        .into(),
                    until.as_ref().into(),
                    basis.map(|basis| basis.code()).into(),
                ];
                self.record.row(cells, &[by.id, *about])
            });
        Table::new(
            "custody",
            "What it says of footage that it took",
            [
                "day",
                "event",
                "about_entry",
                "clip",
                "shared_with",
                "recipient_name",
                "kept_until",
                "basis",
            ],
            rows.collect(),
        )
    }

    fn sealed(&self) -> impl Iterator<Item = &'a Sealed> {
        let party = self.party;
        let all = self.record.seals.values();
        all.filter(move |sealed| speaks(&sealed.author, party))
    }

    fn seal_state(&self, sealed: &Sealed) -> State {
        match (&sealed.opened, &sealed.erased) {
            (Some(_), _) => State::Opened,
            (None, Some(_)) => State::Erased,
            (None, None) if sealed.is_overdue(self.now) => {
                State::Sealed(format!("overdue since {}", sealed.open_by))
            }
            (None, None) => State::Sealed(format!("until {}", sealed.open_by)),
        }
    }

    fn seals(&self) -> Table {
        let mut all: Vec<&Sealed> = self.sealed().collect();
        all.sort_by_key(|sealed| self.record.index(&sealed.statement));
        let rows = all.into_iter().map(|sealed| {
            let state = match self.seal_state(sealed) {
                State::Opened => "opened".into(),
                State::Erased => "what opens it was destroyed".into(),
                State::Sealed(until) => Cell::Sealed(until),
            };
            let cells = [
                self.record.entry(&sealed.statement),
                sealed.name.replace('_', " ").into(),
                (&sealed.open_by).into(),
                state,
            ];
            let opened = sealed.opened.as_ref().map(|(id, _)| *id);
            let erased = sealed.erased.as_ref().map(|(id, _)| *id);
            let cites = [sealed.statement].into_iter().chain(opened).chain(erased);
            self.record.row(cells, &cites.collect::<Vec<_>>())
        });
        Table::new(
            "seals",
            "Sealed fields",
            ["entry", "field", "due", "state"],
            rows.collect(),
        )
    }

    fn bulletins(&self) -> Table {
        let all = self.record.bulletins.iter();
        let rows = all.filter(|by| speaks(&by.author, self.party)).map(|by| {
            let cells = [
                by.logged_at.into(),
                by.what.about.code().into(),
                by.what.jurisdiction.to_string().into(),
                by.what.expires.into(),
            ];
            self.record.row(cells, &[by.id])
        });
        Table::new(
            "bulletins",
            "Bulletins",
            ["logged_at", "about", "jurisdiction", "expires"],
            rows.collect(),
        )
    }

    fn insiders(&self) -> Table {
        let all = self.record.insiders.iter();
        let rows = all.filter(|by| speaks(&by.author, self.party)).map(|by| {
            let what = &by.what;
            let cells = [
                (&what.effective_on).into(),
                what.staff.to_string().into(),
                what.system.to_string().into(),
                what.reason.code().into(),
                listed(&what.records).into(),
                Cell::Band(what.accounts.into()),
            ];
            self.record.row(cells, &[by.id])
        });
        Table::new(
            "insider_access",
            "Its staff looked at what is stored",
            [
                "day",
                "staff",
                "system",
                "reason",
                "types_of_data",
                "accounts",
            ],
            rows.collect(),
        )
    }

    fn releases(&self) -> Table {
        let all = self.record.releases.iter();
        let rows = all.filter(|by| speaks(&by.author, self.party)).map(|by| {
            let cells = [
                by.logged_at.into(),
                by.what.program.to_string().into(),
                by.what.release.to_string().into(),
                by.what.artifacts.len().into(),
            ];
            self.record.row(cells, &[by.id])
        });
        Table::new(
            "releases",
            "Programs that it ships",
            ["logged_at", "program", "release", "files"],
            rows.collect(),
        )
    }

    fn annotations(&self) -> Table {
        let all = self.record.annotations.iter();
        let about = |id| self.record.concerns(id, self.party);
        let rows = all.filter(|by| about(&by.what.about)).map(|by| {
            let cells = [
                Day::of(by.logged_at).to_string().into(),
                self.by(&by.author).into(),
                by.what.remark.code().into(),
                self.record.entry(&by.what.about),
                by.what.attachments.len().into(),
            ];
            self.record.row(cells, &[by.id, by.what.about])
        });
        Table::new(
            "annotations",
            "What others, and it, have to say",
            ["day", "by", "remark", "about_entry", "attachments"],
            rows.collect(),
        )
    }
}

/// What became of a sealed field.
enum State {
    Opened,
    Erased,
    /// Until when, or since when it is overdue.
    Sealed(String),
}
