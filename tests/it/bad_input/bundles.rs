//! What devices fetch of open requests, and who may fill it.

use super::*;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use whosaw::statement::kinds::party_status::{PartyStatus, StatusChange, StatusReason};
use whosaw::statement::kinds::request_closing::{ClosingOutcome, RequestClosing};
use whosaw::statement::scope::MAX_SCOPE;
use whosaw::wire::statements::Bundle;

fn bundle(world: &World) -> Bundle {
    let answer = world
        .ledger
        .send(&Call::new("GET", "/bundles/US-FL", Vec::new()));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_slice(&answer.body).unwrap()
}

fn ids(bundle: &Bundle) -> Vec<StatementId> {
    bundle.requests.iter().map(|request| request.id).collect()
}

fn id_of(body: &[u8]) -> StatementId {
    StatementId::of_payload(&Envelope::parse(body).unwrap().payload)
}

fn logged(world: &World, body: &[u8]) -> StatementId {
    let answer = world.ledger.submit(body);
    assert_eq!(answer.status, 201, "{answer:?}");
    id_of(body)
}

#[test]
fn a_bundle_has_what_can_be_answered() {
    let world = World::new();
    let (kept, closed) = (
        logged(&world, &world.request(|_| ())),
        logged(&world, &world.request(|_| ())),
    );
    let both = bundle(&world);
    assert_eq!(ids(&both), [kept, closed]);
    let given = &both.requests[0].attachments[0];
    let opening = Opening::parse(&given.opening).unwrap();
    let bytes = whosaw::encoding::from_base64(&given.data).unwrap();
    assert_eq!(opening.as_attachment().unwrap().sha256, Digest::of(&bytes));

    let closing = RequestClosing {
        request: closed,
        outcome: ClosingOutcome::Answered,
    };
    let key = officer(&world.agency);
    logged(
        &world,
        &sign(&head_of(AGENCY), &closing.into(), &[&key]).to_json(),
    );
    assert_eq!(ids(&bundle(&world)), [kept]);

    let operator = world.ledger.home("operator");
    let admin = operator.key(Role::Admin).unwrap();
    let head = head_of(operator.profile().party.as_str());
    for (status, reason, left) in [
        (
            StatusChange::Suspended,
            StatusReason::KeysCompromised,
            vec![],
        ),
        (StatusChange::Reinstated, StatusReason::Resolved, vec![kept]),
    ] {
        let status = PartyStatus {
            party: AGENCY.parse().unwrap(),
            status,
            reason: Some(reason),
            domain_check: None,
        };
        logged(&world, &sign(&head, &status.into(), &[&admin]).to_json());
        assert_eq!(ids(&bundle(&world)), left);
    }
    world.ledger.verify();
}

/// An agency asks often, and as much as it may: its jurisdiction's devices can fetch the bundle, and
/// many who fetch it slowly cost the server next to nothing.
#[test]
fn no_agency_blinds_the_devices_of_its_jurisdiction() {
    let world = World::new();
    let mut scope = geojson(SQUARE, &window(-60, -30));
    scope.push_str(&" ".repeat(MAX_SCOPE - scope.len()));
    let full = |world: &World| {
        let mut request = world.request_with_scope(&scope, "application/geo+json");
        request.message = Some(world.attach(&vec![b'x'; MAX_MESSAGE], "text/plain"));
        sign(
            &head_of(AGENCY),
            &request.into(),
            &[&officer(&world.agency)],
        )
        .to_json()
    };
    let taken: Vec<_> = (0..60).map(|_| logged(&world, &full(&world))).collect();
    assert_eq!(ids(&bundle(&world)), taken);

    let before = world.ledger.memory();
    let readers: Vec<_> = (0..40)
        .map(|_| {
            let mut reader = TcpStream::connect(world.ledger.authority()).unwrap();
            let request = b"GET /bundles/US-FL HTTP/1.1\r\nhost: slow\r\n\r\n";
            reader.write_all(request).unwrap();
            reader.read_exact(&mut [0]).unwrap();
            reader
        })
        .collect();
    let grown = world.ledger.settled_memory().saturating_sub(before);
    assert!(
        grown < 48 << 20,
        "{} readers hold {grown} bytes",
        readers.len()
    );
    drop(readers);
    world.ledger.verify();
}
