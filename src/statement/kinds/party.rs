//! `party`: who takes part, with which keys, and how the claim to its host name was checked.
//!
//! Registered once, ever. Signed by the operator and by every key it lists; a party without keys
//! (`listed`: known to exist, others can speak about it) by the operator alone. Entry 0 of a log
//! is the operator's own.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::plain::count;
use crate::statement::Author;
use crate::statement::facts::{
    Change, Fact, FactKey, Facts, FactsExt, KeyFact, PartyFact, Standing, Whole,
};
use crate::statement::key::PublicKey;
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::seals::SUCCESSIONS;
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::words::{
    Day, Jurisdiction, Label, Name, PartyId, PartyKind, Role, codes, listed,
};
use crate::time::Time;

/// The most keys that one statement lists.
pub const MAX_KEYS: usize = 16;

/// A party's registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The party registered.
    pub party: PartyId,
    /// What the party is.
    pub kind: PartyKind,
    /// Its public name.
    pub name: Name,
    /// Where it belongs (ISO 3166).
    pub jurisdiction: Jurisdiction,
    /// At most 16; empty for a `listed` party.
    pub keys: Vec<NewKey>,
    /// How the claim to the host name was checked.
    pub domain_check: DomainCheck,
    /// The party id that this one takes over from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeds: Option<PartyId>,
}

/// A key as it is added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// The key; it signs its own adding.
    pub key: PublicKey,
    /// Whose key it is: a pseudonym of the party's choosing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// What it may sign.
    pub role: Role,
}

/// How and when the operator saw that the party controls its host name.
///
/// A party that registers writes what it has published and the day from which on; the operator signs
/// only after it has seen it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainCheck {
    /// The day it was checked.
    pub checked_on: Day,
    /// How it was checked.
    pub method: CheckMethod,
}

codes! {
    /// How the control of a host name was checked.
    CheckMethod {
        /// DNS TXT record `_whosaw.<party id>`.
        DnsTxt = "dns-txt",
        /// Nobody checked it.
        NotChecked = "not-checked",
        /// `https://<party id>/.well-known/whosaw.json`.
        WellKnown = "well-known",
    }
}

impl CheckMethod {
    /// In plain words.
    pub fn plain(self) -> &'static str {
        match self {
            Self::DnsTxt => "its host name checked by DNS",
            Self::WellKnown => "its host name checked by a file it serves",
            Self::NotChecked => "its host name not checked by anyone",
        }
    }
}

impl Kind for Party {
    const NAME: &'static str = "party";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let operator = entry.facts.operator(&Whole).map_err(Verdict::Facts)?;
        if operator.is_none() && entry.index.as_u64() != 0 {
            return Err(Refusal::new(
                Reason::NotGenesis,
                "",
                "entry 0 named no operator, and no later one does",
            )
            .into());
        }
        self.check_new(entry)?;
        self.check_author(entry, operator.as_ref())?;
        if (self.kind == PartyKind::Operator) != operator.is_none() {
            return Err(Refusal::new(
                Reason::BadValue,
                "/kind",
                "entry 0 registers the operator, and no other entry does",
            )
            .into());
        }

        let mut signatures = entry.signatures();
        let waits = match &operator {
            Some(operator) => {
                signatures.party(operator, &[Role::Admin])?;
                entry.limits()?.1.new_key_wait_seconds()
            }
            None => 0,
        };
        let mut change = add_keys(
            entry,
            &mut signatures,
            &self.party,
            "/keys",
            &self.keys,
            |role| {
                let waiting = role == Role::Admin || self.kind == PartyKind::Agency;
                entry.time_after("/keys", if waiting { waits } else { 0 })
            },
        )?;
        signatures.none_besides()?;

        let admin_keys = admins(&self.keys);
        if admin_keys == 0 && !(self.keys.is_empty() && operator.is_some()) {
            return Err(Refusal::new(
                Reason::LastAdminKey,
                "/keys",
                "a party that has keys has an admin key",
            )
            .into());
        }
        change.push((
            FactKey::Party(self.party.clone()),
            Fact::Party(PartyFact {
                registered: entry.index,
                kind: self.kind,
                name: self.name.clone(),
                admin_keys,
                standing: match admin_keys {
                    0 => Standing::Listed,
                    _ => Standing::Live,
                },
                succeeds: self.succeeds.clone(),
                succeeded_by: None,
            }),
        ));
        change.extend(self.succeed(entry)?);
        if operator.is_none() {
            change.push((FactKey::Operator(Whole), Fact::Operator(self.party.clone())));
        }
        Ok(change)
    }

    fn plain(&self, who: &str) -> String {
        let check = self.domain_check.method.plain();
        let keys = match self.keys.len() {
            0 => "without keys of its own".to_owned(),
            n => format!("with {}", count(n, "key")),
        };
        let succeeds = self.succeeds.as_ref();
        let succeeds = succeeds.map_or_else(String::new, |old| format!("; it succeeds {old}"));
        format!(
            "{} ({}, {}, {}) is entered by {who} {keys}, {check} on {}{succeeds}.",
            self.party, self.name, self.kind, self.jurisdiction, self.domain_check.checked_on
        )
    }

    fn example() -> Self {
        Self {
            party: "lakelandgov.example".parse().expect("a host name"),
            kind: PartyKind::Agency,
            name: "Lakeland Police Department".parse().expect("a name"),
            jurisdiction: "US-FL".parse().expect("a code"),
            keys: vec![NewKey {
                key: super::key_change::example_key(1),
                role: Role::Admin,
                label: None,
            }],
            domain_check: DomainCheck {
                method: CheckMethod::WellKnown,
                checked_on: "2018-12-13".parse().expect("a day"),
            },
            succeeds: None,
        }
    }
}

