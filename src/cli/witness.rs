//! `whosaw witness`: makes and runs a witness.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::config::{Configuration, Live, Reload};
use super::descriptors::for_connections;
use super::output::take_failure;
use super::server::{LogOptions, Proxies};
use super::signals::Signals;
use super::{Exit, supervisor};
use crate::http::{Door, Limits, Listening, listen, witness::router};
use crate::logging;
use crate::party::witness::Witness;
use crate::store::own;
use crate::time::Clock;
use crate::tlog::note::{KeyName, VerifierKey};

/// Cosign a ledger's checkpoints, so that its operator cannot show two histories
///
/// A witness remembers the last checkpoint of each log and cosigns a new one only if it extends
/// that. What a log signs against itself is kept, for anyone to check with `whosaw log evidence`. A
/// witness needs no account with the operator, a few kilobytes of disk, and keys of its own.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a witness's folder and keys; prints the vkeys that the operator and readers need, each on
    /// a line: Ed25519 first, then ML-DSA-44
    Init(Init),
    /// Run the witness
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw witness init --data witness --name newsroom.example > newsroom.vkeys")]
pub struct Init {
    /// The witness's folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The witness's name: a host name of yours, for life
    #[arg(long, value_name = "NAME")]
    name: KeyName,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw witness serve --data witness --log log.vkey --log log.ml-dsa-44.vkey")]
pub struct Serve {
    #[command(flatten)]
    configuration: Configuration,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    proxies: Proxies,
    #[command(flatten)]
    limits: WitnessLimits,
    #[command(flatten)]
    pub(super) log_options: LogOptions,
}

/// What a witness keeps, and the logs that it cosigns for.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Data")]
struct Data {
    /// The witness's folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// A file with a vkey of a log to cosign for (DIR/log.vkey or DIR/log.ml-dsa-44.vkey of its
    /// operator); repeatable
    #[arg(long, value_name = "FILE", required = true)]
    log: Vec<PathBuf>,
}

/// Where a witness listens.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
struct Network {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
}

/// How much is taken from whom.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
struct WitnessLimits {
    /// Requests a second that one address may keep up
    #[arg(long, value_name = "N", default_value = "100")]
    rate: NonZeroU32,
    // A log asks on one connection, or two: the rest are people who look.
    /// Connections that one address may have open at once, and requests under way through a proxy
    #[arg(long, value_name = "N", default_value = "32")]
    address_connections: NonZeroUsize,
}

/// Threads that wait for the disk: signing takes turns by log anyway.
const DISK_THREADS: usize = 8;
/// Connections open at once: each may hold a body of 64 KiB, and a board is to bear them all.
const CONNECTIONS: usize = 256;

/// Makes a witness's folder and keys.
///
/// # Errors
/// If there is one, or the folder cannot be written.
pub fn init(args: &Init) -> anyhow::Result<Exit> {
    for key in Witness::init(&args.data, args.name.clone())? {
        println!("{key}");
    }
    Ok(Exit::Yes)
}

fn limits(args: &Serve) -> Limits {
    Limits {
        requests: args.limits.rate.get(),
        connections: args.limits.address_connections.get(),
        proxies: args.proxies.proxy.clone(),
        client_field: args.proxies.client_field(),
        ..Limits::none()
    }
}

/// Runs a witness until SIGTERM or SIGINT.
///
/// # Errors
/// If the folder or the socket cannot be opened.
pub fn serve(args: &Serve, reload: Reload) -> anyhow::Result<Exit> {
    // One thread reads and answers; a spare board has no more to give.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(DISK_THREADS)
        .enable_all()
        .build()?;
    let signals = runtime.block_on(async { Signals::listen() })?;
    logging::log_panics();
    let listen_on = args.network.listen;
    args.proxies.check_listen(listen_on)?;
    let connections = for_connections(CONNECTIONS)?;
    let mut logs: Vec<VerifierKey> = Vec::new();
    for path in &args.data.log {
        let text = std::io::read_to_string(own::open(path)?);
        let text = text.with_context(|| path.display().to_string())?;
        logs.push(
            text.trim_end()
                .parse()
                .with_context(|| path.display().to_string())?,
        );
    }
    let witness = Arc::new(Witness::open(&args.data.data, logs)?);
    runtime.block_on(async {
        let listener = TcpListener::bind(listen_on)
            .await
            .with_context(|| format!("cannot listen on {listen_on}"))?;
        for key in witness.verifiers() {
            println!("witness {key}");
        }
        let address = listener.local_addr()?;
        println!("listening on http://{address}");
        if let Some(error) = take_failure() {
            tracing::warn!(%error, %address, "standard output did not take the address");
        }
        supervisor::ready(&format!("listening on http://{address}"));
        let door = Arc::new(Door::new(limits(args), Arc::default()));
        let at_door = door.clone();
        let reload = reload.with(Live {
            keys: &["rate", "address-connections"],
            apply: Box::new(move |cli| {
                if let super::Command::Witness(Command::Serve(args)) = &cli.command {
                    at_door.set_limits(limits(args));
                }
            }),
        });
        tokio::spawn(reload.at_each(signals.hangup, || {}));
        let listening = Listening {
            listener,
            connections,
            door,
            open: |_| true,
        };
        let shutdown = async {
            signals.ending.wait().await;
            supervisor::stopping();
        };
        listen(listening, router(witness, Clock::system()), shutdown).await;
        Ok(Exit::Yes)
    })
}
