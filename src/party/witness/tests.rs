use std::fs;

use super::*;
use crate::tlog::hash::leaf_hash;
use crate::tlog::note::LogSigner;
use crate::tlog::subtree::SignSubtree;
use crate::tlog::tree::{Frontier, TreeSize};

const ORIGIN: &str = "ledger.example/log";

fn now() -> Time {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn signer() -> LogSigner {
    let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    LogSigner::new(ORIGIN.parse().unwrap(), key)
}

fn checkpoint(leaves: &[&str]) -> Note {
    let mut tree = Frontier::new();
    let leaves = leaves.iter().map(|leaf| leaf_hash(leaf.as_bytes()));
    leaves.for_each(|leaf| tree.push(leaf));
    Checkpoint {
        origin: ORIGIN.parse().unwrap(),
        size: tree.size(),
        root: tree.root(),
    }
    .sign(&signer())
}

fn request(old: u64, proof: &[Hash], note: &Note) -> Vec<u8> {
    let request = AddCheckpoint {
        old: TreeSize::new(old),
        proof: proof.to_vec(),
        note: note.to_bytes(),
    };
    request.to_string().into_bytes()
}

fn status<T>(result: Result<T, CosignError>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(CosignError::Refused(refusal)) => refusal.status(),
        Err(error) => panic!("{error}"),
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Witness::init(folder.path(), "newsroom.example".parse().unwrap()).unwrap();
        Self(folder)
    }

    fn open(&self) -> Witness {
        Witness::open(self.0.path(), vec![signer().verifier()]).unwrap()
    }
}

fn folder() -> Digest {
    Digest::of(ORIGIN)
}

#[test]
fn a_witness_has_a_name_that_people_see() {
    let folder = tempfile::tempdir().unwrap();
    let made = Witness::init(folder.path(), "news\u{202e}.example".parse().unwrap());
    let refused = made.unwrap_err().to_string();
    assert!(refused.contains("U+202E"), "{refused}");
    assert!(!folder.path().join("keys").exists());
}

#[test]
fn a_witness_never_cosigns_two_histories() {
    let place = Place::new();
    let witness = place.open();
    assert_eq!(witness.last(&folder()), None);
    let one = checkpoint(&["a"]);
    let lines = witness.add_checkpoint(&request(0, &[], &one), now());
    let seen = Checkpoint::parse(&one.text).unwrap();
    let lines = lines.unwrap();
    assert_eq!(lines.len(), 2, "one by each key");
    for (key, line) in witness.verifiers().iter().zip(&lines) {
        assert_eq!(cosignature::verify(key, &seen, line), Ok(now()));
    }
    drop(witness);

    // After a restart it still knows what it cosigned.
    let witness = place.open();
    let two = checkpoint(&["a", "b"]);
    let add = |old, proof: &[Hash], note: &Note| {
        status(witness.add_checkpoint(&request(old, proof, note), now()))
    };
    assert_eq!(add(0, &[], &two), 409);
    assert_eq!(add(1, &[leaf_hash(b"x")], &two), 422);
    assert_eq!(add(1, &[leaf_hash(b"b")], &two), 200);
    assert_eq!(add(2, &[], &two), 200, "renewed");
    assert_eq!(add(2, &[], &checkpoint(&["a", "c"])), 409, "a fork");
    assert_eq!(add(1, &[], &one), 409, "a rollback");
    let last = witness.last(&folder()).unwrap();
    assert_eq!(last.note.signatures.len(), 3);
    let second = Witness::open(place.0.path(), vec![]);
    assert!(second.is_err(), "one process at a time");
}

#[test]
fn lines_by_others_are_never_shown_again() {
    let place = Place::new();
    let witness = place.open();
    let mut note = checkpoint(&["a"]);
    let own = witness.verifiers()[0].clone();
    for (name, key_id) in [(own.name.clone(), own.id()), (own.name, *b"GREA")] {
        note.signatures.push(NoteSignature {
            name,
            key_id,
            signature: vec![7; 72],
        });
    }
    let body = request(0, &[], &note);
    witness.add_checkpoint(&body, now()).unwrap();
    let shown = &witness.last(&folder()).unwrap().note;
    assert_eq!(shown.signatures.len(), 3);
    let checkpoint = Checkpoint::parse(&shown.text).unwrap();
    assert_eq!(checkpoint.is_cosigned(shown, witness.verifiers()), Ok(true));
}

