//! Confirms with the witnesses that this log's head is the last one that was signed.
//!
//! A server that was restored from a backup, or that runs on a copied folder, has an older head than the
//! log has signed. Whatever it signed next would be a second history. So nothing is sequenced at a start
//! until the witnesses that have not confirmed the head could form no quorum among themselves
//! ([`Confirm::settle`]), and the witnesses are asked again before the first head after a quiet minute
//! ([`Confirm::look`]). Reads and vaults do not wait for either.
//!
//! Only a note signed by the log's own key proves that a head is old. A size in a `409` is unsigned: one
//! lying witness must not stop a ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use ureq::Agent;

use super::Progress;
use super::tiles::LogFiles;
use crate::client::base::BaseUrl;
use crate::digest::Digest;
use crate::encoding::printable;
use crate::tlog::checkpoint::{Checkpoint, Origin};
use crate::tlog::hash::EMPTY_ROOT;
use crate::tlog::note::{Note, VerifierKey};
use crate::tlog::policy::Policy;
use crate::tlog::prove;
use crate::tlog::tree::TreeSize;
use crate::tlog::witness::AddCheckpoint;

/// The largest answer that is read, in bytes: a note with a log's and a witness's signatures.
const MAX_ANSWER: u64 = 64 << 10;
/// How soon witnesses that have not confirmed the head are asked again.
const RETRY: Duration = Duration::from_secs(2);
/// How long a start listens to the other witnesses once enough have confirmed the head.
const GRACE: Duration = Duration::from_secs(1);
/// How often a waiting start looks whether the server ends.
const STEP: Duration = Duration::from_millis(100);
/// The longest that the first head after a quiet minute waits for witnesses.
const LOOK: Duration = Duration::from_secs(2);
/// The shortest time between two looks that failed cosignatures cause.
const LOOKS_APART: Duration = Duration::from_secs(10);

/// Whether statements may be sequenced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// Enough witnesses have confirmed the head.
    Confirmed,
    /// The server has started and waits for these witnesses; why each has not confirmed the head.
    Waiting(Vec<(String, String)>),
    /// The log's key signed a checkpoint that this server's log does not lead to. Nothing is sequenced
    /// any more.
    RolledBack(String),
}

/// Why a policy does not take the place of the one in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefused {
    #[error("it does not name the keys with which this server signs the log")]
    OtherLog,
    #[error("too few of its witnesses confirm that this is the last state of the log: {}", told(.0))]
    Unconfirmed(Vec<(String, String)>),
    #[error("those of its witnesses that confirm the log make no quorum, so nothing would be sequenced: {}", told(.0))]
    NoQuorum(Vec<(String, String)>),
    #[error("rolled-back: {0}")]
    RolledBack(String),
}

fn told(reasons: &[(String, String)]) -> String {
    let reasons = reasons.iter().map(|(name, why)| format!("{name}: {why}"));
    reasons.collect::<Vec<_>>().join("; ")
}

/// The answer of one address, which may serve several lines of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It has cosigned nothing beyond the head.
    Confirms,
    /// It names a larger size, or another root, and shows no note that proves it.
    Claims(String),
    /// It shows a note signed by the log's own key that the head does not lead to.
    Proves(String),
    /// It did not answer, or not as a witness does.
    Silent(String),
}

/// The log's own head, as witnesses are asked about it.
#[derive(Debug, Clone)]
pub struct OwnHead {
    pub checkpoint: Checkpoint,
    /// The signed note; none before the first head.
    pub note: Option<Arc<[u8]>>,
}

/// An address of the policy, with the names of its lines.
#[derive(Debug, Clone)]
pub struct Address {
    pub url: String,
    pub names: Vec<String>,
}

/// Asks witnesses what they have cosigned of one log.
#[derive(Debug, Clone)]
pub struct Inquiry {
    agent: Agent,
    origin: Origin,
    /// The log's own keys.
    keys: Vec<VerifierKey>,
}

