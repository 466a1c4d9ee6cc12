//! Statements: what parties and residents say, signed, and the rules by which a log admits it.
//!
//! In scope: the envelope ([`envelope`]), the payload's members and vocabulary ([`words`],
//! [`kinds`]), sealed fields ([`sealed`]), and judging an entry by the entries before it
//! ([`rules`], over [`facts`]). Not here: storage, HTTP, clocks, and the *door rules* that bind the
//! server alone (sizes of attachments, rates, vaults). Spec: `docs/PROTOCOL.md`, sections 4 and 5.
//!
//! Bytes become meaning in three steps, each with its own type:
//! [`envelope::Envelope`] (shape) → [`Signed`] (signatures verified, payload parsed) →
//! [`facts::Change`] (the rules admit it).

pub mod canonical;
pub mod envelope;
pub mod facts;
pub mod key;
pub mod kinds;
pub mod leaf;
mod offences;
pub mod refusal;
pub mod rules;
pub mod schema;
pub mod scope;
pub mod sealed;
pub mod words;

#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest::StatementId;
use crate::time::Time;
use canonical::plain;
use envelope::Envelope;
use key::PublicKey;
pub use kinds::{Kind, Statement};
use refusal::{Reason, Refusal};
use words::PartyId;

/// Who speaks in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Author {
    /// One party, by any live key of the role that the type asks for.
    Issuer(PartyId),
    /// A resident, by a key used for this one request.
    OneTimeKey(PublicKey),
    /// Several parties, ascending; each signs.
    Parties(Vec<PartyId>),
}

/// Who speaks, in plain words.
impl std::fmt::Display for Author {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Issuer(party) => write!(f, "{party}"),
            Self::OneTimeKey(_) => f.write_str("A resident"),
            Self::Parties(parties) => {
                let names: Vec<&str> = parties.iter().map(|party| party.as_str()).collect();
                f.write_str(&names.join(" and "))
            }
        }
    }
}

/// The members that every statement has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The origin of the one log this statement is for.
    pub log: String,
    pub issued_at: Time,
    pub author: Author,
}

/// The version of every statement type so far.
pub const VERSION: u32 = 1;

// Members ascend and absent ones are left out, as in the canonical form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireHead {
    issued_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<PartyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer_key: Option<PublicKey>,
    log: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parties: Option<Vec<PartyId>>,
    #[serde(rename = "type")]
    kind: String,
    version: u32,
}

const HEAD_MEMBERS: [&str; 7] = [
    "issued_at",
    "issuer",
    "issuer_key",
    "log",
    "parties",
    "type",
    "version",
];

/// A statement whose signatures all verify; whether the signers *may* say it is the rules' business.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    pub id: StatementId,
    pub head: Head,
    pub statement: Statement,
    /// The keys whose signatures verify, each over exactly these bytes.
    pub signers: BTreeSet<PublicKey>,
    /// The envelope as received, canonically re-encoded when it is logged.
    pub envelope: Envelope,
}

impl Signed {
    /// Reads an envelope's JSON, verifies every signature and parses the payload.
    ///
    /// # Errors
    /// A [`Refusal`] of class `Form` or `Signature` that names the member at fault.
    pub fn read(json: &[u8]) -> Result<Self, Refusal> {
        Self::from_envelope(Envelope::parse(json)?)
    }

    /// As [`Signed::read`], from a parsed envelope.
    ///
    /// # Errors
    /// As [`Signed::read`].
    pub fn from_envelope(envelope: Envelope) -> Result<Self, Refusal> {
        let (head, statement) = parse_payload(&envelope.payload)?;
        let signers = envelope.verify()?;
        Ok(Self {
            id: StatementId::of_payload(&envelope.payload),
            head,
            statement,
            signers,
            envelope,
        })
    }
}

/// The canonical payload of a statement.
pub fn payload(head: &Head, statement: &Statement) -> Vec<u8> {
    let (issuer, issuer_key, parties) = match head.author.clone() {
        Author::Issuer(party) => (Some(party), None, None),
        Author::OneTimeKey(key) => (None, Some(key), None),
        Author::Parties(parties) => (None, None, Some(parties)),
    };
    let wire = WireHead {
        issued_at: head.issued_at,
        issuer,
        issuer_key,
        parties,
        log: head.log.clone(),
        kind: statement.name().to_owned(),
        version: VERSION,
    };
    let mut members = to_object(&wire);
    members.append(&mut statement.to_members());
    canonical::to_vec(&members)
}

/// A signed envelope of a statement.
pub fn sign(head: &Head, statement: &Statement, keys: &[&SigningKey]) -> Envelope {
    Envelope::sign(payload(head, statement), keys)
}

/// Parses a payload: canonical bytes, the common members, the type's own members, nothing besides.
///
/// # Errors
/// A [`Refusal`] of class `Form`.
pub fn parse_payload(payload: &[u8]) -> Result<(Head, Statement), Refusal> {
    if let Some(parsed) = parse_plain(payload) {
        return Ok(parsed);
    }
    let (head, statement) = from_value(canonical::parse(payload)?)?;
    // serde also reads an array for a struct and `null` for a missing member: second spellings.
    if self::payload(&head, &statement) != payload {
        return Err(Refusal::new(
            Reason::NotCanonical,
            "",
            "write structures as objects with named members, and leave absent members out",
        ));
    }
    Ok((head, statement))
}

