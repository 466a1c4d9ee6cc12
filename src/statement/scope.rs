//! The scope of an access request: where exactly, and from when to when.
//!
//! An attachment, GeoJSON (RFC 7946) narrowed to one form: a Feature with one closed ring and a
//! window of time, and nothing besides. Positions are integers of 10⁻⁵ degrees (about a metre), so
//! that everybody computes the same answer to "is this camera inside?".

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::kinds::access_request::AccessRequest;
use crate::encoding::json_error;
use crate::time::{SECS_PER_DAY, Time};

/// The largest scope that is read, in bytes.
pub const MAX_SCOPE: usize = 16 << 10;
/// Positions of a ring, the last of which repeats the first.
const POSITIONS: std::ops::RangeInclusive<usize> = 4..=64;
/// Units of a position in one degree.
const E5: f64 = 100_000.0;
/// Latitudes beyond this one are nobody's street.
const MAX_LATITUDE: i32 = 85 * 100_000;
/// The mean radius of the Earth (IUGG), in metres.
const EARTH_RADIUS: f64 = 6_371_008.8;

/// Why bytes are no scope, or why a scope does not fit its request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    #[error("the scope has more than 16 KiB")]
    TooLarge,
    #[error("not a GeoJSON Feature with a Polygon of one ring and properties from and until: {0}")]
    Form(String),
    #[error("a ring has 4 to 64 positions, the last of which repeats the first")]
    Open,
    #[error(
        "a place has a longitude within ±180 and a latitude within ±85, of at most 5 decimals: \
         [LON,LAT] in GeoJSON, LAT,LON for a camera"
    )]
    Position,
    #[error("the ring crosses or touches itself, or encloses nothing")]
    Crossing,
    #[error("the ring is 180 degrees wide or more")]
    Width,
    #[error("the window ends before it begins")]
    Window,
    #[error("a window begins and ends with a whole minute, such as 2019-07-30T21:00:00Z")]
    Minute,
    #[error("the scope's bounding box has {found} m², and the request says {said}")]
    Area { found: u64, said: u32 },
    #[error("the scope's window has {found} minutes, and the request says {said}")]
    Minutes { found: u64, said: u32 },
    #[error("the scope begins more than {said} days before the request, or ends after it")]
    Age { said: u32 },
}

/// A place, in 10⁻⁵ degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    lon_e5: i32,
    lat_e5: i32,
}

impl Position {
    /// From longitude and latitude in 10⁻⁵ degrees.
    ///
    /// # Errors
    /// [`ScopeError::Position`] outside ±180 and ±85 degrees.
    pub fn new(lon_e5: i32, lat_e5: i32) -> Result<Self, ScopeError> {
        let fine = lon_e5.unsigned_abs() <= 180 * 100_000
            && lat_e5.unsigned_abs() < MAX_LATITUDE.unsigned_abs();
        if fine {
            Ok(Self { lon_e5, lat_e5 })
        } else {
            Err(ScopeError::Position)
        }
    }

    fn parse(lon: &str, lat: &str) -> Result<Self, ScopeError> {
        Self::new(to_e5(lon)?, to_e5(lat)?)
    }
}

/// Reads degrees, digit by digit: what a float makes of a sixth decimal or an exponent differs from
/// one program to the next.
fn to_e5(degrees: &str) -> Result<i32, ScopeError> {
    let unsigned = degrees.strip_prefix('-').unwrap_or(degrees);
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |text: &str, most| {
        (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    if !digits(whole, 3) || !digits(decimals, 5) {
        return Err(ScopeError::Position);
    }
    let e5: i32 = format!("{whole}{decimals:0<5}")
        .parse()
        .expect("at most 8 digits");
    Ok(if unsigned == degrees {
        e5
    } else {
        e5.saturating_neg()
    })
}

/// Degrees with five decimals.
struct Degrees(i32);

impl fmt::Display for Degrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let e5 = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:05}", e5 / 100_000, e5 % 100_000)
    }
}

/// As people write places: latitude, longitude.
impl FromStr for Position {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let (lat, lon) = text.split_once(',').ok_or(ScopeError::Position)?;
        Self::parse(lon.trim(), lat.trim())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", Degrees(self.lat_e5), Degrees(self.lon_e5))
    }
}

/// A closed line that does not meet itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring(Vec<Position>);

