//! What an `add` costs a resident's device besides sealing and sending, by the number of its clips.
//!
//! Opens the device's database, does the two transactions of an `add`, and closes it, as the command does. Clips are
//! made up; each is stored and in the log, with a path as long as in a batch of 1,024. `cargo bench --bench device`.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use support::{folder, microseconds, milliseconds, percent, row};
use whosaw::digest::{Digest, StatementId};
use whosaw::party::resident::state::{Anchor, Beginning, Camera, Clip, State};
use whosaw::random;
use whosaw::seal::commitment::{Commitment, DECISION_SLOTS};
use whosaw::statement::scope::{Ring, Scope};
use whosaw::store::StoreError;
use whosaw::time::Time;
use whosaw::wire::vault::HexId;

/// Numbers of clips; others are compared with the first.
const CLIPS: [u32; 3] = [10, 2_000, 20_000];
/// Clips added, one by one, at each number.
const ADDS: u32 = 100;
/// Seconds from one clip to the next.
const EVERY: i64 = 600;

fn main() {
    let folder = folder();
    let paths = CLIPS.map(|count| folder.path().join(format!("{count}.db")));
    for (path, count) in paths.iter().zip(CLIPS) {
        fill(path, count);
    }
    // In turns: what else uses the disk is the same for all.
    let mut adds = [const { Vec::new() }; CLIPS.len()];
    for n in 0..ADDS {
        for ((path, count), adds) in paths.iter().zip(CLIPS).zip(&mut adds) {
            adds.push(add(path, count + n));
        }
    }
    let mut first = None;
    for ((path, count), mut adds) in paths.iter().zip(CLIPS).zip(adds) {
        adds.sort_unstable();
        let (time, _) = adds[adds.len() / 2];
        let bytes = adds.iter().map(|(_, bytes)| bytes).sum::<u64>() / u64::from(ADDS);
        let found = find(path, count);
        let size = std::fs::metadata(path).expect("its file").len();
        let then = *first.get_or_insert((time, bytes, found));
        row(&format!("an add at {count} clips"), milliseconds(time), "");
        let ratio = time.as_secs_f64() / then.0.as_secs_f64();
        row("  of that at 10", percent(ratio), "<= 200 %");
        row("  bytes written for it", bytes, "");
        let ratio = bytes as f64 / then.1 as f64;
        row("  of those at 10", percent(ratio), "<= 200 %");
        let what = "  finding the 3 clips that a request asks for";
        row(what, microseconds(found, 1), "");
        let ratio = found.as_secs_f64() / then.2.as_secs_f64();
        row("  of that at 10", percent(ratio), "<= 200 %");
        let size = size / u64::from(count + ADDS);
        row("  bytes of the database a clip", size, "");
    }
}

fn fill(path: &Path, count: u32) {
    let beginning = Beginning {
        server: "http://127.0.0.1:1".to_owned(),
        jurisdiction: "US-FL".parse().expect("a code"),
        vault: HexId::from_bytes(random::bytes()),
        cameras: Vec::new(),
        restoring: false,
    };
    State::create(path, &beginning).expect("a new file");
    let state = State::open(path).expect("its own file");
    let all = state.atomic(|| (0..count).try_for_each(|n| state.add_clip(&stored(n))));
    all.expect("new clips");
}

/// Adds clip `n`; its time, and bytes that SQLite wrote into its write-ahead log.
fn add(path: &Path, n: u32) -> (Duration, u64) {
    let added = Clip {
        stored: false,
        anchors: vec![None; 4],
        ..stored(n)
    };
    let since = Instant::now();
    let state = State::open(path).expect("its own file");
    let kept = state.atomic(|| {
        state.carry_refusals(added.clip, DECISION_SLOTS, |_| commitment())?;
        state.add_clip(&added)
    });
    kept.expect("a new clip");
    state.set_stored(added.clip).expect("a clip");
    let opened = since.elapsed();
    let wal = std::fs::metadata(path.with_extension("db-wal"));
    let bytes = wal.expect("its write-ahead log").len();
    let since = Instant::now();
    drop(state);
    (opened + since.elapsed(), bytes)
}

/// The median time to find what a request asks for that covers the last three clips.
fn find(path: &Path, count: u32) -> Duration {
    let state = State::open(path).expect("its own file");
    let corner = |(lat, lon): (i32, i32)| {
        whosaw::statement::scope::Position::new(lon, lat).expect("a place")
    };
    let (south, north, west, east) = (2_803_000, 2_804_000, -8_195_000, -8_194_000);
    let ring = [
        (south, west),
        (south, east),
        (north, east),
        (north, west),
        (south, west),
    ];
    let last = count + ADDS;
    let asked = Scope {
        ring: Ring::new(ring.map(corner).to_vec()).expect("a ring"),
        from: begins(last - 3),
        until: begins(last),
    };
    let mut times: Vec<Duration> = (0..ADDS)
        .map(|_| {
            let since = Instant::now();
            let found: Result<Vec<Clip>, StoreError> = state.clips_in(&asked);
            assert_eq!(found.expect("clips").len(), 3);
            since.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn begins(n: u32) -> Time {
    let start: Time = "2019-07-30T20:00:00Z".parse().expect("a time");
    start
        .checked_add_seconds(EVERY * i64::from(n))
        .expect("within the calendar")
}

fn commitment() -> Commitment {
    Commitment::from_bytes(random::bytes())
}

/// A clip whose commitments are in the log.
fn stored(n: u32) -> Clip {
    let digest = || Digest::from_bytes(random::bytes());
    let anchor = || Anchor {
        batch: StatementId::from_bytes(random::bytes()),
        index: n % 1024,
        path: (0..10).map(|_| digest()).collect(),
    };
    Clip {
        clip: HexId::from_bytes(random::bytes()),
        camera: Camera {
            name: "front".parse().expect("a label"),
            position: "28.03550,-81.94500".parse().expect("a place"),
        },
        from: begins(n),
        until: begins(n + 1),
        body_digest: digest(),
        body_length: 1 << 20,
        sha256: digest(),
        size: 1 << 20,
        commitments: (0..4).map(|_| commitment()).collect(),
        upload: Some([(); 8].map(|()| commitment())),
        stored: true,
        why: None,
        to_enter: false,
        given_up: false,
        anchors: (0..4).map(|_| Some(anchor())).collect(),
    }
}
