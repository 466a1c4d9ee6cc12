//! Statements: envelopes, payloads, leaves, sealed fields, scopes, and the words in them.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use whosaw::digest::{Digest, StatementId};
use whosaw::reader::replay;
use whosaw::seal::recipient::Recipient;
use whosaw::statement::envelope::{Envelope, MAX_ENVELOPE, MAX_PAYLOAD};
use whosaw::statement::facts::FactMap;
use whosaw::statement::key::PublicKey;
use whosaw::statement::leaf::{Leaf, MAX_LEAF};
use whosaw::statement::scope::Scope;
use whosaw::statement::sealed::{
    MAX_ATTACHMENT, MAX_OPENING, MIN_SALT, MediaType, Opening, SealDigest,
};
use whosaw::statement::words;
use whosaw::statement::{Signed, parse_payload, payload, rules};
use whosaw::time::Time;
use whosaw::tlog::checkpoint::Origin;
use whosaw::tlog::hash::Hash;
use whosaw::tlog::note::{KeyName, VerifierKey};
use whosaw::tlog::tree::{LeafIndex, TreeSize};
use whosaw::wire::vault::HexId;

use crate::known;

/// An envelope is read back as it is written; only the known one's signatures verify.
pub fn envelope(input: &[u8]) -> bool {
    let Ok(envelope) = Envelope::parse(input) else {
        return false;
    };
    assert!(input.len() <= MAX_ENVELOPE && envelope.payload.len() <= MAX_PAYLOAD);
    assert_eq!(Envelope::parse(&envelope.to_json()).as_ref(), Ok(&envelope));
    let Ok(signers) = envelope.verify() else {
        return false;
    };
    assert!(!signers.is_empty() && signers.len() == envelope.signatures.len());
    assert_eq!(envelope.payload, known::PAYLOAD);
    for signature in &envelope.signatures {
        assert!(known::ENVELOPE.signatures.contains(signature), "forged");
    }
    true
}

/// A payload has one spelling; whoever signs it, and whenever, the rules answer, and admit it once.
pub fn statement(input: &[u8]) -> bool {
    let Ok((head, statement)) = parse_payload(input) else {
        return false;
    };
    assert!(payload(&head, &statement) == input);
    let mut signed = Signed {
        id: StatementId::of_payload(input),
        head,
        statement,
        signers: BTreeSet::new(),
        envelope: Envelope::sign(input.to_vec(), &[]),
    };
    for step in known::STEPS.iter() {
        signed.signers.clone_from(&step.signers);
        let judge = |facts: &FactMap| {
            let origin = known::CHECKPOINTS[0].origin.as_str();
            rules::judge(&signed, origin, step.index, step.logged_at, facts)
        };
        if let Ok(change) = judge(&step.facts) {
            let mut facts = step.facts.clone();
            facts.apply(signed.id, step.index, change);
            assert!(judge(&facts).is_err(), "admitted twice");
        }
    }
    true
}

/// A leaf has one spelling.
pub fn leaf(input: &[u8]) -> bool {
    let Ok(leaf) = Leaf::parse(input) else {
        return false;
    };
    assert!(input.len() <= MAX_LEAF);
    assert_eq!(leaf.to_bytes(), input);
    assert_eq!(leaf.logged_at, leaf.logged_at.cut_to_minute());
    if let Ok(read) = replay::read(input) {
        let again = replay::read_again(input).expect("it was read before");
        assert_eq!(read.signed, again.signed);
        let id = read.signed.id;
        assert!(known::STATEMENTS.contains(&id), "forged");
    }
    true
}

/// An opening keeps its text, whatever the spelling; its parts written anew mean the same.
pub fn opening(input: &[u8]) -> bool {
    let Some(Ok(opening)) = str::from_utf8(input).ok().map(Opening::parse) else {
        return false;
    };
    assert_eq!(opening.encode().as_bytes(), input);
    assert!(input.len() <= MAX_OPENING && opening.salt().len() >= MIN_SALT);
    assert_eq!(opening.digest().as_bytes(), Digest::of(input).as_bytes());
    assert!(!format!("{opening:?}").contains(opening.encode()));
    // The canonical spelling may be longer (`1e9`), and has no room for numbers like 1e999.
    if let Ok(written) = Opening::new(opening.salt(), opening.name(), opening.value()) {
        assert_eq!(written.salt(), opening.salt());
        assert_eq!(written.name(), opening.name());
    }
    if let Ok(value) = opening.as_attachment() {
        assert!(value.size <= MAX_ATTACHMENT);
        let written = Opening::attachment(opening.salt(), &value).expect("its parts are good");
        assert_eq!(written.as_attachment(), Ok(value));
    }
    true
}

/// A scope means the same when written anew.
pub fn scope(input: &[u8]) -> bool {
    let Ok(scope) = Scope::parse(input) else {
        return false;
    };
    assert!(scope.from < scope.until && scope.window_minutes() > 0);
    let _ = scope.ring.bounding_area_m2();
    assert_eq!(Scope::parse(scope.to_geojson().as_bytes()), Ok(scope));
    true
}

/// Keys, ids, numbers, times and words have one spelling each.
pub fn text(input: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(input) else {
        return false;
    };
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert!(!key.fingerprint().is_empty() && key.wraps_key_of(&key));
    }
    if let Ok(origin) = text.parse::<Origin>() {
        assert!(text.starts_with(origin.host()));
    }
    let accepted = [
        one_spelling::<VerifierKey>(text),
        one_spelling::<PublicKey>(text),
        one_spelling::<Recipient>(text),
        one_spelling::<Hash>(text),
        one_spelling::<Digest>(text),
        one_spelling::<StatementId>(text),
        one_spelling::<SealDigest>(text),
        one_spelling::<HexId>(text),
        one_spelling::<LeafIndex>(text),
        one_spelling::<TreeSize>(text),
        one_spelling::<Time>(text),
        one_spelling::<KeyName>(text),
        one_spelling::<Origin>(text),
        one_spelling::<MediaType>(text),
        one_spelling::<words::PartyId>(text),
        one_spelling::<words::Name>(text),
        one_spelling::<words::Label>(text),
        one_spelling::<words::Jurisdiction>(text),
        one_spelling::<words::Currency>(text),
        one_spelling::<words::Day>(text),
        one_spelling::<words::Investigation>(text),
        one_spelling::<words::Offence>(text),
    ];
    accepted.contains(&true)
}

fn one_spelling<T: FromStr + Display>(text: &str) -> bool {
    let parsed = text.parse::<T>();
    if let Ok(value) = &parsed {
        assert_eq!(value.to_string(), text);
    }
    parsed.is_ok()
}