impl Ring {
    /// From its positions, the last of which repeats the first.
    ///
    /// # Errors
    /// [`ScopeError::Open`], [`ScopeError::Width`], [`ScopeError::Crossing`].
    pub fn new(positions: Vec<Position>) -> Result<Self, ScopeError> {
        if !POSITIONS.contains(&positions.len()) || positions.first() != positions.last() {
            return Err(ScopeError::Open);
        }
        let ring = Self(positions);
        let (west, _, east, _) = ring.bounds();
        if east.saturating_sub(west) >= 180 * 100_000 {
            return Err(ScopeError::Width);
        }
        if ring.meets_itself() {
            return Err(ScopeError::Crossing);
        }
        Ok(ring)
    }

    fn edges(&self) -> impl Iterator<Item = (Position, Position)> + '_ {
        self.0.array_windows().map(|[from, to]| (*from, *to))
    }

    fn meets_itself(&self) -> bool {
        let edges = || self.edges().enumerate();
        let last = self.edges().count().saturating_sub(1);
        let pairs = edges().flat_map(|one| {
            edges()
                .skip(one.0.saturating_add(1))
                .map(move |two| (one, two))
        });
        self.edges().any(|(a, b)| a == b)
            || pairs.into_iter().any(|((i, first), (j, second))| {
                if j == i.saturating_add(1) {
                    folds_back(first, second)
                } else if i == 0 && j == last {
                    folds_back(second, first)
                } else {
                    segments_meet(first, second)
                }
            })
    }

    /// West, south, east, north.
    fn bounds(&self) -> (i32, i32, i32, i32) {
        let lons = || self.0.iter().map(|p| p.lon_e5);
        let lats = || self.0.iter().map(|p| p.lat_e5);
        let least = |it: &mut dyn Iterator<Item = i32>| it.min().expect("at least 4 positions");
        let most = |it: &mut dyn Iterator<Item = i32>| it.max().expect("at least 4 positions");
        (
            least(&mut lons()),
            least(&mut lats()),
            most(&mut lons()),
            most(&mut lats()),
        )
    }

    /// The area of the box of latitudes and longitudes around the ring, in square metres.
    pub fn bounding_area_m2(&self) -> u64 {
        let (west, south, east, north) = self.bounds();
        let radians = |e5: i32| (f64::from(e5) / E5).to_radians();
        let width = radians(east) - radians(west);
        let height = radians(north).sin() - radians(south).sin();
        (EARTH_RADIUS * EARTH_RADIUS * width * height).ceil() as u64
    }

    /// Whether a place is inside or on the line.
    pub fn contains(&self, place: Position) -> bool {
        let mut inside = false;
        for (a, b) in self.edges() {
            if turn(a, b, place) == 0 && within(a, b, place) {
                return true;
            }
            // A ray to the east crosses edges that go from below it to at or above it, or back.
            if (a.lat_e5 > place.lat_e5) != (b.lat_e5 > place.lat_e5) {
                let left = turn(a, b, place) > 0;
                inside ^= left == (b.lat_e5 > a.lat_e5);
            }
        }
        inside
    }
}

/// Positive if `c` lies to the left of the way from `a` to `b`, 0 if on that line. At most 2⁵³.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "a position has at most 180 × 10⁵ in either direction, so a product is below 2⁵³"
)]
fn turn(a: Position, b: Position, c: Position) -> i64 {
    let x = |p: Position| i64::from(p.lon_e5);
    let y = |p: Position| i64::from(p.lat_e5);
    (x(b) - x(a)) * (y(c) - y(a)) - (y(b) - y(a)) * (x(c) - x(a))
}

/// Whether `c`, on the line through `a` and `b`, lies between them.
fn within(a: Position, b: Position, c: Position) -> bool {
    let between = |p: i32, q: i32, r: i32| p.min(q) <= r && r <= p.max(q);
    between(a.lon_e5, b.lon_e5, c.lon_e5) && between(a.lat_e5, b.lat_e5, c.lat_e5)
}

/// Whether two edges that share `first`'s end run over each other.
fn folds_back(first: (Position, Position), second: (Position, Position)) -> bool {
    let (a, b, c) = (first.0, first.1, second.1);
    turn(a, b, c) == 0 && (within(a, b, c) || within(b, c, a))
}