#[test]
fn a_folder_made_before_ml_dsa_goes_on_with_one_key() {
    let place = Place::new();
    fs::remove_file(key_path(place.0.path(), ML_DSA_44)).unwrap();
    let witness = place.open();
    let note = checkpoint(&["a"]);
    let lines = witness.add_checkpoint(&request(0, &[], &note), now());
    assert_eq!(lines.unwrap().len(), 1);
    let refused = witness.sign_subtree(b"");
    assert!(matches!(refused, Err(CosignError::NoSubtrees)));
}

#[test]
fn what_must_not_be_opened_is_not() {
    let place = Place::new();
    let witness = place.open();
    let body = request(0, &[], &checkpoint(&["a"]));
    witness.add_checkpoint(&body, now()).unwrap();
    let own = witness.verifiers().to_vec();
    drop(witness);
    for key in own {
        assert!(Witness::open(place.0.path(), vec![key]).is_err(), "its own");
    }
    // A log whose key was taken away is shown as it was, and no longer cosigned.
    let witness = Witness::open(place.0.path(), vec![]).unwrap();
    assert!(witness.last(&folder()).is_some());
    assert_eq!(status(witness.add_checkpoint(&body, now())), 404);
    let logs = witness.logs().unwrap();
    assert_eq!((logs.len(), logs[0].known), (1, false));
    drop(witness);

    let path = place.0.path().join(format!("logs/{}/checkpoint", folder()));
    let note = fs::read_to_string(&path).unwrap();
    for damage in [
        note.replace(ORIGIN, "other.example/log"),
        note[..note.len() / 2].to_owned(),
        String::new(),
    ] {
        fs::write(&path, damage).unwrap();
        let why = match Witness::open(place.0.path(), vec![signer().verifier()]) {
            Err(HomeError::Store(StoreError::Damaged(why))) => why,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("a damaged checkpoint is opened"),
        };
        assert!(why.contains("checkpoint"), "{why}");
    }
}

#[test]
fn a_clock_before_1970_signs_nothing() {
    let place = Place::new();
    let witness = place.open();
    let body = request(0, &[], &checkpoint(&["a"]));
    let at = |seconds| witness.add_checkpoint(&body, Time::from_unix(seconds).unwrap());
    assert!(matches!(at(0), Err(CosignError::Clock)));
    assert!(matches!(at(-5), Err(CosignError::Clock)));
    assert_eq!(witness.last(&folder()), None);
    assert!(at(1).is_ok());
}

#[test]
fn a_subtree_is_signed_by_ml_dsa_without_a_time() {
    let place = Place::new();
    let witness = place.open();
    let note = checkpoint(&["a", "b", "c"]);
    let body = request(0, &[], &note);
    witness.add_checkpoint(&body, now()).unwrap();
    let cosigned = witness.last(&folder()).unwrap();
    let ab = crate::tlog::hash::node_hash(&leaf_hash(b"a"), &leaf_hash(b"b"));
    let good = SignSubtree {
        start: 2,
        end: 3,
        hash: leaf_hash(b"c"),
        proof: vec![ab],
        note: cosigned.note.clone(),
        checkpoint: cosigned.checkpoint.clone(),
    };
    let sign = |request: &SignSubtree| witness.sign_subtree(request.to_string().as_bytes());
    let line = sign(&good).unwrap();
    let key = &witness.verifiers()[1];
    let signed = cosignature::verify_subtree(key, &good.subtree(), &line);
    assert_eq!(signed, Ok(None), "no time");
    // The line itself is a cosignature of its own, where it is of a whole tree.
    let mut whole = SignSubtree {
        start: 0,
        hash: cosigned.checkpoint.root,
        proof: vec![],
        ..good.clone()
    };
    whole.note.signatures = vec![sign(&whole).unwrap()];
    assert_eq!(status(sign(&whole)), 200);

    let with = |change: &dyn Fn(&mut SignSubtree)| {
        let mut request = good.clone();
        change(&mut request);
        status(sign(&request))
    };
    assert_eq!(with(&|r| r.hash = leaf_hash(b"d")), 422);
    assert_eq!(with(&|r| r.proof.clear()), 422);
    assert_eq!(with(&|r| r.end = 4), 400);
    assert_eq!(with(&|r| r.start = 1), 400);
    assert_eq!(with(&|r| r.note = note.clone()), 403);
    assert_eq!(
        with(&|r| r.note.signatures.truncate(2)),
        200,
        "Ed25519 alone"
    );
    assert_eq!(with(&|r| r.note.signatures[1].signature[0] ^= 1), 403);
    let elsewhere = good.note.text.replace(ORIGIN, "other.example/log");
    assert_eq!(with(&|r| r.note.text = elsewhere.clone()), 404);
}

