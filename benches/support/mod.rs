//! What the benchmarks share: an operator and parties that are made up, pre-signed statements, a
//! server as a process, load over HTTP, a log of any size, and plain tables.

#![allow(dead_code, reason = "each benchmark uses its part")]

pub mod bare;
pub mod load;
pub mod server;
pub mod synthetic;
pub mod workload;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// As the program has it.
#[cfg(not(debug_assertions))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The value of `--name VALUE` on the command line.
pub fn option<T: std::str::FromStr>(name: &str, default: T) -> T {
    let flag = format!("--{name}");
    let mut arguments = std::env::args().skip_while(|argument| *argument != flag);
    match arguments.nth(1) {
        None => default,
        Some(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("{flag} {value}: not a value that it takes")),
    }
}

/// A folder on the disk that the build lies on; temporary folders may be memory.
pub fn folder() -> tempfile::TempDir {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    tempfile::tempdir_in(root).expect("the build's own folder")
}

/// Units a second that `work` does, which returns how many it did.
pub fn rate(work: impl FnOnce() -> usize) -> f64 {
    let since = Instant::now();
    let done = work();
    done as f64 / since.elapsed().as_secs_f64()
}

/// A figure beside its limit.
pub fn row(what: &str, found: impl std::fmt::Display, limit: &str) {
    println!("{what:<58} {found:>14}   {limit}");
}

/// A rate as a table has it.
pub fn per_second(rate: f64) -> String {
    format!("{rate:.0}/s")
}

/// A time as a table has it.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The time that each of `count` took, as a table has it.
pub fn microseconds(time: Duration, count: usize) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6 / count as f64)
}

/// A ratio as a table has it.
pub fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

/// Numbers below `end`, spread evenly; the same ones for the same seed.
pub fn random(seed: u64, end: u64) -> impl Iterator<Item = u64> {
    // xorshift64*, of which the upper bits are the best.
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::iter::repeat_with(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let drawn = state.wrapping_mul(0x2545_f491_4f6c_dd1d);
        ((u128::from(drawn) * u128::from(end)) >> 64) as u64
    })
}
