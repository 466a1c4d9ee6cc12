//! Numbers, times and codes as people say them.

use crate::plain::inflect;
pub use crate::record::report::grouped;
use crate::statement::kinds::agreement::{EndReason, Instrument, Status};
use crate::statement::kinds::demand_response::Outcome;
use crate::statement::words::{DataKind, Day, Label, PartyKind};
use crate::time::Time;

/// A point in time for machines and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// RFC 3339, or a plain date.
    pub iso: String,
    /// Such as `1 July 2019, 10:00 UTC`.
    pub text: String,
}

impl From<Time> for Moment {
    fn from(time: Time) -> Self {
        let iso = time.to_string();
        let (day, time) = iso.split_once('T').unwrap_or((&iso, ""));
        let text = format!("{}, {} UTC", date(day), time.get(..5).unwrap_or(time));
        Self { iso, text }
    }
}

impl From<&Day> for Moment {
    fn from(day: &Day) -> Self {
        let iso = day.to_string();
        let text = date(&iso);
        Self { iso, text }
    }
}

/// `2019-07-01` as `1 July 2019`.
fn date(iso: &str) -> String {
    iso.parse().map_or_else(
        |_| iso.to_owned(),
        |date: jiff::civil::Date| date.strftime("%-d %B %Y").to_string(),
    )
}

/// `n` of a thing, such as `1 day` or `3 days`.
pub fn count(n: u64, thing: &str) -> String {
    format!("{} {}", grouped(n), inflect(n, thing))
}

/// A length of time.
pub fn duration(minutes: u32) -> String {
    let (hours, rest) = (u64::from(minutes / 60), u64::from(minutes % 60));
    match (hours, rest) {
        (0, _) => count(rest, "minute"),
        (_, 0) => count(hours, "hour"),
        _ => format!("{} {}", count(hours, "hour"), count(rest, "minute")),
    }
}

/// An area, metric and in square miles.
pub fn area(square_metres: u32) -> String {
    const SQUARE_MILE: f64 = 2_589_988.110_336;
    if square_metres < 10_000 {
        return format!("{} m²", grouped(square_metres.into()));
    }
    let metres = f64::from(square_metres);
    format!(
        "{:.2} km² ({:.2} square miles)",
        metres / 1e6,
        metres / SQUARE_MILE
    )
}

/// A label with its words apart.
pub fn label(label: &Label) -> String {
    label.as_str().replace(['-', '_'], " ")
}

/// What a party is.
pub fn party_kind(kind: PartyKind) -> &'static str {
    match kind {
        PartyKind::Agency => "police agency",
        PartyKind::Court => "court",
        PartyKind::Operator => "operator of this ledger",
        PartyKind::Vendor => "vendor",
        PartyKind::Watchdog => "watchdog",
    }
}

/// The form of an agreement.
pub fn instrument(instrument: Instrument) -> &'static str {
    match instrument {
        Instrument::Contract => "Contract",
        Instrument::MemorandumOfUnderstanding => "Memorandum of understanding",
        Instrument::None => "Declaration that there is no agreement",
        Instrument::OnlineForm => "Online form",
    }
}

/// Where an agreement stands.
pub fn status(status: Status) -> &'static str {
    match status {
        Status::Declined => "Declined",
        Status::InForce => "In force",
        Status::Proposed => "Proposed",
        Status::Suspended => "Suspended",
        Status::Terminated => "Ended",
    }
}

/// Why an agreement came to an end, after "because".
pub fn end_reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Breach => "it was breached",
        EndReason::CouncilVote => "the council voted so",
        EndReason::Expired => "its time had run out",
        EndReason::LegalReview => "a legal review advised it",
        EndReason::PolicyChange => "policy has changed",
        EndReason::WillNotPromoteABrand => "the agency will not promote a brand",
    }
}

/// What a demand brought.
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Challenged => "taken to a court",
        Outcome::Full => "answered in full",
        Outcome::None => "there was nothing to give",
        Outcome::Partial => "answered in part",
        Outcome::Rejected => "rejected",
        Outcome::Withdrawn => "withdrawn by whoever demanded",
    }
}

/// Codes with their words apart.
pub fn codes<T: ToString>(codes: &[T]) -> String {
    let words = codes.iter().map(|code| code.to_string().replace('-', " "));
    words.collect::<Vec<_>>().join(", ")
}

/// A kind of data asked for.
pub fn data_kind(kind: DataKind) -> &'static str {
    match kind {
        DataKind::Contact => "how to reach the resident",
        DataKind::Name => "the resident’s name",
        DataKind::Place => "where the camera is",
        DataKind::Time => "when it was recorded",
        DataKind::Video => "video",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_said_plainly() {
        let time: Time = "2019-07-01T09:05:00Z".parse().unwrap();
        assert_eq!(Moment::from(time).text, "1 July 2019, 09:05 UTC");
        let day: Day = "2018-12-13".parse().unwrap();
        assert_eq!(Moment::from(&day).text, "13 December 2018");
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [1, 45, 60, 90, 720].map(duration),
            [
                "1 minute",
                "45 minutes",
                "1 hour",
                "1 hour 30 minutes",
                "12 hours"
            ]
        );
        assert_eq!(area(5_000), "5,000 m²");
        assert_eq!(area(1_295_000), "1.29 km² (0.50 square miles)");
    }
}
