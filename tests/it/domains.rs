//! Host names that show their parties' keys, or do not, or say nothing; and parties over time.

mod dns;
mod https;
mod standing;
mod succession;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use simple_dns::RCODE;
use whosaw::client::domain::{Asker, Said, Ways};
use whosaw::party::home::new_key;
use whosaw::statement::key::PublicKey;
use whosaw::statement::kinds::party::CheckMethod;
use whosaw::wire::domain::{FILE_PATH, MAX_FILE, Published};

use super::ledger::{AGENCY, PATIENCE};
use dns::{Answer, Dns};
use https::{Https, Page};

/// How long an answer that does not come is waited for.
const SHORT: Duration = Duration::from_secs(1);

fn keys(n: usize) -> Published {
    let keys: Vec<PublicKey> = (0..n).map(|_| PublicKey::from(&new_key())).collect();
    Published::of(&keys).unwrap()
}

fn ways(resolvers: &[SocketAddr]) -> Ways {
    Ways {
        resolvers: resolvers.to_vec(),
        connect: None,
        authorities: None,
        patience: PATIENCE,
    }
}

/// What the agency's name says by DNS; why, where it could not be asked.
fn by_dns(ways: Ways) -> Result<Said, String> {
    let asker = Asker::new(ways).unwrap();
    let said = asker.ask(&AGENCY.parse().unwrap(), CheckMethod::DnsTxt);
    said.map_err(|unasked| unasked.to_string())
}

/// As [`by_dns`], by its file.
fn by_file(https: &Https) -> Result<Said, String> {
    let ways = Ways {
        connect: Some(https.address),
        authorities: Some(https.authority.clone().into_bytes()),
        ..ways(&[])
    };
    let said = Asker::new(ways).unwrap();
    let said = said.ask(&AGENCY.parse().unwrap(), CheckMethod::WellKnown);
    said.map_err(|unasked| unasked.to_string())
}

fn otherwise(said: &Result<Said, String>) -> &str {
    match said {
        Ok(Said::Otherwise(why)) => why,
        said => panic!("{said:?}"),
    }
}

fn unasked(said: &Result<Said, String>) -> &str {
    match said {
        Err(why) => why,
        said => panic!("{said:?}"),
    }
}

#[test]
fn dns_says_which_keys_are_published() {
    let dns = Dns::start();
    let ask = || by_dns(ways(&[dns.address]));
    let few = keys(3);
    for answer in [
        Answer::Records([vec!["v=spf1".to_owned()], few.records()].concat()),
        Answer::Alias("_whosaw.city.example".to_owned(), few.records()),
        Answer::After(SHORT / 4, few.records()),
    ] {
        dns.set(AGENCY, answer);
        assert_eq!(ask(), Ok(Said::Keys(few.clone())));
    }
    // More than 512 bytes come by TCP, up to the most that a party publishes.
    for many in [keys(20), keys(512)] {
        dns.set(AGENCY, Answer::Long(many.records()));
        assert_eq!(ask(), Ok(Said::Keys(many)));
    }
    dns.set(
        AGENCY,
        Answer::Long([keys(512).records(), keys(1).records()].concat()),
    );
    assert!(otherwise(&ask()).contains("more than 512 keys"));
}

#[test]
fn dns_that_names_no_keys_says_otherwise() {
    let dns = Dns::start();
    let ask = || by_dns(ways(&[dns.address]));
    assert!(otherwise(&ask()).contains("names no key"), "no such name");
    let text = |text: &str| Answer::Records(vec![text.to_owned()]);
    for (answer, why) in [
        (Answer::Records(vec![]), "names no key"),
        (text("v=spf1 -all"), "names no key"),
        (text("whosaw1"), "a record names no key"),
        (text("whosaw1 key=sha256:00"), "\"key=sha256:00\""),
        (
            Answer::Alias("a.example".to_owned(), vec![]),
            "names no key",
        ),
    ] {
        dns.set(AGENCY, answer);
        let said = ask();
        assert!(otherwise(&said).contains(why), "{said:?}");
    }
}

