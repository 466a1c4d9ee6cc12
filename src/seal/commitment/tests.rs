use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::seal::keys::{Phrase, Seed};

fn seed() -> Seed {
    let phrase = format!("{}art", "abandon ".repeat(23));
    phrase.parse::<Phrase>().unwrap().seed()
}

fn key(bytes: [u8; 16]) -> FileKey {
    FileKey::new(Box::new(bytes))
}

/// The values were computed apart from this program, with Python's json, base64 and hashlib.
#[test]
fn known_commitments() {
    let body = Digest::from_bytes([0x22; 32]);
    let file_key = key(std::array::from_fn(|i| i as u8));
    let clip = clip_opening(&seed().clip_salt(&body, 0), &body, &file_key);
    assert_eq!(
        Commitment::of(&clip).to_string(),
        "7a0ffa52eece8d668431446bf1a824e32082d8f223599a44e4b72aaff7cc1488"
    );
    let request = StatementId::from_bytes([0x11; 32]);
    let decision = decision_opening(&seed().decision_salt(&request, &[0x44; 16]), &request);
    assert_eq!(
        Commitment::of(&decision).to_string(),
        "f7616e16164dc084abb63d5a086d2709938e801bf64320cdaf2aaac1e9205e62"
    );
}

#[test]
fn an_opening_fits_its_commitment_its_name_and_its_value() {
    let (body, file_key) = (Digest::of("body"), key([3; 16]));
    let opening = clip_opening(&[1; 32], &body, &file_key);
    let verify = |opening: &Opening, body: &Digest, file_key: &FileKey| {
        verify_clip(&Commitment::of(opening), opening, body, file_key)
    };
    assert_eq!(verify(&opening, &body, &file_key), Ok(()));
    assert_eq!(
        verify_clip(&Commitment::from_bytes([0; 32]), &opening, &body, &file_key),
        Err(Mismatch::Commitment)
    );
    assert_eq!(
        verify(&opening, &Digest::of("other"), &file_key),
        Err(Mismatch::Body)
    );
    assert_eq!(verify(&opening, &body, &key([4; 16])), Err(Mismatch::Key));

    let value = opening.value();
    let key_check = &value["key"];
    for (name, value) in [
        ("decision", value.clone()),
        ("clip", json!({"body": body, "key": key_check, "more": 1})),
        ("clip", json!({"body": body})),
        ("clip", json!([body, key_check])),
        ("clip", json!(body)),
    ] {
        let other = Opening::new(&[1; 32], name, &value).unwrap();
        assert_eq!(verify(&other, &body, &file_key), Err(Mismatch::NotAClip));
    }
}

#[test]
fn a_decision_is_about_one_request() {
    let request = StatementId::of_payload(b"request");
    let opening = decision_opening(&[1; 32], &request);
    let commitment = Commitment::of(&opening);
    assert!(is_decision(&commitment, &opening, &request));
    assert!(!is_decision(
        &Commitment::from_bytes([0; 32]),
        &opening,
        &request
    ));
    assert!(!is_decision(
        &commitment,
        &opening,
        &StatementId::of_payload(b"other")
    ));
    let clip = Opening::new(&[1; 32], "clip", opening.value()).unwrap();
    assert!(!is_decision(&Commitment::of(&clip), &clip, &request));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn an_upload_always_looks_the_same(
        clip: [[u8; 32]; 4],
        decisions in prop::collection::vec(any::<[u8; 32]>(), 0..7),
    ) {
        let clip = clip.map(Commitment::from_bytes);
        let decisions: Vec<_> = decisions.into_iter().map(Commitment::from_bytes).collect();
        let mut drawn = 0_u8;
        let slots = upload_slots(clip, &decisions, || {
            drawn += 1;
            *Digest::of([drawn]).as_bytes()
        });

        prop_assert!(slots.is_sorted());
        let carried = decisions.len().min(DECISION_SLOTS);
        prop_assert_eq!(usize::from(drawn), DECISION_SLOTS - carried);
        let slots: HashSet<_> = slots.into();
        prop_assert!(clip.iter().chain(&decisions[..carried]).all(|own| slots.contains(own)));
        prop_assert!(!decisions[carried..].iter().any(|left| slots.contains(left)));
    }
}
