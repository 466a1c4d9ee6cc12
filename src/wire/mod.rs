//! What crosses the network between programs, as values: bodies, problems, signatures of messages,
//! and what parties publish under their host names.
//!
//! Shared by server and clients; no HTTP library, no I/O. Spec: `docs/PROTOCOL.md`, sections 2, 8 and 9.

pub mod dns;
pub mod domain;
pub mod lines;
pub mod note;
pub mod notice;
pub mod problem;
pub mod signature;
pub mod statements;
pub mod vault;
