//! Who saw my footage: what the log says of every own clip, with a proof for every line.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::decision_file::DecisionFile;
use super::gate::Fault;
use super::inbox::Checkpoint;
use super::notices::{self, Notices};
use super::state::{Attack, Clip, Gift, KeptRefusal};
use super::{Resident, ResidentError};
use crate::digest::StatementId;
use crate::seal::commitment::decision_opening;
use crate::statement::kinds::disclosure::short;
use crate::statement::words::Label;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;
use crate::wire::vault::HexId;

/// Who saw, up to a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub checkpoint: Checkpoint,
    pub clips: Vec<ClipReport>,
    pub decisions: Vec<DecisionLine>,
    pub attacks: Vec<Attack>,
    /// Word of legal demands.
    pub notices: Notices,
}

/// What became of a clip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClipReport {
    pub clip: HexId,
    pub camera: Label,
    pub from: Time,
    pub until: Time,
    /// How many of its four commitments stand in the log.
    pub anchored: usize,
    /// Why it is not in the vault, or was not when the device last asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_in_vault: Option<String>,
    /// As far as the device knows, nobody but its owner can have opened it, and nothing of it was
    /// given; not said while a notice that may be for this owner could not be read.
    pub nobody: bool,
    pub lines: Vec<Line>,
}

/// Something that happened to a clip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub what: What,
    pub text: String,
    /// The request, or the legal demand; none for what is given to the public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<StatementId>,
    /// The entry that says so; none for what this device alone knows.
    pub index: Option<LeafIndex>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    Asked,
    Consented,
    /// Given to everybody, who may have fetched it.
    Published,
    Withdrawn,
    Collected,
    HandedOver,
    /// A notice says that a legal demand was about it.
    Told,
}

/// An own refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionLine {
    pub request: StatementId,
    /// The batch in which its commitment stands.
    pub batch: Option<StatementId>,
    pub text: String,
}

/// Who saw, as far as the own copy of the log goes.
///
/// # Errors
/// [`Fault::NoCheckpoint`] before the first sync.
pub fn report(resident: &Resident) -> Result<Report, ResidentError> {
    let seen = resident.seen()?.ok_or(Fault::NoCheckpoint)?;
    let state = &resident.state;
    let notices = notices::read(resident)?;
    let clips = state.clips()?;
    let clips: Result<_, _> = clips
        .iter()
        .map(|clip| clip_report(resident, clip, &notices))
        .collect();
    Ok(Report {
        checkpoint: Checkpoint::from(&seen),
        clips: clips?,
        decisions: state.refusals()?.iter().map(decision_line).collect(),
        attacks: state.attacks()?,
        notices,
    })
}

fn clip_report(
    resident: &Resident,
    clip: &Clip,
    notices: &Notices,
) -> Result<ClipReport, ResidentError> {
    let mut lines = Vec::new();
    for seen in resident.state.requests_about(clip.clip)? {
        lines.push(Line {
            what: What::Asked,
            text: format!("{} asked for it, until {}", seen.agency, seen.deadline),
            request: Some(seen.request),
            index: Some(seen.index),
        });
    }
    for gift in resident.state.gifts_of(clip.clip)? {
        lines.extend(gift_lines(resident, &gift)?);
    }
    let told = notices.received.iter().filter(|told| told.gives(clip.clip));
    lines.extend(told.map(|told| Line {
        what: What::Told,
        text: told.plain(),
        request: Some(told.demand),
        index: Some(told.index),
    }));
    let opened = |line: &Line| {
        matches!(
            line.what,
            What::Collected | What::HandedOver | What::Published | What::Told
        )
    };
    let attacked = resident.state.is_attacked(clip.clip)?;
    Ok(ClipReport {
        clip: clip.clip,
        camera: clip.camera.name.clone(),
        from: clip.from,
        until: clip.until,
        anchored: clip.anchors.iter().flatten().count(),
        not_in_vault: not_in_vault(clip),
        nobody: !attacked && !lines.iter().any(opened) && !notices.untold(),
        lines,
    })
}

fn not_in_vault(clip: &Clip) -> Option<String> {
    match (clip.stored, &clip.why) {
        (true, _) if clip.given_up => Some("the server lost it, and you gave it up".to_owned()),
        (true, _) => None,
        (false, None) => Some("kept on this device alone: `sync` stores it".to_owned()),
        (false, Some(why)) => Some(format!("kept on this device alone, and not stored: {why}")),
    }
}

