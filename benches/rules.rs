//! What judging a statement costs beside verifying its signature, and whether it grows with the log;
//! what the record of a log and its findings cost.
//!
//! Facts are in memory, as an auditor's; the server's lie behind a cache (see `--bench append`).
//! `cargo bench --bench rules [-- --entries N]`; with `--profile dev` it also counts the bytes that they hold.

mod support;

use std::time::{Duration, Instant};

use support::bare;
use support::workload::{ORIGIN, Workload};
use support::{microseconds, option, percent, row};
use whosaw::memory::allocated;
use whosaw::reader::replay::{self, Logged};
use whosaw::record::findings::{findings, no_attachments};
use whosaw::record::{Record, Said};
use whosaw::statement::envelope::Envelope;
use whosaw::statement::facts::FactMap;
use whosaw::statement::leaf::Leaf;
use whosaw::time::{Clock, Time};
use whosaw::tlog::tree::LeafIndex;

/// The most that judging may cost of a bare strict signature.
const OF_SIGNATURE: f64 = 0.3;
/// The most that it may cost at the end of what it cost at the beginning.
const GROWTH: f64 = 1.5;
/// Statements that are timed together.
const WINDOW: usize = 10_000;

fn main() {
    let entries: usize = option("entries", 200_000);
    assert!(entries > 3 * WINDOW, "at least {} entries", 3 * WINDOW);
    let folder = support::folder();
    let workload = Workload::new(&folder.path().join("operator"));
    println!("signing {entries} statements");
    let genesis = workload.operator.genesis(&Clock::system());
    let genesis = genesis.expect("the first statements").into_iter();
    let mut envelopes: Vec<Envelope> = genesis.map(|signed| signed.envelope).collect();
    envelopes.extend(workload.founding());
    let rest = (entries - envelopes.len()) as u64;
    envelopes.extend((0..rest).map(|number| workload.statement(number).envelope));
    let now = Clock::system().now();
    let logged_at = now.cut_to_minute();

    let since = Instant::now();
    envelopes[..WINDOW].iter().for_each(bare::verify);
    let bare = since.elapsed();
    let judged = judge_all(&envelopes, logged_at);
    // The first window has the parties, keys and the limits only.
    let (first, last) = (judged[1], judged[judged.len() - 1]);
    row(
        "bare verify_strict with key decoding",
        microseconds(bare, WINDOW),
        "",
    );
    row("judging, at the beginning", microseconds(first, WINDOW), "");
    let share = first.as_secs_f64() / bare.as_secs_f64();
    row(
        "  of a signature",
        percent(share),
        &format!("<= {}", percent(OF_SIGNATURE)),
    );
    row(
        &format!("judging, at {entries} entries"),
        microseconds(last, WINDOW),
        "",
    );
    let growth = last.as_secs_f64() / first.as_secs_f64();
    row(
        "  of that at the beginning",
        percent(growth),
        &format!("<= {}", percent(GROWTH)),
    );

    let held = || allocated().map(|allocated| allocated.now);
    let before = held();
    let mut record = Record::default();
    let entries = envelopes.iter().map(|envelope| logged(envelope, logged_at));
    let said: Vec<Said> = entries
        .enumerate()
        .map(|(index, entry)| Said {
            index: index as u64,
            id: entry.signed.id,
            logged_at,
            author: entry.signed.head.author,
            statement: entry.signed.statement,
        })
        .collect();
    let (since, count) = (Instant::now(), said.len());
    said.into_iter().for_each(|said| record.read(said));
    row(
        "the record, an entry",
        microseconds(since.elapsed(), count),
        "",
    );
    let of_record = held();
    let since = Instant::now();
    let found = findings(&record, now, &no_attachments);
    row(
        "all findings, an entry",
        microseconds(since.elapsed(), count),
        "",
    );
    row("  findings", found.len(), "");
    let more = |from: Option<usize>, to: Option<usize>| Some(to?.saturating_sub(from?) / count);
    for (what, bytes) in [
        ("the record holds, an entry", more(before, of_record)),
        ("all findings hold, an entry", more(of_record, held())),
    ] {
        if let Some(bytes) = bytes {
            row(what, format!("{bytes} bytes"), "");
        }
    }
}

fn logged(envelope: &Envelope, logged_at: Time) -> Logged {
    let leaf = Leaf {
        logged_at,
        envelope: envelope.clone(),
    };
    replay::read_again(&leaf.to_bytes()).expect("a statement")
}

/// How long each window's judgements took; reading is not counted.
fn judge_all(envelopes: &[Envelope], logged_at: Time) -> Vec<Duration> {
    let mut facts = FactMap::default();
    let mut index = 0;
    let mut times = Vec::new();
    for window in envelopes.chunks_exact(WINDOW) {
        let entries: Vec<Logged> = window.iter().map(|e| logged(e, logged_at)).collect();
        let since = Instant::now();
        for entry in entries {
            let at = LeafIndex::new(index);
            let admitted = replay::judge(Ok(entry), ORIGIN, at, Some(logged_at), &facts);
            let admitted = admitted.unwrap_or_else(|refusal| panic!("entry {index}: {refusal:?}"));
            facts.apply(admitted.id, at, admitted.change);
            index += 1;
        }
        times.push(since.elapsed());
    }
    times
}
