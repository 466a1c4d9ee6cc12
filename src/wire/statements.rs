//! Bodies of the public API.

use serde::{Deserialize, Serialize};

use crate::digest::StatementId;
use crate::record::findings::Finding;
use crate::statement::words::Jurisdiction;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// Answer of `POST /api/v1/statements`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logged {
    pub id: StatementId,
    pub index: LeafIndex,
    pub logged_at: Time,
    /// The `.tlog-proof`; absent while the witnesses' quorum is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
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
