//! Restoring a device from its phrase, interrupted by its server and begun again; and a server that says
//! that it was restored.

use std::process::Stdio;

use serde_json::Value;
use whosaw::party::resident::state::State;

use crate::proxy::{Proxy, Response};
use crate::support::{Outcome, command, run, until};
use crate::world::{Device, filmed, world};
use crate::{interrupted, sets};

const FILM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/porch.mp4");

/// A resident in the folder `home` with so many clips, whose commitments are in the log.
fn resident(home: &str, clips: usize) {
    let (root, url) = (&world().root, &world().url);
    let code = run(root, "operator enrol-code --data operator");
    let file = format!("{home}.code");
    std::fs::write(root.join(&file), code).unwrap();
    run(
        root,
        &format!(
            "resident init --home {home} --server {url} --trust operator/log.policy --code-file {file} \
             --jurisdiction US-FL --camera front=28.03950,-81.94980"
        ),
    );
    for _ in 0..clips {
        let from = filmed(3600);
        let until = from.checked_add_seconds(60).unwrap();
        run(
            root,
            &format!(
                "resident add {FILM} --home {home} --camera front --from {from} --until {until}"
            ),
        );
    }
    until(|| {
        let report = run(root, &format!("resident report --home {home} --json"));
        let report: Value = serde_json::from_str(&report).unwrap();
        let clips = report["clips"].as_array().unwrap();
        clips.iter().all(|clip| clip["anchored"] == 4)
    });
}

fn restore(phrase_of: &str, home: &str, proxy: &Proxy) -> Outcome {
    let phrase = std::fs::File::open(world().root.join(phrase_of).join("phrase")).unwrap();
    let line = format!(
        "resident restore --home {home} --server {} --trust operator/log.policy --jurisdiction US-FL --json",
        proxy.url()
    );
    let mut restore = command(&world().root, &line);
    Outcome::of(restore.stdin(Stdio::from(phrase)).output().unwrap())
}

/// An answer that asks for more patience than a device has.
fn enough(mut response: Response) -> Response {
    response.status = 429;
    response.headers = vec![("retry-after".to_owned(), "86400".to_owned())];
    response.body.clear();
    response
}

/// An answer that there is no such thing.
fn lost(mut response: Response) -> Response {
    response.status = 404;
    response.headers = vec![(
        "content-type".to_owned(),
        "application/problem+json".to_owned(),
    )];
    response.body =
        br#"{"type":"/problems/not-found","title":"No","status":404,"detail":""}"#.to_vec();
    response
}

/// An answer that the server failed.
fn failed(mut response: Response) -> Response {
    response = lost(response);
    response.status = 500;
    response.body =
        br#"{"type":"/problems/internal","title":"The server failed","status":500,"detail":""}"#
            .to_vec();
    response
}

fn count(calls: &[String], of: &str) -> usize {
    calls.iter().filter(|call| call.contains(of)).count()
}

#[test]
fn an_interrupted_restore_goes_on_where_it_was() {
    resident("owner", 3);
    let (root, proxy) = (&world().root, world().proxy());
    let resident = |words: &str| {
        let line = format!("resident {words} --home returned");
        Outcome::of(command(root, &line).output().unwrap())
    };

    // The server has had enough at the third clip.
    let headers = std::sync::atomic::AtomicUsize::new(0);
    proxy.lie(move |request, response| {
        let header = request.path.ends_with("/header");
        let asked = headers.fetch_add(header.into(), std::sync::atomic::Ordering::Relaxed);
        if header && asked == 2 {
            return enough(response);
        }
        response
    });
    assert_eq!(restore("owner", "returned", &proxy).code, 2);
    assert_eq!(count(&proxy.calls(), "/header"), 3);
    for words in ["sync", "inbox --offline", "report --offline"] {
        let refused = resident(words);
        assert_eq!(refused.code, 2, "{}", refused.both());
        refused.refused("run `whosaw resident restore` again");
    }
    restore("other", "returned", &proxy).refused("holds a resident already");

    // The clips that it has are not fetched again. Now the batches do not come.
    proxy.lie(
        |request, response| match request.path.starts_with("/batches/") {
            true => enough(response),
            false => response,
        },
    );
    assert_eq!(restore("owner", "returned", &proxy).code, 2);
    assert_eq!(count(&proxy.calls(), "/header"), 4);
    assert_eq!(
        count(&proxy.calls(), "/batches/"),
        1,
        "the next would fail too"
    );
    let tiles = count(&proxy.calls(), "/log/tile/entries/");
    resident("sync").refused("run `whosaw resident restore` again");

    // Nor is the log read from its beginning.
    proxy.lie(|_, response| response);
    let restored = restore("owner", "returned", &proxy);
    assert_eq!(restored.code, 0, "{}", restored.both());
    let found: Value = serde_json::from_str(&restored.out).unwrap();
    assert_eq!(
        (&found["clips"], &found["commitments_anchored"]),
        (&3.into(), &12.into())
    );
    assert_eq!(count(&proxy.calls(), "/header"), 4);
    assert!(tiles > 0 && resident("sync").code == 0);
    restore("owner", "returned", &proxy).refused("holds a resident already");
}

