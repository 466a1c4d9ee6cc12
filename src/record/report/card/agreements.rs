//! A party's agreements, and what was given under them.

use super::Of;
use crate::digest::StatementId;
use crate::record::Chain;
use crate::record::accounts::Account;
use crate::record::report::parts::unit_cells;
use crate::record::report::{Cell, Table};
use crate::statement::kinds::agreement::Instrument;
use crate::statement::words::PartyId;

impl<'a> Of<'a> {
    /// Agreements with their places.
    fn chains(&self) -> impl Iterator<Item = (usize, &'a Chain)> {
        let party = self.party;
        let all = self.record.agreements.iter().enumerate();
        all.filter(move |(_, chain)| chain.parties.contains(party))
    }

    /// An agreement by the entry that began it.
    fn number(&self, chain: &Chain) -> Cell {
        Cell::Entry(chain.first().index)
    }

    pub(super) fn agreements(&self) -> Table {
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
                chain.first().logged_at.into(),
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

    pub(super) fn agreement_history(&self) -> Table {
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

    pub(super) fn terms(&self) -> Table {
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
            all.push((self.number(chain), vec![chain.first().id], account));
        }
        let mut alone = Account::of(self.record, None);
        let ours = |party: &PartyId| party == self.party;
        alone.postings.retain(|p| ours(&p.from) || ours(&p.to));
        all.push(("none".into(), Vec::new(), alone));
        all.retain(|(.., account)| !account.postings.is_empty());
        all
    }

    pub(super) fn balances(&self) -> Table {
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

    pub(super) fn benefits(&self) -> Table {
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
}
