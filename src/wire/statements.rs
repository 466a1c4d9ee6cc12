//! Bodies of the public API.

use serde::{Deserialize, Serialize};

use crate::digest::StatementId;
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
}

/// Answer of `GET /bundles/{jurisdiction}`: all open requests' attachments, for every device alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    pub jurisdiction: Jurisdiction,
    /// Ascending by index.
    pub requests: Vec<BundledRequest>,
}

/// The attachments of one request.
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
