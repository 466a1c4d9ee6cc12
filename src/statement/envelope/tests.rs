use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use dsse::Verifier as _;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::*;
use crate::encoding::{base64, base64url};
use crate::statement::testing::{key, public};

const PAYLOAD: &[u8] = br#"{"type":"visit"}"#;

/// `PAYLOAD` signed by two keys, as JSON.
fn signed() -> Value {
    let envelope = Envelope::sign(PAYLOAD.to_vec(), &[&key("a"), &key("b")]);
    serde_json::from_slice(&envelope.to_json()).unwrap()
}

fn parse(value: &Value) -> Result<Envelope, Refusal> {
    Envelope::parse(&serde_json::to_vec(value).unwrap())
}

/// The reason and member for which an envelope with one value replaced is refused.
fn replaced(pointer: &str, value: Value) -> (Reason, String) {
    let mut envelope = signed();
    *envelope.pointer_mut(pointer).unwrap() = value;
    let refusal = parse(&envelope).unwrap_err();
    (refusal.reason, refusal.member)
}

fn at(reason: Reason, member: &str) -> (Reason, String) {
    (reason, member.to_owned())
}

#[test]
fn an_envelope_reads_back_as_it_was_written() {
    let envelope = parse(&signed()).unwrap();
    assert_eq!(Envelope::parse(&envelope.to_json()), Ok(envelope.clone()));
    assert_eq!(
        envelope.verify(),
        Ok(BTreeSet::from([public("a"), public("b")]))
    );
    assert_eq!(
        crate::statement::canonical::to_vec(&signed()),
        envelope.to_json()
    );
}

#[test]
fn signing_twice_changes_nothing() {
    let mut envelope = parse(&signed()).unwrap();
    envelope.add_signature(&key("a"));
    assert_eq!(Ok(envelope), parse(&signed()));
}

/// What is between members is nobody's concern: it is written anew when it is logged.
#[test]
fn white_space_and_the_order_of_members_are_free() {
    let [a, b, c] = ["payload", "payloadType", "signatures"].map(|m| signed()[m].to_string());
    let loose =
        format!("\n{{ \"signatures\" : {c} ,\t\"payloadType\":{b},\r\n\"payload\" :{a} }}\n");
    assert_eq!(Envelope::parse(loose.as_bytes()), parse(&signed()));
}

#[test]
fn surplus_missing_and_repeated_members_are_refused() {
    for (pointer, members) in [
        ("", ["payload", "payloadType", "signatures"].as_slice()),
        ("/signatures/1", &["keyid", "sig"]),
    ] {
        for member in members {
            let mut envelope = signed();
            let object = envelope.pointer_mut(pointer).unwrap();
            object.as_object_mut().unwrap().remove(*member);
            let refusal = parse(&envelope).unwrap_err();
            assert_eq!(
                (refusal.reason, refusal.member),
                at(Reason::MissingMember, &format!("{pointer}/{member}"))
            );
            let text = signed().to_string();
            let value = signed().pointer(pointer).unwrap()[member].to_string();
            let pair = format!("\"{member}\":{value}");
            let same = text.replacen(&pair, &format!("{pair},{pair}"), 1);
            assert_ne!(same, text);
            assert_eq!(
                Envelope::parse(same.as_bytes()).unwrap_err().reason,
                Reason::BadValue,
                "{member} twice"
            );
        }
        let mut envelope = signed();
        envelope.pointer_mut(pointer).unwrap()["url"] = json!("x");
        let refusal = parse(&envelope).unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.member),
            at(Reason::UnknownMember, &format!("{pointer}/url"))
        );
    }
}

#[test]
fn structures_written_as_arrays_are_refused() {
    let envelope = signed();
    let whole = json!([
        envelope["payload"],
        envelope["payloadType"],
        envelope["signatures"]
    ]);
    assert_eq!(parse(&whole).unwrap_err().reason, Reason::NotCanonical);
    let first = &envelope["signatures"][0];
    let part = json!([first["keyid"], first["sig"]]);
    assert_eq!(
        replaced("/signatures/0", part),
        at(Reason::NotCanonical, "")
    );
}

