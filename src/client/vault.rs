//! A resident's calls to their vault, signed by the vault key (`docs/PROTOCOL.md`, section 9).
//!
//! Bodies of clips stream both ways; what comes back is worth what its digest says.

use std::cell::Cell;
use std::io::{Read, Write};

use ed25519_dalek::SigningKey;
use serde::Serialize;

use super::patience::patiently_while;
use super::{Client, ClientError, EXPECT, MAX_JSON, transfer_time};
use crate::digest::{Digest, StatementId};
use crate::seal::commitment::{Commitment, UPLOAD_SLOTS};
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
    /// Enrols the vault of `key` with a code that the operator gave.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn enrol(&self, code: &str, key: &SigningKey) -> Result<Enrolled, ClientError> {
        let body = Enrol {
            code: code.to_owned(),
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

    /// Stores a clip's body: `length` bytes of `input`, which have this SHA-256.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn put_body(
        &self,
        clip: HexId,
        input: &mut dyn Read,
        length: u64,
        sha256: &Digest,
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        let path = part_path(clip, Part::Body);
        let length_text = length.to_string();
        let headers = [("content-length", length_text.as_str()), EXPECT];
        // The server refuses before the first byte of the body is sent (`Expect`): once that has been read,
        // the call cannot be repeated.
        let untouched = Cell::new(true);
        let mut input = Watched {
            input,
            untouched: &untouched,
        };
        let sent = patiently_while(
            || untouched.get(),
            || {
                let request = self.signed_request("PUT", &path, &headers, sha256.as_bytes(), key);
                let request = request
                    .body(ureq::SendBody::from_reader(&mut input))
                    .expect("own headers are well formed");
                let request = self.agent.configure_request(request);
                let time = Some(transfer_time(length));
                self.agent.run(request.timeout_global(time).build())
            },
        );
        self.answer(&path, sent, MAX_JSON)?;
        Ok(())
    }

    /// Completes a clip: its parts are there, and these commitments join the next batch.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn complete(
        &self,
        clip: HexId,
        commitments: &[Commitment; UPLOAD_SLOTS],
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
        output: &mut dyn Write,
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        let path = part_path(clip, Part::Body);
        let empty = Digest::of([]);
        let request = || self.signed_request("GET", &path, &[], empty.as_bytes(), key);
        let mut response = self.begin(&path, request, transfer_time(length))?;
        let url = self.base.join(&path);
        let failed = |why: String| ClientError::transport(&url, why);
        if response.status() != 200 {
            return Err(super::refusal(url.clone(), &mut response, MAX_JSON));
        }
        let mut reader = response.body_mut().as_reader().take(length);
        match std::io::copy(&mut reader, output) {
            Ok(read) if read == length => Ok(()),
            Ok(read) => Err(failed(format!("it ended after {read} of {length} bytes"))),
            Err(error) => Err(failed(error.to_string())),
        }
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
}

/// A reader that notes whether anything was asked of it.
struct Watched<'a> {
    input: &'a mut dyn Read,
    untouched: &'a Cell<bool>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.untouched.set(false);
        self.input.read(buffer)
    }
}

fn clip_path(clip: HexId) -> String {
    format!("/vault/v1/clips/{clip}")
}

fn part_path(clip: HexId, part: Part) -> String {
    format!("{}/{}", clip_path(clip), part.name())
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("own bodies serialise")
}
