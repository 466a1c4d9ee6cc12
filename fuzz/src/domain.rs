//! What strangers publish under host names, and what a resolver sends.

use whosaw::wire::dns::{self, Reply};
use whosaw::wire::domain::{MAX_KEYS, Published};

use crate::known;

/// TXT records, one a line.
pub fn records(input: &[u8]) -> bool {
    let records = input.split(|byte| *byte == b'\n');
    is_whole(Published::from_records(records).ok())
}

/// The file.
pub fn file(input: &[u8]) -> bool {
    is_whole(Published::from_file(input).ok())
}

/// What is published is bounded, and the same in both forms.
fn is_whole(published: Option<Published>) -> bool {
    let Some(published) = published.filter(|published| !published.is_empty()) else {
        return false;
    };
    assert!(published.len() <= MAX_KEYS);
    let records = published.records();
    assert!(records.iter().all(|record| record.len() <= 255));
    let again = Published::from_records(records.iter().map(String::as_bytes));
    assert_eq!(again, Ok(published.clone()));
    let file = published.file();
    assert_eq!(Published::from_file(file.as_bytes()), Ok(published));
    true
}

/// A reply to the known question: to no other, and with nothing in it that was not sent.
pub fn reply(input: &[u8]) -> bool {
    let (id, name) = known::QUESTION;
    let Ok(reply) = dns::reply(input, id, name) else {
        return false;
    };
    assert!(dns::reply(input, id ^ 1, name).is_err());
    let Reply::Records(records) = reply else {
        return false;
    };
    assert!(dns::reply(input, id, "_whosaw.elsewhere.example").is_err());
    let sent: usize = records.iter().map(Vec::len).sum();
    assert!(sent < input.len());
    for record in records.iter().filter(|record| record.len() > 255) {
        assert!(str::from_utf8(record).is_ok());
    }
    true
}
