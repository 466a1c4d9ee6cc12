//! What a watchdog does with nothing but an address and a trust file.

pub mod audit;
pub mod domains;
pub(crate) mod folder;
