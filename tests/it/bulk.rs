//! Many statements in one call: each counts, and is answered, as one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use whosaw::party::home::Home;
use whosaw::party::official::check_logged;
use whosaw::statement::envelope::{Envelope, MAX_ENVELOPE};
use whosaw::statement::key::PublicKey;
use whosaw::statement::kinds::key_change::KeyChange;
use whosaw::statement::kinds::party::NewKey;
use whosaw::statement::sign;
use whosaw::statement::words::Role;
use whosaw::wire::statements::{Entry, LineAnswer};

use super::http::{Answer, Call};
use super::ledger::{AGENCY, Ledger, VENDOR, benefit, done, head_of, signed_benefit, whosaw};

/// What a test's one address needs to be let in.
const OPEN: [&str; 5] = [
    "--rate=0",
    "--address-limit=0",
    "--party-limit=0",
    "--waiting-limit=0",
    "--address-connections=0",
];
const PATH: &str = "/api/v1/statements";

/// A call with these lines.
pub fn call(lines: &[Vec<u8>]) -> Call {
    Call::new("POST", PATH, lines.join(&b'\n')).with("content-type", "application/jsonl")
}

/// The lines of an answer.
pub fn answers(answer: &Answer) -> Vec<LineAnswer> {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/jsonl");
    let text = std::str::from_utf8(&answer.body).unwrap();
    text.lines().map(parse).collect()
}

fn parse(line: &str) -> LineAnswer {
    let answer: LineAnswer = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    if let Some(problem) = &answer.problem {
        assert_eq!(problem.status, answer.status);
        assert_eq!((answer.id, answer.index), (None, None));
    }
    answer
}

/// Status, problem's code, and the member at fault.
pub fn said(answer: &LineAnswer) -> (u16, String, Option<String>) {
    let Some(problem) = &answer.problem else {
        return (answer.status, String::new(), None);
    };
    let code = problem.kind.strip_prefix("/problems/").unwrap();
    (answer.status, code.to_owned(), problem.member.clone())
}

/// Statuses and codes, in their order.
fn codes(answers: &[LineAnswer]) -> Vec<(u16, String)> {
    let code = |answer: &LineAnswer| (answer.status, said(answer).1);
    answers.iter().map(code).collect()
}

/// A ledger with a vendor and an agency, whose server is started anew with these options.
fn ledger(options: &[&str]) -> Ledger {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 86_400);
    ledger.settle();
    ledger.take_server().kill();
    ledger.serve_with(options);
    ledger
}

fn benefits(vendor: &Home, count: usize) -> Vec<Envelope> {
    (0..count).map(|_| signed_benefit(vendor)).collect()
}

fn lines(envelopes: &[Envelope]) -> Vec<Vec<u8>> {
    envelopes.iter().map(Envelope::to_json).collect()
}

