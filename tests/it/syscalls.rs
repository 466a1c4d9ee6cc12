//! A machine that fails: one system call of the real server at a time, a disk that is full, a folder
//! that is read-only. Whatever was answered stays, and the next start comes to a log that verifies.
//!
//! These need `strace`, root and minutes, so `cargo test` passes over them:
//! `cargo test --test it -- --ignored`. Removals that fail are tested in `ledger::tests` alone: the
//! log removes files at every 256th entry. `strace` counts calls thread by thread: each thread's
//! N-th fails. The witnesses run on as they are, and a log that forked would get no cosignature from
//! them any more.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use whosaw::party::home::Home;

use super::crash::{Sent, check};
use super::ledger::{Ledger, OPEN, PATIENCE, Server, done, signed_benefit, submission, whosaw};

const SENDERS: usize = 3;
/// Statements that each of them sends while calls fail.
const STATEMENTS: usize = 5;
/// The longest that they may take before the server is killed: a call that failed may leave it so
/// that it answers nobody.
const LIFE: Duration = Duration::from_secs(3);
/// After this a server has work under way.
const UNDER_LOAD: Duration = Duration::from_millis(30);

/// Calls that write, and how a disk fails them, by turns.
const WRITING: [(&str, [&str; 2]); 7] = [
    ("openat", ["EIO", "EMFILE"]),
    ("write", ["ENOSPC", "EIO"]),
    ("pwrite64", ["EIO", "ENOSPC"]),
    ("fsync,fdatasync", ["EIO", "ENOSPC"]),
    ("link,linkat,rename,renameat,renameat2", ["EIO", "ENOSPC"]),
    ("mkdir,mkdirat", ["ENOSPC", "EIO"]),
    ("chmod,fchmod,fchmodat", ["EIO", "EROFS"]),
];

/// Calls without which nothing becomes durable, so that a run without them tests nothing.
const EXPECTED: [&str; 4] = ["openat", "write", "pwrite64", "fsync,fdatasync"];

/// Which of a thread's calls fails, life after life: each of the first few, then fewer of many.
fn turns() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1), |when| Some(when + 1 + when / 3))
}

/// `strace` on a server that runs, until that ends.
struct Tracer(Child);

