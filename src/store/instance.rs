//! Which machine and folder a ledger's database was last used in.
//!
//! Two servers with one log's key would sign two histories. A copied folder has another inode, and a
//! restored one another machine or device: `whosaw serve` compares them with what `ledger.db` holds, and
//! `whosaw operator adopt` writes them there after the witnesses were asked. A clone of a whole machine has
//! the same ones.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{StoreError, at};
use crate::digest::Digest;
use crate::encoding::hex;
use crate::random;

/// Where Linux keeps the machine's id.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// A ledger in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Drawn when the ledger was made, restored or adopted; 32 hexadecimal digits. It is public.
    pub id: String,
    /// Hex SHA-256 of the machine's id and a name, since the id is to be kept private; empty on a machine
    /// that has none.
    pub machine: String,
    /// The device that the data folder is on, as `stat` has it.
    pub device: u64,
    /// The data folder's inode.
    pub inode: u64,
}

impl Instance {
    /// A new one, for the data folder as it is here and now.
    ///
    /// # Errors
    /// If the folder cannot be examined.
    pub fn here(data: &Path) -> Result<Self, StoreError> {
        let folder = fs::metadata(data).map_err(at(data))?;
        let machine = MACHINE_IDS
            .iter()
            .find_map(|path| fs::read_to_string(path).ok());
        let machine = machine.map(|id| Digest::of(format!("whosaw instance {}", id.trim())));
        Ok(Self {
            id: hex(random::bytes::<16>()),
            machine: machine.map_or_else(String::new, |digest| digest.to_string()),
            device: folder.dev(),
            inode: folder.ino(),
        })
    }

    /// How this place differs from `here`; `None` where it is the same.
    pub fn moved(&self, here: &Self) -> Option<String> {
        let mut differs = Vec::new();
        if self.machine != here.machine {
            differs.push("another machine".to_owned());
        }
        if self.device != here.device {
            differs.push(format!("device {} instead of {}", here.device, self.device));
        }
        if self.inode != here.inode {
            differs.push(format!("inode {} instead of {}", here.inode, self.inode));
        }
        (!differs.is_empty()).then(|| differs.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_folder_is_another_place() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&other).unwrap();
        let here = Instance::here(&one).unwrap();
        assert_eq!(here.moved(&Instance::here(&one).unwrap()), None);
        let moved = here.moved(&Instance::here(&other).unwrap()).unwrap();
        assert!(moved.starts_with("inode "), "{moved}");
        fs::rename(&one, folder.path().join("renamed")).unwrap();
        let renamed = Instance::here(&folder.path().join("renamed")).unwrap();
        assert_eq!(
            here.moved(&renamed),
            None,
            "the same folder by another name"
        );
        assert_ne!(here.id, renamed.id);
        let elsewhere = Instance {
            machine: "another".to_owned(),
            ..renamed
        };
        assert!(
            here.moved(&elsewhere)
                .unwrap()
                .starts_with("another machine")
        );
    }
}
