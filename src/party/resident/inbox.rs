//! What is asked of this resident: requests near own cameras, and requests that are not what they
//! claim to be.
//!
//! All of it is found locally, in the own copy of the log and the last bundle. Who asks is not told
//! that somebody looked.

use serde::{Deserialize, Serialize};

use super::gate::{self, Asked, Claim, Fault, Seen};
use super::notices::{self, Notices};
use super::state::{Camera, SeenRequest};
use super::{BUNDLE, Resident, ResidentError};
use crate::digest::StatementId;
use crate::statement::Statement;
use crate::statement::facts::{ClosedFact, FactsExt as _};
use crate::statement::kinds::agreement::{Agreement, Instrument, Term};
use crate::statement::words::{DataKind, Day, Label, Offence, PartyId};
use crate::time::Time;
use crate::tlog::policy::MAX_AHEAD;
use crate::tlog::tree::{LeafIndex, TreeSize};
use crate::wire::statements::{Bundle, BundledRequest};
use crate::wire::vault::HexId;

/// The bundle as it was fetched last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// How many entries the own copy had before: the bundle must know all requests among them.
    pub since: u64,
    pub bundle: Bundle,
}

/// A checkpoint for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    pub size: TreeSize,
    pub cosigned_at: Time,
    pub witnesses: Vec<String>,
    /// The end, if the log was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedFact>,
}

impl From<&Seen> for Checkpoint {
    fn from(seen: &Seen) -> Self {
        Self {
            size: seen.size,
            cosigned_at: seen.cosigned_at,
            witnesses: seen.witnesses.clone(),
            closed: seen.closed.clone(),
        }
    }
}

/// What is asked, up to a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inbox {
    pub checkpoint: Checkpoint,
    /// Why the device could not look at all requests: there may be others, and what is here is what it
    /// knew before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_looked: Option<String>,
    pub requests: Vec<Item>,
    /// Requests that are shown as false, and why.
    pub false_requests: Vec<FalseItem>,
    /// Word of legal demands.
    pub notices: Notices,
}

/// A genuine request about an own camera.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    pub request: StatementId,
    pub index: LeafIndex,
    pub logged_at: Time,
    pub agency: PartyId,
    pub agency_name: String,
    pub agreement: AgreementNote,
    pub offence: Offence,
    pub asks: Vec<DataKind>,
    pub area_m2: u32,
    pub from: Time,
    pub until: Time,
    pub message: Option<String>,
    /// The case number is sealed until the end of this day.
    pub sealed_until: Day,
    pub deadline: Time,
    pub cameras: Vec<Label>,
    /// Own clips filmed, at least in part, where and when it asks.
    pub clips: Vec<HexId>,
    pub answer: Answer,
}

/// What this resident answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    None,
    Refused,
    Consented,
}

/// On which ground an agency may ask at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgreementNote {
    pub statement: StatementId,
    pub instrument: Instrument,
    pub between: Vec<PartyId>,
    /// What of it a resident should know before trusting anybody.
    pub remarks: Vec<String>,
}

/// A request that is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FalseItem {
    pub request: StatementId,
    pub index: Option<LeafIndex>,
    pub agency: Option<PartyId>,
    /// A stable code.
    pub code: &'static str,
    pub why: String,
}

/// What is asked, as far as the device holds the bundle; `None` before the first sync.
///
/// # Errors
/// The folder's.
pub fn read(resident: &Resident) -> Result<Option<Inbox>, ResidentError> {
    let (Some(seen), Some(held)) = (resident.seen()?, held(resident)?) else {
        return Ok(None);
    };
    let now = resident.clock.now();
    let mut inbox = Inbox {
        checkpoint: Checkpoint::from(&seen),
        not_looked: None,
        requests: Vec::new(),
        false_requests: Vec::new(),
        notices: notices::read(resident)?,
    };
    let (mut younger, mut not_yet) = (0, 0);
    for (index, _) in resident.state.open_requests()? {
        let Some(claim) = resident.claim(index)? else {
            continue;
        };
        if claim
            .fact
            .as_ref()
            .is_some_and(|fact| fact.closed.is_some())
        {
            continue;
        }
        let bundled = bundled(&held.bundle, &claim.id);
        // The server's clock closes requests too.
        let closing = claim.body.deadline.seconds_since(now) <= MAX_AHEAD;
        if bundled.is_none() && (closing || index.as_u64() >= held.since) {
            younger += u64::from(!closing);
            continue;
        }
        match judge(&claim, bundled) {
            // As if the witnesses had not spoken: it is neither genuine nor false yet.
            Ok(_) if seen.check_counts_for(claim.logged_at).is_err() => not_yet += 1,
            Ok(asked) => inbox.requests.extend(item(resident, &claim, asked)?),
            // Left out of the bundle as long as that lasts.
            Err(Fault::NotInStanding(_)) => {}
            Err(fault) => inbox.false_requests.push(FalseItem {
                request: claim.id,
                index: Some(claim.index),
                agency: Some(claim.agency),
                code: fault.code(),
                why: fault.to_string(),
            }),
        }
    }
    if younger > 0 {
        inbox.not_looked = Some(format!("the last bundle is older than {younger} of them"));
    }
    if not_yet > 0 {
        let why = format!("the witnesses' times have not reached those of {not_yet} of them yet");
        inbox.not_looked = Some(why);
    }
    for stranger in &held.bundle.requests {
        if resident.ledger.find(&stranger.id)?.is_none() {
            let fault = Fault::NotLogged;
            inbox.false_requests.push(FalseItem {
                request: stranger.id,
                index: None,
                agency: None,
                code: fault.code(),
                why: fault.to_string(),
            });
        }
    }
    Ok(Some(inbox))
}

