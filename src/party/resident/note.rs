//! The note of a consent: what its owner tells an agency besides the video.
//!
//! Names and contacts are the owner's words. Places and times are, too, if there are words for them, and else
//! those of the clips. Sealing is [`crate::seal::note`]'s, and its text [`crate::wire::note`]'s.

use serde::{Deserialize, Serialize};

use super::state::{Clip, KeptNote};
use super::{ResidentError, decide};
use crate::encoding::json_error;
use crate::seal::note::seal;
use crate::seal::recipient::Recipient;
use crate::statement::words::{DataKind, listed};
use crate::wire::note::Note;

/// What an owner says in their own words; nothing of it stands in `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// How to reach them.
    #[serde(default)]
    pub contact: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    /// Where the camera is, of every clip.
    #[serde(default)]
    pub place: Option<String>,
    /// When it was recorded, of every clip.
    #[serde(default)]
    pub time: Option<String>,
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Words(…)")
    }
}

impl Words {
    /// Reads them from a JSON object.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &str) -> Result<Self, String> {
        if !json.trim_start().starts_with('{') {
            return Err("a JSON object, such as {\"contact\":\"+1 863 555 0142\"}".to_owned());
        }
        serde_json::from_str(json).map_err(|error| json_error(&error))
    }

    /// The words of a kind.
    pub fn of(&self, kind: DataKind) -> Option<&str> {
        match kind {
            DataKind::Contact => self.contact.as_deref(),
            DataKind::Name => self.name.as_deref(),
            DataKind::Place => self.place.as_deref(),
            DataKind::Time => self.time.as_deref(),
            DataKind::Video => None,
        }
    }

    /// Puts the words of a kind, of which a note tells.
    pub fn put(&mut self, kind: DataKind, words: String) {
        match kind {
            DataKind::Contact => self.contact = Some(words),
            DataKind::Name => self.name = Some(words),
            DataKind::Place => self.place = Some(words),
            DataKind::Time => self.time = Some(words),
            DataKind::Video => {}
        }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The kinds of which there are words.
    fn kinds(&self) -> Vec<DataKind> {
        use DataKind::{Contact, Name, Place, Time};
        let all = [Contact, Name, Place, Time].into_iter();
        all.filter(|kind| self.of(*kind).is_some()).collect()
    }

    /// Of the kinds to give, those that only their owner can say, and has not said.
    pub fn missing(&self, gives: &[DataKind]) -> Vec<DataKind> {
        let all = [DataKind::Contact, DataKind::Name].into_iter();
        all.filter(|kind| gives.contains(kind) && self.of(*kind).is_none())
            .collect()
    }

    /// The note that tells these kinds of these clips.
    ///
    /// # Errors
    /// [`ResidentError::Asked`]: words are missing, or are of another kind.
    pub(super) fn note(&self, told: &[DataKind], clips: &[Clip]) -> Result<Note, ResidentError> {
        let surplus: Vec<DataKind> = self.kinds();
        if let Some(kind) = surplus.iter().find(|kind| !told.contains(kind)) {
            return decide::asked(format!(
                "the note tells `{kind}`, and --gives does not name it: name it, or leave it out of the note"
            ));
        }
        let missing = self.missing(told);
        if !missing.is_empty() {
            return decide::asked(format!(
                "to give {} say what to tell, in a file: --note FILE",
                listed(&missing)
            ));
        }
        let given = |kind| told.contains(&kind);
        let each = |kind: DataKind, of: &dyn Fn(&Clip) -> String| {
            let words = self.of(kind);
            let text = |clip| words.map_or_else(|| of(clip), str::to_owned);
            given(kind).then(|| clips.iter().map(text).collect())
        };
        Ok(Note {
            contact: self.contact.clone(),
            name: self.name.clone(),
            place: each(DataKind::Place, &|clip| clip.camera.position.to_string()),
            time: each(DataKind::Time, &|clip| {
                format!("{}/{}", clip.from, clip.until)
            }),
        })
    }
}