/// The way of nearly every payload; what it does not take, for whatever reason, is taken or
/// explained by those who take longer.
fn parse_plain(payload: &[u8]) -> Option<(Head, Statement)> {
    let is_common = |(name, _): &plain::Member<'_>| HEAD_MEMBERS.contains(name);
    let members = plain::members(payload)?;
    let (common, own): (Vec<_>, Vec<_>) = members.into_iter().partition(is_common);
    let wire: WireHead = plain::structure(&common)?;
    let statement = Statement::from_plain(&wire.kind, wire.version, &own)?;
    Some((wire.read().ok()?, statement))
}

fn from_value(payload: Value) -> Result<(Head, Statement), Refusal> {
    let Value::Object(mut members) = payload else {
        return Err(Refusal::new(Reason::NotJson, "", "a payload is an object"));
    };
    let mut head = Map::new();
    for name in HEAD_MEMBERS {
        if let Some((name, value)) = members.remove_entry(name) {
            head.insert(name, value);
        }
    }
    let wire: WireHead = from_object(head)?;
    let statement = Statement::from_members(&wire.kind, wire.version, members)?;
    Ok((wire.read()?, statement))
}

impl WireHead {
    fn read(self) -> Result<Head, Refusal> {
        let author = match (self.issuer, self.issuer_key, self.parties) {
            (Some(party), None, None) => Author::Issuer(party),
            (None, Some(key), None) => Author::OneTimeKey(key),
            (None, None, Some(parties)) => {
                if parties.len() < 2 || !parties.is_sorted_by(|one, next| one < next) {
                    return Err(Refusal::new(
                        Reason::BadValue,
                        "/parties",
                        "two or more parties in ascending order, each once",
                    ));
                }
                Author::Parties(parties)
            }
            _ => {
                return Err(Refusal::new(
                    Reason::WrongAuthor,
                    "",
                    "exactly one of issuer, issuer_key and parties",
                ));
            }
        };
        Ok(Head {
            log: self.log,
            issued_at: self.issued_at,
            author,
        })
    }
}

fn to_object(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(members)) => members,
        _ => unreachable!("own types serialise as objects"),
    }
}

fn from_object<T: serde::de::DeserializeOwned>(members: Map<String, Value>) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(Value::Object(members)).map_err(form_fault)
}

/// A member's name as a segment of a JSON Pointer (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What serde found wrong, as a refusal with the member at fault.
fn form_fault(error: serde_path_to_error::Error<serde_json::Error>) -> Refusal {
    use serde_path_to_error::Segment;
    let mut member = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => member.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                member.push('/');
                member.push_str(&escaped(key));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let detail = error.inner().to_string();
    // serde_json says which member is surplus or missing only in its message.
    let named = || escaped(detail.split('`').nth(1).unwrap_or_default());
    let (reason, named) = if detail.starts_with("unknown field") {
        (Reason::UnknownMember, Some(named()))
    } else if detail.starts_with("missing field") {
        (Reason::MissingMember, Some(named()))
    } else if error.inner().is_syntax() || error.inner().is_eof() {
        (Reason::NotJson, None)
    } else {
        (Reason::BadValue, None)
    };
    if let Some(name) = named
        && !member.ends_with(&format!("/{name}"))
    {
        member.push('/');
        member.push_str(&name);
    }
    Refusal::new(reason, member, detail)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    fn slow(payload: &[u8]) -> Result<(Head, Statement), Refusal> {
        let (head, statement) = from_value(canonical::parse(payload)?)?;
        assert_eq!(super::payload(&head, &statement), payload);
        Ok((head, statement))
    }

    /// The payload of an example of each type.
    static EXAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(examples);

    fn examples() -> Vec<Vec<u8>> {
        let author = |number: usize| match number % 3 {
            0 => Author::Issuer(testing::id("lakelandgov.example")),
            1 => Author::OneTimeKey(testing::public("once")),
            _ => Author::Parties(["a.example", "b.example"].map(testing::id).to_vec()),
        };
        let examples = Statement::examples().into_iter().enumerate();
        let payload = |(number, statement)| {
            let head = Head {
                log: testing::ORIGIN.to_owned(),
                issued_at: "2019-07-31T14:00:00Z".parse().unwrap(),
                author: author(number),
            };
            super::payload(&head, &statement)
        };
        examples.map(payload).collect()
    }

    #[test]
    fn every_type_is_read_the_fast_way() {
        for payload in EXAMPLES.iter() {
            let text = String::from_utf8_lossy(payload);
            let parsed = parse_plain(payload).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(slow(payload), Ok(parsed));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn what_is_read_fast_is_read_the_same_slowly(
            example in any::<prop::sample::Index>(),
            edits in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"{}[]\",:0189nulabtZ-\\ "[..])), 1..3),
        ) {
            let mut payload = example.get(&EXAMPLES).clone();
            for (place, byte) in edits {
                let place = place.index(payload.len());
                payload[place] = byte;
            }
            if let Some(parsed) = parse_plain(&payload) {
                prop_assert_eq!(slow(&payload), Ok(parsed));
            }
        }
    }
}
