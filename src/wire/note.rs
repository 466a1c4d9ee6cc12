//! What a resident tells an agency besides the video: the text inside a disclosure's note.
//!
//! A JSON object in its RFC 8785 form, so that a note is written in one way, with exactly the kinds that
//! the disclosure gives besides `video`. Sealing it is [`seal::note`](crate::seal::note)'s.
//! Spec: `docs/PROTOCOL.md`, section 6.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::encoding::json_error;
use crate::seal::note::MAX_PLAIN;
use crate::statement::words::{DataKind, listed};

/// The longest text of a note, in bytes.
pub const MAX_TEXT: usize = 400;

/// What is told; `Debug` shows the kinds alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// How to reach the resident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The resident's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the camera is: a text for each clip, in the disclosure's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Vec<String>>,
    /// When it was recorded: a text for each clip, in the disclosure's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Vec<String>>,
}

/// What is wrong with a note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("not the JSON of a note: {0}")]
    Json(String),
    #[error("not in its RFC 8785 form")]
    NotCanonical,
    #[error("it tells {found}, where the disclosure gives {given}")]
    Kinds { found: String, given: String },
    #[error("`{kind}` has {found} texts, one for each of {clips} clips")]
    Clips {
        kind: DataKind,
        found: usize,
        clips: usize,
    },
    #[error("a text of `{0}` has no character that can be seen")]
    Blank(DataKind),
    #[error("a text of `{kind}` has {found} bytes, and at most {MAX_TEXT} are told")]
    Long { kind: DataKind, found: usize },
    #[error("a text of `{0}` has a control character, such as a line end: write it on one line")]
    Control(DataKind),
    #[error("it has {0} bytes of JSON, and a note has room for {MAX_PLAIN}: shorten its texts")]
    TooLong(usize),
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Note({}, …)", listed(&self.kinds()))
    }
}

impl Note {
    /// The kinds told, ascending.
    pub fn kinds(&self) -> Vec<DataKind> {
        let told = [
            (DataKind::Contact, self.contact.is_some()),
            (DataKind::Name, self.name.is_some()),
            (DataKind::Place, self.place.is_some()),
            (DataKind::Time, self.time.is_some()),
        ];
        let told = told.into_iter().filter(|(_, told)| *told);
        told.map(|(kind, _)| kind).collect()
    }

    /// The texts of each kind, in the order of [`Note::kinds`].
    pub fn texts(&self) -> impl Iterator<Item = (DataKind, &[String])> {
        let (contact, name) = (self.contact.as_ref(), self.name.as_ref());
        [
            (DataKind::Contact, contact.map(std::slice::from_ref)),
            (DataKind::Name, name.map(std::slice::from_ref)),
            (DataKind::Place, self.place.as_deref()),
            (DataKind::Time, self.time.as_deref()),
        ]
        .into_iter()
        .filter_map(|(kind, texts)| Some((kind, texts?)))
    }

    /// Whether this is what a disclosure of so many clips gives besides the video.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, told: &[DataKind], clips: usize) -> Result<(), NoteError> {
        let found = self.kinds();
        if found != told {
            return Err(NoteError::Kinds {
                found: listed_or_nothing(&found),
                given: listed_or_nothing(told),
            });
        }
        for (kind, texts) in self.texts() {
            let by_clip = matches!(kind, DataKind::Place | DataKind::Time);
            if by_clip && texts.len() != clips {
                let found = texts.len();
                return Err(NoteError::Clips { kind, found, clips });
            }
            texts.iter().try_for_each(|text| check_text(kind, text))?;
        }
        Ok(())
    }

    /// Reads the text of the note of a disclosure that gives these kinds besides the video, and so many clips.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8], told: &[DataKind], clips: usize) -> Result<Self, NoteError> {
        let note: Self =
            serde_json::from_slice(text).map_err(|e| NoteError::Json(json_error(&e)))?;
        if note.to_bytes() != text {
            return Err(NoteError::NotCanonical);
        }
        note.check(told, clips)?;
        Ok(note)
    }

    /// Writes it.
    ///
    /// # Errors
    /// As [`Note::check`], and if no note has room for it.
    pub fn to_json(&self, told: &[DataKind], clips: usize) -> Result<Vec<u8>, NoteError> {
        self.check(told, clips)?;
        let text = self.to_bytes();
        match text.len() {
            0..=MAX_PLAIN => Ok(text),
            more => Err(NoteError::TooLong(more)),
        }
    }

    /// Its members stand in the order of their names, and serde escapes what RFC 8785 does.
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("own values serialise")
    }
}

fn check_text(kind: DataKind, text: &str) -> Result<(), NoteError> {
    if text.trim().is_empty() {
        return Err(NoteError::Blank(kind));
    }
    if text.len() > MAX_TEXT {
        let found = text.len();
        return Err(NoteError::Long { kind, found });
    }
    match text.chars().any(char::is_control) {
        true => Err(NoteError::Control(kind)),
        false => Ok(()),
    }
}

