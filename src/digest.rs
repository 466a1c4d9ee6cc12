//! 32-byte identifiers written as 64 lower-case hexadecimal digits.

/// Declares a newtype over 32 bytes that reads and writes 64 lower-case hexadecimal digits.
macro_rules! hex32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its 32 bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Its 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::encoding::hex(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::encoding::EncodingError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::encoding::exact(&$crate::encoding::from_hex(text)?).map(Self)
            }
        }

        $crate::encoding::serde_as_text!($name);

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": "^[0-9a-f]{64}$",
                    "description": "32 bytes as lower-case hexadecimal."
                })
            }
        }
    };
}

pub(crate) use hex32;

hex32! {
    /// A SHA-256 digest, or a random or derived value of the same size.
    Digest
}

hex32! {
    /// The id of a statement: the SHA-256 of its payload.
    StatementId
}

impl Digest {
    /// The SHA-256 of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self::from_bytes(sha256(bytes))
    }
}

impl StatementId {
    /// The id of the statement with this payload.
    pub fn of_payload(payload: &[u8]) -> Self {
        Self::from_bytes(sha256(payload))
    }
}

fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    <sha2::Sha256 as sha2::Digest>::digest(bytes.as_ref()).into()
}
