//! Policies: which log is meant, and how many of which witnesses make its checkpoint count
//! ([tlog-policy](https://c2sp.org/tlog-policy)).
//!
//! A policy is the trust file of everyone who reads the log; it lies on the reader's own machine.
//! A line has one key: a log or a witness with two has two lines. Two lines of one log are two ways
//! to sign; two lines of one witness are named apart and belong in a group of `any`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::checkpoint::{Checkpoint, CheckpointError, Origin};
use super::cosignature;
use super::note::{KeyName, Note, NoteError, NoteKey, VerifierKey};
use crate::encoding::{HiddenCharacter, check_visible};
use crate::time::Time;

/// The oldest cosignature that is fresh, in seconds before the clock that judges it.
pub const MAX_AGE: i64 = 3600;
/// The furthest that a fresh cosignature may be ahead of the clock that judges it, and an entry's time of
/// logging ahead of the cosignatures that count for it, in seconds.
pub const MAX_AHEAD: i64 = 300;
/// The furthest that the time of logging of an entry may be behind the time of a checkpoint that does not
/// cover it, in seconds.
pub const MAX_BEHIND: i64 = 900;

/// The most lines of a policy, and the most members of a group.
const MAX_LINES: usize = 1024;

/// Why a policy is refused, or a checkpoint does not satisfy it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("line {line} of the policy: {fault}")]
    Line { line: usize, fault: String },
    #[error("the policy has no `quorum` line")]
    NoQuorum,
    #[error("the policy names no log")]
    NoLog,
    #[error("the policy's quorum is `none`: nobody but the operator vouches for the log")]
    NoWitnesses,
    #[error("the policy's quorum is met by keys of the operator alone")]
    NotIndependent,
    #[error(transparent)]
    Name(#[from] HiddenCharacter),
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("the checkpoint is of the log {0}, which the policy does not name")]
    OtherLog(Origin),
    #[error("the checkpoint has no signature by a key of the log")]
    NoLogSignature,
    #[error("the witnesses' quorum is missing: {0}")]
    QuorumMissing(String),
    #[error(
        "the witnesses' quorum is missing for this entry: it was logged at {logged_at}, and the checkpoint's \
         time is {time}, more than 5 minutes before"
    )]
    NotYet { logged_at: Time, time: Time },
}

/// A log of a policy, by one of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLog {
    pub key: VerifierKey,
    pub url: Option<String>,
}

/// A witness of a policy, by one of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWitness {
    /// Its name in this policy.
    pub name: String,
    pub key: VerifierKey,
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    /// How many of the members are needed.
    threshold: usize,
    members: Vec<String>,
}

/// A parsed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    /// A witness or a group; `None` for `quorum none`.
    quorum: Option<String>,
}

/// A checkpoint that satisfies a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessedCheckpoint {
    pub checkpoint: Checkpoint,
    /// Every cosignature by a witness of the policy, by its name there.
    pub cosignatures: BTreeMap<String, Time>,
    /// The latest time such that the cosignatures made then or later make a quorum.
    time: Option<Time>,
    /// The earliest time such that the cosignatures made then or earlier make a quorum.
    earliest: Option<Time>,
}

/// Of the cosignatures that counted when the checkpoint was verified. Without any (a quorum of `none`),
/// there is no time, and no entry contradicts it.
impl WitnessedCheckpoint {
    /// The time of the checkpoint: the latest such that the cosignatures made then or later make a
    /// quorum (PROTOCOL section 3). One slow or lying witness does not move it while the others make one.
    pub fn time(&self) -> Option<Time> {
        self.time
    }

    /// Whether it counts for an entry logged at `logged_at`: cosignatures of at most [`MAX_AHEAD`] before
    /// that make a quorum. Where they do not, the quorum is missing for that entry.
    ///
    /// # Errors
    /// [`PolicyError::NotYet`].
    pub fn check_counts_for(&self, logged_at: Time) -> Result<(), PolicyError> {
        match self.time {
            Some(time) if !counts_at(time, logged_at) => {
                Err(PolicyError::NotYet { logged_at, time })
            }
            _ => Ok(()),
        }
    }

