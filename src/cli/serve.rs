//! `whosaw serve`: runs a ledger.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::descriptors::for_connections;
use super::operator::recover::check_names;
use super::output::take_failure;
use super::signals::Ending;
use super::{Exit, LogOptions};
use crate::client::base::BaseUrl;
use crate::http::metrics::{self, Metrics};
use crate::http::{
    App, Batcher, Batching, Bundles, ClientField, Door, Limits, Listening, MAX_CONNECTIONS,
    Service, SigningKeys, UnderWay, Waiting, listen, open_to_all_sites,
};
use crate::ledger::{Ledger, QUEUE};
use crate::logging;
use crate::party::home::HomeError;
use crate::party::operator::Operator;
use crate::store::clips::Clips;
use crate::store::files::{Access, Files};
use crate::store::lock::DataLock;
use crate::store::space::Volume;
use crate::store::vaults::Vaults;
use crate::time::Clock;
use crate::tlog::policy::PolicyError;
use crate::tlog::tree::LeafIndex;
use crate::wire::signature::Nonces;

/// How long a start waits for a new log's first checkpoint.
const FIRST_CHECKPOINT: Duration = Duration::from_secs(5);

/// Bytes that uploads leave free, unless an operator says otherwise: a log of a few hundred thousand
/// entries, or the months that it takes to notice.
const MIN_FREE: u64 = 1 << 30;

/// Connections to the metrics' listener: one reads, another may look.
const METRICS_CONNECTIONS: usize = 8;

/// Where files of the tiles' copy are written before they are moved to their names.
const COPY_STAGING: &str = ".staging";

/// Requests for metrics per second.
const METRICS_RATE: u32 = 10;

/// Run a ledger: its log, its API, its vaults
///
/// Serves the data folder that `whosaw operator init` made. The log's files under DIR/log are served
/// as they lie there; any web server or mirror may serve them too. SIGTERM finishes what was
/// accepted and ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw serve --data ledger\n  \
    whosaw serve --data ledger --listen 10.0.0.2:8080 --behind-tls --proxy 10.0.0.1 \\\n    \
    --authority ledger.example")]
pub struct Args {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Refuse to start unless the log has this origin
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// A host name (with port) under which clients reach this server; repeatable. Default: the
    /// address listened on
    #[arg(long, value_name = "HOST")]
    authority: Vec<String>,
    /// Listen on other than loopback: a TLS proxy stands in front
    #[arg(long)]
    behind_tls: bool,
    /// Start although the trust file asks for no witness. Every reader refuses such a log: for
    /// benchmarks, and for trying things out
    #[arg(long)]
    unwitnessed: bool,
    /// Seconds after which an unchanged checkpoint is cosigned anew
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = clap::value_parser!(u64).range(1..=1800))]
    renew: u64,
    /// Start though this witness, by its name in log.policy, has not confirmed the log: it is gone for
    /// good, or it lies about what it has cosigned; repeatable
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// Keep a second copy of the log's tiles and entries in this folder, on another disk: each is durable
    /// there before a checkpoint over it is signed
    #[arg(long, value_name = "DIR")]
    tiles_copy: Option<PathBuf>,
    /// The address under which clients reach this log: refuse to start while another server answers there
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Serve figures for Prometheus at /metrics on this address, which nobody but the operator's
    /// own monitoring may reach
    #[arg(long, value_name = "ADDR")]
    metrics_address: Option<SocketAddr>,
    /// A folder for the parts of residents' clips, on another volume for example; default: DIR
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// Bytes that uploads leave free on each volume, for the log to go on; 0: none
    #[arg(long, value_name = "BYTES", default_value_t = MIN_FREE)]
    min_free: u64,
    #[command(flatten)]
    pressure: Pressure,
    #[command(flatten)]
    pub(super) log: LogOptions,
}

/// How much is taken from whom. An address is an IPv4 address or an IPv6 /64, loopback as any other:
/// a proxy on this machine stands for strangers.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
struct Pressure {
    /// Requests per second that one address may keep up; 0: any number
    #[arg(long, value_name = "N", default_value = "200")]
    rate: u32,
    // Ten a second: an office behind one address, importing its past; a thousandth of what a log
    // takes.
    /// Statements per minute that one address may send; 0: any number
    #[arg(long, value_name = "N", default_value = "600")]
    address_limit: u32,
    /// Statements per minute that one party may sign; 0: any number
    #[arg(long, value_name = "N", default_value = "600")]
    party_limit: u32,
    // A sixteenth of the queue: it takes that many at once to fill it.
    /// Statements of one address, and of one party, that may wait at once; 0: any number
    #[arg(long, value_name = "N", default_value = "64")]
    waiting_limit: usize,
    /// Connections that one address may have open at once, and requests under way through a proxy; 0:
    /// any number
    #[arg(long, value_name = "N", default_value = "256")]
    address_connections: usize,
    /// Connections open at once; for one more, the one that has been idle longest is closed
    #[arg(long, value_name = "N", default_value_t = MAX_CONNECTIONS as u64, value_parser = at_least_one())]
    connections: u64,
    /// Statements that may wait for the sequencer
    #[arg(long, value_name = "N", default_value_t = QUEUE as u64, value_parser = at_least_one())]
    queue: u64,
    /// A proxy's address whose X-Forwarded-For names the client last; repeatable
    #[arg(long, value_name = "IP")]
    proxy: Vec<IpAddr>,
    /// The proxies name the client in Forwarded (RFC 7239), and not in X-Forwarded-For
    #[arg(long, requires = "proxy")]
    forwarded: bool,
}

