//! Whoever reads a log: where it is read from, and what is believed of it.
//!
//! A reader takes entries from the log's files alone and replays the rules itself; no answer of a
//! server is state. [`follower`] keeps a verified copy and never goes back.

pub mod ahead;
pub mod clock;
pub mod follower;
pub mod freshness;
pub mod replay;
pub mod source;
#[cfg(test)]
pub(crate) mod testing;
mod tree;
