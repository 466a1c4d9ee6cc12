//! `key-change`: keys added to a party, or revoked.
//!
//! The party signs with an admin key, and every added key signs its own adding. The operator may
//! revoke for a party, never add. A key lives from the index that adds it to the index that revokes
//! it; remarks on earlier compromise have no effect on the past.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::party::{MAX_KEYS, NewKey, add_keys, admins};
use crate::statement::facts::{Change, Fact, FactKey, Facts, FactsExt};
use crate::statement::key::PublicKey;
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::words::{PartyId, Role, codes, listed};

/// A change of a party's keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// Whose keys change.
    pub party: PartyId,
    /// At most 16.
    pub add: Vec<NewKey>,
    /// At most 16.
    pub revoke: Vec<RevokedKey>,
}

/// A key that ends here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokedKey {
    /// The key that ends.
    pub key: PublicKey,
    /// Why it ends.
    pub reason: RevocationReason,
}

codes! {
    /// Why a key ends.
    RevocationReason {
        Compromised = "compromised",
        HolderLeft = "holder-left",
        Lost = "lost",
        Superseded = "superseded",
    }
}

impl Kind for KeyChange {
    const NAME: &'static str = "key-change";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let issuer = entry.issuer()?;
        let operator = entry.operator()?;
        let by_operator = *issuer == operator && self.party != operator;
        if *issuer != self.party && !by_operator {
            return Err(wrong_author("the party itself, or the operator to revoke").into());
        }
        if by_operator && !self.add.is_empty() {
            return Err(wrong_author("the operator may revoke, never add").into());
        }
        if self.add.is_empty() && self.revoke.is_empty() {
            return Err(Refusal::new(Reason::BadValue, "/revoke", "nothing changes").into());
        }
        let mut party = match self.add.is_empty() {
            true => entry.known_party("/party", &self.party)?,
            // One that is suspended may revoke, and add nothing.
            false => entry.in_standing("/party", &self.party)?,
        };

        let mut signatures = entry.signatures();
        signatures.party(issuer, &[Role::Admin])?;
        let wait = entry.limits()?.1.new_key_wait_seconds();
        let mut change = add_keys(
            entry,
            &mut signatures,
            &self.party,
            "/add",
            &self.add,
            |role| entry.time_after("/add", if role == Role::Admin { wait } else { 0 }),
        )?;
        signatures.none_besides()?;

        let revoked_admins = self.revoke_keys(entry, &mut change)?;
        let admin_keys = party.admin_keys.saturating_add(admins(&self.add));
        party.admin_keys = admin_keys.saturating_sub(revoked_admins);
        // The operator ends even the last one: a party whose keys were stolen must not go on.
        if party.admin_keys == 0 && !by_operator {
            return Err(Refusal::new(
                Reason::LastAdminKey,
                "/revoke",
                "a party keeps at least one admin key",
            )
            .into());
        }
        change.push((FactKey::Party(self.party.clone()), Fact::Party(party)));
        Ok(change)
    }

    fn plain(&self, who: &str) -> String {
        let added = |new: &NewKey| {
            let label = new.label.as_ref();
            let label = label.map_or_else(String::new, |label| format!(" ({label})"));
            format!("the {} key {}{label}", new.role, new.key.short())
        };
        let revoked = |key: &RevokedKey| format!("the key {} ({})", key.key.short(), key.reason);
        let added: Vec<String> = self.add.iter().map(added).collect();
        let revoked: Vec<String> = self.revoke.iter().map(revoked).collect();
        let mut does = Vec::new();
        if !added.is_empty() {
            does.push(format!("adds {} to {}", listed(&added), self.party));
        }
        if !revoked.is_empty() {
            does.push(format!("revokes {} of {}", listed(&revoked), self.party));
        }
        format!("{who} {}.", does.join(", and "))
    }

    fn example() -> Self {
        Self {
            party: "lakelandgov.example".parse().expect("a host name"),
            add: vec![NewKey {
                key: example_key(2),
                role: Role::Officer,
                label: Some("detective-4".parse().expect("a label")),
            }],
            revoke: vec![RevokedKey {
                key: example_key(3),
                reason: RevocationReason::HolderLeft,
            }],
        }
    }
}

impl KeyChange {
    /// Adds the revocations to `change`; how many of them are admin keys.
    fn revoke_keys<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        change: &mut Change,
    ) -> Result<u32, Verdict<F::Error>> {
        if self.revoke.len() > MAX_KEYS {
            return Err(Refusal::new(Reason::BadValue, "/revoke", "at most 16 keys").into());
        }
        let mut revoked_admins = 0;
        for (i, revoked) in self.revoke.iter().enumerate() {
            let member = format!("/revoke/{i}/key");
            let mut before = self.revoke.iter().take(i);
            if before.any(|other| other.key == revoked.key) {
                return Err(Refusal::new(Reason::BadValue, member, "named twice").into());
            }
            let fact = entry.facts.key(&revoked.key).map_err(Verdict::Facts)?;
            let Some(mut fact) =
                fact.filter(|f| f.party.as_ref() == Some(&self.party) && f.revoked.is_none())
            else {
                return Err(Refusal::new(
                    Reason::WrongReference,
                    member,
                    format!("no live key of {}", self.party),
                )
                .into());
            };
            let is_admin = fact.role == Some(Role::Admin);
            revoked_admins = u32::from(is_admin).saturating_add(revoked_admins);
            fact.revoked = Some(entry.index);
            change.push((FactKey::Key(revoked.key), Fact::Key(fact)));
        }
        Ok(revoked_admins)
    }
}

/// A public key for examples; anyone can derive its secret.
pub(crate) fn example_key(n: u8) -> PublicKey {
    PublicKey::from(&ed25519_dalek::SigningKey::from_bytes(&[n; 32]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_each_key_with_its_role_or_its_reason() {
        let both = KeyChange::example();
        let (new, old) = (example_key(2).short(), example_key(3).short());
        assert_eq!(old.len(), "ed25519:".len() + 12, "{old}");
        let added = format!("adds the officer key {new} (detective-4) to lakelandgov.example");
        let revoked = format!("revokes the key {old} (holder-left) of lakelandgov.example");
        assert_eq!(both.plain("who"), format!("who {added}, and {revoked}."));
        let one = KeyChange {
            add: Vec::new(),
            ..both.clone()
        };
        assert_eq!(one.plain("who"), format!("who {revoked}."));
        let other = KeyChange {
            revoke: Vec::new(),
            ..both
        };
        assert_eq!(other.plain("who"), format!("who {added}."));
    }
}
