//! The operator's data folder: what a ledger is made of, and how it is opened.
//!
//! `party.json`, `keys/` (the party's, and `log.key`), `log.vkey`, `log.policy`, `limits.json` (the
//! first ones), `ledger.db`, `vaults.db`, `log/` (served as it lies), `attachments/`, `batches/`,
//! `clips/`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::home::{Home, HomeError, Profile, key_path, new_key, read_key, write_key};
use crate::ledger::Config;
use crate::ledger::fsck::Fsck;
use crate::statement::kinds::limits::Limits;
use crate::statement::kinds::party::{CheckMethod, DomainCheck, Party};
use crate::statement::refusal::Refusal;
use crate::statement::words::{Day, PartyKind, Role};
use crate::statement::{Author, Head, Signed, sign};
use crate::store::files::{Access, Files};
use crate::time::Clock;
use crate::tlog::checkpoint::Origin;
use crate::tlog::note::{LogSigner, VerifierKey};
use crate::tlog::policy::{Policy, PolicyError, PolicyLog, PolicyWitness};

const VKEY: &str = "log.vkey";
const LIMITS: &str = "limits.json";
/// How long a witness may take to answer.
const WITNESS_TIMEOUT: Duration = Duration::from_secs(5);

/// An operator's folder.
#[derive(Debug, Clone)]
pub struct Operator {
    home: Home,
    origin: Origin,
    /// The log's key, as `log.vkey` has it.
    key: VerifierKey,
}

impl Operator {
    /// Makes the folder of a new ledger: its keys, its policy without witnesses, its first limits.
    ///
    /// # Errors
    /// If there is one already, or the folder cannot be written.
    pub fn init(
        root: &Path,
        profile: Profile,
        origin: Origin,
        limits: &Limits,
    ) -> Result<Self, HomeError> {
        let home = Home::create(root, profile)?;
        let key = new_key();
        write_key(&key_path(root, "log"), &key)?;
        let key = LogSigner::new(origin.clone(), key).verifier();
        home.write(VKEY, &format!("{key}\n"))?;
        let limits = serde_json::to_string_pretty(limits).expect("integers and words serialise");
        home.write(LIMITS, &(limits + "\n"))?;
        let operator = Self { home, origin, key };
        operator.set_witnesses(Vec::new(), 0)?;
        Ok(operator)
    }

    /// Opens an operator's folder.
    ///
    /// # Errors
    /// If there is none, or it is another party's.
    pub fn open(root: &Path) -> Result<Self, HomeError> {
        let home = Home::open(root)?;
        let path = root.join(VKEY);
        let fault = |why: String| HomeError::File {
            path: path.clone(),
            why,
        };
        if home.profile().kind != PartyKind::Operator {
            return Err(fault(format!("{} is no operator", home.profile().party)));
        }
        let text = fs::read_to_string(&path).map_err(|e| fault(e.to_string()))?;
        let key: VerifierKey = text.trim_end().parse().map_err(|e| fault(format!("{e}")))?;
        Ok(Self {
            home,
            origin: Origin::from(key.name.clone()),
            key,
        })
    }

    /// The folder as a party's.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The log's origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What signs the log.
    ///
    /// # Errors
    /// If the key cannot be read, or is not the one of `log.vkey`.
    pub fn signer(&self) -> Result<LogSigner, HomeError> {
        let path = key_path(self.home.root(), "log");
        Ok(LogSigner::new(self.origin.clone(), read_key(&path)?))
    }

    /// Writes the policy: this log, these witnesses, `threshold` of them.
    ///
    /// # Errors
    /// If they cannot make a policy.
    pub fn set_witnesses(
        &self,
        witnesses: Vec<PolicyWitness>,
        threshold: usize,
    ) -> Result<Policy, HomeError> {
        let log = PolicyLog {
            key: self.signer()?.verifier(),
            url: None,
        };
        let policy = Policy::of(log, witnesses, threshold).map_err(|e| self.policy_fault(e))?;
        self.home.write("log.policy", &policy.to_string())?;
        Ok(policy)
    }

    fn policy_fault(&self, source: PolicyError) -> HomeError {
        HomeError::Policy {
            path: self.home.policy_path(),
            source,
        }
    }

    /// What the ledger needs to start.
    ///
    /// # Errors
    /// If keys, policy or limits cannot be read, or the policy's quorum is the operator's own.
    pub fn ledger(&self, clock: Clock, renew: Duration) -> Result<Config, HomeError> {
        let root = self.home.root();
        let policy = self.home.policy()?;
        policy
            .check_independent()
            .map_err(|e| self.policy_fault(e))?;
        Ok(Config {
            journal: root.join("ledger.db"),
            log: Files::open(&root.join("log"), &root.join("staging/log"), Access::Public)?,
            signer: self.signer()?,
            policy,
            genesis: self.genesis(&clock)?,
            clock,
            renew,
            witness_timeout: WITNESS_TIMEOUT,
        })
    }

    /// What examines the ledger's data; needs no secret.
    ///
    /// # Errors
    /// If the policy cannot be read.
    pub fn fsck(&self) -> Result<Fsck, HomeError> {
        Ok(Fsck {
            data: self.home.root().to_owned(),
            key: self.key.clone(),
            policy: self.home.policy()?,
        })
    }

    /// The first two statements of the log: who runs it, and what it allows.
    fn genesis(&self, clock: &Clock) -> Result<Vec<Signed>, HomeError> {
        let path = self.home.root().join(LIMITS);
        let fault = |why: String| HomeError::File {
            path: path.clone(),
            why,
        };
        let profile = self.home.profile();
        let now = clock.now();
        let head = Head {
            log: self.origin.to_string(),
            issued_at: now.cut_to_minute(),
            author: Author::Issuer(profile.party.clone()),
        };
        let party = Party {
            party: profile.party.clone(),
            kind: PartyKind::Operator,
            name: profile.name.clone(),
            jurisdiction: profile.jurisdiction.clone(),
            keys: self.home.new_keys()?,
            domain_check: DomainCheck {
                method: CheckMethod::NotChecked,
                checked_on: Day::of(now),
            },
            succeeds: None,
        };
        let text = fs::read_to_string(&path).map_err(|e| fault(e.to_string()))?;
        let limits: Limits = serde_json::from_str(&text).map_err(|e| fault(e.to_string()))?;
        let admin = self.home.key(Role::Admin)?;
        let officer = self.home.key(Role::Officer)?;
        let service = self.home.key(Role::Service)?;
        let envelopes = [
            sign(&head, &party.into(), &[&admin, &officer, &service]),
            sign(&head, &limits.into(), &[&admin]),
        ];
        let signed = |envelope| Signed::from_envelope(envelope);
        let genesis: Result<_, Refusal> = envelopes.into_iter().map(signed).collect();
        genesis.map_err(|e| fault(e.to_string()))
    }
}
