//! The commitments of an upload are one set, of one clip, for good. What two sets share would be seen to be of the
//! device and not random: of four decisions or none, whoever compares two sets could count the refusals.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::interrupted::{FILM, add, problem, resident};
use crate::proxy::Proxy;
use crate::support::{Outcome, command, copy, until};
use crate::world::{Device, world};

pub type Set = BTreeSet<String>;

/// Each set that came through the proxy, with the path of its clip.
pub fn sets(proxy: &Proxy) -> BTreeSet<(String, Set)> {
    let mut sets = BTreeSet::new();
    for (path, body) in proxy.posted() {
        let clip = path.strip_prefix("/vault/v1/clips/");
        if clip.is_none_or(|clip| clip.contains('/')) {
            continue;
        }
        let body: Value = serde_json::from_slice(&body).unwrap();
        let commitments = body["commitments"].as_array().unwrap().iter();
        let set: Set = commitments
            .map(|one| one.as_str().unwrap().to_owned())
            .collect();
        assert!(matches!(set.len(), 0 | 8), "never a part of a set");
        if !set.is_empty() {
            sets.insert((path, set));
        }
    }
    sets
}

/// Two sets have nothing in common, whatever clips they are of.
pub fn assert_disjoint(sets: &BTreeSet<(String, Set)>) {
    let mut seen = Set::new();
    for (path, set) in sets {
        for commitment in set {
            assert!(
                seen.insert(commitment.clone()),
                "{path} shares {commitment}"
            );
        }
    }
}

fn at(home: &str) -> Device {
    Device {
        home: home.to_owned(),
        path: world().root.join(home),
    }
}

fn restore(from: &Device, home: &str, proxy: &Proxy) -> Value {
    let phrase = std::fs::File::open(from.path.join("phrase")).unwrap();
    let line = format!(
        "resident restore --home {home} --server {} --trust operator/log.policy --jurisdiction US-FL --json",
        proxy.url()
    );
    let mut restore = command(&world().root, &line);
    let restored = Outcome::of(restore.stdin(Stdio::from(phrase)).output().unwrap());
    assert_eq!(restored.code, 0, "{}", restored.both());
    serde_json::from_str(&restored.out).unwrap()
}

fn added(device: &Device) -> Outcome {
    Outcome::of(add(device, FILM).output().unwrap())
}

fn carried(device: &Device) -> bool {
    let refusals = device.state().refusals().unwrap();
    refusals.iter().all(|refusal| refusal.carried.is_some())
}

/// Whatever the server answers, whichever folder or device of a phrase sends: no commitment is ever in two sets.
#[test]
fn no_commitment_is_ever_sent_in_two_sets() {
    let (proxy, request) = (world().proxy(), &world().request);
    let device = resident("sets", &proxy);
    device.must("sync");
    // A second device of the same phrase, and a copy of the folder: all three refuse the same request.
    restore(&device, "sets-twin", &proxy);
    let (twin, backup) = (at("sets-twin"), at("sets-backup"));
    twin.must("camera add front=28.03950,-81.94980");
    device.must(&format!("refuse {request}"));
    twin.must(&format!("refuse {request}"));
    copy(&device.path, &backup.path);

    // The server took the set, and says that it did not; the owner gives the clip up.
    let answers = [
        (507, "quota"),
        (507, "insufficient-storage"),
        (404, "not-found"),
        (409, "other-content"),
        (409, "log-closed"),
        (413, "too-large"),
        (422, "some-reason"),
        (500, "internal"),
    ];
    for (n, (status, code)) in (1..).zip(answers) {
        proxy.lie(move |request, response| {
            let clip = request.path.strip_prefix("/vault/v1/clips/");
            let completes =
                clip.is_some_and(|clip| request.method == "POST" && !clip.contains('/'));
            // Nor does it show in which batch the set is.
            let lost = request.path.starts_with("/batches/");
            match (completes, lost) {
                (true, _) => problem(response, status, code, None),
                (_, true) => problem(response, 404, "not-found", None),
                _ => response,
            }
        });
        added(&device).refused("sealed and kept here");
        assert!(carried(&device), "{code}");
        device.run("sync").refused("is kept here");
        assert_eq!(sets(&proxy).len(), n, "sent again as it was");
        let waiting = device.state().clips_to_store().unwrap();
        device.must(&format!("drop {} --yes", waiting[0]));
        assert!(!carried(&device), "it goes with the next clip");
    }
    // A line that breaks off before the answer, and a sync that goes on.
    proxy.lie(|_, response| response);
    proxy.cut_off(Some("/vault/v1/clips/"));
    added(&device).refused("sealed and kept here");
    proxy.cut_off(None);
    device.must("sync");
    for other in [&twin, &backup] {
        let ran = added(other);
        assert_eq!(ran.code, 0, "{}", ran.both());
        assert!(carried(other));
    }
    let sent = sets(&proxy);
    assert_eq!(sent.len(), answers.len() + 3);
    assert_disjoint(&sent);

    // A server that denies its clips, to each device.
    proxy.lie(|request, mut response| {
        if request.path == "/vault/v1/vault" {
            let mut vault: Value = serde_json::from_slice(&response.body).unwrap();
            vault["clips"] = serde_json::json!([]);
            response.body = vault.to_string().into_bytes();
        }
        response
    });
    for device in [&device, &twin, &backup] {
        device.run("sync");
    }
    assert_disjoint(&sets(&proxy));

    // The lists of the batches are lost besides.
    proxy.lie(|request, mut response| {
        if request.path.starts_with("/batches/") {
            response = problem(response, 404, "not-found", None);
        }
        response
    });
    for device in [&twin, &backup] {
        let ran = added(device);
        assert_eq!(ran.code, 0, "{}", ran.both());
        until(|| {
            device.run("sync");
            let clips = device.state().clips().unwrap();
            clips.iter().any(|clip| clip.commitments.len() > 4)
        });
    }
    assert_disjoint(&sets(&proxy));
    proxy.lie(|_, response| response);

    // The phrase alone finds the refusal by the clip that carried it, and proves it.
    until(|| {
        let report: Value = serde_json::from_str(&device.must("report --json")).unwrap();
        !report["decisions"][0]["batch"].is_null()
    });
    let found = restore(&device, "sets-restored", &proxy);
    assert_eq!(found["refusals"], 1, "{found}");
    let restored = at("sets-restored");
    let carrier = restored.state().refusals().unwrap()[0]
        .carried
        .clone()
        .unwrap();
    assert!(restored.state().clip(carrier.clip).unwrap().is_some());
    for device in [&device, &restored] {
        let proofs = format!("{}-proofs", device.home);
        device.must(&format!("report --proofs {proofs}"));
        let name = format!("decision-{}.json", &request[..12]);
        let file = Path::new(&proofs).join(name);
        let line = format!(
            "resident check-decision {} --trust operator/log.policy",
            file.display()
        );
        let checked = Outcome::of(command(&world().root, &line).output().unwrap());
        assert_eq!(checked.code, 0, "{}", checked.both());
    }
    let ran = added(&restored);
    assert_eq!(ran.code, 0, "{}", ran.both());
    assert_disjoint(&sets(&proxy));
}
