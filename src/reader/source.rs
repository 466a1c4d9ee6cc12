//! Where a log is read from: a folder, or an address.
//!
//! What is read is what somebody chose to show: nothing here is believed, and no file is read that is
//! larger than it can be.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::PathBuf;

use crate::client::base::{self, BaseUrl};
use crate::client::file::{self, Fetched, Form};
use crate::client::is_away;
use crate::client::patience::patiently;
use crate::tlog::hash::Hash;
use crate::tlog::prove::HashTiles;
use crate::tlog::tile::{self, EntryTile, Tile};

/// The largest checkpoint that is read, in bytes.
const MAX_CHECKPOINT: u64 = 1 << 20;
/// The largest bundle: 256 entries of 65,535 bytes, with their lengths.
const MAX_BUNDLE: u64 = 256 * (2 + 65_535);
/// The largest hash tile: 256 hashes.
const MAX_TILE: u64 = 256 * 32;
/// Bytes of a hash.
const HASH_SIZE: usize = 32;

/// A file of the log could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("{place} cannot be read: {why}")]
    Unreadable { place: String, why: String },
    /// Something else came in its place, which says nothing of the file.
    #[error("{place} was not given: {why}")]
    NotGiven { place: String, why: String },
    #[error("{0} is missing")]
    Missing(String),
    #[error("no log is at {place}: {hint}")]
    NoLog { place: String, hint: String },
    #[error("{0} is not of the form that such a file has")]
    Malformed(String),
}

/// The files of a log, by their paths below its prefix.
pub trait LogSource: Sync {
    /// A file's bytes; `None` if it is not there.
    ///
    /// # Errors
    /// [`SourceError::Unreadable`] or [`SourceError::NotGiven`], or [`SourceError::Malformed`] if it is larger than it
    /// can be.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError>;

    /// The note of the latest checkpoint.
    ///
    /// # Errors
    /// [`SourceError`]; [`SourceError::Missing`] or [`SourceError::NoLog`] if there is none.
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.read("checkpoint")?.ok_or_else(|| self.no_log())
    }

    /// Why there is no checkpoint, and where one may be.
    fn no_log(&self) -> SourceError {
        SourceError::Missing("checkpoint".to_owned())
    }

    /// The entries of a bundle; from the full one, if the partial one is gone.
    ///
    /// # Errors
    /// [`SourceError`].
    fn entries(&self, bundle: EntryTile) -> Result<Vec<Vec<u8>>, SourceError> {
        let full = EntryTile {
            width: tile::FULL,
            ..bundle
        };
        let (path, bytes) = read_either(self, bundle.path(), full.path())?;
        let width = if path == bundle.path() {
            bundle.width
        } else {
            tile::FULL
        };
        let entries = tile::decode_entries(&bytes, width);
        let mut entries = entries.map_err(|_| SourceError::Malformed(path))?;
        entries.truncate(bundle.width.into());
        Ok(entries)
    }
}

/// The hash tiles of a source; a partial one from the full one, if it is gone.
pub struct Tiles<'a>(pub &'a dyn LogSource);

impl HashTiles for Tiles<'_> {
    type Error = SourceError;

    fn tile(&self, tile: Tile) -> Result<Vec<Hash>, SourceError> {
        let full = Tile {
            width: tile::FULL,
            ..tile
        };
        let (path, bytes) = read_either(self.0, tile.path(), full.path())?;
        let width = if path == tile.path() {
            tile.width
        } else {
            tile::FULL
        };
        let hashes = tile::decode_hashes(&bytes, width);
        let mut hashes = hashes.map_err(|_| SourceError::Malformed(path))?;
        hashes.truncate(tile.width.into());
        Ok(hashes)
    }
}

/// The file at `path`, or else the one at `full`: a log that grows drops partial files, and mirrors say in many ways that
/// one is not there.
///
/// # Errors
/// As [`LogSource::read`] of the file at `path`; [`SourceError::Missing`] if neither is there.
pub fn read_either<S: LogSource + ?Sized>(
    source: &S,
    path: String,
    full: String,
) -> Result<(String, Vec<u8>), SourceError> {
    let fault = match source.read(&path) {
        Ok(Some(bytes)) => return Ok((path, bytes)),
        Ok(None) => SourceError::Missing(path.clone()),
        Err(fault @ SourceError::NotGiven { .. }) => fault,
        Err(fault) => return Err(fault),
    };
    if full == path {
        return Err(fault);
    }
    match source.read(&full)? {
        Some(bytes) => Ok((full, bytes)),
        None => Err(fault),
    }
}