/// What a request asks, if it is what it claims to be.
pub(super) fn judge(claim: &Claim, bundled: Option<&BundledRequest>) -> Result<Asked, Fault> {
    gate::check_request(claim)?;
    if bundled.is_none() {
        gate::check_bundled(claim)?;
    }
    gate::check_attachments(claim, bundled)
}

pub(super) fn bundled<'a>(bundle: &'a Bundle, id: &StatementId) -> Option<&'a BundledRequest> {
    bundle.requests.iter().find(|request| request.id == *id)
}

/// The bundle fetched last.
pub(super) fn held(resident: &Resident) -> Result<Option<Held>, ResidentError> {
    let path = resident.root.join(BUNDLE);
    match std::fs::read(&path) {
        Ok(text) => Ok(Some(
            serde_json::from_slice(&text).map_err(ResidentError::file(&path))?,
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ResidentError::file(&path)(error)),
    }
}

/// The request for this resident, if it asks about an own camera.
fn item(resident: &Resident, claim: &Claim, asked: Asked) -> Result<Option<Item>, ResidentError> {
    let state = &resident.state;
    let near = |camera: &Camera| asked.scope.ring.contains(camera.position);
    let cameras: Vec<Label> = state
        .cameras()?
        .into_iter()
        .filter(near)
        .map(|camera| camera.name)
        .collect();
    let clips = state.clips_in(&asked.scope)?.into_iter();
    let clips: Vec<HexId> = clips.map(|clip| clip.clip).collect();
    if cameras.is_empty() && clips.is_empty() {
        return Ok(None);
    }
    let answer = if !state.gifts_for(&claim.id)?.is_empty() {
        Answer::Consented
    } else if state.has_refused(&claim.id)? {
        Answer::Refused
    } else {
        Answer::None
    };
    let party = resident.ledger.facts().party(&claim.agency)?;
    Ok(Some(Item {
        request: claim.id,
        index: claim.index,
        logged_at: claim.logged_at,
        agency: claim.agency.clone(),
        agency_name: party.map_or_else(String::new, |party| party.name.to_string()),
        agreement: agreement(resident, claim)?,
        offence: claim.body.offence.clone(),
        asks: claim.body.asks.clone(),
        area_m2: claim.body.area_m2,
        from: asked.scope.from,
        until: asked.scope.until,
        message: asked.message,
        sealed_until: claim.body.sealed.case_number.open_by.clone(),
        deadline: claim.body.deadline,
        cameras,
        clips,
        answer,
    }))
}

fn agreement(resident: &Resident, claim: &Claim) -> Result<AgreementNote, ResidentError> {
    let missing = || ResidentError::Fault(Fault::NoAgreement(claim.agency.clone()));
    let statement = claim.body.agreement;
    let index = resident.ledger.find(&statement)?.ok_or_else(missing)?;
    let entry = resident.ledger.entry(index)?.ok_or_else(missing)?;
    let Statement::Agreement(agreement) = entry.signed.statement else {
        return Err(missing());
    };
    let fact = claim.agreement.as_ref().ok_or_else(missing)?;
    let mut remarks = remarks(&agreement);
    let facts = resident.ledger.facts();
    if let Some(head) = facts
        .agreement_head(&fact.first)?
        .filter(|head| *head != index)
        && let Some(last) = facts.agreement(&head)?
    {
        remarks.push(format!(
            "since the request was made, it was changed: it is {} now",
            last.status
        ));
    }
    Ok(AgreementNote {
        statement,
        instrument: agreement.instrument,
        between: fact.parties.clone(),
        remarks,
    })
}

/// What of an agreement a resident should know.
fn remarks(agreement: &Agreement) -> Vec<String> {
    // Whom a party appoints for the work is nothing between the parties.
    let between = |term: &&Term| !matches!(term, Term::Role { .. });
    let terms = agreement.terms.iter().filter(between);
    let mut remarks: Vec<String> = terms.map(Term::plain).collect();
    if agreement.instrument == Instrument::None {
        remarks.push("both sides declare that there is no agreement between them".to_owned());
    } else if agreement.document.is_none() {
        remarks.push("the document itself is not published".to_owned());
    }
    if !agreement.complete {
        remarks.push("side agreements are not ruled out".to_owned());
    }
    remarks
}

impl Item {
    /// What the device remembers of it when it is closed.
    pub fn seen(&self) -> SeenRequest {
        SeenRequest {
            request: self.request,
            index: self.index,
            agency: self.agency.clone(),
            deadline: self.deadline,
            clips: self.clips.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::kinds::Kind as _;

    #[test]
    fn what_is_odd_in_an_agreement_is_said() {
        let odd = remarks(&Agreement {
            complete: false,
            ..Agreement::example()
        });
        assert_eq!(
            odd,
            [
                "doorbell.example gives lakelandgov.example 15 × doorbell-camera",
                "lakelandgov.example keeps secret: program-terms",
                "the document itself is not published",
                "side agreements are not ruled out",
            ]
        );
        let none = remarks(&Agreement {
            instrument: Instrument::None,
            terms: Vec::new(),
            ..Agreement::example()
        });
        assert_eq!(
            none,
            ["both sides declare that there is no agreement between them"]
        );
    }
}
