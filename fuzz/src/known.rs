//! A small log whose secret keys are known here: all that was ever signed with them is in this
//! file, so whatever else verifies is forged.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use whosaw::digest::{Digest, StatementId};
use whosaw::reader::replay::{self, Admitted};
use whosaw::seal::Identity;
use whosaw::seal::keys::Phrase;
use whosaw::seal::notice::NoticeKey;
use whosaw::statement::envelope::Envelope;
use whosaw::statement::facts::FactMap;
use whosaw::statement::key::PublicKey;
use whosaw::time::Time;
use whosaw::tlog::checkpoint::Checkpoint;
use whosaw::tlog::cosignature::Cosigner;
use whosaw::tlog::evidence::Evidence;
use whosaw::tlog::hash::{Hash, leaf_hash, node_hash};
use whosaw::tlog::mldsa::MlDsaSecretKey;
use whosaw::tlog::note::{LogSigner, Note, NoteSignature, VerifierKey};
use whosaw::tlog::policy::{Policy, PolicyLog, PolicyWitness};
use whosaw::tlog::proof::TlogProof;
use whosaw::tlog::subtree::SignSubtree;
use whosaw::tlog::tree::{LeafIndex, TreeSize};
use whosaw::tlog::witness::AddCheckpoint;
use whosaw::wire::signature::{self, RequestTarget, SignatureHeaders};

/// The entries of the log.
pub const LEAVES: [&[u8]; 3] = [b"one", b"two", b"three"];
/// The payload of the one statement.
pub const PAYLOAD: &[u8] = include_bytes!("known/statement.json");
/// Metadata of a clip, sealed for [`IDENTITY`]: sealing draws random keys, so it is kept as a file.
pub const SEALED: &[u8] = include_bytes!("known/metadata.age");
/// What [`SEALED`] holds.
pub const PLAIN: &[u8] = b"{\"camera\":\"porch\"}";
/// A notice sealed for [`NOTICE_KEY`]; kept as a file for the same reason.
pub const NOTICE: &[u8] = include_bytes!("known/notice.age");
/// What [`NOTICE`] says.
pub const MESSAGE: &str = concat!(
    r#"{"version":1,"demand":"0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c","#,
    r#""process":"search-warrant","investigation":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","#,
    r#""effective_on":"2022-12-12","records":["clip-ciphertext","clip-metadata"],"#,
    r#""clips":["01010101010101010101010101010101"],"text":"A warrant reached us."}"#
);
/// The signed call.
pub const CALL: RequestTarget<'_> = RequestTarget {
    method: "PUT",
    authority: "ledger.example",
    path: "/attachments/x",
    query: Some("a=b"),
    upload: None,
};
/// Id and name of the question that a resolver replies to.
pub const QUESTION: (u16, &str) = (0x5157, "_whosaw.lakelandgov.example");
/// The body of the signed answer, after its status and media type.
pub const ANSWER: (u16, &str, &[u8]) = (201, "application/json", b"{\"id\":1}");

/// When everything was signed.
pub fn now() -> Time {
    Time::from_unix(1_564_617_600).expect("2019-08-01")
}

/// The Ed25519 key of this number.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// Opens [`SEALED`].
pub static IDENTITY: LazyLock<Identity> =
    LazyLock::new(|| Phrase::from_entropy(&[7; 32]).seed().identity());

/// Opens [`NOTICE`].
pub static NOTICE_KEY: LazyLock<NoticeKey> =
    LazyLock::new(|| Phrase::from_entropy(&[7; 32]).seed().notice_key());

/// The log's tree after two and after three entries.
pub static CHECKPOINTS: LazyLock<[Checkpoint; 2]> = LazyLock::new(|| {
    let [one, two, three] = LEAVES.map(leaf_hash);
    let pair = node_hash(&one, &two);
    let checkpoint = |size, root: Hash| Checkpoint {
        origin: "ledger.example/log".parse().expect("an origin"),
        size: TreeSize::new(size),
        root,
    };
    [checkpoint(2, pair), checkpoint(3, node_hash(&pair, &three))]
});

