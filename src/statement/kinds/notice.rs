//! `notice`: those concerned by a legal demand were told, or will be told later.
//!
//! Nobody is named: what is sent is an attachment that only the owner of the footage can open (an
//! age file for the recipient that its device gave the operator), and every device tries them all.
//! Messages that nobody can open may be among them, so that the log does not say how many were told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::disclosure::short;
use crate::digest::StatementId;
use crate::statement::facts::{Change, Facts};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Day, DelayGround, Role, ascending, codes, listed};

/// The most messages of one statement.
pub const MAX_MESSAGES: usize = 16;

/// Word to those whom a demand is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The `legal-demand` that they are told of.
    pub demand: StatementId,
    /// Whether they were told.
    pub state: NoticeState,
    /// Attachments, an age file each, for one owner or for nobody: 1 to 16 where `sent`, none where
    /// `delayed`.
    pub messages: Vec<SealDigest>,
    /// The day to which it is put off; for `delayed` alone, and always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Day>,
    /// Why it is put off: 1 to 5, ascending; none where `sent`.
    pub grounds: Vec<DelayGround>,
}

codes! {
    /// Whether people were told.
    NoticeState {
        Delayed = "delayed",
        Sent = "sent",
    }
}

impl Kind for Notice {
    const NAME: &'static str = "notice";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let issuer = entry.issuer()?;
        entry.signed_by_party(issuer, &[Role::Admin, Role::Officer])?;
        let (_, demand) = entry.told_demand("/demand", &self.demand)?;
        if *issuer != entry.operator()? && *issuer != demand.upon {
            return Err(wrong_author(format!("{}, or the operator", demand.upon)).into());
        }
        self.check_form()?;
        entry.enter_attachments(self.attachments())
    }

    fn plain(&self, who: &str) -> String {
        let demand = short(&self.demand);
        match &self.until {
            None => {
                let count = self.messages.len();
                format!("{who} tells those whom demand {demand} is about, at most {count}.")
            }
            Some(until) => {
                let grounds = listed(&self.grounds);
                format!("{who} tells nobody of demand {demand} until {until}, because: {grounds}.")
            }
        }
    }

    fn attachments(&self) -> Vec<(String, SealDigest)> {
        let messages = self.messages.iter().enumerate();
        messages
            .map(|(i, digest)| (format!("/messages/{i}"), *digest))
            .collect()
    }

    fn example() -> Self {
        Self {
            demand: StatementId::from_bytes([12; 32]),
            state: NoticeState::Delayed,
            messages: Vec::new(),
            until: Some("2023-03-05".parse().expect("a day")),
            grounds: vec![DelayGround::Jeopardy],
        }
    }
}

impl Notice {
    fn check_form(&self) -> Result<(), Refusal> {
        let refuse = |member, detail| Err(Refusal::new(Reason::BadValue, member, detail));
        let delayed = self.state == NoticeState::Delayed;
        if delayed != self.until.is_some() {
            return refuse("/until", "for a notice that is delayed, and only there");
        }
        ascending(
            "/grounds",
            &self.grounds,
            if delayed { 1..=5 } else { 0..=0 },
        )?;
        if delayed != self.messages.is_empty() || self.messages.len() > MAX_MESSAGES {
            return refuse("/messages", "1 to 16 where sent, none where delayed");
        }
        Ok(())
    }
}
