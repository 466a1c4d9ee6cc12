//! `whosaw vendor`: what a vendor of cameras does.

use super::{Exit, party};
use crate::statement::words::PartyKind;

/// Speak for a vendor: agreements, and what was given under them
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    #[command(flatten)]
    Party(party::Command),
}

/// Runs the command.
///
/// # Errors
/// Those of the command.
pub fn run(command: &Command) -> anyhow::Result<Exit> {
    let Command::Party(command) = command;
    party::run(command, PartyKind::Vendor)
}
