use std::fs;
use std::path::Path;

use age::x25519;
use proptest::prelude::*;

use super::*;
use crate::encoding::hex;
use crate::seal::keys::identity_from;

fn new_identity() -> (x25519::Identity, Recipient) {
    let identity = x25519::Identity::generate();
    let recipient = Recipient::of(&identity);
    (identity, recipient)
}

fn read_all(
    header: &[u8],
    body: &[u8],
    identity: &dyn age::Identity,
) -> Result<Vec<u8>, OpenError> {
    let mut plain = Vec::new();
    open(header, body, identity)?.read_to_end(&mut plain)?;
    Ok(plain)
}

/// Bytes of a length that often lies near the borders of the 64 KiB chunks.
fn any_clip() -> impl Strategy<Value = Vec<u8>> {
    let near_chunks = (0_usize..3, -3_isize..=3)
        .prop_map(|(chunks, off)| (chunks * 65_536).saturating_add_signed(off));
    (prop_oneof![0_usize..2000, near_chunks], any::<u8>())
        .prop_map(|(length, byte)| (0..length).map(|i| (i % 251) as u8 ^ byte).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn header_and_body_are_a_standard_file(plain in any_clip()) {
        let (identity, recipient) = new_identity();
        let mut body = Vec::new();
        let sealed = seal(&plain[..], &recipient, &mut body).unwrap();

        prop_assert_eq!(sealed.body_length, body.len() as u64);
        prop_assert_eq!(sealed.body_digest, Digest::of(&body));
        let chunks = plain.len().div_ceil(65_536).max(1);
        prop_assert_eq!(body.len(), 16 + plain.len() + 16 * chunks);
        let known = rewrap::file_key(&sealed.header, &identity).unwrap();
        prop_assert_eq!(known.expose_secret(), sealed.file_key.expose_secret());

        let file = [&sealed.header[..], &body].concat();
        prop_assert!(age::decrypt(&identity, &file).unwrap() == plain);
        prop_assert!(read_all(&sealed.header, &body, &identity).unwrap() == plain);
    }

    #[test]
    fn a_standard_file_opens(plain in any_clip()) {
        let (identity, recipient) = new_identity();
        let file = age::encrypt(&recipient.to_age(), &plain).unwrap();
        let mut body = &file[..];
        let header = read_header(&mut body).unwrap();
        prop_assert!(read_all(&header, body, &identity).unwrap() == plain);
    }

    #[test]
    fn metadata_sizes_are_whole_blocks(plain in prop::collection::vec(any::<u8>(), 0..9000)) {
        let (identity, recipient) = new_identity();
        let sealed = seal_bytes(plain.clone(), &recipient);
        let mut body = &sealed[..];
        read_header(&mut body).unwrap();
        prop_assert_eq!((body.len() - 32) % METADATA_BLOCK, 0);
        prop_assert_eq!(open_bytes(&sealed, &identity).unwrap(), plain);
    }
}

#[test]
fn a_body_that_was_altered_or_cut_does_not_open() {
    let (identity, recipient) = new_identity();
    let (plain, mut body) = (vec![1; 70_000], Vec::new());
    let sealed = seal(&plain[..], &recipient, &mut body).unwrap();
    let fails = |body: &[u8]| {
        let result = read_all(&sealed.header, body, &identity);
        assert!(matches!(result, Err(OpenError::Body(_))));
    };
    for cut in [0, 15, 16, 17, 65_568, body.len() - 1] {
        fails(&body[..cut]);
    }
    for at in [0, 16, 65_568, body.len() - 1] {
        let mut body = body.clone();
        body[at] ^= 1;
        fails(&body);
    }
    fails(&[&body[..], &[0]].concat());
}

#[test]
fn metadata_of_another_making_is_refused() {
    let (identity, recipient) = new_identity();
    let unpadded = age::encrypt(&recipient.to_age(), b"{}").unwrap();
    assert!(matches!(
        open_bytes(&unpadded, &identity),
        Err(OpenError::Padding)
    ));
    let (stranger, _) = new_identity();
    let sealed = seal_bytes(b"{}".to_vec(), &recipient);
    assert!(matches!(
        open_bytes(&sealed, &stranger),
        Err(OpenError::Header(HeaderError::NoMatch))
    ));
    for file in [
        &b""[..],
        b"---",
        &[b'\n'; 2 * MAX_HEADER],
        &[0; 2 * MAX_HEADER],
    ] {
        assert!(matches!(
            open_bytes(file, &identity),
            Err(OpenError::Header(HeaderError::Malformed))
        ));
    }
}

#[test]
fn errors_of_reader_and_writer_come_through() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("camera unplugged"))
        }
    }
    let (_, recipient) = new_identity();
    let error = seal(Broken, &recipient, Vec::new()).err().unwrap();
    assert_eq!(error.to_string(), "camera unplugged");
    let mut full = [0; 40];
    let error = seal(&[0; 100][..], &recipient, &mut full[..])
        .err()
        .unwrap();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}

