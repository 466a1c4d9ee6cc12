//! How many bytes the program has allocated and not freed.
//!
//! Counted in builds with debug assertions alone: tests bound by it how much a stranger can make a
//! server hold. A release allocates without counting, and its figures do not have this one.

#[cfg(debug_assertions)]
#[global_allocator]
static ALLOCATOR: cap::Cap<mimalloc::MiMalloc> = cap::Cap::new(mimalloc::MiMalloc, usize::MAX);

/// Bytes allocated now, and the most that ever were at once.
#[derive(Debug, Clone, Copy)]
pub struct Allocated {
    pub now: usize,
    pub peak: usize,
}

/// What is counted; `None` in a release build.
#[must_use]
pub fn allocated() -> Option<Allocated> {
    #[cfg(debug_assertions)]
    return Some(Allocated {
        now: ALLOCATOR.allocated(),
        peak: ALLOCATOR.max_allocated(),
    });
    #[cfg(not(debug_assertions))]
    None
}
