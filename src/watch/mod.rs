//! What a watchdog does with nothing but an address and a trust file.

pub mod audit;
pub(crate) mod folder;
