//! A card of one party: what it is, and all that the log has of it, as of the checkpoint.

mod access;
mod agreements;

use std::slice;

use super::parts::{ABOUT_FINDINGS, finding_row, findings_table};
use super::{Basis, Cell, Record, Report, Section, Table, covers, speaks};
use crate::digest::StatementId;
use crate::record::Known;
use crate::record::findings::Finding;
use crate::statement::Author;
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
        let mut checks = changes.filter_map(|by| Some((by.id, by.what.domain_check.as_ref()?)));
        let last = self.known.entered.last();
        let (checked, check) = checks.next_back().unwrap_or((last.id, &party.domain_check));
        let standings: Vec<StatementId> = self.known.standings.iter().map(|by| by.id).collect();
        let requests: Vec<StatementId> = self.asked().map(|asked| asked.id).collect();
        let demands: Vec<StatementId> = self.demanded().map(|demand| demand.by.id).collect();
        let overdue: Vec<StatementId> = self
            .sealed()
            .filter(|sealed| sealed.is_overdue(self.now))
            .map(|sealed| sealed.statement)
            .collect();
        let first = self.known.entered.first();
        let rows: Vec<(&str, Cell, &[StatementId])> = vec![
            ("Party id", self.party.to_string().into(), &entered),
            ("Name", party.name.to_string().into(), &entered),
            ("Kind", party.kind.code().into(), &entered),
            (
                "Jurisdiction",
                party.jurisdiction.to_string().into(),
                &entered,
            ),
            (
                "In the log since",
                first.logged_at.into(),
                slice::from_ref(&first.id),
            ),
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

    fn bulletins(&self) -> Table {
        let all = self.record.bulletins.iter().map(|told| &told.by);
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