impl Inquiry {
    /// For the log with this origin and these keys; a witness may take `timeout` for each answer.
    pub fn new(origin: Origin, keys: Vec<VerifierKey>, timeout: Duration) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .build()
            .new_agent();
        Self {
            agent,
            origin,
            keys,
        }
    }

    /// The checkpoint that the witness at `url` shows as cosigned last, if the log's own key signed it.
    /// Not every witness has an address for that.
    pub fn shown(&self, url: &str) -> Option<Checkpoint> {
        let base = BaseUrl::parse(url).ok()?;
        let path = format!("/{}/checkpoint", Digest::of(self.origin.as_str()));
        let mut answer = self.agent.get(base.join(&path)).call().ok()?;
        if answer.status().as_u16() != 200 {
            return None;
        }
        let body = answer.body_mut().with_config().limit(MAX_ANSWER);
        self.signed(&body.read_to_vec().ok()?)
    }

    /// The checkpoint of a note, if one of the log's own keys signed it.
    pub fn signed(&self, note: &[u8]) -> Option<Checkpoint> {
        let note = Note::parse(note).ok()?;
        let checkpoint = Checkpoint::parse(&note.text).ok()?;
        let own = checkpoint.origin == self.origin;
        let signed = own && matches!(checkpoint.is_signed(&note, &self.keys), Ok(true));
        signed.then_some(checkpoint)
    }

    /// The size that the witness at `url` has cosigned, by its answer to `note` from size `old`: `None`
    /// if it has none of this log, or cosigned `note` now.
    fn size(&self, url: &str, old: TreeSize, note: &[u8]) -> Result<Option<TreeSize>, String> {
        let base = BaseUrl::parse(url).map_err(|e| e.to_string())?;
        let request = AddCheckpoint {
            old,
            proof: Vec::new(),
            note: note.to_vec(),
        };
        let call = self.agent.post(base.join("/add-checkpoint"));
        let mut answer = call
            .send(request.to_string())
            .map_err(|e| format!("cannot be reached: {e}"))?;
        let body = answer.body_mut().with_config().limit(MAX_ANSWER);
        let body = body
            .read_to_string()
            .map_err(|e| format!("its answer cannot be read: {e}"))?;
        match answer.status().as_u16() {
            200 | 404 => Ok(None),
            409 => match body.trim_end_matches('\n').parse() {
                Ok(size) => Ok(Some(size)),
                Err(_) => Err("answered 409 without a size".to_owned()),
            },
            status => Err(format!("answered {status}")),
        }
    }

    /// Asks the witness at `url` by its checkpoint address, and then by sending `head`, which it has
    /// cosigned before or may cosign: `head_now` is read after each answer, since the log may have grown.
    /// With `compare_roots`, an equal size is confirmed by a cosignature alone.
    pub fn ask(
        &self,
        url: &str,
        head_now: impl Fn() -> OwnHead,
        log: &LogFiles,
        compare_roots: bool,
    ) -> Heard {
        let shown = self.shown(url);
        let head = head_now();
        if let Some(why) = shown.and_then(|shown| contradiction(&shown, &head.checkpoint, log)) {
            return Heard::Proves(why);
        }
        self.send(url, &head, compare_roots, || head_now().checkpoint.size)
    }

    /// Asks the witness at `url` by sending `head`, which shows nobody more than the log has signed before.
    pub fn probe(&self, url: &str, head: &OwnHead, compare_roots: bool) -> Heard {
        self.send(url, head, compare_roots, || head.checkpoint.size)
    }

    /// As [`Inquiry::probe`], while the log has grown to `now`: the witness may have cosigned what is newer
    /// than `head`.
    fn send(
        &self,
        url: &str,
        head: &OwnHead,
        compare_roots: bool,
        now: impl Fn() -> TreeSize,
    ) -> Heard {
        let own = head.checkpoint.size;
        let Some(note) = &head.note else {
            return Heard::Confirms;
        };
        match self.size(url, TreeSize::new(0), note) {
            Ok(Some(size)) if size > own && size > now() => Heard::Claims(format!(
                "names size {size}, beyond the {own} entries of this log, and shows no checkpoint of it"
            )),
            Ok(Some(size)) if size == own && compare_roots => match self.size(url, own, note) {
                Ok(None) => Heard::Confirms,
                _ => Heard::Claims(format!(
                    "does not cosign this log's checkpoint of size {own}, and shows no other one"
                )),
            },
            Ok(_) => Heard::Confirms,
            Err(why) => Heard::Silent(why),
        }
    }
}

