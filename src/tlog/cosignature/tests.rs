use ml_dsa::{MlDsa44, Signature, VerifyingKey};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::tlog::hash::leaf_hash;
use crate::tlog::mldsa;
use crate::tlog::note::{LogSigner, Note};
use crate::tlog::tree::TreeSize;
use crate::tlog::witness::{AddCheckpoint, authenticate};

fn log_signer() -> LogSigner {
    let origin = "ledger.example/log".parse().unwrap();
    LogSigner::new(origin, SigningKey::from_bytes(&[1; 32]))
        .with_ml_dsa_44(MlDsaSecretKey::from_seed(&[1; 32]))
}

fn named(name: &str) -> Cosigner {
    Cosigner::ml_dsa_44(name.parse().unwrap(), MlDsaSecretKey::from_seed(&[3; 32]))
}

fn cosigner() -> Cosigner {
    named("newsroom.example")
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: "ledger.example/log".parse().unwrap(),
        size: TreeSize::new(3),
        root: leaf_hash(b"x"),
    }
}

fn time() -> Time {
    Time::from_unix(1_564_581_900).unwrap()
}

/// Checkpoints that differ from [`checkpoint`] in one line each.
fn other_checkpoints() -> [Checkpoint; 3] {
    let (mut origin, mut size, mut root) = (checkpoint(), checkpoint(), checkpoint());
    origin.origin = "ledger.example/other".parse().unwrap();
    size.size = TreeSize::new(4);
    root.root = leaf_hash(b"y");
    [origin, size, root]
}

#[test]
fn by_ed25519_they_are_those_of_the_specification() {
    use ed25519_dalek::Verifier as _;
    let key = SigningKey::from_bytes(&[2; 32]);
    let cosigner = Cosigner::new("newsroom.example".parse().unwrap(), key.clone());
    let time = Time::from_unix(1_564_581_900).unwrap();
    let text = checkpoint().body();
    let line = cosigner.cosign(&checkpoint(), time);
    assert_eq!(line.signature.len(), 72);
    assert_eq!(line.signature[..8], 1_564_581_900u64.to_be_bytes());
    let message = format!("cosignature/v1\ntime 1564581900\n{text}");
    let signature = ed25519_dalek::Signature::from_slice(&line.signature[8..]).unwrap();
    key.verifying_key()
        .verify(message.as_bytes(), &signature)
        .unwrap();
    let verifier = cosigner.verifier();
    assert_eq!(verifier.to_string().parse(), Ok(verifier.clone()));
    assert_eq!(verify(&verifier, &checkpoint(), &line), Ok(time));

    let with_time = |seconds: u64| {
        let signature = key.sign(format!("cosignature/v1\ntime {seconds}\n{text}").as_bytes());
        NoteSignature {
            signature: [&seconds.to_be_bytes()[..], &signature.to_bytes()].concat(),
            ..line.clone()
        }
    };
    assert!(verify(&verifier, &checkpoint(), &with_time(1)).is_ok());
    for seconds in [0, 1 << 63, u64::MAX] {
        assert!(
            verify(&verifier, &checkpoint(), &with_time(seconds)).is_err(),
            "{seconds}"
        );
    }
    let mut little_endian = line.clone();
    little_endian.signature[..8].reverse();
    assert!(verify(&verifier, &checkpoint(), &little_endian).is_err());
    for other in other_checkpoints() {
        assert!(verify(&verifier, &other, &line).is_err());
    }
    assert!(
        verify(&log_signer().verifier(), &checkpoint(), &line).is_err(),
        "a log's key"
    );
}

/// The bytes of the specification's `cosigned_message`, spelled out for the names used here.
fn by_hand(seconds: u64, start: u64, end: u64, hash: Hash) -> Vec<u8> {
    let mut message = vec![
        0x73, 0x75, 0x62, 0x74, 0x72, 0x65, 0x65, 0x2f, 0x76, 0x31, 0x0a, 0x00,
    ];
    message.extend(b"\x10newsroom.example");
    message.extend((0..8).rev().map(|i| (seconds >> (8 * i)) as u8));
    message.extend(b"\x12ledger.example/log");
    message.extend((0..8).rev().map(|i| (start >> (8 * i)) as u8));
    message.extend((0..8).rev().map(|i| (end >> (8 * i)) as u8));
    message.extend(hash.as_bytes());
    message
}

