//! `whosaw demo`: the whole story, told by running `whosaw` commands and printing each one.
//!
//! Every party has a folder of its own below the data folder; servers and witnesses are processes of
//! their own. Nothing here knows a secret or takes a shortcut: what a command prints is all it has.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use super::output::Output;
use crate::store::secrets::SecretFile;
use crate::time::{Clock, Time};

/// Play the whole story with every command it runs, and check how it ends
///
/// A ledger and two witnesses start; a vendor and a police agency log their agreement; the agency
/// asks for footage; one resident says yes, one says no, one takes her yes back; the agency collects;
/// somebody gives a clip to everybody; everybody checks who saw what; a watchdog verifies it all. Takes less than a minute.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whosaw demo --data story --stay")]
pub struct Args {
    /// Where the parties' folders go; default: a temporary folder, kept and named
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Keep serving at the end, to look around
    #[arg(long)]
    stay: bool,
}

const CLIPS: [(&str, &[u8]); 3] = [
    (
        "doorbell.mp4",
        include_bytes!("../../examples/doorbell.mp4"),
    ),
    ("porch.mp4", include_bytes!("../../examples/porch.mp4")),
    ("garage.mp4", include_bytes!("../../examples/garage.mp4")),
];
const MEMORANDUM: &[u8] = include_bytes!("../../examples/lakeland/memorandum.txt");
const TERMS: &[u8] = include_bytes!("../../examples/lakeland/terms.json");
const MESSAGE: &[u8] = include_bytes!("../../examples/lakeland/message.txt");
const LIMITS: &[u8] = include_bytes!("../../examples/limits-trial.json");
const SCOPE: &[u8] = include_bytes!("../../examples/lakeland/scope.geojson");

/// How often the log is looked at for commitments, and how long: many of the demo ledger's batch
/// periods.
const LOOK_FOR_BATCH: Duration = Duration::from_millis(500);
const LONGEST_BATCH: Duration = Duration::from_secs(60);
/// Commitments of a clip.
const COMMITMENTS: usize = 4;
const RESIDENTS: [&str; 3] = ["ana", "ben", "cleo"];

/// A line as a shell would read it: words, or what stands in single quotes.
fn words(line: &str) -> Vec<&str> {
    let quoted = line.split('\'').zip([false, true].into_iter().cycle());
    let mut words = Vec::new();
    for (part, is_quoted) in quoted {
        if is_quoted {
            words.push(part);
        } else {
            words.extend(part.split_whitespace());
        }
    }
    words
}

/// Plays the story.
///
/// # Errors
/// If any command does not end as the story has it.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let folder = match &args.data {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            folder.canonicalize()?
        }
        None => tempfile::Builder::new()
            .prefix("whosaw-demo-")
            .tempdir()?
            .keep(),
    };
    if std::fs::read_dir(&folder)?.next().is_some() {
        bail!("{} is not empty: name another folder", folder.display());
    }
    let mut stage = Stage::new(folder)?;
    stage.props()?;
    let server = stage.ledger()?;
    let agreement = stage.agreement(&server)?;
    stage.residents(&server)?;
    let request = stage.request(&agreement)?;
    stage.answers(&request)?;
    stage.collection(&request)?;
    stage.publication(&server)?;
    stage.reports()?;
    stage.watchdog(&server)?;
    stage.end(&agreement)?;
    stage.epilogue(&request);
    if args.stay {
        stage.stay(&server)?;
    }
    Ok(Exit::Yes)
}

