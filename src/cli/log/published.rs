//! What residents gave to everybody: `published`, `fetch`.

use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::record::Read;
use super::{Exit, Log, print_json};
use crate::cli::agency::say_fetched;
use crate::party::collected::Fetched;
use crate::party::published;
use crate::plain::count;
use crate::record::{Given, PublicState};
use crate::statement::Statement;
use crate::statement::kinds::disclosure::{Audience, short};
use crate::time::Time;

/// List the clips that residents gave to everybody
///
/// The log tells when each was published, until when it is served, and whether it was taken back;
/// never whose it is. Time is the witnesses'. `whosaw log fetch` fetches one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw log published --log https://ledger.example/log --policy log.policy")]
pub struct Published {
    #[command(flatten)]
    log: Log,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Fetch a clip that a resident gave to everybody, check it against the log, and open it
///
/// What is not the clip that the log speaks of is kept as DIR/….unreadable. The sealed file is kept
/// too: any age program opens it with the public identity of docs/PROTOCOL.md. What the log says was
/// taken back or has expired is not fetched, whatever the server still gives. Exits 1 if there is
/// nothing to fetch, or should be nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw log fetch 3f9a0c21d4e7 --log https://ledger.example/log --policy log.policy --out clips")]
pub struct Fetch {
    /// The disclosure: its id, the id's first 8 or more digits, or #INDEX
    disclosure: String,
    #[command(flatten)]
    log: Log,
    /// Where the clip goes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The largest clip that is fetched, in MiB
    #[arg(long, value_name = "MIB", default_value = "4096")]
    max_size: u32,
    /// Fetch it although it was taken back or has expired: that it is still served is worth showing
    #[arg(long)]
    anyway: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `published`.
///
/// # Errors
/// If the log or the trust file cannot be read.
pub fn published(args: &Published, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let read = Read::of(&args.log)?;
    let published: Vec<&Given> = read.record.published().collect();
    if args.json {
        let rows: Vec<Value> = published
            .iter()
            .map(|given| json_row(given, &read))
            .collect();
        print_json(out, &rows)?;
        return Ok(Exit::Yes);
    }
    for given in &published {
        writeln!(
            out,
            "#{:<5} {}  {}  {:<9} until {}",
            given.index,
            given.logged_at,
            short(&given.id),
            given.state(read.now).code(),
            given.expires
        )?;
    }
    let n = published.len();
    let clips = count(n, "clip");
    writeln!(out, "{clips} given to everybody, as of {}", read.now)?;
    Ok(Exit::Yes)
}

fn json_row(given: &Given, read: &Read) -> Value {
    json!({
        "id": given.id,
        "index": given.index,
        "logged_at": given.logged_at,
        "expires": given.expires,
        "withdrawn": given.withdrawn,
        "state": given.state(read.now),
    })
}

/// Runs `fetch`.
///
/// # Errors
/// If the log, the trust file, the server or the folder is not acceptable.
pub fn fetch(args: &Fetch, out: &mut impl io::Write) -> anyhow::Result<Exit> {
    let client = args.log.client()?;
    let client = client.context("clips are fetched from a server: give the log's address")?;
    let read = Read::of(&args.log)?;
    let entry = read.copy.find(&args.disclosure)?;
    let (id, index) = (entry.signed.id, entry.index);
    let Statement::Disclosure(disclosure) = entry.signed.statement else {
        bail!("entry {index} is no disclosure");
    };
    if disclosure.recipient != Audience::Public {
        bail!("entry {index} gives to an agency, not to everybody");
    }
    let mut published = read.record.published();
    let given = published.find(|given| given.id == id);
    let over = given.map_or(Some("nobody gave it".to_owned()), |given| {
        over(given, read.now)
    });
    if let Some(why) = &over
        && !args.anyway
    {
        match args.json {
            true => print_json(out, &json!({ "id": id, "over": why, "clip": null }))?,
            false => writeln!(
                out,
                "{}: not public any more: {why}; nothing was fetched (--anyway does)",
                short(&id)
            )?,
        }
        return Ok(Exit::No);
    }
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let clip = &disclosure.clips[0];
    let fetched = published::fetch(
        &client,
        &id,
        clip,
        u64::from(args.max_size) << 20,
        &args.out,
    )?;
    match (args.json, &fetched) {
        (true, _) => print_json(out, &json!({ "id": id, "over": over, "clip": fetched }))?,
        (false, Fetched::NotHandedOver) => writeln!(
            out,
            "{}: not there yet; the resident's device hands the key over when it has read the log. If that was \
             days ago, the server was restored from a backup: the resident has to publish it again",
            short(&id)
        )?,
        (false, Fetched::Gone) => writeln!(
            out,
            "{}: served no more; it expired, or its owner took it back",
            short(&id)
        )?,
        (false, fetched) => say_fetched(&short(&id), fetched, out)?,
    }
    let served = matches!(fetched, Fetched::Opened { .. } | Fetched::Unreadable { .. });
    if let (false, true, Some(why)) = (args.json, served, &over) {
        writeln!(
            out,
            "{}: SERVED ALL THE SAME, though it is not public any more: {why}",
            short(&id)
        )?;
    }
    Ok(match fetched {
        Fetched::Opened { .. } | Fetched::Kept { .. } if over.is_none() => Exit::Yes,
        _ => Exit::No,
    })
}

/// Why a clip is not public at `now`, if it is not.
fn over(given: &Given, now: Time) -> Option<String> {
    match (given.state(now), &given.withdrawn) {
        (PublicState::Public, _) => None,
        (_, Some((withdrawal, at))) => {
            let withdrawal = short(withdrawal);
            Some(format!(
                "its owner took it back on {at} (statement {withdrawal})"
            ))
        }
        (_, None) => Some(format!("it was to be public until {}", given.expires)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::StatementId;

    #[test]
    fn a_clip_is_public_until_it_expires_or_is_taken_back() {
        let time = |minute| format!("2026-03-01T12:{minute:02}:00Z").parse().unwrap();
        let mut given = Given {
            id: StatementId::of_payload(b"given"),
            request: None,
            index: 7,
            logged_at: time(0),
            clips: 1,
            expires: time(30),
            gives: Vec::new(),
            minutes: None,
            withdrawn: None,
            collected: None,
            kept: Default::default(),
        };
        assert_eq!(over(&given, time(29)), None);
        for minute in [30, 31] {
            let why = over(&given, time(minute)).unwrap();
            assert_eq!(why, "it was to be public until 2026-03-01T12:30:00Z");
        }
        given.withdrawn = Some((StatementId::of_payload(b"back"), time(10)));
        for minute in [11, 31] {
            let why = over(&given, time(minute)).unwrap();
            assert!(
                why.starts_with("its owner took it back on 2026-03-01T12:10:00Z"),
                "{why}"
            );
        }
    }
}
