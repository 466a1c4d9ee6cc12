//! Asks the witnesses of a policy to cosign a checkpoint, all at once.
//!
//! A witness that is slow, down, or lies costs its timeout and is named; the others go on. Lines of
//! the policy that share an address are one witness with several keys: it is asked once, and one line
//! of its answer that does not verify discredits the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use ureq::Agent;

use super::Published;
use super::tiles::LogFiles;
use crate::client::base::BaseUrl;
use crate::store::StoreError;
use crate::time::Time;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::cosignature;
use crate::tlog::note::{Note, NoteSignature, parse_signatures};
use crate::tlog::policy::{Policy, PolicyWitness};
use crate::tlog::prove;
use crate::tlog::tree::TreeSize;
use crate::tlog::witness::AddCheckpoint;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 10;
/// Times that a witness may name another size before it is given up for this round.
const ATTEMPTS: usize = 2;

/// The witnesses of a log, and how far each has cosigned.
pub(super) struct Witnesses {
    policy: Policy,
    agent: Agent,
    /// By address: the size cosigned last, as far as is known.
    sizes: BTreeMap<String, TreeSize>,
}

/// What came of asking.
pub(super) struct Cosigned {
    pub checkpoint: Checkpoint,
    /// The note with all cosignatures, if they make a quorum.
    pub note: Option<Vec<u8>>,
    /// Each witness of the policy, and why it did not cosign.
    pub witnesses: Vec<(String, Result<(), String>)>,
}

impl Witnesses {
    pub fn new(policy: Policy, timeout: Duration) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .build()
            .new_agent();
        Self {
            policy,
            agent,
            sizes: BTreeMap::new(),
        }
    }

    /// What a published note says, if it satisfies the policy.
    pub fn published(&self, note: &[u8]) -> Option<Published> {
        let witnessed = self.policy.verify(note, None, None).ok()?;
        let at = witnessed.median_time()?;
        let state = |witness: &PolicyWitness| {
            let cosigned = witnessed.cosignatures.contains_key(&witness.name);
            let lacks = Err("has not been asked yet".to_owned());
            (witness.name.clone(), if cosigned { Ok(()) } else { lacks })
        };
        Some(Published {
            witnesses: self.policy.witnesses().iter().map(state).collect(),
            checkpoint: witnessed.checkpoint,
            note: note.into(),
            at,
        })
    }

    /// Asks every address at once; what came back.
    fn ask_all(
        &self,
        own: &[u8],
        checkpoint: &Checkpoint,
        log: &LogFiles,
    ) -> Vec<(String, Result<Cosignatures, String>)> {
        let mut addresses: BTreeMap<&str, Vec<&PolicyWitness>> = BTreeMap::new();
        for witness in self.policy.witnesses() {
            if let Some(url) = &witness.url {
                addresses.entry(url).or_default().push(witness);
            }
        }
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for (url, witnesses) in addresses {
                let asked = Asked {
                    agent: &self.agent,
                    url,
                    witnesses,
                    log,
                    own,
                    checkpoint,
                };
                let from = self.sizes.get(url).copied().unwrap_or_default();
                threads.push((url, scope.spawn(move || asked.cosign(from))));
            }
            let answers = threads.into_iter().map(|(url, thread)| {
                let answer = thread.join().unwrap_or(Err("failed".to_owned()));
                (url.to_owned(), answer)
            });
            answers.collect()
        })
    }

    /// Asks every witness to cosign the log's own signed checkpoint.
    pub fn cosign(
        &mut self,
        note: &[u8],
        log: &LogFiles,
        now: Time,
    ) -> Result<Cosigned, StoreError> {
        let mut note = Note::parse(note).map_err(|e| StoreError::Damaged(e.to_string()))?;
        let checkpoint =
            Checkpoint::parse(&note.text).map_err(|e| StoreError::Damaged(e.to_string()))?;
        // Only the log's own signatures go out: a witness's body limit is small.
        let own = note.to_bytes();
        let mut states = BTreeMap::new();
        for (url, answer) in self.ask_all(&own, &checkpoint, log) {
            if answer.is_ok() {
                self.sizes.insert(url.clone(), checkpoint.size);
            }
            states.insert(url, answer);
        }
        let mut witnesses = Vec::new();
        for witness in self.policy.witnesses() {
            let state = match witness.url.as_deref().map(|url| &states[url]) {
                None => Err("has no URL in the policy".to_owned()),
                Some(Err(why)) => Err(why.clone()),
                Some(Ok(signatures)) => match signatures.get(&witness.name) {
                    None => Err(WITHOUT.to_owned()),
                    Some(signature) => {
                        note.signatures.push(signature.clone());
                        Ok(())
                    }
                },
            };
            witnesses.push((witness.name.clone(), state));
        }
        let bytes = note.to_bytes();
        let counts = self
            .policy
            .verify(&bytes, None, Some(now.plus_seconds(300)));
        if let Err(error) = &counts {
            tracing::warn!(size = %checkpoint.size, %error, "the checkpoint is not published");
        }
        Ok(Cosigned {
            checkpoint,
            note: counts.is_ok().then_some(bytes),
            witnesses,
        })
    }
}

