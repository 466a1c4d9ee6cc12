//! Which keys each party is to publish under its host name, and how the log says that was checked.
//!
//! Every key that is not revoked is to be published, of whatever role: whoever steals an admin key can
//! add keys of their own, but cannot publish them under a name that is not theirs. Not here: asking
//! the host name ([`crate::client::domain`]).

use std::collections::BTreeMap;

use crate::statement::Statement;
use crate::statement::facts::Standing;
use crate::statement::key::PublicKey;
use crate::statement::kinds::key_change::KeyChange;
use crate::statement::kinds::party::{CheckMethod, DomainCheck, Party};
use crate::statement::kinds::party_status::{PartyStatus, StatusChange};
use crate::statement::words::{PartyId, PartyKind};
use crate::time::Time;
use crate::wire::domain::Published;

/// How long a key that was added later may be missing, in seconds: names change slowly, and are
/// remembered by those who were asked before.
pub const GRACE: i64 = 86_400;

/// What the log says of a party and its host name.
#[derive(Debug, Clone, PartialEq)]
pub struct Domain {
    pub kind: PartyKind,
    pub standing: Standing,
    /// The last check on record.
    pub check: DomainCheck,
    /// Keys that are not revoked, in the order of the log.
    pub keys: Vec<LiveKey>,
    /// Keys added and revoked within [`GRACE`], which nobody could look for under the name.
    pub fleeting: Vec<PublicKey>,
}

/// A key that is not revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveKey {
    pub key: PublicKey,
    /// When it was logged, if it was added after the registration.
    pub added_later: Option<Time>,
}

/// What a host name shows beside what the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Keys that should have been published.
    pub missing: Vec<PublicKey>,
    /// Keys that are new, and may be missing for a while ([`GRACE`]).
    pub pending: Vec<PublicKey>,
}

impl LiveKey {
    /// Whether it was added less than [`GRACE`] before `now`.
    fn is_new(&self, now: Time) -> bool {
        let added = self.added_later;
        added.is_some_and(|added| now.seconds_since(added) < GRACE)
    }
}

impl Domain {
    /// Whether the name is to be asked: the party acts, has keys, and its name was checked.
    pub fn is_claimed(&self) -> bool {
        self.standing == Standing::Live && self.check.method != CheckMethod::NotChecked
    }

    /// Holds what is published against the keys that should be, at a time.
    pub fn compare(&self, published: &Published, now: Time) -> Compared {
        let lacking = self.keys.iter().filter(|live| !published.has(&live.key));
        let (pending, missing): (Vec<&LiveKey>, Vec<&LiveKey>) =
            lacking.partition(|live| live.is_new(now));
        let keys = |live: Vec<&LiveKey>| live.into_iter().map(|live| live.key).collect();
        Compared {
            missing: keys(missing),
            pending: keys(pending),
        }
    }
}

/// What the log says of all parties and their host names.
#[derive(Debug, Default)]
pub struct Domains(BTreeMap<PartyId, Domain>);

impl Domains {
    /// Reads the next admitted entry.
    pub fn read(&mut self, logged_at: Time, statement: &Statement) {
        match statement {
            Statement::Party(party) => self.register(party),
            Statement::KeyChange(change) => self.change(logged_at, change),
            Statement::PartyStatus(status) => self.status(status),
            _ => {}
        }
    }

    /// What is known of a party.
    pub fn of(&self, party: &PartyId) -> Option<&Domain> {
        self.0.get(party)
    }

    /// All parties, ascending.
    pub fn all(&self) -> impl Iterator<Item = (&PartyId, &Domain)> {
        self.0.iter()
    }

    fn register(&mut self, party: &Party) {
        let keys = party.keys.iter().map(|new| LiveKey {
            key: new.key,
            added_later: None,
        });
        let domain = Domain {
            kind: party.kind,
            standing: match party.keys.is_empty() {
                true => Standing::Listed,
                false => Standing::Live,
            },
            check: party.domain_check.clone(),
            keys: keys.collect(),
            fleeting: Vec::new(),
        };
        self.0.insert(party.party.clone(), domain);
    }

    fn change(&mut self, logged_at: Time, change: &KeyChange) {
        let Some(domain) = self.0.get_mut(&change.party) else {
            return;
        };
        let revoked = |live: &LiveKey| change.revoke.iter().any(|gone| gone.key == live.key);
        let (gone, live): (Vec<_>, Vec<_>) = domain.keys.drain(..).partition(revoked);
        domain.keys = live;
        let brief = gone.iter().filter(|gone| gone.is_new(logged_at));
        domain.fleeting.extend(brief.map(|gone| gone.key));
        domain.keys.extend(change.add.iter().map(|new| LiveKey {
            key: new.key,
            added_later: Some(logged_at),
        }));
    }

