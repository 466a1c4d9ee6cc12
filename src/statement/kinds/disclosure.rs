//! `disclosure`: a resident consents to one request, for the clips named, under a one-time key; or
//! gives a clip to the public.
//!
//! It says which commitments (made before, anchored in a batch), what the re-wrapped headers will
//! be, which kinds of data, how many minutes, for whom and until when. It hands over nothing: that
//! waits for the agency's `collection`, or for the disclosure itself to be seen in the log.
//!
//! The video is always given. Other kinds stand in one note, an age file for the recipient, and the
//! log has the file's digest: the text's own could be guessed.
//!
//! A public one tells nobody who gives: it answers no request, has one clip (two would be known to
//! be one person's), and gives the video alone, without a note.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::digest::{Digest, StatementId};
use crate::plain::count;
use crate::seal::batch;
use crate::seal::commitment::Commitment;
use crate::seal::recipient::{Recipient, RecipientError};
use crate::statement::facts::{Change, DisclosureFact, Fact, FactKey, Facts, FactsExt, KeyFact};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, outside_limits};
use crate::statement::words::{DataKind, MinutesBand, ascending, listed};
use crate::time::{SECS_PER_DAY, Time};
use crate::tlog::tree::LeafIndex;

/// The most clips that one disclosure names.
pub const MAX_CLIPS: usize = 16;
/// Minutes that a clip may reach beyond the window asked about: more is a finding, and the owner's
/// device gives such a clip only if it is named.
pub const BESIDE_WINDOW: u64 = 30;

/// A consent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    /// The request that is answered; absent if, and only if, it gives to the public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<StatementId>,
    /// 1 to 16; 1 for the public.
    pub clips: Vec<DisclosedClip>,
    /// Kinds of data given: ascending, each once, `video` among them. Only `video` for the public.
    #[schemars(extend("contains" = {"const": "video"}))]
    pub gives: Vec<DataKind>,
    /// How long the clips are together, in minutes. Absent if, and only if, it gives to the public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<MinutesBand>,
    /// SHA-256 of the note for the recipient, an age file with what `gives` names besides `video`.
    /// Absent if, and only if, `gives` names nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Digest>,
    /// The request's recipient, or `public`.
    pub recipient: Audience,
    /// Not to be collected, and not served to the public, from then on; cut to the hour.
    #[schemars(schema_with = "crate::time::to_the_hour")]
    pub expires: Time,
}

/// Whom a disclosure gives to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Whoever made the request, by its recipient.
    Agency(Recipient),
    /// Everybody: headers are wrapped for [`Recipient::PUBLIC`], whose identity everybody has.
    Public,
}

impl Audience {
    const PUBLIC: &'static str = "public";

    /// Whom headers are wrapped for.
    pub fn recipient(self) -> Recipient {
        match self {
            Self::Agency(recipient) => recipient,
            Self::Public => Recipient::PUBLIC,
        }
    }
}

impl FromStr for Audience {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        match text {
            Self::PUBLIC => Ok(Self::Public),
            text => text.parse().map(Self::Agency),
        }
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agency(recipient) => recipient.fmt(f),
            Self::Public => f.write_str(Self::PUBLIC),
        }
    }
}

crate::encoding::serde_as_text!(Audience);

impl JsonSchema for Audience {
    fn schema_name() -> Cow<'static, str> {
        "Audience".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(public|age1[02-9ac-hj-np-z]{58})$",
            "description": "A native age X25519 recipient, or everybody."
        })
    }
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
        let request = match self.recipient {
            Audience::Agency(recipient) => Some(self.check_request(entry, recipient)?),
            Audience::Public => {
                self.check_public()?;
                None
            }
        };
        self.check_form(entry)?;
        if request.is_some() {
            self.check_members_for_agency()?;
        }

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
                request,
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
        let (gives, expires) = (gives.join(", "), self.expires);
        match &self.request {
            Some(request) => {
                let minutes = self.minutes.map(|band| format!(", {band} minutes in all"));
                format!(
                    "A resident consents to request {}: {}{}, {gives}, to be collected before \
                     {expires}.",
                    short(request),
                    count(self.clips.len(), "clip"),
                    minutes.unwrap_or_default(),
                )
            }
            None => format!("A resident gives a clip to everybody: {gives}, until {expires}."),
        }
    }

    fn example() -> Self {
        Self {
            request: Some(StatementId::from_bytes([6; 32])),
            clips: vec![DisclosedClip {
                commitment: Commitment::from_bytes([7; 32]),
                batch: StatementId::from_bytes([8; 32]),
                index: 17,
                path: (0..6).map(|n| Digest::from_bytes([n; 32])).collect(),
                header: Digest::from_bytes([9; 32]),
            }],
            gives: vec![DataKind::Time, DataKind::Video],
            minutes: Some(MinutesBand::UpTo15),
            note: Some(Digest::from_bytes([10; 32])),
            recipient: Audience::Agency(super::access_request::AccessRequest::example().recipient),
            expires: "2019-08-14T14:00:00Z".parse().expect("a time"),
        }
    }
}

