//! How servers begin and end, and what they do meanwhile about slow senders and absent witnesses.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use whosaw::digest::StatementId;
use whosaw::party::official::check_logged;
use whosaw::statement::envelope::Envelope;
use whosaw::statement::kinds::Kind as _;
use whosaw::statement::kinds::limits::Limits;
use whosaw::wire::statements::Logged;

use super::http::Call;
use super::ledger::{
    AGENCY, Ledger, ORIGIN, PATIENCE, VENDOR, done, proven, signed_benefit, submission, until,
    whosaw,
};

/// A folder has one server, and a refusal says what to do.
#[test]
fn servers_that_must_not_start_do_not() {
    let mut ledger = Ledger::without_witnesses(|_| {});
    let data = ledger.file("operator");
    let refused = |args: &[&str], says: &str| {
        let ran = whosaw(&[&["serve", "--data", &data], args].concat());
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
        assert!(!ran.stdout.contains("listening"), "{args:?}");
    };
    let free = ["--listen", "127.0.0.1:0"];
    refused(&free, "quorum");
    refused(&["--listen", "0.0.0.0:0"], "--behind-tls");
    refused(&["--listen", "[::]:0"], "--behind-tls");

    ledger = Ledger::start(|_| {});
    let data = ledger.file("operator");
    let second = whosaw(&["serve", "--data", &data, "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(2));
    assert!(
        second.stderr.contains("another process works on"),
        "{}",
        second.stderr
    );
    let size = ledger.size();
    let other = [
        "serve",
        "--data",
        &data,
        "--listen",
        "127.0.0.1:0",
        "--origin",
        "other.example/log",
    ];
    let other = whosaw(&other);
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("for life"), "{}", other.stderr);
    assert!(ledger.size() >= size, "the first server goes on");

    let witness = ledger.file("north");
    let vkey = ledger.file("operator/log.vkey");
    let public = [
        "witness",
        "serve",
        "--data",
        &witness,
        "--log",
        &vkey,
        "--listen",
        "0.0.0.0:0",
    ];
    let public = whosaw(&public);
    assert_eq!(public.code, Some(2));
    assert!(public.stderr.contains("--behind-tls"), "{}", public.stderr);
}

#[test]
fn key_files_are_their_owners_alone() {
    let ledger = Ledger::start(|_| {});
    ledger.settle();
    let mut seen = 0;
    visit(ledger.path(".").as_path(), &mut |path| {
        let secret = std::fs::read(path).is_ok_and(|bytes| {
            bytes.windows(8).any(|w| w == b"-secret:") || bytes.starts_with(b"AGE-SECRET")
        });
        if secret || path.extension().is_some_and(|e| e == "key") {
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            seen += 1;
        }
    });
    // Three roles of three parties, and two keys each of the log and of the witnesses.
    assert_eq!(seen, 3 * 3 + 2 + 2 * 2);
}

fn visit(folder: &Path, look: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, look);
        } else {
            look(&path);
        }
    }
}

/// SIGTERM while statements are on their way: what was accepted is finished, and stays.
#[test]
fn a_clean_end_keeps_what_was_accepted() {
    let mut ledger = Ledger::start(|_| {});
    ledger.settle();
    let vendor = ledger.home("vendor");
    let answered = Mutex::new(Vec::<(Envelope, Logged)>::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let authority = ledger.authority();
                loop {
                    let envelope = signed_benefit(&vendor);
                    let answer = submission(&envelope.to_json()).send(authority);
                    let Ok(answer) = answer else { return };
                    assert_eq!(answer.status, 201, "{answer:?}");
                    let logged = serde_json::from_slice(&answer.body).unwrap();
                    answered.lock().unwrap().push((envelope, logged));
                }
            });
        }
        until("answered", || {
            (answered.lock().unwrap().len() >= 40).then_some(())
        });
        ledger.terminate();
    });
    let status = ledger.take_server().ended();
    assert_eq!(status.code(), Some(0), "{status}");
    ledger.verify();
    ledger.serve();
    let policy = ledger.policy();
    for (envelope, logged) in answered.into_inner().unwrap() {
        let answer = ledger.submit(&envelope.to_json());
        assert_eq!(answer.status, 200);
        let again = proven(&answer, &policy, &envelope);
        assert_eq!(
            (again.index, again.logged_at),
            (logged.index, logged.logged_at)
        );
    }
}

/// A head that dribbles in is cut off, however steadily it dribbles, and meanwhile others are
/// served.
#[test]
fn slow_senders_are_cut_off() {
    let ledger = Ledger::start(|_| {});
    let mut slow = TcpStream::connect(ledger.authority()).unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(250)))
        .unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ")
        .unwrap();
    let since = Instant::now();
    loop {
        let mut answer = [0; 4096];
        match slow.read(&mut answer) {
            Ok(0) => break,
            Ok(n) => assert!(
                !answer[..n].starts_with(b"HTTP/1.1 200"),
                "half a head is no head"
            ),
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock) => {}
            Err(_) => break,
        }
        assert!(since.elapsed() < PATIENCE, "still open");
        let _ = slow.write_all(b"a");
    }
    assert!(
        since.elapsed() > Duration::from_secs(2),
        "a slow line is no crime"
    );
    assert_eq!(ledger.send(&Call::new("GET", "/healthz", [])).status, 200);
}

