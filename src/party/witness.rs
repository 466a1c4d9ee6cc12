//! A witness: cosigns a log's checkpoint if it extends the one cosigned last.
//!
//! Holds one key and, for each log, the whole note cosigned last, replaced durably before any answer
//! goes out. Spec: [tlog-witness](https://c2sp.org/tlog-witness). HTTP is [`crate::http::witness`].

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::home::{HomeError, key_path, new_key, read_key, write_key};
use crate::digest::Digest;
use crate::store::StoreError;
use crate::store::files::{Access, Files};
use crate::store::lock::DataLock;
use crate::store::objects::Objects as _;
use crate::time::Time;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::cosignature::Cosigner;
use crate::tlog::note::{KeyName, Note, NoteSignature, VerifierKey};
use crate::tlog::witness::{AddCheckpoint, WitnessRefusal, authenticate, judge};

const NAME: &str = "witness.name";

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub enum CosignError {
    #[error(transparent)]
    Refused(#[from] WitnessRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A running witness.
pub struct Witness {
    cosigner: Cosigner,
    logs: Vec<VerifierKey>,
    /// `<hex SHA-256 of the origin>/checkpoint`.
    notes: Files,
    /// Checking and storing is one step: two requests from one size must not both pass.
    turn: Mutex<()>,
    _lock: DataLock,
}

impl Witness {
    /// Makes a witness's folder and key; what verifies its cosignatures.
    ///
    /// # Errors
    /// If there is one already.
    pub fn init(root: &Path, name: KeyName) -> Result<VerifierKey, HomeError> {
        let file = |source: std::io::Error| HomeError::File {
            path: root.to_owned(),
            why: source.to_string(),
        };
        if root.join(NAME).exists() {
            return Err(HomeError::Exists(root.to_owned()));
        }
        fs::create_dir_all(root.join("keys")).map_err(file)?;
        let key = new_key();
        write_key(&key_path(root, "witness"), &key)?;
        fs::write(root.join(NAME), format!("{name}\n")).map_err(file)?;
        Ok(Cosigner::new(name, key).verifier())
    }

    /// Opens a witness's folder, to cosign for `logs`.
    ///
    /// # Errors
    /// If there is no witness, or another process runs it.
    pub fn open(root: &Path, logs: Vec<VerifierKey>) -> Result<Self, HomeError> {
        let name = fs::read_to_string(root.join(NAME));
        let name = name.map_err(|_| HomeError::Missing(root.to_owned()))?;
        let name = name.trim_end().parse().map_err(|error| HomeError::File {
            path: root.join(NAME),
            why: format!("{error}"),
        })?;
        let lock = DataLock::acquire(root)?;
        Ok(Self {
            cosigner: Cosigner::new(name, read_key(&key_path(root, "witness"))?),
            logs,
            notes: Files::open(&root.join("logs"), &root.join("staging"), Access::Public)?,
            turn: Mutex::new(()),
            _lock: lock,
        })
    }

    /// What verifies its cosignatures.
    pub fn verifier(&self) -> VerifierKey {
        self.cosigner.verifier()
    }

    /// Cosigns the checkpoint of a request, after it is durable that it was the last one.
    ///
    /// # Errors
    /// [`WitnessRefusal`] with the status of the spec, or the store's.
    pub fn add_checkpoint(&self, body: &[u8], now: Time) -> Result<NoteSignature, CosignError> {
        let request = AddCheckpoint::parse(body)?;
        let (note, checkpoint) = authenticate(&request, &self.logs)?;
        let path = note_path(checkpoint.origin.as_str());
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.last(&path)?;
        judge(&request, &checkpoint, last.as_ref())?;
        let cosignature = self.cosigner.cosign(&checkpoint, now);
        let mut cosigned = note;
        cosigned.signatures.push(cosignature.clone());
        self.notes.replace(&path, &cosigned.to_bytes())?;
        Ok(cosignature)
    }

    fn last(&self, path: &str) -> Result<Option<Checkpoint>, StoreError> {
        let Some(bytes) = self.notes.read(path)? else {
            return Ok(None);
        };
        let damaged = |why: String| StoreError::Damaged(format!("logs/{path}: {why}"));
        let note = Note::parse(&bytes).map_err(|e| damaged(e.to_string()))?;
        let last = Checkpoint::parse(&note.text).map_err(|e| damaged(e.to_string()))?;
        Ok(Some(last))
    }

    /// The note cosigned last for the log whose origin has this SHA-256, in hexadecimal.
    ///
    /// # Errors
    /// The store's.
    pub fn last_note(&self, origin_sha256: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.notes.read(&format!("{origin_sha256}/checkpoint"))
    }
}

fn note_path(origin: &str) -> String {
    format!("{}/checkpoint", Digest::of(origin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::cosignature;
    use crate::tlog::hash::leaf_hash;
    use crate::tlog::note::LogSigner;
    use crate::tlog::tree::{Frontier, TreeSize};

    fn now() -> Time {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn signer() -> LogSigner {
        let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        LogSigner::new("ledger.example/log".parse().unwrap(), key)
    }

    fn checkpoint(leaves: &[&str]) -> Vec<u8> {
        let mut tree = Frontier::new();
        leaves
            .iter()
            .for_each(|leaf| tree.push(leaf_hash(leaf.as_bytes())));
        Checkpoint {
            origin: "ledger.example/log".parse().unwrap(),
            size: tree.size(),
            root: tree.root(),
        }
        .sign(&signer())
        .to_bytes()
    }

    fn request(old: u64, proof: Vec<crate::tlog::hash::Hash>, note: Vec<u8>) -> Vec<u8> {
        AddCheckpoint {
            old: TreeSize::new(old),
            proof,
            note,
        }
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_witness_never_cosigns_two_histories() {
        let folder = tempfile::tempdir().unwrap();
        Witness::init(folder.path(), "newsroom.example".parse().unwrap()).unwrap();
        let open = || Witness::open(folder.path(), vec![signer().verifier()]).unwrap();
        let status = |result: Result<NoteSignature, CosignError>| match result {
            Ok(_) => 200,
            Err(CosignError::Refused(refusal)) => refusal.status(),
            Err(CosignError::Store(error)) => panic!("{error}"),
        };
        let witness = open();
        let one = checkpoint(&["a"]);
        let line = witness
            .add_checkpoint(&request(0, vec![], one.clone()), now())
            .unwrap();
        let text = Note::parse(&one).unwrap().text;
        let seen = Checkpoint::parse(&text).unwrap();
        assert_eq!(
            cosignature::verify(&witness.verifier(), &seen, &line),
            Ok(now())
        );
        drop(witness);

        // After a restart it still knows what it cosigned.
        let witness = open();
        let two = checkpoint(&["a", "b"]);
        let add =
            |old, proof, note| status(witness.add_checkpoint(&request(old, proof, note), now()));
        assert_eq!(add(0, vec![], two.clone()), 409);
        assert_eq!(add(1, vec![leaf_hash(b"x")], two.clone()), 422);
        assert_eq!(add(1, vec![leaf_hash(b"b")], two.clone()), 200);
        assert_eq!(add(2, vec![], two), 200, "renewed");
        assert_eq!(add(2, vec![], checkpoint(&["a", "c"])), 422, "a fork");
        assert_eq!(add(1, vec![], one), 409, "a rollback");
        let digest = Digest::of("ledger.example/log");
        let last = witness.last_note(&digest).unwrap().unwrap();
        assert_eq!(Note::parse(&last).unwrap().signatures.len(), 2);
        assert!(
            Witness::open(folder.path(), vec![]).is_err(),
            "one process at a time"
        );
    }
}
