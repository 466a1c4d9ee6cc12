//! A ledger in memory for tests: parties with known keys, and an ordinary journey from genesis to
//! collection, so that each test states only what differs.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use bech32::{Bech32, Hrp};
use ed25519_dalek::SigningKey;

use super::envelope::Envelope;
use super::facts::{Change, FactMap};
use super::key::PublicKey;
use super::kinds::Kind as _;
use super::kinds::access_request::{AccessRequest, SealedFields};
use super::kinds::agreement::{Agreement, Instrument, Status};
use super::kinds::collection::Collection;
use super::kinds::commitment_batch::CommitmentBatch;
use super::kinds::disclosure::{Audience, DisclosedClip, Disclosure};
use super::kinds::legal_demand::{
    DemandSeals, DemandSource, LegalDemand, NationalBand, ProcessKind,
};
use super::kinds::limits::Limits;
use super::kinds::log_closed::LogClosed;
use super::kinds::party::{NewKey, Party};
use super::refusal::{Refusal, Verdict};
use super::rules::judge;
use super::rules::seals::SealedField;
use super::sealed::{AttachmentValue, Opening, SealDigest};
use super::words::{DataKind, Day, MinutesBand, PartyId, PartyKind, Role};
use super::{Author, Head, Signed, Statement, sign};
use crate::digest::{Digest, StatementId};
use crate::seal::batch::Batch;
use crate::seal::commitment::Commitment;
use crate::seal::recipient::Recipient;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

pub(crate) const ORIGIN: &str = "ledger.example/log";
pub(crate) const OPERATOR: &str = "operator.example";
/// The limits name this vendor.
pub(crate) const VENDOR: &str = "doorbell.example";
pub(crate) const AGENCY: &str = "lakelandgov.example";
pub(crate) const COURT: &str = "court.example";
/// Two officers' labels; their keys are `agency officer` and `agency second officer`.
pub(crate) const LABELS: [&str; 2] = ["detective-4", "detective-5"];

pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The secret key with this name, such as `agency admin`.
pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(Digest::of(name).as_bytes())
}

pub(crate) fn public(name: &str) -> PublicKey {
    // Derived once: property tests name keys a hundred thousand times.
    static KNOWN: Mutex<BTreeMap<String, PublicKey>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    let derive = || PublicKey::from(&key(name));
    *known.entry(name.to_owned()).or_insert_with(derive)
}

pub(crate) fn id(party: &str) -> PartyId {
    party.parse().unwrap()
}

/// An age recipient that nobody holds the identity of.
pub(crate) fn recipient(name: &str) -> Recipient {
    static KNOWN: Mutex<BTreeMap<String, Recipient>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    let derive = || {
        let mut point = *Digest::of(name).as_bytes();
        point[31] &= 0x7f;
        let text = bech32::encode_lower::<Bech32>(Hrp::parse("age").unwrap(), &point).unwrap();
        text.parse().unwrap()
    };
    *known.entry(name.to_owned()).or_insert_with(derive)
}

/// The digest by which a statement refers to a text attached to it.
pub(crate) fn attached(text: &str) -> SealDigest {
    let value = AttachmentValue {
        sha256: Digest::of(text),
        size: text.len() as u64,
        media_type: "text/plain".parse().unwrap(),
    };
    let salt = Digest::of(format!("salt of {text}"));
    let opening = Opening::attachment(salt.as_bytes(), &value).unwrap();
    opening.digest()
}

/// The batch of the journey.
pub(crate) static BATCH: LazyLock<Batch> = LazyLock::new(|| {
    let commitments = (0..64).map(|n| Commitment::from_bytes([n; 32]));
    Batch::new(commitments, || unreachable!("64 are a full batch"))
});

/// Who speaks, and the names of the keys that sign.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    pub author: Author,
    pub keys: Vec<&'static str>,
}

