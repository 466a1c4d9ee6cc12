//! The listening socket: bounded connections, slow senders and slow readers cut off, a clean end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Parts};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::{Service, ServiceExt as _};

use super::ApiError;
use super::door::Door;
use super::stall::Impatient;

/// Connections open at once, unless an operator says otherwise.
pub const MAX_CONNECTIONS: usize = 1024;
/// The longest that the head of a request may take to arrive.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// The longest that a peer may leave an answer in the socket without making room in it.
const READ_GAP: Duration = Duration::from_secs(30);
/// Bytes of an answer that wait in a socket for its peer. A socket takes more bytes once a third of
/// it is free, so this and `READ_GAP` say how slow a reader may be: some 4 kB/s. The peer is a proxy
/// nearby, so no distance has to be filled.
const SEND_BUFFER: usize = 256 << 10;
/// How long a clean end waits for requests that are being answered: longer than any answer takes
/// whose request has arrived, but for a clip's.
const GRACE: Duration = Duration::from_secs(15);
/// How long the last words to a slow sender may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How the socket behaves.
pub struct Listening {
    pub listener: TcpListener,
    /// Connections open at once; who comes then waits in the system's queue.
    pub connections: usize,
    pub door: Arc<Door>,
}

impl Listening {
    /// A socket with nothing but a limit of `rate` requests a second from one address.
    pub fn paced(listener: TcpListener, rate: u32) -> Self {
        Self {
            listener,
            connections: MAX_CONNECTIONS,
            door: Arc::new(Door::paced(rate)),
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
    let permits = Arc::new(Semaphore::new(config.connections));
    let (goes_on, ending) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&config.listener, &permits) => accepted,
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
        let Some((stream, address, permit)) = accepted else {
            // Out of file descriptors, most likely: accepting at once again would spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // One address with too many gets no answer: it would cost what the limit is to save.
        let Ok(place) = config.door.connect(address.ip()) else {
            continue;
        };
        let (app, door, ending) = (app.clone(), config.door.clone(), ending.clone());
        connections.spawn(async move {
            let open = &door.metrics().connections;
            open.inc();
            // Also when the task is aborted.
            let _closed = Closing(open);
            converse(stream, address, app, door.clone(), ending).await;
            drop((place, permit));
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

/// Answers the requests of one connection. A peer that goes away is its own affair.
async fn converse<A>(
    stream: TcpStream,
    address: SocketAddr,
    app: A,
    door: Arc<Door>,
    mut ending: watch::Receiver<()>,
) where
    A: Service<Request<Incoming>, Response = Response, Error = Infallible>,
    A: Clone + Send + Unpin + 'static,
    A::Future: Send,
{
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let client = door.enter(address.ip(), request.uri().path(), request.headers());
        let app = app.clone();
        Box::pin(async move {
            match client {
                Ok(client) => {
                    request.extensions_mut().insert(client);
                    app.oneshot(request).await
                }
                Err(error) => Ok(error.into_response()),
            }
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(Impatient::new(stream, READ_GAP)), service);
    let mut ends = pin!(ending.changed());
    let mut ended = false;
    let done = loop {
        tokio::select! {
            done = poll_fn(|context| connection.poll_without_shutdown(context)) => break done,
            _ = &mut ends, if !ended => {
                ended = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let timed_out = done.is_err_and(|error| error.is_timeout());
    let Parts { io, read_buf, .. } = connection.into_parts();
    let mut stream = io.into_inner();
    // An idle connection is closed without a word: its peer might take one for the answer to what it
    // asks next.
    let said = async {
        if timed_out && !read_buf.is_empty() {
            stream.write_all(&too_slow()).await?;
        }
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(LAST_WORDS, said).await;
}

/// The answer to half a head.
fn too_slow() -> Vec<u8> {
    let problem = ApiError::TooSlow.problem();
    let body = serde_json::to_string(&problem).expect("a problem is JSON");
    format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: {}\r\ncontent-length: {}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{body}",
        crate::wire::problem::MEDIA_TYPE,
        body.len()
    )
    .into_bytes()
}

struct Closing<'a>(&'a prometheus_client::metrics::gauge::Gauge);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, address, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            None
        }
    }
}
