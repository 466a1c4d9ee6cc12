//! Load over HTTP/1.1 on loopback: as many connections as wanted, each with one request under way.
//!
//! A generator that shares the cores with the server must cost little, so requests are ready bytes
//! and of answers only the status and the length are read.

use std::io::BufRead as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

/// What a run came to.
pub struct Ran {
    pub rate: f64,
    /// Of each request, ascending.
    pub latencies: Vec<Duration>,
}

impl Ran {
    /// The latency that this share of the requests did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.latencies.len() - 1;
        self.latencies[(share * last as f64) as usize]
    }
}

/// A `POST` of JSON as it goes over the wire.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A `POST` of many statements as JSON lines; with a proof for each in the answer, or without.
pub fn post_lines(path: &str, lines: &[Vec<u8>], proofs: bool) -> Vec<u8> {
    let body = lines.join(&b'\n');
    let prefer = match proofs {
        true => "Prefer: return=representation\r\n",
        false => "",
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/jsonl\r\n\
         {prefer}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// A `GET` as it goes over the wire.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// Sends each request once over `connections`, as fast as they are answered.
pub fn closed_loop(authority: &str, requests: &Arc<Vec<Vec<u8>>>, connections: usize) -> Ran {
    run(authority, requests, connections, None)
}

/// Sends each request once, `rate` a second by the clock, however slowly they are answered; a
/// latency counts from when the request was due.
pub fn open_loop(authority: &str, requests: &Arc<Vec<Vec<u8>>>, rate: f64) -> Ran {
    run(authority, requests, 256, Some(rate))
}

fn run(
    authority: &str,
    requests: &Arc<Vec<Vec<u8>>>,
    connections: usize,
    rate: Option<f64>,
) -> Ran {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let next = Arc::new(AtomicUsize::new(0));
    let since = Instant::now();
    let mut latencies = runtime.block_on(async {
        let spawn = |_| {
            let (authority, requests, next) =
                (authority.to_owned(), requests.clone(), next.clone());
            tokio::spawn(async move { connection(&authority, &requests, &next, since, rate).await })
        };
        let tasks: Vec<_> = (0..connections).map(spawn).collect();
        let mut all = Vec::with_capacity(requests.len());
        for task in tasks {
            all.extend(task.await.expect("a connection that stays"));
        }
        all
    });
    let rate = latencies.len() as f64 / since.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ran { rate, latencies }
}

async fn connection(
    authority: &str,
    requests: &[Vec<u8>],
    next: &AtomicUsize,
    since: Instant,
    rate: Option<f64>,
) -> Vec<Duration> {
    let mut stream = TcpStream::connect(authority)
        .await
        .expect("a server that listens");
    stream.set_nodelay(true).expect("a socket");
    let (mut latencies, mut answer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(number) else {
            return latencies;
        };
        let due = match rate {
            None => Instant::now(),
            Some(rate) => {
                let due = since + Duration::from_secs_f64(number as f64 / rate);
                tokio::time::sleep_until(due.into()).await;
                due
            }
        };
        stream
            .write_all(request)
            .await
            .expect("a connection that stays");
        read_answer(&mut stream, &mut answer).await;
        latencies.push(due.elapsed());
    }
}

/// Sends each request of [`post_lines`] once over `connections`, as fast as they are answered; lines
/// a second that were logged and published.
pub fn bulk(authority: &str, requests: &Arc<Vec<Vec<u8>>>, connections: usize) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let next = Arc::new(AtomicUsize::new(0));
    let since = Instant::now();
    let lines: usize = runtime.block_on(async {
        let spawn = |_| {
            let (authority, requests, next) =
                (authority.to_owned(), requests.clone(), next.clone());
            tokio::spawn(async move { bulk_connection(&authority, &requests, &next).await })
        };
        let tasks: Vec<_> = (0..connections).map(spawn).collect();
        let mut all = 0;
        for task in tasks {
            all += task.await.expect("a connection that stays");
        }
        all
    });
    lines as f64 / since.elapsed().as_secs_f64()
}

async fn bulk_connection(
    authority: &str,
    requests: &Arc<Vec<Vec<u8>>>,
    next: &AtomicUsize,
) -> usize {
    let stream = TcpStream::connect(authority).await.expect("a server");
    let (mut answers, mut body) = stream.into_split();
    let mut lines = 0;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= requests.len() {
            return lines;
        }
        let requests = requests.clone();
        let sent = tokio::spawn(async move {
            body.write_all(&requests[number]).await.expect("a server");
            body
        });
        lines += read_lines(&mut answers).await;
        body = sent.await.expect("a body that is sent");
    }
}

/// Reads a chunked answer of lines to its end; each must be of success.
async fn read_lines(answers: &mut OwnedReadHalf) -> usize {
    let mut bytes = Vec::with_capacity(1 << 20);
    let mut lines = 0;
    loop {
        let more = answers.read_buf(&mut bytes).await.expect("an answer");
        assert!(more > 0, "the server closed a connection");
        let mut read = 0;
        loop {
            let rest = &bytes[read..];
            let length = (&mut &*rest).skip_until(b'\n').expect("bytes");
            let line = &rest[..length];
            if !line.ends_with(b"\n") {
                break;
            }
            read += length;
            if line.starts_with(b"{\"line\"") {
                let head = String::from_utf8_lossy(&line[..line.len().min(40)]);
                assert!(
                    head.contains("\"status\":201"),
                    "{}",
                    String::from_utf8_lossy(line)
                );
                lines += 1;
            }
            if line == b"0\r\n" && bytes.len() >= read + 2 {
                return lines;
            }
        }
        bytes.drain(..read);
    }
}

/// Reads one answer, which must be of success.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    let mut read = 0;
    let mut whole = None;
    while whole.is_none_or(|whole| read < whole) {
        if read == buffer.len() {
            buffer.resize(2 * read, 0);
        }
        let more = stream.read(&mut buffer[read..]).await.expect("an answer");
        assert!(more > 0, "the server closed a connection");
        read += more;
        if whole.is_none() {
            whole = length(&buffer[..read]);
        }
    }
    let text = || String::from_utf8_lossy(&buffer[..read]);
    assert!(buffer.starts_with(b"HTTP/1.1 20"), "{}", text());
}

/// The length of the answer that begins here, once its head is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..head]).expect("a head in ASCII");
    let body = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse::<usize>())
    });
    Some(head + 4 + body.expect("a content-length").expect("a number"))
}
