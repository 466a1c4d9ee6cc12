//! A witness as a real process, asked by a log that need not be honest, and by strangers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use serde_json::Value;
use tempfile::TempDir;
use whosaw::digest::Digest;
use whosaw::tlog::checkpoint::Checkpoint;
use whosaw::tlog::hash::{EMPTY_ROOT, Hash, leaf_hash};
use whosaw::tlog::note::{LogSigner, Note, VerifierKey, parse_signatures};
use whosaw::tlog::prove::{HashTiles, consistency_proof};
use whosaw::tlog::tile::{RightEdge, Tile, decode_hashes};
use whosaw::tlog::tree::TreeSize;
use whosaw::tlog::witness::{AddCheckpoint, MAX_REQUEST};

use super::http::{Answer, Call};
use super::ledger::{PATIENCE, Ran, Server, done, until, whosaw};
use super::logging::broken;

const ORIGIN: &str = "ledger.example/log";

/// A log that can tell its entries from `forked` on in another way, signed with the same key.
struct Log {
    tiles: HashMap<Tile, Vec<u8>>,
    /// The root at each size.
    roots: Vec<Hash>,
}

impl HashTiles for Log {
    type Error = Infallible;

    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, Infallible> {
        Ok(decode_hashes(&self.tiles[&tile], tile.width).unwrap())
    }
}

impl Log {
    fn new(size: u64, forked: u64) -> Self {
        let (mut edge, mut tiles, mut roots) = (RightEdge::new(), HashMap::new(), vec![EMPTY_ROOT]);
        for n in 0..size {
            let told = if n < forked { "one" } else { "another" };
            edge.append(leaf_hash(format!("{told} {n}").as_bytes()));
            tiles.extend(edge.take_new_tiles());
            roots.push(edge.root());
        }
        Self { tiles, roots }
    }

    fn signer() -> LogSigner {
        LogSigner::new(ORIGIN.parse().unwrap(), SigningKey::from_bytes(&[7; 32]))
    }

    fn note(&self, size: u64) -> Note {
        let root = self.roots[usize::try_from(size).unwrap()];
        let (origin, size) = (ORIGIN.parse().unwrap(), TreeSize::new(size));
        Checkpoint { origin, size, root }.sign(&Self::signer())
    }

    /// What an honest client asks: it proves the growth, where there is any.
    fn request(&self, old: u64, new: u64) -> AddCheckpoint {
        let sizes = (TreeSize::new(old), TreeSize::new(new));
        let proof = if 0 < old && old < new {
            consistency_proof(sizes.0, sizes.1, self).unwrap()
        } else {
            Vec::new()
        };
        AddCheckpoint {
            old: sizes.0,
            proof,
            note: self.note(new).to_bytes(),
        }
    }
}

/// A witness's folder beside the log's key, and the process if it runs.
struct Place {
    folder: TempDir,
    server: Option<Server>,
    keys: Vec<VerifierKey>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("witness");
        let data = data.to_str().unwrap();
        let keys = done(&["witness", "init", "--data", data, "--name", "news.example"]);
        let vkey = Log::signer().verifier().to_string();
        std::fs::write(folder.path().join("log.vkey"), vkey).unwrap();
        let mut place = Self {
            folder,
            server: None,
            keys: keys.lines().map(|key| key.parse().unwrap()).collect(),
        };
        place.start();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn start(&mut self) {
        let errors = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("witness.log"));
        self.start_logging_to(errors.unwrap().into());
    }

    fn start_logging_to(&mut self, errors: Stdio) {
        let (data, log) = (self.file("witness"), self.file("log.vkey"));
        let args = [
            "witness",
            "serve",
            "--data",
            &data,
            "--log",
            &log,
            "--listen",
            "127.0.0.1:0",
            "--rate",
            "100000",
            "--address-connections",
            "1000",
        ];
        self.server = Some(Server::start_with(&args, errors));
    }

    fn authority(&self) -> &str {
        &self.server.as_ref().unwrap().authority
    }

    fn send(&self, call: &Call) -> Answer {
        call.send(self.authority()).unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        self.send(&Call::new("GET", path, []))
    }

    fn post(&self, body: impl Into<Vec<u8>>) -> Answer {
        self.send(&Call::new("POST", "/add-checkpoint", body))
    }

    fn add(&self, request: &AddCheckpoint) -> u16 {
        self.post(request.to_string()).status
    }

    /// The checkpoint that it shows, which must bear the log's signature and both of its own.
    fn shown(&self) -> Option<Checkpoint> {
        let answer = self.get(&format!("/{}/checkpoint", Digest::of(ORIGIN)));
        if answer.status == 404 {
            return None;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        let note = Note::parse(&answer.body).unwrap();
        let checkpoint = Checkpoint::parse(&note.text).unwrap();
        assert_eq!(
            checkpoint.is_signed(&note, [&Log::signer().verifier()]),
            Ok(true)
        );
        for key in &self.keys {
            let own = std::slice::from_ref(key);
            assert_eq!(checkpoint.is_cosigned(&note, own), Ok(true), "{key}");
        }
        Some(checkpoint)
    }

    /// `whosaw log evidence` on these bytes, with the log's key.
    fn judge(&self, evidence: &[u8], more: &[&str]) -> Ran {
        let (file, key) = (self.file("evidence"), self.file("log.vkey"));
        std::fs::write(&file, evidence).unwrap();
        whosaw(&[&["log", "evidence", &file, "--log-key", &key], more].concat())
    }
}

