//! Points in time and days as the protocol writes them: UTC, `YYYY-MM-DDThh:mm:ssZ`, `YYYY-MM-DD`.
//!
//! Both reach from 0001-01-01 to 9998-12-31. Every value can be written and read, and so can the
//! end of its day: years of more than four digits have no such form, and the calendar library ends
//! within 9999. Arithmetic that leaves this range returns `None`.
//!
//! Nothing here reads a clock: whoever needs the time is handed a [`Clock`], and who must notice that
//! a clock was set is handed a [`Monotonic`] too, so that tests and replays decide what time it is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

mod day;
pub use day::Day;

/// Seconds of a day; leap seconds are not counted.
pub const SECS_PER_DAY: i64 = 86_400;

/// A point in time in whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// The text is no time as the protocol writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time in the form 2019-07-31T14:05:00Z")]
pub struct TimeError;

impl Time {
    /// The first second of year 1: 0001-01-01T00:00:00Z.
    pub const FIRST: Self = Self(-62_135_596_800);
    /// The last second of year 9998: 9998-12-31T23:59:59Z.
    pub const LAST: Self = Self(253_370_764_799);

    /// From seconds since 1970, or `None` outside the years 0001 to 9998.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        (Self::FIRST.0..=Self::LAST.0)
            .contains(&seconds)
            .then_some(Self(seconds))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix(self) -> i64 {
        self.0
    }

    /// This time with its seconds cut off.
    pub fn cut_to_minute(self) -> Self {
        self.cut_to(60)
    }

    /// This time with its minutes and seconds cut off.
    pub fn cut_to_hour(self) -> Self {
        self.cut_to(3600)
    }

    /// This time with hours, minutes and seconds cut off: the start of its UTC day.
    pub fn cut_to_day(self) -> Self {
        self.cut_to(SECS_PER_DAY)
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "FIRST is the start of a day, so no cut goes below it"
    )]
    fn cut_to(self, unit: i64) -> Self {
        Self(self.0 - self.0.rem_euclid(unit))
    }

    /// The time `seconds` later (earlier if negative), or `None` outside the years 0001 to 9998.
    pub fn checked_add_seconds(self, seconds: i64) -> Option<Self> {
        Self::from_unix(self.0.checked_add(seconds)?)
    }

    /// The time `seconds` later, in a test that stays within the calendar.
    #[cfg(test)]
    pub(crate) fn plus_seconds(self, seconds: i64) -> Self {
        self.checked_add_seconds(seconds)
            .expect("a test's time is within the calendar")
    }

    /// Seconds from `earlier` to this time; negative if it is the later one.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "two values of less than 2^38 in magnitude"
    )]
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    fn civil(self) -> DateTime {
        let time = Timestamp::from_second(self.0);
        Offset::UTC.to_datetime(time.expect("FIRST to LAST are times of the calendar library"))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.civil();
        let (hour, minute, second) = (civil.hour(), civil.minute(), civil.second());
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}Z", Day::of(*self))
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
        if text.ends_with(":60Z") {
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
            "description": "UTC, whole seconds (RFC 3339 with `Z`), years 0001 to 9998."
        })
    }
}

/// The schema of a time whose seconds are cut off.
pub fn to_the_minute(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:00Z$",
        "description": "UTC, cut to the minute (RFC 3339 with `Z`), years 0001 to 9998."
    })
}

/// The schema of a time whose minutes and seconds are cut off.
pub fn to_the_hour(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:00:00Z$",
        "description": "UTC, cut to the hour (RFC 3339 with `Z`), years 0001 to 9998."
    })
}

/// Where a program takes the time from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self::from_fn(|| {
            Time::from_unix(Timestamp::now().as_second()).expect("the clock shows a year to 9998")
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

/// How long the machine has run, from a start that says nothing: no person and no time server sets it.
#[derive(Clone)]
pub struct Monotonic(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Monotonic {
    /// The machine's own. It goes on while the machine sleeps; while a virtual machine is paused, it stands
    /// still.
    pub fn system() -> Self {
        use rustix::time::{ClockId, clock_gettime};
        #[cfg(target_os = "linux")]
        const RUNNING: ClockId = ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        const RUNNING: ClockId = ClockId::Monotonic;
        Self::from_fn(|| {
            let ran = clock_gettime(RUNNING);
            Duration::try_from(ran).expect("it counts from the machine's start")
        })
    }

    /// One that shows what `ran` returns.
    pub fn from_fn(ran: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(ran))
    }

    /// How long it has run now.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for Monotonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Monotonic")
    }
}

/// What both clocks show at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time of day.
    pub wall: Time,
    /// How long the machine has run.
    pub ran: Duration,
}

impl Moment {
    /// By how many whole seconds the time of day was set forward since `earlier` (back, if negative):
    /// by how much it went further than the time that ran. Times of day are whole seconds, so less than a
    /// second says nothing, and counts as none.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "seconds of less than 2^64 in magnitude, in nanoseconds less than 2^94"
    )]
    pub fn set_since(self, earlier: Self) -> i64 {
        const NANOS: i128 = 1_000_000_000;
        let nanos =
            |ran: Duration| i128::from(ran.as_secs()) * NANOS + i128::from(ran.subsec_nanos());
        let passed = i128::from(self.wall.seconds_since(earlier.wall)) * NANOS;
        let parted = passed - (nanos(self.ran) - nanos(earlier.ran));
        let most = i128::from(i64::MAX);
        (parted / NANOS).clamp(-most, most) as i64
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
            "0000-12-31T23:59:59Z",
            "9999-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "",
        ] {
            assert_eq!(other.parse::<Time>(), Err(TimeError), "{other:?}");
        }
    }

    #[test]
    fn the_calendar_ends_where_its_last_day_can_still_be_written() {
        for (time, text) in [
            (Time::FIRST, "0001-01-01T00:00:00Z"),
            (Time::LAST, "9998-12-31T23:59:59Z"),
        ] {
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time));
            assert_eq!(Time::from_unix(time.unix()), Some(time));
        }
        assert_eq!(Time::from_unix(Time::LAST.0 + 1), None);
        assert_eq!(Time::from_unix(Time::FIRST.0 - 1), None);
        for too_far in [1, i64::MAX] {
            assert_eq!(Time::LAST.checked_add_seconds(too_far), None);
            assert_eq!(Time::FIRST.checked_add_seconds(-too_far), None);
        }
        assert_eq!(Time::FIRST.checked_add_seconds(i64::MIN), None);
        let whole = Time::LAST.seconds_since(Time::FIRST);
        assert_eq!(Time::FIRST.checked_add_seconds(whole), Some(Time::LAST));
        assert_eq!(Time::FIRST.cut_to_day(), Time::FIRST);
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
        fn writing_and_reading_agree(seconds in Time::FIRST.0..=Time::LAST.0) {
            let time = Time::from_unix(seconds).unwrap();
            prop_assert_eq!(time.to_string().parse::<Time>(), Ok(time));
            prop_assert!(time.cut_to_minute() <= time);
            prop_assert_eq!(time.cut_to_minute().unix() % 60, 0);
            let day = Day::of(time);
            prop_assert_eq!(day.to_string().parse::<Day>(), Ok(day.clone()));
            prop_assert_eq!(day.start(), time.cut_to_day());
            prop_assert!(!day.is_over(time));
        }
    }
}
