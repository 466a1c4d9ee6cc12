//! Notices: who told this resident that a legal demand was about them.
//!
//! Every device fetches the messages of every notice in the log, whole, whatever it finds in them,
//! and tries them all here. What it opened it keeps as it came; whether that may be shown as
//! genuine is judged each time anew, by what the own copy of the log says then.

use serde::Serialize;

use super::gate::Fault;
use super::gate::notice::{NoticeClaim, Tried, check_notice, try_all};
use super::{Resident, ResidentError};
use crate::digest::StatementId;
use crate::reader::follower::Entry;
use crate::statement::facts::{FactsExt as _, Whole};
use crate::statement::kinds::legal_demand::ProcessKind;
use crate::statement::kinds::notice::{Notice, NoticeState};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Day, Investigation, PartyId, RecordKind, listed};
use crate::statement::{Author, Statement};
use crate::store::StoreError;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;
use crate::wire::vault::HexId;

/// A notice in the log whose messages have not all been tried yet.
#[derive(Debug, Clone, PartialEq)]
pub struct DueNotice {
    pub notice: StatementId,
    pub index: LeafIndex,
    /// Why the log's rules forbid it, if they do.
    pub forbidden: Option<String>,
    /// What was wrong when it was asked for.
    pub why: Option<String>,
    /// Places of those of its messages that were tried.
    pub tried: Vec<usize>,
}

/// A message that the log says was destroyed before this device could try it.
#[derive(Debug, Clone, PartialEq)]
pub struct LostMessage {
    pub notice: StatementId,
    pub index: LeafIndex,
    /// Its place among the messages of the notice, from 0.
    pub n: usize,
    /// The `erasure`.
    pub erased: LeafIndex,
}

/// A message that is for this resident.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptNotice {
    pub index: LeafIndex,
    /// Its place among the messages of the notice, from 0.
    pub n: usize,
    /// Why the log's rules forbid the notice, if they do.
    pub forbidden: Option<String>,
    pub found: Found,
}

/// What the own key found in a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// What it says.
    Plain(Vec<u8>),
    /// Why it does not open. It is not asked for again: only its owner's device would do that.
    Broken(String),
}

/// What this resident was told about legal demands.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Notices {
    pub received: Vec<Received>,
    /// Messages that are shown as false, and why.
    pub false_notices: Vec<FalseNotice>,
    /// Notices that may be for this resident and could not be read.
    pub unread: Vec<UnreadNotice>,
}

/// A genuine notice to this resident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Received {
    pub notice: StatementId,
    pub index: LeafIndex,
    pub logged_at: Time,
    pub by: PartyId,
    pub demand: StatementId,
    pub process: ProcessKind,
    /// Who demanded; none for national security.
    pub agency: Option<PartyId>,
    pub served_on: Day,
    pub investigation: Option<Investigation>,
    /// The day of the answer; none while there is none.
    pub effective_on: Option<Day>,
    /// Kinds of this resident's records that were given.
    pub records: Vec<RecordKind>,
    /// Clips that it names.
    pub clips: Vec<HexId>,
    pub text: String,
    /// Everything that the log says about the demand, in order.
    pub history: Vec<Event>,
}

/// An entry about a demand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    pub index: LeafIndex,
    pub logged_at: Time,
    pub text: String,
}

/// A message that is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FalseNotice {
    pub index: LeafIndex,
    pub by: Option<PartyId>,
    pub code: &'static str,
    pub why: String,
}

/// A notice whose messages this device could not all try.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnreadNotice {
    pub notice: StatementId,
    pub index: LeafIndex,
    pub why: String,
    /// The entry that says that a message was destroyed; it cannot be asked for any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<LeafIndex>,
}

impl Notices {
    /// Whether one that is, or may be, for this resident could not be read.
    pub fn untold(&self) -> bool {
        let unreadable = |lie: &FalseNotice| lie.code == "unreadable";
        !self.unread.is_empty() || self.false_notices.iter().any(unreadable)
    }
}

impl Received {
    /// Whether it says that something of this clip was given.
    pub fn gives(&self, clip: HexId) -> bool {
        let of_clips = |kind: &RecordKind| {
            matches!(
                kind,
                RecordKind::ClipCiphertext | RecordKind::ClipContent | RecordKind::ClipMetadata
            )
        };
        match self.clips.as_slice() {
            [] => self.records.iter().any(of_clips),
            named => named.contains(&clip),
        }
    }

    /// What it says, in one line.
    pub fn plain(&self) -> String {
        let agency = self.agency.as_ref().map_or("an agency", PartyId::as_str);
        let given = match (&self.effective_on, self.records.as_slice()) {
            (None, _) => "nobody had answered it".to_owned(),
            (Some(day), []) => format!("nothing of yours was given ({day})"),
            (Some(day), records) => {
                format!("given: {} ({day})", listed(records))
            }
        };
        format!(
            "{} tells you that {agency} demanded it by {} (served {}); {given}",
            self.by, self.process, self.served_on
        )
    }
}