/// The operator shows one history to a witness and then another. What convicts it lies at the witness
/// for all to fetch, and needs neither of them to be checked.
#[test]
fn a_log_that_shows_a_witness_two_histories_is_convicted() {
    let mut place = Place::new();
    let (told, other) = (Log::new(20, u64::MAX), Log::new(20, 3));
    let evidence_path = format!("/{}/evidence", Digest::of(ORIGIN));
    assert_eq!(place.add(&told.request(0, 5)), 200);
    assert_eq!(place.add(&told.request(5, 7)), 200);
    assert_eq!(place.get(&evidence_path).status, 404, "nothing to convict");
    assert_eq!(place.add(&other.request(7, 12)), 422, "another past");
    assert_eq!(place.add(&other.request(7, 7)), 409, "another present");
    assert_eq!(place.add(&told.request(7, 12)), 200, "it goes on");
    let health = place.get("/healthz").json();
    assert_eq!(health["logs"][0]["evidence"], 2, "{health}");
    let front = String::from_utf8(place.get("/").body).unwrap();
    assert!(front.contains("SIGNED TWO HISTORIES"), "{front}");

    let first = place.get(&evidence_path);
    assert_eq!(first.header("content-type"), "text/plain; charset=utf-8");
    let second = place.get(&format!("{evidence_path}/2"));
    assert_eq!(place.get(&format!("{evidence_path}/3")).status, 404);
    place.server = None;
    for (answer, later) in [(&first, 12), (&second, 7)] {
        let ran = place.judge(&answer.body, &[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert!(ran.stdout.contains(ORIGIN), "{}", ran.stdout);
        let ran = place.judge(&answer.body, &["--json"]);
        assert_eq!(ran.code, Some(0));
        let proved: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(proved["holds"], true, "{proved}");
        assert_eq!(proved["earlier"]["size"], 7, "{proved}");
        assert_eq!(proved["earlier"]["root"], told.roots[7].to_string());
        assert_eq!(proved["later"]["size"], later, "{proved}");
        assert_eq!(
            proved["later"]["root_at_earlier_size"],
            other.roots[7].to_string()
        );
    }

    // One digit of a size, one hash, the other log's name, another key: none convicts.
    let text = String::from_utf8(first.body.clone()).unwrap();
    for altered in [
        text.replacen("\n12\n", "\n13\n", 1),
        text.replace(&other.roots[12].to_string(), &told.roots[12].to_string()),
        text.replace(ORIGIN, "innocent.example/log"),
        text[..text.len() - 2].to_owned(),
        text.replacen("/v1", "/v2", 1),
        told.note(7).text,
    ] {
        assert_ne!(altered, text);
        let ran = place.judge(altered.as_bytes(), &[]);
        assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stdout.starts_with("it proves nothing: "),
            "{}",
            ran.stdout
        );
    }
    let stranger = LogSigner::new(ORIGIN.parse().unwrap(), SigningKey::from_bytes(&[8; 32]));
    std::fs::write(place.path("log.vkey"), stranger.verifier().to_string()).unwrap();
    assert_eq!(place.judge(text.as_bytes(), &[]).code, Some(1));
    let ran = place.judge(text.as_bytes(), &["--json"]);
    let nothing: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(nothing["holds"], false, "{nothing}");
    std::fs::write(place.path("log.vkey"), "no key").unwrap();
    assert_eq!(place.judge(text.as_bytes(), &[]).code, Some(2));
}

/// What it says about a fork of the log is lost, and it goes on: the evidence is kept, and the history
/// that it cosigned first grows.
#[test]
fn no_log_line_ends_the_witness() {
    let mut place = Place::new();
    let (told, other) = (Log::new(20, u64::MAX), Log::new(20, 3));
    assert_eq!(place.add(&told.request(0, 9)), 200);
    for (size, (what, errors)) in (9..).zip(broken()) {
        place.server.take().unwrap().kill();
        place.start_logging_to(errors);
        assert_eq!(place.add(&other.request(size, size + 2)), 422, "{what}");
        assert_eq!(place.add(&told.request(size, size + 1)), 200, "{what}");
        let health = place.get("/healthz").json();
        assert_eq!(health["logs"][0]["evidence"], size - 8, "{what}: {health}");
        assert_eq!(health["log_lines_lost"], 1, "{what}: {health}");
    }
}

/// Each body, and what is said of it; none moves what the witness goes by.
#[test]
fn bad_bodies_are_told_apart_and_change_nothing() {
    let place = Place::new();
    let log = Log::new(20, u64::MAX);
    assert_eq!(place.add(&log.request(0, 7)), 200);
    let good = log.request(7, 12).to_string();
    let stranger = LogSigner::new(ORIGIN.parse().unwrap(), SigningKey::from_bytes(&[8; 32]));
    let with_note = |note: &Note| {
        let note = note.to_bytes();
        AddCheckpoint {
            note,
            ..log.request(7, 12)
        }
        .to_string()
    };
    let mut spoiled = log.note(12);
    spoiled.signatures[0].signature[9] ^= 1;
    let unsigned = Note {
        signatures: vec![stranger.sign(&log.note(12).text)],
        ..log.note(12)
    };
    let hash = leaf_hash(b"x").to_string();
    let hashes = |count: usize| format!("old 7\n{}", format!("{hash}\n").repeat(count));
    let note = String::from_utf8(log.note(12).to_bytes()).unwrap();
    for (body, status) in [
        (String::new(), 400),
        ("\n\n".to_owned(), 400),
        (good.replacen("old 7", "old 07", 1), 400),
        (good.replacen("old 7", "old -7", 1), 400),
        (good.replacen("old 7", "old 18446744073709551616", 1), 400),
        (good.replacen("old 7", "new 7", 1), 400),
        (good.replacen("old 7\n", "old 7\r\n", 1), 400),
        (good.replacen("old 7", "old 13", 1), 400),
        (good.trim_end().to_owned(), 400),
        (good.replace('—', "-"), 400),
        (format!("{}\n{note}", hashes(64)), 400),
        (format!("old 7\n{}\n\n{note}", &hash[..43]), 400),
        (good.replace("\n12\n", "\n012\n"), 400),
        (good.replace(ORIGIN, "other.example/log"), 404),
        (with_note(&spoiled), 403),
        (with_note(&unsigned), 403),
        (good.replace("\n12\n", "\n13\n"), 403),
        (format!("{}\n{note}", hashes(63)), 422),
        (hashes(0) + "\n" + &note, 422),
        (
            log.request(7, 7)
                .to_string()
                .replacen("old 7", &format!("old 7\n{hash}"), 1),
            422,
        ),
    ] {
        let answer = place.post(body.clone());
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        let told = String::from_utf8(answer.body).unwrap();
        assert!(
            told.ends_with('\n') && told.lines().count() == 1,
            "{told:?}"
        );
    }
    // Whoever believes another size is told the true one.
    for (old, new) in [(0, 12), (5, 12), (12, 12), (5, 5)] {
        let answer = place.post(log.request(old, new).to_string());
        assert_eq!(answer.status, 409, "{answer:?}");
        assert_eq!(answer.header("content-type"), "text/x.tlog.size");
        assert_eq!(answer.body, b"7\n");
    }
    for bytes in [vec![0xff; 100], vec![0; 100], vec![b'\n'; MAX_REQUEST]] {
        assert_eq!(place.post(bytes).status, 400);
    }
    let huge = place.post(vec![b'a'; MAX_REQUEST + 1]);
    assert_eq!(huge.status, 413, "{huge:?}");
    let endless = Call::new("POST", "/add-checkpoint", []).with("content-length", "99999999999");
    assert_eq!(place.send(&endless).status, 413);
    for path in ["/", "/healthz"] {
        assert_eq!(place.send(&Call::new("POST", path, [])).status, 405);
    }
    let upper = Digest::of(ORIGIN).to_string().to_uppercase();
    for path in ["/add-checkpoint", "/sign-subtree"] {
        assert_eq!(place.get(path).status, 405);
    }
    let unknown = Digest::of("other.example/log");
    for path in [
        "/nothing".to_owned(),
        format!("/{upper}/checkpoint"),
        format!("/{unknown}/checkpoint"),
        format!("/{unknown}/evidence"),
        "/../../keys/witness.key/checkpoint".to_owned(),
        format!("/{}/evidence/256", Digest::of(ORIGIN)),
        format!("/{}/evidence/..%2fcheckpoint", Digest::of(ORIGIN)),
    ] {
        assert_eq!(place.get(&path).status, 404, "{path}");
    }
    assert_eq!(place.shown().unwrap().size.as_u64(), 7);
    // What is asked again is signed again: the time is new.
    assert_eq!(place.add(&log.request(7, 7)), 200);
    let answer = place.post(good.clone());
    assert_eq!(answer.status, 200);
    let lines = String::from_utf8(answer.body).unwrap();
    let lines = parse_signatures(lines.strip_suffix('\n').unwrap());
    assert_eq!(lines.unwrap().len(), 2);
    assert_eq!(place.post(good).status, 409, "the same once more");
    assert_eq!(place.shown().unwrap().size.as_u64(), 12);
    assert_eq!(place.get("/healthz").json()["logs"][0]["evidence"], 0);
}

/// A hundred who begin and do not end: each is told or cut off, and meanwhile others are served.
#[test]
fn slow_bodies_hold_up_nobody() {
    let log = Log::new(9, u64::MAX);
    let head =
        "POST /add-checkpoint HTTP/1.1\r\nhost: news.example\r\ncontent-length: 900\r\n\r\nold";
    // From the start if need be: a busy machine may serve only after the first were cut off.
    let (place, slow) = until("served while they wait", || {
        let place = Place::new();
        let slow = (0..100).map(|_| {
            let mut stream = TcpStream::connect(place.authority()).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        });
        let slow: Vec<TcpStream> = slow.collect();
        for size in 0..9 {
            assert_eq!(place.add(&log.request(size, size + 1)), 200);
        }
        slow[0].set_nonblocking(true).unwrap();
        let waits = slow[0]
            .peek(&mut [0])
            .is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
        slow[0].set_nonblocking(false).unwrap();
        waits.then_some((place, slow))
    });
    for mut stream in slow {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
    }
    assert_eq!(place.shown().unwrap().size.as_u64(), 9);
}

/// `kill -9` while checkpoints come: what was answered is never forgotten, so the log cannot get a
/// second history cosigned by it.
#[test]
fn no_kill_makes_a_witness_forget_what_it_cosigned() {
    const ROUNDS: u64 = 12;
    let mut place = Place::new();
    let (told, other) = (Log::new(4000, u64::MAX), Log::new(4000, 0));
    let mut known = 0;
    for round in 0..ROUNDS {
        let authority = place.authority().to_owned();
        let answered = AtomicU64::new(known);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut size = known;
                loop {
                    let body = told.request(size, size + 1).to_string();
                    match Call::new("POST", "/add-checkpoint", body).send(&authority) {
                        Ok(answer) => assert_eq!(answer.status, 200, "{answer:?}"),
                        Err(_) => return,
                    }
                    size += 1;
                    answered.store(size, Ordering::SeqCst);
                }
            });
            let enough = known + 3 + round % 4;
            until("answered", || {
                (answered.load(Ordering::SeqCst) >= enough).then_some(())
            });
            std::thread::sleep(Duration::from_micros(700 * round));
            place.server.take().unwrap().kill();
        });
        let answered = answered.into_inner();
        place.start();
        let shown = place.shown().unwrap();
        let size = shown.size.as_u64();
        assert!(
            (answered..=answered + 1).contains(&size),
            "{answered} answered, {size} kept"
        );
        assert_eq!(shown.root, told.roots[usize::try_from(size).unwrap()]);
        assert_eq!(place.add(&other.request(0, size)), 409);
        assert_eq!(place.add(&other.request(size, size)), 409);
        assert_eq!(place.add(&other.request(size, size + 1)), 422);
        known = size;
    }
}