#[test]
fn texts_in_a_second_spelling_are_refused() {
    let payload = base64(PAYLOAD);
    assert!(payload.ends_with("=="), "so that padding is at stake");
    for other in [
        payload.trim_end_matches('=').to_owned(),
        format!("{payload}\n"),
        payload.replace("Q==", "R=="),
        base64url([0xff; 4]) + "==",
    ] {
        assert_ne!(other, payload);
        assert_eq!(
            replaced("/payload", json!(other)),
            at(Reason::BadValue, "/payload")
        );
    }
    let sig = signed()["signatures"][0]["sig"]
        .as_str()
        .unwrap()
        .to_owned();
    for other in [
        sig.trim_end_matches('=').to_owned(),
        base64([1; 63]),
        base64([1; 65]),
        String::new(),
    ] {
        assert_eq!(
            replaced("/signatures/0/sig", json!(other)),
            at(Reason::BadValue, "/signatures/0/sig")
        );
    }
    for other in [
        "",
        "application/json",
        "application/vnd.whosaw.statement+JSON",
    ] {
        assert_eq!(
            replaced("/payloadType", json!(other)),
            at(Reason::WrongPayloadType, "/payloadType")
        );
    }
    for (pointer, value) in [
        ("/payload", Value::Null),
        ("/payload", json!([1])),
        ("/signatures", json!({})),
        ("/signatures", Value::Null),
        ("/signatures/0", json!("x")),
        ("/signatures/1/sig", json!(7)),
    ] {
        assert_eq!(replaced(pointer, value), at(Reason::BadValue, pointer));
    }
}

#[test]
fn keys_that_are_none_are_refused() {
    let of = |bytes: [u8; 32]| format!("ed25519:{}", base64url(bytes));
    let good = public("a").to_string();
    let identity_written_as_p_plus_1 = {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xee, 0x7f);
        bytes
    };
    let off_the_curve = {
        let mut bytes = [0; 32];
        bytes[0] = 2;
        assert!(CompressedEdwardsY(bytes).decompress().is_none());
        bytes
    };
    let mut bad = vec![
        String::new(),
        good.replace("ed25519:", ""),
        good.to_uppercase(),
        format!("{good}="),
        of(identity_written_as_p_plus_1),
        of(off_the_curve),
    ];
    bad.extend(EIGHT_TORSION.map(|point| of(point.compress().to_bytes())));
    for key in bad {
        assert_eq!(
            replaced("/signatures/1/keyid", json!(key)),
            at(Reason::BadKey, "/signatures/1/keyid"),
            "{key}"
        );
    }
}

#[test]
fn signatures_are_there_sorted_and_single() {
    assert_eq!(
        replaced("/signatures", json!([])),
        at(Reason::MissingSignature, "/signatures")
    );
    let two = signed()["signatures"].clone();
    for other in [json!([two[1], two[0]]), json!([two[0], two[0]])] {
        assert_eq!(
            replaced("/signatures", other),
            at(Reason::SignatureOrder, "/signatures/1/keyid")
        );
    }
    assert_eq!(
        replaced("/signatures", json!([two[0], two[1], two[1]])),
        at(Reason::SignatureOrder, "/signatures/2/keyid")
    );
}

#[test]
fn sizes_have_their_bounds() {
    let largest = Envelope::sign(vec![b'x'; MAX_PAYLOAD], &[&key("a")]);
    assert_eq!(Envelope::parse(&largest.to_json()), Ok(largest));
    let larger = Envelope::sign(vec![b'x'; MAX_PAYLOAD + 1], &[&key("a")]);
    let refusal = Envelope::parse(&larger.to_json()).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.member),
        at(Reason::TooLarge, "/payload")
    );

    let mut padded = signed().to_string().into_bytes();
    padded.resize(MAX_ENVELOPE, b' ');
    assert_eq!(Envelope::parse(&padded), parse(&signed()));
    padded.push(b' ');
    assert_eq!(
        Envelope::parse(&padded).unwrap_err().reason,
        Reason::TooLarge
    );
}

