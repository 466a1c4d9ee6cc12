//! `whosaw log`: what anyone can do with a ledger's public log, and its operator with its data.

mod compare;
mod domains;
mod evidence;
mod opening;
mod published;
mod record;
mod report;

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Exit;
use super::fsck::{self, Fsck};
use super::output::Output;
use super::written::Written;
use crate::client::Client;
use crate::client::base::BaseUrl;
use crate::digest::StatementId;
use crate::encoding::printable;
use crate::plain::count;
use crate::reader::clock::ClockJudgement;
use crate::reader::follower::{Entry, Follower};
use crate::reader::replay;
use crate::reader::source::{self, LogSource};
use crate::statement::Statement;
use crate::statement::facts::ClosedFact;
use crate::statement::refusal::Refusal;
use crate::store::memory::MemoryJournal;
use crate::time::{Clock, Time};
use crate::tlog::policy::Policy;
use crate::tlog::proof::TlogProof;
use crate::tlog::tree::LeafIndex;
use crate::watch::audit::{Audit, audit};

/// Verify a ledger's log, prove an entry, read it in plain words
///
/// Needs nothing but the log (an address or a folder) and the
/// ledger's trust file, log.policy, from somebody you believe. Nothing is taken on the server's word:
/// every command reads the whole log, checks it against its witnesses and replays the rules. Only
/// `fsck` is the operator's: it examines the data behind the log.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Verify(Verify),
    Proof(Proof),
    Check(Check),
    Show(Show),
    List(List),
    Fsck(Fsck),
    Compare(compare::Args),
    Evidence(evidence::Args),
    Opening(opening::Args),
    Findings(record::Findings),
    Reconcile(record::Reconcile),
    Accounts(record::Accounts),
    Published(published::Published),
    Fetch(published::Fetch),
    Report(report::Args),
    Domains(domains::Domains),
}

/// Where the log is, and whom to believe
#[derive(Debug, clap::Args)]
pub struct Log {
    /// The log: an address or a folder
    #[arg(long, value_name = "URL|DIR")]
    log: String,
    /// The trust file: the log's key and its witnesses
    #[arg(long, visible_alias = "trust", value_name = "FILE")]
    policy: PathBuf,
}

/// Check everything a stranger can: hashes, signatures, witnesses, and the rules from entry 0
///
/// Exits 0 when all holds, 1 when something does not, 2 when it could not look. Of a folder, every
/// file is checked, and one that does not belong is a finding; of an address, the witnesses'
/// cosignatures must be fresh. Where they are not, the witnesses are asked at their own addresses
/// whether this machine's clock is wrong, which exits 2.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw log verify --log https://ledger.example/log --policy log.policy\n  \
    whosaw log verify --log ./copy-of-the-log --policy log.policy --json")]
pub struct Verify {
    #[command(flatten)]
    log: Log,
    /// Print what was seen, and the findings, as one JSON document
    #[arg(long)]
    json: bool,
}

/// Write the proof that a statement stands in the log
///
/// The proof is a C2SP tlog-proof file; it is verified before it is written. Check it again with
/// `whosaw log check`, or with any other program that knows the format.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw log proof '#12' --log https://ledger.example/log --policy log.policy -o 12.tlog-proof")]
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
///
/// Needs no network and no log. Exits 0 when it proves an entry, 1 when it proves nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw log check 12.tlog-proof --policy log.policy")]
pub struct Check {
    /// The proof file
    file: PathBuf,
    /// The trust file: the log's key and its witnesses
    #[arg(long, visible_alias = "trust", value_name = "FILE")]
    policy: PathBuf,
}

