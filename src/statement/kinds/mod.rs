//! The statement types: one file each, with its members, its rule, an example and plain words.
//!
//! A new type is one file here and one line in `kinds!`.

pub mod access_request;
pub mod agreement;
pub mod annotation;
pub mod benefit;
pub mod bulletin;
pub mod collection;
pub mod commitment_batch;
pub mod custody_report;
pub mod decision;
pub mod delay_order;
pub mod demand_response;
pub mod disclosure;
pub mod erasure;
pub mod insider_access;
pub mod key_change;
pub mod legal_demand;
pub mod limits;
pub mod log_closed;
pub mod notice;
pub mod party;
pub mod party_status;
pub mod release;
pub mod request_closing;
pub mod unsealing;
pub mod withdrawal;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::canonical::plain;
use super::facts::{Change, Facts};
use super::refusal::{Reason, Refusal, Verdict};
use super::rules::Entry;
use super::rules::seals::SealedField;
use super::sealed::SealDigest;
use super::{VERSION, from_object, to_object};

/// A statement type.
pub trait Kind: Serialize + DeserializeOwned + JsonSchema {
    /// The `type` member.
    const NAME: &'static str;

    /// Whether the log admits it at this place, and what that changes.
    ///
    /// # Errors
    /// A refusal, or the facts' own error.
    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>>;

    /// What it says, in one plain sentence about `who`.
    fn plain(&self, who: &str) -> String;

    /// Attachments it refers to, each with its member (a JSON Pointer).
    fn attachments(&self) -> Vec<(String, SealDigest)> {
        Vec::new()
    }

    /// Fields that are opened later, each with the name that its opening has.
    fn sealed(&self) -> Vec<(&'static str, &SealedField)> {
        Vec::new()
    }

    /// A valid example, for schemas, documents and tests.
    fn example() -> Self;
}

macro_rules! kinds {
    ($($variant:ident $module:ident,)*) => {
        /// Any statement: the members of its type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Statement { $($variant($module::$variant),)* }

        impl Statement {
            /// The `type` of every statement there is, in the protocol's order.
            pub const NAMES: &'static [&'static str] = &[$($module::$variant::NAME,)*];

            /// The `type` member.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $module::$variant::NAME,)* }
            }

            /// Parses a type's own members.
            pub(crate) fn from_members(
                name: &str, version: u32, members: Map<String, Value>,
            ) -> Result<Self, Refusal> {
                match (name, version) {
                    $(($module::$variant::NAME, VERSION) => from_object(members).map(Self::$variant),)*
                    _ => Err(Refusal::new(
                        Reason::UnknownType,
                        "/type",
                        format!("there is no version {version} of a type {name:?}; there are: {}",
                            Self::NAMES.join(", ")),
                    )),
                }
            }

            /// As [`Statement::from_members`], from what [`plain`] found.
            pub(super) fn from_plain(
                name: &str, version: u32, members: &[plain::Member<'_>],
            ) -> Option<Self> {
                match (name, version) {
                    $(($module::$variant::NAME, VERSION) => plain::structure(members).map(Self::$variant),)*
                    _ => None,
                }
            }

            /// The type's own members.
            pub(super) fn to_members(&self) -> Map<String, Value> {
                match self { $(Self::$variant(body) => to_object(body),)* }
            }

            /// See [`Kind::judge`].
            pub(super) fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
                match self { $(Self::$variant(body) => body.judge(entry),)* }
            }

            /// See [`Kind::plain`].
            pub fn plain(&self, who: &str) -> String {
                match self { $(Self::$variant(body) => body.plain(who),)* }
            }

            /// See [`Kind::attachments`].
            pub fn attachments(&self) -> Vec<(String, SealDigest)> {
                match self { $(Self::$variant(body) => body.attachments(),)* }
            }

            /// See [`Kind::sealed`].
            pub fn sealed(&self) -> Vec<(&'static str, &SealedField)> {
                match self { $(Self::$variant(body) => body.sealed(),)* }
            }

            /// An example of every type.
            pub fn examples() -> Vec<Self> {
                vec![$(Self::$variant($module::$variant::example()),)*]
            }

            /// The JSON Schema of a type's own members, if there is such a type.
            pub(crate) fn member_schema(name: &str) -> Option<Value> {
                let mut all = Self::member_schemas().into_iter();
                all.find(|(known, _)| *known == name).map(|(_, schema)| schema.to_value())
            }

            /// The JSON Schema of every type's own members, by type.
            pub(crate) fn member_schemas() -> Vec<(&'static str, schemars::Schema)> {
                vec![$(($module::$variant::NAME, schemars::schema_for!($module::$variant)),)*]
            }
        }

        $(impl From<$module::$variant> for Statement {
            fn from(body: $module::$variant) -> Self { Self::$variant(body) }
        })*
    };
}

kinds! {
    Party party,
    KeyChange key_change,
    PartyStatus party_status,
    Limits limits,
    Agreement agreement,
    Benefit benefit,
    AccessRequest access_request,
    RequestClosing request_closing,
    CommitmentBatch commitment_batch,
    Disclosure disclosure,
    Withdrawal withdrawal,
    Collection collection,
    CustodyReport custody_report,
    LegalDemand legal_demand,
    DelayOrder delay_order,
    DemandResponse demand_response,
    Notice notice,
    InsiderAccess insider_access,
    Unsealing unsealing,
    Bulletin bulletin,
    Annotation annotation,
    Erasure erasure,
    Release release,
    Decision decision,
    LogClosed log_closed,
}
