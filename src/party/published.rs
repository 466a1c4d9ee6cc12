//! A clip that a resident gave to everybody: fetched by whoever likes, checked against the log, and
//! only then opened. Nothing is said to the server about who asks.

use std::path::Path;

use super::collected::{Fetched, receive};
use super::official::OfficialError;
use super::resident::publish;
use crate::client::Client;
use crate::digest::StatementId;
use crate::seal::keys::public_identity;
use crate::statement::kinds::disclosure::DisclosedClip;

/// Fetches the clip of the disclosure `id` to the public into `folder`, checks and opens it: header
/// and body of at most `most` bytes.
///
/// # Errors
/// If the server or `folder` does not do as told.
pub fn fetch(
    client: &Client,
    id: &StatementId,
    clip: &DisclosedClip,
    most: u64,
    folder: &Path,
) -> Result<Fetched, OfficialError> {
    let name = id.to_string();
    let path = publish::path(id);
    let download = |file: &mut std::fs::File| client.download(&path, None, most, file);
    receive(folder, &name, clip, &public_identity(), download)
}
