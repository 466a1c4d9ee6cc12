use super::*;
use crate::party::home::key_path;
use crate::reader::testing::{LEAVES, Shown, now, policy, policy_of};
use crate::statement::testing::ORIGIN;
use crate::statement::words::PartyKind;
use crate::store::memory::MemoryJournal;
use crate::tlog::tree::LeafIndex;

/// A party in a folder of its own, at half a minute past noon.
fn official(folder: &Path, party: &str) -> Official {
    let profile = Profile {
        party: party.parse().unwrap(),
        kind: PartyKind::Vendor,
        name: "Doorbell".parse().unwrap(),
        jurisdiction: "US-CA".parse().unwrap(),
        officer_label: "sales-1".parse().unwrap(),
        domain_check: None,
        server: Some("https://ledger.example".to_owned()),
    };
    let home = Home::create(folder, profile).unwrap();
    home.write("log.policy", &policy().to_string()).unwrap();
    let clock = Clock::from_fn(|| now().plus_seconds(30));
    Official::open(folder, None, clock).unwrap()
}

#[test]
fn heads_name_the_log_the_minute_and_the_parties_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let vendor = official(folder.path(), "doorbell.example");
    let own = vendor.own_head();
    assert_eq!((own.log.as_str(), own.issued_at), (ORIGIN, now()));
    assert_eq!(
        own.author,
        Author::Issuer("doorbell.example".parse().unwrap())
    );
    for (other, sorted) in [
        ("agency.example", ["agency.example", "doorbell.example"]),
        (
            "lakelandgov.example",
            ["doorbell.example", "lakelandgov.example"],
        ),
    ] {
        let Author::Parties(parties) = vendor.joint_head(&other.parse().unwrap()).author else {
            panic!("both speak");
        };
        let parties: Vec<&str> = parties.iter().map(PartyId::as_str).collect();
        assert_eq!(parties, sorted);
    }
}

#[test]
fn a_party_is_opened_with_a_server_and_a_trust_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    official(folder.path(), "doorbell.example");
    let open = |server| Official::open(folder.path(), server, Clock::system());
    assert!(open(Some("http://127.0.0.1:8080")).is_ok());
    let plain = open(Some("http://ledger.example"));
    assert!(matches!(plain, Err(OfficialError::Address(_))));
    std::fs::remove_file(folder.path().join("log.policy")).unwrap();
    assert!(matches!(open(None), Err(OfficialError::Home(_))));
    assert!(key_path(folder.path(), "admin").exists());
}

/// What a server answers to the statement at `index`, with the statement.
fn answer(index: u64) -> (Logged, Envelope) {
    let mut copy = Follower::open(MemoryJournal::default(), policy()).unwrap();
    let shown = Shown::new(&LEAVES[..20], &[]);
    copy.update(&shown, now(), &mut |_, _| {}).unwrap();
    let index = LeafIndex::new(index);
    let leaf = Leaf::parse(&LEAVES[index.as_u64() as usize]).unwrap();
    let logged = Logged {
        id: StatementId::of_payload(&leaf.envelope.payload),
        index,
        logged_at: leaf.logged_at,
        proof: Some(copy.proof(index).unwrap().to_text()),
        known: false,
    };
    (logged, leaf.envelope)
}

#[test]
fn only_a_proof_of_this_very_statement_is_believed() {
    let (good, envelope) = answer(7);
    check_logged(&good, &policy(), &envelope).unwrap();
    let waiting = Logged {
        proof: None,
        ..good.clone()
    };
    check_logged(&waiting, &policy(), &envelope).unwrap();

    let (other, other_envelope) = answer(8);
    let id = other.id;
    for lie in [
        other.clone(),
        Logged { id, ..good.clone() },
        Logged { id, ..waiting },
        Logged {
            index: other.index,
            ..good.clone()
        },
        Logged {
            logged_at: good.logged_at.plus_seconds(60),
            ..good.clone()
        },
        // A valid proof, of something else.
        Logged {
            proof: other.proof.clone(),
            ..good.clone()
        },
    ] {
        let checked = check_logged(&lie, &policy(), &envelope);
        assert!(
            matches!(checked, Err(OfficialError::OtherStatement)),
            "{lie:?}"
        );
    }
    assert!(check_logged(&good, &policy(), &other_envelope).is_err());

    // The right statement, and a proof that proves nothing.
    let strangers = policy_of(&["press", "court"]);
    let proof = good.proof.clone().unwrap();
    let altered = proof.replacen("index 7\n", "index 6\n", 1);
    let bare: Vec<&str> = proof
        .lines()
        .filter(|line| !line.starts_with("extra "))
        .collect();
    assert!(matches!(
        check_logged(&good, &strangers, &envelope),
        Err(OfficialError::Proof(_))
    ));
    for (text, is_proof_fault) in [
        (altered, true),
        ("proof".to_owned(), true),
        (bare.join("\n") + "\n", false),
    ] {
        let lie = Logged {
            proof: Some(text),
            ..good.clone()
        };
        let fault = check_logged(&lie, &policy(), &envelope).unwrap_err();
        assert_eq!(
            matches!(fault, OfficialError::Proof(_)),
            is_proof_fault,
            "{fault}"
        );
    }
}

#[test]
fn media_types_are_told_by_the_ending() {
    let told = |name: &str| media_type(Path::new(name)).ok();
    assert_eq!(told("memo.pdf"), Some("application/pdf"));
    assert_eq!(told("a.b.txt"), Some("text/plain"));
    for unknown in ["memo", "memo.docx", "pdf", "memo.PDF.exe"] {
        assert_eq!(told(unknown), None, "{unknown}");
    }
}
