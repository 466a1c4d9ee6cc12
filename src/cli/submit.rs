//! `whosaw submit`: signed statements, one or many, to a ledger.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::Exit;
use super::log::Progress;
use super::output::{confirm, read_envelope, say_ending, say_logged, tell, tell_ending_waits};
use super::party::read_trust;
use super::written::Written;
use crate::client::Client;
use crate::client::base::BaseUrl;
use crate::party::bulk::{Outcome, submit_all};
use crate::party::ending::{Ending, closes};
use crate::party::official::{logged_json, submit as submit_statement};
use crate::plain::count;
use crate::statement::envelope::{Envelope, MAX_ENVELOPE};
use crate::statement::parse_payload;
use crate::time::Clock;
use crate::tlog::policy::Policy;
use crate::wire::lines::{Line, Lines};
use crate::wire::problem::Problem;
use crate::wire::statements::Logged;

/// Bytes that are read at once of a file of many statements.
const PIECE: usize = 64 << 10;

/// Submit signed statements to a ledger
///
/// A file whose name ends in .jsonl or .ndjson holds many, a line each, and `-` is such a file on
/// standard input. Many are sent together, in their order: one may rest on those before it. What a
/// limit puts off is sent again after as long as the ledger asks for, and what is logged already
/// stays as it is, so a submission that was interrupted is begun again by the same command.
/// Attachments are uploaded before the statements that name them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 all are logged; 1 some were refused; 2 it could not be done.\n\n\
    Examples:\n  \
    whosaw submit agreement.dsse --server https://ledger.example --trust log.policy\n  \
    whosaw submit benefits.jsonl --server https://ledger.example --trust log.policy --json"
)]
pub struct Submit {
    /// Signed statements
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The ledger's address
    #[arg(long, value_name = "URL")]
    server: String,
    /// The trust file: the proofs that come back are verified by it
    #[arg(long, visible_alias = "policy", value_name = "FILE")]
    trust: PathBuf,
    /// Where to write the proof of one statement
    #[arg(long, value_name = "FILE", conflicts_with = "proofs")]
    proof: Option<PathBuf>,
    /// The folder to write all proofs to, as ID.tlog-proof
    #[arg(long, value_name = "DIR")]
    proofs: Option<PathBuf>,
    /// Do not ask before a statement that closes the log for good
    #[arg(long)]
    yes: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `whosaw submit`.
///
/// # Errors
/// If a file cannot be read, the server cannot be asked, or a proof does not hold.
pub fn submit(args: &Submit) -> anyhow::Result<Exit> {
    match &args.files[..] {
        [file] if !holds_many(file) && args.proofs.is_none() => one(args, file),
        _ if args.proof.is_some() => {
            bail!("--proof is for one statement: say --proofs DIR, a folder for all of them")
        }
        files => many(args, files),
    }
}

/// Whether none of the statements closes the log, or the person means it.
fn may_close(args: &Submit, envelopes: &[Envelope]) -> anyhow::Result<bool> {
    if !envelopes.iter().any(closes) {
        return Ok(true);
    }
    let meant = confirm(
        "One of the statements closes the log for good. Submit it?",
        args.yes,
    )?;
    if !meant {
        tell("nothing was submitted", args.json);
    }
    Ok(meant)
}

/// The server, and what is believed of it.
fn ledger(args: &Submit) -> anyhow::Result<(Client, Policy)> {
    let (policy, _) = read_trust(&args.trust)?;
    let client = Client::new(BaseUrl::parse(&args.server)?, Clock::system());
    Ok((client, policy))
}

fn one(args: &Submit, file: &Path) -> anyhow::Result<Exit> {
    let envelope = read_envelope(file)?;
    let (head, statement) = parse_payload(&envelope.payload)?;
    if let Some(path) = &args.proof {
        Written::Proof.check(path)?;
    }
    if !may_close(args, std::slice::from_ref(&envelope))? {
        return Ok(Exit::No);
    }
    let (client, policy) = ledger(args)?;
    let logged = submit_statement(&client, &policy, &envelope)?;
    if let (Some(path), Some(proof)) = (&args.proof, &logged.proof) {
        Written::Proof.write(path, proof)?;
    }
    let plain = statement.plain(&head.author.to_string());
    match closes(&envelope) {
        true => say_ending(
            &ending((&client, &policy), &envelope, logged)?,
            &plain,
            args.json,
        )?,
        false => say_logged(&logged, &plain, args.json)?,
    }
    Ok(Exit::Yes)
}

/// Waits for the final checkpoint of a log that `envelope` has closed.
fn ending(
    (client, policy): (&Client, &Policy),
    envelope: &Envelope,
    logged: Logged,
) -> anyhow::Result<Ending> {
    let trust = (policy, &Clock::system());
    Ok(Ending::wait(
        client,
        trust,
        envelope,
        logged,
        tell_ending_waits,
    )?)
}

/// Whether a file holds a statement a line.
fn holds_many(file: &Path) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str());
    matches!(ending, Some("jsonl" | "ndjson")) || file.as_os_str() == "-"
}

