//! A ledger of one's own for a test: an operator, two witnesses, and a vendor that is registered.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use whosaw::party::home::Home;
use whosaw::statement::kinds::benefit::{Benefit, BenefitKind};
use whosaw::statement::words::Role;
use whosaw::statement::{Author, Head, Statement, sign};
use whosaw::time::Clock;
use whosaw::tlog::policy::Policy;

use crate::support::{command, make_ledger, run, start};

pub struct Ledger {
    pub root: PathBuf,
    _folder: tempfile::TempDir,
    running: Vec<Child>,
    pub witnesses: Vec<String>,
    server: Option<Child>,
    /// `127.0.0.1:PORT`, the same at every start.
    pub address: String,
}

/// An HTTP answer.
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Ledger {
    /// A ledger with two witnesses, not serving yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let mut running = Vec::new();
        let witnesses = make_ledger(&root, &mut running);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        Self {
            root,
            _folder: folder,
            running,
            witnesses,
            server: None,
            address,
        }
    }

    /// A ledger that serves, with a vendor.
    pub fn serving() -> Self {
        let mut ledger = Self::new();
        ledger.serve();
        let url = ledger.url();
        run(
            &ledger.root,
            &format!(
                "vendor init --home vendor --party doorbell.example --name Doorbell --jurisdiction US-CA --server {url} --trust operator/log.policy"
            ),
        );
        run(&ledger.root, "vendor register --home vendor -o vendor.dsse");
        run(
            &ledger.root,
            &format!("operator approve vendor.dsse --data operator --server {url} --yes"),
        );
        ledger
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts the server, and waits until it listens.
    pub fn serve(&mut self) {
        use std::io::BufRead as _;
        let line = format!(
            "serve --data operator --listen {} --rate 100000",
            self.address
        );
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.root.join("serve.log"));
        let mut server = command(&self.root, &line)
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        let out = std::io::BufReader::new(server.stdout.take().unwrap());
        self.server = Some(server);
        let listening = out
            .lines()
            .map_while(Result::ok)
            .any(|line| line.starts_with("listening on "));
        assert!(
            listening,
            "{}",
            std::fs::read_to_string(self.root.join("serve.log")).unwrap()
        );
    }

    /// `kill -9`, if that has not happened yet.
    pub fn kill(&mut self) {
        let mut server = self.server.take().expect("it serves");
        let _ = server.kill();
        server.wait().unwrap();
    }

    /// The server's process id.
    pub fn server_id(&self) -> u32 {
        self.server.as_ref().expect("it serves").id()
    }

    /// Waits for the server; how it ended.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.server.take().expect("it serves").wait().unwrap()
    }

    /// Ends the last witness that was started.
    pub fn stop_a_witness(&mut self) {
        let mut witness = self.running.pop().expect("two witnesses run");
        drop(witness.stdin.take());
        witness.wait().unwrap();
    }

    /// Starts that witness again, where it was.
    pub fn start_the_witness(&mut self) {
        let address = self.witnesses[1]
            .strip_prefix("http://")
            .unwrap()
            .to_owned();
        start(
            &self.root,
            &mut self.running,
            &format!("witness serve --data university --log operator/log.vkey --listen {address}"),
        );
    }

    pub fn policy(&self) -> Policy {
        Policy::parse(&std::fs::read_to_string(self.root.join("operator/log.policy")).unwrap())
            .unwrap()
    }

    pub fn vendor(&self) -> Home {
        Home::open(&self.root.join("vendor")).unwrap()
    }

    pub fn key(&self, role: Role) -> SigningKey {
        self.vendor().key(role).unwrap()
    }

    pub fn head(&self) -> Head {
        Head {
            log: "ledger.example/log".to_owned(),
            issued_at: Clock::system().now().cut_to_minute(),
            author: Author::Issuer("doorbell.example".parse().unwrap()),
        }
    }

    /// A benefit that the vendor reports; another for each number.
    pub fn benefit(&self, n: u32) -> Benefit {
        Benefit {
            kind: BenefitKind::Equipment,
            giver: "doorbell.example".parse().unwrap(),
            receiver: "operator.example".parse().unwrap(),
            agreement: None,
            item: None,
            count: Some(n),
            amount: None,
            downloads: None,
            effective_on: "2019-02-01".parse().unwrap(),
        }
    }

    /// The envelope of a statement by the vendor's officer.
    pub fn signed(&self, statement: impl Into<Statement>) -> Vec<u8> {
        sign(&self.head(), &statement.into(), &[&self.key(Role::Officer)]).to_json()
    }

    pub fn get(&self, path: &str) -> Answer {
        answer(agent().get(format!("{}{path}", self.url())).call().unwrap())
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.try_post(path, body).unwrap()
    }

    pub fn try_post(&self, path: &str, body: &[u8]) -> Result<Answer, ureq::Error> {
        agent()
            .post(format!("{}{path}", self.url()))
            .send(body)
            .map(answer)
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.body_mut().read_to_vec().unwrap(),
    }
}

pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .new_agent()
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
