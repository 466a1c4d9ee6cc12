use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rusqlite::StatementStatus;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::party::resident::notices::{DueNotice, Found, KeptNotice, LostMessage};
use crate::seal::commitment::{CLIP_COMMITMENTS, DECISION_SLOTS};
use crate::statement::scope::Ring;

const HOUR: i64 = 3600;
const PLACE: &str = "28.03550,-81.94500";

fn beginning() -> Beginning {
    Beginning {
        server: "http://127.0.0.1:1".to_owned(),
        jurisdiction: "US-FL".parse().unwrap(),
        vault: HexId::from_bytes([2; 16]),
        cameras: vec![camera_at(PLACE)],
        restoring: false,
    }
}

fn new_state() -> (TempDir, PathBuf, State) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resident.db");
    State::create(&path, &beginning()).unwrap();
    let state = State::open(&path).unwrap();
    (folder, path, state)
}

fn camera_at(position: &str) -> Camera {
    Camera {
        name: "front".parse().unwrap(),
        position: position.parse().unwrap(),
    }
}

fn start() -> Time {
    "2019-07-30T20:00:00Z".parse().unwrap()
}

/// Clip number `n`, filmed in the first half of the hour `n`; its digests are random to look at, as real ones are.
fn clip(n: u32) -> Clip {
    let digest = |what: &str| Digest::of(format!("{what} {n}"));
    let from = start().checked_add_seconds(HOUR * i64::from(n)).unwrap();
    let commitment = |i| Commitment::from_bytes(*digest(&format!("commitment {i}")).as_bytes());
    let id = *digest("id").as_bytes().first_chunk().unwrap();
    Clip {
        clip: HexId::from_bytes(id),
        camera: camera_at(PLACE),
        from,
        until: from.checked_add_seconds(HOUR / 2).unwrap(),
        body_digest: digest("body"),
        body_length: 4,
        sha256: digest("film"),
        size: 4,
        commitments: (0..CLIP_COMMITMENTS).map(commitment).collect(),
        upload: Some(std::array::from_fn(commitment)),
        stored: false,
        why: None,
        to_enter: false,
        given_up: false,
        anchors: vec![None; CLIP_COMMITMENTS],
    }
}

fn an_anchor() -> Anchor {
    Anchor {
        batch: StatementId::from_bytes([3; 32]),
        index: 7,
        path: (0..9).map(|n: u8| Digest::of([n])).collect(),
    }
}

fn refusal(n: u8) -> KeptRefusal {
    KeptRefusal {
        request: StatementId::from_bytes([n; 32]),
        envelope: json!({ "payload": n }),
        carried: None,
    }
}

/// A commitment to a refusal that the upload of clip `by` carries.
fn commit(by: u8) -> impl Fn(&StatementId) -> Commitment {
    move |request| {
        let mut bytes = *request.as_bytes();
        bytes[31] = by;
        Commitment::from_bytes(bytes)
    }
}

fn gift(n: u8, request: Option<u8>, of: &[HexId]) -> Gift {
    let given = of.iter().map(|clip| GivenClip {
        clip: Some(*clip),
        header: Some(vec![n; 300]),
    });
    Gift {
        disclosure: StatementId::from_bytes([n; 32]),
        request: request.map(|request| StatementId::from_bytes([request; 32])),
        envelope: json!({ "payload": n }),
        clips: given.collect(),
        note: request.map(|_| KeptNote {
            text: vec![n; 40],
            file: vec![n; 4296],
        }),
        index: None,
        handed_over: None,
    }
}

fn scope(from: Time, until: Time) -> Scope {
    let corner = |lat, lon| Position::new(lon, lat).unwrap();
    let (south, north, west, east) = (2_803_000, 2_804_000, -8_195_000, -8_194_000);
    let ring = [
        corner(south, west),
        corner(south, east),
        corner(north, east),
        corner(north, west),
        corner(south, west),
    ];
    Scope {
        ring: Ring::new(ring.to_vec()).unwrap(),
        from,
        until,
    }
}

