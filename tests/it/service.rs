//! A server as a service: its options from a file, signals at any moment, the service manager, the modes
//! of its files.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use whosaw::store::own;

use super::http::Call;
use super::ledger::{Ledger, OPEN, PATIENCE, done, until, whosaw};

/// A process of `whosaw`, which is killed when this is dropped.
struct Process(Child);

impl Process {
    fn start(command: &mut Command, errors: &Path) -> Self {
        let errors = OpenOptions::new().create(true).append(true).open(errors);
        command.stdout(Stdio::null()).stderr(errors.unwrap());
        Self(command.spawn().unwrap())
    }

    /// Sends a signal such as `HUP`.
    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it has ended, with this code.
    #[track_caller]
    fn ends_with(mut self, code: i32) {
        let status = until("ended", || self.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(code), "{status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_whosaw"))
}

/// Waits until a file has this text.
fn has(path: &Path, text: &str) {
    until(text, || {
        let found = fs::read_to_string(path).unwrap_or_default();
        found.contains(text).then_some(())
    });
}

/// A ledger whose server has ended.
fn stopped() -> Ledger {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    ledger.terminate();
    assert!(ledger.take_server().ended().success());
    ledger
}

/// A server that is signalled before it listens takes the signal as it does later.
#[test]
fn signals_during_a_start_are_taken() {
    let ledger = stopped();
    // The server asks there whether another one has its place, and waits for the answer.
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let url = format!("http://{}", elsewhere.local_addr().unwrap());
    let log = ledger.path("start.log");
    let start = || {
        let data = ledger.file("operator");
        let mut serve = program();
        serve.args([
            "serve",
            "--data",
            &data,
            "--listen",
            "127.0.0.1:0",
            "--public-url",
            &url,
        ]);
        let server = Process::start(&mut serve, &log);
        (until("it asks", || elsewhere.accept().ok()), server)
    };
    let (asked, server) = start();
    server.signal("HUP");
    drop(asked);
    has(&log, "reading again what may change");
    server.signal("TERM");
    server.ends_with(0);

    let (asked, server) = start();
    server.signal("TERM");
    drop(asked);
    server.ends_with(0);

    // A witness does not wait for a key in a pipe.
    let pipe = ledger.path("log.vkey");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let witness = ledger.file("elsewhere");
    done(&[
        "witness",
        "init",
        "--data",
        &witness,
        "--name",
        "elsewhere.example",
    ]);
    let mut serve = program();
    serve.args([
        "witness",
        "serve",
        "--data",
        &witness,
        "--listen",
        "127.0.0.1:0",
        "--log",
    ]);
    let witness = Process::start(serve.arg(&pipe), &log);
    witness.ends_with(2);
    has(&log, "log.vkey: this is not a regular file");
}

/// The command of a unit in contrib/, with other folders.
fn unit_command(unit: &str, data: &str, config: &Path) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("contrib/systemd")
        .join(unit);
    let text = fs::read_to_string(path).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/bin/whosaw "));
    let words = line.unwrap().split(' ').map(|word| match word {
        _ if word.starts_with("%S/") => PathBuf::from(data),
        _ if word.starts_with("/etc/whosaw/") => config.to_owned(),
        _ => PathBuf::from(word),
    });
    let mut command = program();
    command.args(words);
    command
}

