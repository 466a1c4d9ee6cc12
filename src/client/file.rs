//! A file that a web server gives as it is stored, and what may come in its place.
//!
//! Between a reader and a file there may be a mirror, a proxy, or the login page of a hotel. What these send in place of
//! the file says nothing about it: whoever asked could not look.

use std::io::Read as _;

use ureq::Body;
use ureq::http::{HeaderMap, Response, header};

/// Asks a server not to compress the file. Whoever compresses it all the same sends something else than the file.
pub const AS_IT_IS: (&str, &str) = ("accept-encoding", "identity");

/// The form of a file, by which a page in its place is told from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Hashes, entries or a signed note.
    OfLog,
    Json,
}

/// What an answer of status 200 brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    File(Vec<u8>),
    /// More bytes than the file can have.
    TooLarge,
    /// Something in its place; what.
    Replaced(String),
}

/// Reads a file of at most `limit` bytes out of an answer of status 200.
///
/// # Errors
/// If the answer breaks off.
pub fn read(response: &mut Response<Body>, form: Form, limit: u64) -> Result<Fetched, ureq::Error> {
    if let Some(why) = replaced(response.headers(), form) {
        return Ok(Fetched::Replaced(why));
    }
    let mut bytes = Vec::new();
    let mut body = response.body_mut().as_reader().take(limit + 1);
    body.read_to_end(&mut bytes).map_err(ureq::Error::Io)?;
    let length = bytes.len() as u64;
    Ok(match is_page(&bytes) {
        true => Fetched::Replaced("a page for people came in its place".to_owned()),
        false if bytes.is_empty() => {
            Fetched::Replaced("an empty answer came in its place".to_owned())
        }
        false if length > limit => Fetched::TooLarge,
        false => Fetched::File(bytes),
    })
}

/// What came instead, as far as the head of an answer says so.
fn replaced(headers: &HeaderMap, form: Form) -> Option<String> {
    let text = |name| headers.get(name)?.to_str().ok();
    let encoding = text(header::CONTENT_ENCODING).map(str::trim);
    if let Some(encoding) =
        encoding.filter(|it| !it.is_empty() && !it.eq_ignore_ascii_case("identity"))
    {
        return Some(format!(
            "it was sent with the Content-Encoding {encoding:?}, which nobody asked for: its server must send it as it is"
        ));
    }
    let media_type = text(header::CONTENT_TYPE)?.split(';').next()?.trim();
    let is = |other: &&str| media_type.eq_ignore_ascii_case(other);
    let pages = [
        "text/html",
        "application/xhtml+xml",
        "application/xml",
        "text/xml",
    ];
    let json = ["application/json", "application/problem+json"];
    let other = pages.iter().any(&is) || form == Form::OfLog && json.iter().any(is);
    other.then(|| format!("an answer of type {media_type:?} came in its place"))
}

/// Whether these bytes begin as a page does, whatever its server calls it. No hash, entry or note begins so.
fn is_page(bytes: &[u8]) -> bool {
    let bytes = bytes
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(bytes)
        .trim_ascii_start();
    ["<!doctype", "<html", "<?xml"].iter().any(|begins| {
        let start = bytes.get(..begins.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(begins.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::Response;

    fn read_as(form: Form, fields: &[(&str, &str)], body: &[u8]) -> Fetched {
        let mut answer = Response::builder();
        for (name, value) in fields {
            answer = answer.header(*name, *value);
        }
        let body = Body::builder().data(body.to_vec());
        read(&mut answer.body(body).unwrap(), form, 64).unwrap()
    }

    #[test]
    fn a_file_is_read_as_it_is_and_what_is_none_is_told() {
        let hashes = &[7; 64][..];
        let file = || Fetched::File(hashes.to_vec());
        for fields in [
            &[][..],
            &[("content-type", "application/octet-stream")],
            &[("content-type", "text/plain; charset=utf-8")],
            &[("content-encoding", "identity")],
            &[("content-encoding", "")],
        ] {
            assert_eq!(read_as(Form::OfLog, fields, hashes), file(), "{fields:?}");
        }
        let json = [("content-type", "application/json")];
        assert_eq!(
            read_as(Form::Json, &json, b"{}"),
            Fetched::File(b"{}".to_vec())
        );
        assert_eq!(read_as(Form::OfLog, &[], &[7; 65]), Fetched::TooLarge);
        for (fields, body) in [
            (&[("content-encoding", "gzip")][..], hashes),
            (&[("content-encoding", "br")], hashes),
            (
                &[("content-type", "Text/HTML; charset=utf-8")],
                b"not found",
            ),
            (&[("content-type", "application/xml")], b"<Error/>"),
            (&json, b"{}"),
            (&[], b""),
            (&[], b" \r\n<!DOCTYPE html><title>Log in</title>"),
            (&[("content-type", "text/plain")], b"<HTML>"),
            (&[], "\u{feff}<?xml version='1.0'?>".as_bytes()),
            (&[], [&b"<html>"[..], &[b' '; 100]].concat().leak()),
        ] {
            let read = read_as(Form::OfLog, fields, body);
            assert!(matches!(read, Fetched::Replaced(_)), "{fields:?}: {read:?}");
        }
    }
}