/// A number that a socket or a queue can have: memory is set aside for some of it.
fn at_least_one() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=1_000_000)
}

/// Where proxies name the client.
pub(super) fn client_field(forwarded: bool) -> ClientField {
    match forwarded {
        true => ClientField::Forwarded,
        false => ClientField::XForwardedFor,
    }
}

impl Pressure {
    fn limits(&self) -> Limits {
        Limits {
            requests: self.rate,
            address_statements: self.address_limit,
            party_statements: self.party_limit,
            waiting: self.waiting_limit,
            connections: self.address_connections,
            proxies: self.proxy.clone(),
            client_field: client_field(self.forwarded),
        }
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// If the data folder, the ledger or the socket cannot be opened, or the ledger stops.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    logging::log_panics();
    for address in std::iter::once(args.listen).chain(args.metrics_address) {
        if !address.ip().is_loopback() && !args.behind_tls {
            bail!(
                "{address} is not a loopback address, and this server speaks plain HTTP: put a TLS \
                 proxy in front and say --behind-tls"
            );
        }
    }
    if args.behind_tls && args.pressure.proxy.is_empty() {
        tracing::warn!(
            "all who come through one proxy share one address's limits: name it by --proxy"
        );
    }
    let operator = Operator::open(&args.data)?;
    if let Some(origin) = &args.origin
        && origin != operator.origin().as_str()
    {
        bail!(
            "the log in {} has the origin {}, for life",
            args.data.display(),
            operator.origin()
        );
    }
    let connections = for_connections(usize::try_from(args.pressure.connections)?)?;
    let _lock = DataLock::acquire(&args.data)?;
    let _clips_lock = match &args.clips {
        Some(folder) if folder.is_dir() => Some(DataLock::acquire(folder)?),
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(args, &operator, connections))?;
    Ok(Exit::Yes)
}

async fn serve(args: &Args, operator: &Operator, connections: usize) -> anyhow::Result<()> {
    let clock = Clock::system();
    let renew = Duration::from_secs(args.renew);
    let mut config = match args.unwitnessed {
        true => operator.unwitnessed_ledger(clock.clone(), renew)?,
        false => operator
            .ledger(clock.clone(), renew)
            .map_err(|e| name_a_witness(&args.data, e))?,
    };
    config.queue = usize::try_from(args.pressure.queue)?;
    config.without = check_names(operator, &args.without)?;
    if let Some(folder) = &args.tiles_copy {
        let copy = Files::open(folder, &folder.join(COPY_STAGING), Access::Public);
        config.tiles_copy = Some(copy.with_context(|| folder.display().to_string())?);
    }
    if let Some(url) = &args.public_url {
        BaseUrl::parse(url)?;
        config.public_url = Some(url.clone());
    }
    // It may wait for the network.
    let (ledger, running) = tokio::task::block_in_place(|| Ledger::start(config))?;
    // A log's first checkpoint: without it there is nothing for anybody to read.
    let first = ledger.wait_published(LeafIndex::new(0), FIRST_CHECKPOINT);
    if first.await.is_none() {
        tracing::warn!("no checkpoint is public yet: not enough witnesses have cosigned");
    }
    if !ledger.wait_confirmed(FIRST_CHECKPOINT).await {
        tracing::warn!(
            "nothing is logged yet: too few witnesses have confirmed that this is the last state of the log; \
             /healthz names them"
        );
    }
    let listener = bind(args.listen).await?;
    let address = listener.local_addr()?;
    let authorities = match args.authority.as_slice() {
        [] => vec![address.to_string(), format!("localhost:{}", address.port())],
        given => given.iter().map(|host| host.to_ascii_lowercase()).collect(),
    };
    let counted = Arc::new(Metrics::default());
    let door = Arc::new(Door::new(args.pressure.limits(), counted));
    let service = Arc::new(open(
        args,
        operator,
        ledger,
        clock,
        authorities,
        door.clone(),
    )?);
    let figures = match args.metrics_address {
        Some(address) => Some(serve_metrics(address, service.clone()).await?),
        None => None,
    };
    let batcher = Batcher {
        service: service.clone(),
        operator: operator.home().profile().party.clone(),
    };
    let batches = tokio::spawn(batcher.run());
    println!("log {}", operator.origin());
    println!("listening on http://{address}");
    if let Some(error) = take_failure() {
        tracing::warn!(%error, %address, "standard output did not take the address");
    }

    let reloads = tokio::spawn(reload_on_hangup(service.clone())?);
    let ending = Ending::listen()?;
    let stopped = async {
        while !running.is_finished() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        tracing::error!("ending: a thread of the ledger has stopped");
    };
    let shutdown = async {
        tokio::select! {
            () = ending.wait() => {}
            () = stopped => {}
        }
    };
    let listening = Listening {
        listener,
        connections,
        door,
        open: open_to_all_sites,
    };
    listen(listening, App::new(service.clone()), shutdown).await;
    for task in [Some(batches), Some(reloads), figures]
        .into_iter()
        .flatten()
    {
        task.abort();
        let _ = task.await;
    }
    // The last handles: without them the sequencer finishes its queue and ends.
    drop(service);
    tokio::task::spawn_blocking(move || running.join()).await??;
    Ok(())
}

/// Reads keys again at each SIGHUP, until the task is aborted.
fn reload_on_hangup(service: Arc<Service>) -> anyhow::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("reading again what may change: SIGHUP");
            service.keys.reload(&service.ledger, service.clock.now());
        }
    })
}