static LOG: LazyLock<LogSigner> = LazyLock::new(|| {
    LogSigner::new(CHECKPOINTS[0].origin.clone(), key(1))
        .with_ml_dsa_44(MlDsaSecretKey::from_seed(&[2; 32]))
});

/// A witness with a key of each kind, and one with an Ed25519 key.
pub static WITNESSES: LazyLock<[Cosigner; 3]> = LazyLock::new(|| {
    let name = |text: &str| text.parse().expect("a key name");
    let ml_dsa = MlDsaSecretKey::from_seed(&[4; 32]);
    [
        Cosigner::new(name("library.example/witness"), key(3)),
        Cosigner::ml_dsa_44(name("library.example/witness"), ml_dsa),
        Cosigner::new(name("newsroom.example/witness"), key(5)),
    ]
});

/// The keys of the log.
pub static LOG_KEYS: LazyLock<[VerifierKey; 2]> = LazyLock::new(|| {
    let ml_dsa = LOG.ml_dsa_44_verifier().expect("it has such a key");
    [LOG.verifier(), ml_dsa]
});

/// Both witnesses cosign.
pub static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let logs = LOG_KEYS.iter().map(|key| PolicyLog {
        key: key.clone(),
        url: Some("https://ledger.example/log".to_owned()),
    });
    let witnesses = WITNESSES
        .iter()
        .enumerate()
        .map(|(i, witness)| PolicyWitness {
            name: format!("w{i}"),
            key: witness.verifier(),
            url: None,
        });
    Policy::of(logs.collect(), witnesses.collect(), 2).expect("a policy")
});

/// The larger checkpoint's cosignatures.
pub static COSIGNATURES: LazyLock<Vec<NoteSignature>> = LazyLock::new(|| {
    let cosign = |witness: &Cosigner| witness.cosign(&CHECKPOINTS[1], now());
    WITNESSES.iter().map(cosign).collect()
});

/// The ML-DSA-44 witness's signature over the same tree without a time.
pub static TIMELESS: LazyLock<NoteSignature> = LazyLock::new(|| {
    let subtree = (&CHECKPOINTS[1]).into();
    WITNESSES[1].sign_subtree(&subtree).expect("of that kind")
});

/// The checkpoints, signed by the log; the larger one is cosigned.
pub static NOTES: LazyLock<[Note; 2]> = LazyLock::new(|| {
    let [small, mut large] = CHECKPOINTS
        .each_ref()
        .map(|checkpoint| checkpoint.sign(&LOG));
    large.signatures.extend(COSIGNATURES.iter().cloned());
    [small, large]
});

/// That the last entry stands under the larger checkpoint.
pub static PROOF: LazyLock<TlogProof> = LazyLock::new(|| TlogProof {
    extra: Some(LEAVES[2].to_vec()),
    index: LeafIndex::new(2),
    hashes: vec![CHECKPOINTS[0].root],
    checkpoint: NOTES[1].to_bytes(),
});

/// What the log sends a witness who cosigned the smaller checkpoint.
pub static ADD_CHECKPOINT: LazyLock<AddCheckpoint> = LazyLock::new(|| AddCheckpoint {
    old: CHECKPOINTS[0].size,
    proof: vec![leaf_hash(LEAVES[2])],
    note: CHECKPOINTS[1].sign(&LOG).to_bytes(),
});

/// What asks the ML-DSA-44 witness for the subtree of the last entry.
pub static SIGN_SUBTREE: LazyLock<SignSubtree> = LazyLock::new(|| SignSubtree {
    start: 2,
    end: 3,
    hash: leaf_hash(LEAVES[2]),
    proof: vec![CHECKPOINTS[0].root],
    note: NOTES[1].clone(),
    checkpoint: CHECKPOINTS[1].clone(),
});

