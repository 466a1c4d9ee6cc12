//! Notices at the gate: which messages a device was given, and whether one that it opened may be
//! shown as genuine.

use super::{Fault, live, readable};
use crate::client::attachment_matches;
use crate::encoding::from_base64;
use crate::seal::clip::OpenError;
use crate::seal::notice::{self, NoticeKey};
use crate::statement::facts::{DemandFact, KeyFact};
use crate::statement::kinds::demand_response::DemandResponse;
use crate::statement::kinds::legal_demand::LegalDemand;
use crate::statement::kinds::notice::Notice;
use crate::statement::sealed::{Opening, SealDigest};
use crate::statement::words::{PartyId, Role};
use crate::time::Time;
use crate::tlog::tree::LeafIndex;
use crate::wire::notice::Message;
use crate::wire::statements::BundledRequest;

/// What the own copy of the log says of a notice.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticeClaim {
    pub index: LeafIndex,
    pub logged_at: Time,
    pub by: PartyId,
    pub body: Notice,
    /// Why the log's rules forbid it, if they do.
    pub forbidden: Option<String>,
    /// The keys that signed it.
    pub signers: Vec<KeyFact>,
    /// The demand, and what the rules keep of it; none if the log has no such demand.
    pub demand: Option<(LegalDemand, DemandFact)>,
    /// The answers to the demand that stand in the log.
    pub responses: Vec<DemandResponse>,
    pub operator: Option<PartyId>,
}

/// What became of one message of a notice.
#[derive(Debug)]
pub enum Tried {
    /// It is for somebody else.
    Foreign,
    /// It is this owner's: what it says, or why it does not open. No other device can tell that it
    /// is broken, so nothing that is seen outside may come of it.
    Own(Result<Vec<u8>, OpenError>),
    /// It was not given, is not the one in the log, or is of another length: every device finds so.
    Fault(Fault),
}

/// Tries every message of a notice, given by a server; in the notice's order.
pub fn try_all(key: &NoticeKey, messages: &[SealDigest], given: &BundledRequest) -> Vec<Tried> {
    let openings: Vec<_> = given
        .attachments
        .iter()
        .map(|attachment| Opening::parse(&attachment.opening).ok())
        .collect();
    let try_one = |digest: &SealDigest| {
        let of =
            |opening: &Option<Opening>| opening.as_ref().is_some_and(|o| o.digest() == *digest);
        // In their order, as a rule: the first to be looked at is the right one.
        let at = openings.iter().position(of);
        let Some((opening, given)) =
            at.and_then(|at| Some((openings[at].as_ref()?, &given.attachments[at])))
        else {
            return Tried::Fault(Fault::Withheld("message"));
        };
        let bytes = match from_base64(&given.data) {
            Ok(bytes) if attachment_matches(opening, digest, &bytes) => bytes,
            _ => return Tried::Fault(Fault::Swapped("message")),
        };
        if bytes.len() != notice::SIZE {
            let why = format!("{} bytes, where a notice has {}", bytes.len(), notice::SIZE);
            return Tried::Fault(Fault::Unreadable("message", why));
        }
        match key.open(&bytes) {
            None => Tried::Foreign,
            Some(opened) => Tried::Own(opened),
        }
    };
    messages.iter().map(try_one).collect()
}

