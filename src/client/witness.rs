//! A witness of a reader's trust file, asked at its own address for its time.
//!
//! A witness cosigns the checkpoint that it has cosigned last again, for whoever sends it, with its time: that is
//! signed. One that does not has a `Date` in its answer, which TLS vouches for.

use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, header};

use super::base::{self, BaseUrl, BaseUrlError};
use crate::digest::Digest;
use crate::time::Time;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::cosignature;
use crate::tlog::note::{Note, VerifierKey, parse_signatures};
use crate::tlog::witness::AddCheckpoint;

/// The longest that each call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// A client of one witness.
#[derive(Debug, Clone)]
pub struct WitnessClient {
    base: BaseUrl,
    agent: Agent,
}

/// A log's signed checkpoint, without the witnesses' cosignatures.
#[derive(Debug, Clone)]
pub struct OwnCheckpoint {
    note: Note,
    checkpoint: Checkpoint,
}

impl OwnCheckpoint {
    /// The checkpoint of a note, if one of `keys` signed it, which are its log's.
    pub fn of(note: &[u8], keys: &[&VerifierKey]) -> Option<Self> {
        let mut note = Note::parse(note).ok()?;
        let checkpoint = Checkpoint::parse(&note.text).ok()?;
        let name = checkpoint.origin.to_key_name();
        let own = || keys.iter().copied().filter(|key| key.name == name);
        if !checkpoint.is_signed(&note, own()).ok()? {
            return None;
        }
        note.signatures
            .retain(|line| own().any(|key| key.is_claimed_by(line)));
        Some(Self { note, checkpoint })
    }
}

impl WitnessClient {
    /// Of the witness at `url`.
    ///
    /// # Errors
    /// The address's.
    pub fn new(url: &str) -> Result<Self, BaseUrlError> {
        Ok(Self {
            base: BaseUrl::parse(url)?,
            agent: base::agent_within(PATIENCE),
        })
    }

    /// What the clock of the witness shows now. `shown` is a checkpoint of the log with the keys `log`, and `keys`
    /// are the witness's; `None` if it shows no time, or cannot be reached.
    pub fn time(
        &self,
        shown: &OwnCheckpoint,
        log: &[&VerifierKey],
        keys: &[&VerifierKey],
    ) -> Option<Time> {
        let (signed, date) = self.cosign(shown, keys)?;
        if signed.is_some() {
            return signed;
        }
        // It has cosigned another size since.
        let last = self.cosigned_last(shown, log);
        let again = last.and_then(|last| self.cosign(&last, keys)?.0);
        again.or(date)
    }

    /// The time of a new cosignature by one of `keys`, if there is one; and the `Date` of the answer.
    fn cosign(
        &self,
        own: &OwnCheckpoint,
        keys: &[&VerifierKey],
    ) -> Option<(Option<Time>, Option<Time>)> {
        let request = AddCheckpoint {
            old: own.checkpoint.size,
            proof: Vec::new(),
            note: own.note.to_bytes(),
        };
        let call = self.agent.post(self.base.join("/add-checkpoint"));
        let mut answer = call.send(request.to_string()).ok()?;
        let date = date(answer.headers());
        if answer.status().as_u16() != 200 {
            return Some((None, date));
        }
        let body = answer.body_mut().with_config().limit(MAX_ANSWER);
        let body = body.read_to_string().ok()?;
        let lines = parse_signatures(body.strip_suffix('\n').unwrap_or(&body));
        let lines = lines.unwrap_or_default();
        let times = keys.iter().flat_map(|key| {
            let claimed = lines.iter().filter(move |line| key.is_claimed_by(line));
            claimed.filter_map(move |line| cosignature::verify(key, &own.checkpoint, line).ok())
        });
        Some((times.max(), date))
    }

    /// The checkpoint that the witness shows as cosigned last. Not every witness has an address for that.
    fn cosigned_last(&self, shown: &OwnCheckpoint, log: &[&VerifierKey]) -> Option<OwnCheckpoint> {
        let origin = Digest::of(shown.checkpoint.origin.as_str());
        let path = format!("/{origin}/checkpoint");
        let mut answer = self.agent.get(self.base.join(&path)).call().ok()?;
        if answer.status().as_u16() != 200 {
            return None;
        }
        let body = answer.body_mut().with_config().limit(MAX_ANSWER);
        let last = OwnCheckpoint::of(&body.read_to_vec().ok()?, log)?;
        (last.checkpoint.origin == shown.checkpoint.origin).then_some(last)
    }
}

/// The `Date` of an answer (RFC 9110, section 6.6.1).
fn date(headers: &HeaderMap) -> Option<Time> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Time::from_unix(date.timestamp().as_second())
}