    fn status(&mut self, status: &PartyStatus) {
        let Some(domain) = self.0.get_mut(&status.party) else {
            return;
        };
        match status.status {
            StatusChange::Confirmed => {}
            StatusChange::Reinstated => domain.standing = Standing::Live,
            StatusChange::Suspended => domain.standing = Standing::Suspended,
            StatusChange::Withdrawn => domain.standing = Standing::Withdrawn,
        }
        if let Some(check) = &status.domain_check {
            domain.check = check.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::kinds::Kind as _;
    use crate::statement::kinds::key_change::{RevocationReason, RevokedKey};
    use crate::statement::kinds::party::NewKey;
    use crate::statement::words::Role;

    fn key(seed: u8) -> PublicKey {
        PublicKey::from(&ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    fn new(seed: u8) -> NewKey {
        NewKey {
            key: key(seed),
            role: Role::Admin,
            label: None,
        }
    }

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn change(add: &[u8], revoke: &[u8]) -> Statement {
        let revoked = |seed: &u8| RevokedKey {
            key: key(*seed),
            reason: RevocationReason::Lost,
        };
        KeyChange {
            party: Party::example().party,
            add: add.iter().map(|seed| new(*seed)).collect(),
            revoke: revoke.iter().map(revoked).collect(),
        }
        .into()
    }

    fn registered(seeds: &[u8]) -> Domains {
        let party = Party {
            keys: seeds.iter().map(|seed| new(*seed)).collect(),
            ..Party::example()
        };
        let mut domains = Domains::default();
        domains.read(at("2019-01-01T00:00:00Z"), &party.into());
        domains
    }

    fn domain(domains: &Domains) -> &Domain {
        domains.of(&Party::example().party).unwrap()
    }

    #[test]
    fn keys_revoked_do_not_matter_and_keys_added_are_expected() {
        let mut domains = registered(&[1, 2]);
        let day = "2019-02-01T00:00:00Z";
        domains.read(at(day), &change(&[3], &[1]));
        let domain = domain(&domains);
        let compare = |seeds: &[u8], now: &str| {
            let keys: Vec<PublicKey> = seeds.iter().map(|seed| key(*seed)).collect();
            let found = domain.compare(&Published::of(&keys).unwrap(), at(now));
            (found.missing, found.pending)
        };
        assert_eq!(compare(&[2, 3], day), (vec![], vec![]));
        assert_eq!(compare(&[1, 2, 3, 9], day), (vec![], vec![]));
        assert_eq!(
            compare(&[1, 2], "2019-02-01T23:59:59Z"),
            (vec![], vec![key(3)])
        );
        assert_eq!(
            compare(&[1, 2], "2019-02-02T00:00:00Z"),
            (vec![key(3)], vec![])
        );
        assert_eq!(compare(&[], day), (vec![key(2)], vec![key(3)]));
    }

    #[test]
    fn a_key_that_comes_and_goes_within_a_day_is_told() {
        let mut domains = registered(&[1]);
        domains.read(at("2019-02-01T00:00:00Z"), &change(&[2, 3], &[]));
        domains.read(at("2019-02-01T23:59:00Z"), &change(&[], &[2]));
        domains.read(at("2019-02-02T00:00:00Z"), &change(&[], &[3, 1]));
        assert_eq!(domain(&domains).fleeting, [key(2)]);
    }

    #[test]
    fn the_last_check_and_standing_count() {
        let status = |status, domain_check| -> Statement {
            PartyStatus {
                status,
                domain_check,
                ..PartyStatus::example()
            }
            .into()
        };
        let now = at("2019-02-01T00:00:00Z");
        let mut domains = registered(&[1]);
        assert!(domain(&domains).is_claimed());
        for (change, claimed) in [
            (StatusChange::Suspended, false),
            (StatusChange::Reinstated, true),
            (StatusChange::Withdrawn, false),
        ] {
            domains.read(now, &status(change, None));
            assert_eq!(domain(&domains).is_claimed(), claimed, "{change}");
        }
        let mut domains = registered(&[1]);
        let unchecked = DomainCheck {
            checked_on: "2019-02-01".parse().unwrap(),
            method: CheckMethod::NotChecked,
        };
        domains.read(
            now,
            &status(StatusChange::Confirmed, Some(unchecked.clone())),
        );
        assert!(!domain(&domains).is_claimed());
        assert_eq!(domain(&domains).check, unchecked);
        let listed = registered(&[]);
        assert!(!domain(&listed).is_claimed());
        assert_eq!(domains.all().count(), 1);
    }
}
