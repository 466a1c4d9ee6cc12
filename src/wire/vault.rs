//! Bodies of the vault's API.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::encoding::{self, EncodingError};
use crate::seal::commitment::Commitment;
use crate::seal::recipient::Recipient;

/// The id of a vault or a clip: 16 random bytes as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HexId([u8; 16]);

impl HexId {
    /// From its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encoding::hex(self.0))
    }
}

impl FromStr for HexId {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, EncodingError> {
        encoding::exact(&encoding::from_hex(text)?).map(Self)
    }
}

crate::encoding::serde_as_text!(HexId);

/// `POST /vault/v1/enrol`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// What the operator gave the resident; it serves once.
    pub code: String,
    /// The vault that this key had before the server was restored from a backup; none for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<HexId>,
}

/// Answer of `POST /vault/v1/enrol`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Enrolled {
    pub vault: HexId,
    pub quota_bytes: u64,
    pub quota_clips: u64,
}

/// `PUT /vault/v1/notice-recipient`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeRecipient {
    /// Whom notices to this vault's owner are sealed for.
    pub recipient: Recipient,
}

/// Answer of `GET /vault/v1/vault`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vault {
    pub vault: HexId,
    pub quota_bytes: u64,
    pub used_bytes: u64,
    pub quota_clips: u64,
    pub clips: Vec<StoredClip>,
}

/// A clip of a vault, sizes in bytes as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredClip {
    pub clip: HexId,
    pub header_size: u64,
    pub body_size: u64,
    pub metadata_size: u64,
}

/// `POST /vault/v1/clips/{clip}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complete {
    /// Eight, ascending; none for a clip whose commitments a batch in the log has.
    pub commitments: Vec<Commitment>,
}

/// `POST /vault/v1/disclosures`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclose {
    /// The envelope.
    pub statement: Box<serde_json::value::RawValue>,
    /// One for each clip of the statement, in its order.
    pub openings: Vec<ShownOpening>,
}

/// What the server is shown of a clip that is disclosed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownOpening {
    pub clip: HexId,
    /// The opening of the clip's commitment, in base64url.
    pub opening: String,
    /// The length of the body without its padding, in bytes.
    pub body_length: u64,
}
