//! tlog
pub mod tree;
