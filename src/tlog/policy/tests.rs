use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::tlog::cosignature::Cosigner;
use crate::tlog::hash::{EMPTY_ROOT, leaf_hash};
use crate::tlog::mldsa::MlDsaSecretKey;
use crate::tlog::note::{LogSigner, NoteSignature};
use crate::tlog::proof::{TlogProof, TlogProofError};
use crate::tlog::tree::{LeafIndex, TreeSize};

fn signer() -> LogSigner {
    LogSigner::new(
        "ledger.example/log".parse().unwrap(),
        SigningKey::from_bytes(&[1; 32]),
    )
}

fn cosigner(n: u8) -> Cosigner {
    Cosigner::new(
        format!("w{n}.example").parse().unwrap(),
        SigningKey::from_bytes(&[n + 10; 32]),
    )
}

fn now() -> Time {
    Time::from_unix(1_564_581_900).unwrap()
}

fn text(lines: &str) -> String {
    let mut text = format!("log {}\n", signer().verifier());
    for n in 0..4 {
        text.push_str(&format!(
            "witness w{n} {} https://w{n}.example\n",
            cosigner(n).verifier()
        ));
    }
    text + lines
}

fn policy(lines: &str) -> Policy {
    Policy::parse(&text(lines)).unwrap()
}

fn fault(lines: &str) -> String {
    Policy::parse(&text(lines)).unwrap_err().to_string()
}

#[test]
fn policies_are_read_and_written() {
    let lines = "# a comment\n\ngroup a 2 w0 w1 w2\ngroup b any a w3\nquorum b\n";
    let read = policy(lines);
    assert_eq!(Policy::parse(&read.to_string()), Ok(read.clone()));
    assert_eq!(read.witnesses().len(), 4);
    assert_eq!(
        read.witnesses()[1].url.as_deref(),
        Some("https://w1.example")
    );
    let met = |names: &[&str]| read.quorum_met(&names.iter().copied().collect());
    assert!(met(&["w0", "w2"]) && met(&["w3"]) && !met(&["w1"]) && !met(&[]));
}

/// To the specification a name is opaque bytes: what others wrote is read, and none is written like it.
#[test]
fn names_with_hidden_characters_are_read_and_not_made() {
    let name = "w\u{202e}9";
    let key = cosigner(9).verifier();
    let lines = format!("witness {name} {key}\nquorum {name}\n");
    let read = policy(&lines);
    assert_eq!(read.witnesses()[4].name, name);
    assert_eq!(Policy::parse(&read.to_string()), Ok(read));
    PolicyWitness::new("w9".to_owned(), key.clone(), None).unwrap();
    let made = PolicyWitness::new(name.to_owned(), key, None);
    let refused = made.unwrap_err().to_string();
    assert!(refused.contains("U+202E"), "{refused}");
}

#[test]
fn every_fault_names_its_line() {
    for (lines, said) in [
        (
            "quorum nobody\n",
            "line 6 of the policy: `nobody` is not defined",
        ),
        (
            "group a 4 w0 w1\nquorum a\n",
            "line 6 of the policy: `4` of 2 members",
        ),
        ("group a 0 w0 w1\nquorum a\n", "`0` of 2"),
        ("group a 01 w0 w1\nquorum a\n", "`01` of 2"),
        ("group a any\nquorum a\n", "has members"),
        ("group a any w0 w0\nquorum a\n", "`w0` is a member already"),
        (
            "group a any w0\ngroup b any w0\nquorum b\n",
            "line 7 of the policy: `w0` is a member already",
        ),
        ("group w0 any w1\nquorum w0\n", "the name `w0` is taken"),
        (
            "group none any w1\nquorum none\n",
            "the name `none` is taken",
        ),
        (
            "group a any b\ngroup b any w0\nquorum a\n",
            "`b` is not defined above",
        ),
        ("quorum w0\nquorum w1\n", "a second quorum"),
        ("nonsense\n", "`nonsense` with these words"),
        ("quorum\n", "`quorum` with these words"),
        ("\u{1}quorum w0\n", "control character U+0001"),
        ("", "no `quorum` line"),
    ] {
        assert!(fault(lines).contains(said), "{lines:?}: {}", fault(lines));
    }
    let twice = format!("witness again {}\nquorum again\n", cosigner(0).verifier());
    assert!(fault(&twice).contains("named twice"));
    let log_key = format!("witness l {}\nquorum l\n", signer().verifier());
    assert!(fault(&log_key).contains("kind 4"));
    let witness_key = format!("log {}\nquorum w0\n", cosigner(0).verifier());
    assert!(fault(&witness_key).contains("kind 1"));
    // One key under two names: of logs, and of witnesses of either kind.
    let other_name = LogSigner::new(
        "other.example/log".parse().unwrap(),
        SigningKey::from_bytes(&[1; 32]),
    );
    let twice = format!("log {}\nquorum w0\n", other_name.verifier());
    assert!(fault(&twice).contains("named twice"));
    let named = |name: &str| Cosigner::ml_dsa_44(name.parse().unwrap(), ml_dsa_key(0)).verifier();
    let (one, two) = (named("x.example"), named("y.example"));
    let twice = format!("witness x {one}\nwitness y {two}\nquorum w0\n");
    assert!(fault(&twice).contains("line 7 of the policy: this witness's key is named twice"));
    assert_eq!(Policy::parse("quorum none\n"), Err(PolicyError::NoLog));
}

