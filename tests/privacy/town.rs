//! A year of a town: residents with cameras, agencies that ask, an operator that answers to law.
//!
//! Everything is admitted by the rules and made as the programs make it: keys, commitments, slots,
//! batches, times. Beside each entry stands what only its maker knows: the truth that attackers are
//! held against.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use serde_json::Value;
use whosaw::digest::{Digest, StatementId};
use whosaw::party::resident::decide::{expires, one_time_head};
use whosaw::seal::FileKey;
use whosaw::seal::batch::Batch;
use whosaw::seal::commitment::{Commitment, clip_opening, decision_opening, upload_slots};
use whosaw::seal::keys::{Phrase, Seed};
use whosaw::seal::recipient::Recipient;
use whosaw::statement::facts::FactMap;
use whosaw::statement::kinds::Kind as _;
use whosaw::statement::kinds::access_request::{AccessRequest, SealedFields};
use whosaw::statement::kinds::agreement::{Agreement, Instrument, Status};
use whosaw::statement::kinds::collection::Collection;
use whosaw::statement::kinds::commitment_batch::CommitmentBatch;
use whosaw::statement::kinds::custody_report::{CustodyEvent, CustodyReport};
use whosaw::statement::kinds::demand_response::DemandResponse;
use whosaw::statement::kinds::disclosure::{Audience, DisclosedClip, Disclosure};
use whosaw::statement::kinds::insider_access::InsiderAccess;
use whosaw::statement::kinds::legal_demand::LegalDemand;
use whosaw::statement::kinds::limits::Limits;
use whosaw::statement::kinds::notice::{Notice, NoticeState};
use whosaw::statement::kinds::party::{NewKey, Party};
use whosaw::statement::kinds::unsealing::Unsealing;
use whosaw::statement::kinds::withdrawal::Withdrawal;
use whosaw::statement::rules::judge;
use whosaw::statement::rules::seals::SealedField;
use whosaw::statement::sealed::{Opening, SealDigest};
use whosaw::statement::words::{Band, DataKind, Day, MinutesBand, PartyId, PartyKind, Role};
use whosaw::statement::{Author, Head, Signed, Statement, sign};
use whosaw::time::Time;
use whosaw::tlog::tree::LeafIndex;

const ORIGIN: &str = "ledger.example/log";
const OPERATOR: &str = "operator.example";
const AGENCIES: [&str; 3] = ["lakelandgov.example", "polk.example", "bartow.example"];
const OFFICERS: usize = 4;
const BLOCKS: usize = 24;
const ON_A_BLOCK: usize = 10;
const INCIDENTS: usize = 150;
const DEMANDS: usize = 300;
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// How the people of the town behave, where the programs leave it to them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habits {
    /// Who has several requests to answer answers them in one sitting.
    pub sittings: bool,
    /// Clips are stored when somebody gets to it, not when they are filmed.
    pub late_uploads: bool,
    /// A quarter of the year.
    pub quarter: bool,
}

/// An entry, as everybody sees it; and its secret.
#[derive(Clone)]
pub struct Row {
    /// Seconds since 1970.
    pub logged_at: i64,
    pub body: Value,
    /// A batch's commitments, public beside the log.
    pub list: Arc<Vec<Commitment>>,
    /// Which place and hour a request, or an answer to it, is about: scopes are public.
    pub scene: usize,
    pub secret: Secret,
}

/// What the log is not to tell.
#[derive(Clone, Default)]
pub struct Secret {
    /// Who disclosed.
    pub resident: usize,
    /// When exactly it was said, by the speaker's own clock and by the server's.
    pub said: i64,
    pub received: i64,
    /// The clip given, and the batch's commitments in the order of their arrival.
    pub clip: usize,
    /// How long the clip given is.
    pub seconds: u64,
    pub arrived: Arc<Vec<Commitment>>,
    /// Clips stored, and refusals made, since the last batch.
    pub uploads: usize,
    pub refusals: usize,
    /// Accounts that a demand concerned.
    pub accounts: usize,
    pub officer: usize,
}

/// A year.
#[derive(Clone)]
pub struct Year {
    pub log: Vec<Row>,
    /// Names, addresses, places, case numbers: what no entry may hold.
    pub personal: Vec<String>,
}

impl Year {
    pub fn of_type<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Row> {
        self.log.iter().filter(move |row| row.body["type"] == name)
    }

