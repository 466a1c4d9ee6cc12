//! Findings: what does not fit together in what the log's statements report.
//!
//! The rules gate permissions; reports are recorded whatever they report. What they give away when
//! held against each other is found here, by one pure function of the log, the time, and the
//! openings that were published. A finding accuses nobody: it says which statements do not agree, and
//! anyone who replays the log comes to the same ones.
//!
//! Not here: what the rules forbid (a refusal), and whether the log itself holds ([`crate::watch`]).

mod benefits;
mod compelled;
mod custody;
mod seals;
mod terms;

use serde::{Deserialize, Serialize};

use super::Record;
use crate::digest::StatementId;
use crate::statement::kinds::annotation::Remark;
use crate::statement::kinds::insider_access::AccessReason;
use crate::statement::sealed::SealDigest;
use crate::statement::words::codes;
use crate::time::Time;

codes! {
    /// What kind of finding.
    FindingCode {
        /// An agency is paid for each download of an app.
        AgencyIsPaid = "agency-is-paid",
        /// An agency has to promote a product.
        AgencyPromotes = "agency-promotes",
        /// What was given is under no agreement.
        BenefitWithoutAgreement = "benefit-without-agreement",
        /// Case numbers opened in one investigation are not the same.
        CaseNumbersDiffer = "case-numbers-differ",
        /// The other side confirms something else than was reported.
        ConfirmationDiffers = "confirmation-differs",
        /// A process that does not reach content demanded or brought it.
        ContentWithoutWarrant = "content-without-warrant",
        /// More accounts or other records were given than were demanded.
        CountsDisagree = "counts-disagree",
        /// A credit bought what the agreement does not let it buy.
        CreditMisused = "credit-misused",
        /// A credit is not what the agreement reckons for so many downloads.
        CreditOffTerms = "credit-off-terms",
        /// An agency has collected, and has not said what became of it.
        CustodyOverdue = "custody-overdue",
        /// An agency reports custody of what it never collected.
        CustodyWithoutCollection = "custody-without-collection",
        /// An agency gets data that no court was asked for.
        DataWithoutProcess = "data-without-process",
        /// Telling those concerned was put off without a court's order.
        DelayWithoutOrder = "delay-without-order",
        /// It was collected, and nothing usable came.
        DeliveryFailed = "delivery-failed",
        /// Another party says that it is not so.
        Disputed = "disputed",
        /// Demanded in an investigation in which residents had been asked before.
        Escalated = "escalated",
        /// An agency deals with one vendor alone.
        Exclusive = "exclusive",
        /// An agency gets equipment.
        GetsEquipment = "gets-equipment",
        /// It is kept from the public.
        KeptSecret = "kept-secret",
        /// What was published as an opening does not open its field as it should.
        Misopened = "misopened",
        /// More film was given than the window of the request and half an hour for each clip.
        MoreThanAsked = "more-than-asked",
        /// Nobody answered a demand by its day.
        NoResponse = "no-response",
        /// A message to somebody concerned was destroyed, by no court's order.
        NoticeErased = "notice-erased",
        /// Those concerned were not told by the day on which they were to be.
        NoticeOverdue = "notice-overdue",
        /// What was given, the agreement has no term for, or less.
        OutsideTerms = "outside-terms",
        /// More credit was redeemed than accrued, or more given back than came.
        Overdrawn = "overdrawn",
        /// A party is paid for each download of an app.
        PaidPerDownload = "paid-per-download",
        /// An agency says nothing in public that another has not approved.
        PublicityApproval = "publicity-approval",
        /// It was made public long after it took effect.
        PublishedLate = "published-late",
        /// Public money pays for a vendor's product.
        PublicMoney = "public-money",
        /// A response to a demand that no entry holds.
        ResponseWithoutDemand = "response-without-demand",
        /// Footage is kept beyond the day that was reported.
        RetentionOver = "retention-over",
        /// What opens a sealed field was destroyed, by no court's order.
        SealErased = "seal-erased",
        /// A sealed field was not opened by its day.
        SealOverdue = "seal-overdue",
        /// Side agreements are not ruled out.
        SideAgreements = "side-agreements",
        /// An agency's staff buy cheaper.
        StaffDiscount = "staff-discount",
        /// Staff looked without a reason.
        UnauthorisedAccess = "unauthorised-access",
    }
}

