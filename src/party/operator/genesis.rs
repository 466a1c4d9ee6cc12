//! What a log begins with: who runs it, and its first limits.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::{GENESIS, LIMITS, Operator, file_fault};
use crate::digest::StatementId;
use crate::party::home::{HomeError, key_path};
use crate::plain::count;
use crate::statement::envelope::Envelope;
use crate::statement::key::PublicKey;
use crate::statement::kinds::limits::Limits;
use crate::statement::kinds::party::{CheckMethod, DomainCheck, NewKey, Party};
use crate::statement::refusal::Refusal;
use crate::statement::words::{Day, PartyId, PartyKind, Role};
use crate::statement::{Author, Head, Signed, Statement, sign};
use crate::store::secrets::SecretFile;
use crate::store::{StoreError, own};
use crate::time::Clock;

/// A log's first two statements, signed for a server without the admin key.
#[derive(Debug)]
pub struct KeptGenesis {
    /// Their file.
    pub path: PathBuf,
    /// The key that entry 0 gives the operator's admin.
    pub admin: PublicKey,
    /// The id of entry 0.
    pub first: StatementId,
}

impl Operator {
    /// The first two statements of the log, as [`Operator::keep_genesis`] kept them, or signed now.
    ///
    /// # Errors
    /// If they, or keys or limits, cannot be read, or those that were kept are not of this folder.
    pub fn genesis(&self, clock: &Clock) -> Result<Vec<Signed>, HomeError> {
        let path = self.home.root().join(GENESIS);
        let lines = match own::read_text(&path) {
            Ok(lines) => lines,
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                let signed = self.sign_genesis(clock)?;
                let signed: Result<_, _> = signed.into_iter().map(Signed::from_envelope).collect();
                return signed.map_err(|refusal: Refusal| file_fault(&path, refusal));
            }
            Err(error) => return Err(error.into()),
        };
        let kept: Result<Vec<_>, _> = lines
            .lines()
            .map(|line| Signed::read(line.as_bytes()))
            .collect();
        let kept = kept.map_err(|refusal| file_fault(&path, refusal))?;
        let differs = self.differences(&kept)?;
        if !differs.is_empty() {
            let why = format!(
                "{}: run `whosaw operator genesis` again where admin.key is, and compare the keys that it prints",
                differs.join("; ")
            );
            return Err(file_fault(&path, why));
        }
        Ok(kept)
    }

    /// How statements differ from those that this folder begins a log with. The admin key may be kept elsewhere.
    fn differences(&self, kept: &[Signed]) -> Result<Vec<String>, HomeError> {
        let [first, second] = kept else {
            return Ok(vec![format!(
                "{}, and a log begins with two statements",
                count(kept.len(), "line")
            )]);
        };
        let mut differs = Vec::new();
        let origin = self.origin.as_str();
        for (entry, signed) in kept.iter().enumerate() {
            if signed.head.log != origin {
                differs.push(format!(
                    "entry {entry} is for the log {}, and not for {origin}",
                    signed.head.log
                ));
            }
            if signed.head.author != Author::Issuer(self.home.profile().party.clone()) {
                let own = &self.home.profile().party;
                differs.push(format!(
                    "entry {entry} is by {}, and not by {own}",
                    signed.head.author
                ));
            }
        }
        match &first.statement {
            Statement::Party(party) => differs.extend(self.party_differences(party)?),
            _ => differs.push("entry 0 registers no party".to_owned()),
        }
        if second.statement != Statement::from(self.first_limits()?) {
            differs.push(format!("entry 1 does not hold the limits in {LIMITS}"));
        }
        Ok(differs)
    }

    fn party_differences(&self, party: &Party) -> Result<Vec<String>, HomeError> {
        let profile = self.home.profile();
        let method = profile.domain_check.unwrap_or(CheckMethod::NotChecked);
        let succeeds = party.succeeds.as_ref().map_or("nobody", PartyId::as_str);
        let members = [
            ("party", party.party.to_string(), profile.party.to_string()),
            ("kind", party.kind.to_string(), profile.kind.to_string()),
            ("name", party.name.to_string(), profile.name.to_string()),
            (
                "jurisdiction",
                party.jurisdiction.to_string(),
                profile.jurisdiction.to_string(),
            ),
            (
                "domain check",
                party.domain_check.method.to_string(),
                method.to_string(),
            ),
            ("predecessor", succeeds.to_owned(), "nobody".to_owned()),
        ];
        let other = members.into_iter().filter(|(_, kept, own)| kept != own);
        let mut differs: Vec<String> = other
            .map(|(member, kept, own)| format!("its {member} is {kept}, and party.json has {own}"))
            .collect();
        for role in [Role::Admin, Role::Officer, Role::Service] {
            let path = key_path(self.home.root(), role.code());
            let kept: Vec<&NewKey> = party.keys.iter().filter(|key| key.role == role).collect();
            let [kept] = kept[..] else {
                differs.push(format!("it has {} {role} keys, and not one", kept.len()));
                continue;
            };
            if role == Role::Admin && !path.exists() {
                continue;
            }
            let own = self.home.new_key(role)?;
            if own.key != kept.key {
                let (kept, own) = (kept.key, own.key);
                differs.push(format!(
                    "its {role} key is {kept}, and keys/{role}.key is {own}"
                ));
            } else if own.label != kept.label {
                differs.push(format!("its {role} key has another label than party.json"));
            }
        }
        Ok(differs)
    }

    fn first_limits(&self) -> Result<Limits, HomeError> {
        let path = self.limits_path();
        let text = own::read_text(&path)?;
        serde_json::from_str(&text).map_err(|e| file_fault(&path, e))
    }

    /// Signs the first two statements of the log and keeps them in the folder, for a server that has no
    /// admin key to begin the log with.
    ///
    /// # Errors
    /// If keys or limits cannot be read, or the file cannot be written.
    pub fn keep_genesis(&self, clock: &Clock) -> Result<KeptGenesis, HomeError> {
        let path = self.home.root().join(GENESIS);
        let signed = self.sign_genesis(clock)?;
        let mut lines = Vec::new();
        for envelope in &signed {
            lines.extend(envelope.to_json());
            lines.push(b'\n');
        }
        SecretFile::at(&path).replace(&lines)?;
        Ok(KeptGenesis {
            path,
            admin: PublicKey::from(&self.home.key(Role::Admin)?),
            first: StatementId::of_payload(&signed[0].payload),
        })
    }

    /// Who runs the log, and what it allows.
    fn sign_genesis(&self, clock: &Clock) -> Result<Vec<Envelope>, HomeError> {
        let profile = self.home.profile();
        let now = clock.now();
        let head = Head {
            log: self.origin.to_string(),
            issued_at: now.cut_to_minute(),
            author: Author::Issuer(profile.party.clone()),
        };
        let party = Party {
            party: profile.party.clone(),
            kind: PartyKind::Operator,
            name: profile.name.clone(),
            jurisdiction: profile.jurisdiction.clone(),
            keys: self.home.new_keys()?,
            domain_check: DomainCheck {
                method: profile.domain_check.unwrap_or(CheckMethod::NotChecked),
                checked_on: Day::of(now),
            },
            succeeds: None,
        };
        let limits = self.first_limits()?;
        let admin = self.home.key(Role::Admin)?;
        let officer = self.home.key(Role::Officer)?;
        let service = self.home.key(Role::Service)?;
        Ok(vec![
            sign(&head, &party.into(), &[&admin, &officer, &service]),
            sign(&head, &limits.into(), &[&admin]),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::operator;
    use super::*;
    use crate::party::home::Profile;
    use crate::statement::kinds::Kind as _;

    #[test]
    fn entry_0_claims_what_the_operator_publishes() {
        for claim in [None, Some(CheckMethod::WellKnown)] {
            let folder = tempfile::tempdir().unwrap();
            operator(folder.path());
            let path = folder.path().join("party.json");
            let text = fs::read_to_string(&path).unwrap();
            let mut profile: Profile = serde_json::from_str(&text).unwrap();
            profile.domain_check = claim;
            fs::write(&path, serde_json::to_string(&profile).unwrap()).unwrap();
            let opened = Operator::open(folder.path()).unwrap();
            let genesis = opened.genesis(&Clock::system()).unwrap();
            let Statement::Party(party) = &genesis[0].statement else {
                panic!("entry 0 is the operator's");
            };
            let said = claim.unwrap_or(CheckMethod::NotChecked);
            assert_eq!(party.domain_check.method, said);
        }
    }

    #[test]
    fn first_entries_signed_elsewhere_are_logged_unless_the_limits_changed() {
        let folder = tempfile::tempdir().unwrap();
        let operator = operator(folder.path());
        let clock = Clock::system();
        operator.keep_genesis(&clock).unwrap();
        let kept = operator.genesis(&clock).unwrap();
        fs::remove_file(key_path(folder.path(), "admin")).unwrap();
        let ids = |all: &[Signed]| all.iter().map(|signed| signed.id).collect::<Vec<_>>();
        assert_eq!(ids(&operator.genesis(&clock).unwrap()), ids(&kept));
        let mut limits = Limits::example();
        limits.window_minutes += 1;
        let text = serde_json::to_string(&limits).unwrap();
        fs::write(operator.limits_path(), text).unwrap();
        let error = operator.genesis(&clock).unwrap_err();
        assert!(error.to_string().contains("operator genesis"), "{error}");
        fs::write(folder.path().join(GENESIS), "{}").unwrap();
        assert!(operator.genesis(&clock).is_err());
    }

    /// The file that a server begins with, of this folder or of another.
    fn kept(operator: &Operator) -> String {
        operator.keep_genesis(&Clock::system()).unwrap();
        fs::read_to_string(operator.home().root().join(GENESIS)).unwrap()
    }

    #[test]
    fn first_entries_of_another_folder_begin_no_log() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [own, other] = [0, 1].map(|n: usize| operator(folders[n].path()));
        let (own_lines, other_lines) = (kept(&own), kept(&other));
        let root = own.home().root();
        // Whoever made them has the admin key; this folder need not.
        let admin = key_path(root, "admin");
        let refused = |lines: &str| {
            fs::write(root.join(GENESIS), lines).unwrap();
            own.genesis(&Clock::system()).unwrap_err().to_string()
        };
        for with_admin in [true, false] {
            if !with_admin {
                fs::remove_file(&admin).unwrap();
            }
            let why = refused(&other_lines);
            for (role, named) in [("admin", with_admin), ("officer", true), ("service", true)] {
                let says = format!("keys/{role}.key is");
                assert_eq!(why.contains(&says), named, "{why}");
            }
            assert!(
                why.contains(GENESIS) && why.contains("operator genesis"),
                "{why}"
            );
        }
        let twice = format!("{own_lines}{own_lines}");
        assert!(refused(&twice).contains("4 lines"), "{}", refused(&twice));
        let first = own_lines.lines().next().unwrap();
        assert!(refused(first).contains("1 line,"), "{}", refused(first));
        fs::write(root.join(GENESIS), &own_lines).unwrap();
        assert_eq!(own.genesis(&Clock::system()).unwrap().len(), 2);
    }

    #[test]
    fn first_entries_of_another_party_begin_no_log() {
        let folder = tempfile::tempdir().unwrap();
        let before = operator(folder.path());
        kept(&before);
        let path = folder.path().join("party.json");
        let text = fs::read_to_string(&path).unwrap();
        type Change = fn(&mut Profile);
        let changes: [(&str, Change); 4] = [
            ("its name is Ledger", |p| p.name = "Other".parse().unwrap()),
            ("its jurisdiction is US-FL", |p| {
                p.jurisdiction = "US-OH".parse().unwrap();
            }),
            ("entry 0 is by ledger.example", |p| {
                p.party = "other.example".parse().unwrap();
            }),
            ("its officer key has another label", |p| {
                p.officer_label = "other".parse().unwrap();
            }),
        ];
        for (says, change) in changes {
            let mut profile: Profile = serde_json::from_str(&text).unwrap();
            change(&mut profile);
            fs::write(&path, serde_json::to_string(&profile).unwrap()).unwrap();
            let opened = Operator::open(folder.path()).unwrap();
            let why = opened.genesis(&Clock::system()).unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        }
        fs::write(&path, &text).unwrap();
        let mut opened = Operator::open(folder.path()).unwrap();
        opened.origin = "other.example/log".parse().unwrap();
        let why = opened.genesis(&Clock::system()).unwrap_err().to_string();
        assert!(
            why.contains("entry 1 is for the log ledger.example/log"),
            "{why}"
        );
    }
}
