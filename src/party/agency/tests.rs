use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::party::home::{Home, Profile};
use crate::reader::testing::{now, policy};
use crate::seal::recipient::Recipient;
use crate::statement::kinds::Kind as _;
use crate::statement::words::PartyKind;
use crate::time::Clock;

fn scope(from: Time, until: Time, width: i32) -> Scope {
    let east = f64::from(width) / 1e5;
    let text = format!(
        r#"{{"type":"Feature","geometry":{{"type":"Polygon","coordinates":[[[0,0],[{east:.5},0],[{east:.5},0.01],[0,0.01],[0,0]]]}},"properties":{{"from":"{from}","until":"{until}"}}}}"#
    );
    Scope::parse(text.as_bytes()).unwrap()
}

fn request(measures: Measures) -> AccessRequest {
    // Its recipient is derived: once is enough.
    static EXAMPLE: LazyLock<AccessRequest> = LazyLock::new(AccessRequest::example);
    AccessRequest {
        area_m2: measures.area_m2,
        window_minutes: measures.window_minutes,
        footage_age_days: measures.footage_age_days,
        ..EXAMPLE.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Judged by what residents' devices and the server hold a scope against.
    #[test]
    fn measures_are_the_least_that_devices_accept(
        ago in 0i64..40 * 86_400, length in 1i64..10 * 86_400, width in 1i32..2_000_000,
    ) {
        let until = now().plus_seconds(-ago);
        let scope = scope(until.plus_seconds(-length), until, width);
        let measures = Measures::of(&scope, now()).unwrap();
        prop_assert_eq!(scope.fits(&request(measures), now()), Ok(()));
        for less in [
            Measures { area_m2: measures.area_m2 - 1, ..measures },
            Measures { window_minutes: measures.window_minutes - 1, ..measures },
            Measures { footage_age_days: measures.footage_age_days - 1, ..measures },
        ] {
            prop_assert!(scope.fits(&request(less), now()).is_err(), "{less:?}");
        }
    }
}

#[test]
fn footage_that_does_not_exist_yet_is_not_asked_for() {
    let later = now().plus_seconds(1);
    let refused = Measures::of(&scope(now().plus_seconds(-60), later, 10), now()).unwrap_err();
    assert!(
        refused.to_string().contains(&later.to_string()),
        "{refused}"
    );
    // A strip half around the world is more square metres than the log can be told.
    let strip = scope(now().plus_seconds(-60), now(), 17_900_000);
    let refused = Measures::of(&strip, now()).unwrap_err();
    assert!(refused.to_string().contains("area"), "{refused}");
}

pub fn agency(folder: &std::path::Path) -> Official {
    let profile = Profile {
        party: "lakelandgov.example".parse().unwrap(),
        kind: PartyKind::Agency,
        name: "Lakeland Police".parse().unwrap(),
        jurisdiction: "US-FL".parse().unwrap(),
        officer_label: "detective-4".parse().unwrap(),
        domain_check: None,
        server: Some("https://ledger.example".to_owned()),
    };
    let home = Home::create(folder, profile).unwrap();
    home.write("log.policy", &policy().to_string()).unwrap();
    Official::open(folder, None, Clock::from_fn(now)).unwrap()
}

#[test]
fn a_request_s_secrets_are_kept_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let agency = agency(folder.path());
    let (id, other) = (
        StatementId::from_bytes([1; 32]),
        StatementId::from_bytes([2; 32]),
    );
    let drawn = Identity::generate();
    assert!(!is_own(&agency, &id));
    keep_identity(&agency, &id, &drawn).unwrap();
    assert!(is_own(&agency, &id));
    assert!(!is_own(&agency, &other));
    assert!(identity(&agency, &other).is_err());

    let kept = identity(&agency, &id).unwrap();
    assert_eq!(Recipient::of(&kept), Recipient::of(&drawn));
    let path = folder.path().join(format!("requests/{id}.identity"));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        keep_identity(&agency, &id, &drawn).is_err(),
        "never overwritten"
    );
}