/// Notes an entry of the log that is, or may be, part of what residents are told about demands.
pub(super) fn note(
    resident: &Resident,
    entry: &Entry,
    forbidden: Option<&str>,
) -> Result<(), StoreError> {
    match &entry.signed.statement {
        Statement::Notice(notice) if notice.state == NoticeState::Sent => {
            resident.state.add_notice_due(&DueNotice {
                notice: entry.signed.id,
                index: entry.index,
                forbidden: forbidden.map(str::to_owned),
                why: None,
                tried: Vec::new(),
            })?;
        }
        Statement::Notice(_) | Statement::DemandResponse(_) | Statement::DelayOrder(_) => {}
        _ => return Ok(()),
    }
    match forbidden {
        None => resident.state.add_compelled(entry.index),
        Some(_) => Ok(()),
    }
}

/// Tells the operator whom notices are sealed for, if that is not done yet.
pub(super) fn tell_recipient(
    resident: &Resident,
    warnings: &mut Vec<String>,
) -> Result<(), StoreError> {
    if resident.state.recipient_sent()? {
        return Ok(());
    }
    let recipient = resident.seed.notice_key().recipient();
    let told = resident
        .client
        .put_notice_recipient(recipient, &resident.seed.vault_key());
    match told {
        Ok(()) => resident.state.set_recipient_sent()?,
        Err(error) => warnings.push(format!("the operator cannot send you notices: {error}")),
    }
    Ok(())
}

/// Fetches every message of every notice that is new, and tries them all; how many notices were
/// tried whole.
pub(super) fn scan(resident: &Resident) -> Result<usize, ResidentError> {
    let key = resident.seed.notice_key();
    let mut done = 0;
    for mut due in resident.state.notices_due()? {
        let given = resident.client.notice(&due.notice);
        done += resident.state.atomic(|| {
            due.why = match (notice(resident, due.index)?, given) {
                (None, _) => None,
                (Some(_), Err(error)) => Some(error.to_string()),
                (Some((_, body)), Ok(given)) => {
                    let tried = try_all(&key, &body.messages, &given);
                    take(resident, &mut due, &body, tried)?
                }
            };
            // What the rules forbid tells nobody anything: it is not waited for.
            if due.why.is_some() && due.forbidden.is_none() {
                resident.state.put_off_notice(&due)?;
                return Ok::<_, ResidentError>(0);
            }
            resident.state.notice_done(due.index)?;
            Ok(1)
        })?;
    }
    Ok(done)
}

/// Keeps what came of a notice's messages; why some have to be asked for again, if any have.
fn take(
    resident: &Resident,
    due: &mut DueNotice,
    body: &Notice,
    all: Vec<Tried>,
) -> Result<Option<String>, ResidentError> {
    let mut why = None;
    for (n, tried) in all.into_iter().enumerate() {
        match tried {
            Tried::Foreign => {}
            Tried::Own(Ok(plain)) => keep(resident, due, n, Found::Plain(plain))?,
            Tried::Own(Err(why)) => keep(resident, due, n, Found::Broken(why.to_string()))?,
            Tried::Fault(fault) => {
                match erased(resident, &body.messages[n])? {
                    // What the log says was destroyed is not withheld, and is never to be had.
                    Some(at) if matches!(fault, Fault::Withheld(_)) => lose(resident, due, n, at)?,
                    _ => why = Some(fault.to_string()),
                }
                continue;
            }
        }
        if !due.tried.contains(&n) {
            due.tried.push(n);
        }
    }
    Ok(why)
}

/// Where the log says that a message was destroyed.
fn erased(resident: &Resident, digest: &SealDigest) -> Result<Option<LeafIndex>, ResidentError> {
    let fact = resident.ledger.facts().digest(digest)?;
    Ok(fact.and_then(|fact| fact.erased))
}

/// Notes a message that cannot be tried any more, unless it was, or its notice counts for nothing.
fn lose(
    resident: &Resident,
    due: &DueNotice,
    n: usize,
    erased: LeafIndex,
) -> Result<(), StoreError> {
    if due.tried.contains(&n) || due.forbidden.is_some() {
        return Ok(());
    }
    resident.state.lose_message(&LostMessage {
        notice: due.notice,
        index: due.index,
        n,
        erased,
    })
}

fn keep(resident: &Resident, due: &DueNotice, n: usize, found: Found) -> Result<(), StoreError> {
    resident.state.keep_notice(&KeptNotice {
        index: due.index,
        n,
        forbidden: due.forbidden.clone(),
        found,
    })
}

/// The notice at an index of the own copy.
fn notice(resident: &Resident, index: LeafIndex) -> Result<Option<(Entry, Notice)>, ResidentError> {
    let entry = resident.ledger.entry(index)?;
    Ok(entry.and_then(|entry| match &entry.signed.statement {
        Statement::Notice(body) => {
            let body = body.clone();
            Some((entry, body))
        }
        _ => None,
    }))
}

