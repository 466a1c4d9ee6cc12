//! A Bloom filter over the keys of one partition: says of nearly every key that was never seen that
//! it was not, without touching the disk.
//!
//! Its bytes lie in the journal once a partition is closed, so hash and layout never change: a
//! filter that forgot a key would let a statement into the log a second time.

use sha2::{Digest as _, Sha256};

/// Keys that a partition holds before the next one is begun.
pub(super) const PARTITION: usize = 2 << 20;
/// Bits of a filter (3 MiB): twelve for each key of a full partition.
const BITS: u64 = 12 * PARTITION as u64;
/// Bits set for a key; with twelve bits a key, three foreign keys in a thousand pass.
const PROBES: u64 = 8;

/// What the filters know a key by: drawn from SHA-256 over a tag and the key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fingerprint(u64, u64);

impl Fingerprint {
    pub(super) fn of(tag: u8, key: &[u8]) -> Self {
        let hash: [u8; 32] = Sha256::new()
            .chain_update([tag])
            .chain_update(key)
            .finalize()
            .into();
        let word =
            |at: usize| u64::from_be_bytes(hash[at..at + 8].try_into().expect("8 of 32 bytes"));
        Self(word(0), word(8))
    }

    fn bits(self) -> impl Iterator<Item = (usize, u64)> {
        (0..PROBES).map(move |probe| {
            let bit = self.0.wrapping_add(self.1.wrapping_mul(probe)) % BITS;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }
}

/// The filter of a partition.
#[derive(Debug, Clone)]
pub(super) struct Filter(Vec<u64>);

impl Filter {
    /// Nothing was seen.
    pub(super) fn new() -> Self {
        Self(vec![0; (BITS / 64) as usize])
    }

    /// Takes a key in.
    pub(super) fn insert(&mut self, key: Fingerprint) {
        for (word, bit) in key.bits() {
            self.0[word] |= bit;
        }
    }

    /// Whether the key may have been taken in; false is certain.
    pub(super) fn may_hold(&self, key: Fingerprint) -> bool {
        key.bits().all(|(word, bit)| self.0[word] & bit != 0)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// `None` unless the bytes are as long as a filter is.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let words = bytes.chunks_exact(8);
        let words: Vec<u64> = words
            .map(|word| u64::from_be_bytes(word.try_into().expect("8 bytes")))
            .collect();
        (bytes.len() as u64 * 8 == BITS).then_some(Self(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_never_denied_and_what_was_not_nearly_always() {
        let mut filter = Filter::new();
        let key = |n: u32| Fingerprint::of(b'i', &n.to_be_bytes());
        (0..2 << 20).for_each(|n| filter.insert(key(n)));
        let filter = Filter::from_bytes(&filter.to_bytes()).unwrap();
        assert!((0..2 << 20).all(|n| filter.may_hold(key(n))));
        let passed = (2 << 20..(2 << 20) + 100_000)
            .filter(|&n| filter.may_hold(key(n)))
            .count();
        assert!(
            (100..600).contains(&passed),
            "{passed} of 100,000 foreign keys pass"
        );
        assert!(Filter::from_bytes(&[0; 64]).is_none());
    }

    #[test]
    fn the_layout_on_disk_stays() {
        let mut filter = Filter::new();
        filter.insert(Fingerprint::of(b'i', b"one key"));
        let digest = crate::digest::Digest::of(filter.to_bytes());
        // Computed by another program from the description above.
        let known = "0405e0070d17d250397e7840c52e234d4e03dd3ab83d5f512b82b8f30704d5d4";
        assert_eq!(digest.to_string(), known);
    }
}
