//! An honest log is clean; no bit of a folder can change, no file go or come, without a finding.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::reader::source::FolderSource;
use crate::reader::testing::{
    LEAVES, Shown, WITNESSES, closed, now, policies_of_one_key, policy, policy_of,
};
use crate::statement::leaf::Leaf;

fn folder(shown: &Shown) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in &shown.0 {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn of_folder(folder: &TempDir) -> Audit {
    let source = FolderSource::new(folder.path());
    audit(
        &source,
        &policy(),
        None,
        Some(folder.path()),
        &mut |_, _| (),
    )
    .unwrap()
}

fn of_server(shown: &Shown) -> Audit {
    audit(shown, &policy(), Some(now()), None, &mut |_, _| ()).unwrap()
}

/// Codes and places.
fn found(audit: &Audit) -> Vec<(&str, &str)> {
    let findings = audit.findings.iter();
    findings
        .map(|f| (f.code.as_str(), f.place.as_str()))
        .collect()
}

/// Ten entries, with files of earlier sizes.
fn small() -> Shown {
    Shown::new(&LEAVES[..10], &[2, 5])
}

/// Full tiles, partial ones, and a second level.
fn large() -> Shown {
    Shown::new(&LEAVES, &[3, 256, 300, 520])
}

#[test]
fn an_honest_log_is_clean() {
    for shown in [small(), large(), Shown::new(&[], &[])] {
        let seen = of_folder(&folder(&shown));
        assert_eq!(found(&seen), []);
        let checkpoint = shown.checkpoint_shown();
        assert_eq!(seen.origin, Some(checkpoint.origin.to_string()));
        assert_eq!(
            (seen.size, seen.root),
            (checkpoint.size.as_u64(), checkpoint.root.to_string())
        );
        assert!(seen.cosignatures.keys().eq(WITNESSES.iter()));
        assert_eq!(found(&of_server(&shown)), []);
    }
}

#[test]
fn a_log_that_grows_under_the_audit_is_clean() {
    let mut shown = Shown::new(&LEAVES[..300], &[]);
    shown.0.retain(|path, _| !path.contains(".p/"));
    for (path, bytes) in Shown::new(&LEAVES[..512], &[]).0 {
        shown.0.entry(path).or_insert(bytes);
    }
    shown.0.retain(|path, _| path != "tile/1/000.p/2");
    let first_level = Shown::new(&LEAVES[..300], &[]).0["tile/1/000.p/1"].clone();
    shown.put("tile/1/000.p/1", first_level);
    assert_eq!(found(&of_server(&shown)), []);
}

/// A log whose checkpoint is newer each time that it is read, and which keeps the files of the newest alone.
struct Growing {
    checkpoints: std::sync::Mutex<Vec<Vec<u8>>>,
    files: Shown,
}

impl LogSource for Growing {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        match path {
            "checkpoint" => Ok(self.checkpoints.lock().unwrap().pop()),
            _ => self.files.read(path),
        }
    }
}

/// Where the log has grown under the audit and a partial file is gone, it could not look.
#[test]
fn a_partial_file_that_is_gone_from_a_growing_log_is_no_finding() {
    let sizes = [12, 10].map(|size| Shown::new(&LEAVES[..size], &[]));
    let note = |shown: &Shown| shown.0["checkpoint"].clone();
    let audited = |checkpoints| {
        let source = Growing {
            checkpoints: std::sync::Mutex::new(checkpoints),
            files: sizes[0].clone(),
        };
        audit(&source, &policy(), Some(now()), None, &mut |_, _| ())
    };
    let grew = audited(sizes.iter().map(note).collect());
    assert!(matches!(grew, Err(AuditError::Grew)), "{grew:?}");
    // A log that shows the same size still hides the file.
    let hides = audited(vec![note(&sizes[1]), note(&sizes[1])]).unwrap();
    assert!(
        found(&hides)
            .iter()
            .all(|(code, _)| *code == "missing-file")
    );
    assert!(!hides.findings.is_empty());
}

/// A server that works in the folder writes tiles before the checkpoint, and takes old ones away.
#[test]
fn a_folder_in_which_a_server_works_is_clean() {
    let (old, new) = (small(), Shown::new(&LEAVES[..12], &[2, 5, 10]));
    let mut between = new.clone();
    between.put("checkpoint", old.0["checkpoint"].clone());
    let at_work = folder(&between);
    let publishes = thread::spawn({
        let (path, note) = (
            at_work.path().join("checkpoint"),
            new.0["checkpoint"].clone(),
        );
        move || {
            thread::sleep(3 * LOOK);
            fs::write(path, note).unwrap();
        }
    });
    let seen = of_folder(&at_work);
    publishes.join().unwrap();
    assert_eq!((found(&seen), seen.size), (Vec::new(), 10));
}

#[test]
fn every_file_of_the_log_is_missed() {
    let shown = large();
    let of_this_size = Shown::new(&LEAVES, &[]);
    assert!(of_this_size.0.len() > 7);
    for path in of_this_size.0.keys().filter(|path| *path != "checkpoint") {
        let mut shown = shown.clone();
        shown.0.remove(path);
        let seen = of_folder(&folder(&shown));
        assert_eq!(found(&seen)[0], ("missing-file", path.as_str()));
    }
    let nothing = audit(&Shown::default(), &policy(), None, None, &mut |_, _| ());
    assert!(matches!(
        nothing,
        Err(AuditError::Source(SourceError::Missing(_)))
    ));
}

