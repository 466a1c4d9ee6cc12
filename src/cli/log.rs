//! `whosaw log`: what anyone can do with a ledger's public log.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::Exit;
use crate::digest::StatementId;
use crate::reader::follower::{Entry, Follower};
use crate::reader::source::{self, LogSource};
use crate::statement::leaf::Leaf;
use crate::statement::parse_payload;
use crate::store::memory::MemoryJournal;
use crate::time::Clock;
use crate::tlog::policy::Policy;
use crate::tlog::proof::TlogProof;
use crate::tlog::tree::LeafIndex;
use crate::watch::audit::{Audit, audit};

/// Verify a ledger's log, prove an entry, read it in plain words
///
/// Needs nothing but the log (an address such as https://ledger.example/log, or a folder) and the
/// ledger's trust file, log.policy, from somebody you believe.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Verify(Verify),
    Proof(Proof),
    Check(Check),
    Show(Show),
    List(List),
}

/// Where the log is, and whom to believe
#[derive(Debug, clap::Args)]
pub struct Log {
    /// The log: an address or a folder
    #[arg(long, value_name = "URL|DIR")]
    log: String,
    /// The trust file: the log's key and its witnesses
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
}

/// Check everything a stranger can: hashes, signatures, witnesses, and the rules from entry 0
///
/// Exits 0 when all holds, 1 when something does not, 2 when it could not look. Of a folder, every
/// file is checked; of an address, the witnesses' cosignatures must be fresh.
#[derive(Debug, clap::Args)]
pub struct Verify {
    #[command(flatten)]
    log: Log,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Write the proof that a statement stands in the log
///
/// The proof is a C2SP tlog-proof file; it is verified before it is written. Check it again with
/// `whosaw log check`, or with any other program that knows the format.
#[derive(Debug, clap::Args)]
pub struct Proof {
    /// The statement: its id, the id's first 8 or more digits, or #INDEX
    statement: String,
    #[command(flatten)]
    log: Log,
    /// Where to write it; default: standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Check a .tlog-proof file, and say what it proves
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The proof file
    file: PathBuf,
    /// The trust file: the log's key and its witnesses
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
}

/// Show a statement in plain words
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The statement: its id, the id's first 8 or more digits, or #INDEX
    statement: String,
    #[command(flatten)]
    log: Log,
    /// Print the statement as JSON
    #[arg(long)]
    json: bool,
}

/// List all entries in plain words
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    log: Log,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If the log or the trust file cannot be read.
pub fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Verify(args) => verify(args),
        Command::Proof(args) => proof(args),
        Command::Check(args) => check(args),
        Command::Show(args) => show(args),
        Command::List(args) => list(args),
    }
}

impl Log {
    fn policy(&self) -> anyhow::Result<Policy> {
        read_policy(&self.policy)
    }

    fn source(&self) -> anyhow::Result<Box<dyn LogSource>> {
        Ok(source::open(&self.log)?)
    }

    fn is_folder(&self) -> bool {
        !self.log.contains("://")
    }

    /// A verified copy in memory. A folder may be old: its cosignatures are judged at their time.
    fn follow(&self) -> anyhow::Result<Follower<MemoryJournal>> {
        let policy = self.policy()?;
        let source = self.source()?;
        let mut now = Clock::system().now();
        if self.is_folder() {
            let witnessed = policy.verify(&source.checkpoint()?, None, None)?;
            now = witnessed.median_time().unwrap_or(now);
        }
        let mut follower = Follower::open(MemoryJournal::default(), policy)?;
        let bar = Progress::new("reading");
        follower.update(source.as_ref(), now, &mut |done, of| bar.set(done, of))?;
        Ok(follower)
    }
}

fn read_policy(path: &Path) -> anyhow::Result<Policy> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Policy::parse(&text).with_context(|| path.display().to_string())
}

/// A bar on a terminal, and nothing elsewhere.
struct Progress(ProgressBar);

impl Progress {
    fn new(what: &'static str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} entries {eta}");
        let bar = ProgressBar::new(0).with_prefix(what);
        Self(bar.with_style(style.expect("a template without unknown keys")))
    }

    fn set(&self, done: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn verify(args: &Verify) -> anyhow::Result<Exit> {
    let policy = args.log.policy()?;
    let source = args.log.source()?;
    let folder = args.log.is_folder().then(|| Path::new(&args.log.log));
    let now = (!args.log.is_folder()).then(|| Clock::system().now());
    let bar = Progress::new("verifying");
    let audit = audit(source.as_ref(), &policy, now, folder, &mut |done, of| {
        bar.set(done, of)
    })?;
    drop(bar);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&audit)?);
    } else {
        print_audit(&audit);
    }
    Ok(if audit.findings.is_empty() {
        Exit::Yes
    } else {
        Exit::No
    })
}

fn print_audit(audit: &Audit) {
    for finding in &audit.findings {
        println!(
            "finding  {}  {}  {}",
            finding.code, finding.place, finding.detail
        );
    }
    if audit.findings.is_empty() {
        println!("all holds: {} entries of {}", audit.size, audit.origin);
        println!("  root {}", audit.root);
        for (witness, time) in &audit.cosignatures {
            println!("  cosigned by {witness} at {time}");
        }
        println!("  every signature verified, every tile rebuilt, the rules replayed from entry 0");
    } else {
        println!(
            "{} finding(s): this log does not hold",
            audit.findings.len()
        );
    }
}