#[test]
fn quorums_of_the_operator_alone_are_refused() {
    assert_eq!(
        policy("quorum none\n").check_independent(),
        Err(PolicyError::NoWitnesses)
    );
    assert_eq!(policy("quorum w0\n").check_independent(), Ok(()));
    let own = |name: &str, key: u8| {
        let own = Cosigner::new(name.parse().unwrap(), SigningKey::from_bytes(&[key; 32]));
        format!("witness own {}\n", own.verifier())
    };
    let same_key = own("elsewhere.example", 1);
    let same_host = own("ledger.example/witness", 99);
    let below = own("witness.ledger.example", 99);
    for own in [same_key, same_host, below] {
        let quorum = |lines: &str| policy(&format!("{own}{lines}")).check_independent();
        assert_eq!(quorum("quorum own\n"), Err(PolicyError::NotIndependent));
        assert_eq!(
            quorum("group g any own w0\nquorum g\n"),
            Err(PolicyError::NotIndependent)
        );
        assert_eq!(quorum("group g all own w0\nquorum g\n"), Ok(()));
    }
    let signer = signer().with_ml_dsa_44(ml_dsa_key(99));
    let key = signer.ml_dsa_44_verifier().unwrap();
    let elsewhere = Cosigner::ml_dsa_44("elsewhere.example".parse().unwrap(), ml_dsa_key(99));
    let own_ml_dsa = format!(
        "log {key}\nwitness own {}\nquorum own\n",
        elsewhere.verifier()
    );
    assert_eq!(
        policy(&own_ml_dsa).check_independent(),
        Err(PolicyError::NotIndependent)
    );
    let like = own("notledger.example", 99);
    assert_eq!(
        policy(&format!("{like}quorum own\n")).check_independent(),
        Ok(())
    );
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: "ledger.example/log".parse().unwrap(),
        size: TreeSize::new(1),
        root: leaf_hash(b"leaf"),
    }
}

fn note(times: &[(u8, i64)]) -> Vec<u8> {
    let checkpoint = checkpoint();
    let mut note = checkpoint.sign(&signer());
    for (n, ago) in times {
        let line = cosigner(*n).cosign(&checkpoint, now().plus_seconds(-ago));
        note.signatures.push(line);
    }
    note.to_bytes()
}

