//! The pruner: the thread that removes partial tiles and bundles whose full ones are public.
//!
//! Beside the publisher, because each file is a wait for the disk: at a thousand statements a second
//! there are hundreds of them a second, and checkpoints would wait for all.

use std::time::Duration;

use tokio::sync::watch;

use super::tiles::LogFiles;
use super::{LedgerError, Published};
use crate::store::StoreError;
use crate::tlog::tile::FULL;
use crate::tlog::tree::TreeSize;

/// How long the writers have the disk for themselves between two removals, at most.
const REST: Duration = Duration::from_millis(2);
/// Entries behind which there is no rest, and which are not left to the next start.
const BACKLOG: u64 = 16 * FULL as u64;

pub(super) struct Pruner {
    log: LogFiles,
    /// Partial tiles of full ones are gone up to this size.
    pruned: TreeSize,
}

impl Pruner {
    /// Begins with what a crash may have left behind in a log of `size`.
    pub fn new(log: LogFiles, size: TreeSize) -> Self {
        let pruned = LogFiles::prune_from(size);
        Self { log, pruned }
    }

    /// Prunes after each checkpoint, until the publisher is gone.
    ///
    /// # Errors
    /// None from the disk: what fails is said and tried again with the next checkpoint.
    pub fn run(
        mut self,
        mut published: watch::Receiver<Option<Published>>,
    ) -> Result<(), LedgerError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|e| LedgerError::Inconsistent(format!("nothing to wait with: {e}")))?;
        while runtime.block_on(published.changed()).is_ok() {
            let size = published
                .borrow_and_update()
                .as_ref()
                .map(|p| p.checkpoint.size);
            let ends = || published.has_changed().is_err();
            if let Some(Err(error)) = size.map(|size| self.prune(size, ends)) {
                tracing::warn!(%error, "partial tiles are left behind");
            }
        }
        Ok(())
    }

    /// Removes what nobody needs once a checkpoint of `size` is public, a full tile at a time. A crash
    /// leaves files behind that the next start removes, and so does an end that finds many.
    ///
    /// # Errors
    /// The store's.
    pub fn prune(&mut self, size: TreeSize, ends: impl Fn() -> bool) -> Result<(), StoreError> {
        let (full, size) = (u64::from(FULL), size.as_u64());
        while self.pruned.as_u64() < size {
            let pruned = self.pruned.as_u64();
            let behind = size - pruned > BACKLOG;
            if behind && ends() {
                break;
            }
            let next = TreeSize::new(((pruned / full + 1) * full).min(size));
            let rest = if behind { Duration::ZERO } else { REST };
            self.log.prune(self.pruned, next, rest)?;
            self.pruned = next;
        }
        Ok(())
    }
}
