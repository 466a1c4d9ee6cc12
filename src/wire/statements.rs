//! Bodies of the public API.

use serde::{Deserialize, Serialize};

use crate::digest::StatementId;
use crate::record::findings::Finding;
use crate::statement::words::Jurisdiction;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;
use crate::wire::problem::Problem;
use crate::wire::signature::SignatureHeaders;

/// Answer of `POST /api/v1/statements`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logged {
    pub id: StatementId,
    pub index: LeafIndex,
    pub logged_at: Time,
    /// The `.tlog-proof`; absent while the witnesses' quorum is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// Whether it was in the log before this call.
    #[serde(default, skip_serializing_if = "is_false")]
    pub known: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// One line of the answer of `POST /api/v1/statements` to JSON lines: the answer to one of them.
///
/// Either `id`, `index` and `logged_at` are there, or `problem`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineAnswer {
    /// The number of the line that it answers, from 1.
    pub line: u64,
    /// The HTTP status that the line would have got in a call of its own.
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<StatementId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<LeafIndex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logged_at: Option<Time>,
    /// The `.tlog-proof`, if the call asked for proofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// Whether it was in the log before this call.
    #[serde(default, skip_serializing_if = "is_false")]
    pub known: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Seconds after which the same line may be sent again, if it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The signature of a refusal, over `problem` in its RFC 8785 form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignatureHeaders>,
}

impl LineAnswer {
    /// The answer to a line that was not logged.
    pub fn refused(line: u64, problem: Problem) -> Self {
        Self {
            line,
            status: problem.status,
            id: None,
            index: None,
            logged_at: None,
            proof: None,
            known: false,
            problem: Some(problem),
            retry_after: None,
            signed: None,
        }
    }

    /// The answer to a line that was logged.
    pub fn logged(line: u64, status: u16, logged: Logged) -> Self {
        Self {
            line,
            status,
            id: Some(logged.id),
            index: Some(logged.index),
            logged_at: Some(logged.logged_at),
            proof: logged.proof,
            known: logged.known,
            problem: None,
            retry_after: None,
            signed: None,
        }
    }

    /// What was logged, or why it was not; `None` if the answer says neither.
    pub fn outcome(self) -> Option<Result<Logged, Problem>> {
        if let Some(problem) = self.problem {
            return Some(Err(problem));
        }
        Some(Ok(Logged {
            id: self.id?,
            index: self.index?,
            logged_at: self.logged_at?,
            proof: self.proof,
            known: self.known,
        }))
    }
}

/// Answer of `GET /api/v1/statements/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub id: StatementId,
    pub index: LeafIndex,
    pub logged_at: Time,
    /// The envelope.
    pub statement: serde_json::Value,
    /// What it says, for people.
    pub plain: String,
    /// What does not fit together about it.
    pub findings: Vec<Finding>,
    /// How many entries the findings rest on: all, but for a server that has just begun to read a
    /// long log.
    pub findings_size: u64,
}

/// Answer of `GET /api/v1/findings`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// How many entries they rest on.
    pub size: u64,
    /// The time under which they hold: the checkpoint's.
    pub at: Option<Time>,
    pub findings: Vec<Finding>,
}

/// Answer of `GET /bundles/{jurisdiction}`: all open requests' attachments, for every device alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    pub jurisdiction: Jurisdiction,
    /// Ascending by index.
    pub requests: Vec<BundledRequest>,
}

/// The attachments of one request; answer of `GET /notices/{id}`: the messages of one notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledRequest {
    pub id: StatementId,
    pub attachments: Vec<BundledAttachment>,
}

/// An attachment; its digest is that of its opening.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledAttachment {
    /// The disclosure `[salt,"attachment",…]` in base64url.
    pub opening: String,
    /// The bytes in standard base64.
    pub data: String,
}
