use proptest::prelude::*;
use sd_jwt_payload::Disclosure;
use serde_json::json;

use super::*;

const SALT: [u8; 16] = [7; 16];

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53) + 1..1 << 53).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

fn parse_json(json: &str) -> Result<Opening, OpeningError> {
    Opening::parse(&base64url(json))
}

/// From RFC 9901: sections 4.2.3 (the first) and 5.1 (the others).
#[test]
fn digests_of_the_rfc() {
    for (text, name, value, digest) in [
        (
            "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
            "family_name",
            "Möbius",
            "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0",
        ),
        (
            "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd",
            "given_name",
            "John",
            "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4",
        ),
        (
            "WyJlbHVWNU9nM2dTTklJOEVZbnN4QV9BIiwgImZhbWlseV9uYW1lIiwgIkRvZSJd",
            "family_name",
            "Doe",
            "TGf4oLbgwd5JQaHyKVQZU9UdGE0w5rtDsrZzfUaomLo",
        ),
        (
            "WyI2SWo3dE0tYTVpVlBHYm9TNXRtdlZBIiwgImVtYWlsIiwgImpvaG5kb2VAZXhhbXBsZS5jb20iXQ",
            "email",
            "johndoe@example.com",
            "JzYjH4svliH0R3PyEMfeZu6Jt69u5qehZo7F7EPYlSE",
        ),
    ] {
        let opening = Opening::parse(text).unwrap();
        assert_eq!(opening.digest().to_string(), digest);
        assert_eq!(opening.encode(), text);
        assert_eq!((opening.name(), opening.value()), (name, &json!(value)));
        assert_eq!(digest.parse(), Ok(opening.digest()));
    }
}