/// What is kept when a log contradicts itself, and only then.
#[test]
fn contradictions_are_kept_as_evidence_and_not_without_end() {
    let place = Place::new();
    let witness = place.open();
    let add = |old, proof: &[Hash], leaves: &[&str]| {
        status(witness.add_checkpoint(&request(old, proof, &checkpoint(leaves)), now()))
    };
    let kept = || {
        let numbers = 1..=u8::MAX;
        let read = numbers.map_while(|n| witness.evidence(&folder(), n).unwrap());
        read.collect::<Vec<_>>()
    };
    assert_eq!(add(0, &[], &["a", "b", "c"]), 200);
    // Faults that contradict nothing: a proof that leads nowhere, a conflict, a rollback.
    assert_eq!(add(3, &[leaf_hash(b"x"); 3], &["a", "b", "c", "d"]), 422);
    assert_eq!(add(2, &[], &["a", "b", "c", "d"]), 409);
    assert_eq!(add(2, &[], &["a", "b"]), 409);
    assert_eq!(kept().len(), 0);

    let keys = [signer().verifier()];
    assert_eq!(add(3, &[], &["a", "b", "x"]), 409, "another root");
    assert_eq!(
        add(0, &[], &["a", "b", "x"]),
        409,
        "the same, asked otherwise"
    );
    assert_eq!(kept().len(), 1);
    assert_eq!(add(0, &[], &["a", "b", "y"]), 409, "evidence all the same");
    // The proof that the log's own other history gives.
    let ab = crate::tlog::hash::node_hash(&leaf_hash(b"a"), &leaf_hash(b"b"));
    let proof = [leaf_hash(b"z"), leaf_hash(b"d"), ab];
    assert_eq!(add(3, &proof, &["a", "b", "z", "d"]), 422);
    let proved: Vec<_> = kept()
        .iter()
        .map(|bytes| Evidence::parse(bytes).unwrap().verify(&keys).unwrap())
        .collect();
    let sizes = proved
        .iter()
        .map(|p| (p.earlier.size.as_u64(), p.later.size.as_u64()));
    assert_eq!(sizes.collect::<Vec<_>>(), [(3, 3), (3, 3), (3, 4)]);
    for leaf in ["e", "f", "g", "h"] {
        assert_eq!(add(3, &[], &["a", "b", leaf]), 409);
    }
    assert_eq!(kept().len(), usize::from(MAX_EVIDENCE_FILES));
    assert_eq!(witness.logs().unwrap()[0].evidence, kept().len());
    // It goes on with the history that it has cosigned.
    let proof = [leaf_hash(b"c"), leaf_hash(b"d"), ab];
    assert_eq!(add(3, &proof, &["a", "b", "c", "d"]), 200);
}

/// Many at once from one size: one history comes out, whoever wins.
#[test]
fn of_many_at_once_one_history_is_cosigned() {
    let place = Place::new();
    let witness = place.open();
    let body = request(0, &[], &checkpoint(&["a"]));
    witness.add_checkpoint(&body, now()).unwrap();
    let leaves: Vec<String> = (0..32).map(|n| n.to_string()).collect();
    let cosigned: Vec<bool> = std::thread::scope(|scope| {
        let add = |leaf: &str| {
            let note = checkpoint(&["a", leaf]);
            let body = request(1, &[leaf_hash(leaf.as_bytes())], &note);
            status(witness.add_checkpoint(&body, now())) == 200
        };
        let threads: Vec<_> = leaves
            .iter()
            .map(|leaf| scope.spawn(move || add(leaf)))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(cosigned.iter().filter(|cosigned| **cosigned).count(), 1);
    let winner = leaves
        .iter()
        .zip(&cosigned)
        .find(|(_, cosigned)| **cosigned);
    let last = witness.last(&folder()).unwrap();
    assert_eq!(last.note.text, checkpoint(&["a", winner.unwrap().0]).text);
}