#[test]
fn only_a_fresh_quorum_of_known_witnesses_counts() {
    let policy = policy("group g 2 w0 w1 w2\nquorum g\n");
    let verify = |note: &[u8]| policy.verify_fresh(note, now());
    let witnessed = verify(&note(&[(0, 10), (1, 20), (3, 30)])).unwrap();
    assert_eq!(witnessed.cosignatures.len(), 3);
    assert_eq!(witnessed.time(), Some(now().plus_seconds(-20)));
    assert!(verify(&note(&[(0, 3600), (1, -300)])).is_ok());
    for (times, said) in [
        (vec![(0, 1)], "w1 has not cosigned"),
        (vec![(0, 1), (3, 1)], "w1 has not cosigned"),
        (vec![(0, 1), (1, 3601)], "w1 cosigned at"),
        (vec![(0, 1), (1, -301)], "w1 cosigned at"),
        (vec![(0, 1), (0, 2)], "w1 has not cosigned"),
    ] {
        let error = verify(&note(&times)).unwrap_err().to_string();
        assert!(
            error.contains("quorum is missing") && error.contains(said),
            "{error}"
        );
    }
    // A stranger's line is passed over; a known key's bad one rejects the whole note.
    let stranger = Cosigner::new(
        "x.example".parse().unwrap(),
        SigningKey::from_bytes(&[50; 32]),
    );
    let mut good = Note::parse(&note(&[(0, 1), (1, 1)])).unwrap();
    let line = stranger.cosign(&checkpoint(), now());
    good.signatures.push(line);
    assert!(verify(&good.to_bytes()).is_ok());
    for at in 0..3 {
        let mut bad = good.clone();
        *bad.signatures[at].signature.last_mut().unwrap() ^= 1;
        assert!(
            matches!(
                verify(&bad.to_bytes()),
                Err(PolicyError::Note(NoteError::BadSignature(_)))
            ),
            "{at}"
        );
    }
    let mut unsigned = good.clone();
    unsigned.signatures.remove(0);
    assert_eq!(
        verify(&unsigned.to_bytes()),
        Err(PolicyError::NoLogSignature)
    );
    let other = LogSigner::new(
        "other.example/log".parse().unwrap(),
        SigningKey::from_bytes(&[1; 32]),
    );
    let checkpoint = Checkpoint {
        origin: other.origin().clone(),
        size: TreeSize::new(0),
        root: EMPTY_ROOT,
    };
    let other = checkpoint.sign(&other).to_bytes();
    assert!(matches!(verify(&other), Err(PolicyError::OtherLog(_))));
}

fn ml_dsa_key(n: u8) -> MlDsaSecretKey {
    MlDsaSecretKey::from_seed(&[n + 10; 32])
}

/// The other key of [`cosigner`].
fn ml_dsa_cosigner(n: u8) -> Cosigner {
    Cosigner::ml_dsa_44(cosigner(n).verifier().name, ml_dsa_key(n))
}

/// The lines of [`text`], each with its ML-DSA-44 twin, and groups that take either: `a` to `d`.
fn both_kinds(lines: &str) -> String {
    let signer = signer().with_ml_dsa_44(ml_dsa_key(99));
    let log = signer.ml_dsa_44_verifier().unwrap();
    let mut twins = format!("log {log}\n");
    for (n, group) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let key = ml_dsa_cosigner(n as u8).verifier();
        twins.push_str(&format!(
            "witness p{n} {key}\ngroup {group} any w{n} p{n}\n"
        ));
    }
    text(&(twins + lines))
}