/// What belongs to the partial file at `path` of the bytes of a full one, which a mirror may give in its place.
fn of_partial(path: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    let whole = usize::from(tile::FULL).saturating_mul(HASH_SIZE);
    let length = match (Tile::parse(path), EntryTile::parse(path)) {
        (Ok(tile), _) if tile.width < tile::FULL && bytes.len() == whole => {
            usize::from(tile.width).saturating_mul(HASH_SIZE)
        }
        (_, Ok(bundle)) if bundle.width < tile::FULL => {
            let Ok(mut entries) = tile::decode_entries(&bytes, tile::FULL) else {
                return bytes;
            };
            entries.truncate(bundle.width.into());
            tile::encode_entries(&entries).len()
        }
        _ => return bytes,
    };
    bytes.truncate(length);
    bytes
}

/// The largest file that may be at `path`, in bytes.
fn limit(path: &str) -> u64 {
    match path {
        "checkpoint" => MAX_CHECKPOINT,
        _ if path.starts_with("tile/entries/") => MAX_BUNDLE,
        _ => MAX_TILE,
    }
}

fn unreadable(place: impl ToString, why: impl ToString) -> SourceError {
    SourceError::Unreadable {
        place: place.to_string(),
        why: why.to_string(),
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
}

impl LogSource for FolderSource {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let place = self.0.join(path);
        let read = || {
            // A pipe in place of a file would keep its reader waiting for ever.
            if !fs::metadata(&place)?.is_file() {
                return Err(io::Error::other("not a file"));
            }
            // One byte too many is enough for its form to be wrong.
            let mut bytes = Vec::new();
            let file = File::open(&place)?;
            file.take(limit(path).saturating_add(1))
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(e) => Err(unreadable(place.display(), e)),
        }
    }

    fn no_log(&self) -> SourceError {
        let place = self.0.display().to_string();
        let below = self.0.join("log");
        let hint = if below.join("checkpoint").is_file() {
            format!("did you mean {}?", below.display())
        } else if !self.0.exists() && place.contains(':') {
            "begin an address with https://, or with http:// on this machine".to_owned()
        } else if !self.0.exists() {
            "there is no such folder".to_owned()
        } else {
            "the folder has no checkpoint".to_owned()
        };
        SourceError::NoLog { place, hint }
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

    /// The file at `url`; `None` if it is not there.
    fn fetch(&self, url: &str, limit: u64) -> Result<Option<Fetched>, ureq::Error> {
        let (name, value) = file::AS_IT_IS;
        let mut response = patiently(|| self.agent.get(url).header(name, value).call())?;
        match response.status().as_u16() {
            200 => file::read(&mut response, Form::OfLog, limit).map(Some),
            404 | 410 => Ok(None),
            status if is_away(status) || status >= 500 => Err(ureq::Error::StatusCode(status)),
            // A store that does not list its objects answers 403 for one that is missing, a portal leads elsewhere.
            status => Ok(Some(Fetched::Replaced(format!("status {status}")))),
        }
    }
}

impl LogSource for UrlSource {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let url = self.base.join(&format!("/{path}"));
        let most = limit(path);
        // One retry: connections that idled too long are closed by the other side.
        let again = |error| match error {
            ureq::Error::Io(_) | ureq::Error::ConnectionFailed => self.fetch(&url, most),
            error => Err(error),
        };
        let read = self.fetch(&url, most).or_else(again);
        match read.map_err(|e| unreadable(&url, e))? {
            None => Ok(None),
            Some(Fetched::File(bytes)) => Ok(Some(of_partial(path, bytes))),
            Some(Fetched::TooLarge) => Err(SourceError::Malformed(path.to_owned())),
            Some(Fetched::Replaced(why)) => Err(SourceError::NotGiven { place: url, why }),
        }
    }

    fn no_log(&self) -> SourceError {
        let place = self.base.as_str().to_owned();
        let hint = match place.ends_with("/log") {
            true => "the server has no checkpoint there".to_owned(),
            false => format!("a ledger's log is at {place}/log"),
        };
        SourceError::NoLog { place, hint }
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn where_no_log_is_is_said_where_one_may_be() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("log")).unwrap();
        std::fs::write(folder.path().join("log/checkpoint"), "x").unwrap();
        let said = |log: &str| open(log).unwrap().checkpoint().unwrap_err().to_string();
        let operator = folder.path().to_str().unwrap();
        assert!(said(operator).contains(&format!("did you mean {operator}/log?")));
        assert!(said("localhost:8080/log").contains("begin an address with https://"));
        assert!(said("/nowhere/log").contains("no such folder"));
        let missing = || vec![answer("404 Not Found", b"")];
        let at = server(missing());
        let host = at.as_str().trim_end_matches("/log").to_owned();
        assert!(said(&host).ends_with(&format!("a ledger's log is at {host}/log")));
        assert!(said(server(missing()).as_str()).contains("no checkpoint there"));
    }

    /// A server that gives these answers, one a connection, and hangs up; its address.
    fn server(answers: Vec<Vec<u8>>) -> BaseUrl {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/log", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                if !answer.is_empty() && stream.read(&mut request).unwrap() > 0 {
                    // A client that has read enough hangs up first.
                    let _ = stream.write_all(&answer);
                }
            }
        });
        BaseUrl::parse(&address).unwrap()
    }

    fn answer(status: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn a_server_is_asked_again_once_and_never_believed_beyond_a_files_size() {
        let hung_up = Vec::new();
        let source = UrlSource::new(server(vec![
            hung_up.clone(),
            answer("200 OK", &[7; 8192]),
            answer("200 OK", &[7; 8193]),
            answer("404 Not Found", b"nothing here"),
            answer("302 Found", b""),
            answer("500 Internal Server Error", b""),
            hung_up.clone(),
            hung_up,
        ]));
        let read = || source.read("tile/0/000");
        assert_eq!(read(), Ok(Some(vec![7; 8192])));
        assert_eq!(read(), Err(SourceError::Malformed("tile/0/000".to_owned())));
        assert_eq!(read(), Ok(None));
        for fault in ["302", "500", ""] {
            let (Err(SourceError::Unreadable { place, why })
            | Err(SourceError::NotGiven { place, why })) = read()
            else {
                panic!("unreadable");
            };
            assert!(
                place.ends_with("/log/tile/0/000") && why.contains(fault),
                "{place}: {why}"
            );
        }
    }

    /// Whatever a mirror answers for a partial file that it has dropped, the full one is read; where that is not
    /// given either, it could not be looked.
    #[test]
    fn a_partial_file_that_is_gone_is_read_from_the_full_one() {
        let entries: Vec<Vec<u8>> = (0..=255).map(|n| vec![n; 3]).collect();
        let full = || tile::encode_entries(&entries);
        let bundle = EntryTile { index: 0, width: 5 };
        let page = b"<!DOCTYPE html><title>Log in</title>";
        for gone in [
            answer("404 Not Found", b"nothing here"),
            answer("403 Forbidden", b"<Error>AccessDenied</Error>"),
            answer("302 Found", b""),
            answer("200 OK", page),
            answer("200 OK", b""),
        ] {
            let mirror = UrlSource::new(server(vec![gone, answer("200 OK", &full())]));
            assert_eq!(mirror.entries(bundle).unwrap(), entries[..5]);
        }
        // One that gives the full file under the partial one's name.
        let mirror = UrlSource::new(server(vec![answer("200 OK", &full())]));
        assert_eq!(mirror.entries(bundle).unwrap(), entries[..5]);
        let hashes = [7; 8192];
        let mirror = UrlSource::new(server(vec![answer("200 OK", &hashes)]));
        assert_eq!(mirror.read("tile/0/000.p/5"), Ok(Some(vec![7; 5 * 32])));

        let refused = || answer("403 Forbidden", b"");
        let mirror = UrlSource::new(server(vec![refused(), refused()]));
        let fault = mirror.entries(bundle).unwrap_err();
        assert!(matches!(fault, SourceError::NotGiven { .. }), "{fault}");
        // The full one is not asked for twice.
        let full = EntryTile {
            width: tile::FULL,
            ..bundle
        };
        let mirror = UrlSource::new(server(vec![answer("404 Not Found", b"")]));
        let fault = mirror.entries(full).unwrap_err();
        assert!(matches!(fault, SourceError::Missing(_)), "{fault}");
    }

    #[test]
    fn a_log_is_an_acceptable_address_or_a_folder() {
        assert!(open("http://ledger.example/log").is_err());
        assert!(open("ftp://ledger.example").is_err());
        let folder = tempfile::tempdir().unwrap();
        let source = open(folder.path().to_str().unwrap()).unwrap();
        assert_eq!(source.read("checkpoint"), Ok(None));
        fs::write(folder.path().join("tile"), "in the way").unwrap();
        assert_eq!(source.read("tile/0/000"), Ok(None));
        let enough = vec![0; MAX_CHECKPOINT as usize + 5];
        fs::write(folder.path().join("checkpoint"), enough).unwrap();
        let read = source.read("checkpoint").unwrap().unwrap();
        assert_eq!(read.len() as u64, MAX_CHECKPOINT + 1);
        fs::remove_file(folder.path().join("checkpoint")).unwrap();
        fs::create_dir(folder.path().join("checkpoint")).unwrap();
        assert!(matches!(
            source.read("checkpoint"),
            Err(SourceError::Unreadable { .. })
        ));
    }
}
