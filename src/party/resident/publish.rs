//! A clip for everybody: a disclosure to `public`, under a key that nothing ties to its owner.
//!
//! Each clip has a disclosure of its own, so that nobody is told that two come from one person, and
//! is handed over as soon as the log has it: a device that waited for its next sync would show by
//! when it keeps its hours. What the film itself shows is not this module's to hide.

use super::decide::{self, Said, Sealed, Waiting, asked, latest_end};
use super::gate::{self, Fault};
use super::state::{Clip, Gift, GivenClip};
use super::{Resident, ResidentError, sync};
use crate::digest::StatementId;
use crate::statement::envelope::Envelope;
use crate::statement::facts::{FactsExt as _, Whole};
use crate::statement::kinds::disclosure::{Audience, Disclosure};
use crate::statement::words::{DataKind, PartyId};
use crate::time::Time;
use crate::wire::vault::{HexId, ShownOpening};

/// How long a clip is public if nobody says otherwise, in seconds: the same for everybody.
pub const PUBLIC_FOR: i64 = 30 * 86_400;

/// How a resident wants to publish a clip.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Until when; [`PUBLIC_FOR`], as far as the limits allow, if it is not said.
    pub until: Option<Time>,
}

/// A publication as it would be made.
pub struct Offer {
    pub clip: Clip,
    pub disclosure: Disclosure,
    /// Agencies that have this clip already, and know whom it is from.
    pub known_to: Vec<PartyId>,
    /// It was signed before, and may be on its way: it is sent as it was.
    envelope: Option<Envelope>,
    given: Vec<GivenClip>,
    opening: ShownOpening,
}

/// What came of a publication.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Published {
    #[serde(flatten)]
    pub said: Said,
    /// Whether everybody can fetch it now.
    pub handed_over: bool,
    /// What failed, such as the hand-over: the next sync tries it again.
    pub warnings: Vec<String>,
}

/// Makes the publication that the resident wishes for, and lets it through the gate.
///
/// # Errors
/// [`ResidentError::Fault`]: each reason not to publish.
pub fn prepare(resident: &Resident, clip: HexId, wish: &Wish) -> Result<Offer, ResidentError> {
    let Some(clip) = resident.state.clip(clip)? else {
        return asked(format!("you have no clip {clip}"));
    };
    let now = resident.clock.now();
    for gift in resident.state.published(clip.clip)? {
        let Some(index) = gift.index else { continue };
        let given = resident.ledger.given(index)?;
        let given = given.ok_or(Fault::DisclosureNotLogged)?;
        let open = given.fact.is_some_and(|fact| fact.withdrawn.is_none());
        if open && now < given.body.expires {
            return asked(format!(
                "clip {} is public until {}, by disclosure {}",
                clip.clip, given.body.expires, gift.disclosure
            ));
        }
    }
    if let Some(offer) = unfinished(resident, &clip)? {
        return Ok(offer);
    }
    let Sealed {
        given,
        header,
        opening,
        batch,
    } = decide::seal(resident, &clip, Audience::Public)?;
    let disclosure = Disclosure {
        request: None,
        clips: vec![given],
        gives: vec![DataKind::Video],
        minutes: None,
        note: None,
        recipient: Audience::Public,
        expires: expires(resident, wish.until)?,
    };
    let seen = resident.seen()?;
    gate::check_publish(&disclosure, &[batch], &resident.now(seen.as_ref()))?;
    Ok(Offer {
        disclosure,
        known_to: known_to(resident, &clip)?,
        envelope: None,
        given: vec![GivenClip {
            clip: Some(clip.clip),
            header: Some(header),
        }],
        clip,
        opening,
    })
}

/// A publication of the clip that was signed before, and did not come into the log yet.
fn unfinished(resident: &Resident, clip: &Clip) -> Result<Option<Offer>, ResidentError> {
    let mut gifts = resident.state.published(clip.clip)?.into_iter();
    let waits = gifts.find_map(|gift| {
        let waiting = Waiting::of(&gift)?;
        Some((gift, waiting))
    });
    let Some((gift, waiting)) = waits else {
        return Ok(None);
    };
    let Waiting {
        envelope,
        disclosure,
        ..
    } = waiting;
    let commitment = disclosure.clips.first().map(|clip| clip.commitment);
    let own = match commitment {
        Some(commitment) => resident.state.clip_of(&commitment)?,
        None => None,
    };
    let (Some((_, i)), true) = (own, disclosure.expires > resident.clock.now()) else {
        return Ok(None);
    };
    Ok(Some(Offer {
        clip: clip.clone(),
        disclosure,
        known_to: known_to(resident, clip)?,
        envelope: Some(envelope),
        given: gift.clips,
        opening: decide::shown(resident, clip, i)?,
    }))
}

/// The last hour that the limits allow, or an earlier one that was asked for.
fn expires(resident: &Resident, wanted: Option<Time>) -> Result<Time, ResidentError> {
    let now = resident.clock.now();
    let limits = resident.ledger.facts().limits(&Whole);
    let limits = limits.map_err(crate::reader::follower::FollowError::from)?;
    let mut latest_first = limits.unwrap_or_default().into_iter().rev();
    let in_force = latest_first.find(|declared| declared.effective_from <= now);
    let days = in_force.map_or(0, |declared| declared.limits.retention_days);
    let Some(latest) = latest_end(now, days) else {
        return asked("the calendar ends before the limits' last hour".to_owned());
    };
    match wanted {
        None => {
            let usual = now.checked_add_seconds(PUBLIC_FOR);
            Ok(usual
                .map_or(latest, |usual| usual.min(latest))
                .cut_to_hour())
        }
        Some(wanted) if wanted > latest => {
            let latest = latest.cut_to_hour();
            asked(format!(
                "this ledger lets a clip be public until {latest}: say so with --until"
            ))
        }
        Some(wanted) => Ok(wanted.cut_to_hour()),
    }
}

fn known_to(resident: &Resident, clip: &Clip) -> Result<Vec<PartyId>, ResidentError> {
    let mut known_to = Vec::new();
    for gift in resident.state.gifts_of(clip.clip)? {
        let Some(index) = gift.index else { continue };
        let given = resident.ledger.given(index)?;
        let taking = given.and_then(|given| given.collection);
        known_to.extend(taking.map(|taking| taking.by));
    }
    known_to.sort_unstable();
    known_to.dedup();
    Ok(known_to)
}

/// Logs a publication, and hands the clip over once the log is seen to have it. It is written down
/// before it is sent; sent twice, it is the same.
///
/// # Errors
/// The server's refusals, and a proof that does not hold.
pub fn publish(resident: &mut Resident, offer: Offer) -> Result<Published, ResidentError> {
    let envelope = match offer.envelope {
        Some(envelope) => envelope,
        None => {
            let key = resident.one_time_key(&offer.disclosure);
            resident.sign_once(&key, offer.disclosure.into())
        }
    };
    resident
        .state
        .put_gift(&Gift::new(None, &envelope, offer.given))?;
    let said = decide::disclose(resident, &envelope, vec![offer.opening])?;
    sync::follow(resident, &|_, _| {}, &mut Vec::new())?;
    let mut warnings = Vec::new();
    let done = sync::hand_over(resident, &mut warnings)?;
    Ok(Published {
        handed_over: done.contains(&said.id),
        said,
        warnings,
    })
}

/// The path below a server's address at which everybody fetches what was published.
pub fn path(disclosure: &StatementId) -> String {
    format!("/published/{disclosure}")
}
