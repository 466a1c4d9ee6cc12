//! The door: what one address, and one party, may ask of the server.
//!
//! These rules bind the server alone and no auditor replays them. An address is what a connection
//! comes from, or what a proxy named at start says it comes from; it is held in memory while it
//! matters and never logged. A party is known by its live keys' signatures, so nobody but its own
//! programs uses up what it may ask.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::forwarded::ClientField;
use super::limits::{Buckets, Place, Places};
use super::metrics::Metrics;
use super::{ApiError, Service};
use crate::ledger::Sequenced;
use crate::statement::facts::FactsExt as _;
use crate::statement::key::PublicKey;
use crate::statement::words::PartyId;
use crate::statement::{Author, Signed};
use crate::store::StoreError;
use crate::store::facts::JournalFacts;
use crate::store::journal::JournalRead as _;

/// Attachments that are received at once, each in memory until it is whole; and those of one party.
const ATTACHMENTS: usize = 16;
const PARTY_ATTACHMENTS: usize = 4;

/// What a request for one of the log's immutable files costs is a part in so many of a call: it is a lookup in
/// a cache, and whoever verifies a log asks for all of them.
const FILES_OF_A_CALL: u32 = 20;
/// Where these files are.
const FILES: &str = "/log/tile/";
/// Bodies by keys that nobody knows, on their way from one address at once: anyone can make keys, and enrolling
/// takes one.
const STRANGERS_BODIES: usize = 8;
/// Bodies by one vault's or one party's key, on their way at once.
const KEY_BODIES: usize = 16;
/// Calls with many statements that are under way at once; and those of one address. Each holds the
/// answers that its reader has not taken yet.
const BULK_CALLS: usize = 64;
const ADDRESS_BULK_CALLS: usize = 4;

/// Limits that an operator chooses; 0 means none.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests a second that one address may keep up; ten seconds' worth may come at once. Of the log's
    /// immutable files it may ask for twenty times as many.
    pub requests: u32,
    /// Statements a minute that one address may send; a minute's worth may come at once.
    pub address_statements: u32,
    /// Statements a minute that one party may sign; a minute's worth may come at once.
    pub party_statements: u32,
    /// Statements of one address, and of one party, that may wait for the sequencer at once.
    pub waiting: usize,
    /// Connections that one address may have open at once, and requests that it may have under way through
    /// proxies.
    pub connections: usize,
    /// Proxies that are believed about who sends.
    pub proxies: Vec<IpAddr>,
    /// Where they name it.
    pub client_field: ClientField,
}

impl Limits {
    /// No limit at all.
    pub fn none() -> Self {
        Self {
            requests: 0,
            address_statements: 0,
            party_statements: 0,
            waiting: 0,
            connections: 0,
            proxies: Vec::new(),
            client_field: ClientField::default(),
        }
    }
}

