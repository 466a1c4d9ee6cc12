//! Statements on their way to the ledger, many at once: it answers one when its checkpoint is public,
//! and by then a hundred others can be under it.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::bail;
use whosaw::client::ClientError;
use whosaw::party::official::{Official, OfficialError};
use whosaw::statement::envelope::Envelope;

/// Statements after which the progress is told where nobody watches.
const STEP: usize = 500;
/// Times that a statement is sent again to a ledger that is busy.
const PATIENCE: usize = 120;

/// Times that it is sent again where no answer came.
const RETRIES: usize = 5;

/// What became of a statement.
pub enum Sent {
    Logged,
    /// Refused, with the server's reason.
    Refused(String),
}

/// Sends statements, `jobs` at once; what became of each, in their order.
///
/// # Errors
/// If the ledger cannot be reached, or what it says of one does not hold.
pub fn send_all(
    operator: &Official,
    envelopes: &[Envelope],
    jobs: u16,
) -> anyhow::Result<Vec<Sent>> {
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let sent = Mutex::new((0..envelopes.len()).map(|_| None).collect::<Vec<_>>());
    let work = || -> anyhow::Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(envelope) = envelopes.get(at) else {
                return Ok(());
            };
            let one = send(operator, envelope)?;
            sent.lock().expect("no panic")[at] = Some(one);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, envelopes.len());
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        ended.collect::<anyhow::Result<Vec<()>>>()
    })?;
    let sent = sent.into_inner().expect("no panic").into_iter();
    Ok(sent.map(|one| one.expect("each was sent")).collect())
}

/// Sends one, again while the ledger says that it is busy.
fn send(operator: &Official, envelope: &Envelope) -> anyhow::Result<Sent> {
    for attempt in 0..PATIENCE {
        match operator.submit(envelope) {
            Ok(_) => return Ok(Sent::Logged),
            Err(OfficialError::Client(ClientError::Problem(problem))) => match problem.status {
                408 | 429 | 500.. => std::thread::sleep(Duration::from_secs(1)),
                _ => return Ok(Sent::Refused(ClientError::Problem(problem).to_string())),
            },
            // It may have come through: the same bytes again are the same statement.
            Err(OfficialError::Client(ClientError::Transport { .. })) if attempt < RETRIES => {
                std::thread::sleep(Duration::from_secs(1));
            }
            Err(error) => return Err(error.into()),
        }
    }
    bail!("the ledger is busy for long: try again later, what is in is in")
}

fn progress(done: usize, of: usize) {
    let terminal = std::io::stderr().is_terminal();
    if terminal && (done.is_multiple_of(10) || done == of) {
        eprint!("\r{done} of {of}{}", if done == of { "\n" } else { "" });
    } else if !terminal && done.is_multiple_of(STEP) {
        eprintln!("{done} of {of}");
    }
}