#[test]
fn a_witness_with_two_keys_counts_once() {
    let policy = Policy::parse(&both_kinds("group g 2 a b c\nquorum g\n")).unwrap();
    assert_eq!(Policy::parse(&policy.to_string()), Ok(policy.clone()));
    assert_eq!((policy.logs().len(), policy.origins().len()), (2, 1));
    let note = |ed25519: &[u8], ml_dsa: &[u8]| {
        let mut note = checkpoint().sign(&signer().with_ml_dsa_44(ml_dsa_key(99)));
        let lines = ed25519.iter().map(|n| cosigner(*n));
        let lines = lines.chain(ml_dsa.iter().map(|n| ml_dsa_cosigner(*n)));
        let lines = lines.map(|cosigner| cosigner.cosign(&checkpoint(), now()));
        note.signatures.extend(lines);
        note
    };
    let verify = |note: &Note| policy.verify(&note.to_bytes(), None, None);
    for (ed25519, ml_dsa) in [
        (&[0, 1][..], &[][..]),
        (&[], &[0, 1]),
        (&[0], &[1]),
        (&[0, 1], &[0]),
    ] {
        let witnessed = verify(&note(ed25519, ml_dsa)).unwrap();
        assert_eq!(witnessed.cosignatures.len(), ed25519.len() + ml_dsa.len());
    }
    for (ed25519, ml_dsa) in [(&[0][..], &[0][..]), (&[], &[1]), (&[3], &[2, 3])] {
        let error = verify(&note(ed25519, ml_dsa)).unwrap_err();
        assert!(matches!(error, PolicyError::QuorumMissing(_)), "{error}");
    }
    // A bad line of either kind rejects the whole note, though a quorum stands without it.
    let good = note(&[0, 1, 2], &[0, 1, 2]);
    for at in 0..good.signatures.len() {
        let mut bad = good.clone();
        *bad.signatures[at].signature.last_mut().unwrap() ^= 1;
        let error = verify(&bad).unwrap_err();
        assert!(
            matches!(error, PolicyError::Note(NoteError::BadSignature(_))),
            "{at}"
        );
    }
    // Either of the log's keys will do; neither will not.
    for gone in [0..1, 1..2] {
        let mut one = good.clone();
        one.signatures.drain(gone);
        assert!(verify(&one).is_ok());
    }
    let mut none = good.clone();
    none.signatures.drain(0..2);
    assert_eq!(verify(&none), Err(PolicyError::NoLogSignature));
    // Who knows the Ed25519 keys alone passes over the other lines.
    let ed25519 = Policy::parse(&text("group g 2 w0 w1 w2\nquorum g\n")).unwrap();
    let witnessed = ed25519.verify(&good.to_bytes(), None, None).unwrap();
    assert_eq!(witnessed.cosignatures.len(), 3);
    // Lines of a kind that is not known here are passed over, whosever name they bear.
    let mut strange = good.clone();
    for name in ["ledger.example/log", "w0.example"] {
        strange.signatures.push(NoteSignature {
            name: name.parse().unwrap(),
            key_id: [5; 4],
            signature: vec![5; 500],
        });
    }
    assert!(verify(&strange).is_ok());
    // No cosignature of either kind is looked at on a checkpoint with an extension line.
    let mut extended = good.clone();
    extended.text.push_str("extension\n");
    assert!(matches!(verify(&extended), Err(PolicyError::Checkpoint(_))));
}

#[test]
fn a_cosignature_without_a_time_does_not_count() {
    let policy = Policy::parse(&both_kinds("quorum a\n")).unwrap();
    let mut note = checkpoint().sign(&signer());
    let untimed = ml_dsa_cosigner(0).sign_subtree(&(&checkpoint()).into());
    note.signatures.extend(untimed);
    let verify = |note: &Note| policy.verify(&note.to_bytes(), None, None);
    assert!(matches!(verify(&note), Err(PolicyError::QuorumMissing(_))));
    let timed = cosigner(0).cosign(&checkpoint(), now());
    note.signatures.push(timed);
    assert_eq!(verify(&note).unwrap().cosignatures.len(), 1);
}

#[test]
fn one_witness_fills_one_place() {
    let fault = |lines: &str| Policy::parse(&both_kinds(lines)).map_err(|e| e.to_string());
    // `w0` and `p0` are one witness, and free of a group in this text.
    let free = |lines: &str| {
        let text = both_kinds(lines).replace("group a any w0 p0\n", "");
        Policy::parse(&text).map_err(|e| e.to_string())
    };
    assert!(fault("group g 2 a b\nquorum g\n").is_ok());
    for twice in [
        "group g 2 w0 p0 b\nquorum g\n",
        "group g all w0 p0 b\nquorum g\n",
        "group h any p0 b\ngroup g 2 w0 h\nquorum g\n",
    ] {
        let fault = free(twice).unwrap_err();
        assert!(
            fault.contains("the keys of w0.example would count"),
            "{fault}"
        );
    }
    // A reader may ask for both keys of one witness, and for one way or another.
    for fine in [
        "group g all w0 p0\nquorum g\n",
        "group h all w0 p0\ngroup g 2 h b\nquorum g\n",
        "group g any w0 p0 b\nquorum g\n",
    ] {
        assert!(free(fine).is_ok(), "{fine}: {:?}", free(fine));
    }
}