impl Party {
    /// A party is registered once. One that was `listed` may be, as what it is.
    fn check_new<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<(), Verdict<F::Error>> {
        let existing = entry.facts.party(&self.party).map_err(Verdict::Facts)?;
        let Some(existing) = existing else {
            return Ok(());
        };
        if existing.standing != Standing::Listed || self.keys.is_empty() {
            let detail = format!("{} is registered already", self.party);
            return Err(Refusal::new(Reason::PartyExists, "/party", detail).into());
        }
        if existing.kind != self.kind {
            let detail = format!("{} is listed: {}", self.party, existing.kind);
            return Err(Refusal::new(Reason::BadValue, "/kind", detail).into());
        }
        Ok(())
    }

    /// Takes over from a party that was withdrawn: the one successor it has.
    fn succeed<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let Some(predecessor) = &self.succeeds else {
            return Ok(Change::new());
        };
        let mut fact = entry.known_party("/succeeds", predecessor)?;
        let refuse = |reason, detail: String| Err(Refusal::new(reason, "/succeeds", detail).into());
        // It may be registered later, and would have forgotten whose debts it took over.
        if self.keys.is_empty() {
            let detail = "a party without keys takes over from nobody".to_owned();
            return refuse(Reason::BadValue, detail);
        }
        // Whoever takes over answers for all before it: they are looked up for each request.
        if entry.predecessors(predecessor)?.len() >= SUCCESSIONS {
            let detail = format!("{SUCCESSIONS} parties have taken over, one from another");
            return refuse(Reason::OutsideLimits, detail);
        }
        if fact.kind != self.kind {
            return refuse(
                Reason::WrongReference,
                format!("{predecessor}: {}", fact.kind),
            );
        }
        if fact.standing != Standing::Withdrawn {
            let standing = fact.standing.code();
            let detail = format!("{predecessor} is {standing}: the operator withdraws it first");
            return refuse(Reason::WrongReference, detail);
        }
        if let Some(other) = &fact.succeeded_by {
            return refuse(Reason::AlreadySo, format!("{other} succeeds {predecessor}"));
        }
        fact.succeeded_by = Some(self.party.clone());
        let key = FactKey::Party(predecessor.clone());
        Ok(vec![(key, Fact::Party(fact))])
    }

    fn check_author<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        operator: Option<&PartyId>,
    ) -> Result<(), Refusal> {
        let expected = match operator {
            None => Author::Issuer(self.party.clone()),
            Some(operator) if self.keys.is_empty() => Author::Issuer(operator.clone()),
            Some(operator) => {
                let both = BTreeSet::from([operator.clone(), self.party.clone()]);
                Author::Parties(both.into_iter().collect())
            }
        };
        if entry.signed.head.author == expected {
            return Ok(());
        }
        Err(match expected {
            Author::Parties(both) => Refusal::new(
                Reason::WrongAuthor,
                "/parties",
                format!(
                    "a party with keys and the operator speak: {}",
                    listed(&both)
                ),
            ),
            Author::Issuer(party) => wrong_author(format!("issuer is {party}")),
            Author::OneTimeKey(_) => unreachable!("parties register parties"),
        })
    }
}

/// How many of `keys` are admin keys.
pub(super) fn admins(keys: &[NewKey]) -> u32 {
    let count = keys.iter().filter(|key| key.role == Role::Admin).count();
    u32::try_from(count).expect("at most 16 keys")
}

/// The facts of newly added keys, each of which signs its own adding.
pub(super) fn add_keys<F: Facts>(
    entry: &Entry<'_, F>,
    signatures: &mut crate::statement::rules::Signatures<'_, '_, F>,
    party: &PartyId,
    member: &str,
    keys: &[NewKey],
    usable_from: impl Fn(Role) -> Result<Time, Refusal>,
) -> Result<Change, Verdict<F::Error>> {
    if keys.len() > MAX_KEYS {
        return Err(Refusal::new(Reason::BadValue, member, "at most 16 keys").into());
    }
    let mut change = Change::new();
    for (i, new) in keys.iter().enumerate() {
        entry.unseen_key(&format!("{member}/{i}/key"), &new.key)?;
        signatures.key(&new.key)?;
        change.push((
            FactKey::Key(new.key),
            Fact::Key(KeyFact {
                party: Some(party.clone()),
                role: Some(new.role),
                label: new.label.clone(),
                added: entry.index,
                usable_from: usable_from(new.role)?,
                revoked: None,
            }),
        ));
    }
    Ok(change)
}
