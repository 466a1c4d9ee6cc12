//! `whosaw operator close`: ends a log, also one that a wrong clock has put ahead of the time.

use std::thread;
use std::time::Duration;

use super::{Own, names_origin};
use crate::cli::Exit;
use crate::cli::output::say_logged;
use crate::cli::party::{self, SignOnly, Speaker as _};
use crate::party::official::{Official, Signatory, logged_json};
use crate::reader::source::{LogSource as _, UrlSource};
use crate::statement::envelope::Envelope;
use crate::statement::kinds::log_closed::{ClosingReason, LogClosed, Successor};
use crate::statement::rules::ISSUED_BEFORE;
use crate::statement::words::Role;
use crate::statement::{Statement, sign};
use crate::time::Time;
use crate::tlog::checkpoint::Origin;
use crate::tlog::note::VerifierKey;
use crate::tlog::policy::counts_at;
use crate::wire::statements::Logged;

/// How often a close asks again for the witnesses' word; the server waits some seconds each time.
const COSIGNING_ROUNDS: usize = 30;
/// How long until it looks again for the final checkpoint of a log that is dated ahead.
const LOOK: Duration = Duration::from_secs(1);

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
    let mut logged = operator.submit(&envelope)?;
    let plain = party::plain_own(&operator, &statement);
    let json = args.own.json;
    if !counts_at(operator.clock().now(), logged.logged_at) {
        say_ahead(&operator, &logged, &plain, json)?;
        return Ok(Exit::Yes);
    }
    // Asked again, the server waits for the witnesses anew, and says where the statement stands.
    for _ in 0..COSIGNING_ROUNDS {
        if logged.proof.is_some() {
            break;
        }
        eprintln!("the log is closed; waiting for the witnesses to cosign its final checkpoint");
        let known = logged.known;
        logged = Logged {
            known,
            ..operator.submit(&envelope)?
        };
    }
    say_logged(&logged, &plain, json)?;
    if !json && logged.proof.is_some() {
        println!("{COSIGNED}: {origin} is closed");
    }
    Ok(Exit::Yes)
}

const COSIGNED: &str = "the witnesses have cosigned the final checkpoint";

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

/// Says where the end of a log stands whose last entries are dated ahead: no proof of them counts before
/// their time, and the witnesses cosign the final checkpoint all the same.
fn say_ahead(operator: &Official, logged: &Logged, plain: &str, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(&logged_json(logged))?);
        return Ok(());
    }
    let (index, logged_at) = (logged.index, logged.logged_at);
    println!("{plain}");
    println!("logged as entry {index}, dated {logged_at}: proofs of it count from then on");
    println!("id {}", logged.id);
    let source = UrlSource::of_server(operator.client().base().as_str())?;
    for _ in 0..COSIGNING_ROUNDS {
        let fresh = operator
            .policy()
            .verify_fresh(&source.checkpoint()?, operator.clock().now());
        if fresh.is_ok_and(|cosigned| cosigned.checkpoint.size.as_u64() > index.as_u64()) {
            println!("{COSIGNED}: the log is closed, and readers count nothing after it");
            return Ok(());
        }
        thread::sleep(LOOK);
    }
    println!("the witnesses have not cosigned the final checkpoint yet: see /healthz");
    Ok(())
}