#[test]
fn a_checkpoint_has_the_latest_time_that_a_quorum_vouches_for() {
    let policy = Policy::parse(&both_kinds("group g 2 a b c\nquorum g\n")).unwrap();
    let mut note = checkpoint().sign(&signer());
    // Two keys of one witness do not make a quorum of two.
    for (cosigner, ago) in [
        (cosigner(0), 10),
        (ml_dsa_cosigner(0), 5),
        (cosigner(1), 20),
        (cosigner(2), 30),
    ] {
        let line = cosigner.cosign(&checkpoint(), now().plus_seconds(-ago));
        note.signatures.push(line);
    }
    let witnessed = policy.verify(&note.to_bytes(), None, None).unwrap();
    assert_eq!(witnessed.time(), Some(now().plus_seconds(-20)));
}

/// When witnesses of a group that needs `threshold` cosigned, in seconds before now; the time of the
/// checkpoint, and the first and the last time of logging about which it says something.
#[test]
fn one_slow_witness_accuses_nobody_and_a_quorum_does() {
    let at = |ago: i64| now().plus_seconds(-ago);
    for (threshold, ago, time, ahead_of) in [
        (1, vec![0], 0, 0),
        // A median of these would be 50 minutes old, and every entry ahead of it.
        (2, vec![0, 3000, 10], 10, 10),
        (2, vec![0, -3000, 10], 0, 0),
        (3, vec![0, 3000, 10], 3000, 0),
        // Either alone is a quorum here, so that the earlier one is believed about what it saw.
        (1, vec![0, 3000], 0, 3000),
        (2, vec![0, 3000], 3000, 0),
    ] {
        let text = format!("group g {threshold} w0 w1 w2\nquorum g\n");
        let cosigned: Vec<(u8, i64)> = (0..).zip(ago).collect();
        let witnessed = policy(&text).verify(&note(&cosigned), None, None).unwrap();
        let said = format!("{threshold} of {cosigned:?}");
        assert_eq!(witnessed.time(), Some(at(time)), "{said}");
        assert_eq!(witnessed.check_counts_for(at(time - MAX_AHEAD)), Ok(()));
        let (logged_at, time) = (at(time - MAX_AHEAD - 1), at(time));
        let not_yet = Err(PolicyError::NotYet { logged_at, time });
        assert_eq!(witnessed.check_counts_for(logged_at), not_yet, "{said}");
        assert!(!witnessed.shows_ahead(at(ahead_of - MAX_AHEAD)), "{said}");
        assert!(
            witnessed.shows_ahead(at(ahead_of - MAX_AHEAD - 1)),
            "{said}"
        );
        assert!(
            !witnessed.shows_behind(time.plus_seconds(-MAX_BEHIND)),
            "{said}"
        );
        assert!(
            witnessed.shows_behind(time.plus_seconds(-MAX_BEHIND - 1)),
            "{said}"
        );
    }
}

#[test]
fn a_cosignature_whose_time_cannot_be_written_counts_for_nothing_and_rejects_nothing() {
    let policy = Policy::parse(&both_kinds("group g 2 a b c\nquorum g\n")).unwrap();
    for seconds in [253_370_764_800, 253_402_300_799, u64::MAX] {
        let mut note = checkpoint().sign(&signer());
        for cosigner in [cosigner(2), ml_dsa_cosigner(1)] {
            note.signatures
                .push(cosigner.cosign_at(&checkpoint(), seconds));
        }
        note.signatures
            .push(cosigner(0).cosign(&checkpoint(), now()));
        let missing = policy.verify(&note.to_bytes(), None, None).unwrap_err();
        assert!(
            matches!(missing, PolicyError::QuorumMissing(_)),
            "{missing}"
        );
        note.signatures
            .push(cosigner(1).cosign(&checkpoint(), now()));
        let witnessed = policy.verify(&note.to_bytes(), None, Some(now())).unwrap();
        assert_eq!(witnessed.cosignatures.len(), 2, "{seconds}");
        assert_eq!(witnessed.time(), Some(now()));
    }
}

#[test]
fn a_policy_made_of_lines_joins_the_keys_of_a_witness() {
    let log = |key| PolicyLog { key, url: None };
    let witness = |name: &str, cosigner: Cosigner| PolicyWitness {
        name: name.to_owned(),
        key: cosigner.verifier(),
        url: None,
    };
    let signer = signer().with_ml_dsa_44(ml_dsa_key(99));
    let policy = Policy::of(
        vec![
            log(signer.verifier()),
            log(signer.ml_dsa_44_verifier().unwrap()),
        ],
        vec![
            witness("w0", cosigner(0)),
            witness("w1", cosigner(1)),
            witness("p0", ml_dsa_cosigner(0)),
        ],
        2,
    )
    .unwrap();
    let text = policy.to_string();
    let end = "group any-key-of-w0.example 1 w0 p0\ngroup witnesses 2 any-key-of-w0.example w1\n\
               quorum witnesses\n";
    assert!(text.ends_with(end), "{text}");
    assert_eq!(policy.check_independent(), Ok(()));
}

