//! A party's keys over time: one takes the place of another, one is added for somebody else, one ends.
//!
//! A new key is durable before the log is asked to add it, and the one that it replaces is kept, so
//! that a stop in between loses nothing: done again, it goes on where it was. What a key may sign, and
//! from when, is the rules' matter ([`crate::statement::kinds::key_change`]).

use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;

use super::home::{Home, key_path, new_key, read_key, write_key};
use super::official::{Official, OfficialError, Signatory};
use crate::reader::follower::Follower;
use crate::statement::envelope::Envelope;
use crate::statement::facts::{FactsExt as _, KeyFact};
use crate::statement::key::PublicKey;
use crate::statement::kinds::key_change::{KeyChange, RevocationReason, RevokedKey};
use crate::statement::kinds::party::NewKey;
use crate::statement::words::{Label, Role};
use crate::statement::{Statement, sign};
use crate::store::sqlite::SqliteJournal;
use crate::time::Time;
use crate::tlog::tree::LeafIndex;

/// A key that the log knows as this party's.
#[derive(Debug)]
pub struct Known {
    pub key: PublicKey,
    pub fact: KeyFact,
    /// The name of its file in the party's folder, if it lies there.
    pub file: Option<String>,
}

/// How far the replacing of a key has come.
#[derive(Debug)]
pub enum Rotation {
    /// The new key signs from now on.
    Done(PublicKey),
    /// The new key is in the log and must wait; the old one signs until then.
    Waits { key: PublicKey, until: Time },
}

/// A key of a party's folder.
#[derive(Debug)]
pub struct Own {
    pub key: PublicKey,
    pub role: Role,
    /// The name of its file.
    pub file: String,
}

/// All keys that the log has of this party, in its order.
///
/// # Errors
/// The copy's, or the folder's.
pub fn known(
    party: &Official,
    follower: &Follower<SqliteJournal>,
) -> Result<Vec<Known>, OfficialError> {
    let own = &party.profile().party;
    let mut added: Vec<NewKey> = Vec::new();
    for entry in follower.entries(LeafIndex::new(0))? {
        match entry.signed.statement {
            Statement::Party(registered) if registered.party == *own => {
                added.extend(registered.keys);
            }
            Statement::KeyChange(change) if change.party == *own => added.extend(change.add),
            _ => {}
        }
    }
    let files = files(party)?;
    let mut known = Vec::new();
    for NewKey { key, .. } in added {
        let Some(fact) = follower.facts().key(&key)? else {
            continue;
        };
        let file = files.iter().find(|(lies, _)| *lies == key);
        let file = file.map(|(_, name)| name.clone());
        known.push(Known { key, fact, file });
    }
    Ok(known)
}

/// The keys of a folder that sign, or are about to take a key's place.
///
/// # Errors
/// If one cannot be read.
pub fn own(home: &Home) -> Result<Vec<Own>, OfficialError> {
    let mut own = Vec::new();
    for role in [Role::Admin, Role::Officer, Role::Service] {
        for name in [role.code().to_owned(), next_name(role)] {
            let path = key_path(home.root(), &name);
            if path.exists() {
                let key = PublicKey::from(&read_key(&path)?);
                let file = format!("{name}.key");
                own.push(Own { key, role, file });
            }
        }
    }
    Ok(own)
}

/// The name of the key that is about to take the place of a role's.
pub(super) fn next_name(role: Role) -> String {
    format!("{role}.next")
}

