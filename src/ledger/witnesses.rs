//! Asks the witnesses of a policy to cosign a checkpoint, all at once.
//!
//! A witness that is slow, down, or lies is named, and the others go on without it. So is one whose clock
//! does not agree with this server's: its cosignature is not published. Lines of the policy that share an
//! address are one witness with several keys: it is asked once, and one line of its answer that does not
//! verify discredits the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use ureq::Agent;

use super::Published;
use super::clocks::{Clocks, apart};
use super::offsets::{agrees, offset};
use super::tiles::LogFiles;
use crate::client::base::BaseUrl;
use crate::store::StoreError;
use crate::time::Time;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::cosignature;
use crate::tlog::note::{Note, NoteError, NoteSignature, VerifierKey, parse_signatures};
use crate::tlog::policy::{Policy, PolicyError, PolicyWitness, fresh_at};
use crate::tlog::prove;
use crate::tlog::tree::TreeSize;
use crate::tlog::witness::AddCheckpoint;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 10;
/// Times that a witness may name another size before it is given up for this round.
const ATTEMPTS: usize = 2;

/// How long the others are waited for once there is a quorum, unless they were late before.
const GRACE: Duration = Duration::from_millis(5);

/// The witnesses of a log: a thread for each address, which asks for the last checkpoint alone.
pub(super) struct Witnesses {
    policy: Policy,
    timeout: Duration,
    clocks: Arc<Clocks>,
    askers: BTreeMap<String, Asker>,
    answers: mpsc::Receiver<Answer>,
}

/// What came of asking.
pub(super) struct Cosigned {
    pub checkpoint: Checkpoint,
    /// The note with all cosignatures, if readers count a quorum among them; and its time.
    pub note: Option<(Vec<u8>, Time)>,
    /// Each witness of the policy, and why its cosignature is not in the note.
    pub witnesses: Vec<(String, Result<(), Lack>)>,
}

/// Why a witness's cosignature is not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// It gave none.
    Absent(String),
    /// It gave one of another time: its clock is so many seconds ahead of this server's.
    Clock(i64),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(why) => f.write_str(why),
            Self::Clock(offset) => write!(
                f,
                "its clock is {} this server's: its cosignature is not published",
                apart(*offset)
            ),
        }
    }
}

fn absent(why: &str) -> Lack {
    Lack::Absent(why.to_owned())
}

impl Witnesses {
    /// The witnesses of `policy`, each of which may take `timeout` for an answer. Their clocks are
    /// measured in `clocks`.
    pub fn new(policy: Policy, timeout: Duration, clocks: Arc<Clocks>) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .build()
            .new_agent();
        let mut addresses: BTreeMap<String, Vec<PolicyWitness>> = BTreeMap::new();
        for witness in policy.witnesses() {
            if let Some(url) = &witness.url {
                let witnesses = addresses.entry(url.clone()).or_default();
                witnesses.push(witness.clone());
            }
        }
        let (answer, answers) = mpsc::channel();
        let start = |(url, witnesses): (String, _)| {
            let asked = Asked {
                agent: agent.clone(),
                url: url.clone(),
                witnesses,
                size: TreeSize::default(),
                clocks: clocks.clone(),
            };
            (url, Asker::start(asked, answer.clone()))
        };
        Self {
            askers: addresses.into_iter().map(start).collect(),
            policy,
            timeout,
            clocks,
            answers,
        }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The witnesses of another policy, with the same patience.
    pub fn of_policy(&self, policy: Policy) -> Self {
        Self::new(policy, self.timeout, self.clocks.clone())
    }

