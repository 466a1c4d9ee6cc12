//! How commands write files and say what came of a statement.

use std::fmt;
use std::io::{self, StdoutLock, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, bail};

use super::Exit;
use super::written::Written;
use crate::digest::StatementId;
use crate::party::answered::{self, Answered};
use crate::party::ending::Ending;
use crate::party::official::logged_json;
use crate::statement::envelope::Envelope;
use crate::statement::parse_payload;
use crate::wire::statements::Logged;

/// Standard output. What it does not take is an error, also where a reader has closed the pipe: the answer was not
/// read to its end.
pub struct Output(StdoutLock<'static>);

impl Output {
    /// Standard output, until it is dropped.
    pub fn lock() -> Self {
        Self(io::stdout().lock())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The first error of [`print`] that [`take_failure`] has not taken.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// What `print!` and `println!` of this module do. The command does its work also if standard output
/// takes nothing, on a full disk for example, and ends with an error then: see [`finish`] and [`tell_answered`].
pub fn print(text: fmt::Arguments<'_>) {
    if let Err(error) = Output::lock().write_fmt(text) {
        failure().get_or_insert(error);
    }
}

/// What `eprintln!` of this module does: a text that standard error does not take is dropped.
pub fn print_error(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// Why something was not printed, once.
pub fn take_failure() -> Option<io::Error> {
    failure().take()
}

/// Ends the output of a command.
///
/// # Errors
/// If not all of it was printed.
pub fn finish() -> anyhow::Result<()> {
    let flushed = Output::lock().flush().err();
    match take_failure().or(flushed) {
        None => Ok(()),
        Some(error) => Err(error).context("standard output"),
    }
}

/// Statements that this command has learnt to be logged.
static ANSWERED: Mutex<Vec<Answered>> = Mutex::new(Vec::new());

/// Such statements that are told by id at most: a bulk submission may have any number, and tells them again when it is
/// repeated.
const TOLD: usize = 1000;

/// Has statements that are logged taken down, for [`tell_answered`].
pub fn remember_answered() {
    answered::observe(|answered| {
        let mut all = ANSWERED.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|known| known.id == answered.id) {
            Some(known) => *known = answered,
            None => all.push(answered),
        }
    });
}

/// Says on standard error which statements are in the log, where a command ends with an error: its own answer says it
/// in part or not at all.
pub fn tell_answered() {
    let all = ANSWERED.lock().unwrap_or_else(PoisonError::into_inner);
    for Answered {
        id,
        index,
        is_proven,
    } in all.iter().take(TOLD)
    {
        let entry = index.map_or_else(String::new, |index| format!(" as entry {index}"));
        match is_proven {
            true => eprintln!("in the log{entry}: {id}"),
            false => eprintln!("taken by the ledger{entry}, not proven yet: {id}"),
        }
    }
    if let Some(more) = all.len().checked_sub(TOLD).filter(|more| *more > 0) {
        eprintln!("and {more} more: the same command says again which");
    }
}

fn failure() -> MutexGuard<'static, Option<io::Error>> {
    FAILURE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a file holds, or standard input if it is called `-`: for what is no argument, since everybody
/// on a machine can read those.
///
/// # Errors
/// If it cannot be read.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    match path.as_os_str() == "-" {
        true => Ok(std::io::read_to_string(std::io::stdin())?),
        false => std::fs::read_to_string(path).with_context(|| path.display().to_string()),
    }
}

/// The one line of [`read_text`], without the space around it.
///
/// # Errors
/// If it cannot be read, or `what` it holds is not one line.
pub fn read_line(path: &Path, what: &str) -> anyhow::Result<String> {
    let text = read_text(path)?;
    let line = text.trim();
    if line.is_empty() || line.contains('\n') {
        bail!("{what} is one line");
    }
    Ok(line.to_owned())
}

/// Writes a signed envelope as a file to pass on, and says what it says and what comes `next`.
///
/// # Errors
/// If the file is of another kind, or the disk takes nothing.
pub fn say_written(path: &Path, envelope: &Envelope, next: &str, json: bool) -> anyhow::Result<()> {
    Written::Envelope.write(path, envelope.to_json())?;
    let id = StatementId::of_payload(&envelope.payload);
    let file = path.display().to_string();
    if json {
        let answer = serde_json::json!({ "id": id, "file": file });
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let (head, statement) = parse_payload(&envelope.payload)?;
    println!("{}", statement.plain(&head.author.to_string()));
    println!("wrote {file}: {next}");
    println!("id {id}");
    Ok(())
}

/// Reads a signed envelope.
///
/// # Errors
/// If the file cannot be read or is none.
pub fn read_envelope(path: &Path) -> anyhow::Result<Envelope> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Envelope::parse(&bytes).with_context(|| path.display().to_string())
}

/// Says what was logged, and where, of a statement that was signed before.
///
/// # Errors
/// None but those of printing.
pub fn say_logged(logged: &Logged, plain: &str, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(&logged_json(logged))?);
        return Ok(());
    }
    println!("{plain}");
    let index = logged.index;
    match (logged.known, &logged.proof) {
        (true, Some(_)) => {
            println!("in the log already as entry {index}, proof verified: nothing new was logged")
        }
        (true, None) => println!(
            "in the log already as entry {index}, which the witnesses have not cosigned yet: nothing new was \
             logged"
        ),
        (false, Some(_)) => println!("logged as entry {index}, proof verified"),
        (false, None) => println!(
            "accepted as entry {index}; the witnesses have not cosigned it yet: ask for its proof later"
        ),
    }
    println!("id {}", logged.id);
    Ok(())
}

