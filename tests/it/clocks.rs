//! Servers and witnesses whose clocks are wrong.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use whosaw::digest::Digest;
use whosaw::ledger::SubmitError;
use whosaw::party::operator::Operator;
use whosaw::statement::Signed;
use whosaw::time::{Clock, Monotonic, Time};

use super::http::Call;
use super::ledger::{Ledger, OPEN, ORIGIN, PATIENCE, VENDOR, done, signed_benefit, until, whosaw};

const DAY: i64 = 86_400;

fn health(ledger: &Ledger) -> Value {
    ledger.send(&Call::new("GET", "/healthz", [])).json()
}

fn stop(ledger: &mut Ledger) {
    ledger.terminate();
    assert_eq!(ledger.take_server().ended().code(), Some(0));
}

fn now() -> Time {
    Clock::system().now()
}

/// A server that is 400 days ahead begins its log and dates nothing else. Once its clock is right the log
/// is ahead of it, and can be closed at once.
#[test]
fn a_log_that_a_wrong_clock_put_ahead_is_closed_at_once() {
    let mut ledger = Ledger::unserved(|limits| limits.batch_seconds = 3600);
    ledger.set_ahead(400 * DAY);
    ledger.serve();
    ledger.init("vendor", "vendor", VENDOR);
    let vendor = ledger.home("vendor");
    let problem = |ledger: &Ledger| {
        let refused = ledger.submit(&signed_benefit(&vendor).to_json());
        let (status, code, ..) = refused.problem();
        assert!(status != 503 || refused.header("retry-after").parse::<u64>().is_ok());
        (status, code)
    };
    let unconfirmed = (503, "clock-unconfirmed".into());
    assert_eq!(problem(&ledger), unconfirmed);
    until("the witnesses have answered", || {
        let offsets = health(&ledger)["clock"]["offsets"].clone();
        let of = |name: &str| offsets[name].as_i64();
        let (north, south) = (of("north")?, of("south")?);
        for offset in [north, south] {
            assert!((offset + 400 * DAY).abs() < 120, "{offset}");
        }
        Some(())
    });
    assert_eq!(problem(&ledger), unconfirmed);
    let said = health(&ledger);
    assert_eq!(said["status"], "clock-unconfirmed", "{said}");
    assert_eq!(said["clock"]["confirmed"], false);
    assert_eq!(
        (&said["size"], &said["published"]),
        (&json!(2), &Value::Null)
    );
    let north = said["witnesses"]["north"].as_str();
    assert_eq!(
        north, None,
        "no checkpoint is published that it could be part of"
    );
    assert_eq!(ledger.send(&Call::new("GET", "/readyz", [])).status, 503);
    assert_eq!(ledger.figure("whosaw_clock_confirmed"), 0.0);
    let offset = ledger.figure(r#"whosaw_witness_clock_offset_seconds{witness="south"}"#);
    assert!(offset < -399.0 * DAY as f64, "{offset}");
    stop(&mut ledger);
    let log = std::fs::read_to_string(ledger.path("serve.log")).unwrap();
    for witness in ["north", "south"] {
        let line = format!("witness {witness} is left out: its clock is ");
        assert_eq!(log.matches(&line).count(), 1, "{log}");
    }

    ledger.set_ahead(0);
    ledger.serve();
    until("its first checkpoint is published", || {
        (health(&ledger)["published"] == 2).then_some(())
    });
    let said = health(&ledger);
    assert_eq!(
        (&said["status"], &said["clock"]["confirmed"]),
        (&json!("clock-behind"), &json!(true))
    );
    let last: Time = said["waits_until"].as_str().unwrap().parse().unwrap();
    assert!(last.seconds_since(now()) > 399 * DAY);
    assert_eq!(problem(&ledger), (503, "clock-behind".into()));

    let (data, url) = (ledger.file("operator"), ledger.url());
    let reason = ["--reason", "discontinued", "--yes"];
    let close = ["operator", "close", "--data", &data, "--server", &url];
    let closed = whosaw(&[&close[..], &reason].concat());
    assert_eq!(closed.code, Some(0), "{}{}", closed.stdout, closed.stderr);
    let says = [
        format!("logged as entry 2, dated {last}"),
        "cosigned the final checkpoint".to_owned(),
    ];
    for line in says {
        assert!(closed.stdout.contains(&line), "{}", closed.stdout);
    }
    for _ in 0..2 {
        assert_eq!(problem(&ledger), (409, "log-closed".into()));
        let said = health(&ledger);
        assert_eq!(
            (&said["status"], &said["ready"]),
            (&json!("closed"), &json!(true)),
            "{said}"
        );
        assert_eq!(
            (&said["published"], &said["waits_until"]),
            (&json!(3), &Value::Null)
        );
        assert_eq!(said["closed"]["logged_at"], json!(last));
        // Readers see the end, and that the times before it had not come.
        let (log, trust) = (
            format!("{}/log", ledger.url()),
            ledger.file("operator/log.policy"),
        );
        let verified = whosaw(&["log", "verify", "--log", &log, "--policy", &trust, "--json"]);
        let audit: Value = serde_json::from_str(&verified.stdout).unwrap();
        let findings = audit["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{audit}");
        let found = (&findings[0]["code"], &findings[0]["place"]);
        assert_eq!(found, (&json!("logged-ahead"), &json!("entry 0")));
        assert_eq!(audit["closed"]["index"], 2, "{audit}");
        // A start of a closed log waits for no clock.
        stop(&mut ledger);
        ledger.serve();
    }
    let evidence = Call::new("GET", format!("/{}/evidence", Digest::of(ORIGIN)), []);
    assert_eq!(
        evidence.send(&ledger.witness_authority(0)).unwrap().status,
        404
    );
}

/// A witness that is 50 minutes slow is named, and is in no published checkpoint; the other one is a quorum.
#[test]
fn a_slow_witness_is_left_out_and_named() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    stop(&mut ledger);
    ledger.one_is_a_quorum();
    let listened = ledger.kill_witness(1);
    ledger.set_ahead(-3000);
    ledger.start_witness(1, &listened);
    ledger.set_ahead(0);
    ledger.serve();
    let vendor = ledger.home("vendor");
    let log_one = |ledger: &Ledger| {
        let answer = ledger.submit(&signed_benefit(&vendor).to_json());
        assert_eq!(answer.status, 201, "{answer:?}");
    };
    let cosigners = |ledger: &Ledger| {
        let note = ledger.send(&Call::new("GET", "/log/checkpoint", [])).body;
        let note = String::from_utf8(note).unwrap();
        ["north", "south"].map(|name| note.contains(&format!("— {name}.example ")))
    };
    let said = until("the slow one is named", || {
        log_one(&ledger);
        let said = health(&ledger);
        let south = said["witnesses"]["south"].as_str()?;
        south.contains("s behind this server's").then_some(said)
    });
    assert_eq!(cosigners(&ledger), [true, false]);
    assert_eq!(said["clock"]["confirmed"], true, "{said}");
    let south = said["clock"]["offsets"]["south"].as_i64().unwrap();
    assert!((south + 3000).abs() < 120, "{south}");
    assert_eq!(
        ledger.figure(r#"whosaw_witness_missing{witness="south"}"#),
        1.0
    );
    assert_eq!(ledger.figure("whosaw_clock_confirmed"), 1.0);
    ledger.verify();

    ledger.kill_witness(1);
    ledger.start_witness(1, &listened);
    until("it is in the checkpoint again", || {
        log_one(&ledger);
        cosigners(&ledger)[1].then_some(())
    });
    stop(&mut ledger);
    let log = std::fs::read_to_string(ledger.path("serve.log")).unwrap();
    for line in [
        "witness south is left out: its clock is ",
        "witness south is back",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}: {log}");
    }
}

