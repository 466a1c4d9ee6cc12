//! What a notice tells the owner of footage: the text inside a sealed message.

use serde::{Deserialize, Serialize};

use super::vault::HexId;
use crate::digest::StatementId;
use crate::encoding::json_error;
use crate::statement::kinds::legal_demand::ProcessKind;
use crate::statement::words::{Day, Investigation, RecordKind};

/// The most clips that one message names.
pub const MAX_CLIPS: usize = 16;
/// The longest text of the sender, in bytes.
pub const MAX_TEXT: usize = 800;

/// The version of this form.
const VERSION: u8 = 1;

/// A message: which demand was about its owner, and what it brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Always 1.
    pub version: u8,
    /// The `legal-demand` in the log.
    pub demand: StatementId,
    pub process: ProcessKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub investigation: Option<Investigation>,
    /// The day on which something was given or refused; absent while nobody has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_on: Option<Day>,
    /// Kinds of the owner's records that were given: ascending, none unless something was.
    pub records: Vec<RecordKind>,
    /// The owner's clips that it is about: at most [`MAX_CLIPS`], ascending. None: none, or all.
    pub clips: Vec<HexId>,
    /// The sender's own words, at most [`MAX_TEXT`] bytes; may be empty.
    pub text: String,
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("not the JSON of a notice: {0}")]
    Json(String),
    #[error("a notice of version {0}, where this program knows {VERSION}")]
    Version(u8),
    #[error("{0} are not ascending, each once")]
    Order(&'static str),
    #[error("records given by an answer that nobody gave")]
    Unanswered,
    #[error("{0} clips, where a notice names at most {MAX_CLIPS}")]
    Clips(usize),
    #[error("a text of {0} bytes, where a notice has at most {MAX_TEXT}")]
    Text(usize),
}

impl Message {
    /// A message about a demand that nobody has answered, of no clips and no words.
    pub fn new(demand: StatementId, process: ProcessKind) -> Self {
        Self {
            version: VERSION,
            demand,
            process,
            investigation: None,
            effective_on: None,
            records: Vec::new(),
            clips: Vec::new(),
            text: String::new(),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, MessageError> {
        // serde's structures would also take an array of their members.
        if text.first() != Some(&b'{') {
            return Err(MessageError::Json("it does not begin with `{`".to_owned()));
        }
        let message: Self =
            serde_json::from_slice(text).map_err(|e| MessageError::Json(json_error(&e)))?;
        message.check()?;
        Ok(message)
    }

    /// Writes it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        self.check()?;
        Ok(serde_json::to_vec(self).expect("own values serialise"))
    }

    fn check(&self) -> Result<(), MessageError> {
        if self.version != VERSION {
            return Err(MessageError::Version(self.version));
        }
        if !self.records.is_sorted_by(|a, b| a < b) {
            return Err(MessageError::Order("records"));
        }
        if !self.clips.is_sorted_by(|a, b| a < b) {
            return Err(MessageError::Order("clips"));
        }
        if self.effective_on.is_none() && !self.records.is_empty() {
            return Err(MessageError::Unanswered);
        }
        match (self.clips.len(), self.text.len()) {
            (clips, _) if clips > MAX_CLIPS => Err(MessageError::Clips(clips)),
            (_, text) if text > MAX_TEXT => Err(MessageError::Text(text)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::notice::MAX_PLAIN;

    fn full() -> Message {
        Message {
            investigation: Some("0f".repeat(16).parse().unwrap()),
            effective_on: Some("2022-12-12".parse().unwrap()),
            records: vec![
                RecordKind::Account,
                RecordKind::ClipCiphertext,
                RecordKind::ClipContent,
                RecordKind::ClipMetadata,
                RecordKind::Connection,
                RecordKind::Location,
                RecordKind::Payment,
            ],
            clips: (0..16).map(|n| HexId::from_bytes([n; 16])).collect(),
            text: "x".repeat(MAX_TEXT),
            ..Message::new(
                StatementId::from_bytes([12; 32]),
                ProcessKind::NationalSecurity,
            )
        }
    }

    #[test]
    fn the_longest_message_has_room_and_reads_back() {
        let message = full();
        let text = message.to_json().unwrap();
        assert!(text.len() <= MAX_PLAIN, "{} bytes", text.len());
        assert_eq!(Message::parse(&text), Ok(message));
    }

    #[test]
    fn no_refusal_commands_a_terminal() {
        let text = full().to_json().unwrap();
        let text = String::from_utf8(text).unwrap();
        for member in [
            "\\u001b[2J",
            "\\u202eseman",
            "\\u009b2J",
            "\\u2066",
            "\u{feff}",
        ] {
            for bad in [
                text.replacen('{', &format!(r#"{{"{member}":1,"#), 1),
                text.replace("national-security", member),
            ] {
                let refused = Message::parse(bad.as_bytes()).unwrap_err().to_string();
                assert!(!refused.contains(crate::encoding::is_hidden), "{refused:?}");
            }
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_refused() {
        let alter = |alter: fn(&mut Message)| {
            let mut message = full();
            alter(&mut message);
            let written = message.to_json().unwrap_err();
            let text = serde_json::to_vec(&message).unwrap();
            assert_eq!(Message::parse(&text), Err(written.clone()));
            written
        };
        assert_eq!(alter(|m| m.version = 2), MessageError::Version(2));
        assert_eq!(
            alter(|m| m.records.swap(0, 1)),
            MessageError::Order("records")
        );
        assert_eq!(
            alter(|m| m.clips[1] = m.clips[0]),
            MessageError::Order("clips")
        );
        assert_eq!(
            alter(|m| m.clips.push(HexId::from_bytes([16; 16]))),
            MessageError::Clips(17)
        );
        assert_eq!(alter(|m| m.effective_on = None), MessageError::Unanswered);
        assert_eq!(alter(|m| m.text.push('x')), MessageError::Text(801));
        let text = String::from_utf8(full().to_json().unwrap()).unwrap();
        for bad in [
            text.replacen('{', r#"{"asks":"video","#, 1),
            text.replacen('{', r#"{"version":1,"#, 1),
            text.replace(r#""version":1,"#, ""),
            format!("[{text}]"),
            format!("{text} x"),
            format!("{}{text}", '\u{feff}'),
        ] {
            let refused = Message::parse(bad.as_bytes());
            assert!(matches!(refused, Err(MessageError::Json(_))), "{bad}");
        }
    }
}
