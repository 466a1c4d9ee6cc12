use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::digest::{Digest, StatementId};
use crate::store::sqlite::BUSY_TIMEOUT;
use crate::time::Time;

const KEY: [u8; 32] = [7; 32];
const MOST: u32 = 1 << 20;
const VAULT: VaultId = VaultId::from_bytes([1; 16]);
const CLIP: ClipId = ClipId::from_bytes([2; 16]);

fn open(folder: &TempDir) -> Vaults {
    Vaults::open(&folder.path().join("vaults.db")).unwrap()
}

fn time(seconds: i64) -> Time {
    Time::from_unix(1_700_000_000 + seconds).unwrap()
}

fn clip(body_size: u64) -> Clip {
    Clip {
        header_size: 200,
        body_size,
        meta_size: 300,
        body_sha256: Digest::of(body_size.to_be_bytes()),
    }
}

fn statement(n: u8) -> StatementId {
    StatementId::of_payload(&[n])
}

/// A database with one vault that has room for 10,000 bytes in three clips.
fn enrolled(folder: &TempDir) -> Vaults {
    let (vaults, code) = (open(folder), Digest::of("code"));
    vaults.add_code(code, 10_000, 3, time(100)).unwrap();
    vaults.enrol(code, KEY, VAULT, time(0)).unwrap();
    vaults
}

#[test]
fn a_code_opens_one_vault() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = open(&folder);
    let code = Digest::of("code");
    let enrol = |code, key: u8, id: u8, at| {
        vaults.enrol(code, [key; 32], VaultId::from_bytes([id; 16]), time(at))
    };
    assert!(matches!(enrol(code, 7, 1, 0), Err(VaultError::UnknownCode)));
    vaults.add_code(code, 10_000, 3, time(100)).unwrap();
    vaults.add_code(code, 10_000, 3, time(100)).unwrap();
    let other = vaults.add_code(code, 10_000, 4, time(100));
    assert!(matches!(other, Err(VaultError::CodeConflict)));
    assert!(matches!(
        enrol(code, 7, 1, 100),
        Err(VaultError::CodeExpired)
    ));
    let vault = enrol(code, 7, 1, 99).unwrap();
    assert_eq!(
        vault,
        Vault {
            id: VAULT,
            key: KEY,
            quota_bytes: 10_000,
            quota_clips: 3,
            used_bytes: 0,
            clips: 0,
            notice_recipient: None,
        }
    );
    assert_eq!(
        enrol(code, 7, 5, 1000).unwrap(),
        vault,
        "same key, same vault"
    );
    assert!(matches!(enrol(code, 8, 5, 0), Err(VaultError::CodeUsed)));
    let second = Digest::of("second");
    vaults.add_code(second, 1, 1, time(100)).unwrap();
    assert!(matches!(
        enrol(second, 7, 5, 0),
        Err(VaultError::KeyEnrolled)
    ));
    let taken = enrol(second, 8, 1, 0);
    assert!(matches!(taken, Err(VaultError::VaultEnrolled)), "{taken:?}");
    enrol(second, 8, 5, 0).unwrap();
    assert!(matches!(enrol(second, 7, 6, 0), Err(VaultError::CodeUsed)));
    drop(vaults);
    let vaults = open(&folder);
    assert_eq!(vaults.vault_by_key(KEY).unwrap(), Some(vault));
    assert_eq!(vaults.vault_by_key([9; 32]).unwrap(), None);
}

#[test]
fn of_many_who_know_a_code_one_enrols() {
    let folder = tempfile::tempdir().unwrap();
    let (vaults, code) = (open(&folder), Digest::of("code"));
    vaults.add_code(code, 1, 1, time(1)).unwrap();
    let enrolled = std::thread::scope(|scope| {
        let threads = [1, 2, 3, 4].map(|n: u8| {
            let vaults = &vaults;
            scope.spawn(move || vaults.enrol(code, [n; 32], VaultId::from_bytes([n; 16]), time(0)))
        });
        threads.map(|thread| thread.join().unwrap().is_ok())
    });
    assert_eq!(enrolled.iter().filter(|&&ok| ok).count(), 1);
}

