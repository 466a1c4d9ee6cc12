use std::io::{Read, Write as _};
use std::net::TcpListener;

use ed25519_dalek::SigningKey;

use super::*;
use crate::reader::freshness;
use crate::store::files::{Access, Files};
use crate::time::{Clock, Monotonic};
use crate::tlog::cosignature::Cosigner;
use crate::tlog::hash::leaf_hash;
use crate::tlog::mldsa::MlDsaSecretKey;
use crate::tlog::note::LogSigner;
use crate::tlog::policy::{MAX_AGE, MAX_AHEAD, PolicyLog};

fn now() -> Time {
    "2019-07-31T14:05:00Z".parse().unwrap()
}

/// The witnesses of a policy, asked at [`now`].
fn asked(policy: &Policy, timeout: Duration) -> Witnesses {
    let monotonic = Monotonic::from_fn(|| Duration::ZERO);
    let clocks = Clocks::new(policy.clone(), Clock::from_fn(now), monotonic);
    Witnesses::new(policy.clone(), timeout, clocks)
}

fn signer() -> LogSigner {
    let origin = "ledger.example/log".parse().unwrap();
    LogSigner::new(origin, SigningKey::from_bytes(&[1; 32]))
        .with_ml_dsa_44(MlDsaSecretKey::from_seed(&[1; 32]))
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: signer().origin().clone(),
        size: TreeSize::new(1),
        root: leaf_hash(b"leaf"),
    }
}

/// The two keys of a witness.
fn cosigners(n: u8) -> [Cosigner; 2] {
    let name = || format!("w{n}.example").parse().unwrap();
    [
        Cosigner::new(name(), SigningKey::from_bytes(&[n; 32])),
        Cosigner::ml_dsa_44(name(), MlDsaSecretKey::from_seed(&[n; 32])),
    ]
}

/// The policy's lines for the two keys of a witness.
fn lines(n: u8, url: &str) -> [PolicyWitness; 2] {
    let [ed25519, ml_dsa] = cosigners(n).map(|cosigner| cosigner.verifier());
    [(format!("w{n}"), ed25519), (format!("p{n}"), ml_dsa)].map(|(name, key)| PolicyWitness {
        name,
        key,
        url: Some(url.to_owned()),
    })
}

fn answer(cosigners: &[Cosigner]) -> Vec<NoteSignature> {
    let cosign = |cosigner: &Cosigner| cosigner.cosign(&checkpoint(), now());
    cosigners.iter().map(cosign).collect()
}

fn body(lines: &[NoteSignature]) -> String {
    lines.iter().map(NoteSignature::to_string).collect()
}

#[test]
fn an_answer_is_taken_whole_or_not_at_all() {
    let both = lines(2, "http://localhost");
    let read = |body: &str| verified(body, &checkpoint(), &both);
    let names = |body: &str| {
        let found = read(body)?.into_iter().map(|(witness, ..)| &*witness.name);
        Ok::<Vec<_>, String>(found.collect())
    };
    let good = answer(&cosigners(2));
    let stranger = answer(&cosigners(9));
    assert_eq!(names(&body(&good)).unwrap(), ["w2", "p2"]);
    assert_eq!(names(&body(&good[..1])).unwrap(), ["w2"]);
    assert_eq!(names(&body(&good[1..])).unwrap(), ["p2"]);
    let with_stranger = [good.clone(), stranger.clone()].concat();
    assert_eq!(names(&body(&with_stranger)).unwrap(), ["w2", "p2"]);
    assert_eq!(read(&body(&stranger)), Err(WITHOUT.to_owned()));
    for at in [0, 1] {
        let mut bad = good.clone();
        *bad[at].signature.last_mut().unwrap() ^= 1;
        assert!(read(&body(&bad)).unwrap_err().contains("does not verify"));
        // Not even beside a good line by the same key.
        let beside = [good.clone(), bad].concat();
        assert!(
            read(&body(&beside))
                .unwrap_err()
                .contains("does not verify")
        );
    }
    // A valid line that claims no time, or one that cannot be written, is left out.
    let [ed25519, ml_dsa] = cosigners(2);
    let untimed = ml_dsa.sign_subtree(&(&checkpoint()).into()).unwrap();
    let late = |cosigner: &Cosigner| cosigner.cosign_at(&checkpoint(), 253_402_300_799);
    for line in [untimed, late(&ed25519), late(&ml_dsa)] {
        let beside = [good[0].clone(), line.clone()];
        assert_eq!(names(&body(&beside)).unwrap(), ["w2"]);
        assert_eq!(read(&body(&[line])), Err(WITHOUT.to_owned()));
    }
    for bad in ["", "\n", "nonsense\n"] {
        assert!(read(bad).is_err(), "{bad:?}");
    }
}

