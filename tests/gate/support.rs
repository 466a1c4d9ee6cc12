//! Running `whosaw` from tests: real processes in a folder of their own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// What a command came to.
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Outcome {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn both(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// Asserts that the command refused, and that it said why in these words.
    pub fn refused(&self, why: &str) {
        assert_ne!(self.code, 0, "{}", self.both());
        assert!(
            self.both().contains(why),
            "expected {why:?} in: {}",
            self.both()
        );
    }
}

pub fn command(root: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whosaw"));
    command
        .args(line.split_whitespace())
        .current_dir(root)
        .stdin(Stdio::null());
    command
}

/// Runs a command that must succeed.
pub fn run(root: &Path, line: &str) -> String {
    let outcome = Outcome::of(command(root, line).output().unwrap());
    assert_eq!(outcome.code, 0, "{line}: {}", outcome.both());
    outcome.out
}

/// Starts a server that ends with this process, however that ends: the shell waits for the end of
/// its input, which nobody else holds.
pub fn start(root: &Path, running: &mut Vec<Child>, line: &str) -> String {
    let log = std::fs::File::create(root.join(format!("server-{}.log", running.len()))).unwrap();
    let mut child = Command::new("sh")
        .args([
            "-c",
            r#""$0" "$@" & server=$!; cat >/dev/null; kill $server"#,
        ])
        .arg(env!("CARGO_BIN_EXE_whosaw"))
        .args(line.split_whitespace())
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    running.push(child);
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
    address.expect("it listens")
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Makes the folder of a ledger with short periods and two witnesses, which run; their addresses.
pub fn make_ledger(root: &Path, running: &mut Vec<Child>) -> Vec<String> {
    use whosaw::statement::kinds::Kind as _;
    use whosaw::statement::kinds::limits::Limits;
    let limits = Limits {
        batch_seconds: 1,
        decision_minutes: 1,
        new_key_wait_minutes: 0,
        ..Limits::example()
    };
    std::fs::write(
        root.join("limits.json"),
        serde_json::to_string(&limits).unwrap(),
    )
    .unwrap();
    run(
        root,
        "operator init --data operator --origin ledger.example/log --party operator.example --name Operator --jurisdiction US-FL --limits limits.json",
    );
    let witness = |name: &str| {
        let vkey = run(
            root,
            &format!("witness init --data {name} --name {name}.example"),
        );
        let url = start(
            root,
            running,
            &format!("witness serve --data {name} --log operator/log.vkey --listen 127.0.0.1:0"),
        );
        run(
            root,
            &format!(
                "operator add-witness --data operator --name {name} --vkey {} --url {url}",
                vkey.lines().next().unwrap()
            ),
        );
        url
    };
    ["newsroom", "university"].map(witness).into()
}

/// Waits until it is so.
pub fn until(mut is_so: impl FnMut() -> bool) {
    let since = std::time::Instant::now();
    while !is_so() {
        assert!(since.elapsed().as_secs() < 60, "it is not so");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