/// Replaces the folder's key of a role. An admin key must wait in the log before it signs: asked again
/// after that time, the old one is revoked and the new one takes its place.
///
/// # Errors
/// If a key cannot be read or kept, or the ledger refuses.
pub fn rotate(
    party: &Official,
    role: Role,
    label: Option<Label>,
    reason: RevocationReason,
) -> Result<Rotation, OfficialError> {
    let next = key_path(party.home().root(), &next_name(role));
    if !next.exists() {
        write_key(&next, &new_key())?;
    }
    let (old, new) = (party.home().key(role)?, read_key(&next)?);
    let (follower, _) = party.follow(&mut |_, _| {})?;
    let logged = follower.facts().key(&PublicKey::from(&new))?;
    let revoked = RevokedKey {
        key: PublicKey::from(&old),
        reason,
    };
    let usable_from = match logged {
        Some(fact) => fact.usable_from,
        None => {
            let revoke = match role {
                Role::Admin => Vec::new(),
                _ => vec![revoked.clone()],
            };
            party.submit(&add(party, &new, role, label, revoke)?)?;
            let (follower, _) = party.follow(&mut |_, _| {})?;
            let fact = follower.facts().key(&PublicKey::from(&new))?;
            fact.map_or(party.clock().now(), |fact| fact.usable_from)
        }
    };
    if role == Role::Admin {
        if usable_from > party.clock().now() {
            return Ok(Rotation::Waits {
                key: PublicKey::from(&new),
                until: usable_from,
            });
        }
        let fact = follower.facts().key(&revoked.key)?;
        if fact.is_some_and(|fact| fact.revoked.is_none()) {
            party.submit(&revoke(party, &new, revoked))?;
        }
    }
    take_place(party, role, &old, &next)?;
    Ok(Rotation::Done(PublicKey::from(&new)))
}

/// Draws a key for somebody else's folder, into `file`, and signs its adding; the public key.
///
/// # Errors
/// If the file exists or cannot be written.
pub fn add_for_another(
    party: &Signatory,
    role: Role,
    label: Option<Label>,
    file: &Path,
) -> Result<(Envelope, PublicKey), OfficialError> {
    // A key that the log did not take before is tried again.
    if !file.exists() {
        write_key(file, &new_key())?;
    }
    let key = read_key(file)?;
    let envelope = add(party, &key, role, label, Vec::new())?;
    Ok((envelope, PublicKey::from(&key)))
}

/// The end of a key, signed by the folder's admin key.
///
/// # Errors
/// If the admin key cannot be read.
pub fn end(party: &Signatory, revoked: RevokedKey) -> Result<Envelope, OfficialError> {
    Ok(revoke(party, &party.home().key(Role::Admin)?, revoked))
}

fn add(
    party: &Signatory,
    key: &SigningKey,
    role: Role,
    label: Option<Label>,
    revoke: Vec<RevokedKey>,
) -> Result<Envelope, OfficialError> {
    let own_label = || party.profile().officer_label.clone();
    let change = KeyChange {
        party: party.profile().party.clone(),
        add: vec![NewKey {
            key: key.into(),
            role,
            label: (role == Role::Officer).then(|| label.unwrap_or_else(own_label)),
        }],
        revoke,
    };
    let admin = party.home().key(Role::Admin)?;
    Ok(sign(&party.own_head(), &change.into(), &[&admin, key]))
}

fn revoke(party: &Signatory, admin: &SigningKey, revoked: RevokedKey) -> Envelope {
    let change = KeyChange {
        party: party.profile().party.clone(),
        add: Vec::new(),
        revoke: vec![revoked],
    };
    sign(&party.own_head(), &change.into(), &[admin])
}

/// The new key takes the file of the old one, which is kept under a name of its own.
fn take_place(
    party: &Official,
    role: Role,
    old: &SigningKey,
    next: &Path,
) -> Result<(), OfficialError> {
    let root = party.home().root();
    let current = key_path(root, role.code());
    let digits = crate::encoding::hex(&old.verifying_key().as_bytes()[..8]);
    let kept = key_path(root, &format!("{role}.revoked-{digits}"));
    if !kept.exists() {
        fs::hard_link(&current, &kept).map_err(|e| OfficialError::file(&kept, e))?;
    }
    fs::rename(next, &current).map_err(|e| OfficialError::file(&current, e))?;
    let folder = root.join("keys");
    let synced = fs::File::open(&folder).and_then(|folder| folder.sync_all());
    synced.map_err(|e| OfficialError::file(&folder, e))
}

/// The keys that lie in the party's folder, with the names of their files.
fn files(party: &Official) -> Result<Vec<(PublicKey, String)>, OfficialError> {
    let folder = party.home().root().join("keys");
    let listed = fs::read_dir(&folder).map_err(|e| OfficialError::file(&folder, e))?;
    let mut paths: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    // Others lie there too: an operator's keys of the log are none of a party's.
    let key = |path: &PathBuf| {
        let key = read_key(path).ok()?;
        let name = path.file_name()?.to_str()?;
        Some((PublicKey::from(&key), name.to_owned()))
    };
    Ok(paths.iter().filter_map(key).collect())
}
