//! The transparency log: notes, checkpoints, cosignatures, policies, tiles, proofs.

use std::collections::BTreeSet;

use whosaw::tlog::checkpoint::Checkpoint;
use whosaw::tlog::cosignature as cosignatures;
use whosaw::tlog::cosignature::Cosigner;
use whosaw::tlog::evidence::{Evidence, MAX_EVIDENCE};
use whosaw::tlog::hash::leaf_hash;
use whosaw::tlog::note::{
    MAX_NOTE, MAX_SIGNATURES, Note, NoteError, NoteSignature, VerifierKey, parse_signatures,
};
use whosaw::tlog::policy::{Policy, PolicyError};
use whosaw::tlog::proof::TlogProof;
use whosaw::tlog::subtree::SignSubtree;
use whosaw::tlog::tile::{self, EntryTile, Tile};
use whosaw::tlog::tree::TreeSize;
use whosaw::tlog::witness::{AddCheckpoint, MAX_REQUEST, authenticate, judge};

use crate::known;

/// No tree is higher.
const MAX_HASHES: usize = 63;

/// A note has one spelling.
pub fn note(input: &[u8]) -> bool {
    let Ok(note) = Note::parse(input) else {
        return false;
    };
    assert_eq!(note.to_bytes(), input);
    assert!(input.len() <= MAX_NOTE && note.signatures.len() <= MAX_SIGNATURES);
    assert!(!note.signatures.is_empty() && note.text.ends_with('\n'));
    true
}

/// A checkpoint has one spelling.
pub fn checkpoint(input: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(input) else {
        return false;
    };
    let Ok(checkpoint) = Checkpoint::parse(text) else {
        return false;
    };
    assert_eq!(checkpoint.body(), text);
    true
}

/// A policy accepts the one checkpoint that was cosigned, with its signatures as they were made.
pub fn signed_checkpoint(input: &[u8]) -> bool {
    let Ok(witnessed) = known::POLICY.verify(input, None, None) else {
        return false;
    };
    assert_eq!(witnessed.checkpoint, known::CHECKPOINTS[1]);
    assert_eq!(witnessed.time(), Some(known::now()));
    let note = Note::parse(input).expect("what verifies is a note");
    for key in known::LOG_KEYS.iter() {
        for line in note.signatures_by(key) {
            assert!(known::NOTES[1].signatures.contains(line), "forged: {line}");
        }
    }
    for witness in known::POLICY.witnesses() {
        for line in note.signatures_by(&witness.key) {
            assert!(
                known::COSIGNATURES.contains(line) || *line == *known::TIMELESS,
                "forged: {line}"
            );
        }
    }
    true
}

/// A witness's answer: lines that verify are the ones that were made.
pub fn cosignature(input: &[u8]) -> bool {
    let text = str::from_utf8(input).ok();
    let lines = text.and_then(|text| text.strip_suffix('\n'));
    let Some(Ok(lines)) = lines.map(parse_signatures) else {
        return false;
    };
    let written: String = lines.iter().map(ToString::to_string).collect();
    assert_eq!(written.as_bytes(), input);
    let checkpoint = &known::CHECKPOINTS[1];
    let mut verified = false;
    for line in &lines {
        for witness in known::WITNESSES.iter() {
            let key = witness.verifier();
            match cosignatures::verify(&key, checkpoint, line) {
                Ok(time) => {
                    assert_eq!(time, known::now());
                    assert!(
                        signed_by(&key, line, &known::COSIGNATURES),
                        "forged: {line}"
                    );
                    verified = true;
                }
                Err(NoteError::NoTime(_)) => {
                    let made = std::slice::from_ref(&*known::TIMELESS);
                    assert!(signed_by(&key, line, made), "forged: {line}");
                }
                Err(_) => {}
            }
        }
    }
    verified
}

/// Whether one of `made` has this line's signature, and is by this key. What else a line claims,
/// the callers of `verify` look at before.
fn signed_by(key: &VerifierKey, line: &NoteSignature, made: &[NoteSignature]) -> bool {
    made.iter()
        .any(|made| made.signature == line.signature && key.is_claimed_by(made))
}

/// A policy means the same when written anew; more witnesses never unmake a quorum.
pub fn policy(input: &[u8]) -> bool {
    let Some(Ok(policy)) = str::from_utf8(input).ok().map(Policy::parse) else {
        return false;
    };
    let written = policy.to_string();
    assert_eq!(Policy::parse(&written).as_ref(), Ok(&policy));
    let everybody = policy.witnesses().iter().map(|w| w.name.as_str());
    assert!(policy.quorum_met(&everybody.collect()));
    let vouched = policy.check_independent() != Err(PolicyError::NoWitnesses);
    assert_eq!(policy.quorum_met(&BTreeSet::new()), !vouched);
    assert!(!policy.origins().is_empty());
    // A note of a log that it may not name, cosigned by witnesses whom it may not know.
    if let Ok(witnessed) = policy.verify(&known::NOTES[1].to_bytes(), None, None) {
        assert_eq!(witnessed.checkpoint, known::CHECKPOINTS[1]);
        let names = witnessed.cosignatures.keys().map(String::as_str).collect();
        assert!(policy.quorum_met(&names));
    }
    true
}

