//! The bare parts of an append: what no program that does this work can leave out.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::any;
use ed25519_dalek::{Signature, VerifyingKey};
use rusqlite::Connection;
use whosaw::digest::Digest;
use whosaw::statement::envelope::{Envelope, signed_bytes};

/// The path of [`echo`].
pub const ECHO: &str = "/echo";

/// Serves `/echo` for good: takes a body, if there is one, and answers `length` bytes.
pub fn echo(length: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let answer = Bytes::from(vec![b'x'; length]);
        let handler = move |_: Bytes| async move { (StatusCode::CREATED, answer) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("its address");
        println!("listening on http://{address}");
        let served = axum::serve(listener, Router::new().route(ECHO, any(handler))).await;
        served.expect("a server that goes on");
    });
}

/// Decodes the keys and verifies the signatures of one envelope, strictly.
pub fn verify(envelope: &Envelope) {
    let message = signed_bytes(&envelope.payload);
    for (key, signature) in &envelope.signatures {
        let key = VerifyingKey::from_bytes(&key.to_bytes()).expect("a point");
        key.verify_strict(&message, &Signature::from_bytes(signature))
            .expect("a signature");
    }
}

/// Verifies all, on all cores; how many.
pub fn verify_all(envelopes: &[Envelope]) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for share in envelopes.chunks(envelopes.len().div_ceil(cores).max(1)) {
            scope.spawn(|| share.iter().for_each(verify));
        }
    });
    envelopes.len()
}

/// Writes a row of `bytes` for each entry, its id and two facts into a new SQLite file, `batch`
/// entries to a durable transaction (WAL, `synchronous = FULL`); how many entries.
pub fn rows(path: &Path, entries: usize, bytes: usize, batch: usize) -> usize {
    let mut connection = Connection::open(path).expect("a file");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE entries (position INTEGER PRIMARY KEY, leaf BLOB) STRICT;
             CREATE TABLE ids (id BLOB PRIMARY KEY, position INTEGER) STRICT, WITHOUT ROWID;
             CREATE TABLE facts (key BLOB PRIMARY KEY, value BLOB) STRICT, WITHOUT ROWID;",
        )
        .expect("tables");
    let leaf = vec![7_u8; bytes];
    let numbers: Vec<i64> = (0..entries as i64).collect();
    for some in numbers.chunks(batch) {
        let transaction = connection.transaction().expect("a transaction");
        let prepare = |sql| transaction.prepare_cached(sql).expect("a statement");
        let mut entry = prepare("INSERT INTO entries VALUES (?1, ?2)");
        let mut id = prepare("INSERT INTO ids VALUES (?1, ?2)");
        let mut fact = prepare("INSERT INTO facts VALUES (?1, ?2)");
        for number in some {
            let digest = |what: &str| Digest::of(format!("{what} {number}"));
            entry.execute((number, &leaf)).expect("a row");
            id.execute((digest("id").as_bytes(), number))
                .expect("a row");
            for key in [digest("one"), digest("two")] {
                fact.execute((key.as_bytes(), &leaf[..64])).expect("a row");
            }
        }
        drop((entry, id, fact));
        transaction.commit().expect("a durable transaction");
    }
    entries
}

/// Requests for [`echo`], with these bodies.
pub fn echo_requests<'a>(bodies: impl Iterator<Item = &'a [u8]>) -> Arc<Vec<Vec<u8>>> {
    Arc::new(bodies.map(|body| super::load::post(ECHO, body)).collect())
}
