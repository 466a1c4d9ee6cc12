//! Uploads in pieces, by tus 1.0 with signed calls: what breaks off goes on, and nothing else counts.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ed25519_dalek::SigningKey;
use serde_json::json;

use super::http::{Answer, Call};
use super::ledger::{Ledger, OPEN, done, until};

/// A vault whose owner uploads.
struct Vault {
    ledger: Ledger,
    key: SigningKey,
    /// Of the clip.
    path: String,
}

impl Vault {
    /// A vault for 1 MiB.
    fn new() -> Self {
        let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
        let key = SigningKey::from_bytes(&whosaw::random::bytes());
        let code = ledger.enrol_code(1, 8);
        let vault = Self {
            ledger,
            key,
            path: format!("/vault/v1/clips/{}", "ab".repeat(16)),
        };
        let body = format!(r#"{{"code":"{code}"}}"#);
        let enrol = Call::new("POST", "/vault/v1/enrol", body);
        assert_eq!(vault.send(enrol).status, 201);
        vault
    }

    fn signed(&self, call: Call) -> Call {
        call.signed(&self.key, self.ledger.authority())
    }

    fn send(&self, call: Call) -> Answer {
        self.ledger.send(&self.signed(call))
    }

    fn part(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Begins the upload of the body.
    fn begin(&self, length: usize) -> Answer {
        let call = Call::new("POST", self.part("body"), []);
        let call = call.with("tus-resumable", "1.0.0");
        self.send(call.with("upload-length", length.to_string()))
    }

    /// A piece of the body, yet to be signed.
    fn piece(&self, offset: usize, bytes: &[u8]) -> Call {
        Call::new("PATCH", self.part("body"), bytes)
            .with("tus-resumable", "1.0.0")
            .with("content-type", "application/offset+octet-stream")
            .with("upload-offset", offset.to_string())
    }

    /// How far the upload is, of how many bytes; none if there is none.
    fn offset(&self) -> Option<(u64, u64)> {
        let answer = self.send(Call::new("HEAD", self.part("body"), []));
        if answer.status == 404 {
            return None;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("tus-resumable"), "1.0.0");
        let number = |name: &str| answer.header(name).parse().unwrap();
        Some((number("upload-offset"), number("upload-length")))
    }

    /// Sends a call without the last byte of its body, over a connection that stays open.
    fn all_but_a_byte(&self, call: Call) -> TcpStream {
        let call = self.signed(call);
        let authority = self.ledger.authority();
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {authority}\r\n",
            call.method, call.path
        );
        for (name, value) in &call.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", call.body.len()));
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&call.body[..call.body.len() - 1]).unwrap();
        stream
    }

