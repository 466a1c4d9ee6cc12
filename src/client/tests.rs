use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::base::CALL_TIME;
use super::*;
use crate::statement::sealed::AttachmentValue;

/// A client of a server that answers every call with these bytes, then as much of nothing as anybody
/// reads.
fn answered(head: String, body: &'static [u8], endless: bool) -> Client {
    counted(head, body, endless).0
}

/// As [`answered`], with how many calls have come.
fn counted(head: String, body: &'static [u8], endless: bool) -> (Client, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let come = calls.clone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            come.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(body);
            while endless && stream.write_all(&[0; 1 << 16]).is_ok() {}
        }
    });
    let client = Client::new(BaseUrl::parse(&url).unwrap(), crate::time::Clock::system());
    (client, calls)
}

fn ok(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{headers}\r\n")
}

/// No more is written than was to come, and than is taken.
#[test]
fn a_download_is_bounded() {
    let fetch = |headers: &str, body, endless, most| {
        let client = answered(ok(headers), body, endless);
        let mut output = Vec::new();
        let fetched = client.download("/published/1", None, most, &mut output);
        (fetched, output)
    };
    let (fetched, output) = fetch(
        "content-length: 4\r\nwhosaw-opening: o\r\n",
        b"clip",
        false,
        4,
    );
    assert_eq!(fetched.unwrap().as_deref(), Some("o"));
    assert_eq!(output, b"clip");

    let (fetched, output) = fetch("content-length: 5\r\n", b"clips", true, 4);
    let large = matches!(
        fetched,
        Err(ClientError::TooLarge {
            length: 5,
            most: 4,
            ..
        })
    );
    assert!(large && output.is_empty(), "{fetched:?}");
    let huge = format!("content-length: {}\r\n", u64::MAX);
    let (fetched, output) = fetch(&huge, b"", true, 1 << 40);
    assert!(fetched.is_err() && output.is_empty());

    // What comes without end has no length.
    for endless in ["", "transfer-encoding: chunked\r\n"] {
        let (fetched, output) = fetch(endless, b"4\r\nclip\r\n", true, 4);
        assert!(
            matches!(fetched, Err(ClientError::Unexpected { .. })),
            "{fetched:?}"
        );
        assert!(output.is_empty());
    }
    // More than was told is not part of it; less is none of it.
    let (fetched, output) = fetch("content-length: 4\r\n", b"clip", true, 4);
    assert!(fetched.is_ok() && output == b"clip");
    let (fetched, _) = fetch("content-length: 5\r\n", b"clip", false, 5);
    assert!(fetched.is_err());
}

/// What takes longer than a call may is asked for again, with the time that its length deserves.
#[test]
fn a_long_download_has_its_time() {
    assert_eq!(transfer_time(0).as_secs(), 60);
    let length = 1_u64 << 30;
    assert!(transfer_time(length) > CALL_TIME);
    let told = format!("content-length: {length}\r\n");
    let (client, calls) = counted(ok(&told), b"clip", false);
    let mut output = Vec::new();
    let ended = client.download("/published/1", None, length, &mut output);
    assert!(ended.is_err(), "it was cut off");
    assert_eq!(output, b"clip");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

/// A client of a server that answers the first call with the first bytes of a content, and each further one with
/// the next of these answers.
fn interrupted(opening: &str, answers: &'static [&'static str]) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let first = format!(
        "HTTP/1.1 200 OK\r\netag: \"a\"\r\nwhosaw-opening: {opening}\r\ncontent-length: 8\r\n\r\nfirs"
    );
    std::thread::spawn(move || {
        for answer in [first.as_str()].iter().chain(answers) {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    Client::new(BaseUrl::parse(&url).unwrap(), crate::time::Clock::system())
}

/// The rest of what [`interrupted`] begins.
const REST: &str = "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 4-7/8\r\n\
    content-length: 4\r\n\r\ntend";

#[test]
fn an_attachment_goes_on_where_its_line_broke() {
    let value = AttachmentValue {
        sha256: crate::digest::Digest::of(b"firstend"),
        size: 8,
        media_type: "text/plain".parse().unwrap(),
    };
    let opening = Opening::attachment(&[1; 16], &value).unwrap();
    let client = interrupted(opening.encode(), &[REST]);
    let fetched = client.attachment(&opening.digest()).unwrap();
    assert_eq!(fetched.unwrap().1, b"firstend");
}

/// What was interrupted goes on with the same content, or not at all.
#[test]
fn only_the_rest_of_the_same_content_is_taken() {
    let fetch = |answers| {
        let mut output = Vec::new();
        let client = interrupted("o", answers);
        let fetched = client.download("/published/1", None, 100, &mut output);
        fetched.map(|_| output)
    };
    assert_eq!(fetch(&[REST]).unwrap(), b"firstend");
    const OTHERS: [&[&str]; 5] = [
        &["HTTP/1.1 200 OK\r\netag: \"b\"\r\ncontent-length: 8\r\n\r\notherone"],
        &[
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 3-7/8\r\ncontent-length: 5\r\n\r\nstend",
        ],
        &[
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 4-8/9\r\ncontent-length: 5\r\n\r\ntends",
        ],
        &[
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 4-5/8\r\ncontent-length: 2\r\n\r\nte",
        ],
        &["HTTP/1.1 206 Partial Content\r\ncontent-length: 4\r\n\r\ntend"],
    ];
    for other in OTHERS {
        let fetched = fetch(other);
        let refused = matches!(fetched, Err(ClientError::Unexpected { .. }));
        assert!(refused, "{other:?}: {fetched:?}");
    }
}

/// What a client says of a statement that a server answers with these, one an attempt.
fn submitted(answers: Vec<String>) -> Logged {
    let key = SigningKey::from_bytes(&[1; 32]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut call, mut piece) = (Vec::new(), [0; 4096]);
            while !call.ends_with(b"}") {
                let length = stream.read(&mut piece).unwrap();
                call.extend_from_slice(&piece[..length]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let client = Client::new(BaseUrl::parse(&url).unwrap(), crate::time::Clock::system());
    let logged = client.submit(&Envelope::sign(vec![1], &[&key])).unwrap();
    server.join().unwrap();
    logged
}

#[test]
fn a_statement_that_an_own_attempt_brought_was_not_known_before() {
    let answer = |status: &str, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        )
    };
    let id = "00".repeat(32);
    let known =
        format!(r#"{{"id":"{id}","index":7,"logged_at":"2019-07-31T14:05:00Z","known":true}}"#);
    let known = answer("200 OK", "content-type: application/json\r\n", &known);
    assert!(submitted(vec![known.clone()]).known);
    for status in ["503 Service Unavailable", "429 Too Many Requests"] {
        let later = answer(status, "retry-after: 1\r\n", "");
        assert!(!submitted(vec![later, known.clone()]).known, "{status}");
    }
}
