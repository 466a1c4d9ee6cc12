use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::tlog::hash::leaf_hash;
use crate::tlog::mldsa::MlDsaSecretKey;
use crate::tlog::note::LogSigner;
use crate::tlog::prove::{HashTiles, consistency_path, consistency_proof};
use crate::tlog::tile::{RightEdge, Tile, decode_hashes};
use std::collections::HashMap;
use std::convert::Infallible;

const ORIGIN: &str = "ledger.example/log";

fn signer_of(origin: &str, seed: u8) -> LogSigner {
    LogSigner::new(origin.parse().unwrap(), SigningKey::from_bytes(&[seed; 32]))
}

fn signer() -> LogSigner {
    signer_of(ORIGIN, 1)
}

fn keys() -> Vec<VerifierKey> {
    vec![signer().verifier()]
}

/// A log of entries, of which those from `forked` on are told otherwise.
struct Tiles(HashMap<Tile, Vec<u8>>, Hash);

impl HashTiles for Tiles {
    type Error = Infallible;

    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, Infallible> {
        Ok(decode_hashes(&self.0[&tile], tile.width).unwrap())
    }
}

fn log(size: u64, forked: u64) -> Tiles {
    let mut edge = RightEdge::new();
    let mut tiles = HashMap::new();
    for n in 0..size {
        let told = if n < forked { "one" } else { "another" };
        edge.append(leaf_hash(format!("{told} {n}").as_bytes()));
        tiles.extend(edge.take_new_tiles());
    }
    Tiles(tiles, edge.root())
}

fn signed_by(signer: &LogSigner, size: u64, root: Hash) -> Note {
    let (origin, size) = (signer.origin().clone(), TreeSize::new(size));
    Checkpoint { origin, size, root }.sign(signer)
}

fn signed(size: u64, log: &Tiles) -> Note {
    signed_by(&signer(), size, log.1)
}

/// A log that told another story from entry `forked` on when it grew from `old` to `new` entries.
fn fork(old: u64, new: u64, forked: u64) -> Evidence {
    let (told, tells) = (log(old, u64::MAX), log(new, forked));
    let path = |old, new| consistency_path(TreeSize::new(old), TreeSize::new(new), &tells);
    Evidence {
        path: if old == new {
            vec![]
        } else {
            path(old, new).unwrap()
        },
        earlier: signed(old, &told),
        later: signed(new, &tells),
    }
}

#[test]
fn every_small_fork_is_proved_and_no_growth_is() {
    for new in 1..=40 {
        for old in 1..=new {
            for forked in 0..old {
                let evidence = fork(old, new, forked);
                let read = Evidence::parse(evidence.to_string().as_bytes());
                assert_eq!(read.as_ref(), Ok(&evidence));
                let proved = evidence.verify(&keys()).unwrap();
                assert_eq!(proved.rewritten, log(old, forked).1);
                assert_eq!(proved.earlier.size.as_u64(), old);
                assert_eq!(proved.later.size.as_u64(), new);
            }
            let growth = fork(old, new, old);
            let refused = growth.verify(&keys());
            assert_eq!(refused, Err(EvidenceError::NoContradiction), "{old} {new}");
        }
    }
}

/// What a forked log sends to a witness is evidence by itself, but where the proof leaves out the node
/// that the witness is to know.
#[test]
fn a_refused_proof_is_evidence_unless_the_old_tree_is_perfect() {
    for new in 2..=20_u64 {
        for old in 1..new {
            let sizes = (TreeSize::new(old), TreeSize::new(new));
            let sent = consistency_proof(sizes.0, sizes.1, &log(new, 0)).unwrap();
            let evidence = Evidence {
                path: sent,
                ..fork(old, new, 0)
            };
            let holds = evidence.verify(&keys()).is_ok();
            assert_eq!(holds, !old.is_power_of_two(), "{old} to {new}");
        }
    }
}

/// The empty tree has one root, and every tree begins with it.
#[test]
fn an_empty_tree_contradicts_nothing_unless_its_root_does() {
    let grown = log(5, u64::MAX);
    let from = |root| Evidence {
        path: vec![],
        earlier: signed_by(&signer(), 0, root),
        later: signed(5, &grown),
    };
    let innocent = from(EMPTY_ROOT).verify(&keys());
    assert_eq!(innocent, Err(EvidenceError::NoContradiction));
    let proved = from(leaf_hash(b"x")).verify(&keys()).unwrap();
    assert_eq!(proved.rewritten, EMPTY_ROOT);
    let more = Evidence {
        path: vec![leaf_hash(b"x")],
        ..from(leaf_hash(b"x"))
    };
    assert!(matches!(
        more.verify(&keys()),
        Err(EvidenceError::Path(ProofError::Length { .. }))
    ));
}

