//! `notify` and `vaults`: telling those whom a legal demand is about.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::{Exit, Own, party};
use crate::cli::output::{acted, read_line, read_text, say_logged};
use crate::cli::party::Speaker as _;
use crate::digest::{Digest, StatementId};
use crate::party::notify::{About, Owner, Waiting, owners, recipient};
use crate::party::official::logged_json;
use crate::party::operator::Operator;
use crate::plain::count;
use crate::statement::Statement;
use crate::statement::kinds::notice::{MAX_MESSAGES, Notice, NoticeState};
use crate::statement::words::{Day, DelayGround, Role};
use crate::store::vaults::{Vault, Vaults as Store};

/// Tell those whom a legal demand is about, or log that they are told later
///
/// Each owner gets a message that only the owner's device can open; messages for nobody fill the
/// statement up, so that the log does not say how many there were. What was demanded and given is
/// taken from the log: enter the demand and the answer first. With --delay-until nobody is told, and
/// those named are kept in the data folder; `notify` without a name tells them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw operator notify DEMAND --data ledger --server https://ledger.example \\\n    \
    --vaults-file served.txt --delay-until 2027-03-01 --ground jeopardy\n  \
    whosaw operator notify DEMAND --data ledger --server https://ledger.example \\\n    \
    --message letter.txt")]
pub struct Notify {
    /// The legal demand
    #[arg(value_name = "DEMAND")]
    demand: StatementId,
    #[command(flatten)]
    own: Own,
    /// Somebody to tell: a vault's id, and which clips it is about; repeatable. Everybody on this
    /// machine can read it while this runs: rather --vaults-file
    #[arg(long, value_name = "ID[:CLIP,…]")]
    vault: Vec<Owner>,
    /// A file with those to tell, one a line; - is standard input
    #[arg(long, value_name = "FILE")]
    vaults_file: Option<PathBuf>,
    /// What you tell them yourself: a text of at most 800 bytes
    #[arg(long, value_name = "FILE", conflicts_with = "delay_until")]
    message: Option<PathBuf>,
    /// Tell nobody before this day
    #[arg(long, value_name = "DAY", requires = "ground")]
    delay_until: Option<Day>,
    /// Why they are told later; repeatable
    #[arg(long, value_name = "CODE", value_enum, requires = "delay_until")]
    ground: Vec<DelayGround>,
}

/// List the vaults, or find the one that an enrolment code opened
///
/// A demand names an account; whom a code was given to is the operator's to know. Ids of vaults are
/// in no log: keep what this prints private.
#[derive(Debug, clap::Args)]
pub struct Vaults {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// A file with an enrolment code, or - for standard input: only its vault
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Runs `notify`.
///
/// # Errors
/// If somebody cannot be told, a file cannot be read, or the ledger refuses.
pub fn notify(args: &Notify) -> anyhow::Result<Exit> {
    let operator = args.own.open()?;
    let mut named = args.vault.clone();
    if let Some(path) = &args.vaults_file {
        let list = read_text(path)?;
        named.extend(owners(&list).with_context(|| path.display().to_string())?);
    }
    named.sort_unstable();
    named.dedup();
    let store = Store::open_existing(&operator.home().root().join("vaults.db"))?;
    let (follower, _) = operator.follow(&mut |_, _| {})?;
    let about = About::read(&follower, args.demand)?;
    let waiting = Waiting::of(operator.home(), &args.demand);
    if let Some(until) = &args.delay_until {
        for owner in &named {
            recipient(&store, owner)?;
        }
        named.extend(waiting.read()?);
        named.sort_unstable();
        named.dedup();
        waiting.keep(&named)?;
        let mut grounds = args.ground.clone();
        grounds.sort_unstable();
        grounds.dedup();
        let notice = Notice {
            demand: args.demand,
            state: NoticeState::Delayed,
            messages: Vec::new(),
            until: Some(until.clone()),
            grounds,
        };
        return party::log(&operator, notice.into(), Role::Officer, args.own.json);
    }
    let mut later = waiting.read()?;
    match named.is_empty() {
        true => named = std::mem::take(&mut later),
        false => later.retain(|kept| !named.iter().any(|owner| owner.covers(kept))),
    }
    let text = match &args.message {
        None => String::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            text.trim_end().to_owned()
        }
    };
    let sealed = about.messages(&store, &named, &text)?;
    let (mut all, mut exit) = (Vec::new(), Exit::Yes);
    // One statement after another: if one fails, those who were not told yet still wait to be.
    let kept = |untold: &[Owner]| waiting.keep(&[untold, &later].concat());
    kept(&named)?;
    for (n, messages) in sealed.chunks(MAX_MESSAGES).enumerate() {
        let mut digests = Vec::with_capacity(messages.len());
        for message in messages {
            digests.push(operator.attach(message, "application/age")?.digest());
        }
        // By their salted digests: in no order that anybody chose.
        digests.sort_unstable();
        let notice: Statement = Notice {
            demand: args.demand,
            state: NoticeState::Sent,
            messages: digests,
            until: None,
            grounds: Vec::new(),
        }
        .into();
        let logged = party::submit_own(&operator, &notice, Role::Officer)?;
        if !args.own.json {
            say_logged(&logged, &party::plain_own(&operator, &notice), false)?;
        }
        if acted(&logged, args.own.json) == Exit::No {
            exit = Exit::No;
        }
        all.push(logged_json(&logged));
        kept(named.get((n + 1) * MAX_MESSAGES..).unwrap_or_default())?;
    }
    if args.own.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    }
    Ok(exit)
}

/// Runs `vaults`.
///
/// # Errors
/// If the folder cannot be read, or there is no such code.
pub fn vaults(args: &Vaults) -> anyhow::Result<Exit> {
    let operator = Operator::open(&args.data)?;
    let store = Store::open_existing(&operator.home().root().join("vaults.db"))?;
    let vaults: Vec<Vault> = match &args.code_file {
        None => store.vaults()?,
        Some(path) => {
            let code = read_line(path, "an enrolment code")?;
            let opened = store.vault_of_code(&Digest::of(code))?;
            opened.into_iter().collect()
        }
    };
    if args.json {
        let rows: Vec<_> = vaults
            .iter()
            .map(|vault| {
                json!({ "vault": vault.id.to_string(), "clips": vault.clips,
                        "used_bytes": vault.used_bytes,
                        "can_be_told": vault.notice_recipient.is_some() })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(Exit::Yes);
    }
    for vault in &vaults {
        let told = match vault.notice_recipient {
            Some(_) => "",
            None => ", cannot be told yet",
        };
        println!(
            "{}  {}, {}{told}",
            vault.id,
            count(vault.clips, "clip"),
            count(vault.used_bytes, "byte")
        );
    }
    if vaults.is_empty() {
        println!("none");
    }
    Ok(Exit::Yes)
}
