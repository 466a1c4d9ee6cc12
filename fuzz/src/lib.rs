//! What must hold of every input a stranger can send, whatever its bytes.
//!
//! A target takes bytes and panics if a property fails: what is accepted is written back as the same
//! bytes, limits hold, and no signature verifies but those that the keys of [`known`] made. The same
//! targets run under two drivers: the seeded one of `main.rs`, on any compiler and in CI, and
//! libFuzzer (`fuzz_targets/guided.rs`).

pub mod known;
pub mod mutate;
pub mod seeds;

mod domain;
mod reader;
mod seal;
mod statement;
mod tlog;
mod wire;

/// A parser, or a family of them, and what must hold of it.
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Panics if a property fails. Returns whether the input was accepted.
    pub check: fn(&[u8]) -> bool,
    /// It runs one of so many rounds: more than one where an input takes long.
    pub share: u64,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target::new("note", tlog::note),
    Target::new("checkpoint", tlog::checkpoint),
    Target::new("signed-checkpoint", tlog::signed_checkpoint),
    Target::new("cosignature", tlog::cosignature),
    Target::new("policy", tlog::policy),
    Target::new("tile-path", tlog::tile_path),
    Target::new("bundle", tlog::bundle),
    Target::new("proof", tlog::proof),
    Target::new("add-checkpoint", tlog::add_checkpoint),
    Target::new("sign-subtree", tlog::sign_subtree),
    Target::new("evidence", tlog::evidence),
    Target::new("envelope", statement::envelope),
    Target::new("statement", statement::statement),
    Target::new("leaf", statement::leaf),
    Target::new("opening", statement::opening),
    Target::new("scope", statement::scope),
    Target::new("text", statement::text),
    Target::new("call", wire::call),
    Target::new("response", wire::response),
    Target::new("base-url", wire::base_url),
    Target::new("json-lines", wire::json_lines),
    Target::new("domain-records", domain::records),
    Target::new("domain-file", domain::file),
    Target::new("dns-reply", domain::reply),
    Target::new("sealed", seal::sealed),
    Target::new("notice", seal::notice),
    Target::new("message", wire::message),
    Target::new("told", wire::told),
    Target::slow("reader", reader::everything),
];

impl Target {
    const fn new(name: &'static str, check: fn(&[u8]) -> bool) -> Self {
        Self {
            name,
            check,
            share: 1,
        }
    }

    const fn slow(name: &'static str, check: fn(&[u8]) -> bool) -> Self {
        let share = 200;
        Self { name, check, share }
    }
}

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
