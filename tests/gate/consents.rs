//! What a server answers to a consent, and what the device makes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use whosaw::party::resident::state::Gift;

use crate::nothing_secret_left;
use crate::proxy::Response;
use crate::world::{Device, now, world};

/// What the device remembers to have given.
fn gifts_of(device: &Device) -> Vec<Gift> {
    device.state().gifts().unwrap()
}

/// Puts a problem in the place of an answer.
fn says_no(response: &mut Response, status: u16, code: &str) {
    let problem = serde_json::json!({ "type": format!("/problems/{code}"), "title": "No",
        "status": status, "detail": "" });
    let media_type = whosaw::wire::problem::MEDIA_TYPE.to_owned();
    // Longer than a device waits.
    let headers = [
        ("content-type", media_type),
        ("retry-after", "86400".to_owned()),
    ];
    response.headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
    response.status = status;
    response.body = problem.to_string().into_bytes();
}

/// A consent whose answer is lost stands in the log, and its headers are on the device alone.
#[test]
fn a_consent_that_got_no_answer_is_sent_as_it_was() {
    let proxy = world().proxy();
    let device = world().device_of("unsure", &proxy);
    let gifts = || gifts_of(&device);
    let files = world().forger().log(&world().leaves(), now());
    // The real server takes each call; the log that the device reads stays as it was.
    let answers = |status: u16, code: &'static str| {
        let files = files.clone();
        proxy.lie(move |request, mut response| {
            if let Some(path) = request.path.strip_prefix("/log/") {
                response.status = if files.contains_key(path) { 200 } else { 404 };
                response.body = files.get(path).cloned().unwrap_or_default();
            } else if request.path == "/vault/v1/disclosures" {
                assert!(response.status < 300, "it is the same each time");
                says_no(&mut response, status, code);
            }
            response
        });
    };
    let allow = format!("allow {} --yes", world().request);
    answers(504, "no-answer");
    device.run(&allow).refused("no-answer");
    let signed = gifts();
    assert_eq!(signed.len(), 1);
    for (status, code) in [
        (401, "call-signature"),
        (403, "forbidden"),
        (404, "not-found"),
        (409, "already-logged"),
        (429, "too-many-statements"),
        (422, "no-reason-of-the-rules"),
    ] {
        answers(status, code);
        device.run(&allow).refused(code);
        assert_eq!(gifts(), signed, "after {status}");
    }
    let other = device.run(&format!("{allow} --gives time"));
    other.refused("gives something else");
    device
        .run(&format!("refuse {}", world().request))
        .refused("you have consented");
    assert_eq!(gifts(), signed);
    nothing_secret_left(&device, &proxy);

    proxy.lie(|_, response| response);
    device.run(&allow).refused("answered this request already");
    let id = signed[0].disclosure;
    assert_eq!(gifts()[0].disclosure, id);
    assert_eq!(gifts()[0].clips, signed[0].clips, "with its headers");
    let collect = format!("collect {id} --out unsure-evidence");
    let outcome = world().agency_through(&proxy, &collect);
    assert_eq!(outcome.code, 1, "not handed over yet: {}", outcome.both());
    device.must("sync");
    let outcome = world().agency_through(&proxy, &collect);
    assert_eq!(outcome.code, 0, "{}", outcome.both());
}

/// What the rules refuse is in no log, and makes room for another answer.
#[test]
fn a_consent_that_the_rules_refuse_is_forgotten() {
    let proxy = world().proxy();
    let device = world().device_of("refused", &proxy);
    let allow = format!("allow {} --yes", world().request);
    proxy.cut_off(Some("/vault/v1/disclosures"));
    device.run(&allow).refused("cannot be reached");
    assert_eq!(gifts_of(&device).len(), 1);
    proxy.cut_off(None);
    proxy.lie(|request, mut response| {
        if request.path == "/vault/v1/disclosures" {
            says_no(&mut response, 409, "commitment-spent");
        }
        response
    });
    device.run(&allow).refused("commitment-spent");
    assert_eq!(gifts_of(&device), []);
}

/// The witnesses' quorum is missing, and then is not: the device waits for the log, and sends nothing
/// twice.
#[test]
fn a_consent_that_waits_for_the_witnesses_is_found_in_the_log() {
    /// How often the log is asked before it shows the consent.
    const ASKED: usize = 2;
    let proxy = world().proxy();
    let device = world().device_of("patient", &proxy);
    let files = world().forger().log(&world().leaves(), now());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    proxy.lie(move |request, mut response| {
        if request.path == "/vault/v1/disclosures" {
            assert!(matches!(response.status, 200 | 201));
            let mut logged: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            assert!(logged.as_object_mut().unwrap().remove("proof").is_some());
            response.status = 202;
            response.body = logged.to_string().into_bytes();
        }
        let late = match request.path.as_str() {
            "/log/checkpoint" => count.fetch_add(1, Ordering::Relaxed),
            _ => count.load(Ordering::Relaxed),
        };
        if let (true, Some(path)) = (late <= ASKED, request.path.strip_prefix("/log/")) {
            response.status = if files.contains_key(path) { 200 } else { 404 };
            response.body = files.get(path).cloned().unwrap_or_default();
        }
        response
    });
    let said = device.must(&format!("allow {} --yes --json", world().request));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(asked.load(Ordering::Relaxed) > ASKED);
    let gifts = gifts_of(&device);
    assert_eq!(gifts.len(), 1);
    assert_eq!(said["id"], gifts[0].disclosure.to_string());
    assert!(said["index"].is_u64(), "{said}");
    let calls = proxy.calls();
    let given = calls
        .iter()
        .filter(|call| *call == "POST /vault/v1/disclosures");
    assert_eq!(given.count(), 1);
    nothing_secret_left(&device, &proxy);
}

/// A request of some minutes gets no hour of film unless its owner names the clip.
#[test]
fn a_clip_that_reaches_far_beyond_the_window_is_given_only_if_it_is_named() {
    let proxy = world().proxy();
    let device = world().device_of("rambler", &proxy);
    let allow = format!("allow {} --yes", world().request);
    device
        .run(&allow)
        .refused("name each clip to give with --clip");
    assert_eq!(gifts_of(&device), []);
    let clips = device.state().clips().unwrap();
    let long = clips.iter().find(|clip| clip.minutes() == 59).unwrap();
    let shown = device.must(&format!("{allow} --clip {}", long.clip));
    assert!(shown.contains("minutes of it are outside"), "{shown}");
    assert!(shown.contains("16-60 minutes in all"), "{shown}");
    let gift = gifts_of(&device).remove(0);
    assert!(gift.gives(long.clip) && gift.clips.len() == 1);
}
