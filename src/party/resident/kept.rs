//! Clips that the vault does not have: those that are kept here until it takes them, those that it lost, and those that
//! a restore could not fetch. Their owner alone gives one up.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use super::decide::asked;
use super::state::Clip;
use super::{Resident, ResidentError};
use crate::wire::vault::HexId;

/// A clip that may be given up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    pub clip: HexId,
    /// None if the device never had it.
    #[serde(skip)]
    pub known: Option<Clip>,
    #[serde(flatten)]
    pub what: What,
    /// Why it is not in the vault, as far as the device knows.
    pub why: Option<String>,
}

/// What giving it up does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum What {
    /// It is kept here and not stored: its only sealed copy is deleted.
    NotStored { file: PathBuf, bytes: u64 },
    /// The server has lost it: the device does not ask for it any more.
    Lost,
    /// A restore could not fetch it: the device does not ask for it any more.
    NotFetched,
}

/// Looks at a clip that is to be given up. Of one that was stored, asks the vault.
///
/// # Errors
/// [`ResidentError::Asked`] if there is no such clip, or the vault has it.
pub fn find(resident: &Resident, id: HexId) -> Result<Kept, ResidentError> {
    let Some(clip) = resident.state.clip(id)? else {
        if resident.state.unfetched()?.contains(&id) {
            return Ok(Kept {
                clip: id,
                known: None,
                what: What::NotFetched,
                why: None,
            });
        }
        return asked(format!("there is no clip {id}"));
    };
    let what = if clip.stored {
        let vault = resident.client.vault(&resident.seed.vault_key())?;
        let vault = vault.ok_or(ResidentError::NoVault)?;
        if vault.clips.iter().any(|stored| stored.clip == id) {
            return asked(format!(
                "the vault has clip {id}: only what it does not have is given up"
            ));
        }
        What::Lost
    } else {
        let file = resident.clip_folder(id).join("body");
        let bytes = fs::metadata(&file).map_or(0, |found| found.len());
        What::NotStored { file, bytes }
    };
    Ok(Kept {
        clip: id,
        why: clip.why.clone(),
        known: Some(clip),
        what,
    })
}

/// Gives a clip up. Refusals that its upload was to carry go with the next clip. Answers with what could not be done
/// on the server, which may have parts of it.
///
/// # Errors
/// Those of the files and the database.
pub fn give_up(resident: &Resident, kept: &Kept) -> Result<Option<String>, ResidentError> {
    let (id, state) = (kept.clip, &resident.state);
    match kept.what {
        What::Lost => {
            state.give_up(id)?;
            Ok(None)
        }
        What::NotFetched => {
            state.set_fetched(id)?;
            Ok(None)
        }
        What::NotStored { .. } => {
            // First, since afterwards this device does not know of it: it may be complete there.
            let deleted = resident.client.delete_clip(id, &resident.seed.vault_key());
            state.remove_clip(id)?;
            let folder = resident.clip_folder(id);
            fs::remove_dir_all(&folder).map_err(ResidentError::file(&folder))?;
            Ok(deleted
                .err()
                .map(|error| format!("what the server has of clip {id} is not deleted: {error}")))
        }
    }
}
