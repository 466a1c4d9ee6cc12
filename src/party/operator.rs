//! The operator's data folder: what a ledger is made of, and how it is opened.
//!
//! `party.json`, `keys/` (the party's, `log.key` and `log-ml-dsa-44.key`), `log.vkey` and
//! `log.ml-dsa-44.vkey` (what verifies them), `log.policy`, `limits.json` (the first ones), `genesis.jsonl` (if they were signed elsewhere),
//! `ledger.db`, `queries.db`, `vaults.db`, `log/` (served as it lies), `attachments/`, `batches/`, `clips/`.
//!
//! A vkey has a file of its own: other programs read one line and no more. A folder without
//! `log.ml-dsa-44.vkey` is an older one, whose log signs by Ed25519 alone.

mod genesis;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ed25519_dalek::SigningKey;

use super::home::{
    Home, HomeError, Profile, key_path, new_key, new_ml_dsa_key, read_key, read_ml_dsa_key,
    write_key, write_ml_dsa_key,
};
use crate::encoding::check_visible;
use crate::ledger::fsck::Fsck;
use crate::ledger::{Config, Inquiry, LedgerError, LogFiles, OwnHead, Unconfirmed};
use crate::statement::kinds::limits::Limits;
use crate::statement::words::{PartyKind, Role};
use crate::store::files::{Access, Files};
use crate::store::instance::Instance;
use crate::store::journal::JournalRead as _;
use crate::store::own::{self, check_owner};
use crate::store::sqlite::SqliteJournal;
use crate::time::{Clock, Monotonic};
use crate::tlog::checkpoint::Origin;
use crate::tlog::note::{LogSigner, VerifierKey};
use crate::tlog::policy::{Policy, PolicyError, PolicyLog};

pub use genesis::KeptGenesis;

const VKEY: &str = "log.vkey";
const ML_DSA_44_VKEY: &str = "log.ml-dsa-44.vkey";
const ML_DSA_44_KEY: &str = "log-ml-dsa-44";
const LIMITS: &str = "limits.json";
const GENESIS: &str = "genesis.jsonl";
/// How long a witness may take to answer.
const WITNESS_TIMEOUT: Duration = Duration::from_secs(5);

/// An operator's folder.
#[derive(Debug, Clone)]
pub struct Operator {
    home: Home,
    origin: Origin,
}

impl Operator {
    /// Makes the folder of a new ledger: its keys, its policy without witnesses, its first limits.
    ///
    /// # Errors
    /// If there is one already, the folder cannot be written, or the origin has a hidden character.
    pub fn init(
        root: &Path,
        profile: Profile,
        origin: Origin,
        limits: &Limits,
    ) -> Result<Self, HomeError> {
        check_visible(origin.as_str())?;
        let home = Home::create(root, profile)?;
        let (key, ml_dsa_key) = (new_key(), new_ml_dsa_key());
        write_key(&key_path(root, "log"), &key)?;
        write_ml_dsa_key(&key_path(root, ML_DSA_44_KEY), &ml_dsa_key)?;
        let signer = LogSigner::new(origin.clone(), key).with_ml_dsa_44(ml_dsa_key);
        home.write(VKEY, &format!("{}\n", signer.verifier()))?;
        if let Some(vkey) = signer.ml_dsa_44_verifier() {
            home.write(ML_DSA_44_VKEY, &format!("{vkey}\n"))?;
        }
        let limits = serde_json::to_string_pretty(limits).expect("integers and words serialise");
        home.write(LIMITS, &(limits + "\n"))?;
        let operator = Self { home, origin };
        let log = |key| PolicyLog { key, url: None };
        let logs = operator.vkeys()?.into_iter().map(log).collect();
        let policy = Policy::of(logs, Vec::new(), 0).map_err(|e| operator.policy_fault(e))?;
        operator.set_policy(&policy)?;
        Ok(operator)
    }

