use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Mutex;

use ed25519_dalek::SigningKey;

use super::*;
use crate::store::files::{Access, Files};
use crate::tlog::cosignature::Cosigner;
use crate::tlog::hash::{Hash, leaf_hash};
use crate::tlog::note::LogSigner;
use crate::tlog::policy::{PolicyLog, PolicyWitness};

fn signer(key: u8) -> LogSigner {
    let origin = "ledger.example/log".parse().unwrap();
    LogSigner::new(origin, SigningKey::from_bytes(&[key; 32]))
}

fn checkpoint(size: u64, root: Hash) -> Checkpoint {
    Checkpoint {
        origin: signer(1).origin().clone(),
        size: TreeSize::new(size),
        root,
    }
}

/// A log of two entries, whose first is `a`.
struct Log {
    _folder: tempfile::TempDir,
    files: LogFiles,
    head: Checkpoint,
}

fn log() -> Log {
    let folder = tempfile::tempdir().unwrap();
    let (root, staging) = (folder.path().join("log"), folder.path().join("staging"));
    let files = LogFiles::new(Files::open(&root, &staging, Access::Public).unwrap());
    let mut end = super::super::tiles::LogEnd::new();
    for leaf in ["a", "b"] {
        files.create(&end.append(&[leaf])).unwrap();
    }
    let head = checkpoint(2, end.root());
    Log {
        _folder: folder,
        files,
        head,
    }
}

/// A witness that answers each kind of request as it is told to, each `POST` by the next answer.
fn witness(shown: Option<Vec<u8>>, posts: &[(u16, &str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let posts = posts
        .iter()
        .map(|(status, body)| (*status, (*body).to_owned()));
    let posts = Mutex::new(posts.collect::<VecDeque<_>>());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let text = loop {
                let mut some = [0; 4096];
                let n = stream.read(&mut some).unwrap();
                request.extend(&some[..n]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head.to_lowercase();
                let length = length.split("content-length: ").nth(1);
                let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
                if body.len() == length {
                    break text;
                }
            };
            let (status, body) = match (text.starts_with("GET"), &shown) {
                (true, Some(note)) => (200, note.clone()),
                (true, None) => (404, Vec::new()),
                (false, _) => {
                    let (status, body) = posts.lock().unwrap().pop_front().unwrap();
                    (status, body.into_bytes())
                }
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    url
}

/// What the witness says about the log of two entries.
fn heard(shown: Option<Vec<u8>>, posts: &[(u16, &str)]) -> Heard {
    let log = log();
    let inquiry = Inquiry::new(
        signer(1).origin().clone(),
        vec![signer(1).verifier()],
        Duration::from_secs(10),
    );
    let own = OwnHead {
        note: Some(log.head.sign(&signer(1)).to_bytes().into()),
        checkpoint: log.head.clone(),
    };
    let url = witness(shown, posts);
    inquiry.ask(&url, || own.clone(), &log.files, true)
}

#[test]
fn a_note_by_the_log_s_key_is_a_proof_and_a_bare_number_is_none() {
    let note = |checkpoint: Checkpoint, key| Some(checkpoint.sign(&signer(key)).to_bytes());
    let head = log().head;
    let other = leaf_hash(b"x");
    let proves = |shown| matches!(heard(shown, &[]), Heard::Proves(_));
    assert!(proves(note(checkpoint(3, other), 1)), "a larger size");
    assert!(proves(note(checkpoint(2, other), 1)), "another root");
    assert!(proves(note(checkpoint(1, other), 1)), "another past");
    // Anybody can write these.
    let renewed = [(409, "2\n"), (200, "")];
    for shown in [
        None,
        note(checkpoint(3, other), 9),
        Some(b"nonsense".to_vec()),
        note(head.clone(), 1),
        note(checkpoint(1, leaf_hash(b"a")), 1),
    ] {
        assert_eq!(heard(shown.clone(), &renewed), Heard::Confirms);
        let claims = heard(shown.clone(), &[(409, "999\n")]);
        assert!(matches!(claims, Heard::Claims(_)), "{claims:?}");
        let claims = heard(shown, &[(409, "2\n"), (409, "2\n")]);
        assert!(matches!(claims, Heard::Claims(_)), "{claims:?}");
    }
    for answer in [(404, "not here"), (409, "1\n"), (200, "")] {
        assert_eq!(heard(None, &[answer]), Heard::Confirms, "{answer:?}");
    }
    for answer in [(500, ""), (403, ""), (409, "many\n"), (409, "-1\n")] {
        let silent = heard(None, &[answer]);
        assert!(matches!(silent, Heard::Silent(_)), "{silent:?}");
    }
}

#[test]
fn those_that_have_not_confirmed_can_form_no_quorum() {
    let line = |n: u8| PolicyWitness {
        name: format!("w{n}"),
        key: Cosigner::new(
            format!("w{n}.example").parse().unwrap(),
            SigningKey::from_bytes(&[n; 32]),
        )
        .verifier(),
        url: Some(format!("http://w{n}.example")),
    };
    let policy = |count: u8, quorum| {
        let log = PolicyLog {
            key: signer(1).verifier(),
            url: None,
        };
        Policy::of(vec![log], (2..2 + count).map(line).collect(), quorum).unwrap()
    };
    // How many of how many witnesses must confirm, where so many make a quorum.
    for (count, quorum, needed) in [
        (1, 1, 1),
        (2, 2, 1),
        (2, 1, 2),
        (3, 2, 2),
        (3, 1, 3),
        (3, 3, 1),
    ] {
        let policy = policy(count, quorum);
        let mut left = Unconfirmed::of(&policy, &BTreeSet::new());
        for confirmed in 0..=count {
            assert_eq!(
                left.is_enough(&policy),
                confirmed >= needed,
                "{count} {quorum} {confirmed}"
            );
            left.hear(
                &format!("http://w{}.example", 2 + confirmed),
                Heard::Confirms,
            );
        }
    }
    // One that claims more blocks however many confirm, until it is left out.
    let policy = policy(3, 2);
    for (without, enough) in [(&[][..], false), (&["w4"], true)] {
        let without = without
            .iter()
            .map(|name: &&str| (*name).to_owned())
            .collect();
        let mut left = Unconfirmed::of(&policy, &without);
        for n in [2, 3] {
            left.hear(&format!("http://w{n}.example"), Heard::Confirms);
        }
        left.hear("http://w4.example", Heard::Claims("names more".to_owned()));
        assert_eq!(left.is_enough(&policy), enough);
        assert_eq!(left.proof(), None);
    }
    // One without an address cannot be asked, so it may have cosigned more.
    let mut witnesses: Vec<_> = (2..4).map(line).collect();
    witnesses[0].url = None;
    let log = PolicyLog {
        key: signer(1).verifier(),
        url: None,
    };
    let policy = Policy::of(vec![log], witnesses, 1).unwrap();
    for (without, enough) in [(&[][..], false), (&["w2"], true)] {
        let without = without
            .iter()
            .map(|name: &&str| (*name).to_owned())
            .collect();
        let mut left = Unconfirmed::of(&policy, &without);
        left.hear("http://w3.example", Heard::Confirms);
        assert_eq!(left.is_enough(&policy), enough);
    }
}
