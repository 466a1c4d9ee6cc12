//! What is told to everybody: agencies' bulletins, and clips that residents published.

use super::words::{self, Moment};
use crate::record::{Given, PublicState, Record, Told};
use crate::time::Time;

#[derive(Debug)]
pub struct BulletinView {
    pub index: u64,
    pub id: String,
    pub agency: String,
    pub about: String,
    pub jurisdiction: String,
    pub logged_at: Moment,
    pub until: Moment,
    /// The text, an attachment; none once it has expired.
    pub text: Option<String>,
}

impl BulletinView {
    pub(super) fn of(record: &Record, told: &Told, now: Option<Time>) -> Self {
        let bulletin = &told.by.what;
        let shown = now.is_some_and(|now| now < bulletin.expires);
        Self {
            index: told.index,
            id: told.by.id.to_string(),
            agency: record.author(&told.by.author),
            about: words::codes(&[bulletin.about]),
            jurisdiction: bulletin.jurisdiction.to_string(),
            logged_at: told.by.logged_at.into(),
            until: bulletin.expires.into(),
            text: shown.then(|| bulletin.text.to_string()),
        }
    }
}

#[derive(Debug)]
pub struct PublicationView {
    pub index: u64,
    pub id: String,
    pub logged_at: Moment,
    pub until: Moment,
    pub state: &'static str,
    /// It can be fetched.
    pub open: bool,
}

impl PublicationView {
    pub(super) fn of(given: &Given, now: Option<Time>) -> Self {
        // Before the first checkpoint nothing counts.
        let state = now.map(|now| given.state(now));
        Self {
            index: given.index,
            id: given.id.to_string(),
            logged_at: given.logged_at.into(),
            until: given.expires.into(),
            state: match state {
                Some(PublicState::Public) => "Public",
                Some(PublicState::Withdrawn) => "Taken back",
                Some(PublicState::Expired) | None => "Over",
            },
            open: state == Some(PublicState::Public),
        }
    }
}
