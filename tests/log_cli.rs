//! `whosaw log` as its users meet it: what it prints, and how it exits.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use ed25519_dalek::SigningKey;
use serde_json::Value;
use tempfile::TempDir;
use whosaw::statement::kinds::bulletin::Bulletin;
use whosaw::statement::kinds::legal_demand::{DemandSource, LegalDemand, ProcessKind};
use whosaw::statement::kinds::limits::Limits;
use whosaw::statement::kinds::party::{NewKey, Party};
use whosaw::statement::leaf::Leaf;
use whosaw::statement::sealed::SealDigest;
use whosaw::statement::words::{PartyKind, Role};
use whosaw::statement::{Author, Head, Kind as _, Statement, sign};
use whosaw::time::Time;
use whosaw::tlog::checkpoint::Checkpoint;
use whosaw::tlog::cosignature::Cosigner;
use whosaw::tlog::hash::leaf_hash;
use whosaw::tlog::note::LogSigner;
use whosaw::tlog::policy::{Policy, PolicyLog, PolicyWitness};
use whosaw::tlog::tile::{self, RightEdge};
use whosaw::tlog::tree::TreeSize;

const ORIGIN: &str = "ledger.example/log";
const OPERATOR: &str = "operator.example";

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn time() -> Time {
    "2019-08-01T12:00:00Z".parse().unwrap()
}

fn leaf(statement: impl Into<Statement>) -> Vec<u8> {
    let head = Head {
        log: ORIGIN.to_owned(),
        issued_at: time(),
        author: Author::Issuer(OPERATOR.parse().unwrap()),
    };
    Leaf {
        logged_at: time(),
        envelope: sign(&head, &statement.into(), &[&key(1)]),
    }
    .to_bytes()
}

fn party(id: &str, kind: PartyKind, keys: Vec<NewKey>) -> Party {
    Party {
        party: id.parse().unwrap(),
        kind,
        keys,
        ..Party::example()
    }
}

/// An operator, its limits, two listed agencies, and one of them a second time, which is forbidden.
fn leaves() -> Vec<Vec<u8>> {
    let admin = NewKey {
        key: (&key(1)).into(),
        role: Role::Admin,
        label: None,
    };
    let listed = |id| leaf(party(id, PartyKind::Agency, Vec::new()));
    vec![
        leaf(party(OPERATOR, PartyKind::Operator, vec![admin])),
        leaf(Limits::example()),
        listed("lakeland.example"),
        listed("tampa.example"),
        listed("tampa.example"),
    ]
}

/// A folder with `log`, of `leaves`, and `log.policy`.
fn ledger(leaves: &[Vec<u8>]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, bytes: &[u8]| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut edge = RightEdge::new();
    for leaf in leaves {
        edge.append(leaf_hash(leaf));
    }
    for (tile, bytes) in edge.take_new_tiles() {
        put(&format!("log/{}", tile.path()), &bytes);
    }
    for bundle in tile::entry_tiles(edge.size()) {
        put(
            &format!("log/{}", bundle.path()),
            &tile::encode_entries(leaves),
        );
    }
    let signer = LogSigner::new(ORIGIN.parse().unwrap(), key(2));
    let checkpoint = Checkpoint {
        origin: ORIGIN.parse().unwrap(),
        size: TreeSize::new(leaves.len() as u64),
        root: edge.root(),
    };
    let mut note = checkpoint.sign(&signer);
    let mut witnesses = Vec::new();
    for (name, n) in [("library", 3), ("newsroom", 4)] {
        let cosigner = Cosigner::new(format!("{name}.example").parse().unwrap(), key(n));
        // Witnesses see an archived log at any two times.
        let seen = time().checked_add_seconds(i64::from(n) * 86_400).unwrap();
        note.signatures.push(cosigner.cosign(&checkpoint, seen));
        witnesses.push(PolicyWitness {
            name: name.to_owned(),
            key: cosigner.verifier(),
            url: None,
        });
    }
    put("log/checkpoint", &note.to_bytes());
    let log = PolicyLog {
        key: signer.verifier(),
        url: None,
    };
    let policy = Policy::of(vec![log], witnesses, 2).unwrap();
    put("log.policy", policy.to_string().as_bytes());
    folder
}

