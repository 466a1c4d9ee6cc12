//! Sealed files, from whoever stored them.

use std::io;

use whosaw::seal::clip;
use whosaw::seal::notice;
use whosaw::seal::rewrap::{self, MAX_HEADER};

use crate::known;

/// A header is what stands before the body, and short; only what was sealed opens, unaltered.
pub fn sealed(input: &[u8]) -> bool {
    let mut body = input;
    match clip::read_header(&mut body) {
        Ok(header) => {
            assert!(header.len() <= MAX_HEADER);
            assert_eq!([header.as_slice(), body].concat(), input);
            if rewrap::file_key(&header, &*known::IDENTITY).is_ok() {
                assert!(
                    known::SEALED.starts_with(&header),
                    "another header's MAC holds"
                );
            }
        }
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidData),
    }
    let Ok(plain) = clip::open_bytes(input, &*known::IDENTITY) else {
        return false;
    };
    assert_eq!(plain, known::PLAIN);
    assert_eq!(input, known::SEALED);
    true
}

/// A trial takes any bytes; only what was sealed opens, unaltered.
pub fn notice(input: &[u8]) -> bool {
    let opened = known::NOTICE_KEY.open(input);
    assert_eq!(opened.is_some(), known::NOTICE_KEY.is_for(input));
    let Some(Ok(plain)) = opened else {
        return false;
    };
    assert_eq!(plain, known::MESSAGE.as_bytes());
    assert_eq!(input, known::NOTICE);
    assert_eq!(input.len(), notice::SIZE);
    true
}