    /// The same year, with each entry of a type altered.
    pub fn altered(&self, name: &str, mut alter: impl FnMut(&mut Row)) -> Self {
        let mut year = self.clone();
        let rows = year.log.iter_mut();
        rows.filter(|row| row.body["type"] == name)
            .for_each(&mut alter);
        year
    }
}

/// SplitMix64: the same numbers for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.roll() % n as u64) as usize
    }

    pub fn between(&mut self, from: i64, until: i64) -> i64 {
        from + (self.roll() % (until - from) as u64) as i64
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    fn bytes(&mut self) -> [u8; 32] {
        *Digest::of(self.roll().to_be_bytes()).as_bytes()
    }
}

enum Event {
    Batch,
    /// Somebody stores a clip; of an incident, or of nothing that anybody asks for.
    Upload(usize, Option<usize>),
    Ask(usize, usize),
    Answer(usize, usize, bool),
    Collect(StatementId, usize, usize),
    Withdraw(StatementId, usize, usize),
    Custody(StatementId, usize),
    Unseal(SealDigest, usize),
    Demand,
    Respond(StatementId, usize),
    Tell(StatementId, usize),
    Insider,
}

/// A place in a batch, and the path from there.
type Anchor = (u32, Vec<Digest>);

struct Clip {
    commitments: [Commitment; 4],
    seconds: u64,
    /// The batch, and where in it each commitment stands.
    anchors: Option<(StatementId, [Anchor; 4])>,
    used: usize,
}

struct Request {
    id: StatementId,
    recipient: Recipient,
    deadline: i64,
    incident: usize,
    agency: usize,
}

struct Town {
    habits: Habits,
    dice: Dice,
    facts: FactMap,
    log: Vec<Row>,
    /// The incident that is spoken of now.
    scene: usize,
    events: BinaryHeap<Reverse<(i64, usize)>>,
    planned: Vec<Option<Event>>,
    residents: Vec<Seed>,
    /// By how much a resident's clock is off, in seconds.
    skews: Vec<i64>,
    /// Refusals that wait for the next upload.
    refusals: Vec<Vec<StatementId>>,
    refused: usize,
    clips: Vec<Clip>,
    /// The clip that a resident has of an incident.
    filmed: HashMap<(usize, usize), usize>,
    waiting: Vec<Commitment>,
    unanchored: Vec<usize>,
    uploads: usize,
    incidents: Vec<(i64, usize)>,
    agreements: Vec<StatementId>,
    requests: Vec<Request>,
    personal: Vec<String>,
}

fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(Digest::of(name).as_bytes())
}

fn party(name: &str) -> PartyId {
    name.parse().unwrap()
}

fn time(seconds: i64) -> Time {
    Time::from_unix(seconds).unwrap()
}

fn band(count: usize) -> Band {
    match count {
        0 => Band::None,
        1..=5 => Band::UpTo5,
        6..=10 => Band::UpTo10,
        11..=50 => Band::UpTo50,
        _ => Band::UpTo250,
    }
}

/// Lives the year.
pub fn live(habits: Habits) -> Year {
    let start: Time = "2019-07-01T00:00:00Z".parse().unwrap();
    let start = start.unix();
    let mut town = Town::found(habits, start);
    town.plan(start + DAY);
    while let Some(Reverse((at, n))) = town.events.pop() {
        let event = town.planned[n].take().unwrap();
        town.happen(at, event);
    }
    Year {
        log: town.log,
        personal: town.personal,
    }
}

impl Town {
    fn found(habits: Habits, start: i64) -> Self {
        let mut dice = Dice(7);
        let people = BLOCKS * ON_A_BLOCK;
        let seeds = (0..people)
            .map(|n| Phrase::from_entropy(Digest::of(format!("resident {n}")).as_bytes()).seed());
        let mut town = Self {
            habits,
            skews: (0..people).map(|_| dice.between(-240, 241)).collect(),
            dice,
            facts: FactMap::default(),
            log: Vec::new(),
            scene: 0,
            events: BinaryHeap::new(),
            planned: Vec::new(),
            residents: seeds.collect(),
            refusals: vec![Vec::new(); people],
            refused: 0,
            clips: Vec::new(),
            filmed: HashMap::new(),
            waiting: Vec::new(),
            unanchored: Vec::new(),
            uploads: 0,
            incidents: Vec::new(),
            agreements: Vec::new(),
            requests: Vec::new(),
            personal: (0..people)
                .flat_map(|n| [format!("Garcia-{n}"), format!("{n} Lake Morton Drive")])
                .chain(["28.03950".to_owned()])
                .collect(),
        };
        town.found_log(start);
        town
    }

