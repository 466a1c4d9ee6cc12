//! What a party has sealed: openings kept in its folder until they are published.
//!
//! An opening that is lost can never be published, and the seal stays due for ever: it is durable
//! before the statement that names its digest is signed.

use std::path::PathBuf;

use super::official::{OfficialError, Signatory};
use crate::random;
use crate::statement::sealed::{Opening, SealDigest};
use crate::store::secrets::{SecretFile, make_folder};

/// Seals a value under a fresh salt and keeps the opening; its digest.
///
/// # Errors
/// If the value is too long, or the opening cannot be kept.
pub fn seal(party: &Signatory, name: &str, value: &str) -> Result<SealDigest, OfficialError> {
    let opening = Opening::new(&random::bytes::<32>(), name, &value.into());
    let opening = opening.map_err(OfficialError::Seal)?;
    let digest = opening.digest();
    let path = path(party, &digest);
    let folder = path.parent().expect("a file in a folder");
    make_folder(folder)?;
    SecretFile::at(path).write_new(opening.encode().as_bytes())?;
    Ok(digest)
}

/// The opening of a field that this party sealed.
///
/// # Errors
/// If its folder does not have it.
pub fn opening(party: &Signatory, digest: &SealDigest) -> Result<Opening, OfficialError> {
    let path = path(party, digest);
    let bytes = SecretFile::at(&path).read()?;
    let text = std::str::from_utf8(&bytes).map_err(|e| OfficialError::file(&path, e))?;
    Opening::parse(text).map_err(|e| OfficialError::file(&path, e))
}

fn path(party: &Signatory, digest: &SealDigest) -> PathBuf {
    party.home().root().join("seals").join(digest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::agency::tests::agency;

    #[test]
    fn what_was_sealed_opens_and_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let agency = agency(folder.path());
        let digest = seal(&agency, "case_number", "2019-001234").unwrap();
        let kept = opening(&agency, &digest).unwrap();
        assert_eq!(kept.digest(), digest);
        assert_eq!(
            (kept.name(), kept.value()),
            ("case_number", &"2019-001234".into())
        );
        let mode = std::fs::metadata(path(&agency, &digest)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        let again = seal(&agency, "case_number", "2019-001234").unwrap();
        assert_ne!(again, digest, "a fresh salt");
        assert!(opening(&agency, &SealDigest::from_bytes([0; 32])).is_err());
    }
}
