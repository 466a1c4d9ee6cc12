//! What a resident is shown.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::Exit;
use crate::encoding::printable;
use crate::party::resident::decide::{Offer, Said};
use crate::party::resident::film::Parts;
use crate::party::resident::gate::Fault;
use crate::party::resident::inbox::{Answer, Checkpoint, Inbox, Item};
use crate::party::resident::kept::{Kept, What};
use crate::party::resident::notices::Notices;
use crate::party::resident::publish::{self, Published};
use crate::party::resident::report::Report;
use crate::party::resident::state::{Attack, Clip};
use crate::seal::keys::Phrase;
use crate::statement::kinds::disclosure::{BESIDE_WINDOW, short};
use crate::statement::words::Label;

pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A bar on a terminal, and nothing elsewhere.
pub(super) fn with_bar<T>(what: &'static str, work: impl FnOnce(&dyn Fn(u64, u64)) -> T) -> T {
    let bar = if std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{prefix} {bar:30} {percent}% {eta}");
        ProgressBar::new(0)
            .with_prefix(what)
            .with_style(style.expect("a template without unknown keys"))
    } else {
        ProgressBar::hidden()
    };
    let done = work(&|done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    done
}

pub(super) fn print_phrase(phrase: &Phrase) {
    let words: Vec<&str> = phrase.words().collect();
    for row in 0..6 {
        let row: Vec<String> = (0..4)
            .map(|column| row + column * 6)
            .map(|at| format!("{:>4}. {:<9}", at + 1, words[at]))
            .collect();
        println!("{}", Zeroizing::new(row.concat()).trim_end());
    }
}

pub(super) fn print_checkpoint(checkpoint: &Checkpoint) {
    println!(
        "the log, {} entries, vouched for by {} at {}",
        checkpoint.size,
        checkpoint.witnesses.join(", "),
        checkpoint.cosigned_at
    );
    print_closed(checkpoint);
}

fn print_closed(checkpoint: &Checkpoint) {
    if let Some(closed) = &checkpoint.closed {
        println!("NOTE: {closed}");
    }
}

pub(super) fn print_warnings(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {}", printable(warning));
    }
}

pub(super) fn print_attacks(attacks: &[Attack]) {
    for attack in attacks {
        println!(
            "ATTACK on clip {} (entry {}): {}.\n  Whoever did this has access to the operator's \
             machines. Keep the proof (`report --proofs`), and tell a watchdog.",
            attack.clip,
            attack.index,
            printable(&attack.why)
        );
    }
}

pub(super) fn print_inbox(inbox: &Inbox) {
    print_checkpoint(&inbox.checkpoint);
    match &inbox.not_looked {
        Some(why) => println!(
            "whether anybody asks for footage from your cameras could NOT be looked at: {why}\n  \
             what is shown is what was known before"
        ),
        None if inbox.requests.is_empty() => {
            println!("nobody asks for footage from your cameras");
        }
        None => {}
    }
    for item in &inbox.requests {
        println!();
        print_item(item);
    }
    print_notices(&inbox.notices);
    for lie in &inbox.false_requests {
        let who = lie
            .agency
            .as_ref()
            .map_or("unknown", |agency| agency.as_str());
        println!(
            "\nFALSE  request {} in the name of {who}\n  {}",
            short(&lie.request),
            printable(&lie.why)
        );
    }
}

