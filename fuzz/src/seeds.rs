//! The first inputs of each corpus: what the known log's parties wrote.

use ed25519_dalek::SigningKey;
use whosaw::digest::Digest;
use whosaw::statement::key::PublicKey;
use whosaw::statement::kinds::disclosure::{Audience, Disclosure};
use whosaw::statement::leaf::Leaf;
use whosaw::statement::sealed::{AttachmentValue, Opening};
use whosaw::statement::words::DataKind;
use whosaw::statement::{self, Author, Head, Kind as _, Statement};
use whosaw::tlog::tile;
use whosaw::wire::dns;
use whosaw::wire::domain::Published;
use whosaw::wire::signature::SignatureHeaders;

use crate::known;

const SCOPE: &str = concat!(
    r#"{"type":"Feature","geometry":{"type":"Polygon","coordinates":"#,
    r#"[[[-81.95,28.03],[-81.94,28.03],[-81.94,28.04],[-81.95,28.04],[-81.95,28.03]]]},"#,
    r#""properties":{"from":"2019-07-30T21:00:00Z","until":"2019-07-30T23:00:00Z"}}"#
);

/// Inputs that the target of this name accepts, or all but accepts.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let notes = || known::NOTES.iter().map(|note| note.to_bytes()).collect();
    let small = || known::CHECKPOINTS[0].body();
    match target {
        "note" | "signed-checkpoint" => notes(),
        "checkpoint" => vec![small().into()],
        "cosignature" => {
            let lines: String = known::COSIGNATURES
                .iter()
                .map(ToString::to_string)
                .collect();
            vec![lines.into(), known::TIMELESS.to_string().into()]
        }
        "policy" => vec![known::POLICY.to_string().into()],
        "tile-path" => texts(&[
            "tile/0/000",
            "tile/7/001.p/255",
            "tile/0/x140/x737/x488/x355/327",
            "tile/entries/x036/x028/x797/x018/x963/967.p/1",
            "tile/entries/x001/234",
        ]),
        "bundle" => {
            let entries: Vec<Vec<u8>> = known::LEAVES.map(<[u8]>::to_vec).into();
            let hashes = tile::encode_hashes(&[known::CHECKPOINTS[0].root]);
            vec![
                [vec![2], tile::encode_entries(&entries)].concat(),
                [vec![0], hashes].concat(),
            ]
        }
        "proof" => vec![known::PROOF.to_text().into()],
        "add-checkpoint" => vec![known::ADD_CHECKPOINT.to_string().into()],
        "sign-subtree" => vec![known::SIGN_SUBTREE.to_string().into()],
        "evidence" => vec![known::EVIDENCE.to_string().into()],
        "envelope" => vec![known::ENVELOPE.to_json()],
        "reader" => scripts(),
        "statement" => payloads(),
        "leaf" => journey().chain([leaf()]).collect(),
        "opening" => openings(),
        "scope" => texts(&[SCOPE]),
        "text" => words(),
        "call" => {
            let target = [
                known::CALL.method,
                known::CALL.authority,
                known::CALL.path,
                "a=b",
            ];
            vec![
                [&target[..], &fields(&known::CALL_HEADERS)]
                    .concat()
                    .join("\n")
                    .into(),
            ]
        }
        "response" => {
            let (status, media_type, body) = known::ANSWER;
            let head = format!("{status}\n{media_type}\n");
            let fields = fields(&known::ANSWER_HEADERS).join("\n");
            vec![[head.as_bytes(), fields.as_bytes(), b"\n", body].concat()]
        }
        "json-lines" => texts(&["\u{3}\u{8}{}\r\n\n{\"a\":1}\n {} "]),
        "base-url" => texts(&["https://ledger.example:8443/log", "http://[::1]:80/"]),
        "domain-records" => vec![
            ["another's\n".to_owned(), published().records().join("\n")]
                .concat()
                .into(),
        ],
        "domain-file" => vec![published().file().into()],
        "dns-reply" => vec![dns_reply(0x80), dns_reply(0x82)],
        "sealed" => vec![known::SEALED.to_vec()],
        "notice" => vec![known::NOTICE.to_vec()],
        "message" => texts(&[known::MESSAGE]),
        "told" => texts(&[concat!(
            "\t\u{1}",
            r#"{"contact":"+1 863 555 0142","time":["2019-07-30T20:00:00Z/2019-07-30T20:10:00Z"]}"#
        )]),
        _ => Vec::new(),
    }
}

