//! Statements on their way to the ledger, many a call.

use std::io::IsTerminal as _;

use whosaw::party::bulk::Outcome;
use whosaw::party::official::Official;
use whosaw::statement::envelope::Envelope;

/// Statements after which the progress is told where nobody watches.
const STEP: u64 = 500;

/// What became of a statement.
pub enum Sent {
    Logged,
    /// Refused, with the server's reason.
    Refused(String),
}

/// Sends statements; what became of each, in their order.
///
/// # Errors
/// If the ledger cannot be reached, or what it says of one does not hold.
pub fn send_all(operator: &Official, envelopes: &[Envelope]) -> anyhow::Result<Vec<Sent>> {
    let mut told = 0;
    let mut progress = |done: u64, of: u64| {
        let terminal = std::io::stderr().is_terminal();
        if terminal {
            eprint!("\r{done} of {of}{}", if done == of { "\n" } else { "" });
        } else if done >= told + STEP {
            told = done;
            eprintln!("{done} of {of}");
        }
    };
    let outcomes = operator.submit_all(envelopes, &mut progress)?;
    let sent = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Logged { .. } => Sent::Logged,
        Outcome::Refused(problem) => Sent::Refused(problem.to_string()),
    });
    Ok(sent.collect())
}
