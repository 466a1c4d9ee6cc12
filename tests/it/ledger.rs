//! A ledger to test: an operator, two witnesses, a vendor and an agency, each in a folder of its
//! own, and the servers as processes on free ports of this machine.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use whosaw::digest::StatementId;
use whosaw::party::home::Home;
use whosaw::party::official::check_logged;
use whosaw::statement::envelope::Envelope;
use whosaw::statement::kinds::Kind as _;
use whosaw::statement::kinds::benefit::Benefit;
use whosaw::statement::kinds::limits::Limits;
use whosaw::statement::words::{PartyId, Role};
use whosaw::statement::{Author, Head, Statement, sign};
use whosaw::time::Clock;
use whosaw::tlog::policy::Policy;
use whosaw::wire::statements::Logged;

use super::http::{Answer, Call};

mod days;

use days::Days;

pub const ORIGIN: &str = "ledger.example/log";
pub const VENDOR: &str = "doorbell.example";
pub const AGENCY: &str = "lakelandgov.example";
const WITNESSES: [&str; 4] = ["north", "south", "east", "west"];
/// The longest that anything may take on a busy machine: a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Options without limits on what one address and one party may ask, since all tests come from one;
/// and figures, from which tests read what the server holds.
pub const OPEN: &[&str] = &[
    "--metrics-address=127.0.0.1:0",
    "--rate=0",
    "--address-limit=0",
    "--party-limit=0",
    "--waiting-limit=0",
    "--address-connections=0",
];

