//! The procedures of `docs/OPERATIONS.md`: their very commands, on one machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use whosaw::digest::{Digest, StatementId};
use whosaw::statement::envelope::Envelope;
use whosaw::statement::key::PublicKey;
use whosaw::statement::kinds::limits::Limits;
use whosaw::statement::words::Role;

use super::http::Call;
use super::ledger::{AGENCY, Ledger, OPEN, ORIGIN, Ran, done, signed_benefit, until, whosaw};

/// What asks a person: nobody is there to answer.
const ASKS: [&str; 4] = [
    "operator approve",
    "operator adopt",
    "operator remove-witness",
    "operator revoke-key",
];

/// A ledger, and the places that the procedures name.
struct Stage {
    ledger: Ledger,
    /// Options of the server.
    options: Vec<String>,
    /// Words of the document, and what they are here.
    words: BTreeMap<String, String>,
}

impl Stage {
    fn new(ledger: Ledger) -> Self {
        let mut words = BTreeMap::new();
        for (word, folder) in [
            ("/var/lib/whosaw", "operator"),
            ("/backup", "backup"),
            ("/mnt/tiles", "tiles"),
            ("/media/usb", "usb"),
            ("/usr/bin", "bin"),
        ] {
            words.insert(word.to_owned(), ledger.file(folder));
        }
        for folder in ["backup", "usb", "bin", "server", "offline"] {
            fs::create_dir(ledger.path(folder)).unwrap();
        }
        let options = OPEN.iter().map(|option| (*option).to_owned()).collect();
        Self {
            ledger,
            options,
            words,
        }
    }

    fn serve(&mut self) {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        self.ledger.serve_with(&options);
        self.words
            .insert("https://ledger.example".to_owned(), self.ledger.url());
    }

    fn stop(&mut self) {
        self.ledger.terminate();
        assert_eq!(self.ledger.take_server().ended().code(), Some(0));
    }

    /// Runs the commands of a section, which all must succeed.
    fn play(&mut self, title: &str) {
        for block in blocks(title) {
            self.play_block(&block);
        }
    }

    /// Runs the commands of a block, each on the machine that the last remark named.
    fn play_block(&mut self, block: &str) {
        let mut machine = "server";
        for command in commands(block) {
            match command.split_once('#') {
                Some(("", remark)) if remark.starts_with(" offline") => machine = "offline",
                Some(("", remark)) if remark.starts_with(" server") => machine = "server",
                _ => match command.as_str() {
                    "systemctl start whosaw" => self.serve(),
                    "systemctl stop whosaw" => self.stop(),
                    "systemctl reload whosaw" => {
                        self.ledger.reload("these witnesses are asked now");
                    }
                    _ => {
                        let ran = self.run(machine, &command);
                        assert_eq!(
                            ran.code,
                            Some(0),
                            "{machine}: {command}\n{}{}",
                            ran.stdout,
                            ran.stderr
                        );
                    }
                },
            }
        }
    }

    /// Runs a command as the document has it.
    fn run(&self, machine: &str, command: &str) -> Ran {
        let mut command = command.to_owned();
        for asks in ASKS {
            command = command.replace(asks, &format!("{asks} --yes"));
        }
        for (word, here) in &self.words {
            command = command.replace(word, here);
        }
        if command.starts_with("sqlite3 ") && !is_installed("sqlite3") {
            return copy_database(&command);
        }
        let target = Path::new(env!("CARGO_BIN_EXE_whosaw")).parent().unwrap();
        let folders = [self.ledger.path("bin"), target.to_owned()].into_iter();
        let others = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths(folders.chain(std::env::split_paths(&others))).unwrap();
        // A machine without network has none here, where the kernel lets the test take it away.
        let alone = ["unshare", "--map-root-user", "--net"];
        let mut words = match machine == "offline" && is_allowed(&alone) {
            true => alone.to_vec(),
            false => Vec::new(),
        };
        words.extend(["bash", "-euo", "pipefail", "-c", &command]);
        let ran = Command::new(words[0])
            .args(&words[1..])
            .current_dir(self.ledger.path(machine))
            .env("PATH", path)
            .output()
            .unwrap();
        Ran {
            code: ran.status.code(),
            stdout: String::from_utf8(ran.stdout).unwrap(),
            stderr: String::from_utf8(ran.stderr).unwrap(),
        }
    }

