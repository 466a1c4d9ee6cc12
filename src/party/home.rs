//! A party's folder: who it is, its keys, its trust file.
//!
//! `party.json` (who), `keys/<role>.key` (0600, one seed each), `log.policy` (whom it believes). An operator's data folder is one too. Keys never leave it; nothing here talks to
//! anyone.

use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::encoding::{self, HiddenCharacter};
use crate::random;
use crate::statement::key::PublicKey;
use crate::statement::kinds::party::{CheckMethod, NewKey};
use crate::statement::words::{Jurisdiction, Label, Name, PartyId, PartyKind, Role};
use crate::store::StoreError;
use crate::store::secrets::{SecretFile, make_folder};
use crate::tlog::mldsa::MlDsaSecretKey;
use crate::tlog::policy::{Policy, PolicyError};

const ED25519: &str = "ed25519-secret:";
const ML_DSA_44: &str = "ml-dsa-44-secret:";
const PROFILE: &str = "party.json";
const POLICY: &str = "log.policy";

/// Why a party's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("{} holds a party already: name another folder", .0.display())]
    Exists(PathBuf),
    #[error(
        "{root} holds no party: make one with `whosaw agency init --home {root}` (or vendor, court, \
         watchdog), a ledger with `whosaw operator init --data {root}`",
        root = .0.display()
    )]
    Missing(PathBuf),
    #[error("{}: {source}", path.display())]
    Policy { path: PathBuf, source: PolicyError },
    #[error(transparent)]
    Name(#[from] HiddenCharacter),
}

/// Who a party is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub party: PartyId,
    pub kind: PartyKind,
    pub name: Name,
    pub jurisdiction: Jurisdiction,
    /// The pseudonym under which the officer key signs.
    pub officer_label: Label,
    /// Where the operator publishes its keys; other parties say so when they register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_check: Option<CheckMethod>,
    /// The server's address; the operator itself has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// A party's folder.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
    profile: Profile,
}

impl Home {
    /// Makes the folder of a new party, with a key for each role.
    ///
    /// # Errors
    /// [`HomeError::Exists`] if a party lives there.
    pub fn create(root: &Path, profile: Profile) -> Result<Self, HomeError> {
        let path = root.join(PROFILE);
        if path.exists() {
            return Err(HomeError::Exists(root.to_owned()));
        }
        make_folder(&root.join("keys"))?;
        for role in [Role::Admin, Role::Officer, Role::Service] {
            write_key(&key_path(root, role.code()), &new_key())?;
        }
        let text = serde_json::to_string_pretty(&profile).expect("words serialise");
        fs::write(&path, text + "\n").map_err(file(&path))?;
        Ok(Self {
            root: root.to_owned(),
            profile,
        })
    }

    /// Opens a party's folder.
    ///
    /// # Errors
    /// [`HomeError::Missing`] if there is none.
    pub fn open(root: &Path) -> Result<Self, HomeError> {
        let path = root.join(PROFILE);
        let text = fs::read_to_string(&path).map_err(|_| HomeError::Missing(root.to_owned()))?;
        let profile = serde_json::from_str(&text).map_err(file(&path))?;
        Ok(Self {
            root: root.to_owned(),
            profile,
        })
    }

    /// Who lives here.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The party's key of a role.
    ///
    /// # Errors
    /// If the file is missing, damaged, or others may read it.
    pub fn key(&self, role: Role) -> Result<SigningKey, HomeError> {
        read_key(&key_path(&self.root, role.code()))
    }

    /// The public keys as a registration lists them.
    ///
    /// # Errors
    /// Those of [`Home::key`].
    pub fn new_keys(&self) -> Result<Vec<NewKey>, HomeError> {
        let new = |role| {
            Ok(NewKey {
                key: PublicKey::from(&self.key(role)?),
                role,
                label: (role == Role::Officer).then(|| self.profile.officer_label.clone()),
            })
        };
        [Role::Admin, Role::Officer, Role::Service]
            .into_iter()
            .map(new)
            .collect()
    }

    /// Writes a file of the folder that holds no secret.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<(), HomeError> {
        let path = self.root.join(name);
        fs::write(&path, text).map_err(file(&path))
    }

    /// Where the trust file lies.
    pub fn policy_path(&self) -> PathBuf {
        self.root.join(POLICY)
    }

    /// The log's policy that this party believes.
    ///
    /// # Errors
    /// If the file is missing or is no policy.
    pub fn policy(&self) -> Result<Policy, HomeError> {
        let path = self.policy_path();
        let text = fs::read_to_string(&path).map_err(file(&path))?;
        Policy::parse(&text).map_err(|source| HomeError::Policy { path, source })
    }
}

fn file<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> HomeError {
    let path = path.to_owned();
    move |error| HomeError::File {
        path,
        why: error.to_string(),
    }
}