    fn found_log(&mut self, start: i64) {
        let keys = |who: &str| {
            let mut keys = vec![NewKey {
                key: (&key(&format!("{who} admin"))).into(),
                label: None,
                role: Role::Admin,
            }];
            keys.extend((0..OFFICERS).map(|n| NewKey {
                key: (&key(&format!("{who} {n}"))).into(),
                label: Some(format!("officer-{n}").parse().unwrap()),
                role: Role::Officer,
            }));
            keys
        };
        let signers = |who: &str| {
            let officers = (0..OFFICERS).map(|n| key(&format!("{who} {n}")));
            std::iter::once(key(&format!("{who} admin")))
                .chain(officers)
                .collect::<Vec<_>>()
        };
        let admin = key(&format!("{OPERATOR} admin"));
        let register = |who: &str, kind| Party {
            party: party(who),
            kind,
            keys: keys(who),
            ..Party::example()
        };
        let operator = Author::Issuer(party(OPERATOR));
        self.say(
            start,
            operator.clone(),
            register(OPERATOR, PartyKind::Operator),
            &signers(OPERATOR),
            Secret::default(),
        );
        let limits = Limits {
            new_key_wait_minutes: 0,
            vendors: Vec::new(),
            ..Limits::example()
        };
        self.say(
            start,
            operator,
            limits,
            std::slice::from_ref(&admin),
            Secret::default(),
        );
        for agency in AGENCIES {
            let mut both = vec![party(agency), party(OPERATOR)];
            both.sort();
            let all = [signers(agency), vec![admin.clone()]].concat();
            self.say(
                start,
                Author::Parties(both.clone()),
                register(agency, PartyKind::Agency),
                &all,
                Secret::default(),
            );
            let none = Agreement {
                instrument: Instrument::None,
                status: Status::InForce,
                terms: Vec::new(),
                effective_on: None,
                ..Agreement::example()
            };
            let admins = [key(&format!("{agency} admin")), admin.clone()];
            let id = self.say(
                start,
                Author::Parties(both),
                none,
                &admins,
                Secret::default(),
            );
            self.agreements.push(id);
        }
    }

    /// Signs, reads, has it judged and enters it.
    fn say(
        &mut self,
        at: i64,
        author: Author,
        statement: impl Into<Statement>,
        keys: &[SigningKey],
        secret: Secret,
    ) -> StatementId {
        let head = Head {
            log: ORIGIN.to_owned(),
            issued_at: time(at).cut_to_minute(),
            author,
        };
        self.enter(at, head, statement.into(), keys, secret)
    }

    fn officer(
        &mut self,
        at: i64,
        who: &str,
        n: usize,
        statement: impl Into<Statement>,
        secret: Secret,
    ) -> StatementId {
        let secret = Secret {
            said: at,
            received: at,
            officer: n,
            ..secret
        };
        let keys = [key(&format!("{who} {n}"))];
        self.say(at, Author::Issuer(party(who)), statement, &keys, secret)
    }

    fn resident(
        &mut self,
        at: i64,
        resident: usize,
        request: &StatementId,
        statement: impl Into<Statement>,
        clip: usize,
    ) -> StatementId {
        let one_time = self.residents[resident].request_key(request);
        let said = at + self.skews[resident] - 3;
        let head = one_time_head(ORIGIN.to_owned(), &one_time, time(said));
        let secret = Secret {
            resident,
            said,
            received: at,
            clip,
            seconds: self.clips[clip].seconds,
            ..Secret::default()
        };
        self.enter(at, head, statement.into(), &[one_time], secret)
    }

