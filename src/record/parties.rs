//! Parties: as they were entered, with their keys and their standing over time.

use std::collections::btree_map::Entry;

use nonempty::NonEmpty;

use super::{By, Record};
use crate::digest::StatementId;
use crate::statement::facts::Standing;
use crate::statement::kinds::key_change::{KeyChange, RevocationReason};
use crate::statement::kinds::party::{NewKey, Party};
use crate::statement::kinds::party_status::{PartyStatus, StatusChange};
use crate::statement::words::PartyId;
use crate::time::Time;

/// A party that was entered.
#[derive(Debug)]
pub struct Known {
    /// One; two where it was listed before it registered.
    pub entered: NonEmpty<By<Party>>,
    /// Every key it ever had, in the order of the log.
    pub keys: Vec<HeldKey>,
    /// What the operator said of it since.
    pub standings: Vec<By<PartyStatus>>,
    pub succeeded_by: Option<PartyId>,
}

/// A key of a party.
#[derive(Debug)]
pub struct HeldKey {
    pub key: NewKey,
    /// The statement that adds it, and when that was logged.
    pub added: (StatementId, Time),
    pub revoked: Option<(StatementId, Time, RevocationReason)>,
}

impl Known {
    /// As it was entered last.
    pub fn party(&self) -> &Party {
        &self.entered.last().what
    }

    /// Whether it may act.
    pub fn standing(&self) -> Standing {
        let mut latest_first = self.standings.iter().rev().map(|by| by.what.status);
        match latest_first.find(|status| *status != StatusChange::Confirmed) {
            Some(StatusChange::Suspended) => Standing::Suspended,
            Some(StatusChange::Withdrawn) => Standing::Withdrawn,
            _ if self.keys.is_empty() => Standing::Listed,
            _ => Standing::Live,
        }
    }

    fn add(&mut self, keys: Vec<NewKey>, added: (StatementId, Time)) {
        let held = keys.into_iter().map(|key| HeldKey {
            key,
            added,
            revoked: None,
        });
        self.keys.extend(held);
    }
}

impl Record {
    /// What the log knows of a party.
    pub fn known(&self, party: &PartyId) -> Option<&Known> {
        self.parties.get(party)
    }

    /// The ledger's operator: the party of entry 0.
    pub fn operator(&self) -> Option<&PartyId> {
        self.operator.as_ref()
    }

    pub(super) fn enter(&mut self, by: By<Party>) {
        let id = by.what.party.clone();
        self.operator.get_or_insert_with(|| id.clone());
        let before = by.what.succeeds.as_ref();
        if let Some(before) = before.and_then(|before| self.parties.get_mut(before)) {
            before.succeeded_by = Some(id.clone());
        }
        let (keys, added) = (by.what.keys.clone(), (by.id, by.logged_at));
        let known = match self.parties.entry(id) {
            Entry::Vacant(entry) => entry.insert(Known {
                entered: NonEmpty::new(by),
                keys: Vec::new(),
                standings: Vec::new(),
                succeeded_by: None,
            }),
            Entry::Occupied(entry) => {
                let known = entry.into_mut();
                known.entered.push(by);
                known
            }
        };
        known.add(keys, added);
    }

    pub(super) fn change_keys(&mut self, id: StatementId, logged_at: Time, change: KeyChange) {
        let Some(known) = self.parties.get_mut(&change.party) else {
            return;
        };
        for revoked in &change.revoke {
            let mut held = known.keys.iter_mut();
            if let Some(held) = held.find(|held| held.key.key == revoked.key) {
                held.revoked = Some((id, logged_at, revoked.reason));
            }
        }
        known.add(change.add, (id, logged_at));
    }
}
