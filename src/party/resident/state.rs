//! What a resident's device remembers, besides the phrase and the log: `resident.json`.
//!
//! Replaced whole, atomically and durably. It holds places and times, so it is as private as the
//! phrase. What the log says is asked of the log, not kept here.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ResidentError;
use super::notices::{DueNotice, KeptNotice, LostMessage};
use crate::digest::{Digest, StatementId};
use crate::seal::commitment::{CLIP_COMMITMENTS, Commitment, UPLOAD_SLOTS};
use crate::statement::scope::{Position, Scope};
use crate::statement::words::{Jurisdiction, Label, PartyId};
use crate::time::Time;
use crate::tlog::tree::LeafIndex;
use crate::wire::vault::HexId;

/// Everything the device remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The server's address.
    pub server: String,
    pub jurisdiction: Jurisdiction,
    pub vault: HexId,
    pub cameras: Vec<Camera>,
    pub clips: Vec<Clip>,
    /// Requests near an own camera, and what became of them here.
    pub requests: Vec<SeenRequest>,
    /// Requests of the jurisdiction that may still be open; they are judged at every sync.
    pub open: Vec<LeafIndex>,
    /// Requests that stand in the log against its rules, each with the rules' reason.
    pub forbidden: Vec<(LeafIndex, String)>,
    pub refusals: Vec<KeptRefusal>,
    pub gifts: Vec<Gift>,
    pub attacks: Vec<Attack>,
    /// Batches in the log whose commitments have not been fetched yet.
    pub batches_due: Vec<StatementId>,
    /// How many entries of the own copy of the log have been looked at.
    pub scanned: u64,
    /// The device is being restored from its phrase, and not everything has been found yet.
    pub restoring: bool,
    /// Requests that a lost device may have refused: batches that are due may hold the refusals.
    pub maybe_refused: Vec<StatementId>,
    /// The operator knows whom notices are sealed for.
    pub notice_recipient_told: bool,
    /// Notices, answers to demands, and orders to wait: what a notice is held against.
    pub compelled: Vec<LeafIndex>,
    /// Notices in the log whose messages have not all been tried yet.
    pub notices_due: Vec<DueNotice>,
    /// Messages for this resident, by the own key.
    pub notices: Vec<KeptNotice>,
    /// Messages of notices that were destroyed before this device could try them.
    pub notices_lost: Vec<LostMessage>,
}

/// An own camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    pub name: Label,
    #[serde(with = "position_text")]
    pub position: Position,
}

/// An own clip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clip {
    pub clip: HexId,
    pub camera: Camera,
    pub from: Time,
    pub until: Time,
    /// SHA-256 of the body without its padding.
    pub body_digest: Digest,
    /// In bytes, without the padding.
    pub body_length: u64,
    /// SHA-256 and length in bytes of what was sealed.
    pub sha256: Digest,
    pub size: u64,
    /// The clip's own commitments, by the number in their salts' names.
    pub commitments: [Commitment; CLIP_COMMITMENTS],
    /// What the upload carries until it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<[Commitment; UPLOAD_SLOTS]>,
    /// Where each commitment stands, once it is known.
    pub anchors: [Option<Anchor>; CLIP_COMMITMENTS],
}

impl Clip {
    /// Whether it was filmed, at least in part, where and when a scope asks.
    pub fn matches(&self, scope: &Scope) -> bool {
        scope.ring.contains(self.camera.position)
            && self.from < scope.until
            && scope.from < self.until
    }
}

/// A place in a batch, with the path to its root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    pub batch: StatementId,
    pub index: u32,
    pub path: Vec<Digest>,
}

/// A request that was judged genuine and asks about an own camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenRequest {
    pub request: StatementId,
    pub index: LeafIndex,
    pub agency: PartyId,
    pub deadline: Time,
    pub clips: Vec<HexId>,
}