/// Asks until there is an answer.
pub fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(value) = answer() {
            return value;
        }
        assert!(since.elapsed() < PATIENCE, "not {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The value of a figure, by its name with labels.
pub fn figure(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    Some(line?.strip_prefix(' ')?.parse().unwrap())
}

/// A server as a process; it is killed when this is dropped.
pub struct Server {
    child: Child,
    /// Host and port.
    pub authority: String,
    /// Host and port of its metrics, if it serves them.
    metrics: Option<String>,
}

impl Server {
    /// Starts `whosaw` with these arguments, some days from now, and waits until it listens.
    pub fn start_at(days: &Days, args: &[&str], errors: &Path) -> Self {
        let words = [&[env!("CARGO_BIN_EXE_whosaw")], args].concat();
        let started = Self::try_start(days, &words, errors);
        started.unwrap_or_else(|ended| panic!("{args:?} does not listen: {ended}"))
    }

    /// Starts `whosaw` with these arguments and this as standard error, and waits until it listens.
    pub fn start_with(args: &[&str], errors: Stdio) -> Self {
        let words = [&[env!("CARGO_BIN_EXE_whosaw")], args].concat();
        let started = Self::try_start_with(&Days::default(), &words, errors, || false);
        started.unwrap_or_else(|ended| panic!("{args:?} does not listen: {ended}"))
    }

    /// Runs `words` and waits until it listens; how it ended if it does not.
    fn try_start(days: &Days, words: &[&str], errors: &Path) -> Result<Self, ExitStatus> {
        let before = std::fs::read(errors).map_or(0, |log| log.len());
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(errors);
        // Such a server runs, and its standard output never tells its address.
        let is_silent = || {
            let log = std::fs::read_to_string(errors).unwrap_or_default();
            log.get(before..)
                .is_some_and(|log| log.contains("standard output did not take the address"))
        };
        Self::try_start_with(days, words, file.unwrap().into(), is_silent)
    }

    /// As [`Server::try_start`], with this as standard error. It is killed once it `is_silent`.
    fn try_start_with(
        days: &Days,
        words: &[&str],
        errors: Stdio,
        is_silent: impl Fn() -> bool,
    ) -> Result<Self, ExitStatus> {
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .envs(days.variables())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut metrics = None;
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (read, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // Who started it goes on once the address is known.
            let _ = stdout.lines().try_for_each(|line| read.send(line.unwrap()));
        });
        let next = || loop {
            match lines.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => return Some(line),
                Err(RecvTimeoutError::Timeout) if !is_silent() => {}
                Err(_) => return None,
            }
        };
        let authority = std::iter::from_fn(next).find_map(|line| {
            if let Some(address) = line.strip_prefix("metrics on http://") {
                metrics = address.strip_suffix("/metrics").map(str::to_owned);
            }
            Some(line.strip_prefix("listening on http://")?.to_owned())
        });
        match authority {
            None => {
                let _ = is_silent() && child.kill().is_ok();
                Err(child.wait().unwrap())
            }
            Some(authority) => Ok(Self {
                child,
                metrics,
                authority,
            }),
        }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it has ended.
    pub fn ended(mut self) -> ExitStatus {
        until("ended", || self.child.try_wait().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command came to.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `whosaw` to its end.
pub fn whosaw(args: &[&str]) -> Ran {
    whosaw_at(&Days::default(), args)
}

/// As [`whosaw`], some days from now.
fn whosaw_at(days: &Days, args: &[&str]) -> Ran {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_whosaw"));
    command.envs(days.variables());
    let output = command.args(args).timeout(PATIENCE).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Runs `whosaw`, which must succeed; what it prints.
pub fn done(args: &[&str]) -> String {
    let ran = whosaw(args);
    assert_eq!(ran.code, Some(0), "{args:?}\n{}{}", ran.stdout, ran.stderr);
    ran.stdout
}

/// An operator's folder and its witnesses, running or not.
pub struct Ledger {
    folder: TempDir,
    server: Option<Server>,
    witnesses: Vec<Option<Server>>,
    days: Days,
}

impl Ledger {
    /// A ledger that runs, and whose limits are the example's with short waits.
    pub fn start(adapt: impl FnOnce(&mut Limits)) -> Self {
        let mut ledger = Self::unserved(adapt);
        ledger.serve();
        ledger
    }

    /// An operator's folder with witnesses that run; its server has not begun the log yet.
    pub fn unserved(adapt: impl FnOnce(&mut Limits)) -> Self {
        let mut ledger = Self::without_witnesses(adapt);
        for _ in 0..2 {
            ledger.add_witness();
        }
        ledger
    }

    /// Makes another witness, which runs: its name and its vkeys.
    pub fn new_witness(&mut self) -> (&'static str, String) {
        let place = self.witnesses.len();
        let (name, data) = (WITNESSES[place], self.file(WITNESSES[place]));
        let host = format!("{name}.example");
        let vkeys = done(&["witness", "init", "--data", &data, "--name", &host]);
        self.witnesses.push(None);
        self.start_witness(place, "127.0.0.1:0");
        (name, vkeys)
    }

    /// Makes another witness, and names it in the policy.
    pub fn add_witness(&mut self) {
        let (name, vkeys) = self.new_witness();
        let url = format!(
            "http://{}",
            self.witness_authority(self.witnesses.len() - 1)
        );
        done(&[
            "operator",
            "add-witness",
            "--data",
            &self.file("operator"),
            "--name",
            name,
            "--vkey",
            vkeys.lines().next().unwrap(),
            "--url",
            &url,
        ]);
    }

    /// Lets one witness be a quorum.
    pub fn one_is_a_quorum(&self) {
        let policy = self.path("operator/log.policy");
        let text = std::fs::read_to_string(&policy).unwrap();
        let all = text.contains("group witnesses all ");
        let group = if all {
            "group witnesses all "
        } else {
            "group witnesses 2 "
        };
        assert!(text.contains(group), "{text}");
        std::fs::write(&policy, text.replace(group, "group witnesses any ")).unwrap();
    }

    /// An operator's folder, and nothing that runs.
    pub fn without_witnesses(adapt: impl FnOnce(&mut Limits)) -> Self {
        let ledger = Self {
            folder: tempfile::tempdir().unwrap(),
            server: None,
            witnesses: Vec::new(),
            days: Days::default(),
        };
        let mut limits = Limits {
            new_key_wait_minutes: 0,
            decision_minutes: 1,
            deadline_minutes: 20_160,
            batch_seconds: 2,
            ..Limits::example()
        };
        adapt(&mut limits);
        let file = ledger.file("limits.json");
        std::fs::write(&file, serde_json::to_vec(&limits).unwrap()).unwrap();
        done(&[
            "operator",
            "init",
            "--data",
            &ledger.file("operator"),
            "--origin",
            ORIGIN,
            "--party",
            "ledger.example",
            "--name",
            "Ledger",
            "--jurisdiction",
            "US-FL",
            "--limits",
            &file,
        ]);
        ledger
    }

    /// A path in the ledger's folder, as a command takes it.
    pub fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A path in the ledger's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the server on a free port, open to all.
    pub fn serve(&mut self) {
        self.serve_with(OPEN);
    }

    /// Starts a server on a free port by `wrapper`, a program that runs another; none if it ended
    /// instead.
    pub fn try_serve(&self, wrapper: &[&str], options: &[&str]) -> Option<Server> {
        let data = self.file("operator");
        let own = ["serve", "--data", &data, "--listen", "127.0.0.1:0"];
        let program = env!("CARGO_BIN_EXE_whosaw");
        let words = [wrapper, &[program], &own, options].concat();
        Server::try_start(&self.days, &words, &self.path("serve.log")).ok()
    }

    /// Starts the server on a free port with these options besides.
    pub fn serve_with(&mut self, options: &[&str]) {
        self.serve_on("127.0.0.1:0", options);
    }

    /// Starts the server, open to all, on this host and port.
    pub fn serve_at(&mut self, authority: &str) {
        self.serve_on(authority, OPEN);
    }

    fn serve_on(&mut self, listen: &str, options: &[&str]) {
        let data = self.file("operator");
        let own = ["serve", "--data", &data, "--listen", listen];
        let args = [&own, options].concat();
        let errors = self.path("serve.log");
        self.server = Some(Server::start_at(&self.days, &args, &errors));
    }

    /// As [`Ledger::serve_with`], with this as standard error.
    pub fn serve_logging_to(&mut self, options: &[&str], errors: Stdio) {
        let data = self.file("operator");
        let own = ["serve", "--data", &data, "--listen", "127.0.0.1:0"];
        self.server = Some(Server::start_with(&[&own, options].concat(), errors));
    }

    /// The server's host and port.
    pub fn authority(&self) -> &str {
        &self.server.as_ref().expect("a server runs").authority
    }

    /// The server's address.
    pub fn url(&self) -> String {
        format!("http://{}", self.authority())
    }

    /// The server.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("a server runs")
    }

    /// Host and port of the server's metrics.
    pub fn metrics_address(&self) -> String {
        let server = self.server.as_ref().expect("a server runs");
        server.metrics.clone().expect("it serves metrics")
    }

    /// A figure of the server's, which serves metrics.
    pub fn figure(&self, name: &str) -> f64 {
        until("a figure", || {
            let read = Call::new("GET", "/metrics", []).send(&self.metrics_address());
            let text = String::from_utf8(read.ok()?.body).unwrap();
            figure(&text, name)
        })
    }

    /// Bytes that the server has allocated and not freed, by its own count.
    pub fn memory(&self) -> u64 {
        self.figure("whosaw_allocated_bytes") as u64
    }

    /// [`Ledger::memory`] once it has not grown for a second.
    pub fn settled_memory(&self) -> u64 {
        let (mut most, mut last) = (self.memory(), Instant::now());
        until("at rest", || {
            let now = self.memory();
            if now > most {
                (most, last) = (now, Instant::now());
            }
            // No faster than metrics may be asked for.
            std::thread::sleep(Duration::from_millis(150));
            (last.elapsed() > Duration::from_secs(1)).then_some(most)
        })
    }

    /// Asks the server to end.
    pub fn terminate(&self) {
        self.server.as_ref().expect("a server runs").terminate();
    }

    /// Sends SIGHUP to the server, and waits until its log has a line with this text; all that it has
    /// logged since.
    pub fn reload(&self, says: &str) -> String {
        let log = self.path("serve.log");
        std::fs::write(&log, "").unwrap();
        let pid = self.server().pid().to_string();
        let sent = Command::new("kill").args(["-HUP", &pid]).status();
        assert!(sent.unwrap().success());
        until(says, || {
            let text = std::fs::read_to_string(&log).unwrap();
            text.contains(says).then_some(text)
        })
    }

    /// The server, which is no longer the ledger's.
    pub fn take_server(&mut self) -> Server {
        self.server.take().expect("a server runs")
    }

    /// Starts a witness.
    pub fn start_witness(&mut self, place: usize, listen: &str) {
        let data = self.file(WITNESSES[place]);
        let vkey = self.file("operator/log.vkey");
        let args = [
            "witness", "serve", "--data", &data, "--log", &vkey, "--listen", listen,
        ];
        let errors = self.path("witness.log");
        self.witnesses[place] = Some(Server::start_at(&self.days, &args, &errors));
    }

    /// Host and port of a witness that runs.
    pub fn witness_authority(&self, place: usize) -> String {
        let witness = self.witnesses[place].as_ref().expect("a witness runs");
        witness.authority.clone()
    }

    /// Ends a witness; where it listened.
    pub fn kill_witness(&mut self, place: usize) -> String {
        let witness = self.witnesses[place].take().expect("a witness runs");
        let authority = witness.authority.clone();
        witness.kill();
        authority
    }

    /// Makes a vendor and an agency, and an agreement between them: its id.
    pub fn settle(&self) -> StatementId {
        for (kind, party) in [("vendor", VENDOR), ("agency", AGENCY)] {
            self.register(kind, kind, party);
        }
        let file = self.file("agreement.dsse");
        done(&[
            "vendor",
            "agreement",
            "--home",
            &self.file("vendor"),
            "--server",
            &self.url(),
            "--with",
            AGENCY,
            "--sign-only",
            "-o",
            &file,
        ]);
        done(&[
            "countersign",
            &file,
            "--home",
            &self.file("agency"),
            "--yes",
        ]);
        let trust = self.file("operator/log.policy");
        let answer = done(&[
            "submit",
            &file,
            "--server",
            &self.url(),
            "--trust",
            &trust,
            "--json",
        ]);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["id"].as_str().unwrap().parse().unwrap()
    }

    /// Makes a party in the folder `name`.
    pub fn init(&self, kind: &str, name: &str, party: &str) {
        let ran = self.run(&[
            kind,
            "init",
            "--home",
            &self.file(name),
            "--party",
            party,
            "--name",
            name,
            "--jurisdiction",
            "US-FL",
            "--server",
            &self.url(),
            "--trust",
            &self.file("operator/log.policy"),
        ]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    }

    /// Makes a party in the folder `name` and registers it.
    pub fn register(&self, kind: &str, name: &str, party: &str) {
        self.init(kind, name, party);
        let (home, url) = (self.file(name), self.url());
        let file = self.file("registration.dsse");
        done(&[kind, "register", "--home", &home, "-o", &file]);
        let data = self.file("operator");
        done(&[
            "operator", "approve", &file, "--data", &data, "--server", &url, "--yes",
        ]);
    }

    /// A code for a vault of this size.
    pub fn enrol_code(&self, mebibytes: u32, clips: u32) -> String {
        let (mebibytes, clips) = (mebibytes.to_string(), clips.to_string());
        let code = done(&[
            "operator",
            "enrol-code",
            "--data",
            &self.file("operator"),
            "--mebibytes",
            &mebibytes,
            "--clips",
            &clips,
        ]);
        code.trim().to_owned()
    }

    /// Makes the folder `home` of a resident with a camera `front`, who reaches the server at `url`.
    pub fn resident(&self, home: &str, url: &str, code: &str) {
        let (home, trust) = (self.file(home), self.file("operator/log.policy"));
        done(
            &[
                &["resident", "init", "--home", &home, "--server", url],
                &["--trust", &trust, "--code", code, "--jurisdiction", "US-FL"][..],
                &["--camera", "front=28.03950,-81.94980"],
            ]
            .concat(),
        );
    }

    /// Adds the minute that began an hour ago as a clip of the camera `front`; what the command says of it.
    pub fn add_clip(&self, home: &str, film: &str) -> Value {
        let from = Clock::system().now().checked_add_seconds(-3600).unwrap();
        let from = from.cut_to_minute();
        let until = from.checked_add_seconds(60).unwrap().to_string();
        let (home, from) = (self.file(home), from.to_string());
        let added = done(
            &[
                &["resident", "add", film, "--home", &home, "--camera"],
                &["front", "--from", &from, "--until", &until, "--json"][..],
            ]
            .concat(),
        );
        serde_json::from_str(&added).unwrap()
    }

    /// A party's folder.
    pub fn home(&self, name: &str) -> Home {
        Home::open(&self.path(name)).unwrap()
    }

    /// The trust file.
    pub fn policy(&self) -> Policy {
        self.home("operator").policy().unwrap()
    }

    /// Sends a call that must be answered.
    pub fn send(&self, call: &Call) -> Answer {
        call.send(self.authority()).unwrap()
    }

    /// Submits the bytes of an envelope.
    pub fn submit(&self, body: &[u8]) -> Answer {
        self.send(&submission(body))
    }

    /// The published checkpoint's number of entries.
    pub fn size(&self) -> u64 {
        let answer = self.send(&Call::new("GET", "/log/checkpoint", []));
        assert_eq!(answer.status, 200);
        let text = String::from_utf8(answer.body).unwrap();
        text.lines().nth(1).unwrap().parse().unwrap()
    }

    /// Ends the server, and checks its data as its operator and then as a stranger does.
    pub fn examine(&mut self) {
        let server = self.take_server();
        server.terminate();
        assert!(server.ended().success());
        done(&["log", "fsck", "--data", &self.file("operator")]);
        self.verify();
    }

    /// Checks the log, which must be clean: from its files, or over HTTP while a server may be writing them.
    pub fn verify(&self) -> String {
        let log = match self.server {
            Some(_) => format!("{}/log", self.url()),
            None => self.file("operator/log"),
        };
        let policy = self.file("operator/log.policy");
        done(&["log", "verify", "--log", &log, "--policy", &policy])
    }
}

/// `POST /api/v1/statements` with these bytes.
pub fn submission(body: &[u8]) -> Call {
    Call::new("POST", "/api/v1/statements", body).with("content-type", "application/json")
}

/// The common members of what a party issues now.
pub fn head_of(party: &str) -> Head {
    Head {
        log: ORIGIN.to_owned(),
        issued_at: Clock::system().now().cut_to_minute(),
        author: Author::Issuer(party.parse().unwrap()),
    }
}

/// A benefit like no other: its count is new.
pub fn benefit() -> Benefit {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let party = |id: &str| id.parse::<PartyId>().unwrap();
    Benefit {
        giver: party(VENDOR),
        receiver: party(AGENCY),
        count: Some(COUNT.fetch_add(1, Ordering::Relaxed)),
        ..Benefit::example()
    }
}

/// A benefit like no other, signed by the vendor's officer.
pub fn signed_benefit(vendor: &Home) -> Envelope {
    let statement: Statement = benefit().into();
    sign(
        &head_of(VENDOR),
        &statement,
        &[&vendor.key(Role::Officer).unwrap()],
    )
}

/// Checks an answer of success: the proof in it is of this statement, and holds.
pub fn proven(answer: &Answer, policy: &Policy, envelope: &Envelope) -> Logged {
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    let logged: Logged = serde_json::from_slice(&answer.body).unwrap();
    assert!(logged.proof.is_some(), "{answer:?}");
    assert_eq!(logged.id, StatementId::of_payload(&envelope.payload));
    check_logged(&logged, policy, envelope).unwrap();
    logged
}
