//! A log at a mirror, and what mirrors, proxies and portals answer in the place of its files.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

use super::ledger::{Ledger, whosaw};

/// The end of a status line with more fields, and a body: the answer to a request for the file at a path, whose bytes
/// are these if it is there.
type Answers = fn(&str, Option<Vec<u8>>) -> (&'static str, Vec<u8>);

/// A mirror of the files in a folder; the address of its log. Its thread ends with the test.
fn mirror(folder: PathBuf, answers: Answers) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A reader that has seen enough hangs up.
            let _ = answer(stream.unwrap(), &folder, answers);
        }
    });
    format!("http://{address}/log")
}

fn answer(
    mut stream: TcpStream,
    folder: &std::path::Path,
    answers: Answers,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let path = path.strip_prefix("/log/").unwrap_or_default();
    let (head, body) = answers(path, std::fs::read(folder.join(path)).ok());
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {head}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}

const OK: &str = "200 OK\r\n";
const HTML: &str = "200 OK\r\nContent-Type: text/html\r\n";

fn page() -> Vec<u8> {
    b"<!DOCTYPE html><title>Log in to the Internet</title>".to_vec()
}

fn as_it_is(_: &str, file: Option<Vec<u8>>) -> (&'static str, Vec<u8>) {
    file.map_or(("404 Not Found\r\n", Vec::new()), |file| (OK, file))
}

/// What stands between a reader and the log is not the log's fault: all is read, or it could not be looked.
#[test]
fn no_mirror_accuses_a_log() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    ledger.terminate();
    assert!(ledger.take_server().ended().success());
    let trust = ledger.file("operator/log.policy");
    let verify = |answers: Answers| {
        let log = mirror(ledger.path("operator/log"), answers);
        let ran = whosaw(&["log", "verify", "--log", &log, "--policy", &trust]);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains("does not hold"), "{said}");
        (ran.code, said)
    };
    let (code, said) = verify(as_it_is);
    assert_eq!(code, Some(0), "{said}");
    // A server may have one type for all files without an ending.
    let (code, said) = verify(|path, file| match file {
        Some(file) => (HTML, file),
        None => as_it_is(path, None),
    });
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = verify(|_, file| match file {
        Some(file) => (OK, file),
        None => ("403 Forbidden\r\n", b"<Error>AccessDenied</Error>".to_vec()),
    });
    assert_eq!(code, Some(0), "{said}");

    let elsewhere: [(&str, Answers); 7] = [
        ("302", |_, _| {
            ("302 Found\r\nLocation: /login\r\n", Vec::new())
        }),
        ("text/html", |_, _| (HTML, b"log in".to_vec())),
        ("a page for people", |_, _| (OK, page())),
        ("511", |_, _| {
            ("511 Network Authentication Required\r\n", page())
        }),
        ("403", |_, _| ("403 Forbidden\r\n", page())),
        ("Content-Encoding \"gzip\"", |_, file| {
            let head = "200 OK\r\nContent-Encoding: gzip\r\n";
            (head, file.unwrap_or_default())
        }),
        // The checkpoint is there, and nothing else.
        ("a page for people", |path, file| match path {
            "checkpoint" => as_it_is(path, file),
            _ => (HTML, page()),
        }),
    ];
    for (why, answers) in elsewhere {
        let (code, said) = verify(answers);
        assert_eq!(code, Some(2), "{why}: {said}");
        assert!(said.contains(why), "{why}: {said}");
    }
}
