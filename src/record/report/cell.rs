//! What stands in a cell: a value, a band, or why there is none.

use std::iter::Sum;
use std::ops::Add;

use serde_json::{Value, json};

use super::why::Why;
use crate::statement::kinds::legal_demand::NationalBand;
use crate::statement::words::{Band, Currency, Day};
use crate::time::Time;

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Words: a name, a code, a day.
    Text(String),
    /// Words for programs, such as a key.
    Code(String),
    /// A place in the log.
    Entry(u64),
    /// A count.
    Count(u64),
    /// What somebody has of something; less than nothing if it owes it.
    Balance(i64),
    /// Money or credit, in minor units of its currency.
    Money(i64, Currency),
    /// The log holds it in bands: it lies within this.
    Band(Range),
    /// As [`Cell::Band`], in bands of 250 and as such reports write them: `0-249`.
    NationalBand(Range),
    /// The log does not hold it, and why.
    NotCollected(Why),
    /// The log holds it sealed: until when, or that the day has passed.
    Sealed(String),
    /// The statement could say it, and does not.
    Blank,
}

/// At least, and at most if there is a most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub at_least: u64,
    pub at_most: Option<u64>,
}

impl Range {
    const NOTHING: Self = Self {
        at_least: 0,
        at_most: Some(0),
    };

    /// The number of different things among sets of these sizes that may overlap: as many as in the
    /// largest, at most as many as in all together.
    pub fn union(sets: impl Iterator<Item = Self>) -> Self {
        sets.fold(Self::NOTHING, |all, set| Self {
            at_least: all.at_least.max(set.at_least),
            ..all.add(set)
        })
    }

    fn written(self, to: &str) -> String {
        match self.at_most {
            Some(most) if most == self.at_least => most.to_string(),
            Some(most) => format!("{}{to}{most}", self.at_least),
            None => format!("{} or more", self.at_least),
        }
    }
}

impl Add for Range {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let most = self.at_most.zip(other.at_most);
        Self {
            at_least: self.at_least.saturating_add(other.at_least),
            at_most: most.map(|(one, two)| one.saturating_add(two)),
        }
    }
}

impl Sum for Range {
    fn sum<I: Iterator<Item = Self>>(ranges: I) -> Self {
        ranges.fold(Self::NOTHING, Self::add)
    }
}

impl From<Band> for Range {
    fn from(band: Band) -> Self {
        let (at_least, at_most) = match band {
            Band::None => (0, Some(0)),
            Band::UpTo5 => (1, Some(5)),
            Band::UpTo10 => (6, Some(10)),
            Band::UpTo50 => (11, Some(50)),
            Band::UpTo250 => (51, Some(250)),
            Band::UpTo1000 => (251, Some(1000)),
            Band::Over1000 => (1001, None),
        };
        Self { at_least, at_most }
    }
}

impl From<NationalBand> for Range {
    fn from(band: NationalBand) -> Self {
        let (at_least, at_most) = match band {
            NationalBand::Below250 => (0, Some(249)),
            NationalBand::Below500 => (250, Some(499)),
            NationalBand::Below750 => (500, Some(749)),
            NationalBand::Below1000 => (750, Some(999)),
            NationalBand::From1000 => (1000, None),
        };
        Self { at_least, at_most }
    }
}

impl Cell {
    /// The text of it, the same in CSV and in markdown.
    ///
    /// Bands are written `1 to 5`: spreadsheets read `1-5` as a day in January.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Code(text) => text.clone(),
            Self::Count(n) | Self::Entry(n) => n.to_string(),
            Self::Balance(n) => n.to_string(),
            Self::Money(n, currency) => {
                let sign = if *n < 0 { "-" } else { "" };
                format!("{sign}{}", currency.amount(n.unsigned_abs()))
            }
            Self::Band(range) => range.written(" to "),
            Self::NationalBand(range) => range.written("-"),
            Self::NotCollected(why) => format!("not in the log: {}", why.sentence()),
            Self::Sealed(until) => format!("sealed: {until}"),
            Self::Blank => String::new(),
        }
    }

    /// Its value with what kind of value that is.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Text(text) | Self::Code(text) => json!({ "state": "value", "value": text }),
            Self::Count(n) | Self::Entry(n) => json!({ "state": "value", "value": n }),
            Self::Balance(n) => json!({ "state": "value", "value": n }),
            Self::Money(n, currency) => {
                json!({ "state": "value", "minor_units": n, "currency": currency })
            }
            Self::Band(range) | Self::NationalBand(range) => {
                let at_least = range.at_least;
                match range.at_most {
                    Some(most) => {
                        json!({ "state": "banded", "at_least": at_least, "at_most": most })
                    }
                    None => json!({ "state": "banded", "at_least": at_least }),
                }
            }
            Self::NotCollected(why) => json!({ "state": "not-collected", "why": why.sentence() }),
            Self::Sealed(until) => json!({ "state": "sealed", "until": until }),
            Self::Blank => json!({ "state": "blank" }),
        }
    }

    /// Whether it is a figure, to be set to the right.
    pub(super) fn is_figure(&self) -> bool {
        use Cell::{Balance, Band, Count, Entry, Money, NationalBand};
        matches!(
            self,
            Count(_) | Entry(_) | Balance(_) | Money(..) | Band(_) | NationalBand(_)
        )
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Time> for Cell {
    fn from(time: Time) -> Self {
        Self::Text(time.to_string())
    }
}

impl From<&Day> for Cell {
    fn from(day: &Day) -> Self {
        Self::Text(day.to_string())
    }
}

impl From<Why> for Cell {
    fn from(why: Why) -> Self {
        Self::NotCollected(why)
    }
}

impl From<usize> for Cell {
    fn from(n: usize) -> Self {
        Self::Count(n as u64)
    }
}

impl From<u32> for Cell {
    fn from(n: u32) -> Self {
        Self::Count(n.into())
    }
}

impl From<u64> for Cell {
    fn from(n: u64) -> Self {
        Self::Count(n)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Blank, Into::into)
    }
}