/// Within a transaction and outside of one.
#[test]
fn a_fault_names_the_file() {
    let (_folder, path, state) = new_state();
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE cameras; DROP TABLE gifts;")
        .unwrap();
    let faults = [
        state.cameras().unwrap_err(),
        state.add_camera(&camera_at(PLACE)).unwrap_err(),
        state.move_camera(&camera_at(PLACE)).unwrap_err(),
        state.put_gift(&gift(1, None, &[])).unwrap_err(),
    ];
    for fault in faults.map(|fault| fault.to_string()) {
        assert!(fault.starts_with(path.to_str().unwrap()), "{fault}");
    }
}

#[test]
fn a_clip_reaches_beyond_a_window_by_what_is_outside_of_it() {
    let at = |seconds: i64| start().checked_add_seconds(seconds).unwrap();
    let window = scope(at(0), at(60));
    for (from, until, minutes, beyond) in [
        (0, 60, 1, 0),
        (10, 20, 1, 0),
        (-1, 60, 2, 1),
        (-600, 660, 21, 20),
        (30, 30 + 24 * HOUR, 24 * 60, 24 * 60),
        (-86_400, -86_000, 7, 7),
        (60, 0, 0, 0),
    ] {
        let clip = Clip {
            from: at(from),
            until: at(until),
            ..clip(1)
        };
        let found = (clip.minutes(), clip.minutes_beyond(&window));
        assert_eq!(found, (minutes, beyond), "{from} {until}");
    }
}

#[test]
fn a_clip_matches_by_place_and_time_both() {
    let (_folder, _, state) = new_state();
    let window = |from: &str, until: &str| (from.parse().unwrap(), until.parse().unwrap());
    let asked = scope(start(), start().checked_add_seconds(2 * HOUR).unwrap());
    let filmed = [
        (
            PLACE,
            window("2019-07-30T21:59:59Z", "2019-07-30T23:00:00Z"),
            true,
        ),
        (
            PLACE,
            window("2019-07-30T19:00:00Z", "2019-07-30T20:00:01Z"),
            true,
        ),
        (
            PLACE,
            window("2019-07-30T19:00:00Z", "2019-07-31T20:00:01Z"),
            true,
        ),
        // A window that ends when the other begins shares no moment with it.
        (
            PLACE,
            window("2019-07-30T19:00:00Z", "2019-07-30T20:00:00Z"),
            false,
        ),
        (
            PLACE,
            window("2019-07-30T22:00:00Z", "2019-07-30T23:00:00Z"),
            false,
        ),
        (
            "28.05000,-81.94500",
            window("2019-07-30T21:00:00Z", "2019-07-30T21:30:00Z"),
            false,
        ),
    ];
    let mut matching = Vec::new();
    for (n, (place, (from, until), matches)) in (0..).zip(filmed) {
        let clip = Clip {
            camera: camera_at(place),
            from,
            until,
            ..clip(n)
        };
        assert_eq!(clip.matches(&asked), matches, "{from} {place}");
        state.add_clip(&clip).unwrap();
        matching.extend(matches.then_some(clip));
    }
    assert_eq!(state.clips_in(&asked).unwrap(), matching);
}