/// A reader that takes byte after byte and no more is cut off in the midst of its answers.
#[test]
fn slow_readers_are_cut_off() {
    const ASKED: usize = 4000;
    let ledger = Ledger::start(|_| {});
    let style = Call::new("GET", "/assets/whosaw.css", []);
    let length = ledger.send(&style).body.len();
    assert!(ASKED * length > 8 << 20, "more than sockets hold");
    let mut slow = TcpStream::connect(ledger.authority()).unwrap();
    let request = format!("GET {} HTTP/1.1\r\nhost: slow\r\n\r\n", style.path);
    slow.write_all(request.repeat(ASKED).as_bytes()).unwrap();
    let mut byte = [0];
    until("cut off", || {
        slow.read_exact(&mut byte).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        (ledger.figure("whosaw_connections") == 0.0).then_some(())
    });
    // What the sockets held comes at once, and then nothing more.
    let mut held = Vec::new();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let ended = slow.read_to_end(&mut held);
    if let Err(error) = ended {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert!(held.len() < ASKED * length, "all of it came");
    assert_eq!(ledger.send(&style).status, 200);
}

/// A witness that is down: accepted, not yet proven, and named; back again, all is made good.
#[test]
fn an_absent_witness_delays_proofs_and_loses_nothing() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let (vendor, policy, size) = (ledger.home("vendor"), ledger.policy(), ledger.size());
    let listened = ledger.kill_witness(1);
    let envelope = signed_benefit(&vendor);
    let id = StatementId::of_payload(&envelope.payload);
    let answer = ledger.submit(&envelope.to_json());
    assert_eq!(answer.status, 202, "{answer:?}");
    let accepted: Logged = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (accepted.id, accepted.index.as_u64(), &accepted.proof),
        (id, size, &None)
    );
    let again = ledger.submit(&envelope.to_json());
    let known: Logged = serde_json::from_slice(&again.body).unwrap();
    assert_eq!(
        (again.status, accepted.known, known.known),
        (202, false, true)
    );
    assert_eq!(
        ledger.size(),
        size,
        "nothing is published without the quorum"
    );
    let proof = Call::new("GET", format!("/api/v1/proofs/{id}"), []);
    let shown = Call::new("GET", format!("/api/v1/statements/{id}"), []);
    assert_eq!(ledger.send(&proof).status, 202);
    assert_eq!(ledger.send(&shown).status, 404, "it is not public yet");
    let health = ledger.send(&Call::new("GET", "/healthz", [])).json();
    assert_eq!(health["size"], size + 1, "{health}");
    assert_eq!(health["published"], size, "{health}");
    assert_eq!(health["status"], "quorum-missing");
    assert_eq!(health["witnesses"]["north"], "cosigned", "{health}");
    let missing = health["witnesses"]["south"].as_str().unwrap();
    assert!(missing.contains("cannot be reached"), "{health}");

    ledger.start_witness(1, &listened);
    until("proven", || {
        (ledger.send(&proof).status == 200).then_some(())
    });
    let answer = ledger.send(&proof);
    let proven = Logged {
        proof: Some(String::from_utf8(answer.body).unwrap()),
        ..accepted
    };
    check_logged(&proven, &policy, &envelope).unwrap();
    assert_eq!(ledger.send(&shown).json()["index"], size);
    let health = ledger.send(&Call::new("GET", "/healthz", [])).json();
    assert_eq!(health["published"], size + 1, "{health}");
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(health["witnesses"]["south"], "cosigned", "{health}");
}

/// The operator declares other limits while the ledger runs.
#[test]
fn other_limits_are_declared_from_the_command_line() {
    let ledger = Ledger::start(|_| ());
    let limits = Limits {
        window_minutes: 900,
        ..Limits::example()
    };
    let file = ledger.file("wider.json");
    std::fs::write(&file, serde_json::to_string(&limits).unwrap()).unwrap();
    let data = ledger.file("operator");
    let said = done(&[
        "operator",
        "limits",
        &file,
        "--data",
        &data,
        "--server",
        &ledger.url(),
    ]);
    assert!(
        said.contains("900 minutes") && said.contains("proof verified"),
        "{said}"
    );
}