/// A signature line that this key makes over other bytes than it ought to.
fn line_over(seconds: [u8; 8], message: &[u8]) -> NoteSignature {
    let signature = MlDsaSecretKey::from_seed(&[3; 32]).sign(message);
    NoteSignature {
        signature: [&seconds[..], &signature].concat(),
        ..cosigner().cosign(&checkpoint(), time())
    }
}

#[test]
fn by_ml_dsa_they_are_those_of_the_specification() {
    let line = cosigner().cosign(&checkpoint(), time());
    assert_eq!(line.signature.len(), 8 + 2420);
    assert_eq!(line.signature[..8], [0, 0, 0, 0, 0x5d, 0x41, 0xa0, 0x0c]);
    let message = by_hand(1_564_581_900, 0, 3, checkpoint().root);
    assert_eq!(message.len(), 12 + 17 + 8 + 19 + 8 + 8 + 32);

    // The vkey's own bytes, through the library alone.
    let verifier = cosigner().verifier();
    let vkey = verifier.to_string();
    let (name, rest) = vkey.split_once('+').unwrap();
    let (id, encoded) = rest.split_once('+').unwrap();
    let key = encoding::from_base64(encoded).unwrap();
    assert_eq!((name, key[0], key.len()), ("newsroom.example", 6, 1313));
    let digest = Sha256::digest([b"newsroom.example\n\x06", &key[1..]].concat());
    assert_eq!(id, encoding::hex(&digest[..4]));
    assert_eq!(line.key_id, digest[..4]);
    let public = VerifyingKey::<MlDsa44>::decode(key[1..].try_into().unwrap());
    let signature = Signature::try_from(&line.signature[8..]).unwrap();
    assert!(public.verify_with_context(&message, b"", &signature));

    assert_eq!(verify(&verifier, &checkpoint(), &line), Ok(time()));
    assert_eq!(vkey.parse(), Ok(verifier.clone()));
    let one_line = line.to_string();
    assert_eq!(one_line.trim_end().parse(), Ok(line));
}

/// Made by Go's `filippo.io/mldsa` v1.0.0 (`SignDeterministic`) over a message put together there, and
/// accepted as a note by `github.com/transparency-dev/formats` v0.1.1.
#[test]
fn by_ml_dsa_they_are_those_of_another_program() {
    let sha256 = |text: String| encoding::hex(Sha256::digest(text));
    assert_eq!(
        sha256(cosigner().verifier().to_string()),
        "a3c7a1cd8ee2478fe9667084d0c949b92eeb9bdc08d41a14996ec73a9d4cc209"
    );
    assert_eq!(
        sha256(cosigner().cosign(&checkpoint(), time()).to_string()),
        "ba52e6ef1780c3a6b74c01fe53706914e70f63727a823f9b8bede59473b8ce61"
    );
}

#[test]
fn by_ml_dsa_nothing_else_verifies() {
    let verifier = cosigner().verifier();
    let line = cosigner().cosign(&checkpoint(), time());
    let refused = |key: &VerifierKey, checkpoint: &Checkpoint, line: &NoteSignature| {
        let name = key.name.clone();
        assert_eq!(
            verify(key, checkpoint, line),
            Err(NoteError::BadSignature(name))
        );
    };
    for other in other_checkpoints() {
        refused(&verifier, &other, &line);
    }
    refused(&named("library.example").verifier(), &checkpoint(), &line);
    refused(&log_signer().verifier(), &checkpoint(), &line);
    let of_log = log_signer().ml_dsa_44_verifier().unwrap();
    refused(&of_log, &checkpoint(), &line);
    for at in [0, 7, 8, 1000, 2427] {
        let mut altered = line.clone();
        altered.signature[at] ^= 1;
        refused(&verifier, &checkpoint(), &altered);
    }
    for length in [0, 7, 8, 72, 2427] {
        let mut short = line.clone();
        short.signature.truncate(length);
        refused(&verifier, &checkpoint(), &short);
    }
    let mut long = line.clone();
    long.signature.push(0);
    refused(&verifier, &checkpoint(), &long);
    // An Ed25519 cosignature under the ML-DSA key's id.
    let ed25519 = Cosigner::new(verifier.name.clone(), SigningKey::from_bytes(&[3; 32]));
    let relabelled = NoteSignature {
        key_id: verifier.id(),
        ..ed25519.cosign(&checkpoint(), time())
    };
    refused(&verifier, &checkpoint(), &relabelled);
}