/// Asks until it is so.
fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(value) = is_so() {
            return value;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "not {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A connection on which a call is begun that says it brings `length` bytes.
fn begun(ledger: &Ledger, length: usize) -> TcpStream {
    let authority = ledger.authority();
    let mut stream = TcpStream::connect(authority).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/jsonl\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// The answers that come one by one; ends when the connection does.
fn coming(stream: &TcpStream) -> impl Iterator<Item = LineAnswer> + use<> {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let lines = lines.map_while(Result::ok);
    lines
        .filter(|line| line.starts_with("{\"line\""))
        .map(|line| parse(&line))
}

#[test]
fn each_line_is_judged_alone_and_answered_in_its_place() {
    let ledger = ledger(&OPEN);
    let (vendor, policy) = (ledger.home("vendor"), ledger.policy());
    let good = benefits(&vendor, 3);
    // A key, and what it signs in the same call.
    let new = ed25519_dalek::SigningKey::from_bytes(&whosaw::random::bytes());
    let change = KeyChange {
        party: VENDOR.parse().unwrap(),
        add: vec![NewKey {
            key: PublicKey::from(&new),
            role: Role::Officer,
            label: Some("clerk".parse().unwrap()),
        }],
        revoke: Vec::new(),
    };
    let admin = vendor.key(Role::Admin).unwrap();
    let adding = sign(&head_of(VENDOR), &change.into(), &[&admin, &new]);
    let by_new = sign(&head_of(VENDOR), &benefit().into(), &[&new]);
    let too_early = sign(&head_of(VENDOR), &benefit().into(), &[&new]);
    let body = [
        &good[0].to_json()[..],
        b"garbage",
        b"",
        &vec![b'x'; MAX_ENVELOPE + 1],
        &too_early.to_json(),
        &adding.to_json(),
        b"{}\r",
        &by_new.to_json(),
        &good[0].to_json(),
        &[b" ", &good[1].to_json()[..], b" \r"].concat(),
    ]
    .map(<[u8]>::to_vec);
    let size = ledger.size();
    let call = call(&body);
    for (proofs, of_good) in [(false, 201), (true, 200)] {
        let call = match proofs {
            false => call
                .clone()
                .with("content-type", "application/x-ndjson; charset=utf-8"),
            true => call
                .clone()
                .with("prefer", "respond-async, return=representation"),
        };
        let answer = ledger.send(&call);
        let applied = if proofs { "return=representation" } else { "" };
        assert_eq!(answer.header("preference-applied"), applied);
        let answers = answers(&answer);
        let numbers: Vec<u64> = answers.iter().map(|answer| answer.line).collect();
        assert_eq!(numbers, [1, 2, 4, 5, 6, 7, 8, 9, 10]);
        let code = |status, code: &str| (status, code.to_owned());
        let early = match proofs {
            false => code(401, "missing-signature"),
            // By now the key is live.
            true => code(201, ""),
        };
        let expected = [
            code(of_good, ""),
            code(400, "not-json"),
            code(413, "too-large"),
            early,
            code(of_good, ""),
            code(400, "missing-member"),
            code(of_good, ""),
            code(200, ""),
            code(of_good, ""),
        ];
        assert_eq!(codes(&answers), expected);
        for (at, envelope) in [(0, &good[0]), (4, &adding), (6, &by_new), (8, &good[1])] {
            let logged = answers[at].clone().outcome().unwrap().unwrap();
            assert_eq!(logged.proof.is_some(), proofs);
            check_logged(&logged, &policy, envelope).unwrap();
        }
        let index = |at: usize| answers[at].index.unwrap().as_u64();
        assert_eq!(
            [index(0), index(4), index(6), index(7)],
            [size, size + 1, size + 2, size]
        );
    }
    // What is refused is refused as it is alone, and signed as that is.
    let alone = ledger.submit(b"garbage");
    let among = answers(&ledger.send(&self::call(&[b"garbage".to_vec()])));
    let problem: whosaw::wire::problem::Problem = serde_json::from_slice(&alone.body).unwrap();
    assert_eq!(among[0].problem.as_ref(), Some(&problem));
    ledger.verify();
}

#[test]
fn a_line_over_a_limit_is_answered_in_its_place() {
    let ledger = ledger(&["--address-limit=6", "--party-limit=2", "--proxy=127.0.0.1"]);
    let (vendor, agency) = (ledger.home("vendor"), ledger.home("agency"));
    let key = agency.key(Role::Officer).unwrap();
    let by_agency = sign(&head_of(AGENCY), &benefit().into(), &[&key]);
    let vendors = lines(&benefits(&vendor, 5));
    let mut lines = vendors[..3].to_vec();
    lines.push(by_agency.to_json());
    lines.push(b"garbage".to_vec());
    lines.push(vendors[0].clone());
    lines.extend_from_slice(&vendors[3..]);
    let from = |client: &str| call(&lines).with("x-forwarded-for", client);
    let answers = answers(&ledger.send(&from("192.0.2.1")));
    let expected = [
        (201, ""),
        (201, ""),
        (429, "party-limit"),
        (201, ""),
        (400, "not-json"),
        (200, ""),
        // The address has sent six.
        (429, "address-limit"),
        (429, "address-limit"),
    ];
    let expected = expected.map(|(status, code)| (status, code.to_owned()));
    assert_eq!(codes(&answers), expected);
    for answer in answers.iter().filter(|answer| answer.status == 429) {
        assert!(
            (1..=30).contains(&answer.retry_after.unwrap()),
            "{answer:?}"
        );
        assert_eq!(answer.signed, None, "nothing was decided");
    }
    // Single statements count together with them, and others go on.
    let single = Call::new("POST", PATH, vendors[0].clone());
    let again = single.clone().with("x-forwarded-for", "192.0.2.1");
    assert_eq!(ledger.send(&again).problem().1, "address-limit");
    let other = single.with("x-forwarded-for", "192.0.2.2");
    assert_eq!(ledger.send(&other).status, 200);
}

/// However few may wait, a call waits for its own, and is refused none of them.
#[test]
fn a_call_keeps_to_the_places_that_may_wait() {
    for limit in ["--waiting-limit=2", "--queue=1"] {
        let ledger = match limit.contains("queue") {
            true => ledger(&[&OPEN[..], &[limit]].concat()),
            false => ledger(&[limit]),
        };
        let vendor = ledger.home("vendor");
        let answers = answers(&ledger.send(&call(&lines(&benefits(&vendor, 40)))));
        assert_eq!(codes(&answers), vec![(201, String::new()); 40], "{limit}");
    }
}

#[test]
fn who_hangs_up_half_way_finds_all_again() {
    let ledger = ledger(&OPEN);
    let vendor = ledger.home("vendor");
    let lines = lines(&benefits(&vendor, 60));
    let size = ledger.size();
    let body = lines.join(&b'\n');
    let mut stream = begun(&ledger, body.len());
    let half = lines[..30].join(&b'\n');
    stream.write_all(&half).unwrap();
    stream.write_all(b"\n{\"half\":").unwrap();
    let heard: Vec<LineAnswer> = coming(&stream).take(5).collect();
    assert!(heard.iter().all(|answer| answer.status == 201));
    drop(stream);
    let again = answers(&ledger.send(&call(&lines)));
    assert_eq!(again.len(), 60);
    for (first, again) in heard.iter().zip(&again) {
        assert_eq!(again.status, 200);
        assert_eq!((first.id, first.index), (again.id, again.index));
        assert_eq!(first.logged_at, again.logged_at);
    }
    let mut indices: Vec<u64> = again.iter().map(|a| a.index.unwrap().as_u64()).collect();
    assert!(
        again
            .iter()
            .all(|answer| matches!(answer.status, 200 | 201))
    );
    indices.sort_unstable();
    let each_once: Vec<u64> = (size..size + 60).collect();
    assert_eq!(indices, each_once);
    assert_eq!(ledger.size(), size + 60);
    ledger.verify();
}

/// A line that was answered with success stands where it was said to stand, whatever happens.
#[test]
fn an_acknowledged_line_survives_a_kill() {
    let mut ledger = ledger(&OPEN);
    let vendor = ledger.home("vendor");
    for _ in 0..3 {
        let lines = lines(&benefits(&vendor, 200));
        let body = lines.join(&b'\n');
        let mut stream = begun(&ledger, body.len());
        stream.write_all(&body).unwrap();
        let heard: Vec<LineAnswer> = coming(&stream).take(20).collect();
        ledger.take_server().kill();
        let rest: Vec<LineAnswer> = coming(&stream).collect();
        assert!(heard.len() == 20, "the server was killed too early");
        ledger.serve_with(&OPEN);
        for answer in heard.iter().chain(&rest) {
            assert_eq!(answer.status, 201);
            let path = format!("{PATH}/{}", answer.id.unwrap());
            let shown = ledger.send(&Call::new("GET", path, []));
            let entry: Entry = serde_json::from_slice(&shown.body).unwrap();
            assert_eq!(
                (Some(entry.index), Some(entry.logged_at)),
                (answer.index, answer.logged_at)
            );
        }
        let again = answers(&ledger.send(&call(&lines)));
        for (first, again) in heard.iter().zip(&again) {
            assert_eq!(
                (first.id, first.index, 200),
                (again.id, again.index, again.status)
            );
        }
    }
    ledger.examine();
}

/// Who stops in the middle of a line is answered to all before it, and told so.
#[test]
fn who_stops_in_a_line_is_told_so() {
    let ledger = ledger(&OPEN);
    let vendor = ledger.home("vendor");
    let mut stream = begun(&ledger, 10_000);
    // Each answer comes as soon as its line is logged, not when the call ends.
    let mut answers = coming(&stream);
    for line in 1..=3 {
        let mut body = signed_benefit(&vendor).to_json();
        body.push(b'\n');
        stream.write_all(&body).unwrap();
        let answer = answers.next().unwrap();
        assert_eq!((answer.line, answer.status), (line, 201));
    }
    stream.write_all(b"{\"half\":").unwrap();
    let rest: Vec<LineAnswer> = answers.collect();
    assert_eq!(codes(&rest), [(408, "too-slow".to_owned())]);
    assert_eq!(rest[0].line, 4);
    // Who sends nothing at all is told by the status.
    let mut silent = begun(&ledger, 10_000);
    let mut said = String::new();
    silent.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
}

/// Who reads only when everything is sent, or not at all, holds up neither the log nor others.
#[test]
fn who_does_not_read_holds_up_nobody() {
    let ledger = ledger(&["--waiting-limit=16", "--address-limit=0", "--party-limit=0"]);
    let vendor = ledger.home("vendor");
    let envelopes = benefits(&vendor, 200);
    let size = ledger.size();
    let body = lines(&envelopes).join(&b'\n');
    let authority = ledger.authority();
    let open = || {
        let mut stream = TcpStream::connect(authority).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        socket2::SockRef::from(&stream)
            .set_recv_buffer_size(8 << 10)
            .unwrap();
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: {authority}\r\nprefer: return=representation\r\ncontent-type: application/jsonl\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        stream
    };
    let never_reads = open();
    until("logged", || (ledger.size() >= size + 200).then_some(()));
    // The places of those that wait are free, with the answer unread.
    until("let in", || {
        (ledger.submit(&signed_benefit(&vendor).to_json()).status == 201).then_some(())
    });
    drop(never_reads);
    let policy = ledger.policy();
    // Everything is taken before anything is read.
    let reads_late = open();
    let answers: Vec<LineAnswer> = coming(&reads_late).take(200).collect();
    assert_eq!(answers.len(), 200);
    for (answer, envelope) in answers.into_iter().zip(&envelopes) {
        let logged = answer.outcome().unwrap().unwrap();
        assert!(logged.proof.is_some());
        check_logged(&logged, &policy, envelope).unwrap();
    }
}

#[test]
fn an_address_has_so_many_calls_and_a_call_so_many_lines_and_bytes() {
    let ledger = ledger(&OPEN);
    let held: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = begun(&ledger, 1000);
            stream.write_all(b" ").unwrap();
            // Its answer has begun.
            stream.read_exact(&mut [0; 12]).unwrap();
            stream
        })
        .collect();
    let refused = ledger.send(&call(&[b"{}".to_vec()]));
    assert_eq!(
        refused.problem(),
        (429, "address-bulk-calls".to_owned(), None)
    );
    assert_eq!(refused.header("retry-after"), "1");
    drop(held);
    until("let in again", || {
        (ledger.send(&call(&[b"{}".to_vec()])).status == 200).then_some(())
    });
    let size = ledger.size();
    let huge = call(&[]).with("content-length", (16 << 20 | 1).to_string());
    let refused = ledger.send(&huge);
    assert_eq!(refused.problem(), (413, "too-large".to_owned(), None));
    let answers = answers(&ledger.send(&call(&vec![b"x".to_vec(); 10_002])));
    assert_eq!(answers.len(), 10_001);
    let (last, others) = answers.split_last().unwrap();
    assert!(others.iter().all(|answer| answer.status == 400));
    assert_eq!((last.line, last.status), (10_001, 413));
    assert_eq!(
        last.problem.as_ref().unwrap().accepted.as_deref(),
        Some("at most 10000 lines")
    );
    assert_eq!(ledger.send(&call(&[])).body, b"");
    assert_eq!(ledger.size(), size);
}