/// Show a statement in plain words
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw log show 3f9a0c21d4e7 --log https://ledger.example/log --policy log.policy")]
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
#[command(after_help = "Example:\n  \
    whosaw log list --log https://ledger.example/log --policy log.policy")]
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
    let mut out = Output::lock();
    match command {
        Command::Verify(args) => verify(args, &mut out),
        Command::Proof(args) => proof(args, &mut out),
        Command::Check(args) => check(args, &mut out),
        Command::Show(args) => show(args, &mut out),
        Command::List(args) => list(args, &mut out),
        Command::Fsck(args) => fsck::run(args, &mut out),
        Command::Compare(args) => compare::run(args, &mut out),
        Command::Evidence(args) => evidence::run(args, &mut out),
        Command::Opening(args) => opening::run(args, &mut out),
        Command::Findings(args) => record::findings(args, &mut out),
        Command::Report(args) => report::run(args, &mut out),
        Command::Reconcile(args) => record::reconcile(args, &mut out),
        Command::Accounts(args) => record::accounts(args, &mut out),
        Command::Published(args) => published::published(args, &mut out),
        Command::Fetch(args) => published::fetch(args, &mut out),
        Command::Domains(args) => domains::run(args, &mut out),
    }
}

/// A verified copy in memory, and what the rules forbid in it.
struct Copy {
    follower: Follower<MemoryJournal>,
    forbidden: Vec<(LeafIndex, Refusal)>,
}

impl Log {
    fn policy(&self) -> anyhow::Result<Policy> {
        read_policy(&self.policy)
    }

    fn source(&self) -> anyhow::Result<Box<dyn LogSource>> {
        Ok(source::open(&self.log)?)
    }

    fn folder(&self) -> Option<&Path> {
        (!self.log.contains("://")).then_some(Path::new(&self.log))
    }

    /// A client of the server that serves the log; none for a folder.
    fn client(&self) -> anyhow::Result<Option<Client>> {
        if self.folder().is_some() {
            return Ok(None);
        }
        let server = self.log.trim_end_matches('/').trim_end_matches("/log");
        Ok(Some(Client::new(BaseUrl::parse(server)?, Clock::system())))
    }

    fn read(&self) -> anyhow::Result<Copy> {
        let source = self.source()?;
        let mut follower = Follower::open(MemoryJournal::default(), self.policy()?)?;
        let bar = Progress::new("reading");
        let mut progress = |done, of| bar.set(done, of);
        let update = match self.folder() {
            Some(_) => follower.update_from_archive(source.as_ref(), &mut progress)?,
            None => follower.update(source.as_ref(), Clock::system().now(), &mut progress)?,
        };
        Ok(Copy {
            follower,
            forbidden: update.findings,
        })
    }
}

fn read_policy(path: &Path) -> anyhow::Result<Policy> {
    let file = || format!("trust file {}", path.display());
    let text = std::fs::read_to_string(path).with_context(file)?;
    Policy::parse(&text).with_context(file)
}