fn published() -> Published {
    let keys = [
        *known::CALLER,
        PublicKey::from(&SigningKey::from_bytes(&[9; 32])),
    ];
    Published::of(&keys).expect("two keys")
}

/// A reply with the records of an alias; with `flags` in place of those of the question.
fn dns_reply(flags: u8) -> Vec<u8> {
    let (id, name) = known::QUESTION;
    let mut reply = dns::query(id, name).expect("a short name");
    reply[2] |= flags;
    let record = published().records().remove(0);
    let length = u8::try_from(record.len()).expect("one string");
    let pointer = [0xc0, 12];
    // The name's alias is `a.` and what follows its first label, eight bytes on.
    let alias = [
        &pointer[..],
        &[0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 1, b'a', 0xc0, 20],
    ]
    .concat();
    let target = [
        0xc0,
        u8::try_from(reply.len() + 12).expect("a short question"),
    ];
    let text = [
        &target[..],
        &[0, 16, 0, 1, 0, 0, 0, 9, 0, length + 1, length],
        record.as_bytes(),
    ];
    reply[7] = 2;
    [&reply[..], &alias, &text.concat()].concat()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn fields(headers: &SignatureHeaders) -> [&str; 3] {
    [
        &headers.content_digest,
        &headers.signature_input,
        &headers.signature,
    ]
}

fn journey() -> impl Iterator<Item = Vec<u8>> {
    known::JOURNEY.lines().map(|leaf| leaf.as_bytes().to_vec())
}

fn payloads() -> Vec<Vec<u8>> {
    let payload = |leaf: Vec<u8>| Leaf::parse(&leaf).expect("an entry").envelope.payload;
    let head = Head {
        log: known::CHECKPOINTS[0].origin.to_string(),
        issued_at: known::now(),
        author: Author::Issuer("operator.example".parse().expect("a host name")),
    };
    let others = Statement::examples().into_iter();
    let public = Disclosure {
        request: None,
        gives: vec![DataKind::Video],
        minutes: None,
        note: None,
        recipient: Audience::Public,
        ..Disclosure::example()
    };
    let others = others.chain([public.into()]);
    let others = others.map(|statement| statement::payload(&head, &statement));
    journey().map(payload).chain(others).collect()
}

fn leaf() -> Vec<u8> {
    Leaf {
        logged_at: known::now().cut_to_minute(),
        envelope: known::ENVELOPE.clone(),
    }
    .to_bytes()
}

fn openings() -> Vec<Vec<u8>> {
    let attachment = AttachmentValue {
        sha256: Digest::of("a message"),
        size: 9,
        media_type: "text/plain".parse().expect("a media type"),
    };
    let openings = [
        Opening::attachment(&[1; 16], &attachment),
        Opening::new(&[2; 32], "case", &"2019-0042".into()),
    ];
    let texts = openings.map(|opening| opening.expect("small").encode().into());
    texts.into()
}

fn words() -> Vec<Vec<u8>> {
    let keys = known::LOG_KEYS.iter().map(ToString::to_string);
    let witness = known::WITNESSES[0].verifier().to_string();
    let caller = known::CALLER.to_string();
    let recipient = known::IDENTITY.to_public().to_string();
    let root = &known::CHECKPOINTS[0].root;
    let digest = Digest::of("a message").to_string();
    let fixed = [
        "9223372036854775807",
        "2019-07-31T14:05:07Z",
        "lakelandgov.example",
        "detective-4",
        "2019-02-28",
        "EUR",
        "application/pdf",
        "US-FL",
        "0123456789abcdef0123456789abcdef",
    ];
    keys.chain([witness, caller, recipient, root.to_string(), digest])
        .map(String::into_bytes)
        .chain(texts(&fixed))
        .collect()
}

/// Scripts of [`crate::reader`]: the log at each end of the calendar, and each member of each
/// statement at the ends.
fn scripts() -> Vec<Vec<u8>> {
    let moved = (0..8).map(|choice| vec![choice]);
    let members = (0..31).map(|row| {
        let changes = (0..8).flat_map(|member| [row, member, 1 + member % 3]);
        [0].into_iter().chain(changes).collect()
    });
    moved.chain(members).collect()
}
