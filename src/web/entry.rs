//! One entry's page: what a statement says, for everyone who follows a link to it.

use askama::Template;

use super::page::FindingView;
use super::words::Moment;
use crate::digest::StatementId;
use crate::record::findings::Finding;
use crate::statement::leaf::Leaf;
use crate::statement::parse_payload;
use crate::statement::refusal::Refusal;
use crate::statement::sealed::SealDigest;
use crate::tlog::tree::LeafIndex;

/// The page of an entry.
#[derive(Debug, Template)]
#[template(path = "entry.html", config = "src/web/askama.toml")]
pub struct EntryPage {
    /// The log's origin: its address without scheme.
    pub origin: String,
    pub index: LeafIndex,
    pub id: String,
    pub logged_at: Moment,
    /// The statement's type, which has a schema.
    pub kind: &'static str,
    pub author: String,
    pub plain: String,
    /// Of whoever signed, in base64url.
    pub keys: Vec<String>,
    pub findings: Vec<FindingView>,
    /// How many entries the findings rest on; none if this one is not among them yet.
    pub compared: Option<u64>,
    /// Each attachment's member and digest, and whether it was erased.
    pub attachments: Vec<(String, String, bool)>,
    /// The signed payload, indented.
    pub payload: String,
}

impl EntryPage {
    /// The page of the entry at `index`, with what the first `compared` entries say about it.
    /// `erased` knows which attachments are.
    ///
    /// # Errors
    /// If the leaf is not of the form that every log's leaves have.
    pub fn of(
        origin: &str,
        index: LeafIndex,
        leaf: &Leaf,
        (findings, compared): (&[Finding], u64),
        erased: &dyn Fn(&SealDigest) -> bool,
    ) -> Result<Self, Refusal> {
        let envelope = &leaf.envelope;
        let (head, statement) = parse_payload(&envelope.payload)?;
        let payload: serde_json::Value =
            serde_json::from_slice(&envelope.payload).expect("a payload is JSON");
        let author = head.author.to_string();
        let attachments = statement.attachments().into_iter();
        Ok(Self {
            origin: origin.to_owned(),
            index,
            id: StatementId::of_payload(&envelope.payload).to_string(),
            logged_at: leaf.logged_at.into(),
            kind: statement.name(),
            plain: statement.plain(&author),
            author,
            keys: envelope
                .signatures
                .iter()
                .map(|(key, _)| key.to_string())
                .collect(),
            findings: findings.iter().map(FindingView::from).collect(),
            compared: Some(compared).filter(|size| *size > index.as_u64()),
            attachments: attachments
                .map(|(member, digest)| (member, digest.to_string(), erased(&digest)))
                .collect(),
            payload: format!("{payload:#}"),
        })
    }
}

#[cfg(test)]
mod tests;
