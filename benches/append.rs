//! Durable appends over HTTP to the program that people run, load generator on the same cores.
//!
//! `cargo bench --bench append [-- --statements N --offered SECONDS --rounds N]`. First 512 connections
//! as fast as they are answered, beside the bare parts of the same work; then many statements a call,
//! in turns with as many single calls; then 1,000 statements a second by the clock, with two
//! witnesses and with none. Each answer says that the entry is durable and published; those to single
//! calls bring its proof.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use support::load::{Ran, bulk, closed_loop, open_loop, post, post_lines};
use support::server::{Server, WHOSAW, cpu, whosaw};
use support::workload::{Made, Workload};
use support::{bare, milliseconds, option, per_second, percent, row};
use whosaw::statement::envelope::Envelope;

const CONNECTIONS: usize = 512;
const SUBMIT: &str = "/api/v1/statements";
/// Statements a second that are offered in the second part.
const OFFERED: f64 = 1000.0;
/// Connections that bring many statements a call; of one address there are no more.
const BULK_CONNECTIONS: usize = 4;
/// Statements of one such call.
const LINES: usize = 2500;
/// About the bytes of an answer with its proof, for the echo.
const ANSWER: usize = 6 << 10;

fn main() {
    let own = std::env::current_exe().expect("this program");
    if option("echo", 0) > 0 {
        return bare::echo(option("echo", ANSWER));
    }
    let statements: u64 = option("statements", 60_000);
    let offered = option("offered", 10).max(1) * OFFERED as u64;
    println!("two witnesses, {CONNECTIONS} connections, {statements} statements");
    let ledger = Ledger::new(2);
    let server = ledger.serve();
    let (requests, envelopes) = ledger.prepare(0..statements);
    let before = ledger.cpu(&server);
    let ran = closed_loop(&server.authority, &requests, CONNECTIONS);
    row("durable appends", per_second(ran.rate), ">= 10000/s");
    row("  p99", milliseconds(ran.quantile(0.99)), "<= 150 ms");
    let bytes: usize = envelopes.iter().map(|e| e.to_json().len()).sum();
    row("  bytes of an envelope", bytes / envelopes.len(), "");
    row(
        "  memory of the server",
        format!("{} MiB", server.memory() >> 20),
        "",
    );
    for ((who, before), (_, after)) in before.iter().zip(ledger.cpu(&server)) {
        let each = (after - *before) / u32::try_from(requests.len()).expect("few enough");
        row(
            &format!("  processor time of the {who}, a statement"),
            format!("{} µs", each.as_micros()),
            "",
        );
    }
    let bare = bare_rate(&own, &envelopes, ledger.path());
    row(
        "of what the bare parts add up to",
        percent(ran.rate / bare),
        ">= 60 %",
    );

    let statements = in_turns(&ledger, &server, statements);

    println!("{OFFERED} statements a second by the clock");
    let (requests, _) = ledger.prepare(statements..statements + offered);
    let ran = open_loop(&server.authority, &requests, OFFERED);
    latencies("with two witnesses", &ran, "<= 40 ms");
    ledger.partial_tiles();
    server.stop();

    let ledger = Ledger::new(0);
    let server = ledger.serve();
    let (requests, _) = ledger.prepare(0..offered);
    let ran = open_loop(&server.authority, &requests, OFFERED);
    latencies("without witnesses", &ran, "<= 25 ms");
    ledger.partial_tiles();
    server.stop();
}

