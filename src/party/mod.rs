//! What each party's own program does, on its own machine, with its own keys.

pub mod agency;
pub mod answered;
pub mod bulk;
pub mod collected;
pub mod ending;
pub mod home;
pub mod keys;
pub mod notify;
pub mod official;
pub mod operator;
pub mod published;
pub mod resident;
pub mod seals;
pub mod witness;