    /// Whether it proves that an entry under it was logged with a time that had not come: a quorum had
    /// cosigned it more than [`MAX_AHEAD`] before.
    pub fn shows_ahead(&self, logged_at: Time) -> bool {
        self.earliest
            .is_some_and(|earliest| logged_at.seconds_since(earliest) > MAX_AHEAD)
    }

    /// Whether an entry that it does not cover was logged with a time more than [`MAX_BEHIND`] before
    /// the checkpoint's.
    pub fn shows_behind(&self, logged_at: Time) -> bool {
        self.time
            .is_some_and(|time| time.seconds_since(logged_at) > MAX_BEHIND)
    }
}

/// Whether a checkpoint whose time is `time` counts for an entry logged at `logged_at`.
pub fn counts_at(time: Time, logged_at: Time) -> bool {
    logged_at.seconds_since(time) <= MAX_AHEAD
}

/// The oldest and the newest cosignature that is fresh for whoever looks at `now`: the log's publisher
/// and its readers count by this alone. `None` where the calendar ends first: nothing lies beyond it.
pub fn fresh_at(now: Time) -> (Option<Time>, Option<Time>) {
    let oldest = now.checked_add_seconds(-MAX_AGE);
    (oldest, now.checked_add_seconds(MAX_AHEAD))
}

impl PolicyWitness {
    /// A line for a witness that somebody names now. Policies that others have written are read as they are: to
    /// the specification a name is opaque bytes.
    ///
    /// # Errors
    /// [`PolicyError::Name`] if the name, or that of the key, has a character that people cannot see.
    pub fn new(name: String, key: VerifierKey, url: Option<String>) -> Result<Self, PolicyError> {
        check_visible(&name)?;
        check_visible(key.name.as_str())?;
        Ok(Self { name, key, url })
    }
}

impl Policy {
    /// A policy of logs whose checkpoints need `threshold` of `witnesses`; those that share the name
    /// of their keys are one witness, who may cosign with any of them.
    ///
    /// # Errors
    /// As [`Policy::parse`]: doubled names or keys.
    pub fn of(
        logs: Vec<PolicyLog>,
        witnesses: Vec<PolicyWitness>,
        threshold: usize,
    ) -> Result<Self, PolicyError> {
        let mut lines: BTreeMap<&KeyName, Vec<String>> = BTreeMap::new();
        for witness in &witnesses {
            let lines = lines.entry(&witness.key.name).or_default();
            lines.push(witness.name.clone());
        }
        let mut groups = Vec::new();
        let mut members = Vec::new();
        for witness in &witnesses {
            match lines.remove(&witness.key.name) {
                // Its other line came before.
                None => {}
                Some(line) if line.len() == 1 => members.extend(line),
                Some(lines) => {
                    let name = format!("any-key-of-{}", witness.key.name);
                    members.push(name.clone());
                    groups.push(Group {
                        name,
                        threshold: 1,
                        members: lines,
                    });
                }
            }
        }
        // No keyword for a name, though the specification allows it: Tessera's reader does not.
        let quorum = (!members.is_empty()).then(|| "witnesses".to_owned());
        groups.extend(quorum.clone().map(|name| Group {
            name,
            threshold,
            members,
        }));
        let policy = Self {
            logs,
            witnesses,
            groups,
            quorum,
        };
        Self::parse(&policy.to_string())
    }