/// Runs `whosaw log …` in the folder: exit code, standard output, standard error.
fn run(folder: &Path, words: &str) -> (i32, String, String) {
    let mut command = Command::cargo_bin("whosaw").unwrap();
    command
        .current_dir(folder)
        .arg("log")
        .args(words.split(' '));
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

const LOG: &str = "--log log --policy log.policy";

#[test]
fn verify_says_yes_no_or_that_it_could_not_look() {
    let fine = ledger(&leaves()[..4]);
    let (code, out, err) = run(fine.path(), &format!("verify {LOG}"));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.starts_with("all holds: 4 entries of ledger.example/log\n"),
        "{out}"
    );
    assert!(
        out.contains("cosigned by newsroom at 2019-08-05T12:00:00Z"),
        "{out}"
    );

    let forbidden = ledger(&leaves());
    fs::write(forbidden.path().join("log/note.txt"), "").unwrap();
    let (code, out, _) = run(forbidden.path(), &format!("verify {LOG} --json"));
    assert_eq!(code, 1);
    let seen: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(seen["size"], 5);
    let findings = seen["findings"].as_array().unwrap();
    let found: Vec<_> = findings.iter().map(|f| (&f["code"], &f["place"])).collect();
    let text = |text: &str| Value::from(text);
    assert_eq!(
        found,
        [
            (&text("already-logged"), &text("entry 4")),
            (&text("stray-file"), &text("note.txt"))
        ]
    );

    for could_not in [
        "verify --log nowhere --policy log.policy",
        "verify --log log --policy nowhere",
        "verify --log http://ledger.example/log --policy log.policy",
        "verify --log http://127.0.0.1:1/log --policy log.policy",
    ] {
        let (code, out, err) = run(fine.path(), could_not);
        assert_eq!((code, out.as_str()), (2, ""), "{could_not}");
        assert!(err.starts_with("error: "), "{err}");
    }
}

#[test]
fn show_and_list_speak_plainly() {
    let folder = ledger(&leaves());
    let (code, out, err) = run(folder.path(), &format!("list {LOG}"));
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(
        lines[2].starts_with("#2    2019-08-01T12:00:00Z  "),
        "{out}"
    );
    assert!(
        lines[2]
            .contains("lakeland.example (Lakeland Police Department, agency, US-FL) is entered by operator.example"),
        "{out}"
    );
    assert!(lines[4].contains("forbidden by the rules"), "{out}");

    let (_, json, _) = run(folder.path(), &format!("list {LOG} --json"));
    let rows: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 5);
    assert_eq!(rows[4]["forbidden"]["code"], "already-logged");
    let id = rows[3]["id"].as_str().unwrap();

    for name in ["#3", id, &id[..8]] {
        let (code, out, _) = run(folder.path(), &format!("show {name} {LOG}"));
        assert_eq!(code, 0, "{name}");
        assert!(out.starts_with("tampa.example ("), "{out}");
        assert!(
            out.contains(id) && out.contains("\nsigned by   ed25519:"),
            "{out}"
        );
    }
    let (_, out, _) = run(folder.path(), &format!("show #3 {LOG} --json"));
    let mut shown: Value = serde_json::from_str(&out).unwrap();
    let findings = shown.as_object_mut().unwrap().remove("findings");
    assert_eq!(findings, Some(Value::Array(Vec::new())));
    assert_eq!(shown, rows[3]);
    for (name, fault) in [
        ("#4", "the rules forbid it: already-logged"),
        ("#5", "no entry 5"),
        ("00000000", "no statement"),
        ("#03", "#12"),
        (&id[..7], "the first 8 or more digits"),
    ] {
        let (code, _, err) = run(folder.path(), &format!("show {name} {LOG}"));
        assert!(code == 2 && err.contains(fault), "{name}: {err}");
    }
}

#[test]
fn a_proof_is_checked_without_the_log() {
    let folder = ledger(&leaves());
    let (code, out, _) = run(folder.path(), &format!("proof #2 {LOG} -o 2.tlog-proof"));
    assert_eq!(code, 0);
    assert_eq!(out, "entry 2 of ledger.example/log: 2.tlog-proof\n");
    let file = folder.path().join("2.tlog-proof");
    let (_, printed, _) = run(folder.path(), &format!("proof #2 {LOG}"));
    assert_eq!(printed, fs::read_to_string(&file).unwrap());

    fs::remove_dir_all(folder.path().join("log")).unwrap();
    let check = || run(folder.path(), "check 2.tlog-proof --policy log.policy");
    let (code, out, _) = check();
    assert_eq!(code, 0);
    assert!(
        out.starts_with("it holds: entry 2 of ledger.example/log\n"),
        "{out}"
    );
    assert!(
        out.contains("lakeland.example (Lakeland Police Department"),
        "{out}"
    );
    for other in [
        printed.replace("index 2", "index 3"),
        printed.replace("index 2", "index"),
        printed.replacen("extra ey", "extra eY", 1),
    ] {
        assert_ne!(other, printed);
        fs::write(&file, other).unwrap();
        let (code, out, _) = check();
        assert!(code == 1 && out.starts_with("it proves nothing: "), "{out}");
    }
    let (code, _, _) = run(folder.path(), "check nowhere --policy log.policy");
    assert_eq!(code, 2);
}

