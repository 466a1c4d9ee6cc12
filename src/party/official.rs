//! What vendors, agencies and the operator have in common: they speak under their own name.
//!
//! Statements are built here, signed with the keys of the party's folder, and believed to be logged
//! only when a proof says so under the party's own trust file.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::answered;
use super::home::{Home, HomeError, Profile};
use crate::client::base::{BaseUrl, BaseUrlError};
use crate::client::{Client, ClientError};
use crate::digest::{Digest, StatementId};
use crate::random;
use crate::reader::follower::{FollowError, Follower, Update};
use crate::reader::source::UrlSource;
use crate::statement::envelope::Envelope;
use crate::statement::leaf::Leaf;
use crate::statement::sealed::{AttachmentValue, Opening, OpeningError};
use crate::statement::words::{PartyId, Role};
use crate::statement::{Author, Head, Statement, sign};
use crate::store::StoreError;
use crate::store::sqlite::SqliteJournal;
use crate::time::Clock;
use crate::tlog::policy::Policy;
use crate::tlog::proof::{TlogProof, TlogProofError};
use crate::wire::statements::Logged;

/// Why a party's program did not do as told.
#[derive(Debug, thiserror::Error)]
pub enum OfficialError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Address(#[from] BaseUrlError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("this folder names no server: give one with --server")]
    NoServer,
    #[error("the trust file names {0} logs, where one is expected")]
    Logs(usize),
    #[error("the server's proof does not hold, so this is not believed to be logged: {0}")]
    Proof(#[from] TlogProofError),
    #[error("the server's proof is of another statement, so this is not believed to be logged")]
    OtherStatement,
    #[error("{0}")]
    Attachment(String),
    #[error("it cannot be sealed: {0}")]
    Seal(OpeningError),
    #[error("the scope: {0}")]
    Scope(String),
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
}

impl OfficialError {
    /// That a file of the party cannot be used.
    pub(super) fn file(path: &Path, why: impl ToString) -> Self {
        Self::File {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }
}

/// A party with its keys and its trust file, and without network: it writes statements and signs them.
pub struct Signatory {
    home: Home,
    policy: Policy,
    clock: Clock,
}

impl Signatory {
    /// The party that lives in `root`.
    ///
    /// # Errors
    /// If the folder or the trust file is not acceptable.
    pub fn open(root: &Path, clock: Clock) -> Result<Self, OfficialError> {
        let home = Home::open(root)?;
        let policy = home.policy()?;
        match policy.origins().len() {
            1 => {}
            n => return Err(OfficialError::Logs(n)),
        }
        Ok(Self {
            home,
            policy,
            clock,
        })
    }

    /// The party's folder.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Who the party is.
    pub fn profile(&self) -> &Profile {
        self.home.profile()
    }

    /// The log and its witnesses.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The common members of a statement issued now.
    pub fn head(&self, author: Author) -> Head {
        head(&self.policy, &self.clock, author)
    }

    /// The common members of a statement by this party alone.
    pub fn own_head(&self) -> Head {
        self.head(Author::Issuer(self.profile().party.clone()))
    }

    /// The common members of a statement by this party and another.
    pub fn joint_head(&self, other: &PartyId) -> Head {
        let mut parties = vec![self.profile().party.clone(), other.clone()];
        parties.sort();
        self.head(Author::Parties(parties))
    }

    /// A statement of this party alone, signed by its key of a role.
    ///
    /// # Errors
    /// If the key cannot be read.
    pub fn sign_own(&self, statement: &Statement, role: Role) -> Result<Envelope, HomeError> {
        Ok(sign(&self.own_head(), statement, &[&self.home.key(role)?]))
    }
}

/// A signatory with a server to talk to.
pub struct Official {
    signatory: Signatory,
    client: Client,
}

impl Deref for Official {
    type Target = Signatory;

    fn deref(&self) -> &Signatory {
        &self.signatory
    }
}

impl Official {
    /// The party that lives in `root`, at its own server or the one given.
    ///
    /// # Errors
    /// If the folder, the trust file or the address is not acceptable.
    pub fn open(root: &Path, server: Option<&str>, clock: Clock) -> Result<Self, OfficialError> {
        let signatory = Signatory::open(root, clock.clone())?;
        let server = server.or(signatory.profile().server.as_deref());
        let base = BaseUrl::parse(server.ok_or(OfficialError::NoServer)?)?;
        Ok(Self {
            client: Client::new(base, clock),
            signatory,
        })
    }

    /// The server.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A verified copy of the log, brought up to date.
    ///
    /// # Errors
    /// [`FollowError`]: each way in which a log deceives.
    pub fn follow(
        &self,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Follower<SqliteJournal>, Update), OfficialError> {
        let journal = SqliteJournal::open(&self.home.root().join("follower.db"))?;
        let follower = Follower::open(journal, self.policy.clone())?;
        let mut follower = follower.keeping_marks(self.home.root())?;
        let source = UrlSource::of_server(self.client.base().as_str())?;
        let update = follower.update(&source, self.clock.now(), progress);
        let update = update.map_err(|error| error.keep_evidence(self.home.root()))?;
        Ok((follower, update))
    }

    /// Uploads an attachment; its opening, by whose digest a statement names it.
    ///
    /// # Errors
    /// If its media type cannot be told, or the server refuses it.
    pub fn attach(&self, bytes: &[u8], media_type: &str) -> Result<Opening, OfficialError> {
        let media_type = media_type
            .parse()
            .map_err(|_| OfficialError::Attachment(format!("{media_type} is no media type")))?;
        let value = AttachmentValue {
            sha256: Digest::of(bytes),
            size: bytes.len() as u64,
            media_type,
        };
        let opening = Opening::attachment(&random::bytes::<16>(), &value)
            .map_err(|e| OfficialError::Attachment(e.to_string()))?;
        let key = self.home.key(Role::Service)?;
        self.client.put_attachment(&opening, bytes, &key)?;
        Ok(opening)
    }

    /// Submits a statement, and verifies the proof that it was logged.
    ///
    /// # Errors
    /// The server's refusal, or a proof that does not hold.
    pub fn submit(&self, envelope: &Envelope) -> Result<Logged, OfficialError> {
        submit(&self.client, &self.policy, envelope)
    }
}

/// The common members of a statement for the log of `policy`, issued now.
pub fn head(policy: &Policy, clock: &Clock, author: Author) -> Head {
    Head {
        log: policy.logs()[0].key.name.to_string(),
        issued_at: clock.now().cut_to_minute(),
        author,
    }
}

/// Submits a statement, and verifies the proof that it was logged under `policy`.
///
/// # Errors
/// The server's refusal, or a proof that does not hold.
pub fn submit(
    client: &Client,
    policy: &Policy,
    envelope: &Envelope,
) -> Result<Logged, OfficialError> {
    let logged = client.submit(envelope)?;
    check_logged(&logged, policy, envelope)?;
    Ok(logged)
}

/// Whether an answer proves that this very statement stands in the log of `policy`.
///
/// # Errors
/// [`OfficialError::Proof`] or [`OfficialError::OtherStatement`]; none while there is no proof yet.
pub fn check_logged(
    logged: &Logged,
    policy: &Policy,
    envelope: &Envelope,
) -> Result<(), OfficialError> {
    if logged.id != StatementId::of_payload(&envelope.payload) {
        return Err(OfficialError::OtherStatement);
    }
    let Some(proof) = &logged.proof else {
        answered::note(logged.id, Some(logged.index), false);
        return Ok(());
    };
    let proof = TlogProof::parse(proof.as_bytes())?;
    let leaf = proof.extra.clone().ok_or(OfficialError::OtherStatement)?;
    let witnessed = proof.verify(&leaf, policy, None, None)?;
    let parsed = Leaf::parse(&leaf).map_err(|_| OfficialError::OtherStatement)?;
    let counts = witnessed.check_counts_for(parsed.logged_at);
    counts.map_err(TlogProofError::from)?;
    let same = parsed.envelope.payload == envelope.payload
        && proof.index == logged.index
        && parsed.logged_at == logged.logged_at;
    if !same {
        return Err(OfficialError::OtherStatement);
    }
    answered::note(logged.id, Some(logged.index), true);
    Ok(())
}

/// The media type of a document by its name's ending.
///
/// # Errors
/// [`OfficialError::Attachment`] for a name that tells nothing.
pub fn media_type(path: &Path) -> Result<&'static str, OfficialError> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    Ok(match ending {
        Some("txt" | "md") => "text/plain",
        Some("pdf") => "application/pdf",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("age") => "application/age",
        Some("geojson") => "application/geo+json",
        _ => {
            let accepted = ".txt, .pdf, .png, .jpg, .geojson or .age";
            let path = path.display();
            return Err(OfficialError::Attachment(format!(
                "{path}: name it {accepted}, so that its media type can be told"
            )));
        }
    })
}

/// What a party needs of a fresh trust file, for people to compare: each key, and of one that is too
/// long to read out its digest.
pub fn fingerprints(policy: &Policy) -> Vec<(String, String)> {
    let logs = policy
        .logs()
        .iter()
        .map(|log| ("log".to_owned(), log.key.fingerprint()));
    let witnesses = policy.witnesses().iter().map(|witness| {
        (
            format!("witness {}", witness.name),
            witness.key.fingerprint(),
        )
    });
    logs.chain(witnesses).collect()
}

/// A logged statement as JSON.
pub fn logged_json(logged: &Logged) -> serde_json::Value {
    json!({
        "id": logged.id,
        "index": logged.index,
        "logged_at": logged.logged_at,
        "published": logged.proof.is_some(),
        "known": logged.known,
    })
}

#[cfg(test)]
mod tests;