#[test]
fn the_file_is_private_and_alone_after_a_clean_end() {
    let (folder, path, state) = new_state();
    let names = || {
        let files = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    state.add_clip(&clip(1)).unwrap();
    assert_eq!(
        names(),
        ["resident.db", "resident.db-shm", "resident.db-wal"]
    );
    for name in names() {
        let metadata = fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
    drop(state);
    assert_eq!(names(), ["resident.db"]);
    let state = State::open(&path).unwrap();
    let Beginning {
        server,
        jurisdiction,
        vault,
        cameras,
        ..
    } = beginning();
    assert_eq!(
        (&state.server, &state.jurisdiction),
        (&server, &jurisdiction)
    );
    assert_eq!((state.vault, state.cameras().unwrap()), (vault, cameras));
    assert_eq!(state.clips().unwrap(), [clip(1)]);
}

/// What a process that is killed leaves: the database, and a write-ahead log that nobody copied into it.
#[test]
fn each_change_is_durable_by_itself() {
    let (folder, path, state) = new_state();
    state.add_clip(&clip(1)).unwrap();
    state.atomic(|| state.set_stored(clip(1).clip)).unwrap();
    let begun: Result<(), StoreError> = state.atomic(|| {
        state.add_clip(&clip(2))?;
        for side in ["", "-wal"] {
            let name = format!("resident.db{side}");
            fs::copy(
                folder.path().join(&name),
                folder.path().join(format!("killed-{name}")),
            )
            .unwrap();
        }
        state.add_clip(&clip(2))
    });
    assert!(begun.is_err(), "there is one already");
    let found = State::open(&path.with_file_name("killed-resident.db")).unwrap();
    for state in [&state, &found] {
        assert_eq!(
            state.clips().unwrap(),
            [Clip {
                stored: true,
                ..clip(1)
            }]
        );
    }
}

#[test]
fn a_missing_foreign_or_newer_file_is_refused() {
    let (folder, path, state) = new_state();
    let newer = state.database.pragma_update(None, "user_version", 99);
    newer.unwrap();
    drop(state);
    assert!(matches!(State::open(&path), Err(StoreError::Newer { .. })));
    let missing = folder.path().join("missing.db");
    assert!(matches!(State::open(&missing), Err(StoreError::Io { .. })));
    assert!(!missing.exists());
    fs::write(&missing, "{}").unwrap();
    assert!(matches!(
        State::open(&missing),
        Err(StoreError::Foreign { .. })
    ));
}

/// Where the list of a batch is lost that may have a clip's commitments, it enters further ones.
#[test]
fn a_later_set_of_a_clip_reads_back() {
    let (_folder, _, state) = new_state();
    let first = Clip {
        stored: true,
        ..clip(1)
    };
    state.add_clip(&first).unwrap();
    state.add_refusal(&refusal(1)).unwrap();
    state
        .carry_refusals(first.clip, DECISION_SLOTS, commit(90))
        .unwrap();
    assert_eq!(state.clips_without_anchor().unwrap(), [first.clip]);
    state.set_scanned(7).unwrap();
    let more: [Commitment; CLIP_COMMITMENTS] =
        std::array::from_fn(|n| Commitment::from_bytes([200 + n as u8; 32]));
    let set = std::array::from_fn(|n| Commitment::from_bytes([220 + n as u8; 32]));
    state.enter_more(&first, &more, &set).unwrap();
    let found = state.clip(first.clip).unwrap().unwrap();
    let expected = Clip {
        commitments: [&first.commitments[..], &more].concat(),
        anchors: vec![None; 2 * CLIP_COMMITMENTS],
        upload: Some(set),
        to_enter: true,
        ..first.clone()
    };
    assert_eq!(found, expected);
    assert_eq!(state.clips_to_enter().unwrap(), [first.clip]);
    assert_eq!(state.scanned_before(first.clip).unwrap(), 7);
    assert_eq!(
        state.refusals().unwrap(),
        [refusal(1)],
        "it goes with the next clip"
    );
    assert_eq!(state.clip_of(&more[3]).unwrap().unwrap().1, 7);
    state.set_entered(first.clip).unwrap();
    assert_eq!(state.clips_to_enter().unwrap(), []);
    state.anchor(&more[0], &an_anchor()).unwrap();
    assert_eq!(state.clips_without_anchor().unwrap(), []);
    let mut unanchored = expected.commitments;
    unanchored.remove(4);
    assert_eq!(state.unanchored().unwrap(), unanchored);
}

#[test]
fn every_answer_reads_back() {
    let (_folder, _, state) = new_state();
    let clips = [clip(1), clip(2)];
    for clip in &clips {
        state.add_clip(clip).unwrap();
    }
    for n in 1..=6 {
        state.add_refusal(&refusal(n)).unwrap();
    }
    assert!(state.add_refusal(&refusal(6)).is_err(), "once each");
    let of = |n: u8, by: u8| commit(by)(&refusal(n).request);
    let carried = state.carry_refusals(clips[0].clip, DECISION_SLOTS, commit(90));
    assert_eq!(carried.unwrap(), [1, 2, 3, 4].map(|n| of(n, 90)));
    state.anchor(&of(2, 90), &an_anchor()).unwrap();
    // Its batch is known, or its commitment was sent: neither is forgotten.
    for n in [2, 3, 6] {
        state.remove_unsent_refusal(&refusal(n).request).unwrap();
    }
    let kept = |by: HexId, rows: [(u8, Option<u8>, bool); 5]| {
        rows.map(|(n, salt, anchored)| KeptRefusal {
            carried: salt.map(|salt| Carried {
                clip: if salt == 90 { clips[0].clip } else { by },
                commitment: of(n, salt),
                anchor: anchored.then(an_anchor),
            }),
            ..refusal(n)
        })
    };
    let first = clips[0].clip;
    let rows = [
        (1, Some(90), false),
        (2, Some(90), true),
        (3, Some(90), false),
        (4, Some(90), false),
        (5, None, false),
    ];
    assert_eq!(state.refusals().unwrap(), kept(first, rows));
    assert!(state.has_refused(&refusal(5).request).unwrap());
    // Those of a clip that is forgotten go with the next one under other commitments, but what the log has.
    state.remove_clip(first).unwrap();
    assert_eq!(state.clip(first).unwrap(), None);
    let second = clips[1].clip;
    let carried = state.carry_refusals(second, DECISION_SLOTS, commit(91));
    assert_eq!(carried.unwrap(), [1, 3, 4, 5].map(|n| of(n, 91)));
    let rows = [
        (1, Some(91), false),
        (2, Some(90), true),
        (3, Some(91), false),
        (4, Some(91), false),
        (5, Some(91), false),
    ];
    assert_eq!(state.refusals().unwrap(), kept(second, rows));

    let consent = gift(11, Some(21), &[clips[0].clip, clips[1].clip]);
    let public = gift(12, None, &[clips[1].clip]);
    for gift in [&consent, &public] {
        state.put_gift(gift).unwrap();
        state.put_gift(gift).unwrap();
    }
    assert_eq!(state.gifts().unwrap(), [consent.clone(), public.clone()]);
    assert_eq!(
        state.gift(&public.disclosure).unwrap().as_ref(),
        Some(&public)
    );
    let request = consent.request.unwrap();
    assert_eq!(
        state.gifts_for(&request).unwrap(),
        std::slice::from_ref(&consent)
    );
    assert_eq!(state.gifts_of(clips[1].clip).unwrap().len(), 2);
    assert_eq!(
        state.published(clips[1].clip).unwrap(),
        std::slice::from_ref(&public)
    );
    assert_eq!(state.gifts_to_hand_over().unwrap(), []);
    let index = LeafIndex::new(9);
    assert!(state.set_logged(&consent.disclosure, index).unwrap());
    assert!(
        !state.set_logged(&request, index).unwrap(),
        "no disclosure of ours"
    );
    assert_eq!(state.gifts_to_hand_over().unwrap().len(), 1);
    state.set_handed_over(&consent.disclosure, start()).unwrap();
    assert_eq!(state.gifts_to_hand_over().unwrap(), []);
    let found = state.gift(&consent.disclosure).unwrap().unwrap();
    assert_eq!(
        (found.index, found.handed_over),
        (Some(index), Some(start()))
    );
    assert!(found.clips.iter().all(|given| given.header.is_none()));
    assert_eq!(found.note, None);
    state.drop_prepared(&public.disclosure).unwrap();
    assert_eq!(
        state.gift(&public.disclosure).unwrap().unwrap().clips[0].header,
        None
    );
    state.remove_gift(&public.disclosure).unwrap();
    assert_eq!(state.gifts_of(clips[1].clip).unwrap().len(), 1);
}

#[test]
fn everything_found_in_the_log_reads_back() {
    let (_folder, _, state) = new_state();
    let (index, id) = (LeafIndex::new, |n: u8| StatementId::from_bytes([n; 32]));
    state.set_scanned(77).unwrap();
    assert_eq!(state.scanned().unwrap(), 77);
    state.open_request(index(5), None).unwrap();
    state.open_request(index(4), Some("why")).unwrap();
    let open = [(index(4), Some("why".to_owned())), (index(5), None)];
    assert_eq!(state.open_requests().unwrap(), open);
    assert_eq!(
        state.why_forbidden(index(4)).unwrap().as_deref(),
        Some("why")
    );
    assert_eq!(state.why_forbidden(index(5)).unwrap(), None);
    state.close_request(index(4)).unwrap();
    assert_eq!(state.open_requests().unwrap(), open[1..]);

    let (one, two) = (
        clip(1).clip.min(clip(2).clip),
        clip(1).clip.max(clip(2).clip),
    );
    let mut seen = SeenRequest {
        request: id(1),
        index: index(4),
        agency: "lakelandgov.example".parse().unwrap(),
        deadline: start(),
        clips: vec![two, one],
    };
    state.remember(&seen).unwrap();
    let before = state.database.total_changes();
    state.remember(&seen).unwrap();
    assert_eq!(state.database.total_changes(), before, "known");
    seen.clips = vec![one];
    state.remember(&seen).unwrap();
    assert_eq!(state.requests().unwrap(), [seen.clone()]);
    assert_eq!(state.requests_about(one).unwrap(), [seen]);
    assert_eq!(state.requests_about(two).unwrap(), []);

    let attack = Attack {
        index: index(6),
        disclosure: id(2),
        clip: one,
        why: "it is none of theirs".to_owned(),
    };
    state.add_attack(&attack).unwrap();
    assert_eq!(state.attacks().unwrap(), [attack]);
    assert!(state.is_attacked(one).unwrap() && !state.is_attacked(two).unwrap());

    for batch in [id(9), id(8)] {
        state.add_batch_due(&batch).unwrap();
    }
    state.batch_done(&id(9)).unwrap();
    assert_eq!(state.batches_due().unwrap(), [id(8)]);
    let maybe = MaybeRefused {
        request: id(7),
        index: index(4),
        deadline: start(),
    };
    state.add_maybe_refused(&maybe).unwrap();
    assert_eq!(state.maybe_refused().unwrap(), [maybe]);
    state.forget_maybe_refused().unwrap();
    assert_eq!(state.maybe_refused().unwrap(), []);
    assert!(!state.recipient_sent().unwrap() && !state.restoring().unwrap());
    state.set_recipient_sent().unwrap();
    assert!(state.recipient_sent().unwrap());

    let elsewhere = camera_at("28.05000,-81.94500");
    state.add_camera(&elsewhere).unwrap();
    state.add_camera(&elsewhere).unwrap();
    assert_eq!(
        state.cameras().unwrap(),
        [camera_at(PLACE), elsewhere.clone()]
    );
    state.move_camera(&elsewhere).unwrap();
    assert_eq!(state.cameras().unwrap(), [elsewhere]);
}

#[test]
fn every_notice_reads_back() {
    let (_folder, _, state) = new_state();
    let (index, id) = (LeafIndex::new, |n: u8| StatementId::from_bytes([n; 32]));
    state.add_compelled(index(3)).unwrap();
    assert_eq!(state.compelled().unwrap(), [index(3)]);
    let mut due = DueNotice {
        notice: id(1),
        index: index(3),
        forbidden: Some("why".to_owned()),
        why: None,
        tried: Vec::new(),
    };
    state.add_notice_due(&due).unwrap();
    assert_eq!(state.notices_due().unwrap(), [due.clone()]);
    due.why = Some("away".to_owned());
    due.tried = vec![0, 4];
    state.put_off_notice(&due).unwrap();
    state.put_off_notice(&due).unwrap();
    assert_eq!(state.notices_due().unwrap(), [due]);
    state.notice_done(index(3)).unwrap();
    assert_eq!(state.notices_due().unwrap(), []);

    let kept = |n, found| KeptNotice {
        index: index(3),
        n,
        forbidden: None,
        found,
    };
    let notices = [
        kept(0, Found::Plain(b"a warrant".to_vec())),
        kept(1, Found::Broken("cut".to_owned())),
    ];
    for notice in &notices {
        state.keep_notice(notice).unwrap();
    }
    state
        .keep_notice(&kept(0, Found::Plain(b"another".to_vec())))
        .unwrap();
    assert_eq!(state.notices().unwrap(), notices);
    let lost = LostMessage {
        notice: id(1),
        index: index(3),
        n: 2,
        erased: index(8),
    };
    state.lose_message(&lost).unwrap();
    state.lose_message(&lost).unwrap();
    assert_eq!(state.lost_messages().unwrap(), [lost]);
}

/// A device with so many clips, all stored and in the log.
fn with_clips(count: u32) -> (TempDir, State) {
    let (folder, path, state) = new_state();
    let fill = || {
        for n in 0..count {
            state.add_clip(&Clip {
                stored: true,
                anchors: vec![Some(an_anchor()); CLIP_COMMITMENTS],
                ..clip(n)
            })?;
        }
        Ok::<_, StoreError>(())
    };
    state.atomic(fill).unwrap();
    drop(state);
    let state = State::open(&path).unwrap();
    (folder, state)
}

/// Rows that an `add` changes, and bytes that it appends to the write-ahead log: its first transaction and the one
/// after the upload.
fn cost_of_add(count: u32) -> (u64, u64) {
    let (folder, state) = with_clips(count);
    let wal = || fs::metadata(folder.path().join("resident.db-wal")).map_or(0, |wal| wal.len());
    let (rows, bytes) = (state.database.total_changes(), wal());
    let added = clip(count);
    state
        .atomic(|| {
            state.carry_refusals(added.clip, DECISION_SLOTS, commit(9))?;
            state.add_clip(&added)
        })
        .unwrap();
    state.set_stored(added.clip).unwrap();
    assert_eq!(state.clips_to_store().unwrap(), []);
    (state.database.total_changes() - rows, wal() - bytes)
}

/// `resident.json` was written whole, twice: 21 kB an `add` with 2 clips, 17 MB with 2,000.
#[test]
fn an_add_writes_no_more_with_2000_clips_than_with_2() {
    let (rows, bytes) = cost_of_add(2);
    assert_eq!(
        rows, 6,
        "a clip, its four commitments, and the clip once it is stored"
    );
    let (rows_of_many, bytes_of_many) = cost_of_add(2000);
    assert_eq!(rows_of_many, rows);
    // An index with more than one page takes random commitments into a page each.
    let page = 4096 + 24;
    assert!(bytes > 0 && bytes <= 12 * page, "{bytes}");
    assert!(
        bytes_of_many <= 2 * bytes + 4 * page,
        "{bytes_of_many}, where {bytes} were enough"
    );
}

/// Instructions that the engine ran for a statement are counted: with a scan of 2,000 rows there are thousands.
#[test]
fn one_clip_is_read_without_the_others() {
    let (_folder, state) = with_clips(2000);
    // The counts below are of statements that are kept.
    state.database.set_prepared_statement_cache_capacity(64);
    let one = clip(1000);
    let asked = scope(clip(1990).from, clip(1991).until);
    assert_eq!(state.clip(one.clip).unwrap().unwrap().size, 4);
    assert!(state.clip_of(&one.commitments[3]).unwrap().is_some());
    assert_eq!(state.clips_in(&asked).unwrap().len(), 2);
    assert_eq!(state.clips_to_store().unwrap(), []);
    assert_eq!(state.unanchored().unwrap(), []);
    assert_eq!(state.clips_to_enter().unwrap(), []);
    assert_eq!(state.clips_without_anchor().unwrap(), []);
    let carried = state.carry_refusals(one.clip, DECISION_SLOTS, commit(9));
    assert_eq!(carried.unwrap(), []);
    assert_eq!(state.gifts_of(one.clip).unwrap(), []);
    assert_eq!(state.gifts_to_hand_over().unwrap(), []);
    assert_eq!(state.requests_about(one.clip).unwrap(), []);
    assert!(!state.is_attacked(one.clip).unwrap());
    state.set_stored(one.clip).unwrap();
    state.anchor(&one.commitments[0], &an_anchor()).unwrap();
    let instructions = |sql| {
        let statement = state.database.prepare_cached(sql).unwrap();
        statement.get_status(StatementStatus::VmStep)
    };
    for sql in [
        clips::BY_ID,
        clips::BY_NUMBER,
        clips::BY_TIME,
        clips::TO_STORE,
        clips::TO_ENTER,
        clips::WITHOUT_ANCHOR,
        clips::SET_STORED,
        clips::COMMITMENTS,
        clips::WHOSE,
        clips::UNANCHORED,
        clips::ANCHOR,
        clips::ANCHOR_REFUSAL,
        answers::TO_CARRY,
        answers::GIFTS_OF,
        answers::TO_HAND_OVER,
        requests::SEEN_ABOUT,
        requests::ATTACKED,
    ] {
        let ran = instructions(sql);
        assert!((1..600).contains(&ran), "{ran}: {sql}");
    }
    assert_eq!(state.clips().unwrap().len(), 2000);
    assert!(instructions(clips::ALL) > 2000);
}