#[test]
fn a_clip_is_added_once() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    let stranger = VaultId::from_bytes([9; 16]);
    let unknown = vaults.add_clip(stranger, CLIP, clip(1000), &[[1; 32]]);
    assert!(matches!(unknown, Err(VaultError::UnknownVault)));
    vaults
        .add_clip(VAULT, CLIP, clip(1000), &[[3; 32], [1; 32]])
        .unwrap();
    vaults
        .add_clip(VAULT, CLIP, clip(1000), &[[3; 32], [2; 32]])
        .unwrap();
    let other = vaults.add_clip(VAULT, CLIP, clip(1001), &[[4; 32]]);
    assert!(matches!(other, Err(VaultError::ClipConflict)));
    drop(vaults);
    let vaults = open(&folder);
    assert_eq!(
        vaults.pending_commitments(MOST).unwrap(),
        [[1; 32], [2; 32], [3; 32]]
    );
    assert_eq!(vaults.clips(VAULT).unwrap(), [(CLIP, clip(1000))]);
    assert!(vaults.clips(stranger).unwrap().is_empty());
    let vault = vaults.vault_by_key(KEY).unwrap().unwrap();
    assert_eq!((vault.used_bytes, vault.clips), (1500, 1));
    assert!(vaults.remove_clip(VAULT, CLIP).unwrap());
    assert!(!vaults.remove_clip(VAULT, CLIP).unwrap());
    let vault = vaults.vault_by_key(KEY).unwrap().unwrap();
    assert_eq!((vault.used_bytes, vault.clips), (0, 0));
    assert_eq!(vaults.pending_commitments(MOST).unwrap().len(), 3);
}

#[test]
fn quotas_refuse_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    let id = |n: u8| ClipId::from_bytes([n; 16]);
    let refused = vaults.add_clip(VAULT, id(1), clip(9_501), &[[1; 32]]);
    assert!(matches!(
        refused,
        Err(VaultError::QuotaBytes {
            wanted: 10_001,
            left: 10_000
        })
    ));
    let refused = vaults.add_clip(VAULT, id(1), clip(u64::MAX), &[[1; 32]]);
    assert!(matches!(
        refused,
        Err(VaultError::QuotaBytes {
            wanted: u64::MAX,
            ..
        })
    ));
    assert!(vaults.pending_commitments(MOST).unwrap().is_empty());
    vaults.add_clip(VAULT, id(1), clip(8_000), &[]).unwrap();
    vaults.add_clip(VAULT, id(2), clip(1_000), &[]).unwrap();
    let refused = vaults.add_clip(VAULT, id(3), clip(0), &[]);
    assert!(matches!(
        refused,
        Err(VaultError::QuotaBytes {
            wanted: 500,
            left: 0
        })
    ));
    vaults.add_clip(VAULT, id(1), clip(8_000), &[]).unwrap();
    vaults.remove_clip(VAULT, id(1)).unwrap();
    vaults.add_clip(VAULT, id(1), clip(10), &[]).unwrap();
    vaults.add_clip(VAULT, id(3), clip(0), &[]).unwrap();
    let refused = vaults.add_clip(VAULT, id(4), clip(0), &[[1; 32]]);
    assert!(matches!(refused, Err(VaultError::QuotaClips { quota: 3 })));
    assert!(vaults.pending_commitments(MOST).unwrap().is_empty());
    assert_eq!(vaults.clips(VAULT).unwrap().len(), 3);
}

