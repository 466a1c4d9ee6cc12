//! Servers as processes of their own, and what the kernel says of them.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program that people run.
pub const WHOSAW: &str = env!("CARGO_BIN_EXE_whosaw");

/// Limits of `whosaw serve` on what one address and one party may ask: all load comes from one.
const LIMITS: [&str; 5] = [
    "--rate",
    "--address-limit",
    "--party-limit",
    "--waiting-limit",
    "--address-connections",
];

/// A server; it is killed when this is dropped.
pub struct Server {
    child: Child,
    /// Host and port.
    pub authority: String,
    /// From its start until it listened.
    pub started_in: Duration,
}

impl Server {
    /// Starts `program`, which says where it listens.
    pub fn start(program: impl AsRef<Path>, arguments: &[&str]) -> Self {
        let since = Instant::now();
        let mut child = Command::new(program.as_ref())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a program");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let listens = |line: std::io::Result<String>| {
            let line = line.ok()?;
            Some(line.strip_prefix("listening on http://")?.to_owned())
        };
        let authority = lines.filter_map(listens).next();
        Self {
            authority: authority.unwrap_or_else(|| panic!("{arguments:?} does not listen")),
            started_in: since.elapsed(),
            child,
        }
    }

    /// Serves the log of an operator's folder, without limits.
    pub fn log(operator: &Path, more: &[&str]) -> Self {
        let data = operator.to_str().expect("a path in UTF-8");
        let listen = ["serve", "--data", data, "--listen", "127.0.0.1:0"];
        let limits = LIMITS.iter().flat_map(|limit| [limit, "0"]);
        let all = listen.into_iter().chain(limits).chain(more.iter().copied());
        Self::start(WHOSAW, &all.collect::<Vec<_>>())
    }

    /// Memory that no file backs (RssAnon and RssShmem), in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a process that runs");
        let kib = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
        let counted = |line: &&str| line.starts_with("RssAnon:") || line.starts_with("RssShmem:");
        status.lines().filter(counted).filter_map(kib).sum::<u64>() * 1024
    }

    /// Processor time so far, on all cores.
    pub fn cpu(&self) -> Duration {
        cpu(&self.child.id().to_string())
    }

    /// Asks it to finish what it accepted, and waits for its end.
    pub fn stop(mut self) {
        terminate(&self.child);
        let ended = self.child.wait().expect("its end");
        assert!(ended.success(), "{ended}");
    }
}

/// nginx with a folder as `/log/`.
pub struct Nginx {
    child: Child,
    /// Host and port.
    pub authority: String,
}

impl Nginx {
    /// Starts it with a worker for each core, its own files in `home`; `None` if there is none. Each
    /// worker keeps as many files open as a process usually may.
    pub fn start(home: &Path, log: &Path) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let authority = free.local_addr().expect("its address").to_string();
        drop(free);
        let (home, log) = (home.display(), log.display());
        // The master may be root, and the folder is for its owner alone.
        let config = format!(
            "daemon off; pid {home}/nginx.pid; error_log stderr; worker_processes auto; user root;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off; sendfile off; default_type application/octet-stream;
                 open_file_cache max=16000 inactive=1h; open_file_cache_valid 1h;
                 keepalive_requests 1000000000; tcp_nodelay on;
                 client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
                 fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi;
                 scgi_temp_path {home}/scgi;
                 server {{
                     listen {authority};
                     location /log/ {{
                         alias {log}/;
                         add_header Cache-Control \"public, max-age=31536000, immutable\";
                         add_header X-Content-Type-Options nosniff;
                     }}
                 }}
             }}"
        );
        let path = format!("{home}/nginx.conf");
        std::fs::write(&path, config).expect("a file");
        let start = |program| Command::new(program).args(["-c", &path]).spawn().ok();
        let child = ["nginx", "/usr/sbin/nginx"].into_iter().find_map(start)?;
        let mut nginx = Self { child, authority };
        while TcpStream::connect(&nginx.authority).is_err() {
            let ended = nginx.child.try_wait().expect("a child");
            assert!(ended.is_none(), "nginx does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(nginx)
    }

    /// Processor time of its workers so far, on all cores.
    pub fn cpu(&self) -> Duration {
        let pid = self.child.id();
        let workers = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let workers = workers.expect("a process that runs");
        workers.split_whitespace().map(cpu).sum()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Killed, it would leave its workers behind.
        if matches!(self.child.try_wait(), Ok(None)) {
            terminate(&self.child);
        }
        let _ = self.child.wait();
    }
}

/// Asks a process to come to its end.
fn terminate(child: &Child) {
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// Processor time of a process so far, by its number or `self`.
pub fn cpu(process: &str) -> Duration {
    /// Of what `/proc` counts in, on Linux everywhere.
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    let stat = stat.expect("a process that runs");
    // The second field is a name in brackets and may hold spaces.
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.map(|n| n.parse::<u64>().expect("a number")).sum();
    Duration::from_secs_f64(ticks as f64 / TICKS_A_SECOND)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `whosaw` to its end, which must be a good one; what it prints.
pub fn whosaw(arguments: &[&str]) -> String {
    let output = Command::new(WHOSAW)
        .args(arguments)
        .output()
        .expect("the program");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}
