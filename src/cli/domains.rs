//! `domain-record`: what a party publishes under its host name; and how host names are asked.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::Exit;
use super::party::Speaker;
use super::written::Written;
use crate::client::domain::{Asker, DNS_PORT, RESOLV_CONF, Ways, resolvers};
use crate::party::keys;
use crate::party::official::Official;
use crate::statement::facts::FactsExt as _;
use crate::statement::key::PublicKey;
use crate::statement::kinds::party::CheckMethod;
use crate::watch::domains;
use crate::wire::domain::{Published, file_url, record_name};

/// How host names are asked
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "How host names are asked")]
pub struct Asking {
    /// A DNS resolver, in place of those in /etc/resolv.conf; repeatable
    #[arg(long, value_name = "IP[:PORT]", value_parser = resolver)]
    resolver: Vec<SocketAddr>,
    /// Where every HTTPS connection goes, in place of the name's own address; the certificate is
    /// still the name's
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// A PEM file with the authorities to believe, in place of the Web's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The longest that one question may take, in seconds
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

fn resolver(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<IpAddr>();
    let socket = address.map(|address| SocketAddr::new(address, DNS_PORT));
    socket
        .or_else(|_| text.parse())
        .map_err(|_| "an IP address, or one with a port".to_owned())
}

impl Asking {
    /// What asks so.
    ///
    /// # Errors
    /// If a file cannot be read, or an address is none.
    pub fn asker(&self) -> anyhow::Result<Asker> {
        let resolvers = match self.resolver.is_empty() {
            false => self.resolver.clone(),
            // Without the file nobody is asked by DNS, which is said when somebody should be.
            true => resolvers(&std::fs::read_to_string(RESOLV_CONF).unwrap_or_default()),
        };
        let connect = match &self.connect {
            None => None,
            Some(place) => {
                let mut found = place.to_socket_addrs().with_context(|| place.clone())?;
                Some(
                    found
                        .next()
                        .with_context(|| format!("{place} is nowhere"))?,
                )
            }
        };
        let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
        Ok(Asker::new(Ways {
            resolvers,
            connect,
            authorities: self.ca.as_ref().map(read).transpose()?,
            patience: Duration::from_secs(self.timeout),
        })?)
    }
}

/// Where keys can be looked for.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Place {
    /// TXT records below the host name
    DnsTxt,
    /// A file of the host name's web server
    WellKnown,
}

impl From<Place> for CheckMethod {
    fn from(place: Place) -> Self {
        match place {
            Place::DnsTxt => Self::DnsTxt,
            Place::WellKnown => Self::WellKnown,
        }
    }
}

/// Print what to publish under the party's host name, to show its keys
///
/// DNS TXT records, or a file for the host name's web server: one of them is enough. They hold
/// digests of every key that signs for the party, those of other folders too, as the log has them,
/// and of keys in this folder that the log does not know yet. Publish before you register, keep it up
/// while you are registered, and publish a new key within a day.
#[derive(Debug, clap::Args)]
#[command(after_help = S::examples("Example:\n  \
    PARTY domain-record FOLDER --file whosaw.json"))]
pub struct DomainRecord<S: Speaker> {
    #[command(flatten)]
    speaker: S,
    /// Write the file here too
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Do not read the log: the keys in this folder alone
    #[arg(long)]
    offline: bool,
}

impl<S: Speaker> DomainRecord<S> {
    /// Runs `domain-record`.
    ///
    /// # Errors
    /// If the keys or the log cannot be read, or a file cannot be written.
    pub fn run(&self) -> anyhow::Result<Exit> {
        let party = self.speaker.open()?;
        let mut keys = match self.offline {
            true => keys::own(party.home())?.iter().map(|own| own.key).collect(),
            false => expected(&party)?,
        };
        keys.sort();
        let published = Published::of(&keys)?;
        let id = &party.profile().party;
        let (name, url) = (record_name(id), file_url(id));
        if let Some(path) = &self.file {
            Written::Published.write(path, published.file())?;
        }
        if self.speaker.json() {
            let file: serde_json::Value = serde_json::from_str(&published.file())?;
            let shown = json!({
                "keys": keys,
                "dns-txt": { "name": name, "records": published.records() },
                "well-known": { "url": url, "file": file },
            });
            println!("{}", serde_json::to_string_pretty(&shown)?);
            return Ok(Exit::Yes);
        }
        println!("DNS, for --domain-check dns-txt:\n");
        for record in published.records() {
            println!("{name}. IN TXT \"{record}\"");
        }
        println!("\nor the file {url}, for --domain-check well-known:\n");
        print!("{}", published.file());
        Ok(Exit::Yes)
    }
}

/// The keys that others expect to see, and those in the folder that are on their way into the log.
fn expected(party: &Official) -> anyhow::Result<Vec<PublicKey>> {
    let (follower, _) = party.follow(&mut |_, _| {})?;
    let domains = domains::read(&follower)?;
    let logged = domains.of(&party.profile().party);
    let mut keys: Vec<PublicKey> = logged
        .into_iter()
        .flat_map(|domain| domain.keys.iter().map(|live| live.key))
        .collect();
    for keys::Own { key, .. } in keys::own(party.home())? {
        if follower.facts().key(&key)?.is_none() {
            keys.push(key);
        }
    }
    Ok(keys)
}