#[test]
fn a_prepared_batch_survives_until_it_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    assert_eq!(vaults.prepared_batch().unwrap(), None);
    vaults
        .add_clip(VAULT, CLIP, clip(1), &[[5; 32], [3; 32]])
        .unwrap();
    let batch = PreparedBatch {
        id: statement(1),
        statement: b"envelope".to_vec(),
        commitments: vec![[3; 32], [4; 32], [5; 32]],
    };
    vaults.seal_batch(&batch).unwrap();
    assert!(vaults.pending_commitments(MOST).unwrap().is_empty());
    drop(vaults);
    let vaults = open(&folder);
    assert_eq!(vaults.prepared_batch().unwrap().as_ref(), Some(&batch));
    vaults.seal_batch(&batch).unwrap();
    let mut other = batch.clone();
    other.id = statement(2);
    assert!(matches!(
        vaults.seal_batch(&other),
        Err(VaultError::BatchPending)
    ));
    // A clip sent again meanwhile, and a new one.
    vaults
        .add_clip(VAULT, CLIP, clip(1), &[[5; 32], [3; 32]])
        .unwrap();
    vaults
        .add_clip(VAULT, ClipId::from_bytes([9; 16]), clip(2), &[[6; 32]])
        .unwrap();
    assert_eq!(vaults.pending_commitments(MOST).unwrap(), [[6; 32]]);
    assert!(matches!(
        vaults.batch_logged(statement(2), 1),
        Err(VaultError::NoSuchBatch)
    ));
    vaults.batch_logged(batch.id, 1).unwrap();
    assert!(matches!(
        vaults.batch_logged(batch.id, 1),
        Err(VaultError::NoSuchBatch)
    ));
    assert_eq!(vaults.prepared_batch().unwrap(), None);
    vaults
        .add_clip(VAULT, CLIP, clip(1), &[[5; 32], [3; 32]])
        .unwrap();
    assert_eq!(
        vaults.pending_commitments(MOST).unwrap(),
        [[6; 32]],
        "none twice"
    );

    other.commitments = vec![[5; 32], [6; 32]];
    vaults.seal_batch(&other).unwrap();
    vaults.batch_refused(other.id).unwrap();
    assert_eq!(vaults.pending_commitments(MOST).unwrap(), [[6; 32]]);
    assert_eq!(vaults.prepared_batch().unwrap(), None);
}

