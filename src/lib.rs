//! whosaw: camera clips that nobody can see in secret.

// std's printing macros panic when nobody takes what they print, which would end a server: commands
// print by the macros of `cli`, servers by `tracing`.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]
// Values out of a log reach all modules but those named below: no arithmetic may overflow on one, and no
// index may miss, since a panic would end every reader of that log.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice
)]
pub mod cli;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice
)]
pub mod client;
pub mod digest;
pub mod encoding;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice
)]
pub mod http;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice
)]
pub mod ledger;
pub mod logging;
pub mod memory;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice
)]
pub mod party;
pub mod plain;
pub mod random;
pub mod reader;
pub mod record;
pub mod seal;
pub mod statement;
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice
)]
pub mod store;
pub mod time;
pub mod tlog;
pub mod watch;
pub mod web;
pub mod wire;