/// Both units' commands, as systemd runs them: what each server tells of itself from its start to its end.
#[test]
fn the_service_manager_is_notified() {
    let mut ledger = stopped();
    let witness = ledger.kill_witness(0);
    let vkey = ledger.file("operator/log.vkey");
    let units = [
        (
            "whosaw-witness.service",
            "north",
            format!("[data]\nlog = [{vkey:?}]\n[network]\nlisten = {witness:?}\n"),
        ),
        (
            "whosaw.service",
            "operator",
            "[network]\nlisten = \"127.0.0.1:0\"\n".to_owned(),
        ),
    ];
    let mut running = Vec::new();
    for (unit, data, text) in units {
        let config = ledger.path("config.toml");
        fs::write(&config, text).unwrap();
        let path = ledger.path(unit);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // A status that changes by itself may come between.
        let received = || loop {
            let mut message = [0; 4096];
            let length = socket.recv(&mut message).unwrap();
            let message = String::from_utf8(message[..length].to_vec()).unwrap();
            if !message.starts_with("STATUS=") {
                return message;
            }
        };
        let mut command = unit_command(unit, &ledger.file(data), &config);
        let server = Process::start(
            command.env("NOTIFY_SOCKET", &path),
            &ledger.path("unit.log"),
        );
        let ready = received();
        assert!(ready.starts_with("READY=1\nSTATUS="), "{ready}");
        assert!(ready.contains("http://127.0.0.1:"), "{ready}");
        server.signal("HUP");
        let reloading = received();
        let time = reloading
            .trim()
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        assert!(time.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
        assert_eq!(received().trim(), "READY=1");
        running.push((server, socket));
    }
    for (server, socket) in running.into_iter().rev() {
        server.signal("TERM");
        let last = until("another message than a status", || {
            let mut message = [0; 4096];
            let length = socket.recv(&mut message).unwrap();
            let message = message[..length].trim_ascii();
            (!message.starts_with(b"STATUS=")).then(|| message.to_vec())
        });
        assert_eq!(last, b"STOPPING=1");
        server.ends_with(0);
    }
}

/// The filter changes at SIGHUP, others wait for a restart, and a file that is wrong changes nothing.
#[test]
fn options_come_from_a_file_which_is_read_again() {
    let mut ledger = stopped();
    let (file, log) = (ledger.path("ledger.toml"), ledger.path("serve.log"));
    let write = |text: &str| fs::write(&file, text).unwrap();
    write("[limits]\nrat = 5\n");
    let config = ledger.file("ledger.toml");
    let refused = whosaw(&["serve", "--config", &config]);
    assert_eq!(refused.code, Some(2));
    let fault = "ledger.toml:2: unknown key rat in [limits]";
    assert!(refused.stderr.contains(fault), "{}", refused.stderr);

    // A variable that is wrong is an error, too.
    let ran = program()
        .arg("serve")
        .env("WHOSAW_LOG", "whosaw=loud")
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(said.contains("--log-filter"), "{said}");

    write("[log]\nlog-filter = \"error\"\nlog-format = \"json\"\n");
    fs::write(&log, "").unwrap();
    ledger.serve_with(&["--config", &config]);
    let hangup = |ledger: &Ledger| {
        let pid = ledger.server().pid().to_string();
        let sent = Command::new("kill").args(["-HUP", &pid]).status();
        assert!(sent.unwrap().success());
    };
    write("[log]\nlog-filter = \"whosaw=info\"\nlog-format = \"json\"\n[limits]\nqueue = 5\n");
    hangup(&ledger);
    has(
        &log,
        "an option has changed: it takes effect at the next start\",\"key\":\"queue\"",
    );
    has(&log, "the log has another filter");
    write("[limits]\nrat = 5\n");
    hangup(&ledger);
    has(&log, fault);
    let lines = fs::read_to_string(&log).unwrap();
    let read_again = lines.matches("reading again what may change").count();
    assert_eq!(read_again, 1, "the first one was filtered: {lines}");
    ledger.examine();
}

/// Renewals and what callers may ask change at SIGHUP; of what cannot, the log has the name.
#[test]
fn what_can_change_changes_without_a_restart() {
    let mut ledger = stopped();
    let (file, config) = (ledger.path("ledger.toml"), ledger.file("ledger.toml"));
    let write = |renew: u32, rate: u32, queue: u32| {
        let network = "[network]\nmetrics-address = \"127.0.0.1:0\"\n";
        let witnesses = format!("[witnesses]\nrenew = {renew}\n");
        let limits = format!("[limits]\nrate = {rate}\nqueue = {queue}\n");
        fs::write(&file, [network, &witnesses, &limits].concat()).unwrap();
    };
    write(1800, 1, 64);
    ledger.serve_with(&["--config", &config]);
    let published = || ledger.figure("whosaw_published_timestamp_seconds");
    let first = published();
    let status = || ledger.send(&Call::new("GET", "/healthz", [])).status;
    until("too many calls", || (status() == 429).then_some(()));

    write(1, 0, 65);
    let said = ledger.reload("it takes effect at the next start");
    for line in [
        "it is in force key=\"renew\" value=\"1\"",
        "it is in force key=\"rate\" value=\"0\"",
        "it takes effect at the next start key=\"queue\"",
    ] {
        assert_eq!(said.matches(line).count(), 1, "{line}: {said}");
    }
    assert!((0..100).all(|_| status() == 200));
    until("renewed as often as it says now", || {
        (published() >= first + 2.0).then_some(())
    });
    assert_eq!(ledger.figure("whosaw_renew_seconds"), 1.0);
    assert_eq!(ledger.figure("whosaw_queue_limit"), 64.0);
    // What is in force is not told again; what waits is.
    let again = ledger.reload("it takes effect at the next start");
    assert!(!again.contains("it is in force"), "{again}");
    ledger.examine();
}

/// An empty variable replaces neither a key of the file nor a default.
#[test]
fn an_empty_variable_is_unset() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.toml");
    let start = || {
        let mut serve = program();
        serve.args(["serve", "--data", "/nonexistent", "--config"]);
        serve.arg(&file).env("NOTIFY_SOCKET", "");
        serve.env("WHOSAW_LOG", "").env("WHOSAW_LOG_FORMAT", "");
        let ran = serve.output().unwrap();
        assert_eq!(ran.status.code(), Some(2));
        String::from_utf8(ran.stderr).unwrap()
    };
    fs::write(&file, "[log]\nlog-format = \"json\"\n").unwrap();
    let json: serde_json::Value = serde_json::from_str(start().trim()).unwrap();
    assert_eq!(json["level"], "ERROR", "{json}");
    fs::write(&file, "").unwrap();
    let text = start();
    assert!(text.contains("error: /nonexistent"), "{text}");
    // The filter of the file hides the line with which the process ends.
    let text = "[log]\nlog-format = \"json\"\nlog-filter = \"off\"\n";
    fs::write(&file, text).unwrap();
    assert_eq!(start(), "");
}

