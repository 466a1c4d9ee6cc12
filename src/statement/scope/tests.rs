use super::*;
use proptest::prelude::*;

const SQUARE: &str =
    "[[-81.952,28.038],[-81.948,28.038],[-81.948,28.0415],[-81.952,28.0415],[-81.952,28.038]]";

fn feature(ring: &str) -> String {
    format!(
        r#"{{"type":"Feature","geometry":{{"type":"Polygon","coordinates":[{ring}]}},"properties":{{"from":"2019-07-30T21:00:00Z","until":"2019-07-30T23:00:00Z"}}}}"#
    )
}

fn parse(ring: &str) -> Result<Scope, ScopeError> {
    Scope::parse(feature(ring).as_bytes())
}

fn place(text: &str) -> Position {
    text.parse().unwrap()
}

#[test]
fn a_scope_is_read_and_written() {
    let scope = parse(SQUARE).unwrap();
    assert_eq!(scope.window_minutes(), 120);
    assert_eq!(
        Scope::parse(scope.to_geojson().as_bytes()),
        Ok(scope.clone())
    );
    // 0.004° of longitude at 28° N by 0.0035° of latitude: about 393 m by 389 m.
    let area = scope.ring.bounding_area_m2();
    assert!((152_000..154_000).contains(&area), "{area}");
    assert!(scope.ring.contains(place("28.0395,-81.95")));
    assert!(scope.ring.contains(place("28.038,-81.95")), "on the line");
    assert!(scope.ring.contains(place("28.038,-81.952")), "on a corner");
    assert!(!scope.ring.contains(place("28.0379,-81.95")));
    assert!(!scope.ring.contains(place("28.0395,-81.9521")));
    assert_eq!(place("28.0395, -81.9498").to_string(), "28.03950,-81.94980");
}

