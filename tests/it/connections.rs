//! Connections and file descriptors: too many of either stop neither the log nor who asks honestly.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use socket2::{Domain, Socket, Type};

use super::http::{Answer, Call};
use super::ledger::{Ledger, OPEN, Server, done, signed_benefit, submission};

/// A ledger with a vendor, whose server is not running.
fn ledger() -> Ledger {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    ledger.take_server().kill();
    ledger
}

/// Runs a program under these limits of open files, as `ulimit` takes them.
fn limited(ulimit: &str) -> [String; 4] {
    let script = format!("ulimit {ulimit}; exec \"$@\"");
    ["sh", "-c", &script, "sh"].map(str::to_owned)
}

/// The ledger's server under these limits of open files; none if it does not start.
fn serve_limited(ledger: &Ledger, ulimit: &str, options: &[&str]) -> Option<Server> {
    let wrapper = limited(ulimit);
    let wrapper: Vec<_> = wrapper.iter().map(String::as_str).collect();
    ledger.try_serve(&wrapper, &[OPEN, options].concat())
}

/// A connection over which half a head is sent.
fn half_head(authority: &str) -> TcpStream {
    let mut stream = TcpStream::connect(authority).unwrap();
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).unwrap();
    stream
        .write_all(b"GET /log/checkpoint HTTP/1.1\r\nx-slow: ")
        .unwrap();
    stream
}

/// Everything that comes until the connection is closed.
fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset ends it too.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Asks until it is so.
fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(value) = is_so() {
            return value;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "not {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn checkpoint(authority: &str) -> Option<Answer> {
    Call::new("GET", "/log/checkpoint", []).send(authority).ok()
}