fn proof(args: &Proof) -> anyhow::Result<Exit> {
    let follower = args.log.follow()?;
    let entry = find(&follower, &args.statement)?;
    let proof = follower.proof(entry.index)?;
    match &args.output {
        None => print!("{proof}"),
        Some(path) => {
            std::fs::write(path, proof.to_string()).with_context(|| path.display().to_string())?;
            println!(
                "entry {} of {}: {}",
                entry.index,
                entry.signed.head.log,
                path.display()
            );
        }
    }
    Ok(Exit::Yes)
}

fn check(args: &Check) -> anyhow::Result<Exit> {
    let policy = read_policy(&args.policy)?;
    let bytes = std::fs::read(&args.file).with_context(|| args.file.display().to_string())?;
    let proof = TlogProof::parse(&bytes)?;
    let Some(leaf) = &proof.extra else {
        bail!("the proof does not carry its entry: nothing says what it would prove");
    };
    let witnessed = match proof.verify(leaf, &policy, None, None) {
        Ok(witnessed) => witnessed,
        Err(error) => {
            println!("it proves nothing: {error}");
            return Ok(Exit::No);
        }
    };
    let leaf = Leaf::parse(leaf)?;
    let (head, statement) = parse_payload(&leaf.envelope.payload)?;
    println!(
        "it holds: entry {} of {}",
        proof.index, witnessed.checkpoint.origin
    );
    println!("  {}", statement.plain(&head.author.to_string()));
    println!("  logged at {} (to the minute)", leaf.logged_at);
    for (witness, time) in &witnessed.cosignatures {
        println!("  the log as of {time} is vouched for by {witness}");
    }
    Ok(Exit::Yes)
}

/// Finds the entry that the user names.
fn find(follower: &Follower<MemoryJournal>, name: &str) -> anyhow::Result<Entry> {
    if let Some(index) = name.strip_prefix('#') {
        let index: LeafIndex = index.parse()?;
        return follower
            .entry(index)?
            .with_context(|| format!("no admitted entry {index}"));
    }
    if let Ok(id) = name.parse::<StatementId>() {
        let index = follower
            .find(&id)?
            .with_context(|| format!("no statement {id} in this log"))?;
        return follower.entry(index)?.context("a found entry is there");
    }
    if name.len() < 8 {
        bail!("name a statement by its id, the first 8 or more digits of it, or #INDEX");
    }
    let entries = follower.entries(LeafIndex::new(0))?;
    let mut named = entries
        .into_iter()
        .filter(|e| e.signed.id.to_string().starts_with(name));
    match (named.next(), named.next()) {
        (Some(entry), None) => Ok(entry),
        (Some(_), Some(_)) => bail!("several statements begin with {name}: give more digits"),
        (None, _) => bail!("no statement of this log begins with {name}"),
    }
}

fn show(args: &Show) -> anyhow::Result<Exit> {
    let follower = args.log.follow()?;
    let entry = find(&follower, &args.statement)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&entry_json(&entry)?)?);
        return Ok(Exit::Yes);
    }
    let signed = &entry.signed;
    println!(
        "{}",
        signed.statement.plain(&signed.head.author.to_string())
    );
    println!();
    println!("type        {}", signed.statement.name());
    println!("id          {}", signed.id);
    println!("entry       {} of {}", entry.index, signed.head.log);
    println!("issued at   {}", signed.head.issued_at);
    println!("logged at   {}", entry.logged_at);
    for key in &signed.signers {
        println!("signed by   {key}");
    }
    for (member, digest) in signed.statement.attachments() {
        println!("attachment  {digest}  ({})", &member[1..]);
    }
    Ok(Exit::Yes)
}

fn entry_json(entry: &Entry) -> anyhow::Result<serde_json::Value> {
    let signed = &entry.signed;
    Ok(json!({
        "id": signed.id,
        "index": entry.index,
        "logged_at": entry.logged_at,
        "payload": serde_json::from_slice::<serde_json::Value>(&signed.envelope.payload)?,
        "plain": signed.statement.plain(&signed.head.author.to_string()),
        "signers": signed.signers,
    }))
}

fn list(args: &List) -> anyhow::Result<Exit> {
    let follower = args.log.follow()?;
    let entries = follower.entries(LeafIndex::new(0))?;
    if args.json {
        let entries: anyhow::Result<Vec<_>> = entries.iter().map(entry_json).collect();
        println!("{}", serde_json::to_string_pretty(&entries?)?);
        return Ok(Exit::Yes);
    }
    for entry in &entries {
        let id = &entry.signed.id.to_string()[..12];
        let plain = entry
            .signed
            .statement
            .plain(&entry.signed.head.author.to_string());
        println!(
            "#{:<4} {}  {id}  {plain}",
            entry.index.as_u64(),
            entry.logged_at
        );
    }
    Ok(Exit::Yes)
}
