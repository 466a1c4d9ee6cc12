//! Asks a host name what its owner publishes: TXT records from a resolver, or a file by HTTPS.
//!
//! Two ways to fail are kept apart: the name *says otherwise* (there is nothing, or it is not of the form),
//! and the name *could not be asked* (no answer, or one that anybody on the way could have given). What
//! a resolver says is only as good as the resolver and the way to it; HTTPS stands on the certificate.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::file::{self, Fetched, Form};
use crate::random;
use crate::statement::kinds::party::CheckMethod;
use crate::statement::words::PartyId;
use crate::wire::dns::{self, Reply};
use crate::wire::domain::{self, Published};

/// The port of DNS.
pub const DNS_PORT: u16 = 53;
/// Where a machine's resolvers are named.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// As many of them as the C library asks (resolv.conf(5)).
const MAX_RESOLVERS: usize = 3;
/// How often each resolver is asked: packets get lost.
const ROUNDS: usize = 2;

/// Whom to ask, and for how long.
#[derive(Debug, Clone)]
pub struct Ways {
    /// Resolvers, asked in this order.
    pub resolvers: Vec<SocketAddr>,
    /// Where every HTTPS connection goes, whatever the name's address is; the name and its
    /// certificate stay what they are. For networks that see other addresses than the world.
    pub connect: Option<SocketAddr>,
    /// The authorities believed in place of the Web's, as PEM.
    pub authorities: Option<Vec<u8>>,
    /// The longest that one question may take.
    pub patience: Duration,
}

/// The way to ask is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaysError {
    #[error("no PEM certificates: {0}")]
    Authorities(String),
}

/// The name could not be asked: this says nothing about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} could not be asked: {why}")]
pub struct Unasked {
    pub place: String,
    pub why: String,
}

/// What a name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Keys(Published),
    /// Nothing that could be a party's keys; why.
    Otherwise(String),
}

/// Asks host names.
pub struct Asker {
    ways: Ways,
    agent: ureq::Agent,
}

impl Asker {
    /// Asks in these ways.
    ///
    /// # Errors
    /// [`WaysError`].
    pub fn new(ways: Ways) -> Result<Self, WaysError> {
        let mut tls = TlsConfig::builder();
        if let Some(pem) = &ways.authorities {
            tls = tls.root_certs(RootCerts::from(certificates(pem)?));
        }
        let mut config = ureq::Agent::config_builder()
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(ways.patience))
            .user_agent(super::base::USER_AGENT)
            .tls_config(tls.build());
        let agent = match ways.connect {
            None => config.build().new_agent(),
            Some(address) => {
                // A proxy would resolve the name by itself.
                config = config.proxy(None);
                let connector = DefaultConnector::new();
                ureq::Agent::with_parts(config.build(), connector, Always(address))
            }
        };
        Ok(Self { ways, agent })
    }

    /// What a party's host name says, asked one way.
    ///
    /// # Errors
    /// [`Unasked`].
    pub fn ask(&self, party: &PartyId, method: CheckMethod) -> Result<Said, Unasked> {
        match method {
            CheckMethod::DnsTxt => self.ask_dns(party),
            CheckMethod::WellKnown => self.ask_file(party),
            CheckMethod::NotChecked => Err(Unasked {
                place: party.to_string(),
                why: "not-checked is no way to ask".to_owned(),
            }),
        }
    }

    fn ask_dns(&self, party: &PartyId) -> Result<Said, Unasked> {
        let name = domain::record_name(party);
        let unasked = |why: String| Unasked {
            place: format!("DNS TXT {name}"),
            why,
        };
        let mut faults = Vec::new();
        for _ in 0..ROUNDS {
            for resolver in &self.ways.resolvers {
                match exchange(*resolver, &name, self.ways.patience) {
                    Ok(Reply::Records(records)) => {
                        return Ok(said(
                            Published::from_records(records.iter().map(Vec::as_slice)),
                            &format!("DNS TXT {name}"),
                        ));
                    }
                    Ok(Reply::Failed(code)) => faults.push(format!("{resolver} answers {code}")),
                    Ok(Reply::Truncated) => faults.push(format!("{resolver} cuts its answers")),
                    Err(error) => faults.push(format!("{resolver}: {error}")),
                }
            }
        }
        faults.dedup();
        Err(unasked(match faults.is_empty() {
            true => "no resolver is known: name one with --resolver".to_owned(),
            false => faults.join("; "),
        }))
    }

    fn ask_file(&self, party: &PartyId) -> Result<Said, Unasked> {
        let url = domain::file_url(party);
        let unasked = |why: String| Unasked {
            place: url.clone(),
            why: why.chars().filter(|c| !c.is_control()).collect(),
        };
        let (name, value) = file::AS_IT_IS;
        let mut response = self
            .agent
            .get(&url)
            .header(name, value)
            .call()
            .map_err(|e| unasked(e.to_string()))?;
        match response.status().as_u16() {
            200 => {}
            status @ (404 | 410) => {
                return Ok(Said::Otherwise(format!("{url} is not there ({status})")));
            }
            status @ 300..400 => {
                let why = format!("{url} leads elsewhere ({status}), and is not followed");
                return Ok(Said::Otherwise(why));
            }
            status => return Err(unasked(format!("status {status}"))),
        }
        match file::read(&mut response, Form::Json, domain::MAX_FILE) {
            Ok(Fetched::File(bytes)) => Ok(said(Published::from_file(&bytes), &url)),
            Ok(Fetched::TooLarge) => Ok(said(Err(domain::FormError::TooLarge), &url)),
            Ok(Fetched::Replaced(why)) => Err(unasked(why)),
            Err(error) => Err(unasked(error.to_string())),
        }
    }
}