/// Seals a note for the recipient of a disclosure that gives these kinds besides the video, and so many clips.
///
/// # Errors
/// What is wrong with the note.
pub(super) fn prepare(
    note: &Note,
    told: &[DataKind],
    clips: usize,
    recipient: &Recipient,
) -> Result<KeptNote, ResidentError> {
    let text = note.to_json(told, clips)?;
    let file = seal(text.clone(), recipient).expect("no longer than a note has room for");
    Ok(KeptNote { text, file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::party::resident::state::Camera;
    use crate::seal::commitment::Commitment;
    use crate::wire::vault::HexId;
    use DataKind::{Contact, Name, Place, Time};

    fn clip(hour: u32) -> Clip {
        Clip {
            clip: HexId::from_bytes([1; 16]),
            camera: Camera {
                name: "front".parse().unwrap(),
                position: "28.03950,-81.94980".parse().unwrap(),
            },
            from: format!("2019-07-30T{hour:02}:00:00Z").parse().unwrap(),
            until: format!("2019-07-30T{hour:02}:10:00Z").parse().unwrap(),
            body_digest: Digest::of("body"),
            body_length: 4,
            sha256: Digest::of("film"),
            size: 4,
            commitments: vec![Commitment::from_bytes([0; 32]); 4],
            upload: None,
            stored: true,
            why: None,
            to_enter: false,
            given_up: false,
            anchors: vec![None; 4],
        }
    }

    #[test]
    fn a_note_tells_the_owner_s_words_and_else_what_the_clips_say() {
        let clips = [clip(20), clip(21)];
        let words = Words::parse(r#"{"contact":"+1 863 555 0142","place":"in front of my house"}"#);
        let note = words
            .unwrap()
            .note(&[Contact, Place, Time], &clips)
            .unwrap();
        assert_eq!(note.contact.as_deref(), Some("+1 863 555 0142"));
        assert_eq!(note.name, None);
        assert_eq!(note.place.unwrap(), ["in front of my house"; 2]);
        let times = [
            "2019-07-30T20:00:00Z/2019-07-30T20:10:00Z",
            "2019-07-30T21:00:00Z/2019-07-30T21:10:00Z",
        ];
        assert_eq!(note.time.unwrap(), times);
        let bare = Words::default().note(&[Place], &clips[..1]).unwrap();
        assert_eq!(bare.place.unwrap(), ["28.03950,-81.94980"]);
        assert_eq!(bare.time, None);
    }

    #[test]
    fn nothing_is_told_that_is_not_given_and_nothing_is_given_untold() {
        let clips = [clip(20)];
        let words = Words::parse(r#"{"name":"Ana"}"#).unwrap();
        let surplus = words.note(&[Time], &clips).unwrap_err().to_string();
        assert!(surplus.contains("`name`"), "{surplus}");
        let missing = words.note(&[Contact, Name], &clips);
        let missing = missing.unwrap_err().to_string();
        assert!(missing.contains("contact"), "{missing}");
        assert_eq!(words.missing(&[Contact, Name, Time]), [Contact]);
        for other in ["", "[]", "\"x\"", "{\"email\":\"x\"}", "{\"name\":7}"] {
            assert!(Words::parse(other).is_err(), "{other}");
        }
        assert_eq!(format!("{words:?}"), "Words(…)");
    }

    #[test]
    fn what_is_sealed_is_what_is_shown_and_for_the_recipient() {
        let identity = crate::seal::Identity::generate();
        let note = Words::default().note(&[Time], &[clip(20)]).unwrap();
        let kept = prepare(&note, &[Time], 1, &Recipient::of(&identity)).unwrap();
        let text = crate::seal::note::open(&kept.file, &identity).unwrap();
        assert_eq!(*text, kept.text);
        assert_eq!(Note::parse(&text, &[Time], 1), Ok(note.clone()));
        assert!(prepare(&note, &[Place, Time], 1, &Recipient::of(&identity)).is_err());
    }
}