/// What the server does not give of one clip, and what a sync could not do, does not undo the rest, and is told; the
/// next sync gets what there is by then.
#[test]
fn a_restore_goes_on_past_what_the_server_does_not_give() {
    resident("losing", 2);
    let proxy = world().proxy();
    type Answer = fn(Response) -> Response;
    let answers: [(&str, &str, Answer); 2] = [
        ("lost-part", "the server has lost its metadata", lost),
        ("no-part", "the server does not give its metadata", failed),
    ];
    for (home, says, answer) in answers {
        let first = std::sync::Mutex::new(None);
        proxy.lie(move |request, response| {
            let mut first = first.lock().unwrap();
            let is_first = request.path.ends_with("/metadata")
                && first.get_or_insert_with(|| request.path.clone()) == &request.path;
            if is_first { answer(response) } else { response }
        });
        let restored = restore("losing", home, &proxy);
        assert_eq!(restored.code, 1, "{}", restored.both());
        let found: Value = serde_json::from_str(&restored.out).unwrap();
        assert_eq!(found["clips"], 1, "{found}");
        let damaged = found["damaged"].as_array().unwrap();
        assert_eq!(damaged.len(), 1, "{found}");
        assert!(damaged[0].as_str().unwrap().contains(says), "{found}");

        let resident = |words: &str| {
            let line = format!("resident {words} --home {home}");
            Outcome::of(command(&world().root, &line).output().unwrap())
        };
        let still = resident("sync");
        assert_eq!(still.code, 2, "{}", still.both());
        still.refused("is in the vault and not on this device");
        proxy.lie(|_, response| response);
        let synced = resident("sync --json");
        assert_eq!(synced.code, 0, "{}", synced.both());
        let synced: Value = serde_json::from_str(&synced.out).unwrap();
        assert_eq!(synced["fetched"], 1, "{synced}");
        let report: Value = serde_json::from_str(&resident("report --json").out).unwrap();
        let clips = report["clips"].as_array().unwrap();
        assert_eq!(clips.len(), 2, "{report}");
        let anchored = clips.iter().all(|clip| clip["anchored"] == 4);
        assert!(anchored, "batches from before are read again: {report}");
    }

    proxy.cut_off(Some("/bundles/"));
    let restored = restore("losing", "warned", &proxy);
    assert_eq!(restored.code, 2, "{}", restored.both());
    restored.refused("warning: the bundle of all open requests");
    let found: Value = serde_json::from_str(&restored.out).unwrap();
    assert_eq!(found["clips"], 2, "{found}");
    assert_eq!(found["warnings"].as_array().unwrap().len(), 1, "{found}");
}