/// Says that a log is closed, and whether the witnesses have cosigned its end.
///
/// # Errors
/// None but those of printing.
pub fn say_ending(ending: &Ending, plain: &str, json: bool) -> anyhow::Result<()> {
    let logged = &ending.logged;
    if json {
        println!("{}", serde_json::to_string_pretty(&ending.to_json())?);
        return Ok(());
    }
    if logged.proof.is_some() {
        say_logged(logged, plain, false)?;
    } else {
        let (index, logged_at) = (logged.index, logged.logged_at);
        println!("{plain}");
        println!("logged as entry {index}, dated {logged_at}: proofs of it count from then on");
        println!("id {}", logged.id);
    }
    println!("{ending}");
    Ok(())
}

/// Tells people on standard error for what the end of a log is waited for.
pub fn tell_ending_waits() {
    eprintln!("the log is closed; waiting for the witnesses to cosign its final checkpoint");
}

/// As [`say_logged`], of an act that this command has signed now. The answer is no if the log had the same
/// statement already: the same act in the same minute is the same statement, and did not become an entry.
///
/// # Errors
/// As there.
pub fn say_act(logged: &Logged, plain: &str, json: bool) -> anyhow::Result<Exit> {
    say_logged(logged, plain, json)?;
    Ok(acted(logged, json))
}

/// Whether an act that this command has signed now became an entry; says how to do it again if not.
pub fn acted(logged: &Logged, json: bool) -> Exit {
    if logged.known {
        tell(AGAIN, json);
        return Exit::No;
    }
    Exit::Yes
}

const AGAIN: &str = "the same was signed and logged in this minute: if it is to be done twice, run this again in the \
                     next minute";

/// Tells people something: on standard error where standard output is for a JSON answer.
pub fn tell(text: &str, json: bool) {
    match json {
        false => println!("{text}"),
        true => eprintln!("{text}"),
    }
}

/// Asks for a line of text on a terminal, by standard error as [`confirm`] does.
///
/// # Errors
/// If the terminal ends.
pub fn ask(question: &str) -> anyhow::Result<String> {
    use std::io::BufRead as _;
    print_error(format_args!("{question} "));
    let mut answer = String::new();
    if std::io::stdin().lock().read_line(&mut answer)? == 0 {
        bail!("{question} The terminal has ended without an answer");
    }
    Ok(answer.trim().to_owned())
}

/// Asks a yes-or-no question on a terminal, by standard error: standard output may go into a file. Elsewhere the answer must be given as `--yes`.
///
/// # Errors
/// If nobody can be asked.
pub fn confirm(question: &str, yes: bool) -> anyhow::Result<bool> {
    use std::io::{BufRead as _, IsTerminal as _};
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        anyhow::bail!("{question} Nobody is there to answer: say --yes");
    }
    print_error(format_args!("{question} [y/N] "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
