//! Calendar years in UTC and their halves.

use std::fmt;
use std::str::FromStr;

use crate::statement::words::Day;
use crate::time::Time;

/// A calendar year, 1 to 9998.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Year(u16);

/// A half of a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Half {
    /// January to June.
    First,
    /// July to December.
    Second,
}

/// A year, or a half of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    pub year: Year,
    pub half: Option<Half>,
}

/// The text is no year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a year such as 2019")]
pub struct YearError;

/// The text is no half of a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("1 (January to June) or 2 (July to December)")]
pub struct HalfError;

impl Year {
    /// The year in which a day lies.
    pub fn of(day: &Day) -> Self {
        Self(day.year())
    }

    /// It and those that come, up to `last`.
    pub(super) fn to(self, last: Self) -> impl Iterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }

    /// Its halves, the later one first.
    pub(super) fn halves(self) -> [Period; 2] {
        [Half::Second, Half::First].map(|half| Period {
            year: self,
            half: Some(half),
        })
    }
}

impl From<Year> for Period {
    fn from(year: Year) -> Self {
        Self { year, half: None }
    }
}

impl FromStr for Year {
    type Err = YearError;

    fn from_str(text: &str) -> Result<Self, YearError> {
        let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(year @ 1..=9998) if digits => Ok(Self(year)),
            _ => Err(YearError),
        }
    }
}

impl fmt::Display for Year {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

impl Half {
    fn of(day: &Day) -> Self {
        match day.month() {
            ..=6 => Self::First,
            _ => Self::Second,
        }
    }

    /// 1 or 2.
    pub fn number(self) -> u32 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }

    /// Its first and last month.
    pub fn months(self) -> &'static str {
        match self {
            Self::First => "Jan-Jun",
            Self::Second => "Jul-Dec",
        }
    }
}

impl FromStr for Half {
    type Err = HalfError;

    fn from_str(text: &str) -> Result<Self, HalfError> {
        match text {
            "1" => Ok(Self::First),
            "2" => Ok(Self::Second),
            _ => Err(HalfError),
        }
    }
}

impl Period {
    /// The half of a year in which a day lies.
    pub(super) fn half_of(day: &Day) -> Self {
        Self {
            year: Year::of(day),
            half: Some(Half::of(day)),
        }
    }

    /// Whether it began before `now`.
    pub(super) fn has_begun(self, now: Time) -> bool {
        self.first_day().start() <= now
    }

    /// Whether a day lies in it.
    pub fn contains(self, day: &Day) -> bool {
        self.year == Year::of(day) && self.half.is_none_or(|half| half == Half::of(day))
    }

    /// Whether a time lies in it.
    pub fn has(self, time: Time) -> bool {
        self.contains(&Day::of(time))
    }

    /// Its first day.
    pub fn first_day(self) -> Day {
        let start = match self.half {
            Some(Half::Second) => "07-01",
            _ => "01-01",
        };
        let day = format!("{}-{start}", self.year);
        day.parse().expect("a day of the calendar")
    }

    /// Its last day.
    pub fn last_day(self) -> Day {
        let end = match self.half {
            Some(Half::First) => "06-30",
            _ => "12-31",
        };
        let day = format!("{}-{end}", self.year);
        day.parse().expect("a day of the calendar")
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.half {
            None => write!(f, "{}", self.year),
            Some(half) => write!(f, "{}, half {}", self.year, half.number()),
        }
    }
}