/// Two readers meet: what they were shown agrees, or convicts the log.
#[test]
fn what_two_readers_were_shown_is_compared() {
    let told = leaves()[..4].to_vec();
    let mut other = told.clone();
    other.swap(1, 2);
    let folder = ledger(&told);
    let put = |name: &str, leaves: &[Vec<u8>]| {
        let shown = ledger(leaves);
        fs::rename(shown.path().join("log"), folder.path().join(name)).unwrap();
    };
    put("three", &told[..3]);
    put("other-three", &other[..3]);
    put("other", &other);
    let compare = |words: &str| {
        let words = format!("compare {words} --policy log.policy");
        run(folder.path(), &words)
    };
    let (_, _, err) = run(folder.path(), &format!("proof #2 {LOG} -o 2.tlog-proof"));
    assert_eq!(err, "");

    for agree in [
        "log/checkpoint log/checkpoint",
        "log/checkpoint 2.tlog-proof",
        "three/checkpoint log/checkpoint --log log",
        "2.tlog-proof other-three/../three/checkpoint --log log",
        "other-three/checkpoint other/checkpoint --log other",
    ] {
        let (code, out, err) = compare(agree);
        assert_eq!(code, 0, "{agree}: {out}{err}");
        assert!(out.starts_with("they agree: "), "{out}");
    }
    for (could_not, why) in [
        ("three/checkpoint log/checkpoint", "--log"),
        (
            "three/checkpoint log/checkpoint --log other",
            "another tree",
        ),
        (
            "other-three/checkpoint log/checkpoint --log other",
            "another tree",
        ),
        ("three/checkpoint log/checkpoint --log nowhere", "nowhere"),
        ("log.policy log/checkpoint", "log.policy"),
        ("nowhere log/checkpoint", "nowhere"),
    ] {
        let (code, out, err) = compare(could_not);
        assert_eq!((code, out.as_str()), (2, ""), "{could_not}");
        assert!(err.contains(why), "{could_not}: {err}");
    }
    for (caught, sizes, file) in [
        (
            "log/checkpoint other/checkpoint",
            (4, 4),
            "fork-at-4.tlog-evidence",
        ),
        ("2.tlog-proof other/checkpoint -o it", (4, 4), "it"),
        (
            "other-three/checkpoint log/checkpoint --log log",
            (3, 4),
            "fork-at-3.tlog-evidence",
        ),
        (
            "other/checkpoint three/checkpoint --log other -o that",
            (3, 4),
            "that",
        ),
    ] {
        let (code, out, err) = compare(caught);
        assert_eq!((code, err.as_str()), (1, ""), "{caught}: {out}");
        assert!(out.contains("two histories") && out.contains(file), "{out}");
        let (code, out, _) = run(
            folder.path(),
            &format!("evidence {file} --policy log.policy --json"),
        );
        assert_eq!(code, 0, "{out}");
        let proved: Value = serde_json::from_str(&out).unwrap();
        let size = |which: &str| proved[which]["size"].as_u64().unwrap();
        assert_eq!((size("earlier"), size("later")), sizes);
        let seen = &proved["earlier"]["cosigned"]["library"];
        assert_eq!(seen, "2019-08-04T12:00:00Z", "{proved}");
        let written = fs::read(folder.path().join(file)).unwrap();
        let (code, _, err) = compare(caught);
        assert!(code == 2 && err.contains(file), "once is enough: {err}");
        assert_eq!(fs::read(folder.path().join(file)).unwrap(), written);
    }
    let (_, out, _) = run(folder.path(), "evidence that --trust log.policy");
    assert!(
        out.contains("  library and newsroom cosigned both"),
        "{out}"
    );
    assert!(
        out.contains("cosigned by newsroom at 2019-08-05T12:00:00Z"),
        "{out}"
    );
}