/// Where a statement was read.
#[derive(Debug, Clone)]
struct Place {
    file: String,
    /// Its line, of a file with many.
    line: Option<u64>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => write!(f, "{}", self.file),
        }
    }
}

/// The statements of the files, in their order.
#[derive(Debug, Default)]
struct Statements {
    envelopes: Vec<Envelope>,
    /// Where each was read.
    places: Vec<Place>,
    /// Lines that are no envelope, and why.
    faulty: Vec<(Place, String)>,
}

impl Statements {
    fn read(files: &[PathBuf]) -> anyhow::Result<Self> {
        let mut statements = Self::default();
        for path in files {
            let file = path.display().to_string();
            if !holds_many(path) {
                statements.envelopes.push(read_envelope(path)?);
                statements.places.push(Place { file, line: None });
            } else if path.as_os_str() == "-" {
                statements.read_lines("standard input", std::io::stdin().lock())?;
            } else {
                let opened = std::fs::File::open(path).with_context(|| file.clone())?;
                statements.read_lines(&file, opened)?;
            }
        }
        Ok(statements)
    }

    fn read_lines(&mut self, file: &str, mut from: impl Read) -> anyhow::Result<()> {
        let mut lines = Lines::new(MAX_ENVELOPE);
        let mut piece = vec![0; PIECE];
        loop {
            let read = from.read(&mut piece).with_context(|| file.to_owned())?;
            let mut rest = &piece[..read];
            while let Some(line) = lines.next(&mut rest) {
                self.take(file, line);
            }
            if read == 0 {
                break;
            }
        }
        if let Some(line) = lines.finish() {
            self.take(file, line);
        }
        Ok(())
    }

    fn take(&mut self, file: &str, line: Line) {
        let place = Place {
            file: file.to_owned(),
            line: Some(line.number),
        };
        let too_long = || format!("an envelope has at most {MAX_ENVELOPE} bytes");
        let bytes = line.bytes.ok_or_else(too_long);
        match bytes.and_then(|bytes| Envelope::parse(&bytes).map_err(|e| e.to_string())) {
            Ok(envelope) => {
                self.envelopes.push(envelope);
                self.places.push(place);
            }
            Err(why) => self.faulty.push((place, why)),
        }
    }
}

fn many(args: &Submit, files: &[PathBuf]) -> anyhow::Result<Exit> {
    let statements = Statements::read(files)?;
    if statements.envelopes.is_empty() && statements.faulty.is_empty() {
        bail!("no statement was found: a file of many has an envelope a line");
    }
    if !may_close(args, &statements.envelopes)? {
        return Ok(Exit::No);
    }
    let (client, policy) = ledger(args)?;
    if let Some(folder) = &args.proofs {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let bar = Progress::of("submitting", "statements");
    let mut progress = |done, of| bar.set(done, of);
    let outcomes = submit_all(&client, &policy, &statements.envelopes, &mut progress)?;
    drop(bar);
    if let Some(folder) = &args.proofs {
        write_proofs(folder, &outcomes)?;
    }
    let mut answered = statements.envelopes.iter().zip(&outcomes);
    let closing = answered.find_map(|(envelope, outcome)| match outcome {
        Outcome::Logged(logged) if closes(envelope) => Some((envelope, logged.clone())),
        _ => None,
    });
    let ending = closing.map(|(envelope, logged)| ending((&client, &policy), envelope, logged));
    let ending = ending.transpose()?;
    let told = Told {
        ending,
        ..Told::of(statements, outcomes)
    };
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&told.to_json())?),
        false => told.say(),
    }
    Ok(match told.refused.is_empty() {
        true => Exit::Yes,
        false => Exit::No,
    })
}