fn segments_meet((a, b): (Position, Position), (c, d): (Position, Position)) -> bool {
    let (c_side, d_side) = (turn(a, b, c).signum(), turn(a, b, d).signum());
    let (a_side, b_side) = (turn(c, d, a).signum(), turn(c, d, b).signum());
    let apart = |one: i64, other: i64| one != 0 && other != 0 && one != other;
    (apart(c_side, d_side) && apart(a_side, b_side))
        || (c_side == 0 && within(a, b, c))
        || (d_side == 0 && within(a, b, d))
        || (a_side == 0 && within(c, d, a))
        || (b_side == 0 && within(c, d, b))
}

/// Where, and from when to when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub ring: Ring,
    pub from: Time,
    /// Later than `from`.
    pub until: Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    geometry: Geometry<'a>,
    properties: Window,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Geometry<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    coordinates: Vec<Vec<[&'a RawValue; 2]>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    from: Time,
    until: Time,
}

impl Scope {
    /// Parses a scope.
    ///
    /// # Errors
    /// [`ScopeError`]: every fault but those of a request.
    pub fn parse(bytes: &[u8]) -> Result<Self, ScopeError> {
        if bytes.len() > MAX_SCOPE {
            return Err(ScopeError::TooLarge);
        }
        let form = |why: &str| ScopeError::Form(why.to_owned());
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|e| ScopeError::Form(json_error(&e)))?;
        // serde reads arrays for structures too.
        let has_object = |name| value.get(name).is_some_and(serde_json::Value::is_object);
        let objects = value.is_object() && has_object("geometry") && has_object("properties");
        if !objects {
            return Err(form("geometry and properties are objects"));
        }
        let feature: Feature =
            serde_json::from_slice(bytes).map_err(|e| ScopeError::Form(json_error(&e)))?;
        if feature.kind != "Feature" || feature.geometry.kind != "Polygon" {
            return Err(form("its type is Feature, its geometry's Polygon"));
        }
        let [ring] = feature.geometry.coordinates.as_slice() else {
            return Err(form("one ring, no holes"));
        };
        if !POSITIONS.contains(&ring.len()) {
            return Err(ScopeError::Open);
        }
        let positions: Result<_, _> = ring
            .iter()
            .map(|[lon, lat]| Position::parse(lon.get(), lat.get()))
            .collect();
        let Window { from, until } = feature.properties;
        if until <= from {
            return Err(ScopeError::Window);
        }
        Ok(Self {
            ring: Ring::new(positions?)?,
            from,
            until,
        })
    }

    /// The same place in another window.
    ///
    /// # Errors
    /// [`ScopeError::Minute`], [`ScopeError::Window`].
    pub fn with_window(self, from: Time, until: Time) -> Result<Self, ScopeError> {
        if [from, until]
            .iter()
            .any(|time| time.cut_to_minute() != *time)
        {
            return Err(ScopeError::Minute);
        }
        if until <= from {
            return Err(ScopeError::Window);
        }
        Ok(Self {
            from,
            until,
            ..self
        })
    }

    /// The scope as an attachment.
    pub fn to_geojson(&self) -> String {
        let position = |p: &Position| format!("[{},{}]", Degrees(p.lon_e5), Degrees(p.lat_e5));
        let ring: Vec<String> = self.ring.0.iter().map(position).collect();
        format!(
            concat!(
                r#"{{"type":"Feature","geometry":{{"type":"Polygon","coordinates":[[{}]]}},"#,
                r#""properties":{{"from":"{}","until":"{}"}}}}"#
            ),
            ring.join(","),
            self.from,
            self.until
        )
    }

    /// The length of the window in minutes, rounded up.
    pub fn window_minutes(&self) -> u64 {
        let seconds = self.until.seconds_since(self.from);
        u64::try_from(seconds).expect("until is later").div_ceil(60)
    }

    /// Whether the request, issued at `issued_at`, told the log at least as much as this scope asks.
    ///
    /// # Errors
    /// [`ScopeError::Area`], [`ScopeError::Minutes`], [`ScopeError::Age`].
    pub fn fits(&self, request: &AccessRequest, issued_at: Time) -> Result<(), ScopeError> {
        let (found, said) = (self.ring.bounding_area_m2(), request.area_m2);
        if found > u64::from(said) {
            return Err(ScopeError::Area { found, said });
        }
        let (found, said) = (self.window_minutes(), request.window_minutes);
        if found > u64::from(said) {
            return Err(ScopeError::Minutes { found, said });
        }
        let said = request.footage_age_days;
        let age = issued_at.seconds_since(self.from);
        if age > i64::from(said).saturating_mul(SECS_PER_DAY) || self.until > issued_at {
            return Err(ScopeError::Age { said });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
