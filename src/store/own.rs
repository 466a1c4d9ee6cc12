//! The files of a folder that holds keys: regular ones, and nobody but their owner writes them.
//!
//! Whoever may replace a trust file, a database or a name in such a folder may have its keys sign what their
//! owner did not mean. [`check_home`] looks at all of it when a folder is opened, and [`read_text`] at each
//! file again when it is read.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::sqlite::SIDES;
use super::{StoreError, at};

/// What this program keeps in a folder that holds keys: an operator's, another party's, a witness's or a
/// resident's. Other files there are their owner's matter.
pub const NAMES: [&str; 27] = [
    "attachments",
    "batches",
    "bundle.json",
    "clips",
    "damaged",
    "follower.db",
    "genesis.jsonl",
    "imports",
    "keys",
    "ledger.db",
    "limits.json",
    "lock",
    "log",
    "log.ml-dsa-44.vkey",
    "log.policy",
    "log.vkey",
    "logs",
    "notices",
    "party.json",
    "phrase",
    "queries.db",
    "requests",
    "resident.db",
    "seals",
    "staging",
    "vaults.db",
    "witness.name",
];
/// Folders of secrets within a folder that holds keys.
const SECRETS: [&str; 4] = ["keys", "notices", "requests", "seals"];
/// What the group or others may not do with a file that only its owner writes.
const WRITE: u32 = 0o022;
/// What they may not do with a secret.
const ANY: u32 = 0o077;

/// Opens a regular file. Any other kind is refused: opening or reading a pipe would wait for whoever writes in it.
///
/// # Errors
/// [`StoreError::NotRegular`], and the disk's.
pub fn open(path: &Path) -> Result<File, StoreError> {
    Ok(open_found(path)?.0)
}

/// As [`open`], with what the system says of the file.
///
/// # Errors
/// As there.
pub fn open_found(path: &Path) -> Result<(File, Metadata), StoreError> {
    // A pipe without a writer is opened at once.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    let file = File::from(opened.map_err(|errno| at(path)(errno.into()))?);
    let found = file.metadata().map_err(at(path))?;
    check_regular(path, &found)?;
    Ok((file, found))
}

/// The text of a file of a folder that holds keys.
///
/// # Errors
/// [`StoreError::NotRegular`]; [`StoreError::FileExposed`] if others may write it; the disk's.
pub fn read_text(path: &Path) -> Result<String, StoreError> {
    let (mut file, found) = open_found(path)?;
    check_unwritable(path, &found)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(at(path))?;
    Ok(text)
}

/// Checks that what is at `path`, if there is anything, is a regular file.
///
/// # Errors
/// [`StoreError::NotRegular`].
pub fn check_kind(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        found => check_regular(path, &found.map_err(at(path))?),
    }
}

fn check_regular(path: &Path, found: &Metadata) -> Result<(), StoreError> {
    match found.is_file() {
        true => Ok(()),
        false => Err(StoreError::NotRegular {
            path: path.to_owned(),
        }),
    }
}

/// Checks a folder that holds keys: its owner alone may write in it and in what this program keeps there, and
/// nobody else reads its secrets.
///
/// # Errors
/// [`StoreError::FolderExposed`], [`StoreError::FileExposed`], [`StoreError::FileOfAnother`] or
/// [`StoreError::KeyExposed`] for the first that is otherwise.
pub fn check_home(root: &Path) -> Result<(), StoreError> {
    let folder = fs::metadata(root).map_err(at(root))?;
    check_unwritable(root, &folder)?;
    let owner = folder.uid();
    for name in NAMES {
        let sides = if name.ends_with(".db") {
            &SIDES[..]
        } else {
            &[""]
        };
        for side in sides {
            check_entry(&root.join(format!("{name}{side}")), owner, false)?;
        }
    }
    for folder in SECRETS {
        for path in listed(&root.join(folder))? {
            check_entry(&path, owner, true)?;
        }
    }
    Ok(())
}

/// What is in a folder; nothing if there is none.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(at(folder))?,
    };
    let path = |entry: std::io::Result<fs::DirEntry>| Ok(entry.map_err(at(folder))?.path());
    entries.map(path).collect()
}

