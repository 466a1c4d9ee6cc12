//! What it costs a device to try the messages of all notices, most of which are for others.
//!
//! One thread; its processor time is counted, so that what else runs on the machine is not.
//! `cargo bench --bench notices [-- --messages N]`.

mod support;

use std::hint::black_box;
use std::time::Duration;

use curve25519_dalek::MontgomeryPoint;
use support::server::cpu;
use support::{microseconds, milliseconds, option, per_second, percent, row};
use whosaw::digest::{Digest, StatementId};
use whosaw::encoding::base64;
use whosaw::party::resident::gate::notice::{Tried, try_all};
use whosaw::random;
use whosaw::seal::Identity;
use whosaw::seal::keys::Phrase;
use whosaw::seal::notice::{SIZE, seal};
use whosaw::seal::recipient::Recipient;
use whosaw::statement::kinds::notice::MAX_MESSAGES;
use whosaw::statement::sealed::{AttachmentValue, Opening, SealDigest};
use whosaw::wire::statements::{BundledAttachment, BundledRequest};

/// The least that trying may be of the bare key agreement and authentication.
const OF_BARE: f64 = 0.8;
/// Of so many messages, one is the device's own.
const OWN: usize = 1000;

fn main() {
    let count: usize = option("messages", 10_000);
    let key = Phrase::from_entropy(&[1; 32]).seed().notice_key();
    let recipient = |n: usize| match n % OWN {
        0 => key.recipient(),
        _ => Recipient::of(&Identity::generate()),
    };
    let mut messages: Vec<Vec<u8>> = Vec::with_capacity(count);
    let sealing = took(|| {
        let sealed = (0..count).map(|n| seal(b"told".to_vec(), &recipient(n)));
        messages.extend(sealed.map(|sealed| sealed.expect("a short text")));
    });
    row(
        "sealing, for a recipient drawn",
        microseconds(sealing, count),
        "",
    );

    let scalar: [u8; 32] = random::bytes();
    let points: Vec<[u8; 32]> = messages.iter().map(|m| *Digest::of(m).as_bytes()).collect();
    let bare = took(|| {
        for point in &points {
            let agreed = MontgomeryPoint(*point).mul_clamped(scalar).to_bytes();
            let opened = age_core::primitives::aead_decrypt(&agreed, 16, point);
            black_box(opened.is_ok());
        }
    });
    let bare = count as f64 / bare.as_secs_f64();
    row("bare X25519 and ChaCha20-Poly1305", per_second(bare), "");
    let mut own = 0;
    let tried = took(|| own = messages.iter().filter(|m| key.is_for(m)).count());
    assert_eq!(own, count.div_ceil(OWN));
    let tried = count as f64 / tried.as_secs_f64();
    row("messages tried", per_second(tried), "");
    row(
        "  of the bare rate",
        percent(tried / bare),
        &format!(">= {}", percent(OF_BARE)),
    );

    let answers: Vec<(Vec<SealDigest>, Vec<u8>)> =
        messages.chunks(MAX_MESSAGES).map(answer).collect();
    let bytes: usize = answers.iter().map(|(_, json)| json.len()).sum();
    let mut own = 0;
    let whole = took(|| {
        for (digests, json) in &answers {
            let given: BundledRequest = serde_json::from_slice(json).expect("an answer");
            let tried = try_all(&key, digests, &given).into_iter();
            own += tried.filter(|tried| matches!(tried, Tried::Own(_))).count();
        }
    });
    assert_eq!(own, count.div_ceil(OWN));
    row(
        &format!("{count} messages from answers: read, checked, tried"),
        milliseconds(whole),
        "",
    );
    row("  a message", microseconds(whole, count), "");
    row(
        "  bytes fetched, a message",
        bytes / count,
        &format!("{SIZE} sealed"),
    );
}

/// Processor time of some work; the kernel counts it in hundredths of a second.
fn took(work: impl FnOnce()) -> Duration {
    let since = cpu("self");
    work();
    cpu("self") - since
}

/// An answer of `GET /notices/{id}` with the digests that the log has.
fn answer(messages: &[Vec<u8>]) -> (Vec<SealDigest>, Vec<u8>) {
    let attach = |message: &Vec<u8>| {
        let value = AttachmentValue {
            sha256: Digest::of(message),
            size: message.len() as u64,
            media_type: "application/age".parse().expect("a media type"),
        };
        let opening = Opening::attachment(&random::bytes::<16>(), &value).expect("an opening");
        let attached = BundledAttachment {
            opening: opening.encode().to_owned(),
            data: base64(message),
        };
        (opening.digest(), attached)
    };
    let (digests, attachments) = messages.iter().map(attach).unzip();
    let id = StatementId::from_bytes([1; 32]);
    let given = BundledRequest { id, attachments };
    (
        digests,
        serde_json::to_vec(&given).expect("own values serialise"),
    )
}
