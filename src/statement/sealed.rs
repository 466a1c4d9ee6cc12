//! Sealed fields: a digest in the statement now, its opening later or never.
//!
//! An opening is an object disclosure of SD-JWT
//! ([RFC 9901, section 4.2.1](https://www.rfc-editor.org/rfc/rfc9901#section-4.2.1)):
//! base64url of the JSON array `[salt, name, value]`. Its digest is the SHA-256 of that very
//! text, so the text is kept as it came and never written anew. Here a salt is base64url of at
//! least 128 bits, and no object in a value repeats a member: two readers must not see two values.
//!
//! Not here: which fields may be sealed, when an opening is due, where it is published.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::encoding::{EncodingError, base64url, exact, from_base64url};

/// The fewest bytes of a salt.
pub const MIN_SALT: usize = 16;

/// The longest encoded opening, in bytes.
pub const MAX_OPENING: usize = 64 * 1024;

/// The largest attachment, in bytes.
pub const MAX_ATTACHMENT: u64 = 16 * 1024 * 1024;

const ATTACHMENT: &str = "attachment";

/// The digest of an opening: a SHA-256, written as 43 base64url digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealDigest([u8; 32]);

impl SealDigest {
    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of what is, or is said to be, an opening.
    pub fn of(text: &[u8]) -> Self {
        Self(*Digest::of(text).as_bytes())
    }
}

impl fmt::Display for SealDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(self.0))
    }
}

impl fmt::Debug for SealDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealDigest({self})")
    }
}

impl FromStr for SealDigest {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, EncodingError> {
        exact(&from_base64url(text)?).map(Self)
    }
}

crate::encoding::serde_as_text!(SealDigest);

impl JsonSchema for SealDigest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SealDigest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$",
            "description": "SHA-256 of an SD-JWT disclosure as unpadded base64url."
        })
    }
}

/// Why a text or its parts make no opening. Never holds what was to be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    #[error("an opening of {0} bytes, where at most {MAX_OPENING} are taken")]
    TooLong(usize),
    #[error("an opening is {0}")]
    Encoding(EncodingError),
    #[error("not a JSON array of salt, name and value, or a member of the value is repeated")]
    Shape,
    #[error("the salt is {0}")]
    Salt(EncodingError),
    #[error("a salt of {0} bytes, where at least {MIN_SALT} are needed")]
    ShortSalt(usize),
}

/// What opens a sealed field: a salt, the field's name, and its value.
///
/// Equal openings have equal texts. `Debug` shows the digest alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    text: String,
    salt: Vec<u8>,
    name: String,
    value: Value,
}

impl Opening {
    /// Seals `value` under random or derived salt. The same parts make the same text always: the
    /// canonical one (RFC 8785).
    pub fn new(salt: &[u8], name: &str, value: &Value) -> Result<Self, OpeningError> {
        let array = (base64url(salt), name, value);
        let json = serde_json_canonicalizer::to_vec(&array).map_err(|_| OpeningError::Shape)?;
        Self::parse(&base64url(json))
    }

    /// Reads an encoded opening. Any spacing and order of its JSON is as good as another.
    pub fn parse(text: &str) -> Result<Self, OpeningError> {
        if text.len() > MAX_OPENING {
            return Err(OpeningError::TooLong(text.len()));
        }
        let json = from_base64url(text).map_err(OpeningError::Encoding)?;
        let (salt, name, UniqueMembers(value)): (String, String, _) =
            serde_json::from_slice(&json).map_err(|_| OpeningError::Shape)?;
        let salt = from_base64url(&salt).map_err(OpeningError::Salt)?;
        if salt.len() < MIN_SALT {
            return Err(OpeningError::ShortSalt(salt.len()));
        }
        Ok(Self {
            text: text.to_owned(),
            salt,
            name,
            value,
        })
    }

    /// Its text, exactly as it was parsed: what the digest is of.
    pub fn encode(&self) -> &str {
        &self.text
    }

    /// The digest that stands in the statement.
    pub fn digest(&self) -> SealDigest {
        SealDigest::of(self.text.as_bytes())
    }

    /// The salt's bytes.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The name of the sealed field.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sealed value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The sealed value as a structure, if it is an object that fits.
    ///
    /// (serde's derived structures would also take an array of their members.)
    pub fn object<T: DeserializeOwned>(&self) -> Option<T> {
        let object = self.value.is_object();
        object.then(|| T::deserialize(&self.value).ok()).flatten()
    }

