//! A ledger's parties with known keys, and as many statements as wanted, pre-signed.
//!
//! The mix: of 20 statements, 8 access requests (each with a scope of its own), 8 benefits, 3
//! listed parties, 1 added key. None waits for another of them, so they may arrive in any order.

use std::fs;
use std::path::Path;

use bech32::{Bech32, Hrp};
use ed25519_dalek::SigningKey;
use whosaw::digest::{Digest, StatementId};
use whosaw::party::home::Profile;
use whosaw::party::operator::Operator;
use whosaw::statement::envelope::Envelope;
use whosaw::statement::key::PublicKey;
use whosaw::statement::kinds::Kind as _;
use whosaw::statement::kinds::access_request::{AccessRequest, SealedFields};
use whosaw::statement::kinds::agreement::{Agreement, Status};
use whosaw::statement::kinds::benefit::Benefit;
use whosaw::statement::kinds::key_change::KeyChange;
use whosaw::statement::kinds::limits::Limits;
use whosaw::statement::kinds::party::{NewKey, Party};
use whosaw::statement::rules::seals::SealedField;
use whosaw::statement::scope::{Position, Ring, Scope};
use whosaw::statement::sealed::{AttachmentValue, Opening};
use whosaw::statement::words::{Day, PartyId, PartyKind, Role};
use whosaw::statement::{Author, Head, Statement, sign};
use whosaw::time::{Clock, Time};

pub const ORIGIN: &str = "bench.example/log";
const OPERATOR: &str = "bench.example";
const VENDOR: &str = "doorbell.example";
const AGENCY: &str = "lakelandgov.example";

/// Whoever speaks in a benchmark.
pub struct Workload {
    pub operator: Operator,
    operator_admin: SigningKey,
    now: Time,
    agreement: StatementId,
}

/// A statement, and the attachment that it names.
pub struct Made {
    pub envelope: Envelope,
    pub attachment: Option<(Opening, Vec<u8>)>,
}

fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(Digest::of(name).as_bytes())
}

fn id(party: &str) -> PartyId {
    party.parse().expect("a host name")
}

fn together(parties: [&str; 2]) -> Author {
    let mut parties: Vec<PartyId> = parties.iter().map(|party| id(party)).collect();
    parties.sort_unstable();
    Author::Parties(parties)
}

impl Workload {
    /// A new operator's folder at `root`, its limits such that nobody waits.
    pub fn new(root: &Path) -> Self {
        let limits = Limits {
            vendors: vec![id(VENDOR)],
            new_key_wait_minutes: 0,
            decision_minutes: 1,
            open_requests: 1000,
            batch_seconds: 100_000_000,
            ..Limits::example()
        };
        let profile = Profile {
            party: id(OPERATOR),
            kind: PartyKind::Operator,
            name: "Bench".parse().expect("a name"),
            jurisdiction: "US-FL".parse().expect("a code"),
            officer_label: "server".parse().expect("a label"),
            domain_check: None,
            server: None,
        };
        let origin = ORIGIN.parse().expect("an origin");
        let operator = Operator::init(root, profile, origin, &limits).expect("a new folder");
        let mut workload = Self {
            operator_admin: operator.home().key(Role::Admin).expect("its key"),
            operator,
            now: Clock::system().now().cut_to_minute(),
            agreement: StatementId::from_bytes([0; 32]),
        };
        workload.agreement = StatementId::of_payload(&workload.agreement().payload);
        workload
    }

    fn sign(
        &self,
        author: Author,
        statement: impl Into<Statement>,
        keys: &[&SigningKey],
    ) -> Envelope {
        let head = Head {
            log: ORIGIN.to_owned(),
            issued_at: self.now,
            author,
        };
        sign(&head, &statement.into(), keys)
    }

    fn registration(&self, party: &str, kind: PartyKind, names: &[(&str, Role)]) -> Envelope {
        let keys: Vec<SigningKey> = names.iter().map(|(name, _)| key(name)).collect();
        let new_key = |(key, (_, role)): (&SigningKey, &(&str, Role))| NewKey {
            key: PublicKey::from(key),
            role: *role,
            label: (*role == Role::Officer).then(|| "detective-4".parse().expect("a label")),
        };
        let statement = Party {
            party: id(party),
            kind,
            keys: keys.iter().zip(names).map(new_key).collect(),
            ..Party::example()
        };
        let signers: Vec<&SigningKey> = keys.iter().chain([&self.operator_admin]).collect();
        self.sign(together([OPERATOR, party]), statement, &signers)
    }

    fn agreement(&self) -> Envelope {
        let statement = Agreement {
            status: Status::InForce,
            terms: Vec::new(),
            effective_on: None,
            ..Agreement::example()
        };
        let keys = [key("agency admin"), key("vendor admin")];
        self.sign(together([AGENCY, VENDOR]), statement, &[&keys[0], &keys[1]])
    }