/// The witnesses saw the log days after it was said.
#[test]
fn what_has_expired_is_shown_to_have() {
    let say = |author: Author, statement: Statement, keys: &[u8]| {
        let head = Head {
            log: ORIGIN.to_owned(),
            issued_at: time(),
            author,
        };
        let keys: Vec<SigningKey> = keys.iter().map(|n| key(*n)).collect();
        let envelope = sign(&head, &statement, &keys.iter().collect::<Vec<_>>());
        let logged_at = time();
        Leaf {
            logged_at,
            envelope,
        }
        .to_bytes()
    };
    let admin = |n: u8, role| NewKey {
        key: (&key(n)).into(),
        role,
        label: None,
    };
    let agency = "lakeland.example";
    let officer = NewKey {
        label: Some("detective-4".parse().unwrap()),
        ..admin(12, Role::Officer)
    };
    let keys = vec![admin(11, Role::Admin), officer];
    let limits = Limits {
        new_key_wait_minutes: 0,
        ..Limits::example()
    };
    let operator = || Author::Issuer(OPERATOR.parse().unwrap());
    let both = [agency, OPERATOR].map(|id| id.parse().unwrap()).into();
    let mut leaves = vec![
        say(
            operator(),
            party(OPERATOR, PartyKind::Operator, vec![admin(1, Role::Admin)]).into(),
            &[1],
        ),
        say(operator(), limits.into(), &[1]),
        say(
            Author::Parties(both),
            party(agency, PartyKind::Agency, keys).into(),
            &[1, 11, 12],
        ),
    ];
    for (n, days) in [(1, 1), (2, 9)] {
        let bulletin = Bulletin {
            text: SealDigest::from_bytes([n; 32]),
            expires: time().checked_add_seconds(days * 86_400).unwrap(),
            ..Bulletin::example()
        };
        let agency = Author::Issuer(agency.parse().unwrap());
        leaves.push(say(agency, bulletin.into(), &[12]));
    }
    let folder = ledger(&leaves);
    let show = |words: &str| {
        let (code, said, error) = run(folder.path(), &format!("show {words} {LOG}"));
        assert_eq!(code, 0, "{said}{error}");
        said
    };
    let over = show("#3");
    assert!(
        over.contains("expires     2019-08-02T12:00:00Z  (expired)\n"),
        "{over}"
    );
    let current = show("#4");
    assert!(
        current.contains("expires     2019-08-10T12:00:00Z\n"),
        "{current}"
    );
    for (index, expired) in [(3, true), (4, false)] {
        let shown: Value = serde_json::from_str(&show(&format!("#{index} --json"))).unwrap();
        assert_eq!(shown["expired"], expired);
    }
    let none: Value = serde_json::from_str(&show("#1 --json")).unwrap();
    assert_eq!(none.get("expired"), None);
}

/// The leaves, and two demands of one agency that reached the operator on paper.
fn with_demands() -> Vec<Vec<u8>> {
    let mut leaves = leaves();
    for process in [ProcessKind::SearchWarrant, ProcessKind::Subpoena] {
        leaves.push(leaf(LegalDemand {
            process,
            source: DemandSource::Paper,
            agency: Some("lakeland.example".parse().unwrap()),
            content: false,
            records: Vec::new(),
            sealed: None,
            served_on: "2019-07-31".parse().unwrap(),
            answer_by: None,
            ..LegalDemand::example()
        }));
    }
    leaves
}

/// A report of another checkpoint, or a person's own file of that name, is not lost.
#[test]
fn a_report_is_not_written_over_another_file() {
    let folder = ledger(&with_demands());
    let write = |more: &str| {
        let words = format!("report transparency --format csv -o tables {LOG}{more}");
        run(folder.path(), &words)
    };
    let (code, out, err) = write("");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("tables/about.csv"), "{out}");
    // The same again changes nothing, and is no loss.
    assert_eq!(write("").0, 0);
    let tables = folder.path().join("tables");
    let [about, other] = ["about.csv", "voluntary_requests.csv"].map(|name| tables.join(name));
    std::fs::write(&about, "my notes").unwrap();
    std::fs::remove_file(&other).unwrap();
    let (code, out, err) = write("");
    assert_eq!((code, out.as_str()), (2, ""));
    for says in ["tables/about.csv", "--force"] {
        assert!(err.contains(says), "{err}");
    }
    assert_eq!(std::fs::read_to_string(&about).unwrap(), "my notes");
    assert!(!other.exists(), "nothing is written beside it");
    assert_eq!(write(" --force").0, 0);
    assert_ne!(std::fs::read_to_string(&about).unwrap(), "my notes");
    assert!(other.exists());
}