/// Which limit a caller has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::requests`].
    Requests,
    /// [`Limits::address_statements`].
    AddressStatements,
    /// [`Limits::waiting`] of an address.
    AddressWaiting,
    /// [`Limits::party_statements`].
    PartyStatements,
    /// [`Limits::waiting`] of a party.
    PartyWaiting,
    /// [`Limits::connections`].
    Connections,
    /// Bodies by unknown keys that are on their way from an address at once.
    StrangersBodies,
    /// Bodies by a known key that are on their way at once.
    KeyBodies,
    /// Attachments of a party that are on their way at once.
    Attachments,
    /// Bytes of a party's attachments that wait for their statements.
    WaitingAttachments,
    /// Calls of an address with many statements.
    BulkCalls,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Self; 11] = [
        Self::Requests,
        Self::AddressStatements,
        Self::AddressWaiting,
        Self::PartyStatements,
        Self::PartyWaiting,
        Self::Connections,
        Self::StrangersBodies,
        Self::KeyBodies,
        Self::Attachments,
        Self::WaitingAttachments,
        Self::BulkCalls,
    ];

    /// Its name, as in a problem's type.
    pub fn code(self) -> &'static str {
        match self {
            Self::Requests => "too-many-requests",
            Self::AddressStatements => "address-limit",
            Self::AddressWaiting => "address-waiting",
            Self::PartyStatements => "party-limit",
            Self::PartyWaiting => "party-waiting",
            Self::Connections => "address-connections",
            Self::StrangersBodies => "address-bodies",
            Self::KeyBodies => "key-bodies",
            Self::Attachments => "party-attachments",
            Self::WaitingAttachments => "party-attachments-waiting",
            Self::BulkCalls => "address-bulk-calls",
        }
    }

    /// What it says, in one line.
    pub fn title(self) -> &'static str {
        match self {
            Self::Requests => "Too many requests from this address",
            Self::AddressStatements => "Too many statements from this address",
            Self::AddressWaiting => "Too many statements from this address wait already",
            Self::PartyStatements => "Too many statements by this party",
            Self::PartyWaiting => "Too many statements by this party wait already",
            Self::Connections => "Too many connections from this address",
            Self::StrangersBodies => {
                "Too many calls by unknown keys from this address are on their way already"
            }
            Self::KeyBodies => "Too many calls by this key are on their way already",
            Self::Attachments => "Too many attachments by this party are on their way already",
            Self::WaitingAttachments => "No statement names what this party has uploaded",
            Self::BulkCalls => "Too many calls with many statements from this address",
        }
    }
}

/// Who is limited: an IPv4 address, or the /64 that a subscriber of IPv6 has to itself.
///
/// It has no `Debug`: addresses are in no log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

impl Client {
    /// Whoever is at `address`.
    pub fn at(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
        })
    }
}

/// What callers have used of the [`Limits`] in force.
struct Chosen {
    limits: Limits,
    requests: Option<Arc<Buckets<Client>>>,
    files: Option<Arc<Buckets<Client>>>,
    address_statements: Option<Arc<Buckets<Client>>>,
    party_statements: Option<Arc<Buckets<PartyId>>>,
    address_waiting: Option<Arc<Places<Client>>>,
    party_waiting: Option<Arc<Places<PartyId>>>,
    connections: Option<Arc<Places<Client>>>,
}

impl Chosen {
    fn new(limits: Limits) -> Self {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let (address, party) = (limits.address_statements, limits.party_statements);
        let burst = limits.requests.saturating_mul(10);
        let files = Buckets::new(
            limits.requests.saturating_mul(FILES_OF_A_CALL),
            second,
            burst.saturating_mul(FILES_OF_A_CALL),
        );
        Self {
            requests: Buckets::new(limits.requests, second, burst).map(Arc::new),
            files: files.map(Arc::new),
            address_statements: Buckets::new(address, minute, address).map(Arc::new),
            party_statements: Buckets::new(party, minute, party).map(Arc::new),
            address_waiting: Places::new(limits.waiting),
            party_waiting: Places::new(limits.waiting),
            connections: Places::new(limits.connections),
            limits,
        }
    }

    /// With other limits. What callers have used of those that stay as they are counts on.
    fn changed_to(&self, limits: Limits) -> Self {
        let (old, new) = (&self.limits, Self::new(limits));
        let limits = &new.limits;
        let kept = |same: bool| if same { self } else { &new };
        let requests = kept(limits.requests == old.requests);
        let address = kept(limits.address_statements == old.address_statements);
        let party = kept(limits.party_statements == old.party_statements);
        let waiting = kept(limits.waiting == old.waiting);
        let connections = kept(limits.connections == old.connections);
        Self {
            requests: requests.requests.clone(),
            files: requests.files.clone(),
            address_statements: address.address_statements.clone(),
            party_statements: party.party_statements.clone(),
            address_waiting: waiting.address_waiting.clone(),
            party_waiting: waiting.party_waiting.clone(),
            connections: connections.connections.clone(),
            limits: limits.clone(),
        }
    }
}

