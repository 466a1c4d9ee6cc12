//! The vocabulary of statements: short, checked texts and codes. No prose, nothing personal.
//!
//! Each type has one checking constructor (`FromStr`) and one spelling per value.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::refusal::{Reason, Refusal};
pub use crate::time::Day;

/// A text that is not of the form its member requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WordError(&'static str);

/// Declares a newtype over `String` with its pattern for schemas and its check.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $pattern:literal, $expected:literal, $check:expr $(, at most $most:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = WordError;

            fn from_str(text: &str) -> Result<Self, WordError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(WordError($expected))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        crate::encoding::serde_as_text!($name);

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                #[allow(unused_mut)]
                let mut schema =
                    json_schema!({ "type": "string", "pattern": $pattern, "description": $expected });
                $(schema.insert("maxLength".to_owned(), $most.into());)?
                schema
            }
        }
    };
}

word! {
    /// A party's id: a host name of at least two labels, lower case, A-labels (RFC 5890). The last one
    /// begins with a letter, as all top-level domains do, and no IP address does.
    PartyId,
    "^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
    "a host name: letters a-z, digits and hyphens, at least two labels, the last beginning with a letter, at most 253 bytes",
    |text| {
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let last = text.rsplit_once('.').map(|(_, last)| last);
        text.len() <= 253
            && text.split('.').all(label)
            && last.is_some_and(|last| last.starts_with(|c: char| c.is_ascii_lowercase()))
    }, at most 253
}

word! {
    /// A party's public name.
    Name,
    "^[\\p{Alphabetic}\\p{N}.,'&-]([\\p{Alphabetic}\\p{N} .,'&-]{0,98}[\\p{Alphabetic}\\p{N}.,'&-])?$",
    "at most 100 letters, digits, spaces and .,'&- (no space at either end)",
    |text| {
        let count = text.chars().count();
        (1..=100).contains(&count)
            && text.trim() == text
            && text.chars().all(|c| c.is_alphanumeric() || " .,'&-".contains(c))
    }
}

word! {
    /// A free label: a pseudonym, a kind of equipment, a version.
    Label,
    "^[a-z0-9._-]{1,64}$",
    "1 to 64 of a-z, 0-9, dot, underscore, hyphen",
    |text| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
    }
}

word! {
    /// A country or one of its subdivisions (ISO 3166-1 alpha-2, ISO 3166-2).
    Jurisdiction,
    "^[A-Z]{2}(-[A-Z0-9]{1,3})?$",
    "an ISO 3166 code such as US or US-FL",
    |text| {
        let (country, subdivision) = match text.split_once('-') {
            Some((country, subdivision)) => (country, Some(subdivision)),
            None => (text, None),
        };
        country.len() == 2
            && country.bytes().all(|b| b.is_ascii_uppercase())
            && subdivision.is_none_or(|s| {
                (1..=3).contains(&s.len())
                    && s.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            })
    }
}

word! {
    /// A currency (ISO 4217).
    Currency,
    "^[A-Z]{3}$",
    "an ISO 4217 code such as USD",
    |text| text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase())
}

word! {
    /// One case of one agency: 16 random bytes, the same in all statements about it.
    Investigation,
    "^[0-9a-f]{32}$",
    "32 lower-case hexadecimal digits, drawn at random once for each case",
    |text| text.len() == 32 && crate::encoding::from_hex(text).is_ok()
}

word! {
    /// An offence by its NIBRS code. Those that name their victim's fate stand as two-digit groups
    /// (11 sex offences, 36 incest and statutory, 40 prostitution, 64 trafficking).
    Offence,
    "^[0-9]{2}[0-9A-Z]?$",
    "a NIBRS code such as 220; for 11x, 36x, 40x and 64x the two-digit group",
    |text| super::offences::name(text).is_some()
}

/// An amount of money in the minor units of its currency (cents for USD).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// The currency (ISO 4217).
    pub currency: Currency,
    /// Minor units of the currency: 1000 is ten dollars.
    pub minor_units: u32,
}

/// Currencies whose minor unit is not a hundredth: their decimals (ISO 4217, list one).
const DECIMALS: &[(&str, usize)] = &[
    ("BHD", 3),
    ("BIF", 0),
    ("CLF", 4),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("IQD", 3),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("PYG", 0),
    ("RWF", 0),
    ("TND", 3),
    ("UGX", 0),
    ("UYI", 0),
    ("UYW", 4),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
];