#[test]
fn reports_come_out_of_the_log_alone() {
    let folder = ledger(&with_demands());
    let report = |words: &str| {
        let (kind, rest) = words.split_once(' ').unwrap_or((words, ""));
        let words = format!("report {kind} {LOG} {rest}");
        run(folder.path(), words.trim_end())
    };
    let received = "requests_received_and_disclosed";
    let (code, out, err) = report(&format!(
        "transparency --format csv --table {received} --cite"
    ));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("year,type,count_requests_received,count_disclosed,entries\n"));
    assert!(
        out.contains("\n2019,criminal search warrant,1,0,5\n"),
        "{out}"
    );
    assert!(
        out.contains("\n2019,civil subpoena,\"not in the log: "),
        "{out}"
    );

    // JSON says under which checkpoint it is so, for anyone who wants to count again.
    let (code, out, _) = report("transparency --year 2019 --half 2 --format json");
    assert_eq!(code, 0);
    let seen: Value = serde_json::from_str(&out).unwrap();
    let (_, verified, _) = run(folder.path(), &format!("verify {LOG} --json"));
    let verified: Value = serde_json::from_str(&verified).unwrap();
    for member in ["origin", "size", "root"] {
        assert_eq!(seen["checkpoint"][member], verified[member], "{member}");
    }
    assert_eq!(seen["forbidden"], 1);
    assert_eq!(seen["at"], "2019-08-04T12:00:00Z");
    let rows = &seen["sections"][0]["tables"][0]["rows"];
    assert_eq!(rows[2]["count_requests_received"]["value"], 1);
    assert_eq!(rows[2]["entries"], Value::from([5]));
    assert_eq!(rows[6]["count_disclosed"]["state"], "not-collected");

    let (code, out, _) = report("oakland-9.64 --party lakeland.example --year 2019");
    assert_eq!(code, 0);
    for text in [
        "## Lakeland Police Department (lakeland.example), 2019\n",
        "\n| Legal demands by process | subpoena | 1 |\n",
        "*not in the log: budgets are no statements*",
        "The rules forbid 1 of the entries",
    ] {
        assert!(out.contains(text), "{text:?}: {out}");
    }
    // Who did nothing is answered for if asked for by name, and is not in the way otherwise.
    let (code, out, _) = report("san-francisco-19b --party tampa.example --year 2019");
    assert!(
        code == 0 && out.contains("| Requests to residents | 0 |"),
        "{out}"
    );
    let (code, out, _) = report("san-francisco-19b --year 2018");
    assert!(code == 0 && out.contains("No agency did"), "{out}");
    let (_, out, _) = report("san-francisco-19b");
    assert!(!out.contains("tampa.example"), "{out}");

    let (code, out, _) = report("agency lakeland.example --table demands --cite");
    assert_eq!(code, 0);
    assert!(
        out.contains("| search-warrant | Lakeland Police Department |"),
        "{out}"
    );
    let (code, out, _) = report("vendor operator.example --format csv -o tables");
    assert_eq!(code, 0);
    assert!(out.ends_with("tables/about.csv\n"), "{out}");
    for file in out.lines() {
        fs::read_to_string(folder.path().join(file)).unwrap();
    }
    let (code, out, _) = report("vendor operator.example --format md -o pages");
    assert_eq!((code, out.as_str()), (0, "pages/vendor.md\n"));

    for (words, why) in [
        (
            "agency nobody.example",
            "this log knows no party nobody.example",
        ),
        ("agency operator.example", "of the kind operator"),
        ("vendor lakeland.example", "of the kind agency"),
        (
            "transparency --party nobody.example",
            "no party nobody.example",
        ),
        ("oakland-9.64 --party operator.example", "is no agency"),
        ("transparency --format csv", "--table"),
        (
            "transparency --table nothing",
            "requests_received_and_disclosed",
        ),
        ("transparency --half 1", "--year"),
        ("transparency --year 19", "a year such as 2019"),
        ("transparency --year 2019 --half 3", "1 (January to June)"),
        ("agency Lakeland", "host name"),
    ] {
        let (code, out, err) = report(words);
        assert_eq!((code, out.as_str()), (2, ""), "{words}");
        assert!(err.contains(why), "{words}: {err}");
    }
}
