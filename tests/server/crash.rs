//! Nothing acknowledged is ever lost: the server is killed in the middle of traffic, again and again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use whosaw::statement::leaf::Leaf;
use whosaw::tlog::proof::TlogProof;

use crate::ledger::Ledger;
use crate::support::run;

/// How often the server is killed.
const ROUNDS: u32 = 20;

#[test]
fn nothing_acknowledged_is_lost() {
    let mut ledger = Ledger::serving();
    let count = AtomicU32::new(1);
    let acknowledged = Mutex::new(Vec::new());
    for round in 0..ROUNDS {
        let delay = u64::from(whosaw::random::bytes::<1>()[0]);
        println!("round {round}: killed after {delay} ms");
        std::thread::scope(|scope| {
            let (shared, count, acknowledged) = (&ledger, &count, &acknowledged);
            let senders: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(move || {
                        loop {
                            let n = count.fetch_add(1, Ordering::Relaxed);
                            let body = shared.signed(shared.benefit(n));
                            // Until the server is gone.
                            let Ok(answer) = shared.try_post("/api/v1/statements", &body) else {
                                return;
                            };
                            if matches!(answer.status, 200 | 201) {
                                acknowledged.lock().unwrap().push(answer.json());
                            }
                        }
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(delay));
            let pid = shared.server_id().to_string();
            let killed = std::process::Command::new("kill")
                .args(["-9", &pid])
                .status()
                .unwrap();
            assert!(killed.success());
            senders
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
        });
        ledger.kill();
        ledger.serve();
        check(&ledger, &acknowledged.lock().unwrap());
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(
        acknowledged.len() > ROUNDS as usize,
        "{}",
        acknowledged.len()
    );
    let said = run(
        &ledger.root,
        "log verify --log operator/log --policy operator/log.policy",
    );
    assert!(said.contains("all holds"), "{said}");
}

/// Every acknowledged statement is there, at its index, as it was, provable.
fn check(ledger: &Ledger, acknowledged: &[serde_json::Value]) {
    let policy = ledger.policy();
    for logged in acknowledged {
        let id = logged["id"].as_str().unwrap();
        let answer = ledger.get(&format!("/api/v1/proofs/{id}"));
        assert_eq!(answer.status, 200, "{logged}");
        let proof = TlogProof::parse(&answer.body).unwrap();
        let leaf = proof.extra.clone().unwrap();
        proof.verify(&leaf, &policy, None, None).unwrap();
        assert_eq!(proof.index.as_u64(), logged["index"].as_u64().unwrap());
        let leaf = Leaf::parse(&leaf).unwrap();
        assert_eq!(
            leaf.logged_at.to_string(),
            logged["logged_at"].as_str().unwrap()
        );
        let payload = leaf.envelope.payload;
        assert_eq!(
            whosaw::digest::StatementId::of_payload(&payload).to_string(),
            id
        );
    }
}
