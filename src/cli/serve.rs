//! `whosaw serve`: runs a ledger.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use crate::http::{Batcher, Listening, Service, listen, router};
use crate::ledger::Ledger;
use crate::party::operator::Operator;
use crate::statement::words::Role;
use crate::store::files::{Access, Files};
use crate::store::lock::DataLock;
use crate::store::vaults::Vaults;
use crate::time::Clock;
use crate::tlog::tree::LeafIndex;
use crate::wire::signature::Nonces;

/// How long a start waits for a new log's first checkpoint.
const FIRST_CHECKPOINT: Duration = Duration::from_secs(5);

/// Run a ledger: its log, its API, its vaults
///
/// Serves the data folder that `whosaw operator init` made. The log's files under DIR/log are served
/// as they lie there; any web server or mirror may serve them too. SIGTERM finishes what was
/// accepted and ends.
#[derive(Debug, clap::Args)]
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
    /// Seconds after which an unchanged checkpoint is cosigned anew
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = clap::value_parser!(u64).range(1..=1800))]
    renew: u64,
    /// Requests per second that one address may keep up
    #[arg(long, value_name = "N", default_value = "200")]
    rate: NonZeroU32,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// If the data folder, the ledger or the socket cannot be opened, or the ledger stops.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    if !args.listen.ip().is_loopback() && !args.behind_tls {
        bail!(
            "{} is not a loopback address, and this server speaks plain HTTP: put a TLS proxy in \
             front and say --behind-tls",
            args.listen
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
    let _lock = DataLock::acquire(&args.data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(args, &operator))?;
    Ok(Exit::Yes)
}

async fn serve(args: &Args, operator: &Operator) -> anyhow::Result<()> {
    let clock = Clock::system();
    let config = operator.ledger(clock.clone(), Duration::from_secs(args.renew))?;
    let (ledger, running) = Ledger::start(config)?;
    // A log's first checkpoint: without it there is nothing for anybody to read.
    let first = ledger.wait_published(LeafIndex::new(0), FIRST_CHECKPOINT);
    if first.await.is_none() {
        eprintln!("no checkpoint is public yet: not enough witnesses have cosigned");
    }
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}: is another server there?", args.listen))?;
    let address = listener.local_addr()?;
    let authorities = match args.authority.as_slice() {
        [] => vec![address.to_string(), format!("localhost:{}", address.port())],
        given => given.iter().map(|host| host.to_ascii_lowercase()).collect(),
    };
    let service = Arc::new(open(operator, ledger, clock, authorities)?);
    let batcher = Batcher {
        service: service.clone(),
        key: operator.home().key(Role::Officer)?,
        operator: operator.home().profile().party.clone(),
    };
    let batches = tokio::spawn(batcher.run());
    println!("log {}", operator.origin());
    println!("listening on http://{address}");

    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let stopped = async {
        while !running.is_finished() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("ending: SIGTERM"),
            _ = interrupt.recv() => tracing::info!("ending: SIGINT"),
            () = stopped => {}
        }
    };
    let listening = Listening {
        listener,
        rate: args.rate,
    };
    listen(listening, router(service.clone()), shutdown).await;
    batches.abort();
    let _ = batches.await;
    // The last handles: without them the sequencer finishes its queue and ends.
    drop(service);
    tokio::task::spawn_blocking(move || running.join()).await??;
    Ok(())
}

fn open(
    operator: &Operator,
    ledger: Ledger,
    clock: Clock,
    authorities: Vec<String>,
) -> anyhow::Result<Service> {
    let root = operator.home().root();
    let files = |name: &str, access| {
        Files::open(&root.join(name), &root.join("staging").join(name), access)
    };
    Ok(Service {
        ledger,
        attachments: files("attachments", Access::Private)?,
        batches: files("batches", Access::Public)?,
        clips: files("clips", Access::Private)?,
        vaults: Vaults::open(&root.join("vaults.db"))?,
        clock,
        authorities,
        service_key: operator.home().key(Role::Service)?,
        nonces: Mutex::new(Nonces::default()),
    })
}
