//! Spans of time as people type them.

use std::str::FromStr;

/// A span of 1 minute to 365 days, written as `90`, `90m`, `2h` or `3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minutes(u32);

/// The text is no such span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("minutes, hours or days such as 90m, 2h or 3d, from a minute to a year")]
pub struct MinutesError;

impl Minutes {
    const MOST: u32 = 365 * 24 * 60;

    /// The span in seconds.
    pub fn seconds(self) -> i64 {
        i64::from(self.0) * 60
    }
}

impl FromStr for Minutes {
    type Err = MinutesError;

    fn from_str(text: &str) -> Result<Self, MinutesError> {
        let (number, unit) = match text.as_bytes().last() {
            Some(b'm') => (&text[..text.len() - 1], 1),
            Some(b'h') => (&text[..text.len() - 1], 60),
            Some(b'd') => (&text[..text.len() - 1], 24 * 60),
            _ => (text, 1),
        };
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(MinutesError);
        }
        let number: u32 = number.parse().map_err(|_| MinutesError)?;
        let minutes = number.checked_mul(unit).ok_or(MinutesError)?;
        match minutes {
            1..=Self::MOST => Ok(Self(minutes)),
            _ => Err(MinutesError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_are_read() {
        for (text, seconds) in [
            ("1", 60),
            ("60", 3600),
            ("90m", 5400),
            ("2h", 7200),
            ("3d", 259_200),
            ("365d", 31_536_000),
        ] {
            assert_eq!(text.parse().map(Minutes::seconds), Ok(seconds), "{text}");
        }
        for bad in [
            "",
            "0",
            "0d",
            "h",
            "-1",
            "+1",
            "1.5h",
            "2 h",
            "2H",
            "1h30m",
            "366d",
            "525601",
            "4294967295d",
            "99999999999",
            "٣d",
            "2hé",
        ] {
            assert_eq!(bad.parse::<Minutes>(), Err(MinutesError), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,8}") {
            if let Ok(span) = text.parse::<Minutes>() {
                prop_assert!((60..=31_536_000).contains(&span.seconds()));
            }
        }
    }
}