#[test]
fn only_openings_are_read() {
    let salt = base64url(SALT);
    assert!(parse_json(&format!(r#"["{salt}","case_number","19-1"]"#)).is_ok());
    for json in [
        format!(r#"["{salt}","US"]"#),
        format!(r#"["{salt}","a",1,2]"#),
        format!(r#"["{salt}",1,"a"]"#),
        format!(r#"[1,"{salt}","a"]"#),
        format!(r#"["{salt}","a",1] 2"#),
        format!(r#"["{salt}","a",1"#),
        format!(r#"["{salt}","a",{{"b":1,"b":2}}]"#),
        format!(r#"["{salt}","a",[{{"b":{{"c":1,"c":1}}}}]]"#),
        format!(r#"["{salt}","a",{}1{}]"#, "[".repeat(200), "]".repeat(200)),
        r#"{"salt":"a"}"#.into(),
        String::new(),
    ] {
        assert_eq!(parse_json(&json), Err(OpeningError::Shape), "{json}");
    }
    let short = base64url([7; 15]);
    assert_eq!(
        parse_json(&format!(r#"["{short}","a",1]"#)),
        Err(OpeningError::ShortSalt(15))
    );
    assert_eq!(
        Opening::new(&[7; 15], "a", &json!(1)),
        Err(OpeningError::ShortSalt(15))
    );
    assert_eq!(
        parse_json(r#"["0123456789abcdef0123456789abcde=","a",1]"#),
        Err(OpeningError::Salt(EncodingError::Base64Url))
    );
    assert_eq!(
        Opening::parse("WyJ+"),
        Err(OpeningError::Encoding(EncodingError::Base64Url))
    );
}

#[test]
fn long_openings_are_refused() {
    let longest = MAX_OPENING / 4 * 3 - r#"["","a",""]"#.len() - base64url(SALT).len();
    let opening = Opening::new(&SALT, "a", &json!("x".repeat(longest))).unwrap();
    assert_eq!(opening.encode().len(), MAX_OPENING);
    assert_eq!(
        Opening::new(&SALT, "a", &json!("x".repeat(longest + 1))),
        Err(OpeningError::TooLong(MAX_OPENING + 2))
    );
}

#[test]
fn debug_shows_the_digest_alone() {
    let opening = Opening::new(&SALT, "case_number", &json!("19-004711")).unwrap();
    let shown = format!("{opening:?}");
    assert_eq!(shown, format!("Opening({})", opening.digest()));
}

#[test]
fn digests_have_one_spelling() {
    let digest = SealDigest::from_bytes([255; 32]);
    let text = digest.to_string();
    assert_eq!(text.len(), 43);
    for other in [
        format!("{text}="),
        text[..42].into(),
        text.replace('_', "/"),
    ] {
        assert!(other.parse::<SealDigest>().is_err(), "{other}");
    }
    let loose_bits = format!("{}9", &text[..42]);
    assert!(serde_json::from_value::<SealDigest>(json!(loose_bits)).is_err());
    assert_eq!(
        serde_json::from_value::<SealDigest>(json!(text)).unwrap(),
        digest
    );
}

#[test]
fn attachments_go_in_and_out() {
    let value = AttachmentValue {
        sha256: Digest::of("a paper"),
        size: MAX_ATTACHMENT,
        media_type: "application/pdf".parse().unwrap(),
    };
    let opening = Opening::attachment(&SALT, &value).unwrap();
    assert_eq!(opening.as_attachment(), Ok(value.clone()));
    assert_eq!(
        *opening.value(),
        json!({"sha256": value.sha256, "size": 16_777_216, "type": "application/pdf"})
    );

    let opened =
        |name: &str, value: Value| Opening::new(&SALT, name, &value).unwrap().as_attachment();
    let changed = |member: &str, to: Value| {
        let mut value = opening.value().clone();
        value[member] = to;
        value
    };
    assert_eq!(
        opened("attachement", opening.value().clone()),
        Err(AttachmentError::Name)
    );
    assert_eq!(
        opened(ATTACHMENT, changed("size", json!(MAX_ATTACHMENT + 1))),
        Err(AttachmentError::Size(MAX_ATTACHMENT + 1))
    );
    for wrong in [
        changed("name", json!("paper.pdf")),
        changed("size", json!(-1)),
        changed("size", json!("1")),
        changed("type", json!("application/PDF")),
        changed("type", json!("text/html; charset=utf-8")),
        changed("type", json!("text")),
        changed("type", json!("/")),
        changed("sha256", json!("00")),
        json!([value.sha256, 1, "application/pdf"]),
    ] {
        assert_eq!(
            opened(ATTACHMENT, wrong.clone()),
            Err(AttachmentError::Value),
            "{wrong}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn another_implementation_reads_the_same(
        salt in prop::collection::vec(any::<u8>(), 16..40), name: String, value in any_value()
    ) {
        let opening = Opening::new(&salt, &name, &value).unwrap();
        let theirs = Disclosure::parse(opening.encode()).unwrap();
        prop_assert_eq!(&theirs.salt, &base64url(&salt));
        prop_assert_eq!(theirs.claim_name.as_deref(), Some(name.as_str()));
        prop_assert_eq!(&theirs.claim_value, &value);
        prop_assert_eq!(opening.value(), &value);
        prop_assert_eq!(opening.salt(), &salt);
        prop_assert_eq!(Opening::parse(opening.encode()), Ok(opening));
    }

    #[test]
    fn any_spelling_keeps_its_text(value in any_value()) {
        let json = serde_json::to_string_pretty(&(base64url(SALT), "a", &value)).unwrap();
        let opening = parse_json(&json).unwrap();
        prop_assert_eq!(opening.encode(), base64url(&json));
        prop_assert_eq!(opening.value(), &value);
        let compact = Opening::new(&SALT, "a", &value).unwrap();
        prop_assert_ne!(opening.digest(), compact.digest());
    }

    #[test]
    fn no_text_makes_it_panic(text: String, json: String) {
        let _ = Opening::parse(&text);
        prop_assert!(parse_json(&json).is_err());
    }
}

/// What was sealed wrongly is said to be misopened, and why.
#[test]
fn what_was_sealed_wrongly_is_misopened() {
    let sealed = |name: &str, value: Value| Opening::new(&[7; 32], name, &value).unwrap();
    let open =
        |opening: &Opening| open_field(opening.encode().as_bytes(), &opening.digest(), "reference");
    assert_eq!(
        open(&sealed("reference", "SW-1".into())),
        Ok("SW-1".to_owned())
    );
    assert_eq!(
        open(&sealed("case_number", "SW-1".into())),
        Err(Misopened::OtherName)
    );
    assert_eq!(
        open(&sealed("reference", " ".into())),
        Err(Misopened::NoValue)
    );
    assert_eq!(
        open(&sealed("reference", 7.into())),
        Err(Misopened::NoValue)
    );
    let short = SealDigest::of(b"x");
    assert_eq!(
        open_field(b"x", &short, "reference"),
        Err(Misopened::NoOpening)
    );
    let other = sealed("reference", "SW-2".into()).digest();
    let text = sealed("reference", "SW-1".into());
    let opened = open_field(text.encode().as_bytes(), &other, "reference");
    assert_eq!(opened, Err(Misopened::OtherDigest));
}
