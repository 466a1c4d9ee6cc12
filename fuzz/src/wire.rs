//! Signed HTTP messages, the texts of notices and notes, and the addresses of servers.
//!
//! An input is what the HTTP library hands on: a value a line, and the body after them.

use whosaw::client::base::{BaseUrl, is_loopback};
use whosaw::digest::Digest;
use whosaw::seal::note::MAX_PLAIN as MAX_NOTE;
use whosaw::seal::notice::MAX_PLAIN;
use whosaw::statement::words::DataKind;
use whosaw::wire::lines::Lines;
use whosaw::wire::note::{self, Note};
use whosaw::wire::notice::{MAX_CLIPS, MAX_TEXT, Message};
use whosaw::wire::signature::{self, Nonces, RequestTarget, SignatureHeaders};

use crate::known;

/// Method, authority, path, query and the three headers: only the call that was signed verifies,
/// and once.
pub fn call(input: &[u8]) -> bool {
    let Some([method, authority, path, query, digest, parameters, made]) = lines(input) else {
        return false;
    };
    let target = RequestTarget {
        method,
        authority,
        path,
        query: Some(query),
        upload: None,
    };
    let headers = headers([digest, parameters, made]);
    let Ok(verified) = signature::verify(&target, &headers, known::now()) else {
        return false;
    };
    assert_eq!(headers, *known::CALL_HEADERS);
    assert_eq!(verified.key, *known::CALLER);
    let authority = authority.to_ascii_lowercase();
    let signed = known::CALL;
    assert_eq!(
        [method, &authority, path, query],
        [signed.method, signed.authority, signed.path, "a=b"]
    );
    let mut nonces = Nonces::default();
    assert!(nonces.accept(&verified, known::now()));
    assert!(!nonces.accept(&verified, known::now()));
    true
}

/// Status, media type, the three headers and the body: only the answer that was signed verifies.
pub fn response(input: &[u8]) -> bool {
    let Some([status, media_type, digest, parameters, made, body]) = lines(input) else {
        return false;
    };
    let Ok(status) = status.parse() else {
        return false;
    };
    let headers = headers([digest, parameters, made]);
    let Ok(key) = signature::verify_response(status, media_type, &headers, body.as_bytes()) else {
        return false;
    };
    assert_eq!(key, *known::CALLER);
    assert_eq!(headers, *known::ANSWER_HEADERS);
    assert_eq!((status, media_type), (known::ANSWER.0, known::ANSWER.1));
    assert_eq!(Digest::of(body), Digest::of(known::ANSWER.2));
    true
}

/// A notice's text is short and read back as it is written.
pub fn message(input: &[u8]) -> bool {
    let Ok(message) = Message::parse(input) else {
        return false;
    };
    assert!(message.clips.len() <= MAX_CLIPS && message.text.len() <= MAX_TEXT);
    let text = message.to_json().expect("what was read can be written");
    assert!(text.len() <= input.len().max(MAX_PLAIN));
    assert_eq!(Message::parse(&text), Ok(message));
    true
}

/// The first byte says which kinds are given besides the video, the second how many clips: a note tells just
/// these, and is written in one way.
pub fn told(input: &[u8]) -> bool {
    use DataKind::{Contact, Name, Place, Time};
    let [given, clips, text @ ..] = input else {
        return false;
    };
    let all = [Contact, Name, Place, Time].into_iter().enumerate();
    let given = all.filter(|(bit, _)| given & (1 << bit) != 0);
    let given: Vec<DataKind> = given.map(|(_, kind)| kind).collect();
    let clips = usize::from(clips % 17);
    let Ok(note) = Note::parse(text, &given, clips) else {
        return false;
    };
    assert_eq!(note.kinds(), given);
    for (_, texts) in note.texts() {
        assert!(texts.iter().all(|text| text.len() <= note::MAX_TEXT));
    }
    match note.to_json(&given, clips) {
        Ok(written) => assert_eq!(written, text),
        Err(error) => assert!(text.len() > MAX_NOTE, "{error}"),
    }
    true
}

/// The first byte says where the body is cut on its way, the second how long a line may be: wherever
/// it is cut, its lines are the same, and so are their numbers.
pub fn json_lines(input: &[u8]) -> bool {
    let [piece, most, body @ ..] = input else {
        return false;
    };
    let (piece, most) = (usize::from(*piece).max(1), usize::from(*most));
    let read = |piece: usize| {
        let (mut lines, mut all) = (Lines::new(most), Vec::new());
        for mut piece in body.chunks(piece) {
            all.extend(std::iter::from_fn(|| lines.next(&mut piece)));
        }
        all.extend(lines.finish());
        all
    };
    let all = read(piece);
    assert_eq!(all, read(body.len().max(1)));
    let feeds = body.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert!(all.is_sorted_by(|one, next| one.number < next.number));
    for line in &all {
        assert!((1..=feeds + 1).contains(&line.number));
        let bytes = line.bytes.as_deref().unwrap_or_default();
        assert!(bytes.len() <= most && !bytes.contains(&b'\n'));
    }
    !all.is_empty()
}

/// An address is one with TLS, or of this machine, and stays one.
pub fn base_url(input: &[u8]) -> bool {
    let Some(Ok(url)) = str::from_utf8(input).ok().map(BaseUrl::parse) else {
        return false;
    };
    let text = url.join("");
    // Schemes are read in either case.
    let lower = text.to_ascii_lowercase();
    let inside = lower.starts_with("http://") && is_loopback(host(url.authority()));
    assert!(lower.starts_with("https://") || inside, "{text}");
    let odd = text.contains(['@', '#', '?', '\n', ' ']) || text.ends_with('/');
    assert!(!odd, "{text}");
    assert_eq!(BaseUrl::parse(&text), Ok(url));
    true
}

/// An authority without its port.
fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Exactly `N` lines of text; the last may hold line feeds.
fn lines<const N: usize>(input: &[u8]) -> Option<[&str; N]> {
    let lines: Vec<&str> = str::from_utf8(input).ok()?.splitn(N, '\n').collect();
    lines.try_into().ok()
}

fn headers([content_digest, signature_input, signature]: [&str; 3]) -> SignatureHeaders {
    SignatureHeaders {
        content_digest: content_digest.to_owned(),
        signature_input: signature_input.to_owned(),
        signature: signature.to_owned(),
    }
}