    /// Puts a program of this name beside the server's folder.
    fn place_program(&self, name: &str) {
        let path = self.ledger.path("server").join(name);
        let script = format!(
            "#!/bin/sh\nexec '{}' \"$@\"\n",
            env!("CARGO_BIN_EXE_whosaw")
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Logs so many statements; the log's size afterwards.
    fn log_more(&self, count: usize) -> u64 {
        let vendor = self.ledger.home("vendor");
        for _ in 0..count {
            let answer = self.ledger.submit(&signed_benefit(&vendor).to_json());
            assert_eq!(answer.status, 201, "{answer:?}");
        }
        self.ledger.size()
    }
}

/// The blocks of commands in a section.
fn blocks(title: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md");
    let document = fs::read_to_string(path).unwrap();
    let (_, section) = document
        .split_once(&format!("\n### {title}\n"))
        .expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let section = section.split("\n### ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1);
    let blocks: Vec<String> = blocks
        .map(|rest| rest.split_once("```").expect("the end of a block").0)
        .map(str::to_owned)
        .collect();
    assert!(!blocks.is_empty(), "{title}");
    blocks
}

/// The commands of a block; a loop is one.
fn commands(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for line in block.replace("\\\n", " ").lines() {
        match commands.last_mut() {
            Some(last) if last.starts_with("for ") && !last.ends_with("done") => {
                last.push('\n');
                last.push_str(line);
            }
            _ => commands.push(line.to_owned()),
        }
    }
    commands
}

fn is_allowed(command: &[&str]) -> bool {
    let ran = Command::new(command[0])
        .args(&command[1..])
        .arg("true")
        .output();
    ran.is_ok_and(|ran| ran.status.success())
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// `sqlite3 FILE ".backup 'COPY'"`, where that program is missing.
fn copy_database(command: &str) -> Ran {
    let mut words = command.splitn(3, ' ').skip(1);
    let file = words.next().unwrap();
    let copy = words.next().unwrap().split('\'').nth(1).unwrap();
    let connection = Connection::open(file).unwrap();
    connection.execute("VACUUM INTO ?1", [copy]).unwrap();
    Ran {
        code: Some(0),
        stdout: String::new(),
        stderr: String::new(),
    }
}

/// The witnesses' evidence against the log.
fn evidence(ledger: &Ledger) -> [u16; 2] {
    let path = format!("/{}/evidence", Digest::of(ORIGIN));
    [0, 1].map(|place| {
        let witness = ledger.witness_authority(place);
        let call = Call::new("GET", path.clone(), []);
        call.send(&witness).unwrap().status
    })
}

/// The machine is lost with all that was logged after the backup: nothing is lost.
#[test]
fn a_lost_machine_is_restored_by_the_documented_commands() {
    let mut stage = Stage::new(Ledger::start(|limits| limits.batch_seconds = 2));
    stage.ledger.settle();
    stage.stop();
    stage
        .options
        .extend(["--tiles-copy".to_owned(), stage.ledger.file("tiles")]);
    stage.serve();
    stage.play("Back up");
    let known = batches(&stage.ledger.path("backup/last/batches"));
    let logged = until("a batch is logged after the backup", || {
        let lists = batches(&stage.ledger.path("operator/batches"));
        let is_logged = |id: &&String| {
            let call = Call::new("GET", format!("/batches/{id}"), []);
            !known.contains(*id) && stage.ledger.send(&call).status == 200
        };
        lists.iter().find(is_logged).cloned()
    });
    let list = format!("operator/batches/{logged}");
    let before = fs::read(stage.ledger.path(&list)).unwrap();
    let size = stage.log_more(3);
    stage.ledger.take_server().kill();
    fs::remove_dir_all(stage.ledger.path("operator")).unwrap();
    stage.play("Restore");
    assert!(stage.log_more(1) > size);
    assert_eq!(evidence(&stage.ledger), [404, 404]);
    assert!(fs::read(stage.ledger.path(&list)).unwrap() == before);
    stage.ledger.examine();

    // A list that no copy has does not hold up a restore, and an examination finds it.
    for folder in ["operator", "tiles"] {
        fs::remove_file(stage.ledger.path(&format!("{folder}/batches/{logged}"))).unwrap();
    }
    let (data, tiles) = (stage.ledger.file("operator"), stage.ledger.file("tiles"));
    let said = done(&["operator", "restore", "--data", &data, "--from", &tiles]);
    assert!(said.contains("note  1 commitment list not there"), "{said}");
    assert_eq!(said.matches(&logged).count(), 1, "{said}");
    let ran = whosaw(&["log", "fsck", "--data", &data, "--repair"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout.matches(&logged).count(), 1, "{}", ran.stdout);
}

/// The names in `batches/`; none if there is no such folder.
fn batches(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

const DATABASES: [&str; 4] = ["ledger.db", "vaults.db", "queries.db", "follower.db"];

/// Gives a database the schema of a newer program: its number.
fn make_newer(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    let newer = version.unwrap() + 1;
    connection
        .pragma_update(None, "user_version", newer)
        .unwrap();
    newer
}

fn upgraded() -> Stage {
    let mut stage = Stage::new(Ledger::start(|limits| limits.batch_seconds = 3600));
    stage.ledger.settle();
    let (data, url) = (stage.ledger.file("operator"), stage.ledger.url());
    done(&["operator", "keys", "--data", &data, "--server", &url]);
    stage.stop();
    stage.serve();
    for name in ["whosaw-new", "whosaw-old"] {
        stage.place_program(name);
    }
    stage.play("Upgrade");
    stage
}

/// As a newer program leaves them.
fn make_all_newer(stage: &Stage) -> BTreeMap<&'static str, (PathBuf, i64, Vec<u8>)> {
    DATABASES
        .map(|name| {
            let path = stage.ledger.path("operator").join(name);
            let version = make_newer(&path);
            let bytes = fs::read(&path).unwrap();
            (name, (path, version, bytes))
        })
        .into()
}

#[test]
fn a_newer_database_is_refused_by_every_command_that_opens_it() {
    let mut stage = upgraded();
    let (data, url) = (stage.ledger.file("operator"), stage.ledger.url());
    let log = stage.ledger.file("operator/log");
    stage.stop();
    let newer = make_all_newer(&stage);
    let code = ["0"; 64].concat();
    fs::write(stage.ledger.path("code"), "0011").unwrap();
    let code_file = stage.ledger.file("code");
    let commands: [(&str, &[&str]); 12] = [
        ("ledger.db", &["serve", "--listen", "127.0.0.1:0"]),
        ("ledger.db", &["log", "fsck"]),
        ("ledger.db", &["log", "fsck", "--repair"]),
        ("ledger.db", &["log", "fsck", "--repair", "--from", &log]),
        ("ledger.db", &["operator", "restore"]),
        ("ledger.db", &["operator", "restore", "--from", &log]),
        ("ledger.db", &["operator", "adopt", "--yes"]),
        ("vaults.db", &["operator", "enrol-code"]),
        ("vaults.db", &["operator", "clips-aside", "list"]),
        (
            "vaults.db",
            &["operator", "vaults", "--code-file", &code_file],
        ),
        (
            "vaults.db",
            &["operator", "notify", &code, "--server", &url],
        ),
        ("follower.db", &["operator", "keys", "--server", &url]),
    ];
    for (name, command) in commands {
        let ran = whosaw(&[command, &["--data", &data]].concat());
        let (path, version, _) = &newer[name];
        let says = format!(
            "{} has schema {version}, and this program knows none after {}: use a newer program",
            path.display(),
            version - 1
        );
        assert_eq!(
            ran.code,
            Some(2),
            "{command:?}: {}{}",
            ran.stdout,
            ran.stderr
        );
        assert!(ran.stderr.contains(&says), "{command:?}: {}", ran.stderr);
        for (path, _, before) in newer.values() {
            assert!(
                fs::read(path).unwrap() == *before,
                "{command:?} changed {path:?}"
            );
        }
        assert!(!Path::new(&data).join("damaged").exists(), "{command:?}");
    }
    // What is derived is newer alone.
    for name in ["ledger.db", "vaults.db", "follower.db"] {
        let connection = Connection::open(&newer[name].0).unwrap();
        let older = newer[name].1 - 1;
        connection
            .pragma_update(None, "user_version", older)
            .unwrap();
    }
    let ran = whosaw(&["serve", "--data", &data, "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("queries.db has schema"),
        "{}",
        ran.stderr
    );
}

/// A newer program brought the databases to its schema and logged more. The old one goes on where it ended.
#[test]
fn an_upgrade_is_taken_back_by_the_documented_commands() {
    let mut stage = upgraded();
    let old = "./whosaw-old operator versions --data /var/lib/whosaw";
    let [ask, back] = blocks("Downgrade").try_into().unwrap();
    assert_eq!(ask.trim(), old);
    assert_eq!(stage.run("server", old).code, Some(0));
    let size = stage.log_more(2);
    stage.stop();
    make_all_newer(&stage);
    let asked = stage.run("server", old);
    assert_eq!(asked.code, Some(1), "{}{}", asked.stdout, asked.stderr);
    assert!(asked.stdout.contains("newer than"), "{}", asked.stdout);
    let json = stage.run("server", &format!("{old} --json")).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for row in json["databases"].as_array().unwrap() {
        let (found, known) = (row["schema"].as_i64(), row["known"].as_i64());
        assert_eq!(found.unwrap(), known.unwrap() + 1, "{json}");
    }
    // It is stopped already.
    let back = back.replace("systemctl stop whosaw\n", "");
    stage.play_block(&back);
    assert_eq!(stage.log_more(1), size + 1);
    let (data, url) = (stage.ledger.file("operator"), stage.ledger.url());
    done(&["operator", "keys", "--data", &data, "--server", &url]);
    assert_eq!(evidence(&stage.ledger), [404, 404]);
    stage.ledger.examine();
}

/// The server never has the admin key, from the log's first entry on.
#[test]
fn a_ledger_lives_without_its_admin_key_on_the_server() {
    let ledger = Ledger::without_witnesses(|limits| limits.batch_seconds = 3600);
    fs::remove_dir_all(ledger.path("operator")).unwrap();
    let mut stage = Stage::new(ledger);
    let limits = stage.ledger.path("limits.json");
    fs::copy(&limits, stage.ledger.path("offline/limits.json")).unwrap();
    write_wider_limits(&stage.ledger, "offline/new-limits.json");
    let mut left = blocks("Keys, with admin.key on a machine without network").into_iter();
    let mut next = || left.next().expect("another block");

    stage.play_block(&next());
    for place in 0..3 {
        stage.new_witness(place);
    }
    stage.play_block(&next());
    let begun = next();
    stage.play_block(&begun);
    let [offline, on_server, first] = [1, 3, 4].map(|line| commands(&begun).swap_remove(line));
    let admin = stage.run("offline", &offline).stdout;
    let admin = admin.split_whitespace().next().unwrap().to_owned();
    let listed = stage.run("server", &on_server).stdout;
    assert!(listed.contains(&format!("{admin}  admin")), "{listed}");
    let again = stage.run("offline", "whosaw operator genesis --data ceremony");
    assert!(
        again.stdout.contains(&format!("admin key  {admin}")),
        "{}",
        again.stdout
    );
    let kept = fs::read_to_string(stage.ledger.path("operator/genesis.jsonl")).unwrap();
    let kept = Envelope::parse(kept.lines().next().unwrap().as_bytes()).unwrap();
    let id = StatementId::of_payload(&kept.payload).to_string();
    let shown = stage.run("server", &first).stdout;
    assert!(shown.contains(&id), "{shown}");
    stage.play_block(&next());

    stage.ledger.init("agency", "agency", AGENCY);
    let (home, usb) = (stage.ledger.file("agency"), stage.ledger.path("usb"));
    let file = usb.join("agency.dsse");
    done(&[
        "agency",
        "register",
        "--home",
        &home,
        "-o",
        file.to_str().unwrap(),
    ]);
    stage.play_block(&next());
    stage.play_block(&next());
    let offline = |stage: &Stage, role| {
        let home = whosaw::party::home::Home::open(&stage.ledger.path("offline/ceremony"));
        PublicKey::from(&home.unwrap().key(role).unwrap()).to_string()
    };
    let officer = offline(&stage, Role::Officer);
    stage
        .words
        .insert("OFFICER-KEY".to_owned(), officer.clone());
    stage.play_block(&next());
    assert!(left.next().is_none());

    let admin = offline(&stage, Role::Admin);
    stage.words.insert("ADMIN-KEY".to_owned(), admin.clone());
    stage.play("Replace admin.key");

    // Parties of operator and agency, limits and later ones, a suspension, five changes of keys.
    assert_eq!(stage.ledger.size(), 10);
    let (data, url) = (stage.ledger.file("operator"), stage.ledger.url());
    let keys = done(&["operator", "keys", "--data", &data, "--server", &url]);
    for revoked in [officer, admin] {
        let line = keys.lines().find(|line| line.contains(&revoked)).unwrap();
        assert!(line.contains("revoked"), "{keys}");
    }
    let signs = |role: &str| {
        let lines = keys
            .lines()
            .filter(|line| line.contains(role) && line.contains("signs"));
        lines.count()
    };
    assert_eq!((signs(" admin "), signs(" officer ")), (2, 1), "{keys}");
    assert!(keys.contains("officer.key"), "{keys}");
    let listed = fs::read_dir(stage.ledger.path("operator/keys")).unwrap();
    for file in listed.flatten() {
        let name = file.file_name().into_string().unwrap();
        assert!(!name.starts_with("admin"), "{name} is on the server");
    }
    stage.ledger.examine();
}

/// Writes other limits than the ledger began with.
fn write_wider_limits(ledger: &Ledger, file: &str) {
    let text = fs::read_to_string(ledger.path("limits.json")).unwrap();
    let mut limits: Limits = serde_json::from_str(&text).unwrap();
    limits.window_minutes += 60;
    fs::write(ledger.path(file), serde_json::to_string(&limits).unwrap()).unwrap();
}

/// Each command that needs the admin key: where it is not, the command fails; where it is, no server is
/// needed, and nothing is logged before the file is submitted.
#[test]
fn what_the_admin_key_signs_is_signed_on_one_machine_and_logged_from_another() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let (data, apart, url) = (ledger.file("operator"), ledger.file("apart"), ledger.url());
    fs::create_dir_all(ledger.path("apart/keys")).unwrap();
    for name in ["party.json", "log.policy"] {
        fs::copy(
            ledger.path("operator").join(name),
            ledger.path("apart").join(name),
        )
        .unwrap();
    }
    let admin = "keys/admin.key";
    fs::rename(
        ledger.path("operator").join(admin),
        ledger.path("apart").join(admin),
    )
    .unwrap();
    let (trust, limits) = (ledger.file("apart/log.policy"), ledger.file("wider.json"));
    write_wider_limits(&ledger, "wider.json");
    let digest = format!(
        r#"artifacts=[{{"name":"whosaw","sha256":"{}","size":1}}]"#,
        Digest::of("x")
    );
    let commands: [&[&str]; 8] = [
        &["suspend", AGENCY, "--reason", "rules-broken"],
        &["reinstate", AGENCY, "--reason", "resolved"],
        &["confirm", AGENCY, "--check", "dns-txt"],
        &["limits", &limits],
        &["say", "release", "program=whosaw", "release=1.0.0", &digest],
        &["add-key", "service", "-o", &ledger.file("service-2.key")],
        &["withdraw", AGENCY, "--reason", "keys-lost", "--yes"],
        &["close", "--reason", "discontinued", "--yes"],
    ];
    for (n, command) in commands.iter().enumerate() {
        let size = ledger.size();
        let own = [&["operator"], *command].concat();
        // The confirmation looks at the host name first.
        if command[0] != "confirm" {
            let ran = whosaw(&[&own[..], &["--data", &data, "--server", &url]].concat());
            assert_eq!(ran.code, Some(2), "{command:?}");
            assert!(
                ran.stderr.contains("admin.key: sign with --sign-only"),
                "{command:?}: {}",
                ran.stderr
            );
        }
        let file = ledger.file(&format!("{n}.dsse"));
        let sign = [&own[..], &["--data", &apart, "--sign-only", &file]].concat();
        let both = whosaw(&[&sign[..], &["--server", &url]].concat());
        assert_eq!(both.code, Some(2), "{command:?}: {}", both.stdout);
        assert!(!Path::new(&file).exists(), "{command:?}");
        let said = done(&sign);
        assert!(said.contains("whosaw submit"), "{command:?}: {said}");
        assert_eq!(ledger.size(), size, "{command:?} logged it");
        done(&[
            "submit", &file, "--server", &url, "--trust", &trust, "--yes",
        ]);
        until("logged", || (ledger.size() == size + 1).then_some(()));
    }
    // What must be uploaded first, or seen elsewhere, is no statement to sign here.
    let file = ledger.file("no.dsse");
    for (command, says) in [
        (
            &["say", "annotation", "attachments=@limits.json"][..],
            "--sign-only",
        ),
        (&["confirm", AGENCY], "--check"),
    ] {
        let own = [&["operator"], command].concat();
        let ran = whosaw(&[&own[..], &["--data", &apart, "--sign-only", &file]].concat());
        assert_eq!(ran.code, Some(2), "{command:?}");
        assert!(ran.stderr.contains(says), "{command:?}: {}", ran.stderr);
        assert!(!Path::new(&file).exists(), "{command:?}");
    }
}

/// A registration that somebody else than the operator countersigned is not taken for an approved one.
#[test]
fn a_registration_signed_by_another_is_not_approved() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    ledger.init("agency", "second", "second.example");
    let (home, file) = (ledger.file("second"), ledger.file("second.dsse"));
    done(&["agency", "register", "--home", &home, "-o", &file]);
    let mut envelope = Envelope::parse(&fs::read(&file).unwrap()).unwrap();
    let vendor = ledger.home("vendor").key(Role::Admin).unwrap();
    envelope.add_signature(&vendor);
    fs::write(&file, envelope.to_json()).unwrap();
    let (data, url, size) = (ledger.file("operator"), ledger.url(), ledger.size());
    let approve = [
        "operator", "approve", &file, "--data", &data, "--server", &url, "--yes",
    ];
    let ran = whosaw(&approve);
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    let key = PublicKey::from(&vendor).to_string();
    assert!(ran.stderr.contains(&key), "{}", ran.stderr);
    assert_eq!(ledger.size(), size);
}

/// A registration that was signed by an admin key before another took its place is signed again.
#[test]
fn a_registration_signed_by_a_replaced_admin_key_says_what_to_do() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    ledger.init("agency", "second", "second.example");
    let (home, file) = (ledger.file("second"), ledger.file("second.dsse"));
    done(&["agency", "register", "--home", &home, "-o", &file]);
    let (data, url, signed) = (
        ledger.file("operator"),
        ledger.url(),
        ledger.file("signed.dsse"),
    );
    let key = PublicKey::from(&ledger.home("operator").key(Role::Admin).unwrap()).to_string();
    let approve = ["operator", "approve", "--yes", "--data", &data];
    let sign = |to: &str| done(&[&approve[..], &[file.as_str(), "--sign-only", to]].concat());
    sign(&signed);
    let at = ["--data", &data, "--server", &url];
    done(&[&["operator", "rotate-key", "admin"][..], &at].concat());
    let size = ledger.size();
    let log = |signed: &str| whosaw(&[&approve[..], &[signed, "--server", &url]].concat());
    let ran = log(&signed);
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    for says in [&key, "revoked it", "--sign-only", "second.example"] {
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    assert_eq!(ledger.size(), size);
    let again = ledger.file("again.dsse");
    sign(&again);
    let ran = log(&again);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

/// Another witness takes the place of one of three. At each stage those readers accept the log of whom the
/// document says so, whichever witness is away.
#[test]
fn a_witness_is_replaced_and_no_reader_is_left_behind() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let mut stage = Stage::new(ledger);
    stage.new_witness(2);
    let data = stage.ledger.file("operator");
    let (vkey, url) = (
        stage.vkey("east"),
        stage.words["https://east.example"].clone(),
    );
    let third = ["operator", "add-witness", "--data", &data, "--name", "east"];
    let third = [
        &third[..],
        &["--vkey", &vkey, "--url", &url, "--quorum", "2", "--yes"],
    ]
    .concat();
    done(&third);
    stage.stop();
    stage.serve();
    stage.log_more(1);
    let policy = stage.ledger.path("operator/log.policy");
    let [old, next] = [
        stage.ledger.path("old.policy"),
        stage.ledger.path("server/next.policy"),
    ];
    fs::copy(&policy, &old).unwrap();
    assert!(
        fs::read_to_string(&old)
            .unwrap()
            .contains("group witnesses 2 north south east")
    );

    stage.new_witness(3);
    let [first, second] = blocks("Replace a witness").try_into().unwrap();
    stage.play_block(&first);
    let said = fs::read_to_string(&policy).unwrap();
    assert!(
        said.contains("group witnesses 3 north south east west"),
        "{said}"
    );
    let said = fs::read_to_string(&next).unwrap();
    assert!(said.contains("group witnesses 2 north east west"), "{said}");
    stage.log_more(1);
    for away in [0, 1, 2, 3] {
        let listened = stage.ledger.kill_witness(away);
        stage.log_more(1);
        for readers in [&old, &next, &policy] {
            assert_eq!(stage.verify(readers), Ok(()), "without {away}: {readers:?}");
        }
        stage.ledger.start_witness(away, &listened);
    }
    // A party's folder goes on by either.
    let agency = stage.ledger.file("agency");
    let reads = [
        "agency",
        "keys",
        "--home",
        &agency,
        "--server",
        &stage.ledger.url(),
    ];
    done(&reads);
    fs::copy(&next, stage.ledger.path("agency/log.policy")).unwrap();
    done(&reads);

    stage.ledger.kill_witness(1);
    stage.play_block(&second);
    assert_eq!(fs::read(&policy).unwrap(), fs::read(&next).unwrap());
    stage.log_more(1);
    assert_eq!(stage.verify(&next), Ok(()));
    stage.ledger.kill_witness(0);
    stage.log_more(1);
    assert_eq!(stage.verify(&next), Ok(()));
    let refused = stage.verify(&old).unwrap_err();
    assert!(refused.contains("quorum is missing"), "{refused}");
    done(&[
        "agency",
        "keys",
        "--home",
        &agency,
        "--server",
        &stage.ledger.url(),
    ]);
}

/// What would be no policy, or one that readers do not accept, changes nothing.
#[test]
fn a_policy_is_not_changed_for_the_worse_unasked() {
    let ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.settle();
    let mut stage = Stage::new(ledger);
    stage.new_witness(2);
    let own = stage.ledger.file("own");
    let own = done(&[
        "witness",
        "init",
        "--data",
        &own,
        "--name",
        "w.ledger.example",
    ]);
    let (data, policy) = (
        stage.ledger.file("operator"),
        stage.ledger.path("operator/log.policy"),
    );
    let own_key = own.lines().next().unwrap();
    let (east, file) = (stage.vkey("east"), stage.ledger.file("next.policy"));
    let add = |vkey: &str, more: &[&str]| {
        let add = [
            "operator",
            "add-witness",
            "--data",
            &data,
            "--name",
            "new",
            "--vkey",
            vkey,
        ];
        whosaw(&[&add[..], &["--url", "http://127.0.0.1:9"], more].concat())
    };
    let remove = |name: &str, more: &[&str]| {
        whosaw(
            &[
                &[
                    "operator",
                    "remove-witness",
                    "--data",
                    &data,
                    "--name",
                    name,
                ],
                more,
            ]
            .concat(),
        )
    };
    let before = fs::read_to_string(&policy).unwrap();
    let refused = |ran: Ran, says: &str| {
        assert_eq!(ran.code, Some(2), "{says}: {}", ran.stdout);
        assert!(ran.stderr.contains(says), "{says}: {}", ran.stderr);
        assert_eq!(fs::read_to_string(&policy).unwrap(), before, "{says}");
    };
    refused(remove("nobody", &["--yes"]), "it has north, south");
    refused(remove("south", &["--quorum", "2", "--yes"]), "cannot be");
    refused(remove("south", &[]), "say --yes");
    refused(add(&east, &["--quorum", "2"]), "say --yes");
    refused(add(&east, &["--quorum", "4"]), "cannot be");
    refused(add(own_key, &["--quorum", "1", "--yes"]), "operator alone");
    let ran = remove("south", &["-o", &file, "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(said["witnesses"], serde_json::json!(["north"]), "{said}");
    assert_eq!(
        (&said["quorum"], &said["of"]),
        (&1.into(), &1.into()),
        "{said}"
    );
    assert_eq!(said["old_readers_accept_all"], false, "{said}");
    assert_eq!(fs::read_to_string(&policy).unwrap(), before);

    // One more raises the quorum, so that nobody needs to be asked; of the operator's own as well. What else
    // is in the file stays.
    let vkey = fs::read_to_string(stage.ledger.path("operator/log.vkey")).unwrap();
    let here = format!("log {} https://ledger.example/log\n", vkey.trim());
    let addressed = before.replace(&format!("log {vkey}"), &here);
    assert_ne!(addressed, before);
    fs::write(&policy, addressed).unwrap();
    let ran = add(own_key, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("needs 3 of 3"), "{}", ran.stdout);
    let before = fs::read_to_string(&policy).unwrap();
    assert!(before.contains(&here), "{before}");
    let grouped = before.replace(
        "group witnesses 3 ",
        "group some any north south\ngroup witnesses 2 some ",
    );
    let grouped = grouped.replace("some north south", "some");
    assert_ne!(grouped, before);
    fs::write(&policy, &grouped).unwrap();
    let ran = remove("south", &["--yes"]);
    assert!(
        ran.stderr.contains("edited by hand"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert_eq!(fs::read_to_string(&policy).unwrap(), grouped);
}

impl Stage {
    /// Makes another witness, whose address and vkeys the commands know.
    fn new_witness(&mut self, place: usize) {
        let (name, vkeys) = self.ledger.new_witness();
        let url = format!("http://{}", self.ledger.witness_authority(place));
        fs::write(self.ledger.path(&format!("usb/{name}.vkeys")), vkeys).unwrap();
        self.words.insert(format!("https://{name}.example"), url);
    }

    /// A new witness's first vkey.
    fn vkey(&self, name: &str) -> String {
        let vkeys = fs::read_to_string(self.ledger.path(&format!("usb/{name}.vkeys"))).unwrap();
        vkeys.lines().next().unwrap().to_owned()
    }

    /// Whether a reader with this policy accepts the log.
    fn verify(&self, policy: &Path) -> Result<(), String> {
        let (log, policy) = (
            format!("{}/log", self.ledger.url()),
            policy.to_str().unwrap(),
        );
        let ran = whosaw(&["log", "verify", "--log", &log, "--policy", policy]);
        match ran.code {
            Some(0) => Ok(()),
            _ => Err(ran.stdout + &ran.stderr),
        }
    }
}
