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

pub mod agency;
pub mod demo;
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
pub mod vendor;
pub mod waits;
pub mod witness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::encoding::printable_lines;

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was done, or the answer is yes.
    Yes,
    /// The answer is no: a proof does not hold, a request is refused.
    No,
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
    Submit(files::Submit),
    #[command(subcommand)]
    Operator(operator::Command),
    #[command(subcommand)]
    Log(log::Command),
    #[command(subcommand)]
    Witness(witness::Command),
}