/// What may be in a batch whose list is lost joins no other one until the list is found.
#[test]
fn commitments_are_held_while_a_list_is_lost_that_may_have_them() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    let id = |n| ClipId::from_bytes([n; 16]);
    vaults
        .add_clip(VAULT, id(1), clip(1), &[[1; 32], [2; 32]])
        .unwrap();
    assert!(vaults.lose_list(statement(1), 7).unwrap());
    assert!(vaults.lose_list(statement(2), 9).unwrap());
    // One that was complete before the backup, and a new one.
    vaults
        .add_clip_again(VAULT, id(2), clip(2), &[[3; 32]])
        .unwrap();
    vaults.add_clip(VAULT, id(3), clip(3), &[[4; 32]]).unwrap();
    assert!(
        !vaults.lose_list(statement(1), 7).unwrap(),
        "noted before: nothing more is held"
    );
    let pending = |vaults: &Vaults| vaults.pending_commitments(MOST).unwrap();
    assert_eq!(pending(&vaults), [[4; 32]]);
    assert_eq!(vaults.waiting_commitments().unwrap(), 4);
    drop(vaults);

    let vaults = open(&folder);
    let lost = [(statement(1), 7), (statement(2), 9)];
    assert_eq!(vaults.lost_lists().unwrap(), lost);
    vaults.find_list(statement(2), &[[1; 32], [8; 32]]).unwrap();
    assert_eq!(vaults.lost_lists().unwrap(), lost[..1]);
    assert_eq!(pending(&vaults), [[4; 32]], "the other list may have them");
    vaults.find_list(statement(1), &[[3; 32], [9; 32]]).unwrap();
    assert_eq!(vaults.lost_lists().unwrap(), []);
    assert_eq!(pending(&vaults), [[2; 32], [4; 32]], "in none of the lists");
    // Nothing is lost any more.
    vaults.remove_clip(VAULT, id(1)).unwrap();
    vaults
        .add_clip_again(VAULT, id(4), clip(4), &[[5; 32]])
        .unwrap();
    assert_eq!(pending(&vaults), [[2; 32], [4; 32], [5; 32]]);
}

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<u8>),
    Seal,
    Logged,
    Refused,
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever happens, every commitment is in exactly one of: waiting, prepared, logged.
    #[test]
    fn no_commitment_is_lost_or_logged_twice(steps in prop::collection::vec(prop_oneof![
        3 => prop::collection::vec(0..30_u8, 0..4).prop_map(Step::Add),
        2 => Just(Step::Seal),
        2 => Just(Step::Logged),
        1 => Just(Step::Refused),
        1 => Just(Step::Reopen),
    ], 0..30)) {
        let folder = tempfile::tempdir().unwrap();
        let mut vaults = enrolled(&folder);
        let (mut sent, mut logged) = (std::collections::BTreeSet::new(), Vec::new());
        for (step, n) in steps.into_iter().zip(0..) {
            let prepared = vaults.prepared_batch().unwrap();
            match step {
                Step::Add(commitments) => {
                    let commitments: Vec<_> = commitments.iter().map(|&c| [c; 32]).collect();
                    vaults.add_clip(VAULT, CLIP, clip(1), &commitments).unwrap();
                    sent.extend(commitments);
                }
                Step::Seal => {
                    let commitments = vaults.pending_commitments(MOST).unwrap();
                    let batch = PreparedBatch { id: statement(n), statement: vec![n], commitments };
                    prop_assert_eq!(vaults.seal_batch(&batch).is_ok(), prepared.is_none());
                }
                Step::Logged => if let Some(batch) = prepared {
                    vaults.batch_logged(batch.id, 1).unwrap();
                    logged.extend(batch.commitments);
                },
                Step::Refused => if let Some(batch) = prepared {
                    vaults.batch_refused(batch.id).unwrap();
                },
                Step::Reopen => {
                    drop(vaults);
                    vaults = open(&folder);
                }
            }
        }
        let mut all = logged;
        all.extend(vaults.pending_commitments(MOST).unwrap());
        all.extend(vaults.prepared_batch().unwrap().into_iter().flat_map(|b| b.commitments));
        all.sort_unstable();
        prop_assert_eq!(all, sent.into_iter().collect::<Vec<_>>());
    }
}

fn disclosure() -> Disclosure {
    let shown = |opening: &str, body_length| ShownClip {
        clip_id: CLIP,
        opening: opening.to_owned(),
        body_length,
    };
    Disclosure {
        vault_id: VAULT,
        clips: vec![shown("opening b", 900), shown("opening a", 901)],
        until: None,
    }
}

#[test]
fn a_disclosure_is_recorded_once() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    let record =
        |n, disclosure: &Disclosure| vaults.record_disclosure(statement(n), disclosure, time(0));
    assert!(matches!(
        record(1, &disclosure()),
        Err(VaultError::UnknownClip)
    ));
    assert_eq!(vaults.disclosure(statement(1)).unwrap(), None);
    vaults.add_clip(VAULT, CLIP, clip(1000), &[]).unwrap();
    record(1, &disclosure()).unwrap();
    record(1, &disclosure()).unwrap();
    let mut other = disclosure();
    other.clips.swap(0, 1);
    assert!(matches!(
        record(1, &other),
        Err(VaultError::DisclosureConflict)
    ));
    other.clips.pop();
    record(2, &other).unwrap();
    other.vault_id = VaultId::from_bytes([9; 16]);
    assert!(record(3, &other).is_err());
    vaults.remove_clip(VAULT, CLIP).unwrap();
    drop(vaults);
    let vaults = open(&folder);
    assert_eq!(vaults.disclosure(statement(1)).unwrap(), Some(disclosure()));
    assert_eq!(vaults.disclosure(statement(3)).unwrap(), None);
}

