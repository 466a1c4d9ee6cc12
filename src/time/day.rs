//! Calendar days in UTC.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{SECS_PER_DAY, Time};

/// A calendar day in UTC, 0001-01-01 to 9998-12-31.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    start: Time,
}

/// The text is no day as the protocol writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{EXPECTED}")]
pub struct DayError;

const EXPECTED: &str = "a day such as 2019-07-31, from 0001-01-01 to 9998-12-31";

impl Day {
    /// The last day that can be written, 9998-12-31. No time of the protocol comes after it.
    pub fn last() -> Self {
        Self::of(Time::LAST)
    }

    /// The day in which `time` lies.
    pub fn of(time: Time) -> Self {
        Self {
            start: time.cut_to_day(),
        }
    }

    /// The first second of the day.
    pub fn start(&self) -> Time {
        self.start
    }

    /// The first second after the day, in a test that stays within the calendar.
    #[cfg(test)]
    pub(crate) fn end(&self) -> Time {
        self.start.plus_seconds(SECS_PER_DAY)
    }

    /// Whether the day has ended at `now`: days end at 24:00 UTC.
    pub fn is_over(&self, now: Time) -> bool {
        *self < Self::of(now)
    }

    /// The day `days` later (earlier if negative), or `None` outside the calendar.
    pub fn checked_add_days(&self, days: i64) -> Option<Self> {
        let start = self
            .start
            .checked_add_seconds(days.checked_mul(SECS_PER_DAY)?)?;
        Some(Self { start })
    }

    /// The year, 1 to 9998.
    pub fn year(&self) -> u16 {
        self.start.civil().year().unsigned_abs()
    }

    /// The month, 1 to 12.
    pub fn month(&self) -> u8 {
        self.start.civil().month().unsigned_abs()
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let start = format!("{text}T00:00:00Z").parse().map_err(|_| DayError)?;
        Ok(Self { start })
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.start.civil();
        let (year, month, day) = (civil.year(), civil.month(), civil.day());
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

crate::encoding::serde_as_text!(Day);

impl JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            "description": EXPECTED
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_of_the_calendar_are_read() {
        for text in ["2019-07-31", "2020-02-29", "0001-01-01", "9998-12-31"] {
            let day: Day = text.parse().unwrap();
            assert_eq!(day.to_string(), text);
        }
        for text in [
            "2019-7-31",
            "2019-02-29",
            "2019-07-31Z",
            "0000-12-31",
            "9999-01-01",
            "9999-12-31",
            "",
        ] {
            assert_eq!(text.parse::<Day>(), Err(DayError), "{text:?}");
        }
    }

    #[test]
    fn days_have_bounds() {
        let day: Day = "2019-07-31".parse().unwrap();
        let last_second = day.start().plus_seconds(SECS_PER_DAY - 1);
        assert_eq!(day.start().to_string(), "2019-07-31T00:00:00Z");
        assert_eq!(Day::of(last_second), day);
        assert!(!day.is_over(last_second));
        assert!(day.is_over(last_second.plus_seconds(1)));
        assert_eq!(
            day.checked_add_days(1),
            Some(Day::of(last_second.plus_seconds(1)))
        );
        assert_eq!((day.year(), day.month()), (2019, 7));
    }

    #[test]
    fn the_last_day_has_no_next_one_and_never_ends() {
        let (first, last) = (Day::of(Time::FIRST), Day::last());
        assert_eq!((first.year(), last.year()), (1, 9998));
        assert!(!last.is_over(Time::LAST));
        assert_eq!(last.checked_add_days(1), None);
        assert_eq!(first.checked_add_days(-1), None);
        assert_eq!(last.checked_add_days(i64::MAX), None);
    }
}