/// More half-sent heads than the process may open files: the log is written on, and everybody is answered.
#[test]
fn half_heads_leave_the_log_its_descriptors() {
    let ledger = ledger();
    let server = serve_limited(&ledger, "-n 300", &[]).expect("it starts");
    let heads: Vec<_> = (0..400).map(|_| half_head(&server.authority)).collect();
    for _ in 0..3 {
        let statement = submission(&signed_benefit(&ledger.home("vendor")).to_json());
        let answer = statement.send(&server.authority).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    drop(heads);
    server.terminate();
    assert!(server.ended().success());
}

#[test]
fn the_soft_limit_of_open_files_is_raised() {
    let ledger = ledger();
    let server = serve_limited(&ledger, "-Sn 64", &[]).expect("it starts");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let row = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"));
    let mut columns = row.unwrap().split_whitespace();
    let (soft, hard) = (columns.next(), columns.next());
    assert_eq!(soft, hard, "{limits}");
}

#[test]
fn a_server_that_may_open_hardly_any_file_does_not_start() {
    let ledger = ledger();
    assert!(serve_limited(&ledger, "-n 100", &[]).is_none());
    let said = std::fs::read_to_string(ledger.path("serve.log")).unwrap();
    assert!(said.contains("LimitNOFILE"), "{said}");
}

/// While no file can be opened, the statement waits; it is logged once one can be again.
#[test]
fn a_descriptor_that_is_missing_is_waited_for() {
    let mut ledger = ledger();
    ledger.serve();
    let server = ledger.take_server();
    let statement = signed_benefit(&ledger.home("vendor")).to_json();
    let mut stream = TcpStream::connect(&server.authority).unwrap();
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).unwrap();
    // The connection is there before the limit is.
    let host = &server.authority;
    write!(
        stream,
        "GET /assets/whosaw.css HTTP/1.1\r\nhost: {host}\r\n\r\n"
    )
    .unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    let pid = Pid::from_raw(server.pid().try_into().unwrap());
    let hard = getrlimit(Resource::Nofile).maximum;
    let limit = |current| {
        let limit = Rlimit {
            current,
            maximum: hard,
        };
        prlimit(pid, Resource::Nofile, limit).unwrap()
    };
    let before = limit(Some(4));
    let length = statement.len();
    write!(
        stream,
        "POST /api/v1/statements HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(&statement).unwrap();
    until("waiting", || {
        let said = std::fs::read_to_string(ledger.path("serve.log")).unwrap();
        said.contains("waiting for a file descriptor").then_some(())
    });
    limit(before.current);
    until("logged", || {
        let again = submission(&statement).send(&server.authority).unwrap();
        matches!(again.status, 200 | 201).then_some(())
    });
    server.terminate();
    assert!(server.ended().success());
    done(&["log", "fsck", "--data", &ledger.file("operator")]);
}

/// For a connection beyond the limit the oldest of those that sent half a head is closed, and no other.
#[test]
fn the_connection_that_has_been_idle_longest_is_closed_for_another() {
    let mut ledger = ledger();
    ledger.serve_with(&[OPEN, &["--connections=4"]].concat());
    let authority = ledger.authority();
    // Again where a busy machine took longer than a head may.
    until("so", || {
        let mut heads: Vec<_> = (0..4).map(|_| half_head(authority)).collect();
        assert_eq!(checkpoint(authority).unwrap().status, 200);
        let first = rest(&mut heads[0]);
        let others: Vec<_> = heads[1..]
            .iter_mut()
            .map(|head| {
                let _ = write!(head, "a\r\nhost: a\r\nconnection: close\r\n\r\n");
                rest(head)
            })
            .collect();
        let late = others.iter().any(|said| said.starts_with("HTTP/1.1 408"));
        if late || first.starts_with("HTTP/1.1 408") {
            return None;
        }
        assert!(first.starts_with("HTTP/1.1 503"), "{first}");
        assert!(first.contains("/problems/busy"), "{first}");
        for said in &others {
            assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        }
        Some(())
    });
}

/// While every connection has a request under way, the server says that it is busy, and how it is.
#[test]
fn health_has_a_place_of_its_own() {
    let mut ledger = ledger();
    ledger.serve_with(&[OPEN, &["--connections=2"]].concat());
    let authority = ledger.authority();
    let (slow, refused) = until("busy", || {
        let slow: Vec<_> = (0..2)
            .map(|_| {
                let mut stream = TcpStream::connect(authority).unwrap();
                write!(
                    stream,
                    "POST /api/v1/statements HTTP/1.1\r\nhost: {authority}\r\ncontent-length: 9\r\n\r\n{{"
                )
                .unwrap();
                stream
            })
            .collect();
        // Until both heads are read, one of them may be closed for this.
        std::thread::sleep(Duration::from_millis(100));
        let refused = checkpoint(authority)?;
        let health = Call::new("GET", "/healthz", []).send(authority).ok()?;
        let busy = refused.status == 503 && health.header("connection") == "close";
        busy.then(|| {
            assert_eq!(health.status, 200, "{health:?}");
            assert_eq!(health.json()["status"], "ok");
            (slow, refused)
        })
    });
    assert_eq!(refused.problem().1, "busy");
    assert_eq!(refused.header("retry-after"), "1");
    drop(slow);
    until("free again", || {
        (checkpoint(authority)?.status == 200).then_some(())
    });
}

/// Keys cost nothing: calls that unknown ones signed, and whose bodies do not come, count by address.
#[test]
fn slow_bodies_of_unknown_keys_are_counted_by_address() {
    let mut ledger = ledger();
    ledger.serve_with(&[OPEN, &["--proxy=127.0.0.1"]].concat());
    let authority = ledger.authority();
    let enrol = |client: &str| {
        let key = SigningKey::from_bytes(&whosaw::random::bytes());
        Call::new("POST", "/vault/v1/enrol", br#"{"code":"none"}"#)
            .signed(&key, authority)
            .with("x-forwarded-for", client)
    };
    let slow = || {
        let call = enrol("192.0.2.1");
        let mut head = format!("POST {} HTTP/1.1\r\nhost: {authority}\r\n", call.path);
        for (name, value) in &call.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n{{", call.body.len()));
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    // All anew each time: a busy machine may ask only after they were cut off.
    let (slow, refused) = until("refused", || {
        let slow: Vec<_> = (0..8).map(|_| slow()).collect();
        std::thread::sleep(Duration::from_millis(100));
        let answer = enrol("192.0.2.1").send(authority).unwrap();
        (answer.status == 429).then_some((slow, answer))
    });
    assert_eq!(refused.problem().1, "address-bodies");
    let other = enrol("192.0.2.2").send(authority).unwrap();
    assert_eq!(other.problem().0, 404, "an unknown code: {other:?}");
    drop(slow);
    until("let in again", || {
        let answer = enrol("192.0.2.1").send(authority).unwrap();
        (answer.status == 404).then_some(())
    });
}

/// Through a proxy, too, one address has so many requests under way.
#[test]
fn an_address_has_so_many_requests_through_a_proxy() {
    let mut ledger = ledger();
    ledger.serve_with(&["--proxy=127.0.0.1", "--address-connections=2"]);
    let authority = ledger.authority();
    let asked = |client: &str| {
        let call = Call::new("GET", "/log/checkpoint", []).with("x-forwarded-for", client);
        call.send(authority).unwrap()
    };
    let (slow, refused) = until("refused", || {
        let slow: Vec<_> = (0..2)
            .map(|_| {
                let mut stream = TcpStream::connect(authority).unwrap();
                write!(
                    stream,
                    "POST /api/v1/statements HTTP/1.1\r\nhost: {authority}\r\n\
                     x-forwarded-for: 192.0.2.1\r\ncontent-length: 9\r\n\r\n{{"
                )
                .unwrap();
                stream
            })
            .collect();
        std::thread::sleep(Duration::from_millis(50));
        let answer = asked("192.0.2.1");
        (answer.status == 429).then_some((slow, answer))
    });
    assert_eq!(refused.problem().1, "address-connections");
    assert_eq!(asked("192.0.2.2").status, 200);
    drop(slow);
}

/// What is sent byte for byte, and everything that comes back.
fn raw(authority: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(authority).unwrap();
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

fn told(said: &str, status: u16, code: &str) {
    assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
    for part in [
        "application/problem+json",
        "connection: close\r\n",
        &format!("/problems/{code}"),
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// A head of more than 64 kB, or of too many fields, is refused before it is whole; what is no HTTP is told so.
#[test]
fn heads_that_are_none_are_told_so() {
    let mut ledger = ledger();
    ledger.serve();
    let authority = ledger.authority();
    let head = |fields: &str| {
        let line = "GET /log/checkpoint HTTP/1.1\r\n";
        format!("{line}host: {authority}\r\nconnection: close\r\n{fields}\r\n")
    };
    let large = |length: usize| head(&format!("x-large: {}\r\n", "a".repeat(length)));
    let fine = raw(authority, large(60_000).as_bytes());
    assert!(fine.starts_with("HTTP/1.1 200 "), "{fine}");
    for length in [66_000, 600_000] {
        told(&raw(authority, large(length).as_bytes()), 431, "large-head");
    }
    let many = head(&"x: y\r\n".repeat(200));
    told(&raw(authority, many.as_bytes()), 431, "large-head");
    for garbage in [
        "\u{1}\u{2}\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "SSH-2.0-x\r\n\r\n",
    ] {
        told(&raw(authority, garbage.as_bytes()), 400, "not-http");
    }
    let smuggled = head("content-length: 3\r\ncontent-length: 4\r\n");
    told(&raw(authority, smuggled.as_bytes()), 400, "not-http");
}

/// A connection to `authority` from an address of this machine.
fn from(source: &str, authority: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source: std::net::SocketAddr = format!("{source}:0").parse().unwrap();
    socket.bind(&source.into()).unwrap();
    let to: std::net::SocketAddr = authority.parse().unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).unwrap();
    stream
}

/// One address opens more connections than a witness has: it keeps a few, and others are answered.
#[test]
fn one_address_does_not_silence_a_witness() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    let authority = ledger.kill_witness(0);
    ledger.start_witness(0, &authority);
    let mut open: Vec<_> = (0..300)
        .map(|_| {
            let mut stream = TcpStream::connect(&authority).unwrap();
            let _ = stream.write_all(b"G");
            stream
        })
        .collect();
    let mut other = from("127.0.0.2", &authority);
    let asked = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    other.write_all(asked.as_bytes()).unwrap();
    let said = rest(&mut other);
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    // Those beyond its share were closed without an answer.
    let is_closed = |stream: &mut TcpStream| {
        let once = Some(Duration::from_millis(1));
        stream.set_read_timeout(once).unwrap();
        let read = stream.read(&mut [0]);
        !read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    let closed: Vec<_> = open.iter_mut().map(is_closed).collect();
    assert!(closed.iter().filter(|closed| **closed).count() >= 300 - 32);
    // The ledger, which asks from that address, gets its cosignatures afterwards.
    drop(open);
    ledger.settle();
}