/// What callers have used of what one address, and one party, may ask.
pub struct Door {
    chosen: RwLock<Arc<Chosen>>,
    strangers_bodies: Option<Arc<Places<Client>>>,
    key_bodies: Option<Arc<Places<PublicKey>>>,
    attachments: Arc<Semaphore>,
    party_attachments: Option<Arc<Places<PartyId>>>,
    bulk_calls: Arc<Semaphore>,
    address_bulk_calls: Option<Arc<Places<Client>>>,
    /// Threads that verify statements of such calls, one for each core: others go on meanwhile.
    verifying: Arc<Semaphore>,
    proxies: Vec<IpAddr>,
    client_field: ClientField,
    metrics: Arc<Metrics>,
}

impl Door {
    /// A door by which nobody has come yet; who is refused is counted in `metrics`.
    pub fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        let proxies = limits.proxies.iter().map(IpAddr::to_canonical);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            strangers_bodies: Places::new(STRANGERS_BODIES),
            key_bodies: Places::new(KEY_BODIES),
            attachments: Arc::new(Semaphore::new(ATTACHMENTS)),
            party_attachments: Places::new(PARTY_ATTACHMENTS),
            bulk_calls: Arc::new(Semaphore::new(BULK_CALLS)),
            address_bulk_calls: Places::new(ADDRESS_BULK_CALLS),
            verifying: Arc::new(Semaphore::new(cores)),
            proxies: proxies.collect(),
            client_field: limits.client_field,
            chosen: RwLock::new(Arc::new(Chosen::new(limits))),
            metrics,
        }
    }

    /// Puts other limits in force, but for the proxies and where they name the client, which stay.
    pub fn set_limits(&self, limits: Limits) {
        let changed = self.chosen().changed_to(limits);
        *self.chosen.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(changed);
    }

    fn chosen(&self) -> Arc<Chosen> {
        let chosen = self.chosen.read();
        chosen.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A door that limits requests alone, to `rate` a second from one address.
    pub fn paced(rate: u32) -> Self {
        let limits = Limits {
            requests: rate,
            ..Limits::none()
        };
        Self::new(limits, Arc::default())
    }

    /// What this door counts.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Lets a connection in, which keeps its place until it is closed. A proxy's are not counted.
    pub fn connect(&self, peer: IpAddr) -> Result<Option<Place<Client>>, ApiError> {
        match &self.chosen().connections {
            Some(places) if !self.is_proxy(peer) => {
                self.place(places, &Client::at(peer), Limit::Connections)
            }
            _ => Ok(None),
        }
    }

    /// Lets a request for `path` in: who sends it, and its place until it is answered. One that comes directly has its
    /// connection's place.
    pub fn enter(
        &self,
        peer: IpAddr,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Entered, ApiError> {
        let (client, chosen) = (self.client(peer, headers), self.chosen());
        let buckets = match path.starts_with(FILES) {
            true => &chosen.files,
            false => &chosen.requests,
        };
        self.token(buckets.as_deref(), &client, Limit::Requests)?;
        let place = match &chosen.connections {
            Some(places) if self.is_proxy(peer) => {
                self.place(places, &client, Limit::Connections)?
            }
            _ => None,
        };
        Ok((client, place))
    }

    /// Lets a stranger's signed body in, which keeps its place until it has arrived.
    pub(super) fn take_strangers_body(
        &self,
        client: &Client,
    ) -> Result<Option<Place<Client>>, ApiError> {
        match &self.strangers_bodies {
            Some(places) => self.place(places, client, Limit::StrangersBodies),
            None => Ok(None),
        }
    }

    /// Lets a body in that a known key signed, which keeps its place until it has arrived.
    pub(super) fn take_body(&self, key: &PublicKey) -> Result<Option<Place<PublicKey>>, ApiError> {
        match &self.key_bodies {
            Some(places) => self.place(places, key, Limit::KeyBodies),
            None => Ok(None),
        }
    }

    /// Lets an attachment of a party in, which keeps its places until it is stored.
    pub fn attach(&self, party: &PartyId) -> Result<Attaching, ApiError> {
        let place = match &self.party_attachments {
            Some(places) => self.place(places, party, Limit::Attachments)?,
            None => None,
        };
        let permit = self.attachments.clone().try_acquire_owned();
        Ok((place, permit.map_err(|_| ApiError::Busy)?))
    }

    /// Lets a call with many statements in, which keeps its places until it is answered.
    pub fn enter_bulk(&self, client: &Client) -> Result<BulkCall, ApiError> {
        let place = match &self.address_bulk_calls {
            Some(places) => self.place(places, client, Limit::BulkCalls)?,
            None => None,
        };
        let permit = self.bulk_calls.clone().try_acquire_owned();
        Ok((place, permit.map_err(|_| ApiError::Busy)?))
    }

    /// Counts a statement of an address before it is looked at.
    pub fn count_statement(&self, client: &Client) -> Result<(), ApiError> {
        let chosen = self.chosen();
        let buckets = chosen.address_statements.as_deref();
        self.token(buckets, client, Limit::AddressStatements)
    }

    /// Counts a statement that a party's live key signed.
    pub fn count_party(&self, party: &PartyId) -> Result<(), ApiError> {
        let chosen = self.chosen();
        let buckets = chosen.party_statements.as_deref();
        self.token(buckets, party, Limit::PartyStatements)
    }

    /// Waits for a turn to verify statements of a call with many.
    pub async fn turn_to_verify(&self) -> OwnedSemaphorePermit {
        let permit = self.verifying.clone().acquire_owned().await;
        permit.expect("it is never closed")
    }

    /// Who sends a request: the peer itself, or whom a proxy that is believed names last. Those
    /// before that are the sender's own words.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        if !self.is_proxy(peer) {
            return Client::at(peer);
        }
        Client::at(self.client_field.client(headers).unwrap_or(peer))
    }

    fn is_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.contains(&peer.to_canonical())
    }

    fn token<K: Eq + std::hash::Hash + Clone>(
        &self,
        buckets: Option<&Buckets<K>>,
        key: &K,
        limit: Limit,
    ) -> Result<(), ApiError> {
        let Some(buckets) = buckets else {
            return Ok(());
        };
        let taken = buckets.take(key, Instant::now());
        taken.map_err(|wait| self.refuse(limit, wait))
    }

    fn place<K: Eq + std::hash::Hash + Clone>(
        &self,
        places: &Arc<Places<K>>,
        key: &K,
        limit: Limit,
    ) -> Result<Option<Place<K>>, ApiError> {
        let place = places.take(key).map(Some);
        place.ok_or_else(|| self.refuse(limit, Duration::ZERO))
    }

    pub(super) fn refuse(&self, limit: Limit, wait: Duration) -> ApiError {
        self.metrics.limited(limit);
        ApiError::TooMany { limit, wait }
    }
}