#[test]
fn a_header_is_handed_over_once_and_then_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    vaults.add_clip(VAULT, CLIP, clip(1000), &[]).unwrap();
    vaults
        .record_disclosure(statement(1), &disclosure(), time(0))
        .unwrap();
    let header = b"age-encryption.org/v1 re-wrapped".as_slice();
    let hand_over = |n, header: &[u8], at| vaults.hand_over(statement(1), n, header, time(at));
    let unknown = vaults.hand_over(statement(2), 0, header, time(5));
    assert!(matches!(unknown, Err(VaultError::UnknownDisclosure)));
    for n in [2, usize::MAX] {
        assert!(matches!(
            hand_over(n, header, 5),
            Err(VaultError::UnknownDisclosure)
        ));
        assert_eq!(vaults.handed_over(statement(1), n).unwrap(), None);
    }
    assert_eq!(vaults.handed_over(statement(1), 1).unwrap(), None);
    hand_over(1, header, 5).unwrap();
    hand_over(1, header, 6).unwrap();
    assert!(matches!(
        hand_over(1, b"other", 6),
        Err(VaultError::HandedOverConflict)
    ));
    hand_over(0, b"second", 50).unwrap();
    let mut expected = HandedOver {
        vault_id: VAULT,
        clip: disclosure().clips[1].clone(),
        header: Some(header.to_vec()),
        at: time(5),
    };
    assert_eq!(
        vaults.handed_over(statement(1), 1).unwrap().as_ref(),
        Some(&expected)
    );

    assert_eq!(vaults.forget_handed_over(time(5)).unwrap(), 0);
    assert_eq!(vaults.forget_handed_over(time(6)).unwrap(), 1);
    assert_eq!(vaults.forget_handed_over(time(6)).unwrap(), 0);
    expected.header = None;
    assert_eq!(vaults.handed_over(statement(1), 1).unwrap(), Some(expected));
    assert!(matches!(
        hand_over(1, header, 7),
        Err(VaultError::HandedOverForgotten)
    ));
    let second = vaults.handed_over(statement(1), 0).unwrap().unwrap();
    assert_eq!(second.header.unwrap(), b"second");
}

#[test]
fn a_note_is_handed_over_once_and_then_forgotten_with_the_headers() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    vaults.add_clip(VAULT, CLIP, clip(1000), &[]).unwrap();
    for n in [1, 2] {
        vaults
            .record_disclosure(statement(n), &disclosure(), time(0))
            .unwrap();
    }
    let hand_over = |n, note: &[u8], at| vaults.hand_over_note(statement(n), note, time(at));
    let kept = |n| vaults.handed_over_note(statement(n)).unwrap();
    assert!(matches!(
        hand_over(3, b"a note", 5),
        Err(VaultError::UnknownDisclosure)
    ));
    assert_eq!(kept(1), None);
    hand_over(1, b"a note", 5).unwrap();
    hand_over(1, b"a note", 6).unwrap();
    hand_over(2, b"a second", 6).unwrap();
    assert!(matches!(
        hand_over(1, b"another", 6),
        Err(VaultError::HandedOverConflict)
    ));
    assert_eq!(kept(1), Some(Some(b"a note".to_vec())));
    assert_eq!(vaults.handed_over(statement(1), 0).unwrap(), None);

    vaults
        .hand_over(statement(1), 0, b"header", time(5))
        .unwrap();
    assert_eq!(vaults.forget_handed_over(time(5)).unwrap(), 0);
    assert_eq!(vaults.forget_handed_over(time(6)).unwrap(), 2);
    assert_eq!(vaults.forget_handed_over(time(6)).unwrap(), 0);
    assert_eq!(kept(1), Some(None), "that there was one stays known");
    assert!(matches!(
        hand_over(1, b"a note", 7),
        Err(VaultError::HandedOverForgotten)
    ));
    assert_eq!(kept(2), Some(Some(b"a second".to_vec())));
    assert_eq!(vaults.forget_disclosed(statement(2)).unwrap(), 1);
    assert_eq!(kept(2), Some(None));
}

