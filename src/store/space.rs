//! Room on the volumes that hold the data: what uploads must leave free.
//!
//! A resident within their quota, or a party with attachments, must not fill the disk that the public
//! log is written to. Uploads take room before their first byte, and are refused where a volume would
//! keep less than its reserve; the log itself asks for none.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::StoreError;

/// The room on a volume, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this process may still write.
    pub free: u64,
    pub size: u64,
}

type Probe = dyn Fn() -> io::Result<Space> + Send + Sync;

/// A volume, and how much of it uploads leave free. Clones share what is taken.
#[derive(Clone)]
pub struct Volume {
    probe: Arc<Probe>,
    reserve: u64,
    /// Bytes of uploads on their way, which may not be written yet.
    taken: Arc<AtomicU64>,
}

impl Volume {
    /// The volume that holds `folder`, of which uploads leave `reserve` bytes free.
    pub fn of(folder: &Path, reserve: u64) -> Self {
        let folder = folder.to_owned();
        let probe = move || {
            let found = rustix::fs::statvfs(&folder)?;
            Ok(Space {
                free: found.f_bavail.saturating_mul(found.f_frsize),
                size: found.f_blocks.saturating_mul(found.f_frsize),
            })
        };
        Self::probed_by(probe, reserve)
    }

    /// A volume whose room `probe` tells.
    pub fn probed_by(
        probe: impl Fn() -> io::Result<Space> + Send + Sync + 'static,
        reserve: u64,
    ) -> Self {
        Self {
            probe: Arc::new(probe),
            reserve,
            taken: Arc::default(),
        }
    }

    /// What is free now.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn space(&self) -> io::Result<Space> {
        (self.probe)()
    }

    /// Bytes that uploads leave free.
    pub fn reserve(&self) -> u64 {
        self.reserve
    }

    /// Whether less than the reserve is free: no upload is taken, whatever its size. A volume that does
    /// not tell its room is not low; writing to it fails by itself.
    pub fn is_low(&self) -> bool {
        self.space().is_ok_and(|space| space.free < self.reserve)
    }

    /// Takes room for an upload of so many bytes, until it is dropped.
    ///
    /// # Errors
    /// [`StoreError::NearlyFull`] if the reserve would not be left.
    pub fn take(&self, bytes: u64) -> Result<TakenSpace, StoreError> {
        // Counted first: of two who come at once, each sees the other.
        let before = self.taken.fetch_add(bytes, Ordering::SeqCst);
        let taken = TakenSpace {
            taken: self.taken.clone(),
            bytes,
        };
        let wanted = self.reserve.saturating_add(before).saturating_add(bytes);
        match self.space() {
            Ok(space) if space.free < wanted => Err(StoreError::NearlyFull),
            Ok(_) => Ok(taken),
            Err(error) => {
                tracing::warn!(%error, "the free space of a volume is not known");
                Ok(taken)
            }
        }
    }
}

/// Room for an upload on its way.
#[derive(Debug)]
pub struct TakenSpace {
    taken: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for TakenSpace {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(free: Arc<AtomicU64>, reserve: u64) -> Volume {
        let probe = move || {
            let free = free.load(Ordering::SeqCst);
            Ok(Space { free, size: 1000 })
        };
        Volume::probed_by(probe, reserve)
    }

    #[test]
    fn uploads_on_their_way_leave_the_reserve_together() {
        let free = Arc::new(AtomicU64::new(500));
        let volume = volume(free.clone(), 200);
        let first = volume.take(200).unwrap();
        // 100 are left above the reserve.
        assert!(matches!(volume.take(101), Err(StoreError::NearlyFull)));
        let second = volume.clone().take(100).unwrap();
        assert!(matches!(volume.take(1), Err(StoreError::NearlyFull)));
        drop((first, second));
        drop(volume.take(300).unwrap());
        assert!(!volume.is_low());
        free.store(199, Ordering::SeqCst);
        assert!(volume.is_low());
        assert!(matches!(volume.take(0), Err(StoreError::NearlyFull)));
    }

    #[test]
    fn no_reserve_is_no_limit_but_the_disks() {
        let volume = volume(Arc::new(AtomicU64::new(0)), 0);
        assert!(volume.take(0).is_ok() && !volume.is_low());
        assert!(volume.take(1).is_err());
        let untold = Volume::probed_by(|| Err(io::ErrorKind::Other.into()), 1);
        assert!(untold.take(1).is_ok() && !untold.is_low());
    }

    #[test]
    fn a_folder_has_its_volumes_room() {
        let folder = tempfile::tempdir().unwrap();
        let space = Volume::of(folder.path(), 0).space().unwrap();
        assert!(space.size > 0 && space.free <= space.size, "{space:?}");
        assert!(
            Volume::of(&folder.path().join("missing"), 0)
                .space()
                .is_err()
        );
    }
}
