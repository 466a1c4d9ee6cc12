//! The end of a log: the statement that closes it is logged, and the witnesses cosign the final checkpoint.

use std::fmt;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::official::{OfficialError, logged_json, submit};
use crate::client::Client;
use crate::reader::source::{LogSource as _, UrlSource};
use crate::statement::envelope::Envelope;
use crate::statement::{Statement, parse_payload};
use crate::time::Clock;
use crate::tlog::policy::{Policy, counts_at};
use crate::wire::statements::Logged;

/// How often it is asked whether the witnesses have cosigned.
const ROUNDS: usize = 30;
/// How long until it looks again for the final checkpoint of a log that is dated ahead.
const LOOK: Duration = Duration::from_secs(1);

/// Whether the statement of this envelope closes its log.
pub fn closes(envelope: &Envelope) -> bool {
    let parsed = parse_payload(&envelope.payload);
    parsed.is_ok_and(|(_, statement)| matches!(statement, Statement::LogClosed(_)))
}

/// The end of a log.
#[derive(Debug, Clone)]
pub struct Ending {
    /// The statement that closes it. Its proof counts from the time of its logging on, which has not come
    /// where a wrong clock has put the log ahead.
    pub logged: Logged,
    /// Whether the witnesses have cosigned the final checkpoint.
    pub is_cosigned: bool,
}

impl Ending {
    /// Waits until the witnesses have cosigned the final checkpoint after the statement of `envelope`, which
    /// is `logged`, or for some minutes. `waits` is called once it has to.
    ///
    /// # Errors
    /// If the server cannot be asked, or answers otherwise than before.
    pub fn wait(
        client: &Client,
        (policy, clock): (&Policy, &Clock),
        envelope: &Envelope,
        logged: Logged,
        waits: impl FnOnce(),
    ) -> Result<Self, OfficialError> {
        if !counts_at(clock.now(), logged.logged_at) {
            let is_cosigned = look(client, (policy, clock), &logged, waits)?;
            return Ok(Self {
                logged,
                is_cosigned,
            });
        }
        let known = logged.known;
        let (mut logged, mut waits) = (logged, Some(waits));
        for _ in 0..ROUNDS {
            if logged.proof.is_some() {
                break;
            }
            if let Some(waits) = waits.take() {
                waits();
            }
            // Asked again, the server waits for the witnesses anew, and says where the statement is.
            logged = submit(client, policy, envelope)?;
            logged.known = known;
        }
        Ok(Self {
            is_cosigned: logged.proof.is_some(),
            logged,
        })
    }

    /// As JSON: a logged statement's members, and whether the final checkpoint is cosigned.
    pub fn to_json(&self) -> Value {
        let mut members = logged_json(&self.logged);
        members["cosigned"] = json!(self.is_cosigned);
        members
    }
}

/// Looks for a fresh checkpoint over the statement: no proof of it counts yet.
fn look(
    client: &Client,
    (policy, clock): (&Policy, &Clock),
    logged: &Logged,
    waits: impl FnOnce(),
) -> Result<bool, OfficialError> {
    let source = UrlSource::of_server(client.base().as_str())?;
    let covers = |note: &[u8]| {
        let fresh = policy.verify_fresh(note, clock.now());
        fresh.is_ok_and(|fresh| fresh.checkpoint.size.as_u64() > logged.index.as_u64())
    };
    let mut waits = Some(waits);
    for _ in 0..ROUNDS {
        // A log whose first entries were dated ahead may have no checkpoint in public.
        if source.checkpoint().is_ok_and(|note| covers(&note)) {
            return Ok(true);
        }
        if let Some(waits) = waits.take() {
            waits();
        }
        thread::sleep(LOOK);
    }
    Ok(false)
}

/// For people: that the log is closed, by which entry, and whether readers see it.
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.logged.index;
        match self.is_cosigned {
            true => write!(
                f,
                "the witnesses have cosigned the final checkpoint: the log is closed, and readers count nothing \
                 after entry {index}"
            ),
            false => write!(
                f,
                "the log is closed by entry {index}: nothing can be added to it. The witnesses have not cosigned the \
                 final checkpoint yet; once they have, readers say that the log is closed, and so does `published` \
                 on /healthz, which is greater than {index} then"
            ),
        }
    }
}