/// A refusal: signed, kept, and known to nobody else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptRefusal {
    pub request: StatementId,
    /// The signed `decision`.
    pub envelope: serde_json::Value,
    pub commitment: Commitment,
    /// The clip whose upload carries the commitment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_by: Option<HexId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
}

/// An own `disclosure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gift {
    pub disclosure: StatementId,
    /// None for what is given to the public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<StatementId>,
    /// The signed `disclosure`.
    pub envelope: serde_json::Value,
    pub clips: Vec<GivenClip>,
    /// Its place in the own verified copy of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<LeafIndex>,
    /// When this device handed all headers over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<Time>,
}

impl Gift {
    /// Whether it was to give the same clip to the public as `logged` does.
    pub(super) fn publishes_of(&self, logged: &Self) -> bool {
        let same = |given: &GivenClip| given.clip.is_some_and(|clip| logged.gives(clip));
        self.request.is_none() && self.index.is_none() && self.clips.iter().any(same)
    }

    /// Whether a clip is among those given.
    pub fn gives(&self, clip: HexId) -> bool {
        self.clips.iter().any(|given| given.clip == Some(clip))
    }
}

/// A clip of a disclosure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenClip {
    /// None if this device does not have the clip any more.
    pub clip: Option<HexId>,
    /// The re-wrapped header in base64 until it is handed over. A device restored from its phrase
    /// has none: nobody can make the same header again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

/// Somebody used what is this resident's alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    pub index: LeafIndex,
    pub disclosure: StatementId,
    pub clip: HexId,
    pub why: String,
}