    /// Opens an operator's folder.
    ///
    /// # Errors
    /// If there is none, it is another party's, or another user's: the server could not read what this one writes.
    pub fn open(root: &Path) -> Result<Self, HomeError> {
        let home = Home::open(root)?;
        check_owner(root)?;
        if home.profile().kind != PartyKind::Operator {
            return Err(HomeError::File {
                path: root.join(VKEY),
                why: format!("{} is no operator", home.profile().party),
            });
        }
        let vkey = read_vkey(&root.join(VKEY))?;
        Ok(Self {
            home,
            origin: Origin::from(vkey.name),
        })
    }

    /// The folder as a party's.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Where the first limits lie, which the first start logs.
    pub fn limits_path(&self) -> PathBuf {
        self.home.root().join(LIMITS)
    }

    /// The log's origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What signs the log.
    ///
    /// # Errors
    /// If a key cannot be read, or is not the one of its vkey.
    pub fn signer(&self) -> Result<LogSigner, HomeError> {
        let root = self.home.root();
        let mut signer = LogSigner::new(self.origin.clone(), read_key(&key_path(root, "log"))?);
        check_vkey(&root.join(VKEY), Some(signer.verifier()))?;
        if root.join(ML_DSA_44_VKEY).exists() {
            signer = signer.with_ml_dsa_44(read_ml_dsa_key(&key_path(root, ML_DSA_44_KEY))?);
            check_vkey(&root.join(ML_DSA_44_VKEY), signer.ml_dsa_44_verifier())?;
        }
        Ok(signer)
    }

    /// What verifies the log.
    fn vkeys(&self) -> Result<Vec<VerifierKey>, HomeError> {
        let root = self.home.root();
        let mut keys = vec![read_vkey(&root.join(VKEY))?];
        if root.join(ML_DSA_44_VKEY).exists() {
            keys.push(read_vkey(&root.join(ML_DSA_44_VKEY))?);
        }
        Ok(keys)
    }

