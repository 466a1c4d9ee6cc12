use std::io::Read as _;

use age::x25519;
use age_core::secrecy::ExposeSecret as _;
use proptest::prelude::*;

use super::*;
use crate::seal::clip::read_header;

fn file_key_of(bytes: [u8; 16]) -> FileKey {
    FileKey::new(Box::new(bytes))
}

fn new_identity() -> (x25519::Identity, Recipient) {
    let identity = x25519::Identity::generate();
    let recipient = Recipient::of(&identity);
    (identity, recipient)
}

/// A file as the age library writes it, for several recipients.
fn stock_file(recipients: &[&Recipient], plain: &[u8]) -> Vec<u8> {
    let recipients: Vec<_> = recipients.iter().map(|r| r.to_age()).collect();
    let recipients = recipients.iter().map(|recipient| recipient as _);
    let mut file = Vec::new();
    let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
    let mut writer = encryptor.wrap_output(&mut file).unwrap();
    std::io::Write::write_all(&mut writer, plain).unwrap();
    writer.finish().unwrap();
    file
}

fn split(file: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = file;
    let header = read_header(&mut body).unwrap();
    (header, body)
}

fn error(header: &[u8], identity: &x25519::Identity) -> HeaderError {
    file_key(header, identity).err().unwrap()
}

#[test]
fn the_new_recipient_opens_and_the_old_one_no_longer() {
    let ((owner, to_owner), (agency, to_agency)) = (new_identity(), new_identity());
    let (stranger, to_stranger) = new_identity();
    let plain = vec![42; 150_000];
    let file = stock_file(&[&to_stranger, &to_owner], &plain);
    let (header, body) = split(&file);

    let rewrapped = wrap(&file_key(&header, &owner).unwrap(), &to_agency);
    assert_eq!(rewrapped.len(), 168);
    assert_eq!(rewrapped.windows(3).filter(|w| w == b"-> ").count(), 1);
    let file = [&rewrapped[..], body].concat();
    assert!(file.ends_with(body));

    let mut opened = Vec::new();
    let decryptor = age::Decryptor::new(&file[..]).unwrap();
    let mut reader = decryptor
        .decrypt(std::iter::once(&agency as &dyn Identity))
        .unwrap();
    reader.read_to_end(&mut opened).unwrap();
    assert!(opened == plain);
    for dropped in [&owner, &stranger] {
        assert!(matches!(
            age::decrypt(dropped, &file),
            Err(age::DecryptError::NoMatchingKeys)
        ));
        assert_eq!(error(&rewrapped, dropped), HeaderError::NoMatch);
    }
}

#[test]
fn stanzas_put_in_or_taken_out_are_noticed() {
    let ((owner, to_owner), (_, to_other)) = (new_identity(), new_identity());
    let file_key = file_key_of([9; 16]);
    let header = wrap(&file_key, &to_owner);
    let foreign = wrap(&file_key_of([8; 16]), &to_other);
    let stanza_of = |header: &[u8]| {
        let end = header.windows(4).position(|w| w == b"\n---").unwrap() + 1;
        header[VERSION_LINE.len()..end].to_vec()
    };
    let end_of = |header: &[u8]| header[VERSION_LINE.len() + stanza_of(header).len()..].to_vec();

    let added = [
        VERSION_LINE,
        &stanza_of(&header),
        &stanza_of(&foreign),
        &end_of(&header),
    ]
    .concat();
    assert_eq!(error(&added, &owner), HeaderError::Mac);
    let exchanged = [VERSION_LINE, &stanza_of(&foreign), &end_of(&header)].concat();
    assert_eq!(error(&exchanged, &owner), HeaderError::NoMatch);
    let other_mac = [VERSION_LINE, &stanza_of(&header), &end_of(&foreign)].concat();
    assert_eq!(error(&other_mac, &owner), HeaderError::Mac);
    let without = [VERSION_LINE, &end_of(&header)].concat();
    assert_eq!(error(&without, &owner), HeaderError::Malformed);
}

#[test]
fn only_a_header_is_read() {
    let (owner, to_owner) = new_identity();
    let header = wrap(&file_key_of([9; 16]), &to_owner);
    let text = String::from_utf8(header.clone()).unwrap();
    let last = text.rfind("--- ").unwrap();
    for other in [
        String::new(),
        format!("{text}x"),
        format!("{text}{text}"),
        text.replace("v1", "v2"),
        text.replace('\n', "\r\n"),
        text.replace("--- ", "---  "),
        text.replace("--- ", "---"),
        text.trim_end().to_owned(),
        format!("{}\n", &text[..last + 4 + 42]),
        format!("{}=\n", text.trim_end()),
        format!("{}--- {}\n", &text[..last], "/".repeat(43)),
    ] {
        assert_eq!(
            error(other.as_bytes(), &owner),
            HeaderError::Malformed,
            "{other}"
        );
    }
    let mut long = header;
    long.resize(MAX_HEADER + 1, b'x');
    assert_eq!(error(&long, &owner), HeaderError::TooLong);
}

#[test]
fn passphrases_are_refused() {
    let (owner, _) = new_identity();
    let file = {
        let mut recipient = age::scrypt::Recipient::new("a phrase".to_owned().into());
        recipient.set_work_factor(2);
        age::encrypt(&recipient, b"").unwrap()
    };
    assert_eq!(error(&split(&file).0, &owner), HeaderError::Passphrase);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_wrapped_is_unwrapped(bytes: [u8; 16], scalar: [u8; 32]) {
        let identity = crate::seal::keys::identity_from(&scalar);
        let header = wrap(&file_key_of(bytes), &Recipient::of(&identity));
        let read = file_key(&header, &identity).unwrap();
        prop_assert_eq!(read.expose_secret(), &bytes);
    }

    #[test]
    fn a_flipped_bit_is_noticed(flip: prop::sample::Index) {
        let identity = crate::seal::keys::identity_from(&[5; 32]);
        let mut header = wrap(&file_key_of([6; 16]), &Recipient::of(&identity));
        let bit = flip.index(header.len() * 8);
        header[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(file_key(&header, &identity).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, cut: prop::sample::Index) {
        let identity = crate::seal::keys::identity_from(&[5; 32]);
        let mut header = wrap(&file_key_of([6; 16]), &Recipient::of(&identity));
        header.truncate(cut.index(header.len()));
        header.extend(bytes);
        prop_assert!(file_key(&header, &identity).is_err());
    }
}