/// What an opened message says, if it is what it claims to be.
///
/// # Errors
/// Why it is shown as false.
pub fn check_notice(claim: &NoticeClaim, plain: &[u8]) -> Result<Message, Fault> {
    if let Some(why) = &claim.forbidden {
        return Err(Fault::Forbidden(why.clone()));
    }
    let (demand, fact) = claim.demand.as_ref().ok_or(Fault::NoDemand)?;
    if claim.operator.as_ref() != Some(&claim.by) && claim.by != fact.upon {
        return Err(Fault::WrongSender(claim.by.clone()));
    }
    let [signer] = claim.signers.as_slice() else {
        return Err(Fault::AgencyKey(claim.by.clone()));
    };
    let roles = [Role::Admin, Role::Officer];
    if !live(signer, &claim.by, &roles, claim.index, claim.logged_at) {
        return Err(Fault::AgencyKey(claim.by.clone()));
    }
    let unreadable = |why: String| Fault::Unreadable("message", why);
    let mut message = Message::parse(plain).map_err(|error| unreadable(error.to_string()))?;
    if message.demand != claim.body.demand {
        return Err(Fault::OtherDemand);
    }
    if message.process != demand.process {
        return Err(Fault::Contradicts("process"));
    }
    if message.investigation != demand.investigation {
        return Err(Fault::Contradicts("investigation"));
    }
    if let Some(day) = &message.effective_on {
        let tells = |answer: &DemandResponse| {
            answer.effective_on == *day
                && message
                    .records
                    .iter()
                    .all(|kind| answer.records.contains(kind))
        };
        if !claim.responses.iter().any(tells) {
            return Err(Fault::Contradicts("answer"));
        }
    }
    message.text = readable(message.text.into_bytes())?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Digest, StatementId};
    use crate::encoding::base64;
    use crate::seal::keys::Phrase;
    use crate::seal::notice::seal;
    use crate::statement::kinds::Kind as _;
    use crate::statement::kinds::legal_demand::ProcessKind;
    use crate::statement::kinds::notice::NoticeState;
    use crate::statement::sealed::AttachmentValue;
    use crate::statement::words::RecordKind;
    use crate::wire::statements::BundledAttachment;

    fn key(byte: u8) -> NoticeKey {
        Phrase::from_entropy(&[byte; 32]).seed().notice_key()
    }

    fn attachment(salt: u8, bytes: &[u8]) -> (SealDigest, BundledAttachment) {
        let value = AttachmentValue {
            sha256: Digest::of(bytes),
            size: bytes.len() as u64,
            media_type: "application/age".parse().unwrap(),
        };
        let opening = Opening::attachment(&[salt; 16], &value).unwrap();
        let given = BundledAttachment {
            opening: opening.encode().to_owned(),
            data: base64(bytes),
        };
        (opening.digest(), given)
    }

    /// A notice for keys 1 and 2, as a server gives it.
    fn given() -> (Vec<SealDigest>, BundledRequest) {
        let message = |byte: u8| {
            let text = format!("to {byte}").into_bytes();
            attachment(byte, &seal(text, &key(byte).recipient()).unwrap())
        };
        let (digests, attachments) = [1, 2].map(message).into_iter().unzip();
        let id = StatementId::from_bytes([1; 32]);
        (digests, BundledRequest { id, attachments })
    }

    #[test]
    fn each_owner_opens_the_own_message() {
        let (digests, given) = given();
        for own in [1, 2] {
            let mut tried = try_all(&key(own), &digests, &given);
            let Tried::Own(Ok(plain)) = tried.remove(usize::from(own) - 1) else {
                panic!("{own}: {tried:?}");
            };
            assert_eq!(plain, format!("to {own}").into_bytes());
            assert!(matches!(tried[..], [Tried::Foreign]));
        }
        let other = try_all(&key(3), &digests, &given);
        assert!(matches!(other[..], [Tried::Foreign, Tried::Foreign]));
    }

    #[test]
    fn a_broken_message_is_a_fault_to_nobody() {
        for broken_at in [notice::SIZE / 2, notice::SIZE - 1, 150] {
            let mut bytes = seal(b"to 1".to_vec(), &key(1).recipient()).unwrap();
            bytes[broken_at] = if bytes[broken_at] == b'A' { b'B' } else { b'A' };
            let (digest, broken) = attachment(1, &bytes);
            let given = BundledRequest {
                id: StatementId::from_bytes([1; 32]),
                attachments: vec![broken],
            };
            let own = try_all(&key(1), &[digest], &given);
            assert!(matches!(own[..], [Tried::Own(Err(_))]), "{own:?}");
            let other = try_all(&key(2), &[digest], &given);
            assert!(matches!(other[..], [Tried::Foreign]), "{other:?}");
        }
    }

    #[test]
    fn what_a_server_withholds_swaps_or_blows_up_is_said() {
        let (mut digests, honest) = given();
        let faults =
            |digests: &[SealDigest], given: &BundledRequest| -> Vec<Option<&'static str>> {
                let tried = try_all(&key(3), digests, given).into_iter();
                let code = |tried| match tried {
                    Tried::Fault(fault) => Some(fault.code()),
                    _ => None,
                };
                tried.map(code).collect()
            };
        let mut missing = honest.clone();
        missing.attachments.remove(0);
        assert_eq!(faults(&digests, &missing), [Some("withheld"), None]);
        let mut swapped = honest.clone();
        swapped.attachments[0].data = swapped.attachments[1].data.clone();
        assert_eq!(faults(&digests, &swapped), [Some("swapped"), None]);
        // Another message under an opening of its own is none of the log's.
        let mut foreign = honest.clone();
        foreign.attachments[0] = attachment(9, &[0; notice::SIZE]).1;
        assert_eq!(faults(&digests, &foreign), [Some("withheld"), None]);
        // The order does not matter.
        let mut turned = honest.clone();
        turned.attachments.reverse();
        assert_eq!(faults(&digests, &turned), [None, None]);
        let (digest, long) = attachment(9, &[0; notice::SIZE + 1]);
        let mut oversized = honest;
        oversized.attachments[0] = long;
        digests[0] = digest;
        assert_eq!(faults(&digests, &oversized), [Some("unreadable"), None]);
    }

    fn claim() -> NoticeClaim {
        let party: PartyId = "ledger.example".parse().unwrap();
        let demand = LegalDemand {
            process: ProcessKind::SearchWarrant,
            investigation: None,
            ..LegalDemand::example()
        };
        let fact = DemandFact {
            kind: demand.process,
            agency: demand.agency.clone(),
            upon: party.clone(),
            by_court: false,
            response: None,
            notice_after: None,
        };
        NoticeClaim {
            index: LeafIndex::new(9),
            logged_at: "2022-12-20T10:00:00Z".parse().unwrap(),
            by: party.clone(),
            body: Notice {
                state: NoticeState::Sent,
                messages: vec![SealDigest::from_bytes([1; 32])],
                until: None,
                grounds: Vec::new(),
                ..Notice::example()
            },
            forbidden: None,
            signers: vec![KeyFact {
                party: Some(party.clone()),
                role: Some(Role::Officer),
                label: None,
                added: LeafIndex::new(0),
                usable_from: "2022-01-01T00:00:00Z".parse().unwrap(),
                revoked: None,
            }],
            demand: Some((demand, fact)),
            responses: vec![DemandResponse::example()],
            operator: Some(party),
        }
    }

    fn message() -> Message {
        Message {
            effective_on: Some("2019-07-01".parse().unwrap()),
            records: vec![RecordKind::ClipCiphertext],
            text: "Your clip\u{1b}[2J was given.\u{202e}".to_owned(),
            ..Message::new(claim().body.demand, ProcessKind::SearchWarrant)
        }
    }

    #[test]
    fn a_notice_is_what_the_log_says_or_it_is_false() {
        let genuine = message().to_json().unwrap();
        let read = check_notice(&claim(), &genuine).unwrap();
        assert_eq!(read.text, "Your clip[2J was given.", "commands no terminal");

        let claimed = |alter: fn(&mut NoticeClaim)| {
            let mut claim = claim();
            alter(&mut claim);
            check_notice(&claim, &genuine).unwrap_err().code()
        };
        assert_eq!(claimed(|c| c.demand = None), "no-demand");
        assert_eq!(claimed(|c| c.forbidden = Some("why".into())), "forbidden");
        assert_eq!(
            claimed(|c| c.by = "doorbell.example".parse().unwrap()),
            "wrong-sender"
        );
        assert_eq!(claimed(|c| c.signers.clear()), "agency-key");
        assert_eq!(
            claimed(|c| c.signers[0].revoked = Some(LeafIndex::new(8))),
            "agency-key"
        );
        assert_eq!(
            claimed(|c| c.signers[0].role = Some(Role::Service)),
            "agency-key"
        );
        assert_eq!(
            claimed(|c| c.body.demand = StatementId::from_bytes([13; 32])),
            "other-demand"
        );
        assert_eq!(claimed(|c| c.responses.clear()), "contradicts");

        let told = |alter: fn(&mut Message)| {
            let mut message = message();
            alter(&mut message);
            let text = message.to_json().unwrap();
            check_notice(&claim(), &text).unwrap_err().code()
        };
        assert_eq!(told(|m| m.process = ProcessKind::Subpoena), "contradicts");
        assert_eq!(
            told(|m| m.investigation = Some("0f".repeat(16).parse().unwrap())),
            "contradicts"
        );
        assert_eq!(
            told(|m| m.effective_on = Some("2019-07-02".parse().unwrap())),
            "contradicts"
        );
        assert_eq!(
            told(|m| m.records = vec![RecordKind::Payment]),
            "contradicts"
        );
        let refused = check_notice(&claim(), b"you were told").unwrap_err();
        assert_eq!(refused.code(), "unreadable");
    }
}