/// A file of the C2SP test suite for age (<https://c2sp.org/CCTV/age>); see `tests/vectors/README.md`.
struct Vector {
    name: String,
    fields: Vec<(String, String)>,
    file: Vec<u8>,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let end = bytes.windows(2).position(|w| w == b"\n\n").unwrap();
        let fields = std::str::from_utf8(&bytes[..end]).unwrap().lines();
        let fields = fields.map(|line| line.split_once(": ").unwrap());
        Self {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            fields: fields.map(|(k, v)| (k.into(), v.into())).collect(),
            file: bytes[end + 2..].to_vec(),
        }
    }

    fn field(&self, key: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(name, _)| name == key);
        field.map(|(_, value)| value.as_str())
    }

    /// Opens it with this module, and returns the file key, the header, the body, and what was
    /// read until an error came, if one came.
    fn open(&self, identity: &x25519::Identity) -> Result<Opened<'_>, OpenError> {
        let mut body = &self.file[..];
        let header = read_header(&mut body).map_err(|_| HeaderError::Malformed)?;
        let file_key = rewrap::file_key(&header, identity)?;
        let mut plain = Vec::new();
        let result = open(&header, body, identity)?.read_to_end(&mut plain);
        Ok(Opened {
            file_key,
            body,
            plain,
            complete: result.is_ok(),
        })
    }

    fn check(&self, identity: &x25519::Identity) {
        let (name, result) = (&self.name, self.open(identity));
        match self.field("expect").unwrap() {
            "success" => {
                let opened = result.unwrap();
                assert!(opened.complete, "{name}");
                self.check_plain(&opened.plain);
                let file_key = hex(opened.file_key.expose_secret());
                assert_eq!(self.field("file key"), Some(&file_key[..]), "{name}");
                self.check_rewrapped(&opened);
            }
            "payload failure" => {
                let opened = result.unwrap();
                assert!(!opened.complete, "{name}");
                self.check_plain(&opened.plain);
            }
            "HMAC failure" => {
                assert!(
                    matches!(result, Err(OpenError::Header(HeaderError::Mac))),
                    "{name}"
                );
            }
            "no match" => {
                assert!(
                    matches!(result, Err(OpenError::Header(HeaderError::NoMatch))),
                    "{name}"
                );
            }
            "header failure" => assert!(result.is_err(), "{name}"),
            other => panic!("{name}: unknown expectation {other}"),
        }
    }

    fn check_plain(&self, plain: &[u8]) {
        if let Some(payload) = self.field("payload") {
            assert_eq!(Digest::of(plain).to_string(), payload, "{}", self.name);
        }
    }

    fn check_rewrapped(&self, opened: &Opened) {
        let identity = identity_from(&[3; 32]);
        let header = rewrap::wrap(&opened.file_key, &Recipient::of(&identity));
        let file = [&header[..], opened.body].concat();
        assert!(
            age::decrypt(&identity, &file).unwrap() == opened.plain,
            "{}",
            self.name
        );
    }
}

struct Opened<'a> {
    file_key: FileKey,
    body: &'a [u8],
    plain: Vec<u8>,
    complete: bool,
}

#[test]
fn the_age_test_suite() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/age");
    let mut checked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let vector = Vector::read(&entry.unwrap().path());
        let identity = vector.field("identity").map(|text| text.parse().unwrap());
        vector.check(&identity.unwrap_or_else(x25519::Identity::generate));
        checked += 1;
    }
    assert_eq!(checked, 48);
}