fn write_proofs(folder: &Path, outcomes: &[Outcome]) -> anyhow::Result<()> {
    for outcome in outcomes {
        if let Outcome::Logged(logged) = outcome
            && let Some(proof) = &logged.proof
        {
            let path = folder.join(format!("{}.tlog-proof", logged.id));
            Written::Proof.write(&path, proof)?;
        }
    }
    Ok(())
}

/// What came of many statements.
#[derive(Debug, Default)]
struct Told {
    logged: Vec<(Place, Logged)>,
    known: Vec<(Place, Logged)>,
    /// With the problem as the server told it, if it was asked.
    refused: Vec<(Place, String, Option<Problem>)>,
    /// The end of the log, if one of them has closed it.
    ending: Option<Ending>,
}

impl Told {
    fn of(statements: Statements, outcomes: Vec<Outcome>) -> Self {
        let mut told = Self::default();
        for (place, why) in statements.faulty {
            told.refused.push((place, why, None));
        }
        for (place, outcome) in statements.places.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Logged(logged) => match logged.known {
                    true => told.known.push((place, logged)),
                    false => told.logged.push((place, logged)),
                },
                Outcome::Refused(problem) => {
                    let why = problem.to_string();
                    told.refused.push((place, why, Some(*problem)));
                }
            }
        }
        told
    }

    /// Those that the witnesses have not cosigned yet.
    fn unproven(&self) -> usize {
        let all = self.logged.iter().chain(&self.known);
        all.filter(|(_, logged)| logged.proof.is_none()).count()
    }

    fn to_json(&self) -> Value {
        let at = |place: &Place, mut members: Value| {
            members["file"] = json!(place.file);
            if let Some(line) = place.line {
                members["line"] = json!(line);
            }
            members
        };
        let all = |of: &[(Place, Logged)]| -> Vec<Value> {
            let one = |(place, logged): &(Place, Logged)| at(place, logged_json(logged));
            of.iter().map(one).collect()
        };
        let refused = self
            .refused
            .iter()
            .map(|(place, why, problem)| match problem {
                Some(problem) => at(place, json!({ "problem": problem })),
                None => at(place, json!({ "why": why })),
            });
        let mut members = json!({
            "logged": all(&self.logged),
            "known": all(&self.known),
            "refused": refused.collect::<Vec<Value>>(),
        });
        if let Some(ending) = &self.ending {
            members["closed"] = ending.to_json();
        }
        members
    }

    fn say(&self) {
        for (place, why, _) in &self.refused {
            println!("{place}: refused: {why}");
        }
        println!("{} logged", count(self.logged.len(), "statement"));
        if !self.known.is_empty() {
            println!("{} known already", self.known.len());
        }
        match self.unproven() {
            0 => println!("all proofs verified"),
            some => println!(
                "{some} not cosigned by the witnesses yet: ask for the proofs later, by the same command"
            ),
        }
        if !self.refused.is_empty() {
            println!("{} refused", self.refused.len());
        }
        if let Some(ending) = &self.ending {
            println!("{ending}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_a_line_each_and_faulty_lines_are_named() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        let line = |n: u8| Envelope::sign(vec![n], &[&key]).to_json();
        let long = vec![b' '; MAX_ENVELOPE + 2];
        let body = [
            &line(1)[..],
            b"\n\n{}\r\n",
            &line(2),
            b"\n",
            &long,
            b"x\n",
            &line(3),
        ]
        .concat();
        let mut statements = Statements::default();
        statements.read_lines("a.jsonl", &body[..]).unwrap();
        let payloads: Vec<u8> = statements
            .envelopes
            .iter()
            .map(|one| one.payload[0])
            .collect();
        assert_eq!(payloads, [1, 2, 3]);
        let places: Vec<String> = statements.places.iter().map(Place::to_string).collect();
        assert_eq!(places, ["a.jsonl:1", "a.jsonl:4", "a.jsonl:6"]);
        let faulty: Vec<_> = statements
            .faulty
            .iter()
            .map(|(place, _)| place.line)
            .collect();
        assert_eq!(faulty, [Some(3), Some(5)]);
    }
}