/// Whoever guesses ids or questions is not believed, and does not silence the resolver.
#[test]
fn forged_answers_are_passed_over() {
    let dns = Dns::start();
    let (forged, own) = (keys(1), keys(1));
    dns.set(AGENCY, Answer::Forged(forged.records(), own.records()));
    assert_eq!(by_dns(ways(&[dns.address])), Ok(Said::Keys(own)));
}

#[test]
fn a_resolver_that_does_not_answer_says_nothing() {
    let dns = Dns::start();
    let some = || keys(2).records();
    for (answer, patience, why) in [
        (
            Answer::Code(RCODE::ServerFailure),
            PATIENCE,
            "ServerFailure",
        ),
        (Answer::Code(RCODE::Refused), PATIENCE, "Refused"),
        (Answer::Never, SHORT, "no answer in time"),
        (Answer::After(SHORT * 2, some()), SHORT, "no answer in time"),
        // All of it takes longer than this, though none of its bytes does.
        (Answer::Dribbled(some()), 2 * SHORT, "no answer in time"),
        (Answer::Half(some()), PATIENCE, "end of file"),
        (Answer::Garbage, SHORT, "127.0.0.1"),
    ] {
        dns.set(AGENCY, answer);
        let said = by_dns(Ways {
            patience,
            ..ways(&[dns.address])
        });
        assert!(unasked(&said).contains(why), "{said:?}");
    }
    assert!(unasked(&by_dns(ways(&[]))).contains("--resolver"));
    let long = format!("{}example", "a.".repeat(122)).parse().unwrap();
    let asker = Asker::new(ways(&[dns.address])).unwrap();
    let said = asker.ask(&long, CheckMethod::DnsTxt).unwrap_err();
    assert!(said.to_string().contains("too long for DNS"), "{said}");
}

#[test]
fn the_next_resolver_is_asked() {
    let dns = Dns::start();
    let own = keys(1);
    dns.set(AGENCY, Answer::Records(own.records()));
    // Bound, and nobody reads: and one whose port nobody has.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let closed = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let resolvers = [silent.local_addr().unwrap(), closed, dns.address];
    let ways = Ways {
        patience: 5 * SHORT,
        ..ways(&resolvers)
    };
    assert_eq!(by_dns(ways), Ok(Said::Keys(own)));
}

#[test]
fn a_file_says_which_keys_are_published() {
    let https = Https::start(&[AGENCY, "other.example"]);
    for n in [1, 3, 512] {
        let own = keys(n);
        https.set(AGENCY, Page::file(&own.file()));
        assert_eq!(by_file(&https), Ok(Said::Keys(own)));
    }
    let own = keys(1);
    let file = own.file();
    let (first, rest) = file.split_at(9);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
        rest.len()
    );
    https.set(AGENCY, Page::Bytes(chunked.into_bytes()));
    assert_eq!(by_file(&https), Ok(Said::Keys(own.clone())));
    // Exactly as large as may be.
    let mut padded = own.file().into_bytes();
    padded.resize(MAX_FILE as usize, b' ');
    https.set(AGENCY, Page::Of("200 OK", String::new(), padded));
    assert_eq!(by_file(&https), Ok(Said::Keys(own)));
    let lines = https.asked();
    let line = format!("{AGENCY} get {FILE_PATH} http/1.1");
    assert!(lines.iter().all(|asked| *asked == line), "{lines:?}");
}

