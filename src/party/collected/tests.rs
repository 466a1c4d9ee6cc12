use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::digest::StatementId;
use crate::seal::FileKey;
use crate::seal::commitment::{Commitment, clip_opening, decision_opening};
use crate::seal::recipient::Recipient;
use crate::statement::kinds::Kind as _;
use crate::statement::words::DataKind;

/// A clip as it lies on the server, and what the log says of it.
struct World {
    identity: Identity,
    file: Vec<u8>,
    opening: Opening,
    clip: DisclosedClip,
    header_length: usize,
    file_key: FileKey,
}

/// The clip `plain`, sealed by its owner and re-wrapped for an agency.
fn world(plain: &[u8]) -> World {
    let identity = Identity::generate();
    let owner = Recipient::of(&Identity::generate());
    let mut body = Vec::new();
    let sealed = clip::seal(plain, &owner, &mut body).unwrap();
    let opening = clip_opening(&[7; 32], &sealed.body_digest, &sealed.file_key);
    shown(identity, sealed.file_key, opening, &body)
}

fn shown(identity: Identity, file_key: FileKey, opening: Opening, body: &[u8]) -> World {
    let header = rewrap::wrap(&file_key, &Recipient::of(&identity));
    let clip = DisclosedClip {
        commitment: Commitment::of(&opening),
        batch: StatementId::from_bytes([0; 32]),
        index: 0,
        path: Vec::new(),
        header: Digest::of(&header),
    };
    World {
        identity,
        header_length: header.len(),
        file: [&header, body].concat(),
        opening,
        clip,
        file_key,
    }
}

fn unreadable(result: Result<(), ClipError>) -> Unreadable {
    match result {
        Err(ClipError::Unreadable(why)) => why,
        other => panic!("unreadable was expected, not {other:?}"),
    }
}

impl World {
    fn body(&self) -> &[u8] {
        &self.file[self.header_length..]
    }

    fn check(&self, file: &[u8], opening: Option<&str>) -> Result<(), ClipError> {
        check(&mut Cursor::new(file), opening, &self.clip, &self.identity)
    }

    fn check_file(&self, file: &[u8]) -> Result<(), ClipError> {
        self.check(file, Some(self.opening.encode()))
    }
}

#[test]
fn a_clip_that_was_disclosed_is_opened_bit_for_bit() {
    for length in [0, 1, 65_536, 65_537, 200_000] {
        let plain: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let world = world(&plain);
        world.check_file(&world.file).unwrap();
        let mut opened = Vec::new();
        open(Cursor::new(&world.file), &world.identity, &mut opened).unwrap();
        assert_eq!(opened, plain);
        // The age library itself is the judge of what is kept.
        assert_eq!(age::decrypt(&world.identity, &world.file).unwrap(), plain);
    }
}

#[test]
fn each_mismatch_is_told_apart() {
    let world = world(b"a film");
    let other = self::world(b"a film");
    let opening = Some(world.opening.encode());

    assert_eq!(
        unreadable(world.check(&world.file, None)),
        Unreadable::NoOpening
    );
    let opening_fault = unreadable(world.check(&world.file, Some("e30")));
    assert_eq!(opening_fault, Unreadable::Opening(OpeningError::Shape));
    assert_eq!(
        unreadable(world.check(&world.file, Some(other.opening.encode()))),
        Unreadable::Mismatch(Mismatch::Commitment)
    );

    for nothing in [&b""[..], b"<html>", &[b'a'; 40_000]] {
        assert_eq!(unreadable(world.check_file(nothing)), Unreadable::NotAge);
    }
    // Another header for the same clip and the same agency: well made, and not the one announced.
    let again = rewrap::wrap(&world.file_key, &Recipient::of(&world.identity));
    let file = [&again, world.body()].concat();
    assert_eq!(unreadable(world.check_file(&file)), Unreadable::OtherHeader);

    let stranger = check(
        &mut Cursor::new(&world.file),
        opening,
        &world.clip,
        &other.identity,
    );
    assert_eq!(
        unreadable(stranger),
        Unreadable::Header(HeaderError::NoMatch)
    );

    let longer = [&world.file[..], b"x"].concat();
    let shorter = &world.file[..world.file.len() - 1];
    for file in [&longer, shorter, &world.file[..world.header_length]] {
        assert_eq!(
            unreadable(world.check_file(file)),
            Unreadable::Mismatch(Mismatch::Body)
        );
    }
}

