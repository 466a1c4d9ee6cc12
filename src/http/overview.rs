//! The page and the findings, made of the published log for all who ask.
//!
//! One thread at most makes the page, and one the findings: callers who come meanwhile wait without a thread and
//! get what it makes. The page is made of a window at the log's end ([`crate::ledger::window`]). The findings rest
//! on the whole log, whose entries are read once each, when somebody asks for them; the record of them, which grows
//! with the log, is dropped when nobody has asked for a while. `GET /api/v1/findings` is here too. Readers who believe nobody compute all of it themselves, with `whosaw log findings`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::vault::blocking;
use super::{ApiError, Service, Shared};
use crate::digest::StatementId;
use crate::ledger::Published;
use crate::record::findings::{Finding, findings};
use crate::statement::sealed::SealDigest;
use crate::store::journal::JournalRead as _;
use crate::store::objects::Objects as _;
use crate::web::Overview;
use crate::wire::statements::Findings;

/// Entries that are read from the journal at once.
const PORTION: u64 = 1024;
/// Entries that the answer about one statement waits for, at most.
const A_FEW: u64 = 4 * PORTION;
/// What takes longer to make than this is not made again for each checkpoint.
const DEAR: Duration = Duration::from_millis(20);
/// Of all time, so much goes to making it at most: one part in so many.
const SHARE: u32 = 10;

/// How long the record of the whole log is kept after it was used last.
const UNUSED: Duration = Duration::from_secs(600);

/// What was made last, and what it is made of.
pub struct Kept {
    pub page: OneMaker<Bytes>,
    found: OneMaker<Arc<Found>>,
    /// Of the whole log, for the findings.
    overview: Mutex<Overview>,
    uses: Mutex<Uses>,
    /// [`UNUSED`].
    unused: Duration,
}

/// Uses of the record of the whole log.
#[derive(Default)]
struct Uses {
    last: Option<Instant>,
    /// Whether a task waits until it can be dropped.
    watched: bool,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            page: OneMaker::default(),
            found: OneMaker::default(),
            overview: Mutex::default(),
            uses: Mutex::default(),
            unused: UNUSED,
        }
    }
}

impl Kept {
    /// Takes down that the record is used now. It is dropped once nobody has used it for a while; what was found
    /// last stays.
    fn used(self: &Arc<Self>) {
        let mut uses = lock(&self.uses);
        uses.last = Some(Instant::now());
        if !uses.watched {
            uses.watched = true;
            tokio::spawn(drop_unused(Arc::downgrade(self), self.unused));
        }
    }

    /// Drops the record, and returns `None`; or how long until it may be dropped, if it was used since.
    fn drop_if_unused(&self) -> Option<Duration> {
        let mut uses = lock(&self.uses);
        let passed = uses.last.map_or(self.unused, |last| last.elapsed());
        if passed < self.unused {
            return Some(self.unused - passed);
        }
        uses.watched = false;
        drop(uses);
        // Whoever reads it now holds it for as long as that takes.
        drop(std::mem::take(&mut *lock(&self.overview)));
        None
    }
}

/// Waits until nobody has used the record for a while, and drops it.
async fn drop_unused(kept: Weak<Kept>, unused: Duration) {
    let mut wait = unused;
    loop {
        tokio::time::sleep(wait).await;
        let Some(kept) = kept.upgrade() else { return };
        let rest = tokio::task::spawn_blocking(move || kept.drop_if_unused()).await;
        match rest {
            Ok(Some(rest)) => wait = rest,
            Ok(None) | Err(_) => return,
        }
    }
}

/// Handlers' access to it.
pub type Overviewed = Extension<Arc<Kept>>;

/// Something made of the log under a checkpoint, by one maker at a time.
pub struct OneMaker<T> {
    last: Mutex<Option<Made<T>>>,
    /// The maker has it while it works.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Made<T> {
    it: T,
    /// The checkpoint's note.
    under: Arc<[u8]>,
    at: Instant,
    took: Duration,
}

impl<T> Default for OneMaker<T> {
    fn default() -> Self {
        Self {
            last: Mutex::default(),
            turn: Arc::default(),
        }
    }
}