/// Where the key of this name lies in a party's folder.
pub fn key_path(root: &Path, name: &str) -> PathBuf {
    root.join("keys").join(format!("{name}.key"))
}

/// A new key, from the operating system's randomness.
pub fn new_key() -> SigningKey {
    SigningKey::from_bytes(&new_seed())
}

/// A new ML-DSA-44 key, from the operating system's randomness.
pub fn new_ml_dsa_key() -> MlDsaSecretKey {
    MlDsaSecretKey::from_seed(&new_seed())
}

fn new_seed() -> Zeroizing<[u8; 32]> {
    Zeroizing::new(random::bytes())
}

/// Writes a key file, durably, with mode 0600; an existing one is never overwritten.
///
/// # Errors
/// The store's.
pub fn write_key(path: &Path, key: &SigningKey) -> Result<(), HomeError> {
    write_seed(path, ED25519, &Zeroizing::new(key.to_bytes()))
}

/// As [`write_key`], of an ML-DSA-44 key.
///
/// # Errors
/// The store's.
pub fn write_ml_dsa_key(path: &Path, key: &MlDsaSecretKey) -> Result<(), HomeError> {
    write_seed(path, ML_DSA_44, &key.to_seed())
}

fn write_seed(path: &Path, prefix: &str, seed: &Zeroizing<[u8; 32]>) -> Result<(), HomeError> {
    let encoded = Zeroizing::new(encoding::base64url(**seed));
    let text = Zeroizing::new(format!("{prefix}{}\n", *encoded));
    Ok(SecretFile::at(path).write_new(text.as_bytes())?)
}

/// Reads a key file.
///
/// # Errors
/// If it is missing, damaged, or others may read it.
pub fn read_key(path: &Path) -> Result<SigningKey, HomeError> {
    Ok(SigningKey::from_bytes(&*read_seed(path, ED25519)?))
}

/// As [`read_key`], of an ML-DSA-44 key.
///
/// # Errors
/// If it is missing, damaged, or others may read it.
pub fn read_ml_dsa_key(path: &Path) -> Result<MlDsaSecretKey, HomeError> {
    Ok(MlDsaSecretKey::from_seed(&*read_seed(path, ML_DSA_44)?))
}

fn read_seed(path: &Path, prefix: &str) -> Result<Zeroizing<[u8; 32]>, HomeError> {
    let bytes = SecretFile::at(path).read()?;
    std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.trim_end().strip_prefix(prefix))
        .and_then(|encoded| encoding::from_base64url(encoded).ok().map(Zeroizing::new))
        .and_then(|seed| encoding::exact::<32>(&seed).ok().map(Zeroizing::new))
        .ok_or_else(|| HomeError::File {
            path: path.to_owned(),
            why: "not a key file of whosaw, or of another kind of key".to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile {
            party: "lakelandgov.example".parse().unwrap(),
            kind: PartyKind::Agency,
            name: "Lakeland Police".parse().unwrap(),
            jurisdiction: "US-FL".parse().unwrap(),
            officer_label: "detective-4".parse().unwrap(),
            domain_check: None,
            server: None,
        }
    }

    #[test]
    fn a_home_keeps_its_keys_and_never_overwrites_them() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(folder.path(), profile()).unwrap();
        let again = Home::open(folder.path()).unwrap();
        assert_eq!(again.profile(), &profile());
        assert_eq!(home.new_keys().unwrap(), again.new_keys().unwrap());
        let created = Home::create(folder.path(), profile());
        assert!(matches!(created, Err(HomeError::Exists(_))));
        assert!(matches!(home.policy(), Err(HomeError::File { .. })));
        fs::write(key_path(folder.path(), "admin"), "nonsense").unwrap();
        let Err(error) = home.key(Role::Admin) else {
            panic!("nonsense is no key");
        };
        assert!(!error.to_string().contains("nonsense"), "{error}");
    }

    #[test]
    fn a_key_of_one_kind_is_not_read_as_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let (ed25519, ml_dsa) = (key_path(folder.path(), "a"), key_path(folder.path(), "b"));
        fs::create_dir(folder.path().join("keys")).unwrap();
        let (key, other) = (new_key(), new_ml_dsa_key());
        write_key(&ed25519, &key).unwrap();
        write_ml_dsa_key(&ml_dsa, &other).unwrap();
        assert_eq!(read_key(&ed25519).unwrap(), key);
        let again = read_ml_dsa_key(&ml_dsa).unwrap();
        assert_eq!(again.to_seed(), other.to_seed());
        assert!(read_key(&ml_dsa).is_err() && read_ml_dsa_key(&ed25519).is_err());
        assert!(
            write_ml_dsa_key(&ml_dsa, &other).is_err(),
            "never overwritten"
        );
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&ml_dsa).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
