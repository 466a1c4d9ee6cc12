//! What browsers, caches and proxies rely on: CORS, tags, hosts, forwarded addresses, ranges.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use ed25519_dalek::SigningKey;

use super::http::{Answer, Call};
use super::ledger::{Ledger, OPEN, signed_benefit, until};

fn ledger() -> Ledger {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    ledger
}

/// A browser's question whether a script of another site may make a call.
fn preflight(method: &str, path: &str) -> Call {
    Call::new("OPTIONS", path, [])
        .with("origin", "https://watchdog.example")
        .with("access-control-request-method", method)
}

#[test]
fn scripts_of_any_site_may_read_what_is_public() {
    let mut ledger = ledger();
    for path in [
        "/log/checkpoint",
        "/log/tile/0/000",
        "/",
        "/api/v1/findings",
        "/api/v1/proofs/none",
        "/healthz",
        "/schemas/limits.json",
        "/problems/busy",
        "/attachments/none",
        "/published/none",
        "/notices/none",
        "/batches/none",
        "/bundles/US-FL",
        "/nothing",
    ] {
        let read = Call::new("GET", path, []).with("origin", "https://watchdog.example");
        let answer = ledger.send(&read);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let exposed = answer.header("access-control-expose-headers");
        assert!(
            exposed.contains("Whosaw-Opening") && exposed.contains("ETag"),
            "{path}"
        );
        let asked = ledger.send(&preflight("GET", path));
        assert_eq!(asked.status, 204, "{path}: {asked:?}");
        assert_eq!(asked.header("access-control-allow-origin"), "*", "{path}");
        let accepted = asked.header("access-control-allow-headers");
        assert!(accepted.contains("If-None-Match"), "{path}: {accepted}");
    }
    for (method, path) in [
        ("GET", "/vault/v1/vault"),
        ("PUT", "/attachments/none"),
        ("POST", "/api/v1/statements"),
        ("POST", "/vault/v1/enrol"),
    ] {
        let asked = ledger.send(&preflight(method, path));
        assert_eq!(asked.header("access-control-allow-origin"), "", "{path}");
        let call = Call::new(method, path, "x").with("origin", "https://watchdog.example");
        let answer = ledger.send(&call);
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    let witness = ledger.kill_witness(0);
    ledger.start_witness(0, &witness);
    let front = Call::new("GET", "/", []).send(&witness).unwrap();
    assert_eq!(front.header("access-control-allow-origin"), "*");
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let ledger = ledger();
    let known = |path: &str, etag: &str| {
        let call = Call::new("GET", path, []).with("if-none-match", etag);
        ledger.send(&call)
    };
    for path in [
        "/log/checkpoint",
        "/",
        "/schemas/limits.json",
        "/api/v1/findings",
    ] {
        // The checkpoint, and what is made under it, may be another at any moment.
        let (etag, again) = until("unchanged", || {
            let whole = ledger.send(&Call::new("GET", path, []));
            let etag = whole.header("etag").to_owned();
            assert!(etag.starts_with('"') && etag.len() > 20, "{path}: {etag}");
            let again = known(path, &format!("W/\"x\", {etag}"));
            let head = ledger.send(&Call::new("HEAD", path, []));
            (again.status == 304 && head.header("etag") == etag).then_some((etag, again))
        });
        assert!(again.body.is_empty(), "{path}");
        assert_eq!(again.header("etag"), etag, "{path}");
        assert_eq!(again.header("access-control-allow-origin"), "*");
        assert_eq!(known(path, "\"other\"").status, 200, "{path}");
    }
    let before = ledger.send(&Call::new("GET", "/log/checkpoint", []));
    let statement = signed_benefit(&ledger.home("vendor")).to_json();
    assert_eq!(ledger.submit(&statement).status, 201);
    let after = known("/log/checkpoint", before.header("etag"));
    assert_eq!(after.status, 200);
    assert_ne!(after.header("etag"), before.header("etag"));
}

/// What is sent byte for byte, and everything that comes back.
fn raw(authority: &str, sent: &str) -> String {
    let mut stream = TcpStream::connect(authority).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream.write_all(sent.as_bytes()).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

/// A request is for one host: others on the way may choose another of two.
#[test]
fn a_request_says_once_which_host_it_is_for() {
    let ledger = ledger();
    let authority = ledger.authority();
    let ask = |target: &str, version: &str, fields: &str| {
        let head = format!("GET {target} HTTP/{version}\r\nconnection: close\r\n{fields}\r\n");
        raw(authority, &head)
    };
    let health = format!("http://{authority}/healthz");
    let own = format!("host: {authority}\r\n");
    for (target, version, fields) in [
        ("/healthz", "1.1", ""),
        ("/healthz", "1.1", "host: a\r\nhost: a\r\n"),
        ("/healthz", "1.1", "host: a\r\nhost: b\r\n"),
        ("/healthz", "1.1", "host:\r\n"),
        ("/healthz", "1.1", "host: a b\r\n"),
        ("/healthz", "1.1", "host: user@a\r\n"),
        ("/healthz", "1.0", "host: a\r\nhost: b\r\n"),
        (&health, "1.1", "host: other.example\r\n"),
    ] {
        let said = ask(target, version, fields);
        assert!(said.contains(" 400 Bad Request\r\n"), "{fields}: {said}");
        assert!(
            said.contains("application/problem+json"),
            "{fields}: {said}"
        );
        assert!(said.contains(r#""member":"Host""#), "{fields}: {said}");
    }
    for (target, version, fields) in [
        ("/healthz", "1.1", own.as_str()),
        (&health, "1.1", &own),
        ("/healthz", "1.1", "host: [::1]:8080\r\n"),
        ("/healthz", "1.0", ""),
    ] {
        let said = ask(target, version, fields);
        assert!(said.contains(" 200 OK\r\n"), "{fields}: {said}");
    }
}

/// A port changes with each connection: with it or without, a client is one address.
#[test]
fn clients_are_known_by_their_address_behind_a_proxy_that_tells_ports() {
    let mut ledger = ledger();
    for (options, field, told) in [
        (
            &["--address-limit=2", "--proxy=127.0.0.1"][..],
            "x-forwarded-for",
            [
                "192.0.2.1:1111",
                "192.0.2.1",
                "192.0.2.1:2222",
                "192.0.2.2:1111",
            ],
        ),
        (
            &["--address-limit=2", "--proxy=127.0.0.1", "--forwarded"],
            "forwarded",
            [
                "for=\"[2001:db8::1]:1111\";proto=https",
                "For=\"[2001:db8::1]\"",
                "for=198.51.100.9, for=\"[2001:db8::1]:3333\"",
                "for=192.0.2.2:4711",
            ],
        ),
    ] {
        ledger.take_server().kill();
        ledger.serve_with(options);
        let garbage = |client: &str| {
            let call = Call::new("POST", "/api/v1/statements", "garbage").with(field, client);
            // What the client says in the other field is its own affair.
            let other = match field {
                "forwarded" => ("x-forwarded-for", "203.0.113.1"),
                _ => ("forwarded", "for=203.0.113.1"),
            };
            ledger.send(&call.with(other.0, other.1)).status
        };
        assert_eq!(told.map(garbage), [400, 400, 429, 400], "{field}");
    }
}

/// A vault of this key, and its clip's path.
fn vault(ledger: &Ledger, key: &SigningKey) -> String {
    let code = ledger.enrol_code(64, 8);
    let enrol = format!(r#"{{"code":"{code}"}}"#);
    let enrol = Call::new("POST", "/vault/v1/enrol", enrol).signed(key, ledger.authority());
    assert_eq!(ledger.send(&enrol).status, 201);
    format!("/vault/v1/clips/{}", "ab".repeat(16))
}

#[test]
fn a_download_goes_on_where_it_ended() {
    let mut ledger = ledger();
    ledger.take_server().kill();
    ledger.serve_with(OPEN);
    let key = SigningKey::from_bytes(&whosaw::random::bytes());
    let path = format!("{}/body", vault(&ledger, &key));
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let put = Call::new("PUT", path.clone(), bytes.clone()).signed(&key, ledger.authority());
    assert_eq!(ledger.send(&put).status, 201);
    let get = |fields: &[(&str, &str)]| -> Answer {
        let call = Call::new("GET", path.clone(), []).signed(&key, ledger.authority());
        let call = fields.iter().fold(call, |call, (n, v)| call.with(n, *v));
        ledger.send(&call)
    };
    let whole = get(&[]);
    assert_eq!((whole.status, whole.body == bytes), (200, true));
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let etag = whole.header("etag").to_owned();
    let rest = get(&[("range", "bytes=150000-"), ("if-range", &etag)]);
    assert_eq!(rest.status, 206);
    assert_eq!(rest.header("content-range"), "bytes 150000-199999/200000");
    assert!(rest.body == bytes[150_000..]);
    let some = get(&[("range", "bytes=10-19")]);
    assert_eq!((some.status, some.body.as_slice()), (206, &bytes[10..20]));
    let last = get(&[("range", "bytes=-5")]);
    assert_eq!(
        (last.status, last.body.as_slice()),
        (206, &bytes[199_995..])
    );
    // Of something else the whole is given, and of several ranges too.
    for fields in [
        [("range", "bytes=150000-"), ("if-range", "\"other\"")],
        [("range", "bytes=0-1,5-6"), ("if-range", &etag)],
    ] {
        let answer = get(&fields);
        assert_eq!(
            (answer.status, answer.body == bytes),
            (200, true),
            "{fields:?}"
        );
    }
    let beyond = get(&[("range", "bytes=200000-")]);
    assert_eq!(beyond.problem().1, "no-such-range");
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), "bytes */200000");
    assert_eq!(get(&[("if-none-match", &etag)]).status, 304);
}
