//! `whosaw serve`: runs a ledger.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;

use super::config::{Configuration, Live, Reload};
use super::descriptors::for_connections;
use super::operator::recover::check_names;
use super::output::take_failure;
use super::server::{LogOptions, Proxies};
use super::signals::Signals;
use super::{Command, Exit, supervisor};
use crate::client::base::BaseUrl;
use crate::encoding::printable;
use crate::http::metrics::{self, Metrics};
use crate::http::{
    App, Batcher, Batching, Bundles, Door, Limits, Listening, Lists, MAX_CONNECTIONS, Service,
    SigningKeys, UnderWay, Waiting, listen, open_to_all_sites,
};
use crate::ledger::{Intake, Ledger, QUEUE};
use crate::logging;
use crate::party::home::HomeError;
use crate::party::operator::Operator;
use crate::store::clips::{Clips, WAITING};
use crate::store::files::{Access, Files};
use crate::store::lock::DataLock;
use crate::store::space::Volume;
use crate::store::vaults::Vaults;
use crate::time::{Clock, Time};
use crate::tlog::policy::PolicyError;
use crate::tlog::tree::LeafIndex;
use crate::wire::signature::Nonces;

/// How long a start waits for a new log's first checkpoint.
const FIRST_CHECKPOINT: Duration = Duration::from_secs(5);

/// How often it is looked whether the log takes statements.
const LOOK: Duration = Duration::from_secs(1);

/// Bytes that uploads leave free, unless an operator says otherwise: a log of a few hundred thousand
/// entries, or the months that it takes to notice.
const MIN_FREE: u64 = 1 << 30;

/// Connections to the metrics' listener: one reads, another may look.
const METRICS_CONNECTIONS: usize = 8;

/// Where files of the tiles' copy are written before they are moved to their names.
const COPY_STAGING: &str = ".staging";

/// Options that a running server takes up at SIGHUP. The log's filter is one more, of every server.
const LIVE: &[&str] = &[
    "renew",
    "rate",
    "address-limit",
    "party-limit",
    "waiting-limit",
    "address-connections",
];

/// Requests for metrics per second.
const METRICS_RATE: u32 = 10;

/// Run a ledger: its log, its API, its vaults
///
/// Serves the data folder that `whosaw operator init` made. The log's files under DIR/log are served
/// as they lie there; any web server or mirror may serve them too. SIGTERM finishes what was
/// accepted and ends. SIGHUP reads keys, options and log.policy again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whosaw serve --data ledger\n  \
    whosaw serve --data ledger --listen 10.0.0.2:8080 --behind-tls --proxy 10.0.0.1 \\\n    \
    --authority ledger.example")]
pub struct Args {
    #[command(flatten)]
    configuration: Configuration,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    proxies: Proxies,
    #[command(flatten)]
    witnesses: Witnessing,
    #[command(flatten)]
    pressure: Pressure,
    #[command(flatten)]
    pub(super) log: LogOptions,
}

/// The folders of a ledger, and the log in them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Data")]
struct Data {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Refuse to start unless the log has this origin
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// Keep a second copy of the log's tiles and entries, and of the commitment lists, in this folder, on
    /// another disk: each is durable there before a checkpoint over it is signed
    #[arg(long, value_name = "DIR")]
    tiles_copy: Option<PathBuf>,
    /// A folder for the parts of residents' clips, on another volume for example. Without it, the
    /// data folder
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// Bytes that uploads leave free on each volume, for the log to go on; 0: none
    #[arg(long, value_name = "BYTES", default_value_t = MIN_FREE)]
    min_free: u64,
}

/// Where a ledger listens, and the names of it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
struct Network {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A host name (with port) under which clients reach this server; repeatable. Without it, the
    /// address listened on
    #[arg(long, value_name = "HOST")]
    authority: Vec<String>,
    /// The address under which clients reach this log: refuse to start while another server answers there
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Serve figures for Prometheus at /metrics on this address, which nobody but the operator's
    /// own monitoring may reach
    #[arg(long, value_name = "ADDR")]
    metrics_address: Option<SocketAddr>,
}

