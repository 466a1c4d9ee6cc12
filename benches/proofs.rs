//! Inclusion proofs, uniformly random, out of a log of ten million entries: by two threads in the
//! library, and over HTTP with the load generator on the same cores.
//!
//! `cargo bench --bench proofs [-- --entries N --leaf BYTES --proofs N]`. The log is synthetic; all
//! that is read was just written and lies in the page cache, while the server's own caches are warmed
//! up by as many proofs as are then counted. Beside it an axum server that answers as many bytes and does
//! nothing else. Takes about `leaf` + 100 bytes of disk an entry.

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::bare;
use support::load::{closed_loop, get};
use support::server::{Server, cpu};
use support::workload::Workload;
use support::{milliseconds, option, per_second, percent, row, synthetic};
use whosaw::ledger::LogReads;
use whosaw::store::files::{Access, Files};
use whosaw::tlog::checkpoint::Checkpoint;
use whosaw::tlog::hash::leaf_hash;
use whosaw::tlog::tree::{LeafIndex, verify_inclusion};

const THREADS: usize = 2;
const CONNECTIONS: usize = 64;
/// Every so many proofs of the library, one is verified.
const VERIFIED: usize = 1024;
/// About the bytes of an answer with its proof, for the echo.
const ANSWER: usize = 5 << 10;

fn main() {
    if option("echo", 0) > 0 {
        return bare::echo(ANSWER);
    }
    let entries: u64 = option("entries", 10_000_000);
    let length: usize = option("leaf", 256);
    let proofs: usize = option("proofs", 200_000);
    let folder = support::folder();
    let operator = folder.path().join("operator");
    let workload = Workload::new(&operator);
    let checkpoint = synthetic::fill(&workload, entries, length);
    println!("{entries} entries of {length} bytes, {proofs} proofs");

    let (log, staging) = (operator.join("log"), folder.path().join("staging"));
    let files = Files::open(&log, &staging, Access::Public).expect("the log's files");
    let reads = LogReads::new(files);
    for (what, limit) in [("cold", ""), ("warm", ">= 50000/s")] {
        let before = cpu("self");
        let rate = support::rate(|| in_library(&reads, &checkpoint, length, proofs));
        let what = format!("proofs in the library, {THREADS} threads, {what}");
        row(&what, per_second(rate), limit);
        let each = support::microseconds(cpu("self") - before, proofs);
        row("  processor time a proof", each, "");
    }

    let server = Server::log(&operator, &["--unwitnessed"]);
    let mut warm = 0.0;
    for (seed, what, limit) in [(3, "cold", ""), (4, "warm", ">= 20000/s")] {
        let request = |index| get(&format!("/api/v1/proofs/{}", synthetic::id(index)));
        let requests = support::random(seed, entries).take(proofs).map(request);
        let before = (server.cpu(), cpu("self"));
        let ran = closed_loop(
            &server.authority,
            &Arc::new(requests.collect()),
            CONNECTIONS,
        );
        row(
            &format!("proofs over HTTP, {what}"),
            per_second(ran.rate),
            limit,
        );
        row("  p99", milliseconds(ran.quantile(0.99)), "");
        warm = ran.rate;
        let each = |time: Duration| support::microseconds(time, proofs);
        row(
            "  processor time of the server, a proof",
            each(server.cpu() - before.0),
            "",
        );
        row(
            "  processor time of the load generator",
            each(cpu("self") - before.1),
            "",
        );
    }
    let memory = format!("{} MiB", server.memory() >> 20);
    row("  memory of the server", memory, "<= 286 MiB");
    server.stop();

    let own = std::env::current_exe().expect("this program");
    let echo = Server::start(own, &["--echo", "1"]);
    let requests = Arc::new(vec![get(bare::ECHO); proofs]);
    let before = echo.cpu();
    let ran = closed_loop(&echo.authority, &requests, CONNECTIONS);
    row("as many bytes from a bare server", per_second(ran.rate), "");
    row(
        "  processor time of the server, an answer",
        support::microseconds(echo.cpu() - before, proofs),
        "",
    );
    row("proofs, of that", percent(warm / ran.rate), "");
}

/// Proves random entries on all threads; how many.
fn in_library(reads: &LogReads, of: &Checkpoint, length: usize, proofs: usize) -> usize {
    let share = proofs / THREADS;
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            scope.spawn(move || {
                let indices = support::random(thread, of.size.as_u64());
                for (n, index) in indices.take(share).enumerate() {
                    let at = LeafIndex::new(index);
                    let proof = reads.inclusion_proof(at, of.size).expect("whole tiles");
                    // The last entry is of other bytes.
                    if n % VERIFIED == 0 && index + 1 < of.size.as_u64() {
                        let hash = leaf_hash(&synthetic::leaf(index, length));
                        verify_inclusion(at, of.size, &hash, &proof, &of.root)
                            .expect("a true proof");
                    }
                }
            });
        }
    });
    share * THREADS
}