#[test]
fn what_does_not_belong_is_found() {
    let strays = [
        "tile/0/000.p/03",
        "tile/0/0",
        "tile/8/000",
        "tile/entries/000.p/2.tmp",
        "checkpoint~",
        ".staging/a",
        "\u{1b}[2J",
    ];
    for path in strays {
        let mut shown = small();
        shown.put(path, shown.0["tile/0/000.p/2"].clone());
        let seen = of_folder(&folder(&shown));
        assert_eq!(seen.findings.len(), 1, "{path}");
        assert_eq!(seen.findings[0].code, "stray-file");
        assert!(!seen.findings[0].place.contains('\u{1b}'));
    }
    let mut ahead = small();
    let paths = [
        "tile/0/000",
        "tile/0/000.p/11",
        "tile/1/000.p/1",
        "tile/entries/001.p/1",
    ];
    for path in paths {
        ahead.put(path, vec![0; 32]);
    }
    let beyond = paths.map(|path| ("beyond-checkpoint", path));
    assert_eq!(found(&of_folder(&folder(&ahead))), beyond);
    // Not followed, not waited for: links and sockets.
    let lies = folder(&small());
    let elsewhere = lies.path().join("tile/0/000.p/2");
    fs::remove_file(&elsewhere).unwrap();
    symlink("5", &elsewhere).unwrap();
    let _socket = UnixListener::bind(lies.path().join("tile/0/000.p/3")).unwrap();
    let links = [
        ("stray-file", "tile/0/000.p/2"),
        ("stray-file", "tile/0/000.p/3"),
    ];
    assert_eq!(found(&of_folder(&lies)), links);
}

#[test]
fn older_partial_files_begin_the_later_ones() {
    for (path, code) in [
        ("tile/0/000.p/2", "wrong-tile"),
        ("tile/0/000.p/5", "wrong-tile"),
        ("tile/entries/000.p/2", "wrong-bundle"),
        ("tile/entries/000.p/5", "wrong-bundle"),
    ] {
        let mut longer = small();
        longer.0.get_mut(path).unwrap().extend([0, 0]);
        assert_eq!(found(&of_folder(&folder(&longer))), [(code, path)]);
        let mut altered = small();
        altered.0.get_mut(path).unwrap()[20] ^= 4;
        assert_eq!(found(&of_folder(&folder(&altered))), [(code, path)]);
    }
}

#[test]
fn a_checkpoint_that_does_not_count_is_a_finding_and_the_rest_is_checked_all_the_same() {
    let shown = small();
    let old = shown
        .clone()
        .cosigned(&WITNESSES, now().plus_seconds(-3601));
    assert_eq!(found(&of_server(&old)), [("stale", "checkpoint")]);
    assert_eq!(found(&of_folder(&folder(&old))), []);

    let mut one = shown.clone().cosigned(&WITNESSES[..1], now());
    assert_eq!(found(&of_server(&one)), [("quorum-missing", "checkpoint")]);
    one.0.get_mut("tile/0/000.p/10").unwrap()[0] ^= 1;
    let seen = of_server(&one);
    assert_eq!(
        found(&seen),
        [
            ("quorum-missing", "checkpoint"),
            ("wrong-tile", "tile/0/000.p/10")
        ]
    );
    assert_eq!(seen.size, 10);

    let mut foreign = shown.clone();
    let mut checkpoint = shown.checkpoint_shown();
    checkpoint.origin = "other.example/log".parse().unwrap();
    foreign.sign(&checkpoint, &WITNESSES, now());
    let seen = of_server(&foreign);
    assert_eq!(found(&seen), [("checkpoint", "checkpoint")]);
    assert_eq!(seen.origin, None);

    let mut other_root = shown.clone();
    let mut checkpoint = shown.checkpoint_shown();
    checkpoint.root = Hash::from_bytes([7; 32]);
    other_root.sign(&checkpoint, &WITNESSES, now());
    assert_eq!(
        found(&of_server(&other_root)),
        [("wrong-root", "checkpoint")]
    );

    let refused = audit(&shown, &operators_own(), None, None, &mut |_, _| ());
    assert!(matches!(refused, Err(AuditError::Policy(_))));
}

fn operators_own() -> Policy {
    let policy = policy()
        .to_string()
        .replace("quorum witnesses", "quorum none");
    Policy::parse(&policy).unwrap()
}

#[test]
fn signatures_that_nobody_checked_are_named() {
    let with_stranger = small().cosigned(&["library", "newsroom", "stranger"], now());
    let seen = of_folder(&folder(&with_stranger));
    assert_eq!(found(&seen), []);
    assert_eq!(seen.unchecked, ["stranger.example/witness"]);
    assert_eq!(seen.cosignatures.len(), 2);
    // Of these, the trust file may also name one alone and lack the quorum.
    let other = policy_of(&["stranger", "university"]);
    let seen = audit(&with_stranger, &other, None, None, &mut |_, _| ()).unwrap();
    assert_eq!(found(&seen), [("quorum-missing", "checkpoint")]);
}

