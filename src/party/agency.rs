//! An agency's program: asks, sees who consented, collects, and checks what it was given.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::official::{Official, OfficialError};
use crate::digest::{Digest, StatementId};
use crate::random;
use crate::reader::follower::Follower;
use crate::seal::commitment::verify_clip;
use crate::seal::recipient::Recipient;
use crate::seal::{Identity, clip, rewrap};
use crate::statement::Statement;
use crate::statement::facts::{DisclosureFact, FactsExt as _};
use crate::statement::kinds::access_request::AccessRequest;
use crate::statement::kinds::disclosure::{DisclosedClip, Disclosure};
use crate::statement::sealed::Opening;
use crate::statement::words::{PartyId, Role};
use crate::store::secrets::SecretFile;
use crate::store::sqlite::SqliteJournal;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// What an agency keeps of a request, beside what the log has of it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestSecrets {
    /// The age identity, `AGE-SECRET-KEY-1…`, that opens what residents give.
    identity: String,
    /// The opening of the sealed case number.
    case_number: String,
}

/// Secrets are not shown.
impl std::fmt::Debug for RequestSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestSecrets")
    }
}

impl Drop for RequestSecrets {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.identity.zeroize();
        self.case_number.zeroize();
    }
}

/// A fresh identity and sealed case number for one request.
pub struct NewRequest {
    pub recipient: Recipient,
    pub case_number: Opening,
    secrets: RequestSecrets,
}

impl NewRequest {
    /// Draws an identity and a salt.
    ///
    /// # Errors
    /// If the case number is too long to seal.
    pub fn draw(case_number: &str) -> Result<Self, OfficialError> {
        use age::secrecy::ExposeSecret as _;
        let identity = Identity::generate();
        let sealed = Opening::new(&random::bytes::<32>(), "case_number", &case_number.into());
        let sealed = sealed.map_err(|e| OfficialError::Attachment(e.to_string()))?;
        Ok(Self {
            recipient: Recipient::of(&identity),
            secrets: RequestSecrets {
                identity: identity.to_string().expose_secret().to_owned(),
                case_number: sealed.encode().to_owned(),
            },
            case_number: sealed,
        })
    }

    /// Keeps the secrets before the request is sent: what residents give could not be opened else.
    ///
    /// # Errors
    /// If the file cannot be written durably.
    pub fn keep(&self, agency: &Official, id: &StatementId) -> Result<(), OfficialError> {
        let path = secrets_path(agency, id);
        let folder = path.parent().expect("a file in a folder");
        std::fs::create_dir_all(folder).map_err(|e| local(folder, e))?;
        let json = zeroize::Zeroizing::new(serde_json::to_vec(&self.secrets).expect("strings"));
        Ok(SecretFile::at(path).write_new(&json)?)
    }
}

fn secrets_path(agency: &Official, id: &StatementId) -> PathBuf {
    let name = format!("{id}.json");
    agency.home().root().join("requests").join(name)
}

fn local(path: &Path, error: impl std::fmt::Display) -> OfficialError {
    OfficialError::Attachment(format!("{}: {error}", path.display()))
}

/// The identity that opens what was given for a request, as the text of an age identity file.
///
/// # Errors
/// If this folder did not make the request.
pub fn identity_text(
    agency: &Official,
    request: &StatementId,
) -> Result<zeroize::Zeroizing<String>, OfficialError> {
    let path = secrets_path(agency, request);
    let bytes = SecretFile::at(&path).read()?;
    let secrets: RequestSecrets = serde_json::from_slice(&bytes).map_err(|e| local(&path, e))?;
    Ok(zeroize::Zeroizing::new(secrets.identity.clone()))
}

fn identity(agency: &Official, request: &StatementId) -> Result<Identity, OfficialError> {
    identity_text(agency, request)?
        .parse()
        .map_err(|e| local(&secrets_path(agency, request), e))
}

/// A disclosure for a request of this agency.
pub struct Received {
    pub id: StatementId,
    pub index: LeafIndex,
    pub logged_at: Time,
    pub request: StatementId,
    pub statement: Disclosure,
    pub fact: DisclosureFact,
}

impl Received {
    /// What can be done with it, in a word.
    pub fn state(&self, now: Time) -> &'static str {
        match (&self.fact.withdrawn, &self.fact.collected) {
            (Some(_), _) => "withdrawn",
            (_, Some(_)) => "collected",
            _ if now >= self.fact.expires => "expired",
            _ => "open",
        }
    }
}

/// An own request and the disclosures for it.
pub struct Asked {
    pub id: StatementId,
    pub statement: AccessRequest,
    pub received: Vec<Received>,
}