impl Voice {
    /// The same author under other keys.
    pub fn signed_by(self, keys: &[&'static str]) -> Self {
        Self {
            keys: keys.to_vec(),
            ..self
        }
    }
}

pub(crate) fn party(issuer: &str, key: &'static str) -> Voice {
    Voice {
        author: Author::Issuer(id(issuer)),
        keys: vec![key],
    }
}

pub(crate) fn resident(key: &'static str) -> Voice {
    Voice {
        author: Author::OneTimeKey(public(key)),
        keys: vec![key],
    }
}

pub(crate) fn together(parties: &[&str], keys: &[&'static str]) -> Voice {
    let mut parties: Vec<PartyId> = parties.iter().map(|party| id(party)).collect();
    parties.sort_unstable();
    Voice {
        author: Author::Parties(parties),
        keys: keys.to_vec(),
    }
}

pub(crate) fn operator_admin() -> Voice {
    party(OPERATOR, "operator admin")
}

pub(crate) fn operator_officer() -> Voice {
    party(OPERATOR, "operator officer")
}

pub(crate) fn agency_admin() -> Voice {
    party(AGENCY, "agency admin")
}

pub(crate) fn agency_officer() -> Voice {
    party(AGENCY, "agency officer")
}

pub(crate) fn clerk() -> Voice {
    party(COURT, "court clerk")
}

pub(crate) fn agency_and_vendor() -> Voice {
    together(&[AGENCY, VENDOR], &["agency admin", "vendor admin"])
}

/// The operator and a party with keys that registers.
pub(crate) fn registrars(party: &str, keys: &[&'static str]) -> Voice {
    together(&[OPERATOR, party], &[&["operator admin"], keys].concat())
}

pub(crate) fn new_key(name: &str, role: Role, label: Option<&str>) -> NewKey {
    NewKey {
        key: public(name),
        role,
        label: label.map(|label| label.parse().unwrap()),
    }
}

/// A registration without keys.
pub(crate) fn listed(party: &str, kind: PartyKind) -> Party {
    Party {
        party: id(party),
        kind,
        keys: Vec::new(),
        ..Party::example()
    }
}

pub(crate) fn operator() -> Party {
    Party {
        keys: vec![
            new_key("operator admin", Role::Admin, None),
            new_key("operator officer", Role::Officer, None),
        ],
        ..listed(OPERATOR, PartyKind::Operator)
    }
}

pub(crate) fn operator_founding() -> Voice {
    operator_admin().signed_by(&["operator admin", "operator officer"])
}

pub(crate) fn vendor() -> Party {
    Party {
        keys: vec![new_key("vendor admin", Role::Admin, None)],
        ..listed(VENDOR, PartyKind::Vendor)
    }
}

pub(crate) const AGENCY_KEYS: [&str; 4] = [
    "agency admin",
    "agency officer",
    "agency second officer",
    "agency service",
];

pub(crate) fn agency() -> Party {
    Party {
        keys: vec![
            new_key(AGENCY_KEYS[0], Role::Admin, None),
            new_key(AGENCY_KEYS[1], Role::Officer, Some(LABELS[0])),
            new_key(AGENCY_KEYS[2], Role::Officer, Some(LABELS[1])),
            new_key(AGENCY_KEYS[3], Role::Service, None),
        ],
        ..listed(AGENCY, PartyKind::Agency)
    }
}

pub(crate) fn court() -> Party {
    Party {
        keys: vec![
            new_key("court admin", Role::Admin, None),
            new_key("court clerk", Role::Officer, None),
        ],
        ..listed(COURT, PartyKind::Court)
    }
}

pub(crate) fn limits() -> Limits {
    Limits::example()
}

/// The first statement of an agreement between the vendor and the agency.
pub(crate) fn agreement() -> Agreement {
    Agreement {
        instrument: Instrument::Contract,
        status: Status::InForce,
        terms: Vec::new(),
        effective_on: None,
        ..Agreement::example()
    }
}

pub(crate) fn batch() -> CommitmentBatch {
    CommitmentBatch {
        root: BATCH.root(),
        size: 64,
    }
}

/// How far the journey has come: each stage logs one statement after those of the stages before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Empty,
    Operator,
    Limits,
    Vendor,
    /// Its keys, and the vendor's, have waited.
    Agency,
    Agreement,
    Batch,
    Request,
    Disclosure,
    Collection,
}

/// A log, its facts, and the time.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub facts: FactMap,
    /// Everything admitted, with its time of logging.
    pub history: Vec<(Time, Signed)>,
    /// When the next statement is logged.
    pub now: Time,
    /// The ids of the journey's statements; zeros until there.
    pub agreement: StatementId,
    pub batch: StatementId,
    pub request: StatementId,
    pub disclosure: StatementId,
}

impl World {
    /// The journey up to `stage`.
    pub fn at(stage: Stage) -> Self {
        let nothing = StatementId::from_bytes([0; 32]);
        let mut world = Self {
            facts: FactMap::default(),
            history: Vec::new(),
            now: "2019-07-01T10:00:00Z".parse().unwrap(),
            agreement: nothing,
            batch: nothing,
            request: nothing,
            disclosure: nothing,
        };
        let reached = |step| step <= stage;
        if reached(Stage::Operator) {
            world.log(operator(), operator_founding()).unwrap();
        }
        if reached(Stage::Limits) {
            world.log(limits(), operator_admin()).unwrap();
        }
        if reached(Stage::Vendor) {
            let voice = registrars(VENDOR, &["vendor admin"]);
            world.log(vendor(), voice).unwrap();
        }
        if reached(Stage::Agency) {
            let voice = registrars(AGENCY, &AGENCY_KEYS);
            world.log(agency(), voice).unwrap();
            world.pass(limits().new_key_wait_seconds());
        }
        if reached(Stage::Agreement) {
            world.agreement = world.log(agreement(), agency_and_vendor()).unwrap();
        }
        if reached(Stage::Batch) {
            world.batch = world.log(batch(), operator_officer()).unwrap();
        }
        if reached(Stage::Request) {
            world.request = world.log(world.ask(), agency_officer()).unwrap();
        }
        if reached(Stage::Disclosure) {
            world.disclosure = world.log(world.consent(0), resident("resident")).unwrap();
        }
        if reached(Stage::Collection) {
            world.log(world.collect(), agency_officer()).unwrap();
        }
        world
    }

