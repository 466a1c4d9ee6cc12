use super::*;

const DIGEST: [u8; 32] = [9; 32];

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn now() -> Time {
    Time::from_unix(1_564_581_900).unwrap()
}

fn target() -> RequestTarget<'static> {
    RequestTarget {
        method: "PUT",
        authority: "ledger.example",
        path: "/vault/v1/clips/00",
        query: None,
        upload: None,
    }
}

fn signed() -> SignatureHeaders {
    sign(&target(), &DIGEST, &key(), now(), [1; 16])
}

/// RFC 9421, appendix B.2.6: signing a request with Ed25519 (key of B.1.4).
#[test]
fn the_base_and_signature_of_the_rfc() {
    let parameters = "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \
                      \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
    let components = [
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT".to_owned()),
        ("@method", "POST".to_owned()),
        ("@path", "/foo".to_owned()),
        ("@authority", "example.com".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("content-length", "18".to_owned()),
    ];
    let seed = encoding::from_base64url("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU").unwrap();
    let key = SigningKey::from_bytes(&encoding::exact(&seed).unwrap());
    assert_eq!(
        encoding::base64url(key.verifying_key().to_bytes()),
        "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"
    );
    let signature = key.sign(signature_base(&components, parameters).as_bytes());
    assert_eq!(
        encoding::base64(signature.to_bytes()),
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    );
}

#[test]
fn a_signed_call_verifies() {
    let verified = verify(&target(), &signed(), now()).unwrap();
    assert_eq!(verified.key, PublicKey::from(&key()));
    assert_eq!(verified.content_digest, DIGEST);
    assert_eq!(verified.nonce, [1; 16]);
}

/// What an independent implementation (the Python package http-message-signatures 3) wrote for
/// the key with seed [9; 32]; its parameters stand in an order of its own.
#[test]
fn another_implementation_is_understood() {
    let cases = [
        (
            ("PUT", "Ledger.example", "/vault/v1/clips/0a%2F/body", None),
            "Z5Ba08wt1SsfX2ptKBTeA5Zhiym0I4ua9SB662mTbm0=",
            "6vaov09UdYhBGDMzy75HYFRwfzP+Qv9F0paXSKyCo/Em+UQ+CPuytCHNQPjnfzYFgGoBOyIpld6p5ANieVp1CQ==",
        ),
        (
            (
                "GET",
                "ledger.example:8443",
                "/vault/v1/vault",
                Some("a=b%20c&d"),
            ),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "DKuUSWGnTIqtYYbk3z+xaVOpLVBWwJt6XkL2NBP+Driv6wRJTBEXaheTUlTQtWhPe3S5/gDVOCbrQbvBfkV0Bw==",
        ),
    ];
    for ((method, authority, path, query), digest, signature) in cases {
        let target = RequestTarget {
            method,
            authority,
            path,
            query,
            upload: None,
        };
        let headers = SignatureHeaders {
            content_digest: format!("sha-256=:{digest}:"),
            signature_input: "whosaw=(\"@method\" \"@authority\" \"@path\" \"@query\" \
                \"content-digest\");created=1564581900;\
                keyid=\"ed25519:_RckOFqgx1tk-3jNYC-h2ZH96_drE8WO1wLqyDXp9hg\";alg=\"ed25519\";\
                expires=1564581960;nonce=\"AQEBAQEBAQEBAQEBAQEBAQ\";tag=\"whosaw-v1\""
                .to_owned(),
            signature: format!("whosaw=:{signature}:"),
        };
        let verified = verify(&target, &headers, now()).unwrap();
        assert_eq!(verified.nonce, [1; 16]);
        let again = SigningKey::from_bytes(&[9; 32]);
        assert_eq!(verified.key, PublicKey::from(&again));
    }
}

/// A piece of an upload goes where its sender says, and nowhere else.
#[test]
fn the_field_of_an_upload_is_signed() {
    let field = |name, value| RequestTarget {
        upload: Some(UploadField { name, value }),
        ..target()
    };
    let piece = field(UPLOAD_OFFSET, "5");
    let signed = sign(&piece, &DIGEST, &key(), now(), [1; 16]);
    assert!(verify(&piece, &signed, now()).is_ok());
    let moved = verify(&field(UPLOAD_OFFSET, "6"), &signed, now());
    assert_eq!(moved, Err(SignatureError::Mismatch));
    for other in [target(), field(UPLOAD_LENGTH, "5")] {
        let result = verify(&other, &signed, now());
        assert_eq!(result, Err(SignatureError::Input), "{other:?}");
    }
}

#[test]
fn another_message_does_not_verify() {
    let original = target();
    for other in [
        RequestTarget {
            method: "GET",
            ..original
        },
        RequestTarget {
            authority: "other.example",
            ..original
        },
        RequestTarget {
            path: "/vault/v1/clips/01",
            ..original
        },
        RequestTarget {
            query: Some("a=b"),
            ..original
        },
    ] {
        let result = verify(&other, &signed(), now());
        assert_eq!(result, Err(SignatureError::Mismatch), "{other:?}");
    }
    let mut headers = signed();
    headers.content_digest = digest_header(&[8; 32]);
    assert_eq!(
        verify(&target(), &headers, now()),
        Err(SignatureError::Mismatch)
    );
}

#[test]
fn times_are_bounded() {
    let at = |seconds| verify(&target(), &signed(), now().plus_seconds(seconds));
    assert!(at(-30).is_ok());
    assert_eq!(at(-31), Err(SignatureError::TooEarly));
    assert!(at(60).is_ok());
    assert_eq!(at(61), Err(SignatureError::Expired));
    for (expires, expected) in [
        (0, false),
        (-1, false),
        (1, true),
        (120, true),
        (121, false),
    ] {
        let parameters = Parameters {
            created: now().unix(),
            expires: Some(now().unix() + expires),
            nonce: [1; 16],
            key: PublicKey::from(&key()),
        };
        let components = request_components(&target(), &digest_header(&DIGEST));
        let headers = headers(&components, &parameters.to_text(REQUEST), &DIGEST, &key());
        let result = verify(&target(), &headers, now());
        assert_eq!(result.is_ok(), expected, "{expires}: {result:?}");
    }
}

#[test]
fn every_other_text_is_refused() {
    use SignatureError::{ContentDigest, Input, Key, Missing, Signature};
    let edits: &[(&str, &str, SignatureError)] = &[
        ("\"@query\" ", "", Input),
        (
            "\"@method\" \"@authority\"",
            "\"@authority\" \"@method\"",
            Input,
        ),
        (";alg=\"ed25519\"", "", Input),
        (";alg=\"ed25519\"", ";alg=\"hmac-sha256\"", Input),
        (";tag=\"whosaw-v1\"", ";tag=\"other\"", Input),
        (";tag=\"whosaw-v1\"", ";tag=\"whosaw-v1\";extra=1", Input),
        (";tag=\"whosaw-v1\"", ";tag=\"whosaw-v1\", other=()", Input),
        (";expires=1564581960", "", Input),
        (";created=1564581900", "", Input),
        (";created=1564581900", ";created=1564581900.0", Input),
        (";created=1564581900", ";created=01564581900", Input),
        (";created=", ";created=1;created=", Input),
        (";nonce=\"", ";nonce=\"A", Input),
        ("\"@path\"", "\"@path\";req", Input),
        ("\"@path\"", "@path", Input),
        ("\"@path\"", "\"@path\" \"@path\"", Input),
        ("\"content-digest\")", "\"content-digest\" \"date\")", Input),
        ("whosaw=", "sig1=", Input),
        ("(\"@method\"", "( \"@method\"", Input),
        ("keyid=\"ed25519:", "keyid=\"", Key),
    ];
    for (from, to, expected) in edits {
        let mut headers = signed();
        assert!(headers.signature_input.contains(from), "{from}");
        headers.signature_input = headers.signature_input.replace(from, to);
        let result = verify(&target(), &headers, now());
        assert_eq!(result.as_ref(), Err(expected), "{from} → {to}");
    }
    // The point of order 1: anyone can sign for it.
    let mut headers = signed();
    let weak = format!(
        "ed25519:{}",
        encoding::base64url([&[1u8][..], &[0; 31]].concat())
    );
    let own = PublicKey::from(&key()).to_string();
    headers.signature_input = headers.signature_input.replace(&own, &weak);
    assert_eq!(verify(&target(), &headers, now()), Err(Key));

    let mut headers = signed();
    headers.signature = headers.signature.replace("whosaw", "other");
    assert_eq!(verify(&target(), &headers, now()), Err(Signature));
    let mut headers = signed();
    headers.content_digest.push_str(", sha-256=:AA==:");
    assert_eq!(verify(&target(), &headers, now()), Err(ContentDigest));
    let mut headers = signed();
    headers.signature.clear();
    assert_eq!(verify(&target(), &headers, now()), Err(Missing));
}

#[test]
fn a_call_is_good_once() {
    let verified = verify(&target(), &signed(), now()).unwrap();
    let mut nonces = Nonces::default();
    assert!(nonces.accept(&verified, now()));
    assert!(!nonces.accept(&verified, now()));
    assert!(
        !nonces.accept(&verified, verified.expires),
        "until it expires"
    );
    let other = Verified {
        nonce: [2; 16],
        ..verified.clone()
    };
    assert!(nonces.accept(&other, now()));
    // Another key's call may have the same nonce.
    let stranger = Verified {
        key: PublicKey::from(&SigningKey::from_bytes(&[8; 32])),
        ..verified
    };
    assert!(nonces.accept(&stranger, now()));
}

#[test]
fn nonces_are_bounded_and_none_is_forgotten_early() {
    let mut nonces = Nonces::default();
    let key = PublicKey::from(&key());
    let call = |n: u64| Verified {
        key,
        nonce: [&n.to_be_bytes()[..], &[0; 8]].concat().try_into().unwrap(),
        expires: now().plus_seconds(60),
        content_digest: DIGEST,
    };
    for n in 0..MAX_NONCES as u64 {
        assert!(nonces.accept(&call(n), now()));
    }
    assert!(!nonces.accept(&call(MAX_NONCES as u64), now()));
    assert!(!nonces.accept(&call(0), now()));
    let later = now().plus_seconds(61);
    let fresh = Verified {
        expires: later.plus_seconds(60),
        ..call(1)
    };
    assert!(nonces.accept(&fresh, later));
    assert_eq!(nonces.0[&key.to_bytes()].len(), 1);
}

#[test]
fn responses_are_signed_too() {
    let body = b"{}";
    let digest = Sha256::digest(body).into();
    let headers = sign_response(
        422,
        "application/problem+json",
        &digest,
        &key(),
        now(),
        [3; 16],
    );
    let verify =
        |status, media_type, body: &[u8]| verify_response(status, media_type, &headers, body);
    assert_eq!(
        verify(422, "application/problem+json", body),
        Ok(PublicKey::from(&key()))
    );
    assert_eq!(
        verify(400, "application/problem+json", body),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(
        verify(422, "text/plain", body),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(
        verify(422, "application/problem+json", b"[]"),
        Err(SignatureError::Body)
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4096))]
    #[test]
    fn no_text_makes_it_panic(input in ".{0,80}", signature in ".{0,80}", digest in ".{0,40}") {
        let headers = SignatureHeaders {
            content_digest: digest,
            signature_input: input,
            signature,
        };
        proptest::prop_assert!(verify(&target(), &headers, now()).is_err());
    }
}