/// A bar on a terminal, and nothing elsewhere.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        Self::of(what, "entries")
    }

    /// One that counts something else than entries.
    pub(super) fn of(what: &'static str, unit: &str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let template = format!("{{prefix}} {{bar:30}} {{pos}}/{{len}} {unit} {{eta}}");
        let style = ProgressStyle::with_template(&template);
        let bar = ProgressBar::new(0).with_prefix(what);
        Self(bar.with_style(style.expect("a template without unknown keys")))
    }

    pub(super) fn set(&self, done: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn verify(args: &Verify, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let policy = args.log.policy()?;
    let source = args.log.source()?;
    let folder = args.log.folder();
    let now = folder.is_none().then(|| Clock::system().now());
    let bar = Progress::new("verifying");
    let mut progress = |done, of| bar.set(done, of);
    let audit = audit(source.as_ref(), &policy, now, folder, &mut progress)?;
    drop(bar);
    if args.json {
        print_json(out, &audit)?;
    } else {
        print_audit(out, &audit)?;
    }
    match (audit.findings.is_empty(), audit.clock_ahead_seconds) {
        (false, _) => Ok(Exit::No),
        (true, None) => Ok(Exit::Yes),
        (true, Some(ahead)) => bail!(
            "how new the log is cannot be judged: {}; set the clock by a time service, and verify again",
            ClockJudgement::Wrong(ahead)
        ),
    }
}

fn print_audit(out: &mut impl io::Write, audit: &Audit) -> io::Result<()> {
    for finding in &audit.findings {
        let (code, place) = (&finding.code, &finding.place);
        writeln!(out, "finding  {code}  {place}  {}", finding.detail)?;
    }
    let Some(origin) = &audit.origin else {
        return writeln!(
            out,
            "no log that the trust file names signed this: nothing was checked"
        );
    };
    let (size, holds) = (audit.size, audit.findings.is_empty());
    match audit.findings.len() {
        0 if audit.clock_ahead_seconds.is_some() => writeln!(
            out,
            "what was checked holds: {} of {origin}; how new they are was not",
            count(size, "entry")
        )?,
        0 => writeln!(out, "all holds: {} of {origin}", count(size, "entry"))?,
        n => writeln!(
            out,
            "{} in {} of {origin}: this log does not hold",
            count(n, "finding"),
            count(size, "entry")
        )?,
    }
    if let Some(closed) = &audit.closed {
        writeln!(out, "  {closed}")?;
    }
    writeln!(out, "  root {}", audit.root)?;
    for (witness, time) in &audit.cosignatures {
        writeln!(out, "  cosigned by {} at {time}", printable(witness))?;
    }
    for name in &audit.unchecked {
        writeln!(
            out,
            "  signed by {name} too, unchecked: the trust file does not name this key"
        )?;
    }
    if holds {
        writeln!(
            out,
            "  every signature verified, every tile rebuilt, the rules replayed from entry 0"
        )?;
    }
    Ok(())
}

pub(super) fn print_json(
    out: &mut impl io::Write,
    value: &impl serde::Serialize,
) -> anyhow::Result<()> {
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(value)?)?)
}

fn proof(args: &Proof, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let copy = args.log.read()?;
    let entry = copy.find(&args.statement)?;
    let proof = copy.follower.proof(entry.index)?;
    let leaf = proof
        .extra
        .as_deref()
        .expect("a copy's proofs carry the leaf");
    let witnessed = proof.verify(leaf, copy.follower.policy(), None, None)?;
    let counts = witnessed.check_counts_for(entry.logged_at);
    match &args.output {
        None => out.write_all(proof.to_text().as_bytes())?,
        Some(path) => {
            Written::Proof.write(path, proof.to_text())?;
            let (index, log) = (entry.index, &entry.signed.head.log);
            writeln!(out, "entry {index} of {log}: {}", path.display())?;
        }
    }
    match counts {
        Ok(()) => Ok(Exit::Yes),
        Err(error) => {
            eprintln!("it proves nothing yet: {error}");
            Ok(Exit::No)
        }
    }
}

fn check(args: &Check, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let policy = read_policy(&args.policy)?;
    let bytes = std::fs::read(&args.file).with_context(|| args.file.display().to_string())?;
    match what_it_proves(&bytes, &policy) {
        Ok(text) => {
            write!(out, "{text}")?;
            Ok(Exit::Yes)
        }
        Err(error) => {
            writeln!(out, "it proves nothing: {error:#}")?;
            Ok(Exit::No)
        }
    }
}

fn what_it_proves(bytes: &[u8], policy: &Policy) -> anyhow::Result<String> {
    policy.check_independent()?;
    let proof = TlogProof::parse(bytes)?;
    let leaf = proof
        .extra
        .as_ref()
        .context("it does not carry its entry")?;
    let witnessed = proof.verify(leaf, policy, None, None)?;
    let (index, origin) = (proof.index, &witnessed.checkpoint.origin);
    let read = replay::read(leaf);
    let entry = read.with_context(|| format!("entry {index} of {origin} is no valid statement"))?;
    let counts = witnessed.check_counts_for(entry.logged_at);
    counts
        .context("`whosaw log evidence` says whether the log gave it a time that had not come")?;
    let mut text = format!("it holds: entry {index} of {origin}\n");
    writeln!(text, "  {}", plain(&entry.signed))?;
    writeln!(text, "  id {}", entry.signed.id)?;
    writeln!(text, "  logged at {} (to the minute)", entry.logged_at)?;
    for (witness, time) in &witnessed.cosignatures {
        let witness = printable(witness);
        writeln!(text, "  {witness} vouches for the log as of {time}")?;
    }
    writeln!(
        text,
        "  its own signatures verify; whether the rules admit it there, `whosaw log show` says"
    )?;
    Ok(text)
}

