//! One ledger for all tests of the gate: real processes, a vendor and an agency with an agreement, a
//! resident with a clip, and a request for it. Each test works on its own copy of the resident.

use std::path::PathBuf;
use std::process::Child;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use whosaw::party::home::Home;
use whosaw::party::resident::state::State;
use whosaw::statement::scope::Scope;
use whosaw::time::{Clock, Time};

use crate::forgery::{Files, Forger, leaves};
use crate::proxy::Proxy;
use crate::support::{Outcome, command, copy, make_ledger, run, start};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

pub struct World {
    pub root: PathBuf,
    _folder: tempfile::TempDir,
    _running: Vec<Child>,
    proxies: Mutex<Vec<Proxy>>,
    /// The server's own address.
    pub url: String,
    pub agreement: String,
    pub request: String,
    /// The log before the request was made.
    pub leaves_before: Vec<Vec<u8>>,
}

/// The world, made once.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::make)
}

impl World {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let mut running = Vec::new();
        // A signed call names its authority: the server is told all the proxies' beforehand.
        let proxies: Vec<Proxy> = (0..128).map(|_| Proxy::start()).collect();
        make_ledger(&root, &mut running);
        let authorities: Vec<String> = proxies
            .iter()
            .map(|p| format!("--authority {}", p.address))
            .collect();
        let own = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let url = start(
            &root,
            &mut running,
            &format!(
                "serve --data operator --listen {own} --authority {own} {}",
                authorities.join(" ")
            ),
        );
        proxies.iter().for_each(|proxy| proxy.forward_to(own));
        let (agreement, request) = (String::new(), String::new());
        let mut world = Self {
            root,
            _folder: folder,
            _running: running,
            proxies: Mutex::new(proxies),
            url: url.clone(),
            agreement,
            request,
            leaves_before: Vec::new(),
        };
        world.play(&url);
        world
    }

    fn play(&mut self, url: &str) {
        let root = self.root.clone();
        for (kind, party) in [
            ("vendor", "doorbell.example"),
            ("agency", "lakelandgov.example"),
        ] {
            run(
                &root,
                &format!(
                    "{kind} init --home {kind} --party {party} --name Party --jurisdiction US-FL --server {url} --trust operator/log.policy --officer-label detective-4"
                ),
            );
            run(
                &root,
                &format!("{kind} register --home {kind} -o {kind}.dsse"),
            );
            run(
                &root,
                &format!("operator approve {kind}.dsse --data operator --server {url} --yes"),
            );
        }
        run(
            &root,
            &format!(
                "vendor agreement --home vendor --with lakelandgov.example --terms {EXAMPLES}/lakeland/terms.json --sign-only -o agreement.dsse"
            ),
        );
        run(&root, "countersign agreement.dsse --home agency --yes");
        let logged = run(
            &root,
            &format!("submit agreement.dsse --server {url} --trust operator/log.policy --json"),
        );
        self.agreement = id(&logged);
        let film = |hours: i64| filmed(3600 * hours);
        let publish = ["publisher", "neighbour", "withheld", "cut-off"];
        let consent = ["unsure", "refused", "patient", "sorry"];
        let tell = ["teller", "gossip", "regretful", "rambler"];
        let act_once = publish.into_iter().chain(tell).chain(consent);
        for home in ["resident", "other", "giver"]
            .into_iter()
            .chain(act_once.clone())
        {
            let code = run(&root, "operator enrol-code --data operator");
            std::fs::write(root.join("code"), code).unwrap();
            run(
                &root,
                &format!(
                    "resident init --home {home} --server {url} --trust operator/log.policy --code-file code --jurisdiction US-FL --camera front=28.03950,-81.94980"
                ),
            );
            run(
                &root,
                &format!(
                    "resident add {EXAMPLES}/doorbell.mp4 --home {home} --camera front --from {} --until {} --thumbnail {EXAMPLES}/doorbell.jpg",
                    film(2),
                    film(2).checked_add_seconds(60).unwrap()
                ),
            );
            if home == "rambler" {
                // Ten of these 59 minutes are within the window that is asked about.
                let from = film(1).checked_add_seconds(-600).unwrap();
                run(
                    &root,
                    &format!(
                        "resident add {EXAMPLES}/porch.mp4 --home {home} --camera front --from {from} --until {}",
                        from.checked_add_seconds(59 * 60).unwrap()
                    ),
                );
            }
        }
        // The last to send its commitments: all others' are in no later batch.
        while !run(&root, "resident report --home sorry --json").contains("\"anchored\": 4") {
            std::thread::sleep(Duration::from_millis(200));
        }
        run(&root, "resident sync --home resident");
        copy(&root.join("resident"), &root.join("resident-before"));
        self.leaves_before = leaves(&root.join("operator/log"));

        let scope = Scope {
            from: film(3),
            until: film(1),
            ..scope()
        };
        std::fs::write(root.join("scope.geojson"), scope.to_geojson()).unwrap();
        std::fs::write(root.join("case"), "2019-1").unwrap();
        let logged = run(
            &root,
            &format!(
                "agency request --home agency --agreement {} --scope scope.geojson --message {EXAMPLES}/lakeland/message.txt --offence 220 --case-number-file case --deadline-in 600 --asks contact,name,place,time --json",
                self.agreement
            ),
        );
        self.request = id(&logged);
        run(&root, "resident sync --home resident");
        run(&root, "resident sync --home other");
        for home in ["giver"].into_iter().chain(act_once) {
            run(&root, &format!("resident sync --home {home}"));
        }
    }

    /// A proxy of one's own.
    pub fn proxy(&self) -> Proxy {
        self.proxies
            .lock()
            .unwrap()
            .pop()
            .expect("enough proxies were made")
    }

    pub fn forger(&self) -> Forger {
        Forger::of(&self.root)
    }

    /// The leaves of the real log as it is now.
    pub fn leaves(&self) -> Vec<Vec<u8>> {
        leaves(&self.root.join("operator/log"))
    }

    pub fn agency(&self) -> Home {
        Home::open(&self.root.join("agency")).unwrap()
    }

    /// The device that saw everything up to the request, behind a proxy.
    pub fn device(&self, proxy: &Proxy) -> Device {
        self.copy_of("resident", proxy)
    }

    /// The device as it was before the request was made, behind a proxy.
    pub fn device_before(&self, proxy: &Proxy) -> Device {
        self.copy_of("resident-before", proxy)
    }

    /// Another resident's device, who saw the same.
    pub fn other_device(&self, proxy: &Proxy) -> Device {
        self.copy_of("other", proxy)
    }

    /// A third one's.
    pub fn third_device(&self, proxy: &Proxy) -> Device {
        self.copy_of("giver", proxy)
    }

    /// Those of residents who publish, or are answered badly, by name: each acts in one test.
    pub fn device_of(&self, name: &str, proxy: &Proxy) -> Device {
        self.copy_of(name, proxy)
    }

    /// Runs `whosaw agency …` against the server behind a proxy.
    pub fn agency_through(&self, proxy: &Proxy, line: &str) -> Outcome {
        let line = format!("agency {line} --home agency --server {}", proxy.url());
        Outcome::of(command(&self.root, &line).output().unwrap())
    }

    fn copy_of(&self, name: &str, proxy: &Proxy) -> Device {
        let home = format!("device-{}", proxy.address.port());
        let path = self.root.join(&home);
        copy(&self.root.join(name), &path);
        let state = Connection::open(path.join("resident.db")).unwrap();
        state
            .execute("UPDATE device SET server = ?1", [proxy.url()])
            .unwrap();
        Device { home, path }
    }
}