/// Why a checkpoint signed by the log's key is none that a log with `head` leads to.
fn contradiction(shown: &Checkpoint, head: &Checkpoint, log: &LogFiles) -> Option<String> {
    let (size, own) = (shown.size, head.size);
    if size > own {
        return Some(format!(
            "shows a checkpoint of {size} entries that this log's key signed, and this server has {own}"
        ));
    }
    let root = match size {
        size if size == own => head.root,
        // A tile that cannot be read proves nothing.
        size => prove::root(size, log).ok()?,
    };
    (root != shown.root).then(|| {
        format!(
            "shows a checkpoint of {size} entries that this log's key signed, with another root than \
             this server's log has at that size"
        )
    })
}

/// The addresses of a policy's witnesses, but for those named in `without`.
pub fn addresses(policy: &Policy, without: &BTreeSet<String>) -> Vec<Address> {
    let mut addresses: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for witness in policy.witnesses() {
        if let Some(url) = witness
            .url
            .as_deref()
            .filter(|_| !without.contains(&witness.name))
        {
            addresses.entry(url).or_default().push(witness.name.clone());
        }
    }
    let address = |(url, names): (&str, _)| Address {
        url: url.to_owned(),
        names,
    };
    addresses.into_iter().map(address).collect()
}

/// The witnesses that have not confirmed a head, and why.
#[derive(Debug, Default, Clone)]
pub struct Unconfirmed {
    /// By their addresses.
    asked: BTreeMap<String, (Address, Heard)>,
    /// Those without an address in the policy, which can confirm nothing.
    unreachable: BTreeSet<String>,
}

impl Unconfirmed {
    /// All witnesses of a policy, which have not been asked yet, but for those named in `without`.
    pub fn of(policy: &Policy, without: &BTreeSet<String>) -> Self {
        let silent = || Heard::Silent("has not been asked yet".to_owned());
        let entry = |address: Address| (address.url.clone(), (address, silent()));
        let witnesses = policy.witnesses().iter();
        let unreachable =
            witnesses.filter(|witness| witness.url.is_none() && !without.contains(&witness.name));
        Self {
            asked: addresses(policy, without).into_iter().map(entry).collect(),
            unreachable: unreachable.map(|witness| witness.name.clone()).collect(),
        }
    }

    /// Takes in an answer.
    pub fn hear(&mut self, url: &str, heard: Heard) {
        match heard {
            Heard::Confirms => drop(self.asked.remove(url)),
            heard => {
                if let Some(entry) = self.asked.get_mut(url) {
                    entry.1 = heard;
                }
            }
        }
    }

    /// The proof that the head is old, if a witness showed one.
    pub fn proof(&self) -> Option<String> {
        self.asked
            .values()
            .find_map(|(address, heard)| match heard {
                Heard::Proves(why) => Some(format!("{} {why}", address.names.join(", "))),
                _ => None,
            })
    }

    /// Whether no quorum of `policy` is among them, and none claims to have cosigned more.
    pub fn is_enough(&self, policy: &Policy) -> bool {
        let names = self.names();
        let claims = |heard: &Heard| matches!(heard, Heard::Claims(_));
        !self.any(claims) && (names.is_empty() || !policy.quorum_met(&names))
    }

    /// Their names in the policy.
    fn names(&self) -> BTreeSet<&str> {
        let asked = self.asked.values().flat_map(|(address, _)| &address.names);
        asked.chain(&self.unreachable).map(String::as_str).collect()
    }

    /// Whether the others, which have confirmed the head, make a quorum of `policy`.
    fn others_are_quorum(&self, policy: &Policy) -> bool {
        let left = self.names();
        let all = policy
            .witnesses()
            .iter()
            .map(|witness| witness.name.as_str());
        policy.quorum_met(&all.filter(|name| !left.contains(name)).collect())
    }