/// How a ledger deals with the witnesses of log.policy.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Witnesses")]
struct Witnessing {
    /// Seconds after which an unchanged checkpoint is cosigned anew
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = clap::value_parser!(u64).range(1..=1800))]
    renew: u64,
    /// Start though this witness, by its name in log.policy, has not confirmed the log: it is gone for
    /// good, or it lies about what it has cosigned; repeatable
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// Publish without asking any witness, whatever log.policy says. Every reader refuses such
    /// checkpoints: for benchmarks, and for trying things out
    #[arg(long)]
    unwitnessed: bool,
}

impl Witnessing {
    /// How often an unchanged checkpoint is cosigned anew.
    fn renewal(&self) -> Duration {
        Duration::from_secs(self.renew)
    }
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
}

/// A number that a socket or a queue can have: memory is set aside for some of it.
fn at_least_one() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=1_000_000)
}

impl Pressure {
    fn limits(&self, proxies: &Proxies) -> Limits {
        Limits {
            requests: self.rate,
            address_statements: self.address_limit,
            party_statements: self.party_limit,
            waiting: self.waiting_limit,
            connections: self.address_connections,
            proxies: proxies.proxy.clone(),
            client_field: proxies.client_field(),
        }
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// If the data folder, the ledger or the socket cannot be opened, or the ledger stops.
pub fn run(args: &Args, reload: Reload) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let signals = runtime.block_on(async { Signals::listen() })?;
    logging::log_panics();
    for address in std::iter::once(args.network.listen).chain(args.network.metrics_address) {
        args.proxies.check_listen(address)?;
    }
    if args.proxies.behind_tls && args.proxies.proxy.is_empty() {
        tracing::warn!(
            "all who come through one proxy share one address's limits: name it by --proxy"
        );
    }
    let operator = Operator::open(&args.data.data)?;
    if let Some(origin) = &args.data.origin
        && origin != operator.origin().as_str()
    {
        bail!(
            "the log in {} has the origin {}, for life",
            args.data.data.display(),
            operator.origin()
        );
    }
    let connections = for_connections(usize::try_from(args.pressure.connections)?)?;
    let _lock = DataLock::acquire(&args.data.data)?;
    let _clips_lock = match &args.data.clips {
        Some(folder) if folder.is_dir() => Some(DataLock::acquire(folder)?),
        _ => None,
    };
    runtime.block_on(serve(args, &operator, connections, signals, reload))?;
    Ok(Exit::Yes)
}

async fn serve(
    args: &Args,
    operator: &Operator,
    connections: usize,
    signals: Signals,
    reload: Reload,
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let renew = args.witnesses.renewal();
    let mut config = match args.witnesses.unwitnessed {
        true => {
            tracing::warn!(
                "--unwitnessed: no witness is asked, and every reader refuses the checkpoints"
            );
            operator.unwitnessed_ledger(clock.clone(), renew)?
        }
        false => operator
            .ledger(clock.clone(), renew)
            .map_err(|e| name_a_witness(&args.data.data, e))?,
    };
    config.queue = usize::try_from(args.pressure.queue)?;
    config.without = check_names(operator, &args.witnesses.without)?;
    if let Some(folder) = &args.data.tiles_copy {
        let copy = Files::open(folder, &folder.join(COPY_STAGING), Access::Public);
        config.tiles_copy = Some(copy.with_context(|| folder.display().to_string())?);
    }
    if let Some(url) = &args.network.public_url {
        BaseUrl::parse(url)?;
        config.public_url = Some(url.clone());
    }
    // It may wait for the network.
    let (ledger, running) = tokio::task::block_in_place(|| Ledger::start(config))?;
    if let Some(until) = ledger.waits_for_clock(clock.now()) {
        warn_of_clock(until);
    }
    tokio::select! {
        () = signals.ending.clone().wait() => {}
        () = settle(&ledger) => {}
    }
    let listener = bind(args.network.listen).await?;
    let address = listener.local_addr()?;
    let authorities = match args.network.authority.as_slice() {
        [] => vec![address.to_string(), format!("localhost:{}", address.port())],
        given => given.iter().map(|host| host.to_ascii_lowercase()).collect(),
    };
    let counted = Arc::new(Metrics::default());
    let door = Arc::new(Door::new(args.pressure.limits(&args.proxies), counted));
    let service = Arc::new(open(
        args,
        operator,
        ledger,
        clock,
        authorities,
        door.clone(),
    )?);
    let figures = match args.network.metrics_address {
        Some(address) => Some(serve_metrics(address, service.clone()).await?),
        None => None,
    };
    let party = operator.home().profile().party.clone();
    let batcher = tokio::task::block_in_place(|| Batcher::new(service.clone(), party));
    let batches = tokio::spawn(batcher.run());
    println!("log {}", operator.origin());
    println!("listening on http://{address}");
    if let Some(error) = take_failure() {
        tracing::warn!(%error, %address, "standard output did not take the address");
    }

    let status = Status {
        serving: format!("serving {} on http://{address}", operator.origin()),
        service: service.clone(),
    };
    let intake = status.intake();
    supervisor::ready(&status.line(&intake));
    let telling = tokio::spawn(status.follow(intake));
    let (changed, at_door) = (service.clone(), door.clone());
    let reload = reload.with(Live {
        keys: LIVE,
        apply: Box::new(move |cli| {
            if let Command::Serve(args) = &cli.command {
                changed.ledger.set_renew(args.witnesses.renewal());
                at_door.set_limits(args.pressure.limits(&args.proxies));
            }
        }),
    });
    // While no witness is asked, log.policy is not read.
    let policy_of = (!args.witnesses.unwitnessed).then(|| operator.clone());
    let rereads = service.clone();
    let reloads = tokio::spawn(reload.at_each(signals.hangup, move || {
        rereads.keys.reload(&rereads.ledger, rereads.clock.now());
        if let Some(operator) = &policy_of {
            reload_policy(&rereads.ledger, operator);
        }
    }));
    let stopped = async {
        while !running.is_finished() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        tracing::error!("ending: a thread of the ledger has stopped");
    };
    let shutdown = async {
        tokio::select! {
            () = signals.ending.wait() => {}
            () = stopped => {}
        }
        supervisor::stopping();
    };
    let listening = Listening {
        listener,
        connections,
        door,
        open: open_to_all_sites,
    };
    listen(listening, App::new(service.clone()), shutdown).await;
    for task in [Some(batches), Some(reloads), Some(telling), figures]
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

/// Waits for the first checkpoint, without which readers have nothing to read, and for the witnesses to
/// confirm the log. A server starts without either after a while.
async fn settle(ledger: &Ledger) {
    let first = ledger.wait_published(LeafIndex::new(0), FIRST_CHECKPOINT);
    // One that does not count for the first entry yet is public all the same.
    if first.await.is_none() && ledger.published().is_none() {
        tracing::warn!("no checkpoint is public yet: not enough witnesses have cosigned");
    }
    if !ledger.wait_confirmed(FIRST_CHECKPOINT).await {
        tracing::warn!(
            "nothing is logged yet: too few witnesses have confirmed the last state of the log and the clock of \
             this server; /healthz names them"
        );
    }
}

/// The line about a server that its service manager shows.
struct Status {
    /// Which log, and where.
    serving: String,
    service: Arc<Service>,
}

impl Status {
    fn intake(&self) -> Intake {
        self.service.ledger.intake(self.service.clock.now())
    }

    fn line(&self, intake: &Intake) -> String {
        match intake {
            Intake::Open => self.serving.clone(),
            other => format!("{}; {other}", self.serving),
        }
    }

    /// Sends the line whenever the log begins or ceases to take statements, until the task is aborted. No
    /// event tells that a clock was set or has come to a time, so it looks.
    async fn follow(self, mut last: Intake) {
        let mut is_shown = true;
        loop {
            tokio::time::sleep(LOOK).await;
            let intake = self.intake();
            if intake != last {
                match (&last, &intake) {
                    (_, Intake::WaitsForClock(until)) => warn_of_clock(*until),
                    (Intake::WaitsForClock(_), _) => {
                        tracing::info!("the clock is no longer behind the last entry");
                    }
                    _ => {}
                }
                (last, is_shown) = (intake, false);
            }
            // A message that the service manager did not take is sent again.
            is_shown = is_shown || supervisor::status(&self.line(&last));
        }
    }
}

/// Says that the log is ahead of the clock: each statement is answered 503 until then.
fn warn_of_clock(until: Time) {
    tracing::warn!(
        %until,
        "nothing is logged yet: the clock is behind the last entry of the log; set it right, or see \"Health\" in \
         OPERATIONS"
    );
}

/// Puts log.policy in force if it has changed and the log may have it. Waits for the witnesses.
fn reload_policy(ledger: &Ledger, operator: &Operator) {
    let changed = operator.witnessed_policy().map_err(anyhow::Error::from);
    let changed = changed.and_then(|policy| {
        if policy == ledger.policy() {
            return Ok(None);
        }
        ledger.change_policy(policy.clone())?;
        Ok(Some(policy))
    });
    match changed {
        Ok(None) => {}
        Ok(Some(policy)) => {
            let names = policy.witnesses().iter().map(|w| printable(&w.name));
            let names: Vec<String> = names.collect();
            tracing::info!(
                witnesses = names.join(" "),
                "log.policy has changed: these witnesses are asked now"
            );
        }
        Err(error) => {
            let error = super::causes(&error);
            tracing::error!(
                error,
                "log.policy has changed and is refused: the one before stays in force"
            );
        }
    }
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

/// Refuses a folder without complete clips while vaults list some: its volume is not mounted, most likely,
/// and a server that went on would show residents none of their clips.
///
/// # Errors
/// If it is such a folder, or the database cannot be read.
pub(super) fn check_clips(folder: &Path, vaults: &Vaults) -> anyhow::Result<()> {
    let is_empty = std::fs::read_dir(folder).map_or(true, |found| {
        let mut names = found.flatten().map(|entry| entry.file_name());
        names.all(|name| name == WAITING)
    });
    if is_empty && vaults.has_clips()? {
        bail!(
            "vaults.db lists clips, and {clips} has none: mount its volume, or say by --clips where \
             they are; if they are lost for good, make a file {clips}/lost",
            clips = folder.display()
        );
    }
    Ok(())
}

/// The lists of commitments, and their copy beside that of the tiles.
fn lists(root: &Path, copy: Option<&Path>) -> anyhow::Result<Lists> {
    let open = |root: &Path, staging: &Path| {
        let (root, staging) = (root.join("batches"), staging.join("batches"));
        Files::open(&root, &staging, Access::Public).with_context(|| root.display().to_string())
    };
    let own = open(root, &root.join("staging"))?;
    let copy = copy
        .map(|copy| open(copy, &copy.join(COPY_STAGING)))
        .transpose()?;
    Ok(Lists::new(own, copy)?)
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
    let [clips, staging] = clips_folders(root, args.data.clips.as_deref())?;
    check_clips(&clips, &vaults)?;
    let clips = Files::open(&clips, &staging, Access::Private)?;
    let volume = Volume::of(root, args.data.min_free);
    let clips_volume = match &args.data.clips {
        None => volume.clone(),
        Some(folder) => Volume::of(folder, args.data.min_free),
    };
    Ok(Service {
        ledger,
        attachments: files("attachments", Access::Private)?,
        waiting: Waiting::default(),
        batches: lists(root, args.data.tiles_copy.as_deref())?,
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
