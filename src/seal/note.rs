//! The note of a disclosure: what its owner gives besides the video, for its recipient alone.
//!
//! A standard [age v1](https://c2sp.org/age) file with exactly one X25519 stanza, of one size whatever
//! it tells. Its text is [`wire::note`](crate::wire::note)'s. Spec: `docs/PROTOCOL.md`, section 6.

use zeroize::Zeroizing;

use crate::seal::Identity;
use crate::seal::clip::OpenError;
use crate::seal::one_size;
use crate::seal::recipient::Recipient;
use crate::seal::rewrap::HeaderError;

/// The longest text of a note, in bytes, before it is padded.
pub const MAX_PLAIN: usize = PADDED - 1;
/// The length of every note, in bytes.
pub const SIZE: usize = one_size::size(PADDED);

const PADDED: usize = 4096;

/// A text that no note has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes, where a note has room for {MAX_PLAIN}")]
pub struct TooLong(pub usize);

/// Why a file is no note, or not for this identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenNoteError {
    #[error("not an age file of {SIZE} bytes with one X25519 stanza")]
    Form,
    #[error("its header does not open with the request's identity: {0}")]
    Header(HeaderError),
    #[error("its body does not open with its file key")]
    Body,
    #[error("its text is not padded as a note's is")]
    Padding,
}

/// Seals a text for `recipient`; [`SIZE`] bytes, whatever the text.
///
/// # Errors
/// [`TooLong`] beyond [`MAX_PLAIN`] bytes.
pub fn seal(plain: Vec<u8>, recipient: &Recipient) -> Result<Vec<u8>, TooLong> {
    if plain.len() > MAX_PLAIN {
        return Err(TooLong(plain.len()));
    }
    Ok(one_size::seal(plain, PADDED, recipient))
}

/// Whether a file has the size and the header of a note, which is all that can be seen of it from outside.
pub fn has_form(file: &[u8]) -> bool {
    file.len() == SIZE && one_size::stanza(file).is_some()
}

/// The text of a note.
///
/// # Errors
/// [`OpenNoteError`], each fault told apart.
pub fn open(file: &[u8], identity: &Identity) -> Result<Zeroizing<Vec<u8>>, OpenNoteError> {
    if !has_form(file) {
        return Err(OpenNoteError::Form);
    }
    one_size::open(file, identity).map_err(|error| match error {
        OpenError::Header(error) => OpenNoteError::Header(error),
        OpenError::Body(_) => OpenNoteError::Body,
        OpenError::Padding => OpenNoteError::Padding,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seal::notice;
    use crate::seal::padding::unpad;

    #[test]
    fn its_recipient_opens_it_and_nobody_else() {
        let (own, other) = (Identity::generate(), Identity::generate());
        let recipient = Recipient::of(&own);
        for text in ["", "{}", &"x".repeat(MAX_PLAIN)] {
            let note = seal(text.as_bytes().to_vec(), &recipient).unwrap();
            assert_eq!(note.len(), SIZE, "one size");
            assert!(has_form(&note));
            assert_eq!(*open(&note, &own).unwrap(), text.as_bytes());
            let header = OpenNoteError::Header(HeaderError::NoMatch);
            assert_eq!(open(&note, &other), Err(header));
            // It is a standard file: the age library opens it whole.
            let padded = age::decrypt(&own, &note).unwrap();
            assert_eq!(padded.len(), PADDED);
            assert_eq!(unpad(padded).unwrap(), text.as_bytes());
        }
        let long = seal(vec![b'x'; MAX_PLAIN + 1], &recipient);
        assert_eq!(long, Err(TooLong(MAX_PLAIN + 1)));
        assert_eq!(SIZE, 4296, "as PROTOCOL says");
    }

    #[test]
    fn what_was_altered_or_has_another_size_does_not_open() {
        let own = Identity::generate();
        let note = seal(b"{}".to_vec(), &Recipient::of(&own)).unwrap();
        for at in 0..note.len() {
            let mut altered = note.clone();
            altered[at] ^= 1;
            assert!(open(&altered, &own).is_err(), "byte {at}");
        }
        let longer = [&note[..], &[0]].concat();
        for other in [&note[..0], &note[..168], &note[..SIZE - 1], &longer] {
            assert_eq!(open(other, &own), Err(OpenNoteError::Form));
        }
    }

    /// What its recipient opens, and is no note: a message of a notice, a file of the age program, one without
    /// padding.
    #[test]
    fn other_age_files_for_the_same_recipient_are_no_notes() {
        let own = Identity::generate();
        let recipient = Recipient::of(&own);
        let message = notice::seal(b"{}".to_vec(), &recipient).unwrap();
        let program = age::encrypt(&recipient.to_age(), &[0; PADDED]).unwrap();
        for other in [message, program] {
            assert!(open(&other, &own).is_err());
        }
        let unpadded = one_size_of(&[0; PADDED], &recipient);
        assert_eq!(open(&unpadded, &own), Err(OpenNoteError::Padding));
    }

    /// A file of a note's size and form around these bytes.
    fn one_size_of(padded: &[u8], recipient: &Recipient) -> Vec<u8> {
        let mut body = Vec::new();
        let sealed = crate::seal::clip::seal(padded, recipient, &mut body).unwrap();
        let mut file = crate::seal::rewrap::wrap(&sealed.file_key, recipient);
        file.append(&mut body);
        file
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn nothing_panics(bytes: Vec<u8>, at in 0..SIZE, byte: u8) {
            let own = Identity::generate();
            prop_assert!(open(&bytes, &own).is_err());
            let mut note = seal(b"{}".to_vec(), &Recipient::of(&own)).unwrap();
            note[at] = byte;
            let _ = open(&note, &own);
        }
    }
}