    /// Whether one of them answered so.
    pub fn any(&self, answered: impl Fn(&Heard) -> bool) -> bool {
        self.asked.values().any(|(_, heard)| answered(heard))
    }

    /// Each witness by its name in the policy, and why it has not confirmed.
    pub fn reasons(&self) -> Vec<(String, String)> {
        let reason = |(address, heard): &(Address, Heard)| {
            let why = match heard {
                Heard::Confirms => "confirms".to_owned(),
                Heard::Claims(why) | Heard::Proves(why) | Heard::Silent(why) => printable(why),
            };
            let names = address.names.iter();
            names
                .map(|name| (name.clone(), why.clone()))
                .collect::<Vec<_>>()
        };
        let unreachable = self.unreachable.iter();
        let unreachable =
            unreachable.map(|name| (name.clone(), "has no URL in the policy".to_owned()));
        let asked = self.asked.values().flat_map(reason);
        asked.chain(unreachable).collect()
    }

    /// The witnesses that claim to have cosigned more, with their claims.
    fn claims(&self) -> Vec<(String, String)> {
        let claims = |heard: &Heard| matches!(heard, Heard::Claims(_));
        let claiming = self.asked.iter().filter(|(_, (_, heard))| claims(heard));
        let asked = claiming.map(|(url, entry)| (url.clone(), entry.clone()));
        let claiming = Self {
            asked: asked.collect(),
            unreachable: BTreeSet::new(),
        };
        claiming.reasons()
    }

    fn addresses(&self) -> Vec<Address> {
        let asked = self.asked.values();
        asked.map(|(address, _)| address.clone()).collect()
    }

