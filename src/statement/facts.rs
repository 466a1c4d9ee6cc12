//! What the rules need to know of earlier entries: facts, by key.
//!
//! A rule asks for facts and answers with the facts it changes; who stores them (a map, SQLite) is
//! not its business. Facts are small and keyed so that judging an entry reads a handful of them,
//! however long the log is.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::key::PublicKey;
use super::kinds::agreement::{Status, Term};
use super::kinds::legal_demand::ProcessKind;
use super::kinds::limits::Limits;
use super::kinds::log_closed::{ClosingReason, Successor};
use super::sealed::SealDigest;
use super::words::{Day, Investigation, Label, PartyId, PartyKind, Role};
use crate::digest::{Digest, StatementId};
use crate::seal::commitment::Commitment;
use crate::seal::recipient::Recipient;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// Whoever knows the facts that earlier entries established.
pub trait Facts {
    type Error;

    /// The fact under `key`.
    fn fact(&self, key: &FactKey) -> Result<Option<Fact>, Self::Error>;

    /// The index of an admitted statement.
    fn find(&self, id: &StatementId) -> Result<Option<LeafIndex>, Self::Error>;
}

/// The facts that one entry changes, to be applied together or not at all.
pub type Change = Vec<(FactKey, Fact)>;

/// Declares fact keys, the fact behind each, the bytes of the keys and the typed look-ups at once.
macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident $look_up:ident($key:ty) = $tag:literal => $value:ty,)*) => {
        /// What a fact is about.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FactKey { $($(#[$doc])* $name($key),)* }

        /// A fact; its variant is that of its key.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub enum Fact { $($name($value),)* }

        impl FactKey {
            /// The key as bytes for a store: a tag, then what the fact is about.
            pub fn to_bytes(&self) -> Vec<u8> {
                match self {
                    $(Self::$name(key) => [&[$tag][..], &key.key_bytes()].concat(),)*
                }
            }
        }

        /// Typed look-ups over any [`Facts`].
        pub trait FactsExt: Facts {
            $($(#[$doc])*
            fn $look_up(&self, key: &$key) -> Result<Option<$value>, Self::Error> {
                Ok(match self.fact(&FactKey::$name(key.clone()))? {
                    Some(Fact::$name(value)) => Some(value),
                    _ => None,
                })
            })*
        }
    };
}

impl<F: Facts> FactsExt for F {}

facts! {
    /// The operator, named by entry 0.
    Operator operator(Whole) = b'o' => PartyId,
    /// Limits in force and to come, ascending by the time they take effect.
    Limits limits(Whole) = b'l' => Vec<DeclaredLimits>,
    /// A registered party.
    Party party(PartyId) = b'p' => PartyFact,
    /// A public key ever seen, in any role.
    Key key(PublicKey) = b'k' => KeyFact,
    /// An age recipient ever seen.
    Recipient recipient(Recipient) = b'r' => LeafIndex,
    /// A sealed field's or attachment's digest ever seen.
    Digest digest(SealDigest) = b'd' => DigestFact,
    /// A party's sealed fields that are not opened yet, ascending by day.
    Seals seals(PartyId) = b's' => Vec<DueSeals>,
    /// The agreement statement at an index.
    Agreement agreement(LeafIndex) = b'a' => AgreementFact,
    /// The last statement of the chain of agreements that began at an index.
    AgreementHead agreement_head(LeafIndex) = b'h' => LeafIndex,
    /// The benefit reported at an index.
    Benefit benefit(LeafIndex) = b'e' => BenefitFact,
    /// The access request at an index.
    Request request(LeafIndex) = b'q' => RequestFact,
    /// What is in force of the agreement that began at an index.
    Terms terms(LeafIndex) = b't' => Vec<Term>,
    /// An agency's requests for one case.
    Case case(Case) = b'c' => CaseFact,
    /// The commitment batch at an index.
    Batch batch(LeafIndex) = b'b' => BatchFact,
    /// When the last commitment batch was logged.
    LastBatch last_batch(Whole) = b'B' => Time,
    /// A disclosed commitment, and the disclosure's index.
    Commitment commitment(Commitment) = b'm' => LeafIndex,
    /// The disclosure at an index.
    Disclosure disclosure(LeafIndex) = b'D' => DisclosureFact,
    /// The legal demand at an index.
    Demand demand(LeafIndex) = b'w' => DemandFact,
    /// That the log was closed, and how.
    Closed closed(Whole) = b'C' => ClosedFact,
}

