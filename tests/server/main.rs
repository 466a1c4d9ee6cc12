//! The server against bad input, bad luck and bad people: real processes, real sockets.

mod bad_input;
mod crash;
mod ledger;
mod process;
#[path = "../support/mod.rs"]
mod support;