/// What was published at a place, as an answer.
fn said(published: Result<Published, domain::FormError>, place: &str) -> Said {
    match published {
        Ok(published) if published.is_empty() => Said::Otherwise(format!("{place} names no key")),
        Ok(published) => Said::Keys(published),
        Err(error) => Said::Otherwise(format!("{place} is not of the form: {error}")),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, WaysError> {
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(pem) {
        match item.map_err(|e| WaysError::Authorities(e.to_string()))? {
            PemItem::Certificate(certificate) => found.push(certificate),
            _ => return Err(WaysError::Authorities("something else too".to_owned())),
        }
    }
    match found.is_empty() {
        true => Err(WaysError::Authorities("none is there".to_owned())),
        false => Ok(found),
    }
}

/// One address for every name.
#[derive(Debug)]
struct Always(SocketAddr);

impl Resolver for Always {
    fn resolve(
        &self,
        _: &ureq::http::Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}

/// The resolvers that a resolv.conf(5) names, at most three. Those with a scope (`fe80::1%eth0`) are
/// passed over.
pub fn resolvers(resolv_conf: &str) -> Vec<SocketAddr> {
    let named = resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next())?
    });
    let addresses = named.filter_map(|word| word.parse::<IpAddr>().ok());
    let sockets = addresses.map(|address| SocketAddr::new(address, DNS_PORT));
    sockets.take(MAX_RESOLVERS).collect()
}

/// Asks one resolver, by UDP and, where that is too little, by TCP.
fn exchange(resolver: SocketAddr, name: &str, patience: Duration) -> io::Result<Reply> {
    let deadline = Instant::now() + patience;
    match by_udp(resolver, name, deadline)? {
        Reply::Truncated => by_tcp(resolver, name, deadline),
        reply => Ok(reply),
    }
}

/// A new id for each question: with the port, it is all that a stranger has to guess.
fn question(name: &str) -> io::Result<(u16, Vec<u8>)> {
    let id = u16::from_be_bytes(random::bytes());
    let query = dns::query(id, name).map_err(io::Error::other)?;
    Ok((id, query))
}

fn by_udp(resolver: SocketAddr, name: &str, deadline: Instant) -> io::Result<Reply> {
    let any: IpAddr = match resolver {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // The kernel draws the port, and hands on what comes from the resolver's address alone.
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(resolver)?;
    let (id, query) = question(name)?;
    socket.send(&query)?;
    let mut packet = vec![0; 1 << 16];
    loop {
        socket.set_read_timeout(Some(left(deadline)?))?;
        let length = socket.recv(&mut packet).map_err(timed_out)?;
        // Somebody else's guess is no answer, and does not end the wait for it.
        if let Ok(reply) = dns::reply(&packet[..length], id, name) {
            return Ok(reply);
        }
    }
}

fn by_tcp(resolver: SocketAddr, name: &str, deadline: Instant) -> io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&resolver, left(deadline)?)?;
    let (id, query) = question(name)?;
    let length = u16::try_from(query.len()).expect("a question is short");
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(&[&length.to_be_bytes()[..], &query].concat())?;
    let mut length = [0; 2];
    read_by(&mut stream, &mut length, deadline)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    read_by(&mut stream, &mut message, deadline)?;
    dns::reply(&message, id, name).map_err(io::Error::other)
}

/// Fills `buffer` before the deadline, however the bytes dribble in.
fn read_by(stream: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut buffer[filled..]).map_err(timed_out)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => filled += n,
        }
    }
    Ok(())
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(no_answer()),
        false => Ok(left),
    }
}

fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => no_answer(),
        _ => error,
    }
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_as_the_system_reads_them() {
        let text = "# nameserver 192.0.2.9\nsearch a.example\nnameserver 192.0.2.1\n\
                    nameserver\t::1  \nnameserver fe80::1%eth0\nnameserver x\n nameserver 192.0.2.2\n\
                    nameservers 192.0.2.3\nnameserver 192.0.2.4\n";
        let found: Vec<String> = resolvers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[::1]:53", "192.0.2.2:53"]);
        assert_eq!(resolvers(""), []);
    }

    #[test]
    fn authorities_are_certificates_and_nothing_else() {
        let read = |pem: &str| certificates(pem.as_bytes()).map(|found| found.len());
        let key = rcgen::KeyPair::generate().unwrap();
        let names = ["a.example".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap();
        let pem = certificate.self_signed(&key).unwrap().pem();
        assert_eq!(read(&pem), Ok(1));
        assert_eq!(read(&format!("{pem}{pem}")), Ok(2));
        assert!(read("").is_err());
        assert!(read(&format!("{pem}{}", key.serialize_pem())).is_err());
    }
}