/// Checks an entry of a folder of this owner, which may be a secret.
fn check_entry(path: &Path, folder_owner: u32, is_secret: bool) -> Result<(), StoreError> {
    let found = match fs::metadata(path) {
        // It is a link to nothing, or another process has moved it to its place.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found.map_err(at(path))?,
    };
    if is_secret && found.is_file() && found.permissions().mode() & ANY != 0 {
        return Err(StoreError::KeyExposed {
            path: path.to_owned(),
        });
    }
    check_unwritable(path, &found)?;
    let (owner, own) = (found.uid(), rustix::process::geteuid());
    if ![folder_owner, own.as_raw(), 0].contains(&owner) {
        return Err(StoreError::FileOfAnother {
            path: path.to_owned(),
            owner,
        });
    }
    Ok(())
}

fn check_unwritable(path: &Path, found: &Metadata) -> Result<(), StoreError> {
    if found.permissions().mode() & WRITE == 0 {
        return Ok(());
    }
    let path = path.to_owned();
    Err(match found.is_dir() {
        true => StoreError::FolderExposed { path },
        false => StoreError::FileExposed { path },
    })
}

/// Checks that a folder belongs to the user as whom this program runs.
///
/// # Errors
/// [`StoreError::FolderOfAnother`] if it does not.
pub fn check_owner(path: &Path) -> Result<(), StoreError> {
    let owner = fs::metadata(path).map_err(at(path))?.uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(StoreError::FolderOfAnother {
            path: path.to_owned(),
            owner,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::chown;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        let own = tempfile::tempdir().unwrap();
        check_owner(own.path()).unwrap();
        // Root owns every folder that it has not given away, and nobody else owns the root folder.
        let mut other = Path::new("/");
        if rustix::process::geteuid().is_root() {
            other = own.path();
            chown(other, Some(65_534), None).unwrap();
        }
        let refused = check_owner(other).unwrap_err().to_string();
        assert!(refused.contains("runuser"), "{refused}");
    }

    #[test]
    fn what_others_may_write_or_read_in_a_folder_of_keys_is_refused_with_its_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for folder in ["log", "keys", "seals"] {
            fs::create_dir(root.join(folder)).unwrap();
            set_mode(&root.join(folder), 0o755);
        }
        for (file, mode) in [
            ("party.json", 0o644),
            ("ledger.db", 0o600),
            ("keys/admin.key", 0o600),
            ("keys/officer.next.key", 0o400),
            ("seals/a", 0o600),
        ] {
            fs::write(root.join(file), "").unwrap();
            set_mode(&root.join(file), mode);
        }
        std::os::unix::fs::symlink(root.join("nothing"), root.join("clips")).unwrap();
        fs::write(root.join("notes.txt"), "").unwrap();
        set_mode(&root.join("notes.txt"), 0o666);
        check_home(root).unwrap();
        let refused = |file: &str, mode: u32, remedy: &str| {
            let path = root.join(file);
            let before = fs::metadata(&path).unwrap().permissions();
            set_mode(&path, mode);
            let error = check_home(root).unwrap_err().to_string();
            let remedy = format!("`chmod {remedy} {}`", path.display());
            assert!(error.contains(&remedy), "{error}");
            fs::set_permissions(&path, before).unwrap();
            check_home(root).unwrap();
        };
        for file in ["party.json", "ledger.db", "log", "keys"] {
            refused(file, 0o720, "go-w");
            refused(file, 0o702, "go-w");
        }
        for secret in ["keys/admin.key", "keys/officer.next.key", "seals/a"] {
            for mode in [0o640, 0o604, 0o620, 0o602] {
                refused(secret, mode, "600");
            }
        }
        set_mode(root, 0o777);
        let error = check_home(root).unwrap_err();
        assert!(matches!(error, StoreError::FolderExposed { .. }), "{error}");
        set_mode(root, 0o700);
        if rustix::process::geteuid().is_root() {
            chown(root.join("party.json"), Some(65_534), None).unwrap();
            let error = check_home(root).unwrap_err().to_string();
            assert!(error.contains("party.json"), "{error}");
        }
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, file) = (folder.path().join("pipe"), folder.path().join("file"));
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        fs::write(&file, "text").unwrap();
        set_mode(&file, 0o644);
        for other in [pipe.as_path(), folder.path()] {
            let error = read_text(other).unwrap_err();
            assert!(matches!(error, StoreError::NotRegular { .. }), "{error}");
            assert!(check_kind(other).is_err());
        }
        assert_eq!(read_text(&file).unwrap(), "text");
        check_kind(&file).unwrap();
        check_kind(&folder.path().join("nothing")).unwrap();
        set_mode(&file, 0o664);
        let error = read_text(&file).unwrap_err();
        assert!(matches!(error, StoreError::FileExposed { .. }), "{error}");
    }
}