/// Neither a file that is a pipe now nor a service manager that does not read holds up a server: after a
/// SIGHUP it answers, and one SIGTERM ends it.
#[test]
fn a_hangup_holds_up_no_server() {
    let mut ledger = stopped();
    let listen = ledger.kill_witness(0);
    let full = ledger.path("notify");
    let reader = UnixDatagram::bind(&full).unwrap();
    loop {
        // A socket for each message: the queue of the receiver is to be full, and not a sender's.
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        if sender.send_to(b"READY=1", &full).is_err() {
            break;
        }
    }
    let vkey = ledger.file("operator/log.vkey");
    let commands = [
        (vec!["witness", "serve", "--log", &vkey], "north"),
        (vec!["serve"], "operator"),
    ];
    for (words, folder) in commands {
        let (config, log) = (
            ledger.path("config.toml"),
            ledger.path(folder).with_extension("log"),
        );
        let _ = fs::remove_file(&config);
        fs::write(&config, format!("[network]\nlisten = {listen:?}\n")).unwrap();
        let mut serve = program();
        serve.args(words).arg("--config").arg(&config);
        serve.args(["--data", &ledger.file(folder)]);
        let server = Process::start(serve.env("NOTIFY_SOCKET", &full), &log);
        let answers = || {
            until("an answer", || {
                TcpStream::connect(&listen).ok().and_then(livez)
            })
        };
        answers();
        server.signal("HUP");
        has(&log, "reading again what may change");
        answers();
        fs::remove_file(&config).unwrap();
        let made = Command::new("mkfifo").arg(&config).status();
        assert!(made.unwrap().success());
        server.signal("HUP");
        has(&log, "config.toml: this is not a regular file");
        answers();
        server.signal("TERM");
        server.ends_with(0);
        let lines = fs::read_to_string(&log).unwrap();
        let dropped = lines
            .matches("the service manager was not notified")
            .count();
        assert_eq!(dropped, 1, "{lines}");
    }
    drop(reader);
}