#[test]
fn what_is_public_is_kept_until_it_is_told_to_be_over() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    vaults.add_clip(VAULT, CLIP, clip(1000), &[]).unwrap();
    let public = Disclosure {
        until: Some(time(900)),
        ..disclosure()
    };
    vaults
        .record_disclosure(statement(1), &disclosure(), time(0))
        .unwrap();
    vaults
        .record_disclosure(statement(2), &public, time(0))
        .unwrap();
    assert_eq!(vaults.disclosure(statement(2)).unwrap(), Some(public));
    assert_eq!(vaults.public_disclosures().unwrap(), []);
    for n in [1, 2] {
        vaults
            .hand_over(statement(n), 0, b"header", time(5))
            .unwrap();
    }
    assert_eq!(vaults.public_disclosures().unwrap(), [statement(2)]);
    assert_eq!(vaults.forget_handed_over(time(100)).unwrap(), 1);
    let kept = |n| vaults.handed_over(statement(n), 0).unwrap().unwrap().header;
    assert_eq!((kept(1), kept(2)), (None, Some(b"header".to_vec())));
    assert_eq!(vaults.forget_disclosed(statement(2)).unwrap(), 1);
    assert_eq!(kept(2), None);
    assert_eq!(vaults.public_disclosures().unwrap(), []);
}

/// The file of a server that knew nothing of publications.
#[test]
fn an_older_file_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vaults.db");
    let older = Connection::open(&path).unwrap();
    older.execute_batch(include_str!("schema-1.sql")).unwrap();
    older
        .pragma_update(None, "application_id", 0x7768_6f76)
        .unwrap();
    older.pragma_update(None, "user_version", 1).unwrap();
    let vault = "INSERT INTO vaults VALUES (?1, zeroblob(32), 1000, 10)";
    older.execute(vault, (VAULT.as_bytes(),)).unwrap();
    let given = "INSERT INTO disclosures (id, vault) VALUES (?1, ?2)";
    let id = statement(1);
    older
        .execute(given, (id.as_bytes(), VAULT.as_bytes()))
        .unwrap();
    drop(older);
    let vaults = Vaults::open(&path).unwrap();
    let expected = Disclosure {
        clips: Vec::new(),
        ..disclosure()
    };
    assert_eq!(vaults.disclosure(statement(1)).unwrap(), Some(expected));
    let asked = vaults.unlogged_disclosures(time(0)).unwrap();
    assert_eq!(asked, [statement(1)], "nobody knows whether it is logged");
}

#[test]
fn what_is_not_logged_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    vaults.add_clip(VAULT, CLIP, clip(1000), &[]).unwrap();
    for n in [1, 2, 3] {
        let at = time(i64::from(n));
        vaults
            .record_disclosure(statement(n), &disclosure(), at)
            .unwrap();
    }
    let unlogged = |before| vaults.unlogged_disclosures(time(before)).unwrap();
    assert_eq!(unlogged(1), []);
    assert_eq!(unlogged(2), [statement(1)]);
    assert_eq!(unlogged(9).len(), 3);

    vaults.disclosure_logged(statement(1)).unwrap();
    vaults.forget_unlogged(statement(1)).unwrap();
    vaults.forget_unlogged(statement(2)).unwrap();
    vaults.forget_unlogged(statement(2)).unwrap();
    let recorded = |n| vaults.disclosure(statement(n)).unwrap();
    assert_eq!(recorded(1), Some(disclosure()));
    assert_eq!(recorded(2), None);
    assert_eq!(unlogged(9), [statement(3)]);
    let again = vaults.record_disclosure(statement(2), &disclosure(), time(5));
    again.unwrap();
    assert_eq!(recorded(2), Some(disclosure()));
}

