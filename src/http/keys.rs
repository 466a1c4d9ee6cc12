//! The keys that sign while the server runs: the operator's officer key commitment batches, its service
//! key refusals.
//!
//! Both can be rotated or revoked while the server runs. A key is checked against the log whenever the
//! log has grown; if the log has revoked it, the key files are read again, and the first key among them
//! that the log accepts signs from then on. No file is opened but those of the role.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;

use crate::ledger::Ledger;
use crate::statement::facts::FactsExt as _;
use crate::statement::key::PublicKey;
use crate::statement::words::{PartyId, Role};
use crate::store::StoreError;
use crate::store::facts::JournalFacts;
use crate::time::Time;
use crate::tlog::tree::TreeSize;

/// How often the files are read again while none of their keys may sign: a stranger's refused
/// statement must not read files each time.
const RETRY: Duration = Duration::from_secs(1);

/// Reads the keys of a role from their files, the preferred one first.
type ReadKeys = dyn Fn(Role) -> Result<Vec<SigningKey>, String> + Send + Sync;

/// The operator's keys that sign while the server runs.
pub struct SigningKeys {
    operator: PartyId,
    read: Box<ReadKeys>,
    officer: Mutex<Held>,
    service: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    key: Option<Arc<SigningKey>>,
    /// The size of the log at which `key` was checked.
    checked: Option<TreeSize>,
    /// When the files were read last.
    read: Option<Instant>,
}

impl SigningKeys {
    /// The roles whose keys sign while the server runs.
    pub const ROLES: [Role; 2] = [Role::Officer, Role::Service];

    /// The keys of `operator`, as `read` finds them.
    ///
    /// # Errors
    /// Those of `read`: a server whose key files cannot be read does not start.
    pub fn open(
        operator: PartyId,
        read: impl Fn(Role) -> Result<Vec<SigningKey>, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        for role in Self::ROLES {
            read(role)?;
        }
        Ok(Self {
            operator,
            read: Box::new(read),
            officer: Mutex::default(),
            service: Mutex::default(),
        })
    }

    /// The key that signs for `role` at `now`; `None` while the log accepts none of those in the files.
    pub fn current(&self, role: Role, ledger: &Ledger, now: Time) -> Option<Arc<SigningKey>> {
        let mut held = self.held(role);
        let size = ledger.size();
        let rested = held.read.is_none_or(|at| at.elapsed() >= RETRY);
        if held.checked != Some(size) || (held.key.is_none() && rested) {
            self.check(role, &mut held, ledger, now);
            held.checked = Some(size);
        }
        held.key.clone()
    }

    /// Reads the files again, for both roles.
    pub fn reload(&self, ledger: &Ledger, now: Time) {
        for role in Self::ROLES {
            self.choose(role, &mut self.held(role), ledger, now);
        }
    }

    fn check(&self, role: Role, held: &mut Held, ledger: &Ledger, now: Time) {
        let live = match &held.key {
            Some(key) => self.is_live(key, role, ledger, now),
            None => Ok(false),
        };
        match live {
            Ok(true) => {}
            Ok(false) => self.choose(role, held, ledger, now),
            Err(error) => tracing::warn!(%role, %error, "a signing key was not checked"),
        }
    }

    /// Reads the files, and takes the first key that may sign.
    fn choose(&self, role: Role, held: &mut Held, ledger: &Ledger, now: Time) {
        let first = held.read.is_none();
        held.read = Some(Instant::now());
        let before = held.key.take().map(|key| PublicKey::from(&*key));
        let live = |key: &SigningKey| self.is_live(key, role, ledger, now).unwrap_or(false);
        let found = (self.read)(role).map(|keys| keys.into_iter().find(live));
        let why = match found {
            Ok(Some(key)) => {
                let public = PublicKey::from(&key);
                held.key = Some(Arc::new(key));
                if !first && before != Some(public) {
                    tracing::info!(%role, key = %public, "another key signs from now on");
                }
                return;
            }
            Ok(None) => {
                "the log accepts no key in the files: it is revoked, or was never added".into()
            }
            Err(why) => why,
        };
        if first || before.is_some() {
            tracing::error!(%role, why, "no key of the operator may sign");
        }
    }

    /// Whether the log accepts signatures by `key` for `role`.
    fn is_live(
        &self,
        key: &SigningKey,
        role: Role,
        ledger: &Ledger,
        now: Time,
    ) -> Result<bool, StoreError> {
        // A clock that was set back makes no key newer than the log.
        let now = ledger.waits_for_clock(now).unwrap_or(now);
        let fact = JournalFacts(ledger.journal()).key(&PublicKey::from(key))?;
        Ok(fact.is_some_and(|fact| {
            fact.party.as_ref() == Some(&self.operator)
                && fact.role == Some(role)
                && fact.revoked.is_none()
                && fact.usable_from <= now
        }))
    }

    fn held(&self, role: Role) -> MutexGuard<'_, Held> {
        let held = match role {
            Role::Officer => &self.officer,
            _ => &self.service,
        };
        held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
