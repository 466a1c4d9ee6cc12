//! Sealed fields opened, and what stands behind a digest destroyed, as a party meets them.

use std::io::Write as _;

use super::super::ledger::until;
use super::*;
use whosaw::statement::kinds::annotation::{Annotation, Remark};
use whosaw::statement::kinds::erasure::{Erasure, ErasureBasis};
use whosaw::statement::kinds::unsealing::Unsealing;

/// A case number and a fresh salt.
pub fn case_number() -> Opening {
    let salt = whosaw::random::bytes::<32>();
    Opening::new(&salt, "case_number", &"2019-001234".into()).unwrap()
}

fn of_officer(world: &World, statement: impl Into<Statement>) -> Vec<u8> {
    let key = officer(&world.agency);
    sign(&head_of(AGENCY), &statement.into(), &[&key]).to_json()
}

fn get(world: &World, digest: &SealDigest) -> Answer {
    let call = Call::new("GET", format!("/attachments/{digest}"), Vec::new());
    world.ledger.send(&call)
}

#[test]
fn a_seal_is_opened_by_what_was_sealed_and_nothing_else() {
    let world = World::new();
    let sealed = case_number();
    let mut request = world.good_request();
    request.sealed.case_number.digest = sealed.digest();
    let answer = world.ledger.submit(&of_officer(&world, request));
    assert_eq!(answer.status, 201, "{answer:?}");
    let seal = sealed.digest();
    let opening = sealed.encode().as_bytes();
    let mut longer = opening.to_vec();
    longer.push(b'\n');
    for (bytes, media_type, status) in [
        (&b"2019-001234"[..], "text/plain", 422),
        (&longer, "text/plain", 422),
        (opening, "application/pdf", 422),
        (opening, "text/plain", 201),
    ] {
        let opening = world.attach(bytes, media_type);
        let answer = world
            .ledger
            .submit(&of_officer(&world, Unsealing { seal, opening }));
        assert_eq!(answer.status, status, "{answer:?}");
        match status {
            422 => {
                let member = Some("/opening".to_owned());
                assert_eq!(
                    answer.problem(),
                    (422, "opening-mismatch".to_owned(), member)
                );
            }
            _ => {
                let read = get(&world, &opening);
                let text = std::str::from_utf8(&read.body).unwrap();
                let opened = Opening::parse(text).unwrap();
                assert_eq!(opened.digest(), seal);
                assert_eq!(opened.value(), "2019-001234");
            }
        }
    }
    world.ledger.verify();
}

/// A request whose message is attached, logged; and the operator's erasure of that message.
struct Erasing {
    upload: Upload,
    digest: SealDigest,
    request: Vec<u8>,
    erasure: Vec<u8>,
}

impl Erasing {
    fn in_world(world: &World) -> Self {
        let upload = Upload::of(b"Call Ann, 12 Elm Street", "text/plain");
        let call = upload
            .call()
            .signed(&service(&world.agency), world.ledger.authority());
        assert_eq!(world.ledger.send(&call).status, 201);
        let digest = upload.opening.digest();
        let mut request = world.good_request();
        request.message = Some(digest);
        let request = of_officer(world, request);
        assert_eq!(world.ledger.submit(&request).status, 201);
        assert_eq!(get(world, &digest).body, upload.bytes);

        let erasure = Erasure {
            digest,
            basis: ErasureBasis::DataSubject,
            order: None,
        };
        let operator = world.ledger.home("operator");
        let admin = operator.key(Role::Admin).unwrap();
        let head = head_of(operator.profile().party.as_str());
        Self {
            erasure: sign(&head, &erasure.into(), &[&admin]).to_json(),
            upload,
            digest,
            request,
        }
    }

    /// Whether bytes or opening are on the operator's disk.
    fn is_left(&self, world: &World) -> bool {
        holds(&world.ledger.path("operator"), &self.digest.to_string())
    }
}

