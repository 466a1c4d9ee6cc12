use super::*;
use crate::seal::batch::Batch;
use crate::seal::commitment::decision_opening;
use crate::statement::kinds::commitment_batch::CommitmentBatch;
use crate::statement::kinds::decision::{Answer, Decision};
use crate::statement::testing::{ORIGIN, Voice, World, key, operator_officer, resident};
use crate::statement::{Author, sign};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::cosignature::Cosigner;
use crate::tlog::hash::leaf_hash;
use crate::tlog::note::LogSigner;
use crate::tlog::policy::{PolicyLog, PolicyWitness};
use crate::tlog::tree::TreeSize;

fn envelope(statement: impl Into<Statement>, voice: &Voice, log: &str) -> Envelope {
    let world = World::at(crate::statement::testing::Stage::Empty);
    let mut head = world.head(&voice.author);
    head.log = log.to_owned();
    let keys: Vec<_> = voice.keys.iter().map(|name| key(name)).collect();
    sign(&head, &statement.into(), &keys.iter().collect::<Vec<_>>())
}

fn to_value(envelope: &Envelope) -> serde_json::Value {
    serde_json::from_slice(&envelope.to_json()).unwrap()
}

fn request() -> StatementId {
    StatementId::from_bytes([5; 32])
}

fn denied(request: StatementId) -> Decision {
    Decision {
        request,
        decision: Answer::Denied,
    }
}

/// A file whose batch stands alone in a log, and the policy of that log.
fn proved() -> (DecisionFile, Policy) {
    let opening = decision_opening(&[7; 32], &request());
    let commitment = Commitment::of(&opening);
    let mut n = 0;
    let batch = Batch::new([commitment], || {
        n += 1;
        *Digest::of([n]).as_bytes()
    });
    let statement = CommitmentBatch {
        root: batch.root(),
        size: 64,
    };
    let logged = envelope(statement, &operator_officer(), ORIGIN);
    let leaf = Leaf {
        logged_at: "2019-07-31T14:05:00Z".parse().unwrap(),
        envelope: logged.clone(),
    };
    let leaf = leaf.to_bytes();
    let signer = LogSigner::new(ORIGIN.parse().unwrap(), key("log"));
    let witness = Cosigner::new("witness.example".parse().unwrap(), key("witness"));
    let checkpoint = Checkpoint {
        origin: ORIGIN.parse().unwrap(),
        size: TreeSize::new(1),
        root: leaf_hash(&leaf),
    };
    let mut note = checkpoint.sign(&signer);
    let cosigned_at = "2019-07-31T14:06:00Z".parse().unwrap();
    note.signatures
        .push(witness.cosign(&checkpoint, cosigned_at));
    let log = PolicyLog {
        key: signer.verifier(),
        url: None,
    };
    let witness = PolicyWitness {
        name: "w1".to_owned(),
        key: witness.verifier(),
        url: None,
    };
    let index = batch.index(&commitment).unwrap();
    let file = DecisionFile {
        envelope: to_value(&envelope(denied(request()), &resident("resident"), ORIGIN)),
        opening: opening.encode().to_owned(),
        commitment,
        batch: StatementId::of_payload(&logged.payload),
        index: index as u32,
        path: batch.path(index).unwrap(),
        proof: TlogProof {
            extra: Some(leaf),
            index: LeafIndex::new(0),
            hashes: Vec::new(),
            checkpoint: note.to_bytes(),
        }
        .to_text(),
    };
    (file, Policy::of(vec![log], vec![witness], 1).unwrap())
}

fn check_file(file: &DecisionFile, policy: &Policy) -> Result<Proved, DecisionFault> {
    check(&serde_json::to_vec(file).unwrap(), policy)
}

#[test]
fn a_stranger_learns_that_this_request_was_refused_by_then() {
    let (file, policy) = proved();
    let proved = check_file(&file, &policy).unwrap();
    assert_eq!(proved.request, request());
    assert_eq!(proved.logged_at.to_string(), "2019-07-31T14:05:00Z");
    assert_eq!(proved.log, ORIGIN);
    assert_eq!(proved.cosignatures.len(), 1);
}

#[test]
fn whatever_is_altered_proves_nothing() {
    let (genuine, policy) = proved();
    let with = |alter: &dyn Fn(&mut DecisionFile)| {
        let mut file = genuine.clone();
        alter(&mut file);
        check_file(&file, &policy).unwrap_err()
    };
    let other = StatementId::from_bytes([6; 32]);
    let of_other = to_value(&envelope(denied(other), &resident("resident"), ORIGIN));
    assert_eq!(
        with(&|f| f.envelope = of_other.clone()),
        DecisionFault::Opening
    );
    let other_opening = decision_opening(&[8; 32], &request()).encode().to_owned();
    assert_eq!(
        with(&|f| f.opening = other_opening.clone()),
        DecisionFault::Opening
    );
    assert_eq!(
        with(&|f| f.commitment = Commitment::from_bytes([0; 32])),
        DecisionFault::Opening
    );
    assert_eq!(with(&|f| f.batch = other), DecisionFault::OtherEntry);
    let index = genuine.index;
    assert!(matches!(
        with(&|f| f.index = index ^ 1),
        DecisionFault::Batch(_)
    ));
    assert!(matches!(
        with(&|f| f.path[2] = Digest::of("x")),
        DecisionFault::Batch(_)
    ));
    assert!(matches!(with(&|f| f.path.clear()), DecisionFault::Batch(_)));
    assert!(matches!(
        with(&|f| f.proof.clear()),
        DecisionFault::Proof(_)
    ));
    let cut = |f: &mut DecisionFile| {
        let end = f.proof.trim_end().rfind('\n').unwrap() + 1;
        f.proof.truncate(end);
    };
    assert!(matches!(with(&cut), DecisionFault::Proof(_)));
    let elsewhere = envelope(
        denied(request()),
        &resident("resident"),
        "other.example/log",
    );
    let elsewhere = to_value(&elsewhere);
    let fault = with(&|f| f.envelope = elsewhere.clone());
    assert_eq!(
        fault,
        DecisionFault::OtherLog("other.example/log".to_owned())
    );
}

#[test]
fn a_decision_is_signed_by_its_one_time_key_alone() {
    let (genuine, policy) = proved();
    let two = resident("resident").signed_by(&["resident", "somebody"]);
    let party = Voice {
        author: Author::Issuer("lakelandgov.example".parse().unwrap()),
        keys: vec!["resident"],
    };
    let foreign = resident("resident").signed_by(&["somebody"]);
    for voice in [two, party, foreign] {
        let file = DecisionFile {
            envelope: to_value(&envelope(denied(request()), &voice, ORIGIN)),
            ..genuine.clone()
        };
        let fault = check_file(&file, &policy).unwrap_err();
        assert!(matches!(fault, DecisionFault::Decision(_)), "{fault}");
    }
    for bytes in [&b""[..], b"{}", b"[]", &vec![b' '; MAX_FILE + 1]] {
        assert!(matches!(check(bytes, &policy), Err(DecisionFault::Form(_))));
    }
}
