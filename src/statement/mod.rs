//! statement
pub mod scope;
pub mod sealed;