/// What this resident was told, as far as the own copy of the log and the messages fetched go.
///
/// # Errors
/// The copy's.
pub fn read(resident: &Resident) -> Result<Notices, ResidentError> {
    let mut notices = Notices::default();
    for due in resident.state.notices_due()? {
        let unasked = || "its messages have not been asked for yet".to_owned();
        notices.unread.push(UnreadNotice {
            notice: due.notice,
            index: due.index,
            why: due.why.unwrap_or_else(unasked),
            erased: None,
        });
    }
    for lost in resident.state.lost_messages()? {
        let at = lost.erased;
        notices.unread.push(UnreadNotice {
            notice: lost.notice,
            index: lost.index,
            why: format!(
                "a message of it was destroyed before this device could try it (entry {at})"
            ),
            erased: Some(at),
        });
    }
    let kept = resident.state.notices()?;
    if kept.is_empty() {
        return Ok(notices);
    }
    let compelled = compelled(resident)?;
    for kept in &kept {
        let Some((entry, body)) = notice(resident, kept.index)? else {
            continue;
        };
        let about: Vec<&Entry> = compelled
            .iter()
            .filter(|entry| demand_of(&entry.signed.statement) == Some(body.demand))
            .collect();
        let by = match &entry.signed.head.author {
            Author::Issuer(by) => Some(by.clone()),
            _ => None,
        };
        match judge(resident, &entry, body, kept, &about) {
            Ok(Ok(received)) => notices.received.push(received),
            Ok(Err(fault)) => notices.false_notices.push(FalseNotice {
                index: kept.index,
                by,
                code: fault.code(),
                why: fault.to_string(),
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(notices)
}

/// All entries about what is compelled, but the demands.
fn compelled(resident: &Resident) -> Result<Vec<Entry>, ResidentError> {
    let mut entries = Vec::new();
    for index in resident.state.compelled()? {
        entries.extend(resident.ledger.entry(index)?);
    }
    Ok(entries)
}

/// The demand that an entry is about.
fn demand_of(statement: &Statement) -> Option<StatementId> {
    match statement {
        Statement::Notice(notice) => Some(notice.demand),
        Statement::DemandResponse(response) => response.demand,
        Statement::DelayOrder(order) => order.demand,
        _ => None,
    }
}

fn judge(
    resident: &Resident,
    entry: &Entry,
    body: Notice,
    kept: &KeptNotice,
    about: &[&Entry],
) -> Result<Result<Received, Fault>, ResidentError> {
    let Author::Issuer(by) = entry.signed.head.author.clone() else {
        return Ok(Err(Fault::Forbidden("no party says it".to_owned())));
    };
    let facts = resident.ledger.facts();
    let mut signers = Vec::new();
    for key in &entry.signed.signers {
        signers.extend(facts.key(key)?);
    }
    let demanded = match resident.ledger.find(&body.demand)? {
        Some(index) => resident.ledger.entry(index)?,
        None => None,
    };
    let mut demand = None;
    if let Some(entry) = &demanded
        && let Statement::LegalDemand(what) = &entry.signed.statement
    {
        let fact = facts.demand(&entry.index)?;
        demand = fact.map(|fact| (what.clone(), fact));
    }
    let earlier = about.iter().filter(|other| other.index < entry.index);
    let responses = earlier.filter_map(|entry| match &entry.signed.statement {
        Statement::DemandResponse(response) => Some(response.clone()),
        _ => None,
    });
    let claim = NoticeClaim {
        index: entry.index,
        logged_at: entry.logged_at,
        by,
        forbidden: kept.forbidden.clone(),
        signers,
        demand,
        responses: responses.collect(),
        operator: facts.operator(&Whole)?,
        body,
    };
    let checked = match &kept.found {
        Found::Plain(plain) => check_notice(&claim, plain),
        Found::Broken(why) => Err(match &kept.forbidden {
            Some(why) => Fault::Forbidden(why.clone()),
            None => Fault::Unreadable("message", why.clone()),
        }),
    };
    let message = match checked {
        Ok(message) => message,
        Err(fault) => return Ok(Err(fault)),
    };
    let (Some((what, _)), Some(demanded)) = (claim.demand, demanded) else {
        return Ok(Err(Fault::NoDemand));
    };
    let event = |entry: &Entry| Event {
        index: entry.index,
        logged_at: entry.logged_at,
        text: entry
            .signed
            .statement
            .plain(&entry.signed.head.author.to_string()),
    };
    Ok(Ok(Received {
        notice: entry.signed.id,
        index: entry.index,
        logged_at: entry.logged_at,
        by: claim.by,
        demand: claim.body.demand,
        process: message.process,
        agency: what.agency,
        served_on: what.served_on,
        investigation: message.investigation,
        effective_on: message.effective_on,
        records: message.records,
        clips: message.clips,
        text: message.text,
        history: std::iter::once(event(&demanded))
            .chain(about.iter().map(|entry| event(entry)))
            .collect(),
    }))
}
