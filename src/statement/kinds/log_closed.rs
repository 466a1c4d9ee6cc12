//! `log-closed`: the operator ends the log. It is the log's last statement, for good.
//!
//! The keys and the origin of a log never change, so a log whose key is lost or whose operator is
//! done ends here; what goes on elsewhere is another log, which may be named with its keys. Whatever
//! stands after this entry is forbidden (see [`crate::statement::rules`]), so a key stolen later
//! adds nothing that counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::statement::facts::{Change, ClosedFact, Fact, FactKey, Facts, Whole};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::words::{Role, codes};
use crate::tlog::checkpoint::Origin;
use crate::tlog::note::{NoteKey, VerifierKey};

/// The most keys that a successor is named with.
const MAX_KEYS: usize = 4;

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogClosed {
    /// Why the log ends.
    pub reason: ClosingReason,
    /// The log in which things go on. A log that has moved names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Successor>,
}

/// Another log, as a trust file names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Successor {
    /// The name of the other log, for its life.
    pub origin: Origin,
    /// Its keys, 1 to 4, each named like its origin.
    pub vkeys: Vec<VerifierKey>,
}

codes! {
    /// Why a log ends.
    ClosingReason {
        /// A key of the log is in other hands, or may be.
        Compromised = "compromised",
        /// There is no more need of it.
        Discontinued = "discontinued",
        /// It goes on as another log.
        Moved = "moved",
        /// A court or an authority ordered it.
        Ordered = "ordered",
    }
}

impl ClosingReason {
    /// The reason in plain words.
    pub fn plain(self) -> &'static str {
        match self {
            Self::Compromised => "its key may be in other hands",
            Self::Discontinued => "it is discontinued",
            Self::Moved => "it has moved",
            Self::Ordered => "a court or an authority ordered it",
        }
    }
}

impl Kind for LogClosed {
    const NAME: &'static str = "log-closed";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let operator = entry.operator()?;
        if *entry.issuer()? != operator {
            return Err(wrong_author(format!("the operator, {operator}")).into());
        }
        entry.signed_by_party(&operator, &[Role::Admin])?;
        match &self.successor {
            Some(successor) => successor.check(&entry.signed.head.log)?,
            None if self.reason == ClosingReason::Moved => {
                let detail = "a log that has moved names where to";
                return Err(Refusal::new(Reason::BadValue, "/successor", detail).into());
            }
            None => {}
        }
        let fact = ClosedFact {
            index: entry.index,
            logged_at: entry.logged_at,
            reason: self.reason,
            successor: self.successor.clone(),
        };
        Ok(vec![(FactKey::Closed(Whole), Fact::Closed(fact))])
    }

    fn plain(&self, who: &str) -> String {
        let goes_on = match &self.successor {
            None => String::new(),
            Some(successor) => format!(" It goes on as {}.", successor.origin),
        };
        format!(
            "{who} closes this log for good: {}.{goes_on}",
            self.reason.plain()
        )
    }

    fn example() -> Self {
        let origin: Origin = "next.example/log".parse().expect("an origin");
        let key = NoteKey::Ed25519(super::key_change::example_key(4));
        Self {
            reason: ClosingReason::Moved,
            successor: Some(Successor {
                vkeys: vec![VerifierKey {
                    name: origin.to_key_name(),
                    key,
                }],
                origin,
            }),
        }
    }
}

impl Successor {
    /// Whether a trust file could be made of it, for another log than `log`.
    fn check(&self, log: &str) -> Result<(), Refusal> {
        let refuse = |member: String, detail| Err(Refusal::new(Reason::BadValue, member, detail));
        if self.origin.as_str() == log {
            return refuse("/successor/origin".to_owned(), "another log than this one");
        }
        if !(1..=MAX_KEYS).contains(&self.vkeys.len()) {
            return refuse("/successor/vkeys".to_owned(), "1 to 4 keys");
        }
        for (i, vkey) in self.vkeys.iter().enumerate() {
            let member = format!("/successor/vkeys/{i}");
            if vkey.name != self.origin.to_key_name() {
                return refuse(member, "a log's key is named like its origin");
            }
            if matches!(vkey.key, NoteKey::Ed25519Cosignature(_)) {
                return refuse(member, "a witness's key signs no log");
            }
            if self.vkeys.iter().take(i).any(|other| other == vkey) {
                return refuse(member, "named twice");
            }
        }
        Ok(())
    }
}