#[test]
fn a_file_that_is_none_says_otherwise() {
    let https = Https::start(&[AGENCY, "other.example"]);
    assert!(otherwise(&by_file(&https)).contains("is not there (404)"));
    let own = keys(2).file();
    let large = vec![b' '; MAX_FILE as usize + 1];
    let endless = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b' '; 1 << 20]].concat();
    for (page, why) in [
        (Page::Of("410 Gone", String::new(), Vec::new()), "410"),
        (Page::file("not JSON"), "line 1, column 2"),
        (Page::file(&own[..own.len() / 2]), "not of the form"),
        (
            Page::file(&own.replace("sha256:", "sha1:")),
            "a key is \"sha1:",
        ),
        (Page::file(r#"{"keys":[],"whosaw":1}"#), "names no key"),
        (Page::file(r#"{"keys":[],"whosaw":2}"#), "of version 2"),
        (
            Page::Of("200 OK", String::new(), large),
            "larger than 65536",
        ),
        (Page::Bytes(endless), "larger than 65536"),
    ] {
        https.set(AGENCY, page);
        let said = by_file(&https);
        assert!(otherwise(&said).contains(why), "{said:?}");
    }
}

/// Redirects are not followed: neither to other hosts nor on this one.
#[test]
fn a_file_elsewhere_is_not_fetched() {
    let https = Https::start(&[AGENCY, "other.example"]);
    https.set("other.example", Page::file(&keys(1).file()));
    for to in [
        format!("https://other.example{FILE_PATH}"),
        format!("https://{AGENCY}/elsewhere.json"),
        "http://127.0.0.1/".to_owned(),
    ] {
        for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
            let location = format!("Location: {to}\r\n");
            https.set(AGENCY, Page::Of(status, location, Vec::new()));
            let said = by_file(&https);
            assert!(otherwise(&said).contains("leads elsewhere"), "{said:?}");
        }
    }
    let lines = https.asked();
    let first = format!("{AGENCY} get {FILE_PATH} ");
    assert_eq!(lines.len(), 12);
    assert!(
        lines.iter().all(|line| line.starts_with(&first)),
        "{lines:?}"
    );
}

#[test]
fn a_web_server_that_is_not_the_names_says_nothing() {
    let https = Https::start(&[AGENCY]);
    https.set(AGENCY, Page::file(&keys(1).file()));
    let ask_for = |patience, connect: SocketAddr, authority: Option<&str>| {
        let ways = Ways {
            patience,
            connect: Some(connect),
            authorities: authority.map(|pem| pem.as_bytes().to_vec()),
            ..ways(&[])
        };
        let asker = Asker::new(ways).unwrap();
        let said = asker.ask(&AGENCY.parse().unwrap(), CheckMethod::WellKnown);
        said.map_err(|unasked| unasked.to_string())
    };
    let ask = |connect, authority| ask_for(PATIENCE, connect, authority);
    assert!(ask(https.address, Some(&https.authority)).is_ok());
    // An authority that is not believed, a certificate for another name, and no TLS at all.
    assert!(unasked(&ask(https.address, None)).contains("certificate"));
    let other = Https::start(&["other.example"]);
    assert!(unasked(&ask(other.address, Some(&https.authority))).contains("certificate"));
    assert!(unasked(&ask(other.address, Some(&other.authority))).contains("certificate"));
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = plain.local_addr().unwrap();
    unasked(&ask_for(SHORT, address, Some(&https.authority)));
    drop(plain);
    unasked(&ask(address, Some(&https.authority)));
    assert!(https.asked().len() == 1, "{:?}", https.asked());

    let late = Page::After(SHORT * 2, Vec::new());
    https.set(AGENCY, late);
    let said = ask_for(SHORT, https.address, Some(&https.authority));
    assert!(unasked(&said).contains("timeout"), "{said:?}");
    for (page, why) in [
        (Page::Of("500 Oops", String::new(), Vec::new()), "500"),
        (Page::Of("403 Forbidden", String::new(), Vec::new()), "403"),
        (Page::Of("429 Later", String::new(), Vec::new()), "429"),
        // What comes in the place of a file that is not there, or is not sent as it is.
        (Page::file("<html>"), "a page for people"),
        (Page::file(""), "an empty answer"),
        (
            Page::Of(
                "200 OK",
                "Content-Type: text/html\r\n".to_owned(),
                b"log in".to_vec(),
            ),
            "text/html",
        ),
        (
            Page::Of(
                "200 OK",
                "Content-Encoding: gzip\r\n".to_owned(),
                vec![0x1f, 0x8b],
            ),
            "Content-Encoding",
        ),
        (
            Page::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec()),
            "",
        ),
        (Page::Bytes(b"\x1b[2J".to_vec()), ""),
    ] {
        https.set(AGENCY, page);
        let said = ask(https.address, Some(&https.authority));
        assert!(unasked(&said).contains(why), "{said:?}");
        assert!(!unasked(&said).contains('\u{1b}'), "{said:?}");
    }
}
