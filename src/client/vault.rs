//! A resident's calls to their vault, signed by the vault key (`docs/PROTOCOL.md`, section 9).
//!
//! Bodies of clips stream both ways; what comes back is worth what its digest says.

use std::io::Write;

use ed25519_dalek::SigningKey;
use serde::Serialize;

use super::{Client, ClientError, MAX_JSON};
use crate::digest::StatementId;
use crate::seal::commitment::Commitment;
use crate::seal::recipient::Recipient;
use crate::wire::statements::Logged;
use crate::wire::vault::{Complete, Disclose, Enrol, Enrolled, HexId, NoticeRecipient, Vault};

const JSON: (&str, &str) = ("content-type", "application/json");

/// The objects of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Header,
    Body,
    Metadata,
}

impl Part {
    /// Its name in paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Body => "body",
            Self::Metadata => "metadata",
        }
    }
}

impl Client {
    /// Enrols the vault of `key` with a code that the operator gave: a new one, or the one that this key had before
    /// the server was restored from a backup.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn enrol(
        &self,
        code: &str,
        vault: Option<HexId>,
        key: &SigningKey,
    ) -> Result<Enrolled, ClientError> {
        let body = Enrol {
            code: code.to_owned(),
            vault,
        };
        let path = "/vault/v1/enrol";
        let answer = self.signed("POST", path, &[JSON], &to_json(&body), key, MAX_JSON)?;
        self.json(path, &answer.body)
    }

    /// Tells the operator whom notices to this vault's owner are sealed for.
    ///
    /// # Errors
    /// See [`ClientError`]; a conflict if another was told before.
    pub fn put_notice_recipient(
        &self,
        recipient: Recipient,
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        let body = to_json(&NoticeRecipient { recipient });
        let path = "/vault/v1/notice-recipient";
        self.signed("PUT", path, &[JSON], &body, key, MAX_JSON)?;
        Ok(())
    }

    /// The vault of `key` and its clips; `None` if there is none.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn vault(&self, key: &SigningKey) -> Result<Option<Vault>, ClientError> {
        let path = "/vault/v1/vault";
        match self.signed("GET", path, &[], &[], key, 16 * MAX_JSON) {
            Ok(answer) => self.json(path, &answer.body).map(Some),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores a small part of a clip.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn put_part(
        &self,
        clip: HexId,
        part: Part,
        bytes: &[u8],
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        let path = part_path(clip, part);
        self.signed("PUT", &path, &[], bytes, key, MAX_JSON)?;
        Ok(())
    }

    /// Completes a clip: its parts are there, and these commitments join the next batch. None for a clip that was
    /// complete before and whose commitments a batch in the log has.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn complete(
        &self,
        clip: HexId,
        commitments: &[Commitment],
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        let body = to_json(&Complete {
            commitments: commitments.to_vec(),
        });
        let path = clip_path(clip);
        self.signed("POST", &path, &[JSON], &body, key, MAX_JSON)?;
        Ok(())
    }

    /// A small part of a clip, of at most `limit` bytes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn part(
        &self,
        clip: HexId,
        part: Part,
        limit: u64,
        key: &SigningKey,
    ) -> Result<Vec<u8>, ClientError> {
        let path = part_path(clip, part);
        Ok(self.signed("GET", &path, &[], &[], key, limit)?.body)
    }

    /// Writes the first `length` bytes of a clip's stored body to `output`.
    ///
    /// # Errors
    /// [`ClientError::Transport`] also if it ends before that, or `output` fails.
    pub fn body(
        &self,
        clip: HexId,
        length: u64,
        mut output: &mut dyn Write,
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        self.download_first(&part_path(clip, Part::Body), key, length, &mut output)
    }

    /// Deletes a clip.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn delete_clip(&self, clip: HexId, key: &SigningKey) -> Result<(), ClientError> {
        self.signed("DELETE", &clip_path(clip), &[], &[], key, MAX_JSON)?;
        Ok(())
    }

    /// Logs a disclosure of clips of this vault.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with the reason for a refusal.
    pub fn disclose(&self, body: &Disclose, key: &SigningKey) -> Result<Logged, ClientError> {
        let path = "/vault/v1/disclosures";
        let answer = self.signed("POST", path, &[JSON], &to_json(body), key, MAX_JSON)?;
        self.json(path, &answer.body)
    }

    /// Hands over the re-wrapped header of the disclosure's clip `n`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn hand_over(
        &self,
        disclosure: &StatementId,
        n: usize,
        header: &[u8],
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        let path = format!("/vault/v1/disclosures/{disclosure}/headers/{n}");
        self.signed("PUT", &path, &[], header, key, MAX_JSON)?;
        Ok(())
    }

    /// Hands over the note of the disclosure.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn hand_over_note(
        &self,
        disclosure: &StatementId,
        note: &[u8],
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        let path = format!("/vault/v1/disclosures/{disclosure}/note");
        self.signed("PUT", &path, &[], note, key, MAX_JSON)?;
        Ok(())
    }
}

fn clip_path(clip: HexId) -> String {
    format!("/vault/v1/clips/{clip}")
}

pub(super) fn part_path(clip: HexId, part: Part) -> String {
    format!("{}/{}", clip_path(clip), part.name())
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("own bodies serialise")
}
