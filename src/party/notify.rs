//! How an operator tells those whom a legal demand is about.
//!
//! A message for each owner, and messages for nobody until each statement has as many as one can
//! hold: how many people a demand is about would identify households, and the answer to it tells no
//! more than a band either. Only its owner's device can tell a message from a filler.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::home::Home;
use crate::digest::StatementId;
use crate::reader::follower::{FollowError, Follower};
use crate::seal::Identity;
use crate::seal::notice::{TooLong, seal};
use crate::seal::recipient::Recipient;
use crate::statement::Statement;
use crate::statement::facts::FactsExt as _;
use crate::statement::kinds::demand_response::DemandResponse;
use crate::statement::kinds::legal_demand::LegalDemand;
use crate::statement::kinds::notice::MAX_MESSAGES;
use crate::store::StoreError;
use crate::store::secrets::{SecretFile, make_folder};
use crate::store::sqlite::SqliteJournal;
use crate::store::vaults::{ClipId, VaultError, VaultId, Vaults};
use crate::wire::notice::{Message, MessageError};
use crate::wire::vault::HexId;

/// Why nobody was told. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    #[error("{0} is no legal demand in this log")]
    NoDemand(StatementId),
    #[error(
        "nobody is named to be told, and no delay has kept anybody: say --vault or --vaults-file"
    )]
    Nobody,
    #[error("there is no vault {0}")]
    NoVault(HexId),
    #[error(
        "vault {0} cannot be told yet: its device has not said whom notices are sealed for, and does \
         so when it syncs next"
    )]
    NoRecipient(HexId),
    #[error(
        "vault {vault} has no clip {clip}: if its owner deleted it since, leave it out here and tell \
         of it in the message"
    )]
    NoClip { vault: HexId, clip: HexId },
    #[error("vault {vault}: {why}")]
    Message { vault: HexId, why: MessageError },
    #[error("vault {vault}: {why}")]
    TooLong { vault: HexId, why: TooLong },
    #[error("{text:?}: write VAULT, or VAULT:CLIP,CLIP…, each id 32 hexadecimal digits")]
    Owner { text: String },
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error(transparent)]
    Vaults(#[from] VaultError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Follow(#[from] FollowError),
}

/// Somebody to be told, and which clips it is about: `VAULT` or `VAULT:CLIP,CLIP…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    pub vault: HexId,
    /// Ascending.
    pub clips: Vec<HexId>,
}

impl Owner {
    /// Whether who tells this one has told `other` too.
    pub fn covers(&self, other: &Self) -> bool {
        self.vault == other.vault && other.clips.iter().all(|clip| self.clips.contains(clip))
    }
}

impl FromStr for Owner {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        let fault = || NotifyError::Owner {
            text: text.to_owned(),
        };
        let id = |text: &str| text.parse::<HexId>().map_err(|_| fault());
        let (vault, clips) = match text.split_once(':') {
            None => (text, Vec::new()),
            Some((vault, clips)) => {
                let clips: Result<_, _> = clips.split(',').map(id).collect();
                (vault, clips?)
            }
        };
        let mut owner = Self {
            vault: id(vault)?,
            clips,
        };
        owner.clips.sort_unstable();
        owner.clips.dedup();
        Ok(owner)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.vault)?;
        for (i, clip) in self.clips.iter().enumerate() {
            let before = if i == 0 { ':' } else { ',' };
            write!(f, "{before}{clip}")?;
        }
        Ok(())
    }
}

/// The owners in a list, one a line; empty lines and those that begin with `#` are passed over.
///
/// # Errors
/// The first line that names none.
pub fn owners(list: &str) -> Result<Vec<Owner>, NotifyError> {
    let lines = list.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::parse).collect()
}

/// A demand, and the last answer to it.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    pub id: StatementId,
    pub demand: LegalDemand,
    pub answer: Option<DemandResponse>,
}

impl About {
    /// What the log says of a demand.
    ///
    /// # Errors
    /// [`NotifyError::NoDemand`], and the copy's.
    pub fn read(follower: &Follower<SqliteJournal>, id: StatementId) -> Result<Self, NotifyError> {
        let missing = || NotifyError::NoDemand(id);
        let index = follower.find(&id)?.ok_or_else(missing)?;
        let statement = |index| {
            let entry = follower.entry(index)?;
            Ok::<_, NotifyError>(entry.map(|entry| entry.signed.statement))
        };
        let Some(Statement::LegalDemand(demand)) = statement(index)? else {
            return Err(missing());
        };
        let fact = follower.facts().demand(&index)?;
        let answered = fact.and_then(|fact| fact.response);
        let answer = match answered.map(statement).transpose()?.flatten() {
            Some(Statement::DemandResponse(answer)) => Some(answer),
            _ => None,
        };
        Ok(Self { id, demand, answer })
    }

