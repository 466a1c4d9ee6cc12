//! How commands write the files that a person names: never over another kind of file.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::statement::envelope::Envelope;
use crate::statement::sealed::Opening;
use crate::tlog::policy::Policy;
use crate::tlog::proof::TlogProof;
use crate::wire::domain::Published;

/// The kinds of file that take the place of an older one of their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Envelope,
    Opening,
    Policy,
    Proof,
    Published,
}

impl Written {
    /// Writes `bytes`, which are of this kind, to `path`.
    ///
    /// # Errors
    /// Those of [`Written::check`], and the disk's.
    pub fn write(self, path: &Path, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let is_new = self.check(path)?;
        let write = || match is_new {
            true => File::create_new(path)?.write_all(bytes.as_ref()),
            false => fs::write(path, bytes.as_ref()),
        };
        write().with_context(|| path.display().to_string())
    }

    /// Whether `path` is free. A command asks before it draws a key or logs a statement.
    ///
    /// # Errors
    /// If a file is there that is not of this kind: a private key, for example, that would be lost.
    pub fn check(self, path: &Path) -> anyhow::Result<bool> {
        let found = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
            found => found.with_context(|| path.display().to_string())?,
        };
        // A pipe or a terminal holds nothing that could be lost.
        if found.is_file() && found.len() > 0 {
            let bytes = fs::read(path).with_context(|| path.display().to_string())?;
            if !self.holds(&bytes) {
                let file = path.display();
                bail!(
                    "{file} is there and is no {}: name another file",
                    self.name()
                );
            }
        }
        Ok(false)
    }

    fn holds(self, bytes: &[u8]) -> bool {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        match self {
            Self::Envelope => Envelope::parse(bytes).is_ok(),
            Self::Opening => Opening::parse(text.trim_end()).is_ok(),
            Self::Policy => Policy::parse(text).is_ok(),
            Self::Proof => TlogProof::parse(bytes).is_ok(),
            Self::Published => Published::from_file(bytes).is_ok(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Envelope => "signed statement",
            Self::Opening => "opening",
            Self::Policy => "trust file",
            Self::Proof => "proof",
            Self::Published => "file of published keys",
        }
    }
}

/// Checks that two files that a command writes are not one.
///
/// # Errors
/// If they are.
pub fn check_apart(one: &Path, other: &Path) -> anyhow::Result<()> {
    let full = |path: &Path| -> anyhow::Result<PathBuf> {
        std::path::absolute(path).with_context(|| path.display().to_string())
    };
    if full(one)? == full(other)? {
        bail!("{} is named for two files: name another", one.display());
    }
    Ok(())
}