    fn restart(&mut self) {
        self.ledger.take_server().kill();
        self.ledger.serve();
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

/// What has arrived in whole pieces survives `kill -9`; what broke off, was altered, or goes elsewhere does not count.
#[test]
fn an_upload_goes_on_after_the_server_was_killed() {
    let mut vault = Vault::new();
    let body = bytes(300_000);
    let options = vault
        .ledger
        .send(&Call::new("OPTIONS", vault.part("body"), []));
    assert_eq!(
        (options.status, options.header("tus-version")),
        (204, "1.0.0")
    );
    assert_eq!(options.header("tus-extension"), "creation,expiration");
    assert_eq!(vault.offset(), None);
    let begun = vault.begin(body.len());
    assert_eq!((begun.status, begun.header("upload-offset")), (201, "0"));
    assert_eq!(begun.header("location"), vault.part("body"));
    assert!(
        begun.header("upload-expires").ends_with(" GMT"),
        "{begun:?}"
    );
    let first = vault.send(vault.piece(0, &body[..100_000]));
    assert_eq!(
        (first.status, first.header("upload-offset")),
        (204, "100000")
    );

    drop(vault.all_but_a_byte(vault.piece(100_000, &body[100_000..200_000])));
    vault.restart();
    assert_eq!(vault.offset(), Some((100_000, 300_000)));
    let again = vault.begin(body.len());
    assert_eq!(
        (again.status, again.header("upload-offset")),
        (200, "100000")
    );

    let refused = |call: Call, status: u16, code: &str| {
        let answer = vault.ledger.send(&call);
        assert_eq!((answer.status, answer.problem().1.as_str()), (status, code));
        assert_eq!(vault.offset(), Some((100_000, 300_000)), "{code}");
    };
    let rest = &body[100_000..];
    refused(vault.signed(vault.piece(0, rest)), 409, "upload-offset");
    refused(
        vault.signed(vault.piece(150_000, rest)),
        409,
        "upload-offset",
    );
    // The signature covers where the piece goes, and its bytes.
    let moved = vault.signed(vault.piece(0, rest));
    refused(moved.with("upload-offset", "100000"), 401, "call-signature");
    let mut altered = vault.signed(vault.piece(100_000, rest));
    altered.body[7] ^= 1;
    refused(altered, 400, "bad-request");
    let unsigned_offset = vault.signed(Call::new("PATCH", vault.part("body"), rest));
    let unsigned_offset = unsigned_offset
        .with("tus-resumable", "1.0.0")
        .with("content-type", "application/offset+octet-stream")
        .with("upload-offset", "100000");
    refused(unsigned_offset, 401, "call-signature");
    let long = vault.signed(vault.piece(100_000, &bytes(200_001)));
    refused(long, 409, "vault-conflict");
    let other = vault.piece(100_000, rest).with("tus-resumable", "2.0.0");
    refused(vault.signed(other), 412, "tus-version");
    let other = vault
        .piece(100_000, rest)
        .with("content-type", "text/plain");
    refused(vault.signed(other), 415, "media-type");
    assert_eq!(vault.begin(1_000).problem().1, "vault-conflict");

    let last = vault.send(vault.piece(100_000, rest));
    assert_eq!((last.status, last.header("upload-offset")), (204, "300000"));
    assert_eq!(vault.offset(), Some((300_000, 300_000)));
    vault.restart();
    let stored = vault.send(Call::new("GET", vault.part("body"), []));
    assert!(stored.body == body);
    for small in ["header", "metadata"] {
        let put = Call::new("PUT", vault.part(small), small);
        assert_eq!(vault.send(put).status, 201);
    }
    let commitments: Vec<String> = (0..8_u8).map(|n| format!("{:02x}", n).repeat(32)).collect();
    let complete = json!({ "commitments": commitments }).to_string();
    let complete = Call::new("POST", vault.path.clone(), complete);
    assert_eq!(vault.send(complete).status, 201);
}

/// Room is taken for the whole part before its first byte, restarts or not, and is free again when the clip is
/// deleted.
#[test]
fn an_upload_takes_its_room_at_its_beginning() {
    let mut vault = Vault::new();
    assert_eq!(vault.begin(900_000).status, 201);
    for restarted in [false, true] {
        if restarted {
            vault.restart();
        }
        let other = format!("/vault/v1/clips/{}/body", "cd".repeat(16));
        let other = Call::new("PUT", other, bytes(200_000));
        assert_eq!(vault.send(other).status, 507);
    }
    let remove = Call::new("DELETE", vault.path.clone(), []);
    assert_eq!(vault.send(remove).status, 204);
    assert_eq!(vault.offset(), None);
    assert_eq!(vault.begin(2_000_000).status, 507);
    assert_eq!(vault.begin(1_000_000).status, 201);
}

#[test]
fn one_call_at_a_time_writes_a_part() {
    let vault = Vault::new();
    let body = bytes(1_000);
    assert_eq!(vault.begin(body.len()).status, 201);
    let slow = until("busy", || {
        let slow = vault.all_but_a_byte(vault.piece(0, &body));
        let answer = vault.send(vault.piece(0, &body));
        (answer.status == 503).then_some(slow)
    });
    drop(slow);
    until("free again", || {
        let answer = vault.send(vault.piece(0, &body));
        // The slow one may have been the first.
        (answer.status == 204).then_some(())
    });
    assert_eq!(vault.offset(), Some((1_000, 1_000)));
}

/// A proxy that cuts each connection after so many bytes in either direction; how many have passed.
struct Cutting {
    authority: String,
    up: Arc<AtomicU64>,
    down: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl Cutting {
    /// Binds a free port; `serve` says where its connections go.
    fn bind() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        (listener, authority)
    }

    fn serve(listener: TcpListener, to: String, most: u64) -> Self {
        let cutting = Self {
            authority: listener.local_addr().unwrap().to_string(),
            up: Arc::default(),
            down: Arc::default(),
            connections: Arc::default(),
        };
        let (up, down) = (cutting.up.clone(), cutting.down.clone());
        let connections = cutting.connections.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&to)) else {
                    continue;
                };
                connections.fetch_add(1, Ordering::Relaxed);
                for (from, into, counted) in [
                    (client.try_clone(), server.try_clone(), up.clone()),
                    (server.try_clone(), client.try_clone(), down.clone()),
                ] {
                    let (from, into) = (from.unwrap(), into.unwrap());
                    std::thread::spawn(move || pass(from, into, most, &counted));
                }
            }
        });
        cutting
    }
}

/// Passes bytes on until `most` of them have passed, and cuts both ways then.
fn pass(mut from: TcpStream, mut into: TcpStream, most: u64, counted: &AtomicU64) {
    let (mut passed, mut buffer) = (0, vec![0; 1 << 16]);
    while passed < most {
        let Ok(read @ 1..) = from.read(&mut buffer) else {
            break;
        };
        if into.write_all(&buffer[..read]).is_err() {
            break;
        }
        passed += read as u64;
        counted.fetch_add(read as u64, Ordering::Relaxed);
    }
    for stream in [from, into] {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
}

/// A device behind a line that breaks every ten mebibytes stores a clip of twenty and gets it back, and sends and
/// fetches little twice.
#[test]
fn a_device_goes_on_where_its_line_broke() {
    const LINE: u64 = 10 << 20;
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.take_server().kill();
    let (listener, proxied) = Cutting::bind();
    let authority = format!("--authority={proxied}");
    ledger.serve_with(&[OPEN, &[authority.as_str()]].concat());
    let line = Cutting::serve(listener, ledger.authority().to_owned(), LINE);
    let (home, film) = (ledger.file("me"), ledger.file("film"));
    let content: Vec<u8> = bytes(20 << 20);
    std::fs::write(&film, &content).unwrap();
    let url = format!("http://{}", line.authority);
    ledger.resident("me", &url, &ledger.enrol_code(64, 8));
    let added = ledger.add_clip("me", &film);
    let clip = added["clip"].as_str().unwrap();
    let (up, length) = (line.up.load(Ordering::Relaxed), content.len() as u64);
    assert!(line.connections.load(Ordering::Relaxed) >= 3);
    assert!((length..length * 2).contains(&up), "{up} bytes sent");
    let (out, before) = (ledger.file("out"), line.down.load(Ordering::Relaxed));
    done(&["resident", "open", clip, "--home", &home, "-o", &out]);
    assert!(std::fs::read(&out).unwrap() == content);
    let down = line.down.load(Ordering::Relaxed) - before;
    assert!(
        (length..length * 3 / 2).contains(&down),
        "{down} bytes fetched"
    );
}