impl<T: Clone + Send + 'static> OneMaker<T> {
    /// The last one, if it need not be made again for a caller who came at `since`.
    fn fresh(&self, published: &Published, since: Instant) -> Option<T> {
        let last = lock(&self.last);
        let made = last.as_ref()?;
        let resting = made.took > DEAR && made.at.elapsed() < made.took * SHARE;
        let same = Arc::ptr_eq(&made.under, &published.note);
        (same || resting || made.at > since).then(|| made.it.clone())
    }

    /// The last one, however old.
    fn last(&self) -> Option<T> {
        lock(&self.last).as_ref().map(|made| made.it.clone())
    }

    fn keep(&self, it: &T, published: &Published, began: Instant) {
        *lock(&self.last) = Some(Made {
            it: it.clone(),
            under: published.note.clone(),
            at: began,
            took: began.elapsed(),
        });
    }

    /// One that is as new as the checkpoint at the time of the call, or that took so long that it rests: made by
    /// `make` on a thread of its own, if nobody else makes it.
    pub async fn get(
        &self,
        published: &Published,
        make: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let since = Instant::now();
        if let Some(fresh) = self.fresh(published, since) {
            return Ok(fresh);
        }
        let turn = self.turn.clone().lock_owned().await;
        if let Some(fresh) = self.fresh(published, since) {
            return Ok(fresh);
        }
        let began = Instant::now();
        // A caller who hangs up lets no second maker begin.
        let made = blocking(move || make().map(|made| (made, turn))).await;
        let (made, turn) = made?;
        self.keep(&made, published, began);
        drop(turn);
        Ok(made)
    }
}

/// Findings, and how many entries they rest on.
#[derive(Default)]
pub struct Found {
    all: Vec<Finding>,
    about: HashMap<StatementId, Vec<usize>>,
    size: u64,
    /// The answer with all of them.
    json: Bytes,
}

/// What the mutex holds; anew if a panic may have left it half changed.
fn lock<T: Default>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| {
        mutex.clear_poison();
        let mut held = PoisonError::into_inner(poisoned);
        *held = T::default();
        held
    })
}

/// Reads entries up to `size`, but no more than `most`.
fn catch_up(
    overview: &mut Overview,
    service: &Service,
    size: u64,
    most: u64,
) -> Result<(), ApiError> {
    let size = size.min(overview.size().saturating_add(most));
    while overview.size() < size {
        let portion = overview.size()..size.min(overview.size() + PORTION);
        let leaves = service.ledger.journal().leaves(portion)?;
        if leaves.is_empty() {
            let missing = format!("entry {} is missing", overview.size());
            return Err(ApiError::internal(missing));
        }
        for leaf in leaves {
            overview.add(&leaf).map_err(ApiError::internal)?;
        }
    }
    Ok(())
}

impl Service {
    /// An attachment's bytes. One that was erased, or cannot be read now, is as one that nobody has.
    pub(super) fn published_attachment(&self, digest: &SealDigest) -> Option<Vec<u8>> {
        let found = self.attachments.read(&digest.to_string());
        found.ok().flatten()
    }

    /// The findings after reading no more than `most` entries; `None` as long as that is not enough.
    fn find(
        &self,
        kept: &Kept,
        published: &Published,
        most: u64,
    ) -> Result<Option<Arc<Found>>, ApiError> {
        let mut overview = lock(&kept.overview);
        let size = published.checkpoint.size.as_u64();
        catch_up(&mut overview, self, size, most)?;
        if overview.size() < size {
            return Ok(None);
        }
        let attachments = |digest: &SealDigest| self.published_attachment(digest);
        let all = findings(overview.record(), published.at, &attachments);
        let mut about: HashMap<StatementId, Vec<usize>> = HashMap::new();
        for (place, finding) in all.iter().enumerate() {
            about.entry(finding.about).or_default().push(place);
        }
        let answer = Findings {
            size: overview.size(),
            at: Some(published.at),
            findings: all,
        };
        let json = serde_json::to_vec(&answer).map_err(ApiError::internal)?;
        Ok(Some(Arc::new(Found {
            all: answer.findings,
            about,
            size: answer.size,
            json: json.into(),
        })))
    }
}

/// The findings about one statement, and how many entries they rest on. An answer about one statement does not
/// wait for a long log, nor for who makes the findings now: it rests on fewer entries then.
pub(super) async fn findings_about(
    service: Arc<Service>,
    kept: Arc<Kept>,
    id: StatementId,
) -> Result<(Vec<Finding>, u64), ApiError> {
    let Some(published) = service.ledger.published() else {
        return Ok((Vec::new(), 0));
    };
    let found = match kept.found.fresh(&published, Instant::now()) {
        Some(fresh) => fresh,
        None => match kept.found.turn.clone().try_lock_owned() {
            Err(_) => kept.found.last().unwrap_or_default(),
            Ok(turn) => {
                kept.used();
                let (kept, began) = (kept.clone(), Instant::now());
                let work = move || {
                    let found = service.find(&kept, &published, A_FEW)?;
                    if let Some(found) = &found {
                        kept.found.keep(found, &published, began);
                    }
                    drop(turn);
                    Ok(found.or_else(|| kept.found.last()).unwrap_or_default())
                };
                blocking(work).await?
            }
        },
    };
    let places = found.about.get(&id).into_iter().flatten();
    let about = places.map(|place| found.all[*place].clone()).collect();
    Ok((about, found.size))
}