    /// The names of the witnesses in the policy.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let witnesses = self.policy.witnesses().iter();
        witnesses.map(|witness| witness.name.as_str())
    }

    /// The key of the witness of this name in the policy.
    pub fn key(&self, name: &str) -> Option<&VerifierKey> {
        let mut witnesses = self.policy.witnesses().iter();
        let witness = witnesses.find(|witness| witness.name == name);
        witness.map(|witness| &witness.key)
    }

    /// What a published note says, if it satisfies the policy at `now`. Its cosignatures may be of any
    /// age: what they cover stays witnessed, and readers say that it is not fresh.
    pub fn published(&self, note: &[u8], now: Time) -> Option<Published> {
        let (oldest, newest) = fresh_at(now);
        let witnessed = self.policy.verify(note, None, newest).ok()?;
        let at = witnessed.time()?;
        let state = |witness: &PolicyWitness| {
            let time = witnessed.cosignatures.get(&witness.name).copied();
            let cosigned = time.is_some_and(|time| {
                oldest.is_none_or(|oldest| oldest <= time)
                    && newest.is_none_or(|newest| time <= newest)
            });
            let lacks = Err(absent(UNASKED));
            (witness.name.clone(), if cosigned { Ok(()) } else { lacks })
        };
        Some(Published {
            witnesses: self.policy.witnesses().iter().map(state).collect(),
            counted: witnessed.checkpoint.size,
            checkpoint: witnessed.checkpoint,
            note: note.into(),
            at,
            came: None,
        })
    }

    /// Asks every witness to cosign the log's own signed checkpoint. Returns when all have answered,
    /// shortly after a quorum has, or when their time is over.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if `note` is none of a log's.
    pub fn cosign(&mut self, note: &[u8], log: &LogFiles) -> Result<Cosigned, StoreError> {
        let own = Note::parse(note).map_err(|e| StoreError::Damaged(e.to_string()))?;
        let checkpoint = Checkpoint::parse(&own.text);
        let question = Question {
            checkpoint: checkpoint.map_err(|e| StoreError::Damaged(e.to_string()))?,
            // Only the log's own signatures go out: a witness's body limit is small.
            note: own.to_bytes().into(),
            log: log.clone(),
        };
        for asker in self.askers.values_mut() {
            asker.ask(question.clone());
        }
        let (policy, clocks) = (&self.policy, &self.clocks);
        // Verifies every line anew, so only where they may be enough.
        let counts = |note: &Note, names: &BTreeSet<String>| {
            policy.quorum_met(&names.iter().map(String::as_str).collect())
                && fresh_time(policy, &note.to_bytes(), clocks).is_ok()
        };
        let (mut cosigned, mut names) = (own, BTreeSet::new());
        let mut quorum = counts(&cosigned, &names);
        let patience = if quorum { GRACE } else { self.timeout };
        let mut deadline = Instant::now() + patience;
        while self.askers.values().any(|asker| asker.is_awaited(quorum)) {
            let patience = deadline.saturating_duration_since(Instant::now());
            let Ok(answer) = self.answers.recv_timeout(patience) else {
                break;
            };
            let asker = self.askers.get_mut(&answer.url).expect("asked above");
            if answer.size != question.checkpoint.size {
                continue;
            }
            if let Ok(signatures) = &answer.cosigned {
                for (name, cosignature) in signatures.iter().filter(|(_, c)| agrees(c.offset)) {
                    cosigned.signatures.push(cosignature.line.clone());
                    names.insert(name.clone());
                }
                if !quorum && counts(&cosigned, &names) {
                    quorum = true;
                    deadline = deadline.min(Instant::now() + GRACE);
                }
            }
            asker.state = State::Answered(answer.cosigned);
        }
        for asker in self
            .askers
            .values_mut()
            .filter(|asker| asker.state.is_open())
        {
            asker.state = State::Late;
        }
        let note = cosigned.to_bytes();
        let time = match fresh_time(policy, &note, clocks) {
            Ok(time) => Some(time),
            Err(error) => {
                let size = question.checkpoint.size;
                tracing::debug!(%size, %error, "the checkpoint is not published");
                None
            }
        };
        Ok(Cosigned {
            note: time.map(|time| (note, time)),
            witnesses: self.states(),
            checkpoint: question.checkpoint,
        })
    }

    fn states(&self) -> Vec<(String, Result<(), Lack>)> {
        let state = |witness: &PolicyWitness| match &witness.url {
            None => Err(absent("has no URL in the policy")),
            Some(url) => self.askers[url].state.of(&witness.name),
        };
        let witnesses = self.policy.witnesses().iter();
        witnesses
            .map(|witness| (witness.name.clone(), state(witness)))
            .collect()
    }
}