    /// Asks all of them at once; returns when all have answered, when `done`, or after `patience`.
    pub fn ask_all(
        &mut self,
        ask: impl Fn(&str) -> Heard + Send + Sync + Clone + 'static,
        patience: Duration,
        done: impl Fn(&Self) -> bool,
    ) {
        let (answer, answers) = mpsc::channel();
        for address in self.addresses() {
            let (ask, answer) = (ask.clone(), answer.clone());
            std::thread::spawn(move || {
                let heard = ask(&address.url);
                let _ = answer.send((address.url, heard));
            });
        }
        drop(answer);
        let deadline = Instant::now() + patience;
        while !done(self) && Instant::now() < deadline {
            match answers.recv_timeout(STEP) {
                Ok((url, heard)) => self.hear(&url, heard),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// The instance id that the server at `url` answers with; `None` if there is none.
pub(super) fn instance_at(url: &str, timeout: Duration) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Answer {
        instance: String,
    }
    let base = BaseUrl::parse(url).ok()?;
    let agent = Agent::config_builder()
        .timeout_global(Some(timeout))
        .build()
        .new_agent();
    let mut answer = agent.get(base.join("/api/v1/instance")).call().ok()?;
    let body = answer.body_mut().with_config().limit(MAX_ANSWER);
    let answer: Answer = serde_json::from_slice(&body.read_to_vec().ok()?).ok()?;
    Some(answer.instance)
}

/// Asks the witnesses of a running log, and keeps whether it is confirmed.
pub(super) struct Confirm {
    inquiry: Inquiry,
    /// The policy in force.
    policy: watch::Sender<Policy>,
    /// Witnesses that the operator leaves out, by their names in the policy.
    without: BTreeSet<String>,
    log: LogFiles,
    progress: watch::Receiver<Progress>,
    confirmation: watch::Sender<Confirmation>,
    /// How long a start's round of questions may take.
    patience: Duration,
    /// Whether a look that failed cosignatures caused is under way.
    looking: AtomicBool,
}

impl Confirm {
    /// Nothing is confirmed yet.
    pub fn new(
        inquiry: Inquiry,
        policy: Policy,
        without: BTreeSet<String>,
        log: LogFiles,
        progress: watch::Receiver<Progress>,
        timeout: Duration,
    ) -> Arc<Self> {
        let (confirmation, _) = watch::channel(Confirmation::Waiting(Vec::new()));
        Arc::new(Self {
            inquiry,
            policy: watch::Sender::new(policy),
            without,
            log,
            progress,
            confirmation,
            patience: timeout * 3,
            looking: AtomicBool::new(false),
        })
    }

    /// Follows whether the log is confirmed.
    pub fn subscribe(&self) -> watch::Receiver<Confirmation> {
        self.confirmation.subscribe()
    }

    /// Follows the policy in force.
    pub fn policies(&self) -> watch::Receiver<Policy> {
        self.policy.subscribe()
    }

    fn policy(&self) -> Policy {
        self.policy.borrow().clone()
    }

    /// Puts a policy in the place of the one in force, if its witnesses confirm the head as those of a
    /// start have to: those that do not could form no quorum of it among themselves. Waits for their
    /// answers; the old policy is in force meanwhile. Those that do must be a quorum, unless the start waits:
    /// without one nothing would be sequenced.
    ///
    /// # Errors
    /// If it is another log's, or is not confirmed; the old one stays in force. A proof that the head is
    /// old counts as at any time: nothing is sequenced after it.
    pub fn change_policy(self: &Arc<Self>, policy: Policy) -> Result<(), PolicyRefused> {
        let keys = |policy: &Policy| -> Vec<_> {
            let logs = policy.logs().iter();
            logs.map(|log| log.key.clone()).collect()
        };
        if keys(&policy) != keys(&self.policy.borrow()) {
            return Err(PolicyRefused::OtherLog);
        }
        // Those of the old policy may have a proof too, and nobody asks them afterwards.
        let mut old = Unconfirmed::of(&self.policy(), &self.without);
        let mut left = Unconfirmed::of(&policy, &self.without);
        for (asked, patience) in [(&mut left, self.patience), (&mut old, LOOK)] {
            let proved = |asked: &Unconfirmed| asked.proof().is_some();
            asked.ask_all(self.asker(false), patience, proved);
            if let Some(why) = asked.proof() {
                self.roll_back(why.clone());
                return Err(PolicyRefused::RolledBack(why));
            }
        }
        if !left.is_enough(&policy) {
            return Err(PolicyRefused::Unconfirmed(left.reasons()));
        }
        // A start that waits has no quorum to lose.
        let waits = matches!(*self.confirmation.borrow(), Confirmation::Waiting(_));
        if !waits && !left.others_are_quorum(&policy) {
            return Err(PolicyRefused::NoQuorum(left.reasons()));
        }
        self.policy.send_replace(policy);
        // A start that waits for the old one's witnesses need not any more.
        self.confirmation.send_if_modified(|now| {
            let waits = matches!(now, Confirmation::Waiting(_));
            if waits {
                *now = Confirmation::Confirmed;
            }
            waits
        });
        Ok(())
    }

    /// Whether a proof was shown that the head is old.
    pub fn is_rolled_back(&self) -> bool {
        matches!(*self.confirmation.borrow(), Confirmation::RolledBack(_))
    }

    fn head(&self) -> OwnHead {
        let progress = self.progress.borrow();
        let signed = progress.head.as_deref().and_then(|note| {
            let note = Note::parse(note).ok()?;
            Checkpoint::parse(&note.text).ok()
        });
        OwnHead {
            checkpoint: signed.unwrap_or_else(|| Checkpoint {
                origin: self.inquiry.origin.clone(),
                size: TreeSize::new(0),
                root: EMPTY_ROOT,
            }),
            note: progress.head.clone(),
        }
    }

    /// A log without entries asks once and waits for nobody: the proof that its key has signed entries
    /// before, if a witness shows one.
    pub fn look_before_genesis(self: &Arc<Self>) -> Option<String> {
        let mut asked = Unconfirmed::of(&self.policy(), &self.without);
        let this = self.clone();
        let ask = move |url: &str| {
            let shown = this.inquiry.shown(url);
            let proof =
                shown.and_then(|shown| contradiction(&shown, &this.head().checkpoint, &this.log));
            proof.map_or(Heard::Confirms, Heard::Proves)
        };
        asked.ask_all(ask, LOOK, |asked| asked.proof().is_some());
        asked.proof()
    }

    /// Nobody has to confirm: the log is new, or closed.
    pub fn pass(&self) {
        self.confirmation.send_replace(Confirmation::Confirmed);
    }

    /// Asks until enough witnesses have confirmed the head, one has proved it old, or the server `ended`,
    /// which is answered with false.
    pub fn settle(self: &Arc<Self>, ended: impl Fn() -> bool) -> bool {
        let policy = self.policy();
        let mut left = Unconfirmed::of(&policy, &self.without);
        while matches!(*self.confirmation.borrow(), Confirmation::Waiting(_)) {
            let since = Instant::now();
            left.ask_all(self.asker(true), self.patience, |left| {
                let enough = || since.elapsed() > GRACE && left.is_enough(&policy);
                left.proof().is_some() || ended() || enough()
            });
            if let Some(why) = left.proof() {
                self.roll_back(why);
            } else if left.is_enough(&policy) {
                self.pass();
            } else {
                self.wait_for(left.reasons());
                let until = Instant::now() + RETRY;
                while Instant::now() < until {
                    if ended() {
                        return false;
                    }
                    std::thread::sleep(STEP);
                }
            }
        }
        true
    }

    fn asker(
        self: &Arc<Self>,
        compare_roots: bool,
    ) -> impl Fn(&str) -> Heard + Send + Sync + Clone + 'static {
        let this = self.clone();
        move |url: &str| {
            this.inquiry
                .ask(url, || this.head(), &this.log, compare_roots)
        }
    }

    /// Asks once, before the first head after a quiet minute. Witnesses that are silent, or that claim
    /// without proof to have cosigned more, are left out.
    pub fn look(self: &Arc<Self>) {
        let policy = self.policy();
        let mut left = Unconfirmed::of(&policy, &self.without);
        left.ask_all(self.asker(false), LOOK, |left| {
            left.proof().is_some() || left.is_enough(&policy)
        });
        for (witness, why) in left.claims() {
            tracing::error!(%witness, %why, "a witness contradicts this log without a proof");
        }
        if let Some(why) = left.proof() {
            self.roll_back(why);
        }
    }

    /// Looks on a thread of its own, after a witness has not cosigned: it may have cosigned another
    /// history.
    pub fn look_beside(self: &Arc<Self>) {
        if self.looking.swap(true, Ordering::Relaxed) {
            return;
        }
        let this = self.clone();
        std::thread::spawn(move || {
            let mut asked = Unconfirmed::of(&this.policy(), &this.without);
            let beside = this.clone();
            let ask = move |url: &str| match beside.inquiry.shown(url) {
                None => Heard::Silent("shows no checkpoint".to_owned()),
                Some(shown) => contradiction(&shown, &beside.head().checkpoint, &beside.log)
                    .map_or(Heard::Confirms, Heard::Proves),
            };
            asked.ask_all(ask, this.patience, |asked| asked.proof().is_some());
            if let Some(why) = asked.proof() {
                this.roll_back(why);
            }
            std::thread::sleep(LOOKS_APART);
            this.looking.store(false, Ordering::Relaxed);
        });
    }

    fn roll_back(&self, why: String) {
        let why = printable(&why);
        if !self.is_rolled_back() {
            tracing::error!(%why, "rolled-back: this server has an old copy of its log; nothing is sequenced");
        }
        self.confirmation
            .send_replace(Confirmation::RolledBack(why));
    }

    fn wait_for(&self, left: Vec<(String, String)>) {
        let waiting = Confirmation::Waiting(left);
        self.confirmation.send_if_modified(|now| {
            if *now == waiting {
                return false;
            }
            if let Confirmation::Waiting(left) = &waiting {
                for (witness, why) in left {
                    tracing::warn!(%witness, %why, "nothing is sequenced: a witness has not confirmed the head");
                }
            }
            *now = waiting;
            true
        });
    }
}

#[cfg(test)]
mod tests;
