//! Where a log is read from: a folder, or an address.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::client::base::{self, BaseUrl};
use crate::tlog::hash::Hash;
use crate::tlog::prove::HashTiles;
use crate::tlog::tile::{self, EntryTile, Tile};

/// The largest checkpoint that is read, in bytes.
const MAX_CHECKPOINT: u64 = 1 << 20;
/// The largest bundle: 256 entries of 65,535 bytes, with their lengths.
const MAX_BUNDLE: u64 = 256 * (2 + 65_535);
/// The largest hash tile: 256 hashes.
const MAX_TILE: u64 = 256 * 32;

/// A file of the log could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("{place} cannot be read: {why}")]
    Unreadable { place: String, why: String },
    #[error("{0} is missing")]
    Missing(String),
    #[error("{0} is not of the form a tile or bundle has")]
    Malformed(String),
}

/// The files of a log, by their paths below its prefix.
pub trait LogSource: Sync {
    /// A file's bytes; `None` if it is not there.
    ///
    /// # Errors
    /// [`SourceError::Unreadable`].
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError>;

    /// The note of the latest checkpoint.
    ///
    /// # Errors
    /// [`SourceError`]; [`SourceError::Missing`] if there is none.
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.read("checkpoint")?
            .ok_or_else(|| SourceError::Missing("checkpoint".to_owned()))
    }

    /// The entries of a bundle; from the full one, if the partial one is gone.
    ///
    /// # Errors
    /// [`SourceError`].
    fn entries(&self, bundle: EntryTile) -> Result<Vec<Vec<u8>>, SourceError> {
        let path = bundle.path();
        let malformed = || SourceError::Malformed(path.clone());
        if let Some(bytes) = self.read(&path)? {
            return tile::decode_entries(&bytes, bundle.width).map_err(|_| malformed());
        }
        let full = EntryTile {
            width: tile::FULL,
            ..bundle
        };
        let bytes = self
            .read(&full.path())?
            .ok_or(SourceError::Missing(path.clone()))?;
        let mut entries = tile::decode_entries(&bytes, tile::FULL).map_err(|_| malformed())?;
        entries.truncate(bundle.width.into());
        Ok(entries)
    }
}

/// The hash tiles of a source.
pub struct Tiles<'a>(pub &'a dyn LogSource);

impl HashTiles for Tiles<'_> {
    type Error = SourceError;

    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, SourceError> {
        let path = tile.path();
        let malformed = |_| SourceError::Malformed(path.clone());
        if let Some(bytes) = self.0.read(&path)? {
            return tile::decode_hashes(&bytes, tile.width).map_err(malformed);
        }
        let full = Tile {
            width: tile::FULL,
            ..tile
        };
        let bytes = self
            .0
            .read(&full.path())?
            .ok_or(SourceError::Missing(path.clone()))?;
        let mut hashes = tile::decode_hashes(&bytes, tile::FULL).map_err(malformed)?;
        hashes.truncate(tile.width.into());
        Ok(hashes)
    }
}

/// A log in a folder.
#[derive(Debug, Clone)]
pub struct FolderSource(PathBuf);

impl FolderSource {
    /// The log whose `checkpoint` lies in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }
}

impl LogSource for FolderSource {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let place = self.0.join(path);
        match fs::read(&place) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(e) => Err(SourceError::Unreadable {
                place: place.display().to_string(),
                why: e.to_string(),
            }),
        }
    }
}

/// A log at an address.
pub struct UrlSource {
    base: BaseUrl,
    agent: ureq::Agent,
}

impl UrlSource {
    /// The log whose checkpoint is at `<base>/checkpoint`.
    pub fn new(base: BaseUrl) -> Self {
        Self {
            base,
            agent: base::agent(),
        }
    }

    /// The log of the server at `server`: `<server>/log`.
    ///
    /// # Errors
    /// The address's.
    pub fn of_server(server: &str) -> Result<Self, base::BaseUrlError> {
        Ok(Self::new(BaseUrl::parse(&format!(
            "{}/log",
            server.trim_end_matches('/')
        ))?))
    }

    fn fetch(&self, url: &str, limit: u64) -> Result<Option<Vec<u8>>, ureq::Error> {
        let mut response = self.agent.get(url).call()?;
        match response.status().as_u16() {
            200 => {
                let body = response.body_mut().with_config().limit(limit);
                body.read_to_vec().map(Some)
            }
            404 => Ok(None),
            status => Err(ureq::Error::StatusCode(status)),
        }
    }
}

impl LogSource for UrlSource {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let url = self.base.join(&format!("/{path}"));
        let limit = match path {
            "checkpoint" => MAX_CHECKPOINT,
            _ if path.starts_with("tile/entries/") => MAX_BUNDLE,
            _ => MAX_TILE,
        };
        // One retry: connections that idled too long are closed by the other side.
        self.fetch(&url, limit)
            .or_else(|_| self.fetch(&url, limit))
            .map_err(|e| SourceError::Unreadable {
                place: url,
                why: e.to_string(),
            })
    }
}

/// A log by its address or its folder.
///
/// # Errors
/// An address that is not acceptable.
pub fn open(log: &str) -> Result<Box<dyn LogSource>, base::BaseUrlError> {
    if log.contains("://") {
        Ok(Box::new(UrlSource::new(BaseUrl::parse(log)?)))
    } else {
        Ok(Box::new(FolderSource::new(log)))
    }
}
