//! One entry's page: what a statement says, for everyone who follows a link to it.

use askama::Template;

use super::page::FindingView;
use super::words::Moment;
use crate::digest::StatementId;
use crate::encoding::printable_lines;
use crate::record::findings::Finding;
use crate::statement::leaf::Leaf;
use crate::statement::parse_payload;
use crate::statement::refusal::Refusal;
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
    /// Each attachment's member and digest.
    pub attachments: Vec<(String, String)>,
    /// The signed payload, indented.
    pub payload: String,
}

impl EntryPage {
    /// The page of the entry at `index`, with what was found about it.
    ///
    /// # Errors
    /// If the leaf is not of the form that every log's leaves have.
    pub fn of(
        origin: &str,
        index: LeafIndex,
        leaf: &Leaf,
        findings: &[Finding],
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
            attachments: attachments
                .map(|(member, digest)| (member, digest.to_string()))
                .collect(),
            payload: printable_lines(&format!("{payload:#}")),
        })
    }
}

#[cfg(test)]
mod tests;