/// Who sends a request, and its place.
pub type Entered = (Client, Option<Place<Client>>);

/// The places of an attachment on its way.
type Attaching = (Option<Place<PartyId>>, OwnedSemaphorePermit);

/// The places of a call with many statements.
pub type BulkCall = (Option<Place<Client>>, OwnedSemaphorePermit);

/// A statement's turn: the places that it takes among those that wait, from before its body is read
/// until the sequencer has answered. What turns out to be garbage has used its address's turn too.
pub struct Turn {
    #[expect(dead_code, reason = "dropping it frees the place")]
    address: Option<Place<Client>>,
    parties: Vec<Place<PartyId>>,
}

impl FromRequestParts<Arc<Service>> for Turn {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, ApiError> {
        let door = &service.door;
        let client = parts.extensions.get::<Client>();
        let client = client.ok_or_else(|| ApiError::internal("a request from nowhere"))?;
        door.count_statement(client)?;
        let address = match &door.chosen().address_waiting {
            Some(places) => door.place(places, client, Limit::AddressWaiting)?,
            None => None,
        };
        Ok(Self {
            address,
            parties: Vec::new(),
        })
    }
}

impl Turn {
    /// Takes a statement's places among those that wait; none of them if one is missing.
    pub(super) fn take(
        door: &Door,
        client: &Client,
        parties: &BTreeSet<PartyId>,
    ) -> Result<Self, Limit> {
        fn take<K: Eq + std::hash::Hash + Clone>(
            places: Option<&Arc<Places<K>>>,
            key: &K,
        ) -> Option<Option<Place<K>>> {
            places.map_or(Some(None), |places| places.take(key).map(Some))
        }
        let chosen = door.chosen();
        let address = take(chosen.address_waiting.as_ref(), client);
        let mut turn = Self {
            address: address.ok_or(Limit::AddressWaiting)?,
            parties: Vec::new(),
        };
        for party in parties {
            let place = take(chosen.party_waiting.as_ref(), party);
            turn.parties.extend(place.ok_or(Limit::PartyWaiting)?);
        }
        Ok(turn)
    }
}

