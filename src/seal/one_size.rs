//! Age files of one size with exactly one X25519 stanza: from outside, one looks like another, whatever
//! it holds and whomever it is for.
//!
//! The age library greases its headers by a random length, so these are written here
//! ([age v1](https://c2sp.org/age)).

use zeroize::Zeroizing;

use crate::encoding::{exact, from_base64};
use crate::seal::Identity;
use crate::seal::clip::{self, OpenError};
use crate::seal::padding::{pad, unpad};
use crate::seal::recipient::Recipient;
use crate::seal::rewrap;

/// The length of the header, in bytes.
pub(super) const HEADER: usize = 168;
const NONCE: usize = 16;
const TAG: usize = 16;

const BEFORE_SHARE: &[u8] = b"age-encryption.org/v1\n-> X25519 ";
const BEFORE_MAC: &[u8] = b"\n--- ";
/// Digits of 32 bytes in base64 without padding.
const DIGITS: usize = 43;

/// The stanza of a header.
pub(super) struct Stanza {
    /// The sender's share of the key agreement.
    pub share: [u8; 32],
    /// The file key, wrapped.
    pub wrapped: [u8; 32],
}

/// The length of a file whose padded text has so many bytes, at most one chunk of age (64 KiB).
pub(super) const fn size(padded: usize) -> usize {
    padded.saturating_add(HEADER + NONCE + TAG)
}

/// Seals a text, padded to so many bytes, of which it leaves at least one.
pub(super) fn seal(plain: Vec<u8>, padded: usize, recipient: &Recipient) -> Vec<u8> {
    debug_assert!(plain.len() < padded);
    let plain = Zeroizing::new(pad(plain, padded));
    let mut body = Vec::with_capacity(size(padded));
    let sealed = clip::seal(&plain[..], recipient, &mut body);
    let sealed = sealed.expect("memory takes every write");
    let mut file = rewrap::wrap(&sealed.file_key, recipient);
    file.append(&mut body);
    debug_assert_eq!(file.len(), size(padded));
    file
}

/// Opens a file that [`seal`] made; its text.
///
/// # Errors
/// If it does not open with `identity`, or is not padded to whole blocks of one.
pub(super) fn open(file: &[u8], identity: &Identity) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    use std::io::Read as _;
    let (header, body) = file.split_at_checked(HEADER).unwrap_or((file, &[]));
    // It never grows: a vector that moves leaves what it held behind.
    let mut padded = Vec::with_capacity(file.len());
    clip::open(header, body, identity)?.read_to_end(&mut padded)?;
    let plain = unpad(padded).ok_or(OpenError::Padding)?;
    Ok(Zeroizing::new(plain))
}

/// The stanza of a file, if its header has exactly one, of X25519.
pub(super) fn stanza(file: &[u8]) -> Option<Stanza> {
    let stanza = file.get(..HEADER)?.strip_prefix(BEFORE_SHARE)?;
    let (share, rest) = stanza.split_at_checked(DIGITS)?;
    let (wrapped, rest) = rest.strip_prefix(b"\n")?.split_at_checked(DIGITS)?;
    rest.strip_prefix(BEFORE_MAC)?.strip_suffix(b"\n")?;
    Some(Stanza {
        share: digits(share)?,
        wrapped: digits(wrapped)?,
    })
}

/// 32 bytes from their digits.
fn digits(text: &[u8]) -> Option<[u8; 32]> {
    let mut padded = [b'='; DIGITS + 1];
    padded.get_mut(..DIGITS)?.copy_from_slice(text);
    let text = std::str::from_utf8(&padded).ok()?;
    exact(&from_base64(text).ok()?).ok()
}