/// What the resident was told about legal demands, if anything.
pub(super) fn print_notices(notices: &Notices) {
    for told in &notices.received {
        println!();
        println!("NOTICE  {}  (entry {})", told.plain(), told.index);
        for clip in &told.clips {
            println!("  your clip: {clip}");
        }
        if !told.text.is_empty() {
            println!("  it says:");
            for line in told.text.lines() {
                println!("    | {line}");
            }
        }
        println!("  on record about this demand:");
        for event in &told.history {
            println!("    entry {}: {}", event.index, event.text);
        }
    }
    for lie in &notices.false_notices {
        let who = lie.by.as_ref().map_or("unknown", |by| by.as_str());
        println!(
            "\nFALSE  notice in entry {} in the name of {who}\n  {}",
            lie.index,
            printable(&lie.why)
        );
    }
    for unread in &notices.unread {
        let may_be = match unread.erased {
            None => "It may be for you: nobody but you can tell.",
            Some(_) => "It may have been for you: nobody can tell any more.",
        };
        println!(
            "\nUNREAD  notice {} (entry {}): {}\n  {may_be}",
            short(&unread.notice),
            unread.index,
            printable(&unread.why)
        );
    }
}

fn print_item(item: &Item) {
    let asks: Vec<&str> = item.asks.iter().map(|kind| kind.code()).collect();
    println!("request {}  (entry {})", short(&item.request), item.index);
    println!(
        "  {} ({}) asks you for {}",
        item.agency_name,
        item.agency,
        asks.join(", ")
    );
    println!(
        "  filmed from {} until {}, within {} m²",
        item.from, item.until, item.area_m2
    );
    println!(
        "  offence {} (NIBRS); the case number is sealed until {}",
        item.offence, item.sealed_until
    );
    let between: Vec<&str> = item
        .agreement
        .between
        .iter()
        .map(|party| party.as_str())
        .collect();
    println!(
        "  on the ground of: {} between {}",
        item.agreement.instrument,
        between.join(" and ")
    );
    for remark in &item.agreement.remarks {
        println!("    note: {remark}");
    }
    if let Some(message) = &item.message {
        println!("  it says:");
        for line in message.lines() {
            println!("    | {line}");
        }
    }
    let cameras: Vec<&str> = item.cameras.iter().map(Label::as_str).collect();
    println!("  your cameras there: {}", cameras.join(", "));
    for clip in &item.clips {
        println!("  your clip: {clip}");
    }
    match item.answer {
        Answer::None => println!(
            "  until {}: `allow {1}` or `refuse {1}`; you owe no answer",
            item.deadline,
            short(&item.request)
        ),
        Answer::Refused => println!("  you refused"),
        Answer::Consented => println!("  you consented"),
    }
}

/// What the gate does not let through is a no, with its reason.
pub(super) fn refused(fault: &Fault, json: bool) -> anyhow::Result<Exit> {
    if json {
        print_json(&serde_json::json!({ "code": fault.code(), "why": fault.to_string() }))?;
    } else {
        println!("no: {fault} [{}]", fault.code());
    }
    Ok(Exit::No)
}

pub(super) fn print_offer(offer: &Offer) {
    let gives: Vec<&str> = offer
        .disclosure
        .gives
        .iter()
        .map(|kind| kind.code())
        .collect();
    println!(
        "To {}, for request {}:",
        offer.claim.agency,
        short(&offer.claim.id)
    );
    for clip in &offer.clips {
        println!(
            "  clip {} of {}, {} until {}",
            clip.clip, clip.camera.name, clip.from, clip.until
        );
        let beyond = clip.minutes_beyond(&offer.asked.scope);
        if beyond > BESIDE_WINDOW {
            println!("    NOTE: {beyond} minutes of it are outside the window that they ask about");
        }
    }
    let minutes = offer.disclosure.minutes.map_or("", |band| band.code());
    println!("  {}; {minutes} minutes in all", gives.join(", "));
    if let Some(note) = &offer.note {
        println!("  in a note for the agency alone:");
        for (kind, texts) in note.texts() {
            for text in texts {
                println!("    {kind}: {}", printable(text));
            }
        }
    }
    println!("  sealed for {} alone", offer.disclosure.recipient);
    println!("  to be collected before {}", offer.disclosure.expires);
    println!(
        "The consent is public, under a key that serves this once. Once the agency has collected, \
         it has the clip\nfor good; until then you can take it back."
    );
}