/// What is destroyed is destroyed: it cannot be read, nor brought back; the log still proves, and
/// the statement that named it is still known.
#[test]
fn what_is_erased_is_gone_and_every_proof_holds() {
    let world = World::new();
    let erasing = Erasing::in_world(&world);
    let (upload, digest) = (&erasing.upload, &erasing.digest);
    let file = world.ledger.path(&format!("operator/attachments/{digest}"));
    let opening = file.with_extension("opening");
    let kept = [&file, &opening].map(|path| (path, std::fs::read(path).unwrap()));
    let bundled = || {
        let bundle = world.ledger.send(&Call::new("GET", "/bundles/US-FL", []));
        assert_eq!(bundle.status, 200);
        let data = whosaw::encoding::base64(&upload.bytes);
        String::from_utf8(bundle.body).unwrap().contains(&data)
    };
    assert!(bundled());
    assert_eq!(world.ledger.submit(&erasing.erasure).status, 201);
    let read = get(&world, digest);
    assert_eq!(read.status, 410);
    assert!(!String::from_utf8_lossy(&read.body).contains("Elm"));
    assert!(!erasing.is_left(&world));
    // As a crash before the erasing would leave them.
    for (path, bytes) in kept {
        std::fs::write(path, bytes).unwrap();
    }
    assert!(!bundled());
    assert_eq!(get(&world, digest).status, 410);
    let again = upload
        .call()
        .signed(&service(&world.agency), world.ledger.authority());
    assert_eq!(world.ledger.send(&again).status, 410);
    assert_eq!(world.ledger.submit(&erasing.request).status, 200);
    world.ledger.verify();
}

/// Whoever sends an erasure and hangs up has it carried out, witnesses or not.
#[test]
fn what_is_erased_is_gone_though_nobody_waits() {
    let mut world = World::new();
    let erasing = Erasing::in_world(&world);
    for witness in [0, 1] {
        world.ledger.kill_witness(witness);
    }
    let (authority, body) = (world.ledger.authority(), &erasing.erasure);
    let mut stream = std::net::TcpStream::connect(authority).unwrap();
    let head = format!(
        "POST /api/v1/statements HTTP/1.1\r\nhost: {authority}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
    drop(stream);
    until("erased", || (!erasing.is_left(&world)).then_some(()));
}

/// Whoever has no key here is told so before any file is looked for, however many it names and
/// whether or not they are there; and a party's own key buys no second look at one file.
#[test]
fn a_strangers_statement_opens_no_file() {
    let world = World::new();
    let upload = world.attach(&vec![b'x'; 1 << 20], "text/plain");
    let annotation = |attachments: Vec<SealDigest>| Annotation {
        about: world.agreement,
        remark: Remark::Dispute,
        attachments,
    };
    let by = |key: &SigningKey, statement: Annotation| {
        let body = sign(&head_of(AGENCY), &statement.into(), &[key]).to_json();
        let (status, code, member) = world.ledger.submit(&body).problem();
        (status, code, member.unwrap_or_default())
    };
    let missing = SealDigest::from_bytes([7; 32]);
    for named in [vec![upload; 680], vec![missing; 680], vec![missing]] {
        let said = by(&stranger(), annotation(named));
        let expected = (
            401,
            "missing-signature".to_owned(),
            "/signatures".to_owned(),
        );
        assert_eq!(said, expected);
    }
    for (named, status, code, member) in [
        (
            vec![missing; 2],
            409,
            "digest-seen-before",
            "/attachments/1",
        ),
        (vec![missing], 422, "attachment-missing", "/attachments/0"),
    ] {
        let said = by(&officer(&world.agency), annotation(named));
        assert_eq!(said, (status, code.to_owned(), member.to_owned()));
    }
    world.ledger.verify();
}

/// Whether a file whose name begins so lies in a folder, however deep.
fn holds(folder: &std::path::Path, name: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        file.starts_with(name) || (path.is_dir() && holds(&path, name))
    })
}