/// A clip of which the server has lost the body is named as lost, with what its owner can do, until the owner gives it
/// up.
#[test]
fn a_clip_that_the_server_lost_for_good_is_named_until_it_is_given_up() {
    let proxy = world().proxy();
    let device = world().device(&proxy);
    let clip = device.state().clips().unwrap()[0].clip;
    let path = format!("/vault/v1/clips/{clip}");
    proxy.lie(move |request, mut response| {
        if request.path == "/vault/v1/vault" {
            let mut vault: Value = serde_json::from_slice(&response.body).unwrap();
            vault["clips"] = serde_json::json!([]);
            response.body = vault.to_string().into_bytes();
        } else if request.path == path {
            response = failed(response);
            response.status = 409;
            response.body =
                br#"{"type":"/problems/incomplete-clip","title":"A part of the clip is missing",
                "status":409,"detail":"the server does not have its body"}"#
                    .to_vec();
        }
        response
    });
    for _ in 0..2 {
        let synced = device.run("sync");
        assert_eq!(synced.code, 2, "{}", synced.both());
        synced.refused(&format!("the server has lost clip {clip}"));
        synced.refused(&format!("`whosaw resident drop {clip}` ends this warning"));
    }
    let calls = proxy.calls();
    let again = format!("PUT /vault/v1/clips/{clip}/header");
    assert!(calls.contains(&again), "what the device has is sent again");
    let asked = device.run(&format!("drop {clip}"));
    asked.refused("--yes");
    device.must(&format!("drop {clip} --yes"));
    let synced = device.must("sync");
    assert!(!synced.contains("lost"), "{synced}");
    let report = device.must("report");
    assert!(
        report.contains("the server lost it, and you gave it up"),
        "{report}"
    );
}

/// A batch that was logged before a clip was added does not have its commitments: that its list is lost does not
/// hold the clip back.
#[test]
fn a_lost_batch_holds_back_no_clip_that_was_added_later() {
    let proxy = world().proxy();
    let (root, url) = (&world().root, proxy.url());
    let code = run(root, "operator enrol-code --data operator");
    std::fs::write(root.join("later.code"), code).unwrap();
    run(
        root,
        &format!(
            "resident init --home later --server {url} --trust operator/log.policy --code-file later.code \
             --jurisdiction US-FL --camera front=28.03950,-81.94980"
        ),
    );
    // The log stays as it is at the first look, its batches' lists are lost, and the vault denies all clips.
    let checkpoint = std::sync::Mutex::new(None);
    proxy.lie(move |request, mut response| {
        if request.path == "/log/checkpoint" {
            let mut first = checkpoint.lock().unwrap();
            response.body = first.get_or_insert(response.body).clone();
        } else if request.path.starts_with("/batches/") {
            response = lost(response);
        } else if request.path == "/vault/v1/vault" {
            let mut vault: Value = serde_json::from_slice(&response.body).unwrap();
            vault["clips"] = serde_json::json!([]);
            response.body = vault.to_string().into_bytes();
        }
        response
    });
    let sync = || {
        let line = "resident sync --home later --json";
        let synced = Outcome::of(command(root, line).output().unwrap());
        assert_eq!(synced.code, 2, "the lists are lost: {}", synced.both());
        serde_json::from_str::<Value>(&synced.out).unwrap()
    };
    assert_eq!(sync()["completed_again"], 0);
    let from = filmed(3600);
    let until = from.checked_add_seconds(60).unwrap();
    run(
        root,
        &format!("resident add {FILM} --home later --camera front --from {from} --until {until}"),
    );
    let synced = sync();
    assert_eq!(synced["completed_again"], 1, "{synced}");
}