impl State {
    /// A device that has nothing yet.
    pub fn new(server: String, jurisdiction: Jurisdiction, vault: HexId) -> Self {
        Self {
            server,
            jurisdiction,
            vault,
            cameras: Vec::new(),
            clips: Vec::new(),
            requests: Vec::new(),
            open: Vec::new(),
            forbidden: Vec::new(),
            refusals: Vec::new(),
            gifts: Vec::new(),
            attacks: Vec::new(),
            batches_due: Vec::new(),
            scanned: 0,
            restoring: false,
            maybe_refused: Vec::new(),
            notice_recipient_told: false,
            compelled: Vec::new(),
            notices_due: Vec::new(),
            notices: Vec::new(),
            notices_lost: Vec::new(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// If the file is missing or damaged.
    pub fn load(path: &Path) -> Result<Self, ResidentError> {
        let text = fs::read(path).map_err(ResidentError::file(path))?;
        serde_json::from_slice(&text).map_err(ResidentError::file(path))
    }

    /// Replaces it.
    ///
    /// # Errors
    /// If the disk fails; the old one is there then.
    pub fn save(&self, path: &Path) -> Result<(), ResidentError> {
        let text = serde_json::to_vec_pretty(self).expect("own state serialises");
        replace(path, &text).map_err(ResidentError::file(path))
    }

    /// An own clip.
    pub fn clip(&self, id: HexId) -> Option<&Clip> {
        self.clips.iter().find(|clip| clip.clip == id)
    }

    /// The clip with this commitment, and which of its commitments it is.
    pub fn clip_of(&self, commitment: &Commitment) -> Option<(&Clip, usize)> {
        self.clips.iter().find_map(|clip| {
            let at = clip.commitments.iter().position(|c| c == commitment)?;
            Some((clip, at))
        })
    }

    /// The own disclosure for a request.
    pub fn gift(&self, request: &StatementId) -> Option<&Gift> {
        let answers = |gift: &&Gift| gift.request == Some(*request);
        self.gifts.iter().find(answers)
    }

    /// What is given of a clip to the public, or is about to be: in the order in which it was.
    pub fn published(&self, clip: HexId) -> impl Iterator<Item = &Gift> {
        let public = move |gift: &&Gift| gift.request.is_none() && gift.gives(clip);
        self.gifts.iter().filter(public)
    }

    /// Keeps a request near an own camera, with what it touches now.
    pub fn remember(&mut self, seen: SeenRequest) {
        match self.requests.iter_mut().find(|r| r.request == seen.request) {
            Some(known) => *known = seen,
            None => self.requests.push(seen),
        }
    }

    /// Notes where a commitment stands, if it is an own one.
    pub fn anchor(&mut self, commitment: &Commitment, anchor: &Anchor) {
        for clip in &mut self.clips {
            if let Some(at) = clip.commitments.iter().position(|c| c == commitment) {
                clip.anchors[at].get_or_insert_with(|| anchor.clone());
            }
        }
        for refusal in &mut self.refusals {
            if refusal.commitment == *commitment {
                refusal.anchor.get_or_insert_with(|| anchor.clone());
            }
        }
    }
}

/// Replaces a file, readable by its owner alone: the old one or the new one is there, whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().expect("a file of the folder");
    let mut staged = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    staged.write_all(bytes)?;
    staged.as_file().sync_all()?;
    staged.persist(path)?;
    File::open(folder)?.sync_all()
}

mod position_text {
    use super::Position;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(place: &Position, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(place)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Position, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::scope::Ring;

    fn clip(from: &str, until: &str, position: &str) -> Clip {
        Clip {
            clip: HexId::from_bytes([1; 16]),
            camera: Camera {
                name: "front".parse().unwrap(),
                position: position.parse().unwrap(),
            },
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
            body_digest: Digest::of("body"),
            body_length: 4,
            sha256: Digest::of("clip"),
            size: 4,
            commitments: [1, 2, 3, 4].map(|n| Commitment::from_bytes([n; 32])),
            upload: None,
            anchors: [const { None }; CLIP_COMMITMENTS],
        }
    }

    fn scope() -> Scope {
        let corner = |lat, lon| Position::new(lon, lat).unwrap();
        let (south, north, west, east) = (2_803_000, 2_804_000, -8_195_000, -8_194_000);
        Scope {
            ring: Ring::new(vec![
                corner(south, west),
                corner(south, east),
                corner(north, east),
                corner(north, west),
                corner(south, west),
            ])
            .unwrap(),
            from: "2019-07-30T20:00:00Z".parse().unwrap(),
            until: "2019-07-30T22:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_clip_matches_by_place_and_time_both() {
        let place = "28.03550,-81.94500";
        let at = |from, until, place| clip(from, until, place).matches(&scope());
        assert!(at("2019-07-30T21:59:59Z", "2019-07-30T23:00:00Z", place));
        assert!(at("2019-07-30T19:00:00Z", "2019-07-30T20:00:01Z", place));
        // A window that ends when the other begins shares no moment with it.
        assert!(!at("2019-07-30T19:00:00Z", "2019-07-30T20:00:00Z", place));
        assert!(!at("2019-07-30T22:00:00Z", "2019-07-30T23:00:00Z", place));
        let elsewhere = "28.05000,-81.94500";
        assert!(!at(
            "2019-07-30T21:00:00Z",
            "2019-07-30T21:30:00Z",
            elsewhere
        ));
    }

    #[test]
    fn the_file_is_private_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resident.json");
        let vault = HexId::from_bytes([2; 16]);
        let server = "http://127.0.0.1:1".to_owned();
        let mut state = State::new(server, "US-FL".parse().unwrap(), vault);
        state.save(&path).unwrap();
        state.clips = vec![clip(
            "2019-07-30T20:00:00Z",
            "2019-07-30T21:00:00Z",
            "28.03950,-81.94980",
        )];
        let anchor = Anchor {
            batch: StatementId::from_bytes([3; 32]),
            index: 7,
            path: vec![Digest::of("sibling")],
        };
        state.anchor(&Commitment::from_bytes([3; 32]), &anchor);
        state.save(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = State::load(&path).unwrap();
        assert_eq!(read, state);
        assert_eq!(read.clips[0].anchors, [None, None, Some(anchor), None]);
        fs::write(&path, "{}").unwrap();
        assert!(State::load(&path).is_err());
    }
}
