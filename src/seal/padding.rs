//! What sizes may tell: Padmé for clips, whole blocks for metadata.
//!
//! Padmé is from Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
//! Communication with PURBs" (2019), section 4: a length keeps only as many leading bits as its
//! exponent has bits, so a length of any size tells O(log log) bits and grows by 12 % at most.

/// The length to which `length` bytes are padded.
///
/// Lengths above the last that 64 bits can round up stay at the largest number.
pub fn padme(length: u64) -> u64 {
    let Some(exponent) = length.checked_ilog2().filter(|e| *e > 0) else {
        return length;
    };
    // An exponent has fewer bits than it counts, so at least one bit is kept, and 62 go at most.
    let kept_bits = exponent.ilog2().saturating_add(1);
    let dropped_bits = exponent.saturating_sub(kept_bits);
    let mask = (1_u64 << dropped_bits).saturating_sub(1);
    length.checked_add(mask).map_or(u64::MAX, |sum| sum & !mask)
}

/// Pads to whole blocks: one byte 0x80, then zeros (ISO/IEC 7816-4).
pub(super) fn pad(mut plain: Vec<u8>, block: usize) -> Vec<u8> {
    plain.push(0x80);
    plain.resize(plain.len().next_multiple_of(block), 0);
    plain
}

/// Takes the padding away again; `None` if there is none.
pub(super) fn unpad(mut padded: Vec<u8>) -> Option<Vec<u8>> {
    let end = padded.iter().rposition(|byte| *byte != 0)?;
    (padded.get(end) == Some(&0x80)).then(|| {
        padded.truncate(end);
        padded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lengths whose exponents, not values, are evenly spread.
    fn any_length() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0_u32..64).prop_map(|(bits, shift)| bits >> shift)
    }

    #[test]
    fn known_lengths() {
        // Worked by hand from the paper's definition: 9 = 0b1001 keeps 2 bits after the first.
        for (length, padded) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 3),
            (8, 8),
            (9, 10),
            (1000, 1024),
            (1_000_001, 1_015_808),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(padme(length), padded, "{length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn padme_is_short_monotone_and_idempotent(a in any_length(), b in any_length()) {
            let padded = padme(a);
            prop_assert!(padded >= a);
            prop_assert!(u128::from(padded - a) * 100 <= u128::from(a) * 12);
            prop_assert_eq!(padme(padded), padded);
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(padme(low) <= padme(high));
        }

        #[test]
        fn padme_keeps_only_the_leading_bits(a in any_length()) {
            let padded = padme(a);
            if a > 1 && padded < u64::MAX {
                let significant = 64 - padded.leading_zeros() - padded.trailing_zeros();
                prop_assert!(significant <= padded.ilog2().ilog2() + 2);
            }
        }

        #[test]
        fn blocks_are_whole_and_come_off(plain in proptest::collection::vec(any::<u8>(), 0..100), block in 1_usize..40) {
            let padded = pad(plain.clone(), block);
            prop_assert_eq!(padded.len() % block, 0);
            prop_assert!(padded.len() <= plain.len() + block);
            prop_assert_eq!(unpad(padded), Some(plain));
        }
    }

    #[test]
    fn what_was_never_padded_is_refused() {
        for bytes in [&[][..], &[0, 0], &[1], &[0x80, 1, 0]] {
            assert_eq!(unpad(bytes.to_vec()), None);
        }
    }
}