    /// What one owner is told.
    fn message(&self, owner: &Owner, text: &str) -> Message {
        let answer = self.answer.as_ref();
        Message {
            investigation: self.demand.investigation.clone(),
            effective_on: answer.map(|answer| answer.effective_on.clone()),
            records: answer.map_or_else(Vec::new, |answer| answer.records.clone()),
            clips: owner.clips.clone(),
            text: text.to_owned(),
            ..Message::new(self.id, self.demand.process)
        }
    }

    /// The sealed messages, [`MAX_MESSAGES`] for each statement to be logged: one for each owner, the
    /// rest for nobody.
    ///
    /// # Errors
    /// The first owner who cannot be told, and why.
    pub fn messages(
        &self,
        vaults: &Vaults,
        owners: &[Owner],
        text: &str,
    ) -> Result<Vec<Vec<u8>>, NotifyError> {
        let mut messages = Vec::new();
        for owner in owners {
            let (vault, recipient) = (owner.vault, recipient(vaults, owner)?);
            let message = self.message(owner, text).to_json();
            let plain = message.map_err(|why| NotifyError::Message { vault, why })?;
            let sealed = seal(plain, &recipient);
            messages.push(sealed.map_err(|why| NotifyError::TooLong { vault, why })?);
        }
        if messages.is_empty() {
            return Err(NotifyError::Nobody);
        }
        while !messages.len().is_multiple_of(MAX_MESSAGES) {
            let nobody = Recipient::of(&Identity::generate());
            messages.push(seal(Vec::new(), &nobody).expect("room for nothing"));
        }
        Ok(messages)
    }
}

/// Whom a message to an owner is sealed for.
///
/// # Errors
/// If there is no such vault or clip, or its device has not told.
pub fn recipient(vaults: &Vaults, owner: &Owner) -> Result<Recipient, NotifyError> {
    let vault = owner.vault;
    let id = VaultId::from_bytes(*vault.as_bytes());
    let known = vaults.vault(id)?.ok_or(NotifyError::NoVault(vault))?;
    let stored = vaults.clips(id)?;
    for clip in &owner.clips {
        let wanted = ClipId::from_bytes(*clip.as_bytes());
        if stored.iter().all(|(id, _)| *id != wanted) {
            return Err(NotifyError::NoClip { vault, clip: *clip });
        }
    }
    known
        .notice_recipient
        .ok_or(NotifyError::NoRecipient(vault))
}

/// Who is to be told of a demand later: a file of the operator's own, until they are told.
pub struct Waiting(SecretFile);

impl Waiting {
    /// Those who wait to be told of this demand.
    pub fn of(home: &Home, demand: &StatementId) -> Self {
        let path = home.root().join("notices").join(demand.to_string());
        Self(SecretFile::at(path))
    }

