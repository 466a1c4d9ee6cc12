use std::io::Write as _;
use std::net::TcpListener;

use ed25519_dalek::SigningKey;

use super::*;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::cosignature::Cosigner;
use crate::tlog::hash::leaf_hash;
use crate::tlog::note::LogSigner;
use crate::tlog::policy::PolicyLog;
use crate::tlog::tree::TreeSize;
use crate::tlog::witness::AddCheckpoint;

/// What this machine's clock shows.
fn now() -> Time {
    "2019-07-31T14:05:00Z".parse().unwrap()
}

fn signer() -> LogSigner {
    let origin = "ledger.example/log".parse().unwrap();
    LogSigner::new(origin, SigningKey::from_bytes(&[1; 32]))
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint {
        origin: signer().origin().clone(),
        size: TreeSize::new(size),
        root: leaf_hash(&size.to_be_bytes()),
    }
}

fn note(size: u64) -> Vec<u8> {
    checkpoint(size).sign(&signer()).to_bytes()
}

fn cosigner(n: u8) -> Cosigner {
    let name = format!("w{n}.example").parse().unwrap();
    Cosigner::new(name, SigningKey::from_bytes(&[n + 2; 32]))
}

/// `quorum` of witnesses at these addresses: `w0`, `w1` and so on.
fn policy(urls: &[Option<String>], quorum: usize) -> Policy {
    let witness = |(n, url): (u8, &Option<String>)| PolicyWitness {
        name: format!("w{n}"),
        key: cosigner(n).verifier(),
        url: url.clone(),
    };
    let key = signer().verifier();
    let log = vec![PolicyLog { key, url: None }];
    Policy::of(log, (0..).zip(urls).map(witness).collect(), quorum).unwrap()
}

/// What a witness does, whose clock is so many seconds ahead.
#[derive(Clone, Copy)]
enum Witness {
    /// It cosigns what it is sent.
    Cosigns(i64),
    /// It has cosigned size 2, shows that, and cosigns nothing else.
    HasCosigned(i64),
    /// It does not know the log, and its answer has this date.
    IsDated(&'static str),
    Silent,
    /// Its cosignature is another witness's.
    Lies,
}

impl Witness {
    /// Its answer to a request: status, more fields of the head, body.
    fn answer(self, n: u8, request: &str) -> (u16, String, Vec<u8>) {
        let no_fields = String::new();
        if request.starts_with("GET ") {
            return match self {
                Self::HasCosigned(_) => (200, no_fields, note(2)),
                _ => (404, no_fields, Vec::new()),
            };
        }
        let body = request.split_once("\r\n\r\n").unwrap().1;
        let asked = AddCheckpoint::parse(body.as_bytes()).unwrap();
        assert!(asked.proof.is_empty());
        let size = asked.old.as_u64();
        let cosigned = |by: u8, ahead: i64| {
            let line = cosigner(by).cosign(&checkpoint(size), now().plus_seconds(ahead));
            (200, String::new(), line.to_string().into_bytes())
        };
        match self {
            Self::HasCosigned(_) if size != 2 => (409, no_fields, b"2\n".to_vec()),
            Self::Cosigns(ahead) | Self::HasCosigned(ahead) => cosigned(n, ahead),
            Self::IsDated(date) => (404, format!("Date: {date}\r\n"), Vec::new()),
            Self::Lies => cosigned(n + 100, 7200),
            Self::Silent => unreachable!("it hangs up"),
        }
    }

    /// Its address.
    fn start(self, n: u8) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if matches!(self, Self::Silent) {
                    continue;
                }
                let request = read_request(&mut stream);
                let (status, fields, body) = self.answer(n, &request);
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(&body).unwrap();
            }
        });
        url
    }
}

fn read_request(stream: &mut impl std::io::Read) -> String {
    let mut request = Vec::new();
    loop {
        let mut some = [0; 4096];
        let n = stream.read(&mut some).unwrap();
        request.extend(&some[..n]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        if body.len() == length {
            return text;
        }
    }
}

/// The judgement by these witnesses, a quorum of 2; an offset within a minute of `about` is that.
fn judged(witnesses: &[Witness], about: i64) -> ClockJudgement {
    let urls = (0..)
        .zip(witnesses)
        .map(|(n, witness)| Some(witness.start(n)));
    let policy = policy(&urls.collect::<Vec<_>>(), 2);
    match judge(&policy, &note(1), now()) {
        ClockJudgement::Wrong(ahead) if (ahead - about).abs() < 60 => ClockJudgement::Wrong(about),
        other => other,
    }
}

#[test]
fn the_witnesses_own_clocks_say_whose_is_wrong() {
    use ClockJudgement::{Right, Unknown, Wrong};
    use Witness::{Cosigns, HasCosigned, IsDated, Lies, Silent};
    assert_eq!(judged(&[Cosigns(0), Cosigns(-250)], 0), Right);
    assert_eq!(judged(&[Cosigns(-7200), Cosigns(-7000)], 7000), Wrong(7000));
    // Witnesses that have cosigned more since, and ones that do not cosign it.
    assert_eq!(
        judged(&[HasCosigned(7200), Cosigns(7200)], -7200),
        Wrong(-7200)
    );
    let later = IsDated("Wed, 31 Jul 2019 16:05:00 GMT");
    assert_eq!(judged(&[HasCosigned(7200), later], -7200), Wrong(-7200));
    // Two of three.
    assert_eq!(judged(&[Cosigns(0), Cosigns(7200), Cosigns(0)], 0), Right);
    assert_eq!(
        judged(&[Cosigns(7200), Silent, Cosigns(7200)], -7200),
        Wrong(-7200)
    );
    for too_few in [
        &[Cosigns(7200), Silent][..],
        &[Cosigns(7200), Cosigns(-7200)],
        &[Cosigns(7200), Lies],
        &[Cosigns(7200), IsDated("yesterday")],
    ] {
        assert_eq!(judged(too_few, 0), Unknown);
    }
}

/// Cosignatures of a time that has not come here are proof enough: nobody is asked.
#[test]
fn a_quorum_of_cosignatures_ahead_shows_a_clock_that_is_behind() {
    let policy = policy(&[None, None], 2);
    for (ahead, judgement) in [
        ([7200, 7300], ClockJudgement::Wrong(-7200)),
        ([301, 301], ClockJudgement::Wrong(-301)),
        ([300, 7200], ClockJudgement::Unknown),
        ([-7200, -7200], ClockJudgement::Unknown),
    ] {
        let mut note = checkpoint(1).sign(&signer());
        for (n, ahead) in (0..).zip(ahead) {
            let line = cosigner(n).cosign(&checkpoint(1), now().plus_seconds(ahead));
            note.signatures.push(line);
        }
        assert_eq!(
            judge(&policy, &note.to_bytes(), now()),
            judgement,
            "{ahead:?}"
        );
    }
}

#[test]
fn what_is_said_of_a_clock_names_who_is_wrong() {
    let stale = |clock| {
        let fault = PolicyError::QuorumMissing("w0 cosigned long ago".to_owned());
        Stale { fault, clock }.to_string()
    };
    let wrong = stale(ClockJudgement::Wrong(7200));
    assert!(wrong.contains("is 7200 s ahead of"), "{wrong}");
    assert!(!wrong.contains("hides"), "{wrong}");
    assert!(stale(ClockJudgement::Wrong(-7200)).contains("is 7200 s behind"));
    let right = stale(ClockJudgement::Right);
    assert!(
        right.contains("hides what is new; the clocks of its witnesses agree"),
        "{right}"
    );
    assert!(stale(ClockJudgement::Unknown).contains("is unknown"));
}
