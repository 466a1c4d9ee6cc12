use ed25519_dalek::SigningKey;

use super::*;
use crate::tlog::cosignature::Cosigner;
use crate::tlog::hash::leaf_hash;
use crate::tlog::mldsa::MlDsaSecretKey;
use crate::tlog::note::LogSigner;

fn signer() -> LogSigner {
    let key = SigningKey::from_bytes(&[1; 32]);
    let signer = LogSigner::new("ledger.example/log".parse().unwrap(), key);
    signer.with_ml_dsa_44(MlDsaSecretKey::from_seed(&[2; 32]))
}

fn keys() -> Vec<VerifierKey> {
    let signer = signer();
    vec![signer.verifier(), signer.ml_dsa_44_verifier().unwrap()]
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: "ledger.example/log".parse().unwrap(),
        size: TreeSize::new(7),
        root: leaf_hash(b"root"),
    }
}

fn request(note: &Note) -> AddCheckpoint {
    AddCheckpoint {
        old: TreeSize::new(5),
        proof: vec![leaf_hash(b"node"); 3],
        note: note.to_bytes(),
    }
}

/// What comes of a note: the number of lines kept, or the status.
fn lines_kept(note: &Note, keys: &[VerifierKey]) -> Result<usize, u16> {
    let kept = authenticate(&request(note), keys);
    kept.map(|(note, _)| note.signatures.len())
        .map_err(|refusal| refusal.status())
}

#[test]
fn a_request_is_read_as_it_was_written() {
    let written = request(&checkpoint().sign(&signer()));
    let read = AddCheckpoint::parse(written.to_string().as_bytes());
    assert_eq!(read, Ok(written));
}

#[test]
fn the_largest_request_of_the_specification_fits() {
    let mut note = checkpoint().sign(&signer());
    let seen = "2026-01-01T00:00:00Z".parse().unwrap();
    for n in note.signatures.len()..16 {
        let name = format!("witness-{n}.example").parse().unwrap();
        let key = MlDsaSecretKey::from_seed(&[n as u8; 32]);
        let line = Cosigner::ml_dsa_44(name, key).cosign(&checkpoint(), seen);
        note.signatures.push(line);
    }
    let mut largest = request(&note);
    largest.proof = vec![leaf_hash(b"node"); MAX_HASHES];
    let parsed = AddCheckpoint::parse(largest.to_string().as_bytes()).unwrap();
    let (note, _) = authenticate(&parsed, &keys()).unwrap();
    assert_eq!(
        note.signatures.len(),
        2,
        "the log's own are kept, no others"
    );
}

#[test]
fn lines_of_known_keys_must_hold_and_others_are_passed_over() {
    let note = checkpoint().sign(&signer());
    let [ed25519, ml_dsa] = &keys()[..] else {
        panic!("two keys");
    };
    assert_eq!(lines_kept(&note, &keys()), Ok(2));
    assert_eq!(lines_kept(&note, std::slice::from_ref(ed25519)), Ok(1));
    assert_eq!(lines_kept(&note, std::slice::from_ref(ml_dsa)), Ok(1));
    assert_eq!(lines_kept(&note, &[]), Err(404));
    for place in [0, 1] {
        let mut note = note.clone();
        *note.signatures[place].signature.last_mut().unwrap() ^= 1;
        assert_eq!(lines_kept(&note, &keys()), Err(403), "one of the two fails");
        note.signatures[place].key_id = *b"GREA";
        assert_eq!(lines_kept(&note, &keys()), Ok(1), "an unknown key");
        note.signatures.remove(1 - place);
        assert_eq!(
            lines_kept(&note, &keys()),
            Err(403),
            "nothing but unknown keys"
        );
    }
}

#[test]
fn extension_lines_are_malformed_and_of_unknown_logs_nothing_is_asked() {
    let text = format!("{}extension\n", checkpoint().body());
    let signatures = vec![signer().sign(&text)];
    let note = Note { text, signatures };
    assert_eq!(lines_kept(&note, &keys()), Err(400));
    let text = "go.sum database tree\nsize\nroot\n".to_owned();
    let signatures = vec![signer().sign(&text)];
    assert_eq!(lines_kept(&Note { text, signatures }, &keys()), Err(404));
}

#[test]
fn the_first_fault_in_the_order_of_the_specification_is_told() {
    let at = |size, root| Checkpoint {
        size: TreeSize::new(size),
        root,
        ..checkpoint()
    };
    let (root, other) = (leaf_hash(b"root"), leaf_hash(b"other"));
    let node = leaf_hash(b"node");
    for (old, proof, new, last, status) in [
        // Larger than the checkpoint, and not the last size either.
        (8, vec![], at(7, root), Some(at(5, root)), 400),
        // Not the last size, and no proof either.
        (6, vec![node], at(7, root), Some(at(5, root)), 409),
        (0, vec![node], at(7, root), Some(at(5, root)), 409),
        (5, vec![node], at(7, root), None, 409),
        // A size of 0 has one root.
        (0, vec![], at(0, root), None, 422),
        (0, vec![], at(0, EMPTY_ROOT), None, 200),
        (0, vec![], at(0, EMPTY_ROOT), Some(at(0, EMPTY_ROOT)), 200),
        (0, vec![node], at(7, root), None, 422),
        (0, vec![node], at(0, EMPTY_ROOT), None, 422),
        (0, vec![], at(7, root), None, 200),
        (7, vec![], at(7, other), Some(at(7, root)), 409),
        (7, vec![node], at(7, root), Some(at(7, root)), 422),
        (7, vec![], at(7, root), Some(at(7, root)), 200),
        (5, vec![], at(7, root), Some(at(5, root)), 422),
        (5, vec![node; 3], at(7, root), Some(at(5, root)), 422),
    ] {
        let request = AddCheckpoint {
            old: TreeSize::new(old),
            proof,
            note: vec![],
        };
        let judged = judge(&request, &new, last.as_ref());
        let found = judged.map_or_else(|refusal| refusal.status(), |()| 200);
        assert_eq!(found, status, "{old} to {new:?} after {last:?}");
    }
}
