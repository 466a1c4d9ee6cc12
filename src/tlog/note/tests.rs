use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use signed_note::{StandardVerifier, VerifierList};

use super::*;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::hash::{EMPTY_ROOT, leaf_hash};
use crate::tlog::tree::TreeSize;

fn signer() -> LogSigner {
    LogSigner::new(
        "ledger.example/log".parse().unwrap(),
        SigningKey::from_bytes(&[1; 32]),
    )
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: "ledger.example/log".parse().unwrap(),
        size: TreeSize::new(3),
        root: leaf_hash(b"x"),
    }
}

#[test]
fn the_key_of_the_specification_reads_back() {
    let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let key: VerifierKey = vkey.parse().unwrap();
    assert_eq!(key.to_string(), vkey);
    assert!(matches!(key.key, NoteKey::Ed25519(_)));
    for bad in [
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "",
    ] {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
    }
}

#[test]
fn weak_and_non_canonical_points_are_no_keys() {
    let vkey = |point: [u8; 32]| {
        let encoded = [&[1][..], &point].concat();
        let digest = Sha256::new()
            .chain_update("a.example\n\u{1}")
            .chain_update(point)
            .finalize();
        format!(
            "a.example+{}+{}",
            encoding::hex(&digest[..4]),
            encoding::base64(encoded)
        )
    };
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut non_canonical = [0xff; 32];
    (non_canonical[0], non_canonical[31]) = (0xee, 0x7f);
    for point in [identity, non_canonical] {
        assert!(matches!(
            vkey(point).parse::<VerifierKey>(),
            Err(NoteError::Point(_))
        ));
    }
    let strong = PublicKey::from(&SigningKey::from_bytes(&[1; 32])).to_bytes();
    assert!(vkey(strong).parse::<VerifierKey>().is_ok());
}

#[test]
fn another_program_reads_our_notes_and_we_read_its() {
    let note = checkpoint().sign(&signer()).to_bytes();
    let theirs = signed_note::Note::from_bytes(&note).unwrap();
    let vkey = signer().verifier().to_string();
    let verifiers = VerifierList::new(vec![Box::new(StandardVerifier::new(&vkey).unwrap())]);
    let (verified, unknown) = theirs.verify(&verifiers).unwrap();
    assert_eq!((verified.len(), unknown.len()), (1, 0));
    assert_eq!(Note::parse(&theirs.to_bytes()).unwrap().to_bytes(), note);
    let read = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    assert_eq!((read.origin(), read.size()), ("ledger.example/log", 3));
    assert_eq!(read.hash().0, *checkpoint().root.as_bytes());
}

#[test]
fn notes_are_read_strictly() {
    let line = signer().sign("a\n").to_string();
    let note = |text: &str| format!("{text}\n{line}").into_bytes();
    assert_eq!(Note::parse(&note("a\n")).unwrap().text, "a\n");
    // The last empty line parts text and signatures: earlier ones are text.
    assert_eq!(Note::parse(&note("a\n\nb\n")).unwrap().text, "a\n\nb\n");
    let many = |n: usize| format!("a\n\n{}", line.repeat(n)).into_bytes();
    assert_eq!(Note::parse(&many(100)).unwrap().signatures.len(), 100);
    assert!(Note::parse(&many(101)).is_err());
    let good = String::from_utf8(note("a\n")).unwrap();
    for bad in [
        "".to_owned(),
        "\n\n".to_owned(),
        "a\n".to_owned(),
        "a\n\n".to_owned(),
        format!("\n{line}"),
        good.trim_end().to_owned(),
        format!("{good}\n"),
        good.replace('\u{2014}', "-"),
        good.replace("a\n", "a\t\n"),
        good.replace("a\n", "a\r\n"),
        good.replace(" ledger", "  ledger"),
        format!("{good}x\n"),
        good.replace('=', ""),
    ] {
        assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert!(Note::parse(&[0xff, b'\n', b'\n']).is_err());
    assert!(Note::parse(&vec![b'a'; MAX_NOTE + 1]).is_err());
}

#[test]
fn checkpoints_are_three_lines() {
    let text = checkpoint().body();
    assert_eq!(Checkpoint::parse(&text), Ok(checkpoint()));
    for bad in [
        text.trim_end().to_owned(),
        format!("{text}extension\n"),
        text.replace("\n3\n", "\n03\n"),
        text.replace("\n3\n", "\n\n"),
        text.replace("\n3\n", "\n-3\n"),
        text.replace("ledger", "led ger"),
        text.replace('=', ""),
        "a\n3\n".to_owned(),
        String::new(),
    ] {
        assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
    }
    for bad in [
        "https://ledger.example/log",
        "ledger.example/log/",
        "",
        "a b",
    ] {
        assert!(bad.parse::<Origin>().is_err(), "{bad:?}");
    }
    let empty = Checkpoint {
        size: TreeSize::new(0),
        root: EMPTY_ROOT,
        ..checkpoint()
    };
    assert_eq!(Checkpoint::parse(&empty.body()), Ok(empty));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_bytes_make_it_panic(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let mut note = checkpoint().sign(&signer()).to_bytes();
        let at = at.index(note.len());
        note[at] = byte;
        note.truncate(cut.index(note.len()) + 1);
        if let Ok(note) = Note::parse(&note) {
            let _ = Checkpoint::parse(&note.text);
            prop_assert_eq!(Note::parse(&note.to_bytes()), Ok(note));
        }
    }
}