/// The time of a checkpoint that readers count now; a quorum of `none` has no time but the log's own.
fn fresh_time(policy: &Policy, note: &[u8], clocks: &Clocks) -> Result<Time, PolicyError> {
    let now = clocks.now().wall;
    let witnessed = policy.verify_fresh(note, now)?;
    Ok(witnessed.time().unwrap_or(now))
}

/// What every witness is asked.
#[derive(Clone)]
struct Question {
    checkpoint: Checkpoint,
    note: Arc<[u8]>,
    /// Proves that the checkpoint extends what the witness cosigned.
    log: LogFiles,
}

/// What came back from an address.
struct Answer {
    url: String,
    /// Of the checkpoint that was asked about.
    size: TreeSize,
    cosigned: Result<Cosignatures, String>,
}

/// The thread that asks one address.
struct Asker {
    /// The question to be asked next, and whether there will be more.
    next: Arc<(Mutex<Next>, Condvar)>,
    state: State,
}

enum Next {
    Question(Option<Question>),
    End,
}

/// What came of the last question.
enum State {
    Asked,
    /// Asked anew, and the question before that was not answered in time.
    AskedThoughLate,
    Late,
    Answered(Result<Cosignatures, String>),
}

impl State {
    fn is_open(&self) -> bool {
        matches!(self, Self::Asked | Self::AskedThoughLate)
    }

    fn of(&self, witness: &str) -> Result<(), Lack> {
        match self {
            Self::Answered(Ok(signatures)) => match signatures.get(witness) {
                None => Err(absent(WITHOUT)),
                Some(cosignature) if !agrees(cosignature.offset) => {
                    Err(Lack::Clock(cosignature.offset))
                }
                Some(_) => Ok(()),
            },
            Self::Answered(Err(why)) => Err(absent(why)),
            Self::Asked | Self::AskedThoughLate | Self::Late => {
                Err(absent("has not answered in time"))
            }
        }
    }
}

impl Asker {
    fn start(mut asked: Asked, answers: mpsc::Sender<Answer>) -> Self {
        let next = Arc::new((Mutex::new(Next::Question(None)), Condvar::new()));
        let questions = next.clone();
        std::thread::spawn(move || {
            while let Some(question) = wait(&questions) {
                let answer = Answer {
                    url: asked.url.clone(),
                    size: question.checkpoint.size,
                    // A panic is one failed answer: a thread that has ended would never answer again.
                    cosigned: catch_unwind(AssertUnwindSafe(|| asked.cosign(&question)))
                        .unwrap_or_else(|_panic| Err("asking it panicked".to_owned())),
                };
                if answers.send(answer).is_err() {
                    return;
                }
            }
        });
        Self {
            next,
            state: State::Answered(Err(UNASKED.to_owned())),
        }
    }

    /// Asks after what is being asked; a question that still waits is passed over.
    fn ask(&mut self, question: Question) {
        self.state = match self.state {
            State::Late => State::AskedThoughLate,
            _ => State::Asked,
        };
        self.leave(Next::Question(Some(question)));
    }

    fn leave(&self, next: Next) {
        let (slot, changed) = &*self.next;
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = next;
        changed.notify_one();
    }

    /// Whether its answer is worth waiting for.
    fn is_awaited(&self, quorum: bool) -> bool {
        match self.state {
            State::Asked => true,
            State::AskedThoughLate => !quorum,
            State::Late | State::Answered(_) => false,
        }
    }
}

/// The thread ends with its current question.
impl Drop for Asker {
    fn drop(&mut self) {
        self.leave(Next::End);
    }
}