    /// A request under the journey's agreement: new digests, a new recipient, the same case.
    pub fn ask(&self) -> AccessRequest {
        static EXAMPLE: LazyLock<AccessRequest> = LazyLock::new(AccessRequest::example);
        let n = self.history.len();
        AccessRequest {
            agreement: self.agreement,
            deadline: self.now.plus_seconds(2 * DAY),
            scope: attached(&format!("scope {n}")),
            message: Some(attached(&format!("message {n}"))),
            recipient: recipient(&format!("recipient {n}")),
            sealed: SealedFields {
                case_number: self.sealed("case number", 30),
            },
            ..EXAMPLE.clone()
        }
    }

    /// A consent to the journey's request, by the commitment at `index` of its batch.
    pub fn consent(&self, index: u32) -> Disclosure {
        Disclosure {
            request: Some(self.request),
            clips: vec![self.clip(index)],
            gives: vec![DataKind::Video],
            minutes: Some(MinutesBand::UpTo15),
            note: None,
            recipient: Audience::Agency(recipient("recipient 6")),
            expires: self.now.cut_to_hour().plus_seconds(3 * DAY),
        }
    }

    /// The same clip, for everybody.
    pub fn publish(&self, index: u32) -> Disclosure {
        Disclosure {
            request: None,
            minutes: None,
            recipient: Audience::Public,
            ..self.consent(index)
        }
    }

    pub fn clip(&self, index: u32) -> DisclosedClip {
        DisclosedClip {
            commitment: BATCH.commitments()[index as usize],
            batch: self.batch,
            index,
            path: BATCH.path(index.into()).unwrap(),
            header: Digest::of("header"),
        }
    }

    /// The first officer takes the journey's disclosure.
    pub fn collect(&self) -> Collection {
        Collection {
            disclosure: self.disclosure,
            label: LABELS[0].parse().unwrap(),
        }
    }