/// The operator ends the log: everybody is told, nothing is added, and what stands there is served
/// and cosigned on, after a start anew too.
#[test]
fn a_closed_log_is_served_and_takes_nothing() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let (vendor, policy) = (ledger.home("vendor"), ledger.policy());
    let before = signed_benefit(&vendor);
    assert_eq!(ledger.submit(&before.to_json()).status, 201);
    let (data, url) = (ledger.file("operator"), ledger.url());
    let close = ["operator", "close", "--data", &data, "--server", &url];
    let close = |more: &[&str]| whosaw(&[&close, more].concat());

    // Nobody types the origin; a log that has moved names where to.
    let unasked = close(&["--reason", "discontinued"]);
    assert_ne!(unasked.code, Some(0));
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    let nowhere = close(&["--reason", "moved", "--yes"]);
    assert!(nowhere.stderr.contains("bad-value"), "{}", nowhere.stderr);
    let end = ledger.size();
    let vkey = std::fs::read_to_string(ledger.path("operator/log.vkey")).unwrap();
    let own = ["--successor", ORIGIN, "--successor-vkey", vkey.trim()];
    let to_itself = close(&[&["--reason", "moved", "--yes"], &own[..]].concat());
    assert!(
        to_itself.stderr.contains("another log"),
        "{}",
        to_itself.stderr
    );

    let said = close(&["--reason", "discontinued", "--yes"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stdout.contains("cosigned the final checkpoint"));
    assert_eq!(ledger.size(), end + 1);

    let check = |ledger: &Ledger| {
        let refused = ledger.submit(&signed_benefit(&vendor).to_json());
        assert_eq!(refused.problem().0, 409);
        assert_eq!(refused.problem().1, "log-closed");
        let again = ledger.submit(&before.to_json());
        assert_eq!(again.status, 200);
        proven(&again, &policy, &before);
        let health = ledger.send(&Call::new("GET", "/healthz", [])).json();
        assert_eq!(health["status"], "closed", "{health}");
        assert_eq!(health["closed"]["index"], end, "{health}");
        assert_eq!(health["closed"]["reason"], "discontinued", "{health}");
        let page = ledger.send(&Call::new("GET", "/", []));
        assert!(String::from_utf8_lossy(&page.body).contains("This log is closed"));
        assert!(ledger.verify().contains("this log was closed on"));
        assert_eq!(ledger.size(), end + 1);
    };
    check(&ledger);
    let twice = close(&["--reason", "compromised", "--yes"]);
    assert!(twice.stderr.contains("log-closed"), "{}", twice.stderr);
    ledger.terminate();
    assert_eq!(ledger.take_server().ended().code(), Some(0));
    ledger.serve();
    check(&ledger);

    // Agencies are refused with the reason, and readers are told.
    let (home, url) = (ledger.file("vendor"), ledger.url());
    let benefit = ["vendor", "benefit", "--home", &home, "--server", &url];
    let what = [
        "--kind",
        "equipment",
        "--giver",
        VENDOR,
        "--receiver",
        AGENCY,
    ];
    let item = ["--item", "doorbell-camera", "--count", "1"];
    let refused = whosaw(&[&benefit[..], &what, &item].concat());
    assert!(
        refused.stderr.contains("it is discontinued"),
        "{}",
        refused.stderr
    );
    let (log, trust) = (
        ledger.file("operator/log"),
        ledger.file("operator/log.policy"),
    );
    for command in [&["list"][..], &["show", "#0"]] {
        let said = done(&[&["log"], command, &["--log", &log, "--policy", &trust]].concat());
        assert!(said.contains("this log was closed on"), "{said}");
    }
    let json = done(&["log", "verify", "--log", &log, "--policy", &trust, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["closed"]["index"], end, "{json}");
}

/// A close that was signed on another machine: the command says that the log is closed, by which entry, and when
/// the witnesses have cosigned that.
#[test]
fn a_close_signed_elsewhere_tells_of_the_end() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    let (data, file) = (ledger.file("operator"), ledger.file("close.dsse"));
    let close = ["operator", "close", "--reason", "discontinued", "--yes"];
    done(&[&close[..], &["--data", &data, "--sign-only", &file]].concat());
    let listened = [0, 1].map(|place| ledger.kill_witness(place));
    let (url, trust) = (ledger.url(), ledger.file("operator/log.policy"));
    let submit = |file: &str| {
        let mut submit = std::process::Command::new(env!("CARGO_BIN_EXE_whosaw"));
        submit.args(["submit", file, "--server", &url, "--trust", &trust, "--yes"]);
        submit
    };
    let said = ledger.path("said");
    let mut command = submit(&file);
    command.stderr(std::fs::File::create(&said).unwrap());
    let waits = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    until("it waits for the witnesses", || {
        let said = std::fs::read_to_string(&said).unwrap();
        said.contains("the log is closed; waiting for the witnesses")
            .then_some(())
    });
    for (place, listened) in listened.iter().enumerate() {
        ledger.start_witness(place, listened);
    }
    let ended = waits.wait_with_output().unwrap();
    let stdout = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{stdout}");
    let end = "the witnesses have cosigned the final checkpoint: the log is closed, and readers count nothing after entry 2";
    assert!(
        stdout.contains("logged as entry 2, proof verified"),
        "{stdout}"
    );
    assert!(stdout.trim_end().ends_with(end), "{stdout}");

    // The same again, alone and in a file of many.
    let again = submit(&file).arg("--json").output().unwrap();
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["cosigned"], true, "{again}");
    assert_eq!(again["known"], true, "{again}");
    let many = ledger.file("close.jsonl");
    let line = [&std::fs::read(&file).unwrap()[..], b"\n"].concat();
    std::fs::write(&many, line).unwrap();
    let told = String::from_utf8(submit(&many).output().unwrap().stdout).unwrap();
    assert!(told.trim_end().ends_with(end), "{told}");
}
