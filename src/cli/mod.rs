//! The command line: one subcommand, one file, each with its `Args` and `run`.

/// Prints as std's does, for every command below, but without a panic: where standard output takes nothing the
/// command still does its work, and ends with an error.
macro_rules! print {
    ($($text:tt)*) => {
        $crate::cli::output::print(::std::format_args!($($text)*))
    };
}
/// As [`print!`], with the end of the line.
macro_rules! println {
    () => { print!("\n") };
    ($($text:tt)*) => {
        print!("{}\n", ::std::format_args!($($text)*))
    };
}
/// Prints a line on standard error, if it takes it: std's panics if not.
macro_rules! eprintln {
    ($($text:tt)*) => {
        $crate::cli::output::print_error(::std::format_args!("{}\n", ::std::format_args!($($text)*)))
    };
}

pub mod agency;
mod config;
pub mod demo;
mod descriptors;
pub mod domains;
pub mod files;
pub mod fsck;
pub mod keys;
pub mod log;
pub mod operator;
pub mod output;
pub mod party;
pub mod resident;
pub mod say;
pub mod serve;
mod server;
mod signals;
pub mod submit;
mod supervisor;
pub mod vendor;
pub mod waits;
pub mod witness;
mod written;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use rustix::fs::Mode;
use rustix::process::umask;

use config::{CommandLine, Reload};
use server::LogOptions;

use crate::client::ClientError;
use crate::encoding::printable_lines;
use crate::logging::{self, Filter, LogFormat};
use crate::party::official::OfficialError;
use crate::party::resident::ResidentError;
use crate::statement::words::PartyKind;
use crate::wire::problem::Problem;

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was done, or the answer is yes.
    Yes,
    /// The answer is no: a proof does not hold, the ledger refuses, nothing new was logged.
    No,
}

impl Cli {
    /// How this command logs, if it is a server.
    fn log_options(&self) -> Option<&LogOptions> {
        match &self.command {
            Command::Serve(args) => Some(&args.log),
            Command::Witness(witness::Command::Serve(args)) => Some(&args.log_options),
            _ => None,
        }
    }
}

/// Runs the command of a command line, and ends as it does.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = CommandLine::new(words);
    let example = line.example().unwrap_or_else(|error| error.exit());
    if let Some(example) = example {
        print!("{example}");
        return ended(LogFormat::Text, output::finish().map(|()| Exit::Yes), false);
    }
    let options = line.read().unwrap_or_else(|error| error.exit());
    let log = options.cli.log_options();
    let format = log.map_or_else(LogFormat::default, |log| log.log_format);
    waits::show();
    output::remember_answered();
    let filter = match log {
        Some(log) => Ok(log.log_filter.clone()),
        None => Filter::of_environment().context(logging::FILTER_VARIABLE),
    };
    let done = filter.and_then(|filter| {
        logging::start(format, &filter);
        dispatch(&options.cli.command, Reload::new(line, &options))
    });
    ended(format, done, options.json)
}

/// Ends a command. A refusal by the ledger is the answer to what was asked, and no fault: `json` says whether
/// answers are printed as JSON.
fn ended(format: LogFormat, done: anyhow::Result<Exit>, json: bool) -> ExitCode {
    let done = done.or_else(|error| match refusal(&error) {
        None => Err(error),
        Some(problem) => {
            eprintln!("refused: {}", causes(&error));
            output::tell_answered();
            if json {
                let answer = serde_json::json!({ "problem": problem });
                println!("{}", serde_json::to_string_pretty(&answer)?);
                output::finish()?;
            }
            Ok(Exit::No)
        }
    });
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            match format {
                LogFormat::Text => {
                    eprintln!("error: {}", causes(&error));
                    output::tell_answered();
                }
                LogFormat::Json => tracing::error!(error = causes(&error), "ended"),
            }
            ExitCode::from(2)
        }
    }
}

/// The problem with which the ledger refused what a command asked, if that ended it.
fn refusal(error: &anyhow::Error) -> Option<&Problem> {
    let mut clients = error.chain().filter_map(|cause| {
        // Errors that are transparent show the causes of what they hold, and not that itself.
        let official = match cause.downcast_ref() {
            Some(OfficialError::Client(client)) => Some(client),
            _ => None,
        };
        let resident = match cause.downcast_ref() {
            Some(ResidentError::Client(client)) => Some(client),
            _ => None,
        };
        cause
            .downcast_ref::<ClientError>()
            .or(official)
            .or(resident)
    });
    clients.find_map(|client| match client {
        ClientError::Problem(problem) if problem.refusal().is_some() => Some(&**problem),
        _ => None,
    })
}

fn dispatch(command: &Command, reload: Reload) -> anyhow::Result<Exit> {
    // Files of these folders belong to their owner alone, whatever umask the process was given. The public ones
    // get their modes explicitly.
    let given = umask(Mode::RWXG | Mode::RWXO);
    if !matches!(
        command,
        Command::Serve(_) | Command::Witness(_) | Command::Operator(_)
    ) {
        // Nobody else may write in another party's folder either, or it is refused when it is opened.
        umask(given | Mode::WGRP | Mode::WOTH);
    }
    let exit = match command {
        // Servers are useful although nobody learned their address from standard output.
        Command::Serve(args) => return serve::run(args, reload),
        Command::Witness(witness::Command::Serve(args)) => return witness::serve(args, reload),
        Command::Demo(args) => demo::run(args),
        Command::Vendor(command) => vendor::run(command),
        Command::Agency(command) => agency::run(command),
        Command::Court(command) => party::run(command, PartyKind::Court),
        Command::Watchdog(command) => party::run(command, PartyKind::Watchdog),
        Command::Resident(command) => resident::run(command),
        Command::Countersign(args) => files::countersign(args),
        Command::Submit(args) => submit::submit(args),
        Command::Operator(command) => operator::run(command),
        Command::Log(command) => log::run(command),
        Command::Witness(witness::Command::Init(args)) => witness::init(args),
    }?;
    output::finish()?;
    Ok(exit)
}

/// An error and its causes in one line; a cause that was told already is not told again. Nothing in
/// them steers a terminal, whoever wrote it.
pub fn causes(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain() {
        let cause = printable_lines(&cause.to_string());
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told.push_str(": ");
            told.push_str(&cause);
        }
    }
    told
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Yes => Self::SUCCESS,
            Exit::No => Self::from(1),
        }
    }
}

/// Camera clips that nobody can see in secret: end-to-end encryption behind a public, witnessed log
/// of every police access request.
#[derive(Debug, Parser)]
#[command(
    name = "whosaw",
    version,
    after_help = "Exit codes: 0 done, or yes; 1 the answer is no; 2 it could not be done or looked at.\n\
                  Begin with `whosaw demo`: it plays the whole story with every command it runs."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Args),
    Serve(serve::Args),
    #[command(subcommand)]
    Vendor(vendor::Command),
    #[command(subcommand)]
    Agency(agency::Command),
    /// Speak for a court: orders, and what it demands
    #[command(subcommand)]
    Court(party::Command),
    /// Speak for a watchdog: remarks on what stands in the log
    #[command(subcommand)]
    Watchdog(party::Command),
    #[command(subcommand)]
    Resident(resident::Command),
    Countersign(files::Countersign),
    Submit(submit::Submit),
    #[command(subcommand)]
    Operator(operator::Command),
    #[command(subcommand)]
    Log(log::Command),
    #[command(subcommand)]
    Witness(witness::Command),
}