    /// The opening of an attachment.
    pub fn attachment(salt: &[u8], value: &AttachmentValue) -> Result<Self, OpeningError> {
        let value = serde_json::to_value(value).map_err(|_| OpeningError::Shape)?;
        Self::new(salt, ATTACHMENT, &value)
    }

    /// What this opening says of an attachment.
    pub fn as_attachment(&self) -> Result<AttachmentValue, AttachmentError> {
        if self.name != ATTACHMENT {
            return Err(AttachmentError::Name);
        }
        let value: AttachmentValue = self.object().ok_or(AttachmentError::Value)?;
        if value.size > MAX_ATTACHMENT {
            return Err(AttachmentError::Size(value.size));
        }
        Ok(value)
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({})", self.digest())
    }
}

/// Why a text does not open a sealed field as it was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misopened {
    #[error("is no opening")]
    NoOpening,
    #[error("opens something else")]
    OtherDigest,
    #[error("has the name of another field")]
    OtherName,
    #[error("says nothing")]
    NoValue,
}

/// The value that a text gives the sealed field with this digest and name.
///
/// # Errors
/// [`Misopened`]; what has the digest and no other fault was sealed wrongly, not altered since.
pub fn open_field(text: &[u8], digest: &SealDigest, name: &str) -> Result<String, Misopened> {
    let opening = std::str::from_utf8(text).ok().map(Opening::parse);
    let opening = opening.and_then(Result::ok).ok_or(Misopened::NoOpening)?;
    if opening.digest() != *digest {
        return Err(Misopened::OtherDigest);
    }
    if opening.name() != name {
        return Err(Misopened::OtherName);
    }
    match opening.value().as_str() {
        Some(value) if !value.trim().is_empty() => Ok(value.to_owned()),
        _ => Err(Misopened::NoValue),
    }
}

/// An attachment, as the statement that refers to it fixes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachmentValue {
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its length in bytes.
    #[schemars(range(max = 16_777_216))]
    pub size: u64,
    #[serde(rename = "type")]
    pub media_type: MediaType,
}

/// Why an opening is not one of an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    #[error("the opening is not named `attachment`")]
    Name,
    #[error("the opening's value is not `sha256`, `size` and `type` of an attachment")]
    Value,
    #[error("an attachment of {0} bytes, where at most {MAX_ATTACHMENT} are taken")]
    Size(u64),
}

/// A media type without parameters (RFC 6838, section 4.2), in lower case, as `application/pdf`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaType(String);

/// The text is no media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a media type in lower case and without parameters, as application/pdf")]
pub struct MediaTypeError;

impl MediaType {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MediaType {
    type Error = MediaTypeError;

    fn try_from(text: String) -> Result<Self, MediaTypeError> {
        let (kind, subtype) = text.split_once('/').ok_or(MediaTypeError)?;
        if is_restricted_name(kind) && is_restricted_name(subtype) {
            Ok(Self(text))
        } else {
            Err(MediaTypeError)
        }
    }
}

impl FromStr for MediaType {
    type Err = MediaTypeError;

    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        text.to_owned().try_into()
    }
}

impl From<MediaType> for String {
    fn from(media_type: MediaType) -> Self {
        media_type.0
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for MediaType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MediaType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}$",
            "description": "A media type in lower case, without parameters."
        })
    }
}

fn is_restricted_name(text: &str) -> bool {
    let lower_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&text.len())
        && text.bytes().next().is_some_and(lower_alphanumeric)
        && text
            .bytes()
            .all(|b| lower_alphanumeric(b) || b".+-".contains(&b))
}

/// A JSON value in which no object has two members of the same name.
///
/// (`Value` itself takes the last of them, and reads one reserved member's text as JSON anew, past
/// its own limit on nesting.)
pub(super) struct UniqueMembers(pub(super) Value);

impl<'de> Deserialize<'de> for UniqueMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueMembersVisitor).map(Self)
    }
}

struct UniqueMembersVisitor;

impl<'de> Visitor<'de> for UniqueMembersVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(UniqueMembers(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some((name, UniqueMembers(value))) = members.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("a repeated member"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests;