/// This agency's requests and what was disclosed, out of a verified copy of the log.
///
/// # Errors
/// The copy's.
pub fn inbox(
    follower: &Follower<SqliteJournal>,
    agency: &PartyId,
) -> Result<Vec<Asked>, OfficialError> {
    let mut asked: Vec<Asked> = Vec::new();
    for entry in follower.entries(LeafIndex::new(0))? {
        match entry.signed.statement {
            Statement::AccessRequest(statement)
                if entry.signed.head.author.to_string() == agency.as_str() =>
            {
                asked.push(Asked {
                    id: entry.signed.id,
                    statement,
                    received: Vec::new(),
                });
            }
            Statement::Disclosure(statement) => {
                let Some(own) = asked.iter_mut().find(|a| a.id == statement.request) else {
                    continue;
                };
                let fact = follower.facts().disclosure(&entry.index)?;
                own.received.push(Received {
                    id: entry.signed.id,
                    index: entry.index,
                    logged_at: entry.logged_at,
                    request: statement.request,
                    statement,
                    fact: fact.expect("an admitted disclosure has its fact"),
                });
            }
            _ => {}
        }
    }
    Ok(asked)
}

/// What came of fetching a clip.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The age file, and the clip it holds.
    Clip { sealed: PathBuf, plain: PathBuf },
    /// The resident's device has not handed it over yet.
    NotYet,
    /// It is not what was disclosed; the file is kept as evidence.
    Unreadable { sealed: PathBuf, why: String },
}

/// Fetches clip `n` of a collected disclosure into `folder`, checks and opens it.
///
/// # Errors
/// If the server or the folder does not do as told.
pub fn fetch(
    agency: &Official,
    received: &Received,
    n: usize,
    folder: &Path,
) -> Result<Fetched, OfficialError> {
    let name = format!("{}-{n}", &received.id.to_string()[..12]);
    let sealed = folder.join(format!("{name}.age"));
    let path = format!("/vault/v1/disclosures/{}/clips/{n}", received.id);
    let mut staged = tempfile::NamedTempFile::new_in(folder).map_err(|e| local(folder, e))?;
    let key = agency.home().key(Role::Service)?;
    let opening = match agency.client().download(&path, &key, staged.as_file_mut()) {
        Ok(opening) => opening,
        Err(error) if error.status() == Some(404) => return Ok(Fetched::NotYet),
        Err(error) => return Err(error.into()),
    };
    staged.as_file().sync_all().map_err(|e| local(folder, e))?;
    let identity = identity(agency, &received.request)?;
    let clip = &received.statement.clips[n];
    let checked = check(staged.path(), opening.as_deref(), clip, &identity);
    let keep = |staged: tempfile::NamedTempFile, path: &Path| {
        staged
            .persist(path)
            .map_err(|e| local(path, e.error))
            .map(drop)
    };
    match checked {
        Ok(()) => {}
        Err(why) => {
            let sealed = folder.join(format!("{name}.unreadable"));
            keep(staged, &sealed)?;
            return Ok(Fetched::Unreadable { sealed, why });
        }
    }
    let plain = open(staged.path(), &identity, folder, &name)?;
    keep(staged, &sealed)?;
    Ok(Fetched::Clip { sealed, plain })
}

/// Whether the file is the clip that was disclosed: header, opening, body and file key.
fn check(
    file: &Path,
    opening: Option<&str>,
    clip: &DisclosedClip,
    identity: &Identity,
) -> Result<(), String> {
    let fault = |e: &dyn std::fmt::Display| e.to_string();
    let opening = opening.ok_or("it came without its opening")?;
    let opening = Opening::parse(opening).map_err(|e| fault(&e))?;
    let mut file = BufReader::new(File::open(file).map_err(|e| fault(&e))?);
    let header = clip::read_header(&mut file).map_err(|e| fault(&e))?;
    if Digest::of(&header) != clip.header {
        return Err("its header is not the one that the disclosure names".to_owned());
    }
    let file_key = rewrap::file_key(&header, identity).map_err(|e| fault(&e))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(|e| fault(&e))? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    let body = Digest::from_bytes(hasher.finalize().into());
    verify_clip(&clip.commitment, &opening, &body, &file_key).map_err(|e| fault(&e))
}

/// Decrypts the file beside it; `.mp4` if it looks like one.
fn open(
    file: &Path,
    identity: &Identity,
    folder: &Path,
    name: &str,
) -> Result<PathBuf, OfficialError> {
    let fault = |e: &dyn std::fmt::Display| local(folder, e);
    let mut sealed = BufReader::new(File::open(file).map_err(|e| fault(&e))?);
    let header = clip::read_header(&mut sealed).map_err(|e| fault(&e))?;
    let mut opened = clip::open(&header, sealed, identity).map_err(|e| fault(&e))?;
    let mut staged = tempfile::NamedTempFile::new_in(folder).map_err(|e| fault(&e))?;
    std::io::copy(&mut opened, staged.as_file_mut()).map_err(|e| fault(&e))?;
    let plain = staged.as_file_mut();
    plain
        .flush()
        .and_then(|()| plain.sync_all())
        .map_err(|e| fault(&e))?;
    plain.seek(SeekFrom::Start(0)).map_err(|e| fault(&e))?;
    let mut magic = [0; 12];
    let looks_like_mp4 = plain.read_exact(&mut magic).is_ok() && &magic[4..8] == b"ftyp";
    let ending = if looks_like_mp4 { "mp4" } else { "clip" };
    let path = folder.join(format!("{name}.{ending}"));
    staged.persist(&path).map_err(|e| fault(&e.error))?;
    Ok(path)
}
