//! The listening socket: bounded connections, slow senders and slow readers cut off, a clean end.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::{Service, ServiceExt as _};

use super::ApiError;
use super::stall::Impatient;

/// Connections open at once.
const MAX_CONNECTIONS: usize = 1024;
/// The longest that the head of a request may take to arrive.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// The longest that a peer may leave an answer in the socket without making room in it.
const READ_GAP: Duration = Duration::from_secs(30);
/// Bytes of an answer that wait in a socket for its peer. A socket takes more bytes once a third of
/// it is free, so this and `READ_GAP` say how slow a reader may be: some 4 kB/s. The peer is a proxy
/// nearby, so no distance has to be filled.
const SEND_BUFFER: usize = 256 << 10;
/// How long a clean end waits for requests that are being answered.
const GRACE: Duration = Duration::from_secs(30);
/// Addresses remembered by the rate limiter before idle ones are forgotten.
const MAX_ADDRESSES: usize = 100_000;

/// How the socket behaves.
pub struct Listening {
    pub listener: TcpListener,
    /// Requests per second that one address may keep up; ten seconds' worth may come at once.
    pub rate: NonZeroU32,
}

/// Serves `app` until `shutdown`, then finishes what was begun.
pub async fn listen<A>(config: Listening, app: A, shutdown: impl Future<Output = ()>)
where
    A: Service<Request<Incoming>, Response = Response, Error = Infallible>,
    A: Clone + Send + 'static,
    A::Future: Send,
{
    // Accepted sockets inherit it.
    let sized = socket2::SockRef::from(&config.listener).set_send_buffer_size(SEND_BUFFER);
    if let Err(error) = sized {
        tracing::warn!(%error, "slow readers are cut off later than they should be");
    }
    let rate = config.rate;
    let burst = rate.saturating_mul(NonZeroU32::new(10).expect("not zero"));
    let limiter: Arc<DefaultKeyedRateLimiter<IpAddr>> = Arc::new(RateLimiter::keyed(
        Quota::per_second(rate).allow_burst(burst),
    ));
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&config.listener, &connections) => accepted,
            () = &mut shutdown => break,
        };
        let Some((stream, address, permit)) = accepted else {
            // Out of file descriptors, most likely: accepting at once again would spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if limiter.len() > MAX_ADDRESSES {
            limiter.retain_recent();
        }
        let (app, limiter) = (app.clone(), limiter.clone());
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let (app, limiter) = (app.clone(), limiter.clone());
            async move {
                if limiter.check_key(&address.ip()).is_err() {
                    return Ok(ApiError::TooManyRequests.into_response());
                }
                app.oneshot(request).await
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .serve_connection(TokioIo::new(Impatient::new(stream, READ_GAP)), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A peer that goes away is its own affair.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(config.listener);
    if tokio::time::timeout(GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests were cut off at the end");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(
    tokio::net::TcpStream,
    SocketAddr,
    tokio::sync::OwnedSemaphorePermit,
)> {
    let permit = connections.clone().acquire_owned().await.ok()?;
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