#[test]
fn proofs_hold_for_their_leaf_alone() {
    let policy = policy("group g 2 w0 w1 w2\nquorum g\n");
    let proof = TlogProof {
        extra: Some(b"leaf".to_vec()),
        index: LeafIndex::new(0),
        hashes: Vec::new(),
        checkpoint: note(&[(0, 1), (1, 1)]),
    };
    let file = proof.to_text();
    assert_eq!(TlogProof::parse(file.as_bytes()), Ok(proof.clone()));
    assert!(proof.verify(b"leaf", &policy, None, None).is_ok());
    let refused =
        |proof: &TlogProof, leaf: &[u8]| proof.verify(leaf, &policy, None, None).unwrap_err();
    assert!(matches!(
        refused(&proof, b"other"),
        TlogProofError::Inclusion(_)
    ));
    let moved = TlogProof {
        index: LeafIndex::new(1),
        ..proof.clone()
    };
    assert!(matches!(
        refused(&moved, b"leaf"),
        TlogProofError::Inclusion(_)
    ));
    let unwitnessed = TlogProof {
        checkpoint: note(&[(0, 1)]),
        ..proof.clone()
    };
    assert!(matches!(
        refused(&unwitnessed, b"leaf"),
        TlogProofError::Policy(_)
    ));
    let plain = TlogProof {
        extra: None,
        ..proof
    };
    assert_eq!(TlogProof::parse(plain.to_text().as_bytes()), Ok(plain));
    for (from, to) in [
        ("c2sp.org/tlog-proof@v1\n", ""),
        ("index 0", "index 00"),
        ("index 0", "index -1"),
        ("index 0\n", "index 0\nx\n"),
        ("extra ", "extra  "),
        ("\n\n", "\n"),
        ("@v1", "@v2"),
    ] {
        let altered = file.replacen(from, to, 1);
        assert!(
            TlogProof::parse(altered.as_bytes()).is_err(),
            "{from} → {to}"
        );
    }
}

/// Whether a quorum is met, reckoned from the text of the lines alone.
fn met_by_hand(lines: &str, quorum: &str, have: &BTreeSet<&str>) -> bool {
    let group = lines
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|w| w[1] == quorum);
    match group {
        None => have.contains(quorum),
        Some(words) => {
            let met = words[3..]
                .iter()
                .filter(|m| met_by_hand(lines, m, have))
                .count();
            met >= words[2].parse().unwrap()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn quorums_are_reckoned_as_by_hand(split in 1usize..4, a in 1usize..4, b in 1usize..4, c in 1usize..3, have in 0u8..16) {
        let names = ["w0", "w1", "w2", "w3"];
        let (left, right) = names.split_at(split);
        let lines = format!(
            "group a {} {}\ngroup b {} {}\ngroup c {c} a b\n",
            a.min(left.len()), left.join(" "), b.min(right.len()), right.join(" "),
        );
        let policy = policy(&format!("{lines}quorum c\n"));
        let have: BTreeSet<&str> = names.into_iter().enumerate().filter(|(i, _)| have >> i & 1 == 1).map(|(_, n)| n).collect();
        prop_assert_eq!(policy.quorum_met(&have), met_by_hand(&lines, "c", &have));
    }

    #[test]
    fn no_text_makes_it_panic(noise in "(log|witness|group|quorum|#| |\t|[a-z0-9+]{0,5}|\n){0,20}") {
        if let Ok(policy) = Policy::parse(&text(&noise)) {
            prop_assert_eq!(Policy::parse(&policy.to_string()), Ok(policy));
        }
        let _ = TlogProof::parse(noise.as_bytes());
        let _ = crate::tlog::witness::AddCheckpoint::parse(noise.as_bytes());
    }
}
