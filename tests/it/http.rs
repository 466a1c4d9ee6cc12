//! HTTP as a stranger speaks it: any method, any header, any bytes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use whosaw::statement::key::PublicKey;
use whosaw::time::{Clock, Time};
use whosaw::wire::problem;
use whosaw::wire::signature::{self, RequestTarget, SignatureHeaders, UploadField};

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Which problem this is: status, its type's code, and the member at fault.
    pub fn problem(&self) -> (u16, String, Option<String>) {
        if self.header("content-type") != problem::MEDIA_TYPE {
            return (self.status, "no problem".to_owned(), None);
        }
        let problem: problem::Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status, "{problem}");
        assert!(!problem.title.is_empty(), "{problem}");
        let code = problem.kind.strip_prefix("/problems/");
        let code = code.expect("a problem's type is a path");
        (self.status, code.to_owned(), problem.member)
    }

    /// The key that signed this answer.
    pub fn signer(&self) -> PublicKey {
        let headers = SignatureHeaders {
            content_digest: self.header("content-digest").to_owned(),
            signature_input: self.header("signature-input").to_owned(),
            signature: self.header("signature").to_owned(),
        };
        let media_type = self.header("content-type");
        signature::verify_response(self.status, media_type, &headers, &self.body)
            .unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// A request, yet to be sent.
#[derive(Clone)]
pub struct Call {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Call {
    /// A request without headers of its own.
    pub fn new(method: &'static str, path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// With a header, in place of one of that name.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Signed now for the server at `authority`.
    pub fn signed(self, key: &SigningKey, authority: &str) -> Self {
        self.signed_at(key, authority, Clock::system().now())
    }

    /// Signed at some time for the server at `authority`.
    pub fn signed_at(self, key: &SigningKey, authority: &str, at: Time) -> Self {
        let (path, query) = match self.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.path.as_str(), None),
        };
        let fields = self.headers.iter();
        let fields: Vec<_> = fields.map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let target = RequestTarget {
            method: self.method,
            authority,
            path,
            query,
            upload: UploadField::among(&fields),
        };
        let digest = Sha256::digest(&self.body).into();
        let nonce = whosaw::random::bytes();
        let signed = signature::sign(&target, &digest, key, at, nonce);
        self.with("content-digest", signed.content_digest)
            .with("signature-input", signed.signature_input)
            .with("signature", signed.signature)
    }

    /// Sends it on a connection of its own. `Host` and `Content-Length` are true unless given.
    pub fn send(&self, authority: &str) -> std::io::Result<Answer> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nconnection: close\r\n",
            self.method, self.path
        );
        let own = [
            ("host", authority.to_owned()),
            ("content-length", self.body.len().to_string()),
        ];
        let given = |name: &str| self.headers.iter().any(|(n, _)| n == name);
        let chunked = given("transfer-encoding");
        let own = own.iter().filter(|(name, _)| !given(name));
        let own = own.filter(|(name, _)| !(chunked && *name == "content-length"));
        for (name, value) in own {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        // A server that refuses early may close before it has read everything.
        let _ = stream.write_all(&self.body);
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        if bytes.is_empty() {
            read?;
        }
        parse(&bytes, self.method == "HEAD")
            .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "no answer"))
    }
}

/// Reads an answer whose end is the connection's; one to HEAD tells a length and has no body.
fn parse(bytes: &[u8], head_only: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let answer = Answer {
        status,
        headers: headers.collect(),
        body: bytes[end + 4..].to_vec(),
    };
    if answer.header("transfer-encoding") == "chunked" {
        let body = unchunked(&answer.body)?;
        return Some(Answer { body, ..answer });
    }
    let length = answer.header("content-length").parse();
    (head_only || length.is_err() || length == Ok(answer.body.len())).then_some(answer)
}

/// A chunked body, if it is whole.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        let chunk = rest.get(end + 2..end + 2 + size)?;
        body.extend_from_slice(chunk);
        rest = rest.get(end + 2 + size..)?.strip_prefix(b"\r\n")?;
        if size == 0 {
            return Some(body);
        }
    }
}