#[test]
fn forgotten_headers_are_not_left_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    vaults.add_clip(VAULT, CLIP, clip(1000), &[]).unwrap();
    let mut many = disclosure();
    many.clips = vec![many.clips[0].clone(); 16];
    // Headers that fit their rows, and some that spill over pages, as notes do; forgotten on the way.
    let mut forgotten = 0;
    for n in 0..160 {
        let (id, place) = (statement((n / 16) as u8), n % 16);
        if place == 0 {
            vaults.record_disclosure(id, &many, time(0)).unwrap();
        }
        let header = "header bytes ".repeat(1 + (n * 37) % 40 + n % 7 / 6 * 700);
        let at = time(n as i64);
        vaults.hand_over(id, place, header.as_bytes(), at).unwrap();
        if place == 0 {
            let note = "header bytes ".repeat(330);
            vaults.hand_over_note(id, note.as_bytes(), at).unwrap();
        }
        if n % 50 == 49 {
            forgotten += vaults.forget_handed_over(at.plus_seconds(-10)).unwrap();
        }
    }
    let holds = |text: &[u8]| {
        std::fs::read_dir(folder.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(text.len()).any(|window| window == text)
        })
    };
    assert!(holds(b"header bytes "));
    forgotten += vaults.forget_handed_over(time(1000)).unwrap();
    assert_eq!(forgotten, 170);
    assert!(!holds(b"header bytes "));
    assert!(holds(b"opening b"), "the search finds what is there");
}

/// Whoever reads meanwhile holds the log of writes; when it ends, nothing is left there.
#[test]
fn a_reader_does_not_keep_forgotten_headers() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    vaults.add_clip(VAULT, CLIP, clip(1000), &[]).unwrap();
    let record = vaults.record_disclosure(statement(1), &disclosure(), time(0));
    record.unwrap();
    let header = b"a header that is to be forgotten";
    vaults.hand_over(statement(1), 0, header, time(5)).unwrap();

    let reader = Connection::open(folder.path().join("vaults.db")).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = |db: &Connection| {
        let count = "SELECT count(*) FROM handed_over";
        db.query_row(count, (), |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(count(&reader), 1);
    let holds = || {
        std::fs::read_dir(folder.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(header.len()).any(|window| window == header)
        })
    };
    let since = std::time::Instant::now();
    assert_eq!(vaults.forget_handed_over(time(6)).unwrap(), 1);
    assert!(holds(), "the reader's snapshot has it");
    assert_eq!(vaults.forget_handed_over(time(6)).unwrap(), 0);
    assert!(
        since.elapsed() < 2 * BUSY_TIMEOUT,
        "the reader is waited for"
    );
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(vaults.forget_handed_over(time(6)).unwrap(), 0);
    assert!(!holds());
}

#[test]
fn nothing_private_is_shown() {
    let shown = format!("{:?} {VAULT:?} {CLIP:?}", disclosure());
    let digits = VAULT.to_string();
    assert_eq!(digits, "01".repeat(16));
    assert!(!shown.contains("opening") && !shown.contains(&digits) && !shown.contains("0202"));
}

#[test]
fn other_databases_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vaults.db");
    drop(crate::store::sqlite::SqliteJournal::open(&path).unwrap());
    assert!(matches!(
        Vaults::open(&path),
        Err(StoreError::Foreign { .. })
    ));
    std::fs::remove_file(&path).unwrap();
    drop(Vaults::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 9).unwrap();
    drop(connection);
    assert!(matches!(
        Vaults::open(&path),
        Err(StoreError::Newer { found: 9, .. })
    ));
}

