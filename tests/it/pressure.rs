//! More than the server takes: it says so, in bounded memory, and goes on.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use whosaw::digest::{Digest, StatementId};
use whosaw::party::home::Home;
use whosaw::statement::envelope::{Envelope, MAX_ENVELOPE};
use whosaw::statement::kinds::annotation::{Annotation, Remark};
use whosaw::statement::sealed::{AttachmentValue, Opening, SealDigest};
use whosaw::statement::sign;
use whosaw::statement::words::Role;
use whosaw::wire::statements::Logged;

use super::http::{Answer, Call};
use super::ledger::{
    AGENCY, Ledger, OPEN, PATIENCE, benefit, figure, head_of, proven, signed_benefit, submission,
    until,
};

/// A ledger with a vendor and an agency, whose server is started anew with these options.
fn ledger(options: &[&str]) -> Ledger {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    ledger.take_server().kill();
    ledger.serve_with(options);
    ledger
}

/// The code of a problem that tells to come back, and after how many seconds.
fn told_to_wait(answer: &Answer) -> (u16, String, u64) {
    let (status, code, _) = answer.problem();
    let after = answer.header("retry-after").parse();
    (status, code, after.expect("it says when to come back"))
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    let ledger = ledger(&[OPEN, &["--queue=1"]].concat());
    let (vendor, policy) = (ledger.home("vendor"), ledger.policy());
    let (taken, sent_back) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let since = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while sent_back.lock().unwrap().len() < 8 {
                    assert!(since.elapsed() < PATIENCE, "never full");
                    let envelope = signed_benefit(&vendor);
                    let answer = ledger.submit(&envelope.to_json());
                    if answer.status == 201 {
                        taken.lock().unwrap().push(envelope);
                    } else {
                        assert_eq!(told_to_wait(&answer), (503, "busy".to_owned(), 1));
                        sent_back.lock().unwrap().push(envelope);
                    }
                }
            });
        }
    });
    // What was sent back was not taken, and is when there is room.
    for envelope in sent_back.into_inner().unwrap() {
        let answer = ledger.submit(&envelope.to_json());
        assert_eq!(answer.status, 201, "{answer:?}");
        proven(&answer, &policy, &envelope);
    }
    for envelope in taken.into_inner().unwrap() {
        assert_eq!(ledger.submit(&envelope.to_json()).status, 200);
    }
}

#[test]
fn an_address_has_so_many_statements_a_minute() {
    let proxy = ["--address-limit=3", "--proxy=127.0.0.1"];
    let ledger = ledger(&proxy);
    let vendor = ledger.home("vendor");
    let from =
        |client: &str, body: &[u8]| ledger.send(&submission(body).with("x-forwarded-for", client));
    let good = || signed_benefit(&vendor).to_json();
    // Garbage counts as much as anything.
    assert_eq!(from("192.0.2.1", b"garbage").status, 400);
    assert_eq!(from("192.0.2.1", b"{}").status, 400);
    assert_eq!(from("192.0.2.1", &good()).status, 201);
    let (status, code, after) = told_to_wait(&from("192.0.2.1", &good()));
    assert_eq!((status, code.as_str()), (429, "address-limit"));
    assert!((1..=20).contains(&after), "{after}");
    // What the sender says of itself changes nothing; others are not touched; reading goes on.
    let forged = from("198.51.100.1, 192.0.2.1", &good());
    assert_eq!(forged.status, 429);
    assert_eq!(from("192.0.2.2", &good()).status, 201);
    for host in 1..=3 {
        let client = format!("2001:db8::{host}");
        assert_eq!(from(&client, &good()).status, 201);
    }
    assert_eq!(from("2001:db8::4", &good()).status, 429, "one /64");
    assert_eq!(from("2001:db8:0:1::1", &good()).status, 201);
    let read = Call::new("GET", "/log/checkpoint", []).with("x-forwarded-for", "192.0.2.1");
    assert_eq!(ledger.send(&read).status, 200);
}

