//! `whosaw vendor`: what a vendor of cameras does.

use super::Exit;
use super::party::{self, deals};
use crate::statement::words::PartyKind;

/// Speak for a vendor: agreements, and what was given under them
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    #[command(flatten)]
    Party(party::Command),
    #[command(flatten)]
    Deal(deals::Command),
}

/// Runs the command.
///
/// # Errors
/// Those of the command.
pub fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Party(command) => party::run(command, PartyKind::Vendor),
        Command::Deal(command) => deals::run(command),
    }
}