    /// Keeps them, durably, in place of those kept before.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep(&self, owners: &[Owner]) -> Result<(), NotifyError> {
        if owners.is_empty() {
            return self.forget();
        }
        let folder = self.0.path().parent().expect("a file in a folder");
        make_folder(folder)?;
        let lines: String = owners.iter().map(|owner| format!("{owner}\n")).collect();
        Ok(self.0.replace(lines.as_bytes())?)
    }

    /// Those kept; none if nobody is.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self) -> Result<Vec<Owner>, NotifyError> {
        if !self.0.path().exists() {
            return Ok(Vec::new());
        }
        let bytes = self.0.read()?;
        let list = std::str::from_utf8(&bytes).map_err(|error| self.file(error))?;
        owners(list)
    }

    fn forget(&self) -> Result<(), NotifyError> {
        match std::fs::remove_file(self.0.path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(self.file(error)),
            _ => Ok(()),
        }
    }

    fn file(&self, why: impl ToString) -> NotifyError {
        NotifyError::File {
            path: self.0.path().to_owned(),
            why: why.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::seal::keys::Phrase;
    use crate::seal::notice::{NoticeKey, SIZE};
    use crate::statement::kinds::Kind as _;
    use crate::time::Time;

    const VAULT: HexId = HexId::from_bytes([1; 16]);

    #[test]
    fn who_is_told_of_one_clip_still_waits_for_another() {
        let owner = |text: &str| format!("{VAULT}{text}").parse::<Owner>().unwrap();
        let clip = |n: u8| HexId::from_bytes([n; 16]).to_string();
        let (none, one) = (owner(""), owner(&format!(":{}", clip(2))));
        let both = owner(&format!(":{},{}", clip(2), clip(3)));
        assert!(both.covers(&one) && both.covers(&none) && one.covers(&one));
        assert!(!one.covers(&both) && !none.covers(&one));
    }

    fn key() -> NoticeKey {
        Phrase::from_entropy(&[7; 32]).seed().notice_key()
    }

    fn about() -> About {
        About {
            id: StatementId::from_bytes([12; 32]),
            demand: LegalDemand::example(),
            answer: Some(DemandResponse::example()),
        }
    }

    /// A vault with one clip, whose device has told its recipient.
    fn vaults(folder: &std::path::Path) -> Vaults {
        let vaults = Vaults::open(&folder.join("vaults.db")).unwrap();
        let now = Time::from_unix(1_700_000_000).unwrap();
        let (code, id) = (Digest::of("code"), VaultId::from_bytes(*VAULT.as_bytes()));
        vaults
            .add_code(code, 10_000, 3, now.plus_seconds(9))
            .unwrap();
        vaults.enrol(code, [7; 32], id, now).unwrap();
        let clip = crate::store::vaults::Clip {
            header_size: 1,
            body_size: 1,
            meta_size: 1,
            body_sha256: Digest::of("body"),
        };
        vaults
            .add_clip(id, ClipId::from_bytes([2; 16]), clip, &[])
            .unwrap();
        vaults.set_notice_recipient(id, &key().recipient()).unwrap();
        vaults
    }

    #[test]
    fn owners_are_read_as_they_are_written() {
        let (vault, clip) = ("01".repeat(16), "02".repeat(16));
        let other = "03".repeat(16);
        let list = format!("# served\n{vault}\n\n {vault}:{other},{clip},{clip}\n");
        let read = owners(&list).unwrap();
        assert_eq!(read[0].to_string(), vault);
        assert_eq!(read[1].to_string(), format!("{vault}:{clip},{other}"));
        for bad in ["x", &format!("{vault}:"), &format!("{vault} {clip}"), ":"] {
            let refused = owners(bad);
            assert!(matches!(refused, Err(NotifyError::Owner { .. })), "{bad}");
        }
    }

    #[test]
    fn one_is_for_the_owner_and_the_rest_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let vaults = vaults(folder.path());
        let owner: Owner = format!("{VAULT}:{}", "02".repeat(16)).parse().unwrap();
        for (told, sent) in [(1, 16), (16, 16), (17, 32)] {
            let owners = vec![owner.clone(); told];
            let messages = about().messages(&vaults, &owners, "sorry").unwrap();
            assert_eq!(messages.len(), sent);
            assert!(messages.iter().all(|message| message.len() == SIZE));
            let own = messages.iter().filter_map(|message| key().open(message));
            let own: Vec<_> = own.map(|opened| opened.unwrap()).collect();
            assert_eq!(own.len(), told);
            let message = Message::parse(&own[0]).unwrap();
            assert_eq!(message.clips, owner.clips);
            assert_eq!(message.records, DemandResponse::example().records);
            assert_eq!(message.text, "sorry");
        }
    }

    #[test]
    fn who_cannot_be_told_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let vaults = vaults(folder.path());
        let tell = |owners: &[String], text: &str| {
            let owners: Vec<Owner> = owners.iter().map(|text| text.parse().unwrap()).collect();
            about().messages(&vaults, &owners, text).unwrap_err()
        };
        let own = VAULT.to_string();
        assert!(matches!(tell(&[], ""), NotifyError::Nobody));
        let stranger = "05".repeat(16);
        assert!(matches!(
            tell(&[own.clone(), stranger], ""),
            NotifyError::NoVault(_)
        ));
        let clip = format!("{own}:{}", "09".repeat(16));
        assert!(matches!(tell(&[clip], ""), NotifyError::NoClip { .. }));
        assert!(matches!(
            tell(std::slice::from_ref(&own), &"x".repeat(801)),
            NotifyError::Message { .. }
        ));
        let quotes = "\u{1}".repeat(500);
        assert!(matches!(tell(&[own], &quotes), NotifyError::TooLong { .. }));
        let (code, now) = (Digest::of("other"), Time::from_unix(0).unwrap());
        vaults.add_code(code, 1, 1, now.plus_seconds(9)).unwrap();
        let silent = VaultId::from_bytes([6; 16]);
        vaults.enrol(code, [8; 32], silent, now).unwrap();
        let refused = tell(&["06".repeat(16)], "");
        assert!(matches!(refused, NotifyError::NoRecipient(_)));
    }
}
