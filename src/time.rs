//! Points in time as the protocol writes them: UTC, whole seconds, `YYYY-MM-DDThh:mm:ssZ`.
//!
//! Nothing here reads a clock: whoever needs the time is handed a [`Clock`], so that tests and
//! replays decide what time it is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A point in time in whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// The text is no time as the protocol writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time in the form 2019-07-31T14:05:00Z")]
pub struct TimeError;

impl Time {
    /// The first and the last second that the form can write (years 0001 to 9999).
    const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

    /// From seconds since 1970, or `None` outside the years 0001 to 9999.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        Self::RANGE.contains(&seconds).then_some(Self(seconds))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix(self) -> i64 {
        self.0
    }

    /// This time with its seconds cut off.
    pub fn cut_to_minute(self) -> Self {
        Self(self.0 - self.0.rem_euclid(60))
    }

    /// This time with its minutes and seconds cut off.
    pub fn cut_to_hour(self) -> Self {
        Self(self.0 - self.0.rem_euclid(3600))
    }

    /// This time with hours, minutes and seconds cut off: the start of its UTC day.
    pub fn cut_to_day(self) -> Self {
        Self(self.0 - self.0.rem_euclid(86_400))
    }

    /// The time `seconds` later (earlier if negative), held within the years 0001 to 9999.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(
            self.0
                .saturating_add(seconds)
                .clamp(*Self::RANGE.start(), *Self::RANGE.end()),
        )
    }

    /// Seconds from `earlier` to this time; negative if it is the later one.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Timestamp::from_second(self.0).expect("checked on construction");
        write!(f, "{}", time.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 20
            && bytes.iter().enumerate().all(|(i, b)| match i {
                4 | 7 => *b == b'-',
                10 => *b == b'T',
                13 | 16 => *b == b':',
                19 => *b == b'Z',
                _ => b.is_ascii_digit(),
            });
        if !shaped {
            return Err(TimeError);
        }
        // A leap second would be read as the second before it: two texts for one time.
        if &bytes[17..19] == b"60" {
            return Err(TimeError);
        }
        let time: Timestamp = text.parse().map_err(|_| TimeError)?;
        Self::from_unix(time.as_second()).ok_or(TimeError)
    }
}

crate::encoding::serde_as_text!(Time);

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
            "description": "UTC, whole seconds (RFC 3339 with `Z`)."
        })
    }
}

/// The schema of a time whose seconds are cut off.
pub fn to_the_minute(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:00Z$",
        "description": "UTC, cut to the minute (RFC 3339 with `Z`)."
    })
}

/// The schema of a time whose minutes and seconds are cut off.
pub fn to_the_hour(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:00:00Z$",
        "description": "UTC, cut to the hour (RFC 3339 with `Z`)."
    })
}

/// Where a program takes the time from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self::from_fn(|| {
            Time::from_unix(Timestamp::now().as_second()).expect("the clock shows a year to 9999")
        })
    }

    /// A clock that shows what `now` returns.
    pub fn from_fn(now: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> Time {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_one_form_is_read() {
        let time: Time = "2019-07-31T14:05:07Z".parse().unwrap();
        assert_eq!(time.unix(), 1_564_581_907);
        assert_eq!(time.cut_to_minute().to_string(), "2019-07-31T14:05:00Z");
        assert_eq!(time.cut_to_hour().to_string(), "2019-07-31T14:00:00Z");
        assert_eq!(time.cut_to_day().to_string(), "2019-07-31T00:00:00Z");
        for other in [
            "2019-07-31T14:05:07+00:00",
            "2019-07-31t14:05:07Z",
            "2019-07-31T14:05Z",
            "2019-07-31T14:05:07.0Z",
            "2019-02-30T14:05:07Z",
            "2016-12-31T23:59:60Z",
            "2019-07-31T24:00:00Z",
            "0000-01-01T00:00:00Z",
            "",
        ] {
            assert_eq!(other.parse::<Time>(), Err(TimeError), "{other:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn a_text_that_is_read_is_the_one_that_is_written(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]Z",
        ) {
            if let Ok(time) = text.parse::<Time>() {
                prop_assert_eq!(time.to_string(), text);
            }
        }

        #[test]
        fn writing_and_reading_agree(seconds in -62_135_596_800_i64..=253_402_300_799) {
            let time = Time::from_unix(seconds).unwrap();
            prop_assert_eq!(time.to_string().parse::<Time>(), Ok(time));
            prop_assert!(time.cut_to_minute() <= time);
            prop_assert_eq!(time.cut_to_minute().unix() % 60, 0);
        }
    }
}
