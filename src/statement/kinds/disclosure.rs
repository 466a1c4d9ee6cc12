//! `disclosure`: a resident consents to one request, for the clips named, under a one-time key.
//!
//! It says which commitments (made before, anchored in a batch), what the re-wrapped headers will
//! be, which kinds of data, for whom and until when. It hands over nothing: that waits for the
//! agency's `collection`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::digest::{Digest, StatementId};
use crate::seal::batch;
use crate::seal::commitment::Commitment;
use crate::seal::recipient::Recipient;
use crate::statement::facts::{Change, DisclosureFact, Fact, FactKey, Facts, FactsExt, KeyFact};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, outside_limits};
use crate::statement::words::{DataKind, ascending};
use crate::time::Time;

/// The most clips that one disclosure names.
pub const MAX_CLIPS: usize = 16;

/// A consent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    /// The `access-request` consented to.
    pub request: StatementId,
    /// 1 to 16.
    pub clips: Vec<DisclosedClip>,
    /// Kinds of data given: ascending, each once.
    pub gives: Vec<DataKind>,
    /// The request's recipient.
    pub recipient: Recipient,
    /// Not to be collected from then on; cut to the hour.
    #[schemars(schema_with = "crate::time::to_the_hour")]
    pub expires: Time,
}

/// A clip by one of its commitments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisclosedClip {
    /// The `commitment-batch` that it stands in.
    pub batch: StatementId,
    /// One of the commitments to the clip, in no other disclosure.
    pub commitment: Commitment,
    /// SHA-256 of the age header, re-wrapped for the recipient alone.
    pub header: Digest,
    /// Its place in that batch, from 0.
    pub index: u32,
    /// The hashes from its sibling to the root's child.
    pub path: Vec<Digest>,
}

impl Kind for Disclosure {
    const NAME: &'static str = "disclosure";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let key = entry.signed_by_one_time_key()?;
        entry.unseen_key("/issuer_key", &key)?;
        let (request_index, request) =
            entry.refer("/request", &self.request, "access-request", F::request)?;
        if entry.logged_at >= request.deadline {
            return Err(Refusal::new(
                Reason::RequestClosed,
                "/request",
                format!("answers counted until {}", request.deadline),
            )
            .into());
        }
        if let Some(at) = request.closed {
            let detail = format!("entry {at} closed it");
            return Err(Refusal::new(Reason::RequestClosed, "/request", detail).into());
        }
        entry.in_standing("/request", &request.agency)?;
        if self.recipient != request.recipient {
            return Err(Refusal::new(
                Reason::RecipientMismatch,
                "/recipient",
                format!("the request's recipient is {}", request.recipient),
            )
            .into());
        }
        self.check_form(entry)?;

        let mut change = Change::new();
        for (i, clip) in self.clips.iter().enumerate() {
            let commitment = FactKey::Commitment(clip.commitment);
            let spent = entry
                .facts
                .commitment(&clip.commitment)
                .map_err(Verdict::Facts)?;
            if spent.is_some() || change.iter().any(|(other, _)| *other == commitment) {
                return Err(Refusal::new(
                    Reason::CommitmentSpent,
                    format!("/clips/{i}/commitment"),
                    "a commitment serves one disclosure: use another of the clip's",
                )
                .into());
            }
            clip.check_path(entry, i)?;
            change.push((commitment, Fact::Commitment(entry.index)));
        }
        change.push((
            FactKey::Key(key),
            Fact::Key(KeyFact {
                party: None,
                role: None,
                label: None,
                added: entry.index,
                usable_from: entry.logged_at,
                revoked: None,
            }),
        ));
        change.push((
            FactKey::Disclosure(entry.index),
            Fact::Disclosure(DisclosureFact {
                request: request_index,
                key,
                expires: self.expires,
                withdrawn: None,
                collected: None,
            }),
        ));
        Ok(change)
    }

    fn plain(&self, _who: &str) -> String {
        let gives: Vec<&str> = self.gives.iter().map(|kind| kind.code()).collect();
        format!(
            "A resident consents to request {}: {} clip(s), {}, to be collected before {}.",
            short(&self.request),
            self.clips.len(),
            gives.join(", "),
            self.expires
        )
    }

    fn example() -> Self {
        Self {
            request: StatementId::from_bytes([6; 32]),
            clips: vec![DisclosedClip {
                commitment: Commitment::from_bytes([7; 32]),
                batch: StatementId::from_bytes([8; 32]),
                index: 17,
                path: (0..6).map(|n| Digest::from_bytes([n; 32])).collect(),
                header: Digest::from_bytes([9; 32]),
            }],
            gives: vec![DataKind::Time, DataKind::Video],
            recipient: super::access_request::AccessRequest::example().recipient,
            expires: "2019-08-14T14:00:00Z".parse().expect("a time"),
        }
    }
}

impl Disclosure {
    fn check_form<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<(), Verdict<F::Error>> {
        let refuse = |member, detail| Err(Refusal::new(Reason::BadValue, member, detail).into());
        if !(1..=MAX_CLIPS).contains(&self.clips.len()) {
            return refuse("/clips", "1 to 16 clips");
        }
        ascending("/gives", &self.gives, 1..=5)?;
        if self.expires != self.expires.cut_to_hour() || self.expires <= entry.logged_at {
            return refuse("/expires", "a time to come, cut to the hour");
        }
        let days = entry.limits()?.1.retention_days;
        let latest = entry.logged_at.plus_seconds(i64::from(days) * 86_400);
        if self.expires > latest {
            return Err(outside_limits("/expires", self.expires, latest).into());
        }
        Ok(())
    }
}

impl DisclosedClip {
    fn check_path<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        i: usize,
    ) -> Result<(), Verdict<F::Error>> {
        let (_, batch) = entry.refer(
            &format!("/clips/{i}/batch"),
            &self.batch,
            "commitment-batch",
            F::batch,
        )?;
        let index = u64::from(self.index);
        if batch::verify(
            &batch.root,
            batch.size.into(),
            index,
            &self.commitment,
            &self.path,
        )
        .is_ok()
        {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::CommitmentNotInBatch,
            format!("/clips/{i}/path"),
            "the path does not lead from the commitment at that index to the batch's root",
        )
        .into())
    }
}

/// The first digits of an id, enough for people to tell ids apart.
pub(crate) fn short(id: &StatementId) -> String {
    id.to_string()[..12].to_owned()
}
