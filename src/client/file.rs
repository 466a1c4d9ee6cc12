//! A file that a web server gives as it is stored, and what may come in its place.
//!
//! Between a reader and a file there may be a mirror, a proxy, or the login page of a hotel. What these send in place of
//! the file says nothing about it: whoever asked could not look.

use std::io::Read as _;

use ureq::Body;
use ureq::http::{Response, header};

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
    let text = |name| {
        response
            .headers()
            .get(name)?
            .to_str()
            .ok()
            .map(str::to_owned)
    };
    let encoding: Option<String> = text(header::CONTENT_ENCODING);
    let encoding = encoding.as_deref().map_or("", str::trim);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return Ok(Fetched::Replaced(format!(
            "it was sent with the Content-Encoding {encoding:?}, which nobody asked for: its server must send it as it is"
        )));
    }
    let media_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let mut bytes = Vec::new();
    let mut body = response.body_mut().as_reader().take(limit + 1);
    body.read_to_end(&mut bytes).map_err(ureq::Error::Io)?;
    let length = bytes.len() as u64;
    Ok(match replacement(&bytes, &media_type, form) {
        Some(what) => Fetched::Replaced(format!("{what} came in its place")),
        None if length > limit => Fetched::TooLarge,
        None => Fetched::File(bytes),
    })
}

/// What these bytes are, if they are no file of this form. Their type alone does not tell: many servers have one for all
/// files without an ending.
fn replacement(bytes: &[u8], media_type: &str, form: Form) -> Option<String> {
    if bytes.is_empty() {
        return Some("an empty answer".to_owned());
    }
    if is_page(bytes) {
        return Some("a page for people".to_owned());
    }
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    if is_json {
        return (form == Form::OfLog).then(|| "a JSON text".to_owned());
    }
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let pages = [
        "text/html",
        "application/xhtml+xml",
        "application/xml",
        "text/xml",
    ];
    let is_called_page = pages.iter().any(|page| page.eq_ignore_ascii_case(essence));
    (is_called_page && is_prose(bytes)).then(|| format!("an answer of type {essence:?}"))
}

/// Whether these bytes are a text and no signed note.
fn is_prose(bytes: &[u8]) -> bool {
    let printed = |c: char| !c.is_control() || matches!(c, '\t' | '\r' | '\n');
    str::from_utf8(bytes)
        .is_ok_and(|text| text.chars().all(printed) && !text.contains("\n\n\u{2014} "))
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
        // A server may have one type for all files without an ending.
        let html = [("content-type", "Text/HTML; charset=utf-8")];
        let binary = [0, 2, 0xff, 0xfe];
        let note = "ledger.example/log\n1\nroot\n\n\u{2014} ledger.example x\n";
        for body in [&binary[..], note.as_bytes()] {
            assert_eq!(
                read_as(Form::OfLog, &html, body),
                Fetched::File(body.to_vec())
            );
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
            (&json, b"{\"error\": 404}"),
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
