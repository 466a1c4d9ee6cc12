//! What crosses HTTP between programs, as values: bodies, problems, signatures of messages.
//!
//! Shared by server and clients; no HTTP library, no I/O. Spec: `docs/PROTOCOL.md`, sections 8 and 9.

pub mod notice;
pub mod problem;
pub mod signature;
pub mod statements;
pub mod vault;