/// While the witnesses are away, a clock that is set by an hour stops the log until it is set right; an
/// outage alone does not. A start that no witness answers dates nothing.
#[test]
fn a_clock_that_is_set_stops_the_log_until_it_is_set_right() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    stop(&mut ledger);
    let vendor = ledger.home("vendor");
    let operator = Operator::open(&ledger.path("operator")).unwrap();
    // By how many seconds the time of day was set forward, and by how many the machine stood still.
    let (set, still) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let start = || {
        let (ahead, stood) = (set.clone(), still.clone());
        let clock = move || {
            now()
                .checked_add_seconds(ahead.load(Ordering::Relaxed))
                .unwrap()
        };
        let renew = Duration::from_secs(1800);
        let mut config = operator.ledger(Clock::from_fn(clock), renew).unwrap();
        let machine = Monotonic::system();
        config.monotonic = Monotonic::from_fn(move || {
            let stood = stood.load(Ordering::Relaxed).unsigned_abs();
            machine.now() + Duration::from_secs(100_000) - Duration::from_secs(stood)
        });
        whosaw::ledger::Ledger::start(config).unwrap()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (log, threads) = start();
    let submit =
        |log: &whosaw::ledger::Ledger, signed: Signed| runtime.block_on(log.submit(signed, ()));
    let statement = || Signed::from_envelope(signed_benefit(&vendor)).unwrap();
    assert!(runtime.block_on(log.wait_confirmed(PATIENCE)));
    submit(&log, statement()).unwrap();

    // The machine stood still for an hour: a witness is asked at once, and not at the next renewal.
    still.store(3600, Ordering::Relaxed);
    until("the witnesses were asked again", || {
        let submitted = submit(&log, statement());
        assert!(
            matches!(submitted, Ok(_) | Err(SubmitError::ClockUnconfirmed)),
            "{submitted:?}"
        );
        submitted.is_ok().then_some(())
    });

    let listened = [0, 1].map(|place| ledger.kill_witness(place));
    let known = statement();
    submit(&log, known.clone()).expect("an outage stops nothing");
    for ahead in [3600, -3600] {
        set.store(ahead, Ordering::Relaxed);
        let refused = submit(&log, statement());
        assert!(
            matches!(refused, Err(SubmitError::ClockUnconfirmed)),
            "{refused:?}"
        );
        let refused = log.room().err();
        assert!(
            matches!(refused, Some(SubmitError::ClockUnconfirmed)),
            "{refused:?}"
        );
        assert!(!log.clock_state().confirmed);
        let before = submit(&log, known.clone()).expect("what is logged is answered");
        assert!(before.known);
        set.store(0, Ordering::Relaxed);
        submit(&log, statement()).expect("set right");
    }
    drop(log);
    threads.join().unwrap();

    let (log, threads) = start();
    assert!(!runtime.block_on(log.wait_confirmed(Duration::from_millis(100))));
    submit(&log, statement()).unwrap_err();
    for (place, listened) in listened.iter().enumerate() {
        ledger.start_witness(place, listened);
    }
    assert!(runtime.block_on(log.wait_confirmed(PATIENCE)));
    submit(&log, statement()).unwrap();
    drop(log);
    threads.join().unwrap();
    ledger.serve();
    ledger.verify();
}