    fn enter(
        &mut self,
        at: i64,
        head: Head,
        statement: Statement,
        keys: &[SigningKey],
        secret: Secret,
    ) -> StatementId {
        let envelope = sign(&head, &statement, &keys.iter().collect::<Vec<_>>());
        let signed = Signed::from_envelope(envelope).expect("well formed");
        let index = LeafIndex::new(self.log.len() as u64);
        let logged_at = time(at).cut_to_minute();
        let change = judge(&signed, ORIGIN, index, logged_at, &self.facts);
        let change = change.unwrap_or_else(|refused| panic!("{refused:?}: {:?}", signed.statement));
        self.facts.apply(signed.id, index, change);
        self.log.push(Row {
            logged_at: logged_at.unix(),
            body: serde_json::from_slice(&signed.envelope.payload).unwrap(),
            list: Arc::default(),
            scene: self.scene,
            secret,
        });
        signed.id
    }

    fn at(&mut self, when: i64, event: Event) {
        self.events.push(Reverse((when, self.planned.len())));
        self.planned.push(Some(event));
    }

    fn plan(&mut self, start: i64) {
        let share = if self.habits.quarter { 4 } else { 1 };
        for hour in 0..365 * 24 / share as i64 {
            self.at(start + hour * HOUR, Event::Batch);
            let a_day = if (6..22).contains(&(hour % 24)) {
                25
            } else {
                5
            };
            for _ in 0..10 {
                if self.dice.chance(a_day) {
                    let (minutes, who) = (
                        self.dice.between(1, HOUR),
                        self.dice.below(self.residents.len()),
                    );
                    self.at(start + hour * HOUR + minutes, Event::Upload(who, None));
                }
            }
        }
        let days = 350 / share as i64;
        for incident in 0..INCIDENTS / share {
            let (at, block) = (
                start + self.dice.between(DAY, days * DAY),
                self.dice.below(BLOCKS),
            );
            self.incidents.push((at, block));
            for resident in self.neighbours(incident) {
                let late = if self.habits.late_uploads {
                    20 * HOUR
                } else {
                    8 * MINUTE
                };
                let after = self.dice.between(MINUTE, late);
                self.at(at + after, Event::Upload(resident, Some(incident)));
            }
            let first = self.dice.below(AGENCIES.len());
            self.at(at + DAY, Event::Ask(incident, first));
            let second = at + DAY + self.dice.between(HOUR, 8 * HOUR);
            self.at(second, Event::Ask(incident, (first + 1) % 3));
        }
        for _ in 0..DEMANDS / share {
            let at = start + self.dice.between(DAY, days * DAY);
            self.at(at, Event::Demand);
            self.at(at + HOUR, Event::Insider);
        }
    }

    /// Those who live on the block of an incident and on the next.
    fn neighbours(&self, incident: usize) -> Vec<usize> {
        let block = self.incidents[incident].1;
        (0..2 * ON_A_BLOCK)
            .map(|n| (block * ON_A_BLOCK + n) % self.residents.len())
            .collect()
    }

    fn happen(&mut self, at: i64, event: Event) {
        match event {
            Event::Batch => self.batch(at),
            Event::Upload(resident, incident) => self.upload(resident, incident),
            Event::Ask(incident, agency) => self.ask(at, incident, agency),
            Event::Answer(request, resident, true) => self.consent(at, request, resident),
            Event::Answer(request, resident, false) => {
                self.refusals[resident].push(self.requests[request].id);
                self.refused += 1;
            }
            Event::Collect(disclosure, agency, officer) => {
                let label = format!("officer-{officer}").parse().unwrap();
                self.officer(
                    at,
                    AGENCIES[agency],
                    officer,
                    Collection { disclosure, label },
                    Secret::default(),
                );
                self.at(at + DAY, Event::Custody(disclosure, agency));
            }
            Event::Withdraw(disclosure, request, resident) => {
                let request = self.requests[request].id;
                self.resident(at, resident, &request, Withdrawal { disclosure }, 0);
            }
            Event::Custody(about, agency) => {
                let report = CustodyReport {
                    about,
                    event: CustodyEvent::Viewed,
                    until: None,
                    basis: None,
                    effective_on: Day::of(time(at)),
                    ..CustodyReport::example()
                };
                self.officer(at, AGENCIES[agency], 0, report, Secret::default());
            }
            Event::Unseal(seal, agency) => {
                let opening = SealDigest::from_bytes(self.dice.bytes());
                self.officer(
                    at,
                    AGENCIES[agency],
                    0,
                    Unsealing { seal, opening },
                    Secret::default(),
                );
            }
            Event::Demand => self.demand(at),
            Event::Respond(demand, accounts) => self.respond(at, demand, accounts),
            Event::Tell(demand, accounts) => self.tell(at, demand, accounts),
            Event::Insider => {
                let accounts = 1 + self.dice.below(4);
                let access = InsiderAccess {
                    accounts: band(accounts),
                    effective_on: Day::of(time(at)),
                    ..InsiderAccess::example()
                };
                self.officer(
                    at,
                    OPERATOR,
                    1,
                    access,
                    Secret {
                        accounts,
                        ..Secret::default()
                    },
                );
            }
        }
    }

