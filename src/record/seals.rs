//! Sealed fields: whose, until when, and what became of them.

use super::{Record, Said};
use crate::digest::StatementId;
use crate::statement::Author;
use crate::statement::Statement;
use crate::statement::kinds::erasure::ErasureBasis;
use crate::statement::rules::seals::SealedField;
use crate::statement::sealed::SealDigest;
use crate::statement::words::{Day, Investigation};
use crate::time::Time;

/// A sealed field.
#[derive(Debug)]
pub struct Sealed {
    /// The statement that it stands in.
    pub statement: StatementId,
    pub author: Author,
    /// The name that its opening has.
    pub name: &'static str,
    /// The case that it belongs to.
    pub investigation: Option<Investigation>,
    /// The day by whose end it is due; court orders move it.
    pub open_by: Day,
    /// The `unsealing`, and the attachment with the opening.
    pub opened: Option<(StatementId, SealDigest)>,
    /// The `erasure` of what opens it.
    pub erased: Option<(StatementId, ErasureBasis)>,
}

impl Sealed {
    /// Whether it should have been opened before `now`.
    pub fn is_overdue(&self, now: Time) -> bool {
        self.opened.is_none() && self.erased.is_none() && self.open_by.is_over(now)
    }
}

impl Record {
    pub(super) fn seal(&mut self, said: &Said, name: &'static str, field: &SealedField) {
        let investigation = match &said.statement {
            Statement::AccessRequest(request) => Some(request.investigation.clone()),
            Statement::LegalDemand(demand) => demand.investigation.clone(),
            _ => None,
        };
        let sealed = Sealed {
            statement: said.id,
            author: said.author.clone(),
            name,
            investigation,
            open_by: field.open_by.clone(),
            opened: None,
            erased: None,
        };
        self.seals.insert(field.digest, sealed);
    }
}