impl Tracer {
    /// Lets the calls fail from now on.
    fn attach(server: &Server, inject: &str, output: &Path) -> Self {
        let pid = server.pid();
        let child = Command::new("strace")
            .args(["-f", "-qq", "-e", &format!("inject={inject}")])
            .args(["-p", &pid.to_string(), "-o"])
            .arg(output)
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is installed");
        let since = Instant::now();
        while !is_traced(pid) {
            assert!(since.elapsed() < PATIENCE, "strace does not attach");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether every thread has a tracer.
fn is_traced(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.flatten().all(|task| {
        let status = std::fs::read_to_string(task.path().join("status"));
        status.is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
    })
}

/// Whether a call was made to fail.
fn has_failed(output: &Path) -> bool {
    let trace = std::fs::read_to_string(output).unwrap_or_default();
    trace.contains("(INJECTED)")
}

/// Sends statements to a server until all are answered, it is gone, or `life` is over; then kills it.
fn send_and_kill(server: Server, vendor: &Home, life: Duration) -> Sent {
    let (sent, authority) = (Mutex::new(Sent::new()), server.authority.clone());
    let send = || {
        for _ in 0..STATEMENTS {
            let envelope = signed_benefit(vendor);
            let answer = submission(&envelope.to_json()).send(&authority);
            let gone = answer.is_err();
            let logged = answer.ok().and_then(|answer| {
                assert!(matches!(answer.status, 201 | 202 | 500..), "{answer:?}");
                // Answered without a proof, it is durable all the same.
                let logged = answer.status < 300;
                logged.then(|| serde_json::from_slice(&answer.body).unwrap())
            });
            sent.lock().unwrap().push((envelope, logged));
            if gone {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
        let since = Instant::now();
        while !senders.iter().all(|sender| sender.is_finished()) && since.elapsed() < life {
            std::thread::sleep(Duration::from_millis(5));
        }
        server.kill();
    });
    sent.into_inner().unwrap()
}

/// A ledger with what tests send to it, and what it has answered.
struct Subject {
    ledger: Ledger,
    vendor: Home,
    answered: Sent,
}

impl Subject {
    fn new() -> Self {
        // No batches: they would be logged while files are being verified.
        let ledger = Ledger::start(|limits| limits.batch_seconds = 86_400);
        ledger.settle();
        let vendor = ledger.home("vendor");
        Self {
            ledger,
            vendor,
            answered: Sent::new(),
        }
    }

    /// Starts the server after a failure; all that `sent` says must hold.
    fn recover(&mut self, sent: Sent) {
        self.ledger.serve();
        self.answered
            .extend(check(&self.ledger, &self.ledger.policy(), sent));
    }

    /// Checks all that was ever answered, and the data once nobody writes it.
    fn examine(&mut self) {
        let all = std::mem::take(&mut self.answered);
        self.answered = check(&self.ledger, &self.ledger.policy(), all);
        self.ledger.examine();
        self.ledger.serve();
    }
}

/// A small disk of its own under the operator's folder, until this is dropped.
struct Disk(PathBuf);

impl Disk {
    /// Moves the folder of a ledger that does not run onto it.
    fn under(folder: PathBuf) -> Self {
        let was = folder.with_extension("was");
        std::fs::rename(&folder, &was).unwrap();
        std::fs::create_dir(&folder).unwrap();
        let disk = Self(folder);
        disk.mount(&["-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs"]);
        let mut copy = Command::new("cp");
        let copied = copy.arg("-a").arg(was.join(".")).arg(&disk.0).status();
        assert!(copied.unwrap().success());
        // It is another device than the one that the ledger was used on.
        let data = disk.0.to_str().unwrap();
        done(&["operator", "adopt", "--data", data, "--yes"]);
        disk
    }

    fn mount(&self, args: &[&str]) {
        let mounted = Command::new("mount").args(args).arg(&self.0).status();
        assert!(mounted.unwrap().success(), "root can mount {args:?}");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Fills it up, all but `left` bytes.
    fn fill(&self, left: u64) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let full = std::io::copy(&mut std::io::repeat(0), &mut ballast).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        let length = ballast.metadata().unwrap().len();
        ballast.set_len(length - left).unwrap();
    }

    fn make_space(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The disk fills up under a server; the next starts on the full disk, and the one after that with
/// space again.
#[test]
#[ignore = "needs root"]
fn a_full_disk_loses_nothing() {
    let mut subject = Subject::new();
    subject.ledger.take_server().kill();
    let disk = Disk::under(subject.ledger.path("operator"));
    subject.ledger.serve();
    let mut unanswered = 0;
    for left in [0, 4, 8, 16, 32, 64, 128, 256, 512].map(|kib| kib << 10) {
        disk.fill(left);
        let server = subject.ledger.take_server();
        let mut sent = send_and_kill(server, &subject.vendor, LIFE);
        if let Some(server) = subject.ledger.try_serve(&[], OPEN) {
            sent.extend(send_and_kill(server, &subject.vendor, LIFE));
        }
        disk.make_space();
        unanswered += sent.iter().filter(|(_, logged)| logged.is_none()).count();
        subject.recover(sent);
    }
    assert!(unanswered > 0, "the disk was never full");
    subject.examine();
}

/// A server does not start on a disk that takes nothing, and says so.
#[test]
#[ignore = "needs root"]
fn a_read_only_disk_is_refused() {
    let mut subject = Subject::new();
    let server = subject.ledger.take_server();
    let sent = send_and_kill(server, &subject.vendor, UNDER_LOAD);
    let disk = Disk::under(subject.ledger.path("operator"));
    disk.mount(&["-o", "remount,ro"]);
    let data = subject.ledger.file("operator");
    let ran = whosaw(&["serve", "--data", &data, "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("Read-only file system"),
        "{}",
        ran.stderr
    );
    disk.mount(&["-o", "remount,rw"]);
    subject.recover(sent);
    subject.examine();
    subject.ledger.take_server().kill();
}

#[test]
#[ignore = "needs strace, and minutes"]
fn one_failing_call_at_a_time_loses_nothing() {
    let mut subject = Subject::new();
    let output = subject.ledger.path("trace");
    for (calls, errors) in WRITING {
        let (mut failed, mut answered) = (0, 0);
        for (when, error) in turns().zip(errors.into_iter().cycle()) {
            let server = subject.ledger.take_server();
            let inject = format!("{calls}:error={error}:when={when}");
            let tracer = Tracer::attach(&server, &inject, &output);
            let sent = send_and_kill(server, &subject.vendor, LIFE);
            drop(tracer);
            answered += sent.iter().filter(|(_, logged)| logged.is_some()).count();
            subject.recover(sent);
            if !has_failed(&output) {
                break;
            }
            failed += 1;
        }
        subject.examine();
        println!("{calls}: {failed} failures, {answered} answered meanwhile");
        assert!(
            failed > 0 || !EXPECTED.contains(&calls),
            "{calls} is not called"
        );
    }
}

/// Starts fail at their calls, until one start has so many no more. Before each the server is killed
/// under load, so that there is something to mend.
#[test]
#[ignore = "needs strace, and minutes"]
fn a_start_that_fails_changes_nothing() {
    let mut subject = Subject::new();
    let output = subject.ledger.path("trace");
    for (calls, errors) in WRITING {
        let (mut failed, mut refused) = (0, 0);
        for (when, error) in turns().zip(errors.into_iter().cycle()) {
            let server = subject.ledger.take_server();
            let mut sent = send_and_kill(server, &subject.vendor, UNDER_LOAD);
            let inject = format!("inject={calls}:error={error}:when={when}");
            let trace = output.to_str().unwrap();
            let strace = ["strace", "-D", "-f", "-qq", "-o", trace, "-e", &inject];
            match subject.ledger.try_serve(&strace, OPEN) {
                Some(server) => sent.extend(send_and_kill(server, &subject.vendor, LIFE)),
                None => refused += 1,
            }
            subject.recover(sent);
            if !has_failed(&output) {
                break;
            }
            failed += 1;
        }
        subject.examine();
        println!("{calls}: {failed} starts with a failure, {refused} refused to go on");
    }
}