#[test]
fn a_time_in_little_endian_is_refused() {
    let root = checkpoint().root;
    let seconds = 1_564_581_900u64;
    let good = line_over(seconds.to_be_bytes(), &by_hand(seconds, 0, 3, root));
    assert_eq!(
        verify(&cosigner().verifier(), &checkpoint(), &good),
        Ok(time())
    );
    // In the line, in what is signed, and in both: the last is a true statement about a time that
    // no clock shows.
    let swapped = seconds.swap_bytes();
    for (in_line, signed) in [(swapped, seconds), (seconds, swapped), (swapped, swapped)] {
        let line = line_over(in_line.to_be_bytes(), &by_hand(signed, 0, 3, root));
        assert!(verify(&cosigner().verifier(), &checkpoint(), &line).is_err());
    }
}

#[test]
fn a_cosignature_without_a_time_counts_for_no_freshness() {
    let verifier = cosigner().verifier();
    let whole = checkpoint().root;
    let line = line_over([0; 8], &by_hand(0, 0, 3, whole));
    let no_time = NoteError::NoTime(verifier.name.clone());
    assert_eq!(verify(&verifier, &checkpoint(), &line), Err(no_time));
    let checkpoint = checkpoint();
    let whole = Subtree::from(&checkpoint);
    assert_eq!(cosigner().sign_subtree(&whole), Some(line.clone()));
    assert_eq!(verify_subtree(&verifier, &whole, &line), Ok(None));
    for seconds in UNWRITABLE {
        let line = line_over(seconds.to_be_bytes(), &by_hand(seconds, 0, 3, whole.hash));
        assert_eq!(
            verify_subtree(&verifier, &whole, &line),
            Ok(None),
            "{seconds}"
        );
    }
}

