//! `annotation`: what a party has to say about a statement in the log.
//!
//! Nothing in a log changes; whoever has something to correct, dispute or add says so beside it. A
//! report: it changes no state, and readers see who says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::disclosure::short;
use crate::digest::StatementId;
use crate::statement::facts::{Change, Facts};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::Entry;
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Role, codes};

/// The most attachments of one annotation.
const MAX_ATTACHMENTS: usize = 8;

/// A remark on a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Annotation {
    /// The statement that it is about.
    pub about: StatementId,
    /// What kind of remark it is.
    pub remark: Remark,
    /// Texts and evidence: at most 8 attachments.
    pub attachments: Vec<SealDigest>,
}

codes! {
    /// What kind of remark.
    Remark {
        /// Something that the statement does not say.
        Claim = "claim",
        /// It should have said otherwise.
        Correction = "correction",
        /// It is so, says another than its author.
        Countersigned = "countersigned",
        /// It is not so.
        Dispute = "dispute",
        /// To another annotation.
        Reply = "reply",
    }
}

impl Kind for Annotation {
    const NAME: &'static str = "annotation";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let issuer = entry.issuer()?;
        entry.signed_by_party(issuer, &[Role::Admin, Role::Officer])?;
        entry.reference("/about", &self.about)?;
        if self.attachments.len() > MAX_ATTACHMENTS {
            let detail = format!("at most {MAX_ATTACHMENTS}");
            return Err(Refusal::new(Reason::BadValue, "/attachments", detail).into());
        }
        entry.enter_attachments(Kind::attachments(self))
    }

    fn plain(&self, who: &str) -> String {
        let about = short(&self.about);
        let says = match self.remark {
            Remark::Claim => format!("claims something about {about}"),
            Remark::Correction => format!("corrects {about}"),
            Remark::Countersigned => format!("countersigns {about}"),
            Remark::Dispute => format!("disputes {about}"),
            Remark::Reply => format!("replies to {about}"),
        };
        match self.attachments.len() {
            0 => format!("{who} {says}."),
            1 => format!("{who} {says}, with 1 attachment."),
            n => format!("{who} {says}, with {n} attachments."),
        }
    }

    fn attachments(&self) -> Vec<(String, SealDigest)> {
        let all = self.attachments.iter().enumerate();
        all.map(|(i, digest)| (format!("/attachments/{i}"), *digest))
            .collect()
    }

    fn example() -> Self {
        Self {
            about: StatementId::from_bytes([15; 32]),
            remark: Remark::Dispute,
            attachments: vec![SealDigest::from_bytes([16; 32])],
        }
    }
}