    fn batch(&mut self, at: i64) {
        let arrived = Arc::new(std::mem::take(&mut self.waiting));
        let mut dice = Dice(self.dice.roll());
        let batch = Batch::new(arrived.iter().copied(), || dice.bytes());
        let statement = CommitmentBatch {
            root: batch.root(),
            size: u32::try_from(batch.size()).unwrap(),
        };
        let secret = Secret {
            arrived,
            uploads: std::mem::take(&mut self.uploads),
            refusals: std::mem::take(&mut self.refused),
            ..Secret::default()
        };
        let id = self.officer(at, OPERATOR, 0, statement, secret);
        let last = self.log.len() - 1;
        self.log[last].list = Arc::new(batch.commitments().to_vec());
        for clip in std::mem::take(&mut self.unanchored) {
            let clip = &mut self.clips[clip];
            let anchors = clip.commitments.map(|commitment| {
                let index = batch.index(&commitment).unwrap();
                (u32::try_from(index).unwrap(), batch.path(index).unwrap())
            });
            clip.anchors = Some((id, anchors));
        }
    }

    fn upload(&mut self, resident: usize, incident: Option<usize>) {
        let body = Digest::of(self.dice.roll().to_be_bytes());
        let commitments = match incident {
            // Nobody will ask for it: what stands in its place is as random to everybody.
            None => std::array::from_fn(|_| Commitment::from_bytes(self.dice.bytes())),
            Some(_) => std::array::from_fn(|i| {
                let salt = self.residents[resident].clip_salt(&body, i);
                let key = FileKey::init_with_mut(|key| key.copy_from_slice(&body.as_bytes()[..16]));
                Commitment::of(&clip_opening(&salt, &body, &key))
            }),
        };
        let (clip, _) = body.as_bytes().split_first_chunk().unwrap();
        let count = self.refusals[resident].len().min(4);
        let refused = self.refusals[resident].drain(..count);
        let carried: Vec<Commitment> = refused
            .map(|id| {
                let salt = self.residents[resident].decision_salt(&id, clip);
                Commitment::of(&decision_opening(&salt, &id))
            })
            .collect();
        let dice = &mut self.dice;
        self.waiting
            .extend(upload_slots(commitments, &carried, || dice.bytes()));
        self.uploads += 1;
        if let Some(incident) = incident {
            self.filmed.insert((resident, incident), self.clips.len());
            self.unanchored.push(self.clips.len());
            // What a doorbell films at an event.
            let [high, low, ..] = *body.as_bytes();
            self.clips.push(Clip {
                commitments,
                seconds: 20 + u64::from(u16::from_be_bytes([high, low])) % 880,
                anchors: None,
                used: 0,
            });
        }
    }

