//! Why a statement is refused: a stable code, the member at fault, and a sentence for people.
//!
//! Codes are part of the protocol: they end the `type` of an RFC 9457 problem
//! (`/problems/<code>`), and auditors print them as findings. They are never renamed.

use std::fmt;

use crate::encoding;

macro_rules! reasons {
    ($($variant:ident $code:literal $class:ident $title:literal)*) => {
        /// The stable reasons for a refusal; `docs/PROTOCOL.md` lists them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $(#[doc = $title] $variant,)* }

        impl Reason {
            /// Every reason, in the order of the protocol's list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it stands in a problem's `type` and in findings.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The reason with this code.
            pub fn of_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.code() == code)
            }

            /// What the code says, in one line.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// Which kind of fault it is.
            pub fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }
        }
    };
}

/// The kinds of fault, by who can mend them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The bytes are no statement: the sender's program is at fault.
    Form,
    /// The signatures are not those the statement needs.
    Signature,
    /// The statement is well formed, and the rules do not permit it.
    Rule,
    /// A rule that binds the server alone; an auditor does not replay it.
    Door,
    /// The statement comes after something that already stands in the log.
    Conflict,
}

reasons! {
    TooLarge "too-large" Form "The statement is larger than a leaf of the log may be"
    NotJson "not-json" Form "The body is not the JSON of an envelope"
    NotCanonical "not-canonical" Form "The payload differs from its own RFC 8785 form"
    UnknownMember "unknown-member" Form "A member that the format does not have"
    MissingMember "missing-member" Form "A member that the format requires is missing"
    BadValue "bad-value" Form "A member's value is not of the form required"
    UnknownType "unknown-type" Form "There is no such statement type or version"
    WrongPayloadType "wrong-payload-type" Form "The envelope's payload type is not a statement's"
    WrongLog "wrong-log" Form "The statement is bound to another log"
    WrongTime "wrong-time" Form "The time of issue is not cut, or not near the time of logging"

    BadSignature "bad-signature" Signature "A signature does not verify"
    BadKey "bad-key" Signature "A public key is weak or not canonically encoded"
    SignatureOrder "signature-order" Signature "Signatures are not in ascending order of key id, each once"
    MissingSignature "missing-signature" Signature "A required signature is missing"
    SurplusSignature "surplus-signature" Signature "A signature that the statement does not need"
    KeyNotLive "key-not-live" Signature "The signing key is revoked, still waiting, or of another role"
    WrongAuthor "wrong-author" Signature "The statement's author is not one that may say this"

    NotGenesis "not-genesis" Rule "A log begins with its operator's party, then its limits"
    LogClosed "log-closed" Conflict "The log is closed: nothing can be added to it"
    AlreadyLogged "already-logged" Conflict "The statement stands in the log already"
    UnknownParty "unknown-party" Rule "A party that the log does not know"
    PartySuspended "party-suspended" Rule "The party is suspended or withdrawn, or has never had keys"
    AlreadySo "already-so" Conflict "The log says so already, or what it says cannot become this"
    PartyExists "party-exists" Conflict "The party id is taken, for good"
    KeySeenBefore "key-seen-before" Conflict "The key or recipient has been seen in this log before"
    LastAdminKey "last-admin-key" Rule "A party keeps at least one admin key"
    UnknownReference "unknown-reference" Rule "A statement that the log does not know"
    WrongReference "wrong-reference" Rule "The statement referred to is of another type, or about others"
    NotInSuccession "not-in-succession" Conflict "The agreement has moved on, or cannot move this way"
    NoAgreement "no-agreement" Rule "No agreement, and no declaration of none, is in force"
    OutsideLimits "outside-limits" Rule "More than the ledger's limits allow"
    OutsideKind "outside-kind" Rule "More than a request of this kind may ask for"
    TooManyOpen "too-many-open" Rule "The investigation has as many open requests as the limits allow"
    SealOverdue "seal-overdue" Rule "A sealed field of this agency is long overdue"
    DigestSeenBefore "digest-seen-before" Conflict "A sealed field's or attachment's digest stands in the log already"
    AlreadyOpened "already-opened" Conflict "The sealed field has been opened"
    Erased "erased" Conflict "The attachment or opening has been erased"
    RequestClosed "request-closed" Rule "The request's deadline has passed, or its agency has closed it"
    RecipientMismatch "recipient-mismatch" Rule "The recipient is not the request's"
    TellsWho "tells-who" Rule "What is given to the public may not tell who gives it"
    CommitmentNotInBatch "commitment-not-in-batch" Rule "The commitment is not under the batch's root at that index"
    CommitmentSpent "commitment-spent" Conflict "The commitment has been disclosed before"
    Withdrawn "withdrawn" Conflict "The disclosure has been withdrawn"
    AlreadyCollected "already-collected" Conflict "The disclosure has been collected"
    Expired "expired" Rule "The disclosure has expired"
    AttachmentMissing "attachment-missing" Door "The bytes of an attachment have not been uploaded"
    OpeningMismatch "opening-mismatch" Door "The attachment is not what opens the sealed field"
    ScopeMismatch "scope-mismatch" Door "The scope is malformed, or says more than the request's public part"
    NoticeMismatch "notice-mismatch" Door "A message of a notice is not an age file of the one size that all have"
    TooSoon "too-soon" Rule "The batch period has not passed yet"
}

/// A refused statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// JSON Pointer (RFC 6901) of the member at fault; empty for the whole.
    pub member: String,
    /// What was found, and what would be accepted.
    pub detail: String,
}

impl Refusal {
    /// A refusal for `member` (a JSON Pointer, or empty).
    pub fn new(reason: Reason, member: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            reason,
            member: member.into(),
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            self.reason.code(),
            encoding::printable(&self.detail)
        )?;
        if !self.member.is_empty() {
            write!(f, " (at {})", encoding::printable(&self.member))?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// Either the rules refuse, or the facts could not be read.
#[derive(Debug)]
pub enum Verdict<E> {
    Refused(Refusal),
    Facts(E),
}

impl<E> From<Refusal> for Verdict<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_kebab_case_and_each_says_one_thing() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        let titles: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.title()).collect();
        assert_eq!(
            (codes.len(), titles.len()),
            (Reason::ALL.len(), Reason::ALL.len())
        );
        let kebab = |code: &&str| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(codes.iter().all(kebab));
    }

    #[test]
    fn what_is_printed_commands_no_terminal() {
        let envelope = "{\"\\u001b[2J\":1}";
        let refusal = crate::statement::Signed::read(envelope.as_bytes()).unwrap_err();
        assert_eq!(refusal.member, "/\u{1b}[2J");
        assert!(!refusal.to_string().contains(char::is_control), "{refusal}");
    }
}