/// The line that a service manager shows follows what the server can do, from a clock that is behind the log,
/// of which the log and /healthz warn too, to the end of the log.
#[test]
fn the_status_of_a_service_follows_what_it_can_do() {
    // As far ahead as witnesses allow, so that the right time is before the first entries.
    let ahead = 240;
    let mut ledger = Ledger::unserved(|limits| limits.batch_seconds = 3600);
    ledger.set_ahead(ahead);
    ledger.serve();
    stop(&mut ledger);
    let path = ledger.file("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let shows = |ending: &str| loop {
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).unwrap();
        let message = std::str::from_utf8(&message[..length]).unwrap();
        let status = message.split("STATUS=").nth(1).unwrap_or_default();
        if status.contains("serving ") && status.trim_end().ends_with(ending) {
            return status.to_owned();
        }
    };
    let notify = format!("NOTIFY_SOCKET={path}");
    let options = [OPEN, &["--renew", "1"]].concat();
    let serve = |ledger: &Ledger| ledger.try_serve(&["env", &notify], &options).unwrap();
    let ends = |server: super::ledger::Server| {
        server.terminate();
        assert_eq!(server.ended().code(), Some(0));
    };

    ledger.set_ahead(0);
    let server = serve(&ledger);
    shows("the time of the last entry");
    let log = std::fs::read_to_string(ledger.path("serve.log")).unwrap();
    assert!(log.contains("the clock is behind the last entry"), "{log}");
    let said = Call::new("GET", "/healthz", []).send(&server.authority);
    let said = said.unwrap().json();
    assert_eq!(said["status"], "clock-behind", "{said}");
    ends(server);

    ledger.set_ahead(ahead);
    let listened = [0, 1].map(|place| ledger.kill_witness(place));
    let server = serve(&ledger);
    shows("have confirmed the head of the log since the start");
    for (place, listened) in listened.iter().enumerate() {
        ledger.start_witness(place, listened);
    }
    let open = shows(&server.authority);
    assert!(!open.contains(';'), "{open}");
    ledger.kill_witness(1);
    ledger.set_ahead(-3000);
    ledger.start_witness(1, &listened[1]);
    shows("a clock that agrees with this server's");
    ledger.kill_witness(1);
    ledger.set_ahead(ahead);
    ledger.start_witness(1, &listened[1]);
    shows(&server.authority);
    let (data, url) = (
        ledger.file("operator"),
        format!("http://{}", server.authority),
    );
    let close = ["operator", "close", "--data", &data, "--server", &url];
    done(&[&close[..], &["--reason", "discontinued", "--yes"]].concat());
    shows("the log is closed, by entry 2");
    ends(server);
}

