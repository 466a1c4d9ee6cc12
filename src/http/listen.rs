//! The listening socket: bounded connections, a place for health, a clean end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::Service;

use super::connection::{Reach, converse};
use super::connections::Connections;
use super::cors::{self, Open};
use super::door::Door;

/// Connections open at once, unless an operator says otherwise.
pub const MAX_CONNECTIONS: usize = 1024;
/// Connections beyond the limit, open at once: they are answered about the server's health alone.
pub const MORE_CONNECTIONS: usize = 16;
/// Bytes of an answer that wait in a socket for its peer. A socket takes more bytes once a third of
/// it is free, so this and the gap that a reader may leave say how slow it may be: some 4 kB/s. The peer is a
/// proxy nearby, so no distance has to be filled.
const SEND_BUFFER: usize = 256 << 10;
/// How long a clean end waits for requests that are being answered: longer than any answer takes
/// whose request has arrived, but for a clip's.
const GRACE: Duration = Duration::from_secs(15);
/// How soon accepting is tried again after it failed.
const RETRY: Duration = Duration::from_millis(50);

/// How the socket behaves.
pub struct Listening {
    pub listener: TcpListener,
    /// Connections open at once. The one that has been idle longest is closed for the next that comes; while
    /// none is idle, `MORE_CONNECTIONS` are told so.
    pub connections: usize,
    pub door: Arc<Door>,
    /// Which paths may be read by scripts of other sites.
    pub open: Open,
}

impl Listening {
    /// A socket with nothing but a limit of `rate` requests a second from one address.
    pub fn paced(listener: TcpListener, rate: u32) -> Self {
        Self {
            listener,
            connections: MAX_CONNECTIONS,
            door: Arc::new(Door::paced(rate)),
            open: cors::none,
        }
    }
}

/// Serves `app` until `shutdown`, then finishes what was begun, for a bounded time. Each request has
/// its client among its extensions.
pub async fn listen<A>(config: Listening, app: A, shutdown: impl Future<Output = ()>)
where
    A: Service<Request<Incoming>, Response = Response, Error = Infallible>,
    A: Clone + Send + Unpin + 'static,
    A::Future: Send,
{
    // Accepted sockets inherit it.
    let sized = socket2::SockRef::from(&config.listener).set_send_buffer_size(SEND_BUFFER);
    if let Err(error) = sized {
        tracing::warn!(%error, "slow readers are cut off later than they should be");
    }
    let limit = &config.door.metrics().connections_limit;
    limit.set(i64::try_from(config.connections).unwrap_or(i64::MAX));
    let (all, more) = (
        Connections::new(config.connections),
        Connections::new(MORE_CONNECTIONS),
    );
    let (goes_on, ending) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut failed = false;
    loop {
        let accepted = tokio::select! {
            accepted = config.listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: accepting at once again would spin.
                if !std::mem::replace(&mut failed, true) {
                    tracing::warn!(%error, "connections are not accepted");
                }
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        if std::mem::take(&mut failed) {
            tracing::info!("connections are accepted again");
        }
        // One address with too many gets no answer: it would cost what the limit is to save. Nor does it
        // displace anybody.
        let Ok(place) = config.door.connect(address.ip()) else {
            continue;
        };
        let member = match all.enter().await {
            Some(connection) => (connection, Reach::Everything),
            None => match more.enter().await {
                Some(connection) => (connection, Reach::Health),
                None => continue,
            },
        };
        let _ = stream.set_nodelay(true);
        let (app, door, ending) = (app.clone(), config.door.clone(), ending.clone());
        connections.spawn(async move {
            let open = &door.metrics().connections;
            open.inc();
            // Also when the task is aborted.
            let _closed = Closing(open);
            converse(
                stream,
                address,
                app,
                (door.clone(), config.open),
                member,
                ending,
            )
            .await;
            drop(place);
        });
    }
    drop((config.listener, goes_on));
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "some requests were cut off at the end"
        );
        // What they hold of the ledger would keep it from ending.
        connections.shutdown().await;
    }
}

struct Closing<'a>(&'a prometheus_client::metrics::gauge::Gauge);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
