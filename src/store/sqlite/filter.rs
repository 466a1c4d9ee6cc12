//! A Bloom filter over the keys of one partition: says of nearly every key that was never seen that
//! it was not, without touching the disk.
//!
//! All bits of a key lie in one cache line (Putze, Sanders and Singler 2007, "blocked"): a look-up
//! asks every partition's filter, and the misses of the cache are what it costs. The bytes lie in
//! the journal, so hash and layout never change: a filter that forgot a key would let a statement
//! into the log a second time.

use sha2::{Digest as _, Sha256};

/// Bits of a block: a cache line.
const BLOCK: usize = 512;
/// Bits of a filter for each key of a full partition.
const BITS_A_KEY: usize = 24;
/// Bits set for a key; with 24 bits a key, one foreign key in some six thousand passes. Each that
/// does reads a bucket, and of many partitions one that is on the disk alone.
const PROBES: u32 = 7;

/// What an index knows a key by: the first half of SHA-256 over a tag and the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Fingerprint(u64, u64);

impl Fingerprint {
    pub(super) fn of(tag: u8, key: &[u8]) -> Self {
        let hash = Sha256::new().chain_update([tag]).chain_update(key);
        let hash = hash.finalize();
        let (words, _) = hash.as_slice().as_chunks();
        Self(u64::from_be_bytes(words[0]), u64::from_be_bytes(words[1]))
    }

    /// As much as is kept on disk.
    pub(super) fn short(self) -> u64 {
        self.0
    }
}

/// The filter of a partition.
#[derive(Debug, Clone)]
pub(super) struct Filter(Box<[[u64; BLOCK / 64]]>);

impl Filter {
    /// Nothing was seen; for as many `keys` as a partition has rows.
    pub(super) fn new(keys: usize) -> Self {
        let blocks = (keys * BITS_A_KEY).div_ceil(BLOCK).max(1);
        Self(vec![[0; BLOCK / 64]; blocks].into())
    }

    /// The block of a key, and in it the words and bits of its probes.
    fn probes(&self, key: Fingerprint) -> (usize, impl Iterator<Item = (usize, u64)> + use<>) {
        // The high half of the product spreads the first word evenly over the blocks.
        let block = (u128::from(key.0) * self.0.len() as u128) >> 64;
        let bits = (0..PROBES).map(move |probe| {
            let bit = (key.1 >> (9 * probe)) as usize % BLOCK;
            (bit / 64, 1 << (bit % 64))
        });
        (block as usize, bits)
    }

    /// Takes a key in.
    pub(super) fn insert(&mut self, key: Fingerprint) {
        let (block, bits) = self.probes(key);
        bits.for_each(|(word, bit)| self.0[block][word] |= bit);
    }

    /// Whether the key may have been taken in; false is certain.
    pub(super) fn may_hold(&self, key: Fingerprint) -> bool {
        let (block, mut bits) = self.probes(key);
        bits.all(|(word, bit)| self.0[block][word] & bit != 0)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let words = self.0.iter().flatten();
        words.flat_map(|word| word.to_be_bytes()).collect()
    }

    /// `None` unless the bytes are as long as a filter for so many `keys` is.
    pub(super) fn from_bytes(keys: usize, bytes: &[u8]) -> Option<Self> {
        let mut filter = Self::new(keys);
        let (words, rest) = bytes.as_chunks();
        let places = filter.0.as_flattened_mut();
        if places.len() != words.len() || !rest.is_empty() {
            return None;
        }
        for (place, word) in places.iter_mut().zip(words) {
            *place = u64::from_be_bytes(*word);
        }
        Some(filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_never_denied_and_what_was_not_nearly_always() {
        const KEYS: usize = 1 << 20;
        let mut filter = Filter::new(KEYS);
        let key = |n: usize| Fingerprint::of(b'i', &n.to_be_bytes());
        (0..KEYS).for_each(|n| filter.insert(key(n)));
        let filter = Filter::from_bytes(KEYS, &filter.to_bytes()).unwrap();
        assert!((0..KEYS).all(|n| filter.may_hold(key(n))));
        let foreign = KEYS..KEYS + 100_000;
        let passed = foreign.filter(|&n| filter.may_hold(key(n))).count();
        assert!(
            (1..60).contains(&passed),
            "{passed} of 100,000 foreign keys pass"
        );
        assert!(Filter::from_bytes(KEYS, &[0; 64]).is_none());
        assert!(Filter::from_bytes(1, &[0; 63]).is_none());
    }

    #[test]
    fn the_layout_on_disk_stays() {
        let mut filter = Filter::new(1 << 20);
        filter.insert(Fingerprint::of(b'i', b"one key"));
        let digest = crate::digest::Digest::of(filter.to_bytes());
        // Computed by another program from the description above.
        let known = "3527aef5f2c44aa393162b7c0f621267fa3c5625e80843e8606b2e3344b90017";
        assert_eq!(digest.to_string(), known);
    }
}