/// The one key of a fact about the log as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whole;

/// An agency's case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Case {
    pub agency: PartyId,
    pub investigation: Investigation,
}

/// A party as registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartyFact {
    pub registered: LeafIndex,
    pub kind: PartyKind,
    pub name: super::words::Name,
    /// Admin keys that are not revoked.
    pub admin_keys: u32,
    #[serde(default)]
    pub standing: Standing,
    /// The party whose debts it takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeds: Option<PartyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded_by: Option<PartyId>,
}

/// Whether a party may act.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Known to exist; it has never had keys.
    Listed,
    #[default]
    Live,
    Suspended,
    /// For good.
    Withdrawn,
}

impl Standing {
    /// Its name in a sentence.
    pub fn code(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Live => "live",
            Self::Suspended => "suspended",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A public key as the log knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyFact {
    /// Its party, or `None` for a resident's one-time key.
    pub party: Option<PartyId>,
    pub role: Option<Role>,
    pub label: Option<Label>,
    /// The first entry it may have signed is later than this one.
    pub added: LeafIndex,
    /// New keys wait: not before this time of logging.
    pub usable_from: Time,
    pub revoked: Option<LeafIndex>,
}

/// Limits, and from when they hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeclaredLimits {
    pub index: LeafIndex,
    pub effective_from: Time,
    pub limits: Limits,
}

/// A digest in a statement: of an attachment's opening, or of a sealed field's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DigestFact {
    /// The statement that brought it.
    pub entry: LeafIndex,
    /// What it is if it is no attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealFact>,
    /// The statement by which its bytes or its opening were destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<LeafIndex>,
}

/// A sealed field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SealFact {
    /// Who is to open it.
    pub party: PartyId,
    /// The day it is due, as it stands after orders to delay it.
    pub open_by: Day,
    /// The statement that opened it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<LeafIndex>,
    /// A court ordered its erasure: it will never be due.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lifted: bool,
}

impl SealFact {
    /// The day by which it is to be opened, if it still is.
    pub fn due(&self) -> Option<&Day> {
        let waits = self.opened.is_none() && !self.lifted;
        waits.then_some(&self.open_by)
    }
}

/// The sealed fields of a party that wait for their opening by one day. They are counted: a list of
/// them, read for each request, would grow with every request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DueSeals {
    pub open_by: Day,
    pub count: u32,
}

/// A statement in a chain of agreements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgreementFact {
    /// The first statement of the chain.
    pub first: LeafIndex,
    pub parties: Vec<PartyId>,
    pub status: Status,
}

/// A benefit as one side reported it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenefitFact {
    pub by: PartyId,
    /// Giver and receiver.
    pub between: [PartyId; 2],
}

/// An access request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestFact {
    pub agency: PartyId,
    pub recipient: Recipient,
    pub deadline: Time,
    /// Index of the statement that declared the limits it was judged by.
    pub limits: LeafIndex,
    pub investigation: Investigation,
    /// The agency takes no more answers since this statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<LeafIndex>,
    /// It was withdrawn: nothing given for it may be collected either.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

impl RequestFact {
    /// The case that it was made for.
    pub fn case(&self) -> Case {
        Case {
            agency: self.agency.clone(),
            investigation: self.investigation.clone(),
        }
    }
}

/// A legal demand and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DemandFact {
    pub kind: ProcessKind,
    /// The agency that demands; none for national security.
    pub agency: Option<PartyId>,
    /// Who is to answer.
    pub upon: PartyId,
    /// A court said it itself.
    pub by_court: bool,
    /// The last response to it.
    pub response: Option<LeafIndex>,
    /// The day to which a court has put off telling those concerned.
    pub notice_after: Option<Day>,
}

/// An agency's requests for one case so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseFact {
    /// Deadlines of requests that were open when the last one was admitted.
    pub open_until: Vec<Time>,
    pub total_minutes: u32,
    /// How many there were.
    #[serde(default)]
    pub requests: u32,
}