    /// Writes the policy, whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set_policy(&self, policy: &Policy) -> Result<(), HomeError> {
        let path = self.home.policy_path();
        let write = || {
            let mut staged = tempfile::Builder::new()
                .permissions(Permissions::from_mode(0o644))
                .tempfile_in(self.home.root())?;
            staged.write_all(policy.to_string().as_bytes())?;
            staged.as_file().sync_all()?;
            staged.persist(&path)?;
            fs::File::open(self.home.root())?.sync_all()
        };
        write().map_err(|e: std::io::Error| file_fault(&path, e))
    }

    /// Whether there may be a log already, with readers.
    pub fn has_begun(&self) -> bool {
        self.home.root().join("ledger.db").exists()
    }

    /// Whether the folder has files of a log that has begun.
    pub fn has_log_files(&self) -> bool {
        let log = self.home.root().join("log");
        ["checkpoint", "tile"]
            .iter()
            .any(|name| log.join(name).exists())
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
        self.ledger_with(self.witnessed_policy()?, clock, renew)
    }

    /// The policy, if others than the operator make its quorum.
    ///
    /// # Errors
    /// If it cannot be read, or the quorum is the operator's own.
    pub fn witnessed_policy(&self) -> Result<Policy, HomeError> {
        let policy = self.home.policy()?;
        policy
            .check_independent()
            .map_err(|e| self.policy_fault(e))?;
        Ok(policy)
    }

    /// As [`Operator::ledger`], without any witness, whatever the policy says: checkpoints are published with
    /// the log's own signatures, and readers refuse them.
    ///
    /// # Errors
    /// If keys, policy or limits cannot be read.
    pub fn unwitnessed_ledger(&self, clock: Clock, renew: Duration) -> Result<Config, HomeError> {
        let logs = self.home.policy()?.logs().to_vec();
        let policy = Policy::of(logs, Vec::new(), 0).map_err(|e| self.policy_fault(e))?;
        self.ledger_with(policy, clock, renew)
    }

    fn ledger_with(
        &self,
        policy: Policy,
        clock: Clock,
        renew: Duration,
    ) -> Result<Config, HomeError> {
        let root = self.home.root();
        Ok(Config {
            data: root.to_owned(),
            journal: root.join("ledger.db"),
            queries: root.join("queries.db"),
            log: Files::open(&root.join("log"), &root.join("staging/log"), Access::Public)?,
            signer: self.signer()?,
            policy,
            genesis: {
                let (operator, clock) = (self.clone(), clock.clone());
                Box::new(move || Ok(operator.genesis(&clock)?))
            },
            clock,
            monotonic: Monotonic::system(),
            renew,
            witness_timeout: WITNESS_TIMEOUT,
            queue: crate::ledger::QUEUE,
            without: BTreeSet::new(),
            quiet: crate::ledger::QUIET,
            tiles_copy: None,
            public_url: None,
        })
    }

    /// Asks the witnesses, but for those named in `without`, whether they have cosigned nothing beyond the
    /// folder's head; returns those that have not confirmed it.
    ///
    /// # Errors
    /// If keys, policy, ledger.db or the tiles cannot be read.
    pub fn ask_witnesses(
        &self,
        without: &BTreeSet<String>,
        timeout: Duration,
    ) -> Result<Unconfirmed, LedgerError> {
        let root = self.home.root();
        let fault = |e: HomeError| LedgerError::Inconsistent(e.to_string());
        let (signer, policy) = (
            self.signer().map_err(fault)?,
            self.home.policy().map_err(fault)?,
        );
        let keys = std::iter::once(signer.verifier()).chain(signer.ml_dsa_44_verifier());
        let inquiry = Inquiry::new(self.origin.clone(), keys.collect(), timeout);
        let files = Files::open(&root.join("log"), &root.join("staging/log"), Access::Public)?;
        let log = LogFiles::new(files);
        let head = SqliteJournal::open(&root.join("ledger.db"))?.head()?;
        let Some(head) = head else {
            return Err(LedgerError::NoGenesis);
        };
        let damaged =
            || LedgerError::Inconsistent("the head in ledger.db is not signed".to_owned());
        let head = OwnHead {
            checkpoint: inquiry.signed(&head.note).ok_or_else(damaged)?,
            note: Some(head.note.into()),
        };
        let mut left = Unconfirmed::of(&policy, without);
        let ask = move |url: &str| inquiry.ask(url, || head.clone(), &log, true);
        left.ask_all(ask, timeout * 4, |left| left.proof().is_some());
        Ok(left)
    }

    /// Whether the folder is where a server used it last.
    ///
    /// # Errors
    /// If ledger.db cannot be read.
    pub fn is_at_home(&self) -> Result<bool, LedgerError> {
        let root = self.home.root();
        let kept = SqliteJournal::open(&root.join("ledger.db"))?.instance()?;
        let here = Instance::here(root)?;
        Ok(kept.is_some_and(|kept| kept.moved(&here).is_none()))
    }

    /// Lets a server start in the folder where it is now.
    ///
    /// # Errors
    /// If ledger.db cannot be written.
    pub fn adopt(&self) -> Result<(), LedgerError> {
        let root = self.home.root();
        let journal = SqliteJournal::open(&root.join("ledger.db"))?;
        Ok(journal.set_instance(&Instance::here(root)?)?)
    }

    /// What examines the ledger's data; needs no secret.
    ///
    /// # Errors
    /// If a key or the policy cannot be read.
    pub fn fsck(&self) -> Result<Fsck, HomeError> {
        Ok(Fsck {
            data: self.home.root().to_owned(),
            lists: Vec::new(),
            keys: self.vkeys()?,
            origin: self.origin.clone(),
            policy: self.home.policy()?,
        })
    }

    /// The keys of a role that may sign for the running server: the one in use, then one that is about
    /// to replace it.
    ///
    /// # Errors
    /// Those of [`Home::key`].
    pub fn signing_keys(&self, role: Role) -> Result<Vec<SigningKey>, HomeError> {
        // The new one first: it may take the place of the other between the two.
        let next = key_path(self.home.root(), &super::keys::next_name(role));
        let next = match next.exists() {
            true => read_key(&next).ok(),
            false => None,
        };
        let mut keys = vec![self.home.key(role)?];
        keys.extend(next);
        Ok(keys)
    }
}