    /// A court joins.
    pub fn with_court(mut self) -> Self {
        let voice = registrars(COURT, &["court admin", "court clerk"]);
        self.log(court(), voice).unwrap();
        self.pass(limits().new_key_wait_seconds());
        self
    }

    /// A field sealed for so many days.
    pub fn sealed(&self, name: &str, days: i64) -> SealedField {
        SealedField {
            digest: attached(&format!("{name} {}", self.history.len())),
            open_by: Day::of(self.now.plus_seconds(days * DAY)),
        }
    }

    /// A warrant of the agency upon the operator, with a sealed number.
    /// Demands of national security, of which a band is told.
    pub fn national(&self, band: NationalBand) -> LegalDemand {
        LegalDemand {
            process: ProcessKind::NationalSecurity,
            source: DemandSource::Paper,
            agency: None,
            investigation: None,
            offences: Vec::new(),
            content: false,
            records: Vec::new(),
            accounts: None,
            received: Some(band),
            delay: Vec::new(),
            answer_by: None,
            sealed: None,
            ..self.demand()
        }
    }

    pub fn demand(&self) -> LegalDemand {
        LegalDemand {
            agency: Some(id(AGENCY)),
            served_on: Day::of(self.now),
            sealed: Some(DemandSeals {
                reference: self.sealed("reference", 30),
            }),
            ..LegalDemand::example()
        }
    }

    /// The operator ends the log.
    pub fn close(&mut self) {
        self.log(LogClosed::example(), operator_admin()).unwrap();
    }

    pub fn pass(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
    }

    pub fn next(&self) -> LeafIndex {
        LeafIndex::new(self.history.len() as u64)
    }

    /// The common members of a statement issued now.
    pub fn head(&self, author: &Author) -> Head {
        Head {
            log: ORIGIN.to_owned(),
            issued_at: match author {
                Author::OneTimeKey(_) => self.now.cut_to_hour(),
                _ => self.now.cut_to_minute(),
            },
            author: author.clone(),
        }
    }

    pub fn judge(&self, signed: &Signed) -> Result<Change, Refusal> {
        refusal_only(judge(signed, ORIGIN, self.next(), self.now, &self.facts))
    }

    pub fn log_signed(&mut self, signed: Signed) -> Result<StatementId, Refusal> {
        let change = self.judge(&signed)?;
        self.facts.apply(signed.id, self.next(), change);
        self.history.push((self.now, signed));
        Ok(self.history[self.history.len() - 1].1.id)
    }

    /// Signs, writes, reads, judges and applies.
    pub fn log(
        &mut self,
        statement: impl Into<Statement>,
        voice: Voice,
    ) -> Result<StatementId, Refusal> {
        self.log_with(statement, voice, |_| ())
    }

    /// As [`World::log`], with another head.
    pub fn log_with(
        &mut self,
        statement: impl Into<Statement>,
        voice: Voice,
        alter: impl FnOnce(&mut Head),
    ) -> Result<StatementId, Refusal> {
        let mut head = self.head(&voice.author);
        alter(&mut head);
        let envelope = sign(&head, &statement.into(), &[]);
        self.log_payload(envelope.payload, &voice.keys)
    }

    /// Signs `payload`, whatever it is, and goes on as [`World::log`].
    pub fn log_payload(&mut self, payload: Vec<u8>, keys: &[&str]) -> Result<StatementId, Refusal> {
        let keys: Vec<SigningKey> = keys.iter().map(|name| key(name)).collect();
        let envelope = Envelope::sign(payload, &keys.iter().collect::<Vec<_>>());
        self.log_signed(Signed::read(&envelope.to_json())?)
    }
}

/// The verdict over facts that cannot fail.
pub(crate) fn refusal_only(
    verdict: Result<Change, Verdict<std::convert::Infallible>>,
) -> Result<Change, Refusal> {
    verdict.map_err(|verdict| match verdict {
        Verdict::Refused(refusal) => refusal,
        Verdict::Facts(never) => match never {},
    })
}