/// A batch of commitments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchFact {
    pub root: Digest,
    pub size: u32,
}

/// A disclosure and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisclosureFact {
    /// The request that it answers; none if it gives to the public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<LeafIndex>,
    pub key: PublicKey,
    pub expires: Time,
    pub withdrawn: Option<LeafIndex>,
    pub collected: Option<LeafIndex>,
}

/// The end of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedFact {
    /// The last entry that counts.
    pub index: LeafIndex,
    pub logged_at: Time,
    pub reason: ClosingReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Successor>,
}

/// What every reader of a closed log is told.
impl std::fmt::Display for ClosedFact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (at, index, why) = (self.logged_at, self.index, self.reason.plain());
        write!(f, "this log was closed on {at}, with entry {index}: {why}")?;
        match &self.successor {
            None => f.write_str("; it names no successor"),
            Some(successor) => write!(f, "; its successor is {}", successor.origin),
        }
    }
}

/// How a key is written as bytes: unambiguous for its type.
trait KeyBytes {
    fn key_bytes(&self) -> Vec<u8>;
}

impl KeyBytes for Whole {
    fn key_bytes(&self) -> Vec<u8> {
        Vec::new()
    }
}

impl KeyBytes for LeafIndex {
    fn key_bytes(&self) -> Vec<u8> {
        self.as_u64().to_be_bytes().to_vec()
    }
}

impl KeyBytes for PartyId {
    fn key_bytes(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }
}

impl KeyBytes for Recipient {
    fn key_bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl KeyBytes for PublicKey {
    fn key_bytes(&self) -> Vec<u8> {
        self.to_bytes().to_vec()
    }
}

impl KeyBytes for SealDigest {
    fn key_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl KeyBytes for Commitment {
    fn key_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl KeyBytes for Case {
    fn key_bytes(&self) -> Vec<u8> {
        // A party id holds no NUL.
        format!("{}\0{}", self.agency, self.investigation).into_bytes()
    }
}

/// Facts over facts: what a batch has changed and not yet committed; dropped if the commit fails.
pub struct Pending<'a, F> {
    base: &'a F,
    facts: BTreeMap<FactKey, Fact>,
    ids: HashMap<StatementId, LeafIndex>,
}

impl<'a, F: Facts> Pending<'a, F> {
    /// Nothing changed yet over `base`.
    pub fn new(base: &'a F) -> Self {
        Self {
            base,
            facts: BTreeMap::new(),
            ids: HashMap::new(),
        }
    }

    /// Takes over what the statement `id` at `index` changes.
    pub fn apply(&mut self, id: StatementId, index: LeafIndex, change: Change) {
        self.ids.insert(id, index);
        self.facts.extend(change);
    }

    /// Everything that changed, by key.
    pub fn into_facts(self) -> BTreeMap<FactKey, Fact> {
        self.facts
    }
}

impl<F: Facts> Facts for Pending<'_, F> {
    type Error = F::Error;

    fn fact(&self, key: &FactKey) -> Result<Option<Fact>, F::Error> {
        match self.facts.get(key) {
            Some(fact) => Ok(Some(fact.clone())),
            None => self.base.fact(key),
        }
    }

    fn find(&self, id: &StatementId) -> Result<Option<LeafIndex>, F::Error> {
        match self.ids.get(id) {
            Some(index) => Ok(Some(*index)),
            None => self.base.find(id),
        }
    }
}

/// Facts in memory, for auditors of small logs and for tests.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct FactMap {
    facts: HashMap<FactKey, Fact>,
    ids: HashMap<StatementId, LeafIndex>,
}

impl FactMap {
    /// Takes over what the statement `id` at `index` changes.
    pub fn apply(&mut self, id: StatementId, index: LeafIndex, change: Change) {
        self.ids.insert(id, index);
        self.facts.extend(change);
    }
}

impl Facts for FactMap {
    type Error = std::convert::Infallible;

    fn fact(&self, key: &FactKey) -> Result<Option<Fact>, Self::Error> {
        Ok(self.facts.get(key).cloned())
    }

    fn find(&self, id: &StatementId) -> Result<Option<LeafIndex>, Self::Error> {
        Ok(self.ids.get(id).copied())
    }
}