/// A device may announce the header of another key: age alone would take a body made for two keys.
#[test]
fn another_key_than_the_one_committed_to_is_unreadable() {
    let honest = world(b"a film");
    let body = honest.body().to_vec();
    let other = FileKey::new(Box::new([9; 16]));
    let world = shown(honest.identity, other, honest.opening, &body);
    assert_eq!(
        unreadable(world.check_file(&world.file)),
        Unreadable::Mismatch(Mismatch::Key)
    );
}

#[test]
fn a_decision_is_not_taken_for_a_clip() {
    let honest = world(b"a film");
    let body = honest.body().to_vec();
    let opening = decision_opening(&[7; 32], &StatementId::from_bytes([1; 32]));
    let world = shown(honest.identity, honest.file_key, opening, &body);
    assert_eq!(
        unreadable(world.check_file(&world.file)),
        Unreadable::Mismatch(Mismatch::NotAClip)
    );
}

/// What was committed to need not be a clip at all: that is the resident's fault, and not an error.
#[test]
fn a_body_that_was_never_sealed_is_unreadable() {
    let honest = world(b"a film");
    let mut swapped = honest.body().to_vec();
    *swapped.last_mut().unwrap() ^= 1;
    let truncated = honest.body()[..20].to_vec();
    for body in [swapped, truncated, vec![0; 70_000], vec![0; 3], Vec::new()] {
        let honest = self::world(b"a film");
        let opening = clip_opening(&[7; 32], &Digest::of(&body), &honest.file_key);
        let world = shown(honest.identity, honest.file_key, opening, &body);
        world.check_file(&world.file).unwrap();
        let opened = open(Cursor::new(&world.file), &world.identity, &mut Vec::new());
        assert_eq!(unreadable(opened), Unreadable::Body, "{}", body.len());
    }
}

/// A full disk is not held against the resident.
#[test]
fn faults_of_this_machine_are_no_faults_of_the_clip() {
    struct Broken(ErrorKind);
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let world = world(b"a film");
    let mut full = Broken(ErrorKind::StorageFull);
    let opened = open(Cursor::new(&world.file), &world.identity, &mut full);
    assert!(matches!(opened, Err(ClipError::Io(e)) if e.kind() == ErrorKind::StorageFull));

    let opening = Some(world.opening.encode());
    let broken = Broken(ErrorKind::PermissionDenied);
    let mut file = BufReader::new(world.file[..200].chain(broken));
    let checked = check(&mut file, opening, &world.clip, &world.identity);
    assert!(matches!(checked, Err(ClipError::Io(e)) if e.kind() == ErrorKind::PermissionDenied));
}

