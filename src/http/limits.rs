//! How often, and how many at once: token buckets and places, each by a key, in bounded memory.
//!
//! Nothing here reads a clock. Who is limited, and to what, is [`super::door`]'s business.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Keys that a set of buckets remembers; any more share one bucket.
const MAX_KEYS: usize = 1 << 16;
/// How often full buckets are looked for when too many keys are remembered.
const SWEEP: Duration = Duration::from_secs(1);

/// A token bucket for each key, by the generic cell rate algorithm: all there is to know of a bucket
/// is when it will be full again, and one that is full need not be remembered.
///
/// At most [`MAX_KEYS`] buckets are kept. Whoever comes when all are in use shares one bucket with
/// the others who do, so that a flood from ever new addresses cannot make the server forget those it
/// has limited, nor grow.
pub struct Buckets<K> {
    /// From one token to the next.
    interval: Duration,
    /// From an empty bucket to a full one.
    whole: Duration,
    kept: Mutex<Kept<K>>,
}

struct Kept<K> {
    full_at: HashMap<K, Instant>,
    /// The bucket of those who are not remembered.
    others: Option<Instant>,
    swept: Option<Instant>,
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// Buckets of `burst` tokens that gain `rate` tokens in `period`; `None` if `rate` is 0, which
    /// means no limit.
    pub fn new(rate: u32, period: Duration, burst: u32) -> Option<Self> {
        let interval = period.checked_div(rate)?;
        Some(Self {
            interval,
            whole: interval.saturating_mul(burst.max(1)),
            kept: Mutex::new(Kept {
                full_at: HashMap::new(),
                others: None,
                swept: None,
            }),
        })
    }

    /// Takes a token at `now`.
    ///
    /// # Errors
    /// How long it takes until there is one.
    pub fn take(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let mut kept = lock(&self.kept);
        kept.make_room(now);
        let known = kept.full_at.get(key).copied();
        let shared = known.is_none() && kept.full_at.len() >= MAX_KEYS;
        let full_at = if shared { kept.others } else { known };
        let full_at = full_at.map_or(now, |at| at.max(now)) + self.interval;
        let lacks = full_at.saturating_duration_since(now);
        if lacks > self.whole {
            return Err(lacks - self.whole);
        }
        if shared {
            kept.others = Some(full_at);
        } else {
            kept.full_at.insert(key.clone(), full_at);
        }
        Ok(())
    }
}

impl<K: Eq + Hash> Kept<K> {
    /// Forgets full buckets once there are too many; not at every call, as it looks at all of them.
    fn make_room(&mut self, now: Instant) {
        let recently = |at: Instant| now.saturating_duration_since(at) < SWEEP;
        if self.full_at.len() < MAX_KEYS || self.swept.is_some_and(recently) {
            return;
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        self.swept = Some(now);
    }
}

/// A number of places for each key.
pub struct Places<K: Eq + Hash> {
    most: usize,
    taken: Mutex<HashMap<K, usize>>,
}

/// A place that is taken; it is free again when this is dropped.
pub struct Place<K: Eq + Hash> {
    of: Arc<Places<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// `most` places for each key; `None` if that is 0, which means no limit.
    pub fn new(most: usize) -> Option<Arc<Self>> {
        (most > 0).then(|| {
            Arc::new(Self {
                most,
                taken: Mutex::new(HashMap::new()),
            })
        })
    }

    /// Takes a place, if one is free. Only keys with places taken are remembered.
    pub fn take(self: &Arc<Self>, key: &K) -> Option<Place<K>> {
        let mut taken = lock(&self.taken);
        let count = taken.get(key).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        taken.insert(key.clone(), count + 1);
        Some(Place {
            of: self.clone(),
            key: key.clone(),
        })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.of.taken);
        match taken.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.key);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let buckets = Buckets::new(60, MINUTE, 3).unwrap();
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(buckets.take(&"a", start), Ok(()));
        }
        assert_eq!(buckets.take(&"a", start), Err(Duration::from_secs(1)));
        // Each key has its own, and what was refused took nothing.
        assert_eq!(buckets.take(&"b", start), Ok(()));
        let half = start + Duration::from_millis(500);
        assert_eq!(buckets.take(&"a", half), Err(Duration::from_millis(500)));
        let later = start + Duration::from_secs(1);
        assert_eq!(buckets.take(&"a", later), Ok(()));
        assert_eq!(buckets.take(&"a", later), Err(Duration::from_secs(1)));
        // However long it was left alone, it holds no more than a burst.
        let much_later = start + 10 * MINUTE;
        for _ in 0..3 {
            assert_eq!(buckets.take(&"a", much_later), Ok(()));
        }
        assert!(buckets.take(&"a", much_later).is_err());
    }

    #[test]
    fn no_rate_is_no_limit() {
        assert!(Buckets::<u8>::new(0, MINUTE, 1).is_none());
        assert!(Places::<u8>::new(0).is_none());
    }

    #[test]
    fn a_flood_of_keys_neither_grows_nor_frees_those_who_were_limited() {
        let buckets = Buckets::new(1, MINUTE, 1).unwrap();
        let start = Instant::now();
        let keys = u32::try_from(MAX_KEYS).unwrap();
        for key in 0..keys {
            assert_eq!(buckets.take(&key, start), Ok(()));
        }
        // All who come now share one bucket.
        assert_eq!(buckets.take(&keys, start), Ok(()));
        assert!(buckets.take(&(keys + 1), start).is_err());
        assert!(buckets.take(&0, start).is_err(), "it is still remembered");
        assert_eq!(lock(&buckets.kept).full_at.len(), MAX_KEYS);
        // Later all buckets are full, and make room.
        let later = start + 2 * MINUTE;
        assert_eq!(buckets.take(&(keys + 1), later), Ok(()));
        assert_eq!(lock(&buckets.kept).full_at.len(), 1);
    }

    #[test]
    fn places_are_free_again() {
        let places = Places::new(2).unwrap();
        let first = places.take(&"a").unwrap();
        let second = places.take(&"a").unwrap();
        assert!(places.take(&"a").is_none());
        assert!(places.take(&"b").is_some());
        drop(first);
        let third = places.take(&"a").unwrap();
        assert!(places.take(&"a").is_none());
        drop((second, third));
        assert!(lock(&places.taken).is_empty(), "nobody is remembered");
    }
}
