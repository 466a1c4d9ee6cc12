use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use whosaw::cli::{self, Cli, Command};
use whosaw::statement::words::PartyKind;

/// Threads hand each other what they allocate, statement by statement: glibc's locks were a tenth
/// of the time of an append. A debug build counts what it allocates besides (`whosaw::memory`).
#[cfg(not(debug_assertions))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("WHOSAW_LOG")
                .unwrap_or_else(|_| "whosaw=info,warn".into()),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    cli::waits::show();
    let result = match &Cli::parse().command {
        Command::Demo(args) => cli::demo::run(args),
        Command::Serve(args) => cli::serve::run(args),
        Command::Vendor(command) => cli::vendor::run(command),
        Command::Agency(command) => cli::agency::run(command),
        Command::Court(command) => cli::party::run(command, PartyKind::Court),
        Command::Watchdog(command) => cli::party::run(command, PartyKind::Watchdog),
        Command::Resident(command) => cli::resident::run(command),
        Command::Countersign(args) => cli::files::countersign(args),
        Command::Submit(args) => cli::files::submit(args),
        Command::Operator(command) => cli::operator::run(command),
        Command::Log(command) => cli::log::run(command),
        Command::Witness(command) => cli::witness::run(command),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {}", cli::causes(&error));
            ExitCode::from(2)
        }
    }
}
