//! Attachments that wait for their statement: how many bytes, and whose.
//!
//! Every party has a share and all have a bound, taken before the first byte is written. Kept in
//! memory, so that neither a call nor housekeeping goes through all that was ever stored: the first
//! housekeeping after a start does, and brings in what it finds, as nobody's.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::statement::sealed::SealDigest;
use crate::statement::words::PartyId;

/// Bytes of attachments that may wait at once.
const ALL: u64 = 256 << 20;
/// Bytes of them that may be one party's.
const PARTY: u64 = 64 << 20;
/// What each costs at least: two files, a block of the disk each.
const LEAST: u64 = 8 << 10;

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Party,
    All,
}

/// What waits.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    all: Arc<Mutex<HashMap<SealDigest, Waits>>>,
    /// What lay there at the start is brought in.
    filled: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Waits {
    /// Nobody knows of those that were there at a start.
    party: Option<PartyId>,
    bytes: u64,
    /// How often it is being written now.
    rooms: usize,
    /// It lies there.
    stored: bool,
}

/// Room for an attachment that is being written; given back unless it is [`Room::keep`]t.
#[derive(Debug)]
#[must_use]
pub struct Room {
    waiting: Waiting,
    digest: SealDigest,
}

impl Waiting {
    /// Takes room for an attachment of so many bytes.
    ///
    /// # Errors
    /// If the party's share, or what all have, does not hold it.
    pub fn reserve(&self, party: &PartyId, digest: SealDigest, bytes: u64) -> Result<Room, Full> {
        let mut waiting = self.lock();
        let bytes = bytes.max(LEAST);
        let others = || waiting.iter().filter(|(other, _)| **other != digest);
        let sum = |sum: u64, (_, waits): (&SealDigest, &Waits)| sum + waits.bytes;
        let of_party = others().filter(|(_, waits)| waits.party.as_ref() == Some(party));
        if of_party.fold(bytes, sum) > PARTY {
            return Err(Full::Party);
        }
        if others().fold(bytes, sum) > ALL {
            return Err(Full::All);
        }
        let waits = waiting.entry(digest).or_insert(Waits {
            party: None,
            bytes,
            rooms: 0,
            stored: false,
        });
        waits.party = Some(party.clone());
        waits.rooms += 1;
        drop(waiting);
        Ok(Room {
            waiting: self.clone(),
            digest,
        })
    }

    /// One lies there; of those that came since the start, more is known already.
    pub fn found(&self, digest: SealDigest, bytes: u64) {
        self.lock().entry(digest).or_insert(Waits {
            party: None,
            bytes: bytes.max(LEAST),
            rooms: 0,
            stored: true,
        });
    }

    /// Whether what lay there at the start is known.
    pub fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Relaxed)
    }

    /// What lay there at the start is known from now on.
    pub fn set_filled(&self) {
        self.filled.store(true, Ordering::Relaxed);
    }

    /// One waits no longer.
    pub fn ended(&self, digest: &SealDigest) {
        self.lock().remove(digest);
    }

    /// Those that lie there.
    pub fn stored(&self) -> HashSet<SealDigest> {
        let waiting = self.lock();
        let stored = waiting.iter().filter(|(_, waits)| waits.rooms == 0);
        stored.map(|(digest, _)| *digest).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SealDigest, Waits>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// The attachment is stored, and waits.
    pub fn keep(self) {
        if let Some(waits) = self.waiting.lock().get_mut(&self.digest) {
            waits.stored = true;
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock();
        if let Some(waits) = waiting.get_mut(&self.digest) {
            waits.rooms = waits.rooms.saturating_sub(1);
            if waits.rooms == 0 && !waits.stored {
                waiting.remove(&self.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::encoding;

    fn digest(n: u64) -> SealDigest {
        let digest = Digest::of(n.to_be_bytes());
        encoding::base64url(digest.as_bytes()).parse().unwrap()
    }

    fn party(n: u64) -> PartyId {
        format!("agency{n}.example").parse().unwrap()
    }

    #[test]
    fn a_party_fills_its_share_and_all_fill_the_rest() {
        let waiting = Waiting::default();
        let reserve = |of, n| waiting.reserve(&party(of), digest(n), PARTY / 4);
        for n in 0..4 {
            reserve(0, n).unwrap().keep();
        }
        assert_eq!(reserve(0, 4).unwrap_err(), Full::Party);
        // Who comes again with the same takes nothing more.
        reserve(0, 0).unwrap().keep();
        for n in 4..16 {
            reserve(n / 4, n).unwrap().keep();
        }
        assert_eq!(reserve(4, 16).unwrap_err(), Full::All);
        waiting.ended(&digest(0));
        reserve(4, 16).unwrap().keep();
        assert_eq!(reserve(0, 0).unwrap_err(), Full::All);
    }

    #[test]
    fn what_is_not_written_takes_no_room_and_what_is_found_does() {
        let waiting = Waiting::default();
        drop(waiting.reserve(&party(0), digest(0), PARTY).unwrap());
        waiting.reserve(&party(0), digest(0), PARTY).unwrap().keep();
        waiting.found(digest(0), 1);
        assert!(waiting.reserve(&party(0), digest(1), 1).is_err());
        for n in 1..4 {
            waiting.found(digest(n), PARTY);
        }
        let full = waiting.reserve(&party(1), digest(4), 1);
        assert_eq!(full.unwrap_err(), Full::All);
    }

    /// Two write the same, and one of them fails: what the other stored goes on waiting.
    #[test]
    fn who_fails_takes_nothing_from_who_does_not() {
        let waiting = Waiting::default();
        let reserve = || waiting.reserve(&party(0), digest(0), PARTY).unwrap();
        let (one, other) = (reserve(), reserve());
        assert!(waiting.stored().is_empty());
        one.keep();
        drop(other);
        assert_eq!(waiting.stored(), HashSet::from([digest(0)]));
        assert!(waiting.reserve(&party(0), digest(1), 1).is_err());
        waiting.ended(&digest(0));
        let (one, other) = (reserve(), reserve());
        drop(one);
        assert!(waiting.reserve(&party(0), digest(1), 1).is_err());
        drop(other);
        assert!(waiting.reserve(&party(0), digest(1), 1).is_ok());
    }

    #[test]
    fn many_small_ones_are_bounded_too() {
        let waiting = Waiting::default();
        let fits = |n: &u64| match waiting.reserve(&party(0), digest(*n), 1) {
            Ok(room) => {
                room.keep();
                true
            }
            Err(_) => false,
        };
        let stored = (0..).take_while(fits).count() as u64;
        assert_eq!(stored, PARTY / LEAST);
    }
}