/// A clip whose commitments may be in a batch whose list is lost enters others at the next sync, and can be given by
/// them. Each device of the phrase makes the same set.
#[test]
fn a_clip_that_waits_for_a_lost_list_enters_other_commitments() {
    let proxy = world().proxy();
    let device = interrupted::resident("awaiting", &proxy);
    let request = &world().request;
    device.must("sync");
    device.must(&format!("refuse {request}"));
    let add = |device: &Device| {
        let ran = Outcome::of(interrupted::add(device, FILM).output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.both());
    };
    add(&device);
    let clip = device.state().clips().unwrap()[0].clip;
    // The list of the batch that has its commitments is lost.
    let first = device.state().clips().unwrap()[0].commitments[0];
    let batches = world().root.join("operator/batches");
    let mut batch = None;
    until(|| {
        let lists = std::fs::read_dir(&batches).unwrap().flatten();
        let has = |list: &std::fs::DirEntry| {
            let list = std::fs::read(list.path()).unwrap_or_default();
            list.chunks(32).any(|one| one == first.as_bytes())
        };
        let list = lists.into_iter().find(has);
        batch = list.map(|list| list.file_name().into_string().unwrap());
        batch.is_some()
    });
    let list = format!("/batches/{}", batch.unwrap());
    proxy.lie(move |request, response| match request.path == list {
        true => lost(response),
        false => response,
    });
    let sync = |device: &Device| -> Value {
        let synced = device.run("sync --json");
        serde_json::from_str(&synced.out).unwrap()
    };
    until(|| sync(&device)["entered_again"] == 1);
    let of_clip = |state: &State| state.clip(clip).unwrap().unwrap();
    assert_eq!(of_clip(&device.state()).commitments.len(), 8);
    assert!(
        device.state().refusals().unwrap()[0].carried.is_none(),
        "the refusal goes with the next clip"
    );
    let sent = sets::sets(&proxy);
    assert_eq!(sent.len(), 2);
    sets::assert_disjoint(&sent);

    // A device that is restored meanwhile.
    restore("awaiting", "awaiting-twin", &proxy);
    let twin = Device {
        home: "awaiting-twin".to_owned(),
        path: world().root.join("awaiting-twin"),
    };
    assert_eq!(of_clip(&twin.state()).commitments.len(), 8);
    assert_eq!(sets::sets(&proxy), sent, "the same set");
    for device in [&device, &twin] {
        until(|| {
            sync(device);
            of_clip(&device.state()).is_anchored()
        });
        let anchors = of_clip(&device.state()).anchors;
        assert!(anchors[4..].iter().all(Option::is_some), "by the later set");
    }
    assert_eq!(sets::sets(&proxy), sent, "once is enough");
    device.run(&format!("publish {clip} --yes"));
    assert!(
        device
            .run("report")
            .out
            .contains("published: everybody may fetch it")
    );
    add(&device);
    assert!(device.state().refusals().unwrap()[0].carried.is_some());
    sets::assert_disjoint(&sets::sets(&proxy));

    // The lists are found again.
    proxy.lie(|_, response| response);
    device.must("sync");
    let anchors = of_clip(&device.state()).anchors;
    assert!(anchors.iter().all(Option::is_some), "{anchors:?}");
}

/// While the server does not return a list, the device names the clips that wait for it and commits to nothing for them.
#[test]
fn a_clip_whose_batch_is_not_to_be_had_is_named() {
    let proxy = world().proxy();
    let device = interrupted::resident("unread", &proxy);
    device.must("sync");
    let added = Outcome::of(interrupted::add(&device, FILM).output().unwrap());
    assert_eq!(added.code, 0, "{}", added.both());
    let clip = device.state().clips().unwrap()[0].clip;
    proxy.cut_off(Some("/batches/"));
    until(|| {
        let synced = device.run("sync");
        let says = synced
            .err
            .contains("1 clip cannot be given until the list of the batch in entry");
        says && synced.err.contains(&clip.to_string())
    });
    assert_eq!(sets::sets(&proxy).len(), 1);
    proxy.cut_off(None);
    until(|| {
        device.must("sync");
        device.state().clip(clip).unwrap().unwrap().is_anchored()
    });
}

/// A server that says that it lost a clip gets nothing that it did not have.
#[test]
fn a_server_that_denies_a_clip_is_sent_nothing_new() {
    let proxy = world().proxy();
    let device = world().device(&proxy);
    proxy.lie(|request, mut response| {
        if request.path == "/vault/v1/vault" {
            let mut vault: Value = serde_json::from_slice(&response.body).unwrap();
            vault["clips"] = serde_json::json!([]);
            response.body = vault.to_string().into_bytes();
        }
        response
    });
    let synced: Value = serde_json::from_str(&device.must("sync --json")).unwrap();
    assert_eq!(synced["completed_again"], 1, "{synced}");
    assert_eq!(synced["uploads"], 0, "nothing was interrupted: {synced}");
    let calls = proxy.calls_with_sizes().into_iter();
    let about_clips = calls.filter(|(call, _)| call.contains("/vault/v1/clips/"));
    let sizes: Vec<usize> = about_clips.map(|(_, size)| size).collect();
    assert_eq!(sizes, [r#"{"commitments":[]}"#.len()], "the log has them");
    crate::nothing_secret_left(&device, &proxy);
}