#[test]
fn every_other_ring_is_refused() {
    use ScopeError::{Crossing, Open, Position, Width};
    let circle = |n: usize| {
        let point = |i: usize| {
            let angle = std::f64::consts::TAU * (i % n) as f64 / n as f64;
            format!("[{:.5},{:.5}]", angle.cos(), angle.sin())
        };
        format!("[{}]", (0..=n).map(point).collect::<Vec<_>>().join(","))
    };
    assert!(parse(&circle(63)).is_ok());
    let table = [
        ("[[0,0],[1,0],[1,1],[0,1]]", Open),
        ("[[0,0],[1,0],[0,0]]", Open),
        ("[]", Open),
        (&circle(64), Open),
        ("[[0,0],[1,1],[1,0],[0,1],[0,0]]", Crossing),
        ("[[0,0],[1,0],[2,0],[0,0]]", Crossing),
        ("[[0,0],[0,0],[1,0],[1,1],[0,0]]", Crossing),
        ("[[0,0],[2,0],[2,2],[1,0],[0,2],[0,0]]", Crossing),
        ("[[0,0],[2,0],[1,0],[1,1],[0,0]]", Crossing),
        ("[[0,0],[1,0],[1,86],[0,0]]", Position),
        ("[[0,85],[1,84],[1,83],[0,85]]", Position),
        ("[[181,0],[182,0],[182,1],[181,0]]", Position),
        ("[[0,0],[0.000001,0],[1,1],[0,0]]", Position),
        ("[[0,0],[1e300,0],[1,1],[0,0]]", Position),
        ("[[0,0],[1000,0],[1,1],[0,0]]", Position),
        ("[[null,0],[1,0],[1,1],[0,0]]", Position),
        (r#"[["0",0],[1,0],[1,1],[0,0]]"#, Position),
        ("[[-100,0],[100,0],[0,1],[-100,0]]", Width),
    ];
    for (ring, expected) in table {
        assert_eq!(parse(ring), Err(expected), "{ring}");
    }
    for ring in [
        "[[0,0,5],[1,0,5],[1,1,5],[0,0,5]]",
        "[[0],[1],[1],[0]]",
        "null",
        "[[0,0],[1,0],[NaN,1],[0,0]]",
    ] {
        assert!(matches!(parse(ring), Err(ScopeError::Form(_))), "{ring}");
    }
}

#[test]
fn every_other_document_is_refused() {
    let good = feature(SQUARE);
    assert!(Scope::parse(good.as_bytes()).is_ok());
    for (from, to) in [
        (r#""type":"Feature","#, r#""type":"Feature","id":1,"#),
        (
            r#""type":"Feature","#,
            r#""type":"Feature","type":"Feature","#,
        ),
        (r#""type":"Feature","#, ""),
        ("Feature", "FeatureCollection"),
        ("Polygon", "MultiPolygon"),
        (r#""from""#, r#""why":"x","from""#),
        ("2019-07-30T21:00:00Z", "2019-07-30T21:00:00.000Z"),
    ] {
        let altered = good.replacen(from, to, 1);
        assert_ne!(altered, good);
        assert!(
            matches!(Scope::parse(altered.as_bytes()), Err(ScopeError::Form(_))),
            "{altered}"
        );
    }
    let backwards = good.replace("T23", "T20");
    assert_eq!(Scope::parse(backwards.as_bytes()), Err(ScopeError::Window));
    let holed = good.replace("]]]", "]],[[0,0],[1,0],[1,1],[0,0]]]");
    assert!(matches!(
        Scope::parse(holed.as_bytes()),
        Err(ScopeError::Form(_))
    ));
    let padded = format!("{good}{}", " ".repeat(MAX_SCOPE));
    assert_eq!(Scope::parse(padded.as_bytes()), Err(ScopeError::TooLarge));
    let arrays = r#"["Feature",["Polygon",[[[0,0],[1,0],[1,1],[0,0]]]],["2019-07-30T21:00:00Z","2019-07-30T23:00:00Z"]]"#;
    assert!(matches!(
        Scope::parse(arrays.as_bytes()),
        Err(ScopeError::Form(_))
    ));
}

#[test]
fn no_refused_scope_commands_a_terminal() {
    for hostile in [
        r#"{"type":"Feature","geometry":{},"properties":{},"\u001b[2J\u202e":1}"#,
        r#"{"type":"Feature","\u009b2J\u009b2J":1,"\u009b2J\u009b2J":1}"#,
        r#"{"type":"Feature","geometry":{"type":"Polygon","coordinates":[]},"properties":{"from":"\u001b[2J","until":""}}"#,
    ] {
        let refused = Scope::parse(hostile.as_bytes()).unwrap_err().to_string();
        assert!(!refused.contains(crate::encoding::is_hidden), "{refused:?}");
    }
}

#[test]
fn a_scope_larger_than_the_log_was_told_is_false() {
    use super::super::kinds::{Kind as _, access_request::AccessRequest};
    let scope = parse(SQUARE).unwrap();
    let issued_at: Time = "2019-07-31T14:00:00Z".parse().unwrap();
    let request = |area_m2, window_minutes, footage_age_days| AccessRequest {
        area_m2,
        window_minutes,
        footage_age_days,
        ..AccessRequest::example()
    };
    let area = u32::try_from(scope.ring.bounding_area_m2()).unwrap();
    let fits = |request: AccessRequest, at: Time| scope.fits(&request, at);
    assert_eq!(fits(request(area, 120, 1), issued_at), Ok(()));
    assert!(matches!(
        fits(request(area - 1, 120, 1), issued_at),
        Err(ScopeError::Area { .. })
    ));
    assert!(matches!(
        fits(request(area, 119, 1), issued_at),
        Err(ScopeError::Minutes { .. })
    ));
    let late = issued_at.plus_seconds(86_400);
    assert!(matches!(
        fits(request(area, 120, 1), late),
        Err(ScopeError::Age { .. })
    ));
    let early = issued_at.plus_seconds(-86_400);
    assert!(matches!(
        fits(request(area, 120, 1), early),
        Err(ScopeError::Age { .. })
    ));
}

/// How often the ring winds around a place that is not on it: the sum of signed angles.
fn winding(ring: &Ring, place: Position) -> i64 {
    let angle =
        |p: Position| f64::from(p.lat_e5 - place.lat_e5).atan2(f64::from(p.lon_e5 - place.lon_e5));
    let total: f64 = ring
        .edges()
        .map(|(a, b)| {
            let turn = angle(b) - angle(a);
            turn - (turn / std::f64::consts::TAU).round() * std::f64::consts::TAU
        })
        .sum();
    (total / std::f64::consts::TAU).round() as i64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn stars_are_rings_and_inside_is_inside(
        radii in proptest::collection::vec(200i32..3000, 3..40),
        centre in (-8_000_000i32..8_000_000, -6_000_000i32..6_000_000),
        reversed: bool,
        probe in (-3500i32..3500, -3500i32..3500),
    ) {
        let n = radii.len();
        let mut positions: Vec<Position> = radii.iter().enumerate().map(|(i, radius)| {
            let angle = std::f64::consts::TAU * i as f64 / n as f64;
            let at = |trig: f64| (f64::from(*radius) * trig).round() as i32;
            Position::new(centre.0 + at(angle.cos()), centre.1 + at(angle.sin())).unwrap()
        }).collect();
        positions.push(positions[0]);
        if reversed {
            positions.reverse();
        }
        let ring = Ring::new(positions).unwrap();
        let place = Position::new(centre.0 + probe.0, centre.1 + probe.1).unwrap();
        let on_line = ring.edges().any(|(a, b)| turn(a, b, place) == 0 && within(a, b, place));
        prop_assert_eq!(ring.contains(place), on_line || winding(&ring, place) != 0);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Scope::parse(&bytes).is_err());
    }
}

#[test]
fn the_example_is_a_scope() {
    let scope = Scope::parse(include_bytes!("../../../examples/lakeland/scope.geojson")).unwrap();
    assert!(scope.ring.contains(place("28.03950,-81.94980")));
    assert_eq!(scope.window_minutes(), 120);
    let area = scope.ring.bounding_area_m2();
    assert!((190_000..205_000).contains(&area), "{area}");
}

#[test]
fn numbers_are_written_plainly() {
    for text in [
        "", "1", "1,", "+1,2", "1,2,3", "NaN,1", ".5,1", "1.,2", "--1,2", "é,1",
    ] {
        assert_eq!(
            text.parse::<Position>(),
            Err(ScopeError::Position),
            "{text:?}"
        );
    }
    for number in [
        "1e0",
        "1E0",
        "1.0e0",
        "1.000000",
        "1.00000000000000000001",
        "10e-1",
    ] {
        let ring = SQUARE.replace("28.0415", number);
        assert_eq!(parse(&ring), Err(ScopeError::Position), "{number}");
    }
    // A hundred-thousandth of a degree beside the equator and the prime meridian.
    let ring = "[[0.00001,-0.00009],[0.00099,-0.00009],[0.00099,0.00001],[0.00001,-0.00009]]";
    let scope = parse(ring).unwrap();
    assert_eq!(Scope::parse(scope.to_geojson().as_bytes()), Ok(scope));
}

/// Whether two edges have a point in common: solves for where along each of them, by Cramer's rule,
/// and compares overlaps where they are parallel.
fn meet_oracle(a: [i64; 2], b: [i64; 2], c: [i64; 2], d: [i64; 2]) -> bool {
    let minus = |p: [i64; 2], q: [i64; 2]| [p[0] - q[0], p[1] - q[1]];
    let cross = |p: [i64; 2], q: [i64; 2]| p[0] * q[1] - p[1] * q[0];
    let (r, s, offset) = (minus(b, a), minus(d, c), minus(c, a));
    let scale = cross(r, s);
    if scale != 0 {
        let within = |n: i64| (0..=scale.abs()).contains(&(n * scale.signum()));
        return within(cross(offset, s)) && within(cross(offset, r));
    }
    let overlap = |i: usize| a[i].max(b[i]) >= c[i].min(d[i]) && c[i].max(d[i]) >= a[i].min(b[i]);
    cross(offset, r) == 0 && overlap(0) && overlap(1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8192))]
    #[test]
    fn exactly_lines_that_do_not_meet_themselves_are_rings(
        corners in proptest::collection::vec((0i64..5, 0i64..5), 3..8),
    ) {
        let corners: Vec<[i64; 2]> = corners.into_iter().map(|(x, y)| [x, y]).collect();
        let n = corners.len();
        let edge = |i: usize| (corners[i % n], corners[(i + 1) % n]);
        let simple = (0..n).all(|i| {
            let (a, b) = edge(i);
            let (_, c) = edge(i + 1);
            let forth = [b[0] - a[0], b[1] - a[1]];
            let on = [c[0] - b[0], c[1] - b[1]];
            let turns = forth[0] * on[1] != forth[1] * on[0];
            let ahead = forth[0] * on[0] + forth[1] * on[1] > 0;
            a != b
                && (turns || ahead)
                && (i + 2..(i + n - 1).max(i + 2)).all(|j| {
                    let (c, d) = edge(j);
                    !meet_oracle(a, b, c, d)
                })
        });
        let mut ring: Vec<Position> = corners
            .iter()
            .map(|[x, y]| Position::new(*x as i32, *y as i32).unwrap())
            .collect();
        ring.push(ring[0]);
        prop_assert_eq!(Ring::new(ring).is_ok(), simple);
    }
}