    /// Parses a policy file.
    ///
    /// # Errors
    /// [`PolicyError::Line`], [`PolicyError::NoQuorum`], [`PolicyError::NoLog`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut policy = Self {
            logs: Vec::new(),
            witnesses: Vec::new(),
            groups: Vec::new(),
            quorum: None,
        };
        let mut quorum_seen = false;
        for (i, line) in text.split('\n').enumerate() {
            let words: Vec<&str> = line.split([' ', '\t']).filter(|w| !w.is_empty()).collect();
            let control = line.chars().find(|c| c.is_ascii_control() && *c != '\t');
            let result = match control {
                _ if i >= MAX_LINES => Err("more than 1024 lines".to_owned()),
                Some(c) => Err(format!("the control character U+{:04X}", u32::from(c))),
                None => policy.add_line(&words, &mut quorum_seen),
            };
            let line = i.saturating_add(1);
            result.map_err(|fault| PolicyError::Line { line, fault })?;
        }
        if !quorum_seen {
            return Err(PolicyError::NoQuorum);
        }
        if policy.logs.is_empty() {
            return Err(PolicyError::NoLog);
        }
        Ok(policy)
    }

    fn add_line(&mut self, words: &[&str], quorum_seen: &mut bool) -> Result<(), String> {
        match words {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", key, url @ ..] if url.len() <= 1 => self.add_log(key, url.first()),
            ["witness", name, key, url @ ..] if url.len() <= 1 => {
                self.add_witness(name, key, url.first())
            }
            ["group", name, threshold, members @ ..] => self.add_group(name, threshold, members),
            ["quorum", name] if !*quorum_seen => {
                *quorum_seen = true;
                self.set_quorum(name)
            }
            ["quorum", _] => Err("a second quorum".to_owned()),
            [word, ..] => Err(format!("`{word}` with these words is not understood")),
        }
    }

    fn add_log(&mut self, key: &str, url: Option<&&str>) -> Result<(), String> {
        let key: VerifierKey = key.parse().map_err(|e: NoteError| e.to_string())?;
        if let NoteKey::Ed25519Cosignature(_) = key.key {
            return Err("a log's key is of kind 1 (Ed25519) or 6 (ML-DSA-44)".to_owned());
        }
        if self.logs.iter().any(|log| log.key.wraps_key_of(&key)) {
            return Err("this log's key is named twice".to_owned());
        }
        self.logs.push(PolicyLog {
            key,
            url: url.map(|url| (*url).to_owned()),
        });
        Ok(())
    }

    fn add_witness(&mut self, name: &str, key: &str, url: Option<&&str>) -> Result<(), String> {
        self.check_new_name(name)?;
        let key: VerifierKey = key.parse().map_err(|e: NoteError| e.to_string())?;
        if let NoteKey::Ed25519(_) = key.key {
            return Err("a witness's key is of kind 4 or 6 (a cosignature)".to_owned());
        }
        // One key under two names would count twice.
        if self.witnesses.iter().any(|w| w.key.wraps_key_of(&key)) {
            return Err("this witness's key is named twice".to_owned());
        }
        self.witnesses.push(PolicyWitness {
            name: name.to_owned(),
            key,
            url: url.map(|url| (*url).to_owned()),
        });
        Ok(())
    }

    fn add_group(&mut self, name: &str, threshold: &str, members: &[&str]) -> Result<(), String> {
        self.check_new_name(name)?;
        if members.is_empty() {
            return Err("a group has members".to_owned());
        }
        for (i, member) in members.iter().enumerate() {
            if !self.is_defined(member) {
                return Err(format!("`{member}` is not defined above"));
            }
            let taken = self
                .groups
                .iter()
                .any(|group| group.members.iter().any(|m| m == member));
            if taken || members.iter().take(i).any(|before| before == member) {
                return Err(format!("`{member}` is a member already"));
            }
        }
        let threshold = match threshold {
            "any" => 1,
            "all" => members.len(),
            number => match number.parse::<usize>() {
                Ok(k) if (1..=members.len()).contains(&k) && k.to_string() == number => k,
                _ => return Err(format!("`{number}` of {} members cannot be", members.len())),
            },
        };
        let group = Group {
            name: name.to_owned(),
            threshold,
            members: members.iter().map(|m| (*m).to_owned()).collect(),
        };
        if let Some(witness) = self.counts_twice(&group) {
            return Err(format!(
                "the keys of {witness} would count as {threshold} witnesses: join them in a group \
                 of `any`"
            ));
        }
        self.groups.push(group);
        Ok(())
    }

    /// A witness, by the name of its keys, that could fill two of the places a group needs. A group
    /// of nothing but that witness's keys asks for them, and may.
    fn counts_twice(&self, group: &Group) -> Option<&KeyName> {
        let below: Vec<_> = group.members.iter().map(|m| self.witnesses_of(m)).collect();
        let alone = below
            .iter()
            .all(|names| names.len() == 1 && below.first() == Some(names));
        if group.threshold == 1 || alone {
            return None;
        }
        let mut seen = BTreeSet::new();
        below.into_iter().flatten().find(|name| !seen.insert(*name))
    }

    /// The names of the keys below a witness's line or a group.
    fn witnesses_of(&self, name: &str) -> BTreeSet<&KeyName> {
        match self.groups.iter().find(|group| group.name == name) {
            Some(group) => {
                let members = group.members.iter();
                members.flat_map(|m| self.witnesses_of(m)).collect()
            }
            None => {
                let lines = self.witnesses.iter().filter(|w| w.name == name);
                lines.map(|witness| &witness.key.name).collect()
            }
        }
    }

    fn set_quorum(&mut self, name: &str) -> Result<(), String> {
        self.quorum = match name {
            "none" => None,
            _ if self.is_defined(name) => Some(name.to_owned()),
            _ => return Err(format!("`{name}` is not defined above")),
        };
        Ok(())
    }

    fn is_defined(&self, name: &str) -> bool {
        self.witnesses.iter().any(|w| w.name == name) || self.groups.iter().any(|g| g.name == name)
    }

    fn check_new_name(&self, name: &str) -> Result<(), String> {
        if name == "none" || self.is_defined(name) {
            return Err(format!("the name `{name}` is taken"));
        }
        Ok(())
    }

    /// The keys of logs that it names, several for one log perhaps.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The logs that it names, each once.
    pub fn origins(&self) -> BTreeSet<Origin> {
        let names = self.logs.iter().map(|log| log.key.name.clone());
        names.map(Origin::from).collect()
    }

    /// The witnesses it names.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// How many of its witnesses make a quorum, if the policy has the form of [`Policy::of`]: no groups but
    /// one of all witnesses, and those of one witness's keys.
    pub fn threshold(&self) -> Option<usize> {
        let threshold = match &self.quorum {
            None => 0,
            Some(name) => self.groups.iter().find(|g| g.name == *name)?.threshold,
        };
        let same = Self::of(self.logs.clone(), self.witnesses.clone(), threshold).ok()?;
        (same == *self).then_some(threshold)
    }

    /// Whether the witnesses of these names make a quorum.
    pub fn quorum_met(&self, names: &BTreeSet<&str>) -> bool {
        self.quorum
            .as_deref()
            .is_none_or(|quorum| self.is_met(quorum, names))
    }

    fn is_met(&self, name: &str, names: &BTreeSet<&str>) -> bool {
        match self.groups.iter().find(|group| group.name == name) {
            None => names.contains(name),
            // A group's members are defined above it, so this ends.
            Some(group) => {
                let met = group
                    .members
                    .iter()
                    .filter(|m| self.is_met(m, names))
                    .count();
                met >= group.threshold
            }
        }
    }

    /// Refuses a quorum of none, and one that the operator alone can fill: with witnesses that
    /// have its log's key, or whose name is its log's host or below that.
    ///
    /// # Errors
    /// [`PolicyError::NoWitnesses`] or [`PolicyError::NotIndependent`].
    pub fn check_independent(&self) -> Result<(), PolicyError> {
        if self.quorum.is_none() {
            return Err(PolicyError::NoWitnesses);
        }
        let own = |witness: &&PolicyWitness| {
            self.logs.iter().any(|log| {
                let origin = Origin::from(log.key.name.clone());
                let name = Origin::from(witness.key.name.clone());
                witness.key.wraps_key_of(&log.key)
                    || name.host() == origin.host()
                    || name.host().ends_with(&format!(".{}", origin.host()))
            })
        };
        let own = self
            .witnesses
            .iter()
            .filter(own)
            .map(|w| w.name.as_str())
            .collect();
        if self.quorum_met(&own) {
            return Err(PolicyError::NotIndependent);
        }
        Ok(())
    }

    /// Verifies a checkpoint: a signature by the log, every cosignature of a known witness, and the
    /// quorum, counting only cosignatures made in `oldest..=newest` where those are given.
    ///
    /// # Errors
    /// Each fault is told apart; a known key's signature that fails rejects the whole note.
    pub fn verify(
        &self,
        note: &[u8],
        oldest: Option<Time>,
        newest: Option<Time>,
    ) -> Result<WitnessedCheckpoint, PolicyError> {
        let note = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        let name = checkpoint.origin.to_key_name();
        let keys = self.logs.iter().map(|log| &log.key);
        let keys: Vec<&VerifierKey> = keys.filter(|key| key.name == name).collect();
        if keys.is_empty() {
            return Err(PolicyError::OtherLog(checkpoint.origin));
        }
        if !checkpoint.is_signed(&note, keys)? {
            return Err(PolicyError::NoLogSignature);
        }
        let mut cosignatures = BTreeMap::new();
        for witness in &self.witnesses {
            for signature in note.signatures_by(&witness.key) {
                match cosignature::verify(&witness.key, &checkpoint, signature) {
                    Ok(time) => {
                        cosignatures.insert(witness.name.clone(), time);
                    }
                    // Valid, and of no time that could be compared: it counts for nothing.
                    Err(NoteError::NoTime(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let counts = |time: &Time| {
            oldest.is_none_or(|oldest| *time >= oldest)
                && newest.is_none_or(|newest| *time <= newest)
        };
        let fresh = cosignatures.iter().filter(|(_, time)| counts(time));
        let fresh: Vec<(&str, Time)> = fresh.map(|(name, time)| (name.as_str(), *time)).collect();
        if !self.quorum_met(&fresh.iter().map(|(name, _)| *name).collect()) {
            return Err(PolicyError::QuorumMissing(
                self.missing(&cosignatures, &fresh),
            ));
        }
        let (time, earliest) = self.quorum_times(fresh);
        Ok(WitnessedCheckpoint {
            checkpoint,
            cosignatures,
            time,
            earliest,
        })
    }

    /// [`Policy::verify`] for whoever looks at `now`: only fresh cosignatures count ([`fresh_at`]).
    ///
    /// # Errors
    /// As [`Policy::verify`].
    pub fn verify_fresh(&self, note: &[u8], now: Time) -> Result<WitnessedCheckpoint, PolicyError> {
        let (oldest, newest) = fresh_at(now);
        self.verify(note, oldest, newest)
    }

    /// The latest time such that cosignatures made then or later make a quorum, and the earliest such
    /// that those made then or earlier do.
    fn quorum_times(&self, mut made: Vec<(&str, Time)>) -> (Option<Time>, Option<Time>) {
        let reached = |made: &[(&str, Time)]| {
            let mut names = BTreeSet::new();
            made.iter()
                .find(|(name, _)| {
                    names.insert(*name);
                    self.quorum_met(&names)
                })
                .map(|(_, time)| *time)
        };
        made.sort_by_key(|(_, time)| *time);
        let earliest = reached(&made);
        made.reverse();
        (reached(&made), earliest)
    }

    fn missing(&self, seen: &BTreeMap<String, Time>, fresh: &[(&str, Time)]) -> String {
        let state = |witness: &PolicyWitness| {
            let name = &witness.name;
            match seen.get(name) {
                _ if fresh.iter().any(|(fresh, _)| fresh == name) => {
                    format!("{name} has cosigned")
                }
                Some(time) => format!("{name} cosigned at {time}, which does not count now"),
                None => format!("{name} has not cosigned"),
            }
        };
        let states: Vec<String> = self.witnesses.iter().map(state).collect();
        states.join(", ")
    }
}

/// The policy as a file.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url =
            |url: &Option<String>| url.as_ref().map_or(String::new(), |url| format!(" {url}"));
        for log in &self.logs {
            writeln!(f, "log {}{}", log.key, url(&log.url))?;
        }
        for witness in &self.witnesses {
            writeln!(
                f,
                "witness {} {}{}",
                witness.name,
                witness.key,
                url(&witness.url)
            )?;
        }
        for Group {
            name,
            threshold,
            members,
        } in &self.groups
        {
            writeln!(f, "group {name} {threshold} {}", members.join(" "))?;
        }
        writeln!(f, "quorum {}", self.quorum.as_deref().unwrap_or("none"))
    }
}

#[cfg(test)]
mod tests;