fn signing_keys(operator: &Operator) -> anyhow::Result<SigningKeys> {
    let party = operator.home().profile().party.clone();
    let operator = operator.clone();
    let read = move |role| operator.signing_keys(role).map_err(|e| e.to_string());
    SigningKeys::open(party, read).map_err(anyhow::Error::msg)
}

/// A ledger that nobody vouches for yet: what there is to do.
fn name_a_witness(data: &Path, error: HomeError) -> anyhow::Error {
    let unwitnessed = matches!(
        error,
        HomeError::Policy {
            source: PolicyError::NoWitnesses,
            ..
        }
    );
    let error = anyhow::Error::new(error);
    match unwitnessed {
        true => error.context(format!(
            "name a witness by `whosaw operator add-witness --data {} …`, or try things out with \
             --unwitnessed",
            data.display()
        )),
        false => error,
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("cannot listen on {address}: is another server there?"))
}

/// Serves `/metrics` beside the ledger, until the task is aborted.
async fn serve_metrics(
    address: SocketAddr,
    service: Arc<Service>,
) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let listener = bind(address).await?;
    println!("metrics on http://{}/metrics", listener.local_addr()?);
    let listening = Listening {
        connections: METRICS_CONNECTIONS,
        ..Listening::paced(listener, METRICS_RATE)
    };
    let metrics = metrics::router(service);
    Ok(tokio::spawn(listen(
        listening,
        metrics,
        std::future::pending(),
    )))
}

/// Where the parts of clips are: the folder, and its staging folder on the same volume.
///
/// # Errors
/// If `other` is named and is no folder.
pub(super) fn clips_folders(root: &Path, other: Option<&Path>) -> anyhow::Result<[PathBuf; 2]> {
    match other {
        None => Ok([root.join("clips"), root.join("staging").join("clips")]),
        Some(other) if other.is_dir() => Ok([other.join("clips"), other.join("staging")]),
        Some(other) => bail!(
            "{} is no folder: make it, or mount its volume",
            other.display()
        ),
    }
}

/// Refuses a folder without clips while vaults list some: its volume is not mounted, most likely, and a
/// server that went on would show residents none of their clips.
fn check_clips(folder: &Path, vaults: &Vaults) -> anyhow::Result<()> {
    let is_empty = std::fs::read_dir(folder).map_or(true, |mut found| found.next().is_none());
    if is_empty && vaults.has_clips()? {
        bail!(
            "vaults.db lists clips, and {clips} has none: mount its volume, or say by --clips where \
             they are; if they are lost for good, make a file {clips}/lost",
            clips = folder.display()
        );
    }
    Ok(())
}

fn open(
    args: &Args,
    operator: &Operator,
    ledger: Ledger,
    clock: Clock,
    authorities: Vec<String>,
    door: Arc<Door>,
) -> anyhow::Result<Service> {
    let root = operator.home().root();
    let files = |name: &str, access| {
        Files::open(&root.join(name), &root.join("staging").join(name), access)
    };
    let path = root.join("vaults.db");
    let mut vaults = Vaults::open(&path)?;
    vaults.checkpoint_beside(&path)?;
    let vaults = Arc::new(vaults);
    let [clips, staging] = clips_folders(root, args.clips.as_deref())?;
    check_clips(&clips, &vaults)?;
    let clips = Files::open(&clips, &staging, Access::Private)?;
    let volume = Volume::of(root, args.min_free);
    let clips_volume = match &args.clips {
        None => volume.clone(),
        Some(folder) => Volume::of(folder, args.min_free),
    };
    Ok(Service {
        ledger,
        attachments: files("attachments", Access::Private)?,
        waiting: Waiting::default(),
        batches: files("batches", Access::Public)?,
        clips: Clips::new(clips, vaults.clone(), clips_volume),
        volume,
        vaults,
        disclosures: UnderWay::default(),
        started: clock.now(),
        clock,
        authorities,
        keys: signing_keys(operator)?,
        batching: Batching::default(),
        nonces: Mutex::new(Nonces::default()),
        door,
        bundles: Bundles::default(),
    })
}
