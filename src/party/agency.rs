//! An agency's program: asks, and sees who consented. What it is then given is
//! [`super::collected`]'s matter.

use std::path::PathBuf;

use super::official::{Official, OfficialError};
use crate::digest::StatementId;
use crate::reader::follower::Follower;
use crate::seal::Identity;
use crate::statement::Statement;
use crate::statement::facts::{DisclosureFact, FactsExt as _};
use crate::statement::kinds::access_request::AccessRequest;
use crate::statement::kinds::disclosure::Disclosure;
use crate::statement::scope::Scope;
use crate::statement::words::PartyId;
use crate::store::secrets::{SecretFile, make_folder};
use crate::store::sqlite::SqliteJournal;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// What the public part of a request tells of its scope: no less than devices will find in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measures {
    pub area_m2: u32,
    pub window_minutes: u32,
    pub footage_age_days: u32,
}

impl Measures {
    /// The least that can be told of `scope` in a request issued at `issued_at`.
    ///
    /// # Errors
    /// [`OfficialError::Scope`] if the window has not ended, or a measure is beyond all bounds.
    pub fn of(scope: &Scope, issued_at: Time) -> Result<Self, OfficialError> {
        if scope.until > issued_at {
            return Err(OfficialError::Scope(format!(
                "the window ends at {}, which is still to come: ask for footage that exists",
                scope.until
            )));
        }
        let days = (issued_at.seconds_since(scope.from) as u64).div_ceil(86_400);
        let fit = |what: &str, measure: u64| {
            u32::try_from(measure).map_err(|_| OfficialError::Scope(format!("{what} is too large")))
        };
        Ok(Self {
            area_m2: fit("the area", scope.ring.bounding_area_m2())?,
            window_minutes: fit("the window", scope.window_minutes())?,
            footage_age_days: fit("the age of the footage", days)?,
        })
    }
}

/// Keeps the identity that opens what residents will give, before the request is sent.
///
/// # Errors
/// If the file cannot be written durably.
pub fn keep_identity(
    agency: &Official,
    request: &StatementId,
    identity: &Identity,
) -> Result<(), OfficialError> {
    use age::secrecy::ExposeSecret as _;
    let path = identity_path(agency, request);
    let folder = path.parent().expect("a file in a folder");
    make_folder(folder)?;
    Ok(SecretFile::at(path).write_new(identity.to_string().expose_secret().as_bytes())?)
}

fn identity_path(agency: &Official, id: &StatementId) -> PathBuf {
    let name = format!("{id}.identity");
    agency.home().root().join("requests").join(name)
}

/// Whether this folder made the request, and so can open what is given for it.
pub fn is_own(agency: &Official, request: &StatementId) -> bool {
    identity_path(agency, request).exists()
}

/// The identity that opens what was given for a request, as the text of an age identity file.
///
/// # Errors
/// If this folder did not make the request.
pub fn identity_text(
    agency: &Official,
    request: &StatementId,
) -> Result<zeroize::Zeroizing<String>, OfficialError> {
    let path = identity_path(agency, request);
    let bytes = SecretFile::at(&path).read()?;
    let text = std::str::from_utf8(&bytes).map_err(|e| OfficialError::file(&path, e))?;
    Ok(zeroize::Zeroizing::new(text.to_owned()))
}

pub(super) fn identity(
    agency: &Official,
    request: &StatementId,
) -> Result<Identity, OfficialError> {
    identity_text(agency, request)?
        .parse()
        .map_err(|e| OfficialError::file(&identity_path(agency, request), e))
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
                let Some(request) = statement.request else {
                    continue;
                };
                let Some(own) = asked.iter_mut().find(|a| a.id == request) else {
                    continue;
                };
                let fact = follower.facts().disclosure(&entry.index)?;
                own.received.push(Received {
                    id: entry.signed.id,
                    index: entry.index,
                    logged_at: entry.logged_at,
                    request,
                    statement,
                    fact: fact.expect("an admitted disclosure has its fact"),
                });
            }
            _ => {}
        }
    }
    Ok(asked)
}

#[cfg(test)]
pub(super) mod tests;
