//! Asks the witnesses of a policy to cosign a checkpoint, all at once.
//!
//! A witness that is slow, down, or lies costs its timeout and is named; the others go on.

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
    /// By name: the size cosigned last, as far as is known.
    sizes: BTreeMap<String, TreeSize>,
}

/// What came of asking.
pub(super) struct Cosigned {
    pub checkpoint: Checkpoint,
    /// The note with all cosignatures, if they make a quorum.
    pub note: Option<Vec<u8>>,
    /// Each witness, and why it did not cosign.
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
        let (agent, sizes) = (&self.agent, &self.sizes);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let ask = |witness| {
                let asked = Asked {
                    agent,
                    witness,
                    log,
                    own: &own,
                    checkpoint: &checkpoint,
                };
                let from = sizes.get(&witness.name).copied().unwrap_or_default();
                (witness, scope.spawn(move || asked.cosign(from)))
            };
            let asked: Vec<_> = self.policy.witnesses().iter().map(ask).collect();
            asked
                .into_iter()
                .map(|(witness, thread)| {
                    let answer = thread.join().unwrap_or(Err("failed".to_owned()));
                    (witness.name.clone(), answer)
                })
                .collect()
        });
        let mut witnesses = Vec::new();
        for (name, answer) in answers {
            witnesses.push((
                name.clone(),
                answer.map(|signature| {
                    self.sizes.insert(name, checkpoint.size);
                    note.signatures.push(signature);
                }),
            ));
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

/// One question to one witness.
struct Asked<'a> {
    agent: &'a Agent,
    witness: &'a PolicyWitness,
    log: &'a LogFiles,
    own: &'a [u8],
    checkpoint: &'a Checkpoint,
}

impl Asked<'_> {
    /// Asks from the size believed; a conflict names the size to ask from.
    fn cosign(&self, from: TreeSize) -> Result<NoteSignature, String> {
        let mut old = from;
        for _ in 0..ATTEMPTS {
            match self.ask(old)? {
                Ok(signature) => return Ok(signature),
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

    fn ask(&self, old: TreeSize) -> Result<Result<NoteSignature, TreeSize>, String> {
        let url = self
            .witness
            .url
            .as_deref()
            .ok_or("has no URL in the policy")?;
        let base = BaseUrl::parse(url).map_err(|e| e.to_string())?;
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
            200 => self.signature(&body).map(Ok),
            409 => match body.trim_end_matches('\n').parse() {
                Ok(size) => Ok(Err(size)),
                Err(_) => Err("answered 409 without a size".to_owned()),
            },
            status => Err(format!("answered {status}")),
        }
    }

    /// The witness's own cosignature out of its answer, verified.
    fn signature(&self, body: &str) -> Result<NoteSignature, String> {
        let key = &self.witness.key;
        let lines = body.strip_suffix('\n').unwrap_or(body);
        let signatures = parse_signatures(lines).map_err(|e| e.to_string())?;
        let signature = signatures
            .into_iter()
            .find(|s| s.name == key.name && s.key_id == key.id())
            .ok_or("answered without its cosignature")?;
        cosignature::verify(key, self.checkpoint, &signature).map_err(|e| e.to_string())?;
        Ok(signature)
    }
}