#[test]
fn what_proves_nothing_says_why() {
    let good = || fork(5, 9, 3);
    let (told, tells) = (log(5, u64::MAX), log(9, 3));
    let refused = |evidence: &Evidence| evidence.verify(&keys()).unwrap_err();
    let stranger = signer_of(ORIGIN, 2);
    let elsewhere = signer_of("other.example/log", 1);
    for (change, expected) in [
        (
            Evidence {
                later: signed_by(&stranger, 9, tells.1),
                ..good()
            },
            EvidenceError::Unsigned(TreeSize::new(9)),
        ),
        (
            Evidence {
                earlier: signed_by(&stranger, 5, told.1),
                ..good()
            },
            EvidenceError::Unsigned(TreeSize::new(5)),
        ),
        (
            Evidence {
                later: signed_by(&elsewhere, 9, tells.1),
                ..good()
            },
            EvidenceError::TwoLogs(
                ORIGIN.parse().unwrap(),
                "other.example/log".parse().unwrap(),
            ),
        ),
        (
            Evidence {
                path: vec![leaf_hash(b"x"); good().path.len()],
                ..good()
            },
            EvidenceError::OtherTree,
        ),
        (
            Evidence {
                path: vec![],
                ..good()
            },
            EvidenceError::Path(ProofError::Length {
                found: 0,
                expected: 1,
            }),
        ),
        (
            Evidence {
                earlier: good().later,
                later: good().earlier,
                ..good()
            },
            EvidenceError::Path(ProofError::Shrinks { old: 9, new: 5 }),
        ),
    ] {
        assert_eq!(refused(&change), expected);
    }
    let elsewhere = [elsewhere.verifier()];
    let other = EvidenceError::OtherLog(ORIGIN.parse().unwrap());
    assert_eq!(good().verify(&elsewhere), Err(other));
    // Of one size, hashes have no place.
    let evidence = Evidence {
        path: good().path,
        ..fork(5, 5, 3)
    };
    assert!(matches!(refused(&evidence), EvidenceError::Path(_)));
    assert!(fork(5, 5, 3).verify(&keys()).is_ok());
    // Either of two of one size may come first.
    let Evidence { earlier, later, .. } = fork(5, 5, 3);
    let turned = Evidence {
        path: vec![],
        earlier: later,
        later: earlier,
    };
    assert!(turned.verify(&keys()).is_ok());
}

#[test]
fn a_log_with_two_keys_is_convicted_by_either() {
    let both = || signer().with_ml_dsa_44(MlDsaSecretKey::from_seed(&[9; 32]));
    let (told, tells) = (log(6, u64::MAX), log(6, 0));
    let evidence = Evidence {
        path: vec![],
        earlier: signed_by(&both(), 6, told.1),
        later: signed_by(&both(), 6, tells.1),
    };
    let (ed25519, ml_dsa) = (both().verifier(), both().ml_dsa_44_verifier().unwrap());
    for keys in [
        vec![ed25519.clone()],
        vec![ml_dsa.clone()],
        vec![ed25519, ml_dsa],
    ] {
        evidence.verify(&keys).unwrap();
        for place in [0, 1] {
            let mut spoiled = evidence.clone();
            *spoiled.later.signatures[place]
                .signature
                .last_mut()
                .unwrap() ^= 1;
            let known = keys.iter().any(|key| {
                spoiled
                    .later
                    .signatures_by(key)
                    .any(|line| *line == spoiled.later.signatures[place])
            });
            assert_eq!(spoiled.verify(&keys).is_err(), known);
        }
    }
}

fn refused(bytes: &[u8]) -> bool {
    Evidence::parse(bytes).is_err_and(|_| true)
        || Evidence::parse(bytes).unwrap().verify(&keys()).is_err()
}

#[test]
fn evidence_with_any_byte_altered_or_missing_is_none() {
    for evidence in [fork(5, 9, 3), fork(8, 9, 3), fork(7, 7, 0)] {
        let good = evidence.to_string().into_bytes();
        assert!(!refused(&good));
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1 << (place % 8);
            assert!(refused(&bad), "byte {place}");
            assert!(refused(&good[..place]), "cut at {place}");
        }
        assert!(refused(&[&good[..], b"\n"].concat()));
    }
}

proptest! {
    #[test]
    fn spliced_evidence_is_none_or_the_same(
        start in 0..600_usize,
        length in 0..64_usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let good = fork(5, 9, 3).to_string().into_bytes();
        let mut bad = good.clone();
        let start = start.min(bad.len());
        let end = (start + length).min(bad.len());
        bad.splice(start..end, bytes);
        prop_assert!(bad == good || refused(&bad));
    }
}
