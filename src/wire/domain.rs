//! What a party publishes under its host name: digests of its keys, so that others see that whoever
//! controls the name knows these keys.
//!
//! Two forms of the same: TXT records of `_whosaw.<party id>`, and a file at
//! `https://<party id>/.well-known/whosaw.json` (RFC 8615). Spec: `docs/PROTOCOL.md`, section 2. Not here:
//! asking for them ([`crate::client::domain`]), and which keys a party has ([`crate::record::domains`]).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::statement::key::PublicKey;
use crate::statement::words::PartyId;

/// The most digests that a party publishes.
pub const MAX_KEYS: usize = 512;
/// The largest file, in bytes.
pub const MAX_FILE: u64 = 64 << 10;
/// Where the file lies.
pub const FILE_PATH: &str = "/.well-known/whosaw.json";

/// What a record of this version begins with.
const TAG: &str = "whosaw1";
const VERSION: u32 = 1;
const DIGEST: &str = "sha256:";
/// Keys in a record as it is written: they fit one string of 255 bytes, which no tool needs to cut.
const KEYS_A_RECORD: usize = 3;

/// What is published is not of the form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    #[error("a record has {0:?} where `key=sha256:` and 64 lower-case hexadecimal digits stand")]
    Word(String),
    #[error("a record names no key")]
    NoKey,
    #[error("more than {MAX_KEYS} keys")]
    TooMany,
    #[error("larger than {MAX_FILE} bytes")]
    TooLarge,
    #[error("not a JSON object of `keys` and `whosaw` alone (line {line}, column {column})")]
    Json { line: usize, column: usize },
    #[error("of version {0}, where {VERSION} is known")]
    Version(u32),
    #[error("a key is {0:?}, where `sha256:` and 64 lower-case hexadecimal digits stand")]
    Key(String),
}

/// The digests that a host name shows: SHA-256 of the 32 bytes of each key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published(BTreeSet<Digest>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Vec<String>,
    whosaw: u32,
}

impl Published {
    /// The digests of these keys.
    ///
    /// # Errors
    /// [`FormError::TooMany`].
    pub fn of(keys: &[PublicKey]) -> Result<Self, FormError> {
        Self::default().with(keys.iter().map(|key| Ok(digest(key))))
    }

    /// From TXT records, each the bytes of its strings one after another (as RFC 7208, 3.3). Those
    /// that do not begin with the word `whosaw1` are somebody else's, and passed over.
    ///
    /// # Errors
    /// [`FormError`], if one of these is not of the form: it says what its owner mistyped.
    pub fn from_records<'a>(
        records: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, FormError> {
        let mut published = Self::default();
        for record in records {
            let mut words = record.split(|byte| *byte == b' ');
            if words.next() != Some(TAG.as_bytes()) {
                continue;
            }
            let words: Vec<&[u8]> = words.collect();
            if words.is_empty() {
                return Err(FormError::NoKey);
            }
            published = published.with(words.into_iter().map(|word| {
                let text = str::from_utf8(word).ok();
                let found = text.and_then(|text| parse_digest(text.strip_prefix("key=")?));
                found.ok_or_else(|| FormError::Word(excerpt(&String::from_utf8_lossy(word))))
            }))?;
        }
        Ok(published)
    }

