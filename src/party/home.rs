//! A party's folder: who it is, its keys, its trust file.
//!
//! `party.json` (who), `keys/<role>.key` (0600, one seed each), `log.policy` (whom it believes). An operator's data folder is one too. Keys never leave it; nothing here talks to
//! anyone.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::encoding::{self, HiddenCharacter};
use crate::random;
use crate::statement::key::PublicKey;
use crate::statement::kinds::party::{CheckMethod, NewKey};
use crate::statement::words::{Jurisdiction, Label, Name, PartyId, PartyKind, Role};
use crate::store::secrets::{SecretFile, make_folder};
use crate::store::{StoreError, own};
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
        make_home(root)?;
        for role in [Role::Admin, Role::Officer, Role::Service] {
            write_key(&key_path(root, role.code()), &new_key())?;
        }
        let text = serde_json::to_string_pretty(&profile).expect("words serialise");
        write_public(&path, &(text + "\n"))?;
        Ok(Self {
            root: root.to_owned(),
            profile,
        })
    }

    /// Opens a party's folder.
    ///
    /// # Errors
    /// [`HomeError::Missing`] if there is none; those of [`own::check_home`].
    pub fn open(root: &Path) -> Result<Self, HomeError> {
        let path = root.join(PROFILE);
        let text = read_first(root, PROFILE)?;
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
        [Role::Admin, Role::Officer, Role::Service]
            .into_iter()
            .map(|role| self.new_key(role))
            .collect()
    }

    /// The public key of a role as a registration lists it.
    ///
    /// # Errors
    /// Those of [`Home::key`].
    pub fn new_key(&self, role: Role) -> Result<NewKey, HomeError> {
        Ok(NewKey {
            key: PublicKey::from(&self.key(role)?),
            role,
            label: (role == Role::Officer).then(|| self.profile.officer_label.clone()),
        })
    }

    /// Writes a file of the folder that holds no secret.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<(), HomeError> {
        write_public(&self.root.join(name), text)
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
        let text = own::read_text(&path)?;
        Policy::parse(&text).map_err(|source| HomeError::Policy { path, source })
    }
}

/// Makes the folder of a party or a witness, with its folder of keys.
///
/// # Errors
/// If the folder is there, and others may write in it or read its secrets.
pub(super) fn make_home(root: &Path) -> Result<(), HomeError> {
    make_folder(root)?;
    own::check_home(root)?;
    Ok(make_folder(&root.join("keys"))?)
}

/// The text of the file by which a folder of keys is known, once the folder is safe.
///
/// # Errors
/// [`HomeError::Missing`] if there is no such file; those of [`own::check_home`].
pub(super) fn read_first(root: &Path, name: &str) -> Result<String, HomeError> {
    let read = own::check_home(root).and_then(|()| own::read_text(&root.join(name)));
    read.map_err(|error| match error {
        StoreError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            HomeError::Missing(root.to_owned())
        }
        other => other.into(),
    })
}

/// Writes a file that holds no secret, and that nobody else may write, whatever umask the process has.
///
/// # Errors
/// The disk's.
pub(super) fn write_public(path: &Path, text: &str) -> Result<(), HomeError> {
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o644);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(file(path))
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
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

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
        assert!(matches!(home.policy(), Err(HomeError::Store(_))));
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
        let mode = fs::metadata(&ml_dsa).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_cannot_be_looked_into_is_not_called_empty() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Home::open(folder.path());
        assert!(matches!(missing, Err(HomeError::Missing(_))));
        // What no permission lets through and what is no folder are both no absence.
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Home::open(&file).unwrap_err();
        assert!(!matches!(error, HomeError::Missing(_)), "{error}");
        assert!(
            error.to_string().contains(file.to_str().unwrap()),
            "{error}"
        );
    }

    #[test]
    fn a_folder_in_which_others_write_becomes_no_home_and_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let set_mode =
            |mode| fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        set_mode(0o777);
        let refused = |made: Result<Home, HomeError>| {
            let error = made.unwrap_err().to_string();
            assert!(error.contains("`chmod go-w "), "{error}");
        };
        refused(Home::create(folder.path(), profile()));
        assert!(!folder.path().join("keys").exists());
        set_mode(0o700);
        Home::create(folder.path(), profile()).unwrap();
        let path = folder.path().join(PROFILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o022, 0);
        set_mode(0o770);
        refused(Home::open(folder.path()));
    }
}
