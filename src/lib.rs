//! whosaw: camera clips that nobody can see in secret.

// std's printing macros panic when nobody takes what they print, which would end a server: commands
// print by the macros of `cli`, servers by `tracing`.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod cli;
pub mod client;
pub mod digest;
pub mod encoding;
pub mod http;
pub mod ledger;
pub mod logging;
pub mod memory;
pub mod party;
pub mod plain;
pub mod random;
pub mod reader;
pub mod record;
pub mod seal;
pub mod statement;
pub mod store;
pub mod time;
pub mod tlog;
pub mod watch;
pub mod web;
pub mod wire;
