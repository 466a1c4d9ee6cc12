//! End-to-end encryption of clips: every key, every sealed byte, every commitment.
//!
//! A clip is a standard [age v1](https://c2sp.org/age) file kept as two objects, `header` and
//! `body`. The owner's device shares it by wrapping its file key in a new header; the body never
//! changes. Commitments, entered in the log by the batch, say what was sealed without showing it.
//!
//! * [`keys`]: the recovery phrase, and every secret that follows from it
//! * [`recipient`]: whom a file key may be wrapped for
//! * [`clip`]: sealing and opening
//! * [`rewrap`]: reading the file key out of a header, and writing it into another
//! * [`commitment`]: what is promised about a clip or a decision before anyone asks
//! * [`batch`]: the tree over one period's commitments
//! * [`notice`]: messages that one owner alone can open, and that every device tries
//! * [`note`]: what an owner gives besides the video, for one recipient
//! * [`padding`]: what sizes may tell
//!
//! Not here: storing, sending, the clock, and randomness, save what the age library draws itself
//! (file keys, nonces, ephemeral keys).

pub mod batch;
pub mod clip;
pub mod commitment;
pub mod keys;
pub mod note;
pub mod notice;
mod one_size;
pub mod padding;
pub mod recipient;
pub mod rewrap;

pub use age::x25519::Identity;
pub use age_core::format::FileKey;