fn gift_lines(resident: &Resident, gift: &Gift) -> Result<Vec<Line>, ResidentError> {
    let line = |what, index, text| Line {
        what,
        text,
        request: gift.request,
        index,
    };
    let Some(index) = gift.index else {
        let text = "you consented, but the log does not have it yet".to_owned();
        return Ok(vec![line(What::Consented, None, text)]);
    };
    let given = resident
        .ledger
        .given(index)?
        .ok_or(Fault::DisclosureNotLogged)?;
    let until = given.body.expires;
    let (what, text) = match &gift.request {
        Some(request) => {
            let request = short(request);
            let text =
                format!("you consented to request {request}; to be collected before {until}");
            (What::Consented, text)
        }
        // The header is here until it is handed over, or will never be.
        None if gift.clips.iter().any(|clip| clip.header.is_some()) => {
            let text = "you are publishing it; the key is not handed over yet".to_owned();
            (What::Consented, text)
        }
        None => {
            let text = format!("published: everybody may fetch it until {until}, and keep it");
            (What::Published, text)
        }
    };
    let mut lines = vec![line(what, Some(index), text)];
    if let Some(at) = given.fact.and_then(|fact| fact.withdrawn) {
        lines.push(line(
            What::Withdrawn,
            Some(at),
            "you took it back".to_owned(),
        ));
    }
    if let Some(taking) = given.collection {
        let text = format!(
            "collected by {} on {}; the taker's name, by the agency's own word: {}",
            taking.by, taking.logged_at, taking.label
        );
        lines.push(line(What::Collected, Some(taking.index), text));
    }
    if let Some(at) = gift.handed_over {
        let text = format!("this device handed the key over on {at} (its own record)");
        lines.push(line(What::HandedOver, None, text));
    }
    Ok(lines)
}

fn decision_line(refusal: &KeptRefusal) -> DecisionLine {
    let text = match (refusal.anchor(), &refusal.carried) {
        (Some(_), _) => "you refused; its commitment stands in the log, and you can prove it",
        (None, Some(_)) => "you refused; its commitment waits for the next batch",
        (None, None) => "you refused; its commitment goes with the next clip you add",
    };
    DecisionLine {
        request: refusal.request,
        batch: refusal.anchor().map(|anchor| anchor.batch),
        text: text.to_owned(),
    }
}

/// Writes a proof for every line of the log that the report names, and for every anchored refusal.
///
/// # Errors
/// If a proof cannot be made or written.
pub fn write_proofs(
    resident: &Resident,
    report: &Report,
    folder: &Path,
) -> Result<Vec<PathBuf>, ResidentError> {
    fs::create_dir_all(folder).map_err(ResidentError::file(folder))?;
    let mut written = Vec::new();
    let mut write = |name: String, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(ResidentError::file(&path))?;
        written.push(path);
        Ok::<_, ResidentError>(())
    };
    let lines = report.clips.iter().flat_map(|clip| &clip.lines);
    let attacks = report.attacks.iter().map(|attack| attack.index);
    let told = &report.notices;
    let history = told.received.iter().flat_map(|received| &received.history);
    let compelled = history.map(|event| event.index);
    let compelled = compelled
        .chain(told.false_notices.iter().map(|lie| lie.index))
        .chain(told.unread.iter().map(|unread| unread.index))
        .chain(told.unread.iter().filter_map(|unread| unread.erased));
    let mut indices: Vec<LeafIndex> = lines
        .filter_map(|line| line.index)
        .chain(attacks)
        .chain(compelled)
        .collect();
    indices.sort_unstable();
    indices.dedup();
    for index in indices {
        let proof = resident.ledger.proof(index)?;
        write(format!("entry-{index}.tlog-proof"), proof.to_text())?;
    }
    for refusal in resident.state.refusals()? {
        if let Some(file) = decision_file(resident, &refusal)? {
            let name = format!("decision-{}.json", &refusal.request.to_string()[..12]);
            let text = serde_json::to_string_pretty(&file).expect("own values serialise");
            write(name, text + "\n")?;
        }
    }
    Ok(written)
}

/// The proof of a refusal, once its commitment stands in the log.
fn decision_file(
    resident: &Resident,
    refusal: &KeptRefusal,
) -> Result<Option<DecisionFile>, ResidentError> {
    let Some((carried, anchor)) = refusal.carried.as_ref().zip(refusal.anchor()) else {
        return Ok(None);
    };
    let Some(index) = resident.ledger.find(&anchor.batch)? else {
        return Ok(None);
    };
    let clip = carried.clip.as_bytes();
    let salt = resident.seed.decision_salt(&refusal.request, clip);
    Ok(Some(DecisionFile {
        envelope: refusal.envelope.clone(),
        opening: decision_opening(&salt, &refusal.request)
            .encode()
            .to_owned(),
        commitment: carried.commitment,
        batch: anchor.batch,
        index: anchor.index,
        path: anchor.path.clone(),
        proof: resident.ledger.proof(index)?.to_text(),
    }))
}