fn plain(signed: &crate::statement::Signed) -> String {
    signed.statement.plain(&signed.head.author.to_string())
}

impl Copy {
    /// Finds the entry that the user names.
    fn find(&self, name: &str) -> anyhow::Result<Entry> {
        if let Some(index) = name.strip_prefix('#') {
            let index: LeafIndex = index.parse().context("an entry is named as in #12")?;
            return match self.follower.entry(index)? {
                Some(entry) => Ok(entry),
                None => Err(self.no_entry(index)),
            };
        }
        let digits = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if !(8..=64).contains(&name.len()) || !name.bytes().all(digits) {
            bail!("name a statement by its id, the first 8 or more digits of it, or #INDEX");
        }
        let mut named = self.follower.entries(LeafIndex::new(0))?;
        named.retain(|entry| entry.signed.id.to_string().starts_with(name));
        match (named.pop(), named.pop()) {
            (Some(entry), None) => Ok(entry),
            (Some(_), Some(_)) => bail!("several statements begin with {name}: give more digits"),
            (None, _) => bail!("no statement of this log begins with {name}"),
        }
    }

    fn no_entry(&self, index: LeafIndex) -> anyhow::Error {
        match self.forbidden.iter().find(|(at, _)| *at == index) {
            Some((_, refusal)) => {
                anyhow::anyhow!(
                    "entry {index} stands in the log, and the rules forbid it: {refusal}"
                )
            }
            None => anyhow::anyhow!("this log has no entry {index}"),
        }
    }

    /// The statements that `value` refers to, each with its member as a JSON Pointer.
    fn references(&self, value: &Value, at: &str) -> anyhow::Result<Vec<(String, Entry)>> {
        let mut found = Vec::new();
        match value {
            Value::String(text) => {
                let Ok(id) = text.parse::<StatementId>() else {
                    return Ok(found);
                };
                if let Some(index) = self.follower.find(&id)? {
                    let entry = self
                        .follower
                        .entry(index)?
                        .context("a found entry is there")?;
                    found.push((at.to_owned(), entry));
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    found.extend(self.references(item, &format!("{at}/{i}"))?);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    found.extend(self.references(member, &format!("{at}/{name}"))?);
                }
            }
            _ => {}
        }
        Ok(found)
    }
}