fn file_fault(path: &Path, why: impl ToString) -> HomeError {
    HomeError::File {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

fn read_vkey(path: &Path) -> Result<VerifierKey, HomeError> {
    let text = own::read_text(path)?;
    text.trim_end().parse().map_err(|e| file_fault(path, e))
}

/// A log that signed with another key than readers were given would publish nothing they accept.
fn check_vkey(path: &Path, key: Option<VerifierKey>) -> Result<(), HomeError> {
    if key == Some(read_vkey(path)?) {
        return Ok(());
    }
    Err(HomeError::File {
        path: path.to_owned(),
        why: "is not the vkey of the log's key in keys/".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::kinds::Kind as _;
    use crate::tlog::checkpoint::Checkpoint;
    use crate::tlog::hash::leaf_hash;
    use crate::tlog::tree::TreeSize;

    pub(super) fn operator(root: &Path) -> Operator {
        let profile = Profile {
            party: "ledger.example".parse().unwrap(),
            kind: PartyKind::Operator,
            name: "Ledger".parse().unwrap(),
            jurisdiction: "US-FL".parse().unwrap(),
            officer_label: "server".parse().unwrap(),
            domain_check: None,
            server: None,
        };
        let origin = "ledger.example/log".parse().unwrap();
        Operator::init(root, profile, origin, &Limits::example()).unwrap()
    }

    fn signatures(operator: &Operator) -> usize {
        let checkpoint = Checkpoint {
            origin: operator.origin().clone(),
            size: TreeSize::new(1),
            root: leaf_hash(b"x"),
        };
        let note = checkpoint.sign(&operator.signer().unwrap());
        let policy = operator.home().policy().unwrap();
        let verified = policy.verify(&note.to_bytes(), None, None).unwrap();
        assert_eq!(verified.checkpoint, checkpoint);
        note.signatures.len()
    }

    #[test]
    fn a_log_signs_with_both_keys_and_an_older_one_with_its_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(signatures(&operator(folder.path())), 2);
        let opened = Operator::open(folder.path()).unwrap();
        assert_eq!(signatures(&opened), 2);
        assert_eq!(opened.home().policy().unwrap().logs().len(), 2);
        for name in [VKEY, ML_DSA_44_VKEY] {
            let text = fs::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!(text.lines().count(), 1, "{name}");
        }
        fs::remove_file(key_path(folder.path(), ML_DSA_44_KEY)).unwrap();
        assert!(opened.signer().is_err(), "its vkey is there still");
        fs::remove_file(folder.path().join(ML_DSA_44_VKEY)).unwrap();
        assert_eq!(
            signatures(&opened),
            1,
            "a folder made before there were two"
        );
    }

    #[test]
    fn a_key_that_is_not_the_published_one_signs_nothing() {
        for (key, vkey) in [("log", VKEY), (ML_DSA_44_KEY, ML_DSA_44_VKEY)] {
            let folder = tempfile::tempdir().unwrap();
            let operator = operator(folder.path());
            let path = key_path(folder.path(), key);
            fs::remove_file(&path).unwrap();
            match key {
                "log" => write_key(&path, &new_key()).unwrap(),
                _ => write_ml_dsa_key(&path, &new_ml_dsa_key()).unwrap(),
            }
            let Err(error) = operator.signer() else {
                panic!("{key} was replaced");
            };
            assert!(error.to_string().contains(vkey), "{error}");
        }
    }
}