fn listed_or_nothing(kinds: &[DataKind]) -> String {
    match kinds {
        [] => "nothing".to_owned(),
        kinds => listed(kinds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DataKind::*;

    fn full() -> Note {
        Note {
            contact: Some("+1 863 555 0142".to_owned()),
            name: Some("Ana Pérez".to_owned()),
            place: Some(vec!["28.03950,-81.94980".to_owned(); 2]),
            time: Some(vec![
                "2019-07-30T20:00:00Z/2019-07-30T20:10:00Z".to_owned();
                2
            ]),
        }
    }

    const ALL: [DataKind; 4] = [Contact, Name, Place, Time];

    #[test]
    fn a_note_is_written_in_one_way_and_reads_back() {
        let text = full().to_json(&ALL, 2).unwrap();
        assert_eq!(
            String::from_utf8(text.clone()).unwrap(),
            concat!(
                r#"{"contact":"+1 863 555 0142","name":"Ana Pérez","#,
                r#""place":["28.03950,-81.94980","28.03950,-81.94980"],"#,
                r#""time":["2019-07-30T20:00:00Z/2019-07-30T20:10:00Z","#,
                r#""2019-07-30T20:00:00Z/2019-07-30T20:10:00Z"]}"#
            )
        );
        assert_eq!(Note::parse(&text, &ALL, 2), Ok(full()));
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(crate::statement::canonical::to_vec(&value), text);
        for other in [
            r#"{"name":"Ana","contact":"x"}"#,
            r#"{ "contact":"x","name":"Ana"}"#,
            "{\"contact\":\"x\",\"name\":\"Ana\"}\n",
            r#"{"contact":"x","name":"\u0041na"}"#,
        ] {
            let read = Note::parse(other.as_bytes(), &[Contact, Name], 1);
            assert_eq!(read, Err(NoteError::NotCanonical), "{other}");
        }
    }

    /// What the screen and the log name is what leaves.
    #[test]
    fn a_note_tells_exactly_the_kinds_that_are_given() {
        let full = full().to_json(&ALL, 2).unwrap();
        for told in [&[][..], &[Contact], &[Contact, Name, Place]] {
            let read = Note::parse(&full, told, 2);
            assert!(matches!(read, Err(NoteError::Kinds { .. })), "{told:?}");
        }
        let one = br#"{"contact":"x"}"#;
        assert!(Note::parse(one, &[Contact], 1).is_ok());
        for told in [&[][..], &[Name], &[Contact, Name]] {
            let read = Note::parse(one, told, 1);
            assert!(matches!(read, Err(NoteError::Kinds { .. })), "{told:?}");
        }
        let null = Note::parse(br#"{"contact":"x","name":null}"#, &[Contact], 1);
        assert_eq!(null, Err(NoteError::NotCanonical));
        for other in [
            r#"{"contact":"x","email":"y"}"#,
            r#"{"contact":"x","contact":"y"}"#,
            r#"{"contact":["x"]}"#,
            r#"["x"]"#,
            "x",
            "",
        ] {
            let read = Note::parse(other.as_bytes(), &[Contact], 1);
            assert!(read.is_err(), "{other}");
        }
    }

    #[test]
    fn a_note_tells_each_clip_s_place_and_time() {
        let text = full().to_json(&ALL, 2).unwrap();
        for clips in [0, 1, 3] {
            let read = Note::parse(&text, &ALL, clips);
            assert!(matches!(read, Err(NoteError::Clips { .. })), "{clips}");
        }
    }

    #[test]
    fn texts_are_short_and_of_one_line() {
        let told = |text: &str| {
            let contact = Some(text.to_owned());
            let note = Note {
                contact,
                ..Note::default()
            };
            note.to_json(&[Contact], 1).map(drop)
        };
        assert_eq!(told(&"x".repeat(MAX_TEXT)), Ok(()));
        let long = Err(NoteError::Long {
            kind: Contact,
            found: MAX_TEXT + 1,
        });
        assert_eq!(told(&"x".repeat(MAX_TEXT + 1)), long);
        for blank in ["", " ", "\u{a0}"] {
            assert_eq!(told(blank), Err(NoteError::Blank(Contact)));
        }
        for control in ["a\nb", "a\u{1b}[31mb", "a\0", "a\u{85}b"] {
            assert_eq!(told(control), Err(NoteError::Control(Contact)));
        }
        let long = vec!["x".repeat(MAX_TEXT); 16];
        let note = Note {
            time: Some(long),
            ..Note::default()
        };
        let written = note.to_json(&[Time], 16);
        assert!(matches!(written, Err(NoteError::TooLong(_))));
    }

    #[test]
    fn debug_shows_no_text() {
        assert_eq!(
            format!("{:?}", full()),
            "Note(contact, name, place, time, …)"
        );
    }
}