#[test]
fn only_what_looks_like_mp4_is_called_so() {
    let named = |bytes: &[u8]| ending(&mut Cursor::new(bytes)).unwrap();
    assert_eq!(named(b"\0\0\0\x18ftypmp42"), "mp4");
    for other in [&b""[..], b"ftyp", b"\0\0\0\x18ftyx", b"\x1aE\xdf\xa3webm"] {
        assert_eq!(named(other), "clip");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_file_with_any_bit_flipped_is_unreadable(
        at in any::<prop::sample::Index>(), bit in 0..8,
    ) {
        static WORLD: std::sync::LazyLock<World> = std::sync::LazyLock::new(|| world(b"a film"));
        let mut file = WORLD.file.clone();
        let place = at.index(file.len());
        file[place] ^= 1u8 << bit;
        let why = unreadable(WORLD.check_file(&file));
        if place < WORLD.header_length {
            prop_assert!(matches!(why, Unreadable::NotAge | Unreadable::OtherHeader), "{why}");
        } else {
            prop_assert_eq!(why, Unreadable::Mismatch(Mismatch::Body));
        }
    }
}

#[test]
fn a_file_that_lies_there_is_kept_only_if_it_is_the_clip() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (world(b"a film"), world(b"another"));
    let fetch = |served: &World| {
        let opening = served.opening.encode().to_owned();
        receive(folder.path(), "clip", &own.clip, &own.identity, |file| {
            file.write_all(&served.file).unwrap();
            Ok(Some(opening))
        })
        .unwrap()
    };
    let sealed = folder.path().join("clip.age");
    let opened = Fetched::Opened {
        sealed: sealed.clone(),
        plain: folder.path().join("clip.clip"),
    };
    assert_eq!(fetch(&own), opened);
    let kept = Fetched::Kept {
        sealed: sealed.clone(),
    };
    assert_eq!(fetch(&own), kept);
    let mut damaged = own.file.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let short = own.file[..own.header_length + 20].to_vec();
    for lies_there in [other.file.clone(), damaged, short, Vec::new()] {
        std::fs::write(&sealed, lies_there).unwrap();
        assert!(matches!(fetch(&other), Fetched::Unreadable { .. }));
        assert_eq!(fetch(&own), opened, "fetched anew");
        assert_eq!(std::fs::read(&sealed).unwrap(), own.file);
    }
}

/// A disclosure that tells these kinds of one clip, and its note with this text.
fn noted(identity: &Identity, told: &[DataKind], text: &[u8]) -> (Disclosure, Vec<u8>) {
    let file = note::seal(text.to_vec(), &Recipient::of(identity)).unwrap();
    let disclosure = Disclosure {
        gives: [told, &[DataKind::Video]].concat(),
        note: Some(Digest::of(&file)),
        ..Disclosure::example()
    };
    (disclosure, file)
}

const TEXT: &[u8] = br#"{"contact":"+1 863 555 0142"}"#;

