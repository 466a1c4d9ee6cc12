//! The note of a consent: it tells what its owner saw, leaves after the collection, and one agency reads it.

use whosaw::client::base::BaseUrl;
use whosaw::client::{Client, ClientError};
use whosaw::digest::StatementId;
use whosaw::party::resident::state::{Gift, KeptNote};
use whosaw::seal::keys::Phrase;
use whosaw::seal::note;
use whosaw::time::Clock;

use crate::world::{Device, world};
use crate::{nothing_secret_left, request};

const CONTACT: &str = "+1 863 555 0142";

/// Consents on this device, and tells how to reach its owner and when it was.
fn tell(device: &Device) -> (String, Gift, KeptNote) {
    let words = format!("{}.json", device.home);
    let json = serde_json::json!({ "contact": CONTACT }).to_string();
    std::fs::write(world().root.join(&words), json).unwrap();
    let shown = device.must(&format!(
        "allow {} --gives contact,time --note {words} --yes",
        world().request
    ));
    let gift = device.state().gifts().unwrap().remove(0);
    let note = gift.note.clone().expect("it is prepared");
    (shown, gift, note)
}

/// The status that a call got.
fn status(answer: Result<(), ClientError>) -> u16 {
    match answer {
        Ok(()) => 204,
        Err(error) => error.status().unwrap(),
    }
}

#[test]
fn a_note_leaves_after_the_collection_and_the_agency_reads_what_its_owner_saw() {
    let proxy = world().proxy();
    let device = world().device_of("teller", &proxy);
    device
        .run(&format!("allow {} --gives contact --yes", world().request))
        .refused("--note FILE");
    let (shown, gift, kept) = tell(&device);
    let clip = &device.state().clips().unwrap()[0];
    let time = format!("time: {}/{}", clip.from, clip.until);
    for told in [&format!("contact: {CONTACT}"), &time] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    device.must("sync");
    nothing_secret_left(&device, &proxy);

    let client = Client::new(BaseUrl::parse(&world().url).unwrap(), Clock::system());
    let vault_key = |device: &Device| {
        let phrase = std::fs::read_to_string(device.path.join("phrase")).unwrap();
        phrase.parse::<Phrase>().unwrap().seed().vault_key()
    };
    let key = vault_key(&device);
    let put = |note: &[u8]| status(client.hand_over_note(&gift.disclosure, note, &key));
    assert_eq!(put(&kept.file), 409, "nobody has collected it");
    let collect = format!("collect {} --out told", gift.disclosure);
    let early = world().agency_through(&proxy, &collect);
    assert_eq!(early.code, 1, "{}", early.both());

    let another = note::seal(kept.text.clone(), &request().recipient).unwrap();
    let longer = [&kept.file[..], &[0]].concat();
    for (other, expected) in [
        (&another[..], 400),
        (&kept.file[1..], 400),
        (&kept.text, 400),
        (&[], 400),
        (&longer, 413),
    ] {
        assert_eq!(put(other), expected);
    }
    let stranger = vault_key(&world().third_device(&world().proxy()));
    let strange = client.hand_over_note(&gift.disclosure, &kept.file, &stranger);
    assert_eq!(status(strange), 404);

    device.must("sync");
    let path = format!("PUT /vault/v1/disclosures/{}/note", gift.disclosure);
    let sent = proxy.calls_with_sizes();
    let sent = sent.iter().filter(|(call, _)| *call == path);
    let sizes: Vec<usize> = sent.map(|(_, size)| *size).collect();
    assert_eq!(sizes, [note::SIZE]);
    let done = device.state().gifts().unwrap().remove(0);
    assert_eq!(done.note, None, "what was handed over is forgotten");
    assert_eq!(put(&kept.file), 204, "the same again");
    assert_eq!(put(&another), 400);

    let outcome = world().agency_through(&proxy, &collect);
    assert_eq!(outcome.code, 0, "{}", outcome.both());
    for told in [&format!("contact: {CONTACT}"), &time] {
        assert!(outcome.out.contains(told), "{told}: {}", outcome.out);
    }
    let file = |ending: &str| {
        let name = format!("told/{}-note.{ending}", gift.disclosure);
        std::fs::read(world().root.join(name)).unwrap()
    };
    assert_eq!(file("json"), kept.text);
    assert_eq!(file("age"), kept.file);
    let again = world().agency_through(&proxy, &format!("{collect} --json"));
    let again: serde_json::Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(again["notes"][0]["state"], "kept");
    assert_eq!(again["notes"][0]["note"]["contact"], CONTACT);
}

/// The server cannot give another note than the one that the log names.
#[test]
fn a_note_that_the_server_swaps_is_unreadable() {
    let proxy = world().proxy();
    let device = world().device_of("gossip", &proxy);
    let (_, gift, kept) = tell(&device);
    let collect = format!("collect {} --out swapped", gift.disclosure);
    assert_eq!(world().agency_through(&proxy, &collect).code, 1);
    device.must("sync");
    let another = note::seal(kept.text.clone(), &request().recipient).unwrap();
    let served = another.clone();
    proxy.lie(move |request, mut response| {
        if request.method == "GET" && request.path.ends_with("/note") {
            assert_eq!(response.status, 200);
            response.body = served.clone();
        }
        response
    });
    let outcome = world().agency_through(&proxy, &collect);
    assert_eq!(outcome.code, 1, "{}", outcome.both());
    assert!(outcome.out.contains("unreadable"), "{}", outcome.out);
    assert!(!outcome.out.contains(CONTACT), "{}", outcome.out);
    let evidence = format!("swapped/{}-note.unreadable", gift.disclosure);
    assert_eq!(std::fs::read(world().root.join(evidence)).unwrap(), another);
    proxy.lie(|_, response| response);
    let outcome = world().agency_through(&proxy, &collect);
    assert_eq!(outcome.code, 0, "{}", outcome.both());
}

#[test]
fn a_note_is_destroyed_with_the_consent_that_is_taken_back() {
    let proxy = world().proxy();
    let device = world().device_of("regretful", &proxy);
    let (_, gift, kept) = tell(&device);
    device.must("sync");
    device.must(&format!("withdraw {}", gift.disclosure));
    let left = device.state().gift(&gift.disclosure).unwrap().unwrap();
    assert_eq!(left.note, None);
    assert!(left.clips.iter().all(|clip| clip.header.is_none()));
    let files = std::fs::read_dir(&device.path).unwrap();
    let databases = files.map(|file| file.unwrap().path());
    let databases = databases.filter(|path| path.to_string_lossy().contains("resident.db"));
    for path in databases.filter(|path| !path.to_string_lossy().ends_with("-wal")) {
        let bytes = std::fs::read(&path).unwrap();
        let is_there = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(!is_there(CONTACT.as_bytes()), "{}", path.display());
        assert!(!is_there(&kept.file[..400]), "{}", path.display());
    }
    let id: StatementId = gift.disclosure;
    let outcome = world().agency_through(&proxy, &format!("collect {id} --out regretted"));
    outcome.refused("withdrawn");
    assert!(!proxy.calls().iter().any(|call| call.ends_with("/note")));
}