impl Currency {
    /// How many decimals its amounts have.
    pub fn decimals(&self) -> usize {
        let listed = DECIMALS.iter().find(|(code, _)| *code == self.as_str());
        listed.map_or(2, |(_, decimals)| *decimals)
    }

    /// So many minor units, as people write it: `120 USD`, `0.50 USD`.
    pub fn amount(&self, minor_units: u64) -> String {
        let decimals = self.decimals();
        let digits = format!("{minor_units:0least$}", least = decimals.saturating_add(1));
        match digits.split_at_checked(digits.len().saturating_sub(decimals)) {
            Some((whole, rest)) if rest.bytes().any(|digit| digit != b'0') => {
                format!("{whole}.{rest} {self}")
            }
            Some((whole, _)) => format!("{whole} {self}"),
            None => format!("{digits} {self}"),
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.currency.amount(self.minor_units.into()))
    }
}

/// A member that is a list of codes: short, ascending, each once.
///
/// # Errors
/// [`Reason::BadValue`] at `member`.
pub(super) fn ascending<T: Ord>(
    member: &str,
    items: &[T],
    count: RangeInclusive<usize>,
) -> Result<(), Refusal> {
    if count.contains(&items.len()) && items.is_sorted_by(|one, next| one < next) {
        return Ok(());
    }
    let (least, most) = count.into_inner();
    let detail = format!("{least} to {most}, ascending, each once");
    Err(Refusal::new(Reason::BadValue, member, detail))
}

/// Codes in a sentence.
pub(crate) fn listed<T: fmt::Display>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(T::to_string).collect();
    texts.join(", ")
}