/// `GET /api/v1/findings`.
pub async fn findings_of_all(
    State(service): Shared,
    Extension(kept): Overviewed,
) -> Result<impl IntoResponse, ApiError> {
    let json = match service.ledger.published() {
        None => serde_json::to_vec(&Findings::default())
            .map_err(ApiError::internal)?
            .into(),
        Some(published) => {
            kept.used();
            let (whole, under) = (kept.clone(), published.clone());
            let make = move || {
                let found = service.find(&whole, &under, u64::MAX)?;
                found.ok_or_else(|| ApiError::internal("entries are missing"))
            };
            kept.found.get(&published, make).await?.json.clone()
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], json))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::statement::leaf::Leaf;
    use crate::statement::testing::{Stage, World};
    use crate::tlog::checkpoint::Checkpoint;
    use crate::tlog::hash::EMPTY_ROOT;
    use crate::tlog::tree::TreeSize;

    fn published(round: u8) -> Published {
        Published {
            checkpoint: Checkpoint {
                origin: crate::statement::testing::ORIGIN.parse().unwrap(),
                size: TreeSize::new(1),
                root: EMPTY_ROOT,
            },
            note: vec![round].into(),
            counted: TreeSize::new(1),
            at: "2019-08-01T12:00:00Z".parse().unwrap(),
            came: None,
            witnesses: Vec::new(),
        }
    }

    /// However many ask at once, it is made by one of them, once for a checkpoint; what took long is not made again
    /// at once.
    #[tokio::test]
    async fn what_many_ask_for_is_made_once() {
        let maker = Arc::new(OneMaker::<usize>::default());
        let [made, at_once, most] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        for round in 1..=3 {
            let published = published(round);
            let mut callers = tokio::task::JoinSet::new();
            for _ in 0..700 {
                let (maker, published) = (maker.clone(), published.clone());
                let (made, at_once, most) = (made.clone(), at_once.clone(), most.clone());
                callers.spawn(async move {
                    let make = move || {
                        let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        at_once.fetch_sub(1, Ordering::SeqCst);
                        Ok(made.fetch_add(1, Ordering::SeqCst) + 1)
                    };
                    maker.get(&published, make).await.unwrap()
                });
            }
            let got = callers.join_all().await;
            let last = made.load(Ordering::SeqCst);
            assert!(last <= round.into() && got.iter().all(|it| *it == last));
        }
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    /// The first entry of a log.
    fn leaf() -> Vec<u8> {
        let world = World::at(Stage::Limits);
        let (logged_at, signed) = &world.history[0];
        let leaf = Leaf {
            logged_at: *logged_at,
            envelope: signed.envelope.clone(),
        };
        leaf.to_bytes()
    }

    #[tokio::test]
    async fn a_record_that_nobody_uses_is_dropped() {
        let kept = Arc::new(Kept {
            unused: Duration::from_millis(20),
            ..Kept::default()
        });
        let since = Instant::now();
        for _ in 0..2 {
            lock(&kept.overview).add(&leaf()).unwrap();
            kept.used();
            while lock(&kept.overview).size() > 0 || lock(&kept.uses).watched {
                assert!(since.elapsed() < Duration::from_secs(60), "it is kept");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let kept = Arc::new(Kept::default());
        lock(&kept.overview).add(&leaf()).unwrap();
        kept.used();
        assert!(kept.drop_if_unused().is_some());
        assert_eq!(lock(&kept.overview).size(), 1);
    }

    #[test]
    fn an_overview_in_which_a_panic_came_is_read_again() {
        let leaf = leaf();
        let kept = Mutex::<Overview>::default();
        std::thread::scope(|scope| {
            let reads = scope.spawn(|| {
                lock(&kept).add(&leaf).unwrap();
                let _held = lock(&kept);
                panic!("injected");
            });
            assert!(reads.join().is_err());
        });
        assert_eq!(lock(&kept).size(), 0);
        assert!(!kept.is_poisoned());
    }
}
