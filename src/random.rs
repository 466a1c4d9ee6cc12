//! Randomness, from the operating system alone.

/// `N` random bytes.
///
/// # Panics
/// If the operating system has no randomness to give: nothing that follows would be safe.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}