const WITHOUT: &str = "answered without its cosignature";

/// The verified cosignatures of an answer, by the witness's name in the policy.
type Cosignatures = BTreeMap<String, NoteSignature>;

/// One question to one address.
struct Asked<'a> {
    agent: &'a Agent,
    url: &'a str,
    /// The policy's lines with this address.
    witnesses: Vec<&'a PolicyWitness>,
    log: &'a LogFiles,
    own: &'a [u8],
    checkpoint: &'a Checkpoint,
}

impl Asked<'_> {
    /// Asks from the size believed; a conflict names the size to ask from.
    fn cosign(&self, from: TreeSize) -> Result<Cosignatures, String> {
        let mut old = from;
        for _ in 0..ATTEMPTS {
            match self.ask(old)? {
                Ok(signatures) => return Ok(signatures),
                Err(size) if size > self.checkpoint.size => {
                    return Err(format!(
                        "has cosigned size {size}, which is beyond this log"
                    ));
                }
                Err(size) => old = size,
            }
        }
        Err("keeps naming other sizes".to_owned())
    }

    fn ask(&self, old: TreeSize) -> Result<Result<Cosignatures, TreeSize>, String> {
        let base = BaseUrl::parse(self.url).map_err(|e| e.to_string())?;
        let proof = prove::consistency_proof(old, self.checkpoint.size, self.log)
            .map_err(|e| e.to_string())?;
        let request = AddCheckpoint {
            old,
            proof,
            note: self.own.to_vec(),
        };
        let mut answer = self
            .agent
            .post(base.join("/add-checkpoint"))
            .send(request.to_string())
            .map_err(|e| format!("cannot be reached: {e}"))?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .read_to_string();
        let body = body.map_err(|e| format!("its answer cannot be read: {e}"))?;
        match answer.status().as_u16() {
            200 => verified(&body, self.checkpoint, &self.witnesses).map(Ok),
            409 => match body.trim_end_matches('\n').parse() {
                Ok(size) => Ok(Err(size)),
                Err(_) => Err("answered 409 without a size".to_owned()),
            },
            status => Err(format!("answered {status}")),
        }
    }
}

/// The cosignatures by `witnesses` out of an answer, at least one; lines by unknown keys are passed
/// over.
fn verified(
    body: &str,
    checkpoint: &Checkpoint,
    witnesses: &[&PolicyWitness],
) -> Result<Cosignatures, String> {
    let lines = body.strip_suffix('\n').unwrap_or(body);
    let lines = parse_signatures(lines).map_err(|e| e.to_string())?;
    let mut signatures = Cosignatures::new();
    for PolicyWitness { name, key, .. } in witnesses {
        for line in lines.iter().filter(|line| key.is_claimed_by(line)) {
            cosignature::verify(key, checkpoint, line).map_err(|e| e.to_string())?;
            signatures.insert(name.clone(), line.clone());
        }
    }
    if signatures.is_empty() {
        return Err(WITHOUT.to_owned());
    }
    Ok(signatures)
}

#[cfg(test)]
mod tests;
