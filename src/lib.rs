//! whosaw: camera clips that nobody can see in secret.

// std's printing macros panic when nobody takes what they print, which would end a server: commands
// print by the macros of `cli`, servers by `tracing`.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]
// A panic on a value out of a log would end every reader of that log. So no arithmetic may overflow and no
// index may miss in the modules that interpret such values. The six modules allowed below do I/O around them.
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