pub(super) fn print_parts(parts: &Parts, clips: &[Clip]) {
    for clip in clips {
        println!(
            "sealed: clip {}, {} until {}",
            clip.clip, clip.from, clip.until
        );
    }
    match &parts.original {
        Some(original) => println!(
            "The parts were cut at key frames, and nothing was encoded again. A signature over the whole file does \
             not survive:\nkeep the original. Its SHA-256, {}, goes with each part.",
            original.sha256
        ),
        None => println!("it is short enough, and is one clip as it is"),
    }
    println!("their commitments go into the log with the next batch");
}

pub(super) fn print_publication(offers: &[publish::Offer]) {
    for offer in offers {
        let (clip, disclosure) = (&offer.clip, &offer.disclosure);
        println!(
            "For everybody: clip {} of {}, {} until {}",
            clip.clip, clip.camera.name, clip.from, clip.until
        );
        println!("  served to whoever asks until {}", disclosure.expires);
        for agency in &offer.known_to {
            println!("  NOTE: {agency} has this clip already, and may know that it is yours");
        }
    }
    if offers.len() > 1 {
        println!("NOTE: what is published at one time is guessed to be one person's.");
    }
    println!(
        "The log will not say who you are. The film may: its picture and sound are published as they \
         are, and so is\nwhat the camera wrote into the file (its number, a place). The operator can \
         tell whose vault it comes from.\nWho fetches it can keep it, show it and pass it on: \
         `withdraw` stops the server, and no copy."
    );
}

pub(super) fn print_published(server: &str, published: &Published) -> anyhow::Result<()> {
    print_said(&published.said, "published", false)?;
    match published.handed_over {
        true => println!("{server}{}", publish::path(&published.said.id)),
        false => println!("the key is not handed over yet: run `sync` later"),
    }
    Ok(())
}

pub(super) fn print_kept(kept: &Kept) {
    let id = kept.clip;
    match &kept.known {
        Some(clip) => println!(
            "clip {id} of {}, {} until {}",
            clip.camera.name, clip.from, clip.until
        ),
        None => println!("clip {id}, which this device could not fetch when it was restored"),
    }
    if let Some(why) = &kept.why {
        println!("  not stored: {}", printable(why));
    }
    match &kept.what {
        What::NotStored { file, bytes } => println!(
            "  its sealed copy, {bytes} bytes, is {}: it is deleted, and there may be no other",
            file.display()
        ),
        What::Lost => {
            println!("  the server has lost it: this device does not ask for it any more")
        }
        What::NotFetched => println!("  this device does not ask for it any more"),
    }
}

pub(super) fn print_said(said: &Said, what: &str, json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(said);
    }
    match said.index {
        Some(index) => println!("{what}: entry {index}, proof verified"),
        None => println!("{what}, but the witnesses have not cosigned it yet: run `sync` later"),
    }
    println!("id {}", said.id);
    Ok(())
}

pub(super) fn print_report(report: &Report) {
    print_attacks(&report.attacks);
    let checkpoint = &report.checkpoint;
    print_closed(checkpoint);
    for clip in &report.clips {
        println!(
            "clip {}  {}, {} until {}",
            clip.clip, clip.camera, clip.from, clip.until
        );
        if let Some(why) = &clip.not_in_vault {
            println!("  {}", printable(why));
        }
        for line in &clip.lines {
            match line.index {
                Some(index) => println!("  {}  (entry {index})", line.text),
                None => println!("  {}", line.text),
            }
        }
        if clip.nobody {
            println!(
                "  seen by nobody, up to {} entries, vouched for by {} at {}",
                checkpoint.size,
                checkpoint.witnesses.join(", "),
                checkpoint.cosigned_at
            );
        } else if !report.notices.unread.is_empty() {
            println!("  an unread notice may be about it");
        }
    }
    print_notices(&report.notices);
    if report.clips.is_empty() {
        println!("you have no clips");
    }
    for decision in &report.decisions {
        println!("request {}  {}", short(&decision.request), decision.text);
    }
}
