//! Problem details (RFC 9457): why a call did not succeed, for programs and for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::encoding::printable;
use crate::statement::refusal::Reason;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a call did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `/problems/<code>`; codes are stable.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    pub detail: String,
    /// JSON Pointer of the member at fault, or the name of the header or path parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// What would be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

impl Problem {
    /// The reason for which the statement itself was refused; none for what ails the call.
    pub fn refusal(&self) -> Option<Reason> {
        Reason::of_code(self.kind.strip_prefix("/problems/")?)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The server's words, on a terminal.
        write!(f, "{}", printable(&self.title))?;
        if !self.detail.is_empty() {
            write!(f, ": {}", printable(&self.detail))?;
        }
        if let Some(member) = self.member.as_deref().filter(|m| !m.is_empty()) {
            write!(f, " (at {})", printable(member))?;
        }
        if let Some(accepted) = &self.accepted {
            write!(f, "; accepted: {}", printable(accepted))?;
        }
        write!(f, " [{} {}]", self.status, printable(&self.kind))
    }
}