/// A resident's device.
pub struct Device {
    pub home: String,
    pub path: PathBuf,
}

impl Device {
    /// What it remembers.
    pub fn state(&self) -> State {
        State::open(&self.path.join("resident.db")).unwrap()
    }

    /// Runs `whosaw resident …` on it.
    pub fn run(&self, line: &str) -> Outcome {
        let line = format!("resident {line} --home {}", self.home);
        Outcome::of(command(&world().root, &line).output().unwrap())
    }

    /// As [`Device::run`], for what must succeed.
    pub fn must(&self, line: &str) -> String {
        let outcome = self.run(line);
        assert_eq!(outcome.code, 0, "{line}: {}", outcome.both());
        outcome.out
    }
}

/// Serves these files in place of the log's.
pub fn serve_log(proxy: &Proxy, files: Files) {
    proxy.lie(move |request, mut response| {
        if let Some(path) = request.path.strip_prefix("/log/") {
            response.status = if files.contains_key(path) { 200 } else { 404 };
            response.body = files.get(path).cloned().unwrap_or_default();
        }
        response
    });
}

/// The scope of the examples.
pub fn scope() -> Scope {
    let text = std::fs::read(format!("{EXAMPLES}/lakeland/scope.geojson")).unwrap();
    Scope::parse(&text).unwrap()
}

pub fn now() -> Time {
    Clock::system().now()
}

/// A minute that began about so many seconds ago, and is no full hour: statements have times that are cut to the
/// hour, and one of them would look like a time of filming that leaked.
pub fn filmed(seconds: i64) -> Time {
    let minute = now().checked_add_seconds(-seconds).unwrap().cut_to_minute();
    if minute == minute.cut_to_hour() {
        minute.checked_add_seconds(-60).unwrap()
    } else {
        minute
    }
}

pub fn id(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap();
    value["id"].as_str().unwrap().to_owned()
}
