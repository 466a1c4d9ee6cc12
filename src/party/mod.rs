//! What each party's own program does, on its own machine, with its own keys.

pub mod home;
pub mod operator;
pub mod witness;