/// A tile has one path, and a path means a tile or a bundle.
pub fn tile_path(input: &[u8]) -> bool {
    let Ok(path) = str::from_utf8(input) else {
        return false;
    };
    let whole = TreeSize::new(i64::MAX as u64);
    let (tile, entries) = (Tile::parse(path), EntryTile::parse(path));
    assert!(tile.is_err() || entries.is_err());
    if let Ok(tile) = tile {
        assert_eq!(tile.path(), path);
        assert!(tile.level < 8 && (1..=tile::FULL).contains(&tile.width));
        let end = u128::from(tile.index) * 256 + u128::from(tile.width);
        let leaves = end << (8 * tile.level);
        for size in [0, 1, 257, 65_536, 70_000, whole.as_u64()] {
            let within = leaves <= u128::from(size);
            assert_eq!(tile.is_within(TreeSize::new(size)), within);
        }
    }
    if let Ok(entries) = entries {
        assert_eq!(entries.path(), path);
        assert!((1..=tile::FULL).contains(&entries.width));
        assert!(!entries.is_within(TreeSize::new(0)));
        assert!(entries.start() <= whole.as_u64());
    }
    tile.is_ok() || entries.is_ok()
}

/// A byte for the width, then the file: of hashes or of entries, it has one spelling.
pub fn bundle(input: &[u8]) -> bool {
    let Some((width, file)) = input.split_first() else {
        return false;
    };
    let width = u16::from(*width) + 1;
    if let Ok(hashes) = tile::decode_hashes(file, width) {
        assert_eq!(tile::encode_hashes(&hashes), file);
        assert_eq!(hashes.len(), usize::from(width));
    }
    let Ok(entries) = tile::decode_entries(file, width) else {
        return false;
    };
    assert_eq!(tile::encode_entries(&entries), file);
    assert_eq!(entries.len(), usize::from(width));
    true
}

/// A proof has one spelling; it proves the entry that stands there, and no other.
pub fn proof(input: &[u8]) -> bool {
    let Ok(proof) = TlogProof::parse(input) else {
        return false;
    };
    assert_eq!(proof.to_text().as_bytes(), input);
    assert!(proof.hashes.len() <= MAX_HASHES);
    let mut proved = false;
    for (index, leaf) in known::LEAVES.iter().enumerate() {
        if let Ok(witnessed) = proof.verify(leaf, &known::POLICY, None, None) {
            assert_eq!(witnessed.checkpoint, known::CHECKPOINTS[1]);
            assert_eq!(proof.index.as_u64(), index as u64);
            proved = true;
        }
    }
    let other = b"never logged";
    assert!(proof.verify(other, &known::POLICY, None, None).is_err());
    proved
}

/// What a log asks of a witness: one spelling, and only a tree that the log signed and that extends
/// the one cosigned before is cosigned.
pub fn add_checkpoint(input: &[u8]) -> bool {
    let Ok(request) = AddCheckpoint::parse(input) else {
        return false;
    };
    assert_eq!(request.to_string().as_bytes(), input);
    assert!(input.len() <= MAX_REQUEST && request.proof.len() <= MAX_HASHES);
    let Ok((note, checkpoint)) = authenticate(&request, &*known::LOG_KEYS) else {
        return false;
    };
    assert!(known::CHECKPOINTS.contains(&checkpoint), "forged: {note:?}");
    let [small, large] = &*known::CHECKPOINTS;
    if judge(&request, &checkpoint, Some(small)).is_err() {
        return false;
    }
    assert_eq!(request.old, small.size);
    assert_eq!(request.proof.is_empty(), checkpoint == *small);
    assert!(judge(&request, &checkpoint, Some(large)).is_err());
    true
}

/// What is asked of a witness for a part of a tree: only a part of the tree that it cosigned is signed.
pub fn sign_subtree(input: &[u8]) -> bool {
    let Ok(request) = SignSubtree::parse(input) else {
        return false;
    };
    assert_eq!(request.to_string().as_bytes(), input);
    assert!(input.len() <= MAX_REQUEST && request.proof.len() <= MAX_HASHES);
    let keys: Vec<VerifierKey> = known::WITNESSES.iter().map(Cosigner::verifier).collect();
    if request.judge(&keys).is_err() {
        return false;
    }
    assert_eq!(request.checkpoint, known::CHECKPOINTS[1]);
    let [pair, whole] = known::CHECKPOINTS.each_ref().map(|c| c.root);
    let hash = match (request.start, request.end) {
        (0, 3) => whole,
        (0, 2) => pair,
        (start, end) if start + 1 == end => leaf_hash(known::LEAVES[start as usize]),
        other => panic!("no subtree: {other:?}"),
    };
    assert_eq!(request.hash, hash);
    true
}

/// Evidence has one spelling; it convicts the log that forked, of what it did, and no other.
pub fn evidence(input: &[u8]) -> bool {
    let Ok(evidence) = Evidence::parse(input) else {
        return false;
    };
    assert_eq!(evidence.to_string().as_bytes(), input);
    assert!(input.len() <= MAX_EVIDENCE && evidence.path.len() <= MAX_HASHES + 1);
    assert!(evidence.verify(&*known::LOG_KEYS).is_err(), "innocent");
    let Ok(proved) = evidence.verify(std::slice::from_ref(&*known::FORKER_KEY)) else {
        return false;
    };
    assert_eq!([proved.earlier, proved.later], *known::FORK);
    true
}
