use age_core::primitives::hkdf;
use proptest::prelude::*;

use super::*;
use crate::encoding::hex;
use crate::seal::recipient::Recipient;

fn zero_phrase() -> String {
    format!("{}art", "abandon ".repeat(23))
}

fn zero_seed() -> Seed {
    zero_phrase().parse::<Phrase>().unwrap().seed()
}

fn public_key(key: &SigningKey) -> String {
    hex(key.verifying_key().as_bytes())
}

/// The values were computed apart from this program, with Python's hashlib, hmac and
/// `cryptography`, and age-keygen.
#[test]
fn every_key_of_a_known_phrase() {
    let seed = zero_seed();
    let request = StatementId::from_bytes([0x11; 32]);
    let body = Digest::from_bytes([0x22; 32]);
    for (found, expected) in [
        (
            hex(*seed.0),
            "408b285c123836004f4b8842c89324c1f01382450c0d439af345ba7fc49acf70\
             5489c6fc77dbd4e3dc1dd8cc6bc9f043db8ada1e243c4a0eafb290d399480840",
        ),
        (
            seed.identity().to_string().expose_secret().to_owned(),
            "AGE-SECRET-KEY-15VKGUKCD6RT255C2N0PU64YSPMU4H39HEKU2KD4KRD9FVMUHVXYS8MR7X5",
        ),
        (
            Recipient::of(&seed.identity()).to_string(),
            "age1mt9hrdmauvd2dlgqqr4mlaq9q2gpwa02al8f4h99zkl7h9eru97scpnuxs",
        ),
        (
            public_key(&seed.vault_key()),
            "b95fb9578abcb464ef2ad3147b7685059e5089068059b3f87c7aea06686cf58c",
        ),
        (
            public_key(&seed.request_key(&request)),
            "3845003c6b8ad4905a2f9940f3a7504b1966b23192e67f09d73dbf287d647c37",
        ),
        (
            hex(*seed.clip_salt(&body, 0)),
            "e45e20d326f9e08e70aa9e5b69af2585e822f3c825b36f7e7ae5d6fe6a5a4266",
        ),
        (
            hex(*seed.clip_salt(&body, 3)),
            "1ceb4124ed1c2e077127f64c20fd7e05d381a4b3c740a65d46ad5a64c4c27308",
        ),
        (
            hex(*seed.decision_salt(&request, &[0x44; 16])),
            "13f53694d7b3f020514a5136a694f0a82d79a196e355ea20fbfcb58eb096657d",
        ),
        (
            seed.filler(&[0x44; 16], 4).to_string(),
            "c80d58b086da686c1d31e7697c0ff287c2b51fdcc9051bfd958977b697885653",
        ),
        (
            public_key(&seed.public_key(&Commitment::from_bytes([0x33; 32]))),
            "a1e6b8db366d6d09abfa2c827ee65ce841ef5dd08dbe1d0e84cb60239247c5a3",
        ),
        (
            public_identity().to_string().expose_secret().to_owned(),
            "AGE-SECRET-KEY-1JTSZYGLELMAPPV4HGCLS55KCQ8YMW6CP2FD6QTU0ZA4FRE73TW9QEPKUPN",
        ),
        (
            Recipient::of(&public_identity()).to_string(),
            "age1wt6fmaxd0nz4jraz7h26l92tx3aqlqmygkwxeumpys7r3fvl933svj9kse",
        ),
        (
            seed.notice_key().recipient().to_string(),
            "age1q5ec39hspz5gjf6y0sg4rwvzr04hfn2ayq6kwrnh4eluecwnj47q0vycuf",
        ),
        (
            hex(*clip_key(&FileKey::init_with_mut(|key| {
                *key = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
            }))),
            "f2b21c4cb9b67056b515a012455cbb994622e7cf8f276e4f7b36330d892ee090",
        ),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn typing_habits_do_not_matter() {
    let typed = format!("  {}\n", zero_phrase().to_uppercase().replace(' ', " \t\n"));
    let phrase: Phrase = typed.parse().unwrap();
    assert_eq!(phrase.words().collect::<Vec<_>>().join(" "), zero_phrase());
    assert_eq!(*phrase.seed().0, *zero_seed().0);
}

#[test]
fn errors_say_which_word_counting_from_one() {
    let error = |text: &str| text.parse::<Phrase>().unwrap_err();
    for position in 1..=24 {
        let words = zero_phrase();
        let mut words: Vec<_> = words.split(' ').collect();
        words[position - 1] = "abandom";
        assert_eq!(
            error(&words.join(" ")),
            PhraseError::UnknownWord { position }
        );
    }
    assert_eq!(error(""), PhraseError::WordCount { found: 0 });
    let twelve = format!("{}about", "abandon ".repeat(11));
    assert_eq!(error(&twelve), PhraseError::WordCount { found: 12 });
    assert_eq!(error(&"abandon ".repeat(24)), PhraseError::Checksum);
}

#[test]
fn debug_shows_no_secret() {
    let phrase: Phrase = zero_phrase().parse().unwrap();
    assert_eq!(
        format!("{phrase:?} {:?}", phrase.seed()),
        "Phrase(…) Seed(…)"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn entropy_becomes_words_and_comes_back(entropy: [u8; 32]) {
        let phrase = Phrase::from_entropy(&entropy);
        let text = phrase.words().collect::<Vec<_>>().join(" ");
        let read: Phrase = text.parse().unwrap();
        prop_assert_eq!(read.0.to_entropy(), entropy);
    }

    #[test]
    fn another_hkdf_agrees(secret in prop::collection::vec(any::<u8>(), 1..80), info: String) {
        prop_assert_eq!(*expand(&secret, &info), hkdf(&[], info.as_bytes(), &secret));
    }

    #[test]
    fn identities_hold_their_scalar(scalar: [u8; 32]) {
        let text = identity_from(&scalar).to_string();
        let (_, bytes) = bech32::decode(text.expose_secret()).unwrap();
        prop_assert_eq!(bytes, scalar);
    }
}