impl FindingCode {
    /// What it says, as a title.
    pub fn title(self) -> &'static str {
        match self {
            Self::AgencyIsPaid => "The police are paid for each app download",
            Self::AgencyPromotes => "The police promote a product",
            Self::BenefitWithoutAgreement => "Given under no agreement",
            Self::CaseNumbersDiffer => "Case numbers of one case differ",
            Self::ConfirmationDiffers => "The two sides report different things",
            Self::ContentWithoutWarrant => "Footage without a warrant",
            Self::CountsDisagree => "More was given than was demanded",
            Self::CreditMisused => "A credit bought something else",
            Self::CreditOffTerms => "A credit is not what was agreed",
            Self::CustodyOverdue => "Nobody says what became of the footage",
            Self::CustodyWithoutCollection => "Custody of what was never collected",
            Self::DataWithoutProcess => "The police get data without legal process",
            Self::DelayWithoutOrder => "Put off without a court’s order",
            Self::DeliveryFailed => "Nothing usable came",
            Self::Disputed => "It is disputed",
            Self::Escalated => "Asked first, then compelled",
            Self::Exclusive => "The police deal with one vendor alone",
            Self::GetsEquipment => "The police receive equipment",
            Self::KeptSecret => "The program is kept secret",
            Self::Misopened => "It was not opened as it was sealed",
            Self::MoreThanAsked => "More footage than was asked for",
            Self::NoResponse => "Nobody has answered",
            Self::NoticeErased => "A message to those concerned was destroyed",
            Self::NoticeOverdue => "Those concerned were not told in time",
            Self::OutsideTerms => "Given beyond what was agreed",
            Self::Overdrawn => "More was spent than there was",
            Self::PaidPerDownload => "Payment for each app download",
            Self::PublicityApproval => "The police ask before they speak",
            Self::PublishedLate => "It was made public late",
            Self::PublicMoney => "Public money pays for it",
            Self::ResponseWithoutDemand => "An answer to no demand on record",
            Self::RetentionOver => "Kept longer than was said",
            Self::SealErased => "What would open it was destroyed",
            Self::SealOverdue => "It should have been opened",
            Self::SideAgreements => "Side agreements are not ruled out",
            Self::StaffDiscount => "Police staff buy cheaper",
            Self::UnauthorisedAccess => "Staff looked without a reason",
        }
    }
}

/// Something that a reader would want to be told about a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub code: FindingCode,
    /// The statement that it is about.
    pub about: StatementId,
    /// Other statements that it rests on.
    pub with: Vec<StatementId>,
    /// In plain words; no part of the contract.
    pub detail: String,
}

/// Attachments that a reader has: their bytes by digest.
pub type Attachments<'a> = &'a dyn Fn(&SealDigest) -> Option<Vec<u8>>;

/// A reader without attachments: what rests on openings is not found.
pub fn no_attachments(_: &SealDigest) -> Option<Vec<u8>> {
    None
}

/// All findings in a record at `now`, in the order of the statements' kinds and of the log.
pub fn findings(record: &Record, now: Time, attachments: Attachments<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    terms::find(record, &mut all);
    benefits::find(record, &mut all);
    seals::find(record, now, attachments, &mut all);
    custody::find(record, now, &mut all);
    compelled::find(record, now, &mut all);
    remarks(record, &mut all);
    all
}

fn remarks(record: &Record, all: &mut Vec<Finding>) {
    for remark in &record.annotations {
        if remark.what.remark == Remark::Dispute {
            all.push(Finding {
                code: FindingCode::Disputed,
                about: remark.what.about,
                with: vec![remark.id],
                detail: format!("{} says that it is not so.", remark.author),
            });
        }
    }
    for access in &record.insiders {
        if access.what.reason == AccessReason::Unauthorised {
            let (staff, system) = (&access.what.staff, &access.what.system);
            all.push(Finding {
                code: FindingCode::UnauthorisedAccess,
                about: access.id,
                with: Vec::new(),
                detail: format!("{staff} of {} looked through {system}.", access.author),
            });
        }
    }
}

#[cfg(test)]
mod tests;