    fn ask(&mut self, at: i64, incident: usize, agency: usize) {
        let officer = self.dice.below(OFFICERS);
        let number = format!("2019-{incident:05}");
        let opening =
            Opening::new(&self.dice.bytes(), "case_number", &number.clone().into()).unwrap();
        self.personal.push(number);
        let recipient = loop {
            // A random point is nearly always one that a recipient may be.
            let mut point = self.dice.bytes();
            point[31] &= 0x7f;
            let hrp = bech32::Hrp::parse("age").unwrap();
            let text = bech32::encode_lower::<bech32::Bech32>(hrp, &point).unwrap();
            if let Ok(recipient) = text.parse() {
                break recipient;
            }
        };
        let deadline = time(at + 3 * DAY).cut_to_minute();
        let request = AccessRequest {
            agreement: self.agreements[agency],
            investigation: hex::encode(&self.dice.bytes()[..16]).parse().unwrap(),
            deadline,
            scope: SealDigest::from_bytes(self.dice.bytes()),
            message: None,
            recipient,
            sealed: SealedFields {
                case_number: SealedField {
                    digest: opening.digest(),
                    open_by: Day::of(time(at + 30 * DAY)),
                },
            },
            ..AccessRequest::example()
        };
        self.scene = incident;
        let id = self.officer(at, AGENCIES[agency], officer, request, Secret::default());
        self.at(at + 20 * DAY, Event::Unseal(opening.digest(), agency));
        let n = self.requests.len();
        self.requests.push(Request {
            id,
            recipient,
            deadline: deadline.unix(),
            incident,
            agency,
        });
        let twin = self.requests[..n]
            .iter()
            .position(|other| other.incident == incident);
        for resident in self.neighbours(incident) {
            let yes = match self.dice.below(20) {
                0..7 => true,
                7..13 => false,
                _ => continue,
            };
            let mut when = at + self.dice.between(10 * MINUTE, 2 * DAY);
            if self.habits.sittings {
                // When both requests of the incident are open.
                let sat_down = Dice((incident * 1000 + resident) as u64).between(0, 16 * HOUR);
                let second = if twin.is_some() { 90 } else { 0 };
                when = self.incidents[incident].0 + 2 * DAY + sat_down + second;
            }
            self.at(when, Event::Answer(n, resident, yes));
        }
    }

    fn consent(&mut self, at: i64, request: usize, resident: usize) {
        let Request {
            id,
            recipient,
            deadline,
            incident,
            agency,
        } = self.requests[request];
        self.scene = incident;
        let clip = self.filmed[&(resident, incident)];
        let given = &mut self.clips[clip];
        let (batch, anchors) = given.anchors.as_ref().expect("stored the day before");
        let i = given.used;
        let (index, path) = anchors[i].clone();
        given.used += 1;
        let disclosure = Disclosure {
            request: Some(id),
            clips: vec![DisclosedClip {
                batch: *batch,
                commitment: given.commitments[i],
                header: Digest::from_bytes(self.dice.bytes()),
                index,
                path,
            }],
            gives: vec![DataKind::Time, DataKind::Video],
            minutes: Some(MinutesBand::of(given.seconds.div_ceil(60))),
            note: Some(Digest::from_bytes(self.dice.bytes())),
            recipient: Audience::Agency(recipient),
            expires: expires(time(deadline), Limits::example().retention_days, time(at)).unwrap(),
        };
        let id = self.resident(at, resident, &id, disclosure, clip);
        let after = self.dice.between(2 * HOUR, 40 * HOUR);
        match self.dice.chance(5) {
            true => self.at(at + after, Event::Withdraw(id, request, resident)),
            false => {
                let officer = self.dice.below(OFFICERS);
                self.at(at + after, Event::Collect(id, agency, officer));
            }
        }
    }

    fn demand(&mut self, at: i64) {
        // One household, most often.
        let accounts = 1 + self.dice.below(10).saturating_sub(4);
        let agency = self.dice.below(AGENCIES.len());
        let demand = LegalDemand {
            agency: Some(party(AGENCIES[agency])),
            investigation: None,
            accounts: Some(band(accounts)),
            sealed: None,
            served_on: Day::of(time(at)),
            ..LegalDemand::example()
        };
        let id = self.officer(
            at,
            AGENCIES[agency],
            1,
            demand,
            Secret {
                accounts,
                ..Secret::default()
            },
        );
        self.at(at + 2 * DAY, Event::Respond(id, accounts));
        self.at(at + 3 * DAY, Event::Tell(id, accounts));
    }

    fn respond(&mut self, at: i64, demand: StatementId, accounts: usize) {
        let response = DemandResponse {
            demand: Some(demand),
            accounts: band(accounts),
            effective_on: Day::of(time(at)),
            ..DemandResponse::example()
        };
        self.officer(
            at,
            OPERATOR,
            2,
            response,
            Secret {
                accounts,
                ..Secret::default()
            },
        );
    }

    fn tell(&mut self, at: i64, demand: StatementId, accounts: usize) {
        let notice = Notice {
            demand,
            state: NoticeState::Sent,
            messages: (0..accounts)
                .map(|_| SealDigest::from_bytes(self.dice.bytes()))
                .collect(),
            until: None,
            grounds: Vec::new(),
        };
        self.officer(
            at,
            OPERATOR,
            2,
            notice,
            Secret {
                accounts,
                ..Secret::default()
            },
        );
    }
}
