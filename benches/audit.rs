//! The audit of a mirrored log (hashes, signatures, rules, every file) beside bare `verify_strict`
//! with key decoding over the same signatures on as many threads.
//!
//! `cargo bench --bench audit [-- --entries N]`.

mod support;

use std::fs;
use std::path::Path;
use std::time::Instant;

use support::bare;
use support::workload::{ORIGIN, Workload};
use support::{option, per_second, percent, row};
use whosaw::reader::source::FolderSource;
use whosaw::statement::envelope::Envelope;
use whosaw::statement::leaf::Leaf;
use whosaw::statement::{Signed, parse_payload};
use whosaw::time::Clock;
use whosaw::tlog::checkpoint::Checkpoint;
use whosaw::tlog::cosignature::Cosigner;
use whosaw::tlog::hash::leaf_hash;
use whosaw::tlog::policy::{Policy, PolicyLog, PolicyWitness};
use whosaw::tlog::tile::{self, RightEdge};

/// What an audit must reach of the bare signatures' rate.
const LIMIT: f64 = 0.8;
const RUNS: usize = 3;

fn main() {
    let entries: u64 = option("entries", 50_000);
    let folder = support::folder();
    let workload = Workload::new(&folder.path().join("operator"));
    println!("signing {entries} statements");
    let mut envelopes = genesis(&workload);
    envelopes.extend(workload.founding());
    let rest = entries.saturating_sub(envelopes.len() as u64);
    envelopes.extend((0..rest).map(|number| workload.statement(number).envelope));
    let leaves: Vec<Vec<u8>> = envelopes.iter().map(leaf).collect();
    let log = folder.path().join("log");
    let policy = write_log(&workload, &leaves, &log);

    let source = FolderSource::new(&log);
    let (mut best, mut best_bare) = (0.0_f64, 0.0_f64);
    for _ in 0..RUNS {
        best_bare = best_bare.max(support::rate(|| bare::verify_all(&envelopes)));
        best = best.max(support::rate(|| {
            let now = Some(Clock::system().now());
            let audit =
                whosaw::watch::audit::audit(&source, &policy, now, Some(&log), &mut |_, _| {});
            let audit = audit.expect("a log to look at");
            assert!(audit.findings.is_empty(), "{:?}", audit.findings.first());
            assert_eq!(audit.size, leaves.len() as u64);
            leaves.len()
        }));
    }
    steps(&envelopes, &leaves);
    row(
        "bare verify_strict with key decoding, entries",
        per_second(best_bare),
        "",
    );
    row("audit, entries", per_second(best), "");
    row(
        "audit of bare",
        percent(best / best_bare),
        &format!(">= {}", percent(LIMIT)),
    );
}

fn genesis(workload: &Workload) -> Vec<Envelope> {
    let config = workload
        .operator
        .genesis(&Clock::system())
        .expect("the first statements");
    config.into_iter().map(|signed| signed.envelope).collect()
}

fn leaf(envelope: &Envelope) -> Vec<u8> {
    Leaf {
        logged_at: Clock::system().now().cut_to_minute(),
        envelope: envelope.clone(),
    }
    .to_bytes()
}

/// Writes the log as a mirror has it; the policy to trust it by.
fn write_log(workload: &Workload, leaves: &[Vec<u8>], folder: &Path) -> Policy {
    let put = |path: &str, bytes: &[u8]| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    };
    let mut edge = RightEdge::new();
    for leaf in leaves {
        edge.append(leaf_hash(leaf));
    }
    for (tile, bytes) in edge.take_new_tiles() {
        put(&tile.path(), &bytes);
    }
    for bundle in tile::entry_tiles(edge.size()) {
        let start = bundle.start() as usize;
        let some = &leaves[start..start + usize::from(bundle.width)];
        put(&bundle.path(), &tile::encode_entries(some));
    }
    let signer = workload.operator.signer().expect("the log's keys");
    let checkpoint = Checkpoint {
        origin: ORIGIN.parse().expect("an origin"),
        size: edge.size(),
        root: edge.root(),
    };
    let name = "north.example".parse().expect("a name");
    let witness = Cosigner::new(name, whosaw::party::home::new_key());
    let mut note = checkpoint.sign(&signer);
    note.signatures
        .push(witness.cosign(&checkpoint, Clock::system().now()));
    put("checkpoint", &note.to_bytes());
    let key = signer.verifier();
    let witness = PolicyWitness {
        name: "north".to_owned(),
        key: witness.verifier(),
        url: None,
    };
    Policy::of(vec![PolicyLog { key, url: None }], vec![witness], 1).expect("a policy")
}

/// What each step of reading costs on one core.
fn steps(envelopes: &[Envelope], leaves: &[Vec<u8>]) {
    let step = |what: &str, work: &dyn Fn(usize)| {
        let since = Instant::now();
        (0..leaves.len()).for_each(work);
        let each = since.elapsed().as_secs_f64() * 1e6 / leaves.len() as f64;
        row(what, format!("{each:.2} µs"), "");
    };
    step("  bare signature", &|n| bare::verify(&envelopes[n]));
    step("  hash of the leaf", &|n| {
        std::hint::black_box(leaf_hash(&leaves[n]));
    });
    step("  leaf and envelope, parsed", &|n| {
        Leaf::parse(&leaves[n]).expect("a leaf");
    });
    step("  payload, parsed", &|n| {
        parse_payload(&envelopes[n].payload).expect("a payload");
    });
    step("  whole statement, read and verified", &|n| {
        Signed::from_envelope(envelopes[n].clone()).expect("a statement");
    });
}