#[test]
fn one_of_the_logs_keys_is_enough() {
    let shown = small();
    let folder = folder(&shown);
    let source = FolderSource::new(folder.path());
    for policy in policies_of_one_key() {
        let seen = audit(&source, &policy, None, Some(folder.path()), &mut |_, _| ()).unwrap();
        assert_eq!(found(&seen), []);
        assert_eq!(seen.unchecked, [shown.checkpoint_shown().origin.as_str()]);
    }
    assert_eq!(of_folder(&folder).unchecked, [""; 0]);
}

#[test]
fn entries_that_the_rules_forbid_are_findings() {
    let mut leaves = LEAVES[..300].to_vec();
    leaves[260] = LEAVES[12].clone();
    leaves[270] = b"{}".to_vec();
    let seen = of_folder(&folder(&Shown::new(&leaves, &[])));
    assert_eq!(
        found(&seen),
        [("already-logged", "entry 260"), ("not-json", "entry 270")]
    );
    let nothing_first = Shown::new(&LEAVES[1..3], &[]);
    let seen = of_server(&nothing_first);
    assert_eq!(found(&seen)[0], ("not-genesis", "entry 0"));
}

#[test]
fn what_stands_after_the_end_is_a_finding() {
    let (leaves, appended) = closed();
    let shown = Shown::new(&leaves, &[]);
    for seen in [of_folder(&folder(&shown)), of_server(&shown)] {
        assert_eq!(found(&seen), []);
        let end = seen.closed.expect("closed").index.as_u64();
        assert_eq!(end, leaves.len() as u64 - 1);
    }
    let week_ago = now().plus_seconds(-7 * 86_400);
    let old = shown.cosigned(&WITNESSES, week_ago);
    assert_eq!(found(&of_server(&old)), []);

    let lie = Shown::new(&[leaves.clone(), vec![appended]].concat(), &[]);
    let place = format!("entry {}", leaves.len());
    let seen = of_server(&lie);
    assert_eq!(found(&seen), [("log-closed", place.as_str())]);
    assert!(seen.closed.is_some());
    let old = lie.cosigned(&WITNESSES, week_ago);
    let both = [("stale", "checkpoint"), ("log-closed", place.as_str())];
    assert_eq!(found(&of_server(&old)), both);
}

#[test]
fn no_bit_of_a_checkpoint_changes_unnoticed() {
    // Two of three cosignatures would do; an altered third one is noticed too.
    let shown = Shown::new(&[], &[]);
    let lies = folder(&shown);
    let place = lies.path().join("checkpoint");
    let honest = &shown.0["checkpoint"];
    // Each byte in one or two of its bits, all eight in turn.
    for bit in (0..honest.len() * 8).step_by(7) {
        let mut bytes = honest.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&place, &bytes).unwrap();
        assert!(!of_folder(&lies).findings.is_empty(), "bit {bit}");
    }
}

#[test]
fn a_flipped_bit_in_each_file_of_a_large_log_is_noticed() {
    let shown = large();
    let lies = folder(&shown);
    for (i, (path, bytes)) in shown.0.iter().enumerate() {
        let mut altered = bytes.clone();
        altered[i * 7919 % bytes.len()] ^= 1 << (i % 8);
        fs::write(lies.path().join(path), altered).unwrap();
        assert!(!of_folder(&lies).findings.is_empty(), "{path}");
        fs::write(lies.path().join(path), bytes).unwrap();
    }
    assert_eq!(found(&of_folder(&lies)), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_flipped_bit_goes_unnoticed(
        file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8,
        cut in any::<bool>(),
    ) {
        let mut shown = Shown::new(&LEAVES[..3], &[1, 2]);
        let path = shown.0.keys().nth(file.index(shown.0.len())).unwrap().clone();
        let bytes = shown.0.get_mut(&path).unwrap();
        let at = at.index(bytes.len());
        // A checkpoint without one of three cosignatures is a checkpoint.
        match cut && path != "checkpoint" {
            true => bytes.truncate(at),
            false => bytes[at] ^= 1u8 << bit,
        }
        prop_assert!(!of_folder(&folder(&shown)).findings.is_empty(), "{} at {}", path, at);
    }
}

/// The checkpoint counts for no entry that it was cosigned before, and proves no more than it does.
#[test]
fn an_entry_that_was_logged_ahead_is_a_finding() {
    let (leaves, _) = closed();
    let last = Leaf::parse(leaves.last().unwrap()).unwrap().logged_at;
    for (witnesses, ago, code) in [
        (&WITNESSES[..], 300, None),
        (&WITNESSES[..], 301, Some("logged-ahead")),
    ] {
        let shown = Shown::new(&leaves, &[]).cosigned(witnesses, last.plus_seconds(-ago));
        let seen = of_folder(&folder(&shown));
        let codes: Vec<_> = found(&seen).iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, code.into_iter().collect::<Vec<_>>(), "{ago}");
    }
}