#[test]
fn bytes_that_are_no_envelope_are_refused() {
    let text = signed().to_string();
    for (bytes, reason) in [
        (b"".to_vec(), Reason::NotJson),
        (b"\xff\xfe".to_vec(), Reason::NotJson),
        (format!("{text}x").into_bytes(), Reason::NotJson),
        (format!("{text}{text}").into_bytes(), Reason::NotJson),
        (format!("\u{feff}{text}").into_bytes(), Reason::NotJson),
        (text.as_bytes()[..text.len() - 1].to_vec(), Reason::NotJson),
        (b"null".to_vec(), Reason::BadValue),
        (b"\"\"".to_vec(), Reason::BadValue),
        (vec![b'['; MAX_ENVELOPE], Reason::BadValue),
        (br#"{"payload":"#.repeat(5000), Reason::BadValue),
        (br#"{"a":"#.repeat(10_000), Reason::UnknownMember),
    ] {
        let refusal = Envelope::parse(&bytes).unwrap_err();
        assert_eq!(refusal.reason, reason, "{refusal}");
    }
}

/// A signature whose equation holds up to a point of small order: `T` in the public key or in `R`.
struct Crafted {
    key: EdwardsPoint,
    r: EdwardsPoint,
    s: Scalar,
    challenge: Scalar,
}

impl Crafted {
    fn new(nonce: u64, in_key: EdwardsPoint, in_r: EdwardsPoint, message: &[u8]) -> Self {
        let (secret, nonce) = (Scalar::from(0x5eed_u64), Scalar::from(nonce));
        let key = ED25519_BASEPOINT_TABLE * &secret + in_key;
        let r = ED25519_BASEPOINT_TABLE * &nonce + in_r;
        let hash = Sha512::new()
            .chain_update(r.compress().as_bytes())
            .chain_update(key.compress().as_bytes())
            .chain_update(message);
        let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        Self {
            key,
            r,
            s: nonce + challenge * secret,
            challenge,
        }
    }

    /// S·B − R − h·A: zero if the signature is valid, of small order if a check with cofactor (as
    /// in batches) accepts it.
    fn rest(&self) -> EdwardsPoint {
        ED25519_BASEPOINT_TABLE * &self.s - self.r - self.challenge * self.key
    }

    fn envelope(&self) -> Envelope {
        let key = PublicKey::from_bytes(self.key.compress().to_bytes()).unwrap();
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(self.r.compress().as_bytes());
        signature[32..].copy_from_slice(self.s.as_bytes());
        Envelope {
            payload: PAYLOAD.to_vec(),
            signatures: vec![(key, signature)],
        }
    }
}

#[test]
fn what_only_a_check_with_cofactor_accepts_is_refused() {
    let message = pae(PAYLOAD_TYPE, PAYLOAD);
    let none = EdwardsPoint::default();
    assert!(
        Crafted::new(1, none, none, &message)
            .envelope()
            .verify()
            .is_ok()
    );

    let mut refused = 0;
    for nonce in 1..20 {
        for torsion in &EIGHT_TORSION[1..] {
            for (in_key, in_r) in [(*torsion, none), (none, *torsion), (*torsion, *torsion)] {
                let crafted = Crafted::new(nonce, in_key, in_r, &message);
                let rest = crafted.rest();
                assert!(rest.mul_by_cofactor().is_identity());
                let verdict = crafted.envelope().verify();
                assert_eq!(verdict.is_ok(), rest.is_identity());
                if let Err(refusal) = verdict {
                    assert_eq!(
                        (refusal.reason, refusal.member),
                        at(Reason::BadSignature, "/signatures/0/sig")
                    );
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

/// The order of the base point, 2²⁵² + 27742317777372353535851937790883648493, little-endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn a_signature_has_one_spelling() {
    let valid = Envelope::sign(PAYLOAD.to_vec(), &[&key("a")]);
    let mut s_plus_l = valid.clone();
    let mut carry = 0;
    for (byte, l) in s_plus_l.signatures[0].1[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
    // The same residue: only the bound S < L tells the two apart.
    let residue = |envelope: &Envelope| {
        let s: [u8; 32] = envelope.signatures[0].1[32..].try_into().unwrap();
        Scalar::from_bytes_mod_order(s)
    };
    assert_eq!(residue(&s_plus_l), residue(&valid));
    assert!(valid.verify().is_ok());
    assert_eq!(s_plus_l.verify().unwrap_err().reason, Reason::BadSignature);
}

#[test]
fn the_first_signature_that_fails_is_named() {
    let mut envelope = parse(&signed()).unwrap();
    envelope.signatures[1].1[0] ^= 1;
    assert_eq!(envelope.verify().unwrap_err().member, "/signatures/1/sig");
    envelope.signatures[0].1 = envelope.signatures[1].1;
    assert_eq!(envelope.verify().unwrap_err().member, "/signatures/0/sig");
}

#[test]
fn a_signature_under_another_payload_type_is_none() {
    let other = pae("application/json", PAYLOAD);
    let signature = ed25519_dalek::Signer::sign(&key("a"), &other).to_bytes();
    let envelope = Envelope {
        payload: PAYLOAD.to_vec(),
        signatures: vec![(public("a"), signature)],
    };
    assert_eq!(envelope.verify().unwrap_err().reason, Reason::BadSignature);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn another_implementation_encodes_the_same(
        payload_type in "\\PC{0,20}", payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert_eq!(pae(&payload_type, &payload), dsse::pae(&payload_type, &payload));
    }

    #[test]
    fn nothing_makes_the_parser_panic(
        at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = signed().to_string().into_bytes();
        let place = at.index(bytes.len());
        bytes[place] = with;
        let altered = Envelope::parse(&bytes).and_then(|e| e.verify().map(|_| e));
        prop_assert!(altered.is_err() || altered == parse(&signed()));
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(Envelope::parse(&bytes).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn another_implementation_verifies_what_is_signed_here(
        payload in prop::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>(),
    ) {
        let names = ["a", "b", "c"];
        let keys = names.map(key);
        let mut envelope = Envelope::sign(payload.clone(), &keys.each_ref());
        let verifiers = keys.each_ref().map(|key| {
            dsse::Ed25519Verifier::from_bytes(key.verifying_key().as_bytes())
                .unwrap()
                .with_key_id(PublicKey::from(key).to_string())
        });
        let verifiers = verifiers.each_ref().map(|v| v as &dyn dsse::Verifier);
        let theirs = dsse::Envelope::from_json(&envelope.to_json()).unwrap();
        let verified = dsse::verify(&theirs, &verifiers, 3).unwrap();
        prop_assert_eq!(verified.payload, payload);
        prop_assert_eq!(envelope.verify().unwrap().len(), 3);

        let bit = flip.index(3 * 512);
        envelope.signatures[bit / 512].1[bit % 512 / 8] ^= 1 << (bit % 8);
        let theirs = dsse::Envelope::from_json(&envelope.to_json()).unwrap();
        prop_assert!(dsse::verify(&theirs, &verifiers, 3).is_err());
        prop_assert!(envelope.verify().is_err());
    }

    #[test]
    fn what_another_implementation_signs_is_read_here(
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let signer = dsse::Ed25519Signer::from_bytes(key("a").as_bytes())
            .unwrap()
            .with_key_id(public("a").to_string());
        let theirs = dsse::sign(PAYLOAD_TYPE, &payload, &signer).unwrap();
        let ours = Envelope::parse(&theirs.to_json().unwrap()).unwrap();
        prop_assert_eq!(&ours, &Envelope::sign(payload, &[&key("a")]));
        prop_assert!(ours.verify().is_ok());
        prop_assert!(signer.verifier().verify(&pae(PAYLOAD_TYPE, &ours.payload), &ours.signatures[0].1));
    }
}
