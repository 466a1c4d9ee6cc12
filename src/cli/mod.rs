//! The command line: one subcommand, one file, each with its `Args` and `run`.

/// Prints as std's does, for every command below: whoever reads the answer, such as `head`, may stop
/// reading, and the command still does its work and ends as it would have.
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
mod signals;
pub mod submit;
pub mod vendor;
pub mod waits;
pub mod witness;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::encoding::printable_lines;
use crate::logging::{self, LogFormat};
use crate::statement::words::PartyKind;

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was done, or the answer is yes.
    Yes,
    /// The answer is no: a proof does not hold, a request is refused.
    No,
}

impl Cli {
    /// How this command logs.
    pub fn log_format(&self) -> LogFormat {
        match &self.command {
            Command::Serve(args) => args.log.log_format,
            Command::Witness(witness::Command::Serve(args)) => args.log_options.log_format,
            _ => LogFormat::Text,
        }
    }
}

/// How a server logs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Log")]
pub struct LogOptions {
    /// How the log on standard error is written: as text, or one JSON object a line
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value_t,
        env = "WHOSAW_LOG_FORMAT",
        hide_env_values = true
    )]
    log_format: LogFormat,
}

/// Runs a command, and ends as it does.
pub fn run(cli: &Cli) -> ExitCode {
    let format = cli.log_format();
    waits::show();
    let done = logging::start(format)
        .context(logging::FILTER_VARIABLE)
        .and_then(|()| dispatch(&cli.command));
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            match format {
                LogFormat::Text => eprintln!("error: {}", causes(&error)),
                LogFormat::Json => tracing::error!(error = causes(&error), "ended"),
            }
            ExitCode::from(2)
        }
    }
}

fn dispatch(command: &Command) -> anyhow::Result<Exit> {
    let exit = match command {
        // Servers are useful although nobody learned their address from standard output.
        Command::Serve(args) => return serve::run(args),
        Command::Witness(command @ witness::Command::Serve(_)) => return witness::run(command),
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
        Command::Witness(command) => witness::run(command),
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