/// Whether a server answers on this connection at all, whatever it answers.
fn livez(mut connection: TcpStream) -> Option<()> {
    connection
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let call = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    connection.write_all(call).ok()?;
    connection.read_exact(&mut [0]).ok()
}

/// systemd may give its socket a name in the abstract namespace of Linux, written with `@`.
#[test]
fn a_service_manager_may_have_an_abstract_socket() {
    let ledger = Ledger::without_witnesses(|_| {});
    let witness = ledger.file("witness");
    done(&["witness", "init", "--data", &witness, "--name", "w.example"]);
    let name = format!("whosaw-test-{}", std::process::id());
    let address = SockAddr::unix(format!("\0{name}")).unwrap();
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
    socket.bind(&address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut serve = program();
    serve.args([
        "witness",
        "serve",
        "--data",
        &witness,
        "--listen",
        "127.0.0.1:0",
    ]);
    serve.args(["--log", &ledger.file("operator/log.vkey")]);
    serve.env("NOTIFY_SOCKET", format!("@{name}"));
    let server = Process::start(&mut serve, &ledger.path("witness.log"));
    let mut message = [0; 4096];
    let length = (&socket).read(&mut message).unwrap();
    assert!(message[..length].starts_with(b"READY=1\nSTATUS="));
    server.signal("TERM");
    server.ends_with(0);
}

/// Everything below a folder.
fn visit(folder: &Path, look: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        look(&path);
        if path.is_dir() {
            visit(&path, look);
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The programs' own umask: whatever they are started with, others can read what is public alone.
#[test]
fn files_belong_to_their_owner_whatever_the_umask() {
    let open = ["sh", "-c", "umask 0; exec \"$0\" \"$@\""];
    let run = |args: &[&str]| {
        let mut command = Command::new(open[0]);
        command
            .args(&open[1..])
            .arg(env!("CARGO_BIN_EXE_whosaw"))
            .args(args);
        assert!(command.stdout(Stdio::null()).status().unwrap().success());
    };
    let ledger = Ledger::without_witnesses(|_| {});
    let (data, witness, limits) = (
        ledger.file("open"),
        ledger.file("witness"),
        ledger.file("limits.json"),
    );
    run(&["witness", "init", "--data", &witness, "--name", "w.example"]);
    run(&[
        "operator",
        "init",
        "--data",
        &data,
        "--origin",
        "open.example/log",
        "--party",
        "open.example",
        "--name",
        "Open",
        "--jurisdiction",
        "US-FL",
        "--limits",
        &limits,
    ]);
    let mut serve = Command::new(open[0]);
    serve.args(&open[1..]).arg(env!("CARGO_BIN_EXE_whosaw"));
    serve.args([
        "serve",
        "--data",
        &data,
        "--listen",
        "127.0.0.1:0",
        "--unwitnessed",
    ]);
    let server = Process::start(&mut serve, &ledger.path("serve.log"));
    until("a checkpoint", || {
        ledger.path("open/log/checkpoint").exists().then_some(())
    });
    run(&["operator", "enrol-code", "--data", &data]);
    let root = ledger.path("open");
    let public = [root.join("log"), root.join("batches")];
    let mut seen = 0;
    for folder in [&root, &ledger.path("witness")] {
        assert_eq!(mode(folder), 0o700);
        visit(folder, &mut |path| {
            let is_public = public.iter().any(|public| path.starts_with(public));
            let expected = match (is_public, path.is_dir()) {
                (true, true) => 0o755,
                (true, false) => 0o644,
                (false, true) => 0o700,
                (false, false) => 0o600,
            };
            assert_eq!(mode(path), expected, "{}", path.display());
            seen += 1;
        });
    }
    assert!(seen > 20);
    server.signal("TERM");
    server.ends_with(0);
}

#[test]
fn a_folder_in_which_others_may_write_is_refused() {
    let ledger = Ledger::without_witnesses(|_| {});
    let (data, witness) = (ledger.file("operator"), ledger.file("witness"));
    done(&["witness", "init", "--data", &witness, "--name", "w.example"]);
    let vkey = ledger.file("operator/log.vkey");
    let serve = ["serve", "--unwitnessed", "--data", &data];
    let cosign = ["witness", "serve", "--log", &vkey, "--data", &witness];
    for (command, folder) in [(&serve[..], "operator"), (&cosign, "witness")] {
        for (open, mode) in [
            (folder.to_owned(), 0o770),
            (format!("{folder}/keys"), 0o702),
        ] {
            let open = ledger.path(&open);
            fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
            let refused = whosaw(&[command, &["--listen", "127.0.0.1:0"]].concat());
            assert_eq!(refused.code, Some(2), "{}", refused.stderr);
            let advice = format!("chmod go-w {}", open.display());
            assert!(refused.stderr.contains(&advice), "{}", refused.stderr);
            fs::set_permissions(&open, fs::Permissions::from_mode(0o711)).unwrap();
        }
    }
    assert!(
        !ledger.path("operator/ledger.db").exists(),
        "nothing was begun"
    );
    // Single files: what others may write is not believed, and what is secret is not shared.
    fs::write(ledger.path("operator/ledger.db"), "").unwrap();
    for (command, file, mode, remedy) in [
        (&serve[..], "operator/party.json", 0o620, "go-w"),
        (&serve, "operator/log.policy", 0o602, "go-w"),
        (&serve, "operator/ledger.db", 0o660, "go-w"),
        (&serve, "operator/keys/officer.key", 0o640, "600"),
        (&serve, "operator/keys/admin.key", 0o604, "600"),
        (&cosign, "witness/witness.name", 0o620, "go-w"),
        (&cosign, "witness/keys/witness.key", 0o604, "600"),
    ] {
        let path = ledger.path(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = whosaw(&[command, &["--listen", "127.0.0.1:0"]].concat());
        assert_eq!(refused.code, Some(2), "{file}: {}", refused.stderr);
        let advice = format!("chmod {remedy} {}", path.display());
        assert!(refused.stderr.contains(&advice), "{}", refused.stderr);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::remove_file(ledger.path("operator/ledger.db")).unwrap();
    // Others may pass through the folder to its log.
    let mut serve = program();
    serve.args([
        "serve",
        "--unwitnessed",
        "--listen",
        "127.0.0.1:0",
        "--data",
        &data,
    ]);
    let server = Process::start(&mut serve, &ledger.path("serve.log"));
    until("a checkpoint", || {
        ledger
            .path("operator/log/checkpoint")
            .exists()
            .then_some(())
    });
    server.signal("TERM");
    server.ends_with(0);
}

/// The check of modes looks at every file that a program keeps in a folder with keys.
#[test]
fn every_file_of_a_folder_with_keys_is_looked_at() {
    let ledger = Ledger::start(|_| {});
    ledger.settle();
    let code = ledger.enrol_code(64, 4);
    ledger.resident("me", &ledger.url(), &code);
    ledger.add_clip("me", "examples/doorbell.mp4");
    done(&["resident", "sync", "--home", &ledger.file("me")]);
    for home in ["operator", "north", "vendor", "agency", "me"] {
        for entry in fs::read_dir(ledger.path(home)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let name = name.trim_end_matches("-wal").trim_end_matches("-shm");
            assert!(own::NAMES.contains(&name), "{home}/{name}");
        }
    }
}

/// A pipe in the place of a file is refused by its name: neither a start, nor a command, nor a SIGHUP waits for
/// whoever would write in it.
#[test]
fn a_pipe_in_the_place_of_a_file_stops_nobody() {
    let mut ledger = Ledger::start(|limits| limits.batch_seconds = 3600);
    let data = ledger.file("operator");
    let root = ledger.path("");
    let pipe = |file: &str| {
        let path = root.join(file);
        fs::rename(&path, path.with_extension("aside")).unwrap();
        let made = Command::new("mkfifo")
            .args(["-m", "600"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
    };
    let put_back = |file: &str| {
        let path = root.join(file);
        fs::rename(path.with_extension("aside"), &path).unwrap();
    };
    for file in ["operator/log.policy", "operator/keys/service.key"] {
        pipe(file);
        let log = ledger.reload("this is not a regular file");
        assert!(log.contains(&ledger.file(file)), "{log}");
        put_back(file);
    }
    assert_eq!(ledger.send(&Call::new("GET", "/livez", [])).status, 200);
    ledger.terminate();
    assert!(ledger.take_server().ended().success());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", &data];
    let keys = ["operator", "keys", "--offline", "--data", &data];
    let versions = ["operator", "versions", "--data", &data];
    let fsck = ["log", "fsck", "--data", &data];
    let commands: [(&str, &[&str]); 12] = [
        ("operator/party.json", &serve),
        ("operator/party.json", &keys),
        ("operator/log.policy", &serve),
        ("operator/log.vkey", &serve),
        ("operator/keys/log.key", &serve),
        ("operator/keys/admin.key", &keys),
        ("operator/ledger.db", &serve),
        ("operator/ledger.db", &versions),
        ("operator/ledger.db", &fsck),
        ("operator/vaults.db", &serve),
        ("operator/queries.db", &versions),
        ("operator/lock", &serve),
    ];
    for (file, command) in commands {
        pipe(file);
        let ran = whosaw(command);
        assert_eq!(ran.code, Some(2), "{file} {command:?}: {}", ran.stdout);
        let says = format!("{}: this is not a regular file", ledger.file(file));
        assert!(
            ran.stderr.contains(&says),
            "{file} {command:?}: {}",
            ran.stderr
        );
        put_back(file);
    }
    let vkey = ledger.file("operator/log.vkey");
    let witness = ["witness", "serve", "--listen", "127.0.0.1:0", "--data"];
    for file in ["east/witness.name", "east/keys/witness.key"] {
        let _ = fs::remove_dir_all(ledger.path("east"));
        let folder = ledger.file("east");
        done(&["witness", "init", "--data", &folder, "--name", "e.example"]);
        pipe(file);
        let ran = whosaw(&[&witness[..], &[folder.as_str(), "--log", &vkey]].concat());
        assert_eq!(ran.code, Some(2), "{file}: {}", ran.stdout);
        assert!(ran.stderr.contains(&ledger.file(file)), "{}", ran.stderr);
    }
}

/// `--unwitnessed` publishes, at the start and at each renewal, and connects to no witness of log.policy.
#[test]
fn an_unwitnessed_log_asks_no_witness() {
    let mut ledger = Ledger::without_witnesses(|_| {});
    let witness = TcpListener::bind("127.0.0.1:0").unwrap();
    witness.set_nonblocking(true).unwrap();
    let url = format!("http://{}", witness.local_addr().unwrap());
    let folder = ledger.file("witness");
    let vkeys = done(&["witness", "init", "--data", &folder, "--name", "w.example"]);
    let data = ledger.file("operator");
    let vkey = vkeys.lines().next().unwrap();
    done(&[
        "operator",
        "add-witness",
        "--data",
        &data,
        "--name",
        "w",
        "--vkey",
        vkey,
        "--url",
        &url,
    ]);
    ledger.serve_with(&[OPEN, &["--unwitnessed", "--renew", "1"]].concat());
    let published = || ledger.figure("whosaw_published_timestamp_seconds");
    let first = published();
    assert!(first > 0.0, "a checkpoint is public");
    until("renewed", || (published() > first).then_some(()));
    assert_eq!(ledger.size(), 2);
    let asked = witness.accept().map(|(_, address)| address);
    assert_eq!(asked.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let checkpoint = File::open(ledger.path("operator/log/checkpoint"));
    let note = std::io::read_to_string(checkpoint.unwrap()).unwrap();
    assert!(!note.contains("w.example"), "{note}");
}