/// The folder in which the story plays, and the processes that run in it.
struct Stage {
    folder: PathBuf,
    program: PathBuf,
    running: Vec<Child>,
    now: Time,
    colour: bool,
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Stage {
    fn new(folder: PathBuf) -> anyhow::Result<Self> {
        println!(
            "Everything happens in {}; each party has its own folder there.",
            folder.display()
        );
        println!("Commands are printed as they run, from inside that folder.");
        Ok(Self {
            folder,
            program: std::env::current_exe()?,
            running: Vec::new(),
            now: Clock::system().now(),
            colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        })
    }

    fn style(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn chapter(&self, title: &str) {
        println!("\n{}", self.style("1", &format!("== {title}")));
    }

    fn tell(&self, text: &str) {
        println!("{text}");
    }

    fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words);
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// The command of a line, which is printed.
    fn command(&self, line: &str) -> Command {
        println!("{}", self.style("36", &format!("$ whosaw {line}")));
        self.program(&words(line))
    }

    /// Runs a command that must end with `code`; what it printed.
    fn run_to(&self, code: i32, line: &str) -> anyhow::Result<String> {
        let output = self.command(line).stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8(output.stdout)?;
        for line in text.lines() {
            println!("  {line}");
        }
        Output::lock().flush()?;
        match output.status.code() {
            Some(found) if found == code => Ok(text),
            _ => bail!(
                "that ended with {}, where {code} was expected",
                output.status
            ),
        }
    }

    fn run(&self, line: &str) -> anyhow::Result<String> {
        self.run_to(0, line)
    }

    fn run_json(&self, line: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.run(line)?)?)
    }

    /// Starts a command that serves; the address it printed.
    fn start(&mut self, line: &str) -> anyhow::Result<String> {
        let mut command = self.command(line);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("servers.log"))?;
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn()?;
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        self.running.push(child);
        for line in lines {
            let line = line?;
            println!("  {line}");
            if let Some(address) = line.strip_prefix("listening on ") {
                return Ok(address.to_owned());
            }
        }
        let log = std::fs::read_to_string(self.folder.join("servers.log"))?;
        bail!("it ended before it listened: {log}");
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())
    }

    fn ago(&self, hours: i64) -> anyhow::Result<Time> {
        let ago = self.now.checked_add_seconds(-hours * 3600);
        Ok(ago.context("the clock shows the year 1")?.cut_to_minute())
    }

    /// The documents and clips that the parties bring.
    fn props(&self) -> anyhow::Result<()> {
        for (name, bytes) in CLIPS {
            self.write(name, bytes)?;
        }
        self.write("memorandum.txt", MEMORANDUM)?;
        self.write("terms.json", TERMS)?;
        self.write("message.txt", MESSAGE)?;
        self.write("case-number.txt", b"2019-001234\n")?;
        self.write("scope.geojson", SCOPE)?;
        // A real ledger's periods are hours and days; this one's are as short as the story needs.
        self.write("limits.json", LIMITS)
    }

    fn ledger(&mut self) -> anyhow::Result<String> {
        self.chapter("An operator starts a ledger; a newsroom and a university witness it");
        self.run("operator init --data operator --origin ledger.example/log --party operator.example --name 'Ledger Operator' --jurisdiction US-FL --limits limits.json --vendor doorbell.example")?;
        for name in ["newsroom", "university"] {
            let host = format!("{name}.example");
            let vkey = self.run(&format!("witness init --data {name} --name {host}"))?;
            let address = self.start(&format!(
                "witness serve --data {name} --log operator/log.vkey --listen 127.0.0.1:0"
            ))?;
            self.run(&format!(
                "operator add-witness --data operator --name {name} --vkey {} --url {address}",
                vkey.lines().next().unwrap_or_default()
            ))?;
        }
        self.start("serve --data operator --listen 127.0.0.1:0")
    }

    fn agreement(&self, server: &str) -> anyhow::Result<String> {
        self.chapter("A vendor and a police agency register");
        self.tell("Each makes its keys, signs its registration, and the operator countersigns.");
        for (kind, party, name, jurisdiction, label) in [
            (
                "vendor",
                "doorbell.example",
                "Doorbell Inc.",
                "US-CA",
                "sales-1",
            ),
            (
                "agency",
                "lakelandgov.example",
                "Lakeland Police",
                "US-FL",
                "detective-4",
            ),
        ] {
            self.run(&format!("{kind} init --home {kind} --party {party} --name '{name}' --jurisdiction {jurisdiction} --server {server} --trust operator/log.policy --officer-label {label}"))?;
            let file = format!("{kind}.dsse");
            self.run(&format!("{kind} register --home {kind} -o {file}"))?;
            self.run(&format!(
                "operator approve {file} --data operator --server {server} --yes"
            ))?;
        }
        self.chapter("Their agreement goes into the public log, before anything else can");
        self.run("vendor agreement --home vendor --with lakelandgov.example --terms terms.json --document memorandum.txt --sign-only -o agreement.dsse")?;
        self.run("countersign agreement.dsse --document memorandum.txt --home agency --yes")?;
        let logged = self.run_json(&format!(
            "submit agreement.dsse --server {server} --trust operator/log.policy --json"
        ))?;
        let agreement = id(&logged)?;
        self.run(&format!("vendor benefit --home vendor --kind equipment --giver doorbell.example --receiver lakelandgov.example --agreement {agreement} --item doorbell-camera --count 15"))?;
        self.run(&format!("vendor benefit --home vendor --kind credit-accrued --giver doorbell.example --receiver lakelandgov.example --agreement {agreement} --minor-units 12000 --currency USD --downloads 12"))?;
        Ok(agreement)
    }

    fn residents(&self, server: &str) -> anyhow::Result<()> {
        self.chapter(
            "Three residents of one street store their clips, sealed on their own devices",
        );
        for (name, place, clip) in [
            ("ana", "28.03950,-81.94980", "doorbell.mp4"),
            ("ben", "28.03990,-81.94910", "porch.mp4"),
            ("cleo", "28.03890,-81.95060", "garage.mp4"),
        ] {
            let code = self.run("operator enrol-code --data operator")?;
            let camera = format!("front={place}");
            let kept = self.folder.join(format!("{name}.code"));
            SecretFile::at(&kept).write_new(code.as_bytes())?;
            self.run(&format!("resident init --home {name} --server {server} --trust operator/log.policy --code-file {name}.code --jurisdiction US-FL --camera {camera}"))?;
            std::fs::remove_file(&kept)?;
            self.add(name, clip, 2)?;
        }
        self.tell("Their commitments are anchored in the log with the next batch.");
        self.anchored(1)
    }

    /// Waits until the log holds all commitments of so many clips of each resident.
    fn anchored(&self, clips: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + LONGEST_BATCH;
        for name in RESIDENTS {
            loop {
                let report = ["resident", "report", "--home", name, "--json"];
                let output = self.program(&report).output()?;
                let report: Value = serde_json::from_slice(&output.stdout)
                    .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
                let stored = report["clips"].as_array().context("a report lists clips")?;
                let is_anchored = |clip: &Value| clip["anchored"] == COMMITMENTS;
                if stored.len() == clips && stored.iter().all(is_anchored) {
                    break;
                }
                if Instant::now() > deadline {
                    bail!("no batch has the commitments of {name}'s clips");
                }
                std::thread::sleep(LOOK_FOR_BATCH);
            }
        }
        Ok(())
    }

    fn add(&self, name: &str, clip: &str, hours_ago: i64) -> anyhow::Result<()> {
        let from = self.ago(hours_ago)?;
        let until = self.ago(hours_ago)?.checked_add_seconds(60);
        let until = until.context("the clock shows the year 9998")?;
        self.run(&format!(
            "resident add {clip} --home {name} --camera front --from {from} --until {until}"
        ))?;
        Ok(())
    }

    fn request(&self, agreement: &str) -> anyhow::Result<String> {
        self.chapter("The agency asks for footage: in public, the case number sealed");
        let (from, until) = (self.ago(3)?, self.ago(1)?);
        let logged = self.run_json(&format!("agency request --home agency --agreement {agreement} --scope scope.geojson --from {from} --until {until} --message message.txt --offence 220 --case-number-file case-number.txt --seal-days 30 --deadline-in 60 --asks time,video --json"))?;
        id(&logged)
    }

    fn answers(&self, request: &str) -> anyhow::Result<()> {
        self.chapter("Each device finds the request by itself; each owner decides");
        for name in ["ana", "ben", "cleo"] {
            self.run(&format!("resident inbox --home {name}"))?;
        }
        self.tell("Ana says yes. Ben says no: nothing is sent. Cleo says yes, and takes it back.");
        self.run(&format!("resident allow {request} --home ana --yes"))?;
        self.run(&format!("resident refuse {request} --home ben"))?;
        self.run(&format!("resident allow {request} --home cleo --yes"))?;
        self.run(&format!("resident withdraw {request} --home cleo"))?;
        self.tell("With their next clips, all devices send eight more commitments; one of Ben's is his no.");
        for (name, clip) in [
            ("ana", "doorbell.mp4"),
            ("ben", "porch.mp4"),
            ("cleo", "garage.mp4"),
        ] {
            self.add(name, clip, 0)?;
        }
        self.anchored(2)
    }

    fn collection(&self, request: &str) -> anyhow::Result<()> {
        self.chapter("The agency collects: first in the log, then the key");
        self.run("agency inbox --home agency")?;
        self.run_to(1, "agency collect --home agency --out evidence")?;
        self.tell("Ana's device sees the collection in a witnessed checkpoint, and hands over.");
        self.run("resident sync --home ana")?;
        self.run("agency collect --home agency --out evidence")?;
        self.run(&format!(
            "agency export-identity {request} --home agency -o evidence/identity.txt"
        ))?;
        let collected: Vec<PathBuf> = std::fs::read_dir(self.folder.join("evidence"))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        let clips: Vec<&PathBuf> = collected.iter().filter(|path| ends(path, "mp4")).collect();
        match clips.as_slice() {
            [clip] if std::fs::read(clip)? == CLIPS[0].1 => {}
            _ => bail!("the agency should hold Ana's clip, bit for bit, and no other"),
        }
        let sealed = collected
            .iter()
            .find(|path| ends(path, "age"))
            .context("the age file")?;
        let sealed = sealed.strip_prefix(&self.folder)?.display();
        self.tell(
            "What it holds is Ana's clip, bit for bit. Any age program opens the sealed file:",
        );
        println!("  age -d -i evidence/identity.txt {sealed} > clip.mp4");
        Ok(())
    }

    fn publication(&self, server: &str) -> anyhow::Result<()> {
        self.chapter("Somebody gives a clip to everybody, and the log does not say who");
        let report = self.run_json("resident report --home ben --json")?;
        let clip = report["clips"][1]["clip"]
            .as_str()
            .context("Ben's second clip")?;
        self.run(&format!("resident publish {clip} --home ben --yes"))?;
        let log = format!("--log {server}/log --policy operator/log.policy");
        self.run(&format!("log published {log}"))?;
        let published = self.run_json(&format!("log published {log} --json"))?;
        let disclosure = id(&published[0])?;
        let fetched =
            self.run_json(&format!("log fetch {disclosure} {log} --out public --json"))?;
        let plain = fetched["clip"]["plain"]
            .as_str()
            .context("an opened clip")?;
        if std::fs::read(self.folder.join(plain))? != CLIPS[1].1 {
            bail!("everybody should hold the clip, bit for bit");
        }
        self.tell("Any age program opens the sealed file, by the identity that everybody has.");
        Ok(())
    }

    fn reports(&self) -> anyhow::Result<()> {
        self.chapter("Who saw my footage?");
        for name in ["ana", "ben", "cleo"] {
            self.run(&format!("resident sync --home {name}"))?;
            let proofs = format!("{name}/proofs");
            self.run(&format!("resident report --home {name} --proofs {proofs}"))?;
        }
        self.tell("Ben can show his no to whom he likes; nobody else can tell it from a clip.");
        let decision = std::fs::read_dir(self.folder.join("ben/proofs"))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .find(|name| name.starts_with("decision-"))
            .context("Ben's refusal is anchored")?;
        let decision = format!("ben/proofs/{decision}");
        self.run(&format!(
            "resident check-decision {decision} --trust operator/log.policy"
        ))?;
        Ok(())
    }

    fn watchdog(&self, server: &str) -> anyhow::Result<()> {
        self.chapter("A watchdog, with nothing but the address and the trust file");
        let log = format!("{server}/log");
        self.run(&format!(
            "log verify --log {log} --policy operator/log.policy"
        ))?;
        Ok(())
    }

    fn end(&self, agreement: &str) -> anyhow::Result<()> {
        self.chapter("The agency ends the agreement and returns the cameras");
        self.run(&format!(
            "agency end-agreement {agreement} --home agency --reason will-not-promote-a-brand"
        ))?;
        self.run(&format!("agency benefit --home agency --kind returned --giver lakelandgov.example --receiver doorbell.example --agreement {agreement} --item doorbell-camera --count 15"))?;
        self.run("log verify --log operator/log --policy operator/log.policy")?;
        Ok(())
    }

    fn epilogue(&self, request: &str) {
        self.chapter("What each can check now");
        let folder = self.folder.display();
        println!("In {folder}, also when the ledger has ended:");
        let short = &request[..12];
        for (who, what, command) in [
            (
                "Ana",
                "who saw her clip, a proof for each line",
                "whosaw resident report --home ana --offline".to_owned(),
            ),
            (
                "Ben",
                "that his no was made by then, and is nobody's business",
                "whosaw resident report --home ben --offline".to_owned(),
            ),
            (
                "Cleo",
                "that nothing of hers was handed over",
                "whosaw resident report --home cleo --offline".to_owned(),
            ),
            (
                "the agency",
                "what it asked, and what it was given",
                "whosaw agency inbox --home agency     # only with --stay".to_owned(),
            ),
            (
                "the vendor",
                "what stands in the log under its name",
                "whosaw log list --log operator/log --policy operator/log.policy".to_owned(),
            ),
            (
                "anybody",
                "the request, in plain words",
                format!("whosaw log show {short} --log operator/log --policy operator/log.policy"),
            ),
            (
                "a watchdog",
                "everything, from entry 0",
                "whosaw log verify --log operator/log --policy operator/log.policy".to_owned(),
            ),
        ] {
            println!("  {who}: {what}\n    {}", self.style("36", &command));
        }
    }

    /// Keeps serving until interrupted or terminated, and ends with all that it started.
    fn stay(&mut self, server: &str) -> anyhow::Result<()> {
        const LOOK: Duration = Duration::from_millis(200);
        let ledger = self.running.last_mut().context("a running ledger")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut terminated = signal(SignalKind::terminate())?;
            let mut interrupted = signal(SignalKind::interrupt())?;
            println!("\nThe ledger keeps running at {server} until you press Ctrl-C.");
            while ledger.try_wait()?.is_none() {
                tokio::select! {
                    _ = terminated.recv() => break,
                    _ = interrupted.recv() => break,
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            Ok(())
        })
    }
}

fn id(logged: &Value) -> anyhow::Result<String> {
    let id = logged["id"].as_str().context("an answer with an id")?;
    Ok(id.to_owned())
}

fn ends(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}
