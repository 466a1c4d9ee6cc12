//! A witness: cosigns a log's checkpoint if it extends the one cosigned last.
//!
//! Holds a key of each kind and, for each log, the whole note cosigned last, replaced durably before
//! any answer goes out. When a log signs what contradicts that note, the pair is kept as evidence.
//! Spec: [tlog-witness](https://c2sp.org/tlog-witness). HTTP is [`crate::http::witness`].

mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use self::store::{Record, folder_of};
use super::home::{
    HomeError, key_path, make_home, new_key, new_ml_dsa_key, read_first, read_key, read_ml_dsa_key,
    write_key, write_ml_dsa_key, write_public,
};
use crate::digest::Digest;
use crate::encoding::check_visible;
use crate::store::StoreError;
use crate::store::lock::DataLock;
use crate::time::Time;
use crate::tlog::checkpoint::{Checkpoint, Origin};
use crate::tlog::cosignature::{self, Cosigner};
use crate::tlog::evidence::Evidence;
use crate::tlog::hash::Hash;
use crate::tlog::note::{KeyName, Note, NoteKey, NoteSignature, VerifierKey};
use crate::tlog::subtree::SignSubtree;
use crate::tlog::witness::{AddCheckpoint, WitnessRefusal, authenticate, judge};

pub use self::store::{Cosigned, MAX_EVIDENCE_FILES};