/// A reader whose own clock is wrong is told so by the witnesses, and finds no fault with the log. One whose clock is
/// right finds that the log stands still, whatever time its server shows.
#[test]
fn a_reader_with_a_wrong_clock_could_not_look() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    let verify = |ledger: &Ledger| {
        let log = format!("{}/log", ledger.url());
        let trust = ledger.file("operator/log.policy");
        ledger.run(&["log", "verify", "--log", &log, "--policy", &trust, "--json"])
    };
    for (ahead, says) in [(7200, "s ahead of those of"), (-7200, "s behind those of")] {
        ledger.set_ahead(ahead);
        let verified = verify(&ledger);
        assert_eq!(verified.code, Some(2), "{}", verified.stderr);
        assert!(verified.stderr.contains(says), "{}", verified.stderr);
        let audit: Value = serde_json::from_str(&verified.stdout).unwrap();
        assert_eq!(audit["findings"], json!([]), "{audit}");
        let found = audit["clock_ahead_seconds"].as_i64().unwrap();
        assert!((found - ahead).abs() < 600, "{audit}");
    }

    // Everything runs two hours ago; then the witnesses' clocks are set right, and the server goes on as it was.
    let mut ledger = Ledger::unserved(|limits| limits.batch_seconds = 3600);
    let listened = [0, 1].map(|place| ledger.kill_witness(place));
    let start_witnesses = |ledger: &mut Ledger| {
        for (place, listened) in listened.iter().enumerate() {
            ledger.start_witness(place, listened);
        }
    };
    ledger.set_ahead(-7200);
    start_witnesses(&mut ledger);
    ledger.serve();
    for place in [0, 1] {
        ledger.kill_witness(place);
    }
    ledger.set_ahead(0);
    start_witnesses(&mut ledger);
    let verified = verify(&ledger);
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    let audit: Value = serde_json::from_str(&verified.stdout).unwrap();
    let findings = audit["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{audit}");
    assert_eq!(findings[0]["code"], "stale", "{audit}");
    let detail = findings[0]["detail"].as_str().unwrap();
    assert!(
        detail.ends_with("its witnesses agree with this machine's"),
        "{detail}"
    );
}
