//! Transparency logs as C2SP specifies them, one file a specification.
//!
//! Bytes and values in, values out: no files, no HTTP, no clock, no randomness. [`tree`] verifies and
//! never calls [`prove`], which proves. Specs: <https://c2sp.org>, RFC 6962.

pub mod checkpoint;
pub mod cosignature;
pub mod evidence;
pub mod hash;
pub mod mldsa;
pub mod note;
pub mod policy;
pub mod proof;
pub mod prove;
pub mod subtree;
pub mod tile;
pub mod tree;
pub mod witness;
