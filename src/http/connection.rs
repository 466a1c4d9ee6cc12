//! One connection: its requests one after another, and what is answered where hyper would answer nothing.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::uri::Authority;
use axum::http::{HeaderValue, Request, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Parts};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::{Service, ServiceExt as _};

use super::ApiError;
use super::answers::Route;
use super::connections::{Connection, Keeping};
use super::cors::{self, Open};
use super::door::Door;
use super::stall::Impatient;
use crate::wire::problem::MEDIA_TYPE;

/// The longest that the head of a request may take to arrive.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes: a signed call has some 600.
const MAX_HEAD: usize = 64 << 10;
/// The longest that a peer may leave an answer in the socket without making room in it.
const READ_GAP: Duration = Duration::from_secs(30);
/// How long the last words to a slow sender may take.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What is answered while all connections are busy, too: what a load balancer asks.
const HEALTH: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// What a connection may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Everything,
    /// There are too many: how the server is, once, and everything else is `503`.
    Health,
}

/// Answers the requests of one connection. A peer that goes away is its own affair.
pub async fn converse<A>(
    stream: TcpStream,
    address: SocketAddr,
    app: A,
    (door, open): (Arc<Door>, Open),
    (connection, reach): (Connection, Reach),
    mut ending: watch::Receiver<()>,
) where
    A: Service<Request<Incoming>, Response = Response, Error = Infallible>,
    A: Clone + Send + Unpin + 'static,
    A::Future: Send,
{
    let (activity, own) = (connection.activity(), connection.activity().clone());
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let under_way = own.begin();
        let admitted = match reach {
            Reach::Health if !HEALTH.contains(&request.uri().path()) => Err(ApiError::Busy),
            _ => door
                .enter(address.ip(), request.uri().path(), request.headers())
                .and_then(|entered| check_host(&request).map(|()| entered)),
        };
        let preflight = cors::preflight(&request, open);
        let is_open = cors::is_open(&request, open);
        let (app, metrics) = (app.clone(), door.metrics().clone());
        let (route, since) = (Route::of(request.uri().path()), Instant::now());
        Box::pin(async move {
            let (mut response, place) = match admitted {
                Ok((client, place)) => match preflight {
                    Some(preflight) => (preflight, place),
                    None => {
                        request.extensions_mut().insert(client);
                        (app.oneshot(request).await?, place)
                    }
                },
                Err(error) => (error.into_response(), None),
            };
            if is_open {
                cors::show(response.headers_mut());
            }
            if reach == Reach::Health {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            let status = response.status().as_u16();
            metrics.answers.count(route, status, since.elapsed());
            // Under way until the last byte of the answer is taken.
            let kept = (under_way, place);
            Ok::<_, Infallible>(response.map(|body| Keeping { body, kept }))
        })
    });
    let io = Impatient::new(stream, READ_GAP, activity.clone());
    let mut serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(io), service);
    let mut ends = pin!(ending.changed());
    let mut ended = false;
    let done = loop {
        tokio::select! {
            biased;
            done = poll_fn(|context| serving.poll_without_shutdown(context)) => break Some(done),
            // A head that came meanwhile is answered.
            () = activity.told_to_close() => if activity.is_idle() {
                break None;
            },
            _ = &mut ends, if !ended => {
                ended = true;
                std::pin::Pin::new(&mut serving).graceful_shutdown();
            }
        }
    };
    let Parts { io, read_buf, .. } = serving.into_parts();
    let (stream, kept_back) = io.into_inner().into_parts();
    let answer = match &done {
        // Closed for another.
        None => (!read_buf.is_empty()).then_some(ApiError::Busy),
        Some(_) if kept_back.is_some() => kept_back.map(ApiError::Unparsed),
        // An idle connection is closed without a word: its peer might take one for the answer to what it asks
        // next.
        Some(Err(error)) if error.is_timeout() && !read_buf.is_empty() => Some(ApiError::TooSlow),
        Some(_) => None,
    };
    // Who comes in place of another does not wait for the other's good-bye.
    let lingers = done.is_some();
    let finished = finish(stream, answer, lingers);
    let _ = tokio::time::timeout(LAST_WORDS, finished).await;
}

/// Refuses a request that does not say once, and well, which host it is for (RFC 9112, section 3.2).
fn check_host<B>(request: &Request<B>) -> Result<(), ApiError> {
    let refused = |accepted: &str| ApiError::BadRequest {
        member: "Host",
        accepted: accepted.to_owned(),
    };
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        (None, _) if request.version() < Version::HTTP_11 => return Ok(()),
        _ => return Err(refused("one field `Host`")),
    };
    // A target with a host of its own would be read otherwise by others on the way.
    let target = request.uri().authority();
    if target.is_some_and(|target| {
        !target
            .as_str()
            .as_bytes()
            .eq_ignore_ascii_case(host.as_bytes())
    }) {
        return Err(refused("the host that the request's target names"));
    }
    let parsed = Authority::try_from(host.as_bytes());
    match parsed.is_ok_and(|host| !host.as_str().contains('@')) {
        true => Ok(()),
        false => Err(refused("a host, perhaps with a port")),
    }
}

/// Writes the last answer, if there is one, and closes.
async fn finish(
    mut stream: TcpStream,
    answer: Option<ApiError>,
    lingers: bool,
) -> std::io::Result<()> {
    if let Some(error) = &answer {
        stream.write_all(&last_answer(error)).await?;
    }
    stream.shutdown().await?;
    // A sender whose bytes nobody takes is told of that, and not of the answer.
    let mut rest = [0; 4096];
    while answer.is_some() && lingers && stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The whole answer to what hyper did not take for a request.
fn last_answer(error: &ApiError) -> Vec<u8> {
    let problem = error.problem();
    let body = serde_json::to_string(&problem).expect("a problem is JSON");
    let mut head = format!("HTTP/1.1 {} \r\n", problem.status);
    let status = StatusCode::from_u16(problem.status).ok();
    if let Some(reason) = status.and_then(|status| status.canonical_reason()) {
        head = format!("HTTP/1.1 {} {reason}\r\n", problem.status);
    }
    if let Some(seconds) = error.retry_after() {
        head.push_str(&format!("retry-after: {seconds}\r\n"));
    }
    format!(
        "{head}content-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