/// What a resident's device may hand over in place of the note that was disclosed.
#[test]
fn a_note_is_the_one_that_is_named_with_exactly_the_kinds_that_are_given() {
    let (identity, stranger) = (Identity::generate(), Identity::generate());
    let told = [DataKind::Contact];
    let (disclosure, file) = noted(&identity, &told, TEXT);
    let (text, note) = open_note(&file, &disclosure, &identity).unwrap();
    assert_eq!(*text, TEXT);
    assert_eq!(note.contact.as_deref(), Some("+1 863 555 0142"));

    let (_, another) = noted(&identity, &told, TEXT);
    for other in [&another[..], &file[1..], &[&file[..], &[0]].concat(), &[]] {
        let opened = open_note(other, &disclosure, &identity);
        assert_eq!(opened.unwrap_err(), UnreadableNote::OtherNote);
    }
    // Named, and of another size.
    let longer = [&file[..], &[0]].concat();
    let named = Disclosure {
        note: Some(Digest::of(&longer)),
        ..disclosure.clone()
    };
    let opened = open_note(&longer, &named, &identity);
    assert_eq!(opened.unwrap_err(), OpenNoteError::Form.into());
    // Named, and for somebody else.
    let (disclosure, file) = noted(&stranger, &told, TEXT);
    let opened = open_note(&file, &disclosure, &identity);
    let not_ours = OpenNoteError::Header(HeaderError::NoMatch);
    assert_eq!(opened.unwrap_err(), not_ours.into());
    // Named, with more kinds, fewer, or what is no note.
    for (told, text) in [
        (&[DataKind::Name][..], TEXT),
        (&[DataKind::Contact, DataKind::Name], TEXT),
        (&told, br#"{"contact":"x","name":"y"}"#),
        (&told, b"{}"),
        (&told, b""),
        (&[DataKind::Time], br#"{"time":["a","b"]}"#),
    ] {
        let (disclosure, file) = noted(&identity, told, text);
        let opened = open_note(&file, &disclosure, &identity);
        assert!(matches!(opened, Err(UnreadableNote::Text(_))), "{opened:?}");
    }
}

#[test]
fn a_note_that_lies_there_is_kept_only_if_it_is_the_one() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::generate();
    let (disclosure, file) = noted(&identity, &[DataKind::Contact], TEXT);
    let (_, another) = noted(&identity, &[DataKind::Contact], b"{}");
    let fetch = |served: &[u8]| {
        receive_note(folder.path(), "note", &disclosure, &identity, |output| {
            output.write_all(served).unwrap();
            Ok(None)
        })
        .unwrap()
    };
    let sealed = folder.path().join("note.age");
    let plain = folder.path().join("note.json");
    let note = Note::parse(TEXT, &[DataKind::Contact], 1).unwrap();
    let opened = (
        Fetched::Opened {
            sealed: sealed.clone(),
            plain: plain.clone(),
        },
        Some(note.clone()),
    );
    assert_eq!(fetch(&file), opened);
    assert_eq!(std::fs::read(&plain).unwrap(), TEXT);
    let mode = std::os::unix::fs::PermissionsExt::mode(&plain.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "for its reader alone");
    let kept = Fetched::Kept {
        sealed: sealed.clone(),
    };
    assert_eq!(fetch(&another), (kept, Some(note)));
    for lies_there in [&another[..], &file[..9], &[]] {
        std::fs::write(&sealed, lies_there).unwrap();
        let (fetched, told) = fetch(&another);
        assert!(matches!(fetched, Fetched::Unreadable { .. }));
        assert_eq!(told, None);
        let evidence = folder.path().join("note.unreadable");
        assert_eq!(std::fs::read(evidence).unwrap(), another);
        assert_eq!(fetch(&file), opened, "fetched anew");
    }
}

/// `tests/vectors/note.json`, for other people's software; `WHOSAW_BLESS=1` writes another.
#[test]
fn the_vector_of_a_note_opens() {
    use age::secrecy::ExposeSecret as _;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/note.json");
    let told = [
        DataKind::Contact,
        DataKind::Name,
        DataKind::Place,
        DataKind::Time,
    ];
    let expected = Note {
        contact: Some("+1 863 555 0142, \"after six\"".to_owned()),
        name: Some("Ana Pérez".to_owned()),
        place: Some(vec![
            "28.03950,-81.94980".to_owned(),
            "the garage".to_owned(),
        ]),
        time: Some(vec![
            "2019-07-30T20:00:00Z/2019-07-30T20:10:00Z".to_owned(),
            "2019-07-30T21:00:00Z/2019-07-30T21:00:30Z".to_owned(),
        ]),
    };
    if std::env::var_os("WHOSAW_BLESS").is_some() {
        let identity = Identity::generate();
        let text = expected.to_json(&told, 2).unwrap();
        let (disclosure, file) = noted(&identity, &told, &text);
        let vector = serde_json::json!({
            "identity": identity.to_string().expose_secret(),
            "gives": disclosure.gives,
            "clips": 2,
            "note": disclosure.note,
            "file": crate::encoding::base64(file),
            "text": String::from_utf8(text).unwrap(),
        });
        let vector = serde_json::to_string_pretty(&vector).unwrap();
        std::fs::write(path, vector + "\n").unwrap();
    }
    let vector: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |member: &str| vector[member].as_str().unwrap();
    let clip = Disclosure::example().clips.remove(0);
    let disclosure = Disclosure {
        gives: serde_json::from_value(vector["gives"].clone()).unwrap(),
        note: Some(text("note").parse().unwrap()),
        clips: vec![clip; vector["clips"].as_u64().unwrap() as usize],
        ..Disclosure::example()
    };
    let file = crate::encoding::from_base64(text("file")).unwrap();
    let identity = text("identity").parse().unwrap();
    let (plain, note) = open_note(&file, &disclosure, &identity).unwrap();
    assert_eq!(*plain, text("text").as_bytes());
    assert_eq!(note, expected);
}
