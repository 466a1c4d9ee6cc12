//! The files in a folder, as they lie there: nothing is followed, nothing is left out.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// One byte more than the largest file of a log, a bundle: what is longer is wrong anyway.
const MOST: u64 = 256 * (2 + 65_535) + 1;

/// Something in a folder that is no folder.
pub struct FoundFile {
    /// From the folder, parted by `/`; not UTF-8 where a replacement character stands.
    pub path: String,
    /// False for links, pipes and the like.
    pub regular: bool,
}

/// Every file below `folder`, sorted by path.
///
/// # Errors
/// The folder that cannot be listed.
pub fn files(folder: &Path) -> Result<Vec<FoundFile>, (PathBuf, io::Error)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        let fault = |source| (at.clone(), source);
        let entries = match fs::read_dir(&at) {
            // A server at work in there removes what it needs no more.
            Err(error) if error.kind() == io::ErrorKind::NotFound && at != folder => continue,
            entries => entries.map_err(fault)?,
        };
        for entry in entries {
            let entry = entry.map_err(fault)?;
            let kind = entry.file_type().map_err(fault)?;
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            let below = path.strip_prefix(folder).expect("found below it");
            let names = below.iter().map(|name| name.to_string_lossy());
            found.push(FoundFile {
                path: names.collect::<Vec<_>>().join("/"),
                regular: kind.is_file(),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The bytes of a file, as far as they can matter.
///
/// # Errors
/// The file that cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, (PathBuf, io::Error)> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    read.map_err(|source| (path.to_owned(), source))?;
    Ok(bytes)
}