fn show(args: &Show, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let copy = args.log.read()?;
    let entry = copy.find(&args.statement)?;
    let mark = copy.follower.mark(entry.index);
    let lapsed = match (expires(&entry.signed.statement), copy.follower.witnessed()?) {
        (Some(until), Some(witnessed)) => witnessed.time().map(|now| (until, until <= now)),
        _ => None,
    };
    if args.json {
        let mut shown = entry_json(&entry)?;
        if let Some((_, lapsed)) = lapsed {
            shown["expired"] = json!(lapsed);
        }
        if let Some(mark) = mark {
            shown["contradicted"] = json!(mark.code());
        }
        if let Some(closed) = copy.follower.closed()? {
            shown["log_closed"] = json!(closed);
        }
        shown["findings"] = json!(record::about(&args.log, copy, &entry.signed.id)?);
        print_json(out, &shown)?;
        return Ok(Exit::Yes);
    }
    let signed = &entry.signed;
    writeln!(out, "{}", plain(signed))?;
    writeln!(out)?;
    writeln!(out, "type        {}", signed.statement.name())?;
    writeln!(out, "id          {}", signed.id)?;
    writeln!(out, "entry       {} of {}", entry.index, signed.head.log)?;
    writeln!(out, "issued at   {}", signed.head.issued_at)?;
    writeln!(out, "logged at   {}", entry.logged_at)?;
    if let Some((until, lapsed)) = lapsed {
        let remark = if lapsed { "  (expired)" } else { "" };
        writeln!(out, "expires     {until}{remark}")?;
    }
    for key in &signed.signers {
        writeln!(out, "signed by   {key}")?;
    }
    for (member, other) in copy.references(&payload(&entry)?, "")? {
        let member = member.trim_start_matches('/');
        writeln!(
            out,
            "{member:<11} #{}: {}",
            other.index,
            plain(&other.signed)
        )?;
    }
    for (member, digest) in signed.statement.attachments() {
        let member = member.trim_start_matches('/');
        writeln!(out, "attachment  {digest}  ({member})")?;
    }
    let closed = copy.follower.closed()?;
    for finding in record::about(&args.log, copy, &signed.id)? {
        let title = finding.code.title();
        writeln!(out, "finding     {title}. {}", finding.detail)?;
    }
    if let Some(mark) = mark {
        let why = "the witnesses' times contradict its time of logging";
        writeln!(out, "\nNOTE: {}: {why}", mark.code())?;
    }
    say_closed(closed.as_ref(), out)?;
    Ok(Exit::Yes)
}

/// From when on a statement tells or gives nothing any more.
fn expires(statement: &Statement) -> Option<Time> {
    match statement {
        Statement::Bulletin(bulletin) => Some(bulletin.expires),
        Statement::Disclosure(disclosure) => Some(disclosure.expires),
        _ => None,
    }
}

fn say_closed(closed: Option<&ClosedFact>, out: &mut impl io::Write) -> io::Result<()> {
    match closed {
        None => Ok(()),
        Some(closed) => writeln!(out, "\nNOTE: {closed}"),
    }
}

fn payload(entry: &Entry) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&entry.signed.envelope.payload)?)
}

fn entry_json(entry: &Entry) -> anyhow::Result<Value> {
    let signed = &entry.signed;
    Ok(json!({
        "id": signed.id,
        "index": entry.index,
        "logged_at": entry.logged_at,
        "payload": payload(entry)?,
        "plain": plain(signed),
        "signers": signed.signers,
    }))
}

fn list(args: &List, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let Copy {
        follower,
        forbidden,
    } = args.log.read()?;
    let closed = follower.closed()?;
    let entries = follower.entries(LeafIndex::new(0))?;
    if args.json {
        let forbidden = forbidden.iter().map(|(index, refusal)| {
            let (code, detail) = (refusal.reason.code(), refusal.to_string());
            let value = json!({"index": index, "forbidden": {"code": code, "detail": detail}});
            Ok((*index, value))
        });
        let admitted = entries.iter().map(|e| Ok((e.index, entry_json(e)?)));
        let mut rows = admitted
            .chain(forbidden)
            .collect::<anyhow::Result<Vec<_>>>()?;
        rows.sort_by_key(|(index, _)| *index);
        let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        print_json(out, &rows)?;
        return Ok(Exit::Yes);
    }
    let admitted = entries.iter().map(|entry| {
        let (id, plain) = (entry.signed.id.to_string(), plain(&entry.signed));
        let line = format!("{}  {}  {plain}", entry.logged_at, &id[..12]);
        (entry.index, line)
    });
    let forbidden = forbidden.iter().map(|(index, refusal)| {
        let line = format!("forbidden by the rules, changes nothing: {refusal}");
        (*index, line)
    });
    let mut rows: Vec<(LeafIndex, String)> = admitted.chain(forbidden).collect();
    rows.sort();
    for (index, line) in rows {
        writeln!(out, "#{:<4} {line}", index.as_u64())?;
    }
    say_closed(closed.as_ref(), out)?;
    Ok(Exit::Yes)
}