    /// From the file's bytes.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn from_file(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() as u64 > MAX_FILE {
            return Err(FormError::TooLarge);
        }
        // What stands there is a stranger's, and is shown to people: the place of a fault is enough.
        let file: File = serde_json::from_slice(bytes).map_err(|e| FormError::Json {
            line: e.line(),
            column: e.column(),
        })?;
        if file.whosaw != VERSION {
            return Err(FormError::Version(file.whosaw));
        }
        let digest =
            |text: &String| parse_digest(text).ok_or_else(|| FormError::Key(excerpt(text)));
        Self::default().with(file.keys.iter().map(digest))
    }

    fn with(
        mut self,
        digests: impl Iterator<Item = Result<Digest, FormError>>,
    ) -> Result<Self, FormError> {
        for digest in digests {
            self.0.insert(digest?);
            if self.0.len() > MAX_KEYS {
                return Err(FormError::TooMany);
            }
        }
        Ok(self)
    }

    /// The TXT records to publish: each at most 255 bytes of printable ASCII.
    pub fn records(&self) -> Vec<String> {
        let digests: Vec<&Digest> = self.0.iter().collect();
        let record = |some: &[&Digest]| {
            let words = some.iter().map(|digest| format!(" key={DIGEST}{digest}"));
            format!("{TAG}{}", words.collect::<String>())
        };
        digests.chunks(KEYS_A_RECORD).map(record).collect()
    }

    /// The file to publish.
    pub fn file(&self) -> String {
        let file = File {
            keys: self
                .0
                .iter()
                .map(|digest| format!("{DIGEST}{digest}"))
                .collect(),
            whosaw: VERSION,
        };
        serde_json::to_string_pretty(&file).expect("texts serialise") + "\n"
    }

    /// Whether a key is among them.
    pub fn has(&self, key: &PublicKey) -> bool {
        self.0.contains(&digest(key))
    }

    /// Those of `keys` that are not among them.
    pub fn lacks(&self, keys: &[PublicKey]) -> Vec<PublicKey> {
        keys.iter().filter(|key| !self.has(key)).copied().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is published.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The name whose TXT records are a party's.
pub fn record_name(party: &PartyId) -> String {
    format!("_whosaw.{party}")
}

/// The address of a party's file.
pub fn file_url(party: &PartyId) -> String {
    format!("https://{party}{FILE_PATH}")
}

fn digest(key: &PublicKey) -> Digest {
    Digest::of(key.to_bytes())
}

fn parse_digest(text: &str) -> Option<Digest> {
    text.strip_prefix(DIGEST)?.parse().ok()
}

/// As much of a stranger's word as its owner needs to find it.
fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(seed: u8) -> PublicKey {
        PublicKey::from(&ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    fn from_records(records: &[&str]) -> Result<Published, FormError> {
        Published::from_records(records.iter().map(|record| record.as_bytes()))
    }

    /// SHA-256 of the public key of RFC 8032, 7.1, test 1.
    #[test]
    fn a_digest_is_of_the_32_bytes() {
        let text = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let bytes: [u8; 32] = hex::decode(text).unwrap().try_into().unwrap();
        let key = PublicKey::from_bytes(bytes).unwrap();
        let published = Published::of(&[key]).unwrap();
        let digits = "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9";
        assert_eq!(
            published.records(),
            [format!("whosaw1 key=sha256:{digits}")]
        );
        let file =
            format!("{{\n  \"keys\": [\n    \"sha256:{digits}\"\n  ],\n  \"whosaw\": 1\n}}\n");
        assert_eq!(published.file(), file);
    }

    #[test]
    fn what_is_not_of_the_form_is_told() {
        let good = Published::of(&[key(1)]).unwrap().records().remove(0);
        for others in [
            &["", "v=spf1 -all", "whosaw10 key=x", "whosaw1x"][..],
            &["WHOSAW1 key=sha256:00", " whosaw1", "whosaw1\tkey=x"],
        ] {
            assert_eq!(from_records(others), Ok(Published::default()), "{others:?}");
        }
        assert_eq!(from_records(&["whosaw1"]), Err(FormError::NoKey));
        let upper = good
            .to_uppercase()
            .replace("WHOSAW1 KEY=SHA256", "whosaw1 key=sha256");
        for bad in [
            "whosaw1 ",
            "whosaw1  ",
            "whosaw1 key=",
            "whosaw1 key=sha256:",
            "whosaw1 key=sha256:00",
            "whosaw1 key=sha512:00",
            "whosaw1 keys=sha256:00",
            &format!("{good} "),
            &format!("{good}0"),
            &good[..good.len() - 1],
            &good.replace(' ', "  "),
            &upper,
        ] {
            let found = from_records(&["unrelated", &good, bad]);
            assert!(matches!(found, Err(FormError::Word(_))), "{bad}: {found:?}");
        }
        let escaped = from_records(&["whosaw1 \u{1b}[2J"])
            .unwrap_err()
            .to_string();
        assert!(!escaped.contains('\u{1b}'), "{escaped}");
        let not_utf8 = Published::from_records([&b"whosaw1 \xff"[..]]);
        assert!(matches!(not_utf8, Err(FormError::Word(_))));
    }

    #[test]
    fn a_file_has_its_two_members_and_a_size() {
        let file = |text: &str| Published::from_file(text.as_bytes());
        assert_eq!(file(r#"{"keys":[],"whosaw":1}"#), Ok(Published::default()));
        let spaced = " { \"whosaw\" : 1, \"keys\" : [] } \n";
        assert_eq!(file(spaced), Ok(Published::default()));
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"keys":[]}"#,
            r#"{"whosaw":1}"#,
            r#"{"keys":[],"whosaw":"1"}"#,
            r#"{"keys":[],"whosaw":1,"whosaw":1}"#,
            r#"{"keys":[],"more":1,"whosaw":1}"#,
            r#"{"keys":[1],"whosaw":1}"#,
            r#"{"keys":{},"whosaw":1}"#,
            r#"{"keys":[],"whosaw":1} x"#,
            "\u{feff}{\"keys\":[],\"whosaw\":1}",
        ] {
            assert!(matches!(file(bad), Err(FormError::Json { .. })), "{bad}");
        }
        let other = file(r#"{"keys":[],"whosaw":2}"#);
        assert_eq!(other, Err(FormError::Version(2)));
        let word = file(r#"{"keys":["sha256:00"],"whosaw":1}"#);
        assert_eq!(word, Err(FormError::Key("sha256:00".to_owned())));
        let small = file(r#"{"keys":[],"whosaw":1}"#);
        let mut padded = br#"{"keys":[],"whosaw":1}"#.to_vec();
        padded.resize(MAX_FILE as usize, b' ');
        assert_eq!(Published::from_file(&padded), small);
        padded.push(b' ');
        assert_eq!(Published::from_file(&padded), Err(FormError::TooLarge));
    }

    #[test]
    fn there_are_so_many_keys() {
        let digests = |n: u32| (0..n).map(|i| Ok(Digest::of(i.to_be_bytes())));
        let most = Published::default().with(digests(512)).unwrap();
        assert!((most.file().len() as u64) < MAX_FILE);
        assert_eq!(Published::from_file(most.file().as_bytes()), Ok(most));
        let more = Published::default().with(digests(513));
        assert_eq!(more, Err(FormError::TooMany));
    }

    proptest! {
        #[test]
        fn both_forms_say_the_same(seeds: Vec<u8>, others: Vec<u8>, cut in 0..300_usize) {
            let keys: Vec<PublicKey> = seeds.iter().map(|seed| key(*seed)).collect();
            let published = Published::of(&keys).unwrap();
            let records = published.records();
            prop_assert!(records.iter().all(|r| r.len() <= 255 && r.is_ascii()));
            let texts: Vec<&str> = records.iter().map(String::as_str).collect();
            prop_assert_eq!(from_records(&texts), Ok(published.clone()));
            let file = published.file();
            prop_assert_eq!(Published::from_file(file.as_bytes()), Ok(published.clone()));
            // What lacks is what was not published, no more and no less.
            let asked: Vec<PublicKey> = others.iter().map(|seed| key(*seed)).collect();
            let lacks: Vec<u8> = others.iter().filter(|o| !seeds.contains(o)).copied().collect();
            let lacking: Vec<PublicKey> = lacks.iter().map(|seed| key(*seed)).collect();
            prop_assert_eq!(published.lacks(&asked), lacking);
            // No part of it passes for the whole.
            if cut < file.trim_end().len() {
                prop_assert!(Published::from_file(&file.as_bytes()[..cut]).is_err());
            }
        }

        #[test]
        fn records_may_come_in_any_order(seeds in prop::collection::vec(any::<u8>(), 1..40), turn: usize) {
            let keys: Vec<PublicKey> = seeds.iter().map(|seed| key(*seed)).collect();
            let published = Published::of(&keys).unwrap();
            let mut records = published.records();
            let n = records.len();
            records.rotate_left(turn % n);
            records.push("somebody else's".to_owned());
            let texts: Vec<&str> = records.iter().map(String::as_str).collect();
            prop_assert_eq!(from_records(&texts), Ok(published));
        }
    }
}