    /// What must stand in the log before all others, in this order.
    pub fn founding(&self) -> Vec<Envelope> {
        let vendor = [("vendor admin", Role::Admin)];
        let agency = [
            ("agency admin", Role::Admin),
            ("agency officer", Role::Officer),
        ];
        vec![
            self.registration(VENDOR, PartyKind::Vendor, &vendor),
            self.registration(AGENCY, PartyKind::Agency, &agency),
            self.agreement(),
        ]
    }

    /// The statement of this number; another for each.
    pub fn statement(&self, number: u64) -> Made {
        match number % 20 {
            0..8 => self.access_request(number),
            8..16 => self.benefit(number).into(),
            16..19 => self.listed_party(number).into(),
            _ => self.added_key(number).into(),
        }
    }

    fn access_request(&self, number: u64) -> Made {
        let corner = |lon, lat| Position::new(lon, lat).expect("a place in Florida");
        let (lon, lat) = (-8_195_000 + (number % 1000) as i32, 2_804_000);
        let ring = [(0, 0), (300, 0), (300, 300), (0, 300), (0, 0)];
        let ring = ring.map(|(x, y)| corner(lon + x, lat + y)).to_vec();
        let scope = Scope {
            ring: Ring::new(ring).expect("a square"),
            from: self.now.checked_add_seconds(-7200).unwrap(),
            until: self.now.checked_add_seconds(-3600).unwrap(),
        };
        let bytes = scope.to_geojson().into_bytes();
        let salted = |what: &str| Digest::of(format!("{what} {number}"));
        let value = AttachmentValue {
            sha256: Digest::of(&bytes),
            size: bytes.len() as u64,
            media_type: "application/geo+json".parse().expect("a media type"),
        };
        let opening = Opening::attachment(salted("scope").as_bytes(), &value).expect("an opening");
        let case = serde_json::Value::from(format!("19-{number:06}"));
        let case = Opening::new(salted("case").as_bytes(), "case_number", &case);
        let statement = AccessRequest {
            agreement: self.agreement,
            investigation: salted("case").to_string()[..32].parse().expect("32 digits"),
            deadline: self.now.checked_add_seconds(86_400).unwrap(),
            area_m2: 1_000_000,
            window_minutes: 120,
            scope: opening.digest(),
            message: None,
            recipient: recipient(salted("recipient")),
            sealed: SealedFields {
                case_number: SealedField {
                    digest: case.expect("an opening").digest(),
                    open_by: Day::of(self.now.checked_add_seconds(30 * 86_400).unwrap()),
                },
            },
            ..AccessRequest::example()
        };
        let author = Author::Issuer(id(AGENCY));
        Made {
            envelope: self.sign(author, statement, &[&key("agency officer")]),
            attachment: Some((opening, bytes)),
        }
    }

    fn benefit(&self, number: u64) -> Envelope {
        let statement = Benefit {
            giver: id(VENDOR),
            receiver: id(AGENCY),
            agreement: Some(self.agreement),
            item: Some("doorbell-camera".parse().expect("a label")),
            count: Some(1 + (number % 100) as u32),
            downloads: Some((number % (1 << 32)) as u32),
            ..Benefit::example()
        };
        self.sign(
            Author::Issuer(id(VENDOR)),
            statement,
            &[&key("vendor admin")],
        )
    }

    fn listed_party(&self, number: u64) -> Envelope {
        let statement = Party {
            party: id(&format!("agency-{number}.example")),
            keys: Vec::new(),
            ..Party::example()
        };
        self.sign(
            Author::Issuer(id(OPERATOR)),
            statement,
            &[&self.operator_admin],
        )
    }

    fn added_key(&self, number: u64) -> Envelope {
        let new = key(&format!("key {number}"));
        let statement = KeyChange {
            party: id(VENDOR),
            add: vec![NewKey {
                key: PublicKey::from(&new),
                role: Role::Officer,
                label: Some("clerk".parse().expect("a label")),
            }],
            revoke: Vec::new(),
        };
        let author = Author::Issuer(id(VENDOR));
        self.sign(author, statement, &[&key("vendor admin"), &new])
    }

    /// Puts an attachment where an upload leaves it.
    pub fn attach(&self, made: &Made) {
        let Some((opening, bytes)) = &made.attachment else {
            return;
        };
        let folder = self.operator.home().root().join("attachments");
        fs::create_dir_all(&folder).expect("a folder");
        let digest = opening.digest().to_string();
        fs::write(folder.join(format!("{digest}.opening")), opening.encode()).expect("a file");
        fs::write(folder.join(digest), bytes).expect("a file");
    }
}

impl From<Envelope> for Made {
    fn from(envelope: Envelope) -> Self {
        Self {
            envelope,
            attachment: None,
        }
    }
}

/// An age recipient that nobody holds the identity of.
fn recipient(seed: Digest) -> whosaw::seal::recipient::Recipient {
    let mut point = *seed.as_bytes();
    point[31] &= 0x7f;
    let hrp = Hrp::parse("age").expect("a prefix");
    let text = bech32::encode_lower::<Bech32>(hrp, &point).expect("32 bytes");
    text.parse().expect("a recipient")
}