fn recipient(byte: u8) -> crate::seal::recipient::Recipient {
    let phrase = crate::seal::keys::Phrase::from_entropy(&[byte; 32]);
    phrase.seed().notice_key().recipient()
}

#[test]
fn a_notice_recipient_is_given_once() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    let given = || vaults.vault(VAULT).unwrap().unwrap().notice_recipient;
    assert_eq!(given(), None);
    assert!(vaults.set_notice_recipient(VAULT, &recipient(1)).unwrap());
    assert!(!vaults.set_notice_recipient(VAULT, &recipient(1)).unwrap());
    let other = vaults.set_notice_recipient(VAULT, &recipient(2));
    assert!(matches!(other, Err(VaultError::RecipientConflict)));
    assert_eq!(given(), Some(recipient(1)));
    let stranger = VaultId::from_bytes([9; 16]);
    let unknown = vaults.set_notice_recipient(stranger, &recipient(1));
    assert!(matches!(unknown, Err(VaultError::UnknownVault)));
    assert_eq!(vaults.vault(stranger).unwrap(), None);
}

#[test]
fn a_vault_is_found_by_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    let by_code = |code: &str| vaults.vault_of_code(&Digest::of(code));
    assert_eq!(by_code("code").unwrap().unwrap().id, VAULT);
    assert!(matches!(by_code("other"), Err(VaultError::UnknownCode)));
    vaults
        .add_code(Digest::of("other"), 1, 1, time(100))
        .unwrap();
    assert_eq!(by_code("other").unwrap(), None, "not used yet");
    let listed: Vec<_> = vaults.vaults().unwrap();
    assert_eq!(listed, [vaults.vault(VAULT).unwrap().unwrap()]);
}

#[test]
fn a_file_of_before_there_were_notices_is_brought_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vaults.db");
    let older = Schema {
        migrations: &SCHEMA.migrations[..1],
        ..SCHEMA
    };
    let db = older.open(&path).unwrap();
    db.execute(
        "INSERT INTO vaults (id, key, quota_bytes, quota_clips) VALUES (?1, ?2, 10000, 3)",
        (VAULT.as_bytes(), KEY),
    )
    .unwrap();
    drop(db);
    let vaults = open(&folder);
    let vault = vaults.vault_by_key(KEY).unwrap().unwrap();
    assert_eq!((vault.id, vault.notice_recipient), (VAULT, None));
    assert!(vaults.set_notice_recipient(VAULT, &recipient(1)).unwrap());
}

#[test]
fn one_vault_does_not_fill_the_batches_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let vaults = enrolled(&folder);
    vaults.add_clip(VAULT, CLIP, clip(1), &[]).unwrap();
    let commitments = |n: u64| Digest::of(n.to_be_bytes());
    let send = |n: u64| vaults.add_clip(VAULT, CLIP, clip(1), &[*commitments(n).as_bytes()]);
    let quota = (3 + 64) * 8;
    (0..quota).for_each(|n| send(n).unwrap());
    send(0).unwrap();
    let refused =
        |n| matches!(send(n), Err(VaultError::QuotaCommitments { quota: q }) if q == quota);
    assert!(refused(quota));
    assert_eq!(
        vaults.pending_commitments(MOST).unwrap().len() as u64,
        quota
    );

    // A batch takes as many as it can, whichever; the others wait for the next.
    let some = vaults.pending_commitments(64).unwrap();
    assert_eq!(some.len(), 64);
    assert!(some.is_sorted());
    let batch = PreparedBatch {
        id: statement(1),
        statement: b"a batch".to_vec(),
        commitments: some,
    };
    vaults.seal_batch(&batch).unwrap();
    vaults.batch_logged(batch.id, 1).unwrap();
    let left = vaults.pending_commitments(MOST).unwrap();
    assert_eq!(left.len() as u64, quota - 64);
    send(quota).unwrap();
}
