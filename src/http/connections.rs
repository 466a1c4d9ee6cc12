//! The connections that are open: how many, what each does, and which one is closed for another.
//!
//! A connection is idle while none of its requests is under way: before its first head is complete, and
//! between an answer and the next head. At the limit the connection that has been idle longest is closed for
//! the one that comes; a connection that sends half a head does not become younger by sending more of it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How long a connection that was told to close may take before another one is told.
const CLOSING: Duration = Duration::from_millis(50);
/// Connections that are told to close for one that comes, before it is turned away.
const ATTEMPTS: usize = 8;

/// A bounded number of open connections.
pub struct Connections {
    started: Instant,
    places: Arc<Semaphore>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Arc<Activity>>,
    /// Connections that were idle when all were looked at, and since when; the oldest is last.
    idle: Vec<(u64, u64)>,
}

/// What one connection does.
pub struct Activity {
    started: Instant,
    /// Requests whose head is complete and whose answer is not.
    requests: AtomicUsize,
    /// Requests whose answer hyper has taken to its end; it may not have written all of it yet.
    answered: AtomicUsize,
    /// Whether bytes of an answer wait for the peer to read.
    writing: AtomicBool,
    /// Microseconds from `started` to when it became idle.
    idle_since: AtomicU64,
    close: Notify,
}

/// One open connection; its place is free again when this is dropped.
pub struct Connection {
    of: Arc<Connections>,
    number: u64,
    activity: Arc<Activity>,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    /// Room for `most` connections at once.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            places: Arc::new(Semaphore::new(most)),
            open: Mutex::default(),
        })
    }

    /// A place for a connection that comes, perhaps that of the one that has been idle longest; `None` while
    /// all have requests under way.
    pub async fn enter(self: &Arc<Self>) -> Option<Connection> {
        for _ in 0..ATTEMPTS {
            if let Ok(place) = self.places.clone().try_acquire_owned() {
                return Some(self.add(place));
            }
            if !self.close_oldest() {
                return None;
            }
            let place = tokio::time::timeout(CLOSING, self.places.clone().acquire_owned());
            if let Ok(Ok(place)) = place.await {
                return Some(self.add(place));
            }
        }
        None
    }

    fn add(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Connection {
        let activity = Arc::new(Activity {
            started: self.started,
            requests: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            writing: AtomicBool::new(false),
            idle_since: AtomicU64::new(micros(self.started)),
            close: Notify::new(),
        });
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        open.all.insert(number, activity.clone());
        Connection {
            of: self.clone(),
            number,
            activity,
            _place: place,
        }
    }

    /// Tells the connection that has been idle longest to close; false if none is idle.
    fn close_oldest(&self) -> bool {
        let mut open = self.open();
        for looked in [false, true] {
            if looked {
                // All are looked at once for many that come: those that become idle later are younger.
                let idle = open.all.iter().filter(|(_, activity)| activity.is_idle());
                let mut idle: Vec<_> = idle.map(|(n, a)| (a.idle_since(), *n)).collect();
                idle.sort_unstable_by(|one, other| other.cmp(one));
                open.idle = idle;
            }
            while let Some((since, number)) = open.idle.pop() {
                let still = open.all.get(&number);
                if let Some(activity) = still.filter(|a| a.is_idle() && a.idle_since() == since) {
                    activity.close.notify_one();
                    return true;
                }
            }
        }
        false
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// What it does.
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.of.open().all.remove(&self.number);
    }
}

impl Activity {
    /// A request whose head is complete; it is under way until this is dropped.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        self.requests.fetch_add(1, Ordering::AcqRel);
        UnderWay(self.clone())
    }

    /// How many requests were answered, if none is under way.
    pub fn answered(&self) -> Option<usize> {
        let idle = self.requests.load(Ordering::Acquire) == 0;
        idle.then(|| self.answered.load(Ordering::Acquire))
    }

    /// Notes whether bytes of an answer wait for the peer.
    pub fn write_waits(&self, waits: bool) {
        self.writing.store(waits, Ordering::Release);
    }

    /// Whether no request is under way.
    pub fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Acquire) == 0 && !self.writing.load(Ordering::Acquire)
    }

    /// Waits until the connection is to close for another. Ask [`Activity::is_idle`] again: a head may have
    /// come meanwhile.
    pub async fn told_to_close(&self) {
        self.close.notified().await;
    }

    fn idle_since(&self) -> u64 {
        self.idle_since.load(Ordering::Acquire)
    }
}

/// A request under way.
pub struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = micros(self.0.started);
        self.0.idle_since.store(now, Ordering::Release);
        self.0.answered.fetch_add(1, Ordering::AcqRel);
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// A body that keeps `T` until it is sent.
pub struct Keeping<B, T> {
    pub body: B,
    #[expect(dead_code, reason = "dropped when the body is")]
    pub kept: T,
}

impl<B: HttpBody + Unpin, T: Unpin> HttpBody for Keeping<B, T> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the connection was told to close.
    async fn told(connection: &Connection) -> bool {
        let told = connection.activity.told_to_close();
        let told = tokio::time::timeout(Duration::from_millis(1), told).await;
        told.is_ok()
    }

    /// Becomes idle now.
    fn answer(connection: &Connection) {
        std::thread::sleep(Duration::from_micros(10));
        drop(connection.activity.begin());
    }

    #[tokio::test]
    async fn the_one_that_has_been_idle_longest_goes_first() {
        let connections = Connections::new(3);
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(connections.enter().await.unwrap());
            answer(&open[open.len() - 1]);
        }
        // The first has answered last, and the second has a request under way.
        answer(&open[0]);
        let request = open[1].activity.begin();
        let newcomer =
            tokio::spawn(async move { connections.enter().await.map(|c| (c.number, c)) });
        open[2].activity.told_to_close().await;
        drop(open.remove(2));
        let (number, newcomer) = newcomer.await.unwrap().unwrap();
        assert_eq!(number, 3);
        assert!(!told(&open[1]).await);
        drop((request, newcomer));
    }

    #[tokio::test]
    async fn nobody_is_closed_for_a_newcomer_while_all_are_busy() {
        let connections = Connections::new(2);
        let reading = connections.enter().await.unwrap();
        let answering = connections.enter().await.unwrap();
        reading.activity.write_waits(true);
        let request = answering.activity.begin();
        assert!(connections.enter().await.is_none());
        assert!(!told(&reading).await && !told(&answering).await);
        drop((request, reading));
        assert!(connections.enter().await.is_some());
    }
}