/// The body of a request.
fn read_request(stream: &mut impl Read) -> String {
    let mut request = Vec::new();
    loop {
        let mut some = [0; 4096];
        let n = stream.read(&mut some).unwrap();
        request.extend(&some[..n]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap();
        if length.lines().next() == Some(&body.len().to_string()) {
            return body.to_owned();
        }
    }
}

/// A server that answers every request with `lines`; its address, and the requests it got.
fn witness(lines: Vec<NoteSignature>) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_request(&mut stream);
            let body = body(&lines);
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
            let _ = sender.send(request);
        }
    });
    (url, requests)
}

#[test]
fn a_witness_of_two_keys_is_asked_once_and_both_cosignatures_are_kept() {
    let (one, requests) = witness(answer(&cosigners(2)));
    let (two, _) = witness(answer(&cosigners(3)[..1]));
    let mut bad = answer(&cosigners(4));
    *bad[0].signature.last_mut().unwrap() ^= 1;
    let (liar, _) = witness(bad);
    let policy = Policy::of(
        vec![PolicyLog {
            key: signer().verifier(),
            url: None,
        }],
        [lines(2, &one), lines(3, &two), lines(4, &liar)].concat(),
        2,
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (log, staging) = (folder.path().join("log"), folder.path().join("staging"));
    let log = LogFiles::new(Files::open(&log, &staging, Access::Public).unwrap());
    let own = checkpoint().sign(&signer()).to_bytes();
    let mut witnesses = asked(&policy, Duration::from_secs(10));
    let cosigned = witnesses.cosign(&own, &log).unwrap();

    let states: Vec<(&str, bool)> = cosigned
        .witnesses
        .iter()
        .map(|(name, state)| (name.as_str(), state.is_ok()))
        .collect();
    let expected = [
        ("w2", true),
        ("p2", true),
        ("w3", true),
        ("p3", false),
        ("w4", false),
        ("p4", false),
    ];
    assert_eq!(states, expected);
    let (note, at) = cosigned.note.unwrap();
    assert_eq!(at, now());
    let note = Note::parse(&note).unwrap();
    assert_eq!(
        note.signatures.len(),
        2 + 3,
        "the log's and three of witnesses"
    );
    let sent = requests.recv().unwrap();
    assert!(requests.try_recv().is_err(), "asked once");
    assert_eq!(sent.as_bytes(), [b"old 0\n\n", &own[..]].concat());
}

#[test]
fn a_cosignature_whose_time_cannot_be_written_is_not_published() {
    let far = cosigners(4).map(|cosigner| cosigner.cosign_at(&checkpoint(), 253_402_300_799));
    let (one, _) = witness(answer(&cosigners(2)[..1]));
    let (two, _) = witness(answer(&cosigners(3)[..1]));
    let (late, _) = witness(far.to_vec());
    let key = signer().verifier();
    let policy = Policy::of(
        vec![PolicyLog { key, url: None }],
        [lines(2, &one), lines(3, &two), lines(4, &late)].concat(),
        2,
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (log, staging) = (folder.path().join("log"), folder.path().join("staging"));
    let log = LogFiles::new(Files::open(&log, &staging, Access::Public).unwrap());
    let own = checkpoint().sign(&signer()).to_bytes();
    let mut witnesses = asked(&policy, Duration::from_secs(60));
    let (note, _) = witnesses.cosign(&own, &log).unwrap().note.unwrap();
    assert_eq!(Note::parse(&note).unwrap().signatures.len(), 2 + 2);
    let published = policy.verify(&note, None, Some(now())).unwrap();
    assert_eq!(published.cosignatures.len(), 2);
}

#[test]
fn a_silent_witness_holds_up_nobody() {
    let (one, _) = witness(answer(&cosigners(2)[..1]));
    let (two, _) = witness(answer(&cosigners(3)[..1]));
    // Takes calls and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let log = PolicyLog {
        key: signer().verifier(),
        url: None,
    };
    let witnessed = |quorum, urls: [&str; 3]| {
        let lines = (2..).zip(urls).map(|(n, url)| lines(n, url)[0].clone());
        Policy::of(vec![log.clone()], lines.collect(), quorum).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let (root, staging) = (folder.path().join("log"), folder.path().join("staging"));
    let files = LogFiles::new(Files::open(&root, &staging, Access::Public).unwrap());
    let own = checkpoint().sign(&signer()).to_bytes();
    let since = Instant::now();
    let policy = witnessed(2, [&one, &two, &address]);
    let patience = Duration::from_secs(120);
    let mut witnesses = asked(&policy, patience);
    for _ in 0..20 {
        let cosigned = witnesses.cosign(&own, &files).unwrap();
        assert!(cosigned.note.is_some());
        let silent = cosigned.witnesses[2].1.clone();
        assert_eq!(silent, Err(absent("has not answered in time")));
    }
    // Twenty times its patience, were it waited for.
    assert!(since.elapsed() < 20 * patience, "it was waited for");

    // Where its cosignature is needed, its time is waited for, and no more.
    let policy = witnessed(3, [&one, &two, &address]);
    let mut witnesses = asked(&policy, Duration::from_secs(5));
    let cosigned = witnesses.cosign(&own, &files).unwrap();
    assert!(cosigned.note.is_none());
    assert!(
        cosigned.witnesses[..2]
            .iter()
            .all(|(_, state)| state.is_ok())
    );
    drop(silent);
}

/// Readers count whatever the publisher counts, and more: a cosignature ages.
#[test]
fn readers_count_what_the_publisher_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (root, staging) = (folder.path().join("log"), folder.path().join("staging"));
    let files = LogFiles::new(Files::open(&root, &staging, Access::Public).unwrap());
    let own = checkpoint().sign(&signer());
    for (seconds, publishes, counts) in [
        (-MAX_AGE - 1, false, false),
        (-MAX_AGE, false, true),
        (-MAX_AHEAD - 1, false, true),
        (-MAX_AHEAD, true, true),
        (MAX_AHEAD, true, true),
        (MAX_AHEAD + 1, false, false),
    ] {
        let line = cosigners(2)[0].cosign(&checkpoint(), now().plus_seconds(seconds));
        let (url, _) = witness(vec![line.clone()]);
        let log = PolicyLog {
            key: signer().verifier(),
            url: None,
        };
        let policy = Policy::of(vec![log], vec![lines(2, &url)[0].clone()], 1).unwrap();
        let mut witnesses = asked(&policy, Duration::from_secs(10));
        let cosigned = witnesses.cosign(&own.to_bytes(), &files).unwrap();
        assert_eq!(cosigned.note.is_some(), publishes, "{seconds}");
        let said = match publishes {
            true => Ok(()),
            false => Err(Lack::Clock(seconds)),
        };
        assert_eq!(cosigned.witnesses, [("w2".to_owned(), said)]);
        let state = witnesses.clocks.state();
        assert_eq!(state.confirmed, publishes, "{seconds}");
        assert_eq!(state.offsets, [("w2".to_owned(), Some(seconds))]);

        let note = Note {
            signatures: [own.signatures.clone(), vec![line]].concat(),
            ..own.clone()
        };
        let read = freshness::verify(&policy, &note.to_bytes(), Some(now())).unwrap();
        assert_eq!(read.stale.is_none(), counts, "{seconds}");
        // What was published before stays under witnesses however old it is; the future never counts.
        let resumed = witnesses.published(&note.to_bytes(), now());
        assert_eq!(resumed.is_some(), seconds <= MAX_AHEAD, "{seconds}");
        let cosigned = resumed.is_some_and(|published| published.witnesses[0].1.is_ok());
        assert_eq!(cosigned, counts, "{seconds}");
    }
}

/// A witness whose clock is 50 minutes slow is left out, and the others make the quorum.
#[test]
fn a_cosignature_of_another_time_is_not_published() {
    let slow =
        cosigners(4).map(|cosigner| cosigner.cosign(&checkpoint(), now().plus_seconds(-3000)));
    let (one, _) = witness(answer(&cosigners(2)[..1]));
    let (two, _) = witness(answer(&cosigners(3)[..1]));
    let (late, _) = witness(slow.to_vec());
    let key = signer().verifier();
    let folder = tempfile::tempdir().unwrap();
    let (log, staging) = (folder.path().join("log"), folder.path().join("staging"));
    let log = LogFiles::new(Files::open(&log, &staging, Access::Public).unwrap());
    let own = checkpoint().sign(&signer()).to_bytes();
    for (quorum, urls) in [(2, [&one, &two, &late]), (3, [&one, &two, &late])] {
        let policy = Policy::of(
            vec![PolicyLog {
                key: key.clone(),
                url: None,
            }],
            (2..).zip(urls).flat_map(|(n, url)| lines(n, url)).collect(),
            quorum,
        )
        .unwrap();
        let mut witnesses = asked(&policy, Duration::from_secs(60));
        // The slow one may answer after the others, and is asked again then.
        let since = Instant::now();
        let cosigned = loop {
            let cosigned = witnesses.cosign(&own, &log).unwrap();
            if cosigned.witnesses[4].1 == Err(Lack::Clock(-3000)) {
                break cosigned;
            }
            assert!(since.elapsed() < Duration::from_secs(60));
        };
        assert_eq!(
            cosigned.witnesses[5].1,
            Err(Lack::Clock(-3000)),
            "each of its keys"
        );
        let state = witnesses.clocks.state();
        assert_eq!(state.confirmed, quorum == 2);
        let offset = |name: &str| state.offsets.iter().find(|(of, _)| of == name).unwrap().1;
        assert_eq!(
            ["w2", "w3", "w4", "p4", "p2"].map(offset),
            [Some(0), Some(0), Some(-3000), Some(-3000), None]
        );
        let Some((note, at)) = cosigned.note else {
            assert_eq!(quorum, 3);
            continue;
        };
        assert_eq!((quorum, at), (2, now()));
        let note = Note::parse(&note).unwrap();
        assert_eq!(
            note.signatures.len(),
            2 + 2,
            "the log's, and two of witnesses"
        );
        assert!(
            !cosigners(4)
                .iter()
                .any(|slow| note.signatures_by(&slow.verifier()).next().is_some())
        );
    }
}

/// A cosignature whose time cannot be written measures nothing: what was measured before goes on.
#[test]
fn a_time_that_cannot_be_written_is_no_offset() {
    let far = cosigners(2).map(|cosigner| cosigner.cosign_at(&checkpoint(), 253_402_300_799));
    let (url, _) = witness(far.to_vec());
    let log = PolicyLog {
        key: signer().verifier(),
        url: None,
    };
    let both = lines(2, &url);
    let policy = Policy::of(vec![log], both.to_vec(), 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (root, staging) = (folder.path().join("log"), folder.path().join("staging"));
    let files = LogFiles::new(Files::open(&root, &staging, Access::Public).unwrap());
    let own = checkpoint().sign(&signer()).to_bytes();
    let mut witnesses = asked(&policy, Duration::from_secs(60));
    assert!(witnesses.cosign(&own, &files).unwrap().note.is_none());
    let state = witnesses.clocks.state();
    assert!(!state.confirmed && state.offsets.iter().all(|(_, offset)| offset.is_none()));
    let clocks = &witnesses.clocks;
    clocks.measure(&both[0].key, now(), clocks.now());
    assert!(witnesses.cosign(&own, &files).unwrap().note.is_none());
    assert!(witnesses.clocks.check());
}
