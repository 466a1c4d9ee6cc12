//! What a log's size costs: the rate of durable appends, the start, and the memory then.
//!
//! `cargo bench --bench growth [-- --entries N]`. The log is filled by the path that every statement
//! takes (rules, journal, tiles, checkpoints), without HTTP. About 2.2 kB of disk an entry.

mod support;

use std::ops::Range;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::server::Server;
use support::workload::Workload;
use support::{option, per_second, percent, row};
use whosaw::ledger::{Ledger, Running};
use whosaw::statement::Signed;
use whosaw::time::Clock;

/// The size that others are compared with.
const SMALL: u64 = 10_000;
/// Statements whose appending is timed at each size.
const STRETCH: u64 = 60_000;
/// Statements under way at once, about as many as connections load a server with.
const UNDER_WAY: usize = 1024;
/// Statements that are signed at once.
const CHUNK: u64 = 512;
const RENEW: Duration = Duration::from_secs(300);

fn main() {
    let entries: u64 = option("entries", 1_000_000).max(SMALL + 2 * STRETCH);
    let folder = support::folder();
    let operator = folder.path().join("operator");
    let workload = Workload::new(&operator);
    let log = Log::start(&workload);
    log.append(workload.founding().into_iter().map(read).collect());
    log.fill(0..SMALL);
    let small = log.rate(SMALL..SMALL + STRETCH);
    log.fill(SMALL + STRETCH..entries - STRETCH);
    let large = log.rate(entries - STRETCH..entries);
    log.stop();
    row(
        &format!("durable appends at {SMALL} entries, without HTTP"),
        per_second(small),
        "",
    );
    row(
        &format!("durable appends at {entries} entries"),
        per_second(large),
        "",
    );
    row("  of those before", percent(large / small), ">= 80 %");
    start(&operator);
}

/// Starts the program on what the log has become.
fn start(operator: &Path) {
    let server = Server::log(operator, &["--unwitnessed"]);
    row(
        "start, until it listens",
        format!("{:.2} s", server.started_in.as_secs_f64()),
        "<= 2 s",
    );
    row(
        "memory then",
        format!("{} MiB", server.memory() >> 20),
        "<= 286 MiB",
    );
    server.stop();
}

fn read(envelope: whosaw::statement::envelope::Envelope) -> Signed {
    Signed::from_envelope(envelope).expect("a statement")
}

/// A log in this process.
struct Log<'a> {
    workload: &'a Workload,
    ledger: Ledger,
    running: Running,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Log<'a> {
    fn start(workload: &'a Workload) -> Self {
        let config = workload.operator.unwitnessed_ledger(Clock::system(), RENEW);
        let (ledger, running) = Ledger::start(config.expect("its folder")).expect("a new log");
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Self {
            workload,
            ledger,
            running,
            runtime: runtime.expect("a runtime"),
        }
    }

    fn stop(self) {
        drop(self.ledger);
        self.running.join().expect("a log that never stopped");
    }

    /// Signs and logs the statements of these numbers, on all cores.
    fn fill(&self, numbers: Range<u64>) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (since, end) = (Instant::now(), numbers.end);
        std::thread::scope(|scope| {
            let (send, chunks) = mpsc::sync_channel(2 * cores);
            for core in 0..cores {
                let (send, numbers) = (send.clone(), numbers.clone());
                scope.spawn(move || {
                    for start in numbers.step_by(CHUNK as usize).skip(core).step_by(cores) {
                        let chunk = start..(start + CHUNK).min(end);
                        send.send(self.signed(chunk)).expect("a reader");
                    }
                });
            }
            drop(send);
            let mut done = 0;
            for chunk in chunks {
                done += chunk.len() as u64;
                self.append(chunk);
                if done % (CHUNK * 200) == 0 {
                    let rate = done as f64 / since.elapsed().as_secs_f64();
                    eprintln!("{} entries, {rate:.0}/s", numbers.start + done);
                }
            }
        });
    }

    fn signed(&self, numbers: Range<u64>) -> Vec<Signed> {
        let sign = |number| read(self.workload.statement(number).envelope);
        numbers.map(sign).collect()
    }

    /// The rate of appending statements that are signed already.
    fn rate(&self, numbers: Range<u64>) -> f64 {
        let signed = self.signed(numbers);
        support::rate(|| {
            let length = signed.len();
            self.append(signed);
            length
        })
    }

    /// Logs statements, several rounds of them under way; each must become an entry.
    fn append(&self, statements: Vec<Signed>) {
        self.runtime.block_on(async {
            let mut under_way = tokio::task::JoinSet::new();
            for signed in statements {
                if under_way.len() == UNDER_WAY {
                    joined(under_way.join_next().await);
                }
                let ledger = self.ledger.clone();
                under_way.spawn(async move { ledger.submit(signed, ()).await });
            }
            while let Some(one) = under_way.join_next().await {
                joined(Some(one));
            }
        });
    }
}

fn joined<T: std::fmt::Debug, E: std::fmt::Debug>(
    one: Option<Result<Result<T, E>, tokio::task::JoinError>>,
) {
    let answer = one.expect("one under way").expect("no panic");
    answer.expect("a statement that the rules admit");
}