const NAME: &str = "witness.name";
const ED25519: &str = "witness";
const ML_DSA_44: &str = "witness-ml-dsa-44";

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub enum CosignError {
    #[error(transparent)]
    Refused(#[from] WitnessRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cosignature without a time would say nothing about freshness.
    #[error("this machine's clock stands before 1970")]
    Clock,
    #[error("this witness has no ML-DSA-44 key, and others cannot sign subtrees")]
    NoSubtrees,
}

/// A running witness.
pub struct Witness {
    name: KeyName,
    /// Ed25519 first; a folder made before ML-DSA-44 has that alone.
    cosigners: Vec<Cosigner>,
    keys: Vec<VerifierKey>,
    log_keys: Vec<VerifierKey>,
    /// By the hash of the origin: the logs of the keys, and those cosigned earlier.
    records: BTreeMap<Digest, Record>,
    _lock: DataLock,
}

/// A log that the witness cosigns, or once did.
#[derive(Debug)]
pub struct LogState {
    pub origin: Origin,
    /// The checkpoint cosigned last, and when; `None` if there was none yet.
    pub last: Option<(Checkpoint, Option<Time>)>,
    /// Evidence files kept.
    pub evidence: usize,
    /// Whether the witness knows a key of it now.
    pub known: bool,
}

impl Witness {
    /// Makes a witness's folder and keys; what verifies its cosignatures, Ed25519 first.
    ///
    /// # Errors
    /// If there is one already, or the name has a hidden character.
    pub fn init(root: &Path, name: KeyName) -> Result<Vec<VerifierKey>, HomeError> {
        check_visible(name.as_str())?;
        if root.join(NAME).exists() {
            return Err(HomeError::Exists(root.to_owned()));
        }
        make_home(root)?;
        let (ed25519, ml_dsa_44) = (new_key(), new_ml_dsa_key());
        write_key(&key_path(root, ED25519), &ed25519)?;
        write_ml_dsa_key(&key_path(root, ML_DSA_44), &ml_dsa_44)?;
        write_public(&root.join(NAME), &format!("{name}\n"))?;
        Ok(vec![
            Cosigner::new(name.clone(), ed25519).verifier(),
            Cosigner::ml_dsa_44(name, ml_dsa_44).verifier(),
        ])
    }

    /// Opens a witness's folder, to cosign for the logs with these keys.
    ///
    /// # Errors
    /// If there is no witness, another process runs it, or what it kept is damaged; for a key that is
    /// no log's.
    pub fn open(root: &Path, log_keys: Vec<VerifierKey>) -> Result<Self, HomeError> {
        let name = read_first(root, NAME)?;
        let name: KeyName = name.trim_end().parse().map_err(|error| HomeError::File {
            path: root.join(NAME),
            why: format!("{error}"),
        })?;
        let lock = DataLock::acquire(root)?;
        let mut cosigners = vec![Cosigner::new(
            name.clone(),
            read_key(&key_path(root, ED25519))?,
        )];
        let ml_dsa_44 = key_path(root, ML_DSA_44);
        if ml_dsa_44.exists() {
            let key = read_ml_dsa_key(&ml_dsa_44)?;
            cosigners.push(Cosigner::ml_dsa_44(name.clone(), key));
        }
        let keys: Vec<VerifierKey> = cosigners.iter().map(Cosigner::verifier).collect();
        check_log_keys(root, &log_keys, &keys)?;
        let names = log_keys.iter().map(|key| Origin::from(key.name.clone()));
        let origins: Vec<Origin> = names.collect();
        Ok(Self {
            name,
            cosigners,
            keys,
            records: store::open(root, origins.iter())?,
            log_keys,
            _lock: lock,
        })
    }

    /// Its name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// What verifies its cosignatures, Ed25519 first.
    pub fn verifiers(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Cosigns the checkpoint of a request with every key, after it is durable that it was the last
    /// one.
    ///
    /// # Errors
    /// [`WitnessRefusal`] with the status of the spec, or [`CosignError`]'s others.
    pub fn add_checkpoint(
        &self,
        body: &[u8],
        now: Time,
    ) -> Result<Vec<NoteSignature>, CosignError> {
        let request = AddCheckpoint::parse(body)?;
        let (mut note, checkpoint) = authenticate(&request, &self.log_keys)?;
        let record = &self.records[&folder_of(&checkpoint.origin)];
        let mut cosignatures = Vec::new();
        record.advance(|last| {
            if let Err(refusal) = judge(&request, &checkpoint, last.map(|last| &last.checkpoint)) {
                if let Some(last) = last {
                    self.examine(record, &last.note, &note, &request.proof);
                }
                return Err(refusal.into());
            }
            if now.unix() <= 0 {
                return Err(CosignError::Clock);
            }
            let cosign = |cosigner: &Cosigner| cosigner.cosign(&checkpoint, now);
            cosignatures.extend(self.cosigners.iter().map(cosign));
            note.signatures.extend(cosignatures.iter().cloned());
            Ok(Cosigned { note, checkpoint })
        })?;
        Ok(cosignatures)
    }

    /// Keeps a refused checkpoint if it proves, with the one cosigned last, that the log signed two
    /// histories. A failed consistency proof alone does not: it may lead nowhere.
    fn examine(&self, record: &Record, last: &Note, refused: &Note, proof: &[Hash]) {
        let size = |note: &Note| Checkpoint::parse(&note.text).map(|c| c.size).ok();
        let of_one_size = size(last) == size(refused);
        let evidence = Evidence {
            path: if of_one_size { vec![] } else { proof.to_vec() },
            earlier: last.clone(),
            later: refused.clone(),
        };
        let Ok(proved) = evidence.verify(&self.log_keys) else {
            return;
        };
        let (log, at, shown) = (
            &proved.earlier.origin,
            proved.earlier.size,
            proved.later.size,
        );
        match record.keep(&evidence) {
            Ok(Some(number)) => tracing::error!(
                %log, cosigned = %at, %shown, number,
                "THE LOG SIGNED TWO HISTORIES: the evidence is kept; tell those who read it"
            ),
            Ok(None) => tracing::warn!(%log, cosigned = %at, %shown, "the log shows two histories"),
            Err(error) => tracing::error!(
                %log, %error,
                "THE LOG SIGNED TWO HISTORIES, and the evidence was not kept"
            ),
        }
    }

    /// Signs a subtree of a tree that the witness has cosigned.
    ///
    /// # Errors
    /// [`WitnessRefusal`] with the status of the spec; [`CosignError::NoSubtrees`].
    pub fn sign_subtree(&self, body: &[u8]) -> Result<NoteSignature, CosignError> {
        let signs = |key: &VerifierKey| matches!(key.key, NoteKey::MlDsa44Cosignature(_));
        if !self.keys.iter().any(signs) {
            return Err(CosignError::NoSubtrees);
        }
        let request = SignSubtree::parse(body)?;
        let origin = &request.checkpoint.origin;
        if !self.knows(origin) {
            return Err(WitnessRefusal::UnknownLog(origin.to_string()).into());
        }
        request.judge(&self.keys)?;
        let mut signatures = self.cosigners.iter();
        let signature = signatures.find_map(|c| c.sign_subtree(&request.subtree()));
        signature.ok_or(CosignError::NoSubtrees)
    }

    fn knows(&self, origin: &Origin) -> bool {
        self.log_keys
            .iter()
            .any(|key| key.name.as_str() == origin.as_str())
    }

    /// The checkpoint cosigned last of the log whose origin has this SHA-256.
    pub fn last(&self, origin_sha256: &Digest) -> Option<Arc<Cosigned>> {
        self.records.get(origin_sha256)?.last()
    }

    /// An evidence file against the log whose origin has this SHA-256, by its number from 1.
    ///
    /// # Errors
    /// The store's.
    pub fn evidence(
        &self,
        origin_sha256: &Digest,
        number: u8,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let record = self.records.get(origin_sha256);
        record.map_or(Ok(None), |record| record.evidence(number))
    }

    /// All logs that it cosigns, or once did.
    ///
    /// # Errors
    /// The store's.
    pub fn logs(&self) -> Result<Vec<LogState>, StoreError> {
        let mut logs = Vec::new();
        for (folder, record) in &self.records {
            let last = record.last();
            let names = self
                .log_keys
                .iter()
                .map(|key| Origin::from(key.name.clone()));
            let known = names.clone().find(|origin| folder_of(origin) == *folder);
            let origin = last.as_ref().map(|last| last.checkpoint.origin.clone());
            let Some(origin) = known.clone().or(origin) else {
                continue;
            };
            logs.push(LogState {
                last: last.map(|last| (last.checkpoint.clone(), self.cosigned_at(&last))),
                evidence: record.evidence_count()?,
                known: known.is_some(),
                origin,
            });
        }
        logs.sort_by(|a, b| a.origin.cmp(&b.origin));
        Ok(logs)
    }

    fn cosigned_at(&self, last: &Cosigned) -> Option<Time> {
        let key = &self.keys[0];
        let mut lines = last.note.signatures_by(key);
        lines.find_map(|line| cosignature::verify(key, &last.checkpoint, line).ok())
    }
}

/// Logs' own keys: a cosigner's Ed25519 key signs no log, and a witness is not its own.
fn check_log_keys(
    root: &Path,
    log_keys: &[VerifierKey],
    own: &[VerifierKey],
) -> Result<(), HomeError> {
    let fault = |key: &VerifierKey, why: &str| HomeError::File {
        path: root.to_owned(),
        why: format!("the key of {} {why}", key.name),
    };
    for key in log_keys {
        if let NoteKey::Ed25519Cosignature(_) = key.key {
            return Err(fault(key, "is a witness's, not a log's"));
        }
        if own.iter().any(|own| own.wraps_key_of(key)) {
            return Err(fault(key, "is this witness's own"));
        }
    }
    Ok(())
}