static FORKER: LazyLock<LogSigner> =
    LazyLock::new(|| LogSigner::new("forked.example/log".parse().expect("an origin"), key(13)));

/// The key of a log that rewrote its past.
pub static FORKER_KEY: LazyLock<VerifierKey> = LazyLock::new(|| FORKER.verifier());

/// Its first two entries, and three of which the second is another.
pub static FORK: LazyLock<[Checkpoint; 2]> = LazyLock::new(|| {
    let [one, two, three] = LEAVES.map(leaf_hash);
    let checkpoint = |size, root: Hash| Checkpoint {
        origin: FORKER.origin().clone(),
        size: TreeSize::new(size),
        root,
    };
    let rewritten = node_hash(&node_hash(&one, &three), &two);
    [checkpoint(2, CHECKPOINTS[0].root), checkpoint(3, rewritten)]
});

/// The evidence of that.
pub static EVIDENCE: LazyLock<Evidence> = LazyLock::new(|| {
    let [one, two, three] = LEAVES.map(leaf_hash);
    let [earlier, later] = FORK.each_ref().map(|checkpoint| checkpoint.sign(&FORKER));
    Evidence {
        path: vec![node_hash(&one, &three), two],
        earlier,
        later,
    }
});

/// A statement by two keys.
pub static ENVELOPE: LazyLock<Envelope> =
    LazyLock::new(|| Envelope::sign(PAYLOAD.to_vec(), &[&key(8), &key(9)]));

/// The key that signs messages.
pub static CALLER: LazyLock<PublicKey> = LazyLock::new(|| PublicKey::from(&key(10)));

/// The headers of [`CALL`].
pub static CALL_HEADERS: LazyLock<SignatureHeaders> =
    LazyLock::new(|| signature::sign(&CALL, &[11; 32], &key(10), now(), [12; 16]));

/// The headers of [`ANSWER`].
pub static ANSWER_HEADERS: LazyLock<SignatureHeaders> = LazyLock::new(|| {
    let (status, media_type, body) = ANSWER;
    let digest = Digest::of(body);
    signature::sign_response(
        status,
        media_type,
        digest.as_bytes(),
        &key(10),
        now(),
        [13; 16],
    )
});

/// A log of ten real statements, from its founding to a collection, and a clip for everybody.
pub const JOURNEY: &str = include_str!("known/journey.jsonl");

/// What the rules know before an entry of [`JOURNEY`].
pub struct Step {
    pub index: LeafIndex,
    pub facts: FactMap,
    pub logged_at: Time,
    /// Who signed the entry.
    pub signers: BTreeSet<PublicKey>,
}

/// The steps of [`JOURNEY`].
pub static STEPS: LazyLock<Vec<Step>> = LazyLock::new(|| {
    let mut facts = FactMap::default();
    let step = |(index, leaf): (usize, &str)| {
        let index = LeafIndex::new(index as u64);
        let logged = replay::read(leaf.as_bytes()).expect("an entry");
        let step = Step {
            index,
            facts: facts.clone(),
            logged_at: logged.logged_at,
            signers: logged.signed.signers.clone(),
        };
        let origin = CHECKPOINTS[0].origin.as_str();
        let admitted = replay::judge(Ok(logged), origin, index, None, &facts);
        let Admitted { id, change, .. } = admitted.expect("the rules admit it");
        facts.apply(id, index, change);
        step
    };
    JOURNEY.lines().enumerate().map(step).collect()
});

/// The ids of all statements that were ever signed.
pub static STATEMENTS: LazyLock<BTreeSet<StatementId>> = LazyLock::new(|| {
    let journey = JOURNEY.lines().map(|leaf| {
        let logged = replay::read_again(leaf.as_bytes()).expect("an entry");
        logged.signed.id
    });
    journey.chain([StatementId::of_payload(PAYLOAD)]).collect()
});