#[test]
fn a_party_has_so_many_statements_a_minute() {
    let ledger = ledger(&["--party-limit=3"]);
    let (vendor, agency) = (ledger.home("vendor"), ledger.home("agency"));
    let first = signed_benefit(&vendor).to_json();
    assert_eq!(ledger.submit(&first).status, 201);
    // Nobody else uses up what it has: not by its public statements, nor by its name alone.
    for _ in 0..6 {
        assert_eq!(ledger.submit(&first).status, 200);
        assert_eq!(ledger.submit(&unsigned_by_the_vendor()).status, 401);
    }
    for _ in 0..2 {
        let answer = ledger.submit(&signed_benefit(&vendor).to_json());
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let refused = signed_benefit(&vendor).to_json();
    let (status, code, after) = told_to_wait(&ledger.submit(&refused));
    assert_eq!((status, code.as_str()), (429, "party-limit"));
    assert!((1..=20).contains(&after), "{after}");
    // Another party goes on, and so does what is known.
    let key = agency.key(whosaw::statement::words::Role::Officer).unwrap();
    let by_agency = whosaw::statement::sign(&head_of(AGENCY), &benefit().into(), &[&key]);
    assert_eq!(ledger.submit(&by_agency.to_json()).status, 201);
    assert_eq!(ledger.submit(&first).status, 200);
}

/// A benefit in the vendor's name by a key that is nobody's.
fn unsigned_by_the_vendor() -> Vec<u8> {
    let key = ed25519_dalek::SigningKey::from_bytes(&whosaw::random::bytes());
    let head = head_of(super::ledger::VENDOR);
    whosaw::statement::sign(&head, &benefit().into(), &[&key]).to_json()
}

/// Statements whose bodies are on their way wait, too: one address has so many places.
#[test]
fn an_address_has_so_many_places() {
    let ledger = ledger(&["--waiting-limit=2"]);
    let vendor = ledger.home("vendor");
    let body = signed_benefit(&vendor).to_json();
    let head = begun(ledger.authority(), "/api/v1/statements", body.len());
    let open = || {
        let mut stream = TcpStream::connect(ledger.authority()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    // Both anew each time: a busy machine may answer only after they were cut off.
    let (mut slow, refused) = until("refused", || {
        let slow = [open(), open()];
        std::thread::sleep(Duration::from_millis(50));
        let answer = ledger.submit(&signed_benefit(&vendor).to_json());
        (answer.status != 201).then_some((slow, answer))
    });
    assert_eq!(
        told_to_wait(&refused),
        (429, "address-waiting".to_owned(), 1)
    );
    for stream in &mut slow {
        stream.write_all(&body).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 20"), "{answer:?}");
    }
    drop(slow);
    until("free again", || {
        let answer = ledger.submit(&signed_benefit(&vendor).to_json());
        (answer.status == 201).then_some(())
    });
}

/// One party has so many places, wherever its statements come from.
#[test]
fn a_party_has_so_many_places() {
    let ledger = ledger(&["--waiting-limit=1", "--proxy=127.0.0.1"]);
    let vendor = ledger.home("vendor");
    let over = AtomicBool::new(false);
    let since = Instant::now();
    std::thread::scope(|scope| {
        for host in 1..=8 {
            let (ledger, vendor, over) = (&ledger, &vendor, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    assert!(since.elapsed() < PATIENCE, "never full");
                    let call = submission(&signed_benefit(vendor).to_json());
                    let answer =
                        ledger.send(&call.with("x-forwarded-for", format!("192.0.2.{host}")));
                    if answer.status != 201 {
                        let refused = (429, "party-waiting".to_owned(), 1);
                        assert_eq!(told_to_wait(&answer), refused);
                        over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let answer = ledger.submit(&signed_benefit(&vendor).to_json());
    assert_eq!(answer.status, 201, "{answer:?}");
}

/// The head of a call that sends `length` bytes.
fn begun(authority: &str, path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {length}\r\n\r\n")
}

#[test]
fn an_address_has_so_many_connections() {
    let ledger = ledger(&["--address-connections=3"]);
    let health = Call::new("GET", "/healthz", []);
    let kept: Vec<_> = (0..3)
        .map(|_| TcpStream::connect(ledger.authority()).unwrap())
        .collect();
    let refused = until("closed", || health.send(ledger.authority()).err());
    assert_ne!(refused.kind(), std::io::ErrorKind::WouldBlock, "{refused}");
    drop(kept);
    until("let in again", || health.send(ledger.authority()).ok());
}

/// A head, and a body, that stops half-way is answered with 408 and the connection closed; one that
/// says nothing is closed without a word.
#[test]
fn who_stops_half_way_is_told_so() {
    let ledger = ledger(OPEN);
    let authority = ledger.authority();
    let stopped = |sent: &str| {
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        String::from_utf8(said).unwrap()
    };
    let half_body = begun(authority, "/api/v1/statements", 100) + "{\"payload\":";
    let (head, body, nothing) = std::thread::scope(|scope| {
        let head = scope.spawn(|| stopped("GET /healthz HTTP/1.1\r\nx-slow: "));
        let body = scope.spawn(|| stopped(&half_body));
        let nothing = scope.spawn(|| stopped(""));
        (
            head.join().unwrap(),
            body.join().unwrap(),
            nothing.join().unwrap(),
        )
    });
    for said in [head, body] {
        assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
        assert!(said.contains("connection: close\r\n"), "{said}");
        assert!(said.contains("application/problem+json"), "{said}");
        assert!(said.contains("/problems/too-slow"), "{said}");
    }
    assert_eq!(nothing, "");
}

/// Whoever asks for more and more and reads none of it is cut off, and does not hold the server's
/// memory for good; the others are answered.
#[test]
fn who_reads_nothing_is_cut_off() {
    let ledger = ledger(OPEN);
    let mut stream = TcpStream::connect(ledger.authority()).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let asked = format!(
        "GET /log/checkpoint HTTP/1.1\r\nhost: {}\r\n\r\n",
        ledger.authority()
    );
    let since = Instant::now();
    let error = loop {
        if let Err(error) = stream.write_all(asked.as_bytes()) {
            break error;
        }
    };
    // Before that, sending only waits.
    let cut_off = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(cut_off.contains(&error.kind()), "{error}");
    assert!(
        since.elapsed() > Duration::from_secs(25),
        "it was given time"
    );
    assert_eq!(ledger.send(&Call::new("GET", "/healthz", [])).status, 200);
}

/// Connections that are full of large bodies, faster than they are taken: memory does not grow with
/// what was sent.
#[test]
fn memory_is_flat_under_overload() {
    const CONNECTIONS: usize = 128;
    const BODIES: u64 = (CONNECTIONS * MAX_ENVELOPE) as u64;
    let ledger = ledger(&[OPEN, &["--queue=16"]].concat());
    let vendor = ledger.home("vendor");
    let (sent, sent_back) = (AtomicU64::new(0), AtomicU64::new(0));
    let before = ledger.memory();
    std::thread::scope(|scope| {
        for place in 0..CONNECTIONS {
            let (ledger, vendor, sent, sent_back) = (&ledger, &vendor, &sent, &sent_back);
            scope.spawn(move || {
                while sent.load(Ordering::Relaxed) < 16 * BODIES {
                    let body = if place % 2 == 0 {
                        large(place)
                    } else {
                        signed_benefit(vendor).to_json()
                    };
                    let answer = ledger.submit(&body);
                    assert!(matches!(answer.status, 201 | 400 | 503), "{answer:?}");
                    sent.fetch_add(body.len() as u64, Ordering::Relaxed);
                    sent_back.fetch_add(u64::from(answer.status == 503), Ordering::Relaxed);
                }
            });
        }
    });
    assert!(sent_back.into_inner() > 0, "that was no overload");
    // Read, parsed and on their way, the bodies that are there at once count a few times.
    let most = ledger.figure("whosaw_allocated_peak_bytes") as u64;
    println!("{before} bytes before, at most {most}");
    assert!(most < before + 4 * BODIES + (16 << 20), "{before} {most}");
    until("let go", || {
        let left = ledger.memory().saturating_sub(before);
        (left < 8 << 20).then_some(())
    });
}

/// The shape of an envelope, as large as one may be, and not one.
fn large(place: usize) -> Vec<u8> {
    let frame = format!(r#"{{"payload":"","payloadType":"{place}","signatures":[]}}"#);
    let payload = "A".repeat((MAX_ENVELOPE - frame.len()) / 4 * 4);
    let with = format!(r#"{{"payload":"{payload}""#);
    frame.replacen(r#"{"payload":"""#, &with, 1).into_bytes()
}

/// SIGTERM under load: each answer of success is in the log, and what has none is not.
#[test]
fn all_that_was_taken_is_answered_before_the_end() {
    let mut ledger = ledger(OPEN);
    let vendor = ledger.home("vendor");
    let sent = Mutex::new(Vec::<(Envelope, Option<Logged>)>::new());
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                loop {
                    let envelope = signed_benefit(&vendor);
                    let answer = submission(&envelope.to_json())
                        .send(ledger.authority())
                        .ok();
                    let goes_on = answer.is_some();
                    let logged = answer.map(|answer| {
                        assert_eq!(answer.status, 201, "{answer:?}");
                        answered.fetch_add(1, Ordering::Relaxed);
                        serde_json::from_slice(&answer.body).unwrap()
                    });
                    sent.lock().unwrap().push((envelope, logged));
                    if !goes_on {
                        return;
                    }
                }
            });
        }
        until("busy", || {
            (answered.load(Ordering::Relaxed) > 200).then_some(())
        });
        ledger.terminate();
    });
    let status = ledger.take_server().ended();
    assert_eq!(status.code(), Some(0), "{status}");
    ledger.serve();
    let sent = sent.into_inner().unwrap();
    assert!(sent.iter().any(|(_, logged)| logged.is_none()));
    for (envelope, logged) in sent {
        let id = StatementId::of_payload(&envelope.payload);
        let shown = ledger.send(&Call::new("GET", format!("/api/v1/statements/{id}"), []));
        match logged {
            Some(logged) => assert_eq!(shown.json()["index"], logged.index.as_u64()),
            None => assert_eq!(shown.status, 404, "it was taken and not answered"),
        }
    }
}

/// A sender that never comes to its end does not keep the server from its own.
#[test]
fn a_slow_sender_does_not_hold_up_the_end() {
    let mut ledger = ledger(OPEN);
    let mut slow = TcpStream::connect(ledger.authority()).unwrap();
    let head = begun(ledger.authority(), "/api/v1/statements", 10_000);
    let asks = head.replacen(
        "content-length",
        "expect: 100-continue\r\ncontent-length",
        1,
    );
    slow.write_all(asks.as_bytes()).unwrap();
    let mut goes_on = [0; 12];
    slow.read_exact(&mut goes_on).unwrap();
    assert_eq!(&goes_on, b"HTTP/1.1 100", "its body is read");
    slow.write_all(b"{").unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) && slow.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        let since = Instant::now();
        ledger.terminate();
        let status = ledger.take_server().ended();
        over.store(true, Ordering::Relaxed);
        assert_eq!(status.code(), Some(0), "{status}");
        let took = since.elapsed();
        assert!(took > Duration::from_secs(5), "it was given time: {took:?}");
    });
}

#[test]
fn figures_are_for_the_operator_alone() {
    let options = ["--metrics-address=127.0.0.1:0", "--party-limit=1"];
    let mut ledger = ledger(&options);
    let (vendor, public) = (ledger.home("vendor"), Call::new("GET", "/metrics", []));
    assert_eq!(ledger.send(&public).status, 404);
    let address = ledger.metrics_address();
    assert_eq!(
        ledger.submit(&signed_benefit(&vendor).to_json()).status,
        201
    );
    assert_eq!(
        ledger.submit(&signed_benefit(&vendor).to_json()).status,
        429
    );
    assert_eq!(ledger.submit(b"garbage").status, 400);
    let read = || {
        let answer = public.send(&address).unwrap();
        assert_eq!(answer.status, 200);
        let media_type = answer.header("content-type");
        assert!(media_type.starts_with("application/openmetrics-text"));
        String::from_utf8(answer.body).unwrap()
    };
    let text = read();
    let is =
        |name: &str, value: f64| assert_eq!(figure(&text, name), Some(value), "{name}\n{text}");
    is("whosaw_statements_admitted_total", 1.0);
    is(r#"whosaw_statements_refused_total{reason="not-json"}"#, 1.0);
    is(
        r#"whosaw_statements_refused_total{reason="party-limit"}"#,
        1.0,
    );
    is(r#"whosaw_limited_total{limit="party-limit"}"#, 1.0);
    is("whosaw_queue_length", 0.0);
    let size = ledger.size() as f64;
    is("whosaw_log_size", size);
    is("whosaw_published_size", size);
    is("whosaw_clock_wait_seconds", 0.0);
    is("whosaw_round_duration_seconds_count", 1.0);
    is("whosaw_commit_duration_seconds_count", 1.0);
    is("whosaw_tiles_duration_seconds_count", 1.0);
    is(r#"whosaw_witness_missing{witness="south"}"#, 0.0);
    let now = whosaw::time::Clock::system().now().unix() as f64;
    for moment in [
        "whosaw_published_timestamp_seconds",
        r#"whosaw_witness_cosigned_timestamp_seconds{witness="south"}"#,
    ] {
        let at = figure(&text, moment).unwrap();
        assert!((now - 300.0..=now).contains(&at), "{moment} {at} {now}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(!text.contains("127.0.0.1"), "{text}");

    ledger.kill_witness(1);
    let agency = ledger.home("agency");
    let key = agency.key(whosaw::statement::words::Role::Officer).unwrap();
    let envelope = whosaw::statement::sign(&head_of(AGENCY), &benefit().into(), &[&key]);
    assert_eq!(ledger.submit(&envelope.to_json()).status, 202);
    let text = read();
    let missing = |witness: &str| {
        let name = format!("whosaw_witness_missing{{witness=\"{witness}\"}}");
        figure(&text, &name)
    };
    assert_eq!((missing("north"), missing("south")), (Some(0.0), Some(1.0)));
    assert_eq!(figure(&text, "whosaw_published_size"), Some(size));
    assert_eq!(figure(&text, "whosaw_log_size"), Some(size + 1.0));
}

/// An attachment that a home's party uploads: the answer's status and the digest.
pub fn upload(ledger: &Ledger, home: &Home, bytes: &[u8], media_type: &str) -> (u16, SealDigest) {
    let value = AttachmentValue {
        sha256: Digest::of(bytes),
        size: bytes.len() as u64,
        media_type: media_type.parse().unwrap(),
    };
    let opening = Opening::attachment(&whosaw::random::bytes::<16>(), &value).unwrap();
    let path = format!("/attachments/{}", opening.digest());
    let upload = Call::new("PUT", path, bytes)
        .with("whosaw-opening", opening.encode())
        .signed(&home.key(Role::Service).unwrap(), ledger.authority());
    (ledger.send(&upload).status, opening.digest())
}

/// The agency's statement that names its attachments.
fn log_attachments(ledger: &Ledger, attachments: Vec<SealDigest>) {
    let about = signed_benefit(&ledger.home("vendor"));
    assert_eq!(ledger.submit(&about.to_json()).status, 201);
    let annotation = Annotation {
        about: StatementId::of_payload(&about.payload),
        remark: Remark::Claim,
        attachments,
    };
    let key = ledger.home("agency").key(Role::Officer).unwrap();
    let annotation = sign(&head_of(AGENCY), &annotation.into(), &[&key]);
    assert_eq!(ledger.submit(&annotation.to_json()).status, 201);
}

/// Whoever uploads and names nothing fills its own share; others, and itself once it names them, go on.
#[test]
fn a_party_that_names_nothing_fills_its_own_share_of_what_may_wait() {
    let ledger = ledger(OPEN);
    let (agency, vendor) = (ledger.home("agency"), ledger.home("vendor"));
    let text = vec![b'x'; 16 << 20];
    let put = |ledger: &Ledger, home| upload(ledger, home, &text, "text/plain");
    let stored: Vec<_> = (0..3).map(|_| put(&ledger, &agency)).collect();
    assert!(stored.iter().all(|(status, _)| *status == 201));
    assert_eq!(put(&ledger, &agency).0, 429);
    assert_eq!(put(&ledger, &vendor).0, 201);
    log_attachments(&ledger, vec![stored[0].1]);
    assert_eq!(put(&ledger, &agency).0, 201);
    assert_eq!(put(&ledger, &agency).0, 429);
}

/// Housekeeping looks at all attachments once after a start, and later at those that wait.
#[test]
fn housekeeping_looks_at_what_is_stored_once() {
    let mut ledger = Ledger::start(|_| ());
    ledger.settle();
    let folder = ledger.path("operator/attachments");
    let old = SystemTime::now() - Duration::from_secs(2 * 3600);
    let age = |name: &str| {
        let file = std::fs::File::open(folder.join(name)).unwrap();
        file.set_modified(old).unwrap();
    };
    let swept = |name: &str| {
        until("swept", || (!folder.join(name).exists()).then_some(()));
    };
    let sweep = |ledger: &Ledger| {
        let (status, digest) = upload(ledger, &ledger.home("agency"), b"x", "text/plain");
        assert_eq!(status, 201);
        let name = digest.to_string();
        age(&format!("{name}.opening"));
        age(&name);
        swept(&name);
        name
    };
    let name = sweep(&ledger);
    // A file that the server did not store itself is found at its next start.
    std::fs::write(folder.join(&name), b"x").unwrap();
    age(&name);
    sweep(&ledger);
    sweep(&ledger);
    assert!(folder.join(&name).exists());
    ledger.terminate();
    assert_eq!(ledger.take_server().ended().code(), Some(0));
    ledger.serve();
    swept(&name);
}

/// Readers of a large attachment who take next to nothing hold next to nothing of the server's memory.
#[test]
fn slow_readers_of_attachments_hold_a_piece_each() {
    const SIZE: usize = 16 << 20;
    const READERS: usize = 40;
    let ledger = ledger(OPEN);
    let text = vec![b'x'; SIZE];
    let (status, digest) = upload(&ledger, &ledger.home("agency"), &text, "text/plain");
    assert_eq!(status, 201);
    log_attachments(&ledger, vec![digest]);
    let path = format!("/attachments/{digest}");
    let head = ledger.send(&Call::new("HEAD", path.clone(), []));
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), SIZE.to_string());
    assert_eq!(head.header("content-type"), "text/plain; charset=utf-8");
    assert!(head.body.is_empty());
    let before = ledger.memory();
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let mut reader = TcpStream::connect(ledger.authority()).unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: slow\r\n\r\n");
            reader.write_all(request.as_bytes()).unwrap();
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap();
            reader
        })
        .collect();
    let grown = ledger.settled_memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{READERS} readers hold {grown} bytes");
    drop(readers);
    assert!(ledger.send(&Call::new("GET", path, [])).body == text);
}
