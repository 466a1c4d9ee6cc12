//! `whosaw operator close`: ends a log, also one that a wrong clock has put ahead of the time.

use super::{Own, names_origin};
use crate::cli::Exit;
use crate::cli::output::{say_ending, tell, tell_ending_waits};
use crate::cli::party::{self, SignOnly, Speaker as _};
use crate::party::ending::Ending;
use crate::party::official::Signatory;
use crate::statement::envelope::Envelope;
use crate::statement::kinds::log_closed::{ClosingReason, LogClosed, Successor};
use crate::statement::rules::ISSUED_BEFORE;
use crate::statement::words::Role;
use crate::statement::{Statement, sign};
use crate::time::Time;
use crate::tlog::checkpoint::Origin;
use crate::tlog::note::VerifierKey;

/// Close the log for good: nothing can be added to it any more
///
/// This cannot be undone. The ledger refuses every later statement, and every reader says that the
/// log was closed; what stands in it can be read and proved for as long as somebody serves it.
/// Clips that were collected before are still handed over. Let a batch period pass first, so that
/// the last clips are anchored. A log whose last entry is dated ahead of the time, by a clock that was
/// wrong, is closed at once too: its end gets the time of that entry.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw operator close --data ledger --server https://ledger.example --reason discontinued\n  \
    whosaw operator close --data ledger --server https://ledger.example --reason moved \\\n    \
    --successor next.example/log --successor-vkey \"$(cat next/log.vkey)\"")]
pub struct Close {
    #[command(flatten)]
    own: Own,
    #[command(flatten)]
    sign_only: SignOnly,
    /// Why; `moved` needs a successor
    #[arg(long, value_enum)]
    reason: ClosingReason,
    /// The origin of the log in which things go on
    #[arg(long, value_name = "ORIGIN", requires = "successor_vkey")]
    successor: Option<Origin>,
    /// A key of that log, from its log.vkey or log.ml-dsa-44.vkey; repeatable
    #[arg(long, value_name = "VKEY", requires = "successor")]
    successor_vkey: Vec<VerifierKey>,
    /// The time of the log's last entry, if it has not come: `waits_until` of the server's /healthz. Without
    /// --sign-only the server is asked
    #[arg(long, value_name = "TIME")]
    waits_until: Option<Time>,
    /// Do not ask: close it
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
///
/// # Errors
/// If the folder cannot be read, or the ledger refuses.
pub fn run(args: &Close) -> anyhow::Result<Exit> {
    let origin = Origin::from(args.own.signatory()?.policy().logs()[0].key.name.clone());
    if !args.yes
        && !names_origin(
            &origin,
            "This closes the log for good.",
            "closing a log cannot be undone",
        )?
    {
        println!("nothing was closed");
        return Ok(Exit::No);
    }
    let successor = args.successor.clone().map(|origin| Successor {
        origin,
        vkeys: args.successor_vkey.clone(),
    });
    let statement: Statement = LogClosed {
        reason: args.reason,
        successor,
    }
    .into();
    if args.sign_only.sign_only.is_some() {
        return args.sign_only.finish(&args.own, |party| {
            let envelope = signed(party, &statement, args.waits_until)?;
            Ok((envelope, party::plain_own(party, &statement)))
        });
    }
    let operator = args.own.open()?;
    let last = match args.waits_until {
        None => operator.client().waits_until()?,
        given => given,
    };
    if let Some(last) = last {
        eprintln!(
            "the log's last entry is dated {last}, which has not come: its end gets that time"
        );
    }
    let envelope = signed(&operator, &statement, last);
    let envelope = envelope.map_err(|e| party::admin_key_elsewhere(&operator, e))?;
    let logged = operator.submit(&envelope)?;
    let plain = party::plain_own(&operator, &statement);
    let (client, trust) = (operator.client(), (operator.policy(), operator.clock()));
    let ending = Ending::wait(client, trust, &envelope, logged, tell_ending_waits)?;
    say_ending(&ending, &plain, args.own.json)?;
    // A log that was closed before can be closed no second time.
    if ending.logged.known {
        tell("the log was closed before", args.own.json);
        return Ok(Exit::No);
    }
    Ok(Exit::Yes)
}

/// The statement, signed. After a `last` entry that is ahead of the time, it is dated as little ahead as the
/// rules allow.
fn signed(
    party: &Signatory,
    statement: &Statement,
    last: Option<Time>,
) -> anyhow::Result<Envelope> {
    let mut head = party.own_head();
    let earliest = last.and_then(|last| last.checked_add_seconds(-ISSUED_BEFORE));
    if let Some(earliest) = earliest {
        head.issued_at = head.issued_at.max(earliest);
    }
    Ok(sign(&head, statement, &[&party.home().key(Role::Admin)?]))
}