/// While the quorum is missing one line waits for it, and no other does.
#[test]
fn lines_are_logged_while_a_witness_is_away() {
    let mut ledger = ledger(&OPEN);
    let vendor = ledger.home("vendor");
    let envelopes = benefits(&vendor, 20);
    let address = ledger.kill_witness(0);
    let answers_of = |ledger: &Ledger| answers(&ledger.send(&call(&lines(&envelopes))));
    let first = answers_of(&ledger);
    assert_eq!(codes(&first), vec![(202, String::new()); 20]);
    ledger.start_witness(0, &address);
    let last = first.last().unwrap().index.unwrap().as_u64();
    until("published", || (ledger.size() > last).then_some(()));
    let again = answers_of(&ledger);
    assert_eq!(codes(&again), vec![(200, String::new()); 20]);
    let places = |answers: &[LineAnswer]| -> Vec<_> { answers.iter().map(|a| a.index).collect() };
    assert_eq!(places(&first), places(&again));
}

/// A file of many, by the command that people use: limits are waited out, and what is faulty is
/// named by its line.
#[test]
fn a_file_of_many_is_submitted_by_one_command() {
    let ledger = ledger(&[
        "--address-limit=1200",
        "--party-limit=60",
        "--waiting-limit=4",
    ]);
    let vendor = ledger.home("vendor");
    let mut body = lines(&benefits(&vendor, 64));
    body.insert(3, b"garbage".to_vec());
    body.insert(5, unsigned());
    let file = ledger.file("many.jsonl");
    std::fs::write(&file, body.join(&b'\n')).unwrap();
    let (url, trust, proofs) = (
        ledger.url(),
        ledger.file("operator/log.policy"),
        ledger.file("proofs"),
    );
    let common = ["submit", &file, "--server", &url, "--trust", &trust];
    let ran = whosaw(&[&common[..], &["--json", "--proofs", &proofs]].concat());
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["logged"].as_array().unwrap().len(), 64);
    assert_eq!(answer["known"].as_array().unwrap().len(), 0);
    let refused = answer["refused"].as_array().unwrap();
    let at: Vec<u64> = refused
        .iter()
        .map(|one| one["line"].as_u64().unwrap())
        .collect();
    assert_eq!(at, [4, 6]);
    assert_eq!(refused[1]["problem"]["type"], "/problems/missing-signature");
    let written: Vec<_> = std::fs::read_dir(&proofs)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(written.len(), 64);
    done(&[
        "log",
        "check",
        written[0].to_str().unwrap(),
        "--policy",
        &trust,
    ]);
    // Again: all is known, and said in words. One file of one statement goes along with it.
    std::fs::write(&file, lines(&benefits(&vendor, 1)).join(&b'\n')).unwrap();
    let one = ledger.file("one.dsse");
    std::fs::write(&one, &body[0]).unwrap();
    let said = done(&["submit", &file, &one, "--server", &url, "--trust", &trust]);
    assert_eq!(
        said,
        "1 statement logged\n1 known already\nall proofs verified\n"
    );
    let none = whosaw(&[
        "submit", &file, &one, "--proof", &one, "--server", &url, "--trust", &trust,
    ]);
    assert_eq!(none.code, Some(2), "{}", none.stderr);
}

/// A benefit in the vendor's name by a key that is nobody's.
fn unsigned() -> Vec<u8> {
    let key = ed25519_dalek::SigningKey::from_bytes(&whosaw::random::bytes());
    sign(&head_of(VENDOR), &benefit().into(), &[&key]).to_json()
}
