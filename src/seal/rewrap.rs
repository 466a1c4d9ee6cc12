//! Headers of age v1 files: reading the file key out of one, and writing it into another.
//!
//! Re-wrapping re-addresses a clip and revokes nothing: the payload stays as it is, and whoever
//! learnt the file key keeps it. The format is <https://c2sp.org/age>.

use age::{Identity, Recipient as _};
use age_core::format::{FileKey, Stanza, read};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::encoding::{base64, from_base64};
use crate::seal::keys::header_mac_key;
use crate::seal::recipient::Recipient;

/// The longest header that is read, in bytes; one with a single X25519 stanza has 168.
pub const MAX_HEADER: usize = 16 * 1024;

const VERSION_LINE: &[u8] = b"age-encryption.org/v1\n";
const MAC_PREFIX: &[u8] = b"---";

/// Why a header gave no file key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("longer than {MAX_HEADER} bytes")]
    TooLong,
    #[error("not an age v1 header, or more than one")]
    Malformed,
    #[error("sealed under a passphrase, where a recipient is expected")]
    Passphrase,
    #[error("no stanza is for this identity")]
    NoMatch,
    #[error("a stanza of a kind this identity reads is malformed")]
    Stanza,
    #[error("the header's MAC is not its file key's: the header was altered")]
    Mac,
}

/// The file key in `header`, which must be nothing but a header. It is handed out only after the
/// header's MAC has been found to be right.
pub fn file_key(header: &[u8], identity: &dyn Identity) -> Result<FileKey, HeaderError> {
    let parsed = Parsed::read(header)?;
    let file_key = identity
        .unwrap_stanzas(&parsed.stanzas)
        .ok_or(HeaderError::NoMatch)?
        .map_err(|_| HeaderError::Stanza)?;
    header_mac(&file_key, parsed.authenticated)
        .verify_slice(&parsed.mac)
        .map_err(|_| HeaderError::Mac)?;
    Ok(file_key)
}

/// A header with exactly one stanza, which gives `file_key` to `recipient`.
pub fn wrap(file_key: &FileKey, recipient: &Recipient) -> Vec<u8> {
    let (stanzas, _) = recipient
        .to_age()
        .wrap_file_key(file_key)
        .expect("an X25519 recipient wraps every file key");
    let mut header = VERSION_LINE.to_vec();
    for Stanza { tag, args, body } in stanzas {
        // 32 bytes make 43 digits: always the short last line that ends a body.
        let (args, body) = (args.join(" "), base64(body));
        let body = body.trim_end_matches('=');
        header.extend_from_slice(format!("-> {tag} {args}\n{body}\n").as_bytes());
    }
    header.extend_from_slice(MAC_PREFIX);
    let mac = base64(header_mac(file_key, &header).finalize().into_bytes());
    header.extend_from_slice(format!(" {}\n", mac.trim_end_matches('=')).as_bytes());
    header
}

/// Whether a header ends with this line.
pub(super) fn is_last_line(line: &[u8]) -> bool {
    line.starts_with(MAC_PREFIX) && line.ends_with(b"\n")
}

fn header_mac(file_key: &FileKey, authenticated: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(&*header_mac_key(file_key))
        .expect("HMAC takes keys of any length")
        .chain_update(authenticated)
}

struct Parsed<'a> {
    stanzas: Vec<Stanza>,
    /// What the MAC covers: everything up to and with the three dashes.
    authenticated: &'a [u8],
    mac: Vec<u8>,
}

impl<'a> Parsed<'a> {
    fn read(header: &'a [u8]) -> Result<Self, HeaderError> {
        if header.len() > MAX_HEADER {
            return Err(HeaderError::TooLong);
        }
        let mut rest = header
            .strip_prefix(VERSION_LINE)
            .ok_or(HeaderError::Malformed)?;
        let mut stanzas = Vec::new();
        while !rest.starts_with(MAC_PREFIX) {
            let (after, stanza) = read::age_stanza(rest).map_err(|_| HeaderError::Malformed)?;
            stanzas.push(Stanza::from(stanza));
            rest = after;
        }
        if stanzas.is_empty() {
            return Err(HeaderError::Malformed);
        }
        if stanzas.iter().any(|stanza| stanza.tag == "scrypt") {
            return Err(HeaderError::Passphrase);
        }
        let before = header.len().saturating_sub(rest.len());
        let authenticated = before.saturating_add(MAC_PREFIX.len());
        Ok(Self {
            stanzas,
            authenticated: header.get(..authenticated).ok_or(HeaderError::Malformed)?,
            mac: read_mac(rest).ok_or(HeaderError::Malformed)?,
        })
    }
}

fn read_mac(line: &[u8]) -> Option<Vec<u8>> {
    let digits = line.strip_prefix(b"--- ")?.strip_suffix(b"\n")?;
    let digits = std::str::from_utf8(digits).ok()?;
    // One `=` completes the 43 digits of 32 bytes; other lengths do not decode, or not to 32.
    from_base64(&format!("{digits}="))
        .ok()
        .filter(|mac| mac.len() == 32)
}

#[cfg(test)]
mod tests;