/// Waits for the next question.
fn wait(next: &(Mutex<Next>, Condvar)) -> Option<Question> {
    let (slot, changed) = next;
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        match &mut *slot {
            Next::End => return None,
            Next::Question(question) => {
                if let Some(question) = question.take() {
                    return Some(question);
                }
            }
        }
        slot = changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
    }
}

const UNASKED: &str = "has not been asked yet";
const WITHOUT: &str = "answered without its cosignature";

/// A cosignature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cosignature {
    line: NoteSignature,
    /// By how many seconds its time was ahead of this server's clock when it came.
    offset: i64,
}

/// The cosignatures of an answer that hold, by the witness's name in the policy.
type Cosignatures = BTreeMap<String, Cosignature>;

/// One address, and how far it has cosigned.
struct Asked {
    agent: Agent,
    url: String,
    /// The policy's lines with this address.
    witnesses: Vec<PolicyWitness>,
    /// The size cosigned last, as far as is known.
    size: TreeSize,
    clocks: Arc<Clocks>,
}

impl Asked {
    /// Asks from the size believed; a conflict names the size to ask from.
    fn cosign(&mut self, question: &Question) -> Result<Cosignatures, String> {
        let size = question.checkpoint.size;
        for _ in 0..ATTEMPTS {
            match self.ask(question)? {
                Ok(signatures) => {
                    self.size = size;
                    return Ok(signatures);
                }
                Err(known) if known > size => {
                    return Err(format!(
                        "has cosigned size {known}, which is beyond this log"
                    ));
                }
                Err(known) => self.size = known,
            }
        }
        Err("keeps naming other sizes".to_owned())
    }

    fn ask(&self, question: &Question) -> Result<Result<Cosignatures, TreeSize>, String> {
        let base = BaseUrl::parse(&self.url).map_err(|e| e.to_string())?;
        let size = question.checkpoint.size;
        let old = self.size.min(size);
        let proof = prove::consistency_proof(old, size, &question.log);
        let request = AddCheckpoint {
            old,
            proof: proof.map_err(|e| e.to_string())?,
            note: question.note.to_vec(),
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
        let came = self.clocks.now();
        match answer.status().as_u16() {
            200 => {
                let lines = verified(&body, &question.checkpoint, &self.witnesses)?;
                let measured = |(witness, line, cosigned): (&PolicyWitness, _, _)| {
                    self.clocks.measure(&witness.key, cosigned, came);
                    let offset = offset(cosigned, came);
                    (witness.name.clone(), Cosignature { line, offset })
                };
                Ok(Ok(lines.into_iter().map(measured).collect()))
            }
            409 => match body.trim_end_matches('\n').parse() {
                Ok(size) => Ok(Err(size)),
                Err(_) => Err("answered 409 without a size".to_owned()),
            },
            status => Err(format!("answered {status}")),
        }
    }
}

/// The cosignatures by `witnesses` out of an answer with their times, at least one, and of each witness the last.
/// Lines by unknown keys are left out, and so are valid ones whose time cannot be written: they count for nothing.
fn verified<'a>(
    body: &str,
    checkpoint: &Checkpoint,
    witnesses: &'a [PolicyWitness],
) -> Result<Vec<(&'a PolicyWitness, NoteSignature, Time)>, String> {
    let lines = body.strip_suffix('\n').unwrap_or(body);
    let lines = parse_signatures(lines).map_err(|e| e.to_string())?;
    let mut signatures = Vec::new();
    for witness in witnesses {
        let key = &witness.key;
        let mut last = None;
        for line in lines.iter().filter(|line| key.is_claimed_by(line)) {
            match cosignature::verify(key, checkpoint, line) {
                Ok(time) => last = Some((witness, line.clone(), time)),
                Err(NoteError::NoTime(_)) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        signatures.extend(last);
    }
    if signatures.is_empty() {
        return Err(WITHOUT.to_owned());
    }
    Ok(signatures)
}

#[cfg(test)]
mod tests;