impl Disclosure {
    /// The kinds of data that the note tells: all that are given but the video.
    pub fn told(&self) -> Vec<DataKind> {
        let mut told = self.gives.clone();
        told.retain(|kind| *kind != DataKind::Video);
        told
    }

    /// The request that it answers: its index.
    fn check_request<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        recipient: Recipient,
    ) -> Result<LeafIndex, Verdict<F::Error>> {
        let refuse = |reason, member, detail| Err(Refusal::new(reason, member, detail).into());
        let Some(request) = &self.request else {
            let detail = "a request, or the recipient `public`".to_owned();
            return refuse(Reason::MissingMember, "/request", detail);
        };
        let (index, request) = entry.refer("/request", request, "access-request", F::request)?;
        if entry.logged_at >= request.deadline {
            let detail = format!("answers counted until {}", request.deadline);
            return refuse(Reason::RequestClosed, "/request", detail);
        }
        if let Some(at) = request.closed {
            let detail = format!("entry {at} closed it");
            return refuse(Reason::RequestClosed, "/request", detail);
        }
        entry.in_standing("/request", &request.agency)?;
        if recipient != request.recipient {
            let detail = format!("the request's recipient is {}", request.recipient);
            return refuse(Reason::RecipientMismatch, "/recipient", detail);
        }
        Ok(index)
    }

    /// What goes to everybody ties itself to nobody.
    fn check_public(&self) -> Result<(), Refusal> {
        let refuse = |reason, member, detail: String| Err(Refusal::new(reason, member, detail));
        if self.request.is_some() {
            let detail = "what is given to the public answers no request: leave it out".to_owned();
            return refuse(Reason::BadValue, "/request", detail);
        }
        if self.clips.len() > 1 {
            let detail = "one clip: several would be known to be one person's".to_owned();
            return refuse(Reason::TellsWho, "/clips", detail);
        }
        if let Some(kind) = self.told().first() {
            let detail = format!("{kind} does not go to the public: the video alone does");
            return refuse(Reason::TellsWho, "/gives", detail);
        }
        if self.note.is_some() {
            let detail = "the public gets no note: leave it out".to_owned();
            return refuse(Reason::TellsWho, "/note", detail);
        }
        if self.minutes.is_some() {
            let detail = "the public is told no length: leave it out".to_owned();
            return refuse(Reason::TellsWho, "/minutes", detail);
        }
        Ok(())
    }

    /// A note if there is something to tell besides the video, and the band of minutes.
    fn check_members_for_agency(&self) -> Result<(), Refusal> {
        let refuse = |reason, member, detail: String| Err(Refusal::new(reason, member, detail));
        match (self.told().as_slice(), self.note) {
            ([], Some(_)) => {
                let detail = "`gives` names the video alone, which has no note: leave it out";
                return refuse(Reason::BadValue, "/note", detail.to_owned());
            }
            (told @ [_, ..], None) => {
                let detail = format!("the SHA-256 of the note that tells {}", listed(told));
                return refuse(Reason::MissingMember, "/note", detail);
            }
            _ => {}
        }
        if self.minutes.is_none() {
            let detail = "how many minutes the clips are long, as a band".to_owned();
            return refuse(Reason::MissingMember, "/minutes", detail);
        }
        Ok(())
    }

    fn check_form<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<(), Verdict<F::Error>> {
        let refuse = |member, detail| Err(Refusal::new(Reason::BadValue, member, detail).into());
        if !(1..=MAX_CLIPS).contains(&self.clips.len()) {
            return refuse("/clips", "1 to 16 clips");
        }
        ascending("/gives", &self.gives, 1..=5)?;
        if !self.gives.contains(&DataKind::Video) {
            return refuse(
                "/gives",
                "`video`, which is always given, and kinds besides it",
            );
        }
        if self.expires != self.expires.cut_to_hour() || self.expires <= entry.logged_at {
            return refuse("/expires", "a time to come, cut to the hour");
        }
        let days = entry.limits()?.1.retention_days;
        let latest = entry.time_after("/expires", i64::from(days).saturating_mul(SECS_PER_DAY))?;
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
    id.to_string().chars().take(12).collect()
}