impl Service {
    /// Hands a statement to the sequencer when it is its signers' turn.
    pub(super) async fn take_turn(
        &self,
        signed: Signed,
        turn: Turn,
    ) -> Result<Sequenced, ApiError> {
        let turn = self.count_parties(&signed, turn)?;
        // A client that hangs up frees no place while its statement still waits.
        Ok(self.ledger.submit(signed, turn).await?)
    }

    fn count_parties(&self, signed: &Signed, mut turn: Turn) -> Result<Turn, ApiError> {
        let door = &self.door;
        for party in self.signing_parties(signed)? {
            door.count_party(&party)?;
            if let Some(places) = &door.chosen().party_waiting {
                turn.parties
                    .extend(door.place(places, &party, Limit::PartyWaiting)?);
            }
        }
        Ok(turn)
    }

    /// The parties whose live keys signed a statement that is new to this log; none if no limit counts
    /// them.
    ///
    /// The author that a statement names may be anybody's claim. And what stands in the log, or was
    /// made for another one, is in everyone's hands: it counts against who sends it alone.
    pub(super) fn signing_parties(&self, signed: &Signed) -> Result<BTreeSet<PartyId>, StoreError> {
        let chosen = self.door.chosen();
        if chosen.party_statements.is_none() && chosen.party_waiting.is_none() {
            return Ok(BTreeSet::new());
        }
        let journal = self.ledger.journal();
        let of_residents = matches!(signed.head.author, Author::OneTimeKey(_));
        if of_residents
            || signed.head.log != self.ledger.origin()
            || journal.find(&signed.id)?.is_some()
        {
            return Ok(BTreeSet::new());
        }
        let mut parties = BTreeSet::new();
        for signer in &signed.signers {
            let key = JournalFacts(journal).key(signer)?;
            let key = key.filter(|key| key.revoked.is_none());
            parties.extend(key.and_then(|key| key.party));
        }
        Ok(parties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(proxies: &[&str]) -> Door {
        let limits = Limits {
            requests: 1,
            connections: 1,
            proxies: proxies.iter().map(|proxy| proxy.parse().unwrap()).collect(),
            ..Limits::none()
        };
        Door::new(limits, Arc::default())
    }

    fn seen(door: &Door, peer: &str, forwarded: &[&str]) -> Client {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        door.client(peer.parse().unwrap(), &headers)
    }

    fn at(address: &str) -> Client {
        Client::at(address.parse().unwrap())
    }

    #[test]
    fn a_subscriber_is_one_client() {
        assert!(at("2001:db8:0:1::1") == at("2001:db8:0:1:ffff::2"));
        assert!(at("2001:db8:0:1::1") != at("2001:db8:0:2::1"));
        assert!(at("192.0.2.1") != at("192.0.2.2"));
        assert!(at("::ffff:192.0.2.1") == at("192.0.2.1"));
    }

    #[test]
    fn a_proxy_alone_says_who_sends() {
        let plain = door(&[]);
        assert!(seen(&plain, "127.0.0.1", &["192.0.2.1"]) == at("127.0.0.1"));
        let proxied = door(&["127.0.0.1"]);
        assert!(seen(&proxied, "127.0.0.1", &["192.0.2.1"]) == at("192.0.2.1"));
        assert!(seen(&proxied, "::ffff:127.0.0.1", &["192.0.2.1"]) == at("192.0.2.1"));
        assert!(seen(&proxied, "127.0.0.2", &["192.0.2.1"]) == at("127.0.0.2"));
        // What stands before the proxy's own word is the sender's.
        let said = ["198.51.100.9", "198.51.100.8, 192.0.2.1"];
        assert!(seen(&proxied, "127.0.0.1", &said) == at("192.0.2.1"));
        for nobody in [&[] as &[&str], &[""], &["192.0.2.1, unknown"]] {
            assert!(seen(&proxied, "127.0.0.1", nobody) == at("127.0.0.1"));
        }
    }

    #[test]
    fn a_proxys_connections_are_not_counted() {
        let door = door(&["127.0.0.1"]);
        let (proxy, other) = ("127.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        assert!(door.connect(proxy).is_ok_and(|place| place.is_none()));
        let place = door.connect(other).map_err(|_| "the first").unwrap();
        assert!(door.connect(other).is_err());
        drop(place);
        assert!(door.connect(other).is_ok());
    }

    /// What was used of a limit that did not change counts on, and proxies stay as they are.
    #[test]
    fn limits_change_while_callers_come() {
        let door = door(&["127.0.0.1"]);
        let peer = "192.0.2.1".parse().unwrap();
        let place = door.connect(peer).map_err(|_| "the first").unwrap();
        let enters = || door.enter(peer, "/healthz", &HeaderMap::new()).is_ok();
        while enters() {}
        let limits = |requests, connections| Limits {
            requests,
            connections,
            ..Limits::none()
        };
        door.set_limits(limits(0, 1));
        assert!((0..100).all(|_| enters()), "no limit");
        assert!(door.connect(peer).is_err(), "it is still connected");
        door.set_limits(limits(0, 2));
        assert!(door.connect(peer).is_ok());
        door.set_limits(limits(1, 2));
        let since = Instant::now();
        while enters() {
            assert!(since.elapsed() < Duration::from_secs(60), "never refused");
        }
        assert!(door.is_proxy("127.0.0.1".parse().unwrap()));
        drop(place);
    }

    #[test]
    fn attachments_on_their_way_are_bounded() {
        let door = door(&[]);
        let party = |n: usize| format!("party{n}.example").parse::<PartyId>().unwrap();
        let enter = |n| door.attach(&party(n));
        let of_one: Vec<_> = (0..PARTY_ATTACHMENTS).map(|_| enter(0)).collect();
        assert!(of_one.iter().all(Result::is_ok));
        let refused = enter(0).err().expect("one too many").problem();
        assert_eq!(refused.status, 429);
        let of_all: Vec<_> = (PARTY_ATTACHMENTS..ATTACHMENTS).map(enter).collect();
        assert!(of_all.iter().all(Result::is_ok));
        let refused = enter(ATTACHMENTS).err().expect("one too many").problem();
        assert_eq!(refused.status, 503);
        drop(of_one);
        assert!(enter(0).is_ok());
    }

    #[test]
    fn requests_beyond_the_rate_are_refused() {
        let door = door(&[]);
        let peer = "192.0.2.1".parse().unwrap();
        let burst = |path: &str, asked: u32| {
            let entered = |_: &u32| door.enter(peer, path, &HeaderMap::new()).is_ok();
            u32::try_from((0..asked).filter(entered).count()).unwrap()
        };
        let calls = burst("/healthz", 30);
        assert!((10..30).contains(&calls), "{calls}");
        // The log's files have their own share, and it ends too. Its checkpoint is not one of them.
        assert_eq!(burst("/log/tile/0/000", 200), 200);
        assert!(burst("/log/tile/entries/000", 30_000) < 30_000);
        assert!(burst("/log/checkpoint", 30) < 30);
    }
}