/// Many statements a call, in turns with single ones: medians. How many statements there are then.
fn in_turns(ledger: &Ledger, server: &Server, statements: u64) -> u64 {
    let (rounds, each) = (option("rounds", 3), statements / 2);
    println!(
        "{BULK_CONNECTIONS} connections, {LINES} statements a call; in turns with single calls, {rounds} rounds"
    );
    let mut next = statements;
    let mut found: [Vec<[f64; 2]>; 3] = Default::default();
    for _ in 0..rounds {
        for (way, found) in found.iter_mut().enumerate() {
            let (requests, envelopes) = ledger.prepare(next..next + each);
            next += each;
            let lines: Vec<Vec<u8>> = envelopes.iter().map(Envelope::to_json).collect();
            let calls = lines
                .chunks(LINES)
                .map(|lines| post_lines(SUBMIT, lines, way == 2));
            let calls = Arc::new(calls.collect());
            let before = server.cpu();
            let rate = match way {
                0 => closed_loop(&server.authority, &requests, CONNECTIONS).rate,
                _ => bulk(&server.authority, &calls, BULK_CONNECTIONS),
            };
            let time = (server.cpu() - before).as_secs_f64() / each as f64;
            found.push([rate, time]);
        }
    }
    let median = |of: &Vec<[f64; 2]>, which: usize| {
        let mut all: Vec<f64> = of.iter().map(|one| one[which]).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    for (what, found_so) in ["single calls", "in bulk", "in bulk, with proofs"]
        .iter()
        .zip(&found)
    {
        row(
            &format!("durable appends, {what}"),
            per_second(median(found_so, 0)),
            "",
        );
        let time = median(found_so, 1) * 1e6;
        row(
            "  processor time of the server, a statement",
            format!("{time:.0} µs"),
            "",
        );
    }
    let ratio = |way: usize| {
        let each: Vec<[f64; 2]> = found[way]
            .iter()
            .zip(&found[0])
            .map(|(bulk, single)| [bulk[0] / single[0], 0.0])
            .collect();
        format!("{:.2}", median(&each, 0))
    };
    row("in bulk, of single calls", ratio(1), ">= 1.6");
    row("in bulk with proofs, of single calls", ratio(2), "");
    next
}

fn latencies(what: &str, ran: &Ran, limit: &str) {
    row(&format!("{what}: p50"), milliseconds(ran.quantile(0.5)), "");
    row(
        &format!("{what}: p99"),
        milliseconds(ran.quantile(0.99)),
        limit,
    );
}

/// Entries a second if HTTP, signatures and rows were all there is and shared the cores evenly.
fn bare_rate(own: &Path, envelopes: &[Envelope], folder: &Path) -> f64 {
    let bodies: Vec<Vec<u8>> = envelopes.iter().map(Envelope::to_json).collect();
    let requests = bare::echo_requests(bodies.iter().map(Vec::as_slice));
    let echo = Server::start(own, &["--echo", &ANSWER.to_string()]);
    let http = closed_loop(&echo.authority, &requests, CONNECTIONS).rate;
    let signatures = support::rate(|| bare::verify_all(envelopes));
    let bytes = bodies.iter().map(Vec::len).sum::<usize>() / bodies.len();
    let rows = support::rate(|| {
        bare::rows(
            &folder.join("rows.db"),
            bodies.len(),
            bytes,
            CONNECTIONS / 2,
        )
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    row("  bare HTTP echo", per_second(http), "");
    row(
        "  bare verify_strict with key decoding",
        per_second(signatures),
        "",
    );
    row("  bare durable rows, one thread", per_second(rows), "");
    1.0 / (1.0 / http + 1.0 / signatures + 1.0 / (rows * cores))
}

/// An operator's folder, and its witnesses, running.
struct Ledger {
    folder: tempfile::TempDir,
    workload: Workload,
    witnesses: Vec<Server>,
}

impl Ledger {
    fn new(witnesses: usize) -> Self {
        let folder = support::folder();
        let workload = Workload::new(&folder.path().join("operator"));
        let mut ledger = Self {
            folder,
            workload,
            witnesses: Vec::new(),
        };
        (0..witnesses).for_each(|number| ledger.add_witness(&format!("witness-{number}")));
        ledger
    }

    /// Processor time so far.
    fn cpu(&self, server: &Server) -> [(&'static str, Duration); 3] {
        [
            ("server", server.cpu()),
            ("witnesses", self.witnesses.iter().map(Server::cpu).sum()),
            ("load generator", cpu("self")),
        ]
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> String {
        self.path()
            .join(name)
            .to_str()
            .expect("a path in UTF-8")
            .to_owned()
    }

    fn add_witness(&mut self, name: &str) {
        let (data, operator) = (self.file(name), self.file("operator"));
        let host = format!("{name}.example");
        let vkey = whosaw(&["witness", "init", "--data", &data, "--name", &host]);
        let vkey = vkey.lines().next().expect("its vkey");
        let log = self.file("operator/log.vkey");
        let listen = [
            "witness",
            "serve",
            "--data",
            &data,
            "--log",
            &log,
            "--listen",
            "127.0.0.1:0",
        ];
        let witness = Server::start(WHOSAW, &listen);
        let url = format!("http://{}", witness.authority);
        let add = [
            "operator",
            "add-witness",
            "--data",
            &operator,
            "--name",
            name,
        ];
        whosaw(&[&add[..], &["--vkey", vkey, "--url", &url]].concat());
        self.witnesses.push(witness);
    }

    fn serve(&self) -> Server {
        let unwitnessed = self.witnesses.is_empty().then_some("--unwitnessed");
        let operator = self.path().join("operator");
        let server = Server::log(&operator, unwitnessed.as_slice());
        for envelope in self.workload.founding() {
            let request = Arc::new(vec![post(SUBMIT, &envelope.to_json())]);
            closed_loop(&server.authority, &request, 1);
        }
        server
    }

    /// Signs statements and uploads what they name; the requests to submit them with.
    fn prepare(&self, numbers: std::ops::Range<u64>) -> (Arc<Vec<Vec<u8>>>, Vec<Envelope>) {
        let sign = |number| {
            let made: Made = self.workload.statement(number);
            self.workload.attach(&made);
            made.envelope
        };
        let envelopes: Vec<Envelope> = numbers.map(sign).collect();
        let request = |envelope: &Envelope| post(SUBMIT, &envelope.to_json());
        (Arc::new(envelopes.iter().map(request).collect()), envelopes)
    }

    /// Counts the tiles and bundles that are not full.
    fn partial_tiles(&self) {
        let mut folders = vec![self.path().join("operator/log/tile")];
        let mut partial = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path: PathBuf = entry.expect("a file").path();
                let in_partial = path
                    .parent()
                    .is_some_and(|p| p.extension().is_some_and(|e| e == "p"));
                match path.is_dir() {
                    true => folders.push(path),
                    false => partial += usize::from(in_partial),
                }
            }
        }
        row("  partial tiles and bundles left", partial, "bounded");
    }
}