/// Declares an enum of codes, written in kebab case.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[derive(clap::ValueEnum)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $code)] #[value(name = $code)] $variant,)* }

        impl $name {
            /// The code as it stands in statements.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}

pub(crate) use codes;

codes! {
    /// What a party is.
    PartyKind {
        Agency = "agency",
        Court = "court",
        Operator = "operator",
        Vendor = "vendor",
        Watchdog = "watchdog",
    }
}

codes! {
    /// What a key may sign.
    Role {
        /// Registrations, keys, limits, agreements.
        Admin = "admin",
        /// Everyday statements: requests and collections, benefits, commitment batches.
        Officer = "officer",
        /// HTTP messages (RFC 9421), and no statement.
        Service = "service",
    }
}

codes! {
    /// A kind of data about a clip.
    DataKind {
        Contact = "contact",
        Name = "name",
        Place = "place",
        Time = "time",
        Video = "video",
    }
}

codes! {
    /// A kind of record about a resident's clips or account.
    RecordKind {
        /// Who holds the account.
        Account = "account",
        /// Clips as they are stored, unreadable to whoever stores them.
        ClipCiphertext = "clip-ciphertext",
        /// Clips that can be seen.
        ClipContent = "clip-content",
        /// When clips were stored, and how large they are.
        ClipMetadata = "clip-metadata",
        /// Network addresses, and when they were seen.
        Connection = "connection",
        /// Where a camera is.
        Location = "location",
        Payment = "payment",
    }
}

codes! {
    /// How many. Small counts would identify households.
    Band {
        None = "0",
        UpTo5 = "1-5",
        UpTo10 = "6-10",
        UpTo50 = "11-50",
        UpTo250 = "51-250",
        UpTo1000 = "251-1000",
        Over1000 = "over-1000",
    }
}

codes! {
    /// How many minutes of film, in all. An exact length would tell which clip it is.
    MinutesBand {
        UpTo15 = "1-15",
        UpTo60 = "16-60",
        UpTo240 = "61-240",
        UpTo720 = "241-720",
        Over720 = "over-720",
    }
}

impl MinutesBand {
    /// The band of a number of minutes; less than one counts as one.
    pub fn of(minutes: u64) -> Self {
        match minutes {
            0..=15 => Self::UpTo15,
            16..=60 => Self::UpTo60,
            61..=240 => Self::UpTo240,
            241..=720 => Self::UpTo720,
            _ => Self::Over720,
        }
    }

    /// The fewest minutes in the band.
    pub fn least(self) -> u32 {
        match self {
            Self::UpTo15 => 1,
            Self::UpTo60 => 16,
            Self::UpTo240 => 61,
            Self::UpTo720 => 241,
            Self::Over720 => 721,
        }
    }
}

codes! {
    /// Why a notice or an opening waits: the grounds of Cal. Penal Code 1546.2 and 18 U.S.C. 2705.
    DelayGround {
        /// Flight from prosecution.
        Flight = "flight",
        /// Intimidation of potential witnesses.
        Intimidation = "intimidation",
        /// Serious jeopardy to an investigation, or undue delay of a trial.
        Jeopardy = "jeopardy",
        /// Danger to the life or physical safety of somebody.
        Safety = "safety",
        /// Destruction of evidence, or tampering with it.
        Tampering = "tampering",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_of_minutes_is_in_the_band_that_begins_last_before_it() {
        for (minutes, band) in [
            (0, "1-15"),
            (1, "1-15"),
            (15, "1-15"),
            (16, "16-60"),
            (60, "16-60"),
            (61, "61-240"),
            (240, "61-240"),
            (241, "241-720"),
            (720, "241-720"),
            (721, "over-720"),
            (u64::MAX, "over-720"),
        ] {
            let of = MinutesBand::of(minutes);
            assert_eq!(of.code(), band, "{minutes}");
            assert!(u64::from(of.least()) <= minutes.max(1));
            assert_eq!(MinutesBand::of(of.least().into()), of);
        }
    }

    fn accepts<T: FromStr>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(text.parse::<T>().is_ok(), "{text:?} is fine");
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "{text:?} is not");
        }
    }

    #[test]
    fn words_are_checked() {
        accepts::<PartyId>(
            &[
                "lakelandgov.example",
                "a.b",
                "xn--bcher-kva.example",
                "1.example",
            ],
            &[
                "Lakeland.example",
                "example",
                "-a.example",
                "a-.example",
                "a..b",
                ".a",
                "a.b.",
                "ü.example",
                "a_b.example",
                "127.0.0.1",
                "169.254.169.254",
                "127.1",
                "a.0x7f",
            ],
        );
        accepts::<PartyId>(
            &[],
            &[&format!("{}.example", "a".repeat(64)), &"a.".repeat(127)],
        );
        accepts::<Name>(
            &["Lakeland Police Dept.", "Müller & Söhne, 2nd", "D'Arcy"],
            &[
                "",
                " a",
                "a ",
                "a\u{202e}b",
                "a\nb",
                "<b>",
                &"a".repeat(101),
            ],
        );
        accepts::<Label>(
            &["officer-17", "a.b_c"],
            &["", "Officer", "a b", &"a".repeat(65)],
        );
        accepts::<Jurisdiction>(
            &["US", "US-FL", "GB-ENG"],
            &["us", "USA", "US-", "US-FLOR", "US_FL"],
        );
        accepts::<Currency>(&["USD"], &["usd", "US", "USDT"]);
        accepts::<Investigation>(
            &[&"0a".repeat(16)],
            &["", &"0A".repeat(16), &"0a".repeat(15)],
        );
        accepts::<Offence>(&["220", "13A", "11"], &["11A", "64B", "999", "220 "]);
    }

    #[test]
    fn money_is_written_in_its_currency() {
        let money = |minor_units, code: &str| Money {
            currency: code.parse().unwrap(),
            minor_units,
        };
        assert_eq!(money(1000, "USD").to_string(), "10 USD");
        assert_eq!(money(1005, "USD").to_string(), "10.05 USD");
        assert_eq!(money(1005, "JPY").to_string(), "1005 JPY");
        assert_eq!(money(1005, "KWD").to_string(), "1.005 KWD");
        assert_eq!(money(10_050, "UYW").to_string(), "1.0050 UYW");
    }

    /// What the schema shows to strangers and what is read here are one and the same. Only of letters
    /// that every version of Unicode in use knows: others count as soon as a program knows them.
    #[test]
    fn names_are_of_the_characters_that_their_schema_says() {
        let schema = schemars::schema_for!(Name);
        let schema = jsonschema::validator_for(schema.as_value()).unwrap();
        let others = "\u{5d0}\u{9be}\u{4e00}\u{2167}\u{b2}\u{bd}\u{200b}\u{202e}\u{1f600}";
        for c in ('\0'..='\u{58f}').chain(others.chars()) {
            let text = c.to_string();
            let by_schema = schema.is_valid(&text.clone().into());
            assert_eq!(by_schema, text.parse::<Name>().is_ok(), "{c:?}");
        }
    }
}