/// Seconds since 1970 that are no time between the years 0001 and 9998.
const UNWRITABLE: [u64; 6] = [
    253_370_764_800,
    253_402_207_200,
    253_402_300_799,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// A witness whose clock is wrong, or who lies, must not stop readers: its line is valid.
#[test]
fn a_cosignature_whose_time_cannot_be_written_is_valid_and_claims_none() {
    let ed25519 = Cosigner::new(
        "w.example".parse().unwrap(),
        SigningKey::from_bytes(&[3; 32]),
    );
    for cosigner in [cosigner(), ed25519] {
        let verifier = cosigner.verifier();
        for seconds in UNWRITABLE.into_iter().chain([0]) {
            let mut line = cosigner.cosign_at(&checkpoint(), seconds);
            let no_time = NoteError::NoTime(verifier.name.clone());
            assert_eq!(verify(&verifier, &checkpoint(), &line), Err(no_time));
            *line.signature.last_mut().unwrap() ^= 1;
            let bad = NoteError::BadSignature(verifier.name.clone());
            assert_eq!(verify(&verifier, &checkpoint(), &line), Err(bad));
        }
        let last = u64::try_from(Time::LAST.unix()).unwrap();
        let line = cosigner.cosign_at(&checkpoint(), last);
        assert_eq!(verify(&verifier, &checkpoint(), &line), Ok(Time::LAST));
    }
}

#[test]
fn subtrees_are_signed_without_a_time() {
    let verifier = cosigner().verifier();
    let origin = "ledger.example/log".parse().unwrap();
    let subtree = Subtree {
        origin: &origin,
        start: 8,
        end: 13,
        hash: leaf_hash(b"subtree"),
    };
    let line = cosigner().sign_subtree(&subtree).unwrap();
    assert_eq!(line, line_over([0; 8], &by_hand(0, 8, 13, subtree.hash)));
    assert_eq!(verify_subtree(&verifier, &subtree, &line), Ok(None));
    let hash = leaf_hash(b"other");
    for other in [
        Subtree {
            start: 0,
            ..subtree
        },
        Subtree { end: 16, ..subtree },
        Subtree { hash, ..subtree },
    ] {
        assert!(
            verify_subtree(&verifier, &other, &line).is_err(),
            "{other:?}"
        );
    }
    // A time on a subtree that begins later is against the specification, well signed or not.
    let timed = line_over(1u64.to_be_bytes(), &by_hand(1, 8, 13, subtree.hash));
    assert!(verify_subtree(&verifier, &subtree, &timed).is_err());
    let ed25519 = Cosigner::new(verifier.name, SigningKey::from_bytes(&[2; 32]));
    assert_eq!(ed25519.sign_subtree(&subtree), None);
    assert!(verify_subtree(&ed25519.verifier(), &subtree, &line).is_err());
}

#[test]
fn a_log_signs_with_both_keys() {
    let signer = log_signer();
    let note = checkpoint().sign(&signer);
    let (ed25519, ml_dsa) = (signer.verifier(), signer.ml_dsa_44_verifier().unwrap());
    assert_eq!(ml_dsa.name.as_str(), "ledger.example/log");
    let ids: Vec<_> = note.signatures.iter().map(|line| line.key_id).collect();
    assert_eq!(ids, [ed25519.id(), ml_dsa.id()]);
    assert_eq!(checkpoint().sign(&signer), note, "one tree, one note");
    let signed =
        |note: &Note, keys: &[&VerifierKey]| checkpoint().is_signed(note, keys.iter().copied());
    for keys in [&[&ed25519][..], &[&ml_dsa], &[&ed25519, &ml_dsa]] {
        assert_eq!(signed(&note, keys), Ok(true));
    }
    assert_eq!(signed(&note, &[&cosigner().verifier()]), Ok(false));
    // With one of two known keys missing, the other is enough; with one failing, nothing is.
    for (gone, stays) in [(0, &ml_dsa), (1, &ed25519)] {
        let mut one = note.clone();
        one.signatures.remove(gone);
        assert_eq!(signed(&one, &[&ed25519, &ml_dsa]), Ok(true));
        let mut bad = note.clone();
        *bad.signatures[gone].signature.last_mut().unwrap() ^= 1;
        assert!(signed(&bad, &[&ed25519, &ml_dsa]).is_err());
        assert_eq!(
            signed(&bad, &[stays]),
            Ok(true),
            "the other key is not known"
        );
    }
    // A log may say a time: whether its tree was fresh is not what its signature is read for.
    let timed = Cosigner::ml_dsa_44(ml_dsa.name.clone(), MlDsaSecretKey::from_seed(&[1; 32]));
    let timed = Note {
        signatures: vec![timed.cosign(&checkpoint(), time())],
        ..note
    };
    assert_eq!(signed(&timed, &[&ml_dsa]), Ok(true));
}

#[test]
fn a_witness_knows_a_log_by_either_key() {
    let signer = log_signer();
    let (ed25519, ml_dsa) = (signer.verifier(), signer.ml_dsa_44_verifier().unwrap());
    let status = |note: &Note, logs: &[VerifierKey]| {
        let request = AddCheckpoint {
            old: TreeSize::new(0),
            proof: Vec::new(),
            note: note.to_bytes(),
        };
        match authenticate(&request, logs) {
            Ok((_, read)) => {
                assert_eq!(read, checkpoint());
                200
            }
            Err(refusal) => refusal.status(),
        }
    };
    let note = checkpoint().sign(&signer);
    let both = [ed25519.clone(), ml_dsa.clone()];
    for logs in [&both[..], &both[..1], &both[1..]] {
        assert_eq!(status(&note, logs), 200);
    }
    assert_eq!(status(&note, &[cosigner().verifier()]), 404);
    for at in [0, 1] {
        let mut bad = note.clone();
        *bad.signatures[at].signature.last_mut().unwrap() ^= 1;
        assert_eq!(status(&bad, &both), 403);
        let mut one = note.clone();
        one.signatures.remove(at);
        assert_eq!(status(&one, &both), 200);
        assert_eq!(status(&one, &both[at..=at]), 403);
    }
    let mut extended = note;
    extended.text.push_str("extension\n");
    assert_eq!(status(&extended, &both), 400);
}

#[test]
fn keys_of_another_length_are_refused() {
    let vkey = |kind: u8, length: usize| {
        let key = vec![7; length];
        let digest = Sha256::digest([b"a.example\n", &[kind][..], &key].concat());
        let encoded = encoding::base64([&[kind][..], &key].concat());
        format!("a.example+{}+{encoded}", encoding::hex(&digest[..4])).parse::<VerifierKey>()
    };
    assert!(vkey(6, mldsa::PUBLIC_KEY).is_ok());
    for length in [0, 32, 1311, 1313, 1952] {
        let error = vkey(6, length).unwrap_err().to_string();
        assert!(error.contains("1,312"), "{length}: {error}");
    }
    assert!(vkey(4, mldsa::PUBLIC_KEY).is_err());
    assert!(vkey(5, mldsa::PUBLIC_KEY).is_err());
}

#[test]
fn no_secret_is_shown() {
    let key = MlDsaSecretKey::from_seed(&[0xab; 32]);
    assert_eq!(*key.to_seed(), [0xab; 32]);
    let shown = format!("{:?}", key.public_key());
    assert!(shown.len() < 64 && !shown.contains("abab"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_verifies_and_nothing_near_it(
        name in "[a-z][a-z0-9./-]{0,254}",
        origin in "[a-z]([a-z0-9./-]{0,253}[a-z0-9])?",
        size in 0u64..=i64::MAX as u64,
        leaf: [u8; 8],
        seconds in 1..=Time::LAST.unix(),
        by: u64,
    ) {
        let time = Time::from_unix(seconds).unwrap();
        let origin: Origin = origin.parse().unwrap();
        let checkpoint = Checkpoint { origin, size: TreeSize::new(size), root: leaf_hash(&leaf) };
        let name: KeyName = name.parse().unwrap();
        for cosigner in [
            named(name.as_str()),
            Cosigner::new(name.clone(), SigningKey::from_bytes(&[3; 32])),
        ] {
            let line = cosigner.cosign(&checkpoint, time);
            let verifier = cosigner.verifier();
            prop_assert_eq!(verifier.key.signature_length(), line.signature.len());
            prop_assert_eq!(verify(&verifier, &checkpoint, &line), Ok(time));
            // Read back from a note, it still holds.
            let note = Note { text: checkpoint.body(), signatures: vec![line.clone()] };
            let note = Note::parse(&note.to_bytes()).unwrap();
            let read = Checkpoint::parse(&note.text).unwrap();
            prop_assert_eq!(read.body(), note.text);
            prop_assert_eq!(verify(&verifier, &read, &note.signatures[0]), Ok(time));
            let mut altered = line;
            let at = (by % altered.signature.len() as u64) as usize;
            altered.signature[at] ^= 1 << (by % 8);
            prop_assert!(verify(&verifier, &checkpoint, &altered).is_err());
        }
    }

    #[test]
    fn no_bytes_are_a_signature_by_chance(bytes in prop::collection::vec(any::<u8>(), 2420 + 8)) {
        let line = NoteSignature { signature: bytes, ..cosigner().cosign(&checkpoint(), time()) };
        prop_assert!(verify(&cosigner().verifier(), &checkpoint(), &line).is_err());
    }
}
