//! `release`: which bytes a publisher ships as a version of a program.
//!
//! Whoever runs the program can see that everybody is given the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::digest::Digest;
use crate::statement::facts::{Change, Facts};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, wrong_author};
use crate::statement::words::{Label, PartyKind, Role};

/// The most artifacts of one release.
const MAX_ARTIFACTS: usize = 32;

/// A version of a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The program.
    pub program: Label,
    /// Its version.
    pub release: Label,
    /// 1 to 32, ascending by name, each name once.
    pub artifacts: Vec<Artifact>,
}

/// A file that is shipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// The file's name.
    pub name: Label,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its length in bytes.
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub size: u64,
}

impl Kind for Release {
    const NAME: &'static str = "release";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let publisher = entry.issuer()?;
        entry.signed_by_party(publisher, &[Role::Admin])?;
        let kind = entry.in_standing("/issuer", publisher)?.kind;
        if !matches!(kind, PartyKind::Operator | PartyKind::Vendor) {
            return Err(wrong_author("the operator or a vendor").into());
        }
        let ascending = self
            .artifacts
            .is_sorted_by(|one, next| one.name < next.name);
        if !(1..=MAX_ARTIFACTS).contains(&self.artifacts.len()) || !ascending {
            let detail = "1 to 32, ascending by name, each name once";
            return Err(Refusal::new(Reason::BadValue, "/artifacts", detail).into());
        }
        Ok(Change::new())
    }

    fn plain(&self, who: &str) -> String {
        let names: Vec<&str> = self.artifacts.iter().map(|a| a.name.as_str()).collect();
        let (program, version) = (&self.program, &self.release);
        format!("{who} publishes {program} {version}: {}.", names.join(", "))
    }

    fn example() -> Self {
        Self {
            program: "whosaw".parse().expect("a label"),
            release: "1.0.0".parse().expect("a label"),
            artifacts: vec![Artifact {
                name: "whosaw-x86_64-linux".parse().expect("a label"),
                sha256: Digest::from_bytes([17; 32]),
                size: 12_345_678,
            }],
        }
    }
}
